"""Stress and reverse stress: what breaks a deal, and how far each driver must move before it does.

A shock changes the value rows of the draws and nothing else: the same draws, and nobody planned for it (capital is
called on the plan as it was). Differences from the base are paired, draw by draw. Reverse stress moves one driver from
its plan to its worst, on the same draws, until a criterion is met; where one is met as planned, from its plan to its
best, until it is not.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import ledger as book_of
from simulator import metrics, parameters, worth
from simulator.deal import Deal
from simulator.plan import Plan
from simulator.run import BLOCK, DefectError, Simulation, available_threads, environment, header
from simulator.shocks import SERVICE_ENDS, Change, matches, parse_change
from simulator.solve import Evaluated, Root, Value, places, roots
from simulator.sweep import opened_deal
from simulator.variants import Base, unknown_structure
from simulator.yamlfile import AskError, nearest

Floats = NDArray[np.float64]
Move = Callable[[Plan, Floats], None]
"""Changes value rows in place."""

CONVENTIONAL = "conventional"
_SECTIONS = 25
_TRIED = 9


# ---------------------------------------------------------------------------------------------------------------
# Drivers: what a shock may move
# ---------------------------------------------------------------------------------------------------------------


def _clipped(plan: Plan, rows: Floats, column: int, values: Floats) -> None:
    rows[:, column] = np.clip(values, plan.columns[column].low, plan.columns[column].high)


def _columns(plan: Plan, pattern: Sequence[str]) -> list[int]:
    return [i for i, each in enumerate(plan.columns) if matches(tuple(pattern), each.path)]


def referrals(plan: Plan, rows: Floats, share: float) -> None:
    """So many of the people that were planned come."""
    for column in _columns(plan, ("cohorts", "*", "referrals")):
        _clipped(plan, rows, column, rows[:, column] * share)


def people(plan: Plan, rows: Floats, share: float) -> None:
    """The cohorts are so much smaller than planned."""
    for column in _columns(plan, ("cohorts", "*", "people")):
        _clipped(plan, rows, column, rows[:, column] * share)


def effect(plan: Plan, rows: Floats, share: float) -> None:
    """The service has so much of its effect: on levels, and on the first steps of chains."""
    for column in _columns(plan, ("outcomes", "*", "effect")):
        _clipped(plan, rows, column, rows[:, column] * share)
    for row in plan.outcomes:
        if row["first_at"] >= 0:
            without = rows[:, row["first_at"]]
            column = int(row["level_at"])
            _clipped(plan, rows, column, without + share * (rows[:, column] - without))


def counterfactual(plan: Plan, rows: Floats, share: float) -> None:
    """Without the service things would have been better by a share; with it they are what they were."""
    for row in plan.outcomes:
        if row["effect_at"] >= 0:
            level, effect_at = int(row["level_at"]), int(row["effect_at"])
            old = rows[:, level].copy()
            _clipped(plan, rows, level, old + row["better"] * share * np.abs(old))
            new = rows[:, level]
            if row["effect_is_units"]:
                rows[:, effect_at] += old - new
            else:
                ratio = np.divide(old, new, out=np.ones_like(old), where=new > 0.0)
                rows[:, effect_at] = (1.0 + rows[:, effect_at]) * ratio - 1.0
        elif row["first_at"] >= 0:
            first = int(row["first_at"])
            _clipped(plan, rows, first, rows[:, first] * (1.0 + row["better"] * share))


def costs(plan: Plan, rows: Floats, times: float) -> None:
    """Set-up, delivery, management and evaluation cost the deal so many times what they would have."""
    for column in _columns(plan, ("structures", "*", "costs", "*")):
        _clipped(plan, rows, column, rows[:, column] * times)


def delay(plan: Plan, rows: Floats, months: float) -> None:
    """Payments come so much later."""
    for column in _columns(plan, ("structures", "*", "paid_after")):
        _clipped(plan, rows, column, rows[:, column] + months)


def evidence(plan: Plan, rows: Floats, share: float) -> None:
    """Such a share of the good outcomes that would have had evidence has none; bad ones are not the deal's to prove.

    Below zero: such a share of those that would have had none has it.
    """
    good = [row for row in plan.outcomes if row["better"] > 0]
    for column in sorted({int(row["missing_at"]) for row in good if row["missing_at"] >= 0}):
        missing = rows[:, column]
        rows[:, column] = missing * (1.0 + share) if share < 0.0 else 1.0 - (1.0 - missing) * (1.0 - share)


@dataclass(frozen=True)
class Driver:
    """Something that may go worse than planned, from its plan to its worst, or better, to its best."""

    move: Callable[[Plan, Floats, float], None]
    plan: float
    worst: float
    best: float
    words: str
    """What its number says on the side of the worst."""
    better: str
    """What its number without its sign says on the side of the best."""


DRIVERS: dict[str, Driver] = {
    "referrals": Driver(referrals, 1.0, 0.0, 4.0, "of the planned people come", "of the planned people come"),
    "effect": Driver(effect, 1.0, 0.0, 4.0, "of the effect", "of the effect"),
    "counterfactual": Driver(counterfactual, 0.0, 0.5, -0.5, "better without the service", "worse without the service"),
    "costs": Driver(costs, 1.0, 4.0, 0.0, "times the costs", "times the costs"),
    "delay": Driver(delay, 0.0, 36.0, -36.0, "months later paid", "months sooner paid"),
    "evidence": Driver(evidence, 0.0, 1.0, -1.0, "of the evidence is lost", "of the missing evidence is found"),
}


def _shipped(driver: str, severity: float) -> Move:
    return lambda plan, rows: DRIVERS[driver].move(plan, rows, severity)


@dataclass(frozen=True)
class Shock:
    """What goes wrong: moves of the value rows, and perhaps an end of the service after so many months."""

    moves: tuple[Move, ...]
    ends_after: float = math.inf
    """Months from the start of service."""


SHOCKS: dict[str, Shock] = {
    "referrals 30% below plan": Shock((_shipped("referrals", 0.7),)),
    "half of the effect": Shock((_shipped("effect", 0.5),)),
    "10% better without the service": Shock((_shipped("counterfactual", 0.10),)),
    "costs 20% higher": Shock((_shipped("costs", 1.2),)),
    "payments two quarters late": Shock((_shipped("delay", 6.0),)),
    "15% of the evidence fails": Shock((_shipped("evidence", 0.15),)),
    "early end after 3 years": Shock((), 36.0),
    "half as many people": Shock((lambda plan, rows: people(plan, rows, 0.5),)),
}
TOGETHER = "all of these together"


def shocks_of(deal: Deal, plan: Plan) -> dict[str, Shock]:
    """Shocks of the deal file, by name."""
    found = {}
    for name, each in deal.stresses.items():
        moves: list[Move] = []
        ends = math.inf
        for pattern, how in each.items():
            if pattern == SERVICE_ENDS:
                ends = parse_change(str(how), "duration").number
                continue
            moves.append(_own(pattern, how))
        found[name] = Shock(tuple(moves), ends)
    return found


def _own(pattern: str, how: str | float) -> Move:
    def move(plan: Plan, rows: Floats) -> None:
        for column, each in enumerate(plan.columns):
            if matches(pattern, each.path) or matches(pattern, each.address):
                change: Change = parse_change(str(how), each.quantity.unit)
                _clipped(plan, rows, column, change.apply(rows[:, column]))

    return move


# ---------------------------------------------------------------------------------------------------------------
# Playing a shock
# ---------------------------------------------------------------------------------------------------------------

_KEPT = {
    "payments": book_of.PAYMENTS,
    "cost": book_of.COST,
    "cost_present_value": book_of.COST_PV,
    "irr": book_of.IRR,
    "multiple": book_of.MULTIPLE,
}
NET_BENEFIT = "net_benefit"


@dataclass(frozen=True)
class Played:
    """What one structure gives in every draw, and whether each clause's trigger was met for anybody, [draws, K]."""

    values: dict[str, Floats]
    met: NDArray[np.bool_]


