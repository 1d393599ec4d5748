"""The ledgers of 32 draws side by side, for agreements in which nothing but policy ends the service.

What a clause owes is looked up draw by draw, as in `ledger`. What follows is the same arithmetic in every draw: costs,
the till, the investors' single paper, present values. Here it is done period by period over *lanes*, one lane a draw,
in loops that the compiler turns into instructions for several numbers at once. Played one draw after the other, every
period waits for the cash of the one before. And what such agreements do not need is not compiled for them. Agreements
with more to them are played by `ledger.play`; both are held to the same twin.

A sheet is [periods, LANES]: time first, lanes beside each other. Money received is positive; periods are as there.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator import metrics
from simulator.clauses import Measures, Tally
from simulator.compiled import compile_for, inner, part, written_out
from simulator.ledger import (
    BROKEN,
    BY_POLICY,
    CAPITAL_PV,
    COST,
    COST_PV,
    COUNTED_PAYMENTS,
    GUARANTOR_COST,
    HURDLE,
    IRR,
    IRR_CODE,
    LATE,
    LOWEST_AT,
    LOWEST_CASH,
    METRICS,
    MULTIPLE,
    NPV,
    OF_TRANCHE,
    ON_COMMITTED,
    ON_PEAK,
    OTHER_PARTIES,
    OTHERS_PV,
    PAID,
    PAYBACK,
    PAYER_COSTS,
    PAYMENTS,
    PAYMENTS_PV,
    PEAK,
    PROVIDER_BACKS,
    RAN,
    REAL_PAYMENTS,
    REFERRED,
    SERVICE,
    SERVICE_PV,
    STOP_AT,
    STOPPED,
    SURPLUS,
    UNCAPPED,
    UNCAPPED_MONEY,
    UNPAID,
    Book,
    Calendar,
    Terms,
    broken_rule,
    cost_growth,
    count_triggers,
    needed,
    nominal_rate,
    play_clauses,
    really_paid,
)
from simulator.metrics import LANES
from simulator.outcomes import Outcomes
from simulator.waterfall import A_YEAR, NO_END, PER_PERSON, START

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.int8]


(
    OTHERS,
    DELIVERY,
    OWN_COSTS,
    CAME_IN,
    PEOPLE,
    HELD,
    NEED,
    TO_PROVIDER,
    IN_HAND,
) = (LANES * row for row in range(9))
ADDED_TO, SHEET = 5 * LANES, 9 * LANES
"""Columns of a sheet [T + 2, SHEET], each the first of LANES: set-up, management and evaluation; what delivery costs;
the payers' own costs; payments; people referred; cash that planned costs and the reserve need after a period; planned
costs for which capital is called; the provider's flows; cash of the vehicle after the period."""

(
    STOP,
    MOST,
    OWED,
    AMOUNT,
    COMMITMENT,
    SHARE,
    AHEAD,
    RESERVE,
    CASH,
    ARREARS,
    DRAWN,
    OUTSTANDING,
    RECEIVED,
    BELOW_ZERO,
    FACTOR,
    DISCOUNT,
    HURDLE_RATE,
    BEFORE,
    OTHERS_IN_ALL,
    DELIVERY_IN_ALL,
    LARGEST,
    BALANCE,
    MOVED,
    PAID_IN,
    FIRST,
    INVESTORS_IN_ALL,
    GOES_ON,
) = (LANES * row for row in range(27))
LANE = 27 * LANES
"""Places of what there is once for each draw, each the first of LANES: last period of service; the contract's limit and
what its clauses paid; an amount on its way to the sheet; commitment, share of the surplus, periods that capital is
called ahead, reserve; cash and what the provider advanced; capital called, outstanding, and paid to investors; whether
an account fell below zero; discount so far and of one period; hurdle; cash of the period before; two parties' sums; the
investors' largest flow, running sum, sum of sizes, of what they paid in, first such period, and sum; whether they are
paid back in all periods from here on."""
ALONE = (OTHER_PARTIES, SERVICE, PAYER_COSTS)
"""Parties whose costs are known here."""
OF_FINANCE = sum(1 << m for m in (*OF_TRANCHE, GUARANTOR_COST, PROVIDER_BACKS, UNPAID))
"""Bits of the metrics that are not defined without a finance agreement."""


