"""Observed results: files with every mistake at its line, and what the clauses make of them."""

import csv
import datetime
import math
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator as sib
from simulator import settle as settle_again
from simulator.cli import cli
from simulator.dealfile import loads
from simulator.observed import Amount, Observed, Row, read
from simulator.run import DefectError
from simulator.settle import settle
from simulator.yamlfile import DealError

HERE = Path(__file__).parent / "results"


def settled(deal, text, tmp_path, name="results.csv", structure="as signed"):
    """Settle one structure of a deal for the results in a text."""
    data = settle(deal, written(text, tmp_path, name))
    return data["structures"][structure]


def written(text, tmp_path, name="results.csv"):
    path = tmp_path / name
    path.write_bytes(dedent(text).lstrip("\n").encode())
    return path


def mistakes(deal, text, tmp_path, name="results.csv"):
    """Return the mistakes of a results file, without the name of the folder."""
    path = written(text, tmp_path, name)
    with pytest.raises(DealError) as caught:
        settle(deal, path)
    return [str(each).removeprefix(str(path.parent) + "/") for each in caught.value.problems]


def total(answer):
    return sum(row["amount"] for row in answer["schedule"])


# ---------------------------------------------------------------------------------------------------
# Deals
# ---------------------------------------------------------------------------------------------------

PETERBOROUGH = loads(
    dedent(
        """
        deal: three cohorts against a control group
        time: {start: 2010-09-01, step: quarter, horizon: 9 years, service: 2010-09 to 2017-08}
        cohorts:
          cohort 1: {people: 1000, referred: 2010-09 to 2012-08, if_cut_short: does not run}
          cohort 2: {people: 1000, referred: 2012-09 to 2014-08, if_cut_short: does not run}
          cohort 3: {people: 1000, referred: 2014-09 to 2016-08, if_cut_short: does not run}
        outcomes:
          reconvictions:
            counts: events
            better: fewer
            without_service: 1.5
            dispersion: 0.7
            known_after: 18 months
            comparison_arm: {people: 10 per person}
        measures:
          fewer events: {reduction_in: reconvictions, against: comparison_arm, as: share}
          events avoided: {reduction_in: reconvictions, against: comparison_arm, as: units}
        structures:
          as signed:
            payers: {Ministry of Justice: 25%, Big Lottery Fund: 75%}
            pays:
              a cohort succeeds:
                for: each cohort
                when: {fewer events: at least 10%}
                amount: {price: 16000, times: events avoided}
              all cohorts together:
                for: all cohorts that ran
                unless: a cohort succeeds
                when: {fewer events: at least 7.5%}
                amount: {price: 16000, times: events avoided}
            at_most: {contract: 8000000}
            paid_after: 6 months
            costs: {delivery: 600000 a year}
            finance: {commitment: 5000000}
        """
    )
)

AUGSBURG = loads(
    dedent(
        """
        deal: at least 20 of 69
        time: {start: 2013-09-01, step: month, horizon: 3 years, service: 2013-09 to 2015-12}
        cohorts:
          young people: {people: 69, referred: 2013-09 to 2014-08, last_claim: 2015-12}
        outcomes:
          placed: {without_service: 10%, known_after: 15 months}
        structures:
          as signed:
            group_threshold: {outcome: placed, at_least: 20 people, pays: 250000}
            costs: {delivery: 242718 at the start}
            finance: {commitment: 242718, called: at the start}
        """
    )
)

CARD = """
deal: a rate card
time: {start: 2020-01, step: quarter, horizon: 4 years, financial_year_starts: January}
cohorts:
  all: {people: 10, referred: 2020-01 to 2020-03}
outcomes:
  engaged: {without_service: 30%}
  job: {without_service: 20%, known_after: 6 months}
structures:
  as signed:
    rate_card: {engaged: 500, job: 2000}
"""


def card(*more):
    return loads(CARD + "".join(f"    {line}\n" for line in more))


