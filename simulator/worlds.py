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
from simulator.benefit import Benefit, benefit_of
from simulator.deal import Deal, structure_names
from simulator.draws import Flags
from simulator.outcomes import ARM_PEOPLE, ARM_TOTAL
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
    arms: Floats
    """[draws, O, 2] of the comparison arms of all cohorts, total and effective size; empty unless asked for."""
    benefit: dict[str, Floats]
    """By structure, [draws] worth of its additional outcomes; empty unless asked for."""
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
        arms: bool = False,
        benefit: Benefit | None = None,
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
        arms
            Whether to keep what the comparison arms show.
        benefit
            What additional outcomes are worth, if that is to be kept.

        Raises
        ------
        TooLargeError
            If the worlds would not fit in memory.
        DefectError
            If an account does not balance; a defect of ours.
        """
        plan, names = simulation.plan, simulation.names
        shape = {name: (len(plan.clause_names[name]), len(plan.cohort_names) + 2) for name in names}
        numbers = len(columns) + 4 * len(plan.outcome_names) + (len(kept) + (benefit is not None)) * len(names)
        needed = predicted_bytes(simulation, min(draws, BLOCK), self.threads) + 8 * self.held * draws * numbers
        free = available_bytes()
        if free is not None and needed > free:
            raise TooLargeError(
                f"{draws:,} draws need about {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free; "
                "allowed: fewer draws, structures or threads"
            )
        totals = np.empty((draws, len(plan.outcome_names), 4))
        world = World(
            np.empty((draws, len(columns))),
            totals,
            np.empty((draws if arms else 0, len(plan.outcome_names), 2)),
            {name: np.empty(0 if benefit is None else draws) for name in names},
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
                if arms:
                    world.arms[low:high] = shared[0].arms[:, :, :, [ARM_TOTAL, ARM_PEOPLE]].sum(axis=2)
                for name in names:
                    out, stops, _, capped = simulation.outcomes_under(name, low, part, shared)
                    met = np.zeros(shape[name], np.int64)
                    found, *_ = simulation.settle(
                        name, part, out, stops, capped, met, world.met[name][low:high] if flags else None
                    )
                    if found[:, ledger.BROKEN].any():
                        raise DefectError(f"the accounts of {name!r} do not balance between draws {low} and {high}")
                    world.found[name][low:high] = found[:, list(kept)]
                    if benefit is not None:
                        world.benefit[name][low:high] = benefit.of(part, out, found[:, ledger.STOP_AT])
            return end - start

        starts = range(0, draws, BLOCK)
        with ThreadPoolExecutor(min(self.threads, len(starts))) as pool:
            for number in pool.map(block, starts):
                self.done += number
                if self.progress is not None:
                    self.progress(min(self.done, self.total), self.total)
        return world


def asked(
    deal: Deal, structures: Iterable[str] | None, value: Mapping[str, float] | None
) -> tuple[list[str], Plan, Benefit | None]:
    """Names of the structures asked for, the plan of a deal, and what additional outcomes are worth, if anything.

    Raises
    ------
    KeyError
        For a structure, or an outcome that has a value, which the deal has not.
    """
    names, plan = structure_names(deal, structures), compile_plan(deal)
    return names, plan, benefit_of(plan, value)


def mean(values: Floats) -> dict[str, Any]:
    """Mean of the defined draws with its standard error, for output."""
    return dict(metrics.Moments.of(values).estimate())


def ratio(above: Floats, below: Floats) -> dict[str, Any]:
    """Ratio of two means with its standard error by the delta method, for output."""
    return dict(metrics.CoMoments.of(above, below).estimate())


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
