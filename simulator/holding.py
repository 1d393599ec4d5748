"""The readable twin of a fund that holds the investors' paper: fees and carried interest of one draw, with reasons.

It reads the deal itself and shares no code with the kernels. It is played at the end of each period, on what the paper
paid and got in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.agreement import Agreement, Paper, percent, plain
from simulator.deal import INVESTORS, MANAGER, Fund, Time

_OF = {"commitment": "committed", "capital outstanding": "outstanding"}
_ROUNDING = 1e-9


@dataclass
class Holding:
    """A fund as it stands.

    Parameters
    ----------
    fund
        Its terms.
    number
        Value in this draw of a number, by its path within `fund`.
    time
        Time of the deal.
    agreement
        The finance agreement whose paper it holds.
    move
        Books a movement of money: period, from, to, amount, reason.
    """

    fund: Fund
    number: Callable[..., float]
    time: Time
    agreement: Agreement
    move: Callable[[int, str, str, float, str], None]
    flows: list[float] = field(default_factory=list)
    """What the fund's own investors get (positive) and pay, by period."""
    fees: list[float] = field(default_factory=list)
    carry: list[float] = field(default_factory=list)
    paid_in: float = 0.0
    """Fees that they paid on top of the capital."""
    was_outstanding: float = 0.0

    @property
    def papers(self) -> list[Paper]:
        """The tranches that it holds."""
        return [paper for paper in self.agreement.papers.values() if self.fund.of in {None, INVESTORS, paper.name}]

    @property
    def name(self) -> str:
        """Who pays: the investors of the tranche that it holds, or all of them."""
        return self.papers[0].name if len(self.papers) == 1 else INVESTORS

    @property
    def commitment(self) -> float:
        """Capital committed by the paper that it holds."""
        return sum(paper.commitment for paper in self.papers)

    @property
    def called(self) -> float:
        """What its investors paid in: capital, and fees on top."""
        return sum(paper.called for paper in self.papers) + self.paid_in

    def close(self, t: int, *, serving: bool) -> None:
        """Take the fees of a period that is over, and then the carry; `serving` says that service ran in it."""
        flow = sum(paper.flows[t] for paper in self.papers)
        fees = self._set_up() if t == 0 else self._fees(t, serving=serving)
        self.paid_in += max(fees - max(flow, 0.0), 0.0)
        carry = self._carry(t, flow - fees)
        self.flows.append(flow - fees - carry)
        self.fees.append(fees)
        self.carry.append(carry)
        self.was_outstanding = sum(paper.outstanding for paper in self.papers)

    def _take(self, t: int, amount: float, reason: str) -> float:
        if amount > 0:
            self.move(t, self.name, MANAGER, amount, reason)
        return amount

    def _set_up(self) -> float:
        return 0.0 if self.fund.set_up is None else self._take(0, self.number("set_up"), "setting up the fund")

    def _fees(self, t: int, *, serving: bool) -> float:
        total = 0.0
        lasts = serving or self.was_outstanding > _ROUNDING * self.commitment
        year = (t - 1) // self.time.a_year + 1
        for name, fee in (self.fund.fees or {}).items():
            if not (lasts if fee.in_ is None else fee.in_.first <= year <= fee.in_.last):
                continue
            base = self.commitment if fee.of == "commitment" else self.was_outstanding
            share = self.number("fees", name, "share")
            words = f"{name}: {percent(share)} a year of {plain(base)} {_OF[fee.of]}"
            total += self._take(t, share * base / self.time.a_year, words)
        return total

    def _carry(self, t: int, comes_in: float) -> float:
        """Take the manager's share of what comes in once its investors have had their return."""
        terms = self.fund.carry
        if terms is None:
            return 0.0
        rate, share = self.number("carry", "above"), self.number("carry", "share")
        owed = -sum(flow * (1 + rate) ** ((t - s) / self.time.a_year) for s, flow in enumerate(self.flows))
        first = max(owed, 0.0)
        beyond = comes_in - first
        if beyond <= 0:
            return 0.0
        if terms.catch_up is not None:
            so_far = sum(self.carry)
            behind = share * (sum(self.flows) + so_far + first) - so_far
            if behind > 0:
                quick = self.number("carry", "catch_up")
                faster = min(behind / (quick - share), beyond) if quick > share else beyond
                amount = quick * faster + share * (beyond - faster)
                had = f"{percent(quick)} of {plain(faster)} to catch up, {percent(share)} of {plain(beyond - faster)}"
                return self._take(t, amount, f"carry: {had} beyond {percent(rate)} a year")
        had = f"{percent(share)} of {plain(beyond)}"
        return self._take(t, share * beyond, f"carry: {had} beyond {percent(rate)} a year")
