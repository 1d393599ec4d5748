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

from simulator.deal import Deal, Measure, Outcome, Worth, outcome_of, quantity_of, singles
from simulator.quantity import Quantity

GOOD, FAIR, POOR = "good", "fair", "poor"
_ORDER = (POOR, FAIR, GOOD)


def difference_paid(deal: Deal, structure: str, outcome: str) -> Measure | None:
    """Return the measure by which a structure pays for a difference in an outcome, None where it pays for a count."""
    for clause in deal.structures[structure].pays.values():
        for name in clause.reads:
            for measure in singles(deal, name):
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
    against = {"comparison_arm": "a comparison arm", "before": "the same people before"}
    against_what = against.get(str(compared.against), "a fixed level")
    assert isinstance(outcome.without_service, Quantity)
    level = 0.0 if outcome.counts == "score" else _mean(deal, outcome.without_service)
    if level > 0.0:
        text = f"{error / level:.1%} of the level, and {effect / level:.1%} is expected"
    else:
        text = f"{error:.3g} a person, and {effect:.3g} is expected"
    reason += f"; in one cohort the difference from {against_what} has a standard error of {text}"
    return _graded(min(grade, other, key=_ORDER.index), reason)


def _mean(deal: Deal, quantity: Quantity) -> float:
    return float(quantity_of(deal, quantity).mean())


def _variance(deal: Deal, outcome: Outcome, level: float) -> float:
    """Variance of one person's outcome about its level: binomial, negative binomial, hurdle or normal."""
    if outcome.counts == "yes or no":
        return max(level * (1.0 - level), 0.0)
    if outcome.counts == "events":
        overdispersed = isinstance(outcome.dispersion, Quantity)
        return level + (level * level / _mean(deal, outcome.dispersion) if overdispersed else 0.0)  # type: ignore[arg-type]
    spread = _mean(deal, outcome.spread)
    if outcome.counts == "score":
        return spread * spread
    share = _mean(deal, outcome.any)
    return share * (spread * spread + (level / share) ** 2) - level * level


def _signal(deal: Deal, outcome: Outcome, compared: Measure) -> tuple[float, float]:
    """Expected effect and standard error of one cohort's measured difference, a person.

    On the expected path, with cohorts of the average size and people alike. A comparison arm adds its own sampling and
    its bias; a fixed level adds how wrong it may be; a measurement before keeps the part that does not persist, and
    people's return to what is normal for them.
    """
    assert isinstance(outcome.without_service, Quantity)
    without = quantity_of(deal, outcome.without_service)
    level = without.mean()
    effect = abs(_mean(deal, outcome.effect)) * (1.0 if outcome.effect_as == "units" else abs(level))
    sizes = [_mean(deal, each.people) * _mean(deal, each.referrals) for each in deal.cohorts.values()]
    people = sum(sizes) / len(sizes)
    if people <= 0.0:
        return effect, math.inf
    variance = _variance(deal, outcome, level)
    arm = outcome.comparison_arm
    if compared.against == "comparison_arm" and arm is not None:
        size = _mean(deal, arm.people.quantity) * (people if arm.people.form == "per person" else 1.0)
        size *= _mean(deal, arm.effective_share)
        bias = quantity_of(deal, arm.shared_bias).sd() * level
        return effect, math.sqrt(variance / people + variance / size + bias * bias) if size > 0.0 else math.inf
    if compared.against == "before" and outcome.before is not None:
        persists, before = _mean(deal, outcome.before.persistence), _mean(deal, outcome.before.level)
        normal = before if outcome.before.normal_level is None else _mean(deal, outcome.before.normal_level)
        back = (1.0 - persists) * (normal - before)
        return effect, math.sqrt(2.0 * variance * (1.0 - persists) / people + back * back)
    fixed = outcome.baseline if compared.against == "baseline" else compared.against
    wrong = _mean(deal, fixed) - level if isinstance(fixed, Quantity) else 0.0
    return effect, math.sqrt(variance / people + without.sd() ** 2 + wrong * wrong)


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
