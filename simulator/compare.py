"""Is a payment structure better value than buying the service another way? Every answer is paired draw by draw.

One pass over the draws: outcomes are simulated once, every structure and every comparator is settled over them, and
what is kept of a draw are differences, so that each carries its own standard error and the luck that both sides share
is not in it. A structure whose relative effectiveness is not 1 has outcomes of its own, from the same uniforms.

Comparators
-----------
nothing
    Statutory business as usual: no service, no cost, and the outcomes that would have come anyway.
conventional
    The structure of this name in the file: the same service bought for a fee.
results without investors
    The same outcomes contract with the same costs, but the provider bears the cash gap itself.

Money is nominal. A difference of costs, a saving and a net benefit are present values at the start of the deal, at the
payers' rate. What nobody pays for the service, *business as usual* costs, stands on both sides and is left out.

The cost of the bond
--------------------
What payers pay goes three ways, period by period and in every draw: to set-up, management and evaluation; to outside
capital (what investors get back beyond what they put in, and the change of cash that lies idle in the vehicle); and to
the service (what delivery costs, and what the provider keeps or loses). The payers' own costs are with the first. So

    cost less conventional's cost = set-up and evaluation + outside capital + paying on outcomes

with each part that of the structure less that of conventional. *Outside capital* is what investors cost above the
payers' own discount rate, below zero where they lose. At the same prices the payers would pay the same without
investors, and this part would be the provider's to keep or to bear: that is the third comparator. *Paying on outcomes*
is what the service side gets under the outcomes contract beyond what it gets under the fee.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import budget as budget_of
from simulator import ledger as book_of
from simulator import metrics, parameters, three_ms, worth
from simulator.deal import Deal, Finance, rests_on_money, singles, structure_names
from simulator.metrics import CoMoments, Moments, Successes
from simulator.plan import Plan, compile_plan
from simulator.run import (
    BLOCK,
    KEPT,
    DefectError,
    Series,
    Simulation,
    TooLargeError,
    available_bytes,
    available_threads,
    check_draws,
    check_sampling,
    environment,
    header,
    in_blocks,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Label = tuple[str | int, ...]
Arrays = dict[str, Floats]

NOTHING, CONVENTIONAL, WITHOUT_INVESTORS = "nothing", "conventional", "results without investors"
COMPARATORS = (NOTHING, CONVENTIONAL, WITHOUT_INVESTORS)
PUBLIC = "public sector"
_PENNY = 0.005  # differences below this are none


def compare(
    deal: Deal,
    draws: int = 100_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    against: Sequence[str] | None = None,
    budget: bool = False,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    sampling: str = "plain",
) -> dict[str, Any]:
    """Compare payment structures with other ways to buy the service, draw by draw.

    Parameters
    ----------
    deal
        As :func:`simulator.load` returns it.
    draws, seed, threads, progress, sampling
        As for :func:`simulator.simulate`.
    structures
        Names of payment structures, or None for all.
    against
        Comparators: `nothing`, `conventional`, `results without investors`, or structures of the file; by default the
        first three.
    budget
        Whether cash by financial year is wanted, too; every structure is then settled once more for each year in which
        it might be terminated.

    Returns
    -------
    dict
        By the names of the interface; differences are structure minus comparator. None where a comparator is not in
        the file, is the structure itself, or has no investors to do without.

    Raises
    ------
    KeyError
        For an unknown structure or comparator.
    ValueError
        If `draws` is below 1.
    TooLargeError
        If it would not fit in memory.
    DefectError
        If accounts do not balance, or the parts of a cost do not add up; a defect of ours.
    """
    begun = time.perf_counter()
    check_draws(draws)
    check_sampling(sampling)
    others = list(COMPARATORS) if against is None else list(against)
    names = structure_names(deal, structures)
    structure_names(deal, [each for each in others if each not in COMPARATORS])
    question = _Question(deal, seed, names, others, budget, sampling)
    workers = min(threads or available_threads(), -(-draws // BLOCK))
    _insist_on_room(question, draws, workers)
    total = _Total(draws, question.shared.randomised)
    with contextlib.closing(in_blocks(question.block, draws, workers)) as blocks:
        for start, done in blocks:
            total.add(start, done, progress)
    data = header(deal, seed, draws) | {
        "sampling": sampling,
        "engine": "people" if question.plan.people else "aggregate",
    }
    data |= _report(question, total)
    data["environment"] = environment()
    data["elapsed"] = time.perf_counter() - begun
    return data


# ---------------------------------------------------------------------------------------------------------------
# One block of draws
# ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Done:
    """A finished block: what is summarised with quantiles, what is only averaged, counts, and pairs for ratios."""

    number: int
    series: dict[Label, tuple[Floats, Floats]]
    moments: dict[Label, Floats]
    events: dict[Label, NDArray[np.bool_]]
    pairs: dict[Label, Floats]


@dataclass
class _Columns:
    """Per-draw values of a block by label, before they are reduced."""

    number: int
    randomised: bool
    series: dict[Label, Floats] = field(default_factory=dict)
    means: dict[Label, Floats] = field(default_factory=dict)
    events: dict[Label, NDArray[np.bool_]] = field(default_factory=dict)
    pairs: dict[Label, tuple[Floats, Floats]] = field(default_factory=dict)

    def chance(self, label: Label, happened: Any) -> None:
        """Note the draws in which something happened."""
        self.events[label] = happened

    def reduce(self) -> _Done:
        """Moments of every column, in this thread."""
        summed = _moments(list(self.series.values()), self.randomised)
        pairs = {}
        for label, both in self.pairs.items():
            x, y = (np.ascontiguousarray(each.reshape(-1, 1)) for each in both)
            pairs[label] = metrics.pair_moments(x, y, self.randomised)[0]
        return _Done(
            self.number,
            {label: (each, summed[i]) for i, (label, each) in enumerate(self.series.items())},
            dict(zip(self.means, _moments(list(self.means.values()), self.randomised), strict=True)),
            self.events,
            pairs,
        )


def _moments(columns: list[Floats], randomised: bool) -> Floats:
    return metrics.column_moments(np.stack(columns, axis=1), randomised) if columns else np.zeros((0, 3))


class _Question:
    """What the blocks of one comparison share."""

    def __init__(
        self, deal: Deal, seed: int, names: list[str], others: list[str], budget: bool, sampling: str = "plain"
    ) -> None:
        self.deal, self.names, self.others, self.budget = deal, names, others, budget
        self.twins = {} if WITHOUT_INVESTORS not in others else _without_investors(deal, names)
        added = {
            twin: deal.structures[name].model_copy(update={"finance": "none", "service_agreement": None})
            for name, twin in self.twins.items()
        }
        wider = deal.model_copy(update={"structures": deal.structures | added})
        self.plan = compile_plan(wider)
        self.fee = CONVENTIONAL if CONVENTIONAL in deal.structures else None
        settled = [*names, *(each for each in others if each in deal.structures), *self.twins.values()]
        settled += [self.fee] if self.fee else []
        self.settled = list(dict.fromkeys(settled))
        self.shared = Simulation(self.plan, seed, self.settled, sampling=sampling, suits=list(deal.structures))
        self.savings, self.social = list(deal.savings or {}), list(deal.social_value or {})
        self.bodies = list(dict.fromkeys(each.to for each in (deal.savings or {}).values()))
        self.valued = bool(self.savings or self.social)
        self.last_of_year = [
            int(np.flatnonzero(self.plan.calendar.year == y).max()) for y in range(len(self.plan.years))
        ]
        self.promises = {name: _promises(self.plan, name) for name in self.settled}

    def comparator(self, name: str, other: str) -> str | None:
        """Name of the settled structure that a comparator is, "" for nothing; None where there is none."""
        if other == NOTHING:
            return ""
        if other == WITHOUT_INVESTORS:
            return self.twins.get(name)
        return other if other in self.deal.structures and other != name else None

    def payers(self, name: str) -> dict[str, float]:
        """Shares of the payers of a settled structure; none of nothing, or where a structure's pay by other rules."""
        if not name or any(self.plan.payer_names[each] for each in self.settled):
            return {}
        return self.plan.payers[name]

    def block(self, start: int, number: int) -> _Done:
        """Play one block of draws under every structure and take the differences."""
        values, _ = self.shared.values(start, number)
        sides = {name: self._empty(number) for name in self.settled}
        for low in range(0, number, self.shared.chunk):
            high = min(low + self.shared.chunk, number)
            alike = self.shared.outcomes(start + low, values[low:high])
            for name in self.settled:
                part = {key: each[low:high] for key, each in sides[name].items()}
                self._play(name, start + low, values[low:high], alike, part)
        nothing = {key: np.zeros_like(each) for key, each in sides[self.settled[0]].items()}
        columns = _Columns(number, self.shared.randomised)
        for name in self.names:
            side = sides[name]
            self._alone(columns, name, side)
            for other in self.others:
                theirs = self.comparator(name, other)
                if theirs is not None:
                    self._against(columns, name, other, side, sides.get(theirs, nothing), theirs)
            if self.fee and name != self.fee:
                self._cost_of_the_bond(columns, name, start, side, sides[self.fee])
                self._risk(columns, name, values, side, sides[self.fee])
        return columns.reduce()

    def _empty(self, number: int) -> Arrays:
        plan = self.plan
        outcomes, years, worths = len(plan.outcome_names), len(plan.years), len(plan.worths)
        return {
            "found": np.empty((number, book_of.METRICS)),
            "years": np.empty((number, years)),
            "totals": np.empty((number, outcomes, 4)),
            "worth": np.empty((number, worths)),
            "cashable": np.empty((number, len(self.savings))),
            "saved": np.empty((number if self.budget else 0, worths, years + 1)),
            "owed": np.empty((number if self.budget else 0, years)),
        }

    def _play(self, name: str, start: int, values: Floats, alike: Any, part: Arrays) -> None:
        plan, shared = self.plan, self.shared
        out, stops, _, capped = shared.outcomes_under(name, start, values, alike)
        met = np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64)
        part["found"][:], _, _, part["years"][:] = shared.settle(name, values, out, stops, capped, met)
        broken = part["found"][:, book_of.BROKEN]
        if broken.any():
            draw = start + int(np.argmax(broken != 0))
            raise DefectError(f"the accounts of {name!r} do not balance in draw {draw} (rule {broken.max():.0f})")
        counted = part["found"][:, book_of.STOP_AT].astype(np.int64)
        worth.additional_worth(
            values,
            plan.worths,
            plan.outcomes,
            plan.blocks,
            plan.calendar,
            out,
            counted,
            part["totals"],
            part["worth"],
            part["saved"],
        )
        for j in range(len(self.savings)):
            part["cashable"][:, j] = part["worth"][:, j] * values[:, plan.worths[j]["cashable_at"]]
        if self.budget:
            for y, last in enumerate(self.last_of_year):
                *_, cash = shared.settle(name, values, out, np.minimum(stops, last), capped, met)
                part["owed"][:, y] = cash[:, y + 1 :].sum(axis=1)

    # -- what is kept of a draw ---------------------------------------------------------------------------------

    def saved(self, side: Arrays, body: str | None = None) -> Floats:
        """Present value of the savings of one public body, or of all."""
        rows = [j for j, each in enumerate((self.deal.savings or {}).values()) if body in {None, each.to}]
        return _sum_of(side["worth"], rows)

    def cashable(self, side: Arrays) -> Floats:
        """Present value of the cashable savings of all public bodies."""
        return _sum_of(side["cashable"], list(range(len(self.savings))))

    def social_value(self, side: Arrays) -> Floats:
        """Present value of the social value."""
        return _sum_of(side["worth"], list(range(len(self.savings), len(self.plan.worths))))

    def net_benefit(self, side: Arrays) -> Floats:
        """Savings and social value less the payers' cost, present value."""
        return self.saved(side) + self.social_value(side) - side["found"][:, book_of.COST_PV]

    def _alone(self, columns: _Columns, name: str, side: Arrays) -> None:
        found = side["found"]
        series, means = columns.series, columns.means
        series[name, "cost"] = found[:, book_of.COST_PV]
        series[name, "cash_cost"] = found[:, book_of.COST]
        series[name, "surplus"] = found[:, book_of.SURPLUS]
        series[name, "lowest_cash"] = found[:, book_of.LOWEST_CASH]
        series[name, "lowest_cash_after"] = found[:, book_of.LOWEST_AT]
        columns.chance((name, "deficit"), found[:, book_of.SURPLUS] < -_PENNY)
        columns.pairs[name, "deadweight"] = found[:, book_of.REAL_PAYMENTS], found[:, book_of.COUNTED_PAYMENTS]
        for o, outcome in enumerate(self.plan.outcome_names):
            totals = side["totals"][:, o]
            means[name, "additional", outcome] = totals[:, worth.MORE]
            columns.chance((name, "additional", outcome), totals[:, worth.MORE] > 0.0)
            columns.pairs[name, "real", outcome] = totals[:, worth.PAYABLE], totals[:, worth.ACCEPTED]
            columns.pairs[name, "accepted", outcome] = totals[:, worth.ACCEPTED], totals[:, worth.HAPPENED]
        if self.valued:
            series[name, "savings"] = self.saved(side)
            series[name, "cashable"] = self.cashable(side)
            series[name, "social_value"] = self.social_value(side)
            series[name, "net_benefit"] = self.net_benefit(side)
            benefit = self.saved(side) + self.social_value(side)
            columns.pairs[name, "benefit_cost"] = benefit, found[:, book_of.COST_PV]
            for j in range(len(self.plan.worths)):
                means[name, "worth", j] = side["worth"][:, j]
                columns.chance((name, "worth", j), side["worth"][:, j] != 0.0)
            for body in self.bodies:
                means[name, "saved", body] = self.saved(side, body)
        if self.budget:
            for y in range(len(self.plan.years)):
                series[name, "year", y] = side["years"][:, y]
                series[name, "owed", y] = side["owed"][:, y]
            for y in range(len(self.plan.years) + 1):
                for body in self.bodies:
                    rows = [j for j, each in enumerate((self.deal.savings or {}).values()) if each.to == body]
                    means[name, "saved in", body, y] = _sum_of(side["saved"][:, :, y], rows)
                rows = list(range(len(self.savings)))
                means[name, "saved in", PUBLIC, y] = _sum_of(side["saved"][:, :, y], rows)

    def _against(
        self, columns: _Columns, name: str, other: str, ours: Arrays, theirs: Arrays, theirs_name: str
    ) -> None:
        here: Label = (name, "against", other)
        cost = ours["found"][:, book_of.COST_PV] - theirs["found"][:, book_of.COST_PV]
        more = ours["totals"][:, :, worth.MORE] - theirs["totals"][:, :, worth.MORE]
        as_many = more.sum(axis=1) >= -1e-9
        columns.series[*here, "cost"] = cost
        columns.means[*here, "cash_cost"] = ours["found"][:, book_of.COST] - theirs["found"][:, book_of.COST]
        columns.chance((*here, "other outcomes"), (np.abs(more) > 1e-9).any(axis=1))
        columns.chance((*here, "cheaper with as many"), (cost < -_PENNY) & as_many)
        columns.chance((*here, "cheaper with fewer"), (cost < -_PENNY) & ~as_many)
        for o, outcome in enumerate(self.plan.outcome_names):
            columns.means[*here, "additional", outcome] = more[:, o]
        benefit = self.saved(ours) + self.social_value(ours) - self.saved(theirs) - self.social_value(theirs)
        columns.series[*here, "net_benefit"] = benefit - cost
        columns.chance((*here, "better"), benefit - cost > _PENNY)
        columns.means[*here, "savings"] = self.saved(ours) - self.saved(theirs)
        columns.means[*here, "social_value"] = self.social_value(ours) - self.social_value(theirs)
        surplus = ours["found"][:, book_of.SURPLUS] - theirs["found"][:, book_of.SURPLUS]
        columns.series[*here, "surplus"] = surplus
        columns.series[*here, "lowest_cash"] = (
            ours["found"][:, book_of.LOWEST_CASH] - theirs["found"][:, book_of.LOWEST_CASH]
        )
        for label, column in self._apart(theirs).items():
            columns.means[*here, "theirs", *label] = column
        mine, yours = self.payers(name), self.payers(theirs_name)
        for payer in dict.fromkeys([*mine, *yours]):
            its_cost = (
                mine.get(payer, 0.0) * ours["found"][:, book_of.COST_PV]
                - yours.get(payer, 0.0) * theirs["found"][:, book_of.COST_PV]
            )
            its_savings = self.saved(ours, payer) - self.saved(theirs, payer)
            columns.means[*here, "payer", payer, "cost_difference"] = its_cost
            columns.means[*here, "payer", payer, "savings_difference"] = its_savings
            columns.means[*here, "payer", payer, "net_difference"] = its_savings - its_cost

    def _apart(self, side: Arrays) -> dict[Label, Floats]:
        """What is compared of one side, by label: for the errors that differences would have unpaired."""
        found: dict[Label, Floats] = {("cost",): side["found"][:, book_of.COST_PV]}
        found |= {("savings",): self.saved(side), ("net_benefit",): self.net_benefit(side)} if self.valued else {}
        totals = side["totals"][:, :, worth.MORE]
        return found | {("additional", each): totals[:, o] for o, each in enumerate(self.plan.outcome_names)}

    def _cost_of_the_bond(self, columns: _Columns, name: str, start: int, ours: Arrays, fee: Arrays) -> None:
        a, b = _parts(ours["found"]), _parts(fee["found"])
        parts = {key: a[key] - b[key] for key in a}
        whole = ours["found"][:, book_of.COST_PV] - fee["found"][:, book_of.COST_PV]
        scale = 1.0 + np.abs(ours["found"][:, book_of.COST_PV]) + np.abs(fee["found"][:, book_of.COST_PV])
        for key in ("outside_capital", "paying_on_outcomes"):
            scale += np.abs(a[key]) + np.abs(b[key])
        off = np.abs(sum(parts.values()) - whole) > 1e-9 * scale
        if off.any():
            draw = start + int(np.argmax(off))
            raise DefectError(f"the parts of the cost of {name!r} do not add up in draw {draw}")
        for key, part in parts.items():
            columns.means[name, "cost_of_the_bond", key] = part

    def _risk(self, columns: _Columns, name: str, values: Floats, ours: Arrays, fee: Arrays) -> None:
        if not self.promises[name]:
            return
        effective = parameters.as_effective(self.plan, name, values)
        rows = values if effective is None else effective
        below = np.zeros(values.shape[0], np.bool_)
        for sign, effect_at, promised_at in self.promises[name]:
            below |= sign * (rows[:, effect_at] - rows[:, promised_at]) < -1e-12
        saved = fee["found"][:, book_of.PAYMENTS_PV] - ours["found"][:, book_of.PAYMENTS_PV]
        columns.chance((name, "below promise"), below)
        columns.series[name, "risk_transferred"] = np.where(below, saved, np.nan)
        columns.series[name, "premium_paid"] = np.where(below, np.nan, -saved)


