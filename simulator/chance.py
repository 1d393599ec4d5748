"""Addressed random numbers, exact quantiles of counts, and the quantile of a gamma law for amounts.

Randomness here is *addressed*, not consumed: a uniform is a pure function of a key (seed, layer,
replicate and path of names), a draw number and an index. Nothing depends on the order of evaluation,
so threads, chunks and added quantities cannot move a number that was already there.

Counts are drawn by inverting their distribution function at one uniform, never by rejection, so that a
small change in a parameter makes a small change in the draw. The quantile functions are
*exact* (the smallest count whose distribution function reaches ``u``; only a ``u`` within rounding of a
jump, about 1e-14 of the smaller tail, can fall on its other side), which makes them monotone in ``u``
and in the parameters.

How a quantile is found
-----------------------
1. If the law is narrow, its probabilities are summed from zero.
2. Otherwise a Cornish–Fisher expansion through the fifth cumulant (Cornish and Fisher 1937; Abramowitz
   and Stegun 26.2.49) approximates the real number ``x`` with ``G(x) = u``, where ``G`` is the smooth
   function with ``G(k + 1/2) = P(X <= k)``. By the Euler–Maclaurin formula the cumulants of ``G`` are
   those of the count with Sheppard's corrections, ``k2 - 1/12`` and ``k4 + 1/120``. The answer is
   ``floor(x + 1/2)`` unless that is too close to a jump for the known error of the expansion.
3. There, in the far tails, and for very skewed laws, the distribution function itself decides: the
   saddle-point form of the probability (Loader 2000) times the continued fraction of the incomplete
   beta or gamma function (Didonato and Morris 1992, eq. 9). Both are sums of positive quantities in the
   tail away from the mean, so the smaller tail is found to full *relative* precision.

A gamma quantile has no jumps: from a shape of 20 it is Temme's expansion of the inverse, in closed form and good
to rounding; below, steps of fourth order on the logarithm of the tail, usually one, from that same expansion.

References
----------
Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", SC11 (Philox).
Wichura (1988), "Algorithm AS 241", Applied Statistics 37, 477-484.
Loader (2000), "Fast and accurate computation of binomial probabilities".
Didonato and Morris (1992), "Algorithm 708", ACM TOMS 18, 360-373.
Temme (1992), "Asymptotic inversion of incomplete gamma functions", Mathematics of Computation 58, 755-764.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import inlined, inner, kernel, part

__all__ = [
    "GAUSS_HERMITE_NODES",
    "GAUSS_HERMITE_WEIGHTS",
    "NONE",
    "ONE",
    "TWO",
    "beta_cdf",
    "beta_quantile",
    "binomial_cdf",
    "binomial_quantile",
    "binomial_uniform",
    "gamma_cdf",
    "gamma_quantile",
    "hypergeometric_quantile",
    "key",
    "negative_binomial_cdf",
    "negative_binomial_quantile",
    "normal_cdf",
    "normal_quantile",
    "philox",
    "philox_blocks",
    "poisson_cdf",
    "poisson_quantile",
    "uniform",
    "uniform_of_words",
    "uniforms",
]

# ---------------------------------------------------------------------------------------- addresses

# Every constant is a uint64: numba turns uint64 mixed with a signed literal into a float.
_MASK = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_DROP = np.uint64(12)
_ULP = 2.0**-52

# Steps and indexes of counters, for kernels: numba compiles a function anew for each literal that is passed to it.
NONE: Any = np.int64(0)
ONE: Any = np.int64(1)
TWO: Any = np.int64(2)


def key(seed: int, layer: str, replicate: int, path: Sequence[str]) -> np.uint64:
    """Address of one random quantity, as a 64-bit Philox key.

    Parameters
    ----------
    seed : int
        Any integer, negative or larger than 64 bits included.
    layer : str
        Which kind of uncertainty the quantity belongs to.
    replicate : int
        Replicate of that layer.
    path : sequence of str
        Names leading to the quantity; never positions, so that inserting a sibling moves nothing.

    Returns
    -------
    numpy.uint64
        BLAKE2b (8 bytes, little endian) of the fields, each preceded by its length so that
        ``("ab", "c")`` and ``("a", "bc")`` differ.

    Raises
    ------
    TypeError
        If ``path`` is a bare string: its letters would silently be taken as names.
    """
    if isinstance(path, str):
        raise TypeError("path must be a sequence of names, not one string")
    digest = hashlib.blake2b(digest_size=8)
    for field in (str(int(seed)), layer, str(int(replicate)), str(len(path)), *path):
        encoded = field.encode("utf-8")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return np.uint64(int.from_bytes(digest.digest(), "little"))


@kernel
def philox(
    key: int | np.uint64, c0: int | np.uint64, c1: int | np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Philox4x32-10: four random 32-bit words from a 64-bit key and a 128-bit counter.

    Parameters
    ----------
    key : uint64
        Two 32-bit key words, low word first.
    c0, c1 : uint64
        Counter, low half and high half, each two 32-bit words with the low word first.

    Returns
    -------
    tuple of four uint64
        Words below 2**32, in the order of Random123.
    """
    k = np.uint64(key)
    low = np.uint64(c0)
    high = np.uint64(c1)
    k0 = k & _MASK
    k1 = k >> _WORD
    x0 = low & _MASK
    x1 = low >> _WORD
    x2 = high & _MASK
    x3 = high >> _WORD
    for _ in range(10):
        product_0 = _MULTIPLIER_0 * x0
        product_1 = _MULTIPLIER_1 * x2
        x0 = (product_1 >> _WORD) ^ x1 ^ k0
        x1 = product_1 & _MASK
        x2 = (product_0 >> _WORD) ^ x3 ^ k1
        x3 = product_0 & _MASK
        # The sum of two 32-bit words needs 33 bits: mask, since there is no 32-bit overflow here.
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return x0, x1, x2, x3


