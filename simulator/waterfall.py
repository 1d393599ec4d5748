"""Costs, capital and distributions: the actions of one period, each a few lines.

Order within a period: costs fall before receipts; then cash is paid out by an ordered list of actions (arrears,
coupons, what is kept for planned costs, interest, capital, ..., the rest); capital is called ahead on the planned need
less cash in hand. No account goes below zero: what the vehicle cannot pay of its costs the provider advances; what it
cannot pay of its paper stays owed, unless the provider stands behind it.

Every tranche has a row of `capital` and a row of flows (`paper`, [N, T + 2], money received is positive); what belongs
to the vehicle as a whole is in `till`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.clauses import table_amount
from simulator.compiled import inlined, inner, part

Floats = NDArray[np.float64]

START, A_YEAR, PER_PERSON, END = 0, 1, 2, 3
OTHERS, PROVIDER, PAYER, GUARANTOR, GRANT, LATER_FEES, LATER_DELIVERY, AGREED = range(8)
FALLS = 8
"""Rows of money that falls on a date: what is owed to others and what the service costs, what payers bear, the
guarantor's fee, grants that come in, the parts of fees and of delivery that are paid by the waterfall only, and what
the vehicle owes the provider where they have a service agreement."""

COST = np.dtype(
    [
        ("amount_at", np.int64),
        ("form", np.int64),
        ("party", np.int64),  # who is paid, or who bears it
        ("deferred_at", np.int64),  # share that is paid by the waterfall only
        ("overrun_at", np.int64),  # share by which it turns out higher than planned
        ("plus_at", np.int64),  # share that is added to it
        ("replacement", np.int64),  # 1: falls when the provider has failed, whatever the form
    ]
)
"""A cost; ``*_at`` are columns of the value row, -1 where there is none."""

NO_COUPON, IN_CASH, ACCRUED, AT_MATURITY = 0, 1, 2, 3
TRANCHE = np.dtype(
    [
        ("commitment_at", np.int64),
        ("matures", np.int64),  # period; 0: repaid as cash comes in
        ("coupon", np.int64),
        ("every", np.int64),  # periods from one coupon to the next
        ("rate_at", np.int64),
        ("rate_table", np.int64),  # row of TABLE, -1 none, as in the next two
        ("principal_table", np.int64),
        ("early_table", np.int64),
        ("least_at", np.int64),
        ("least_first", np.int64),  # years of the deal in which the minimum holds
        ("least_last", np.int64),
        ("most_at", np.int64),
        ("backed", np.int64),  # by the provider
    ]
)
TABLE = np.dtype(
    [
        ("by", np.int64),  # measure that is read, -1 for years or capital called
        ("first_point", np.int64),
        ("end_point", np.int64),
        ("below_at", np.int64),
        ("above_at", np.int64),
        ("straight", np.int64),
        ("first_read", np.int64),  # outcomes that the measure waits for
        ("end_read", np.int64),
    ]
)
ADVANCES, PLANNED_COSTS, PAY_DELIVERY, PAY_FEES, REPAY_GUARANTOR, REST, COUPON, INTEREST, CAPITAL = range(9)
ACTION = np.dtype([("kind", np.int64), ("whose", np.int64)])
"""One action of the waterfall; bit k of `whose` is tranche k."""

NO_END, A_RETURN, TIMES = 0, 1, 2
STAGE = np.dtype(
    [
        ("until", np.int64),
        ("who", np.int64),  # tranche, or ALL_TRANCHES
        ("level_at", np.int64),
        ("first_share", np.int64),
        ("end_share", np.int64),
    ]
)
ALL_TRANCHES, TO_PROVIDER = -1, -2
SHARE_OF_REST = np.dtype([("to", np.int64), ("share_at", np.int64)])

RECOVERY, SHARE_OF_LOSS, FIXED_SUM, BY_CAPITAL_CALLED = 0, 1, 2, 3
GUARANTEE = np.dtype(
    [
        ("form", np.int64),
        ("of", np.int64),
        ("amount_at", np.int64),
        ("table", np.int64),
        ("due", np.int64),
        ("repaid", np.int64),
    ]
)

CALLED, OUT, REPAID, RECEIVED, OWED, BASE, ENDED, TOPPED = range(8)
CAPITAL_COLUMNS = 8
"""Columns of `capital`: capital called; outstanding; repaid; all that was received; interest owed; capital x years on
which interest runs since it was last owed; whether the paper has matured; what guarantors paid in this period."""
CASH, ARREARS, FEES_OWED, DELIVERY_OWED, GUARANTOR_OWED, GUARANTOR_PAID, BACKED, SPENT = range(8)
TILL_COLUMNS = 8
"""Columns of `till`: cash in hand; what is owed to the provider for advances, to others for deferred fees, to the
provider for deferred delivery, to the guarantor; what he has paid; what the provider has paid of the paper; costs so
far, where an account asks for them."""


class FinanceTerms(NamedTuple):
    """Terms of the investors' paper; ``*_at`` are columns of the value row, -1 where there is none."""

    has: int
    ahead_at: int  # -1: the whole commitment at the start
    recycled: int
    stops_referrals: int
    surplus_at: int
    reserve_at: int
    in_turn: int
    promises: int  # whether there is a coupon, a maturity or a guarantee
    defers: int  # whether costs are deferred
    puts_off: int  # whether fees wait where the cash does not pay them
    winds_up: int  # whether a stop for want of money ends the claims, too
    usual: (
        int  # whether there is one tranche that is promised nothing, in the usual order (played without these tables)
    )
    tranches: Any  # TRANCHE [K]
    tables: Any  # TABLE
    points: Any  # rows of `clauses.POINT`
    reads: Any  # rows of `clauses.READ`
    actions: Any  # ACTION
    stages: Any  # STAGE
    shares: Any  # SHARE_OF_REST
    guarantee: Any  # GUARANTEE [G]
    fund: Any  # FUND [1], empty where no fund holds the paper
    fund_fees: Any  # FUND_FEE


