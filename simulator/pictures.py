"""Which figure answers which question: from the answers of a deal to a finished figure.

The report and `sib plot` draw the same figures from the same functions. A figure that has nothing to show is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import cash as cash_of
from simulator import figures
from simulator.compare import compare
from simulator.deal import Deal, is_share
from simulator.dossier import CONVENTIONAL, Progress, few, lead_of
from simulator.information import information as information_of
from simulator.luck import luck as luck_of
from simulator.present import brief
from simulator.result import Result
from simulator.run import simulate
from simulator.sensitivity import sensitivity as sensitivity_of
from simulator.terms import Curve, Terms, curve, terms
from simulator.triggers import triggers as triggers_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Answers = Mapping[str, Any]
PUBLIC = "public sector"
_PARTS = {
    "paying_on_outcomes": ("paying on outcomes", figures.GREEN),
    "outside_capital": ("outside capital", figures.VERMILION),
    "set_up_and_evaluation": ("set-up and evaluation", figures.PURPLE),
}
PARTS = {key: word for key, (word, _) in _PARTS.items()}
"""Words for the parts of the cost of a bond."""


def spoken(path: str) -> str:
    """Write the path of a number for people."""
    return path.removeprefix("outcomes.").removeprefix("structures.").replace("_", " ").replace(".", ", ")


def _rows(number: int) -> float:
    return 1.0 + 0.85 * number


def multiple(result: Result) -> Figure | None:
    """Multiple on called capital by structure, losses hatched."""
    return _returns(figures.multiples, result)


def irr(result: Result) -> Figure | None:
    """IRR by structure, negative returns hatched."""
    return _returns(figures.irrs, result)


def _returns(draw: Callable[..., None], result: Result) -> Figure | None:
    number = sum(result[name].investor is not None for name in result.structures)
    return figures.drawn(draw, result, height=_rows(number)) if number else None


def cost(result: Result) -> Figure | None:
    """Payers' cost less that of the conventional fee, paired draw by draw."""
    if CONVENTIONAL not in result.structures or len(result.structures) < 2:
        return None
    return figures.drawn(figures.cost_against, result, height=_rows(len(result.structures) - 1))


def pay_off(deal: Deal, each: Terms, found: Curve | None) -> Figure | None:
    """What a structure pays over the results of one clause, or the clause alone; nothing where nothing is paid."""
    if each.driver is None or found is None or not any(paid for _, paid in found.points):
        return None
    # a bound shows as a jump or a bend
    named = [(row.result, row.what.split(",")[0]) for row in each.pay_offs]
    marks = [(place, name) for place, name in named if name not in {"", "a bound"}]
    share = is_share(deal, each.driver)
    points = found.points
    return figures.drawn(figures.pay_off, points, label=each.driver, currency=deal.currency, share=share, marks=marks)


def budget(compared: Answers, lead: str) -> Figure | None:
    """All payers' cash by financial year."""
    payers = compared["structures"][lead]["budget"]["payers"]
    years = (payers.get(PUBLIC) or next(iter(payers.values())))["years"]
    return figures.drawn(figures.budget, years, currency=compared["currency"]) if years else None


def power(triggers: Answers, lead: str) -> Figure | None:
    """Probability of any payment by the true effect."""
    found = triggers["structures"][lead]["triggers"]["any payment"].get("power")
    effects = [each for each in triggers["effects"].values() if each is not None]
    if not found or len(effects) != 1:
        return None
    has_promise = effects[0]["promised"] is not None
    promised = effects[0]["promised"] if has_promise else effects[0]["expected"]
    if promised <= 0.0:
        return None
    return figures.drawn(figures.power, found, promised=promised, unit=effects[0]["unit"], has_promise=has_promise)


def luck(found: Answers, lead: str) -> Figure | None:
    """Where the variance of each metric comes from."""
    metrics = found["structures"][lead]
    words = {"irr": "IRR", "cost": "payers' cost"}
    shares = {words.get(name, name.replace("_", " ")): each and each["shares"] for name, each in metrics.items()}
    number = sum(each is not None for each in shares.values())
    return figures.drawn(figures.luck_or_skill, shares, height=0.9 + 0.45 * number) if number else None


