"""The finance agreement: published terms settle to published figures, and paper is worth what a calculator says."""

import dataclasses
import datetime
import json
from pathlib import Path

import numpy as np
import pytest
from deals import Player, deals
from hypothesis import given, settings

import simulator as sib
from simulator import ledger as book_of
from simulator.deal import reads_account
from simulator.dealfile import load, loads, show
from simulator.observed import Observed, Row
from simulator.run import simulate
from simulator.settle import settle
from simulator.terms import text as text_of
from simulator.yamlfile import DealError

YEARS = (2013, 2014, 2015, 2016)
END_OF_2021 = datetime.date(2021, 12, 31)
SCENARIOS = Path(__file__).parent.parent / "scenarios"

pytestmark = pytest.mark.usefixtures("kernels")

BOND = """
deal: a bond
time: {start: 2020-01, step: quarter, horizon: 6 years, financial_year_starts: January, service: 2020-01 to 2024-12}
cohorts:
  year 1: {people: 100, referred: 2020-01 to 2020-12}
  year 2: {people: 100, referred: 2021-01 to 2021-12}
  year 3: {people: 100, referred: 2022-01 to 2022-12}
outcomes:
  home: {without_service: 50%}
measures:
  rate: {share_of: home}
structures:
  as signed:
    pays: {success: {for: all cohorts that ran, amount: {lump_sum: PAID}}}
    costs: {delivery: 20 a year}
    finance: FINANCE
"""


def settled(finance, results=(), *, paid=0, ended=None, text=BOND):
    """Settle a small deal of one structure on observed results."""
    deal = loads(text.replace("FINANCE", finance).replace("PAID", str(paid)))
    answer = settle(deal, Observed(tuple(results), ended=ended))["structures"]["as signed"]
    return answer["investor"]


def of_years(*rates):
    return [Row(cohort=f"year {y}", measure="rate", value=rate, size=100) for y, rate in enumerate(rates, 1)]


def flows(investor, who):
    """What a party got from the paper, by date."""
    found = {}
    for row in investor["schedule"]:
        sign = (row["to"] == who) - (row["from"] == who)
        if row["amount"] and sign:
            found[row["date"]] = found.get(row["date"], 0.0) + sign * row["amount"]
    return found


# ---------------------------------------------------------------------------------------------------------------
# Published deals
# ---------------------------------------------------------------------------------------------------------------


def test_rikers_paid_nothing_and_the_guarantor_six_of_the_seven_point_two_million_lent():
    """Bond Buyer, July 2015: 7.2 million lent, 6 million guaranteed, so that the lender lost 1.2 million."""
    answer = sib.settle(load(SCENARIOS / "rikers.yaml"), SCENARIOS / "results" / "rikers.yaml")
    signed = answer["structures"]["as signed"]
    assert signed["payments"] == 0 and signed["payments_are"] == "exact"
    lender = signed["investor"]["tranches"]["Goldman Sachs"]
    assert lender["called"] - lender["distributed"] == pytest.approx(1_200_000)
    assert signed["investor"]["guarantor_cost"] == pytest.approx(6_000_000)


@pytest.mark.parametrize(
    ("reduction", "paid"),
    [
        # from memory of the city's fact sheet of 2012; only 10% and the largest profit were found published (NYT 2012)
        (0.20, 11_712_000),
        (0.16, 10_944_000),
        (0.13, 10_368_000),
        (0.125, 10_272_000),
        (0.12, 10_176_000),
        (0.11, 10_080_000),
        (0.10, 9_600_000),
        (0.0999, 4_800_000),
        (0.085, 4_800_000),
        (0.0849, 0),
    ],
)
def test_rikers_pays_by_steps(reduction, paid):
    sizes = tuple(Row(cohort=f"entered in {y}", size=3000) for y in YEARS)
    found = settle(load(SCENARIOS / "rikers.yaml"), Observed((Row(measure="fewer days", value=reduction), *sizes)))
    assert found["structures"]["as signed"]["payments"] == pytest.approx(paid, abs=0.01)