class Sheets(NamedTuple):
    """Scratch of 32 draws. Rows lie flat, at places known when this is compiled, or loops would check for overlaps."""

    sheet: Floats  # [T + 2, SHEET]
    investor: Floats  # [T + 2, LANES] the investors' flows
    lane: Floats  # [LANE]
    found: Floats  # [METRICS * LANES]
    by_year: Floats  # [Y, LANES] the payers' cash
    irr: Floats  # scratch of :func:`simulator.metrics.irr_lanes`


def suits(terms: Terms, calendar: Calendar) -> bool:
    """Whether a structure can be played here: one paper in the usual order or none, and nothing that looks back."""
    finance = terms.finance
    return bool(
        (finance.has == 0 or finance.usual == 1)
        and finance.stops_referrals == 0
        and finance.fund.size == terms.payers.size == terms.breaks.size == terms.accounts.shape[0] == 0
        and (terms.clauses["until"] == NO_END).all()
        and (terms.costs["deferred_at"] < 0).all()
        and np.isin(terms.costs["party"], ALONE).all()
        and terms.agreed == terms.carried_forward == 0
        and terms.of_payments_at < 0
        and calendar.fails_at < 0
    )


def new_sheets(periods: int, years: int) -> Sheets:
    """Allocate sheets."""
    return Sheets(
        sheet=np.zeros((periods + 2, SHEET)),
        investor=np.zeros((periods + 2, LANES)),
        lane=np.zeros(LANE),
        found=np.zeros(METRICS * LANES),
        by_year=np.zeros((years, LANES)),
        irr=metrics.irr_scratch(periods + 1),
    )


def compile_last_parts() -> None:
    """Compile what the kernel below needs last, for another process to find; see :func:`simulator.compiled.beside`."""
    sheets = new_sheets(1, 1)
    compile_for(metrics.irr_lanes, sheets.investor, 1, 1.0, sheets.found, sheets.found, sheets.irr)


@inner
def settle_abreast(
    values: Floats,
    planned: Floats,
    terms: Terms,
    calendar: Calendar,
    measures: Measures,
    cohorts: Any,
    blocks: Any,
    out: Outcomes,
    stops: Ints,
    capped: Floats,
    has_cap: bool,
    published: Floats,
    tally: Tally,
    book: Book,
    sheets: Sheets,
    found: Floats,
    by_year: Floats,
    met: Ints,
    flags: Flags,
) -> None:
    """Play the ledgers of one structure that :func:`suits` over simulated outcomes.

    Parameters
    ----------
    book, sheets
        Scratch.
    found
        [METRICS, draws], filled.
    by_year
        [draws, Y] the payers' cash, filled.
    met, flags
        As for :func:`simulator.draws.settle_draws`.
    """
    T, has_finance = calendar.periods, terms.finance.has == 1
    sheet, investor, lane = sheets.sheet, sheets.investor, sheets.lane
    for base in range(0, values.shape[0], LANES):
        here = min(values.shape[0] - base, LANES)
        for t in range(T + 2):
            for i in range(ADDED_TO):
                sheet[t, i] = 0.0
        for i in range(LANE):
            lane[i] = 0.0
        for i in range(METRICS * LANES):
            sheets.found[i] = 0.0
        for i in range(here):
            d = base + i
            # not by a function that returns arrays: references to them would be counted
            one = Outcomes(out.people[d], out.when[d], out.counts[d], out.arms[d])
            late = play_clauses(
                values[d],
                terms,
                calendar,
                measures,
                cohorts,
                blocks,
                one,
                capped[d],
                has_cap,
                stops[d],
                published,
                tally,
                book,
                sheet,
                CAME_IN + i,
            )
            _take_over(values[d], terms, calendar, measures, one, late, stops[d], tally, book, i, sheets)
            count_triggers(book.state, cohorts.size, d, met, flags)
        drawn = values[base : base + here]
        _spread_costs(drawn, terms, calendar, lane, sheet)
        if has_finance:
            _plan(drawn, planned, terms, calendar, lane, sheet)
            _run_tills(T, lane, sheet, investor)
        else:
            for t in range(T + 2):
                _fill(investor[t], 0, 0.0)
            for t in range(1, T + 1):
                for i in range(LANES):
                    due = sheet[t, OTHERS + i] + sheet[t, DELIVERY + i]
                    sheet[t, TO_PROVIDER + i] = -due + sheet[t, CAME_IN + i]
        _measure(drawn, terms, calendar, sheets)
        for m in range(METRICS):
            for i in range(here):
                found[m, base + i] = sheets.found[m * LANES + i]
        for i in range(here):
            for y in range(by_year.shape[1]):
                by_year[base + i, y] = sheets.by_year[y, i]


