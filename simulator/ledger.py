"""One draw of one structure, period by period: measures, clauses, caps, costs, capital, and the money of every party.

What is owed can depend on an account and what counts can depend on a stop, so everything shares one loop over periods.
The order within a period t, which stands for the half-open interval (t-1, t]:

1. costs of the period fall; what the vehicle cannot pay, the provider advances (arrears);
2. clauses that are due are settled in the file's order, within the caps, and become payable after `paid_after`;
3. payments that have become payable come in, and arrears are paid first;
4. cash not held for planned costs is distributed: capital, then the surplus;
5. capital is called for planned costs ahead (the first time at t = 0); if money will run out, referrals may stop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator import metrics
from simulator.clauses import (
    AT_THE_END,
    AT_THE_START,
    CLAUSE_CAP,
    CONTRACT_CAP,
    EACH_COHORT,
    EACH_PARTICIPANT,
    EVENLY,
    NOT_LIMITED,
    OUTCOME_CAP,
    POOLED,
    YEAR_CAP,
    ClauseTable,
    MeasureTable,
    Tally,
    measure,
    meets,
    table_amount,
)
from simulator.compiled import kernel
from simulator.outcomes import CohortTable, Outcomes
from simulator.waterfall import (
    END,
    OTHERS,
    PAYER,
    PROVIDER,
    CostTable,
    FinanceTerms,
    capital_call,
    cost_in_period,
    distribution,
    investors_part,
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


class Terms(NamedTuple):
    """One payment structure, compiled."""

    clauses: ClauseTable
    costs: CostTable
    finance: FinanceTerms
    year_cap_at: int
    carried_forward: int
    contract_cap_at: int
    paid_after_at: int
    per_head: int  # whether any cost is per person


class Book(NamedTuple):
    """One draw's ledger of one structure. Flows stand at the end of periods 0..T; money received is positive."""

    quantity: Floats  # [K, T + 1] outcomes settled for each participant, by period
    money: Floats  # [K, T + 1] their money after the cap per person
    gross: Floats  # [K, T + 1] and before it
    due_at: Ints  # [K, C + 1] period in which a clause is due for a cohort (last column: pooled), 0 never
    met: Ints  # [K, C + 1] whether its trigger was met; participants and fees in the last column
    paid: Floats  # [K, C + 1] money after all caps
    uncapped: Floats  # [K, C + 1]
    limited_by: Ints  # [K, C + 1] last cap that bound
    counted: Floats  # [K] outcomes of the clause so far, against its cap
    carried: Floats  # [K] over the cap of the year, carried forward
    referred: Floats  # [T + 2] people referred in each period
    receipts: Floats  # [T + 1] payments of the outcome payers, by date of payment
    payer_costs: Floats  # [T + 1]
    investor: Floats  # [T + 1]
    provider: Floats  # [T + 1]
    others: Floats  # [T + 1] set-up, management, evaluation
    service: Floats  # [T + 1] what delivery costs the provider
    vehicle: Floats  # [T + 1] cash of the vehicle after the period
    by_year: Floats  # [Y] the payer's cash by financial year


PAYMENTS, PAYMENTS_PV, UNCAPPED, COST, COST_PV = 0, 1, 2, 3, 4
IRR, MULTIPLE, ON_COMMITTED, ON_PEAK, NPV, PAYBACK, PEAK, HURDLE = 5, 6, 7, 8, 9, 10, 11, 12
SURPLUS, LOWEST_CASH, REAL_PAYMENTS, COUNTED_PAYMENTS = 13, 14, 15, 16
IRR_CODE, LATE, BROKEN, STOPPED = 17, 18, 19, 20
METRICS = 21


def new_book(clauses: int, cohorts: int, periods: int, years: int) -> Book:
    """Allocate a ledger."""
    kt, kc, t = (clauses, periods + 1), (clauses, cohorts + 1), periods + 1
    return Book(
        np.zeros(kt),
        np.zeros(kt),
        np.zeros(kt),
        np.zeros(kc, np.int64),
        np.zeros(kc, np.int64),
        np.zeros(kc),
        np.zeros(kc),
        np.zeros(kc, np.int64),
        np.zeros(clauses),
        np.zeros(clauses),
        np.zeros(periods + 2),
        *(np.zeros(t) for _ in range(7)),
        np.zeros(years),
    )


