"""One draw of one structure, period by period: measures, clauses, caps, costs, capital, and the money of every party.

What is owed can depend on an account and what counts can depend on a stop, so everything shares one loop over periods.
The order within a period t, which stands for the half-open interval (t-1, t]:

1. costs of the period fall; what the vehicle cannot pay, the provider advances (arrears);
2. clauses that are due are settled in the file's order, within the caps, and become payable after `paid_after`;
3. payments that have become payable come in;
4. coupons and capital of dated paper fall due, and cash is paid out by the waterfall;
5. capital is called for planned costs ahead (the first time at t = 0); if money will run out, referrals may stop.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator import metrics
from simulator.clauses import (
    AT_AN_EARLY_END,
    AT_THE_END,
    AT_THE_START,
    BY_PERIOD,
    CLAUSE_CAP,
    CONTRACT,
    CONTRACT_CAP,
    DIFFERENCE_SHARE,
    EACH_COHORT,
    EACH_PARTICIPANT,
    EVENLY,
    NOT_LIMITED,
    NOT_ROUNDED,
    OUTCOME_CAP,
    PAYER_CAP,
    POOLED,
    SUM,
    WHEN_REFERRED,
    YEAR_CAP,
    Measures,
    Tally,
    band_amount,
    limited,
    measure,
    measured,
    meets,
    per_outcome,
    rounded_to,
    table_amount,
    totals,
)
from simulator.compiled import inner, kernel, part, written_out
from simulator.fund import CARRY, FEES, FUND_ROWS, HELD, NET, capital_held, holds, play_fund
from simulator.outcomes import ADDITIONAL, BEFORE, VERIFIED, Outcomes, without_provider
from simulator.payers import Purses, new_purses, paid_by_payers, paid_from_before, share_of_own_costs
from simulator.waterfall import (
    AGREED,
    ARREARS,
    AT_MATURITY,
    BACKED,
    BASE,
    CALLED,
    CAPITAL_COLUMNS,
    CASH,
    DELIVERY_OWED,
    END,
    ENDED,
    FALLS,
    FEES_OWED,
    GUARANTOR,
    NO_END,
    OTHERS,
    OUT,
    OWED,
    PROVIDER,
    RECEIVED,
    SPENT,
    TILL_COLUMNS,
    FinanceTerms,
    call_capital,
    call_guarantees,
    coupon_rate,
    enough_for,
    is_coupon_date,
    is_early,
    pay_out,
    run_interest,
    spread_costs,
    stand_behind,
    whole_term_interest,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Calendar(NamedTuple):
    """Time of the model."""

    periods: int
    step: float  # months
    a_year: float
    first: int  # first period of service
    last: int  # last period of service
    year: Ints  # [T + 1] financial year of each period, from 0
    investor_rate_at: int
    investor_real: int
    payer_rate_at: int
    payer_real: int
    inflation_at: int
    fails_at: int  # time after which the provider fails, -1: it never does
    gap_at: int
    costs_rise_at: int  # yearly rise of costs from the start, -1 none
    real: int  # whether money of the file is in prices of the start


class Terms(NamedTuple):
    """One payment structure, compiled; rows are of the types in `clauses` and `waterfall`."""

    clauses: Any  # CLAUSE [K]
    conditions: Any  # CONDITION
    points: Any  # POINT
    reads: Any  # READ
    costs: Any  # COST
    payers: Any  # PAYER_ROW [P], empty where all pay fixed shares of everything
    finance: FinanceTerms
    year_cap_at: int
    carried_forward: int
    contract_cap_at: int
    paid_after_at: int
    per_head: int  # whether any cost or fee is per person
    agreed: int  # whether the vehicle owes the provider what a service agreement says
    of_payments_at: int  # share of payments that the provider is handed
    accounts: Ints  # [A, 2] measure that is an account, and which; empty where none is read
    breaks: Any  # BREAK
    checks: Any  # CHECK
    claims_end: int  # whether an early end ends the claims, too


OTHER_PARTIES, SERVICE, PAYER_COSTS, GUARANTOR_FEES, GRANTS, LATER_FEES, LATER_DELIVERY, OWED_FOR_SERVICE = range(FALLS)
RECEIPTS, INVESTOR, PROVIDERS, GUARANTORS, VEHICLE, REFERRED = range(FALLS, FALLS + 6)
FLOWS = FALLS + 6
"""Rows of `Book.flows`: set-up, management and evaluation; what delivery costs the provider; the payers' own costs; the
guarantor's fee; grants; deferred fees and delivery; what a service agreement owes the provider (these by the parties
of `waterfall`, by the date on which they fall); payments of the outcome payers by date of payment; the investors'; the
provider's; the guarantor's; cash of the vehicle after the period; people referred."""
CAPITAL_CALLED, CAPITAL_OUTSTANDING, PAID_TO_INVESTORS, CASH_IN_HAND, PAID_SO_FAR, COSTS_SO_FAR, YEARS_SO_FAR = range(7)
"""Accounts that measures may be, in the order of the description."""
RAN, BY_POLICY, FOR_WANT_OF_MONEY, BY_BREAK = range(4)
"""What ended the service early: nothing, a change of policy (or the results say so), no money, or break i (3 + i)."""
QUANTITY, MONEY, GROSS = range(3)
PAID, UNCAPPED_MONEY = range(2)
DUE_AT, MET, LIMITED_BY, SETTLED = range(4)
COUNTED_SO_FAR, CARRIED = range(2)


class Book(NamedTuple):
    """One draw's ledger of one structure. Flows stand at the end of periods 0..T; money received is positive.

    The column C of an axis of cohorts is for what is pooled, for participants and for fees.
    """

    flows: Floats  # [FLOWS, T + 2]
    buckets: Floats  # [K, T + 1, 3] for each participant: outcomes by period, money after and before the cap per person
    settled: Floats  # [K, C + 1, 2] money after all caps, and before any
    state: Ints  # [K, C + 1, 4] period in which a clause is due (0 never), trigger met, last cap that bound, settled
    busy: NDArray[np.bool_]  # [T + 2] whether any clause may owe something in a period
    so_far: Floats  # [K, 2] outcomes counted against a clause's cap; money carried over the cap of the year
    by_year: Floats  # [Y] the payers' cash by financial year
    totals: Floats  # [2 + K] paid so far: contract, this financial year, clause 0, clause 1, ...
    scratch: Floats  # [M] for measures that are composed of others
    capital: Floats  # [N, CAPITAL_COLUMNS] the capital of each tranche
    paper: Floats  # [N, T + 2] flows of each tranche
    till: Floats  # [TILL_COLUMNS] what the vehicle has and owes
    paid_to: Floats  # [4] scratch
    known: Floats  # [C] scratch: people whose results are known
    fund: Floats  # [FUND_ROWS, T + 2] the book of the fund that holds the paper, where there is one
    purses: Purses


PAYMENTS, PAYMENTS_PV, UNCAPPED, COST, COST_PV = 0, 1, 2, 3, 4
IRR, MULTIPLE, ON_COMMITTED, ON_PEAK, NPV, PAYBACK, PEAK, HURDLE = 5, 6, 7, 8, 9, 10, 11, 12
SURPLUS, LOWEST_CASH, REAL_PAYMENTS, COUNTED_PAYMENTS = 13, 14, 15, 16
IRR_CODE, LATE, BROKEN, STOPPED = 17, 18, 19, 20
STOP_AT, LOWEST_AT, OTHERS_PV, CAPITAL_PV, SERVICE_PV = 21, 22, 23, 24, 25
"""What ended the service early (STOPPED, see RAN); last period of service that counts (STOP_AT, T + 1 where nothing cut
it short); years until the provider's lowest cash; and where payments go, at the payers' rate: set-up, management and
evaluation; outside capital, that is what investors and a guarantor get, and idle cash, less grants; and what the
service costs and leaves the provider. The three add up to the present value of the payments."""
GUARANTOR_COST, PROVIDER_BACKS, UNPAID = 26, 27, 28
METRICS = 29
"""Columns of the metrics of a structure; those from IRR to HURDLE and IRR_CODE are kept by tranche, too."""
OF_TRANCHE = (IRR, MULTIPLE, ON_COMMITTED, ON_PEAK, NPV, PAYBACK, PEAK, HURDLE, IRR_CODE)
FUND_FEES, FUND_CARRY = 0, 1
"""Columns, beside those of a tranche, of what a fund's own investors get: what its manager takes in all."""


