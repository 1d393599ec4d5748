"""Runs against closed forms at 1,000,000 draws, and deals without chance against figures worked by hand.

Tolerance and power are those of `closeness`: within 4.5 standard errors, and what is off by 6.83 is found with
99%. For a chance of one half at 1,000,000 draws that is 0.0034, at the 250,000 of the slower deals 0.0068. Every check
of a distribution has a *negative control*: a figure that a wrong program would give must fail the same check, with
every seed.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from math import sqrt
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import numpy as np
import pytest
from closeness import Sample, is_close, z_of_mean, z_of_share, z_of_two_shares, z_of_variance
from scipy.stats import binom, nbinom, poisson

from simulator import ledger, parameters
from simulator.dealfile import load, loads
from simulator.plan import compile_plan
from simulator.run import BLOCK, Simulation, available_threads, simulate

DRAWS = 1_000_000
FEWER = 250_000
SEEDS = (1, 2, 3, 4, 5)
SCENARIOS = Path(__file__).parent.parent / "scenarios"

each_seed = pytest.mark.parametrize("seed", SEEDS)


def drawn(text, seed, draws=DRAWS):
    """Draw and settle a deal as `simulate` does, and keep payments, triggers and verified outcomes only."""
    plan = compile_plan(loads(text))
    shared = Simulation(plan, seed, list(plan.structure_names))

    def block(start):
        values, _ = parameters.values(plan, shared.value_keys, start, min(BLOCK, draws - start))
        out, stops, totals, capped = shared.outcomes(start, values)
        money, met = [], []
        for name in plan.structure_names:
            met.append(np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64))
            found, *_ = shared.settle(name, values, out, stops, capped, met[-1])
            money.append(found[:, ledger.PAYMENTS])
        return np.array(money), totals[:, :, 0].T.copy(), met

    with ThreadPoolExecutor(available_threads()) as pool:
        money, verified, met = zip(*pool.map(block, range(0, draws, BLOCK)), strict=True)
    chances = {}
    for name, counts in zip(plan.structure_names, map(sum, zip(*met, strict=True)), strict=True):
        for clause, row in zip(plan.clause_names[name], counts / draws, strict=True):
            chances[name, clause] = row[-1]
            chances |= {(name, clause, cohort): row[c] for c, cohort in enumerate(plan.cohort_names)}
    payments = dict(zip(plan.structure_names, np.concatenate(money, axis=1), strict=True))
    return SimpleNamespace(
        payments={name: Sample.of(values) for name, values in payments.items()},
        paid={name: np.count_nonzero(values) / draws for name, values in payments.items()},
        chances=chances,
        verified={
            name: Sample.of(values)
            for name, values in zip(plan.outcome_names, np.concatenate(verified, axis=1), strict=True)
        },
    )


# ---------------------------------------------------------------------------------------------------
# A group of 69: threshold, cards with and without caps, a fee
# ---------------------------------------------------------------------------------------------------

GROUP = """
deal: a group of 69
time: {start: 2020-01, step: year, horizon: 2 years}
cohorts:
  all: {people: 69, referred: 2020-01 to 2020-12}
outcomes:
  placed: {without_service: 20%, effect: 9%, effect_as: units}
structures:
  threshold:
    group_threshold: {outcome: placed, at_least: 20 people, pays: 250000}
  card:
    rate_card: {placed: 12500}
  within a limit:
    rate_card: {placed: 12500}
    at_most: {contract: 250000}
