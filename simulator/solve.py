"""Solving: which value of a term gives the result that is asked for, on the same draws throughout.

A metric is a function of the term on fixed draws. It is tried over the whole range first, so that several solutions,
or none, are seen; each change of sign is then narrowed down. Where a metric jumps by more than its own error (a
threshold in whole people), there is a step and no solution, and both sides are reported. The interval of a solution
holds every value at which the metric's own 95% interval holds what is asked for.
"""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.deal import Deal
from simulator.plan import compile_plan
from simulator.quantity import QuantityError, parse
from simulator.run import Simulation, Variant, available_threads, environment, header, simulate_variants
from simulator.sweep import opened_deal
from simulator.variants import Axis, Base, Reach, number_text, parse_axis, reach, unknown_structure, with_numbers
from simulator.yamlfile import AskError, join_path, nearest, split_path

Floats = NDArray[np.float64]
Answer = TypeVar("Answer")

_TRIED = 17
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Value:
    """A metric with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    """A metric of a structure, by its dotted name."""

    name: str
    structure: str

    @property
    def text(self) -> str:
        """As it is written: METRIC of STRUCTURE."""
        return f"{self.name} of {self.structure}"

    def read(self, answers: Mapping[str, Any]) -> Value:
        """Find it in the answers of a simulation. Raises AskError if there is none of that name."""
        here: Any = answers["structures"][self.structure]
        parts = list(split_path(self.name))
        above: Any = here
        for place, part in enumerate(parts):
            if not isinstance(here, Mapping) or part not in here:
                known = list(here) if isinstance(here, Mapping) else []
                near = nearest(part, known)
                hint = f"did you mean {near!r}?" if near else f"allowed: {', '.join(known) or 'nothing below it'}"
                said = ".".join(parts[: place + 1])
                raise AskError(f"{said!r} is no metric of {self.structure!r}; {hint}")
            above, here = here, here[part]
        if isinstance(here, Mapping):
            raise AskError(
                f"{self.name!r} is several numbers; allowed: {', '.join(f'{self.name}.{key}' for key in here)}"
            )
        if here is None:
            return Value(math.nan, math.nan, math.nan)
        if not isinstance(here, int | float):
            raise AskError(f"{self.name!r} is no number; allowed: a metric such as investor.irr.p50")
        return Value(float(here), *_interval(above, parts[-1], float(here)))


def _interval(above: Mapping[str, Any], key: str, value: float) -> tuple[float, float]:
    if key == "probability":
        low, high = above["interval"]
        return float(low), float(high)
    if key in above.get("intervals", {}):
        low, high = above["intervals"][key]
        return float(low), float(high)
    error = above.get("standard_error") if key in {"mean", "value"} else None
    half = 0.0 if error is None else _Z95 * error
    return value - half, value + half


@dataclass(frozen=True)
class Wanted:
    """What a solution has to give: a metric equal to a number, or to another metric."""

    metric: Metric
    number: float | None = None
    other: Metric | None = None

    @property
    def text(self) -> str:
        """As it is written."""
        right = self.other.text if self.other is not None else number_text(self.number or 0.0)
        return f"{self.metric.text} = {right}"

    @property
    def structures(self) -> list[str]:
        """Structures that it reads."""
        return list(dict.fromkeys([self.metric.structure, *([self.other.structure] if self.other else [])]))

    def gap(self, answers: Mapping[str, Any]) -> Value:
        """Left side less right side, with its 95% interval; paired, where both are metrics."""
        left = self.metric.read(answers)
        if self.other is None:
            right = self.number or 0.0
            return Value(left.value - right, left.low - right, left.high - right)
        right_ = self.other.read(answers)
        value = left.value - right_.value
        error = _paired_error(self.metric, self.other, answers["draws"])
        if error is None:
            error = math.hypot(left.high - left.low, right_.high - right_.low) / (2 * _Z95)
        return Value(value, value - _Z95 * error, value + _Z95 * error)


def _paired_error(one: Metric, other: Metric, draws: Mapping[str, Mapping[str, Floats]]) -> float | None:
    """Standard error of the difference of two means on the same draws, None for other metrics."""
    sides = []
    for metric in (one, other):
        *_, name, key = ["", *split_path(metric.name)]
        if key != "mean" or name not in draws[metric.structure]:
            return None
        sides.append(draws[metric.structure][name])
    difference = sides[0] - sides[1]
    if np.isnan(difference).any() or difference.size < 2:
        return None
    return float(difference.std(ddof=1) / math.sqrt(difference.size))


def parse_wanted(text: str, structures: Sequence[str]) -> Wanted:
    """Read `METRIC of STRUCTURE = VALUE` or `METRIC of STRUCTURE = METRIC of STRUCTURE`. Raises AskError."""
    form = "allowed: METRIC of STRUCTURE = VALUE, such as investor.irr.p50 of as signed = 5%"
    left, equals, right = text.rpartition("=")
    if not equals:
        raise AskError(f"{text!r} has no '='; {form}")
    metric = _metric(left.strip(), structures, form)
    if " of " in right:
        return Wanted(metric, other=_metric(right.strip(), structures, form))
    for unit in ("share", "money", "number"):
        try:
            found = parse(right.strip(), unit)
        except QuantityError:
            continue
        if found.is_fixed:
            return Wanted(metric, found.value)
    raise AskError(f"{right.strip()!r} is neither a number nor METRIC of STRUCTURE; {form}")


def _metric(text: str, structures: Sequence[str], form: str) -> Metric:
    name, of, structure = text.partition(" of ")
    if not of:
        raise AskError(f"{text!r} names no structure; {form}")
    structure = structure.strip().strip('"')
    if structure not in structures:
        raise AskError(unknown_structure(structures, structure))
    return Metric(name.strip(), structure)


# ---------------------------------------------------------------------------------------------------------------
# As many draws as a target error needs
# ---------------------------------------------------------------------------------------------------------------

MOST_DRAWS = 2**28


@dataclass(frozen=True)
class Target:
    """A standard error to be reached by a metric of every structure, or of one."""

    name: str
    structure: str | None
    error: float

    def reached(self, answers: Mapping[str, Any]) -> float:
        """Largest standard error of the metric; for a probability and a quantile from its 95% interval.

        So a probability of which no draw (or every draw) is a success has Wilson's error and not zero. Raises AskError
        if no structure has the metric, or it has no error.
        """
        if self.structure is not None and self.structure not in answers["structures"]:
            raise AskError(unknown_structure(answers["structures"], self.structure))
        errors, failed = [], None
        for structure in answers["structures"] if self.structure is None else [self.structure]:
            try:
                value = Metric(self.name, structure).read(answers)
            except AskError as error:
                failed = failed or error
                continue
            if not math.isnan(value.value):
                errors.append((value.high - value.low) / (2 * _Z95))
        if not errors:
            raise failed or AskError(f"{self.name!r} is not defined for any structure; allowed: another metric")
        if self.name.rpartition(".")[2] not in {"mean", "value", "probability", "p05", "p25", "p50", "p75", "p95"}:
            raise AskError(f"{self.name!r} has no standard error; allowed: a mean, a quantile or a probability")
        return max(errors)


def parse_target(text: str) -> Target:
    """Read `METRIC=VALUE` or `METRIC of STRUCTURE=VALUE`. Raises AskError."""
    form = "allowed: METRIC=VALUE, such as investor.irr.p50=0.2%"
    left, equals, right = text.rpartition("=")
    if not equals:
        raise AskError(f"--target-error {text!r} has no '='; {form}")
    name, _, structure = left.strip().partition(" of ")
    for unit in ("share", "money"):
        try:
            found = parse(right.strip(), unit)
        except QuantityError:
            continue
        if found.is_fixed and found.value > 0.0:
            return Target(name.strip(), structure.strip() or None, found.value)
    raise AskError(f"--target-error {text!r}: {right.strip()!r} is no error; {form}")


def until(
    target: Target, ask: Callable[[int], Answer], answers: Callable[[Answer], Mapping[str, Any]], draws: int
) -> tuple[Answer, float]:
    """Ask with more and more draws, twice as many each time, until a target error is reached.

    More draws extend fewer, so that the answer is that of its number of draws, however it was come by.

    Returns
    -------
    tuple
        The last answer and the error that it reached.

    Raises
    ------
    AskError
        If it would take more than 2**28 draws, or the metric has no error.
    """
    while True:
        found = ask(draws)
        reached = target.reached(answers(found))
        if reached <= target.error:
            return found, reached
        if draws * 2 > MOST_DRAWS:
            raise AskError(f"after {draws:,} draws the error of {target.name} is {reached:g}; allowed: a larger target")
        draws *= 2


# ---------------------------------------------------------------------------------------------------------------
# One term as a function
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Term:
    """A number of a deal that is to be found, and where to look for it."""

    base: Base
    axis: Axis
    reach: Reach
    unit: str
    """Of the number: `share`, `money`, `number`, `duration` or `rate`."""
    now: float | None
    """Its value in the file, if it is one number."""

    @property
    def low(self) -> float:
        """Lowest value, in the unit."""
        return self.value(self.axis.low)

    @property
    def high(self) -> float:
        """Highest value, in the unit."""
        return self.value(self.axis.high)

    def value(self, written: float) -> float:
        """Value in the unit of what is written in the axis' own (12 for 12% is 0.12)."""
        found = parse(f"{number_text(written)}{self.axis.unit}", self.unit)
        return found.value

    def answers(self, written: float, draws: int, seed: int, structures: Sequence[str]) -> dict[str, Any]:
        """Simulate the deal with a value of the term."""
        text = f"{number_text(written)}{self.axis.unit}"
        if self.reach.columns is not None:
            plan = with_numbers(self.base.plan, self.reach.numbers(text))
        else:
            plan = compile_plan(self.base.variant({self.axis.path: text}, "--for"))
        simulation = Simulation(plan, seed, list(structures))
        return simulate_variants(simulation, [Variant(simulation, {})], draws)[0]


