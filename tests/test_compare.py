"""Comparisons: against a plain-Python account of single draws, against sums worked by hand, and against themselves."""

import json
import re
from math import isclose, sqrt
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from closeness import LIMIT
from deals import SMALL, deals
from hypothesis import given, settings

from simulator import parameters, reference
from simulator.budget import contractual_maximum
from simulator.cli import cli
from simulator.compare import PUBLIC, WITHOUT_INVESTORS, _Question, compare, rows
from simulator.dealfile import load, loads
from simulator.explain import _records, explain, happened_in
from simulator.outcomes import Outcomes
from simulator.plan import compile_plan
from simulator.run import simulate
from simulator.value_tables import compare_tables
from simulator.yamlfile import DealError

SCENARIOS = Path(__file__).parent.parent / "scenarios"
FEE = """
  conventional:
    fee: 190000
    finance: none
    costs: {delivery: 60000 a year}
    payers: {council: 100%}
"""
WORTHS = """
payers: {council: 40%, ministry: 60%}
optimism_bias: {trial: 0%, other: 25%, guess: uniform(20%, 60%)}
savings:
  benefits: {outcome: job, to: ministry, each: uniform(2000, 4000) a year, lasts: 30 months, cashable: 60%,
             after: 2 months, evidence: trial}
  courts: {outcome: offences, to: courts, each: 900, cashable: 10%, evidence: other, one_of: crime}
  prisons: {outcome: offences, to: council, each: 700 a year, lasts: uniform(3 months, 40 months), cashable: 50%,
            evidence: guess, one_of: crime}
social_value:
  wellbeing: {outcome: job, each: 1000, after: 1 year, evidence: guess}
ends_early: {policy_change: {chance_a_year: 30%}}
"""
VALUED = SMALL.replace("\n  fee:\n    fee: 200000\n    finance: none\n", FEE) + WORTHS
STOPPING = VALUED.replace("called: 1 quarter ahead}", "called: 1 quarter ahead, when_money_runs_out: stop referrals}")
STOPPING = STOPPING.replace("commitment: 150000", "commitment: 70000").replace("people: 80", "people: 83")

pytestmark = pytest.mark.usefixtures("kernels")


def question(text, budget=False, others=("nothing", "conventional", WITHOUT_INVESTORS)):
    deal = loads(text)
    return _Question(deal, 1, list(deal.structures), list(others), budget)


# -- the readable twin ------------------------------------------------------------------------------------------


class ByHand:
    """One draw of a comparison in plain Python: ledgers of the twin, worths and differences one number at a time."""

    def __init__(self, asked, draw, seed=1):
        self.asked, self.plan, self.deal = asked, asked.plan, asked.plan.deal
        self.time = self.deal.time
        shared = asked.shared
        rows_, _ = parameters.values(self.plan, shared.value_keys, draw, 1)
        alike = shared.outcomes(draw, rows_)
        self.values = parameters.row_by_path(self.plan.columns, rows_[0])
        expected = parameters.row_by_path(self.plan.columns, self.plan.expected)
        self.happened, self.ledgers = {}, {}
        for name in asked.settled:
            out, stops, _, _ = shared.outcomes_under(name, draw, rows_, alike)
            one = Outcomes(out.people[0], out.when[0], out.counts[0], out.arms[0])
            own = parameters.as_effective(self.plan, name, rows_)
            row = rows_[0] if own is None else own[0]
            persons = _records(shared, draw, row, one) if self.plan.people else None
            self.happened[name] = happened_in(self.plan, one, int(stops[0]), persons)
            self.ledgers[name] = reference.play(self.deal, name, self.values, expected, self.happened[name])
            self.play = lambda name, happened: reference.play(self.deal, name, self.values, expected, happened)
        real, inflation = self.values["rates", "payer"], self.values["rates", "inflation"]
        self.growth = (1 + real) * (1 + inflation)

    def present(self, flows):
        return sum(flow * self.growth ** (-t / self.time.a_year) for t, flow in enumerate(flows))

    def blocks_that_count(self, name):
        """Blocks of people that were served to the end, by what the ledger says about the stop."""
        stop = self.ledgers[name].metrics["stop"]
        for block in self.happened[name].blocks:
            cohort = self.deal.cohorts[block.cohort]
            last = block.last
            if cohort.if_cut_short == "does not run":
                last = self.time.period(cohort.referred.last)
            if stop is None or last <= stop:
                yield block

    def cash_of(self, name, key, worth):
        """Cash of one worth by period, as far as it lasts, before cashability."""
        each = (getattr(self.deal, key) or {})[worth]
        better = 1 if self.deal.outcomes[each.outcome].better == "more" else -1
        bias = self.values["optimism_bias", each.evidence]
        amount = self.values[key, worth, "each"] * (1 - bias)
        cash = [0.0] * 400
        step = self.time.months
        for block in self.blocks_that_count(name):
            more = better * (block.true[each.outcome] - block.without[each.outcome])
            starts = block.when[each.outcome]
            months = self.values[key, worth, "after"]
            while months > 1e-9:
                starts, months = starts + 1, months - step
            if each.each.form == "once":
                cash[starts] += more * amount
            else:
                months, t = self.values[key, worth, "lasts"], starts + 1
                while months > 1e-9:
                    cash[t] += more * amount * min(months, step) / 12
                    months, t = months - step, t + 1
        return cash

    def worths(self, name):
        """Present value of each worth that counts, and its cash by period."""
        found = {}
        for key in ("savings", "social_value"):
            for worth in getattr(self.deal, key) or {}:
                cash = self.cash_of(name, key, worth)
                found[key, worth] = (self.present(cash), cash)
        for (key, worth), (value, _) in list(found.items()):
            group = getattr(self.deal, key)[worth].one_of
            rivals = [w for w, each in getattr(self.deal, key).items() if group is not None and each.one_of == group]
            if any(abs(found[key, other][0]) > abs(value) for other in rivals if (key, other) in found):
                found[key, worth] = (0.0, [0.0] * 400)
        return found

    def account(self, name):
        """What the payers pay, where it goes, and what it is worth: present values."""
        ledger = self.ledgers[name]
        idle = [now - before for before, now in zip([0.0, *ledger.vehicle], ledger.vehicle, strict=False)]
        worths = self.worths(name)
        return {
            "cost": self.present(ledger.payments) + self.present(ledger.payer_costs),
            "set_up_and_evaluation": self.present(ledger.others) + self.present(ledger.payer_costs),
            "outside_capital": self.present(ledger.investor) + self.present(idle),
            "paying_on_outcomes": self.present(ledger.service) + self.present(ledger.provider),
            "savings": sum(value for (key, _), (value, _) in worths.items() if key == "savings"),
            "social_value": sum(value for (key, _), (value, _) in worths.items() if key == "social_value"),
            "surplus": sum(ledger.provider),
        }


