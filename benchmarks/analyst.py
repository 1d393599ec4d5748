"""What the peers of every deal share: its uncertain numbers, the investors' account, and rates of return.

Nothing here imports the simulator, except `sib`, which runs it: the numbers of the deal files are typed out again as an
analyst would read them, so that the peers are independent programs. If a deal file changes, the peers no longer agree
with it, and nothing is timed until they are changed, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import special, stats

if TYPE_CHECKING:
    from simulator import Result

TOP = Path(__file__).parent.parent
STRUCTURE = "as signed"
QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)
_NINETY = 1.6448536269514722  # the 95th percentile of the standard normal
_BATCH = 50_000  # draws of one NumPy batch, so that its arrays stay moderate


# ------------------------------------------------------------------------------------------- uncertain numbers
# A number is (kind, *arguments): `chance` is a 90% interval on the logit scale, `interval` one of a normal.


def _logits(low, high):
    a, b = special.logit([low, high])
    return (a + b) / 2, (b - a) / (2 * _NINETY)


def _betas(low, mode, high):
    return 1 + 4 * (mode - low) / (high - low), 1 + 4 * (high - mode) / (high - low)


def drawn(inputs: Mapping[str, tuple], rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Draw every uncertain number n times."""
    found = {}
    for name, (kind, *args) in inputs.items():
        if kind == "chance":
            found[name] = special.expit(rng.normal(*_logits(*args), n))
        elif kind == "interval":
            low, high = args
            found[name] = rng.normal((low + high) / 2, (high - low) / (2 * _NINETY), n)
        elif kind == "pert":
            found[name] = args[0] + (args[2] - args[0]) * rng.beta(*_betas(*args), n)
        elif kind == "truncated":
            mean, sd, low, high = args
            ends = special.ndtr([(low - mean) / sd, (high - mean) / sd])
            found[name] = mean + sd * special.ndtri(rng.uniform(*ends, n))
        else:
            found[name] = getattr(rng, kind)(*args, n)  # normal, uniform, triangular
    return found


def scipy_form(kind: str, *args: float) -> tuple[object, dict[str, float]]:
    """Give a number as SciPy's distribution and its arguments; a `chance` is still to be taken from its logit."""
    if kind == "normal":
        return stats.norm, {"loc": args[0], "scale": args[1]}
    if kind == "interval":
        return stats.norm, {"loc": sum(args) / 2, "scale": (args[1] - args[0]) / (2 * _NINETY)}
    if kind == "chance":
        at, scale = _logits(*args)
        return stats.norm, {"loc": at, "scale": scale}
    if kind == "uniform":
        return stats.uniform, {"loc": args[0], "scale": args[1] - args[0]}
    if kind == "triangular":
        low, mode, high = args
        return stats.triang, {"c": (mode - low) / (high - low), "loc": low, "scale": high - low}
    if kind == "pert":
        a, b = _betas(*args)
        return stats.beta, {"a": a, "b": b, "loc": args[0], "scale": args[2] - args[0]}
    mean, sd, low, high = args
    return stats.truncnorm, {"a": (low - mean) / sd, "b": (high - mean) / sd, "loc": mean, "scale": sd}


# ------------------------------------------------------------------------------------------- the investors' account


def account(receipts, stop, running, planned_running, set_up, first, last, commitment):
    """Play the account of all draws, quarter by quarter.

    `receipts` is [T + 1, n] by quarter of payment; costs run while the service does, first..last or to `stop`; capital
    is called a quarter ahead for what is planned, and what is not needed for the plan is paid out. Returns the
    investors' flows [n, T + 1], capital called, and what was paid out.
    """
    periods, draws = receipts.shape[0] - 1, receipts.shape[1]
    planned = np.zeros(periods + 2)
    planned[first : last + 1] = planned_running
    planned[1] += set_up
    remaining = planned[::-1].cumsum()[::-1]
    flows = np.zeros((periods + 1, draws))
    cash = np.full(draws, planned[1])
    called = cash.copy()
    flows[0] = -cash
    arrears, out_in_all = np.zeros(draws), np.zeros(draws)
    for t in range(1, periods + 1):
        cost = np.where(t <= stop, running, 0.0) if first <= t <= last else 0.0
        if t == 1:
            cost = cost + set_up
        owed = arrears + cost
        paid = np.minimum(cash, owed)
        arrears = owed - paid
        cash += receipts[t] - paid
        paid = np.minimum(cash, arrears)
        arrears -= paid
        cash -= paid
        going_on = t < stop
        out = np.maximum(cash - going_on * remaining[t + 1], 0.0)
        cash -= out
        out_in_all += out
        flows[t] = out
        if t < periods:
            call = np.minimum(np.maximum(going_on * planned[t + 1] + arrears - cash, 0.0), commitment - called)
            cash += call
            called += call
            flows[t] -= call
    return np.ascontiguousarray(flows.T), called, out_in_all


