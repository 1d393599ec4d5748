"""Measures of flow vectors and their estimates, against closed forms and independent oracles."""

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest
import pyxirr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from simulator import metrics as m
from simulator.compiled import kernel
from simulator.metrics import CoMoments, Moments

ALWAYS = settings(deadline=None, derandomize=True, max_examples=300, database=None)


def flows(*values):
    return np.array(values, dtype=np.float64)


def rate(*values, per_year=1.0):
    return m.irr(flows(*values), per_year)[0]


def code(*values):
    return m.irr(flows(*values), 1.0)[1]


# ---------------------------------------------------------------------------------------------------
# Closed forms
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [1e-13, 1e-6, 0.5, 40.0, 99.999, 100.001, 110.0, 1e4, 1e9, 1e15])
@pytest.mark.parametrize("periods", [1, 2, 7, 31])
@pytest.mark.parametrize("per_year", [1.0, 2.0, 4.0, 12.0])
def test_one_payment_and_one_receipt(back, periods, per_year):
    vector = np.zeros(periods + 1)
    vector[0], vector[-1] = -100.0, back
    expected = min(math.expm1(math.log(back / 100.0) * per_year / periods), 1e150)
    assert m.irr(vector, per_year) == (pytest.approx(expected, rel=1e-12, abs=1e-14), m.FOUND)


@pytest.mark.parametrize("i", [-0.6, -0.2, -0.01, 0.001, 0.05, 0.4, 3.0])
@pytest.mark.parametrize("n", [2, 12, 31])
def test_an_annuity_bought_at_its_price_returns_its_rate(i, n):
    price = (1.0 - (1.0 + i) ** -n) / i
    assert rate(-price, *[1.0] * n) == pytest.approx(i, rel=1e-11, abs=1e-13)
    assert rate(-price, *[1.0] * n, per_year=4.0) == pytest.approx((1.0 + i) ** 4 - 1.0, rel=1e-11)


def test_two_percent_a_quarter_compounds_to_8_24_percent_a_year():
    assert rate(-100.0, 102.0, per_year=4.0) == pytest.approx(1.02**4 - 1.0, rel=1e-13)
    assert rate(-100.0, 2.0, 2.0, 2.0, 102.0, per_year=4.0) == pytest.approx(0.08243216, rel=1e-9)


def test_a_gain_of_a_million_percent_and_a_loss_of_almost_everything():
    assert rate(-1.0, 0.0, 0.0, 0.0, 1e4 + 1.0, per_year=4.0) == pytest.approx(1e4, rel=1e-13)
    assert rate(-1.0, -1.0, 1e-12, 1e-12) == pytest.approx(-1.0 + 1e-6, abs=1e-11)
    assert m.irr(flows(-1.0, -1.0, 1e-12, 1e-12), 4.0) == (-1.0, m.FOUND)
    assert rate(-1e-12, 1e15, per_year=12.0) == pytest.approx(1e150)
    assert rate(-1e-300, 1e300) == pytest.approx(1e150)


def test_zeros_at_either_end_change_nothing():
    assert rate(0.0, 0.0, -100.0, 60.0, 60.0, 0.0, 0.0) == pytest.approx(rate(-100.0, 60.0, 60.0), rel=1e-14)
    assert code(0.0, -100.0, 230.0, -132.0, 0.0) == m.SEVERAL_ROOTS


def test_money_first_is_the_cost_of_a_loan():
    assert m.irr(flows(100.0, -110.0), 1.0) == (pytest.approx(0.10), m.FOUND)
    assert m.irr(flows(50.0, 50.0, 0.0, -60.0, -30.0), 1.0)[0] == pytest.approx(
        pyxirr.irr([50.0, 50.0, 0.0, -60.0, -30.0]), rel=1e-9
    )


# ---------------------------------------------------------------------------------------------------
# Cases without an ordinary root
# ---------------------------------------------------------------------------------------------------


def test_a_total_loss_is_minus_one_and_never_dropped():
    assert m.irr(flows(-100.0, 0.0, -50.0, 0.0), 4.0) == (-1.0, m.TOTAL_LOSS)


@pytest.mark.parametrize("vector", [(), (0.0,), (0.0, 0.0), (0.0, 10.0), (5.0,)])
def test_no_investment_has_no_rate(vector):
    value, what = m.irr(flows(*vector), 4.0)
    assert math.isnan(value)
    assert what == m.NO_INVESTMENT


def test_no_rate_balances_a_small_receipt_before_a_larger_call():
    value, what = m.irr(flows(-100.0, 5.0, -50.0), 1.0)
    assert math.isnan(value)
    assert what == m.NO_ROOT
    assert code(1.0, -1.0, 1.0) == m.NO_ROOT


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_flow_that_is_not_finite_is_reported(bad):
    assert code(-100.0, bad, 50.0) == m.NOT_FINITE
    assert code(bad) == m.NOT_FINITE