def term(base: Base, text: str) -> Term:
    """Read `PATH` or `PATH=LOW:HIGH` of a number. Raises AskError, DealError."""
    if "=" in re.sub(r'"[^"]*"', "", text):
        try:
            axis = parse_axis(text)
        except ValueError as error:
            raise AskError(str(error)) from None
        if not axis.is_range:
            raise AskError(f"{axis.name}: a list is no range; allowed: --for PATH=LOW:HIGH")
        axis = Axis(axis.path, (), axis.low, axis.high, axis.unit)
        found = reach(base, axis, "--for")
        if found.columns is None and not found.units:
            unit = "share" if axis.unit == "%" else "number"
            return Term(base, axis, found, unit, None)
        return Term(base, axis, found, found.units[0], _now(base, found))
    try:
        path = tuple(split_path(text))
    except ValueError as error:
        raise AskError(str(error)) from None
    return _with_own_range(base, path)


def _now(base: Base, found: Reach) -> float | None:
    quantity = base.plan.columns[(found.columns or (0,))[0]].quantity
    return quantity.value if quantity.is_fixed else None


def _with_own_range(base: Base, path: tuple[str | int, ...]) -> Term:
    """Look between nothing (or a quarter) and four times the value of the file, as far as that is legal."""
    name = join_path(path)
    for unit in ("", " months"):
        probe = Axis(path, (), 0.25, 0.5, unit)
        try:
            found = reach(base, probe, "--for")
        except ValueError as error:
            failed = error
            continue
        break
    else:
        raise failed
    if found.columns is None:
        raise AskError(f"{name}: give a range; allowed: --for PATH=LOW:HIGH")
    column = base.plan.columns[found.columns[0]]
    middle = float(base.plan.expected[found.columns[0]])
    ends = sorted((0.0, 4.0 * middle))
    low, high = max(column.low, ends[0]), min(column.high, ends[1])
    if not low < high:
        raise AskError(f"{name}: it is {middle:g} now, which says no range; allowed: --for PATH=LOW:HIGH")
    return Term(base, Axis(path, (), low, high, unit), found, found.units[0], _now(base, found))