def new_book(clauses: int, cohorts: int, periods: int, years: int, measures: int, tranches: int, payers: int) -> Book:
    """Allocate a ledger."""
    return Book(
        flows=np.zeros((FLOWS, periods + 2)),
        buckets=np.zeros((clauses, periods + 1, 3)),
        settled=np.zeros((clauses, cohorts + 1, 2)),
        state=np.zeros((clauses, cohorts + 1, 4), np.int64),
        busy=np.zeros(periods + 2, np.bool_),
        so_far=np.zeros((clauses, 2)),
        by_year=np.zeros(years),
        totals=np.zeros(2 + clauses),
        scratch=np.zeros(measures),
        capital=np.zeros((tranches, CAPITAL_COLUMNS)),
        paper=np.zeros((tranches, periods + 2)),
        till=np.zeros(TILL_COLUMNS),
        paid_to=np.zeros(4),
        known=np.zeros(cohorts),
        fund=np.zeros((FUND_ROWS, periods + 2)),
        purses=new_purses(payers, clauses, cohorts, periods),
    )


@kernel
def planned_costs(v: Floats, terms: Terms, calendar: Calendar, people: Ints, blocks: Any) -> Floats:
    """Planned costs of the vehicle on the expected path, [2, T + 2].

    The first row sums them up to and including each period; the second is what ending costs in each period, were it the
    one after a stop.
    """
    T = calendar.periods
    planned = np.zeros((2, T + 2))
    referred = np.zeros(T + 2)
    falls = np.zeros((FALLS, T + 2))
    spread_referrals(people, blocks, referred)
    service = AGREED if terms.agreed == 1 else PROVIDER
    first, last = calendar.first, calendar.last
    now: Any = np.int64(0)
    spread_costs(v, terms.costs, first, last, T + 1, now, calendar.a_year, referred, falls, True, (T + 2, T + 1))
    raise_costs(v, calendar, now, falls)
    for t in range(1, T + 1):
        planned[0, t] = planned[0, t - 1] + falls[OTHERS, t] + falls[service, t] + falls[GUARANTOR, t]
    growth = cost_growth(v, calendar)
    for j in range(terms.costs.size):
        cost = terms.costs[j]
        if cost.form == END and cost.replacement == 0 and cost.party in (OTHERS, service, GUARANTOR):
            later = v[cost.deferred_at] if cost.deferred_at >= 0 else 0.0
            plus = 1.0 + v[cost.plus_at] if cost.plus_at >= 0 else 1.0
            rises = growth if cost.party != GUARANTOR else 1.0
            for t in range(1, T + 2):
                planned[1, t] += v[cost.amount_at] * plus * (1.0 - later) * rises**t
    return planned


@written_out
def cost_growth(v: Floats, calendar: Calendar) -> float:
    """Factor by which costs rise a period."""
    return (1.0 + v[calendar.costs_rise_at]) ** (1.0 / calendar.a_year) if calendar.costs_rise_at >= 0 else 1.0


@written_out
def raise_costs(v: Floats, calendar: Calendar, after: int, falls: Floats) -> None:
    """Raise the costs [FALLS, T + 2] that fall later than `after` to the prices of their periods, if they rise.

    Fees of the guarantor and grants are sums that somebody promised.
    """
    if calendar.costs_rise_at < 0:
        return
    growth = cost_growth(v, calendar)
    for t in range(after + 1, falls.shape[1]):
        factor = growth**t
        for row in (OTHER_PARTIES, SERVICE, PAYER_COSTS, LATER_FEES, LATER_DELIVERY, AGREED):
            falls[row, t] *= factor


@written_out
def spread_referrals(people: Ints, blocks: Any, referred: Floats) -> None:
    """Add the people of each block to the periods in which they are referred, evenly in whole people."""
    for b in range(blocks.size):
        first, length = blocks[b].first, blocks[b].last - blocks[b].first + 1
        for j in range(length):
            part = (people[b] * (j + 1)) // length - (people[b] * j) // length
            if first + j < referred.size:
                referred[first + j] += part


@written_out
def _tally(
    people: Ints,
    counts: Floats,
    blocks: Any,
    stop: int,
    people_in: Floats,
    verified: Floats,
    additional: Floats,
) -> None:
    verified[:] = 0.0
    additional[:] = 0.0
    people_in[:] = 0.0
    for b in range(blocks.size):
        if blocks[b].reach > stop:
            continue
        c = blocks[b].cohort
        people_in[c] += people[b]
        for o in range(counts.shape[0]):
            verified[o, c, 0] += counts[o, b, VERIFIED]
            verified[o, c, 1] += counts[o, b, BEFORE]
            additional[o, c] += counts[o, b, ADDITIONAL]


@written_out
def _known_at(when: Ints, cohort: Any, blocks: Any, o: int, stop: int) -> int:
    """Period in which an outcome of a cohort is known: of its last people counted, or the last claim if earlier."""
    known = 0
    for b in range(cohort.first_block, cohort.end_block):
        if blocks[b].reach <= stop:
            known = max(known, min(when[o, b], max(cohort.claim, blocks[b].last)))
    return known


@written_out
def _referred_by(cohort: Any, blocks: Any, stop: int) -> int:
    """Period in which the last people counted of a cohort are referred; nothing of them is known earlier."""
    last = 0
    for b in range(cohort.first_block, cohort.end_block):
        if blocks[b].reach <= stop:
            last = max(last, blocks[b].last)
    return last


@written_out
def _due_dates(
    clauses: Any,
    reads: Any,
    when: Ints,
    cohorts: Any,
    blocks: Any,
    stop: int,
    now: int,
    people: Floats,
    state: Ints,
    busy: NDArray[np.bool_],
) -> None:
    """Fill the due dates: a cohort's clause when the last outcome it reads is known; pooled, when the last cohort's is.

    What is read of the cohorts so far waits for those above, too. A cohort that never ran is known not to have run at
    the stop. What a stop makes due at once is settled after `now`.
    """
    number = cohorts.size
    for k in range(clauses.size):
        clause = clauses[k]
        if clause.scope not in (EACH_COHORT, POOLED):
            continue
        pooled = 0
        for c in range(number):
            due = 0
            if people[c] > 0.0:
                due = _referred_by(cohorts[c], blocks, stop)
                for i in range(clause.first_read, clause.end_read):
                    first = 0 if reads[i].so_far else c
                    for each in range(first, c + 1):
                        due = max(due, _read_at(reads[i].outcome, when, cohorts[each], blocks, stop, people[each]))
                if clause.scope == EACH_COHORT and _is_for(clause.cohorts, c):
                    _mark_due(state[k, c], due, now, busy)
            else:
                state[k, c, DUE_AT] = 0
                if blocks[cohorts[c].end_block - 1].reach > stop:
                    due = stop
            pooled = max(pooled, due)
        if clause.scope == POOLED:
            _mark_due(state[k, number], pooled, now, busy)


@written_out
def _read_at(outcome: int, when: Ints, cohort: Any, blocks: Any, stop: int, people: float) -> int:
    """Period in which an outcome of a cohort can be read (-1: in which its people are known); 0 if it did not run."""
    if people <= 0.0:
        return 0
    if outcome < 0:
        return _referred_by(cohort, blocks, stop)
    return _known_at(when, cohort, blocks, outcome, stop)


@written_out
def _clear(table: Any) -> None:
    """Set a table to zero; of a slice of two dimensions the compiler would not know that it is contiguous."""
    for i in range(table.shape[0]):
        for j in range(table.shape[1]):
            table[i, j] = 0


@written_out
def _is_for(cohorts: int, c: int) -> bool:
    """Whether a clause is settled for a cohort, by its bits; -1 are all."""
    return cohorts < 0 or (cohorts >> c) & 1 == 1


@written_out
def _mark_due(row: Ints, due: int, now: int, busy: NDArray[np.bool_]) -> None:
    if row[SETTLED] == 0:
        row[DUE_AT] = max(due, now + 1) if due > 0 else 0
        if 0 < row[DUE_AT] < busy.size:
            busy[row[DUE_AT]] = True


