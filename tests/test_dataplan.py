"""The data plan: what it costs both ways, and the most that its items could be worth."""

from pathlib import Path

import pytest

from simulator.dataplan import data_plan
from simulator.dealfile import load, loads
from simulator.information import information
from simulator.run import simulate
from simulator.yamlfile import DealError

SCENARIOS = Path(__file__).parent.parent / "scenarios"
TEXT = """
deal: a plan
time: {start: 2020-01, step: quarter, horizon: 3 years, service: 2020-01 to 2021-12}
rates: {payer: 0%}
quantities: {effect: "normal(mean 10%, sd 5%)"}
cohorts: {all: {people: 1000, referred: 2020-01 to 2020-12, referrals: 50%}}
outcomes: {placed: {without_service: 40%, effect: effect, effect_as: units}}
structures: {fee: {fee: uniform(4900, 5100), paid: at the start}}
data_items:
  outcomes:
    {kind: impact, needed_by: [city, provider, evaluator], cost: 100 a year, passing_on: 10 a year, informs: effect}
  register: {kind: process, needed_by: city, cost: 2 per person, mandatory: statutory}
  prices: {kind: cost-benefit, needed_by: [city, provider], cost: 1m, informs: structures.fee.pays.fee.amount.lump_sum}
  both: {kind: impact, needed_by: city, cost: 1m, informs: [effect, structures.fee.pays.fee.amount.lump_sum]}
  audit: {kind: process, needed_by: city, cost: 1m at the end, mandatory: audit, informs: effect}
  moods: {kind: performance management, needed_by: provider, cost: uniform(50, 150)}
evidence_serves: {people: 1000, decisions: 3}
"""


@pytest.fixture(scope="module")
def found():
    return data_plan(loads(TEXT), 8_192, value={"placed": 100.0})


def test_costs_are_those_of_each_party_on_its_own_or_collected_once(found):
    costs = {name: (each["cost_each_on_its_own"], each["cost_collected_once"]) for name, each in found["items"].items()}
    assert costs == {
        "outcomes": (600.0, 240.0),  # two years; three parties, or one and two to whom it is passed on
        "register": (1000.0, 1000.0),  # half of 1,000 people are expected
        "prices": (2e6, 1e6),
        "both": (1e6, 1e6),
        "audit": (1e6, 1e6),
        "moods": (100.0, 100.0),
    }
    assert found["total"] == {
        "cost_each_on_its_own": {"all": 4_001_700.0, "mandatory": 1_001_000.0},
        "cost_collected_once": {"all": 3_001_340.0, "mandatory": 1_001_000.0},
    }


def test_worth_is_that_of_the_numbers_which_an_item_informs(found):
    known = information(
        loads(TEXT), 8_192, value={"placed": 100.0}, groups=[["effect", "structures.pays.fee.amount.lump_sum"]]
    )["decisions"]["payer"]["information"]
    items = found["items"]
    assert items["outcomes"]["worth_here"] == known["effect"]
    assert items["prices"]["worth_here"] == known["structures.pays.fee.amount.lump_sum"]
    assert items["both"]["worth_here"] == known["effect + structures.pays.fee.amount.lump_sum"]
    assert items["outcomes"]["worth_here"]["value"] > 500.0
    for each in items.values():
        if each["worth_here"] is not None:
            # three decisions on 1,000 people each, and 500 people here
            assert each["worth_later"]["value"] == pytest.approx(6 * each["worth_here"]["value"])
            assert each["worth_later"]["standard_error"] == pytest.approx(6 * each["worth_here"]["standard_error"])


def test_advice_never_says_collect_and_never_drops_what_is_mandatory(found):
    assert {name: each["advice"] for name, each in found["items"].items()} == {
        "outcomes": "consider",
        "register": "must",
        "prices": "drop",
        "both": "drop",
        "audit": "must",  # dear, and worth no more than the others
        "moods": "not valued",
    }


def test_without_a_value_nothing_is_valued():
    answer = data_plan(loads(TEXT), 100)
    assert {each["worth_here"] for each in answer["items"].values()} == {None}
    assert {each["advice"] for each in answer["items"].values()} == {"must", "not valued"}
    assert len(answer["notes"]) == 1


def test_what_is_certain_by_now_is_worth_nothing():
    items = data_plan(loads(TEXT, sets=["quantities.effect=10%"]), 1_000, value={"placed": 100.0})["items"]
    assert items["outcomes"]["worth_here"] == {"value": 0.0, "standard_error": 0.0}
    assert items["outcomes"]["advice"] == "drop"


def test_a_data_plan_moves_no_number_of_the_deal():
    without = TEXT[: TEXT.index("data_items")]
    one, other = (simulate(loads(text), 500).to_dict() for text in (TEXT, without))
    for each in (one, other):
        for key in ("elapsed", "environment", "deal_hash"):
            del each[key]
    assert one == other


WRONG = {
    "informs: effect}": (
        "informs: effects}",
        "data_items.outcomes.informs: 'effects' is no number of the deal; did you",
    ),
    "needed_by: provider": ("needed_by: []", "data_items.moods.needed_by: is needed by nobody"),
    "[city, provider, evaluator]": ("[city, city]", "data_items.outcomes.needed_by: 'city' stands there twice"),
    "mandatory: audit": ("mandatory: perhaps", "data_items.audit.mandatory"),
    "kind: cost-benefit": ("kind: costs", "data_items.prices.kind"),
}


@pytest.mark.parametrize("old", WRONG)
def test_mistakes_are_said(old):
    new, message = WRONG[old]
    with pytest.raises(DealError) as caught:
        loads(TEXT.replace(old, new, 1))
    assert message in str(caught.value)


def test_evidence_without_data_is_a_mistake():
    text = TEXT[: TEXT.index("data_items")] + "evidence_serves: {people: 10}\n"
    with pytest.raises(DealError, match="there is no evidence without data"):
        loads(text)


def test_essex_carries_a_plan():
    answer = data_plan(load(SCENARIOS / "essex.yaml"), 4_096, value={"days in care": 120.0})
    items = answer["items"]
    assert {each["kind"] for each in items.values()} == {
        "performance management",
        "process",
        "impact",
        "cost-benefit",
    }
    total = answer["total"]
    assert total["cost_collected_once"]["all"] < 0.6 * total["cost_each_on_its_own"]["all"]
    assert items["days in care"]["advice"] == items["safeguarding record"]["advice"] == "must"
    assert items["hours of therapists by family"]["worth_here"] is not None
    both, alone = (items[name]["worth_here"] for name in ("days in care", "days in care of like people elsewhere"))
    assert both["value"] >= alone["value"] - 4.5 * (both["standard_error"] + alone["standard_error"])
