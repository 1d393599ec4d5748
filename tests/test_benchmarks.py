"""The programs that the simulator is timed against give its answers; nothing here is timed."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import simulator

TOP = Path(__file__).parent.parent
FOLDER = TOP / "benchmarks"
# draws of each program; people are drawn one by one in the Fair Chance Fund
DRAWS = {"vectorised": 4_000, "people": 150, "financial": 400, "monaco": 200}
DRAWS_OF_PEOPLE = {"vectorised": 400, "people": 150, "financial": 150, "monaco": 60}
NEEDS = {"vectorised": "pyxirr", "people": "pyxirr", "financial": "numpy_financial", "monaco": "monaco"}


@pytest.fixture(scope="module")
def bench():
    """The modules of the benchmarks, by name."""
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def ours():
    """The simulator's answers."""
    found = {}

    def answers(deal, *sets):
        if (deal, sets) not in found:
            draws = 1_500 if deal == "fair_chance_fund" else 20_000
            result = simulator.simulate(simulator.load(TOP / "scenarios" / f"{deal}.yaml", sets), draws=draws)
            found[deal, sets] = result.draws("as signed")
        return {key: found[deal, sets][key] for key in ("payments", "multiple", "irr")}

    return answers


def _furthest(bench, deal, ours, theirs):
    return max(abs(row["errors_apart"]) for row in bench("run").agreement(deal, ours, theirs))


@pytest.mark.parametrize("program", DRAWS)
@pytest.mark.parametrize("deal", ["peterborough", "fair_chance_fund", "essex"])
def test_a_peer_gives_the_answers_of_the_simulator(bench, ours, deal, program):
    """Within four errors; at 4,000 draws, probabilities that are wrong by five points are found nearly always."""
    pytest.importorskip(NEEDS[program])
    draws = (DRAWS_OF_PEOPLE if deal == "fair_chance_fund" else DRAWS)[program]
    theirs = getattr(bench(deal), program)(draws, 3)
    assert theirs["payments"].shape == (draws,)
    assert _furthest(bench, deal, ours(deal), theirs) < 4.0


def test_a_peer_of_another_deal_does_not_agree(bench, ours):
    pytest.importorskip("pyxirr")
    theirs = bench("peterborough").vectorised(4_000, 3)
    changed = ours("peterborough", "structures.as signed.pays.a cohort succeeds.when.fewer events=at least 13%")
    assert _furthest(bench, "peterborough", changed, theirs) > 4.0


def test_the_c_program_gives_the_answers_of_the_simulator(bench, ours, tmp_path):
    run = bench("run")
    binary = run.compiled(tmp_path)
    if binary is None:
        pytest.skip("there is no C compiler")
    one, two = (run.in_c(str(binary), threads)(40_000, 5, answers=True)[2] for threads in (1, 2))
    assert _furthest(bench, "peterborough", ours("peterborough"), one) < 4.0
    assert all(np.array_equal(one[key], two[key], equal_nan=True) for key in one)
    changed = ours("peterborough", "structures.as signed.at_most.contract=6m")
    assert _furthest(bench, "peterborough", changed, one) > 4.0


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler")
def test_the_c_program_has_no_warnings(tmp_path):
    command = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", str(FOLDER / "peterborough.c"), "-lm"]
    subprocess.run([*command, "-o", str(tmp_path / "program")], check=True)


def test_the_readme_shows_what_was_measured(bench, tmp_path):
    tables = bench("tables")
    found = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    assert not found["quick"]
    shown = (TOP / "README.md").read_text(encoding="utf-8").split(tables.MARKS[0])[1].split(tables.MARKS[1])[0]
    assert shown == "\n" + tables.short(found)
    assert (FOLDER / "results.md").read_text(encoding="utf-8") == tables.report(found)
    for rows in (rows for deal in found["answers"].values() for rows in deal.values()):
        assert all(abs(row["errors_apart"]) <= tables.FURTHEST for row in rows)
    tables.write(found, tmp_path)
    assert (tmp_path / "speed.svg").stat().st_size > 5_000
