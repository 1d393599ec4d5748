"""The command line: exit statuses, where results and messages go, and every way in which a command can end."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from simulator import report
from simulator.dealfile import loads
from simulator.explain import explain
from simulator.run import simulate
from simulator.yamlfile import DealError

FOLDER = Path(__file__).parent.parent / "scenarios"
AUGSBURG = FOLDER / "augsburg.yaml"
COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'sib'; from simulator.cli import main; main()"]
QUICK = ("run", AUGSBURG, "--draws", "100", "--structure", "conventional")

SMALL = """\
deal: small
time: {start: 2024-04, step: quarter, horizon: 3 years}
cohorts: {all: {people: 10, referred: 2024-04 to 2025-03}}
outcomes: {job: {without_service: 10% to 30%, effect: 20%, known_after: 6 months}}
costs: {delivery: 1000 a year}
structures: {card: {rate_card: {job: 500}, finance: {commitment: 3000}}}
"""

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs files that only Linux has")
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and pipes as of POSIX")


def sib(*words, **more):
    environment = {**os.environ, **more.pop("env", {})}
    more = {"capture_output": True, "text": True, "encoding": "utf-8", **more}
    return subprocess.run([*COMMAND, *map(str, words)], env=environment, check=False, timeout=300, **more)


def one_line(done):
    """The one line that a failed command says, on standard error only."""
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture(scope="module", autouse=True)
def compiled(kernels):
    """So that no command of this module compiles."""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


# ---------------------------------------------------------------------------------------------------
# Statuses and streams
# ---------------------------------------------------------------------------------------------------


def test_results_go_to_standard_output_and_nothing_else_does(small):
    done = sib("run", small, "--draws", "100", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["draws"] == 100
    assert done.stderr == ""


def test_warnings_go_to_standard_error_unless_quiet(small):
    text = SMALL.replace("effect: 20%", "effect: normal(mean 50%, sd 15.6%), effect_as: units")
    text = text.replace("known_after: 6 months", "known_after: uniform(1 month, 30 months)")
    small.write_text(text, encoding="utf-8")
    loud, quiet = (sib("run", small, "--draws", "500", *words) for words in ((), ("--quiet",)))
    assert loud.returncode == quiet.returncode == 0
    assert loud.stderr.startswith("warning: structures.card: ")
    assert quiet.stderr == ""
    assert quiet.stdout == loud.stdout
    assert "warning: " not in loud.stdout


def test_no_progress_where_standard_error_is_no_terminal():
    done = sib("run", AUGSBURG, "--draws", "20k", "--structure", "conventional")
    assert (done.returncode, done.stderr) == (0, "")


def test_help_and_version():
    for words in (["--help"], ["-h"], ["run", "--help"], ["--version"]):
        done = sib(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
    bare = sib()
    assert (bare.returncode, bare.stdout) == (2, "")
    assert bare.stderr.startswith("Usage: sib ")


def test_help_loads_no_numbers():
    code = (
        "import sys; from simulator.cli import cli; print({'numpy', 'numba', 'scipy', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["rnu", AUGSBURG],
            "sib: No such command 'rnu'. Did you mean 'run'?|sib: No such command 'rnu'; see sib --help",
        ),
        (["run"], "sib run: Missing argument 'DEAL'; see sib run --help"),
        (["check"], "sib check: Missing argument 'DEALS...'; see sib check --help"),
        (["settle", AUGSBURG], "sib settle: Missing option '--results'; see sib settle --help"),
        (["explain", AUGSBURG], "sib explain: Missing option '--draw'; see sib explain --help"),
        (["run", AUGSBURG, "--drws", "5"], "sib run: No such option '--drws'. Did you mean '--draws'?"),
        (["run", AUGSBURG, AUGSBURG], "sib run: Got unexpected extra argument .*; see sib run --help"),
        ([*QUICK, "--format", "xml"], ".*'xml' is not one of 'table', 'json', 'csv'; see sib run --help"),
        ([*QUICK, "--threads", "0"], ".*'--threads': 0 is not in the range 1<=x<=1024; see sib run --help"),
        ([*QUICK, "--seed", "one"], ".*'--seed': 'one' is not a valid integer; see sib run --help"),
        (
            ["run", AUGSBURG, "--structure", "as sined"],
            ".*no structure is called 'as sined'; did you mean 'as signed'?",
        ),
        (
            ["run", AUGSBURG, "--structure", "zzz"],
            ".*no structure is called 'zzz'; allowed: as signed, by the head, .*",
        ),
        (["explain", AUGSBURG, "--draw", "-1"], ".*'--draw': '-1' is no draw; allowed: 0 .the first. and above"),
        (["explain", AUGSBURG, "--draw", "9" * 30], ".*is no draw; allowed: 0 .the first. and above"),
        (["show", "nowhere.yaml"], "nowhere.yaml:1:1: there is no such file"),
        (["show", FOLDER], ".*scenarios:1:1: this is a folder; give a deal file"),
        (["settle", AUGSBURG, "--results", "nowhere.csv"], "nowhere.csv:1:1: there is no such file; allowed: .*"),
        (["settle", AUGSBURG, "--results", FOLDER], ".*:1:1: this is a folder; allowed: a results file"),
    ],
    ids=lambda value: " ".join(str(word)[-20:] for word in value) if isinstance(value, list) else "",
)
def test_a_wrong_command_is_one_line(words, line):
    said = one_line(sib(*words))
    assert any(re.fullmatch(each.replace("?", r"\?"), said) for each in line.split("|")), said


@pytest.mark.parametrize("draws", ["0", "-1", "abc", "1e13", "1.5", "", "1e-3", "0x10", "1k5", "nan", "inf", "１０"])
def test_a_wrong_number_of_draws_is_one_line(draws):
    said = one_line(sib("run", AUGSBURG, "--draws", draws))
    assert f"{draws!r} is no number of draws; allowed: 1 to 1e12, as 100000, 250k or 1e6" in said


def test_more_draws_than_memory_holds_are_refused_before_they_begin():
    begun = time.monotonic()
    said = one_line(sib("run", AUGSBURG, "--draws", "1e12"))
    assert re.search(r"1,000,000,000,000 draws need about [\d.]+ GiB .*; allowed: fewer draws, structures or", said)
    assert time.monotonic() - begun < 60


def test_check_says_ok_of_good_files_and_the_mistakes_of_others(small, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(SMALL.replace("people: 10", "poeple: 10"), encoding="utf-8")
    done = sib("check", small, bad)
    assert done.returncode == 2
    assert done.stdout == f"{small}: ok\n"
    assert "unknown key; did you mean 'people'?" in done.stderr
    assert "is needed" not in done.stderr  # one mistake, one message
    assert sib("check", small, "--quiet").stdout == ""


# ---------------------------------------------------------------------------------------------------
# --set
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("people", "--set:1:1: 'people' has no '=' outside quotes; write PATH=VALUE"),
        ("=5", "--set:1:1: the path is empty; a path is names joined by dots"),
        ("a..b=5", "--set:1:1: the path 'a..b' has an empty part; a path is names joined by single dots"),
        ("cohorts.all.people=", "--set:1:1: no value is given; write null for nothing, or '' for an empty text"),
        ("cohorts.all.people=[1", r"--set:\d:\d: not valid YAML: .*"),
        (
            "cohorts.all.people=many",
            "--set:1:1 cohorts.all.people: 'many' is neither a number, .*; allowed: a number, .*",
        ),
        ("cohorts.all.people=-5", "--set:1:1 cohorts.all.people: -5 is out of range; allowed: at least 0"),
        ("cohorts.all=5", "--set:1:1 cohorts.all: 5 is no mapping; allowed: people, referred, .*"),
        (
            "cohorts.al.people=5",
            "--set:1:1 cohorts.al.people: there is no such path; did you mean 'cohorts.all.people'?",
        ),
        (
            "cohorts.all.peple=5",
            "--set:1:1 cohorts.all.peple: there is no such path; did you mean 'cohorts.all.people'?",
        ),
        (
            "structures.card.rate_card.jib=5",
            "--set:1:1 structures.card.rate_card.jib: there is no such path; "
            "did you mean 'structures.card.rate_card.job'?",
        ),
        (
            "structures.card.finance.comitment=5",
            "--set:1:1 structures.card.finance.comitment: there is no such path; "
            "did you mean 'structures.card.finance.commitment'?",
        ),
        ("frailty_corelation=5%", "--set:1:1 .*: there is no such path; did you mean 'frailty_correlation'?"),
        ("xyz=5", "--set:1:1 xyz: there is no such path; allowed: paths as sib show --paths prints them"),
        ("luck_only=yes", '--set:1:1 luck_only: "yes" is no truth value; allowed: true or false .*'),
        ("time.step=week", '--set:1:1 time.step: "week" is not known; allowed: month, quarter, half year or year'),
    ],
)
def test_a_wrong_set_is_one_line_and_names_the_nearest_path(given, said, small):
    line = one_line(sib("check", small, "--set", given))
    assert re.fullmatch(re.sub(r"[?\[(]", r"\\\g<0>", said), line), line


@pytest.mark.parametrize(
    "given",
    [
        "cohorts.all.people=20",
        "cohorts.all.last_claim=2025-06",
        "structures.card.rate_card.job=normal(mean 500, sd 20)",
        "structures.card.pays.job.amount.price=600",
        "structures.card.at_most.contract=4000",
        "structures.card.at_most={contract: 4000, year: 1k}",
        "structures.card.finance=none",
        "ends_early.policy_change.chance_a_year=10%",
        "outcomes.job.comparison_arm.people=50 people",
        "rates.payer=2% real",
    ],
)
def test_a_set_changes_the_deal(given):
    changed, deal = loads(SMALL, sets=[given]), loads(SMALL)
    assert changed != deal
    assert changed == loads(SMALL, sets=[given, given])


@pytest.mark.parametrize("words", ["20 percent", "20 per cent", "20 pp", "20 percentage points"])
def test_a_percentage_may_be_written_in_words_wherever_the_sign_may_stand(words):
    assert loads(SMALL, sets=[f"outcomes.job.effect={words}"]) == loads(SMALL)
    spread = f"outcomes.job.without_service=truncated(normal(mean 10 percent, sd {words}), 0%, 50 pp)"
    assert loads(SMALL, sets=[spread]) == loads(SMALL, sets=[spread.replace(words, "20%").replace("50 pp", "50%")])


def test_a_number_that_is_too_large_is_told_how_large_it_may_be():
    with pytest.raises(DealError, match=r"1000000000000000 is out of range; allowed: 0 to 1000000000000$"):
        loads(SMALL, sets=["cohorts.all.people=1e15"])
    with pytest.raises(DealError, match=r"-1 is out of range; allowed: at least 0$"):
        loads(SMALL, sets=["cohorts.all.people=-1"])


def test_a_set_may_undo_what_a_fact_is_about():
    text = SMALL + "facts: {structures.card.finance.commitment: the contract}\n"
    assert loads(text, sets=["structures.card.finance=none"]).structures["card"].finance == "none"


# ---------------------------------------------------------------------------------------------------
# Ends that are nobody's mistake
# ---------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("form", ["json", "table"])
def test_an_interrupted_run_says_so_and_prints_nothing(form):
    words = [*COMMAND, "run", str(AUGSBURG), "--draws", "3e7", "--format", form]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(4)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert error.splitlines()[-1:] == [b"interrupted"]
    assert b"Traceback" not in error
    assert time.monotonic() - begun < 10


@posix
@pytest.mark.parametrize(("home", "quietly"), [("start", True), ("cli", False)])
def test_an_interrupt_while_the_command_is_imported_leaves_no_traceback(home, quietly):
    program = f"""\
