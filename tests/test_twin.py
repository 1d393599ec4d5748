"""The kernels against the readable twin, draw by draw, on deals that nobody would write."""

import os

import numpy as np
import pytest
from deals import Player, deals
from hypothesis import given, settings

from simulator import fund, metrics, parameters, reference
from simulator import ledger as book_of
from simulator.abreast import settle_abreast
from simulator.dealfile import loads
from simulator.explain import _records, disagreements, explain, happened_in
from simulator.run import simulate

DRAWS = 3
EXAMPLES = int(os.environ.get("TWIN_EXAMPLES", "0"))

FLOWS = {
    "payments": book_of.RECEIPTS,
    "payer_costs": book_of.PAYER_COSTS,
    "investor": book_of.INVESTOR,
    "provider": book_of.PROVIDERS,
    "others": book_of.OTHER_PARTIES,
    "service": book_of.SERVICE,
    "guarantor": book_of.GUARANTORS,
    "grants": book_of.GRANTS,
    "vehicle": book_of.VEHICLE,
}

pytestmark = pytest.mark.usefixtures("kernels")


class Both(Player):
    """The draws of a deal, each played by the kernels and by the twin."""

    def played(self, draw):
        """Yield each structure with the twin's ledger and what the kernels found, of one draw."""
        plan = self.plan
        values, one, stop, capped = self.world(draw)
        persons = _records(self.shared, draw, values, one) if plan.people else None
        happened = happened_in(plan, one, stop, persons)
        by_path = parameters.row_by_path(plan.columns, values)
        expected = parameters.row_by_path(plan.columns, plan.expected)
        for name in self.names:
            ours = reference.play(self.deal, name, by_path, expected, happened)
            ours.check()
            yield name, ours, *self.ledger(name, values, one, stop, capped)

    def differences(self, draw):
        """Yield each structure, the kernels' metrics, and what differs in one draw."""
        values, *_ = self.world(draw)
        for name, ours, found, book, tally in self.played(draw):
            net = self.net(name, values, book, found)
            wrong = disagreements(ours.metrics, found, None if net is None else net[np.newaxis])
            wrong += fund_that_differs(ours, book)
            wrong += flows_that_differ(ours, book)
            wrong += payers_that_differ(self.plan, name, ours, book)
            wrong += clauses_that_differ(self.plan, name, ours, book)
            wrong += other_differences(self.plan, ours, found, tally)
            yield name, found, [f"draw {draw}, {name}: {each}" for each in wrong]


def apart(ours, theirs, scale):
    return not abs(ours - theirs) <= 1e-9 * max(1.0, scale)


def flows_that_differ(ours, book):
    scale = float(np.abs(book.flows).max())
    for name, row in FLOWS.items():
        for t, mine in enumerate(getattr(ours, name)):
            if apart(mine, book.flows[row, t], scale):
                yield f"{name} in period {t}: twin {mine}, kernel {book.flows[row, t]}"
    for n, (name, flows) in enumerate(ours.tranches.items()):
        for t, mine in enumerate(flows):
            if apart(mine, book.paper[n, t], scale):
                yield f"{name} in period {t}: twin {mine}, kernel {book.paper[n, t]}"


def fund_that_differs(ours, book):
    scale = float(np.abs(book.flows).max())
    for row, name in enumerate(("net", "fees", "carry"), start=fund.NET):
        for t, mine in enumerate(ours.fund.get(name, ())):
            if apart(mine, book.fund[row, t], scale):
                yield f"the fund's {name} in period {t}: twin {mine}, kernel {book.fund[row, t]}"


def payers_that_differ(plan, name, ours, book):
    scale = float(np.abs(book.flows).max())
    for p, payer in enumerate(plan.payer_names[name]):
        for t, mine in enumerate(ours.paid_by[payer]):
            if apart(mine, book.purses.by_date[p, t], scale):
                yield f"paid by {payer} in period {t}: twin {mine}, kernel {book.purses.by_date[p, t]}"


def clauses_that_differ(plan, name, ours, book):
    scale = float(np.abs(book.settled).max(initial=0.0))
    columns = {None: len(plan.cohort_names)} | {cohort: c for c, cohort in enumerate(plan.cohort_names)}
    names = plan.clause_names[name]
    for (clause, cohort), mine in ours.paid.items():
        k, column = names.index(clause), columns[cohort]
        where = f"{clause} [{cohort}]"
        if apart(mine, book.settled[k, column, book_of.PAID], scale):
            yield f"paid by {where}: twin {mine}, kernel {book.settled[k, column, book_of.PAID]}"
        uncapped = book.settled[k, column, book_of.UNCAPPED_MONEY]
        if apart(ours.uncapped[clause, cohort], uncapped, scale):
            yield f"uncapped of {where}: twin {ours.uncapped[clause, cohort]}, kernel {uncapped}"
        if ours.met[clause, cohort] != bool(book.state[k, column, book_of.MET]):
            yield f"trigger of {where}: twin {ours.met[clause, cohort]}, kernel {book.state[k, column, book_of.MET]}"


