"""Terms in plain English: sentences, what is paid at every result, cliffs and perverse points."""

import pytest
from click.testing import CliRunner
from deals import deals
from hypothesis import given, settings

from simulator.cli import cli
from simulator.dealfile import load, loads
from simulator.paper_words import paper_words
from simulator.terms import _Structure, curve, terms, text

PETERBOROUGH = "scenarios/peterborough.yaml"
TWO_COHORTS = [
    "outcomes.reconvictions.without_service=1.55",
    "cohorts.cohort 3.people=0",
    "quantities.men released=100%",
]

DEAL = """
deal: A pay-off
currency: USD
time: {start: 2020-01, step: quarter, horizon: 5 years}
cohorts:
  first: {people: 100, referred: 2020-01 to 2020-12}
  second: {people: 100, referred: 2021-01 to 2021-12}
outcomes:
  home: {without_service: 30%, effect: 20%, effect_as: units, promised_effect: 30%}
  jail days: {counts: events, better: fewer, without_service: 20, effect: -30%, comparison_arm: {people: 1 per person}}
measures:
  fewer: {reduction_in: jail days, against: comparison_arm, as: share}
  avoided: {reduction_in: jail days, against: comparison_arm, as: units}
  at home: {share_of: home}
  rate: {ratio_of: [home, participants], over: cohorts so far, rounded: down to 1%, no_more_than: 90%}
payers: {city: 60%, state: 40%}
structures:
  as signed:
    pays:
"""


def said(clause, deal=DEAL):
    [each] = terms(loads(deal + f"      it: {clause}\n"), "as signed")
    return each


@pytest.mark.parametrize(
    ("clause", "sentence"),
    [
        (
            "{for: each cohort, when: {fewer: at least 10%}, amount: {price: 15.12, times: avoided}, at_most: 9000}",
            "For each cohort if fewer is at least 10%, city and state pay USD 15.12 for each unit of avoided, "
            "at most USD 9,000.",
        ),
        (
            "{for: all cohorts that ran, any_of: {fewer: at least 10%, rate: more than 1%}, amount: {lump_sum: 1m}}",
            "Once, for all cohorts that ran if fewer is at least 10% or rate is more than 1%, city and state pay "
            "USD 1,000,000.",
        ),
        (
            "{for: each participant, amount: {price: 50, times: home}, indexed: {a_year: 2%, from: 2021-04}}",
            "For each participant, city and state pay USD 50 for each home, rising by 2% a year from 2021-04.",
        ),
        (
            "{for: each cohort, amount: {bands: [[5%, 1000], [20%, 0]], per: 1%, times: fewer}, less: it,"
            " at_least: 10}",
            "For each cohort, city and state pay for each 1% of fewer 1,000 from 5% and 0 from 20%, at least USD 10, "
            "less what was paid before under 'it'.",
        ),
        (
            "{for: each cohort, amount: {bands: [[0, 95%], [100, 40%]], times: avoided}}",
            "For each cohort, city and state pay of avoided 95% from 0 and 40% from 100.",
        ),
        (
            "{for: each cohort, amount: {by: rate, table: {below: 0, points: [[60%, 5], [70%, 9]],"
            " between: straight line, above: 12}, times: participants}}",
            "For each cohort, city and state pay by rate: USD 0 below 60%, USD 5 from 60%, USD 9 from 70% and USD 12 "
            "above 70% (in a straight line between) for each unit of participants.",
        ),
        (
            "{for: the contract, due: evenly, amount: {lump_sum: 900}}",
            "For the contract, city and state pay USD 900, evenly.",
        ),
    ],
)
def test_a_clause_is_one_sentence(clause, sentence):
    assert said(clause).sentence == sentence


def test_measures_are_said_with_their_limits_and_rounding():
    shown = text(loads(DEAL + "      it: {for: each cohort, amount: {price: 1, times: rate}}\n"))
    assert "  rate: home divided by participants, over the cohorts so far, at most 90%, rounded down to 1%." in shown
    assert "  fewer: in percent, how much less jail days than in the comparison arm." in shown


