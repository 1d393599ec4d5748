"""The simulator against other ways of doing the same, on three deals: one command, from a clone with a C compiler.

    python -m pip install '.[bench]' && python benchmarks/run.py [--quick]

Every program must agree on the answers with the simulator within four standard errors before anything is timed; if one
does not, the benchmark stops. Programs then run in turn (A B C A B C …), each in a process of its own that was started
and warmed before, and medians of five are compared. What differs in draws is compared by the draw. Starting processes,
compiling and memory are measured apart.

It writes `benchmarks/results.json`, `results.md` and `speed.svg` beside itself, and the block of the README between its
marks. With --quick everything runs once at a few draws, and goes to a folder of its own: a trial, never a result.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import importlib.metadata
import json
import math
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from analyst import STRUCTURE, TOP, sib
from tables import DEALS, FURTHEST, PACKAGES, PROGRAMS, report, write

HERE = Path(__file__).parent
REPEATS = 5
# draws that are timed, and draws on which answers are compared; the simulator's own answers come from SURE draws
TIMED = {
    "peterborough": {
        "sib": 1_000_000,
        "sib 1": 1_000_000,
        "c": 1_000_000,
        "c 1": 1_000_000,
        "vectorised": 1_000_000,
        "people": 500,
        "financial": 5_000,
        "monaco": 2_000,
    },
    "fair_chance_fund": {
        "sib": 100_000,  # 25 blocks: of five, one of two threads would get three
        "sib 1": 100_000,
        "vectorised": 10_000,
        "people": 1_000,
        "financial": 1_000,
        "monaco": 500,
    },
    "essex": {
        "sib": 200_000,
        "sib 1": 200_000,
        "vectorised": 200_000,
        "people": 5_000,
        "financial": 5_000,
        "monaco": 4_000,
    },
}
COMPARED = {
    "c": 1_000_000,
    "c 1": 1_000_000,
    "vectorised": 200_000,
    "people": 2_000,
    "financial": 4_000,
    "monaco": 3_000,
}
COMPARED_PEOPLE = {"vectorised": 20_000, "people": 3_000, "financial": 3_000, "monaco": 1_000}
SURE = {"peterborough": 1_000_000, "fair_chance_fund": 50_000, "essex": 200_000}
TRIGGER = {"fair_chance_fund": "P(limit reached)"}


# ------------------------------------------------------------------------------------------- programs in processes


def compiled(folder: Path) -> Path | None:
    """Compile the C program; None where there is no compiler."""
    cc = next((each for each in (os.environ.get("CC"), "gcc", "cc") if each and shutil.which(each)), None)
    if cc is None:
        return None
    program = folder / "peterborough"
    command = [cc, "-O3", "-march=native", "-pthread", str(HERE / "peterborough.c"), "-lm", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def in_c(program: str, threads: int):
    """Run the C program; its seconds are its own, without the start of the process."""

    def run(draws: int, seed: int, *, answers: bool):
        with tempfile.NamedTemporaryFile() as file:
            words = [program, str(draws), str(threads), str(seed), *([file.name] if answers else [])]
            said = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
            rows = np.fromfile(file.name).reshape(3, -1) if answers else None
        found = dict(zip(("payments", "multiple", "irr"), rows, strict=True)) if answers else None
        return said["seconds"], said["peak_kb"] / 1024, found

    return run


def peak_mb() -> float:
    """Largest memory of this process so far."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    return math.nan


def serve(pipe, deal: str, program: str, threads: int, binary: str) -> None:
    """Run one program of one deal again and again, in a process of its own, as asked through a pipe."""
    if program.startswith("c"):
        run = in_c(binary, 1 if program.endswith("1") else threads)
    else:
        module = importlib.import_module(deal)
        if program.startswith("sib"):
            model = sib(module.FILE, 1 if program.endswith("1") else threads)
        else:
            model = getattr(module, program)

        def run(draws: int, seed: int, *, answers: bool):
            begun = time.perf_counter()
            found = model(draws, seed)
            seconds = time.perf_counter() - begun
            if not answers:
                return seconds, peak_mb(), None
            # what a result of the simulator holds is copied for its caller: the others are not timed for that
            values = found.draws(STRUCTURE) if program.startswith("sib") else found
            return seconds, peak_mb(), {key: values[key] for key in ("payments", "multiple", "irr")}

    while (asked := pipe.recv()) is not None:
        draws, seed, answers = asked
        try:
            pipe.send(run(draws, seed, answers=answers))
        except Exception as problem:
            pipe.send(f"{type(problem).__name__}: {problem}")


