"""Sobol points against independent draws: how many times fewer draws, and how much less time, the same error takes.

    python benchmarks/sampling.py [--draws 100000] [--seeds 40] [--deals augsburg peterborough essex]

The spread of an estimate over seeds says what its error is, whatever the program reports of itself. The efficiency is
the ratio of variances over the ratio of processor times. With 40 seeds each a ratio of variances is good to a factor of
1.9 either way (95%).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from simulator import load, simulate

SCENARIOS = Path(__file__).parent.parent / "scenarios"
ESTIMATES = {
    "P(any payment)": lambda s: s.triggers["any payment"].probability,
    "mean payments": lambda s: s.payments.mean,
    "mean IRR": lambda s: s.investor.irr.mean,
    "P(loss)": lambda s: s.investor.probability_of_loss.probability,
    "5th percentile of the multiple": lambda s: s.investor.multiple.p05,
    "25th percentile of the multiple": lambda s: s.investor.multiple.p25,
    "loss given loss": lambda s: s.investor.loss_given_loss.value if s.investor.loss_given_loss else float("nan"),
    "expected shortfall (5%) of the multiple": lambda s: s.investor.expected_shortfall_05.value,
    "deadweight share": lambda s: s.payer.deadweight_share.value if s.payer.deadweight_share else float("nan"),
}


def main() -> None:
    """Print a table for each deal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--deals", nargs="+", default=["augsburg", "peterborough", "essex"])
    asked = parser.parse_args()
    for name in asked.deals:
        deal = load(SCENARIOS / f"{name}.yaml")
        found, seconds = {}, {}
        for sampling in ("plain", "sobol"):
            simulate(deal, 1000, 0, ["as signed"], sampling=sampling)
            begun = time.process_time()
            rows = [
                simulate(deal, asked.draws, seed, ["as signed"], sampling=sampling)["as signed"]
                for seed in range(1, asked.seeds + 1)
            ]
            seconds[sampling] = (time.process_time() - begun) / asked.seeds
            found[sampling] = np.array([[of(row) for of in ESTIMATES.values()] for row in rows], dtype=float)
        slower = seconds["sobol"] / seconds["plain"]
        print(f"\n{name}: {asked.draws:,} draws, {asked.seeds} seeds; a run takes {slower:.2f} times as long\n")
        print("| | variance, plain over Sobol | efficiency |\n|---|---|---|")
        for i, label in enumerate(ESTIMATES):
            plain, points = (found[each][:, i].var(ddof=1) for each in ("plain", "sobol"))
            level = 1e-20 * float(np.square(found["plain"][:, i]).mean())  # rounding is no spread
            if not (plain > level and points > level):
                print(f"| {label} | no spread | |")
            else:
                print(f"| {label} | {plain / points:.1f} | {plain / points / slower:.1f} |")


if __name__ == "__main__":
    main()