def fair_chance(contract="none"):
    """The card of the Fair Chance Fund, and the counts of its deals."""
    with (HERE / "fair_chance_card.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    outcomes = "\n".join(f"  {row['outcome']}: {{without_service: 10%}}" for row in rows)
    prices = "\n".join(f"      {row['outcome']}: {row['price_gbp']}" for row in rows)
    cap = "" if contract == "none" else f", contract: {contract}"
    text = (
        "deal: a card of 21 rows\ntime: {start: 2015-01, step: quarter, horizon: 4 years}\n"
        "cohorts:\n  starters: {people: 409, referred: 2015-01 to 2015-12}\n"
        f"outcomes:\n{outcomes}\nstructures:\n  as signed:\n    rate_card:\n{prices}\n"
        f"    at_most: {{per_person: 17000{cap}}}\n"
    )
    return loads(text), rows


def counts(rows, name):
    lines = [f"starters,{row['outcome']},intervention,{row[name]}" for row in rows if row[name]]
    return "cohort,outcome,arm,value\n" + "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------
# Rate cards: totals
# ---------------------------------------------------------------------------------------------------

DEALS = [("ambition", 3155150), ("depaul", 1692700), ("home_group", 2391450), ("local_solutions", 1347000)]


@pytest.mark.parametrize(("name", "uncapped"), DEALS)
def test_a_rate_card_without_a_contract_cap_pays_price_times_count(name, uncapped, tmp_path):
    deal, rows = fair_chance()
    answer = settled(deal, counts(rows, name), tmp_path)
    assert answer["uncapped_payments"] == uncapped
    assert answer["payments"] == uncapped
    assert total(answer) == pytest.approx(uncapped, rel=1e-12)
    assert answer["payments_are"] == "at most"
    assert {"rule": "at most 17,000 per person", "needs": "participant rows"} in answer["not_applied"]


@pytest.mark.parametrize(("name", "cap"), [("depaul", 1654340), ("local_solutions", 1337041), ("ambition", 2944525)])
def test_a_contract_cap_is_reached_by_uncapped_totals_and_still_says_at_most(name, cap, tmp_path):
    deal, rows = fair_chance(cap)
    answer = settled(deal, counts(rows, name), tmp_path)
    assert answer["payments"] == cap
    assert answer["payments_are"] == "at most"  # a cap per person might have left less than the contract's
    assert answer["schedule"][-1]["limited_by"] == "contract"
    assert answer["uncapped_payments"] > cap


def test_rows_of_the_card_without_results_are_named(tmp_path):
    deal, rows = fair_chance()
    answer = settled(deal, counts(rows, "depaul"), tmp_path)
    assert [row for row in answer["not_applied"] if "per person" not in row["rule"]] == [
        {"rule": f"volunteering {weeks} weeks", "needs": f"results for volunteering {weeks} weeks"}
        for weeks in (20, 26)
    ]
    reason = answer["clauses"]["volunteering 20 weeks"]["reason"]
    assert reason == "not applied: needs results for volunteering 20 weeks"


def test_payments_are_exact_where_nobody_could_come_to_the_cap_per_person(tmp_path):
    answer = settled(card("at_most: {per_person: 2500}"), "cohort,outcome,value\nall,engaged,8\nall,job,6\n", tmp_path)
    assert answer["payments"] == 8 * 500 + 6 * 2000
    assert answer["payments_are"] == "exact"
    assert answer["not_applied"] == [{"rule": "at most 2,500 per person", "needs": "participant rows"}]


@pytest.mark.parametrize(
    ("cap", "are"),
    [
        # if the same people have both, 6 x 2,200 + 2 x 500 = 14,200 of 16,000 are left
        (14000, "exact"),
        (14500, "at most"),
    ],
)
def test_payments_are_exact_where_the_contract_cap_binds_whatever_the_cap_per_person_leaves(cap, are, tmp_path):
    deal = card(f"at_most: {{per_person: 2200, contract: {cap}}}")
    answer = settled(deal, "cohort,outcome,value\nall,engaged,8\nall,job,6\n", tmp_path)
    assert answer["payments"] == cap
    assert answer["payments_are"] == are


def test_payments_are_at_least_what_is_paid_where_a_row_has_no_results(tmp_path):
    answer = settled(card(), "cohort,outcome,value\nall,job,6\n", tmp_path)
    assert answer["payments"] == 12000
    assert answer["payments_are"] == "at least"


def test_payments_are_exact_where_the_contract_cap_is_full_without_the_missing_row(tmp_path):
    answer = settled(card("at_most: {contract: 11000}"), "cohort,outcome,value\nall,job,6\n", tmp_path)
    assert answer["payments"] == 11000
    assert answer["payments_are"] == "exact"
    assert answer["not_applied"]


def test_results_stand_in_their_period_and_undated_ones_at_the_planned_date(tmp_path):
    text = """
        cohort,outcome,value,period,date
        all,engaged,3,1,
        all,engaged,2,,2021-05-17
        all,job,6,,
    """
    answer = settled(card(), text, tmp_path)
    # a job is planned to be known half a year after referrals in the first quarter of 2020
    assert [(row["period"], row["clause"], row["amount"]) for row in answer["schedule"]] == [
        (1, "engaged", 1500),
        (3, "job", 12000),
        (6, "engaged", 1000),
    ]
    assert answer["schedule"][2]["date"] == "2021-06-30"
    assert "where a result has no date, its planned measurement date is taken" in answer["assumed"]


def test_undated_totals_spread_over_the_periods_of_referral_in_whole_outcomes(tmp_path):
    deal = loads(CARD.replace("2020-01 to 2020-03", "2020-01 to 2020-12"))
    answer = settled(deal, "outcome,value\nengaged,7\njob,0\n", tmp_path)
    # floor(7 j / 4) by the end of quarter j
    assert [row["amount"] / 500 for row in answer["schedule"]] == [1, 2, 2, 2]
    assert answer["payments_are"] == "exact"


def test_outcomes_dated_after_the_last_claim_are_not_counted(tmp_path):
    deal = loads(CARD.replace("2020-03}", "2020-03, last_claim: 2020-12}"))
    text = "outcome,value,date\nengaged,3,2020-12\nengaged,2,2021-01\njob,0,\n"
    answer = settled(deal, text, tmp_path)
    assert answer["payments"] == 1500
    assert "2 outcomes of all are dated after its last claim and are not counted" in answer["assumed"]


def test_more_people_with_an_outcome_than_people_is_a_warning(tmp_path):
    path = written("outcome,value,size\nengaged,11,10\njob,1,10\n", tmp_path)
    assert settle(card(), path)["warnings"] == ["all: 11 engaged are more than its 10 people"]


def test_a_cohort_that_never_ran_leaves_its_rows_out_and_one_without_results_is_awaited(tmp_path):
    deal = loads(CARD.replace("outcomes:", "  second: {people: 5, referred: 2020-04 to 2020-06}\noutcomes:"))
    rows = "cohort,outcome,value,size\nall,engaged,8,\nall,job,6,\n"
    waiting = settled(deal, rows, tmp_path)
    assert {"clause": "job", "needs": "results for job of second"} in waiting["not_yet_due"]
    assert waiting["payments_are"] == "exact"
    over = settled(deal, rows + "second,,,0\n", tmp_path)
    assert over["not_yet_due"] == []
    assert over["payments"] == waiting["payments"] == 16000


# ---------------------------------------------------------------------------------------------------
# Rate cards: participants
# ---------------------------------------------------------------------------------------------------


def test_participants_take_the_cap_by_date_then_by_the_order_of_the_card(tmp_path):
    text = """
        cohort,outcome,participant,date,value
        all,job,A,2020-01-07,1
        all,engaged,A,2020-01-09,1
        all,job,B,2020-02-01,1
        all,engaged,B,2020-02-01,1
        all,job,C,2020-11-30,
        all,engaged,D,2020-03,0
    """
    answer = settled(card("at_most: {per_person: 2200}"), text, tmp_path)
    # A: 2,000 then 200, by day within one quarter; B: 500 then 1,700, by the card; C: 2,000; D: nothing
    assert answer["clauses"]["engaged"]["payments"] == 200 + 500
    assert answer["clauses"]["job"]["payments"] == 2000 + 1700 + 2000
    assert answer["uncapped_payments"] == 2 * 500 + 3 * 2000
    assert answer["payments_are"] == "exact"
    assert answer["not_applied"] == []
    assert answer["clauses"]["job"]["reason"] == "3 job x 2,000; limited by the cap per person"
    assert {row["period"]: row["amount"] for row in answer["schedule"] if row["clause"] == "job"} == {
        1: 3700,
        4: 2000,
    }


def test_participants_without_a_cap_per_person_pay_as_totals_do(tmp_path):
    rows = "outcome,participant,date\nengaged,A,2020-02-01\nengaged,B,2020-05-01\njob,A,2020-05-01\n"
    people = settled(card(), rows, tmp_path)
    totals = settled(card(), "outcome,value,date\nengaged,1,2020-02\nengaged,1,2020-05\njob,1,2020-05\n", tmp_path)
    assert people["schedule"] == totals["schedule"]


def test_an_outcome_that_no_participant_has_is_nothing_and_said_so(tmp_path):
    answer = settled(card(), "outcome,participant,date\njob,A,2020-05-01\n", tmp_path)
    assert answer["payments"] == 2000
    assert answer["payments_are"] == "exact"
    assert "no participant of all has engaged: counted as 0" in answer["assumed"]


def test_undated_participants_are_referred_as_planned(tmp_path):
    deal = loads(CARD.replace("2020-01 to 2020-03", "2020-01 to 2020-06") + "    at_most: {per_person: 2200}\n")
    rows = "outcome,participant\nengaged,A\njob,A\nengaged,B\nengaged,C\nengaged,D\njob,D\n"
    answer = settled(deal, rows, tmp_path)
    # A and B of the first quarter, C and D of the second; a job two quarters later takes the 1,700 left
    assert [(row["period"], row["amount"]) for row in answer["schedule"]] == [
        (1, 1000),
        (2, 1000),
        (3, 1700),
        (4, 1700),
    ]


def test_events_of_one_person_share_one_cap(tmp_path):
    deal = loads(
        CARD.replace("job: {without_service: 20%", "job: {counts: events, without_service: 0.2")
        + "    at_most: {per_person: 5000}\n"
    )
    rows = "outcome,participant,value,date\njob,A,2,2020-05-01\njob,A,1,2020-11-01\nengaged,A,1,2021-01-01\n"
    answer = settled(deal, rows, tmp_path)
    # 4,000, then 1,000 of 2,000, then nothing is left; paid with the last of them
    assert answer["clauses"]["job"]["payments"] == 5000
    assert answer["clauses"]["engaged"]["payments"] == 0
    assert [(row["period"], row["amount"]) for row in answer["schedule"]] == [(4, 5000)]
    assert any(sentence.startswith("A of all has job in several periods") for sentence in answer["assumed"])


# ---------------------------------------------------------------------------------------------------
# Against a control group
# ---------------------------------------------------------------------------------------------------

COUNTED = "cohort,outcome,arm,value,size\n"


def arms(cohort, ours, theirs=15000, size=1000):
    return f"{cohort},reconvictions,intervention,{ours},{size}\n{cohort},reconvictions,comparison,{theirs},10000\n"


def test_a_cohort_below_its_trigger_pays_nothing_and_the_pooled_test_waits_for_the_others(tmp_path):
    answer = settled(PETERBOROUGH, COUNTED + arms("cohort 1", 1420, 15500), tmp_path)
    assert answer["payments"] == 0
    assert answer["payments_are"] == "exact"
    (test,) = answer["clauses"]["a cohort succeeds"]["tests"]
    assert test == {
        "cohort": "cohort 1",
        "measure": "fewer events",
        "value": pytest.approx(1 - 1420 / 1550),
        "bound": "at least 10%",
        "met": False,
    }
    assert answer["clauses"]["a cohort succeeds"]["reason"].startswith(
        "cohort 1: 0.00 because: fewer events 8.387097% is below 10%"
    )
    assert answer["clauses"]["all cohorts together"]["tests"] == []
    assert {
        "clause": "all cohorts together",
        "needs": "a result of cohort 2 and cohort 3, or a row with size 0 if they never ran",
    } in answer["not_yet_due"]


def test_a_published_cohort_below_its_trigger_pays_nothing_and_says_why(tmp_path):
    answer = settled(PETERBOROUGH, "cohort,measure,value\ncohort 1,fewer events,8.4%\n", tmp_path)
    assert answer["payments"] == 0
    assert answer["clauses"]["a cohort succeeds"]["tests"][0]["value"] == 0.084
    assert [row["clause"] for row in answer["not_yet_due"]] == ["all cohorts together", "a cohort succeeds"]
    # what waits is neither tested nor booked
    assert [row["clause"] for row in answer["schedule"]] == ["a cohort succeeds"]
    assert all("results for" not in each["reason"] for each in answer["clauses"].values())


def test_two_cohorts_together_pay_once_the_third_is_stated_not_to_have_run(tmp_path):
    text = COUNTED + arms("cohort 1", 1374) + arms("cohort 2", 1356)
    waiting = settled(PETERBOROUGH, text, tmp_path)
    assert waiting["payments"] == 0
    assert waiting["not_yet_due"][0]["needs"] == "a result of cohort 3, or a row with size 0 if it never ran"
    answer = settled(PETERBOROUGH, text + "cohort 3,,,,0\n", tmp_path)
    # 3,000 - 2,730 = 270 events, which is 9%
    assert answer["payments"] == pytest.approx(270 * 16000)
    assert answer["clauses"]["all cohorts together"]["tests"][0]["value"] == pytest.approx(0.09)
    assert answer["not_yet_due"] == []
    assert answer["payments_are"] == "exact"
    # known 18 months after the last referral in August 2014, paid half a year later by both payers
    assert [(row["date"], row["payer"]) for row in answer["schedule"] if row["amount"]] == [
        ("2016-08-31", "Ministry of Justice"),
        ("2016-08-31", "Big Lottery Fund"),
    ]


def test_a_published_pooled_measure_pays_with_the_planned_level(tmp_path):
    answer = settle(PETERBOROUGH, HERE / "peterborough_final.yaml")["structures"]["as signed"]
    # 9% of 2,000 men x 1.5 planned events
    assert answer["payments"] == pytest.approx(270 * 16000)
    assert any("the planned 1.5 a person is taken" in sentence for sentence in answer["assumed"])
    assert any(sentence.startswith("cohort 2: no result of its own is given") for sentence in answer["assumed"])
    assert answer["payments_are"] == "exact"
    (test,) = answer["clauses"]["all cohorts together"]["tests"]
    assert (test["cohort"], test["value"], test["met"]) == (None, 0.09, True)


def test_a_published_pooled_measure_takes_the_level_of_comparison_rows(tmp_path):
    text = """
        cohort,measure,outcome,arm,value,size
        ,fewer events,,,0.09,
        cohort 1,,reconvictions,comparison,1600,1000
        cohort 2,,reconvictions,comparison,1400,1000
        cohort 1,,,,,500
        cohort 2,,,,,1500
        cohort 3,,,,,0
    """
    answer = settled(PETERBOROUGH, text, tmp_path)
    assert answer["payments"] == pytest.approx(0.09 * (500 * 1.6 + 1500 * 1.4) * 16000)
    assert not any("planned 1.5" in sentence for sentence in answer["assumed"])


def test_a_published_number_of_units_is_taken_as_it_is(tmp_path):
    text = """
        cohort,measure,value,size
        ,fewer events,9%,
        ,events avoided,251,
        cohort 3,,,0
    """
    answer = settled(PETERBOROUGH, text, tmp_path)
    assert answer["payments"] == 251 * 16000
    assert not any("planned 1.5" in sentence for sentence in answer["assumed"])


def test_a_pooled_measure_alone_does_not_say_which_cohorts_ran(tmp_path):
    answer = settled(PETERBOROUGH, "cohort,measure,value\n,fewer events,9%\n", tmp_path)
    assert answer["payments"] == 0
    assert "cohort 1, cohort 2 and cohort 3" in answer["not_yet_due"][0]["needs"]


def test_the_size_of_a_pooled_measure_is_spread_over_the_cohorts_that_ran(tmp_path):
    text = "cohort,measure,value,size\n,fewer events,9%,1600\ncohort 1,,,1000\ncohort 3,,,0\n"
    answer = settled(PETERBOROUGH, text, tmp_path)
    assert answer["payments"] == pytest.approx(0.09 * 1600 * 1.5 * 16000)


def test_cohorts_published_one_by_one_are_pooled(tmp_path):
    text = "cohort,measure,value,size\ncohort 1,fewer events,8%,1000\ncohort 2,fewer events,9%,500\ncohort 3,,,0\n"
    answer = settled(PETERBOROUGH, text, tmp_path)
    # (80 + 45) x 1.5 fewer among 1,500 x 1.5
    assert answer["clauses"]["all cohorts together"]["tests"][0]["value"] == pytest.approx(125 / 1500)
    assert answer["payments"] == pytest.approx(125 * 1.5 * 16000)


def test_a_published_cohort_and_a_counted_one_are_pooled(tmp_path):
    text = """
        cohort,measure,outcome,arm,value,size
        cohort 1,fewer events,,,8%,1000
        cohort 2,,reconvictions,,910,700
        cohort 2,,reconvictions,comparison,10000,7000
        cohort 3,,,,,0
    """
    answer = settled(PETERBOROUGH, text, tmp_path)
    # 120 of 1,500 and 90 of 1,000
    assert answer["clauses"]["all cohorts together"]["tests"][0]["value"] == pytest.approx(210 / 2500)
    assert answer["payments"] == pytest.approx(210 * 16000)


@pytest.mark.parametrize(("ours", "met"), [(1395, True), (1396, False)])
def test_a_cohort_exactly_on_its_bound_is_paid(ours, met, tmp_path):
    answer = settled(PETERBOROUGH, COUNTED + arms("cohort 1", ours, 15500), tmp_path)
    # 10% of 1,550 expected events are 155
    assert answer["payments"] == pytest.approx(155 * 16000 if met else 0)
    assert answer["clauses"]["a cohort succeeds"]["tests"][0]["met"] is met
    # the words are the contract's, whatever the other cohorts wait for
    assert not any("results for" in row["reason"] for row in answer["schedule"])
    assert "results for" not in answer["clauses"]["a cohort succeeds"]["reason"]


@pytest.mark.parametrize(("value", "met"), [("0.1", True), ("10%", True), ("0.0999", False), ("-3%", False)])
def test_a_published_measure_exactly_on_its_bound_is_paid(value, met, tmp_path):
    answer = settled(PETERBOROUGH, f"cohort,measure,value,size\ncohort 1,fewer events,{value},1000\n", tmp_path)
    assert answer["payments"] == pytest.approx(150 * 16000 if met else 0)


def test_the_pooled_clause_falls_away_once_a_cohort_has_succeeded(tmp_path):
    text = COUNTED + arms("cohort 1", 1350) + arms("cohort 2", 1356) + "cohort 3,,,,0\n"
    answer = settled(PETERBOROUGH, text, tmp_path)
    assert answer["payments"] == pytest.approx(150 * 16000)
    reason = answer["clauses"]["all cohorts together"]["reason"]
    assert reason == "0.00 because: 'a cohort succeeds' was met, so this falls away"


def test_a_cohort_without_its_comparison_arm_cannot_be_tested(tmp_path):
    answer = settled(PETERBOROUGH, COUNTED + "cohort 1,reconvictions,intervention,1350,1000\n", tmp_path)
    assert answer["payments_are"] == "at least"
    assert answer["not_applied"] == [
        {
            "rule": "a cohort succeeds [cohort 1]",
            "needs": "the comparison arm of reconvictions of cohort 1 (its total and size)",
        }
    ]


def test_the_size_that_is_not_given_is_the_planned_one(tmp_path):
    text = COUNTED + arms("cohort 1", 1395, 15500, size="")
    answer = settled(PETERBOROUGH, text, tmp_path)
    assert answer["payments"] == pytest.approx(155 * 16000)
    assert "cohort 1: its size is not given; the planned 1,000 people are taken" in answer["assumed"]


def test_a_deal_that_ended_early_has_no_later_cohorts_and_no_later_costs(tmp_path):
    text = """
        results:
          - {measure: fewer events, value: 9%}
        ended: 2014-08-31
    """
    path = written(text, tmp_path, "results.yaml")
    answer = settle(PETERBOROUGH, path)["structures"]["as signed"]
    assert answer["payments"] == pytest.approx(270 * 16000)
    assert "cohort 3 never ran: the deal ended before its first referral" in answer["assumed"]
    # sixteen quarters of 150,000
    assert answer["investor"]["called"] == pytest.approx(16 * 150000)
    assert answer["investor"]["multiple"] == pytest.approx(270 * 16000 / (16 * 150000))


def test_results_of_a_cohort_that_counts_as_far_as_it_ran_are_counted_after_an_early_end(tmp_path):
    deal = loads(CARD.replace("2020-01 to 2020-03", "2020-01 to 2020-12"))
    text = "results: [{outcome: engaged, value: 6}, {outcome: job, value: 2, date: 2021-05}]\nended: 2020-06-30\n"
    answer = settled(deal, text, tmp_path, "r.yaml")
    assert [(row["period"], row["amount"]) for row in answer["schedule"]] == [(1, 1500), (2, 1500), (6, 4000)]


def test_a_cohort_that_does_not_run_when_cut_short_is_not_counted_after_an_early_end(tmp_path):
    text = """
        results:
          - {cohort: cohort 1, measure: fewer events, value: 8%, size: 1000}
          - {cohort: cohort 2, measure: fewer events, value: 12%, size: 800}
        ended: 2014-05-31
    """
    answer = settled(PETERBOROUGH, text, tmp_path, "r.yaml")
    # of cohort 1 alone: 8% of 1,500, which is enough for all that ran
    assert answer["payments"] == pytest.approx(120 * 16000)
    assert (
        "cohort 2 does not run, since the end of the deal cut it short; its results are not counted"
        in (answer["assumed"])
    )


# ---------------------------------------------------------------------------------------------------
# A group threshold
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("placed", "payments"), [(19, 0), (20, 250000), (22, 250000)])
def test_twenty_of_the_group_are_paid_and_nineteen_are_not(placed, payments, tmp_path):
    answer = settled(AUGSBURG, f"cohort,outcome,arm,value,size\n,placed,,{placed},69\n", tmp_path)
    assert answer["payments"] == payments
    (test,) = answer["clauses"]["group threshold"]["tests"]
    assert test == {"cohort": None, "measure": "placed", "value": placed, "bound": "at least 20", "met": placed >= 20}
    # planned to be known 15 months after the last referral in August 2014
    assert answer["schedule"][0]["date"] == "2015-11-30"
    multiple = answer["investor"]["multiple"]
    assert multiple == pytest.approx(payments / 242718)