def _sum_of(table: Floats, columns: list[int]) -> Floats:
    total: Floats = np.zeros(table.shape[0])
    for j in columns:  # one after another, so that a draw's bits do not depend on its neighbours
        total = total + table[:, j]
    return total


def _parts(found: Floats) -> Arrays:
    """Where the payers' cost goes, present values by draw; they add up to the cost."""
    own = found[:, book_of.COST_PV] - found[:, book_of.PAYMENTS_PV]
    return {
        "paying_on_outcomes": found[:, book_of.SERVICE_PV],
        "outside_capital": found[:, book_of.CAPITAL_PV],
        "set_up_and_evaluation": found[:, book_of.OTHERS_PV] + own,
    }


def _without_investors(deal: Deal, names: list[str]) -> dict[str, str]:
    """Names for the structures that do without the investors of others; none where the contract rests on them."""
    twins = {}
    for name in names:
        structure = deal.structures[name]
        if isinstance(structure.finance, Finance) and not rests_on_money(deal, structure):
            twin = f"{name}, {WITHOUT_INVESTORS}"
            while twin in deal.structures:
                twin += "'"
            twins[name] = twin
    return twins


def paid_outcomes(deal: Deal, structure: str) -> list[str]:
    """Outcomes that the clauses of a structure read, in the file's order of clauses."""
    read: list[str] = []
    for clause in deal.structures[structure].pays.values():
        read += [measure.outcome for name in clause.reads for measure in singles(deal, name)]
    return list(dict.fromkeys(read))


