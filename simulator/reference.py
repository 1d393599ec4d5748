"""The readable twin: one draw of one payment structure, played in plain Python from the deal itself.

It reads the description of a deal, the value of every number in this draw and what happened to the people,
and writes a ledger: every movement of money with its date and the reason for its amount. It is slow and meant
to be read; the fast kernels are compared with it draw by draw, so it shares no code with them.

Within a period: costs fall; clauses are settled; payments arrive; what is not needed goes to the investors;
capital is called for the periods ahead; and if that is not enough, referrals may stop.

Conventions: money is nominal and in the deal's currency, a flow at ``t`` stands at the end of period ``t`` (0
is the start), present values are at the start, the rate of return is annual and effective, and the multiple
is what investors were paid over the capital that was called (gross: a call and a repayment on one day do not
cancel).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from simulator.agreement import Agreement
from simulator.deal import (
    ACCOUNT,
    INVESTORS,
    PARTICIPANTS,
    Clause,
    Costs,
    Deal,
    Finance,
    Measure,
    Payer,
    Table,
    Worded,
    has_agreed_price,
    is_share,
    measure_of,
    outcome_of,
    outcomes_read,
    pay_shares,
    payers_of,
    service_periods,
)
from simulator.holding import Holding

__all__ = ["Block", "Entry", "Happened", "Ledger", "Test", "limited", "meets", "play"]

Path = tuple[str | int, ...]
Key = tuple[str, str | None]
"""A clause, and the cohort that it is settled for (None: all of them together)."""

VEHICLE = "vehicle"
PROVIDER = "service provider"
OTHERS = "others"
SERVICE = "service"
PAYERS = "outcome payers"
OWN_COSTS = "payers' own costs"
_ROLES = {VEHICLE, INVESTORS, PROVIDER, OTHERS, SERVICE, PAYERS, OWN_COSTS}
POLICY_CHANGE = "policy change"
NO_MONEY = "no money"
_ROUNDING = 1e-9
_KINDS_OF_COST = ("set_up", "delivery", "management", "evaluation")


# ---------------------------------------------------------------------------------------------------------
# What goes in and what comes out
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """People of one cohort who were referred in periods `first` to `last`.

    Parameters
    ----------
    cohort
        Name of the cohort.
    first, last
        First and last period of referral.
    people
        How many were referred.
    when
        For each outcome the period in which it is known.
    verified
        Outcomes with accepted evidence, in number (0 where they came after the last claim).
    true, without
        The true number of outcomes with and without the service.
    persons
        For each person the verified outcomes as (outcome, period of achievement, number), in any order;
        needed for a cap per person.
    before
        What was measured of the same people before the service.
    """

    cohort: str
    first: int
    last: int
    people: int
    when: Mapping[str, int]
    verified: Mapping[str, float]
    true: Mapping[str, float]
    without: Mapping[str, float]
    persons: Sequence[Sequence[tuple[str, int, float]]] | None = None
    before: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Happened:
    """What happened in one draw, or in the world.

    Parameters
    ----------
    blocks
        The people who were referred, and their outcomes.
    arms
        For (outcome, cohort) the comparison arm: total of the outcome, and effective number of people.
    baselines
        For (outcome, cohort) the contract's baseline in force, where it is not the one of the deal file.
    stop
        Last period of service if the deal was ended early; None if it was not.
    published
        Values of measures that are taken as they are, by (measure, cohort); cohort None is all that ran. A part of
        a measure over the cohorts so far stands under its name followed by " (so far)".
    drawdowns, costs
        Capital that was really called and what the vehicle really spent, by period, where that is known.
    """

    blocks: Sequence[Block]
    arms: Mapping[tuple[str, str], tuple[float, float]]
    stop: int | None = None
    published: Mapping[tuple[str, str | None], float] = field(default_factory=dict)
    baselines: Mapping[tuple[str, str], float] = field(default_factory=dict)
    drawdowns: Mapping[int, float] | None = None
    costs: Mapping[int, float] | None = None


@dataclass(frozen=True)
class Entry:
    """One movement of money, or one clause that fell due and paid nothing (amount 0).

    `account` is the vehicle's wherever the vehicle is a party, otherwise that of whoever pays;
    `account_after` is what stands on it afterwards. `limited_by` names the last cap that cut the amount:
    per person, outcomes, clause, contract, year or payer.
    """

    period: int
    date: str
    clause: str | None
    payer: str | None
    from_: str
    to: str
    amount: float
    account: str
    account_after: float
    limited_by: str | None
    reason: str
    cohort: str | None = None


@dataclass(frozen=True)
class Test:
    """One condition of a clause as it was evaluated; `value` is None where the measure is not known."""

    __test__ = False  # no test of ours: pytest shall not collect it

    clause: str
    cohort: str | None
    measure: str
    value: float | None
    bound: str
    met: bool


@dataclass
class Ledger:
    """What one structure did in one draw.

    Flows are lists over t = 0..T, positive for money received, except `payments` and `payer_costs`, which are
    what the outcome payers spend. `others` and `service` receive the vehicle's costs; `vehicle` is the cash
    in hand after period t. `drawn`, `repaid` and `lost` are investors' capital.
    """

    entries: list[Entry]
    tests: list[Test]
    payments: list[float]
    payer_costs: list[float]
    investor: list[float]
    provider: list[float]
    others: list[float]
    service: list[float]
    vehicle: list[float]
    paid: dict[Key, float]
    uncapped: dict[Key, float]
    met: dict[Key, bool]
    not_yet_due: list[tuple[str, str | None, str]]
    additional: dict[str, float]
    """True outcomes with the service less without it, positive when good, of the people who count."""
    metrics: dict[str, Any]
    paid_by: dict[str, list[float]]
    """Payments of each payer."""
    own_costs_of: dict[str, list[float]]
    """The payers' own costs, as each bears them."""
    contract_cap: float | None = None
    commitment: float | None = None
    drawn: float = 0.0
    repaid: float = 0.0
    lost: float = 0.0
    guarantor: list[float] = field(default_factory=list)
    grants: list[float] = field(default_factory=list)
    """What givers of grants pay, positive."""
    tranches: dict[str, list[float]] = field(default_factory=dict)
    """Flows of each tranche; `investor` is their sum."""
    fund: dict[str, list[float]] = field(default_factory=dict)
    """Where a fund holds the paper: what its own investors get (`net`), its manager's `fees` and `carry`, and the
    `paper` that it holds."""

    def check(self) -> None:
        """Check the books.

        Raises
        ------
        AssertionError
            If cash is below zero, the flows of all parties do not sum to zero, payments exceed the contract
            cap, more capital was called than committed, or capital repaid and lost is not the capital drawn.
        """
        gross = sum(abs(entry.amount) for entry in self.entries)
        slack = _ROUNDING * max(1.0, gross)
        before = 0.0
        for period, cash in enumerate(self.vehicle):
            _insist(cash >= -slack, f"period {period}: the vehicle's cash is {cash:,.2f}, below zero")
            received = self.investor[period] + self.provider[period] + self.others[period] + self.service[period]
            received += self.guarantor[period]
            rest = received + (cash - before) - self.payments[period] - self.grants[period]
            _insist(
                abs(rest) <= slack,
                f"period {period}: the flows of all parties sum to {rest:,.6f}, not to zero",
            )
            before = cash
        total = sum(self.payments)
        booked = sum(entry.amount for entry in self.entries if entry.clause is not None)
        _insist(abs(total - booked) <= slack, f"payments are {total:,.2f}, but the entries {booked:,.2f}")
        if self.contract_cap is not None:
            cap = self.contract_cap
            _insist(total <= cap + slack, f"payments of {total:,.2f} exceed the contract cap of {cap:,.2f}")
        if self.commitment is not None:
            most = self.commitment
            _insist(self.drawn <= most + slack, f"{self.drawn:,.2f} was called of a commitment of {most:,.2f}")
        for period, (net, fees, carry, paper) in enumerate(zip(*self.fund.values(), strict=True)):
            rest = net + fees + carry - paper
            _insist(abs(rest) <= slack, f"period {period}: the fund's flows sum to {rest:,.6f}, not to zero")
        rest = self.repaid + self.lost - self.drawn
        _insist(abs(rest) <= slack, f"capital repaid and lost is {rest:,.2f} off the capital drawn")


def _insist(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def play(
    deal: Deal,
    structure: str,
    values: Mapping[Path, float],
    expected: Mapping[Path, float],
    happened: Happened,
) -> Ledger:
    """Play one draw of one structure and write its ledger.

    Parameters
    ----------
    deal
        The resolved deal.
    structure
        Name of the payment structure.
    values, expected
        The value in this draw and the mean of every number, by its path as `simulator.deal.leaves` yields it.
        Plans (capital calls, reserves) are made with `expected`; everything else goes by `values`.
    happened
        Who was referred, what became of them, and whether the deal was ended early.

    Returns
    -------
    Ledger
        Movements of money with their reasons, flows by party, and metrics.
    """
    return _Play(deal, structure, values, expected, happened).run()


# ---------------------------------------------------------------------------------------------------------
# Small rules
# ---------------------------------------------------------------------------------------------------------


def _slack(bound: float) -> float:
    """Rounding that is read in the reader's favour, so that a result exactly on a bound meets it."""
    return _ROUNDING * max(1.0, abs(bound))


_BOUNDS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    # the words of the bound: when a value meets it, and how to say that it does not
    "at least": (lambda value, bound: value >= bound - _slack(bound), "is below"),
    "at most": (lambda value, bound: value <= bound + _slack(bound), "is above"),
    "more than": (lambda value, bound: value > bound + _slack(bound), "is not more than"),
    "less than": (lambda value, bound: value < bound - _slack(bound), "is not less than"),
}


def _whole_periods(months: float, step: int) -> int:
    """Steps that hold so many months; a part of a step counts as a whole one."""
    return math.ceil(months / step - _ROUNDING)


