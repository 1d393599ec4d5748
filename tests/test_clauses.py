"""Kinds of measure and of clause, one by one, against sums done by hand; and every bound exactly on it.

Results are settled (by the readable twin and by the kernels, which must agree), so that nothing here is random.
"""

import math

import pytest

from simulator.dealfile import loads
from simulator.explain import explain
from simulator.run import simulate
from simulator.settle import settle
from simulator.yamlfile import DealError, dump

DEAL = {
    "deal": "A deal of two cohorts",
    "currency": "USD",
    "time": {"start": "2020-01", "step": "quarter", "horizon": "5 years", "financial_year_starts": "January"},
    "cohorts": {
        "first": {"people": 100, "referred": "2020-01 to 2020-12"},
        "second": {"people": 50, "referred": "2021-01 to 2021-12"},
    },
    "outcomes": {
        "home": {"without_service": "30%", "known_after": "3 months"},
        "exit": {"without_service": "50%", "known_after": "3 months"},
        "jail days": {
            "counts": "events",
            "better": "fewer",
            "without_service": 20,
            "baseline": 20,
            "dispersion": 4,
            "known_after": "6 months",
            "comparison_arm": {"people": "1 per person"},
        },
    },
}
FEWER = {"reduction_in": "jail days", "against": "comparison_arm", "as": "share"}
AVOIDED = {"reduction_in": "jail days", "against": "comparison_arm", "as": "units"}

# first cohort: 40 of 80 exits are to a home; 1,500 days against 2,000 of as many people: 25% fewer, 500 avoided
# second cohort: 30 of 40; 950 against 1,000 days of 50 people: 5% fewer, 50 avoided
RESULTS = """
first,home,intervention,40,100
first,exit,intervention,80,100
first,jail days,intervention,1500,100
first,jail days,comparison,2000,100
second,home,intervention,30,50
second,exit,intervention,40,50
second,jail days,intervention,950,50
second,jail days,comparison,1000,50
"""


def deal_of(measures, pays, **terms):
    structure = {"pays": pays if "for" not in pays else {"it": pays}} | terms
    return loads(dump(DEAL | {"measures": measures, "structures": {"as signed": structure}}))


def settled(tmp_path, measures, pays, results=RESULTS, header="cohort,outcome,arm,value,size", **terms):
    path = tmp_path / "results.csv"
    path.write_text(header + "\n" + results.lstrip("\n"), encoding="utf-8")
    return settle(deal_of(measures, pays, **terms), path)["structures"]["as signed"]


def paid(tmp_path, measures, pays, results=RESULTS, **terms):
    return settled(tmp_path, measures, pays, results, **terms)["payments"]


def each(amount, **more):
    return {"for": "each cohort", "amount": amount} | more


# ---------------------------------------------------------------------------------------------------
# Measures
# ---------------------------------------------------------------------------------------------------


def by_measure(points, name="m", **table):
    return {"by": name, "table": {"below": 0, "points": points} | table}


