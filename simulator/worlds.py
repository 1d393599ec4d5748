"""One deal simulated again with something changed: values, terms, or the draws of one layer of uncertainty.

Every question about a deal that a single run does not answer compares such worlds draw by draw. Randomness is addressed
by name, so that worlds share whatever was not changed, and a difference between two of them has a small error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator import ledger, metrics
from simulator.deal import Deal, structure_names
from simulator.draws import Flags
from simulator.parameters import as_effective
from simulator.plan import Plan, compile_plan
from simulator.run import (
    BLOCK,
    DefectError,
    Simulation,
    TooLargeError,
    available_bytes,
    available_threads,
    predicted_bytes,
)
from simulator.yamlfile import join_path

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


class World(NamedTuple):
    """What is kept of each draw of one world."""

    values: Floats
    """[draws, columns asked for] value rows."""
    totals: Floats
    """[draws, O, 4] verified, true, without the service, additional."""
    additional: dict[str, Floats]
    """By structure, [draws, O] additional outcomes: its own where it has a relative effectiveness."""
    found: dict[str, Floats]
    """By structure, [draws, metrics asked for]; columns in the order asked for."""
    met: dict[str, Flags]
    """By structure, [draws, K, C + 2] whether a trigger was met by cohort, pooled, by any; empty unless asked for."""


class Worlds:
    """Simulates worlds on one pool of threads' worth of settings and counts the draws done.

    Parameters
    ----------
    threads
        Number of threads, by default the processors that this process may use. Moves no number.
    progress
        Called with the draws done and the draws in all worlds.
    total
        Draws in all worlds, for `progress`.
    held
        Number of worlds that are in memory at once, to refuse in time what would not fit.
    """

    def __init__(
        self, threads: int | None = None, progress: Progress | None = None, total: int = 0, held: int = 8
    ) -> None:
        self.threads, self.held = threads or available_threads(), held
        self.progress, self.total, self.done = progress, total, 0

    def __call__(
        self,
        simulation: Simulation,
        draws: int,
        columns: Sequence[int] = (),
        kept: Sequence[int] = (),
        *,
        flags: bool = False,
    ) -> World:
        """Simulate draws 0..draws-1 of one world.

        Parameters
        ----------
        simulation
            The plan, the seed, the structures to settle, and what is changed.
        columns, kept
            Columns of the value row and metrics (constants of :mod:`simulator.ledger`) that are kept of each draw.
        flags
            Whether to keep which triggers were met.

        Raises
        ------
        TooLargeError
            If the worlds would not fit in memory.
        DefectError
            If an account does not balance; a defect of ours.
        """
        plan, names = simulation.plan, simulation.names
        shape = {name: (len(plan.clause_names[name]), len(plan.cohort_names) + 2) for name in names}
        numbers = len(columns) + 4 * len(plan.outcome_names) + len(kept) * len(names)
        needed = predicted_bytes(simulation, min(draws, BLOCK), self.threads) + 8 * self.held * draws * numbers
        free = available_bytes()
        if free is not None and needed > free:
            raise TooLargeError(
                f"{draws:,} draws need about {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free; "
                "allowed: fewer draws, structures or threads"
            )
        totals = np.empty((draws, len(plan.outcome_names), 4))
        alike = {name: as_effective(plan, name, plan.expected[np.newaxis]) is None for name in names}
        world = World(
            np.empty((draws, len(columns))),
            totals,
            {name: totals[:, :, 3] if alike[name] else np.empty(totals.shape[:2]) for name in names},
            {name: np.empty((draws, len(kept))) for name in names},
            {name: np.zeros((draws if flags else 0, *shape[name]), np.int8) for name in names},
        )

        def block(start: int) -> int:
            end = min(start + BLOCK, draws)
            rows, _ = simulation.values(start, end - start)
            world.values[start:end] = rows[:, list(columns)]
            for low in range(start, end, simulation.chunk):
                high = min(low + simulation.chunk, end)
                part = rows[low - start : high - start]
                shared = simulation.outcomes(low, part)
                totals[low:high] = shared[2]
                for name in names:
                    out, stops, own, capped = simulation.outcomes_under(name, low, part, shared)
                    world.additional[name][low:high] = own[:, :, 3]
                    met = np.zeros(shape[name], np.int64)
                    found, *_ = simulation.settle(
                        name, part, out, stops, capped, met, world.met[name][low:high] if flags else None
                    )
                    if found[:, ledger.BROKEN].any():
                        raise DefectError(f"the accounts of {name!r} do not balance between draws {low} and {high}")
                    world.found[name][low:high] = found[:, list(kept)]
            return end - start

        starts = range(0, draws, BLOCK)
        with ThreadPoolExecutor(min(self.threads, len(starts))) as pool:
            for number in pool.map(block, starts):
                self.done += number
                if self.progress is not None:
                    self.progress(min(self.done, self.total), self.total)
        return world


def asked(deal: Deal, structures: Iterable[str] | None, value: Mapping[str, float] | None) -> tuple[list[str], Plan]:
    """Names of the structures asked for, and the plan of a deal.

    Raises
    ------
    KeyError
        For a structure, or an outcome that has a value, which the deal has not.
    """
    names, plan = structure_names(deal, structures), compile_plan(deal)
    for outcome in value or {}:
        if outcome not in plan.outcome_names:
            raise KeyError(outcome)
    return names, plan


def mean(values: Floats) -> dict[str, Any]:
    """Mean of the defined draws with its standard error, for output."""
    return dict(metrics.Moments.of(values).estimate())


def ratio(above: Floats, below: Floats) -> dict[str, Any]:
    """Ratio of two means with its standard error by the delta method, for output."""
    return dict(metrics.CoMoments.of(above, below).estimate())


def net_benefit(
    plan: Plan, world: World, structure: str, cost_present_value: Floats, value: Mapping[str, float]
) -> Floats:
    """Payer's net benefit of each draw: the stated value of every additional outcome, less the payer's cost.

    Parameters
    ----------
    structure
        Whose additional outcomes count.
    cost_present_value
        [draws] payments and own costs, at the payer's rate.
    value
        Money for one additional outcome, by name; outcomes that are left out have none. It is not discounted.
    """
    benefit = np.zeros(cost_present_value.size)
    for index, name in enumerate(plan.outcome_names):
        if name in value:
            benefit += value[name] * world.additional[structure][:, index]
    return benefit - cost_present_value


_ABOUT_DATA = {"data_items", "evidence_serves"}


class Unknown(NamedTuple):
    """One thing that is not known: a uniform, and the columns of the value row that are read off it."""

    name: str
    columns: tuple[int, ...]
    address: tuple[str, ...]


def unknowns(plan: Plan) -> list[Unknown]:
    """Everything uncertain in a deal, in the order of the file: named quantities by name, other numbers by path.

    The same number of several structures is drawn from one uniform and is one unknown. Costs of data are left out: they
    are no part of the money that is simulated.
    """
    found: dict[tuple[str, ...], list[int]] = {}
    for index, column in enumerate(plan.columns):
        if not column.quantity.is_fixed and column.path[0] not in _ABOUT_DATA:
            found.setdefault(column.address, []).append(index)
    return [Unknown(_name(address), tuple(columns), address) for address, columns in found.items()]


def _name(address: tuple[str, ...]) -> str:
    return address[1] if address[0] == "quantities" else join_path(address)