"""
PEOPLE, CHANCE, PRICE = 69, 0.29, 12_500


@lru_cache
def group(seed):
    return drawn(GROUP, seed)


@each_seed
def test_the_group_threshold_pays_with_the_binomial_tail(seed):
    found = group(seed).paid["threshold"]
    assert found == group(seed).chances["threshold", "group threshold"]
    assert is_close(z_of_share(found, binom.sf(19, PEOPLE, CHANCE), DRAWS))
    # negative controls: the tails for 21 and 19 people, 200 standard errors away
    assert not is_close(z_of_share(found, binom.sf(20, PEOPLE, CHANCE), DRAWS))
    assert not is_close(z_of_share(found, binom.sf(18, PEOPLE, CHANCE), DRAWS))


@each_seed
def test_an_uncapped_card_has_the_mean_and_the_variance_of_its_binomial(seed):
    money = group(seed).payments["card"]
    mean, variance = PEOPLE * CHANCE * PRICE, PEOPLE * CHANCE * (1 - CHANCE) * PRICE**2
    kurtosis = float(binom.stats(PEOPLE, CHANCE, moments="k"))
    assert is_close(z_of_mean(money, mean, variance))
    assert is_close(z_of_variance(money, variance, kurtosis))
    # negative controls: one person more or fewer, and the Poisson's variance
    for people in (PEOPLE - 1, PEOPLE + 1):
        assert not is_close(z_of_mean(money, people * CHANCE * PRICE, variance))
    assert not is_close(z_of_variance(money, PEOPLE * CHANCE * PRICE**2, kurtosis))


def moments_of(amounts, chances):
    mean = float(amounts @ chances)
    return mean, float((amounts - mean) ** 2 @ chances)


@each_seed
def test_a_card_within_a_contract_limit_has_the_exact_mean_over_the_binomial(seed):
    count = np.arange(PEOPLE + 1)
    chances = binom.pmf(count, PEOPLE, CHANCE)
    found = group(seed).payments["within a limit"]
    assert is_close(z_of_mean(found, *moments_of(np.minimum(count * PRICE, 250_000), chances)))
    assert found.high == 250_000
    # negative controls: a limit of one person more or fewer, and none
    for limit in (19 * PRICE, 21 * PRICE, PEOPLE * PRICE):
        assert not is_close(z_of_mean(found, *moments_of(np.minimum(count * PRICE, limit), chances)))


@each_seed
def test_what_is_reported_of_a_card_is_the_closed_form_and_its_standard_error(seed):
    result = simulate(loads(GROUP), draws=FEWER, seed=seed)
    variance = PEOPLE * CHANCE * (1 - CHANCE) * PRICE**2
    payments = result["card"].payments
    assert is_close((payments.mean - PEOPLE * CHANCE * PRICE) / payments.standard_error)
    assert payments.standard_error == pytest.approx(sqrt(variance / FEWER), rel=0.01)
    assert result["within a limit"].uncapped_payments.mean == pytest.approx(payments.mean, rel=1e-12)
    trigger = result["threshold"].triggers["any payment"]
    assert is_close((trigger.probability - binom.sf(19, PEOPLE, CHANCE)) / trigger.standard_error)
    assert trigger.standard_error == pytest.approx(sqrt(0.25 / FEWER), rel=0.02)
    # of 29 paid 20 would have been placed anyway; 29 are paid for 9 additional ones
    share = result["card"].payer.deadweight_share
    cost = result["card"].payer.cost_per_additional_outcome["placed"]
    assert is_close((share.value - 20 / 29) / share.standard_error)
    assert is_close((cost["value"] - PRICE * 29 / 9) / cost["standard_error"])
    # negative controls: additional people over those who would have been placed anyway; the cost of any outcome
    assert not is_close((share.value - 9 / 20) / share.standard_error)
    assert not is_close((cost["value"] - PRICE) / cost["standard_error"])


def test_draws_do_not_repeat_from_block_to_block():
    """Four blocks of draws: their parameters and their luck are all different."""
    deal = loads(GROUP.replace("effect: 9%, effect_as: units", "effect: uniform(0%, 100%)"))
    result = simulate(deal, draws=4 * BLOCK)
    blocks = result.draws("card")["payments"].reshape(4, BLOCK)
    assert not np.any([np.array_equal(blocks[0], blocks[i]) for i in (1, 2, 3)])
    # of a pair of draws with the same parameters or the same luck, the payments would be correlated
    for i in (1, 2, 3):
        assert is_close(np.corrcoef(blocks[0], blocks[i])[0, 1] * sqrt(BLOCK))


def test_without_an_effect_all_is_deadweight_and_an_additional_outcome_has_no_cost():
    result = simulate(loads(GROUP, sets=["outcomes.placed.effect=0"]), draws=20_000)
    for name in result.structures:
        assert result[name].payer.deadweight_share.value == pytest.approx(1, abs=1e-12)
        assert result[name].payer.cost_per_additional_outcome["placed"] is None
    # negative control
    payer = simulate(loads(GROUP), draws=20_000)["card"].payer
    assert payer.deadweight_share.value < 0.75
    assert payer.cost_per_additional_outcome["placed"] is not None


BLEND = """
deal: two outcomes in one number
time: {start: 2020-01, step: year, horizon: 4 years}
cohorts: {all: {people: 1m, referred: 2020-01 to 2020-12}}
outcomes:
  care: {counts: events, better: fewer, without_service: 0.3, effect: -24%, baseline: 0.4, known_after: 1 year}
  calls: {counts: events, better: fewer, without_service: 2.2, effect: -15%, baseline: 2.2, known_after: 1 year}
  school: {without_service: 30%, effect: 10%, effect_as: units, known_after: 1 year}
measures:
  care less: {reduction_in: care, against: baseline, as: share}
  calls less: {reduction_in: calls, against: baseline, as: per person, divided_by: 2.2}
  schooling: {share_of: school, no_less_than: 90%}
  performance: {sum_of: {WEIGHTS}}
payers: {city: 100%}
structures:
  one: {pays: {sum: {for: all cohorts that ran, when: {performance: at least 5%}, amount: {lump_sum: 1m}}}}
  two: {pays: {sum: {for: each cohort, amount: {price: 1m, times: performance}}}}
