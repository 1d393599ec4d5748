"""The description of a deal: names, numbers and rules, and no arrays.

A deal file is validated by these models. People write short forms (`rate_card`, `group_threshold`,
`control_comparison`, `fee`); :func:`resolve` turns them into rows of one clause grammar, and everything
downstream reads the resolved form only. A number may be uncertain wherever the type is a
:class:`~simulator.quantity.Quantity`; sizes of the model (step, horizon, dates) may not.

Conventions: shares and rates are fractions, durations are months, money is in the deal's currency.
Period ``t`` is the half-open interval ``(t-1, t]`` of one step, counted from ``time.start``; what happens in a
period is booked at its end.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    Strict,
    Tag,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import core_schema

from simulator.quantity import Quantity, QuantityError, fixed, has_percentage, parse
from simulator.yamlfile import join_path, nearest, split_path

MONTHS_A_STEP = {"month": 1, "quarter": 3, "half year": 6, "year": 12}
MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
INFINITY = float("inf")


@dataclass(frozen=True)
class Range:
    """What a number may be, and the value that switches it off where it is a nuisance.

    Parameters
    ----------
    low, high
        Legal bounds, both inclusive, in the unit of the quantity.
    neutral
        Value that makes a nuisance harmless (attrition 0, delay 0, …); None where the number is no nuisance.
    chance
        Whether a percentage there is a chance although the number may exceed 1 (a level of yes/no or of events).
    percent
        Whether it may be written as a percentage or as a plain number, whichever the outcome calls for.
    """

    low: float = -INFINITY
    high: float = INFINITY
    neutral: float | None = None
    chance: bool = False
    percent: bool = False

    def check(self, quantity: Quantity) -> None:
        """Raise QuantityError if the quantity leaves its range by more than one draw in a thousand."""
        if quantity.kind == "named":
            return
        low, high = quantity.support()
        if low >= self.low and high <= self.high:
            return
        allowed = self.allowed(quantity.unit, high if quantity.is_fixed else 0.0)
        if quantity.is_fixed:
            raise QuantityError(f"{quantity.text()} is out of range; {allowed}")
        outside = quantity.probability_outside(self.low, self.high)
        if outside > 0.001:
            bounds = f"{_bound_text(self.low, quantity.unit)}, {_bound_text(self.high, quantity.unit)}"
            text = quantity.text()
            say = f"truncated({text}, {bounds})"
            if quantity.kind == "range" and self.low <= quantity.args[0] and quantity.args[1] <= self.high:
                say = f"uniform({text.replace(' to ', ', ')}) for values between the two, or {say}"
            raise QuantityError(f"{text} is out of range in {outside:.1%} of draws; {allowed}: say {say}")

    def allowed(self, unit: str, most: float = 0.0) -> str:
        """Say what is allowed, in the words of the file, to who wrote a number of at most so much."""
        return f"allowed: {self.words(unit, beyond=most > self.high)}"

    def words(self, unit: str, *, beyond: bool = False) -> str:
        """Return the bounds in the words of the file, such as `0% to 100%` or `at least 0 months`.

        A bound that only keeps arithmetic exact is said to who went `beyond` it.
        """
        if self.high >= _NO_LIMIT and not beyond:
            return f"at least {_bound_text(self.low, unit)}"
        return f"{_bound_text(self.low, unit)} to {_bound_text(self.high, unit)}"


_NO_LIMIT = 1e12  # legal bounds from here on only keep arithmetic exact


def _bound_text(bound: float, unit: str) -> str:
    return "none" if abs(bound) == INFINITY else fixed(bound, unit).text()


@dataclass(frozen=True)
class Worded:
    """A quantity with words that say how it is meant: `at least 10%`, `640000 a year`, `10 per person`.

    Parameters
    ----------
    form
        The words, in their canonical form.
    quantity
        The number.
    before
        Whether the words stand before the number.
    """

    form: str
    quantity: Quantity
    before: bool = False

    def text(self) -> str:
        """Return the text of the deal file."""
        if not self.form:
            return self.quantity.text()
        return f"{self.form} {self.quantity.text()}" if self.before else f"{self.quantity.text()} {self.form}"


def _unit(value: Any, unit: str) -> str:
    """Unit in which a value is read: a level or a bound may be a share (30%) or a number (1.55)."""
    return "share" if unit == "number" and isinstance(value, str) and has_percentage(value) else unit


def _no_base(value: float | str) -> None:
    """Refuse a rate that says real or nominal where there is no choice: rises of prices and the investors' paper."""
    if isinstance(value, str) and value.split()[-1:] in (["real"], ["nominal"]):
        rate = value.rsplit(maxsplit=1)[0]
        raise ValueError(
            f"{value!r} would mix nominal and real: this rate is of nominal money; allowed: {rate}, or a discount rate "
            "that is real under rates"
        )


def _within(quantity: Quantity, legal: Range) -> Quantity:
    """Read `80% to 95%` of a chance so that it stays one."""
    return quantity.as_chance() if legal.chance or (legal.low >= 0 and legal.high <= 1) else quantity


def plain_value(value: Any) -> Any:
    """Serialise a quantity as it would be written in a file: numbers stay numbers."""
    if isinstance(value, Worded):
        return value.text()
    if value.is_fixed and value.unit in {"number", "money"}:
        number = value.value
        return int(number) if float(number).is_integer() and abs(number) < 1e15 else number
    return value.text()


@dataclass(frozen=True)
class Reads:
    """How a number of the file is read: its unit, and what it may be. Metadata of an annotated type."""

    unit: str
    legal: Range
    examples: tuple[str | float, ...] = ()
    """What an editor offers; by default the examples of the unit."""

    def read(self, value: Any, info: ValidationInfo) -> Quantity:
        """Read a value; raises ValueError with what is wrong and what is allowed."""
        if isinstance(value, Quantity):
            quantity = value
        else:
            if value is None or not isinstance(value, (int, float, str)):
                raise ValueError(f"{_kind_of(value)} is no {self.unit}; allowed: a number or a distribution")
            if self.unit == "rate":
                _no_base(value)
            unit = _unit(value, self.unit) if self.legal.chance or self.legal.percent else self.unit
            quantity = _within(_parsed(value, unit, info), self.legal)
        self.legal.check(quantity)
        return quantity

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(plain_value)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        neutral = self.legal.neutral
        return {
            "type": ["number", "string"],
            "description": f"{_NOUNS[self.unit]}, any distribution, or a name under quantities."
            + ("" if neutral is None else f" Neutral: {_bound_text(neutral, self.unit)}."),
            "examples": list(self.examples or EXAMPLES[self.unit]),
        }


@dataclass(frozen=True)
class ReadsWorded:
    """How a number with words is read: `at least 10%`, `640000 a year`. Metadata of an annotated type.

    `forms` pairs accepted words with their canonical form; `default` is the form of a bare number.
    """

    unit: str
    legal: Range
    forms: tuple[tuple[str, str], ...]
    before: bool
    default: str | None
    what: str
    words: tuple[str, ...] = ()
    """Words that may stand in place of a number, for messages."""
    examples: tuple[str | float, ...] = ()
    """What an editor offers."""

    def read(self, value: Any, info: ValidationInfo) -> Worded:
        """Read a value; raises ValueError with what is wrong and what is allowed."""
        if isinstance(value, Worded):
            return value
        form = self.default
        number: Any = value
        if isinstance(value, str):
            text = " ".join(value.split())
            for words, canonical in sorted(self.forms, key=lambda pair: -len(pair[0])):
                if self.before and text.lower().startswith(words + " "):
                    form, number = canonical, text[len(words) + 1 :]
                    break
                if not self.before and text.lower().endswith(" " + words):
                    form, number = canonical, text[: -len(words) - 1]
                    break
        if form is None or number is None or not isinstance(number, (int, float, str)):
            raise ValueError(f"{_kind_of(value)} is no {self.what}; allowed: {self.allowed()}")
        try:
            quantity = _parsed(number, _unit(number, self.unit), info)
        except QuantityError as error:
            if number is value and isinstance(value, str):  # no words were found: perhaps others were meant
                raise ValueError(f"{error}; allowed: {self.allowed()}") from None
            raise
        self.legal.check(quantity)
        return Worded(form, quantity, self.before)

    def allowed(self) -> str:
        """List the forms."""
        named = dict.fromkeys(canonical for _, canonical in self.forms)
        number = {"money": "AMOUNT", "duration": "DURATION", "rate": "RATE"}.get(self.unit, "NUMBER")
        forms = [f"{form} {number}" if self.before else f"{number} {form}" for form in named]
        return " | ".join([*forms, *self.words])

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(plain_value)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": ["number", "string"],
            "description": f"{self.allowed()}; the number may be uncertain.",
            "examples": list(self.examples),
        }


def _parsed(value: str | float, unit: str, info: ValidationInfo) -> Quantity:
    """Read a quantity; a name must be one of those that the context knows, if it knows any."""
    context = dict(info.context or {})
    names = context.pop("quantities", None)
    quantity = parse(value, unit, **context)
    if quantity.kind == "named" and names is not None and quantity.name not in names:
        raise ValueError(unknown_name(quantity.name, names, str(info.field_name)))
    return quantity


# words that may stand in place of a number
_WORDS = {
    "against": ("comparison_arm", "baseline", "before"),
    "without_service": ("as with service",),
    "dispersion": ("none",),
    "called": ("at the start",),
}


def unknown_name(name: str, known: Iterable[str], key: str) -> str:
    """Say that a name under a key of the file is no quantity."""
    words = _WORDS.get(key, ())
    near = nearest(name, [*known, *words])
    numbers = "a number, a distribution such as normal(mean 10%, sd 4%), or a name under quantities"
    hint = f"did you mean {near!r}?" if near else f"allowed: {', '.join([*words, numbers])}"
    return f"{name!r} is neither a number, a distribution nor a named quantity; {hint}"


EXAMPLES: dict[str, list[Any]] = {
    "number": [100, "normal(mean 1.55, sd 0.10)", "50 to 80"],
    "share": ["10%", "10% ± 3%", "beta(mean 10%, sd 3%)", "5% to 15%"],
    "money": [250000, "1.2m", "triangular(200k, 250k, 400k)"],
    "duration": ["18 months", "1 quarter", "26 weeks", "uniform(3 months, 9 months)"],
    "rate": ["3.5%", "6%"],
}


_NOUNS = {
    "number": "A number",
    "share": "A share (with %)",
    "money": "An amount of money",
    "duration": "A time in days, weeks, months, quarters or years",
    "rate": "A rate a year (with %)",
}


def _kind_of(value: Any) -> str:
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