@inlined
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
    planning: bool,
    gap: tuple[int, int],
) -> None:
    """Add costs to the periods later than `after` in which they fall, service running first..last or to the stop.

    Costs at the start fall in period 1; costs at the end in the last period of service, or in the one after a stop.
    `falls` is [FALLS, T + 2]. Overruns are not planned. In the periods of the `gap`, the first to the last, there is
    no provider: delivery by the year costs nothing; in the first of them it is replaced. (T + 2, T + 1) never comes.
    """
    periods = falls.shape[1] - 2
    final = min(last, stop)
    for j in range(costs.size):
        cost = costs[j]
        amount = v[cost.amount_at]
        if cost.plus_at >= 0:
            amount *= 1.0 + v[cost.plus_at]
        if cost.overrun_at >= 0 and not planning:
            amount *= 1.0 + v[cost.overrun_at]
        row = falls[cost.party]
        if cost.replacement == 1:
            if after < gap[0] <= final:
                row[gap[0]] += amount
            continue
        skip = gap if cost.party in (PROVIDER, AGREED) else (periods + 2, periods + 1)
        if cost.deferred_at >= 0:
            later = amount * v[cost.deferred_at]
            amount -= later
            later_falls = falls[later_row(cost)]
            _spread(cost.form, later, first, last, stop, after, a_year, referred, final, periods, skip, later_falls)
        _spread(cost.form, amount, first, last, stop, after, a_year, referred, final, periods, skip, row)


@part
def later_row(cost: Any) -> int:
    """Row of the deferred part of a cost."""
    return LATER_DELIVERY if cost.party in (PROVIDER, AGREED) else LATER_FEES


@inner
def _spread(
    form: int,
    amount: float,
    first: int,
    last: int,
    stop: int,
    after: int,
    a_year: float,
    referred: Floats,
    final: int,
    periods: int,
    skip: tuple[int, int],
    row: Floats,
) -> None:
    if form == A_YEAR:
        for t in range(max(first, after + 1), min(final, skip[0] - 1) + 1):
            row[t] += amount / a_year
        for t in range(max(first, after + 1, skip[1] + 1), final + 1):
            row[t] += amount / a_year
    elif form == PER_PERSON:
        for t in range(after + 1, min(stop, periods) + 1):
            row[t] += amount * referred[t]
    else:
        t = 1 if form == START else last if stop >= last else stop + 1
        if after < t <= periods:
            row[t] += amount


# ---------------------------------------------------------------------------------------------------------------
# Capital
# ---------------------------------------------------------------------------------------------------------------


@part
def commitment_left(v: Floats, row: Any, own: Floats) -> float:
    """Commitment of a tranche that may still be called; nothing after maturity."""
    return 0.0 if own[ENDED] > 0.0 else max(v[row.commitment_at] - own[CALLED], 0.0)


