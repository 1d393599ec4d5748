"""The engine of totals and the one of people give the same distribution, and frailty is what theory says.

The engines draw with different seeds and are compared by z of two samples: within 4.5 standard errors. At 40,000 draws
each, a mean that is off by 5% of a standard deviation, or a variance off by 7% (of a normal), is found with 99%. The
joint table of two outcomes, above their medians or not, is compared by the chi-squared test of homogeneity; what moves
a tenth of the draws that lie off the diagonal is found with 99%. *Negative controls* must fail the same checks.

Outcomes with the service, without it, and verified are compared. What one person would have done *instead* is not
observable, and the engines pair the two worlds differently: of the additional outcomes only the mean is the same.
"""

import itertools
from functools import cache, lru_cache
from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from closeness import Sample, is_close, z_of_mean, z_of_two_means, z_of_two_variances, z_of_variance
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import chi2_contingency, norm

from simulator import ledger, outcomes, parameters
from simulator.chance import philox
from simulator.dealfile import loads
from simulator.draws import CapTable, settle_people
from simulator.outcomes import TILE, TRUE, VERIFIED, WITHOUT, Outcomes
from simulator.plan import compile_plan
from simulator.run import BLOCK, Simulation
from simulator.yamlfile import dump, read

DRAWS = 40_000
SCENARIOS = Path(__file__).parent.parent / "scenarios"
KINDS = {"verified": VERIFIED, "true": TRUE, "without the service": WITHOUT}

# Sizes for which people are quickly drawn; every quantity stays as uncertain as in the file.
DEALS = {
    "peterborough": {
        "people": 30,
        "structures": ["as signed", "event by event"],
    },
    "augsburg": {"people": 69, "structures": ["as signed", "by the head", "better than before"]},
    "fair_chance_fund": {
        "people": 150,
        "pair": ("accommodation sustained 6 months", "entry to employment"),
        "structures": ["as signed", "homes or nothing"],
    },
    "essex": {"people": 12, "structures": ["as signed", "against like people", "by the young person"]},
    "innovation_fund": {"people": 60, "structures": ["as signed"]},
    "youth_engagement_fund": {"people": 60, "structures": ["as signed"]},
}


def shipped(name, engine, sets=()):
    """A deal that ships, without its cap per person so that both engines may draw it, and without provenance."""
    data = {key: each for key, each in read(SCENARIOS / f"{name}.yaml").data.items() if key not in {"facts", "actual"}}
    data.pop("assumptions", None)
    data["engine"] = engine
    for each in data["structures"].values():
        each.get("at_most", {}).pop("per_person", None)
    for cohort in data["cohorts"].values():
        cohort["people"] = DEALS[name]["people"]
    if name == "fair_chance_fund":
        data["structures"]["homes or nothing"]["group_threshold"]["at_least"] = 75
    return loads(dump(data), sets=sets)


def drawn(deal, seed, structures=(), draws=DRAWS):
    """Totals of outcomes by kind, [draws, outcomes], and the payments of structures."""
    plan = compile_plan(deal)
    shared = Simulation(plan, seed, list(structures))
    counts, money = [], []
    for start in range(0, draws, BLOCK):
        values, _ = parameters.values(plan, shared.value_keys, start, min(BLOCK, draws - start))
        out, stops, _, capped = shared.outcomes(start, values)
        counts.append(out.counts.sum(axis=2))
        for name in structures:
            met = np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64)
            money.append(shared.settle(name, values, out, stops, capped, met)[0][:, ledger.PAYMENTS])
    counts = np.concatenate(counts)
    kinds = {kind: counts[:, :, i] for kind, i in KINDS.items()}
    paid = {name: np.concatenate(money[i :: len(structures)]) for i, name in enumerate(structures)}
    return plan, kinds, paid


@lru_cache
def both_engines(name):
    structures = DEALS[name]["structures"]
    totals = drawn(shipped(name, "aggregate"), 11, structures)
    people = drawn(shipped(name, "people"), 12, structures)
    assert not totals[0].people
    assert people[0].people
    return totals, people


def differ(ours, theirs):
    """Names of the moments in which two samples differ."""
    ours, theirs = Sample.of(ours), Sample.of(theirs)
    found = [] if is_close(z_of_two_means(ours, theirs)) else ["mean"]
    return found if is_close(z_of_two_variances(ours, theirs)) else [*found, "variance"]


