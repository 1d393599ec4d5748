"""The compiler: from a resolved deal to a plan of tables, and the labels to turn indices back into names.

Only this module knows both the description and the kernels. Every number of the deal becomes a column of a draw's value
row; rules become table rows that hold columns, so that a changed number never means a new plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator import clauses as c
from simulator import copula, worth
from simulator import outcomes as o
from simulator import waterfall as w
from simulator.deal import (
    ACCOUNT,
    ACCOUNTS,
    MONTHS_A_STEP,
    PARTICIPANTS,
    Clause,
    Deal,
    Finance,
    Guarantee,
    Leaf,
    Measure,
    MoneyTable,
    Outcome,
    RateTable,
    ShareTable,
    Structure,
    Time,
    Tranche,
    WithoutService,
    Worded,
    by_referral_period,
    has_agreed_price,
    leaves,
    measure_of,
    named_clauses,
    needs_people,
    outcome_names,
    outcome_of,
    outcomes_read,
    pay_shares,
    payers_of,
    quantity_of,
    reads_account,
    service_periods,
)
from simulator.fund import FUND, FUND_FEE, ON_CAPITAL_OUTSTANDING, ON_COMMITMENT
from simulator.ledger import BY_BREAK, BY_POLICY, FOR_WANT_OF_MONEY, RAN, Calendar, Terms
from simulator.payers import PAYER_ROW
from simulator.quantity import Quantity
from simulator.waterfall import FinanceTerms

Path = tuple[str | int, ...]
_NEVER = 1_000_000_000  # a period after every horizon


@dataclass(frozen=True)
class Column:
    """One column of the value row: a number of the deal."""

    path: Path
    quantity: Quantity
    low: float
    high: float
    address: tuple[str, ...]
    """Name path of its randomness: its own, or that of the named quantity that it stands for."""


@dataclass(frozen=True)
class Joined:
    """Named quantities that move together: a Gaussian copula."""

    columns: tuple[tuple[int, ...], ...]
    """Of each quantity in the order of the file, the columns in which its name stands."""
    factor: tuple[tuple[float, ...], ...]
    """Of each quantity, the weights of its own normal number (last) and of those before it."""


@dataclass(frozen=True)
class Plan:
    """A deal as tables. Arrays hold columns of the value row, indices of outcomes, cohorts, measures and clauses."""

    deal: Deal
    columns: tuple[Column, ...]
    joined: tuple[Joined, ...]
    expected: np.ndarray
    """The value row with every number at its mean, [columns]."""
    people: bool
    """Whether people are drawn one by one."""
    outcome_names: tuple[str, ...]
    cohort_names: tuple[str, ...]
    chain_names: tuple[str, ...]
    measure_names: tuple[str, ...]
    structure_names: tuple[str, ...]
    clause_names: dict[str, tuple[str, ...]]
    years: tuple[str, ...]
    outcomes: np.ndarray
    segments: o.Segments
    cohorts: np.ndarray
    blocks: np.ndarray
    measures: c.Measures
    calendar: Calendar
    structures: dict[str, Terms]
    per_person_cap: dict[str, int]
    """Column of the cap per person of each structure, -1 where there is none."""
    payers: dict[str, dict[str, float]]
    """Shares of the payers of each structure, where all pay fixed shares of everything."""
    payer_names: dict[str, tuple[str, ...]]
    """Payers of each structure, where they pay by rules of their own."""
    frailty_at: int
    hazard_at: int
    effectiveness_at: dict[str, int]
    """Column of the relative effectiveness of each structure, -1 where it is not stated."""
    worths: np.ndarray
    """Savings and then social values."""


def _ints(values: list[Any]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


class _Columns:
    """Columns by path, filled once from the walk over the deal's numbers."""

    def __init__(self, deal: Deal) -> None:
        self.columns: list[Column] = []
        self.at: dict[Path, int] = {}
        for leaf in leaves(deal):
            self._add(deal, leaf)
        self._constants: dict[float, int] = {}

    def _add(self, deal: Deal, leaf: Leaf) -> None:
        quantity = quantity_of(deal, leaf.quantity, leaf.legal)
        address = tuple(str(part) for part in leaf.path)
        if leaf.quantity.kind == "named":
            address = ("quantities", str(leaf.quantity.args[0]))
        elif address[0] == "structures":
            # structures share luck: the same number of two of them, inherited or not, is drawn from one uniform
            address = (address[0], *address[2:])
        self.at[leaf.path] = len(self.columns)
        self.columns.append(Column(leaf.path, quantity, leaf.legal.low, leaf.legal.high, address))

    def __call__(self, *path: str | int) -> int:
        """Column of the number at a path, -1 if there is none."""
        return self.at.get(path, -1)


