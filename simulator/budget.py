"""The most that an outcomes contract can cost its payers, by financial year: an upper bound that no draw exceeds.

It follows from caps, prices, the number of people and the calendar alone. It need not be reached: clauses that exclude
each other are added, and what can fall due in several years counts in full in each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator import clauses as c
from simulator import outcomes as o
from simulator import waterfall as w
from simulator.ledger import CAPITAL_CALLED, CAPITAL_OUTSTANDING, YEARS_SO_FAR
from simulator.plan import Plan

_NO_BOUND = 1e12  # legal bounds from here on only keep arithmetic exact


def contractual_maximum(plan: Plan, name: str, *, whole: bool = False) -> tuple[list[float | None], str | None]:
    """Bound the cash of all payers: payments and the payers' own costs.

    Parameters
    ----------
    plan
        The compiled deal.
    name
        A payment structure.
    whole
        Bound all years together instead of each.

    Returns
    -------
    bounds : list
        Money by financial year (one for all if `whole`), None where the contract sets no bound.
    reason : str or None
        Why there is no bound, where one is missing.
    """
    terms = _Terms(plan, name)
    years = [terms.periods] if whole else [terms.in_year(y) for y in range(len(plan.years))]
    bounds: list[float | None] = []
    reason = None
    for periods in years:
        most, why = terms.most(periods)
        bounds.append(None if math.isinf(most) else most)
        reason = reason or (why if math.isinf(most) else None)
    return bounds, reason


@dataclass
class _Terms:
    """The bounds of one structure."""

    plan: Plan
    name: str

    def __post_init__(self) -> None:
        """Read the terms, and the delay of payment at its least and most."""
        plan, calendar = self.plan, self.plan.calendar
        self.terms = plan.structures[self.name]
        self.T, self.first, self.last = calendar.periods, calendar.first, calendar.last
        self.periods = range(self.T + 1)
        low, high = self._range(self.terms.paid_after_at)
        steps = (math.ceil(min(each, 1e6) / calendar.step - 1e-9) for each in (low, high))
        self.soonest, self.latest = steps
        self.people = {i: self._people(i) for i in range(plan.cohorts.size)}
        self.can_stop = plan.hazard_at >= 0 or bool(self.terms.finance.has and self.terms.finance.stops_referrals)
        self.can_stop = self.can_stop or self.terms.breaks.size > 0

    def in_year(self, y: int) -> range:
        """Periods of a financial year."""
        inside = [t for t in self.periods if self.plan.calendar.year[t] == y]
        return range(inside[0], inside[-1] + 1)

    def most(self, periods: range) -> tuple[float, str | None]:
        """Bound the cash that can move in some periods, and say what has no bound."""
        payments, why = self._payments(periods)
        own, why_own = self._own_costs(periods)
        return payments + own, why or why_own

    def _range(self, at: int) -> tuple[float, float]:
        if at < 0:
            return 0.0, 0.0
        column = self.plan.columns[at]
        low, high = column.quantity.support()
        low, high = max(low, column.low), min(high, column.high)
        return low, math.inf if high >= _NO_BOUND else high

    def _most(self, at: int) -> float:
        return self._range(at)[1]

    def _growth(self, at: int, years: float) -> float:
        """Largest rise over some years; without bound where the yearly rate has none but what is legal."""
        column = self.plan.columns[at]
        high = column.quantity.support()[1]
        if high > column.high and years > 0.0:
            return math.inf
        return float((1.0 + max(min(high, column.high), -1.0)) ** years)

    def _people(self, cohort: int) -> float:
        row = self.plan.cohorts[cohort]
        planned, share = self._most(row["people_at"]), self._most(row["referrals_at"])
        return math.floor(planned * share + 0.5) if math.isfinite(planned * share) else math.inf

    # -- payments ----------------------------------------------------------------------------------------------

    def _settled_for(self, periods: range) -> list[int]:
        """Periods of settlement whose payment can arrive in these; what is late arrives at the end."""
        return [
            t
            for t in range(1, self.T + 1)
            if min(t + self.soonest, self.T) <= periods[-1] and min(t + self.latest, self.T) >= periods[0]
        ]

    def _payments(self, periods: range) -> tuple[float, str | None]:
        settled = self._settled_for(periods)
        due = list(range(1, max(settled, default=0) + 1)) if self._carries() else settled
        total, why = 0.0, None
        by_person = 0.0
        for k, clause in enumerate(self.terms.clauses):
            label = self.plan.clause_names[self.name][k]
            most, reason = self._clause(clause, due)
            most = min(most, self._cap(clause["cap_at"]))
            if math.isinf(most):
                why = why or f"{label}: {reason}"
            if clause["scope"] == c.EACH_PARTICIPANT:
                by_person += most
            else:
                total += most
        per_person = self.plan.per_person_cap[self.name]
        if per_person >= 0:
            by_person = min(by_person, _times(sum(self.people.values()), self._most(per_person)))
        total += by_person
        total = min(total, self._cap(self.terms.contract_cap_at))
        if self.terms.year_cap_at >= 0:
            years = {int(self.plan.calendar.year[t]) for t in settled}
            total = min(total, _times(len(years), self._most(self.terms.year_cap_at)))
        return total, why

    def _carries(self) -> bool:
        """Whether what falls due in one year may be paid in a later one because of a limit."""
        return bool(self.terms.carried_forward) or bool(np.any(self.terms.payers["carries"]))

    def _cap(self, at: int) -> float:
        return self._most(at) if at >= 0 else math.inf

    def _clause(self, clause: Any, settled: list[int]) -> tuple[float, str]:
        """Bound what one clause can owe in some periods of settlement, before the caps of the structure."""
        rise = max((self._rise(clause, t) for t in settled), default=1.0)
        if math.isinf(rise):
            return math.inf, "it rises at a rate that has no largest value"
        if clause["due"] == c.AT_AN_EARLY_END:
            if not (self.can_stop and any(self.first < t <= self.last for t in settled)):
                return 0.0, ""
            most = max(map(self._most, self._table(clause))) if clause["by"] >= 0 else self._most(clause["rate_at"])
            if clause["times"] >= 0:
                most = _times(most, max(self._measure(clause["times"], 0.0), 0.0))
                most /= self._range(clause["per_at"])[0] if clause["per_at"] >= 0 else 1.0
            return _times(most, rise), "compensation for an early end is not limited"
        if clause["scope"] == c.CONTRACT:
            return _times(self._fee(clause, settled), rise), "the fee has no largest value"
        if not any(t >= self._earliest(clause["outcome"]) for t in settled):
            return 0.0, ""
        if clause["scope"] != c.EACH_PARTICIPANT:
            amount, why = self._group_clause(clause)
            return _times(amount, rise), why
        number = self._outcomes(clause["outcome"], sum(self.people.values()))
        rate = self._most(clause["rate_at"])
        number = min(number, self._cap(clause["outcome_cap_at"]))
        what = "its price has no largest value" if math.isinf(rate) else "the number that it pays for is not limited"
        return _times(number, _times(rate, rise)), what

    def _rise(self, clause: Any, t: int) -> float:
        """Largest rise of indexed amounts in a period."""
        if clause["index_at"] < 0:
            return 1.0
        if clause["base"] == c.BY_PERIOD:
            return self._growth(clause["index_at"], t / self.plan.calendar.a_year)
        years = max(math.floor((t * self.plan.calendar.step - 1.0 - clause["base"]) / 12.0), 0)
        return self._growth(clause["index_at"], years)

    def _group_clause(self, clause: Any) -> tuple[float, str]:
        """Bound what a clause for cohorts can owe in all."""
        groups = list(self.people.values())
        if clause["scope"] == c.POOLED:
            groups = [sum(groups)]
        least = self._most(clause["least_at"]) if clause["least_at"] >= 0 else 0.0
        if clause["by"] >= 0:
            rate = max(self._most(at) for at in self._table(clause))
        else:
            rate = self._most(clause["rate_at"])
        if clause["then_at"] >= 0:
            rate = max(rate, self._most(clause["then_at"]))
        if clause["times"] < 0:
            return _times(float(len(groups)), max(rate, least)), "its amount has no largest value"
        numbers = [max(self._measure(clause["times"], people), 0.0) for people in groups]
        unit = self._range(clause["per_at"])[0] if clause["per_at"] >= 0 else 1.0
        if clause["is_bands"]:
            amounts = [self._bands(clause, number) / unit for number in numbers]
            return sum(max(amount, least) for amount in amounts), "what its bands pay for is not limited"
        number = min(sum(numbers), self._cap(clause["outcome_cap_at"]))
        what = "its price has no largest value" if math.isinf(rate) else "the number that it pays for is not limited"
        return _times(number, rate) / unit + (_times(float(len(groups)), least)), what

    def _bands(self, clause: Any, level: float) -> float:
        """Most that bands can pay up to a level."""
        points = self.terms.points[clause["first_point"] : clause["end_point"]]
        ends = [self._range(point["level_at"])[1] for point in points[1:]]
        total = 0.0
        for point, end in zip(points, [*ends, math.inf], strict=True):
            part = max(min(level, end) - self._range(point["level_at"])[0], 0.0)
            total += _times(part, self._most(point["amount_at"]))
        return total

    def _earliest(self, outcome: int) -> int:
        """First period in which anybody's outcome can be known, or is known to come too late to be claimed."""
        plan, months, each = self.plan, 0.0, outcome
        while each >= 0:
            months += self._range(plan.outcomes[each]["after_at"])[0]
            each = plan.outcomes[each]["parent"] if plan.outcomes[each]["kind"] == o.MILESTONE else -1
        lag = max(0, math.ceil(months / plan.calendar.step - 0.5 - 1e-9))
        known = self.T + 1
        for block in plan.blocks:
            claim = int(plan.cohorts[block["cohort"]]["claim"])
            known = min(known, int(block["last"]) + lag, max(claim, int(block["last"])))
        return known

    def _table(self, clause: Any) -> list[int]:
        points = self.terms.points[clause["first_point"] : clause["end_point"]]
        extra = [int(clause["above_at"])] if clause["above_at"] >= 0 else []
        return [int(clause["below_at"]), *(int(point["amount_at"]) for point in points), *extra]

    def _fee(self, clause: Any, settled: list[int]) -> float:
        fee = self._most(clause["rate_at"])
        if clause["due"] == c.WHEN_REFERRED:
            free = self._range(clause["above_people_at"])[0]
            everybody = sum(self.people.values())
            new = sum(self._referred_in(range(t, t + 1)) for t in settled)
            return _times(max(min(new, everybody, everybody - free), 0.0), fee)
        length = self.last - self.first + 1
        if clause["due"] == c.EVENLY:
            share = sum(self.first <= t <= self.last for t in settled) / length
        elif clause["due"] == c.AT_THE_START:
            share = float(1 in settled)
        else:
            share = float(self.last in settled or (self.can_stop and any(self.first < t <= self.last for t in settled)))
        return _times(share, fee)

    def _outcomes(self, outcome: int, people: float) -> float:
        """Most outcomes that can be verified among some people; of events, amounts and scores there is no most."""
        counted = self.plan.outcomes[outcome]["kind"] in (o.YES_OR_NO, o.MILESTONE)
        return people if counted or people == 0 else math.inf

    def _measure(self, m: int, people: float) -> float:
        """Most that a measure can be for some people, limited and rounded as it says."""
        row = self.plan.measures.rows[m]
        if row["so_far"]:
            people = float(sum(self.people.values()))
        most = self._composed(row, people) if row["kind"] >= c.COMPOSED else self._single(row, people)
        if row["divisor_at"] >= 0:
            most /= self._range(row["divisor_at"])[0]
        if row["least_at"] >= 0:
            most = max(most, self._most(row["least_at"]))
        if row["most_at"] >= 0:
            most = min(most, self._most(row["most_at"]))
        return most if row["rounded"] == c.NOT_ROUNDED else most + self._most(row["step_at"])

    def _composed(self, row: Any, people: float) -> float:
        """Most that a ratio, a sum or a choice can be; what is taken off a sum is taken to be nothing."""
        parts = self.plan.measures.parts[row["first_part"] : row["end_part"]]
        if row["kind"] == c.P_VALUE:
            return 1.0
        if row["kind"] == c.CHOICE:
            return max(self._measure(part["measure"], people) for part in parts[:2])
        if row["kind"] == c.SUM:
            total = 0.0
            for part in parts:
                low, high = self._range(part["weight_at"])
                if low < 0.0 and not self._counts(part["measure"]):
                    return math.inf
                total += _times(max(self._measure(part["measure"], people), 0.0), max(high, 0.0))
            return total
        # over a number of people or of yes/no outcomes, which is at least one where it is not nothing
        return self._measure(parts[0]["measure"], people) if self._counts(parts[1]["measure"]) else math.inf

    def _counts(self, m: int) -> bool:
        """Whether a measure is a plain number of people or of yes/no outcomes."""
        row = self.plan.measures.rows[m]
        plain = row["divisor_at"] < 0 and row["least_at"] < 0 and row["most_at"] < 0 and row["rounded"] == c.NOT_ROUNDED
        if row["kind"] == c.PEOPLE:
            return bool(plain)
        once = row["kind"] == c.COUNT and self.plan.outcomes[row["outcome"]]["kind"] in (o.YES_OR_NO, o.MILESTONE)
        return bool(plain and once)

    def _single(self, measure: Any, people: float) -> float:
        """Most that a measure of one outcome can be; a reduction is at most all of what it is compared with."""
        if measure["kind"] == c.PEOPLE:
            return people
        if measure["kind"] == c.ACCOUNT:
            return self._account(measure)
        outcome = self.plan.outcomes[measure["outcome"]]
        ours = self._outcomes(measure["outcome"], people)
        if measure["kind"] == c.COUNT or people == 0:
            return ours
        if measure["kind"] == c.SHARE:
            return 1.0 if ours == people < math.inf else ours
        least, most = self._compared_with(measure, outcome)
        if measure["sign"] < 0:
            a_person = math.inf if outcome["kind"] == o.SCORE else most
            share = math.inf if outcome["kind"] == o.SCORE else 1.0
        else:
            a_person = 1.0 if ours == people else math.inf
            share = max(a_person / least - 1.0, 0.0) if least > 0.0 else math.inf
        if measure["kind"] == c.DIFFERENCE_SHARE:
            return share
        return a_person if measure["kind"] == c.DIFFERENCE_MEAN else _times(people, a_person)

    def _account(self, measure: Any) -> float:
        """Most that an account can be: capital is at most what was committed, years those of the deal."""
        rows = self.plan.measures.rows
        which = next(int(each) for m, each in self.terms.accounts if rows[m] == measure)
        if which in (CAPITAL_CALLED, CAPITAL_OUTSTANDING):
            return float(sum(self._most(tranche["commitment_at"]) for tranche in self.terms.finance.tranches))
        return self.T / self.plan.calendar.a_year if which == YEARS_SO_FAR else math.inf

    def _compared_with(self, measure: Any, outcome: Any) -> tuple[float, float]:
        """Least and greatest level a person with which an outcome is compared."""
        if measure["against"] == c.LEVEL:
            return self._range(measure["level_at"])
        if measure["against"] == c.BASELINE and outcome["resets_every_at"] < 0:
            return self._range(outcome["baseline_at"])
        return 0.0, 1.0 if outcome["kind"] in (o.YES_OR_NO, o.MILESTONE) else math.inf

    # -- the payers' own costs ---------------------------------------------------------------------------------

    def _own_costs(self, periods: range) -> tuple[float, str | None]:
        total, why = 0.0, None
        rise = 1.0
        if self.plan.calendar.costs_rise_at >= 0:
            at = self.plan.calendar.costs_rise_at
            rise = max(self._growth(at, t / self.plan.calendar.a_year) for t in periods)
        for cost in self.terms.costs:
            if cost["party"] != w.PAYER:
                continue
            amount = self._most(cost["amount_at"])
            if cost["overrun_at"] >= 0:
                amount = _times(amount, 1.0 + self._most(cost["overrun_at"]))
            if cost["replacement"] == 1:  # once, whenever the provider fails
                most = amount if any(self.first <= t <= self.last for t in periods) else 0.0
            elif cost["form"] == w.A_YEAR:
                inside = [t for t in periods if self.first <= t <= self.last]
                most = _times(len(inside) / self.plan.calendar.a_year, amount)
            elif cost["form"] == w.PER_PERSON:
                most = _times(self._referred_in(periods), amount)
            elif cost["form"] == w.START:
                most = amount if 1 in periods else 0.0
            else:
                at_the_end = self.last in periods
                early = self.can_stop and any(self.first < t <= self.last for t in periods)
                most = amount if at_the_end or early else 0.0
            most = _times(most, rise)
            if math.isinf(most):
                why = why or "the payers' own costs have no largest value"
            total += most
        return total, why

    def _referred_in(self, periods: range) -> float:
        total = 0.0
        for i, cohort in enumerate(self.plan.cohorts):
            first = self.plan.blocks[cohort["first_block"]]["first"]
            last = self.plan.blocks[cohort["end_block"] - 1]["last"]
            if first <= periods[-1] and last >= periods[0]:
                total += self.people[i]
        return total


def _times(number: float, amount: float) -> float:
    """A product in which nothing times no bound is nothing."""
    return 0.0 if number == 0 or amount == 0 else number * amount
