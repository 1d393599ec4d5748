"""What scripts and notebooks may count on: the JSON, the CSV, the tables and the Python API, by their names."""

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

import simulator as sib
from simulator.cli import cli
from simulator.deal import fingerprint, outcome_names
from simulator.dealfile import load, loads, paths, show
from simulator.yamlfile import join_path, read, read_text

FOLDER = Path(__file__).parent.parent / "scenarios"
PATHS = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
SHIPPED = ("augsburg", "fair_chance_fund", "peterborough")
DRAWS = 300
NOT_THE_SAME = ("elapsed", "environment")

POINTS = ("p05", "p25", "p50", "p75", "p95")
SUMMARY = {"mean", "standard_error", "sd", *POINTS, "intervals", "count"}
INVESTOR_SUMMARIES = {
    "irr",
    "multiple",
    "multiple_on_committed",
    "multiple_on_peak",
    "net_present_value",
    "payback",
    "peak_funding_need",
}
INVESTOR_PROBABILITIES = {"probability_of_loss", "probability_of_total_loss", "probability_of_hurdle"}

each_deal = pytest.mark.parametrize("name", SHIPPED)


def sib_(*words):
    """Run the command; what it printed."""
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def run(name, *words, draws=DRAWS, form="json"):
    return sib_("run", PATHS.get(name, name), "--draws", draws, "--format", form, "--quiet", *words)


def without(text, *keys):
    return {key: value for key, value in json.loads(text).items() if key not in keys}


@pytest.fixture(scope="module")
def answers():
    return {name: json.loads(run(name)) for name in SHIPPED}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_estimate(value):
    return set(value) == {"value", "standard_error"} and all(map(is_number, value.values()))


def check_probability(value):
    assert set(value) == {"probability", "standard_error", "interval"}
    if value["probability"] is None:
        return
    low, high = value["interval"]
    assert 0 <= low <= value["probability"] <= high <= 1
    assert value["standard_error"] >= 0


def check_summary(value, *more, draws=DRAWS):
    assert SUMMARY | set(more) <= set(value) <= SUMMARY | set(more) | {"quantile_draws"}
    assert 0 <= value["count"] <= draws
    assert {"p05", "p50", "p95"} <= set(value["intervals"]) <= set(POINTS)
    if value["count"] == 0:
        assert value["mean"] is None
        assert value["p50"] is None
        return
    assert is_number(value["mean"])
    levels = [value[point] for point in POINTS]
    assert levels == sorted(levels)
    for point, (low, high) in value["intervals"].items():
        assert low <= value[point] <= high


def check_investor(investor):
    for key in INVESTOR_SUMMARIES - {"irr"}:
        check_summary(investor[key])
    check_summary(investor["irr"], "undefined", "multiple_roots")
    assert investor["irr"]["undefined"] + investor["irr"]["count"] == DRAWS
    for key in INVESTOR_PROBABILITIES:
        check_probability(investor[key])
    assert investor["loss_given_loss"] is None or is_estimate(investor["loss_given_loss"])
    assert is_estimate(investor["expected_shortfall_05"])


def check_payer(payer, outcomes):
    assert set(payer) == {
        "cost",
        "cost_present_value",
        "cost_per_additional_outcome",
        "deadweight_share",
        "by_year",
    }
    check_summary(payer["cost"])
    check_summary(payer["cost_present_value"])
    assert list(payer["cost_per_additional_outcome"]) == outcomes
    for each in [*payer["cost_per_additional_outcome"].values(), payer["deadweight_share"]]:
        assert each is None or is_estimate(each)
    assert payer["by_year"]
    for year in payer["by_year"]:
        assert set(year) == {"year", "mean", "standard_error", "p50", "p95", "maximum"}
        assert year["p50"] <= year["p95"] <= year["maximum"]
    assert sum(year["mean"] for year in payer["by_year"]) == pytest.approx(payer["cost"]["mean"])


# ---------------------------------------------------------------------------------------------------
# sib run
# ---------------------------------------------------------------------------------------------------


@each_deal
def test_the_header_names_all_that_is_needed_to_repeat_the_run(name, answers):
    deal, data = load(PATHS[name]), answers[name]
    header = ["deal", "currency", "draws", "seed", "version", "deal_hash", "engine"]
    others = {"sampling", "present_values", "environment", "elapsed", "warnings", "outcomes", "structures"}
    assert {*header, *others} == set(data)
    values = [deal.deal, deal.currency, DRAWS, 1, sib.__version__, fingerprint(deal)]
    assert [data[key] for key in header] == [*values, "people" if name == "fair_chance_fund" else "aggregate"]
    assert data["elapsed"] > 0
    assert {"python", "numpy", "numba"} <= set(data["environment"])
    assert isinstance(data["warnings"], list)


