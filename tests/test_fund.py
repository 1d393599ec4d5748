"""A fund that holds the investors' paper: fees, carried interest, and what they leave, by hand and against the deal."""

import numpy as np
import pytest
from alike import alike
from deals import SMALL, deals
from hypothesis import given, settings
from scipy.optimize import brentq

from simulator import loads, settle, simulate
from simulator.dealfile import paths, show
from simulator.explain import explain
from simulator.yamlfile import DealError, join_path

pytestmark = pytest.mark.usefixtures("kernels")

# Ten people who all succeed: 1,000 are put in at the start, and ten times the price comes back after four years.
CERTAIN = """
deal: ten who succeed
time: {{start: 2020-01, step: year, horizon: 6 years, financial_year_starts: January, service: 2020-01 to 2020-12}}
cohorts:
  all: {{people: 10, referred: 2020-01 to 2020-12}}
outcomes:
  job: {{without_service: 100%, known_after: 3 years}}
costs: {{set_up: 1000}}
finance:
  commitment: 1000
  called: at the start
  surplus_to_investors: 100%
  fund: {fund}
structures:
  as signed: {{rate_card: {{job: {price}}}}}
"""


def net_of(fund, price=150, **more):
    """What the fund leaves of one draw, and the deal."""
    deal = loads(CERTAIN.format(fund=fund, price=price))
    result = simulate(deal, draws=1, threads=1, **more)
    return result["as signed"].investor.net, deal


def rate_of(flows):
    """An independent root of the net present value."""
    return brentq(lambda rate: sum(flow / (1 + rate) ** t for t, flow in enumerate(flows)), -0.2, 2, xtol=1e-14)


BY_HAND = {
    # fund, price: fees and carry by hand, what its investors pay and get at the end of years 0 to 4
    "a set-up fee": ("{set_up: 10}", 150, 10, 0, [-1010, 0, 0, 0, 1500]),
    # 2% of 1,000 while service runs or capital is outstanding, which is years 1 to 4; the last from what comes in
    "a fee on the commitment": ("{fees: {management: 2%}}", 150, 80, 0, [-1000, -20, -20, -20, 1480]),
    "a fee in years that are stated": (
        "{fees: {management: {share: 2%, in: years 2 to 3}}}",
        150,
        40,
        0,
        [-1000, 0, -20, -20, 1500],
    ),
    "a fee beyond the repayment, since the years say so": (
        "{fees: {management: {share: 2%, in: years 4 to 6}}}",
        150,
        60,
        0,
        [-1000, 0, 0, 0, 1480, -20, -20],
    ),
    "two fees, one on what is outstanding": (
        "{fees: {early: {share: 2%, in: year 1}, late: {share: 1%, of: capital outstanding}}}",
        150,
        60,
        0,
        [-1000, -30, -10, -10, 1490],
    ),
    # 20% of the profit of 500
    "carry of all profit": ("{carry: 20%}", 150, 0, 100, [-1000, 0, 0, 0, 1400]),
    "no carry without profit": ("{carry: 20%}", 90, 0, 0, [-1000, 0, 0, 0, 900]),
    "carry of the profit after fees": ("{set_up: 100, carry: 20%}", 150, 100, 80, [-1100, 0, 0, 0, 1420]),
    # 1,000 x 1.05^4 = 1,215.50625 come first; 20% of the 284.49375 beyond
    "carry above a return": (
        "{carry: {share: 20%, above: 5%}}",
        150,
        0,
        56.89875,
        [-1000, 0, 0, 0, 1443.10125],
    ),
    "just short of the return": ("{carry: {share: 20%, above: 5%}}", 121.55, 0, 0, [-1000, 0, 0, 0, 1215.5]),
    # the manager has all of the next 53.8765625, 20% of the profit of 269.3828125 by then, and 20% of 230.6171875
    "carry that catches up at once": (
        "{carry: {share: 20%, above: 5%, catch_up: 100%}}",
        150,
        0,
        100,
        [-1000, 0, 0, 0, 1400],
    ),
    # half of the next 143.670833..., until the manager has 20% of 359.17708...; that is all of 359.17708 < 500
    "carry that catches up by halves": (
        "{carry: {share: 20%, above: 5%, catch_up: 50%}}",
        150,
        0,
        100,
        [-1000, 0, 0, 0, 1400],
    ),
    # 44.49375 beyond the return are too few to catch up: half of them
    "carry that has not caught up": (
        "{carry: {share: 20%, above: 5%, catch_up: 50%}}",
        126,
        0,
        22.246875,
        [-1000, 0, 0, 0, 1237.753125],
    ),
    # fees count as paid in: (10 + 1,000) x 1.05^4 + 20 x (1.05^3 + 1.05^2 + 1.05) = 1,293.8638125; 20% of 186.1361875
    "fees and carry above a return": (
        "{set_up: 10, fees: {management: 2%}, carry: {share: 20%, above: 5%}}",
        150,
        90,
        37.2272375,
        [-1010, -20, -20, -20, 1442.7727625],
    ),
}


