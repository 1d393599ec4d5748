"""Measures of one flow vector, and estimates of them over many draws.

The first half holds compiled kernels that take *one* flow vector (`irr_lanes` takes many at once):
``float64[T + 1]``, the flow at the end of period ``t`` for ``t = 0 … T``, seen by the investor. Negative
is money paid in, positive is money received. Amounts may be in any unit of money: every kernel is free
of scale. Flows are taken as they are, so a ledger should set the residue of its own rounding to exactly
zero before it calls.

The second half turns draws into estimates that carry their error: running moments that merge in a
fixed order, quantiles with order-statistic intervals, Wilson intervals, expected shortfall, and the
delta method for ratios. In arrays of draws NaN means *undefined* and is left out and counted; in what
is returned for output, undefined is None.

A *loss* is a multiple below 1 by more than 1e-9, never an internal rate of return below zero: the two
agree wherever the investor pays in first and is paid last, and only the multiple is always meaningful.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import inlined, inner, kernel, part

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# What `irr` says about the rate it returns.
FOUND = 0
"""One real root above −100%, and the rate is it."""
NO_INVESTMENT = 1
"""Nothing was paid in; the rate is NaN."""
TOTAL_LOSS = 2
"""Nothing was received; the rate is −1."""
SEVERAL_ROOTS = 3
"""More than one real root above −100%; the rate is the one chosen by the rule in `irr`."""
NO_ROOT = 4
"""Money went both ways and no rate above −100% makes it balance; the rate is NaN."""
NOT_FINITE = 5
"""A flow is NaN or infinite, which is a defect of the caller; the rate is NaN."""

LOSS_TOLERANCE = 1e-9
"""How far below 1 a multiple must be to count as a loss, and how near 1 counts as 1."""

_RESCALE = -1
_UNSETTLED = -2
_EPSILON = 2.220446049250313e-16
_LARGEST_LOG = math.log(1e150)


# --------------------------------------------------------------------------------------------------
# One flow vector
# --------------------------------------------------------------------------------------------------


@inner
def multiple(flows: Floats) -> float:
    """Money received for each unit of money paid in.

    Parameters
    ----------
    flows
        Flow at the end of each period; negative is paid in.

    Returns
    -------
    float
        Σ max(f, 0) / Σ max(−f, 0), a pure number ≥ 0. NaN if nothing was paid in.

    Notes
    -----
    Both sums are gross: money that is recycled counts on both sides.
    """
    received = 0.0
    paid = 0.0
    for t in range(flows.size):
        if flows[t] < 0.0:
            paid -= flows[t]
        else:
            received += flows[t]
    if paid > 0.0:
        return received / paid
    return math.nan


@inner
def is_loss(multiple_of_capital: float) -> bool:
    """Whether a multiple means a loss: below 1 by more than 1e-9.

    A multiple of exactly 1 is no loss, and an undefined multiple (NaN) is none either.
    """
    return multiple_of_capital < 1.0 - LOSS_TOLERANCE


@inner
def npv(flows: Floats, rate_per_year: float, periods_per_year: float) -> float:
    """Net present value at time 0 of a flow vector.

    Parameters
    ----------
    flows
        Flow at the end of each period; negative is paid in.
    rate_per_year
        Annual effective discount rate, as a fraction: 0.05 is 5% a year.
    periods_per_year
        Periods in a year: 4 for quarters.

    Returns
    -------
    float
        Σ f_t (1 + r)^(−t / periods_per_year), in the unit of the flows; positive is good for whoever
        receives the flows. NaN for a rate of −100% or less.
    """
    if not rate_per_year > -1.0:
        return math.nan
    v = math.exp(-math.log1p(rate_per_year) / periods_per_year)
    value = 0.0
    factor = 1.0
    for t in range(flows.size):  # not Horner's scheme, whose every step waits for the one before
        value += factor * flows[t]
        factor *= v
    return value


@inner
def peak_funding_need(flows: Floats) -> float:
    """Largest amount by which payments in have ever run ahead of receipts.

    Returns
    -------
    float
        max(0, max over t of −Σ_{s ≤ t} f_s), in the unit of the flows; never negative, and 0 when
        nothing was paid in.
    """
    balance = 0.0
    peak = 0.0
    for t in range(flows.size):
        balance += flows[t]
        peak = max(peak, -balance)
    return peak


@inner
def payback(flows: Floats, periods_per_year: float) -> float:
    """Time by which the money paid in has come back for good.

    Parameters
    ----------
    flows
        Flow at the end of each period; negative is paid in.
    periods_per_year
        Periods in a year: 4 for quarters.

    Returns
    -------
    float
        Years from time 0 (not from the first payment in) to the first period, not before the first
        payment in, from which the cumulative flow is at least −1e-9 times all that is paid in, then
        and in every later period. NaN if nothing was paid in or it never comes back.

    Notes
    -----
    A balance that touches zero and falls again because more is called has not paid back yet.
    """
    first = -1
    paid = 0.0
    balance = 0.0
    for t in range(flows.size):
        balance += flows[t]
        if flows[t] < 0.0:
            paid -= flows[t]
            if first < 0:
                first = t
    if first < 0:
        return math.nan
    since = -1
    for t in range(flows.size - 1, first - 1, -1):
        if balance < -1e-9 * paid:
            break
        since = t
        balance -= flows[t]
    if since < 0:
        return math.nan
    return since / periods_per_year


# The internal rate of return. Everything below works on x = log v, where v = 1 / (1 + i) discounts one
# period, and on h(x) = log(late / early) or log(positive / negative): the logarithm of the ratio of two
# sums of positive terms. It is free of scale, zero exactly where the present value is, and so close to
# a straight line that Halley's step from x = 0 is nearly there.


@inlined
def _one_change(c: Floats, split: int, x: float, lo: float, hi: float) -> float:
    """Root x in [lo, hi] where the flows from ``split`` on balance those of the other sign before.

    h(x) = log(Σ_late |f| v^t / Σ_early |f| v^t) increases, with a slope (the distance between the mean
    times of the two sides) between 1 and the number of periods, so there is one root. Halley's steps,
    and bisection whenever a step leaves the bracket or a power overflows.
    """
    n = c.size
    for _ in range(200):
        v = math.exp(x)
        u = 1.0 / v
        a0 = 0.0
        a1 = 0.0
        a2 = 0.0
        power = 1.0
        lag = 0.0
        for t in range(split, n):
            a = c[t] * power
            b = a * lag
            a0 += a
            a1 += b
            a2 += b * lag
            power *= v
            lag += 1.0
        b0 = 0.0
        b1 = 0.0
        b2 = 0.0
        power = u
        lag = 1.0
        for t in range(split - 1, -1, -1):
            a = c[t] * power
            b = a * lag
            b0 += a
            b1 += b
            b2 += b * lag
            power *= u
            lag += 1.0
        h = math.log(-a0 / b0)
        if not abs(h) < 1e300:
            # A power overflowed (and 0 times infinity may have made NaN): x is too far out.
            h = x
        if h > 0.0:
            hi = x
        else:
            lo = x
        mean_a = a1 / a0
        mean_b = b1 / b0
        slope = mean_a + mean_b
        bend = (a2 / a0 - mean_a * mean_a) - (b2 / b0 - mean_b * mean_b)
        # False for anything that overflowed, h included.
        if slope <= n and abs(bend) <= n * n:
            step = -2.0 * h * slope / max(2.0 * slope * slope - h * bend, slope * slope)
            if abs(step) * n <= 3e-5:
                return min(max(x + step, lo), hi)
            x += step
            if lo < x < hi:
                continue
        x = 0.5 * (lo + hi)
        if hi - lo <= 1e-15 * abs(x):
            return x
    return x


@part
def _sides(c: Floats, x: float) -> tuple[float, float, float, float]:
    """log(positive / negative), its first two derivatives, and the relative present value, at x.

    Powers of v are counted from the first flow when v ≤ 1 and from the last when v > 1, so that none
    overflows. The fourth value is (positive − negative) / (positive + negative).
    """
    n = c.size
    p0 = 0.0
    p1 = 0.0
    p2 = 0.0
    q0 = 0.0
    q1 = 0.0
    q2 = 0.0
    power = 1.0
    lag = 0.0
    forward = x <= 0.0
    at = 0 if forward else n - 1
    stride = 1 if forward else -1
    v = math.exp(-abs(x))
    for _ in range(n):
        a = c[at] * power
        # Twice the positive and the negative part, exactly and without a branch.
        p = abs(a) + a
        q = abs(a) - a
        p0 += p
        q0 += q
        p *= lag
        q *= lag
        p1 += p
        q1 += q
        p2 += p * lag
        q2 += q * lag
        power *= v
        lag += 1.0
        at += stride
    mean_p = p1 / p0
    mean_q = q1 / q0
    slope = mean_p - mean_q
    bend = (p2 / p0 - mean_p * mean_p) - (q2 / q0 - mean_q * mean_q)
    return math.log(p0 / q0), slope if forward else -slope, bend, (p0 - q0) / (p0 + q0)


@part
def _bracketed(c: Floats, lo: float, hi: float, sign: float, x: float) -> float:
    """Root x in [lo, hi] of Σ c_t exp(t x), whose sign is ``−sign`` at lo and ``sign`` at hi.

    Halley's steps from ``x``; bisection where a step leaves the bracket or does not halve the last one. A step is the
    last when it is small and h so near to zero that a root is near (the slope changes by n² / 4 at most for each x).
    """
    n = c.size
    last = hi - lo
    if not lo < x < hi:
        x = 0.5 * (lo + hi)
    for _ in range(300):
        h, slope, bend, value = _sides(c, x)
        if value == 0.0:
            return x
        h *= sign
        slope *= sign
        bend *= sign
        if h > 0.0:
            hi = x
        else:
            lo = x
        if hi - lo <= 4.0 * _EPSILON * abs(x) or hi - lo < 1e-300:
            return x
        if slope > 0.0 and abs(h) < 1e300:
            step = -2.0 * h * slope / max(2.0 * slope * slope - h * bend, slope * slope)
            if abs(step) * n <= 3e-5 and step * step * n * n * n <= 1e-9 * slope and abs(h) * n * n <= slope * slope:
                return min(max(x + step, lo), hi)
            if abs(step) < 0.5 * last and lo < x + step < hi:
                last = abs(step)
                x += step
                continue
        last = 0.5 * (hi - lo)
        x = lo + last
        if not lo < x < hi:
            return x
    return x


@part
def _outer_bounds(c: Floats) -> tuple[float, float]:
    """Bounds on x that hold every root of Σ c_t exp(t x) (first and last coefficients not zero).

    Cauchy's bound from either end: no root has v < |c_0| / (|c_0| + M), where M is the largest
    coefficient of the other sign than c_0, and likewise for 1 / v from the last coefficient.
    """
    n = c.size
    head = c[0]
    tail = c[n - 1]
    against_head = 0.0
    against_tail = 0.0
    for t in range(n):
        if c[t] * math.copysign(1.0, head) < 0.0:
            against_head = max(against_head, abs(c[t]))
        if c[t] * math.copysign(1.0, tail) < 0.0:
            against_tail = max(against_tail, abs(c[t]))
    lo = math.log(abs(head)) - math.log(abs(head) + against_head)
    hi = math.log(abs(tail) + against_tail) - math.log(abs(tail))
    return lo, hi


@kernel
def _isolate(c: Floats) -> Floats:
    """Every distinct real root x of Σ c_t exp(t x), in ascending order.

    Descartes' rule made into an algorithm. Multiplying coefficient t by (t − m), with m inside the
    first change of sign, gives a multiple of the derivative of v^(−m) P(v); it has one change of sign
    less, and by Rolle its roots separate those of P. With one change left there is one root; climbing
    back, each level has at most one root between two roots of the level below.

    Where |P| at a turning point is within the rounding error of its own evaluation, P touches zero
    there and the point is a root; neighbouring roots between which P cannot be told from zero are one.

    Parameters
    ----------
    c
        Coefficients, the first and the last not zero.
    """
    n = c.size
    changes = 0
    last = c[0]
    for t in range(n):
        if c[t] * math.copysign(1.0, last) < 0.0:
            changes += 1
            last = c[t]
    if changes == 0:
        return np.empty(0)
    levels = np.empty((changes, n))
    for t in range(n):
        levels[0, t] = c[t]
    depth = 1
    for level in range(1, changes):
        before = 0
        after = -1
        for t in range(1, n):
            value = levels[level - 1, t]
            if value == 0.0:
                continue
            if (value > 0.0) != (levels[level - 1, before] > 0.0):
                after = t
                break
            before = t
        if after < 0:
            break
        m = 0.5 * (before + after)
        largest = 0.0
        for t in range(n):
            levels[level, t] = levels[level - 1, t] * ((t - m) / n)
            largest = max(largest, abs(levels[level, t]))
        for t in range(n):
            levels[level, t] /= largest
        if levels[level, 0] == 0.0 or levels[level, n - 1] == 0.0:
            break
        depth = level + 1

    points = np.empty(2 * changes + 2)
    found = np.empty(2 * changes + 2)
    size = 0
    for level in range(depth - 1, -1, -1):
        row = levels[level]
        tolerance = 2.0 * n * _EPSILON if level == 0 else 0.0
        lo, hi = _outer_bounds(row)
        count = 0
        left = lo
        left_sign = math.copysign(1.0, row[0])
        for k in range(size + 1):
            if k < size:
                right = points[k]
                if right <= lo or right >= hi:
                    continue
                value = _sides(row, right)[3]
                right_sign = 0.0 if abs(value) <= tolerance else math.copysign(1.0, value)
            else:
                right = hi
                right_sign = math.copysign(1.0, row[n - 1])
            if right_sign == 0.0:
                found[count] = right
                count += 1
            elif left_sign * right_sign < 0.0:
                found[count] = _bracketed(row, left, right, right_sign, 0.5 * (left + right))
                count += 1
            left = right
            left_sign = right_sign
        size = count
        points, found = found, points

    kept = 0
    for k in range(size):
        if kept > 0:
            middle = 0.5 * (points[kept - 1] + points[k])
            if abs(_sides(c, middle)[3]) <= 2.0 * n * _EPSILON:
                points[kept - 1] = middle
                continue
        points[kept] = points[k]
        kept += 1
    return points[:kept]


@part
def _bound_on_roots(c: Floats, end: float) -> int:
    """Bound on the number of roots with 0 < v < 1, or with v > 1 if ``end`` < 0; −1 where unsure.

    Descartes' rule for the power series P(v) / (1 − v) = Σ S_t v^t, where S_t is the cumulative flow:
    the roots in 0 < v < 1 are at most as many as the changes of sign of S, and differ from that by an
    even number. Norstrom's criterion is the case of one change; it says nothing of rates below zero.
    Where S changes sign more than once its own cumulative sum is tried, the series of P(v) / (1 − v)²,
    whose tail beyond the last flow ends with the sign of the total. Flows summed from the last to the
    first do the same for v > 1. A sum within its own rounding error of zero makes the answer unsure.
    """
    n = c.size
    backward = end < 0.0
    single = 0.0
    double = 0.0
    single_gross = 0.0
    double_gross = 0.0
    positive = c[n - 1 if backward else 0] > 0.0
    single_positive = positive
    double_positive = positive
    single_changes = 0
    double_changes = 0
    single_sure = True
    double_sure = True
    for s in range(n):
        a = c[n - 1 - s if backward else s]
        single += a
        double += single
        single_gross += abs(a)
        double_gross += single_gross
        margin = 2.0 * s * _EPSILON
        single_sure = abs(single) > margin * single_gross
        double_sure = double_sure and abs(double) > margin * double_gross
        if not single_sure:
            single_changes = n
        if (single > 0.0) != single_positive:
            single_changes += 1
            single_positive = not single_positive
        if (double > 0.0) != double_positive:
            double_changes += 1
            double_positive = not double_positive
    if not single_sure:
        return -1
    if double_positive != single_positive:
        double_changes += 1
    if double_sure:
        return min(single_changes, double_changes)
    return single_changes if single_changes < n else -1


@part
def _where_to_look(c: Floats, ratio: float) -> tuple[float, int]:
    """Sign of the root x that `irr` takes, and the code, as far as bounds on the number of roots tell.

    Where they say that either side of zero has one root, the one with the sign of the gain is taken. Where they leave
    it open the code is `_UNSETTLED`, and the sign 0 unless the roots are none or two, all of one sign.
    """
    above = _bound_on_roots(c, 1.0)
    below = _bound_on_roots(c, -1.0) if 0 <= above <= 2 else -1
    if below < 0 or above + below > 2:
        return 0.0, _UNSETTLED
    if above + below == 0:
        return 0.0, NO_ROOT
    if above + below == 1:
        return (-1.0 if above == 1 else 1.0), FOUND
    if above != below:
        return (-1.0 if above == 2 else 1.0), _UNSETTLED
    if abs(ratio - 1.0) > LOSS_TOLERANCE:
        return (-1.0 if ratio > 1.0 else 1.0), SEVERAL_ROOTS
    return 0.0, _UNSETTLED


@kernel
def _many_changes(c: Floats, ratio: float, x: float, periods_per_year: float) -> tuple[float, int]:
    """Rate and code where the flows change sign more than once (``c`` trimmed of zeros at its ends)."""
    side, code = _where_to_look(c, ratio)
    if code == NO_ROOT:
        return math.nan, NO_ROOT
    if code != _UNSETTLED:
        lo, hi = _outer_bounds(c)
        if side < 0.0:
            hi = 0.0
            sign = -math.copysign(1.0, c[0])
        else:
            lo = 0.0
            sign = math.copysign(1.0, c[c.size - 1])
        return _annual(_bracketed(c, lo, hi, sign, x), periods_per_year), code

    roots = _isolate(c)
    if roots.size == 0:
        return math.nan, NO_ROOT
    if abs(_sides(c, 0.0)[3]) <= c.size * _EPSILON:
        nearest = 0
        for k in range(roots.size):
            if abs(roots[k]) < abs(roots[nearest]):
                nearest = k
        if abs(roots[nearest]) < 1e-6:
            roots[nearest] = 0.0
    wanted = 0.0
    if ratio > 1.0 + LOSS_TOLERANCE:
        wanted = 1.0
    elif ratio < 1.0 - LOSS_TOLERANCE:
        wanted = -1.0
    best = math.nan
    best_agrees = False
    for k in range(roots.size):
        rate = _annual(roots[k], periods_per_year)
        agrees = rate * wanted > 0.0
        if k == 0 or (agrees and not best_agrees) or (agrees == best_agrees and abs(rate) < abs(best)):
            best = rate
            best_agrees = agrees
    return best, SEVERAL_ROOTS if roots.size > 1 else FOUND


@part
def _safe_scale(largest: float) -> float:
    """Factor that brings flows of this largest size into range; up, so that the smallest survive."""
    return 1e280 / largest if largest > 1.0 else 1e280


@part
def _annual(x: float, periods_per_year: float) -> float:
    """Annual effective rate of the discount exponent x of one period, at most 1e150."""
    return math.expm1(min(-x * periods_per_year, _LARGEST_LOG)) + 0.0


@inlined
def _irr(flows: Floats, periods_per_year: float) -> tuple[float, int]:
    """`irr`, save that it gives up where a sum would overflow or lose digits at the bottom."""
    n = flows.size
    positive = 0.0
    positive1 = 0.0
    positive2 = 0.0
    negative = 0.0
    negative1 = 0.0
    negative2 = 0.0
    changes = 0
    first = -1
    split = 0
    last = 0
    sign = 0
    time = 0.0
    for t in range(n):
        f = flows[t]
        if f > 0.0:
            g = f * time
            positive += f
            positive1 += g
            positive2 += g * time
            if sign <= 0:
                if sign < 0:
                    changes += 1
                    split = t
                else:
                    first = t
                sign = 1
            last = t
        elif f < 0.0:
            g = f * time
            negative -= f
            negative1 -= g
            negative2 -= g * time
            if sign >= 0:
                if sign > 0:
                    changes += 1
                    split = t
                else:
                    first = t
                sign = -1
            last = t
        elif f != 0.0:
            return math.nan, NOT_FINITE
        time += 1.0

    if not 1e-250 <= positive + negative <= 1e290 and positive + negative > 0.0:
        return math.nan, _RESCALE
    if negative == 0.0:
        return math.nan, NO_INVESTMENT
    if positive == 0.0:
        return -1.0, TOTAL_LOSS

    # Halley's step from a rate of zero, on log(positive / negative).
    mean_p = positive1 / positive
    mean_q = negative1 / negative
    ratio = positive / negative
    if 1e-300 < ratio < 1e300:
        h = math.log(ratio)
    else:
        h = math.log(positive) - math.log(negative)
    slope = mean_p - mean_q
    bend = (positive2 / positive - mean_p * mean_p) - (negative2 / negative - mean_q * mean_q)
    below = 2.0 * slope * slope - h * bend
    x = 0.0
    if slope != 0.0:
        x = -2.0 * h * slope / max(below, slope * slope)

    if changes > 1:
        return _many_changes(flows[first : last + 1], ratio, x, periods_per_year)
    if abs(positive - negative) <= n * _EPSILON * negative:
        return 0.0, FOUND
    if flows[first] > 0.0:
        h = -h
    if h > 0.0:
        lo = -h
        hi = -h / (last - first)
    else:
        lo = -h / (last - first)
        hi = -h
    x = _one_change(flows[first : last + 1], split - first, min(max(x, lo), hi), lo, hi)
    return _annual(x, periods_per_year), FOUND


@kernel
def irr(flows: Floats, periods_per_year: float) -> tuple[float, int]:
    """Internal rate of return of a flow vector, as an annual effective rate.

    Parameters
    ----------
    flows
        Flow at the end of each period; negative is paid in.
    periods_per_year
        Periods in a year: 4 for quarters.

    Returns
    -------
    rate : float
        (1 + i)^periods_per_year − 1 where Σ f_t / (1 + i)^t = 0 and i > −1; a fraction (0.05 is 5% a
        year). Rates above 1e150 are held there, so that their squares are finite.
    code : int
        What the rate is: `FOUND`, `NO_INVESTMENT`, `TOTAL_LOSS`, `SEVERAL_ROOTS`, `NO_ROOT` or
        `NOT_FINITE`.

    Notes
    -----
    Conventions, in the order in which they apply:

    1. A NaN or infinite flow: NaN, `NOT_FINITE`.
    2. Nothing paid in: NaN, `NO_INVESTMENT`.
    3. Nothing received: exactly −1, `TOTAL_LOSS`. Never dropped. (A rate can also round to −1 when
       next to nothing is received, so count total losses by the code.)
    4. No root: NaN, `NO_ROOT`. Net present value then has the same sign at every rate; an example is
       an early receipt smaller than a later call, and nothing after: [−100, 5, −50].
    5. One distinct root: that root, `FOUND`. Where flows change sign once this is always so. It holds
       too where money comes first and is paid back later: [100, −110] gives 10%, the cost of a loan,
       although the multiple is below 1.
    6. Several distinct roots: the nearest to zero of those having the sign of (multiple − 1); where
       none has that sign, or the multiple is 1 within 1e-9, the nearest to zero of all.
       `SEVERAL_ROOTS`. [−100, 230, −132] has roots 10% and 20% and a multiple below 1: it gives 10%.

    Roots are counted over all i > −1, without an upper limit, and a double root is one root. Where
    receipts equal payments up to the rounding of their sums, and there is one root, it is exactly 0.

    If the first flow that is not zero is paid in and the last is received, the rate has the sign of
    (multiple − 1).

    Method: one change of sign has a root bracketed by log(multiple) / (number of periods) and
    log(multiple), found by Halley's steps in log form. With more changes, bounds on the number of
    roots on either side of zero settle most cases, and the others are isolated exactly as far as the
    rounding of the present value allows.
    """
    rate, code = _irr(flows, periods_per_year)
    if code == _RESCALE:
        largest = 0.0
        for t in range(flows.size):
            if not abs(flows[t]) < math.inf:
                return math.nan, NOT_FINITE
            largest = max(largest, abs(flows[t]))
        factor = _safe_scale(largest)
        scaled = np.empty(flows.size)
        for t in range(flows.size):
            scaled[t] = flows[t] * factor
        rate, code = _irr(scaled, periods_per_year)
    return rate, code


# Flow vectors side by side: a row is a period and a *lane* is a vector, so that a processor works on as many
# lanes at once as its registers hold. The steps are those of `irr` from a rate of zero, without a bracket,
# on sums over all flows; what they do not settle is left to `irr`. A lane never sees another.

LANES = 32
"""Flow vectors that `irr_lanes` works on side by side: enough for wide registers, and few enough for a near cache."""

# Rows of its scratch, a number for each lane. Discounted flows and their sizes are summed (0), these sums
# summed over the periods (1), and those again (2); then the state of the search.
_NET0, _NET1, _NET2, _GROSS0, _GROSS1, _GROSS2 = (LANES * row for row in range(6))
_POWER, _FACTOR, _X, _LOG, _OPEN, _SIDE, _UPHILL, _SIGN, _CHANGES = (LANES * row for row in range(6, 15))
_COPY = LANES * 15

_PASSES = 6
_AT_ONCE = 8
"""Rows that are summed between a load and a store of the sums."""


def irr_scratch(rows: int) -> Floats:
    """Scratch of `irr_lanes` for flow vectors of this many rows or fewer."""
    return np.zeros(_COPY + rows)


@inlined
def _count_changes(flows: Floats, s: Floats) -> None:
    """Count the changes of sign of every lane, and keep the sign of its last flow (0 where all are zero)."""
    for w in range(LANES):
        s[_SIGN + w] = 0.0
        s[_CHANGES + w] = 0.0
    for t in range(flows.shape[0]):
        for w in range(LANES):
            f = flows[t, w]
            sign = s[_SIGN + w]
            s[_CHANGES + w] += 1.0 if f * sign < 0.0 else 0.0
            s[_SIGN + w] = 1.0 if f > 0.0 else (-1.0 if f < 0.0 else sign)


@inlined
def _sum_lanes(flows: Floats, s: Floats) -> None:
    """Sum the flows of every lane, discounted by the powers of its factor, and their sizes."""
    n = flows.shape[0]
    for w in range(LANES):
        s[_POWER + w] = 1.0
        s[_NET0 + w] = s[_NET1 + w] = s[_NET2 + w] = 0.0
        s[_GROSS0 + w] = s[_GROSS1 + w] = s[_GROSS2 + w] = 0.0
    rest = n % _AT_ONCE
    for t in range(0, n - rest, _AT_ONCE):
        for w in range(LANES):
            factor, power = s[_FACTOR + w], s[_POWER + w]
            net0, net1, net2 = s[_NET0 + w], s[_NET1 + w], s[_NET2 + w]
            gross0, gross1, gross2 = s[_GROSS0 + w], s[_GROSS1 + w], s[_GROSS2 + w]
            for k in range(_AT_ONCE):
                a = flows[t + k, w] * power
                power *= factor
                net0 += a
                net1 += net0
                net2 += net1
                gross0 += abs(a)
                gross1 += gross0
                gross2 += gross1
            s[_POWER + w] = power
            s[_NET0 + w], s[_NET1 + w], s[_NET2 + w] = net0, net1, net2
            s[_GROSS0 + w], s[_GROSS1 + w], s[_GROSS2 + w] = gross0, gross1, gross2
    for t in range(n - rest, n):
        for w in range(LANES):
            a = flows[t, w] * s[_POWER + w]
            s[_POWER + w] *= s[_FACTOR + w]
            s[_NET0 + w] += a
            s[_NET1 + w] += s[_NET0 + w]
            s[_NET2 + w] += s[_NET1 + w]
            s[_GROSS0 + w] += abs(a)
            s[_GROSS1 + w] += s[_GROSS0 + w]
            s[_GROSS2 + w] += s[_GROSS1 + w]


@inlined
def _step_lanes(n: int, s: Floats) -> None:
    """Halley's step of every open lane, on h = log(receipts / payments); the last closes it.

    Sums of sums weigh the flow of period t with n − t, and sums of those with (n − t)(n − t + 1) / 2, which give the
    mean times and their variances. Nothing is closed by a slope near zero, by sums so small that digits may be lost, on
    the wrong side of a rate of zero, or by a root that has another between itself and zero.
    """
    for w in range(LANES):
        z = s[_NET0 + w] / s[_GROSS0 + w]  # h is 2 atanh(z), here by a Padé approximant
        s[_LOG + w] = z * (30.0 - 8.0 * z * z) / (15.0 - 9.0 * z * z)
    for w in range(LANES):
        if s[_OPEN + w] > 0.0 and abs(s[_NET0 + w]) > 0.5 * s[_GROSS0 + w]:
            s[_LOG + w] = math.log((s[_GROSS0 + w] + s[_NET0 + w]) / (s[_GROSS0 + w] - s[_NET0 + w]))
    scale = 1e9 * n * n * n
    for w in range(LANES):
        received = s[_GROSS0 + w] + s[_NET0 + w]
        paid = s[_GROSS0 + w] - s[_NET0 + w]
        mean_p = (s[_GROSS1 + w] + s[_NET1 + w]) / received
        mean_q = (s[_GROSS1 + w] - s[_NET1 + w]) / paid
        square_p = 2.0 * (s[_GROSS2 + w] + s[_NET2 + w]) / received - mean_p
        square_q = 2.0 * (s[_GROSS2 + w] - s[_NET2 + w]) / paid - mean_q
        h = s[_LOG + w]
        slope = mean_q - mean_p
        bend = (square_p - mean_p * mean_p) - (square_q - mean_q * mean_q)
        below = 2.0 * slope * slope - h * bend
        least = slope * slope
        step = -2.0 * h * slope / (below if below > least else least)
        going = s[_OPEN + w]
        x = s[_X + w] + (step if going > 0.0 else 0.0)
        small = (step * step * scale <= abs(slope)) & (abs(slope) >= 1e-5 * n) & (s[_GROSS0 + w] >= 1e-150)
        right = (x * s[_SIDE + w] >= 0.0) & (slope * s[_UPHILL + w] >= 0.0)
        s[_X + w] = x
        s[_OPEN + w] = 0.0 if small & right else going
    for w in range(LANES):
        if s[_OPEN + w] > 0.0:
            s[_FACTOR + w] = math.exp(s[_X + w])


@part
def _copy_lane(flows: Floats, w: int, row: Floats) -> tuple[int, int, float]:
    """Copy a lane into a row; return its first and last flow that is not zero, and the size of the smallest."""
    first = -1
    last = -1
    smallest = math.inf
    for t in range(flows.shape[0]):
        row[t] = flows[t, w]
        if row[t] != 0.0:
            smallest = min(smallest, abs(row[t]))
            last = t
            if first < 0:
                first = t
    return first, last, smallest


@inlined
def _sort_lanes(flows: Floats, number: int, rates: Floats, codes: Floats | Integers, s: Floats) -> None:
    """Settle lanes without a root, open those that have one or may have two, and call the others `_UNSETTLED`."""
    row = s[_COPY:]
    for w in range(LANES):
        s[_OPEN + w] = s[_SIDE + w] = s[_UPHILL + w] = 0.0
    for w in range(number):
        gross, net, changes = s[_GROSS0 + w], s[_NET0 + w], s[_CHANGES + w]
        codes[w] = _UNSETTLED
        if not 1e-100 <= gross <= 1e100:
            continue
        if changes == 0.0:
            rates[w], codes[w] = (-1.0, TOTAL_LOSS) if s[_SIGN + w] < 0.0 else (math.nan, NO_INVESTMENT)
            continue
        if not abs(net) >= 1e-9 * gross:
            continue
        codes[w] = FOUND
        if changes > 1.0:
            first, last, smallest = _copy_lane(flows, w, row)
            if smallest < 1e-250 * gross:  # a root it makes may lie beyond the range of powers
                codes[w] = _UNSETTLED
                continue
            side, codes[w] = _where_to_look(row[first : last + 1], (gross + net) / (gross - net))
            if side == 0.0:
                rates[w] = math.nan
                continue
            if codes[w] == _UNSETTLED:
                codes[w] = SEVERAL_ROOTS  # if it finds one there are two
            s[_SIDE + w] = side
            s[_UPHILL + w] = -side if net > 0.0 else side
        s[_OPEN + w] = 1.0


@part
def irr_lanes(
    flows: Floats, number: int, periods_per_year: float, rates: Floats, codes: Floats | Integers, scratch: Floats
) -> None:
    """Internal rate of return of flow vectors that lie side by side, as from `irr`.

    A lane's rate and code depend on its own flows and the number of rows, to the last bit. Codes are those of `irr`,
    rates agree with it but for rounding.

    Parameters
    ----------
    flows
        ``float64[T + 1, LANES]``, a flow vector a column; not changed.
    number
        Vectors to work on, the first of them; what is in other columns does not matter.
    periods_per_year
        Periods in a year.
    rates, codes
        At least ``[number]``, of floats and of whole numbers of any type: the first ``number`` are filled.
    scratch
        From `irr_scratch`; its contents before do not matter, and after mean nothing.
    """
    n = flows.shape[0]
    for w in range(LANES):
        scratch[_X + w] = 0.0
        scratch[_FACTOR + w] = 1.0
    _count_changes(flows, scratch)
    _sum_lanes(flows, scratch)
    _sort_lanes(flows, number, rates, codes, scratch)
    for again in range(_PASSES):
        if again > 0:
            _sum_lanes(flows, scratch)
        _step_lanes(n, scratch)
        left = 0.0
        for w in range(LANES):
            left = max(left, scratch[_OPEN + w])
        if left == 0.0:
            break
    for w in range(number):
        if scratch[_OPEN + w] > 0.0 or codes[w] == _UNSETTLED:
            _copy_lane(flows, w, scratch[_COPY:])
            rates[w], codes[w] = irr(scratch[_COPY : _COPY + n], periods_per_year)
        elif codes[w] == FOUND or codes[w] == SEVERAL_ROOTS:
            rates[w] = _annual(scratch[_X + w], periods_per_year)


@kernel
def irr_batch(flows: Floats, periods_per_year: float) -> tuple[Floats, Integers]:
    """Internal rate of return of each row of ``flows``.

    Parameters
    ----------
    flows
        ``float64[n, T + 1]``, a flow vector a row.
    periods_per_year
        Periods in a year.

    Returns
    -------
    rates, codes
        ``float64[n]`` and ``int64[n]``, as from `irr` but for rounding.
    """
    size, n = flows.shape
    rates = np.empty(size)
    codes = np.empty(size, dtype=np.int64)
    columns = np.zeros((n, LANES))
    scratch = np.empty(_COPY + n)
    for start in range(0, size, LANES):
        number = min(LANES, size - start)
        for w in range(number):
            for t in range(n):
                columns[t, w] = flows[start + w, t]
        irr_lanes(columns, number, periods_per_year, rates[start:], codes[start:], scratch)
    return rates, codes


@kernel
def all_rates(flows: Floats, periods_per_year: float) -> Floats:
    """Every annual rate above −100% at which a flow vector balances, in ascending order.

    For showing what lies behind a count of several roots; `irr` chooses among these. Empty where
    nothing was paid in, nothing was received, no rate balances, or a flow is not finite.
    """
    largest = 0.0
    for t in range(flows.size):
        if not abs(flows[t]) < math.inf:
            return np.empty(0)
        largest = max(largest, abs(flows[t]))
    if largest == 0.0:
        return np.empty(0)
    factor = 1.0 if 1e-250 <= largest <= 1e280 else _safe_scale(largest)
    first = 0
    last = -1
    c = np.empty(flows.size)
    for t in range(flows.size):
        c[t] = flows[t] * factor
        if c[t] != 0.0:
            if last < 0:
                first = t
            last = t
    roots = _isolate(c[first : last + 1])
    rates = np.empty(roots.size)
    for k in range(roots.size):
        rates[roots.size - 1 - k] = _annual(roots[k], periods_per_year)
    return rates


# --------------------------------------------------------------------------------------------------
# Estimates over draws
# --------------------------------------------------------------------------------------------------

BLOCK = 4096
"""Draws in one block of a reduction. Blocks start at draw 0 and are added in order."""

QUANTILES = (("p05", 0.05), ("p25", 0.25), ("p50", 0.50), ("p75", 0.75), ("p95", 0.95))
"""Quantiles in a summary, and their names."""

_Z95 = 1.959963984540054
_T95 = 2.131449545559323  # Student's t, 15 degrees of freedom

Interval = list[float | None]


class Estimate(TypedDict):
    """A value and its standard error."""

    value: float | None
    standard_error: float | None


class Probability(TypedDict):
    """An estimated probability, its standard error, and Wilson's 95% interval."""

    probability: float | None
    standard_error: float | None
    interval: Interval


