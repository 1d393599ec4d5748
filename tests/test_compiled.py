"""Machine code on disk is never stale, and an installation that nobody may write to still runs."""

import ast
import gc
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from numba.core.errors import TypingError

PACKAGE = Path(__file__).parent.parent / "simulator"
HELPER = '''"""A helper of another file."""

from simulator.compiled import kernel

STEP = {step}


@kernel
def shift(x):
    """Add a step."""
    return x + STEP
'''
CALLER = '''"""A kernel that calls it."""

from simulator.compiled import kernel
from simulator.helper import shift


@kernel
def twice(x):
    """Shift twice."""
    return shift(shift(x))
'''
PROGRAM = """
from simulator.caller import twice
value = twice(1.0)
print(value, sum(twice.stats.cache_hits.values()))
"""


@pytest.fixture
def small(tmp_path):
    """A package with the real decorator and two small kernels in two files."""
    package = tmp_path / "simulator"
    package.mkdir()
    shutil.copy(PACKAGE / "compiled.py", package)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "helper.py").write_text(HELPER.format(step=1.0), encoding="utf-8")
    (package / "caller.py").write_text(CALLER, encoding="utf-8")
    return package


def _run(package, *before, **environment):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    done = subprocess.run(
        [*before, sys.executable, "-c", PROGRAM],
        cwd=package.parent,
        env=clean | {"PYTHONPATH": str(package.parent)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    value, hits = done.stdout.split()
    return float(value), int(hits)


def test_a_second_process_uses_the_machine_code_on_disk(small):
    assert _run(small) == (3.0, 0)
    assert _run(small) == (3.0, 1)


def test_an_edit_of_a_helper_in_another_file_recompiles_its_callers(small):
    _run(small)
    (small / "helper.py").write_text(HELPER.format(step=10.0), encoding="utf-8")
    assert _run(small) == (21.0, 0)


def test_touching_a_file_without_changing_it_recompiles_nothing(small):
    _run(small)
    os.utime(small / "helper.py", (1, 1))
    assert _run(small) == (3.0, 1)


def test_an_edit_of_a_constant_of_a_file_without_kernels_recompiles_those_that_read_it(small):
    (small / "constants.py").write_text("STEP = 1.0\n", encoding="utf-8")
    helper = HELPER.format(step="constants.STEP").replace("STEP = ", "from simulator import constants\n\nSTEP = ")
    (small / "helper.py").write_text(helper, encoding="utf-8")
    assert _run(small) == (3.0, 0)
    (small / "constants.py").write_text("STEP = 10.0\n", encoding="utf-8")
    assert _run(small) == (21.0, 0)


def test_an_edit_of_a_file_that_no_kernel_reads_recompiles_nothing(small):
    _run(small)
    (small / "words.py").write_text("from simulator import caller\n", encoding="utf-8")
    assert _run(small) == (3.0, 1)


def test_machine_code_of_an_earlier_state_is_removed(small):
    _run(small)
    (small / "helper.py").write_text(HELPER.format(step=10.0), encoding="utf-8")
    _run(small)
    assert len(list((small / "__pycache__").glob("kernels-*"))) == 1


def test_the_cache_folder_of_the_environment_is_used(small, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    _run(small, NUMBA_CACHE_DIR=str(elsewhere))
    assert list(elsewhere.rglob("*.nbi"))
    assert _run(small, NUMBA_CACHE_DIR=str(elsewhere)) == (3.0, 1)


def test_without_any_folder_to_write_to_the_kernels_still_run(small, tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("", encoding="utf-8")
    (small / "__pycache__").write_text("", encoding="utf-8")  # no folder can be made in its place
    assert _run(small, XDG_CACHE_HOME=str(blocked), HOME=str(blocked), PYTHONDONTWRITEBYTECODE="1") == (3.0, 0)


OTHER_CALLER = CALLER.replace("shift(shift(x))", "shift(x) + shift(x) + shift(x)")


def _upgrade(package, step, caller):
    """Put another version in the place of the one that is there; its files look older, as those of a wheel may."""
    for name, text in (("helper.py", HELPER.format(step=step)), ("caller.py", caller)):
        (package / name).write_text(text, encoding="utf-8")
        os.utime(package / name, (1, 1))


@pytest.mark.parametrize("shared", [False, True], ids=["its own folder", "a shared folder"])
def test_an_upgrade_in_place_and_back_never_runs_the_other_versions_machine_code(small, tmp_path, shared):
    where = {"NUMBA_CACHE_DIR": str(tmp_path / "shared")} if shared else {}
    _upgrade(small, 1.0, CALLER)
    assert _run(small, **where) == (3.0, 0)
    _upgrade(small, 1.0, OTHER_CALLER)  # the caller changes
    assert _run(small, **where) == (6.0, 0)
    _upgrade(small, 5.0, OTHER_CALLER)  # only what it calls changes
    assert _run(small, **where) == (18.0, 0)
    _upgrade(small, 1.0, CALLER)  # and back, where a shared folder still has the first machine code
    assert _run(small, **where) == (3.0, int(shared))


def _without_leave_to_write():
    """Words before a command that make even root heed permissions; None where there are none."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override"]
    if shutil.which("setpriv") is None:
        return None
    return words if subprocess.run([*words, "true"], check=False, capture_output=True).returncode == 0 else None


def test_a_read_only_installation_runs_and_keeps_machine_code_in_the_users_folder(small, tmp_path):
    words = _without_leave_to_write()
    if words is None:
        pytest.skip("root may write everywhere here")
    home = tmp_path / "home"
    home.mkdir()
    user = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    small.chmod(0o555)
    try:
        assert _run(small, *words, **user) == (3.0, 0)
        assert _run(small, *words, **user) == (3.0, 1)
        assert list((home / "cache").rglob("*.nbi"))
        assert not (small / "__pycache__").exists()
        home.chmod(0o555)
        (home / "cache").chmod(0o555)
        nowhere = user | {"XDG_CACHE_HOME": str(home / "none")}
        assert _run(small, *words, **nowhere) == (3.0, 0)
    finally:
        for folder in (small, home, home / "cache"):
            folder.chmod(0o755)


def _decorated(kinds):
    """Functions of the package with one of these decorators, and what they say they return."""
    for file in sorted(PACKAGE.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and {getattr(each, "id", "") for each in node.decorator_list} & kinds:
                yield f"{file.stem}.{node.name}", ast.unparse(node.returns) if node.returns else "nothing said"


def _may_hold_an_array(returns):
    return not set(re.findall(r"[\w.]+", returns)) <= {"tuple", "float", "int", "bool", "None", "np.uint64"}


def test_functions_that_count_no_references_return_no_arrays():
    """Their callers would give up an array that was never taken: memory is corrupted, sometimes."""
    found = dict(_decorated({"inner", "inlined", "written_out", "part"}))
    assert len(found) > 100
    assert [name for name, returns in found.items() if _may_hold_an_array(returns)] == []


def test_a_kernel_that_returns_an_array_is_seen_by_that_check():
    assert _may_hold_an_array(dict(_decorated({"kernel"}))["ledger.planned_costs"])
    assert _may_hold_an_array(dict(_decorated({"kernel"}))["chance.uniforms"])


def test_python_cannot_call_machine_code_without_an_entry():
    from simulator.ledger import needed

    with pytest.raises(TypeError, match="needed has machine code for other kernels only"):
        needed(None, 0, 1, 2, 3)


def test_options_of_compilation_are_equal_where_each_of_them_is():
    from numba.core.compiler import Flags

    from simulator.compiled import _Flags

    one, same = _Flags(), _Flags()
    assert one == same == Flags() == one
    assert hash(one) == hash(same) == hash(Flags())
    one.forceinline = True
    assert one != same
    assert same != one
    assert one != Flags()
    same.forceinline = True
    assert one == same == one.copy()
    assert one.copy() is not one
    one.error_model = "numpy"
    assert one != same


@pytest.mark.parametrize("on", [True, False])
def test_the_search_for_cycles_rests_while_a_kernel_compiles_and_only_then(on, monkeypatch):
    from simulator import compiled

    during = []
    real = compiled.CPUDispatcher.compile
    watched = lambda self, sig: during.append(gc.isenabled()) or real(self, sig)  # noqa: E731
    monkeypatch.setattr(compiled.CPUDispatcher, "compile", watched)

    def step(x):
        if x > 3:
            return x + 1.0
        return x.nothing

    before = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        with pytest.raises(TypingError):
            compiled.kernel(step)(1.0)
        after = gc.isenabled()
    finally:
        (gc.enable if before else gc.disable)()
    assert during == [False]
    assert after is on


BESIDE = """
import pathlib
pathlib.Path(given).write_text("done")
"""


def test_a_program_beside_the_body_is_awaited(tmp_path):
    from simulator.compiled import beside

    with beside(BESIDE, str(tmp_path / "sign")):
        assert not (tmp_path / "sign").exists() or (tmp_path / "sign").read_text() in ("", "done")
    assert (tmp_path / "sign").read_text() == "done"


def test_a_program_beside_is_awaited_until_its_output_ends_and_no_longer(tmp_path):
    from simulator.compiled import beside

    begun = time.monotonic()
    with beside(BESIDE + "os.close(1)\nimport time\ntime.sleep(600)", str(tmp_path / "sign")):
        pass
    assert (tmp_path / "sign").read_text() == "done"
    assert time.monotonic() - begun < 60


def test_a_program_beside_a_body_that_fails_is_ended():
    from simulator.compiled import beside

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), beside("import time; time.sleep(600)", None):
        raise KeyboardInterrupt
    assert time.monotonic() - begun < 60


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_program_beside_a_process_that_is_killed_ends(tmp_path):
    sign = tmp_path / "sign"
    inner = "import pathlib, time; pathlib.Path(given).write_text(str(os.getpid())); time.sleep(600)"
    outer = f"from simulator.compiled import beside\nwith beside({inner!r}, {str(sign)!r}): pass"
    with subprocess.Popen([sys.executable, "-c", outer], cwd=PACKAGE.parent) as process:
        _wait_until(lambda: sign.exists() and sign.read_text())
        process.kill()
    child = Path(f"/proc/{sign.read_text()}/stat")
    if not child.parent.parent.joinpath("self").exists():
        pytest.skip("no /proc to see processes in")
    _wait_until(lambda: _has_ended(child))


def _has_ended(stat):
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # between its end and now
        return True


def _wait_until(holds, seconds=60):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_program_that_cannot_be_given_its_input_harms_nobody():
    from simulator.compiled import beside

    with beside(BESIDE, lambda: None):
        pass
    with beside("raise SystemExit(3)", "x" * 10_000_000):
        pass


def test_the_first_run_compiles_outcomes_in_a_process_beside(tmp_path):
    """Seen in the folder of machine code: the child keeps what the parent then finds."""
    program = (
        "from simulator.dealfile import load\nfrom simulator import run\n"
        "seen = []\nreal = run.beside\n"
        "run.beside = lambda *a: seen.append(a[0]) or real(*a)\n"
        "run.simulate(load('scenarios/augsburg.yaml'), 10)\n"
        "print(len(seen), sum(run.simulate_outcomes.stats.cache_hits.values()),"
        " sum(run.settle_abreast.stats.cache_hits.values()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = "1 1 0" if len(os.sched_getaffinity(0)) > 1 else "0 0 0"
    assert done.stdout.split("\n")[0] == expected, done.stderr
