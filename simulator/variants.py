"""Variants of a deal: what changes when some of its numbers change, and what does not.

Every number of a plan is a column of the value row, and every table of a plan names the columns that it reads. So which
parts of a run a change reaches can be read off the tables: a variant whose tables are those of the base and whose
numbers differ only in columns that outcomes do not read shares the outcomes of the base, to the bit.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from simulator import deal as deal_
from simulator.deal import Deal, ReadsWorded, Worded
from simulator.dealfile import OpenedDeal
from simulator.plan import Column, Plan, compile_plan, planned_value
from simulator.quantity import Quantity, QuantityError, parse
from simulator.yamlfile import DealError, Problem, join_path, nearest, split_set

Path = tuple[str | int, ...]

OF_THE_SETTLEMENT = frozenset(
    {"measures", "calendar", "structures", "per_person_cap", "payers", "payer_names", "worths"}
)
"""Parts of a plan that only settle outcomes; whatever else a plan holds is taken to shape them."""
_LABELS = frozenset({"deal", "columns", "expected"})
_WHOLE = re.compile(r"(-?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?)\s*([^0-9:][^:]*)?", re.ASCII)
_ONE = re.compile(r"^(day|week|month|quarter|year)\b")
_WORDED = [part for each in vars(deal_).values() for part in getattr(each, "__metadata__", ())]
_FORMS = tuple(
    f" {words}" for each in _WORDED if isinstance(each, ReadsWorded) and not each.before for words, _ in each.forms
)
"""Words behind a number that say how it is meant."""


# ---------------------------------------------------------------------------------------------------------------
# Which columns are read, and where
# ---------------------------------------------------------------------------------------------------------------


def columns_in(part: Any, name: str = "") -> Iterator[int]:
    """Yield every column that a part of a plan reads: its fields whose names end in `_at`, at any depth."""
    if isinstance(part, Mapping):
        for each in part.values():
            yield from columns_in(each, name)
    elif name.endswith("_at"):
        yield from (int(each) for each in np.ravel(part) if each >= 0)
    elif isinstance(part, np.ndarray):
        for field in part.dtype.names or ():
            yield from columns_in(part[field], field)
    else:
        for field, each in _fields(part):
            yield from columns_in(each, field)


def _fields(part: Any) -> list[tuple[str, Any]]:
    if dataclasses.is_dataclass(part):
        return [(field.name, getattr(part, field.name)) for field in dataclasses.fields(part)]
    if hasattr(part, "_fields"):
        return list(zip(part._fields, part, strict=True))
    return []


def read_by_outcomes(plan: Plan) -> frozenset[int]:
    """Columns on which simulated outcomes rest, the money after a cap per person included."""
    parts = [(name, each) for name, each in _fields(plan) if name not in OF_THE_SETTLEMENT | _LABELS]
    found = {column for name, each in parts for column in columns_in(each, name)}
    if plan.people:
        # people are settled under a cap per person while they are drawn
        for name, column in plan.per_person_cap.items():
            if column >= 0:
                found |= {column, *columns_in(plan.structures[name].clauses)}
    return frozenset(found)


def read_at_all(plan: Plan) -> frozenset[int]:
    """Columns that any table of the plan reads; the rest of the deal's numbers are read from the deal itself."""
    parts = [(name, each) for name, each in _fields(plan) if name not in _LABELS]
    return frozenset(
        {column for name, each in parts for column in columns_in(each, name)}
        | {column for column in plan.per_person_cap.values() if column >= 0}
    )


def read_by_others(plan: Plan, structure: str) -> frozenset[int]:
    """Columns that stand in other structures and shape no outcomes: they cannot move this structure's answers."""
    others = {i for i, each in enumerate(plan.columns) if each.path[0] == "structures" and each.path[1] != structure}
    return frozenset(others - read_by_outcomes(plan))


def signature(part: Any, columns: Sequence[Column], name: str = "") -> Any:
    """Return the content of a part of a plan, hashable, with each column replaced by the number that stands there."""
    if isinstance(part, Mapping):
        return tuple((key, signature(each, columns, name)) for key, each in part.items())
    if name.endswith("_at"):
        return tuple(None if each < 0 else _content(columns[int(each)]) for each in np.ravel(part))
    if isinstance(part, np.ndarray) and part.dtype.names:
        return tuple((field, signature(part[field], columns, field)) for field in part.dtype.names)
    if isinstance(part, np.ndarray):
        return (part.shape, part.tobytes())
    if fields := _fields(part):
        return tuple((field, signature(each, columns, field)) for field, each in fields)
    return tuple(signature(each, columns) for each in part) if isinstance(part, tuple | list) else part


