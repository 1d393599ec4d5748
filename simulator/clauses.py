"""Clauses of an outcomes contract as rows of a small table, and what one row means.

A row says *for* whom it is settled, *when* it is triggered, what the *amount* is and what limits it. Measures are
computed from running outcomes, so that a stop is a mask. Arrays and named tuples in, numbers out.

Bounds: a bound belongs to the better side. `at least` and `at most` are met within ``1e-9 max(1, |bound|)`` in the
reader's favour, because ``1 - 90/100 >= 0.10`` is false in floats. A measure that is not known (0 / 0) is NaN and meets
no bound.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import inlined, inner, written_out

_WHOLE = 2.0**31

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COUNT, SHARE, DIFFERENCE_SHARE, DIFFERENCE_UNITS, DIFFERENCE_MEAN, PEOPLE, ACCOUNT = 0, 1, 2, 3, 4, 5, 6
RATIO, SUM, CHOICE, P_VALUE = 10, 11, 12, 13
COMPOSED = 10
"""Kinds from here on are composed of other measures, which stand in rows above."""
NOT_ROUNDED, NEAREST, DOWN, UP = 0, 1, 2, 3
ARM, LEVEL, BASELINE, BEFORE = 0, 1, 2, 3
EACH_PARTICIPANT, EACH_COHORT, POOLED, CONTRACT = 0, 1, 2, 3
WHEN_KNOWN, EVENLY, AT_THE_START, AT_THE_END, WHEN_REFERRED, AT_AN_EARLY_END = 0, 1, 2, 3, 4, 5
AT_LEAST, AT_MOST, MORE_THAN, LESS_THAN = 0, 1, 2, 3
NOT_LIMITED, PER_PERSON_CAP, OUTCOME_CAP, CLAUSE_CAP, YEAR_CAP, CONTRACT_CAP, PAYER_CAP = 0, 1, 2, 3, 4, 5, 6
BY_PERIOD = -1_000_000_000
"""In place of a base month: amounts are in prices of the start and rise by the period."""
TOLERANCE = 1e-9


MEASURE = np.dtype(
    [
        ("kind", np.int64),
        ("outcome", np.int64),
        ("sign", np.float64),  # +1: ours less the comparison (increase), -1: comparison less ours (reduction)
        ("against", np.int64),
        ("level_at", np.int64),
        ("so_far", np.int64),  # of a cohort and those above it, in a clause for each cohort
        ("divisor_at", np.int64),
        ("least_at", np.int64),
        ("most_at", np.int64),
        ("rounded", np.int64),
        ("step_at", np.int64),
        ("first_part", np.int64),
        ("end_part", np.int64),
        ("first_composed", np.int64),  # the lowest composed row that this one needs; -1 for a row that is not composed
        ("sense", np.int64),  # of the condition of a choice, whose measure is the last part; -1 none
        ("bound_at", np.int64),
        ("is_events", np.int64),  # what a p-value is of: events, else yes or no
        ("dispersion_at", np.int64),
    ]
)
"""A measure; ``*_at`` are columns of the value row, -1 where there is none, in all row types."""

PART = np.dtype([("measure", np.int64), ("weight_at", np.int64)])
READ = np.dtype([("outcome", np.int64), ("so_far", np.int64)])
"""An outcome that a clause waits for (-1: only the referral of the people)."""

CLAUSE = np.dtype(
    [
        ("scope", np.int64),
        ("due", np.int64),
        ("bit", np.int64),  # by which others name it in the next and in only_if and less; 0 where none does
        ("unless", np.int64),  # falls away where the trigger of one of these was met
        ("first_condition", np.int64),
        ("end_condition", np.int64),
        ("rate_at", np.int64),  # price or lump sum
        ("times", np.int64),  # measure that is multiplied, -1 none
        ("by", np.int64),  # measure that reads the table, -1 none
        ("first_point", np.int64),
        ("end_point", np.int64),
        ("below_at", np.int64),
        ("above_at", np.int64),
        ("straight", np.int64),
        ("cap_at", np.int64),
        ("outcome_cap_at", np.int64),
        ("outcome", np.int64),  # outcome that the clause counts or is gated by, -1 none
        ("counted", np.int64),  # measure that says how much of it is counted, -1 none
        ("above_people_at", np.int64),  # with WHEN_REFERRED: people who are not paid for
        ("only_if", np.int64),  # paid only where the trigger of one of these was met
        ("less", np.int64),  # what these were paid so far is taken off
        ("first_any", np.int64),  # conditions of which one must hold
        ("end_any", np.int64),
        ("per_at", np.int64),  # unit of the measure that a price is for
        ("is_bands", np.int64),  # the points are bands of the measure that is multiplied
        ("least_at", np.int64),
        ("index_at", np.int64),  # yearly rise of the amounts
        ("base", np.int64),  # month of the deal from which they rise, 0 its first
        ("first_read", np.int64),
        ("end_read", np.int64),
        ("cohorts", np.int64),  # bit c: settled for cohort c; -1 all
        ("rounded", np.int64),  # how what is owed is rounded
        ("step_at", np.int64),
        ("ended_by", np.int64),  # with AT_AN_EARLY_END: bits of what ends service so that this is owed
        ("until", np.int64),  # NO_END, or the form of the return until which the price or share holds
        ("who", np.int64),  # whose return: a tranche, or all
        ("level_at", np.int64),
        ("then_at", np.int64),  # the price or share from there on
    ]
)
"""A clause of one structure; rows stand in the file's order."""

