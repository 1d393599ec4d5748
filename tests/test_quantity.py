import contextlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simulator.quantity import UNITS, Quantity, QuantityError, fixed, named, parse

ROOT = Path(__file__).resolve().parent.parent
EXACT = {"derandomize": True, "deadline": None, "max_examples": 200}


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        (3, "number", 3.0),
        ("12.5", "number", 12.5),
        ("250k", "number", 250_000.0),
        ("1e6", "number", 1e6),
        ("+.5", "number", 0.5),
        ("18_000", "money", 18_000.0),
        ("1.2m", "money", 1_200_000.0),
        ("2.5 bn", "money", 2.5e9),
        ("3 million", "money", 3e6),
        ("GBP 5m", "money", 5e6),
        ("5m GBP", "money", 5e6),
        ("£250k", "money", 250_000.0),
        ("-£250k", "money", -250_000.0),
        ("£-250k", "money", -250_000.0),
        ("€1_000.50", "money", 1000.5),
        ("10%", "share", 0.1),
        ("7 %", "share", 0.07),
        ("-10%", "share", -0.1),
        ("\u221210%", "share", -0.1),
        ("0.1", "share", 0.1),
        (0.1, "share", 0.1),
        ("5 points", "share", 0.05),
        ("5 percentage points", "share", 0.05),
        ("5 per cent", "share", 0.05),
        ("3.5%", "rate", 0.035),
        ("5% a year", "rate", 0.05),
        ("18 months", "duration", 18.0),
        ("1 month", "duration", 1.0),
        ("2 years", "duration", 24.0),
        ("1 quarter", "duration", 3.0),
        ("6 weeks", "duration", 42 * 12 / 365.25),
        ("365.25 days", "duration", 12.0),
        (0, "duration", 0.0),
        ("0", "duration", 0.0),
    ],
)
def test_fixed_values(text, unit, value):
    quantity = parse(text, unit)
    assert quantity.is_fixed
    assert quantity.value == pytest.approx(value, rel=1e-15)
    assert (quantity.mean(), quantity.sd(), quantity.support()) == (
        quantity.value,
        0.0,
        (quantity.value,) * 2,
    )


def test_percentages_are_exact():
    for hundredths in range(-1000, 1001):
        assert parse(f"{hundredths / 10}%", "share").value == hundredths / 1000