def test_rikers_lender_can_lose_a_quarter_and_no_more():
    """The New York Times, 2 August 2012: Goldman could lose as much as 2.4 million, or make up to 2.1 million."""
    deal = load(SCENARIOS / "rikers.yaml")
    sizes = tuple(Row(cohort=f"entered in {y}", size=3000) for y in YEARS)
    worst = settle(deal, Observed((Row(measure="fewer days", value=0.0), *sizes)))["structures"]["as signed"][
        "investor"
    ]
    best = settle(deal, Observed((Row(measure="fewer days", value=0.3), *sizes)))["structures"]["as signed"]["investor"]
    assert worst["called"] - worst["distributed"] == pytest.approx(2_400_000, abs=1)
    assert worst["guarantor_cost"] == pytest.approx(7_200_000, abs=1)
    assert best["distributed"] - best["called"] == pytest.approx(2_112_000, abs=1)
    assert best["guarantor_cost"] == 0


@pytest.mark.parametrize(
    ("rate", "coupon"),
    [
        # The Sydney Morning Herald, 31 August 2014; 3% at 55% and the cap: Eureka Report, 20 May 2013
        (0.60, 0.075),
        (0.65, 0.12),
        (0.70, 0.15),
        (0.80, 0.15),
        (0.55, 0.05),
        (0.40, 0.05),
    ],
)
def test_newpin_first_coupon(rate, coupon):
    rows = (Row(cohort="year 1", measure="restoration rate", value=rate),)
    signed = settle(load(SCENARIOS / "newpin.yaml"), Observed(rows))["structures"]["as signed"]
    got = flows(signed["investor"], "bond")
    assert got["2014-06-30"] == pytest.approx(7_000_000 * coupon)


def test_newpin_results_file_pays_the_published_first_coupon():
    answer = sib.settle(load(SCENARIOS / "newpin.yaml"), SCENARIOS / "results" / "newpin.csv")
    assert flows(answer["structures"]["as signed"]["investor"], "bond")["2014-06-30"] == pytest.approx(525_000)


def test_newpin_coupons_are_read_between_the_published_points():
    """Pro Bono Australia, 15 August 2016: 7.5%, 8.9% and 12.15%: rates of 61.6% and 65.25% by the published line."""
    rows = tuple(
        Row(cohort=f"year {y}", measure="restoration rate", value=rate)
        for y, rate in enumerate((0.60, 0.6158, 0.6525), 1)
    )
    signed = settle(load(SCENARIOS / "newpin.yaml"), Observed(rows))["structures"]["as signed"]
    got = flows(signed["investor"], "bond")
    coupons = [got[date] / 7_000_000 for date in ("2014-06-30", "2015-06-30", "2016-06-30")]
    assert coupons == pytest.approx([0.075, 0.089, 0.1215], abs=3e-4)


def test_newpin_minimum_ends_after_three_years():
    rows = tuple(Row(cohort=f"year {y}", measure="restoration rate", value=0.40) for y in range(1, 8))
    signed = settle(load(SCENARIOS / "newpin.yaml"), Observed(rows))["structures"]["as signed"]
    got = flows(signed["investor"], "bond")
    assert list(got) == ["2013-07-01", "2014-06-30", "2015-06-30", "2016-06-30", "2020-09-30"]
    assert got["2020-09-30"] == pytest.approx(3_500_000)


# ---------------------------------------------------------------------------------------------------------------
# Paper of known worth
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.08])
def test_a_bond_at_par_yields_its_coupon(rate):
    finance = (
        f"{{called: at the start, tranches: {{bond: {{commitment: 1000, coupon: {rate:.0%}, matures: 2024-12}}}}}}"
    )
    bond = settled(finance, of_years(0.5, 0.5, 0.5), paid=2000)
    assert bond["irr"] == pytest.approx(rate, abs=1e-9)
    assert bond["distributed"] == pytest.approx(1000 * (1 + 5 * rate))
    assert bond["unpaid"] == 0


