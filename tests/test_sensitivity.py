"""Tornado, break-even and indices, against deals whose metrics are linear, or a product, in what is not known."""

from pathlib import Path

import numpy as np
import pytest
from closeness import LIMIT

from simulator.compare import compare
from simulator.copula import normal_correlation
from simulator.dealfile import load, loads
from simulator.sensitivity import indices, sensitivity

SCENARIOS = Path(__file__).parent.parent / "scenarios"

DRAWS = 16_384

LINEAR = """
deal: a fee
time: {start: 2020-01, step: year, horizon: 2 years}
cohorts: {all: {people: 10, referred: 2020-01 to 2020-12}}
outcomes: {placed: {without_service: 50%}}
structures:
  fee:
    fee: uniform(900, 1100)
    costs: {set_up: uniform(100, 500), delivery: "normal(mean 600, sd 50) a year"}
"""
FEE, SET_UP, DELIVERY = "structures.fee", "structures.costs.set_up", "structures.costs.delivery"
FEE = "structures.pays.fee.amount.lump_sum"
PARTS = {FEE: 200**2 / 12, SET_UP: 400**2 / 12, DELIVERY: 50.0**2}


@pytest.fixture(scope="module")
def linear():
    return sensitivity(loads(LINEAR), DRAWS)


def is_near(found, exact):
    return abs(found["value"] - exact) < LIMIT * found["standard_error"]


def test_a_linear_metric_has_the_indices_of_its_variances(linear):
    found = linear["structures"]["fee"]["surplus"]["indices"]
    whole = sum(PARTS.values())
    assert set(found) == {*PARTS, "luck", "measurement"}
    for name, part in PARTS.items():
        assert is_near(found[name]["first"], part / whole)
        assert is_near(found[name]["total"], part / whole)
        # negative control: shares of standard deviations
        wrong = part**0.5 / sum(each**0.5 for each in PARTS.values())
        assert not is_near(found[name]["total"], wrong)
    for name in ("luck", "measurement"):
        assert found[name] == {key: {"value": 0.0, "standard_error": 0.0} for key in ("first", "total")}


def test_payments_do_not_depend_on_costs(linear):
    found = linear["structures"]["fee"]["payments"]["indices"]
    assert found[SET_UP]["total"]["value"] == 0.0
    assert is_near(found[FEE]["first"], 1.0)


PRODUCT = """
deal: a product
time: {start: 2020-01, step: year, horizon: 2 years}
quantities: {price: "uniform(10, 90)", turnout: "uniform(50%, 150%)"}
cohorts: {all: {people: 100_000, referred: 2020-01 to 2020-12, referrals: turnout}}
outcomes: {placed: {without_service: 100%}}
structures: {card: {rate_card: {placed: price}}}
"""


def test_a_product_has_its_interaction_in_the_total_and_not_in_the_first_order():
    found = sensitivity(loads(PRODUCT), DRAWS)["structures"]["card"]["payments"]["indices"]
    (a, s), (b, t) = (50.0, 80**2 / 12), (1.0, 1 / 12)  # means and variances
    whole = a**2 * t + b**2 * s + s * t
    exact = {"price": (b**2 * s, b**2 * s + s * t), "turnout": (a**2 * t, a**2 * t + s * t)}
    for name, (first, total) in exact.items():
        assert is_near(found[name]["first"], first / whole)
        assert is_near(found[name]["total"], total / whole)
        # negative control: one for the other
        assert not is_near(found[name]["first"], total / whole) or not is_near(found[name]["total"], first / whole)


def test_luck_is_an_input_among_the_others():
    text = LINEAR.replace("fee: uniform(900, 1100)", "rate_card: {placed: 40}").replace("50%", "uniform(40%, 60%)")
    found = sensitivity(loads(text), DRAWS)["structures"]["fee"]["payments"]["indices"]
    spread = 0.2**2 / 12
    chance, luck = 100 * spread, 10 * (0.25 - spread)
    assert is_near(found["outcomes.placed.without_service"]["first"], chance / (chance + luck))
    assert is_near(found["luck"]["total"], luck / (chance + luck))
    assert not is_near(found["luck"]["total"], chance / (chance + luck))


CORRELATED = """
deal: two that move together
time: {start: 2020-01, step: year, horizon: 2 years}
quantities: {a: "normal(mean 500, sd 30)", b: "normal(mean 500, sd 40)", c: "normal(mean 500, sd 50)"}
correlations: [{between: [a, b], rank: 60%}]
cohorts: {all: {people: 10, referred: 2020-01 to 2020-12}}
outcomes: {placed: {without_service: 50%}}
structures: {fee: {fee: 3000, costs: {set_up: a, delivery: b a year, management: c a year}}}
"""


