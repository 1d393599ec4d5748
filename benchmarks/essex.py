"""Essex as signed, as others would write it: see `analyst` for what the programs share."""

from __future__ import annotations

import math

import numpy as np
from analyst import account, account_of_one, drawn, in_batches, looped, with_monaco

FILE = "essex.yaml"
YEARS = 5
INPUTS = {
    "without": ("truncated", 460.0, 70.0, 150.0, 700.0),
    "effect": ("truncated", -0.35, 0.20, -0.90, 0.40),
    "trend": ("normal", 0.0, 0.03),
    "delivery": ("triangular", 470e3, 490e3, 580e3),
    **{f"referrals {year}": ("triangular", 0.70, 1.00, 1.05) for year in range(YEARS)},
}
FAMILIES, ANY, SPREAD, BETWEEN, BASELINE = 76, 0.60, 200.0, 0.05, 502.0
PRICE, MOST = 46.0, 7.1e6
SET_UP, MANAGEMENT, COMMITMENT = 100e3, 50e3, 3.13e6
PERIODS, FIRST, LAST = 32, 1, 23
KNOWN_AFTER, LAG = 5, 1
PLANNED = (1540e3 / 3 + MANAGEMENT) / 4
TERMS = (PLANNED, SET_UP, FIRST, LAST, COMMITMENT)


def _referred(n, quarter):
    """Families of one quarter of a year, in whole families."""
    return n * (quarter + 1) // 4 - n * quarter // 4


def _settled(p, days, families):
    """Payments and account of all draws; both are [year, n]."""
    n = days.shape[1]
    receipts = np.zeros((PERIODS + 1, n))
    paid = np.zeros(n)
    for year in range(YEARS):
        avoided = families[year] * BASELINE - days[year]
        owed = np.where((families[year] > 0) & (avoided >= -1e-9 * BASELINE), PRICE * np.maximum(avoided, 0.0), 0.0)
        amount = np.minimum(owed, MOST - paid)
        receipts[min(4 * (year + 1) + KNOWN_AFTER + LAG, PERIODS)] += amount
        paid += amount
    stop = np.full(n, PERIODS + 1)
    return paid, *account(receipts, stop, (p["delivery"] + MANAGEMENT) / 4, *TERMS)


def _mean(p, factor, quarter):
    """Mean days in care of those who have any, for families referred in a quarter of the deal."""
    level = p["without"] * (1 + p["trend"]) ** ((quarter + 0.5) / 4)
    return np.maximum(0.0, level * (1 + p["effect"])) * factor / ANY


def _vectorised(rng, n):
    p = drawn(INPUTS, rng, n)
    shape = (p["without"] / ANY / SPREAD) ** 2
    days, families = np.zeros((YEARS, n)), np.empty((YEARS, n))
    for year in range(YEARS):
        people = np.floor(FAMILIES * p[f"referrals {year}"] + 0.5).astype(np.int64)
        families[year] = people
        factor = BETWEEN**2 * rng.gamma(BETWEEN**-2, size=n)
        for part in range(4):
            some = rng.binomial(_referred(people, part), ANY)
            days[year] += rng.gamma(some * shape) * _mean(p, factor, 4 * year + part) / shape
    return _settled(p, days, families)


def _one_by_one(rng, n):
    """Every family: in care at all, and for how long."""
    p = drawn(INPUTS, rng, n)
    shape = (p["without"] / ANY / SPREAD) ** 2
    days, families = np.zeros((YEARS, n)), np.empty((YEARS, n))
    for i in range(n):
        own = {name: values[i] for name, values in p.items()}
        for year in range(YEARS):
            people = math.floor(FAMILIES * own[f"referrals {year}"] + 0.5)
            families[year, i] = people
            factor = BETWEEN**2 * rng.gamma(BETWEEN**-2)
            for part in range(4):
                size = _referred(people, part)
                lengths = rng.gamma(shape[i], _mean(own, factor, 4 * year + part) / shape[i], size)
                days[year, i] += lengths[rng.random(size) < ANY].sum()
    return _settled(p, days, families)


def _one(p, rng):
    """One draw in plain Python, totals from NumPy's generator."""
    shape = (p["without"] / ANY / SPREAD) ** 2
    receipts = [0.0] * (PERIODS + 1)
    paid = 0.0
    for year in range(YEARS):
        people = math.floor(FAMILIES * p[f"referrals {year}"] + 0.5)
        factor = BETWEEN**2 * rng.gamma(BETWEEN**-2)
        days = 0.0
        for part in range(4):
            some = rng.binomial(_referred(people, part), ANY)
            level = p["without"] * (1 + p["trend"]) ** ((4 * year + part + 0.5) / 4)
            days += rng.gamma(some * shape) * max(0.0, level * (1 + p["effect"])) * factor / ANY / shape
        avoided = people * BASELINE - days
        if people > 0 and avoided >= 0.0:
            amount = min(PRICE * avoided, MOST - paid)
            receipts[min(4 * (year + 1) + KNOWN_AFTER + LAG, PERIODS)] += amount
            paid += amount
    return paid, *account_of_one(receipts, PERIODS + 1, (p["delivery"] + MANAGEMENT) / 4, *TERMS)


vectorised = in_batches(_vectorised)
people = in_batches(_one_by_one)
financial = looped(INPUTS, _one)
monaco = with_monaco(INPUTS, _one)
