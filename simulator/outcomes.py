"""From parameters to outcomes: what happens to the people of one draw, and what the evaluator sees of it.

All randomness ends here. Two engines give the same distribution: totals by exact monotone inversion from one addressed
uniform each, at a cost that does not grow with the number of people; or person by person, where a rule of the deal
couples one person's outcomes. Arrays and named tuples in, arrays out: no names, no deals.

Axes: ``o`` outcome, ``b`` block (people of one cohort referred in one period, or the whole cohort), ``c`` cohort,
``k`` node of a person's frailty. ``v`` is the draw's value row: every number of the deal is one of its columns.
"""

from __future__ import annotations

import math
from typing import NamedTuple

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
from simulator.compiled import kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

YES_OR_NO, EVENTS, MILESTONE = 0, 1, 2
NODES = len(GAUSS_HERMITE_NODES)
_SLOTS = 1024  # Philox blocks reserved for a person's chain, so that adding a milestone moves no other person's luck
_WORD = 2.0**-32


class OutcomeTable(NamedTuple):
    """What is true of each outcome; ``*_at`` are columns of the value row, -1 where there is none. Shapes [O]."""

    kind: Ints
    better: Floats  # +1 more is better, -1 fewer
    chain: Ints  # people of one chain share random words
    slot: Ints  # place within the chain
    parent: Ints  # outcome that a milestone follows, -1 referral
    instead: Ints  # outcome that excludes this one, -1 none
    level_at: Ints  # level without the service, or the chance of a milestone
    first_at: Ints  # first milestones: chance without the service, -1 as with it
    effect_at: Ints
    effect_is_units: Ints
    dispersion_at: Ints
    after_at: Ints  # months after referral, or after the milestone before
    missing_at: Ints
    mistaken_at: Ints
    arm_people_at: Ints
    arm_is_ratio: Ints
    arm_share_at: Ints
    arm_bias_at: Ints


class CohortTable(NamedTuple):
    """Cohorts ([C]), and the blocks ([B]) of people that they consist of. Periods count from 1."""

    people_at: Ints
    referrals_at: Ints
    claim: Ints  # last period in which an outcome counts
    first_block: Ints  # [C + 1]
    cohort: Ints  # [B]
    first: Ints  # [B] first period of referral of the block
    last: Ints  # [B] last period of referral
    part: Ints  # [B] position of the block within its cohort
    parts: Ints  # [B] number of blocks of its cohort


class OutcomeKeys(NamedTuple):
    """Keys of the addressed uniforms."""

    luck: Keys  # [O, C]
    evidence: Keys  # [O, C]
    arm: Keys  # [O, C]
    chain: Keys  # [chains, C] person by person
    person: Keys  # [C] frailty
    policy: Keys  # [1]


class Outcomes(NamedTuple):
    """One draw's outcomes; filled in place."""

    people: Ints  # [B] people referred
    when: Ints  # [O, B] period in which an outcome of the block is known
    true: Floats  # [O, B] with the service
    without: Floats  # [O, B] the same people, same uniforms, without it
    verified: Floats  # [O, B] accepted by the evaluator and in time to count
    arm_total: Floats  # [O, C] outcomes in the comparison arm
    arm_people: Floats  # [O, C] effective size of the comparison arm


class Chances(NamedTuple):
    """Chances of yes/no outcomes and milestones of one draw by node of frailty; scratch."""

    weight: Floats  # [K]
    served: Floats  # [O, K] given the step before (and not the one excluded)
    unserved: Floats  # [O, K]
    survival: Floats  # [O, K] chance of having come so far, with the service


def new_outcomes(outcomes: int, blocks: int, cohorts: int) -> Outcomes:
    """Allocate one draw's outcomes."""
    return Outcomes(
        np.zeros(blocks, np.int64),
        np.zeros((outcomes, blocks), np.int64),
        np.zeros((outcomes, blocks)),
        np.zeros((outcomes, blocks)),
        np.zeros((outcomes, blocks)),
        np.zeros((outcomes, cohorts)),
        np.zeros((outcomes, cohorts)),
    )