"""


@pytest.mark.parametrize("order", [1, -1])
def test_the_deadweight_of_a_sum_of_measures_is_that_of_its_parts_by_weight(order):
    weights = ["care less: 50%", "calls less: 30%", "schooling: 20%"][::order]
    result = simulate(loads(BLEND.replace("WEIGHTS", ", ".join(weights))), draws=200)
    care, calls = 0.3 * 0.24, 2.2 * 0.15
    additional = 0.5 * care / 0.4 + 0.3 * calls / 2.2 + 0.2 * 0.10
    counted = 0.5 * (0.1 + care) / 0.4 + 0.3 * calls / 2.2 + 0.2 * 0.40  # before limits: not 90% in school
    for name in result.structures:
        share = result[name].payer.deadweight_share
        assert is_close((share.value - (1 - additional / counted)) / share.standard_error)
        assert share.standard_error < 0.001
        # negative controls: the deadweight of a part
        assert not is_close((share.value - (1 - care / (0.1 + care))) / share.standard_error)
        assert not is_close((share.value - (1 - 0.10 / 0.40)) / share.standard_error)


# ---------------------------------------------------------------------------------------------------
# Milestones and evidence
# ---------------------------------------------------------------------------------------------------

CHAIN = """
deal: a chain, and evidence
time: {start: 2020-01, step: year, horizon: 1 year}
cohorts:
  all: {people: 200, referred: 2020-01 to 2020-12}
outcomes:
  work:
    steps:
      entry: {chance: 60%, evidence: {missing: 30%}}
      full time: {chance: 30%}
      part time: {chance: 25%, follows: entry, instead_of: full time}
  seen:
    without_service: 40%
    evidence: {missing: 20%, mistaken: 5%}
  nights:
    counts: events
    without_service: 1.5
    evidence: {missing: 20%, mistaken: 0.1}
structures:
  card: {rate_card: {full time: 4500}}
"""


@lru_cache
def chain(seed):
    return drawn(CHAIN, seed)


CHAIN_FORMS = {
    # structure: chance of each person, and chances that a wrong program would use
    "entry": (0.6 * 0.7, [0.6, 0.6 * 0.7**2, 0.6 * 0.3]),
    "full time": (0.6 * 0.3, [0.3, 0.6 * 0.7 * 0.3]),
    "part time": (0.6 * 0.7 * 0.25, [0.6 * 0.25, 0.6 * 0.3 * 0.25, 0.7 * 0.25]),
    "seen": (0.4 * 0.8 + 0.6 * 0.05, [0.4, 0.4 * 0.8, 0.4 * 0.8 + 0.05, 0.4 * 0.8**2 + 0.6 * 0.05]),
}


@each_seed
@pytest.mark.parametrize("name", CHAIN_FORMS)
def test_milestones_and_evidence_are_a_binomial_of_the_product_of_their_chances(name, seed):
    p, wrong = CHAIN_FORMS[name]
    found = chain(seed).verified[name]
    variance = 200 * p * (1 - p)
    assert is_close(z_of_mean(found, 200 * p, variance))
    assert is_close(z_of_variance(found, variance, float(binom.stats(200, p, moments="k"))))
    for q in wrong:
        assert not is_close(z_of_mean(found, 200 * q, 200 * q * (1 - q))), q


@each_seed
def test_a_card_on_a_milestone_costs_people_times_chances_times_price(seed):
    found = chain(seed).payments["card"]
    variance = 200 * 0.18 * 0.82 * 4500**2
    assert is_close(z_of_mean(found, 200 * 0.6 * 0.3 * 4500, variance))
    # negative control: one person more
    assert not is_close(z_of_mean(found, 201 * 0.6 * 0.3 * 4500, variance))


@each_seed
def test_events_with_evidence_are_a_thinned_poisson_and_mistaken_ones(seed):
    found = chain(seed).verified["nights"]
    mean = 200 * (1.5 * 0.8 + 0.1)
    assert is_close(z_of_mean(found, mean, mean))
    assert is_close(z_of_variance(found, mean, float(poisson.stats(mean, moments="k"))))
    for wrong in (200 * 1.5 * 0.8, 200 * 1.6 * 0.8, 200 * 1.5):
        assert not is_close(z_of_mean(found, wrong, wrong))


# ---------------------------------------------------------------------------------------------------
# Cohorts against a comparison arm
# ---------------------------------------------------------------------------------------------------

COHORTS = """
deal: three cohorts against ten controls for each man
time: {start: 2010-01, step: year, horizon: 4 years}
cohorts:
  cohort 1: {people: 1000, referred: 2010-01 to 2010-12}
  cohort 2: {people: 1000, referred: 2011-01 to 2011-12}
  cohort 3: {people: 1000, referred: 2012-01 to 2012-12}
outcomes:
  events:
    counts: events
    better: fewer
    without_service: 1.55
    dispersion: 0.69
    known_after: 12 months
    comparison_arm: {people: 10 per person}
measures:
  fewer events: {reduction_in: events, against: comparison_arm, as: share}
  events avoided: {reduction_in: events, against: comparison_arm, as: units}
