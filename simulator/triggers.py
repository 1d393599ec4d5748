"""If the payer pays, was it real? What every trigger says about the effect of the service.

The *true effect* is the parameter of a draw: what the service does to the expected level of an outcome. It is not the
realised difference, which in a small cohort is mostly luck. For an outcome with an `effect` it is that number, as the
file reads it (a share of the level without the service, or units). For a chain of milestones it is the difference of
the chances of its first step with and without the service: later steps have the same chances either way, so that the
sign is that of the whole chain. Where people of unlike risk have relative effects, or the provider learns, it is the
number that those are relative to. An outcome of those who had another is moved by the effects on both. A structure's
relative effectiveness multiplies the effect that is drawn or set: chances that the effect is at or below zero, or below
the promise, are of the product.

Positive means good here: for outcomes of which fewer are better the sign is turned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator import ledger, metrics
from simulator.deal import Deal, resolve, structure_names
from simulator.parameters import as_effective
from simulator.plan import Plan, compile_plan
from simulator.run import BLOCK, Simulation, header
from simulator.worlds import Progress, World, Worlds, mean, ratio

Floats = NDArray[np.float64]
Change = Callable[[Floats], None]

SHARES_OF_PROMISE = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Effects of the power curve, as shares of the promised effect (of the expected one where nothing is promised)."""
SHARES_AT_SIZES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Effects of the power curve at each size."""
SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Sizes of the comparison arm and of the cohorts, times those of the deal."""
GRID_DRAWS = 4 * BLOCK
"""Draws of the power curve and of the sizes: the first ones of the run; a quarter where people are drawn one by one."""
ANY = "any payment"

_KEPT = (ledger.PAYMENTS, ledger.REAL_PAYMENTS, ledger.COUNTED_PAYMENTS)
_PAYMENTS, _REAL, _COUNTED = range(3)


class Effect(NamedTuple):
    """The true effect of one outcome, as columns of the value row."""

    outcome: str
    at: int
    """Effect, or the chance of a chain's first step with the service."""
    from_at: int
    """The chance of that step without the service; -1 for an effect."""
    promised_at: int
    sign: float
    unit: str
    reference: float
    """Promised effect, or the expected one; positive when good."""

    def of(self, values: Floats) -> Floats:
        """True effect of each value row, positive when good."""
        base = values[:, self.from_at] if self.from_at >= 0 else 0.0
        return self.sign * (values[:, self.at] - base)

    def promised(self, values: Floats) -> Floats | None:
        """Promised effect of each value row, positive when good; None where nothing is promised."""
        return None if self.promised_at < 0 else self.sign * values[:, self.promised_at]

    def put(self, values: Floats, effect: Floats | float) -> None:
        """Set the true effect of each value row; a chance stays one."""
        if self.from_at < 0:
            values[:, self.at] = self.sign * effect + 0.0
        else:
            values[:, self.at] = np.clip(values[:, self.from_at] + self.sign * effect, 0.0, 1.0)


def effects_of(plan: Plan) -> dict[str, tuple[Effect, ...]]:
    """True effects by the name of the outcome that they move: its own, and those of outcomes that it follows."""
    at = {column.path: index for index, column in enumerate(plan.columns)}
    found: dict[str, tuple[Effect, ...]] = {}
    for index, name in enumerate(plan.outcome_names):
        moved: tuple[Effect, ...] = ()
        here = index
        while here >= 0:
            row = plan.outcomes[here]
            outcome, sign = plan.outcome_names[here], float(row["better"])
            effect_at, first_at, level_at = (int(row[key]) for key in ("effect_at", "first_at", "level_at"))
            if effect_at >= 0:
                promised_at = at.get(("outcomes", outcome, "promised_effect"), -1)
                reference = sign * float(plan.expected[promised_at if promised_at >= 0 else effect_at])
                unit = "units" if row["effect_is_units"] else "share"
                moved += (Effect(outcome, effect_at, -1, promised_at, sign, unit, reference),)
            elif first_at >= 0:
                reference = sign * float(plan.expected[level_at] - plan.expected[first_at])
                moved += (Effect(outcome, level_at, first_at, -1, sign, "points of the first step", reference),)
            here = int(row["parent"])
        found[name] = moved
    return found