def compile_plan(deal: Deal) -> Plan:
    """Compile a resolved deal.

    Parameters
    ----------
    deal
        A deal as :func:`simulator.deal.resolve` returns it, without problems.

    Returns
    -------
    Plan
    """
    at = _Columns(deal)
    names = outcome_names(deal)
    measures = _Measures(deal, at, names)
    terms = {name: _terms(deal, at, measures, name) for name in deal.structures}
    accounts = _ints(list(measures.accounts)).reshape(-1, 2)
    terms = {name: each._replace(accounts=accounts) if each.accounts.size else each for name, each in terms.items()}
    cohort_names = tuple(deal.cohorts)
    cohorts, blocks = _cohort_tables(deal, at)
    years = sorted({deal.time.financial_year(t) for t in range(deal.time.periods + 1)})
    chains = list(deal.outcomes)
    return Plan(
        deal=deal,
        columns=tuple(at.columns),
        joined=_joined(deal, at.columns),
        expected=np.array([planned_value(column) for column in at.columns]),
        people=needs_people(deal),
        outcome_names=tuple(names),
        cohort_names=cohort_names,
        chain_names=tuple(chains),
        measure_names=tuple(measures.names),
        structure_names=tuple(deal.structures),
        clause_names={name: tuple(each.pays) for name, each in deal.structures.items()},
        years=tuple(years),
        outcomes=_outcome_table(deal, at, names, chains),
        segments=_segments(deal, at, chains),
        cohorts=cohorts,
        blocks=blocks,
        measures=c.Measures(_rows(c.MEASURE, measures.rows), _rows(c.PART, measures.parts)),
        calendar=_calendar(deal, at, years),
        structures=terms,
        per_person_cap={name: at("structures", name, "at_most", "per_person") for name in deal.structures},
        payers={
            name: {payer: each.share.value for payer, each in payers_of(structure).items() if each.share is not None}
            if pay_shares(structure)
            else {}
            for name, structure in deal.structures.items()
        },
        payer_names={
            name: () if pay_shares(each) else tuple(payers_of(each)) for name, each in deal.structures.items()
        },
        frailty_at=at("frailty_correlation"),
        hazard_at=at("ends_early", "policy_change", "chance_a_year"),
        effectiveness_at={name: at("structures", name, "effectiveness") for name in deal.structures},
        worths=_worth_table(deal, at, names),
    )


def planned_value(column: Column) -> float:
    """Return what the parties plan with: the mean of a number; but nobody plans for a provider who fails."""
    never = ("provider_failure", "after")
    return column.high if column.path == never else column.quantity.mean()


def _joined(deal: Deal, columns: list[Column]) -> tuple[Joined, ...]:
    ranks = {frozenset(each.between): each.rank for each in deal.correlations}
    found = []
    for names in copula.groups(deal.quantities, ranks):
        factor = copula.factor(names, ranks)
        if factor is None:
            raise ValueError(f"the correlations of {', '.join(names)} are impossible")
        places = [[i for i, each in enumerate(columns) if each.address == ("quantities", name)] for name in names]
        found.append(Joined(tuple(map(tuple, places)), tuple(map(tuple, factor))))
    return tuple(found)


def _rows(kind: np.dtype, rows: list[dict[str, Any]]) -> np.ndarray:
    """Make table rows; a field that a row leaves out is -1."""
    table = np.zeros(len(rows), kind)
    for i, row in enumerate(rows):
        for name in kind.names or ():
            table[name][i] = row.get(name, -1)
    return table


def _outcome_table(deal: Deal, at: _Columns, names: list[str], chains: list[str]) -> np.ndarray:
    rows: list[dict[str, float]] = []
    for chain, (name, outcome) in enumerate(deal.outcomes.items()):
        if outcome.steps:
            rows += _milestone_rows(at, names, chain, name, outcome)
        else:
            rows.append(_single_row(at, names, chain, name, outcome))
    return _rows(o.OUTCOME, rows)


def _segments(deal: Deal, at: _Columns, chains: list[str]) -> o.Segments:
    """Columns of the segments; the rows of a chain have those of the chain."""
    rows = [name for name in chains for _ in deal.outcomes[name].steps or [name]]
    segments: list[str | None] = list(deal.segments) or [None]
    relative = {
        key: _ints([[-1 if s is None else at("segments", s, key, name) for name in rows] for s in segments])
        for key in ("levels", "effects")
    }
    return o.Segments(
        share_at=_ints([-1 if s is None else at("segments", s, "share") for s in segments]),
        level_at=relative["levels"].reshape(len(segments), len(rows)),
        effect_at=relative["effects"].reshape(len(segments), len(rows)),
    )


_KINDS = {"yes or no": o.YES_OR_NO, "events": o.EVENTS, "amount": o.AMOUNT, "score": o.SCORE}


def _common_fields(at: _Columns, name: str) -> dict[str, int]:
    """Columns that single outcomes and the milestones of a chain have alike."""
    return {
        "any_at": at("outcomes", name, "any"),
        "spread_at": at("outcomes", name, "spread"),
        "trend_at": at("outcomes", name, "trend"),
        "shock_at": at("outcomes", name, "common_shock"),
        "between_at": at("outcomes", name, "between_cohorts"),
        "cluster_size_at": at("outcomes", name, "clusters", "size"),
        "icc_at": at("outcomes", name, "clusters", "icc"),
        "explained_at": at("outcomes", name, "clusters", "explained"),
        "learning_at": at("outcomes", name, "learning"),
        "delay_at": at("outcomes", name, "delay"),
    }


def _sign(outcome: Outcome) -> float:
    return 1.0 if outcome.better == "more" else -1.0