def _spread(people: int, parts: int) -> list[int]:
    """Spread whole people evenly over parts: floor(people x j / parts) of them by the end of part j."""
    return [people * (part + 1) // parts - people * part // parts for part in range(parts)]


def _plain(number: float, decimals: int = 2) -> str:
    """Write a number for people: 18,000 or 24.1 or 0.0625."""
    text = f"{number:,.{decimals}f}" if abs(number) >= 1 else f"{number:.6f}"
    text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _percent(share: float) -> str:
    return f"{_plain(100 * share, 6)}%"


def meets(form: str, value: float, bound: float) -> bool:
    """Whether a value meets a bound, said in the words of the deal file."""
    return _BOUNDS[form][0](value, bound)


def limited(measure: Measure, name: str, value: float, values: Mapping[Path, float]) -> float:
    """Divide a measure, keep it within its limits, then round it, as far as the contract says so."""
    if measure.divided_by is not None:
        value = value / values["measures", name, "divided_by"]
    if measure.no_less_than is not None:
        value = max(value, values["measures", name, "no_less_than"])
    if measure.no_more_than is not None:
        value = min(value, values["measures", name, "no_more_than"])
    if measure.rounded is None:
        return value
    return _rounded(measure.rounded.form, value, values["measures", name, "rounded"])


def _rounded(form: str, value: float, step: float) -> float:
    """Round in the words of the deal file; halves go up."""
    steps = value / step
    if form == "to":
        return math.floor(steps + 0.5 + _slack(steps)) * step
    if form == "down to":
        return math.floor(steps + _slack(steps)) * step
    return math.ceil(steps - _slack(steps)) * step


@dataclass(frozen=True)
class _Owed:
    """What a clause owes before the caps of the structure, and why."""

    quantity: float
    gross: float
    amount: float
    reason: str
    limited_by: str | None = None


def _nothing(why: str) -> _Owed:
    return _Owed(0.0, 0.0, 0.0, f"0.00 because: {why}")


# ---------------------------------------------------------------------------------------------------------
# The play
# ---------------------------------------------------------------------------------------------------------


class _Play:
    """One draw of one structure, from the first period to the last."""

    def __init__(
        self,
        deal: Deal,
        structure: str,
        values: Mapping[Path, float],
        expected: Mapping[Path, float],
        happened: Happened,
    ) -> None:
        self.deal, self.time, self.T = deal, deal.time, deal.time.periods
        self.terms, self.here = deal.structures[structure], ("structures", structure)
        # The plan is told from what happens by which of the two is read: in a settlement they have the same numbers.
        self.values, self.expected, self.happened = values, dict(expected), happened
        self.first, self.last = service_periods(deal)
        self.never = self.T + 1
        self.stop = self.never if happened.stop is None else happened.stop
        self.ended_by = None if self.stop >= self.last else POLICY_CHANGE
        self.winds_up = False
        self.gap = self._gap()
        self.blocks = {name: [b for b in happened.blocks if b.cohort == name] for name in deal.cohorts}
        self.planned_referrals = self._planned_referrals()

        self.finance = self.terms.finance if isinstance(self.terms.finance, Finance) else None
        self.purse = VEHICLE if self.finance else PROVIDER
        self.ahead, self.called_at_start = 1, False
        if self.finance:
            if isinstance(self.finance.called, Worded):
                called = self._value("finance", "called")
                self.ahead = max(1, _whole_periods(called, self.time.months))
            else:
                self.called_at_start = True
        self.lag = _whole_periods(self._value("paid_after"), self.time.months)
        self.payers = payers_of(self.terms) or {PAYERS: Payer()}

        # the books
        self.entries: list[Entry] = []
        self.tests: list[Test] = []
        self.balance: defaultdict[str, float] = defaultdict(float)
        self.flow: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * (self.T + 1))
        self.vehicle = [0.0] * (self.T + 1)
        self.payments = [0.0] * (self.T + 1)
        self.grants = [0.0] * (self.T + 1)
        self.agreement: Agreement | None = None
        if self.finance:
            self.agreement = Agreement(
                self.finance,
                lambda *path: self._value("finance", *path),
                self.time,
                self._move,
                lambda: max(self.balance[VEHICLE], 0.0),
                self._to_date,
            )
        self.holding: Holding | None = None
        if self.finance and self.agreement and self.finance.fund is not None:
            self.holding = Holding(
                self.finance.fund,
                lambda *path: self._value("finance", "fund", *path),
                self.time,
                self.agreement,
                self._move,
            )
        self.paid_by = {payer: [0.0] * (self.T + 1) for payer in self.payers}
        self.own_costs_of = {payer: [0.0] * (self.T + 1) for payer in self.payers}
        self.taken_on: dict[str, float] = dict.fromkeys(self.payers, 0.0)
        self.taken_in_year: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.owed_by: defaultdict[tuple[str, str], float] = defaultdict(float)
        """What a payer carried forward for a clause."""

        # the outcomes contract so far
        self.settled: set[Key] = set()
        self.paid: dict[Key, float] = {}
        self.uncapped: dict[Key, float] = {}
        self.met: dict[Key, bool] = {}
        for name, clause in self.terms.pays.items():
            for cohort in (None, *deal.cohorts) if clause.for_ == "each cohort" else (None,):
                self.paid[name, cohort], self.uncapped[name, cohort] = 0.0, 0.0
                self.met[name, cohort] = False
        self.outcomes_counted: defaultdict[str, float] = defaultdict(float)
        self.paid_by_clause: defaultdict[str, float] = defaultdict(float)
        self.paid_in_year: defaultdict[str, float] = defaultdict(float)
        self.carried_forward: defaultdict[str, float] = defaultdict(float)
        self.to_pay: defaultdict[int, list[tuple[Key, dict[str, float], str | None, str]]] = defaultdict(list)
        self.late = 0
        self.spent = 0.0
        self.accounts: dict[str, float] = {}
        self.after_cap_per_person = self._money_after_cap_per_person()

    def run(self) -> Ledger:
        """Play all periods and sum up."""
        self._call_capital(0)
        if self.holding:
            self.holding.close(0, serving=False)
        for t in range(1, self.T + 1):
            self._bear_costs(t)
            self._settle_clauses(t)
            self._review(t)
            self._receive_payments(t)
            if self.finance:
                self._hand_on(t)
                self._keep_promises(t)
                if t < self.T:
                    self._call_capital(t)
                    self._stop_referrals_if_money_is_out(t)
            if self.holding:
                self.holding.close(t, serving=t <= min(self.last, self.stop))
            self.vehicle[t] = self.balance[VEHICLE]
        return self._ledger()

    def _value(self, *path: str | int) -> float:
        """Value in this draw of a number of the structure."""
        return self.values[*self.here, *path]

    # -- The end, and what goes wrong -----------------------------------------------------------------------

    def _gap(self) -> range:
        """Periods in which there is no provider; one who fails still serves in the period in which it does."""
        if self.deal.provider_failure is None:
            return range(0)
        fails = self.first + math.floor(self.values["provider_failure", "after"] / self.time.months)
        gap = _whole_periods(self.values["provider_failure", "gap"], self.time.months)
        return range(fails + 1, fails + 1 + gap)

    def _replacement(self, t: int) -> float:
        """Cost of replacing the provider in a period."""
        if self.deal.provider_failure is None or t != self.gap.start or t > min(self.last, self.stop):
            return 0.0
        return self.values["provider_failure", "cost"] * self._rise_of_costs(t, self.values)

    def _read_accounts(self, t: int) -> None:
        """Accounts as they stand."""
        papers = [] if self.agreement is None else list(self.agreement.papers.values())
        self.accounts = {
            "capital called": sum(paper.called for paper in papers),
            "capital outstanding": sum(paper.outstanding for paper in papers),
            "paid to investors": sum(paper.received for paper in papers),
            "cash in hand": max(self.balance[VEHICLE], 0.0),
            "payments so far": sum(self.paid.values()),
            "costs so far": self.spent,
            "years so far": t / self.time.a_year,
        }

    def _review(self, t: int) -> None:
        """Stop the service where a review of this period breaks it off; the first in the file that does."""
        self._read_accounts(t)
        if t >= min(self.last, self.stop):
            return
        for name, terms in (self.terms.breaks or {}).items():
            if self.time.period(terms.review) != t:
                continue
            holds, why = self._holds_at_review(t, name)
            met = next((clause for clause in terms.unless if self._was_met(clause)), None)
            if met is not None:
                holds, why = False, f"{met!r} was met"
            stop = t + _whole_periods(self._value("breaks", name, "notice"), self.time.months)
            words = f"review {name!r}: {why}; "
            if holds and stop < min(self.last, self.stop):
                self.stop, self.ended_by = stop, name
                self._note(t, f"{words}service ends on {self.time.date(stop)}")
                return
            self._note(t, words + ("service is ending already" if holds else "service goes on"))
            if holds:
                return

    def _holds_at_review(self, t: int, name: str) -> tuple[bool, str]:
        """Whether all that a review asks for holds, as results stand, and the words for it."""
        all_hold, why = True, []
        for measure, worded in self.terms.breaks[name].when.items() if self.terms.breaks else ():
            bound = self._value("breaks", name, "when", measure)
            if outcomes_read(self.deal, measure):
                value, words = self._to_date(measure, t)
            else:
                value = self._measure(measure, None)
                words = "which is not known" if value is None else self._show(measure, value)
            meets, otherwise = _BOUNDS[worded.form]
            met = value is not None and meets(value, bound)
            all_hold = all_hold and met
            text = f"{worded.form} {self._show(measure, bound)}"
            if value is None:
                why.append(f"{measure} is not known")
            else:
                why.append(f"{measure} {words} {f'is {text}' if met else f'{otherwise} {self._show(measure, bound)}'}")
        return all_hold, "; ".join(why) or "nothing was achieved that would prevent it"

    def _note(self, t: int, text: str) -> None:
        """Write an entry without money."""
        self._move(t, self.purse, self.purse, 0.0, text)

    def _closed(self, t: int) -> bool:
        """Whether it is too late for claims: they end one period after the last of service."""
        ends = self.winds_up or self.terms.after_an_early_end == "claims end"
        return ends and self.ended_by is not None and t > self.stop + 1

    def _compensate(self, t: int, name: str, clause: Clause) -> None:
        """Pay what is owed where service ended early, in the period after its last."""
        if self.ended_by is None or t != self.stop + 1:
            return
        concerned = self.ended_by != NO_MONEY if clause.ended_by is None else self.ended_by in clause.ended_by
        if not concerned:
            return
        self.settled.add((name, None))
        _, amount, how = self._amount(name, clause, None)
        rise, risen = self._index(t, name, clause)
        amount, how = amount * rise, f"{how}{risen}, since service ended early by {self.ended_by!r}"
        self.met[name, None] = amount > 0
        self._pay(t, (name, None), _Owed(0.0, amount, amount, how if amount > 0 else f"0.00 because: {how}"))

    def _hand_on(self, t: int) -> None:
        """Hand the provider's share of the payments of this period on to it."""
        agreed = self.terms.service_agreement
        if agreed is None or agreed.share_of_payments is None:
            return
        share = self._value("service_agreement", "share_of_payments")
        part = min(share * self.payments[t], max(self.balance[VEHICLE], 0.0))
        if part > 0:
            self._move(t, VEHICLE, PROVIDER, part, f"the provider's {_percent(share)} of the payments")

    @staticmethod
    def _in_the_books(payer: str) -> str:
        """Name under which a payer stands in the books, where others have names of their own."""
        return f"{payer} (payer)" if payer in _ROLES - {PAYERS} else payer

    def _share(self, payer: str) -> float | None:
        """Share of a payer; None if it pays what the shares of others leave."""
        if self.payers[payer].share is None:
            return None
        return self.values.get((*self.here, "payers", payer), self.values.get((*self.here, "payers", payer, "share")))

    def _payers_in(self, t: int) -> list[str]:
        """Payers whose time it is."""
        now = []
        for payer, terms in self.payers.items():
            early = terms.from_ is not None and t < self.time.period(terms.from_)
            late = terms.until is not None and t > self.time.period(terms.until)
            if not early and not late:
                now.append(payer)
        return now

    def _split(self, t: int, clause: str, amount: float) -> tuple[dict[str, float], float, dict[str, float]]:
        """Who takes which part of an amount on, what nobody does, and what of the parts is for later years.

        Shares come first, then the others in their order.
        """
        parts: dict[str, float] = {}
        left = amount
        asked = [payer for payer in self._payers_in(t) if not self.payers[payer].of or clause in self.payers[payer].of]
        with_share = [payer for payer in asked if self._share(payer) is not None]
        for payer in with_share:
            parts[payer] = min(amount * (self._share(payer) or 0.0), self._room(t, payer))
        left = amount - sum(parts.values())
        if left <= 1e-12 * amount:
            left = 0.0
        for payer in asked:
            if payer not in with_share:
                parts[payer] = min(left, self._room(t, payer))
                left -= parts[payer]
        later = {payer: max(part - self._room_of_year(t, payer), 0.0) for payer, part in parts.items()}
        parts = {payer: part - later[payer] for payer, part in parts.items()}
        positive = {payer: part for payer, part in parts.items() if part > 0}
        return positive, left, {payer: part for payer, part in later.items() if part > 0}

    def _room(self, t: int, payer: str) -> float:
        """What a payer may still take on."""
        terms, room = self.payers[payer], math.inf
        if terms.at_most is not None:
            owed = sum(part for (who, _), part in self.owed_by.items() if who == payer)
            room = max(self._value("payers", payer, "at_most") - self.taken_on[payer] - owed, 0.0)
        return room if terms.over_the_year == "carried forward" else min(room, self._room_of_year(t, payer))

    def _room_of_year(self, t: int, payer: str) -> float:
        """What a payer may still pay in the financial year of a period."""
        if self.payers[payer].at_most_a_year is None:
            return math.inf
        year = self.time.financial_year(t)
        return max(self._value("payers", payer, "at_most_a_year") - self.taken_in_year[payer, year], 0.0)

    def _pay_from_before(self, t: int, name: str) -> None:
        """Let payers pay what they carried forward for a clause, in a new financial year, within the caps."""
        for payer in self.payers:
            wanted = self.owed_by.pop((payer, name), 0.0)
            if not wanted > 0:
                continue
            own, now, limited_by = wanted, wanted, None
            for cap, left in self._room_under_caps(t, name).items():
                if cap != "year" and own > max(left, 0.0):
                    own, limited_by = max(left, 0.0), cap
                if now > max(left, 0.0):
                    now, limited_by = max(left, 0.0), cap
            if now > self._room_of_year(t, payer):
                now, limited_by = self._room_of_year(t, payer), "payer"
            if own > now:
                self.owed_by[payer, name] = own - now
            if now > 0:
                reason = f"{_plain(wanted)} carried forward by {payer} from {self.time.financial_year(t - 1)}"
                self._book(t, (name, None), {payer: now}, limited_by, reason)

    def _room_under_caps(self, t: int, name: str) -> dict[str, float]:
        """What the caps of a clause and of the contract leave."""
        caps, own, rooms = self.terms.at_most, self.terms.pays[name].at_most, {}
        if own is not None and own.payments is not None:
            rooms["clause"] = self._value("pays", name, "at_most", "payments") - self.paid_by_clause[name]
        if caps.contract is not None:
            rooms["contract"] = self._value("at_most", "contract") - sum(self.paid_by_clause.values())
        if caps.year is not None:
            rooms["year"] = self._value("at_most", "year") - self.paid_in_year[self.time.financial_year(t)]
        return rooms

    def _parts_of_own_costs(self, t: int) -> dict[str, float]:
        """Shares in which the payers bear their own costs: what the shares leave falls on the first without one."""
        now = self._payers_in(t)
        parts = {payer: self._share(payer) for payer in now}
        shares = {payer: share for payer, share in parts.items() if share is not None}
        rest = next((payer for payer in now if payer not in shares), None)
        if rest is not None:
            shares[rest] = max(1 - sum(shares.values()), 0.0)
        total = sum(shares.values())
        return {payer: share / total for payer, share in shares.items()} if total > 0 else {}

    # -- People and outcomes --------------------------------------------------------------------------------

    def _counts(self, block: Block) -> bool:
        """Whether people count: those whose referrals were cut short by a stop do not."""
        cohort = self.deal.cohorts[block.cohort]
        if cohort.if_cut_short == "does not run":
            return self.time.period(cohort.referred.last) <= self.stop
        return block.last <= self.stop

    def _counted(self, cohort: str) -> list[Block]:
        return [block for block in self.blocks[cohort] if self._counts(block)]

    def _people(self, cohort: str) -> int:
        return sum(block.people for block in self._counted(cohort))

    def _verified(self, outcome: str, cohort: str) -> float:
        return sum(block.verified.get(outcome, 0.0) for block in self._counted(cohort))

    def _cohorts_that_ran(self) -> list[str]:
        return [cohort for cohort in self.blocks if self._people(cohort) > 0]

    def _measure(
        self, name: str, cohort: str | None, *, so_far: bool = False, among: Sequence[str] | None = None
    ) -> float | None:
        """Value of a measure for one cohort, or pooled over the cohorts that ran; None if it is not known.

        With `so_far` (as a part of a measure over the cohorts so far) those above the cohort are in it, too. With
        `among` only these cohorts are looked at, and nothing that was published.
        """
        measure = measure_of(self.deal, name)
        if measure.kind == ACCOUNT:
            return limited(measure, name, self.accounts[str(measure.count_of)], self.values)
        label = f"{name} (so far)" if so_far and measure.over == "each cohort" else name
        if among is None and (label, cohort) in self.happened.published:
            return self.happened.published[label, cohort]
        so_far = so_far or measure.over == "cohorts so far"
        order = list(self.blocks)
        within = order if cohort is None else order[: order.index(cohort) + 1] if so_far else [cohort]
        ran = [each for each in (self._cohorts_that_ran() if among is None else among) if each in within]
        if measure.p_value_of is not None:
            value = self._p_value(measure.p_value_of, ran)
        elif measure.parts:
            value = self._composed(name, measure, cohort, so_far, among)
        else:
            value = self._single(name, measure, ran)
        return None if value is None else limited(measure, name, value, self.values)

    def _single(self, name: str, measure: Measure, ran: Sequence[str]) -> float | None:
        """Value of a measure of one outcome over cohorts that ran."""
        people = float(sum(self._people(each) for each in ran))
        if measure.kind == PARTICIPANTS:
            return people
        ours = sum(self._verified(measure.outcome, each) for each in ran)
        if measure.kind == "count":
            return ours
        if people == 0:
            return None
        if measure.kind in {"share", "mean"}:
            return ours / people
        base = 0.0  # what the same people would have had at the level that they are compared with
        for each in ran:
            level = self._level_without(name, each)
            if level is None:
                return None
            base += self._people(each) * level
        better_by = ours - base if measure.kind == "increase" else base - ours
        if measure.as_ == "units":
            return better_by
        if measure.as_ == "per person":
            return better_by / people
        return better_by / base if base > 0 else None

    def _composed(
        self, name: str, measure: Measure, cohort: str | None, so_far: bool, among: Sequence[str] | None
    ) -> float | None:
        """Value of a ratio, a sum or a choice of other measures."""
        values = {part: self._measure(part, cohort, so_far=so_far, among=among) for part in measure.parts}
        if measure.ratio_of is not None:
            above, below = (values[part] for part in measure.ratio_of)
            return None if above is None or below is None or below <= 0 else above / below
        if measure.sum_of is not None:
            total = 0.0
            for part in measure.sum_of:
                value = values[part]
                if value is None:
                    return None
                total += self.values["measures", name, "sum_of", part] * value
            return total
        first, second = measure.choice_of or ("", "")
        for condition, worded in (measure.when or {}).items():
            value = values[condition]
            meets, _ = _BOUNDS[worded.form]
            held = value is not None and meets(value, self.values["measures", name, "when", condition])
            return values[first] if held else values[second]
        return values[second] if values[first] is None else values[first]

    def _p_value(self, name: str, ran: Sequence[str]) -> float | None:
        """Chance of a difference at least as good as the one seen, were there none: one-sided, normal."""
        measure = measure_of(self.deal, name)
        outcome, _ = outcome_of(self.deal, measure.outcome)
        better = variance = 0.0
        for each in ran:
            people, ours = self._people(each), self._verified(measure.outcome, each)
            level = both = self._level_without(name, each)
            spread = 1.0
            if level is None or both is None:
                return None
            if measure.against == "comparison_arm":
                total, size = self.happened.arms[measure.outcome, each]
                both, spread = (ours + total) / (people + size), 1 + people / size
            one = max(both * (1 - both), 0.0)
            if outcome.counts == "events":
                size_ = self.values.get(("outcomes", measure.outcome, "dispersion"), math.inf)
                one = both + both**2 / size_
            variance += people * spread * one
            better += ours - people * level if measure.kind == "increase" else people * level - ours
        return 0.5 * math.erfc(better / math.sqrt(2 * variance)) if variance > 0 else None

    def _to_date(self, name: str, t: int) -> tuple[float | None, str]:
        """Value of a measure over the cohorts whose results are known by a period, and the words for it."""
        ran = self._cohorts_that_ran()
        published = self.happened.published
        due = [cohort for cohort in ran if self._all_read_by(name, cohort) <= t]
        known = [cohort for cohort in due if published.get((name, cohort)) != -math.inf]  # there is no result of it
        value: float | None = None
        if ran and due == ran and (name, None) in published:
            value = published[name, None]
        elif not known:
            return None, "which is not known"
        elif (name, known[-1]) in published:
            value = published[name, known[-1]]
        else:
            value = self._measure(name, None, among=known)
        return value, "which is not known" if value is None else self._show(name, value)

    def _all_read_by(self, name: str, cohort: str) -> int:
        """Period from which all that a measure reads of a cohort is known."""
        known = [block.last for block in self._counted(cohort)]
        for outcome, _ in outcomes_read(self.deal, name):
            known += self._known_in(outcome, cohort)
        return max(known)

    def _level_without(self, measure_name: str, cohort: str) -> float | None:
        """Level a person with which a cohort is compared; None if the comparison arm has nobody."""
        measure = measure_of(self.deal, measure_name)
        if measure.against == "baseline":
            planned = self.values["outcomes", measure.outcome, "baseline"]
            return self.happened.baselines.get((measure.outcome, cohort), planned)
        if measure.against == "before":
            total = sum(block.before.get(measure.outcome, 0.0) for block in self._counted(cohort))
            return total / self._people(cohort)
        if measure.against == "comparison_arm":
            total, people = self.happened.arms.get((measure.outcome, cohort), (0.0, 0.0))
            return total / people if people > 0 else None
        return self.values["measures", measure_name, "against"]

    def _show(self, measure: str, value: float) -> str:
        """Write the value of a measure: shares as a percentage."""
        return _percent(value) if is_share(self.deal, measure) else _plain(value, 6)

    def _concerned(self, clause: Clause) -> list[str]:
        """Cohorts for which a clause is settled, in the file's order."""
        return [cohort for cohort in self.blocks if not clause.cohorts or cohort in clause.cohorts]

    # -- When a clause is due -------------------------------------------------------------------------------

    def _cohort_is_known(self, clause: Clause, cohort: str) -> int | None:
        """Period in which all that a clause reads of a cohort is known; None if the cohort did not run."""
        if self._people(cohort) == 0:
            return None
        order = list(self.blocks)
        known = [block.last for block in self._counted(cohort)]  # nothing is known before all are referred
        for name in clause.reads:
            for outcome, so_far in outcomes_read(self.deal, name):
                for each in order[: order.index(cohort) + 1] if so_far else [cohort]:
                    known += self._known_in(outcome, each)
        return max(known)

    def _known_in(self, outcome: str, cohort: str) -> list[int]:
        """Periods in which an outcome of a cohort's people is known; nothing after the last claim is waited for."""
        last_claim = self.deal.cohorts[cohort].last_claim
        claim = math.inf if last_claim is None else self.time.period(last_claim)
        blocks = self._counted(cohort) if self._people(cohort) > 0 else []
        if not outcome:  # the number of people
            return [block.last for block in blocks]
        return [int(min(block.when[outcome], max(claim, block.last))) for block in blocks]

    def _all_are_known(self, clause: Clause) -> int | None:
        """Period in which the last cohort is known, or known not to have run; None if nobody ran at all."""
        if not self._cohorts_that_ran():
            return None
        known = []
        for cohort, blocks in self.blocks.items():
            due = self._cohort_is_known(clause, cohort)
            if due is not None:
                known.append(due)
            elif blocks and blocks[-1].last > self.stop:
                known.append(self.stop)
        return max(known)

    # -- What a clause owes ---------------------------------------------------------------------------------

    def _settle_clauses(self, t: int) -> None:
        """Settle what falls due in a period: clauses in the file's order, cohorts in the file's order."""
        paid_before = sum(self.paid.values())
        self._read_accounts(t)
        new_year = t > 1 and self.time.financial_year(t) != self.time.financial_year(t - 1)
        for name, clause in self.terms.pays.items():
            if new_year and self.carried_forward[name] > 0:
                amount, self.carried_forward[name] = self.carried_forward[name], 0.0
                year = self.time.financial_year(t - 1)
                reason = f"{_plain(amount)} carried forward from {year}"
                self._pay(t, (name, None), _Owed(0.0, 0.0, amount, reason))
            if new_year:
                self._pay_from_before(t, name)
            if self._closed(t) and clause.for_ != "the contract":
                continue
            if clause.due == "at an early end":
                self._compensate(t, name, clause)
            elif clause.for_ == "each participant":
                self._settle_participants(t, name, clause)
            elif clause.due == "when referred":
                self._settle_people(t, name, clause)
            elif clause.for_ == "the contract":
                self._settle_fee(t, name, clause)
            elif clause.for_ == "each cohort":
                for cohort in self._concerned(clause):
                    self._settle_group(t, name, clause, cohort, self._cohort_is_known(clause, cohort))
            else:
                self._settle_group(t, name, clause, None, self._all_are_known(clause))
        if t + self.lag > self.T and sum(self.paid.values()) > paid_before:
            self.late += 1

    def _settle_participants(self, t: int, name: str, clause: Clause) -> None:
        """Price x verified outcomes of the people whose outcome is known in this period."""
        outcome, price = str(clause.amount.times), self._value("pays", name, "amount", "price")
        quantity = gross = amount = 0.0
        fell_due = False
        for position, block in enumerate(self.happened.blocks):
            if clause.cohorts and block.cohort not in clause.cohorts:
                continue
            some = block.people > 0 or block.verified.get(outcome, 0.0) > 0
            if self._counts(block) and block.when[outcome] == t and some:
                fell_due = True
                quantity += block.verified.get(outcome, 0.0)
                gross += block.verified.get(outcome, 0.0) * price
                amount += self.after_cap_per_person[position, name]
        rise, words = self._index(t, name, clause)
        gross, amount = gross * rise, amount * rise
        if not fell_due:
            return None
        self.settled.add((name, None))
        if not quantity > 0:
            return self._pay(t, (name, None), _nothing(f"no {outcome} was verified"))
        if why := self._falls_away(clause):
            return self._pay(t, (name, None), _nothing(f"{_plain(quantity)} {outcome}, but {why}"))
        self.met[name, None] = True
        reason, limited_by = f"{_plain(quantity)} {outcome} x {_plain(price)}{words}", None
        if amount < gross - _slack(gross):
            limited_by = "per person"
            reason += f"; limited by the cap per person of {_plain(self._value('at_most', 'per_person'))}"
        return self._pay(t, (name, None), _Owed(quantity, gross, amount, reason, limited_by))

    def _money_after_cap_per_person(self) -> dict[tuple[int, str], float]:
        """What each block earns under each clause for participants, after the cap per person.

        A person's outcomes take what is left of the cap by date of achievement, then in the order of clauses.
        """
        clauses = [
            (name, str(clause.amount.times), self._value("pays", name, "amount", "price"))
            for name, clause in self.terms.pays.items()
            if clause.for_ == "each participant"
        ]
        money: dict[tuple[int, str], float] = {}
        for position, block in enumerate(self.happened.blocks):
            if self.terms.at_most.per_person is None:
                for name, outcome, price in clauses:
                    money[position, name] = block.verified.get(outcome, 0.0) * price
                continue
            self._check_persons(block, {outcome for _, outcome, _ in clauses})
            for name, _, _ in clauses:
                money[position, name] = 0.0
            for person in block.persons or ():
                earned = [
                    (achieved, order, name, number * price)
                    for order, (name, outcome, price) in enumerate(clauses)
                    for what, achieved, number in person
                    if what == outcome
                ]
                left = self._value("at_most", "per_person")
                for _, _, name, amount in sorted(earned):
                    taken = min(amount, left)
                    left -= taken
                    money[position, name] += taken
        return money

    @staticmethod
    def _check_persons(block: Block, outcomes: set[str]) -> None:
        who = f"{block.cohort!r}, periods {block.first} to {block.last}"
        for outcome in outcomes:
            verified = block.verified.get(outcome, 0.0)
            if block.persons is None and verified > 0:
                raise ValueError(f"a cap per person needs the persons of {who}")
            number = sum(n for person in block.persons or () for what, _, n in person if what == outcome)
            if abs(number - verified) > _slack(verified):
                raise ValueError(f"{who}: the persons have {number:g} {outcome}, verified are {verified:g}")

    def _settle_people(self, t: int, name: str, clause: Clause) -> None:
        """Pay for each person referred in this period, beyond the number that another fee pays for."""
        price = self._value("pays", name, "amount", "lump_sum")
        free = 0.0 if clause.above is None else self._value("pays", name, "above")
        before = sum(self._referred(each) for each in range(1, t))
        people = max(before + self._referred(t) - free, 0.0) - max(before - free, 0.0)
        if t > self.stop or not people > 0:
            return None
        self.settled.add((name, None))
        if why := self._falls_away(clause):
            return self._pay(t, (name, None), _nothing(why))
        words = f"{_plain(people)} people referred x {_plain(price)}"
        if free:
            words += f", beyond the first {_plain(free)}"
        if people * price > 0:
            self.met[name, None] = True
        rise, risen = self._index(t, name, clause)
        amount = people * price * rise
        return self._pay(t, (name, None), _Owed(0.0, amount, amount, words + risen))

    def _settle_fee(self, t: int, name: str, clause: Clause) -> None:
        """Pay a fee: its share of this period of service."""
        fee, length = self._value("pays", name, "amount", "lump_sum"), self.last - self.first + 1
        served = sum(each not in self.gap for each in range(self.first, min(self.stop, self.last) + 1))
        end = self.last if self.stop >= self.last else self.stop + 1
        due, amount = t == end, fee * served / length
        words = f"the fee of {_plain(fee)}"
        if served < length:
            words += f" for {served} of {length} periods of service"
        if clause.due == "at the start":
            due, amount, words = t == 1, fee, f"the fee of {_plain(fee)} at the start"
        elif clause.due == "evenly":
            due = self.first <= t <= min(self.last, self.stop) and t not in self.gap
            amount = fee / length
            words = f"the fee of {_plain(fee)} in {length} parts, one a period of service"
        if not due:
            return None
        self.settled.add((name, None))
        if why := self._falls_away(clause):
            return self._pay(t, (name, None), _nothing(why))
        if amount > 0:
            self.met[name, None] = True
        rise, risen = self._index(t, name, clause)
        amount, words = amount * rise, words + risen
        return self._pay(t, (name, None), _Owed(0.0, amount, amount, words if amount > 0 else f"0.00 because: {words}"))

    def _settle_group(self, t: int, name: str, clause: Clause, cohort: str | None, due: int | None) -> None:
        """Settle a clause for one cohort, or for all that ran, once, when the last result is known."""
        key: Key = (name, cohort)
        if due is None or due > t or key in self.settled:
            return None
        self.settled.add(key)
        if why := self._falls_away(clause):
            return self._pay(t, key, _nothing(why))
        holds, why = self._conditions_hold(name, clause, cohort)
        if not holds:
            return self._pay(t, key, _nothing(why))
        quantity, amount, how = self._amount(name, clause, cohort)
        if clause.at_least is not None and amount < (least := self._value("pays", name, "at_least")):
            amount, how = least, f"{how}, but at least {_plain(least)}"
        if clause.when or clause.any_of or amount > 0:
            self.met[key] = True
        rise, risen = self._index(t, name, clause)
        amount, how = amount * rise, how + risen
        amount, how = self._after_hurdle(t, name, clause, amount, how)
        if clause.rounded is not None:
            amount = _rounded(clause.rounded.form, amount, self._value("pays", name, "rounded"))
            how += f", rounded {clause.rounded.text()}"
        before = sum(self.paid_by_clause[other] for other in set(clause.less))
        if before > 0:
            amount, how = max(amount - before, 0.0), f"{how}; less {_plain(before)} paid before"
        reason = "; ".join(part for part in (why, how) if part) if amount > 0 else f"0.00 because: {how}"
        return self._pay(t, key, _Owed(quantity, amount, amount, reason))

    def _after_hurdle(self, t: int, name: str, clause: Clause, amount: float, how: str) -> tuple[float, str]:
        """Pay what lies beyond the investors' hurdle at another price or share."""
        if clause.amount.until is None or self.agreement is None:
            return amount, how
        ((who, enough),) = clause.amount.until.items()
        path = ("pays", name, "amount")
        level = self._value(*path, "until", who)
        need, words = self.agreement.still_needed(t, who, enough, level)
        on_its_way = sum(self.paid.values()) - sum(self.payments)
        need = max(max(need, 0.0) - on_its_way, 0.0)
        if amount <= need:
            return amount, f"{how}{words}"
        rate = self._value(*path, "price" if clause.amount.price is not None else "share")
        then = self._value(*path, "then")
        rest = (amount - need) * then / rate
        shown = _percent(then) if clause.amount.share is not None else _plain(then)
        return need + rest, f"{how}{words}, which takes {_plain(need)}, and {shown} from there on"

    def _falls_away(self, clause: Clause) -> str:
        """Why a clause falls away because of the triggers of others, empty where it does not."""
        for other in clause.unless:
            if self._was_met(other):
                return f"{other!r} was met, so this falls away"
        if clause.only_if and not any(self._was_met(other) for other in clause.only_if):
            return f"{' or '.join(repr(other) for other in clause.only_if)} was not met before, and this needs it"
        return ""

    def _was_met(self, clause: str) -> bool:
        """Whether the trigger of a clause was met so far, for any cohort."""
        return any(met for (name, _), met in self.met.items() if name == clause)

    def _index(self, t: int, name: str, clause: Clause) -> tuple[float, str]:
        """Rise of indexed amounts by whole years from the base month to the last month of a period, and words.

        Real money rises with inflation, by the period.
        """
        if self.time.prices == "real":
            rise = (1 + self.values["rates", "inflation"]) ** (t / self.time.a_year)
            return rise, "" if rise == 1 else f" x {_plain(rise, 6)} for prices since the start"
        if clause.indexed is None:
            return 1.0, ""
        month = self.time.start.index + t * self.time.months - 1
        years = max((month - clause.indexed.from_.index) // 12, 0)
        rise = (1 + self._value("pays", name, "indexed", "a_year")) ** years
        return rise, f" x {_plain(rise, 6)} for {years} {'year' if years == 1 else 'years'}" if years else ""

    def _conditions_hold(self, name: str, clause: Clause, cohort: str | None) -> tuple[bool, str]:
        """Whether the conditions of a clause hold, and the words for it; no condition always holds."""
        all_hold, why = self._test("when", name, clause.when, cohort)
        held, failed = ([words for met, words in why if met], [words for met, words in why if not met])
        _, either = self._test("any_of", name, clause.any_of, cohort)
        if either and not any(met for met, _ in either):
            return False, "; ".join([*failed, *(words for _, words in either)])
        return all_hold, "; ".join(failed or [*held, *(words for met, words in either if met)])

    def _test(
        self, key: str, name: str, conditions: Mapping[str, Worded], cohort: str | None
    ) -> tuple[bool, list[tuple[bool, str]]]:
        """Test conditions one by one: whether all hold, and for each whether it does, in words."""
        found = []
        for measure, worded in conditions.items():
            bound, value = self._value("pays", name, key, measure), self._measure(measure, cohort)
            meets, otherwise = _BOUNDS[worded.form]
            met = value is not None and meets(value, bound)
            text = f"{worded.form} {self._show(measure, bound)}"
            self.tests.append(Test(name, cohort, measure, value, text, met))
            if value is None:
                found.append((met, f"{measure} is not known"))
            elif met:
                found.append((met, f"{measure} {self._show(measure, value)} is {text}"))
            else:
                found.append((met, f"{measure} {self._show(measure, value)} {otherwise} {self._show(measure, bound)}"))
        return all(met for met, _ in found), found

    def _amount(self, name: str, clause: Clause, cohort: str | None) -> tuple[float, float, str]:
        """What a clause owes: the quantity that it multiplies (0 if none), the amount, and how it came."""
        terms, path = clause.amount, ("pays", name, "amount")
        if terms.bands is not None:
            return self._from_bands(path, clause, cohort)
        quantity, words, unit = 1.0, "", 1.0
        if terms.times is not None:
            number = self._measure(terms.times, cohort)
            if number is None:
                return 0.0, 0.0, f"{terms.times} is not known"
            if number <= 0:
                return 0.0, 0.0, f"{terms.times} is {self._show(terms.times, number)}"
            quantity, words = number, f"{self._show(terms.times, number)} {terms.times} x "
            unit, per = self._per(path, clause)
        counted = quantity if terms.times is not None else 0.0
        if terms.price is not None:
            price = self._value(*path, "price")
            return counted, quantity * price / unit, f"{words}{_plain(price)}{per}"
        if terms.share is not None:
            share = self._value(*path, "share")
            return counted, quantity * share / unit, f"{words}{_percent(share)}{per}"
        if terms.lump_sum is not None:
            lump = self._value(*path, "lump_sum")
            return counted, quantity * lump, f"{words}a lump sum of {_plain(lump)}"
        by, table = str(terms.by), terms.table
        level = self._measure(by, cohort)
        if level is None or table is None:
            return counted, 0.0, f"{by} is not known"
        amount = self._from_table((*path, "table"), table, level)
        return counted, quantity * amount / unit, f"{words}{_plain(amount)} at {by} {self._show(by, level)}"

    def _per(self, path: Path, clause: Clause) -> tuple[float, str]:
        """Unit of the measure that a price is for, and the words for it."""
        if clause.amount.per is None:
            return 1.0, ""
        unit = self._value(*path, "per")
        return unit, f" per {self._show(str(clause.amount.times), unit)}"

    def _from_bands(self, path: Path, clause: Clause, cohort: str | None) -> tuple[float, float, str]:
        """Pay what lies between one level and the next at the rate of the first."""
        times, bands = str(clause.amount.times), clause.amount.bands or []
        value = self._measure(times, cohort)
        if value is None:
            return 0.0, 0.0, f"{times} is not known"
        unit, per = self._per(path, clause)
        starts = [self._value(*path, "bands", row, 0) for row in range(len(bands))]
        rates = [self._value(*path, "bands", row, 1) for row in range(len(bands))]
        amount, words = 0.0, []
        for start, end, rate in zip(starts, [*starts[1:], math.inf], rates, strict=True):
            part = max(min(value, end) - start, 0.0)
            amount += rate * part / unit
            if part > 0:
                words.append(f"{self._show(times, part)} x {_plain(rate)}{per}")
        how = " + ".join(words) or f"{times} {self._show(times, value)} is in no band"
        return max(value, 0.0), amount, f"{times} {self._show(times, value)}: {how}" if words else how

    def _from_table(self, path: Path, table: Table, level: float) -> float:
        """Read an amount from a table; a level short of a step by no more than rounding is on it."""
        levels = [self._value(*path, "points", row, 0) for row in range(len(table.points))]
        amounts = [self._value(*path, "points", row, 1) for row in range(len(table.points))]
        if level < levels[0] - _slack(levels[0]):
            return self._value(*path, "below")
        if table.above is not None and level > levels[-1] + _slack(levels[-1]):
            return self._value(*path, "above")
        row = max(row for row, start in enumerate(levels) if level >= start - _slack(start))
        if table.between == "steps" or row == len(levels) - 1:
            return amounts[row]
        share = (level - levels[row]) / (levels[row + 1] - levels[row])
        return amounts[row] + min(max(share, 0.0), 1.0) * (amounts[row + 1] - amounts[row])

    # -- Caps and payment -----------------------------------------------------------------------------------

    def _pay(self, t: int, key: Key, owed: _Owed) -> None:
        """Cut an amount to the caps and put it down for payment after the lag; note what pays nothing."""
        name = key[0]
        amount, limited_by, reason = self._within_caps(t, name, owed)
        parts, unpaid, later = self._split(t, name, amount) if amount > 0 else ({}, 0.0, {})
        if unpaid > 0:
            amount -= unpaid
            if unpaid > _slack(amount):
                limited_by, reason = "payer", f"{reason}; {_plain(unpaid)} is above what its payers pay at most"
        for payer, part in later.items():
            self.owed_by[payer, name] += part
            limited_by, reason = "payer", f"{reason}; {_plain(part)} carried forward by {payer}"
        self.uncapped[key] += owed.gross
        if parts:
            self._book(t, key, parts, limited_by, reason)
        else:
            self._move(t, PAYERS, self.purse, 0.0, reason, key=key, limited_by=limited_by)

    def _book(self, t: int, key: Key, parts: dict[str, float], limited_by: str | None, reason: str) -> None:
        """Put what the payers pay down for payment after the lag."""
        amount, year = sum(parts.values()), self.time.financial_year(t)
        for payer, part in parts.items():
            self.taken_on[payer] += part
            self.taken_in_year[payer, year] += part
        self.paid[key] += amount
        self.paid_by_clause[key[0]] += amount
        self.paid_in_year[year] += amount
        if self.lag > 0:
            reason += f"; settled {self.time.date(t)}"
        self.to_pay[min(t + self.lag, self.T)].append((key, parts, limited_by, reason))

    def _within_caps(self, t: int, name: str, owed: _Owed) -> tuple[float, str | None, str]:
        """Apply the caps in their order, each to what the one before left; the last that cuts is named."""
        amount, limited_by, reason = owed.amount, owed.limited_by, owed.reason
        caps, own, year = self.terms.at_most, self.terms.pays[name].at_most, self.time.financial_year(t)

        if own is not None and own.outcomes is not None:
            most = self._value("pays", name, "at_most", "outcomes")
            room = max(most - self.outcomes_counted[name], 0.0)
            self.outcomes_counted[name] += owed.quantity
            if owed.quantity > room:
                amount *= room / owed.quantity
                limited_by, reason = "outcomes", f"{reason}; limited by the cap of {_plain(most)} outcomes"

        limits: list[tuple[str, float, float, str]] = []  # name, cap, what is left of it, words
        if own is not None and own.payments is not None:
            most = self._value("pays", name, "at_most", "payments")
            limits.append(("clause", most, most - self.paid_by_clause[name], "the clause's cap"))
        if caps.contract is not None:
            most = self._value("at_most", "contract")
            limits.append(("contract", most, most - sum(self.paid_by_clause.values()), "the contract cap"))
        if caps.year is not None:
            most = self._value("at_most", "year")
            limits.append(("year", most, most - self.paid_in_year[year], f"the cap for {year}"))
        for cap, most, left, words in limits:
            over = amount - max(left, 0.0)
            if over <= 0:
                continue
            amount -= over
            if over <= _slack(amount):
                continue  # no more than rounding
            limited_by, reason = cap, f"{reason}; limited by {words} of {_plain(most)}"
            if cap == "year" and caps.over_the_year == "carried forward":
                self.carried_forward[name] += over
                reason += f", {_plain(over)} carried forward"
        return amount, limited_by, reason

    def _receive_payments(self, t: int) -> None:
        """Book the payments that fall in a period."""
        for key, parts, limited_by, reason in self.to_pay[t]:
            for payer, part in parts.items():
                self.payments[t] += part
                self.paid_by[payer][t] += part
                name = self._in_the_books(payer)
                words = reason if len(parts) == 1 or pay_shares(self.terms) else f"{reason}; the part of {payer}"
                self._move(t, name, self.purse, part, words, key=key, payer=name, limited_by=limited_by)

    # -- Costs ----------------------------------------------------------------------------------------------

    def _cost(self, part: str, kind: str, t: int, stop: int, values: Mapping[Path, float], referred: int) -> float:
        """Cost of one kind in a period; `part` is costs or payer_costs."""
        costs = getattr(self.terms, part) or Costs()
        cost: Worded | None = getattr(costs, kind)
        if cost is None:
            return 0.0
        amount = values[*self.here, part, kind]
        if costs.overrun is not None and values is self.values:  # nobody plans for it
            amount *= 1 + values[*self.here, part, "overrun"]
        served = values is not self.values or kind != "delivery" or part != "costs" or t not in self.gap
        return self._falls(cost, amount, t, stop, referred, served=served) * self._rise_of_costs(t, values)

    def _rise_of_costs(self, t: int, values: Mapping[Path, float]) -> float:
        """Factor by which costs have risen by a period, since the start of the deal."""
        if self.deal.rates.cost_inflation is not None:
            return (1 + values["rates", "cost_inflation"]) ** (t / self.time.a_year)
        return (1 + values["rates", "inflation"]) ** (t / self.time.a_year) if self.time.prices == "real" else 1.0

    def _words_of_cost(self, kind: str, t: int) -> str:
        rise = self._rise_of_costs(t, self.values)
        return kind.replace("_", "-") + ("" if rise == 1 else f", x {_plain(rise, 6)} since the start")

    def _falls(self, cost: Worded, amount: float, t: int, stop: int, referred: int, *, served: bool = True) -> float:
        """Part of a cost that falls in a period; nothing by the year for a service that nobody delivers."""
        if cost.form == "at the start":
            return amount if t == 1 else 0.0
        if cost.form == "a year":
            return amount / self.time.a_year if served and self.first <= t <= min(self.last, stop) else 0.0
        if cost.form == "per person":
            return amount * referred if t <= stop else 0.0
        return amount if t == (self.last if stop >= self.last else stop + 1) else 0.0

    def _planned_referrals(self) -> dict[int, int]:
        """People who are planned to be referred in each period."""
        referred: defaultdict[int, int] = defaultdict(int)
        for cohort, terms in self.deal.cohorts.items():
            path = ("cohorts", cohort)
            planned = math.floor(self.expected[*path, "people"] * self.expected[*path, "referrals"] + 0.5)
            first, last = self.time.period(terms.referred.first), self.time.period(terms.referred.last)
            for offset, number in enumerate(_spread(planned, last - first + 1)):
                referred[first + offset] += number
        return referred

    def _referred(self, t: int) -> int:
        """People who were really referred in a period."""
        return sum(
            _spread(block.people, block.last - block.first + 1)[t - block.first]
            for block in self.happened.blocks
            if block.first <= t <= block.last
        )

    def _planned_cost(self, t: int, seen_at: int) -> float:
        """Costs of the vehicle planned for a period; once a stop is known only those of the end remain."""
        if self.happened.costs is not None:
            return self.happened.costs.get(t, 0.0)
        kinds: Sequence[str] = _KINDS_OF_COST
        if seen_at >= self.stop:
            if not (seen_at == self.stop and t == self.stop + 1 and self.stop < self.last):
                return 0.0
            kinds = [kind for kind in kinds if self._is_at_the_end(kind)]
            cost = sum(
                self.expected[*self.here, "costs", kind] * (1 - self._deferred(kind, self.expected))
                for kind in kinds
                if kind != "delivery" or not self.agreed
            )
            cost *= self._rise_of_costs(t, self.expected)
            cost += sum(owed - later for owed, later, _ in self._owed_for_service(t, self.stop, self.expected, 0))
            return cost + sum(self._fees_at(t, self.expected, self.stop, "at the end").values())
        referred = self.planned_referrals.get(t, 0)
        cost = sum(
            self._cost("costs", kind, t, self.never, self.expected, referred)
            * (1 - self._deferred(kind, self.expected))
            for kind in kinds
            if kind != "delivery" or not self.agreed
        )
        cost += sum(owed - later for owed, later, _ in self._owed_for_service(t, self.never, self.expected, referred))
        return cost + sum(self._fees_at(t, self.expected, self.never).values())

    @property
    def agreed(self) -> bool:
        """Whether a service agreement says what the vehicle owes the provider."""
        return has_agreed_price(self.terms)

    def _owed_for_service(
        self, t: int, stop: int, values: Mapping[Path, float], referred: int
    ) -> list[tuple[float, float, str]]:
        """What a service agreement owes the provider in a period, how much of it is deferred, and what for.

        Once a stop is known and past, that is what falls at the end.
        """
        if not self.agreed or self.terms.service_agreement is None:
            return []
        terms, found = self.terms.service_agreement, []
        if terms.cost_plus is not None:
            plus = values[*self.here, "service_agreement", "cost_plus"]
            cost = self._cost("costs", "delivery", t, stop, values, referred)
            found.append((cost * (1 + plus), f"delivery and {_percent(plus)}"))
        for name, fee in (terms.fees or {}).items():
            amount = values[*self.here, "service_agreement", "fees", name]
            served = values is not self.values or t not in self.gap
            fee_due = self._falls(fee, amount, t, stop, referred, served=served)
            found.append((fee_due * self._rise_of_costs(t, values), name))
        share = self._deferred("delivery", values)
        return [(owed, owed * share, words) for owed, words in found if owed > 0]

    def _deferred(self, kind: str, values: Mapping[Path, float]) -> float:
        """Share of a cost that is paid by the waterfall only."""
        return values.get((*self.here, "finance", "deferred", kind), 0.0)

    def _fees_at(self, t: int, values: Mapping[Path, float], stop: int, form: str | None = None) -> dict[str, float]:
        """Fees that fall in a period, by guarantor; with `form` only those of that form."""
        referred = self._referred(t) if values is self.values else self.planned_referrals.get(t, 0)
        fees: dict[str, float] = {}
        for path, guarantee in ({} if self.finance is None else self.finance.guarantees).items():
            if guarantee.fee is not None and form in {None, guarantee.fee.form}:
                fee = self._falls(guarantee.fee, values[*self.here, "finance", *path, "fee"], t, stop, referred)
                fees[guarantee.guarantor] = fees.get(guarantee.guarantor, 0.0) + fee
        return fees

    def _is_at_the_end(self, kind: str) -> bool:
        cost: Worded | None = getattr(self.terms.costs or Costs(), kind)
        return cost is not None and cost.form == "at the end"

    def _bear_costs(self, t: int) -> None:
        """Pay the costs of a period; what the vehicle cannot pay, the provider advances."""
        referred = self._referred(t)
        if self.finance and self.agreement:
            for giver, grant in (self.finance.grants or {}).items():
                given = self._falls(grant, self._value("finance", "grants", giver), t, self.stop, referred)
                if given > 0:
                    self.grants[t] += given
                    self._move(t, giver, VEHICLE, given, "grant")
            self.agreement.repay_provider(t, max(self.balance[VEHICLE], 0.0))
            if self.happened.costs is not None:
                if self.happened.costs.get(t, 0.0) > 0:
                    self.spent += self.happened.costs[t]
                    self._vehicle_bears(t, OTHERS, self.happened.costs[t], "costs, as the results say")
                self.agreement.let_interest_run(t)
                return
        kinds: Sequence[str] = _KINDS_OF_COST
        if self.finance and self.finance.rules("defer fees"):  # the service is paid first
            kinds = sorted(kinds, key=lambda kind: kind != "delivery")
            self._pay_guarantors_fees(t)
        for kind in kinds:
            cost = self._cost("costs", kind, t, self.stop, self.values, referred)
            words = self._words_of_cost(kind, t)
            to = SERVICE if kind == "delivery" else OTHERS
            if kind == "delivery" and self.finance and self.agreed:
                self._pay_for_service(t, cost, referred)
                continue
            self.spent += cost
            if cost > 0 and self.finance:
                later = cost * self._deferred(kind, self.values)
                self._defer(t, kind, later)
                if cost > later:
                    self._vehicle_bears(t, to, cost - later, words)
            elif cost > 0:
                self._move(t, PROVIDER, to, cost, words)
        if self.finance and self._replacement(t) > 0:
            self.spent += self._replacement(t)
            self._vehicle_bears(t, OTHERS, self._replacement(t), "replaces the provider, who has failed")
        if self.finance and not self.finance.rules("defer fees"):
            self._pay_guarantors_fees(t)
        if self.agreement:
            self.agreement.let_interest_run(t)
        own = {kind: self._cost("payer_costs", kind, t, self.stop, self.values, referred) for kind in _KINDS_OF_COST}
        own["replacement of the provider"] = 0.0 if self.finance else self._replacement(t)
        for kind, cost in own.items():
            for payer, share in self._parts_of_own_costs(t).items() if cost > 0 else ():
                words = f"the payers' own {self._words_of_cost(kind, t)}"
                self.own_costs_of[payer][t] += cost * share
                name = self._in_the_books(payer)
                self._move(t, name, OWN_COSTS, cost * share, words, payer=name)

    def _pay_guarantors_fees(self, t: int) -> None:
        for guarantor, fee in self._fees_at(t, self.values, self.stop).items():
            if fee > 0:
                self.spent += fee
                self._vehicle_bears(t, guarantor, fee, "the guarantor's fee")

    def _pay_for_service(self, t: int, cost: float, referred: int) -> None:
        """Let the provider bear what delivery costs, and pay it what the service agreement says."""
        assert self.agreement is not None
        if cost > 0:
            self._move(t, PROVIDER, SERVICE, cost, "delivery of the service")
        for owed, later, words in self._owed_for_service(t, self.stop, self.values, referred):
            self.spent += owed
            if later > 0:
                self.agreement.delivery_owed += later
                self._move(t, VEHICLE, PROVIDER, 0.0, f"{_plain(later)} of {words} is deferred")
            if owed > later:
                self._vehicle_bears(t, PROVIDER, owed - later, f"{words}, by the service agreement")

    def _defer(self, t: int, kind: str, later: float) -> None:
        """Put part of a cost off: the provider bears its service meanwhile, others wait for their fees."""
        assert self.agreement is not None
        if later <= 0:
            return
        words = f"{kind.replace('_', '-')} is deferred"
        if kind == "delivery":
            self.agreement.delivery_owed += later
            self._move(t, PROVIDER, SERVICE, later, f"{words}: the provider bears it")
        else:
            self.agreement.fees_owed += later
            self._move(t, VEHICLE, OTHERS, 0.0, f"{_plain(later)} of {words}")

    def _vehicle_bears(self, t: int, to: str, cost: float, words: str) -> None:
        assert self.agreement is not None
        paid = min(max(self.balance[VEHICLE], 0.0), cost)
        if cost - paid <= _ROUNDING * cost:  # what was kept for it came out of payments, but for the last digits
            paid = cost
        short = cost - paid
        if to == OTHERS and self.finance and self.finance.rules("defer fees") and self.happened.costs is None:
            self.agreement.fees_owed += short
            if paid > 0:
                self._move(t, VEHICLE, to, paid, words)
            if short > 0:
                self._move(t, VEHICLE, to, 0.0, f"{_plain(short)} of {words} waits: there is no cash")
            return
        self.agreement.arrears += short
        if to == PROVIDER:
            waits = f"; {_plain(short)} of it waits: there is no cash" if short > 0 else ""
            self._move(t, VEHICLE, to, paid, words + waits)
            return
        advanced = f"{words}, advanced by the provider: the vehicle is {_plain(short)} short"
        if to == SERVICE:  # the provider is paid what its service costs, and bears what it is not paid
            if paid > 0:
                self._move(t, VEHICLE, PROVIDER, paid, words)
            self._move(t, PROVIDER, SERVICE, cost, advanced if short > 0 else f"{words} of the service")
            return
        if paid > 0:
            self._move(t, VEHICLE, to, paid, words)
        if short > 0:
            self._move(t, PROVIDER, to, short, advanced)

    # -- Capital --------------------------------------------------------------------------------------------

    def _call_capital(self, t: int) -> None:
        """Call what is planned to be needed next, less the cash in hand, within the commitment."""
        if self.agreement is None:
            return
        if self.happened.drawdowns is not None:
            self.agreement.call_as_observed(t, self.happened.drawdowns.get(t, 0.0))
        elif self.called_at_start:
            if t == 0:
                self.agreement.call(t, math.inf, "the whole commitment is called at the start")
        else:
            self._call_ahead(t, self.agreement)
        self.vehicle[t] = self.balance[VEHICLE]

    def _call_ahead(self, t: int, agreement: Agreement) -> None:
        until = min(t + self.ahead, self.T)
        need = sum(self._planned_cost(later, t) for later in range(t + 1, until + 1))
        if need + agreement.arrears <= 0:
            return
        wanted = need + agreement.arrears - self.balance[VEHICLE]
        if wanted <= _ROUNDING * (need + agreement.arrears):
            return
        cash = _plain(self.balance[VEHICLE])
        reason = f"{_plain(need)} planned up to {self.time.date(until)}, {cash} in hand"
        if wanted > sum(paper.left for paper in agreement.papers.values()):
            reason += f"; limited by the commitment of {_plain(agreement.commitment)}"
        agreement.call(t, wanted, reason)

    def _keep_promises(self, t: int) -> None:
        """Make due what the paper promises, pay the cash out, and let others pay what they stand for."""
        assert self.finance is not None and self.agreement is not None
        self.agreement.fall_due(t, ended_early=t == self.stop + 1 and self.stop < self.last)
        until = self.T if self.finance.recycled or self.called_at_start else min(t + self.ahead, self.T)
        held = sum(self._planned_cost(later, t) for later in range(t + 1, until + 1))
        serving = t < self.last and t <= self.stop
        if self.finance.reserve is not None and serving:
            held += self._value("finance", "reserve")
        self.agreement.pay_out(t, held, serving=serving)
        self.agreement.stand_behind(t)
        self.agreement.call_guarantees(t)

    def _stop_referrals_if_money_is_out(self, t: int) -> None:
        """Stop referrals if the cash does not pay the next period's plan, and the deal says so."""
        assert self.finance is not None
        if not self.finance.rules("stop referrals", "wind up") or t >= min(self.last, self.stop):
            return
        if max(self.balance[VEHICLE], 0.0) < self._planned_cost(t + 1, t) * (1 - _ROUNDING):
            self.stop, self.ended_by = t, NO_MONEY
            self.winds_up = self.finance.rules("wind up")
            ends = "; claims end, too" if self.winds_up else ""
            self._note(t, f"the cash does not pay the next period as planned: referrals and service stop{ends}")

    # -- The books ------------------------------------------------------------------------------------------

    def _move(
        self,
        t: int,
        from_: str,
        to: str,
        amount: float,
        reason: str,
        *,
        key: tuple[str | None, str | None] = (None, None),
        payer: str | None = None,
        limited_by: str | None = None,
    ) -> None:
        """Book one movement of money on both sides."""
        self.balance[from_] -= amount
        self.balance[to] += amount
        self.flow[from_][t] -= amount
        self.flow[to][t] += amount
        account = VEHICLE if VEHICLE in {from_, to} else from_
        clause, cohort = key
        about = f"{cohort}: {reason}" if cohort is not None else reason
        after = self.balance[account]
        date = self.time.date(t)
        self.entries.append(Entry(t, date, clause, payer, from_, to, amount, account, after, limited_by, about, cohort))

    def _not_yet_due(self) -> list[tuple[str, str | None, str]]:
        """Clauses that never fell due within the horizon, and what they wait for."""
        waiting: list[tuple[str, str | None, str]] = []
        for name, clause in self.terms.pays.items():
            if clause.for_ == "each participant":
                waiting += self._participants_not_yet_due(name, str(clause.amount.times))
            elif clause.for_ == "the contract":
                if (name, None) not in self.settled and clause.due != "at an early end":
                    waiting.append((name, None, "no period of service was reached in which it is paid"))
            else:
                for cohort in self._concerned(clause) if clause.for_ == "each cohort" else (None,):
                    if (name, cohort) in self.settled:
                        continue
                    if cohort is None:
                        due, nobody = self._all_are_known(clause), "nobody was referred: no cohort ran"
                    else:
                        due, nobody = self._cohort_is_known(clause, cohort), "the cohort did not run"
                    waiting.append((name, cohort, nobody if due is None else self._too_late(due)))
            if self.carried_forward[name] > 0:
                amount = _plain(self.carried_forward[name])
                waiting.append((name, None, f"{amount} carried forward needs a later financial year"))
            for (payer, clause_), owed in self.owed_by.items():
                if clause_ == name and owed > 0:
                    what = f"{_plain(owed)} carried forward by {payer}"
                    waiting.append((name, None, f"{what} needs a later financial year"))
        return waiting

    def _participants_not_yet_due(self, name: str, outcome: str) -> list[tuple[str, str | None, str]]:
        only = self.terms.pays[name].cohorts
        late = [
            b
            for b in self.happened.blocks
            if self._counts(b) and b.when[outcome] > self.T and (not only or b.cohort in only)
        ]
        self.late += sum(1 for block in late if block.verified.get(outcome, 0.0) > 0)
        if (name, None) in self.settled:
            return []
        if not late:
            return [(name, None, "nobody was referred")]
        return [(name, None, self._too_late(min(block.when[outcome] for block in late)))]

    def _too_late(self, due: int) -> str:
        return f"it is known in period {due}, after the end of the model in period {self.T}"

    def _additional(self) -> dict[str, float]:
        """Additional outcomes that can be paid for: in time, and with evidence in their share of cases."""
        names = {outcome for block in self.happened.blocks for outcome in block.true}
        sums = dict.fromkeys(sorted(names), 0.0)
        for block in self.happened.blocks:
            last_claim = self.deal.cohorts[block.cohort].last_claim
            claim = math.inf if last_claim is None else self.time.period(last_claim)
            for outcome in block.true if self._counts(block) else ():
                if block.when[outcome] > claim:
                    continue
                sign = 1 if outcome_of(self.deal, outcome)[0].better == "more" else -1
                evidenced = 1 - self.values[self._place(outcome, "evidence", "missing")]
                sums[outcome] += sign * evidenced * (block.true[outcome] - block.without[outcome])
        return sums

    def _place(self, outcome: str, *rest: str) -> Path:
        """Path of something of an outcome, which may be a step of a chain."""
        for name, each in self.deal.outcomes.items():
            if each.steps and outcome in each.steps:
                return ("outcomes", name, "steps", outcome, *rest)
        return ("outcomes", outcome, *rest)

    def _ledger(self) -> Ledger:
        not_yet_due = self._not_yet_due()
        agreement = self.agreement
        papers = {} if agreement is None else agreement.papers
        nothing = [0.0] * (self.T + 1)
        repaid = sum(paper.repaid for paper in papers.values())
        payer_costs = self.flow[OWN_COSTS]
        return Ledger(
            entries=self.entries,
            tests=self.tests,
            payments=self.payments,
            payer_costs=payer_costs,
            investor=nothing if agreement is None else agreement.flows,
            provider=self.flow[PROVIDER],
            others=self.flow[OTHERS],
            service=self.flow[SERVICE],
            vehicle=self.vehicle,
            paid=self.paid,
            uncapped=self.uncapped,
            met=self.met,
            not_yet_due=not_yet_due,
            additional=self._additional(),
            metrics=self._metrics(),
            paid_by=self.paid_by,
            own_costs_of=self.own_costs_of,
            contract_cap=None if self.terms.at_most.contract is None else self._value("at_most", "contract"),
            commitment=None if agreement is None or self.happened.drawdowns is not None else agreement.commitment,
            drawn=sum(paper.called for paper in papers.values()),
            repaid=repaid,
            lost=sum(paper.called - paper.repaid for paper in papers.values()),
            guarantor=self._guarantors(),
            grants=self.grants,
            tranches={name: paper.flows for name, paper in papers.items()},
            fund={} if self.holding is None else self._of_fund(self.holding),
        )

    def _of_fund(self, holding: Holding) -> dict[str, list[float]]:
        held = [sum(flows) for flows in zip(*(paper.flows for paper in holding.papers), strict=True)]
        return {"net": holding.flows, "fees": holding.fees, "carry": holding.carry, "paper": held}

    def _guarantors(self) -> list[float]:
        """Flows of all guarantors together."""
        names = [] if self.finance is None else self.finance.guarantors
        return [sum(self.flow[name][t] for name in names) for t in range(self.T + 1)]

    # -- Metrics --------------------------------------------------------------------------------------------

    def _metrics(self) -> dict[str, Any]:
        """Return the metrics of the draw; None where one is not defined."""
        spent = [paid + own for paid, own in zip(self.payments, self.flow[OWN_COSTS], strict=True)]
        payer_rate = self._nominal_rate("payer", self.deal.rates.payer)
        provider = self.flow[PROVIDER]
        metrics: dict[str, Any] = {
            "payments": sum(self.payments),
            "payments_present_value": self._present_value(self.payments, payer_rate),
            "uncapped_payments": sum(self.uncapped.values()),
            "cost": sum(spent),
            "cost_present_value": self._present_value(spent, payer_rate),
            "surplus": sum(provider),
            "lowest_cash": min(0.0, *_running_sum(provider)),
            "late": self.late,
            "stop": None if self.stop > self.T else self.stop,
            "ended_by": self.ended_by,
        }
        agreement = self.agreement
        if agreement is None:
            nobody: dict[str, Any] = {"irr_note": "no investors", "tranches": {}, "net": None}
            return metrics | dict.fromkeys(_INVESTOR_METRICS) | nobody
        metrics |= {
            "guarantor_cost": 0.0 - sum(self._guarantors()),
            "paid_by_provider": agreement.paid_by_provider,
            "unpaid": agreement.unpaid,
            "tranches": {
                name: self._investor_metrics(paper.flows, paper.called, paper.received, paper.commitment)
                for name, paper in agreement.papers.items()
            },
            "net": self._net(),
        }
        return metrics | self._investor_metrics(
            agreement.flows, agreement.called, agreement.received, agreement.commitment
        )

    def _net(self) -> dict[str, Any] | None:
        """Metrics of what a fund leaves its own investors, and what it takes; None without a fund."""
        holding = self.holding
        if holding is None:
            return None
        received = holding.called + sum(holding.flows)
        found = self._investor_metrics(holding.flows, holding.called, received, holding.commitment)
        return found | {"fees": sum(holding.fees), "carry": sum(holding.carry)}

    def _investor_metrics(
        self, flows: Sequence[float], called: float, received: float, commitment: float
    ) -> dict[str, Any]:
        balance = _running_sum(flows)
        profit, peak = received - called, max(0.0, -min(balance))
        rate = self._nominal_rate("investor", self.deal.rates.investor)
        metrics: dict[str, Any] = dict.fromkeys(_INVESTOR_METRICS)
        metrics |= {
            "called": called,
            "distributed": received,
            "peak_funding_need": peak,
            "net_present_value": self._present_value(flows, rate),
        }
        if commitment > 0:
            metrics["multiple_on_committed"] = 1 + profit / commitment
        if called <= 0:
            return metrics | {"irr_note": "no investment"}
        metrics["multiple"] = received / called
        metrics["multiple_on_peak"] = 1 + profit / peak if peak > 0 else None
        metrics["irr"], metrics["irr_note"] = _rate_of_return(flows, self.time.a_year)
        # paid back: they have paid in, and from here on they have never had less than they put in
        first = next((t for t, flow in enumerate(flows) if flow < 0), self.T + 1)
        short = [t for t, each in enumerate(balance) if each < -_ROUNDING * called]
        after = max(first, short[-1] + 1 if short else 0)
        metrics["payback"] = after / self.time.a_year if after <= self.T else None
        return metrics

    def _nominal_rate(self, whose: str, stated: Worded) -> float:
        rate: float = self.values["rates", whose]
        if stated.form == "real":
            inflation: float = self.values["rates", "inflation"]
            return (1 + rate) * (1 + inflation) - 1
        return rate

    def _present_value(self, flows: Sequence[float], rate: float) -> float:
        return sum(flow * math.pow(1 + rate, -t / self.time.a_year) for t, flow in enumerate(flows))


_INVESTOR_METRICS = (
    "irr",
    "irr_note",
    "multiple",
    "multiple_on_committed",
    "multiple_on_peak",
    "net_present_value",
    "payback",
    "peak_funding_need",
    "called",
    "distributed",
)


def _running_sum(flows: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for flow in flows:
        total += flow
        sums.append(total)
    return sums


def _rate_of_return(flows: Sequence[float], a_year: int) -> tuple[float | None, str | None]:
    """Annual effective rate at which flows are worth nothing, and a note where there is more to say.

    A total loss is -100%. Where several rates solve the equation, the one nearest zero with the sign of the
    profit is returned, or the one nearest zero if none has that sign. A rate is sought by walking away from
    zero in small steps and halving the step that holds it.
    """
    largest = max(abs(flow) for flow in flows)
    flows = [flow if abs(flow) > 1e-12 * largest else 0.0 for flow in flows]
    dated = [t for t, flow in enumerate(flows) if flow != 0]
    flows = flows[dated[0] : dated[-1] + 1] if dated else []  # periods without flows would only discount them away
    if not any(flow < 0 for flow in flows):
        return None, "no investment"
    if not any(flow > 0 for flow in flows):
        return -1.0, "total loss"
    profit = math.fsum(flows)
    if abs(profit) <= 1e-12 * sum(abs(flow) for flow in flows):
        return 0.0, None
    with_its_sign = _roots(flows, 1 if profit > 0 else -1)
    signs = [flow > 0 for flow in flows if flow != 0]
    changes = sum(before != after for before, after in pairwise(signs))
    others = _roots(flows, -1 if profit > 0 else 1) if changes > 1 or not with_its_sign else []
    if not with_its_sign and not others:
        return None, "no rate solves it"
    several = len(with_its_sign) + len(others) > 1
    note = "several rates solve it; this one is nearest zero with the sign of the profit" if several else None
    return math.exp((with_its_sign or others)[0] * a_year) - 1, note


def _roots(flows: Sequence[float], direction: int) -> list[float]:
    """Logarithms of the growth a period at which flows are worth nothing, on one side, nearest first."""
    found = []
    near, step = 0.0, 0.001
    while near < 60:
        far = near + max(step, 0.01 * near)
        low, high = direction * near, direction * far
        sign = _worth(flows, low) > 0
        if (_worth(flows, high) > 0) != sign:
            while abs(high - low) > 1e-15 * max(abs(high), 1e-3):
                middle = low + (high - low) / 2
                if middle in {low, high}:
                    break
                low, high = (middle, high) if (_worth(flows, middle) > 0) == sign else (low, middle)
            found.append(low + (high - low) / 2)
        near = far
    return found


def _worth(flows: Sequence[float], log_growth: float) -> float:
    """Worth of flows at a growth a period: at the start if it is positive, at the end if it is negative."""
    factor, worth = math.exp(-abs(log_growth)), 0.0
    for flow in reversed(flows) if log_growth >= 0 else flows:
        worth = worth * factor + flow
    return worth
