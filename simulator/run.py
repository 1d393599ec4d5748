"""The straight line: deal -> plan -> parameters -> outcomes -> ledger -> metrics -> result.

Draws are worked in fixed blocks of 4,096 from draw 0 on a pool of threads, and blocks are added up in order, so that
the result is the same, byte for byte, for any number of threads.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator import chance, metrics, parameters, sampling
from simulator import ledger as book_of
from simulator.abreast import compile_last_parts, new_sheets, settle_abreast, suits
from simulator.clauses import EACH_PARTICIPANT, new_tally
from simulator.compiled import beside, compile_for, is_cached, is_kept
from simulator.deal import INVESTORS, Deal, Finance, Range, arms_read, fingerprint, outcome_of, structure_names
from simulator.draws import CapTable, Flags, settle_draws, simulate_outcomes
from simulator.ledger import Book, new_book, planned_costs
from simulator.metrics import CoMoments, Moments, Successes
from simulator.outcomes import (
    AMOUNT,
    ARMS,
    COUNTS,
    SCORE,
    TRUE,
    WITHOUT,
    OutcomeKeys,
    Outcomes,
    Points,
    new_chances,
    refer_all,
    refer_people,
)
from simulator.plan import Plan, compile_plan
from simulator.present import present_values
from simulator.result import Result
from simulator.sampling import METHODS
from simulator.waterfall import pay_out
from simulator.yamlfile import join_path

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Worked = TypeVar("Worked")

BLOCK = 4096
MOST_DRAWS = 10**12
"""Draws are addressed by whole numbers below this."""
KEPT = 262_144
"""Draws on which quantiles of secondary metrics rest."""
_SCRATCH_BYTES = 2e6

HEADLINE = {"payments": book_of.PAYMENTS, "cost": book_of.COST, "irr": book_of.IRR, "multiple": book_of.MULTIPLE}
SECONDARY = {
    "payments_present_value": book_of.PAYMENTS_PV,
    "uncapped_payments": book_of.UNCAPPED,
    "cost_present_value": book_of.COST_PV,
    "multiple_on_committed": book_of.ON_COMMITTED,
    "multiple_on_peak": book_of.ON_PEAK,
    "net_present_value": book_of.NPV,
    "payback": book_of.PAYBACK,
    "peak_funding_need": book_of.PEAK,
    "surplus": book_of.SURPLUS,
    "lowest_cash": book_of.LOWEST_CASH,
}
FINANCE = {
    "guarantor_cost": book_of.GUARANTOR_COST,
    "paid_by_provider": book_of.PROVIDER_BACKS,
    "unpaid": book_of.UNPAID,
}
"""Kept where a finance agreement has more to it than capital and surplus."""
OF_INVESTORS = {key: column for key, column in (HEADLINE | SECONDARY).items() if column in book_of.OF_TRANCHE}
OF_FUND = {"fees": book_of.FUND_FEES, "carry": book_of.FUND_CARRY}
OUTCOME_METRICS = ("verified", "true", "without_service", "additional")


class TooLargeError(ValueError):
    """A run that would not fit in memory, refused before it starts."""


class DefectError(RuntimeError):
    """A check inside the model failed: a defect of ours, never of the deal."""


# ---------------------------------------------------------------------------------------------------------------
# Blocks of draws
# ---------------------------------------------------------------------------------------------------------------


class Replicates(NamedTuple):
    """Which numbers each layer of uncertainty draws: another replicate has the same distribution and other draws."""

    parameters: int = 0
    luck: int = 0
    measurement: int = 0


FIRST = Replicates()


class _Drawn(threading.local):
    """Sobol points that a thread made last."""

    start = 0
    u: Floats = np.empty((0, 0))


@dataclass
class Simulation:
    """Everything that the blocks of one run share."""

    plan: Plan
    seed: int
    names: list[str]
    replicates: Replicates = FIRST
    change: Callable[[Floats], None] | None = None
    """Changes drawn value rows in place. What the parties planned (`plan.expected`) stays as it was."""
    sampling: str = "plain"
    """Independent draws, or Sobol points; see :mod:`simulator.sampling`."""
    suits: Sequence[str] | None = None
    """Structures to which the axes of Sobol points are turned, the first above all; None for all of the plan."""

    only_read: bool = False
    """Whether comparison arms that no structure of `names` reads are left out, at 0."""

    def __post_init__(self) -> None:
        """Make the keys and the planned costs."""
        plan = self.plan
        self.rows = plan.outcomes
        if self.only_read:
            self.rows = plan.outcomes.copy()
            self.rows["arm_people_at"][~np.isin(plan.outcome_names, list(arms_read(plan.deal, self.names)))] = -1
        self.value_keys = parameters.keys_of(plan, self.seed, self.replicates.parameters)
        self.keys = outcome_keys(plan, self.seed, self.replicates)
        self.points = sampling.nothing(plan)
        if self.randomised:
            self.drawn = _Drawn()
            suits = plan.structure_names if self.suits is None else self.suits
            influences = influences_of(plan, suits) if suits else None
            self.source = sampling.source(plan, self.value_keys, self.keys, influences)
            self.points = self.source.places
        self.caps = cap_table(plan)
        self.capped_names = [name for name in plan.structure_names if plan.per_person_cap[name] >= 0]
        self.planned: dict[str, Floats] = {}
        if self.names and not is_cached(simulate_outcomes) and not all(is_cached(self.ledger(n)) for n in self.names):
            with self._another_process():
                self._plan_costs()
                self._compile_ledgers()
        else:
            self._plan_costs()

    def _plan_costs(self) -> None:
        plan = self.plan
        people = np.zeros(plan.blocks.size, np.int64)
        refer_people(plan.expected, plan.cohorts, plan.blocks, people)
        for name in self.names:
            structure = plan.structures[name]
            self.planned[name] = planned_costs(plan.expected, structure, plan.calendar, people, plan.blocks)

    def _another_process(self) -> contextlib.AbstractContextManager[None]:
        """Compile the outcomes in another process, for they take as long as the ledger; not where it is in vain."""
        if _COMPILES_ALONE in os.environ or available_threads() < 2 or not is_kept(simulate_outcomes):
            return contextlib.nullcontext()
        return beside(_COMPILE_BESIDE, (self.plan, self.seed, self.names))

    def _compile_ledgers(self) -> None:
        values, _ = self.values(0, 1)
        out, stops, _, capped = self._room(0)
        for name in {self.ledger(name): name for name in self.names}.values():  # one structure for each kernel
            met = np.zeros((len(self.plan.clause_names[name]), len(self.plan.cohort_names) + 2), np.int64)
            self.settle(name, values[:0], out, stops, capped, met)
        for table in (np.zeros((1, 2)), np.zeros((2, 1)).T):
            compile_for(metrics.column_moments, table, False)
        compile_for(metrics.pair_moments, np.zeros((1, 2)), np.zeros((1, 2)), False)

    def ledger(self, name: str) -> Callable[..., None]:
        """Tell which kernel plays the ledger of a structure."""
        return settle_abreast if suits(self.plan.structures[name], self.plan.calendar) else settle_draws

    @property
    def randomised(self) -> bool:
        """Whether errors are those between randomisations of Sobol points."""
        return self.sampling == "sobol"

    @property
    def chunk(self) -> int:
        """Draws worked at once, so that outcomes stay near the processor."""
        return int(min(BLOCK, max(1, _SCRATCH_BYTES // (8 * self.values_a_draw))))

    @property
    def values_a_draw(self) -> int:
        """Numbers that describe the outcomes of one draw."""
        o, b, c = len(self.plan.outcome_names), self.plan.blocks.size, len(self.plan.cohort_names)
        return (COUNTS + 1) * o * b + ARMS * o * c + b + self.caps.outcome.size * b + 4 * o

    def values(self, start: int, number: int) -> tuple[Floats, dict[int, int]]:
        """Draw the value rows of draws start.., with what is changed; see :func:`simulator.parameters.values`."""
        uniforms = None
        if self.randomised:
            u = self.uniforms(start, number)

            def uniforms(index: int) -> Floats:
                return u[:, self.source.reads[index]]

        rows, clamped = parameters.values(self.plan, self.value_keys, start, number, uniforms)
        if self.change is not None:
            self.change(rows)
        return rows, clamped

    def points_of(self, start: int, number: int) -> Points:
        """Uniforms of luck of draws start.. that are not drawn at their addresses."""
        if not self.randomised:
            return self.points
        return self.points._replace(u=self.uniforms(start, number))

    def uniforms(self, start: int, number: int) -> Floats:
        """Sobol points of draws start.., [number, columns]: made once for the values and the luck of a block."""
        drawn = self.drawn
        if start < drawn.start or start + number > drawn.start + len(drawn.u):
            drawn.start, drawn.u = start, self.source.uniforms(start, number)
        return drawn.u[start - drawn.start : start - drawn.start + number]

    def outcomes(
        self,
        start: int,
        values: Floats,
        room: tuple[Outcomes, Ints, Floats, Floats] | None = None,
        records: NDArray[Any] | None = None,
    ) -> tuple[Outcomes, Ints, Floats, Floats]:
        """Simulate the outcomes of draws start.. with the value rows given.

        Parameters
        ----------
        room
            What this returned before, to be overwritten: fresh memory costs as much as drawing some of the outcomes.
        records
            [O, people] filled with what was verified of the people of the last draw, person by person.
        """
        plan, n = self.plan, values.shape[0]
        if room is None or room[1].size != n:
            room = self._room(n)
        out, stops, totals, capped = room
        most = refer_all(values, plan.cohorts, plan.blocks, out.people)
        if records is None and plan.people:
            records = np.zeros((len(plan.outcome_names), most), record_type(plan))
        simulate_outcomes(
            start,
            values,
            self.rows,
            plan.segments,
            plan.cohorts,
            plan.blocks,
            self.keys,
            self.points_of(start, n),
            plan.calendar,
            plan.frailty_at,
            plan.hazard_at,
            self.caps,
            new_chances(len(plan.outcome_names), plan.segments.share_at.size, plan.blocks.size, plan.people),
            records,
            out,
            stops,
            totals,
            capped,
        )
        return room

    def _room(self, n: int) -> tuple[Outcomes, Ints, Floats, Floats]:
        """Arrays for the outcomes of so many draws."""
        plan = self.plan
        o, b, c = len(plan.outcome_names), plan.blocks.size, len(plan.cohort_names)
        out = Outcomes(
            np.zeros((n, b), np.int64),
            np.zeros((n, o, b), np.int64),
            np.zeros((n, o, b, COUNTS)),
            np.zeros((n, o, c, ARMS)),
        )
        return out, np.zeros(n, np.int64), np.zeros((n, o, 4)), np.zeros((n, self.caps.outcome.size, b))

    def outcomes_under(
        self, name: str, start: int, values: Floats, alike: tuple[Outcomes, Ints, Floats, Floats]
    ) -> tuple[Outcomes, Ints, Floats, Floats]:
        """Outcomes under one structure: those that are alike under all, or its own from the same uniforms."""
        changed = parameters.as_effective(self.plan, name, values)
        return alike if changed is None else self.outcomes(start, changed)

    def settle(
        self,
        name: str,
        values: Floats,
        out: Outcomes,
        stops: Ints,
        capped: Floats,
        met: Ints,
        flags: Flags | None = None,
        book: Book | None = None,
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Settle one structure over simulated outcomes.

        Returns metrics [draws, METRICS], those of each row of :func:`paper_names` [draws, N, METRICS], what
        payers with rules of their own spend [draws, P, OF_PAYER + Y], and the payers' cash by year [draws, Y]. For
        `met` and `flags` see :func:`settle_draws`. A `book` that is given holds the ledger of the last draw afterwards.
        """
        plan, n = self.plan, values.shape[0]
        terms = plan.structures[name]
        has_cap = name in self.capped_names and plan.people
        if has_cap:
            s = self.capped_names.index(name)
            capped = capped[:, self.caps.first[s] : self.caps.first[s + 1], :]
        by_tranche = np.empty((n, len(paper_names(plan, name)), book_of.METRICS))
        by_payer = np.empty((n, len(plan.payer_names[name]), book_of.OF_PAYER + len(plan.years)))
        by_year = np.empty((n, len(plan.years)))
        given = (
            values,
            self.planned[name],
            terms,
            plan.calendar,
            plan.measures,
            plan.cohorts,
            plan.blocks,
            out,
            stops,
            np.ascontiguousarray(capped),
            has_cap,
            NOTHING_PUBLISHED,
            new_tally(len(plan.outcome_names), len(plan.cohort_names)),
            new_book_of(plan, name) if book is None else book,
        )
        flags = NO_FLAGS if flags is None else flags
        if book is None and self.ledger(name) is settle_abreast:
            found = np.empty((book_of.METRICS, n)).T
            settle_abreast(*given, new_sheets(plan.calendar.periods, len(plan.years)), found.T, by_year, met, flags)
        else:
            found = np.empty((n, book_of.METRICS))
            settle_draws(*given, found, by_tranche, by_payer, by_year, met, flags)
        return found, by_tranche, by_payer, by_year