@pytest.mark.parametrize(
    ("text", "unit", "canonical"),
    [
        ("5% to 15%", "share", "5% to 15%"),
        ("5 to 15%", "share", "5% to 15%"),
        ("-10% to -5%", "share", "-10% to -5%"),
        ("6 to 18 months", "duration", "6 months to 18 months"),
        ("£1m to £2m", "money", "1000000 to 2000000"),
        ("10% ± 4%", "share", "normal(mean 10%, sd 4%)"),
        ("10%±4%", "share", "normal(mean 10%, sd 4%)"),
        ("10% +- 4%", "share", "normal(mean 10%, sd 4%)"),
        ("10% +/- 4%", "share", "normal(mean 10%, sd 4%)"),
        ("10 ± 4%", "share", "normal(mean 10%, sd 4%)"),
        ("normal(mean 1.55, sd 0.10)", "number", "normal(mean 1.55, sd 0.1)"),
        ("normal(mean 1.55 sd 0.10)", "number", "normal(mean 1.55, sd 0.1)"),
        ("normal(mean=1.55, sd=0.10)", "number", "normal(mean 1.55, sd 0.1)"),
        ("normal(sd .1 mean 1)", "number", "normal(mean 1, sd 0.1)"),
        ("Normal (1.55 , 0.1)", "number", "normal(mean 1.55, sd 0.1)"),
        ("normal(10%, sd 4%)", "share", "normal(mean 10%, sd 4%)"),
        ("normal(mean -10%, sd 8%)", "share", "normal(mean -10%, sd 8%)"),
        ("normal(mean\n  1,\n  sd 2)", "number", "normal(mean 1, sd 2)"),
        ("beta(2, 8)", "share", "beta(alpha 2, beta 8)"),
        ("beta(alpha 2 beta 8)", "share", "beta(alpha 2, beta 8)"),
        ("beta(2, 8, 5%, 50%)", "share", "beta(alpha 2, beta 8, low 5%, high 50%)"),
        ("beta(mean 10%, sd 3%)", "share", "beta(mean 10%, sd 3%)"),
        ("beta(mean 0%, sd 10%, low -100%)", "share", "beta(mean 0%, sd 10%, low -100%)"),
        (
            "beta(mean 2m sd 500k low 0 high 5m)",
            "money",
            "beta(mean 2000000, sd 500000, low 0, high 5000000)",
        ),
        ("pert(1 2 3)", "number", "pert(low 1, mode 2, high 3)"),
        ("pert(1 month, 2 months, 1 quarter)", "duration", "pert(low 1 month, mode 2 months, high 3 months)"),
        ("triangular(mode 2 low 1 high 3)", "number", "triangular(low 1, mode 2, high 3)"),
        ("uniform(£1m £2m)", "money", "uniform(low 1000000, high 2000000)"),
        ("uniform(-5%, -1%)", "share", "uniform(low -5%, high -1%)"),
        ("lognormal(mean 3, sd 1)", "number", "lognormal(mean 3, sd 1)"),
        ("lognormal(median 3 months sd_log 0.5)", "duration", "lognormal(median 3 months, sd_log 0.5)"),
        ("gamma(mean 3, sd 1)", "number", "gamma(mean 3, sd 1)"),
        ("truncated(10% ± 4%, 0%, none)", "share", "truncated(normal(mean 10%, sd 4%), 0%, none)"),
        ("truncated(5% to 15% low none high 100%)", "share", "truncated(5% to 15%, none, 100%)"),
        ("truncated(normal(0, 1), none, none)", "number", "normal(mean 0, sd 1)"),
        ("mixture(70% 1 ± 2, 30% uniform(0, 1))", "number", None),
        ("mixture(70% 5% to 15% 20% 0% 10% 10% ± 4%)", "share", None),
        ("mixture(100% 1 ± 2)", "number", "normal(mean 1, sd 2)"),
        ("empirical(file.csv, column)", "number", "empirical(file.csv, column)"),
        ("empirical(../a/b.csv two words)", "number", 'empirical(../a/b.csv, "two words")'),
        ('empirical("a, ""b"".csv", "c (d)")', "number", 'empirical("a, ""b"".csv", "c (d)")'),
        ("normal(1, 0)", "number", "1"),
        ("5% to 5%", "share", "5%"),
        ("uniform(2, 2)", "number", "2"),
        ("pert(2, 2, 2)", "number", "2"),
        ("1.2m", "money", "1200000"),
        ("-0", "number", "0"),
        ("1e-9", "number", "1e-9"),
        ("2 years", "duration", "24 months"),
        ("success rate", "share", "success rate"),
    ],
)
def test_canonical_text(text, unit, canonical):
    quantity = parse(text, unit)
    assert canonical is None or quantity.text() == canonical
    assert str(quantity) == quantity.text()
    again = parse(quantity.text(), unit)
    assert again == quantity
    assert hash(again) == hash(quantity)


AMOUNTS = {
    "number": st.floats(-1e6, 1e6).map(repr),
    "share": st.floats(-2, 2).map(repr) | st.floats(-200, 200).map(lambda x: f"{x!r}%"),
    "rate": st.floats(-100, 100).map(lambda x: f"{x!r}%"),
    "money": st.floats(-1e9, 1e9).map(lambda x: f"{x!r} GBP") | st.integers(-999, 999).map("{}k".format),
    "duration": st.tuples(st.floats(0, 100), st.sampled_from(["days", "weeks", "months", "years"])).map(
        lambda x: f"{x[0]!r} {x[1]}"
    ),
}
SHAPES = st.floats(0.05, 1e4).map(repr)


