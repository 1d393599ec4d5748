"""From parameters to outcomes: what happens to the people of one draw, and what the evaluator sees of it.

All randomness ends here. Two engines give the same distribution: totals by exact monotone inversion from one addressed
uniform each, at a cost that does not grow with the number of people; or person by person, where a rule of the deal
couples one person's outcomes. Arrays and named tuples in, arrays out: no names, no deals.

Axes: ``o`` outcome, ``b`` block (people of one cohort referred in one period, or the whole cohort), ``c`` cohort,
``k`` node of a person's frailty. ``v`` is the draw's value row: every number of the deal is one of its columns.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.chance import (
    GAUSS_HERMITE_NODES,
    GAUSS_HERMITE_WEIGHTS,
    binomial_quantile,
    negative_binomial_quantile,
    philox,
    poisson_quantile,
    uniform,
)
from simulator.compiled import inner, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

YES_OR_NO, EVENTS, MILESTONE = 0, 1, 2
NODES = len(GAUSS_HERMITE_NODES)
_SLOTS = 1024  # Philox blocks reserved for a person's chain, so that adding a milestone moves no other person's luck
_WORD = 2.0**-32


OUTCOME = np.dtype(
    [
        ("kind", np.int64),
        ("better", np.float64),  # +1 more is better, -1 fewer
        ("chain", np.int64),  # people of one chain share random words
        ("slot", np.int64),  # place within the chain
        ("parent", np.int64),  # outcome that a milestone follows, -1 referral
        ("instead", np.int64),  # outcome that excludes this one, -1 none
        ("level_at", np.int64),  # level without the service, or the chance of a milestone
        ("first_at", np.int64),  # first milestones: chance without the service, -1 as with it
        ("effect_at", np.int64),
        ("effect_is_units", np.int64),
        ("dispersion_at", np.int64),
        ("after_at", np.int64),  # months after referral, or after the milestone before
        ("missing_at", np.int64),
        ("mistaken_at", np.int64),
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
        ("claim", np.int64),  # last period in which an outcome counts
        ("first_block", np.int64),
        ("end_block", np.int64),
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
    ]
)
"""People of one cohort referred in one period, or the whole cohort."""


class OutcomeKeys(NamedTuple):
    """Keys of the addressed uniforms."""

    luck: Keys  # [O, C]
    evidence: Keys  # [O, C]
    arm: Keys  # [O, C]
    chain: Keys  # [chains, C] person by person
    person: Keys  # [C] frailty
    policy: Keys  # [1]


TRUE, WITHOUT, VERIFIED, ADDITIONAL = range(4)
COUNTS = 4


class Outcomes(NamedTuple):
    """One draw's outcomes; filled in place. With a leading axis of draws, those of many."""

    people: Ints  # [B] people referred
    when: Ints  # [O, B] period in which an outcome of the block is known
    counts: Floats  # [O, B, COUNTS] true with the service; the same people without it; verified and in time; and
    # how many of the additional ones (positive when good) are in time and expected to be verified
    arms: Floats  # [O, C, 2] outcomes in the comparison arm, and its effective size


class Chances(NamedTuple):
    """Scratch of one draw: chances of yes/no outcomes and milestones by node of frailty, and counts by node."""

    weight: Floats  # [K]
    served: Floats  # [O, K] given the step before (and not the one excluded)
    unserved: Floats  # [O, K]
    survival: Floats  # [O, K] chance of having come so far, with the service
    eligible: Floats  # [K]
    with_k: Floats  # [O, K] people with the outcome, with the service
    without_k: Floats  # [O, K] and without it
    heads: Ints  # [K] people
    months: Floats  # [O] from referral to the outcome
    has: NDArray[np.bool_]  # [O] whether a person has the outcome
    would: NDArray[np.bool_]  # [O] and would without the service


@kernel
def new_chances(outcomes: int) -> Chances:
    """Allocate the scratch of one draw."""
    shape = (outcomes, NODES)
    return Chances(
        np.zeros(NODES),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(NODES),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(NODES, np.int64),
        np.zeros(outcomes),
        np.zeros(outcomes, np.bool_),
        np.zeros(outcomes, np.bool_),
    )


@inner
def refer_people(v: Floats, cohorts: Any, blocks: Any, people: Ints) -> None:
    """Fill `people` [B]: planned people x turnout, rounded half up, referred evenly over the window in whole people.

    By the end of the j-th of P periods, floor(n j / P) of n people have been referred.
    """
    for c in range(cohorts.size):
        cohort = cohorts[c]
        n = math.floor(v[cohort.people_at] * v[cohort.referrals_at] + 0.5)
        for b in range(cohort.first_block, cohort.end_block):
            parts, j = blocks[b].parts, blocks[b].part
            people[b] = (n * (j + 1)) // parts - (n * j) // parts


