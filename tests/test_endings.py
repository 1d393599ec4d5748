"""What ends a deal early, what goes wrong, service agreements, and clauses that read accounts: sums done by hand.

Every figure is that of the kernels and of the readable twin: `agreed` insists that they agree.
"""

import numpy as np
import pytest
from alike import alike
from scipy.integrate import quad
from scipy.stats import binom
from test_twin import agreed, insist

from simulator import ledger as book_of
from simulator.budget import contractual_maximum
from simulator.compare import compare
from simulator.dealfile import loads, show
from simulator.explain import explain
from simulator.plan import compile_plan
from simulator.run import simulate
from simulator.settle import settle
from simulator.terms import text as terms_text
from simulator.yamlfile import DealError

pytestmark = pytest.mark.usefixtures("kernels")

# ten people a year, who all succeed; costs of 100 a year for five years, called a year ahead
YEARS = """
deal: ten people a year
time: {start: 2020-01, step: year, horizon: 7 years, financial_year_starts: January, service: 2020-01 to 2024-12}
cohorts:
  year 1: {people: 10, referred: 2020-01 to 2020-12}
  year 2: {people: 10, referred: 2021-01 to 2021-12}
  year 3: {people: 10, referred: 2022-01 to 2022-12}
  year 4: {people: 10, referred: 2023-01 to 2023-12}
outcomes:
  job: {without_service: 100%, known_after: 0 months}
measures:
  rate: {share_of: job}
  saved: {sum_of: {job: 60}}
"""
FINANCE = "finance: {commitment: 1000, called: 1 year ahead}"


def structure(pays, *parts, finance=FINANCE, costs="costs: {delivery: 100 a year}"):
    """A deal of one structure."""
    lines = [f"pays: {pays}", costs, finance, *parts]
    return YEARS + "structures:\n  as signed:\n" + "".join(f"    {line}\n" for line in lines if line)


def card(price, more=""):
    return f"{{jobs: {{for: each participant, amount: {{price: {price}, times: job}}}}{more}}}"


COMPENSATION = ", compensation: {for: the contract, due: at an early end, amount: AMOUNT}"


def compensated(amount, price=4):
    return card(price, COMPENSATION.replace("AMOUNT", amount))


def received(found, structure_name="as signed"):
    return found.flows[book_of.RECEIPTS]


def rows(found, row, periods=7):
    return pytest.approx(found), row[: periods + 1].tolist()


def is_row(expected, row):
    assert row[: len(expected)].tolist() == pytest.approx(expected)
    assert not row[len(expected) : -1].any()


# ---------------------------------------------------------------------------------------------------------------
# The end
# ---------------------------------------------------------------------------------------------------------------


def test_a_break_on_an_account_stops_service_and_part_of_the_capital_outstanding_is_compensated():
    # year 1: costs 100, 40 received and kept, 60 called: 160 outstanding. Year 2: costs 100, 40 received; 80 in all is
    # too little, so that nothing is kept: 40 repaid, 120 outstanding. Year 3: 80% of these 120.
    text = structure(
        compensated("{share: 80%, times: capital outstanding}"),
        "breaks: {too little: {review: 2021-12, when: {payments so far: less than 100}}}",
    )
    ours, found, book = agreed(text)
    is_row([-100, -60, 40, 96], book.flows[book_of.INVESTOR])
    is_row([0, 40, 40, 96], book.flows[book_of.RECEIPTS])
    is_row([0, 100, 100], book.flows[book_of.SERVICE])
    assert found[book_of.STOPPED] == book_of.BY_BREAK and found[book_of.STOP_AT] == 2
    assert ours.metrics["ended_by"] == "too little"
    reasons = " | ".join(entry.reason for entry in ours.entries)
    assert "review 'too little': payments so far 80 is less than 100; service ends on 2021-12-31" in reasons
    assert "since service ended early by 'too little'" in reasons


def test_a_break_that_is_exactly_on_its_bound_does_not_break():
    text = structure(
        compensated("{lump_sum: 500}"),
        "breaks: {too little: {review: 2021-12, when: {payments so far: less than 80}}}",
    )
    ours, found, _ = agreed(text)
    assert found[book_of.STOPPED] == book_of.RAN
    assert found[book_of.PAYMENTS] == 4 * 40
    assert any("payments so far 80 is not less than 80; service goes on" in entry.reason for entry in ours.entries)