def new_chances(outcomes: int) -> Chances:
    """Allocate the table of chances of one draw."""
    shape = (outcomes, NODES)
    return Chances(np.zeros(NODES), np.zeros(shape), np.zeros(shape), np.zeros(shape))


@kernel
def refer_people(v: Floats, cohorts: CohortTable, people: Ints) -> None:
    """Fill `people` [B]: planned people x turnout, rounded half up, referred evenly over the window in whole people.

    By the end of the j-th of P periods, floor(n j / P) of n people have been referred.
    """
    for c in range(cohorts.people_at.size):
        n = math.floor(v[cohorts.people_at[c]] * v[cohorts.referrals_at[c]] + 0.5)
        for b in range(cohorts.first_block[c], cohorts.first_block[c + 1]):
            parts, j = cohorts.parts[b], cohorts.part[b]
            people[b] = (n * (j + 1)) // parts - (n * j) // parts


@kernel
def lag_periods(months: float, months_a_step: float) -> int:
    """Periods from referral to an outcome `months` later, for people referred on average in mid-period."""
    return max(0, math.ceil(months / months_a_step - 0.5 - 1e-9))


@kernel
def date_outcomes(v: Floats, table: OutcomeTable, cohorts: CohortTable, step: float, when: Ints) -> None:
    """Fill `when` [O, B]: the period in which an outcome of the last referred of a block is known."""
    months = np.zeros(table.kind.size)
    for o in range(table.kind.size):
        months[o] = v[table.after_at[o]]
        if table.parent[o] >= 0:
            months[o] += months[table.parent[o]]
        lag = lag_periods(months[o], step)
        for b in range(cohorts.cohort.size):
            when[o, b] = cohorts.last[b] + lag


@kernel
def _clip(p: float) -> float:
    return min(max(p, 0.0), 1.0)


@kernel
def _served_level(v: Floats, table: OutcomeTable, o: int) -> float:
    level = v[table.level_at[o]]
    effect = v[table.effect_at[o]]
    return max(0.0, level + effect if table.effect_is_units[o] else level * (1.0 + effect))


@kernel
def _node_chances(chance: float, sigma: float, eligible: Floats, out: Floats) -> None:
    """Spread a chance over the nodes of frailty so that its mean over the eligible stays what the file says.

    logit p_k = a + sigma z_k, with a such that sum_k e_k p_k = chance sum_k e_k (Newton inside a bracket).
    """
    total = eligible.sum()
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


@kernel
def fill_chances(v: Floats, table: OutcomeTable, frailty_at: int, chances: Chances) -> int:
    """Fill the chances by node; return the number of nodes (1 without frailty).

    The latent correlation rho of a logistic random intercept gives sigma^2 = rho / (1 - rho) pi^2 / 3 (Snijders and
    Bosker, Multilevel Analysis, 2nd ed., section 17.3). Without the service only the chance of first steps differs.
    """
    rho = v[frailty_at]
    sigma = math.sqrt(rho / (1.0 - rho)) * math.pi / math.sqrt(3.0)
    nodes = NODES if rho > 0.0 else 1
    for k in range(NODES):
        chances.weight[k] = GAUSS_HERMITE_WEIGHTS[k] if nodes > 1 else (1.0 if k == 0 else 0.0)
    eligible = np.empty(NODES)
    for o in range(table.kind.size):
        if table.kind[o] == EVENTS:
            continue
        eligible[:] = chances.weight
        if table.kind[o] == YES_OR_NO:
            _node_chances(_clip(v[table.level_at[o]]), sigma, eligible, chances.unserved[o])
            _node_chances(_clip(_served_level(v, table, o)), sigma, eligible, chances.served[o])
            continue
        if table.parent[o] >= 0:
            eligible[:] = chances.survival[table.parent[o]]
        if table.instead[o] >= 0:
            eligible *= 1.0 - chances.served[table.instead[o]]
        _node_chances(v[table.level_at[o]], sigma, eligible, chances.served[o])
        chances.survival[o] = eligible * chances.served[o]
        if table.first_at[o] >= 0:
            eligible[:] = chances.weight
            if table.instead[o] >= 0:
                eligible *= 1.0 - chances.unserved[table.instead[o]]
            _node_chances(v[table.first_at[o]], sigma, eligible, chances.unserved[o])
        else:
            chances.unserved[o] = chances.served[o]
    return nodes