def play(
    simulation: Simulation, shock: Shock | None, draws: int, pool: ThreadPoolExecutor, width: int
) -> dict[str, Played]:
    """Play all draws under a shock (or none); the result is the same for any pool."""
    plan, names = simulation.plan, simulation.names
    keys = [*_KEPT, *([NET_BENEFIT] if plan.worths.size else [])]
    values = {name: {key: np.empty(draws) for key in keys} for name in names}
    met = {name: np.zeros((draws, len(plan.clause_names[name])), np.bool_) for name in names}
    calendar = plan.calendar
    latest = calendar.periods + 1
    if shock is not None and shock.ends_after < math.inf:
        latest = calendar.first - 1 + math.ceil(shock.ends_after / calendar.step)

    def block(start: int) -> None:
        number = min(BLOCK, draws - start)
        rows, _ = parameters.values(plan, simulation.value_keys, start, number)
        for move in () if shock is None else shock.moves:
            move(plan, rows)
        for low in range(0, number, simulation.chunk):
            part = rows[low : low + simulation.chunk]
            here = slice(start + low, start + low + part.shape[0])
            alike = simulation.outcomes(start + low, part)
            for name in names:
                out, stops, _, capped = simulation.outcomes_under(name, start + low, part, alike)
                if latest < calendar.last:
                    stops = np.minimum(stops, latest)
                flags = np.zeros((part.shape[0], met[name].shape[1], len(plan.cohort_names) + 2), np.int8)
                counted = np.zeros(flags.shape[1:], np.int64)
                found, *_ = simulation.settle(name, part, out, stops, capped, counted, flags)
                if found[:, book_of.BROKEN].any():
                    raise DefectError(f"the accounts of {name!r} do not balance under a shock")
                met[name][here] = flags[:, :, -1] > 0
                for key, column in _KEPT.items():
                    values[name][key][here] = found[:, column]
                if plan.worths.size:
                    values[name][NET_BENEFIT][here] = _worth(plan, part, out, found) - found[:, book_of.COST_PV]

    waiting: deque[Any] = deque()
    for start in range(0, draws, BLOCK):
        waiting.append(pool.submit(block, start))
        if len(waiting) > 2 * width:
            waiting.popleft().result()
    while waiting:
        waiting.popleft().result()
    return {name: Played(values[name], met[name]) for name in names}


