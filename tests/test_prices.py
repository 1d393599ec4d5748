"""Nominal and real money: costs that rise, prices of the start, and what every present value says of itself."""

import datetime
import json

import pytest
from click.testing import CliRunner

import simulator as sib
from simulator.budget import contractual_maximum
from simulator.cli import cli
from simulator.dealfile import loads
from simulator.observed import Observed, Row
from simulator.plan import compile_plan
from simulator.yamlfile import DealError

END_OF_2021 = datetime.date(2021, 12, 31)

YEARLY = """
deal: by the year
time: {start: 2020-01, step: year, horizon: 4 years, financial_year_starts: January}
rates: {investor: 6%, payer: 3.5% real, inflation: 10%}
cohorts: {all: {people: 10, referred: 2020-01 to 2020-12}}
outcomes: {job: {without_service: 100%, known_after: 2 years}}
costs: {delivery: 100 a year}
structures:
  it:
    rate_card: {job: 30}
    finance: {commitment: 500, called: 1 year ahead}
"""
REAL = YEARLY.replace("time: {", "time: {prices: real, ").replace("rates: {", "rates: {deflator: GDP deflator, ")


def flows(text, structure="it"):
    told = sib.explain(loads(text), draw=0)["structures"][structure]
    return told["schedule"], told["metrics"]


def test_money_of_the_file_is_nominal_and_nothing_rises_unless_it_says_so():
    schedule, metrics = flows(YEARLY)
    assert [row["amount"] for row in schedule if row["reason"].startswith("delivery")] == [100, 100]
    assert metrics["payments"] == 300
    assert "present_values" in sib.simulate(loads(YEARLY), draws=10).to_dict()


def test_costs_rise_from_the_start_by_their_own_rate():
    text = YEARLY.replace("inflation: 10%", "inflation: 10%, cost_inflation: 20%")
    schedule, metrics = flows(text)
    # service runs in period 1: 100 x 1.2, planned alike and called at the start
    delivery = [row for row in schedule if row["to"] == "service"]
    assert [row["amount"] for row in delivery] == [pytest.approx(120)]
    assert "x 1.2 since the start" in delivery[0]["reason"]
    assert metrics["payments"] == 300
    assert metrics["multiple"] == pytest.approx(300 / 120)
    result = sib.simulate(loads(text), draws=10)
    assert result.draws("it")["surplus"] == pytest.approx(0)
    assert result["it"].investor.peak_funding_need.mean == pytest.approx(120)


def test_real_prices_are_money_of_the_day_when_they_are_paid():
    schedule, metrics = flows(REAL)
    # ten jobs are known in period 3: 300 x 1.1^3; delivery of period 1 costs 110
    paid = [row for row in schedule if row["clause"]]
    assert [row["amount"] for row in paid] == [pytest.approx(300 * 1.1**3)]
    assert "x 1.331 for prices since the start" in paid[0]["reason"]
    assert metrics["payments"] == pytest.approx(399.3)
    answers = sib.simulate(loads(REAL), draws=10).to_dict()["structures"]["it"]
    # the payers' real rate gives what the real flows are worth: 300 / 1.035^3
    assert answers["payments_present_value"]["mean"] == pytest.approx(300 / 1.035**3)
    assert answers["investor"]["multiple"]["mean"] == pytest.approx(399.3 / 110)
    assert answers["investor"]["net_present_value"]["mean"] == pytest.approx(399.3 / 1.06**3 - 110)


def test_the_real_return_is_the_nominal_one_less_inflation():
    """With all flows in prices of the start: (1 + nominal) = (1 + real)(1 + inflation)."""
    rate = {}
    for name, text in (("real", REAL), ("nominal", REAL.replace("inflation: 10%", "inflation: 0%"))):
        rate[name] = sib.simulate(loads(text), draws=4)["it"].investor.irr.mean
    # what delivery costs in period 1 is called at the start: two years of inflation lie between 1.1 and 1.1^3
    assert (1 + rate["real"]) ** 3 == pytest.approx((1 + rate["nominal"]) ** 3 * 1.1**2)


def test_limits_and_the_terms_of_investors_are_nominal_where_prices_are_real():
    text = REAL.replace("    finance:", "    at_most: {contract: 350}\n    finance:")
    _, metrics = flows(text)
    assert metrics["payments"] == 350
    assert sib.simulate(loads(text.replace("500", "105")), draws=4)["it"].investor.peak_funding_need.mean == 105


def test_savings_in_real_prices_are_discounted_at_the_real_rate():
    worth = """
savings:
  less care: {outcome: job, to: state, each: 12 a year, lasts: 2 years, cashable: 100%, evidence: trial}
  once: {outcome: job, to: state, each: 7, cashable: 100%, evidence: trial}
optimism_bias: {trial: 0%}
"""
    text = REAL.replace("without_service: 100%", "without_service: 0%, effect: 100%, effect_as: units") + worth
    found = sib.compare(loads(text), draws=16, budget=True)["structures"]["it"]
    care = 120 / 1.035**4 + 120 / 1.035**5
    assert found["savings"]["total"]["mean"] == pytest.approx(care + 70 / 1.035**3)
    public = found["budget"]["payers"]["public sector"]
    cash = [year["cashable_savings"]["value"] for year in public["years"]]
    assert cash == pytest.approx([0, 0, 70 * 1.1**3, 120 * 1.1**4])
    assert public["cashable_savings_after_the_last_year"]["value"] == pytest.approx(120 * 1.1**5)


