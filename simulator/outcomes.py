"""From parameters to outcomes: what happens to the people of one draw, and what the evaluator sees of it.

All randomness ends here. Two engines give the same distribution: totals by exact monotone inversion from one addressed
uniform each (two for amounts), at a cost that does not grow with the number of people; or person by person, where a
rule of the deal couples one person's outcomes. Arrays and named tuples in, arrays out: no names, no deals.

Axes: ``o`` outcome, ``b`` block (people of one cohort referred in one period, or the whole cohort), ``c`` cohort,
``s`` segment of unlike risk, ``k`` class of people: a segment and a node of a person's frailty, ``k = s nodes + node``.
``v`` is the draw's value row: every number of the deal is one of its columns.

A level is a mean a person (a chance, events, an amount, a score). What moves it, in this order: the segment, regression
to the mean, secular trend and common shock give the level without the service at a date; the effect, which drifts from
cohort to cohort and is diluted by those who leave, gives that with the service; and both are spread from cohort to
cohort by one uniform each. A comparison arm follows trend and shock, and has its own spread.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.chance import (
    GAUSS_HERMITE_NODES,
    GAUSS_HERMITE_WEIGHTS,
    NONE,
    ONE,
    TWO,
    beta_quantile,
    binomial_quantile,
    binomial_uniform,
    gamma_quantile,
    hypergeometric_quantile,
    negative_binomial_quantile,
    normal_quantile,
    philox,
    philox_blocks,
    poisson_quantile,
    uniform,
    uniform_of_words,
)
from simulator.compiled import inlined, inner, part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]

YES_OR_NO, EVENTS, MILESTONE, AMOUNT, SCORE = range(5)
NODES = len(GAUSS_HERMITE_NODES)
# Philox blocks reserved for a person's chain, so that adding a milestone moves no other person's luck
_SLOTS: Any = np.int64(1024)
_STRIDE = 16  # uniforms reserved for the nodes of one segment of one block
_WORDS = 2.0**32
_WORD = 1.0 / _WORDS
_MOST_ICC = 0.999
TILE = 256
"""Most people who are worked side by side, person by person."""
_LANES = 64  # and their number is filled up to a multiple of this: what is left of a vector would cost as much again
_DRAWN = 16  # but of Philox blocks, which cost more, to a multiple of this
WHOLE = 1000
"""Most people whose total may be drawn first and then split over blocks."""


OUTCOME = np.dtype(
    [
        ("kind", np.int64),
        ("better", np.float64),  # +1 more is better, -1 fewer
        ("chain", np.int64),  # people of one chain share random words
        ("slot", np.int64),  # place within the chain
        ("parent", np.int64),  # outcome that a milestone follows, or whose people alone can have this one; -1 all
        ("instead", np.int64),  # outcome that excludes this one, -1 none
        ("level_at", np.int64),  # level without the service, or the chance of a milestone
        ("first_at", np.int64),  # first milestones: chance without the service, -1 as with it
        ("effect_at", np.int64),
        ("effect_is_units", np.int64),
        ("dispersion_at", np.int64),
        ("any_at", np.int64),  # amounts: chance of any
        ("spread_at", np.int64),  # amounts among those with any, scores: standard deviation between people
        ("before_at", np.int64),  # level before the service, -1 not measured
        ("normal_at", np.int64),  # level to which people return by themselves
        ("persistence_at", np.int64),  # correlation between before and after
        ("trend_at", np.int64),
        ("shock_at", np.int64),
        ("between_at", np.int64),  # relative standard deviation between cohorts
        ("cluster_size_at", np.int64),
        ("icc_at", np.int64),
        ("explained_at", np.int64),
        ("learning_at", np.int64),
        ("after_at", np.int64),  # months after referral, or after the milestone before
        ("delay_at", np.int64),
        ("missing_at", np.int64),
        ("mistaken_at", np.int64),
        ("baseline_at", np.int64),
        ("resets_every_at", np.int64),
        ("resets_share_at", np.int64),
        ("arm_people_at", np.int64),
        ("arm_is_ratio", np.int64),
        ("arm_share_at", np.int64),
        ("arm_bias_at", np.int64),
    ]
)
"""An outcome; ``*_at`` are columns of the value row, -1 where there is none, in all row types."""

COHORT = np.dtype(
    [
        ("people_at", np.int64),
        ("referrals_at", np.int64),
        ("attrition_at", np.int64),
        ("claim", np.int64),  # last period in which an outcome counts
        ("years", np.float64),  # from the start of the deal to the middle of its referrals
        ("begins", np.float64),  # and to the first of them
        ("number", np.int64),  # of cohorts whose referrals begin earlier
        ("first_block", np.int64),
        ("end_block", np.int64),
        ("fails_at", np.int64),  # time from the start of service after which the provider fails, -1: it never does
        ("gap_at", np.int64),
        ("serves_from", np.int64),  # first period of service
        ("step", np.float64),  # months of a period
    ]
)
BLOCK = np.dtype(
    [
        ("cohort", np.int64),
        ("first", np.int64),  # first period of referral, from 1
        ("last", np.int64),  # last period of referral
        ("reach", np.int64),  # period that service must reach for the block to count
        ("part", np.int64),  # position within its cohort
        ("parts", np.int64),  # number of blocks of its cohort
        ("years", np.float64),  # from the start of the deal to the middle of its referrals
    ]
)
"""People of one cohort referred in one period, or the whole cohort."""


class Segments(NamedTuple):
    """People of unlike risk; one segment of everybody where the deal names none. Columns of the value row, -1 for 1."""

    share_at: Ints  # [S] -1 what the others leave
    level_at: Ints  # [S, O] relative level without the service
    effect_at: Ints  # [S, O] relative effect


class OutcomeKeys(NamedTuple):
    """Keys of the addressed uniforms."""

    luck: Keys  # [O, C]
    size: Keys  # [O, C] size of amounts
    before: Keys  # [O, C] levels before the service
    between: Keys  # [O, C] spread between cohorts
    evidence: Keys  # [O, C]
    arm: Keys  # [O, C]
    chain: Keys  # [chains, C] person by person
    proof: Keys  # [chains, C] person by person, evidence: other words of the same blocks, unless replicates differ
    person: Keys  # [C] class of a person
    policy: Keys  # [1]


class Points(NamedTuple):
    """Uniforms that are not drawn at their addresses: the largest sources of luck, under Sobol sampling."""

    u: Floats  # [draws, any]
    luck: Ints  # [O, B, K] column of u, -1 drawn at its address, in all these tables
    whole: Ints  # [O, C] total of the blocks that are in time, to be split over them
    size: Ints  # [O, B, S]
    between: Ints  # [O, C]
    arm: Ints  # [O, C]
    policy: Ints  # [1]


@inlined
def _drawn(u: Floats, d: int, column: int, key: int, draw: int, index: int) -> float:
    return u[d, column] if column >= 0 else uniform(key, draw, index)


TRUE, WITHOUT, VERIFIED, ADDITIONAL, BEFORE = range(5)
COUNTS = 5
ARM_TOTAL, ARM_PEOPLE, BASELINE = range(3)
ARMS = 3


class Outcomes(NamedTuple):
    """One draw's outcomes; filled in place. With a leading axis of draws, those of many."""

    people: Ints  # [B] people referred
    when: Ints  # [O, B] period in which an outcome of the block is known
    counts: Floats  # [O, B, COUNTS] totals: true with the service; the same people without it; verified and in time;
    # how much of the additional (positive when good) is in time and expected to be verified; and before the service
    arms: Floats  # [O, C, ARMS] total in the comparison arm, its effective size, and the contract's baseline in force


