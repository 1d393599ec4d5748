"""Luck or skill: the split of a variance against the beta-binomial, which has an exact one."""

from pathlib import Path

import numpy as np
import pytest
from closeness import LIMIT

from simulator.compare import compare
from simulator.dealfile import load, loads
from simulator.luck import luck, split

SCENARIOS = Path(__file__).parent.parent / "scenarios"
DRAWS = 100_000

BETA = """
deal: a beta-binomial
time: {start: 2020-01, step: year, horizon: 2 years}
cohorts: {all: {people: 50, referred: 2020-01 to 2020-12}}
outcomes:
  placed: {without_service: "beta(mean 30%, sd 8%)", evidence: {missing: 20%}}
structures:
  card: {rate_card: {placed: 10}, finance: {commitment: 100}, costs: {delivery: 100 a year}}
  fee: {fee: 500}
"""
N, MEAN, VARIANCE, KEPT, PRICE = 50, 0.3, 0.08**2, 0.8, 10.0


def exact_parts(price=PRICE):
    """Variance of a count of verified outcomes: of the chance, of the binomial, of the evidence."""
    spread = MEAN * (1 - MEAN) - VARIANCE  # E[p (1 - p)]
    parts = np.array([N**2 * VARIANCE * KEPT**2, N * spread * KEPT**2, N * MEAN * KEPT * (1 - KEPT)])
    return price**2 * parts


@pytest.fixture(scope="module")
def found():
    return luck(loads(BETA), DRAWS, value={"placed": 7.0})["structures"]


def close(shares, exact):
    return [
        abs(each["value"] - number) < LIMIT * each["standard_error"]
        for each, number in zip(shares.values(), exact, strict=True)
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_variance_of_a_beta_binomial_is_split_exactly(seed):
    shares = luck(loads(BETA), DRAWS, seed, ["card"])["structures"]["card"]["payments"]["shares"]
    parts = exact_parts()
    assert all(close(shares, parts / parts.sum()))
    # negative control: luck as if the chance were known to be its mean (N p (1 - p), without the - VARIANCE)
    wrong = parts.copy()
    wrong[1] = PRICE**2 * N * MEAN * (1 - MEAN) * KEPT**2 * 1.1
    assert not all(close(shares, wrong / wrong.sum()))
    # and luck that takes in the measurement
    wrong = np.array([parts[0], parts[1] + parts[2], 0.0])
    assert not any(close(shares, wrong / wrong.sum())[1:])


def test_the_standard_deviation_is_that_of_the_metric(found):
    assert found["card"]["payments"]["sd"] == pytest.approx(np.sqrt(exact_parts().sum()), rel=0.01)


def test_shares_add_to_the_whole(found):
    for metrics in found.values():
        for each in metrics.values():
            if each is not None:
                assert sum(part["value"] for part in each["shares"].values()) == pytest.approx(1.0, abs=1e-12)


def test_what_does_not_vary_has_no_shares(found):
    assert found["fee"]["payments"] is None
    assert found["fee"]["multiple"] is None


def test_the_multiple_of_a_card_has_the_shares_of_its_payments(found):
    # with capital of 100 called for certain the multiple is a constant times the payments
    for layer, each in found["card"]["multiple"]["shares"].items():
        assert each["value"] == pytest.approx(found["card"]["payments"]["shares"][layer]["value"], abs=1e-9)


def test_the_net_benefit_is_what_additional_outcomes_are_worth_less_the_cost(found):
    # there is no effect: no additional outcome; the cost is discounted payments
    for layer, each in found["card"]["net_benefit"]["shares"].items():
        assert each["value"] == pytest.approx(found["card"]["payments"]["shares"][layer]["value"], abs=1e-9)
    assert "net_benefit" not in luck(loads(BETA), 100)["structures"]["card"]


def test_without_an_evaluator_nothing_is_measurement():
    shares = luck(loads(BETA.replace("missing: 20%", "missing: 0%")), 10_000)["structures"]["card"]["payments"][
        "shares"
    ]
    assert shares["measurement"] == {"value": 0.0, "standard_error": 0.0}


def test_with_known_chances_nothing_is_unknown():
    text = BETA.replace('"beta(mean 30%, sd 8%)"', "30%")
    shares = luck(loads(text), DRAWS)["structures"]["card"]["payments"]["shares"]
    assert abs(shares["not_known"]["value"]) < LIMIT * shares["not_known"]["standard_error"]
    assert shares["luck"]["value"] > 0.5


def test_the_comparison_arm_is_measurement():
    shares = luck(load(SCENARIOS / "peterborough.yaml"), 8_192)["structures"]
    assert shares["as signed"]["payments"]["shares"]["measurement"]["value"] > 0.03
    assert shares["event by event"]["payments"]["shares"]["measurement"]["value"] == 0.0


def test_people_drawn_one_by_one_have_the_same_shares():
    shares = luck(loads(BETA + "engine: people\n"), 20_000)["structures"]["card"]["payments"]["shares"]
    parts = exact_parts()
    assert all(close(shares, parts / parts.sum()))


def test_draws_in_which_a_metric_is_undefined_are_left_out():
    a = np.array([1.0, 2.0, np.nan, 4.0])
    found = split(a, np.array([2.0, np.nan, 1.0, 3.0]), np.array([1.0, 1.0, 1.0, 4.0]))
    assert found["count"] == 2
    assert found["shares"]["measurement"]["value"] == 0.0


def test_threads_move_no_number():
    assert luck(loads(BETA), 10_000, threads=1) == luck(loads(BETA), 10_000, threads=3)


def test_an_unknown_name_is_refused():
    for wrong in ({"structures": ["none"]}, {"value": {"none": 1.0}}):
        with pytest.raises(KeyError):
            luck(loads(BETA), 10, **wrong)


def test_the_net_benefit_is_by_the_worths_of_the_file_unless_others_are_given():
    deal = load(SCENARIOS / "essex.yaml")
    by_file, given = (luck(deal, 1_024, structures=["as signed"], value=v) for v in (None, {"days in care": 1e-9}))
    sd = compare(deal, 1_024, structures=["as signed"], against=[])["structures"]["as signed"]["net_benefit"]["sd"]
    assert by_file["structures"]["as signed"]["net_benefit"]["sd"] == pytest.approx(sd, rel=0.05)
    assert by_file["valued"] == {"days in care": {"source": "file", "savings": ["placements"], "social_value": []}}
    # worth next to nothing: only the cost varies
    assert given["valued"] == {"days in care": {"source": "asked", "each": 1e-9}}
    assert given["structures"]["as signed"]["net_benefit"]["sd"] < 0.6 * sd