@pytest.mark.parametrize(
    ("measure", "levels"),
    [
        ({"ratio_of": ["home", "exit"]}, (0.5, 0.75)),
        ({"ratio_of": ["home", "exit"], "over": "cohorts so far"}, (0.5, 70 / 120)),
        ({"ratio_of": ["home", "participants"]}, (0.4, 0.6)),
        ({"share_of": "home", "over": "cohorts so far"}, (0.4, 70 / 150)),
        ({"count_of": "participants", "over": "cohorts so far"}, (100, 150)),
        ({"count_of": "participants", "no_less_than": 80}, (100, 80)),
        ({"sum_of": {"avoided": 15.12, "home": 1000}}, (500 * 15.12 + 40_000, 50 * 15.12 + 30_000)),
        ({"sum_of": {"fewer": "80%", "share": "20%"}}, (0.8 * 0.25 + 0.2 * 0.4, 0.8 * 0.05 + 0.2 * 0.6)),
        ({"sum_of": {"exit": 1, "home": -1}}, (40, 10)),
        ({**AVOIDED, "divided_by": 400, "no_more_than": "110%"}, (1.1, 0.125)),
        ({"choice_of": ["home", "exit"], "when": {"fewer": "at least 25%"}}, (40, 40)),
        ({"choice_of": ["exit", "home"], "when": {"fewer": "more than 25%"}}, (40, 30)),
        ({"sum_of": {"fewer": 1}, "rounded": "down to 2%"}, (0.24, 0.04)),
        ({"sum_of": {"fewer": 1}, "rounded": "up to 2%"}, (0.26, 0.06)),
        ({"sum_of": {"fewer": 1}, "rounded": "to 10%"}, (0.3, 0.1)),
        ({"sum_of": {"fewer": 1}, "rounded": "to 5%"}, (0.25, 0.05)),
        ({**FEWER, "no_less_than": "10%", "no_more_than": "20%"}, (0.2, 0.1)),
        ({**FEWER, "over": "cohorts so far"}, (0.25, 550 / 3000)),
        ({"sum_of": {"exit": 1, "home": -1}, "over": "cohorts so far"}, (40, 50)),
    ],
    ids=str,
)
def test_a_measure_of_each_cohort(tmp_path, measure, levels):
    measures = {"fewer": FEWER, "avoided": AVOIDED, "share": {"share_of": "home"}, "m": measure}
    found = settled(tmp_path, measures, each({"lump_sum": 1}, when={"m": "at least 0"}))
    assert [test["value"] for test in found["clauses"]["it"]["tests"]] == pytest.approx(levels, rel=1e-12)
    # what is paid for it is the kernels' reading, too: settling insists that both agree
    assert paid(tmp_path, measures, each({"price": 1000, "times": "m"})) == pytest.approx(1000 * sum(levels), rel=1e-12)


def test_a_ratio_is_pooled_from_its_sums_and_not_from_the_ratios(tmp_path):
    clause = {"for": "all cohorts that ran", "when": {"m": "at least 58%"}, "amount": {"lump_sum": 7}}
    found = settled(tmp_path, {"m": {"ratio_of": ["home", "exit"]}}, clause)
    assert found["clauses"]["it"]["tests"][0]["value"] == pytest.approx(70 / 120)
    assert found["payments"] == 7


def test_what_is_read_of_the_cohorts_so_far_is_due_when_the_last_of_them_is_known(tmp_path):
    found = settled(
        tmp_path, {"m": {"ratio_of": ["home", "exit"], "over": "cohorts so far"}}, each(by_measure([[0, 5]]))
    )
    assert [row["date"] for row in found["schedule"]] == ["2021-03-31", "2022-03-31"]


def test_a_cohort_waits_for_those_above_it_that_are_known_later(tmp_path):
    late = {"people": 100, "referred": "2022-01 to 2022-12"}
    data = DEAL | {
        "rates": {"payer": "10% nominal"},  # what the kernels pay a period early has another present value
        "cohorts": DEAL["cohorts"] | {"first": late},
        "measures": {"m": {"ratio_of": ["home", "exit"], "over": "cohorts so far"}},
        "structures": {"as signed": {"pays": {"it": each(by_measure([[0, 5]]))}}},
    }
    path = tmp_path / "results.csv"
    path.write_text("cohort,outcome,arm,value,size" + RESULTS, encoding="utf-8")
    found = settle(loads(dump(data)), path)["structures"]["as signed"]
    assert [row["date"] for row in found["schedule"]] == ["2023-03-31", "2023-03-31"]
    explain(loads(dump(data)), draw=0)  # insists that the kernels' present values are the twin's


def test_a_ratio_to_nothing_is_not_known(tmp_path):
    results = RESULTS.replace("second,exit,intervention,40", "second,exit,intervention,0")
    found = settled(
        tmp_path, {"m": {"ratio_of": ["home", "exit"]}}, each({"lump_sum": 5}, when={"m": "at least 0%"}), results
    )
    assert found["payments"] == 5
    assert found["clauses"]["it"]["tests"][1]["value"] is None


