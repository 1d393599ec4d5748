"""Quantiles of the gamma law against SciPy, closed forms, its own tails, and what inversion promises."""

import math

import numpy as np
import pytest
from numba import njit
from scipy import special

from simulator import chance

KEY = chance.key(2024, "luck", 0, ("tests", "gamma"))
OTHER_KEY = chance.key(2024, "luck", 0, ("tests", "other"))
TAILS = 10.0 ** -np.linspace(0.5, 12.0, 47)
GRID = np.sort(np.concatenate([chance.uniforms(KEY, 0, 600, 0), TAILS, 1.0 - TAILS, [0.25, 0.5, 0.75]]))
# Both sides of every change of method: 1, 20 and 60.
SHAPES = (0.05, 0.3, 0.7, 0.999, 1.0, 1.3, 2.0, 3.0, 8.0, 15.0, 19.99, 20.0, 20.01, 43.0, 59.0, 61.0, 300.0, 1e4)


@njit
def gamma(u, shape):
    out = np.empty(u.size)
    for i in range(u.size):
        out[i] = chance.gamma_quantile(u[i], shape)
    return out


def scipys(u, shape):
    """By the smaller tail, for 1 - u has digits that u has not."""
    return np.where(u < 0.5, special.gammaincinv(shape, u), special.gammainccinv(shape, 1.0 - u))


def residual(x, u, shape):
    """Relative error of a quantile, from the smaller tail at it over x times the density."""
    lower, value, weight = chance._gamma_tail(shape, x)
    return (value - (u if lower else 1.0 - u)) / weight


@pytest.mark.parametrize("shape", SHAPES)
def test_quantiles_equal_those_of_scipy_in_the_middle_and_in_both_tails(shape):
    """To 1e-14 from a shape of 1. Below, a tail of relative error e moves the quantile by e / shape."""
    ours = gamma(GRID, shape)
    np.testing.assert_allclose(ours, scipys(GRID, shape), rtol=1e-14 if shape >= 1.0 else 1e-13, atol=0.0)
    assert np.max(np.abs(gamma(GRID, shape * (1.0 + 1e-12)) / ours - 1.0)) > 1e-13  # it would be seen


@pytest.mark.parametrize("shape", [1e6, 1e9])
def test_quantiles_of_great_shapes_fit_their_tails(shape):
    """SciPy's tails are off there, by 2e-9 at 1e6 and 6e-6 at 1e9: beyond 4 sd compare with the fraction."""
    central = GRID[(GRID > 1e-4) & (GRID < 1.0 - 1e-4)]
    np.testing.assert_allclose(gamma(central, shape), scipys(central, shape), rtol=1e-15, atol=0.0)
    for u in (1e-12, 1e-6, 1e-4, 1.0 - 1e-6, 1.0 - 1e-12):
        # 5e-15 in sd is less than a unit of the last place of the quantile when the shape is 1e9
        assert abs(residual(chance.gamma_quantile(u, shape), u, shape)) < 3e-16


def test_a_shape_of_one_is_exponential():
    u = np.concatenate([10.0 ** -np.arange(1.0, 250.0), GRID])
    exact = np.where(u < 0.5, -np.log1p(-u), -np.log(1.0 - u))
    np.testing.assert_allclose(gamma(u, 1.0), exact, rtol=1e-14, atol=0.0)


