"""The Fair Chance Fund as signed, as others would write it: see `analyst` for what the programs share.

A limit for each person couples a person's milestones, so that every program has to draw people.
"""

from __future__ import annotations

import math

import numpy as np
from analyst import account, account_of_one, drawn, in_batches, looped, with_monaco
from scipy import special

FILE = "fair_chance_fund.yaml"
# milestone: price, 90% interval of its chance, months after the one before (or an interval of them), the one before,
# and the one that excludes it
CARD = (
    ("initial assessment", 500, (0.90, 0.99), 1, None, None),
    ("second assessment", 500, (0.75, 0.95), 6, 0, None),
    ("third assessment", 200, (0.75, 0.95), 6, 1, None),
    ("move into accommodation", 500, (0.75, 0.95), (1, 4), None, None),
    ("home 3 months", 1500, (0.80, 0.95), 3, 3, None),
    ("home 6 months", 1500, (0.80, 0.95), 3, 4, None),
    ("home 12 months", 1500, (0.80, 0.95), 6, 5, None),
    ("home 18 months", 1500, (0.80, 0.95), 6, 6, None),
    ("entry to education", 500, (0.20, 0.50), (3, 12), None, None),
    ("entry-level", 1500, (0.15, 0.50), (3, 9), 8, None),
    ("level 1", 2500, (0.10, 0.40), (6, 12), 8, None),
    ("level 2", 3500, (0.05, 0.25), (9, 15), 8, None),
    ("entry to employment", 500, (0.20, 0.50), (3, 15), None, None),
    ("full-time 13 weeks", 4500, (0.30, 0.60), 13 * 7 * 12 / 365.25, 12, None),
    ("full-time 26 weeks", 3500, (0.55, 0.85), 13 * 7 * 12 / 365.25, 13, None),
    ("part-time 13 weeks", 3000, (0.15, 0.45), 13 * 7 * 12 / 365.25, 12, 13),
    ("part-time 26 weeks", 2000, (0.55, 0.85), 13 * 7 * 12 / 365.25, 15, None),
    ("volunteering 6 weeks", 500, (0.10, 0.35), (3, 12), None, None),
    ("volunteering 13 weeks", 500, (0.50, 0.80), 7 * 7 * 12 / 365.25, 17, None),
    ("volunteering 20 weeks", 250, (0.50, 0.80), 7 * 7 * 12 / 365.25, 18, None),
    ("volunteering 26 weeks", 250, (0.50, 0.80), 6 * 7 * 12 / 365.25, 19, None),
)
PRICES = np.array([row[1] for row in CARD], float)
INPUTS = {
    "referrals": ("interval", 0.9, 1.1),
    "frailty": ("chance", 0.2, 0.6),
    "not claimed": ("uniform", 0.0, 0.15),
    "claim time": ("uniform", 1.0, 4.0),
    "delivery": ("pert", 650e3, 750e3, 900e3),
    **{f"chance of {row[0]}": ("chance", *row[2]) for row in CARD},
    **{f"months to {row[0]}": ("uniform", *row[3]) for row in CARD if isinstance(row[3], tuple)},
}
STARTERS, QUARTERS, MOST_EACH, MOST = 409, 4, 17_000.0, 2_944_525.0
SET_UP, MANAGEMENT, COMMITMENT = 60e3, 50e3, 600e3
PERIODS, FIRST, LAST = 16, 1, 12
LAST_CLAIM = 12
PLANNED = (2275e3 / 3 + MANAGEMENT) / 4
TERMS = (PLANNED, SET_UP, FIRST, LAST, COMMITMENT)
# a person's frailty is one of nine, the nodes of Gauss and Hermite
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
CLASSES = np.cumsum(WEIGHTS)[:-1]


def _chances(p):
    """Chance of each milestone by frailty, [milestone, node, n], such that its mean over those who may take it is p's.

    The logit is a + sigma z; a is found by Newton's steps for all draws together.
    """
    rho = np.atleast_1d(p["frailty"])
    spread = np.sqrt(rho / (1 - rho)) * math.pi / math.sqrt(3) * NODES[:, None]
    chance = np.empty((len(CARD), NODES.size, rho.size))
    reached = np.empty_like(chance)
    for m, (name, _, _, _, before, instead) in enumerate(CARD):
        able = np.broadcast_to(WEIGHTS[:, None], spread.shape) if before is None else reached[before]
        if instead is not None:
            able = able * (1 - chance[instead])
        mean = p[f"chance of {name}"]
        whole = able.sum(0)
        a = special.logit(mean) * np.sqrt(1 + 0.346 * rho / (1 - rho) * math.pi**2 / 3)
        for _ in range(40):
            each = special.expit(a + spread)
            taken = able * each
            step = (taken.sum(0) - mean * whole) / (taken * (1 - each)).sum(0)
            a = a - np.clip(step, -1.0, 1.0)  # far out, whole steps overshoot
            if np.abs(step).max() < 1e-9:
                break
        chance[m] = special.expit(a + spread)
        reached[m] = able * chance[m]
    return chance


def _lags(p):
    """Quarters from referral to each milestone, [milestone, n] or [milestone]."""
    months = []
    for name, _, _, after, before, _ in CARD:
        own = p[f"months to {name}"] if isinstance(after, tuple) else after
        months.append(own + (0.0 if before is None else months[before]) + 0.0 * p["frailty"])
    return np.maximum(0, np.ceil(np.array(months) / 3 - 0.5 - 1e-9)).astype(np.int64)