def test_interest_at_maturity_is_compounded_over_the_whole_term():
    terms = "{rate: 6%, paid: at maturity}"
    finance = f"{{called: at the start, tranches: {{bond: {{commitment: 1000, coupon: {terms}, matures: 2024-12}}}}}}"
    bond = settled(finance, of_years(0.5, 0.5, 0.5), paid=2000)
    assert flows(bond, "bond") == pytest.approx({"2020-01-01": -1000, "2024-12-31": 1000 * 1.06**5})
    assert bond["irr"] == pytest.approx(0.06, abs=1e-9)


@pytest.mark.parametrize("terms", ["", ", matures: 2024-12"])
@pytest.mark.parametrize("paid", [900, 1200, 3000])
def test_accrued_interest_yields_its_rate_whenever_it_is_paid(terms, paid):
    coupon = "{rate: 10%, paid: accrued}"
    finance = f"{{called: at the start, tranches: {{bond: {{commitment: 1000, coupon: {coupon}{terms}}}}}}}"
    bond = settled(finance, of_years(0.5, 0.5, 0.5), paid=paid)
    assert bond["unpaid"] == pytest.approx(0, abs=1e-6)
    assert bond["irr"] == pytest.approx(0.10, abs=1e-9)


def test_a_coupon_that_cannot_be_paid_stays_owed_unless_the_provider_backs_it():
    finance = "{called: at the start, tranches: {bond: {commitment: 100, coupon: 50%, matures: 2024-12BACKED}}}"
    bare = settled(finance.replace("BACKED", ""), of_years(0.5, 0.5, 0.5))
    assert bare["distributed"] == pytest.approx(60)  # 50 after the first year, then 10: costs of 20 a year fall first
    assert bare["unpaid"] == pytest.approx(100 * (1 + 5 * 0.5) - 60)
    assert bare["paid_by_provider"] == 0
    backed = settled(finance.replace("BACKED", ", backed_by: provider"), of_years(0.5, 0.5, 0.5))
    assert backed["distributed"] == pytest.approx(350) and backed["unpaid"] == 0
    assert backed["paid_by_provider"] == pytest.approx(350 - 60)


CUMULATIVE = """{called: at the start, tranches: {bond: {commitment: 1000, matures: 2024-12, backed_by: provider,
  coupon: {by: rate, table: {below: 1%, points: [[40%, 2%], [60%, 6%]], between: straight line, above: 9%},
    at_least: {rate: 3%, in: years 1 to 2}, at_most: 8%},
  principal: {by: rate, table: {below: 50%, points: [[50%, 75%], [60%, 100%]]}}}}}"""


def test_a_coupon_follows_a_cumulative_share_and_its_bounds():
    counts = [Row(cohort=f"year {y}", outcome="home", value=n, size=100) for y, n in enumerate((10, 80, 60), 1)]
    bond = settled(CUMULATIVE, counts)
    got = flows(bond, "bond")
    # 10% raised to 3%; 45% cumulative: 3%; then 50%: 4%, for the rest of the term; 75% of the capital
    dates = ["2020-12-31", "2021-12-31", "2022-12-31", "2023-12-31"]
    assert [got[date] for date in dates] == pytest.approx([30, 30, 40, 40])
    assert got["2024-12-31"] == pytest.approx(40 + 750)
    high = settled(CUMULATIVE, [dataclasses.replace(row, value=90) for row in counts])
    assert flows(high, "bond")["2020-12-31"] == pytest.approx(80)  # 9%, cut to 8%
    assert flows(high, "bond")["2024-12-31"] == pytest.approx(1080)