@written_out
def _settle(
    v: Floats, terms: Terms, k: int, column: int, raw: float, quantity: float, book: Book, holders: Any, t: int, at: int
) -> float:
    """Apply the caps to what a clause owes and book it; return what is paid.

    It falls due in period t and is paid in period `at`. For `holders` see :func:`_settle_period`.
    """
    clause, totals, so_far, state = terms.clauses[k], book.totals, book.so_far, book.state
    amount = raw
    reason = NOT_LIMITED
    if clause.outcome_cap_at >= 0 and quantity > 0.0:
        room = max(v[clause.outcome_cap_at] - so_far[k, COUNTED_SO_FAR], 0.0)
        if quantity > room:
            amount *= room / quantity
            reason = OUTCOME_CAP
        so_far[k, COUNTED_SO_FAR] += quantity
    if clause.cap_at >= 0:
        room = max(v[clause.cap_at] - totals[2 + k], 0.0)
        if amount > room:
            amount, reason = room, CLAUSE_CAP
    if terms.contract_cap_at >= 0:
        room = max(v[terms.contract_cap_at] - totals[0], 0.0)
        if amount > room:
            amount, reason = room, CONTRACT_CAP
    if terms.year_cap_at >= 0:
        room = max(v[terms.year_cap_at] - totals[1], 0.0)
        if amount > room:
            if holders is not None and terms.carried_forward == 1:
                so_far[k, CARRIED] += amount - room
            amount, reason = room, YEAR_CAP
    if holders is not None and terms.payers.size > 0 and amount > 0.0:
        whole = amount
        amount = paid_by_payers(v, terms.payers, k, column, t, at, whole, book.purses)
        if amount < whole:
            reason = PAYER_CAP
    totals[0] += amount
    totals[1] += amount
    totals[2 + k] += amount
    book.settled[k, column, PAID] += amount
    if reason != NOT_LIMITED:
        state[k, column, LIMITED_BY] = reason
    return amount


@written_out
def _falls_away(clause: Any, triggered: int) -> bool:
    """Whether a clause falls away because of the triggers of others that were met so far."""
    return (triggered & clause.unless) != 0 or (clause.only_if != 0 and (triggered & clause.only_if) == 0)


@part
def _paid_from_before(v: Floats, terms: Terms, k: int, column: int, book: Book, at: int) -> float:
    """Book what payers carried forward for a clause and pay in a new financial year, within the caps."""
    clause, totals = terms.clauses[k], book.totals
    most = v[clause.cap_at] - totals[2 + k] if clause.cap_at >= 0 else np.inf
    if terms.contract_cap_at >= 0:
        most = min(most, v[terms.contract_cap_at] - totals[0])
    room = v[terms.year_cap_at] - totals[1] if terms.year_cap_at >= 0 else np.inf
    amount = paid_from_before(v, terms.payers, k, column, at, room, most, book.purses)
    totals[0] += amount
    totals[1] += amount
    totals[2 + k] += amount
    book.settled[k, column, PAID] += amount
    return amount


@written_out
def _fee_due(due: int, first: int, last: int, t: int, stop: int, amount: float, gap: tuple[int, int]) -> float:
    """Part of a fee that is due in period t; a fee is earned over the periods of service first..last.

    In the periods of the `gap` there is no provider and so no service.
    """
    length = last - first + 1
    if due == EVENLY:
        if gap[0] <= t <= gap[1]:
            return 0.0
        return amount / length if first <= t <= min(last, stop) else 0.0
    if due == AT_THE_START:
        return amount if t == 1 else 0.0
    if due == AT_THE_END:
        without = max(min(gap[1], last, stop) - max(gap[0], first) + 1, 0)
        if stop >= last and without <= 0:
            return amount if t == last else 0.0
        if stop >= last:
            return amount * (length - without) / length if t == last else 0.0
        return amount * max(stop - first + 1 - without, 0) / length if t == stop + 1 else 0.0
    return 0.0


@written_out
def _newly_paid_for(v: Floats, clause: Any, referred: Floats, t: int, stop: int) -> float:
    """People referred in period t beyond those that are not paid for; nobody after the stop."""
    if t > stop:
        return 0.0
    before = 0.0
    for each in range(1, t):
        before += referred[each]
    if clause.above_people_at < 0:
        return referred[t]
    free = v[clause.above_people_at]
    return max(before + referred[t] - free, 0.0) - max(before - free, 0.0)


@written_out
def _settle_period(
    v: Floats,
    terms: Terms,
    calendar: Calendar,
    measures: Measures,
    arms: Floats,
    published: Floats,
    tally: Tally,
    book: Book,
    holders: Any,
    t: int,
    at: int,
    new_year: bool,
    stop: int,
    closed: int,
    cause: int,
    gap: tuple[int, int],
    triggered: int,
) -> tuple[float, int]:
    """Settle the clauses that are due in period t, in the file's order.

    Parameters
    ----------
    holders
        The capital and the flows of the investors' paper, which a hurdle looks at. None where there is no hurdle, no
        payer with rules of its own and nothing carried forward: nothing is compiled for them.
    at
        Period in which it is paid.
    closed, cause, gap
        Last period in which outcomes are settled, what ended the service, and periods without a provider.
    triggered
        Bits of the clauses that were triggered so far.

    Returns
    -------
    payable, triggered
    """
    clauses, rows, parts, scratch = terms.clauses, measures.rows, measures.parts, book.scratch
    people_in, verified = tally.people, tally.verified
    buckets, settled, state, so_far, totals = book.buckets, book.settled, book.state, book.so_far, book.totals
    number = people_in.size
    payable = 0.0
    for k in range(clauses.size):
        clause = clauses[k]
        if holders is not None and new_year:
            if so_far[k, CARRIED] > 0.0:
                raw = so_far[k, CARRIED]
                so_far[k, CARRIED] = 0.0
                payable += _settle(v, terms, k, number, raw, 0.0, book, holders, t, at)
            if terms.payers.size > 0:
                payable += _paid_from_before(v, terms, k, number, book, at)
        if t > closed and clause.scope != CONTRACT:
            continue
        rise = 1.0
        if clause.index_at >= 0:
            rise = _index(v[clause.index_at], t, calendar.step, clause.base)
        low, high = (0, number) if clause.scope == EACH_COHORT else (number, number + 1)
        for column in range(low, high):
            quantity = 0.0
            if clause.scope in (EACH_COHORT, POOLED):
                if state[k, column, DUE_AT] != t:
                    continue
                state[k, column, SETTLED] = 1
                if _falls_away(clause, triggered):
                    continue
                raw, quantity, met = _owed(
                    v,
                    clause,
                    terms.conditions,
                    terms.points,
                    rows,
                    parts,
                    column,
                    people_in,
                    verified,
                    arms,
                    published,
                    scratch,
                )
                raw *= rise
                if holders is not None and clause.until != NO_END and raw > 0.0:
                    raw = _beyond_hurdle(v, clause, raw, t, calendar.a_year, totals[0], book.flows, *holders)
                if clause.rounded != NOT_ROUNDED:
                    raw = rounded_to(raw, clause.rounded, v[clause.step_at])
                if clause.less != 0:
                    for j in range(clauses.size):
                        if clause.less & clauses[j].bit:
                            raw -= totals[2 + j]
                    raw = max(raw, 0.0)
                gross = raw
            elif clause.scope == EACH_PARTICIPANT:
                quantity = buckets[k, t, QUANTITY]
                raw, gross = buckets[k, t, MONEY] * rise, buckets[k, t, GROSS] * rise
                met = quantity > 0.0 and not _falls_away(clause, triggered)
                if not met:
                    continue
            else:
                if clause.due == WHEN_REFERRED:
                    raw = v[clause.rate_at] * _newly_paid_for(v, clause, book.flows[REFERRED], t, stop)
                elif clause.due == AT_AN_EARLY_END:
                    raw = 0.0
                    if t == stop + 1 and (clause.ended_by >> cause) & 1 == 1:
                        raw = _compensation(
                            v, clause, terms.points, rows, parts, number, people_in, verified, arms, published, scratch
                        )
                else:
                    raw = _fee_due(clause.due, calendar.first, calendar.last, t, stop, v[clause.rate_at], gap)
                raw *= rise
                gross = raw
                met = raw > 0.0 and not _falls_away(clause, triggered)
                if not met:
                    continue
            if met:
                state[k, column, MET] = 1
                triggered |= clause.bit
            settled[k, column, UNCAPPED_MONEY] += gross
            if raw > 0.0 or quantity > 0.0:
                payable += _settle(v, terms, k, column, raw, quantity, book, holders, t, at)
    return payable, triggered