@kernel
def fill_arms(
    v: Floats, table: OutcomeTable, cohorts: CohortTable, keys: OutcomeKeys, draw: int, out: Outcomes
) -> None:
    """Fill the comparison arms: effective size, and outcomes among them at the biased counterfactual level."""
    for o in range(table.kind.size):
        if table.arm_people_at[o] < 0:
            continue
        level = v[table.level_at[o]] * (1.0 + v[table.arm_bias_at[o]])
        for c in range(cohorts.people_at.size):
            people = 0
            for b in range(cohorts.first_block[c], cohorts.first_block[c + 1]):
                people += out.people[b]
            size = v[table.arm_people_at[o]] * (people if table.arm_is_ratio[o] else 1.0)
            effective = math.floor(size * v[table.arm_share_at[o]] + 0.5)
            u = uniform(keys.arm[o, c], draw, 0)
            out.arm_people[o, c] = effective
            if table.kind[o] == EVENTS:
                out.arm_total[o, c] = _events(u, effective, level, v, table.dispersion_at[o])
            else:
                out.arm_total[o, c] = binomial_quantile(u, effective, _clip(level))


@kernel
def _events(u: float, people: float, level: float, v: Floats, dispersion_at: int) -> float:
    if people <= 0 or level <= 0.0:
        return 0.0
    if dispersion_at < 0:
        return float(poisson_quantile(u, people * level))
    return float(negative_binomial_quantile(u, people * v[dispersion_at], people * level))


@kernel
def _accept(
    v: Floats, table: OutcomeTable, keys: OutcomeKeys, draw: int, o: int, c: int, part: int, true: float, pool: float
) -> float:
    """Verified outcomes of a block: true ones with evidence, and mistaken ones among the rest of the pool."""
    missing, mistaken = v[table.missing_at[o]], v[table.mistaken_at[o]]
    accepted = true
    if missing > 0.0:
        u = uniform(keys.evidence[o, c], draw, 2 * part)
        accepted = float(binomial_quantile(u, int(true), 1.0 - missing))
    if mistaken > 0.0:
        u = uniform(keys.evidence[o, c], draw, 2 * part + 1)
        if table.kind[o] == EVENTS:
            accepted += poisson_quantile(u, pool * mistaken)
        else:
            accepted += binomial_quantile(u, int(pool - true), mistaken)
    return accepted


@kernel
def draw_totals(
    v: Floats,
    table: OutcomeTable,
    cohorts: CohortTable,
    keys: OutcomeKeys,
    draw: int,
    chances: Chances,
    nodes: int,
    out: Outcomes,
) -> None:
    """Fill the outcomes of one draw by totals: one uniform for each outcome, block and node of frailty."""
    size = table.kind.size
    with_k = np.zeros((size, NODES))
    without_k = np.zeros((size, NODES))
    heads = np.zeros(NODES, np.int64)
    for b in range(cohorts.cohort.size):
        c, part = cohorts.cohort[b], cohorts.part[b]
        _split_by_node(out.people[b], chances.weight, nodes, keys.person[c], draw, part, heads)
        for o in range(size):
            true = 0.0
            without = 0.0
            pool = 0.0
            if table.kind[o] == EVENTS:
                u = uniform(keys.luck[o, c], draw, part * 16)
                pool = float(out.people[b])
                true = _events(u, pool, _served_level(v, table, o), v, table.dispersion_at[o])
                without = _events(u, pool, v[table.level_at[o]], v, table.dispersion_at[o])
            else:
                for k in range(nodes):
                    served = float(heads[k])
                    unserved = served
                    if table.parent[o] >= 0:
                        served = with_k[table.parent[o], k]
                        unserved = without_k[table.parent[o], k]
                    if table.instead[o] >= 0:
                        served -= with_k[table.instead[o], k]
                        unserved -= without_k[table.instead[o], k]
                    u = uniform(keys.luck[o, c], draw, part * 16 + k)
                    p, q = chances.served[o, k], chances.unserved[o, k]
                    with_k[o, k] = binomial_quantile(u, int(served), p)
                    if unserved == served and q == p:
                        without_k[o, k] = with_k[o, k]
                    else:
                        without_k[o, k] = binomial_quantile(u, int(unserved), q)
                    true += with_k[o, k]
                    without += without_k[o, k]
                    pool += served
            out.true[o, b] = true
            out.without[o, b] = without
            out.verified[o, b] = 0.0
            if out.when[o, b] <= cohorts.claim[c]:
                out.verified[o, b] = _accept(v, table, keys, draw, o, c, part, true, pool)


