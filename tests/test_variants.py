"""What a change reaches: read off the tables of a plan, and checked against what really moves."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from simulator import parameters
from simulator.dealfile import load, opened, paths
from simulator.plan import compile_plan
from simulator.run import Simulation
from simulator.variants import (
    Axis,
    Base,
    columns_in,
    differing,
    outcomes_signature,
    parse_axis,
    reach,
    read_at_all,
    read_by_others,
    read_by_outcomes,
    with_numbers,
)
from simulator.yamlfile import DealError

FOLDER = Path(__file__).parent.parent / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))
PRICE = ("structures", "as signed", "pays", "a cohort succeeds", "when", "fewer events")
DRAWS = 120


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def simulation(request, kernels):
    deal = load(request.param)
    return Simulation(compile_plan(deal), 1, list(deal.structures))


def _poisoned(simulation, values, column):
    """The value rows with one number changed in every draw, within what it may be."""
    rows = values.copy()
    low, high = simulation.plan.columns[column].low, simulation.plan.columns[column].high
    moved = np.where(rows[:, column] == 0.0, 0.5, rows[:, column] * 0.5)
    rows[:, column] = np.clip(moved, low, high)
    return rows


def _bits(arrays):
    return [np.ascontiguousarray(each).tobytes() for each in arrays]


def _outcomes(simulation, rows):
    out, stops, totals, capped = simulation.outcomes(0, rows)
    return (out, stops, capped), _bits([*out, stops, totals, capped])


def test_no_column_moves_outcomes_unless_the_tables_say_that_outcomes_read_it(simulation):
    values, _ = parameters.values(simulation.plan, simulation.value_keys, 0, DRAWS)
    _, base = _outcomes(simulation, values)
    said = read_by_outcomes(simulation.plan)
    moving = {
        column
        for column in range(len(simulation.plan.columns))
        if _outcomes(simulation, _poisoned(simulation, values, column))[1] != base
    }
    assert moving <= said
    assert len(moving) > 3  # the poison works


def test_no_column_of_another_structure_moves_a_structure_and_what_no_table_reads_moves_nothing(simulation):
    plan = simulation.plan
    values, _ = parameters.values(plan, simulation.value_keys, 0, DRAWS)
    met = {
        name: np.zeros((len(plan.clause_names[name]), len(plan.cohort_names) + 2), np.int64) for name in plan.structures
    }

    def settled(name, rows):
        alike = simulation.outcomes(0, rows)
        out, stops, _, capped = simulation.outcomes_under(name, 0, rows, alike)
        return _bits([*simulation.settle(name, rows, out, stops, capped, met[name])])

    unread = set(range(len(plan.columns))) - read_at_all(plan)
    moved = 0
    for name in plan.structures:
        base = settled(name, values)
        harmless = read_by_others(plan, name) | unread
        for column in range(len(plan.columns)):
            same = settled(name, _poisoned(simulation, values, column)) == base
            assert same or column not in harmless, (name, plan.columns[column].path)
            moved += not same
    assert moved > 3


def test_fields_of_new_tables_are_found_by_their_names():
    table = np.zeros(2, np.dtype([("kind", np.int64), ("price_at", np.int64)]))
    table["price_at"] = [4, -1]
    assert set(columns_in({"a": table})) == {4}
    assert set(columns_in(7, "hazard_at")) == {7}
    assert set(columns_in(7, "hazard")) == set()


@dataclasses.dataclass(frozen=True)
class _Newcomers:
    share_at: int


def test_a_new_part_of_a_plan_is_taken_to_shape_outcomes(kernels):
    plan = compile_plan(load(FOLDER / "peterborough.yaml"))
    price = next(i for i, each in enumerate(plan.columns) if each.path[-1] == "fewer events")
    assert price not in read_by_outcomes(plan)
    kind = dataclasses.make_dataclass("Wider", [("newcomers", object)], bases=(type(plan),), frozen=True, kw_only=True)
    fields = {each.name: getattr(plan, each.name) for each in dataclasses.fields(plan)}
    assert price in read_by_outcomes(kind(**fields, newcomers={"young": _Newcomers(price)}))


# ---------------------------------------------------------------------------------------------------
# Plans that differ in numbers, and plans that differ in more
# ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base():
    return Base.of(opened(FOLDER / "peterborough.yaml"))


@pytest.mark.parametrize(
    ("change", "differs", "moves"),
    [
        ("structures.as signed.at_most.contract=7m", True, False),
        ("structures.as signed.pays.a cohort succeeds.when.fewer events=at least 9%", True, False),
        ("structures.as signed.pays.a cohort succeeds.when.fewer events=more than 10%", False, False),
        ("structures.as signed.finance.recycled=false", False, False),
        ("rates.inflation=3%", True, False),
        ("outcomes.reconvictions.effect=-5%", True, True),
        ("cohorts.cohort 1.people=900", True, True),
        ("cohorts.cohort 1.last_claim=2013-01", False, True),
        ("ends_early.policy_change.chance_a_year=2%", True, True),
        ("time.horizon=10 years", False, True),
    ],
)
def test_what_differs_between_two_plans(base, change, differs, moves):
    plan = compile_plan(base.opened.deal([change]))
    assert (differing(base.plan, plan) is not None) == differs
    assert (outcomes_signature(base.plan) != outcomes_signature(plan)) == moves


def test_a_cap_per_person_is_part_of_what_outcomes_rest_on():
    fund = Base.of(opened(FOLDER / "fair_chance_fund.yaml"))
    for change in ("at_most.per_person=10k", "pays.initial assessment.amount.price=600"):
        plan = compile_plan(fund.opened.deal([f"structures.as signed.{change}"]))
        assert outcomes_signature(plan) != outcomes_signature(fund.plan)


def test_numbers_put_into_a_plan_are_those_of_the_deal_loaded_with_them(base):
    axis = parse_axis("structures.as signed.at_most.contract=4m:8m:5")
    found = reach(base, axis)
    assert found.columns is not None
    assert not found.moves_outcomes
    quick = with_numbers(base.plan, found.numbers("7m"))
    loaded = compile_plan(base.variant({axis.path: "7m"}))
    assert differing(quick, loaded) == frozenset()
    assert np.array_equal(quick.expected, loaded.expected)
    assert differing(quick, base.plan) == {found.columns[0]}


def test_a_bare_number_keeps_the_words_beside_the_old_one(base):
    assert base.worded(PRICE, "12%") == "at least 12%"
    assert base.worded(PRICE, "more than 12%") == "more than 12%"
    assert base.worded(("costs", "management"), "70k") == "70k a year"
    assert base.worded(("costs", "management"), "70k at the start") == "70k at the start"
    assert base.worded(("structures", "all or nothing", "group_threshold", "at_least"), "300") == "300 people"
    assert base.worded(("finance", "called"), "2 quarters") == "2 quarters ahead"
    assert base.worded(("rates", "payer"), "3%") == "3% real"
    assert base.worded(("outcomes", "reconvictions", "effect"), "-5%") == "-5%"


def test_a_value_that_is_not_legal_names_the_option(base):
    with pytest.raises(DealError) as error:
        reach(base, Axis(("finance", "commitment"), ("1m", "-1m")))
    assert str(error.value).startswith("--over:1:1 finance.commitment: ")


# ---------------------------------------------------------------------------------------------------
# Axes
# ---------------------------------------------------------------------------------------------------


def test_a_counted_range_has_clean_numbers():
    axis = parse_axis("outcomes.x.effect=0:0.2:21")
    assert len(axis.values) == 21
    assert axis.values[7] == "0.07"
    assert axis.values[-1] == "0.2"
    assert parse_axis("a=5%:15%:3").values == ("5%", "10%", "15%")
    assert parse_axis("a=0:1.2m:3").values == ("0m", "0.6m", "1.2m")
    assert parse_axis("a=3 months:9 months:3").values == ("3 months", "6 months", "9 months")
    assert parse_axis("a=1 month:9 months:3").values == ("1 months", "5 months", "9 months")
    assert parse_axis("a=1 quarter ahead:3 quarters ahead:3").values[1] == "2 quarters ahead"
    assert parse_axis("a=10 a year:20 a year:3").values[1] == "15 a year"
    assert parse_axis("a=-5%:5%:3").values == ("-5%", "0%", "5%")


def test_a_list_splits_at_commas_outside_brackets():
    axis = parse_axis('"a.b".c=normal(mean 1, sd 2), 10% ,none')
    assert axis.path == ("a.b", "c")
    assert axis.values == ("normal(mean 1, sd 2)", "10%", "none")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a", "has no '=' outside quotes"),
        ("a=", "no values are given"),
        ("a=1:0:5", "is empty"),
        ("a=1:1:5", "is empty"),
        ("a=0:1:1", "no number of values"),
        ("a=0:1:x", "no number of values"),
        ("a=0:1:0", "no number of values"),
        ("a=0:1:20000000", "too many"),
        ("a=0:1:0", "no number of values"),
        ("a=0:1:" + "9" * 5000, "too many"),
        ("a=-1e400:1:3", "too large"),
        ("a=5%:3 months:4", "different units"),
        ("a=1,,2", "an empty value"),
        ("a=1,2,1", "given twice"),
        ("=1,2", "path"),
    ],
)
def test_wrong_axes(text, what):
    with pytest.raises(ValueError, match=what):
        parse_axis(text)


def test_every_path_that_is_shown_can_be_an_axis():
    for file in FILES:
        base = Base.of(opened(file))
        for path, text, _ in paths(base.deal)[:40]:
            if text != "none":
                reach(base, Axis(path, (text,)))