Share = Annotated[Quantity, Reads("share", Range(0, 1))]
Nuisance = Annotated[Quantity, Reads("share", Range(0, 1, neutral=0.0), ("5%", "5% to 15%", "beta(mean 10%, sd 3%)"))]
"""A share whose neutral value is 0."""
EffectiveShare = Annotated[Quantity, Reads("share", Range(1e-6, 1, neutral=1.0), ("70%", "60% to 90%"))]
Turnout = Annotated[Quantity, Reads("share", Range(0, 10, neutral=1.0), ("90%", "80% to 100%", "pert(60%, 90%, 110%)"))]
Correlation = Annotated[Quantity, Reads("share", Range(0, 0.99, neutral=0.0), ("20%", "uniform(0%, 40%)"))]
Bias = Annotated[Quantity, Reads("share", Range(-1, INFINITY, neutral=0.0), ("0% ± 3%", "normal(mean 0%, sd 5%)"))]
Effect = Annotated[
    Quantity, Reads("number", Range(percent=True), ("10% ± 4%", "normal(mean 10%, sd 4%)", "-20%", 2.5, "3 ± 1.5"))
]
"""A share of the level, or units where `effect_as` says so."""
Level = Annotated[
    Quantity,
    Reads("number", Range(0, INFINITY, chance=True), ("30%", "10% to 20%", 1.55, "normal(mean 1.55, sd 0.10)")),
]
AnyLevel = Annotated[
    Quantity, Reads("number", Range(chance=True), ("30%", "10% to 20%", 1.55, "normal(mean 1.55, sd 0.10)"))
]
"""A level that may be negative: of a score."""
Shock = Annotated[
    Quantity, Reads("number", Range(neutral=0.0, percent=True), ("0% ± 5%", "normal(mean 0%, sd 5%)", "0 ± 2"))
]
"""A share of the level; units for scores."""
Relative = Annotated[
    Quantity, Reads("number", Range(0, INFINITY, neutral=1.0, percent=True), (1.5, "150%", "50% ± 10%"))
]
CostPlus = Annotated[Quantity, Reads("share", Range(-1, 10), ("0%", "8%", "5% to 10%"))]
Spread = Annotated[Quantity, Reads("number", Range(0, INFINITY), (8, "100 ± 10"))]
Between = Annotated[Quantity, Reads("share", Range(0, 10, neutral=0.0), ("10%", "5% to 15%"))]
Learning = Annotated[Quantity, Reads("share", Range(-1, 10, neutral=0.0), ("5%", "-10%", "0% ± 10%"))]
Overrun = Annotated[Quantity, Reads("share", Range(-1, 10, neutral=0.0), ("10%", "0% to 30%", "0% ± 10%"))]
Unfailing = Annotated[
    Quantity,
    Reads("duration", Range(0, 1e6, neutral=1e6), ("gamma(mean 20 years, sd 20 years)", "18 months")),
]
"""A time after which something fails; the neutral value is longer than any deal."""
Persistence = Annotated[Quantity, Reads("share", Range(0, 1, neutral=1.0), ("60%", "50% to 80%"))]
ClusterSize = Annotated[Quantity, Reads("number", Range(1, 1e12), (25, "uniform(10, 40)"))]
PositiveShare = Annotated[Quantity, Reads("share", Range(1e-6, 1), ("80%", "70% to 90%"))]
Count = Annotated[Quantity, Reads("number", Range(0, 1e12), (100, "50 to 80"))]
Money = Annotated[Quantity, Reads("money", Range(0, 1e18))]
Lag = Annotated[Quantity, Reads("duration", Range(0, 1200))]
Delay = Annotated[Quantity, Reads("duration", Range(0, 1200, neutral=0.0))]
Dispersion = Annotated[Quantity, Reads("number", Range(1e-6, INFINITY), (0.8, "0.5 to 1.2"))]
Rate = Annotated[Quantity, Reads("rate", Range(-0.5, 1), ("2%", "1% to 3%"))]
Trend = Annotated[
    Worded,
    ReadsWorded(
        unit="number",
        legal=Range(neutral=0.0, percent=True),
        forms=(("a year", "a year"), ("per year", "a year")),
        before=False,
        default="a year",
        what="change a year",
        examples=("-2% a year", "1% ± 1% a year", "0.5 a year"),
    ),
]
Effectiveness = Annotated[Quantity, Reads("share", Range(0, 100), ("90%", "110%", "80% to 120%"))]
UnitValue = Annotated[
    Worded,
    ReadsWorded(
        unit="money",
        legal=Range(0, 1e18),
        forms=(("once", "once"), ("a year", "a year"), ("per year", "a year")),
        before=False,
        default="once",
        what="worth of an outcome",
        examples=("5000 a year", "1200 once", "normal(mean 5000, sd 800) a year"),
    ),
]
InterestRate = Annotated[
    Worded,
    ReadsWorded(
        unit="rate",
        legal=Range(-0.5, 1),
        forms=(("real", "real"), ("nominal", "nominal")),
        before=False,
        default="nominal",
        what="rate a year",
        examples=("6% nominal", "3.5% real"),
    ),
]
Cost = Annotated[
    Worded,
    ReadsWorded(
        unit="money",
        legal=Range(0, 1e18),
        forms=(
            ("at the start", "at the start"),
            ("once", "at the start"),
            ("a year", "a year"),
            ("per year", "a year"),
            ("per person", "per person"),
            ("a person", "per person"),
            ("at the end", "at the end"),
        ),
        before=False,
        default="at the start",
        what="cost",
        examples=(
            "640000 a year",
            "50k at the start",
            "600 per person",
            "20k at the end",
            "normal(mean 250k, sd 20k) a year",
        ),
    ),
]
Bound = Annotated[
    Worded,
    ReadsWorded(
        unit="number",
        legal=Range(),
        forms=(
            ("at least", "at least"),
            ("at most", "at most"),
            ("more than", "more than"),
            ("above", "more than"),
            ("less than", "less than"),
            ("fewer than", "less than"),
            ("below", "less than"),
        ),
        before=True,
        default=None,
        what="bound",
        examples=("at least 10%", "at most 1.2", "more than 0", "less than 30%"),
    ),
]
Rounding = Annotated[
    Worded,
    ReadsWorded(
        unit="number",
        legal=Range(1e-12, INFINITY),
        forms=(("to", "to"), ("down to", "down to"), ("up to", "up to")),
        before=True,
        default=None,
        what="rounding rule",
        examples=("to 1%", "down to 1", "up to 0.5"),
    ),
]
Weight = Annotated[Quantity, Reads("number", Range(percent=True), ("80%", 46, -1))]
"""A weight or a unit value: 80% or 46; may be negative, for deductions."""
Unit = Annotated[Quantity, Reads("number", Range(1e-12, INFINITY, percent=True), ("1%", 100))]
"""The unit of a measure that a price is for: 1% or 100."""
BandRate = Annotated[Quantity, Reads("number", Range(0, 1e18, percent=True), (250, "40%"))]
"""A price or a share."""
ArmSize = Annotated[
    Worded,
    ReadsWorded(
        unit="number",
        legal=Range(0, 1e12),
        forms=(("per person", "per person"), ("a person", "per person"), ("people", "people")),
        before=False,
        default="people",
        what="number of people",
        examples=("10 per person", "500 people"),
    ),
]
GroupSize = Annotated[
    Worded,
    ReadsWorded(
        unit="number",
        legal=Range(0, 1e12),
        forms=(("people", "people"),),
        before=False,
        default="people",
        what="number or share of people",
        examples=("20 people", "40%"),
    ),
]
Enough = Annotated[
    Worded,
    ReadsWorded(
        unit="rate",
        legal=Range(0, 1e6),
        forms=(("a year", "a year"), ("times", "times"), ("x", "times")),
        before=False,
        default=None,
        what="return",
        examples=("5% a year", "1.5 times"),
    ),
]
Called = Annotated[
    Worded,
    ReadsWorded(
        unit="duration",
        legal=Range(0, 1200),
        forms=(("ahead", "ahead"),),
        before=False,
        default=None,
        what="time of calling capital",
        examples=("1 quarter ahead", "3 months ahead"),
        words=("at the start",),
    ),
]


@dataclass(frozen=True)
class Years:
    """Years of a deal from the first to the last, counted from 1 and both inclusive: `years 1 to 3`."""

    first: int
    last: int

    def text(self) -> str:
        """Return the text of the deal file."""
        return f"year {self.first}" if self.first == self.last else f"years {self.first} to {self.last}"


def _years(value: Any) -> Years:
    if isinstance(value, Years):
        return value
    match = re.fullmatch(r"years?\s+(\d{1,4})(?:\s+to\s+(\d{1,4}))?", str(value).strip())
    if not match or not 1 <= int(match[1]) <= int(match[2] or match[1]):
        raise ValueError(f"{value!r} is no span of years; allowed: years 1 to 3, year 1")
    return Years(int(match[1]), int(match[2] or match[1]))


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month; dates of a deal file are resolved to the month that holds them."""

    year: int
    month: int

    @property
    def index(self) -> int:
        """Months since year 0, for subtraction."""
        return self.year * 12 + self.month - 1

    def text(self) -> str:
        """Return the ISO form, `2010-09`."""
        return f"{self.year:04d}-{self.month:02d}"


def _days_of(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _month(value: Any) -> Month:
    if isinstance(value, Month):
        return value
    match = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", str(value).strip())
    if not match or not 1 <= int(match[2]) <= 12 or not 1 <= int(match[3] or 1) <= 31:
        raise ValueError(f"{value!r} is no date; allowed: 2010-09 or 2010-09-01")
    if match[3] and int(match[3]) > _days_of(int(match[1]), int(match[2])):
        raise ValueError(f"{value!r} is no date; {match[1]}-{match[2]} has no day {match[3]}")
    return Month(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Window:
    """Months from the first to the last, both inclusive: `2010-09 to 2012-08`."""

    first: Month
    last: Month

    def text(self) -> str:
        """Return the text of the deal file."""
        return f"{self.first.text()} to {self.last.text()}"


def _window(value: Any) -> Window:
    if isinstance(value, Window):
        return value
    parts = re.split(r"\s+(?:to|until|–|-)\s+", str(value).strip())
    if len(parts) == 1:
        parts = parts * 2
    if len(parts) != 2:
        raise ValueError(f"{value!r} is no window of months; allowed: 2010-09 to 2012-08")
    window = Window(_month(parts[0]), _month(parts[1]))
    if window.last < window.first:
        raise ValueError(f"{value!r} ends before it begins; allowed: FIRST MONTH to LAST MONTH")
    return window


def _duration(value: Any) -> int:
    """Validate a fixed duration in whole months."""
    quantity = parse(value, "duration") if isinstance(value, (str, int, float)) else None
    if quantity is None or not quantity.is_fixed:
        raise ValueError(f"{value!r} is no fixed duration; allowed: 9 years, 36 months")
    if quantity.value <= 0 or abs(quantity.value - round(quantity.value)) > 1e-9:
        raise ValueError(f"{value!r} is no whole number of months; allowed: 9 years, 36 months")
    return round(quantity.value)


_DATED = {"type": "string", "pattern": r"^\s*\d{4}-\d{2}"}
MonthField = Annotated[
    Month,
    PlainValidator(_month),
    PlainSerializer(lambda m: m.text()),
    WithJsonSchema({**_DATED, "examples": ["2024-04"]}),
]
WindowField = Annotated[
    Window,
    PlainValidator(_window),
    PlainSerializer(lambda w: w.text()),
    WithJsonSchema({**_DATED, "examples": ["2024-04 to 2026-03"]}),
]
YearsField = Annotated[
    Years,
    PlainValidator(_years),
    PlainSerializer(lambda years: years.text()),
    WithJsonSchema({"type": "string", "pattern": r"^years? \d+( to \d+)?$", "examples": ["years 1 to 3"]}),
]
MonthsField = Annotated[
    int,
    PlainValidator(_duration),
    PlainSerializer(lambda months: f"{months} months"),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d", "examples": ["9 years", "36 months"]}),
]


def _form_of(*words: str) -> Discriminator:
    """Tell which form of a value stands in the file: one of a few words, a mapping, or a number."""

    def form(value: Any) -> str:
        if isinstance(value, str) and value in words:
            return "word"
        return "mapping" if isinstance(value, (Mapping, BaseModel)) else "number"

    return Discriminator(form)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[
    list[str],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


@dataclass(frozen=True)
class _OrNumber:
    """Says in the JSON Schema that a number may stand for the mapping."""

    unit: str = "money"

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        number = {"type": ["number", "string"], "examples": EXAMPLES[self.unit]}
        return {"anyOf": [number, handler(schema)]}


class Model(BaseModel):
    """Base of every part of a deal: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)