def _single_row(at: _Columns, names: list[str], chain: int, name: str, outcome: Outcome) -> dict[str, float]:
    arm = outcome.comparison_arm
    return _common_fields(at, name) | {
        "kind": _KINDS[outcome.counts],
        "better": _sign(outcome),
        "chain": chain,
        "slot": 0,
        "parent": -1 if outcome.of_those is None else names.index(outcome.of_those),
        "level_at": at("outcomes", name, "without_service"),
        "effect_at": at("outcomes", name, "effect"),
        "effect_is_units": int(outcome.effect_as == "units"),
        "dispersion_at": at("outcomes", name, "dispersion"),
        "before_at": at("outcomes", name, "before", "level"),
        "normal_at": at("outcomes", name, "before", "normal_level"),
        "persistence_at": at("outcomes", name, "before", "persistence"),
        "after_at": at("outcomes", name, "known_after"),
        "missing_at": at("outcomes", name, "evidence", "missing"),
        "mistaken_at": at("outcomes", name, "evidence", "mistaken"),
        "baseline_at": at("outcomes", name, "baseline"),
        "resets_every_at": at("outcomes", name, "baseline_resets", "every"),
        "resets_share_at": at("outcomes", name, "baseline_resets", "share"),
        "arm_people_at": at("outcomes", name, "comparison_arm", "people"),
        "arm_is_ratio": int(arm is not None and arm.people.form == "per person"),
        "arm_share_at": at("outcomes", name, "comparison_arm", "effective_share"),
        "arm_bias_at": at("outcomes", name, "comparison_arm", "shared_bias"),
    }


def _milestone_rows(at: _Columns, names: list[str], chain: int, name: str, outcome: Outcome) -> list[dict[str, float]]:
    rows = []
    with_first = isinstance(outcome.without_service, WithoutService)
    for slot, (key, step) in enumerate((outcome.steps or {}).items()):
        root = step.follows == "referral"
        first_at = at("outcomes", name, "without_service", "first_step") if root and with_first else -1
        rows.append(
            _common_fields(at, name)
            | {
                "kind": o.MILESTONE,
                "better": _sign(outcome),
                "chain": chain,
                "slot": slot,
                "parent": -1 if root else names.index(step.follows or ""),
                "instead": -1 if step.instead_of is None else names.index(step.instead_of),
                "level_at": at("outcomes", name, "steps", key, "chance"),
                "first_at": first_at,
                "after_at": at("outcomes", name, "steps", key, "after"),
                "missing_at": at("outcomes", name, "steps", key, "evidence", "missing"),
                "mistaken_at": at("outcomes", name, "steps", key, "evidence", "mistaken"),
            }
        )
    return rows


def _worth_table(deal: Deal, at: _Columns, outcomes: list[str]) -> np.ndarray:
    rows: list[dict[str, Any]] = []
    groups: list[tuple[str, str]] = []
    for key, worths in (("savings", deal.savings or {}), ("social_value", deal.social_value or {})):
        for name, each in worths.items():
            group = -1
            if each.one_of is not None:
                if (key, each.one_of) not in groups:
                    groups.append((key, each.one_of))
                group = groups.index((key, each.one_of))
            rows.append(
                {
                    "outcome": outcomes.index(each.outcome),
                    "each_at": at(key, name, "each"),
                    "yearly": int(each.each.form == "a year"),
                    "after_at": at(key, name, "after"),
                    "lasts_at": at(key, name, "lasts"),
                    "cashable_at": at(key, name, "cashable"),
                    "bias_at": at("optimism_bias", each.evidence),
                    "group": group,
                }
            )
    return _rows(worth.WORTH, rows)


def _cohort_tables(deal: Deal, at: _Columns) -> tuple[np.ndarray, np.ndarray]:
    time = deal.time
    cohorts: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    for index, (name, each) in enumerate(deal.cohorts.items()):
        begins, ends = time.period(each.referred.first), time.period(each.referred.last)
        periods = range(begins, ends + 1)
        windows = [(t, t) for t in periods] if by_referral_period(deal, each) else [(begins, ends)]
        cohorts.append(
            {
                "people_at": at("cohorts", name, "people"),
                "referrals_at": at("cohorts", name, "referrals"),
                "attrition_at": at("cohorts", name, "attrition"),
                "years": _years(time, begins, ends),
                "begins": (begins - 1) * time.months / 12,
                "number": sum(other.referred.first < each.referred.first for other in deal.cohorts.values()),
                "claim": _NEVER if each.last_claim is None else time.period(each.last_claim),
                "first_block": len(blocks),
                "end_block": len(blocks) + len(windows),
                "fails_at": at("provider_failure", "after"),
                "gap_at": at("provider_failure", "gap"),
                "serves_from": service_periods(deal)[0],
                "step": float(time.months),
            }
        )
        for part, (first, last) in enumerate(windows):
            reach = ends if each.if_cut_short == "does not run" else last
            place = {"cohort": index, "part": part, "parts": len(windows), "years": _years(time, first, last)}
            blocks.append(place | {"first": first, "last": last, "reach": reach})
    return _rows(o.COHORT, cohorts), _rows(o.BLOCK, blocks)


def _years(time: Time, first: int, last: int) -> float:
    """Years from the start of the deal to the middle of a window of periods."""
    return (first - 1 + last) / 2 * time.months / 12


_DIFFERENCES = {"share": c.DIFFERENCE_SHARE, "units": c.DIFFERENCE_UNITS, "per person": c.DIFFERENCE_MEAN}
_AGAINST = {"comparison_arm": c.ARM, "baseline": c.BASELINE, "before": c.BEFORE}


