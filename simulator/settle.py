"""What each payment structure pays for observed results; no simulation.

Results are laid out twice, once for the readable twin and once for the kernels; both are played and must agree. Every
number that the results do not give stands at its mean, and costs follow the expected path.

Where results are incomplete, nothing is guessed in silence:

- `not_yet_due`: a clause waits for cohorts that have no result and are not stated never to have run (size 0). A pooled
  measure speaks for the cohorts that ran, so it settles a pooled clause once the file says of the others that they did
  not run (or names every cohort).
- `not_applied`: a rule that the results cannot feed. `payments_are` says what that makes of the total: "at most"
  where a rule could only lower it (a cap per person that may bind), else "at least" where a clause without results
  could add to it, else "exact". Where both are so, it is "at most" of what the given results earn.
- `assumed`: what was put in for what the results lack (sizes, dates, a level).
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import outcomes as o_
from simulator.clauses import EACH_PARTICIPANT, new_tally, settle_persons
from simulator.deal import (
    ACCOUNT,
    INVESTORS,
    MANAGER,
    PARTICIPANTS,
    Clause,
    Deal,
    Finance,
    Measure,
    Month,
    Worded,
    by_referral_period,
    leaves,
    measure_of,
    outcome_names,
    outcome_of,
    outcomes_read,
    quantity_of,
    rests_on_money,
    structure_names,
)
from simulator.draws import settle_draws
from simulator.fund import CARRY, FEES, NET
from simulator.ledger import BROKEN, INVESTOR, METRICS, OF_PAYER, PAID, PAYMENTS, Book, planned_costs
from simulator.observed import BEFORE, COMPARISON, Observed, Row, is_yes_or_no, problems, read
from simulator.outcomes import Outcomes, date_outcomes, refer_people
from simulator.parameters import row_by_path
from simulator.plan import Plan, compile_plan, so_far_label
from simulator.quantity import parse
from simulator.reference import Block, Happened, Ledger, limited, meets, play
from simulator.run import NO_FLAGS, DefectError, environment, header, new_book_of, record_type
from simulator.yamlfile import DealError, join_path

Floats = NDArray[np.float64]
Path = tuple[str | int, ...]
Scope = str | None
"""A cohort, or None for all cohorts that ran."""

_AGREE = 1e-9
_INVESTOR_METRICS = (
    "irr",
    "multiple",
    "multiple_on_committed",
    "multiple_on_peak",
    "net_present_value",
    "payback",
    "peak_funding_need",
    "called",
    "distributed",
)


def settle(deal: Deal, results: str | FilePath | Observed, structures: Sequence[str] | None = None) -> dict[str, Any]:
    """Settle payment structures for observed results.

    Parameters
    ----------
    deal
        As :func:`simulator.load` returns it.
    results
        A results file (see :mod:`simulator.observed`), or what was read from one.
    structures
        Names of payment structures, or None for all.

    Returns
    -------
    dict
        The JSON of `sib settle`.

    Raises
    ------
    DealError
        With every mistake of the results.
    KeyError
        For an unknown structure.
    DefectError
        If the twin and the kernels disagree; a defect of ours.
    """
    begun = time.perf_counter()
    names = structure_names(deal, structures)
    observed = results if isinstance(results, Observed) else read(results, deal)
    found = problems(observed, deal)
    if found:
        raise DealError(found)
    facts = _Facts(deal, observed)
    readings = {name: _Reading(facts, name) for name in names}
    played = _playable(deal, readings)
    plan = compile_plan(played)
    worlds: dict[bool, list[Block]] = {}
    answers = {}
    for name, reading in readings.items():
        by_person = reading.per_person == "applied"
        if by_person not in worlds:
            worlds[by_person] = _blocks(facts, plan, by_person=by_person)
        ledger, again = _played_twice(plan, name, facts, reading, worlds[by_person], by_person)
        if reading.rests_on_actual_money:
            ledger = again()
        answers[name] = _answer(facts, reading, ledger, again)
    return header(deal, None, None) | {
        "environment": environment(),
        "elapsed": time.perf_counter() - begun,
        "warnings": facts.warnings(),
        "structures": answers,
    }


# ----------------------------------------------------------------------------------------------------
# What the results say, by cohort
# ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Achieved:
    """One participant's outcome; `day` and `period` are None where no date is given."""

    outcome: str
    day: int | None
    period: int | None
    number: float