_COMPILES_ALONE = "SIB_COMPILES_ALONE"
_COMPILE_BESIDE = """
from simulator.run import compile_beside
compile_beside(*given)
"""


def compile_beside(plan: Plan, seed: int, names: list[str]) -> None:
    """Compile what another process, which compiles the ledgers, will find in the cache: first what it needs last."""
    os.environ[_COMPILES_ALONE] = "yes"
    shared = Simulation(plan, seed, [])
    values, _ = shared.values(0, 1)
    kernels = {shared.ledger(name) for name in names}
    if settle_abreast in kernels and not plan.people:  # people take as long as the ledger by themselves
        compile_last_parts()
    if settle_draws in kernels:
        book, finance, row = new_book_of(plan, names[0]), plan.structures[names[0]].finance, values[0]
        compile_for(metrics.irr, book.flows[0], 1.0)
        compile_for(pay_out, row, finance, 1, 1, 1.0, 0.0, True, book.capital, book.paper, book.till, book.paid_to)
    shared.outcomes(0, values)
    if len(kernels) > 1:
        os.close(1)  # the other process need not wait for what it does itself, should it come to it first
        Simulation(plan, seed, names[::-1])._compile_ledgers()


PILOT = Replicates(-1, -1, -1)
"""Replicates that no run draws."""
_PILOT_DRAWS, _PILOT_PEOPLE = 4096, 1024  # the latter where people are drawn one by one
_OTHERS = 1 / 3
_RARE = 0.02