@pytest.mark.parametrize(
    ("rate", "p", "e"), [(0.04, 0.0, None), (0.05, 0.05, 0.08), (0.16, 0.06, 0.105), (0.9, 0.1, 0.3)]
)
def test_two_classes_with_different_tables(rate, p, e):
    finance = """{called: at the start, tranches: {
      P: {commitment: 750, matures: 2024-12, backed_by: provider,
          coupon: {by: rate, paid: at maturity, table: {below: 0%, points: [[5%, 5%], [15%, 6%], [40%, 10%]]}}},
      E: {commitment: 250, matures: 2024-12, backed_by: provider,
          coupon: {by: rate, paid: at maturity, table: {below: 0%, points: [[5%, 8%], [15%, 10.5%], [40%, 30%]]}},
          principal: {by: rate, table: {below: 0%, points: [[5%, 100%]]}}}}}"""
    both = settled(finance, of_years(rate, rate, rate))["tranches"]
    assert both["P"]["irr"] == pytest.approx(p, abs=1e-9)
    assert both["E"]["irr"] == pytest.approx(-1 if e is None else e, abs=1e-9)
    assert both["P"]["called"] == 750 and both["E"]["called"] == 250


def test_early_redemption_pays_by_the_year():
    finance = """{called: at the start, tranches: {bond: {commitment: 1000, matures: 2024-12, backed_by: provider,
      coupon: 4%, redeemed_early: {below: 75%, points: [[3, 50%]]}}}}"""
    early = settled(finance, of_years(0.5), ended=END_OF_2021)
    got = flows(early, "bond")
    assert got["2022-03-31"] == pytest.approx(750 + 10)  # a quarter's interest with it
    assert early["called"] == 1000 and early["distributed"] == pytest.approx(750 + 90)


@pytest.mark.parametrize(
    ("guarantee", "pays"),
    [
        ("recovery: 75%", 75.0),
        ("share_of_loss: 40%", 40.0),
        ("amount: 30", 30.0),
        ("amount: 3000", 100.0),
        ("by_capital_called: {below: 0, points: [[0, 0], [50, 45], [150, 95]], between: straight line}", 70.0),
    ],
)
def test_forms_of_a_guarantee(guarantee, pays):
    finance = f"{{commitment: 200, guarantee: {{guarantor: a foundation, {guarantee}}}}}"
    lender = settled(finance, of_years(0.5, 0.5, 0.5))
    assert lender["called"] == pytest.approx(100)  # five years at 20
    assert lender["guarantor_cost"] == pytest.approx(pays)
    assert lender["distributed"] == pytest.approx(pays)
    assert settled(finance, of_years(0.5, 0.5, 0.5), paid=500)["guarantor_cost"] == 0


@pytest.mark.parametrize(
    ("guarantees", "pays"),
    [
        # of a loss of 100: a share of the whole loss each, in whatever order
        ([{"share_of_loss": "50%"}, {"share_of_loss": "20%"}], [50, 20]),
        ([{"share_of_loss": "80%"}, {"share_of_loss": "60%"}], [80, 20]),  # no more than is left
        ([{"amount": 30}, {"recovery": "75%"}], [30, 45]),  # tops up what the first left
        ([{"recovery": "75%"}, {"amount": 30}], [75, 25]),
        # on another day the loss is what is left by then
        ([{"share_of_loss": "50%", "due": "2025-04"}, {"share_of_loss": "50%"}], [50, 25]),
    ],
    ids=str,
)
def test_several_guarantors_pay_in_the_order_of_the_file(guarantees, pays):
    listed = [{"guarantor": name} | each for name, each in zip(("A", "B"), guarantees, strict=True)]
    lender = settled(f"{{commitment: 200, guarantee: {json.dumps(listed)}}}", of_years(0.5, 0.5, 0.5))
    assert lender["called"] == pytest.approx(100)
    got = [sum(row["amount"] for row in lender["schedule"] if row["from"] == name) for name in ("A", "B")]
    assert got == pytest.approx(pays)
    assert lender["guarantor_cost"] == pytest.approx(sum(pays))


