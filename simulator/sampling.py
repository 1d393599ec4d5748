"""Which uniforms are Sobol points, along which axes: uncertain numbers and the largest sources of luck.

A dimension is given to each address in turn, most important first, until they run out; whatever is left is drawn at its
address as under plain sampling. Of a cohort that is referred in many blocks, the first dimension is that of its total.

Sobol points are best in few dimensions, and what decides a trigger is often a sum: of the effect and the evaluator's
bias, of a cohort's luck and that of its comparison group. Columns that move the same answers in the same proportions
share an axis: their normal quantiles are turned so that one dimension is the sum that matters, and the others what is
left of it. How much a column moves an answer is the mean of the answer's slope along the column's normal quantile,
which is their covariance (Stein's lemma). The axes are a function of the deal: neither the seed nor the structures
asked for move them, and a number that changes a little turns them a little.

References
----------
Caflisch, Morokoff and Owen (1997), "Valuation of mortgage-backed securities using Brownian bridges to reduce effective
dimension", Journal of Computational Finance 1.
Stein (1981), "Estimation of the mean of a multivariate normal distribution", Annals of Statistics 9, Lemma 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator import sobol
from simulator.chance import GAUSS_HERMITE_WEIGHTS
from simulator.outcomes import (
    AMOUNT,
    EVENTS,
    NODES,
    SCORE,
    WHOLE,
    OutcomeKeys,
    Points,
    refer_people,
    segment_share,
)
from simulator.plan import Plan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METHODS = ("plain", "sobol")
_MOST_COLUMNS = 512
_WHOLE_COUNTER = 1 << 40  # no block has this index
_STRIDE = 16  # as in outcomes: uniforms reserved for the nodes of one segment of one block
ALIKE = 0.9
"""Cosine of the influences of two columns from which they share an axis."""


class Group(NamedTuple):
    """Addresses of one kind of luck in the blocks of one cohort; the first dimension is that of their weighted sum."""

    table: str
    at: tuple[tuple[int, ...], ...]
    keys: tuple[np.uint64, ...]
    counters: tuple[int, ...]
    weights: tuple[float, ...]


class Source(NamedTuple):
    """Columns of uniforms, the first of them Sobol points, and who reads them."""

    numbers: NDArray[np.uint64]
    words: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    counters: Ints
    turns: tuple[tuple[Ints, Floats], ...]
    """Columns whose axes are turned together, and how much each counts; in this order."""
    reads: dict[int, int]
    """Which column each uncertain column of the value row reads."""
    places: Points
    """Which columns the kernels read for luck."""

    def untouched(self, start: int, number: int) -> Floats:
        """Uniforms of draws start..start+number-1 before any axes are turned, [number, columns]."""
        return sobol.points(start, number, self.numbers, self.words, self.keys, self.counters)

    def uniforms(self, start: int, number: int) -> Floats:
        """Uniforms of draws start..start+number-1, [number, columns]."""
        u = self.untouched(start, number)
        for columns, weights in self.turns:
            sobol.turn(u, columns, weights)
        return u


def source(plan: Plan, value_keys: Sequence[np.uint64], keys: OutcomeKeys, influences: Floats | None = None) -> Source:
    """Choose the columns of uniforms of a deal, and their axes.

    Parameters
    ----------
    value_keys, keys
        Keys of the value row's columns and of luck.
    influences
        [any, columns] how much each column moves each of some answers, for the columns of the source that is made
        without them; None leaves the axes of unlike columns as they are.
    """
    uncertain = [index for index, column in enumerate(plan.columns) if not column.quantity.is_fixed]
    values = list(dict.fromkeys(int(value_keys[index]) for index in uncertain))
    groups: list[Group] = []
    luck = 0
    for group in _groups(plan, keys):
        if luck + len(group.at) <= _MOST_COLUMNS:
            groups.append(group)
            luck += len(group.at)
    # values, the first of every group, and then the rest: dimensions run out in this order, unless influences are known
    firsts = [(group, 0) for group in groups]
    rest = [(group, i) for group in groups for i in range(1, len(group.at))]
    addresses = [(np.uint64(key), 0) for key in values] + [(g.keys[i], g.counters[i]) for g, i in firsts + rest]
    of_policy = {len(values) + i for i, group in enumerate(groups) if group.table == "policy"}
    if plan.hazard_at in uncertain:
        of_policy.add(values.index(int(value_keys[plan.hazard_at])))
    shared = [] if influences is None else shared_axes(influences, of_policy)
    order = [columns[0] for columns, _ in shared]
    order += [column for column in range(len(addresses)) if column not in set(order)]
    column_of = {old: new for new, old in enumerate(order)}
    turns = [
        (np.array([column_of[each] for each in columns], dtype=np.int64), weights)
        for columns, weights in shared
        if len(columns) > 1
    ]
    places = nothing(plan)
    at = {(id(group), i): column_of[len(values) + j] for j, (group, i) in enumerate(firsts + rest)}
    for group in groups:
        own = [at[id(group), i] for i in range(len(group.at))]
        for place, column in zip(group.at, own, strict=True):
            getattr(places, group.table)[place] = column
        if len(own) > 1:
            turns.append((np.array(own, dtype=np.int64), np.array(group.weights)))
    all_keys = np.array([addresses[old][0] for old in order], dtype=np.uint64)
    counters = np.array([addresses[old][1] for old in order], dtype=np.int64)
    numbers = np.ascontiguousarray(sobol.directions()[: len(order)])
    words = sobol.scrambles(all_keys[: len(numbers)], counters[: len(numbers)])
    reads = {index: column_of[values.index(int(value_keys[index]))] for index in uncertain}
    return Source(numbers, words, all_keys, counters, tuple(turns), reads, places)


def shared_axes(influences: Floats, apart: Set[int] = frozenset()) -> list[tuple[list[int], Floats]]:
    """Columns that share an axis, the axis with the largest influence first; columns without influence are left out.

    Each axis is led by the column of the largest influence that is left; all join whose influences are nearly a
    multiple of its own. They count as much as their influence along its own.

    Parameters
    ----------
    influences
        [any, columns]
    apart
        Columns that share an axis with each other at most: the time of a policy change is no sum, though it may seem
        to move answers as the effect does.
    """
    size = np.sqrt((influences * influences).sum(axis=0))
    left = [int(j) for j in np.argsort(-size, kind="stable") if size[j] > 0.0]
    found = []
    while left:
        lead = left[0]
        along = influences[:, lead] @ influences / size[lead]
        alike = [j for j in left if abs(along[j]) >= ALIKE * size[j] and (j in apart) == (lead in apart)]
        found.append((alike, along[alike]))
        left = [j for j in left if j not in alike]
    return sorted(found, key=lambda axis: -float(axis[1] @ axis[1]))


def nothing(plan: Plan) -> Points:
    """Every uniform of luck is drawn at its address."""
    size, cohorts, segments = len(plan.outcome_names), len(plan.cohort_names), plan.segments.share_at.size
    shapes = {
        "luck": (size, plan.blocks.size, segments * NODES),
        "whole": (size, cohorts),
        "size": (size, plan.blocks.size, segments),
        "between": (size, cohorts),
        "arm": (size, cohorts),
        "policy": (1,),
    }
    return Points(np.empty((0, 0)), **{name: np.full(shape, -1, np.int64) for name, shape in shapes.items()})


def _groups(plan: Plan, keys: OutcomeKeys) -> Iterator[Group]:
    """Sources of luck, those that matter most first."""
    v = plan.expected
    people = np.zeros(plan.blocks.size, np.int64)
    refer_people(v, plan.cohorts, plan.blocks, people)
    if plan.hazard_at >= 0 and v[plan.hazard_at] > 0.0:
        yield Group("policy", ((0,),), (keys.policy[0],), (0,), (1.0,))
    if not plan.people:
        luck = sorted(_luck(plan, keys, v, people), key=lambda group: -sum(each**2 for each in group.weights))
        yield from (group for group in luck if group.table != "size")
    for o, row in enumerate(plan.outcomes):
        for c in range(len(plan.cohort_names)):
            if row["arm_people_at"] >= 0:
                yield Group("arm", ((o, c),), (keys.arm[o, c],), (0,), (1.0,))
            if v[row["between_at"]] > 0.0 or (row["icc_at"] >= 0 and v[row["icc_at"]] > 0.0):
                yield Group("between", ((o, c),), (keys.between[o, c],), (0,), (1.0,))
    if not plan.people:
        yield from (group for group in luck if group.table == "size")


def _luck(plan: Plan, keys: OutcomeKeys, v: Floats, people: Ints) -> Iterator[Group]:
    """Luck of each outcome, cohort and class of people, in all blocks of the cohort."""
    segments = plan.segments.share_at.size
    nodes = NODES if v[plan.frailty_at] > 0.0 else 1
    for o, row in enumerate(plan.outcomes):
        by_class = row["kind"] not in (EVENTS, AMOUNT, SCORE)
        alone = row["parent"] < 0 and row["instead"] < 0 and v[row["trend_at"]] == 0.0 and segments * nodes == 1
        for c, cohort in enumerate(plan.cohorts):
            blocks = range(cohort["first_block"], cohort["end_block"])
            if by_class and alone and len(blocks) > 1 and people[blocks].sum() <= WHOLE // 2:
                weight = float(max(people[blocks].sum(), 1e-9)) ** 0.5
                yield Group("whole", ((o, c),), (keys.luck[o, c],), (_WHOLE_COUNTER,), (weight,))
                continue
            for s in range(segments):
                share = segment_share(v, plan.segments.share_at, s)
                for node in range(nodes if by_class else 1):
                    some = share * (GAUSS_HERMITE_WEIGHTS[node] if by_class and nodes > 1 else 1.0)
                    weights = tuple(float(max(some * people[b], 1e-9)) ** 0.5 for b in blocks)
                    index = tuple((int(plan.blocks[b]["part"]) * segments + s) * _STRIDE + node for b in blocks)
                    own = (keys.luck[o, c],) * len(index)
                    yield Group("luck", tuple((o, b, s * nodes + node) for b in blocks), own, index, weights)
                if row["kind"] == AMOUNT:
                    own = (keys.size[o, c],) * len(blocks)
                    yield Group("size", tuple((o, b, s) for b in blocks), own, index, weights)