def influences_of(plan: Plan, names: Sequence[str]) -> Floats:
    """How much each column of uniforms moves what structures pay, return and trigger, from a pilot of a few draws.

    Parameters
    ----------
    names
        Structures; the first that pays anything uncertain counts three times as much as each other.

    Returns
    -------
    float64 [any, columns]
        Covariance of each payment, multiple and trigger that is not rare, divided by its standard deviation, with the
        normal quantile of each column of :func:`simulator.sampling.source`; 0 where it is within its own error.
    """
    from scipy.special import ndtri

    pilot = Simulation(plan, 0, list(names), PILOT, sampling="sobol", suits=())
    number = _PILOT_PEOPLE if plan.people else _PILOT_DRAWS
    values, _ = pilot.values(0, number)
    answers: dict[str, list[Floats]] = {name: [] for name in names}
    for low in range(0, number, pilot.chunk):
        part = values[low : low + pilot.chunk]
        alike = pilot.outcomes(low, part)
        for name in names:
            out, stops, _, capped = pilot.outcomes_under(name, low, part, alike)
            met = np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64)
            flags = np.zeros((len(part), *met.shape), np.int8)
            rows, *_ = pilot.settle(name, part, out, stops, capped, met, flags)
            money = np.nan_to_num(rows[:, [book_of.PAYMENTS, book_of.MULTIPLE]])
            answers[name].append(np.column_stack([money, flags.reshape(len(part), -1)]))
    scores = ndtri(pilot.source.untouched(0, number))
    weights: list[float] = []
    found = [np.zeros((0, scores.shape[1]))]
    for name in names:
        y = np.concatenate(answers[name])
        mean, spread = y.mean(axis=0), y.std(axis=0)
        least = np.full(mean.size, (_RARE * (1.0 - _RARE)) ** 0.5)
        least[:2] = 1e-9 * np.abs(mean[:2])
        told = spread > least
        weight = _OTHERS if weights else 1.0
        # not a product of matrices, whose bits depend on the number of threads it takes
        found.append(weight * np.einsum("dc,dr->rc", scores, (y[:, told] - mean[told]) / spread[told]) / number)
        weights += [weight] * int(told.sum())
    influences = np.concatenate(found)
    error = (sum(weight**2 for weight in weights) / number) ** 0.5
    influences[:, (influences**2).sum(axis=0) < (2.0 * error) ** 2] = 0.0
    return influences


NOTHING_PUBLISHED: Floats = np.zeros((0, 0))
NO_FLAGS: Flags = np.zeros((0, 0, 0), np.int8)


def new_book_of(plan: Plan, name: str) -> Book:
    """Allocate a ledger for a structure."""
    clauses, cohorts = len(plan.clause_names[name]), len(plan.cohort_names)
    periods, payers = plan.calendar.periods, len(plan.payer_names[name])
    tranches = plan.structures[name].finance.tranches.size
    return new_book(clauses, cohorts, periods, len(plan.years), len(plan.measure_names), tranches, payers)


def tranche_names(plan: Plan, name: str) -> list[str]:
    """Names of the tranches of a structure that are measured on their own: none where there is only one."""
    finance = plan.deal.structures[name].finance
    names = list(finance.papers) if isinstance(finance, Finance) else []
    return names if len(names) > 1 else []


def paper_names(plan: Plan, name: str) -> list[str]:
    """Names of what of the investors' paper is measured on its own: tranches, and last what a fund leaves, as `net`."""
    return [*tranche_names(plan, name), *["net"] * int(plan.structures[name].finance.fund.size)]


def record_type(plan: Plan) -> type[np.generic]:
    """Type that holds what was verified of a person: whole numbers, unless something is measured."""
    measured = bool(np.isin(plan.outcomes["kind"], (AMOUNT, SCORE)).any())
    return np.float64 if measured else np.int32


def outcome_keys(plan: Plan, seed: int, replicates: Replicates = FIRST) -> OutcomeKeys:
    """Keys of every source of luck and measurement, by names."""
    _, luck, measurement = replicates

    def grid(layer: str, replicate: int, kind: str, names: Sequence[str]) -> NDArray[np.uint64]:
        rows = [[chance.key(seed, layer, replicate, (kind, name, c)) for c in plan.cohort_names] for name in names]
        return np.array(rows, dtype=np.uint64)

    return OutcomeKeys(
        luck=grid("luck", luck, "outcome", plan.outcome_names),
        size=grid("luck", luck, "size", plan.outcome_names),
        before=grid("luck", luck, "before", plan.outcome_names),
        between=grid("luck", luck, "between cohorts", plan.outcome_names),
        evidence=grid("measurement", measurement, "evidence", plan.outcome_names),
        arm=grid("measurement", measurement, "comparison arm", plan.outcome_names),
        chain=grid("luck", luck, "people", plan.chain_names),
        proof=grid("luck", measurement, "people", plan.chain_names),
        person=grid("luck", luck, "frailty", ["person"])[0],
        policy=np.array([chance.key(seed, "luck", luck, ("policy change",))], dtype=np.uint64),
    )


def cap_table(plan: Plan) -> CapTable:
    """Line up the clauses of the structures that have a cap per person."""
    first, counts, outcome, rate_at, limit_at = [0], [], [], [], []
    for name in plan.structure_names:
        if plan.per_person_cap[name] < 0:
            continue
        clauses = plan.structures[name].clauses
        counts += [int(scope == EACH_PARTICIPANT) for scope in clauses["scope"]]
        outcome += list(clauses["outcome"])
        rate_at += list(clauses["rate_at"])
        limit_at.append(plan.per_person_cap[name])
        first.append(len(outcome))
    return CapTable(*(np.array(each, dtype=np.int64) for each in (first, counts, outcome, rate_at, limit_at)))


class Series:
    """One metric over the draws: moments of all, values of the first `limit`."""

    def __init__(self, draws: int, limit: int, randomised: bool = False) -> None:
        self.moments = Moments()
        self.values = np.empty(min(draws, limit))
        self.randomised = randomised
        self._summary: dict[str, Any] | None = None

    def add(self, start: int, block: Floats, moments: Floats) -> None:
        """Add a block of draws, in order, with its moments."""
        self.moments.merge(Moments.of_row(moments))
        kept = self.values[start : start + block.size]
        kept[:] = block[: kept.size]
        self._summary = None

    def summarise(self) -> None:
        """Find the quantiles of what is kept, on a thread of the caller's."""
        self._summary = dict(metrics.summary(self.values, self.moments))

    def summary(self) -> dict[str, Any]:
        """Return the summary S of the interface."""
        if self._summary is None:
            self.summarise()
        return dict(self._summary or {})

    def probability(self, of: Callable[[Floats], NDArray[np.bool_]]) -> Any:
        """Probability of something among the draws that are kept."""
        found = Successes(self.randomised)
        found.add(of(self.values))
        return found.probability()