def test_a_multiple_of_exactly_one_returns_zero_and_is_no_loss():
    for vector in ((-100.0, 100.0), (-0.3, 0.1, 0.2), (-1.0, -2.0, 0.0, 1.5, 1.5), (-0.7, 0.1, 0.6)):
        assert m.irr(flows(*vector), 4.0) == (0.0, m.FOUND)
        assert not m.is_loss(m.multiple(flows(*vector)))
    assert not m.is_loss(1.0 - 1e-10)
    assert m.is_loss(1.0 - 1e-8)
    assert not m.is_loss(math.nan)


# ---------------------------------------------------------------------------------------------------
# Several roots
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vector", "roots", "chosen"),
    [
        # The multiple is below 1, but both roots are above zero: the nearest all the same.
        ((-100.0, 230.0, -132.0), (0.1, 0.2), 0.1),
        # The multiple is 1: zero is a root.
        ((-100.0, 330.0, -362.0, 132.0), (0.0, 0.1, 0.2), 0.0),
        # The same roots with a multiple below 1, and above it when payer and receiver change places.
        ((-100.0, 280.0, -247.0, 66.0), (-0.5, 0.1, 0.2), -0.5),
        ((100.0, -280.0, 247.0, -66.0), (-0.5, 0.1, 0.2), 0.1),
        ((-10.0, 44.0, -61.5, 27.0), (-0.1, 0.5, 1.0), -0.1),
        # A receipt before the first payment in.
        (
            (1.0, -100.0, 110.0),
            (49.0 - math.sqrt(2390.0), 49.0 + math.sqrt(2390.0)),
            49.0 - math.sqrt(2390.0),
        ),
    ],
)
def test_of_several_roots_the_nearest_with_the_sign_of_the_gain(vector, roots, chosen):
    assert m.all_rates(flows(*vector), 1.0) == pytest.approx(sorted(roots), rel=1e-9, abs=1e-12)
    value, what = m.irr(flows(*vector), 1.0)
    assert what == m.SEVERAL_ROOTS
    assert value == pytest.approx(chosen, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("per_year", [1.0, 4.0])
def test_a_root_counted_twice_is_one_root(per_year):
    for vector in ((-100.0, 220.0, -121.0), (-100.0, 330.0, -363.0, 133.1)):
        value, what = m.irr(flows(*vector), per_year)
        assert what == m.FOUND
        assert value == pytest.approx(1.1**per_year - 1.0, rel=1e-4)


@pytest.mark.parametrize("times", [2, 3, 4])
def test_roots_that_rounding_cannot_separate_are_one(times):
    for growth in np.linspace(0.31, 3.07, 93):
        vector = -np.poly([growth] * times)
        found = m.all_rates(vector, 1.0)
        assert found == pytest.approx([growth - 1.0], rel=1e-2, abs=1e-3), growth
        assert m.irr(vector, 1.0)[1] == m.FOUND


@pytest.mark.parametrize(
    "vector",
    [
        (-3, 0, 9, -6, 9, 6, -9, 0, 3),
        (-3, 2, 5, -4, 3, 4, -5, -2, 3),
        (5, -8, 6, -8, -2, 8, -6, 8, -5),
        (-1.0, 683.5525067378433, 683.5525067378433, -1.0),
    ],
)
def test_a_search_that_begins_where_the_present_value_is_flat_does_not_end_there(vector):
    """Receipts and payments of these have the same mean time."""
    for scale in (1.0, 7.7):
        value, what = m.irr(flows(*vector) * scale, 1.0)
        assert what == (m.SEVERAL_ROOTS if len(vector) == 4 else m.FOUND)
        assert abs(relative_value(flows(*vector), value, 1.0)) < 1e-12
        assert m.all_rates(flows(*vector), 1.0) == pytest.approx(
            [value] if what == m.FOUND else [-value / (1.0 + value), value], rel=1e-9
        )


def sturm_count(coefficients):
    """Number of distinct roots v > 0 of Σ c_t v^t, in exact arithmetic."""

    def trimmed(p):
        while p and p[-1] == 0:
            p = p[:-1]
        return p

    def remainder(a, b):
        a = list(a)
        while len(a) >= len(b):
            factor = a[-1] / b[-1]
            for k in range(1, len(b) + 1):
                a[-k] -= factor * b[-k]
            a = a[:-1]
        return trimmed(a)

    p = trimmed([Fraction(c) for c in coefficients])
    while p and p[0] == 0:
        p = p[1:]
    if len(p) < 2:
        return 0
    chain = [p, [k * c for k, c in enumerate(p)][1:]]
    while len(chain[-1]) > 0:
        rest = remainder(chain[-2], chain[-1])
        if not rest:
            break
        chain.append([-c for c in rest])

    def changes(values):
        signs = [v > 0 for v in values if v != 0]
        return sum(a != b for a, b in itertools.pairwise(signs))

    return changes([q[0] for q in chain]) - changes([q[-1] for q in chain])


def test_sturm_oracle_counts_known_roots():
    assert sturm_count([-100, 230, -132]) == 2
    assert sturm_count([-100, 220, -121]) == 1
    assert sturm_count([-100, 5, -50]) == 0
    assert sturm_count([0, -100, 330, -362, 132, 0]) == 3


EXPECTED_CODE = {0: m.NO_ROOT, 1: m.FOUND}


@ALWAYS
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=9))
@example([-1, 2, -1])
@example([-1, 4, -6, 4, -1])
@example([1, -5, 9, -7, 2])
def test_number_of_roots_is_exact_for_small_whole_flows(vector):
    assume(min(vector) < 0 < max(vector))
    count = sturm_count(vector)
    assert m.all_rates(flows(*vector), 1.0).size == count
    assert code(*vector) == EXPECTED_CODE.get(count, m.SEVERAL_ROOTS)