def account_of_one(receipts, stop, running, planned_running, set_up, first, last, commitment):
    """Play the account of one draw in plain Python; `receipts` is a list by quarter of payment."""
    periods = len(receipts) - 1
    planned = [0.0] * (periods + 2)
    for t in range(first, last + 1):
        planned[t] = planned_running
    planned[1] += set_up
    remaining = [0.0] * (periods + 3)
    for t in range(periods + 1, -1, -1):
        remaining[t] = remaining[t + 1] + planned[t]
    cash = called = planned[1]
    arrears = out_in_all = 0.0
    flows = [-cash]
    for t in range(1, periods + 1):
        cost = running if first <= t <= min(last, stop) else 0.0
        if t == 1:
            cost += set_up
        paid = min(cash, arrears + cost)
        arrears += cost - paid
        cash += receipts[t] - paid
        paid = min(cash, arrears)
        arrears -= paid
        cash -= paid
        out = max(cash - (remaining[t + 1] if t < stop else 0.0), 0.0)
        cash -= out
        out_in_all += out
        flow = out
        if t < periods:
            need = (planned[t + 1] if t < stop else 0.0) + arrears
            call = min(max(need - cash, 0.0), commitment - called)
            cash += call
            called += call
            flow -= call
        flows.append(flow)
    return flows, called, out_in_all


def yearly(rate: float | None) -> float:
    """Rate a year from a rate a quarter; where a solver finds none, next to everything is lost."""
    return -1.0 if rate is None or math.isnan(rate) else (1.0 + rate) ** 4 - 1.0


def rates_by_pyxirr(flows, out_in_all):
    """Loop over the draws with pyxirr, which is compiled but takes one series at a time."""
    import pyxirr

    rates = np.empty(len(flows))
    for i, paid_out in enumerate(out_in_all):
        rates[i] = yearly(pyxirr.irr(flows[i])) if paid_out > 0.0 else -1.0
    return rates


# ------------------------------------------------------------------------------------------- programs
# Each takes draws and a seed and returns payments, multiple and rate of return of each draw.

Answers = dict[str, np.ndarray]


def answers(paid, multiple, rates) -> Answers:
    """Put the answers together, with the quantiles that every program has to find."""
    found = {"payments": np.asarray(paid), "multiple": np.asarray(multiple), "irr": np.asarray(rates)}
    for values in list(found.values()):
        np.quantile(values, QUANTILES), values.mean(), values.std()
    return found


def in_batches(model: Callable, batch: int = _BATCH) -> Callable[[int, int], Answers]:
    """Run a vectorised model in batches; it returns payments, flows, capital called and what was paid out."""

    def run(draws: int, seed: int) -> Answers:
        rng = np.random.default_rng(seed)
        parts = []
        for start in range(0, draws, batch):
            paid, flows, called, out = model(rng, min(batch, draws - start))
            parts.append((paid, out / called, rates_by_pyxirr(flows, out)))
        return answers(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    return run


def looped(inputs: Mapping[str, tuple], one: Callable, prepare: Callable = dict) -> Callable[[int, int], Answers]:
    """Loop over the draws with numpy-financial; `one` plays one draw and returns payments, flows, called, paid out.

    What `prepare` adds to the numbers (draws are the last axis) is worked out for all draws at once.
    """

    def run(draws: int, seed: int) -> Answers:
        import numpy_financial

        rng = np.random.default_rng(seed)
        numbers = prepare(drawn(inputs, rng, draws))
        rows = np.empty((3, draws))
        for i in range(draws):
            paid, flows, called, out = one({name: values[..., i] for name, values in numbers.items()}, rng)
            rows[:, i] = paid, out / called, yearly(numpy_financial.irr(flows) if out > 0.0 else None)
        return answers(*rows)

    return run


def with_monaco(inputs: Mapping[str, tuple], one: Callable) -> Callable[[int, int], Answers]:
    """Run the model of one draw under monaco, with rates of return by pyxirr."""

    def preprocess(case):
        numbers = {name: case.invals[name].val for name in inputs}
        for name, (kind, *_) in inputs.items():
            if kind == "chance":
                numbers[name] = special.expit(numbers[name])
        return numbers, np.random.default_rng(case.seed)

    def play(numbers, rng):
        import pyxirr

        paid, flows, called, out = one(numbers, rng)
        return paid, out / called, yearly(pyxirr.irr(flows) if out > 0.0 else None)

    def postprocess(case, paid, multiple, rate):
        case.addOutVal("payments", paid)
        case.addOutVal("multiple", multiple)
        case.addOutVal("irr", rate)

    def run(draws: int, seed: int) -> Answers:
        import monaco

        functions = {"preprocess": preprocess, "run": play, "postprocess": postprocess}
        sim = monaco.Sim(
            name="bond",
            ndraws=draws,
            fcns=functions,
            seed=seed,
            samplemethod=monaco.SampleMethod.RANDOM,
            singlethreaded=True,
            verbose=False,
            debug=True,
        )
        for name, number in inputs.items():
            dist, keywords = scipy_form(*number)
            sim.addInVar(name=name, dist=dist, distkwargs=keywords)
        sim.runSim()
        return answers(*(np.array(sim.outvars[name].vals) for name in ("payments", "multiple", "irr")))

    return run


def sib(file: str, threads: int | None) -> Callable[[int, int], Result]:
    """Run the simulator itself; the values of each draw are in its result."""
    import simulator

    deal = simulator.load(TOP / "scenarios" / file)

    def run(draws: int, seed: int) -> Result:
        return simulator.simulate(
            deal, draws=draws, seed=seed, structures=[STRUCTURE], threads=threads, sampling="plain"
        )

    return run
