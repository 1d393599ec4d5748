"""Solving and stress tests against closed forms, and every way in which they can have no answer."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from simulator import parameters
from simulator.compare import compare
from simulator.dealfile import loads
from simulator.plan import compile_plan
from simulator.report import as_text, stress_tables
from simulator.run import Simulation, simulate
from simulator.shocks import matches, parse_change
from simulator.solve import Metric, Target, Value, frontier, parse_target, parse_wanted, roots, solve, until
from simulator.stress import DRIVERS, SHOCKS, TOGETHER, counterfactual, difference, difference_of_quantiles, stress
from simulator.yamlfile import AskError, DealError

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'sib'; from simulator.cli import main; main()"]

CARD = """\
deal: card
time: {start: 2024-01, step: quarter, horizon: 4 years}
cohorts: {all: {people: 40, referred: 2024-01 to 2024-12}}
outcomes: {job: {without_service: 30%, effect: 50%, known_after: 6 months}}
structures:
  card: {rate_card: {job: 500}, costs: {set_up: 8000}, finance: {commitment: 8000, called: at the start}}
  group: {group_threshold: {outcome: job, at_least: 18 people, pays: 10000}, finance: {commitment: 8000}}
  conventional: {fee: 8000, costs: {set_up: 8000}}
"""
LARGE = """\
deal: large
time: {start: 2024-01, step: quarter, horizon: 4 years}
cohorts: {all: {people: 1000000, referred: 2024-01 to 2024-12, if_cut_short: does not run}}
outcomes: {job: {without_service: "uniform(30%, 60%)", known_after: 6 months}}
structures:
  group:
    group_threshold: {outcome: job, at_least: 40%, pays: 1000}
    costs: {set_up: 500}
    finance: {commitment: 500, called: at the start}
"""
PRICE = "structures.card.pays.job.amount.price"
LEAST = "structures.group.group_threshold.at_least"


@pytest.fixture(scope="module", autouse=True)
def compiled(kernels):
    """So that nothing compiles in a test."""


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text(CARD, encoding="utf-8")
    return path


# ---------------------------------------------------------------------------------------------------
# Roots of functions that are known
# ---------------------------------------------------------------------------------------------------


def _gap(function, half=0.0):
    return lambda at: [Value(function(x), function(x) - half, function(x) + half) for x in at]


def test_the_root_of_a_line_and_its_interval():
    (root,) = roots(_gap(lambda x: 3.0 * (x - 2.0), half=0.6), 0.0, 10.0)
    assert root.kind == "solution"
    assert root.at == pytest.approx(2.0, abs=2e-5)
    assert root.interval == pytest.approx((1.8, 2.2), abs=2e-3)


def test_several_roots_none_and_the_ends_of_the_range():
    found = roots(_gap(lambda x: (x - 1.0) * (x - 4.0)), 0.0, 10.0)
    assert [root.at for root in found] == pytest.approx([1.0, 4.0], abs=2e-5)
    assert roots(_gap(lambda x: x + 1.0), 0.0, 10.0) == []
    (root,) = roots(_gap(lambda x: x - 1.0, half=50.0), 0.0, 10.0)
    assert root.interval == (0.0, 10.0)
    (root,) = roots(_gap(lambda x: math.nan if x < 3 else x - 7.0), 0.0, 10.0)
    assert root.at == pytest.approx(7.0, abs=2e-5)


def test_a_jump_beyond_the_error_is_a_step_and_one_within_it_is_not():
    (root,) = roots(_gap(lambda x: -1.0 if x <= 8 else 1.0, half=0.1), 0.0, 30.0)
    assert (root.kind, root.at) == ("step", 8.0)
    assert (root.left.value, root.right.value) == (-1.0, 1.0)
    (root,) = roots(_gap(lambda x: np.floor(1000 * x) / 1000 - 0.50005, half=0.1), 0.0, 1.0)
    assert root.kind == "solution"


def test_a_plateau_of_solutions_is_a_range():
    (root,) = roots(_gap(lambda x: max(x - 4.0, 0.0)), 0.0, 10.0)
    assert root.kind == "range"
    assert (root.at, root.until) == (0.0, pytest.approx(4.0, abs=2e-5))


# ---------------------------------------------------------------------------------------------------
# Terms with answers that are known
# ---------------------------------------------------------------------------------------------------


def test_the_price_that_gives_a_mean_payment(card):
    """Payments are price x Binomial(40, 45%): the price is 9,000 / 18, and the interval has the width of the mean's."""
    hits, wrong = 0, 0
    for seed in range(20):
        found = solve(card, f"{PRICE}=300:700", "payments.mean of card = 9000", draws=2_000, seed=seed)
        (solution,) = found["solutions"]
        low, high = solution["interval"]
        hits += low <= 500.0 <= high
        wrong += low <= 510.0 <= high  # a mean of 17.65 people
        half = 1.96 * 500 * math.sqrt(40 * 0.45 * 0.55 / 2_000) / 18
        assert (high - low) / 2 == pytest.approx(half, rel=0.15)
    assert hits >= 16  # P(fewer | 95%) = 0.0026
    assert wrong <= 8  # half a step of 1.3 standard errors