@pytest.mark.parametrize(("fund", "price", "fees", "carry", "flows"), BY_HAND.values(), ids=BY_HAND)
def test_what_a_fund_leaves_is_that_by_hand(tmp_path, fund, price, fees, carry, flows):
    net, deal = net_of(fund, price)
    assert net.fees.mean == pytest.approx(fees, abs=1e-9)
    assert net.carry.mean == pytest.approx(carry, abs=1e-9)
    paid_in = -sum(min(flow, 0) for flow in flows)
    assert net.multiple.mean == pytest.approx(1 + sum(flows) / paid_in, abs=1e-12)
    assert net.irr.mean == pytest.approx(rate_of(flows), abs=1e-10)
    assert net.probability_of_loss.probability == float(sum(flows) < 0)
    assert net.multiple_on_committed.mean == pytest.approx(1 + sum(flows) / 1000, abs=1e-12)
    results = tmp_path / "all.csv"
    results.write_text("cohort,outcome,arm,value\nall,job,intervention,10\n")
    settled = settle(deal, str(results))["structures"]["as signed"]["investor"]["net"]
    for key in ("fees", "carry", "multiple", "irr"):
        theirs = net[key].mean
        assert settled[key] == pytest.approx(theirs, abs=1e-9), key


def test_a_return_that_forgot_the_fees_would_give_more_carry():
    """Negative control: the fees of the last case left out of what comes first would make carry 56.9 and not 37.2."""
    net, _ = net_of("{set_up: 10, fees: {management: 2%}, carry: {share: 20%, above: 5%}}")
    forgotten = 0.2 * (1480 - 1000 * 1.05**4)
    assert net.carry.mean < forgotten - 10


def test_carry_is_not_paid_back():
    """Half comes back after two years with profit, then more is called and lost: the manager keeps what it took."""
    text = """
deal: early success, late failure
time: {start: 2020-01, step: year, horizon: 5 years, financial_year_starts: January, service: 2020-01 to 2024-12}
cohorts:
  early: {people: 10, referred: 2020-01 to 2020-12}
  late: {people: 10, referred: 2022-01 to 2022-12}
outcomes:
  job: {without_service: 100%, known_after: 0 months}
costs: {delivery: 100 a year}
finance:
  commitment: 1000
  called: 1 year ahead
  recycled: false
  surplus_to_investors: 100%
  fund: {carry: 50%}
structures:
  as signed: {pays: {some: {for: each participant, cohorts: [early], amount: {price: 30, times: job}}}}
"""
    deal = loads(text)
    told = explain(deal, draw=0)["structures"]["as signed"]
    # 100 are put in; of 300 that come in after a year 100 are kept: 200 less 100 is profit, half of it carry
    taken = [row["amount"] for row in told["schedule"] if row["to"] == "fund manager"]
    assert taken == [50]
    net = simulate(deal, draws=1, threads=1)["as signed"].investor.net
    assert net.carry.mean == 50
    assert told["metrics"]["net"]["distributed"] - told["metrics"]["net"]["called"] == pytest.approx(300 - 500 - 50)