class _Facts:
    """Results in sums: people, outcomes by period, comparison arms and published measures."""

    def __init__(self, deal: Deal, observed: Observed) -> None:
        self.deal, self.observed, self.T = deal, observed, deal.time.periods
        self.expected = {leaf.path: quantity_of(deal, leaf.quantity).mean() for leaf in leaves(deal)}
        self.stop = None if observed.ended is None else self.period(observed.ended)
        self.assumed: list[str] = []
        self.totals: defaultdict[tuple[str, str], list[tuple[int | None, float]]] = defaultdict(list)
        self.persons: dict[str, dict[str, list[_Achieved]]] = {name: {} for name in deal.cohorts}
        self.arms: dict[tuple[str, str], tuple[float, float]] = {}
        self.before: dict[tuple[str, str], float] = {}
        self.published: dict[tuple[str, Scope], float] = {}
        self.known_at: dict[tuple[str, Scope], int] = {}
        """Period in which a measure was published, by outcome."""
        self.never = {row.cohort for row in observed.rows if _says_never(row) and row.cohort is not None}
        self._never_by_the_end()
        too_late: defaultdict[str, float] = defaultdict(float)
        for row in observed.rows:
            self._add(row, too_late)
        self.raw = self._sums()
        self.with_results = {cohort for _, cohort in self.raw}
        self.with_results |= {cohort for _, cohort in self.published if cohort is not None}
        self.named = {row.cohort for row in observed.rows if row.cohort is not None} | self.never
        self.people = self._people()
        for cohort, number in too_late.items():
            self.assumed.append(f"{number:g} outcomes of {cohort} are dated after its last claim and are not counted")
        self._say_dates()

    def period(self, day: datetime.date) -> int:
        """Period of the deal that holds a day."""
        return self.deal.time.period(Month(day.year, day.month))

    @property
    def ran(self) -> list[str]:
        """Cohorts that are not stated never to have run."""
        return [cohort for cohort in self.deal.cohorts if cohort not in self.never]

    @property
    def names_all(self) -> bool:
        """Whether the results say of which cohorts a pooled measure speaks: they name all, or those that never ran."""
        return bool(self.never) or self.named >= set(self.deal.cohorts)

    def comes_later(self, reads: Sequence[str], cohorts: Iterable[str]) -> str:
        """Say by when what is missing of some measures is planned to be known, if that is after all that was given.

        Empty where an outcome is missing that is planned to be known no later than another of its cohort that is there.
        """
        last = ""
        for cohort in cohorts:
            given = {outcome for outcome, where in self.raw if where == cohort}
            given |= _outcomes(self.deal, [name for name, where in self.published if where in {cohort, None}])
            lacking = _outcomes(self.deal, reads) - given
            if not lacking:
                continue
            upto = max((self._months_after(outcome) for outcome in given), default=math.inf)
            if min(map(self._months_after, lacking)) <= upto:
                return ""
            months = max(map(self._months_after, lacking))
            referred = self.deal.time.period(self.deal.cohorts[cohort].referred.last)
            period = referred + max(0, math.ceil(months / self.deal.time.months - 0.5 - 1e-9))
            last = max(last, self.deal.time.date(min(period, self.T)))
        return last

    def _months_after(self, name: str) -> float:
        """Months from referral until an outcome is planned to be known."""
        outcome, step = outcome_of(self.deal, name)
        for key, each in self.deal.outcomes.items():
            if step is not None and each.steps and name in each.steps:
                own = self.expected["outcomes", key, "steps", name, "after"]
                return own + (0.0 if step.follows in {None, "referral"} else self._months_after(str(step.follows)))
        own = self.expected["outcomes", name, "known_after"]
        return own if outcome.of_those is None else max(own, self._months_after(outcome.of_those))

    def claim(self, cohort: str) -> float:
        """Period of the last claim of a cohort, or infinity."""
        last = self.deal.cohorts[cohort].last_claim
        return math.inf if last is None else self.deal.time.period(last)

    def _never_by_the_end(self) -> None:
        if self.stop is None:
            return
        given = {row.cohort for row in self.observed.rows if row.value is not None}
        for name, cohort in self.deal.cohorts.items():
            if name in self.never:
                continue
            if self.deal.time.period(cohort.referred.first) > self.stop:
                self.never.add(name)
                self.assumed.append(f"{name} never ran: the deal ended before its first referral")
            elif cohort.if_cut_short == "does not run" and self.deal.time.period(cohort.referred.last) > self.stop:
                self.never.add(name)
                dropped = "; its results are not counted" if name in given else ""
                self.assumed.append(f"{name} does not run, since the end of the deal cut it short{dropped}")

    def _add(self, row: Row, too_late: defaultdict[str, float]) -> None:
        period = row.period if row.day is None else self.period(row.day)
        if row.value is None or row.cohort in self.never:
            return
        if row.measure is not None:
            self.published[row.measure, row.cohort] = row.value
            if period is not None:
                for outcome in _outcomes(self.deal, [row.measure]):
                    key = (outcome, row.cohort)
                    self.known_at[key] = max(period, self.known_at.get(key, 0))
            return
        if row.outcome is None or row.cohort is None:
            return
        key = (row.outcome, row.cohort)
        if row.arm == COMPARISON:
            self.arms[key] = (self.arms.get(key, (0.0, 0.0))[0] + row.value, float(row.size or 0))
            return
        if row.arm == BEFORE:
            self.before[key] = self.before.get(key, 0.0) + row.value
            return
        counts = True
        if period is not None and period > self.claim(row.cohort):
            counts = False
            too_late[row.cohort] += row.value
        if row.participant is None:
            self.totals[key].append((period, row.value if counts else 0.0))
            return
        person = self.persons[row.cohort].setdefault(row.participant, [])
        if counts and row.value > 0:
            day = None if row.day is None else row.day.toordinal()
            if day is None and period is not None:
                day = self.last_day(period)
            person.append(_Achieved(row.outcome, day, period, row.value))

    def last_day(self, period: int) -> int:
        """Last day of a period, as a number."""
        return datetime.date.fromisoformat(self.deal.time.date(period)).toordinal()

    def _sums(self) -> dict[tuple[str, str], float]:
        sums = {key: math.fsum(number for _, number in rows) for key, rows in self.totals.items()}
        for cohort, persons in self.persons.items():
            if not persons:
                continue
            outcomes = [name for name in outcome_names(self.deal) if (name, cohort) not in self.totals]
            published = _outcomes(self.deal, [name for name, where in self.published if where == cohort])
            none = []
            for name in outcomes:
                rows = [each for person in persons.values() for each in person if each.outcome == name]
                if rows or name not in published:
                    sums[name, cohort] = float(sum(each.number for each in rows))
                if not rows and name not in published:
                    none.append(name)
            if none:
                self.assumed.append(f"no participant of {cohort} has {_listed(none)}: counted as 0")
        return sums

    def _people(self) -> dict[str, int]:
        sizes = {row.cohort: row.size for row in self.observed.rows if row.size and row.arm != COMPARISON}
        planned = {}
        for name in self.deal.cohorts:
            path = ("cohorts", name)
            number = self.expected[*path, "people"] * self.expected[*path, "referrals"]
            planned[name] = max(math.floor(number + 0.5), len(self.persons[name]))
        people = {name: 0 if name in self.never else sizes.get(name) or planned[name] for name in planned}
        lacking = [name for name in self.ran if not sizes.get(name)]
        pooled = sizes.get(None)
        if pooled is not None and lacking:
            rest = pooled - sum(people[name] for name in self.ran if name not in lacking)
            weight = sum(planned[name] for name in lacking)
            before = done = 0
            for name in lacking:
                before += planned[name]
                upto = rest * before // weight if weight else 0
                people[name], done = upto - done, upto
            self.assumed.append(f"the {pooled:,} people are spread over {_listed(lacking)} as planned")
            return people
        for name in lacking:
            self.assumed.append(f"{name}: its size is not given; the planned {planned[name]:,} people are taken")
        return people

    def warnings(self) -> list[str]:
        """List results that are possible but odd: more people with an outcome, or more participants, than people."""
        lines = []
        for (outcome, cohort), number in self.raw.items():
            if is_yes_or_no(self.deal, outcome) and number > self.people[cohort]:
                lines.append(f"{cohort}: {number:g} {outcome} are more than its {self.people[cohort]:,} people")
        for cohort, persons in self.persons.items():
            if len(persons) > self.people[cohort]:
                lines.append(
                    f"{cohort}: {len(persons):,} participants are more than its {self.people[cohort]:,} people"
                )
        return lines

    def _say_dates(self) -> None:
        undated = any(
            row.day is None and row.period is None
            for row in self.observed.rows
            if row.value is not None and row.arm not in {COMPARISON, BEFORE}
        )
        if undated:
            self.assumed.append("where a result has no date, its planned measurement date is taken")


def _says_never(row: Row) -> bool:
    return row.size == 0 and row.arm != COMPARISON


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _plain(number: float) -> str:
    """Write a number for people: 18,000 or 24.1 or 0.0625."""
    text = f"{number:,.2f}" if abs(number) >= 1 else f"{number:.6f}"
    text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


# ----------------------------------------------------------------------------------------------------
# What a structure can read from them
# ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """A measure that is known: its value, or None where the ledgers compute it from totals."""

    value: float | None = None


@dataclass(frozen=True)
class _Missing:
    """A measure that is not known, and what it needs."""

    needs: str


def _concerned(clause: Clause, cohorts: Sequence[str]) -> list[str]:
    """Cohorts for which a clause is settled."""
    return [cohort for cohort in cohorts if not clause.cohorts or cohort in clause.cohorts]