class Time(Model):
    """When the deal begins, how finely it is played, and how far.

    Period ``t`` is the half-open interval (t-1, t]: a payment on a boundary belongs to the period that ends there.
    """

    start: MonthField
    """Month in which the deal begins: present values are at its first day."""
    step: Literal["month", "quarter", "half year", "year"] = "quarter"
    """How finely the deal is played."""
    horizon: MonthsField
    """How far it is played; the last payment must fall within it."""
    prices: Literal["nominal", "real"] = "nominal"
    """nominal: sums are money of the day; real: costs, what clauses pay and worths are in prices of the start and rise
    with inflation. Limits, data plans and the investors' terms are nominal in every file."""
    financial_year_starts: Literal[MONTH_NAMES] = "April"  # type: ignore[valid-type]
    """Month in which the payer's financial year begins, for caps of a year and costs by year."""
    service: WindowField | None = None
    """Months of service; by default from the first referral to the last referral or claim."""

    @property
    def months(self) -> int:
        """Months in a step."""
        return MONTHS_A_STEP[self.step]

    @property
    def periods(self) -> int:
        """Number of periods T; flows stand at t = 0..T."""
        return -(-self.horizon // self.months)

    @property
    def a_year(self) -> int:
        """Periods in a year."""
        return 12 // self.months

    def period(self, month: Month) -> int:
        """Period (1-based) that holds a month; 0 or less before the start."""
        return (month.index - self.start.index) // self.months + 1

    def date(self, period: int) -> str:
        """ISO date on which a period ends (its last day); period 0 is the start itself."""
        if period == 0:
            return f"{self.start.text()}-01"
        last = self.start.index + period * self.months - 1
        year, month = divmod(last, 12)
        return f"{year:04d}-{month + 1:02d}-{_days_of(year, month + 1):02d}"

    def financial_year(self, period: int) -> str:
        """Financial year in which a period ends, as `2012-13` (or `2012` where years start in January)."""
        first = MONTH_NAMES.index(self.financial_year_starts)
        last = self.start.index + max(period * self.months - 1, 0)
        year = (last - first) // 12
        return f"{year:04d}" if first == 0 else f"{year:04d}-{(year + 1) % 100:02d}"


class Rates(Model):
    """Discount rates and rises of prices a year.

    A present value is at the start of the deal, of nominal flows at a nominal rate; that of flows in prices of the
    start at the real rate is the same.
    """

    investor: InterestRate = Worded("nominal", parse(0.06, "rate"))
    """The investor's discount rate and hurdle."""
    payer: InterestRate = Worded("real", parse(0.035, "rate"))
    """The outcome payer's discount rate; real ones are raised by inflation."""
    inflation: Rate = parse(0.02, "rate")
    """Inflation a year, between real and nominal rates and prices."""
    deflator: str | None = None
    """Name of the index that inflation is of, such as GDP deflator; needed where prices are real."""
    cost_inflation: Rate | None = None
    """Rise a year of costs from the start; by default none where prices are nominal, inflation where they are real."""


class _OrNone:
    """Says in the JSON Schema that `none` may stand for the value."""

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"const": "none"}, handler(schema)]}


class Cohort(Model):
    """People referred over a window, evenly, in whole people."""

    people: Count
    """Planned number of people referred."""
    referred: WindowField
    """Months over which they are referred, evenly; both inclusive."""
    referrals: Turnout = parse(1.0, "share")
    """Share of the planned people who are referred."""
    attrition: Nuisance = parse(0.0, "share")
    """Share of them who leave before the service can have its effect; they count, at the level without it."""
    last_claim: Annotated[MonthField | None, BeforeValidator(lambda v: None if v == "none" else v), _OrNone()] = None
    """Outcomes achieved after this month are not counted."""
    if_cut_short: Literal["counts as far as it ran", "does not run"] = "counts as far as it ran"
    """What a cohort counts for if referrals stop before it is complete."""


class ComparisonArm(Model):
    """The evaluator's comparison group of a cohort."""

    people: ArmSize
    """Its size, or its size per person of the cohort."""
    effective_share: EffectiveShare = parse(1.0, "share")
    """Effective size over nominal size (matched controls are re-used)."""
    shared_bias: Bias = parse(0.0, "share")
    """Relative error of the arm's expected level, one value for all cohorts: pooling does not shrink it."""


class Evidence(Model):
    """The evaluator between truth and payment."""

    missing: Nuisance = parse(0.0, "share")
    """Share of true outcomes without accepted evidence (or not claimed)."""
    mistaken: Nuisance = parse(0.0, "share")
    """Chance that one without the outcome is accepted as having it; for events, mistaken events a person."""


class Before(Model):
    """What was measured of the same people before the service, for before-and-after measures."""

    level: AnyLevel
    """Mean a person of those who are referred."""
    normal_level: AnyLevel | None = None
    """Level to which they would return by themselves; by default there is no such return."""
    persistence: Persistence = parse(1.0, "share")
    """Correlation r between before and after: without the service the level moves by (1 - r)(normal - before)."""


class Clusters(Model):
    """People come in clusters (schools, prisons, areas) whose members are alike."""

    size: ClusterSize
    """People of a cluster."""
    icc: Nuisance
    """Intraclass correlation."""
    explained: Share = parse(0.0, "share")
    """Share of the variance between clusters that the evaluation explains (R squared)."""


class BaselineResets(Model):
    """The contract's baseline is measured anew at intervals from the start of the deal."""

    every: Annotated[Quantity, Reads("duration", Range(1, 1200))]
    share: Share = parse(1.0, "share")
    """Share of the gap to the true level of that date that a re-set makes good."""


class Segment(Model):
    """People of unlike risk. Levels and effects are relative to those that the outcome states, by outcome or chain."""

    share: Share | None = None
    """Share of the people of every cohort; one segment may leave it out and is the rest."""
    levels: dict[str, Relative] = {}
    """Level of the segment over that of the outcome, by outcome or chain."""
    effects: dict[str, Relative] = {}
    """Effect of the segment over that of the outcome, by outcome or chain."""


class Step(Model):
    """A milestone of a chain; `chance` is among those who took the step that it follows."""

    chance: Share
    """Chance of the step, with the service."""
    after: Lag = parse("0 months", "duration")
    """Time after the step that it follows, or after referral for a first step."""
    follows: str | None = None
    """The step before; by default the one above in the file, `referral` for a step of everybody's."""
    instead_of: str | None = None
    """The chance is among those who took the step before and did not take this one."""
    unit: str = "people"
    """What is counted, for tables."""
    evidence: Evidence | None = None
    """By default that of the chain."""


class WithoutService(Model):
    """What a chain would be without the service: another chance of its first steps, later steps alike."""

    first_step: Share
    """Chance of the first steps without the service."""


class Outcome(Model):
    """Something true of a participant: yes/no, events, an amount, a score, or a chain of milestones (`steps`)."""

    counts: Literal["yes or no", "events", "amount", "score", "milestones"] = "yes or no"
    """What is known of a person: whether or not, how often, how much (days), which score, or which steps of a chain."""
    better: Literal["more", "fewer"] = "more"
    """Whether more or fewer of it is good."""
    unit: str | None = None
    """What is counted, for tables: people, events, days."""
    without_service: (
        Annotated[
            Annotated[AnyLevel, Tag("number")]
            | Annotated[WithoutService, Tag("mapping")]
            | Annotated[Literal["as with service"], Tag("word")],
            _form_of("as with service"),
        ]
        | None
    ) = None
    """The true level a person without the service, not the contract's baseline; of milestones that of first steps."""
    effect: Effect = parse(0.0, "share")
    """What the service does to the level: a share of it, or units with `effect_as: units`."""
    effect_as: Literal["share", "units"] = "share"
    """share: level with service = without x (1 + effect); units: without + effect."""
    promised_effect: Effect | None = None
    """The effect that was promised; for reports only."""
    of_those: str | None = None
    """A yes/no outcome or milestone above: only those who had it can have this one, and the level is among them."""
    any: PositiveShare = parse(1.0, "share")
    """Amounts: chance of any at all; the level is the mean over everybody."""
    spread: Spread = parse(0.0, "number")
    """Standard deviation between people: of a score, or of an amount among those who have any."""
    before: Before | None = None
    """The same people before the service, for before-and-after measures."""
    trend: Trend = Worded("a year", parse(0.0, "number"))
    """Change a year of the level without the service, from the start of the deal: the baseline does not follow it."""
    common_shock: Shock = parse(0.0, "number")
    """Change of the level of everybody, comparison arms included: the baseline does not follow it."""
    between_cohorts: Between = parse(0.0, "share")
    """Relative standard deviation of the level from cohort to cohort (of scores: relative to `spread`)."""
    clusters: Clusters | None = None
    """People come in clusters whose members are alike."""
    learning: Learning = parse(0.0, "share")
    """Growth of the effect from cohort to cohort, in the order of their referrals; negative where it wears off."""
    delay: Delay = parse("0 months", "duration")
    """Time by which everything is known later than planned."""
    baseline: AnyLevel | None = None
    """The contract's assumed level without the service; the truth may differ."""
    baseline_resets: BaselineResets | None = None
    """The contract measures its baseline anew at intervals."""
    dispersion: Annotated[
        Annotated[Dispersion, Tag("number")] | Annotated[Literal["none"], Tag("word")], _form_of("none")
    ] = "none"
    """Size of the negative binomial a person: variance = mean + mean^2 / dispersion; none: Poisson."""
    known_after: Lag = parse("0 months", "duration")
    """Time from referral until the outcome is known."""
    comparison_arm: ComparisonArm | None = None
    """The evaluator's comparison group of every cohort."""
    evidence: Evidence = Evidence()
    """Missing and mistaken evidence."""
    steps: dict[str, Step] | None = None
    """Milestones in their order, by name."""


Against = Annotated[
    Annotated[AnyLevel, Tag("number")] | Annotated[Literal["comparison_arm", "baseline", "before"], Tag("word")],
    _form_of("comparison_arm", "baseline", "before"),
]


PARTICIPANTS = "participants"
"""What `count_of` calls the people of a cohort who were referred."""
ACCOUNTS = (
    "capital called",
    "capital outstanding",
    "paid to investors",
    "cash in hand",
    "payments so far",
    "costs so far",
    "years so far",
)
"""Accounts that clauses and breaks may read by these names, as they stand when they are read: capital called from all
investors, and not yet repaid; all that investors had; the vehicle's cash; what fell due under the contract; what the
vehicle (or the provider, where nobody finances it) had to pay; years since the start of the deal."""
ACCOUNT = "account"
"""Kind of a measure that is an account."""


