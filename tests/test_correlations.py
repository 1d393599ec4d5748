"""Rank correlations between named quantities: what they give, what they leave alone, and what cannot be."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from simulator import copula, parameters
from simulator.dealfile import loads, paths, show
from simulator.plan import compile_plan
from simulator.run import simulate
from simulator.schema import schema
from simulator.yamlfile import DealError

DRAWS = 100_000

DEAL = """\
deal: a small one
time: {start: 2020-01, horizon: 4 years}
quantities:
  level: uniform(20%, 40%)
  growth: 10% ± 4%
  unit cost: gamma(mean 900, sd 300)
  set-up cost: lognormal(mean 5000, sd 2500)
  turnout: beta(mean 80%, sd 8%)
cohorts:
  one: {people: 100, referred: 2020-01 to 2020-06, referrals: turnout}
outcomes:
  jobs: {without_service: level, effect: growth, known_after: 6 months}
costs: {set_up: set-up cost, delivery: unit cost per person}
structures:
  card: {rate_card: {jobs: 2000}}
  other: {rate_card: {jobs: 3000}}
"""
NAMES = ("level", "growth", "unit cost", "set-up cost", "turnout")


def deal_with(*pairs, text=DEAL, sets=()):
    rows = "".join(f"  - {{between: [{one}, {other}], rank: {rank}}}\n" for one, other, rank in pairs)
    return loads(f"{text}correlations:\n{rows}" if rows else text, "deal.yaml", sets)


def drawn(deal, start=0, number=DRAWS, seed=7):
    """Columns of a run by path, with the uniforms' names for named quantities."""
    plan = compile_plan(deal)
    rows, clamped = parameters.values(plan, parameters.keys_of(plan, seed), start, number)
    assert not clamped
    named = {each.address[1]: rows[:, i] for i, each in enumerate(plan.columns) if each.address[0] == "quantities"}
    return named, rows


def complaints(*pairs, text=DEAL):
    with pytest.raises(DealError) as error:
        deal_with(*pairs, text=text)
    return [str(each) for each in error.value.problems]


# ------------------------------------------------------------------------------------------------ what they give

STATED = {
    ("level", "growth"): -0.3,
    ("growth", "unit cost"): 0.6,
    ("level", "set-up cost"): 0.25,
    ("unit cost", "set-up cost"): 0.5,
}


def test_ranks_correlate_as_stated_and_by_nothing_where_nothing_is_stated():
    """At 100,000 draws the standard error is at most 0.0032: four of them. Without the conversion of rank to normal
    correlation, 0.6 would give 0.583 and fail."""
    named, _ = drawn(deal_with(*((*pair, rank) for pair, rank in STATED.items())))
    for one, other in combinations(NAMES, 2):
        rank = STATED.get((one, other), 0.0)
        found = stats.spearmanr(named[one], named[other]).statistic
        assert found == pytest.approx(rank, abs=4.0 / math.sqrt(DRAWS))
    assert abs(6.0 / math.pi * math.asin(0.6 / 2.0) - 0.6) > 4.0 / math.sqrt(DRAWS)


@pytest.mark.parametrize("rank", ["-99%", "-50%", "40%", 0.95])
def test_one_pair_has_its_rank(rank):
    named, _ = drawn(deal_with(("level", "turnout", rank)))
    stated = float(rank.rstrip("%")) / 100 if isinstance(rank, str) else rank
    error = 1.5 * (1.0 - stated**2) / math.sqrt(DRAWS)
    assert stats.spearmanr(named["level"], named["turnout"]).statistic == pytest.approx(stated, abs=4.0 * error)


def test_each_quantity_keeps_its_own_distribution():
    """Kolmogorov and Smirnov on the uniforms behind the values; the control is a distribution one per cent wider."""
    deal = deal_with(*((*pair, rank) for pair, rank in STATED.items()))
    named, _ = drawn(deal)
    for column in compile_plan(deal).columns:
        if column.address[0] != "quantities":
            continue
        values = named[column.address[1]]
        u = (np.arange(2_000) + 0.5) / 2_000
        at = np.searchsorted(np.sort(values), column.quantity.quantile(u)) / DRAWS
        assert np.max(np.abs(at - u)) < 1.95 / math.sqrt(DRAWS)  # p = 0.001
        mean = column.quantity.mean()
        wider = np.searchsorted(np.sort(mean + 1.04 * (values - mean)), column.quantity.quantile(u)) / DRAWS
        assert np.max(np.abs(wider - u)) > 1.95 / math.sqrt(DRAWS)