@written_out
def _lay_out(
    v: Floats,
    terms: Terms,
    calendar: Calendar,
    cohorts: Any,
    blocks: Any,
    outcomes: Outcomes,
    capped: Floats,
    has_cap: bool,
    stop: int,
    tally: Tally,
    book: Book,
) -> float:
    """Clear what a draw's clauses write, and fill the tally, the due dates and what is due for participants.

    Returns what of the latter falls past the horizon.
    """
    clauses, state, busy = terms.clauses, book.state, book.busy
    for k in range(clauses.size):
        if clauses[k].scope == EACH_PARTICIPANT:
            _clear(book.buckets[k])
        _clear(book.settled[k])
        _clear(state[k])
    book.so_far[:] = 0.0
    book.totals[:] = 0.0
    busy[:] = False
    now: Any = np.int64(0)  # of this type, or functions would be compiled for the constant and for variables
    _tally(outcomes.people, outcomes.counts, blocks, stop, tally.people, tally.verified, tally.additional)
    _due_dates(clauses, terms.reads, outcomes.when, cohorts, blocks, stop, now, tally.people, state, busy)
    return _bucket(
        v, clauses, calendar, blocks, outcomes.when, outcomes.counts, capped, has_cap, stop, now, book.buckets, busy
    )


@part
def next_busy(busy: NDArray[np.bool_], t: int, periods: int) -> int:
    """First period from t on in which a clause may owe something; one past the last if there is none."""
    while t <= periods and not busy[t]:
        t += 1
    return t


@written_out
def play_clauses(
    v: Floats,
    terms: Terms,
    calendar: Calendar,
    measures: Measures,
    cohorts: Any,
    blocks: Any,
    outcomes: Outcomes,
    capped: Floats,
    has_cap: bool,
    stop: int,
    published: Floats,
    tally: Tally,
    book: Book,
    receipts: Floats,
    column: int,
) -> float:
    """Play the clauses of one draw alone, where nothing but policy ends the service and no clause looks at an account.

    Nor does a payer have rules of its own, and nothing is carried forward to another year.

    Adds what is paid to a column of `receipts` [T + 2, any], and fills the people referred in `book.flows` and all that
    the book holds of clauses. The other parameters are those of :func:`play`.

    Returns
    -------
    float
        How much fell due too late.
    """
    T, flows = calendar.periods, book.flows
    late = _lay_out(v, terms, calendar, cohorts, blocks, outcomes, capped, has_cap, stop, tally, book)
    if terms.per_head:
        flows[REFERRED] = 0.0
        spread_referrals(outcomes.people, blocks, flows[REFERRED])
    gap = (T + 2, T + 1)
    cause = BY_POLICY if stop < calendar.last else RAN
    closed = stop + 1 if terms.claims_end == 1 and cause != RAN else T + 1
    lag = math.ceil(v[terms.paid_after_at] / calendar.step - 1e-9)
    triggered: Any = np.int64(0)
    year = calendar.year[0]
    t: Any = np.int64(1)
    t = next_busy(book.busy, t, T)
    while t <= T:
        new_year = calendar.year[t] != year
        if new_year:
            year = calendar.year[t]
            book.totals[1] = 0.0
        at = min(t + lag, T)
        payable, triggered = _settle_period(
            v,
            terms,
            calendar,
            measures,
            outcomes.arms,
            published,
            tally,
            book,
            None,
            t,
            at,
            new_year,
            stop,
            closed,
            cause,
            gap,
            triggered,
        )
        if payable > 0.0:
            if t + lag > T:
                late += 1.0
            receipts[at, column] += payable
        t = next_busy(book.busy, t + 1, T)
    return late


