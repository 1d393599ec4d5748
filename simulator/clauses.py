"""Clauses of an outcomes contract as rows of a small table, and what one row means.

A row says *for* whom it is settled, *when* it is triggered, what the *amount* is and what limits it. Measures are
computed from running outcomes, so that a stop is a mask. Arrays and named tuples in, numbers out.

Bounds: a bound belongs to the better side. `at least` and `at most` are met within ``1e-9 max(1, |bound|)`` in the
reader's favour, because ``1 - 90/100 >= 0.10`` is false in floats. A measure that is not known (0 / 0) is NaN and meets
no bound.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import inner

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COUNT, SHARE, DIFFERENCE_SHARE, DIFFERENCE_UNITS, DIFFERENCE_MEAN = 0, 1, 2, 3, 4
ARM, LEVEL, BASELINE, BEFORE = 0, 1, 2, 3
EACH_PARTICIPANT, EACH_COHORT, POOLED, CONTRACT = 0, 1, 2, 3
WHEN_KNOWN, EVENLY, AT_THE_START, AT_THE_END, WHEN_REFERRED = 0, 1, 2, 3, 4
AT_LEAST, AT_MOST, MORE_THAN, LESS_THAN = 0, 1, 2, 3
NOT_LIMITED, PER_PERSON_CAP, OUTCOME_CAP, CLAUSE_CAP, YEAR_CAP, CONTRACT_CAP = 0, 1, 2, 3, 4, 5
TOLERANCE = 1e-9


MEASURE = np.dtype(
    [
        ("kind", np.int64),
        ("outcome", np.int64),
        ("sign", np.float64),  # +1: ours less the comparison (increase), -1: comparison less ours (reduction)
        ("against", np.int64),
        ("level_at", np.int64),
    ]
)
"""A measure; ``*_at`` are columns of the value row, -1 where there is none, in all row types."""

CLAUSE = np.dtype(
    [
        ("scope", np.int64),
        ("due", np.int64),
        ("unless", np.int64),  # bit j: falls away where the trigger of clause j was met
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
    ]
)
"""A clause of one structure; rows stand in the file's order."""

CONDITION = np.dtype([("measure", np.int64), ("sense", np.int64), ("bound_at", np.int64)])
POINT = np.dtype([("level_at", np.int64), ("amount_at", np.int64)])


class Tally(NamedTuple):
    """Running sums of one draw by outcome and cohort, the stop applied."""

    verified: Floats  # [O, C, 2] verified; and of the same people before the service
    additional: Floats  # [O, C]
    people: Floats  # [C]


def new_tally(outcomes: int, cohorts: int) -> Tally:
    """Allocate running sums."""
    return Tally(np.zeros((outcomes, cohorts, 2)), np.zeros((outcomes, cohorts)), np.zeros(cohorts))


@inner
def measure(v: Floats, row: Any, low: int, high: int, people_in: Floats, verified: Floats, arms: Floats) -> float:
    """Value of a measure over cohorts low..high-1 that ran; NaN where it is not known.

    Pooled reduction = 1 - sum ours / sum (our people x that cohort's comparison rate). `people_in` [C] and
    `verified` [O, C, 2] are running sums; `arms` [O, C, 3] holds the total in the comparison arm, its effective people,
    and the contract's baseline.

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
                return np.nan
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


@inner
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


@inner
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
def settle_person(
    records: Any,
    row: int,
    order: Ints,
    outcome: Ints,
    price: Floats,
    limit: float,
    paid: Floats,
) -> None:
    """Add one person's money after the cap per person to `paid` [K], outcomes by date and then in the card's order.

    Parameters
    ----------
    records, row
        Verified outcomes [people, O], and the person.
    order
        Clauses in the order in which this person's outcomes are settled.
    outcome, price
        Outcome and price of each clause.
    limit
        Cap per person in money.
    paid
        Running total by clause; added to.
    """
    left = limit
    for i in range(order.size):
        k = order[i]
        number = records[row, outcome[k]]
        if number > 0:
            amount = min(number * price[k], left)
            paid[k] += amount
            left -= amount
            if left <= 0.0:
                return