def test_they_move_the_variance_of_what_they_enter():
    """Variance of the sum of two correlated costs, against the formula for normal quantities."""
    text = DEAL.replace("gamma(mean 900, sd 300)", "normal(mean 900, sd 30)")
    text = text.replace("lognormal(mean 5000, sd 2500)", "normal(mean 5000, sd 40)")
    named, _ = drawn(deal_with(("unit cost", "set-up cost", 0.7), text=text))
    r = copula.normal_correlation(0.7)
    found = np.std(named["unit cost"] + named["set-up cost"])
    assert found == pytest.approx(math.sqrt(900 + 1600 + 2 * r * 1200), rel=0.01)
    assert found != pytest.approx(50.0, rel=0.1)


# ---------------------------------------------------------------------------------------------- what they leave


def test_quantities_outside_a_group_and_the_first_of_it_do_not_move_by_a_bit():
    plain, before = drawn(deal_with())
    named, after = drawn(deal_with(("unit cost", "growth", 0.5)))
    for name in ("level", "growth", "set-up cost", "turnout"):  # growth is the first of its group in the file
        assert np.array_equal(plain[name], named[name])
    assert not np.array_equal(plain["unit cost"], named["unit cost"])
    assert np.sum(np.any(before != after, axis=0)) == 2  # the cost of each of two structures


def test_a_rank_of_nothing_changes_no_draw():
    _, plain = drawn(deal_with())
    _, none = drawn(deal_with(("level", "growth", 0), ("growth", "unit cost", "0%")))
    assert np.array_equal(plain, none)


def test_an_uncorrelated_quantity_and_another_pair_move_no_draw():
    pair = ("unit cost", "growth", 0.5)
    named, _ = drawn(deal_with(pair))
    longer = DEAL.replace("quantities:\n", "quantities:\n  price: uniform(1000, 3000)\n").replace(
        "jobs: 2000", "jobs: price"
    )
    for deal in (deal_with(pair, text=longer), deal_with(("turnout", "level", -0.4), pair)):
        again, _ = drawn(deal)
        assert all(np.array_equal(again[name], named[name]) for name in ("growth", "unit cost", "set-up cost"))