class Tile(NamedTuple):
    """Scratch of a few people of one block who are worked side by side, person by person."""

    words: Words  # [4, TILE] a Philox block of each person: luck and evidence of one outcome, and of the next
    proof: Words  # [4, TILE] evidence, where its replicate differs from that of luck
    chance_of: Floats  # [TILE] scratch
    class_of: Words  # [TILE]
    shown: Bytes  # [TILE] 1 for whom the outcome at hand is verified
    limit_of: Words  # [2, TILE] word below which a person has the outcome at hand, with the service and without it
    has: Bytes  # [O + 2, 2 TILE] 1 for who has an outcome, then for who would without the service; everybody; nobody
    able: Flags  # [2, TILE] whether a person can have the outcome at hand, with the service and without it
    limit: Words  # [O, 2, K] word below which a person of a class has the outcome, with the service and without it
    limits: Ints  # [O] ALIKE with the service and without it, UNLIKE, or NO_LIMITS


class Chances(NamedTuple):
    """Scratch of one draw: levels by segment, chances of yes/no outcomes and milestones by class, counts by class."""

    weight: Floats  # [K]
    level: Floats  # [B, O, S, 2] mean a person without and with the service
    fresh: NDArray[np.bool_]  # [B] whether any level of a block that is a chance differs from the block before
    known: Floats  # [O, 3] quantile of a cohort among cohorts; shape of the gamma law asked for last, and its quantile
    served: Floats  # [O, K] given the step before (and not the one excluded)
    unserved: Floats  # [O, K]
    survival: Floats  # [O, K, 2] chance of having come so far, without and with the service
    eligible: Floats  # [K]
    tilt: Floats  # [NODES] relative odds against an outcome at a node of frailty
    with_k: Floats  # [O, K] people with the outcome, with the service
    without_k: Floats  # [O, K] and without it
    heads: Ints  # [K] people
    months: Floats  # [O] from referral to the outcome
    left: Ints  # [O, 2] people in time whose outcomes are not yet split over blocks; and those with the outcome
    tile: Any  # Tile; None where nobody is drawn alone, or its arrays would be handed on for nothing


def new_chances(outcomes: int, segments: int, blocks: int, people: bool) -> Chances:
    """Allocate the scratch of one draw."""
    classes = segments * NODES
    tile = None
    if people:
        tile = Tile(
            np.zeros((4, TILE), np.uint32),
            np.zeros((4, TILE), np.uint32),
            np.zeros(TILE),
            np.zeros(TILE, np.uint32),
            np.zeros(TILE, np.uint8),
            np.zeros((2, TILE), np.uint32),
            np.zeros((outcomes + 2, 2 * TILE), np.uint8),
            np.zeros((2, TILE), np.bool_),
            np.zeros((outcomes, 2, classes), np.uint32),
            np.zeros(outcomes, np.int64),
        )
    return Chances(
        np.zeros(classes),
        np.zeros((blocks, outcomes, segments, 2)),
        np.zeros(blocks, np.bool_),
        np.zeros((outcomes, 3)),
        np.zeros((outcomes, classes)),
        np.zeros((outcomes, classes)),
        np.zeros((outcomes, classes, 2)),
        np.zeros(classes),
        np.zeros(NODES),
        np.zeros((outcomes, classes)),
        np.zeros((outcomes, classes)),
        np.zeros(classes, np.int64),
        np.zeros(outcomes),
        np.zeros((outcomes, 2), np.int64),
        tile,
    )


@inner
def refer_people(v: Floats, cohorts: Any, blocks: Any, people: Ints) -> None:
    """Fill `people` [B]: planned people x turnout, rounded half up, referred evenly over the window in whole people.

    By the end of the j-th of P periods, floor(n j / P) of n people have been referred.
    """
    for c in range(cohorts.size):
        cohort = cohorts[c]
        n = math.floor(v[cohort.people_at] * v[cohort.referrals_at] + 0.5)
        parts = max(1, cohort.end_block - cohort.first_block)
        each, rest, carried = n // parts, n % parts, 0
        for b in range(cohort.first_block, cohort.end_block):
            carried += rest
            people[b] = each + (carried >= parts)
            if carried >= parts:
                carried -= parts
        if cohort.fails_at >= 0:
            gap = without_provider(v, cohort.fails_at, cohort.gap_at, cohort.serves_from, cohort.step)
            for b in range(cohort.first_block, cohort.end_block):
                if gap[0] <= blocks[b].first <= gap[1]:
                    people[b] = 0


@inner
def refer_all(values: Floats, cohorts: Any, blocks: Any, people: Ints) -> int:
    """Fill `people` [draws, B]; return the most people of a draw."""
    most = 0
    for d in range(values.shape[0]):
        refer_people(values[d], cohorts, blocks, people[d])
        most = max(most, people[d].sum())
    return most


@inlined
def without_provider(v: Floats, fails_at: int, gap_at: int, first: int, step: float) -> tuple[int, int]:
    """First and last period without a provider, who fails in a period of service that still counts as served.

    `first` is the first period of service, `step` the months of a period.
    """
    fails = first + int(v[fails_at] / step)
    return fails + 1, fails + math.ceil(v[gap_at] / step - 1e-9)


@inlined
def lag_periods(months: float, months_a_step: float) -> int:
    """Periods from referral to an outcome `months` later, for people referred on average in mid-period."""
    return max(0, math.ceil(months / months_a_step - 0.5 - 1e-9))


@inner
def date_outcomes(v: Floats, table: Any, blocks: Any, step: float, months: Floats, when: Ints) -> None:
    """Fill `when` [O, B]: the period in which an outcome of the last referred of a block is known.

    A milestone is counted from the one before; an outcome of those who had another is not known before that one.
    """
    for o in range(table.size):
        row = table[o]
        months[o] = v[row.after_at]
        if row.kind == MILESTONE and row.parent >= 0:
            months[o] += months[row.parent]
        else:
            months[o] += v[row.delay_at]
            if row.parent >= 0:
                months[o] = max(months[o], months[row.parent])
        lag = lag_periods(months[o], step)
        for b in range(blocks.size):
            when[o, b] = blocks[b].last + lag