# ---------------------------------------------------------------------------------------------------------------
# Roots
# ---------------------------------------------------------------------------------------------------------------

Evaluated = Callable[[Sequence[float]], list[Value]]
"""The gap at several places at once, as they are."""


@dataclass(frozen=True)
class Root:
    """Where a gap changes its sign."""

    kind: str
    """`solution`, `step`, or `range` where every value from `at` to `until` solves."""
    at: float
    interval: tuple[float, float]
    """All places around it whose 95% interval holds zero; its ends may be those of the range."""
    left: Value
    right: Value
    until: float = math.nan


def places(low: float, high: float, number: int = _TRIED) -> list[float]:
    """Places to try: evenly, or by equal ratios where the range spans more than a factor of 50."""
    if low > 0 and high / low > 50:
        return [float(each) for each in np.geomspace(low, high, number)]
    return [float(each) for each in np.linspace(low, high, number)]


def roots(gap: Evaluated, low: float, high: float, number: int = _TRIED, fine: float = 1e-6) -> list[Root]:
    """Find every change of sign that the places tried can tell apart.

    Parameters
    ----------
    gap
        The function, with its 95% interval.
    low, high
        Range.
    number
        Places tried first.
    fine
        How far to narrow down, as a share of the range.
    """
    tried = places(low, high, number)
    known = dict(zip(tried, gap(tried), strict=True))
    found: list[Root] = []
    width = fine * (high - low)
    zeros = [place for place in tried if known[place].value == 0.0]
    for run in _runs(zeros, tried):
        found.append(_plateau(gap, known, tried, run, width))
    for a, b in itertools.pairwise(tried):
        left, right = known[a], known[b]
        if left.value * right.value < 0.0:
            found.append(_narrowed(gap, a, b, left, right, low, high, width))
    return sorted(found, key=lambda root: root.at)