class _Measures:
    """Measures of the deal, those that are names of outcomes, and hidden ones: units, and parts of the cohorts so far.

    The parts of a measure stand above it.
    """

    def __init__(self, deal: Deal, at: _Columns, outcomes: list[str]) -> None:
        self.deal, self.at, self.outcomes = deal, at, outcomes
        self.names: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self.parts: list[dict[str, Any]] = []
        self.accounts: list[tuple[int, int]] = []
        """Of each row that is an account, the row and which account."""
        for name in [*deal.measures, *outcomes, PARTICIPANTS]:
            self.index(name)

    def index(self, name: str, *, so_far: bool = False) -> int:
        """Row of a measure, made where it is not yet there."""
        measure = measure_of(self.deal, name)
        label = name if measure.over == "cohorts so far" or not so_far else so_far_label(name)
        if label not in self.names:
            so_far = so_far or measure.over == "cohorts so far"
            row = self._composed(name, measure, so_far) if measure.parts else self._single(name, measure)
            if measure.kind == ACCOUNT:
                self.accounts.append((len(self.rows), ACCOUNTS.index(str(measure.count_of))))
            rounded = measure.rounded
            self.names.append(label)
            self.rows.append(
                row
                | {
                    "so_far": int(so_far),
                    "divisor_at": self.at("measures", name, "divided_by"),
                    "least_at": self.at("measures", name, "no_less_than"),
                    "most_at": self.at("measures", name, "no_more_than"),
                    "rounded": c.NOT_ROUNDED if rounded is None else _ROUNDED[rounded.form],
                    "step_at": self.at("measures", name, "rounded"),
                }
            )
        return self.names.index(label)

    def _single(self, source: str, measure: Measure) -> dict[str, Any]:
        kinds = {"count": c.COUNT, "share": c.SHARE, "mean": c.SHARE, PARTICIPANTS: c.PEOPLE, ACCOUNT: c.ACCOUNT}
        units = _DIFFERENCES[measure.as_]
        against, level_at = c.ARM, -1
        if measure.against in _AGAINST:
            against = _AGAINST[str(measure.against)]
        elif measure.against is not None:
            against, level_at = c.LEVEL, self.at("measures", source, "against")
        return {
            "kind": kinds.get(measure.kind, units),
            "outcome": -1 if measure.kind in {PARTICIPANTS, ACCOUNT} else self.outcomes.index(measure.outcome),
            "sign": -1.0 if measure.kind == "reduction" else 1.0,
            "against": against,
            "level_at": level_at,
        }

    def _composed(self, name: str, measure: Measure, so_far: bool) -> dict[str, Any]:
        indices = [self.index(part, so_far=so_far) for part in measure.parts]
        below = [self.rows[i]["first_composed"] for i in indices if self.rows[i].get("first_composed", -1) >= 0]
        row: dict[str, Any] = {
            "kind": _COMPOSED[measure.kind],
            "first_part": len(self.parts),
            "end_part": len(self.parts) + len(indices),
            "first_composed": min([*below, len(self.rows)]),
        }
        for part, index in zip(measure.parts, indices, strict=True):
            self.parts.append({"measure": index, "weight_at": self.at("measures", name, "sum_of", part)})
        for condition, bound in (measure.when or {}).items():
            row |= {"sense": _SENSES[bound.form], "bound_at": self.at("measures", name, "when", condition)}
        if measure.p_value_of is not None:
            outcome = measure_of(self.deal, measure.p_value_of).outcome
            row["is_events"] = int(outcome_of(self.deal, outcome)[0].counts == "events")
            row["dispersion_at"] = self.at("outcomes", outcome, "dispersion")
        return row

    def counted(self, name: str) -> int:
        """Measure that says how many outcomes a clause counted: a count, or units for a difference; -1 none.

        A sum says it itself where no part is composed; of another composed measure it is that of its first such part.
        """
        measure = measure_of(self.deal, name)
        if measure.sum_of is not None:
            parts = [measure_of(self.deal, part) for part in measure.sum_of]
            if all(not part.parts and part.kind not in {PARTICIPANTS, ACCOUNT} for part in parts):
                return self.index(name)
        if measure.parts:
            return next((found for part in measure.parts if (found := self.counted(part)) >= 0), -1)
        if measure.kind in {PARTICIPANTS, ACCOUNT}:
            return -1
        if measure.kind in {"count", "share", "mean"}:
            return self.index(measure.outcome)
        if measure.as_ == "units":
            return self.index(name)
        hidden = f"{name} (units)"
        if hidden not in self.names:
            self.names.append(hidden)
            self.rows.append(
                self._single(name, measure.model_copy(update={"as_": "units"})) | {"so_far": 0, "rounded": 0}
            )
        return self.names.index(hidden)

    def outcome(self, counted: int) -> int:
        """Outcome of the row of a measure, of a composed one that of its first part; -1 for no row."""
        if counted < 0:
            return -1
        row = self.rows[counted]
        return int(row["outcome"] if "outcome" in row else self.outcome(self.parts[row["first_part"]]["measure"]))


def so_far_label(name: str) -> str:
    """Name of a measure where it is taken of the cohorts so far, as a part of another."""
    return f"{name} (so far)"


_ROUNDED = {"to": c.NEAREST, "down to": c.DOWN, "up to": c.UP}
_COMPOSED = {"ratio": c.RATIO, "sum": c.SUM, "choice": c.CHOICE, "p_value": c.P_VALUE}
_SCOPES = {
    "each participant": c.EACH_PARTICIPANT,
    "each cohort": c.EACH_COHORT,
    "all cohorts that ran": c.POOLED,
    "the contract": c.CONTRACT,
}
_DUE = {
    "when known": c.WHEN_KNOWN,
    "evenly": c.EVENLY,
    "at the start": c.AT_THE_START,
    "at the end": c.AT_THE_END,
    "when referred": c.WHEN_REFERRED,
    "at an early end": c.AT_AN_EARLY_END,
}
_SENSES = {"at least": c.AT_LEAST, "at most": c.AT_MOST, "more than": c.MORE_THAN, "less than": c.LESS_THAN}
_COST_FORMS = {"at the start": w.START, "a year": w.A_YEAR, "per person": w.PER_PERSON, "at the end": w.END}


