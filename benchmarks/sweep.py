"""What sharing gains in a sweep, measured side by side: cells that differ in terms only, with and without it.

Run with the package installed: python benchmarks/sweep.py [CELLS]. Each pair is timed twice, in turn, and must agree to
the bit before its ratio is printed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from simulator.sweep import Row, specify

FOLDER = Path(__file__).parent.parent / "scenarios"
DRAWS = 10_000
CASES = [
    (
        "Peterborough, trigger x cap",
        "peterborough.yaml",
        [
            "structures.as signed.pays.a cohort succeeds.when.fewer events=5%:15%:40",
            "structures.as signed.at_most.contract=4m:12m:10",
        ],
        ["as signed"],
    ),
    (
        "Peterborough, the same with all four structures",
        "peterborough.yaml",
        [
            "structures.as signed.pays.a cohort succeeds.when.fewer events=5%:15%:40",
            "structures.as signed.at_most.contract=4m:12m:10",
        ],
        None,
    ),
    (
        "Fair Chance Fund (people drawn one by one), contract cap x commitment",
        "fair_chance_fund.yaml",
        ["structures.as signed.at_most.contract=2m:4m:8", "structures.as signed.finance.commitment=1m:2m:5"],
        ["as signed"],
    ),
]


def timed(work: object, cells: range, share: bool) -> tuple[float, list[Row]]:
    """Seconds and rows."""
    begun = time.perf_counter()
    rows = list(work.rows(cells, DRAWS, share=share))  # type: ignore[attr-defined]
    return time.perf_counter() - begun, rows


def main() -> None:
    """Print seconds a cell and the ratio."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for what, file, over, structures in CASES:
        spec, work = specify([FOLDER / file], over, draws=DRAWS, structures=structures)
        cells = range(min(most, spec.total))
        list(work.rows(cells[:1], 2))
        seconds = {True: 0.0, False: 0.0}
        found = {}
        for _ in range(2):
            for share in (False, True):
                took, found[share] = timed(work, cells, share)
                seconds[share] += took / 2 / len(cells)
        pairs = zip(found[True], found[False], strict=True)
        assert all(ours.values.tobytes() == theirs.values.tobytes() for ours, theirs in pairs)
        print(
            f"{what}: {1e3 * seconds[False]:.1f} ms a cell apart, {1e3 * seconds[True]:.1f} ms sharing; "
            f"{seconds[False] / seconds[True]:.1f} times ({DRAWS:,} draws, one thread)"
        )


if __name__ == "__main__":
    main()