@kernel
def _split_by_node(
    people: int, weight: Floats, nodes: int, key: int, draw: int, part: int, heads: Ints
) -> None:
    """Split people over the nodes of frailty: a multinomial as a chain of binomials."""
    left = people
    mass = 1.0
    for k in range(nodes - 1):
        heads[k] = binomial_quantile(uniform(key, draw, part * 16 + k), left, _clip(weight[k] / mass))
        left -= heads[k]
        mass -= weight[k]
    heads[nodes - 1] = left


@kernel
def draw_people(
    v: Floats,
    table: OutcomeTable,
    cohorts: CohortTable,
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
    size = table.kind.size
    out.true[:] = 0.0
    out.without[:] = 0.0
    out.verified[:] = 0.0
    has = np.zeros(size, np.bool_)
    would = np.zeros(size, np.bool_)
    cumulative = np.cumsum(chances.weight)
    row = 0
    for c in range(cohorts.people_at.size):
        person = 0
        for b in range(cohorts.first_block[c], cohorts.first_block[c + 1]):
            for _ in range(out.people[b]):
                k = 0
                if nodes > 1:
                    u = uniform(keys.person[c], draw, person)
                    while k < NODES - 1 and u > cumulative[k]:
                        k += 1
                block = -1
                chain = -1
                w0, w1, w2, w3 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
                for o in range(size):
                    records[row, o] = 0
                    if table.kind[o] == EVENTS:
                        _person_events(v, table, cohorts, keys, draw, o, b, person, out, records, row)
                        continue
                    able = table.parent[o] < 0 or has[table.parent[o]]
                    able_without = table.parent[o] < 0 or would[table.parent[o]]
                    if table.instead[o] >= 0:
                        able = able and not has[table.instead[o]]
                        able_without = able_without and not would[table.instead[o]]
                    if not (able or able_without):
                        has[o] = False
                        would[o] = False
                        continue
                    if table.chain[o] != chain or table.slot[o] // 2 != block:
                        chain, block = table.chain[o], table.slot[o] // 2
                        w0, w1, w2, w3 = philox(keys.chain[chain, c], draw, person * _SLOTS + block)
                    odd = table.slot[o] % 2 == 1
                    u = (float(w2 if odd else w0) + 0.5) * _WORD
                    has[o] = able and u < chances.served[o, k]
                    would[o] = able_without and u < chances.unserved[o, k]
                    out.without[o, b] += would[o]
                    out.true[o, b] += has[o]
                    if able and out.when[o, b] <= cohorts.claim[c]:
                        e = (float(w3 if odd else w1) + 0.5) * _WORD
                        if (has[o] and e >= v[table.missing_at[o]]) or (
                            not has[o] and e < v[table.mistaken_at[o]]
                        ):
                            records[row, o] = 1
                            out.verified[o, b] += 1.0
                person += 1
                row += 1


@kernel
def _person_events(
    v: Floats,
    table: OutcomeTable,
    cohorts: CohortTable,
    keys: OutcomeKeys,
    draw: int,
    o: int,
    b: int,
    person: int,
    out: Outcomes,
    records: NDArray[np.int32],
    row: int,
) -> None:
    c = cohorts.cohort[b]
    u = uniform(keys.chain[table.chain[o], c], draw, person * _SLOTS)
    true = _events(u, 1.0, _served_level(v, table, o), v, table.dispersion_at[o])
    out.true[o, b] += true
    out.without[o, b] += _events(u, 1.0, v[table.level_at[o]], v, table.dispersion_at[o])
    if out.when[o, b] <= cohorts.claim[c]:
        accepted = _accept(v, table, keys, draw, o, c, person, true, 1.0)
        records[row, o] = int(accepted)
        out.verified[o, b] += accepted


@kernel
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