@kernel
def planned_costs(v: Floats, terms: Terms, calendar: Calendar, people: Ints, cohorts: CohortTable) -> Floats:
    """Costs that the vehicle plans to pay, [T + 2], on the expected path; the last entry is the cost of ending."""
    planned = np.zeros(calendar.periods + 2)
    referred = np.zeros(calendar.periods + 2)
    spread_referrals(people, cohorts, referred)
    never = calendar.periods + 1
    for t in range(1, calendar.periods + 1):
        for party in (OTHERS, PROVIDER):
            planned[t] += cost_in_period(
                v, terms.costs, party, t, calendar.first, calendar.last, never, referred[t], calendar.a_year
            )
    for j in range(terms.costs.amount_at.size):
        if terms.costs.form[j] == END and terms.costs.party[j] != PAYER:
            planned[calendar.periods + 1] += v[terms.costs.amount_at[j]]
    return planned


@kernel
def spread_referrals(people: Ints, cohorts: CohortTable, referred: Floats) -> None:
    """Add the people of each block to the periods in which they are referred, evenly in whole people."""
    for b in range(cohorts.cohort.size):
        first, length = cohorts.first[b], cohorts.last[b] - cohorts.first[b] + 1
        for j in range(length):
            part = (people[b] * (j + 1)) // length - (people[b] * j) // length
            if first + j < referred.size:
                referred[first + j] += part


@kernel
def _tally(outcomes: Outcomes, cohorts: CohortTable, better: Floats, stop: int, tally: Tally) -> None:
    tally.verified[:] = 0.0
    tally.additional[:] = 0.0
    tally.people[:] = 0.0
    for b in range(cohorts.cohort.size):
        if cohorts.last[b] > stop:
            continue
        c = cohorts.cohort[b]
        tally.people[c] += outcomes.people[b]
        for o in range(better.size):
            tally.verified[o, c] += outcomes.verified[o, b]
            tally.additional[o, c] += better[o] * (outcomes.true[o, b] - outcomes.without[o, b])


@kernel
def _known_at(outcomes: Outcomes, cohorts: CohortTable, o: int, c: int, stop: int) -> int:
    """Period in which an outcome of a cohort is known: of its last people counted, or the last claim if earlier."""
    known = 0
    for b in range(cohorts.first_block[c], cohorts.first_block[c + 1]):
        if cohorts.last[b] <= stop:
            known = max(known, min(outcomes.when[o, b], max(cohorts.claim[c], cohorts.last[b])))
    return known


@kernel
def _due_dates(
    clauses: ClauseTable,
    measures: MeasureTable,
    outcomes: Outcomes,
    cohorts: CohortTable,
    stop: int,
    tally: Tally,
    book: Book,
) -> None:
    """Fill `due_at`: a cohort's clause when the last outcome it reads is known; pooled, when the last cohort's is.

    A cohort that never ran is known not to have run at the stop.
    """
    number = cohorts.people_at.size
    for k in range(clauses.scope.size):
        if clauses.scope[k] != EACH_COHORT and clauses.scope[k] != POOLED:
            continue
        pooled = 0
        for c in range(number):
            due = 0
            if tally.people[c] > 0.0:
                for i in range(clauses.first_condition[k], clauses.first_condition[k + 1]):
                    due = max(
                        due,
                        _known_at(outcomes, cohorts, measures.outcome[clauses.condition_measure[i]], c, stop),
                    )
                for m in (clauses.times[k], clauses.by[k]):
                    if m >= 0:
                        due = max(due, _known_at(outcomes, cohorts, measures.outcome[m], c, stop))
                book.due_at[k, c] = due
            else:
                book.due_at[k, c] = 0
                if cohorts.last[cohorts.first_block[c + 1] - 1] > stop:
                    due = stop
            pooled = max(pooled, due)
        book.due_at[k, number] = pooled if clauses.scope[k] == POOLED else 0