def _pair_of_names(value: Any) -> Any:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)):
        raise ValueError(f"{_kind_of(value)} is no pair; allowed: [NAME, NAME], two outcomes or measures")
    return value


TwoNames = Annotated[
    list[str],
    BeforeValidator(_pair_of_names),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}),
]

SINGLE_KINDS = ("count_of", "share_of", "mean_of", "reduction_in", "increase_in")
COMPOSED_KINDS = ("ratio_of", "sum_of", "choice_of", "p_value_of")


class Measure(Model):
    """A number that clauses read. Exactly one of the keys up to `p_value_of` says what it is.

    The name of an outcome is itself a measure: its count of verified outcomes. `count_of: participants` counts the
    people referred; `count_of: payments so far` and other accounts are sums of money. The last four kinds are composed
    of outcomes and other measures.
    """

    count_of: str | None = None
    """Verified outcomes."""
    share_of: str | None = None
    """Share of the people who have it."""
    mean_of: str | None = None
    """Events, amount or score a person."""
    reduction_in: str | None = None
    """By how much it is lower than `against`."""
    increase_in: str | None = None
    """By how much it is higher than `against`."""
    ratio_of: TwoNames | None = None
    """The first over the second; not known where the second is not above 0."""
    sum_of: dict[str, Weight] | None = None
    """Each times its weight: a blend, a saving in money (units x unit value), or one less another (weight -1)."""
    choice_of: TwoNames | None = None
    """The first where `when` holds (without `when`: where the first is known), else the second."""
    p_value_of: str | None = None
    """Chance of a difference at least as good, were there none: one-sided, normal approximation."""
    when: dict[str, Bound] | None = None
    """The condition of `choice_of`."""
    against: Against | None = None
    """comparison_arm, the outcome's baseline, the same people before, or a fixed level a person."""
    as_: Literal["share", "units", "per person"] = Field(default="share", alias="as")
    """A share of the level compared with, units in all, or units per person."""
    over: Literal["each cohort", "cohorts so far"] = "each cohort"
    """In a clause for each cohort: of that cohort alone, or of it and the cohorts above it in the file."""
    divided_by: Unit | None = None
    """A target, say: the measure is then its share."""
    no_less_than: Effect | None = None
    no_more_than: Effect | None = None
    rounded: Rounding | None = None
    """`to`, `down to` or `up to` a step (1%, 1); halves go up. Division and limits come first."""

    @property
    def outcome(self) -> str:
        """The outcome that is measured; of a composed measure there is none."""
        return next((name for kind in SINGLE_KINDS if (name := getattr(self, kind)) is not None), "")

    @property
    def kind(self) -> str:
        """Count | share | mean | reduction | increase | participants | account | ratio | sum | choice | p_value."""
        if self.count_of == PARTICIPANTS:
            return PARTICIPANTS
        if self.count_of in ACCOUNTS:
            return ACCOUNT
        kinds = (*SINGLE_KINDS, *COMPOSED_KINDS)
        return next((kind.rsplit("_", maxsplit=1)[0] for kind in kinds if getattr(self, kind) is not None), "")

    @property
    def parts(self) -> list[str]:
        """Outcomes and measures that it is composed of, those of its condition last."""
        single = [] if self.p_value_of is None else [self.p_value_of]
        return [*(self.ratio_of or self.sum_of or self.choice_of or single), *(self.when or {})]


class Table(Model):
    """An amount by measure: `points` are [level, amount]; a level belongs to the step that begins there."""

    below: Money
    """Amount below the first point."""
    points: list[tuple[Effect, Money]]
    """[LEVEL, AMOUNT], levels rising."""
    between: Literal["steps", "straight line"] = "steps"
    """What is paid between two points."""
    above: Money | None = None
    """Amount above the last point; by default that of the last point."""


class Amount(Model):
    """price or share x measure, a lump sum, by measure with a table (times a second measure where named), or bands."""

    price: Money | None = None
    """Price of one unit of `times`."""
    share: Share | None = None
    """Share of a measure in money: of a saving."""
    per: Unit | None = None
    """The price is for so much of the measure: 1%, 100."""
    lump_sum: Money | None = None
    """One sum."""
    by: str | None = None
    """The measure by which `table` is read."""
    table: Table | None = None
    """Amounts by the measure `by`."""
    bands: list[tuple[Effect, BandRate]] | None = None
    """[level, price or share]: what is between one level and the next is paid at the rate of the first."""
    times: str | None = None
    """The outcome or measure that is multiplied."""
    until: dict[str, Enough] | None = None
    """The price or share holds until a tranche, or `investors`, had a return: `5% a year`, `1 times` their capital."""
    then: BandRate | None = None
    """With `until`: the price or share from there on."""


class ClauseCap(Model):
    """Limits of one clause."""

    payments: Money | None = None
    """Money that the clause pays at most."""
    outcomes: Count | None = None
    """Outcomes that it pays for at most."""


def _clause_cap(value: Any) -> Any:
    return {"payments": value} if isinstance(value, (int, float, str)) and not isinstance(value, bool) else value


ClauseCapField = Annotated[ClauseCap, BeforeValidator(_clause_cap), _OrNumber()]


_DUE: dict[Any, str] = {
    "when it is known": "when known",
    "when the cohort is known": "when known",
    "when the last of them is known": "when known",
}


class Indexed(Model):
    """Amounts rise by a yearly rate, in whole years from a base month."""

    a_year: Rate
    """Rise a year."""
    from_: MonthField = Field(alias="from")
    """Month in which amounts are as the file says."""


class Clause(Model):
    """One rule of an outcomes contract: for / due / unless / only if / when / amount / less / at most."""

    for_: Literal["each participant", "each cohort", "all cohorts that ran", "the contract"] = Field(alias="for")
    """Whose results it reads."""
    cohorts: Names = []
    """Only these; by default all."""
    due: Annotated[
        Literal["when known", "evenly", "at the start", "at the end", "when referred", "at an early end"],
        BeforeValidator(lambda v: _DUE.get(v, v) if isinstance(v, str) else v),
        WithJsonSchema(
            {"enum": ["when known", "evenly", "at the start", "at the end", "when referred", "at an early end", *_DUE]}
        ),
    ] = "when known"
    """For the contract: a fee evenly over the service, at its start or end, or for each person who is referred; or
    compensation, in the period after service ended early."""
    ended_by: Names | None = None
    """With `at an early end`: `policy change` and breaks, by name; by default all of them."""
    above: Count | None = None
    """With `when referred`: the first so many people are not paid for."""
    unless: Names = []
    """Clauses; this one falls away where the trigger of one of them was met (not: where it was paid)."""
    only_if: Names = []
    """Clauses; this one is paid only where the trigger of one of them was met before."""
    when: dict[str, Bound] = {}
    """All must hold. A bound belongs to the better side; a measure that is not known meets no bound."""
    any_of: dict[str, Bound] = {}
    """One of them must hold, too."""
    amount: Amount
    """What it pays."""
    at_least: Money | None = None
    """Minimum payment, where the trigger is met."""
    indexed: Indexed | None = None
    """Its amounts rise with prices."""
    rounded: Rounding | None = None
    """What is owed, once it is indexed, is rounded `to`, `down to` or `up to` a sum: to 1, down to 1000."""
    less: Names = []
    """Clauses, itself among them perhaps: what was paid under them so far is taken off."""
    at_most: ClauseCapField | None = None
    """Most that it pays: money, or payments and outcomes."""

    @property
    def reads(self) -> list[str]:
        """Outcomes and measures that it reads, each once."""
        found = [self.amount.times, self.amount.by, *self.when, *self.any_of]
        return list(dict.fromkeys(name for name in found if name is not None))


class GroupThreshold(Model):
    """Short form: at least so many of the group, or nothing."""

    outcome: str
    """The outcome (or measure) that is counted."""
    at_least: GroupSize
    """Number or share of people from which it pays."""
    pays: Money
    """What it pays."""
    for_: Literal["each cohort", "all cohorts that ran"] = Field(default="all cohorts that ran", alias="for")
    """Whose results are counted."""


class ControlComparison(Model):
    """Short form: an intervention group against a comparison arm (or a baseline)."""

    outcome: str
    """The outcome that is compared."""
    each_cohort: Bound
    """Bound of a cohort's result."""
    pooled: Bound | None = None
    """Bound of all cohorts together, where no cohort met its own."""
    against: Against = "comparison_arm"
    """comparison_arm, the outcome's baseline, the same people before, or a fixed level a person."""
    price: Money | None = None
    """Price per unit by which the group did better."""
    pays: Money | None = None
    """Lump sum, instead of a price."""


class EachPerson(Model):
    """Short form: a price for each person referred, or for each above a number (cost and volume)."""

    price: Money
    above: Count | None = None


EachPersonField = Annotated[
    EachPerson,
    BeforeValidator(lambda v: v if isinstance(v, (Mapping, EachPerson)) else {"price": v}),
    _OrNumber(),
]


class CardRow(Model):
    """One row of a rate card."""

    price: Money
    """Price of one."""
    at_most: ClauseCapField | None = None
    """Most that the row pays: money, or payments and outcomes."""


def _card_row(value: Any) -> Any:
    return {"price": value} if not isinstance(value, (Mapping, CardRow)) else value


CardRowField = Annotated[CardRow, BeforeValidator(_card_row), _OrNumber()]


class Caps(Model):
    """Limits of a structure. Clauses due in one period take a shared cap in the file's order."""

    per_person: Money | None = None
    """Most that one person's outcomes earn."""
    year: Money | None = None
    """Per financial year."""
    contract: Money | None = None
    """Most that is paid in all."""
    over_the_year: Literal["lost", "carried forward"] = "lost"
    """What happens to money above the cap of the year."""


class Costs(Model):
    """What running the deal costs: `NUMBER [at the start | a year | per person | at the end]`."""

    set_up: Cost | None = None
    """Before the service."""
    delivery: Cost | None = None
    """The service itself."""
    management: Cost | None = None
    """Running the contract."""
    evaluation: Cost | None = None
    """Measuring results."""
    overrun: Overrun | None = None
    """Share by which all of them turn out higher; nobody plans for it."""


class RateTable(Model):
    """A rate a year by measure."""

    below: Rate
    """What holds below the first point."""
    points: list[tuple[Effect, Rate]]
    """[LEVEL, RATE], levels rising."""
    between: Literal["steps", "straight line"] = "steps"
    """What holds between two points."""
    above: Rate | None = None
    """What holds above the last point; by default what holds there."""


class ShareTable(Model):
    """A share by measure, by year or by amount."""

    below: Share
    """What holds below the first point."""
    points: list[tuple[Effect, Share]]
    """[LEVEL, SHARE], levels rising."""
    between: Literal["steps", "straight line"] = "steps"
    """What holds between two points."""
    above: Share | None = None
    """What holds above the last point; by default what holds there."""


class MoneyTable(Model):
    """An amount by an amount."""

    below: Money
    """What holds below the first point."""
    points: list[tuple[Money, Money]]
    """[AMOUNT, AMOUNT], the first rising."""
    between: Literal["steps", "straight line"] = "steps"
    """What holds between two points."""
    above: Money | None = None
    """What holds above the last point; by default what holds there."""


class LeastRate(Model):
    """A minimum coupon, always or in some years of the deal."""

    rate: Rate
    """Least rate a year."""
    in_: YearsField | None = Field(default=None, alias="in")
    """Years of the deal in which it holds; by default always."""