@written_out
def _fill(row: Floats, first: int, value: float) -> None:
    """Set a place of every lane; an assignment to a slice takes ten times as long to compile."""
    for i in range(LANES):
        row[first + i] = value


@written_out
def _take_over(
    v: Floats,
    terms: Terms,
    calendar: Calendar,
    measures: Measures,
    one: Outcomes,
    late: float,
    stop: int,
    tally: Tally,
    book: Book,
    i: int,
    sheets: Sheets,
) -> None:
    """Put what the clauses of a draw came to into its lane."""
    sheet, lane, found = sheets.sheet, sheets.lane, sheets.found
    if terms.per_head:
        for t in range(1, calendar.periods + 1):
            sheet[t, PEOPLE + i] = book.flows[REFERRED, t]
    lane[STOP + i] = stop
    lane[MOST + i] = v[terms.contract_cap_at] if terms.contract_cap_at >= 0 else np.inf
    lane[OWED + i] = book.totals[0]
    uncapped = 0.0
    for k in range(book.settled.shape[0]):
        for column in range(book.settled.shape[1]):
            uncapped += book.settled[k, column, UNCAPPED_MONEY]
    real, counted = really_paid(
        v,
        terms.clauses,
        measures.rows,
        measures.parts,
        tally.people.size,
        tally.people,
        tally.verified,
        tally.additional,
        one.arms,
        book.settled[:, :, PAID],
    )
    found[UNCAPPED * LANES + i] = uncapped
    found[REAL_PAYMENTS * LANES + i] = real
    found[COUNTED_PAYMENTS * LANES + i] = counted
    found[LATE * LANES + i] = late
    found[STOPPED * LANES + i] = BY_POLICY if stop < calendar.last else RAN
    found[STOP_AT * LANES + i] = stop


@part
def _spread_costs(values: Floats, terms: Terms, calendar: Calendar, lane: Floats, sheet: Floats) -> None:
    """Add costs to the periods in which they fall; see :func:`simulator.waterfall.spread_costs`."""
    T, last = calendar.periods, calendar.last
    for j in range(terms.costs.size):
        cost = terms.costs[j]
        if cost.replacement == 1:
            continue
        whose = OTHERS if cost.party == OTHER_PARTIES else DELIVERY if cost.party == SERVICE else OWN_COSTS
        for i in range(values.shape[0]):
            amount = values[i, cost.amount_at]
            if cost.plus_at >= 0:
                amount *= 1.0 + values[i, cost.plus_at]
            if cost.overrun_at >= 0:
                amount *= 1.0 + values[i, cost.overrun_at]
            if cost.form in (A_YEAR, PER_PERSON):
                lane[AMOUNT + i] = amount / calendar.a_year if cost.form == A_YEAR else amount
                continue
            t = 1 if cost.form == START else last if lane[STOP + i] >= last else int(lane[STOP + i]) + 1
            if t <= T:
                sheet[t, whose + i] += amount
        if cost.form == A_YEAR:
            _add_by_period(max(calendar.first, 1), last, lane, sheet, whose)
        elif cost.form == PER_PERSON:
            _add_by_person(T, lane, sheet, whose)
    if calendar.costs_rise_at >= 0:
        for i in range(values.shape[0]):
            growth = cost_growth(values[i], calendar)
            for t in range(1, T + 1):
                factor = growth**t
                sheet[t, OTHERS + i] *= factor
                sheet[t, DELIVERY + i] *= factor
                sheet[t, OWN_COSTS + i] *= factor


@part
def _add_by_period(first: int, last: int, lane: Floats, sheet: Floats, whose: int) -> None:
    for t in range(first, last + 1):
        for i in range(LANES):
            sheet[t, whose + i] += lane[AMOUNT + i] if t <= lane[STOP + i] else 0.0


