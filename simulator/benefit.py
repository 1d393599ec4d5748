"""What the payer gains in each draw: additional outcomes at the worth that the deal file or the question gives them.

The file's savings and social values count as :mod:`simulator.compare` counts them: dated, discounted at the payers'
rate, less optimism bias, and of those that overlap only the largest. An outcome for which the question names an amount
is worth that amount each, undiscounted, and the file's worths of that outcome are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator import worth
from simulator.outcomes import Outcomes
from simulator.plan import Plan

Floats = NDArray[np.float64]

ASKED, FILE = "asked", "file"


class Benefit(NamedTuple):
    """Which worths count."""

    plan: Plan
    rows: NDArray[Any]
    """Worths of the file that count, as in the plan."""
    given: Floats
    """[O] money for each additional outcome that the question values, else 0."""

    def of(self, values: Floats, out: Outcomes, stops: Floats) -> Floats:
        """Worth of the additional outcomes of each draw, [draws].

        Parameters
        ----------
        values
            [draws, columns] value rows.
        out, stops
            Outcomes with a leading axis of draws; [draws] the last period of service that counts.
        """
        plan, draws = self.plan, values.shape[0]
        totals = np.empty((draws, len(plan.outcome_names), 4))
        present = np.empty((draws, self.rows.size))
        worth.additional_worth(
            values,
            self.rows,
            plan.outcomes,
            plan.blocks,
            plan.calendar,
            out,
            stops.astype(np.int64),
            totals,
            present,
            np.empty((0, self.rows.size, 1)),
        )
        total = np.zeros(draws)
        for o in np.flatnonzero(self.given):
            total += self.given[o] * totals[:, o, worth.MORE]
        for j in range(self.rows.size):  # one after another, so that a draw's bits do not depend on its neighbours
            total += present[:, j]
        return total


def benefit_of(plan: Plan, value: Mapping[str, float] | None) -> Benefit | None:
    """Worths that count where some outcomes are valued by a question; None where nothing is valued at all.

    Raises
    ------
    KeyError
        If a value is of no outcome of the deal.
    """
    given = np.zeros(len(plan.outcome_names))
    asked = np.zeros(len(plan.outcome_names), np.bool_)
    for name, amount in (value or {}).items():
        if name not in plan.outcome_names:
            raise KeyError(name)
        given[plan.outcome_names.index(name)] = amount
        asked[plan.outcome_names.index(name)] = True
    rows = plan.worths[~asked[plan.worths["outcome"]]]
    return Benefit(plan, rows, given) if rows.size or asked.any() else None


def valued(plan: Plan, value: Mapping[str, float] | None) -> dict[str, Any]:
    """Say by outcome what it is worth and who says so; outcomes without a worth are left out.

    ``source`` is "asked", with ``each``, or "file", with the names of its ``savings`` and ``social_value``.
    """
    deal = plan.deal
    found: dict[str, Any] = {}
    for name in plan.outcome_names:
        if value and name in value:
            found[name] = {"source": ASKED, "each": value[name]}
            continue
        savings = [key for key, each in (deal.savings or {}).items() if each.outcome == name]
        social = [key for key, each in (deal.social_value or {}).items() if each.outcome == name]
        if savings or social:
            found[name] = {"source": FILE, "savings": savings, "social_value": social}
    return found
