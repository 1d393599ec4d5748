"""Sweeps: cells are what a run of their setting gives, whoever works them, however often they are interrupted."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from simulator.dealfile import load, loads
from simulator.journal import Journal
from simulator.run import simulate
from simulator.sweep import (
    CSV,
    JOURNAL,
    MANIFEST,
    METRICS,
    PARQUET,
    Records,
    Row,
    Work,
    pack,
    pivots,
    specify,
    summarised,
    sweep,
    unpack,
)
from simulator.variants import Reach
from simulator.yamlfile import AskError, DealError

FOLDER = Path(__file__).parent.parent / "scenarios"
PETERBOROUGH = FOLDER / "peterborough.yaml"
FUND = FOLDER / "fair_chance_fund.yaml"
COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'sib'; from simulator.cli import main; main()"]
TRIGGER = "structures.as signed.pays.a cohort succeeds.when.fewer events"
CAP = "structures.as signed.at_most.contract"
EFFECT = "outcomes.reconvictions.effect"

SMALL = """\
deal: small
time: {start: 2024-04, step: quarter, horizon: 3 years}
quantities: {pay: 500}
cohorts: {all: {people: 40, referred: 2024-04 to 2025-03}}
outcomes: {job: {without_service: 10% to 30%, effect: 50%, known_after: 6 months}}
costs: {delivery: 1000 a year}
structures:
  card: {rate_card: {job: pay}, finance: {commitment: 3000}}
  group: {group_threshold: {outcome: job, at_least: 8 people, pays: 4000}, finance: {commitment: 3000}}
  conventional: {fee: 1000}