@pytest.mark.parametrize(
    ("review", "last"),
    [
        ("{review: 2020-12, when: {rate: less than 101%}}", 1),
        ("{review: 2020-12, when: {rate: less than 101%}, notice: 1 year}", 2),
        ("{review: 2020-12, when: {rate: less than 101%}, notice: 13 months}", 3),
        ("{review: 2020-12, when: {rate: less than 100%}}", None),
        ("{review: 2021-12, when: {rate: less than 101%}, unless: a job}", None),
        ("{review: 2021-12, unless: never}", 2),
        ("{review: 2022-12, when: {participants: less than 31, years so far: at least 3}}", 3),
        ("{review: 2022-12, when: {participants: less than 31, years so far: at least 4}}", None),
    ],
)
def test_a_review_reads_results_as_they_stand_with_notice_and_triggers(review, last):
    pays = "{a job: {for: each cohort, when: {job: at least 1}, amount: {lump_sum: 5}}, "
    pays += "never: {for: each cohort, when: {job: at least 99}, amount: {lump_sum: 5}}}"
    _, found, book = agreed(structure(pays, f"breaks: {{review 1: {review}}}"))
    assert found[book_of.STOP_AT] == (8 if last is None else last)
    served = 5 if last is None else last
    assert book.flows[book_of.SERVICE].sum() == 100 * served
    assert found[book_of.PAYMENTS] == 5 * min(served, 4)


def test_a_measure_that_is_not_known_breaks_nothing():
    text = structure(card(4), "breaks: {early: {review: 2020-12, when: {rate: less than 200%}}}")
    _, found, _ = agreed(text.replace("known_after: 0 months", "known_after: 18 months"))
    assert found[book_of.STOPPED] == book_of.RAN


def test_the_first_review_that_breaks_counts_and_only_its_compensation_is_owed():
    # both hold in 2021; the first of the file is the one that ends it
    first = "first: {review: 2021-12, when: {years so far: at least 2}}"
    second = "second: {review: 2021-12, when: {years so far: at least 2}}"
    pays = card(
        4,
        COMPENSATION.replace("compensation", "for any").replace("AMOUNT", "{lump_sum: 7}")
        + COMPENSATION.replace("AMOUNT", "{lump_sum: 70}, ended_by: second")
        + COMPENSATION.replace("compensation", "both").replace("AMOUNT", "{lump_sum: 700}, ended_by: [first, second]"),
    )
    _, found, _ = agreed(structure(pays, f"breaks: {{{first}, {second}}}"))
    assert found[book_of.PAYMENTS] == 80 + 7 + 700


POLICY = "ends_early: {policy_change: {chance_a_year: 100%}}\n"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("{lump_sum: 300}", 300),
        ("{share: 50%, times: costs so far}", 50),
        ("{price: 3, times: years so far}", 6),
        ("{by: years so far, table: {below: 900, points: [[1, 500], [2, 300], [3, 100]]}}", 300),
        ("{share: 100%, times: capital called}", 160),
        ("{share: 100%, times: cash in hand}", 0),
        ("{share: 100%, times: payments so far}", 40),
        ("{share: 100%, times: paid to investors}", 40),
    ],
)
def test_compensation_for_a_change_of_policy_by_each_account(amount, expected):
    # policy changes in the first year; of the 160 called (60 in vain for year 2) 100 were spent, and 40 came back:
    # year 1: costs 100, 40 received and paid out, since only the end is still to be paid. Nothing is called any more.
    text = structure(compensated(amount)) + POLICY
    if "capital called" in amount:
        expected = 100
    _, found, book = agreed(text)
    assert book.flows[book_of.RECEIPTS].tolist()[:3] == pytest.approx([0, 40, expected])
    assert found[book_of.STOPPED] == book_of.BY_POLICY


def test_compensation_is_owed_also_where_nobody_was_served():
    text = structure(compensated("{lump_sum: 300}")) + POLICY
    _, found, _ = agreed(text.replace("people: 10", "people: 0"))
    assert found[book_of.PAYMENTS] == 300