def _promises(plan: Plan, name: str) -> list[tuple[float, int, int]]:
    """Of each paid outcome with a promise: the sign of better, and the columns of its effect and of the promise."""
    at = {column.path: i for i, column in enumerate(plan.columns)}
    found = []
    for outcome in paid_outcomes(plan.deal, name):
        promised = at.get(("outcomes", outcome, "promised_effect"))
        if promised is not None:
            row = plan.outcomes[plan.outcome_names.index(outcome)]
            found.append((float(row["better"]), int(row["effect_at"]), promised))
    return found


# ---------------------------------------------------------------------------------------------------------------
# Adding up
# ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Total:
    """What the blocks add up to, in order."""

    draws: int
    randomised: bool
    series: dict[Label, Series] = field(default_factory=dict)
    means: dict[Label, Moments] = field(default_factory=dict)
    events: dict[Label, Successes] = field(default_factory=dict)
    pairs: dict[Label, CoMoments] = field(default_factory=dict)

    def add(self, start: int, done: _Done, progress: Callable[[int, int], None] | None) -> None:
        """Add a block."""
        for label, (column, moments) in done.series.items():
            self.series.setdefault(label, Series(self.draws, KEPT, self.randomised)).add(start, column, moments)
        for label, row in done.moments.items():
            self.means.setdefault(label, Moments()).merge(Moments.of_row(row))
        for label, happened in done.events.items():
            self.events.setdefault(label, Successes(self.randomised)).add(happened)
        for label, row in done.pairs.items():
            self.pairs.setdefault(label, CoMoments()).merge(CoMoments.of_row(row))
        if progress is not None:
            progress(min(start + BLOCK, self.draws), self.draws)

    def summary(self, *label: str | int) -> dict[str, Any]:
        """Return the summary S of the interface."""
        return self.series[label].summary()

    def mean(self, *label: str | int) -> Any:
        """Return the estimate E of the interface."""
        return self.means[label].estimate()

    def probability(self, *label: str | int) -> Any:
        """Return the probability P of the interface."""
        return self.events[label].probability()


