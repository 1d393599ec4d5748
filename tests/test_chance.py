"""Addressed random numbers, and quantiles of counts against SciPy and against plain sums of ratios."""

import math

import numpy as np
import pytest
from numba import njit
from scipy import special, stats

from simulator import chance

KEY = chance.key(2024, "luck", 0, ("tests", "chance"))
OTHER_KEY = chance.key(2024, "luck", 0, ("tests", "other"))
TAILS = 10.0 ** -np.linspace(0.5, 12.0, 47)
GRID = np.sort(np.concatenate([chance.uniforms(KEY, 0, 600, 0), TAILS, 1.0 - TAILS, [0.25, 0.5, 0.75]]))

# ------------------------------------------------------------------------------------------- helpers


@njit
def binomial(u, n, p):
    out = np.empty(u.size, np.int64)
    for i in range(u.size):
        out[i] = chance.binomial_quantile(u[i], n, p)
    return out


@njit
def poisson(u, mean):
    out = np.empty(u.size, np.int64)
    for i in range(u.size):
        out[i] = chance.poisson_quantile(u[i], mean)
    return out


@njit
def negative_binomial(u, size, mean):
    out = np.empty(u.size, np.int64)
    for i in range(u.size):
        out[i] = chance.negative_binomial_quantile(u[i], size, mean)
    return out


def ours(law, u, size, parameter):
    if law == "binomial":
        return binomial(u, int(size), float(parameter))
    if law == "poisson":
        return poisson(u, float(parameter))
    return negative_binomial(u, float(size), float(parameter))


def scipys(law, u, size, parameter):
    if law == "binomial":
        return stats.binom.ppf(u, size, parameter)
    if law == "poisson":
        return stats.poisson.ppf(u, parameter)
    return stats.nbinom.ppf(u, size, size / (size + parameter))


def summed_tails(law, k, size, parameter, block=4096):
    """P(X <= k) and P(X > k) from ratios of neighbouring probabilities only: no special function."""
    real = np.longdouble
    size, parameter = real(size), real(parameter)

    def ratio(j):  # P(X = j + 1) / P(X = j)
        if law == "binomial":
            return np.maximum(size - j, 0.0) / (j + 1.0) * (parameter / (1.0 - parameter))
        if law == "poisson":
            return parameter / (j + 1.0)
        return (size + j) / (j + 1.0) * (parameter / (size + parameter))

    def total(sign):
        term, whole, start = real(1.0), real(0.0), real(k)
        while True:
            j = start + sign * np.arange(block, dtype=real)
            step = ratio(j) if sign > 0 else np.where(j > 0, 1.0 / ratio(np.maximum(j - 1.0, 0.0)), 0.0)
            terms = term * np.cumprod(step)
            whole += terms.sum()
            if terms[-1] <= 1e-22 * whole and step[-1] < 1.0:
                return whole
            term, start = terms[-1], start + sign * block

    with np.errstate(under="ignore", divide="ignore"):
        lower, upper = 1.0 + total(-1), total(+1)
    return lower / (lower + upper), upper / (lower + upper)


def is_the_quantile(law, k, u, size, parameter):
    """Whether k is the smallest count that reaches u, by the sums; the upper tail compared with 1 - u."""
    beyond = np.longdouble(1.0) - np.longdouble(u)
    reached = summed_tails(law, k, size, parameter)[1] <= beyond
    return bool(reached and (k == 0 or summed_tails(law, k - 1, size, parameter)[1] > beyond))


