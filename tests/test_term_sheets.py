"""Forms of published term sheets, each as the smallest deal file that says it, settled to sums done by hand.

The amounts are those of no real contract, except where a source is named; what is tested is that a form can be said.
"""

import pytest

from simulator.dealfile import loads
from simulator.settle import settle

HEAD = """
deal: A form
currency: USD
time: {start: 2020-01, step: quarter, horizon: 5 years, financial_year_starts: January}
"""


def paid(tmp_path, text, rows, header="cohort,outcome,measure,arm,value,size"):
    results = tmp_path / "results.csv"
    results.write_text(header + "\n" + rows, encoding="utf-8")
    return settle(loads(HEAD + text), results)["structures"]["as signed"]


STEPPED = """
cohorts: {young people: {people: 1000, referred: 2020-01 to 2020-12}}
outcomes: {jail days: {counts: events, better: fewer, without_service: 30, baseline: 30, known_after: 1 year}}
measures: {fewer days: {reduction_in: jail days, against: baseline, as: share}}
structures:
  as signed:
    pays:
      steps:
        for: all cohorts that ran
        amount:
          by: fewer days
          table:
            below: 0
            points: [[8.5%, 4.8m], [10%, 9.6m], [11%, 10.1m], [12.5%, 10.3m], [16%, 10.9m], [20%, 11.7m]]
"""


@pytest.mark.parametrize(
    ("reduction", "payment"),
    [("8.4%", 0), ("8.5%", 4.8e6), ("9.9%", 4.8e6), ("10%", 9.6e6), ("19.9%", 10.9e6), ("25%", 11.7e6)],
)
def test_stepped_lump_sums(tmp_path, reduction, payment):
    assert paid(tmp_path, STEPPED, f"young people,,fewer days,,{reduction},1000\n")["payments"] == payment


SLOPED = """
cohorts: {people: {people: 250, referred: 2020-01 to 2020-12}}
outcomes:
  days housed: {counts: amount, without_service: 100, spread: 50, known_after: 1 year}
  jail days: {counts: amount, better: fewer, without_service: 60, spread: 40, known_after: 1 year,
              comparison_arm: {people: 1 per person}}
measures: {fewer jail days: {reduction_in: jail days, against: comparison_arm, as: share}}
structures:
  as signed:
    pays:
      a price a day: {for: each participant, amount: {price: 15, times: days housed}}
      a slope:
        for: all cohorts that ran
        when: {fewer jail days: at least 20%}
        amount: {bands: [[0%, 10000], [30%, 2000], [65%, 0]], per: 1%, times: fewer jail days}
        at_most: 330000
    at_most: {contract: 1m}
"""


def test_a_price_a_day_and_a_sloped_clause_with_a_cap(tmp_path):
    rows = "people,days housed,,intervention,{days},250\npeople,jail days,,intervention,{jail},250\n"
    rows += "people,jail days,,comparison,10000,200\n"  # 50 days a person, 12,500 for as many people
    found = paid(tmp_path, SLOPED, rows.format(days=20_000, jail=7_500))  # 40% fewer
    assert found["clauses"]["a price a day"]["payments"] == 300_000
    assert found["clauses"]["a slope"]["payments"] == pytest.approx(300_000 + 20_000)
    found = paid(tmp_path, SLOPED, rows.format(days=20_000, jail=5_000))  # 60% fewer: 360,000 before its cap
    assert found["clauses"]["a slope"]["payments"] == 330_000
    found = paid(tmp_path, SLOPED, rows.format(days=60_000, jail=5_000))
    assert found["payments"] == 1_000_000


BLEND = """
cohorts: {children: {people: 7300, referred: 2020-01}}
outcomes:
  levels learnt: {counts: events, without_service: 3, known_after: 1 year, comparison_arm: {people: 1 per person}}
  girls enrolled: {without_service: 2%, known_after: 1 year}
measures:
  learning: {increase_in: levels learnt, against: comparison_arm, as: units, divided_by: 5600}
  enrolment: {count_of: girls enrolled, divided_by: 660}
  performance: {sum_of: {learning: 80%, enrolment: 20%}}
structures:
  as signed:
    pays: {performance: {for: all cohorts that ran, amount: {price: 360000, times: performance}}}
    at_most: {contract: 420000}
"""


