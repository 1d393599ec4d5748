"""Luck or skill: how much of what is paid and earned comes from what nobody knew, from luck, and from measurement.

The three layers of uncertainty have addresses of their own, so that one of them can be drawn again while the others
stay. With Y(P, L, M) for what we don't know, luck and measurement, and a dash for another replicate,

    E[(Y(P, L, M) - Y(P, L', M'))^2] / 2 = E[Var(Y | P)]        luck and measurement
    E[(Y(P, L, M) - Y(P, L, M'))^2] / 2  = E[Var(Y | P, L)]     measurement

(Jansen, Analysis of variance designs for model output, Computer Physics Communications 117, 1999). So the variance is
split in the order in which things come to pass: first what we don't know, Var(E[Y | P]), then luck given that,
E[Var(E[Y | P, L] | P)], then measurement given both. The parts add to all of the variance; another order would give
interactions to others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import ledger
from simulator.benefit import valued
from simulator.deal import Deal
from simulator.run import Replicates, Simulation, header
from simulator.worlds import Progress, Worlds, asked, ratio

Floats = NDArray[np.float64]

ORDER = ("not_known", "luck", "measurement")
_KEPT = {"payments": ledger.PAYMENTS, "multiple": ledger.MULTIPLE, "irr": ledger.IRR, "cost": ledger.COST_PV}


def luck(
    deal: Deal,
    draws: int = 100_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    value: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Split the variance of payments, multiple, IRR and net benefit into what we don't know, luck and measurement.

    Parameters
    ----------
    deal, draws, seed, structures, threads, progress
        As for :func:`simulator.simulate`; each draw is simulated three times.
    value
        Money for one additional outcome by name, in place of what the file says it is worth; where neither says
        anything there is no net benefit.

    Returns
    -------
    dict
        The header, ``value`` as given, ``valued`` (which worth counts), ``order``, and by structure and metric: ``sd``,
        ``count`` of the draws in which the metric is defined in all three replicates, and ``shares`` of the
        variance, each with its standard error,
        which add to 1. Null where the metric is undefined or does not vary.

    Raises
    ------
    KeyError
        For an unknown structure or outcome.
    """
    names, plan, benefit = asked(deal, structures, value)
    worlds = Worlds(threads, progress, 3 * draws)
    replicates = (Replicates(), Replicates(luck=1, measurement=1), Replicates(measurement=1))
    kept = tuple(_KEPT.values())
    simulated = [worlds(Simulation(plan, seed, names, each), draws, kept=kept, benefit=benefit) for each in replicates]
    answers = {}
    for name in names:
        found: dict[str, Any] = {}
        for index, metric in enumerate(_KEPT):
            three = [world.found[name][:, index] for world in simulated]
            if metric != "cost":
                found[metric] = split(*three)
                continue
            if benefit is not None:
                pairs = zip(simulated, three, strict=True)
                found["net_benefit"] = split(*(world.benefit[name] - cost for world, cost in pairs))
        answers[name] = found
    head = header(deal, seed, draws) | {"value": dict(value or {}), "valued": valued(plan, value)}
    return head | {"order": list(ORDER), "structures": answers}


def split(first: Floats, luck_again: Floats, measured_again: Floats) -> dict[str, Any] | None:
    """Split a variance between three layers.

    Parameters
    ----------
    first, luck_again, measured_again
        [draws] Y(P, L, M), Y(P, L', M') and Y(P, L, M'); NaN where undefined.

    Returns
    -------
    dict or None
        ``sd``, ``count`` and ``shares``; None without variance.
    """
    defined = ~(np.isnan(first) | np.isnan(luck_again) | np.isnan(measured_again))
    a, b, c = first[defined], luck_again[defined], measured_again[defined]
    if a.size < 2 or (np.ptp(a) == 0.0 and np.ptp(b) == 0.0):
        return None
    mean = 0.5 * (float(a.mean()) + float(b.mean()))
    whole = 0.5 * ((a - mean) ** 2 + (b - mean) ** 2)
    after_parameters = 0.5 * (a - b) ** 2
    after_luck = 0.5 * (a - c) ** 2
    parts = (whole - after_parameters, after_parameters - after_luck, after_luck)
    return {
        "sd": float(np.sqrt(whole.mean())),
        "count": int(a.size),
        "shares": {layer: ratio(part, whole) for layer, part in zip(ORDER, parts, strict=True)},
    }