@pytest.mark.parametrize("text", [VALUED, STOPPING], ids=["valued", "stopping"])
def test_differences_of_single_draws_are_those_of_the_readable_twin(text):
    asked = question(text, budget=True)
    stopped = counted = 0
    for draw in range(25):
        done, hand = asked.block(draw, 1), ByHand(asked, draw)
        stopped += hand.ledgers["rate card"].metrics["stop"] is not None
        accounts = {name: hand.account(name) for name in asked.settled}
        accounts[""] = dict.fromkeys(accounts["conventional"], 0.0)

        def close(ours, theirs, scale=1e6):
            return abs(ours - theirs) <= 1e-9 * scale

        for name in asked.names:
            mine = accounts[name]
            for key in ("cost", "savings", "social_value", "surplus"):
                assert close(done.series[name, key][0][0], mine[key]), (draw, name, key)
            if name != "conventional":
                for key in ("paying_on_outcomes", "outside_capital", "set_up_and_evaluation"):
                    found = done.moments[name, "cost_of_the_bond", key][1]
                    assert close(found, mine[key] - accounts["conventional"][key]), (draw, name, key)
            for outcome, additional in hand.ledgers[name].additional.items():
                assert done.moments[name, "additional", outcome][1] == additional
            for other in asked.others:
                theirs = asked.comparator(name, other)
                if theirs is None:
                    assert other != "nothing"
                    continue
                cost = mine["cost"] - accounts[theirs]["cost"]
                gain = mine["savings"] + mine["social_value"]
                gain -= accounts[theirs]["savings"] + accounts[theirs]["social_value"]
                here = (name, "against", other)
                assert close(done.series[*here, "cost"][0][0], cost)
                assert close(done.series[*here, "net_benefit"][0][0], gain - cost)
                assert done.events[*here, "better"].tolist() == [bool(gain - cost > 0.005)]
            worths = hand.worths(name)
            counted += sum(value != 0.0 for value, _ in worths.values())
            for y, year in enumerate([*asked.plan.years, "later"]):
                for body in asked.bodies:
                    due = 0.0
                    for worth, each in asked.deal.savings.items():
                        cash = worths["savings", worth][1]
                        inside = [
                            t
                            for t in range(len(cash))
                            if (t > hand.time.periods if year == "later" else t <= hand.time.periods)
                            and (year == "later" or hand.time.financial_year(t) == year)
                        ]
                        if each.to == body:
                            due += hand.values["savings", worth, "cashable"] * sum(cash[t] for t in inside)
                    assert close(done.moments[name, "saved in", body, y][1], due), (draw, name, body, year)
    assert counted > 100
    assert stopped > 2


