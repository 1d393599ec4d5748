"""Peterborough as signed, as others would write it: see `analyst` for what the programs share."""

from __future__ import annotations

import math

import numpy as np
from analyst import account, account_of_one, drawn, in_batches, looped, with_monaco

FILE = "peterborough.yaml"
INPUTS = {
    "men released": ("triangular", 0.9, 1.0, 1.0),
    "level": ("normal", 1.5, 0.15),
    "effect": ("normal", -0.075, 0.06),
    "effective share": ("chance", 0.5, 0.9),
    "bias": ("normal", 0.0, 0.03),
    "reporting": ("uniform", 3.0, 9.0),
    "delivery": ("triangular", 500e3, 550e3, 650e3),
    "hazard": ("chance", 0.01, 0.06),
}
MEN, ARM, DISPERSION = 1000, 10, 0.7
PRICE, BOUND, POOLED_BOUND, MOST = 16_000.0, 0.10, 0.075, 8e6
SET_UP, MANAGEMENT, COMMITMENT = 250e3, 60e3, 5e6
PERIODS, FIRST, LAST = 36, 1, 28
COHORTS = (8, 16, 24)  # quarter of the last referral
KNOWN_AFTER = 6
PLANNED = (1700e3 / 3 + MANAGEMENT) / 4
TERMS = (PLANNED, SET_UP, FIRST, LAST, COMMITMENT)


def _stops(hazard, uniform):
    stop = FIRST + np.floor(np.log(uniform) / np.log1p(-hazard) * 4)
    return np.where(stop < LAST, stop, PERIODS + 1).astype(np.int64)


def _settled(p, people, ours, base, stop):
    """Payments and account of all draws; `ours` and `base` are [cohort, n]."""
    n = stop.size
    lag = np.ceil(p["reporting"] / 3 - 1e-9).astype(np.int64)
    receipts = np.zeros((PERIODS + 1, n))
    rows = np.arange(n)
    paid, succeeded = np.zeros(n), np.zeros(n, bool)
    ours_in, base_in, known = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)

    def settle(owed, due):
        amount = np.minimum(owed, MOST - paid)
        np.add.at(receipts, (np.minimum(due + lag, PERIODS), rows), amount)
        return paid + amount

    for c, end in enumerate(COHORTS):
        ran, due = end <= stop, end + KNOWN_AFTER
        success = ran & (base[c] - ours[c] >= (BOUND - 1e-9) * base[c])
        paid = settle(np.where(success, PRICE * (base[c] - ours[c]), 0.0), np.full(n, due))
        succeeded |= success
        ours_in += np.where(ran, ours[c], 0.0)
        base_in += np.where(ran, base[c], 0.0)
        known = np.where(ran, due, np.maximum(known, stop))
    pooled = ~succeeded & (base_in > 0) & (base_in - ours_in >= (POOLED_BOUND - 1e-9) * base_in)
    paid = settle(np.where(pooled, PRICE * (base_in - ours_in), 0.0), np.minimum(known, PERIODS))
    return paid, *account(receipts, stop, (p["delivery"] + MANAGEMENT) / 4, *TERMS)


def _sizes(p):
    people = np.floor(MEN * p["men released"] + 0.5)
    return people, np.floor(ARM * people * p["effective share"] + 0.5)


def _levels(p):
    return p["level"] * (1 + p["effect"]), p["level"] * (1 + p["bias"])


def _vectorised(rng, n):
    p = drawn(INPUTS, rng, n)
    people, arm_people = _sizes(p)
    level, arm_level = _levels(p)
    stop = _stops(p["hazard"], rng.random(n))
    ours = np.stack([rng.negative_binomial(DISPERSION * people, DISPERSION / (DISPERSION + level)) for _ in COHORTS])
    arm = np.stack(
        [rng.negative_binomial(DISPERSION * arm_people, DISPERSION / (DISPERSION + arm_level)) for _ in COHORTS]
    )
    return _settled(p, people, ours, people * arm / arm_people, stop)


def _one_by_one(rng, n):
    """The men of each cohort and of its comparison group, each with his own rate of offending."""
    p = drawn(INPUTS, rng, n)
    people, arm_people = _sizes(p)
    level, arm_level = _levels(p)
    stop = _stops(p["hazard"], rng.random(n))
    ours, base = np.empty((len(COHORTS), n)), np.empty((len(COHORTS), n))
    for i in range(n):
        for c in range(len(COHORTS)):
            own = rng.gamma(DISPERSION, level[i] / DISPERSION, int(people[i]))
            other = rng.gamma(DISPERSION, arm_level[i] / DISPERSION, int(arm_people[i]))
            ours[c, i] = rng.poisson(own).sum()
            base[c, i] = people[i] * rng.poisson(other).mean()
    return _settled(p, people, ours, base, stop)


def _one(p, rng):
    """One draw in plain Python, totals from NumPy's generator."""
    people = math.floor(MEN * p["men released"] + 0.5)
    arm_people = math.floor(ARM * people * p["effective share"] + 0.5)
    level, arm_level = p["level"] * (1 + p["effect"]), p["level"] * (1 + p["bias"])
    stop = FIRST + math.floor(math.log(rng.random()) / math.log1p(-p["hazard"]) * 4)
    stop = stop if stop < LAST else PERIODS + 1
    lag = math.ceil(p["reporting"] / 3 - 1e-9)
    receipts = [0.0] * (PERIODS + 1)
    paid = ours_in = base_in = 0.0
    succeeded, known = False, 0
    for end in COHORTS:
        ours = rng.negative_binomial(DISPERSION * people, DISPERSION / (DISPERSION + level))
        arm = rng.negative_binomial(DISPERSION * arm_people, DISPERSION / (DISPERSION + arm_level))
        if end > stop:
            known = max(known, stop)
            continue
        base = people * arm / arm_people
        known = end + KNOWN_AFTER
        ours_in += ours
        base_in += base
        if base - ours >= (BOUND - 1e-9) * base:
            succeeded = True
            amount = min(PRICE * (base - ours), MOST - paid)
            receipts[min(known + lag, PERIODS)] += amount
            paid += amount
    if not succeeded and base_in > 0 and base_in - ours_in >= (POOLED_BOUND - 1e-9) * base_in:
        amount = min(PRICE * (base_in - ours_in), MOST)
        receipts[min(known + lag, PERIODS)] += amount
        paid += amount
    return paid, *account_of_one(receipts, stop, (p["delivery"] + MANAGEMENT) / 4, *TERMS)


vectorised = in_batches(_vectorised)
people = in_batches(_one_by_one)
financial = looped(INPUTS, _one)
monaco = with_monaco(INPUTS, _one)
