"""Amounts that may be uncertain: numbers, shares, rates, money and durations, fixed or with a distribution.

`parse` turns what a person writes (``10%``, ``18 months``, ``5% to 15%``, ``normal(mean 10%, sd 4%)``) into
an immutable `Quantity`. Shares and rates are held as fractions, durations as months, money in units of the
deal's currency. `Quantity.text` writes it back such that it parses to an equal quantity.

Conventions: ``5% to 15%`` is a normal distribution whose 5th and 95th percentiles are these two, a 90%
interval; ``10% ± 4%`` is a normal with mean 10% and standard deviation 4%; ``pert`` is the beta distribution
with weight 4 on the mode; ``empirical`` draws from the values of a file as they are, so that its quantile is
the inverse of the step-shaped distribution function (an order statistic, no interpolation) and its standard
deviation divides by the number of values. A week is 7 days, a month 365.25 / 12 days.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[Any]

__all__ = ["UNITS", "Quantity", "QuantityError", "fixed", "has_percentage", "named", "parse"]

UNITS = ("number", "share", "money", "duration", "rate")

_NINETY = 1.6448536269514722  # the 95th percentile of the standard normal
# The shapes of beta and gamma between which the special functions hold their accuracy.
_LEAST_SHAPE, _MOST_SHAPE = 1e-2, 1e9
_LEAST_KEPT = 1e-6  # the least probability that a truncation may keep
_MOST_BYTES = 20_000_000
_MOST_TEXT = 10_000
_MOST_VALUE = 1e100  # beyond it squares overflow
_MOST_DEPTH = 8
_DAYS_A_MONTH = 365.25 / 12

_EXAMPLES = {
    "number": "a number such as 12.5 or 250k",
    "share": "a share such as 10% or 0.1",
    "money": "an amount of money such as 18_000, 250k or 1.2m",
    "duration": "a duration such as 18 months, 2 years, 6 weeks or 30 days",
    "rate": "a rate such as 5%",
}


class QuantityError(ValueError):
    """A quantity that makes no sense; the message says in one line what is wrong and what is allowed."""


# --------------------------------------------------------------------------------------------------------
# What may be written
# --------------------------------------------------------------------------------------------------------

# The forms of each distribution: the kind it becomes, and its arguments in order. A "?" marks one that may be
# left out, a "#" one that is a plain number whatever the unit. Arguments may stand without names where the
# first form is the only natural reading of the order.
_FORMS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "normal": [("normal", ("mean", "sd"))],
    "beta": [
        ("beta_shape", ("alpha#", "beta#", "low?", "high?")),
        ("beta", ("mean", "sd", "low?", "high?")),
    ],
    "pert": [("pert", ("low", "mode", "high"))],
    "triangular": [("triangular", ("low", "mode", "high"))],
    "uniform": [("uniform", ("low", "high"))],
    "lognormal": [("lognormal", ("mean", "sd")), ("lognormal_median", ("median", "sd_log#"))],
    "gamma": [("gamma", ("mean", "sd"))],
}
_NEEDS_NAMES = {"lognormal", "gamma"}
_DEFAULTS = {"low": 0.0, "high": 1.0}  # of beta; money and durations have no natural bounds
_UNBOUNDED = {"money", "duration"}
_KINDS = {kind: (name, args) for name, forms in _FORMS.items() for kind, args in forms}
_DISTRIBUTIONS = (*_FORMS, "truncated", "mixture", "empirical")
_USAGE = {
    "normal": "normal(mean, sd)",
    "beta": "beta(mean 10%, sd 3%) or beta(alpha 2, beta 8), and low and high if not 0 and 1",
    "pert": "pert(low, mode, high)",
    "triangular": "triangular(low, mode, high)",
    "uniform": "uniform(low, high)",
    "lognormal": "lognormal(mean 2, sd 1) or lognormal(median 2, sd_log 0.5)",
    "gamma": "gamma(mean 2, sd 1)",
    "truncated": "truncated(DISTRIBUTION, low, high), where a bound may be none",
    "mixture": "mixture(70% DISTRIBUTION, 30% DISTRIBUTION), whose shares sum to 100%",
    "empirical": "empirical(file.csv, column), with double quotes around a name with spaces",
}

_MULTIPLES = {"k": 3, "thousand": 3, "m": 6, "mn": 6, "million": 6, "bn": 9, "billion": 9}
_LENGTHS = {"day": 1 / _DAYS_A_MONTH, "week": 7 / _DAYS_A_MONTH, "month": 1.0, "quarter": 3.0, "year": 12.0}
_SIGNS = {"£": ("GBP",), "€": ("EUR",), "$": ("USD", "AUD", "CAD", "NZD", "HKD", "SGD")}

_NUMBER = r"(?:[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?|\.[0-9]+)"
_AMOUNT = re.compile(
    rf"""
    (?P<sign>[-+\u2212]?)[ ]?
    (?:(?P<before>[A-Z]{{3}}(?=[ ]?[-+\u2212]?[ ]?[.0-9])|[£€$])[ ]?(?P<inner>[-+\u2212]?))?
    (?P<digits>{_NUMBER})(?P<power>[eE][-+]?[0-9]+)?
    (?:[ ]?(?P<percent>%|percentage[ ]points?\b|points?\b|pp\b|percent\b|per[ ]cent\b)
      |[ ]?(?P<length>days?|weeks?|months?|quarters?|years?)\b
      |[ ]?(?P<multiple>thousand|million|billion|bn|mn|[kKmM])\b
    )?
    (?(before)|(?:[ ]?(?P<after>[A-Z]{{3}}\b|[£€$]))?)
    (?P<yearly>[ ](?:a|per)[ ]year\b)?
    """,
    re.VERBOSE,
)
_PERCENTAGE = re.compile(r"%|[0-9.] ?(?:percentage points?|pp|percent|per cent)\b")
_WORD = re.compile(r"[^\W\d]\w*")
_NAME = re.compile(r"[^\W\d][\w .'/&-]*")
_CALL = re.compile(r"([^\W\d]\w*) ?\(")
_ANY_NUMBER = re.compile(r"[-+£€$.\s]*[0-9]")
_NOT_NAMES = {"null", "none", "true", "false", "yes", "no", "on", "off", "inf", "infinity", "nan"}
_BLANKS = re.compile(r'"(?:[^"]|"")*"|\s+')
_BARE_FILE = re.compile(r"""[^\s,()"'][^\s,()"]*""")


@dataclass(frozen=True)
class Quantity:
    """An amount, fixed or uncertain; equal by value and hashable.

    Attributes
    ----------
    kind : str
        ``fixed``, ``named``, ``normal``, ``range``, ``logit_range``, ``beta``,
        ``beta_shape``, ``pert``, ``triangular``,
        ``uniform``, ``lognormal``, ``lognormal_median``, ``gamma``, ``truncated``, ``mixture`` or
        ``empirical``.
    args : tuple
        What the kind needs, in the order in which it is written; fractions for shares and rates, months for
        durations.
    unit : str
        ``number``, ``share``, ``money``, ``duration`` or ``rate``.
    """

    kind: str
    args: tuple[Any, ...]
    unit: str

    def __str__(self) -> str:
        """Return the canonical text."""
        return self.text()

    @property
    def is_fixed(self) -> bool:
        """Whether the quantity is one certain value."""
        return self.kind == "fixed"

    @property
    def is_named(self) -> bool:
        """Whether the quantity is only the name of another, for the caller to look up."""
        return self.kind == "named"

    @property
    def is_read(self) -> bool:
        """Whether the values from files, if any, are there."""
        if self.kind == "truncated":
            return bool(self.args[0].is_read)
        if self.kind == "mixture":
            return all(part.is_read for _, part in self.args)
        return self.kind != "empirical" or self.args[2] is not None

    @property
    def value(self) -> float:
        """The value of a fixed quantity."""
        if self.kind != "fixed":
            raise QuantityError(f"{self.text()} is not one fixed value")
        return float(self.args[0])

    @property
    def name(self) -> str:
        """The name of a named quantity."""
        if self.kind != "named":
            raise QuantityError(f"{self.text()} is not a name")
        return str(self.args[0])

    def with_base(self, folder: Path | str) -> Quantity:
        """Return the quantity with the values of its files read; paths are relative to `folder`.

        Raises
        ------
        QuantityError
            If a file or its column is missing, or a value is not a number.
        """
        if self.kind == "empirical" and self.args[2] is None:
            file, column, _ = self.args
            return replace(self, args=(file, column, _file_values(file, column, self.unit, folder)))
        if self.kind == "truncated":
            return _truncated(self.args[0].with_base(folder), *self.args[1:])
        if self.kind == "mixture":
            return replace(self, args=tuple((weight, part.with_base(folder)) for weight, part in self.args))
        return self

    def mean(self) -> float:
        """Return the expected value."""
        if self.kind == "fixed":
            return self.value
        if self.kind == "mixture":
            return math.fsum(weight * part.mean() for weight, part in self.args)
        if self.kind == "empirical":
            values = _values(self)
            return math.fsum(values) / len(values)
        if self.kind == "truncated":
            return _moments_between(*self.args)[0]
        if self.kind == "logit_range":
            return _logit_moment(self, 1)
        family, shape, at, scale = _standard(self)
        return at + scale * _MEANS[family](shape)[0]

    def sd(self) -> float:
        """Return the standard deviation."""
        if self.kind == "fixed":
            return 0.0
        if self.kind == "mixture":
            centre = self.mean()
            parts = ((weight, part.mean() - centre, part.sd()) for weight, part in self.args)
            return math.sqrt(math.fsum(weight * (away**2 + sd**2) for weight, away, sd in parts))
        if self.kind == "empirical":
            values, centre = _values(self), self.mean()
            return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / len(values))
        if self.kind == "truncated":
            return _moments_between(*self.args)[1]
        if self.kind == "logit_range":
            return math.sqrt(max(0.0, _logit_moment(self, 2) - _logit_moment(self, 1) ** 2))
        family, shape, _, scale = _standard(self)
        return scale * _MEANS[family](shape)[1]

    def support(self) -> tuple[float, float]:
        """Return the least and the greatest possible value, infinite where there is none."""
        if self.kind == "fixed":
            return self.value, self.value
        if self.kind == "mixture":
            ends = [part.support() for _, part in self.args]
            return min(low for low, _ in ends), max(high for _, high in ends)
        if self.kind == "empirical":
            values = _values(self)
            return values[0], values[-1]
        if self.kind == "truncated":
            part, low, high = self.args
            least, most = part.support()
            return (least if low is None else max(least, low)), (most if high is None else min(most, high))
        if self.kind in {"normal", "range"}:
            return -math.inf, math.inf
        if self.kind in {"lognormal", "lognormal_median", "gamma"}:
            return 0.0, math.inf
        if self.kind in {"beta", "beta_shape"}:
            return self.args[2], self.args[3]
        if self.kind in {"pert", "triangular", "uniform"}:
            return self.args[0], self.args[-1]
        if self.kind == "logit_range":
            return 0.0, 1.0
        return _no_distribution(self)

    def as_chance(self) -> Quantity:
        """Return a 90% interval within 0 to 1 as logit-normal, so that it cannot leave that range.

        Its 5th and 95th percentiles stay what the text says. Every other quantity is returned as it is.
        """
        if self.kind == "range" and self.unit == "share" and self.args[0] > 0.0 and self.args[1] < 1.0:
            return replace(self, kind="logit_range")
        return self

    def cdf(self, x: float) -> float:
        """Return the probability of at most `x`."""
        return _cdf(self, float(x))

    def probability_outside(self, low: float | None, high: float | None) -> float:
        """Return the probability of less than `low` or more than `high`; None is no bound."""
        least, most = self.support()
        below = _cdf(self, low, left=True) if low is not None and least < low else 0.0
        above = 1.0 - _cdf(self, high) if high is not None and most > high else 0.0
        return min(1.0, max(0.0, below) + max(0.0, above))

    def quantile(self, u: ArrayLike) -> Floats:
        """Return the values below which the shares `u` of the distribution lie.

        Parameters
        ----------
        u : array_like
            Probabilities strictly between 0 and 1, of any shape.

        Returns
        -------
        ndarray
            Of the same shape. Each value depends on its own `u` only and never falls as `u` rises.
        """
        import numpy as np

        return _quantile(self, np.asarray(u, dtype=np.float64))

    def text(self) -> str:
        """Return the canonical text, which parses back to an equal quantity of the same unit."""
        if self.kind == "fixed":
            return _amount_text(self.value, self.unit)
        if self.kind == "named":
            return self.name
        if self.kind in {"range", "logit_range"}:
            return " to ".join(_amount_text(value, self.unit) for value in self.args)
        if self.kind == "empirical":
            return f"empirical({_file_text(self.args[0])}, {_file_text(self.args[1])})"
        if self.kind == "mixture":
            parts = (f"{_amount_text(weight, 'share')} {part.text()}" for weight, part in self.args)
            return f"mixture({', '.join(parts)})"
        if self.kind == "truncated":
            part, *bounds = self.args
            ends = ("none" if end is None else _amount_text(end, self.unit) for end in bounds)
            return f"truncated({part.text()}, {', '.join(ends)})"
        name, args = _KINDS[self.kind]
        words = []
        for arg, value in zip(args, self.args, strict=True):
            plain = arg.rstrip("?#")
            if not arg.endswith("?") or self.unit in _UNBOUNDED or value != _DEFAULTS[plain]:
                words.append(f"{plain} {_amount_text(value, 'number' if arg.endswith('#') else self.unit)}")
        return f"{name}({', '.join(words)})"


def has_percentage(text: str) -> bool:
    """Whether a text writes a number as a percentage: `10%`, `10 percent`, `10 pp`, `10 points`."""
    return _PERCENTAGE.search(text) is not None


def fixed(value: float, unit: str) -> Quantity:
    """Return a certain quantity; `value` is a fraction for shares and rates, months for durations."""
    if not math.isfinite(value):
        raise QuantityError(f"{value} is not a finite number; {_EXAMPLES[unit]} is expected")
    if abs(value) > _MOST_VALUE:
        raise QuantityError(f"{value} is out of range; {_EXAMPLES[unit]} is expected")
    return Quantity("fixed", (float(value) + 0.0,), unit)


def named(name: str, unit: str) -> Quantity:
    """Return a reference to a quantity that the caller looks up by its name."""
    return Quantity("named", (name,), unit)


def parse(value: float | str, unit: str, *, base: Path | str | None = None, currency: str | None = None) -> Quantity:
    """Read a quantity as a person writes it.

    Parameters
    ----------
    value : int, float or str
        A number, a text such as ``10%``, ``2 years``, ``£1.2m``, ``5% to 15%``, ``10% ± 4%``,
        ``normal(mean 10%, sd 4%)``, or the name of another quantity.
    unit : str
        ``number``, ``share``, ``money``, ``duration`` or ``rate``. Shares and rates become fractions,
        durations months. A bare number is no duration, except 0.
    base : Path or str, optional
        Folder against which the files of ``empirical`` are found; without it, use `Quantity.with_base` later.
    currency : str, optional
        Three letters; money written in another currency is then an error.

    Returns
    -------
    Quantity
        Of kind ``named`` if the text looks like a name and nothing else.

    Raises
    ------
    QuantityError
        With what is wrong and what is allowed, in one line.
    """
    if unit not in UNITS:
        raise ValueError(f"unknown unit {unit!r}; one of {', '.join(UNITS)}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        shown = str(value).lower() if isinstance(value, bool) else f"a {type(value).__name__}"
        raise QuantityError(f"{shown} is not a quantity; {_EXAMPLES[unit]} is expected")
    if isinstance(value, str):
        result = _Parser(value, unit, currency).whole()
    else:
        if unit == "duration" and value:
            raise QuantityError(f"{value} has no unit; write {value} months, or days, weeks, quarters or years")
        try:
            result = fixed(float(value), unit)
        except OverflowError:
            raise QuantityError(f"a number too large to use; {_EXAMPLES[unit]} is expected") from None
    return result if base is None else result.with_base(base)


# --------------------------------------------------------------------------------------------------------
# Reading
# --------------------------------------------------------------------------------------------------------


class _Parser:
    """Recursive descent over one text."""

    def __init__(self, text: str, unit: str, currency: str | None) -> None:
        if len(text) > _MOST_TEXT:
            raise QuantityError(f"a text of {len(text)} characters; a quantity has at most {_MOST_TEXT}")
        self.text = _BLANKS.sub(lambda found: " " if found[0].isspace() else found[0], text).strip()
        self.unit = unit
        self.currency = currency
        self.at = 0
        self.depth = 0

    def whole(self) -> Quantity:
        """Read all of the text."""
        text = self.text
        if not text:
            raise QuantityError(f"nothing is written; {_EXAMPLES[self.unit]} is expected")
        if re.fullmatch(r"[-+]?\.?(?:inf|infinity|nan)", text, re.IGNORECASE):
            raise QuantityError(f"{text} is not a finite number; {_EXAMPLES[self.unit]} is expected")
        if text.lower() in _NOT_NAMES:
            raise QuantityError(f"'{text}' is not a quantity; {_EXAMPLES[self.unit]} is expected")
        word = _WORD.match(text)
        if word and not _CALL.match(text) and not _AMOUNT.match(text) and _NAME.fullmatch(text):
            if word[0].lower() in _DISTRIBUTIONS and (word[0] == text or re.search("[0-9]", text)):
                raise QuantityError(f"'{_short(text)}' lacks its parentheses; write {_USAGE[word[0].lower()]}")
            return named(text, self.unit)
        result = self.expression()
        if self.at < len(text):
            self.left_over()
        return result

    def left_over(self) -> NoReturn:
        """Say what is wrong with the text after the first quantity."""
        rest = self.text[self.at :]
        if re.match(r",[0-9]", rest):
            raise QuantityError(
                f"'{_short(self.text)}' holds a comma; write numbers with _ or nothing between digits, "
                "and a point before decimals"
            )
        if rest.startswith(")"):
            raise QuantityError(f"'{_short(self.text)}' has a parenthesis that closes but never opens")
        raise QuantityError(
            f"'{_short(rest.strip())}' in '{_short(self.text)}' is not understood; {_EXAMPLES[self.unit]} is expected"
        )

    def skip(self, characters: str = " ") -> None:
        """Move past blanks."""
        while self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1

    def take(self, pattern: str) -> re.Match[str] | None:
        """Move past a pattern if it comes next."""
        found = re.compile(pattern).match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def expression(self) -> Quantity:
        """Read a distribution, a range or an amount."""
        self.skip()
        call = _CALL.match(self.text, self.at)
        if call:
            return self.distribution(call)
        start = self.at
        first = self.amount_match()
        middle = self.take(r" ?(?:±|\+/?-) ?| to (?=[-+\u2212£€$.A-Z]*[ ]?[-+\u2212.]*[0-9])")
        if middle is None:
            return fixed(self.amount(first, self.unit), self.unit)
        second = self.amount_match()
        whole = _short(self.text[start : self.at])
        one, two = self.two_ends(first, second, whole)
        if middle[0] != " to ":
            return _checked("normal", (one, two), self.unit, whole)
        return _checked("range", (one, two), self.unit, whole)

    def two_ends(self, first: re.Match[str], second: re.Match[str], whole: str) -> tuple[float, float]:
        """Return the two numbers of a range; a unit after the second goes for both."""
        kept = {}
        for part in ("percent", "length"):
            if first[part] and not second[part] and float(second["digits"].replace("_", "")):
                raise QuantityError(f"'{whole}' has a unit on one number only; write it on both")
            kept[part] = first[part] or second[part]
        if second["multiple"] and not first["multiple"] and float(first["digits"].replace("_", "")):
            raise QuantityError(f"'{whole}' can be read in two ways; write '{second['multiple']}' on both or on none")
        return (
            self.amount(first, self.unit, percent=kept["percent"], length=kept["length"]),
            self.amount(second, self.unit),
        )

    def amount_match(self) -> re.Match[str]:
        """Move past one amount."""
        self.skip()
        found = _AMOUNT.match(self.text, self.at)
        if found is None:
            rest = self.text[self.at :]
            word = _WORD.match(rest)
            if self.depth and word:
                raise QuantityError(
                    f"'{_short(self.text)}' holds '{word[0]}' where a number is expected; "
                    f"{_EXAMPLES[self.unit]} is expected"
                )
            if not rest or self.depth:
                raise QuantityError(
                    f"'{_short(self.text)}' lacks a number" + (f" before '{_short(rest)}'" if rest else "")
                )
            raise QuantityError(f"'{_short(self.text)}' is not a quantity; {_EXAMPLES[self.unit]} is expected")
        self.at = found.end()
        follow = self.text[self.at : self.at + 1]
        if follow and follow not in " ,()±%" and not re.compile(r"\+/?-").match(self.text, self.at):
            bad = re.compile(r"[^\s,()]*").match(self.text, found.start())
            shown = bad[0] if bad else found[0]
            raise QuantityError(f"'{_short(shown)}' is not a number; {_EXAMPLES[self.unit]} is expected")
        return found

    def amount(self, found: re.Match[str], unit: str, percent: str | None = None, length: str | None = None) -> float:
        """Return the value of an amount that was found."""
        text = found[0].strip()
        percent = found["percent"] or percent
        length = found["length"] or length
        digits = found["digits"].replace("_", "")
        if re.match(r"0[0-9]", digits):
            raise QuantityError(f"'{text}' starts with a 0; write {digits.lstrip('0') or '0'}")
        if found["sign"] and found["inner"]:
            raise QuantityError(f"'{text}' has two signs; write one")
        self.check_unit(found, unit, text, percent, length)
        power = int(found["power"][1:]) if found["power"] and len(found["power"]) < 8 else 0
        if found["power"] and len(found["power"]) >= 8:
            raise QuantityError(f"'{_short(text)}' is out of range; {_EXAMPLES[unit]} is expected")
        power += _MULTIPLES[found["multiple"].lower()] if found["multiple"] else 0
        power -= 2 if percent else 0
        sign = (found["sign"] or found["inner"] or "").replace("\u2212", "-")
        value = float(f"{sign}{digits}e{power}")
        if length:
            value *= _LENGTHS[length.rstrip("s")]
        if not abs(value) <= _MOST_VALUE:
            raise QuantityError(f"'{_short(text)}' is out of range; {_EXAMPLES[unit]} is expected")
        return value + 0.0

    def check_unit(self, found: re.Match[str], unit: str, text: str, percent: str | None, length: str | None) -> None:
        """Refuse a sign or word that the unit does not have."""
        fault = None
        signs = [sign for sign in (found["before"], found["after"]) if sign]
        if percent and unit not in {"share", "rate"}:
            fault = f"'{text}' is a percentage"
        elif length and unit != "duration":
            fault = f"'{text}' is a duration"
        elif signs and unit != "money":
            fault = f"'{text}' is an amount of money"
        elif found["multiple"] and unit == "duration":
            fault = f"'{text}' is no duration; write months or years in full"
        elif found["multiple"] and unit not in {"number", "money"}:
            fault = f"'{text}' is not a {unit}"
        elif found["yearly"] and unit != "rate":
            fault = f"'{text}' is an amount a year"
        elif unit == "duration" and not length and float(found["digits"].replace("_", "")):
            raise QuantityError(f"'{text}' has no unit; write {text} months, or days, weeks, quarters or years")
        if fault:
            raise QuantityError(f"{fault}; {_EXAMPLES[unit]} is expected")
        for sign in signs:
            if self.currency and self.currency not in _SIGNS.get(sign, (sign,)):
                raise QuantityError(f"'{text}' is in another currency than the deal's {self.currency}; convert it")

    def distribution(self, call: re.Match[str]) -> Quantity:
        """Read ``name(arguments)``."""
        name, start = call[1].lower(), self.at
        if name not in _DISTRIBUTIONS:
            close = difflib.get_close_matches(name[:50], _DISTRIBUTIONS, n=1)
            meant = f"did you mean {close[0]}?" if close else f"one of {', '.join(_DISTRIBUTIONS)} is expected"
            raise QuantityError(f"'{_short(call[1])}' is no known distribution; {meant}")
        self.at = call.end()
        self.depth += 1
        if self.depth > _MOST_DEPTH:
            raise QuantityError(f"'{_short(self.text)}' is nested too deeply; at most {_MOST_DEPTH} levels")
        read: Callable[[int], Quantity] | None = {
            "truncated": self.truncated,
            "mixture": self.mixture,
            "empirical": self.empirical,
        }.get(name)
        result = read(start) if read else self.plain(name, start)
        self.depth -= 1
        return result

    def ended(self, *, first: bool) -> bool:
        """Move to the next argument, or past the closing parenthesis."""
        self.skip()
        if self.take(r"\)"):
            return True
        if self.at >= len(self.text):
            raise QuantityError(f"'{_short(self.text)}' has a parenthesis that opens and never closes")
        if not first:
            self.take(", ?")
            if self.text[self.at : self.at + 1] in {",", ")"}:
                raise QuantityError(f"'{_short(self.text)}' has a comma with nothing after it; remove it")
        elif self.text[self.at] == ",":
            raise QuantityError(f"'{_short(self.text)}' has a comma with nothing before it; remove it")
        return False

    def argument_name(self) -> str | None:
        """Move past the name of an argument, if there is one."""
        found = re.compile(r"([^\W\d]\w*)(?: ?= ?| (?=[^ (])|(?=[-+.£€$][0-9]))").match(self.text, self.at)
        if found is None or re.fullmatch(r"[A-Z]{3}", found[1]) or found[1] == "none":
            return None
        self.at = found.end()
        return found[1]

    def plain(self, name: str, start: int) -> Quantity:
        """Read a distribution whose arguments are all amounts."""
        forms = _FORMS[name]
        known = [arg.rstrip("?#") for _, args in forms for arg in args]
        given: list[tuple[str | None, re.Match[str]]] = []
        while not self.ended(first=not given):
            word = self.argument_name()
            if word is not None and word not in known:
                close = difflib.get_close_matches(word[:50], known, n=1)
                meant = f"did you mean {close[0]}?" if close else f"write {_USAGE[name]}"
                raise QuantityError(f"{name} has no argument '{_short(word)}'; {meant}")
            given.append((word, self.amount_match()))
        whole = _short(self.text[start : self.at])
        usage = f"write {_USAGE[name]}"
        words = [word for word, _ in given if word]
        if len(set(words)) < len(words):
            raise QuantityError(f"'{whole}' gives an argument twice; {usage}")
        if name in _NEEDS_NAMES and len(words) < len(given):
            raise QuantityError(f"'{whole}' can be read in several ways without names; {usage}")
        for kind, args in forms:
            plain = [arg.rstrip("?#") for arg in args]
            if any(word not in plain for word in words):
                continue
            free = [arg for arg in plain if arg not in words]
            bare = [found for word, found in given if not word]
            if len(bare) > len(free):
                continue
            found = {word: match for word, match in given if word} | dict(zip(free, bare, strict=False))
            must = [spec for spec in args if not spec.endswith("?") or self.unit in _UNBOUNDED]
            if all(spec.rstrip("?#") in found for spec in must):
                self.same_scale(args, found, whole)
                values = tuple(
                    self.amount(found[arg], "number" if spec.endswith("#") else self.unit)
                    if arg in found
                    else _DEFAULTS[arg]
                    for arg, spec in zip(plain, args, strict=True)
                )
                return _checked(kind, values, self.unit, whole)
        comma = "; a number may not hold a comma" if re.search(r"[0-9],[0-9]{3}", whole) else ""
        raise QuantityError(f"'{whole}' has too few, too many or the wrong arguments; {usage}{comma}")

    def same_scale(self, args: tuple[str, ...], found: dict[str, re.Match[str]], whole: str) -> None:
        """Refuse ``normal(mean 10%, sd 4)``, where 4 would be 400%."""
        amounts = [found[arg.rstrip("?#")] for arg in args if arg.rstrip("?#") in found and not arg.endswith("#")]
        if not any(match["percent"] for match in amounts):
            return
        for match in amounts:
            if not match["percent"] and float(match["digits"].replace("_", "")) > 1:
                raise QuantityError(f"'{whole}' has percentages beside {match[0].strip()}; write % after each number")

    def truncated(self, start: int) -> Quantity:
        """Read ``truncated(DISTRIBUTION, low, high)``."""
        part: Quantity | None = None
        bounds: dict[str, float | None] = {}
        free = ["low", "high"]
        while not self.ended(first=part is None):
            if part is None:
                part = self.expression()
                continue
            word = self.argument_name() or (free[0] if free else None)
            if word not in free:
                raise QuantityError(f"'{_short(self.text[start:])}' is not understood; write {_USAGE['truncated']}")
            free.remove(word)
            bounds[word] = None if self.take(r"none\b") else self.bound(start)
        if part is None or free:
            raise QuantityError(
                f"'{_short(self.text[start : self.at])}' lacks "
                f"{'a distribution' if part is None else ' and '.join(free)}; write {_USAGE['truncated']}"
            )
        return _truncated(part, bounds["low"], bounds["high"])

    def bound(self, start: int) -> float:
        """Read one bound, refusing 100 where 100% is meant."""
        found = self.amount_match()
        value = self.amount(found, self.unit)
        if not found["percent"] and abs(value) > 1 and has_percentage(self.text[start : found.start()]):
            whole = _short(self.text[start:])
            raise QuantityError(f"'{whole}' has percentages beside {found[0].strip()}; write % after each number")
        return value

    def mixture(self, start: int) -> Quantity:
        """Read ``mixture(70% DISTRIBUTION, 30% DISTRIBUTION)``."""
        parts: list[tuple[float, Quantity]] = []
        while not self.ended(first=not parts):
            weight = self.amount(self.amount_match(), "share")
            self.skip()
            if self.text[self.at : self.at + 1] in {",", ")", ""}:
                raise QuantityError(f"'{_short(self.text)}' lacks a share; write {_USAGE['mixture']}")
            if not weight > 0:
                raise QuantityError(f"a share of {_amount_text(weight, 'share')} in a mixture; it must be above 0%")
            parts.append((weight, self.expression()))
        total = math.fsum(weight for weight, _ in parts)
        if abs(total - 1.0) > 1e-9:
            raise QuantityError(
                f"the shares in '{_short(self.text[start : self.at])}' sum to "
                f"{_amount_text(round(total, 9), 'share')}; they must sum to 100%"
            )
        if len(parts) == 1:
            return parts[0][1]
        return Quantity("mixture", tuple(parts), self.unit)

    def empirical(self, start: int) -> Quantity:
        """Read ``empirical(file, column)``, either in double quotes if it must be."""
        words: list[str] = []
        while not self.ended(first=not words):
            quoted = self.take(r'"((?:[^"]|"")*)"')
            if quoted:
                words.append(quoted[1].replace('""', '"'))
                continue
            bare = _BARE_FILE.match(self.text, self.at)
            if bare is None:
                raise QuantityError(f"'{_short(self.text[start:])}' is not understood; write {_USAGE['empirical']}")
            self.at = bare.end()
            # A name of several words goes on to the next comma or parenthesis if commas are used at all.
            more = self.take(r"(?: [^\s,()\"]+)+(?=[,)])") if words else None
            words.append(bare[0] + (more[0] if more else ""))
        if len(words) != 2 or not all(words):
            whole = _short(self.text[start : self.at])
            raise QuantityError(f"'{whole}' needs a file and a column; write {_USAGE['empirical']}")
        return Quantity("empirical", (words[0], words[1], None), self.unit)


def _short(text: str, most: int = 60) -> str:
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= most else text[: most - 1] + "…"


# --------------------------------------------------------------------------------------------------------
# What is possible
# --------------------------------------------------------------------------------------------------------


def _checked(kind: str, args: tuple[float, ...], unit: str, whole: str) -> Quantity:
    """Return the distribution, or the fixed value that it comes to; refuse what cannot be."""
    fault: str | None = None
    point: float | None = None
    if kind == "range":
        low, high = args
        point = low if low == high else None
        if low > high:
            fault = "the first number must be below the second"
    elif kind in {"uniform", "pert", "triangular"}:
        low, high = args[0], args[-1]
        point = low if low == high else None
        if not low <= args[len(args) // 2] <= high or low > high:
            fault = "low must be below high" + (", and mode between them" if len(args) == 3 else "")
    elif kind == "lognormal_median":
        median, sd_log = args
        point = median if sd_log == 0 else None
        if not median > 0 or sd_log < 0:
            fault = "the median must be above 0 and sd_log at least 0"
        elif sd_log > 10:
            fault = "sd_log must be at most 10"
    elif kind == "beta_shape":
        alpha, beta, low, high = args
        if not (alpha > 0 and beta > 0 and low < high):
            fault = "alpha and beta must be above 0, and low below high"
    else:
        mean, sd = args[:2]
        point = mean if sd == 0 else None
        if sd < 0:
            fault = "sd must be at least 0"
        elif kind in {"lognormal", "gamma"} and not mean > 0:
            fault = "the mean must be above 0"
        elif kind == "beta":
            low, high = args[2:]
            if not low < high:
                fault = "low must be below high"
            elif not low <= mean <= high or (sd > 0 and not low < mean < high):
                fault = f"the mean must be between {_amount_text(low, unit)} and {_amount_text(high, unit)}"
            elif sd > 0 and sd * sd >= (1 - 1e-9) * (mean - low) * (high - mean):
                most = math.sqrt((mean - low) * (high - mean))
                fault = f"with this mean, sd must be below {_amount_text(float(f'{most:.4g}'), unit)}"
    if fault:
        raise QuantityError(f"'{whole}' is impossible; {fault}")
    if point is not None:
        return fixed(point, unit)
    result = Quantity(kind, args, unit)
    try:
        _, shape, at, scale = _standard(result)
        fine = all(map(math.isfinite, (*shape, at, scale, result.mean(), result.sd()))) and scale > 0
    except (OverflowError, ZeroDivisionError):
        shape, fine = (), False
    if not fine:
        raise QuantityError(f"'{whole}' is out of range; write smaller numbers")
    if kind in {"beta", "beta_shape", "gamma"} and (min(shape) < _LEAST_SHAPE or max(shape) > _MOST_SHAPE):
        raise QuantityError(f"'{whole}' is too narrow or too extreme to compute with; use normal or a fixed value")
    return result


def _truncated(part: Quantity, low: float | None, high: float | None) -> Quantity:
    """Return a truncated distribution; refuse one that keeps almost nothing."""
    bounds = f"{'none' if low is None else _amount_text(low, part.unit)} and "
    bounds += "none" if high is None else _amount_text(high, part.unit)
    if low is not None and high is not None and not low < high:
        raise QuantityError(f"cannot truncate between {bounds}; low must be below high")
    if low is None and high is None:
        return part
    if not part.is_read:  # the values of a file that is not read yet: checked once it is
        return Quantity("truncated", (part, low, high), part.unit)
    kept = _cdf_or(part, high, 1.0) - _cdf_or(part, low, 0.0, left=True)
    if kept < _LEAST_KEPT:
        raise QuantityError(f"{part.text()} has almost nothing between {bounds}; choose wider bounds")
    if part.is_fixed:
        return part
    return Quantity("truncated", (part, low, high), part.unit)


# --------------------------------------------------------------------------------------------------------
# Text
# --------------------------------------------------------------------------------------------------------


def _amount_text(value: float, unit: str) -> str:
    """Return a value with its unit, exactly."""
    if unit in {"share", "rate"}:
        return f"{_digits(value, 2)}%"
    if unit == "duration":
        return f"{_digits(value)} month{'' if value == 1 else 's'}"
    return _digits(value)


def _digits(value: float, shift: int = 0) -> str:
    """Return the shortest decimal digits of a value times ten to the `shift`."""
    from decimal import Decimal

    sign, figures, power = Decimal(repr(value)).as_tuple()
    exact = Decimal((sign, figures, int(power) + shift)).normalize()
    if not exact:
        return "0"
    return f"{exact:f}" if -7 < exact.adjusted() < 18 else f"{exact:e}"


def _file_text(text: str) -> str:
    return text if _BARE_FILE.fullmatch(text) else '"' + text.replace('"', '""') + '"'


# --------------------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------------------


def _file_values(file: str, column: str, unit: str, folder: Path | str) -> tuple[float, ...]:
    """Read one column of a CSV file; returns its values in rising order."""
    import csv
    import io
    from pathlib import Path

    try:
        path = Path(folder) / file
        if not path.is_file():
            raise QuantityError(f"there is no file '{_short(file)}'; it is looked for beside the deal file")
        if path.stat().st_size > _MOST_BYTES:
            raise QuantityError(f"'{_short(file)}' is larger than {_MOST_BYTES} bytes, which is the most that is read")
        rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        header = [name.strip() for name in next(rows, [])]
        if column not in header:
            close = difflib.get_close_matches(column, header, n=1)
            meant = f"did you mean '{_short(close[0])}'?" if close else f"it has {_short(', '.join(header))}"
            raise QuantityError(f"'{_short(file)}' has no column '{_short(column)}'; {meant}")
        if header.count(column) > 1:
            raise QuantityError(f"'{_short(file)}' has two columns '{_short(column)}'; rename one")
        at = header.index(column)
        values: list[float] = []
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            values.append(_cell(row[at] if at < len(row) else "", unit, f"'{_short(file)}' line {rows.line_num}"))
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, QuantityError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else reason
        raise QuantityError(f"'{_short(file)}' cannot be read: {_short(reason)}") from None
    if not values:
        raise QuantityError(f"'{_short(file)}' has no values in the column '{_short(column)}'")
    return tuple(sorted(values))


def _cell(cell: str, unit: str, where: str) -> float:
    try:
        return float(cell) + 0.0 if _PLAIN.fullmatch(cell) and unit != "duration" else parse(cell, unit).value
    except QuantityError as error:
        raise QuantityError(f"{where}: {error}") from None


_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,200})(?:\.[0-9]+)?")


def _values(quantity: Quantity) -> tuple[float, ...]:
    values: tuple[float, ...] | None = quantity.args[2]
    if values is None:
        raise QuantityError(f"the values of {quantity.text()} are not read yet; use with_base first")
    return values


# --------------------------------------------------------------------------------------------------------
# Mathematics: each simple kind is a standard family, moved and scaled
# --------------------------------------------------------------------------------------------------------


def _standard(quantity: Quantity) -> tuple[str, tuple[float, ...], float, float]:
    """Return family, shape, location and scale of a simple kind."""
    kind, args = quantity.kind, quantity.args
    if kind == "normal":
        return "normal", (), args[0], args[1]
    if kind == "range":
        return "normal", (), args[0] + (args[1] - args[0]) / 2, (args[1] - args[0]) / 2 / _NINETY
    if kind == "uniform":
        return "uniform", (), args[0], args[1] - args[0]
    if kind == "triangular":
        low, mode, high = args
        return "triangular", ((mode - low) / (high - low),), low, high - low
    if kind == "pert":
        low, mode, high = args
        peak = (mode - low) / (high - low)
        return "beta", (1 + 4 * peak, 1 + 4 * (1 - peak)), low, high - low
    if kind == "beta_shape":
        alpha, beta, low, high = args
        return "beta", (alpha, beta), low, high - low
    if kind == "beta":
        mean, sd, low, high = args
        centre, spread = (mean - low) / (high - low), sd / (high - low)
        size = centre * (1 - centre) / spread**2 - 1
        return "beta", (centre * size, (1 - centre) * size), low, high - low
    if kind == "lognormal_median":
        return "lognormal", (args[1],), 0.0, args[0]
    if kind == "lognormal":
        mean, sd = args
        spread = math.sqrt(math.log1p((sd / mean) ** 2))
        return "lognormal", (spread,), 0.0, mean / math.exp(spread**2 / 2)
    if kind == "gamma":
        mean, sd = args
        return "gamma", ((mean / sd) ** 2,), 0.0, sd * (sd / mean)
    return _no_distribution(quantity)


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


def _logit_shape(quantity: Quantity) -> tuple[float, float]:
    """Return mean and standard deviation of the logit of a share whose 90% interval is given."""
    low, high = (_logit(end) for end in quantity.args)
    return (low + high) / 2, (high - low) / 2 / _NINETY


def _logit_moment(quantity: Quantity, power: int) -> float:
    """Return E[share^power]; the trapezium rule is exact to rounding on a smooth integrand that dies off."""
    at, scale = _logit_shape(quantity)
    step = 1 / 32
    total = 0.0
    for i in range(-9 * 32, 9 * 32 + 1):
        z = i * step
        x = at + scale * z
        share = 1 / (1 + math.exp(-x)) if x > -700 else 0.0
        total += math.exp(-z * z / 2) * share**power
    return total * step / math.sqrt(2 * math.pi)


def _no_distribution(quantity: Quantity) -> NoReturn:
    raise QuantityError(f"'{quantity.text()}' is only a name; look up what it stands for")


def _beta_mean(shape: tuple[float, ...]) -> tuple[float, float]:
    alpha, beta = shape
    total = alpha + beta
    return alpha / total, math.sqrt((alpha / total) * (beta / total) / (total + 1))


def _lognormal_mean(shape: tuple[float, ...]) -> tuple[float, float]:
    half = math.exp(shape[0] ** 2 / 2)
    return half, half * math.sqrt(math.expm1(shape[0] ** 2))


def _triangular_mean(shape: tuple[float, ...]) -> tuple[float, float]:
    mode = shape[0]
    return (1 + mode) / 3, math.sqrt((1 - mode + mode**2) / 18)


# Mean and standard deviation of each standard family.
_MEANS: dict[str, Callable[[tuple[float, ...]], tuple[float, float]]] = {
    "normal": lambda _: (0.0, 1.0),
    "uniform": lambda _: (0.5, math.sqrt(1 / 12)),
    "triangular": _triangular_mean,
    "beta": _beta_mean,
    "lognormal": _lognormal_mean,
    "gamma": lambda shape: (shape[0], math.sqrt(shape[0])),
}


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _standard_cdf(family: str, shape: tuple[float, ...], z: float) -> float:
    """Return the distribution function of a standard family at one point; light unless beta or gamma."""
    if family == "normal":
        return _normal_cdf(z)
    if z <= 0:
        return 0.0
    if family == "lognormal":
        return _normal_cdf(math.log(z) / shape[0]) if z < math.inf else 1.0
    if family != "gamma" and z >= 1:
        return 1.0
    if family == "uniform":
        return z
    if family == "triangular":
        mode = shape[0]
        return z * z / mode if z < mode else 1 - (1 - z) ** 2 / (1 - mode)
    from scipy import special

    if family == "beta":
        return float(special.betainc(shape[0], shape[1], z))
    return float(special.gammainc(shape[0], z))


def _standard_cdfs(family: str, shape: tuple[float, ...], z: Floats) -> Floats:
    """Return the distribution function of a standard family at many points."""
    import numpy as np
    from scipy import special

    with np.errstate(all="ignore"):
        if family == "normal":
            out = special.ndtr(z)
        elif family == "lognormal":
            out = special.ndtr(np.log(np.maximum(z, 0.0)) / shape[0])
        elif family == "gamma":
            out = special.gammainc(shape[0], np.maximum(z, 0.0))
        else:
            z = np.clip(z, 0.0, 1.0)
            if family == "beta":
                out = special.betainc(shape[0], shape[1], z)
            elif family == "uniform":
                out = z
            else:
                mode = shape[0]
                out = np.where(z < mode, z * z / max(mode, 1e-300), 1 - (1 - z) ** 2 / max(1 - mode, 1e-300))
    return np.asarray(out)


def _standard_quantiles(family: str, shape: tuple[float, ...], u: Floats) -> Floats:
    """Return the quantile function of a standard family."""
    import numpy as np
    from scipy import special

    out: Any
    if family == "normal":
        out = special.ndtri(u)
    elif family == "lognormal":
        out = np.exp(shape[0] * special.ndtri(u))
    elif family == "gamma":
        out = special.gammaincinv(shape[0], u)
    elif family == "beta":
        out = special.betaincinv(shape[0], shape[1], u)
    elif family == "uniform":
        out = u
    else:
        mode = shape[0]
        out = np.where(u < mode, np.sqrt(u * mode), 1 - np.sqrt((1 - u) * (1 - mode)))
    return np.asarray(out)


def _standard_moment(family: str, shape: tuple[float, ...], power: int, z: float) -> float:
    """Return the expectation of z to the `power` over the values up to `z`; the power is 1 or 2."""
    if family == "normal":
        if math.isinf(z):
            return 0.0 if power == 1 or z < 0 else 1.0
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return -density if power == 1 else _normal_cdf(z) - z * density
    if z <= 0:
        return 0.0
    if family == "lognormal":
        spread = shape[0]
        inside = 1.0 if math.isinf(z) else _normal_cdf(math.log(z) / spread - power * spread)
        return math.exp((power * spread) ** 2 / 2) * inside
    if family == "gamma":
        size = shape[0] if power == 1 else shape[0] * (shape[0] + 1)
        return size * (1.0 if math.isinf(z) else _standard_cdf("gamma", (shape[0] + power,), z))
    z = min(z, 1.0)
    if family == "uniform":
        return z ** (power + 1) / (power + 1)
    if family == "beta":
        alpha, beta = shape
        size = alpha / (alpha + beta) * (1.0 if power == 1 else (alpha + 1) / (alpha + beta + 1))
        return size * _standard_cdf("beta", (alpha + power, beta), z)
    mode, rise = shape[0], power + 2
    start = min(z, mode)
    total = 2 * start**rise / (mode * rise) if mode > 0 else 0.0
    if z > mode:
        first = (z ** (power + 1) - mode ** (power + 1)) / (power + 1)
        second = (z**rise - mode**rise) / rise
        total += 2 * (first - second) / (1 - mode)
    return total


def _cdf_or(quantity: Quantity, x: float | None, otherwise: float, *, left: bool = False) -> float:
    return otherwise if x is None else _cdf(quantity, x, left=left)


def _cdf(quantity: Quantity, x: float, *, left: bool = False) -> float:
    """Return the probability of at most `x`, or with `left` of less than `x`."""
    if math.isnan(x):
        return math.nan
    if quantity.kind == "fixed":
        return float(quantity.value < x if left else quantity.value <= x)
    if quantity.kind == "mixture":
        return min(1.0, math.fsum(weight * _cdf(part, x, left=left) for weight, part in quantity.args))
    if quantity.kind == "empirical":
        from bisect import bisect_left, bisect_right

        values = _values(quantity)
        return (bisect_left if left else bisect_right)(values, x) / len(values)
    if quantity.kind == "truncated":
        part, low, high = quantity.args
        if low is not None and x < low:
            return 0.0
        if high is not None and x > high:
            return 1.0
        start, end = _cdf_or(part, low, 0.0, left=True), _cdf_or(part, high, 1.0)
        return min(1.0, max(0.0, (_cdf(part, x, left=left) - start) / (end - start)))
    if quantity.kind == "logit_range":
        at, scale = _logit_shape(quantity)
        return 0.0 if x <= 0.0 else 1.0 if x >= 1.0 else _normal_cdf((_logit(x) - at) / scale)
    family, shape, at, scale = _standard(quantity)
    return _standard_cdf(family, shape, (x - at) / scale)


def _cdfs(quantity: Quantity, x: Floats, *, left: bool = False) -> Floats:
    """Return `_cdf` at many points."""
    import numpy as np

    if quantity.kind == "fixed":
        return np.asarray(quantity.value < x if left else quantity.value <= x, dtype=np.float64)
    if quantity.kind == "mixture":
        total: Any = sum(weight * _cdfs(part, x, left=left) for weight, part in quantity.args)
        return np.asarray(np.minimum(total, 1.0))
    if quantity.kind == "empirical":
        values = np.asarray(_values(quantity))
        return np.asarray(np.searchsorted(values, x, side="left" if left else "right") / values.size)
    if quantity.kind == "truncated":
        part, low, high = quantity.args
        start, end = _cdf_or(part, low, 0.0, left=True), _cdf_or(part, high, 1.0)
        inside = np.clip((_cdfs(part, x, left=left) - start) / (end - start), 0.0, 1.0)
        inside = inside if low is None else np.where(x < low, 0.0, inside)
        return inside if high is None else np.where(x > high, 1.0, inside)
    if quantity.kind == "logit_range":
        return np.array([_cdf(quantity, float(each)) for each in np.ravel(x)]).reshape(np.shape(x))
    family, shape, at, scale = _standard(quantity)
    return _standard_cdfs(family, shape, (x - at) / scale)


def _quantile(quantity: Quantity, u: Floats) -> Floats:
    import numpy as np

    if quantity.kind == "fixed":
        return np.full(u.shape, quantity.value)
    if quantity.kind == "mixture":
        return _mixture_quantile(quantity, u)
    if quantity.kind == "empirical":
        values = np.asarray(_values(quantity))
        # The least value that at least the share u of the values do not exceed.
        steps = np.arange(1, values.size + 1) / values.size
        return values[np.minimum(np.searchsorted(steps, u, side="left"), values.size - 1)]
    if quantity.kind == "truncated":
        part, low, high = quantity.args
        start, end = _cdf_or(part, low, 0.0, left=True), _cdf_or(part, high, 1.0)
        inner = np.clip(start + u * (end - start), 5e-324, 1 - 2.0**-53)
        return np.clip(_quantile(part, inner), low, high)
    if quantity.kind == "logit_range":
        from scipy.special import expit

        at, scale = _logit_shape(quantity)
        return np.asarray(expit(at + scale * _standard_quantiles("normal", (), u)))
    family, shape, at, scale = _standard(quantity)
    out = at + scale * _standard_quantiles(family, shape, u)
    return np.clip(out, *quantity.support()) if family in {"beta", "triangular", "uniform"} else out


def _atoms(quantity: Quantity) -> set[float]:
    """Return the values that have a probability of their own."""
    if quantity.kind == "fixed":
        return {quantity.value}
    if quantity.kind == "empirical":
        return set(_values(quantity))
    if quantity.kind == "mixture":
        return set().union(*(_atoms(part) for _, part in quantity.args))
    if quantity.kind == "truncated":
        low, high = quantity.support()
        return {value for value in _atoms(quantity.args[0]) if low <= value <= high}
    return set()


def _mixture_quantile(quantity: Quantity, u: Floats) -> Floats:
    """Invert the distribution function of a mixture by bisection.

    Between fixed nodes, which depend on the mixture only, every `u` meets the same midpoints; so the result
    never falls as `u` rises and does not depend on what else is asked for at the same time.
    """
    import numpy as np

    flat = u.ravel()
    tails = 10.0 ** np.array([-300.0, -100, -50, -30, -20, -16, -14, -12, -10, -8, -7, -6, -5, -4, -3])
    inner = np.linspace(0.002, 0.998, 499)
    grid = np.concatenate(([5e-324], tails, inner, 1 - tails[-1:4:-1], [1 - 2.0**-53]))
    points = [_quantile(part, grid) for _, part in quantity.args]
    nodes = np.unique(np.concatenate([*points, np.array(sorted(_atoms(quantity)))]))
    heights = np.maximum.accumulate(_cdfs(quantity, nodes))
    above = np.minimum(np.searchsorted(heights, flat, side="left"), nodes.size - 1)
    low, high = nodes[np.maximum(above - 1, 0)], nodes[above]
    for _ in range(60):
        middle = low + (high - low) / 2
        open_ = (middle > low) & (middle < high)
        if not open_.any():
            break
        enough = _cdfs(quantity, middle) >= flat
        high = np.where(open_ & enough, middle, high)
        low = np.where(open_ & ~enough, middle, low)
    return high.reshape(u.shape)


def _moments_between(part: Quantity, low: float | None, high: float | None) -> tuple[float, float]:
    """Return mean and standard deviation of a distribution cut at two bounds, by partial moments."""
    pieces = list(_pieces(part, low, high))
    total = math.fsum(weight for weight, _, _ in pieces)
    mean = math.fsum(weight * centre for weight, centre, _ in pieces) / total
    variance = math.fsum(weight * (spread + (centre - mean) ** 2) for weight, centre, spread in pieces) / total
    return mean, math.sqrt(max(0.0, variance))


def _pieces(part: Quantity, low: float | None, high: float | None) -> list[tuple[float, float, float]]:
    """Return (probability, mean, variance) of what each component has between two bounds."""
    least, most = -math.inf if low is None else low, math.inf if high is None else high
    if part.kind == "fixed":
        return [(1.0, part.value, 0.0)] if least <= part.value <= most else []
    if part.kind == "empirical":
        inside = [value for value in _values(part) if least <= value <= most]
        share = 1 / len(_values(part))
        return [(share, value, 0.0) for value in inside]
    if part.kind == "truncated":
        inner, first, last = part.args
        kept = _cdf_or(inner, last, 1.0) - _cdf_or(inner, first, 0.0, left=True)
        least = least if first is None else max(least, first)
        most = most if last is None else min(most, last)
        if least > most:
            return []
        return [(share / kept, mean, spread) for share, mean, spread in _pieces(inner, least, most)]
    if part.kind == "mixture":
        return [
            (weight * share, mean, spread)
            for weight, component in part.args
            for share, mean, spread in _pieces(component, low, high)
        ]
    family, shape, at, scale = _standard(part)
    start, end = (least - at) / scale, (most - at) / scale
    share = _standard_cdf(family, shape, end) - _standard_cdf(family, shape, start)
    if not share > 0:
        return []
    first_moment, second_moment = (
        (_standard_moment(family, shape, power, end) - _standard_moment(family, shape, power, start)) / share
        for power in (1, 2)
    )
    return [(share, at + scale * first_moment, scale**2 * max(0.0, second_moment - first_moment**2))]