@kernel
def _settle(
    v: Floats,
    terms: Terms,
    calendar: Calendar,
    k: int,
    column: int,
    raw: float,
    quantity: float,
    t: int,
    totals: Floats,
    book: Book,
) -> float:
    """Apply the caps to what a clause owes in period t and book it; return what is paid.

    `totals` holds what has been paid: [contract, financial year, clause 0, clause 1, ...].
    """
    clauses = terms.clauses
    amount = raw
    reason = NOT_LIMITED
    if clauses.outcome_cap_at[k] >= 0 and quantity > 0.0:
        room = max(v[clauses.outcome_cap_at[k]] - book.counted[k], 0.0)
        if quantity > room:
            amount *= room / quantity
            reason = OUTCOME_CAP
        book.counted[k] += quantity
    if clauses.cap_at[k] >= 0:
        room = max(v[clauses.cap_at[k]] - totals[2 + k], 0.0)
        if amount > room:
            amount, reason = room, CLAUSE_CAP
    if terms.contract_cap_at >= 0:
        room = max(v[terms.contract_cap_at] - totals[0], 0.0)
        if amount > room:
            amount, reason = room, CONTRACT_CAP
    if terms.year_cap_at >= 0:
        room = max(v[terms.year_cap_at] - totals[1], 0.0)
        if amount > room:
            if terms.carried_forward:
                book.carried[k] += amount - room
            amount, reason = room, YEAR_CAP
    totals[0] += amount
    totals[1] += amount
    totals[2 + k] += amount
    book.paid[k, column] += amount
    if reason != NOT_LIMITED:
        book.limited_by[k, column] = reason
    return amount


@kernel
def _fee_due(clauses: ClauseTable, k: int, calendar: Calendar, t: int, stop: int, amount: float) -> float:
    """Part of a fee that is due in period t; a fee is earned over the periods of service."""
    length = calendar.last - calendar.first + 1
    if clauses.due[k] == EVENLY:
        return amount / length if calendar.first <= t <= min(calendar.last, stop) else 0.0
    if clauses.due[k] == AT_THE_START:
        return amount if t == 1 else 0.0
    if clauses.due[k] == AT_THE_END:
        if stop >= calendar.last:
            return amount if t == calendar.last else 0.0
        return amount * max(stop - calendar.first + 1, 0) / length if t == stop + 1 else 0.0
    return 0.0


@kernel
def _nominal(v: Floats, rate_at: int, real: int, inflation_at: int) -> float:
    return (1.0 + v[rate_at]) * (1.0 + v[inflation_at]) - 1.0 if real else v[rate_at]