def _insist_on_room(question: _Question, draws: int, workers: int) -> None:
    plan, structures = question.plan, len(question.settled)
    years, worths, outcomes = len(plan.years), len(plan.worths), len(plan.outcome_names)
    series = len(question.names) * (10 + 4 * len(question.others) + (2 * years if question.budget else 0))
    row = len(plan.columns) + structures * (
        book_of.METRICS + years + 5 * outcomes + worths + (years * (worths + 2) if question.budget else 0)
    )
    scratch = question.shared.chunk * question.shared.values_a_draw
    kept = min(draws, KEPT) * (series + 1)
    needed = int(200e6 + 8 * (kept + 3 * workers * BLOCK * (row + series) + 3 * workers * scratch))
    free = available_bytes()
    if free is not None and needed > free:
        raise TooLargeError(
            f"{draws:,} draws need about {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free; "
            "allowed: fewer draws, structures or threads"
        )


# ---------------------------------------------------------------------------------------------------------------
# The answers by their names
# ---------------------------------------------------------------------------------------------------------------


def _report(question: _Question, total: _Total) -> dict[str, Any]:
    deal = question.deal
    return {
        "warnings": _warnings(question),
        "present_value": {
            "rate": deal.rates.payer.text(),
            "inflation": deal.rates.inflation.text(),
            "base": "nominal money",
            "date": deal.time.date(0),
        },
        "structures": {name: _structure(question, total, name) for name in question.names},
    }