@pytest.mark.parametrize(("wanted", "bound"), [(0.5, 0.45), (0.25, 0.525)])
def test_the_share_at_which_half_and_a_quarter_of_the_draws_pay(wanted, bound):
    """With a million people the share is the chance, uniform(30%, 60%): P(paid) = (60% - bound) / 30%."""
    path = "structures.group.pays.group threshold.when.share with job=30%:60%"
    half = 1.96 * 0.3 * math.sqrt(wanted * (1 - wanted) / 4_000)
    hits = wrong = 0
    widths = []
    for seed in range(12):
        asked = f"triggers.any payment.probability of group = {wanted:.0%}"
        (solution,) = solve(loads(LARGE), path, asked, draws=4_000, seed=seed)["solutions"]
        low, high = solution["interval"]
        assert solution["kind"] == "solution"
        widths.append(high - low)
        hits += low <= bound <= high
        wrong += low <= bound + 1.5 * half <= high
    assert np.mean(widths) == pytest.approx(2 * half, rel=0.1)  # one width varies by the root of the 124 draws in it
    assert hits >= 9  # P(fewer | 95%) = 0.002
    assert wrong <= 6


def test_a_threshold_in_whole_people_is_a_step(card):
    found = solve(card, LEAST, "triggers.any payment.probability of group = 50%", draws=8_000)
    (solution,) = found["solutions"]
    people = stats.binom(40, 0.45)
    least = next(k for k in range(40) if people.sf(k) < 0.5)  # P(X >= k + 1) < 50% <= P(X >= k)
    assert (solution["kind"], solution["value"]) == ("step", least)
    assert solution["metric_below"] == pytest.approx(people.sf(least - 1), abs=4 * math.sqrt(0.25 / 8_000))
    assert solution["metric_above"] == pytest.approx(people.sf(least), abs=4 * math.sqrt(0.25 / 8_000))
    assert found["now"] == 18


def test_the_sum_that_gives_a_rate_of_return():
    """500 at the start, and a sum that is always paid when known: IRR = (sum / 500)^(1 / years) - 1."""
    text = LARGE.replace("at_least: 40%", "at_least: 0 people")
    found = solve(
        loads(text),
        "structures.group.pays.group threshold.amount.lump_sum=400:1500",
        "investor.irr.p50 of group = 7%",
        draws=100,
    )
    (solution,) = found["solutions"]
    assert solution["value"] == pytest.approx(500 * 1.07 ** (6 / 4), rel=1e-5)  # known at the end of period 6
    assert solution["interval"] == pytest.approx([solution["value"]] * 2, rel=1e-4)


def test_equal_cost_is_solved_on_paired_draws(card):
    found = solve(card, f"{PRICE}=100:900", "payer.cost.mean of card = payer.cost.mean of conventional", draws=4_000)
    (solution,) = found["solutions"]
    assert solution["interval"][0] <= 8000 / 18 <= solution["interval"][1]


def test_no_solution_and_a_range_of_solutions_are_said(card):
    found = solve(card, f"{PRICE}=100:200", "payments.mean of card = 9000", draws=200)
    assert found["solutions"] == []
    assert found["at_the_ends"] == pytest.approx([1800, 3600], rel=0.05)
    found = solve(card, f"{PRICE}=100:200", "investor.probability_of_loss.probability of card = 100%", draws=200)
    (solution,) = found["solutions"]
    assert (solution["kind"], solution["value"], solution["value_until"]) == ("range", 100, 200)