@inner
def philox_blocks(
    key: int | np.uint64,
    c0: int | np.uint64,
    c1: int | np.uint64,
    step_0: int,
    step_1: int,
    number: int,
    words: NDArray[np.uint32],
) -> None:
    """Fill the first columns of `words`: the Philox blocks of counters that are a step apart.

    The same words as `philox` at a tenth of the time: in 32-bit words with 64-bit products the compiler works on
    several blocks at once.

    Parameters
    ----------
    key : uint64
        From `key`.
    c0, c1 : uint64
        Counter of the first block, as in `philox`.
    step_0, step_1 : int
        What each following block adds to the two halves, neither carried into the other.
    number : int
        Blocks.
    words : ndarray of uint32, shape (4, number or more)
        Word by word; block i stands in column i.
    """
    k = np.uint64(key)
    low = np.uint64(c0)
    high = np.uint64(c1)
    for i in range(number):
        k0 = k & _MASK
        k1 = k >> _WORD
        x0 = np.uint32(low & _MASK)
        x1 = np.uint32(low >> _WORD)
        x2 = np.uint32(high & _MASK)
        x3 = np.uint32(high >> _WORD)
        for _ in range(10):
            left = _MULTIPLIER_0 * np.uint64(x0)
            right = _MULTIPLIER_1 * np.uint64(x2)
            x0 = np.uint32(right >> _WORD) ^ x1 ^ np.uint32(k0)
            x1 = np.uint32(right & _MASK)
            x2 = np.uint32(left >> _WORD) ^ x3 ^ np.uint32(k1)
            x3 = np.uint32(left & _MASK)
            k0 = (k0 + _WEYL_0) & _MASK
            k1 = (k1 + _WEYL_1) & _MASK
        words[0, i] = x0
        words[1, i] = x1
        words[2, i] = x2
        words[3, i] = x3
        low += np.uint64(step_0)
        high += np.uint64(step_1)


@kernel
def uniform_of_words(w0: int | np.uint32 | np.uint64, w1: int | np.uint32 | np.uint64) -> float:
    """Uniform strictly inside (0, 1) of the first two words of a Philox block; see `uniform`."""
    bits = ((np.uint64(w1) << _WORD) | np.uint64(w0)) >> _DROP
    return (float(bits) + 0.5) * _ULP


@kernel
def uniform(key: int | np.uint64, draw: int, index: int) -> float:
    """Uniform strictly inside (0, 1) at an address.

    Parameters
    ----------
    key : uint64
        From `key`.
    draw, index : int
        Counter: the draw, and the index within the quantity.

    Returns
    -------
    float
        ``(b + 1/2) / 2**52`` for 52 random bits ``b``. With 53 bits the half would be rounded away in
        the upper half of the range and the largest value would become 1; with 52 every value is exact,
        and ``1 - u`` is an exact value of the same set.
    """
    w0, w1, _, _ = philox(key, draw, index)
    return uniform_of_words(w0, w1)


_TILE = 512  # blocks whose words stay near the processor


@kernel
def uniforms(key: int | np.uint64, draws_start: int, n: int, index: int) -> NDArray[np.float64]:
    """Uniforms of consecutive draws: element ``d`` is ``uniform(key, draws_start + d, index)``.

    Parameters
    ----------
    key : uint64
        From `key`.
    draws_start, n : int
        First draw and number of draws.
    index : int
        Index within the quantity.

    Returns
    -------
    ndarray of float64, shape (n,)
        More draws extend fewer.
    """
    out = np.empty(n)
    words = np.empty((4, min(n, _TILE)), np.uint32)
    for start in range(0, n, _TILE):
        number = min(_TILE, n - start)
        philox_blocks(key, draws_start + start, index, ONE, NONE, number, words)
        for i in range(number):
            out[start + i] = uniform_of_words(words[0, i], words[1, i])
    return out


# ------------------------------------------------------------------------------------------- normal

_SQRT_HALF = math.sqrt(0.5)


@kernel
def normal_cdf(x: float) -> float:
    """Distribution function of the standard normal, to full relative precision in the lower tail."""
    return 0.5 * math.erfc(-x * _SQRT_HALF)


@kernel
def normal_quantile(u: float) -> float:
    """Quantile of the standard normal (Wichura 1988, AS 241, PPND16).

    Parameters
    ----------
    u : float
        Probability. 0 and 1 give minus and plus infinity; outside [0, 1], not a number.

    Returns
    -------
    float
        Relative error about 1e-15.
    """
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = 2.5090809287301226727e3
        top = top * r + 3.3430575583588128105e4
        top = top * r + 6.7265770927008700853e4
        top = top * r + 4.5921953931549871457e4
        top = top * r + 1.3731693765509461125e4
        top = top * r + 1.9715909503065514427e3
        top = top * r + 1.3314166789178437745e2
        top = top * r + 3.3871328727963666080e0
        bottom = 5.2264952788528545610e3
        bottom = bottom * r + 2.8729085735721942674e4
        bottom = bottom * r + 3.9307895800092710610e4
        bottom = bottom * r + 2.1213794301586595867e4
        bottom = bottom * r + 5.3941960214247511077e3
        bottom = bottom * r + 6.8718700749205790830e2
        bottom = bottom * r + 4.2313330701600911252e1
        bottom = bottom * r + 1.0
        return q * top / bottom
    tail = u if q < 0.0 else 1.0 - u
    if tail <= 0.0 or math.isnan(tail):
        if tail == 0.0:
            return -math.inf if q < 0.0 else math.inf
        return math.nan
    r = math.sqrt(-math.log(tail))
    if r <= 5.0:
        r -= 1.6
        top = 7.74545014278341407640e-4
        top = top * r + 2.27238449892691845833e-2
        top = top * r + 2.41780725177450611770e-1
        top = top * r + 1.27045825245236838258e0
        top = top * r + 3.64784832476320460504e0
        top = top * r + 5.76949722146069140550e0
        top = top * r + 4.63033784615654529590e0
        top = top * r + 1.42343711074968357734e0
        bottom = 1.05075007164441684324e-9
        bottom = bottom * r + 5.47593808499534494600e-4
        bottom = bottom * r + 1.51986665636164571966e-2
        bottom = bottom * r + 1.48103976427480074590e-1
        bottom = bottom * r + 6.89767334985100004550e-1
        bottom = bottom * r + 1.67638483018380384940e0
        bottom = bottom * r + 2.05319162663775882187e0
        bottom = bottom * r + 1.0
    else:
        r -= 5.0
        top = 2.01033439929228813265e-7
        top = top * r + 2.71155556874348757815e-5
        top = top * r + 1.24266094738807843860e-3
        top = top * r + 2.65321895265761230930e-2
        top = top * r + 2.96560571828504891230e-1
        top = top * r + 1.78482653991729133580e0
        top = top * r + 5.46378491116411436990e0
        top = top * r + 6.65790464350110377720e0
        bottom = 2.04426310338993978564e-15
        bottom = bottom * r + 1.42151175831644588870e-7
        bottom = bottom * r + 1.84631831751005468180e-5
        bottom = bottom * r + 7.86869131145613259100e-4
        bottom = bottom * r + 1.48753612908506148525e-2
        bottom = bottom * r + 1.36929880922735805310e-1
        bottom = bottom * r + 5.99832206555887937690e-1
        bottom = bottom * r + 1.0
    x = top / bottom
    return -x if q < 0.0 else x