@pytest.mark.parametrize("rounded", ["down to 1%", "up to 1%", "to 1%"])
def test_a_ratio_to_nothing_is_not_known_however_it_is_rounded(tmp_path, rounded):
    results = RESULTS.replace("second,exit,intervention,40", "second,exit,intervention,0")
    measures = {"m": {"ratio_of": ["home", "exit"], "rounded": rounded}}
    for bound in ("at most 0%", "at least 100%"):
        assert paid(tmp_path, measures, each({"lump_sum": 5}, when={"m": bound}), results) == 0


def test_a_result_on_a_step_but_for_rounding_stays_on_it(tmp_path):
    # 29% in steps of 1% falls short of 29 in floats; it is not rounded down to 28%
    assert 580 / 2000 / 0.01 < 29
    results = RESULTS.replace("first,jail days,intervention,1500", "first,jail days,intervention,1420")
    measures = {"m": {"sum_of": {"fewer": 1}, "rounded": "down to 1%"}, "fewer": FEWER}
    assert paid(tmp_path, measures, each({"price": 100, "times": "m", "per": "1%"}), results) == pytest.approx(3400)


def p_of(n, x, m, y, dispersion):
    level = (x + y) / (n + m)
    spread = n * (1 + n / m) * (level + level**2 / dispersion)
    return n * y / m - x, spread


@pytest.mark.parametrize(("level", "payment"), [("at most 5%", 10), ("at most 0.01%", 0)])
def test_significance_at_a_stated_level(tmp_path, level, payment):
    better, variance = p_of(100, 1500, 100, 2000, 4)
    expected = 0.5 * math.erfc(better / math.sqrt(2 * variance))
    assert 0.0001 < expected < 0.05
    measures = {"fewer": FEWER, "p": {"p_value_of": "fewer"}}
    found = settled(tmp_path, measures, each({"lump_sum": 10}, when={"p": level}))
    assert found["clauses"]["it"]["tests"][0]["value"] == pytest.approx(expected, rel=1e-12)
    assert found["payments"] == payment


def test_a_p_value_pools_differences_and_variances(tmp_path):
    parts = [p_of(100, 1500, 100, 2000, 4), p_of(50, 950, 50, 1000, 4)]
    z = sum(part[0] for part in parts) / math.sqrt(sum(part[1] for part in parts))
    clause = {"for": "all cohorts that ran", "amount": {"lump_sum": 1}, "when": {"p": "at most 100%"}}
    found = settled(tmp_path, {"fewer": FEWER, "p": {"p_value_of": "fewer"}}, clause)
    assert found["clauses"]["it"]["tests"][0]["value"] == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=1e-12)


def test_the_p_value_of_shares_is_the_z_test_of_two_proportions(tmp_path):
    from scipy.stats import norm

    deal = dict(DEAL["outcomes"]["home"], comparison_arm={"people": "1 per person"})
    results = "first,home,intervention,40,100\nfirst,home,comparison,60,200\nsecond,home,intervention,0,0\n"
    pooled = 100 / 300
    z = (0.4 - 0.3) / math.sqrt(pooled * (1 - pooled) * (1 / 100 + 1 / 200))
    data = DEAL | {
        "outcomes": DEAL["outcomes"] | {"home": deal},
        "measures": {
            "more": {"increase_in": "home", "against": "comparison_arm", "as": "units"},
            "p": {"p_value_of": "more"},
        },
        "structures": {"as signed": {"pays": {"it": each({"lump_sum": 1}, when={"p": "at most 3%"})}}},
    }
    path = tmp_path / "results.csv"
    path.write_text("cohort,outcome,arm,value,size\n" + results, encoding="utf-8")
    found = settle(loads(dump(data)), path)["structures"]["as signed"]
    assert found["clauses"]["it"]["tests"][0]["value"] == pytest.approx(norm.sf(z), rel=1e-12)
    assert found["payments"] == 0  # it is 4.2%; without the spread of the other group it would be 1.7%


# ---------------------------------------------------------------------------------------------------
# Amounts
# ---------------------------------------------------------------------------------------------------

MEASURES = {
    "fewer": FEWER,
    "avoided": AVOIDED,
    "saving": {"sum_of": {"avoided": 100}},  # 50,000 and 5,000
    "rate": {"ratio_of": ["home", "exit"]},
}