def test_what_is_paid_from_failure_to_stretch():
    each = said(
        "{for: all cohorts that ran, when: {at home: at least 45%}, amount: {price: 10, times: home}, at_most: 1100}"
    )
    assert each.driver == "at home"
    found = [(row.what, row.result, row.clause) for row in each.pay_offs]
    assert found == [
        ("nothing", 0, 0),
        ("no effect", 0.3, 0),
        ("a bound", 0.45, pytest.approx(900)),
        ("expected", 0.5, pytest.approx(1000)),
        ("promised", 0.6, pytest.approx(1100)),
        ("stretch", pytest.approx(0.9), pytest.approx(1100)),
    ]
    assert each.cliffs == ("at at home 45% payments go from 0 to 900",)
    assert each.perverse == ()


def test_a_cliff_just_after_a_bound_says_what_is_still_paid_at_it():
    each = said("{for: all cohorts that ran, when: {at home: at most 45%}, amount: {price: 10, times: home}}")
    assert "at at home 45% payments go from 900 to 0" in each.perverse
    assert each.cliffs == ()


def test_a_slope_is_no_cliff():
    each = said("{for: each cohort, amount: {bands: [[5%, 1000], [20%, 0]], per: 1%, times: fewer}}")
    assert each.cliffs == () and each.perverse == ()
    by_result = {round(row.result, 9): row.clause for row in each.pay_offs}
    assert by_result[0.05] == 0 and by_result[0.2] == pytest.approx(30_000) and by_result[0.3] == pytest.approx(30_000)


def test_the_cliff_of_a_rounded_measure_is_seen():
    deal = DEAL.replace("  avoided:", "  whole: {sum_of: {fewer: 1}, rounded: to 1%}\n  avoided:")
    each = said(
        "{for: all cohorts that ran, when: {whole: at least 20%}, amount: {price: 9, times: whole, per: 1%}}", deal
    )
    assert each.cliffs == ("at whole 20% payments go from 0 to 180",)


def test_a_table_that_falls_is_perverse():
    each = said("{for: each cohort, amount: {by: fewer, table: {below: 0, points: [[10%, 50], [20%, 40]]}}}")
    assert each.perverse[0] == "at fewer 20% payments go from 100 to 80"


def test_peterborough_pays_less_where_one_cohort_meets_its_bound():
    # cohorts of 1,000 at 1.55 events in the comparison arm: 10.1% and 7% are 156.55 events paid, 9.9% and 7% 261.95
    deal = load(PETERBOROUGH, TWO_COHORTS)
    structure = _Structure(deal, "as signed")
    single = structure.pays["a cohort succeeds"]
    for first, events in ((0.101, 156.55), (0.099, 261.95)):
        ledger = structure.at("fewer events", 0.07, single, {"cohort 1": first})
        assert ledger.metrics["payments"] == pytest.approx(events * 16_000)
    [pooled] = [each for each in terms(deal, "as signed") if each.clause == "all cohorts together"]
    [point] = pooled.perverse
    assert point.startswith("with cohort 2 at fewer events 9.9%, cohort 1 at 10.1% is paid 2,504,")


def test_deals_without_otherwise_have_no_perverse_point():
    for clause in terms(load(PETERBOROUGH), "event by event"):
        assert clause.perverse == ()


def test_the_command_prints_them():
    done = CliRunner().invoke(cli, ["show", PETERBOROUGH, "--terms"])
    assert done.exit_code == 0
    assert done.stdout.rstrip("\n") == text(load(PETERBOROUGH))
    assert CliRunner().invoke(cli, ["show", PETERBOROUGH, "--terms", "--paths"]).exit_code == 2


@settings(max_examples=150)
@given(deals())
def test_any_deal_has_terms(deal):
    for name, structure in deal.structures.items():
        found = terms(deal, name)
        assert [each.clause for each in found] == list(structure.pays)
        for each in found:
            assert each.sentence.endswith(".")
            assert all(row.clause >= 0 and row.structure >= row.clause - 1e-9 * row.structure for row in each.pay_offs)
    assert text(deal)