def _terms(deal: Deal, at: _Columns, measures: _Measures, name: str) -> Terms:
    structure = deal.structures[name]
    path: Path = ("structures", name)
    costs = _cost_rows(deal, at, structure, path)
    clauses, conditions, points, reads = _clause_tables(deal, structure, at, measures, (*path, "pays"))
    breaks, checks, more = _break_tables(deal, structure, at, measures, (*path, "breaks"), len(reads))
    reads = np.concatenate([reads, more])
    named = [name for each in structure.pays.values() for name in each.reads]
    named += [name for each in (structure.breaks or {}).values() for name in each.when]
    reads_accounts = any(reads_account(deal, name) for name in named)
    return Terms(
        clauses=clauses,
        conditions=conditions,
        points=points,
        reads=reads,
        costs=_rows(w.COST, costs),
        payers=_rows(PAYER_ROW, _payer_rows(deal, structure, at, (*path, "payers"))),
        finance=_finance(deal, at, measures, structure, (*path, "finance")),
        year_cap_at=at(*path, "at_most", "year"),
        carried_forward=int(structure.at_most.over_the_year == "carried forward"),
        contract_cap_at=at(*path, "at_most", "contract"),
        paid_after_at=at(*path, "paid_after"),
        per_head=int(
            any(row["form"] == w.PER_PERSON for row in costs)
            or any(clause.due == "when referred" for clause in structure.pays.values())
        ),
        agreed=int(has_agreed_price(structure)),
        of_payments_at=at(*path, "service_agreement", "share_of_payments"),
        accounts=np.zeros((int(reads_accounts), 2), np.int64),  # filled once all measures have their rows
        breaks=breaks,
        checks=checks,
        claims_end=int(structure.after_an_early_end == "claims end"),
    )