CONDITION = np.dtype([("measure", np.int64), ("sense", np.int64), ("bound_at", np.int64)])
BREAK = np.dtype(
    [
        ("review", np.int64),  # period, at its end
        ("first_check", np.int64),
        ("end_check", np.int64),
        ("unless", np.int64),
        ("notice_at", np.int64),
    ]
)
"""A review after which service stops where all its checks hold and no clause of `unless` was triggered."""
CHECK = np.dtype(
    [
        ("by", np.int64),  # measure
        ("sense", np.int64),
        ("bound_at", np.int64),
        ("first_read", np.int64),  # outcomes that the measure waits for; none for an account
        ("end_read", np.int64),
    ]
)
POINT = np.dtype([("level_at", np.int64), ("amount_at", np.int64)])


class Measures(NamedTuple):
    """The measures of a deal: rows, and the parts of those that are composed."""

    rows: Any  # MEASURE [M]
    parts: Any  # PART


class Tally(NamedTuple):
    """Running sums of one draw by outcome and cohort, the stop applied."""

    verified: Floats  # [O, C, 2] verified; and of the same people before the service
    additional: Floats  # [O, C]
    people: Floats  # [C]


def new_tally(outcomes: int, cohorts: int) -> Tally:
    """Allocate running sums."""
    return Tally(np.zeros((outcomes, cohorts, 2)), np.zeros((outcomes, cohorts)), np.zeros(cohorts))


@inlined
def totals(
    v: Floats, row: Any, low: int, high: int, people_in: Floats, verified: Floats, arms: Floats
) -> tuple[float, float, float]:
    """Outcomes, people, and what the measure compares the outcomes with, of cohorts low..high-1 that ran.

    The last is NaN where it is not known, and 0 for what is not compared. `people_in` [C] and `verified` [O, C, 2] are
    running sums; `arms` [O, C, 3] holds the total in the comparison arm, its effective people, and the contract's
    baseline.

    Arrays, not the tuple that holds them: taking a field of a tuple counts a reference, which costs more than the sum.
    """
    o = row.outcome
    ours = 0.0
    people = 0.0
    base = 0.0
    for c in range(low, high):
        if people_in[c] <= 0.0:
            continue
        ours += verified[o, c, 0]
        people += people_in[c]
        if row.kind >= DIFFERENCE_SHARE:
            if row.against == LEVEL:
                base += people_in[c] * v[row.level_at]
            elif row.against == BASELINE:
                base += people_in[c] * arms[o, c, 2]
            elif row.against == BEFORE:
                base += verified[o, c, 1]
            elif arms[o, c, 1] > 0.0:
                base += people_in[c] * arms[o, c, 0] / arms[o, c, 1]
            else:
                base = np.nan
    return ours, people, base


@written_out
def measure(v: Floats, row: Any, low: int, high: int, people_in: Floats, verified: Floats, arms: Floats) -> float:
    """Value of a measure over cohorts low..high-1 that ran; NaN where it is not known.

    Pooled reduction = 1 - sum ours / sum (our people x that cohort's comparison rate); see :func:`totals`.
    """
    if row.kind == PEOPLE:
        number = 0.0
        for c in range(low, high):
            number += people_in[c]
        return number
    ours, people, base = totals(v, row, low, high, people_in, verified, arms)
    if row.kind == COUNT:
        return ours
    if row.kind == SHARE:
        return ours / people if people > 0.0 else np.nan
    difference = row.sign * (ours - base)
    if row.kind == DIFFERENCE_UNITS:
        return difference if people > 0.0 else np.nan
    if row.kind == DIFFERENCE_MEAN:
        return difference / people if people > 0.0 else np.nan
    return difference / base if base > 0.0 else np.nan


