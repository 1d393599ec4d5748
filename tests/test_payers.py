"""Several payers, by share, layer, clause and phase: sums done by hand, and shares written in two ways."""

import numpy as np
import pytest
from deals import SMALL, Player
from test_clauses import deal_of, each, settled

from simulator import ledger as book_of
from simulator import parameters, reference
from simulator.dealfile import load, loads, show
from simulator.explain import happened_in
from simulator.run import simulate
from simulator.terms import text
from simulator.yamlfile import DealError

pytestmark = pytest.mark.usefixtures("kernels")

# 40 homes are settled in January to March 2021 and 30 in January to March 2022: 4,000 and 3,000
HOMES = each({"price": 100, "times": "home"})
EXITS = each({"price": 10, "times": "exit"})  # 80 and 40: 800 and 400


def by_payer(found):
    sums = {}
    for row in found["schedule"]:
        if row["amount"] > 0:
            sums.setdefault(row["payer"], []).append(row["amount"])
    return sums


@pytest.mark.parametrize(
    ("payers", "expected"),
    [
        ({"city": {"at_most": 5000}, "fund": "the rest"}, {"city": [4000, 1000], "fund": [2000]}),
        ({"city": {"at_most": 4000}, "fund": "the rest"}, {"city": [4000], "fund": [3000]}),
        (
            {"city": {"at_most": 1000}, "state": {"at_most": 3500}, "fund": {}},
            {"city": [1000], "state": [3000, 500], "fund": [2500]},
        ),
        ({"city": {"until": "2021-03"}, "fund": {"from": "2021-04"}}, {"city": [4000], "fund": [3000]}),
        ({"city": {"until": "2020-12"}, "fund": {"from": "2021-01"}}, {"fund": [4000, 3000]}),
        ({"city": {"share": "60%"}, "fund": "40%"}, {"city": [2400, 1800], "fund": [1600, 1200]}),
        (
            {"city": {"share": "60%", "at_most": 3000}, "fund": "the rest"},
            {"city": [2400, 600], "fund": [1600, 2400]},
        ),
        # 60% and 40%, but the city stops at 3,000: of the 1,200 that it leaves, the fund pays 500 and nobody the rest
        (
            {"city": {"share": "60%", "at_most": 3000}, "state": "40%", "fund": {"at_most": 500}},
            {"city": [2400, 600], "state": [1600, 1200], "fund": [500]},
        ),
    ],
    ids=str,
)
def test_payers_by_layer_by_phase_and_by_share(tmp_path, payers, expected):
    found = settled(tmp_path, {}, HOMES, payers=payers)
    assert by_payer(found) == {payer: pytest.approx(amounts) for payer, amounts in expected.items()}
    assert found["payments"] == pytest.approx(sum(map(sum, expected.values())))


@pytest.mark.parametrize(
    ("payers", "expected"),
    [
        # 4,000 fall due in 2021 and 3,000 in 2022; what is above the city's 2,500 a year falls on the fund
        ({"city": {"at_most_a_year": 2500}, "fund": {}}, {"city": [2500, 2500], "fund": [1500, 500]}),
        # or stays the city's: 1,500 of 2021 are paid in January to March 2022, so that 1,000 are left for the 3,000
        (
            {"city": {"at_most_a_year": 2500, "over_the_year": "carried forward"}, "fund": {}},
            {"city": [2500, 1500, 1000, 2000]},
        ),
        # within a limit for all years of 5,500: of the 3,000 it takes 1,500 on, and the fund has the rest
        (
            {"city": {"at_most_a_year": 2500, "over_the_year": "carried forward", "at_most": 5500}, "fund": {}},
            {"city": [2500, 1500, 1000, 500], "fund": [1500]},
        ),
        # by share: half of everything, of which 1,000 a year
        (
            {"city": {"share": "50%", "at_most_a_year": 1000, "over_the_year": "carried forward"}, "fund": {}},
            {"city": [1000, 1000, 1000, 500], "fund": [2000, 1500]},
        ),
    ],
    ids=str,
)
def test_a_payers_limit_of_a_year_is_lost_to_it_or_carried_forward(tmp_path, payers, expected):
    found = settled(tmp_path, {}, HOMES, payers=payers)
    assert by_payer(found) == {payer: pytest.approx(amounts) for payer, amounts in expected.items()}
    assert found["payments"] == pytest.approx(sum(map(sum, expected.values())))