def test_a_blend_with_a_payment_cap(tmp_path):
    rows = "children,,learning,,{learning},7300\nchildren,,enrolment,,{enrolment},7300\n"
    assert paid(tmp_path, BLEND, rows.format(learning="50%", enrolment="87.5%"))["payments"] == pytest.approx(207_000)
    assert paid(tmp_path, BLEND, rows.format(learning="160%", enrolment="116%"))["payments"] == 420_000
    counts = "children,levels learnt,,intervention,25200,7300\nchildren,levels learnt,,comparison,3066,1022\n"
    counts += "children,girls enrolled,,intervention,330,7300\n"  # 25,200 - 7,300 x 3 = 3,300
    assert paid(tmp_path, BLEND, counts)["payments"] == pytest.approx(360_000 * (0.8 * 3300 / 5600 + 0.2 * 0.5))


ESTIMATORS = """
cohorts: {young men: {people: 900, referred: 2020-01}}
outcomes:
  days inside: {counts: amount, better: fewer, without_service: 400, spread: 300, baseline: 400, known_after: 2 years,
                comparison_arm: {people: 1 per person}}
measures:
  by trial: {reduction_in: days inside, against: comparison_arm, as: share}
  before and after: {reduction_in: days inside, against: baseline, as: share}
  both: {sum_of: {by trial: 80%, before and after: 20%}}
  people in the trial: {count_of: participants}
  backstop: {choice_of: [by trial, both], when: {people in the trial: at least 800}}
structures:
  as signed:
    pays: {slope: {for: all cohorts that ran, amount: {bands: [[5%, 1000], [40%, 0]], per: 1%, times: backstop}}}
"""


@pytest.mark.parametrize(("size", "payment"), [(800, 5_000), (799, 7_000)])
def test_a_second_estimator_is_blended_in_on_a_condition(tmp_path, size, payment):
    # in the trial 10% fewer, before and after 20% fewer: 12% where both count
    rows = f"young men,,by trial,,10%,{size}\nyoung men,,before and after,,20%,{size}\n"
    assert paid(tmp_path, ESTIMATORS, rows)["payments"] == pytest.approx(payment)


SAVINGS = """
cohorts:
  first: {people: 100, referred: 2020-01 to 2020-12}
  second: {people: 100, referred: 2021-01 to 2021-12}
outcomes: {special education: {better: fewer, without_service: 40%, baseline: 50%, known_after: 3 months}}
measures:
  children kept out: {reduction_in: special education, against: baseline, as: units}
  saved to date: {sum_of: {children kept out: 2600}, over: cohorts so far, no_less_than: 0}
structures:
  as signed:
    pays:
      share:
        for: each cohort
        amount: {bands: [[0, 95%], [150000, 40%]], times: saved to date}
        less: share
"""


def test_shares_of_a_saving_that_change_after_a_hurdle(tmp_path):
    rows = "first,special education,,intervention,10,100\nsecond,special education,,intervention,20,100\n"
    found = paid(tmp_path, SAVINGS, rows)  # 40 children saved 104,000; with 30 more 182,000
    assert [row["amount"] for row in found["schedule"]] == pytest.approx([98_800, 142_500 + 12_800 - 98_800])


BANDS = """
cohorts: {mothers: {people: 3000, referred: 2020-01 to 2020-12}}
outcomes:
  in poor areas: {without_service: 60%}
  preterm births: {better: fewer, without_service: 12%, known_after: 9 months, comparison_arm: {people: 1 per person}}
measures:
  share in poor areas: {share_of: in poor areas}
  fewer preterm births: {reduction_in: preterm births, against: comparison_arm, as: share}
structures:
  as signed:
    pays:
      enrolment:
        for: each cohort
        when: {share in poor areas: at least 65%}
        amount: {price: 331, times: participants}
      births:
        for: each cohort
        amount: {by: fewer preterm births, table: {below: 0, points: [[13.5%, 200], [15%, 250]]}, times: in poor areas}
"""