class Runner:
    """A program in a process of its own."""

    def __init__(self, *what: object) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, *what), daemon=True)
        self.process.start()
        other.close()

    def run(self, draws: int, seed: int, answers: bool = False):
        """Return seconds, peak memory in MB and, if asked for, the answers of each draw."""
        self.pipe.send((draws, seed, answers))
        try:
            found = self.pipe.recv()
        except EOFError:
            raise SystemExit("a program ended without an answer; what it said stands above") from None
        if isinstance(found, str):
            raise SystemExit(found)
        return found

    def stop(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(5)
        self.process.terminate()


# ------------------------------------------------------------------------------------------- agreement


def agreement(deal: str, ours, theirs) -> list[dict]:
    """Compare answers: each with its value, its standard error and how many errors it is from the simulator's.

    A quantile is compared by the share of draws above the simulator's own. Draws without a rate of return count as
    -100%, which is what the peers make of them.
    """
    a, b = ({key: np.nan_to_num(values, nan=-1.0) for key, values in each.items()} for each in (ours, theirs))
    rows = []

    def add(label: str, x, y, shown=None) -> None:
        x, y = np.asarray(x, float), np.asarray(y, float)
        error = math.sqrt(x.var() / x.size + y.var() / y.size)
        apart = 0.0 if x.mean() == y.mean() else (y.mean() - x.mean()) / error if error else math.inf
        value = float(y.mean()) if shown is None else float(shown)
        own = None if shown is not None else float(y.std() / math.sqrt(y.size))
        rows.append({"answer": label, "value": value, "standard_error": own, "errors_apart": round(float(apart), 2)})

    if deal in TRIGGER:
        limit = a["payments"].max() - 1e-6
        add(TRIGGER[deal], a["payments"] >= limit, b["payments"] >= limit)
    else:
        add("P(trigger)", a["payments"] > 0, b["payments"] > 0)
    add("mean payments", a["payments"], b["payments"])
    add("P(loss)", a["multiple"] < 1 - 1e-9, b["multiple"] < 1 - 1e-9)
    add("mean multiple", a["multiple"], b["multiple"])
    for share in (0.75, 0.95):  # below zero, solvers choose among several rates
        at = np.quantile(a["irr"], share)
        add(f"IRR, p{100 * share:.0f}", a["irr"] > at, b["irr"] > at, shown=np.quantile(b["irr"], share))
    return rows


def check(deal: str, runners: dict[str, Runner], scale: float) -> dict[str, list[dict]]:
    """Compare every program with the simulator; end the benchmark where one does not agree."""
    draws = COMPARED_PEOPLE if deal == "fair_chance_fund" else COMPARED
    ours = runners["sib"].run(max(int(SURE[deal] * scale), 2_000), 1, True)[2]
    found = {"sib": agreement(deal, ours, ours)}
    for program, runner in runners.items():
        if program == "sib":
            continue
        number = max(int(draws.get(program, SURE[deal]) * scale), 200)
        theirs = runner.run(number, 2, True)[2]
        found[program] = agreement(deal, ours, theirs)
        for row in found[program]:
            if abs(row["errors_apart"]) > FURTHEST:
                raise SystemExit(
                    f"{DEALS[deal]}, {PROGRAMS[program]}: {row}\nThe programs do not agree: nothing is timed."
                )
        furthest = max(abs(row["errors_apart"]) for row in found[program])
        say(f"{DEALS[deal]}, {PROGRAMS[program]}: agrees at {number:,} draws, at most {furthest:.1f} errors apart")
    return found


# ------------------------------------------------------------------------------------------- timing


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def spread(seconds: list[float]) -> dict:
    """Median, least and most."""
    return {"median": statistics.median(seconds), "least": min(seconds), "most": max(seconds)}


def race(runners: dict[str, Runner], draws: dict[str, int], repeats: int) -> dict[str, dict]:
    """Time programs in turn."""
    seconds: dict[str, list[float]] = {program: [] for program in runners}
    peaks = dict.fromkeys(runners, 0.0)
    for repeat in range(repeats):
        for program, runner in runners.items():
            took, peak, _ = runner.run(draws[program], 100 + repeat)
            seconds[program].append(took)
            peaks[program] = max(peaks[program], peak)
    return {
        program: {
            "draws": draws[program],
            "seconds": spread(each),
            "microseconds_a_draw": 1e6 * statistics.median(each) / draws[program],
            "peak_mb": round(peaks[program]),
        }
        for program, each in seconds.items()
    }


def against(races: dict[str, dict]) -> None:
    """Add the ratios of times a draw to those of the simulator."""
    for deal in races.values():
        for own in deal.values():
            for base in ("sib", "sib 1"):
                own[f"over {base}"] = own["microseconds_a_draw"] / deal[base]["microseconds_a_draw"]


def clock(function, *args, repeats: int) -> list[float]:
    """Seconds of a few calls, after one that is not counted."""
    function(*args)
    found = []
    for _ in range(repeats):
        begun = time.perf_counter()
        function(*args)
        found.append(time.perf_counter() - begun)
    return found


def rates_of_return(threads: int, repeats: int, scale: float) -> dict:
    """Batches of 32 flows: the simulator's solver against pyxirr and numpy-financial, in turn."""
    import essex
    import numpy_financial
    import pyxirr

    from simulator.metrics import irr_batch

    rng = np.random.default_rng(5)
    number = max(int(100_000 * scale), 1_000)
    smooth = np.concatenate([-rng.uniform(1, 2, (number, 8)), rng.uniform(0, 2, (number, 24))], axis=1)
    own = essex._vectorised(rng, number)[1]
    own = own[(own > 0).any(axis=1)]
    found = {}
    for name, rows in (("one change of sign", smooth), (f"the investors' of Essex, {own.shape[1]} flows", own)):
        parts = np.array_split(rows, threads)

        def shared(parts=parts):
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(irr_batch, parts, [4.0] * threads))

        programs = {
            "sib": (lambda rows=rows: irr_batch(rows, 4.0), len(rows)),
            "sib, all threads": (shared, len(rows)),
            "pyxirr": (lambda rows=rows: [pyxirr.irr(row) for row in rows], len(rows)),
            "numpy-financial": (lambda rows=rows: [numpy_financial.irr(row) for row in rows[:500]], 500),
        }
        ours, codes = irr_batch(rows, 4.0)
        theirs = np.array([np.nan if (rate := pyxirr.irr(row)) is None else rate for row in rows])
        certain = (codes == 0) & ~np.isnan(theirs) & (ours > 0)
        gap = np.abs((1 + theirs[certain]) ** 4 - 1 - ours[certain]).max()
        if gap > 1e-8:
            raise SystemExit(f"rates of return differ from pyxirr's by {gap}: nothing is timed")
        seconds: dict[str, list[float]] = {program: [] for program in programs}
        for repeat in range(repeats + 1):
            for program, (function, _) in programs.items():
                begun = time.perf_counter()
                function()
                if repeat:
                    seconds[program].append(time.perf_counter() - begun)
        each = {name: 1e6 * statistics.median(seconds[name]) / programs[name][1] for name in programs}
        found[name] = {
            "microseconds": each,
            "pyxirr over sib": each["pyxirr"] / each["sib"],
            "pyxirr over sib, all threads": each["pyxirr"] / each["sib, all threads"],
            "largest difference from pyxirr": float(gap),
        }
    return found