@pytest.mark.parametrize(
    ("amount", "payment"),
    [
        ({"share": "50%", "times": "saving"}, 27_500),
        ({"price": 1000, "times": "fewer", "per": "1%"}, 30_000),
        ({"price": 1000, "times": "avoided", "per": 100}, 5_500),
        # 95% of the first 20,000 saved and 40% of what is above
        ({"bands": [[0, "95%"], [20_000, "40%"]], "times": "saving"}, 19_000 + 12_000 + 4_750),
        # 1,000 for each point above 5%, up to 20%
        ({"bands": [["5%", 1000], ["20%", 0]], "times": "fewer", "per": "1%"}, 15_000),
        ({"bands": [["4%", 1000], ["6%", 10], ["30%", 0]], "times": "fewer", "per": "1%"}, 2_000 + 190 + 1_000),
        # a price band chosen by one measure and multiplied by another
        ({**by_measure([["5%", 10], ["20%", 30]], "fewer"), "times": "participants"}, 3_000 + 500),
        ({**by_measure([["50%", 0], ["75%", 100]], "rate", between="straight line"), "times": "home"}, 3_000),
    ],
    ids=str,
)
def test_an_amount_of_each_kind(tmp_path, amount, payment):
    assert paid(tmp_path, MEASURES, each(amount)) == pytest.approx(payment, rel=1e-12)


@pytest.mark.parametrize(("days", "payment"), [(1600, 15), (1601, 14.95), (1599, 15), (1900, 0), (2100, 0)])
def test_bands_exactly_on_their_bounds(tmp_path, days, payment):
    results = RESULTS.replace("first,jail days,intervention,1500", f"first,jail days,intervention,{days}")
    amount = {"bands": [["5%", 1], ["20%", 0]], "times": "fewer", "per": "1%"}
    assert paid(tmp_path, MEASURES, each(amount), results) == pytest.approx(payment, abs=1e-9)


# ---------------------------------------------------------------------------------------------------
# Triggers
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("triggers", "payment"),
    [
        ({"any_of": {"fewer": "at least 25%", "rate": "at least 75%"}}, 2),
        ({"any_of": {"fewer": "more than 25%", "rate": "at least 75%"}}, 1),
        ({"any_of": {"fewer": "at least 25%"}, "when": {"rate": "at least 75%"}}, 0),
        ({"when": {"fewer": "at least 25%", "rate": "at least 50%"}}, 1),
        ({"when": {"fewer": "at least 25%", "rate": "more than 50%"}}, 0),
    ],
    ids=str,
)
def test_and_and_or(tmp_path, triggers, payment):
    assert paid(tmp_path, MEASURES, each({"lump_sum": 1}, **triggers)) == payment


@pytest.mark.parametrize(("bound", "payment"), [("at least 25%", 55), ("at least 26%", 0)])
def test_only_if_an_earlier_trigger_was_met(tmp_path, bound, payment):
    pays = {
        "one cohort": each({"lump_sum": 0}, when={"fewer": bound}),
        "all": {"for": "all cohorts that ran", "only_if": "one cohort", "amount": {"price": 0.1, "times": "avoided"}},
    }
    found = settled(tmp_path, MEASURES, pays)
    assert found["payments"] == pytest.approx(payment)
    if not payment:
        assert "needs it" in found["clauses"]["all"]["reason"]


# ---------------------------------------------------------------------------------------------------
# Limits
# ---------------------------------------------------------------------------------------------------


def test_a_minimum_payment_where_the_trigger_is_met(tmp_path):
    clause = each({"price": 1, "times": "avoided"}, when={"fewer": "at least 5%"}, at_least=200)
    assert paid(tmp_path, MEASURES, clause) == 700
    clause = each({"price": 1, "times": "avoided"}, when={"fewer": "at least 6%"}, at_least=200)
    assert paid(tmp_path, MEASURES, clause) == 500