import builtins, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in its background jobs
from simulator import start
imported = builtins.__import__
def importing(name, *more):
    if name == "click":
        os.kill(os.getpid(), signal.SIGINT)
    return imported(name, *more)
builtins.__import__ = importing
sys.argv = ["sib", "schema"]
from simulator.{home} import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert ((done.returncode, done.stdout, done.stderr) == (130, b"", b"interrupted\n")) is quietly
    assert (b"Traceback" in done.stderr) is not quietly


@posix
def test_an_interrupt_does_not_wait_for_kernels_that_are_being_compiled(tmp_path):
    words = [*COMMAND, "run", str(AUGSBURG), "--draws", "10"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        said = process.stderr.readline()
        assert said.startswith(b"compiling the kernels, once")
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, error = process.communicate(timeout=120)
    assert (process.returncode, out, error) == (130, b"", b"interrupted\n")
    assert time.monotonic() - begun < 6  # all of them take at least twice as long


@posix
@pytest.mark.parametrize(
    "words",
    [
        ["run", AUGSBURG, "--draws", "500", "--format", "json"],
        ["run", AUGSBURG, "--draws", "500", "--format", "csv"],
        ["show", FOLDER / "fair_chance_fund.yaml", "--paths"],
        ["explain", FOLDER / "fair_chance_fund.yaml", "--draw", "0"],
        ["schema"],
    ],
    ids=lambda words: words[0],
)
def test_a_reader_that_stops_reading_is_no_failure(words):
    with subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (0, b"")


@linux
@pytest.mark.parametrize(
    "words",
    [
        [*QUICK, "--format", "json"],
        [*QUICK],
        ["check", AUGSBURG],
        ["check", AUGSBURG, "nowhere.yaml"],
        ["show", AUGSBURG, "--paths"],
        ["--help"],
    ],
    ids=lambda words: " ".join(str(word)[-12:] for word in words),
)
def test_a_full_disk_is_said_in_one_line(words):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = sib(*words, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "cannot write or read: No space left on device"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@posix
def test_a_closed_output_is_said_in_one_line():
    words = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "schema"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "standard output is closed; allowed: a terminal, a file or a pipe\n")


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(small):
    small.chmod(0)
    assert one_line(sib("check", small)) == f"{small}:1:1: the file may not be read; check its permissions"


def test_a_defect_of_ours_is_one_line_and_status_1(small):
    code = (
        "import sys, simulator.dealfile as dealfile\n"
        "def show(_): raise RuntimeError('two\\nlines')\n"
        "dealfile.show, sys.argv = show, ['sib', 'show', sys.argv[1]]\n"
        "from simulator.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(small)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "a defect of ours, please report it: RuntimeError: two lines\n"


# ---------------------------------------------------------------------------------------------------
# Terminals
# ---------------------------------------------------------------------------------------------------


def on_a_terminal(words, **environment):
    """What a command writes on a terminal, results and progress together."""
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environment}
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)], stdout=slave, stderr=slave, stdin=slave, env=environment, close_fds=True
    )
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says so at the end
            break
        if not part:
            break
        parts.append(part)
    os.close(master)
    assert process.wait(timeout=60) == 0
    return b"".join(parts).decode()