def test_tables_say_what_is_paid_before_and_after_a_return():
    clause = "{for: all cohorts that ran, amount: {price: 50, times: home%s}}"
    finance = "    finance: {commitment: 1000}\n"
    deal = loads(DEAL + f"      it: {clause % ', until: {investors: 5% a year}, then: 20'}\n{finance}")
    [each] = terms(deal, "as signed")
    assert [(row.clause, row.then) for row in each.pay_offs if row.what == "no effect"] == [(60 * 50, 60 * 20)]
    assert "once the return is reached" in text(deal)
    plain = loads(DEAL + f"      it: {clause % ''}\n{finance}")
    assert all(row.then is None for row in terms(plain, "as signed")[0].pay_offs)
    assert "once the return is reached" not in text(plain)


CARD = """
deal: A card
time: {start: 2020-01, step: quarter, horizon: 4 years}
cohorts: {all: {people: 100, referred: 2020-01 to 2020-12}}
outcomes:
  way:
    without_service: {first_step: 20%}
    steps: {begun: {chance: 80%}, kept: {chance: 50%}, other: {chance: 30%, follows: begun, instead_of: kept}}
  job: {without_service: 40%, effect: 10%, effect_as: units}
measures:
  worth: {sum_of: {begun: 3, job: 2}}
structures:
  as signed:
    pays:
      begun: {for: each participant, amount: {price: 100, times: begun}}
      job: {for: each participant, amount: {price: 10, times: job}, at_most: {outcomes: 60}}
    at_most: {contract: 8200}
  by worth:
    pays: {worth: {for: all cohorts that ran, amount: {price: 5, times: worth}}}
"""


def test_the_curve_of_a_clause_that_others_hide_is_its_own():
    deal = loads(CARD)
    begun, job = (curve(deal, "as signed", name) for name in ("begun", "job"))
    assert begun.whole and begun.points[0] == (0, 500) and begun.points[-1][1] == 8200  # 50 jobs, and the limit
    assert not job.whole and (job.least, job.most) == (8000, 8200)
    at = dict(job.points)
    assert at[0.0] == 0 and at[50.0] == 500
    assert job.points[-1] == (75.0, 600)  # within its own limit, and beyond the contract's


def test_no_effect_on_a_chain_is_another_chance_of_its_first_step():
    found = {
        row.what: row.result
        for row in terms(loads(CARD.replace("times: begun", "times: kept")), "as signed")[0].pay_offs
    }
    assert found["no effect"] == pytest.approx(100 * 0.2 * 0.5)
    assert found["expected"] == pytest.approx(100 * 0.8 * 0.5)
    other = {
        row.what: row.result
        for row in terms(loads(CARD.replace("times: begun", "times: other")), "as signed")[0].pay_offs
    }
    assert other["no effect"] == pytest.approx(100 * (0.2 - 0.1) * 0.3)


def test_a_composed_measure_goes_from_failure_over_what_is_expected_to_stretch():
    [each] = terms(loads(CARD), "by worth")
    found = {row.what: (row.result, row.clause) for row in each.pay_offs}
    assert found["nothing"] == (0, 0)
    assert found["no effect"] == pytest.approx((3 * 20 + 2 * 40, 5 * 140))
    assert found["expected"] == pytest.approx((3 * 80 + 2 * 50, 5 * 340))
    assert found["stretch"] == pytest.approx((510, 2550))
    assert curve(loads(CARD), "by worth", "worth").points[-1] == pytest.approx((510, 2550))