def _rate_alone(value: Any) -> Any:
    return {"rate": value} if not isinstance(value, (Mapping, BaseModel)) else value


class Coupon(Model):
    """What capital earns: a rate a year on what is outstanding, fixed or by a measure as it stands on the day.

    `in cash`: owed on each coupon date; `accrued`: added to what earns interest, and paid by the waterfall, so that the
    paper yields its rate; `at maturity`: one rate, read at maturity, compounded yearly over the whole term.
    """

    rate: Rate | None = None
    """Rate a year, where it is fixed."""
    by: str | None = None
    """The measure by which `table` is read."""
    table: RateTable | None = None
    """Rates a year by the measure `by`."""
    paid: Literal["in cash", "accrued", "at maturity"] = "in cash"
    """Owed in cash on each date, added to the capital, or compounded to maturity."""
    every: Literal["month", "quarter", "half year", "year"] = "year"
    """How often it falls due."""
    at_least: Annotated[LeastRate, BeforeValidator(_rate_alone), _OrNumber("rate")] | None = None
    """Least rate."""
    at_most: Rate | None = None
    """Greatest rate."""


class ShareByMeasure(Model):
    """A share of capital read from a table by a measure as it stands on the day."""

    by: str
    """The measure by which `table` is read."""
    table: ShareTable
    """Shares by the measure."""


class Tranche(Model):
    """One class of investors' paper.

    Without `matures` its capital is repaid by the waterfall, as cash comes in; with it, on that day.
    """

    commitment: Money
    """Capital that investors promise."""
    order: Annotated[int, Field(ge=1, le=60, strict=True)] | None = None
    """Who is paid first: 1 before 2; by default the order of the file. Tranches of one order share."""
    coupon: Annotated[Coupon, BeforeValidator(_rate_alone), _OrNumber("rate")] | None = None
    """What it earns: a rate a year, or terms."""
    matures: MonthField | None = None
    """Month in which its capital is due."""
    principal: ShareByMeasure | None = None
    """Share of the capital outstanding that is due at maturity; the rest is lost. By default all of it."""
    redeemed_early: ShareTable | None = None
    """If service ends early the paper is due at once: share of the capital by years since the start."""
    backed_by: Literal["vehicle", "provider"] = "vehicle"
    """Who pays what is due and the vehicle lacks: nobody, so that it stays owed, or the provider."""


class Stage(Model):
    """How what is left is split until somebody has had enough; the last stage has no end."""

    until: dict[str, Enough] | None = None
    """A tranche, or `investors`: a return such as `5% a year`, or `1.5 times` the capital called."""
    to: dict[str, Share]
    """Tranches, `investors` (shared by capital called) and `provider`, 100% in all."""


class Guarantee(Model):
    """A promise to make part of the investors' loss good. Exactly one of the four amounts says how much.

    The loss is the capital of the tranche (by default of all) that has not been repaid on the day. Of several
    guarantees of one day, shares are of the loss before any of them, and each pays within what those before it leave.
    """

    guarantor: str
    """Who promises."""
    of: str | None = None
    """The tranche that is guaranteed; by default all."""
    recovery: Share | None = None
    """Floor: tops the capital that was repaid up to this share of the capital called."""
    share_of_loss: Share | None = None
    amount: Money | None = None
    """A fixed sum, within the loss."""
    by_capital_called: MoneyTable | None = None
    """A sum by the capital that was called, within the loss."""
    due: MonthField | None = None
    """When the loss is read and paid for; by default at the end of the model."""
    fee: Cost | None = None
    """What the guarantor is paid for it."""
    repaid: Annotated[bool, Strict()] = False
    """Whether the guarantor gets back what he paid, from what comes in later."""


def _share_alone(value: Any) -> Any:
    return {"share": value} if not isinstance(value, (Mapping, BaseModel)) else value


class FundFee(Model):
    """A fee that a fund's manager takes every year: a share of the commitment, or of the capital outstanding."""

    share: Share
    """Share a year."""
    of: Literal["commitment", "capital outstanding"] = "commitment"
    """What it is a share of: the commitment to the deal, or the capital called and not repaid in the period before."""
    in_: YearsField | None = Field(default=None, alias="in")
    """Years of the deal in which it is taken; by default as long as service runs or capital is outstanding."""


class Carry(Model):
    """Carried interest: the manager's share of what is left once the fund's own investors have had enough.

    They have had enough when all they paid, fees included, has come back with a return of `above` a year. What was paid
    as carry is not paid back if capital is called later.
    """

    share: Share
    """The manager's share."""
    above: Rate = parse("0%", "rate")
    """Return a year that the fund's investors have first; 0% is what they paid."""
    catch_up: Share | None = None
    """Share of what comes next that the manager has until carry is its share of the whole profit; by default none, so
    that carry is a share of what is above the return only."""


class Fund(Model):
    """A fund that holds the investors' paper: what its own investors get is net of its fees and of carried interest.

    Fees are taken from what the paper pays in the same period, else the fund's investors pay them on top. They change
    nothing that the deal itself pays.
    """

    of: str | None = None
    """The tranche that it holds; by default all."""
    set_up: Money | None = None
    """Once, at the start of the deal."""
    fees: dict[str, Annotated[FundFee, BeforeValidator(_share_alone), _OrNumber("share")]] | None = None
    """Yearly fees, by name."""
    carry: Annotated[Carry, BeforeValidator(_share_alone), _OrNumber("share")] | None = None
    """Carried interest: a share of profit, or terms."""


def _one_or_several(value: Any) -> str:
    return "list" if isinstance(value, list) else "mapping"


class Deferred(Model):
    """Share of each cost that is paid by the waterfall only; the parties wait for it, and may lose it."""

    delivery: Share | None = None
    """Share of the cost of delivery."""
    management: Share | None = None
    """Share of the cost of management."""
    evaluation: Share | None = None
    """Share of the cost of evaluation."""


WHEN_MONEY_RUNS_OUT = ("defer fees", "provider advance", "stop referrals", "wind up")


def _money_rule(value: Any) -> Any:
    listed = [value] if isinstance(value, str) else value
    if isinstance(listed, list) and listed and all(each in WHEN_MONEY_RUNS_OUT for each in listed):
        places = [WHEN_MONEY_RUNS_OUT.index(each) for each in listed]
        if places == sorted(set(places)) and not {"stop referrals", "wind up"} <= set(listed):
            return listed[0] if len(listed) == 1 else listed
    words = ", ".join(WHEN_MONEY_RUNS_OUT)
    raise ValueError(
        f"{value!r} is no rule; allowed: {words}, or several of them in this order, with one of the last two"
    )


MoneyRule = Annotated[
    str | list[str],
    PlainValidator(_money_rule),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(WHEN_MONEY_RUNS_OUT)},
                {"type": "array", "items": {"enum": list(WHEN_MONEY_RUNS_OUT)}, "minItems": 1},
            ]
        }
    ),
]


ACTIONS = ("advances", "planned costs", "deferred delivery", "deferred fees", "guarantor", "rest")
ACTIONS_OF = ("coupon", "interest", "capital")
"""Actions that name tranches."""


def _action(value: Any) -> Any:
    if isinstance(value, str) and value in ACTIONS:
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        (what, whose), *_ = value.items()
        listed = [whose] if isinstance(whose, str) else whose
        if what in ACTIONS_OF and isinstance(listed, list) and listed and all(isinstance(n, str) for n in listed):
            return {what: listed[0] if len(listed) == 1 else listed}
    named = ", ".join(f"{each}: TRANCHE" for each in ACTIONS_OF)
    raise ValueError(f"{value!r} is no action of a waterfall; allowed: {', '.join(ACTIONS)}, {named}")


Action = Annotated[
    str | dict[str, str | list[str]],
    PlainValidator(_action),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(ACTIONS)},
                {"type": "object", "minProperties": 1, "maxProperties": 1},
            ]
        }
    ),
]


class Finance(Model):
    """The finance agreement: one class of investors (`commitment`), or several (`tranches`)."""

    commitment: Money | None = None
    """Capital that one class of investors promises."""
    tranches: dict[str, Tranche] | None = None
    """Classes of investors, by name."""
    drawn: Literal["together", "in turn"] = "together"
    """Whether tranches are called in proportion to their commitments, or the first of the file first."""
    called: Annotated[
        Annotated[Called, Tag("number")] | Annotated[Literal["at the start"], Tag("word")],
        _form_of("at the start"),
    ] = Worded("ahead", parse("3 months", "duration"))
    """Capital is called on the planned need this long ahead, less cash in hand."""
    recycled: Annotated[bool, Strict()] = True
    """Whether receipts pay for remaining planned costs before investors are repaid."""
    when_money_runs_out: MoneyRule = "provider advance"
    """What happens when capital and receipts do not cover costs, in order: fees of management and evaluation wait; the
    provider advances what is still lacking (always); referrals stop; or that and no claims but those of the period."""
    surplus_to_investors: Share | None = None
    """Share of what is left after capital is repaid; the rest goes to the provider. By default all of it to those who
    are promised no return (neither a coupon nor a maturity), and to the provider if there is nobody of that kind."""
    residual: list[Stage] | None = None
    """What is left, in stages; in place of surplus_to_investors."""
    reserve: Money | None = None
    """Cash that is kept until service ends."""
    grants: dict[str, Cost] | None = None
    """Money that nobody has to pay back, by giver."""
    deferred: Deferred | None = None
    """Costs that are paid only by the waterfall."""
    guarantee: (
        Annotated[
            Annotated[Guarantee, Tag("mapping")] | Annotated[list[Guarantee], Tag("list")],
            Discriminator(_one_or_several),
        ]
        | None
    ) = None
    """A promise to make part of the loss good, or a list of such."""
    waterfall: list[Action] | None = None
    """The order in which cash is paid out in each period; see the resolved deal for the usual one."""
    fund: Fund | None = None
    """A fund that holds the paper, and what it charges."""

    def rules(self, *words: str) -> bool:
        """Whether one of some words stands in `when_money_runs_out`."""
        rule = self.when_money_runs_out
        return any(word in ([rule] if isinstance(rule, str) else rule) for word in words)

    @property
    def papers(self) -> dict[str, Tranche]:
        """The tranches; the one class of the short form is called `investors`."""
        if self.tranches is not None:
            return self.tranches
        return {INVESTORS: Tranche(commitment=self.commitment or parse(0, "money"))}

    @property
    def guarantees(self) -> dict[tuple[str | int, ...], Guarantee]:
        """The guarantees, each by its path within the finance agreement."""
        if isinstance(self.guarantee, list):
            return {("guarantee", place): each for place, each in enumerate(self.guarantee)}
        return {} if self.guarantee is None else {("guarantee",): self.guarantee}

    @property
    def guarantors(self) -> list[str]:
        """Names of the guarantors, each once."""
        return list(dict.fromkeys(each.guarantor for each in self.guarantees.values()))

    @property
    def ranks(self) -> list[list[str]]:
        """Names of the tranches by order of payment; those of one order share."""
        order = {name: each.order or place for place, (name, each) in enumerate(self.papers.items(), 1)}
        return [[name for name in order if order[name] == rank] for rank in sorted(set(order.values()))]

    def usual_waterfall(self) -> list[Any]:
        """The order of payments unless the file says otherwise: senior before junior, interest before capital."""
        listed: list[Any] = ["advances"]
        for rank in self.ranks:
            if any(self._form(name) == "in cash" for name in rank):
                listed.append(_action({"coupon": rank}))
        listed.append("planned costs")
        for rank in self.ranks:
            if any(self._form(name) in {"accrued", "at maturity"} for name in rank):
                listed.append(_action({"interest": rank}))
            listed.append(_action({"capital": rank}))
        if any(each.repaid for each in self.guarantees.values()):
            listed.append("guarantor")
        if self.deferred is not None:
            listed.append("deferred delivery")
        if self.deferred is not None or self.rules("defer fees"):
            listed.append("deferred fees")
        return [*listed, "rest"]

    def _form(self, name: str) -> str:
        coupon = self.papers[name].coupon
        return "none" if coupon is None else coupon.paid