def tornado(sensitivity: Answers, lead: str) -> Figure | None:
    """What moves the mean multiple, or without investors the payers' cost."""
    metrics = sensitivity["structures"][lead]
    key = "multiple" if metrics.get("multiple") else "cost_present_value"
    found = metrics.get(key)
    if not found or not found.get("tornado"):
        return None
    is_multiple = key == "multiple"
    currency = sensitivity["currency"]
    return figures.drawn(
        figures.tornado,
        found,
        names={path: spoken(path) for path in sensitivity["unknowns"]},
        label="mean multiple on called capital"
        if is_multiple
        else f"payers' cost, present value ({brief(sensitivity['present_values'], 'payer')}), {currency}",
        unit="" if is_multiple else currency,
        even=1.0 if is_multiple else None,
        height=1.1 + 0.31 * len(figures.widest(found["tornado"])),
    )


def cases(result: Result, found: Answers, lead: str) -> Figure | None:
    """Base, low and high case on the distribution of the multiple."""
    points = {name: each["value"] for name, each in found.items() if each is not None}
    values = result.draws(lead)["multiple"]
    if not points or np.isnan(values).all():
        return None
    return figures.drawn(figures.cases, values, points, label="multiple on called capital", height=2.4)


def fan(flows: cash_of.Cash, currency: str) -> Figure:
    """Cash so far of payers, investors and provider."""
    parties = (cash_of.PAYERS, cash_of.INVESTORS, cash_of.PROVIDER)
    years = [t / flows.a_year for t in range(len(flows.dates))]
    return figures.drawn(figures.fan, {each: flows.flows[each] for each in parties}, years=years, currency=currency)