@part
def _add_by_person(periods: int, lane: Floats, sheet: Floats, whose: int) -> None:
    for t in range(1, periods + 1):
        for i in range(LANES):
            sheet[t, whose + i] += lane[AMOUNT + i] * sheet[t, PEOPLE + i] if t <= lane[STOP + i] else 0.0


@part
def _plan(values: Floats, planned: Floats, terms: Terms, calendar: Calendar, lane: Floats, sheet: Floats) -> None:
    """Fill what is held for planned costs and the reserve after each period, and for what capital is called.

    In the last period nobody is asked for capital: the latter is minus infinity.
    """
    finance, T, here = terms.finance, calendar.periods, values.shape[0]
    all_at_once = finance.ahead_at < 0
    keeps_all = finance.recycled == 1 or all_at_once
    alike = True
    for i in range(here):
        v = values[i]
        lane[COMMITMENT + i] = v[finance.tranches[0].commitment_at]
        lane[SHARE + i] = v[finance.surplus_at] if finance.surplus_at >= 0 else 0.0
        lane[AHEAD + i] = 1.0 if all_at_once else max(1.0, math.ceil(v[finance.ahead_at] / calendar.step - 1e-9))
        lane[RESERVE + i] = v[finance.reserve_at] if finance.reserve_at >= 0 else 0.0
        alike = alike and lane[AHEAD + i] == lane[AHEAD]
    if alike:
        _plan_alike(T, calendar.last, keeps_all, planned, lane, sheet)
    else:
        for t in range(T):
            for i in range(here):
                ahead, stop = int(lane[AHEAD + i]), int(lane[STOP + i])
                serving = t < calendar.last and t <= stop
                held = needed(planned, t, T if keeps_all else ahead, stop, T)
                sheet[t, HELD + i] = held + (lane[RESERVE + i] if serving else 0.0)
                sheet[t, NEED + i] = needed(planned, t, ahead, stop, T)
        _fill(sheet[T], HELD, 0.0)
    _fill(sheet[T], NEED, -np.inf)
    if all_at_once:  # nothing of the commitment is left to be called later
        for i in range(LANES):
            sheet[0, NEED + i] = lane[COMMITMENT + i]


@part
def _plan_alike(T: int, last: int, keeps_all: bool, planned: Floats, lane: Floats, sheet: Floats) -> None:
    """Fill plans where capital is called equally far ahead in all draws; see :func:`simulator.ledger.needed`."""
    ahead = int(lane[AHEAD])
    for t in range(T + 1):
        need = planned[0, min(t + ahead, T)] - planned[0, t]
        held = planned[0, T] - planned[0, t] if keeps_all else need
        ending = planned[1, t + 1]
        for i in range(LANES):
            stop = lane[STOP + i]
            reserve = lane[RESERVE + i] if t <= stop and t < last else 0.0
            after = ending if t == stop else 0.0
            sheet[t, HELD + i] = (held if t < stop else after) + reserve
            sheet[t, NEED + i] = need if t < stop else after


@part
def _run_tills(T: int, lane: Floats, sheet: Floats, investor: Floats) -> None:
    """Let the cash of each vehicle pay costs, arrears, capital and the rest, and call capital, period by period."""
    for i in range(LANES):
        need = sheet[0, NEED + i]
        call = min(need, max(lane[COMMITMENT + i], 0.0)) if need > 1e-9 * need else 0.0
        lane[CASH + i] = call
        lane[DRAWN + i] = call
        lane[OUTSTANDING + i] = call
        investor[0, i] = -call
        sheet[0, IN_HAND + i] = call
    for t in range(1, T + 1):
        for i in range(LANES):
            due = sheet[t, OTHERS + i] + sheet[t, DELIVERY + i]
            cash, owes = lane[CASH + i], lane[ARREARS + i] + due
            paid = min(cash, owes)
            cash -= paid
            owes -= paid
            cash += sheet[t, CAME_IN + i]
            back = min(cash, owes)
            cash -= back  # one after the other, so that no rounding leaves less than nothing
            free = max(cash - sheet[t, HELD + i], 0.0)
            repaid = min(free, lane[OUTSTANDING + i])
            got = repaid + lane[SHARE + i] * (free - repaid)
            owes -= back
            cash -= free
            sheet[t, TO_PROVIDER + i] = (paid - due) + (back + (free - got))
            need = sheet[t, NEED + i] + owes
            left = max(lane[COMMITMENT + i] - lane[DRAWN + i], 0.0)
            call = min(need - cash, left) if need - cash > 1e-9 * need else 0.0
            cash += call
            lane[CASH + i] = cash
            lane[ARREARS + i] = owes
            lane[DRAWN + i] += call
            lane[OUTSTANDING + i] = lane[OUTSTANDING + i] - repaid + call
            lane[RECEIVED + i] += got
            lane[BELOW_ZERO + i] = 1.0 if min(cash, owes) < 0.0 else lane[BELOW_ZERO + i]
            investor[t, i] = got - call
            sheet[t, IN_HAND + i] = cash