def test_a_frontier_has_no_setting_that_another_betters(card):
    found = frontier(
        card,
        [f"{PRICE}=600:1200", "structures.card.finance.surplus_to_investors=50%:100%"],
        "card",
        number=4,
        draws=300,
    )
    best = [each for each in found["settings"] if each["efficient"]]
    assert 0 < len(best) < len(found["settings"]) == 16
    # the payer pays the same whatever the investors' share, so that all of the surplus is efficient
    assert {each["values"][1] for each in best} == {1.0}
    with pytest.raises(AskError, match="two"):
        frontier(card, [PRICE], "card")


@pytest.mark.parametrize(
    ("path", "so_that", "what"),
    [
        (PRICE, "payments.mean of card", "has no '='"),
        (PRICE, "payments.mean of crad = 9000", "did you mean 'card'"),
        (PRICE, "payments.mean = 9000", "names no structure"),
        (PRICE, "payment.mean of card = 9000", "did you mean 'payments'"),
        (PRICE, "payments of card = 9000", "is several numbers"),
        (PRICE, "payments.mean of card = lots", "is neither a number"),
        (PRICE + "=5:1", "payments.mean of card = 9000", "is empty"),
        (PRICE + "=1,2", "payments.mean of card = 9000", "a list is no range"),
        ("structures.card.pays.job.amount.prize", "payments.mean of card = 9000", "there is no such path"),
        ("deal", "payments.mean of card = 9000", "give a range"),
        ("rates.inflation=3:4", "payments.mean of card = 9000", "out of range"),
    ],
)
def test_what_cannot_be_solved_is_said_in_one_line(card, path, so_that, what):
    with pytest.raises((AskError, DealError), match=what) as error:
        solve(card, path, so_that, draws=50)
    assert len(str(error.value).splitlines()) == 1


# ---------------------------------------------------------------------------------------------------
# Target error
# ---------------------------------------------------------------------------------------------------


def test_draws_double_until_the_error_is_reached_and_the_answer_is_that_of_its_draws():
    asked = []

    def ask(draws):
        asked.append(draws)
        return simulate(loads(CARD), draws)

    target = parse_target("payments.mean of card=15")
    found, reached = until(target, ask, lambda each: each.to_dict(), 1_000)
    assert asked == [1_000, 2_000, 4_000, 8_000, 16_000]  # 500 sqrt(9.9 / n) = 15 at n = 11,000
    assert reached <= 15
    direct = simulate(loads(CARD), 16_000).to_dict()
    ours = found.to_dict()
    assert {k: v for k, v in ours.items() if k != "elapsed"} == {k: v for k, v in direct.items() if k != "elapsed"}


def test_no_or_all_successes_have_the_error_of_wilsons_interval():
    found = simulate(loads(CARD), 1_000).to_dict()
    chance = found["structures"]["conventional"]["triggers"]["any payment"]
    assert chance["standard_error"] == 0.0
    assert Target("triggers.any payment.probability", "conventional", 1.0).reached(found) == pytest.approx(
        (1 - chance["interval"][0]) / (2 * 1.96), rel=1e-3
    )
    with pytest.raises(AskError, match="has no standard error"):
        Target("payments.sd", "card", 1.0).reached(found)
    with pytest.raises(AskError, match="is not defined"):
        Target("investor.payback.mean", None, 1.0).reached(
            simulate(loads(LARGE, sets=["structures.group.group_threshold.at_least=100%"]), 10).to_dict()
        )
    for text in ("payments.mean", "payments.mean=0", "payments.mean=x", "payments.mean=-1"):
        with pytest.raises(AskError, match="allowed: METRIC=VALUE"):
            parse_target(text)


# ---------------------------------------------------------------------------------------------------
# Stress
# ---------------------------------------------------------------------------------------------------


def test_halving_the_effect_takes_the_difference_of_two_binomials(card):
    found = stress(card, ["half of the effect"], draws=4_000, reverse=False)
    each = found["structures"]["card"]
    gap = each["shocks"]["half of the effect"]["difference"]["cost.mean"]
    assert gap["value"] == pytest.approx(-500 * 40 * 0.075, abs=4 * gap["standard_error"])
    # on one uniform the two counts differ by about 3, give or take 0.6; apart they would by sqrt(9.9 + 9.4)
    assert gap["standard_error"] < 0.3 * 500 * math.sqrt(9.9 + 9.4) / math.sqrt(4_000)
    assert each["base"]["payer"]["cost"]["mean"] == simulate(loads(CARD), 4_000)["card"].payer.cost.mean