@inner
def lag_periods(months: float, months_a_step: float) -> int:
    """Periods from referral to an outcome `months` later, for people referred on average in mid-period."""
    return max(0, math.ceil(months / months_a_step - 0.5 - 1e-9))


@inner
def date_outcomes(v: Floats, table: Any, blocks: Any, step: float, months: Floats, when: Ints) -> None:
    """Fill `when` [O, B]: the period in which an outcome of the last referred of a block is known."""
    for o in range(table.size):
        months[o] = v[table[o].after_at]
        if table[o].parent >= 0:
            months[o] += months[table[o].parent]
        lag = lag_periods(months[o], step)
        for b in range(blocks.size):
            when[o, b] = blocks[b].last + lag


@inner
def _clip(p: float) -> float:
    return min(max(p, 0.0), 1.0)


@inner
def _served_level(v: Floats, row: Any) -> float:
    level = v[row.level_at]
    effect = v[row.effect_at]
    return max(0.0, level + effect if row.effect_is_units else level * (1.0 + effect))


@inner
def _node_chances(chance: float, sigma: float, eligible: Floats, out: Floats) -> None:
    """Spread a chance over the nodes of frailty so that its mean over the eligible stays what the file says.

    logit p_k = a + sigma z_k, with a such that sum_k e_k p_k = chance sum_k e_k (Newton inside a bracket).
    """
    total = 0.0
    for k in range(NODES):
        total += eligible[k]
    if chance <= 0.0 or chance >= 1.0 or sigma == 0.0 or total <= 0.0:
        out[:] = chance
        return
    low, high = -60.0, 60.0
    a = math.log(chance / (1.0 - chance)) * math.sqrt(1.0 + 0.346 * sigma * sigma)
    for _ in range(100):
        value = 0.0
        slope = 0.0
        for k in range(NODES):
            p = 1.0 / (1.0 + math.exp(-(a + sigma * GAUSS_HERMITE_NODES[k])))
            value += eligible[k] * p
            slope += eligible[k] * p * (1.0 - p)
            out[k] = p
        gap = value / total - chance
        if abs(gap) < 1e-14:
            return
        if gap > 0.0:
            high = a
        else:
            low = a
        moved = a - gap * total / slope if slope > 0.0 else 0.5 * (low + high)
        moved = moved if low < moved < high else 0.5 * (low + high)
        if moved == a:
            return
        a = moved


@inner
def fill_chances(v: Floats, table: Any, frailty_at: int, chances: Chances) -> int:
    """Fill the chances by node; return the number of nodes (1 without frailty).

    The latent correlation rho of a logistic random intercept gives sigma^2 = rho / (1 - rho) pi^2 / 3 (Snijders and
    Bosker, Multilevel Analysis, 2nd ed., section 17.3). Without the service only the chance of first steps differs.
    """
    eligible, weight, survival = chances.eligible, chances.weight, chances.survival
    served, unserved = chances.served, chances.unserved
    rho = v[frailty_at]
    sigma = math.sqrt(rho / (1.0 - rho)) * math.pi / math.sqrt(3.0)
    nodes = NODES if rho > 0.0 else 1
    for k in range(NODES):
        weight[k] = GAUSS_HERMITE_WEIGHTS[k] if nodes > 1 else (1.0 if k == 0 else 0.0)
    for o in range(table.size):
        row = table[o]
        if row.kind == EVENTS:
            continue
        for k in range(NODES):
            eligible[k] = weight[k] if row.parent < 0 else survival[row.parent, k]
            if row.instead >= 0:
                eligible[k] *= 1.0 - served[row.instead, k]
        if row.kind == YES_OR_NO:
            _node_chances(_clip(v[row.level_at]), sigma, eligible, unserved[o])
            _node_chances(_clip(_served_level(v, row)), sigma, eligible, served[o])
            continue
        _node_chances(v[row.level_at], sigma, eligible, served[o])
        for k in range(NODES):
            survival[o, k] = eligible[k] * served[o, k]
            unserved[o, k] = served[o, k]
        if row.first_at >= 0:
            for k in range(NODES):
                eligible[k] = weight[k] if row.instead < 0 else weight[k] * (1.0 - unserved[row.instead, k])
            _node_chances(v[row.first_at], sigma, eligible, unserved[o])
    return nodes