@dataclass
class Investors:
    """What the blocks say of all investors, or of one tranche."""

    series: dict[str, Series]
    randomised: bool
    irr_codes: dict[int, int] = field(default_factory=dict)
    loss: Moments = field(default_factory=Moments)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.hurdle, self.losses, self.total_losses = (Successes(self.randomised) for _ in range(3))
        self._shortfall: tuple[float, float] | None = None

    def find_shortfall(self) -> None:
        """Find the mean of the worst twentieth of multiples, on a thread of the caller's, once all draws are in."""
        self._shortfall = metrics.expected_shortfall(self.series["multiple"].values, randomised=self.randomised)

    def shortfall(self) -> dict[str, Any]:
        """Return the mean of the worst twentieth of multiples, with its error."""
        if self._shortfall is None:
            self.find_shortfall()
        return dict(metrics.estimate(*(self._shortfall or ())))

    def count(self, rows: Floats) -> None:
        """Count what becomes of the investors in a block of draws, from its metrics [draws, METRICS]."""
        codes = rows[:, book_of.IRR_CODE]
        for code, number in enumerate(np.bincount(codes[~np.isnan(codes)].astype(np.int64))):
            if number > 0:
                self.irr_codes[code] = self.irr_codes.get(code, 0) + int(number)
        hurdle, multiple = rows[:, book_of.HURDLE], rows[:, book_of.MULTIPLE]
        self.hurdle.add(hurdle == 1.0, ~np.isnan(hurdle))
        defined, lost = ~np.isnan(multiple), multiple < 1.0 - metrics.LOSS_TOLERANCE
        self.losses.add(lost, defined)
        self.total_losses.add(multiple <= metrics.LOSS_TOLERANCE, defined)
        self.loss.update(np.where(lost, 1.0 - multiple, np.nan), self.randomised)

    def merge(self, block: Investors) -> None:
        """Add what another counted in a later block of draws."""
        for code, number in block.irr_codes.items():
            self.irr_codes[code] = self.irr_codes.get(code, 0) + number
        self.hurdle.merge(block.hurdle)
        self.losses.merge(block.losses)
        self.total_losses.merge(block.total_losses)
        self.loss.merge(block.loss)


@dataclass
class FoundOfPayer:
    """What the blocks of one payer with rules of its own add up to."""

    series: dict[str, Series]
    years: list[Series]
    deadweight: CoMoments = field(default_factory=CoMoments)
    per_additional: list[CoMoments] = field(default_factory=list)


@dataclass
class Found:
    """What the blocks of one structure add up to."""

    series: dict[str, Series]
    years: list[Series]
    met: Ints
    shares: Ints | None
    """[16, K, C + 2] `met` by randomisation, of Sobol points."""
    investors: Investors
    tranches: dict[str, Investors]
    net: Investors | None
    """What a fund that holds the paper leaves its own investors."""
    paid: Successes
    guaranteed: Successes
    late: int = 0
    ended: dict[int, Successes] = field(default_factory=dict)
    """Draws that each end of :func:`ends_of` cut short."""
    deadweight: CoMoments = field(default_factory=CoMoments)
    per_additional: list[CoMoments] = field(default_factory=list)
    payers: dict[str, FoundOfPayer] = field(default_factory=dict)

    @property
    def apart(self) -> list[Investors]:
        """Investors who are measured on their own, in the order of :func:`paper_names`."""
        return [*self.tranches.values(), *([] if self.net is None else [self.net])]


def check_draws(draws: int) -> None:
    """Raise ValueError, in words, if a number of draws cannot be simulated."""
    if not 1 <= draws <= MOST_DRAWS:
        raise ValueError(f"draws: {draws} is out of range; allowed: at least 1, at most {MOST_DRAWS}")


def check_sampling(sampling: str) -> None:
    """Raise ValueError, in words, for a method of sampling that is unknown."""
    if sampling not in METHODS:
        raise ValueError(f"sampling: {sampling!r} is unknown; allowed: {', '.join(METHODS)}")