def _runs(zeros: list[float], tried: list[float]) -> list[tuple[int, int]]:
    where = [tried.index(place) for place in zeros]
    runs: list[tuple[int, int]] = []
    for place in where:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs


def _plateau(
    gap: Evaluated, known: Mapping[float, Value], tried: list[float], run: tuple[int, int], width: float
) -> Root:
    """Every place of a run is zero: find how far it reaches on both sides."""
    ends = []
    for inner, outer in ((run[0], run[0] - 1), (run[1], run[1] + 1)):
        if not 0 <= outer < len(tried):
            ends.append(tried[inner])
            continue
        inside, outside = tried[inner], tried[outer]
        while abs(inside - outside) > width:
            middle = (inside + outside) / 2
            if gap([middle])[0].value == 0.0:
                inside = middle
            else:
                outside = middle
        ends.append(inside)
    at = known[tried[run[0]]]
    kind = "range" if ends[1] - ends[0] > 2 * width else "solution"
    return Root(kind, ends[0], (ends[0], ends[1]), at, at, ends[1])


def _narrowed(
    gap: Evaluated, a: float, b: float, left: Value, right: Value, low: float, high: float, width: float
) -> Root:
    from scipy.optimize import brentq

    known = {a: left, b: right}

    def value(at: float) -> float:
        known[at] = gap([at])[0] if at not in known else known[at]
        return left.value if math.isnan(known[at].value) else known[at].value

    at = brentq(value, a, b, xtol=width / 64, rtol=1e-15)
    near = [max(a, at - width / 32), min(b, at + width / 32)]
    left, right, far_left, far_right = gap([*near, max(a, at - width), min(b, at + width)])
    jump, far = abs(right.value - left.value), abs(far_right.value - far_left.value)
    own = max(left.high - left.low, right.high - right.low) / 2
    at = _tidy(at, width)
    # a steep slope shrinks with the distance, a step does not
    if jump > max(own, 0.5 * far, 1e-9 * max(abs(left.value), abs(right.value))):
        return Root("step", at, (at, at), left, right)
    step = max(width * 64, abs(high - low) / 4096)
    return Root("solution", at, (_edge(gap, at, low, step, width), _edge(gap, at, high, step, width)), left, right)