@pytest.mark.parametrize("name", DEALS)
def test_outcomes_of_both_engines_have_the_same_means_and_variances(name):
    (plan, totals, _), (_, people, _) = both_engines(name)
    for kind in KINDS:
        for o, outcome in enumerate(plan.outcome_names):
            ours, theirs = totals[kind][:, o], people[kind][:, o]
            assert ours.var() == theirs.var() == 0 or differ(ours, theirs) == [], (outcome, kind)
    for o, outcome in enumerate(plan.outcome_names):
        additional = [Sample.of(each["true"][:, o] - each["without the service"][:, o]) for each in (totals, people)]
        assert is_close(z_of_two_means(*additional)), outcome


@pytest.mark.parametrize("name", DEALS)
def test_payments_of_both_engines_have_the_same_means_and_variances(name):
    (_, _, totals), (_, _, people) = both_engines(name)
    for structure in DEALS[name]["structures"]:
        assert totals[structure].max() > 0
        assert differ(totals[structure], people[structure]) == [], structure


@pytest.mark.parametrize("name", DEALS)
def test_two_people_fewer_are_noticed(name):
    """Negative control."""
    cohorts = shipped(name, "aggregate").cohorts
    sets = [f'cohorts."{each}".people={DEALS[name]["people"] - 2}' for each in cohorts]
    _, ours, _ = drawn(shipped(name, "aggregate", sets), 13)
    _, (_, theirs, _) = both_engines(name)
    assert "mean" in differ(ours["true"][:, 0], theirs["true"][:, 0])


def joint_table(one, other, medians):
    above = np.array([one > medians[0], other > medians[1]])
    return np.array([[np.sum((above[0] == i) & (above[1] == j)) for j in (0, 1)] for i in (0, 1)])


def same_table(ours, theirs):
    """Whether two samples of a pair of outcomes have one joint table, by chi-squared at the level of `closeness`."""
    medians = [np.median(each) for each in theirs]
    tables = [joint_table(*pair, medians).ravel() for pair in (ours, theirs)]
    return chi2_contingency(tables).pvalue > 2 * norm.sf(4.5)


def same_covariance(ours, theirs):
    products = [Sample.of((one - one.mean()) * (other - other.mean())) for one, other in (ours, theirs)]
    return is_close(z_of_two_means(*products))


FIXED_FUND = [
    "cohorts.starters.referrals=100%",
    "quantities.share not claimed=5%",
    'outcomes.home.steps."move into accommodation".chance=85%',
    *[f'outcomes.home.steps."accommodation sustained {n} months".chance=88%' for n in (3, 6, 12, 18)],
    'outcomes.work.steps."entry to employment".chance=35%',
]
"""Uncertain chances would make outcomes scatter more than frailty does."""


@lru_cache
def fixed_fund(engine, seed, frailty="40%"):
    plan, kinds, _ = drawn(shipped("fair_chance_fund", engine, [*FIXED_FUND, f"frailty_correlation={frailty}"]), seed)
    places = [plan.outcome_names.index(each) for each in DEALS["fair_chance_fund"]["pair"]]
    return tuple(kinds["verified"][:, o] for o in places)


def test_two_outcomes_of_the_fund_have_the_same_joint_table_in_both_engines():
    totals, people = fixed_fund("aggregate", 21), fixed_fund("people", 22)
    assert same_table(totals, people)
    assert same_covariance(totals, people)


@pytest.mark.parametrize("engine", ["aggregate", "people"])
def test_without_frailty_the_joint_table_differs(engine):
    """Negative control, though the margins stay the same."""
    with_frailty, without = fixed_fund("people", 22), fixed_fund(engine, 23, "0%")
    assert not same_table(without, with_frailty)
    assert not same_covariance(without, with_frailty)
    for ours, theirs in zip(without, with_frailty, strict=True):
        assert is_close(z_of_two_means(Sample.of(ours), Sample.of(theirs)))