def simulate(
    deal: Deal,
    draws: int = 100_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    sampling: str = "plain",
) -> Result:
    """Simulate a deal.

    Parameters
    ----------
    deal
        As :func:`simulator.load` returns it.
    draws, seed
        Number of simulated worlds, and any integer. More draws extend fewer.
    structures
        Names of payment structures, or None for all. The choice moves no number of the others.
    threads
        Number of threads, by default the processors that this process may use. Moves no number.
    progress
        Called with the draws done and the draws in all.
    sampling
        `plain`, independent draws; or `sobol`, scrambled Sobol points for the uncertain numbers and the largest sources
        of luck, along axes that a pilot of a few thousand draws finds, in 16 independent randomisations whose spread is
        the standard error. Intervals of quantiles are those of independent draws, which are wider than they need be.

    Returns
    -------
    Result

    Raises
    ------
    KeyError
        For an unknown structure.
    ValueError
        If `draws` is below 1, or for an unknown `sampling`.
    TooLargeError
        If the run would not fit in memory.
    DefectError
        If an account does not balance; a defect of ours.
    """
    begun = time.perf_counter()
    check_draws(draws)
    check_sampling(sampling)
    names = structure_names(deal, structures)
    plan = compile_plan(deal)
    shared = Simulation(plan, seed, names, sampling=sampling, only_read=True)
    randomised = shared.randomised
    workers = min(threads or available_threads(), -(-draws // BLOCK))
    needed, free = predicted_bytes(shared, draws, workers), available_bytes()
    if free is not None and needed > free:
        raise TooLargeError(
            f"{draws:,} draws need about {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free; "
            "allowed: fewer draws, structures or threads"
        )
    found = {name: _new_found(plan, name, draws, randomised) for name in names}
    totals = [[Series(draws, KEPT, randomised) for _ in range(4)] for _ in plan.outcome_names]
    clamped: dict[int, int] = {}
    with contextlib.closing(in_blocks(functools.partial(_block, shared), draws, workers)) as blocks:
        for start, done in blocks:
            _add(plan, start, done, found, totals, clamped, progress, draws)
    with ThreadPoolExecutor(workers) as pool:
        searches = [each.find_shortfall for each in _all_investors(found)]
        searches += [series.summarise for series in _every_series(found, totals)]
        list(pool.map(lambda search: search(), searches))
    data = _report(plan, seed, draws, sampling, found, totals, clamped)
    data["environment"] = environment()
    data["elapsed"] = time.perf_counter() - begun
    arrays = {name: {key: each.values for key, each in found[name].series.items()} for name in names}
    for name in names:
        for tranche, investors in found[name].tranches.items():
            arrays[name] |= {f"{key} [{tranche}]": each.values for key, each in investors.series.items()}
        net = found[name].net
        arrays[name] |= {} if net is None else {f"{key} net of fund": each.values for key, each in net.series.items()}
    return Result(data, arrays)


@dataclass
class _Done:
    """A finished block of draws: values by draw, and the moments of each column."""

    totals: Floats
    metrics: dict[str, Floats]
    investors: dict[str, Investors]
    tranches: dict[str, Floats]
    payers: dict[str, Floats]
    years: dict[str, Floats]
    met: dict[str, Ints]
    flags: dict[str, Flags]
    clamped: dict[int, int]
    totals_moments: Floats
    metrics_moments: dict[str, dict[int, Floats]]
    years_moments: dict[str, Floats]
    deadweight: dict[str, Floats]
    per_additional: dict[str, Floats]
    payers_deadweight: dict[str, list[Floats]]
    payers_per_additional: dict[str, list[Floats]]


def in_blocks(work: Callable[[int, int], Worked], draws: int, workers: int) -> Generator[tuple[int, Worked]]:
    """Work on draws in blocks, a few ahead on other threads, and yield each in its order with its first draw.

    One worker is this thread itself: a thread beside it would be a second processor. To be closed, which forgets the
    blocks that nobody waits for.
    """
    blocks = ((start, min(BLOCK, draws - start)) for start in range(0, draws, BLOCK))
    if workers == 1:
        yield from ((start, work(start, number)) for start, number in blocks)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[tuple[int, Future[Worked]]] = deque()
        try:
            for start, number in blocks:
                waiting.append((start, pool.submit(work, start, number)))
                if len(waiting) > 2 * workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        except BaseException:
            for _, future in waiting:
                future.cancel()
            raise


@dataclass(frozen=True)
class Variant:
    """A setting of a deal, to be settled over outcomes that it shares with others."""

    simulation: Simulation
    numbers: dict[int, float] | None = None
    """Columns in which its value row differs from that of the outcomes; None where the whole row is its own."""


def _block(shared: Simulation, start: int, number: int) -> _Done:
    return settle_variants(shared, [Variant(shared, {})], start, number)[0]


def settle_variants(shared: Simulation, variants: Sequence[Variant], start: int, number: int) -> list[_Done]:
    """Simulate the outcomes of a block of draws once, and settle them for several variants, each with its names."""
    plan = shared.plan
    values, clamped = shared.values(start, number)
    own = [each.simulation.values(start, number) if each.numbers is None else (values, clamped) for each in variants]
    totals = np.empty((number, len(plan.outcome_names), 4))
    done = [_NewBlock(each.simulation, number) for each in variants]
    alike = None
    for low in range(0, number, shared.chunk):
        high = min(low + shared.chunk, number)
        alike = shared.outcomes(start + low, values[low:high], alike)
        totals[low:high] = alike[2]
        for variant, (rows, _), block in zip(variants, own, done, strict=True):
            part = rows[low:high]
            for column, value in (variant.numbers or {}).items():
                part[:, column] = value
            block.settle(start, low, part, alike)
    totals_moments = metrics.column_moments(totals.reshape(number, -1), shared.randomised)
    return [block.done(totals, totals_moments, own[i][1]) for i, block in enumerate(done)]


class _NewBlock:
    """A block of draws of one variant while it is being settled."""

    def __init__(self, shared: Simulation, number: int) -> None:
        plan = shared.plan
        self.shared = shared
        # a metric's values lie together, as they are kept
        self.found = {name: np.empty((book_of.METRICS, number)).T for name in shared.names}
        self.additional = {name: np.empty((number, len(plan.outcome_names))) for name in shared.names}
        self.tranches = {
            name: np.empty((number, len(paper_names(plan, name)), book_of.METRICS)) for name in shared.names
        }
        self.years = {name: np.empty((number, len(plan.years))) for name in shared.names}
        self.payers = {
            name: np.empty((number, len(plan.payer_names[name]), book_of.OF_PAYER + len(plan.years)))
            for name in shared.names
        }
        cohorts = len(plan.cohort_names)
        self.met = {name: np.zeros((len(plan.clause_names[name]), cohorts + 2), np.int64) for name in shared.names}
        rows = number if shared.randomised else 0
        self.flags = {name: np.zeros((rows, *met.shape), np.int8) for name, met in self.met.items()}

    def settle(self, start: int, low: int, part: Floats, alike: tuple[Outcomes, Ints, Floats, Floats]) -> None:
        """Settle the draws of the block from `low` on, over outcomes that are alike unless a structure has its own."""
        high = low + part.shape[0]
        for name in self.shared.names:
            out, stops, own, capped = self.shared.outcomes_under(name, start + low, part, alike)
            self.additional[name][low:high] = own[:, :, 3]
            flags = self.flags[name][low:high] if self.shared.randomised else None
            rows, tranches, payers, years = self.shared.settle(name, part, out, stops, capped, self.met[name], flags)
            _without_those_cut_off(self.shared.plan, out, stops, rows, self.additional[name][low:high])
            self.found[name][low:high], self.tranches[name][low:high] = rows, tranches
            self.payers[name][low:high], self.years[name][low:high] = payers, years

    def _moments(self, name: str, rows: Floats) -> dict[int, Floats]:
        """Moments of the metrics that are reported, by column."""
        columns = [*(HEADLINE | SECONDARY).values()]
        if has_more_terms(self.shared.plan, name):
            columns += FINANCE.values()
        low, high = min(columns), max(columns) + 1
        moments = metrics.column_moments(rows[:, low:high], self.shared.randomised)
        return {column: moments[column - low] for column in columns}

    def done(self, totals: Floats, totals_moments: Floats, clamped: dict[int, int]) -> _Done:
        """Take the moments of a finished block."""
        found, years, randomised = self.found, self.years, self.shared.randomised
        cost = {
            name: np.repeat(rows[:, book_of.COST : book_of.COST + 1], totals.shape[1], axis=1)
            for name, rows in found.items()
        }
        investors = {name: Investors({}, randomised) for name in found}
        for name, rows in found.items():
            investors[name].count(rows)
        return _Done(
            totals=totals,
            metrics=found,
            investors=investors,
            tranches=self.tranches,
            payers=self.payers,
            years=years,
            met=self.met,
            flags=self.flags,
            clamped=clamped,
            totals_moments=totals_moments,
            metrics_moments={name: self._moments(name, rows) for name, rows in found.items()},
            years_moments={name: metrics.column_moments(rows, randomised) for name, rows in years.items()},
            deadweight={
                name: metrics.pair_moments(rows[:, _REAL].copy(), rows[:, _COUNTED].copy(), randomised)
                for name, rows in found.items()
            },
            per_additional={
                name: metrics.pair_moments(cost[name], self.additional[name], randomised) for name in found
            },
            payers_deadweight={
                name: [
                    metrics.pair_moments(
                        rows[:, p, _PAYERS_REAL].copy(), rows[:, p, _PAYERS_COUNTED].copy(), randomised
                    )
                    for p in range(rows.shape[1])
                ]
                for name, rows in self.payers.items()
            },
            payers_per_additional={
                name: [
                    metrics.pair_moments(
                        np.repeat(rows[:, p, _PAYERS_COST], totals.shape[1], axis=1), self.additional[name], randomised
                    )
                    for p in range(rows.shape[1])
                ]
                for name, rows in self.payers.items()
            },
        )


def _without_those_cut_off(plan: Plan, out: Outcomes, stops: Ints, rows: Floats, additional: Floats) -> None:
    """Take people who were not referred, since a structure's own rule ended service, out of the additional outcomes.

    `additional` is [draws, O]; those who count when policy alone ends it are in it.
    """
    counted = rows[:, book_of.STOP_AT]
    cut = counted < stops
    if cut.any():
        ran = plan.blocks["reach"] <= counted[cut, np.newaxis]
        more = (out.counts[cut, :, :, TRUE] - out.counts[cut, :, :, WITHOUT]) * ran[:, np.newaxis, :]
        additional[cut] = plan.outcomes["better"] * more.sum(axis=2)


def simulate_variants(shared: Simulation, variants: Sequence[Variant], draws: int) -> list[dict[str, Any]]:
    """Simulate variants of a deal whose outcomes are the same, on one thread.

    Parameters
    ----------
    shared
        The simulation whose outcomes they share.
    variants
        Each settles the structures that its simulation names.
    draws
        Number of draws.

    Returns
    -------
    list of dict
        For each variant `outcomes` and `structures` as in the JSON of a run, and `draws`: by structure and metric, one
        value a draw.

    Raises
    ------
    DefectError
        If an account does not balance; a defect of ours.
    """
    plan = shared.plan
    found = [{name: _new_found(plan, name, draws) for name in each.simulation.names} for each in variants]
    totals = [[Series(draws, KEPT) for _ in range(4)] for _ in plan.outcome_names]
    for start in range(0, draws, BLOCK):
        done = settle_variants(shared, variants, start, min(BLOCK, draws - start))
        for i, each in enumerate(variants):
            _add(each.simulation.plan, start, done[i], found[i], totals if i == 0 else [], {}, None, draws)
    outcomes = _outcomes(plan, totals)
    return [
        {
            "outcomes": outcomes,
            "structures": {
                name: _structure(each.simulation.plan, name, rows, draws) for name, rows in found[i].items()
            },
            "draws": {
                name: {key: series.values for key, series in rows.series.items()} for name, rows in found[i].items()
            },
        }
        for i, each in enumerate(variants)
    ]


_REAL = slice(book_of.REAL_PAYMENTS, book_of.REAL_PAYMENTS + 1)
_COUNTED = slice(book_of.COUNTED_PAYMENTS, book_of.COUNTED_PAYMENTS + 1)


_PAYERS_COST, _PAYERS_REAL, _PAYERS_COUNTED = (
    slice(at, at + 1) for at in (book_of.OWN_COST, book_of.OWN_REAL, book_of.OWN_COUNTED)
)


def _new_found(plan: Plan, name: str, draws: int, randomised: bool = False) -> Found:
    def new(key: str = "") -> Series:
        return Series(draws, draws if key in HEADLINE else KEPT, randomised)

    series = {key: new(key) for key in HEADLINE | SECONDARY}
    if has_more_terms(plan, name):
        series |= {key: new() for key in FINANCE}
    met = np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64)
    return Found(
        series=series,
        investors=Investors({key: series[key] for key in OF_INVESTORS}, randomised),
        tranches={
            tranche: Investors({key: new(key) for key in OF_INVESTORS}, randomised)
            for tranche in tranche_names(plan, name)
        },
        net=Investors({key: new(key) for key in OF_INVESTORS | OF_FUND}, randomised)
        if plan.structures[name].finance.fund.size > 0
        else None,
        years=[new() for _ in plan.years],
        met=met,
        shares=np.zeros((metrics.RANDOMISATIONS, *met.shape), np.int64) if randomised else None,
        paid=Successes(randomised),
        guaranteed=Successes(randomised),
        ended={code: Successes(randomised) for code in ends_of(plan.deal, name)},
        per_additional=[CoMoments() for _ in plan.outcome_names],
        payers={
            payer: FoundOfPayer(
                series={key: Series(draws, KEPT, randomised) for key in ("cost", "cost_present_value")},
                years=[new() for _ in plan.years],
                per_additional=[CoMoments() for _ in plan.outcome_names],
            )
            for payer in plan.payer_names[name]
        },
    )


def _all_investors(found: dict[str, Found]) -> list[Investors]:
    """All investors, each tranche and a fund's own, of every structure."""
    return [investors for each in found.values() for investors in [each.investors, *each.apart]]


def _every_series(found: dict[str, Found], totals: list[list[Series]]) -> list[Series]:
    every = [series for four in totals for series in four]
    for each in found.values():
        every += [*each.series.values(), *each.years]
        for own in each.apart:
            every += own.series.values()
        for payer in each.payers.values():
            every += [*payer.series.values(), *payer.years]
    return every


def has_more_terms(plan: Plan, name: str) -> bool:
    """Whether a finance agreement can leave something unpaid, or let others pay for the investors."""
    finance = plan.deal.structures[name].finance
    if not isinstance(finance, Finance):
        return False
    more = (finance.tranches, finance.deferred)
    return any(each is not None for each in more) or bool(finance.guarantees) or finance.rules("defer fees")


def _add(
    plan: Plan,
    start: int,
    done: _Done,
    found: dict[str, Found],
    totals: list[list[Series]],
    clamped: dict[int, int],
    progress: Callable[[int, int], None] | None,
    draws: int,
) -> None:
    for o, four in enumerate(totals):
        for i, series in enumerate(four):
            series.add(start, done.totals[:, o, i], done.totals_moments[4 * o + i])
    for column, number in done.clamped.items():
        clamped[column] = clamped.get(column, 0) + number
    for name, each in found.items():
        rows = done.metrics[name]
        broken = rows[:, book_of.BROKEN]
        if broken.any():
            draw = start + int(np.argmax(broken != 0))
            raise DefectError(f"the accounts of {name!r} do not balance in draw {draw} (rule {broken.max():.0f})")
        for key, column in (HEADLINE | SECONDARY | FINANCE).items():
            if key in each.series:
                each.series[key].add(start, rows[:, column], done.metrics_moments[name][column])
        for y, series in enumerate(each.years):
            series.add(start, done.years[name][:, y], done.years_moments[name][y])
        each.met += done.met[name]
        if each.shares is not None:
            flags = done.flags[name]
            missing = -len(flags) % metrics.RANDOMISATIONS
            flags = np.pad(flags, ((0, missing), (0, 0), (0, 0)))
            each.shares += flags.reshape(-1, metrics.RANDOMISATIONS, *flags.shape[1:]).sum(axis=0, dtype=np.int64)
        each.investors.merge(done.investors[name])
        for n, own in enumerate(each.apart):
            its = np.ascontiguousarray(done.tranches[name][:, n])
            moments = metrics.column_moments(its, own.randomised)
            for key in own.series:
                column = (OF_INVESTORS | OF_FUND)[key]
                own.series[key].add(start, its[:, column], moments[column])
            own.count(its)
        each.guaranteed.add(rows[:, book_of.GUARANTOR_COST] > 0.005)
        each.paid.add(rows[:, book_of.PAYMENTS] > 0.0)
        for code, ended in each.ended.items():
            ended.add(rows[:, book_of.STOPPED] == code)
        each.late += int(np.count_nonzero(rows[:, book_of.LATE] > 0.0))
        each.deadweight.merge(CoMoments.of_row(done.deadweight[name][0]))
        for o, pair in enumerate(each.per_additional):
            pair.merge(CoMoments.of_row(done.per_additional[name][o]))
        for p, payer in enumerate(each.payers.values()):
            _add_payer(plan, name, start, done, p, payer)
    if progress is not None:
        progress(min(start + BLOCK, draws), draws)


def _add_payer(plan: Plan, name: str, start: int, done: _Done, p: int, payer: FoundOfPayer) -> None:
    rows = np.ascontiguousarray(done.payers[name][:, p])
    if rows[:, book_of.OWN_BROKEN].any():
        raise DefectError(f"the purse of {plan.payer_names[name][p]!r} does not balance under {name!r}")
    moments = metrics.column_moments(rows, payer.series["cost"].randomised)
    payer.series["cost"].add(start, rows[:, book_of.OWN_COST], moments[book_of.OWN_COST])
    payer.series["cost_present_value"].add(start, rows[:, book_of.OWN_COST_PV], moments[book_of.OWN_COST_PV])
    for y, series in enumerate(payer.years):
        series.add(start, rows[:, book_of.OF_PAYER + y], moments[book_of.OF_PAYER + y])
    payer.deadweight.merge(CoMoments.of_row(done.payers_deadweight[name][p][0]))
    for o, pair in enumerate(payer.per_additional):
        pair.merge(CoMoments.of_row(done.payers_per_additional[name][p][o]))


# ---------------------------------------------------------------------------------------------------------------
# The result by the names of the interface
# ---------------------------------------------------------------------------------------------------------------


def _report(
    plan: Plan,
    seed: int,
    draws: int,
    sampling: str,
    found: dict[str, Found],
    totals: list[list[Series]],
    clamped: dict[int, int],
) -> dict[str, Any]:
    return header(plan.deal, seed, draws) | {
        "sampling": sampling,
        "engine": "people" if plan.people else "aggregate",
        "warnings": _warnings(plan, draws, found, clamped),
        "outcomes": _outcomes(plan, totals),
        "structures": {name: _structure(plan, name, each, draws) for name, each in found.items()},
    }


def _outcomes(plan: Plan, totals: list[list[Series]]) -> dict[str, Any]:
    outcomes = {}
    for o, name in enumerate(plan.outcome_names):
        outcome, step = outcome_of(plan.deal, name)
        unit = step.unit if step is not None else outcome.unit
        outcomes[name] = {
            "unit": unit or _UNITS[outcome.counts],
            "better": outcome.better,
            **{metric: totals[o][i].summary() for i, metric in enumerate(OUTCOME_METRICS)},
        }
    return outcomes


_UNITS = {"yes or no": "people", "milestones": "people", "events": "events", "amount": "units", "score": "points"}


def header(deal: Deal, seed: int | None, draws: int | None) -> dict[str, Any]:
    """Return what every answer carries: enough to repeat it bit for bit."""
    from simulator import __version__

    return {
        "deal": deal.deal,
        "currency": deal.currency,
        "draws": draws,
        "seed": seed,
        "version": __version__,
        "deal_hash": fingerprint(deal),
        "present_values": present_values(deal),
    }


def environment() -> dict[str, str]:
    """Versions of what the numbers were made with."""
    import numba
    import scipy

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "platform": platform.platform(),
    }