def test_a_shape_of_a_half_is_half_the_square_of_a_normal():
    z = np.array([chance.normal_quantile(0.5 * (1.0 - v)) for v in GRID])
    keep = GRID > 1e-3  # below, (1 - u) / 2 loses the digits of u
    np.testing.assert_allclose(gamma(GRID, 0.5)[keep], 0.5 * z[keep] ** 2, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_distribution_function_agrees_with_scipy_and_undoes_the_quantile(shape):
    x = gamma(GRID, shape)
    cdf = np.array([chance.gamma_cdf(float(v), shape) for v in x])
    np.testing.assert_allclose(cdf, special.gammainc(shape, x), rtol=3e-13, atol=0.0)
    np.testing.assert_allclose(cdf, GRID, rtol=3e-13, atol=0.0)


@pytest.mark.parametrize("shape", [25.0, 300.0, 1e5])
def test_the_expansion_of_the_distribution_function_agrees_with_the_fraction(shape):
    """Two ways that share nothing but the normal distribution function."""
    for z in (-5.0, -2.0, -0.1, 0.3, 3.0, 5.0):
        x = shape + z * math.sqrt(shape)
        if x > 0.0:
            lower, value, _ = chance._gamma_tail(shape, x)
            whole = value if lower else 1.0 - value
            assert chance.gamma_cdf(x, shape) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("shape", [0.05, 0.7, 1.0, 3.0, 20.0, 100.0, 1e6])
def test_quantiles_rise_with_u(shape):
    """Across every switch too. Neighbouring floats are told apart to a few units of the last place only."""
    rounding = 4e-14 if shape < 1.0 else 8e-15
    switches = [chance.normal_cdf(s * math.sqrt(shape)) for s in (-1.75, -1.25, 1.25, 1.75)]
    near = [s + s * (1.0 - s) * np.linspace(-1e-9, 1e-9, 21) for s in [*switches, 0.5] if 1e-12 < s < 1.0 - 1e-12]
    u = np.unique(
        np.concatenate([GRID, np.linspace(1e-4, 1.0 - 1e-4, 4_001), 0.37 + np.arange(4_000) * 2.0**-52, *near])
    )
    x = gamma(u, shape)
    assert np.min(np.diff(x) / x[1:]) > -rounding
    apart = np.diff(u) > 1e-7 * np.minimum(u[1:], 1.0 - u[:-1])
    assert apart.sum() > 4_500
    assert np.all(np.diff(x)[apart] > 0.0)


@pytest.mark.parametrize("u", [1e-12, 1e-6, 1e-3, 0.2, 0.5, 0.83, 0.9999, 1.0 - 1e-10])
def test_quantiles_rise_with_the_shape(u):
    near = [s + np.arange(-20, 21) * 1e-12 * s for s in (1.0, 20.0, 60.0)]
    shapes = np.unique(np.concatenate([np.geomspace(0.05, 1e9, 3_000), *near]))
    x = np.array([chance.gamma_quantile(u, float(a)) for a in shapes])
    assert np.all(np.diff(x) > 0.0)


@pytest.mark.parametrize("shape", [0.3, 1.0, 2.5, 19.0, 40.0, 1e4])
def test_the_quantile_integrates_to_mean_and_variance(shape):
    """Over u = normal_cdf(z), where the integrand is smooth; 1e-10, and seen at a shape 1e-8 away."""
    z, step = np.linspace(-8.0, 8.0, 3_201, retstep=True)
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    # a small lower tail, reflected: 1 - normal_cdf(z) keeps no digits in the upper one
    u = special.ndtr(z)
    keep = u < 1.0 - 1e-13
    x = gamma(u[keep], shape)
    mean = np.sum(x * density[keep]) * step
    variance = np.sum((x - shape) ** 2 * density[keep]) * step
    assert mean == pytest.approx(shape, rel=1e-9)
    assert variance == pytest.approx(shape, rel=1e-8)
    assert mean != pytest.approx(shape * (1.0 + 1e-7), rel=1e-9)


def noise_of_a_change(key_of_base, key_of_variant, cohorts=40, draws=1_000):
    """Sd of the difference made by 3% of the shape, as a share of that of independent draws."""
    base, variant = np.zeros(draws), np.zeros(draws)
    for cohort in range(cohorts):
        shape = 100.0 + 10.0 * cohort
        base += gamma(chance.uniforms(key_of_base, 0, draws, cohort), shape)
        variant += gamma(chance.uniforms(key_of_variant, 0, draws, cohort), 1.03 * shape)
    return np.std(variant - base) / math.hypot(np.std(base), np.std(variant))


def test_a_small_change_of_shape_makes_a_difference_with_almost_no_noise():
    assert noise_of_a_change(KEY, KEY) < 0.015


def test_draws_from_different_keys_do_not_share_their_noise():
    assert 0.9 < noise_of_a_change(KEY, OTHER_KEY) < 1.1


def test_a_sum_of_amounts_is_drawn_by_its_shape():
    """Twelve amounts of shape 0.7 are one of shape 8.4: their mean, sd and 95th percentile, at 100,000 draws."""
    draws = 100_000
    parts = sum(gamma(chance.uniforms(KEY, 0, draws, 100 + i), 0.7) for i in range(12))
    whole = gamma(chance.uniforms(KEY, 0, draws, 200), 8.4)
    assert parts.mean() == pytest.approx(whole.mean(), abs=5.0 * math.sqrt(2.0 * 8.4 / draws))
    assert parts.std() == pytest.approx(whole.std(), rel=0.02)
    assert np.quantile(parts, 0.95) == pytest.approx(chance.gamma_quantile(0.95, 8.4), rel=0.01)
    assert np.quantile(parts, 0.95) != pytest.approx(chance.gamma_quantile(0.95, 8.4 * 1.03), rel=0.01)


def test_the_ends_give_the_ends():
    for shape in (0.05, 1.0, 25.0, 1e9):
        assert chance.gamma_quantile(0.0, shape) == 0.0
        assert chance.gamma_quantile(1.0, shape) == chance.gamma_quantile(1.0 - 2.0**-53, shape)
        assert math.isfinite(chance.gamma_quantile(1.0, shape))
        assert chance.gamma_cdf(0.0, shape) == 0.0
        assert chance.gamma_cdf(math.inf, shape) == 1.0
    for u in (1e-12, 0.5, 1.0):
        assert chance.gamma_quantile(u, 0.0) == 0.0
    assert chance.gamma_cdf(0.0, 0.0) == 1.0
    assert chance.gamma_cdf(-1.0, 0.0) == 0.0
    assert chance.gamma_quantile(1e-300, 0.05) == 0.0  # below the least float
    assert chance.gamma_cdf(chance.gamma_quantile(1e-100, 100.0), 100.0) == pytest.approx(1e-100, rel=1e-11)


def test_numbers_that_are_not_numbers_are_refused():
    for u, shape in ((math.nan, 3.0), (math.nan, 300.0), (0.5, math.nan), (0.5, 1e18), (0.5, math.inf)):
        with pytest.raises(ValueError, match="numbers"):
            chance.gamma_quantile(u, shape)
