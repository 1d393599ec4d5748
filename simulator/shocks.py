"""The grammar of `stresses:` in a deal file: which numbers change, and how. No arrays, no draws."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simulator.quantity import QuantityError, parse
from simulator.yamlfile import split_path

SERVICE_ENDS = "service_ends"
"""Stands in place of a path: the service ends early, `after 3 years`."""

_HOW = ("times", "plus", "minus", "at least", "at most", "after")
ALLOWED = "a number, or: times 70%, plus 6 months, minus 5%, at least 15%, at most 100"


@dataclass(frozen=True)
class Change:
    """What happens to a number: x becomes factor x + number, or the larger or smaller of x and a number."""

    how: str
    """`be`, `times`, `plus`, `minus`, `at least`, `at most` or `after`."""
    number: float

    def apply(self, x: Any) -> Any:
        """Change numbers, an array or one."""
        import numpy as np

        if self.how == "times":
            return x * self.number
        if self.how in {"plus", "minus"}:
            return x + self.number if self.how == "plus" else x - self.number
        if self.how == "at least":
            return np.maximum(x, self.number)
        if self.how == "at most":
            return np.minimum(x, self.number)
        return x * 0.0 + self.number


def parse_change(text: str, unit: str) -> Change:
    """Read how a number changes; numbers are in its unit, except after `times`.

    Raises
    ------
    ValueError
        With what is wrong and what is allowed.
    """
    words = " ".join(str(text).split())
    how = next((each for each in _HOW if words.lower().startswith(f"{each} ")), "be")
    number = words[len(how) + 1 :] if how != "be" else words
    try:
        found = parse(number, "share" if how == "times" else "duration" if how == "after" else unit)
    except QuantityError as error:
        raise ValueError(f"{words!r} is no change: {error}; allowed: {ALLOWED}") from None
    if not found.is_fixed or not math.isfinite(found.value):
        raise ValueError(f"{words!r} is no change; allowed: {ALLOWED}")
    return Change(how, found.value)


def matches(pattern: str | Sequence[str], path: Sequence[str | int]) -> bool:
    """Whether a path of numbers is meant by a pattern, in which `*` stands for any one name."""
    parts = split_path(pattern) if isinstance(pattern, str) else tuple(pattern)
    return len(parts) == len(path) and all(part in ("*", str(each)) for part, each in zip(parts, path, strict=True))


def problem(pattern: str, how: object, units: Sequence[str]) -> str | None:
    """What is wrong with one line of a shock whose pattern means numbers of these units; None if nothing is."""
    if pattern == SERVICE_ENDS:
        if not re.fullmatch(r"\s*after\s+\S.*", str(how)):
            return f"{how!r} is no end; allowed: after 3 years, counted from the start of service"
        units = ["duration"]
    elif not units:
        return "no number has such a path; allowed: paths as sib show --paths prints them, * for any name"
    try:
        for unit in units:
            parse_change(str(how), unit)
    except ValueError as error:
        return str(error)
    return None
