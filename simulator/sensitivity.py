"""Which numbers of a deal matter: tornado, break-even, and variance-based indices.

*Tornado and break-even* set one unknown in every draw and leave all others as they were drawn, on the same luck and
measurement: what the parties planned stays as it was, and so do quantities that are correlated with the one that is set
(an intervention, not a conditional distribution).

*Indices* by pick-freeze: the share of the variance that one unknown explains alone (first order; Saltelli and others,
Variance based sensitivity analysis of model output, Computer Physics Communications 181, 2010, table 2 b) and with all
its interactions (total; Jansen 1999, table 2 f there). Luck and measurement are two inputs among the others. Inputs
must be independent: quantities that are correlated, directly or through others, have one index for the group and none
for each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator import ledger
from simulator.benefit import Benefit, valued
from simulator.deal import Deal
from simulator.plan import Plan
from simulator.run import Replicates, Simulation, header
from simulator.worlds import Progress, Unknown, World, Worlds, asked, mean, ratio, unknowns

Floats = NDArray[np.float64]

DRAWS = 8192
LOW, HIGH = 0.1, 0.9
RANGE = (0.001, 0.999)
"""Percentiles between which a break-even is sought."""
LUCK, MEASUREMENT = "luck", "measurement"

_METRICS = {
    "payments": ledger.PAYMENTS,
    "multiple": ledger.MULTIPLE,
    "net_present_value": ledger.NPV,
    "cost_present_value": ledger.COST_PV,
    "surplus": ledger.SURPLUS,
}
_EVEN = {"multiple": 1.0, "net_present_value": 0.0, "surplus": 0.0, "net_benefit": 0.0}
"""Where a metric breaks even."""


class _Bench(NamedTuple):
    plan: Plan
    seed: int
    names: list[str]
    draws: int
    worlds: Worlds
    benefit: Benefit | None

    def metrics(self, world: World) -> dict[str, dict[str, Floats]]:
        """Metrics of each draw by structure; those that are nowhere defined are left out."""
        answers = {}
        for name, found in world.found.items():
            each = {metric: found[:, i] for i, metric in enumerate(_METRICS)}
            if self.plan.structures[name].finance.has:
                del each["surplus"]  # investors bear what the provider would
            if self.benefit is not None:
                each["net_benefit"] = world.benefit[name] - each["cost_present_value"]
            answers[name] = each
        return answers

    def at(self, unknown: Unknown, u: float, names: list[str] | None = None) -> dict[str, dict[str, Floats]]:
        """Metrics with one unknown at its u-quantile in every draw."""
        point = [(index, _quantile(self.plan, index, u)) for index in unknown.columns]

        def change(rows: Floats) -> None:
            for index, number in point:
                rows[:, index] = number

        names = self.names if names is None else names
        return self.simulate(Simulation(self.plan, self.seed, names, change=change))

    def simulate(self, simulation: Simulation) -> dict[str, dict[str, Floats]]:
        kept = tuple(_METRICS.values())
        return self.metrics(self.worlds(simulation, self.draws, kept=kept, benefit=self.benefit))


def _quantile(plan: Plan, index: int, u: float) -> float:
    column = plan.columns[index]
    return float(np.clip(column.quantity.quantile(np.array([u]))[0], column.low, column.high))


def sensitivity(
    deal: Deal,
    draws: int = DRAWS,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    value: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Find which unknowns of a deal move its metrics, where they break even, and how much variance each explains.

    Parameters
    ----------
    deal, draws, seed, structures, threads, progress
        As for :func:`simulator.simulate`; every draw is simulated six times and more for each unknown.
    value
        Money for one additional outcome by name, in place of what the file says it is worth; where neither says
        anything there is no net benefit.

    Returns
    -------
    dict
        The header, ``value`` as given, ``valued`` (which worth counts); ``unknowns`` by name: unit, distribution,
        and the 10th, 50th and 90th percentile; ``notes``, what is refused and why; and by structure and
        metric: ``mean``; ``tornado`` by unknown,
        the mean with it at its 10th (``low``) and 90th percentile (``high``), and ``swing``, the paired difference;
        ``break_even`` by unknown where the metric has one (a multiple of 1, a net present value, surplus or net benefit
        of 0): the ``value`` at which the mean breaks even, between the percentiles ``RANGE``, with its standard error
        and ``percentile``, and the number of ``crossings`` seen (the one nearest the median is given); or null with
        ``always``, the side; ``indices`` by unknown, luck and measurement: ``first`` and ``total``.

    Raises
    ------
    KeyError
        For an unknown structure or outcome.
    """
    names, plan, benefit = asked(deal, structures, value)
    listed = unknowns(plan)
    groups = _groups(plan, listed)
    total = draws * (4 + 5 * len(listed) + len(groups))
    bench = _Bench(plan, seed, names, draws, Worlds(threads, progress, total), benefit)
    base = bench.simulate(Simulation(plan, seed, names))
    answers: dict[str, dict[str, Any]] = {
        name: {
            metric: {"mean": mean(each), "tornado": {}, "break_even": {} if metric in _EVEN else None, "indices": {}}
            for metric, each in found.items()
            if not np.isnan(each).all()
        }
        for name, found in base.items()
    }
    for unknown in listed:
        _one_at_a_time(bench, unknown, answers)
    _variance(bench, base, groups, answers)
    described = {each.name: _described(plan, each) for each in listed}
    head = header(deal, seed, draws) | {"value": dict(value or {}), "valued": valued(plan, value)}
    return head | {"unknowns": described, "notes": _notes(groups), "structures": answers}