def _worth(plan: Plan, values: Floats, out: Any, found: Floats) -> Floats:
    """Present value of savings and social value, by draw, as `sib compare` counts them."""
    number = values.shape[0]
    present = np.empty((number, plan.worths.size))
    worth.additional_worth(
        values,
        plan.worths,
        plan.outcomes,
        plan.blocks,
        plan.calendar,
        out,
        found[:, book_of.STOP_AT].astype(np.int64),
        np.empty((number, len(plan.outcome_names), 4)),
        present,
        np.empty((0, plan.worths.size, len(plan.years) + 1)),
    )
    total = np.zeros(number)
    for j in range(plan.worths.size):  # one after another, so that a draw's bits do not depend on its neighbours
        total += present[:, j]
    return total


# ---------------------------------------------------------------------------------------------------------------
# Estimates
# ---------------------------------------------------------------------------------------------------------------


def _lost(values: Mapping[str, Floats]) -> Floats:
    """1 where capital is lost, 0 where not, NaN where there is no investment."""
    multiple = values["multiple"]
    return np.where(np.isnan(multiple), np.nan, (multiple < 1.0 - metrics.LOSS_TOLERANCE).astype(np.float64))


def _paid(values: Mapping[str, Floats]) -> Floats:
    return (values["payments"] > 0.0).astype(np.float64)


def _chance(indicator: Floats) -> dict[str, Any]:
    defined = indicator[~np.isnan(indicator)]
    return dict(metrics.probability(int(defined.sum()), defined.size))


def difference(ours: Floats, theirs: Floats) -> dict[str, Any] | None:
    """Mean of the paired differences of the draws in which both are defined, with its standard error."""
    gap = ours - theirs
    gap = gap[~np.isnan(gap)]
    if gap.size == 0:
        return None
    moments = metrics.Moments.of(gap)
    return dict(metrics.estimate(moments.mean, moments.standard_error))


def difference_of_quantiles(ours: Floats, theirs: Floats, q: float) -> dict[str, Any] | None:
    """Difference of two quantiles on the same draws; its error from 25 sections of the draws.

    The sections' own differences vary with the square root of 25 times the error of the whole (sectioning: Asmussen
    and Glynn, Stochastic Simulation, 2007, section III.4). None below 1,000 draws or where a side is undefined.
    """
    ours, theirs = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
    if ours.size == 0 or theirs.size == 0:
        return None
    value = _quantile(ours, q) - _quantile(theirs, q)
    if min(ours.size, theirs.size) < 1000:
        return dict(metrics.estimate(value, math.nan))
    sections = zip(np.array_split(ours, _SECTIONS), np.array_split(theirs, _SECTIONS), strict=True)
    gaps = np.array([_quantile(a, q) - _quantile(b, q) for a, b in sections])
    return dict(metrics.estimate(value, float(gaps.std(ddof=1)) / math.sqrt(_SECTIONS)))


