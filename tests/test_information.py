"""The value of information against closed forms, and what it may never do."""

from pathlib import Path

import numpy as np
import pytest
from closeness import LIMIT
from scipy.stats import binom, norm

from simulator.dealfile import load, loads
from simulator.information import EVERYTHING, NOTHING, Choice, Pilot, Terms, information

SCENARIOS = Path(__file__).parent.parent / "scenarios"
DRAWS = 32_768


def of(gain):
    return gain.mean(), gain.std() / np.sqrt(gain.size)


def is_near(gain, exact):
    mean, error = of(gain)
    return abs(mean - exact) < LIMIT * error


def columns(*each):
    return np.column_stack(each)


@pytest.fixture(scope="module")
def three():
    return np.random.default_rng(5).normal(size=(3, DRAWS))


def unit_loss(mean, sd):
    """E[max(X, 0)] - max(E[X], 0) of a normal X."""
    return sd * norm.pdf(mean / sd) + mean * norm.cdf(mean / sd) - max(mean, 0.0)


@pytest.mark.parametrize("mean", [-0.5, 0.0, 0.3, 1.0])
def test_a_linear_normal_choice_has_its_closed_form(three, mean):
    x, y, e = three
    choice = Choice(columns(mean + x + 0.5 * y + e, np.zeros(DRAWS)))
    for known, sd in ((columns(x), 1.0), (columns(y), 0.5), (columns(x, y), 1.25**0.5)):
        assert is_near(choice.gain(Terms(known)), unit_loss(mean, sd))
    assert is_near(choice.foresight(), unit_loss(mean, 1.5))
    # negative control: what foresight would be worth
    assert not is_near(choice.gain(Terms(columns(x))), unit_loss(mean, 1.5))


def test_an_interaction_is_found_that_an_additive_rule_misses(three):
    x, y, e = three
    choice = Choice(columns(x * y + e, np.zeros(DRAWS)))
    exact = 1.0 / np.pi  # E|xy| / 2
    assert is_near(choice.gain(Terms(columns(x, y))), exact)
    mean, error = of(choice.gain(Terms(columns(x, y)), products=False))
    assert mean + LIMIT * max(error, 0.004) < exact
    for alone in (x, y):
        assert abs(choice.gain(Terms(columns(alone))).mean()) < 0.02


def test_three_that_interact(three):
    x, y, z = three
    choice = Choice(columns(x * y * z, np.zeros(DRAWS)))
    exact = 0.5 * (2 / np.pi) ** 1.5  # E|xyz| / 2
    gain = choice.gain(Terms(columns(x, y, z)))
    assert is_near(gain, exact)
    assert choice.gain(Terms(columns(x, y))).mean() < 0.1 * exact


def test_three_options_with_a_closed_form(three):
    x, _, e = three
    choice = Choice(columns(x + e, -x - e, np.full(DRAWS, 0.5)))
    exact = 2 * (norm.pdf(0.5) - 0.5 * norm.sf(0.5))  # E[max(|x|, 0.5)] - 0.5
    assert is_near(choice.gain(Terms(columns(x))), exact)


def test_what_has_no_influence_is_worth_nothing_at_a_tied_decision():
    """In eight samples of their own and in all together; the means of the highest fitted values fail together."""
    ours, naive, size = {1: [], 2: [], 8: []}, [], 8_192
    for seed in range(8):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=size)
        choice = Choice(columns(noise, np.zeros(size)))
        for number, found in ours.items():
            known = rng.normal(size=(size, number))
            found.append(choice.gain(Terms(known)))
            mean, error = of(found[-1])
            assert abs(mean) <= LIMIT * error
        terms = Terms(rng.normal(size=(size, 2))).of((0, 1))
        fitted = terms @ np.linalg.lstsq(terms, noise, rcond=None)[0]
        naive.append(np.maximum(fitted, 0).mean() - max(noise.mean(), 0))
    for found in ours.values():
        mean, error = of(np.concatenate(found))
        assert abs(mean) <= LIMIT * error
    # negative control: fitted and valued on the same draws
    assert np.mean(naive) > LIMIT * 0.5 / np.sqrt(8 * size)


def test_nothing_is_worth_more_than_foresight(three):
    x, y, e = three
    choice = Choice(columns(x + e, x * y, 0.2 + y))
    most = choice.foresight()
    for known in (columns(x), columns(y), columns(e), columns(x, y), columns(x, y, e)):
        assert np.all(choice.gain(Terms(known)) <= most + 1e-12)


def test_what_does_not_vary_is_worth_nothing(three):
    choice = Choice(columns(three[0], np.zeros(DRAWS)))
    assert not choice.gain(Terms(np.ones((DRAWS, 2)))).any()
    assert not choice.gain(Terms(np.empty((DRAWS, 0)))).any()


@pytest.mark.parametrize("draws", [1, 2, 7, 30])
def test_few_draws_are_no_mistake(draws):
    choice = Choice(np.random.default_rng(1).normal(size=(draws, 2)))
    gain = choice.gain(Terms(np.random.default_rng(2).normal(size=(draws, 3))))
    assert gain.shape == (draws,)
    assert np.isfinite(gain).all()


# ---------------------------------------------------------------------------------------------------------------
# Deals
# ---------------------------------------------------------------------------------------------------------------

CHOICE = """
deal: a choice
time: {start: 2020-01, step: year, horizon: 2 years}
rates: {payer: 0%, investor: 0%}
quantities: {effect: "normal(mean 10%, sd 5%)"}
cohorts: {all: {people: 1000, referred: 2020-01 to 2020-12}}
outcomes: {placed: {without_service: 40%, effect: effect, effect_as: units}}
structures:
  fee: {fee: 10500, paid: at the start, costs: {set_up: 1000}}
  dearer: {fee: 12000, paid: at the start}
  card:
    rate_card: {placed: 20}
    costs: {delivery: 10200 a year}
    finance: {commitment: 20000, called: at the start}
"""