def test_a_published_count_is_a_result_of_the_only_cohort(tmp_path):
    answer = settled(AUGSBURG, "measure,value,date\nplaced,20,2015-06\n", tmp_path)
    assert answer["payments"] == 250000
    assert answer["schedule"][0]["date"] == "2015-06-30"


def test_a_group_threshold_without_a_result_is_not_yet_due(tmp_path):
    answer = settled(AUGSBURG, "cohort,outcome,value,size\nyoung people,,,69\n", tmp_path)
    assert answer["payments"] == 0
    assert answer["not_yet_due"] == [
        {"clause": "group threshold", "needs": "a result of young people, or a row with size 0 if it never ran"}
    ]


# ---------------------------------------------------------------------------------------------------
# What was really drawn and spent
# ---------------------------------------------------------------------------------------------------

FINANCED = loads(
    dedent(
        """
        deal: drawn and spent
        time: {start: 2020-01, step: year, horizon: 4 years, financial_year_starts: January}
        cohorts:
          all: {people: 10, referred: 2020-01 to 2020-12}
        outcomes:
          job: {without_service: 20%, known_after: 24 months}
        structures:
          as signed:
            rate_card: {job: 60}
            costs: {delivery: 130 a year}
            finance: {commitment: 1000, called: at the start}
        """
    )
)


