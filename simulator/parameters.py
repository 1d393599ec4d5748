"""What we don't know: the value row of each draw, one column for every number of the deal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator import chance
from simulator.plan import Column, Plan

Floats = NDArray[np.float64]


def keys_of(plan: Plan, seed: int, replicate: int = 0) -> list[np.uint64]:
    """Key of each column's uniform: by the name path of the number, so that variants of a deal share luck."""
    return [chance.key(seed, "parameters", replicate, column.address) for column in plan.columns]


def values(plan: Plan, keys: list[np.uint64], start: int, number: int) -> tuple[Floats, dict[int, int]]:
    """Draw the value rows of draws start..start+number-1.

    Returns
    -------
    rows : float64 [number, columns]
        Fixed numbers are the same in every row. A value outside its legal range is set to the bound.
    clamped : dict
        Column -> number of draws in which it was set to a bound.
    """
    rows = np.empty((number, len(plan.columns)))
    clamped: dict[int, int] = {}
    moved = _moved_together(plan, keys, start, number)
    for index, column in enumerate(plan.columns):
        if column.quantity.is_fixed:
            rows[:, index] = column.quantity.value
            continue
        u = moved[index] if index in moved else chance.uniforms(keys[index], start, number, 0)
        drawn = column.quantity.quantile(u)
        outside = int(np.count_nonzero((drawn < column.low) | (drawn > column.high)))
        if outside:
            clamped[index] = outside
            drawn = np.clip(drawn, column.low, column.high)
        rows[:, index] = drawn
    return rows, clamped


def _moved_together(plan: Plan, keys: list[np.uint64], start: int, number: int) -> dict[int, Floats]:
    """Uniforms of the columns that correlations change: all but the first quantity of each group.

    Sums are written out, without matrix products, so that a draw's bits do not depend on its neighbours.
    """
    moved: dict[int, Floats] = {}
    if not plan.joined:
        return moved
    from scipy.special import ndtr, ndtri

    for joined in plan.joined:
        normal = [ndtri(chance.uniforms(keys[each[0]], start, number, 0)) for each in joined.columns]
        for columns, weights in list(zip(joined.columns, joined.factor, strict=True))[1:]:
            x = weights[0] * normal[0]
            for weight, z in zip(weights[1:], normal[1:], strict=False):
                x += weight * z
            u = np.clip(ndtr(x), 2.0**-53, 1.0 - 2.0**-53)
            moved.update(dict.fromkeys(columns, u))
    return moved


def row_by_path(columns: tuple[Column, ...], row: Floats) -> dict[tuple[str | int, ...], float]:
    """Give one value row its names back."""
    return {column.path: float(value) for column, value in zip(columns, row, strict=True)}