def test_less_what_was_paid_before_under_other_clauses_and_itself(tmp_path):
    pays = {
        "early": each({"lump_sum": 100}),
        "all": {"for": "all cohorts that ran", "amount": {"price": 1, "times": "avoided"}, "less": "early"},
    }
    found = settled(tmp_path, MEASURES, pays)
    assert found["clauses"]["all"]["payments"] == 550 - 200
    # a share of the saving to date, less what was paid of it before
    so_far = {"saving": MEASURES["saving"] | {"over": "cohorts so far"}, "avoided": AVOIDED}
    clause = each({"bands": [[0, "90%"], [52_000, "10%"]], "times": "saving"}, less="it")
    found = settled(tmp_path, so_far, clause)
    assert [row["amount"] for row in found["schedule"]] == pytest.approx([45_000, 46_800 + 300 - 45_000])


def test_amounts_are_indexed_by_whole_years_from_the_base(tmp_path):
    clause = each({"lump_sum": 100}, when={"rate": "at least 0%"}, indexed={"a_year": "10%", "from": "2020-04"})
    found = settled(tmp_path, MEASURES, clause)
    # settled in January to March 2021 (no whole year) and in January to March 2022 (one)
    assert [row["amount"] for row in found["schedule"]] == pytest.approx([100, 110])
    assert [row["date"] for row in found["schedule"]] == ["2021-03-31", "2022-03-31"]
    clause["indexed"] = {"a_year": "10%", "from": "2020-03"}
    found = settled(tmp_path, MEASURES, clause)
    assert [row["amount"] for row in found["schedule"]] == pytest.approx([110, 121])


def test_prices_for_participants_and_fees_are_indexed_too(tmp_path):
    indexed = {"a_year": "10%", "from": "2020-01"}
    pays = {
        "card": {"for": "each participant", "amount": {"price": 10, "times": "home"}, "indexed": indexed},
        "fee": {"for": "the contract", "due": "at the end", "amount": {"lump_sum": 100}, "indexed": indexed},
    }
    found = settled(tmp_path, MEASURES, pays)
    by_quarter = {row["period"]: row["amount"] for row in found["schedule"] if row["clause"] == "card"}
    assert by_quarter == pytest.approx({2: 100, 3: 100, 4: 100, 5: 110, 6: 77, 7: 88, 8: 77, 9: 8 * 10 * 1.21})
    assert found["clauses"]["fee"]["payments"] == pytest.approx(110)


@pytest.mark.parametrize(
    ("rounded", "payment"), [("to 1000", 4000), ("down to 1000", 2000), ("up to 500", 4000), ("to 1", 2770 + 693)]
)
def test_what_is_owed_is_rounded_as_stated(tmp_path, rounded, payment):
    # 500 avoided at 5.54 and 50 at 13.85: 2,770 and 692.50
    amount = {"by": "fewer", "table": {"below": 0, "points": [["5%", 13.85], ["20%", 5.54]]}, "times": "avoided"}
    assert paid(tmp_path, MEASURES, each(amount, rounded=rounded)) == payment


def test_rounding_follows_indexation_and_comes_before_what_is_taken_off_and_the_caps(tmp_path):
    pays = {
        "early": each({"lump_sum": 30}, cohorts="first"),
        "it": each(
            {"lump_sum": 102},
            cohorts="second",
            rounded="to 50",
            indexed={"a_year": "50%", "from": "2020-04"},
            less="early",
            at_most=115,
        ),
    }
    found = settled(tmp_path, MEASURES, pays)
    # 102 x 1.5 = 153, rounded 150, less 30, at most 115
    assert [row["amount"] for row in found["schedule"]] == [30, 115]
    pays["it"]["at_most"] = 1000
    assert settled(tmp_path, MEASURES, pays)["clauses"]["it"]["payments"] == 120


@pytest.mark.parametrize("scope", ["each participant", "each cohort"])
def test_an_uplift_for_a_priority_group_is_a_clause_for_its_cohort(tmp_path, scope):
    pays = {
        "everybody": {"for": scope, "amount": {"price": 10, "times": "home"}},
        "priority": {"for": scope, "cohorts": "second", "amount": {"price": 4, "times": "home"}},
    }
    found = settled(tmp_path, MEASURES, pays)
    assert found["clauses"]["everybody"]["payments"] == 700
    assert found["clauses"]["priority"]["payments"] == 120
    assert found["payments_are"] == "exact"