def test_number_of_roots_is_exact_for_many_small_vectors():
    generator = np.random.default_rng(11)
    seen = np.zeros(6, dtype=int)
    for _ in range(1500):
        vector = generator.integers(-6, 7, generator.integers(3, 9)).astype(float)
        if not vector.min() < 0 < vector.max():
            continue
        count = sturm_count(vector.astype(int).tolist())
        seen[count] += 1
        assert m.irr(vector, 1.0)[1] == EXPECTED_CODE.get(count, m.SEVERAL_ROOTS), vector
    assert seen[:3].min() > 100


def test_roots_agree_with_the_eigenvalues_of_the_companion_matrix():
    generator = np.random.default_rng(12)
    several = 0
    for _ in range(1500):
        vector = generator.normal(size=generator.integers(3, 12))
        growth = np.roots(vector)
        real = growth[np.abs(growth.imag) < 1e-10].real
        expected = np.sort(real[real > 0.0]) - 1.0
        found = m.all_rates(vector, 1.0)
        assert found.size == expected.size, vector
        assert found == pytest.approx(expected, rel=1e-7, abs=1e-9)
        value, what = m.irr(vector, 1.0)
        if expected.size == 0:
            assert what in (m.NO_ROOT, m.NO_INVESTMENT, m.TOTAL_LOSS)
            continue
        several += expected.size > 1
        assert (what == m.SEVERAL_ROOTS) == (expected.size > 1)
        agreeing = found[found * (m.multiple(vector) - 1.0) > 0.0]
        pool = agreeing if agreeing.size else found
        assert value == pytest.approx(pool[np.argmin(np.abs(pool))], rel=1e-9, abs=1e-11)
    assert several > 200


def test_long_vectors_with_known_roots():
    generator = np.random.default_rng(13)
    for _ in range(100):
        growth = np.sort(generator.choice(np.arange(0.5, 2.01, 0.1), 3, replace=False))
        vector = np.poly(growth)
        while vector.size < 121:
            # Factors with no real root of the right sign: (x² + b x + c) with b > 0.
            vector = np.convolve(vector, [1.0, generator.uniform(0.1, 1.0), generator.uniform(0.1, 1.0)])
        assert m.all_rates(vector, 1.0) == pytest.approx(growth - 1.0, rel=1e-5, abs=1e-7)
        assert m.irr(vector, 1.0)[1] == m.SEVERAL_ROOTS


# ---------------------------------------------------------------------------------------------------
# One change of sign: pyxirr, and properties
# ---------------------------------------------------------------------------------------------------


def one_change(generator, size):
    split = generator.integers(1, size)
    amounts = generator.gamma(0.7, 100.0, size) * 10.0 ** generator.uniform(-1.5, 1.5)
    amounts[generator.random(size) < 0.3] = 0.0
    amounts[[0, -1]] += 1.0
    amounts[:split] *= -(10.0 ** generator.uniform(-1.0, 1.0))
    return amounts


def test_agreement_with_pyxirr_where_flows_change_sign_once():
    generator = np.random.default_rng(21)
    compared = 0
    for _ in range(1500):
        vector = one_change(generator, int(generator.integers(2, 41)))
        theirs = pyxirr.irr(vector, silent=True)
        if theirs is None:
            continue
        compared += 1
        ours, what = m.irr(vector, 1.0)
        assert what == m.FOUND
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9), vector
        assert m.irr(vector, 4.0)[0] == pytest.approx(math.expm1(4.0 * math.log1p(ours)), rel=1e-9, abs=1e-12)
    assert compared > 1400


amount = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
investment_first = st.builds(
    lambda paid, got: np.array([-p for p in paid] + got),
    st.lists(amount, min_size=1, max_size=12).filter(lambda a: a[0] > 0.0),
    st.lists(amount, min_size=1, max_size=20).filter(lambda a: a[-1] > 0.0),
)
mixed = st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e3), st.floats(-1e3, -1e-3)), min_size=2, max_size=24).map(
    np.array
)


def relative_value(vector, annual, per_year):
    """Net present value at a rate over the sum of the sizes of its terms."""
    return m.npv(vector, annual, per_year) / m.npv(np.abs(vector), annual, per_year)