def _described(plan: Plan, unknown: Unknown) -> dict[str, Any]:
    first = unknown.columns[0]
    quantity = plan.columns[first].quantity
    points = {f"p{100 * u:.0f}": _quantile(plan, first, u) for u in (LOW, 0.5, HIGH)}
    return {"unit": quantity.unit, "distribution": quantity.text(), **points}


# ---------------------------------------------------------------------------------------------------------------
# One at a time
# ---------------------------------------------------------------------------------------------------------------


def _one_at_a_time(bench: _Bench, unknown: Unknown, answers: dict[str, dict[str, Any]]) -> None:
    points = {u: bench.at(unknown, u) for u in (RANGE[0], LOW, 0.5, HIGH, RANGE[1])}
    for name, found in answers.items():
        for metric, each in found.items():
            low, high = points[LOW][name][metric], points[HIGH][name][metric]
            each["tornado"][unknown.name] = {"low": mean(low), "high": mean(high), "swing": mean(high - low)}
            if metric in _EVEN:
                seen = {u: found_at[name][metric] for u, found_at in points.items()}

                def again(u: float, name: str = name, metric: str = metric) -> Floats:
                    return bench.at(unknown, u, [name])[name][metric]

                each["break_even"][unknown.name] = _break_even(bench.plan, unknown, seen, again, _EVEN[metric])


def _break_even(
    plan: Plan, unknown: Unknown, seen: Mapping[float, Floats], again: Callable[[float], Floats], even: float
) -> dict[str, Any]:
    """Find where the mean crosses `even`, by false position (Illinois) inside the bracket nearest the median."""

    def gap(values: Floats) -> float:
        defined = values[~np.isnan(values)]
        if not defined.size:
            return np.nan
        gap = float(defined.mean()) - even
        return 0.0 if abs(gap) < 1e-9 * max(1.0, float(np.abs(defined).max())) else gap

    gaps = {u: gap(values) for u, values in seen.items()}
    points = [u for u in seen if not np.isnan(gaps[u])]
    crossed = [(a, b) for a, b in itertools.pairwise(points) if (gaps[a] >= 0.0) != (gaps[b] >= 0.0)]
    empty: dict[str, Any] = {"value": None, "standard_error": None, "percentile": None, "crossings": len(crossed)}
    if not points:
        return empty | {"always": None}
    if not crossed:
        return empty | {"always": "at least" if gaps[points[0]] >= 0.0 else "below"}
    left, right = min(crossed, key=lambda pair: abs(0.5 * (pair[0] + pair[1]) - 0.5))
    f, g = gaps[left], gaps[right]
    slope = (g - f) / (_quantile(plan, unknown.columns[0], right) - _quantile(plan, unknown.columns[0], left))
    values, u, side = seen[left], left, 0
    for _ in range(30):
        u = right - g * (right - left) / (g - f) if g != f else 0.5 * (left + right)
        values = again(u)
        h = gap(values)
        if h == 0.0 or right - left < 1e-4:
            break
        if (h >= 0.0) == (g >= 0.0):
            right, g = u, h
            f = 0.5 * f if side == 1 else f
            side = 1
        else:
            left, f = u, h
            g = 0.5 * g if side == -1 else g
            side = -1
        if abs(h) < 1e-3 * (mean(values)["standard_error"] or 0.0):
            break
    error = mean(values)["standard_error"]
    return {
        "value": _quantile(plan, unknown.columns[0], u),
        "standard_error": None if error is None or slope == 0.0 else error / abs(slope),
        "percentile": u,
        "crossings": len(crossed),
        "always": None,
    }


