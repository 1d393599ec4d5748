"""Every kind of outcome, and everything that moves one, against a closed form, in both engines.

Each case states what the closed form is and a *wrong form* that somebody might have written instead. A found moment is
accepted within 4.5 standard errors (of a variance: from the fourth moment) and the wrong form must fail the same check.
At 40,000 draws of totals (10,000 by people) a mean that is off by 7% of a standard deviation, or a variance off by 14%
(of a normal), is found with 99%; the seeds are fixed.
"""

from math import sqrt

import numpy as np
import pytest
from closeness import LIMIT, Sample, is_close
from scipy.stats import betabinom, chisquare

from simulator import parameters
from simulator.dealfile import loads
from simulator.outcomes import BASELINE, BEFORE, TRUE, VERIFIED, WITHOUT
from simulator.plan import compile_plan
from simulator.run import BLOCK, Simulation, simulate
from simulator.yamlfile import dump

DRAWS = {"aggregate": 40_000, "people": 10_000}
WHICH = {"true": TRUE, "without": WITHOUT, "verified": VERIFIED, "before": BEFORE}
N = 40
ENGINES = pytest.mark.parametrize("engine", DRAWS)


def deal_of(outcomes, engine="aggregate", cohorts=None, **more):
    """A deal whose only structure pays for the first outcome."""
    first = next(iter(outcomes))
    step = next(iter(outcomes[first].get("steps", {first: 0})))
    data = {
        "deal": "kinds",
        "engine": engine,
        "time": {"start": "2020-01", "step": "quarter", "horizon": "12 years"},
        "cohorts": cohorts or {"all": {"people": N, "referred": "2020-01 to 2020-12"}},
        "outcomes": outcomes,
        "structures": {"only": {"pays": {"each": {"for": "each cohort", "amount": {"price": 1, "times": step}}}}},
    }
    return loads(dump(data | more))


def drawn(deal, seed=5, draws=None):
    """Totals [draws, cohorts] of each outcome by what is asked for; and the comparison arms and baselines."""
    plan = compile_plan(deal)
    shared = Simulation(plan, seed, [])
    draws = draws or DRAWS["people" if plan.people else "aggregate"]
    counts, arms = [], []
    cohort = np.array([block["cohort"] for block in plan.blocks])
    for start in range(0, draws, BLOCK):
        values, _ = parameters.values(plan, shared.value_keys, start, min(BLOCK, draws - start))
        out, *_ = shared.outcomes(start, values)
        by_cohort = [out.counts[:, :, cohort == c].sum(axis=2) for c in range(len(plan.cohort_names))]
        counts.append(np.stack(by_cohort, axis=2))
        arms.append(out.arms.copy())
    counts, arms = np.concatenate(counts), np.concatenate(arms)
    found = {name: {key: counts[:, o, :, i] for key, i in WHICH.items()} for o, name in enumerate(plan.outcome_names)}
    return found, {name: arms[:, o] for o, name in enumerate(plan.outcome_names)}


def z_mean(values, mean):
    """Z of a mean, its error from the sample."""
    return (values.mean() - mean) / (values.std() / sqrt(values.size))


def z_variance(values, variance):
    """Z of a variance, its error from the fourth moment."""
    sample = Sample.of(values)
    return (sample.variance - variance) / sample.error_of_variance


def z_covariance(one, other, covariance):
    """Z of a covariance."""
    products = (one - one.mean()) * (other - other.mean())
    return (products.mean() - covariance) / (products.std() / sqrt(products.size))


def fits(z):
    """Within the limit; a wrong form is to be well outside it."""
    return is_close(z)


# -- Amounts and scores --------------------------------------------------------------------------------------------

DAYS = {"counts": "amount", "unit": "days", "without_service": 120, "any": "40%", "spread": 90}


@ENGINES
def test_an_amount_has_the_variance_of_a_compound(engine):
    """Var = n (any (s2 + mu2) - m2) with mu = m / any; the wrong form forgets those who have none."""
    found, _ = drawn(deal_of({"days": DAYS | {"effect": "-25%"}}, engine))
    for key, m, s in (("without", 120.0, 90.0), ("true", 90.0, 67.5)):
        values, mu = found["days"][key][:, 0], m / 0.4
        assert fits(z_mean(values, N * m))
        assert fits(z_variance(values, N * (0.4 * (s * s + mu * mu) - m * m)))
        assert not fits(z_variance(values, N * 0.4 * s * s))