@ALWAYS
@given(investment_first, st.sampled_from([1.0, 4.0, 12.0]))
def test_present_value_is_zero_at_the_rate_of_return(vector, per_year):
    value, what = m.irr(vector, per_year)
    assert what == m.FOUND
    if -0.999999 < value < 1e9:
        assert abs(relative_value(vector, value, per_year)) < 1e-9


@ALWAYS
@given(mixed)
def test_present_value_is_zero_at_whatever_rate_is_returned(vector):
    value, what = m.irr(vector, 1.0)
    if what in (m.FOUND, m.SEVERAL_ROOTS) and -0.999999 < value < 1e9:
        assert abs(relative_value(vector, value, 1.0)) < 1e-9


@ALWAYS
@given(mixed)
def test_the_code_counts_the_roots_that_are_listed(vector):
    assume(vector.min() < 0.0 < vector.max())
    assert code(*vector) == EXPECTED_CODE.get(m.all_rates(vector, 1.0).size, m.SEVERAL_ROOTS)


@ALWAYS
@given(investment_first)
def test_rate_below_zero_exactly_when_receipts_fall_short_of_capital(vector):
    ratio = m.multiple(vector)
    assume(abs(ratio - 1.0) > 1e-12)
    assert (m.irr(vector, 4.0)[0] < 0.0) == (ratio < 1.0)


@ALWAYS
@given(mixed)
def test_the_sign_agrees_with_the_gain_when_paid_in_first_and_received_last(vector):
    vector = np.concatenate(([-10.0], vector, [10.0]))
    ratio = m.multiple(vector)
    assume(abs(ratio - 1.0) > 1e-9)
    value, _ = m.irr(vector, 4.0)
    assert (value < 0.0) == (ratio < 1.0)


@pytest.mark.parametrize("scale", [2.0**-900, 1e-290, 1e-15, 3.0, 1e15, 1e300, 2.0**1000])
def test_the_unit_of_money_does_not_matter(scale):
    for vector in (flows(-100, -50, 30, 60, 80), flows(-100, 230, -132), flows(-5, 3, -4, 2, 2, 7)):
        value, what = m.irr(vector, 4.0)
        scaled, scaled_what = m.irr(vector * scale, 4.0)
        assert scaled == pytest.approx(value, rel=1e-11)
        assert scaled_what == what
        assert m.multiple(vector * scale) == pytest.approx(m.multiple(vector), rel=1e-14)


def test_amounts_of_very_different_sizes():
    for vector in (
        (-100.0, 1e-13, 1e-300, *[0.0] * 28, 1e-280),
        (-1e-3, *[0.0] * 20, 1e15, 1.0),
        (-1.0, 1e15, -1e-9, 5.0),
    ):
        value, what = m.irr(flows(*vector), 1.0)
        assert what in (m.FOUND, m.SEVERAL_ROOTS)
        # Near -100% a rate has few digits left of the growth factor.
        tolerance = min(1e-12 + len(vector) * 2.3e-16 / (1.0 + value), 1e-3)
        assert abs(relative_value(flows(*vector), value, 1.0)) < tolerance


# ---------------------------------------------------------------------------------------------------
# Flow vectors side by side
# ---------------------------------------------------------------------------------------------------

SHAPES = ("one change", "whole", "any", "sizes", "scales", "broken", "break even", "sparse", "calls late")


def table_of(generator, shape, rows, periods):
    """Flow vectors of one shape; together the shapes give every code, and what is nearly each of them."""
    size = (rows, periods)
    normal = generator.normal(size=size)
    if shape == "any":
        return normal
    if shape == "whole":
        return generator.integers(-3, 4, size).astype(float)
    if shape == "sizes":
        return normal * 10.0 ** generator.uniform(-12.0, 12.0, size)
    if shape == "scales":
        return normal * 10.0 ** generator.integers(-300, 300, (rows, 1))
    if shape == "broken":
        odd = generator.choice([np.nan, np.inf, -np.inf, 1e308], size)
        tiny = generator.choice([5e-324, -5e-324, 1e-310, 1e-280], size)
        where = generator.random(size) < 0.1
        return np.where(generator.random((rows, 1)) < 0.5, np.where(where, tiny, normal), np.where(where, odd, normal))
    if shape == "sparse":
        return generator.choice([-1.0, 1.0, 0.0], p=[0.1, 0.1, 0.8], size=size) * generator.choice([1.0, 1e-13], size)
    amounts = generator.gamma(0.7, 100.0, size) * (generator.random(size) < 0.7)
    paid = np.arange(periods) < generator.integers(0, periods + 1, (rows, 1))
    table = np.where(paid, -amounts, amounts)
    if shape == "calls late":
        return np.where(generator.random(size) < 0.03, -table, table)
    if shape == "break even":
        out, back = np.where(paid, amounts, 0.0).sum(axis=1), np.where(paid, 0.0, amounts).sum(axis=1)
        near = generator.choice([1.0, 1.0 + 1e-15, 1.0 - 1e-12, 1.0 + 1e-9, 1.0 - 1e-8], rows)
        table *= np.where(paid, 1.0, np.divide(out * near, back, out=np.ones(rows), where=back > 0.0)[:, None])
    return table