def _warnings(question: _Question) -> list[str]:
    lines = []
    if not question.valued:
        lines.append(
            "the file values no outcome (no savings, no social_value): a net benefit is known only where both sides "
            "have the same outcomes"
        )
    if CONVENTIONAL in question.others and question.fee is None:
        lines.append("there is no structure called conventional; nothing is compared with it")
    return lines


def _structure(question: _Question, total: _Total, name: str) -> dict[str, Any]:
    plan = question.plan
    bond = {
        key: total.mean(name, "cost_of_the_bond", key)
        for key in ("paying_on_outcomes", "outside_capital", "set_up_and_evaluation")
        if (name, "cost_of_the_bond", key) in total.means
    }
    risk = (name, "below promise") in total.events
    answers: dict[str, Any] = {
        "cost": total.summary(name, "cost"),
        "cash_cost": total.summary(name, "cash_cost"),
        "additional_outcomes": {each: total.mean(name, "additional", each) for each in plan.outcome_names},
        "deadweight_share": _deadweight(total, name),
        "savings": _savings(question, total, name),
        "social_value": total.summary(name, "social_value") if question.social else None,
        "net_benefit": total.summary(name, "net_benefit") if question.valued else None,
        "benefit_cost_ratio": _ratio(total, name, "benefit_cost") if question.valued else None,
        "against": {other: _against(question, total, name, other) for other in question.others},
        "cost_of_the_bond": bond or None,
        "probability_below_promise": total.probability(name, "below promise") if risk else None,
        "risk_transferred": total.summary(name, "risk_transferred") if risk else None,
        "premium_paid": total.summary(name, "premium_paid") if risk else None,
        "provider": _provider(question, total, name),
        "three_ms": _three_ms(question, total, name),
    }
    if question.budget:
        answers["budget"] = _budget(question, total, name)
    return answers