@kernel
def play(
    v: Floats,
    planned: Floats,
    terms: Terms,
    calendar: Calendar,
    measures: MeasureTable,
    better: Floats,
    cohorts: CohortTable,
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
    clauses = terms.clauses
    number = cohorts.people_at.size
    T = calendar.periods
    _clear(book)
    _tally(outcomes, cohorts, better, stop, tally)
    _due_dates(clauses, measures, outcomes, cohorts, stop, tally, book)
    late = _bucket(v, clauses, cohorts, outcomes, capped, has_cap, stop, T, book)
    if terms.per_head:
        spread_referrals(outcomes.people, cohorts, book.referred)
    lag = math.ceil(v[terms.paid_after_at] / calendar.step - 1e-9)
    totals = np.zeros(2 + clauses.scope.size)
    triggered = np.int64(0)
    gated_pay = 0.0
    gated_real = 0.0

    finance = terms.finance
    has_finance = finance.has == 1
    commitment = v[finance.commitment_at] if has_finance else 0.0
    surplus_share = v[finance.surplus_at] if has_finance else 0.0
    ahead = 1
    if has_finance and finance.ahead_at >= 0:
        ahead = max(1, math.ceil(v[finance.ahead_at] / calendar.step - 1e-9))
    cash = 0.0
    arrears = 0.0
    called = 0.0
    distributed = 0.0
    broken = 0.0
    if has_finance:
        first_call = commitment
        if finance.ahead_at >= 0:
            first_call = capital_call(_needed(planned, 0, ahead, stop, T), 0.0, 0.0, commitment)
        called += first_call
        cash += first_call
        book.investor[0] -= first_call
    book.vehicle[0] = cash
    for t in range(1, T + 1):
        if calendar.year[t] != calendar.year[t - 1]:
            totals[1] = 0.0
        # 1 costs
        args = (t, calendar.first, calendar.last, stop, book.referred[t], calendar.a_year)
        other = cost_in_period(v, terms.costs, OTHERS, *args)
        delivery = cost_in_period(v, terms.costs, PROVIDER, *args)
        book.payer_costs[t] = cost_in_period(v, terms.costs, PAYER, *args)
        book.others[t] += other
        book.service[t] += delivery
        if has_finance:
            settled = min(cash, arrears + other + delivery)
            cash -= settled
            arrears += other + delivery - settled
            book.provider[t] += settled - other - delivery
        else:
            book.provider[t] -= other + delivery
        # 2 clauses
        payable = 0.0
        for k in range(clauses.scope.size):
            scope = clauses.scope[k]
            if book.carried[k] > 0.0 and calendar.year[t] != calendar.year[t - 1]:
                raw = book.carried[k]
                book.carried[k] = 0.0
                payable += _settle(v, terms, calendar, k, number, raw, 0.0, t, totals, book)
            if scope == EACH_PARTICIPANT:
                if book.quantity[k, t] > 0.0:
                    book.met[k, number] = 1
                    triggered |= np.int64(1) << k
                    book.uncapped[k, number] += book.gross[k, t]
                    payable += _settle(
                        v, terms, calendar, k, number, book.money[k, t], book.quantity[k, t], t, totals, book
                    )
            elif scope == EACH_COHORT or scope == POOLED:
                first, last = (0, number) if scope == EACH_COHORT else (number, number + 1)
                for column in range(first, last):
                    if book.due_at[k, column] != t or (triggered & clauses.unless[k]) != 0:
                        continue
                    raw, quantity, met = _owed(
                        v, clauses, measures, k, column, number, tally, outcomes, published
                    )
                    if met:
                        book.met[k, column] = 1
                        triggered |= np.int64(1) << k
                    book.uncapped[k, column] += raw
                    if raw > 0.0:
                        payable += _settle(v, terms, calendar, k, column, raw, quantity, t, totals, book)
            else:
                raw = _fee_due(clauses, k, calendar, t, stop, v[clauses.rate_at[k]])
                if raw > 0.0:
                    book.met[k, number] = 1
                    book.uncapped[k, number] += raw
                    payable += _settle(v, terms, calendar, k, number, raw, 0.0, t, totals, book)
        if payable > 0.0:
            if t + lag > T:
                late += 1.0
            book.receipts[min(t + lag, T)] += payable
        # 3 receipts
        if not has_finance:
            book.provider[t] += book.receipts[t]
            continue
        cash += book.receipts[t]
        settled = min(cash, arrears)
        cash -= settled
        arrears -= settled
        book.provider[t] += settled
        # 4 distributions
        held = 0.0
        if t < T:
            horizon = T - t if finance.recycled == 1 else ahead
            held = _needed(planned, t, horizon, stop, T)
            if finance.ahead_at < 0 and finance.recycled == 0:
                held = _needed(planned, t, T - t, stop, T)
        amount = distribution(cash, held)
        if amount > 0.0:
            part = investors_part(amount, called, distributed, surplus_share)
            cash -= amount
            distributed += part
            book.investor[t] += part
            book.provider[t] += amount - part
        # 5 capital
        if t < T:
            need = _needed(planned, t, ahead, stop, T)
            call = capital_call(need + arrears if need > 0.0 else 0.0, cash, called, commitment)
            called += call
            cash += call
            book.investor[t] -= call
            short = cash < _needed(planned, t, 1, stop, T) * (1.0 - 1e-9)
            if finance.stops_referrals == 1 and short and t < min(calendar.last, stop):
                stop = t
                out_of_money(v, clauses, cohorts, outcomes, capped, has_cap, stop, T, book)
                _tally(outcomes, cohorts, better, stop, tally)
                _due_dates(clauses, measures, outcomes, cohorts, stop, tally, book)
        book.vehicle[t] = cash
        if cash < 0.0 or arrears < 0.0:
            broken = 1.0
    for k in range(clauses.scope.size):
        if clauses.outcome[k] >= 0:
            real, counted = _really(v, clauses, measures, k, number, tally, outcomes, book)
            gated_real += real
            gated_pay += counted
    _measure(v, terms, calendar, has_finance, called, distributed, commitment, totals, book, out)
    out[REAL_PAYMENTS] = gated_real
    out[COUNTED_PAYMENTS] = gated_pay
    out[LATE] = late
    out[STOPPED] = 1.0 if stop < calendar.last else 0.0
    out[BROKEN] = max(broken, _check(v, terms, calendar, called, distributed, totals, arrears, has_finance, book))


@kernel
def _clear(book: Book) -> None:
    book.quantity[:] = 0.0
    book.money[:] = 0.0
    book.gross[:] = 0.0
    book.due_at[:] = 0
    book.met[:] = 0
    book.paid[:] = 0.0
    book.uncapped[:] = 0.0
    book.limited_by[:] = 0
    book.counted[:] = 0.0
    book.carried[:] = 0.0
    book.referred[:] = 0.0
    book.receipts[:] = 0.0
    book.payer_costs[:] = 0.0
    book.investor[:] = 0.0
    book.provider[:] = 0.0
    book.others[:] = 0.0
    book.service[:] = 0.0
    book.vehicle[:] = 0.0
    book.by_year[:] = 0.0


@kernel
def _needed(planned: Floats, t: int, ahead: int, stop: int, T: int) -> float:
    """Planned costs of the `ahead` periods after t; once the stop is known, only the cost of ending."""
    if t >= stop:
        return planned[T + 1] if t == stop else 0.0
    total = 0.0
    for j in range(t + 1, min(t + ahead, T) + 1):
        total += planned[j]
    return total


@kernel
def _bucket(
    v: Floats,
    clauses: ClauseTable,
    cohorts: CohortTable,
    outcomes: Outcomes,
    capped: Floats,
    has_cap: bool,
    stop: int,
    T: int,
    book: Book,
) -> float:
    """Sort participants' outcomes and their money into periods; return how many blocks fall past the horizon."""
    late = 0.0
    for k in range(clauses.scope.size):
        if clauses.scope[k] != EACH_PARTICIPANT:
            continue
        o = clauses.outcome[k]
        price = v[clauses.rate_at[k]]
        for b in range(cohorts.cohort.size):
            number = outcomes.verified[o, b]
            if number <= 0.0 or cohorts.last[b] > stop:
                continue
            t = outcomes.when[o, b]
            if t > T:
                late += 1.0
                continue
            book.quantity[k, t] += number
            book.gross[k, t] += number * price
            book.money[k, t] += capped[k, b] if has_cap else number * price
    return late


@kernel
def out_of_money(
    v: Floats,
    clauses: ClauseTable,
    cohorts: CohortTable,
    outcomes: Outcomes,
    capped: Floats,
    has_cap: bool,
    stop: int,
    T: int,
    book: Book,
) -> None:
    """Take people referred after the stop out of the periods to come."""
    for k in range(clauses.scope.size):
        if clauses.scope[k] == EACH_PARTICIPANT:
            for t in range(stop + 1, T + 1):
                book.quantity[k, t] = 0.0
                book.money[k, t] = 0.0
                book.gross[k, t] = 0.0
            o = clauses.outcome[k]
            price = v[clauses.rate_at[k]]
            for b in range(cohorts.cohort.size):
                t = outcomes.when[o, b]
                number = outcomes.verified[o, b]
                if number > 0.0 and cohorts.last[b] <= stop < t <= T:
                    book.quantity[k, t] += number
                    book.gross[k, t] += number * price
                    book.money[k, t] += capped[k, b] if has_cap else number * price


@kernel
def _value(
    v: Floats,
    measures: MeasureTable,
    m: int,
    column: int,
    number: int,
    tally: Tally,
    outcomes: Outcomes,
    published: Floats,
) -> float:
    if published.size > 0 and not np.isnan(published[m, column]):
        return published[m, column]
    low, high = (0, number) if column == number else (column, column + 1)
    return measure(v, measures, m, low, high, tally, outcomes.arm_total, outcomes.arm_people)


@kernel
def _owed(
    v: Floats,
    clauses: ClauseTable,
    measures: MeasureTable,
    k: int,
    column: int,
    number: int,
    tally: Tally,
    outcomes: Outcomes,
    published: Floats,
) -> tuple[float, float, bool]:
    """What a clause owes for a cohort (or pooled), the quantity paid for, and whether its trigger was met."""
    if column == number and tally.people.sum() <= 0.0:
        return 0.0, 0.0, False
    for i in range(clauses.first_condition[k], clauses.first_condition[k + 1]):
        value = _value(
            v, measures, clauses.condition_measure[i], column, number, tally, outcomes, published
        )
        if np.isnan(value) or not meets(value, clauses.condition_sense[i], v[clauses.condition_at[i]]):
            return 0.0, 0.0, False
    if clauses.by[k] >= 0:
        level = _value(v, measures, clauses.by[k], column, number, tally, outcomes, published)
        amount = table_amount(v, clauses, k, level)
    else:
        amount = v[clauses.rate_at[k]]
    quantity = 0.0
    if clauses.times[k] >= 0:
        quantity = _value(v, measures, clauses.times[k], column, number, tally, outcomes, published)
        quantity = 0.0 if np.isnan(quantity) else max(quantity, 0.0)
        amount *= quantity
    conditional = clauses.first_condition[k + 1] > clauses.first_condition[k]
    return amount, quantity, conditional or amount > 0.0


@kernel
def _really(
    v: Floats,
    clauses: ClauseTable,
    measures: MeasureTable,
    k: int,
    number: int,
    tally: Tally,
    outcomes: Outcomes,
    book: Book,
) -> tuple[float, float]:
    """Payment of a clause x additional / counted outcomes, and the payment, over what the clause was paid for."""
    real = 0.0
    counted_pay = 0.0
    o = clauses.outcome[k]
    for column in range(number + 1):
        pay = book.paid[k, column]
        if pay <= 0.0:
            continue
        low, high = (0, number) if column == number else (column, column + 1)
        counted = measure(
            v, measures, clauses.counted[k], low, high, tally, outcomes.arm_total, outcomes.arm_people
        )
        if counted > 0.0:
            additional = 0.0
            for c in range(low, high):
                additional += tally.additional[o, c]
            real += pay * additional / counted
            counted_pay += pay
    return real, counted_pay


@kernel
def _measure(
    v: Floats,
    terms: Terms,
    calendar: Calendar,
    has_finance: bool,
    called: float,
    distributed: float,
    commitment: float,
    totals: Floats,
    book: Book,
    out: Floats,
) -> None:
    """Turn a finished ledger into metrics. A present value is at the start of the deal, in nominal money."""
    T = calendar.periods
    payer_rate = _nominal(v, calendar.payer_rate_at, calendar.payer_real, calendar.inflation_at)
    discount = (1.0 + payer_rate) ** (-1.0 / calendar.a_year)
    payments = 0.0
    payments_pv = 0.0
    own = 0.0
    own_pv = 0.0
    factor = 1.0
    cash = 0.0
    lowest = 0.0
    for t in range(T + 1):
        payments += book.receipts[t]
        payments_pv += factor * book.receipts[t]
        own += book.payer_costs[t]
        own_pv += factor * book.payer_costs[t]
        factor *= discount
        book.by_year[calendar.year[t]] += book.receipts[t] + book.payer_costs[t]
        cash += book.provider[t]
        lowest = min(lowest, cash)
    out[PAYMENTS] = payments
    out[PAYMENTS_PV] = payments_pv
    out[UNCAPPED] = book.uncapped.sum()
    out[COST] = payments + own
    out[COST_PV] = payments_pv + own_pv
    out[SURPLUS] = cash
    out[LOWEST_CASH] = lowest
    for i in (IRR, MULTIPLE, ON_COMMITTED, ON_PEAK, NPV, PAYBACK, PEAK, HURDLE, IRR_CODE):
        out[i] = np.nan
    if not has_finance:
        return
    rate, code = metrics.irr(book.investor, calendar.a_year)
    hurdle = _nominal(v, calendar.investor_rate_at, calendar.investor_real, calendar.inflation_at)
    peak = metrics.peak_funding_need(book.investor)
    out[IRR] = rate
    out[IRR_CODE] = code
    out[NPV] = metrics.npv(book.investor, hurdle, calendar.a_year)
    out[PAYBACK] = metrics.payback(book.investor, calendar.a_year)
    out[PEAK] = peak
    profit = distributed - called
    if called > 0.0:
        out[MULTIPLE] = distributed / called
        out[HURDLE] = 1.0 if rate >= hurdle - 1e-9 else 0.0
    if commitment > 0.0:
        out[ON_COMMITTED] = 1.0 + profit / commitment
    if peak > 0.0:
        out[ON_PEAK] = 1.0 + profit / peak


@kernel
def _check(
    v: Floats,
    terms: Terms,
    calendar: Calendar,
    called: float,
    distributed: float,
    totals: Floats,
    arrears: float,
    has_finance: bool,
    book: Book,
) -> float:
    """Check the accounts of one draw; 0 if they are in order, else the number of the rule that is broken.

    2: payments above the contract cap; 3: flows of all parties do not sum to zero; 4: capital called above commitment;
    5: what investors drew and got differs from their flows.
    """
    gross = 1.0 + np.abs(book.investor).sum() + book.receipts.sum() + book.others.sum() + book.service.sum()
    if terms.contract_cap_at >= 0 and totals[0] > v[terms.contract_cap_at] * (1.0 + 1e-9) + 1e-9:
        return 2.0
    balance = (
        book.investor.sum()
        + book.provider.sum()
        + book.others.sum()
        + book.service.sum()
        - book.receipts.sum()
        + book.vehicle[calendar.periods]
    )
    if abs(balance) > 1e-9 * gross or abs(totals[0] - book.receipts.sum()) > 1e-9 * gross:
        return 3.0
    if has_finance:
        if called > v[terms.finance.commitment_at] * (1.0 + 1e-9) + 1e-9:
            return 4.0
        if abs(book.investor.sum() - (distributed - called)) > 1e-9 * gross:
            return 5.0
    return 0.0