def one_by_one(table, per_year):
    rates, codes = zip(*(m.irr(row, per_year) for row in table), strict=True)
    return np.array(rates), np.array(codes)


def differ(rates, expected, per_year):
    """Which rates differ by more than rounding: that of the rate of a period, for as many periods as a year has."""
    with np.errstate(invalid="ignore"):
        far = np.abs(rates - expected) > 5e-14 * per_year * (1.0 + np.abs(expected))
    return far | (np.isnan(rates) != np.isnan(expected))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_is_its_rows(shape):
    generator = np.random.default_rng([31, SHAPES.index(shape)])
    seen = np.zeros(6, dtype=int)
    for periods in (1, 2, 3, 4, 5, 9, 33, 37, 121, 480):
        per_year = float(generator.choice([1.0, 4.0, 12.0]))
        rows = int(generator.integers(60, 140)) if periods < 480 else 20
        table = table_of(generator, shape, rows, periods)
        rates, codes = m.irr_batch(table, per_year)
        expected, what = one_by_one(table, per_year)
        assert codes.tolist() == what.tolist()
        assert not differ(rates, expected, per_year).any()
        assert np.array_equal(np.sign(rates), np.sign(expected), equal_nan=True)  # and exactly 0 where that is
        seen += np.bincount(codes, minlength=6)
    needed = {
        "one change": [m.FOUND, m.NO_INVESTMENT, m.TOTAL_LOSS],
        "broken": [m.NOT_FINITE, m.FOUND, m.SEVERAL_ROOTS],
        "break even": [m.FOUND, m.TOTAL_LOSS],
    }
    assert (seen[needed.get(shape, [m.FOUND, m.NO_INVESTMENT, m.TOTAL_LOSS, m.SEVERAL_ROOTS, m.NO_ROOT])] > 2).all()


def test_a_batch_may_have_any_number_of_rows():
    generator = np.random.default_rng(32)
    for rows in (0, 1, 2, m.LANES - 1, m.LANES, m.LANES + 1, 63, 64, 65, 129):
        table = table_of(generator, "calls late", rows, 12)
        rates, codes = m.irr_batch(table, 4.0)
        assert rates.shape == codes.shape == (rows,)
        if rows:
            expected, what = one_by_one(table, 4.0)
            assert codes.tolist() == what.tolist()
            assert not differ(rates, expected, 4.0).any()
    assert m.irr_batch(np.empty((3, 0)), 4.0)[1].tolist() == [m.NO_INVESTMENT] * 3


def test_rows_of_a_batch_may_lie_in_memory_as_they_like():
    table = table_of(np.random.default_rng(33), "calls late", 150, 25)
    expected = m.irr_batch(table, 4.0)
    for view in (np.asfortranarray(table), np.repeat(table, 2, axis=1)[:, ::2]):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(m.irr_batch(view, 4.0), expected, strict=True))


@kernel
def from_python(columns, number, per_year, rates, codes, scratch):
    m.irr_lanes(columns, number, per_year, rates, codes, scratch)


def in_lanes(columns, number, per_year=4.0, before=0.0):
    rates, codes = np.full(m.LANES, 7.0), np.full(m.LANES, 7)
    from_python(columns, number, per_year, rates, codes, m.irr_scratch(len(columns)) + before)
    return rates.tobytes()[: 8 * number], codes[:number].tolist(), rates[number:], codes[number:]


@pytest.mark.parametrize("periods", [2, 9, 33])
def test_a_lane_knows_nothing_of_the_others(periods):
    """To the last bit: a run must not depend on how its draws are shared out."""
    generator = np.random.default_rng([34, periods])
    table = np.concatenate([table_of(generator, shape, 15, periods) for shape in SHAPES])
    generator.shuffle(table)
    mixed = m.irr_batch(table, 4.0)
    reverse = m.irr_batch(table[::-1], 4.0)
    assert mixed[0].tobytes() == reverse[0][::-1].tobytes()
    for k, row in enumerate(table):
        alone, code, *beyond = in_lanes(np.repeat(row[:, None], m.LANES, axis=1), 1, before=math.nan)
        assert (alone, code) == (mixed[0][k].tobytes(), [mixed[1][k]])
        assert all((each == 7).all() for each in beyond)


def test_columns_beyond_the_number_do_not_matter():
    generator = np.random.default_rng(35)
    columns = np.ascontiguousarray(table_of(generator, "calls late", m.LANES, 21).T)
    whole, codes, *_ = in_lanes(columns, m.LANES)
    for number in (0, 1, 8, m.LANES - 1):
        for other in (0.0, math.nan, math.inf, 1e308, -5.0):
            columns[:, number:] = other
            rates, what, rest, others = in_lanes(columns, number)
            assert (rates, what) == (whole[: 8 * number], codes[:number])
            assert (rest == 7.0).all()
            assert (others == 7).all()
        columns = np.ascontiguousarray(table_of(np.random.default_rng(35), "calls late", m.LANES, 21).T)