def test_explain_show_and_the_terms_say_the_base():
    assert "in prices of 2020-01" in shown(REAL, "--terms")
    assert "prices: real" in shown(REAL)
    assert "prices of" not in shown(YEARLY, "--terms")


def shown(text, *options):
    runner = CliRunner()
    with runner.isolated_filesystem():
        with open("deal.yaml", "w", encoding="utf-8") as file:
            file.write(text)
        done = runner.invoke(cli, ["show", "deal.yaml", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_what_mixes_nominal_and_real_is_said_all_at_once():
    text = REAL.replace("deflator: GDP deflator, ", "").replace(
        "    rate_card: {job: 30}\n",
        """    pays:
      job:
        for: each participant
        amount: {price: 30, times: job}
        indexed: {a_year: 2%, from: 2020-01}
""",
    )
    with pytest.raises(DealError) as caught:
        loads(text)
    said = str(caught.value).splitlines()
    assert len(said) == 2
    assert "time.prices: is real, but the index between it and money of the day is not named" in said[0]
    assert "structures.it.pays.job.indexed: mixes nominal and real" in said[1]
    with pytest.raises(DealError, match="mix nominal and real: this rate is of nominal money; allowed: 5%"):
        loads(REAL.replace("called: 1 year ahead", "tranches: {notes: {commitment: 500, coupon: 5% real}}"))
    with pytest.raises(DealError, match="mix nominal and real"):
        loads(YEARLY.replace("inflation: 10%", "inflation: 10% nominal"))


@pytest.mark.parametrize("text", [YEARLY, REAL], ids=["nominal", "real"])
def test_every_answer_names_rate_base_and_date(text, tmp_path):
    file = tmp_path / "deal.yaml"
    file.write_text(text, encoding="utf-8")
    results = tmp_path / "results.csv"
    results.write_text("cohort,outcome,arm,value\nall,job,intervention,10\n", encoding="utf-8")
    commands = {
        "run": ["--draws", "64"],
        "compare": ["--draws", "64", "--against", "nothing"],
        "settle": ["--results", str(results)],
        "explain": ["--draw", "0"],
        "stress": ["--draws", "64", "--no-reverse"],
    }
    for command, options in commands.items():
        done = CliRunner().invoke(cli, [command, str(file), *options, "--format", "json", "--quiet"])
        assert done.exit_code == 0, done.output
        said = json.loads(done.stdout)["present_values"]
        assert said["date"] == "2020-01-01"
        assert said["flows"] == "nominal"
        assert said["prices"] == ("nominal" if text == YEARLY else "real, of 2020-01")
        assert said["investor"] == {"rate": "6%", "base": "nominal"}
        assert said["payer"] == {"rate": "3.5%", "base": "real"}
        assert said["inflation"] == "10%"
    for command in ("run", "compare"):
        done = CliRunner().invoke(cli, [command, str(file), *commands[command], "--quiet"])
        assert "resent values at 2020-01-01 of nominal flows" in done.stdout
        assert "payers at 3.5% a year real" in done.stdout


ENDING = """
deal: ended early
time: {start: 2020-01, step: year, horizon: 5 years, financial_year_starts: January, service: 2020-01 to 2023-12}
rates: {cost_inflation: 10%}
cohorts: {all: {people: 8, referred: 2020-01 to 2023-12}}
outcomes: {job: {without_service: 0%}}
costs: {delivery: 100 a year, management: 50 at the end}
structures:
  it:
    rate_card: {job: 1}
    finance: {commitment: 1000, called: 1 year ahead, guarantee: {guarantor: G, amount: 1, fee: 7 at the end}}
"""


def test_the_cost_of_ending_is_planned_in_prices_of_its_day():
    """Service ends with 2021: 50 x 1.1^3 and the guarantor's fee, which does not rise, are called for 2022."""
    observed = Observed((Row(cohort="all", outcome="job", arm="intervention", value=0, size=4),), ended=END_OF_2021)
    investor = sib.settle(loads(ENDING), observed)["structures"]["it"]["investor"]
    calls = {row["date"]: row["amount"] for row in investor["schedule"] if row["to"] == "vehicle"}
    assert calls == pytest.approx({"2020-01-01": 110, "2020-12-31": 121, "2021-12-31": 50 * 1.1**3 + 7})


def test_what_rises_at_a_rate_without_a_largest_value_has_no_contractual_maximum():
    data = DEAL_OF_RISING_FEE.replace("RATE", "2% to 4%")
    (most,), reason = contractual_maximum(compile_plan(loads(data)), "conventional", whole=True)
    assert most is None and reason.endswith("it rises at a rate that has no largest value")
    (most,), _ = contractual_maximum(
        compile_plan(loads(DEAL_OF_RISING_FEE.replace("RATE", "uniform(2%, 4%)"))), "conventional", whole=True
    )
    assert 40_000 < most <= 40_000 * 1.04**8


DEAL_OF_RISING_FEE = """
deal: D
time: {start: 2024-04, step: year, horizon: 8 years, prices: real}
rates: {inflation: RATE, deflator: CPI}
cohorts: {all: {people: 100, referred: 2024-04 to 2028-03}}
outcomes: {job: {without_service: 20%, effect: 10%, effect_as: units, known_after: 12 months}}
payers: {city: 100%}
structures:
  conventional: {fee: 40000, paid: evenly, finance: none}
"""
