"""Costs, capital and distributions: the actions of one period, each a few lines.

Order within a period: costs fall before receipts; arrears are paid first out of what comes in; cash that is not held
for planned costs goes to the investors; capital is called ahead on the planned need less cash in hand. No account goes
below zero: what the vehicle cannot pay, the provider advances, and is repaid first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import inner

Floats = NDArray[np.float64]

START, A_YEAR, PER_PERSON, END = 0, 1, 2, 3
OTHERS, PROVIDER, PAYER = 0, 1, 2


COST = np.dtype([("amount_at", np.int64), ("form", np.int64), ("party", np.int64)])
"""A cost: column of the value row, form, and who is paid (or, for PAYER, who bears it)."""


class FinanceTerms(NamedTuple):
    """Terms of the one class of investors; columns of the value row, -1 where there is none."""

    has: int
    commitment_at: int
    ahead_at: int  # -1: the whole commitment at the start
    recycled: int
    stops_referrals: int
    surplus_at: int


@inner
def spread_costs(
    v: Floats,
    costs: Any,
    first: int,
    last: int,
    stop: int,
    after: int,
    a_year: float,
    referred: Floats,
    falls: Floats,
) -> None:
    """Add costs to the periods later than `after` in which they fall, service running first..last or to the stop.

    Costs at the start fall in period 1; costs at the end in the last period of service, or in the one after a stop.
    `falls` is [3, T + 2], a row for each party.
    """
    periods = falls.shape[1] - 2
    final = min(last, stop)
    for j in range(costs.size):
        cost = costs[j]
        amount = v[cost.amount_at]
        row = falls[cost.party]
        if cost.form == A_YEAR:
            for t in range(max(first, after + 1), final + 1):
                row[t] += amount / a_year
        elif cost.form == PER_PERSON:
            for t in range(after + 1, min(stop, periods) + 1):
                row[t] += amount * referred[t]
        else:
            t = 1 if cost.form == START else last if stop >= last else stop + 1
            if after < t <= periods:
                row[t] += amount


@inner
def capital_call(need: float, cash: float, called: float, commitment: float) -> float:
    """Capital called: the planned need less cash in hand, within the commitment; nothing for mere rounding."""
    wanted = need - cash
    return min(wanted, max(commitment - called, 0.0)) if wanted > 1e-9 * need else 0.0


@inner
def distribution(cash: float, held: float) -> float:
    """Cash that is not held for planned costs."""
    return max(cash - held, 0.0)


@inner
def investors_part(amount: float, called: float, distributed: float, share_of_surplus: float) -> float:
    """Part of a distribution that goes to the investors: capital first, then their share of the surplus."""
    capital = min(amount, max(called - distributed, 0.0))
    return capital + share_of_surplus * (amount - capital)