def _deadweight(total: _Total, name: str) -> dict[str, Any] | None:
    pairs = total.pairs[name, "deadweight"]
    if pairs.count == 0 or pairs.mean_y <= 0.0:
        return None
    real, error = pairs.ratio()
    return dict(metrics.estimate(1.0 - real, error))


def _ratio(total: _Total, *label: str) -> dict[str, Any] | None:
    pairs = total.pairs[label]
    known = pairs.count > 1 and pairs.mean_y > 0.0
    return dict(pairs.estimate()) if known else None


def _savings(question: _Question, total: _Total, name: str) -> dict[str, Any] | None:
    if not question.savings:
        return None
    return {
        "total": total.summary(name, "savings"),
        "cashable": total.summary(name, "cashable"),
        "by_body": {body: total.mean(name, "saved", body) for body in question.bodies},
        "by_saving": {
            each: total.mean(name, "worth", j) | {"counted_in": total.probability(name, "worth", j)}
            for j, each in enumerate(question.savings)
        },
    }


def _against(question: _Question, total: _Total, name: str, other: str) -> dict[str, Any] | None:
    theirs = question.comparator(name, other)
    if theirs is None:
        return None
    here = (name, "against", other)
    known = question.valued or total.events[*here, "other outcomes"].successes == 0
    payers = dict.fromkeys([*question.payers(name), *question.payers(theirs)])
    keys = ("cost_difference", "savings_difference", "net_difference")
    return {
        "cost_difference": total.summary(*here, "cost"),
        "cash_cost_difference": total.mean(*here, "cash_cost"),
        "additional_outcomes_difference": {
            each: total.mean(*here, "additional", each) for each in question.plan.outcome_names
        },
        "savings_difference": total.mean(*here, "savings") if question.savings else None,
        "social_value_difference": total.mean(*here, "social_value") if question.social else None,
        "net_benefit_difference": total.summary(*here, "net_benefit") if known else None,
        "probability_better_value": total.probability(*here, "better") if known else None,
        "probability_cheaper_with_as_many_outcomes": total.probability(*here, "cheaper with as many"),
        "probability_cheaper_with_fewer_outcomes": total.probability(*here, "cheaper with fewer"),
        "payers": {payer: {key: total.mean(*here, "payer", payer, key) for key in keys} for payer in payers},
        "provider": {
            "surplus_difference": total.summary(*here, "surplus"),
            "lowest_cash_difference": total.summary(*here, "lowest_cash"),
        },
        "errors": _errors(question, total, name, other, known),
    }