# ---------------------------------------------------------------------------------------------------------------
# Variance-based indices
# ---------------------------------------------------------------------------------------------------------------


def _groups(plan: Plan, listed: Sequence[Unknown]) -> dict[str, list[Unknown]]:
    """Independent inputs by name: single unknowns, and those that are correlated together."""
    joined = [{index for columns in each.columns for index in columns} for each in plan.joined]
    groups: dict[str, list[Unknown]] = {}
    for unknown in listed:
        together = next((columns for columns in joined if columns.intersection(unknown.columns)), None)
        if together is None:
            groups[unknown.name] = [unknown]
        elif not any(unknown in members for members in groups.values()):
            members = [each for each in listed if together.intersection(each.columns)]
            groups[" + ".join(each.name for each in members)] = members
    return groups


def _notes(groups: Mapping[str, Sequence[Unknown]]) -> list[str]:
    return [
        f"indices of {', '.join(repr(each.name) for each in members)} each: refused, since they are correlated and an "
        "index needs independent inputs; they have one for all of them together"
        for members in groups.values()
        if len(members) > 1
    ]


def _variance(
    bench: _Bench,
    base: Mapping[str, Mapping[str, Floats]],
    groups: Mapping[str, Sequence[Unknown]],
    answers: dict[str, dict[str, Any]],
) -> None:
    plan, seed, names = bench.plan, bench.seed, bench.names
    other = Simulation(plan, seed, names, Replicates(1, 1, 1))
    second = bench.simulate(other)
    inputs: dict[str, Simulation] = {}
    for label, members in groups.items():
        mixed = Simulation(plan, seed, names)
        picked = {index for each in members for index in each.columns}
        mixed.value_keys = [
            other.value_keys[index] if index in picked else key for index, key in enumerate(mixed.value_keys)
        ]
        inputs[label] = mixed
    inputs[LUCK] = Simulation(plan, seed, names, Replicates(luck=1))
    inputs[MEASUREMENT] = Simulation(plan, seed, names, Replicates(measurement=1))
    for label, simulation in inputs.items():
        third = bench.simulate(simulation)
        for name, found in answers.items():
            for metric, each in found.items():
                three = base[name][metric], second[name][metric], third[name][metric]
                each["indices"][label] = indices(*three)


def indices(first: Floats, second: Floats, mixed: Floats) -> dict[str, Any] | None:
    """First-order and total index of one input, with standard errors by the delta method.

    Parameters
    ----------
    first, second
        [draws] metric on two independent samples A and B.
    mixed
        [draws] metric on A with this input taken from B.

    Returns
    -------
    dict or None
        ``first`` and ``total``; None without variance. NaN draws are left out.
    """
    defined = ~(np.isnan(first) | np.isnan(second) | np.isnan(mixed))
    a, b, ab = first[defined], second[defined], mixed[defined]
    if a.size < 2 or (np.ptp(a) == 0.0 and np.ptp(b) == 0.0):
        return None
    centre = 0.5 * (float(a.mean()) + float(b.mean()))
    whole = 0.5 * ((a - centre) ** 2 + (b - centre) ** 2)
    return {"first": ratio((b - centre) * (ab - a), whole), "total": ratio(0.5 * (a - ab) ** 2, whole)}