_nodes, _weights = np.polynomial.hermite_e.hermegauss(9)
GAUSS_HERMITE_NODES: NDArray[np.float64] = _nodes
"""Nodes of the 9-point Gauss rule for a standard normal, ascending, shape (9,)."""
GAUSS_HERMITE_WEIGHTS: NDArray[np.float64] = _weights / math.sqrt(2.0 * math.pi)
"""Weights of the same rule, adding to 1, shape (9,)."""
GAUSS_HERMITE_NODES.setflags(write=False)
GAUSS_HERMITE_WEIGHTS.setflags(write=False)

# ------------------------------------------------------------------------- probabilities and tails

_BINOMIAL: Any = np.int64(0)  # no literals, see NONE
_POISSON: Any = np.int64(1)
_NEGATIVE_BINOMIAL: Any = np.int64(2)

_TWO_PI = 2.0 * math.pi
_EPSILON = 2.0**-52
_SPLITTER = 134217729.0  # 2**27 + 1, Veltkamp's constant for doubles


@part
def _product_error(x: float, y: float, product: float) -> float:
    """Exact ``x * y - product`` where ``product`` is the rounded product (Dekker 1971)."""
    t = _SPLITTER * x
    x_high = t - (t - x)
    x_low = x - x_high
    t = _SPLITTER * y
    y_high = t - (t - y)
    y_low = y - y_high
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


@part
def _stirling_error(x: float) -> float:
    """``log Gamma(x + 1)`` less Stirling's formula ``(x + 1/2) log x - x + log(2 pi) / 2``, ``x > 0``."""
    correction = 0.0
    # The difference between neighbours is exact to rounding; 16 is where seven terms give 1e-17.
    while x < 16.0:
        correction += (x + 0.5) * math.log1p(1.0 / x) - 1.0
        x += 1.0
    y = 1.0 / (x * x)
    series = -691.0 / 360360.0 + y / 156.0
    series = 1.0 / 1188.0 + y * series
    series = -1.0 / 1680.0 + y * series
    series = 1.0 / 1260.0 + y * series
    series = -1.0 / 360.0 + y * series
    series = 1.0 / 12.0 + y * series
    return correction + series / x


@part
def _deviance(d: float, mean: float) -> float:
    """``x log(x / mean) - d`` for ``x = mean + d``, without cancellation when ``d`` is small."""
    x = mean + d
    if x <= 0.0:
        return -d
    if abs(d) < 0.1 * (x + mean):
        # log(x / mean) = 2 artanh(v); the leading term 2 x v - d is d v exactly.
        v = d / (x + mean)
        square = v * v
        term = 2.0 * x * v * square
        total = d * v
        j = 3.0
        while True:
            new = total + term / j
            if new == total:
                return total
            total = new
            term *= square
            j += 2.0
    return x * math.log(x / mean) - d


@part
def _beta_fraction(a: float, b: float, x: float, y: float, excess: float) -> float:
    """Incomplete beta function over ``x**a y**b / B(a, b)`` (Didonato and Morris 1992, eq. 9).

    ``y = 1 - x``, and ``excess = a - (a + b) x``, given because the caller knows it without
    cancellation; it must not be negative, for there the fraction converges slowly.
    """
    b_n = a * (excess + 1.0) / (a + 1.0)
    value = b_n
    c = b_n
    d = 0.0
    n = 0.0
    for _ in range(1_000_000):
        n += 1.0
        odd = a + 2.0 * n - 1.0
        a_n = ((a + n - 1.0) / odd) * ((a + b + n - 1.0) / odd) * n * (b - n) * x * x
        b_n = n + n * (b - n) * x / odd + (a + n) * (excess + 1.0 + n * (1.0 + y)) / (odd + 2.0)
        d = 1.0 / (b_n + a_n * d)
        c = b_n + a_n / c
        delta = c * d
        value *= delta
        if abs(delta - 1.0) <= _EPSILON:
            break
    return 1.0 / value


@part
def _gamma_fraction(a: float, x: float, excess: float, upper: bool) -> float:
    """Incomplete gamma function over ``x**a exp(-x) / Gamma(a)``: the limits of `_beta_fraction`.

    With ``upper`` the regularised Q(a, x) and ``excess = x - a`` (Legendre's fraction); otherwise
    P(a, x) and ``excess = a - x``.
    """
    b_n = excess + 1.0 if upper else a * (excess + 1.0) / (a + 1.0)
    value = b_n
    c = b_n
    d = 0.0
    n = 0.0
    for _ in range(1_000_000):
        n += 1.0
        if upper:
            a_n = n * (a - n)
            b_n = excess + 1.0 + 2.0 * n
        else:
            odd = a + 2.0 * n - 1.0
            a_n = ((a + n - 1.0) / odd) * (x / odd) * n * x
            b_n = n + n * x / odd + (a + n) * (excess + 1.0 + 2.0 * n) / (odd + 2.0)
        d = 1.0 / (b_n + a_n * d)
        c = b_n + a_n / c
        delta = c * d
        value *= delta
        if abs(delta - 1.0) <= _EPSILON:
            break
    return 1.0 / value