def test_a_batch_balances_as_well_as_single_rows():
    """Neither of the two ways is nearer to the root."""
    generator = np.random.default_rng(36)
    table = np.concatenate([-generator.uniform(1, 2, (500, 8)), generator.uniform(0, 2, (500, 24))], axis=1)
    off = {
        name: np.abs([relative_value(row, rate, 4.0) for row, rate in zip(table, rates, strict=True)])
        for name, rates in (("batch", m.irr_batch(table, 4.0)[0]), ("rows", one_by_one(table, 4.0)[0]))
    }
    assert off["batch"].max() < 5e-15
    assert off["batch"].mean() < 1.5 * off["rows"].mean()


def test_a_batch_that_is_a_little_off_is_seen():
    generator = np.random.default_rng(37)
    table = table_of(generator, "one change", 200, 33)
    rates, codes = m.irr_batch(table, 4.0)
    found = codes == m.FOUND
    assert not differ(rates, rates.copy(), 4.0).any()
    assert differ(rates * (1.0 + 1e-11), rates, 4.0)[found & (np.abs(rates) > 0.1)].all()
    assert differ(np.where(found, np.nan, 0.0), rates, 4.0).sum() >= found.sum()


# ---------------------------------------------------------------------------------------------------
# Other measures of one vector
# ---------------------------------------------------------------------------------------------------


def test_multiple_is_receipts_over_capital():
    assert m.multiple(flows(-100.0, -20.0, 30.0, 150.0)) == 1.5
    assert m.multiple(flows(-100.0, 0.0)) == 0.0
    assert math.isnan(m.multiple(flows(0.0, 5.0)))


def test_present_value_by_hand():
    assert m.npv(flows(-100.0, 0.0, 121.0), 0.10, 1.0) == pytest.approx(0.0, abs=1e-12)
    assert m.npv(flows(0.0, 0.0, 0.0, 0.0, 105.0), 0.05, 4.0) == pytest.approx(100.0)
    assert m.npv(flows(-100.0, 60.0, 60.0), 0.0, 4.0) == 20.0
    assert math.isnan(m.npv(flows(-1.0, 1.0), -1.0, 1.0))


@pytest.mark.parametrize(
    ("vector", "years"),
    [
        ((-100.0, 50.0, 50.0, 50.0), 0.5),
        ((-100.0, 100.0, -50.0, 50.0), 0.75),  # touched zero, then called again
        ((-100.0, 99.0), math.nan),
        ((0.0, 10.0), math.nan),
        ((0.0, 0.0, -100.0, 120.0), 0.75),  # from time 0, not from the first call
        ((50.0, -20.0, 0.0), 0.25),  # never out of pocket: at the first payment in
        ((-0.3, 0.1, 0.2 - 1e-12), 0.5),
        ((-100.0, 100.0, 0.0, 0.0), 0.25),
    ],
)
def test_payback_is_when_the_money_is_back_for_good(vector, years):
    assert m.payback(flows(*vector), 4.0) == pytest.approx(years, nan_ok=True)


def test_peak_funding_need_is_the_deepest_point():
    assert m.peak_funding_need(flows(-100.0, 60.0, -70.0, 200.0)) == 110.0
    assert m.peak_funding_need(flows(10.0, -5.0)) == 0.0
    assert m.peak_funding_need(flows(0.0, 0.0)) == 0.0


# ---------------------------------------------------------------------------------------------------
# Moments
# ---------------------------------------------------------------------------------------------------


def test_moments_equal_numpy_over_blocks_of_any_size():
    values = np.random.default_rng(41).lognormal(3.0, 1.0, 20_001) + 1e6
    for size in (1, 7, 4096, 30_000):
        total = Moments()
        for start in range(0, values.size, size):
            total.merge(Moments.of(values[start : start + size]))
        assert total.count == values.size
        assert total.mean == pytest.approx(values.mean(), rel=1e-14)
        assert total.sd == pytest.approx(values.std(ddof=1), rel=1e-10)
        assert total.standard_error == pytest.approx(stats.sem(values), rel=1e-10)


def test_moments_of_blocks_merged_in_order_are_the_same_bits():
    values = np.random.default_rng(42).normal(size=5 * m.BLOCK + 17)
    parts = [Moments.of(values[k : k + m.BLOCK]) for k in range(0, values.size, m.BLOCK)]
    total = Moments()
    for part in parts:
        total.merge(part)
    assert total == Moments.of(values)


def test_undefined_draws_are_left_out():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    assert Moments.of(values) == Moments(2, 2.0, 2.0)
    assert Moments.of(np.full(5, np.nan)) == Moments()
    assert CoMoments.of(values, np.array([2.0, 1.0, np.nan, 1.0])).count == 1