def test_what_is_owed_after_a_termination_is_what_the_twin_owes():
    asked = question(VALUED, budget=True)
    something = 0
    for draw in range(12):
        done, hand = asked.block(draw, 1), ByHand(asked, draw)
        for name in asked.names:
            for y, year in enumerate(asked.plan.years):
                last = max(t for t in range(hand.time.periods + 1) if hand.time.financial_year(t) == year)
                happened = hand.happened[name]
                stop = last if happened.stop is None else min(happened.stop, last)
                ended = hand.play(name, reference.Happened(happened.blocks, happened.arms, stop))
                owed = sum(ended.payments[last + 1 :]) + sum(ended.payer_costs[last + 1 :])
                assert abs(done.series[name, "owed", y][0][0] - owed) <= 1e-6
                something += owed > 1.0
    assert something > 40


# -- worked by hand -----------------------------------------------------------------------------------------------

CERTAIN = """
deal: everything is certain
time: {start: 2020-04, step: quarter, horizon: 3 years}
rates: {payer: 10% nominal}
cohorts: {all: {people: 100, referred: 2020-04 to 2020-06}}
outcomes:
  home: {without_service: 0%, effect: 100%, effect_as: units, known_after: 3 months}
payers: {council: 100%}
structures:
  as signed:
    rate_card: {home: 1000}
    costs: {set_up: 5000, delivery: 40000 at the start}
    payer_costs: {evaluation: 3000 at the start}
    finance: {commitment: 45000, called: at the start}
  conventional: {fee: 44000, paid: at the start, costs: {delivery: 40000 at the start}, finance: none}
optimism_bias: {weak: 20%}
savings:
  beds: {outcome: home, to: council, each: SAVING, cashable: 50%, evidence: weak}
"""


def certain(saving, more=""):
    return compare(loads(CERTAIN.replace("SAVING", saving) + more), draws=2)["structures"]["as signed"]


def test_a_saving_that_comes_once_is_worth_its_discounted_amount():
    # referred in period 1, known in period 2, saved two quarters later: one year from the start
    found = certain("500, after: 6 months")
    assert isclose(found["savings"]["total"]["mean"], 100 * 500 * 0.8 / 1.1)
    assert isclose(found["savings"]["cashable"]["mean"], 100 * 500 * 0.8 / 1.1 / 2)
    assert found["savings"]["total"]["standard_error"] == 0.0


def test_a_saving_by_the_year_lasts_as_long_as_it_says():
    # quarters 3 to 6 whole, a third of quarter 7
    found = certain("1200 a year, lasts: 13 months")
    quarters = sum(1.1 ** (-t / 4) for t in (3, 4, 5, 6)) + 1.1 ** (-7 / 4) / 3
    assert isclose(found["savings"]["total"]["mean"], 100 * 300 * 0.8 * quarters)


def test_without_a_rate_nothing_is_discounted():
    deal = loads(CERTAIN.replace("SAVING", "1200 a year, lasts: 13 months").replace("10% nominal", "0% nominal"))
    found = compare(deal, draws=1)["structures"]["as signed"]
    assert isclose(found["savings"]["total"]["mean"], 100 * 100 * 13 * 0.8)


def test_the_cost_and_its_parts_of_a_deal_without_chance():
    found = certain("500")
    # 100,000 and the evaluation against the fee: the payment is known in quarter 2, own costs and fee fall in quarter 1
    one, two = 1.1**-0.25, 1.1**-0.5
    cost = 100_000 * two + 3_000 * one - 44_000 * one
    assert isclose(found["against"]["conventional"]["cost_difference"]["mean"], cost)
    parts = {key: each["value"] for key, each in found["cost_of_the_bond"].items()}
    assert isclose(parts["set_up_and_evaluation"], 8_000 * one)
    assert isclose(parts["paying_on_outcomes"], -4_000 * one)  # delivery without the fee's margin of 4,000
    # 45,000 called and spent at the end of the first quarter, 100,000 got back in the second, idle in between
    assert isclose(parts["outside_capital"], 100_000 * two - 45_000 * one)
    alone = found["against"][WITHOUT_INVESTORS]
    assert alone["cost_difference"]["mean"] == 0.0
    assert isclose(alone["provider"]["surplus_difference"]["mean"], -55_000)
    assert isclose(alone["provider"]["lowest_cash_difference"]["mean"], 45_000)