@st.composite
def written(draw, unit, depth=2):
    amount = AMOUNTS[unit]
    forms = ["fixed", "to", "±", "normal", "uniform", "pert", "triangular", "beta", "shape", "log", "gamma"]
    form = draw(st.sampled_from(forms + (["truncated", "mixture"] if depth else [])))
    comma = draw(st.sampled_from([", ", " ", ",", " , "]))
    one, two, three = draw(amount), draw(amount), draw(amount)
    if form == "fixed":
        return one
    if form in {"to", "±"}:
        return f"{one} {form} {two}"
    if form in {"pert", "triangular"}:
        return f"{form}({comma.join((one, two, three))})"
    if form in {"normal", "uniform"}:
        return f"{form}({one}{comma}{two})"
    if form == "gamma":
        return f"gamma(mean {one}{comma}sd {two})"
    if form == "beta":
        return f"beta(mean {one}{comma}sd {two}{comma}low {three}{comma}high {draw(amount)})"
    if form == "shape":
        return f"beta({draw(SHAPES)}{comma}{draw(SHAPES)}{comma}low {one}{comma}high {two})"
    if form == "log":
        return f"lognormal(median {one}{comma}sd_log {draw(st.floats(0, 3))!r})"
    inner = written(unit, depth=depth - 1)
    if form == "truncated":
        bound = st.just("none") | amount
        return f"truncated({draw(inner)}{comma}{draw(bound)}{comma}{draw(bound)})"
    share = draw(st.integers(0, 100))
    return f"mixture({share}% {draw(inner)}, {100 - share}% {draw(inner)})"


@settings(**EXACT | {"max_examples": 1500})
@given(st.sampled_from(UNITS).flatmap(lambda unit: st.tuples(written(unit), st.just(unit))))
def test_text_round_trip(case):
    text, unit = case
    try:
        quantity = parse(text, unit)
    except QuantityError:
        return
    assert parse(quantity.text(), unit) == quantity


@settings(**EXACT)
@given(st.floats(-1e100, 1e100), st.sampled_from(UNITS))
def test_fixed_round_trip(value, unit):
    assert parse(fixed(value, unit).text(), unit) == fixed(value, unit)


def test_the_round_trip_strategy_is_not_empty():
    kinds = set()

    @settings(**EXACT | {"max_examples": 800})
    @given(written("number"))
    def collect(text):
        with contextlib.suppress(QuantityError):
            kinds.add(parse(text, "number").kind)

    collect()
    assert len(kinds) > 8