@inner
def play(
    v: Floats,
    planned: Floats,
    terms: Terms,
    calendar: Calendar,
    measures: Measures,
    cohorts: Any,
    blocks: Any,
    outcomes: Outcomes,
    capped: Floats,
    has_cap: bool,
    stop: int,
    published: Floats,
    tally: Tally,
    book: Book,
    out: Floats,
) -> None:
    """Play one draw of one structure and fill its ledger and metrics.

    Parameters
    ----------
    v
        Value row.
    planned
        :func:`planned_costs`.
    capped, has_cap
        [K, B] money for each participant after the cap per person, and whether there is such a cap.
    stop
        Last period of service if policy ends the deal early, else T + 1.
    published
        [M, C + 1] measures to be used as they are instead of computed ones, NaN where none; last column pooled.
    tally, book
        Scratch, filled.
    out
        [METRICS], filled.
    """
    clauses, costs, reads = terms.clauses, terms.costs, terms.reads
    rows, parts, scratch = measures.rows, measures.parts, book.scratch
    people, when, counts, arms = outcomes.people, outcomes.when, outcomes.counts, outcomes.arms
    people_in, verified, additional = tally.people, tally.verified, tally.additional
    flows, buckets, settled, state, busy = book.flows, book.buckets, book.settled, book.state, book.busy
    number = cohorts.size
    T, first, last, a_year = calendar.periods, calendar.first, calendar.last, calendar.a_year
    _clear(flows)
    book.by_year[:] = 0.0
    now: Any = np.int64(0)  # of this type, or functions would be compiled for the constant and for variables
    gap = (T + 2, T + 1)
    if calendar.fails_at >= 0:
        gap = without_provider(v, calendar.fails_at, calendar.gap_at, first, calendar.step)
    cause = BY_POLICY if stop < last else RAN
    closed = stop + 1 if terms.claims_end == 1 and cause != RAN else T + 1
    late = 0.0
    beyond = _lay_out(v, terms, calendar, cohorts, blocks, outcomes, capped, has_cap, stop, tally, book)
    if terms.per_head:
        spread_referrals(people, blocks, flows[REFERRED])
    spread_costs(v, costs, first, last, stop, now, a_year, flows[REFERRED], flows[:FALLS], False, gap)
    raise_costs(v, calendar, now, flows[:FALLS])
    lag = math.ceil(v[terms.paid_after_at] / calendar.step - 1e-9)
    totals = book.totals
    triggered: Any = np.int64(0)

    finance = terms.finance
    has_finance = finance.has == 1
    tranches = finance.tranches
    promises = finance.promises == 1
    capital, paper, till, paid_to = book.capital, book.paper, book.till, book.paid_to
    capital[:] = 0.0
    paper[:] = 0.0
    till[:] = 0.0
    commitment = 0.0
    for n in range(tranches.size):
        commitment += v[tranches[n].commitment_at]
    reserve = v[finance.reserve_at] if finance.reserve_at >= 0 else 0.0
    all_at_once = finance.ahead_at < 0
    one: Any = np.int64(1)
    ahead = one
    if has_finance and not all_at_once:
        ahead = max(1, math.ceil(v[finance.ahead_at] / calendar.step - 1e-9))
    held_ahead = T if finance.recycled == 1 or all_at_once else ahead
    broken = False
    if has_finance:
        need = commitment if all_at_once else needed(planned, now, ahead, stop, T)
        flows[INVESTOR, 0] -= call_capital(v, tranches, finance.in_turn, need, now, capital, paper, till)
    flows[VEHICLE, 0] = till[CASH]
    has_fund = finance.fund.size > 0
    if has_fund:
        book.fund[HELD, 0] = capital_held(finance.fund[0], capital)
    year = calendar.year
    reads_accounts = terms.accounts.shape[0] > 0
    has_breaks = terms.breaks.size > 0
    agreed = terms.agreed == 1
    of_payments_at = terms.of_payments_at
    payers, purses = terms.payers, book.purses
    if payers.size > 0:
        purses.spent[:] = 0.0
        purses.in_year[:] = 0.0
        purses.owes[:] = 0.0
        purses.carried[:] = 0.0
        purses.by_date[:] = 0.0
        purses.by_clause[:] = 0.0
    for t in range(1, T + 1):
        new_year = year[t] != year[t - 1]
        if new_year:
            totals[1] = 0.0
            purses.in_year[:] = 0.0
        # 1 costs
        due = flows[OTHER_PARTIES, t] + flows[SERVICE, t] + flows[GUARANTOR_FEES, t]
        if has_finance:
            if finance.usual == 0:
                till[CASH] += flows[GRANTS, t]
                flows[GUARANTORS, t] += flows[GUARANTOR_FEES, t]
                if agreed:
                    due = flows[OTHER_PARTIES, t] + flows[OWED_FOR_SERVICE, t] + flows[GUARANTOR_FEES, t]
                    flows[PROVIDERS, t] += flows[OWED_FOR_SERVICE, t] - flows[SERVICE, t]
            owes = till[ARREARS] + due
            paid = min(till[CASH], owes)
            till[CASH] -= paid
            till[ARREARS] = owes - paid  # in one sum, so that no rounding leaves less than nothing
            flows[PROVIDERS, t] += paid - due
            if finance.usual == 0:
                if finance.puts_off == 1:
                    later = min(flows[OTHER_PARTIES, t], due, till[ARREARS])
                    till[ARREARS] -= later
                    till[FEES_OWED] += later
                    flows[OTHER_PARTIES, t] -= later
                    flows[PROVIDERS, t] += later
                if finance.defers == 1 and flows[LATER_FEES, t] + flows[LATER_DELIVERY, t] > 0.0:
                    till[FEES_OWED] += flows[LATER_FEES, t]
                    till[DELIVERY_OWED] += flows[LATER_DELIVERY, t]
                    if not agreed:
                        flows[PROVIDERS, t] -= flows[LATER_DELIVERY, t]
                        flows[SERVICE, t] += flows[LATER_DELIVERY, t]
            if promises:
                run_interest(v, finance, t, a_year, capital)
        else:
            flows[PROVIDERS, t] -= due
        if reads_accounts:
            till[SPENT] += due
            if has_finance and finance.defers == 1:
                till[SPENT] += flows[LATER_FEES, t] + flows[LATER_DELIVERY, t]
            if busy[t] or new_year:
                read_accounts(v, terms.accounts, rows, capital, till, totals[0], t / a_year, scratch)
        # 2 clauses
        payable = 0.0
        at = min(t + lag, T)
        if busy[t] or new_year:
            payable, triggered = _settle_period(
                v,
                terms,
                calendar,
                measures,
                outcomes.arms,
                published,
                tally,
                book,
                (capital, paper),
                t,
                at,
                new_year,
                stop,
                closed,
                cause,
                gap,
                triggered,
            )
        if payable > 0.0:
            if t + lag > T:
                late += 1.0
            flows[RECEIPTS, at] += payable
        if has_breaks and t < min(last, stop):
            if reads_accounts:
                read_accounts(v, terms.accounts, rows, capital, till, totals[0], t / a_year, scratch)
            i = _broken_off(
                v,
                terms.breaks,
                terms.checks,
                reads,
                rows,
                parts,
                when,
                cohorts,
                blocks,
                stop,
                t,
                triggered,
                people_in,
                verified,
                arms,
                published,
                book.known,
                scratch,
            )
            halt = stop
            if i >= 0:
                halt = t + math.ceil(v[terms.breaks[i].notice_at] / calendar.step - 1e-9)
            if halt < min(last, stop):
                stop, cause = halt, BY_BREAK + i
                closed = stop + 1 if terms.claims_end == 1 else T + 1
                beyond = _stop_at(
                    v,
                    clauses,
                    reads,
                    costs,
                    calendar,
                    cohorts,
                    blocks,
                    people,
                    when,
                    counts,
                    capped,
                    has_cap,
                    stop,
                    t,
                    gap,
                    people_in,
                    verified,
                    additional,
                    state,
                    busy,
                    buckets,
                    flows,
                )
        # 3 receipts
        if not has_finance:
            flows[PROVIDERS, t] += flows[RECEIPTS, t]
            continue
        serving = t < last and t <= stop
        till[CASH] += flows[RECEIPTS, t]
        if of_payments_at >= 0:
            part = v[of_payments_at] * flows[RECEIPTS, t]
            till[CASH] = max(till[CASH] - part, 0.0)
            flows[PROVIDERS, t] += part
        # 4 what the paper promises, and the waterfall
        if promises:
            _fall_due(
                v,
                finance,
                rows,
                parts,
                when,
                cohorts,
                blocks,
                stop,
                last,
                t,
                T,
                a_year,
                people_in,
                verified,
                arms,
                published,
                capital,
                paper,
                book.known,
                scratch,
            )
        if till[CASH] > 0.0:
            held = needed(planned, t, held_ahead, stop, T) + (reserve if serving else 0.0)
            pay_out(v, finance, t, T, a_year, held, serving, capital, paper, till, paid_to)
            flows[INVESTOR, t] += paid_to[0]
            flows[PROVIDERS, t] += paid_to[1]
            flows[OTHER_PARTIES, t] += paid_to[2]
            flows[GUARANTORS, t] += paid_to[3]
        if promises:
            paid = stand_behind(finance, t, capital, paper, till)
            flows[INVESTOR, t] += paid
            flows[PROVIDERS, t] -= paid
            if finance.guarantee.size > 0:
                paid = call_guarantees(v, finance, t, capital, paper, till)
                flows[INVESTOR, t] += paid
                flows[GUARANTORS, t] -= paid
        # 5 capital
        if t < T:
            need = 0.0 if all_at_once else needed(planned, t, ahead, stop, T) + till[ARREARS]
            if need - till[CASH] > 1e-9 * need:
                flows[INVESTOR, t] -= call_capital(v, tranches, finance.in_turn, need, t, capital, paper, till)
            short = till[CASH] < needed(planned, t, one, stop, T) * (1.0 - 1e-9)
            if finance.stops_referrals == 1 and short and t < min(last, stop):
                stop, cause = t, FOR_WANT_OF_MONEY
                closed = t + 1 if finance.winds_up == 1 or terms.claims_end == 1 else T + 1
                beyond = _stop_at(
                    v,
                    clauses,
                    reads,
                    costs,
                    calendar,
                    cohorts,
                    blocks,
                    people,
                    when,
                    counts,
                    capped,
                    has_cap,
                    stop,
                    t,
                    gap,
                    people_in,
                    verified,
                    additional,
                    state,
                    busy,
                    buckets,
                    flows,
                )
        if has_fund:
            book.fund[HELD, t] = capital_held(finance.fund[0], capital)
        flows[VEHICLE, t] = till[CASH]
        broken = broken or till[CASH] < 0.0 or till[ARREARS] < 0.0
    paid_for = settled[:, :, PAID]
    real, counted = really_paid(v, clauses, rows, parts, number, people_in, verified, additional, arms, paid_for)
    called = 0.0
    profit = 0.0
    for n in range(tranches.size):
        called += capital[n, CALLED]
        profit += capital[n, RECEIVED] - capital[n, CALLED]
    _measure(v, calendar, has_finance, called, profit, commitment, book, out)
    if has_finance:
        out[GUARANTOR_COST] = 0.0
        for t in range(T + 1 if finance.guarantee.size > 0 else 0):
            out[GUARANTOR_COST] -= flows[GUARANTORS, t]
        out[PROVIDER_BACKS] = till[BACKED]
        out[UNPAID] = till[FEES_OWED] + till[DELIVERY_OWED]
        for n in range(tranches.size):
            out[UNPAID] += capital[n, OUT] + capital[n, OWED]
    out[REAL_PAYMENTS] = real
    out[COUNTED_PAYMENTS] = counted
    out[LATE] = late + beyond
    out[STOPPED] = cause if stop < last else RAN
    out[STOP_AT] = stop
    contract_cap = v[terms.contract_cap_at] if terms.contract_cap_at >= 0 else np.inf
    rule = _check(contract_cap, called, profit, commitment, totals[0], T, has_finance, flows)
    out[BROKEN] = 1.0 if broken else rule


@part
def _stop_at(
    v: Floats,
    clauses: Any,
    reads: Any,
    costs: Any,
    calendar: Calendar,
    cohorts: Any,
    blocks: Any,
    people: Ints,
    when: Ints,
    counts: Floats,
    capped: Floats,
    has_cap: bool,
    stop: int,
    t: int,
    gap: tuple[int, int],
    people_in: Floats,
    verified: Floats,
    additional: Floats,
    state: Ints,
    busy: NDArray[np.bool_],
    buckets: Floats,
    flows: Floats,
) -> float:
    """Lay out what comes after period t anew, now that service is known to end after period `stop`.

    Returns what of the outcomes for participants falls past the horizon, as :func:`_bucket` does.
    """
    buckets[:, t + 1 :] = 0.0
    flows[:FALLS, t + 1 :] = 0.0
    beyond = _bucket(v, clauses, calendar, blocks, when, counts, capped, has_cap, stop, t, buckets, busy)
    referred, falls = flows[REFERRED], flows[:FALLS]
    first, last = calendar.first, calendar.last
    spread_costs(v, costs, first, last, stop, t, calendar.a_year, referred, falls, False, gap)
    raise_costs(v, calendar, t, falls)
    _tally(people, counts, blocks, stop, people_in, verified, additional)
    _due_dates(clauses, reads, when, cohorts, blocks, stop, t, people_in, state, busy)
    return beyond