INVESTORS = "investors"
"""Name of the one class of investors of the short form."""
MANAGER = "fund manager"
"""Who takes the fees of a fund."""


FinanceOrNone = Annotated[
    Annotated[Finance, Tag("mapping")]
    | Annotated[Literal["none"], Tag("word")]
    | Annotated[Literal["none"], Tag("number")],
    _form_of("none"),
]


class Payer(Model):
    """One of several payers, by a rule of its own."""

    share: Share | None = None
    """Share of every amount that it pays for; without one it pays what the shares leave, in the file's order."""
    of: Names = []
    """Clauses that it pays for; by default all."""
    from_: MonthField | None = Field(default=None, alias="from")
    """It pays for what falls due from this month."""
    until: MonthField | None = None
    """It pays for what falls due up to and including this month."""
    at_most: Money | None = None
    """In all; what it does not pay falls on the payers without a share."""
    at_most_a_year: Money | None = None
    """In a financial year."""
    over_the_year: Literal["lost", "carried forward"] = "lost"
    """What is above the limit of the year: lost to it, so that it falls on the payers without a share; or its own, paid
    in later years."""


PayerField = Annotated[
    Annotated[Share, Tag("number")] | Annotated[Payer, Tag("mapping")] | Annotated[Literal["the rest"], Tag("word")],
    _form_of("the rest"),
]


class Break(Model):
    """A review on a day, after which the service may have to stop: on results so far, or on an account."""

    review: MonthField
    """Month of the review, at its end, once what is due has been settled."""
    when: dict[str, Bound] = {}
    """All must hold, of the cohorts whose results are known by then; what is not known breaks nothing."""
    unless: Names = []
    """Clauses; nothing is broken off where the trigger of one of them was met by then."""
    notice: Lag = parse("0 months", "duration")
    """From the review to the last referral and the last service."""


class ServiceAgreement(Model):
    """What the vehicle pays the provider, who then bears the costs of delivery: cost-plus, or fees; and of payments.

    Without a service agreement the vehicle pays what delivery costs.
    """

    cost_plus: CostPlus | None = None
    """What delivery costs, and so much more: 0%, 8%."""
    fees: dict[str, Cost] | None = None
    """Fees by name, whatever delivery costs: `600000 a year`, `1200 per person`."""
    share_of_payments: Share | None = None
    """At risk on results: share of what the payers pay, handed on when it comes in."""


class Structure(Model):
    """How results turn into money. Several stand side by side in a deal file."""

    note: str | None = None
    """For readers."""
    payers: dict[str, PayerField] | None = None
    """Outcome payers: shares, 100% in all, or a rule for each."""
    pays: dict[str, Clause] = {}
    """Clauses, by name."""
    rate_card: dict[str, CardRowField] | None = None
    """Short form: a price for each outcome or measure."""
    group_threshold: GroupThreshold | None = None
    """Short form: one sum if enough of the group succeed."""
    control_comparison: ControlComparison | None = None
    """Short form: a group against a comparison arm or a baseline."""
    fee: Money | None = None
    """Short form: a fee, results or not."""
    paid: Literal["evenly", "at the start", "at the end"] | None = None
    """When the fee is paid."""
    each_person: EachPersonField | None = None
    """Short form: a price for each person who is referred, or beside a fee for those above a number."""
    at_most: Caps = Caps()
    """Limits of the structure."""
    paid_after: Delay = parse("0 months", "duration")
    """From the measurement of a result to its payment."""
    costs: Costs | None = None
    """What running it costs; by default those at the top."""
    payer_costs: Costs | None = None
    """The payer's own costs of the contract; its cost is these and the payments."""
    finance: FinanceOrNone | None = None
    """The investors' terms, or none; by default those at the top."""
    service_agreement: ServiceAgreement | None = None
    """What the vehicle pays the provider; by default what delivery costs."""
    breaks: dict[str, Break] | None = None
    """Reviews on interim results, by name, after which service may stop."""
    after_an_early_end: Literal["claims run off", "claims end"] | None = None
    """Whether later results of people already referred are still paid for (by default yes), or only what is known by
    the end of the period after the last of service."""
    effectiveness: Effectiveness | None = None
    """Effect of the service under this structure as a share of what the file says; by default the same, 100%."""


def _rank(value: Any) -> float:
    allowed = "allowed: a fixed share above -100% and below 100%, such as 40%"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{_kind_of(value)} is no rank correlation; {allowed}")
    quantity = parse(value, "share")
    if not quantity.is_fixed or abs(quantity.value) > 1 - 1e-6:
        raise ValueError(f"{quantity.text()} is no rank correlation; {allowed}")
    return quantity.value


def _pair(value: Any) -> list[str]:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)):
        raise ValueError(f"{_kind_of(value)} is no pair; allowed: [NAME, NAME], two names under quantities")
    return value


class RankCorrelation(Model):
    """Two named quantities that move together, each keeping its own distribution."""

    between: Annotated[
        list[str],
        PlainValidator(_pair),
        WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}),
    ]
    """Two names under `quantities`."""
    rank: Annotated[
        float,
        PlainValidator(_rank),
        WithJsonSchema({"type": ["number", "string"], "pattern": r"^\S.*$", "examples": ["40%", "-25%"]}),
    ]
    """Spearman's rank correlation."""


class Worth(Model):
    """What one additional outcome is worth to society: money once, or so much a year for as long as it lasts."""

    outcome: str
    """The outcome of which additional ones are worth something."""
    each: UnitValue
    """What one more is worth."""
    after: Lag = parse("0 months", "duration")
    """Time from when the outcome is known to the worth, or to its beginning."""
    lasts: Lag | None = None
    """With `a year`: for how long."""
    evidence: str
    """Grade of the evidence, a name under `optimism_bias`."""
    one_of: str | None = None
    """Worths of one group overlap: in each draw only the largest of them counts."""


class Saving(Worth):
    """What a public body saves by one additional outcome."""

    to: str
    """A payer of the deal, or another public body."""
    cashable: Share = parse(0.0, "share")
    """Share that can be taken out of a budget; the rest frees capacity."""


class PolicyChange(Model):
    """A change of policy stops referrals and service; people already referred are still counted."""

    chance_a_year: Nuisance
    """Chance a year that it comes."""


class EndsEarly(Model):
    """What may end the deal early."""

    policy_change: PolicyChange | None = None
    """A change of policy stops referrals and service."""


class ProviderFailure(Model):
    """The provider may fail once: nobody is referred and no service is delivered until another has taken over."""

    after: Unfailing
    """Time from the start of service until it fails. A chance q a year is gamma(mean M, sd M) with M = -1 / ln(1 - q)
    years; what lies beyond the end of service never happens."""
    gap: Lag
    """Time until another provider has taken over."""
    cost: Money = parse(0, "money")
    """What replacing it costs the vehicle, at the beginning of the gap."""


class DataItem(Model):
    """Something that is collected about the people or the service, and what for."""

    kind: Literal["performance management", "process", "impact", "cost-benefit"]
    """What it is collected for."""
    needed_by: Names
    """Parties that need it."""
    cost: Cost
    """Of collecting it once."""
    passing_on: Cost = Worded("at the start", parse(0, "money"))
    """To each further party, where it is collected once and shared."""
    mandatory: Literal["no", "payment evidence", "statutory", "safeguarding", "audit"] = "no"
    """Whether and why it must be collected."""
    informs: Names = []
    """Uncertain numbers of the deal, by the name of their quantity or by their path."""


class EvidenceServes(Model):
    """Decisions that what is learned here will serve: how many, and how many people each of them is about."""

    people: Count
    """People whom each decision is about."""
    decisions: Count = parse(1, "number")
    """Number of decisions."""


class Actual(Model):
    """What really happened: never used in the priors."""

    payments: Money
    """What was paid in all."""
    structure: str = "as signed"
    """The structure under which it was paid."""
    source: str
    """Where that is published."""
    note: str | None = None
    """For readers."""


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"{_kind_of(value)} is no quantity; allowed: a number or a distribution")
    return value


def _currency(value: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}", value):
        raise ValueError(f"{value!r} is no currency; allowed: three capital letters such as GBP, EUR, USD")
    return value


class Deal(Model):
    """A deal: who is served, what is measured, and the payment structures side by side."""

    deal: str
    """Name of the deal."""
    currency: Annotated[str, AfterValidator(_currency)] = "GBP"
    """Three capital letters."""
    note: str | None = None
    """For readers."""
    sources: dict[str, str] = {}
    """Where the facts are published, by a name of your choice."""
    facts: dict[str, str] = {}
    """Path -> source of the number there (or of all numbers below it)."""
    assumptions: dict[str, str] = {}
    """Path -> why this value, where no source gives one."""
    time: Time
    """Start, step and horizon."""
    rates: Rates = Rates()
    """Discount rates and inflation."""
    engine: Literal["by the rules", "aggregate", "people"] = "by the rules"
    """How outcomes are drawn; by default people one by one only if a rule needs it."""
    luck_only: Annotated[bool, Strict()] = False
    """Sets every nuisance to its neutral value."""
    quantities: dict[str, Annotated[str | float | int, BeforeValidator(_no_truth)]] = {}
    """Named quantities: drawn once a draw, used wherever their name stands for a number."""
    correlations: list[RankCorrelation] = []
    """Between named quantities; pairs that are not listed are independent, unless others join them."""
    cohorts: dict[str, Cohort]
    """People by cohort, by name."""
    frailty_correlation: Correlation = parse(0.0, "share")
    """Correlation between one person's yes/no outcomes and milestones, on the logistic latent scale."""
    segments: dict[str, Segment] = {}
    """People of unlike risk in every cohort; none means that all are alike."""
    outcomes: dict[str, Outcome]
    """What is true of a participant, by name."""
    measures: dict[str, Measure] = {}
    """Numbers that clauses read, by name; an outcome's name is its count."""
    payers: dict[str, PayerField] = {}
    """Outcome payers of every structure that names none."""
    costs: Costs = Costs()
    """Costs of every structure that names none."""
    payer_costs: Costs = Costs()
    """The payers' own costs of every structure that names none."""
    finance: FinanceOrNone = "none"
    """Finance of every structure that names none."""
    structures: dict[str, Structure]
    """Payment structures side by side, by name."""
    ends_early: EndsEarly = EndsEarly()
    """What may end the deal early."""
    provider_failure: ProviderFailure | None = None
    """The provider may fail and be replaced; nobody plans for it."""
    savings: dict[str, Saving] | None = None
    """What additional outcomes save public bodies."""
    social_value: dict[str, Worth] | None = None
    """What additional outcomes are worth beside the savings."""
    optimism_bias: dict[str, Share] | None = None
    """Grade of evidence -> share that is taken off a saving or a social value."""
    stresses: dict[str, dict[str, str | float | int]] = {}
    """Named shocks for stress tests: path (`*` for any name) -> change, such as `times 70%` or `plus 6 months`."""
    data_items: dict[str, DataItem] = {}
    """What is collected, by name: the data plan."""
    evidence_serves: EvidenceServes | None = None
    """Later decisions that the evidence serves."""
    actual: Actual | None = None
    """What really happened: never used in the priors."""