def test_actual_drawdowns_and_costs_replace_the_plan_for_the_investors(tmp_path):
    text = """
        results: [{outcome: job, value: 6, date: 2022-06-01}]
        drawdowns: {2020-01: 200, 2021-01-15: 100}
        costs:
          - {date: 2020-06, amount: 120}
          - {date: 2021-06, amount: 100}
          - {date: 2023-06, amount: 80}
    """
    answer = settled(FINANCED, text, tmp_path, "results.yaml")
    # 300 in all for 300 of costs; of the 360 at the end of 2022 nothing is held, since 80 are in hand for 2023
    assert answer["payments"] == 360
    assert answer["investor"]["called"] == 300
    assert answer["investor"]["distributed"] == pytest.approx(360)
    assert answer["investor"]["multiple"] == pytest.approx(1.2)
    # -200 at the start, -100 a year later, 360 three years after the start
    rate = answer["investor"]["irr"]
    assert -200 - 100 / (1 + rate) + 360 / (1 + rate) ** 3 == pytest.approx(0, abs=1e-6)
    assert any("capital and costs of the results" in sentence for sentence in answer["assumed"])


def test_the_planned_money_given_as_actual_changes_nothing(tmp_path):
    rows = "results: [{outcome: job, value: 6}]\n"
    planned = settled(FINANCED, rows, tmp_path, "results.yaml")
    costs = "costs: {2020-12: 130}\n".replace("}", ", 2021-12: 0}")
    actual = settled(FINANCED, f"{rows}drawdowns: {{2020-01: 1000}}\n{costs}", tmp_path, "results.yaml")
    # service lasts one year, so 130 are spent; 870 are paid back in year 1 and 360 in year 3
    for name in ("irr", "multiple", "multiple_on_peak", "net_present_value", "payback", "called", "distributed"):
        assert actual["investor"][name] == pytest.approx(planned["investor"][name]), name


