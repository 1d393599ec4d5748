"""Sobol points: uniforms that fill the unit cube more evenly than independent ones, and still say how wrong they are.

Draw i belongs to randomisation i mod 16 and is point i div 16 of it. Each randomisation scrambles the same sequence on
its own, so that its mean is unbiased and the sixteen means are independent: their spread is an honest standard error,
and more draws extend fewer. Dimensions are scrambled by the address of what they draw.

The sequence is Sobol's with the direction numbers of Joe and Kuo. A scramble permutes the bits of a number so that what
a bit becomes depends on those above it alone (Owen's nested scrambling); it is computed as a hash on the reversed bits,
in which every step carries upward only, and followed by a random shift of all bits, so that each number is uniform
whatever the hash.

References
----------
Sobol (1967), "On the distribution of points in a cube", USSR Comp. Math. and Math. Phys. 7, 86-112.
Joe and Kuo (2008), "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci. Comput. 30.
Owen (1995), "Randomly permuted (t, m, s)-nets and (t, s)-sequences".
Laine and Karras (2011), "Stratified sampling for stochastic transparency"; Burley (2020), "Practical hash-based Owen
scrambling", JCGT 9.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from simulator.chance import normal_cdf, normal_quantile, philox, uniform
from simulator.compiled import kernel, part
from simulator.metrics import RANDOMISATIONS

__all__ = ["DIMENSIONS", "directions", "points", "scrambles", "turn"]

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

DIMENSIONS = 64
_BITS = 52

# Of each dimension from the second: the coefficients of its primitive polynomial as the bits of a number, and its first
# direction numbers (Joe and Kuo 2008, new-joe-kuo-6).
_JOE_KUO = """
    3 1; 7 1 3; 11 1 3 1; 13 1 1 1; 19 1 1 3 3; 25 1 3 5 13; 37 1 1 5 5 17; 41 1 1 5 5 5; 47 1 1 7 11 19; 55 1 1 5 1
    1; 59 1 1 1 3 11; 61 1 3 5 5 31; 67 1 3 3 9 7 49; 91 1 1 1 15 21 21; 97 1 3 1 13 27 49; 103 1 1 1 15 7 5; 109 1
    3 1 15 13 25; 115 1 1 5 5 19 61; 131 1 3 7 11 23 15 103; 137 1 3 7 13 13 15 69; 143 1 1 3 13 7 35 63; 145 1 3 5
    9 1 25 53; 157 1 3 1 13 9 35 107; 167 1 3 1 5 27 61 31; 171 1 1 5 11 19 41 61; 185 1 3 5 3 3 13 69; 191 1 1 7 13
    1 19 1; 193 1 3 7 5 13 19 59; 203 1 1 3 9 25 29 41; 211 1 3 5 13 23 1 55; 213 1 3 7 3 13 59 17; 229 1 3 1 3 5 53
    69; 239 1 1 5 5 23 33 13; 241 1 1 7 7 1 61 123; 247 1 1 7 9 13 61 49; 253 1 3 3 5 3 55 33; 285 1 3 1 15 31 13 49
    245; 299 1 3 5 15 31 59 63 97; 301 1 3 1 11 11 11 77 249; 333 1 3 1 11 27 43 71 9; 351 1 1 7 15 21 11 81 45; 355
    1 3 7 3 25 31 65 79; 357 1 3 1 1 19 11 3 205; 361 1 1 5 9 19 21 29 157; 369 1 3 7 11 1 33 89 185; 391 1 3 3 3 15
    9 79 71; 397 1 3 7 11 15 39 119 27; 425 1 1 3 1 11 31 97 225; 451 1 1 1 3 23 43 57 177; 463 1 3 7 7 17 17 37 71;
    487 1 3 1 5 27 63 123 213; 501 1 1 3 5 11 43 53 133; 529 1 3 5 5 29 17 47 173 479; 539 1 3 3 11 3 1 109 9 69;
    545 1 1 1 5 17 39 23 5 343; 557 1 3 1 5 25 15 31 103 499; 563 1 1 1 11 11 17 63 105 183; 601 1 1 5 11 9 29 97
    231 363; 607 1 1 5 15 19 45 41 7 383; 617 1 3 7 7 31 19 83 137 221; 623 1 1 1 3 23 15 111 223 83; 631 1 1 5 13
    31 15 55 25 161; 637 1 1 3 13 25 47 39 87 257