@pytest.mark.parametrize(
    ("text", "unit", "words"),
    [
        (True, "share", ["true", "10%"]),
        (None, "share", ["NoneType"]),
        ("", "share", ["nothing"]),
        ("yes", "share", ["'yes'", "10%"]),
        ("1,200", "money", ["comma", "_"]),
        ("1,5%", "share", ["comma"]),
        ("1.200.000", "money", ["1.200.000"]),
        ("0x1F", "number", ["0x1F"]),
        ("0o17", "number", ["0o17"]),
        ("010", "number", ["starts with a 0", "write 10"]),
        ("1__0", "number", ["1__0"]),
        ("10abc", "number", ["10abc"]),
        ("12:30", "number", ["12:30"]),
        ("2010-09", "number", ["2010-09"]),
        ("--5", "number", ["--5"]),
        ("- - 5", "number", ["- - 5"]),
        ("-£-5", "money", ["two signs"]),
        ("inf", "number", ["finite"]),
        ("-.NaN", "number", ["finite"]),
        (math.inf, "number", ["finite"]),
        (math.nan, "share", ["finite"]),
        ("1e999", "number", ["out of range"]),
        ("1e9999999999", "number", ["out of range"]),
        (10**400, "number", ["too large"]),
        (10, "duration", ["no unit", "10 months"]),
        ("10", "duration", ["no unit", "months"]),
        ("18m", "duration", ["months or years"]),
        ("10%", "number", ["percentage"]),
        ("10%", "money", ["percentage"]),
        ("10k", "share", ["10k"]),
        ("2 years", "number", ["duration"]),
        ("£5", "number", ["money"]),
        ("GBP 5 GBP", "money", ["'GBP'"]),
        ("5%%", "share", ["'%'"]),
        ("5 6", "number", ["'6'"]),
        ("640000 a year", "money", ["a year"]),
        ("at least 10%", "share", ["at least 10%"]),
        ("nromal(1, 2)", "number", ["nromal", "did you mean normal"]),
        ("ten (10)", "number", ["ten", "normal, beta"]),
        ("normal", "number", ["parentheses", "normal(mean, sd)"]),
        ("normal mean 1 sd 2", "number", ["parentheses"]),
        ("normal(1, 2", "number", ["never closes"]),
        ("normal(1, 2))", "number", ["never opens"]),
        ("normal(1)", "number", ["normal(mean, sd)"]),
        ("normal()", "number", ["normal(mean, sd)"]),
        ("normal(1, 2, 3)", "number", ["normal(mean, sd)"]),
        ("normal(10,000, 500)", "number", ["comma"]),
        ("uniform(10,000)", "number", ["'000'"]),
        ("normal(1,, 2)", "number", ["comma"]),
        ("normal(, 1, 2)", "number", ["comma"]),
        ("normal(1, 2,)", "number", ["comma"]),
        ("normal(men 1, sd 2)", "number", ["'men'", "did you mean mean"]),
        ("normal(mean 1, mean 2)", "number", ["twice"]),
        ("normal(mean cost, sd 2)", "number", ["cost"]),
        ("normal(mean 1, sd -2)", "number", ["sd must be at least 0"]),
        ("1 ± -2", "number", ["sd must be at least 0"]),
        ("normal(mean 10%, sd 4)", "share", ["percentages", "%"]),
        ("truncated(normal(mean 10%, sd 4%), 0, 100)", "share", ["percentages beside 100"]),
        ("15% to 5%", "share", ["below"]),
        ("5% to 15", "share", ["one number only"]),
        ("2 to 3m", "money", ["two ways"]),
        ("6 months to 18", "duration", ["one number only"]),
        ("1 to 2 to 3", "number", ["to 3"]),
        ("uniform(2, 1)", "number", ["low must be below high"]),
        ("pert(1, 0, 3)", "number", ["mode between"]),
        ("pert(1, 4, 3)", "number", ["mode between"]),
        ("triangular(3, 2, 1)", "number", ["low must be below high"]),
        ("beta(0, 1)", "share", ["above 0"]),
        ("beta(2, 8, 50%, 50%)", "share", ["low below high"]),
        ("beta(10%, 3%)", "share", ["percentage"]),
        ("beta(mean 10%, sd 30%)", "share", ["sd must be below 30%"]),
        ("beta(mean 110%, sd 3%)", "share", ["between 0% and 100%"]),
        ("beta(mean 0%, sd 3%)", "share", ["between 0% and 100%"]),
        ("beta(mean 2m, sd 500k)", "money", ["low and high"]),
        ("beta(alpha 2, sd 1)", "share", ["wrong arguments"]),
        ("beta(mean 50%, sd 49.99%)", "share", ["too extreme"]),
        ("lognormal(1, 2)", "number", ["without names"]),
        ("lognormal(mean 0, sd 1)", "number", ["above 0"]),
        ("lognormal(median 1, sd_log 11)", "number", ["at most 10"]),
        ("gamma(2, 1)", "number", ["without names"]),
        ("gamma(mean -1, sd 1)", "number", ["above 0"]),
        ("gamma(mean 1e20, sd 1e-20)", "number", ["'gamma("]),
        ("truncated(normal(0, 1), 5, 4)", "number", ["low must be below high"]),
        ("truncated(normal(0, 1), 50, none)", "number", ["almost nothing"]),
        ("truncated(normal(0, 1), 0)", "number", ["lacks high"]),
        ("truncated()", "number", ["lacks a distribution"]),
        ("truncated(normal(0, 1), 0, 1, 2)", "number", ["not understood"]),
        ("mixture(70% 1, 20% 2)", "number", ["90%", "100%"]),
        ("mixture(0% 1, 100% 2)", "number", ["above 0%"]),
        ("mixture(100%)", "number", ["lacks a share"]),
        ("empirical(a b.csv, c)", "number", ["file and a column"]),
        ("empirical(a.csv)", "number", ["file and a column"]),
        ("truncated(" * 50, "number", ["nested too deeply"]),
        ("1" * 20_000, "number", ["20000 characters"]),
    ],
)
def test_errors_say_what_is_wrong(text, unit, words):
    with pytest.raises(QuantityError) as caught:
        parse(text, unit)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


WORDS = """normal( beta( truncated( mixture( empirical( ) , 10% 2 to ± +- = mean sd low none £ k months
- " GBP 1e9 _ . 70%"""


@settings(**EXACT | {"max_examples": 1500})
@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from(WORDS.split()),
        max_size=14,
    ).map(" ".join),
    st.sampled_from(UNITS),
)
def test_any_text_is_a_quantity_or_a_quantity_error(text, unit):
    try:
        quantity = parse(text, unit)
    except QuantityError as error:
        assert "\n" not in str(error)
    else:
        assert parse(quantity.text(), unit) == quantity


def test_unknown_units_are_a_programming_error():
    with pytest.raises(ValueError, match="unknown unit"):
        parse(1, "people")