@pytest.mark.parametrize(("rule", "paid"), [("", 80), ("after_an_early_end: claims run off", 80)])
def test_claims_run_off_by_default(rule, paid):
    text = structure(card(4), "breaks: {end: {review: 2021-12, when: {years so far: at least 1}}}", rule)
    _, found, _ = agreed(text.replace("known_after: 0 months", "known_after: 2 years"))
    assert found[book_of.PAYMENTS] == paid


def test_claims_may_end_with_the_period_after_the_last_of_service():
    # known two years later: those of year 1 in year 3, just in time for the final account; those of year 2 too late
    text = structure(
        card(4, ", pooled: {for: all cohorts that ran, amount: {lump_sum: 1000}}"),
        "breaks: {end: {review: 2021-12, when: {years so far: at least 1}}}",
        "after_an_early_end: claims end",
    )
    _, found, _ = agreed(text.replace("known_after: 0 months", "known_after: 30 months"))
    assert found[book_of.PAYMENTS] == 1000 + 40  # the pooled clause reads no outcome: due when all are referred
    later = text.replace("known_after: 0 months", "known_after: 42 months").replace(
        "amount: {lump_sum", "when: {rate: at least 1%}, amount: {lump_sum"
    )
    _, found, _ = agreed(later)
    assert found[book_of.PAYMENTS] == 0


def test_want_of_money_is_not_compensated_and_winding_up_ends_claims():
    finance = "finance: {commitment: 150, when_money_runs_out: RULE}"
    text = structure(compensated("{lump_sum: 300}", price=0), finance=finance)
    _, found, _ = agreed(text.replace("RULE", "stop referrals"))
    assert found[book_of.STOPPED] == book_of.FOR_WANT_OF_MONEY and found[book_of.PAYMENTS] == 0
    slow = structure(card(4), finance=finance).replace("known_after: 0 months", "known_after: 30 months")
    _, found, _ = agreed(slow.replace("RULE", "stop referrals"))
    assert found[book_of.STOP_AT] == 1 and found[book_of.PAYMENTS] == 40
    _, found, _ = agreed(slow.replace("RULE", "wind up"))
    assert found[book_of.STOP_AT] == 1 and found[book_of.PAYMENTS] == 0


def test_fees_wait_before_the_provider_advances_anything():
    # 150 committed: year 1 pays 100 + 30. Year 2: 20 in hand for delivery of 100 and 30 of fees: the fees wait, the
    # provider advances 80. Year 3: 130 more. In year 4 the 600 received pay the advances, capital and then the fees.
    finance = "finance: {commitment: 150, called: 1 year ahead, when_money_runs_out: [defer fees, provider advance]}"
    text = structure(
        "{all: {for: all cohorts that ran, when: {job: at least 40}, amount: {lump_sum: 600}}}",
        finance=finance,
        costs="costs: {delivery: 100 a year, management: 30 a year}",
    ).replace("2020-01 to 2024-12", "2020-01 to 2023-12")
    ours, _, book = agreed(text)
    is_row([0, 30, 0, 0, 90], book.flows[book_of.OTHER_PARTIES])
    is_row([0, 0, -80, -100, 280 - 100], book.flows[book_of.PROVIDERS])
    is_row([-130, -20, 0, 0, 150 + (600 - 280 - 150 - 90)], book.flows[book_of.INVESTOR])
    assert any("30 of management waits: there is no cash" in entry.reason for entry in ours.entries)


# ---------------------------------------------------------------------------------------------------------------
# What goes wrong
# ---------------------------------------------------------------------------------------------------------------


def test_an_overrun_is_not_planned():
    # 120 in place of 100: 100 are called ahead, the provider advances 20, which are called with the next year's 100
    text = structure(card(0), costs="costs: {delivery: 100 a year, overrun: 20%}")
    _, _, book = agreed(text)
    is_row([0, 120, 120, 120, 120, 120], book.flows[book_of.SERVICE])
    is_row([-100, -120, -120, -120, -120, -20], book.flows[book_of.INVESTOR])
    own = text.replace("costs: {delivery", "payer_costs: {evaluation: 50, overrun: -10%}\n    costs: {delivery")
    _, _, book = agreed(own)
    is_row([0, 45], book.flows[book_of.PAYER_COSTS])