@kernel
def _tail(law: int, k: float, size: float, parameter: float) -> tuple[bool, float, float]:
    """Tail of a count law on the side of ``k`` away from the mean.

    Parameters
    ----------
    law : int
        ``_BINOMIAL`` (size n, parameter p in (0, 1)), ``_POISSON`` (parameter mean) or
        ``_NEGATIVE_BINOMIAL`` (size r, parameter mean).
    k : float
        Whole number, ``0 <= k`` (and ``k < n`` for the binomial).
    size, parameter : float
        As above.

    Returns
    -------
    lower : bool
        Whether the value is ``P(X <= k)``; otherwise it is ``P(X > k)``.
    value : float
        The tail, to nearly full relative precision.
    probability : float
        ``P(X = k)``.
    """
    if law == _POISSON:
        mean = parameter
        d = k - mean
        if k == 0.0:
            probability = math.exp(-mean)
        else:
            probability = math.exp(-_stirling_error(k) - _deviance(d, mean)) / math.sqrt(_TWO_PI * k)
        lower = d + 1.0 < 0.0
        if lower:
            return True, probability * mean * _gamma_fraction(k + 1.0, mean, -d - 1.0, True), probability
        return False, probability * mean * _gamma_fraction(k + 1.0, mean, d + 1.0, False), probability
    if law == _BINOMIAL:
        p = parameter
        q = 1.0 - p
        mean = size * p
        # The rounding of n p alone would move the tail by 1e-12 at n = 1e9, so keep what it dropped.
        # The failures' mean needs it more: with p near 1 it is small next to that rounding.
        dropped = _product_error(size, p, mean)
        d = (k - mean) - dropped
        other = size - k
        if k == 0.0:
            probability = math.exp(size * math.log1p(-p))
        else:
            probability = math.exp(
                _stirling_error(size)
                - _stirling_error(k)
                - _stirling_error(other)
                - _deviance(d, mean)
                - _deviance(-d, (size - mean) - dropped)
            ) * math.sqrt(size / (_TWO_PI * k * other))
        scale = probability * p * other
    else:
        # A binomial probability of r successes in r + k trials, times r / (r + k).
        mean = parameter
        total = size + mean
        p = mean / total
        q = size / total
        trials = size + k
        other = size
        d = (k - mean) * q
        if k == 0.0:
            probability = math.exp(-size * math.log1p(mean / size))
        else:
            probability = math.exp(
                _stirling_error(trials)
                - _stirling_error(k)
                - _stirling_error(size)
                - _deviance(d, trials * p)
                - _deviance(-d, trials * q)
            ) * math.sqrt(size / (_TWO_PI * k * trials))
        scale = probability * p * trials
    if d + q < 0.0:
        return True, scale * _beta_fraction(other, k + 1.0, q, p, -d - q), probability
    return False, scale * _beta_fraction(k + 1.0, other, p, q, d + q), probability