@inlined
def _clip(p: float) -> float:
    return min(max(p, 0.0), 1.0)


@inlined
def _grown(rate: float, times: float) -> float:
    return 1.0 if rate == 0.0 else (1.0 + rate) ** times


@inlined
def _moved(v: Floats, row: Any, level: float, years: float, relative: float) -> float:
    """Level of a segment at a date: scores move by units, everything else by shares of the level."""
    trend, shock = v[row.trend_at], v[row.shock_at]
    if row.kind == SCORE:
        return level * relative + trend * years + shock
    return max(0.0, level * relative * _grown(trend, years) * (1.0 + shock))


@inlined
def _level_without(v: Floats, row: Any, years: float, relative: float) -> float:
    """Level without the service of a segment at a date, before any spread between cohorts.

    People whose level before was unlike what is normal for them return towards it: with a correlation r between before
    and after, by (1 - r)(normal - before) (Galton; Campbell and Kenny, A Primer on Regression Artifacts, 1999).
    """
    level = v[row.level_at]
    if row.kind == MILESTONE:
        if row.parent >= 0:
            return level
        if row.first_at >= 0:
            level = v[row.first_at]
    elif row.before_at >= 0 and row.normal_at >= 0:
        level += (1.0 - v[row.persistence_at]) * (v[row.normal_at] - v[row.before_at])
    return _moved(v, row, level, years, relative)


@inlined
def _level_with(v: Floats, row: Any, without: float, years: float, relative: float, part: float) -> float:
    """Level with the service; `part` is how much of the effect there is for this cohort and segment."""
    if row.kind == MILESTONE:
        if row.parent >= 0:
            return v[row.level_at]
        served = _moved(v, row, v[row.level_at], years, relative)
        return served if part == 1.0 or row.first_at < 0 else max(0.0, without + part * (served - without))
    effect = v[row.effect_at]
    if part != 1.0:
        effect *= part
    served = without + effect if row.effect_is_units else without * (1.0 + effect)
    return served if row.kind == SCORE else max(0.0, served)


@inlined
def _design_effect(v: Floats, row: Any, people: float) -> float:
    """What clusters add to the variance of a mean of so many people, as a share of it: (m - 1) icc (1 - R2).

    Kish's design effect less 1 (Donner and Klar, Design and Analysis of Cluster Randomization Trials, 2000, chapter 1).
    """
    icc = v[row.icc_at] if row.icc_at >= 0 else 0.0
    if icc <= 0.0:
        return 0.0
    return max(0.0, min(v[row.cluster_size_at], people) - 1.0) * icc * (1.0 - v[row.explained_at])


@inlined
def _spread(v: Floats, row: Any, level: float, people: float, known: Floats) -> float:
    """Level of a cohort of so many people, given its quantile among cohorts (`known`); its mean is the level given.

    Chances spread as a beta law, so that totals are beta-binomial; events and amounts by a gamma factor; scores by a
    normal shift. The variance of the total is what unlike cohorts and clusters make of it, exactly.
    """
    u, between = known[0], v[row.between_at]
    extra = _design_effect(v, row, people)
    if people <= 0.0 or (between <= 0.0 and extra <= 0.0):
        return level
    if row.kind == SCORE:
        return level + v[row.spread_at] * math.sqrt(between * between + extra / people) * normal_quantile(u)
    if level <= 0.0:
        return level
    if row.kind in (YES_OR_NO, MILESTONE):
        if level >= 1.0:
            return level
        icc = between * between * level / (1.0 - level) + extra / max(people - 1.0, 1.0)
        return beta_quantile(u, level, min(icc, _MOST_ICC))
    variance = between * between
    if extra > 0.0:
        variance += _common_to_clusters(v, row, level, people, extra)
    if known[1] != 1.0 / variance:  # the same for all blocks of a cohort, with the service and without it
        known[1] = 1.0 / variance
        known[2] = gamma_quantile(u, known[1])
    return level * variance * known[2]


@part
def _common_to_clusters(v: Floats, row: Any, level: float, people: float, extra: float) -> float:
    """Variance of a factor of events or amounts that all have in common, and that adds what clusters add to a total."""
    # the variance of one person, and what a common factor of variance 1 adds to that of the total
    if row.kind == EVENTS:
        inverse = 0.0 if row.dispersion_at < 0 else 1.0 / v[row.dispersion_at]
        one = level + level * level * inverse
        factor = people * level * level * (people + inverse)
    else:
        one = level * level * _relative_variance(v, row)
        factor = people * (one + people * level * level)
    return people * one * extra / factor


@inlined
def _spread_at(v: Floats, row: Any) -> float:
    """Level at which the spread of an amount is stated: without the service, or where there is none then, with it."""
    return v[row.level_at] if v[row.level_at] > 0.0 else v[row.effect_at]


@inlined
def _relative_variance(v: Floats, row: Any) -> float:
    """Variance of one person's amount over the square of its mean: ((1 + cv2) / any) - 1."""
    share = v[row.any_at]
    mean = _spread_at(v, row) / share
    cv = v[row.spread_at] / mean if mean > 0.0 else 0.0
    return (1.0 + cv * cv) / share - 1.0


@inlined
def _varies(v: Floats, row: Any) -> bool:
    return bool(v[row.between_at] > 0.0 or (row.icc_at >= 0 and v[row.icc_at] > 0.0))


@part
def _spreads(v: Floats, row: Any) -> bool:
    """Whether the levels of cohorts are spread; later steps of a chain have no level of their own."""
    return _varies(v, row) and not (row.kind == MILESTONE and row.parent >= 0)


@inlined
def _know(u: float, known: Floats) -> None:
    """Set the quantile of a cohort among cohorts, and forget what was found at another."""
    known[0], known[1] = u, -1.0


STILL, BY_COHORT, BY_BLOCK = range(3)


@inlined
def _moves(v: Floats, table: Any, cohorts: Any) -> int:
    """Whether levels differ from cohort to cohort or even from block to block; they are filled no oftener."""
    moves = STILL
    for c in range(1, cohorts.size):
        if v[cohorts[c].attrition_at] != v[cohorts[0].attrition_at]:
            moves = BY_COHORT
    for o in range(table.size):
        row = table[o]
        if v[row.trend_at] != 0.0:
            return BY_BLOCK
        if v[row.learning_at] != 0.0 or _varies(v, row):
            moves = BY_COHORT
    return moves


@inner
def segment_share(v: Floats, share_at: Ints, s: int) -> float:
    """Share of the people who are of a segment; one segment is what the others leave."""
    if share_at[s] >= 0:
        return _clip(v[share_at[s]])
    rest = 1.0
    for other in range(share_at.size):
        if share_at[other] >= 0:
            rest -= _clip(v[share_at[other]])
    return max(0.0, rest)


