"""What triggers say of the true effect: against closed forms, and against runs of the deal with its effects set."""

from pathlib import Path

import numpy as np
import pytest
from closeness import is_close, z_of_share
from scipy.stats import binom, norm

from simulator.dealfile import load, loads
from simulator.run import simulate
from simulator.triggers import GRID_DRAWS, SHARES_AT_SIZES, SHARES_OF_PROMISE, SIZES, triggers

SCENARIOS = Path(__file__).parent.parent / "scenarios"
DRAWS = 40_000

GROUP = """
deal: a group of 60
time: {start: 2020-01, step: year, horizon: 2 years}
cohorts: {all: {people: 60, referred: 2020-01 to 2020-12}}
outcomes:
  placed: {without_service: 20%, effect: EFFECT, effect_as: units, promised_effect: 15%}
structures:
  threshold: {group_threshold: {outcome: placed, at_least: 20 people, pays: 1000}}
  fee: {fee: 500}
"""
PEOPLE, NEEDED, LEVEL, MEAN, SD, PROMISE = 60, 20, 0.2, 0.08, 0.06, 0.15


@pytest.fixture(scope="module")
def group():
    return triggers(loads(GROUP.replace("EFFECT", "8% ± 6%")), DRAWS)


def chance(effect, people=PEOPLE):
    return binom.sf(NEEDED - 1, people, np.clip(LEVEL + effect, 0, 1))