# ---------------------------------------------------------------------------------------------------------------
# From the short form to the resolved form
# ---------------------------------------------------------------------------------------------------------------


def resolve(deal: Deal) -> Deal:
    """Turn short forms into clauses and write inherited parts out.

    Returns a deal without `rate_card`, `group_threshold`, `control_comparison` or `fee`, in which every structure has
    its payers, costs and finance, and every milestone names the step that it follows. Resolving twice changes nothing.
    """
    outcomes = {name: _resolved_outcome(outcome) for name, outcome in deal.outcomes.items()}
    measures = dict(deal.measures)
    structures = {name: _resolved_structure(deal, each, measures) for name, each in deal.structures.items()}
    resolved = deal.model_copy(
        update={"outcomes": outcomes, "measures": measures, "structures": structures, "luck_only": False}
        | {"payers": {}, "costs": Costs(), "payer_costs": Costs(), "finance": "none"}
    )
    resolved = _without_nuisances(resolved) if deal.luck_only else resolved
    return _with_provenance(resolved, deal)


def _with_provenance(resolved: Deal, written: Deal) -> Deal:
    """Give facts and assumptions the paths of the resolved form, and leave out quantities that nothing uses now."""
    used = {str(leaf.quantity.args[0]) for leaf in leaves(resolved) if leaf.quantity.kind == "named"}
    quantities = {name: text for name, text in resolved.quantities.items() if name in used}
    uncertain = uncertain_names(resolved)
    pairs = [each for each in resolved.correlations if uncertain.issuperset(each.between)]
    moved = len(pairs) < len(written.correlations)  # the reasons for single pairs would stand at others
    resolved = resolved.model_copy(update={"quantities": quantities, "correlations": pairs})
    plain = to_plain(resolved)
    found: dict[str, dict[str, str]] = {"facts": {}, "assumptions": {}}
    for kind, kept in found.items():
        for text, why in getattr(written, kind).items():
            with contextlib.suppress(ValueError):  # no path: said by the checks
                for path in _resolved_paths(written, split_path(text)):
                    if exists(plain, path) and not (moved and path[0] == "correlations" and len(path) > 1):
                        kept[join_path(path)] = why
    return resolved.model_copy(update=found)