def test_names():
    quantity = parse("success rate", "share")
    assert quantity == named("success rate", "share")
    assert quantity.is_named
    assert quantity.name == "success rate"
    for use in (
        quantity.mean,
        quantity.sd,
        quantity.support,
        lambda: quantity.value,
        lambda: quantity.cdf(0),
    ):
        with pytest.raises(QuantityError, match="success rate"):
            use()
    with pytest.raises(QuantityError, match="not a name"):
        _ = parse(1, "share").name


def test_currency_of_another_deal_is_an_error():
    assert parse("£5", "money", currency="GBP").value == 5
    assert parse("$5", "money", currency="AUD").value == 5
    assert parse("5", "money", currency="EUR").value == 5
    for text in ("£5", "USD 5", "uniform(1 EUR, 2 USD)"):
        with pytest.raises(QuantityError, match="another currency"):
            parse(text, "money", currency="EUR")


def test_quantities_are_immutable_values():
    quantity = parse("normal(1, 2)", "number")
    assert quantity == Quantity("normal", (1.0, 2.0), "number")
    assert quantity != parse("normal(1, 2)", "money")
    assert len({quantity, parse("1 ± 2", "number")}) == 1
    with pytest.raises(AttributeError):
        quantity.kind = "beta"


NINETY = stats.norm.ppf(0.95)
REFERENCE = [
    ("normal(3, 2)", stats.norm(3, 2)),
    ("5 to 15", stats.norm(10, 5 / NINETY)),
    ("uniform(-1, 4)", stats.uniform(-1, 5)),
    ("triangular(1, 2, 4)", stats.triang(1 / 3, 1, 3)),
    ("triangular(1, 1, 4)", stats.triang(0, 1, 3)),
    ("triangular(1, 4, 4)", stats.triang(1, 1, 3)),
    ("pert(1, 2, 4)", stats.beta(1 + 4 / 3, 1 + 8 / 3, 1, 3)),
    ("pert(1, 1, 4)", stats.beta(1, 5, 1, 3)),
    ("beta(2, 8)", stats.beta(2, 8)),
    ("beta(2, 0.9, -1, 3)", stats.beta(2, 0.9, -1, 4)),
    ("beta(mean 0.2, sd 0.1)", stats.beta(3, 12)),
    ("lognormal(median 3, sd_log 0.5)", stats.lognorm(0.5, scale=3)),
    ("lognormal(mean 3, sd 1)", stats.lognorm(math.sqrt(math.log(10 / 9)), scale=9 / math.sqrt(10))),
    ("gamma(mean 3, sd 2)", stats.gamma(9 / 4, scale=4 / 3)),
    ("truncated(normal(3, 2), 2, 6)", stats.truncnorm(-0.5, 1.5, 3, 2)),
    ("truncated(normal(3, 2), none, 0)", stats.truncnorm(-np.inf, -1.5, 3, 2)),
    ("truncated(truncated(normal(3, 2), 2, none), none, 6)", stats.truncnorm(-0.5, 1.5, 3, 2)),
    ("truncated(uniform(0, 10), 2, 6)", stats.uniform(2, 4)),
    ("mixture(40% uniform(0, 1), 60% uniform(0, 1))", stats.uniform(0, 1)),
]
U = np.concatenate((np.geomspace(1e-9, 0.01, 30), np.linspace(0.02, 0.98, 97), 1 - np.geomspace(0.01, 1e-9, 30)))


@pytest.mark.parametrize(("text", "reference"), REFERENCE, ids=[text for text, _ in REFERENCE])
def test_against_scipy(text, reference):
    quantity = parse(text, "number")
    assert quantity.mean() == pytest.approx(reference.mean(), rel=1e-10, abs=1e-12)
    assert quantity.sd() == pytest.approx(reference.std(), rel=1e-9)
    np.testing.assert_allclose(quantity.quantile(U), reference.ppf(U), rtol=1e-7, atol=1e-9)
    for x in reference.ppf([0.001, 0.3, 0.9]):
        assert quantity.cdf(x) == pytest.approx(reference.cdf(x), rel=1e-9)
    np.testing.assert_allclose(quantity.support(), reference.support(), rtol=1e-12)