def _errors(question: _Question, total: _Total, name: str, other: str, known: bool) -> dict[str, Any]:
    """Errors of the differences, paired draw by draw as they are, and as independent seeds would give them."""
    here: Label = (name, "against", other)

    def both(*label: str) -> dict[str, Any]:
        ours: Label = (name, *label)
        one = total.means[ours].estimate() if ours in total.means else total.summary(*ours)
        two = total.mean(*here, "theirs", *label)
        difference: Label = (*here, *label)
        paired = total.means[difference].estimate() if difference in total.means else total.summary(*difference)
        a, b = one["standard_error"], two["standard_error"]
        apart = None if a is None or b is None else math.hypot(a, b)
        return {"paired": paired["standard_error"], "unpaired": apart}

    return {
        "cost_difference": both("cost"),
        "savings_difference": both("savings") if question.savings else None,
        "net_benefit_difference": both("net_benefit") if known and question.valued else None,
        "additional_outcomes_difference": {each: both("additional", each) for each in question.plan.outcome_names},
    }


def _provider(question: _Question, total: _Total, name: str) -> dict[str, Any]:
    fee = (name, "against", CONVENTIONAL, "surplus") in total.series
    return {
        "surplus": total.summary(name, "surplus"),
        "probability_of_deficit": total.probability(name, "deficit"),
        "lowest_cash": total.summary(name, "lowest_cash"),
        "years_until_lowest_cash": total.summary(name, "lowest_cash_after"),
        "against_a_fee": {
            "surplus_difference": total.summary(name, "against", CONVENTIONAL, "surplus"),
            "lowest_cash_difference": total.summary(name, "against", CONVENTIONAL, "lowest_cash"),
        }
        if fee
        else None,
    }