def _resolved_paths(written: Deal, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    """Where a path of the file stands in the resolved form: inherited parts in every structure that inherits them."""
    if path[0] in {"payers", "costs", "payer_costs", "finance"}:
        heirs = [name for name, each in written.structures.items() if getattr(each, str(path[0])) is None]
        return [("structures", name, *path) for name in heirs]
    if path[0] != "structures" or len(path) < 3:
        return [path]
    here, rest = path[:2], path[3:]
    if path[2] == "rate_card":
        tail = ("amount", "price") if len(rest) == 1 or rest[1:] == ("price",) else rest[1:]
        return [(*here, "pays", rest[0], *tail)] if rest else [(*here, "pays")]
    if path[2] == "group_threshold":
        return [(*here, "pays", "group threshold")]
    if path[2] == "control_comparison":
        return [(*here, "pays")]
    if path[2] in {"fee", "paid"}:
        return [(*here, "pays", "fee", "amount", "lump_sum" if path[2] == "fee" else "due")]
    if path[2] == "each_person":
        tail = ("above",) if rest == ("above",) else ("amount", "lump_sum")
        return [(*here, "pays", "each person", *tail)]
    return [path]


def exists(plain: object, path: tuple[str | int, ...]) -> bool:
    """Whether there is anything at a path of plain data."""
    here = plain
    for part in path:
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and str(part).isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            return False
    return True


def _resolved_outcome(outcome: Outcome) -> Outcome:
    if not outcome.steps:
        return outcome
    steps: dict[str, Step] = {}
    above = "referral"
    for name, step in outcome.steps.items():
        follows, evidence = step.follows or above, step.evidence or outcome.evidence
        steps[name] = step.model_copy(update={"follows": follows, "evidence": evidence})
        above = name
    return outcome.model_copy(
        update={"counts": "milestones", "steps": steps, "without_service": outcome.without_service or "as with service"}
    )


def _resolved_structure(deal: Deal, structure: Structure, measures: dict[str, Measure]) -> Structure:
    pays = dict(structure.pays)
    if structure.rate_card:
        for name, row in structure.rate_card.items():
            each_cohort = name in measures
            pays[name] = Clause(
                for_="each cohort" if each_cohort else "each participant",
                amount=Amount(price=row.price, times=name),
                at_most=row.at_most,
            )
    if structure.group_threshold:
        short = structure.group_threshold
        measure, bound = short.outcome, Worded("at least", short.at_least.quantity, before=True)
        if short.outcome not in measures and _is_share(short.at_least):
            measure = _measure_named(measures, Measure(share_of=short.outcome), f"share with {short.outcome}")
        pays["group threshold"] = Clause(for_=short.for_, when={measure: bound}, amount=Amount(lump_sum=short.pays))
    if structure.control_comparison:
        pays.update(_comparison_clauses(deal, structure.control_comparison, measures))
    if structure.fee is not None:
        pays["fee"] = Clause(for_="the contract", due=structure.paid or "evenly", amount=Amount(lump_sum=structure.fee))
    if structure.each_person is not None:
        short_form = structure.each_person
        pays["each person"] = Clause(
            for_="the contract",
            due="when referred",
            above=short_form.above,
            amount=Amount(lump_sum=short_form.price),
        )
    inherited = {
        key: getattr(deal, key) if getattr(structure, key) is None else getattr(structure, key)
        for key in ("payers", "costs", "payer_costs", "finance")
    }
    if not inherited["payers"]:
        # the same payers buy every structure, unless the file says otherwise; rules by clause belong to one structure
        named = (each.payers for each in deal.structures.values() if each.payers and not _by_clause(each.payers))
        inherited["payers"] = next(named, {"outcome payer": parse(1, "share")})
    inherited["finance"] = _resolved_finance(deal, inherited["finance"])
    cleared = dict.fromkeys(("rate_card", "group_threshold", "control_comparison", "fee", "paid", "each_person"))
    return structure.model_copy(update={"pays": pays, **cleared, **inherited})


def _resolved_finance(deal: Deal, finance: Any) -> Any:
    """Write the order of payments out, and who gets what is left."""
    if not isinstance(finance, Finance):
        return finance
    written: dict[str, Any] = {"waterfall": finance.waterfall or finance.usual_waterfall()}
    if finance.residual is None and finance.surplus_to_investors is None:
        at_risk = {name: 0.0 for name, each in finance.papers.items() if each.coupon is None and each.matures is None}
        for name in at_risk:
            with contextlib.suppress(QuantityError):  # said by the checks
                at_risk[name] = quantity_of(deal, finance.papers[name].commitment).mean()
        if 0 < len(at_risk) < len(finance.papers):
            total = sum(at_risk.values()) or 1.0
            shares = {name: Quantity("fixed", (part / total,), "share") for name, part in at_risk.items()}
            written["residual"] = [Stage(to=shares)]
        else:
            written["surplus_to_investors"] = parse(float(bool(at_risk)), "share")
    return finance.model_copy(update=written)


def _by_clause(payers: dict[str, PayerField]) -> bool:
    return any(isinstance(each, Payer) and each.of for each in payers.values())


def _is_share(size: Worded) -> bool:
    return size.form == "people" and size.quantity.unit == "share"


def _measure_named(measures: dict[str, Measure], measure: Measure, *names: str) -> str:
    """Give a measure the first of some names that is free, or that stands for the same measure already."""
    for name in itertools.chain(names, (f"{names[0]} {number}" for number in itertools.count(2))):
        if measures.setdefault(name, measure) == measure:
            return name
    raise AssertionError


def _comparison_clauses(deal: Deal, short: ControlComparison, measures: dict[str, Measure]) -> dict[str, Clause]:
    outcome = deal.outcomes.get(short.outcome)
    fewer = outcome is not None and outcome.better == "fewer"
    key = "reduction_in" if fewer else "increase_in"
    words = "fewer" if fewer else "more"
    against = short.against if isinstance(short.against, str) else short.against.text()
    share, units = (
        _measure_named(
            measures,
            Measure(**{key: short.outcome, "against": short.against, "as": unit}),
            f"{words} {short.outcome}, {unit}",
            f"{words} {short.outcome} against {against.replace('_', ' ')}, {unit}",
        )
        for unit in ("share", "units")
    )
    amount = Amount(price=short.price, times=units) if short.pays is None else Amount(lump_sum=short.pays)
    clauses = {"each cohort": Clause(for_="each cohort", when={share: short.each_cohort}, amount=amount)}
    if short.pooled is not None:
        clauses["pooled"] = Clause(
            for_="all cohorts that ran", unless=["each cohort"], when={share: short.pooled}, amount=amount
        )
    return clauses


def _without_nuisances(deal: Deal) -> Deal:
    found = [leaf for leaf in leaves(deal) if leaf.legal.neutral is not None]
    for leaf in found:
        deal = _replaced(deal, leaf.path, Quantity("fixed", (leaf.legal.neutral,), leaf.quantity.unit))
    cohorts = {name: each.model_copy(update={"last_claim": None}) for name, each in deal.cohorts.items()}
    return deal.model_copy(update={"cohorts": cohorts})


def _replaced(part: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy of a model (or a mapping in it) with the number at a path replaced."""
    if not path:
        return replace(part, quantity=value) if isinstance(part, Worded) else value
    name = path[0]
    if isinstance(part, dict):
        return {**part, name: _replaced(part[name], path[1:], value)}
    field = next(key for key, each in type(part).model_fields.items() if (each.alias or key) == name)
    return part.model_copy(update={field: _replaced(getattr(part, field), path[1:], value)})


def to_plain(deal: Deal) -> dict[str, Any]:
    """Return the deal as plain data that reads back as the same deal."""
    plain: dict[str, Any] = _with_lists(deal.model_dump(by_alias=True, exclude_none=True))
    return plain


def _with_lists(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _with_lists(each) for key, each in data.items()}
    return [_with_lists(each) for each in data] if isinstance(data, list | tuple) else data


def put(plain: dict[str, Any], path: tuple[str | int, ...], value: Any) -> None:
    """Set one value of plain data in place; missing mappings on the way are made."""
    here: Any = plain
    for part in path[:-1]:
        here = here.setdefault(part, {}) if isinstance(here, dict) else here[int(part)]
    if isinstance(here, list):
        here[int(path[-1])] = value
    else:
        here[path[-1]] = value


def fingerprint(deal: Deal) -> str:
    """SHA-256 of everything in the resolved deal that can move a number of a run (names too, provenance not)."""
    plain = to_plain(deal)
    for key in ("note", "sources", "facts", "assumptions", "stresses"):
        plain.pop(key, None)
    text = json.dumps(plain, sort_keys=False, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------------------------------------------------------
# Walking over the numbers of a deal
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    """One number of a deal: where it stands, what it is, what it may be."""

    path: tuple[str | int, ...]
    quantity: Quantity
    legal: Range


def leaves(model: Model, path: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    """Yield every number of a model in the order of the file."""
    for name, key, range_, pair in _ranges(type(model)):
        only_positive = (
            isinstance(model, Outcome) and model.counts != "score" and name in {"without_service", "baseline"}
        )
        legal = replace(range_, low=0.0) if only_positive else range_
        yield from _leaves_of(getattr(model, name), (*path, key), legal, pair)


@functools.cache
def _ranges(kind: type[Model]) -> tuple[tuple[str, str, Range, tuple[Range, ...]], ...]:
    """Name, key in the file, legal range of each field of a type, and those of the places of its pairs."""
    return tuple(
        (
            name,
            field.alias or name,
            _find_range([field.annotation, *field.metadata]),
            _ranges_of_a_pair(field.annotation),
        )
        for name, field in kind.model_fields.items()
    )


def _leaves_of(value: Any, path: tuple[str | int, ...], legal: Range, pair: tuple[Range, ...] = ()) -> Iterator[Leaf]:
    if isinstance(value, Quantity):
        yield Leaf(path, value, legal)
    elif isinstance(value, Worded):
        yield Leaf(path, value.quantity, legal)
    elif isinstance(value, Model):
        yield from leaves(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves_of(item, (*path, key), legal)
    elif isinstance(value, tuple) and pair:
        for position, item in enumerate(value):
            yield from _leaves_of(item, (*path, position), pair[position])
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield from _leaves_of(item, (*path, position), legal, pair)


def _ranges_of_a_pair(annotation: Any) -> tuple[Range, ...]:
    """Range of each place of the tuples in a type: a level may be negative where its amount may not."""
    if get_origin(annotation) is tuple:
        return tuple(_find_range([each]) for each in get_args(annotation))
    return next((found for each in get_args(annotation) if (found := _ranges_of_a_pair(each))), ())


def _find_range(parts: list[Any]) -> Range:
    for part in parts:
        if isinstance(part, (Reads, ReadsWorded)):
            return part.legal
        found = _find_range([*getattr(part, "__metadata__", ()), *getattr(part, "__args__", ())])
        if found != Range():
            return found
    return Range()


def quantity_of(deal: Deal, quantity: Quantity, legal: Range | None = None) -> Quantity:
    """Return the quantity itself, or the named one that it stands for, read in the same unit and range.

    Raises
    ------
    QuantityError
        If no quantity of that name exists or its text does not suit the unit.
    """
    if quantity.kind != "named":
        return quantity
    name = str(quantity.args[0])
    if name not in deal.quantities:
        raise QuantityError(f"{name!r} is neither a number, a distribution nor a named quantity")
    text = deal.quantities[name]
    either = legal is None or legal.chance or legal.percent or legal == Range()
    found = parse(text, _unit(text, quantity.unit) if either else quantity.unit)
    if found.kind == "named":
        raise QuantityError(f"quantity {name!r} must be a number or a distribution, not another name")
    return found if legal is None else _within(found, legal)


def uncertain_names(deal: Deal) -> set[str]:
    """Names of quantities that stand for an uncertain number somewhere in the deal."""
    found = set()
    for leaf in leaves(deal):
        if leaf.quantity.kind == "named":
            with contextlib.suppress(QuantityError):  # said by the checks
                if not quantity_of(deal, leaf.quantity, leaf.legal).is_fixed:
                    found.add(leaf.quantity.name)
    return found


def structure_names(deal: Deal, wanted: Iterable[str] | None = None) -> list[str]:
    """Names of the structures that are asked for, by default all of them.

    Raises
    ------
    KeyError
        For one that the deal has not.
    """
    names = list(deal.structures) if wanted is None else list(wanted)
    for name in names:
        if name not in deal.structures:
            raise KeyError(name)
    return names


def outcome_names(deal: Deal) -> list[str]:
    """Names of all outcomes in the order of the file; a chain contributes its steps."""
    names: list[str] = []
    for name, outcome in deal.outcomes.items():
        names.extend(outcome.steps if outcome.steps else [name])
    return names


def outcome_of(deal: Deal, name: str) -> tuple[Outcome, Step | None]:
    """Find an outcome by name: the outcome (or its chain), and the step if it is one.

    Raises
    ------
    KeyError
        If there is no such outcome.
    """
    for key, outcome in deal.outcomes.items():
        if outcome.steps:
            if name in outcome.steps:
                return outcome, outcome.steps[name]
        elif key == name:
            return outcome, None
    raise KeyError(name)


def measure_of(deal: Deal, name: str) -> Measure:
    """Return a measure by name; the name of an outcome is its count of verified outcomes."""
    return deal.measures[name] if name in deal.measures else Measure(count_of=name)


def outcomes_read(deal: Deal, name: str, *, so_far: bool = False) -> dict[tuple[str, bool], None]:
    """Outcomes from which a measure is made, each with whether it is read of the cohorts so far.

    Of participants the outcome is empty. The order is that in which they are first read.
    """
    measure = measure_of(deal, name)
    so_far = so_far or measure.over == "cohorts so far"
    if measure.kind == ACCOUNT:
        return {}
    if not measure.parts:
        return {("" if measure.kind == PARTICIPANTS else measure.outcome, so_far): None}
    return {each: None for part in measure.parts for each in outcomes_read(deal, part, so_far=so_far)}


def reads_account(deal: Deal, name: str) -> bool:
    """Whether a measure is an account, or is composed of one."""
    measure = measure_of(deal, name)
    return measure.kind == ACCOUNT or any(reads_account(deal, part) for part in measure.parts)


def rests_on_money(deal: Deal, structure: Structure) -> bool:
    """Whether what is owed, or how long service goes on, rests on what investors put in and had, or on costs."""
    if any(clause.amount.until is not None for clause in structure.pays.values()):
        return True
    read = [name for clause in structure.pays.values() for name in clause.reads]
    read += [name for each in (structure.breaks or {}).values() for name in each.when]
    money = {"capital called", "capital outstanding", "paid to investors", "cash in hand", "costs so far"}
    while read:
        measure = measure_of(deal, read.pop())
        if measure.count_of in money:
            return True
        read += measure.parts
    return False


def has_agreed_price(structure: Structure) -> bool:
    """Whether the vehicle owes the provider what a service agreement says, and not what delivery costs."""
    agreed = structure.service_agreement
    return agreed is not None and (agreed.cost_plus is not None or agreed.fees is not None)


def singles(deal: Deal, name: str) -> list[Measure]:
    """Measures of one outcome from which a measure is made: itself, or those at the bottom of its parts."""
    measure = measure_of(deal, name)
    if not measure.parts:
        return [] if measure.kind in {PARTICIPANTS, ACCOUNT} else [measure]
    return [each for part in measure.parts for each in singles(deal, part)]


def arms_read(deal: Deal, structures: Iterable[str]) -> set[str]:
    """Outcomes whose comparison arm is read by a measure that is named anywhere in the rules of these structures."""
    rules: list[Any] = [deal.structures[name].model_dump() for name in structures]
    rules.append(deal.model_dump(exclude={"structures", "outcomes", "measures", "cohorts", "facts"}))  # rules for all
    found: set[str] = set()
    while rules:
        rule = rules.pop()
        if isinstance(rule, dict):
            rules += [*rule, *rule.values()]
        elif isinstance(rule, list | tuple):
            rules += rule
        elif isinstance(rule, str) and rule in deal.measures:
            found |= {each.outcome for each in singles(deal, rule) if each.against == "comparison_arm"}
    return found


def is_share(deal: Deal, name: str) -> bool:
    """Whether a measure is written as a percentage: shares, ratios, p-values, and blends of them."""
    measure = measure_of(deal, name)
    if measure.divided_by is not None:
        return True
    if measure.sum_of is not None or measure.choice_of is not None:
        return all(is_share(deal, part) for part in measure.sum_of or measure.choice_of or ())
    if measure.parts:
        return True
    return measure.kind == "share" or (measure.kind in {"reduction", "increase"} and measure.as_ == "share")


def is_total(deal: Deal, name: str) -> bool:
    """Whether a measure is a number that grows with the people, of which a percentage would be a slip."""
    measure = measure_of(deal, name)
    if measure.divided_by is not None:
        return False
    if measure.sum_of is not None or measure.choice_of is not None:
        return all(is_total(deal, part) for part in measure.sum_of or measure.choice_of or ())
    compares = measure.kind in {"reduction", "increase"}
    return measure.kind in {"count", PARTICIPANTS, ACCOUNT} or (compares and measure.as_ == "units")


MOST_NAMED = 60
"""Clauses of a structure that others may name; the ledger keeps which of them were triggered in one integer."""


def named_clauses(structure: Structure) -> list[str]:
    """Names of the clauses that others (or they themselves) name, in the order of the file."""
    named = {name for each in structure.pays.values() for name in (*each.unless, *each.only_if, *each.less)}
    named |= {name for each in (structure.breaks or {}).values() for name in each.unless}
    return [name for name in structure.pays if name in named]


def payers_of(structure: Structure) -> dict[str, Payer]:
    """Payers of a resolved structure, each with its rule."""
    return {
        name: each if isinstance(each, Payer) else Payer(share=each if isinstance(each, Quantity) else None)
        for name, each in (structure.payers or {}).items()
    }


def pay_shares(structure: Structure) -> bool:
    """Whether all payers pay fixed shares of everything, so that each has its part of every number."""
    return all(isinstance(each, Quantity) for each in (structure.payers or {}).values())


def needs_people(deal: Deal) -> bool:
    """Whether a rule of the file couples one person's outcomes, so that people must be drawn one by one.

    All structures count, whichever are asked for: the engine never depends on `--structure` or on sizes.
    """
    if deal.engine != "by the rules":
        return deal.engine == "people"
    return any(structure.at_most.per_person is not None for structure in deal.structures.values())


def by_referral_period(deal: Deal, cohort: Cohort) -> bool:
    """Whether outcomes of a cohort must be kept by period of referral, because a date or a stop can part them."""
    clauses = [clause for structure in deal.structures.values() for clause in structure.pays.values()]
    if any(clause.for_ == "each participant" for clause in clauses) or cohort.last_claim is not None:
        return True
    if deal.provider_failure is not None:
        return True
    can_stop = deal.ends_early.policy_change is not None or any(
        each.breaks or (isinstance(each.finance, Finance) and each.finance.rules("stop referrals", "wind up"))
        for each in deal.structures.values()
    )
    return can_stop and cohort.if_cut_short == "counts as far as it ran"


def service_periods(deal: Deal) -> tuple[int, int]:
    """First and last period of service: as stated, or from first referral to last referral or claim."""
    time = deal.time
    if time.service is not None:
        return max(1, time.period(time.service.first)), min(time.periods, time.period(time.service.last))
    first = min((time.period(each.referred.first) for each in deal.cohorts.values()), default=1)
    lasts = [time.period(each.last_claim or each.referred.last) for each in deal.cohorts.values()]
    return max(1, first), min(time.periods, max(lasts, default=first))