def other_differences(plan, ours, found, tally):
    last = plan.calendar.last
    stopped = ours.metrics["stop"] is not None and ours.metrics["stop"] < last
    if stopped != bool(found[book_of.STOPPED]):
        yield f"stopped: twin {ours.metrics['stop']}, kernel {found[book_of.STOPPED]}"
    if bool(ours.metrics["late"]) != bool(found[book_of.LATE]):
        yield f"late: twin {ours.metrics['late']}, kernel {found[book_of.LATE]}"
    if found[book_of.BROKEN]:
        yield f"the kernel's own check fails by rule {found[book_of.BROKEN]:.0f}"
    for o, name in enumerate(plan.outcome_names):
        if apart(ours.additional[name], tally.additional[o].sum(), abs(ours.additional[name])):
            yield f"additional {name}: twin {ours.additional[name]}, kernel {tally.additional[o].sum()}"


def insist(deal, draws=DRAWS, seed=1):
    """Insist that twin and kernels agree on every draw, and that a run gives the same draws."""
    both = Both(deal, seed)
    found = {name: [] for name in both.names}
    wrong = []
    for draw in range(draws):
        for name, row, differences in both.differences(draw):
            found[name].append(row)
            wrong += differences
    assert not wrong, "\n".join(wrong)
    result = simulate(deal, draws=draws, seed=seed, threads=1)
    for name, rows in found.items():
        table = np.array(rows)
        arrays = result.draws(name)
        for metric, column in (("payments", book_of.PAYMENTS), ("irr", book_of.IRR), ("surplus", book_of.SURPLUS)):
            rtol, atol = 0.0, 0.0  # to the last bit, unless the run plays draws side by side
            if both.shared.ledger(name) is settle_abreast:
                rtol, atol = 1e-9, 1e-12 * (1.0 if metric == "irr" else 1.0 + np.abs(table[:, book_of.COST]).max())
            np.testing.assert_allclose(arrays[metric], table[:, column], rtol, atol, err_msg=f"{name}: {metric}")


@settings(max_examples=EXAMPLES or 400)
@given(deals())
def test_twin_and_kernels_agree_on_whole_deals(deal):
    insist(deal)


