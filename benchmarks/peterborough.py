"""Peterborough as signed against vectorised NumPy with a pyxirr loop, side by side in one process.

    python benchmarks/peterborough.py [DRAWS] [REPEATS]

The NumPy program is written as a good analyst would: one array operation for all draws at each step, NumPy's own
negative binomial, one loop over the periods, and pyxirr (compiled Rust) for the internal rates of return. Both programs
must agree on the answers within their Monte Carlo error before they are timed. They are then timed in turn; the ratio
of medians is what is claimed, not the seconds. Starting the processes and compiling is reported apart.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyxirr

import simulator as sib
from simulator.plan import compile_plan

TOP = Path(__file__).parent.parent
DEAL = TOP / "scenarios" / "peterborough.yaml"
STRUCTURE = "as signed"
QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)


def analyst(deal, draws, seed):
    """Simulate the structure with NumPy; return per-draw payments, multiples and rates of return."""
    rng = np.random.default_rng(seed)
    plan = compile_plan(deal)
    named = {}

    def number(*path):
        column = next(column for column in plan.columns if column.path == path)
        if column.address not in named:
            if column.quantity.is_fixed:
                named[column.address] = column.quantity.value
            else:
                drawn = column.quantity.quantile(rng.random(draws))
                named[column.address] = np.clip(drawn, column.low, column.high)
        return named[column.address]

    here = ("structures", STRUCTURE)
    outcome = ("outcomes", "reconvictions")
    level = number(*outcome, "without_service")
    ours_level = level * (1 + number(*outcome, "effect"))
    arm_level = level * (1 + number(*outcome, "comparison_arm", "shared_bias"))
    size = number(*outcome, "dispersion")
    effective = number(*outcome, "comparison_arm", "effective_share")
    price = number(*here, "pays", "a cohort succeeds", "amount", "price")
    bound = number(*here, "pays", "a cohort succeeds", "when", "fewer events")
    pooled_bound = number(*here, "pays", "all cohorts together", "when", "fewer events")
    maximum = number(*here, "at_most", "contract")
    lag = np.ceil(number(*here, "paid_after") / 3 - 1e-9).astype(int)

    hazard = number("ends_early", "policy_change", "chance_a_year")
    first, last, periods = plan.calendar.first, plan.calendar.last, plan.calendar.periods
    stop = first + np.floor(np.log(rng.random(draws)) / np.log1p(-hazard) * 4).astype(int)
    stop = np.where(stop < last, stop, periods + 1)

    receipts = np.zeros((draws, periods + 1))
    paid = np.zeros(draws)
    succeeded = np.zeros(draws, bool)
    ours_sum, base_sum, known = np.zeros(draws), np.zeros(draws), np.zeros(draws, int)
    rows = np.arange(draws)

    def settle(owed, due):
        amount = np.minimum(owed, maximum - paid)
        np.add.at(receipts, (rows, np.minimum(due + lag, periods)), amount)
        return paid + amount

    for c, name in enumerate(plan.cohort_names):
        block = plan.blocks[plan.cohorts[c]["first_block"]]
        ran = block["last"] <= stop
        people = np.floor(number("cohorts", name, "people") * number("cohorts", name, "referrals") + 0.5)
        n = size * people
        ours = rng.negative_binomial(n, size / (size + ours_level))
        arm_people = np.floor(10 * people * effective + 0.5)
        arm = rng.negative_binomial(size * arm_people, size / (size + arm_level))
        base = people * arm / arm_people
        due = block["last"] + 6
        success = ran & (base - ours >= (bound - 1e-9) * base)
        paid = settle(np.where(success, price * (base - ours), 0.0), np.full(draws, due))
        succeeded |= success
        ours_sum += np.where(ran, ours, 0)
        base_sum += np.where(ran, base, 0)
        known = np.where(ran, due, np.maximum(known, stop))
    pooled = ~succeeded & (base_sum > 0) & (base_sum - ours_sum >= (pooled_bound - 1e-9) * base_sum)
    paid = settle(np.where(pooled, price * (base_sum - ours_sum), 0.0), np.minimum(known, periods))

    set_up = number(*here, "costs", "set_up")
    delivery = number(*here, "costs", "delivery")
    management = number(*here, "costs", "management")
    planned_quarter = (plan.expected[_column(plan, here, "delivery")] + management) / 4
    planned = np.zeros(periods + 1)
    planned[first : last + 1] = planned_quarter
    planned[1] += set_up
    remaining = planned[::-1].cumsum()[::-1]
    commitment = number(*here, "finance", "commitment")
    flows = np.zeros((draws, periods + 1))
    cash = np.full(draws, planned[1])
    called = cash.copy()
    flows[:, 0] = -cash
    arrears, distributed = np.zeros(draws), np.zeros(draws)
    for t in range(1, periods + 1):
        running = (t <= stop) & (first <= t <= last)
        cost = np.where(running, (delivery + management) / 4, 0.0) + (set_up if t == 1 else 0.0)
        settled = np.minimum(cash, arrears + cost)
        arrears += cost - settled
        cash += receipts[:, t] - settled
        settled = np.minimum(cash, arrears)
        arrears -= settled
        cash -= settled
        live = (t < stop).astype(float)
        held = live * remaining[t + 1] if t < periods else 0.0
        out = np.maximum(cash - held, 0.0)
        cash -= out
        distributed += out
        flows[:, t] += out
        if t < periods:
            need = live * planned[t + 1]
            call = np.minimum(np.maximum(need + arrears - cash, 0.0), commitment - called)
            cash += call
            called += call
            flows[:, t] -= call
    rates = np.empty(draws)
    for i in range(draws):
        rate = pyxirr.irr(flows[i]) if distributed[i] > 0 else -1.0
        rates[i] = -1.0 if rate is None else rate
    rates = (1 + rates) ** 4 - 1
    multiples = distributed / called
    np.quantile(rates, QUANTILES), np.quantile(multiples, QUANTILES), np.quantile(paid, QUANTILES)
    return paid, multiples, rates


def _column(plan, here, kind):
    return next(i for i, column in enumerate(plan.columns) if column.path == (*here, "costs", kind))


def ours(deal, draws, seed, threads=None):
    result = sib.simulate(deal, draws=draws, seed=seed, structures=[STRUCTURE], threads=threads)
    return result.draws(STRUCTURE) if draws <= 200_000 else result


def agree(deal, draws=200_000):
    """Compare the answers of the two programs; stop the benchmark if they differ by more than four errors."""
    mine = ours(deal, draws, 1)
    paid, multiples, rates = analyst(deal, draws, 2)
    # no rate below zero is compared: where next to nothing comes back, or capital is called after the last receipt (so
    # that several rates solve the equation), pyxirr finds none or another than the one nearest zero
    rows = [
        ("mean payments", mine["payments"], paid),
        ("P(any payment)", mine["payments"] > 0, paid > 0),
        ("mean multiple", mine["multiple"], multiples),
        ("P(loss)", mine["multiple"] < 1 - 1e-9, multiples < 1 - 1e-9),
        ("P(IRR > 0)", mine["irr"] > 0, rates > 0),
        ("P(IRR > 10%)", mine["irr"] > 0.10, rates > 0.10),
    ]
    for label, a, b in rows:
        error = np.sqrt(a.var() / a.size + b.var() / b.size)
        z = (a.mean() - b.mean()) / error
        print(f"  {label:16s} {a.mean():16,.4f} {b.mean():16,.4f}   {z:+.1f} errors apart")
        if abs(z) > 4:
            raise SystemExit("the two programs do not agree: nothing is timed")


def clock(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def main():
    draws = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    deal = sib.load(DEAL)
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, pyxirr {pyxirr.__version__}; {draws:,} draws, {repeats} repeats, in turn")
    ours(deal, 10_000, 1)
    print("answers at 200,000 draws: simulator, NumPy")
    agree(deal)
    times = {"simulator": [], "simulator, one thread": [], "NumPy with a pyxirr loop": []}
    for repeat in range(repeats):
        times["simulator"].append(clock(ours, deal, draws, repeat))
        times["simulator, one thread"].append(clock(ours, deal, draws, repeat, 1))
        times["NumPy with a pyxirr loop"].append(clock(analyst, deal, draws, repeat))
    base = statistics.median(times["simulator"])
    for name, each in times.items():
        middle = statistics.median(each)
        spread = f"{min(each):.2f} to {max(each):.2f}"
        print(f"  {name:26s} median {middle:7.2f} s ({spread}), ratio to the simulator {middle / base:5.1f}")
    print("apart: whole processes, warm")
    for label, command in (("sib --help", ["--help"]), ("sib check", ["check", str(DEAL)])):
        program = [sys.executable, "-c", "from simulator.cli import main; main()", *command]
        each = [clock(subprocess.run, program, -1, None, subprocess.DEVNULL) for _ in range(5)]
        print(f"  {label:26s} median {statistics.median(each):7.2f} s")


if __name__ == "__main__":
    main()