@inner
def fill_arms(v: Floats, table: Any, cohorts: Any, keys: OutcomeKeys, draw: int, out: Outcomes) -> None:
    """Fill the comparison arms: effective size, and outcomes among them at the biased counterfactual level."""
    people_of, arms, arm_keys = out.people, out.arms, keys.arm
    for o in range(table.size):
        row = table[o]
        if row.arm_people_at < 0:
            continue
        level = v[row.level_at] * (1.0 + v[row.arm_bias_at])
        for c in range(cohorts.size):
            people = 0
            for b in range(cohorts[c].first_block, cohorts[c].end_block):
                people += people_of[b]
            size = v[row.arm_people_at] * (people if row.arm_is_ratio else 1.0)
            effective = math.floor(size * v[row.arm_share_at] + 0.5)
            u = uniform(arm_keys[o, c], draw, 0)
            arms[o, c, 1] = effective
            if row.kind == EVENTS:
                arms[o, c, 0] = _events(u, effective, level, v, row.dispersion_at)
            else:
                arms[o, c, 0] = binomial_quantile(u, effective, _clip(level))


@inner
def _events(u: float, people: float, level: float, v: Floats, dispersion_at: int) -> float:
    if people <= 0 or level <= 0.0:
        return 0.0
    if dispersion_at < 0:
        return float(poisson_quantile(u, people * level))
    return float(negative_binomial_quantile(u, people * v[dispersion_at], people * level))


@inner
def _accept(v: Floats, row: Any, key: int, draw: int, part: int, true: float, pool: float) -> float:
    """Verified outcomes of a block: true ones with evidence, and mistaken ones among the rest of the pool."""
    missing, mistaken = v[row.missing_at], v[row.mistaken_at]
    accepted = true
    if missing > 0.0:
        u = uniform(key, draw, 2 * part)
        accepted = float(binomial_quantile(u, int(true), 1.0 - missing))
    if mistaken > 0.0:
        u = uniform(key, draw, 2 * part + 1)
        if row.kind == EVENTS:
            accepted += poisson_quantile(u, pool * mistaken)
        else:
            accepted += binomial_quantile(u, int(pool - true), mistaken)
    return accepted


@inner
def draw_totals(
    v: Floats,
    table: Any,
    cohorts: Any,
    blocks: Any,
    keys: OutcomeKeys,
    draw: int,
    chances: Chances,
    nodes: int,
    out: Outcomes,
) -> None:
    """Fill the outcomes of one draw by totals: one uniform for each outcome, block and node of frailty."""
    size = table.size
    with_k, without_k, heads = chances.with_k, chances.without_k, chances.heads
    served_chance, unserved_chance = chances.served, chances.unserved
    people_of, when, counts = out.people, out.when, out.counts
    luck, evidence, person = keys.luck, keys.evidence, keys.person
    for b in range(blocks.size):
        c, part, people = blocks[b].cohort, blocks[b].part, people_of[b]
        _split_by_node(people, chances.weight, nodes, person[c], draw, part, heads)
        for o in range(size):
            row = table[o]
            true = 0.0
            without = 0.0
            pool = 0.0
            if row.kind == EVENTS:
                u = uniform(luck[o, c], draw, part * 16)
                pool = float(people)
                true = _events(u, pool, _served_level(v, row), v, row.dispersion_at)
                without = _events(u, pool, v[row.level_at], v, row.dispersion_at)
            else:
                for k in range(nodes):
                    served = float(heads[k])
                    unserved = served
                    if row.parent >= 0:
                        served = with_k[row.parent, k]
                        unserved = without_k[row.parent, k]
                    if row.instead >= 0:
                        served -= with_k[row.instead, k]
                        unserved -= without_k[row.instead, k]
                    u = uniform(luck[o, c], draw, part * 16 + k)
                    p, q = served_chance[o, k], unserved_chance[o, k]
                    with_k[o, k] = binomial_quantile(u, int(served), p)
                    if unserved == served and q == p:
                        without_k[o, k] = with_k[o, k]
                    else:
                        without_k[o, k] = binomial_quantile(u, int(unserved), q)
                    true += with_k[o, k]
                    without += without_k[o, k]
                    pool += served
            counts[o, b, TRUE] = true
            counts[o, b, WITHOUT] = without
            accepted = 0.0
            if when[o, b] <= cohorts[c].claim:
                accepted = _accept(v, row, evidence[o, c], draw, part, true, pool)
            counts[o, b, VERIFIED] = accepted
    _count_additional(v, table, cohorts, blocks, when, counts)