def test_two_cohorts_have_the_same_joint_table_in_both_engines():
    """Cohorts share the parameters of a draw: their joint table is not that of independent ones."""
    pairs = []
    for engine, seed in (("aggregate", 31), ("people", 32)):
        plan = compile_plan(shipped("peterborough", engine))
        shared = Simulation(plan, seed, [])
        values, _ = parameters.values(plan, shared.value_keys, 0, 20_000)
        out, _, _, _ = shared.outcomes(0, values)
        of_cohort = [plan.blocks["cohort"] == c for c in (0, 1)]
        pairs.append(tuple(out.counts[:, 0, mask, VERIFIED].sum(axis=1) for mask in of_cohort))
    assert same_table(*pairs)
    assert same_covariance(*pairs)
    # negative control: the second cohort of another draw
    shuffled = (pairs[0][0], np.roll(pairs[0][1], 1))
    assert not same_table(shuffled, pairs[1])
    assert not same_covariance(shuffled, pairs[1])


SEVERAL = """
deal: every kind of outcome
time: {{start: 2020-01, step: quarter, horizon: 4 years}}
engine: {engine}
frailty_correlation: 50%
cohorts:
  a: {{people: 30, referred: 2020-01 to 2020-09, last_claim: 2021-06-30}}
  b: {{people: 20, referred: 2020-07 to 2020-12}}
outcomes:
  helped: {{without_service: 30%, effect: 40%, evidence: {{missing: 20%, mistaken: 10%}}}}
  harmed: {{without_service: 50%, effect: -30%, effect_as: units, known_after: 12 months}}
  nights:
    {{counts: events, without_service: 2, effect: -25%, dispersion: 0.5, evidence: {{missing: 30%, mistaken: 0.4}}}}
  calls: {{counts: events, without_service: 0.7, effect: 60%, known_after: 13 months}}
  work:
    without_service: {{first_step: 25%}}
    steps:
      entry: {{chance: 60%, after: 3 months, evidence: {{missing: 10%, mistaken: 5%}}}}
      full time: {{chance: 35%, after: 3 months, evidence: {{mistaken: 10%}}}}
      part time: {{chance: 45%, after: 3 months, follows: entry, instead_of: full time}}
      stays: {{chance: 70%, after: 6 months, follows: part time}}
structures:
  card: {{rate_card: {{helped: 100, harmed: 50, nights: 10, calls: 20, entry: 70, full time: 300, part time: 200}}}}
"""


@cache
def several(engine, seed):
    plan, kinds, paid = drawn(loads(SEVERAL.format(engine=engine)), seed, ["card"])
    return plan.outcome_names, kinds, paid["card"]


def test_every_kind_of_outcome_has_the_same_moments_in_both_engines():
    names, totals, money = several("aggregate", 41)
    _, people, same_money = several("people", 42)
    for kind in KINDS:
        for o, name in enumerate(names):
            assert differ(totals[kind][:, o], people[kind][:, o]) == [], (name, kind)
    assert differ(money, same_money) == []


def test_every_pair_of_outcomes_has_the_same_covariance_in_both_engines():
    names, totals, _ = several("aggregate", 41)
    _, people, _ = several("people", 42)
    for kind in KINDS:
        for i, j in itertools.combinations(range(len(names)), 2):
            pairs = [(each[kind][:, i], each[kind][:, j]) for each in (totals, people)]
            assert same_covariance(*pairs), (names[i], names[j], kind)


# ---------------------------------------------------------------------------------------------------
# Frailty against theory
# ---------------------------------------------------------------------------------------------------

TWO = """
deal: two outcomes of the same people
time: {{start: 2020-01, step: year, horizon: 1 year}}
engine: {engine}
frailty_correlation: {frailty}
cohorts:
  all: {{people: 40, referred: 2020-01 to 2020-12}}
outcomes:
  common: {{without_service: 60%}}
  path:
    steps:
      first: {{chance: 50%}}
      second: {{chance: 30%}}
      other: {{chance: 40%, follows: first, instead_of: second}}
structures:
  card: {{rate_card: {{common: 1, first: 1, second: 1}}}}
"""
NAMES = ("common", "first", "second", "other")
MARGINS = (0.6, 0.5, 0.5 * 0.3, 0.5 * 0.7 * 0.4)


