"""What a fund that holds the investors' paper leaves its own investors: fees and carried interest, period by period.

The fund changes nothing in the deal. It is played over a finished ledger, on what its paper paid and got.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import part
from simulator.waterfall import ALL_TRANCHES, OUT, FinanceTerms

Floats = NDArray[np.float64]

FUND = np.dtype(
    [
        ("of", np.int64),  # tranche that it holds, or ALL_TRANCHES
        ("set_up_at", np.int64),
        ("carry_at", np.int64),
        ("above_at", np.int64),
        ("catch_up_at", np.int64),
    ]
)
"""A fund; ``*_at`` are columns of the value row, -1 where there is none."""
ON_COMMITMENT, ON_CAPITAL_OUTSTANDING = 0, 1
FUND_FEE = np.dtype(
    [
        ("share_at", np.int64),
        ("on", np.int64),
        ("first", np.int64),  # years of the deal in which it is taken; -1: while service runs or capital is out
        ("last", np.int64),
    ]
)

HELD, NET, FEES, CARRY = range(4)
FUND_ROWS = 4
"""Rows of a fund's book: capital outstanding at the end of each period; what its investors get (positive) and pay; what
its manager takes in fees, and as carry."""
_DUST = 1e-9  # share of the commitment below which capital outstanding is rounding


@part
def holds(row: Any, n: int) -> bool:
    """Whether a fund holds a tranche."""
    return row.of in (ALL_TRANCHES, n)


@part
def capital_held(row: Any, capital: Floats) -> float:
    """Capital outstanding of the tranches that a fund holds."""
    total = 0.0
    for n in range(capital.shape[0]):
        if holds(row, n):
            total += capital[n, OUT]
    return total


@part
def fees_of(
    v: Floats, terms: FinanceTerms, t: int, a_year: float, serving: bool, commitment: float, outstanding: float
) -> float:
    """Fees of period t, by what was outstanding at the end of the period before; the set-up at the start."""
    if t == 0:
        return v[terms.fund[0].set_up_at] if terms.fund[0].set_up_at >= 0 else 0.0
    fees = 0.0
    year = int((t - 1) // a_year) + 1
    for i in range(terms.fund_fees.size):
        fee = terms.fund_fees[i]
        lasts = serving or outstanding > _DUST * commitment
        if fee.first <= year <= fee.last or (fee.first < 0 and lasts):
            fees += v[fee.share_at] / a_year * (commitment if fee.on == ON_COMMITMENT else outstanding)
    return fees


@part
def carry_of(v: Floats, row: Any, inflow: float, need: float, net: float, taken: float) -> float:
    """Carried interest on what comes in beyond the return that the fund's investors have first.

    Parameters
    ----------
    inflow
        What comes in in the period, after fees.
    need
        What the fund's investors still need to have had their return.
    net, taken
        What they have had so far less what they paid, and the carry that was taken so far.
    """
    if row.carry_at < 0 or inflow <= need:
        return 0.0
    share, excess = v[row.carry_at], inflow - need
    if row.catch_up_at < 0:
        return share * excess
    faster = v[row.catch_up_at]
    gap = share * (net + taken + need) - taken  # what carry lacks of its share of the profit once the need is paid
    caught_up = 0.0
    if gap > 0.0:
        caught_up = min(gap / (faster - share), excess) if faster > share else excess
    return faster * caught_up + share * (excess - caught_up)


@part
def play_fund(
    v: Floats,
    terms: FinanceTerms,
    periods: int,
    last: float,
    a_year: float,
    commitment: float,
    paper: Floats,
    book: Floats,
) -> float:
    """Fill a fund's book from a finished ledger; return the fees that its investors paid on top of capital.

    Parameters
    ----------
    last
        Last period of service.
    commitment
        Of the tranches that it holds.
    paper
        [N, T + 2] flows of each tranche.
    book
        [FUND_ROWS, T + 2]; the capital held is filled already.
    """
    row = terms.fund[0]
    growth = (1.0 + v[row.above_at]) ** (1.0 / a_year) if row.above_at >= 0 else 1.0
    on_top, worth, net, taken = 0.0, 0.0, 0.0, 0.0
    for t in range(periods + 1):
        flow = 0.0
        for n in range(paper.shape[0]):
            if holds(row, n):
                flow += paper[n, t]
        outstanding = book[HELD, t - 1] if t > 0 else 0.0
        fees = fees_of(v, terms, t, a_year, t <= last, commitment, outstanding)
        on_top += max(fees - max(flow, 0.0), 0.0)
        worth *= growth  # at the end of the period, of what the fund's investors paid less what they had
        carry = carry_of(v, row, flow - fees, max(worth, 0.0), net, taken)
        got = flow - fees - carry
        worth -= got
        net += got
        taken += carry
        book[NET, t] = got
        book[FEES, t] = fees
        book[CARRY, t] = carry
    return on_top
