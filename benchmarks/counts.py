"""Instructions a draw, counted by valgrind: a number that nothing else on the machine can move.

    python benchmarks/counts.py [DEAL…]      needs valgrind (Debian: apt-get install valgrind)

Each deal, `as signed`, is simulated on one thread at some draws and at twice as many; the difference, by draw, is what
a draw costs without imports, compiling, loading, planning and writing. Kernels are compiled into a folder of their own
before anything is counted, for processors with AVX2 and no more, whatever this one is, because valgrind knows no newer
instructions. For Peterborough the C program is counted the same way. The changelog records the counts when they move.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).parent.parent
DRAWS = {"peterborough": 4096, "fair_chance_fund": 1024, "essex": 2048}
PROGRAM = """
import sys
import simulator
simulator.simulate(simulator.load(sys.argv[1]), int(sys.argv[2]), 1, ["as signed"], 1)
"""
COUNT = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", "--")


def instructions(command: list[str], surroundings: dict[str, str]) -> int:
    """Count the instructions of a whole process."""
    done = subprocess.run([*COUNT, *command], check=True, capture_output=True, text=True, env=surroundings)
    found = re.search(r"I\s+refs:\s*([\d,]+)", done.stderr)
    if found is None:
        raise SystemExit(done.stderr)
    return int(found[1].replace(",", ""))


def a_draw(command: list[str], draws: int, surroundings: dict[str, str]) -> float:
    """Count the instructions of one draw; the words DRAWS of the command stand for their number."""
    few, many = (
        instructions([str(number) if word == "DRAWS" else word for word in command], surroundings)
        for number in (draws, 2 * draws)
    )
    return (many - few) / draws


def main() -> None:
    """Print the counts."""
    path = os.pathsep.join([str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        surroundings = os.environ | {
            "PYTHONPATH": path,
            "PYTHONHASHSEED": "0",
            "NUMBA_CACHE_DIR": folder,
            "NUMBA_CPU_NAME": "x86-64-v3",
            "NUMBA_CPU_FEATURES": "",
            "OPENBLAS_NUM_THREADS": "1",
        }
        for deal in sys.argv[1:] or DRAWS:
            command = [sys.executable, "-c", PROGRAM, str(TOP / "scenarios" / f"{deal}.yaml"), "DRAWS"]
            draws = DRAWS.get(deal, 1024)
            subprocess.run([*command[:-1], str(draws)], check=True, env=surroundings)
            print(f"{deal}: {a_draw(command, draws, surroundings):,.0f} instructions a draw", flush=True)
            if deal == "peterborough":
                source, program = TOP / "benchmarks" / "peterborough.c", str(Path(folder, "program"))
                options = ["-O3", "-march=x86-64-v3", "-pthread"]
                subprocess.run(["cc", *options, str(source), "-lm", "-o", program], check=True)
                count = a_draw([program, "DRAWS", "1", "1"], draws, surroundings)
                print(f"{deal}, the C program: {count:,.0f} instructions a draw", flush=True)


if __name__ == "__main__":
    main()