TWO = """
deal: two classes
time: {start: 2020-01, step: year, horizon: 4 years, financial_year_starts: January, service: 2020-01 to 2020-12}
cohorts: {all: {people: 10, referred: 2020-01 to 2020-12}}
outcomes: {job: {without_service: 100%, known_after: 2 years}}
costs: {set_up: 1000}
finance:
  tranches: {senior: {commitment: 600, order: 1}, junior: {commitment: 400, order: 2}}
  called: at the start
  surplus_to_investors: 0%
  fund: {of: senior, fees: {management: 1%}}
structures:
  as signed: {rate_card: {job: 80}}
"""


def test_a_fund_may_hold_one_tranche():
    investor = simulate(loads(TWO), draws=1, threads=1)["as signed"].investor
    # 600 of the 800 that come in after three years go to the senior; 1% of 600 in each of three years
    assert investor.net.of == "senior"
    assert investor.net.fees.mean == pytest.approx(18)
    assert investor.net.multiple.mean == pytest.approx((600 - 6) / (600 + 12))
    assert investor.tranches.senior.multiple.mean == 1
    assert investor.multiple.mean == pytest.approx(0.8)


FUND = "  fund: {set_up: 2000, fees: {management: 2%}, carry: {share: 20%, above: 4%, catch_up: 60%}}\n"
WITH_FUND = SMALL.replace(
    "finance: {commitment: 150000, called: 1 quarter ahead}\n",
    "finance:\n  commitment: 150000\n  called: 1 quarter ahead\n" + FUND,
)
WITH_TRANCHES = SMALL.replace(
    "finance: {commitment: 150000,", "finance: {tranches: {senior: {commitment: 100000}, junior: {commitment: 50000}},"
)


def test_a_fund_moves_no_number_of_the_deal():
    without, with_ = (simulate(loads(text), draws=5000, threads=2) for text in (SMALL, WITH_FUND))
    theirs, ours = without.to_dict(), with_.to_dict()
    for name, each in ours["structures"].items():
        assert (each["investor"] is not None and "net" in each["investor"]) == (name != "fee")
        if each["investor"] is not None:
            del each["investor"]["net"]
    assert alike(ours["structures"], theirs["structures"])
    for name in without.structures:
        for metric, values in without.draws(name).items():
            rounding = 1e-12 * (1.0 + np.abs(np.nan_to_num(values)).max())
            np.testing.assert_allclose(with_.draws(name)[metric], values, rtol=1e-9, atol=rounding, err_msg=metric)
        assert any(metric.endswith(" net of fund") for metric in with_.draws(name)) == (name != "fee")


def worst_twentieth(multiples):
    """Mean of the lowest 5%, the last of them in part: all of them sorted, and added one by one."""
    left, total = 0.05 * multiples.size, 0.0
    for multiple in np.sort(multiples):
        total += min(left, 1.0) * multiple
        left -= min(left, 1.0)
    return total / (0.05 * multiples.size)