def test_a_failing_provider_is_replaced_and_nobody_is_referred_meanwhile():
    # fails in year 2, which still counts; in year 3 nobody is referred or served, and 50 replace the provider
    text = structure(card(0, ", fee: {for: the contract, due: evenly, amount: {lump_sum: 500}}"))
    text += "provider_failure: {after: 18 months, gap: 1 year, cost: 50}\n"
    ours, _, book = agreed(text.replace("price: 0", "price: 4"))
    is_row([0, 100, 100, 0, 100, 100], book.flows[book_of.SERVICE])
    is_row([0, 0, 0, 50], book.flows[book_of.OTHER_PARTIES])
    is_row([0, 140, 140, 0, 140, 100], book.flows[book_of.RECEIPTS])
    assert any(entry.reason == "replaces the provider, who has failed" for entry in ours.entries)
    _, _, book = agreed(text.replace("due: evenly", "due: at the end"))
    is_row([0, 0, 0, 0, 0, 400], book.flows[book_of.RECEIPTS])
    _, _, book = agreed(text.replace(FINANCE, "finance: none"))
    is_row([0, 0, 0, 50], book.flows[book_of.PAYER_COSTS])


def test_nobody_plans_for_a_failing_provider():
    # year 3 is called as planned, and what it did not cost pays most of year 4
    text = structure(card(0)) + "provider_failure: {after: 18 months, gap: 1 year, cost: 50}\n"
    _, _, book = agreed(text)
    is_row([-100, -100, -100, -50, -100, 0], book.flows[book_of.INVESTOR])


def test_the_time_of_failure_is_exponential():
    text = structure(card(4)) + "provider_failure: {after: 'gamma(mean 4 years, sd 4 years)', gap: 1 year}\n"
    verified = simulate(loads(text), draws=40_000).to_dict()["outcomes"]["job"]["verified"]
    # fails in service year y with chance e^(-(y-1)/4) - e^(-y/4); after year 1, 2 or 3 ten people are not referred
    lost = 10 * (1 - np.exp(-3 / 4))
    assert abs(verified["mean"] - (40 - lost)) < 4.5 * verified["standard_error"]
    assert abs(verified["mean"] - (40 - 10 * (1 - np.exp(-4 / 4)))) > 6 * verified["standard_error"]  # not year 4


# ---------------------------------------------------------------------------------------------------------------
# Three contracts
# ---------------------------------------------------------------------------------------------------------------


def surplus(book):
    return book.flows[book_of.PROVIDERS, :8].sum()


@pytest.mark.parametrize(
    ("agreement", "paid", "kept"),
    [
        ("{fees: {block: 130 a year}}", 650, 150),
        ("{fees: {block: 50 a year, each: 6 per person, start: 40}}", 250 + 240 + 40, 30),
        ("{fees: {end: 500 at the end}}", 500, 0),
        ("{cost_plus: 8%}", 540, 40),
        ("{cost_plus: 0%, share_of_payments: 25%}", 500 + 40, 40),
        ("{share_of_payments: 100%}", 500 + 160, 160),
    ],
)
def test_what_the_provider_keeps_is_the_fee_less_its_own_costs(agreement, paid, kept):
    _, found, book = agreed(structure(card(4), f"service_agreement: {agreement}"))
    assert book.flows[book_of.SERVICE].sum() == pytest.approx(500)
    assert surplus(book) == pytest.approx(kept) and found[book_of.SURPLUS] == pytest.approx(kept)
    investors = book.flows[book_of.INVESTOR, :8].sum()
    assert investors == pytest.approx(160 - paid)


def test_the_provider_bears_an_overrun_under_fees_and_the_vehicle_under_cost_plus():
    costs = "costs: {delivery: 100 a year, overrun: 20%}"
    _, _, book = agreed(structure(card(4), "service_agreement: {fees: {block: 100 a year}}", costs=costs))
    assert surplus(book) == pytest.approx(-100)
    _, _, book = agreed(structure(card(4), "service_agreement: {cost_plus: 10%}", costs=costs))
    assert surplus(book) == pytest.approx(0.1 * 600)