def test_ratio_of_means_and_its_error_agree_with_the_jackknife():
    generator = np.random.default_rng(43)
    n = 4000
    y = generator.gamma(4.0, 2.0, n)
    x = 3.0 * y + generator.normal(0.0, 4.0, n)
    value, error = CoMoments.of(x, y).ratio()
    assert value == pytest.approx(x.sum() / y.sum(), rel=1e-13)
    left_out = (x.sum() - x) / (y.sum() - y)
    jackknife = math.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum())
    assert error == pytest.approx(jackknife, rel=2e-3)
    # Ignoring the covariance is far off, so the comparison can tell.
    ignoring = math.sqrt((x.var() + value**2 * y.var()) / n) / y.mean()
    assert abs(ignoring / jackknife - 1.0) > 0.2


def test_joint_moments_of_drifting_blocks_equal_numpy():
    generator = np.random.default_rng(44)
    y = generator.normal(5.0, 1.0, 3 * m.BLOCK + 5) + np.linspace(0.0, 4.0, 3 * m.BLOCK + 5)
    x = 2.0 * y + generator.normal(size=y.size)
    total = CoMoments.of(x, y)
    covariance = np.cov(x, y) * (x.size - 1)
    assert (total.mean_x, total.mean_y) == pytest.approx((x.mean(), y.mean()), rel=1e-13)
    assert (total.m2_x, total.m2_y, total.m_xy) == pytest.approx(
        (covariance[0, 0], covariance[1, 1], covariance[0, 1]), rel=1e-11
    )


def test_ratio_is_undefined_without_a_denominator():
    assert CoMoments().estimate() == {"value": None, "standard_error": None}
    assert CoMoments.of(flows(1.0, 2.0), flows(1.0, -1.0)).estimate() == {
        "value": None,
        "standard_error": None,
    }
    assert CoMoments.of(flows(1.0), flows(2.0)).estimate() == {"value": 0.5, "standard_error": None}


# ---------------------------------------------------------------------------------------------------
# Quantiles
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [0.05, 0.25, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("n", [1, 2, 5, 6, 71, 72, 100, 999, 100_000, 10_000_000])
def test_interval_ranks_leave_at_most_a_fortieth_on_either_side(n, q):
    low, high = m.quantile_interval_ranks(n, q)
    b = stats.binom(n, q)
    assert low == max(1, low)
    assert b.cdf(low - 1) <= 0.025 or low == 1
    assert b.cdf(low) > 0.025
    assert b.sf(high - 1) <= 0.025 or high == n
    assert b.sf(high - 2) > 0.025
    assert low <= m.quantile_rank(n, q) <= high


def test_quantile_rank_is_not_carried_past_an_integer_by_rounding():
    assert 0.07 * 100 > 7.0
    assert m.quantile_rank(100, 0.07) == 7
    assert m.quantile_rank(100, 0.05) == 5
    assert m.quantile_rank(101, 0.05) == 6
    assert m.quantile_rank(1, 0.05) == 1


def test_intervals_cover_a_percentile_that_sits_on_the_edge_of_an_atom():
    # 5.2% of draws are total losses; the 5th percentile is -1 and, by sample, -1 or about -0.15.
    generator = np.random.default_rng(51)
    n, repeats = 2000, 1500
    truth = {"p05": -1.0, "p50": None}
    covered = dict.fromkeys(truth, 0)
    kernel = 0
    narrow = 0
    # Median of the mixture: 5.2% at -1, the rest normal(0.05, 0.12).
    truth["p50"] = stats.norm.ppf((0.5 - 0.052) / 0.948, 0.05, 0.12)
    for _ in range(repeats):
        values = np.where(generator.random(n) < 0.052, -1.0, generator.normal(0.05, 0.12, n))
        result = m.summary(values)
        for name, true in truth.items():
            low, high = result["intervals"][name]
            covered[name] += low <= true <= high
        low, high = result["intervals"]["p50"]
        middle = result["p50"]
        narrow += abs(truth["p50"] - middle) <= 0.25 * (high - low)
        # The textbook interval: 1.96 standard errors from a normal kernel density at the quantile.
        at = result["p05"]
        width = 1.06 * result["sd"] * n**-0.2
        density = np.exp(-0.5 * np.square((values - at) / width)).mean() / width / math.sqrt(2.0 * math.pi)
        error = math.sqrt(0.05 * 0.95 / n) / density
        kernel += abs(at - truth["p05"]) <= 1.96 * error
    # Three standard errors of 1,500 repeats are 1.7 points.
    assert covered["p05"] / repeats >= 0.95 - 0.017
    assert 0.95 - 0.017 <= covered["p50"] / repeats <= 0.97
    assert narrow / repeats < 0.75
    assert kernel / repeats < 0.75


def test_summary_has_the_documented_keys_and_attained_values():
    values = np.random.default_rng(52).permutation(np.arange(1.0, 1001.0))
    before = values.copy()
    result = m.summary(values)
    assert list(result) == [
        "mean",
        "standard_error",
        "sd",
        "p05",
        "p25",
        "p50",
        "p75",
        "p95",
        "intervals",
        "count",
    ]
    assert [result[p] for p in ("p05", "p25", "p50", "p75", "p95")] == [50.0, 250.0, 500.0, 750.0, 950.0]
    assert result["intervals"]["p50"] == [469.0, 532.0]
    assert result["mean"] == 500.5
    assert result["count"] == 1000
    assert (values == before).all()


def test_summary_of_undefined_draws_is_null_and_never_nan():
    empty = m.summary(np.array([np.nan, np.nan]))
    assert empty["count"] == 0
    assert empty["mean"] is empty["standard_error"] is empty["sd"] is empty["p50"] is None
    assert empty["intervals"]["p95"] == [None, None]
    one = m.summary(np.array([np.nan, 2.0]))
    assert (one["mean"], one["sd"], one["standard_error"], one["p05"], one["count"]) == (
        2.0,
        None,
        None,
        2.0,
        1,
    )
    two = m.summary(np.array([3.0, 1.0]))
    assert two["standard_error"] == pytest.approx(1.0)
    assert two["intervals"]["p50"] == [1.0, 3.0]
    for result in (empty, one, two):
        json.dumps(result, allow_nan=False)


def test_summary_says_when_quantiles_rest_on_fewer_draws():
    values = np.arange(100.0)
    assert "quantile_draws" not in m.summary(values)
    moments = Moments.of(np.concatenate((values, values)))
    result = m.summary(values, moments)
    assert (result["count"], result["quantile_draws"]) == (200, 100)


# ---------------------------------------------------------------------------------------------------
# Probabilities, estimates, expected shortfall
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 10), (1, 100_000), (57_000, 100_000)])
def test_probability_with_the_interval_of_wilson(k, n):
    result = m.probability(k, n)
    low, high = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert result["interval"] == pytest.approx([low, high], rel=1e-12, abs=1e-15)
    assert result["probability"] == k / n
    assert result["standard_error"] == pytest.approx(math.sqrt(k * (n - k) / n**3))
    assert low <= result["probability"] <= high


