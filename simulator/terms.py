"""The terms of a deal in plain English: a sentence a clause, what it pays at every result, cliffs, perverse points.

Sentences are made from the rows that are settled, and what they pay is settled by the readable twin: in a world in
which every number stands at its mean, all cohorts do equally well, and the result that drives a clause goes from
failure (no effect) over what is expected and promised to beyond the last bound of the clause. Costs and capital are
left out.

A *cliff* is a bound at which payments jump by more than a hundredth of the most that is paid; a *perverse* point is
one beyond which a better result is paid less. Both are found by trying: the bounds of all clauses, from just below to
just above; and, where a clause falls away (`unless`) because one cohort did well, that cohort at its bound beside
others that did less well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from simulator.deal import (
    ACCOUNT,
    PARTICIPANTS,
    Amount,
    Caps,
    Clause,
    Costs,
    Deal,
    Measure,
    Payer,
    WithoutService,
    by_referral_period,
    is_share,
    leaves,
    measure_of,
    outcome_names,
    outcome_of,
    pay_shares,
    payers_of,
    quantity_of,
    reads_account,
)
from simulator.ending_words import ending_words, had, listed
from simulator.paper_words import paper_words, table_words
from simulator.quantity import Quantity, parse
from simulator.reference import Block, Happened, Ledger, play

Path = tuple[str | int, ...]
_JUST = 1e-3
"""How far beside a bound the other side of a cliff is tried; of a share, a tenth of a percentage point."""
_CLIFF = 0.01
"""Jumps smaller than this share of the most that is paid are no cliffs."""
_HIDES = 0.25
"""Share of the most from which on what others pay hides what a clause does."""


@dataclass(frozen=True)
class PayOff:
    """What is paid at one result: by the clause, by the clause once a return is reached, and by the whole structure."""

    result: float
    what: str
    clause: float
    then: float | None
    """None where the clause does not change at a return."""
    structure: float


@dataclass(frozen=True)
class Terms:
    """One clause: its sentence, and what it pays at every result.

    `driver` is the measure that is moved, None where nothing can be (a fee).
    """

    clause: str
    sentence: str
    driver: str | None
    pay_offs: tuple[PayOff, ...]
    cliffs: tuple[str, ...]
    perverse: tuple[str, ...]


def terms(deal: Deal, structure: str) -> list[Terms]:
    """Say each clause of a structure in plain English, with what it pays at every result.

    Parameters
    ----------
    deal
        As :func:`simulator.load` returns it.
    structure
        Name of the payment structure.

    Returns
    -------
    list of Terms
        One a clause, in the file's order.

    Raises
    ------
    KeyError
        If there is no such structure.
    """
    said = _Structure(deal, structure)
    return [said.terms(name) for name in said.pays]


@dataclass(frozen=True)
class Curve:
    """What is paid over the results of a clause's measure, in order; both sides of a cliff stand next to each other.

    Where other clauses pay more than a quarter of the most even at the worst result, they and the limits in common
    would hide what the clause does: then it is the clause alone, within its own limits (`whole` is false).
    """

    points: tuple[tuple[float, float], ...]
    whole: bool
    least: float
    most: float
    """Of all clauses together, within all limits."""


def curve(deal: Deal, structure: str, clause: str, points: int = 41) -> Curve | None:
    """Return what is paid at evenly spaced results of a clause's measure, and beside each bound.

    Everything else stands where it does in :func:`terms`. None where nothing can be moved (a fee).
    """
    return _Structure(deal, structure).curve(clause, points)


def around(deal: Deal, structure: str) -> list[str]:
    """Say what holds for all clauses of a structure, sentence by sentence: limits, payers, and what ends it early."""
    return _Structure(deal, structure).around


def text(deal: Deal) -> str:
    """Return the terms of every structure, as `sib show --terms` prints them."""
    lines = [f"{deal.deal} ({deal.currency})", ""]
    if deal.measures:
        lines += ["What is measured:"]
        lines += [f"  {name}: {_measure(deal, name)}." for name in deal.measures]
        lines += [""]
    for name in deal.structures:
        lines += [f"{name}"]
        said = _Structure(deal, name)
        for each in (said.terms(clause) for clause in said.pays):
            lines += [f"  {each.clause}: {each.sentence}"]
            if each.pay_offs:
                lines += _table(deal, each)
            lines += [f"    cliff: {cliff}" for cliff in each.cliffs]
            lines += [f"    perverse: {point}" for point in each.perverse]
        lines += [f"  {sentence}" for sentence in said.around]
        paper = paper_words(deal, name)
        lines += ["  The investors' paper:", *(f"    {sentence}" for sentence in paper)] if paper else []
        lines += [""]
    return "\n".join(lines).rstrip("\n")


def _table(deal: Deal, each: Terms) -> list[str]:
    assert each.driver is not None
    driver = each.driver
    then = any(row.then is not None for row in each.pay_offs)
    rows = [[driver, "this clause pays", *(["once the return is reached"] if then else []), "all clauses pay", ""]]
    for row in each.pay_offs:
        after = [] if not then else ["–" if row.then is None else _money(row.then)]
        result = _show(deal, driver, row.result)
        rows.append([result, _money(row.clause), *after, _money(row.structure), what_of(row)])
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    return [
        "    "
        + "  ".join(cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=True))
        + f"  {row[-1]}".rstrip()
        for row in rows
    ]


def what_of(row: PayOff) -> str:
    """What a result is, each word once."""
    return ", ".join(dict.fromkeys(row.what.split(", ")))


# ----------------------------------------------------------------------------------------------------
# Words
# ----------------------------------------------------------------------------------------------------


def _plain(number: float, decimals: int = 2) -> str:
    text = f"{number:,.{decimals}f}" if abs(number) < 1e15 else f"{number:.6g}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _money(amount: float) -> str:
    return _plain(round(amount, 2), 0 if abs(amount) >= 1000 else 2)


def _show(deal: Deal, measure: str, value: float) -> str:
    return f"{_plain(100 * value, 4)}%" if is_share(deal, measure) else _plain(value, 4)


def _value(deal: Deal, quantity: Quantity) -> float:
    return quantity_of(deal, quantity).mean()


def _level(deal: Deal, measure: str) -> str:
    what = measure_of(deal, measure)
    words = {"comparison_arm": "the comparison arm", "baseline": "the contract's baseline"}
    words |= {"before": "the same people before"}
    if isinstance(what.against, Quantity):
        return f"{what.against.text()} a person"
    return words[str(what.against)]


def _measure(deal: Deal, name: str) -> str:
    """Describe a measure in words."""
    what = measure_of(deal, name)
    words = _kind(deal, name, what)
    if what.over == "cohorts so far":
        words += ", over the cohorts so far"
    if what.divided_by is not None:
        words += f", divided by {_plain(_value(deal, what.divided_by))}"
    if what.no_less_than is not None:
        words += f", at least {what.no_less_than.text()}"
    if what.no_more_than is not None:
        words += f", at most {what.no_more_than.text()}"
    if what.rounded is not None:
        words += f", rounded {what.rounded.text()}"
    return words


def _kind(deal: Deal, name: str, what: Measure) -> str:
    if what.kind == PARTICIPANTS:
        return "the number of people referred"
    if what.kind == ACCOUNT:
        return f"the {what.count_of} (an account, as it stands)"
    if what.kind == "count":
        return f"the number of {what.outcome}"
    if what.kind == "share":
        return f"the share of people with {what.outcome}"
    if what.kind == "mean":
        return f"{what.outcome} a person"
    if what.kind in {"reduction", "increase"}:
        fewer = "less" if what.kind == "reduction" else "more"
        how = {"share": "in percent, ", "units": "in number, ", "per person": "a person, "}[what.as_]
        return f"{how}how much {fewer} {what.outcome} than in {_level(deal, name)}"
    if what.ratio_of is not None:
        return f"{what.ratio_of[0]} divided by {what.ratio_of[1]}"
    if what.sum_of is not None:
        return listed((f"{weight.text()} x {part}" for part, weight in what.sum_of.items()), "plus")
    if what.choice_of is not None:
        first, second = what.choice_of
        when = listed(f"{part} is {bound.text()}" for part, bound in what.when.items()) if what.when else "it is known"
        return f"{first} where {when}, otherwise {second}"
    return f"the chance, were there no effect, of {what.p_value_of} at least as good (one-sided)"


# ----------------------------------------------------------------------------------------------------
# One structure
# ----------------------------------------------------------------------------------------------------


def _paid(ledger: Ledger, clause: str) -> float:
    return math.fsum(paid for (key, _), paid in ledger.paid.items() if key == clause)


class _Structure:
    """A payment structure over a world that can be moved by its results; everything else stands at its mean.

    `pays` are clauses in place of its own.
    """

    def __init__(self, deal: Deal, structure: str, pays: dict[str, Clause] | None = None) -> None:
        full = deal.structures[structure]
        if pays is not None:
            full = full.model_copy(update={"pays": pays})
            deal = deal.model_copy(update={"structures": {structure: full}})
        self.whole, self.full, self.name, self.pays = deal, full, structure, full.pays
        caps = full.at_most.model_copy(update={"per_person": None})
        bare = full.model_copy(update={"finance": "none", "costs": Costs(), "payer_costs": Costs(), "at_most": caps})
        bare = bare.model_copy(update={"service_agreement": None, "breaks": None})
        self.deal = deal.model_copy(update={"structures": {structure: bare}, "provider_failure": None})
        self.values = {leaf.path: quantity_of(deal, leaf.quantity, leaf.legal).mean() for leaf in leaves(deal)}
        self.people = {
            name: math.floor(self._value("cohorts", name, "people") * self._value("cohorts", name, "referrals") + 0.5)
            for name in deal.cohorts
        }
        self.ran = [name for name, number in self.people.items() if number > 0]
        self.expected = self._counts(self._with_service)

    def _value(self, *path: str | int) -> float:
        return self.values[path]

    # -- The world --------------------------------------------------------------------------------------

    def _place(self, outcome: str) -> tuple[Path, str | None]:
        """Path of an outcome, and the step before it in its chain."""
        for name, each in self.deal.outcomes.items():
            if each.steps and outcome in each.steps:
                return ("outcomes", name, "steps", outcome), each.steps[outcome].follows
        return ("outcomes", outcome), None

    def _with_service(self, outcome: str) -> float:
        """Expected level a person."""
        path, follows = self._place(outcome)
        found, step = outcome_of(self.deal, outcome)
        if step is not None:
            among = 1.0 if follows in {None, "referral"} else self._with_service(str(follows))
            if step.instead_of is not None:
                among -= self._with_service(step.instead_of)
            return max(among, 0.0) * self._value(*path, "chance")
        effect, without = self._value(*path, "effect"), self._value(*path, "without_service")
        level = without + effect if found.effect_as == "units" else without * (1 + effect)
        if found.counts == "yes or no":
            level = min(max(level, 0.0), 1.0)
        elif found.counts != "score":
            level = max(level, 0.0)
        return level * (1.0 if found.of_those is None else self._with_service(found.of_those))

    def _without(self, outcome: str) -> float:
        """Level a person without the service; a later step has the same chance among those who took the one before."""
        path, follows = self._place(outcome)
        found, step = outcome_of(self.deal, outcome)
        if step is None:
            among = 1.0 if found.of_those is None else self._without(found.of_those)
            return among * self._value(*path, "without_service")
        if not isinstance(found.without_service, WithoutService):
            return self._with_service(outcome)
        if follows in {None, "referral"}:
            return self._value(path[0], path[1], "without_service", "first_step")
        among = self._without(str(follows)) - (0.0 if step.instead_of is None else self._without(step.instead_of))
        return max(among, 0.0) * self._value(*path, "chance")

    def _months(self, outcome: str) -> float:
        path, follows = self._place(outcome)
        if path[2:3] != ("steps",):
            of_those = self.deal.outcomes[outcome].of_those
            own = self._value(*path, "known_after") + self._value(*path, "delay")
            return own if of_those is None else max(own, self._months(of_those))
        before = 0.0 if follows in {None, "referral"} else self._months(str(follows))
        return before + self._value(*path, "after")

    @cached_property
    def _when(self) -> dict[str, int]:
        """Periods after the last referral in which an outcome is known."""
        months = self.deal.time.months
        return {o: max(0, math.ceil(self._months(o) / months - 0.5 - 1e-9)) for o in outcome_names(self.deal)}

    @cached_property
    def _windows(self) -> dict[str, list[tuple[int, int, int]]]:
        """First and last period of referral, and people, of the parts of each cohort that fall due by themselves."""
        windows = {}
        for name, cohort in self.whole.cohorts.items():
            first, last = (self.deal.time.period(month) for month in (cohort.referred.first, cohort.referred.last))
            parts = last - first + 1 if by_referral_period(self.whole, cohort) else 1
            ends = [self.people[name] * (part + 1) // parts for part in range(parts)]  # as they are referred
            people = [end - begin for begin, end in pairwise([0, *ends])]
            lasts = [first + part for part in range(parts)] if parts > 1 else [last]
            windows[name] = [(first if parts == 1 else end, end, n) for end, n in zip(lasts, people, strict=True)]
        return windows

    def _claim(self, cohort: str) -> float:
        last_claim = self.deal.cohorts[cohort].last_claim
        return math.inf if last_claim is None else self.deal.time.period(last_claim)

    def _in_time(self, outcome: str, cohort: str) -> list[int]:
        """People of each part of a cohort whose outcome is known by the last claim: what comes later never counts."""
        after, claim = self._when[outcome], self._claim(cohort)
        return [people if last + after <= claim else 0 for _, last, people in self._windows[cohort]]

    def _counts(self, level: Callable[[str], float]) -> dict[tuple[str, str], float]:
        """Numbers of outcomes, by (outcome, cohort), that count where each has a level a person."""
        return {(o, c): level(o) * sum(self._in_time(o, c)) for o in outcome_names(self.deal) for c in self.people}

    def settle(self, counts: Mapping[tuple[str, str], float], published: Mapping[Any, float]) -> Ledger:
        """Settle the structure for counts of outcomes by (outcome, cohort), and measures to be taken as they are."""
        T = self.deal.time.periods
        blocks = []
        for name, windows in self._windows.items():
            claim = self._claim(name)
            before = {
                o: self.people[name] * self._value("outcomes", o, "before", "level")
                for o, each in self.deal.outcomes.items()
                if each.before is not None
            }
            shares = {o: self._in_time(o, name) for o in self._when}
            # a number that is given though nobody is in time belongs to the first, who are nearest
            shares = {o: each if sum(each) else [1] + [0] * (len(windows) - 1) for o, each in shares.items()}
            for part, (first, last, people) in enumerate(windows):
                when = {o: int(min(last + after, max(claim, last), T)) for o, after in self._when.items()}
                some = {
                    o: counts[o, name] * each[part] / sum(each) if self.people[name] else 0.0
                    for o, each in shares.items()
                }
                none = dict.fromkeys(some, 0.0)
                own = before if part == 0 else {}
                blocks.append(Block(name, first, last, people, when, some, some, none, before=own))
        arms = {
            (o, c): (self._value("outcomes", o, "without_service") * number, float(number))
            for o, each in self.deal.outcomes.items()
            if each.comparison_arm is not None
            for c, number in self.people.items()
        }
        return play(self.deal, self.name, self.values, self.values, Happened(blocks, arms, None, dict(published)))

    # -- Moving a measure -------------------------------------------------------------------------------

    def _base(self, name: str, cohort: str) -> float:
        """What the people of a cohort would have had at the level that a measure compares with."""
        measure = measure_of(self.deal, name)
        level = self._without(measure.outcome)
        if measure.against == "baseline":
            level = self._value("outcomes", measure.outcome, "baseline")
        elif measure.against == "before":
            level = self._value("outcomes", measure.outcome, "before", "level")
        elif measure.against != "comparison_arm":
            level = self._value("measures", name, "against")
        return self.people[cohort] * level

    def _of(self, clause: Clause) -> list[str]:
        """Cohorts that ran and that a clause is for."""
        return [cohort for cohort in self.ran if not clause.cohorts or cohort in clause.cohorts]

    def _adds_up(self, name: str) -> bool:
        """Whether a measure of two cohorts is the sum of theirs: a number, and no share, mean or level a person."""
        measure = measure_of(self.deal, name)
        if measure.parts:
            return not is_share(self.deal, name) and all(self._adds_up(part) for part in measure.parts)
        return not is_share(self.deal, name) and measure.kind != "mean" and measure.as_ != "per person"

    def _together(self, name: str, clause: Clause) -> bool:
        """Whether a result is a total of all cohorts of a clause, which they share by their people.

        Not where every cohort has a bound of its own to meet.
        """
        if not self._adds_up(name):
            return False
        own = measure_of(self.deal, name).over == "cohorts so far" or bool(self._bounds(name, clause))
        return clause.for_ != "each cohort" or not own

    def _scope(self, name: str, clause: Clause) -> list[str]:
        """Cohorts whose result stands in a row: all of a clause, or the first where all have the same."""
        pooled = clause.for_ != "each cohort" or self._together(name, clause)
        return self._of(clause) if pooled else self._of(clause)[:1]

    def at(self, name: str, result: float, clause: Clause, only: Mapping[str, float] | None = None) -> Ledger:
        """Settle at one result of a measure: of every cohort, or where it is a total of all together.

        `only` says a result of its own for some cohorts.
        """
        measure = measure_of(self.deal, name)
        together = self._together(name, clause)
        cohorts = self._of(clause) if together else self.ran
        in_all = sum(self.people[cohort] for cohort in cohorts)
        each = {cohort: result * self.people[cohort] / in_all if together else result for cohort in cohorts}
        each |= only or {}
        if measure.parts or measure.kind == PARTICIPANTS:
            published: dict[Any, float] = {(name, cohort): value for cohort, value in each.items()}
            return self.settle(self.expected, published | {(name, None): result})
        counts = dict(self.expected)
        for cohort, value in each.items():
            number = self._count(name, measure, value, cohort)
            score = outcome_of(self.deal, measure.outcome)[0].counts == "score"
            counts[measure.outcome, cohort] = number if score else max(number, 0.0)
        return self.settle(counts, {})

    def _count(self, name: str, measure: Measure, value: float, cohort: str) -> float:
        if measure.kind == "count":
            return value
        if measure.kind in {"share", "mean"}:
            return value * self.people[cohort]
        base = self._base(name, cohort)
        better = value * {"units": 1.0, "per person": self.people[cohort], "share": base}[measure.as_]
        return base + better if measure.kind == "increase" else base - better

    def _result(self, name: str, clause: Clause, level: float | None) -> float | None:
        """Value of a measure where its outcome has a level a person in all cohorts; None where that says nothing."""
        measure = measure_of(self.deal, name)
        if level is None or measure.parts or measure.kind == PARTICIPANTS or not self.ran:
            return None
        within = self._scope(name, clause)
        people = sum(self.people[cohort] for cohort in within)
        ours = level * sum(sum(self._in_time(measure.outcome, cohort)) for cohort in within)
        if measure.kind == "count":
            return ours
        if measure.kind in {"share", "mean"}:
            return ours / people
        base = sum(self._base(name, cohort) for cohort in within)
        better = ours - base if measure.kind == "increase" else base - ours
        whole = {"units": 1.0, "per person": people, "share": base}[measure.as_]
        return better / whole if whole > 0 else None

    def _marks(self, driver: str, clause: Clause) -> dict[float, str]:
        """Results to try, with what they are: failure, expected, promised, the clause's bounds, and beyond."""
        measure = measure_of(self.deal, driver)
        marks: dict[float, str] = {}

        def mark(value: float | None, what: str) -> None:
            if value is None:
                return
            near = [each for each in marks if abs(value - each) <= 1e-9 * max(1.0, abs(value))]
            if near and what not in {"nothing", "stretch"}:
                marks[near[0]] += f", {what}"
            elif not near:
                marks[value] = what

        if measure.parts:
            mark(self._probed(driver, clause, self._counts(self._without)), "no effect")
            mark(self._probed(driver, clause, self.expected), "expected")
        elif measure.kind != PARTICIPANTS:
            outcome, step = outcome_of(self.deal, measure.outcome)
            mark(self._result(driver, clause, self._without(measure.outcome)), "no effect")
            if step is None and outcome.promised_effect is not None:
                effect, without = (
                    self._value("outcomes", measure.outcome, "promised_effect"),
                    self._without(measure.outcome),
                )
                level = without + effect if outcome.effect_as == "units" else without * (1 + effect)
                mark(self._result(driver, clause, level), "promised")
            mark(self._result(driver, clause, self._with_service(measure.outcome)), "expected")
        for bound in self._bounds(driver, clause):
            mark(bound, "a bound")
        if not marks and measure.kind == PARTICIPANTS:
            mark(float(sum(self.people[cohort] for cohort in self._scope(driver, clause))), "expected")
        mark(0.0, "nothing")
        best, worst = max(marks), min(marks)
        if self._better(driver) > 0:
            mark(self._within(driver, clause, best + 0.5 * (best - worst)), "stretch")
        else:
            mark(max(worst - 0.5 * (best - worst), 0.0), "stretch")
        return dict(sorted(marks.items()))

    def _probed(self, driver: str, clause: Clause, counts: Mapping[tuple[str, str], float]) -> float | None:
        """Value of a measure that is composed of others, where outcomes are such; by what one unit of it would be paid.

        None where it is not above zero.
        """
        pooled = clause.for_ != "each cohort" or self._together(driver, clause)
        for_ = "all cohorts that ran" if pooled else "each cohort"
        probe = Clause(
            for_=for_, cohorts=self._scope(driver, clause), amount=Amount(price=parse(1, "money"), times=driver)
        )
        probing = _Structure(self.whole, self.name, {"probe": probe})
        return probing.settle(counts, {}).metrics["payments"] or None

    def _within(self, name: str, clause: Clause, value: float) -> float:
        """Keep a stretch possible: no more people than there are."""
        measure = measure_of(self.deal, name)
        if measure.kind == "share":
            return min(value, 1.0)
        if measure.kind == "count" and outcome_of(self.deal, measure.outcome)[0].counts in {"yes or no", "milestones"}:
            able = (sum(self._in_time(measure.outcome, cohort)) for cohort in self._scope(name, clause))
            return min(value, float(sum(able)))
        if measure.kind == "reduction" and measure.as_ == "share":
            return min(value, 1.0)
        return value

    def _better(self, name: str) -> int:
        """1 where more of a measure is better, -1 where less is."""
        measure = measure_of(self.deal, name)
        if measure.kind in {"reduction", "increase"} or measure.parts or measure.kind == PARTICIPANTS:
            return 1
        return 1 if outcome_of(self.deal, measure.outcome)[0].better == "more" else -1

    def _bounds(self, driver: str, clause: Clause) -> list[float]:
        """Bounds of a clause on a measure: of its triggers, its table and its bands."""
        name = next(key for key, each in self.pays.items() if each is clause)
        here: Path = ("structures", self.name, "pays", name)
        found = [self._value(*here, key, driver) for key in ("when", "any_of") if driver in getattr(clause, key)]
        amount = clause.amount
        if amount.by == driver and amount.table is not None:
            found += [self._value(*here, "amount", "table", "points", i, 0) for i in range(len(amount.table.points))]
        if amount.times == driver and amount.bands is not None:
            found += [self._value(*here, "amount", "bands", i, 0) for i in range(len(amount.bands))]
        return found

    # -- Terms ------------------------------------------------------------------------------------------

    def terms(self, name: str) -> Terms:
        """Say one clause."""
        clause = self.pays[name]
        gates = [*filter(None, [clause.amount.by]), *clause.when, *clause.any_of, *filter(None, [clause.amount.times])]
        driver = next((gate for gate in gates if not reads_account(self.deal, gate)), None)
        sentence = self._sentence(clause)
        if driver is None or not self.ran:
            return Terms(name, sentence, None, (), (), ())
        rows = []
        for result, what in self._marks(driver, clause).items():
            ledger = self.at(driver, result, clause)
            then = None if clause.amount.until is None else self._after.paid(name, driver, result)
            rows.append(PayOff(result, what, _paid(ledger, name), then, ledger.metrics["payments"]))
        cliffs, perverse = self._cliffs(name, driver, clause, rows)
        perverse += self._perverse_cohorts(name, clause)
        return Terms(name, sentence, driver, tuple(rows), tuple(cliffs), tuple(dict.fromkeys(perverse)))

    def _cliffs(self, name: str, driver: str, clause: Clause, rows: list[PayOff]) -> tuple[list[str], list[str]]:
        most = max(row.structure for row in rows)
        sign = self._better(driver)
        cliffs: list[str] = []
        perverse: list[str] = []
        shown = {row.result: row for row in rows}
        for bound in sorted(set(self._bounds(driver, clause))):
            step = self._beside(driver, bound)
            sides = [self.at(driver, bound + side * step, clause).metrics["payments"] for side in (-1, 0, 1)]
            before, after = (sides[0], sides[2]) if sign > 0 else (sides[2], sides[0])
            slope = abs(self.at(driver, bound + 2 * sign * step, clause).metrics["payments"] - after)
            if abs(after - before) > _CLIFF * most + 4 * slope:
                # what is said of the side that the bound is on is the bound's own, as in its row
                if abs(sides[1] - before) < abs(sides[1] - after):
                    before = sides[1]
                else:
                    after = sides[1]
                at = _show(self.deal, driver, bound)
                words = f"at {driver} {at} payments go from {_money(before)} to {_money(after)}"
                (cliffs if after >= before else perverse).append(words)
        ordered = [shown[result] for result in sorted(shown, reverse=sign < 0)]
        for worse, better in pairwise(ordered):
            if better.structure < worse.structure - 1e-6 * max(most, 1.0):
                perverse.append(
                    f"{driver} {_show(self.deal, driver, better.result)} is paid {_money(better.structure)}, less than "
                    f"{_money(worse.structure)} at {_show(self.deal, driver, worse.result)}"
                )
        return cliffs, perverse

    def _beside(self, driver: str, bound: float) -> float:
        """How far beside a bound the other side is tried: a measure that is rounded has to leave its step."""
        step = _JUST if is_share(self.deal, driver) else _JUST * max(1.0, abs(bound))
        rounded = measure_of(self.deal, driver).rounded
        return step if rounded is None else max(step, self._value("measures", driver, "rounded"))

    def _perverse_cohorts(self, name: str, clause: Clause) -> list[str]:
        """Find where one cohort that meets its own bound costs more than it brings, since another clause falls away."""
        found = []
        for other in clause.unless:
            single = self.pays[other]
            if single.for_ != "each cohort" or clause.for_ != "all cohorts that ran" or len(self.ran) < 2:
                continue
            for driver in single.when:
                words = self._worst_pair(driver, single)
                found += [words] if words else []
        return found

    def _worst_pair(self, driver: str, single: Clause) -> str | None:
        """Say the greatest fall in payments as one cohort crosses its bound beside others at a common result."""
        bound, sign = self._bounds(driver, single)[0], self._better(driver)
        step = self._beside(driver, bound)
        cohort, others = self.ran[0], self.ran[1:]
        worst: tuple[float, float, float, float] | None = None
        for i in range(1, 41):
            rest = bound - sign * (step + (i - 1) * max(abs(bound), step) / 40)
            below, above = (
                self.at(driver, rest, single, {cohort: bound + side * sign * step}).metrics["payments"]
                for side in (-1, 1)
            )
            if above < below - 1e-6 * max(below, 1.0) and (worst is None or above - below < worst[0]):
                worst = (above - below, rest, below, above)
        if worst is None:
            return None
        _, rest, below, above = worst
        low, high = (_show(self.deal, driver, bound + side * sign * step) for side in (-1, 1))
        return (
            f"with {listed(others)} at {driver} {_show(self.deal, driver, rest)}, {cohort} at {high} is paid "
            f"{_money(above)} in all, at {low} {_money(below)}"
        )

    def paid(self, name: str, driver: str, result: float) -> float:
        """What a clause pays at one result."""
        return _paid(self.at(driver, result, self.pays[name]), name)

    @cached_property
    def _after(self) -> _Structure:
        """The structure once every return at which a clause changes is reached."""
        pays = {}
        for name, clause in self.pays.items():
            amount, then = clause.amount, clause.amount.then
            key = "share" if amount.share is not None else "price"
            changed = amount if then is None else amount.model_copy(update={key: then, "until": None, "then": None})
            pays[name] = clause.model_copy(update={"amount": changed})
        return _Structure(self.whole, self.name, pays)

    @cached_property
    def _free(self) -> _Structure:
        """The structure without limits in common."""
        full = self.full.model_copy(update={"at_most": Caps(), "payers": None})
        whole = self.whole.model_copy(update={"structures": {self.name: full}})
        return _Structure(whole, self.name)

    def curve(self, name: str, points: int) -> Curve | None:
        """Pay over the results of a clause, and just beside and on each of its bounds."""
        clause = self.pays[name]
        found = self.terms(name)
        if found.driver is None or len(found.pay_offs) < 2:
            return None
        low, high = (edge(row.result for row in found.pay_offs) for edge in (min, max))
        results = {low + (high - low) * i / (points - 1) for i in range(1, points - 1)}
        results |= {row.result for row in found.pay_offs}
        rounded = measure_of(self.deal, found.driver).rounded is not None
        for each in self.pays.values():
            for bound in self._bounds(found.driver, each):
                step = self._beside(found.driver, bound) if rounded else 1e-5 * (high - low)
                results |= {at for at in (bound - step, bound, bound + step) if low <= at <= high}
        together = [(at, self.at(found.driver, at, clause).metrics["payments"]) for at in sorted(results)]
        least, most = (edge(paid for _, paid in together) for edge in (min, max))
        whole = least <= _HIDES * most
        alone = [] if whole else [(at, self._free.paid(name, found.driver, at)) for at in sorted(results)]
        return Curve(tuple(together if whole else alone), whole, least, most)

    # -- Sentences --------------------------------------------------------------------------------------

    def _sentence(self, clause: Clause) -> str:
        start = {
            "each participant": "For each participant",
            "each cohort": "For each cohort",
            "all cohorts that ran": "Once, for all cohorts that ran",
            "the contract": "For the contract",
        }[clause.for_]
        if clause.cohorts:
            of = listed(clause.cohorts)
            start = f"For each of {of}" if clause.for_ == "each cohort" else f"{start} of {of}"
        parts = [start]
        if clause.when:
            parts.append(f"if {listed(f'{name} is {bound.text()}' for name, bound in clause.when.items())}")
        if clause.any_of:
            either = listed((f"{name} is {bound.text()}" for name, bound in clause.any_of.items()), "or")
            parts.append(f"{'and' if clause.when else 'if'} {either}")
        words = " ".join(parts) + f", {self._payers(clause)} {self._amount(clause)}"
        if clause.due == "at an early end":
            words += ", if service ends early" + (
                "" if clause.ended_by is None else f" by {listed(clause.ended_by, 'or')}"
            )
        elif clause.due != "when known":
            words += f", {clause.due}"
        if clause.indexed is not None:
            words += f", rising by {clause.indexed.a_year.text()} a year from {clause.indexed.from_.text()}"
        if self.deal.time.prices == "real":
            words += f", in prices of {self.deal.time.start.text()}"
        if clause.rounded is not None:
            words += f", rounded {clause.rounded.text()}"
        if clause.at_least is not None:
            words += f", at least {self._sum(clause.at_least)}"
        if clause.less:
            words += f", less what was paid before under {listed(map(repr, clause.less))}"
        if clause.at_most is not None:
            limits = []
            if clause.at_most.payments is not None:
                limits.append(self._sum(clause.at_most.payments))
            if clause.at_most.outcomes is not None:
                limits.append(f"{clause.at_most.outcomes.text()} of them")
            words += f", at most {listed(limits)}"
        if clause.only_if:
            words += f"; only if {listed(map(repr, clause.only_if), 'or')} was met before"
        if clause.unless:
            words += f"; unless {listed(map(repr, clause.unless), 'or')} was met"
        return words + "."

    def _payers(self, clause: Clause) -> str:
        own = next(name for name, each in self.pays.items() if each is clause)
        payers = [name for name, each in payers_of(self.full).items() if not each.of or own in each.of]
        if len(payers) == 1:
            return f"{payers[0]} pays"
        return f"{listed(payers)} pay"

    def _sum(self, quantity: Quantity) -> str:
        """Write a sum of money; one that has a name with its mean."""
        text = quantity.text()
        if quantity.kind == "named":
            found = quantity_of(self.deal, quantity)
            return f"the {text} ({'' if found.is_fixed else 'about '}{self.deal.currency} {_plain(found.mean())})"
        return f"{self.deal.currency} {_plain(quantity.value)}" if quantity.is_fixed else text

    def _amount(self, clause: Clause) -> str:
        amount = clause.amount
        words = self._first_amount(clause)
        if amount.until is None or amount.then is None:
            return words
        ((who, enough),) = amount.until.items()
        then = amount.then.text() if amount.share is not None else self._sum(amount.then)
        return f"{words} until {who} have had {had(enough)}, and {then} from there on"

    def _first_amount(self, clause: Clause) -> str:
        amount = clause.amount
        per = "" if amount.per is None else f" {amount.per.text()} of"
        if amount.price is not None:
            each = f"each{per}" if per else "each unit of"
            if clause.for_ == "each participant":
                return f"{self._sum(amount.price)} for each {amount.times}"
            return f"{self._sum(amount.price)} for {each} {amount.times}"
        if amount.share is not None:
            return f"{amount.share.text()} of {amount.times}"
        if amount.bands is not None:
            rates = [
                f"{rate.text() if rate.unit == 'share' else _plain(self._mean(rate))} from {level.text()}"
                for level, rate in amount.bands
            ]
            unit = f"for each{per or ' unit of'}" if per or amount.bands[0][1].unit != "share" else "of"
            return f"{unit} {amount.times} {listed(rates)}"
        times = f" for each{per or ' unit of'} {amount.times}" if amount.times is not None else ""
        if amount.lump_sum is not None:
            return f"{self._sum(amount.lump_sum)}{times}"
        table = amount.table
        assert table is not None
        return f"by {amount.by}: {table_words(table, Quantity.text, self._sum)}{times}"

    def _mean(self, quantity: Quantity) -> float:
        return quantity_of(self.deal, quantity).mean()

    @property
    def around(self) -> list[str]:
        """Say what holds for all clauses."""
        return [*([f"In all, {self.limits}"] if self.limits else []), *ending_words(self.whole, self.name)]

    @property
    def limits(self) -> str:
        """Say the caps of the structure."""
        caps = self.full.at_most
        found = []
        if caps.per_person is not None:
            found.append(f"{self._sum(caps.per_person)} a participant (not in the tables above)")
        if caps.year is not None:
            found.append(f"{self._sum(caps.year)} in a financial year, the rest {caps.over_the_year}")
        if caps.contract is not None:
            found.append(f"{self._sum(caps.contract)} under the contract")
        words = [f"at most {listed(found)}"] if found else []
        if not pay_shares(self.full):
            words.append("; ".join(self._payer(name, each) for name, each in payers_of(self.full).items()))
        return f"{'; '.join(words)}." if words else ""

    def _payer(self, name: str, payer: Payer) -> str:
        """Say what one payer pays."""
        words = f"{name} pays " + ("what is left" if payer.share is None else payer.share.text())
        if payer.of:
            words += f" of {listed(map(repr, payer.of))}"
        if payer.from_ is not None:
            words += f" from {payer.from_.text()}"
        if payer.until is not None:
            words += f" until {payer.until.text()}"
        if payer.at_most_a_year is not None:
            carried = ", the rest carried forward" if payer.over_the_year == "carried forward" else ""
            words += f", at most {self._sum(payer.at_most_a_year)} in a financial year{carried}"
        return words if payer.at_most is None else f"{words}, at most {self._sum(payer.at_most)} in all"