@pytest.mark.parametrize(
    ("poor", "births", "payment"),
    [
        (1950, 86.5, 3000 * 331 + 1950 * 200),
        (1949, 85, 1949 * 250),
        (1950, 86.6, 3000 * 331),
        (2000, 70, 3000 * 331 + 2000 * 250),
    ],
)
def test_a_price_band_chosen_by_one_measure_and_multiplied_by_another(tmp_path, poor, births, payment):
    # 100 preterm births among as many people of the comparison arm
    rows = f"mothers,in poor areas,,intervention,{poor},3000\n"
    rows += f"mothers,,fewer preterm births,,{1 - births / 100},3000\n"
    assert paid(tmp_path, BANDS, rows)["payments"] == pytest.approx(payment)


CUMULATIVE = """
cohorts:
  year 1: {people: 50, referred: 2020-01 to 2020-12}
  year 2: {people: 60, referred: 2021-01 to 2021-12}
  year 3: {people: 70, referred: 2022-01 to 2022-12}
outcomes:
  restored: {without_service: 25%, known_after: 6 months}
  all exits: {without_service: 50%, known_after: 6 months}
measures: {restoration rate: {ratio_of: [restored, all exits], over: cohorts so far}}
structures:
  as signed:
    pays:
      coupon:
        for: each cohort
        amount:
          by: restoration rate
          table: {below: 0, points: [[50%, 140000], [60%, 420000], [70%, 840000]], between: straight line}
        at_least: 350000
"""


def test_a_table_of_a_cumulative_ratio_with_straight_lines_and_a_minimum(tmp_path):
    rows = "".join(
        f"year {year},{outcome},,intervention,{number},{size}\n"
        for year, size, restored, exits in ((1, 50, 10, 20), (2, 60, 26, 36), (3, 70, 30, 44))
        for outcome, number in (("restored", restored), ("all exits", exits))
    )
    found = paid(tmp_path, CUMULATIVE, rows)  # 10 / 20, 36 / 56, 66 / 100
    by_hand = [350_000, 420_000 + (36 / 56 - 0.6) * 4_200_000, 420_000 + 0.06 * 4_200_000]
    assert [row["amount"] for row in found["schedule"]] == pytest.approx(by_hand)
    published = "".join(
        f"year {year},,restoration rate,,{rate},{size}\n"
        for year, size, rate in ((1, 50, "50%"), (2, 60, "61%"), (3, 70, "66%"))
    )
    found = paid(tmp_path, CUMULATIVE, published)
    assert [row["amount"] for row in found["schedule"]] == pytest.approx([350_000, 462_000, 672_000])


CARD = {f"outcome {number}": 100 * number for number in range(1, 24)}


def test_a_card_of_twenty_three_rows(tmp_path):
    outcomes = "".join(f"  {name}: {{without_service: 20%}}\n" for name in CARD)
    rows = "".join(f"    {name}: {price}\n" for name, price in CARD.items())
    text = f"cohorts: {{all: {{people: 90, referred: 2020-01 to 2020-06}}}}\noutcomes:\n{outcomes}"
    text += "structures:\n  as signed:\n"
    text += f"    rate_card:\n{rows.replace('    ', '      ')}    at_most: {{contract: 1m}}\n"
    results = "".join(f"all,{name},,intervention,{number},90\n" for number, name in enumerate(CARD))
    expected = sum(number * price for number, price in enumerate(CARD.values()))
    assert paid(tmp_path, text, results)["payments"] == min(expected, 1e6)


def test_denvers_second_bond_paid_nineteen_dollars_and_a_quarter_a_day(tmp_path):
    """City and County of Denver, June 2024: 29,459 days of housing in six quarters, USD 567,085.75 to the investors."""
    text = """
cohorts: {participants: {people: 125, referred: 2020-01 to 2021-06}}
outcomes: {days of housing: {counts: amount, without_service: 10, spread: 50}}
structures: {as signed: {rate_card: {days of housing: 19.25}}}
"""
    rows = "participants,days of housing,,intervention,29459,125\n"
    assert paid(tmp_path, text, rows)["payments"] == pytest.approx(567_085.75, abs=0.005)