@each_deal
def test_outcomes_have_their_four_totals(name, answers):
    outcomes = answers[name]["outcomes"]
    assert list(outcomes) == outcome_names(load(PATHS[name]))
    for each in outcomes.values():
        assert set(each) == {"unit", "better", "verified", "true", "without_service", "additional"}
        assert each["better"] in {"more", "fewer"}
        for key in ("verified", "true", "without_service", "additional"):
            check_summary(each[key])
        more, less = each["true"]["mean"], each["without_service"]["mean"]
        sign = 1 if each["better"] == "more" else -1
        assert each["additional"]["mean"] == pytest.approx(sign * (more - less), abs=1e-9 * (1 + more))


@each_deal
def test_structures_have_every_key_of_the_interface(name, answers):
    deal, data = load(PATHS[name]), answers[name]
    assert list(data["structures"]) == list(deal.structures)
    for key, each in data["structures"].items():
        assert set(each) == {
            "triggers",
            "payments",
            "payments_present_value",
            "uncapped_payments",
            "actual",
            "investor",
            "payer",
            "payers",
            "provider",
        }
        for metric in ("payments", "payments_present_value", "uncapped_payments"):
            check_summary(each[metric])
        structure = deal.structures[key]
        assert (each["investor"] is None) == (structure.finance == "none")
        if each["investor"] is not None:
            investor = dict(each["investor"])
            tranches = investor.pop("tranches")
            assert set(investor) == INVESTOR_SUMMARIES | INVESTOR_PROBABILITIES | {
                "loss_given_loss",
                "expected_shortfall_05",
            }
            check_investor(investor)
            for tranche in tranches.values():
                assert set(tranche) == set(investor)
        check_payer(each["payer"], list(data["outcomes"]))
        assert list(each["payers"]) == list(structure.payers)
        for payer in each["payers"].values():
            check_payer(payer, list(data["outcomes"]))
        costs = [payer["cost"]["mean"] for payer in each["payers"].values()]
        assert sum(costs) == pytest.approx(each["payer"]["cost"]["mean"])
        assert set(each["provider"]) == {"surplus", "probability_of_deficit", "lowest_cash"}
        check_summary(each["provider"]["surplus"])
        check_summary(each["provider"]["lowest_cash"])
        check_probability(each["provider"]["probability_of_deficit"])


@each_deal
def test_triggers_are_those_of_the_clauses_of_their_cohorts_and_of_any_payment(name, answers):
    deal = load(PATHS[name])
    for key, each in answers[name]["structures"].items():
        expected = ["any payment"]
        for clause, rule in deal.structures[key].pays.items():
            expected.append(clause)
            if rule.for_ == "each cohort":
                expected += [f"{clause} [{cohort}]" for cohort in deal.cohorts]
        assert sorted(each["triggers"]) == sorted(expected)
        for trigger in each["triggers"].values():
            check_probability(trigger)


@each_deal
def test_what_really_happened_stands_beside_the_structure_that_was_signed(name, answers):
    deal, structures = load(PATHS[name]), answers[name]["structures"]
    assert all(each["actual"] is None for key, each in structures.items() if key != "as signed")
    actual = structures["as signed"]["actual"]
    if deal.actual is None:
        assert actual is None
        return
    assert set(actual) == {"value", "percentile", "source"}
    assert (actual["value"], actual["source"]) == (deal.actual.payments.mean(), deal.actual.source)
    assert 0 <= actual["percentile"] <= 1


def test_what_is_not_defined_is_null():
    text = run("augsburg", "--set", "cohorts.young people.people=0")
    assert "NaN" not in text
    assert "Infinity" not in text
    signed = json.loads(text)["structures"]["as signed"]
    assert signed["payer"]["deadweight_share"] is None
    assert signed["payer"]["cost_per_additional_outcome"] == {"placed for nine months": None}
    assert signed["investor"]["payback"]["mean"] is None
    assert signed["investor"]["payback"]["intervals"]["p50"] == [None, None]


def strict(text):
    def refuse(word):
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


@each_deal
@pytest.mark.parametrize("sets", [(), ("luck_only=true",)], ids=["as it is", "luck only"])
def test_one_draw_is_enough_for_valid_json(name, sets):
    data = strict(run(name, *(word for each in sets for word in ("--set", each)), draws=1))
    assert data["draws"] == 1


