"""Exactly on the bound, in `run`, `settle` and `explain` alike."""

import pytest

from simulator.dealfile import loads
from simulator.explain import explain
from simulator.run import simulate
from simulator.settle import settle

GROUP = """
deal: A group whose outcome is certain
time: {start: 2020-01, step: quarter, horizon: 2 years}
cohorts: {all: {people: 20, referred: 2020-01 to 2020-03}}
outcomes:
  placed: {counts: yes or no, without_service: 100%, known_after: 9 months}
structures:
  as signed:
    group_threshold: {outcome: placed, at_least: 20 people, pays: 1000}
    costs: {set_up: 1000}
    finance: {commitment: 1000}
"""
SHARE = """
deal: Everybody, against a yardstick of 1 / 0.9 a person
time: {start: 2020-01, step: quarter, horizon: 2 years}
cohorts: {all: {people: 1000, referred: 2020-01 to 2020-03}}
outcomes:
  returned: {counts: yes or no, better: fewer, without_service: 100%, known_after: 9 months}
measures:
  fewer: {reduction_in: returned, against: 1.111111111111111, as: share}
structures:
  as signed:
    pays:
      enough: {for: each cohort, when: {fewer: at least 10%}, amount: {lump_sum: 1000}}
    costs: {set_up: 1000}
    finance: {commitment: 1000}
"""


def _paid(text, sets, rows, tmp_path):
    """Payment by run (every draw), by explain and by settle."""
    deal = loads(text, sets=sets)
    result = simulate(deal, draws=50, seed=3)
    payments = set(result.draws("as signed")["payments"])
    assert len(payments) == 1, "the outcome is certain"
    told = explain(deal, draw=7, seed=3, structure="as signed")
    results = tmp_path / "results.csv"
    results.write_text("cohort,outcome,arm,value,size\n" + rows, encoding="utf-8")
    settled = settle(deal, results)["structures"]["as signed"]
    return payments.pop(), told["structures"]["as signed"]["metrics"]["payments"], settled["payments"], result


@pytest.mark.parametrize(("people", "payment"), [(20, 1000), (19, 0), (21, 1000)])
def test_exactly_twenty_people_pay_and_nineteen_do_not(people, payment, tmp_path):
    rows = f"all,placed,intervention,{people},{people}\n"
    *paid, _ = _paid(GROUP, [f"cohorts.all.people={people}"], rows, tmp_path)
    assert paid == [payment] * 3


@pytest.mark.parametrize(("bound", "payment"), [("10%", 1000), ("10.000001%", 0), ("9.999999%", 1000)])
def test_exactly_ten_per_cent_fewer_pays(bound, payment, tmp_path):
    assert 1 - 1 / 1.111111111111111 < 0.1, "in floats the measure falls short of its bound"
    sets = [f"structures.as signed.pays.enough.when.fewer=at least {bound}"]
    *paid, _ = _paid(SHARE, sets, "all,returned,intervention,1000,1000\n", tmp_path)
    assert paid == [payment] * 3


@pytest.mark.parametrize(("sense", "payment"), [("at least 10%", 1000), ("more than 10%", 0)])
def test_more_than_excludes_the_bound_that_at_least_includes(sense, payment, tmp_path):
    sets = [f"structures.as signed.pays.enough.when.fewer={sense}"]
    *paid, _ = _paid(SHARE, sets, "all,returned,intervention,1000,1000\n", tmp_path)
    assert paid == [payment] * 3


def test_a_multiple_of_exactly_one_is_no_loss(tmp_path):
    *_, result = _paid(GROUP, [], "all,placed,intervention,20,20\n", tmp_path)
    investor = result["as signed"].investor
    assert investor.multiple.mean == 1
    assert investor.irr.p50 == 0
    assert investor.probability_of_loss.probability == 0


def test_a_penny_less_is_a_loss(tmp_path):
    sets = ["structures.as signed.group_threshold.pays=999.99"]
    *_, result = _paid(GROUP, sets, "all,placed,intervention,20,20\n", tmp_path)
    assert result["as signed"].investor.probability_of_loss.probability == 1


def test_a_total_loss_is_in_every_mean(tmp_path):
    *_, result = _paid(GROUP, ["cohorts.all.people=19"], "all,placed,intervention,19,19\n", tmp_path)
    investor = result["as signed"].investor
    assert investor.irr.mean == -1
    assert investor.irr["count"] == 50
    assert investor.probability_of_total_loss.probability == 1


NOBODY = """
deal: Two cohorts, one of nobody, against a comparison arm
time: {start: 2020-01, step: quarter, horizon: 2 years}
cohorts:
  first: {people: 1000, referred: 2020-01 to 2020-03}
  second: {people: 0, referred: 2020-04 to 2020-06}
outcomes:
  returned:
    {counts: yes or no, better: fewer, without_service: 100%, effect: -50%, comparison_arm: {people: 10 per person}}
measures:
  fewer: {reduction_in: returned, against: comparison_arm, as: share}
structures:
  as signed:
    pays:
      pooled: {for: all cohorts that ran, when: {fewer: at least 10%}, amount: {lump_sum: 1000}}
"""


def test_a_cohort_of_nobody_leaves_the_pooled_measure_known():
    result = simulate(loads(NOBODY), draws=200, seed=1)
    assert result["as signed"].triggers["pooled"].probability == 1


CUT_SHORT = """
deal: A cohort cut short, kept by periods because of its card
time: {start: 2020-01, step: quarter, horizon: 3 years}
cohorts: {all: {people: 100, referred: 2020-01 to 2020-12, if_cut_short: does not run}}
outcomes:
  placed: {counts: yes or no, without_service: 100%}
structures:
  card: {rate_card: {placed: 10}}
ends_early: {policy_change: {chance_a_year: 100%}}
"""


@pytest.mark.parametrize(("rule", "payment"), [("does not run", 0), ("counts as far as it ran", 250)])
def test_a_cohort_cut_short_counts_as_its_rule_says_also_when_kept_by_periods(rule, payment):
    result = simulate(loads(CUT_SHORT, sets=[f"cohorts.all.if_cut_short={rule}"]), draws=50, seed=1)
    assert set(result.draws("card")["payments"]) == {payment}