EXPOSURE = """
cohorts: {tenants: {people: 250, referred: 2020-01 to 2020-06}}
outcomes:
  housed a year: {without_service: 20%, known_after: 12 months}
  days housed: {counts: amount, of_those: housed a year, without_service: 300, spread: 90, known_after: 18 months}
  days inside: {counts: amount, of_those: housed a year, better: fewer, without_service: 20, spread: 30,
                known_after: 18 months}
measures:
  days that count: {sum_of: {days housed: 1, days inside: -1}, no_less_than: 0}
structures:
  as signed:
    pays: {a price a day: {for: each cohort, amount: {price: 15.12, times: days that count}}}
"""


def test_days_from_a_qualifying_date_less_deductions(tmp_path):
    """Only those who were housed for a year have days, and days inside are taken off."""
    rows = "tenants,housed a year,,intervention,120,250\ntenants,days housed,,intervention,40000,250\n"
    rows += "tenants,days inside,,intervention,1500,250\n"
    assert paid(tmp_path, EXPOSURE, rows)["payments"] == pytest.approx(38_500 * 15.12)


PRIORITY = """
cohorts: {all: {people: 400, referred: 2020-01 to 2020-12}}
outcomes:
  in work: {without_service: 30%, known_after: 6 months}
  in work from a priority group: {of_those: in work, without_service: 25%, known_after: 6 months}
structures:
  as signed:
    rate_card: {in work: 3500, in work from a priority group: 700}
"""


def test_an_uplift_for_a_share_of_the_participants(tmp_path):
    """A fifth more for those of a priority group, who are among those in work: a row of its own."""
    rows = "all,in work,,intervention,130,400\nall,in work from a priority group,,intervention,40,400\n"
    assert paid(tmp_path, PRIORITY, rows)["payments"] == 90 * 3500 + 40 * 4200


FLOOR = """
cohorts:
  first: {people: 100, referred: 2020-01 to 2020-12}
  second: {people: 100, referred: 2021-01 to 2021-12}
outcomes: {in work: {without_service: 30%, known_after: 6 months}}
measures: {everybody: {count_of: participants}}
structures:
  as signed:
    pays:
      jobs: {for: each cohort, amount: {price: 1000, times: in work}, at_least: 20000}
      a minimum in all:
        for: all cohorts that ran
        when: {everybody: at least 150, in work: at least 0}    # waits for the results that jobs waits for
        amount: {lump_sum: 75000}
        less: jobs
"""


@pytest.mark.parametrize(
    ("jobs", "parts"), [((10, 30), (50_000, 25_000)), ((40, 50), (90_000, 0)), ((0, 0), (40_000, 35_000))]
)
def test_a_minimum_of_each_cohort_and_one_in_all(tmp_path, jobs, parts):
    rows = f"first,in work,,intervention,{jobs[0]},100\nsecond,in work,,intervention,{jobs[1]},100\n"
    found = paid(tmp_path, FLOOR, rows)["clauses"]
    assert (found["jobs"]["payments"], found["a minimum in all"]["payments"]) == parts


LATER = """
cohorts: {all: {people: 100, referred: 2020-01 to 2020-12}}
outcomes:
  grade:
    without_service: {first_step: 50%}
    steps:
      first grade: {chance: 80%, after: 12 months}
      second grade: {chance: 90%, after: 12 months}
      third grade: {chance: 90%, after: 12 months}
  at once: {without_service: 10%, known_after: 3 months}
structures:
  as signed:
    pays:
      one: {for: each cohort, amount: {price: 10, times: first grade}}
      two: {for: each cohort, amount: {price: 10, times: second grade}}
      three: {for: all cohorts that ran, amount: {price: 10, times: third grade}}
      soon: {for: each cohort, amount: {price: 10, times: at once}}
"""


def test_what_is_planned_to_be_known_later_is_not_yet_due_and_what_was_due_is_not_applied(tmp_path):
    found = paid(tmp_path, LATER, "all,first grade,,intervention,60,100\n")
    assert found["payments"] == 600
    waiting = {row["clause"]: row["needs"] for row in found["not_yet_due"]}
    assert set(waiting) == {"two", "three"}
    assert waiting["two"].endswith("planned to be known by 2022-12-31")
    assert waiting["three"].endswith("planned to be known by 2023-12-31")
    assert [row["rule"] for row in found["not_applied"]] == ["soon [all]"]
    assert found["payments_are"] == "at least"