class _Reading:
    """What the clauses of one structure can read from the results, and what they cannot."""

    def __init__(self, facts: _Facts, structure: str) -> None:
        self.facts, self.deal, self.name = facts, facts.deal, structure
        self.terms = facts.deal.structures[structure]
        self.published: dict[tuple[str, Scope], float] = {}
        self.shut: defaultdict[str, set[Scope]] = defaultdict(set)
        """Clauses that cannot be evaluated, by scope."""
        self.not_yet_due: list[dict[str, str]] = []
        self.not_applied: list[dict[str, str]] = []
        self.assumed: list[str] = []
        self.planned_levels: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """Measures that rest on the planned level of a comparison arm, with the cohorts."""
        self.could_add = False
        """Whether a clause without results could add to the payments."""
        for name, clause in self.terms.pays.items():
            if clause.for_ == "all cohorts that ran":
                self._read_pooled(name, clause)
        for name, clause in self.terms.pays.items():
            if clause.for_ == "each cohort":
                self._read_each_cohort(name, clause)
            elif clause.for_ == "each participant":
                self._read_participants(name, clause)
        self.per_person = self._read_cap_per_person()
        money = facts.observed.drawdowns is not None or facts.observed.costs is not None
        self.rests_on_actual_money = money and rests_on_money(self.deal, self.terms)
        self._read_end()
        self._read_paper()
        self._say_planned_levels()
        self._say_uncertain_terms()

    def gate(self, clause: str) -> str:
        """Name of the measure that says whether a clause can be evaluated."""
        return f"results for {self.name}: {clause}"

    # -- Clauses ----------------------------------------------------------------------------------------

    def _read_end(self) -> None:
        """Say what is assumed of an early end, where a term rests on what ended it."""
        observed = self.facts.observed
        if self.terms.breaks:
            self.assumed.append("reviews are not played: whether service ended early is what the results say")
        named = any(clause.due == "at an early end" for clause in self.terms.pays.values())
        if named and observed.ended is not None and observed.ended_by is None:
            self.assumed.append("service is taken to have ended by policy change, since the results do not say by what")

    def _read_pooled(self, name: str, clause: Clause) -> None:
        reads = clause.reads
        pooled = _outcomes(self.deal, [key for key, scope in self.facts.published if scope is None])
        if reads and pooled and _outcomes(self.deal, reads) <= pooled:
            waiting = (
                [] if self.facts.names_all else [each for each in self.deal.cohorts if each not in self.facts.named]
            )
        else:
            waiting = [each for each in self.facts.ran if each not in self.facts.with_results]
        if waiting:
            self.shut[name].add(None)
            it = "it" if len(waiting) == 1 else "they"
            needs = f"a result of {_listed(waiting)}, or a row with size 0 if {it} never ran"
            self.not_yet_due.append({"clause": name, "needs": needs})
            return
        missing = self._take(reads, None)
        if missing:
            self.shut[name].add(None)
            later = self.facts.comes_later(reads, self.facts.ran)
            if later:
                self.not_yet_due.append({"clause": name, "needs": f"{missing}; planned to be known by {later}"})
                return
            self.not_applied.append({"rule": name, "needs": missing})
            self.could_add = True

    def _read_each_cohort(self, name: str, clause: Clause) -> None:
        waiting: list[str] = []
        presumed: list[str] = []
        ends_with = [
            key
            for key, each in self.terms.pays.items()
            if each.for_ == "all cohorts that ran" and name in each.unless and None not in self.shut[key]
        ]
        for cohort in _concerned(clause, self.facts.ran):
            reads = clause.reads
            silent = cohort not in self.facts.with_results
            missing = self._take(reads, cohort) if reads or not silent else f"results of {cohort}"
            if not missing:
                continue
            self.shut[name].add(cohort)
            covered = silent and any(scope is None for _, scope in self.facts.published) and self.facts.names_all
            if covered and ends_with:
                presumed.append(cohort)
            elif silent and not covered:
                waiting.append(cohort)
            elif later := self.facts.comes_later(reads, [cohort]):
                self.not_yet_due.append({"clause": name, "needs": f"{missing}; planned to be known by {later}"})
            else:
                self.not_applied.append({"rule": f"{name} [{cohort}]", "needs": missing})
                self.could_add = True
        if waiting:
            self.not_yet_due.append({"clause": name, "needs": f"a result of {_listed(waiting)}"})
        if presumed:
            self.assumed.append(
                f"{_listed(presumed)}: no result of its own is given; {name!r} is taken as not met there, since the "
                f"pooled result on which {ends_with[0]!r} rests was published"
            )

    def _read_participants(self, name: str, clause: Clause) -> None:
        outcome = str(clause.amount.times)
        lacking: list[str] = []
        waiting: list[str] = []
        for cohort in _concerned(clause, self.facts.ran):
            if (outcome, cohort) in self.facts.raw:
                continue
            silent = cohort not in self.facts.with_results
            covered = any(scope is None for _, scope in self.facts.published)
            (waiting if silent and not covered else lacking).append(cohort)
        several = len(self.deal.cohorts) > 1
        if lacking:
            where = f" of {_listed(lacking)}" if several else ""
            self.not_applied.append({"rule": name, "needs": f"results for {outcome}{where}"})
            self.could_add = True
        if waiting:
            self.not_yet_due.append({"clause": name, "needs": f"results for {outcome} of {_listed(waiting)}"})

    def _read_paper(self) -> None:
        """Take the measures that the investors' paper reads, cohort by cohort as they become known."""
        finance = self.terms.finance
        for name, tranche in finance.papers.items() if isinstance(finance, Finance) else ():
            read = {"principal": tranche.principal, "coupon": tranche.coupon}
            for what, terms in read.items():
                if terms is None or terms.by is None:
                    continue
                lacking = [cohort for cohort in self.facts.ran if self._take([terms.by], cohort)]
                self.published |= {(terms.by, cohort): -math.inf for cohort in lacking}
                if lacking and not (self.facts.names_all and (terms.by, None) in self.facts.published):
                    needs = f"a result of {_listed(lacking)}; until then {terms.by} is read as last known"
                    self.not_yet_due.append({"clause": f"{what} of {name}", "needs": needs})
                elif not lacking:
                    continue
                if (terms.by, None) in self.facts.published:
                    self.published[terms.by, None] = self.facts.published[terms.by, None]

    def _read_cap_per_person(self) -> str:
        """Say whether the cap per person is none, applied, or not applied for want of participant rows."""
        cap = self.terms.at_most.per_person
        if cap is None:
            return "none"
        outcomes = {str(c.amount.times) for c in self.terms.pays.values() if c.for_ == "each participant"}
        totals = any(
            number > 0 for (outcome, _), rows in self.facts.totals.items() if outcome in outcomes for _, number in rows
        )
        if not totals:
            self._say_split_persons(outcomes)
            return "applied"
        most = self.facts.expected["structures", self.name, "at_most", "per_person"]
        self.not_applied.append({"rule": f"at most {_plain(most)} per person", "needs": "participant rows"})
        return "not applied"

    def _say_split_persons(self, outcomes: set[str]) -> None:
        for cohort, persons in self.facts.persons.items():
            for who, rows in persons.items():
                for outcome in outcomes:
                    periods = {each.period for each in rows if each.outcome == outcome}
                    if len(periods) > 1:
                        self.assumed.append(
                            f"{who} of {cohort} has {outcome} in several periods; under the cap per person they are "
                            "paid in the last of them"
                        )

    def _say_planned_levels(self) -> None:
        for name, cohorts in self.planned_levels.items():
            outcome = measure_of(self.deal, name).outcome
            level = self.facts.expected["outcomes", outcome, "without_service"]
            self.assumed.append(
                f"{name!r} needs the level of {outcome} in the comparison arm, which the results lack for "
                f"{_listed(cohorts)}: the planned {_plain(level)} a person is taken"
            )

    def _say_uncertain_terms(self) -> None:
        here = ("structures", self.name)
        for leaf in leaves(self.deal):
            terms = leaf.path[:2] == here and leaf.path[2:3] in {("pays",), ("at_most",), ("paid_after",)}
            if terms and not quantity_of(self.deal, leaf.quantity).is_fixed:
                mean = _plain(self.facts.expected[leaf.path]) + (" months" if leaf.quantity.unit == "duration" else "")
                self.assumed.append(f"{join_path(leaf.path)} is uncertain; its mean of {mean} is taken")
        if isinstance(self.terms.finance, Finance):
            given = [key for key in ("drawdowns", "costs") if getattr(self.facts.observed, key) is not None]
            if "costs" not in given:
                self.assumed.append("costs follow the expected path")
            if "drawdowns" not in given:
                self.assumed.append("capital is called as planned")

    # -- Measures ---------------------------------------------------------------------------------------

    def _take(self, reads: Sequence[str], scope: Scope) -> str:
        """Take what a clause reads; return what is missing, in words."""
        found = {name: self._find(name, scope) for name in reads}
        missing = [each.needs for each in found.values() if isinstance(each, _Missing)]
        if missing:
            return "; ".join(dict.fromkeys(missing))
        for name, each in found.items():
            if isinstance(each, _Known) and each.value is not None:
                self.published[name, scope] = each.value
        return ""

    def _find(self, name: str, scope: Scope, *, so_far: bool = False) -> _Known | _Missing:
        """Find a measure of a cohort, of the cohorts so far, or of all that ran: as published, or from what was."""
        if not so_far and (name, scope) in self.facts.published:
            return _Known(self.facts.published[name, scope])
        measure = measure_of(self.deal, name)
        if measure.kind == ACCOUNT:
            return _Known()  # as it stands in the ledgers
        so_far = so_far or measure.over == "cohorts so far"
        if measure.parts:
            return self._composed(name, measure, scope, so_far)
        order = list(self.deal.cohorts)
        within = order if scope is None else order[: order.index(scope) + 1] if so_far else [scope]
        cohorts = [cohort for cohort in self.facts.ran if cohort in within]
        if len(cohorts) == 1 and (name, cohorts[0]) in self.facts.published and measure.over == "each cohort":
            return _Known(self.facts.published[name, cohorts[0]])  # as it is, not limited or rounded once more
        if scope is None:
            found = self._pooled(name)
        else:
            found = self._over(name, cohorts) if so_far else self._of_cohort(name, scope)
        if isinstance(found, _Missing) or found.value is None:
            return found
        return _Known(limited(measure, name, found.value, self.facts.expected))

    def _composed(self, name: str, measure: Measure, scope: Scope, so_far: bool) -> _Known | _Missing:
        """Find the parts of a measure; the ledgers compose it of them."""
        if measure.p_value_of is not None:
            return self._p_value(name, measure.p_value_of, scope, so_far)
        parts = list(dict.fromkeys(measure.parts))
        if measure.choice_of is not None:
            first, second = measure.choice_of
            parts = list(measure.when or {})
            for condition, bound in (measure.when or {}).items():
                value = self._number(condition, scope, so_far)
                if isinstance(value, str):
                    return _Missing(value)
                level = self.facts.expected["measures", name, "when", condition]
                parts.append(first if value is not None and meets(bound.form, value, level) else second)
            if not parts:
                chosen = second if isinstance(self._find(first, scope, so_far=so_far), _Missing) else first
                value = self._number(chosen, scope, so_far)
                if isinstance(value, str):
                    return _Missing(f"{first} or {second}: {value}")
                return _Known() if value is None else _Known(limited(measure, name, value, self.facts.expected))
        found = {part: self._find(part, scope, so_far=so_far) for part in parts}
        missing = [each.needs for each in found.values() if isinstance(each, _Missing)]
        if missing:
            return _Missing("; ".join(dict.fromkeys(missing)))
        for part, each in found.items():
            if isinstance(each, _Known) and each.value is not None:
                own = measure_of(self.deal, part).over == "cohorts so far" or not so_far
                self.published[part if own else so_far_label(part), scope] = each.value
        return _Known()

    def _p_value(self, name: str, of: str, scope: Scope, so_far: bool) -> _Known | _Missing:
        """Tell whether the counts of both groups are there, which a significance test needs."""
        order = list(self.deal.cohorts)
        within = order if scope is None else order[: order.index(scope) + 1] if so_far else [scope]
        outcome = measure_of(self.deal, of).outcome
        for cohort in self.facts.ran:
            if cohort not in within:
                continue
            if (outcome, cohort) not in self.facts.raw or self._level(of, cohort) is None:
                groups = " and of its comparison arm" if self._level(of, cohort) is None else ""
                return _Missing(f"{name}, or counts of {outcome} of {cohort}{groups}")
        return _Known()

    def _number(self, name: str, scope: Scope, so_far: bool) -> float | str | None:
        """Value of a measure; what it needs, in words, or None where it is known to be undefined."""
        found = self._find(name, scope, so_far=so_far)
        if isinstance(found, _Missing):
            return found.needs
        if found.value is not None:
            return found.value
        measure = measure_of(self.deal, name)
        order = list(self.deal.cohorts)
        if measure.p_value_of is not None:
            return f"{name}, as published"
        if measure.parts:
            return self._number_of_parts(name, measure, scope, so_far)
        so_far = so_far or measure.over == "cohorts so far"
        within = order if scope is None else order[: order.index(scope) + 1] if so_far else [scope]
        ran = [cohort for cohort in self.facts.ran if cohort in within]
        if measure.kind == PARTICIPANTS:
            value: float | None = float(sum(self.facts.people[cohort] for cohort in ran))
        else:
            parts = [self._parts(name, cohort, None) for cohort in ran]
            ours, base = sum(part[0] for part in parts), sum(part[1] for part in parts)
            people = float(sum(self.facts.people[cohort] for cohort in ran))
            if measure.kind == "count":
                value = ours
            elif people <= 0 or (base <= 0 and measure.as_ == "share"):
                value = None
            elif measure.kind in {"share", "mean"}:
                value = ours / base
            else:
                value = _difference(measure, ours, base, people)
        return None if value is None else limited(measure, name, value, self.facts.expected)

    def _number_of_parts(self, name: str, measure: Measure, scope: Scope, so_far: bool) -> float | str | None:
        so_far = so_far or measure.over == "cohorts so far"
        parts: list[str] = measure.choice_of or measure.ratio_of or list(measure.sum_of or {})
        if measure.choice_of is not None:
            for condition, bound in (measure.when or {}).items():
                value = self._number(condition, scope, so_far)
                if isinstance(value, str):
                    return value
                level = self.facts.expected["measures", name, "when", condition]
                parts = parts[:1] if value is not None and meets(bound.form, value, level) else parts[1:]
        numbers = [self._number(part, scope, so_far) for part in parts]
        if measure.choice_of is not None:
            known = [each for each in numbers if isinstance(each, float)]
            found: float | str | None = known[0] if known else numbers[-1]
            return limited(measure, name, found, self.facts.expected) if isinstance(found, float) else found
        for each in numbers:
            if not isinstance(each, float):
                return each
        values = [each for each in numbers if isinstance(each, float)]
        if measure.ratio_of is not None:
            value = values[0] / values[1] if values[1] > 0 else None
        else:
            weights = [self.facts.expected["measures", name, "sum_of", part] for part in parts]
            value = sum(weight * each for weight, each in zip(weights, values, strict=True))
        return None if value is None else limited(measure, name, value, self.facts.expected)

    def _of_cohort(self, name: str, cohort: str) -> _Known | _Missing:
        """Find a measure of one outcome and one cohort: published, from another, or left to the ledgers."""
        if (name, cohort) in self.facts.published and measure_of(self.deal, name).over == "each cohort":
            return _Known(self.facts.published[name, cohort])
        measure = measure_of(self.deal, name)
        people = self.facts.people[cohort]
        if measure.kind == PARTICIPANTS:
            return _Known() if cohort in self.facts.named else _Missing(f"the size of {cohort}")
        has_raw = (measure.outcome, cohort) in self.facts.raw
        if measure.kind in {"count", "share", "mean"}:
            if has_raw:
                return _Known()
            ours = self._published_count(measure.outcome, cohort, people)
            if ours is None or people == 0:
                return _Missing(f"results for {measure.outcome} of {cohort}")
            return _Known(ours if measure.kind == "count" else ours / people)
        if has_raw:
            if self._level(name, cohort) is None:
                if measure.against == "before":
                    return _Missing(f"{measure.outcome} of {cohort} before the service (arm before)")
                return _Missing(f"the comparison arm of {measure.outcome} of {cohort} (its total and size)")
            return _Known()
        twin = self._twin(name, cohort)
        if twin is not None:
            return _Known(self._converted(measure, twin, self._planned_base(name, [cohort]), cohort))
        ours, level = self._published_count(measure.outcome, cohort, people), self._level(name, cohort)
        if ours is None or level is None:
            return _Missing(f"results for {measure.outcome} of {cohort}, or its {name}")
        return _Known(_difference(measure, ours, people * level, people))

    def _pooled(self, name: str) -> _Known | _Missing:
        """Find a measure of one outcome of all cohorts that ran: from what was published of all, or of each."""
        ran = self.facts.ran
        measure = measure_of(self.deal, name)
        if measure.kind in {"count", "share", "mean"}:
            people = sum(self.facts.people[cohort] for cohort in ran)
            ours = self._published_count(measure.outcome, None, people)
            if ours is not None and people > 0:
                return _Known(ours if measure.kind == "count" else ours / people)
        elif measure.kind != PARTICIPANTS:
            twin = self._twin(name, None)
            if twin is not None:
                return _Known(self._converted(measure, twin, self._planned_base(name, ran), None))
        return self._over(name, ran)

    def _over(self, name: str, cohorts: Sequence[str]) -> _Known | _Missing:
        """Find a measure of one outcome over several cohorts from that of each."""
        measure = measure_of(self.deal, name)
        each = {cohort: self._of_cohort(name, cohort) for cohort in cohorts}
        missing = [found.needs for found in each.values() if isinstance(found, _Missing)]
        if missing:
            return _Missing("; ".join(dict.fromkeys(missing)))
        values = [found.value for found in each.values() if isinstance(found, _Known)]
        if all(value is None for value in values):
            return _Known()
        if len(values) == 1:
            return _Known(values[0])
        parts = [self._parts(name, cohort, value) for cohort, value in zip(cohorts, values, strict=True)]
        ours, base = sum(part[0] for part in parts), sum(part[1] for part in parts)
        if measure.kind == "count":
            return _Known(ours)
        people = sum(self.facts.people[cohort] for cohort in cohorts)
        return _Known(ours / base if measure.kind in {"share", "mean"} else _difference(measure, ours, base, people))

    def _parts(self, name: str, cohort: str, value: float | None) -> tuple[float, float]:
        """Outcomes of a cohort, and what they are compared with (its people, for a share)."""
        measure, people = measure_of(self.deal, name), self.facts.people[cohort]
        if value is not None and measure.divided_by is not None:
            value *= self.facts.expected["measures", name, "divided_by"]
        compares = measure.kind in {"reduction", "increase"}
        if value is None:
            ours = self.facts.raw[measure.outcome, cohort]
            return ours, people * (self._level(name, cohort) or 0.0) if compares else float(people)
        if not compares:
            return (value if measure.kind == "count" else value * people), float(people)
        base = self._planned_base(name, [cohort])
        better = _in_units(measure, value, base, people)
        return (base + better if measure.kind == "increase" else base - better), base

    def _published_count(self, outcome: str, scope: Scope, people: int) -> float | None:
        """Outcomes as published: a count, or a share of the people."""
        for (name, where), value in self.facts.published.items():
            measure = measure_of(self.deal, name)
            if measure.divided_by is not None or (where is not None and measure.over != "each cohort"):
                continue
            if where == scope and measure.outcome == outcome and measure.kind in {"count", "share", "mean"}:
                return value if measure.kind == "count" else value * people
        return None

    def _twin(self, name: str, scope: Scope) -> tuple[str, float] | None:
        """Find a published measure that says the same thing in other units."""
        wanted = measure_of(self.deal, name)
        for (other, where), value in self.facts.published.items():
            measure = measure_of(self.deal, other)
            same = (measure.outcome, measure.kind, measure.against)
            own = measure.divided_by is None and (where is None or measure.over == "each cohort")
            if own and where == scope and same == (wanted.outcome, wanted.kind, wanted.against):
                return other, value
        return None

    def _converted(self, wanted: Measure, given: tuple[str, float], base: float, scope: Scope) -> float:
        measure, value = measure_of(self.deal, given[0]), given[1]
        if measure.as_ == wanted.as_:
            return value
        people = sum(self.facts.people[each] for each in (self.facts.ran if scope is None else [scope]))
        return _said_as(wanted, _in_units(measure, value, base, people), base, people)

    def _level(self, name: str, cohort: str) -> float | None:
        """Level a person that a measure compares with, if the deal or the results say it."""
        measure = measure_of(self.deal, name)
        if measure.against == "baseline":
            return self.facts.expected["outcomes", measure.outcome, "baseline"]
        if measure.against == "before":
            total, people = self.facts.before.get((measure.outcome, cohort)), self.facts.people[cohort]
            return None if total is None or people == 0 else total / people
        if measure.against != "comparison_arm":
            return self.facts.expected["measures", name, "against"]
        total, size = self.facts.arms.get((measure.outcome, cohort), (0.0, 0.0))
        return total / size if size > 0 else None

    def _planned_base(self, name: str, cohorts: Sequence[str]) -> float:
        """Sum what the same people would have had.

        The level is that of the results, else the one that a published count implies, else the planned one.
        """
        measure, base, planned = measure_of(self.deal, name), 0.0, []
        for cohort in cohorts:
            people = self.facts.people[cohort]
            level = self._level(name, cohort)
            if level is None:
                level = self._implied_level(measure, cohort, people)
            if level is None:
                level = self.facts.expected["outcomes", measure.outcome, "without_service"]
                planned.append(cohort)
            base += people * level
        if planned:
            self.planned_levels[name] |= dict.fromkeys(planned)
        return base

    def _implied_level(self, measure: Measure, cohort: str, people: int) -> float | None:
        ours = self._published_count(measure.outcome, cohort, people)
        for (name, where), value in self.facts.published.items():
            other = measure_of(self.deal, name)
            same = (other.outcome, other.kind, other.against) == (measure.outcome, measure.kind, measure.against)
            if (
                ours is None
                or people == 0
                or where != cohort
                or not same
                or other.over != "each cohort"
                or other.divided_by is not None
            ):
                continue
            better = -value if measure.kind == "reduction" else value
            if other.as_ != "share":
                return (ours - better * (people if other.as_ == "per person" else 1)) / people
            return ours / (1 + better) / people if better > -1 else None
        return None