"""
OVER = (
    "outcomes.job.effect=0%:100%:5",
    "quantities.pay=400,500,600,700",
    "structures.group.pays.group threshold.amount.lump_sum=3k:5k:3",
)

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")


@pytest.fixture(scope="module", autouse=True)
def compiled(kernels):
    """So that nothing compiles in a test."""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def files(folder):
    return {name: (folder / name).read_bytes() for name in (CSV, PARQUET, MANIFEST)}


def table(folder):
    return pyarrow.parquet.read_table(folder / PARQUET)


def same(one, other):
    return one.layout == other.layout and one.values.tobytes() == other.values.tobytes()


def expected_rows(deal, draws, seed=1):
    data = simulate(deal, draws, seed, threads=1).to_dict()
    return {name: Row.of(0, name, each, data["outcomes"]) for name, each in data["structures"].items()}


# ---------------------------------------------------------------------------------------------------
# A cell is a run of its setting
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "over"),
    [
        (PETERBOROUGH, [f"{TRIGGER}=5%:15%:3", f"{CAP}=4m,8m"]),
        (PETERBOROUGH, [f"{EFFECT}=-15%:0%:3", f"{CAP}=4m,8m"]),
        (PETERBOROUGH, ["quantities.price per event=10k,20k", "structures.as signed.finance.recycled=true,false"]),
        (PETERBOROUGH, ["payers.Ministry of Justice=22%", "rates.inflation=2%,3%"]),
        (PETERBOROUGH, ["structures.all or nothing.group_threshold.at_least=300,340", "costs.management=50k,70k"]),
        (PETERBOROUGH, [f"{EFFECT}=normal(mean -5%, sd 2%),-10% ± 3%", "cohorts.cohort 3.referrals=50%:100%:2"]),
        (PETERBOROUGH, ["time.horizon=9 years,10 years", "ends_early.policy_change.chance_a_year=0%,5%"]),
        (PETERBOROUGH, ["finance.commitment=4m,6m", "structures.as signed.finance.commitment=5m"]),
        (FUND, ["structures.as signed.at_most.per_person=10k,17k", "structures.as signed.at_most.contract=2m,4m"]),
        (FUND, ["frailty_correlation=0%,30%", "structures.conventional.pays.fee.amount.lump_sum=3m,4m"]),
    ],
    ids=lambda value: "" if isinstance(value, Path) else " ".join(each.split("=")[0].split(".")[-1] for each in value),
)
def test_every_cell_is_a_run_of_its_setting_to_the_bit(file, over):
    spec, work = specify([file], over, draws=300)
    rows = {(row.cell, row.structure): row for batch in range(spec.batches) for row in work.rows(spec.worked(batch))}
    apart = {(row.cell, row.structure): row for row in work.rows(range(spec.total), share=False)}
    loaded = Work(spec, work.bases, tuple(tuple(Reach(None, (), True) for _ in each) for each in work.reaches))
    anew = {(row.cell, row.structure): row for row in loaded.rows(range(spec.total))}
    base = work.bases[0]
    for cell in range(spec.total):
        _, texts = spec.setting(cell)
        changes = dict(zip([axis.path for axis in spec.axes], texts, strict=True))
        run = expected_rows(base.variant(changes), 300)
        for name, row in run.items():
            for found in (rows, apart, anew):
                assert same(found[cell, name], row), (cell, name)


def test_cells_that_differ_in_terms_share_outcomes_and_those_that_do_not_reach_a_structure_share_its_answers(
    monkeypatch,
):
    from simulator import run

    simulated, settled = [], []
    outcomes, settle = run.Simulation.outcomes, run.Simulation.settle
    monkeypatch.setattr(run.Simulation, "outcomes", lambda self, *rest: simulated.append(1) or outcomes(self, *rest))
    monkeypatch.setattr(
        run.Simulation, "settle", lambda self, name, *rest: settled.append(name) or settle(self, name, *rest)
    )
    spec, work = specify([PETERBOROUGH], [f"{EFFECT}=-15%:0%:2", f"{CAP}=4m:8m:3", f"{TRIGGER}=5%,10%"], draws=100)
    list(work.rows(spec.worked(0)))
    assert len(simulated) == 2
    assert {name: settled.count(name) for name in set(settled)} == {
        "as signed": 12,
        "event by event": 2,
        "all or nothing": 2,
        "conventional": 2,
    }


def test_axes_that_move_outcomes_are_worked_outermost_and_cells_are_numbered_by_the_order_given():
    spec, _ = specify([PETERBOROUGH], [f"{CAP}=4m:8m:3", f"{EFFECT}=-15%:0%:2", f"{TRIGGER}=5%,10%"], draws=100)
    assert spec.outer == (1, 0, 2)
    assert [spec.position(spec.cell(p)) for p in range(spec.total)] == list(range(12))
    effects = [spec.setting(spec.cell(p))[1][1] for p in range(12)]
    assert effects == sorted(effects)
    assert [spec.setting(cell)[1] for cell in (0, 1, 2, 4)] == [
        ("4m", "-15%", "5%"),
        ("4m", "-15%", "10%"),
        ("4m", "0%", "5%"),
        ("6m", "-15%", "5%"),
    ]


def test_a_record_reads_back():
    rows = [Row.of(3, "a", {"x": {"mean": 1.5, "count": 7, "none": None, "interval": [0.1, None]}}, {})]
    batch, (back,) = unpack(pack(4, rows))
    assert batch == 4
    assert same(back, rows[0])
    assert back.layout == (
        ("x.mean", "f"),
        ("x.count", "i"),
        ("x.none", "f"),
        ("x.interval.low", "f"),
        ("x.interval.high", "f"),
    )


# ---------------------------------------------------------------------------------------------------
# The files
# ---------------------------------------------------------------------------------------------------


def test_the_files_have_a_row_for_each_cell_and_structure(small, tmp_path):
    manifest = sweep(small, OVER, tmp_path / "out", draws=200)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {CSV, PARQUET, MANIFEST}
    found = table(tmp_path / "out")
    assert found.num_rows == 60 * 3
    assert found.column("cell").to_pylist() == [cell for cell in range(60) for _ in range(3)]
    assert found.column("structure").to_pylist() == ["card", "group", "conventional"] * 60
    assert found.column("outcomes.job.effect").to_pylist()[::36] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert found.column("quantities.pay").to_pylist()[:36:9] == [400, 500, 600, 700]
    names = [axis.split("=")[0] for axis in OVER]
    assert found.column_names[: len(names) + 2] == ["cell", *names, "structure"]
    row = found.slice(3 * 35, 1).to_pylist()[0]
    changes = [f"{names[0]}=50%", f"{names[1]}=700", f"{names[2]}=5k"]
    run = simulate(loads(SMALL, sets=changes), 200).to_dict()["structures"]["card"]
    assert (row[names[0]], row[names[1]], row[names[2]]) == (0.5, 700, 5000)
    assert row["payments.mean"] == run["payments"]["mean"]
    assert row["payments.standard_error"] == run["payments"]["standard_error"]
    assert row["investor.irr.intervals.p50.low"] == run["investor"]["irr"]["intervals"]["p50"][0]
    assert row["triggers.any payment.interval.high"] == run["triggers"]["any payment"]["interval"][1]
    assert row["payer.by_year.2024-25.p95"] == run["payer"]["by_year"][0]["p95"]
    lines = pyarrow.csv.read_csv(tmp_path / "out" / CSV)
    assert lines.column_names == found.column_names
    for name in found.column_names:
        ours, theirs = found.column(name).to_pylist(), lines.column(name).to_pylist()
        assert ours == theirs or (set(theirs) == {None} and set(ours) == {None}), name
    assert manifest == json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert (manifest["seed"], manifest["draws"], manifest["cells"]) == (1, 200, 60)
    assert manifest["deal_hash"] == simulate(loads(SMALL), 10).to_dict()["deal_hash"]


def test_cells_of_unlike_shape_stand_in_one_table(small, tmp_path):
    sweep(small, ["structures.conventional.finance=none,{commitment: 5000}"], tmp_path / "out", draws=50)
    found = table(tmp_path / "out").to_pylist()
    assert [row["investor.irr.count"] is None for row in found if row["structure"] == "conventional"] == [True, False]
    assert found[0]["structures.conventional.finance"] == "none"


def test_several_deals_are_swept_over_the_same_cells(small, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("extends: small.yaml\ndeal: other\nquantities: {pay: 900}\n", encoding="utf-8")
    manifest = sweep([small, other], ["outcomes.job.effect=0%,50%"], tmp_path / "out", draws=100)
    found = table(tmp_path / "out").to_pylist()
    assert manifest["cells"] == 4
    assert [row["deal"] for row in found] == [str(small)] * 6 + [str(other)] * 6
    assert found[6]["payments.mean"] == pytest.approx(found[0]["payments.mean"] * 900 / 500)  # the same draws


@pytest.mark.parametrize("design", ["latin", "sobol"])
def test_a_design_fills_its_ranges_evenly_and_does_not_depend_on_batches(small, tmp_path, design):
    over = ["outcomes.job.effect=0%:100%", "quantities.pay=400,500"]
    spec, work = specify([small], over, design, 32, draws=50)
    shares = np.array([[float(text.rstrip("%")) / 100 for text in spec.setting(cell)[1]] for cell in range(32)])
    assert sorted((shares[:, 0] * 32).astype(int)) == list(range(32))  # one cell in each of 32 bands
    assert sorted(shares[:, 1]).count(4.0) == 16
    sweep(small, over, tmp_path / "out", design=design, cells=32, draws=50)
    found = table(tmp_path / "out")
    assert found.column("outcomes.job.effect").to_pylist()[::3] == pytest.approx(list(shares[:, 0]), rel=1e-12)
    row = next(row for row in work.rows([17]) if row.structure == "card")
    assert (
        found.column("payments.mean").to_pylist()[17 * 3]
        == dict(zip([n for n, _ in row.layout], row.values, strict=True))["payments.mean"]
    )


def test_a_deal_that_is_loaded_already_can_be_swept(small, tmp_path):
    sweep(small, ["outcomes.job.effect=0%,50%"], tmp_path / "a", draws=100)
    sweep(load(small), ["outcomes.job.effect=0%,50%"], tmp_path / "b", draws=100)
    assert (tmp_path / "a" / CSV).read_bytes() == (tmp_path / "b" / CSV).read_bytes()


# ---------------------------------------------------------------------------------------------------
# Interrupted and resumed
# ---------------------------------------------------------------------------------------------------


class _StopError(Exception):
    pass


def _stop_after(cells):
    def progress(done, _):
        if done >= cells:
            raise _StopError

    return progress


def test_a_sweep_goes_on_where_it_was_and_computes_no_recorded_cell_again(small, tmp_path, monkeypatch):
    sweep(small, OVER, tmp_path / "whole", draws=50_000, structures=["group"], threads=1)
    worked = []
    record = Work.record
    monkeypatch.setattr(Work, "record", lambda self, batch: worked.append(batch) or record(self, batch))
    for cells in (8, 24, 40):
        with pytest.raises(_StopError):
            sweep(
                small,
                OVER,
                tmp_path / "parts",
                draws=50_000,
                structures=["group"],
                threads=1,
                progress=_stop_after(cells),
            )
        recorded = Records(tmp_path / "parts")
        assert len(recorded.places) == cells / 8
        recorded.journal.close()
    worked.clear()
    sweep(small, OVER, tmp_path / "parts", draws=50_000, structures=["group"], threads=1)
    assert sorted(worked) == [5, 6, 7]
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    worked.clear()
    sweep(small, OVER, tmp_path / "parts", draws=50_000, structures=["group"], threads=1)
    assert worked == []


def test_a_journal_cut_off_or_damaged_anywhere_loses_only_what_is_behind(small, tmp_path):
    sweep(small, OVER, tmp_path / "whole", draws=50_000, structures=["group"], threads=2)
    with pytest.raises(_StopError):
        sweep(small, OVER, tmp_path / "parts", draws=50_000, structures=["group"], threads=1, progress=_stop_after(24))
    journal = (tmp_path / "parts" / JOURNAL).read_bytes()
    ends = [0]
    opened = Journal(tmp_path / "parts" / JOURNAL)
    ends += opened.offsets[1:]
    opened.close()
    chooser = random.Random(7)
    cuts = [0, 1, 15, 16, 17, len(journal) - 1, *(chooser.randrange(len(journal)) for _ in range(6))]
    for cut in cuts:
        for damaged in (False, True):
            data = bytearray(journal)
            if damaged:
                data[cut] ^= 1
            else:
                del data[cut:]
            shutil.rmtree(tmp_path / "try", ignore_errors=True)
            shutil.copytree(tmp_path / "parts", tmp_path / "try")
            (tmp_path / "try" / JOURNAL).write_bytes(data)
            kept = Records(tmp_path / "try")
            assert len(kept.places) == sum(end <= cut for end in [*ends[1:], len(journal)])
            kept.journal.close()
    sweep(small, OVER, tmp_path / "try", draws=50_000, structures=["group"])
    assert files(tmp_path / "try") == files(tmp_path / "whole")


QUICK_ONES = ("--structure", "group", "--structure", "conventional")


def _start(deal, out, *more):
    words = [*COMMAND, "sweep", str(deal), "--out", str(out), "--draws", "50k", "--threads", "1", *QUICK_ONES, *more]
    return subprocess.Popen(
        [*words, *(word for over in OVER for word in ("--over", over))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _size(file):
    try:
        return file.stat().st_size
    except FileNotFoundError:  # not begun yet, or finished
        return 0


@posix
@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_killed_at_random_moments_and_run_again_it_finishes_with_the_same_files(small, tmp_path, how, status):
    whole = _start(small, tmp_path / "whole")
    whole.communicate(timeout=120)
    assert whole.returncode == 0
    chooser = random.Random(int(how))
    out = tmp_path / "killed"
    for _ in range(3):
        running = _start(small, out)
        until = time.monotonic() + 60
        before = _size(out / JOURNAL)
        while running.poll() is None and time.monotonic() < until:  # until it records something, and then a while
            if _size(out / JOURNAL) > before:
                time.sleep(chooser.uniform(0, 0.15))
                break
            time.sleep(0.005)
        running.send_signal(how)
        _, said = running.communicate(timeout=60)
        assert running.returncode in {status, 0}
        assert "Traceback" not in said
        assert not (out / CSV).exists() or (out / CSV).read_bytes() == (tmp_path / "whole" / CSV).read_bytes()
    done = _start(small, out)
    _, said = done.communicate(timeout=120)
    assert done.returncode == 0, said
    assert files(out) == files(tmp_path / "whole")
    assert {path.name for path in out.iterdir()} == {CSV, PARQUET, MANIFEST}


@posix
@pytest.mark.parametrize("most", [0, 300, 30_000, 400_000])
def test_on_a_full_disk_it_ends_with_one_line_and_goes_on_when_there_is_room(small, tmp_path, most):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    words = [*COMMAND, "sweep", str(small), "--out", str(tmp_path / "out"), "--draws", "20k", "--quiet"]
    words += [word for over in OVER for word in ("--over", over)]
    full = subprocess.run(words, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert full.returncode == 2
    (line,) = full.stderr.splitlines()
    assert "File too large" in line
    assert "the same command goes on" in line
    assert not (tmp_path / "out" / CSV).exists()
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    sweep(small, OVER, tmp_path / "whole", draws=20_000)
    assert (tmp_path / "out" / CSV).read_bytes() == (tmp_path / "whole" / CSV).read_bytes()
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("at", ["the table", "the first rename", "the second rename", "the journal"])
def test_stopped_while_the_files_are_written(small, tmp_path, monkeypatch, at):
    sweep(small, OVER, tmp_path / "whole", draws=100)
    calls = {"replace": 0}
    replace = os.replace

    def stop(*_, **__):
        raise _StopError

    def renamed(source, target):
        if Path(target).name in (CSV, PARQUET):
            calls["replace"] += 1
            if calls["replace"] == {"the first rename": 1, "the second rename": 2}[at]:
                raise _StopError
        replace(source, target)

    with monkeypatch.context() as patch:
        if at == "the table":
            patch.setattr(sys.modules["simulator.sweep"], "_table", stop)
        elif at == "the journal":
            patch.setattr(Path, "unlink", stop)
        else:
            patch.setattr(os, "replace", renamed)
        with pytest.raises(_StopError):
            sweep(small, OVER, tmp_path / "out", draws=100)
    sweep(small, OVER, tmp_path / "out", draws=100)
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {CSV, PARQUET, MANIFEST}


def test_threads_move_no_byte(small, tmp_path):
    for threads in (1, 3):
        sweep(small, OVER, tmp_path / str(threads), draws=5_000, threads=threads)
    assert files(tmp_path / "1") == files(tmp_path / "3")


def test_memory_does_not_grow_with_the_cells(small, tmp_path):
    code = (
        "import resource, sys\nfrom simulator.sweep import sweep\n"
        "over = ['outcomes.job.effect=0%:100%:' + sys.argv[1], 'quantities.pay=400:700:20']\n"
        f"sweep({str(small)!r}, over, sys.argv[2], draws=20, threads=1, structures=['card'])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", code, n, str(tmp_path / n)], capture_output=True, text=True, check=True
            ).stdout
        )
        for n in ("10", "80")
    ]
    assert peaks[1] < 1.12 * peaks[0]


# ---------------------------------------------------------------------------------------------------
# What is wrong
# ---------------------------------------------------------------------------------------------------


def sib(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)


def one_line(done):
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (
            ["--over", "outcomes.jobs.effect=0%,5%"],
            "--over:1:1 outcomes.jobs.effect: there is no such path; did you mean",
        ),
        (["--over", "outcomes.job.effect=0:0:5"], "the range 0:0 is empty"),
        (["--over", "outcomes.job.effect=0:1:0"], "'0' is no number of values"),
        (["--over", "outcomes.job.effect=0:1"], "a grid needs a number of values"),
        (
            ["--over", "outcomes.job.effect=0:1:1000", "--over", "quantities.pay=1:2:1000"],
            "1,000,000 cells are more than",
        ),
        (["--over", "outcomes.job.known_after=1 month:2 kg:3"], "different units"),
        (
            ["--over", "outcomes.job.without_service=0%:120%:5"],
            "--over:1:1 outcomes.job.without_service: 120% is no probability",
        ),
        (["--over", "quantities.pay=1,2", "--over", "quantities.pay=3,4"], "is swept over twice"),
        (["--over", "quantities.pay=1,2", "--cells", "5"], "a grid's axes say how many cells"),
        (["--over", "quantities.pay=1:2", "--design", "sobol"], "needs a number of cells"),
        (["--over", "quantities.pay=1,2", "--structure", "crad"], "did you mean 'card'?"),
        (["--over", "quantities.pay=1,2", "--plot", "x.gif"], "no ending of a figure"),
        (["--over", "quantities.pay=1,2", "--plot", "nowhere/x.png"], "no such folder"),
        (["--over", "quantities.pay=1,2", "--set", "quantities.pai=3"], "there is no such path"),
        (["--over", "quantities.pay=1,2", "--draws", "0"], "number of draws"),
        (["--over", "quantities.pay=-1e400:1:3"], "-1e400 is too large"),
        (["--over", "quantities.pay=1,2", "--summary", "--metric", "payments.meen"], "no metric is called"),
        (["--over", "quantities.pay=1,2", "--scheduler", "nowhere"], "no Dask scheduler at nowhere"),
        (["--over", "quantities.pay=1,2", "--scheduler", "127.0.0.1:1"], "no Dask scheduler at 127.0.0.1:1"),
    ],
)
def test_a_wrong_question_ends_with_one_line_and_touches_nothing(small, tmp_path, words, what):
    line = one_line(sib("sweep", small, "--out", tmp_path / "out", "--quiet", *words))
    assert what in line
    assert "allowed: " in line or "did you mean" in line
    assert not (tmp_path / "out").exists()


def test_a_deal_that_is_not_there_is_one_line(tmp_path):
    assert (
        "no such file"
        in one_line(sib("sweep", tmp_path / "x.yaml", "--over", "a=1,2", "--out", tmp_path / "o")).lower()
    )


def test_combinations_that_are_not_legal_are_found_before_anything_is_touched(small, tmp_path):
    table = "{by: share, table: {below: 0, points: [[10%, 500], [20%, 900]]}}"
    by_table = f"pays: {{steps: {{for: all cohorts that ran, amount: {table}}}}}"
    text = SMALL.replace("structures:", "measures: {share: {share_of: job}}\nstructures:")
    small.write_text(text.replace("conventional: {fee: 1000}", f"steps: {{{by_table}}}"), encoding="utf-8")
    points = "structures.steps.pays.steps.amount.table.points"
    each = [f"{points}.0.0=5%:15%:3", f"{points}.1.0=12%:20%:3"]
    for axis in each:
        specify([small], [axis], draws=10)
    with pytest.raises(DealError, match="--over"):
        sweep(small, each, tmp_path / "out", draws=10)
    assert not (tmp_path / "out").exists()


def test_a_limit_of_cells_can_be_lifted(small):
    over = ["outcomes.job.effect=0%:1%:400", "quantities.pay=1:2:300"]
    with pytest.raises(AskError, match="--most-cells 120000"):
        specify([small], over)
    assert specify([small], over, most_cells=120_000)[0].total == 120_000


def _left_alone(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize(
    "change",
    [
        ["--draws", "60"],
        ["--seed", "2"],
        ["--over", "rates.inflation=1%,2%"],
        ["--set", "rates.inflation=3%"],
        ["--structure", "card"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_of_another_sweep_is_left_alone(small, tmp_path, change, finished):
    words = ["sweep", small, "--over", "quantities.pay=1,2", "--out", tmp_path / "out", "--quiet"]
    assert sib(*words, "--draws", "50").returncode == 0
    if not finished:
        (tmp_path / "out" / CSV).unlink()
    before = _left_alone(tmp_path / "out")
    line = one_line(sib(*words, *(["--draws", "50"] if change[0] != "--draws" else []), *change))
    assert "belongs to another sweep" in line
    assert _left_alone(tmp_path / "out") == before


def test_a_changed_deal_file_is_another_sweep(small, tmp_path):
    sweep(small, ["quantities.pay=1,2"], tmp_path / "out", draws=50)
    small.write_text(SMALL.replace("people: 40", "people: 41"), encoding="utf-8")
    with pytest.raises(AskError, match="deal_hash"):
        sweep(small, ["quantities.pay=1,2"], tmp_path / "out", draws=50)


def test_other_folders_are_left_alone(small, tmp_path, monkeypatch):
    over = ["quantities.pay=1,2"]
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("years of work")
    with pytest.raises(AskError, match="holds other files"):
        sweep(small, over, full, draws=10)
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]
    with pytest.raises(AskError, match="is a file"):
        sweep(small, over, full / "thesis.txt", draws=10)
    with pytest.raises(AskError, match="cannot be made"):
        sweep(small, over, full / "thesis.txt" / "deeper", draws=10)
    (full / "thesis.txt").unlink()
    (full / MANIFEST).write_text("{")
    with pytest.raises(AskError, match="belongs to another"):
        sweep(small, over, full, draws=10)
    (full / MANIFEST).unlink()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != full and access(path, mode))
    with pytest.raises(AskError, match="read-only"):
        sweep(small, over, full, draws=10)
    assert list(full.iterdir()) == []


@posix
def test_two_sweeps_do_not_write_to_one_folder(small, tmp_path):
    with pytest.raises(_StopError):
        sweep(small, OVER, tmp_path / "out", draws=1000, progress=_stop_after(1))
    held = Journal(tmp_path / "out" / JOURNAL)
    with pytest.raises(AskError, match="another sweep is writing"):
        sweep(small, OVER, tmp_path / "out", draws=1000)
    held.close()
    sweep(small, OVER, tmp_path / "out", draws=1000)


# ---------------------------------------------------------------------------------------------------
# Looking at it
# ---------------------------------------------------------------------------------------------------


def test_a_pivot_is_the_mean_over_the_other_axes(small, tmp_path):
    sweep(small, OVER, tmp_path / "out", draws=100)
    found = {each.structure: each for each in pivots(tmp_path / "out", "payments.mean")}
    rows = table(tmp_path / "out").to_pylist()
    ours = [
        r["payments.mean"]
        for r in rows
        if r["structure"] == "group" and r["outcomes.job.effect"] == 0.25 and r["quantities.pay"] == 600
    ]
    assert len(ours) == 3
    assert found["group"].values[1, 2] == pytest.approx(np.mean(ours), rel=1e-12)
    assert found["group"].labels == (("0", "0.25", "0.5", "0.75", "1"), ("400", "500", "600", "700"))
    with pytest.raises(AskError, match=r"did you mean 'payments\.mean'"):
        pivots(tmp_path / "out", "payment.mean")


def test_what_a_summary_shows_is_there_and_asked_metrics_are_checked_before_anything_is_touched(small, tmp_path):
    sweep(small, OVER[0], tmp_path / "fee", draws=100, structures=["conventional"])
    assert summarised(tmp_path / "fee") == ["payer.cost.mean"]
    sweep(small, OVER[0], tmp_path / "card", draws=100, structures=["card"], metrics=METRICS)
    assert summarised(tmp_path / "card") == list(METRICS)
    for metrics in (["payer.cost.meen"], ["payer.cost.mean", "payer.price"]):
        with pytest.raises(AskError, match="no metric is called"):
            sweep(small, OVER[0], tmp_path / "new", draws=100, metrics=metrics)
    assert not (tmp_path / "new").exists()


def test_one_file_by_two_names_is_one_deal(small, tmp_path):
    other = small.parent / ".." / small.parent.name / small.name
    with pytest.raises(AskError, match="given twice"):
        sweep([small, other], OVER[0], tmp_path / "out", draws=100)


def test_summary_and_plot(small, tmp_path):
    words = ["sweep", small, "--over", OVER[0], "--out", tmp_path / "out", "--draws", "100"]
    done = sib(*words, "--summary", "--metric", "payments.mean", "--plot", tmp_path / "lines.svg")
    assert done.returncode == 0, done.stderr
    assert "payments.mean" in done.stdout
    assert "5 cells x 3 structures x 100 draws; about" in done.stderr
    drawn = (tmp_path / "lines.svg").read_text()
    again = sib(*words, "--metric", "payments.mean", "--plot", tmp_path / "again.svg", "--format", "json", "--summary")
    assert (tmp_path / "again.svg").read_text() == drawn
    data = json.loads(again.stdout)
    assert data["summary"][0]["cells"][0]["value"] == pytest.approx(
        pivots(tmp_path / "out", "payments.mean")[0].values[0, 0]
    )
    assert "all 5 cells are in" in again.stderr


# ---------------------------------------------------------------------------------------------------
# Dask
# ---------------------------------------------------------------------------------------------------


def _address_in(file, seconds=60):
    """The address that a scheduler writes, which makes its file before it has anything to say."""
    until = time.monotonic() + seconds
    while True:
        try:
            return json.loads(file.read_text())["address"]
        except (FileNotFoundError, json.JSONDecodeError):
            assert time.monotonic() < until
            time.sleep(0.05)


def test_an_address_is_awaited_while_its_file_is_half_written(tmp_path, monkeypatch):
    file = tmp_path / "scheduler.json"
    steps = iter(["", '{"address": "tcp://127', '{"address": "tcp://127.0.0.1:8786"}'])
    monkeypatch.setattr(time, "sleep", lambda _: file.write_text(next(steps)))
    assert _address_in(file) == "tcp://127.0.0.1:8786"


@posix
def test_a_worker_killed_in_the_middle_loses_nothing(small, tmp_path):
    pytest.importorskip("distributed")
    whole = tmp_path / "whole"
    sweep(small, OVER, whole, draws=100_000, threads=1)
    places = {**os.environ, "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}
    address_file = tmp_path / "scheduler.json"
    scheduler = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "distributed.cli.dask_scheduler",
            "--port",
            "0",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
            "--scheduler-file",
            str(address_file),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=places,
    )
    workers = []
    try:
        address = _address_in(address_file)
        for _ in range(2):
            workers.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "distributed.cli.dask_worker",
                        address,
                        "--nthreads",
                        "1",
                        "--no-nanny",
                        "--no-dashboard",
                    ],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=places,
                )
            )

        def progress(done, _):
            if done >= 8 and workers[0].poll() is None:
                workers[0].kill()

        from distributed import Client

        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        sweep(small, OVER, tmp_path / "dask", draws=100_000, scheduler=address, progress=progress)
        assert workers[0].wait(timeout=10) == -9
        assert workers[1].poll() is None
    finally:
        for each in [*workers, scheduler]:
            each.kill()
            each.wait()
    assert files(tmp_path / "dask") == files(whole)


@posix
def test_local_processes_give_the_same_bytes_on_one_thread_each(small, tmp_path):
    pytest.importorskip("distributed")
    sweep(small, OVER, tmp_path / "threads", draws=2_000)
    done = sib(
        "sweep",
        small,
        *(w for over in OVER for w in ("--over", over)),
        "--draws",
        "2k",
        "--workers",
        "2",
        "--out",
        tmp_path / "workers",
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert files(tmp_path / "workers") == files(tmp_path / "threads")