def _break_tables(
    deal: Deal, structure: Structure, at: _Columns, measures: _Measures, path: Path, above: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the breaks, of their checks, and of the outcomes that these wait for, which stand below others."""
    bits = {name: 1 << place for place, name in enumerate(named_clauses(structure))}
    rows: list[dict[str, Any]] = []
    checks: list[dict[str, Any]] = []
    reads: list[dict[str, Any]] = []
    for name, each in (structure.breaks or {}).items():
        row = {"review": deal.time.period(each.review), "first_check": len(checks)}
        for measure, bound in each.when.items():
            check = {"by": measures.index(measure), "first_read": above + len(reads)}
            for outcome in dict.fromkeys(outcome for outcome, _ in outcomes_read(deal, measure)):
                reads.append({"outcome": measures.outcomes.index(outcome) if outcome else -1, "so_far": 0})
            check |= {"sense": _SENSES[bound.form], "bound_at": at(*path, name, "when", measure)}
            checks.append(check | {"end_read": above + len(reads)})
        row |= {"end_check": len(checks), "notice_at": at(*path, name, "notice")}
        rows.append(row | {"unless": sum(bits[clause] for clause in set(each.unless))})
    return _rows(c.BREAK, rows), _rows(c.CHECK, checks), _rows(c.READ, reads)


def _cost_rows(deal: Deal, at: _Columns, structure: Structure, path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    agreed = has_agreed_price(structure)
    for key in ("costs", "payer_costs"):
        costs = getattr(structure, key)
        for kind in ("set_up", "delivery", "management", "evaluation"):
            cost: Worded | None = getattr(costs, kind, None)
            if cost is None:
                continue
            party = w.PAYER if key == "payer_costs" else w.PROVIDER if kind == "delivery" else w.OTHERS
            deferred_at = at(*path, "finance", "deferred", kind) if key == "costs" else -1
            row = _cost_row(at, (*path, key, kind), cost, party) | {"overrun_at": at(*path, key, "overrun")}
            plus_at = at(*path, "service_agreement", "cost_plus")
            if party == w.PROVIDER and agreed:  # the provider bears it, and is owed what was agreed
                rows.append(row)
                if plus_at >= 0:
                    rows.append(row | {"party": w.AGREED, "deferred_at": deferred_at, "plus_at": plus_at})
                continue
            rows.append(row | {"deferred_at": deferred_at})
    finance = structure.finance
    if structure.service_agreement is not None:
        deferred_at = at(*path, "finance", "deferred", "delivery")
        for name, fee in (structure.service_agreement.fees or {}).items():
            row = _cost_row(at, (*path, "service_agreement", "fees", name), fee, w.AGREED)
            rows.append(row | {"deferred_at": deferred_at})
    if deal.provider_failure is not None:
        party = w.OTHERS if isinstance(finance, Finance) else w.PAYER
        amount_at = at("provider_failure", "cost")
        rows.append({"amount_at": amount_at, "form": w.START, "party": party, "replacement": 1})
    if isinstance(finance, Finance):
        for name, grant in (finance.grants or {}).items():
            rows.append(_cost_row(at, (*path, "finance", "grants", name), grant, w.GRANT))
        for here, guarantee in finance.guarantees.items():
            if guarantee.fee is not None:
                rows.append(_cost_row(at, (*path, "finance", *here, "fee"), guarantee.fee, w.GUARANTOR))
    return rows


def _payer_rows(deal: Deal, structure: Structure, at: _Columns, path: Path) -> list[dict[str, Any]]:
    """Rows of the payers; none where all pay fixed shares of everything."""
    order, time = list(structure.pays), deal.time
    rows: list[dict[str, Any]] = []
    for name, payer in {} if pay_shares(structure) else payers_of(structure).items():
        rows.append(
            {
                "share_at": max(at(*path, name), at(*path, name, "share")),
                "cap_at": at(*path, name, "at_most"),
                "year_cap_at": at(*path, name, "at_most_a_year"),
                "carries": int(payer.over_the_year == "carried forward"),
                "of": sum(1 << order.index(clause) for clause in set(payer.of)) if payer.of else -1,
                "first": 0 if payer.from_ is None else time.period(payer.from_),
                "last": _NEVER if payer.until is None else time.period(payer.until),
            }
        )
    return rows


def _cost_row(at: _Columns, path: Path, cost: Worded, party: int) -> dict[str, Any]:
    return {"amount_at": at(*path), "form": _COST_FORMS[cost.form], "party": party, "replacement": 0}


_COUPONS = {"in cash": w.IN_CASH, "accrued": w.ACCRUED, "at maturity": w.AT_MATURITY}
_PLAIN_ACTIONS = {
    "advances": w.ADVANCES,
    "planned costs": w.PLANNED_COSTS,
    "deferred delivery": w.PAY_DELIVERY,
    "deferred fees": w.PAY_FEES,
    "guarantor": w.REPAY_GUARANTOR,
    "rest": w.REST,
}
_BASES = {"commitment": ON_COMMITMENT, "capital outstanding": ON_CAPITAL_OUTSTANDING}
_ACTIONS_OF = {"coupon": w.COUPON, "interest": w.INTEREST, "capital": w.CAPITAL}


def _who(finance: Finance, name: str) -> int:
    names = list(finance.papers)
    if name in names:
        return names.index(name)
    return w.TO_PROVIDER if name == "provider" else w.ALL_TRANCHES


def _until(at: _Columns, finance: Any, path: Path, until: dict[str, Worded] | None) -> dict[str, int]:
    """Until whom has had which return a stage, a price or a share holds."""
    row = {"until": w.NO_END}
    for name, enough in (until or {}).items():
        form = w.A_RETURN if enough.form == "a year" else w.TIMES
        row |= {"until": form, "who": _who(finance, name), "level_at": at(*path, name)}
    return row


class _FinanceTables:
    """Tables of one finance agreement: their rows, and the points of all of them."""

    def __init__(self, deal: Deal, at: _Columns, measures: _Measures, finance: Finance, path: Path) -> None:
        self.deal, self.at, self.measures, self.finance, self.path = deal, at, measures, finance, path
        self.names = list(finance.papers)
        self.tables: list[dict[str, Any]] = []
        self.points: list[dict[str, Any]] = []
        self.reads: list[dict[str, int]] = []

    def table(self, table: RateTable | ShareTable | MoneyTable | None, path: Path, by: str | None) -> int:
        """Add a table; return its row, -1 if there is none."""
        if table is None:
            return -1
        first, first_read = len(self.points), len(self.reads)
        if by is not None:
            for outcome in dict.fromkeys(outcome for outcome, _ in outcomes_read(self.deal, by)):
                self.reads.append({"outcome": self.measures.outcomes.index(outcome) if outcome else -1, "so_far": 0})
        for i in range(len(table.points)):
            self.points.append(
                {"level_at": self.at(*path, "points", i, 0), "amount_at": self.at(*path, "points", i, 1)}
            )
        self.tables.append(
            {
                "by": -1 if by is None else self.measures.index(by),
                "first_point": first,
                "end_point": len(self.points),
                "below_at": self.at(*path, "below"),
                "above_at": self.at(*path, "above"),
                "straight": int(table.between == "straight line"),
                "first_read": first_read,
                "end_read": len(self.reads),
            }
        )
        return len(self.tables) - 1

    def who(self, name: str) -> int:
        """Tranche of a name, or one of the other parties that get something."""
        return _who(self.finance, name)

    def tranche(self, name: str, tranche: Tranche) -> dict[str, Any]:
        """Row of a tranche."""
        here: Path = (*self.path, "tranches", name) if self.finance.tranches is not None else self.path
        time, coupon = self.deal.time, tranche.coupon
        row: dict[str, Any] = {
            "commitment_at": self.at(*here, "commitment"),
            "matures": 0 if tranche.matures is None else time.period(tranche.matures),
            "coupon": w.NO_COUPON,
            "every": 1,
            "early_table": self.table(tranche.redeemed_early, (*here, "redeemed_early"), None),
            "backed": int(tranche.backed_by == "provider"),
        }
        if tranche.principal is not None:
            by = tranche.principal.by
            row["principal_table"] = self.table(tranche.principal.table, (*here, "principal", "table"), by)
        if coupon is None:
            return row
        there = (*here, "coupon")
        row |= {
            "coupon": _COUPONS[coupon.paid],
            "every": MONTHS_A_STEP[coupon.every] // time.months,
            "rate_at": self.at(*there, "rate"),
            "rate_table": self.table(coupon.table, (*there, "table"), coupon.by),
            "most_at": self.at(*there, "at_most"),
        }
        if coupon.at_least is not None:
            years = coupon.at_least.in_
            row |= {
                "least_at": self.at(*there, "at_least", "rate"),
                "least_first": 0 if years is None else years.first,
                "least_last": _NEVER if years is None else years.last,
            }
        return row

    def actions(self) -> list[dict[str, int]]:
        """Rows of the waterfall."""
        rows = []
        for action in self.finance.waterfall or self.finance.usual_waterfall():
            if isinstance(action, str):
                rows.append({"kind": _PLAIN_ACTIONS[action], "whose": 0})
                continue
            ((what, whose),) = action.items()
            listed = [whose] if isinstance(whose, str) else whose
            rows.append({"kind": _ACTIONS_OF[what], "whose": sum(1 << self.names.index(name) for name in listed)})
        return rows

    def stages(self) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
        """Rows of the split of what is left, and of its shares."""
        rows: list[dict[str, int]] = []
        shares: list[dict[str, int]] = []
        for i, stage in enumerate(self.finance.residual or []):
            here = (*self.path, "residual", i)
            row = {"first_share": len(shares)} | _until(self.at, self.finance, (*here, "until"), stage.until)
            shares += [{"to": self.who(name), "share_at": self.at(*here, "to", name)} for name in stage.to]
            rows.append(row | {"end_share": len(shares)})
        return rows, shares

    def guarantee(self, path: Path, guarantee: Guarantee) -> dict[str, Any]:
        """Row of a guarantee."""
        here = (*self.path, *path)
        time = self.deal.time
        row: dict[str, Any] = {
            "of": w.ALL_TRANCHES if guarantee.of is None else self.who(guarantee.of),
            "due": time.periods if guarantee.due is None else time.period(guarantee.due),
            "repaid": int(guarantee.repaid),
        }
        forms = {"recovery": w.RECOVERY, "share_of_loss": w.SHARE_OF_LOSS, "amount": w.FIXED_SUM}
        for key, form in forms.items():
            if getattr(guarantee, key) is not None:
                row |= {"form": form, "amount_at": self.at(*here, key)}
        if guarantee.by_capital_called is not None:
            table = self.table(guarantee.by_capital_called, (*here, "by_capital_called"), None)
            row |= {"form": w.BY_CAPITAL_CALLED, "table": table}
        return row


def _finance(deal: Deal, at: _Columns, measures: _Measures, structure: Structure, path: Path) -> FinanceTerms:
    finance = structure.finance
    if not isinstance(finance, Finance):
        nothing = (w.TRANCHE, w.TABLE, c.POINT, c.READ, w.ACTION, w.STAGE, w.SHARE_OF_REST, w.GUARANTEE, FUND, FUND_FEE)
        return FinanceTerms(0, -1, 0, 0, -1, -1, 0, 0, 0, 0, 0, 0, *(_rows(kind, []) for kind in nothing))
    tables = _FinanceTables(deal, at, measures, finance, path)
    tranches = [tables.tranche(name, tranche) for name, tranche in finance.papers.items()]
    stages, shares = tables.stages()
    guarantees = [tables.guarantee(*each) for each in finance.guarantees.items()]
    fund, fund_fees = _fund(at, finance, (*path, "fund"))
    promises = bool(guarantees) or any(row["coupon"] or row["matures"] for row in tranches)
    plain = not (promises or stages or finance.deferred or finance.grants or finance.rules("defer fees"))
    plain = plain and len(tranches) == 1 and structure.service_agreement is None
    return FinanceTerms(
        has=1,
        ahead_at=at(*path, "called"),
        recycled=int(finance.recycled),
        stops_referrals=int(finance.rules("stop referrals", "wind up")),
        surplus_at=at(*path, "surplus_to_investors"),
        reserve_at=at(*path, "reserve"),
        in_turn=int(finance.drawn == "in turn"),
        promises=int(promises),
        defers=int(finance.deferred is not None),
        puts_off=int(finance.rules("defer fees")),
        winds_up=int(finance.rules("wind up")),
        usual=int(plain and finance.waterfall == finance.usual_waterfall()),
        tranches=_rows(w.TRANCHE, tranches),
        tables=_rows(w.TABLE, tables.tables),
        points=_rows(c.POINT, tables.points),
        reads=_rows(c.READ, tables.reads),
        actions=_rows(w.ACTION, tables.actions()),
        stages=_rows(w.STAGE, stages),
        shares=_rows(w.SHARE_OF_REST, shares),
        guarantee=_rows(w.GUARANTEE, guarantees),
        fund=_rows(FUND, fund),
        fund_fees=_rows(FUND_FEE, fund_fees),
    )


def _fund(at: _Columns, finance: Finance, path: Path) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """Rows of the fund that holds the paper, if there is one, and of its yearly fees."""
    if finance.fund is None:
        return [], []
    fees = [
        {
            "share_at": at(*path, "fees", name, "share"),
            "on": _BASES[fee.of],
            "first": -1 if fee.in_ is None else fee.in_.first,
            "last": -1 if fee.in_ is None else fee.in_.last,
        }
        for name, fee in (finance.fund.fees or {}).items()
    ]
    row = {
        "of": w.ALL_TRANCHES if finance.fund.of is None else _who(finance, finance.fund.of),
        "set_up_at": at(*path, "set_up"),
        "carry_at": at(*path, "carry", "share"),
        "above_at": at(*path, "carry", "above"),
        "catch_up_at": at(*path, "carry", "catch_up"),
    }
    return [row], fees


def _clause_tables(
    deal: Deal, structure: Structure, at: _Columns, measures: _Measures, path: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    bits = {name: 1 << place for place, name in enumerate(named_clauses(structure))}
    rows: list[dict[str, Any]] = []
    conditions: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    reads: list[dict[str, Any]] = []
    for name, clause in structure.pays.items():
        here = (*path, name)
        row = _clause_row(deal, at, measures, here, clause, bits)
        row |= {"first_condition": len(conditions), "first_point": len(points), "first_read": len(reads)}
        row |= _until(at, structure.finance, (*here, "amount", "until"), clause.amount.until)
        row["ended_by"] = _ended_by(structure, clause)
        for key, bounds in (("when", clause.when), ("any_of", clause.any_of)):
            for measure, bound in bounds.items():
                place = {"measure": measures.index(measure), "bound_at": at(*here, key, measure)}
                conditions.append(place | {"sense": _SENSES[bound.form]})
            if key == "when":
                row |= {"end_condition": len(conditions), "first_any": len(conditions)}
        amount = clause.amount
        number = len(amount.bands or ()) if amount.table is None else len(amount.table.points)
        for i in range(number):
            point: Path = (*here, "amount", *(("bands",) if amount.bands else ("table", "points")), i)
            points.append({"level_at": at(*point, 0), "amount_at": at(*point, 1)})
        for outcome, so_far in {each: None for read in clause.reads for each in outcomes_read(deal, read)}:
            reads.append({"outcome": measures.outcomes.index(outcome) if outcome else -1, "so_far": int(so_far)})
        rows.append(row | {"end_any": len(conditions), "end_point": len(points), "end_read": len(reads)})
    return _rows(c.CLAUSE, rows), _rows(c.CONDITION, conditions), _rows(c.POINT, points), _rows(c.READ, reads)


def _ended_by(structure: Structure, clause: Clause) -> int:
    """Bits of what ends service so that a clause is owed: by default all but a want of money."""
    if clause.ended_by is None:
        return ~(1 << RAN | 1 << FOR_WANT_OF_MONEY)
    places = {"policy change": BY_POLICY} | {name: BY_BREAK + i for i, name in enumerate(structure.breaks or {})}
    return sum(1 << places[name] for name in set(clause.ended_by))


def _clause_row(
    deal: Deal, at: _Columns, measures: _Measures, here: Path, clause: Clause, bits: dict[str, int]
) -> dict[str, Any]:
    amount = clause.amount
    if deal.time.prices == "real":
        index_at, base = at("rates", "inflation"), c.BY_PERIOD
    else:
        index_at = at(*here, "indexed", "a_year")
        base = 0 if clause.indexed is None else clause.indexed.from_.index - deal.time.start.index
    # what is multiplied says how much was counted, else what triggers, else what reads the table
    gates = [name for name in (amount.times, *clause.when, *clause.any_of, amount.by) if name is not None]
    counted = next((found for gate in gates if (found := measures.counted(gate)) >= 0), -1)
    rates = (at(*here, "amount", key) for key in ("price", "share", "lump_sum"))
    return {
        "scope": _SCOPES[clause.for_],
        "due": _DUE[clause.due],
        "bit": bits.get(str(here[-1]), 0),
        "unless": sum(bits[other] for other in set(clause.unless)),
        "only_if": sum(bits[other] for other in set(clause.only_if)),
        "less": sum(bits[other] for other in set(clause.less)),
        "rate_at": max(rates),
        "per_at": at(*here, "amount", "per"),
        "times": -1 if amount.times is None else measures.index(amount.times),
        "by": -1 if amount.by is None else measures.index(amount.by),
        "below_at": at(*here, "amount", "table", "below"),
        "above_at": at(*here, "amount", "table", "above"),
        "straight": int(amount.table is not None and amount.table.between == "straight line"),
        "is_bands": int(amount.bands is not None),
        "least_at": at(*here, "at_least"),
        "index_at": index_at,
        "base": base,
        "cap_at": at(*here, "at_most", "payments"),
        "outcome_cap_at": at(*here, "at_most", "outcomes"),
        "outcome": measures.outcome(counted),
        "counted": counted,
        "above_people_at": at(*here, "above"),
        "cohorts": sum(1 << list(deal.cohorts).index(each) for each in set(clause.cohorts)) if clause.cohorts else -1,
        "rounded": c.NOT_ROUNDED if clause.rounded is None else _ROUNDED[clause.rounded.form],
        "step_at": at(*here, "rounded"),
        "then_at": at(*here, "amount", "then"),
    }


def _costs_rise_at(deal: Deal, at: _Columns) -> int:
    """Column of the yearly rise of costs: their own, else inflation where money is real, else none."""
    own = at("rates", "cost_inflation")
    return at("rates", "inflation") if own < 0 and deal.time.prices == "real" else own


def _calendar(deal: Deal, at: _Columns, years: list[str]) -> Calendar:
    time = deal.time
    first, last = service_periods(deal)
    return Calendar(
        periods=time.periods,
        step=float(time.months),
        a_year=float(time.a_year),
        first=first,
        last=last,
        year=_ints([years.index(time.financial_year(t)) for t in range(time.periods + 1)]),
        investor_rate_at=at("rates", "investor"),
        investor_real=int(deal.rates.investor.form == "real"),
        payer_rate_at=at("rates", "payer"),
        payer_real=int(deal.rates.payer.form == "real"),
        inflation_at=at("rates", "inflation"),
        fails_at=at("provider_failure", "after"),
        gap_at=at("provider_failure", "gap"),
        costs_rise_at=_costs_rise_at(deal, at),
        real=int(time.prices == "real"),
    )