def test_what_a_payer_carries_forward_says_so(tmp_path):
    payers = {"city": {"at_most_a_year": 600, "over_the_year": "carried forward"}}
    found = settled(tmp_path, {}, HOMES, payers=payers)
    assert "3,400 carried forward by city" in found["schedule"][0]["reason"]
    assert found["schedule"][0]["limited_by"] == "payer"
    assert any("carried forward by city from 2021" in row["reason"] for row in found["schedule"])
    assert found["payments"] == pytest.approx(600 * 4)  # 2021 to 2024
    assert "4,600 carried forward by city needs a later financial year" in str(found["not_yet_due"])


def test_payers_by_clause(tmp_path):
    payers = {"city": {"of": "homes"}, "state": {"of": "exits", "share": "25%"}, "fund": {"of": "exits"}}
    found = settled(tmp_path, {}, {"homes": HOMES, "exits": EXITS}, payers=payers)
    expected = {"city": [4000, 3000], "state": [200, 100], "fund": [600, 300]}
    assert by_payer(found) == {payer: pytest.approx(amounts) for payer, amounts in expected.items()}


def test_what_no_payer_pays_is_not_paid_and_says_so(tmp_path):
    found = settled(tmp_path, {}, HOMES, payers={"city": {"at_most": 4500}})
    assert found["payments"] == 4500 and found["uncapped_payments"] == 7000
    last = found["schedule"][-1]
    assert last["limited_by"] == "payer" and last["amount"] == 500
    assert "2,500 is above what its payers pay at most" in last["reason"]


def test_a_payers_limit_comes_after_the_cap_of_the_contract(tmp_path):
    found = settled(tmp_path, {}, HOMES, payers={"city": {"at_most": 4500}, "fund": {}}, at_most={"contract": 6000})
    assert by_payer(found) == {"city": [4000, 500], "fund": [1500]}


CERTAIN = """
deal: everybody succeeds
time: {start: 2020-01, step: year, horizon: 5 years, financial_year_starts: January, service: 2020-01 to 2022-12}
rates: {payer: 10% nominal}
cohorts:
  early: {people: 4, referred: 2020-01 to 2020-12}
  late: {people: 6, referred: 2021-01 to 2021-12}
outcomes:
  job: {without_service: 50%, effect: 100%, known_after: 1 year}
payer_costs: {set_up: 100, evaluation: 60 a year}
structures:
  as signed:
    rate_card: {job: 10}
    payers:
      city: {share: 25%, until: 2020-12}
      state: {until: 2021-12, at_most: 30}
      fund: {from: 2021-01}
"""


def test_costs_of_each_payer_by_year():
    # jobs of the 4 are paid in 2021 by the state up to 30, the other 10 and the 60 for the late by the fund
    # own costs: 160 in 2020, a quarter the city's; then 60 a year, the state's in 2021 and the fund's in 2022
    answers = simulate(loads(CERTAIN), draws=5, threads=1).to_dict()["structures"]["as signed"]
    years = {name: [year["mean"] for year in each["by_year"]] for name, each in answers["payers"].items()}
    assert years["city"] == pytest.approx([40, 0, 0, 0, 0])
    assert years["state"] == pytest.approx([120, 30 + 60, 0, 0, 0])
    assert years["fund"] == pytest.approx([0, 10, 60 + 60, 0, 0])
    assert answers["payers"]["fund"]["cost"]["mean"] == pytest.approx(130)
    assert answers["payers"]["state"]["cost_present_value"]["mean"] == pytest.approx(120 / 1.1 + 90 / 1.21)


SHARES = {"council": "30%", "ministry": "70%"}


def numbers(found, path=()):
    if isinstance(found, dict):
        return {place: x for key, part in found.items() for place, x in numbers(part, (*path, key)).items()}
    if isinstance(found, list):
        return {place: x for i, part in enumerate(found) for place, x in numbers(part, (*path, i)).items()}
    return {path: found}


def compared(first, second):
    assert first.keys() == second.keys()
    for place, value in first.items():
        if isinstance(value, float):
            assert second[place] == pytest.approx(value, rel=1e-9, abs=1e-9), place


def test_shares_written_as_rules_give_what_plain_shares_give():
    base = load("scenarios/peterborough.yaml")
    name = next(iter(base.structures))

    def answers(payers):
        own = base.structures[name].model_copy(update={"payers": payers})
        deal = base.model_copy(update={"structures": {name: own}})
        return simulate(deal, draws=5000, threads=1).to_dict()["structures"][name]

    plain = answers(deal_of({}, HOMES, payers=SHARES).structures["as signed"].payers)
    rules = {payer: {"share": share} for payer, share in SHARES.items()}
    found = answers(deal_of({}, HOMES, payers=rules).structures["as signed"].payers)
    assert found["payments"] == plain["payments"] and plain["payments"]["mean"] > 0
    compared(numbers(plain["payers"]), numbers(found["payers"]))