def test_a_shock_of_outcomes_is_the_run_of_the_deal_with_that_number(card):
    found = stress(card, ["referrals 30% below plan"], draws=3_000, reverse=False)["structures"]["card"]
    run = simulate(loads(CARD, sets=["cohorts.all.referrals=70%"]), 3_000)["card"]
    under = found["shocks"]["referrals 30% below plan"]
    assert under["payer"]["cost"]["mean"] == run.payer.cost.mean
    assert under["triggers"]["any payment"]["probability"] == run.triggers["any payment"].probability


def test_a_shock_is_no_plan_capital_is_called_on_what_was_planned():
    text = CARD.replace("called: at the start", "called: 1 quarter ahead").replace(
        "set_up: 8000", "delivery: 6000 a year"
    )
    found = stress(loads(text), ["costs 20% higher"], draws=50, reverse=False)["structures"]["card"]
    planned = simulate(loads(text, sets=["structures.card.costs.delivery=7200 a year"]), 50)["card"]
    assert found["shocks"]["costs 20% higher"]["payer"]["cost"]["mean"] == planned.payer.cost.mean
    assert found["shocks"]["costs 20% higher"]["investor"]["irr"]["mean"] != planned.investor.irr.mean


@pytest.mark.parametrize("better", ["more", "fewer"])
@pytest.mark.parametrize("units", [True, False])
def test_where_things_go_better_without_the_service_they_are_what_they_were_with_it(better, units):
    how = f"effect_as: {'units' if units else 'share'}, better: {better}"
    outcome = f"{{without_service: uniform(20%, 40%), effect: normal(mean 10%, sd 2%), {how}}}"
    text = CARD.replace("{without_service: 30%, effect: 50%, known_after: 6 months}", outcome)
    plan = compile_plan(loads(text))
    rows, _ = parameters.values(plan, parameters.keys_of(plan, 1), 0, 500)
    row = plan.outcomes[0]
    level, effect = rows[:, row["level_at"]].copy(), rows[:, row["effect_at"]].copy()
    counterfactual(plan, rows, 0.1)
    new_level, new_effect = rows[:, row["level_at"]], rows[:, row["effect_at"]]
    assert np.allclose(new_level, level * (1.1 if better == "more" else 0.9))
    served = (level + effect, new_level + new_effect) if units else (level * (1 + effect), new_level * (1 + new_effect))
    assert np.allclose(*served, rtol=1e-12)


CERTAIN = """\
deal: certain
time: {start: 2024-01, step: quarter, horizon: 4 years}
cohorts: {all: {people: 1000000, referred: 2024-01 to 2024-12}}
outcomes: {job: {without_service: 25%, effect: 100%, known_after: 6 months}}
structures:
  card: {rate_card: {job: 1.25}, costs: {set_up: 500000}, finance: {commitment: 500000, called: at the start}}
  conventional: {fee: 640000}
"""


def test_breaking_even_is_at_the_share_of_the_plan_that_just_returns_the_capital():
    """A million people of whom half succeed at 1.25 return 625,000 of 500,000: four fifths of them suffice."""
    found = stress(loads(CERTAIN), ["half of the effect"], draws=400)
    reverse = found["structures"]["card"]["reverse"]
    broken = reverse["referrals"]["median IRR below 0"]
    assert broken["share_of_plan"] == pytest.approx(0.8, abs=0.002)
    assert broken["interval"][0] <= 0.8 <= broken["interval"][1]
    # a quarter of a million succeed without the service: half of them 1.25 each is 312,500, and 60% of the effect
    assert reverse["effect"]["median IRR below 0"]["at"] == pytest.approx(0.6, abs=0.002)
    assert reverse["evidence"]["median IRR below 0"]["at"] == pytest.approx(0.2, abs=0.002)
    # what the commitment does not cover is paid from receipts first: 625,000 - 500,000 (times - 1) = 500,000
    assert reverse["costs"]["median IRR below 0"]["at"] == pytest.approx(1.25, abs=0.005)
    assert {each["median IRR below 0"]["met"] for each in reverse.values()} == {"at", "never within its range"}
    assert reverse["delay"]["P(loss) above 25%"]["met"] == "never within its range"
    assert reverse["referrals"]["payer better off conventionally"]["met"] == "never within its range"
    assert found["payer_judged_by"] == "cost_present_value"
    assert found["structures"]["conventional"]["reverse"]["referrals"]["median IRR below 0"] is None


