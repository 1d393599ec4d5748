"""The value of information against closed forms, and what it may never do."""

from pathlib import Path

import numpy as np
import pytest
from closeness import LIMIT
from scipy.stats import betabinom, binom, norm

from simulator.compare import compare
from simulator.dealfile import load, loads
from simulator.information import EVERYTHING, NOTHING, Arm, Choice, Pilot, Terms, information

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


ARMS = CHOICE.replace('quantities: {effect: "normal(mean 10%, sd 5%)"}', "").replace(
    "outcomes: {placed: {without_service: 40%, effect: effect, effect_as: units}}",
    "outcomes: {path: {steps: {placed: {chance: 50%}}, without_service: {first_step: 'beta(mean 40%, sd 10%)'}}}",
)
SCORES = """
deal: points, measured against others
time: {start: 2020-01, step: year, horizon: 2 years}
rates: {payer: 0%, investor: 0%}
cohorts: {all: {people: 400, referred: 2020-01 to 2020-12}}
outcomes:
  points:
    counts: score
    without_service: normal(mean 50, sd 4)
    effect: normal(mean 2, sd 1)
    effect_as: units
    spread: 15
    comparison_arm: {people: 1 per person, effective_share: 60%, shared_bias: 0% ± 1.5%}
measures: {more: {increase_in: points, against: comparison_arm, as: per person}}
structures:
  card: {pays: {points: {for: all cohorts that ran, amount: {price: 1, times: more}}}}
  fee: {fee: 82000, paid: at the start}
data_items: {tests: {kind: impact, needed_by: them, cost: 10}}
evidence_serves: {people: 200, decisions: 6}
"""


def exact_arm(people):
    """Beta-binomial: what the service does is known, and the arm alone tells what would have come without it."""
    a, b = 9.2, 13.8
    seen = np.arange(people + 1)
    gain = 100_000 * (0.5 - (a + seen) / (a + b + people)) - 10_500
    return (betabinom.pmf(seen, people, a, b) * np.maximum(gain, 0.0)).sum()


def test_an_arm_of_the_deal_is_worth_what_its_posterior_is():
    found = information(
        loads(ARMS), DRAWS, structures=["fee"], value={"placed": 100.0}, arms=[Arm(20, 300.0), Arm(300)]
    )
    few, many = found["decisions"]["payer"]["arms"]
    assert (few["people"], few["comparison"]) == (1000.0, 20)
    assert is_near_to(few["worth"], exact_arm(20))
    assert is_near_to(many["worth"], exact_arm(300))
    # negative control: arms of other sizes
    assert not is_near_to(few["worth"], exact_arm(30))
    assert not is_near_to(many["worth"], exact_arm(60))
    assert found["later"] == {"people": None, "decisions": None, "times": 1.0}
    assert few["worth_later"] == few["worth"]
    assert few["net"]["value"] == pytest.approx(few["worth"]["value"] - 300.0)
    assert few["net"]["standard_error"] == few["worth"]["standard_error"]
    assert many["net"] is None


def exact_scores(people, *, share=0.6, bias=0.015):
    """Linear and normal: the sd of the mean effect that is expected after both groups have been measured."""
    level = 4.0**2
    with_service = level + 1.0 + 15.0**2 / 400
    compared = level + 15.0**2 / (share * people) + (50 * bias) ** 2
    cov = np.array([1.0, 0.0])  # of the effect with what is measured with the service, and without
    seen = np.array([[with_service, level], [level, compared]])
    learnt = (cov @ np.linalg.solve(seen, cov)) ** 0.5
    return unit_loss(100 * 400 * 2.0 - 82_000, 100 * 400 * learnt)


def test_an_arm_of_the_file_is_as_good_as_the_file_says_and_serves_all_later_decisions():
    arms = [Arm(50), Arm(400, 5_000.0)]
    found = information(loads(SCORES), DRAWS, structures=["fee"], value={"points": 100.0}, arms=arms)
    few, many = found["decisions"]["payer"]["arms"]
    # negative controls: half as many of them count; no bias
    assert not is_near_to(few["worth"], exact_scores(50, share=0.3))
    assert not is_near_to(many["worth"], exact_scores(400, bias=0.0))
    for each in (few, many):
        assert is_near_to(each["worth"], exact_scores(each["comparison"]))
        assert each["worth_later"]["value"] == pytest.approx(3 * each["worth"]["value"])
        assert each["worth_later"]["standard_error"] == pytest.approx(3 * each["worth"]["standard_error"])
    assert found["later"] == {"people": 200.0, "decisions": 6.0, "times": 3.0}
    assert many["net"]["value"] == pytest.approx(many["worth_later"]["value"] - 5_000.0)


