"""Which uniforms are Sobol points: those of the uncertain numbers, and then the largest sources of luck.

A dimension is given to each address in turn, most important first, until they run out; whatever is left is drawn at its
address as under plain sampling. Of a cohort that is referred in many blocks, the first dimension is that of its total.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


class Group(NamedTuple):
    """Addresses of one kind of luck in the blocks of one cohort; the first dimension is that of their weighted sum."""

    table: str
    at: tuple[tuple[int, ...], ...]
    keys: tuple[np.uint64, ...]
    counters: tuple[int, ...]
    weights: tuple[float, ...]


class Source(NamedTuple):
    """Columns of uniforms, the first of them Sobol points."""

    numbers: NDArray[np.uint64]
    words: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    counters: Ints
    turns: tuple[tuple[Ints, Floats], ...]

    def uniforms(self, start: int, number: int) -> Floats:
        """Uniforms of draws start..start+number-1, [number, columns]."""
        u = sobol.points(start, number, self.numbers, self.words, self.keys, self.counters)
        for columns, weights in self.turns:
            sobol.turn(u, columns, weights)
        return u


def _source(
    keys: Sequence[np.uint64], counters: Sequence[int], first: int, turns: tuple[tuple[Ints, Floats], ...] = ()
) -> Source:
    """Columns at addresses; dimensions from `first` on are theirs."""
    all_keys, all_counters = np.array(keys, dtype=np.uint64), np.array(counters, dtype=np.int64)
    numbers = np.ascontiguousarray(sobol.directions()[first : first + len(keys)])
    words = sobol.scrambles(all_keys[: len(numbers)], all_counters[: len(numbers)])
    return Source(numbers, words, all_keys, all_counters, turns)


def of_values(plan: Plan, keys: Sequence[np.uint64]) -> tuple[Source, dict[int, int]]:
    """Uniforms of the uncertain numbers, and which of their columns each column of the value row reads."""
    uncertain = [index for index, column in enumerate(plan.columns) if not column.quantity.is_fixed]
    own = list(dict.fromkeys(int(keys[index]) for index in uncertain))
    return _source([np.uint64(key) for key in own], [0] * len(own), 0), {
        index: own.index(int(keys[index])) for index in uncertain
    }


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


def of_luck(plan: Plan, keys: OutcomeKeys, used: int) -> tuple[Source, Points]:
    """Uniforms of luck that are Sobol points, after so many dimensions are used; and where the kernels find them."""
    places = nothing(plan)
    groups: list[Group] = []
    columns = 0
    if used < sobol.DIMENSIONS:
        for group in _groups(plan, keys):
            if columns + len(group.at) <= _MOST_COLUMNS:
                groups.append(group)
                columns += len(group.at)
    # the first of every group, and then the rest: dimensions run out in this order
    firsts = [(group, 0) for group in groups]
    rest = [(group, i) for group in groups for i in range(1, len(group.at))]
    order = {(id(group), i): column for column, (group, i) in enumerate(firsts + rest)}
    turns = []
    for group in groups:
        own = [order[id(group), i] for i in range(len(group.at))]
        for at, column in zip(group.at, own, strict=True):
            getattr(places, group.table)[at] = column
        if len(own) > 1:
            turns.append((np.array(own, dtype=np.int64), np.array(group.weights)))
    source = _source(
        [group.keys[i] for group, i in firsts + rest],
        [group.counters[i] for group, i in firsts + rest],
        used,
        tuple(turns),
    )
    return source, places


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