structures:
  as signed:
    pays:
      each:
        for: each cohort
        when: {fewer events: at least 10%}
        amount: {price: 1, times: events avoided}
      pooled:
        for: all cohorts that ran
        unless: each
        when: {fewer events: at least 7.5%}
        amount: {price: 1, times: events avoided}
"""
LEVEL, SPREAD = 1.55, 0.69


@lru_cache
def cohorts(seed):
    return drawn(COHORTS, seed)


def negative_binomial(people, level=LEVEL, dispersion=SPREAD):
    """Events of so many people: each has variance m + m^2 / k, and k adds up."""
    size = people * dispersion
    return nbinom(size, size / (size + people * level))


@lru_cache
def chance_of_one_cohort(dispersion=SPREAD):
    """Exact chance that 1,000 men have at most nine hundredths of the events of their 10,000 controls."""
    arm = negative_binomial(10_000, dispersion=dispersion)
    theirs = np.arange(int(arm.ppf(1e-12)), int(arm.ppf(1 - 1e-12)) + 1)
    return float(arm.pmf(theirs) @ negative_binomial(1000, dispersion=dispersion).cdf(9 * theirs // 100))


@lru_cache(maxsize=1)
def independent_simulation(draws=1_000_000):
    """The same contract in a few lines of NumPy: chance of any payment, and of one by the pooled clause."""
    random = np.random.default_rng(20100901)

    def events(people):
        size = people * SPREAD
        return random.negative_binomial(size, size / (size + people * LEVEL), (3, draws))

    ours, theirs = events(1000), events(10_000)
    each = (100 * ours <= 9 * theirs).any(axis=0)  # at least 10% fewer than a tenth of the controls' events
    pooled = 1000 * ours.sum(axis=0) <= 925 * theirs.sum(axis=0) / 10
    return np.mean(each | pooled), np.mean(pooled & ~each), np.mean(pooled), draws


@each_seed
def test_with_no_effect_and_no_bias_the_pilot_pays_as_often_as_an_independent_simulation_says(seed):
    run = cohorts(seed)
    paid, by_pooling, pooled_alone, draws = independent_simulation()
    found = run.paid["as signed"]
    assert is_close(z_of_two_shares(found, DRAWS, paid, draws))
    assert found == pytest.approx(0.048, abs=0.001)
    assert is_close(z_of_two_shares(run.chances["as signed", "pooled"], DRAWS, by_pooling, draws))
    # negative controls: a contract of the pooled clause alone, and a pooled clause that looks at no cohort
    assert not is_close(z_of_two_shares(found, DRAWS, pooled_alone, draws))
    assert not is_close(z_of_two_shares(run.chances["as signed", "pooled"], DRAWS, pooled_alone, draws))


@each_seed
def test_a_single_cohort_is_paid_for_with_its_exact_chance(seed):
    run = cohorts(seed)
    for name in ("cohort 1", "cohort 2", "cohort 3"):
        found = run.chances["as signed", "each", name]
        assert is_close(z_of_share(found, chance_of_one_cohort(), DRAWS)), name
        # negative controls: dispersions of 0.6 and 0.8
        for wrong in (0.6, 0.8):
            assert not is_close(z_of_share(found, chance_of_one_cohort(wrong), DRAWS)), name
    # cohorts are independent given the parameters
    found = run.chances["as signed", "each"]
    assert is_close(z_of_share(found, 1 - (1 - chance_of_one_cohort()) ** 3, DRAWS))
    # negative control: three cohorts that share their luck
    assert not is_close(z_of_share(found, chance_of_one_cohort(), DRAWS))


@each_seed
def test_events_have_the_mean_and_the_variance_of_the_negative_binomial(seed):
    found = cohorts(seed).verified["events"]
    law = negative_binomial(3000)
    mean, variance = 3000 * LEVEL, 3000 * (LEVEL + LEVEL**2 / SPREAD)
    assert (mean, variance) == pytest.approx(law.stats("mv"))
    assert is_close(z_of_mean(found, mean, variance))
    assert is_close(z_of_variance(found, variance, float(law.stats("k"))))
    # negative controls: Poisson events, and a spread of 0.70
    assert not is_close(z_of_variance(found, mean, 0))
    assert not is_close(z_of_variance(found, 3000 * (LEVEL + LEVEL**2 / 0.70), 0))


ARM = """
deal: events avoided against an arm of finite size
time: {start: 2010-01, step: year, horizon: 1 year}
cohorts:
  all: {people: 1000, referred: 2010-01 to 2010-12}
outcomes:
  events:
    counts: events
    better: fewer
    without_service: 1.6
    effect: -50%
    dispersion: 0.7
    comparison_arm: {people: 2 per person, effective_share: 40%, shared_bias: 10%}
measures:
  avoided: {reduction_in: events, against: comparison_arm, as: units}
structures:
  as signed: {rate_card: {avoided: 1}}