COLOUR = re.compile(r"\x1b\[(?:3[0-7]|9[0-7]|38;|48;|4[0-7])")


@posix
def test_progress_and_colour_are_for_terminals_and_no_color_is_honoured():
    words = ["run", AUGSBURG, "--draws", "20k", "--structure", "conventional"]
    plain, uncoloured, quiet = (
        on_a_terminal(words),
        on_a_terminal(words, NO_COLOR="1"),
        on_a_terminal([*words, "--quiet"]),
    )
    assert "20000/20000" in plain
    assert COLOUR.search(plain)
    assert "20000/20000" in uncoloured
    assert not COLOUR.search(uncoloured)
    assert "20000/20000" not in quiet
    assert all("any payment" in text for text in (plain, uncoloured, quiet))


def test_what_is_piped_is_utf_8_whatever_the_locale(small):
    small.write_text(SMALL.replace("job", "Arbeit für ein Jahr"), encoding="utf-8")
    done = sib("run", small, "--draws", "50", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"})
    assert done.returncode == 0
    assert "Arbeit für ein Jahr" in done.stdout


# ---------------------------------------------------------------------------------------------------
# Names and sizes
# ---------------------------------------------------------------------------------------------------


def test_folders_and_files_with_blanks_and_other_letters(tmp_path):
    folder = tmp_path / "Verträge (neu) 10%"
    folder.mkdir()
    path = folder / "сделка 1=2.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert sib("check", path).stdout == f"{path}: ok\n"
    assert sib("check", path.name, cwd=folder).stdout == f"{path.name}: ok\n"
    path.write_text(SMALL.replace("people: 10", "people: x"), encoding="utf-8")
    assert one_line(sib("check", path)).startswith(f"{path}:3:25 cohorts.all.people: ")


ODD = ("[/red] x", "[bold]y", '<script>alert("1")</script>', "a.b=c: d", "two\nlines", "=1+1", "😀")


@pytest.mark.parametrize("name", ODD)
def test_any_name_is_shown_as_it_is(name):
    quoted = json.dumps(name, ensure_ascii=False)
    text = (
        SMALL.replace("deal: small", f"deal: {quoted}").replace("card:", f"{quoted}:", 1).replace("all:", f"{quoted}:")
    )
    text = text.replace("outcomes: {job:", f"outcomes: {{{quoted}:").replace("{job: 500}", f"{{{quoted}: 500}}")
    deal = loads(text)
    result = simulate(deal, draws=20, threads=1).to_dict()
    assert (list(result["structures"]), list(result["outcomes"])) == ([name], [name])
    for tables in (report.run_tables(result), report.explain_tables(explain(deal))):
        out = io.StringIO()
        Console(file=out, width=300, color_system=None).print(*tables, sep="\n")
        assert all(line in out.getvalue() for line in name.splitlines())
    assert result == json.loads(json.dumps(result))


@pytest.mark.parametrize("people", ["0", "1", "0.4", "1m", "1e12"])
def test_cohorts_of_any_size_are_simulated(people):
    result = simulate(loads(SMALL, sets=[f"cohorts.all.people={people}"]), draws=200, threads=1)
    verified = result.outcomes["job"].verified
    size = float(people.replace("1m", "1e6"))
    assert 0 <= verified.p05 <= verified.p95 <= round(size)
    assert result["card"].payments.mean == pytest.approx(500 * verified.mean)


def test_a_cohort_too_large_to_draw_person_by_person_is_refused(small):
    small.write_text(SMALL.replace("{job: 500}", "{job: 500}, at_most: {per_person: 600}"), encoding="utf-8")
    said = one_line(sib("run", small, "--draws", "10", "--set", "cohorts.all.people=1e12"))
    assert re.search(r"10 draws need about [\d.]+ GiB of memory", said)


@posix
def test_a_figure_shows_its_progress_on_a_terminal(tmp_path):
    words = ["plot", AUGSBURG, "--figure", "multiple", "-o", tmp_path / "f.png", "--draws", "20k"]
    assert "20000/20000" in on_a_terminal(words)
    assert on_a_terminal([*words, "--quiet"]) == ""