@ENGINES
def test_an_amount_that_nobody_has_without_the_service_is_spread_as_much_with_it(engine):
    wages = {"counts": "amount", "without_service": 0, "effect": 120, "effect_as": "units", "spread": 90}
    found, _ = drawn(deal_of({"wages": wages | {"any": "40%"}}, engine))
    assert not found["wages"]["without"].any()
    values = found["wages"]["true"][:, 0]
    assert fits(z_mean(values, N * 120.0))
    assert fits(z_variance(values, N * (0.4 * (8100.0 + 300.0**2) - 120.0**2)))
    assert not fits(z_variance(values, N * (0.4 * 300.0**2 - 120.0**2)))  # no spread at all


@ENGINES
def test_an_amount_of_nobody_and_of_one(engine):
    cohorts = {
        "none": {"people": 0, "referred": "2020-01"},
        "one": {"people": 1, "referred": "2020-01"},
    }
    found, _ = drawn(deal_of({"days": DAYS}, engine, cohorts))
    assert not found["days"]["true"][:, 0].any()
    some = found["days"]["true"][:, 1] > 0
    assert fits((some.mean() - 0.4) / sqrt(0.24 / some.size))
    assert fits(z_mean(found["days"]["true"][some, 1], 300.0))
    assert fits(z_variance(found["days"]["true"][some, 1], 8100.0))


@ENGINES
def test_evidence_of_an_amount_is_missing_for_some_of_the_people(engine):
    found, _ = drawn(deal_of({"days": DAYS | {"evidence": {"missing": "30%"}}}, engine))
    assert fits(z_mean(found["days"]["verified"][:, 0], 0.7 * N * 120))
    assert not fits(z_mean(found["days"]["verified"][:, 0], N * 120))


WELLBEING = {"counts": "score", "without_service": -4, "spread": 10, "effect": 3, "effect_as": "units"}


@ENGINES
def test_a_score_is_normal_and_may_be_negative(engine):
    found, _ = drawn(deal_of({"wellbeing": WELLBEING}, engine))
    values = found["wellbeing"]
    assert fits(z_mean(values["without"][:, 0], -4 * N))
    assert fits(z_mean(values["true"][:, 0], -1 * N))
    assert fits(z_variance(values["true"][:, 0], 100 * N))
    assert not fits(z_variance(values["true"][:, 0], 100 * N * N))
    assert np.allclose(values["true"] - values["without"], 3 * N)
    assert values["true"].min() < 0 < values["true"].max()


# -- Before and after, and regression to the mean ------------------------------------------------------------------


@ENGINES
def test_people_return_towards_what_is_normal_for_them(engine):
    """The mean change without any effect is (1 - r)(normal - before); its variance is n s2 (2 - 2 r)."""
    before = {"level": -4, "normal_level": 6, "persistence": "60%"}
    found, _ = drawn(deal_of({"wellbeing": WELLBEING | {"before": before}}, engine))
    change = found["wellbeing"]["without"][:, 0] - found["wellbeing"]["before"][:, 0]
    assert fits(z_mean(change, N * 0.4 * 10))
    assert not fits(z_mean(change, 0.0)), "as if there was no regression to the mean"
    assert fits(z_variance(change, N * 100 * (2 - 1.2)))
    assert not fits(z_variance(change, N * 100 * 2)), "as if before and after were independent"


@ENGINES
def test_events_before_and_after_return_too(engine):
    events = {"counts": "events", "better": "fewer", "without_service": 2.0}
    before = {"level": 2.0, "normal_level": 1.2, "persistence": "25%"}
    found, _ = drawn(deal_of({"arrests": events | {"before": before}}, engine))
    assert fits(z_mean(found["arrests"]["before"][:, 0], 2.0 * N))
    assert fits(z_mean(found["arrests"]["true"][:, 0], (2.0 - 0.75 * 0.8) * N))
    assert not fits(z_mean(found["arrests"]["true"][:, 0], 2.0 * N))


def test_a_before_and_after_measure_pays_for_mere_return():
    outcome = WELLBEING | {"effect": 0, "before": {"level": -4, "normal_level": 6, "persistence": "60%"}}
    deal = deal_of(
        {"wellbeing": outcome},
        measures={"change": {"increase_in": "wellbeing", "against": "before", "as": "per person"}},
        structures={
            "only": {
                "pays": {"better": {"for": "each cohort", "when": {"change": "at least 3"}, "amount": {"lump_sum": 1}}}
            }
        },
    )
    probability = simulate(deal, 4096).to_dict()["structures"]["only"]["triggers"]["better"]["probability"]
    # the change a person is normal with mean 4 and variance 80 / 40
    assert abs(probability - 0.76025) < LIMIT * sqrt(0.76 * 0.24 / 4096)