def test_a_deferred_fee_waits_for_the_waterfall_and_may_be_lost():
    finance = "finance: {commitment: 1000, called: 1 year ahead, deferred: {delivery: 30%}}"
    pays = "{all: {for: all cohorts that ran, when: {job: at least 40}, amount: {lump_sum: 700}}}"
    agreement = "service_agreement: {fees: {block: 100 a year}}"
    _, _, book = agreed(structure(pays, agreement, finance=finance))
    assert surplus(book) == pytest.approx(0)  # 150 are paid at last, out of 700 less the capital of 350
    _, found, book = agreed(structure(pays.replace("40}", "41}"), agreement, finance=finance))
    assert surplus(book) == pytest.approx(-150)
    assert found[book_of.UNPAID] == pytest.approx(350 + 150)


def test_cost_plus_nothing_is_the_short_form_and_neutral_values_change_nothing():
    base = structure(card(4)).replace("without_service: 100%", "without_service: 30% to 60%")
    base = base.replace("delivery: 100 a year", "delivery: 80 to 120 a year")
    same = simulate(loads(base), draws=300, threads=1).to_dict()["structures"]["as signed"]
    for more in (
        "service_agreement: {cost_plus: 0%}",
        "breaks: {never: {review: 2021-12, when: {payments so far: less than 0}}}\n    after_an_early_end: claims end",
    ):
        found = simulate(loads(base + f"    {more}\n"), draws=300, threads=1).to_dict()["structures"]["as signed"]
        assert all(alike(found[key], same[key]) for key in ("payments", "investor", "payer", "provider"))
    overrun = base.replace("120 a year", "120 a year, overrun: 0%")
    found = simulate(loads(overrun), draws=300, threads=1).to_dict()["structures"]["as signed"]
    assert found == same


# ---------------------------------------------------------------------------------------------------------------
# Accounts read by clauses
# ---------------------------------------------------------------------------------------------------------------

HURDLE = "{share: {for: each cohort, amount: {share: 95%, times: saved, until: UNTIL, then: 40%}}}"
ONE_SUM = {"finance": "finance: {commitment: 1000, called: at the start}", "costs": "costs: {set_up: 1000}"}


@pytest.mark.parametrize(
    ("until", "lag", "expected"),
    [
        # 1000 x 1.05 = 1050 > 570; (1050 - 570) x 1.05 = 504, the other 66 of the second 570 at 40 in place of 95
        ("{investors: 5% a year}", "0 months", [570, 504 + 66 * 40 / 95, 240, 240]),
        # their money back: 1000 - 570 = 430
        ("{investors: 1 times}", "0 months", [570, 430 + 140 * 40 / 95, 240, 240]),
        # what is on its way counts: 1102.5 - 570 = 532.5 in year 2; (1102.5 - 570) x 1.05 less year 2's in year 3
        (
            "{investors: 5% a year}",
            "1 year",
            [570, (y2 := 532.5 + 37.5 * 40 / 95), (n := 532.5 * 1.05 - y2) + (570 - n) * 40 / 95, 240],
        ),
    ],
)
def test_a_share_of_savings_that_changes_once_investors_have_had_their_return(until, lag, expected):
    text = structure(HURDLE.replace("UNTIL", until), f"paid_after: {lag}", **ONE_SUM)
    ours, _, book = agreed(text)
    first = 1 if lag == "0 months" else 2
    is_row([0] * first + expected, book.flows[book_of.RECEIPTS])
    reasons = " | ".join(entry.reason for entry in ours.entries)
    assert "95%" in reasons and "and 40% from there on" in reasons


def test_of_two_tranches_one_may_have_the_hurdle():
    finance = "finance: {called: at the start, tranches: {senior: {commitment: 400}, junior: {commitment: 600}}}"
    pays = HURDLE.replace("UNTIL", "{senior: 1 times}")
    _, _, book = agreed(structure(pays, finance=finance, costs="costs: {set_up: 1000}"))
    assert book.flows[book_of.RECEIPTS, 1] == pytest.approx(400 + 170 * 40 / 95)


def test_a_price_may_change_too_and_an_account_may_gate_a_clause():
    pays = "{jobs: {for: each cohort, amount: {price: 57, times: job, until: {investors: 1 times}, then: 24}}, "
    pays += "bonus: {for: each cohort, when: {payments so far: at least 1000}, amount: {lump_sum: 9}}}"
    _, found, book = agreed(structure(pays, **ONE_SUM))
    second = 430 + 140 * 24 / 57
    # 570 + 488.9 were settled when year 3 begins
    is_row([0, 570, second, 240 + 9, 240 + 9], book.flows[book_of.RECEIPTS])
    assert found[book_of.PAYMENTS] == pytest.approx(570 + second + 498)