def typical_and_bad(flows: cash_of.Cash) -> tuple[int, int]:
    """Choose two draws: the investors', or without them the payers', cash in the middle, and at the 5th percentile."""
    invested = flows.flows[cash_of.INVESTORS].sum(axis=1)
    order = np.argsort(invested if invested.any() else flows.flows[cash_of.PAYERS].sum(axis=1), kind="stable")
    return int(order[order.size // 2]), int(order[order.size // 20])


def waterfall(flows: cash_of.Cash, draw: int, currency: str) -> Figure:
    """Where the money of one draw came from and went, added up over the deal."""
    total = {party: float(each[draw].sum()) for party, each in flows.flows.items()}
    invested = flows.flows[cash_of.INVESTORS][draw]
    parts = [
        ("outcome payers pay", -total[cash_of.PAYERS], figures.BLUE),
        ("grants", -total.get(cash_of.GRANTS, 0.0), figures.ORANGE),
        ("the guarantor, net", -total.get(cash_of.GUARANTOR, 0.0), figures.ORANGE),
        ("investors put in", float(-np.minimum(invested, 0.0).sum()), figures.VERMILION),
        ("set-up, management, evaluation", -total[cash_of.OTHERS], figures.PURPLE),
        ("delivery of the service", -total[cash_of.DELIVERY], figures.GREEN),
        ("investors get back", float(-np.maximum(invested, 0.0).sum()), figures.VERMILION),
        ("service provider keeps", -total[cash_of.PROVIDER], figures.GREEN),
    ]
    shown = [each for each in parts if abs(each[1]) >= 0.5]
    return figures.drawn(
        figures.steps, shown, label=f"money in and out over the deal, {currency}", unit=currency, height=2.5
    )


def price(compared: Answers, lead: str) -> Figure | None:
    """What is added to the conventional fee to reach the payers' cost of a structure."""
    found = compared["structures"][lead]
    bond = found["cost_of_the_bond"]
    if bond is None or lead == CONVENTIONAL:
        return None
    theirs = found["cost"]["mean"] - sum(each["value"] for each in bond.values())
    amounts = [(CONVENTIONAL, theirs, figures.INK)]
    parts = [(word, bond[key]["value"], colour) for key, (word, colour) in _PARTS.items()]
    amounts += [(word, 0.0 if abs(amount) < 0.5 else amount, colour) for word, amount, colour in parts]
    currency = compared["currency"]
    label = f"payers' cost, present value ({brief(compared['present_values'], 'payer')}), {currency}"
    return figures.drawn(figures.steps, amounts, label=label, unit=currency, total=lead, height=2.4)


def information(found: Answers, decision: str) -> Figure | None:
    """What knowing each number could be worth at most for one decision; None if nothing is worth knowing."""
    worth = found["decisions"].get(decision, {}).get("information") or {}
    worth = {path: each for path, each in worth.items() if each["value"] > 0.0}
    if not worth:
        return None
    names = {path: spoken(path) for path in worth}
    height = 1.0 + 0.31 * min(len(worth), 8)
    return figures.drawn(figures.information_worth, worth, currency=found["currency"], names=names, height=height)


# ---------------------------------------------------------------------------------------------------------------
# sib plot
# ---------------------------------------------------------------------------------------------------------------

PLOTS = {
    "multiple": "multiple on called capital by structure",
    "irr": "IRR by structure",
    "cost": "payers' cost against the conventional fee, draw by draw",
    "pay-off": "what the first clause pays at every result",
    "budget": "cash by financial year",
    "power": "probability of payment by the true effect",
    "luck": "what we don't know, luck and measurement",
    "tornado": "what moves the multiple",
    "fan": "cash so far by party",
    "typical": "money in and out in a draw in the middle",
    "bad": "money in and out in a draw of the worst twentieth",
    "price": "the price of the bond taken apart",
    "information": "what knowing more is worth at most to the investor",
}
"""Names of figures and what they show."""


def plot(
    deal: Deal,
    name: str,
    draws: int = 100_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Figure | None:
    """Ask what a figure needs and draw it.

    Parameters
    ----------
    deal, seed, structures, threads
        As for :func:`simulator.simulate`; figures of one structure are about `as signed`, or else the first.
    name
        One of :data:`PLOTS`.
    draws
        At most so many; questions that simulate many worlds take fewer.
    progress
        Called with the draws done and the draws in all; never where a figure needs few.

    Returns
    -------
    matplotlib.figure.Figure or None
        None where this deal has nothing to show.

    Raises
    ------
    KeyError
        For an unknown figure or structure.
    """
    if name not in PLOTS:
        raise KeyError(name)
    lead = lead_of(deal, structures)
    names = [each for each in deal.structures if structures is None or each in structures]
    if name in {"multiple", "irr", "cost"}:
        result = simulate(deal, draws, seed, names, threads, progress)
        return {"multiple": multiple, "irr": irr, "cost": cost}[name](result)
    if name == "pay-off":
        first = next((each for each in terms(deal, lead) if each.driver is not None), None)
        return None if first is None else pay_off(deal, first, curve(deal, lead, first.clause))
    if name in {"budget", "price"}:
        compared = compare(deal, draws, seed, [lead], budget=name == "budget", threads=threads, progress=progress)
        return {"budget": budget, "price": price}[name](compared, lead)
    if name in {"fan", "typical", "bad"}:
        flows = cash_of.cash_flows(deal, min(draws, cash_of.DRAWS), seed, [lead])[lead]
        if name == "fan":
            return fan(flows, deal.currency)
        return waterfall(flows, typical_and_bad(flows)[name == "bad"], deal.currency)
    if name == "information":
        known = information_of(deal, few(deal, name, draws), seed, [lead], threads, progress)
        return information(known, f"investor: {lead}")
    ask, question, draw = {
        "power": (triggers_of, "triggers", power),
        "luck": (luck_of, "luck", luck),
        "tornado": (sensitivity_of, "sensitivity", tornado),
    }[name]
    return draw(ask(deal, few(deal, question, draws), seed, [lead], threads, progress), lead)