PAPER = {
    "commitment: 1000": [
        "investors: up to GBP 1,000; no interest; repaid as cash comes in.",
        "Capital is called 3 months ahead of planned costs, less cash in hand; receipts pay planned costs still to "
        "come before investors.",
        "Cash is paid out in this order: what the provider advanced, planned costs, capital, what is left.",
        "What is left goes to the investors.",
    ],
    "tranches: {a: {commitment: 600, coupon: {rate: 5%, paid: accrued, at_least: {rate: 2%, in: year 1}}}, "
    "b: {commitment: 400, matures: 2022-12, principal: {by: job, table: {below: 50%, points: [[40, 100%]]}}, "
    "backed_by: provider}}, called: at the start, drawn: in turn, recycled: false": [
        "a: up to GBP 600; interest of 5% a year, added to what earns interest, at least 2% in year 1; repaid as cash "
        "comes in.",
        "b: up to GBP 400; no interest; due in 2022-12 by job, and what is not due is lost: 50% below 40 and 100% from "
        "40; what is due and the account cannot pay, the service provider pays.",
        "All capital is called at the start, from a and b in turn; receipts pay investors as they come in.",
        "Cash is paid out in this order: what the provider advanced, planned costs, interest of a, capital of a, "
        "capital of b, what is left.",
        "What is left goes to the service provider.",
    ],
    "commitment: 1000, residual: [{until: {investors: 1.2 times}, to: {investors: 90%, provider: 10%}}, "
    "{to: {provider: 100%}}], reserve: 50, grants: {a giver: 20 a year}, deferred: {management: 30%}, "
    "guarantee: {guarantor: G, share_of_loss: 40%, due: 2022-06, fee: 5 a year, repaid: true}": [
        "What is left goes 90% to investors and 10% to the service provider, until investors have had 1.2 times their "
        "capital; then 100% to the service provider.",
        "GBP 50 stays in the account until service ends.",
        "a giver gives GBP 20 a year, which nobody pays back.",
        "30% of management waits until the order of payments reaches it, and may never be paid.",
        "G pays 40% of the capital that was not repaid, in 2022-06, and is repaid from what comes in later, for a fee "
        "of GBP 5 a year.",
    ],
    "commitment: 1000, fund: {set_up: 30, fees: {management: 2%, later: {share: 1%, of: capital outstanding, in: "
    "years 3 to 4}}, carry: {share: 20%, above: 5%, catch_up: 60%}}": [
        "A fund holds all of this paper; what follows is between the fund and those who invest in it.",
        "They pay GBP 30 for setting it up.",
        "management: 2% a year of what is committed, as long as service runs or capital is outstanding.",
        "later: 1% a year of the capital called and not yet repaid, in years 3 to 4.",
        "Once they have had all that they paid and 5% a year on it, its manager has 20% of what follows, and before "
        "that 60% until it has 20% of the whole profit.",
    ],
}


@pytest.mark.parametrize(("finance", "sentences"), PAPER.items())
def test_the_investors_paper_is_said_in_plain_english(finance, sentences):
    deal = loads(CARD + f"    costs: {{management: 10 a year}}\n    finance: {{{finance}}}\n")
    found = paper_words(deal, "by worth")
    assert [each for each in found if each in sentences] == sentences
    assert paper_words(deal, "as signed") == []
    assert all(f"    {each}" in text(deal) for each in found)


UNEQUAL = """
deal: cohorts of unlike size
currency: USD
time: {start: 2020-01, step: year, horizon: 5 years}
cohorts:
  small: {people: 100, referred: 2020-01 to 2020-12}
  large: {people: 300, referred: 2021-01 to 2021-12}
outcomes:
  days: {counts: amount, better: fewer, without_service: 20, effect: -20%, baseline: 20, known_after: 1 year}
  star: {counts: score, without_service: 1, effect: 0.5, effect_as: units, spread: 1, known_after: 1 year}
measures:
  saved: {reduction_in: days, against: baseline, as: units}
  worth: {sum_of: {saved: 2}}
  saved each: {reduction_in: days, against: baseline, as: per person}
  mean star: {mean_of: star}
payers: {city: 100%}
structures:
  as signed:
    pays:
      saved: {for: each cohort, amount: {price: 36, times: saved}}
      worth: {for: each cohort, amount: {price: 1, times: worth}}
      heads: {for: each cohort, amount: {price: 331, times: participants}}
      heads of the large: {for: each cohort, cohorts: [large], amount: {price: 331, times: participants}}
      enough: {for: each cohort, when: {saved: at least 500}, amount: {lump_sum: 7}}
      star: {for: all cohorts that ran, amount: {by: mean star, table: {below: 0, points: [[1.2, 10], [1.4, 20]]}}}
      a person: {for: all cohorts that ran, when: {saved each: at least 3}, amount: {lump_sum: 50}}
"""


