"""Several payers: who pays which part of what a contract owes, by share, by layer, by clause and by phase.

Of an amount, the payers with a share pay their shares first, then the others pay what is left, each up to its own limit
and in the order of the file ("the first 400,000 from the council, the rest from the fund"). What no payer pays is not
paid; what is above a payer's limit of a year may stay its own, to be paid in later years. Only contracts whose payers
do more than pay fixed shares of everything are played so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import part

Floats = NDArray[np.float64]

PAYER_ROW = np.dtype(
    [
        ("share_at", np.int64),  # -1: pays what the shares leave
        ("cap_at", np.int64),
        ("year_cap_at", np.int64),  # of a financial year
        ("carries", np.int64),  # what is above it stays the payer's own, and is paid in later years
        ("of", np.int64),  # bit k: pays for clause k; -1: for all
        ("first", np.int64),  # period from which it pays
        ("last", np.int64),  # period until which it pays
    ]
)
"""A payer; ``*_at`` are columns of the value row, -1 where there is none."""


class Purses(NamedTuple):
    """What each payer of one structure paid in one draw; P is 0 where all pay fixed shares of everything."""

    spent: Floats  # [P]
    in_year: Floats  # [P] of that in this financial year
    owes: Floats  # [P] carried forward
    carried: Floats  # [P, K] the same by clause
    part: Floats  # [P] of the last amount
    by_date: Floats  # [P, T + 2] by date of payment
    by_clause: Floats  # [P, K, C + 1]


def new_purses(payers: int, clauses: int, cohorts: int, periods: int) -> Purses:
    """Allocate purses."""
    return Purses(
        spent=np.zeros(payers),
        in_year=np.zeros(payers),
        owes=np.zeros(payers),
        carried=np.zeros((payers, clauses)),
        part=np.zeros(payers),
        by_date=np.zeros((payers, periods + 2)),
        by_clause=np.zeros((payers, clauses, cohorts + 1)),
    )


@part
def _pays_for(of: int, k: int) -> bool:
    """Whether a payer pays for clause k, by its bits; -1 are all, of any number."""
    return of < 0 or (of >> k) & 1 == 1


@part
def paid_by_payers(v: Floats, rows: Any, k: int, column: int, t: int, at: int, amount: float, purses: Purses) -> float:
    """Let the payers pay for clause k what they will of an amount that falls due in t and is paid in period `at`.

    Returns what all of them pay together: the amount itself where no payer's limit is in the way.
    """
    part = purses.part
    left = amount
    together = 0.0
    for p in range(rows.size):
        row = rows[p]
        part[p] = 0.0
        if row.share_at >= 0 and row.first <= t <= row.last and _pays_for(row.of, k):
            left -= _take_on(v, row, p, k, v[row.share_at] * amount, purses)
    if left <= 1e-12 * amount:
        left = 0.0
    for p in range(rows.size):
        row = rows[p]
        if row.share_at < 0 and row.first <= t <= row.last and _pays_for(row.of, k):
            left -= _take_on(v, row, p, k, left, purses)
    waits = False
    for p in range(rows.size):
        _pay(p, k, column, at, part[p], purses)
        together += part[p]
        waits = waits or purses.owes[p] > 0.0
    return together if waits else amount - left


@part
def _take_on(v: Floats, row: Any, p: int, k: int, amount: float, purses: Purses) -> float:
    """Let a payer take on what it will of an amount; fill the part that it pays now, and carry the rest of its own."""
    own = amount
    if row.cap_at >= 0:
        own = min(own, max(v[row.cap_at] - purses.spent[p] - purses.owes[p], 0.0))
    now = own
    if row.year_cap_at >= 0:
        now = min(own, max(v[row.year_cap_at] - purses.in_year[p], 0.0))
        if row.carries:
            purses.carried[p, k] += own - now
            purses.owes[p] += own - now
        else:
            own = now
    purses.part[p] = now
    return own


@part
def _pay(p: int, k: int, column: int, at: int, amount: float, purses: Purses) -> None:
    purses.spent[p] += amount
    purses.in_year[p] += amount
    purses.by_date[p, at] += amount
    purses.by_clause[p, k, column] += amount


@part
def paid_from_before(
    v: Floats, rows: Any, k: int, column: int, at: int, room: float, most: float, purses: Purses
) -> float:
    """Let the payers pay what they carried forward for clause k, in a new financial year; return the sum.

    What exceeds `most`, which the contract leaves, is lost; what exceeds the room of the year is carried on.
    """
    together = 0.0
    for p in range(rows.size):
        wanted = purses.carried[p, k]
        if wanted <= 0.0:
            continue
        own = min(wanted, max(most - together, 0.0))
        now = min(own, max(room - together, 0.0))
        if rows[p].year_cap_at >= 0:
            now = min(now, max(v[rows[p].year_cap_at] - purses.in_year[p], 0.0))
        purses.carried[p, k] = own - now
        purses.owes[p] += own - now - wanted
        _pay(p, k, column, at, now, purses)
        together += now
    return together


@part
def share_of_own_costs(v: Floats, rows: Any, p: int, t: int) -> float:
    """Part of the payers' own costs of period t that payer p bears: its share, or what the shares of others leave.

    What the shares leave falls on the first payer without one. Clauses and limits do not matter here, only dates.
    """
    total = 0.0
    rest = -1
    for i in range(rows.size):
        if rows[i].first <= t <= rows[i].last:
            if rows[i].share_at >= 0:
                total += v[rows[i].share_at]
            elif rest < 0:
                rest = i
    left = max(1.0 - total, 0.0) if rest >= 0 else 0.0
    if not rows[p].first <= t <= rows[p].last:
        return 0.0
    own = v[rows[p].share_at] if rows[p].share_at >= 0 else left if p == rest else 0.0
    return own / (total + left) if total + left > 0.0 else 0.0