class Summary(TypedDict):
    """A distribution in short, with the error of each figure."""

    mean: float | None
    standard_error: float | None
    sd: float | None
    p05: float | None
    p25: float | None
    p50: float | None
    p75: float | None
    p95: float | None
    intervals: dict[str, Interval]
    count: int
    quantile_draws: NotRequired[int]


def _number(value: float) -> float | None:
    """``value`` as a Python float, None where it is not finite, and no negative zero."""
    return float(value) + 0.0 if math.isfinite(value) else None


RANDOMISATIONS = 16
"""Independent randomisations of Sobol points; draw i belongs to randomisation i mod 16. LANES is a multiple."""


@kernel
def column_moments(table: Floats, randomised: bool = False) -> Floats:
    """Count, mean and sum of squared deviations of each column of `table` [n, M], NaN left out; [M, 3].

    For blocks of draws on worker threads: two passes, without the interpreter lock, and LANES sums side by side, so
    that none waits for itself. Of `randomised` draws, the first belonging to randomisation 0, a row goes on with the
    sums and the counts of each randomisation; [M, 35].
    """
    n, columns = table.shape
    found = np.zeros((columns, 3 + 2 * RANDOMISATIONS * randomised))
    counts, sums = np.empty(LANES), np.empty(LANES)
    for m in range(columns):
        column = table[:, m]
        counts[:] = 0.0
        sums[:] = 0.0
        for first in range(0, n, LANES):
            for j in range(min(LANES, n - first)):
                x = column[first + j]
                counts[j] += 0.0 if np.isnan(x) else 1.0
                sums[j] += 0.0 if np.isnan(x) else x
        for j in range(LANES):
            found[m, 0] += counts[j]
            found[m, 1] += sums[j]
            if randomised:
                found[m, 3 + j % RANDOMISATIONS] += sums[j]
                found[m, 3 + RANDOMISATIONS + j % RANDOMISATIONS] += counts[j]
        if found[m, 0] == 0.0:
            continue
        mean = found[m, 1] / found[m, 0]
        sums[:] = 0.0
        for first in range(0, n, LANES):
            for j in range(min(LANES, n - first)):
                x = column[first + j]
                sums[j] += 0.0 if np.isnan(x) else (x - mean) * (x - mean)
        found[m, 1] = mean
        for j in range(LANES):
            found[m, 2] += sums[j]
    return found