def test_probability_of_nothing_is_undefined_and_nonsense_is_refused():
    assert m.probability(0, 0) == {"probability": None, "standard_error": None, "interval": [None, None]}
    assert m.probability(0, 5)["interval"][0] == 0.0
    assert m.probability(5, 5)["interval"][1] == 1.0
    with pytest.raises(ValueError, match="6 successes among 5"):
        m.probability(6, 5)


def test_estimate_is_null_where_undefined():
    assert m.estimate(1.5, 0.1) == {"value": 1.5, "standard_error": 0.1}
    assert m.estimate(math.nan, 0.1) == {"value": None, "standard_error": None}
    assert m.estimate(2.0, math.inf) == {"value": 2.0, "standard_error": None}
    assert math.copysign(1.0, m.estimate(-0.0, 0.0)["value"]) == 1.0


@pytest.mark.parametrize("n", [1, 7, 20, 100, 130, 1009])
@pytest.mark.parametrize("level", [0.05, 0.3, 1.0])
def test_expected_shortfall_by_brute_force(n, level):
    values = np.random.default_rng(n).normal(size=n)
    # Each draw as a thousand equal parts, and the worst share of the parts.
    parts = np.sort(np.repeat(values, 1000))
    expected = parts[: max(round(n * 1000 * level), 1)].mean() if n * level >= 1 else values.min()
    value, error = m.expected_shortfall(np.append(values, np.nan), level)
    assert value == pytest.approx(expected, abs=1e-12)
    if math.ceil(round(n * level, 9)) < 2:
        assert math.isnan(error)
        return
    q = np.sort(values)[math.ceil(round(n * level, 9)) - 1]
    psi = q + np.where(values <= q, values - q, 0.0) / level
    assert error == pytest.approx(psi.std(ddof=1) / math.sqrt(n), rel=1e-9)


def test_the_error_of_expected_shortfall_is_its_spread_over_repeats():
    generator = np.random.default_rng(61)
    table = generator.gamma(3.0, 1.0, size=(600, 2000))
    results = np.array([m.expected_shortfall(row) for row in table])
    assert results[:, 0].std(ddof=1) == pytest.approx(results[:, 1].mean(), rel=0.1)


def test_expected_shortfall_edges():
    assert all(math.isnan(x) for x in m.expected_shortfall(np.array([np.nan])))
    value, error = m.expected_shortfall(np.array([-1.0] * 20 + [1.0] * 80))
    assert (value, error) == (-1.0, 0.0)
    values = np.array([3.0, 1.0, 2.0])
    assert m.expected_shortfall(values, 1.0)[0] == pytest.approx(2.0)
    assert values.tolist() == [3.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="level"):
        m.expected_shortfall(values, 0.0)