@written_out
def per_outcome(v: Floats, row: Any, people: float, base: float) -> float:
    """How much of a measure one outcome is, before limits and rounding; NaN where that is not known."""
    of = 1.0
    if row.kind in (SHARE, DIFFERENCE_MEAN):
        of = people
    elif row.kind == DIFFERENCE_SHARE:
        of = base
    if row.divisor_at >= 0:
        of *= v[row.divisor_at]
    return 1.0 / of if of > 0.0 else np.nan


@written_out
def meets(value: float, sense: int, bound: float) -> bool:
    """Whether a measure meets a bound, exactly on it included for `at least` and `at most`."""
    slack = TOLERANCE * max(1.0, abs(bound))
    if sense == AT_LEAST:
        return value >= bound - slack
    if sense == AT_MOST:
        return value <= bound + slack
    if sense == MORE_THAN:
        return value > bound + slack
    return value < bound - slack


@written_out
def p_value(
    v: Floats, row: Any, of: Any, low: int, high: int, people_in: Floats, verified: Floats, arms: Floats
) -> float:
    """Chance of a difference at least as good as the one seen, were there none; NaN where it is not known.

    One-sided, by the normal approximation: the sum over cohorts of ours - n x level (level: the arm's y / m, or what
    the contract assumes), over the root of the sum of n s2 (1 + n / m), with s2 the variance of one person at the
    level of both groups together (at the assumed level, where there is no arm): p (1 - p), or mean + mean^2 /
    dispersion for events. For yes/no outcomes that is the z-test of two proportions with pooled variance.
    """
    o = of.outcome
    difference = 0.0
    variance = 0.0
    for c in range(low, high):
        n = people_in[c]
        if n <= 0.0:
            continue
        ours = verified[o, c, 0]
        if of.against in (LEVEL, BASELINE):
            level = v[of.level_at] if of.against == LEVEL else arms[o, c, 2]
            expected, spread = n * level, n
        elif arms[o, c, 1] > 0.0:
            level = (ours + arms[o, c, 0]) / (n + arms[o, c, 1])
            expected, spread = n * arms[o, c, 0] / arms[o, c, 1], n * (1.0 + n / arms[o, c, 1])
        else:
            return np.nan
        if row.is_events == 0:
            variance += spread * max(level * (1.0 - level), 0.0)
        elif row.dispersion_at >= 0:
            variance += spread * (level + level * level / v[row.dispersion_at])
        else:
            variance += spread * level
        difference += ours - expected
    if variance <= 0.0:
        return np.nan
    return 0.5 * math.erfc(of.sign * difference / math.sqrt(2.0 * variance))


@written_out
def rounded_to(value: float, how: int, step: float) -> float:
    """Round to a whole number of steps, halves up; what is on a step but for float rounding stays there."""
    steps = value / step
    slack = TOLERANCE * max(1.0, abs(steps))
    if how == NEAREST:
        return float(np.floor(steps + 0.5 + slack)) * step
    return float(np.floor(steps + slack) if how == DOWN else np.ceil(steps - slack)) * step  # NaN stays NaN


@written_out
def limited(v: Floats, row: Any, value: float) -> float:
    """Divide a measure, limit and round it."""
    if row.divisor_at >= 0:
        value /= v[row.divisor_at]
    if row.least_at >= 0 and value < v[row.least_at]:
        value = v[row.least_at]
    if row.most_at >= 0 and value > v[row.most_at]:
        value = v[row.most_at]
    return value if row.rounded == NOT_ROUNDED else rounded_to(value, row.rounded, v[row.step_at])


@written_out
def measured(
    v: Floats,
    rows: Any,
    parts: Any,
    m: int,
    column: int,
    people_in: Floats,
    verified: Floats,
    arms: Floats,
    published: Floats,
    scratch: Floats,
) -> float:
    """Value of a measure, composed or not, for a cohort or (`column` = C) pooled; NaN where it is not known.

    `published` [M, C + 1] holds values to be taken as they are, NaN where none (or nothing at all); `scratch` [M] is
    overwritten, except where accounts stand (see :func:`simulator.ledger.read_accounts`).
    """
    if rows[m].kind == ACCOUNT:
        return scratch[m]
    if rows[m].first_composed < 0:
        return _single(v, rows, m, column, people_in, verified, arms, published)
    for j in range(rows[m].first_composed, m + 1):
        row = rows[j]
        if row.first_composed < 0:
            continue
        if published.size > 0 and not np.isnan(published[j, column]):
            scratch[j] = published[j, column]
            continue
        value = np.nan
        first = np.nan
        second = np.nan
        if row.kind == P_VALUE:
            number = people_in.size
            low, high = (0, number) if column == number else (0 if row.so_far else column, column + 1)
            value = p_value(v, row, rows[parts[row.first_part].measure], low, high, people_in, verified, arms)
        else:
            for i in range(row.first_part, row.end_part):
                part = parts[i].measure
                x = scratch[part]
                if rows[part].first_composed < 0 and rows[part].kind != ACCOUNT:
                    x = _single(v, rows, part, column, people_in, verified, arms, published)
                place = i - row.first_part
                if row.kind == SUM:
                    value = v[parts[i].weight_at] * x + (0.0 if place == 0 else value)
                elif row.kind == RATIO:
                    value = x if place == 0 else (value / x if x > 0.0 else np.nan)
                elif place == 0:
                    first = x
                elif place == 1:
                    second = x
                    value = second if row.sense < 0 and np.isnan(first) else first
                else:
                    value = first if meets(x, row.sense, v[row.bound_at]) else second
        scratch[j] = limited(v, row, value)
    return scratch[m]