@inner
def _split_by_node(people: int, weight: Floats, nodes: int, key: int, draw: int, part: int, heads: Ints) -> None:
    """Split people over the nodes of frailty: a multinomial as a chain of binomials."""
    left = people
    mass = 1.0
    for k in range(nodes - 1):
        heads[k] = binomial_quantile(uniform(key, draw, part * 16 + k), left, _clip(weight[k] / mass))
        left -= heads[k]
        mass -= weight[k]
    heads[nodes - 1] = left


@inner
def draw_people(
    v: Floats,
    table: Any,
    cohorts: Any,
    blocks: Any,
    keys: OutcomeKeys,
    draw: int,
    chances: Chances,
    nodes: int,
    out: Outcomes,
    records: NDArray[np.int32],
) -> None:
    """Fill the outcomes of one draw person by person, and `records` [people, O] of what was verified for each.

    People stand in order of referral, cohort by cohort. A person's milestones use two 32-bit words each (luck and
    evidence), two milestones a Philox block; events use a 53-bit uniform.
    """
    counts, when, people_of = out.counts, out.when, out.people
    person_keys, chain_keys, evidence = keys.person, keys.chain, keys.evidence
    served_chance, unserved_chance = chances.served, chances.unserved
    counts[:] = 0.0
    has, would, weight = chances.has, chances.would, chances.weight
    row = 0
    person = 0
    for b in range(blocks.size):
        c = blocks[b].cohort
        claim = cohorts[c].claim
        if blocks[b].part == 0:
            person = 0
        for _ in range(people_of[b]):
            k = 0
            if nodes > 1:
                u = uniform(person_keys[c], draw, person)
                mass = weight[0]
                while k < NODES - 1 and u > mass:
                    k += 1
                    mass += weight[k]
            pair = -1
            chain = -1
            w0, w1, w2, w3 = philox(0, 0, 0)
            for o in range(table.size):
                outcome = table[o]
                records[row, o] = 0
                if outcome.kind == EVENTS:
                    u = uniform(chain_keys[outcome.chain, c], draw, person * _SLOTS)
                    true = _events(u, 1.0, _served_level(v, outcome), v, outcome.dispersion_at)
                    counts[o, b, TRUE] += true
                    counts[o, b, WITHOUT] += _events(u, 1.0, v[outcome.level_at], v, outcome.dispersion_at)
                    if when[o, b] <= claim:
                        accepted = _accept(v, outcome, evidence[o, c], draw, person, true, 1.0)
                        records[row, o] = int(accepted)
                        counts[o, b, VERIFIED] += accepted
                    continue
                able = outcome.parent < 0 or has[outcome.parent]
                able_without = outcome.parent < 0 or would[outcome.parent]
                if outcome.instead >= 0:
                    able = able and not has[outcome.instead]
                    able_without = able_without and not would[outcome.instead]
                has[o] = False
                would[o] = False
                if not (able or able_without):
                    continue
                if outcome.chain != chain or outcome.slot // 2 != pair:
                    chain, pair = outcome.chain, outcome.slot // 2
                    w0, w1, w2, w3 = philox(chain_keys[chain, c], draw, person * _SLOTS + pair)
                odd = outcome.slot % 2 == 1
                u = (float(w2 if odd else w0) + 0.5) * _WORD
                has[o] = able and u < served_chance[o, k]
                would[o] = able_without and u < unserved_chance[o, k]
                counts[o, b, WITHOUT] += would[o]
                counts[o, b, TRUE] += has[o]
                if able and when[o, b] <= claim:
                    e = (float(w3 if odd else w1) + 0.5) * _WORD
                    if e >= v[outcome.missing_at] if has[o] else e < v[outcome.mistaken_at]:
                        records[row, o] = 1
                        counts[o, b, VERIFIED] += 1.0
            person += 1
            row += 1
    _count_additional(v, table, cohorts, blocks, when, counts)


@inner
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


@inner
def policy_stop(
    v: Floats, hazard_at: int, keys: OutcomeKeys, draw: int, first: int, last: int, periods: int, a_year: float
) -> int:
    """Last period of service before a change of policy: exponential waiting time from the start of service.

    A yearly chance q means survival (1 - q)^years. Returns periods + 1 where nothing cuts the service short.
    """
    chance = v[hazard_at] if hazard_at >= 0 else 0.0
    if chance <= 0.0:
        return periods + 1
    years = 0.0
    if chance < 1.0:
        years = math.log(uniform(keys.policy[0], draw, 0)) / math.log(1.0 - chance)
    stop = first + int(min(years * a_year, 1e6))
    return stop if stop < last else periods + 1
