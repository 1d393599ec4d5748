"""Sobol points against independent draws: how many times fewer draws, and how much less time, the same error takes.

    python benchmarks/sampling.py [--draws 100000] [--seeds 40] [--deals augsburg peterborough essex]

The variance of an estimate is the mean square of the errors that the runs report, and beside it stands what the spread
of the estimate over seeds says, whatever the program reports of itself. With 40 seeds the first ratio is good to 12%
(95%; 16 randomisations a seed), the second to a factor of 1.9 either way. The efficiency is the first ratio, or the
second where no error is reported, over the ratio of processor times, taken in turn.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from simulator import load, simulate

SCENARIOS = Path(__file__).parent.parent / "scenarios"
ESTIMATES = {
    "P(any payment)": lambda s: _told(s.triggers["any payment"], "probability"),
    "mean payments": lambda s: _told(s.payments, "mean"),
    "mean IRR": lambda s: _told(s.investor.irr, "mean"),
    "P(loss)": lambda s: _told(s.investor.probability_of_loss, "probability"),
    "5th percentile of the multiple": lambda s: (s.investor.multiple.p05, float("nan")),
    "25th percentile of the multiple": lambda s: (s.investor.multiple.p25, float("nan")),
    "loss given loss": lambda s: _told(s.investor.loss_given_loss, "value"),
    "expected shortfall (5%) of the multiple": lambda s: _told(s.investor.expected_shortfall_05, "value"),
    "deadweight share": lambda s: _told(s.payer.deadweight_share, "value"),
}


def _told(of, name):
    """An estimate and its reported error."""
    return (float("nan"), float("nan")) if of is None else (getattr(of, name), of.standard_error)


def main() -> None:
    """Print a table for each deal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--deals", nargs="+", default=["augsburg", "peterborough", "essex"])
    asked = parser.parse_args()
    for name in asked.deals:
        deal = load(SCENARIOS / f"{name}.yaml")
        rows, seconds = {"plain": [], "sobol": []}, {"plain": [], "sobol": []}
        for seed in range(asked.seeds + 1):
            for sampling, own in rows.items():
                begun = time.process_time()
                answer = simulate(deal, asked.draws, seed, ["as signed"], sampling=sampling)["as signed"]
                seconds[sampling].append(time.process_time() - begun)
                own.append([of(answer) for of in ESTIMATES.values()])
        found = {sampling: np.array(own[1:], dtype=float) for sampling, own in rows.items()}  # the first may compile
        slower = float(np.median(np.divide(seconds["sobol"][1:], seconds["plain"][1:])))
        print(f"\n{name}: {asked.draws:,} draws, {asked.seeds} seeds; a run takes {slower:.2f} times as long\n")
        print("| | variance, plain over Sobol | by the spread of seeds | efficiency |\n|---|---|---|---|")
        for i, label in enumerate(ESTIMATES):
            plain, points = (found[each][:, i, 0].var(ddof=1) for each in ("plain", "sobol"))
            level = 1e-20 * float(np.square(found["plain"][:, i, 0]).mean())  # rounding is no spread
            if not (plain > level and points > level):
                print(f"| {label} | no spread | | |")
                continue
            seen = plain / points
            told = np.divide(*(np.square(found[each][:, i, 1]).mean() for each in ("plain", "sobol")))
            best = seen if np.isnan(told) else told
            print(f"| {label} | {'' if np.isnan(told) else f'{told:.1f}'} | {seen:.1f} | {best / slower:.1f} |")


if __name__ == "__main__":
    main()