@kernel
def binomial_cdf(k: int, n: int, p: float) -> float:
    """``P(X <= k)`` for X binomial with ``n`` trials of probability ``p``."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0.0:
        return 1.0
    if p >= 1.0:
        return 0.0
    lower, value, _ = _tail(_BINOMIAL, float(k), float(n), p)
    return value if lower else 1.0 - value


@kernel
def poisson_cdf(k: int, mean: float) -> float:
    """``P(X <= k)`` for X Poisson."""
    if k < 0:
        return 0.0
    if mean <= 0.0:
        return 1.0
    lower, value, _ = _tail(_POISSON, float(k), 0.0, mean)
    return value if lower else 1.0 - value


@kernel
def negative_binomial_cdf(k: int, size: float, mean: float) -> float:
    """``P(X <= k)`` for X negative binomial with variance ``mean + mean**2 / size``."""
    if k < 0:
        return 0.0
    if mean <= 0.0:
        return 1.0
    if math.isinf(size):
        return poisson_cdf(k, mean)
    lower, value, _ = _tail(_NEGATIVE_BINOMIAL, float(k), size, mean)
    return value if lower else 1.0 - value


# ---------------------------------------------------------------------------------------- quantiles


# Tails beyond this and narrow laws do not use the expansion: it was measured between these only.
_TAIL = 1e-5
_NARROW = 12.0
_SHORT = 60.0
_WALK = 40.0  # steps of one that cost about as much as one tail
_BELOW_ONE = 1.0 - 2.0**-53
_LARGEST = 1e15  # beyond this neighbouring counts are too few units of a float apart


@part
def _reaches(u: float, law: int, k: float, size: float, parameter: float) -> bool:
    """Whether ``P(X <= k) >= u``. The side is chosen by ``k``, so for one ``k`` it is monotone in u."""
    lower, value, _ = _tail(law, k, size, parameter)
    return value >= u if lower else value <= 1.0 - u


@part
def _ratio(law: int, k: float, size: float, parameter: float) -> float:
    """``P(X = k + 1) / P(X = k)``."""
    if law == _POISSON:
        return parameter / (k + 1.0)
    if law == _BINOMIAL:
        return (size - k) / (k + 1.0) * (parameter / (1.0 - parameter))
    return (size + k) / (k + 1.0) * (parameter / (size + parameter))


@part
def _search(u: float, law: int, size: float, parameter: float, start: float, top: float) -> int:
    """Smallest ``k`` whose distribution function reaches ``u``, by exact tails.

    Newton steps, kept within the counts known to reach and not to reach ``u``, until the answer is a few
    counts away; then single steps that add or subtract one probability each. A step that leaves the sum
    within rounding of ``u`` is decided by the tail itself, so that the answer does not depend on where
    the walk began.

    Parameters
    ----------
    u, law, size, parameter
        As in `_tail`, with u in (0, 1).
    start : float
        A whole number to begin with.
    top : float
        A count known to reach ``u``: the number of trials, or infinity.

    Raises
    ------
    ValueError
        If an argument is not a number or the law is too wide for counts held in a float.
    """
    # Every call with a NaN ends here, because no comparison on the fast paths accepts one.
    if not (0.0 < u < 1.0 and 0.0 < parameter < _LARGEST and size >= 0.0 and start < _LARGEST):
        raise ValueError("a quantile needs a probability, a mean and a size that are numbers below 1e15")
    no = -1.0
    yes = top
    k = start
    reach = 4.0 + k
    turns = 0
    while yes - no > 1.0:
        k = min(max(k, no + 1.0), yes - 1.0)
        lower, value, probability = _tail(law, k, size, parameter)
        target = u if lower else 1.0 - u
        if (value >= target) == lower or value == target:
            yes = k
        else:
            no = k
        gap = abs(value - target)
        if gap < _WALK * probability:
            doubt = 1e-12 * max(value, target)
            if yes == k:
                while k > no + 1.0:
                    value += -probability if lower else probability
                    probability /= _ratio(law, k - 1.0, size, parameter)
                    k -= 1.0
                    if abs(value - target) <= doubt:
                        reached = _reaches(u, law, k, size, parameter)
                    else:
                        reached = (value > target) == lower
                    if not reached:
                        return int(k + 1.0)
                    yes = k
            else:
                steps = 0.0
                while k < yes - 1.0 and steps < 4.0 * _WALK:
                    probability *= _ratio(law, k, size, parameter)
                    value += probability if lower else -probability
                    k += 1.0
                    steps += 1.0
                    if abs(value - target) <= doubt:
                        reached = _reaches(u, law, k, size, parameter)
                    else:
                        reached = (value > target) == lower
                    if reached:
                        return int(k)
                    no = k
            continue
        turns += 1
        if turns > 16 and yes < math.inf:
            k = math.floor(0.5 * (no + yes))
            continue
        # Newton on the logarithm of the tail, nearly straight far from the mean.
        if value > 0.0 and probability > 0.0:
            step = math.log(target / value) * (value / probability)
        else:
            step = math.inf
        if not lower:
            step = -step
        if lower and law == _NEGATIVE_BINOMIAL and size < 20.0 and abs(step) < 1e3 * (k + 1.0):
            # The lower tail of a skewed law is close to a power of k.
            step = (k + 1.0) * math.expm1(min(step / (k + 1.0), 3.0))
        k += math.ceil(min(max(step, -reach), reach))
        reach *= 4.0
    return int(yes)


@kernel
def _expansion(z: float, mean: float, variance: float, slope: float) -> float:
    """Cornish–Fisher expansion through the fifth cumulant, plus the half of the continuity correction.

    Binomial, Poisson and negative binomial laws have ``k3 = v s``, ``k4 = v (3 s**2 - 1) / 2`` and
    ``k5 = v s (3 s**2 - 2)``, where ``v`` is the variance and the slope ``s`` is ``1 - 2 p``, 1, and
    ``1 + 2 mean / size`` (from ``k[j+1] = theta d k[j] / d theta`` in a power series family).
    """
    square = slope * slope
    v = variance - 1.0 / 12.0
    sd = math.sqrt(v)
    inverse = 1.0 / v  # one division: each costs as much as all of a line below
    scale = variance * inverse
    l3 = scale * slope * (sd * inverse)
    l4 = (0.5 * variance * (3.0 * square - 1.0) + 1.0 / 120.0) * (inverse * inverse)
    l5 = scale * slope * (3.0 * square - 2.0) * (sd * inverse * inverse)
    s = z * z
    w = z + l3 * (s - 1.0) * (1.0 / 6.0)
    w += z * (l4 * (s - 3.0) * (1.0 / 24.0) - l3 * l3 * (2.0 * s - 5.0) * (1.0 / 36.0))
    w += l5 * ((s - 6.0) * s + 3.0) * (1.0 / 120.0)
    w += l3 * (l3 * l3 * ((12.0 * s - 53.0) * s + 17.0) * (1.0 / 324.0) - l4 * ((s - 5.0) * s + 2.0) * (1.0 / 24.0))
    return mean + sd * w + 0.5


@kernel
def _tolerance(z: float, mean: float, variance: float, slope: float) -> float:
    """Twice the largest error of `_expansion`, for tails of 1e-5 and variances of 12 or more.

    The first term left out is of order ``sd**-3`` times a quartic in the slope. Measured against the
    exact tails at every jump of laws with slopes from 0 to 100 and variances from 12 to 10,000, the
    error was below ``(1 + slope**4 / 20) (0.02 + 0.015 z**4) / sd**3``. The rest is for rounding.
    """
    sd = math.sqrt(variance)
    fourth = z * z * z * z
    series = (1.0 + 0.05 * slope * slope * slope * slope) * (0.04 + 0.03 * fourth) / (variance * sd)
    return series + 1e-9 + 1e-15 * (mean + 20.0 * sd)


@part
def _decide(
    u: float, law: int, size: float, parameter: float, mean: float, variance: float, slope: float, top: float
) -> int:
    """Quantile of a law that is not narrow: the expansion, or the search where it is not sure."""
    z = normal_quantile(u)
    x = _expansion(z, mean, variance, slope)
    if _TAIL < u < 1.0 - _TAIL:
        tolerance = _tolerance(z, mean, variance, slope)
        if tolerance < 0.25:
            nearest = math.floor(x + 0.5)
            if abs(x - nearest) > tolerance and 0.0 <= x < top + 1.0:
                return math.floor(x)
            x = nearest - 1.0  # the jump in question
    return _search(u, law, size, parameter, math.floor(min(max(x, 0.0), top)), top)


_RECIPROCALS = 1.0 / np.maximum(1.0, np.arange(65.0))
_FACTORS = 32


@inlined
def _none_of(n: int, p: float, q: float) -> float:
    """``q**n``, with ``q = 1 - p``."""
    if n > _FACTORS:
        return math.exp(n * math.log1p(-p))
    term = 1.0  # so few factors are as exact as the exponential of a logarithm, and cost a tenth
    while n > 0:
        if n & 1:
            term *= q
        q *= q
        n >>= 1
    return term


@kernel
def _binomial_from_zero(u: float, n: int, p: float, q: float, beyond: bool) -> int:
    """Smallest ``k`` whose distribution function reaches ``u``, or with `beyond` goes beyond it, adding up from zero.

    For ``p <= 1/2``, ``q = 1 - p`` and so small a variance that the sum is there before 64 terms.
    """
    term = _none_of(n, p, q)
    odds = p / q
    total = term
    k = 0
    while (total < u or (beyond and total == u)) and k < n:
        k += 1
        term *= odds * (n + 1 - k) * _RECIPROCALS[k]
        total += term
    return k


@kernel
def binomial_quantile(u: float, n: int, p: float) -> int:
    """Smallest ``k`` with ``P(X <= k) >= u``, X binomial.

    Parameters
    ----------
    u : float
        Probability in (0, 1).
    n : int
        Trials; none or fewer give 0.
    p : float
        Probability of success; 0 or less gives 0, 1 or more gives ``n``.

    Returns
    -------
    int
        Exact; nondecreasing in ``u``, ``n`` and ``p``.

    Raises
    ------
    ValueError
        If ``u`` or ``p`` is not a number.
    """
    if n <= 0 or p <= 0.0:
        return 0
    if p >= 1.0 or u >= 1.0:
        return n
    if u <= 0.0:
        return 0
    q = 1.0 - p
    size = float(n)
    variance = size * p * q
    if variance < _NARROW:
        if _TAIL < u < 1.0 - _TAIL:
            if p <= 0.5:
                return _binomial_from_zero(u, n, p, q, False)
            # Failures are the rare ones: count them from zero. The largest number j of failures with
            # P(failures >= j) >= u, which is the smallest with P(failures <= j) > 1 - u.
            return n - _binomial_from_zero(1.0 - u, n, q, p, True)
        return _search(u, _BINOMIAL, size, p, math.floor(size * p + 0.5), size)
    return _decide(u, _BINOMIAL, size, p, size * p, variance, q - p, size)


@kernel
def binomial_uniform(w: float, k: int, n: int, p: float) -> float:
    """Uniform whose binomial quantile is ``k``: so far up the jump of the distribution function there as ``w`` says.

    Parameters
    ----------
    w : float
        Share in (0, 1); if it is uniform and ``k`` binomial, so is what is returned.
    k, n, p
        As in `binomial_cdf`, ``0 <= k <= n`` and ``0 <= p <= 1``.
    """
    q = 1.0 - p
    if n * p * q >= _NARROW:
        below = binomial_cdf(k - 1, n, p)
        return below + w * (binomial_cdf(k, n, p) - below)
    if p > 0.5:
        return max(0.0, 1.0 - _up_the_jump(1.0 - w, n - k, n, q, p))
    return min(_up_the_jump(w, k, n, p, q), 1.0)


@inlined
def _up_the_jump(w: float, k: int, n: int, p: float, q: float) -> float:
    """``P(X < k) + w P(X = k)``, added up from zero; for the laws of `_binomial_from_zero`."""
    term = _none_of(n, p, q)
    below = 0.0
    odds = p / q
    for i in range(k):
        below += term
        term *= odds * (n - i) / (i + 1)
    return below + w * term


@kernel
def poisson_quantile(u: float, mean: float) -> int:
    """Smallest ``k`` with ``P(X <= k) >= u``, X Poisson.

    Parameters
    ----------
    u : float
        Probability in (0, 1).
    mean : float
        Mean; 0 or less gives 0.

    Returns
    -------
    int
        Exact; nondecreasing in ``u`` and ``mean``. There is no largest count: 1 or more is taken as the
        largest float below 1.

    Raises
    ------
    ValueError
        If ``u`` or ``mean`` is not a number, or ``mean`` is 1e15 or more.
    """
    if mean <= 0.0 or u <= 0.0:
        return 0
    if u >= 1.0:
        u = _BELOW_ONE
    if mean < _NARROW:
        if u < 1.0 - _TAIL:
            term = math.exp(-mean)
            total = term
            k = 0
            while total < u:
                k += 1
                term *= mean / k
                total += term
            return k
        return _search(u, _POISSON, 0.0, mean, math.floor(mean + 0.5), math.inf)
    return _decide(u, _POISSON, 0.0, mean, mean, mean, 1.0, math.inf)


@kernel
def negative_binomial_quantile(u: float, size: float, mean: float) -> int:
    """Smallest ``k`` with ``P(X <= k) >= u``, X negative binomial.

    Parameters
    ----------
    u : float
        Probability in (0, 1).
    size : float
        Dispersion, positive; the variance is ``mean + mean**2 / size`` and infinity gives a Poisson.
    mean : float
        Mean; 0 or less gives 0.

    Returns
    -------
    int
        Exact; nondecreasing in ``u`` and ``mean``. There is no largest count: 1 or more is taken as the
        largest float below 1.

    Raises
    ------
    ValueError
        If ``size`` is not positive, an argument is not a number, or ``mean`` is 1e15 or more.
    """
    if not size > 0.0:
        raise ValueError("the size of a negative binomial law must be one of the positive numbers")
    if mean <= 0.0 or u <= 0.0:
        return 0
    if math.isinf(size):
        return poisson_quantile(u, mean)
    if u >= 1.0:
        u = _BELOW_ONE
    ratio = mean / size
    variance = mean * (1.0 + ratio)
    slope = 1.0 + 2.0 * ratio
    # Where a law of small mean is too skewed for the expansion, summing costs less than searching.
    skewed = slope * slope * slope * slope > 20.0 * variance * math.sqrt(variance)
    if variance < _NARROW or (skewed and mean < _SHORT):
        if u < 1.0 - _TAIL:
            odds = mean / (size + mean)
            term = math.exp(-size * math.log1p(ratio))
            total = term
            k = 0
            while total < u:
                term *= odds * (size + k) / (k + 1)
                total += term
                k += 1
            return k
        return _search(u, _NEGATIVE_BINOMIAL, size, mean, math.floor(mean + 0.5), math.inf)
    return _decide(u, _NEGATIVE_BINOMIAL, size, mean, mean, variance, slope, math.inf)


@kernel
def hypergeometric_quantile(u: float, n: int, marked: int, people: int) -> int:
    """Smallest ``k`` with ``P(X <= k) >= u``, X the number of marked among ``n`` of ``people``.

    Parameters
    ----------
    u : float
        Probability in (0, 1).
    n, marked, people : int
        Neither of the first two is more than the third, which is at most 1,000: the probabilities are summed from
        the smallest count, and that of it must not underflow.

    Returns
    -------
    int
        Nondecreasing in ``u`` and ``marked``.
    """
    least = max(0, n + marked - people)
    if least > 0:  # so many are marked that it is easier to count those neither marked nor among the n
        n, marked = people - n, people - marked
    if n > marked:
        n, marked = marked, n
    term = 1.0
    for i in range(n):
        term *= (people - marked - i) / (people - i)
    total = term
    k = 0
    while total < u and k < n:
        term *= (marked - k) * (n - k) / ((k + 1) * (people - marked - n + k + 1))
        total += term
        k += 1
    return least + k


# -------------------------------------------------------------------------------------------- gamma

# A gamma law of shape a at x = a L has L - 1 - log L = e**2 / 2, where e has the sign of L - 1. Temme (1992): if z
# is the normal quantile of its distribution function there, e = e0 + sum of E_k(e0) / a**k with e0 = z / sqrt(a).
# L and the E_k are power series, here economised to polynomials good to 1e-16 of the quantile for |e| up to _EXPANDED
# and shapes from _LARGE, where the ninth term, left out, is below 4e-15 and nearly always far below.
_EXPANDED = 1.25
_LARGE = 20.0
# fmt: off
# (L - 1 - e) / e**2, ascending powers of e
_LAMBDA = np.array([
    0.3333333333333333, 0.02777777777777745, -0.003703703703703529, 0.00023148148149309912,
    5.87889476716366e-05, -2.5536449267494444e-05, 4.8990790376340595e-06, -2.4282705307367203e-07,
    -1.854065255905871e-07, 7.542324875642889e-08, -1.4720849446760229e-08, 5.180174927992704e-10,
    7.318222086985669e-10, -2.938658787072211e-10, 5.822131581924348e-11, -6.760232315396806e-13,
    -3.794176555194688e-12, 1.107216535666873e-12, -9.586064794319845e-14,
])
# E_1 to E_8, one row for each power of e0, ascending
_EPSILONS = np.array([
    [-0.3333333333333333, -0.01728395061728395, 0.004399372917891437, 0.0017364513341874134,
     -0.0008240073353843196, -0.0006422047308226539, 0.0005116722749483351, 0.0005649928980087936],
    [0.0277777777777928, -0.002700617283737028, -0.0030077827416256607, -6.364432096003247e-05,
     0.0008212875654296962, 3.420396992634237e-05, -0.0006011892056215524, -2.9728867647130497e-05],
    [0.0006172839506044563, 0.0026112090926391305, 0.0007956376461996213, -0.000458081105424579,
     -0.0003422834008487249, 0.0002567159840013688, 0.00029132598944981526, -0.0003163385319949853],
    [-0.0010802469140379742, -0.0007520766717008027, 6.554678537675109e-05, 0.0002971975020430776,
     1.4497488233126078e-05, -0.00020633085964738722, -1.4763045893838249e-05, 0.0003201435528594208],
    [0.0002755731926334352, 6.229995585853369e-05, -0.00014083669178114572, -8.701549092408081e-05,
     6.734528978177728e-05, 7.768087721268395e-05, -7.882305250816862e-05, -0.00012323410100392],
    [-2.874125928966864e-05, 4.055297872455331e-05, 5.835630774607937e-05, -6.077805776778277e-07,
     -4.357313421844469e-05, -3.5962614586657263e-06, 6.569862606484185e-05, -4.3088709331594084e-05],
    [-6.185090719346221e-06, -2.1264644772376558e-05, -1.0458081629554968e-05, 1.3159389080821022e-05,
     1.360906528131545e-05, -1.600982091718472e-05, -2.137297676476619e-05, 3.737238278326518e-05],
    [3.776357776732197e-06, 4.963003387283559e-06, -1.762178324740318e-06, -6.626617664626111e-06,
     -4.46295297478002e-07, 9.536334857592787e-06, -6.173221132748051e-06, 0.0],
    [-9.120370341389177e-07, -1.762163118174931e-07, 1.916374308379512e-06, 1.6214664738889726e-06,
     -2.1787894245272593e-06, -8.61709349306525e-07, 4.785117887612191e-06, 0.0],
    [7.738601246422029e-08, -3.453647550492244e-07, -6.746158525779092e-07, 4.4953803921231306e-08,
     1.1309772833328386e-06, -6.416567783740579e-07, 0.0, 0.0],
    [3.237031146466322e-08, 1.5230147479347363e-07, 1.0098731635157369e-07, -2.549919464466316e-07,
     -8.065771545248666e-08, 0.0, 0.0, 0.0],
    [-1.6891197588210134e-08, -3.2639635609525074e-08, 3.001586455154855e-08, 1.0663973684096892e-07,
     -6.660966249818881e-08, 0.0, 0.0, 0.0],
    [3.967123105084919e-09, 3.198301998557192e-10, -2.2495938244361288e-08, -2.9648620348208448e-09,
     0.0, 0.0, 0.0, 0.0],
    [-2.626573071346391e-10, 2.9862106656236116e-09, 3.90983439032743e-09, -6.495755446755504e-09,
     0.0, 0.0, 0.0, 0.0],
    [-1.9360517463365037e-10, -1.1524214480842099e-09, 2.947825225285363e-10, 0.0,
     0.0, 0.0, 0.0, 0.0],
    [7.969604843651684e-11, 6.172478595263093e-11, 0.0, 0.0,
     0.0, 0.0, 0.0, 0.0],
    [-1.0850019046492702e-11, 4.523956800302865e-11, 0.0, 0.0,
     0.0, 0.0, 0.0, 0.0],
])
# fmt: on
_NO_SERIES = 60.0


@part
def _shift(eta: float, a: float) -> float:
    """Sum of the terms of Temme's expansion after the first, at ``e0 = eta``."""
    s = 1.0 / a
    square = s * s
    fourth = square * square
    total = 0.0
    for j in range(_EPSILONS.shape[0] - 1, -1, -1):
        c = _EPSILONS[j]
        first = (c[0] + c[1] * s) + (c[2] + c[3] * s) * square
        last = (c[4] + c[5] * s) + (c[6] + c[7] * s) * square
        total = total * eta + (first + last * fourth)
    return total * s