def _warnings(plan: Plan, draws: int, found: dict[str, Found], clamped: dict[int, int]) -> list[str]:
    lines = []
    for index, number in sorted(clamped.items()):
        column = plan.columns[index]
        legal = Range(column.low, column.high).words(column.quantity.unit)
        lines.append(
            f"{join_path(column.path)}: {number:,} of {draws:,} draws were not {legal} and were set to the bound"
        )
    for name, each in found.items():
        if each.late:
            lines.append(
                f"structures.{name}: in {each.late:,} of {draws:,} draws something fell due after the horizon; "
                "payments were booked in the last period, later outcomes not at all"
            )
    return lines


def _structure(plan: Plan, name: str, each: Found, draws: int) -> dict[str, Any]:
    clauses = plan.clause_names[name]
    number = len(plan.cohort_names)
    triggers: dict[str, Any] = {}

    def probability(k: int, column: int) -> Any:
        error = None
        if each.shares is not None:
            of = [len(range(r, draws, metrics.RANDOMISATIONS)) for r in range(metrics.RANDOMISATIONS)]
            error = metrics.between_randomisations(np.array([each.shares[:, k, column], of], dtype=float))
        return metrics.probability(int(each.met[k, column]), draws, error)

    for k, clause in enumerate(clauses):
        triggers[clause] = probability(k, number + 1)
        if plan.deal.structures[name].pays[clause].for_ == "each cohort":
            for c, cohort in enumerate(plan.cohort_names):
                triggers[f"{clause} [{cohort}]"] = probability(k, c)
    triggers["any payment"] = each.paid.probability()
    for code, words in ends_of(plan.deal, name).items():
        triggers[f"ended early: {words}"] = each.ended[code].probability()
    series = each.series
    payer = _payer(plan, each)
    return {
        "triggers": triggers,
        "payments": series["payments"].summary(),
        "payments_present_value": series["payments_present_value"].summary(),
        "uncapped_payments": series["uncapped_payments"].summary(),
        "actual": _actual(plan.deal, name, series["payments"]),
        "investor": _investor(plan, name, each),
        **_guarantor(plan, name, each),
        "payer": payer,
        "payers": {who: _scaled(payer, share) for who, share in plan.payers[name].items()}
        | {who: _payer(plan, own) for who, own in each.payers.items()},
        "provider": {
            "surplus": series["surplus"].summary(),
            "probability_of_deficit": series["surplus"].probability(lambda surplus: surplus < -0.005),
            "lowest_cash": series["lowest_cash"].summary(),
        },
    }