def chances_by_theory(rho):
    """Probabilities of each outcome and of pairs of them, for a normal latent trait: by integration.

    The chance of the second step is 30% of those who took the first, who are sturdier than the average; of the other
    step, 40% of those who took the first and not the second.
    """
    sigma = sqrt(rho / (1 - rho)) * pi / sqrt(3)

    def mean(function):
        return quad(lambda z: function(z) * norm.pdf(z), -9, 9, epsabs=1e-12, limit=200)[0]

    def logistic(a):
        return lambda z: 1 / (1 + np.exp(-(a + sigma * z)))

    def solved(chance, eligible):
        total = mean(eligible)
        a = brentq(lambda a: mean(lambda z: eligible(z) * logistic(a)(z)) - chance * total, -30, 30, xtol=1e-13)
        return logistic(a)

    common, first = solved(0.6, lambda _: 1.0), solved(0.5, lambda _: 1.0)
    second_given = solved(0.3, first)
    left = lambda z: first(z) * (1 - second_given(z))  # noqa: E731
    other_given = solved(0.4, left)
    laws = [common, first, lambda z: first(z) * second_given(z), lambda z: left(z) * other_given(z)]
    single = [mean(law) for law in laws]
    together = {
        (0, 1): mean(lambda z: laws[0](z) * laws[1](z)),
        (0, 2): mean(lambda z: laws[0](z) * laws[2](z)),
        (0, 3): mean(lambda z: laws[0](z) * laws[3](z)),
        (1, 2): mean(laws[2]),  # whoever took the second took the first
        (2, 3): 0.0,  # nobody takes both
    }
    return single, together


@pytest.mark.parametrize("engine", ["aggregate", "people"])
@pytest.mark.parametrize("frailty", [0.0, 0.3, 0.6])
def test_frailty_keeps_the_margins_and_gives_the_covariances_of_theory(engine, frailty):
    """Persons are independent, so totals of n are binomial and have n times the covariance of one person's outcomes.

    The program integrates with nine nodes: at a frailty of 0.6 its covariances are 1.2% below those of the integral,
    one standard error here, and at 0.3 within 0.1%.
    """
    n = 40
    _, kinds, _ = drawn(loads(TWO.format(engine=engine, frailty=frailty)), 51)
    single, together = chances_by_theory(frailty) if frailty else (MARGINS, {(0, 1): 0.3, (0, 2): 0.09, (2, 3): 0.0})
    assert single == pytest.approx(MARGINS, abs=1e-9)
    found = kinds["true"]
    for o, p in enumerate(MARGINS):
        sample = Sample.of(found[:, o])
        assert is_close(z_of_mean(sample, n * p, n * p * (1 - p))), NAMES[o]
        assert is_close(z_of_variance(sample, n * p * (1 - p), (1 - 6 * p * (1 - p)) / (n * p * (1 - p)))), NAMES[o]
    for (i, j), joint in together.items():
        covariance = n * (joint - single[i] * single[j])
        products = Sample.of((found[:, i] - n * single[i]) * (found[:, j] - n * single[j]))
        assert is_close((products.mean - covariance) / sqrt(products.variance / DRAWS)), (NAMES[i], NAMES[j])
        # negative control: independence between outcomes of different paths
        if frailty and i == 0:
            assert not is_close(products.mean / sqrt(products.variance / DRAWS)), (NAMES[i], NAMES[j])


# ---------------------------------------------------------------------------------------------------
# Cap per person
# ---------------------------------------------------------------------------------------------------


def settled_by_hand(person, periods, prices, cap):
    """Money for one person: by date of achievement, then by order on the card, until the cap is reached."""
    paid = [0.0] * len(prices)
    for k in sorted(range(len(prices)), key=lambda k: (periods[k], k)):
        paid[k] = min(person[k] * prices[k], cap - sum(paid))
    return paid


@pytest.mark.parametrize("cap", [0, 50, 100, 130, 200, 250, 1000])
@pytest.mark.parametrize("periods", [(1, 1, 1), (1, 2, 3), (3, 2, 1), (2, 1, 2)])
def test_the_cap_per_person_is_by_date_then_by_the_card_in_every_case_of_two_people(periods, cap):
    prices = (100.0, 70.0, 30.0)
    caps = CapTable(
        first=np.array([0, 3]),
        counts=np.ones(3, np.int64),
        outcome=np.arange(3),
        rate_at=np.arange(3),
        limit_at=np.array([3]),
    )
    values = np.array([*prices, cap], float)
    when = np.array([[p, p + 4] for p in periods])  # two blocks, one person each
    one = Outcomes(np.array([1, 1]), when, np.zeros((3, 2, 3)), np.zeros((3, 1, 2)))
    for persons in itertools.product(itertools.product((0, 1, 2), repeat=3), repeat=2):
        capped = np.zeros((3, 2))
        settle_people(values, caps, one, np.array(persons, np.int32).T, capped)
        expected = [settled_by_hand(person, periods, prices, cap) for person in persons]
        assert capped.T.tolist() == expected, persons


