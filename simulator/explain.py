"""One draw as a dated ledger: the kernels draw it, the readable twin plays it, and the two must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import ledger as book_of
from simulator import parameters, reference
from simulator.deal import Deal
from simulator.outcomes import (
    BASELINE,
    BEFORE,
    TRUE,
    VERIFIED,
    WITHOUT,
    Outcomes,
)
from simulator.plan import Plan, compile_plan
from simulator.run import MOST_DRAWS, DefectError, Simulation, check_sampling, header, record_type
from simulator.yamlfile import join_path

Path = tuple[str | int, ...]


def explain(
    deal: Deal,
    draw: int = 0,
    seed: int = 1,
    structure: str | None = None,
    structures: list[str] | None = None,
    sampling: str = "plain",
) -> dict[str, Any]:
    """Play one draw again and tell what happened, to whom money moved, and why.

    Parameters
    ----------
    deal
        As :func:`simulator.load` returns it.
    draw, seed
        The draw, counted from 0, of the run with this seed.
    structure, structures
        One structure or several; by default all.
    sampling
        As for the run: `plain` or `sobol`.

    Returns
    -------
    dict
        The header, the draw's parameter values, its outcomes, and for each structure its clauses, schedule (every
        movement of money) and metrics.

    Raises
    ------
    KeyError
        For an unknown structure.
    ValueError
        If there is no such draw, or for an unknown `sampling`.
    DefectError
        If the twin and the kernels do not agree; a defect of ours.
    """
    if not 0 <= draw < MOST_DRAWS:
        raise ValueError(f"draw: {draw} is out of range; allowed: 0 to {MOST_DRAWS - 1}")
    check_sampling(sampling)
    names = [structure] if structure is not None else structures or list(deal.structures)
    for name in names:
        if name not in deal.structures:
            raise KeyError(name)
    plan = compile_plan(deal)
    shared = Simulation(plan, seed, names, sampling=sampling)
    values, _ = shared.values(draw, 1)
    alike = shared.outcomes(draw, values)
    out, stops = alike[:2]
    one = Outcomes(out.people[0], out.when[0], out.counts[0], out.arms[0])
    by_path = parameters.row_by_path(plan.columns, values[0])
    expected = parameters.row_by_path(plan.columns, plan.expected)
    answers = header(deal, seed, None) | {
        "draw": draw,
        "engine": "people" if plan.people else "aggregate",
        "parameters": {
            join_path(column.path): by_path[column.path] for column in plan.columns if not column.quantity.is_fixed
        },
        "service_ends": None if stops[0] > plan.calendar.periods else deal.time.date(int(stops[0])),
        "outcomes": _outcome_rows(plan, one),
        "structures": {},
    }
    for name in names:
        out, stops, _, capped = shared.outcomes_under(name, draw, values, alike)
        own = Outcomes(out.people[0], out.when[0], out.counts[0], out.arms[0])
        row = parameters.as_effective(plan, name, values)
        records = _records(shared, draw, (values if row is None else row)[0], own) if plan.people else None
        happened = happened_in(plan, own, int(stops[0]), records)
        ledger = reference.play(deal, name, by_path, expected, happened)
        ledger.check()
        met = np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64)
        found, papers, *_ = shared.settle(name, values, out, stops, capped, met)
        insist_on_agreement(name, ledger.metrics, found[0], papers[0])
        answers["structures"][name] = {
            "clauses": clause_rows(plan, name, ledger),
            "schedule": schedule_rows(ledger, everything=True),
            "metrics": ledger.metrics,
        }
    return answers


def happened_in(
    plan: Plan,
    one: Outcomes,
    stop: int,
    persons: list[list[list[tuple[str, int, float]]]] | None,
) -> reference.Happened:
    """Give the arrays of one draw their names back, for the readable twin."""
    blocks = []
    for b, block in enumerate(plan.blocks):

        def named(which: int, b: int = b) -> dict[str, float]:
            return {name: float(one.counts[o, b, which]) for o, name in enumerate(plan.outcome_names)}

        blocks.append(
            reference.Block(
                cohort=plan.cohort_names[block["cohort"]],
                first=int(block["first"]),
                last=int(block["last"]),
                people=int(one.people[b]),
                when={name: int(one.when[o, b]) for o, name in enumerate(plan.outcome_names)},
                verified=named(VERIFIED),
                true=named(TRUE),
                without=named(WITHOUT),
                before=named(BEFORE),
                persons=None if persons is None else persons[b],
            )
        )
    arms = {
        (name, cohort): (float(one.arms[o, c, 0]), float(one.arms[o, c, 1]))
        for o, name in enumerate(plan.outcome_names)
        for c, cohort in enumerate(plan.cohort_names)
        if plan.outcomes[o]["arm_people_at"] >= 0
    }
    baselines = {
        (name, cohort): float(one.arms[o, c, BASELINE])
        for o, name in enumerate(plan.outcome_names)
        for c, cohort in enumerate(plan.cohort_names)
        if plan.outcomes[o]["baseline_at"] >= 0
    }
    return reference.Happened(blocks=blocks, arms=arms, baselines=baselines, stop=stop)


def _records(
    shared: Simulation, draw: int, v: NDArray[np.float64], one: Outcomes
) -> list[list[list[tuple[str, int, float]]]]:
    """Person by person: which outcomes were verified, and when."""
    plan = shared.plan
    records = np.zeros((len(plan.outcome_names), max(1, int(one.people.sum()))), record_type(plan))
    shared.outcomes(draw, v[np.newaxis], records=records)
    persons: list[list[list[tuple[str, int, float]]]] = []
    row = 0
    for b in range(plan.blocks.size):
        block = []
        for _ in range(int(one.people[b])):
            block.append(
                [
                    (name, int(one.when[o, b]), float(records[o, row]))
                    for o, name in enumerate(plan.outcome_names)
                    if records[o, row]
                ]
            )
            row += 1
        persons.append(block)
    return persons


_COMPARED = {
    "payments": book_of.PAYMENTS,
    "payments_present_value": book_of.PAYMENTS_PV,
    "uncapped_payments": book_of.UNCAPPED,
    "cost": book_of.COST,
    "cost_present_value": book_of.COST_PV,
    "irr": book_of.IRR,
    "multiple": book_of.MULTIPLE,
    "multiple_on_committed": book_of.ON_COMMITTED,
    "multiple_on_peak": book_of.ON_PEAK,
    "net_present_value": book_of.NPV,
    "payback": book_of.PAYBACK,
    "peak_funding_need": book_of.PEAK,
    "surplus": book_of.SURPLUS,
    "lowest_cash": book_of.LOWEST_CASH,
}
_COMPARED_OF_FUND = {name: column for name, column in _COMPARED.items() if column in book_of.OF_TRANCHE} | {
    "fees": book_of.FUND_FEES,
    "carry": book_of.FUND_CARRY,
}
_RATIOS = {"irr", "multiple", "multiple_on_committed", "multiple_on_peak", "payback"}


def disagreements(
    metrics: dict[str, Any], found: NDArray[np.float64], papers: NDArray[np.float64] | None = None
) -> list[str]:
    """List the metrics on which the twin and the kernels differ by more than 1e-9 relative (IRR: 1e-7).

    The last row of `papers` is what a fund leaves, where one holds the paper.
    """
    wrong = _disagreements(metrics, found, _COMPARED)
    if papers is not None and metrics["net"] is not None:
        wrong += [f"net {each}" for each in _disagreements(metrics["net"], papers[-1], _COMPARED_OF_FUND)]
    return wrong


def _disagreements(metrics: dict[str, Any], found: NDArray[np.float64], compared: dict[str, int]) -> list[str]:
    wrong = []
    money = [column for name, column in compared.items() if name not in _RATIOS]
    scale = max(1.0, float(np.nanmax(np.abs(found[money]))))
    for name, column in compared.items():
        ours, theirs = metrics[name], float(found[column])
        if ours is None or np.isnan(theirs):
            same = ours is None and np.isnan(theirs)
        else:
            slack = 1e-9 * scale if name not in _RATIOS else 1e-7 * max(1.0, abs(theirs))
            same = abs(ours - theirs) <= slack
        if not same:
            wrong.append(f"{name}: twin {ours}, kernel {theirs}")
    return wrong


def insist_on_agreement(
    structure: str, metrics: dict[str, Any], found: NDArray[np.float64], papers: NDArray[np.float64]
) -> None:
    """Raise DefectError if the twin and the kernels do not agree."""
    wrong = disagreements(metrics, found, papers)
    if wrong:
        raise DefectError(f"the readable twin and the kernels differ on {structure!r}: " + "; ".join(wrong))


def _outcome_rows(plan: Plan, one: Outcomes) -> dict[str, Any]:
    rows = {}
    for o, name in enumerate(plan.outcome_names):
        by_cohort = {}
        for c, cohort in enumerate(plan.cohort_names):
            blocks = slice(int(plan.cohorts[c]["first_block"]), int(plan.cohorts[c]["end_block"]))
            counts = one.counts[o, blocks]
            row: dict[str, Any] = {
                "people": int(one.people[blocks].sum()),
                "verified": float(counts[:, VERIFIED].sum()),
                "true": float(counts[:, TRUE].sum()),
                "without_service": float(counts[:, WITHOUT].sum()),
            }
            if plan.outcomes[o]["before_at"] >= 0:
                row |= {"before": float(counts[:, BEFORE].sum())}
            if plan.outcomes[o]["baseline_at"] >= 0:
                row |= {"baseline": float(one.arms[o, c, BASELINE])}
            if plan.outcomes[o]["arm_people_at"] >= 0:
                row |= {"comparison": float(one.arms[o, c, 0]), "comparison_people": float(one.arms[o, c, 1])}
            by_cohort[cohort] = row
        rows[name] = by_cohort
    return rows


def clause_rows(plan: Plan, name: str, ledger: reference.Ledger) -> dict[str, Any]:
    """Give payments, tests and the last reason of each clause."""
    rows: dict[str, Any] = {}
    for clause in plan.clause_names[name]:
        reasons = [entry.reason for entry in ledger.entries if entry.clause == clause]
        missing = [needs for each, _, needs in ledger.not_yet_due if each == clause]
        rows[clause] = {
            "payments": sum(amount for (each, _), amount in ledger.paid.items() if each == clause),
            "tests": [
                {"cohort": t.cohort, "measure": t.measure, "value": t.value, "bound": t.bound, "met": t.met}
                for t in ledger.tests
                if t.clause == clause
            ],
            "reason": reasons[-1] if reasons else (missing[-1] if missing else "nothing fell due"),
        }
    return rows


def schedule_rows(ledger: reference.Ledger, *, everything: bool) -> list[dict[str, Any]]:
    """Give the movements of money: all of them, or only what clauses paid (or did not)."""
    rows = []
    for entry in ledger.entries:
        if not everything and entry.clause is None:
            continue
        row: dict[str, Any] = {
            "period": entry.period,
            "date": entry.date,
            "clause": entry.clause,
            "payer": entry.payer,
            "amount": entry.amount,
            "limited_by": entry.limited_by,
            "reason": entry.reason,
        }
        if everything:
            row |= {"from": entry.from_, "to": entry.to, "account": entry.account, "account_after": entry.account_after}
        rows.append(row)
    return rows