@part
def _measure(values: Floats, terms: Terms, calendar: Calendar, sheets: Sheets) -> None:
    """Turn finished sheets into metrics, as :func:`simulator.ledger.play` does for one draw."""
    T, a_year, lane, found = calendar.periods, calendar.a_year, sheets.lane, sheets.found
    rate, factor = np.nan, np.nan
    for i in range(values.shape[0]):
        own = nominal_rate(values[i], calendar.payer_rate_at, calendar.payer_real, calendar.inflation_at)
        if own != rate:  # mostly it is the same in all draws, and a power takes as long as ten periods
            rate, factor = own, (1.0 + own) ** (-1.0 / a_year)
        lane[DISCOUNT + i] = factor
    _sum_money(T, a_year, lane, sheets.sheet, sheets.investor, found)
    _sum_by_year(T, calendar.year, sheets.sheet, sheets.by_year)
    if terms.finance.has == 1:
        rate, factor = np.nan, np.nan
        for i in range(values.shape[0]):
            own = nominal_rate(values[i], calendar.investor_rate_at, calendar.investor_real, calendar.inflation_at)
            if own != rate:
                rate = own
                factor = math.exp(-math.log1p(own) / a_year) if own > -1.0 else np.nan
            lane[DISCOUNT + i] = factor
            lane[HURDLE_RATE + i] = own
        _measure_investor(T, a_year, lane, sheets.investor, found)
        rates, codes = found[IRR * LANES : (IRR + 1) * LANES], found[IRR_CODE * LANES : (IRR_CODE + 1) * LANES]
        metrics.irr_lanes(sheets.investor[: T + 1], values.shape[0], a_year, rates, codes, sheets.irr)
    _finish(values.shape[0], terms.finance.has == 1, lane, found)


@part
def _sum_money(T: int, a_year: float, lane: Floats, sheet: Floats, investor: Floats, found: Floats) -> None:
    """Sum each party's money and its present value."""
    _fill(lane, FACTOR, 1.0)
    _fill(found, LOWEST_AT * LANES, np.nan)
    for t in range(T + 1):
        years = t / a_year
        for i in range(LANES):
            factor, in_hand = lane[FACTOR + i], sheet[t, IN_HAND + i]
            others, delivery = sheet[t, OTHERS + i], sheet[t, DELIVERY + i]
            paid, own, to_provider = sheet[t, CAME_IN + i], sheet[t, OWN_COSTS + i], sheet[t, TO_PROVIDER + i]
            found[OTHERS_PV * LANES + i] += factor * others
            found[CAPITAL_PV * LANES + i] += factor * (investor[t, i] + in_hand - lane[BEFORE + i])
            found[SERVICE_PV * LANES + i] += factor * (delivery + to_provider)
            found[PAYMENTS * LANES + i] += paid
            found[PAYMENTS_PV * LANES + i] += factor * paid
            found[COST * LANES + i] += own
            found[COST_PV * LANES + i] += factor * own
            lane[FACTOR + i] = factor * lane[DISCOUNT + i]
            lane[BEFORE + i] = in_hand
            lane[OTHERS_IN_ALL + i] += others
            lane[DELIVERY_IN_ALL + i] += delivery
            cash, lowest = found[SURPLUS * LANES + i] + to_provider, found[LOWEST_CASH * LANES + i]
            found[SURPLUS * LANES + i] = cash
            found[LOWEST_CASH * LANES + i] = min(cash, lowest)
            found[LOWEST_AT * LANES + i] = years if cash < lowest else found[LOWEST_AT * LANES + i]


