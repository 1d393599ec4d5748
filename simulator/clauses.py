"""Clauses of an outcomes contract as rows of a small table, and what one row means.

A row says *for* whom it is settled, *when* it is triggered, what the *amount* is and what limits it. Measures are
computed from running outcomes, so that a stop is a mask. Arrays and named tuples in, numbers out.

Bounds: a bound belongs to the better side. `at least` and `at most` are met within ``1e-9 max(1, |bound|)`` in the
reader's favour, because ``1 - 90/100 >= 0.10`` is false in floats. A measure that is not known (0 / 0) is NaN and meets
no bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COUNT, SHARE, DIFFERENCE_SHARE, DIFFERENCE_UNITS = 0, 1, 2, 3
ARM, LEVEL = 0, 1
EACH_PARTICIPANT, EACH_COHORT, POOLED, CONTRACT = 0, 1, 2, 3
WHEN_KNOWN, EVENLY, AT_THE_START, AT_THE_END = 0, 1, 2, 3
AT_LEAST, AT_MOST, MORE_THAN, LESS_THAN = 0, 1, 2, 3
NOT_LIMITED, PER_PERSON_CAP, OUTCOME_CAP, CLAUSE_CAP, YEAR_CAP, CONTRACT_CAP = 0, 1, 2, 3, 4, 5
TOLERANCE = 1e-9


class MeasureTable(NamedTuple):
    """Measures; ``*_at`` are columns of the value row. Shapes [M]."""

    kind: Ints
    outcome: Ints
    sign: Floats  # +1: ours less the comparison (increase), -1: comparison less ours (reduction)
    against: Ints
    level_at: Ints


class ClauseTable(NamedTuple):
    """Clauses of one structure in the file's order; ``*_at`` are columns of the value row, -1 where none. Shapes [K]."""

    scope: Ints
    due: Ints
    unless: Ints  # bit j: falls away where the trigger of clause j was met
    first_condition: Ints  # [K + 1]
    condition_measure: Ints
    condition_sense: Ints
    condition_at: Ints
    rate_at: Ints  # price or lump sum
    times: Ints  # measure that is multiplied, -1 none
    by: Ints  # measure that reads the table, -1 none
    first_point: Ints  # [K + 1]
    point_level_at: Ints
    point_amount_at: Ints
    below_at: Ints
    above_at: Ints
    straight: Ints
    cap_at: Ints
    outcome_cap_at: Ints
    outcome: Ints  # outcome that the clause counts or is gated by, -1 none
    counted: Ints  # measure that says how much of it is counted, -1 none


class Tally(NamedTuple):
    """Running sums of one draw by outcome and cohort, the stop applied. Shapes [O, C] and [C]."""

    verified: Floats
    additional: Floats
    people: Floats


@kernel
def measure(
    v: Floats,
    table: MeasureTable,
    m: int,
    low: int,
    high: int,
    tally: Tally,
    arm_total: Floats,
    arm_people: Floats,
) -> float:
    """Value of a measure over cohorts low..high-1 that ran; NaN where it is not known.

    Pooled reduction = 1 - sum ours / sum (our people x that cohort's comparison rate).
    """
    o = table.outcome[m]
    ours = 0.0
    people = 0.0
    base = 0.0
    for c in range(low, high):
        if tally.people[c] <= 0.0:
            continue
        ours += tally.verified[o, c]
        people += tally.people[c]
        if table.kind[m] >= DIFFERENCE_SHARE:
            if table.against[m] == LEVEL:
                base += tally.people[c] * v[table.level_at[m]]
            elif arm_people[o, c] > 0.0:
                base += tally.people[c] * arm_total[o, c] / arm_people[o, c]
            else:
                return np.nan
    if table.kind[m] == COUNT:
        return ours
    if table.kind[m] == SHARE:
        return ours / people if people > 0.0 else np.nan
    difference = table.sign[m] * (ours - base)
    if table.kind[m] == DIFFERENCE_UNITS:
        return difference if people > 0.0 else np.nan
    return difference / base if base > 0.0 else np.nan


@kernel
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


@kernel
def table_amount(v: Floats, clauses: ClauseTable, k: int, level: float) -> float:
    """Amount by measure: steps (a level belongs to the step that begins there) or straight lines between points."""
    if np.isnan(level):
        return 0.0
    start, end = clauses.first_point[k], clauses.first_point[k + 1]
    slack = TOLERANCE * max(1.0, abs(v[clauses.point_level_at[start]]))
    if level < v[clauses.point_level_at[start]] - slack:
        return v[clauses.below_at[k]]
    i = start
    while i + 1 < end and level >= v[clauses.point_level_at[i + 1]] - TOLERANCE * max(
        1.0, abs(v[clauses.point_level_at[i + 1]])
    ):
        i += 1
    amount = v[clauses.point_amount_at[i]]
    if i + 1 == end:
        past = level > v[clauses.point_level_at[i]] + TOLERANCE * max(1.0, abs(v[clauses.point_level_at[i]]))
        return v[clauses.above_at[k]] if past and clauses.above_at[k] >= 0 else amount
    if clauses.straight[k]:
        x0, x1 = v[clauses.point_level_at[i]], v[clauses.point_level_at[i + 1]]
        share = min(max((level - x0) / (x1 - x0), 0.0), 1.0)
        amount += share * (v[clauses.point_amount_at[i + 1]] - amount)
    return amount


@kernel
def settle_person(
    records: NDArray[np.int32],
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
