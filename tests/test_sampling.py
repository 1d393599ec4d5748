"""Sobol points: the sequence, its scrambles, what they are given to, and errors that are honest."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from scipy.stats import qmc

from simulator import chance, explain, load, loads, metrics, simulate, sobol
from simulator.cli import cli
from simulator.compare import COMPARATORS, _Question, compare
from simulator.plan import compile_plan
from simulator.run import Simulation, Variant, influences_of, settle_variants
from simulator.sampling import Source, shared_axes

SCENARIOS = Path(__file__).parent.parent / "scenarios"
R = metrics.RANDOMISATIONS


def _columns(number, seed=1):
    keys = np.array([chance.key(seed, "test", 0, (str(j),)) for j in range(number)], np.uint64)
    counters = np.zeros(number, np.int64)
    numbers = np.ascontiguousarray(sobol.directions()[:number])
    return numbers, sobol.scrambles(keys, counters), keys, counters


def _points(draws, number, start=0, seed=1):
    return sobol.points(start, draws, *_columns(number, seed))


# -- the sequence ---------------------------------------------------------------------------------------------------


def test_direction_numbers_are_those_of_scipy():
    points, dimensions = 1024, sobol.DIMENSIONS
    theirs = qmc.Sobol(dimensions, scramble=False, bits=52).random(points)
    numbers = sobol.directions()
    for i in range(points):
        n = i ^ (i >> 1)  # SciPy walks along the Gray code
        for j in range(dimensions):
            x = 0
            for bit in range(n.bit_length()):
                if n >> bit & 1:
                    x ^= int(numbers[j, bit])
            assert int(f"{x:064b}"[::-1], 2) / 2**64 == theirs[i, j]


def test_each_randomisation_has_one_point_in_every_interval():
    u = _points(R * 256, sobol.DIMENSIONS)
    for r in range(R):
        own = u[r::R]
        for j in range(own.shape[1]):
            assert sorted((own[:, j] * 256).astype(int)) == list(range(256))
        assert len({(int(a * 16), int(b * 16)) for a, b in own[:, :2]}) == 256


def test_independent_uniforms_do_not_fill_the_intervals():
    u = np.random.default_rng(1).random(256)
    assert len(set((u * 256).astype(int))) < 200


def test_randomisations_differ_and_are_uniform():
    u = _points(R * 256, 8)
    first = u.reshape(256, R, 8)[0].ravel()  # the same point of each randomisation, scrambled on its own
    assert np.unique(u).size == u.size
    # 128 uniforms: the distance of Kolmogorov and Smirnov exceeds 1.63 / sqrt(128) once in a hundred
    ordered = np.sort(first)
    assert np.abs(ordered - (np.arange(128) + 0.5) / 128).max() < 1.63 / math.sqrt(128)


def test_more_points_extend_fewer():
    u = _points(1000, 5)
    assert np.array_equal(u[:300], _points(300, 5))
    assert np.array_equal(u[123:700], _points(577, 5, start=123))
    assert not np.array_equal(u, _points(1000, 5, seed=2))


def test_columns_beyond_the_dimensions_are_drawn_at_their_addresses():
    numbers, words, keys, counters = _columns(3)
    u = sobol.points(7, 20, numbers[:2].copy(), words[:2].copy(), keys, counters)
    assert np.array_equal(u[:, 2], chance.uniforms(keys[2], 7, 20, 0))


def test_a_smooth_mean_is_found_with_a_far_smaller_error():
    # the mean of exp(sum u - 4) over eight uniforms is (2 sinh(1/2))^8; independent draws have an error of 0.0051 here
    truth = (2.0 * math.sinh(0.5)) ** 8
    y = np.exp(_points(65_536, 8).sum(axis=1) - 4.0)
    found = metrics.Moments.of_row(metrics.column_moments(y.reshape(-1, 1), True)[0])
    assert found.standard_error < 0.0005
    assert abs(found.mean - truth) < 4.5 * found.standard_error
    assert metrics.Moments.of(y).standard_error > 0.005


# -- turned axes ----------------------------------------------------------------------------------------------------


def test_turning_keeps_uniforms_uniform_and_independent_and_puts_the_sum_first():
    rng = np.random.default_rng(3)
    u = rng.random((40_000, 4))
    before = u.copy()
    weights = np.array([1.0, 2.0, 2.0, 4.0])
    columns = np.array([2, 0, 1, 3])
    sobol.turn(u, columns, weights)
    assert u.min() > 0.0 and u.max() < 1.0
    assert np.abs(u.mean(axis=0) - 0.5).max() < 4.5 / math.sqrt(12 * 40_000)
    correlation = np.corrcoef(u.T)
    assert np.abs(correlation - np.eye(4)).max() < 4.5 / math.sqrt(40_000)
    normal = np.vectorize(chance.normal_quantile)
    total = (normal(u[:, columns]) * weights).sum(axis=1) / 5.0
    assert np.allclose(total, normal(before[:, 2]), atol=1e-9)


def test_turning_one_column_changes_nothing():
    u = np.random.default_rng(3).random((10, 2))
    before = u.copy()
    sobol.turn(u, np.array([1]), np.array([3.0]))
    assert np.array_equal(u, before)


def test_columns_whose_influences_are_alike_share_an_axis():
    base = np.array([[1.0, 0.5, 0.0], [1.0, 0.0, 0.5], [0.0, 0.4, 0.1]]).T  # three answers, three kinds of columns
    influences = np.column_stack([base[:, 0], -0.3 * base[:, 0], np.zeros(3), base[:, 1], 0.2 * base[:, 1], base[:, 2]])
    found = shared_axes(influences)
    assert [columns for columns, _ in found] == [
        [0, 1],
        [3, 4],
        [5],
    ]  # the largest first, those of no influence left out
    size = np.linalg.norm(influences, axis=0)
    assert np.allclose(found[0][1], [size[0], -size[1]]) and np.allclose(found[1][1], [size[3], size[4]])
    assert [columns for columns, _ in shared_axes(influences, {1, 4})] == [[0], [3], [5], [1], [4]]
    # nearly alike is enough, half alike is not
    near, far = base[:, 0] + 0.15 * np.array([0.0, 1.0, -2.0]), base[:, 0] + np.array([0.0, 1.0, -2.0])
    assert len(shared_axes(np.column_stack([base[:, 0], near]))) == 1
    assert len(shared_axes(np.column_stack([base[:, 0], far]))) == 2
    assert shared_axes(np.zeros((0, 4))) == []


def _axes(shared):
    """Columns that are turned together: the ends of the paths of uncertain numbers, and places of luck."""
    source = shared.source
    names = {column: shared.plan.columns[i].address[-1] for i, column in source.reads.items()}
    for table in ("luck", "whole", "arm", "policy"):
        for place in np.argwhere(getattr(source.places, table) >= 0):
            names[getattr(source.places, table)[tuple(place)]] = (table, *place.tolist())
    return [{names[column] for column in columns} for columns, _ in source.turns]


def test_what_decides_a_trigger_together_shares_an_axis():
    plan = compile_plan(load(SCENARIOS / "peterborough.yaml"))
    axes = _axes(Simulation(plan, 1, ["as signed"], sampling="sobol"))
    assert {"effect", "shared_bias"} in axes
    for cohort in range(3):
        assert {("luck", 0, cohort, 0), ("arm", 0, cohort)} in axes
    assert {("policy", 0), "chance_a_year"} in axes
    assert _axes(Simulation(plan, 1, ["as signed"], sampling="sobol", suits=())) == []
    plan = compile_plan(load(SCENARIOS / "augsburg.yaml"))
    (axis,) = _axes(Simulation(plan, 1, ["as signed"], sampling="sobol"))
    assert axis >= {"effect", "without_service", "referrals", ("whole", 0, 0)}


def test_influences_are_covariances_with_normal_quantiles():
    plan = compile_plan(load(SCENARIOS / "peterborough.yaml"))
    names = list(plan.structure_names)
    told = influences_of(plan, names)
    bare = Simulation(plan, 11, names, sampling="sobol", suits=())
    draws = 4 * 4096
    z = stats.norm.ppf(bare.source.untouched(0, draws))
    paid = simulate(load(SCENARIOS / "peterborough.yaml"), draws, 11).draws("as signed")[
        "payments"
    ]  # plain: no relation
    values, _ = bare.values(0, draws)
    out, stops, _, capped = bare.outcomes(0, values)
    met = np.zeros((len(plan.clause_names["as signed"]), len(plan.cohort_names) + 2), np.int64)
    own = bare.settle("as signed", values, out, stops, capped, met)[0][:, 0]
    for payments, agree in ((own, True), (paid, False)):
        seen = z.T @ (payments - payments.mean()) / payments.std() / draws
        seen[(told == 0.0).all(axis=0)] = 0.0
        # both are good to 1 / sqrt(4096) at worst
        assert (np.abs(seen - told[0]).max() < 4.5 / math.sqrt(4096)) == agree


def test_the_axes_are_those_of_the_deal_whatever_is_asked():
    deal = load(SCENARIOS / "peterborough.yaml")
    plan = compile_plan(deal)
    one = Simulation(plan, 1, ["as signed"], sampling="sobol").source
    other = Simulation(plan, 2, ["conventional", "event by event"], sampling="sobol").source
    compared = _Question(deal, 1, ["as signed"], list(COMPARATORS), False, "sobol")
    assert len(compared.plan.structure_names) > len(plan.structure_names)
    for each in (other, compared.shared.source):
        assert len(each.turns) == len(one.turns) == 5
        for mine, theirs in zip(one.turns, each.turns, strict=True):
            assert np.array_equal(mine[0], theirs[0]) and np.array_equal(mine[1], theirs[1])
        assert np.array_equal(one.places.luck, each.places.luck)
        assert set(one.reads.values()) == set(each.reads.values())
    # seeds move what is drawn along them
    assert np.array_equal(one.keys, compared.shared.source.keys) and not np.array_equal(one.keys, other.keys)


def test_a_small_change_of_a_deal_turns_the_axes_a_little():
    text = (SCENARIOS / "peterborough.yaml").read_text(encoding="utf-8")
    paid = []
    for changed in (text, text.replace("price per event: 16000", "price per event: 16160")):
        paid.append(simulate(loads(changed), 4096, 1, ["as signed"], sampling="sobol").draws("as signed")["payments"])
    # the price moves all payments by 1% where no cap binds
    assert np.abs(paid[1] - paid[0]).max() < 0.02 * paid[0].max()


def test_turned_axes_halve_the_variance_of_what_several_sums_decide():
    # P(any payment) in 4 times 16 randomisations of 4,096 points: the variance between them is good to 18%
    plan = compile_plan(load(SCENARIOS / "peterborough.yaml"))
    gain = []
    for suits in (None, ()):
        means = []
        for seed in range(4):
            shared = Simulation(plan, seed, ["as signed"], sampling="sobol", suits=suits)
            paid = [
                settle_variants(shared, [Variant(shared, {})], start, 4096)[0] for start in range(0, R * 4096, 4096)
            ]
            any_ = np.concatenate([each.metrics["as signed"][:, 0] > 0.0 for each in paid])
            means += [any_[r::R].mean() for r in range(R)]
        share = np.mean(means)
        gain.append(share * (1.0 - share) / 4096 / np.var(means, ddof=1))
    assert gain[0] > 10.0 > gain[1] > 3.0


def test_the_points_of_a_block_are_made_once(monkeypatch):
    made = []
    real = Source.uniforms
    monkeypatch.setattr(Source, "uniforms", lambda self, start, number: made.append(start) or real(self, start, number))
    monkeypatch.setattr(Simulation, "chunk", property(lambda self: 1000))
    plan = compile_plan(load(SCENARIOS / "augsburg.yaml"))
    shared = Simulation(plan, 1, ["as signed"], sampling="sobol", suits=())
    for start in (0, 4096):
        settle_variants(shared, [Variant(shared, {})], start, 4096)
    assert made == [0, 4096]


# -- errors ---------------------------------------------------------------------------------------------------------


def test_the_error_between_equal_randomisations_is_that_of_their_means():
    rng = np.random.default_rng(5)
    values = rng.random(R * 10)
    shares = metrics.by_randomisation(values)
    means = values.reshape(10, R).mean(axis=0)
    assert metrics.between_randomisations(shares) == pytest.approx(means.std(ddof=1) / math.sqrt(R), rel=1e-12)


def test_undefined_draws_and_missing_randomisations_are_left_out():
    values = np.array([1.0, np.nan, 3.0, 5.0])
    shares = metrics.by_randomisation(values)
    assert shares[:, :5].tolist() == [[1.0, 0.0, 3.0, 5.0, 0.0], [1.0, 0.0, 1.0, 1.0, 0.0]]
    assert metrics.between_randomisations(shares) == pytest.approx(math.sqrt(3 / 2 * (4.0 + 0.0 + 4.0)) / 3)
    assert math.isnan(metrics.between_randomisations(metrics.by_randomisation(values[:2])))


def test_moments_of_rows_are_those_of_the_values():
    rng = np.random.default_rng(6)
    x, y = rng.random(500), rng.random(500)
    x[7] = np.nan
    one = metrics.Moments.of_row(metrics.column_moments(x.reshape(-1, 1), True)[0])
    assert np.allclose(one.shares, metrics.by_randomisation(x))
    pair = metrics.CoMoments.of_row(metrics.pair_moments(x.reshape(-1, 1), y.reshape(-1, 1), True)[0])
    assert np.allclose(pair.shares[0], one.shares[0])
    value, error = pair.ratio()
    assert value == pytest.approx(np.nanmean(x) / np.delete(y, 7).mean())
    assert error == pytest.approx(metrics.between_randomisations(pair.shares))


ESTIMATES = {
    "any payment": lambda s: (s.triggers["any payment"].probability, s.triggers["any payment"].standard_error),
    "payments": lambda s: (s.payments.mean, s.payments.standard_error),
    "irr": lambda s: (s.investor.irr.mean, s.investor.irr.standard_error),
    "loss": lambda s: (s.investor.probability_of_loss.probability, s.investor.probability_of_loss.standard_error),
    "loss given loss": lambda s: (s.investor.loss_given_loss.value, s.investor.loss_given_loss.standard_error),
    "hurdle": lambda s: (
        s.investor.probability_of_hurdle.probability,
        s.investor.probability_of_hurdle.standard_error,
    ),
    "deadweight": lambda s: (s.payer.deadweight_share.value, s.payer.deadweight_share.standard_error),
    "deficit": lambda s: (
        s.provider.probability_of_deficit.probability,
        s.provider.probability_of_deficit.standard_error,
    ),
}


@pytest.fixture(scope="module")
def many():
    """Estimates of 40 seeds at 4,096 draws of Peterborough as signed, by method, [seeds, estimates, 2]."""
    deal = load(SCENARIOS / "peterborough.yaml")
    found = {}
    for sampling in ("plain", "sobol"):
        rows = [simulate(deal, 4096, seed, ["as signed"], sampling=sampling)["as signed"] for seed in range(40)]
        found[sampling] = np.array([[of(row) for of in ESTIMATES.values()] for row in rows], dtype=float)
    return found


def test_reported_errors_are_those_seen_from_seed_to_seed(many):
    # the spread of 40 values has a relative error of 11%, that of the reported ones is far smaller: 4 of them are 45%
    for sampling in ("plain", "sobol"):
        for i, name in enumerate(ESTIMATES):
            seen = many[sampling][:, i, 0].std(ddof=1)
            said = math.sqrt(np.square(many[sampling][:, i, 1]).mean())
            if seen > 0.0:
                assert 0.6 < seen / said < 1.5, (sampling, name)


def test_errors_of_independent_draws_would_be_far_too_large_for_sobol_points(many):
    i = list(ESTIMATES).index("payments")
    seen = many["sobol"][:, i, 0].std(ddof=1)
    said = math.sqrt(np.square(many["plain"][:, i, 1]).mean())
    assert seen / said < 0.45


def test_both_ways_of_sampling_find_the_same_means(many):
    plain, points = many["plain"][:, :, 0], many["sobol"][:, :, 0]
    error = np.sqrt((plain.var(axis=0, ddof=1) + points.var(axis=0, ddof=1)) / 40)
    gap = np.abs(plain.mean(axis=0) - points.mean(axis=0))
    assert (gap <= 4.5 * error + 1e-12).all(), dict(zip(ESTIMATES, gap / error, strict=True))


def test_sobol_points_are_never_worse_here_and_much_better_for_means(many):
    # with 40 seeds each the ratio of two equal variances is above 2.3 once in two hundred
    variance = {name: many[name][:, :, 0].var(axis=0, ddof=1) for name in many}
    for i, name in enumerate(ESTIMATES):
        assert variance["sobol"][i] <= 1.5 * variance["plain"][i], name
    assert (
        variance["plain"][list(ESTIMATES).index("payments")] > 6 * variance["sobol"][list(ESTIMATES).index("payments")]
    )


@pytest.mark.parametrize("name", ["augsburg", "essex", "fair_chance_fund", "utah", "rikers"])
def test_every_kind_of_deal_has_the_same_means_under_both(name):
    deal = load(SCENARIOS / f"{name}.yaml")
    draws = 2_000 if name == "fair_chance_fund" else 8_000
    plain, points = (simulate(deal, draws, 5, sampling=each).to_dict() for each in ("plain", "sobol"))
    for structure, answers in plain["structures"].items():
        other = points["structures"][structure]
        for key in ("payments", "uncapped_payments"):
            error = math.hypot(answers[key]["standard_error"], other[key]["standard_error"])
            assert abs(answers[key]["mean"] - other[key]["mean"]) <= 4.5 * error + 1e-6
    for outcome, answers in plain["outcomes"].items():
        for key in ("true", "verified", "additional"):
            other = points["outcomes"][outcome][key]
            error = math.hypot(answers[key]["standard_error"], other["standard_error"])
            assert abs(answers[key]["mean"] - other["mean"]) <= 5 * error + 1e-9


# -- what a run keeps -----------------------------------------------------------------------------------------------


def test_draws_are_extended_and_threads_move_nothing():
    deal = load(SCENARIOS / "peterborough.yaml")
    few = simulate(deal, 5_000, 2, sampling="sobol", threads=1)
    many_ = simulate(deal, 9_000, 2, sampling="sobol", threads=2)
    for structure in few.structures:
        for key, values in few.draws(structure).items():
            assert np.array_equal(values, many_.draws(structure)[key][:5_000], equal_nan=True)
    again = simulate(deal, 5_000, 2, sampling="sobol", threads=3)
    drop = {"elapsed", "environment"}
    one, other = ({k: v for k, v in each.to_dict().items() if k not in drop} for each in (few, again))
    assert one == other and one["sampling"] == "sobol"


def test_a_draw_on_sobol_points_can_be_explained():
    deal = load(SCENARIOS / "augsburg.yaml")
    paid = simulate(deal, 40, 3, sampling="sobol").draws("as signed")["payments"]
    for draw in (0, 17, 39):
        told = explain(deal, draw=draw, seed=3, structure="as signed", sampling="sobol")
        assert told["structures"]["as signed"]["metrics"]["payments"] == pytest.approx(paid[draw])
    assert np.unique(paid).size == 2


def test_what_is_uncertain_together_is_one_dimension_and_correlated_numbers_stay_so():
    plan = compile_plan(load(SCENARIOS / "peterborough.yaml"))
    shared = Simulation(plan, 1, ["as signed"], sampling="sobol")
    addresses = {column.address for column in plan.columns if not column.quantity.is_fixed}
    assert len(set(shared.source.reads.values())) == len(addresses)
    rows, _ = shared.values(0, 4096)
    for i, column in enumerate(plan.columns):
        if column.quantity.is_fixed:
            assert (rows[:, i] == column.quantity.value).all()
        else:
            assert np.unique(rows[:, i]).size > 4000


def test_the_comparison_has_smaller_errors_on_sobol_points():
    deal = load(SCENARIOS / "peterborough.yaml")
    plain, points = (compare(deal, 8192, 1, ["as signed"], sampling=each) for each in ("plain", "sobol"))
    one, other = (
        each["structures"]["as signed"]["against"]["conventional"]["cost_difference"] for each in (plain, points)
    )
    assert other["standard_error"] < 0.5 * one["standard_error"]
    assert abs(one["mean"] - other["mean"]) < 4.5 * math.hypot(one["standard_error"], other["standard_error"])


def test_the_command_takes_the_method_and_says_it():
    runner = CliRunner()
    path = str(SCENARIOS / "augsburg.yaml")
    done = runner.invoke(cli, ["run", path, "--draws", "2000", "--sampling", "sobol", "--quiet"])
    assert done.exit_code == 0 and "2,000 draws on Sobol points" in done.stdout
    done = runner.invoke(cli, ["run", path, "--draws", "2000", "--sampling", "sobol", "--quiet", "--format", "json"])
    assert json.loads(done.stdout)["sampling"] == "sobol"
    assert runner.invoke(cli, ["run", path, "--sampling", "halton"]).exit_code == 2
    with pytest.raises(ValueError, match="sampling: 'halton' is unknown; allowed: plain, sobol"):
        simulate(load(SCENARIOS / "augsburg.yaml"), 10, sampling="halton")


@pytest.mark.parametrize("draws", [1, 2, 15, 17])
def test_a_handful_of_draws_is_no_error(draws):
    data = simulate(load(SCENARIOS / "peterborough.yaml"), draws, 1, sampling="sobol").to_dict()
    error = data["structures"]["as signed"]["payments"]["standard_error"]
    assert (error is None) == (draws == 1)


def test_the_total_of_a_small_cohort_is_drawn_first_and_split_over_its_months():
    plan = compile_plan(load(SCENARIOS / "augsburg.yaml"))
    shared = Simulation(plan, 1, ["as signed"], sampling="sobol", suits=())  # it does not share its axis
    values, _ = shared.values(0, 4096)
    values[:] = values[0]  # all draws alike but for luck
    outcome = plan.outcomes[0]
    values[:, outcome["after_at"]] = 20.0  # of the last months nothing is known in time
    out = shared.outcomes(0, values)[0]
    level = values[0, outcome["level_at"]] + values[0, outcome["effect_at"]]
    people, when, counts = out.people[0], out.when[0, 0], out.counts[:, 0, :, 0]
    in_time = when <= plan.cohorts[0]["claim"]
    assert 0 < in_time.sum() < in_time.size
    law = stats.binom(int(people[in_time].sum()), level)
    total = counts[:, in_time].sum(axis=1)
    # 256 evenly spread points of each randomisation: the totals follow their law far more closely than 4,096 draws
    for k in range(int(law.mean()) - 3, int(law.mean()) + 4):
        share = (total <= k).mean()
        assert abs(share - law.cdf(k)) < 1.0 / 256
    # and the months follow theirs, each with the mean and variance of a binomial count, independent of each other
    for b in range(people.size):
        error = math.sqrt(people[b] * level * (1.0 - level) / 4096)
        assert abs(counts[:, b].mean() - people[b] * level) < 4.5 * error
        assert counts[:, b].var() == pytest.approx(people[b] * level * (1.0 - level), rel=0.12)
    correlation = np.corrcoef(counts.T) - np.eye(people.size)
    assert np.abs(correlation).max() < 4.5 / math.sqrt(4096)
    assert abs(np.cov(total, rowvar=False) / law.var() - 1.0) < 0.02


def test_months_with_and_without_the_service_are_of_one_uniform():
    # as under plain sampling: what a month has with the service says within which bounds it is without
    plan = compile_plan(load(SCENARIOS / "augsburg.yaml"))
    for method in ("plain", "sobol"):
        shared = Simulation(plan, 1, ["as signed"], sampling=method)
        values, _ = shared.values(0, 512)
        out = shared.outcomes(0, values)[0]
        outcome = plan.outcomes[0]
        q = values[:, outcome["level_at"], np.newaxis]
        p = q + values[:, outcome["effect_at"], np.newaxis]
        served, unserved, people = out.counts[:, 0, :, 0], out.counts[:, 0, :, 1], out.people
        law, other = stats.binom(people, np.clip(p, 0.0, 1.0)), stats.binom(people, q)
        assert (law.cdf(served - 1) <= other.cdf(unserved) + 1e-12).all()
        assert (other.cdf(unserved - 1) <= law.cdf(served) + 1e-12).all()
        # and there is luck within those bounds
        bounds = (
            other.ppf(np.clip(law.cdf(served), 0.0, 1.0)),
            other.ppf(np.clip(law.cdf(served - 1) + 1e-12, 0.0, 1.0)),
        )
        inside = (unserved < bounds[0]) & (unserved > bounds[1])
        assert inside.any()


@pytest.mark.parametrize(("q", "p"), [(0.12, 0.3), (0.3, 0.12), (0.65, 0.9)])
def test_months_with_and_without_the_service_have_their_joint_law(q, p):
    # whatever the number of people in a month: both counts are quantiles of one uniform
    plan = compile_plan(load(SCENARIOS / "augsburg.yaml"))
    outcome = plan.outcomes[0]
    shared = Simulation(plan, 1, ["as signed"], sampling="sobol", suits=())
    values, _ = shared.values(0, 4096)
    values[:] = values[0]
    values[:, outcome["level_at"]], values[:, outcome["effect_at"]] = q, p - q
    values[:, outcome["after_at"]] = 9.0  # all of them in time
    out = shared.outcomes(0, values)[0]
    people = out.people[0]
    for n in np.unique(people):
        counts = out.counts[:, 0, people == n, :2].astype(int).reshape(-1, 2)
        seen = np.zeros((n + 1, n + 1))
        np.add.at(seen, tuple(counts.T), 1.0)
        one, other = (np.concatenate([[0.0], stats.binom(n, chance_).cdf(range(n + 1))]) for chance_ in (p, q))
        joint = np.minimum.outer(one[1:], other[1:]) - np.maximum.outer(one[:-1], other[:-1])
        alone = np.outer(np.diff(one), np.diff(other))
        bound = stats.chi2.isf(1e-6, (joint > 1e-3).sum())  # months share an even total: there is less chance in them
        for law, agree in ((np.maximum(joint, 0.0), True), (alone, False)):
            often = law > 1e-3
            expected = len(counts) * law[often]
            assert (((seen[often] - expected) ** 2 / expected).sum() < bound) == agree
        assert seen[joint <= 0.0].sum() == 0


def test_deadweight_is_the_same_under_both():
    deal = load(SCENARIOS / "augsburg.yaml")
    one, other = (
        simulate(deal, 100_000, 1, ["as signed"], sampling=each)["as signed"].payer.deadweight_share
        for each in ("plain", "sobol")
    )
    assert abs(one.value - other.value) < 4.5 * math.hypot(one.standard_error, other.standard_error)