@part
def _broken_off(
    v: Floats,
    breaks: Any,
    checks: Any,
    reads: Any,
    rows: Any,
    parts: Any,
    when: Ints,
    cohorts: Any,
    blocks: Any,
    stop: int,
    t: int,
    triggered: int,
    people_in: Floats,
    verified: Floats,
    arms: Floats,
    published: Floats,
    known: Floats,
    scratch: Floats,
) -> int:
    """First break whose review is in period t and stops the service; -1 if none does."""
    for i in range(breaks.size):
        if breaks[i].review != t or (triggered & breaks[i].unless) != 0:
            continue
        holds = True
        for j in range(breaks[i].first_check, breaks[i].end_check):
            check = checks[j]
            if check.first_read == check.end_read:  # an account waits for nothing
                value = measured(
                    v, rows, parts, check.by, people_in.size, people_in, verified, arms, published, scratch
                )
            else:
                _know(check, reads, when, cohorts, blocks, stop, t, people_in, published, known)
                value = _to_date(v, rows, parts, check.by, people_in, verified, arms, published, known, scratch)
            holds = holds and not np.isnan(value) and meets(value, check.sense, v[check.bound_at])
        if holds:
            return i
    return -1


@part
def read_accounts(
    v: Floats,
    accounts: Ints,
    rows: Any,
    capital: Floats,
    till: Floats,
    paid: float,
    years: float,
    scratch: Floats,
) -> None:
    """Put the accounts that measures are into their places, as they stand, limited and rounded as the measure says."""
    for i in range(accounts.shape[0]):
        m, which = accounts[i, 0], accounts[i, 1]
        value = 0.0
        if which == CASH_IN_HAND:
            value = till[CASH]
        elif which == PAID_SO_FAR:
            value = paid
        elif which == COSTS_SO_FAR:
            value = till[SPENT]
        elif which == YEARS_SO_FAR:
            value = years
        else:
            for n in range(capital.shape[0]):
                if which == CAPITAL_CALLED:
                    value += capital[n, CALLED]
                elif which == CAPITAL_OUTSTANDING:
                    value += capital[n, OUT]
                else:
                    value += capital[n, RECEIVED]
        scratch[m] = limited(v, rows[m], value)


@part
def _compensation(
    v: Floats,
    clause: Any,
    points: Any,
    rows: Any,
    parts: Any,
    column: int,
    people_in: Floats,
    verified: Floats,
    arms: Floats,
    published: Floats,
    scratch: Floats,
) -> float:
    """What is owed where service ended early: a sum, or by accounts, whether or not anybody was served."""
    if clause.by >= 0:
        level = measured(v, rows, parts, clause.by, column, people_in, verified, arms, published, scratch)
        amount = table_amount(v, clause, points, level)
    else:
        amount = v[clause.rate_at]
    if clause.times >= 0:
        level = measured(v, rows, parts, clause.times, column, people_in, verified, arms, published, scratch)
        amount *= max(level, 0.0)
    return amount


@part
def _beyond_hurdle(
    v: Floats,
    clause: Any,
    raw: float,
    t: int,
    a_year: float,
    paid: float,
    flows: Floats,
    capital: Floats,
    paper: Floats,
) -> float:
    """What a price or share amounts to where it changes once investors have had what they still need.

    Of what was `paid` so far, what has not come in yet counts as theirs.
    """
    on_its_way = paid
    for s in range(1, t):
        on_its_way -= flows[RECEIPTS, s]
    need = max(enough_for(v, clause, t, a_year, capital, paper) - on_its_way, 0.0)
    if raw <= need:
        return raw
    return need + (raw - need) * (v[clause.then_at] / v[clause.rate_at])


@part
def _fall_due(
    v: Floats,
    finance: FinanceTerms,
    rows: Any,
    parts: Any,
    when: Ints,
    cohorts: Any,
    blocks: Any,
    stop: int,
    last: int,
    t: int,
    periods: int,
    a_year: float,
    people_in: Floats,
    verified: Floats,
    arms: Floats,
    published: Floats,
    capital: Floats,
    paper: Floats,
    known: Floats,
    scratch: Floats,
) -> None:
    """Make owed what the paper promises for this period: interest on its dates, capital at maturity."""
    tranches, tables = finance.tranches, finance.tables
    for n in range(tranches.size):
        row = tranches[n]
        own = capital[n]
        early = is_early(row, t, stop, last) and own[ENDED] <= 0.0
        matures = early or (t == row.matures and own[ENDED] <= 0.0)
        if not (matures or is_coupon_date(row, own, t, periods, matures)):
            continue
        level = np.nan
        if row.rate_table >= 0:
            table = tables[row.rate_table]
            _know(table, finance.reads, when, cohorts, blocks, stop, t, people_in, published, known)
            level = _to_date(v, rows, parts, table.by, people_in, verified, arms, published, known, scratch)
        if is_coupon_date(row, own, t, periods, matures):
            own[OWED] += own[BASE] * coupon_rate(v, finance, row, level, t, a_year)
            own[BASE] = 0.0
        if not matures:
            continue
        own[ENDED] = 1.0
        if row.coupon == AT_MATURITY:
            rate = coupon_rate(v, finance, row, level, t, a_year)
            own[OWED] += whole_term_interest(rate, t, a_year, own, paper[n])
        if early:
            own[OUT] *= table_amount(v, tables[row.early_table], finance.points, t / a_year)
        elif row.principal_table >= 0:
            table = tables[row.principal_table]
            _know(table, finance.reads, when, cohorts, blocks, stop, t, people_in, published, known)
            level = _to_date(v, rows, parts, table.by, people_in, verified, arms, published, known, scratch)
            own[OUT] *= table_amount(v, tables[row.principal_table], finance.points, level)


@written_out
def _know(
    table: Any,
    reads: Any,
    when: Ints,
    cohorts: Any,
    blocks: Any,
    stop: int,
    t: int,
    people_in: Floats,
    published: Floats,
    known: Floats,
) -> None:
    """Fill the people [C] of whom a table's measure is known by period t: 0 of other cohorts.

    A cohort of which observed results hold nothing (minus infinity) has NaN.
    """
    for c in range(cohorts.size):
        known[c] = 0.0
        if people_in[c] <= 0.0:
            continue
        due = _referred_by(cohorts[c], blocks, stop)
        for i in range(table.first_read, table.end_read):
            due = max(due, _read_at(reads[i].outcome, when, cohorts[c], blocks, stop, people_in[c]))
        if due <= t:
            silent = published.size > 0 and published[table.by, c] == -np.inf
            known[c] = np.nan if silent else people_in[c]


@written_out
def _to_date(
    v: Floats,
    rows: Any,
    parts: Any,
    m: int,
    people_in: Floats,
    verified: Floats,
    arms: Floats,
    published: Floats,
    known: Floats,
    scratch: Floats,
) -> float:
    """Value of a measure over the cohorts that are known; NaN if there is none.

    Of observed results, a published value of the latest cohort speaks for all up to it.
    """
    number = people_in.size
    latest = -1
    everything = True
    for c in range(number):
        everything = everything and (known[c] != 0.0 or people_in[c] <= 0.0)
        if np.isnan(known[c]):
            known[c] = 0.0
        elif known[c] > 0.0:
            latest = c
    if published.size > 0 and everything and not np.isnan(published[m, number]):
        return published[m, number]
    if latest < 0:
        return np.nan
    if published.size > 0 and not np.isnan(published[m, latest]):
        return published[m, latest]
    return measured(v, rows, parts, m, number, known, verified, arms, published[:0], scratch)


@written_out
def needed(planned: Floats, t: int, ahead: int, stop: int, T: int) -> float:
    """Planned costs of the `ahead` periods after t; once the stop is known, only the cost of ending."""
    if t >= stop:
        return planned[1, t + 1] if t == stop else 0.0
    return planned[0, min(t + ahead, T)] - planned[0, t]