def test_the_cap_per_person_is_that_of_each_of_many_people():
    """More than are worked side by side, with prices that floats do not hold exactly."""
    prices, cap = (100.1, 70.7, 30.3), 150.5
    people = [TILE + 70, 3, 2 * TILE]
    persons = np.random.default_rng(3).integers(0, 3, (3, sum(people)))
    when = np.array([[2] * 3, [1] * 3, [2] * 3])
    caps = CapTable(
        first=np.array([0, 3]),
        counts=np.ones(3, np.int64),
        outcome=np.arange(3),
        rate_at=np.arange(3),
        limit_at=np.array([3]),
    )
    one = Outcomes(np.array(people), when, np.zeros((3, 3, 3)), np.zeros((3, 1, 2)))
    capped = np.zeros((3, 3))
    settle_people(np.array([*prices, cap]), caps, one, persons.astype(np.int32), capped)
    by_hand = np.array([settled_by_hand(person, (2, 1, 2), prices, cap) for person in persons.T])
    blocks = np.split(by_hand, np.cumsum(people)[:-1])
    np.testing.assert_allclose(capped.T, [block.sum(axis=0) for block in blocks], rtol=1e-12)


LEAST = 2.0**-32
CHANCES = [0.0, 0.25 * LEAST, LEAST / 2, np.nextafter(LEAST / 2, 1), LEAST, 0.1, 0.3, 1 - 2 * LEAST, 1 - 0.75 * LEAST]
SURE = [np.nextafter(1 - LEAST / 2, 1), 1.0]


@pytest.fixture
def interpreted(monkeypatch):
    """Functions that only kernels can call, as plain Python."""
    for name in ("_limit", "_fill_limits", "_find_limits", "_have_below", "_have", "_verify"):
        monkeypatch.setattr(outcomes, name, getattr(outcomes, name).py_func)


def test_words_below_the_limit_are_the_uniforms_below_the_chance(interpreted):
    """At every word next to a limit, for chances next to those at which it moves, in two ways."""
    limit = np.zeros((2, len(CHANCES)), np.uint32)
    assert outcomes._fill_limits(np.array(CHANCES), np.array(CHANCES[::-1]), limit) == outcomes.UNLIKE
    near = {min(max(int(x) + i, 0), 2**32 - 1) for x in limit[0] for i in (-1, 0, 1)}
    word = np.repeat(np.array(sorted(near), np.uint32), len(CHANCES))[:TILE]
    class_of = np.tile(np.arange(len(CHANCES), dtype=np.uint32), len(near))[:TILE]
    of, without_of = np.zeros((2, TILE), np.uint32)
    outcomes._find_limits(limit[0], class_of, of)
    outcomes._find_limits(limit[1], class_of, without_of)
    everybody, nobody, own = np.ones(2 * TILE, np.uint8), np.zeros(2 * TILE, np.uint8), np.zeros(2 * TILE, np.uint8)
    number, without = outcomes._have_below(word, of, without_of, everybody, nobody, own)
    below = (word + 0.5) / 2**32 < np.array(CHANCES)[class_of]
    assert own[: word.size].tolist() == below.tolist()
    assert own[TILE : TILE + word.size].tolist() == ((word + 0.5) / 2**32 < np.array(CHANCES[::-1])[class_of]).tolist()
    assert (number, without) == (own[:TILE].sum(), own[TILE:].sum())
    one_by_one, chance_of = np.zeros(TILE, np.uint8), np.zeros(TILE)
    outcomes._have(word, np.array(CHANCES), class_of, np.ones(TILE, np.bool_), chance_of, one_by_one)
    assert one_by_one[: word.size].tolist() == below.tolist()
    assert 0 < number < word.size


@pytest.mark.parametrize("sure", SURE)
def test_a_class_that_is_sure_to_have_an_outcome_has_no_limit(interpreted, sure):
    limit = np.zeros((2, 2), np.uint32)
    for with_service, without in (([0.5, sure], [0.5, 0.5]), ([0.5, 0.5], [0.5, sure])):
        assert outcomes._fill_limits(np.array(with_service), np.array(without), limit) == outcomes.NO_LIMITS
    assert outcomes._fill_limits(np.array([0.5, 0.3]), np.array([0.5, 0.3]), limit) == outcomes.ALIKE