UNCERTAIN = [text for text, _ in REFERENCE] + [
    "mixture(70% normal(1, 2), 30% uniform(0, 1))",
    "mixture(50% normal(0, 1), 50% normal(1000, 1))",
    "mixture(20% 0, 50% gamma(mean 3, sd 1), 30% beta(2, 2))",
    "truncated(mixture(30% 0, 70% normal(1, 1)), 0, none)",
    "truncated(gamma(mean 3, sd 2), 1, 5)",
    "truncated(lognormal(mean 3, sd 2), 1, 5)",
    "truncated(beta(2, 3), 0.2, 0.6)",
    "truncated(triangular(0, 1, 4), 0.5, 3)",
    "truncated(triangular(0, 1, 4), none, 0.5)",
]


@pytest.mark.parametrize("text", UNCERTAIN)
def test_moments_are_those_of_the_quantile_function(text):
    # Gauss-Legendre in each of many cells, finer towards both ends.
    quantity = parse(text, "number")
    ends = np.geomspace(1e-14, 0.01, 60)
    edges = np.concatenate(([0.0], ends, np.linspace(0.01, 0.99, 2000)[1:-1], 1 - ends[::-1], [1.0]))
    nodes, weights = np.polynomial.legendre.leggauss(8)
    width = np.diff(edges)[:, None]
    u = np.clip(edges[:-1, None] + width * (nodes + 1) / 2, 1e-300, 1 - 1e-16)
    x, w = quantity.quantile(u), width * weights / 2
    mean = (x * w).sum()
    assert quantity.mean() == pytest.approx(mean, rel=2e-4, abs=1e-5)
    assert quantity.sd() == pytest.approx(math.sqrt((w * (x - mean) ** 2).sum()), rel=5e-4)


@pytest.mark.parametrize("text", UNCERTAIN)
def test_quantile_inverts_cdf_and_never_falls(text):
    quantity = parse(text, "number")
    x = quantity.quantile(U)
    assert x.shape == U.shape
    assert (np.diff(x) >= 0).all()
    upto = np.array([quantity.cdf(value) for value in x])
    below = np.array([quantity.probability_outside(value, None) for value in x])
    assert (upto >= U - 1e-9).all()
    assert (below <= U + 1e-9).all()
    low, high = quantity.support()
    assert x.min() >= low
    assert x.max() <= high


@pytest.mark.parametrize("text", UNCERTAIN)
def test_quantile_does_not_depend_on_its_neighbours(text):
    quantity = parse(text, "number")
    u = np.random.default_rng(5).random((40, 25))
    whole = quantity.quantile(u)
    assert whole.shape == u.shape
    assert (whole[3:7] == quantity.quantile(u[3:7])).all()
    assert whole[0, 0] == quantity.quantile(u[0, 0])


@settings(**EXACT | {"max_examples": 150})
@given(written("number"), st.lists(st.floats(1e-12, 1 - 1e-12), min_size=2, max_size=20))
def test_any_distribution_is_monotone_and_within_its_support(text, u):
    try:
        quantity = parse(text, "number")
    except QuantityError:
        return
    x = quantity.quantile(np.sort(u))
    low, high = quantity.support()
    assert np.isfinite(x).all()
    assert (np.diff(x) >= 0).all()
    assert x.min() >= low
    assert x.max() <= high
    assert math.isfinite(quantity.mean())
    assert quantity.sd() >= 0
    assert 0 <= quantity.cdf(x[0]) <= 1


def test_ninety_per_cent_interval():
    np.testing.assert_allclose(parse("5% to 15%", "share").quantile([0.05, 0.5, 0.95]), [0.05, 0.1, 0.15])


def test_probability_outside():
    quantity = parse("normal(0, 1)", "number")
    assert quantity.probability_outside(-1.96, 1.96) == pytest.approx(0.05, rel=1e-3)
    assert quantity.probability_outside(None, None) == 0
    assert quantity.probability_outside(0, None) == pytest.approx(0.5)
    assert parse("beta(2, 8)", "share").probability_outside(0, 1) == 0
    assert parse("5", "number").probability_outside(0, 4) == 1
    assert parse("5", "number").probability_outside(5, 5) == 0
    part = parse("mixture(25% -1, 75% 1)", "number")
    assert (part.probability_outside(0, 1), part.probability_outside(-1, 0.5)) == (0.25, 0.75)