def test_of_savings_that_overlap_the_largest_counts():
    more = "  nights: {outcome: home, to: police, each: 300 a year, lasts: 4 years, evidence: weak, one_of: same}\n"
    found = certain("500, one_of: same", more)["savings"]
    assert found["by_saving"]["beds"]["value"] == 0.0
    assert found["by_saving"]["beds"]["counted_in"]["probability"] == 0.0
    assert found["by_saving"]["nights"]["counted_in"]["probability"] == 1.0
    assert found["by_body"]["council"]["value"] == 0.0
    assert found["total"]["mean"] == found["by_body"]["police"]["value"] > 100 * 500 * 0.8


def test_savings_that_do_not_overlap_are_added():
    more = "  nights: {outcome: home, to: police, each: 300 a year, lasts: 4 years, evidence: weak}\n"
    found = certain("500", more)["savings"]
    both = [each["value"] for each in found["by_saving"].values()]
    assert min(both) > 0
    assert isclose(found["total"]["mean"], sum(both))


def test_a_fee_may_be_a_block_spot_or_cost_and_volume():
    def schedule(terms):
        text = CERTAIN.replace("SAVING", "500").replace("fee: 44000, paid: at the start", terms)
        text = text.replace("2020-04 to 2020-06", "2020-04 to 2021-03")
        found = explain(loads(text), structure="conventional")["structures"]["conventional"]["schedule"]
        return [(row["period"], row["clause"], row["amount"]) for row in found if row["clause"]]

    # 25 people a quarter
    assert schedule("each_person: 440") == [(t, "each person", 11_000) for t in (1, 2, 3, 4)]
    volume = schedule("fee: 24000, paid: at the start, each_person: {price: 300, above: 60}")
    assert volume == [(1, "fee", 24_000), (3, "each person", 4_500), (4, "each person", 7_500)]
    assert schedule("each_person: {price: 300, above: 100}") == []
    found = compare(
        loads(CERTAIN.replace("SAVING", "500").replace("fee: 44000, paid: at the start", "each_person: 440")), draws=2
    )
    assert isclose(found["structures"]["conventional"]["cost"]["mean"], 44_000 * 1.1**-0.25)


# -- against itself -----------------------------------------------------------------------------------------------


def test_no_effect_is_worth_exactly_nothing_in_every_draw():
    text = VALUED.replace("effect: 10% ± 10%", "effect: 0%").replace("effect: -15% ± 10%", "effect: 0%")
    found = compare(loads(text), draws=5_000)["structures"]
    for each in found.values():
        assert each["savings"]["total"]["sd"] == each["savings"]["total"]["mean"] == 0.0
        assert each["social_value"]["mean"] == 0.0
        assert isclose(each["net_benefit"]["mean"], -each["cost"]["mean"])
    assert found["rate card"]["deadweight_share"]["value"] == 1.0
    with_effect = compare(loads(VALUED), draws=5_000)["structures"]["rate card"]
    assert with_effect["savings"]["total"]["mean"] > 0
    assert with_effect["deadweight_share"]["value"] < 0.9


@pytest.mark.parametrize("effect", ["0%", "-21%"])
def test_payments_of_the_innovation_fund_without_an_effect_are_all_deadweight(effect):
    deal = load(SCENARIOS / "innovation_fund.yaml", [f"quantities.effect of the service={effect}"])
    found = compare(deal, draws=4_096, structures=["as signed"])["structures"]["as signed"]
    assert found["cost"]["p05"] > 1e6
    assert found["deadweight_share"]["value"] >= 1.0
    assert (found["deadweight_share"]["value"] > 1.0) == (effect == "-21%")
    assert {each["grade"] for ms in found["three_ms"].values() for m, each in ms.items() if m == "meaningful"} == {
        "poor"
    }


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_parts_of_the_cost_add_up_to_the_paired_difference(path):
    found = compare(load(path), draws=3_000)["structures"]
    for name, each in found.items():
        if name == "conventional":
            assert each["cost_of_the_bond"] is None
            assert each["against"]["conventional"] is None
            continue
        parts = [part["value"] for part in each["cost_of_the_bond"].values()]
        whole = each["against"]["conventional"]["cost_difference"]
        assert abs(sum(parts) - whole["mean"]) <= 1e-9 * sum(map(abs, parts))
        assert all(part["standard_error"] >= 0 for part in each["cost_of_the_bond"].values())


def test_costs_are_those_of_a_run():
    deal = loads(VALUED)
    ours, run = compare(deal, draws=6_000)["structures"], simulate(deal, draws=6_000).to_dict()["structures"]
    for name, each in run.items():
        assert ours[name]["cash_cost"] == each["payer"]["cost"]
        assert ours[name]["cost"] == each["payer"]["cost_present_value"]
        assert ours[name]["provider"]["surplus"] == each["provider"]["surplus"]
        assert ours[name]["provider"]["probability_of_deficit"] == each["provider"]["probability_of_deficit"]
        assert ours[name]["provider"]["lowest_cash"] == each["provider"]["lowest_cash"]
        assert ours[name]["deadweight_share"] == each["payer"]["deadweight_share"]