@pytest.mark.parametrize("missing", [0.0, 0.3, *SURE])
@pytest.mark.parametrize("mistaken", [0.0, 0.6, *SURE])
def test_what_is_verified_of_a_person_in_every_case(interpreted, missing, mistaken):
    word = np.array([0, 2**30, 2**31, 2**32 - 1], np.uint32)
    for parent, instead, has in ((0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0)):
        given = [np.full(4, each, np.uint8) for each in (parent, instead, has)]
        shown = np.zeros(4, np.uint8)
        u = (word + 0.5) / 2**32
        expected = u >= missing if has else (u < mistaken) & bool(parent and not instead)
        assert outcomes._verify(word, *given, missing, mistaken, shown) == expected.sum()
        assert shown.tolist() == expected.tolist()


LARGE = """
deal: a large cohort
time: {start: 2020-01, step: year, horizon: 3 years}
frailty_correlation: 0%
cohorts:
  all: {people: 700, referred: 2020-01 to 2020-12}
outcomes:
  job: {better: fewer, without_service: 60%, effect: -20%, evidence: {missing: 30%, mistaken: 10%}}
  path:
    steps: {first: {chance: 50%}, second: {chance: 40%}}
structures:
  as signed:
    rate_card: {job: 100, first: 70, second: 20}
    at_most: {per_person: 130}
"""


def test_everybody_of_a_large_cohort_has_the_luck_of_their_own_address():
    """One by one from the words of Philox: two to an outcome, two milestones to a block, 1,024 blocks to a person."""
    plan = compile_plan(loads(LARGE))
    shared = Simulation(plan, 5, ["as signed"])
    values, _ = parameters.values(plan, shared.value_keys, 0, 3)
    out, _, _, _ = shared.outcomes(0, values)
    for draw in range(3):
        found = np.zeros((3, 3))
        for person in range(700):
            job = [(int(w) + 0.5) / 2**32 for w in philox(shared.keys.chain[0, 0], draw, 1024 * person)]
            path = [(int(w) + 0.5) / 2**32 for w in philox(shared.keys.chain[1, 0], draw, 1024 * person)]
            true = job[0] < 0.48
            found[0] += true, job[0] < 0.6, job[1] >= 0.3 if true else job[1] < 0.1
            first = path[0] < 0.5
            second = first and path[2] < 0.4
            found[1] += first
            found[2] += second
        assert np.array_equal(out.counts[draw, :, 0, [TRUE, WITHOUT, VERIFIED]].T, found)


CAPPED = """
deal: a cap per person
time: {start: 2020-01, step: year, horizon: 3 years}
frailty_correlation: 50%
cohorts:
  all: {people: 30, referred: 2020-01 to 2020-12}
outcomes:
  late: {without_service: 60%, known_after: 12 months}
  early: {without_service: 50%}
structures:
  as signed:
    rate_card: {late: 100, early: 70}
    at_most: {per_person: 130}
"""


def test_the_cap_per_person_takes_what_the_joint_chance_of_both_outcomes_says():
    """130 of 170 for those who have both: 70 for the early outcome and 60 for the late one."""
    plan, kinds, paid = drawn(loads(CAPPED), 61, ["as signed"])
    assert plan.people
    counts = kinds["verified"]
    sigma = pi / sqrt(3)

    def chance(a):
        return quad(lambda z: norm.pdf(z) / (1 + np.exp(-(a + sigma * z))), -9, 9)[0]

    a, b = (brentq(lambda a, p=p: chance(a) - p, -9, 9) for p in (0.6, 0.5))
    both = quad(lambda z: norm.pdf(z) / (1 + np.exp(-(a + sigma * z))) / (1 + np.exp(-(b + sigma * z))), -9, 9)[0]
    money = Sample.of(paid["as signed"])
    error = sqrt(money.variance / DRAWS)
    assert is_close((money.mean - 30 * (60 + 35 - 40 * both)) / error)
    # negative controls: no cap; a cap on independent outcomes; draw by draw the cap takes whole forties
    assert not is_close((money.mean - 30 * (60 + 35)) / error)
    assert not is_close((money.mean - 30 * (60 + 35 - 40 * 0.3)) / error)
    taken = counts @ np.array([100, 70]) - paid["as signed"]
    assert np.all(np.abs(taken / 40 - np.round(taken / 40)) < 1e-9)