@inlined
def fill_levels(
    v: Floats,
    table: Any,
    segments: Segments,
    cohorts: Any,
    blocks: Any,
    people_of: Ints,
    between: Keys,
    points: Points,
    d: int,
    draw: int,
    chances: Chances,
) -> None:
    """Fill the levels [B, O, S, 2] of the people of each block, and which blocks have any new chance."""
    level, fresh, known = chances.level, chances.fresh, chances.known
    moves = _moves(v, table, cohorts)
    people = 0.0
    for b in range(blocks.size):
        c = blocks[b].cohort
        if blocks[b].part == 0:
            people = 0.0
            for other in range(cohorts[c].first_block, cohorts[c].end_block):
                people += people_of[other]
            for o in range(table.size):
                if _spreads(v, table[o]):
                    _know(_drawn(points.u, d, points.between[o, c], between[o, c], draw, NONE), known[o])
        fresh[b] = b == 0
        new = b == 0 or moves == BY_BLOCK or (moves == BY_COHORT and blocks[b].part == 0)
        if new:
            stay = 1.0 - v[cohorts[c].attrition_at]
            _levels_of_block(
                v,
                table,
                segments.level_at,
                segments.effect_at,
                cohorts[c].number,
                stay,
                blocks[b].years,
                people,
                known,
                level[b],
            )
        for o in range(table.size):
            is_chance = table[o].kind in (YES_OR_NO, MILESTONE)
            for s in range(level.shape[2]):
                if not new:
                    level[b, o, s, 0] = level[b - 1, o, s, 0]
                    level[b, o, s, 1] = level[b - 1, o, s, 1]
                elif b > 0 and is_chance:
                    same = level[b, o, s, 0] == level[b - 1, o, s, 0] and level[b, o, s, 1] == level[b - 1, o, s, 1]
                    fresh[b] = fresh[b] or not same


@inlined
def _levels_of_block(
    v: Floats,
    table: Any,
    level_at: Ints,
    effect_at: Ints,
    number: int,
    stay: float,
    years: float,
    people: float,
    known: Floats,
    level: Floats,
) -> None:
    """Fill the levels [O, S, 2] of people referred at a date; `stay` is the share of them who do not leave."""
    for o in range(table.size):
        row = table[o]
        spread = _spreads(v, row)
        for s in range(level_at.shape[0]):
            relative = v[level_at[s, o]] if level_at[s, o] >= 0 else 1.0
            part = stay * _grown(v[row.learning_at], float(number))
            if effect_at[s, o] >= 0:
                part *= v[effect_at[s, o]]
            without = _level_without(v, row, years, relative)
            served = _level_with(v, row, without, years, relative, part)
            if spread:
                without, served = _spread(v, row, without, people, known[o]), _spread(v, row, served, people, known[o])
            level[o, s, 0] = without
            level[o, s, 1] = served


@part
def _node_chances(
    chance: float, sigma: float, tilt: Floats, eligible: Floats, low: int, high: int, out: Floats
) -> None:
    """Spread a chance over the nodes of frailty so that its mean over the eligible stays what the file says.

    logit p_k = a + sigma z_k, with a such that sum_k e_k p_k = chance sum_k e_k (Newton inside a bracket), over the
    classes low..high-1 of one segment. `tilt` [NODES] is exp(-sigma z_k).
    """
    total = 0.0
    for k in range(low, high):
        total += eligible[k]
    if chance <= 0.0 or chance >= 1.0 or sigma == 0.0 or total <= 0.0:
        for k in range(low, high):
            out[k] = chance
        return
    below, above = -60.0, 60.0
    a = math.log(chance / (1.0 - chance)) * math.sqrt(1.0 + 0.346 * sigma * sigma)
    for _ in range(100):
        value = 0.0
        slope = 0.0
        against = math.exp(-a)
        for k in range(low, high):  # apart from the sums: the compiler can divide for many at once
            out[k] = 1.0 / (1.0 + against * tilt[k - low])
        for k in range(low, high):
            value += eligible[k] * out[k]
            slope += eligible[k] * out[k] * (1.0 - out[k])
        gap = value / total - chance
        if abs(gap) < 1e-14:
            return
        if gap > 0.0:
            above = a
        else:
            below = a
        moved = a - gap * total / slope if slope > 0.0 else 0.5 * (below + above)
        moved = moved if below < moved < above else 0.5 * (below + above)
        if moved == a:
            return
        a = moved


@inlined
def fill_weights(v: Floats, share_at: Ints, frailty_at: int, weight: Floats) -> int:
    """Fill the weights of the classes; return the number of nodes of a segment (1 without frailty)."""
    nodes = NODES if v[frailty_at] > 0.0 else 1
    weight[:] = 0.0
    for s in range(share_at.size):
        share = segment_share(v, share_at, s)
        for node in range(nodes):
            weight[s * nodes + node] = share * (GAUSS_HERMITE_WEIGHTS[node] if nodes > 1 else 1.0)
    return nodes


@inlined
def fill_chances(v: Floats, table: Any, frailty_at: int, chances: Chances, level: Floats, nodes: int) -> None:
    """Fill the chances by class from the levels [O, S, 2] of a block.

    The latent correlation rho of a logistic random intercept gives sigma^2 = rho / (1 - rho) pi^2 / 3 (Snijders and
    Bosker, Multilevel Analysis, 2nd ed., section 17.3). Without the service only the chance of first steps differs.
    """
    eligible, weight, survival = chances.eligible, chances.weight, chances.survival
    served, unserved = chances.served, chances.unserved
    rho = v[frailty_at]
    sigma = math.sqrt(rho / (1.0 - rho)) * math.pi / math.sqrt(3.0)
    for node in range(NODES if nodes > 1 else 0):
        chances.tilt[node] = math.exp(-sigma * GAUSS_HERMITE_NODES[node])
    number = level.shape[1]
    for o in range(table.size):
        row = table[o]
        if row.kind not in (YES_OR_NO, MILESTONE):
            continue
        for arm in range(2):  # with the service, then without it
            side = 1 - arm
            chance = served if side == 1 else unserved
            for k in range(number * nodes):
                eligible[k] = weight[k] if row.parent < 0 else survival[row.parent, k, side]
                if row.instead >= 0:
                    eligible[k] *= 1.0 - chance[row.instead, k]
            alike = side == 0 and row.kind == MILESTONE and (row.parent >= 0 or row.first_at < 0)
            for s in range(number):
                low, high = s * nodes, (s + 1) * nodes
                if alike:
                    for k in range(low, high):
                        chance[o, k] = served[o, k]
                else:
                    _node_chances(_clip(level[o, s, side]), sigma, chances.tilt, eligible, low, high, chance[o])
            for k in range(number * nodes):
                survival[o, k, side] = eligible[k] * chance[o, k]