def test_where_a_criterion_is_met_as_planned_it_is_said_how_far_a_driver_must_improve():
    """At 0.9 each half a million return 450,000 of 500,000."""
    found = stress(loads(CERTAIN.replace("job: 1.25", "job: 0.9")), ["half of the effect"], draws=400)
    reverse = found["structures"]["card"]["reverse"]
    met = {driver: each["median IRR below 0"] for driver, each in reverse.items()}
    assert {each["met"] for each in met.values()} == {"as planned"}
    until = {driver: each["until"]["at"] for driver, each in met.items()}
    assert until["referrals"] == pytest.approx(500 / 450, abs=0.003)
    assert met["referrals"]["until"]["share_of_plan"] == until["referrals"]
    assert until["effect"] == pytest.approx(500 / 225 - 1, abs=0.003)
    assert until["costs"] == pytest.approx(0.9, abs=0.001)
    # without the service 250,000 (1 - worse): the 500,000 with it are what they were
    assert until["counterfactual"] is until["delay"] is until["evidence"] is None
    low, high = met["effect"]["until"]["interval"]
    assert low <= 500 / 225 - 1 <= high
    table = as_text(stress_tables(found), width=500)
    assert "already as planned; until 0.90 times the costs" in table
    assert "already as planned; always within its range" in table


def test_the_payer_is_judged_by_net_benefit_where_the_deal_has_values_and_by_cost_where_not():
    """Without effect the card pays 400,000 (1 + c) for what would have happened, where c is how much better that is.

    The fee of 640,000 buys 250,000 (1 - c) outcomes worth 1: conventional is better by 10,000 + 150,000 c.
    """
    text = CERTAIN.replace("{job: 1.25}", "{job: 1.6}, effectiveness: 0%")
    text += "rates: {payer: 0% nominal, inflation: 0%}\n"
    by_cost = stress(loads(text), ["half of the effect"], draws=200)
    text += "savings: {jobs: {outcome: job, each: 1 once, to: city, evidence: certain}}\noptimism_bias: {certain: 0%}\n"
    by_benefit = stress(loads(text), ["half of the effect"], draws=200)
    assert (by_cost["payer_judged_by"], by_benefit["payer_judged_by"]) == ("cost_present_value", "net_benefit")
    sides = [
        each["structures"]["card"]["reverse"]["counterfactual"]["payer better off conventionally"]
        for each in (by_cost, by_benefit)
    ]
    assert sides[0]["met"] == "never within its range"
    assert sides[1]["met"] == "as planned"
    assert sides[1]["until"]["at"] == pytest.approx(-1 / 15, abs=0.005)
    ours, theirs = (by_benefit["structures"][name]["base"]["payer"] for name in ("card", "conventional"))
    paired = compare(loads(text), 200, against=["conventional"])["structures"]["card"]["against"]["conventional"]
    gap = ours["net_benefit"]["mean"] - theirs["net_benefit"]["mean"]
    assert gap == pytest.approx(paired["net_benefit_difference"]["mean"], rel=1e-9)
    assert "by net benefit" in as_text(stress_tables(by_benefit), width=500)
    assert "by cost" in as_text(stress_tables(by_cost), width=500)


def test_differences_of_every_trigger_are_paired(card):
    """On one uniform fewer succeed in every draw, so that the difference is -1 with a chance p and else 0."""
    draws = 4_000
    found = stress(card, ["half of the effect"], draws=draws, reverse=False)["structures"]["group"]
    under = found["shocks"]["half of the effect"]
    gap = under["difference"]["triggers"]["group threshold"]
    before, after = (each["triggers"]["group threshold"]["probability"] for each in (found["base"], under))
    assert gap["value"] == pytest.approx(after - before, rel=1e-12)
    assert -gap["value"] > 0.2
    p = -gap["value"]
    assert gap["standard_error"] == pytest.approx(math.sqrt(p * (1 - p) / (draws - 1)), rel=1e-9)
    apart = math.sqrt((before * (1 - before) + after * (1 - after)) / draws)
    assert gap["standard_error"] < 0.9 * apart
    assert simulate(loads(CARD), draws)["group"].triggers["group threshold"].probability == before


