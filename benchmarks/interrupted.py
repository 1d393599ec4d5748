"""A sweep that is killed (kill -9) at random moments and run again until it is finished: are its files the same?

Run with the package installed: python benchmarks/interrupted.py [KILLS]. It says after how many kills it finished, that
no batch was recorded twice, and whether the files are those of a sweep that nobody killed.
"""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from simulator.sweep import JOURNAL, Records

DEAL = Path(__file__).parent.parent / "scenarios" / "peterborough.yaml"
OVER = [
    "structures.as signed.pays.a cohort succeeds.when.fewer events=5%:15%:40",
    "structures.as signed.at_most.contract=4m:12m:25",
]


def start(out: Path) -> subprocess.Popen[bytes]:
    """Start the sweep."""
    code = "import sys; sys.argv[0] = 'sib'; from simulator.cli import main; main()"
    words = ["sweep", str(DEAL), "--out", str(out), "--draws", "2k", "--structure", "as signed", "--quiet"]
    return subprocess.Popen([sys.executable, "-c", code, *words, *(w for each in OVER for w in ("--over", each))])


def hashes(out: Path) -> dict[str, str]:
    """Digest of each file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def main() -> None:
    """Kill so often, then finish and compare."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    chooser = random.Random(20)
    with tempfile.TemporaryDirectory() as folder:
        whole, out = Path(folder, "whole"), Path(folder, "killed")
        begun = time.monotonic()
        if start(whole).wait() != 0:
            raise SystemExit("the sweep failed")
        takes = time.monotonic() - begun
        done, recorded = 0, 0
        while done < kills:
            running = start(out)
            try:
                running.wait(chooser.uniform(0.0, 0.5 * takes))
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGKILL)
                running.wait()
                done += 1
            else:  # it finished: another round, so that the end is killed, too
                assert hashes(out) == hashes(whole), "the files differ"
                for path in out.iterdir():
                    path.unlink()
                out.rmdir()
                recorded = 0
            if (out / JOURNAL).exists():
                records = Records(out)
                batches, places = len(records.places), len(records.journal.offsets)
                records.close()
                assert batches == places, "a batch was recorded twice"
                assert batches >= recorded, "a recorded batch was lost"
                recorded = batches
        if start(out).wait() != 0:
            raise SystemExit("the sweep failed")
        same = hashes(out) == hashes(whole)
        print(f"{done} kills; files {'the same' if same else 'DIFFER'}; a whole run takes {takes:.1f} s")
        raise SystemExit(0 if same else 1)


if __name__ == "__main__":
    main()
