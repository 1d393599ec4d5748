"""What the README shows is what a reader gets."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from simulator.cli import cli
from simulator.dealfile import load, loads
from simulator.pictures import PLOTS
from simulator.run import simulate

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?(?:e-?[0-9]+)?")


def _shown():
    return re.findall(r"<!-- output: sib (.+?) -->\n```text\n(.*?)```", README, flags=re.DOTALL)


def _words(text):
    """The text without its numbers and spacing."""
    return NUMBER.sub("#", text).split()


def _numbers(text):
    return [float(each.replace(",", "")) for each in NUMBER.findall(text)]


@pytest.mark.parametrize(("command", "output"), _shown(), ids=lambda text: text[:40])
def test_a_command_of_the_readme_prints_what_the_readme_shows(command, output, monkeypatch, tmp_path):
    shutil.copytree(TOP / "scenarios", tmp_path / "scenarios")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, shlex.split(command))
    assert done.exit_code == 0, done.output
    printed = re.sub(r"deal [0-9a-f]{12}", "deal HASH", done.stdout)
    shown = re.sub(r"deal [0-9a-f]{12}", "deal HASH", output)
    assert _words(printed) == _words(shown)
    # other versions of the libraries may move a draw across a bound: 2% or the last digit shown
    for ours, theirs in zip(_numbers(printed), _numbers(shown), strict=True):
        assert ours == pytest.approx(theirs, rel=0.02, abs=0.1)


def test_the_readme_shows_the_output_of_the_main_job():
    assert any(command.startswith("run scenarios/peterborough.yaml") for command, _ in _shown())


def test_the_short_deal_of_the_readme_runs():
    deal = re.search(r"```yaml\n(deal: .*?)```", README, flags=re.DOTALL)[1]
    result = simulate(loads(deal), draws=2_000)
    assert set(result.structures) == {"at least 20", "by the head", "conventional"}
    assert 0 < result["at least 20"].triggers["group threshold"].probability < 1


@pytest.mark.parametrize("clause", re.findall(r"```yaml\n(pays:.*?)```", README, flags=re.DOTALL))
def test_the_clauses_of_the_readme_are_accepted(clause):
    deal = (TOP / "scenarios" / "peterborough.yaml").read_text(encoding="utf-8")
    inside = "\n".join("    " + line for line in clause.splitlines())
    text = re.sub(r"  as signed:\n.*?(?=  event by event:)", f"  as signed:\n{inside}\n\n", deal, flags=re.DOTALL)
    text = re.sub(r"^(facts|assumptions|sources):\n(?: .*\n|\n)*", "", text, flags=re.MULTILINE)
    assert "table" in text
    loads(text)


def test_the_finance_agreement_of_the_readme_runs():
    finance = re.search(r"```yaml\n(finance:\n.*?)```", README, flags=re.DOTALL)[1]
    text = f"""deal: a school
time: {{start: 2024-04, step: quarter, horizon: 6 years}}
cohorts: {{all: {{people: 80, referred: 2024-04 to 2025-03}}}}
outcomes: {{passed: {{without_service: 40%, effect: 50%, known_after: 9 months}}}}
measures: {{success rate: {{share_of: passed}}}}
structures: {{it: {{rate_card: {{passed: 110000}}, costs: {{delivery: 3m a year}}}}}}
{finance}"""
    answers = simulate(loads(text), draws=256).to_dict()["structures"]["it"]
    assert set(answers["investor"]["tranches"]) == {"senior", "notes"}
    assert answers["guarantor"]["name"] == "a foundation"


def test_the_end_and_what_goes_wrong_in_the_readme_run():
    structures = re.search(r"```yaml\n(structures:\n.*?)```", README, flags=re.DOTALL)[1]
    text = f"""deal: a job centre
time: {{start: 2024-04, step: quarter, horizon: 5 years, service: 2024-04 to 2026-03}}
cohorts: {{all: {{people: 80, referred: 2024-04 to 2025-03}}}}
outcomes: {{job: {{without_service: 20%, effect: 50%, known_after: 6 months}}}}
measures: {{share in work: {{share_of: job}}}}
{structures}"""
    triggers = simulate(loads(text), draws=256).to_dict()["structures"]["as signed"]["triggers"]
    assert {"compensation", "ended early: too little", "ended early: no money"} <= set(triggers)


def test_the_perverse_point_of_the_readme_is_printed(monkeypatch):
    monkeypatch.chdir(TOP)
    said = " ".join(re.search(r"it says:\s+\*(.*?)\*", README, flags=re.DOTALL)[1].split())
    assert said in CliRunner().invoke(cli, ["show", "scenarios/peterborough.yaml", "--terms"]).stdout


def test_every_file_that_the_readme_links_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (TOP / target).exists(), target


def test_the_readme_names_every_figure():
    row = next(line for line in README.splitlines() if "sib plot scenarios" in line)
    assert re.findall(r"`([a-z-]+)`", row.split("one of")[1]) == list(PLOTS)


def test_the_reports_of_the_readme_can_be_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(TOP)
    commands = re.findall(r"`sib (report|plot) (scenarios/[^`]*) -o ([a-z]+\.[a-z]+)`", README)
    assert {file for *_, file in commands} == {"deal.html", "deal.xlsx", "power.svg"}
    for name, options, file in commands:
        out = tmp_path / file
        done = CliRunner().invoke(cli, [name, *shlex.split(options), "-o", str(out), "--draws", "64", "--quiet"])
        assert done.exit_code == 0, done.output
        assert out.stat().st_size > 5_000


def test_the_fund_of_the_readme_leaves_what_the_readme_says(tmp_path):
    shutil.copytree(TOP / "scenarios", tmp_path / "scenarios")
    file = tmp_path / "through-a-fund.yaml"
    file.write_text(re.search(r"```yaml\n(extends: scenarios/peterborough.yaml\n.*?)```", README, flags=re.DOTALL)[1])
    investor = simulate(load(file), structures=["as signed"])["as signed"].investor
    net = investor.net
    shown = README[README.index("What is left to the fund's own investors?") :]
    numbers = _numbers(shown[: shown.index("**The end")])
    found = [net.multiple.mean, investor.multiple.mean]
    found += [100 * each.probability_of_loss.probability for each in (net, investor)]
    found += [net.fees.mean, net.carry.mean, 95, 100 * net.irr.p95, 100 * investor.irr.p95]
    for ours, theirs in zip(found, numbers, strict=True):
        assert ours == pytest.approx(theirs, rel=0.02)
