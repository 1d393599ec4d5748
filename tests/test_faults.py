"""The list of deliberate faults stays applicable; `python tests/faults.py` puts them in one at a time."""

import re

import pytest
from faults import FAULTS, TOP


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_old_text_of_a_fault_is_in_the_source_exactly_once(fault):
    text = (TOP / "simulator" / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    assert fault.new != fault.old
    if fault.file.endswith(".py"):
        compile(text.replace(fault.old, fault.new), fault.file, "exec")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_tests_that_catch_a_fault_exist(fault):
    assert fault.tests
    for test in fault.tests:
        file, name = test.split("::")
        assert re.search(rf"^def {name}\(", (TOP / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE), test


def test_there_are_faults_in_every_part_and_no_two_of_one_name():
    assert len(FAULTS) >= 24
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    parts = {"chance", "outcomes", "clauses", "waterfall", "ledger", "metrics", "plan", "run"}
    assert parts <= {fault.file.removesuffix(".py") for fault in FAULTS}