LESS_EFFECTIVE = VALUED.replace("  conventional:\n", "  conventional:\n    effectiveness: 90%\n")


def test_paired_differences_are_at_least_five_times_as_sharp_as_with_seeds_of_their_own():
    deal = loads(LESS_EFFECTIVE)
    one, two = (compare(deal, draws=20_000, seed=seed)["structures"] for seed in (1, 2))
    paired = one["comparison"]["against"]["conventional"]
    for outcome in ("job", "offences"):
        ours, fee = one["comparison"]["additional_outcomes"], two["conventional"]["additional_outcomes"]
        apart = sqrt(ours[outcome]["standard_error"] ** 2 + fee[outcome]["standard_error"] ** 2)
        sharp = paired["additional_outcomes_difference"][outcome]
        assert 5 * sharp["standard_error"] < apart
        # and both estimate the same difference
        difference = ours[outcome]["value"] - fee[outcome]["value"]
        assert abs(sharp["value"] - difference) < LIMIT * sqrt(apart**2 + sharp["standard_error"] ** 2)
    ours, fee = one["comparison"]["savings"]["total"], two["conventional"]["savings"]["total"]
    apart = sqrt(ours["standard_error"] ** 2 + fee["standard_error"] ** 2)
    assert 5 * paired["savings_difference"]["standard_error"] < apart


def test_seeds_of_their_own_are_not_that_sharp():
    # negative control: differences of draws that share nothing
    deal = loads(LESS_EFFECTIVE)
    one, two = (_Question(deal, seed, list(deal.structures), ["nothing"], False).block(0, 4096) for seed in (1, 2))
    ours = one.series["comparison", "savings"][0]
    shared, own = one.series["conventional", "savings"][0], two.series["conventional", "savings"][0]
    assert 5 * np.std(ours - shared) < np.std(ours - own)
    assert np.std(ours - own) > np.std(ours)


def test_the_errors_that_differences_would_have_unpaired_are_those_of_both_sides():
    deal = load(SCENARIOS / "essex.yaml")
    data = compare(deal, 3_000, against=["nothing", "conventional"])["structures"]
    ours, fee = data["as signed"], data["conventional"]
    errors = ours["against"]["conventional"]["errors"]
    for key, of in (("cost_difference", "cost"), ("net_benefit_difference", "net_benefit")):
        apart = np.hypot(ours[of]["standard_error"], fee[of]["standard_error"])
        assert errors[key]["unpaired"] == pytest.approx(apart, rel=1e-12)
        assert errors[key]["paired"] == ours["against"]["conventional"][key]["standard_error"]
    # the same people have the same outcomes under both: paired there is no error at all
    days = errors["additional_outcomes_difference"]["days in care"]
    each = [one["additional_outcomes"]["days in care"]["standard_error"] for one in (ours, fee)]
    assert days == {"paired": 0.0, "unpaired": pytest.approx(np.hypot(*each))}
    assert errors["savings_difference"]["unpaired"] > 0.0 == errors["savings_difference"]["paired"]
    nothing = ours["against"]["nothing"]["errors"]["cost_difference"]
    assert nothing["unpaired"] == nothing["paired"] == ours["cost"]["standard_error"]


def test_the_same_effectiveness_moves_nothing_and_none_leaves_no_effect():
    plain = compare(loads(VALUED), draws=5_000)["structures"]
    for share, same in (("100%", True), ("0%", False)):
        text = VALUED.replace("  conventional:\n", f"  conventional:\n    effectiveness: {share}\n")
        found = compare(loads(text), draws=5_000)["structures"]
        assert found["comparison"]["cost"] == plain["comparison"]["cost"]
        if same:
            assert found["conventional"]["net_benefit"] == plain["conventional"]["net_benefit"]
        else:
            assert found["conventional"]["savings"]["total"]["sd"] == 0.0
            assert {each["value"] for each in found["conventional"]["additional_outcomes"].values()} == {0.0}