@written_out
def _bucket(
    v: Floats,
    clauses: Any,
    calendar: Calendar,
    blocks: Any,
    when: Ints,
    counts: Floats,
    capped: Floats,
    has_cap: bool,
    stop: int,
    after: int,
    buckets: Floats,
    busy: NDArray[np.bool_],
) -> float:
    """Sort participants' outcomes and money into the periods later than `after`; return what falls past the horizon.

    Periods in which a fee may be due are marked as busy, too.
    """
    late = 0.0
    T = calendar.periods
    for k in range(clauses.size):
        if clauses[k].scope == CONTRACT:
            busy[1] = True
            for t in range(calendar.first, min(max(calendar.last, stop + 1), T) + 1):
                busy[t] = True
            busy[min(stop + 1, T)] = True  # also where service ended before it began
            if clauses[k].due == WHEN_REFERRED:
                for b in range(blocks.size):
                    for t in range(blocks[b].first, min(blocks[b].last, T) + 1):
                        busy[t] = True
        if clauses[k].scope != EACH_PARTICIPANT:
            continue
        o = clauses[k].outcome
        price = v[clauses[k].rate_at]
        for b in range(blocks.size):
            number = counts[o, b, VERIFIED]
            if number <= 0.0 or blocks[b].reach > stop or not _is_for(clauses[k].cohorts, blocks[b].cohort):
                continue
            t = when[o, b]
            if t > T:
                late += 1.0
            elif t > after:
                busy[t] = True
                buckets[k, t, QUANTITY] += number
                buckets[k, t, GROSS] += number * price
                buckets[k, t, MONEY] += capped[k, b] if has_cap else number * price
    return late


@written_out
def _index(rate: float, t: int, step: float, base: int) -> float:
    """Rise of indexed amounts in a period: by whole years from the base month to the last month of the period.

    Of real money it is by the period, from the start.
    """
    if base == BY_PERIOD:
        return (1.0 + rate) ** (t * step / 12.0)
    return (1.0 + rate) ** max(math.floor((t * step - 1.0 - base) / 12.0), 0)


@written_out
def _owed(
    v: Floats,
    clause: Any,
    conditions: Any,
    points: Any,
    rows: Any,
    parts: Any,
    column: int,
    people_in: Floats,
    verified: Floats,
    arms: Floats,
    published: Floats,
    scratch: Floats,
) -> tuple[float, float, bool]:
    """What a clause owes for a cohort (or pooled), the quantity paid for, and whether its trigger was met."""
    if column == people_in.size and people_in.sum() <= 0.0:
        return 0.0, 0.0, False
    one_holds = clause.end_any == clause.first_any
    for i in range(clause.first_condition, clause.end_any):
        row = conditions[i]
        value = measured(v, rows, parts, row.measure, column, people_in, verified, arms, published, scratch)
        holds = not np.isnan(value) and meets(value, row.sense, v[row.bound_at])
        if i >= clause.first_any:
            one_holds = one_holds or holds
        elif not holds:
            return 0.0, 0.0, False
    if not one_holds:
        return 0.0, 0.0, False
    amount = 0.0
    if clause.by >= 0:
        level = measured(v, rows, parts, clause.by, column, people_in, verified, arms, published, scratch)
        amount = table_amount(v, clause, points, level)
    elif clause.is_bands == 0:
        amount = v[clause.rate_at]
    quantity = 0.0
    if clause.times >= 0:
        level = measured(v, rows, parts, clause.times, column, people_in, verified, arms, published, scratch)
        quantity = 0.0 if np.isnan(level) else max(level, 0.0)
        if clause.is_bands == 0:
            amount *= quantity
        elif not np.isnan(level):
            amount = band_amount(v, clause, points, level)
        if clause.per_at >= 0:
            amount /= v[clause.per_at]
    if clause.least_at >= 0:
        amount = max(amount, v[clause.least_at])
    conditional = clause.end_any > clause.first_condition
    return amount, quantity, conditional or amount > 0.0


@written_out
def really_paid(
    v: Floats,
    clauses: Any,
    measures: Any,
    parts: Any,
    number: int,
    people_in: Floats,
    verified: Floats,
    additional_in: Floats,
    arms: Floats,
    paid: Floats,
) -> tuple[float, float]:
    """Sum payment x additional / counted outcomes, and payments, over the clauses that pay for outcomes."""
    real = 0.0
    counted_pay = 0.0
    for k in range(clauses.size):
        if clauses[k].outcome < 0:
            continue
        m = clauses[k].counted
        for column in range(number + 1):
            pay = paid[k, column]
            if pay <= 0.0:
                continue
            low, high = (0, number) if column == number else (column, column + 1)
            counted, additional = 0.0, 0.0
            if clauses[k].cohorts < 0 or column < number:
                counted, additional = _counted(
                    v, measures, parts, m, low, high, people_in, verified, additional_in, arms
                )
            else:  # for participants of some cohorts: their outcomes are counts, which add up
                for c in range(low, high):
                    if _is_for(clauses[k].cohorts, c):
                        some = _counted(v, measures, parts, m, c, c + 1, people_in, verified, additional_in, arms)
                        counted += some[0]
                        additional += some[1]
            if counted > 0.0:
                real += pay * additional / counted
                counted_pay += pay
    return real, counted_pay


@written_out
def _counted(
    v: Floats,
    measures: Any,
    parts: Any,
    m: int,
    low: int,
    high: int,
    people_in: Floats,
    verified: Floats,
    additional_in: Floats,
    arms: Floats,
) -> tuple[float, float]:
    """Outcomes of cohorts low..high-1 that a measure counts, and those of them that are additional.

    Of a sum of measures both are sums of its parts, by weight, each part before its limits and rounding.
    """
    if measures[m].kind != SUM:
        row, additional = measures[m], 0.0
        for c in range(low, high):
            additional += additional_in[row.outcome, c]
        return measure(v, row, low, high, people_in, verified, arms), additional
    counted, additional = 0.0, 0.0
    for i in range(measures[m].first_part, measures[m].end_part):
        row = measures[parts[i].measure]
        ours, people, base = totals(v, row, low, high, people_in, verified, arms)
        weight = v[parts[i].weight_at] * per_outcome(v, row, people, base)
        counted += weight * (row.sign * (ours - base) if row.kind >= DIFFERENCE_SHARE else ours)
        for c in range(low, high):
            additional += weight * additional_in[row.outcome, c]
    return counted, additional


@written_out
def count_triggers(state: Ints, number: int, d: int, met: Ints, flags: NDArray[np.int8]) -> None:
    """Count the triggers that draw d met; see :func:`simulator.draws.settle_draws`."""
    for k in range(met.shape[0]):
        any_met = 0
        for column in range(number + 1):
            met[k, column] += state[k, column, MET]
            any_met = max(any_met, state[k, column, MET])
            if flags.shape[0] > 0:
                flags[d, k, column] = state[k, column, MET]
        met[k, number + 1] += any_met
        if flags.shape[0] > 0:
            flags[d, k, number + 1] = any_met


@inner
def nominal_rate(v: Floats, rate_at: int, real: int, inflation_at: int) -> float:
    """Nominal rate a year of a rate that the file states as real or nominal."""
    return (1.0 + v[rate_at]) * (1.0 + v[inflation_at]) - 1.0 if real else v[rate_at]


@inner
def _drop_rounding(flows: Floats) -> None:
    """Set flows that are mere rounding of larger ones to zero, so that no rate of return rests on them."""
    largest = 0.0
    for t in range(flows.size):
        largest = max(largest, abs(flows[t]))
    for t in range(flows.size):
        if abs(flows[t]) <= 1e-12 * largest:
            flows[t] = 0.0