def test_a_clause_for_some_cohorts_does_not_wait_for_results_of_others(tmp_path):
    results = "first,home,intervention,40,100\n"
    clause = {"for": "each participant", "cohorts": ["first"], "amount": {"price": 1, "times": "home"}}
    found = settled(tmp_path, MEASURES, clause, results)
    assert found["payments"] == 40 and found["not_yet_due"] == []
    clause["cohorts"] = ["first", "second"]
    assert settled(tmp_path, MEASURES, clause, results)["not_yet_due"] != []


def test_the_number_of_payable_people(tmp_path):
    clause = each({"price": 10, "times": "participants"}, at_most={"outcomes": 120})
    assert paid(tmp_path, MEASURES, clause) == 1200


def test_a_guaranteed_minimum_of_referrals(tmp_path):
    measures = {"people paid for": {"count_of": "participants", "no_less_than": 80}}
    assert paid(tmp_path, measures, each({"price": 10, "times": "people paid for"})) == 1800


# ---------------------------------------------------------------------------------------------------
# Published measures
# ---------------------------------------------------------------------------------------------------

MIXED = "cohort,outcome,arm,value,size,measure"


def test_a_composed_measure_is_taken_as_published(tmp_path):
    results = "first,,,61%,100,m\nsecond,,,64.5%,50,m\n"
    measures = {"m": {"ratio_of": ["home", "exit"], "over": "cohorts so far", "rounded": "to 1%"}}
    found = settled(tmp_path, measures, each(by_measure([["60%", 6], ["64.5%", 8]])), results, MIXED)
    assert [test["amount"] for test in found["schedule"]] == [6, 8]


def test_parts_of_a_measure_are_taken_as_published(tmp_path):
    results = "first,,,25%,100,fewer\nfirst,,,40,100,home\nsecond,,,,0,\n"
    measures = {"fewer": FEWER, "share": {"share_of": "home"}, "m": {"sum_of": {"fewer": "80%", "share": "20%"}}}
    found = settled(tmp_path, measures, each({"price": 1, "times": "m", "per": "1%"}), results, MIXED)
    assert found["payments"] == pytest.approx(28)
    assert found["payments_are"] == "exact"


def test_shares_of_a_target_are_pooled_from_those_of_each_cohort(tmp_path):
    results = "first,,,50%,100,m\nsecond,,,75%,50,m\n"
    clause = {"for": "all cohorts that ran", "amount": {"price": 1, "times": "m", "per": "1%"}}
    found = settled(tmp_path, {"m": {"count_of": "home", "divided_by": 80}}, clause, results, MIXED)
    assert found["payments"] == pytest.approx(125)


def test_the_only_cohort_that_ran_speaks_for_all_as_published(tmp_path):
    clause = {"for": "all cohorts that ran", "amount": {"price": 1, "times": "m", "per": "1%"}}
    measure = {"count_of": "home", "divided_by": 80, "rounded": "to 1%"}
    found = settled(tmp_path, {"m": measure}, clause, "first,,,64.5%,100,m\nsecond,,,,0,\n", MIXED)
    assert found["payments"] == pytest.approx(64.5)


def test_parts_over_the_cohorts_so_far_are_summed_from_what_is_published_of_each(tmp_path):
    results = "first,,,40%,100,share\nsecond,,,60%,50,share\n"
    measures = {"share": {"share_of": "home"}, "m": {"sum_of": {"share": 1}, "over": "cohorts so far"}}
    found = settled(tmp_path, measures, each({"price": 1, "times": "m", "per": "1%"}), results, MIXED)
    assert [row["amount"] for row in found["schedule"]] == pytest.approx([40, 100 * 70 / 150])