def test_several_guarantors_have_their_fees_and_are_repaid_in_proportion():
    listed = [
        {"guarantor": "A", "amount": 15, "due": "2021-12", "fee": 3, "repaid": True},
        {"guarantor": "B", "amount": 5, "due": "2021-12", "fee": 1, "repaid": True},
        {"guarantor": "C", "share_of_loss": "100%", "due": "2021-12"},
    ]
    text = BOND.replace("service: 2020-01 to 2024-12", "service: 2020-01 to 2020-12")
    finance = f"{{commitment: 200, guarantee: {json.dumps(listed)}}}"
    lender = settled(finance, of_years(0.5, 0.5, 0.5), paid=10, text=text)
    assert lender["called"] == pytest.approx(24)  # all of it is lost by the end of 2021, and 10 come a year later
    assert lender["guarantor_cost"] == pytest.approx(24 - 4 - 10)
    told = sib.explain(loads(text.replace("FINANCE", finance).replace("PAID", "10")))["structures"]["as signed"]
    assert flows(told, "A") == pytest.approx({"2020-03-31": 3, "2021-12-31": -15, "2022-12-31": 7.5})
    assert flows(told, "B") == pytest.approx({"2020-03-31": 1, "2021-12-31": -5, "2022-12-31": 2.5})
    assert flows(told, "C") == pytest.approx({"2021-12-31": -4})


def test_several_guarantors_are_named_and_their_mistakes_too():
    deal = loads(
        BOND.replace(
            "FINANCE",
            "{commitment: 200, guarantee: [{guarantor: A, amount: 5, of: investors}, "
            "{guarantor: B, recovery: 80%, due: 2021-12, repaid: true}]}",
        ).replace("PAID", "0")
    )
    assert loads(show(deal)) == deal
    answers = simulate(deal, draws=8).to_dict()["structures"]["as signed"]["guarantor"]
    assert answers["name"] == "A, B" and answers["cost"]["mean"] > 0
    said = text_of(deal)
    assert "A pays up to GBP 5 of the capital that was not repaid to investors, at the end.\n" in said
    assert (
        "B tops the capital that was repaid up to 80% of what was called, in 2021-12, and is repaid from what" in said
    )
    with pytest.raises(DealError) as caught:
        loads(
            BOND.replace("FINANCE", "{commitment: 200, guarantee: [{guarantor: provider, amount: 5}, {guarantor: B}]}")
        )
    lines = str(caught.value).splitlines()
    assert any("guarantee.0.guarantor: the name stands for a party of every deal" in line for line in lines)
    assert any("guarantee.1: says not exactly one thing" in line for line in lines)
    with pytest.raises(DealError, match="there is none; allowed: a guarantee, or a list of them"):
        loads(BOND.replace("FINANCE", "{commitment: 200, guarantee: []}").replace("PAID", "0"))


def test_a_guarantor_is_repaid_from_what_comes_later_and_earns_a_fee():
    finance = (
        "{commitment: 200, guarantee: {guarantor: a foundation, recovery: 100%, due: 2021-12, fee: 3, repaid: true}}"
    )
    text = BOND.replace("service: 2020-01 to 2024-12", "service: 2020-01 to 2020-12")
    lender = settled(finance, of_years(0.5, 0.5, 0.5), paid=50, text=text)
    assert lender["called"] == pytest.approx(23) and lender["distributed"] == pytest.approx(23 + 27)
    assert lender["guarantor_cost"] == pytest.approx(-3)