def test_no_arm_is_worth_more_than_knowing_everything():
    found = information(load(SCENARIOS / "peterborough.yaml"), 8_192, arms=[Arm(1), Arm(1_000), Arm(100_000)])
    for each in found["decisions"].values():
        most = each["information"][EVERYTHING]
        worths = [arm["worth"]["value"] for arm in each["arms"]]
        assert worths[2] <= most["value"] + LIMIT * most["standard_error"]
    worths = [arm["worth"]["value"] for arm in found["decisions"]["payer"]["arms"]]
    assert worths[0] + 200_000 < worths[1] + 100_000 < worths[2]


@pytest.mark.parametrize("name", ["peterborough", "essex"])
def test_the_payer_s_net_benefit_is_that_of_the_comparison(name):
    deal = load(SCENARIOS / f"{name}.yaml")
    options = information(deal, 600)["decisions"]["payer"]["options"]
    compared = compare(deal, 600, against=["nothing"])["structures"]
    assert set(options) == {*compared, NOTHING}
    for each, answers in compared.items():
        assert options[each]["value"] == pytest.approx(answers["net_benefit"]["mean"], rel=1e-9)
        assert options[each]["standard_error"] == pytest.approx(answers["net_benefit"]["standard_error"], rel=1e-9)


HAPPY = "{happy: {without_service: 10%, effect: 5%, effect_as: units}, placed: {"
VALUED = f"""
{CHOICE.replace("{placed: {", HAPPY, 1)}
savings:
  nights: {{outcome: placed, to: health, each: 70 once, evidence: some, one_of: nights}}
  beds: {{outcome: placed, to: council, each: 60 once, evidence: some, one_of: nights}}
social_value: {{joy: {{outcome: happy, each: 40 once, evidence: some}}}}
optimism_bias: {{some: 50%}}
"""


def test_a_value_that_is_given_replaces_those_of_the_file_for_this_outcome_only():
    """Of 1,000 people 100 more are placed and 50 more happy: worth 35 and 20 in the file."""
    wanted = {(): 100 * 35 + 50 * 20, ("placed",): 100 * 90 + 50 * 20, ("happy",): 100 * 35 + 50 * 90}
    for names, benefit in wanted.items():
        answer = information(loads(VALUED), 8_192, structures=["fee"], value=dict.fromkeys(names, 90.0))
        found = answer["decisions"]["payer"]["options"]["fee"]
        assert is_near_to(found, benefit - 10_500)
        assert {name for name, each in answer["valued"].items() if each["source"] == "asked"} == set(names)
    assert answer["valued"] == {
        "happy": {"source": "asked", "each": 90.0},
        "placed": {"source": "file", "savings": ["nights", "beds"], "social_value": []},
    }


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
    assert answer["valued"] == {}
    assert len(answer["notes"]) == 1


def test_threads_move_no_number():
    more = {"value": {"placed": 100.0}, "pilots": [Pilot(10)], "arms": [Arm(10)]}
    assert information(loads(CHOICE), 5_000, threads=1, **more) == information(loads(CHOICE), 5_000, threads=3, **more)


def test_wrong_names_are_refused():
    for wrong in ({"structures": ["none"]}, {"value": {"none": 1.0}}, {"groups": [["none"]]}):
        with pytest.raises(KeyError):
            information(loads(CHOICE), 10, **wrong)
    with pytest.raises(ValueError, match="pilot"):
        information(loads(CHOICE), 10, pilots=[Pilot(0)])
    with pytest.raises(ValueError, match="arm"):
        information(loads(CHOICE), 10, arms=[Arm(0.5)])


def test_additional_outcomes_are_those_that_a_structure_has():
    text = CHOICE.replace("fee: {fee: 10500,", "fee: {effectiveness: 200%, fee: 10500,")
    options = information(loads(text), 8_192, value={"placed": 100.0})["decisions"]["payer"]["options"]
    assert abs(options["fee"]["value"] - 9_500) < LIMIT * options["fee"]["standard_error"]
    assert abs(options["dearer"]["value"] + 2_000) < LIMIT * options["dearer"]["standard_error"]