# -- Nested outcomes -----------------------------------------------------------------------------------------------


@ENGINES
def test_an_outcome_of_those_who_had_another_is_theirs_alone(engine):
    """Cov(X, Y) = n p q (1 - p) for Y among X; the wrong form has them independent."""
    outcomes = {
        "job": {"without_service": "50%"},
        "good job": {"without_service": "30%", "of_those": "job"},
        "wages": {"counts": "amount", "without_service": 200, "spread": 50, "of_those": "job"},
    }
    found, _ = drawn(deal_of(outcomes, engine))
    job, good, wages = (found[name]["true"][:, 0] for name in outcomes)
    assert (good <= job).all()
    assert fits(z_mean(good, N * 0.15))
    assert fits(z_variance(good, N * 0.15 * 0.85))
    assert fits(z_covariance(job, good, N * 0.15 * 0.5))
    assert not fits(z_covariance(job, good, 0.0))
    assert fits(z_mean(wages, N * 0.5 * 200))
    assert fits(z_variance(wages, N * 0.5 * (2500 + 200 * 200 * 0.5)))


# -- Segments ------------------------------------------------------------------------------------------------------


@ENGINES
def test_segments_of_unlike_risk_make_outcomes_move_together(engine):
    """Cov(X, Y) = n (sum of shares p_s q_s - p q); without segments it is 0."""
    outcomes = {
        "job": {"without_service": "40%"},
        "home": {"without_service": "60%"},
        "arrests": {"counts": "events", "without_service": 1.0},
    }
    segments = {
        "high risk": {"share": "30%", "levels": {"job": 0.5, "home": 0.5, "arrests": 3}},
        "low risk": {"levels": {"job": 1.5, "home": 1.25}},
    }
    found, _ = drawn(deal_of(outcomes, engine, segments=segments))
    job, home, arrests = (found[name]["true"][:, 0] for name in outcomes)
    p, q = 0.3 * 0.2 + 0.7 * 0.6, 0.3 * 0.3 + 0.7 * 0.75
    assert fits(z_mean(job, N * p))
    assert fits(z_mean(home, N * q))
    both = 0.3 * 0.2 * 0.3 + 0.7 * 0.6 * 0.75
    assert fits(z_covariance(job, home, N * (both - p * q)))
    assert not fits(z_covariance(job, home, 0.0))
    assert fits(z_mean(arrests, N * 1.6))
    assert fits(z_variance(arrests, N * (1.6 + 0.21 * 4.0)))  # the mixture of two Poisson laws
    assert not fits(z_variance(arrests, N * 1.6))


@ENGINES
def test_an_effect_may_be_that_of_some_people_only(engine):
    segments = {"reached": {"share": "25%", "effects": {"job": 2}}, "not reached": {"effects": {"job": 0}}}
    found, _ = drawn(deal_of({"job": {"without_service": "40%", "effect": "50%"}}, engine, segments=segments))
    assert fits(z_mean(found["job"]["true"][:, 0], N * (0.25 * 0.8 + 0.75 * 0.4)))
    assert not fits(z_mean(found["job"]["true"][:, 0], N * 0.6))


# -- Cohorts that are not alike ------------------------------------------------------------------------------------


@ENGINES
def test_cohorts_that_are_not_alike_make_totals_beta_binomial(engine):
    cv, p = 0.4, 0.3
    rho = cv * cv * p / (1 - p)
    found, _ = drawn(deal_of({"job": {"without_service": "30%", "between_cohorts": "40%"}}, engine))
    values = found["job"]["true"][:, 0]
    law = betabinom(N, p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho)
    assert law.var() == pytest.approx(N * p * (1 - p) * (1 + (N - 1) * rho))
    assert fits(z_variance(values, law.var()))
    assert not fits(z_variance(values, N * p * (1 - p))), "as if all cohorts were alike"
    expected = law.pmf(np.arange(N + 1)) * values.size
    bins = np.r_[0, np.flatnonzero(np.cumsum(expected) > 40)[0] + np.arange(1, 25), N + 1]
    seen = np.histogram(values, bins=bins)[0]
    assert chisquare(seen, np.add.reduceat(expected, bins[:-1])).pvalue > 1e-5