@inlined
def fill_arms(
    v: Floats,
    table: Any,
    segments: Segments,
    cohorts: Any,
    keys: OutcomeKeys,
    points: Points,
    d: int,
    draw: int,
    chances: Chances,
    out: Outcomes,
) -> None:
    """Fill the comparison arms: effective size, and outcomes among them at the biased counterfactual level.

    And the contract's baseline in force for each cohort: it does not follow trend or shock, but where it re-sets, a
    share of the gap to the true level of that date is made good.
    """
    people_of, arms, arm_keys, arm_points, drawn = out.people, out.arms, keys.arm, points.arm, points.u
    share_at, level_at, known = segments.share_at, segments.level_at, chances.known
    for o in range(table.size):
        row = table[o]
        for c in range(cohorts.size):
            if row.baseline_at >= 0:
                arms[o, c, BASELINE] = _baseline(v, row, share_at, level_at, o, cohorts[c].begins)
            if row.arm_people_at < 0:
                continue
            people = 0
            for b in range(cohorts[c].first_block, cohorts[c].end_block):
                people += people_of[b]
            size = v[row.arm_people_at] * (people if row.arm_is_ratio else 1.0)
            effective = math.floor(size * v[row.arm_share_at] + 0.5)
            level = _mixed_level(v, row, share_at, level_at, o, cohorts[c].years) * (1.0 + v[row.arm_bias_at])
            if _varies(v, row) and effective > 0:
                _know(uniform(arm_keys[o, c], draw, ONE), known[o])
                level = _spread(v, row, level, float(effective), known[o])
            arms[o, c, ARM_PEOPLE] = effective
            u, w = _drawn(drawn, d, arm_points[o, c], arm_keys[o, c], draw, NONE), 0.5
            if row.kind == AMOUNT:
                w = uniform(arm_keys[o, c], draw, TWO)
            arms[o, c, ARM_TOTAL] = _total(u, w, float(effective), level, v, row)


@inlined
def _mixed_level(v: Floats, row: Any, share_at: Ints, level_at: Ints, o: int, years: float) -> float:
    """Level without the service at a date, over all segments."""
    if share_at.size == 1:
        return _level_without(v, row, years, 1.0)
    level = 0.0
    for s in range(share_at.size):
        relative = v[level_at[s, o]] if level_at[s, o] >= 0 else 1.0
        level += segment_share(v, share_at, s) * _level_without(v, row, years, relative)
    return level


@inlined
def _baseline(v: Floats, row: Any, share_at: Ints, level_at: Ints, o: int, begins: float) -> float:
    """Baseline for people whose referral begins so many years after the start of the deal."""
    baseline = v[row.baseline_at]
    share = v[row.resets_share_at] if row.resets_share_at >= 0 else 0.0
    if share > 0.0:
        every = v[row.resets_every_at] / 12.0
        for j in range(1, int(begins / every + 1e-9) + 1):
            baseline += share * (_mixed_level(v, row, share_at, level_at, o, j * every) - baseline)
    return baseline


@inlined
def _total(u: float, w: float, people: float, level: float, v: Floats, row: Any) -> float:
    """Total of an outcome among so many people at a level: one uniform, and a second one for the size of amounts."""
    if people <= 0.0 or (level <= 0.0 and row.kind != SCORE):
        return 0.0
    if row.kind == EVENTS:
        if row.dispersion_at < 0:
            return float(poisson_quantile(u, people * level))
        return float(negative_binomial_quantile(u, people * v[row.dispersion_at], people * level))
    if row.kind == SCORE:
        return people * level + v[row.spread_at] * math.sqrt(people) * normal_quantile(u)
    if row.kind == AMOUNT:
        share = v[row.any_at]
        some = people if share >= 1.0 else float(binomial_quantile(u, int(people), share))
        return _amount(w, some, level / share, v, row) if some > 0.0 else 0.0
    return float(binomial_quantile(u, int(people), _clip(level)))


@inlined
def _both_totals(
    u: float, w: float, served: float, unserved: float, level_with: float, level_without: float, v: Floats, row: Any
) -> tuple[float, float]:
    """Totals with and without the service; amounts of the same people differ by their mean alone."""
    if row.kind != AMOUNT or unserved != served or served <= 0.0:
        return _total(u, w, served, level_with, v, row), _total(u, w, unserved, level_without, v, row)
    share = v[row.any_at]
    some = served if share >= 1.0 else float(binomial_quantile(u, int(served), share))
    if some <= 0.0:
        return 0.0, 0.0
    drawn, shape = _drawn_amount(w, some, v, row)
    true = drawn * (level_with / share) / shape if level_with > 0.0 else 0.0
    without = drawn * (level_without / share) / shape if level_without > 0.0 else 0.0
    return true, without


@inlined
def _amount(w: float, some: float, mean: float, v: Floats, row: Any) -> float:
    """Total amount of people who have any, gamma with the mean given: the spread moves with the mean."""
    drawn, shape = _drawn_amount(w, some, v, row)
    return drawn * mean / shape


@inlined
def _drawn_amount(w: float, some: float, v: Floats, row: Any) -> tuple[float, float]:
    """Total of so many people in units of a person's scale, and the shape of a person's gamma law."""
    planned = _spread_at(v, row) / v[row.any_at]
    if v[row.spread_at] <= 0.0 or planned <= 0.0:
        return some, 1.0
    shape = (planned / v[row.spread_at]) ** 2
    return gamma_quantile(w, some * shape), shape


@inlined
def _accept(v: Floats, row: Any, key: int, draw: int, part: int, true: float, pool: float) -> float:
    """Verified outcomes of a block: true ones with evidence, and mistaken ones among the rest of the pool.

    Of an amount, the people with evidence bring their part of the whole.
    """
    missing, mistaken = v[row.missing_at], v[row.mistaken_at]
    accepted = true
    if missing > 0.0:
        u = uniform(key, draw, 2 * part)
        if row.kind == AMOUNT:
            accepted = true * binomial_quantile(u, int(pool), 1.0 - missing) / pool if pool > 0.0 else 0.0
        else:
            accepted = float(binomial_quantile(u, int(true), 1.0 - missing))
    if mistaken > 0.0:
        u = uniform(key, draw, 2 * part + 1)
        if row.kind == EVENTS:
            accepted += poisson_quantile(u, pool * mistaken)
        else:
            accepted += binomial_quantile(u, int(pool - true), mistaken)
    return accepted