@each_deal
def test_the_number_of_threads_moves_no_byte(name):
    draws = 9_000 if name == "augsburg" else 500
    one, two = (run(name, "--threads", number, draws=draws) for number in (1, 2))
    assert list(json.loads(one)) == list(json.loads(two))
    strip = [json.dumps(without(text, *NOT_THE_SAME)) for text in (one, two)]
    assert strip[0] == strip[1]
    # byte for byte, up to the keys that may differ, which stand at the end or apart
    lines = [[line for line in text.splitlines() if '"elapsed"' not in line] for text in (one, two)]
    assert lines[0] == lines[1]


def test_the_same_seed_repeats_and_another_does_not():
    one, again, other = (
        without(run("augsburg", "--seed", seed, "--structure", "as signed"), *NOT_THE_SAME) for seed in (7, 7, 8)
    )
    assert one == again
    assert other["seed"] == 8
    assert other["structures"]["as signed"]["payments"] != one["structures"]["as signed"]["payments"]


@each_deal
def test_a_choice_of_structures_leaves_their_numbers(name, answers):
    chosen = list(answers[name]["structures"])[::2]
    words = [word for each in reversed(chosen) for word in ("--structure", each)]
    data = json.loads(run(name, *words))
    assert list(data["structures"]) == chosen
    for each in chosen:
        assert data["structures"][each] == answers[name]["structures"][each]
    assert data["outcomes"] == answers[name]["outcomes"]


def test_more_draws_extend_fewer():
    deal = load(PATHS["augsburg"])
    few, many = (sib.simulate(deal, draws=draws, seed=3).draws("as signed") for draws in (100, 5_000))
    for metric, values in few.items():
        np.testing.assert_array_equal(values, many[metric][:100])


@pytest.mark.parametrize(
    ("words", "draws"), [("2k", 2_000), ("1e3", 1_000), ("1_500", 1_500), ("0.002m", 2_000), ("1.5K", 1_500)]
)
def test_draws_may_be_written_short(words, draws):
    assert json.loads(run("augsburg", "--structure", "conventional", draws=words))["draws"] == draws


@each_deal
def test_the_csv_is_long_and_says_what_the_json_says(name, answers):
    rows = list(csv.DictReader(io.StringIO(run(name, form="csv"))))
    assert list(rows[0]) == ["structure", "party", "metric", "statistic", "value", "standard_error"]
    found = {tuple(row[key] for key in ("structure", "party", "metric", "statistic")): row for row in rows}
    assert len(found) == len(rows)
    for structure, each in answers[name]["structures"].items():
        row = found[structure, "contract", "payments", "mean"]
        assert float(row["value"]) == each["payments"]["mean"]
        assert float(row["standard_error"]) == each["payments"]["standard_error"]
        row = found[structure, "triggers", "any payment", "probability"]
        assert float(row["value"]) == each["triggers"]["any payment"]["probability"]
        if each["investor"]:
            assert float(found[structure, "investor", "irr", "p50"]["value"]) == each["investor"]["irr"]["p50"]
        else:
            assert not any(key[:2] == (structure, "investor") for key in found)
        for payer, theirs in each["payers"].items():
            row = found[structure, f"payer: {payer}", "cost", "mean"]
            assert float(row["value"]) == theirs["cost"]["mean"]


@each_deal
def test_the_table_names_every_structure_outcome_and_clause(name, answers):
    table = run(name, form="table")
    for structure, each in answers[name]["structures"].items():
        assert structure in table
        for trigger in each["triggers"]:
            assert trigger in table
    for outcome in answers[name]["outcomes"]:
        assert outcome in table
    assert ("Actual payments, as signed" in table) == (load(PATHS[name]).actual is not None)
    assert "\x1b" not in table


# ---------------------------------------------------------------------------------------------------
# Python
# ---------------------------------------------------------------------------------------------------