@written_out
def _measure(
    v: Floats,
    calendar: Calendar,
    has_finance: bool,
    called: float,
    profit: float,
    commitment: float,
    book: Book,
    out: Floats,
) -> None:
    """Turn a finished ledger into metrics. A present value is at the start of the deal, in nominal money."""
    T = calendar.periods
    flows, settled, by_year, year = book.flows, book.settled, book.by_year, calendar.year
    payer_rate = nominal_rate(v, calendar.payer_rate_at, calendar.payer_real, calendar.inflation_at)
    discount = (1.0 + payer_rate) ** (-1.0 / calendar.a_year)
    payments = 0.0
    payments_pv = 0.0
    own = 0.0
    own_pv = 0.0
    factor = 1.0
    others_pv = 0.0
    capital_pv = 0.0
    service_pv = 0.0
    in_hand = 0.0
    cash = 0.0
    lowest = 0.0
    lowest_at = np.nan
    for t in range(T + 1):
        others_pv += factor * flows[OTHER_PARTIES, t]
        capital_pv += factor * (flows[INVESTOR, t] + flows[VEHICLE, t] - in_hand)
        capital_pv += factor * (flows[GUARANTORS, t] - flows[GRANTS, t])
        service_pv += factor * (flows[SERVICE, t] + flows[PROVIDERS, t])
        in_hand = flows[VEHICLE, t]
        payments += flows[RECEIPTS, t]
        payments_pv += factor * flows[RECEIPTS, t]
        own += flows[PAYER_COSTS, t]
        own_pv += factor * flows[PAYER_COSTS, t]
        factor *= discount
        by_year[year[t]] += flows[RECEIPTS, t] + flows[PAYER_COSTS, t]
        cash += flows[PROVIDERS, t]
        if cash < lowest:
            lowest = cash
            lowest_at = t / calendar.a_year
    uncapped = 0.0
    for k in range(settled.shape[0]):
        for column in range(settled.shape[1]):
            uncapped += settled[k, column, UNCAPPED_MONEY]
    out[:] = np.nan
    out[PAYMENTS] = payments
    out[PAYMENTS_PV] = payments_pv
    out[UNCAPPED] = uncapped
    out[COST] = payments + own
    out[COST_PV] = payments_pv + own_pv
    out[SURPLUS] = cash
    out[LOWEST_CASH] = lowest
    out[LOWEST_AT] = lowest_at
    out[OTHERS_PV] = others_pv
    out[CAPITAL_PV] = capital_pv
    out[SERVICE_PV] = service_pv
    if has_finance:
        _measure_investor(v, calendar, flows[INVESTOR, : T + 1], called, profit, commitment, out)


@written_out
def _measure_investor(
    v: Floats, calendar: Calendar, flows: Floats, called: float, profit: float, commitment: float, out: Floats
) -> None:
    _drop_rounding(flows)
    rate, code = metrics.irr(flows, calendar.a_year)
    hurdle = nominal_rate(v, calendar.investor_rate_at, calendar.investor_real, calendar.inflation_at)
    peak = metrics.peak_funding_need(flows)
    out[IRR] = rate
    out[IRR_CODE] = code
    out[NPV] = metrics.npv(flows, hurdle, calendar.a_year)
    out[PAYBACK] = metrics.payback(flows, calendar.a_year)
    out[PEAK] = peak
    if called > 0.0:
        out[MULTIPLE] = 1.0 + profit / called
        out[HURDLE] = 1.0 if rate >= hurdle - 1e-9 else 0.0
    if commitment > 0.0:
        out[ON_COMMITTED] = 1.0 + profit / commitment
    if peak > 0.0:
        out[ON_PEAK] = 1.0 + profit / peak


OWN_PAYMENTS, OWN_COST, OWN_COST_PV, OWN_REAL, OWN_COUNTED, OWN_BROKEN = 0, 1, 2, 3, 4, 5
OF_PAYER = 6
"""What is kept of a payer with rules of its own; its cash by financial year follows."""


@inner
def measure_payer(
    v: Floats,
    calendar: Calendar,
    terms: Terms,
    measures: Measures,
    arms: Floats,
    tally: Tally,
    p: int,
    book: Book,
    out: Floats,
) -> None:
    """Fill what one payer spends, [OF_PAYER + Y], from a finished ledger."""
    out[:] = 0.0
    payer_rate = nominal_rate(v, calendar.payer_rate_at, calendar.payer_real, calendar.inflation_at)
    discount = (1.0 + payer_rate) ** (-1.0 / calendar.a_year)
    factor = 1.0
    for t in range(calendar.periods + 1):
        paid = book.purses.by_date[p, t]
        spent = paid
        if book.flows[PAYER_COSTS, t] != 0.0:
            spent += book.flows[PAYER_COSTS, t] * share_of_own_costs(v, terms.payers, p, t)
        out[OWN_PAYMENTS] += paid
        out[OWN_COST] += spent
        out[OWN_COST_PV] += factor * spent
        out[OF_PAYER + calendar.year[t]] += spent
        factor *= discount
    number = tally.people.size
    paid_for = book.purses.by_clause[p]
    real, counted = really_paid(
        v,
        terms.clauses,
        measures.rows,
        measures.parts,
        number,
        tally.people,
        tally.verified,
        tally.additional,
        arms,
        paid_for,
    )
    out[OWN_REAL] = real
    out[OWN_COUNTED] = counted
    limit = v[terms.payers[p].cap_at] if terms.payers[p].cap_at >= 0 else np.inf
    paid = out[OWN_PAYMENTS]
    if paid > limit * (1.0 + 1e-9) + 1e-9 or abs(paid - book.purses.spent[p]) > 1e-9 * max(paid, 1.0):
        out[OWN_BROKEN] = 1.0


@part
def measure_tranche(v: Floats, calendar: Calendar, terms: Terms, n: int, book: Book, out: Floats) -> None:
    """Fill the investor's columns of [METRICS] for one tranche of a finished ledger; the others are NaN."""
    own = book.capital[n]
    out[:] = np.nan
    commitment = v[terms.finance.tranches[n].commitment_at]
    flows = book.paper[n, : calendar.periods + 1]
    _measure_investor(v, calendar, flows, own[CALLED], own[RECEIVED] - own[CALLED], commitment, out)


@kernel
def measure_fund(v: Floats, calendar: Calendar, terms: Terms, book: Book, found: Floats, out: Floats) -> None:
    """Fill the investor's columns of [METRICS], net of what the fund that holds the paper charges, and what that is.

    `found` are the metrics of the ledger.
    """
    T, row = calendar.periods, terms.finance.fund[0]
    last = min(float(calendar.last), found[STOP_AT])
    commitment, called, profit = 0.0, 0.0, 0.0
    for n in range(terms.finance.tranches.size):
        if holds(row, n):
            commitment += v[terms.finance.tranches[n].commitment_at]
            called += book.capital[n, CALLED]
    called += play_fund(v, terms.finance, T, last, calendar.a_year, commitment, book.paper, book.fund)
    out[:] = np.nan
    out[FUND_FEES] = 0.0
    out[FUND_CARRY] = 0.0
    for t in range(T + 1):
        profit += book.fund[NET, t]
        out[FUND_FEES] += book.fund[FEES, t]
        out[FUND_CARRY] += book.fund[CARRY, t]
    _measure_investor(v, calendar, book.fund[NET, : T + 1], called, profit, commitment, out)


@written_out
def _check(
    contract_cap: float,
    called: float,
    profit: float,
    commitment: float,
    owed: float,
    T: int,
    has_finance: bool,
    flows: Floats,
) -> float:
    """Check the accounts of one draw; 0 if they are in order, else the number of the rule that is broken.

    2: payments above the contract cap; 3: flows of all parties do not sum to zero; 4: capital called above commitment;
    5: what investors drew and got differs from their flows.
    """
    receipts, investors, providers, guarantors, others, service, grants = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    moved, promised = 0.0, 0.0
    for t in range(T + 1):  # a sum for each party, so that no addition waits for another
        receipts += flows[RECEIPTS, t]
        investors += flows[INVESTOR, t]
        providers += flows[PROVIDERS, t]
        guarantors += flows[GUARANTORS, t]
        others += flows[OTHER_PARTIES, t]
        service += flows[SERVICE, t]
        grants += flows[GRANTS, t]
        moved += abs(flows[INVESTOR, t])
        promised += abs(flows[GUARANTORS, t])
    balance = investors + providers + others + service + guarantors - receipts - grants
    if has_finance:
        balance += flows[VEHICLE, T]
    gross = 1.0 + moved + promised + receipts + others + service + grants
    return broken_rule(contract_cap, called, profit, commitment, owed, receipts, investors, balance, gross)


@part
def broken_rule(
    contract_cap: float,
    called: float,
    profit: float,
    commitment: float,
    owed: float,
    receipts: float,
    investors: float,
    balance: float,
    gross: float,
) -> float:
    """Number of the rule of :func:`_check` that is broken, 0 if none, given sums of flows; `gross` says how large."""
    if owed > contract_cap * (1.0 + 1e-9) + 1e-9:
        return 2.0
    if abs(balance) > 1e-9 * gross or abs(owed - receipts) > 1e-9 * gross:
        return 3.0
    if called > commitment * (1.0 + 1e-9) + 1e-9:
        return 4.0
    if abs(investors - profit) > 1e-9 * gross:
        return 5.0
    return 0.0