@part
def _temme(eta: float, a: float) -> float:
    """Gamma quantile at the normal quantile ``eta sqrt(a)``: Temme's expansion."""
    e = eta + _shift(eta, a)
    square = e * e
    even = _LAMBDA[18]
    odd = 0.0
    for j in range(16, -1, -2):
        even = even * square + _LAMBDA[j]
        odd = odd * square + _LAMBDA[j + 1]
    return a + a * (e + square * (even + odd * e))


@kernel
def _gamma_tail(a: float, x: float) -> tuple[bool, float, float]:
    """Tail of a gamma law at ``x > 0``: whether it is the lower one, its value, and ``x`` times the density."""
    if a < _LARGE:
        weight = math.exp(a * math.log(x) - x - math.lgamma(a))
    else:
        weight = a * math.exp(-_stirling_error(a) - _deviance(a - x, x)) / math.sqrt(_TWO_PI * a)
    if x >= a + 1.0 or (a >= _NO_SERIES and x > a):
        return False, weight * _gamma_fraction(a, x, x - a, True), weight
    if a >= _NO_SERIES:
        return True, weight * _gamma_fraction(a, x, a - x, False), weight
    # Here a series of positive terms costs less than the fraction; the tail is not close to 1.
    term = 1.0 / a
    total = term
    n = a
    while term > 1e-17 * total:
        n += 1.0
        term *= x / n
        total += term
    return True, weight * total, weight