@inlined
def call_capital(
    v: Floats, tranches: Any, in_turn: int, need: float, t: int, capital: Floats, paper: Floats, till: Floats
) -> float:
    """Call the planned need less the cash in hand, within the commitments; nothing for mere rounding.

    Tranches are called in proportion to what is left of their commitments, or the first of the file first.
    """
    wanted = need - till[CASH]
    if wanted <= 1e-9 * need:
        return 0.0
    left = 0.0
    for k in range(tranches.size):
        left += commitment_left(v, tranches[k], capital[k])
    wanted = min(wanted, left)
    if wanted <= 0.0:
        return 0.0
    rest = wanted
    for k in range(tranches.size):
        own = commitment_left(v, tranches[k], capital[k])
        part = min(own, rest) if in_turn == 1 else wanted * (own / left)
        rest -= part
        capital[k, CALLED] += part
        capital[k, OUT] += part
        paper[k, t] -= part
    till[CASH] += wanted
    return wanted


@part
def run_interest(v: Floats, terms: FinanceTerms, t: int, a_year: float, capital: Floats) -> None:
    """Let interest run for one period on what is outstanding; unpaid interest bears interest where it is accrued.

    What accrues at a fixed rate is compounded by the period, so that the paper yields that rate whenever it is paid.
    """
    for k in range(terms.tranches.size):
        row = terms.tranches[k]
        own = capital[k]
        if own[ENDED] > 0.0:
            continue
        if row.coupon == IN_CASH:
            own[BASE] += own[OUT] / a_year
        elif row.coupon == ACCRUED and row.rate_table >= 0:
            own[BASE] += (own[OUT] + own[OWED]) / a_year
        elif row.coupon == ACCRUED:
            rate = coupon_rate(v, terms, row, np.nan, t, a_year)
            own[OWED] += (own[OUT] + own[OWED]) * ((1.0 + rate) ** (1.0 / a_year) - 1.0)


@part
def is_early(row: Any, t: int, stop: int, last: int) -> bool:
    """Whether paper that is due at once when service ends early is due now."""
    return row.early_table >= 0 and stop < last and t == stop + 1 and t < row.matures


@part
def is_coupon_date(row: Any, own: Floats, t: int, periods: int, matures: bool) -> bool:
    """Whether interest is due: on its dates, at maturity, at the end, and once the capital is repaid."""
    if row.coupon not in (IN_CASH, ACCRUED) or own[BASE] <= 0.0:
        return False
    return matures or t % row.every == 0 or t == periods or own[OUT] <= 0.0