def test_chunks_give_the_bits_of_the_whole():
    deal = deal_with(*((*pair, rank) for pair, rank in STATED.items()))
    _, whole = drawn(deal, 0, 1_000)
    for size in (1, 7, 333):
        parts = [drawn(deal, start, min(size, 1_000 - start))[1] for start in range(0, 1_000, size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_runs_are_the_same_for_any_number_of_threads_and_feel_the_correlation():
    deal = deal_with(("level", "turnout", 0.9))
    one, two = (simulate(deal, draws=20_000, seed=3, threads=threads)["card"] for threads in (1, 2))
    assert one.payments == two.payments
    apart = simulate(deal_with(), draws=20_000, seed=3)["card"]
    assert one.payments.sd > 1.05 * apart.payments.sd  # standard error of a ratio of sds: 0.7%


def test_both_structures_draw_the_same_cost():
    deal = deal_with(("level", "unit cost", 0.9))
    plan = compile_plan(deal)
    _, rows = drawn(deal, number=100)
    same = [i for i, each in enumerate(plan.columns) if each.address == ("quantities", "unit cost")]
    assert len(same) == 2
    assert np.array_equal(rows[:, same[0]], rows[:, same[1]])


# --------------------------------------------------------------------------------------------- what cannot be


def test_each_mistake_is_told_at_its_place():
    rows = [
        ("level", "growht", 0.2),
        ("turnout", "turnout", 0.2),
        ("level", "growth", 0.2),
        ("growth", "level", 0.3),
        ("people", "level", 0.3),
    ]
    found = complaints(*rows)
    first = DEAL.count("\n") + 2
    assert found == [
        f"deal.yaml:{first}:23 correlations.0.between.1: no quantity is called 'growht'; did you mean 'growth'?",
        f"deal.yaml:{first + 1}:15 correlations.1.between: 'turnout' is paired with itself; "
        "allowed: two different names",
        f"deal.yaml:{first + 3}:15 correlations.3.between: is a pair already, with 20%; allowed: pairs listed once",
        f"deal.yaml:{first + 4}:16 correlations.4.between.0: no quantity is called 'people'; "
        "allowed: level, growth, unit cost, set-up cost, turnout",
    ]


@pytest.mark.parametrize(
    "rank", ["100%", -1, 1.5, "99.99999999%", "40", "normal(mean 10%, sd 4%)", "level", "true", "[1]", "''"]
)
def test_a_rank_that_is_no_fixed_share_within_one_is_refused(rank):
    (found,) = complaints(("level", "growth", rank))
    assert found.startswith(f"deal.yaml:{DEAL.count(chr(10)) + 2}:")
    assert " correlations.0.rank: " in found
    assert rank == "''" or "is no rank correlation; allowed: a fixed share above -100% and below 100%" in found


@pytest.mark.parametrize("between", ["level", "[level]", "[level, growth, turnout]", "[level, 2]", "{level: growth}"])
def test_what_is_no_pair_is_refused(between):
    with pytest.raises(DealError) as error:
        loads(f"{DEAL}correlations:\n  - between: {between}\n    rank: 20%\n", "deal.yaml")
    (found,) = error.value.problems
    assert "correlations.0.between" in str(found)
    assert "allowed: [NAME, NAME]" in str(found)


def test_fixed_quantities_correlate_with_nothing():
    text = DEAL.replace("uniform(20%, 40%)", "30%")
    (found,) = complaints(("level", "growth", 0.2), text=text)
    assert "correlations.0.between.0: 'level' is fixed and moves with nothing" in found
    # but one that is fixed on the command line only loses its pairs, and others draw by their own luck
    deal = deal_with(("level", "growth", 0.2), ("turnout", "growth", 0.1), sets=["quantities.level=30%"])
    assert [each.between for each in deal.correlations] == [["turnout", "growth"]]
    assert loads(show(deal)) == deal


def test_an_impossible_triple_names_its_ranks_and_what_would_do():
    (found,) = complaints(
        ("level", "growth", 0.9), ("growth", "turnout", 0.9), ("unit cost", "level", 0.2), ("turnout", "level", -0.9)
    )
    assert (
        "correlations.3.rank: -90% cannot go with 90% between level and growth, 90% between growth and turnout;"
        in found
    )
    low = float(found.split("allowed here: ")[1].split("%")[0]) / 100
    deal_with(("level", "growth", 0.9), ("growth", "turnout", 0.9), ("turnout", "level", low))
    (again,) = complaints(("level", "growth", 0.9), ("growth", "turnout", 0.9), ("turnout", "level", low - 0.002))
    assert "allowed here" in again


def test_pairs_that_are_not_listed_count_as_nothing():
    (found,) = complaints(("level", "growth", 0.8), ("growth", "turnout", 0.8))
    assert "80% cannot go with 80% between level and growth, 0% between pairs that are not listed" in found
    assert "allowed here: -56.3% to 56.3%" in found
    deal_with(("level", "growth", 0.8), ("growth", "turnout", 0.563))


def test_a_clash_is_cut_down_to_what_clashes():
    ranks = {frozenset(pair): rank for pair, rank in STATED.items()}
    assert copula.factor(NAMES[:4], ranks) is not None
    ranks[frozenset({"turnout", "growth"})] = 0.9
    ranks[frozenset({"turnout", "unit cost"})] = -0.8
    assert copula.factor(NAMES, ranks) is None
    assert set(copula.clash(NAMES, ranks)) == {"growth", "unit cost", "turnout"}


def test_the_factor_is_that_of_the_matrix():
    ranks = {frozenset(pair): rank for pair, rank in STATED.items()}
    rows = copula.factor(NAMES, ranks)
    lower = np.array([row + [0.0] * (5 - len(row)) for row in rows])
    wanted = np.array(
        [
            [1.0 if a == b else copula.normal_correlation(ranks.get(frozenset({a, b}), 0.0)) for b in NAMES]
            for a in NAMES
        ]
    )
    np.testing.assert_allclose(lower @ lower.T, wanted, atol=1e-15)
    assert copula.groups(NAMES, ranks) == [["level", "growth", "unit cost", "set-up cost"]]
    assert copula.rank_correlation(copula.normal_correlation(0.37)) == pytest.approx(0.37, rel=1e-15)


# ----------------------------------------------------------------------------------------------------- the file


def test_what_is_shown_reads_back_as_the_same_deal():
    deal = deal_with(("level", "growth", "-30%"), ("turnout", "unit cost", 0.123456789))
    assert "rank: -0.3" in show(deal)
    assert loads(show(deal)) == deal
    assert np.array_equal(drawn(loads(show(deal)), number=50)[1], drawn(deal, number=50)[1])


def test_a_rank_can_be_set_by_its_path():
    deal = deal_with(("level", "growth", "-30%"), sets=["correlations.0.rank=55%"])
    assert deal.correlations[0].rank == 0.55
    assert ("correlations", 0, "rank") in [path for path, _, _ in paths(deal)]


def test_luck_only_leaves_no_pair_whose_quantity_is_gone():
    deal = deal_with(("turnout", "level", 0.5), ("level", "growth", 0.2), sets=["luck_only=true"])
    assert [each.between for each in deal.correlations] == [["level", "growth"]]
    assert loads(show(deal)) == deal


def test_the_schema_knows_pairs():
    made = schema()
    pair = made["$defs"]["RankCorrelation"]["properties"]
    assert pair["between"]["minItems"] == pair["between"]["maxItems"] == 2
    assert made["properties"]["correlations"]["items"]["$ref"].endswith("RankCorrelation")