def _quantile(values: Floats, q: float) -> float:
    rank = metrics.quantile_rank(values.size, q) - 1
    return float(np.partition(values, rank)[rank])


def _answers(plan: Plan, name: str, played: Played) -> dict[str, Any]:
    values = played.values
    triggers = {clause: _chance(met) for clause, met in _triggers(plan, name, played).items()}
    has_investor = not np.isnan(values["multiple"]).all()
    return {
        "triggers": triggers | {"any payment": _chance(_paid(values))},
        "investor": {
            "irr": metrics.summary(values["irr"]),
            "multiple": metrics.summary(values["multiple"]),
            "probability_of_loss": _chance(_lost(values)),
        }
        if has_investor
        else None,
        "payer": {key: metrics.summary(values[key]) for key in ("cost", NET_BENEFIT) if key in values},
    }


def _triggers(plan: Plan, name: str, played: Played) -> dict[str, Floats]:
    """By clause, 1 in each draw in which its trigger was met."""
    return {clause: played.met[:, k].astype(np.float64) for k, clause in enumerate(plan.clause_names[name])}


def _differences(plan: Plan, name: str, base: Played, under: Played) -> dict[str, Any]:
    ours, theirs = under.values, base.values
    before = _triggers(plan, name, base)
    triggers = {clause: difference(met, before[clause]) for clause, met in _triggers(plan, name, under).items()}
    net = {f"{NET_BENEFIT}.mean": difference(ours[NET_BENEFIT], theirs[NET_BENEFIT])} if NET_BENEFIT in ours else {}
    return {
        "triggers": triggers,
        "any payment": difference(_paid(ours), _paid(theirs)),
        "irr.p50": difference_of_quantiles(ours["irr"], theirs["irr"], 0.5),
        "irr.p05": difference_of_quantiles(ours["irr"], theirs["irr"], 0.05),
        "multiple.mean": difference(ours["multiple"], theirs["multiple"]),
        "multiple.p50": difference_of_quantiles(ours["multiple"], theirs["multiple"], 0.5),
        "probability_of_loss": difference(_lost(ours), _lost(theirs)),
        "cost.mean": difference(ours["cost"], theirs["cost"]),
    } | net


# ---------------------------------------------------------------------------------------------------------------
# Reverse stress
# ---------------------------------------------------------------------------------------------------------------

CRITERIA = ("median IRR below 0", "P(loss) above 25%", "payer better off conventionally")


def _gap(criterion: str, name: str, played: Mapping[str, Played]) -> Value:
    """How far a criterion is from being met, above 0 where it is, with a 95% interval; NaN where it has no meaning."""
    values = played[name].values
    nothing = Value(math.nan, math.nan, math.nan)
    if criterion == CRITERIA[0]:
        found = metrics.summary(values["irr"])
        low, high = found["intervals"]["p50"]
        if found["p50"] is None or low is None or high is None:
            return nothing
        return Value(-found["p50"], -high, -low)
    if criterion == CRITERIA[1]:
        chance = _chance(_lost(values))
        if chance["probability"] is None:
            return nothing
        low, high = chance["interval"]
        return Value(chance["probability"] - 0.25, low - 0.25, high - 0.25)
    if CONVENTIONAL not in played or name == CONVENTIONAL:
        return nothing
    theirs = played[CONVENTIONAL].values
    if NET_BENEFIT in values:
        found_ = difference(theirs[NET_BENEFIT], values[NET_BENEFIT])
    else:
        found_ = difference(values["cost_present_value"], theirs["cost_present_value"])
    if found_ is None:
        return nothing
    half = 1.959963984540054 * (found_["standard_error"] or 0.0)
    return Value(found_["value"], found_["value"] - half, found_["value"] + half)