BINOMIALS = [
    ("binomial", n, p)
    for n in (0, 1, 2, 5, 20, 49, 69, 350, 1_000, 10_000, 1_000_000, 1_000_000_000)
    for p in (1e-9, 1e-6, 1e-3, 0.03, 0.3, 0.4, 0.5, 0.6, 0.9, 0.9999, 1.0 - 1e-6, 1.0 - 1e-9)
]
POISSONS = [("poisson", 0, m) for m in (1e-6, 0.1, 3.0, 11.9, 12.0, 12.1, 15.0, 40.0, 300.0, 1e4, 1e6)]
NEGATIVE_BINOMIALS = [
    ("negative binomial", r, m)
    for r in (0.05, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0, 1e3, 1e5, 1e7)
    for m in (1e-6, 0.1, 3.0, 9.0, 20.0, 59.0, 61.0, 120.0, 1e3, 1e4, 1e5)
    if m <= 2e4 * r  # beyond, the sums that settle disagreements are long
]


# ----------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, words):
    c0, c1 = (np.uint64(counter[i] | counter[i + 1] << 32) for i in (0, 2))
    assert chance.philox(np.uint64(key[0] | key[1] << 32), c0, c1) == words


def test_a_key_changes_with_each_part_of_the_address():
    parts = [
        (1, "luck", 0, ("a", "b")),
        (2, "luck", 0, ("a", "b")),
        (-1, "luck", 0, ("a", "b")),
        (1 + 2**64, "luck", 0, ("a", "b")),
        (1, "parameters", 0, ("a", "b")),
        (1, "luck", 1, ("a", "b")),
        (1, "luck", 0, ("a", "c")),
        (1, "luck", 0, ("b", "a")),
        (1, "luck", 0, ("a",)),
        (1, "luck", 0, ()),
    ]
    assert len({int(chance.key(*part)) for part in parts}) == len(parts)
    assert chance.key(*parts[0]) == chance.key(1, "luck", 0, ["a", "b"])


def test_names_that_join_to_the_same_text_have_different_keys():
    paths = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a\x00b", "c"), ("a", "b", "c")]
    assert len({int(chance.key(1, "luck", 0, path)) for path in paths}) == len(paths)
    assert chance.key(1, "luck1", 2, ()) != chance.key(1, "luck", 12, ())
    assert chance.key(11, "luck", 0, ()) != chance.key(1, "1luck", 0, ())


def test_a_path_that_is_one_string_is_refused():
    with pytest.raises(TypeError, match="sequence of names"):
        chance.key(1, "luck", 0, "abc")


def test_the_key_of_an_address_never_changes():
    """Stored results would change with it: this is the promise that a seed means the same next year."""
    assert int(chance.key(1, "luck", 0, ("year 1", "jobs"))) == 10874185506539573558


def test_uniforms_are_strictly_inside_the_unit_interval_and_symmetric():
    u = chance.uniforms(KEY, 0, 200_000, 0)
    assert u.min() > 0.0
    assert u.max() < 1.0
    steps = u * 2.0**53
    assert np.array_equal(steps % 2.0, np.ones_like(u))  # odd multiples: 1 - u is exact and also one
    assert np.array_equal(1.0 - (1.0 - u), u)
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4.0 / math.sqrt(u.size)


@pytest.mark.parametrize("word", [0, 0xFFFFFFFF])
def test_the_extreme_words_stay_inside_the_unit_interval(monkeypatch, word):
    words = (np.uint64(word),) * 4
    monkeypatch.setattr(chance, "philox", lambda *_: words)
    monkeypatch.setattr(chance, "uniform_of_words", chance.uniform_of_words.py_func)
    u = chance.uniform.py_func(KEY, 0, 0)
    assert u == (2.0**-53 if word == 0 else 1.0 - 2.0**-53)