@kernel
def pair_moments(x: Floats, y: Floats, randomised: bool = False) -> Floats:
    """Joint moments of each column of `x` [n, M] with the same column of `y`, pairs with a NaN left out; [M, 6].

    The six are the fields of `CoMoments` in their order. Of `randomised` draws, the first belonging to randomisation 0,
    a row goes on with the sums of x and of y of each randomisation; [M, 38].
    """
    found = np.zeros((x.shape[1], 6 + 2 * RANDOMISATIONS * randomised))
    for m in range(x.shape[1]):
        count = 0
        sum_x = 0.0
        sum_y = 0.0
        for i in range(x.shape[0]):
            if not (np.isnan(x[i, m]) or np.isnan(y[i, m])):
                count += 1
                sum_x += x[i, m]
                sum_y += y[i, m]
        if count == 0:
            continue
        mean_x = sum_x / count
        mean_y = sum_y / count
        found[m, 0] = count
        found[m, 1] = mean_x
        found[m, 2] = mean_y
        for i in range(x.shape[0]):
            if not (np.isnan(x[i, m]) or np.isnan(y[i, m])):
                dx = x[i, m] - mean_x
                dy = y[i, m] - mean_y
                found[m, 3] += dx * dx
                found[m, 4] += dy * dy
                found[m, 5] += dx * dy
                if randomised:
                    found[m, 6 + i % RANDOMISATIONS] += x[i, m]
                    found[m, 6 + RANDOMISATIONS + i % RANDOMISATIONS] += y[i, m]
    return found