@inlined
def draw_totals(
    v: Floats,
    table: Any,
    segments: Segments,
    cohorts: Any,
    blocks: Any,
    keys: OutcomeKeys,
    points: Points,
    d: int,
    draw: int,
    frailty_at: int,
    chances: Chances,
    out: Outcomes,
) -> None:
    """Fill the outcomes of one draw by totals: one uniform for each outcome, block and class (two for amounts)."""
    size, number = table.size, segments.share_at.size
    with_k, without_k, heads = chances.with_k, chances.without_k, chances.heads
    served_chance, unserved_chance, level = chances.served, chances.unserved, chances.level
    people_of, when, counts = out.people, out.when, out.counts
    luck, sizes, befores, evidence, person = keys.luck, keys.size, keys.before, keys.evidence, keys.person
    share_at, level_at, fresh = segments.share_at, segments.level_at, chances.fresh
    drawn, luck_points, size_points, whole_points = points.u, points.luck, points.size, points.whole
    left = chances.left
    nodes = fill_weights(v, share_at, frailty_at, chances.weight)
    for b in range(blocks.size):
        c, part, people = blocks[b].cohort, blocks[b].part, people_of[b]
        if fresh[b]:
            fill_chances(v, table, frailty_at, chances, level[b], nodes)
        _split_by_class(people, chances.weight, number, nodes, person[c], draw, part, heads)
        for o in range(size):
            row = table[o]
            true = 0.0
            without = 0.0
            pool = 0.0
            before = 0.0
            for s in range(number):
                at = (part * number + s) * _STRIDE
                if whole_points[o, c] >= 0 and part == 0:
                    u = drawn[d, whole_points[o, c]]
                    _draw_whole(u, served_chance[o, 0], o, cohorts[c], people_of, when, fresh, left[o])
                if whole_points[o, c] >= 0 and left[o, 0] > 0 and when[o, b] <= cohorts[c].claim:
                    p, q = served_chance[o, 0], unserved_chance[o, 0]
                    w0, w1, w2, w3 = philox(luck[o, c], draw, at)
                    some = hypergeometric_quantile(uniform_of_words(w0, w1), people, left[o, 1], left[o, 0])
                    with_k[o, 0] = some
                    without_k[o, 0] = some
                    if q != p:
                        # each block's counts with and without are of one uniform: here it lies where the former says
                        u = binomial_uniform(uniform_of_words(w2, w3), some, people, p)
                        without_k[o, 0] = binomial_quantile(u, people, q)
                    left[o, 0] -= people
                    left[o, 1] -= int(with_k[o, 0])
                    true += with_k[o, 0]
                    without += without_k[o, 0]
                    pool += people
                elif row.kind in (YES_OR_NO, MILESTONE):
                    for node in range(nodes):
                        k = s * nodes + node
                        served = float(heads[k])
                        unserved = served
                        if row.parent >= 0:
                            served = with_k[row.parent, k]
                            unserved = without_k[row.parent, k]
                        if row.instead >= 0:
                            served -= with_k[row.instead, k]
                            unserved -= without_k[row.instead, k]
                        u = _drawn(drawn, d, luck_points[o, b, k], luck[o, c], draw, at + node)
                        p, q = served_chance[o, k], unserved_chance[o, k]
                        with_k[o, k] = binomial_quantile(u, int(served), p)
                        if unserved == served and q == p:
                            without_k[o, k] = with_k[o, k]
                        else:
                            without_k[o, k] = binomial_quantile(u, int(unserved), q)
                        true += with_k[o, k]
                        without += without_k[o, k]
                        pool += served
                else:
                    served = 0.0
                    unserved = 0.0
                    for k in range(s * nodes, (s + 1) * nodes):
                        served += heads[k] if row.parent < 0 else with_k[row.parent, k]
                        unserved += heads[k] if row.parent < 0 else without_k[row.parent, k]
                    u = _drawn(drawn, d, luck_points[o, b, s * nodes], luck[o, c], draw, at)
                    w = 0.5
                    if row.kind == AMOUNT:
                        w = _drawn(drawn, d, size_points[o, b, s], sizes[o, c], draw, at)
                    if row.kind == SCORE and row.before_at >= 0:
                        u = _after(v, row, u, uniform(befores[o, c], draw, at))
                    one, other = _both_totals(u, w, served, unserved, level[b, o, s, 1], level[b, o, s, 0], v, row)
                    true += one
                    without += other
                    pool += served
                if row.before_at >= 0:
                    relative = v[level_at[s, o]] if level_at[s, o] >= 0 else 1.0
                    those = 0.0
                    for k in range(s * nodes, (s + 1) * nodes):
                        those += heads[k]
                    u = uniform(befores[o, c], draw, at)
                    w = uniform(befores[o, c], draw, at + 1) if row.kind == AMOUNT else 0.5
                    before += _total(u, w, those, v[row.before_at] * relative, v, row)
            counts[o, b, TRUE] = true
            counts[o, b, WITHOUT] = without
            counts[o, b, BEFORE] = before
            accepted = 0.0
            if when[o, b] <= cohorts[c].claim:
                accepted = _accept(v, row, evidence[o, c], draw, part, true, pool)
            counts[o, b, VERIFIED] = accepted
    _count_additional(v, table, cohorts, blocks, when, counts)


@inlined
def _draw_whole(u: float, p: float, o: int, cohort: Any, people_of: Ints, when: Ints, fresh: Any, left: Ints) -> None:
    """Draw the total of a cohort's blocks that are in time, with the service, from one uniform.

    Only where all its blocks have the same chance and few people: else nothing is left to split.
    """
    left[:] = 0
    for b in range(cohort.first_block, cohort.end_block):
        if b > cohort.first_block and fresh[b]:
            left[0] = 0
            return
        if when[o, b] <= cohort.claim:
            left[0] += people_of[b]
    if left[0] > WHOLE:
        left[0] = 0
        return
    left[1] = binomial_quantile(u, left[0], p)


@inlined
def _after(v: Floats, row: Any, u: float, before: float) -> float:
    """Quantile of a score after, given its own luck and its quantile before: bivariate normal."""
    r = v[row.persistence_at]
    return _normal_cdf(r * normal_quantile(before) + math.sqrt(max(0.0, 1.0 - r * r)) * normal_quantile(u))


@inlined
def _normal_cdf(x: float) -> float:
    return min(max(0.5 * math.erfc(-x / math.sqrt(2.0)), 2.0**-60), 1.0 - 2.0**-53)