def _content(column: Column) -> tuple[Any, ...]:
    return (column.quantity, column.low, column.high, column.address)


def outcomes_signature(plan: Plan) -> Any:
    """Return what simulated outcomes rest on; plans that agree in it have the same outcomes, draw by draw."""
    parts = [(name, each) for name, each in _fields(plan) if name not in OF_THE_SETTLEMENT | _LABELS]
    shapes = tuple((name, signature(each, plan.columns, name)) for name, each in parts)
    calendar = plan.calendar
    time = (calendar.periods, calendar.step, calendar.a_year, calendar.first, calendar.last)
    joined = tuple(_content(each) for each in plan.columns) if plan.joined else ()
    caps: tuple[Any, ...] = ()
    if plan.people:
        caps = tuple(
            (_content(plan.columns[column]), signature(plan.structures[name].clauses, plan.columns))
            for name, column in plan.per_person_cap.items()
            if column >= 0
        )
    return shapes, time, joined, caps


def differing(plan: Plan, other: Plan) -> frozenset[int] | None:
    """Columns whose numbers differ, or None if the plans differ in more than numbers."""
    if [each.path for each in plan.columns] != [each.path for each in other.columns]:
        return None
    for name, each in _fields(plan):
        if name not in _LABELS and not _same(each, getattr(other, name)):
            return None
    pairs = enumerate(zip(plan.columns, other.columns, strict=True))
    return frozenset(i for i, (ours, theirs) in pairs if ours != theirs)


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, np.ndarray):
        return bool(ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes())
    if isinstance(ours, Mapping):
        return list(ours) == list(theirs) and all(_same(each, theirs[key]) for key, each in ours.items())
    if fields := _fields(ours):
        return all(_same(each, getattr(theirs, name)) for name, each in fields)
    return bool(ours == theirs)


def with_numbers(plan: Plan, numbers: Mapping[int, Quantity]) -> Plan:
    """Return the plan with other numbers in some columns, known to everybody from the start."""
    columns = list(plan.columns)
    expected = plan.expected.copy()
    for index, quantity in numbers.items():
        columns[index] = dataclasses.replace(columns[index], quantity=quantity)
        expected[index] = planned_value(columns[index])
    return dataclasses.replace(plan, columns=tuple(columns), expected=expected)


# ---------------------------------------------------------------------------------------------------------------
# A deal and the changes to it
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Base:
    """A deal file, the changes made to it once for all, and its plan."""

    opened: OpenedDeal
    sets: tuple[str, ...]
    deal: Deal
    plan: Plan

    @classmethod
    def of(cls, opened: OpenedDeal, sets: Sequence[str] = ()) -> Base:
        """Load and compile. Raises DealError."""
        deal = opened.deal(sets)
        return cls(opened, tuple(sets), deal, compile_plan(deal))

    def variant(self, changes: Mapping[Path, str], option: str = "--over") -> Deal:
        """Load the deal with some paths changed; a bare number keeps the words that stand beside the old one.

        Raises
        ------
        DealError
            In which the changed paths are said to come from `option`.
        """
        texts = [f"{join_path(path)}={self.worded(path, text)}" for path, text in changes.items()]
        try:
            return self.opened.deal((*self.sets, *texts))
        except DealError as error:
            raise DealError([_from(each, changes, option) for each in error.problems]) from None

    def worded(self, path: Path, text: str) -> str:
        """Put a bare number into the words of the number that it replaces: `12%` becomes `at least 12%`."""
        if not _WHOLE.fullmatch(text) or text.endswith(_FORMS):
            return text
        for model in (self.written, self.deal):
            value = _at(model, path)
            if isinstance(value, Worded):
                form = value.form
                return text if not form else f"{form} {text}" if value.before else f"{text} {form}"
            if value is not None:
                return text
        return text

    @functools.cached_property
    def written(self) -> Deal:
        """The deal in the file's own words."""
        return self.opened.written(self.sets)