def _tidy(at: float, width: float) -> float:
    """Leave out digits finer than what was narrowed down."""
    return round(at, max(0, -math.floor(math.log10(4 * width)))) if width > 0 else at


def _edge(gap: Evaluated, at: float, end: float, step: float, width: float) -> float:
    """How far from a root towards an end of the range the interval of the gap still holds zero."""
    sign = 1.0 if end > at else -1.0
    inside = at
    while True:
        outside = at + sign * step
        if sign * (outside - end) >= 0.0:
            outside = end
        if not _holds_zero(gap([outside])[0]):
            break
        inside = outside
        if outside == end:
            return end
        step *= 2.0
    while abs(outside - inside) > max(width, 0.004 * abs(outside - at)):
        middle = (inside + outside) / 2
        if _holds_zero(gap([middle])[0]):
            inside = middle
        else:
            outside = middle
    return (inside + outside) / 2


def _holds_zero(value: Value) -> bool:
    return math.isnan(value.value) or value.low <= 0.0 <= value.high


# ---------------------------------------------------------------------------------------------------------------
# Questions
# ---------------------------------------------------------------------------------------------------------------


def solve(
    deal: str | FilePath | Deal,
    path: str,
    so_that: str,
    *,
    draws: int = 20_000,
    seed: int = 1,
    sets: Sequence[str] = (),
    threads: int | None = None,
) -> dict[str, Any]:
    """Find the value of a term that gives a metric.

    Parameters
    ----------
    deal
        A deal file or a deal.
    path
        `PATH` or `PATH=LOW:HIGH`, the term and where to look for it; by default between nothing and four times its
        present value, as far as that is legal.
    so_that
        `METRIC of STRUCTURE = VALUE` or `METRIC of STRUCTURE = METRIC of STRUCTURE`, metrics by their dotted names.
    draws, seed, sets, threads
        As for a run.

    Returns
    -------
    dict
        The JSON of `sib solve`: `solutions`, each with `kind` (`solution`, `step` or `range`), `value`, its 95%
        `interval`, and the metric on both sides; where there is none, the metric at the ends of the range.

    Raises
    ------
    AskError, DealError
    """
    begun = time.perf_counter()
    _, opened = opened_deal(deal)
    base = Base.of(opened, sets)
    wanted = parse_wanted(so_that, list(base.deal.structures))
    sought = term(base, path)
    with ThreadPoolExecutor(threads or available_threads()) as pool:

        def gap(written: Sequence[float]) -> list[Value]:
            return list(
                pool.map(lambda each: wanted.gap(sought.answers(each, draws, seed, wanted.structures)), written)
            )

        low, high = sought.axis.low, sought.axis.high
        ends = gap([low, high])
        if any(math.isnan(each.value) for each in ends) and wanted.metric.name:
            wanted.gap(sought.answers((low + high) / 2, draws, seed, wanted.structures))
        found = roots(gap, low, high)
    return header(base.deal, seed, draws) | {
        "environment": environment(),
        "elapsed": time.perf_counter() - begun,
        "for": sought.axis.name,
        "so_that": wanted.text,
        "unit": sought.unit,
        "now": sought.now,
        "range": [sought.low, sought.high],
        "at_the_ends": [_shown(each, wanted) for each in ends],
        "solutions": [_solution(root, sought, wanted) for root in found],
    }


def _shown(gap: Value, wanted: Wanted) -> float | None:
    """The metric itself (or the difference of two) at a place."""
    if math.isnan(gap.value):
        return None
    return gap.value + (wanted.number or 0.0)


def _solution(root: Root, sought: Term, wanted: Wanted) -> dict[str, Any]:
    low, high = (sought.value(each) for each in root.interval)
    said: dict[str, Any] = {
        "kind": root.kind,
        "value": sought.value(root.at),
        "interval": [low, high],
        "open": [root.interval[0] <= sought.axis.low, root.interval[1] >= sought.axis.high],
        "metric_below": _shown(root.left, wanted),
        "metric_above": _shown(root.right, wanted),
    }
    if root.kind == "range":
        said["value_until"] = sought.value(root.until)
    return said