def _reverse(
    driver: Driver, criterion: str, name: str, at: Callable[[float, str], Mapping[str, Played]]
) -> dict[str, Any] | None:
    """How far a driver must move before a criterion is met; None where the criterion has no meaning.

    Where it is met as planned, `until` says how far the driver must improve for it not to be.
    """

    def gap(end: float, shares: Sequence[float]) -> list[Value]:
        return [_gap(criterion, name, at(driver.plan + share * (end - driver.plan), name)) for share in shares]

    (first,) = gap(driver.worst, [0.0])
    if math.isnan(first.value):
        return None
    if first.value <= 0.0:
        return _crossing(lambda shares: gap(driver.worst, shares), driver, driver.worst, 1.0)
    better = _crossing(lambda shares: gap(driver.best, shares), driver, driver.best, -1.0)
    return {"met": "as planned", "at": None, "interval": None, "share_of_plan": None, "until": better}


_FINE = 1e-4


def _crossing(gap: Evaluated, driver: Driver, end: float, sign: float) -> dict[str, Any]:
    """Find the first place from plan to an end where the gap turns to a sign (1: met, -1: not met any more)."""

    def place(share: float) -> float:
        return driver.plan + share * (end - driver.plan)

    def turns(root: Root) -> bool:
        after = root.right.value
        if after == 0.0:  # a plateau at the bound itself: what comes behind it?
            beyond = root.at if math.isnan(root.until) else root.until
            if sign < 0.0 or beyond >= 1.0:
                return sign < 0.0  # on the bound it is not met
            after = gap([min(1.0, beyond + 4.0 * _FINE)])[0].value
        return sign * after > 0.0

    found = roots(gap, 0.0, 1.0, number=_TRIED, fine=_FINE)
    root = next((each for each in found if turns(each)), None)
    if root is None:
        return {"met": "never within its range", "at": None, "interval": None, "share_of_plan": None}
    low, high = sorted(place(each) for each in root.interval)
    share = root.until if sign > 0.0 and root.kind == "range" else root.at
    return {
        "met": "at a step" if root.kind == "step" else "at",
        "at": place(share),
        "interval": [low, high],
        "share_of_plan": place(share) if driver.plan == 1.0 else None,
        "also": [place(each.at) for each in found if each is not root],
    }


# ---------------------------------------------------------------------------------------------------------------
# The question
# ---------------------------------------------------------------------------------------------------------------


