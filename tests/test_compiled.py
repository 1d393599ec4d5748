"""Machine code on disk is never stale, and an installation that nobody may write to still runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


def _run(package, **environment):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
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