def _prepared(p):
    """Numbers with the chances and lags of every milestone."""
    return p | {"chances": _chances(p), "lags": _lags(p)}


def _settled(p, owed):
    """Payments and account of all draws; `owed` [T + 1, n] is after the limit for each person."""
    n = owed.shape[1]
    lag = np.ceil(p["claim time"] / 3 - 1e-9).astype(np.int64)
    receipts = np.zeros((PERIODS + 1, n))
    rows = np.arange(n)
    paid = np.zeros(n)
    for t in range(1, PERIODS + 1):
        amount = np.minimum(owed[t], MOST - paid)
        receipts[np.minimum(t + lag, PERIODS), rows] += amount
        paid += amount
    stop = np.full(n, PERIODS + 1)
    return paid, *account(receipts, stop, (p["delivery"] + MANAGEMENT) / 4, *TERMS)


def _vectorised(rng, n):
    """All people of all draws at once, milestone by milestone."""
    p = drawn(INPUTS, rng, n)
    people = np.floor(STARTERS * p["referrals"] + 0.5).astype(np.int64)
    chance, lags = _chances(p), _lags(p)
    draw = np.repeat(np.arange(n), people)
    place = np.arange(draw.size) - np.repeat(np.cumsum(people) - people, people)
    ends = np.stack([people * (j + 1) // QUARTERS for j in range(QUARTERS - 1)])
    referred = 1 + (place >= ends[:, draw]).sum(0)
    node = np.searchsorted(CLASSES, rng.random(draw.size))
    at = node * n + draw
    claimed = 1.0 - p["not claimed"][draw]
    has, verified = [], np.empty((len(CARD), draw.size), bool)
    for m, (_, _, _, _, before, instead) in enumerate(CARD):
        reached = rng.random(draw.size) < chance[m].ravel()[at]
        if before is not None:
            reached &= has[before]
        if instead is not None:
            reached &= ~has[instead]
        has.append(reached)
        in_time = referred + lags[m][draw] <= LAST_CLAIM
        verified[m] = reached & in_time & (rng.random(draw.size) < claimed)
    order = np.argsort(lags, axis=0, kind="stable")
    left = np.full(draw.size, MOST_EACH)
    everyone = np.arange(draw.size)
    owed = np.zeros((PERIODS + 1) * n)
    for rank in range(len(CARD)):
        m = order[rank][draw]
        amount = np.minimum(verified[m, everyone] * PRICES[m], left)
        left -= amount
        period = np.minimum(referred + lags[m, draw], PERIODS)
        owed += np.bincount(period * n + draw, amount, owed.size)
    return _settled(p, owed.reshape(PERIODS + 1, n))


def _people_of_one(p, rng):
    """Owed by quarter in one draw, from arrays over its people."""
    people = math.floor(STARTERS * p["referrals"] + 0.5)
    if "chances" not in p:  # a program that has one draw at a time
        p = p | {"chances": _chances(p)[:, :, 0], "lags": _lags(p)}
    chance, lags = p["chances"], p["lags"]
    place = np.arange(people)
    referred = 1 + sum((place >= people * (j + 1) // QUARTERS).astype(np.int64) for j in range(QUARTERS - 1))
    node = np.searchsorted(CLASSES, rng.random(people))
    has, verified = [], []
    for m, (_, _, _, _, before, instead) in enumerate(CARD):
        reached = rng.random(people) < chance[m][node]
        if before is not None:
            reached &= has[before]
        if instead is not None:
            reached &= ~has[instead]
        has.append(reached)
        verified.append(reached & (referred + lags[m] <= LAST_CLAIM) & (rng.random(people) >= p["not claimed"]))
    order = np.argsort(lags, kind="stable")
    earned = np.minimum(np.cumsum([verified[m] * PRICES[m] for m in order], axis=0), MOST_EACH)
    owed = np.zeros(PERIODS + 1)
    for rank, m in enumerate(order):
        amount = earned[rank] - (earned[rank - 1] if rank else 0.0)
        owed += np.bincount(np.minimum(referred + lags[m], PERIODS), amount, PERIODS + 1)
    return owed


def _one_by_one(rng, n):
    p = _prepared(drawn(INPUTS, rng, n))
    owed = [_people_of_one({name: values[..., i] for name, values in p.items()}, rng) for i in range(n)]
    return _settled(p, np.array(owed).T)


def _one(p, rng):
    """One draw: arrays over its people, the account in plain Python."""
    owed = _people_of_one(p, rng).tolist()
    lag = math.ceil(p["claim time"] / 3 - 1e-9)
    receipts = [0.0] * (PERIODS + 1)
    paid = 0.0
    for t in range(1, PERIODS + 1):
        amount = min(owed[t], MOST - paid)
        receipts[min(t + lag, PERIODS)] += amount
        paid += amount
    return paid, *account_of_one(receipts, PERIODS + 1, (p["delivery"] + MANAGEMENT) / 4, *TERMS)


vectorised = in_batches(_vectorised, 2_000)
people = in_batches(_one_by_one)
financial = looped(INPUTS, _one, _prepared)
monaco = with_monaco(INPUTS, _one)