@pytest.mark.parametrize("sampling", ["plain", "sobol"])
@pytest.mark.parametrize("name", ["tranches", "a fund"])
def test_what_is_said_of_each_class_of_investors_is_what_its_draws_say(name, sampling):
    draws = 4104  # two blocks, and not of whole rounds of the 16 randomisations
    result = simulate(
        loads(WITH_FUND if name == "a fund" else WITH_TRANCHES), draws, seed=5, threads=2, sampling=sampling
    )
    seen = set()
    for structure in result.structures:
        said = result.to_dict()["structures"][structure]["investor"]
        if said is None:
            continue
        values = result.draws(structure)
        classes = {"": said} | {f" [{tranche}]": each for tranche, each in said["tranches"].items()}
        classes |= {" net of fund": said["net"]} if "net" in said else {}
        if name == "tranches":  # and each class has its own: the senior one is paid back first
            senior, junior = values["multiple [senior]"], values["multiple [junior]"]
            assert (senior >= junior - 1e-9).all()
            assert (senior > junior + 0.1).any()
        for suffix, each in classes.items():
            if "multiple" + suffix not in values:  # the only class of investors is all of them
                assert each == {key: of for key, of in said.items() if key not in {"net", "tranches"}}
                continue
            seen.add(suffix)
            multiples = values["multiple" + suffix]
            assert np.isfinite(multiples).all()
            shortfall, lost = each["expected_shortfall_05"], multiples < 1 - 1e-9
            assert shortfall["value"] == pytest.approx(worst_twentieth(multiples), rel=1e-9, abs=1e-12)
            if sampling == "sobol":
                error = np.std([worst_twentieth(multiples[r::16]) for r in range(16)], ddof=1) / 4
                assert shortfall["standard_error"] == pytest.approx(error, rel=1e-9, abs=1e-12)
            assert each["probability_of_loss"]["probability"] == lost.mean()
            assert each["probability_of_total_loss"]["probability"] == (multiples <= 1e-9).mean()
            if lost.any():
                assert each["loss_given_loss"]["value"] == pytest.approx((1 - multiples[lost]).mean(), rel=1e-9)
            for key in ("multiple", "irr", "net_present_value", "payback"):
                column = values[key + suffix][~np.isnan(values[key + suffix])]
                assert each[key]["count"] == column.size
                for q in (5, 25, 50, 75, 95):
                    level = np.sort(column)[-(-q * column.size // 100) - 1]
                    assert each[key][f"p{q:02}"] == level, (structure, suffix, key, q)
    assert seen == {"tranches": {"", " [senior]", " [junior]"}, "a fund": {"", " net of fund"}}[name]


def test_errors_of_net_figures_are_those_of_the_draws():
    result = simulate(loads(WITH_FUND), draws=5000, threads=1)
    net, draws = result["comparison"].investor.net, result.draws("comparison")
    for key in ("multiple", "irr", "fees", "carry", "net_present_value"):
        values = draws[f"{key} net of fund"]
        values = values[~np.isnan(values)]
        assert net[key].mean == pytest.approx(values.mean(), rel=1e-12)
        assert net[key].standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(values.size), rel=1e-9)
        assert net[key].sd > 0 or key == "fees"
    lost = draws["multiple net of fund"][~np.isnan(draws["multiple net of fund"])] < 1 - 1e-9
    assert net.probability_of_loss.probability == pytest.approx(lost.mean())
    low, high = net.probability_of_loss.interval
    assert low < lost.mean() < high
    # what goes in and out: gross profit less fees and carry is net profit, draw by draw
    gross = draws["multiple_on_committed"] * 150_000
    charged = draws["fees net of fund"] + draws["carry net of fund"]
    np.testing.assert_allclose(draws["multiple_on_committed net of fund"] * 150_000, gross - charged, rtol=0, atol=1e-6)
    assert (draws["carry net of fund"] > 0).any() and (draws["carry net of fund"] == 0).any()


def test_net_figures_on_sobol_points_have_errors_of_their_own():
    plain = simulate(loads(WITH_FUND), draws=8192)["comparison"].investor.net.multiple
    sobol = simulate(loads(WITH_FUND), draws=8192, sampling="sobol")["comparison"].investor.net.multiple
    assert 0 < sobol.standard_error < plain.standard_error
    assert abs(sobol.mean - plain.mean) < 4 * (sobol.standard_error + plain.standard_error)


@settings(max_examples=60)
@given(deals())
def test_a_fund_that_charges_nothing_leaves_the_gross_figures(deal):
    from simulator.deal import Carry, Finance, Fund, FundFee
    from simulator.quantity import parse

    free = Fund(fees={"none": FundFee(share=parse("0%", "share"))}, carry=Carry(share=parse("0%", "share")))
    structures = {
        name: each.model_copy(update={"finance": each.finance.model_copy(update={"fund": free})})
        if isinstance(each.finance, Finance)
        else each
        for name, each in deal.structures.items()
    }
    result = simulate(deal.model_copy(update={"structures": structures}), draws=40, threads=1)
    for name in result.structures:
        draws = result.draws(name)
        if not isinstance(structures[name].finance, Finance):
            assert "multiple net of fund" not in draws
            continue
        for key in ("multiple", "irr", "net_present_value", "peak_funding_need", "payback"):
            scale = max(1.0, float(np.nanmax(np.abs(draws[key]), initial=0.0)))
            np.testing.assert_allclose(
                draws[f"{key} net of fund"], draws[key], rtol=0, atol=1e-9 * scale, err_msg=f"{name} {key}"
            )
        assert not draws["fees net of fund"].any() and not draws["carry net of fund"].any()


WRONG = {
    "charges nothing": ("{}", "finance.fund: charges nothing; allowed: set_up, fees or carry"),
    "no such tranche": ("{of: seniors, set_up: 1}", "finance.fund.of: no tranche is called 'seniors'"),
    "a share above one": (
        "{fees: {management: 120%}}",
        "finance.fund.fees.management: 120% is out of range; allowed: 0% to 100%",
    ),
    "an unknown base": (
        "{fees: {management: {share: 2%, of: assets}}}",
        'finance.fund.fees.management.of: "assets" is not known; allowed: commitment or capital outstanding',
    ),
    "an unknown key": ("{carried: 20%}", "finance.fund.carried: unknown key; did you mean 'carry'?"),
    "never catches up": (
        "{carry: {share: 20%, catch_up: 15%}}",
        "finance.fund.carry.catch_up: 15% is no more than the share of 20%, so that the manager never catches up",
    ),
    "no span of years": ("{fees: {management: {share: 2%, in: 3}}}", "finance.fund.fees.management.in:"),
}


@pytest.mark.parametrize(("fund", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_fund_is_said_with_its_place(fund, said):
    with pytest.raises(DealError) as wrong:
        loads(CERTAIN.format(fund=fund, price=150))
    (line,) = str(wrong.value).splitlines()
    assert said in line
    place = line.split(" ")[0].rstrip(":").split(":")
    assert place[-2] == "13" and int(place[-1]) > 3, line


def test_all_mistakes_of_a_fund_are_said_at_once():
    fund = "{of: nobody, set_up: -1, fees: {a: 200%, b: {of: commitment}}, carry: {share: 20%, catch_up: 20%}}"
    with pytest.raises(DealError) as wrong:
        loads(CERTAIN.format(fund=fund, price=150))
    text = str(wrong.value)
    for part in ("fund.set_up", "fund.fees.a", "fund.fees.b.share"):
        assert part in text


def test_the_manager_has_a_name_of_its_own():
    text = TWO.replace("junior", "fund manager")
    with pytest.raises(DealError, match="fund manager has the name of a tranche"):
        loads(text)
    loads(text.replace("  fund: {of: senior, fees: {management: 1%}}\n", ""))  # without a fund it is free


def test_every_number_of_a_fund_can_be_set_and_may_be_uncertain():
    deal = loads(WITH_FUND.replace("management: 2%", 'management: "uniform(1%, 3%)"'))
    found = {join_path(path): text for path, text, _ in paths(deal)}
    here = "structures.comparison.finance.fund."
    assert {each.removeprefix(here) for each in found if each.startswith(here)} == {
        "set_up",
        "fees.management.share",
        "fees.management.of",
        "carry.share",
        "carry.above",
        "carry.catch_up",
    }
    fees = simulate(deal, draws=2000)["comparison"].investor.net.fees
    fixed = simulate(loads(WITH_FUND), draws=2000)["comparison"].investor.net.fees
    assert fees.sd > 3 * fixed.sd
    assert abs(fees.mean - fixed.mean) < 5 * fees.standard_error
    assert show(loads(show(deal))) == show(deal)