"""


def arm_moments(effective=800, bias=0.1, served=0.8):
    """Of 1000 (arm's mean) - ours; both sides have variance m + m^2 / k a person."""
    level = 1.6 * (1 + bias)
    mean = 1000 * level - 1000 * served
    ours = 1000 * (served + served**2 / 0.7)
    theirs = 1000**2 / effective * (level + level**2 / 0.7)
    return mean, ours + theirs


@each_seed
def test_the_comparison_arm_adds_the_variance_of_its_effective_size_and_its_bias(seed):
    found = drawn(ARM, seed, FEWER).payments["as signed"]
    assert found.low > 0
    mean, variance = arm_moments()
    assert is_close(z_of_mean(found, mean, variance))
    assert is_close(z_of_variance(found, variance, 3 * (2 + 1) / (0.7 * 800)))
    # negative controls: full size, no bias, bias the other way, an arm without error
    assert not is_close(z_of_variance(found, arm_moments(effective=2000)[1], 0))
    assert not is_close(z_of_variance(found, arm_moments(effective=1e12)[1], 0))
    assert not is_close(z_of_mean(found, arm_moments(bias=0)[0], variance))
    assert not is_close(z_of_mean(found, arm_moments(bias=-0.1)[0], variance))


def test_fewer_of_a_bad_thing_are_additional():
    # 1,000 x 0.8 fewer
    additional = simulate(loads(ARM), draws=2_000).outcomes["events"]["additional"]
    assert is_close((additional["mean"] - 800) / additional["standard_error"])


# ---------------------------------------------------------------------------------------------------
# Policy change
# ---------------------------------------------------------------------------------------------------

POLICY = """
deal: a yearly hazard
time: {start: 2020-01, step: half year, horizon: 5 years}
cohorts:
  first: {people: 1, referred: 2020-01 to 2020-06}
  second: {people: 1, referred: 2021-01 to 2021-06}
  third: {people: 1, referred: 2023-07 to 2023-12}
  spare: {people: 1, referred: 2024-07 to 2024-12}
outcomes:
  held: {without_service: 100%}
structures:
  as signed:
    group_threshold: {outcome: held, at_least: 1 people, pays: 1, for: each cohort}
ends_early:
  policy_change: {chance_a_year: 20%}
"""


@each_seed
def test_a_yearly_chance_of_policy_change_leaves_a_geometric_share_of_cohorts(seed):
    run = drawn(POLICY, seed, FEWER)
    # a cohort is referred if service reaches the beginning of its period
    for name, years in {"first": 0, "second": 1, "third": 3.5}.items():
        found = run.chances["as signed", "group threshold", name]
        if years == 0:
            assert found == 1
            continue
        assert is_close(z_of_share(found, 0.8**years, FEWER)), name
        # negative controls: half a year earlier or later, and a rate of 20% read as an intensity
        for wrong in (0.8 ** (years - 0.5), 0.8 ** (years + 0.5), np.exp(-0.2 * years)):
            assert not is_close(z_of_share(found, wrong, FEWER)), name


WHOLE = (
    POLICY.replace("people: 1, referred: 2023-07 to 2023-12", "people: 5, referred: 2021-07 to 2023-12, cut")
    .replace("cut}", "if_cut_short: does not run}")
    .replace("    group_threshold:", "    rate_card: {held: 1}\n    group_threshold:")
)
"""One person is referred in each of five periods; the card makes the periods count apart."""


def test_a_cohort_that_does_not_run_when_cut_short_pays_only_if_all_of_it_ran():
    # service must reach the period from July 2023
    found = drawn(WHOLE, 1, FEWER).chances["as signed", "group threshold", "third"]
    assert is_close(z_of_share(found, 0.8**3.5, FEWER))
    # negative control: it counts as far as it ran, from July 2021
    text = WHOLE.replace(", if_cut_short: does not run", "")
    found = drawn(text, 1, FEWER).chances["as signed", "group threshold", "third"]
    assert is_close(z_of_share(found, 0.8**1.5, FEWER))


# ---------------------------------------------------------------------------------------------------
# The deals that ship, with every quantity fixed
# ---------------------------------------------------------------------------------------------------

FIXED_AUGSBURG = [
    "luck_only=true",
    "time.step=year",
    'outcomes."placed for nine months".without_service=30%',
    'outcomes."placed for nine months".effect=0',
]


@each_seed
def test_augsburg_pays_with_the_tail_for_twenty_and_not_for_twenty_one(seed):
    deal = load(SCENARIOS / "augsburg.yaml", FIXED_AUGSBURG)
    found = simulate(deal, draws=DRAWS, seed=seed, structures=["as signed"])["as signed"]
    found = found.triggers["any payment"].probability
    assert is_close(z_of_share(found, binom.sf(19, 69, 0.3), DRAWS))
    assert not is_close(z_of_share(found, binom.sf(20, 69, 0.3), DRAWS))


FIXED_PETERBOROUGH = [
    "luck_only=true",
    "time.step=year",
    "outcomes.reconvictions.without_service=1.55",
    "outcomes.reconvictions.effect=0",
    "outcomes.reconvictions.dispersion=0.69",
]


def test_peterborough_with_no_effect_and_no_bias_pays_as_the_independent_simulation_says():
    deal = load(SCENARIOS / "peterborough.yaml", FIXED_PETERBOROUGH)
    paid, _, pooled_alone, draws = independent_simulation()
    found = simulate(deal, draws=DRAWS, structures=["as signed"])["as signed"].triggers["any payment"].probability
    assert is_close(z_of_two_shares(found, DRAWS, paid, draws))
    assert not is_close(z_of_two_shares(found, DRAWS, pooled_alone, draws))


# ---------------------------------------------------------------------------------------------------
# Deals without chance, by hand
# ---------------------------------------------------------------------------------------------------

CERTAIN = """
deal: nothing left to chance
time: {{start: 2020-01, step: year, horizon: 5 years, financial_year_starts: January, service: 2020-01 to {service}}}
rates: {{investor: 6%, payer: 5% nominal}}
cohorts:
{cohorts}
outcomes:
  held: {{without_service: 100%}}
{outcomes}
costs: {{{costs}}}
finance: {finance}
structures:
  as signed:
{structure}
"""


def certain(
    structure,
    *,
    costs="",
    finance="none",
    cohorts="  all: {people: 10, referred: 2020-01 to 2020-12}",
    outcomes="",
    service="2020-12",
):
    """Run a deal in which every draw is the same, and return one draw's figures."""
    text = CERTAIN.format(
        structure="\n".join("    " + line for line in dedent(structure).strip().splitlines()),
        costs=costs,
        finance=finance,
        cohorts=cohorts,
        outcomes=outcomes,
        service=service,
    )
    result = simulate(loads(text), draws=3)
    draws = result.draws("as signed")
    for name, values in draws.items():
        assert np.array_equal(values[1:], values[:-1], equal_nan=True), name
    return SimpleNamespace(
        **{name: float(values[0]) for name, values in draws.items()},
        years={row["year"]: row["mean"] for row in result.to_dict()["structures"]["as signed"]["payer"]["by_year"]},
        triggers=result["as signed"].triggers,
        warnings=result.warnings,
    )


QUARTERS = """
deal: two quarters
time: {start: 2020-01, step: quarter, horizon: 1 year, service: 2020-01 to 2020-06}
rates: {payer: 21% nominal}
cohorts:
  all: {people: 5, referred: 2020-04 to 2020-06}
outcomes:
  held: {without_service: 100%}
costs: {set_up: 200}
payer_costs: {management: 400 a year}
finance: {commitment: 200, called: 1 quarter ahead}
structures:
  as signed: {rate_card: {held: 100}}
"""

TWO_YEARS_LATER = """
group_threshold: {outcome: held, at_least: 10 people, pays: 121}
paid_after: 1 year
"""


def test_rate_of_return_multiple_payback_and_present_values_by_hand():
    # 100 called at the start and spent in year 1; 121 settled at the end of year 1, paid at the end of year 2
    found = certain(TWO_YEARS_LATER, costs="set_up: 100", finance="{commitment: 125, called: 1 year ahead}")
    assert found.irr == pytest.approx(0.10, abs=1e-12)
    assert found.multiple == pytest.approx(1.21, abs=1e-12)
    assert found.multiple_on_committed == pytest.approx(1 + 21 / 125, abs=1e-12)
    assert found.multiple_on_peak == pytest.approx(1.21, abs=1e-12)
    assert found.peak_funding_need == 100
    assert found.payback == pytest.approx(2, abs=1e-12)
    assert found.net_present_value == pytest.approx(-100 + 121 / 1.06**2, abs=1e-9)
    assert found.payments_present_value == pytest.approx(121 / 1.05**2, abs=1e-9)
    assert found.years == {"2020": 0, "2021": 121, "2022": 0, "2023": 0, "2024": 0}


def test_present_values_by_quarters():
    # 400 a year in quarters, and a quarter later 500; 21% a year is 10% each half year
    found = simulate(loads(QUARTERS), draws=2)
    assert found["as signed"].payments_present_value.mean == pytest.approx(500 / 1.1**1)
    assert found["as signed"].payer.cost_present_value.mean == pytest.approx(100 * 1.1**-0.5 + 600 / 1.1)
    assert found["as signed"].investor.irr.mean == pytest.approx(2.5**2 / 1 - 1, rel=1e-9)


def test_a_missed_bound_is_a_total_loss_and_no_missing_return():
    found = certain(
        TWO_YEARS_LATER.replace("10 people", "11 people"),
        costs="set_up: 100",
        finance="{commitment: 125, called: 1 year ahead}",
    )
    assert (found.irr, found.multiple, found.payments) == (-1, 0, 0)


def test_what_the_provider_advanced_is_repaid_before_the_investors():
    # 60 of 100 are called; the provider advances 40 in year 1 and has it back in year 2; 81 are left
    found = certain(TWO_YEARS_LATER, costs="set_up: 100", finance="{commitment: 60, called: 1 year ahead}")
    assert found.multiple == pytest.approx(81 / 60, abs=1e-12)
    assert found.irr == pytest.approx((81 / 60) ** 0.5 - 1, abs=1e-12)
    assert found.surplus == pytest.approx(0, abs=1e-9)
    assert found.lowest_cash == pytest.approx(-40, abs=1e-9)


RECYCLED = "{{commitment: 400, called: 1 year ahead, recycled: {}}}"


@pytest.mark.parametrize(
    ("recycled", "multiple", "irr"),
    [
        # 100 are spent in each of years 1 to 3; the 150 of year 1 pay for year 2 and half of year 3, 50 are called
        ("true", 0, -1),
        # cash is held for one year ahead only: 50 go out at the end of year 1, 100 are called at the end of year 2
        ("false", 50 / 200, None),
    ],
)
def test_receipts_are_recycled_only_where_the_deal_says_so(recycled, multiple, irr):
    found = certain(
        "group_threshold: {outcome: held, at_least: 10 people, pays: 150}",
        costs="delivery: 100 a year",
        finance=RECYCLED.format(recycled),
        service="2022-12",
    )
    assert found.multiple == pytest.approx(multiple, abs=1e-12)
    if irr is not None:
        assert found.irr == irr


def test_capital_is_called_one_period_ahead_and_two_where_the_deal_says_so():
    # 100 in each of years 1 to 3: called at 0, 1, 2, or 200 at 0 and 100 at 1; 363 come in after year 3
    terms = """
    pays:
      late:
        for: each cohort
        when: {later: at least 1}
        amount: {lump_sum: 363}
    """
    common = {
        "costs": "delivery: 100 a year",
        "outcomes": "  later: {without_service: 100%, known_after: 2 years}",
        "service": "2022-12",
    }
    one = certain(terms, finance="{commitment: 300, called: 1 year ahead}", **common)
    two = certain(terms, finance="{commitment: 300, called: 2 years ahead}", **common)
    start = certain(terms, finance="{commitment: 300, called: at the start}", **common)
    assert one.net_present_value == pytest.approx(-100 - 100 / 1.06 - 100 / 1.06**2 + 363 / 1.06**3)
    assert two.net_present_value == pytest.approx(-200 - 100 / 1.06 + 363 / 1.06**3)
    assert start.net_present_value == pytest.approx(-300 + 363 / 1.06**3)


def test_the_surplus_is_shared_after_capital_is_back():
    finance = "{commitment: 100, called: 1 year ahead, surplus_to_investors: 25%}"
    found = certain(TWO_YEARS_LATER, costs="set_up: 100", finance=finance)
    assert found.multiple == pytest.approx((100 + 21 / 4) / 100)
    assert found.surplus == pytest.approx(21 * 3 / 4)


THREE_YEARS = """
  a: {people: 10, referred: 2020-01 to 2020-12}
  b: {people: 10, referred: 2021-01 to 2021-12}
  c: {people: 10, referred: 2022-01 to 2022-12}
""".strip("\n")


@pytest.mark.parametrize(
    ("caps", "years"),
    [
        ("{contract: 2500}", [1000, 1000, 500, 0, 0]),
        ("{year: 400}", [400, 400, 400, 0, 0]),
        # 600 over after year 1; year 2 pays 400 of them and none of its own 1,000; and so on
        ("{year: 900, over_the_year: carried forward}", [900, 900, 900, 300, 0]),
        ("{year: 900, contract: 2000, over_the_year: carried forward}", [900, 900, 200, 0, 0]),
    ],
)
def test_caps_of_the_contract_and_of_the_year(caps, years):
    found = certain(f"rate_card: {{held: 100}}\nat_most: {caps}", cohorts=THREE_YEARS, service="2022-12")
    assert list(found.years.values()) == pytest.approx(years)
    assert found.uncapped_payments == 3000


@pytest.mark.parametrize(
    ("row", "years"),
    [
        ("{price: 100, at_most: 1700}", [1000, 700, 0, 0, 0]),
        ("{price: 100, at_most: {outcomes: 25}}", [1000, 1000, 500, 0, 0]),
    ],
)
def test_caps_of_a_row_of_the_card(row, years):
    found = certain(f"rate_card: {{held: {row}}}", cohorts=THREE_YEARS, service="2022-12")
    assert list(found.years.values()) == pytest.approx(years)


def test_a_share_exactly_on_its_bound_is_paid_and_one_below_is_not():
    """7 people where 5.6 were to be expected are 25% more, though floats say a little less."""
    assert (7 - 7 * 0.8) / (7 * 0.8) < 0.25
    deal = """
    deal: on the bound
    time: {{start: 2020-01, step: year, horizon: 1 year}}
    cohorts:
      all: {{people: 7, referred: 2020-01 to 2020-12}}
    outcomes:
      held: {{without_service: 100%}}
    measures:
      more: {{increase_in: held, against: 0.8, as: share}}
      fewer: {{reduction_in: held, against: 0.8, as: share}}
      beyond: {{increase_in: held, against: 0.8, as: units}}
    structures:
      as signed:
        pays:
          each:
            for: each cohort
            when: {{{measure}: {bound}}}
            amount: {{price: 100, times: beyond}}
    """

    def paid(bound, measure="more"):
        text = dedent(deal.format(bound=bound, measure=measure))
        return simulate(loads(text), draws=2)["as signed"].payments.mean

    assert paid("at least 25%") == pytest.approx(140)
    assert paid("more than 25%") == 0
    assert paid("at least 25.0001%") == 0
    assert paid("at most 25%") == pytest.approx(140)
    assert paid("less than 25%") == 0
    assert paid("at least -25%", "fewer") == pytest.approx(140)
    assert paid("at least -24.9999%", "fewer") == 0


def test_a_clause_falls_away_where_another_was_triggered_and_not_where_it_was_not():
    terms = """
    pays:
      first:
        for: each cohort
        when: {{held: at least {}}}
        amount: {{lump_sum: 5}}
      otherwise:
        for: all cohorts that ran
        unless: first
        when: {{held: at least 1}}
        amount: {{lump_sum: 3}}
    """
    assert certain(terms.format(10)).payments == 5
    assert certain(terms.format(11)).payments == 3


@pytest.mark.parametrize(
    ("level", "between", "amount"),
    [
        *[(5, "steps", 10), (10, "steps", 40), (15, "steps", 40), (20, "steps", 90), (25, "steps", 100)],
        *[(5, "straight line", 10), (10, "straight line", 40), (15, "straight line", 65), (20, "straight line", 90)],
    ],
)
def test_a_table_pays_steps_or_straight_lines_and_a_point_belongs_to_the_better_side(level, between, amount):
    terms = f"""
    pays:
      table:
        for: each cohort
        amount:
          by: held
          table: {{below: 10, points: [[10, 40], [20, 90]], between: {between}, above: 100}}
    """
    found = certain(terms, cohorts=f"  all: {{people: {level}, referred: 2020-01 to 2020-12}}")
    assert found.payments == pytest.approx(amount)


@pytest.mark.parametrize(
    ("known", "claim", "paid"),
    # people of a year are referred in mid-year on average: 18 months later is a year later, 19 months two years
    [(6, "2020-12", 1000), (7, "2020-12", 0), (18, "2021-12", 1000), (19, "2021-12", 0), (19, "2022-01", 1000)],
)
def test_an_outcome_counts_up_to_the_last_claim_and_not_after_it(known, claim, paid):
    found = certain(
        "rate_card: {later: 100}",
        cohorts=f"  all: {{people: 10, referred: 2020-01 to 2020-12, last_claim: {claim}-01}}",
        outcomes=f"  later: {{without_service: 100%, known_after: {known} months}}",
    )
    assert found.payments == paid


def test_a_step_is_known_after_the_times_of_all_steps_before_it():
    # referred in mid-year 2020: 12 months to the first step, 12 more to the second
    steps = "{first: {chance: 100%, after: 12 months}, second: {chance: 100%, after: 12 months}}"
    found = certain("rate_card: {first: 1, second: 10}", outcomes=f"  path: {{steps: {steps}}}")
    assert list(found.years.values()) == [0, 10, 100, 0, 0]


def test_people_are_referred_evenly_in_whole_people():
    # 10 people over three years: 3, then 6 by the end of the second, then 10
    found = certain(
        "rate_card: {held: 1}",
        cohorts="  all: {people: 10, referred: 2020-01 to 2022-12}",
        service="2022-12",
    )
    assert list(found.years.values()) == [3, 3, 4, 0, 0]
    # turnout is rounded half up: 10 x 85% = 8.5 are 9 people
    found = certain(
        "rate_card: {held: 1}",
        cohorts="  all: {people: 10, referrals: 85%, referred: 2020-01 to 2022-12}",
        service="2022-12",
    )
    assert list(found.years.values()) == [3, 3, 3, 0, 0]


@pytest.mark.parametrize(
    ("paid", "years"),
    [("evenly", [100, 100, 100, 0, 0]), ("at the start", [300, 0, 0, 0, 0]), ("at the end", [0, 0, 300, 0, 0])],
)
def test_a_fee_is_paid_over_the_service(paid, years):
    assert list(certain(f"fee: 300\npaid: {paid}", service="2022-12").years.values()) == pytest.approx(years)


@pytest.mark.parametrize(
    ("cost", "surplus"),
    [("100 a year", -300), ("100", -100), ("100 at the end", -100), ("7 per person", -70)],
)
def test_costs_by_their_form(cost, surplus):
    found = certain("fee: 0", costs=f"delivery: {cost}", service="2022-12")
    assert found.surplus == pytest.approx(surplus)
