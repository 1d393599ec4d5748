"""The three Ms of a paid outcome: is it meaningful, measurable, monetisable? Each grade comes with its reason.

Grades are `good`, `fair` and `poor`, by these conventions of ours:

meaningful
    Whether what is counted is a change. *Good* if at least half of it is additional and the service does some good in
    at least nine draws of ten; *poor* if at most a tenth is, or it does good in fewer than half of the draws.
measurable
    Whether it is counted as it is. *Good* if what is accepted is within 5% of what is true, *fair* within 20%. Where a
    difference is paid for, the expected effect must also stand out from the standard error of one cohort's measurement:
    twice (*good*) or once (*fair*).
monetisable
    Whether the file says what one more is worth. *Good* if a body saves money that can be cashed and the evidence for
    it loses at most 15% to optimism; *fair* if the file gives any saving or social value, *poor* if none.
"""

from __future__ import annotations

import math
from typing import Any

from simulator.deal import Deal, Measure, Outcome, Worth, measure_of, outcome_of, quantity_of
from simulator.quantity import Quantity

GOOD, FAIR, POOR = "good", "fair", "poor"
_ORDER = (POOR, FAIR, GOOD)


def difference_paid(deal: Deal, structure: str, outcome: str) -> Measure | None:
    """Return the measure by which a structure pays for a difference in an outcome, None where it pays for a count."""
    for clause in deal.structures[structure].pays.values():
        for name in (clause.amount.times, clause.amount.by, *clause.when):
            if name is None:
                continue
            measure = measure_of(deal, name)
            if measure.outcome == outcome and measure.against is not None:
                return measure
    return None


def grades(
    deal: Deal,
    outcome: str,
    compared: Measure | None,
    *,
    real_share: float | None,
    chance_of_more: float,
    accepted: float | None,
) -> dict[str, Any]:
    """Grade one paid outcome.

    Parameters
    ----------
    compared
        As :func:`difference_paid` gives it.
    real_share
        Share of what is counted that is additional, a ratio of means; None where it is not known.
    chance_of_more
        Share of draws in which the service does some good.
    accepted
        Mean of outcomes accepted over mean of true ones.

    Returns
    -------
    dict
        `meaningful`, `measurable` and `monetisable`, each `{"grade", "reason"}`.
    """
    return {
        "meaningful": _meaningful(real_share, chance_of_more),
        "measurable": _measurable(deal, outcome, compared, accepted),
        "monetisable": _monetisable(deal, outcome),
    }


def _graded(grade: str, reason: str) -> dict[str, str]:
    return {"grade": grade, "reason": reason}


def _meaningful(real: float | None, chance: float) -> dict[str, str]:
    reason = f"the service does some good in {chance:.1%} of draws"
    if real is not None:
        reason = f"{real:.1%} of what is counted is additional; {reason}"
    if chance < 0.5 or (real is not None and real <= 0.1):
        return _graded(POOR, reason)
    return _graded(GOOD if chance >= 0.9 and real is not None and real >= 0.5 else FAIR, reason)


def _measurable(deal: Deal, name: str, compared: Measure | None, accepted: float | None) -> dict[str, str]:
    if accepted is None:
        return _graded(POOR, "it never happens")
    off = abs(accepted - 1.0)
    grade = GOOD if off <= 0.05 else FAIR if off <= 0.2 else POOR
    reason = f"{accepted:.1%} of true outcomes are counted: in time, with evidence, mistaken ones included"
    outcome, step = outcome_of(deal, name)
    if compared is None or step is not None:
        return _graded(grade, f"{reason}; nobody measures what would have come anyway")
    effect, error = _signal(deal, outcome, compared)
    other = GOOD if effect >= 2 * error else FAIR if effect >= error else POOR
    against = "a comparison arm" if compared.against == "comparison_arm" else "a fixed level"
    reason += (
        f"; in one cohort the difference from {against} has a standard error of {error:.1%} of the level, and "
        f"{effect:.1%} is expected"
    )
    return _graded(min(grade, other, key=_ORDER.index), reason)


def _mean(deal: Deal, quantity: Quantity) -> float:
    return float(quantity_of(deal, quantity).mean())


def _signal(deal: Deal, outcome: Outcome, compared: Measure) -> tuple[float, float]:
    """Expected effect and standard error of one cohort's measured difference, as shares of the level.

    On the expected path, cohorts of the average size; the variance of one person's outcome is p (1 − p) for yes/no and
    μ + μ²/k for events. A comparison arm adds its own sampling and its bias; a fixed level adds how wrong it may be.
    """
    assert isinstance(outcome.without_service, Quantity)
    without = quantity_of(deal, outcome.without_service)
    level = without.mean()
    if level <= 0.0:
        return 0.0, math.inf
    effect = abs(_mean(deal, outcome.effect)) / (level if outcome.effect_as == "units" else 1.0)
    sizes = [_mean(deal, each.people) * _mean(deal, each.referrals) for each in deal.cohorts.values()]
    people = sum(sizes) / len(sizes)
    if people <= 0.0:
        return effect, math.inf
    variance = max(level * (1.0 - level), 0.0)
    if outcome.counts == "events":
        variance = level
        if isinstance(outcome.dispersion, Quantity):
            variance += level * level / _mean(deal, outcome.dispersion)
    squared = variance / people / level**2
    arm = outcome.comparison_arm
    if compared.against == "comparison_arm" and arm is not None:
        size = _mean(deal, arm.people.quantity) * (people if arm.people.form == "per person" else 1.0)
        size *= _mean(deal, arm.effective_share)
        squared = squared + variance / size / level**2 if size > 0.0 else math.inf
        squared += quantity_of(deal, arm.shared_bias).sd() ** 2
    else:
        fixed = outcome.baseline if compared.against == "baseline" else compared.against
        wrong = _mean(deal, fixed) - level if isinstance(fixed, Quantity) else 0.0
        squared += (without.sd() ** 2 + wrong * wrong) / level**2
    return effect, math.sqrt(squared)


def _monetisable(deal: Deal, name: str) -> dict[str, str]:
    worths: dict[str, Worth] = {**(deal.social_value or {}), **(deal.savings or {})}
    texts, grade = [], POOR
    for key, each in worths.items():
        if each.outcome != name:
            continue
        bias = _mean(deal, (deal.optimism_bias or {})[each.evidence])
        cashable = getattr(each, "cashable", None)
        share = 0.0 if cashable is None else _mean(deal, cashable)
        grade = max(grade, GOOD if share > 0.0 and bias <= 0.15 else FAIR, key=_ORDER.index)
        kind = "social value" if cashable is None else f"{share:.0%} cashable"
        amount = _mean(deal, each.each.quantity)
        texts.append(f"{key}: {amount:,.0f} {each.each.form}, {kind}, less {bias:.0%} for optimism")
    return _graded(grade, "; ".join(texts) or "the file does not say what one more is worth")
