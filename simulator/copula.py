"""Rank correlations between quantities, as a Gaussian copula.

Each quantity keeps its own distribution; only the uniforms that they are drawn from move together. For a normal copula
with correlation r, Spearman's rank correlation is ``6 / pi asin(r / 2)`` (Pearson 1907), whatever the distributions, as
long as they are continuous: where values tie (a mixture with a fixed part, a short file), it is a little weaker. Pairs
that are not stated have a correlation of 0, so that the matrix is complete.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

Ranks = Mapping[frozenset[str], float]
"""Rank correlation of each stated pair of names."""
Matrix = list[list[float]]

_LEAST_PIVOT = 1e-9  # of the factor's squared diagonal: below it a quantity is as good as given by the others


def normal_correlation(rank: float) -> float:
    """Correlation of the normal copula whose rank correlation is `rank`."""
    return 2.0 * math.sin(math.pi * rank / 6.0)


def rank_correlation(normal: float) -> float:
    """Rank correlation of a normal copula with correlation `normal`."""
    return 6.0 / math.pi * math.asin(normal / 2.0)


def groups(order: Iterable[str], ranks: Ranks) -> list[list[str]]:
    """Names that pairs with a rank other than 0 join, directly or through others; all in the order given."""
    found: list[list[str]] = []
    names = list(order)
    waiting = {name for pair, rank in ranks.items() if rank for name in pair}
    for name in names:
        if name not in waiting:
            continue
        group, edge = {name}, [name]
        while edge:
            here = edge.pop()
            joined = {other for pair, rank in ranks.items() if rank and here in pair for other in pair} - group
            group |= joined
            edge += joined
        waiting -= group
        found.append([other for other in names if other in group])
    return found


def factor(names: Sequence[str], ranks: Ranks) -> Matrix | None:
    """Lower triangular factor of the normal correlations, or None if no quantities can have such ranks.

    Plain loops in a fixed order, so that the bits do not depend on a library for matrices.
    """
    rows: Matrix = []
    for name in names:
        row: list[float] = []
        for j, other in enumerate(names[: len(rows)]):
            value = normal_correlation(ranks.get(frozenset({name, other}), 0.0))
            for k in range(j):
                value -= row[k] * rows[j][k]
            row.append(value / rows[j][j])
        rest = 1.0
        for value in row:
            rest -= value * value
        if rest < _LEAST_PIVOT:
            return None
        rows.append([*row, math.sqrt(rest)])
    return rows


def clash(names: Sequence[str], ranks: Ranks) -> list[str]:
    """Return the names whose ranks are impossible, none of which can be left out; `factor` of all of them is None."""
    kept = list(names)
    for name in names:
        fewer = [other for other in kept if other != name]
        if factor(fewer, ranks) is None:
            kept = fewer
    return kept


def possible(names: Sequence[str], ranks: Ranks, pair: frozenset[str]) -> tuple[float, float]:
    """Bounds between which the rank of one pair would make a clash possible; the other ranks stay as they are."""
    first, second = sorted(pair)
    rest = [name for name in names if name not in pair]
    above, below = factor([*rest, first], ranks), factor([*rest, second], ranks)
    if above is None or below is None:
        raise ValueError("a clash is possible without any one of its names")
    *shared, own = above[-1]
    *others, its_own = below[-1]
    middle = math.fsum(one * other for one, other in zip(shared, others, strict=True))
    return rank_correlation(middle - own * its_own), rank_correlation(middle + own * its_own)
