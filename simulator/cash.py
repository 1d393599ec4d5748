"""Cash by party and period: of every draw of a sample, and on the expected path.

The *expected path* is the mean of the draws, period by period. Its IRR is not the mean IRR, and its multiple is the
ratio of two means: both say what a pool of many like deals would earn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator import fund, metrics, parameters
from simulator import ledger as book_of
from simulator.deal import Deal, structure_names
from simulator.ledger import nominal_rate
from simulator.outcomes import Outcomes
from simulator.plan import Plan, compile_plan
from simulator.run import BLOCK, DefectError, Simulation, check_draws, new_book_of

Floats = NDArray[np.float64]

DRAWS = 8_192
PAYERS, INVESTORS, PROVIDER = "outcome payers", "investors", "service provider"
DELIVERY, OTHERS, VEHICLE = "delivery of the service", "set-up, management and evaluation", "held by the vehicle"
GUARANTOR, GRANTS = "guarantor", "givers of grants"
PARTIES = (PAYERS, INVESTORS, PROVIDER, DELIVERY, OTHERS, GUARANTOR, GRANTS, VEHICLE)
"""Whose cash; the flows of all of them sum to zero in every period. The provider's are what is left after delivery."""
_RARE = (GUARANTOR, GRANTS)
PAPER, FEES, CARRY, NET = "paid on the fund's paper", "fund's fees", "fund's carry", "fund's own investors"
OF_FUND = (PAPER, FEES, CARRY, NET)
"""Of a fund that holds the paper; the last is the first less the others."""


@dataclass(frozen=True)
class Cash:
    """Cash of one structure; money received is positive, money paid negative.

    `flows` has for each party an array [draws, T + 1]: flow at the end of each period, the first at the start.
    Guarantor and givers of grants are left out where a structure has none.
    """

    dates: list[str]
    a_year: float
    investor_rate: float
    """Nominal, a year, expected."""
    payer_rate: float
    flows: dict[str, Floats]
    fund: dict[str, Floats] = field(default_factory=dict)
    """Of a fund that holds the paper, arrays of the same shape: what its paper pays, its manager's fees and carry, and
    what its own investors get, by the names of :data:`OF_FUND`. Empty where there is none."""

    def all(self, party: str) -> Floats:
        """Return the flows of a party, or of one of :data:`OF_FUND`, draw by draw."""
        return self.fund[party] if party in self.fund else self.flows[party]

    def path(self, party: str) -> Floats:
        """Return the expected path of one party, [T + 1]."""
        return np.asarray(self.all(party).mean(axis=0))

    def irr(self, party: str = INVESTORS) -> float | None:
        """IRR of the investors' expected path, a year; None where there is none."""
        rate, code = metrics.irr(self.path(party), self.a_year)
        return None if code in (metrics.NO_INVESTMENT, metrics.NO_ROOT) else float(rate)

    def multiple(self, party: str = INVESTORS) -> float | None:
        """What comes back over what is put in, on the investors' expected path."""
        each = self.all(party)
        put_in = -np.minimum(each, 0.0).mean(axis=0).sum()
        return float(np.maximum(each, 0.0).mean(axis=0).sum() / put_in) if put_in > 0.0 else None

    def net_present_value(self, party: str) -> float:
        """Present value of a party's expected path at the rate of investors, or for all others of payers."""
        rate = self.investor_rate if party in {INVESTORS, NET} else self.payer_rate
        return float(metrics.npv(self.path(party), rate, self.a_year))