@pytest.mark.parametrize("number", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("steps", [(1, 0), (0, 1024), (3, 5)])
def test_many_blocks_at_once_are_those_of_one_by_one(steps, number):
    """Counters pass from the low word of each half into the high one."""
    first = (2**32 - 2, 2**32 - 2048)
    words = np.full((4, 200), 7, np.uint32)
    chance.philox_blocks(KEY, *first, *steps, number, words)
    one_by_one = [chance.philox(KEY, first[0] + i * steps[0], first[1] + i * steps[1]) for i in range(number)]
    assert np.array_equal(words[:, :number].T, one_by_one)
    assert (words[:, number:] == 7).all()


def test_more_draws_extend_fewer_and_every_draw_has_its_own_address():
    many = chance.uniforms(KEY, 0, 1_000, 3)
    assert np.array_equal(many[:10], chance.uniforms(KEY, 0, 10, 3))
    assert np.array_equal(many[400:], chance.uniforms(KEY, 400, 600, 3))
    assert many.tolist() == [chance.uniform(KEY, draw, 3) for draw in range(1_000)]
    assert not np.intersect1d(many, chance.uniforms(KEY, 0, 1_000, 4)).size
    assert not np.intersect1d(many, chance.uniforms(OTHER_KEY, 0, 1_000, 3)).size


# -------------------------------------------------------------------------------------------- normal


def test_normal_quantile_is_accurate_in_both_tails():
    u = np.concatenate([10.0 ** -np.arange(1.0, 300.0), GRID])
    x = np.array([chance.normal_quantile(v) for v in u])
    np.testing.assert_allclose(x, special.ndtri(u), rtol=3e-15, atol=0.0)
    assert chance.normal_quantile(0.0) == -math.inf
    assert chance.normal_quantile(1.0) == math.inf
    assert math.isnan(chance.normal_quantile(1.5))
    back = np.array([chance.normal_cdf(v) for v in np.linspace(-35.0, 8.0, 200)])
    np.testing.assert_allclose(back, special.ndtr(np.linspace(-35.0, 8.0, 200)), rtol=1e-12)


def test_nine_nodes_integrate_powers_of_a_standard_normal():
    moments = [np.sum(chance.GAUSS_HERMITE_WEIGHTS * chance.GAUSS_HERMITE_NODES**j) for j in range(0, 17, 2)]
    np.testing.assert_allclose(moments, [1, 1, 3, 15, 105, 945, 10395, 135135, 2027025], rtol=1e-12)
    assert not chance.GAUSS_HERMITE_NODES.flags.writeable


# ----------------------------------------------------------------------------------------- quantiles


def test_distribution_functions_agree_with_incomplete_beta_and_gamma_functions():
    """With `betainc`, not `bdtr`: at n = 1e6 that one is wrong by 3e-9, and at 1e9 by 0.3.

    The tolerance is for SciPy, whose error is 1e-12 at a size of 1e7 or 1e9; the sums below hold ours
    to 1e-13.
    """
    for _, n, p in BINOMIALS:
        for z in (-5.0, -1.0, 0.0, 0.5, 4.0):
            k = math.floor(n * p + z * math.sqrt(n * p * (1.0 - p)))
            if 0 <= k < n:
                # By whichever of p and 1 - p is small, for SciPy loses the digits of the other.
                rare = 1.0 - p
                wanted = special.betaincc(k + 1, n - k, p) if p < 0.5 else special.betainc(n - k, k + 1, rare)
                assert chance.binomial_cdf(k, n, p) == pytest.approx(wanted, abs=5e-12)
    for _, _, m in POISSONS:
        for k in {0, math.floor(m), math.floor(m + 3.0 * math.sqrt(m)), max(0, math.floor(m - math.sqrt(m)))}:
            assert chance.poisson_cdf(k, m) == pytest.approx(special.pdtr(k, m), abs=1e-13)
    for _, r, m in NEGATIVE_BINOMIALS:
        for k in {0, math.floor(m / 3.0), math.floor(m), math.floor(4.0 * m)}:
            wanted = special.betaincc(k + 1, r, m / (r + m))
            assert chance.negative_binomial_cdf(k, r, m) == pytest.approx(wanted, abs=5e-12)


@pytest.mark.parametrize(
    ("law", "size", "parameter"),
    [
        ("binomial", 1_000, 0.4),
        ("binomial", 1_000_000, 0.01),
        ("binomial", 1_000_000_000, 0.9),
        ("binomial", 1_000_000_000, 1.0 - 1e-6),
        ("binomial", 1_000_000_000, 1.0 - 1e-9),
        ("binomial", 69, 0.9),
        ("poisson", 0, 40.0),
        ("poisson", 0, 1e6),
        ("negative binomial", 0.05, 61.0),
        ("negative binomial", 5.0, 200.0),
        ("negative binomial", 1e5, 1e4),
        ("negative binomial", 1e7, 9.0),
        ("negative binomial", 1e7, 61.0),
        ("negative binomial", 1e7, 1e5),
    ],
)
def test_far_tails_have_full_relative_precision(law, size, parameter):
    code = {"binomial": 0, "poisson": 1, "negative binomial": 2}[law]
    for u in (1e-12, 1e-5, 0.3, 0.7, 1.0 - 1e-5, 1.0 - 1e-12):
        k = int(ours(law, np.array([u]), size, parameter)[0]) - 1  # below n
        if k < 0:
            continue
        lower, value, _ = chance._tail(code, float(k), float(size), float(parameter))
        assert value == pytest.approx(float(summed_tails(law, k, size, parameter)[0 if lower else 1]), rel=1e-13)


@pytest.mark.parametrize(("law", "size", "parameter"), BINOMIALS + POISSONS + NEGATIVE_BINOMIALS)
def test_quantiles_equal_those_of_scipy(law, size, parameter):
    """Everywhere, but for a few points where the sums say that ours is the quantile, or that it is a tie.

    Nearly all are in the upper tail, where SciPy's function is right to 1e-16 of 1 and not of 1 - u. With a
    large size, the probability ``size / (size + mean)`` that SciPy is given has too few digits.
    """
    k, expected = ours(law, GRID, size, parameter), scipys(law, GRID, size, parameter)
    wrong = np.flatnonzero(k != expected)
    assert wrong.size <= 12
    for i in wrong:
        below = summed_tails(law, min(k[i], int(expected[i])), size, parameter)[0]
        tie = abs(k[i] - expected[i]) == 1 and abs(below - GRID[i]) < 1e-16
        assert tie or is_the_quantile(law, int(k[i]), GRID[i], size, parameter)


def test_a_tie_is_settled_between_its_two_counts():
    """P(X <= size - 1) = I_1/2(size, size) is 1/2 exactly: rounding decides, and never moves further."""
    for size in (2, 60, 1_000, 100_000):
        assert chance.negative_binomial_quantile(0.5, float(size), float(size)) in (size - 1, size)
    assert chance.binomial_quantile(0.5, 1, 0.5) == 0
    assert chance.binomial_quantile(0.5, 99_999, 0.5) in (49_999, 50_000)


@pytest.mark.parametrize("n", range(1, 25))
def test_a_count_on_a_jump_is_the_one_that_reaches_it(n):
    """At chances of 1/4 and 3/4 the first jump is at (3/4)**n, and the last at 1 less that: exact in floats."""
    jump = 0.75**n
    assert chance.binomial_quantile(jump, n, 0.25) == 0
    assert chance.binomial_quantile(jump + 2.0**-53, n, 0.25) == 1
    assert chance.binomial_quantile(1.0 - jump, n, 0.75) == n - 1
    assert chance.binomial_quantile(1.0 - jump + 2.0**-53, n, 0.75) == n


@pytest.mark.parametrize("mean", [1e7, 1e8])
def test_poisson_quantiles_are_right_where_scipys_incomplete_gamma_function_is_not(mean):
    """Beyond 4.5 sd at these means `pdtrc` is off by as much as 40%: compare with sums instead."""
    central = GRID[(GRID > 1e-5) & (GRID < 1.0 - 1e-5)]
    assert np.array_equal(poisson(central, mean), stats.poisson.ppf(central, mean))
    for u in (1e-12, 1e-7, 1.0 - 2.7e-6, 1.0 - 1e-9):
        assert is_the_quantile("poisson", int(poisson(np.array([u]), mean)[0]), u, 0, mean)


def test_a_very_wide_geometric_law_follows_its_closed_form():
    mean = 1e8
    k = negative_binomial(GRID, 1.0, mean)
    rate = math.log1p(1.0 / mean)  # P(X > k) = exp(-rate (k + 1))
    exact = np.where(GRID < 0.5, -np.log1p(-GRID), -np.log(1.0 - GRID)) / rate
    assert np.all(np.abs(k + 0.5 - exact) <= 0.5 + 1e-15 * exact * 4.0)


def test_the_jumps_are_where_they_should_be_at_a_million_trials():
    """One unit of the 13th decimal each side of a jump.

    `binom.ppf` has its jumps there too. A continued fraction cut off at a few hundred terms, like that of
    `scipy.special.bdtr`, is wrong by 3e-9 at n = 1e6, where a jump is 8e-4 high: enough to differ from
    SciPy's quantile about once in 200,000 draws.
    """
    n, p = 1_000_000, 0.4
    k = np.arange(398_000, 402_001, 10)
    jumps = special.betaincc(k + 1, n - k, p)
    assert np.array_equal(binomial(jumps - 1e-13, n, p), k)
    assert np.array_equal(binomial(jumps + 1e-13, n, p), k + 1)
    assert np.max(np.abs(special.bdtr(k, n, p) - jumps)) > 1e-9


@pytest.mark.parametrize("variance", [12.0, 15.0, 40.0, 300.0, 1e4])
@pytest.mark.parametrize("slope", [0.0, 0.3, 0.7, 0.97, 1.0, 1.1, 1.5, 2.0, 3.0, 6.0, 20.0])
def test_the_tolerance_of_the_expansion_exceeds_its_error_at_every_jump(variance, slope):
    if slope < 1.0:
        p = (1.0 - slope) / 2.0
        n = float(math.ceil(variance / (p * (1.0 - p))))
        law, size, parameter, mean, variance = 0, n, p, n * p, n * p * (1.0 - p)
    elif slope == 1.0:
        law, size, parameter, mean = 1, 0.0, variance, variance
    else:
        mean = 2.0 * variance / (1.0 + slope)
        law, size, parameter = 2, 2.0 * mean / (slope - 1.0), mean
    sd = math.sqrt(variance)
    low, high = max(0, math.floor(mean - 4.6 * sd)), math.floor(mean + 7.0 * sd)
    checked = 0
    for k in range(low, high, 1 + (high - low) // 300):
        if law == 0 and k >= size:
            break
        lower, value, _ = chance._tail(law, float(k), size, parameter)
        if value > 1e-5:
            z = chance.normal_quantile(value) * (1.0 if lower else -1.0)
            error = abs(chance._expansion(z, mean, variance, slope) - (k + 1))
            assert error < 0.55 * chance._tolerance(z, mean, variance, slope)
            checked += 1
    assert checked > 10


@pytest.mark.parametrize(
    ("law", "size", "parameter"),
    [
        *BINOMIALS[::7],
        *POISSONS,
        ("poisson", 0, 1e8),
        *NEGATIVE_BINOMIALS[::4],
        ("negative binomial", 3.0, 1e8),
    ],
)
def test_quantiles_never_fall_as_u_rises(law, size, parameter):
    near_half = 0.5 + np.arange(-20, 21) * 2.0**-53
    near_switch = np.concatenate(
        [1e-5 * (1.0 + np.linspace(-1e-9, 1e-9, 21)), 1.0 - 1e-5 + np.linspace(-1e-9, 1e-9, 21)]
    )
    u = np.sort(
        np.concatenate([GRID, chance.uniforms(KEY, 0, 2_000, 1), near_half, near_switch, [2.0**-53, 1 - 2.0**-53]])
    )
    assert np.all(np.diff(ours(law, u, size, parameter)) >= 0)


@pytest.mark.parametrize("u", [1e-9, 1e-3, 0.2, 0.5, 0.83, 0.9999, 1.0 - 1e-10])
def test_quantiles_never_fall_as_a_parameter_rises(u):
    one = np.array([u])
    for n in (3, 30, 400, 1_000_000):
        p = np.sort(np.concatenate([np.linspace(0.0, 1.0, 401), 0.5 + np.arange(-20, 21) * 1e-14]))
        assert np.all(np.diff([binomial(one, n, float(q))[0] for q in p]) >= 0)
    for p in (0.02, 0.5, 0.77):
        assert np.all(np.diff([binomial(one, n, p)[0] for n in range(900)]) >= 0)
    means = np.sort(np.concatenate([np.geomspace(1e-3, 1e8, 400), 12.0 + np.arange(-20, 21) * 1e-13]))
    assert np.all(np.diff([poisson(one, float(m))[0] for m in means]) >= 0)
    for r in (0.3, 4.0, 50.0, 1e6):
        assert np.all(np.diff([negative_binomial(one, r, float(m))[0] for m in means]) >= 0)


def test_degenerate_laws_give_their_only_value():
    for u in (0.0, 1e-12, 0.5, 1.0 - 1e-12, 1.0):
        assert chance.binomial_quantile(u, 0, 0.5) == 0
        assert chance.binomial_quantile(u, -1, 0.5) == 0
        assert chance.binomial_quantile(u, 7, 0.0) == 0
        assert chance.binomial_quantile(u, 7, -0.1) == 0
        assert chance.binomial_quantile(u, 7, 1.0) == 7
        assert chance.poisson_quantile(u, 0.0) == 0
        assert chance.negative_binomial_quantile(u, 3.0, 0.0) == 0
    assert chance.binomial_quantile(0.0, 7, 0.5) == 0
    assert chance.binomial_quantile(1.0, 7, 0.5) == 7


def test_a_negative_binomial_of_infinite_size_is_a_poisson():
    for mean in (0.3, 5.0, 60.0, 1e5):
        assert np.array_equal(negative_binomial(GRID, math.inf, mean), poisson(GRID, mean))


def test_numbers_that_are_not_numbers_are_refused():
    nan = math.nan
    for u, n, p in ((nan, 5, 0.5), (nan, 1_000, 0.5), (0.5, 5, nan), (0.5, 1_000, nan)):
        with pytest.raises(ValueError, match="numbers"):
            chance.binomial_quantile(u, n, p)
    for u, mean in ((nan, 3.0), (nan, 300.0), (0.5, nan), (0.5, 1e18), (0.5, math.inf)):
        with pytest.raises(ValueError, match="numbers"):
            chance.poisson_quantile(u, mean)
    for u, size, mean in (
        (nan, 2.0, 3.0),
        (0.5, nan, 3.0),
        (0.5, 2.0, nan),
        (0.5, -1.0, 3.0),
        (0.5, 0.0, 3.0),
    ):
        with pytest.raises(ValueError, match="numbers"):
            chance.negative_binomial_quantile(u, size, mean)


# ------------------------------------------------------------------------------ draws as a whole


def chi_square(counts, probabilities):
    expected = counts.sum() * probabilities
    return stats.chi2.sf(np.sum((counts - expected) ** 2 / expected), counts.size - 1)


@pytest.mark.parametrize(
    ("law", "size", "parameter"),
    [("binomial", 69, 0.3), ("binomial", 12, 0.2), ("poisson", 0, 20.0), ("negative binomial", 5.0, 30.0)],
)
def test_draws_have_the_law_asked_for_and_not_one_two_per_cent_away(law, size, parameter):
    """Tolerance: p > 1e-4 on 200,000 draws in ten classes. The control is the law 2% away."""
    k = ours(law, chance.uniforms(KEY, 0, 200_000, 2), size, parameter)
    edges = np.unique(scipys(law, np.arange(1, 10) / 10.0, size, parameter))

    def classes(parameter):
        frozen = {
            "binomial": lambda: stats.binom(size, parameter),
            "poisson": lambda: stats.poisson(parameter),
            "negative binomial": lambda: stats.nbinom(size, size / (size + parameter)),
        }[law]()
        return np.diff(np.concatenate([[0.0], frozen.cdf(edges), [1.0]]))

    counts = np.bincount(np.searchsorted(edges, k), minlength=edges.size + 1)
    assert chi_square(counts, classes(parameter)) > 1e-4
    assert chi_square(counts, classes(1.02 * parameter)) < 1e-4


def noise_of_a_change(key_of_base, key_of_variant, cohorts=40, draws=1_000):
    """Sd of the difference made by 3% of p at n = 1,000, as a share of that of independent draws."""
    base, variant = np.zeros(draws), np.zeros(draws)
    for cohort in range(cohorts):
        p = 0.2 + 0.01 * cohort
        base += binomial(chance.uniforms(key_of_base, 0, draws, cohort), 1_000, p)
        variant += binomial(chance.uniforms(key_of_variant, 0, draws, cohort), 1_000, 1.03 * p)
    return np.std(variant - base) / math.hypot(np.std(base), np.std(variant))


def test_a_small_change_in_p_makes_a_difference_with_almost_no_noise():
    assert noise_of_a_change(KEY, KEY) < 0.05


def test_draws_from_different_keys_do_not_share_their_noise():
    assert 0.9 < noise_of_a_change(KEY, OTHER_KEY) < 1.1


@pytest.mark.parametrize("people", [1, 2, 7, 69, 400, 1000])
def test_hypergeometric_quantiles_are_those_of_scipy(people):
    rng = np.random.default_rng(people)
    for _ in range(60):
        n, marked = int(rng.integers(0, people + 1)), int(rng.integers(0, people + 1))
        us = np.concatenate([rng.random(20), [1e-12, 1e-6, 1.0 - 1e-6]])
        ours = [chance.hypergeometric_quantile(u, n, marked, people) for u in us]
        law = stats.hypergeom(people, marked, n)
        for u, k in zip(us, ours, strict=True):
            # sums are good to some units in the last place: on a step either side is right
            assert law.cdf(k) >= u - 1e-12
            assert k == 0 or law.cdf(k - 1) < u + 1e-12
        assert sorted(ours) == [chance.hypergeometric_quantile(u, n, marked, people) for u in np.sort(us)]


@pytest.mark.parametrize(("n", "p"), [(6, 0.3), (6, 0.85), (1, 0.5), (40, 0.02), (80, 0.9), (300, 0.4), (900, 0.999)])
def test_a_uniform_of_a_count_lies_on_its_step(n, p):
    law = stats.binom(n, p)
    for k in range(n + 1):
        if law.pmf(k) > 1e-9:
            for w in (0.01, 0.4, 0.99):
                u = chance.binomial_uniform(w, k, n, p)
                assert u == pytest.approx(law.cdf(k - 1) + w * law.pmf(k), abs=1e-12)
                assert chance.binomial_quantile(u, n, p) == k


@pytest.mark.parametrize(("k", "n", "p"), [(0, 0, 0.3), (0, 5, 0.0), (5, 5, 1.0)])
def test_a_count_that_is_certain_leaves_its_uniform_free(k, n, p):
    assert chance.binomial_uniform(0.3, k, n, p) == pytest.approx(0.3, rel=1e-15)


def test_uniforms_of_impossible_counts_are_still_within_their_range():
    for k, n, p in ((60, 60, 0.01), (0, 60, 0.99), (1000, 1000, 0.01), (0, 1000, 0.99)):
        assert 0.0 <= chance.binomial_uniform(0.5, k, n, p) <= 1.0
