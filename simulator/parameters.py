"""What we don't know: the value row of each draw, one column for every number of the deal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import chance
from simulator.plan import Column, Plan

Floats = NDArray[np.float64]


def keys_of(plan: Plan, seed: int, replicate: int = 0) -> list[np.uint64]:
    """Key of each column's uniform: by the name path of the number, so that variants of a deal share luck."""
    return [chance.key(seed, "parameters", replicate, column.address) for column in plan.columns]


Uniforms = Callable[[int], Floats]


def values(
    plan: Plan, keys: list[np.uint64], start: int, number: int, uniforms: Uniforms | None = None
) -> tuple[Floats, dict[int, int]]:
    """Draw the value rows of draws start..start+number-1.

    Parameters
    ----------
    uniforms
        Gives the uniforms [number] of a column; by default those at its address.

    Returns
    -------
    rows : float64 [number, columns]
        Fixed numbers are the same in every row. A value outside its legal range is set to the bound.
    clamped : dict
        Column -> number of draws in which it was set to a bound.
    """
    rows = np.empty((number, len(plan.columns)))
    rows[:] = plan.expected  # row by row: writing the many fixed numbers column by column took most of the time
    clamped: dict[int, int] = {}
    if uniforms is None:

        def uniforms(index: int) -> Floats:
            return chance.uniforms(keys[index], start, number, 0)

    moved = _moved_together(plan, uniforms)
    alike: dict[tuple[Any, ...], Floats] = {}  # the same number of several structures is drawn once
    for index, column in enumerate(plan.columns):
        if column.quantity.is_fixed:
            if column.quantity.value != plan.expected[index]:  # what nobody plans for
                rows[:, index] = column.quantity.value
            continue
        same = (column.address, column.quantity)
        if same not in alike:
            alike[same] = column.quantity.quantile(moved[index] if index in moved else uniforms(index))
        drawn = alike[same]
        outside = int(np.count_nonzero((drawn < column.low) | (drawn > column.high)))
        if outside:
            clamped[index] = outside
            drawn = np.clip(drawn, column.low, column.high)
        rows[:, index] = drawn
    return rows, clamped


def _moved_together(plan: Plan, uniforms: Uniforms) -> dict[int, Floats]:
    """Uniforms of the columns that correlations change: all but the first quantity of each group.

    Sums are written out, without matrix products, so that a draw's bits do not depend on its neighbours.
    """
    moved: dict[int, Floats] = {}
    if not plan.joined:
        return moved
    from scipy.special import ndtr, ndtri

    for joined in plan.joined:
        normal = [ndtri(uniforms(each[0])) for each in joined.columns]
        for columns, weights in list(zip(joined.columns, joined.factor, strict=True))[1:]:
            x = weights[0] * normal[0]
            for weight, z in zip(weights[1:], normal[1:], strict=False):
                x += weight * z
            u = np.clip(ndtr(x), 2.0**-53, 1.0 - 2.0**-53)
            moved.update(dict.fromkeys(columns, u))
    return moved


def as_effective(plan: Plan, structure: str, rows: Floats) -> Floats | None:
    """Value rows with the effect of the service that it has under one structure.

    Effects of single outcomes are multiplied by the structure's effectiveness; of a chain, the chance of each first
    step becomes what it is without the service plus so much of the difference. Rows that need no change give None.

    Parameters
    ----------
    rows
        [draws, columns], left as they are.
    """
    column = plan.effectiveness_at[structure]
    if column < 0 or (plan.columns[column].quantity.is_fixed and plan.columns[column].quantity.value == 1.0):
        return None
    times = rows[:, column]
    changed = rows.copy()
    for outcome in plan.outcomes:
        if outcome["effect_at"] >= 0:
            changed[:, outcome["effect_at"]] *= times
        elif outcome["first_at"] >= 0:
            without, served = rows[:, outcome["first_at"]], rows[:, outcome["level_at"]]
            changed[:, outcome["level_at"]] = np.clip(without + times * (served - without), 0.0, 1.0)
    return changed


def row_by_path(columns: tuple[Column, ...], row: Floats) -> dict[tuple[str | int, ...], float]:
    """Give one value row its names back."""
    return {column.path: float(value) for column, value in zip(columns, row, strict=True)}