def test_correlated_inputs_have_one_index_and_are_refused_each():
    answer = sensitivity(loads(CORRELATED), DRAWS)
    found = answer["structures"]["fee"]["surplus"]
    assert set(found["indices"]) == {"a + b", "c", "luck", "measurement"}
    (note,) = answer["notes"]
    assert "'a', 'b'" in note
    assert "refused" in note
    both = 30**2 + 40**2 + 2 * normal_correlation(0.6) * 30 * 40
    assert is_near(found["indices"]["a + b"]["total"], both / (both + 50**2))
    assert is_near(found["indices"]["a + b"]["first"], both / (both + 50**2))
    # negative control: as if they were independent
    assert not is_near(found["indices"]["a + b"]["total"], (30**2 + 40**2) / (30**2 + 40**2 + 50**2))
    # one at a time, the other stays as it was drawn
    assert found["tornado"]["a"]["swing"]["value"] == pytest.approx(-2 * 1.2815515655446 * 30, rel=1e-9)


def test_the_tornado_of_a_linear_metric_is_exact(linear):
    found = linear["structures"]["fee"]["surplus"]
    mean = found["mean"]["value"]
    swing = found["tornado"][FEE]["swing"]
    assert swing["value"] == pytest.approx(160.0)  # 80% of the range
    assert swing["standard_error"] == pytest.approx(0.0, abs=1e-9)  # the same draws
    assert found["tornado"][SET_UP]["swing"]["value"] == pytest.approx(-320.0)
    middle = 0.5 * (found["tornado"][FEE]["low"]["value"] + found["tornado"][FEE]["high"]["value"])
    assert abs(middle - mean) < LIMIT * found["mean"]["standard_error"]
    assert linear["unknowns"][FEE]["p10"] == pytest.approx(920.0)
    assert linear["unknowns"][DELIVERY]["p90"] == pytest.approx(600 + 50 * 1.2815515655446)


def test_the_break_even_of_a_linear_metric_is_where_its_mean_is_zero():
    """Surplus = fee - set-up - delivery, of means 1000, 300 and 600: the mean is zero with the fee at 900."""
    found = sensitivity(loads(LINEAR.replace("900, 1100", "700, 1300")), DRAWS)["structures"]["fee"]["surplus"]
    even = found["break_even"]
    for name, exact in ((FEE, 900.0), (SET_UP, 400.0), (DELIVERY, 700.0)):
        assert even[name]["crossings"] == 1
        assert is_near(even[name], exact)
        assert even[name]["standard_error"] < 3.0
    assert even[FEE]["percentile"] == pytest.approx(1 / 3, abs=0.02)


def test_a_break_even_outside_the_range_is_never():
    found = sensitivity(loads(LINEAR.replace("900, 1100", "1500, 1600")), 512)["structures"]["fee"]["surplus"]
    for name in PARTS:
        assert found["break_even"][name] == {
            "value": None,
            "standard_error": None,
            "percentile": None,
            "crossings": 0,
            "always": "at least",
        }
    found = sensitivity(loads(LINEAR.replace("900, 1100", "10, 20")), 512)["structures"]["fee"]["surplus"]
    assert found["break_even"][FEE]["always"] == "below"


def test_what_was_planned_stays_as_it_was():
    """A cost that turns out higher is an overrun: investors are called what was planned, and what is in arrears."""
    text = LINEAR.replace("    fee:", "    finance: {commitment: 5000}\n    fee:")
    found = sensitivity(loads(text), 512, value={"placed": 1.0})["structures"]["fee"]
    assert "surplus" not in found  # investors bear it
    assert found["multiple"]["break_even"][FEE]["crossings"] in {0, 1}
    assert found["net_benefit"]["tornado"][FEE]["swing"]["value"] < 0
    assert found["multiple"]["tornado"][FEE]["swing"]["value"] > 0


def test_indices_of_a_constant_are_undefined():
    assert indices(np.ones(10), np.ones(10), np.ones(10)) is None


def test_threads_move_no_number():
    assert sensitivity(loads(LINEAR), 5_000, threads=1) == sensitivity(loads(LINEAR), 5_000, threads=3)


def test_the_net_benefit_is_that_of_the_comparison():
    deal = load(SCENARIOS / "essex.yaml")
    found = sensitivity(deal, 128, structures=["as signed"])
    compared = compare(deal, 128, structures=["as signed"], against=[])["structures"]["as signed"]["net_benefit"]
    mean = found["structures"]["as signed"]["net_benefit"]["mean"]
    assert mean["value"] == pytest.approx(compared["mean"], rel=1e-9)
    # what a day is worth moves it, and no other metric
    for metric, each in found["structures"]["as signed"].items():
        swing = each["tornado"]["savings.placements.each"]["swing"]["value"]
        assert (swing > 1e6) if metric == "net_benefit" else (swing == 0.0)