@part
def _sum_by_year(T: int, year: Ints, sheet: Floats, by_year: Floats) -> None:
    for y in range(by_year.shape[0]):
        _fill(by_year[y], 0, 0.0)
    for t in range(T + 1):
        row = by_year[year[t]]
        for i in range(LANES):
            row[i] += sheet[t, CAME_IN + i] + sheet[t, OWN_COSTS + i]


@part
def _measure_investor(T: int, a_year: float, lane: Floats, investor: Floats, found: Floats) -> None:
    """Present value, peak funding need and payback of the investors' flows, without mere rounding of larger ones."""
    for t in range(T + 1):
        for i in range(LANES):
            lane[LARGEST + i] = max(lane[LARGEST + i], abs(investor[t, i]))
    _fill(lane, FACTOR, 1.0)
    _fill(lane, FIRST, T + 1.0)
    for t in range(T + 1):
        for i in range(LANES):
            flow = 0.0 if abs(investor[t, i]) <= 1e-12 * lane[LARGEST + i] else investor[t, i]
            investor[t, i] = flow
            found[NPV * LANES + i] += lane[FACTOR + i] * flow
            lane[FACTOR + i] *= lane[DISCOUNT + i]
            balance = lane[BALANCE + i] + flow
            lane[BALANCE + i] = balance
            found[PEAK * LANES + i] = max(found[PEAK * LANES + i], -balance)
            lane[MOVED + i] += abs(flow)
            lane[PAID_IN + i] -= min(flow, 0.0)
            lane[FIRST + i] = min(lane[FIRST + i], t if flow < 0.0 else T + 1.0)
    for i in range(LANES):
        lane[INVESTORS_IN_ALL + i] = lane[BALANCE + i]
    _fill(lane, GOES_ON, 1.0)
    _fill(found, PAYBACK * LANES, np.nan)
    for t in range(T, -1, -1):
        years = t / a_year
        for i in range(LANES):
            balance = lane[BALANCE + i]
            goes_on = 0.0 if balance < -1e-9 * lane[PAID_IN + i] else lane[GOES_ON + i]
            goes_on = goes_on if t >= lane[FIRST + i] else 0.0
            lane[GOES_ON + i] = goes_on
            found[PAYBACK * LANES + i] = years if goes_on > 0.0 else found[PAYBACK * LANES + i]
            lane[BALANCE + i] = balance - investor[t, i]


@part
def _finish(here: int, has_finance: bool, lane: Floats, found: Floats) -> None:
    """Fill the metrics that follow from others, and check the accounts."""
    for i in range(here):
        called, profit, commitment = lane[DRAWN + i], lane[RECEIVED + i] - lane[DRAWN + i], lane[COMMITMENT + i]
        paid, peak = found[PAYMENTS * LANES + i], found[PEAK * LANES + i]
        found[COST * LANES + i] += paid
        found[COST_PV * LANES + i] += found[PAYMENTS_PV * LANES + i]
        reaches = 1.0 if found[IRR * LANES + i] >= lane[HURDLE_RATE + i] - 1e-9 else 0.0
        found[MULTIPLE * LANES + i] = 1.0 + profit / called if called > 0.0 else np.nan
        found[HURDLE * LANES + i] = reaches if called > 0.0 else np.nan
        found[ON_COMMITTED * LANES + i] = 1.0 + profit / commitment if commitment > 0.0 else np.nan
        found[ON_PEAK * LANES + i] = 1.0 + profit / peak if peak > 0.0 else np.nan
        found[UNPAID * LANES + i] = lane[OUTSTANDING + i]
        spent = lane[OTHERS_IN_ALL + i] + lane[DELIVERY_IN_ALL + i]
        balance = lane[INVESTORS_IN_ALL + i] + found[SURPLUS * LANES + i] + spent - paid + lane[BEFORE + i]
        gross = 1.0 + lane[MOVED + i] + paid + spent
        owed, investors = lane[OWED + i], lane[INVESTORS_IN_ALL + i]
        rule = broken_rule(lane[MOST + i], called, profit, commitment, owed, paid, investors, balance, gross)
        found[BROKEN * LANES + i] = 1.0 if lane[BELOW_ZERO + i] > 0.0 else rule
    if not has_finance:
        for m in range(METRICS):
            if (OF_FINANCE >> m) & 1 == 1:
                _fill(found, m * LANES, np.nan)