def of_effect(low, high):
    """P(low < effect < high and the trigger is met), by Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    effects = 0.5 * (high - low) * nodes + 0.5 * (high + low)
    return 0.5 * (high - low) * float(weights @ (norm.pdf(effects, MEAN, SD) * chance(effects)))


def shared(paid, number):
    """Whether a conditional probability of an answer is the exact one."""
    return is_close(z_of_share(paid["probability"], number, DRAWS * MET))


MET = of_effect(MEAN - 8 * SD, MEAN + 8 * SD)


def test_chances_given_that_a_trigger_was_met_are_those_of_the_closed_form(group):
    found = group["structures"]["threshold"]["triggers"]["group threshold"]
    none = of_effect(MEAN - 8 * SD, 0.0) / MET
    below = of_effect(MEAN - 8 * SD, PROMISE) / MET
    assert is_close(z_of_share(found["probability"]["probability"], MET, DRAWS))
    assert shared(found["no_effect_if_met"], none)
    assert shared(found["below_promise_if_met"], below)
    # negative controls: chances before anything was paid
    assert not shared(found["no_effect_if_met"], norm.cdf(0.0, MEAN, SD))
    assert not shared(found["below_promise_if_met"], norm.cdf(PROMISE, MEAN, SD))


def test_false_and_missed_triggers_and_the_power_are_binomial_tails(group):
    found = group["structures"]["threshold"]["triggers"]["any payment"]
    assert is_close(z_of_share(found["false_trigger"]["probability"], chance(0.0), DRAWS))
    assert is_close(z_of_share(found["missed_trigger"]["probability"], 1 - chance(PROMISE), DRAWS))
    assert [each["share_of_promise"] for each in found["power"]] == list(SHARES_OF_PROMISE)
    for each in found["power"]:
        assert each["effect"] == pytest.approx(each["share_of_promise"] * PROMISE)
        exact = chance(each["effect"])
        assert is_close(z_of_share(each["probability"], exact, GRID_DRAWS))
        # negative control: the tail for one person fewer
        other = binom.sf(NEEDED - 2, PEOPLE, LEVEL + each["effect"])
        if 0.01 < exact < 0.99:
            assert not is_close(z_of_share(each["probability"], other, GRID_DRAWS))


def test_the_true_effect_is_the_parameter_and_not_what_happened():
    """With an effect that is certain, no draw is without one, though many have no additional outcome."""
    deal = loads(GROUP.replace("EFFECT", "0.1%").replace("20 people", "10 people"))
    found = triggers(deal, 4_000)["structures"]["threshold"]["triggers"]["group threshold"]
    assert found["no_effect_if_met"]["probability"] == 0.0
    assert found["below_promise_if_met"]["probability"] == 1.0
    assert simulate(deal, 4_000).outcomes["placed"].additional.p50 == 0


def test_twice_the_people_are_twice_the_people(group):
    cells = {each["times"]: each for each in group["structures"]["threshold"]["sizes"]["cohort"]}
    assert list(cells) == list(SIZES)
    for times, each in cells.items():
        people = int(PEOPLE * times)
        assert each["people"] == people
        assert [point["share_of_promise"] for point in each["power"]] == list(SHARES_AT_SIZES)
        for point in each["power"]:
            exact, other = (chance(point["effect"], number) for number in (people, people + 3))
            if not 1e-9 < exact < 1 - 1e-9:
                assert point["probability"] == pytest.approx(exact, abs=1e-8)
                continue
            assert is_close(z_of_share(point["probability"], exact, GRID_DRAWS))
            if 0.1 < exact < 0.9 and other < 1 - 1e-9:
                # negative control: three people more
                assert not is_close(z_of_share(point["probability"], other, GRID_DRAWS))
        zero, *_, promise = (point["probability"] for point in each["power"] if point["share_of_promise"] in {0, 1})
        assert each["false_trigger"]["probability"] == zero
        assert each["missed_trigger"]["probability"] == pytest.approx(1 - promise)
    assert group["structures"]["threshold"]["sizes"]["comparison_arm"] is None


def test_the_size_of_the_deal_gives_the_answers_of_the_deal():
    answer = triggers(load(SCENARIOS / "peterborough.yaml"), 4_096, structures=["as signed"])
    found = answer["structures"]["as signed"]
    for cells in found["sizes"].values():
        same = next(each for each in cells if each["times"] == 1.0)
        whole = found["triggers"]["any payment"]
        assert {key: same[key] for key in whole if key != "power"} == {
            key: whole[key] for key in whole if key != "power"
        }
        by_label = {"any payment": same} | same["triggers"]
        assert set(by_label) == set(found["triggers"])
        for label, each in found["triggers"].items():
            assert by_label[label]["false_trigger"] == each["false_trigger"]
            assert by_label[label]["power"] == [
                point for point in each["power"] if point["share_of_promise"] in SHARES_AT_SIZES
            ]
        assert same["expected_payment"] == found["payments"]["expected"]
    assert {kind: cells[2]["people"] for kind, cells in found["sizes"].items()} == {
        "comparison_arm": pytest.approx(29_000),
        "cohort": pytest.approx(2_900),
    }
    # a larger comparison arm has fewer false triggers
    false = [each["false_trigger"]["probability"] for each in found["sizes"]["comparison_arm"]]
    assert false == sorted(false, reverse=True)
    assert false[0] > false[-1] + 0.03


def test_a_fee_tells_nothing_of_the_effect(group):
    for each in group["structures"]["fee"]["triggers"].values():
        assert each["probability"]["probability"] == 1.0
        rest = {key: value for key, value in each.items() if key != "probability"}
        assert set(rest.values()) == {None}


ZERO = {
    "peterborough": (["outcomes.reconvictions.effect=0%"], ["outcomes.reconvictions.effect=-10%"]),
    "augsburg": (["outcomes.placed for nine months.effect=0%"], ["outcomes.placed for nine months.effect=19%"]),
    "innovation_fund": (["quantities.effect of the service=0%"], None),
}


@pytest.mark.parametrize("name", ZERO)
def test_the_false_trigger_is_the_trigger_of_the_deal_without_effect_to_the_bit(name):
    path, draws = SCENARIOS / f"{name}.yaml", 128 if name == "innovation_fund" else 2_048
    answer = triggers(load(path), draws, seed=3)
    zero, promise = ZERO[name]
    without = simulate(load(path, zero), draws, seed=3)
    for structure, each in answer["structures"].items():
        for label, found in each["triggers"].items():
            if found["false_trigger"] is not None:
                assert found["false_trigger"] == without[structure].triggers[label]._data
    if promise is not None:
        promised = simulate(load(path, promise), draws, seed=3)
        for structure, each in answer["structures"].items():
            for label, found in each["triggers"].items():
                if found["missed_trigger"] is not None:
                    met = promised[structure].triggers[label].probability
                    assert found["missed_trigger"]["probability"] == pytest.approx(1 - met, abs=1e-12)


def test_an_effect_that_is_set_is_no_longer_correlated_just_as_in_the_file():
    text = GROUP.replace("EFFECT", "what it does").replace("20%,", "level,", 1)
    text += "quantities: {what it does: 8% ± 6%, level: uniform(10%, 30%)}\n"
    text += "correlations: [{between: [what it does, level], rank: 70%}]\n"
    answer = triggers(loads(text), 4_096, 2)["structures"]["threshold"]["triggers"]["any payment"]
    without = simulate(loads(text, sets=["quantities.what it does=0%"]), 4_096, 2)
    assert answer["false_trigger"] == without["threshold"].triggers["any payment"]._data
    # negative control: the correlation matters as long as the effect is drawn
    alone = simulate(loads(text[: text.index("correlations")]), 4_096, 2)
    assert answer["probability"] != alone["threshold"].triggers["any payment"]._data


CHAIN = """
deal: a chain
time: {start: 2020-01, step: year, horizon: 3 years}
cohorts: {all: {people: 40, referred: 2020-01 to 2020-12}}
outcomes:
  work:
    without_service: {first_step: 30%}
    steps: {started: {chance: uniform(20%, 60%)}, kept: {chance: 50%}}