def frontier(
    deal: str | FilePath | Deal,
    paths: Sequence[str],
    structure: str,
    *,
    investor: str = "investor.irr.p50",
    number: int = 11,
    draws: int = 20_000,
    seed: int = 1,
    sets: Sequence[str] = (),
    threads: int | None = None,
) -> dict[str, Any]:
    """Find the settings of two terms that no other setting betters for the investor and the payer at once.

    Parameters
    ----------
    paths
        Two terms, as for :func:`solve`.
    structure
        Whose terms they are.
    investor
        `investor.irr.p50` (more is better) or `investor.probability_of_loss.probability` (less is better).
    number
        Values of each term.

    Returns
    -------
    dict
        `settings`, all of them with both metrics and whether each is `efficient`.

    Raises
    ------
    AskError, DealError
    """
    begun = time.perf_counter()
    _, opened = opened_deal(deal)
    base = Base.of(opened, sets)
    if structure not in base.deal.structures:
        raise AskError(unknown_structure(base.deal.structures, structure))
    if len(paths) != 2:
        raise AskError(f"{len(paths)} terms are no frontier; allowed: two")
    sought = [term(base, path) for path in paths]
    ours, theirs = Metric(investor, structure), Metric("payer.cost.mean", structure)
    grid = list(itertools.product(*(places(each.axis.low, each.axis.high, number) for each in sought)))

    def answers(setting: tuple[float, ...]) -> tuple[Value, Value]:
        texts = [f"{number_text(at)}{each.axis.unit}" for at, each in zip(setting, sought, strict=True)]
        if all(each.reach.columns is not None for each in sought):
            numbers = {
                k: v for each, text in zip(sought, texts, strict=True) for k, v in each.reach.numbers(text).items()
            }
            plan = with_numbers(base.plan, numbers)
        else:
            changes = {each.axis.path: text for each, text in zip(sought, texts, strict=True)}
            plan = compile_plan(base.variant(changes, "--for"))
        simulation = Simulation(plan, seed, [structure])
        found = simulate_variants(simulation, [Variant(simulation, {})], draws)[0]
        return ours.read(found), theirs.read(found)

    with ThreadPoolExecutor(threads or available_threads()) as pool:
        values = list(pool.map(answers, grid))
    sign = -1.0 if "loss" in investor else 1.0
    points = [(sign * one.value, -other.value) for one, other in values]
    settings = []
    for at, (one, other), point in zip(grid, values, points, strict=True):
        bettered = any(each[0] >= point[0] and each[1] >= point[1] and each != point for each in points)
        settings.append(
            {
                "values": [term_.value(each) for term_, each in zip(sought, at, strict=True)],
                "investor": None if math.isnan(one.value) else one.value,
                "investor_interval": [None if math.isnan(each) else each for each in (one.low, one.high)],
                "payer_cost": other.value,
                "payer_cost_interval": [other.low, other.high],
                "efficient": not bettered and not math.isnan(one.value),
            }
        )
    return header(base.deal, seed, draws) | {
        "environment": environment(),
        "elapsed": time.perf_counter() - begun,
        "for": [each.axis.name for each in sought],
        "structure": structure,
        "investor": investor,
        "payer": "payer.cost.mean",
        "settings": settings,
    }


HEADER_OF_ROWS = {
    False: ["for", "kind", "value", "low", "high", "metric_below", "metric_above"],
    True: ["first", "second", "investor", "payer_cost", "efficient"],
}


def rows(data: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield rows of solutions, or of the settings of a frontier."""
    for each in data.get("solutions", []):
        yield data["for"], each["kind"], each["value"], *each["interval"], each["metric_below"], each["metric_above"]
    for each in data.get("settings", []):
        yield *each["values"], each["investor"], each["payer_cost"], int(each["efficient"])