def test_senior_before_junior_and_interest_before_capital():
    finance = """{called: at the start, tranches: {
      senior: {commitment: 60, coupon: {rate: 5%, paid: accrued}}, junior: {commitment: 40}}}"""
    answers = {paid: settled(finance, of_years(0.5, 0.5, 0.5), paid=paid)["tranches"] for paid in (0, 30, 70, 110)}
    owed = 60 * 1.05**3
    got = {paid: (each["senior"]["distributed"], each["junior"]["distributed"]) for paid, each in answers.items()}
    assert got[0] == pytest.approx((0, 0))
    assert got[30] == pytest.approx((30, 0))
    assert got[70] == pytest.approx((owed, 70 - owed), abs=1e-6)
    assert got[110][0] + got[110][1] == pytest.approx(110)


def test_what_is_left_is_split_in_stages():
    finance = """{called: at the start, commitment: 100, residual: [
      {until: {investors: 5% a year}, to: {investors: 95%, provider: 5%}},
      {to: {investors: 40%, provider: 60%}}]}"""
    need = 100 * 1.05**3 - 100
    for paid in (110, 500):
        got = settled(finance, of_years(0.5, 0.5, 0.5), paid=paid)["distributed"]
        rest = paid - 100
        first = min(rest, need / 0.95)
        assert got == pytest.approx(100 + 0.95 * first + 0.4 * (rest - first))
    times = finance.replace("5% a year", "1.2 times")
    assert settled(times, of_years(0.5, 0.5, 0.5), paid=500)["distributed"] == pytest.approx(
        120 + 0.4 * (400 - 20 / 0.95)
    )


def test_grants_and_deferred_costs():
    text = BOND.replace("costs: {delivery: 20 a year}", "costs: {delivery: 20 a year, management: 10 a year}")
    finance = """{called: at the start, commitment: 100, grants: {a giver: 30},
      deferred: {delivery: 50%, management: 100%}}"""
    deal = loads(text.replace("FINANCE", finance).replace("PAID", "120"))
    answer = settle(deal, Observed(tuple(of_years(0.5, 0.5, 0.5))))["structures"]["as signed"]["investor"]
    # 130 and 120 in, 50 of delivery out: 200, of which capital takes 100, deferred delivery 50 and fees 50
    assert answer["distributed"] == pytest.approx(100)
    assert answer["unpaid"] == pytest.approx(0)
    poor = settle(
        loads(text.replace("FINANCE", finance).replace("PAID", "30")), Observed(tuple(of_years(0.5, 0.5, 0.5)))
    )
    investor = poor["structures"]["as signed"]["investor"]
    assert investor["distributed"] == pytest.approx(100)
    assert investor["unpaid"] == pytest.approx(90)  # 50 + 50 deferred, 10 are left after capital


# ---------------------------------------------------------------------------------------------------------------
# Properties
# ---------------------------------------------------------------------------------------------------------------

STACK = """{{tranches: {{senior: {{commitment: {senior}}}, junior: {{commitment: {junior}}}}}}}"""


@pytest.mark.parametrize("senior", [90, 60, 30])
def test_senior_is_never_worse_off_when_junior_replaces_part_of_it(senior):
    for paid in range(0, 160, 7):
        less = STACK.format(senior=senior, junior=100 - senior)
        more = STACK.format(senior=senior - 20, junior=120 - senior)
        before, after = (
            settled(each, of_years(0.5, 0.5, 0.5), paid=paid)["tranches"]["senior"]["multiple"] for each in (less, more)
        )
        assert after >= before - 1e-9


def test_one_tranche_is_the_short_form():
    short = loads(BOND.replace("FINANCE", "{commitment: 100, surplus_to_investors: 70%}").replace("PAID", "150"))
    long = "{tranches: {investors: {commitment: 100}}, surplus_to_investors: 70%}"
    result = [simulate(deal, draws=50, seed=3) for deal in (short, loads(show(short).replace("\t", "")))]
    other = simulate(loads(BOND.replace("FINANCE", long).replace("PAID", "150")), draws=50, seed=3)
    for key, values in result[0].draws("as signed").items():
        np.testing.assert_array_equal(values, result[1].draws("as signed")[key])
        np.testing.assert_array_equal(values, other.draws("as signed")[key])