def by_participants(repeats: int, scale: float) -> dict:
    """A draw's cost as cohorts grow: totals in Peterborough, and people with a limit each in the Fair Chance Fund."""
    import simulator

    def a_draw(file: str, sets: list[str], draws: int) -> float:
        deal = simulator.load(TOP / "scenarios" / file, sets)
        seconds = clock(lambda: simulator.simulate(deal, draws, 1, [STRUCTURE], 1), repeats=repeats)
        return statistics.median(seconds) / draws

    totals = {}
    for people in (100, 1_000, 10_000, 100_000, 1_000_000):
        sets = [f"cohorts.cohort {c}.people={people}" for c in (1, 2, 3)]
        totals[str(people)] = 1e6 * a_draw("peterborough.yaml", sets, max(int(50_000 * scale), 2_000))
    few, many = 409, 4090
    card = {
        people: a_draw("fair_chance_fund.yaml", [f"cohorts.starters.people={people}"], max(int(draws * scale), 50))
        for people, draws in ((few, 5_000), (many, 500))
    }
    return {
        "microseconds a draw of Peterborough by people in a cohort, one thread": totals,
        "Fair Chance Fund, microseconds a draw by people, one thread": {str(k): 1e6 * v for k, v in card.items()},
        "nanoseconds a person with a limit, one thread": 1e9 * (card[many] - card[few]) / (many - few),
    }