def test_an_uncertain_effectiveness_multiplies_the_effect():
    # 400 people, 20 points more: 80 more; half as effective 40, on average over uniform(0%, 100%)
    text = """
deal: half
time: {start: 2020-04, horizon: 2 years}
cohorts: {all: {people: 400, referred: 2020-04 to 2020-06}}
outcomes:
  job: {without_service: 30%, effect: 20%, effect_as: units}
  home: {without_service: {first_step: 30%}, steps: {in: {chance: 50%}, kept: {chance: 60%}}}
structures:
  as signed: {rate_card: {job: 100, kept: 50}, costs: {delivery: 9000}, at_most: {per_person: 120}}
  conventional: {fee: 9000, costs: {delivery: 9000}, effectiveness: "uniform(0%, 100%)"}
"""
    for engine in ("people", "aggregate"):
        deal = loads(text if engine == "people" else text.replace(", at_most: {per_person: 120}", ""))
        data = compare(deal, draws=20_000)
        assert data["engine"] == engine
        found = data["structures"]["conventional"]["additional_outcomes"]
        for outcome, expected in (("job", 40.0), ("in", 40.0), ("kept", 24.0)):
            each = found[outcome]
            assert abs(each["value"] - expected) < LIMIT * each["standard_error"]
            assert each["standard_error"] < expected / 50
        run = simulate(deal, draws=4_000)["conventional"].payer.cost_per_additional_outcome["job"]
        assert abs(run.value - 9000 / 40) < LIMIT * run.standard_error
        explain(deal, draw=3)  # the twin agrees with its own outcomes, too


def test_what_is_transferred_and_what_is_paid_for_it_add_up_to_the_payments():
    deal = load(SCENARIOS / "peterborough.yaml")
    found = compare(deal, draws=20_000)["structures"]["as signed"]
    run = simulate(deal, draws=20_000)
    below = found["probability_below_promise"]["probability"]
    assert found["risk_transferred"]["count"] == round(below * 20_000)
    assert found["risk_transferred"]["count"] + found["premium_paid"]["count"] == 20_000
    whole = (1 - below) * found["premium_paid"]["mean"] - below * found["risk_transferred"]["mean"]
    paid, fee = (run[name].payments_present_value.mean for name in ("as signed", "conventional"))
    assert isclose(whole, paid - fee, rel_tol=1e-9)
    # the effect is normal(-7.5%, 6%) and the promise 10%
    assert abs(below - 0.66154) < LIMIT * found["probability_below_promise"]["standard_error"]


def test_without_values_a_net_benefit_is_known_only_on_the_same_outcomes():
    data = compare(loads(SMALL.replace("\n  fee:\n    fee: 200000\n    finance: none\n", FEE)), draws=500)
    each = data["structures"]["comparison"]
    assert each["net_benefit"] is each["savings"] is each["against"]["nothing"]["net_benefit_difference"] is None
    assert each["against"]["nothing"]["probability_better_value"] is None
    fee = each["against"]["conventional"]
    assert isclose(fee["net_benefit_difference"]["mean"], -fee["cost_difference"]["mean"])
    assert "values no outcome" in data["warnings"][0]


# -- the budget ---------------------------------------------------------------------------------------------------


def test_years_add_up_and_slippage_is_the_95th_percentile_less_the_expected():
    data = compare(loads(VALUED), draws=4_000, budget=True)
    for each in data["structures"].values():
        for payer, page in each["budget"]["payers"].items():
            total = sum(year["expected"]["value"] for year in page["years"])
            assert isclose(total, page["all_years"]["expected"]["value"], rel_tol=1e-9)
            assert isclose(total, page["share"] * each["cash_cost"]["mean"], rel_tol=1e-9)
            for year in page["years"]:
                assert isclose(year["slippage"], year["p95"] - year["expected"]["value"], abs_tol=1e-6)
            assert page["share"] == {"council": 0.4, "ministry": 0.6}.get(payer, 1.0) or len(each["budget"]) == 2


def _highest(deal, draws, seed=1):
    """The largest cash in any draw, by structure and year, and of all years."""
    asked = _Question(deal, seed, list(deal.structures), ["nothing"], True)
    done = asked.block(0, draws)
    for name in asked.names:
        years = np.stack([done.series[name, "year", y][0] for y in range(len(asked.plan.years))], axis=1)
        yield name, years.max(axis=0), years.sum(axis=1).max()


def _insist_on_the_bound(deal, draws):
    plan, finite = compile_plan(deal), 0
    for name, years, whole in _highest(deal, draws):
        bounds, reason = contractual_maximum(plan, name)
        (of_all,), _ = contractual_maximum(plan, name, whole=True)
        for found, bound in zip([*years, whole], [*bounds, of_all], strict=True):
            assert bound is None or found <= bound * (1 + 1e-9) + 1e-6, name
            assert bound is not None or reason or of_all is None
            finite += bound is not None
    return finite


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_draw_costs_more_than_the_contractual_maximum(path):
    assert _insist_on_the_bound(load(path), 2_000) > 10


@given(deals())
@settings(max_examples=60)
def test_no_draw_of_any_deal_costs_more_than_the_contractual_maximum(deal):
    _insist_on_the_bound(deal, 20)