def test_the_api_as_it_is_written():
    deal = sib.load(str(PATHS["peterborough"]))
    result = sib.simulate(deal, draws=DRAWS, seed=7, structures=None, threads=None)
    data = result.to_dict()
    assert result["as signed"].investor.irr.p50 == data["structures"]["as signed"]["investor"]["irr"]["p50"]
    assert without(run("peterborough", "--seed", "7"), *NOT_THE_SAME) == {
        key: value for key, value in data.items() if key not in NOT_THE_SAME
    }
    draws = result.draws("as signed")
    assert set(draws) >= {"payments", "cost", "irr", "multiple", "net_present_value", "surplus"}
    assert all(isinstance(values, np.ndarray) and values.shape == (DRAWS,) for values in draws.values())
    assert draws["payments"].mean() == pytest.approx(result["as signed"].payments.mean)
    draws["payments"][:] = 0  # a copy
    assert result.draws("as signed")["payments"].any()
    some = sib.simulate(deal, draws=DRAWS, seed=7, structures=["conventional"], threads=2)
    assert some.structures == ["conventional"]
    assert dict(some["conventional"]) == dict(result["conventional"])


def test_unknown_names_are_named():
    deal = sib.load(PATHS["augsburg"])
    with pytest.raises(KeyError, match="as sined"):
        sib.simulate(deal, draws=2, structures=["as sined"])
    with pytest.raises(KeyError, match="as sined"):
        sib.explain(deal, structure="as sined")
    result = sib.simulate(deal, draws=2)
    with pytest.raises(AttributeError, match=r"there is: .*payments"):
        _ = result["as signed"].paymnts
    with pytest.raises(KeyError):
        result.draws("as sined")
    for draws in (0, -1):
        with pytest.raises(ValueError, match="allowed: at least 1"):
            sib.simulate(deal, draws=draws)


def test_a_deal_error_lists_all_mistakes(tmp_path):
    path = tmp_path / "deal.yaml"
    text = PATHS["augsburg"].read_text(encoding="utf-8")
    path.write_text(text.replace("people: 69", "people: -69").replace("step: month", "step: day"), encoding="utf-8")
    with pytest.raises(sib.DealError) as caught:
        sib.load(path)
    assert [problem.path for problem in caught.value.problems] == ["time.step", "cohorts.young people.people"]


# ---------------------------------------------------------------------------------------------------
# explain, settle, show, schema
# ---------------------------------------------------------------------------------------------------

SCHEDULE = {"period", "date", "clause", "payer", "amount", "limited_by", "reason"}


@each_deal
def test_explain_tells_the_draw_of_the_run(name):
    data = json.loads(sib_("explain", PATHS[name], "--draw", "17", "--seed", "7", "--format", "json"))
    result = sib.simulate(sib.load(PATHS[name]), draws=18, seed=7)
    assert data["draw"] == 17
    assert data["parameters"]
    assert all(map(is_number, data["parameters"].values()))
    for structure, each in data["structures"].items():
        draws = result.draws(structure)
        assert each["schedule"]
        for row in each["schedule"]:
            assert SCHEDULE | {"from", "to", "account_after"} <= set(row)
            assert row["reason"]
        paid = sum(row["amount"] for row in each["schedule"] if row["payer"] and row["clause"])
        assert paid == pytest.approx(draws["payments"][17])
        assert each["metrics"]["payments"] == pytest.approx(draws["payments"][17])
    assert sib.explain(sib.load(PATHS[name]), draw=17, seed=7, structure="as signed")["structures"].keys() == {
        "as signed"
    }
    table = sib_("explain", PATHS[name], "--draw", "17", "--seed", "7")
    assert all(structure in table for structure in data["structures"])
    header = sib_("explain", PATHS[name], "--draw", "17", "--format", "csv").splitlines()[0].split(",")
    assert {"structure", *SCHEDULE, "from", "to", "account_after"} <= set(header)


@pytest.mark.parametrize("results", sorted((FOLDER / "results").glob("*.csv")), ids=lambda path: path.stem)
def test_settle_answers_by_the_names_of_the_interface(results):
    path = next(path for path in PATHS.values() if results.stem.startswith(path.stem))
    data = json.loads(sib_("settle", path, "--results", results, "--format", "json"))
    assert set(data) >= {"deal", "currency", "version", "deal_hash", "structures"}
    for each in data["structures"].values():
        keys = ("payments", "payments_are", "uncapped_payments", "clauses", "not_applied", "not_yet_due", "assumed")
        assert {*keys, "investor", "schedule"} <= set(each)
        assert each["payments_are"] in {"exact", "at most", "at least"}
        for clause in each["clauses"].values():
            assert {"payments", "tests", "reason"} <= set(clause)
            for test in clause["tests"]:
                assert set(test) == {"cohort", "measure", "value", "bound", "met"}
        assert each["investor"] is None or {"irr", "multiple"} <= set(each["investor"])
        assert all(set(row) == {"rule", "needs"} for row in each["not_applied"])
        assert all(set(row) >= {"clause", "needs"} for row in each["not_yet_due"])
        for row in each["schedule"]:
            assert set(row) >= SCHEDULE
        assert sum(row["amount"] for row in each["schedule"]) == pytest.approx(each["payments"])
    assert sib.settle(sib.load(path), str(results))["structures"] == data["structures"]