def between_randomisations(shares: Floats) -> float:
    """Standard error of a ratio of sums over independent randomisations, [2, RANDOMISATIONS] above and below.

    With R the ratio of all, sqrt(k / (k - 1) sum (x_r - R y_r)^2) / |sum y_r| over the k randomisations that have any
    y (Cochran, Sampling Techniques, 3rd ed., section 6.4); of means, y counts draws. NaN below two of them. It rests on
    k numbers: its own relative error is about 1 / sqrt(2 (k - 1)), 18% for 16.
    """
    above, below = shares[0], shares[1]
    k, whole = int(np.count_nonzero(below)), float(below.sum())
    if k < 2 or whole == 0.0:
        return math.nan
    left = above - float(above.sum()) / whole * below
    return math.sqrt(k / (k - 1) * float(np.square(left).sum())) / abs(whole)


def by_randomisation(values: Floats) -> Floats:
    """Sums and counts of the defined ones of draws, the first of randomisation 0, [2, RANDOMISATIONS]."""
    padded = np.full(-(-values.size // RANDOMISATIONS) * RANDOMISATIONS, np.nan)
    padded[: values.size] = values
    table = padded.reshape(-1, RANDOMISATIONS)
    defined = ~np.isnan(table)
    return np.stack([np.where(defined, table, 0.0).sum(axis=0), defined.sum(axis=0).astype(float)])


class Successes:
    """Draws in which something happened, among those in which it could.

    Parameters
    ----------
    randomised
        Whether draws are Sobol points, whose error is that between randomisations.
    """

    def __init__(self, randomised: bool = False) -> None:
        self.successes = self.draws = 0
        self.shares: Floats | None = np.zeros((2, RANDOMISATIONS)) if randomised else None

    def add(self, happened: NDArray[np.bool_], possible: NDArray[np.bool_] | None = None) -> None:
        """Add a block of draws that begins at randomisation 0."""
        if possible is not None:
            happened = happened & possible
        self.successes += int(np.count_nonzero(happened))
        self.draws += happened.size if possible is None else int(np.count_nonzero(possible))
        if self.shares is not None:
            outcome = happened.astype(float)
            self.shares += by_randomisation(outcome if possible is None else np.where(possible, outcome, np.nan))

    def merge(self, block: "Successes") -> None:
        """Add what another counted in a later block of draws."""
        self.successes += block.successes
        self.draws += block.draws
        if self.shares is not None and block.shares is not None:
            self.shares += block.shares

    def probability(self) -> Probability:
        """Estimate for output."""
        error = None if self.shares is None else between_randomisations(self.shares)
        return probability(self.successes, self.draws, error)


@dataclass
class Moments:
    """Count, mean and sum of squared deviations of the defined draws, mergeable without loss.

    A total over blocks that are updated or merged in order of draws is the same, bit for bit, whatever
    number of threads worked on the blocks.

    Attributes
    ----------
    count
        Draws that are not NaN.
    mean
        Their mean; 0 while there are none.
    m2
        Σ (x − mean)².
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    shares: Floats | None = None
    """[2, RANDOMISATIONS] sums and counts by randomisation, of Sobol points."""

    @classmethod
    def of(cls, values: Floats) -> "Moments":
        """Moments of all draws in ``values``, taken in blocks of `BLOCK` from the first."""
        total = cls()
        for start in range(0, values.size, BLOCK):
            total.update(values[start : start + BLOCK])
        return total

    @classmethod
    def of_row(cls, row: Floats) -> "Moments":
        """Moments of a row of `column_moments`."""
        shares = row[3:].reshape(2, RANDOMISATIONS).copy() if row.size > 3 else None
        return cls(int(row[0]), float(row[1]), float(row[2]), shares)

    def update(self, block: Floats, randomised: bool = False) -> None:
        """Add a block of draws, the first of randomisation 0. NaN counts as undefined and is left out."""
        defined = block[~np.isnan(block)]
        if defined.size:
            with np.errstate(over="ignore", invalid="ignore"):
                mean = float(defined.mean())
                m2 = float(np.square(defined - mean).sum())
            self.merge(Moments(int(defined.size), mean, m2, by_randomisation(block) if randomised else None))

    def merge(self, other: "Moments") -> None:
        """Add the moments of draws that follow these (Chan, Golub and LeVeque's formula)."""
        if other.count == 0:
            return
        count = self.count + other.count
        delta = other.mean - self.mean
        if other.shares is not None:
            self.shares = other.shares if self.shares is None else self.shares + other.shares
        self.mean += delta * (other.count / count)
        self.m2 += other.m2 + delta * delta * (self.count * (other.count / count))
        self.count = count

    @property
    def sd(self) -> float:
        """Standard deviation with divisor n − 1; NaN below two draws."""
        return math.sqrt(self.m2 / (self.count - 1)) if self.count > 1 else math.nan

    @property
    def standard_error(self) -> float:
        """Standard error of the mean of independent draws, or between randomisations; NaN below two."""
        if self.shares is not None:
            return between_randomisations(self.shares)
        return self.sd / math.sqrt(self.count) if self.count > 1 else math.nan

    def estimate(self) -> Estimate:
        """Mean and its standard error, for output."""
        return estimate(self.mean if self.count else math.nan, self.standard_error)


@dataclass
class CoMoments:
    """Joint moments of pairs (x, y), for the ratio of their means.

    Pairs of which either half is NaN are left out. Merging in order of draws gives the same bits for
    any number of threads.

    Attributes
    ----------
    count
        Pairs.
    mean_x, mean_y
        Means; 0 while there are no pairs.
    m2_x, m2_y, m_xy
        Σ (x − x̄)², Σ (y − ȳ)², Σ (x − x̄)(y − ȳ).
    """

    count: int = 0
    mean_x: float = 0.0
    mean_y: float = 0.0
    m2_x: float = 0.0
    m2_y: float = 0.0
    m_xy: float = 0.0
    shares: Floats | None = None
    """[2, RANDOMISATIONS] sums of x and of y by randomisation, of Sobol points."""

    @classmethod
    def of_row(cls, row: Floats) -> "CoMoments":
        """Moments of a row of `pair_moments`."""
        shares = row[6:].reshape(2, RANDOMISATIONS).copy() if row.size > 6 else None
        mean_x, mean_y, m2_x, m2_y, m_xy = (float(each) for each in row[1:6])
        return cls(int(row[0]), mean_x, mean_y, m2_x, m2_y, m_xy, shares)

    @classmethod
    def of(cls, x: Floats, y: Floats) -> "CoMoments":
        """Moments of all pairs, taken in blocks of `BLOCK` from the first."""
        total = cls()
        for start in range(0, x.size, BLOCK):
            total.update(x[start : start + BLOCK], y[start : start + BLOCK])
        return total

    def update(self, x: Floats, y: Floats) -> None:
        """Add a block of pairs."""
        defined = ~(np.isnan(x) | np.isnan(y))
        if not defined.any():
            return
        x = x[defined]
        y = y[defined]
        mean_x = float(x.mean())
        mean_y = float(y.mean())
        dx = x - mean_x
        dy = y - mean_y
        self.merge(
            CoMoments(
                int(x.size),
                mean_x,
                mean_y,
                float(np.square(dx).sum()),
                float(np.square(dy).sum()),
                float((dx * dy).sum()),
            )
        )

    def merge(self, other: "CoMoments") -> None:
        """Add the moments of pairs that follow these."""
        if other.count == 0:
            return
        if other.shares is not None:
            self.shares = other.shares if self.shares is None else self.shares + other.shares
        count = self.count + other.count
        share = other.count / count
        weight = self.count * share
        dx = other.mean_x - self.mean_x
        dy = other.mean_y - self.mean_y
        self.mean_x += dx * share
        self.mean_y += dy * share
        self.m2_x += other.m2_x + dx * dx * weight
        self.m2_y += other.m2_y + dy * dy * weight
        self.m_xy += other.m_xy + dx * dy * weight
        self.count = count

    def ratio(self) -> tuple[float, float]:
        """Ratio of means x̄ / ȳ and its standard error by the delta method.

        Returns
        -------
        value : float
            R = x̄ / ȳ; NaN without pairs or where ȳ is 0.
        standard_error : float
            √((S_xx − 2 R S_xy + R² S_yy) / n) / |ȳ|, with the sample covariances S; NaN below two
            pairs.

        Notes
        -----
        This is a ratio of means, not the mean of ratios. The error is good while ȳ is many of its own
        standard errors away from zero; near zero a ratio has no useful standard error.
        """
        if self.count == 0 or self.mean_y == 0.0:
            return math.nan, math.nan
        value = self.mean_x / self.mean_y
        if self.shares is not None:
            return value, between_randomisations(self.shares)
        if self.count < 2:
            return value, math.nan
        spread = self.m2_x - 2.0 * value * self.m_xy + value * value * self.m2_y
        variance = max(spread, 0.0) / (self.count - 1) / self.count
        return value, math.sqrt(variance) / abs(self.mean_y)

    def of_y(self) -> Moments:
        """Moments of y alone; of Sobol points every randomisation is taken to have as many pairs."""
        shares = None
        if self.shares is not None:
            shares = np.stack([self.shares[1], np.full(RANDOMISATIONS, self.count / RANDOMISATIONS)])
        return Moments(self.count, self.mean_y, self.m2_y, shares)

    def estimate(self) -> Estimate:
        """Ratio of means and its standard error, for output."""
        return estimate(*self.ratio())


def estimate(value: float, standard_error: float) -> Estimate:
    """A value with its standard error, for output; each is None where it is not finite."""
    number = _number(value)
    return {"value": number, "standard_error": None if number is None else _number(standard_error)}


def probability(successes: int, n: int, error: float | None = None) -> Probability:
    """Estimate of a probability from ``successes`` among ``n`` independent draws, or with an error of their own.

    Returns
    -------
    Probability
        p = successes / n; its standard error √(p (1 − p) / n), which is 0 at no or all successes; and
        Wilson's 95% interval, which is not empty there. With n = 0 every number is None. With an error
        given, that, and Student's interval on 15 degrees of freedom.

    Raises
    ------
    ValueError
        Unless 0 ≤ successes ≤ n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes among {n} draws")
    if n == 0:
        return {"probability": None, "standard_error": None, "interval": [None, None]}
    p = successes / n
    if error is not None and 0 < successes < n:
        half = _T95 * error
        return {
            "probability": p,
            "standard_error": _number(error),
            "interval": [None, None] if math.isnan(error) else [max(0.0, p - half), min(1.0, p + half)],
        }
    shrink = 1.0 + _Z95 * _Z95 / n
    centre = (p + _Z95 * _Z95 / (2 * n)) / shrink
    half = _Z95 * math.sqrt(p * (1.0 - p) / n + _Z95 * _Z95 / (4.0 * n * n)) / shrink
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return {"probability": p, "standard_error": math.sqrt(p * (1.0 - p) / n), "interval": [low, high]}


def quantile_rank(n: int, q: float) -> int:
    """Rank (from 1) of the order statistic that estimates the ``q`` quantile of ``n`` draws.

    ⌈n q⌉, at least 1: the least attained value that a share q of the draws does not exceed. A product
    that rounding has carried just past an integer is brought back.
    """
    return min(max(math.ceil(n * q - 1e-12 * n), 1), n)


@lru_cache(maxsize=256)
def quantile_interval_ranks(n: int, q: float) -> tuple[int, int]:
    """Ranks (from 1) of the order statistics that hold the ``q`` quantile with 95% confidence.

    With B ~ Binomial(n, q): the low rank is the largest l with P(B < l) ≤ 2.5%, the high rank the
    smallest u with P(B ≥ u) ≤ 2.5%. So each tail is covered separately, whatever the distribution,
    and atoms only raise the coverage. Ranks beyond the sample are clipped to it; where the sample is
    too small (below 72 draws for the 5th and 95th percentiles, 6 for the median) that end is the
    smallest or largest draw, and the coverage is less than 95%.

    The distribution is summed exactly over twelve standard deviations about its mean.
    """
    sd = math.sqrt(n * q * (1.0 - q))
    low = max(0, math.floor(n * q - 12.0 * sd - 12.0))
    high = min(n, math.ceil(n * q + 12.0 * sd + 12.0))
    k = np.arange(low, high, dtype=np.float64)
    logs = np.concatenate(([0.0], np.cumsum(np.log((n - k) / (k + 1.0)) + math.log(q / (1.0 - q)))))
    mass = np.exp(logs - logs.max())
    below = np.cumsum(mass) / mass.sum()
    # below[j] is P(B ≤ low + j).
    first = low + int(np.searchsorted(below, 0.025, side="right"))
    last = low + int(np.searchsorted(below, 0.975, side="left")) + 1
    return min(max(first, 1), n), min(max(last, 1), n)


def _defined(values: Floats) -> int:
    """Count the draws that are not NaN, which is above all others in order."""
    return int(values.size - np.count_nonzero(np.isnan(values)))


def summary(values: Floats, moments: Moments | None = None) -> Summary:
    """Mean, spread and quantiles of draws, each with its error.

    Parameters
    ----------
    values
        Draws, in any order; NaN where undefined.
    moments
        Moments of these draws, or of these and more. By default taken from ``values``, in their order.

    Returns
    -------
    Summary
        ``mean``, ``standard_error`` of the mean, ``sd``; quantiles as attained values (the order
        statistic of rank ⌈n q⌉); ``intervals``, 95% from order statistics, for each quantile;
        ``count``, the draws on which the mean rests; ``quantile_draws`` only where quantiles rest on
        fewer. All in the unit of the values. What is undefined is None: everything without draws, and
        ``standard_error`` and ``sd`` with one.
    """
    if moments is None:
        moments = Moments.of(values)
    n = _defined(values)
    points: dict[str, float | None] = dict.fromkeys(dict(QUANTILES))
    intervals: dict[str, Interval] = {name: [None, None] for name in points}
    if n > 0:
        ranks = {name: (quantile_rank(n, q), *quantile_interval_ranks(n, q)) for name, q in QUANTILES}
        # only the ranks that are read are put in their places: a third of the time that sorting takes
        ordered = np.partition(values, sorted({rank - 1 for each in ranks.values() for rank in each}))
        for name, (rank, low, high) in ranks.items():
            points[name] = _number(ordered[rank - 1])
            intervals[name] = [_number(ordered[low - 1]), _number(ordered[high - 1])]
    result: Summary = {
        "mean": _number(moments.mean) if moments.count else None,
        "standard_error": _number(moments.standard_error),
        "sd": _number(moments.sd),
        "p05": points["p05"],
        "p25": points["p25"],
        "p50": points["p50"],
        "p75": points["p75"],
        "p95": points["p95"],
        "intervals": intervals,
        "count": moments.count,
    }
    if n < moments.count:
        result["quantile_draws"] = n
    return result


def expected_shortfall(values: Floats, level: float = 0.05, *, randomised: bool = False) -> tuple[float, float]:
    """Mean of the worst share ``level`` of draws, the lowest being the worst.

    Parameters
    ----------
    values
        Draws, in any order; NaN where undefined and left out.
    level
        Share of draws, α, in (0, 1].
    randomised
        Whether draws are Sobol points, the first of randomisation 0.

    Returns
    -------
    value : float
        (Σ_{i ≤ m} x_(i) + (nα − m) x_(m+1)) / nα with m = ⌊nα⌋: the draw at the boundary counts with
        the fraction of it that falls within. The lowest draw if nα < 1, NaN without draws.
    standard_error : float
        sd(ψ) / √n with ψ = q + (x − q) 1{x ≤ q} / α, q the α quantile. NaN where the tail holds fewer
        than two draws. Of Sobol points, sd / √16 of the values of each randomisation.
    """
    if not 0.0 < level <= 1.0:
        raise ValueError(f"level {level} is not in (0, 1]")
    if randomised:
        each = [expected_shortfall(values[r::RANDOMISATIONS], level)[0] for r in range(RANDOMISATIONS)]
        error = float(np.std(each, ddof=1)) / math.sqrt(RANDOMISATIONS)
        return expected_shortfall(values, level)[0], error
    n = _defined(values)
    if n == 0:
        return math.nan, math.nan
    rank = quantile_rank(n, level)
    # only the tail is put in order, and NaN is above all: a fifth of the time that sorting everything takes
    worst = np.sort(np.partition(values, rank - 1)[:rank])
    q = float(worst[-1])
    weight = max(n * level, 1.0)
    gaps = q - worst
    shortfall = float(gaps.sum()) / weight
    if rank < 2:
        return q - shortfall, math.nan
    gaps /= level
    mean = float(gaps.sum()) / n
    variance = max(float(np.square(gaps).sum()) - n * mean * mean, 0.0) / (n - 1)
    return q - shortfall, math.sqrt(variance / n)