def stress(
    deal: str | FilePath | Deal,
    shocks: Sequence[str] | None = None,
    *,
    draws: int = 20_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    sets: Sequence[str] = (),
    reverse: bool = True,
    reverse_draws: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Play a deal under shocks, on the same draws, and find what each driver can bear.

    Parameters
    ----------
    deal
        A deal file or a deal.
    shocks
        Names, of those that ship and those of the deal file; by default all, singly and together.
    draws, seed, structures, sets, threads
        As for a run.
    reverse
        Whether to find, for each driver, how far it must move before each criterion is met (or, where it is met as
        planned, is not). The payer is better off conventionally if the net benefit is greater there, where the deal
        has savings or social values, or else if the cost is lower, present values at the payers' rate.
    reverse_draws
        Draws for that; by default at most 10,000 of the same.
    progress
        Called with steps done and steps in all.

    Returns
    -------
    dict
        The JSON of `sib stress`.

    Raises
    ------
    AskError, DealError
    """
    begun = time.perf_counter()
    _, opened = opened_deal(deal)
    base = Base.of(opened, sets)
    for name in structures or ():
        if name not in base.deal.structures:
            raise AskError(unknown_structure(base.deal.structures, name))
    known = SHOCKS | shocks_of(base.deal, base.plan)
    chosen = list(known) if shocks is None else list(shocks)
    for name in chosen:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else f"allowed: {', '.join(known)}"
            raise AskError(f"no shock is called {name!r}; {hint}")
    if any(known[name].ends_after < math.inf for name in chosen) and base.deal.ends_early.policy_change is None:
        # so that people are kept by period of referral, and an end can part them
        base = Base.of(opened, (*sets, "ends_early.policy_change.chance_a_year=0%"))
    names = [name for name in base.deal.structures if structures is None or name in structures]
    together = {TOGETHER: _together([known[name] for name in chosen])} if len(chosen) > 1 else {}
    under = {name: known[name] for name in chosen} | together
    simulation = Simulation(base.plan, seed, names)
    width = threads or available_threads()
    steps = 1 + len(under) + (len(DRIVERS) * len(names) if reverse else 0)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    with ThreadPoolExecutor(width) as pool:
        untouched = play(simulation, None, draws, pool, width)
        answers: dict[str, Any] = {
            name: {"base": _answers(base.plan, name, untouched[name]), "shocks": {}, "reverse": {}} for name in names
        }
        step()
        for label, shock in under.items():
            played = play(simulation, shock, draws, pool, width)
            for name in names:
                answers[name]["shocks"][label] = _answers(base.plan, name, played[name]) | {
                    "difference": _differences(base.plan, name, untouched[name], played[name])
                }
            step()
        if reverse:
            fewer = min(draws, 10_000) if reverse_draws is None else reverse_draws
            for label, driver in DRIVERS.items():
                found = _reversed(base, driver, names, seed, fewer, pool, width, step)
                for name in names:
                    answers[name]["reverse"][label] = found[name]
    return header(base.deal, seed, draws) | {
        "environment": environment(),
        "elapsed": time.perf_counter() - begun,
        "shocks": list(under),
        "drivers": {
            label: {key: getattr(each, key) for key in ("plan", "worst", "best", "words", "better")}
            for label, each in DRIVERS.items()
        },
        "payer_judged_by": NET_BENEFIT if base.plan.worths.size else "cost_present_value",
        "reverse_draws": (min(draws, 10_000) if reverse_draws is None else reverse_draws) if reverse else None,
        "structures": answers,
    }


def _together(shocks: Sequence[Shock]) -> Shock:
    moves = tuple(move for each in shocks for move in each.moves)
    return Shock(moves, min(each.ends_after for each in shocks))


def _reversed(
    base: Base,
    driver: Driver,
    names: Sequence[str],
    seed: int,
    draws: int,
    pool: ThreadPoolExecutor,
    width: int,
    step: Callable[[], None],
) -> dict[str, dict[str, Any]]:
    conventional = [CONVENTIONAL] if CONVENTIONAL in base.deal.structures else []
    first = {
        driver.plan + share * (end - driver.plan)
        for end in (driver.worst, driver.best)
        for share in places(0.0, 1.0, _TRIED)
    }
    tried: dict[float, Mapping[str, Played]] = {}
    refined: dict[tuple[float, str], Mapping[str, Played]] = {}

    def played(place: float, wanted: Sequence[str]) -> Mapping[str, Played]:
        simulation = Simulation(base.plan, seed, list(dict.fromkeys([*wanted, *conventional])))
        shock = Shock((lambda plan, rows: driver.move(plan, rows, place),))
        return play(simulation, shock, draws, pool, width)

    def at(place: float, name: str) -> Mapping[str, Played]:
        if place in first:  # tried for every structure
            if place not in tried:
                tried[place] = played(place, names)
            return tried[place]
        if (place, name) not in refined:
            refined[place, name] = played(place, [name])
        return refined[place, name]

    found = {}
    for name in names:
        found[name] = {criterion: _reverse(driver, criterion, name, at) for criterion in CRITERIA}
        refined.clear()
        step()
    return found


def rows(data: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield long rows: structure, shock, metric, statistic, value, standard error."""
    for structure, each in data["structures"].items():
        for shock, found in {"base": each["base"], **each["shocks"]}.items():
            for clause, chance in found["triggers"].items():
                yield structure, shock, clause, "probability", chance["probability"], chance["standard_error"]
            parties = {**(found["investor"] or {}), **found["payer"]}
            for metric, summary in parties.items():
                for statistic in ("probability", "mean", "p05", "p25", "p50", "p75", "p95"):
                    if statistic in summary:
                        error = summary["standard_error"] if statistic in {"mean", "probability"} else None
                        yield structure, shock, metric, statistic, summary[statistic], error
            gaps = dict(found.get("difference", {}))
            for metric, gap in {**gaps.pop("triggers", {}), **gaps}.items():
                if gap is not None:
                    yield structure, shock, metric, "difference", gap["value"], gap["standard_error"]
        for driver, criteria in each["reverse"].items():
            for criterion, broken in criteria.items():
                if broken is not None:
                    yield structure, f"reverse: {driver}", criterion, broken["met"], broken["at"], None
                    until = broken.get("until")
                    if until is not None:
                        yield structure, f"reverse: {driver}", criterion, f"not {until['met']}", until["at"], None