def test_a_second_estimator_is_used_where_the_first_is_not_published(tmp_path):
    before = {"reduction_in": "jail days", "against": "baseline", "as": "share"}
    measures = {"fewer": FEWER, "before": before, "m": {"choice_of": ["fewer", "before"]}}
    results = "first,jail days,intervention,1500,100,\nfirst,jail days,comparison,1600,100,\n"
    results += "second,jail days,intervention,700,50,\n"
    found = settled(tmp_path, measures, each({"price": 1, "times": "m", "per": "1%"}), results, MIXED)
    assert [row["amount"] for row in found["schedule"]] == pytest.approx([6.25, 30])


def test_a_significance_test_needs_the_counts_of_both_groups(tmp_path):
    results = "first,,,25%,100,fewer\nsecond,,,,0,\n"
    measures = {"fewer": FEWER, "p": {"p_value_of": "fewer"}}
    found = settled(tmp_path, measures, each({"lump_sum": 1}, when={"p": "at most 5%"}), results, MIXED)
    assert found["payments"] == 0 and found["payments_are"] == "at least"
    [row] = found["not_applied"]
    assert row["needs"] == "p, or counts of jail days of first and of its comparison arm"
    found = settled(
        tmp_path, measures, each({"lump_sum": 1}, when={"p": "at most 5%"}), results + "first,,,3%,100,p\n", MIXED
    )
    assert found["payments"] == 1


def test_people_who_are_not_stated_are_not_paid_for(tmp_path):
    results = "first,home,intervention,40,100,\n"
    found = settled(tmp_path, {}, each({"price": 10, "times": "participants"}), results, MIXED)
    assert found["payments"] == 1000
    assert found["not_yet_due"] == [{"clause": "it", "needs": "a result of second"}]


# ---------------------------------------------------------------------------------------------------
# Mistakes
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measures", "pays", "message"),
    [
        ({"m": {"ratio_of": ["home"]}}, each({"lump_sum": 1}), "is no pair"),
        ({"m": {"ratio_of": ["home", "hone"]}}, each({"lump_sum": 1}), "did you mean 'home'"),
        ({"m": {"sum_of": {"hone": 1}}}, each({"lump_sum": 1}), "did you mean 'home'"),
        ({"m": {"sum_of": {"n": 1}}, "n": {"sum_of": {"m": 1}}}, each({"lump_sum": 1}), "is composed of itself"),
        ({"m": {"p_value_of": "home"}}, each({"lump_sum": 1}), "is no difference"),
        ({"m": {"sum_of": {"home": 1}, "when": {"home": "at least 1"}}}, each({"lump_sum": 1}), "is one condition"),
        ({"m": {"count_of": "home", "when": {"home": "at least 1"}}}, each({"lump_sum": 1}), "condition of choice_of"),
        ({"m": {"count_of": "home", "rounded": "1%"}}, each({"lump_sum": 1}), "allowed: to NUMBER"),
        ({"m": {"sum_of": {"home": 1}, "no_less_than": 5, "no_more_than": 4}}, each({"lump_sum": 1}), "is below"),
        ({"participants": {"count_of": "home"}}, each({"lump_sum": 1}), "the name is taken"),
        ({}, each({"bands": [[0, 1]]}), "a band needs times"),
        ({}, each({"bands": [[2, 1], [1, 2]], "times": "home"}), "levels must rise"),
        ({}, each({"lump_sum": 1, "per": 5}), "is a unit of what is multiplied"),
        ({}, each({"lump_sum": 1}, only_if="that"), "no clause above this one is called 'that'"),
        ({}, each({"lump_sum": 1}, less="that"), "did you mean"),
        ({}, each({"lump_sum": 1}, cohorts="fist"), "did you mean 'first'"),
        ({}, each({"lump_sum": 1}, rounded="to uniform(1, 2)"), "is uncertain"),
        (
            {},
            {"for": "all cohorts that ran", "cohorts": ["first"], "amount": {"lump_sum": 1}},
            "is for some cohorts only",
        ),
        (
            {},
            {"for": "each participant", "amount": {"price": 1, "times": "home"}, "at_least": 1},
            "is only for cohorts",
        ),
        ({}, {"for": "each participant", "amount": {"price": 1, "times": "participants"}}, "is no outcome"),
    ],
)
def test_a_mistake_is_named(measures, pays, message):
    with pytest.raises(DealError) as caught:
        deal_of(measures, pays)
    assert message.replace("did you mean", "") in str(caught.value).replace("did you mean", "")