def test_a_contractual_maximum_worked_by_hand():
    plan = compile_plan(loads(CERTAIN.replace("SAVING", "500")))
    assert contractual_maximum(plan, "as signed") == ([103_000, 100_000, 100_000], None)
    assert contractual_maximum(plan, "as signed", whole=True) == ([103_000], None)
    assert contractual_maximum(plan, "conventional") == ([44_000, 0, 0], None)
    capped = loads(CERTAIN.replace("SAVING", "500").replace("{home: 1000}", "{home: 1000}\n    at_most: {year: 6000}"))
    assert contractual_maximum(compile_plan(capped), "as signed") == ([9_000, 6_000, 6_000], None)
    late = loads(
        CERTAIN.replace("SAVING", "500").replace("paid: at the start,", "paid: at the start, paid_after: 12 months,")
    )
    assert contractual_maximum(compile_plan(late), "conventional") == ([0, 44_000, 0], None)
    endless = loads(SMALL.replace("at_most: {contract: 250000}", "note: no cap"))
    bounds, reason = contractual_maximum(compile_plan(endless), "rate card")
    assert bounds[-2] is None
    assert reason == "fewer offences: the number that it pays for is not limited"


@given(deals())
@settings(max_examples=40)
def test_any_deal_can_be_compared_and_its_parts_add_up(deal):
    first, *others = deal.structures.items()
    deal = deal.model_copy(update={"structures": {"conventional": first[1], **dict(others)}})
    data = compare(deal, draws=5, budget=True)
    json.dumps(data, allow_nan=False)
    compare_tables(data, three_ms=True)
    for name, each in data["structures"].items():
        assert isclose(each["against"]["nothing"]["cost_difference"]["mean"], each["cost"]["mean"])
        if name != "conventional":
            parts = [part["value"] for part in each["cost_of_the_bond"].values()]
            whole = each["against"]["conventional"]["cost_difference"]["mean"]
            assert abs(sum(parts) - whole) <= 1e-9 * (1 + sum(map(abs, parts)))


# -- the three Ms -------------------------------------------------------------------------------------------------


def test_a_measurement_of_a_thousand_against_ten_thousand_has_its_published_error():
    # mean 1.55 and dispersion 0.69 give a relative standard error of about 4.8%; half the trigger of 10%
    sets = [
        "outcomes.reconvictions.without_service=1.55",
        "outcomes.reconvictions.dispersion=0.69",
        "outcomes.reconvictions.comparison_arm.effective_share=100%",
        "outcomes.reconvictions.comparison_arm.shared_bias=0%",
        "quantities.men released=100%",
    ]
    found = compare(load(SCENARIOS / "peterborough.yaml", sets), draws=500)["structures"]["as signed"]["three_ms"]
    expected = sqrt((1.55 + 1.55**2 / 0.69) * (1 / 1000 + 1 / 10_000)) / 1.55
    assert round(expected, 3) == 0.048
    measurable = found["reconvictions"]["measurable"]
    assert "standard error of 4.8% of the level, and 7.5% is expected" in measurable["reason"]
    assert measurable["grade"] == "fair"
    assert found["reconvictions"]["monetisable"]["grade"] == "fair"  # a saving of which nothing is cashable


def test_the_grades_follow_the_draws_and_the_file():
    text = CERTAIN.replace("SAVING", "500")
    grades = compare(loads(text), draws=10)["structures"]["as signed"]["three_ms"]["home"]
    assert [each["grade"] for each in grades.values()] == ["good", "good", "fair"]  # the evidence is weak
    better = compare(loads(text.replace("weak: 20%", "weak: 15%")), draws=10)["structures"]["as signed"]["three_ms"]
    assert better["home"]["monetisable"]["grade"] == "good"
    worse = text.replace("effect: 100%", "effect: -1%").replace("without_service: 0%", "without_service: 60%")
    grades = compare(loads(worse), draws=100)["structures"]["as signed"]["three_ms"]["home"]
    assert grades["meaningful"]["grade"] == "poor"
    lost = text.replace("known_after: 3 months", "known_after: 3 months, evidence: {missing: 30%}")
    assert (
        compare(loads(lost), draws=100)["structures"]["as signed"]["three_ms"]["home"]["measurable"]["grade"] == "poor"
    )


# -- the command --------------------------------------------------------------------------------------------------


def _sib(*words):
    return CliRunner().invoke(cli, list(words))


@pytest.fixture
def valued(tmp_path):
    path = tmp_path / "valued.yaml"
    path.write_text(VALUED, encoding="utf-8")
    return str(path)


def test_the_command_says_the_same_for_any_number_of_threads(valued):
    def said(threads):
        done = _sib("compare", valued, "--draws", "10000", "--budget", "--format", "json", "--threads", threads)
        assert done.exit_code == 0, done.output
        return {key: value for key, value in json.loads(done.stdout).items() if key not in {"environment", "elapsed"}}

    assert json.dumps(said("1")) == json.dumps(said("3"))


