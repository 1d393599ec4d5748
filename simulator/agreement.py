"""The readable twin of the finance agreement: capital, coupons, the waterfall and the guarantee of one draw.

It reads the deal itself and shares no code with the kernels. :mod:`simulator.reference` plays it period by period and
books what it moves; every movement carries its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.deal import (
    INVESTORS,
    MONTHS_A_STEP,
    Finance,
    Guarantee,
    MoneyTable,
    RateTable,
    ShareTable,
    Stage,
    Time,
    Tranche,
    Worded,
)

Path = tuple[str | int, ...]

VEHICLE = "vehicle"
PROVIDER = "service provider"
OTHERS = "others"
_ROUNDING = 1e-9


def plain(number: float, decimals: int = 2) -> str:
    """Write a number for people: 18,000 or 24.1 or 0.0625."""
    text = f"{number:,.{decimals}f}" if abs(number) >= 1 else f"{number:.6f}"
    text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def percent(share: float) -> str:
    """Write a share for people: 7.5%."""
    return f"{plain(100 * share, 6)}%"


def _tables_slack(bound: float) -> float:
    return _ROUNDING * max(1.0, abs(bound))


@dataclass
class Paper:
    """One tranche as it stands."""

    name: str
    terms: Tranche
    path: Path
    commitment: float
    flows: list[float]
    called: float = 0.0
    outstanding: float = 0.0
    repaid: float = 0.0
    received: float = 0.0
    owed: float = 0.0
    """Interest that is due and not paid."""
    runs_on: float = 0.0
    """Capital times years on which interest has run since it was last due."""
    matured: bool = False
    written_off: float = 0.0

    @property
    def form(self) -> str:
        """How its coupon is paid, or none."""
        return "none" if self.terms.coupon is None else self.terms.coupon.paid

    @property
    def left(self) -> float:
        """Commitment that may still be called."""
        return 0.0 if self.matured else max(self.commitment - self.called, 0.0)

    @property
    def due(self) -> float:
        """Capital that is to be repaid now, if there is cash."""
        return self.outstanding if self.terms.matures is None or self.matured else 0.0


@dataclass
class Agreement:
    """The finance agreement of one draw.

    Parameters
    ----------
    finance
        Its terms.
    number
        Value in this draw of a number, by its path within `finance`.
    time
        Time of the deal.
    move
        Books a movement of money: period, from, to, amount, reason.
    cash
        Cash of the vehicle as it stands.
    to_date
        Value of a measure over the cohorts whose results are known by a period, and how to write it.
    """

    finance: Finance
    number: Callable[..., float]
    time: Time
    move: Callable[[int, str, str, float, str], None]
    cash: Callable[[], float]
    to_date: Callable[[str, int], tuple[float | None, str]]
    papers: dict[str, Paper] = field(default_factory=dict)
    arrears: float = 0.0
    fees_owed: float = 0.0
    delivery_owed: float = 0.0
    owed_to: dict[str, float] = field(default_factory=dict)
    """What each guarantor is to get back."""
    paid_by_provider: float = 0.0

    def __post_init__(self) -> None:
        """Lay out the tranches."""
        own = self.finance.tranches is not None
        for name, tranche in self.finance.papers.items():
            path: Path = ("tranches", name) if own else ()
            flows = [0.0] * (self.time.periods + 1)
            self.papers[name] = Paper(name, tranche, path, self.number(*path, "commitment"), flows)

    @property
    def commitment(self) -> float:
        """Capital committed by all tranches."""
        return sum(paper.commitment for paper in self.papers.values())

    @property
    def called(self) -> float:
        """Capital called from all tranches."""
        return sum(paper.called for paper in self.papers.values())

    @property
    def received(self) -> float:
        """All that the tranches received."""
        return sum(paper.received for paper in self.papers.values())

    @property
    def unpaid(self) -> float:
        """What is owed in the end and was not paid."""
        owed = sum(paper.outstanding + paper.owed for paper in self.papers.values())
        return owed + self.fees_owed + self.delivery_owed

    @property
    def flows(self) -> list[float]:
        """Flows of all tranches together."""
        return [sum(each) for each in zip(*(paper.flows for paper in self.papers.values()), strict=True)]

    # -- Capital --------------------------------------------------------------------------------------------

    def call(self, t: int, wanted: float, reason: str) -> None:
        """Call from all tranches in proportion to what is left of them, or from the first of the file first."""
        left = {paper.name: paper.left for paper in self.papers.values()}
        total = sum(left.values())
        rest = min(wanted, total)
        if rest <= 0:
            return
        amount = rest
        for paper in self.papers.values():
            part = amount * left[paper.name] / total
            if self.finance.drawn == "in turn":
                part = min(left[paper.name], rest)
            rest -= part
            self._draw(t, paper, part, reason)

    def call_as_observed(self, t: int, amount: float) -> None:
        """Book capital that was really called, whatever the commitment."""
        total = self.commitment
        for paper in self.papers.values():
            self._draw(t, paper, amount * paper.commitment / total, "as the results say")

    def _draw(self, t: int, paper: Paper, amount: float, reason: str) -> None:
        if amount <= 0:
            return
        paper.called += amount
        paper.outstanding += amount
        paper.flows[t] -= amount
        self.move(t, paper.name, VEHICLE, amount, f"capital called: {reason}")

    def _pay(self, t: int, paper: Paper, amount: float, reason: str, payer: str = VEHICLE) -> None:
        if amount <= 0:
            return
        paper.received += amount
        paper.flows[t] += amount
        self.move(t, payer, paper.name, amount, reason)

    # -- Interest and maturity ------------------------------------------------------------------------------

    def let_interest_run(self, t: int) -> None:
        """One more period of interest, on the capital that was outstanding during it."""
        for paper in self.papers.values():
            if paper.matured or paper.form not in {"in cash", "accrued"}:
                continue
            if paper.form == "accrued" and paper.terms.coupon is not None and paper.terms.coupon.table is None:
                growth = (1 + self._rate(paper, t)[0]) ** (1 / self.time.a_year)
                paper.owed += (paper.outstanding + paper.owed) * (growth - 1)
                continue
            bears = paper.outstanding + (paper.owed if paper.form == "accrued" else 0.0)
            paper.runs_on += bears / self.time.a_year

    def fall_due(self, t: int, ended_early: bool) -> None:
        """Make interest and capital owed where this is their day.

        `ended_early` says that service stopped early in the period before.
        """
        for paper in self.papers.values():
            terms = paper.terms
            early = ended_early and terms.redeemed_early is not None and not paper.matured
            early = early and (terms.matures is None or t < self.time.period(terms.matures))
            on_its_day = terms.matures is not None and t == self.time.period(terms.matures) and not paper.matured
            if self._is_coupon_date(paper, t, maturing=early or on_its_day):
                rate, why = self._rate(paper, t)
                interest = paper.runs_on * rate
                paper.owed += interest
                paper.runs_on = 0.0
                word = "falls due" if paper.form == "in cash" else "accrues"
                self.move(t, VEHICLE, paper.name, 0.0, f"interest of {plain(interest)} {word}: {why}")
            if early or on_its_day:
                self._mature(t, paper, early=early)

    def _is_coupon_date(self, paper: Paper, t: int, *, maturing: bool) -> bool:
        coupon = paper.terms.coupon
        if coupon is None or paper.form == "at maturity" or paper.runs_on <= 0:
            return False
        every = MONTHS_A_STEP[coupon.every] // self.time.months
        return maturing or t % every == 0 or t == self.time.periods or paper.outstanding <= 0

    def _mature(self, t: int, paper: Paper, *, early: bool) -> None:
        paper.matured = True
        if paper.form == "at maturity":
            rate, why = self._rate(paper, t)
            worth = sum(-flow * (1 + rate) ** ((t - s) / self.time.a_year) for s, flow in enumerate(paper.flows))
            paper.owed += max(worth - paper.outstanding, 0.0)
            text = f"interest of {plain(paper.owed)} falls due for the whole term: {why}"
            self.move(t, VEHICLE, paper.name, 0.0, text)
        share, why = 1.0, "in full"
        if early:
            assert paper.terms.redeemed_early is not None
            years = t / self.time.a_year
            share = self._from_table((*paper.path, "redeemed_early"), paper.terms.redeemed_early, years)
            why = f"{percent(share)}, redeemed early after {plain(years)} years"
        elif paper.terms.principal is not None:
            by = paper.terms.principal.by
            level, words = self.to_date(by, t)
            share = self._read((*paper.path, "principal", "table"), paper.terms.principal.table, level)
            why = f"{percent(share)} at {by} {words}"
        lost = paper.outstanding * (1 - share)
        paper.outstanding -= lost
        paper.written_off += lost
        self.move(t, VEHICLE, paper.name, 0.0, f"capital of {plain(paper.outstanding)} falls due: {why}")

    def _rate(self, paper: Paper, t: int) -> tuple[float, str]:
        """Coupon a year as it stands in a period, and why."""
        coupon, path = paper.terms.coupon, (*paper.path, "coupon")
        assert coupon is not None
        if coupon.table is not None:
            level, words = self.to_date(str(coupon.by), t)
            rate = self._read((*path, "table"), coupon.table, level)
            why = f"{percent(rate)} a year at {coupon.by} {words}"
        else:
            rate = self.number(*path, "rate")
            why = f"{percent(rate)} a year"
        if coupon.at_least is not None:
            years, least = coupon.at_least.in_, self.number(*path, "at_least", "rate")
            year = (t - 1) // self.time.a_year + 1
            if (years is None or years.first <= year <= years.last) and rate < least:
                rate, why = least, f"{why}, raised to the minimum of {percent(least)}"
        if coupon.at_most is not None and rate > self.number(*path, "at_most"):
            rate = self.number(*path, "at_most")
            why += f", cut to the maximum of {percent(rate)}"
        return rate, why

    def _read(self, path: Path, table: RateTable | ShareTable, level: float | None) -> float:
        return 0.0 if level is None else self._from_table(path, table, level)

    def _from_table(self, path: Path, table: RateTable | ShareTable | MoneyTable, level: float) -> float:
        """Read a table; a level short of a step by no more than rounding is on it."""
        rows = [
            (self.number(*path, "points", row, 0), self.number(*path, "points", row, 1))
            for row in range(len(table.points))
        ]
        reached = [row for row, (start, _) in enumerate(rows) if level >= start - _tables_slack(start)]
        if level < rows[0][0] - _tables_slack(rows[0][0]):
            return self.number(*path, "below")
        row = max(reached)
        start, value = rows[row]
        if row == len(rows) - 1:
            beyond = table.above is not None and level > start + _tables_slack(start)
            return self.number(*path, "above") if beyond else value
        if table.between == "steps":
            return value
        part = min(max((level - start) / (rows[row + 1][0] - start), 0.0), 1.0)
        return value + part * (rows[row + 1][1] - value)

    # -- The waterfall --------------------------------------------------------------------------------------

    def pay_out(self, t: int, held: float, *, serving: bool) -> None:
        """Pay the cash out, action by action; those after `planned costs` leave what is held alone.

        `serving` says that service goes on after this period.
        """
        kept, note = 0.0, ""
        for action in self.finance.waterfall or self.finance.usual_waterfall():
            free = self.cash() - kept
            if action == "planned costs":
                kept, note = held, f", {plain(held)} is kept for planned costs" if held > 0 else ""
            elif free <= 0:
                continue
            elif isinstance(action, dict):
                ((what, whose),) = action.items()
                listed = [whose] if isinstance(whose, str) else list(whose)
                self._pay_tranches(t, what, [self.papers[name] for name in listed], free, note)
            elif action == "rest":
                if not self._must_wait(t, serving=serving):
                    self._split_rest(t, free, note)
            else:
                self._pay_others(t, action, free)

    def _pay_others(self, t: int, action: str, free: float) -> None:
        if action == "advances":
            self.repay_provider(t, free)
        elif action == "deferred delivery":
            paid = min(free, self.delivery_owed)
            self.delivery_owed -= paid
            self._move_some(t, PROVIDER, paid, "delivery that was deferred")
        elif action == "deferred fees":
            paid = min(free, self.fees_owed)
            self.fees_owed -= paid
            self._move_some(t, OTHERS, paid, "fees that were deferred")
        else:
            total = sum(self.owed_to.values())
            for guarantor, owed in self.owed_to.items():
                paid = owed if free >= total else free * owed / total
                self.owed_to[guarantor] -= paid
                self._move_some(t, guarantor, paid, "the guarantor is repaid")

    def _move_some(self, t: int, to: str, amount: float, reason: str) -> None:
        if amount > 0:
            self.move(t, VEHICLE, to, amount, reason)

    def repay_provider(self, t: int, free: float) -> None:
        """Repay what the provider advanced, as far as the cash goes."""
        repaid = min(free, self.arrears)
        self.arrears -= repaid
        self._move_some(t, PROVIDER, repaid, "repays what the provider advanced")

    def _pay_tranches(self, t: int, what: str, papers: Sequence[Paper], free: float, note: str) -> None:
        """Pay one kind of claim, in proportion where the cash does not pay all."""
        claims = {paper.name: self._claim(what, paper) for paper in papers}
        total = sum(claims.values())
        for paper in papers:
            claim = claims[paper.name]
            amount = claim if free >= total else free * claim / total
            if amount <= 0:
                continue
            if what == "capital":
                paper.outstanding = max(paper.outstanding - amount, 0.0)
                paper.repaid += amount
                self._pay(t, paper, amount, f"capital repaid{note}")
                continue
            paper.owed = max(paper.owed - amount, 0.0)
            self._pay(t, paper, amount, f"{'coupon' if what == 'coupon' else 'interest'}{note}")

    @staticmethod
    def _claim(what: str, paper: Paper) -> float:
        if what == "capital":
            return paper.due
        return paper.owed if (what == "coupon") == (paper.form == "in cash") else 0.0

    def _must_wait(self, t: int, *, serving: bool) -> bool:
        """Whether what is left must stay: deferred costs, paper that matures or interest that runs come first."""
        if t == self.time.periods:
            return False
        if serving and self.finance.deferred is not None:
            return True
        return any(
            paper.runs_on > 0
            or paper.owed > 0
            or (paper.outstanding > 0 and paper.terms.matures is not None and not paper.matured)
            for paper in self.papers.values()
        )

    def _split_rest(self, t: int, rest: float, note: str) -> None:
        """Split what is left, stage by stage."""
        if not self.finance.residual:
            to_investors = rest * self.number("surplus_to_investors")
            self._share(t, to_investors, f"investors' share of the surplus{note}")
            self._move_some(t, PROVIDER, rest - to_investors, f"provider's share of the surplus{note}")
            return
        for place, stage in enumerate(self.finance.residual):
            if rest <= 0:
                return
            shares = {name: self.number("residual", place, "to", name) for name in stage.to}
            amount, words = self._stage_amount(t, place, stage, shares, rest)
            rest -= amount
            for name, share in shares.items():
                reason = f"{percent(share)} of what is left{words}{note}"
                if name in self.papers and name != INVESTORS:
                    self._pay(t, self.papers[name], amount * share, reason)
                elif name == INVESTORS:
                    self._share(t, amount * share, reason)
                else:
                    self._move_some(t, PROVIDER, amount * share, reason)

    def _stage_amount(
        self, t: int, place: int, stage: Stage, shares: dict[str, float], rest: float
    ) -> tuple[float, str]:
        """What goes by the shares of this stage, until somebody has had enough, and the words for it."""
        if stage.until is None:
            return rest, ""
        ((who, enough),) = stage.until.items()
        need, words = self.still_needed(t, who, enough, self.number("residual", place, "until", who))
        its = sum(share for name, share in shares.items() if name == who or (who == INVESTORS and name in self.papers))
        if who != INVESTORS and INVESTORS in shares and self.called > 0:
            its += shares[INVESTORS] * self.papers[who].called / self.called
        if need <= 0 or its <= 0:
            return 0.0, words
        return min(rest, need / its), words

    def still_needed(self, t: int, who: str, enough: Worded, level: float) -> tuple[float, str]:
        """What somebody still needs to have had a return by a period, below 0 beyond it, and the words for it."""
        papers = list(self.papers.values()) if who == INVESTORS else [self.papers[who]]
        if enough.form == "times":
            need = sum(level * paper.called - paper.received for paper in papers)
            return need, f" until {who} have had {plain(level)} times their capital"
        growth = 1 + level
        need = sum(
            -flow * growth ** ((t - s) / self.time.a_year)
            for paper in papers
            for s, flow in enumerate(paper.flows[: t + 1])
        )
        return need, f" until {who} have had {percent(level)} a year"

    def _share(self, t: int, amount: float, reason: str) -> None:
        """Give all tranches a part, in proportion to the capital called from them."""
        called, committed = self.called, self.commitment
        for paper in self.papers.values():
            weight = paper.called / called if called > 0 else paper.commitment / committed
            self._pay(t, paper, amount * weight, reason)

    # -- Who else pays --------------------------------------------------------------------------------------

    def stand_behind(self, t: int) -> None:
        """Let the provider pay what is due on paper that it backs and the vehicle could not pay."""
        for paper in self.papers.values():
            if paper.terms.backed_by != "provider":
                continue
            due = paper.outstanding if paper.matured else 0.0
            interest = paper.owed if paper.matured or paper.form == "in cash" else 0.0
            paper.outstanding -= due
            paper.repaid += due
            paper.owed -= interest
            self.paid_by_provider += due + interest
            self._pay(t, paper, interest, "interest, paid by the provider: the vehicle cannot", PROVIDER)
            self._pay(t, paper, due, "capital, paid by the provider: the vehicle cannot", PROVIDER)

    def call_guarantees(self, t: int) -> None:
        """Let the guarantors whose day it is pay for the loss, in the order of the file."""
        before = {paper.name: max(paper.called - paper.repaid, 0.0) for paper in self.papers.values()}
        for path, guarantee in self.finance.guarantees.items():
            if t == (self.time.periods if guarantee.due is None else self.time.period(guarantee.due)):
                self._call_guarantee(t, path, guarantee, before)

    def _call_guarantee(self, t: int, path: Path, guarantee: Guarantee, before: Mapping[str, float]) -> None:
        """Let a guarantor pay within the loss that is left; a share is of the loss before anybody paid on that day."""
        papers = [paper for paper in self.papers.values() if guarantee.of in {None, INVESTORS, paper.name}]
        losses = {paper.name: max(paper.called - paper.repaid, 0.0) for paper in papers}
        called, loss = sum(paper.called for paper in papers), sum(losses.values())
        if loss <= 0:
            return
        if guarantee.recovery is not None:
            floor = self.number(*path, "recovery")
            amount, words = floor * called - (called - loss), f"{percent(floor)} of the capital called is safe"
        elif guarantee.share_of_loss is not None:
            share = self.number(*path, "share_of_loss")
            whole = sum(before[paper.name] for paper in papers)
            amount, words = share * whole, f"{percent(share)} of the loss"
        elif guarantee.amount is not None:
            amount = self.number(*path, "amount")
            words = f"up to {plain(amount)}"
        else:
            assert guarantee.by_capital_called is not None
            amount = self._from_table((*path, "by_capital_called"), guarantee.by_capital_called, called)
            words = f"up to {plain(amount)}, since {plain(called)} were called"
        amount = min(max(amount, 0.0), loss)
        if guarantee.repaid:
            self.owed_to[guarantee.guarantor] = self.owed_to.get(guarantee.guarantor, 0.0) + amount
        for paper in papers:
            part = amount * losses[paper.name] / loss
            paper.outstanding = max(paper.outstanding - part, 0.0)
            paper.repaid += part
            self._pay(t, paper, part, f"guarantee for a loss of {plain(loss)}: {words}", guarantee.guarantor)