def many_clauses(number, last, named):
    """A structure of so many clauses that each pay 1, and one more."""
    rows = "".join(
        f"      c{i}: {{for: all cohorts that ran, when: {{job: at least 0}}, amount: {{lump_sum: 1}}}}\n"
        for i in range(number)
    )
    return f"""\
deal: many clauses
time: {{start: 2024-04, step: quarter, horizon: 3 years}}
cohorts: {{all: {{people: 10, referred: 2024-04 to 2025-03}}}}
outcomes: {{job: {{without_service: 30%, known_after: 6 months}}}}
structures:
  many:
    pays:
{rows}      last: {{for: all cohorts that ran, {last}: {named}, when: {{job: at least 0}}, amount: {{lump_sum: 1000}}}}
"""


@pytest.mark.parametrize(
    ("last", "named", "paid"),
    [
        ("unless", ["c69"], 100),
        ("unless", ["c0", "c68"], 100),
        ("only_if", ["c64"], 1100),
        ("less", ["c63", "c99"], 1098),
    ],
)
def test_a_structure_may_have_more_clauses_than_bits(last, named, paid):
    deal = loads(many_clauses(100, last, named))
    assert set(simulate(deal, draws=64, threads=1).draws("many")["payments"]) == {paid}
    played = explain(deal, draw=5)["structures"]["many"]
    assert played["metrics"]["payments"] == paid


def test_clauses_that_others_name_have_a_limit():
    loads(many_clauses(70, "unless", [f"c{i}" for i in range(60)]))
    with pytest.raises(
        DealError, match=r"structures\.many\.pays: 61 clauses that others name .* are too many; allowed"
    ):
        loads(many_clauses(70, "unless", [f"c{i}" for i in range(61)]))


# ---------------------------------------------------------------------------------------------------
# Clauses for participants and fees that depend on the triggers of others
# ---------------------------------------------------------------------------------------------------

HURDLE = each({"lump_sum": 0}, when={"home": "at least 35"})


def test_a_price_a_participant_is_paid_once_a_hurdle_was_met(tmp_path):
    homes = {"for": "each participant", "amount": {"price": 100, "times": "home"}}
    # 10 homes of the first cohort are known a quarter after each quarter of referral, the last 10 on the hurdle's day
    after = {"hurdle": HURDLE, "homes": homes | {"only_if": "hurdle"}}
    assert paid(tmp_path, {}, after) == 1000 + 3000  # in the file's order: the hurdle, then the homes of that day
    before = {"hurdle": each({"lump_sum": 0}, when={"home": "at least 50"}), "homes": homes | {"only_if": "hurdle"}}
    found = settled(tmp_path, {}, before)
    assert found["payments"] == 0
    assert "10 home, but 'hurdle' was not met before, and this needs it" in found["clauses"]["homes"]["reason"]
    until = {"hurdle": each({"lump_sum": 0}, when={"home": "at least 35"}), "homes": homes | {"unless": "hurdle"}}
    assert paid(tmp_path, {}, until) == 3000


def test_a_fee_may_depend_on_a_trigger(tmp_path):
    fee = {"for": "the contract", "due": "at the end", "amount": {"lump_sum": 900}}
    for bound, amount in (("at least 35", 900), ("at least 50", 0)):
        hurdle = each({"lump_sum": 0}, when={"home": bound})
        found = settled(tmp_path, {}, {"hurdle": hurdle, "bonus": fee | {"only_if": "hurdle"}})
        # service ends with the last referral in December 2021, homes of the first cohort are known in March 2021
        assert found["payments"] == amount
    assert "'hurdle' was not met before" in found["clauses"]["bonus"]["reason"]


def test_a_condition_of_the_group_on_a_price_a_participant_says_how_it_is_written():
    clause = {"for": "each participant", "when": {"home": "at least 10"}, "amount": {"price": 100, "times": "home"}}
    with pytest.raises(DealError, match="for: each cohort, with price and times, or only_if a clause above"):
        deal_of({}, clause)