@kernel
def gamma_cdf(x: float, shape: float) -> float:
    """``P(X <= x)`` for X gamma of scale 1; a shape of 0 is all at 0."""
    if x <= 0.0:
        return 1.0 if x == 0.0 and shape <= 0.0 else 0.0
    if shape <= 0.0 or math.isinf(x):
        return 1.0
    if shape >= _LARGE:
        eta = math.copysign(math.sqrt(max(0.0, 2.0 * _deviance(shape - x, x) / shape)), x - shape)
        if abs(eta) <= _EXPANDED - 0.05:
            # The shift is nearly flat: each turn gains nearly three digits.
            start = eta
            for _ in range(7):
                start = eta - _shift(start, shape)
            return normal_cdf(start * math.sqrt(shape))
    lower, value, _ = _gamma_tail(shape, x)
    return value if lower else 1.0 - value


@part
def _gamma_start(u: float, a: float, z: float, eta: float) -> float:
    """Where to begin the search for a gamma quantile."""
    if a >= 1.0 and abs(eta) <= 1.4 * _EXPANDED:
        return _temme(eta, a)
    if a >= 1.0 and z > 0.0:
        w = 1.0 - 1.0 / (9.0 * a) + z / (3.0 * math.sqrt(a))  # Wilson and Hilferty 1931
        return a * w * w * w
    # The distribution function is less than x**a / Gamma(a + 1), so this is below the quantile, and near if small.
    x = math.exp((math.log(u) + math.lgamma(a + 1.0)) / a)
    if x < 0.5:
        return x * (1.0 + x / (a + 1.0))
    return x if a >= 1.0 else max(0.5, -math.log((1.0 - u) * math.gamma(a)))