def test_triggers_of_each_draw_add_up_to_those_of_all():
    deal = loads(CARD)
    simulation = Simulation(compile_plan(deal), 1, ["group"])
    values, _ = parameters.values(simulation.plan, simulation.value_keys, 0, 300)
    out, stops, _, capped = simulation.outcomes(0, values)
    each, all_ = np.zeros((300, 1, 3), np.int8), np.zeros((1, 3), np.int64)
    simulation.settle("group", values, out, stops, capped, all_, each)
    assert each.max() == 1
    assert (each.sum(axis=0) == all_).all()
    assert 0 < all_[0, -1] < 300


def test_an_early_end_stops_referrals(card):
    text = CARD.replace("called: at the start", "called: 1 quarter ahead")
    found = stress(
        loads(text + "stresses: {half: {service_ends: after 6 months}}\n"), ["half"], draws=2_000, reverse=False
    )
    under = found["structures"]["card"]["shocks"]["half"]
    assert under["payer"]["cost"]["mean"] == pytest.approx(20 * 0.45 * 500, rel=0.03)  # two of four quarters
    assert found["structures"]["conventional"]["shocks"]["half"]["payer"]["cost"]["mean"] == pytest.approx(4000)


def test_shocks_of_the_deal_file():
    stresses = """\
stresses:
  poor year: {cohorts.*.referrals: times 50%, structures.card.pays.job.amount.price: 400}
  slow payer: {structures.*.paid_after: plus 6 months}
  sceptics: {outcomes.job.evidence.missing: at least 20%}
"""
    found = stress(loads(CARD + stresses), draws=2_000, reverse=False)
    assert found["shocks"] == [*SHOCKS, "poor year", "slow payer", "sceptics", TOGETHER]
    under = found["structures"]["card"]["shocks"]
    assert under["poor year"]["payer"]["cost"]["mean"] == pytest.approx(20 * 0.45 * 400, rel=0.03)
    assert under["slow payer"]["payer"]["cost"]["mean"] == found["structures"]["card"]["base"]["payer"]["cost"]["mean"]
    assert (
        under["slow payer"]["investor"]["irr"]["p50"] != found["structures"]["card"]["base"]["investor"]["irr"]["p50"]
    )
    assert under["sceptics"]["payer"]["cost"]["mean"] == pytest.approx(18 * 0.8 * 500, rel=0.03)
    json.dumps(found, allow_nan=False)
    assert (
        simulate(loads(CARD + stresses), 10).to_dict()["deal_hash"] == simulate(loads(CARD), 10).to_dict()["deal_hash"]
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("cohorts.*.referals: times 50%", "deal:10:"),
        ("cohorts.*.referals: times 50%", "no number has such a path"),
        ("cohorts.*.referrals: times many", "is no change"),
        ("structures.*.paid_after: plus 6", "is no change"),
        ("service_ends: 3 years", "is no end"),
        ("cohorts.*.referrals: uniform(0%, 50%)", "is no change"),
    ],
)
def test_wrong_shocks_of_a_file_are_said_with_their_place(line, what):
    with pytest.raises(DealError, match=what) as error:
        loads(f'{CARD}stresses:\n  bad: {{"{line.split(": ")[0]}": "{line.split(": ")[1]}"}}\n')
    assert len(error.value.problems) == 1


def test_the_grammar_of_changes():
    x = np.array([0.1, 0.5])
    for text, expected in [
        ("times 50%", [0.05, 0.25]), ("times 2", [0.2, 1.0]), ("plus 10%", [0.2, 0.6]), ("minus 10%", [0.0, 0.4]),
        ("at least 20%", [0.2, 0.5]), ("at most 20%", [0.1, 0.2]), ("30%", [0.3, 0.3]),
    ]:  # fmt: skip
        assert parse_change(text, "share").apply(x) == pytest.approx(expected)
    assert matches("a.*.c", ("a", "b", "c"))
    assert not matches("a.*", ("a", "b", "c"))
    assert matches('a."x.y"', ("a", "x.y"))