def test_a_measure_may_be_made_of_accounts():
    text = structure(
        compensated("{share: 100%, times: at risk}"),
        "breaks: {too little: {review: 2021-12, when: {payments so far: less than 100}}}",
    )
    text = text.replace(
        "measures:\n",
        "measures:\n  at risk: {sum_of: {capital outstanding: 1, payments so far: -1}, no_more_than: 30}\n",
    )
    _, _, book = agreed(text)
    is_row([0, 40, 40, 30], book.flows[book_of.RECEIPTS])  # 120 - 80 = 40, at most 30


# ---------------------------------------------------------------------------------------------------------------
# Answers
# ---------------------------------------------------------------------------------------------------------------

BREAKING = structure(
    compensated("{share: 80%, times: capital outstanding}"),
    "breaks: {too little: {review: 2021-12, when: {job: less than 12}}}",
).replace("without_service: 100%", "without_service: 30%, effect: uniform(0%, 100%)")


def test_how_often_and_by_what_service_ends_early_stands_in_the_answers():
    found = simulate(loads(BREAKING), draws=4000).to_dict()["structures"]["as signed"]["triggers"]
    ended = found["ended early: too little"]
    # of 20 people fewer than 12 succeed, each with a chance of 30% (1 + effect)
    exact = quad(lambda effect: binom.cdf(11, 20, 0.3 * (1 + effect)), 0, 1)[0]
    assert abs(ended["probability"] - exact) < 4.5 * ended["standard_error"]
    assert abs(ended["probability"] - binom.cdf(11, 20, 0.45)) > 6 * ended["standard_error"]  # at the mean effect
    assert found["compensation"]["probability"] == ended["probability"]


def test_people_who_were_not_referred_are_no_additional_outcomes():
    # `compare` counts the additional outcomes by another way, with what they are worth
    deal = loads(BREAKING)
    payer = simulate(deal, draws=4096).to_dict()["structures"]["as signed"]["payer"]
    compared = compare(deal, draws=4096, against=["nothing"])["structures"]["as signed"]
    additional = compared["additional_outcomes"]["job"]["value"]
    assert payer["cost_per_additional_outcome"]["job"]["value"] == pytest.approx(payer["cost"]["mean"] / additional)


def test_no_draw_costs_more_than_the_contractual_maximum_with_compensation():
    plan = compile_plan(loads(BREAKING))
    (most,), why = contractual_maximum(plan, "as signed", whole=True)
    assert why is None and most == 40 * 4 + 0.8 * 1000
    assert simulate(loads(BREAKING), draws=2000).draws("as signed")["payments"].max() <= most


def test_terms_are_said_in_plain_english():
    text = structure(
        compensated("{share: 80%, times: capital outstanding}")[:-1]
        + ", share: {for: each cohort, amount: {share: 95%, times: saved, until: {investors: 5% a year}, then: 40%}}}",
        "breaks: {too little: {review: 2021-12, when: {rate: less than 50%}, unless: jobs, notice: 6 months}}",
        "after_an_early_end: claims end",
        "service_agreement: {fees: {block: 90 a year}, share_of_payments: 5%}",
        finance="finance: {commitment: 1000, when_money_runs_out: [defer fees, wind up]}",
        costs="costs: {delivery: 100 a year, overrun: 0% to 20%}",
    )
    said = terms_text(loads(text + "provider_failure: {after: 30 months, gap: 6 months, cost: 50}\n"))
    for sentence in (
        "pays 80% of capital outstanding, if service ends early.",
        "pays 95% of saved until investors have had 5% a year, and 40% from there on.",
        "Review 'too little' at the end of 2021-12: if rate is less than 50% and 'jobs' was not met by then, referrals "
        "and service stop after 6 months of notice.",
        "Once service has ended early, only what is known by the end of the next period is paid for.",
        "When capital and receipts do not cover costs, fees of management and evaluation wait, then the provider "
        "advances what is lacking, then referrals, service and claims stop.",
        "The vehicle pays the service provider GBP 90 a year (block) and 5% of what the payers pay; the provider bears "
        "what delivery costs.",
        "Costs turn out 0% to 20% higher than planned.",
        "The provider fails after 30 months of service; for 6 months nobody is referred, until another has taken over "
        "for GBP 50.",
    ):
        assert sentence in said, sentence