@written_out
def _single(
    v: Floats,
    rows: Any,
    m: int,
    column: int,
    people_in: Floats,
    verified: Floats,
    arms: Floats,
    published: Floats,
) -> float:
    if published.size > 0 and not np.isnan(published[m, column]):
        return published[m, column]
    number = people_in.size
    low, high = (0, number) if column == number else (0 if rows[m].so_far else column, column + 1)
    return limited(v, rows[m], measure(v, rows[m], low, high, people_in, verified, arms))


@written_out
def band_amount(v: Floats, clause: Any, points: Any, level: float) -> float:
    """Amount by bands: what of the measure lies between one level and the next, at the rate of the first."""
    amount = 0.0
    for i in range(clause.first_point, clause.end_point):
        start = v[points[i].level_at]
        end = level if i + 1 == clause.end_point else min(level, v[points[i + 1].level_at])
        amount += v[points[i].amount_at] * max(end - start, 0.0)
    return amount


@written_out
def table_amount(v: Floats, clause: Any, points: Any, level: float) -> float:
    """Amount by measure: steps (a level belongs to the step that begins there) or straight lines between points."""
    if np.isnan(level):
        return 0.0
    i = clause.first_point
    if not meets(level, AT_LEAST, v[points[i].level_at]):
        return v[clause.below_at]
    for j in range(i + 1, clause.end_point):  # levels that are uncertain may cross: the last one reached counts
        if meets(level, AT_LEAST, v[points[j].level_at]):
            i = j
    amount = v[points[i].amount_at]
    start = v[points[i].level_at]
    if i + 1 == clause.end_point:
        return v[clause.above_at] if clause.above_at >= 0 and meets(level, MORE_THAN, start) else amount
    if clause.straight:
        share = min(max((level - start) / (v[points[i + 1].level_at] - start), 0.0), 1.0)
        amount += share * (v[points[i + 1].amount_at] - amount)
    return amount


@inner
def settle_persons(
    records: Any,
    start: int,
    end: int,
    order: Ints,
    outcome: Ints,
    price: Floats,
    limit: float,
    left: Floats,
    due: Floats,
    paid: Floats,
) -> None:
    """Add the money of some people after the cap per person to `paid` [K].

    A person's outcomes are settled by date and then in the card's order; clause by clause, for everybody at once.

    Parameters
    ----------
    records
        Verified outcomes [O, people].
    start, end
        Those to be settled: of the first, to before the second.
    order
        Clauses in the order in which a person's outcomes are settled.
    outcome, price
        Outcome and price of each clause.
    limit
        Cap per person in money.
    left, due
        Scratch [their number or more], and [K, their number or more].
    paid
        Running total by clause; added to, person by person.
    """
    people = end - start
    left[:people] = limit
    if _is_whole(limit) and records.itemsize < left.itemsize:  # records of few bytes are whole numbers
        whole = True
        for j in range(order.size):
            whole = whole and _is_whole(price[order[j]])
        if whole:  # sums of whole numbers have no order
            for j in range(order.size):
                record, each = records[outcome[order[j]], start:end], price[order[j]]
                total = 0
                for i in range(people):
                    amount = min(record[i] * each, left[i])
                    left[i] -= amount
                    total += int(amount)
                paid[order[j]] += total
            return
    for j in range(order.size):
        record, each, now = records[outcome[order[j]], start:end], price[order[j]], due[j]
        for i in range(people):
            amount = min(record[i] * each, left[i])
            amount = amount if (record[i] > 0) & (left[i] > 0.0) else 0.0
            left[i] -= amount
            now[i] = amount
    for i in range(people):  # clause by clause within, so that no sum waits for its last addition
        for j in range(order.size):
            paid[order[j]] += due[j, i]


@written_out
def _is_whole(money: float) -> bool:
    """Whether this is a whole number of units that is not so large that a sum of many of them is rounded."""
    return 0.0 <= money <= _WHOLE and money == math.floor(money)