@pytest.fixture(scope="module")
def deal():
    return information(loads(CHOICE), DRAWS, value={"placed": 100.0}, pilots=[Pilot(50, 40.0), Pilot(1000, None, 2.0)])


def is_near_to(found, exact):
    return abs(found["value"] - exact) < LIMIT * found["standard_error"]


def test_the_payer_s_choice_has_its_closed_form(deal):
    """Net benefit of the fee: 100 x 1000 x effect - 10,500, normal of mean -500 and sd 5,000; nothing is at 0."""
    found = deal["decisions"]["payer"]
    assert found["best"] == NOTHING
    assert is_near_to(found["information"]["effect"], unit_loss(-500.0, 5000.0))
    assert is_near_to(found["information"][EVERYTHING], unit_loss(-500.0, 5000.0))
    assert not is_near_to(found["information"]["effect"], unit_loss(-500.0, 6000.0))
    # luck adds what the paired counts vary by: |effect| x 1000 people change, and no more
    luck = (100**2 * 1000 * 0.1) ** 0.5
    assert found["foresight"]["value"] < unit_loss(-500.0, 5000.0 + luck)
    assert found["foresight"]["value"] >= found["information"]["effect"]["value"]


def test_the_investor_s_choice_has_its_closed_form(deal):
    """Net present value of the card: 20 x 1000 x (40% + effect) - 10,200, normal of mean -200 and sd 1,000."""
    found = deal["decisions"]["investor: card"]
    assert found["best"] == "do not fund"
    assert is_near_to(found["information"]["effect"], unit_loss(-200.0, 1000.0))
    assert set(deal["decisions"]) == {"payer", "investor: card"}


def exact_pilot(people):
    """The level without the service is known, so that a pilot tells what a binomial of the level with it tells."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    effect = 0.1 + 0.05 * 8 * nodes
    weights = 0.05 * 8 * weights * norm.pdf(effect, 0.1, 0.05)
    seen = binom.pmf(np.arange(people + 1)[:, np.newaxis], people, np.clip(0.4 + effect, 0, 1))
    return np.maximum(seen @ (weights * (100_000 * effect - 10_500)), 0.0).sum()


def test_a_pilot_is_worth_what_its_posterior_is(deal):
    few, many = deal["decisions"]["payer"]["pilots"]
    assert (few["people"], few["comparison"]) == (50, 50)
    assert (many["people"], many["comparison"]) == (1000, 2000)
    assert is_near_to(few["worth"], exact_pilot(50))
    assert is_near_to(many["worth"], exact_pilot(1000))
    # negative control: a pilot of another size
    assert not is_near_to(few["worth"], exact_pilot(100))
    assert not is_near_to(few["worth"], exact_pilot(25))
    assert few["net"]["value"] == pytest.approx(few["worth"]["value"] - 40.0)
    assert many["net"] is None


def test_nothing_is_worth_more_than_foresight_in_a_deal():
    answer = information(
        load(SCENARIOS / "peterborough.yaml"),
        8_192,
        value={"reconvictions": 14_000.0},
        groups=[["outcomes.reconvictions.effect", "outcomes.reconvictions.without_service"]],
    )
    for found in answer["decisions"].values():
        for each in found["information"].values():
            assert each["value"] <= found["foresight"]["value"] + 1e-6
            assert each["value"] >= -LIMIT * each["standard_error"]
    payer = answer["decisions"]["payer"]["information"]
    both = payer["outcomes.reconvictions.effect + outcomes.reconvictions.without_service"]
    assert both["value"] > payer["outcomes.reconvictions.effect"]["value"] + 50_000


def test_a_tied_choice_is_not_worth_knowing_what_has_no_influence():
    text = CHOICE.replace("people: 1000", "people: 1000, referrals: 100%").replace("10500", "10000")
    text = text.replace("fee: 12000", "fee: normal(mean 12000, sd 10)")
    found = information(loads(text), DRAWS, structures=["fee"], value={"placed": 100.0})["decisions"]["payer"]
    (irrelevant,) = [name for name in found["information"] if "dearer" in name or "lump_sum" in name]
    each = found["information"][irrelevant]
    assert abs(each["value"]) <= LIMIT * each["standard_error"]
    assert found["information"]["effect"]["value"] > 1_500


def test_without_a_value_the_payer_does_not_choose():
    answer = information(loads(CHOICE), 100)
    assert set(answer["decisions"]) == {"investor: card"}
    assert len(answer["notes"]) == 1


def test_threads_move_no_number():
    more = {"value": {"placed": 100.0}, "pilots": [Pilot(10)]}
    assert information(loads(CHOICE), 5_000, threads=1, **more) == information(loads(CHOICE), 5_000, threads=3, **more)


def test_wrong_names_are_refused():
    for wrong in ({"structures": ["none"]}, {"value": {"none": 1.0}}, {"groups": [["none"]]}):
        with pytest.raises(KeyError):
            information(loads(CHOICE), 10, **wrong)
    with pytest.raises(ValueError, match="pilot"):
        information(loads(CHOICE), 10, pilots=[Pilot(0)])


def test_additional_outcomes_are_those_that_a_structure_has():
    text = CHOICE.replace("fee: {fee: 10500,", "fee: {effectiveness: 200%, fee: 10500,")
    options = information(loads(text), 8_192, value={"placed": 100.0})["decisions"]["payer"]["options"]
    assert abs(options["fee"]["value"] - 9_500) < LIMIT * options["fee"]["standard_error"]
    assert abs(options["dearer"]["value"] + 2_000) < LIMIT * options["dearer"]["standard_error"]