def ends_of(deal: Deal, name: str) -> dict[int, str]:
    """What may end the service early, where a structure has terms for that, by its number in the metrics."""
    structure, finance = deal.structures[name], deal.structures[name].finance
    compensated = any(clause.due == "at an early end" for clause in structure.pays.values())
    winds_up = isinstance(finance, Finance) and finance.rules("wind up")
    if not (structure.breaks or structure.after_an_early_end or compensated or winds_up):
        return {}
    ends = {}
    if deal.ends_early.policy_change is not None:
        ends[book_of.BY_POLICY] = "policy change"
    if isinstance(finance, Finance) and finance.rules("stop referrals", "wind up"):
        ends[book_of.FOR_WANT_OF_MONEY] = "no money"
    return ends | {book_of.BY_BREAK + i: each for i, each in enumerate(structure.breaks or {})}


def _actual(deal: Deal, name: str, payments: Series) -> dict[str, Any] | None:
    actual = deal.actual
    if actual is None or actual.structure != name:
        return None
    value = actual.payments.mean()
    below = np.count_nonzero(payments.values < value)
    equal = np.count_nonzero(payments.values == value)
    return {
        "value": value,
        "percentile": float((below + 0.5 * equal) / payments.values.size),
        "source": actual.source,
    }


def _investor(plan: Plan, name: str, each: Found) -> dict[str, Any] | None:
    if plan.structures[name].finance.has == 0:
        return None
    answers = _investors(each.investors)
    if has_more_terms(plan, name):
        answers |= {key: each.series[key].summary() for key in ("paid_by_provider", "unpaid")}
    finance = plan.deal.structures[name].finance
    if each.net is not None and isinstance(finance, Finance) and finance.fund is not None:
        charged = {key: each.net.series[key].summary() for key in OF_FUND}
        answers["net"] = {"of": finance.fund.of or INVESTORS} | _investors(each.net) | charged
    own = {tranche: _investors(investors) for tranche, investors in each.tranches.items()}
    if not own and isinstance(finance, Finance):
        own = {tranche: {key: of for key, of in answers.items() if key != "net"} for tranche in finance.papers}
    return answers | {"tranches": own}