@settings(max_examples=EXAMPLES // 10 or 60)
@given(deals())
def test_explain_tells_any_draw_of_any_deal(deal):
    told = explain(deal, draw=1)
    assert list(told["structures"]) == list(deal.structures)


# ---------------------------------------------------------------------------------------------------------------
# Rules on which the two once differed
# ---------------------------------------------------------------------------------------------------------------

CERTAIN = """
deal: everybody succeeds
time: {start: 2020-01, step: year, horizon: 5 years, financial_year_starts: January}
cohorts:
  early: {people: 4, referred: 2020-01 to 2020-12}
  late: {people: 6, referred: 2021-01 to 2021-12}
outcomes:
  job: {without_service: 100%, known_after: 1 year}
measures:
  share: {share_of: job}
structures:
  as signed:
    paid_after: 0 months
"""


def agreed(text):
    """Ledger of the twin, metrics and book of the kernels, for draw 0 of a deal with one structure."""
    insist(loads(text), draws=1)
    _, ours, found, book, _ = next(Both(loads(text)).played(0))
    return ours, found, book


def test_a_clause_falls_away_where_a_fee_was_owed():
    ours, found, _ = agreed(
        CERTAIN
        + """
    pays:
      fee: {for: the contract, due: at the start, amount: {lump_sum: 100}}
      success: {for: each cohort, unless: fee, amount: {price: 7, times: job}}
"""
    )
    assert ours.met["fee", None] and not ours.met["success", "early"]
    assert found[book_of.PAYMENTS] == 100


def test_a_clause_that_reads_nothing_is_due_when_the_last_people_were_referred():
    _, _, book = agreed(
        CERTAIN
        + """
    pays:
      for starting: {for: each cohort, amount: {lump_sum: 10}}
      for all: {for: all cohorts that ran, amount: {lump_sum: 5}}
"""
    )
    assert book.flows[book_of.RECEIPTS, :6].tolist() == [0, 10, 15, 0, 0, 0]


def test_outcomes_that_earn_nothing_count_against_the_cap_on_outcomes():
    # 4 of 5 outcomes earn nothing at 4 people, so that 1 of the 6 that follow is paid for
    _, found, _ = agreed(
        CERTAIN
        + """
    pays:
      by size:
        for: each cohort
        amount: {by: job, table: {below: 0, points: [[5, 12]]}, times: job}
        at_most: {outcomes: 5}
"""
    )
    assert found[book_of.PAYMENTS] == 12


def test_the_last_level_reached_counts_where_uncertain_levels_cross():
    text = (
        CERTAIN.replace("deal: everybody succeeds", "deal: crossing")
        + """
    pays:
      by size:
        for: each cohort
        amount: {by: job, table: {below: 0, points: [[1, 10], ["uniform(0, 9)", 20], [5, 30]]}}
"""
    )
    deal = loads(text)
    insist(deal, draws=20)
    paid = simulate(deal, draws=20, threads=1).draws("as signed")["payments"]
    assert set(paid) <= {40.0, 50.0}  # 10 or 20 for the 4, 30 for the 6, wherever the level in the middle is
    assert len(set(paid)) == 2


def test_capital_that_was_never_called_has_a_multiple_on_the_commitment_only():
    ours, found, _ = agreed(
        CERTAIN + "    rate_card: {job: 1000}\n    finance: {commitment: 500, surplus_to_investors: 0%}\n"
    )
    assert ours.metrics["multiple_on_committed"] == found[book_of.ON_COMMITTED] == 1
    assert ours.metrics["multiple"] is None and np.isnan(found[book_of.MULTIPLE])


def test_investors_are_not_paid_back_before_they_have_paid_in():
    # they are paid 40 in year 2 and 60 in year 3, when nothing has been called yet; 30 are called in year 4
    ours, found, _ = agreed(
        CERTAIN.replace("time: {", "time: {service: 2020-01 to 2024-12, ")
        + """
    rate_card: {job: 10}
    costs: {evaluation: 30 at the end}
    finance: {commitment: 500, called: 1 year ahead, recycled: false}
"""
    )
    assert ours.investor == [0, 0, 40, 60, -30, 0]
    assert ours.metrics["payback"] == found[book_of.PAYBACK] == 4


def test_a_rate_of_return_does_not_rest_on_rounding():
    flows = np.array([-2435.0, 30.0, -3.0, -3.0, 8.9e-16, 0.0])
    assert metrics.irr(flows.copy(), 12.0)[1] != metrics.NO_ROOT  # what the rounding alone would make of it
    book_of._drop_rounding(flows)
    assert metrics.irr(flows, 12.0)[1] == metrics.NO_ROOT
    assert reference._rate_of_return([-2435.0, 30.0, -3.0, -3.0, 8.9e-16, 0.0], 12)[0] is None


def test_years_without_flows_after_the_last_make_no_rate_of_return():
    flows = [247.0, 247.0, 247.0, -1186.0, 905.0]
    for tail in (0, 5, 50):
        found = reference._rate_of_return(flows + [0.0] * tail, 4)
        assert found == (None, "no rate solves it")
        assert metrics.irr(np.array(flows + [0.0] * tail), 4.0)[1] == metrics.NO_ROOT


def test_no_capital_is_called_for_a_need_that_is_only_rounding():
    # what is kept for the end comes out of payments; cash less what is free of it is the need but for the last digits
    text = (
        CERTAIN.replace("time: {", "time: {service: 2020-01 to 2024-12, ")
        + """
    rate_card: {job: "uniform(400, 4000)"}
    costs: {evaluation: 1433.37 at the end}
    finance: {commitment: 5000, called: 1 year ahead}
"""
    )
    insist(loads(text), draws=20)
    assert np.isnan(simulate(loads(text), draws=1000).draws("as signed")["multiple"]).all()


def test_what_was_kept_for_a_cost_pays_it_though_the_last_digits_are_lost():
    # 40 are kept of what comes in; what is left is handed on in two parts, after which 39.99999999999994 are there
    text = (
        CERTAIN.replace("time: {", "time: {service: 2020-01 to 2023-12, ")
        + """
    rate_card: {job: "uniform(40, 400)"}
    finance:
      commitment: 5000
      residual: [{to: {investors: 40%, provider: 60%}}]
      guarantee: {guarantor: a foundation, recovery: 10%, fee: 40 at the end}
"""
    )
    insist(loads(text), draws=40)
    assert np.isnan(simulate(loads(text), draws=40).draws("as signed")["multiple"]).all()


def test_what_the_provider_advanced_is_owed_no_more_once_it_is_repaid():
    # after a stop the capital called is the arrears and the cost of ending, to the last digit, and nothing else is left
    text = (
        CERTAIN.replace("time: {", "time: {service: 2020-01 to 2023-12, ")
        + """
    rate_card: {job: 0}
    costs: {delivery: "uniform(500, 5000) a year", evaluation: 9000 at the end}
    finance: {tranches: {senior: {commitment: 20000}, junior: {commitment: 20000}}}
ends_early: {policy_change: {chance_a_year: 50%}}
"""
    )
    insist(loads(text), draws=20)
    assert simulate(loads(text), draws=2000)["as signed"].payments.mean == 0