@part
def coupon_rate(v: Floats, terms: FinanceTerms, row: Any, level: float, t: int, a_year: float) -> float:
    """Rate a year of a coupon that is due in period t, the measure standing at `level`."""
    rate = table_amount(v, terms.tables[row.rate_table], terms.points, level) if row.rate_table >= 0 else v[row.rate_at]
    if row.least_at >= 0:
        year = int((t - 1) // a_year) + 1
        if row.least_first <= year <= row.least_last:
            rate = max(rate, v[row.least_at])
    return min(rate, v[row.most_at]) if row.most_at >= 0 else rate


@part
def whole_term_interest(rate: float, t: int, a_year: float, own: Floats, flows: Floats) -> float:
    """Interest that makes the return of a tranche `rate` a year: what its flows are worth, less the capital."""
    worth = 0.0
    growth = (1.0 + rate) ** (1.0 / a_year)
    for s in range(t + 1):
        worth = worth * growth - flows[s]
    return max(worth - own[OUT], 0.0)


@part
def _is_due(row: Any, own: Floats) -> bool:
    """Whether capital is to be repaid now: at maturity, or as cash comes in."""
    return row.matures == 0 or own[ENDED] > 0.0


@part
def _claim(kind: int, row: Any, own: Floats) -> float:
    """What one action may pay to a tranche."""
    if kind == CAPITAL:
        return own[OUT] if _is_due(row, own) else 0.0
    return own[OWED] if (kind == COUPON) == (row.coupon == IN_CASH) else 0.0


@part
def _book(kind: int, own: Floats, amount: float) -> None:
    """Take what a tranche was paid off what it is owed."""
    own[RECEIVED] += amount
    if kind == CAPITAL:
        own[OUT] = max(own[OUT] - amount, 0.0)
        own[REPAID] += amount
    else:
        own[OWED] = max(own[OWED] - amount, 0.0)


@part
def _pay_tranches(
    kind: int, whose: int, free: float, terms: FinanceTerms, t: int, capital: Floats, paper: Floats
) -> float:
    """Pay what some tranches are owed as far as the cash goes, in proportion to their claims."""
    claims = 0.0
    for k in range(capital.shape[0]):
        if (whose >> k) & 1:
            claims += _claim(kind, terms.tranches[k], capital[k])
    if claims <= 0.0:
        return 0.0
    share = min(free / claims, 1.0)
    paid = 0.0
    for k in range(capital.shape[0]):
        if (whose >> k) & 1:
            part = _claim(kind, terms.tranches[k], capital[k])
            if share < 1.0:
                part = free * (part / claims)
            if part > 0.0:
                _book(kind, capital[k], part)
                paper[k, t] += part
                paid += part
    return paid


@part
def _give(v: Floats, amount: float, to: int, terms: FinanceTerms, t: int, capital: Floats, paper: Floats) -> float:
    """Give a tranche, or all of them in proportion to capital called, part of what is left; return what they got."""
    if to >= 0:
        paper[to, t] += amount
        capital[to, RECEIVED] += amount
        return amount
    called = 0.0
    committed = 0.0
    for k in range(capital.shape[0]):
        called += capital[k, CALLED]
        committed += v[terms.tranches[k].commitment_at]
    for k in range(capital.shape[0]):
        weight = capital[k, CALLED] / called if called > 0.0 else v[terms.tranches[k].commitment_at] / committed
        paper[k, t] += amount * weight
        capital[k, RECEIVED] += amount * weight
    return amount


@part
def enough_for(v: Floats, stage: Any, t: int, a_year: float, capital: Floats, paper: Floats) -> float:
    """What a tranche, or all of them, still need to have had the return at which a stage ends."""
    need = 0.0
    level = v[stage.level_at]
    growth = (1.0 + level) ** (1.0 / a_year) if stage.until == A_RETURN else 1.0
    for k in range(capital.shape[0]):
        if stage.who not in (ALL_TRANCHES, k):
            continue
        if stage.until == TIMES:
            need += level * capital[k, CALLED] - capital[k, RECEIVED]
            continue
        worth = 0.0
        for s in range(t + 1):
            worth = worth * growth - paper[k, s]
        need += worth
    return max(need, 0.0)


@part
def _split_rest(
    v: Floats, rest: float, terms: FinanceTerms, t: int, a_year: float, capital: Floats, paper: Floats
) -> float:
    """Split what is left, stage by stage; return what the tranches got, the provider having the others' part."""
    if terms.stages.size == 0:
        return _give(v, v[terms.surplus_at] * rest, ALL_TRANCHES, terms, t, capital, paper)
    given = 0.0
    for i in range(terms.stages.size):
        stage = terms.stages[i]
        amount = rest
        if stage.until != NO_END:
            share = 0.0
            for j in range(stage.first_share, stage.end_share):
                row = terms.shares[j]
                if row.to == stage.who or (stage.who == ALL_TRANCHES and row.to >= 0):
                    share += v[row.share_at]
                elif row.to == ALL_TRANCHES and stage.who >= 0:
                    called = 0.0
                    for k in range(capital.shape[0]):
                        called += capital[k, CALLED]
                    share += v[row.share_at] * (capital[stage.who, CALLED] / called if called > 0.0 else 0.0)
            need = enough_for(v, stage, t, a_year, capital, paper)
            if share <= 0.0:
                amount = 0.0
            else:
                amount = min(rest, need / share)
        for j in range(stage.first_share, stage.end_share):
            row = terms.shares[j]
            if row.to != TO_PROVIDER and amount > 0.0:
                given += _give(v, amount * v[row.share_at], row.to, terms, t, capital, paper)
        rest -= amount
        if rest <= 0.0:
            break
    return given


@part
def keeps_rest(terms: FinanceTerms, t: int, periods: int, serving: bool, capital: Floats) -> bool:
    """Whether what is left must wait: deferred costs, paper that matures or interest that runs are still to be paid."""
    if t == periods:
        return False
    if terms.defers == 1 and serving:
        return True
    for k in range(capital.shape[0]):
        if capital[k, BASE] > 0.0 or capital[k, OWED] > 0.0:
            return True
        if capital[k, OUT] > 0.0 and terms.tranches[k].matures > 0 and capital[k, ENDED] <= 0.0:
            return True
    return False


@part
def pay_out(
    v: Floats,
    terms: FinanceTerms,
    t: int,
    periods: int,
    a_year: float,
    held: float,
    serving: bool,
    capital: Floats,
    paper: Floats,
    till: Floats,
    to: Floats,
) -> None:
    """Pay the cash out in the order of the waterfall.

    Parameters
    ----------
    held
        Cash that planned costs and the reserve need; actions that stand after `planned costs` leave it alone.
    serving
        Whether service goes on after this period.
    to
        [4] filled: what tranches, provider, other parties and guarantor were paid.
    """
    to[:] = 0.0
    kept = 0.0
    for i in range(terms.actions.size):
        action = terms.actions[i]
        free = till[CASH] - kept
        if action.kind == PLANNED_COSTS:
            kept = held
            continue
        if free <= 0.0:
            continue
        if action.kind >= COUPON:
            paid = _pay_tranches(action.kind, action.whose, free, terms, t, capital, paper)
            to[0] += paid
        elif action.kind == REST:
            if terms.promises + terms.defers > 0 and keeps_rest(terms, t, periods, serving, capital):
                continue
            paid = free
            given = _split_rest(v, free, terms, t, a_year, capital, paper)
            to[0] += given
            to[1] += free - given
        elif action.kind == ADVANCES:
            paid = min(free, till[ARREARS])
            till[ARREARS] -= paid
            to[1] += paid
        elif action.kind == PAY_DELIVERY:
            paid = min(free, till[DELIVERY_OWED])
            till[DELIVERY_OWED] -= paid
            to[1] += paid
        elif action.kind == PAY_FEES:
            paid = min(free, till[FEES_OWED])
            till[FEES_OWED] -= paid
            to[2] += paid
        else:
            paid = min(free, till[GUARANTOR_OWED])
            till[GUARANTOR_OWED] -= paid
            to[3] += paid
        till[CASH] = max(till[CASH] - paid, 0.0)


@part
def stand_behind(terms: FinanceTerms, t: int, capital: Floats, paper: Floats, till: Floats) -> float:
    """Pay what is due on paper that the provider backs and the vehicle could not pay; return the sum."""
    paid = 0.0
    for k in range(capital.shape[0]):
        row = terms.tranches[k]
        if row.backed == 0:
            continue
        due = capital[k, OUT] if row.matures > 0 and capital[k, ENDED] > 0.0 else 0.0
        interest = capital[k, OWED] if row.coupon == IN_CASH or capital[k, ENDED] > 0.0 else 0.0
        capital[k, OUT] -= due
        capital[k, REPAID] += due
        capital[k, OWED] -= interest
        capital[k, RECEIVED] += due + interest
        paper[k, t] += due + interest
        paid += due + interest
    till[BACKED] += paid
    return paid


@part
def call_guarantees(v: Floats, terms: FinanceTerms, t: int, capital: Floats, paper: Floats, till: Floats) -> float:
    """Let the guarantors whose day it is pay for the loss, in the order of the file; return what they pay together.

    Shares are of the loss as it stood before any of them paid; each pays within what those before him left of it.
    """
    paid = 0.0
    begun = False
    for g in range(terms.guarantee.size):
        if terms.guarantee[g].due == t:
            if not begun:
                capital[:, TOPPED] = 0.0
                begun = True
            paid += _call_guarantee(v, terms, terms.guarantee[g], t, capital, paper, till)
    return paid


@part
def _call_guarantee(
    v: Floats, terms: FinanceTerms, row: Any, t: int, capital: Floats, paper: Floats, till: Floats
) -> float:
    called = 0.0
    loss = 0.0
    whole = 0.0
    for k in range(capital.shape[0]):
        if row.of in (ALL_TRANCHES, k):
            called += capital[k, CALLED]
            loss += max(capital[k, CALLED] - capital[k, REPAID], 0.0)
            whole += max(capital[k, CALLED] - capital[k, REPAID] + capital[k, TOPPED], 0.0)
    if loss <= 0.0:
        return 0.0
    if row.form == RECOVERY:
        amount = v[row.amount_at] * called - (called - loss)
    elif row.form == SHARE_OF_LOSS:
        amount = v[row.amount_at] * whole
    elif row.form == FIXED_SUM:
        amount = v[row.amount_at]
    else:
        amount = table_amount(v, terms.tables[row.table], terms.points, called)
    amount = min(max(amount, 0.0), loss)
    for k in range(capital.shape[0]):
        if row.of in (ALL_TRANCHES, k):
            part = amount * (max(capital[k, CALLED] - capital[k, REPAID], 0.0) / loss)
            capital[k, OUT] = max(capital[k, OUT] - part, 0.0)
            capital[k, REPAID] += part
            capital[k, RECEIVED] += part
            capital[k, TOPPED] += part
            paper[k, t] += part
    till[GUARANTOR_PAID] += amount
    if row.repaid == 1:
        till[GUARANTOR_OWED] += amount
    return amount
