"""The ledgers of 32 draws side by side against one draw after the other, which are held to the readable twin."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from alike import alike
from deals import SMALL, deals
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import ledger as book_of
from simulator.abreast import ALONE, LANES, settle_abreast, suits
from simulator.dealfile import load, loads
from simulator.plan import compile_plan
from simulator.run import Simulation, new_book_of
from simulator.waterfall import NO_COUPON, NO_END

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))
PETERBOROUGH = compile_plan(load(next(path for path in SCENARIOS if path.stem == "peterborough")))
RATES = (
    book_of.IRR,
    book_of.MULTIPLE,
    book_of.ON_COMMITTED,
    book_of.ON_PEAK,
    book_of.PAYBACK,
    book_of.HURDLE,
    book_of.IRR_CODE,
    book_of.LATE,
    book_of.BROKEN,
    book_of.STOPPED,
    book_of.STOP_AT,
)
"""Metrics that are no money; the time of the lowest cash is one only where the lowest cash is more than rounding."""


def _both(plan, name, draws, change=lambda rows: None):
    """What the two kernels answer: metrics, triggers by draw, triggers in all, cash by year."""
    simulation = Simulation(plan, 1, [name])
    assert simulation.ledger(name) is settle_abreast
    values, _ = simulation.values(0, draws)
    change(values)
    out, stops, _, capped = simulation.outcomes(0, values)
    answers = []
    for book in (None, new_book_of(plan, name)):
        met = np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64)
        flags = np.zeros((draws, *met.shape), np.int8)
        found, _, _, by_year = simulation.settle(name, values, out, stops, capped, met, flags, book)
        answers.append((found, flags, met, by_year))
    return answers


def _differences(beside, alone):
    """Columns of metrics in which two answers differ by more than rounding."""
    with np.errstate(invalid="ignore"):
        money = np.nanmax(np.abs(np.hstack([alone[0][:, [book_of.COST, book_of.UNCAPPED, book_of.PEAK]], alone[3]])))
    wrong = []
    for column in range(book_of.METRICS):
        a, b = beside[0][:, column], alone[0][:, column]
        if column == book_of.LOWEST_AT:
            clear = alone[0][:, book_of.LOWEST_CASH] < -1e-9 * money
            a, b = a[clear], b[clear]
        scale = 1.0 if column in RATES or column == book_of.LOWEST_AT else 1.0 + money
        if not np.allclose(a, b, rtol=1e-9, atol=1e-11 * scale, equal_nan=True):
            wrong.append(column)
    return wrong


def _assert_alike(beside, alone):
    assert _differences(beside, alone) == []
    np.testing.assert_array_equal(beside[1], alone[1])
    np.testing.assert_array_equal(beside[2], alone[2])
    np.testing.assert_allclose(beside[3], alone[3], rtol=1e-12)


def _suiting(plan):
    simulation = Simulation(plan, 1, [])
    return [name for name in plan.structure_names if simulation.ledger(name) is settle_abreast]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_real_deals_are_settled_alike_side_by_side_and_alone(path):
    plan = compile_plan(load(path))
    draws = LANES + 7 if plan.people else 5 * LANES + 3
    for name in _suiting(plan):
        _assert_alike(*_both(plan, name, draws))


def _simplified(plan):
    """A plan without what keeps its structures from being settled side by side, with whatever else it has.

    And the structures of which that is true, which are most.
    """
    actions = PETERBOROUGH.structures["as signed"].finance.actions
    structures, plain = {}, []
    for name, terms in plan.structures.items():
        if terms.finance.tranches.size > 1 or terms.finance.stages.size > 0:  # these change what is asked for
            structures[name] = terms
            continue
        plain.append(name)
        finance, clauses, costs = terms.finance, terms.clauses.copy(), terms.costs.copy()
        clauses["until"] = NO_END
        costs["deferred_at"] = -1
        costs["party"][~np.isin(costs["party"], ALONE)] = book_of.SERVICE
        if finance.has == 1:
            tranches = finance.tranches.copy()
            tranches["matures"], tranches["coupon"], tranches["principal_table"] = 0, NO_COUPON, -1
            finance = finance._replace(
                tranches=tranches,
                stops_referrals=0,
                promises=0,
                defers=0,
                puts_off=0,
                usual=1,
                actions=actions,
                guarantee=finance.guarantee[:0],
                fund=finance.fund[:0],
            )
        structures[name] = terms._replace(
            clauses=clauses,
            costs=costs,
            payers=terms.payers[:0],
            finance=finance,
            carried_forward=0,
            agreed=0,
            of_payments_at=-1,
            accounts=terms.accounts[:0],
            breaks=terms.breaks[:0],
        )
    payers = {name: plan.payer_names[name] if structures[name].payers.size else () for name in structures}
    calendar = plan.calendar._replace(fails_at=-1)
    return dataclasses.replace(plan, structures=structures, payer_names=payers, calendar=calendar), plain


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(deals("aggregate"), st.sampled_from([1, LANES - 1, LANES + 1]))
def test_generated_deals_are_settled_alike_side_by_side_and_alone(deal, draws):
    plan, plain = _simplified(compile_plan(deal))
    assert set(plain) <= set(_suiting(plan))
    for name in plain:
        _assert_alike(*_both(plan, name, draws))


def test_most_deals_are_settled_side_by_side():
    found = {path.stem: _suiting(compile_plan(load(path))) for path in SCENARIOS}
    assert {name for name, suiting in found.items() if "as signed" not in suiting} == {"newpin", "rikers", "utah"}
    assert all("conventional" in suiting for suiting in found.values())


def test_a_draw_is_settled_alike_whatever_stands_beside_it():
    """Bit for bit, or a run would depend on where blocks begin."""
    plan = PETERBOROUGH
    simulation = Simulation(plan, 1, ["as signed"])
    values, _ = simulation.values(0, 2 * LANES)
    rows = []
    for low, high in ((0, 2 * LANES), (3, 4), (3, LANES + 9)):
        out, stops, _, capped = simulation.outcomes(low, values[low:high])
        met = np.zeros((len(plan.clause_names["as signed"]), len(plan.cohort_names) + 2), np.int64)
        rows.append(simulation.settle("as signed", values[low:high], out, stops, capped, met)[0])
    np.testing.assert_array_equal(rows[1], rows[0][3:4])
    np.testing.assert_array_equal(rows[2], rows[0][3 : LANES + 9])


def test_capital_called_differently_far_ahead_and_service_ended_at_different_times():
    """Where neighbours do not plan alike, each has its own plan."""
    plan = PETERBOROUGH
    ahead = plan.structures["as signed"].finance.ahead_at

    def change(rows):
        rows[:, ahead] = 3.0 * (1 + np.arange(len(rows)) % 5)

    beside, alone = _both(plan, "as signed", 2 * LANES + 1, change)
    _assert_alike(beside, alone)
    called = alone[0][:, book_of.PEAK]
    assert len(np.unique(called)) > 5
    assert len(np.unique(alone[0][:, book_of.STOP_AT])) > 3
    alike = _both(plan, "as signed", 2 * LANES + 1)  # whose capital is called equally far ahead has a way of its own
    _assert_alike(*alike)
    assert book_of.NPV in _differences(alike[0], alone)


@pytest.mark.parametrize("at_once", [True, False], ids=["all at once", "as it is needed"])
def test_a_reserve_and_capital_called_at_once_are_settled_alike(at_once):
    terms = PETERBOROUGH.structures["as signed"]
    column = PETERBOROUGH.structures["event by event"].finance.surplus_at  # one that nothing here reads
    finance = terms.finance._replace(reserve_at=column, **({"ahead_at": -1} if at_once else {}))
    structures = PETERBOROUGH.structures | {"as signed": terms._replace(finance=finance)}
    plan = dataclasses.replace(PETERBOROUGH, structures=structures)

    def change(rows):
        rows[:, column] = 100_000.0 * (1 + np.arange(len(rows)) % 3)

    beside, alone = _both(plan, "as signed", LANES + 1, change)
    _assert_alike(beside, alone)
    assert book_of.NPV in _differences(_both(plan, "as signed", LANES + 1)[0], alone)


def test_costs_by_the_person_end_with_the_service():
    costs = "costs: {set_up: 20000, delivery: 700 per person, evaluation: 90 per person}"
    text = SMALL.replace("costs: {set_up: 20000, delivery: 60000 a year}", costs)
    text = text.replace("evaluation: 9000 at the end", "evaluation: 60 per person")
    plan = compile_plan(loads(text + "ends_early: {policy_change: {chance_a_year: 30%}}\n"))
    beside, alone = _both(plan, "rate card", LANES + 9)
    _assert_alike(beside, alone)
    ended = alone[0][:, book_of.STOP_AT] < plan.calendar.last
    assert 5 < ended.sum() < LANES
    own_costs = alone[0][:, book_of.COST] - alone[0][:, book_of.PAYMENTS]
    assert own_costs[ended].max() < own_costs[~ended].min()


@pytest.mark.parametrize("rows", ["breaks", "payers", "accounts"])
def test_what_looks_back_or_ends_the_service_is_not_settled_side_by_side(rows):
    terms = PETERBOROUGH.structures["as signed"]
    empty = getattr(terms, rows)
    assert suits(terms, PETERBOROUGH.calendar)
    assert not suits(terms._replace(**{rows: np.zeros((1, *empty.shape[1:]), empty.dtype)}), PETERBOROUGH.calendar)


def test_alike_tells_more_than_rounding():
    answer = {"mean": 1234.5, "rows": [{"p50": None, "count": 3}]}
    assert alike({"mean": 1234.5 * (1 + 1e-12), "rows": [{"p50": None, "count": 3}]}, answer)
    for wrong in (
        {"mean": 1234.5 * (1 + 1e-7), "rows": [{"p50": None, "count": 3}]},
        {"mean": 1234.5, "rows": [{"p50": 0.0, "count": 3}]},
        {"mean": 1234.5, "rows": [{"p50": None, "count": 4}]},
        {"mean": 1234.5, "rows": []},
        {"mean": 1234.5},
    ):
        assert not alike(wrong, answer)