class _Rule(NamedTuple):
    """One trigger of a structure, or the family of them."""

    label: str
    clause: int
    """Clause, -1 for any payment."""
    column: int
    effects: tuple[Effect, ...]


def _rules(plan: Plan, effects: Mapping[str, tuple[Effect, ...]], name: str) -> list[_Rule]:
    number = len(plan.cohort_names)
    found: list[_Rule] = []
    everything: dict[Effect, None] = {}
    terms = plan.structures[name]
    for k, clause in enumerate(plan.clause_names[name]):
        row = terms.clauses[k]
        read = terms.reads["outcome"][row["first_read"] : row["end_read"]]
        outcomes = [plan.outcome_names[o] for o in read if o >= 0]
        moved = tuple(dict.fromkeys(effect for each in outcomes for effect in effects[each]))
        everything |= dict.fromkeys(moved)
        found.append(_Rule(clause, k, number + 1, moved))
        if plan.deal.structures[name].pays[clause].for_ == "each cohort":
            found += [_Rule(f"{clause} [{cohort}]", k, c, moved) for c, cohort in enumerate(plan.cohort_names)]
    return [*found, _Rule(ANY, -1, -1, tuple(everything))]


def _met(world: World, name: str, rule: _Rule) -> NDArray[np.bool_]:
    if rule.clause < 0:
        return np.asarray(world.found[name][:, _PAYMENTS] > 0.0)
    return world.met[name][:, rule.clause, rule.column].astype(np.bool_)


class _Bench:
    """The worlds of one question: the deal as drawn, without effect, with the effect as promised or as expected."""

    def __init__(self, deal: Deal, seed: int, names: list[str], worlds: Worlds) -> None:
        self.plan = compile_plan(deal)
        self.seed, self.names, self.worlds = seed, names, worlds
        self.effects = effects_of(self.plan)
        self.all = tuple(dict.fromkeys(each for moved in self.effects.values() for each in moved))
        columns = {at for each in self.all for at in each[1:4]} | {self.plan.effectiveness_at[name] for name in names}
        self.columns = sorted(columns - {-1})
        # a set effect is no longer tied to other quantities: just as if the file gave it
        self.freed = dataclasses.replace(self.plan, joined=_joined_without_effects(self.plan, self.all))

    def world(self, draws: int, change: Change | None, sizes: Change | None = None) -> World:
        """Simulate one world; `change` sets effects, `sizes` what the parties plan with as well."""
        plan = self.plan if change is None else self.freed
        changes = [each for each in (sizes, change) if each is not None]
        if sizes is not None:
            expected = plan.expected[np.newaxis].copy()
            sizes(expected)
            plan = dataclasses.replace(plan, expected=expected[0])

        def both(rows: Floats) -> None:
            for each in changes:
                each(rows)

        simulation = Simulation(plan, self.seed, self.names, change=both if changes else None)
        return self.worlds(simulation, draws, self.columns, _KEPT, flags=True)

    def spread(self, structure: str, values: Floats) -> Floats:
        """Give kept columns their places in the value row again, with the effects that a structure has."""
        rows = np.zeros((values.shape[0], len(self.plan.columns)))
        rows[:, self.columns] = values
        effective = as_effective(self.plan, structure, rows)
        return rows if effective is None else effective

    def share_of_promise(self, share: float) -> Change:
        """Set every effect to a share of its reference; a share of 1 is the promise of the draw itself."""

        def change(rows: Floats) -> None:
            for each in self.all:
                promised = each.promised(rows)
                each.put(rows, share * (each.reference if promised is None else promised))

        return change

    def expected_effect(self, rows: Floats) -> None:
        """Set every effect to its mean."""
        for each in self.all:
            each.put(rows, each.of(self.plan.expected[np.newaxis])[0])