def _outcomes(deal: Deal, names: Iterable[str]) -> set[str]:
    """Outcomes from which measures are made."""
    return {outcome for name in names for outcome, _ in outcomes_read(deal, name) if outcome}


def _difference(measure: Measure, ours: float, base: float, people: float) -> float:
    return _said_as(measure, ours - base if measure.kind == "increase" else base - ours, base, people)


def _said_as(measure: Measure, units: float, base: float, people: float) -> float:
    """Say a difference as a measure does: in units, a person, or as a share of what it is compared with."""
    if measure.as_ == "units":
        return units
    whole = people if measure.as_ == "per person" else base
    return units / whole if whole > 0 else 0.0


def _in_units(measure: Measure, value: float, base: float, people: float) -> float:
    """Turn a difference that is said as a measure does into units."""
    return value * {"units": 1.0, "per person": people, "share": base}[measure.as_]


def _as_ended(clause: Clause, observed: Observed) -> Clause:
    """Return a clause as it is after the end of the results: compensation owed for another end is owed for none."""
    if clause.due != "at an early end":
        return clause
    cause = observed.ended_by or "policy change"
    owed = cause != "no money" if clause.ended_by is None else cause in clause.ended_by
    return clause.model_copy(update={"ended_by": None if owed else []})


def _playable(deal: Deal, readings: Mapping[str, _Reading]) -> Deal:
    """Return the deal as it is played over results.

    Referrals are as observed (nothing stops them in the model); a cap per person that cannot be applied is left out; a
    clause that cannot be evaluated for some cohort gets a condition that holds only where it can.
    """
    measures, structures = dict(deal.measures), dict(deal.structures)
    for name, reading in readings.items():
        structure = structures[name]
        if reading.per_person == "not applied":
            structure = structure.model_copy(
                update={"at_most": structure.at_most.model_copy(update={"per_person": None})}
            )
        finance = structure.finance
        if isinstance(finance, Finance):
            rule = "defer fees" if finance.rules("defer fees") else "provider advance"
            if finance.rules("wind up") and reading.facts.observed.ended_by == "no money":
                structure = structure.model_copy(update={"after_an_early_end": "claims end"})
            told = finance.model_copy(update={"when_money_runs_out": rule})
            structure = structure.model_copy(update={"finance": told})
        structure = structure.model_copy(update={"breaks": None})
        pays = {key: _as_ended(clause, reading.facts.observed) for key, clause in structure.pays.items()}
        for key in [key for key in pays if reading.shut[key]]:
            clause = pays[key]
            gate = reading.gate(key)
            measures[gate] = Measure(count_of=PARTICIPANTS)  # published below; it waits for nothing else
            bound = Worded("at least", parse(1, "number"), before=True)
            pays[key] = clause.model_copy(update={"when": {**clause.when, gate: bound}})
        structures[name] = structure.model_copy(update={"pays": pays})
    return deal.model_copy(update={"measures": measures, "structures": structures})