def test_explain_shows_the_review_and_the_compensation():
    told = explain(loads(BREAKING), draw=0)
    reasons = [row["reason"] for row in told["structures"]["as signed"]["schedule"]]
    assert any(reason.startswith("review 'too little': job ") for reason in reasons)


def test_what_is_shown_reads_back_as_the_same_deal():
    deal = loads(BREAKING + "    service_agreement: {fees: {block: 90 a year}}\n")
    assert loads(show(deal)) == deal
    insist(deal, draws=5)


# ---------------------------------------------------------------------------------------------------------------
# Settling what was observed
# ---------------------------------------------------------------------------------------------------------------

RESULTS = """
results:
  - {cohort: year 1, outcome: job, value: 5, size: 10}
  - {cohort: year 2, outcome: job, value: 5, size: 10}
  - {cohort: year 3, size: 0}
  - {cohort: year 4, size: 0}
ended: 2021-12-31
"""


def settled(tmp_path, text, more=""):
    file = tmp_path / "results.yaml"
    file.write_text(RESULTS + more, encoding="utf-8")
    return settle(loads(text), file)["structures"]["as signed"]


def test_results_may_say_what_ended_the_deal(tmp_path):
    pays = card(
        4,
        COMPENSATION.replace("AMOUNT", "{lump_sum: 300}, ended_by: too little")
        + COMPENSATION.replace("compensation", "any end").replace("AMOUNT", "{lump_sum: 1000}"),
    )
    text = structure(pays, "breaks: {too little: {review: 2021-12, when: {job: less than 12}}}")
    assert settled(tmp_path, text)["payments"] == 40 + 1000
    assert settled(tmp_path, text, "ended_by: too little\n")["payments"] == 40 + 300 + 1000
    found = settled(tmp_path, text, "ended_by: no money\n")
    assert found["payments"] == 40 and found["payments_are"] == "exact"
    with pytest.raises(DealError, match=r"no end is called 'too late'; allowed: policy change, no money, too little"):
        settled(tmp_path, text, "ended_by: too late\n")


def test_nobody_plans_for_an_overrun_in_a_settlement_either(tmp_path):
    plain, found = (
        settled(tmp_path, structure(card(4), costs=f"costs: {{delivery: 100 a year{more}}}"))["investor"]
        for more in ("", ', overrun: "uniform(10%, 30%)"')
    )
    first, also = plain["schedule"][0], found["schedule"][0]
    assert first["amount"] == also["amount"] > 0  # the first call is planned, without the overrun of 20% on average
    assert found["multiple"] < plain["multiple"]


def test_compensation_by_the_capital_outstanding_rests_on_what_was_really_called(tmp_path):
    text = structure(compensated("{share: 50%, times: capital outstanding}"))
    # planned: 100 called, 20 received, 80 called for year 2, 20 received and repaid: 160 outstanding
    assert settled(tmp_path, text)["payments"] == 40 + 80
    money = "drawdowns: {2020-01-15: 300}\ncosts: {2020-06-30: 100, 2021-06-30: 100}\n"
    # 300 called; of 300 + 40 less 200 all is paid out at the end of service but what was received: 160 outstanding
    found = settled(tmp_path, text, money)
    assert found["payments"] == 40 + 0.5 * (300 - 140)


# ---------------------------------------------------------------------------------------------------------------
# Mistakes
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("breaks: {b: {review: 2021-12}}", "breaks off for no reason"),
        ("breaks: {b: {review: 2026-12, when: {rate: less than 1}}}", "is not during the service; allowed: 2020-01"),
        ("breaks: {b: {review: 2021-12, when: {rates: less than 1}}}", "did you mean 'rate'"),
        ("breaks: {b: {review: 2021-12, unless: job}}", "no clause of this structure is called 'job'"),
        ("breaks: {policy change: {review: 2021-12, unless: jobs}}", "the name stands for another end"),
        ("service_agreement: {}", "says nothing"),
        ("service_agreement: {fees: {}}", "there is none"),
        ("service_agreement: {fees: {a: 5}, cost_plus: 5%}", "says two prices"),
        ("service_agreement: {fee: 5}", "unknown key"),
        ("after_an_early_end: run off", "claims run off"),
    ],
)
def test_mistakes_of_a_structure_are_told(part, says):
    with pytest.raises(DealError) as error:
        loads(structure(card(4), part))
    assert says in str(error.value)