@kernel
def gamma_quantile(u: float, shape: float) -> float:
    """Quantile of a gamma law of scale 1, for amounts: one uniform, whatever the shape.

    Parameters
    ----------
    u : float
        Probability in (0, 1); 0 or less gives 0, and 1 or more is taken as the largest float below 1.
    shape : float
        Shape, which is the mean and the variance; 0 or less gives 0. A sum of n laws of shape a has shape n a.

    Returns
    -------
    float
        Relative error below 1e-14 from a shape of 1, below 1e-13 from 0.05. Nondecreasing in ``u`` and ``shape``
        but for that error, where neighbouring floats are too close to tell apart.

    Raises
    ------
    ValueError
        If an argument is not a number, or ``shape`` is 1e15 or more.
    """
    if shape <= 0.0 or u <= 0.0:
        return 0.0
    if u >= 1.0:
        u = _BELOW_ONE
    if not (u > 0.0 and shape < _LARGEST):
        raise ValueError("a quantile needs a probability and a shape that are numbers below 1e15")
    z = normal_quantile(u)
    eta = z / math.sqrt(shape)
    if shape >= _LARGE and abs(eta) <= _EXPANDED:
        return _temme(eta, shape)
    x = _gamma_start(u, shape, z, eta)
    if x < 1e-300:
        return x
    low = 0.0
    high = math.inf
    for _ in range(200):
        # Householder's third-order step for the logarithm of the tail as a function of log x, straight in far tails.
        lower, value, weight = _gamma_tail(shape, x)
        slope = weight / value
        if lower:
            gap = math.log(value / u)
            bend = shape - x - slope
            change = -x - slope * bend
        else:
            gap = -math.log(value / (1.0 - u))
            bend = shape - x + slope
            change = -x + slope * bend
        if gap < 0.0:
            low = x
        else:
            high = x
        newton = gap / slope
        third = (bend * bend + change) / 6.0
        step = -newton * (1.0 - 0.5 * newton * bend) / (1.0 - newton * (bend - newton * third))
        x *= math.exp(step)
        if not low <= x <= high:
            if low == 0.0:
                x = 0.5 * high
            else:
                x = 2.0 * low if math.isinf(high) else math.sqrt(low * high)
        elif abs(step) * math.sqrt(1.0 + shape) < 2e-4:
            break  # the error left is of the order of its fourth power
    return x


# ------------------------------------------------------------------------------------------- beta


@part
def _beta_tail(a: float, b: float, x: float, y: float) -> tuple[bool, float, float]:
    """Tail of a beta law on the side of ``x`` away from the mean, and the slope of it in the logit of ``x``.

    ``y = 1 - x``, given because the caller knows it without cancellation.
    """
    total = a + b
    excess = a * y - b * x
    weight = math.exp(
        _stirling_error(total)
        - _stirling_error(a)
        - _stirling_error(b)
        - _deviance(excess, total * x)
        - _deviance(-excess, total * y)
    ) * math.sqrt(a * b / (_TWO_PI * total))
    if excess >= 0.0:
        return True, weight * _beta_fraction(a, b, x, y, excess), weight
    return False, weight * _beta_fraction(b, a, y, x, -excess), weight


@part
def beta_cdf(x: float, a: float, b: float) -> float:
    """``P(X <= x)`` for X beta with positive shapes ``a`` and ``b``."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    lower, value, _ = _beta_tail(a, b, x, 1.0 - x)
    return value if lower else 1.0 - value


@part
def beta_quantile(u: float, mean: float, icc: float) -> float:
    """Quantile of a beta law of given mean, for a chance that varies from group to group: one uniform.

    Parameters
    ----------
    u : float
        Probability in (0, 1).
    mean : float
        Mean; 0 and 1, and what is beyond, are returned as they are.
    icc : float
        Intraclass correlation: the variance is ``icc mean (1 - mean)``, and the shapes are ``mean (1 - icc) / icc`` and
        ``(1 - mean) (1 - icc) / icc``. 0 or less gives the mean, 1 or more 0 or 1.

    Returns
    -------
    float
        Relative error of the tail below 1e-12 for shapes from 1e-3 to 1e6. Nondecreasing in ``u`` and ``mean`` but
        for that error.
    """
    if mean <= 0.0 or mean >= 1.0 or icc <= 0.0:
        return mean
    if icc >= 1.0:
        return 1.0 if u > 1.0 - mean else 0.0
    shapes = (1.0 - icc) / icc
    a, b = mean * shapes, (1.0 - mean) * shapes
    low, high = -700.0, 700.0
    t = math.log(a / b) + normal_quantile(u) * math.sqrt((a + b + 1.0) / ((a + 0.5) * (b + 0.5)))
    t = min(max(t, -600.0), 600.0)
    for _ in range(200):
        x = 1.0 / (1.0 + math.exp(-t))
        y = 1.0 / (1.0 + math.exp(t))
        lower, value, slope = _beta_tail(a, b, x, y)
        # Newton on the logarithm of the tail, which is nearly straight where the tail is thin.
        gap = math.log(value / u) if lower else math.log((1.0 - u) / value)
        if gap < 0.0:
            low = t
        else:
            high = t
        step = -gap * value / slope if slope > 0.0 else math.inf
        moved = t + step
        if not low < moved < high:
            moved = 0.5 * (low + high)
        if abs(moved - t) <= 1e-14 * max(1.0, abs(t)):
            t = moved
            break
        t = moved
    return 1.0 / (1.0 + math.exp(-t))