@inlined
def _split_by_class(
    people: int, weight: Floats, number: int, nodes: int, key: int, draw: int, part: int, heads: Ints
) -> None:
    """Split people over the classes: a multinomial as a chain of binomials."""
    left = people
    mass = 1.0
    last = number * nodes - 1
    for k in range(last):
        at = (part * number + k // nodes) * _STRIDE + k % nodes
        heads[k] = binomial_quantile(uniform(key, draw, at), left, _clip(weight[k] / mass) if mass > 0.0 else 1.0)
        left -= heads[k]
        mass -= weight[k]
    heads[last] = left


@part
def draw_people(
    v: Floats,
    table: Any,
    segments: Segments,
    cohorts: Any,
    blocks: Any,
    keys: OutcomeKeys,
    draw: int,
    frailty_at: int,
    chances: Chances,
    out: Outcomes,
    records: Any,
) -> None:
    """Fill the outcomes of one draw person by person, and `records` [O, people] of what was verified for each.

    People stand in order of referral, cohort by cohort, and are worked outcome by outcome in tiles of one block. A
    person's milestones use two 32-bit words each (luck and evidence), two milestones a Philox block; events, amounts
    and scores use 53-bit uniforms.
    """
    counts, when, people_of, tile = out.counts, out.when, out.people, chances.tile
    person_keys, chain_keys, proof_keys, evidence = keys.person, keys.chain, keys.proof, keys.evidence
    level, fresh, weight = chances.level, chances.fresh, chances.weight
    served, unserved = chances.served, chances.unserved
    limit, limits, limit_of, able = tile.limit, tile.limits, tile.limit_of, tile.able
    words, proof, has, shown, chance_of = tile.words, tile.proof, tile.has, tile.shown, tile.chance_of
    counts[:] = 0.0
    nodes = fill_weights(v, segments.share_at, frailty_at, weight)
    classes = segments.share_at.size * nodes
    row = 0
    person = NONE
    for b in range(blocks.size):
        c = blocks[b].cohort
        if blocks[b].part == 0:
            person = NONE
        if fresh[b]:
            fill_chances(v, table, frailty_at, chances, level[b], nodes)
            for o in range(table.size):
                limits[o] = _fill_limits(served[o, :classes], unserved[o, :classes], limit[o])
        for start in range(0, people_of[b], TILE):
            number = min(TILE, people_of[b] - start)
            wide = (number + _LANES - 1) // _LANES * _LANES
            drawn = (number + _DRAWN - 1) // _DRAWN * _DRAWN  # words beyond are of whoever was there before
            class_of = tile.class_of[:wide]
            _fill_classes(person_keys[c], draw, person, weight[:classes], words, chance_of, class_of)
            _fill_everybody(number, has[table.size])
            pair = -1
            chain = -1
            for o in range(table.size):
                outcome = table[o]
                key = chain_keys[outcome.chain, c]
                record = records[o, row : row + number]
                in_time = when[o, b] <= cohorts[c].claim
                parent = has[outcome.parent if outcome.parent >= 0 else table.size]
                instead = has[outcome.instead if outcome.instead >= 0 else table.size + 1]
                own = has[o]
                if outcome.before_at >= 0:
                    relative_at = segments.level_at[:, o]
                    _add_before(v, outcome, relative_at, class_of[:number], nodes, key, draw, person, counts[o, b])
                if outcome.kind not in (YES_OR_NO, MILESTONE):
                    own[:] = 0
                    _fill_able(parent, instead, able)
                    _measure_people(
                        v,
                        outcome,
                        level[b, o],
                        class_of,
                        nodes,
                        key,
                        evidence[o, c],
                        draw,
                        person,
                        able[0],
                        able[1],
                        in_time,
                        record,
                        counts[o, b],
                    )
                    continue
                evidence_key = proof_keys[outcome.chain, c]
                if outcome.chain != chain or outcome.slot // 2 != pair:
                    chain, pair = outcome.chain, outcome.slot // 2
                    at = person * _SLOTS + pair
                    philox_blocks(key, draw, at, NONE, _SLOTS, drawn, words)
                    if evidence_key != key:
                        philox_blocks(evidence_key, draw, at, NONE, _SLOTS, drawn, proof)
                first = 2 * (outcome.slot % 2)
                word = words[first, :wide]
                if limits[o] == NO_LIMITS:
                    _fill_able(parent, instead, able)
                    true = _have(word, served[o], class_of, able[0], chance_of, own[:TILE])
                    without = _have(word, unserved[o], class_of, able[1], chance_of, own[TILE:])
                else:
                    _find_limits(limit[o, 0, :classes], class_of, limit_of[0])
                    other = limit_of[0]
                    if limits[o] == UNLIKE:
                        other = limit_of[1]
                        _find_limits(limit[o, 1, :classes], class_of, other)
                    true, without = _have_below(word, limit_of[0], other, parent, instead, own)
                counts[o, b, TRUE] += true
                counts[o, b, WITHOUT] += without
                if in_time:
                    missing, mistaken = v[outcome.missing_at], v[outcome.mistaken_at]
                    word = words[first + 1, :wide] if evidence_key == key else proof[first + 1, :wide]
                    counts[o, b, VERIFIED] += _verify(word, parent, instead, own, missing, mistaken, shown)
                    for i in range(number):
                        record[i] = shown[i]
                else:
                    record[:] = 0
            person += number
            row += number
    _count_additional(v, table, cohorts, blocks, when, counts)


@part
def _fill_classes(key: int, draw: int, person: int, weight: Floats, words: Words, u: Floats, class_of: Words) -> None:
    """Fill the classes of the people person.., from one uniform each; `words` and `u` are overwritten."""
    class_of[:] = 0
    if weight.size == 1:
        return
    philox_blocks(key, draw, person, NONE, ONE, class_of.size, words)
    for i in range(class_of.size):
        u[i] = uniform_of_words(words[0, i], words[1, i])
    mass = 0.0
    for k in range(weight.size - 1):
        mass += weight[k]
        for i in range(class_of.size):
            class_of[i] += np.uint32(u[i] > mass)


@inlined
def _fill_everybody(number: int, everybody: Bytes) -> None:
    """Fill the people of a tile, with the service and without it: beyond their number there is nobody."""
    everybody[:] = 0
    everybody[:number] = 1
    everybody[TILE : TILE + number] = 1


@part
def _fill_able(parent: Bytes, instead: Bytes, able: Flags) -> None:
    """Fill who can have an outcome: whoever has the one that it follows, and has not the one that excludes it."""
    for i in range(TILE):
        able[0, i] = parent[i] > instead[i]
        able[1, i] = parent[TILE + i] > instead[TILE + i]


ALIKE, UNLIKE, NO_LIMITS = range(3)


@inlined
def _limit(chance: float) -> float:
    """How many of the 2**32 words w give a uniform (w + 1/2) / 2**32 below a chance; exact, as nothing is rounded."""
    return max(0.0, math.ceil(chance * _WORDS - 0.5))


@part
def _fill_limits(served: Floats, unserved: Floats, limit: Words) -> int:
    """Fill the limits [2, K] of words with which people of each class have an outcome; tell which kind they are.

    To compare words takes half of the time of comparing uniforms. But where a class is all but sure to have the
    outcome its limit is no word: 2**32.
    """
    alike = True
    for k in range(served.size):
        one, other = _limit(served[k]), _limit(unserved[k])
        if one >= _WORDS or other >= _WORDS:
            return NO_LIMITS
        alike = alike and one == other
        limit[0, k], limit[1, k] = np.uint32(np.int64(one)), np.uint32(np.int64(other))
    return ALIKE if alike else UNLIKE


@part
def _find_limits(limit: Words, class_of: Words, limit_of: Words) -> None:
    """Fill the limit of each person, given that of each class."""
    if limit.size == NODES:  # to choose among few costs less than to look up
        l0, l1, l2, l3, l4 = limit[0], limit[1], limit[2], limit[3], limit[4]
        l5, l6, l7, l8 = limit[5], limit[6], limit[7], limit[8]
        for i in range(class_of.size):
            k = class_of[i]
            low = l0 if k == np.uint32(0) else l1
            low = l2 if k == np.uint32(2) else low
            low = l3 if k == np.uint32(3) else low
            low = l4 if k == np.uint32(4) else low
            low = l5 if k == np.uint32(5) else low
            low = l6 if k == np.uint32(6) else low
            low = l7 if k == np.uint32(7) else low
            limit_of[i] = l8 if k == np.uint32(8) else low
    else:
        for i in range(class_of.size):
            limit_of[i] = limit[class_of[i]]


@part
def _have_below(
    word: Words, limit: Words, limit_without: Words, parent: Bytes, instead: Bytes, own: Bytes
) -> tuple[int, int]:
    """Fill who has a yes/no outcome or milestone, and who would without the service; return how many.

    Those can who have the one that it follows, and have not the one that excludes it.
    """
    number, without = np.uint32(0), np.uint32(0)
    for i in range(word.size):
        it = np.uint8(word[i] < limit[i]) & np.uint8(parent[i] > instead[i])
        would = np.uint8(word[i] < limit_without[i]) & np.uint8(parent[TILE + i] > instead[TILE + i])
        own[i], own[TILE + i] = it, would
        number = np.uint32(number + it)
        without = np.uint32(without + would)
    return int(number), int(without)


@part
def _have(word: Words, chance: Floats, class_of: Words, able: Flags, chance_of: Floats, has: Bytes) -> int:
    """Fill who has a yes/no outcome or milestone, given the chance of each class; return how many do."""
    for i in range(word.size):  # a look-up apart from the comparison: the compiler can do both for many at once
        chance_of[i] = chance[class_of[i]]
    number = 0
    for i in range(word.size):
        it = able[i] & ((float(word[i]) + 0.5) * _WORD < chance_of[i])
        has[i] = it
        number += it
    return number


@part
def _verify(
    word: Words, parent: Bytes, instead: Bytes, has: Bytes, missing: float, mistaken: float, shown: Bytes
) -> int:
    """Fill for whom an outcome is verified, true or by mistake; return for how many."""
    lost, taken = _limit(missing), _limit(mistaken)
    any_shown, all_taken = np.uint8(lost < _WORDS), np.uint8(taken >= _WORDS)  # limits of 2**32 are no words
    first, end = np.uint32(np.int64(min(lost, _WORDS - 1.0))), np.uint32(np.int64(min(taken, _WORDS - 1.0)))
    number = np.uint32(0)
    for i in range(word.size):
        true = has[i] & any_shown & np.uint8(word[i] >= first)
        mistake = np.uint8(parent[i] > np.uint8(instead[i] | has[i])) & (all_taken | np.uint8(word[i] < end))
        shown[i] = true | mistake
        number = np.uint32(number + shown[i])
    return int(number)


@part
def _add_before(
    v: Floats,
    outcome: Any,
    level_at: Ints,
    class_of: Words,
    nodes: int,
    key: int,
    draw: int,
    person: int,
    counts: Floats,
) -> None:
    """Add to `counts` [COUNTS] what people had before the service."""
    for i in range(class_of.size):
        s = class_of[i] // nodes
        u = uniform(key, draw, (person + i) * _SLOTS + 2)
        w = uniform(key, draw, (person + i) * _SLOTS + 3)
        relative = v[level_at[s]] if level_at[s] >= 0 else 1.0
        counts[BEFORE] += _total(u, w, 1.0, v[outcome.before_at] * relative, v, outcome)


@part
def _measure_people(
    v: Floats,
    outcome: Any,
    level: Floats,
    class_of: Words,
    nodes: int,
    key: int,
    evidence: int,
    draw: int,
    person: int,
    able: Flags,
    able_without: Flags,
    in_time: bool,
    record: Any,
    counts: Floats,
) -> None:
    """Add events, amounts or scores of people to `counts` [COUNTS], given the levels [S, 2]; fill `record`."""
    for i in range(record.size):
        record[i] = 0
        if not (able[i] or able_without[i]):
            continue
        s = class_of[i] // nodes
        at = (person + i) * _SLOTS
        u = uniform(key, draw, at)
        w = 0.5
        if outcome.kind == AMOUNT:
            w = uniform(key, draw, at + 1)
        if outcome.kind == SCORE and outcome.before_at >= 0:
            u = _after(v, outcome, u, uniform(key, draw, at + 2))
        true = _total(u, w, 1.0, level[s, 1], v, outcome) if able[i] else 0.0
        counts[TRUE] += true
        if able_without[i]:
            counts[WITHOUT] += _total(u, w, 1.0, level[s, 0], v, outcome)
        if able[i] and in_time:
            accepted = _accept(v, outcome, evidence, draw, person + i, true, 1.0)
            record[i] = accepted
            counts[VERIFIED] += accepted


@inlined
def _count_additional(v: Floats, table: Any, cohorts: Any, blocks: Any, when: Ints, counts: Floats) -> None:
    """Fill the additional outcomes that can be paid for: in time, and with evidence in their share of cases.

    Whether a verified outcome is an additional one does not depend on its evidence, and mistaken evidence is of none.
    """
    for o in range(table.size):
        row = table[o]
        share = row.better * (1.0 - v[row.missing_at])
        for b in range(blocks.size):
            in_time = when[o, b] <= cohorts[blocks[b].cohort].claim
            counts[o, b, ADDITIONAL] = share * (counts[o, b, TRUE] - counts[o, b, WITHOUT]) if in_time else 0.0


@inlined
def policy_stop(
    v: Floats,
    hazard_at: int,
    keys: OutcomeKeys,
    points: Points,
    d: int,
    draw: int,
    first: int,
    last: int,
    periods: int,
    a_year: float,
) -> int:
    """Last period of service before a change of policy: exponential waiting time from the start of service.

    A yearly chance q means survival (1 - q)^years. Returns periods + 1 where nothing cuts the service short.
    """
    chance = v[hazard_at] if hazard_at >= 0 else 0.0
    if chance <= 0.0:
        return periods + 1
    years = 0.0
    if chance < 1.0:
        u = _drawn(points.u, d, points.policy[0], keys.policy[0], draw, NONE)
        years = math.log(u) / math.log(1.0 - chance)
    stop = first + int(min(years * a_year, 1e6))
    return stop if stop < last else periods + 1