def in_money(deal, structure):
    """Whether all that a structure pays and asks for in money is said in money, and no share of a count is paid."""
    amounts = [clause.amount for clause in structure.pays.values()]
    if structure.breaks or any(each.share or each.bands or each.until for each in amounts):
        return False
    return not any(reads_account(deal, name) for clause in structure.pays.values() for name in clause.reads)


@settings(max_examples=60)
@given(deals())
def test_twice_the_money_earns_the_same_rate(deal):
    player = Player(deal)
    columns = [i for i, column in enumerate(player.plan.columns) if column.quantity.unit == "money"]
    values, one, stop, capped = player.world(0)
    for name in player.names:
        if not in_money(deal, deal.structures[name]):
            continue
        planned = player.shared.planned[name].copy()
        found, _, _ = player.ledger(name, values, one, stop, capped)
        twice = values.copy()
        twice[columns] *= 2
        player.shared.planned[name][:] = 2 * planned
        again, _, _ = player.ledger(name, twice, one, stop, 2 * capped)
        player.shared.planned[name][:] = planned
        for column in (book_of.IRR, book_of.MULTIPLE):
            np.testing.assert_allclose(found[column], again[column], rtol=1e-6, atol=1e-9)


# ---------------------------------------------------------------------------------------------------------------
# Mistakes
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finance", "says"),
    [
        ("{called: at the start}", "commitment (one class of investors) or tranches"),
        ("{commitment: 5, tranches: {a: {commitment: 5}}}", "commitment (one class of investors) or tranches"),
        ("{tranches: {a: {commitment: 0}}}", "is nothing"),
        ("{tranches: {provider: {commitment: 5}}}", "a party of every deal"),
        (
            "{tranches: {a: {commitment: 5, principal: {by: rate, table: {below: 0%, points: [[1, 1]]}}}}}",
            "at maturity",
        ),
        ("{tranches: {a: {commitment: 5, matures: 2031-01}}}", "outside the deal"),
        (
            "{tranches: {a: {commitment: 5, coupon: {by: rates, table: {below: 0%, points: [[1, 5%]]}}}}}",
            "did you mean 'rate'",
        ),
        ("{tranches: {a: {commitment: 5, coupon: {rate: 5%, every: month}}}}", "whole number of the deal's steps"),
        ("{tranches: {a: {commitment: 5, coupon: {rate: 5%, paid: at maturity}}}}", "no maturity"),
        ("{tranches: {a: {commitment: 5, backed_by: provider}}}", "nothing falls due"),
        ("{commitment: 5, residual: [{to: {investors: 50%}}]}", "50%; allowed: 100% in all"),
        ("{commitment: 5, residual: [{to: {somebody: 100%}}]}", "no tranche is called 'somebody'"),
        (
            "{commitment: 5, residual: [{until: {investors: 2 times}, to: {provider: 100%}}, {to: {provider: 100%}}]}",
            "gets nothing",
        ),
        ("{commitment: 5, guarantee: {guarantor: G}}", "one of recovery, share_of_loss, amount"),
        ("{commitment: 5, guarantee: {guarantor: G, amount: 3, of: b}}", "no tranche is called 'b'"),
        ("{commitment: 5, waterfall: [advances, planned costs, rest]}", "never pays 'capital: investors'"),
        ("{commitment: 5, waterfall: [advances, rest, planned costs, capital: investors]}", "does not end with 'rest'"),
        ("{commitment: 5, waterfall: [advances, everything]}", "no action of a waterfall"),
        ("{tranches: {a: {commitment: 5, coupon: {rate: 5%, at_least: {rate: 1%, in: 3 years}}}}}", "no span of years"),
    ],
)
def test_mistakes_of_a_finance_agreement_are_told(finance, says):
    with pytest.raises(DealError) as error:
        loads(BOND.replace("FINANCE", finance).replace("PAID", "1"))
    assert says in str(error.value)