def _investors(each: Investors) -> dict[str, Any]:
    """Answers for all investors, or for one tranche."""
    series = each.series
    no_irr = sum(each.irr_codes.get(code, 0) for code in (metrics.NO_INVESTMENT, metrics.NO_ROOT))
    return {
        "irr": series["irr"].summary()
        | {"undefined": no_irr, "multiple_roots": each.irr_codes.get(metrics.SEVERAL_ROOTS, 0)},
        "multiple": series["multiple"].summary(),
        "multiple_on_committed": series["multiple_on_committed"].summary(),
        "multiple_on_peak": series["multiple_on_peak"].summary(),
        "net_present_value": series["net_present_value"].summary(),
        "payback": series["payback"].summary(),
        "peak_funding_need": series["peak_funding_need"].summary(),
        "probability_of_loss": each.losses.probability(),
        "probability_of_total_loss": each.total_losses.probability(),
        "probability_of_hurdle": each.hurdle.probability(),
        "loss_given_loss": each.loss.estimate() if each.losses.successes else None,
        "expected_shortfall_05": each.shortfall(),
    }


def _guarantor(plan: Plan, name: str, each: Found) -> dict[str, Any]:
    """What the guarantors pay together, net of fees and of what they get back, if there is one."""
    finance = plan.deal.structures[name].finance
    if not isinstance(finance, Finance) or not finance.guarantees:
        return {}
    answers = {
        "name": ", ".join(finance.guarantors),
        "cost": each.series["guarantor_cost"].summary(),
        "probability_of_cost": each.guaranteed.probability(),
    }
    return {"guarantor": answers}


def _payer(plan: Plan, each: Found | FoundOfPayer) -> dict[str, Any]:
    per_additional: dict[str, Any] = {}
    for o, name in enumerate(plan.outcome_names):
        pairs = each.per_additional[o]
        moments = pairs.of_y()
        # a ratio of means has no meaning where the sign of what it divides by is in doubt
        clear = moments.count > 1 and moments.mean > 3.0 * moments.standard_error
        per_additional[name] = pairs.estimate() if clear else None
    defined = each.deadweight.count > 0 and each.deadweight.mean_y > 0.0
    deadweight = None
    if defined:
        share, error = each.deadweight.ratio()
        deadweight = metrics.estimate(1.0 - share, error)
    years = []
    for label, series in zip(plan.years, each.years, strict=True):
        found = series.summary()
        years.append(
            {
                "year": label,
                "mean": found["mean"],
                "standard_error": found["standard_error"],
                "p50": found["p50"],
                "p95": found["p95"],
                "maximum": float(series.values.max()),
            }
        )
    return {
        "cost": each.series["cost"].summary(),
        "cost_present_value": each.series["cost_present_value"].summary(),
        "cost_per_additional_outcome": per_additional,
        "deadweight_share": deadweight,
        "by_year": years,
    }


_NOT_SCALED = {"count", "year", "quantile_draws", "deadweight_share"}


def _scaled(answers: Any, share: float) -> Any:
    """Give one payer's part of what all payers together pay; shares of outcomes paid for stay as they are."""
    if isinstance(answers, dict):
        return {key: each if key in _NOT_SCALED else _scaled(each, share) for key, each in answers.items()}
    if isinstance(answers, list):
        return [_scaled(each, share) for each in answers]
    return answers * share if isinstance(answers, float) else answers


def predicted_bytes(shared: Simulation, draws: int, workers: int) -> int:
    """Predict the memory of a run: what is kept of each draw, a sorted copy a thread, and the blocks under way."""
    plan, structures = shared.plan, len(shared.names)
    outcomes, years = len(plan.outcome_names), len(plan.years)
    tranches = sum(len(paper_names(plan, name)) for name in shared.names)
    payers = sum(len(plan.payer_names[name]) for name in shared.names)
    kept = draws * (len(HEADLINE) * structures + 2 * tranches) + min(draws, KEPT) * (
        (len(SECONDARY) + len(FINANCE) + years) * structures
        + 4 * outcomes
        + len(OF_INVESTORS) * tranches
        + (2 + years) * payers
    )
    per_draw = structures * (book_of.METRICS + years + 2 * outcomes) + tranches * book_of.METRICS + 4 * outcomes
    per_draw += payers * (book_of.OF_PAYER + years)
    points = shared.source.keys.size if shared.randomised else 0
    block = BLOCK * (len(plan.columns) + points + per_draw)
    scratch = shared.chunk * shared.values_a_draw
    people = 0.0
    if plan.people:
        columns = plan.cohorts["people_at"], plan.cohorts["referrals_at"]
        people = 1.5 * float((plan.expected[columns[0]] * plan.expected[columns[1]]).sum()) * outcomes / 2
    return int(200e6 + 8 * (kept + workers * draws + 3 * workers * block + workers * (2 * scratch + people)))


def available_bytes() -> int | None:
    """Memory that is free for this process, or None where the system does not tell."""
    free = []
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            free += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        with (
            open("/sys/fs/cgroup/memory.max", encoding="ascii") as limit,
            open("/sys/fs/cgroup/memory.current", encoding="ascii") as used,
        ):
            most = limit.read().strip()
            if most != "max":
                free.append(int(most) - int(used.read()))
    except (OSError, ValueError):
        pass
    return min(free) if free else None


def available_threads() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