OF_THE_CARD = "    payers: {city: {share: 40%, at_most: 60000}, fund: {}}\n"
OF_THE_COMPARISON = """
    payers: {city: {share: 40%, at_most: 60000}, state: {of: [each], from: 2021-07}, fund: {at_most: 150000}}
"""


def test_costs_of_the_payers_are_the_twins_in_every_draw():
    card = "    rate_card: {job: 4000, fewer offences: 300}\n"
    deal = loads(
        SMALL.replace(card, card + OF_THE_CARD).replace(
            "    paid_after: 3 months\n", "    paid_after: 3 months" + OF_THE_COMPARISON
        )
    )
    player = Player(deal, seed=3)
    plan, years = player.plan, len(player.plan.years)
    assert [len(plan.payer_names[name]) for name in player.names] == [2, 3, 2]
    expected = parameters.row_by_path(plan.columns, plan.expected)
    spenders = set()
    for draw in range(30):
        values, one, stop, capped = player.world(draw)
        happened = happened_in(plan, one, stop, None)
        for name in player.names:
            twin = reference.play(deal, name, parameters.row_by_path(plan.columns, values), expected, happened)
            _, book, tally = player.ledger(name, values, one, stop, capped)
            for p, payer in enumerate(plan.payer_names[name]):
                out = np.zeros(book_of.OF_PAYER + years)
                book_of.measure_payer(
                    values, plan.calendar, plan.structures[name], plan.measures, one.arms, tally, p, book, out
                )
                spent = sum(twin.paid_by[payer]) + sum(twin.own_costs_of[payer])
                assert out[book_of.OWN_COST] == pytest.approx(spent, rel=1e-9, abs=1e-6)
                assert out[book_of.OF_PAYER :].sum() == pytest.approx(spent, rel=1e-9, abs=1e-6)
                spenders |= {(name, payer)} if spent > 0 else set()
    assert len(spenders) >= 6


@pytest.mark.parametrize(
    ("payers", "message"),
    [
        ({"city": "60%", "fund": {"share": "30%"}}, "pay 90% of 'it'; allowed: shares of 100%"),
        ({"city": "60%", "fund": {"share": "50%"}}, "pay 110% of 'it'"),
        ({"city": {"until": "2021-06"}}, "pay 0% of 'it' from 2021-06-30"),
        ({"city": {"of": "that"}, "fund": {}}, "no clause of this structure is called 'that'"),
        ({"city": {"until": "2020-06", "from": "2020-07"}, "fund": {}}, "is before from, 2020-07"),
        ({"city": {"share": "uniform(10%, 20%)"}, "fund": "the rest"}, "a payer's share is uncertain"),
        ({"city": {"shares": "10%"}, "fund": "the rest"}, "did you mean 'share'"),
        ({"city": "a rest"}, "is neither a number"),
        ({"city": {"over_the_year": "carried forward"}}, "nothing is above it; allowed: with at_most_a_year"),
    ],
    ids=str,
)
def test_a_mistake_is_named(payers, message):
    with pytest.raises(DealError) as caught:
        deal_of({}, HOMES, payers=payers)
    assert message in str(caught.value)


def test_payers_are_said():
    payers = {
        "city": {"of": "homes", "share": "60%", "until": "2021-03", "at_most": 5000},
        "state": {"from": "2021-04", "share": "10%"},
        "fund": {"at_most_a_year": 900, "over_the_year": "carried forward"},
    }
    shown = text(deal_of({}, {"homes": HOMES, "exits": EXITS}, payers=payers))
    assert (
        "  In all, city pays 60% of 'homes' until 2021-03, at most USD 5,000 in all; state pays 10% from 2021-04; "
        "fund pays what is left, at most USD 900 in a financial year, the rest carried forward." in shown
    )
    assert "state and fund pay USD 10 for each unit of exit" in shown


def test_a_deal_with_payers_reads_back_as_the_same_deal():
    deal = deal_of({}, HOMES, payers={"city": {"at_most": "uniform(1000, 5000)"}, "fund": "the rest"})
    assert loads(show(deal)) == deal