def _three_ms(question: _Question, total: _Total, name: str) -> dict[str, Any]:
    found = {}
    paid = paid_outcomes(question.deal, name)
    for outcome in paid:
        compared = three_ms.difference_paid(question.deal, name, outcome)
        real: tuple[float, float] | None = None
        if compared is None:
            pairs = total.pairs[name, "real", outcome]
            real = pairs.ratio() if pairs.mean_y > 0.0 else None
        elif len(paid) == 1:
            pairs = total.pairs[name, "deadweight"]
            real = pairs.ratio() if pairs.mean_y > 0.0 else None
        more = total.events[name, "additional", outcome]
        accepted = total.pairs[name, "accepted", outcome]
        found[outcome] = three_ms.grades(
            question.deal,
            outcome,
            compared,
            real_share=None if real is None else real[0],
            chance_of_more=more.successes / more.draws,
            accepted=accepted.ratio()[0] if accepted.mean_y > 0.0 else None,
        )
    return found


def _budget(question: _Question, total: _Total, name: str) -> dict[str, Any]:
    plan = question.plan
    most, reason = budget_of.contractual_maximum(plan, name)
    whole, reason_of_whole = budget_of.contractual_maximum(plan, name, whole=True)
    rows = {}
    for payer, share in [*question.payers(name).items(), (PUBLIC, 1.0)]:
        years = []
        for y, label in enumerate(plan.years):
            cash, owed = total.summary(name, "year", y), total.summary(name, "owed", y)
            years.append(
                {
                    "year": label,
                    "expected": _share_of(cash, share),
                    "p50": share * cash["p50"],
                    "p95": share * cash["p95"],
                    "contractual_maximum": _part(most[y], share),
                    "slippage": share * (cash["p95"] - cash["mean"]),
                    "cashable_savings": _saved_in(question, total, name, payer, y),
                    "commitment_if_terminated": {
                        "expected": _share_of(owed, share),
                        "p95": share * owed["p95"],
                    },
                }
            )
        cash = total.summary(name, "cash_cost")
        rows[payer] = {
            "share": share,
            "years": years,
            "all_years": {
                "expected": _share_of(cash, share),
                "p50": share * cash["p50"],
                "p95": share * cash["p95"],
                "contractual_maximum": _part(whole[0], share),
            },
            "cashable_savings_after_the_last_year": _saved_in(question, total, name, payer, len(plan.years)),
        }
    return {"no_maximum_because": reason or reason_of_whole, "payers": rows}


def _share_of(summary: dict[str, Any], share: float) -> dict[str, Any]:
    error = summary["standard_error"]
    return {"value": share * summary["mean"], "standard_error": None if error is None else share * error}


def _part(amount: float | None, share: float) -> float | None:
    return None if amount is None else share * amount


def _saved_in(question: _Question, total: _Total, name: str, body: str, y: int) -> Any:
    if not question.savings:
        return None
    label = (name, "saved in", body, y)
    return total.mean(*label) if label in total.means else metrics.estimate(0.0, 0.0)


def rows(data: dict[str, Any]) -> Iterator[tuple[str, str, str, str, Any, Any]]:
    """Yield long rows: structure, party, metric, statistic, value, standard_error; the metric is a dotted path."""
    for name, answers in data["structures"].items():
        for key, found in answers.items():
            yield from _flat(name, key, "", found)


def _flat(structure: str, party: str, metric: str, found: Any) -> Iterator[tuple[str, str, str, str, Any, Any]]:
    if not isinstance(found, (dict, list)):
        above, _, last = metric.rpartition(".")
        yield structure, party, above, last or "value", found, None
        return
    if isinstance(found, list):
        for each in found:
            label = f"{metric}.{each['year']}" if metric else str(each["year"])
            yield from _flat(structure, party, label, {key: value for key, value in each.items() if key != "year"})
        return
    error = found.get("standard_error")
    for key, each in found.items():
        if key in {"standard_error", "interval", "intervals"}:
            continue
        if key in {"mean", "value", "probability"} and not isinstance(each, dict):
            yield structure, party, metric, key, each, error
        else:
            yield from _flat(structure, party, f"{metric}.{key}" if metric else key, each)