structures:
  threshold: {group_threshold: {outcome: kept, at_least: 8 people, pays: 1000}}
"""


def test_the_true_effect_of_a_chain_is_that_of_its_first_step():
    answer = triggers(loads(CHAIN), DRAWS)
    found = answer["structures"]["threshold"]["triggers"]["group threshold"]
    assert answer["effects"]["started"] == {
        "unit": "points of the first step",
        "expected": pytest.approx(0.1),
        "promised": None,
    }
    assert is_close(z_of_share(found["false_trigger"]["probability"], binom.sf(7, 40, 0.15), DRAWS))
    for each in found["power"]:
        # shares of the expected effect, since nothing is promised
        exact = binom.sf(7, 40, 0.5 * (0.3 + 0.1 * each["share_of_promise"]))
        assert is_close(z_of_share(each["probability"], exact, GRID_DRAWS))
    assert found["missed_trigger"] is None
    assert found["below_promise_if_met"] is None
    nodes, weights = np.polynomial.legendre.leggauss(100)

    def met(low, high):
        return 0.5 * (high - low) * weights @ binom.sf(7, 40, 0.25 * ((high - low) * nodes + high + low))

    exact = met(0.2, 0.3) / met(0.2, 0.6)
    number = DRAWS * found["probability"]["probability"]
    assert is_close(z_of_share(found["no_effect_if_met"]["probability"], exact, number))
    assert not is_close(z_of_share(found["no_effect_if_met"]["probability"], 0.25, number))


def test_without_effect_all_payments_are_deadweight():
    path = SCENARIOS / "innovation_fund.yaml"
    for effect, low in (("0%", 1.0), ("-21%", 1.1)):
        deal = load(path, [f"quantities.effect of the service={effect}"])
        found = triggers(deal, 64, structures=["as signed"])["structures"]["as signed"]["triggers"]["any payment"]
        assert found["deadweight_share"]["value"] >= low - 1e-12
        assert found["no_effect_if_met"]["probability"] == 1.0


def test_the_expected_payment_is_compared_with_that_at_the_expected_effect(group):
    found = group["structures"]["threshold"]["payments"]
    assert found["difference"]["value"] == pytest.approx(
        found["expected"]["value"] - found["at_expected_effect"]["value"]
    )
    exact = 1000 * (MET - chance(MEAN))
    assert abs(found["difference"]["value"] - exact) < 4.5 * found["difference"]["standard_error"]
    assert abs(found["difference"]["value"]) > 6 * found["difference"]["standard_error"]  # so that it can fail


def test_threads_move_no_number():
    deal = loads(GROUP.replace("EFFECT", "8% ± 6%"))
    assert triggers(deal, 10_000, threads=1) == triggers(deal, 10_000, threads=3)


def test_the_effect_under_a_structure_is_what_it_has_there():
    text = GROUP.replace("EFFECT", "8%").replace("  fee:", "  fee:", 1)
    text = text.replace("threshold: {", "threshold: {effectiveness: uniform(100%, 300%), ", 1)
    found = triggers(loads(text), DRAWS)["structures"]["threshold"]["triggers"]["group threshold"]
    nodes, weights = np.polynomial.legendre.leggauss(100)

    def met(low, high):
        return 0.5 * (high - low) * weights @ chance(0.08 * 0.5 * ((high - low) * nodes + high + low))

    # below 15 points is below 187.5% of 8
    exact = met(1.0, 1.875) / met(1.0, 3.0)
    number = DRAWS * found["probability"]["probability"]
    assert is_close(z_of_share(found["below_promise_if_met"]["probability"], exact, number))
    assert found["no_effect_if_met"]["probability"] == 0.0