_SIB = [sys.executable, "-c", "import sys; sys.argv[0] = 'sib'; from simulator.start import main; main()"]


def starts(repeats: int, scale: float, *, compiling: bool) -> dict:
    """Whole processes, from the prompt to the prompt; `compiling` says whether to try one with an empty cache."""
    deal = str(TOP / "scenarios" / "peterborough.yaml")
    many = str(max(int(100_000 * scale), 1_000))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        'python -c "import click"': [sys.executable, "-c", "import click"],
        "sib --help": [*_SIB, "--help"],
        "sib run, 1 draw": [*_SIB, "run", deal, "--draws", "1", "--quiet"],
        "sib run, 100,000 draws": [*_SIB, "run", deal, "--draws", many, "--quiet"],
    }
    path = os.pathsep.join([str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])])
    surroundings = os.environ | {"PYTHONPATH": path}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for repeat in range(repeats + 1):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=surroundings)
            if repeat:
                seconds[name].append(time.perf_counter() - begun)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        done = subprocess.run(
            [*_SIB, "run", deal, "--draws", many],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=surroundings | ({"NUMBA_CACHE_DIR": folder} if compiling else {}),
        )
        first = time.perf_counter() - begun
    return {
        "seconds": {name: spread(each) for name, each in seconds.items()},
        "first ever run, seconds": first,
        "first ever run says that it compiles": "ompil" in done.stderr,
        "help over click": statistics.median(seconds["sib --help"])
        / statistics.median(seconds['python -c "import click"']),
    }


def memory(threads: int, scale: float) -> dict[str, float]:
    """Peak memory of the simulator by draws, each in a fresh process."""
    found = {}
    for draws in (250_000, 1_000_000, 2_000_000):
        runner = Runner("peterborough", "sib", threads, "")
        found[str(draws)] = runner.run(max(int(draws * scale), 1_000), 1)[1]
        runner.stop()
    return found


def machine() -> dict[str, str]:
    """What it ran on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration), open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    cc = (
        subprocess.run(["gcc", "--version"], check=False, capture_output=True, text=True)
        if shutil.which("gcc")
        else None
    )
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": f"{model}, {platform.machine()}",
        "processors": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "C compiler": cc.stdout.splitlines()[0] if cc else "none",
        **versions,
    }


def main() -> None:
    """Check, time and write."""
    quick = "--quick" in sys.argv[1:]
    scale, repeats = (0.02, 1) if quick else (1.0, REPEATS)
    threads = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    begun = time.perf_counter()
    found: dict = {"quick": quick, "repeats": repeats, "threads": threads, "machine": machine()}
    found["load average"] = os.getloadavg()[0]
    found["answers"], found["races"] = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        binary = compiled(Path(folder))
        if binary is None:
            say("no C compiler was found: the C program is left out")
        for deal, draws in TIMED.items():
            programs = [name for name in draws if binary is not None or not name.startswith("c")]
            runners = {name: Runner(deal, name, threads, str(binary)) for name in programs}
            found["answers"][deal] = check(deal, runners, scale)
            timed = {name: max(int(draws[name] * scale), 50) for name in programs}
            found["races"][deal] = race(runners, timed, repeats)
            for runner in runners.values():
                runner.stop()
            say(f"{DEALS[deal]} is timed ({time.perf_counter() - begun:.0f} s so far)")
    against(found["races"])
    found["memory"] = memory(threads, scale)
    found["rates of return"] = rates_of_return(threads, repeats, scale)
    found["participants"] = by_participants(min(repeats, 3), scale)
    found["starts"] = starts(repeats, scale, compiling=not quick)
    found["seconds"] = time.perf_counter() - begun
    out = Path(tempfile.mkdtemp(prefix="speed-")) if quick else HERE
    write(found, out)
    print(report(found))
    say(f"written to {out} in {found['seconds']:.0f} s")


if __name__ == "__main__":
    main()