# ---------------------------------------------------------------------------------------------------
# The shape of the answer
# ---------------------------------------------------------------------------------------------------


def test_the_answer_has_the_header_of_every_answer_and_no_draws(tmp_path):
    data = sib.settle(AUGSBURG, str(written("outcome,value\nplaced,20\n", tmp_path)), structures=["as signed"])
    assert (data["deal"], data["currency"], data["draws"], data["seed"]) == ("at least 20 of 69", "GBP", None, None)
    assert {"version", "deal_hash", "environment", "elapsed", "warnings", "structures"} <= set(data)
    assert {
        "payments",
        "payments_are",
        "uncapped_payments",
        "clauses",
        "not_applied",
        "not_yet_due",
        "assumed",
        "investor",
        "schedule",
    } <= set(data["structures"]["as signed"])
    row = data["structures"]["as signed"]["schedule"][0]
    assert {"period", "date", "clause", "payer", "amount", "limited_by", "reason"} <= set(row)


def test_the_public_name_is_the_function_whichever_module_was_imported_first():
    assert settle_again is settle
    assert sib.settle is settle
    assert callable(sib.explain)


def test_an_unknown_structure_is_a_key_error(tmp_path):
    with pytest.raises(KeyError):
        settle(AUGSBURG, written("outcome,value\nplaced,20\n", tmp_path), structures=["as singed"])


def test_results_made_by_hand_are_checked_like_those_of_a_file():
    rows = (Row(outcome="placed", value=20.0), Row(outcome="placed", value=20.0))
    with pytest.raises(DealError, match="given twice"):
        settle(AUGSBURG, Observed(rows))
    with pytest.raises(DealError, match="no outcome is called 'palced'; did you mean 'placed'"):
        settle(AUGSBURG, Observed((Row(cohort="young people", outcome="palced", value=20.0),)))


def test_a_disagreement_of_twin_and_kernels_is_a_defect(monkeypatch, tmp_path):
    module = sys.modules["simulator.settle"]
    original = module.play

    def wrong(*arguments):
        ledger = original(*arguments)
        for key in ledger.paid:
            ledger.paid[key] *= 1 + 1e-8
        return ledger

    monkeypatch.setattr(module, "play", wrong)
    with pytest.raises(DefectError, match="the readable twin says"):
        settle(AUGSBURG, written("outcome,value\nplaced,20\n", tmp_path))


# ---------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------


def test_marks_line_ends_spaces_and_blank_lines_are_forgiven(tmp_path):
    plain = read(written("cohort,outcome,value\nall,job,6\nall,engaged,8\n", tmp_path), card())
    path = tmp_path / "odd.csv"
    path.write_bytes(b'\xef\xbb\xbf Cohort , OUTCOME,value ,\r\n"all", job , 6,\r\n\r\n , , ,\r\nall,engaged,8\r\n')
    assert read(path, card()).rows == plain.rows


def test_yaml_holds_the_same_rows(tmp_path):
    text = "results:\n  - {outcome: job, value: 6, date: 2020-09}\n  - {cohort: all, outcome: engaged, value: 8}\n"
    table = "cohort,outcome,value,date\nall,job,6,2020-09\n,engaged,8,\n"
    from_yaml = read(written(text, tmp_path, "r.yaml"), card())
    assert from_yaml.rows == read(written(table, tmp_path), card()).rows
    assert from_yaml.rows[0].day == datetime.date(2020, 9, 30)


def test_money_of_a_results_file_stands_on_its_day(tmp_path):
    text = "results: [{outcome: job, value: 1}]\ndrawdowns: {2020-03: 1_000}\nended: 2020-06-15\n"
    observed = read(written(text, tmp_path, "r.yml"), card())
    assert observed.drawdowns == (Amount(datetime.date(2020, 3, 1), 1000.0),)
    assert observed.costs is None
    assert observed.ended == datetime.date(2020, 6, 15)