@each_deal
def test_the_shown_deal_is_the_same_deal(name):
    deal = load(PATHS[name])
    again = loads(sib_("show", PATHS[name]))
    assert again == deal
    assert fingerprint(again) == fingerprint(deal)
    assert show(again) == show(deal)


@each_deal
def test_every_path_that_is_listed_can_be_set_to_the_value_beside_it(name):
    deal, lines = load(PATHS[name]), sib_("show", PATHS[name], "--paths").splitlines()
    assert len(lines) == len(set(lines)) > 50
    assert load(PATHS[name], lines) == deal  # all at once
    for line in lines[:: 9 if len(lines) > 200 else 3]:
        again = load(PATHS[name], [line])
        assert fingerprint(again) == fingerprint(deal), line


@each_deal
def test_luck_only_sets_what_the_paths_mark_as_neutral(name):
    deal = load(PATHS[name])
    marked = [f"{join_path(path)}={neutral}" for path, _, neutral in paths(deal) if neutral is not None]
    assert marked
    by_hand, at_once = load(PATHS[name], marked), load(PATHS[name], ["luck_only=true"])
    assert fingerprint(by_hand) == fingerprint(at_once) != fingerprint(deal)


@pytest.fixture(scope="module")
def schema():
    made = json.loads(sib_("schema"))
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def test_the_schema_says_its_draft_and_what_is_needed(schema):
    assert schema.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema.is_valid({"extends": "other.yaml"})
    missing = {error.message.split("'")[1] for error in schema.iter_errors({"deal": "x"})}
    assert missing == {"time", "cohorts", "outcomes", "structures"}


@pytest.mark.parametrize("name", PATHS)
def test_the_schema_accepts_the_deals_that_ship_as_written_and_as_shown(name, schema):
    for data in (read(PATHS[name]).data, read_text(show(load(PATHS[name])), "shown").data):
        assert [error.message for error in schema.iter_errors(data)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("structurs",), {}),
        (("time", "step"), "week"),
        (("time", "start"), "soon"),
        (("cohorts", "young people", "poeple"), 5),
        (("cohorts", "young people", "people"), [5]),
        (("cohorts", "young people"), 5),
        (("outcomes", "placed for nine months", "counts"), "yes"),
        (("structures", "as signed", "finance"), "investors"),
        (("structures", "as signed", "group_threshold", "pays"), None),
        (("structures", "by the head", "rate_card", "placed for nine months"), {"prise": 5}),
        (("luck_only",), "yes"),
    ],
)
def test_the_schema_refuses_what_an_editor_should_mark(path, value, schema):
    data = read(PATHS["augsburg"]).data
    here = data
    for part in path[:-1]:
        here = here[part]
    assert schema.is_valid(data)
    here[path[-1]] = value
    assert not schema.is_valid(data)


def test_the_shown_deal_and_its_paths_come_as_json_and_csv_too():
    words = ("show", PATHS["augsburg"])
    deal = load(PATHS["augsburg"])
    assert loads(json.dumps(json.loads(sib_(*words, "--format", "json")))) == deal
    rows = json.loads(sib_(*words, "--paths", "--format", "json"))
    assert rows == [
        {**row, "neutral": row["neutral"] or None}
        for row in csv.DictReader(io.StringIO(sib_(*words, "--paths", "--format", "csv")))
    ]
    assert [(row["path"], row["value"]) for row in rows] == [(join_path(path), value) for path, value, _ in paths(deal)]
    done = CliRunner().invoke(cli, ["show", str(PATHS["augsburg"]), "--format", "csv"])
    assert done.exit_code == 2


@pytest.mark.parametrize("draw", [-1, 10**12, 10**20])
def test_a_draw_that_cannot_be_is_refused_in_words(draw):
    with pytest.raises(ValueError, match=r"draw: .* is out of range; allowed: 0 to 999999999999"):
        sib.explain(load(PATHS["augsburg"]), draw=draw)
    if draw > 10**12:
        with pytest.raises(ValueError, match=r"draws: .* is out of range; allowed: at least 1, at most 1000000000000"):
            sib.simulate(load(PATHS["augsburg"]), draws=draw)