@ENGINES
def test_nobody_varies_from_cohort_to_cohort(engine):
    cohorts = {"none": {"people": 0, "referred": "2020-01"}, "one": {"people": 1, "referred": "2020-01"}}
    moving = {"between_cohorts": "20%", "clusters": {"size": 5, "icc": "50%"}}
    found, _ = drawn(deal_of({name: each | moving for name, each in KINDS.items()}, engine, cohorts), draws=2000)
    for name, each in found.items():
        assert not each["true"][:, 0].any(), name
        assert each["true"][:, 1].any(), name


VARIABLE = {
    "events": ({"counts": "events", "without_service": 1.5, "dispersion": 0.7}, 1.5 + 1.5**2 / 0.7, 1.5),
    "amount": (DAYS, 0.4 * (8100 + 90000) - 14400, 120.0),
    "score": (WELLBEING | {"effect": 0}, 100.0, None),
}


@ENGINES
@pytest.mark.parametrize("kind", VARIABLE)
def test_cohorts_that_are_not_alike_add_to_the_variance_of_any_total(kind, engine):
    outcome, one, level = VARIABLE[kind]
    found, _ = drawn(deal_of({"x": outcome | {"between_cohorts": "30%"}}, engine))
    variance = N * one + N * N * 0.09 * (100.0 if level is None else level * level)
    if kind == "events":
        variance += N * 0.09 * level * level / 0.7  # the factor is squared in the variance of a person
    if kind == "amount":
        variance += N * one * 0.09
    assert fits(z_variance(found["x"]["true"][:, 0], variance))
    assert not fits(z_variance(found["x"]["true"][:, 0], N * one))


CLUSTERED = {"yes or no": ({"without_service": "30%"}, 0.21), **{k: (o, v) for k, (o, v, _) in VARIABLE.items()}}


@ENGINES
@pytest.mark.parametrize("kind", CLUSTERED)
def test_clusters_multiply_the_variance_by_the_design_effect(kind, engine):
    """1 + (m - 1) icc (1 - R2), of any kind of outcome."""
    outcome, one = CLUSTERED[kind]
    clusters = {"size": 8, "icc": "10%", "explained": "25%"}
    found, _ = drawn(deal_of({"x": outcome | {"clusters": clusters}}, engine))
    assert fits(z_variance(found["x"]["true"][:, 0], N * one * (1 + 7 * 0.1 * 0.75)))
    assert not fits(z_variance(found["x"]["true"][:, 0], N * one))


@pytest.mark.parametrize(("effect", "served"), [("100%", 3.0), ("0%", 1.5)])
def test_each_cohort_and_each_level_has_the_spread_of_its_own(effect, served):
    """What clusters add depends on the level, which the service moves; the luck of two cohorts is not the same."""
    clusters = {"size": 8, "icc": "10%", "explained": "25%"}
    outcome = {"counts": "events", "without_service": 1.5, "dispersion": 0.7, "effect": effect, "clusters": clusters}
    two = {f"cohort {i}": {"people": N, "referred": f"{2020 + i}-01 to {2020 + i}-12"} for i in range(2)}
    found, _ = drawn(deal_of({"x": outcome}, cohorts=two))
    for key, level in (("true", served), ("without", 1.5)):
        values, variance = found["x"][key], N * (level + level**2 / 0.7) * (1 + 7 * 0.1 * 0.75)
        for cohort in range(2):
            assert fits(z_mean(values[:, cohort], N * level))
            assert fits(z_variance(values[:, cohort], variance))
        assert fits(z_covariance(values[:, 0], values[:, 1], 0.0))
        assert not fits(z_covariance(values[:, 0], values[:, 1], 0.2 * variance))


def test_a_comparison_arm_has_clusters_of_its_own():
    outcome = {"without_service": "30%", "clusters": {"size": 20, "icc": "5%"}, "comparison_arm": {"people": 100}}
    found, arms = drawn(deal_of({"x": outcome}))
    arm = arms["x"][:, 0, 0]
    assert fits(z_variance(arm, 100 * 0.21 * (1 + 19 * 0.05)))
    assert not fits(z_variance(arm, 100 * 0.21))
    assert fits(z_covariance(arm, found["x"]["true"][:, 0], 0.0))


# -- Time ----------------------------------------------------------------------------------------------------------

THREE = {f"year {i + 1}": {"people": N, "referred": f"{2020 + i}-01 to {2020 + i}-12"} for i in range(3)}