def test_a_service_of_one_period_has_no_reviews():
    text = structure(card(4), "breaks: {b: {review: 2020-01, when: {rate: less than 1}}}")
    loads(text)
    with pytest.raises(DealError) as error:
        loads(text.replace("service: 2020-01 to 2024-12", "service: 2020-01 to 2020-12"))
    assert "is not during the service; allowed: none, it lasts one period" in str(error.value)


@pytest.mark.parametrize(
    ("pays", "says"),
    [
        (compensated("{share: 80%, times: job}"), "'job' is no account"),
        (compensated("{bands: [[0, 1]], times: costs so far}"), "compensation has no trigger of its own"),
        (compensated("{lump_sum: 5}, ended_by: nobody"), "no end is called 'nobody'; allowed: policy change"),
        (compensated("{lump_sum: 5}, ended_by: []"), "names no end; allowed: policy change"),
        (HURDLE.replace("UNTIL", "{investors: 5% a year, provider: 1 times}"), "says not exactly one thing"),
        (HURDLE.replace("UNTIL", "{senior: 5% a year}"), "no tranche is called 'senior'"),
        (HURDLE.replace("UNTIL", "{investors: 5% a year}").replace("then: 40%", "then: 40"), "is no share"),
        (HURDLE.replace("until: UNTIL, ", ""), "until and then belong together"),
        (
            HURDLE.replace("UNTIL", "{investors: 5% a year}").replace("share: {for", "share: {less: share, for"),
            "does not go with until",
        ),
        (
            HURDLE.replace("UNTIL", "{investors: 5% a year}").replace("share: {for", "share: {at_least: 9, for"),
            "at_least: does not go with until",
        ),
        ("{fee: {for: the contract, due: evenly, ended_by: policy change, amount: {lump_sum: 5}}}", "compensation"),
        ("{job: {for: each cohort, due: at an early end, amount: {lump_sum: 5}}}", "only for the contract"),
        ("{j: {for: each participant, amount: {price: 5, times: costs so far}}}", "is no outcome"),
    ],
)
def test_mistakes_of_clauses_are_told(pays, says):
    with pytest.raises(DealError) as error:
        loads(structure(pays))
    assert says in str(error.value)


def test_mistakes_where_nobody_finances_are_told_all_at_once():
    pays = card(4, COMPENSATION.replace("AMOUNT", "{share: 1%, times: capital outstanding}"))
    text = structure(
        pays,
        "service_agreement: {fees: {a: 5}}",
        "breaks: {b: {review: 2021-12, when: {cash in hand: less than 1}}}",
        finance="finance: none",
    )
    with pytest.raises(DealError) as error:
        loads(text)
    for says in ("reads 'capital outstanding', but nobody", "reads 'cash in hand', but nobody", "the payers pay the"):
        assert says in str(error.value)


def test_the_names_of_accounts_are_taken():
    for old, new in (("  job: {w", "  costs so far: {w"), ("  rate: {", "  years so far: {")):
        with pytest.raises(DealError, match="the name is taken by an account"):
            loads(structure(card(4)).replace(old, new))
    text = structure(card(4)).replace("measures:\n", "measures:\n  choice: {choice_of: [rate, costs so far]}\n")
    with pytest.raises(DealError, match="a choice is one between results"):
        loads(text)


@pytest.mark.parametrize("rule", ["[stop referrals, defer fees]", "[stop referrals, wind up]", "[]", "give up"])
def test_rules_for_want_of_money_stand_in_their_order(rule):
    with pytest.raises(DealError, match="is no rule; allowed: defer fees, provider advance, stop referrals, wind up"):
        loads(structure(card(4), finance=f"finance: {{commitment: 5, when_money_runs_out: {rule}}}"))