def _from(problem: Problem, changes: Mapping[Path, str], option: str) -> Problem:
    """Say that a problem of a changed path comes from the option that changed it."""
    paths = [join_path(path) for path in changes]
    at_fault = problem.file == "--set" and any(
        problem.path == path or problem.path.startswith(f"{path}.") or path.startswith(problem.path) for path in paths
    )
    return dataclasses.replace(problem, file=option) if at_fault else problem


def _at(model: Any, path: Path) -> Any:
    """The value at a path of a model, or None if there is nothing."""
    here = model
    for part in path:
        if isinstance(here, Mapping):
            here = here.get(part)
        elif isinstance(here, list | tuple):
            here = here[int(part)] if str(part).isdigit() and int(part) < len(here) else None
        elif hasattr(type(here), "model_fields"):
            fields = type(here).model_fields.items()
            name = next((key for key, field in fields if (field.alias or key) == part), None)
            here = None if name is None else getattr(here, name)
        else:
            return None
    return here


# ---------------------------------------------------------------------------------------------------------------
# Axes
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """A path and the values that it takes: a list in deal-file syntax, or a range of numbers with one unit."""

    path: Path
    values: tuple[str, ...] = ()
    """Texts, where they are listed or counted."""
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    """What stands behind the numbers of a range: `%`, `k`, ` months`."""

    @property
    def name(self) -> str:
        """The path as people write it."""
        return join_path(self.path)

    @property
    def is_range(self) -> bool:
        """Whether it is a range of numbers (perhaps counted), not a list."""
        return not math.isnan(self.low)

    def text(self, share: float) -> str:
        """Value at a share of the way, in [0, 1)."""
        if self.values:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        return number_text(self.low + (self.high - self.low) * share) + self.unit

    def samples(self, most: int = 64) -> list[str]:
        """Values to try before anything starts: all if they are few, the ends and some between if not."""
        if not self.values:
            return [number_text(self.low + (self.high - self.low) * k / 4) + self.unit for k in range(5)]
        if len(self.values) <= most or not self.is_range:
            return list(self.values)
        places = sorted({round(k * (len(self.values) - 1) / (most - 1)) for k in range(most)})
        return [self.values[place] for place in places]

    def ends(self) -> tuple[str, str]:
        """First and last value."""
        tried = self.samples()
        return tried[0], tried[-1]