def test_table_and_csv_have_every_section(valued):
    table = _sib("compare", valued, "--draws", "500", "--budget", "--three-ms").stdout
    for words in ("Against nothing", "Against conventional", "without investors", "taken apart", "Service provider",
                  "Budget of council, rate card", "cashable savings", "meaningful", "benefit-cost ratio"):  # fmt: skip
        assert words in table
    lines = _sib("compare", valued, "--draws", "500", "--budget", "--format", "csv").stdout.splitlines()
    assert lines[0] == "structure,party,metric,statistic,value,standard_error"
    wanted = "rate card,against,conventional.net_benefit_difference,mean,"
    assert sum(line.startswith(wanted) for line in lines) == 1
    assert all(line.count(",") >= 5 for line in lines)
    data = compare(loads(VALUED), draws=500)
    found = {row[:4]: row[4:] for row in rows(data)}
    whole = data["structures"]["rate card"]["against"]["conventional"]["net_benefit_difference"]
    key = ("rate card", "against", "conventional.net_benefit_difference", "mean")
    assert found[key] == (whole["mean"], whole["standard_error"])


def test_another_structure_may_be_the_comparator(valued):
    done = _sib("compare", valued, "--draws", "500", "--against", "comparison", "--structure", "rate card", "--format",
                "json")  # fmt: skip
    found = json.loads(done.stdout)["structures"]
    assert list(found) == ["rate card"]
    assert list(found["rate card"]["against"]) == ["comparison"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--against", "conventionel"], "no comparator is called 'conventionel'; did you mean 'conventional'?"),
        (["--structure", "rate crad"], "no structure is called 'rate crad'"),
        (["--draws", "0"], "allowed: 1 to"),
        (["--set", "savings.courts.each=-5"], "savings.courts.each: -5 is out of range"),
        (["--set", "savings.courts.cashable=120%"], "savings.courts.cashable"),
    ],
)
def test_mistakes_are_said_in_one_line(valued, words, said, capsys, monkeypatch):
    import sys

    from simulator.cli import main

    monkeypatch.setattr(sys, "argv", ["sib", "compare", valued, *words])
    with pytest.raises(SystemExit) as ended:
        main()
    caught = capsys.readouterr()
    assert ended.value.code == 2
    assert caught.out == ""
    assert said in caught.err
    assert len(caught.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("outcome: job, to", "outcome: jbo, to", "savings.benefits.outcome: no outcome is called 'jbo'"),
        ("evidence: other", "evidence: othr", "no grade under optimism_bias is called 'othr'; did you mean 'other'?"),
        (", lasts: 30 months", "", "savings.benefits: is worth something a year, but for how long is not said"),
        ("each: 900,", "each: 900, lasts: 2 years,", "savings.courts.lasts: belongs to a worth by the year"),
        ("guess, one_of: crime", "guess", "savings.courts.one_of: 'crime' is a group of one"),
        ("to: courts, ", "", "savings.courts.to"),
        ("each: 1000, after", "each: 1000, to: council, after", "social_value.wellbeing.to"),
        (
            "    fee: 190000\n",
            "    pays: {f: {for: the contract, due: evenly, above: 3, amount: {lump_sum: 5}}}\n",
            "pays.f.above: counts people who are referred; allowed: with due: when referred",
        ),
        ("    fee: 190000\n", "    fee: 190000\n    effectiveness: -10%\n", "effectiveness: -10% is out of range"),
    ],
)
def test_mistakes_in_what_an_outcome_is_worth(old, new, said):
    assert old in VALUED
    with pytest.raises(DealError) as error:
        loads(VALUED.replace(old, new, 1))
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_names_that_are_unknown_are_errors_of_the_function():
    deal = loads(VALUED)
    for wrong in ({"structures": ["x"]}, {"against": ["x"]}):
        with pytest.raises(KeyError):
            compare(deal, draws=10, **wrong)
    with pytest.raises(ValueError, match="draws"):
        compare(deal, draws=0)
    assert PUBLIC in compare(deal, draws=1, budget=True)["structures"]["conventional"]["budget"]["payers"]


def test_the_figures_of_the_questions_in_the_readme_are_in_the_output_that_it_shows():
    readme = (SCENARIOS.parent / "README.md").read_text(encoding="utf-8")
    page = readme.split("A commissioner's page")[1]
    output = page.split("```text")[1].split("```")[0]
    asked = [line for line in page.splitlines() if line.startswith("| ")][2:11]
    figures = [each for line in asked for each in re.findall(r"£(\d[\d,]*\d)", line.split("|")[3]) if "," in each]
    assert len(figures) >= 4
    for each in figures:
        assert each in output, each