def test_differences_are_paired_and_those_of_quantiles_have_the_error_of_their_sections():
    rng = np.random.default_rng(3)
    common = rng.normal(size=20_000)
    ours, theirs = common + 0.1 * rng.normal(size=20_000) + 1.0, common.copy()
    theirs[::7] = np.nan
    gap = difference(ours, theirs)
    assert gap["value"] == pytest.approx(1.0, abs=4 * gap["standard_error"])
    assert gap["standard_error"] == pytest.approx(0.1 / math.sqrt(20_000 * 6 / 7), rel=0.05)
    errors, gaps = [], []
    for _ in range(60):
        a = rng.normal(size=2_000)
        found = difference_of_quantiles(a + 0.3 * rng.normal(size=2_000), a, 0.5)
        errors.append(found["standard_error"])
        gaps.append(found["value"])
    assert np.mean(errors) == pytest.approx(np.std(gaps), rel=0.35)
    assert np.mean(errors) < 0.6 * math.sqrt(2) * 1.2533 / math.sqrt(2_000)  # were they not paired
    assert difference_of_quantiles(ours[:500], theirs[:500], 0.5)["standard_error"] is None
    assert difference(theirs * np.nan, ours) is None


def test_threads_move_no_byte(card):
    answers = []
    for threads in (1, 3):
        found = stress(card, draws=9_000, threads=threads, reverse_draws=300)
        answers.append(json.dumps({k: v for k, v in found.items() if k != "elapsed"}))
    assert answers[0] == answers[1]


def test_every_driver_moves_something(card):
    plan = compile_plan(loads(CARD))
    rows, _ = parameters.values(plan, parameters.keys_of(plan, 1), 0, 5)
    for name, driver in DRIVERS.items():
        moved = rows.copy()
        driver.move(plan, moved, driver.plan)
        assert np.allclose(moved, rows, rtol=1e-15), name
        driver.move(plan, moved, driver.worst)
        assert (moved != rows).any(), name
        low = np.array([each.low for each in plan.columns])
        assert (moved >= low).all()


# ---------------------------------------------------------------------------------------------------
# The commands
# ---------------------------------------------------------------------------------------------------


def sib(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)


def test_the_commands_print_tables_json_and_csv(card):
    stressed = [
        "stress",
        card,
        "--no-reverse",
        "--draws",
        "200",
        "--shock",
        "half of the effect",
        "--structure",
        "card",
    ]
    assert "half of the effect" in sib(*stressed).stdout
    data = json.loads(sib(*stressed, "--format", "json").stdout)
    assert (data["draws"], data["seed"]) == (200, 1)
    assert sib(*stressed, "--format", "csv").stdout.startswith(
        "structure,shock,metric,statistic,value,standard_error\n"
    )
    solved = ["solve", card, "--for", PRICE, "--so-that", "payments.mean of card = 9000", "--draws", "500"]
    assert "95% interval" in sib(*solved).stdout
    (solution,) = json.loads(sib(*solved, "--format", "json").stdout)["solutions"]
    assert sib(*solved, "--format", "csv").stdout.splitlines()[1].split(",")[2] == str(solution["value"])
    done = sib(
        "solve", card, "--for", f"{PRICE}=300:700", "--for", f"{LEAST}=5:20", "--frontier", "card", "--draws", "20"
    )
    assert "settings" in done.stdout
    done = sib("run", card, "--draws", "500", "--target-error", "payments.mean of card=40", "--format", "json")
    assert json.loads(done.stdout)["draws"] == 2000
    assert "error" in done.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["stress", "--shock", "half of the efect"], "did you mean 'half of the effect'"),
        (["stress", "--structure", "crad"], "did you mean 'card'"),
        (["stress", "--draws", "50", "--target-error", "x=1"], "no metric"),
        (["run", "--target-error", "payments.mean"], "has no '='"),
        (["run", "--draws", "10", "--target-error", "payments.maen=4"], "did you mean 'mean'"),
        (["solve", "--for", PRICE], "--so-that"),
        (["solve", "--for", PRICE, "--for", LEAST, "--so-that", "payments.mean of card = 1"], "2 terms"),
    ],
)
def test_a_wrong_question_is_one_line(card, words, what):
    done = sib(words[0], card, *words[1:])
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert what in line


def test_wanted_reads_percentages_and_money():
    assert parse_wanted("a.b of x = 5%", ["x"]).number == 0.05
    assert parse_wanted("a.b of x = 1.2m", ["x"]).number == 1.2e6
    assert parse_wanted("a.b of x y = -1", ["x y"]).metric == Metric("a.b", "x y")
    assert parse_wanted("a of x = b of y", ["x", "y"]).other == Metric("b", "y")
