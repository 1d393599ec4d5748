"""What additional outcomes are worth: savings of public bodies and social value, by draw.

A worth belongs to true outcomes that would not have happened without the service, whether or not they were verified or
paid for; where the service does harm it is negative. Of worths that overlap only the largest counts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import inner, kernel, part
from simulator.ledger import Calendar, nominal_rate
from simulator.outcomes import ADDITIONAL, TRUE, VERIFIED, WITHOUT, Outcomes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WORTH = np.dtype(
    [
        ("outcome", np.int64),
        ("each_at", np.int64),
        ("yearly", np.int64),  # money a year for as long as it lasts, or once
        ("after_at", np.int64),
        ("lasts_at", np.int64),
        ("cashable_at", np.int64),  # -1: social value
        ("bias_at", np.int64),
        ("group", np.int64),  # rows of one group overlap, -1 none
    ]
)
"""A saving or a social value; ``*_at`` are columns of the value row, -1 where there is none."""


MORE, PAYABLE, ACCEPTED, HAPPENED = range(4)
"""Columns of the totals of :func:`additional_worth`."""


@part
def _periods_it_lasts(v: Floats, row: Any, step: float) -> float:
    return v[row.lasts_at] / step if row.yearly else 1.0


@part
def _stream(v: Floats, row: Any, calendar: Calendar, discount: float) -> float:
    """Worth of one outcome at the beginning of its stream: amounts at the ends of the periods that follow.

    A part of a period at the end counts in proportion. Money that comes once is worth itself.
    """
    if row.yearly == 0:
        return v[row.each_at]
    length = _periods_it_lasts(v, row, calendar.step)
    whole = math.floor(length + 1e-9)
    part = max(length - whole, 0.0)
    if discount == 1.0:
        factor = whole + part
    else:
        factor = discount * (1.0 - discount**whole) / (1.0 - discount) + part * discount ** (whole + 1)
    return v[row.each_at] / calendar.a_year * factor


@kernel
def additional_worth(
    values: Floats,
    worths: Any,
    outcomes: Any,
    blocks: Any,
    calendar: Calendar,
    out: Outcomes,
    stops: Ints,
    totals: Floats,
    present: Floats,
    by_year: Floats,
) -> None:
    """Fill the additional outcomes of each draw and what they are worth.

    An outcome that is known in period w saves `each` in period w + after, or, by the year, `each` / periods a year in
    every period after that for as long as it lasts, beyond the horizon too; the part of `optimism_bias` is taken off.
    Amounts are nominal and not indexed; where the deal's money is real they rise with inflation. A present value is at
    the start of the deal, at the payers' rate.

    Parameters
    ----------
    values
        [draws, columns].
    out, stops
        Outcomes with a leading axis of draws, and [draws] the last period of service that counts.
    totals
        [draws, O, 4], filled, over the people who count: outcomes with the service less those without it, positive when
        good; how many of these can be paid for (in time and with evidence); verified outcomes; true ones.
    present
        [draws, J], filled: present value of each worth, 0 where another of its group is larger.
    by_year
        [draws, J, Y + 1], filled: cashable money by financial year, the last column after the horizon; or of no draws
        where nobody asks.
    """
    T = calendar.periods
    size = blocks.size
    added = np.zeros(size)
    wanted = by_year.shape[0] > 0
    for d in range(values.shape[0]):
        v = values[d]
        rate = nominal_rate(v, calendar.payer_rate_at, calendar.payer_real, calendar.inflation_at)
        rise = (1.0 + v[calendar.inflation_at]) ** (1.0 / calendar.a_year) if calendar.real else 1.0
        discount = rise * (1.0 + rate) ** (-1.0 / calendar.a_year)
        for o in range(outcomes.size):
            totals[d, o, :] = 0.0
            for b in range(size):
                if blocks[b].reach <= stops[d]:
                    counts = out.counts[d, o, b]
                    totals[d, o, MORE] += outcomes[o].better * (counts[TRUE] - counts[WITHOUT])
                    totals[d, o, PAYABLE] += counts[ADDITIONAL]
                    totals[d, o, ACCEPTED] += counts[VERIFIED]
                    totals[d, o, HAPPENED] += counts[TRUE]
        for j in range(worths.size):
            row = worths[j]
            o = row.outcome
            after = math.ceil(v[row.after_at] / calendar.step - 1e-9)
            kept = 1.0 - v[row.bias_at]
            stream = kept * _stream(v, row, calendar, discount)
            value = 0.0
            for b in range(size):
                added[b] = 0.0
                if blocks[b].reach <= stops[d]:
                    added[b] = outcomes[o].better * (out.counts[d, o, b, TRUE] - out.counts[d, o, b, WITHOUT])
                    value += added[b] * stream * discount ** (out.when[d, o, b] + after)
            present[d, j] = value
            if wanted:
                by_year[d, j, :] = 0.0
                if row.cashable_at >= 0:
                    amount = kept * v[row.cashable_at] * v[row.each_at]
                    length = _periods_it_lasts(v, row, calendar.step)
                    if row.yearly:
                        amount /= calendar.a_year
                    for b in range(size):
                        begins = out.when[d, o, b] + after
                        _spread(added[b] * amount, begins, length, row.yearly, rise, calendar.year, T, by_year[d, j])
        _only_the_largest(worths, present[d])
        if wanted:
            for j in range(worths.size):
                if present[d, j] == 0.0:
                    by_year[d, j, :] = 0.0


@inner
def _spread(
    amount: float, begins: int, length: float, yearly: int, rise: float, year: Ints, T: int, row: Floats
) -> None:
    """Add an amount a period (or once, at the beginning) to the years; what falls after the horizon to the last.

    It rises by a factor a period from the start.
    """
    first = begins + 1 if yearly else begins
    left = length
    t = first
    while left > 1e-9 and t <= T:
        row[year[t]] += amount * min(left, 1.0) * rise**t
        left -= 1.0
        t += 1
    while rise != 1.0 and left > 1e-9:
        row[row.size - 1] += amount * min(left, 1.0) * rise**t
        left -= 1.0
        t += 1
    row[row.size - 1] += amount * max(left, 0.0)


@part
def _only_the_largest(worths: Any, present: Floats) -> None:
    """Leave of each group the worth that is farthest from zero, the first in the file if several are."""
    for j in range(worths.size):
        if worths[j].group < 0:
            continue
        for i in range(worths.size):
            if i != j and worths[i].group == worths[j].group:
                larger = abs(present[i]) > abs(present[j])
                if larger or (abs(present[i]) == abs(present[j]) and i < j):
                    present[j] = 0.0
                    break