HEAD = "cohort,outcome,arm,value,participant,date,period,size,variance\n"


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        ("all,jbo,,1,,,,,", "results.csv:2:5 outcome: no outcome is called 'jbo'; did you mean 'job'?"),
        ("everyone,job,,1,,,,,", "results.csv:2:1 cohort: no cohort is called 'everyone'; allowed: all"),
        ("all,job,,-1,,,,,", "results.csv:2:10 value: -1 is negative; allowed: 0 or more"),
        ("all,job,,six,,,,,", "results.csv:2:10 value: 'six' is no number; allowed: digits, with . before decimals"),
        ("all,job,,nan,,,,,", "results.csv:2:10 value: 'nan' is no number; allowed: digits, with . before decimals"),
        (
            "all,job,,1e999,,,,,",
            "results.csv:2:10 value: '1e999' is no number; allowed: digits, with . before decimals",
        ),
        ("all,job,,60%,,,,,", "results.csv:2:10 value: '60%' is no number; allowed: digits, with . before decimals"),
        (
            "all,job,,,,,,,",
            "results.csv:2:10 value: is empty; allowed: a number (leave the row out if it is not known)",
        ),
        ("all,job,,1.5,,,,,", "results.csv:2:10 value: 1.5 is no count; allowed: a whole number"),
        (
            "all,job,treated,1,,,,,",
            "results.csv:2:9 arm: 'treated' is no arm; allowed: intervention, comparison, before",
        ),
        ("all,job,,1,,,,3.5,", "results.csv:2:15 size: '3.5' is no whole number; allowed: a whole number from 0"),
        ("all,job,,1,,,,-3,", "results.csv:2:15 size: -3 is out of range; allowed: a whole number from 0"),
        (
            "all,job,,1,,2019-12-31,,,",
            "results.csv:2:13 date: 2019-12-31 is before the deal starts; allowed: from 2020-01-01",
        ),
        (
            "all,job,,1,,2024-01-01,,,",
            "results.csv:2:13 date: 2024-01-01 is after the horizon; allowed: up to 2023-12-31",
        ),
        ("all,job,,1,,2020-02-30,,,", "results.csv:2:13 date: '2020-02-30' is no date; allowed: 2013-05-17 or 2013-05"),
        ("all,job,,1,,,17,,", "results.csv:2:14 period: 17 is out of range; allowed: a whole number from 1 to 16"),
        ("all,job,,1,,2020-02,2,,", "results.csv:2:21 period: 2 is not the period of the date, which is 1; give one"),
        ("all,job,,1,,,,,-2", "results.csv:2:16 variance: -2 is negative; allowed: 0 or more"),
        ("all,job,,2,Ann,,,,", "results.csv:2:10 value: one person has 'job' at most once; allowed: 1 a participant"),
        (
            "all,job,,3,,,,0,",
            "results.csv:2:10 value: 'all' never ran (size 0, line 2); allowed: 0, or leave the value out",
        ),
        (
            "all,job,comparison,3,,,,,",
            "results.csv:2:25 size: is needed for a comparison arm; allowed: its people, at least 1",
        ),
        ("all,,,3,,,,,", "results.csv:2:5 outcome: is blank; allowed: an outcome, a measure, or the size of a cohort"),
        (
            "all,job,,3,,,,,,x",
            "results.csv:2:17: there are more cells than columns (9); allowed: a cell for each column",
        ),
    ],
)
def test_a_mistake_in_a_row_is_told_with_its_line_and_column(row, mistake, tmp_path):
    assert mistakes(card(), HEAD + row + "\n", tmp_path) == [mistake]


@pytest.mark.parametrize(
    ("rows", "mistake"),
    [
        ("all,job,,1,,,,,\nall,job,intervention,2,,,,,", "3:5 outcome: 'job' is given twice; the first is on line 2"),
        (
            "all,job,,,Ann,2020-02,,,\nall,job,,,Ann,2020-05,,,",
            "3:5 outcome: 'job' is given twice; the first is on line 2",
        ),
        (
            "all,job,,1,,2020-02,,,\nall,job,,2,,,,,",
            "3:5 outcome: 'job' is given with and without a date (line 2); allowed: one of the two",
        ),
        ("all,job,,1,,,,9,\nall,engaged,,2,,,,10,", "3:19 size: 10 is not the 9 of line 2; allowed: one size"),
        (
            "all,job,,1,,,,,\nall,job,,,Ann,2020-05,,,",
            "3:5 outcome: 'job' is given as a total and by participants (line 2); allowed: one of the two",
        ),
    ],
)
def test_rows_that_contradict_each_other_are_told_at_the_later_one(rows, mistake, tmp_path):
    assert mistakes(card(), HEAD + rows + "\n", tmp_path) == [f"results.csv:{mistake}"]


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        (
            "cohort 1,fewer evnets,,9%",
            "2:10 measure: no measure is called 'fewer evnets'; did you mean 'fewer events'?",
        ),
        (
            "cohort 1,fewer events,,9",
            "2:24 value: 9 is more than the whole; allowed: a share such as 0.09 or 9%, up to 1",
        ),
        ("cohort 1,events avoided,,9%", "2:26 value: 'events avoided' is no share; allowed: a number without %"),
        (
            "cohort 1,,fewer events,9%",
            "2:11 outcome: 'fewer events' is a measure; allowed: put it in the column measure",
        ),
        (
            ",,reconvictions,9",
            "2:1 cohort: is blank, but there are several cohorts; allowed: cohort 1, cohort 2, cohort 3",
        ),
        (
            "cohort 1,fewer events,reconvictions,9%",
            "2:10 measure: stands beside the outcome 'reconvictions'; allowed: one of the two",
        ),
        (
            "cohort 1,fewer events,,9%\ncohort 1,,reconvictions,1400",
            "2:10 measure: 'fewer events' stands beside raw rows of 'reconvictions' (line 3); allowed: one of the two",
        ),
        (
            "cohort 1,fewer events,,9%\ncohort 1,fewer events,,8%",
            "3:10 measure: 'fewer events' is given twice; the first is on line 2",
        ),
    ],
)
def test_a_mistake_about_a_measure_is_told_with_its_line(row, mistake, tmp_path):
    found = mistakes(PETERBOROUGH, f"cohort,measure,outcome,value\n{row}\n", tmp_path)
    assert found == [f"results.csv:{mistake}"]


def test_a_pooled_measure_beside_raw_rows_of_every_cohort_that_ran_is_refused(tmp_path):
    text = "cohort,measure,outcome,value,size\n,fewer events,,9%,\ncohort 1,,reconvictions,1400,\n"
    text += "cohort 2,,reconvictions,1400,\ncohort 3,,,,0\n"
    (mistake,) = mistakes(PETERBOROUGH, text, tmp_path)
    assert mistake.startswith("results.csv:2:2 measure: 'fewer events' stands beside raw rows")