# ----------------------------------------------------------------------------------------------------
# What happened, as people
# ----------------------------------------------------------------------------------------------------


def _spread(number: float, parts: int) -> list[float]:
    """Spread a number evenly over parts; a whole number in whole parts."""
    if number != math.floor(number):
        return [number / parts] * parts
    whole = int(number)
    return [float(whole * (part + 1) // parts - whole * part // parts) for part in range(parts)]


@dataclass
class _Part:
    """People of a cohort, or results of one period; becomes a block."""

    first: int
    last: int
    when: dict[str, int]
    people: int = 0
    verified: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    persons: list[list[tuple[str, int, float]]] | None = None


def _blocks(facts: _Facts, plan: Plan, *, by_person: bool) -> list[Block]:
    """Lay out what was observed: people by planned period of referral, then results by period of achievement.

    Results without a date stand with the people, at the planned measurement date. With `by_person` every participant
    is a part of its own, so that a cap per person can be applied.
    """
    blocks = []
    for cohort in facts.deal.cohorts:
        base = _referred(facts, plan, cohort)
        parts = [*base, *_dated_totals(facts, cohort, base), *_participants(facts, cohort, base, by_person)]
        for part in parts:
            verified = dict(part.verified)
            without = dict.fromkeys(verified, 0.0)
            before = {outcome: sum_ for (outcome, where), sum_ in facts.before.items() if where == cohort}
            blocks.append(
                Block(
                    cohort,
                    part.first,
                    part.last,
                    part.people,
                    part.when,
                    verified,
                    verified,
                    without,
                    part.persons if by_person else None,
                    before if part is parts[0] else {},
                )
            )
    return blocks


def _referred(facts: _Facts, plan: Plan, cohort: str) -> list[_Part]:
    """Lay out the people of a cohort with the dates at which their outcomes are known, and results without a date."""
    terms, time_ = facts.deal.cohorts[cohort], facts.deal.time
    first, last = time_.period(terms.referred.first), time_.period(terms.referred.last)
    if facts.stop is not None and cohort not in facts.never:
        last = min(last, facts.stop)
    windows = [(t, t) for t in range(first, last + 1)] if by_referral_period(facts.deal, terms) else [(first, last)]
    rows = np.zeros(len(windows), o_.BLOCK)
    rows["first"], rows["last"] = zip(*windows, strict=True)
    planned = np.zeros((len(plan.outcome_names), len(windows)), np.int64)
    months = np.zeros(len(plan.outcome_names))
    date_outcomes(plan.expected, plan.outcomes, rows, plan.calendar.step, months, planned)
    claim = facts.claim(cohort)
    parts = []
    for index, (begins, ends) in enumerate(windows):
        when = {}
        for o, outcome in enumerate(plan.outcome_names):
            at = int(min(planned[o, index], max(claim, ends), facts.T))
            # nothing is known of a cohort before its last people are referred
            when[outcome] = max(_known_at(facts, outcome, cohort) or at, ends)
        people = int(_spread(facts.people[cohort], len(windows))[index])
        parts.append(_Part(begins, ends, when, people))
    for (outcome, where), rows_ in facts.totals.items():
        for period, number in rows_ if where == cohort else ():
            if period is None:
                for part, some in zip(parts, _spread(number, len(parts)), strict=True):
                    part.verified[outcome] += some
    return parts


def _known_at(facts: _Facts, outcome: str, cohort: str) -> int | None:
    """Period in which the last result is dated; None if one has no date, so that the planned date holds."""
    periods = [period for period, _ in facts.totals.get((outcome, cohort), ())]
    periods += [each.period for person in facts.persons[cohort].values() for each in person if each.outcome == outcome]
    if periods:
        return None if None in periods else max(period for period in periods if period is not None)
    return facts.known_at.get((outcome, cohort), facts.known_at.get((outcome, None)))


def _results_part(base: Sequence[_Part], when: Mapping[str, int]) -> _Part:
    """Make a part that holds results only: no people, and no claim on when other outcomes are known."""
    everything = dict.fromkeys(base[-1].when, 1)
    return _Part(base[-1].last, base[-1].last, everything | dict(when))


def _dated_totals(facts: _Facts, cohort: str, base: Sequence[_Part]) -> list[_Part]:
    by_period: defaultdict[int, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (outcome, where), rows in facts.totals.items():
        for period, number in rows if where == cohort else ():
            if period is not None:
                by_period[period][outcome] += number
    return [_part_of(base, period, by_period[period]) for period in sorted(by_period)]


def _part_of(base: Sequence[_Part], period: int, numbers: defaultdict[str, float]) -> _Part:
    part = _results_part(base, dict.fromkeys(numbers, period))
    part.verified = numbers
    return part


def _participants(facts: _Facts, cohort: str, base: Sequence[_Part], by_person: bool) -> list[_Part]:
    """Lay out participants; one without a date is taken to be of the next of the cohort's periods of referral."""
    persons = facts.persons[cohort]
    parts = []
    by_period: defaultdict[int, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for position, rows in enumerate(persons.values()):
        home = base[position * len(base) // len(persons)]
        dated = [(each, home.when[each.outcome] if each.period is None else each.period) for each in rows]
        if not by_person:
            for each, period in dated:
                by_period[period][each.outcome] += each.number
            continue
        when: dict[str, int] = {}
        for each, period in dated:
            when[each.outcome] = max(period, when.get(each.outcome, 0))
        part = _results_part(base, when)
        part.persons = [
            [
                (each.outcome, facts.last_day(period) if each.day is None else each.day, each.number)
                for each, period in dated
            ]
        ]
        for each, _ in dated:
            part.verified[each.outcome] += each.number
        parts.append(part)
    return parts + [_part_of(base, period, by_period[period]) for period in sorted(by_period)]


# ----------------------------------------------------------------------------------------------------
# Twice the same
# ----------------------------------------------------------------------------------------------------


def _played_twice(
    plan: Plan, name: str, facts: _Facts, reading: _Reading, blocks: list[Block], by_person: bool
) -> tuple[Ledger, Callable[[], Ledger]]:
    """Play a structure with the twin and with the kernels, and insist that they agree.

    Also returns a function that plays the twin once more, on the capital and the costs of the results.
    """
    values = row_by_path(plan.columns, plan.expected)
    published = dict(reading.published)
    for clause, shut in reading.shut.items():
        for scope in (None, *facts.deal.cohorts) if shut else ():
            published[reading.gate(clause), scope] = 0.0 if scope in shut else 1.0
    happened = Happened(blocks, facts.arms, facts.stop, published)
    ledger = play(plan.deal, name, values, values, happened)
    ledger.check()
    book, found = _play_kernels(plan, name, happened, by_person)
    _insist_on_agreement(plan, name, ledger, book, found)

    def again() -> Ledger:
        played = play(plan.deal, name, values, values, _with_actual_money(facts, happened))
        played.check()
        return played

    return ledger, again


def _play_kernels(plan: Plan, name: str, happened: Happened, by_person: bool) -> tuple[Book, Floats]:
    """Lay the same results out as arrays and play one draw of the kernels."""
    outcomes, cohort_names, T = plan.outcome_names, plan.cohort_names, plan.calendar.periods
    cohorts = plan.cohorts.copy()
    rows = np.zeros(len(happened.blocks), o_.BLOCK)
    out = Outcomes(
        np.zeros((1, rows.size), np.int64),
        np.zeros((1, len(outcomes), rows.size), np.int64),
        np.zeros((1, len(outcomes), rows.size, o_.COUNTS)),
        np.zeros((1, len(outcomes), len(cohort_names), o_.ARMS)),
    )
    cohorts["first_block"], cohorts["end_block"] = rows.size, 0
    for b, block in enumerate(happened.blocks):
        c = cohort_names.index(block.cohort)
        cohorts["first_block"][c] = min(cohorts["first_block"][c], b)
        cohorts["end_block"][c] = b + 1
        rows["cohort"][b], rows["first"][b], rows["last"][b] = c, block.first, block.last
        rows["part"][b], rows["parts"][b], rows["reach"][b] = 0, 1, block.last
        out.people[0, b] = block.people
        for o, outcome in enumerate(outcomes):
            out.when[0, o, b] = block.when[outcome]
            out.counts[0, o, b, o_.VERIFIED] = block.verified.get(outcome, 0.0)
            out.counts[0, o, b, o_.TRUE] = block.true.get(outcome, 0.0)
            out.counts[0, o, b, o_.BEFORE] = block.before.get(outcome, 0.0)
    for (outcome, cohort), pair in happened.arms.items():
        out.arms[0, outcomes.index(outcome), cohort_names.index(cohort), : o_.BASELINE] = pair
    for o, row in enumerate(plan.outcomes):
        out.arms[0, o, :, o_.BASELINE] = plan.expected[row["baseline_at"]] if row["baseline_at"] >= 0 else 0.0
    published = np.full((len(plan.measure_names), len(cohort_names) + 1), np.nan)
    for (measure, scope), value in happened.published.items():
        column = len(cohort_names) if scope is None else cohort_names.index(scope)
        published[plan.measure_names.index(measure), column] = value
    people = np.zeros(plan.blocks.size, np.int64)
    refer_people(plan.expected, plan.cohorts, plan.blocks, people)
    terms = plan.structures[name]
    values = plan.expected[np.newaxis].copy()
    capped = _after_cap_per_person(plan, name, happened.blocks) if by_person else np.zeros((1, 0, rows.size))
    book, found = new_book_of(plan, name), np.zeros((1, METRICS))
    settle_draws(
        values,
        planned_costs(plan.expected, terms, plan.calendar, people, plan.blocks),
        terms,
        plan.calendar,
        plan.measures,
        cohorts,
        rows,
        out,
        np.array([T + 1 if happened.stop is None else happened.stop]),
        capped,
        by_person,
        published,
        new_tally(len(outcomes), len(cohort_names)),
        book,
        found,
        np.zeros((1, terms.finance.fund.size, METRICS)),
        np.zeros((1, terms.payers.size, OF_PAYER + len(plan.years))),
        np.zeros((1, len(plan.years))),
        np.zeros((len(plan.clause_names[name]), len(cohort_names) + 2), np.int64),
        NO_FLAGS,
    )
    return book, found[0]


def _after_cap_per_person(plan: Plan, name: str, blocks: Sequence[Block]) -> Floats:
    """Money of every block after the cap per person, [1, K, B]: a person's outcomes day by day, then by the card."""
    clauses, v = plan.structures[name].clauses, plan.expected
    order = np.flatnonzero(clauses["scope"] == EACH_PARTICIPANT)
    outcome = np.ascontiguousarray(clauses["outcome"])
    price = np.array([v[at] if at >= 0 else 0.0 for at in clauses["rate_at"]])
    limit = v[plan.per_person_cap[name]]
    capped = np.zeros((1, clauses.size, len(blocks)))
    for b, block in enumerate(blocks):
        for person in block.persons or ():
            paid = np.zeros(clauses.size)
            for day in sorted({day for _, day, _ in person}):
                record = np.zeros((len(plan.outcome_names), 1), record_type(plan))
                for what, when, number in person:
                    if when == day:
                        record[plan.outcome_names.index(what), 0] += number
                left = limit - paid.sum()
                if left > 0:
                    room = np.empty(1), np.empty((order.size, 1))
                    settle_persons(record, 0, 1, order, outcome, price, left, *room, paid)
            capped[0, :, b] += paid
    return capped


def _insist_on_agreement(plan: Plan, name: str, ledger: Ledger, book: Book, found: Floats) -> None:
    if found[BROKEN] != 0:
        raise DefectError(f"the accounts of {name!r} do not balance (rule {found[BROKEN]:.0f})")
    pairs = [("payments", ledger.metrics["payments"], float(found[PAYMENTS]))]
    for k, clause in enumerate(plan.clause_names[name]):
        twin = math.fsum(paid for (key, _), paid in ledger.paid.items() if key == clause)
        pairs.append((f"payments of {clause!r}", twin, float(book.settled[k, :, PAID].sum())))
    for p, payer in enumerate(plan.payer_names[name]):
        twin = math.fsum(ledger.paid_by[payer])
        pairs.append((f"payments of {payer!r}", twin, float(book.purses.spent[p])))
    flows = book.flows[INVESTOR, : plan.calendar.periods + 1]
    pairs += [(f"investors in period {t}", twin, float(flows[t])) for t, twin in enumerate(ledger.investor)]
    for n, (tranche, own) in enumerate(ledger.tranches.items()):
        pairs += [(f"investors: {tranche} in period {t}", twin, float(book.paper[n, t])) for t, twin in enumerate(own)]
    for what, row in (("net", NET), ("fees", FEES), ("carry", CARRY)) if ledger.fund else ():
        own = ledger.fund[what]
        pairs += [(f"investors: {what} in period {t}", twin, float(book.fund[row, t])) for t, twin in enumerate(own)]
    gross = max([1.0, *(abs(flow) for flow in ledger.investor)])
    for what, twin, kernels in pairs:
        scale = gross if what.startswith("investors") else max(1.0, abs(twin))
        if not abs(twin - kernels) <= _AGREE * scale:
            raise DefectError(f"{name!r}: {what}: the readable twin says {twin!r}, the kernels {kernels!r}")


# ----------------------------------------------------------------------------------------------------
# The answer
# ----------------------------------------------------------------------------------------------------


def _answer(facts: _Facts, reading: _Reading, ledger: Ledger, again: Callable[[], Ledger]) -> dict[str, Any]:
    payments = ledger.metrics["payments"]
    not_yet_due = list(reading.not_yet_due)
    said = {row["clause"] for row in not_yet_due}
    for clause, cohort, needs in ledger.not_yet_due:
        if cohort not in reading.shut[clause] and cohort not in facts.never and clause not in said:
            not_yet_due.append({"clause": clause, "needs": needs})
    schedule = [
        {
            "period": entry.period,
            "date": entry.date,
            "clause": entry.clause,
            "cohort": entry.cohort,
            "payer": entry.payer,
            "amount": entry.amount,
            "limited_by": entry.limited_by,
            "reason": _without_gate(reading, entry.clause, entry.reason),
        }
        for entry in ledger.entries
        if entry.clause is not None and _worth_showing(reading, entry.clause, entry.cohort, entry.amount)
    ]
    assumed = [*facts.assumed, *reading.assumed]
    investor = _investor(facts, reading, ledger, again, assumed)
    if investor is not None and not_yet_due:
        assumed.append("what investors get counts only what is due so far, against the costs of the whole plan")
    return {
        "payments": payments,
        "payments_are": _payments_are(facts, reading, ledger),
        "uncapped_payments": ledger.metrics["uncapped_payments"],
        "clauses": {name: _clause(reading, ledger, name, not_yet_due) for name in reading.terms.pays},
        "not_applied": reading.not_applied,
        "not_yet_due": not_yet_due,
        "assumed": list(dict.fromkeys(assumed)),
        "investor": investor,
        "schedule": schedule,
    }


def _worth_showing(reading: _Reading, clause: str, cohort: Scope, amount: float) -> bool:
    """Whether an entry stands in the schedule: what is paid, and group clauses that fell due and paid nothing."""
    if amount > 0:
        return True
    by_people = reading.terms.pays[clause].for_ == "each participant"
    return not by_people and cohort not in reading.shut[clause]


def _without_gate(reading: _Reading, clause: str, reason: str) -> str:
    """Take the condition out of a reason that only says that there are results."""
    gate = f"{reading.gate(clause)} 1 is at least 1"
    return reason.replace(f"; {gate}", "").replace(f"{gate}; ", "")


def _clause(reading: _Reading, ledger: Ledger, name: str, not_yet_due: list[dict[str, str]]) -> dict[str, Any]:
    clause = reading.terms.pays[name]
    tests = [
        {
            "cohort": test.cohort,
            "measure": test.measure,
            "value": test.value,
            "bound": test.bound,
            "met": test.met,
        }
        for test in ledger.tests
        if test.clause == name and test.cohort not in reading.shut[name] and test.measure != reading.gate(name)
    ]
    reasons: list[str] = []
    if clause.for_ == "each participant":
        reasons += _participants_reason(reading, ledger, name)
    else:
        for entry in ledger.entries:
            if entry.clause == name and entry.cohort not in reading.shut[name]:
                reasons.append(_without_gate(reading, name, entry.reason))
        reasons = list(dict.fromkeys(reasons))
    reasons += [f"not yet due: needs {row['needs']}" for row in not_yet_due if row["clause"] == name]
    reasons += [
        f"not applied: needs {row['needs']}"
        for row in reading.not_applied
        if row["rule"] == name or row["rule"].startswith(f"{name} [")
    ]
    return {
        "payments": math.fsum(paid for (key, _), paid in ledger.paid.items() if key == name),
        "uncapped_payments": math.fsum(each for (key, _), each in ledger.uncapped.items() if key == name),
        "tests": tests,
        "reason": "; ".join(reasons) or "nothing fell due",
    }


def _participants_reason(reading: _Reading, ledger: Ledger, name: str) -> list[str]:
    clause, facts = reading.terms.pays[name], reading.facts
    outcome = str(clause.amount.times)
    counted = [facts.raw[outcome, cohort] for cohort in _concerned(clause, facts.ran) if (outcome, cohort) in facts.raw]
    if not counted:
        return []
    price = facts.expected["structures", reading.name, "pays", name, "amount", "price"]
    reason = f"{_plain(math.fsum(counted))} {outcome} x {_plain(price)}"
    if math.fsum(counted) == 0:
        return [f"0.00 because: no {outcome} was verified"]
    if clause.unless or clause.only_if:
        return list(dict.fromkeys(entry.reason for entry in ledger.entries if entry.clause == name))
    limits = [entry.limited_by for entry in ledger.entries if entry.clause == name and entry.limited_by]
    words = {"per person": "the cap per person", "outcomes": "the cap on its outcomes", "clause": "its own cap"}
    words |= {"contract": "the contract cap", "year": "the cap for the year", "payer": "what its payers pay at most"}
    for limit in dict.fromkeys(limits):
        reason += f"; limited by {words[limit]}"
    return [reason]


# -- What the total is ----------------------------------------------------------------------------------


def _payments_are(facts: _Facts, reading: _Reading, ledger: Ledger) -> str:
    """Say whether the total is exact, or on which side of it the true one lies."""
    payments = ledger.metrics["payments"]
    cap = ledger.contract_cap
    full = cap is not None and payments >= cap * (1 - _AGREE)
    if reading.per_person == "not applied" and _cap_per_person_may_bind(facts, reading, ledger):
        return "at most"
    return "at least" if reading.could_add and not full else "exact"


def _cap_per_person_may_bind(facts: _Facts, reading: _Reading, ledger: Ledger) -> bool:
    """Whether the cap per person, which totals cannot feed, could lower the payments.

    It cuts most where the same people have all the outcomes: then the first n people have an outcome that n have (and
    the first of all has every event). If even that leaves what is paid, the cap does not matter.
    """
    gross = math.fsum(
        paid for (name, _), paid in ledger.uncapped.items() if reading.terms.pays[name].for_ == "each participant"
    )
    least = sum(_least_under_cap(facts, reading, cohort) for cohort in facts.ran)
    if least >= gross * (1 - _AGREE):
        return False
    caps, payments = reading.terms.at_most, ledger.metrics["payments"]
    own = any(clause.at_most is not None for clause in reading.terms.pays.values())
    if caps.contract is None or caps.year is not None or own:
        return True
    others = ledger.metrics["uncapped_payments"] - gross
    return bool(least + others < payments * (1 - _AGREE))


def _least_under_cap(facts: _Facts, reading: _Reading, cohort: str) -> float:
    cap = facts.expected["structures", reading.name, "at_most", "per_person"]
    money: dict[str, float] = defaultdict(float)
    for name, clause in reading.terms.pays.items():
        if clause.for_ == "each participant":
            price = facts.expected["structures", reading.name, "pays", name, "amount", "price"]
            money[str(clause.amount.times)] += price
    numbers = {outcome: facts.raw.get((outcome, cohort), 0.0) for outcome in money}
    once = {outcome for outcome in money if is_yes_or_no(facts.deal, outcome)}
    steps = sorted({0, 1} | {int(numbers[outcome]) for outcome in once})
    least = 0.0
    for low, high in pairwise(steps):
        each = sum(money[outcome] for outcome in once if numbers[outcome] > low)
        if low == 0:
            each += sum(numbers[outcome] * money[outcome] for outcome in money if outcome not in once)
        least += (high - low) * min(cap, each)
    return least


# -- Investors ------------------------------------------------------------------------------------------


def _investor(
    facts: _Facts, reading: _Reading, ledger: Ledger, again: Callable[[], Ledger], assumed: list[str]
) -> dict[str, Any] | None:
    """What investors get: all of them, and each tranche, with every movement of their money."""
    if not isinstance(reading.terms.finance, Finance):
        return None
    observed = facts.observed
    if observed.drawdowns is not None or observed.costs is not None:
        ledger = again()
        what = _listed(
            words for words, given in (("capital", observed.drawdowns), ("costs", observed.costs)) if given is not None
        )
        assumed.append(f"investors are settled on the {what} of the results; the schedule does not depend on them")
    names = set(ledger.tranches) | ({MANAGER} if ledger.fund else set())
    rows = [
        {
            "period": entry.period,
            "date": entry.date,
            "from": entry.from_,
            "to": entry.to,
            "amount": entry.amount,
            "reason": entry.reason,
        }
        for entry in ledger.entries
        if names & {entry.from_, entry.to}
    ]
    found: dict[str, Any] = {name: ledger.metrics[name] for name in _INVESTOR_METRICS}
    found["tranches"] = {
        tranche: {name: own[name] for name in _INVESTOR_METRICS} for tranche, own in ledger.metrics["tranches"].items()
    }
    net, fund = ledger.metrics["net"], reading.terms.finance.fund
    if net is not None and fund is not None:
        charged = {name: net[name] for name in (*_INVESTOR_METRICS, "fees", "carry")}
        found["net"] = {"of": fund.of or INVESTORS} | charged
    found |= {name: ledger.metrics[name] for name in ("guarantor_cost", "paid_by_provider", "unpaid")}
    return found | {"schedule": rows}


def _with_actual_money(facts: _Facts, happened: Happened) -> Happened:
    """Give what happened the capital and the costs of the results.

    Capital that comes in a period pays for its costs, so it stands at the period's beginning.
    """
    observed = facts.observed
    drawdowns: dict[int, float] | None = None
    costs: dict[int, float] | None = None
    if observed.drawdowns is not None:
        drawdowns = defaultdict(float)
        for each in observed.drawdowns:
            drawdowns[facts.period(each.day) - 1] += each.amount
    if observed.costs is not None:
        costs = defaultdict(float)
        for each in observed.costs:
            costs[facts.period(each.day)] += each.amount
    return dataclasses.replace(happened, drawdowns=drawdowns, costs=costs)