def test_checking_a_range_needs_neither_numpy_nor_scipy():
    code = (
        "import sys; from simulator.quantity import parse\n"
        "for text in ('5% to 15%', 'beta(2, 8)', 'truncated(10% ± 4%, 0%, 1)', 'mixture(50% 1%, 50% 2%)'):\n"
        "    q = parse(text, 'share'); q.probability_outside(0, 1); q.mean(); q.sd(); q.text()\n"
        "assert not {'numpy', 'scipy'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=str(ROOT))


# --- files


def write(folder, text, name="data.csv"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def test_empirical(tmp_path):
    write(tmp_path, "\ufeffyear, rate \r\n2010,10%\r\n2011,30%\r\n\r\n2012,20%\r\n2013,20%\r\n")
    quantity = parse("empirical(data.csv, rate)", "share", base=tmp_path)
    assert quantity == parse("empirical(data.csv, rate)", "share").with_base(tmp_path)
    assert quantity == parse(quantity.text(), "share", base=str(tmp_path))
    assert quantity.is_read
    assert quantity.mean() == pytest.approx(0.2)
    assert quantity.sd() == pytest.approx(math.sqrt(0.005))
    assert quantity.support() == (0.1, 0.3)
    u = np.array([0.01, 0.25, 0.26, 0.75, 0.76, 0.99])
    assert quantity.quantile(u).tolist() == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]
    assert [quantity.cdf(x) for x in (0.05, 0.1, 0.2, 0.3)] == [0, 0.25, 0.75, 1]
    assert quantity.probability_outside(0.2, 0.2) == 0.5


def test_empirical_inside_others(tmp_path):
    write(tmp_path, "x\n1\n2\n3\n4\n")
    cut = parse("truncated(empirical(data.csv, x), 2, 3)", "number", base=tmp_path)
    assert (cut.mean(), cut.sd(), cut.support()) == (2.5, 0.5, (2, 3))
    assert cut.quantile([0.4, 0.6]).tolist() == [2, 3]
    mixed = parse("mixture(50% empirical(data.csv, x), 50% uniform(10, 11))", "number", base=tmp_path)
    assert mixed.mean() == pytest.approx(6.5)
    assert mixed.quantile([0.125, 0.126, 0.5, 0.75]).tolist() == pytest.approx([1, 2, 4, 10.5])
    with pytest.raises(QuantityError, match="almost nothing"):
        parse("truncated(empirical(data.csv, x), 5, 6)", "number", base=tmp_path)


def test_mixture_keeps_the_values_of_a_file_exactly(tmp_path):
    values = [round(0.1 * k - 77.7, 1) for k in range(2000)]
    write(tmp_path, "x\n" + "\n".join(map(str, values)) + "\n")
    mixed = parse("mixture(60% empirical(data.csv, x), 40% normal(0, 100))", "number", base=tmp_path)
    found = mixed.quantile(np.random.default_rng(3).random(20_000))
    assert np.isin(found, values).mean() == pytest.approx(0.6, abs=0.02)
    assert (found == 0).any()


def test_empirical_without_its_folder():
    quantity = parse("truncated(empirical(data.csv, x), 2, 3)", "number")
    assert not quantity.is_read
    assert not parse("mixture(50% empirical(data.csv, x), 50% 1)", "number").is_read
    with pytest.raises(QuantityError, match="with_base"):
        quantity.mean()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n", ["no column 'x'", "it has a, b"]),
        ("X,b\n1,2\n", ["no column 'x'"]),
        ("x,x\n1,2\n", ["two columns"]),
        ("x\n", ["no values"]),
        ("", ["no column"]),
        ("x,y\n1,2\n,3\n", ["line 3", "nothing is written"]),
        ("x\n1\nabc\n", ["line 3", "abc"]),
        ("x\n1\nnan\n", ["line 3", "finite"]),
        ("x\n1\n5 to 6\n", ["line 3", "fixed"]),
        ('x\n"1,200"\n', ["line 2", "comma"]),
        (b"x\n\xff\n", ["UTF-8"]),
        (b"x\n\x00\n", ["line 2"]),
    ],
)
def test_empirical_faults(tmp_path, content, words):
    write(tmp_path, content)
    with pytest.raises(QuantityError) as caught:
        parse("empirical(data.csv, x)", "number", base=tmp_path)
    for word in ["data.csv", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empirical_file_missing(tmp_path):
    for name in ("nothing.csv", ".", "a\x00b"):
        with pytest.raises(QuantityError, match="no file"):
            parse(f'empirical("{name}", x)', "number", base=tmp_path)