@pytest.mark.parametrize(
    ("rows", "mistake"),
    [
        (",fewer events,9%,900\ncohort 1,,,1000", "2:18 size: 900 is not the 1000 of the cohorts together"),
        (
            ",fewer events,9%,900\ncohort 1,,,500\ncohort 2,,,300\ncohort 3,,,0",
            "2:18 size: 900 is not the 800 of the cohorts together",
        ),
        (
            ",fewer events,,0\ncohort 1,,,500",
            "2:1 cohort: is blank; allowed: the name of the cohort that never ran (size 0)",
        ),
    ],
)
def test_the_size_of_a_pooled_measure_agrees_with_the_cohorts(rows, mistake, tmp_path):
    assert mistakes(PETERBOROUGH, f"cohort,measure,value,size\n{rows}\n", tmp_path) == [f"results.csv:{mistake}"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "results.csv:1:1: the file is empty; allowed: rows of cohort, outcome, measure"),
        ("\n\n", "results.csv:1:1: the file is empty"),
        ("cohort,outcome,value\n", "results.csv:2:1: there are no results; allowed: at least one row"),
        ("cohort,outcome\nall,job\n", "results.csv:1:1: the column value is missing; allowed: cohort,"),
        ("cohort;outcome;value\nall;job;1\n", "results.csv:1:1 cohort;outcome;value: unknown column; allowed: cohort,"),
        ("cohort,outcome,valeu\nall,job,1\n", "results.csv:1:16 valeu: unknown column; did you mean 'value'?"),
        ("value,cohort,outcome,value\n", "results.csv:1:22 value: the column is given twice; keep one"),
        ('cohort,outcome,value\nall,"job,1\n', "results.csv:2:1: this is no CSV"),
        ("cohort,outcome,value\nall,j\0b,1\n", "results.csv:2:6: this is no text; save the file as CSV in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_of_results_is_refused(text, mistake, tmp_path):
    assert any(each.startswith(mistake) for each in mistakes(card(), text, tmp_path))


def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path):
    path = tmp_path / "results.csv"
    path.write_bytes(b"cohort,outcome,value\nall,j\xe9b,1\n")
    with pytest.raises(DealError, match=r"results\.csv:2:6: the byte 0xe9 is not UTF-8"):
        settle(card(), path)
    with pytest.raises(DealError, match="there is no such file"):
        settle(card(), tmp_path / "missing.csv")
    with pytest.raises(DealError, match="this is a folder"):
        settle(card(), tmp_path)


def test_all_mistakes_are_told_at_once(tmp_path):
    text = "cohort,outcome,value,size\nal,jbo,-7,\nall,job,-3,1.5\nall,engaged,8,\nall,engaged,8,\n"
    assert [line.split(":")[1] for line in mistakes(card(), text, tmp_path)] == ["2", "2", "2", "3", "3", "5"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("results: [{outcome: jbo, value: 1}]", "r.yaml:1:21 results.0.outcome: no outcome is called 'jbo'"),
        ("results: [{outcome: job, vlaue: 1}]", "r.yaml:1:26 results.0.vlaue: unknown key; did you mean 'value'?"),
        ("results: [{outcome: job, value: true}]", "r.yaml:1:33 results.0.value: True is no number"),
        ("results: []", "r.yaml:1:10 results: a list of results is needed"),
        ("reslts: []", "r.yaml:1:1 reslts: unknown key; did you mean 'results'?"),
        ("results: [job]", "r.yaml:1:11 results.0: is no mapping"),
        ("results: [{outcome: job, value: 1}]\ncosts: 3", "r.yaml:2:8 costs: is no money by date"),
        ("results: [{outcome: job, value: 1}]\ncosts: {2020-03: -3}", "r.yaml:2:18 costs.2020-03: -3 is negative"),
        (
            "results: [{outcome: job, value: 1}]\ndrawdowns: {2019-03: 3}",
            "r.yaml:2:22 drawdowns.2019-03: 2019-03 is before",
        ),
        ("results: [{outcome: job, value: 1}]\nended: 2030-01-01", "r.yaml:2:8 ended: 2030-01-01 is after the horizon"),
    ],
)
def test_a_mistake_in_yaml_is_told_with_its_place(text, mistake, tmp_path):
    assert any(each.startswith(mistake) for each in mistakes(card(), text, tmp_path, "r.yaml"))


def test_results_of_a_cohort_that_begins_after_the_end_are_refused(tmp_path):
    text = "results: [{cohort: cohort 3, measure: fewer events, value: 9%}]\nended: 2014-08-31\n"
    (mistake,) = mistakes(PETERBOROUGH, text, tmp_path, "r.yaml")
    assert "'cohort 3' begins after the deal ended on 2014-08-31" in mistake


CELLS = st.sampled_from(
    ["", " ", "all", "job", "engaged", "comparison", "1", "0", "-1", "3%", '"', "2020-03", "é,", "x"]
)