@ENGINES
def test_a_trend_moves_people_and_their_comparison_but_not_the_baseline(engine):
    outcome = {
        "counts": "events",
        "without_service": 2.0,
        "effect": "-10%",
        "trend": "-20% a year",
        "baseline": 2.0,
        "comparison_arm": {"people": "5 per person"},
    }
    found, arms = drawn(deal_of({"arrests": outcome}, engine, THREE))
    for year in range(3):
        level = 2.0 * 0.8 ** (year + 0.5)
        assert fits(z_mean(found["arrests"]["without"][:, year], N * level))
        assert fits(z_mean(found["arrests"]["true"][:, year], 0.9 * N * level))
        assert fits(z_mean(arms["arrests"][:, year, 0], 5 * N * level))
        assert not fits(z_mean(found["arrests"]["without"][:, year], N * 2.0))
        assert (arms["arrests"][:, year, BASELINE] == 2.0).all()


def test_a_trend_of_a_score_is_in_points():
    found, _ = drawn(deal_of({"wellbeing": WELLBEING | {"trend": "2 a year"}}, cohorts=THREE))
    for year in range(3):
        assert fits(z_mean(found["wellbeing"]["without"][:, year], N * (-4 + 2 * (year + 0.5))))


def test_a_shock_is_common_to_all_cohorts_and_to_the_comparison():
    outcome = {
        "counts": "events",
        "without_service": 2.0,
        "common_shock": "normal(mean 0%, sd 20%)",
        "comparison_arm": {"people": "1 per person"},
    }
    found, arms = drawn(deal_of({"arrests": outcome}, cohorts=THREE))
    ours = found["arrests"]["true"]
    shared = (N * 2.0 * 0.2) ** 2
    assert fits(z_covariance(ours[:, 0], ours[:, 2], shared))
    assert fits(z_covariance(ours[:, 0], arms["arrests"][:, 0, 0], shared))
    assert not fits(z_covariance(ours[:, 0], ours[:, 2], 0.0))


@ENGINES
def test_the_effect_grows_or_wears_off_from_cohort_to_cohort(engine):
    outcome = {"without_service": "30%", "effect": "80%", "learning": "-50%"}
    found, _ = drawn(deal_of({"job": outcome}, engine, THREE))
    for year, effect in enumerate((0.8, 0.4, 0.2)):
        assert fits(z_mean(found["job"]["true"][:, year], N * 0.3 * (1 + effect)))
        assert fits(z_mean(found["job"]["without"][:, year], N * 0.3))
    assert not fits(z_mean(found["job"]["true"][:, 2], N * 0.3 * 1.8))


@ENGINES
def test_those_who_leave_are_counted_at_the_level_without_the_service(engine):
    cohorts = {"all": {"people": N, "referred": "2020-01 to 2020-12", "attrition": "25%"}}
    outcomes = {
        "job": {"without_service": "30%", "effect": "20%", "effect_as": "units"},
        "home": {"steps": {"moved in": {"chance": "80%"}}, "without_service": {"first_step": "40%"}},
    }
    found, _ = drawn(deal_of(outcomes, engine, cohorts))
    assert fits(z_mean(found["job"]["true"][:, 0], N * 0.45))
    assert fits(z_mean(found["moved in"]["true"][:, 0], N * 0.7))
    assert not fits(z_mean(found["job"]["true"][:, 0], N * 0.5))


def test_a_baseline_that_resets_makes_good_a_share_of_the_gap_at_each_date():
    outcome = {
        "counts": "events",
        "without_service": 1.0,
        "trend": "-10% a year",
        "baseline": 2.0,
        "baseline_resets": {"every": "1 year", "share": "50%"},
    }
    _, arms = drawn(deal_of({"arrests": outcome}, cohorts=THREE), draws=10)
    first = 2.0 + 0.5 * (0.9 - 2.0)
    second = first + 0.5 * (0.81 - first)
    assert arms["arrests"][:, :, BASELINE] == pytest.approx(np.tile([2.0, first, second], (10, 1)))


def test_a_delay_moves_everything_that_is_known_later():
    outcomes = {
        "job": {"without_service": "30%", "known_after": "3 months", "delay": "6 months"},
        "home": {
            "steps": {"in": {"chance": "80%", "after": "3 months"}, "stays": {"chance": "80%", "after": "3 months"}}
        },
    }
    late = compile_plan(deal_of(outcomes))
    out, *_ = Simulation(late, 1, []).outcomes(0, late.expected[np.newaxis])
    assert out.when[0, :, 0].tolist() == [4 + 3, 4 + 1, 4 + 2]