def _joined_without_effects(plan: Plan, effects: Iterable[Effect]) -> Any:
    names = {plan.columns[each.at].address for each in effects}
    named = [address[1] for address in names if address[0] == "quantities"]
    if not plan.joined or not named:
        return plan.joined
    deal = plan.deal
    fixed = resolve(deal.model_copy(update={"quantities": {**deal.quantities, **dict.fromkeys(named, 0)}}))
    return compile_plan(fixed).joined


def triggers(
    deal: Deal,
    draws: int = 100_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Say of every trigger, and of any payment, what it tells about the true effect.

    Parameters
    ----------
    deal
        As :func:`simulator.load` returns it.
    draws, seed, structures, threads, progress
        As for :func:`simulator.simulate`. Power curves and sizes rest on the first draws only (``grid_draws``).

    Returns
    -------
    dict
        The header of every answer, then ``effects`` (by outcome: unit, expected, promised, all positive when good),
        ``grid_draws`` and, by structure, ``triggers``: ``probability``; ``false_trigger``, with every effect at zero;
        ``missed_trigger``, not met with every effect as promised; ``no_effect_if_met`` and ``below_promise_if_met``,
        chances that the true effect is at or below zero, and below the promise, given that the trigger was met;
        ``deadweight_share`` of the payments in those draws; ``power``, the chance of being met at effects that are
        shares of the promise. What needs a promise is null without one; all is null of a clause that reads no outcome
        which the service can move. Where several effects are read, "no effect" means that none is above zero, "below
        the promise" that one is.
        ``payments``: expected, at the expected effect, and the difference, paired. ``sizes``: the same for any
        payment, and for each trigger under ``triggers``, over the size of the comparison arm and of the cohorts, all
        else (bounds, prices, caps) as it is: ``times`` the deal's, which is so many ``people`` expected in all.

    Notes
    -----
    Effects are set on the same uniforms, so that worlds differ by the effect only; an effect that is set is not
    correlated with other quantities. So the false trigger is, to the bit, the P(trigger) of the same deal with its
    effects set to zero in the file.
    """
    names = structure_names(deal, structures)
    plan = compile_plan(deal)
    few = min(draws, GRID_DRAWS // 4 if plan.people else GRID_DRAWS)
    sizes = _sizes(plan)
    cells = sum(len(SIZES) for each in sizes.values() if each is not None)
    total = 4 * draws + (len(SHARES_OF_PROMISE) + (1 + len(SHARES_AT_SIZES)) * cells) * few
    bench = _Bench(deal, seed, names, Worlds(threads, progress, total))
    zero, promise = bench.share_of_promise(0.0), bench.share_of_promise(1.0)
    drawn, without, as_promised, expected = (
        bench.world(draws, change) for change in (None, zero, promise, bench.expected_effect)
    )
    powers = {share: bench.world(few, bench.share_of_promise(share)) for share in SHARES_OF_PROMISE}
    answers: dict[str, Any] = {}
    for name in names:
        rules = _rules(bench.plan, bench.effects, name)
        found = {}
        for rule in rules:
            found[rule.label] = _answer(bench, name, rule, drawn, without, as_promised)
            found[rule.label]["power"] = _power(name, rule, powers)
        one, other = drawn.found[name][:, _PAYMENTS], expected.found[name][:, _PAYMENTS]
        answers[name] = {
            "triggers": found,
            "payments": {
                "expected": mean(one),
                "at_expected_effect": mean(other),
                "difference": mean(one - other),
            },
            "sizes": {},
        }
    people = _people(plan)
    for kind, each in sizes.items():
        cells_of = None if each is None else _over_sizes(bench, each, few, people[kind])
        for name in names:
            answers[name]["sizes"][kind] = None if cells_of is None else [cell[name] for cell in cells_of]
    effects = {
        each.outcome: {
            "unit": each.unit,
            "expected": float(each.of(bench.plan.expected[np.newaxis])[0]) + 0.0,
            "promised": each.reference if each.promised_at >= 0 else None,
        }
        for each in bench.all
    }
    return header(deal, seed, draws) | {"grid_draws": few, "effects": effects, "structures": answers}


def _sizes(plan: Plan) -> dict[str, list[int] | None]:
    arms = sorted({int(at) for at in plan.outcomes["arm_people_at"] if at >= 0})
    return {"comparison_arm": arms or None, "cohort": [int(at) for at in plan.cohorts["people_at"]]}


def _people(plan: Plan) -> dict[str, float]:
    """People expected in the cohorts, and in the largest comparison arm of all outcomes."""
    each = plan.expected[plan.cohorts["people_at"]] * plan.expected[plan.cohorts["referrals_at"]]
    arms = [
        plan.expected[row["arm_people_at"]] * (each.sum() if row["arm_is_ratio"] else each.size)
        for row in plan.outcomes
        if row["arm_people_at"] >= 0
    ]
    return {"comparison_arm": float(max(arms, default=0.0)), "cohort": float(each.sum())}


def _over_sizes(bench: _Bench, columns: Iterable[int], draws: int, people: float) -> list[dict[str, dict[str, Any]]]:
    """Answers at each size, by structure: those for any payment, and in them those for each trigger."""
    rows = []
    for times in SIZES:
        listed = list(columns)

        def scale(values: Floats, times: float = times, listed: list[int] = listed) -> None:
            values[:, listed] *= times

        drawn = bench.world(draws, None, scale)
        powers = {share: bench.world(draws, bench.share_of_promise(share), scale) for share in SHARES_AT_SIZES}
        row = {}
        for name in bench.names:
            found = {}
            for rule in _rules(bench.plan, bench.effects, name):
                found[rule.label] = _answer(bench, name, rule, drawn, powers[0.0], powers[1.0])
                found[rule.label]["power"] = _power(name, rule, powers)
            paid = mean(drawn.found[name][:, _PAYMENTS])
            size = {"times": times, "people": times * people}
            row[name] = size | found.pop(ANY) | {"expected_payment": paid, "triggers": found}
        rows.append(row)
    return rows


def _answer(bench: _Bench, name: str, rule: _Rule, drawn: World, without: World, as_promised: World) -> dict[str, Any]:
    met = _met(drawn, name, rule)
    draws, number = met.size, int(np.count_nonzero(met))
    found: dict[str, Any] = {"probability": dict(metrics.probability(number, draws))}
    real, counted = drawn.found[name][:, _REAL], drawn.found[name][:, _COUNTED]
    below = np.where(met, counted, 0.0)
    share = None
    if below.any():
        share = ratio(below - np.where(met, real, 0.0), below)
    keys = ("false_trigger", "missed_trigger", "no_effect_if_met", "below_promise_if_met")
    found |= dict.fromkeys(keys) | {"deadweight_share": share}
    if not rule.effects:
        return found
    found["false_trigger"] = dict(metrics.probability(int(np.count_nonzero(_met(without, name, rule))), draws))
    values = bench.spread(name, drawn.values[met])
    none = np.ones(number, np.bool_)
    short = np.zeros(number, np.bool_)
    promised = False
    for each in rule.effects:
        effect, promise = each.of(values), each.promised(values)
        none &= effect <= 0.0
        if promise is not None:
            promised = True
            short |= effect < promise
    found["no_effect_if_met"] = dict(metrics.probability(int(np.count_nonzero(none)), number))
    if promised:
        missed = draws - int(np.count_nonzero(_met(as_promised, name, rule)))
        found["missed_trigger"] = dict(metrics.probability(missed, draws))
        found["below_promise_if_met"] = dict(metrics.probability(int(np.count_nonzero(short)), number))
    return found


def _power(name: str, rule: _Rule, powers: Mapping[float, World]) -> list[dict[str, Any]] | None:
    references = {each.reference for each in rule.effects}
    if not references - {0.0}:
        return None
    one = references.pop() if len(references) == 1 else None
    rows = []
    for share, world in powers.items():
        met = _met(world, name, rule)
        chance = metrics.probability(int(np.count_nonzero(met)), met.size)
        rows.append({"share_of_promise": share, "effect": None if one is None else share * one} | dict(chance))
    return rows