def test_a_total_is_that_of_all_cohorts_of_a_clause_and_a_mean_is_everybodys():
    found = {
        each.clause: {row.what.split(",")[0]: (row.result, row.clause, row.structure) for row in each.pay_offs}
        for each in terms(loads(UNEQUAL), "as signed")
    }
    in_all = 36 * 1600 + 2 * 1600 + 331 * 400 + 331 * 300 + 7 + 20 + 50
    assert found["saved"]["expected"] == pytest.approx((1600, 36 * 1600, in_all))
    assert found["worth"]["expected"] == pytest.approx((3200, 3200, in_all))
    assert found["heads"]["expected"] == pytest.approx((400, 331 * 400, in_all))
    assert found["heads of the large"]["expected"] == pytest.approx((300, 331 * 300, in_all))
    assert found["enough"]["a bound"][:2] == pytest.approx((500, 14))  # its own for every cohort
    assert found["star"]["expected"] == pytest.approx((1.5, 20, in_all))
    assert found["star"]["a bound"][:2] in {(1.2, 10), (1.4, 20)}
    assert found["a person"]["expected"] == pytest.approx((4, 50, in_all))
    assert found["a person"]["a bound"][:2] == (3, 50)


BY_QUARTER = """
deal: referred over three years
time: {start: 2020-01, step: quarter, horizon: 5 years}
cohorts: {all: {people: 120, referred: 2020-01 to 2022-12}}
outcomes:
  housed: {without_service: 50%, effect: 50%, known_after: 6 months}
  well: {of_those: housed, without_service: 50%, effect: 0%, known_after: 3 months}
structures:
  s:
    payers: {county: 100%}
    rate_card: {housed: 2000}
    at_most: {year: 40000}
"""


def expected_row(deal, clause):
    rows = next(each.pay_offs for each in terms(deal, "s") if each.clause == clause)
    return next((row.result, row.clause, row.structure) for row in rows if "expected" in row.what)


def test_a_limit_of_a_year_meets_what_is_due_in_that_year():
    # 7.5 people a quarter, known two quarters later: 3, 4, 4 and 1 quarters of the financial years to March 2024
    assert expected_row(loads(BY_QUARTER), "housed") == pytest.approx((90, *[40_000 * 3 + 15_000] * 2))


def test_what_is_known_after_the_last_claim_is_not_expected():
    claim = loads(BY_QUARTER.replace("2022-12}", "2022-12, last_claim: 2021-12}"))
    # known by the end of 2021 are those of the first six quarters, three in each financial year
    assert expected_row(claim, "housed") == pytest.approx((45, 80_000, 80_000))
    stretch = terms(claim, "s")[0].pay_offs[-1]
    assert (stretch.result, stretch.clause) == (60, 80_000)
    none = loads(BY_QUARTER.replace("2022-12}", "2022-12, last_claim: 2020-03}"))
    assert [row.clause for row in terms(none, "s")[0].pay_offs if "expected" in row.what] == [0]


def test_an_outcome_of_those_with_another_is_not_expected_before_it():
    # known in 3 months by itself, but in 6 with the one before
    claim = loads(
        BY_QUARTER.replace("2022-12}", "2022-12, last_claim: 2020-06}").replace("{housed: 2000}", "{well: 2000}")
    )
    assert expected_row(claim, "well") == (0, 0, 0)
    assert expected_row(loads(BY_QUARTER.replace("{housed: 2000}", "{well: 2000}")), "well")[0] == pytest.approx(45)