def cash_flows(
    deal: Deal, draws: int = DRAWS, seed: int = 1, structures: Sequence[str] | None = None
) -> dict[str, Cash]:
    """Play the first draws of a run and keep every party's cash.

    Parameters
    ----------
    deal, seed
        As for :func:`simulator.simulate`.
    draws
        Draws from the first; they are those of a run with the same seed.
    structures
        Names of payment structures, by default all.

    Returns
    -------
    dict
        Structure -> its cash.

    Raises
    ------
    KeyError
        For an unknown structure.
    ValueError
        If `draws` is below 1.
    DefectError
        If flows do not sum to zero; a defect of ours.
    """
    check_draws(draws)
    names = structure_names(deal, structures)
    plan = compile_plan(deal)
    simulation = Simulation(plan, seed, names)
    T = plan.calendar.periods
    flows = {
        name: {
            party: np.zeros((draws, T + 1))
            for party in (*PARTIES, *(OF_FUND if plan.structures[name].finance.fund.size else ()))
        }
        for name in names
    }
    for start in range(0, draws, BLOCK):
        number = min(BLOCK, draws - start)
        rows, _ = parameters.values(plan, simulation.value_keys, start, number)
        for low in range(0, number, simulation.chunk):
            _play(simulation, start + low, rows[low : low + simulation.chunk], flows)
    rates = _rates(plan)
    dates = [deal.time.date(t) for t in range(T + 1)]
    answers = {}
    for name in names:
        found = flows[name]
        kept = {party: found[party] for party in PARTIES if party not in _RARE or found[party].any()}
        held = {each: found[each] for each in OF_FUND if each in found}
        answers[name] = Cash(dates, plan.calendar.a_year, *rates, kept, held)
    return answers


def _rates(plan: Plan) -> tuple[float, float]:
    calendar, expected = plan.calendar, plan.expected
    inflation = calendar.inflation_at
    return (
        float(nominal_rate(expected, calendar.investor_rate_at, calendar.investor_real, inflation)),
        float(nominal_rate(expected, calendar.payer_rate_at, calendar.payer_real, inflation)),
    )


def _play(simulation: Simulation, start: int, rows: Floats, flows: dict[str, dict[str, Floats]]) -> None:
    """Play a chunk of draws one by one, since a ledger holds one draw."""
    plan, T = simulation.plan, simulation.plan.calendar.periods
    alike = simulation.outcomes(start, rows)
    for name in simulation.names:
        out, stops, _, capped = simulation.outcomes_under(name, start, rows, alike)
        book = new_book_of(plan, name)
        met = np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64)
        has_finance = plan.structures[name].finance.has != 0
        for d in range(rows.shape[0]):
            part = slice(d, d + 1)
            one = Outcomes(out.people[part], out.when[part], out.counts[part], out.arms[part])
            simulation.settle(name, rows[part], one, stops[part], capped[part], met, book=book)
            each = parties(book.flows[:, : T + 1], has_finance=has_finance)
            total = sum(each.values())
            if np.abs(total).max() > 1e-6 * (1.0 + np.abs(book.flows).max()):
                raise DefectError(f"the cash of all parties of {name!r} does not sum to zero in draw {start + d}")
            for party, flow in each.items():
                flows[name][party][start + d] = flow
            if PAPER in flows[name]:
                own = book.fund[[fund.FEES, fund.CARRY, fund.NET], : T + 1]
                for what, flow in zip(OF_FUND, (own.sum(axis=0), *own), strict=True):
                    flows[name][what][start + d] = flow


def parties(book: Floats, *, has_finance: bool) -> dict[str, Floats]:
    """Split the flows of one ledger by party; money received is positive."""
    held = book[book_of.VEHICLE] if has_finance else np.zeros(book.shape[1])
    own = book[book_of.PAYER_COSTS]
    return {
        PAYERS: -book[book_of.RECEIPTS] - own,
        INVESTORS: book[book_of.INVESTOR].copy(),
        PROVIDER: book[book_of.PROVIDERS].copy(),
        DELIVERY: book[book_of.SERVICE].copy(),
        OTHERS: book[book_of.OTHER_PARTIES] + own,
        GUARANTOR: book[book_of.GUARANTORS].copy(),
        GRANTS: -book[book_of.GRANTS],
        VEHICLE: np.diff(held, prepend=0.0),
    }