def number_text(value: float) -> str:
    """Write a number with at most twelve digits and no exponent, as deal files do."""
    text = format(Decimal(f"{value:.12g}"), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_axis(text: str) -> Axis:
    """Read `PATH=LOW:HIGH:N`, `PATH=LOW:HIGH` or `PATH=a,b,c`.

    Raises
    ------
    ValueError
        With what is wrong and what is allowed.
    """
    try:
        path, given = split_set(text)
    except ValueError as error:
        message = str(error).removesuffix("; write PATH=VALUE")
        raise ValueError(f"--over {message}; allowed: PATH=LOW:HIGH:N or PATH=a,b,c") from None
    if not given:
        raise ValueError(f"{join_path(path)}: no values are given; allowed: PATH=LOW:HIGH:N or PATH=a,b,c")
    parts = [part.strip() for part in given.split(":")]
    if len(parts) in {2, 3} and all(_WHOLE.fullmatch(part) for part in parts[:2]):
        return _range(path, parts)
    values = tuple(_split(given))
    if not all(values):
        raise ValueError(f"{join_path(path)}: {given!r} has an empty value; allowed: PATH=a,b,c")
    if len(set(values)) < len(values):
        twice = next(each for each in values if values.count(each) > 1)
        raise ValueError(f"{join_path(path)}: {twice!r} is given twice; allowed: each value once")
    return Axis(path, values)


def _range(path: Path, parts: list[str]) -> Axis:
    name = join_path(path)
    ends, units = [], []
    for part in parts[:2]:
        found = _WHOLE.fullmatch(part)
        assert found is not None
        if not math.isfinite(float(found[1].replace("_", ""))):
            raise ValueError(f"{name}: {part} is too large; allowed: up to 1e300")
        ends.append(Fraction(found[1].replace("_", "")))
        units.append(_ONE.sub(r"\1s", (found[2] or "").strip()))
    if units[0] != units[1] and not (ends[0] == 0 and not units[0]):
        raise ValueError(f"{name}: {parts[0]} and {parts[1]} are in different units; allowed: one unit, as 5%:15%:11")
    unit = units[1]
    low, high = float(ends[0]), float(ends[1])
    if not low < high:
        raise ValueError(f"{name}: the range {parts[0]}:{parts[1]} is empty; allowed: LOW below HIGH")
    spaced = f" {unit}" if unit and unit[0].isalpha() and len(unit) > 2 else unit
    if len(parts) == 2:
        return Axis(path, (), low, high, spaced)
    count = re.fullmatch(r"0*([0-9]+)", parts[2], re.ASCII)
    if not count or count[1] in {"0", "1"}:
        raise ValueError(f"{name}: {parts[2]!r} is no number of values; allowed: LOW:HIGH:N with N at least 2")
    if len(count[1]) > 7 or int(count[1]) > 1_000_000:
        raise ValueError(f"{name}: {count[1]} values are too many; allowed: at most 1,000,000")
    number = int(count[1])
    steps = (ends[0] + (ends[1] - ends[0]) * Fraction(k, number - 1) for k in range(number))
    return Axis(path, tuple(number_text(float(each)) + spaced for each in steps), low, high, spaced)


def _split(text: str) -> list[str]:
    """Split at commas outside brackets and quotes."""
    parts, depth, quoted = [""], 0, ""
    for character in text:
        if quoted:
            quoted = "" if character == quoted else quoted
        elif character in "\"'":
            quoted = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if character == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


@dataclass(frozen=True)
class Reach:
    """What a change along an axis reaches in one base."""

    columns: tuple[int, ...] | None
    """Columns that take the numbers of the axis; None if each value needs the deal to be loaded anew."""
    units: tuple[str, ...]
    """In which unit each column reads them."""
    moves_outcomes: bool

    def numbers(self, text: str) -> dict[int, Quantity]:
        """Numbers of the columns at a value of the axis."""
        return {index: parse(text, unit) for index, unit in zip(self.columns or (), self.units, strict=True)}


def reach(base: Base, axis: Axis, option: str = "--over") -> Reach:
    """Try values of an axis and see what they change.

    Raises
    ------
    DealError
        If the path does not exist or a value is not legal there.
    """
    tried = axis.samples()
    plans = []
    for text in tried:
        plans.append(compile_plan(base.variant({axis.path: text}, option)))
    found = [differing(base.plan, plan) for plan in plans]
    ours = outcomes_signature(base.plan)
    by_numbers: Reach | None = None
    if all(each is not None for each in found):
        columns = tuple(sorted({column for each in found for column in each or ()}))
        by_numbers = _reach_of_numbers(base.plan, columns, tried, plans)
    if by_numbers is not None:
        return by_numbers
    signatures = [outcomes_signature(plan) for plan in plans]
    return Reach(None, (), any(each != ours for each in signatures))


def _reach_of_numbers(plan: Plan, columns: tuple[int, ...], tried: list[str], plans: list[Plan]) -> Reach | None:
    if not columns or not read_at_all(plan).issuperset(columns):
        return None
    fixed = all(each.columns[column].quantity.is_fixed for each in plans for column in columns)
    if not fixed:
        return None
    units = tuple(plans[0].columns[column].quantity.unit for column in columns)
    found = Reach(columns, units, not read_by_outcomes(plan).isdisjoint(columns))
    try:
        agree = all(
            found.numbers(text) == {column: each.columns[column].quantity for column in columns}
            for text, each in zip(tried, plans, strict=True)
        )
    except QuantityError:
        return None
    return found if agree else None


def corners(axes: Sequence[Axis], most: int = 64) -> Iterable[tuple[str, ...]]:
    """Combinations of the ends of all axes, at most so many."""
    return itertools.islice(itertools.product(*(axis.ends() for axis in axes)), most)


def unknown_structure(known: Iterable[str], name: str) -> str:
    """Say that there is no such structure."""
    near = nearest(name, known)
    hint = f"did you mean {near!r}?" if near else "allowed: " + ", ".join(known)
    return f"no structure is called {name!r}; {hint}"