@settings(deadline=None, derandomize=True, max_examples=200, database=None)
@given(st.text(max_size=60) | st.lists(st.lists(CELLS, max_size=10).map(",".join), max_size=5).map("\n".join))
def test_no_text_does_worse_than_a_list_of_mistakes(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "results.csv"
    path.write_bytes((HEAD + text).encode("utf-8", "surrogatepass"))
    try:
        settle(card(), path)
    except DealError as error:
        assert all(str(each).startswith(f"{path}:") for each in error.problems)


# ---------------------------------------------------------------------------------------------------
# Twin and kernels agree on any results
# ---------------------------------------------------------------------------------------------------

ANY = loads(
    dedent(
        """
        deal: everything at once
        time: {start: 2020-01, step: quarter, horizon: 4 years, service: 2020-01 to 2021-12}
        cohorts:
          first: {people: 12, referred: 2020-01 to 2020-12, last_claim: 2022-06}
          second: {people: 9, referred: 2020-10 to 2021-06}
        outcomes:
          engaged: {without_service: 30%}
          job: {without_service: 20%, known_after: 6 months, comparison_arm: {people: 5 per person}}
          days: {counts: events, better: fewer, without_service: 3, baseline: 4, known_after: 1 year}
        measures:
          more jobs: {increase_in: job, against: comparison_arm, as: share}
          jobs more: {increase_in: job, against: comparison_arm, as: units}
          fewer days: {reduction_in: days, against: baseline, as: units}
          jobs of engaged: {ratio_of: [job, engaged], over: cohorts so far, rounded: to 5%}
          saving: {sum_of: {fewer days: 90, jobs more: 400}, no_less_than: 0, over: cohorts so far}
          either: {choice_of: [more jobs, jobs of engaged]}
          chosen: {choice_of: [more jobs, jobs of engaged], when: {fewer days: at least 4}, no_more_than: 90%}
          luck: {p_value_of: jobs more}
        structures:
          composed:
            pays:
              heads: {for: each cohort, amount: {price: 40, times: participants}, at_most: {outcomes: 15}}
              share of it:
                for: each cohort
                only_if: heads
                amount: {bands: [[0, 90%], [2000, 40%]], times: saving}
                less: [heads, share of it]
              either of two:
                for: each cohort
                any_of: {either: at least 30%, luck: at most 20%}
                amount: {by: chosen, table: {below: 50, points: [[20%, 70], [60%, 90]]}, times: engaged, per: 2}
                at_least: 100
              pooled:
                for: all cohorts that ran
                when: {chosen: more than 10%}
                amount: {price: 9, times: jobs of engaged, per: 1%}
                indexed: {a_year: 3%, from: 2020-04}
            at_most: {contract: 7000}
          card:
            rate_card: {engaged: 500, job: {price: 2000, at_most: {outcomes: 5}}, days: 10}
            at_most: {per_person: 2300, contract: 15000, year: 6000, over_the_year: carried forward}
            paid_after: 4 months
            costs: {delivery: 700 per person, set_up: 900, evaluation: 300 at the end}
            finance: {commitment: 9000, when_money_runs_out: stop referrals}
          groups:
            pays:
              cohorts:
                for: each cohort
                when: {more jobs: at least 20%}
                amount: {price: 900, times: jobs more}
              days:
                for: each cohort
                amount: {price: 30, times: fewer days}
              pooled:
                for: all cohorts that ran
                unless: cohorts
                when: {more jobs: at least 5%}
                amount:
                  by: more jobs
                  table: {below: 0, points: [[5%, 1000], [50%, 4000]], between: straight line, above: 5000}
              fee: {for: the contract, due: evenly, amount: {lump_sum: 2400}}
            at_most: {contract: 8000}
            costs: {delivery: 2000 a year}
            finance: {commitment: 3000, recycled: false, surplus_to_investors: 50%}
        """
    )
)


@st.composite
def results(draw):
    """Results of every kind: totals with and without dates, participants, comparison arms, published measures."""
    rows = []
    for cohort in ("first", "second"):
        kind = draw(st.sampled_from(["nothing", "never", "totals", "people", "published"]))
        periods = st.none() | st.integers(1, 16)
        if kind == "never":
            rows.append(Row(cohort=cohort, size=0))
        for outcome in ("engaged", "job", "days"):
            if kind == "totals":
                dated = draw(st.booleans())
                whens = draw(st.lists(st.integers(1, 16), unique=True, max_size=3)) if dated else [None]
                rows += [
                    Row(cohort=cohort, outcome=outcome, value=float(draw(st.integers(0, 9))), period=when)
                    for when in whens
                ]
            if kind == "people":
                for who in draw(st.lists(st.sampled_from("ABCDE"), unique=True)):
                    number = draw(st.integers(1, 3)) if outcome == "days" else 1
                    rows.append(
                        Row(
                            cohort=cohort,
                            outcome=outcome,
                            participant=who,
                            value=float(number),
                            period=draw(periods),
                        )
                    )
        if kind == "published":
            rows.append(Row(cohort=cohort, measure="more jobs", value=draw(st.floats(-0.5, 2)), period=draw(periods)))
            for measure in ("jobs of engaged", "saving", "either", "chosen", "luck"):
                if draw(st.booleans()):
                    rows.append(Row(cohort=cohort, measure=measure, value=draw(st.floats(0, 1)), period=draw(periods)))
        if kind in {"totals", "people", "published"} and draw(st.booleans()):
            rows.append(
                Row(
                    cohort=cohort,
                    outcome="job",
                    arm="comparison",
                    value=float(draw(st.integers(0, 20))),
                    size=draw(st.integers(1, 50)),
                )
            )
        if kind != "never" and draw(st.booleans()):
            rows.append(Row(cohort=cohort, size=draw(st.integers(1, 12))))
    ended = draw(st.none() | st.just(datetime.date(2021, 3, 31)))
    return Observed(tuple(rows), ended=ended)


@settings(deadline=None, derandomize=True, max_examples=150, database=None)
@given(results())
def test_twin_and_kernels_agree_on_any_results(observed):
    data = settle(ANY, observed)
    for name, cap in (("card", 15000), ("groups", 8000), ("composed", 7000)):
        answer = data["structures"][name]
        assert total(answer) == pytest.approx(answer["payments"], rel=1e-9, abs=1e-9)
        assert math.fsum(c["payments"] for c in answer["clauses"].values()) == pytest.approx(answer["payments"])
        assert answer["payments"] <= min(cap, answer["uncapped_payments"]) * (1 + 1e-9)
        assert answer["payments_are"] in {"exact", "at most", "at least"}


def test_the_table_says_what_each_class_of_investors_and_the_guarantors_pay_and_receive(tmp_path):
    deal = tmp_path / "deal.yaml"
    deal.write_text(
        dedent("""
        deal: Two classes
        time: {start: 2020-01, step: year, horizon: 4 years}
        cohorts: {all: {people: 10, referred: 2020-01 to 2020-12}}
        outcomes: {job: {without_service: 20%, known_after: 12 months}}
        structures:
          as signed:
            payers: {city: 100%}
            rate_card: {job: 100}
            costs: {delivery: 1000 a year}
            finance:
              called: at the start
              tranches: {senior: {commitment: 400}, junior: {commitment: 600}}
              guarantee: {guarantor: a foundation, of: junior, share_of_loss: 50%}
        """)
    )
    results = written("cohort,outcome,value,size\nall,job,7,10\n", tmp_path)
    said = CliRunner().invoke(cli, ["settle", str(deal), "--results", str(results)])
    assert said.exit_code == 0
    # 700 come in: 400 for the senior capital, 300 for the junior, half of whose loss of 300 is made good
    assert "investors, senior: called 400, receives 400, multiple 1.000, IRR 0.0% a year" in said.output
    assert "investors, junior: called 600, receives 450, multiple 0.750" in said.output
    assert "guarantees pay 150" in said.output


def test_an_amount_of_one_person_is_any_number(tmp_path):
    deal = loads(
        dedent(
            """
            deal: days and a score
            time: {start: 2020-01, step: year, horizon: 4 years}
            cohorts: {all: {people: 2, referred: 2020-01 to 2020-12}}
            outcomes:
              days: {counts: amount, better: fewer, without_service: 700, baseline: 700, known_after: 1 year}
              star: {counts: score, without_service: 1, spread: 1, known_after: 1 year}
            measures:
              saved: {reduction_in: days, against: baseline, as: units}
            structures:
              as signed:
                payers: {city: 100%}
                pays:
                  saved: {for: each cohort, amount: {price: 10, times: saved}}
                  star: {for: each cohort, amount: {price: 100, times: star}}
            """
        )
    )
    rows = """
        cohort,outcome,participant,value,size
        all,days,Ann,512.5,
        all,days,Bob,300,
        all,star,Ann,1.5,
        all,star,Bob,2.5,
        all,,,,2
        """
    assert settled(deal, rows, tmp_path)["payments"] == 10 * (1400 - 812.5) + 400
    data = settle(deal, written("cohort,outcome,value,size\nall,days,812.5,2\nall,star,4.5,2\n", tmp_path))
    assert data["structures"]["as signed"]["payments"] == 10 * (1400 - 812.5) + 450
    assert data["warnings"] == []  # 812.5 days are not more than two people can have
