"""A base, a low and a high case: every number that is not known at one percentile, luck and measurement as drawn.

Analysts put such cases on a page; beside the distribution they show how unlikely it is that all numbers are bad, or
good, at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import ledger, metrics
from simulator.deal import Deal
from simulator.plan import compile_plan
from simulator.run import Simulation
from simulator.worlds import Worlds, unknowns

Floats = NDArray[np.float64]

CASES = ("low", "base", "high")
_WORSE, _MIDDLE, _BETTER = 0.1, 0.5, 0.9


def cases(
    deal: Deal, tornado: Mapping[str, Any], structure: str, draws: int, seed: int = 1, threads: int | None = None
) -> dict[str, Any]:
    """Play the three cases.

    Parameters
    ----------
    deal, draws, seed, threads
        As for :func:`simulator.simulate`.
    tornado
        Of the multiple, from :func:`simulator.sensitivity`: it says which end of each number is the worse one.
    structure
        Whose multiple it is.

    Returns
    -------
    dict
        Case -> estimate of the mean multiple on called capital: low with each number at the decile (10th or 90th
        percentile) that is worse for investors, base at its median, high at the better decile. None where no capital
        is called.
    """
    plan = compile_plan(deal)
    worlds = Worlds(threads)
    found: dict[str, Any] = {}
    for case in CASES:
        points: list[tuple[int, float]] = []
        for each in unknowns(plan):
            swing = tornado.get(each.name)
            up = swing is None or swing["high"]["value"] >= swing["low"]["value"]
            u = {"low": _WORSE if up else _BETTER, "base": _MIDDLE, "high": _BETTER if up else _WORSE}[case]
            for index in each.columns:
                column = plan.columns[index]
                value = float(column.quantity.quantile(np.array([u]))[0])
                points.append((index, min(max(value, column.low), column.high)))

        def change(rows: Floats, points: list[tuple[int, float]] = points) -> None:
            for index, value in points:
                rows[:, index] = value

        simulation = Simulation(plan, seed, [structure], change=change)
        values = worlds(simulation, draws, kept=(ledger.MULTIPLE,)).found[structure][:, 0]
        values = values[~np.isnan(values)]
        if values.size:
            moments = metrics.Moments.of(values)
            found[case] = dict(metrics.estimate(moments.mean, moments.standard_error))
        else:
            found[case] = None
    return found