# -- Neutral values ------------------------------------------------------------------------------------------------

NUISANCES = {
    "trend": "0% a year",
    "common_shock": "0%",
    "between_cohorts": "0%",
    "learning": "0%",
    "delay": "0 months",
    "clusters": {"size": 10, "icc": "0%"},
}
KINDS = {
    "job": {"without_service": "30%", "effect": "20%"},
    "arrests": {"counts": "events", "without_service": 1.2, "effect": "-20%", "dispersion": 1},
    "days": DAYS | {"effect": "-10%"},
    "wellbeing": WELLBEING,
    "home": {"steps": {"in": {"chance": "80%"}, "stays": {"chance": "60%"}}, "without_service": {"first_step": "50%"}},
}


@ENGINES
def test_neutral_values_change_nothing_to_the_last_bit(engine):
    cohorts = {"all": {"people": N, "referred": "2020-01 to 2020-12", "attrition": "0%"}}
    plain, _ = drawn(deal_of(KINDS, engine), draws=500)
    neutral, _ = drawn(deal_of({name: each | NUISANCES for name, each in KINDS.items()}, engine, cohorts), draws=500)
    for name, found in plain.items():
        for key in WHICH:
            assert (found[key] == neutral[name][key]).all(), (name, key)


def test_a_value_that_is_not_neutral_changes_something():
    """Negative control of the test above."""
    plain, _ = drawn(deal_of(KINDS), draws=500)
    for key, value in (("trend", "5% a year"), ("common_shock", "5%"), ("between_cohorts", "5%"), ("learning", "5%")):
        cohorts = {"all": {"people": N, "referred": "2020-01 to 2020-12"}, "next": {"people": N, "referred": "2021-01"}}
        moved, _ = drawn(deal_of({n: each | {key: value} for n, each in KINDS.items()}, cohorts=cohorts), draws=500)
        same, _ = drawn(deal_of(KINDS, cohorts=cohorts), draws=500)
        for name in plain:
            assert not np.array_equal(moved[name]["true"], same[name]["true"]) or name == "stays", (name, key)


@ENGINES
def test_without_an_effect_nothing_is_additional_in_any_draw(engine):
    outcomes = {
        name: {k: v for k, v in each.items() if k not in {"effect"} and not (name == "home" and k == "without_service")}
        for name, each in KINDS.items()
    }
    moving = {"trend": "3% a year", "between_cohorts": "10%", "clusters": {"size": 5, "icc": "5%"}, "learning": "10%"}
    outcomes = {name: each | moving for name, each in outcomes.items()}
    segments = {"a": {"share": "40%", "levels": {"job": 0.5, "days": 2}}, "b": {}}
    found, _ = drawn(deal_of(outcomes, engine, THREE, segments=segments, frailty_correlation="30%"), draws=2000)
    for name, each in found.items():
        assert (each["true"] == each["without"]).all(), name
    assert found["job"]["true"].any()


@pytest.mark.parametrize("name", ["job", "arrests", "days", "wellbeing", "home"])
def test_both_engines_agree_when_everything_moves_at_once(name):
    """Means and variances with and without the service, all nuisances and two segments at work; 1% power as above."""
    moving = {
        "trend": "3% a year",
        "common_shock": "0% ± 5%",
        "between_cohorts": "10%",
        "clusters": {"size": 5, "icc": "5%"},
        "learning": "10%",
    }
    outcome = KINDS[name] | moving
    segments = {"a": {"share": "40%", "levels": {name: 0.7}, "effects": {name: 0.5}}, "b": {}}
    made = {
        engine: drawn(deal_of({name: outcome}, engine, THREE, segments=segments, frailty_correlation="30%"))[0]
        for engine in DRAWS
    }
    for outcome_name, found in made["aggregate"].items():
        for key in ("true", "without", "verified"):
            for year in (0, 2):
                ours, theirs = (Sample.of(made[e][outcome_name][key][:, year]) for e in DRAWS)
                assert is_close(
                    (ours.mean - theirs.mean) / sqrt(ours.variance / ours.size + theirs.variance / theirs.size)
                )
                error = sqrt(ours.error_of_variance**2 + theirs.error_of_variance**2)
                assert is_close((ours.variance - theirs.variance) / error), (outcome_name, key, year)
        assert found["true"].any()