"""


@functools.cache
def directions() -> Words:
    """Direction numbers with their bits reversed (bit 0 is a half), [DIMENSIONS, 52].

    Point n of a dimension is the exclusive or of the numbers at the bits of n.
    """
    found = np.zeros((DIMENSIONS, _BITS), np.uint64)
    for j in range(_BITS):
        found[0, j] = 1 << j
    for dimension, text in enumerate(_JOE_KUO.split(";"), start=1):
        polynomial, *first = map(int, text.split())
        degree = len(first)
        numbers = list(first)
        for k in range(degree, _BITS):
            # Bratley and Fox (1988), Algorithm 659: m_k = 2 a_1 m_{k-1} ^ ... ^ 2^s m_{k-s} ^ m_{k-s}
            new = numbers[k - degree]
            for i in range(1, degree + 1):
                if polynomial >> (degree - i) & 1:
                    new ^= numbers[k - i] << i
            numbers.append(new)
        for j, number in enumerate(numbers):
            # number / 2^(j + 1) as a binary fraction: its bit i stands for 2^(i - j - 1)
            found[dimension, j] = sum((number >> (j - place) & 1) << place for place in range(j + 1))
    found.setflags(write=False)
    return found


@kernel
def scrambles(keys: Words, index: NDArray[np.int64]) -> Words:
    """Random words of the scrambles of columns at addresses, [columns, RANDOMISATIONS, 3]."""
    found = np.empty((keys.size, RANDOMISATIONS, 3), np.uint64)
    word = np.uint64(32)
    for j in range(keys.size):
        for r in range(RANDOMISATIONS):
            for half in range(2):
                # counters that no draw has
                w0, w1, w2, w3 = philox(keys[j], _NO_DRAW + np.uint64(2 * r + half), index[j])
                if half == 0:
                    found[j, r, 0] = (w1 << word) | w0
                    found[j, r, 1] = (w3 << word) | w2 | np.uint64(1)
                else:
                    found[j, r, 2] = (w1 << word) | w0
    return found


_NO_DRAW = np.uint64(1 << 62)
_EVEN = tuple(np.uint64(each) for each in (0x9E3779B97F4A7C16, 0xBF58476D1CE4E5B8, 0x94D049BB133111EA))
_FIRST, _SECOND, _THIRD = _EVEN
_MASKS = tuple(np.uint64(each) for each in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
_ONES, _TWOS, _FOURS = _MASKS
_EIGHTS, _SIXTEENS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_ONE, _TWO, _FOUR, _EIGHT, _SIXTEEN, _HALF = (np.uint64(each) for each in (1, 2, 4, 8, 16, 32))
_DROP = np.uint64(12)
_ULP = 2.0**-52


@part
def _reversed(x: np.uint64) -> np.uint64:
    x = ((x >> _ONE) & _ONES) | ((x & _ONES) << _ONE)
    x = ((x >> _TWO) & _TWOS) | ((x & _TWOS) << _TWO)
    x = ((x >> _FOUR) & _FOURS) | ((x & _FOURS) << _FOUR)
    x = ((x >> _EIGHT) & _EIGHTS) | ((x & _EIGHTS) << _EIGHT)
    x = ((x >> _SIXTEEN) & _SIXTEENS) | ((x & _SIXTEENS) << _SIXTEEN)
    return (x >> _HALF) | (x << _HALF)


@part
def _scrambled(x: np.uint64, add: np.uint64, times: np.uint64, shift: np.uint64) -> float:
    """Uniform of a point given by its reversed bits."""
    x ^= x * _FIRST
    x += add
    x *= times
    x ^= x * _SECOND
    x ^= x * _THIRD
    bits = (_reversed(x) ^ shift) >> _DROP
    return (float(bits) + 0.5) * _ULP


@kernel
def points(start: int, number: int, numbers: Words, words: Words, keys: Words, index: NDArray[np.int64]) -> Floats:
    """Uniforms of draws start..start+number-1, [number, columns].

    Parameters
    ----------
    numbers
        [D, 52] direction numbers of the first D columns, D at most the number of columns; those beyond are independent.
    words
        [D, RANDOMISATIONS, 3] from `scrambles`.
    keys, index
        [columns] addresses.
    """
    out = np.empty((number, keys.size))
    for j in range(keys.size):
        if j >= numbers.shape[0]:
            for d in range(number):
                out[d, j] = uniform(keys[j], start + d, index[j])
            continue
        now = -1
        x = np.uint64(0)
        for d in range(number):
            n = (start + d) // RANDOMISATIONS
            if n != now:
                now = n
                x = np.uint64(0)
                bit = 0
                while n > 0:
                    if n & 1:
                        x ^= numbers[j, bit]
                    n >>= 1
                    bit += 1
            r = (start + d) % RANDOMISATIONS
            out[d, j] = _scrambled(x, words[j, r, 0], words[j, r, 1], words[j, r, 2])
    return out


@kernel
def turn(u: Floats, columns: NDArray[np.int64], weights: Floats) -> None:
    """Make the first of some columns of uniforms say how large a weighted sum of what they draw will be, in place.

    Their normal quantiles are reflected (Householder) so that the first direction becomes that of the weights, and
    turned back into uniforms: they stay uniform and independent. Sobol points are best in their first dimensions, and
    what matters of many small blocks is their total.

    Parameters
    ----------
    u
        [draws, any number]
    columns, weights
        [n] which of them, and how much each counts; the weights are not all 0.
    """
    n, number = columns.size, u.shape[0]
    axis = weights / np.sqrt((weights * weights).sum())
    axis = -axis
    axis[0] += 1.0
    square = (axis * axis).sum()
    if square < 1e-24:
        return
    z, along = np.empty((n, number)), np.zeros(number)
    for i in range(n):
        for d in range(number):
            z[i, d] = normal_quantile(u[d, columns[i]])
            along[d] += axis[i] * z[i, d]
    for d in range(number):
        along[d] *= 2.0 / square
    for i in range(n):
        for d in range(number):
            turned = normal_cdf(z[i, d] - along[d] * axis[i])
            u[d, columns[i]] = min(max(turned, 2.0**-60), 1.0 - 2.0**-53)
