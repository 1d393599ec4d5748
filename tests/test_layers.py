"""The shape of the program: each module imports only from the layers above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "simulator"
LAYERS = [
    {"compiled", "copula", "journal", "quantity", "yamlfile"},
    {"deal", "chance", "clauses", "payers", "metrics", "result"},
    {
        "finance_checks",
        "ending_checks",
        "ending_words",
        "outcomes",
        "present",
        "sobol",
        "waterfall",
        "agreement",
        "grammar",
        "schema",
        "shocks",
    },
    {"doubts", "fund", "holding", "paper_words"},
    {"checks", "ledger", "reference"},
    {"dealfile", "worth"},
    {"plan", "observed", "abreast", "draws", "terms"},
    {"parameters", "sampling", "variants"},
    {"run"},
    {"explain", "three_ms", "budget", "benefit"},
    {"worlds"},
    {"settle", "compare", "triggers", "luck", "cases", "sensitivity", "information"},
    {"cluster", "dataplan"},
    {"sweep"},
    {"solve"},
    {"stress"},
    {"cash"},
    {"figures"},
    {"report"},
    {"value_tables", "questions"},
    {"dossier"},
    {"pictures"},
    {"page", "workbook"},
    {"publish"},
    {"cli"},
    {"start"},
]
KERNELS = {
    "chance",
    "sobol",
    "clauses",
    "payers",
    "waterfall",
    "metrics",
    "outcomes",
    "fund",
    "ledger",
    "worth",
    "abreast",
    "draws",
}
DESCRIPTION = {
    "quantity",
    "deal",
    "checks",
    "dealfile",
    "yamlfile",
    "reference",
    "shocks",
    "terms",
    "agreement",
    "holding",
    "finance_checks",
    "ending_checks",
    "ending_words",
    "paper_words",
    "schema",
    "grammar",
    "doubts",
    "present",
}


def _imports(module):
    """Modules of the package that a module names in an import, at the top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "simulator":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("simulator.")}
    return found - {"__version__"}


def _modules():
    return sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def test_every_module_has_its_layer():
    assert set(_modules()) == set().union(*LAYERS)


@pytest.mark.parametrize("module", _modules())
def test_a_module_imports_only_from_layers_above(module):
    level = next(level for level, names in enumerate(LAYERS) if module in names)
    above = set().union(*LAYERS[:level])
    assert _imports(module) <= above


@pytest.mark.parametrize("module", sorted(KERNELS))
def test_kernels_know_no_deals(module):
    assert not _imports(module) & DESCRIPTION


@pytest.mark.parametrize("module", sorted(DESCRIPTION))
def test_the_description_and_the_twin_know_no_kernels(module):
    assert not _imports(module) & (KERNELS | {"compiled"})


def _loaded_after(code):
    program = f"import sys\n{code}\nprint(sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout.splitlines()[-1])


def test_help_loads_neither_numpy_nor_numba():
    loaded = _loaded_after(
        "from click.testing import CliRunner\nfrom simulator.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0"
    )
    assert not {"numpy", "numba", "scipy", "pydantic", "yaml"} & set(loaded)


def test_checking_a_deal_loads_neither_numba_nor_scipy():
    loaded = _loaded_after("from simulator.dealfile import load\nload('scenarios/augsburg.yaml')")
    assert not {"numba", "scipy"} & set(loaded)


def test_a_loaded_module_is_seen_by_that_check():
    assert "numpy" in _loaded_after("import numpy")


def test_only_modules_of_kernels_can_make_machine_code_stale():
    from simulator.compiled import kernel_files

    assert {file.stem for file in kernel_files()} == KERNELS | {"compiled"}
