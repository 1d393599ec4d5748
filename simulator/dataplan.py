"""Which data are worth collecting: what a data plan costs both ways, and what its items could be worth.

An item is worth at most what it would be worth to know the numbers that it informs perfectly (EVPPI). That bounds from
above what may be spent on it, so that it can say "drop" and never "collect". What is mandatory is never dropped, and an
item that informs no number of the deal (to steer the service, say) is not valued here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.benefit import valued
from simulator.deal import DataItem, Deal, Worded, quantity_of, service_periods
from simulator.information import DRAWS, information, people_of, serves
from simulator.plan import Plan, compile_plan
from simulator.run import header
from simulator.worlds import Progress, unknowns
from simulator.yamlfile import join_path

NO = "no"
MUST, DROP, CONSIDER, NOT_VALUED = "must", "drop", "consider", "not valued"


def data_plan(
    deal: Deal,
    draws: int = DRAWS,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    value: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Cost a data plan, each party on its own and everything collected once, and bound what each item is worth.

    Parameters
    ----------
    deal, draws, seed, structures, threads, progress, value
        As for :func:`simulator.information.information`. Where neither the file nor `value` says what an additional
        outcome is worth, the payer does not choose, and no item that informs something is valued.

    Returns
    -------
    dict
        The header, ``value``, ``valued``, ``notes``; ``items`` by name: ``kind``, ``needed_by``, ``mandatory``,
        ``informs``, ``cost_each_on_its_own`` and ``cost_collected_once`` over the deal, in expected money, not
        discounted; ``worth_here``, the EVPPI for the payer's choice in this deal, ``worth_later``, the same for the
        people and decisions that ``evidence_serves`` states, and ``advice``: "must" (mandatory), "drop" (collected once
        it costs more than it could be worth, by more than three standard errors), "consider", or "not valued".
        ``total``: both costs of the whole plan, and of its mandatory part.

    Notes
    -----
    EVPPI is proportional to the number of people that a decision is about. Later decisions are taken to be like this
    one; a perfect answer serves each of them in full.
    """
    plan = compile_plan(deal)
    names = {name: _informed(plan, item) for name, item in deal.data_items.items()}
    groups = list(dict.fromkeys(tuple(each) for each in names.values() if len(each) > 1))
    found: Mapping[str, Any] = {}
    notes = []
    worths = valued(plan, value)
    if worths:
        answer = information(deal, draws, seed, structures, threads, progress, value, groups)
        found = answer["decisions"]["payer"]["information"]
    else:
        notes.append("nothing is valued: neither the file nor --value says what an additional outcome is worth")
    here, stated = people_of(plan), serves(plan)
    later = 0.0 if stated["people"] is None else stated["times"]
    items = {name: _item(plan, name, here, later, names[name], found, bool(worths)) for name in deal.data_items}
    total = {
        key: {part: sum(each[key] for each in kept) for part, kept in _parts(items).items()}
        for key in ("cost_each_on_its_own", "cost_collected_once")
    }
    served = None
    if deal.evidence_serves is not None:
        served = {key: getattr(deal.evidence_serves, key).mean() for key in ("people", "decisions")}
    head = header(deal, seed, draws) | {"value": dict(value or {}), "valued": worths}
    head |= {"notes": notes, "people_here": here}
    return head | {"evidence_serves": served, "items": items, "total": total}


def _parts(items: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    return {"all": list(items.values()), "mandatory": [each for each in items.values() if each["mandatory"] != NO]}


def _informed(plan: Plan, item: DataItem) -> list[str]:
    """Names of the unknowns that an item informs; a number that is certain now is none."""
    found = []
    for unknown in unknowns(plan):
        known_as = {unknown.name, *(join_path(plan.columns[index].path) for index in unknown.columns)}
        if known_as.intersection(item.informs):
            found.append(unknown.name)
    return found


def _item(
    plan: Plan, name: str, people: float, later: float, informs: list[str], found: Mapping[str, Any], valued: bool
) -> dict[str, Any]:
    item = plan.deal.data_items[name]
    own, passing = _cost(plan.deal, item.cost, people), _cost(plan.deal, item.passing_on, people)
    parties = len(item.needed_by)
    once = own + passing * (parties - 1)
    worth: dict[str, Any] | None = None
    if valued and item.informs:
        worth = dict(found[" + ".join(informs)]) if informs else {"value": 0.0, "standard_error": 0.0}
    more = None if worth is None else {key: later * each for key, each in worth.items()}
    advice = NOT_VALUED if worth is None or more is None else CONSIDER
    if worth is not None and more is not None:
        # a perfect answer never loses; the estimate may, by chance
        bound = max(worth["value"], 0.0) + max(more["value"], 0.0)
        if once > bound + 3.0 * (worth["standard_error"] + more["standard_error"]):
            advice = DROP
    return {
        "kind": item.kind,
        "needed_by": list(item.needed_by),
        "mandatory": item.mandatory,
        "informs": list(item.informs),
        "cost_each_on_its_own": own * parties,
        "cost_collected_once": once,
        "worth_here": worth,
        "worth_later": more,
        "advice": advice if item.mandatory == NO else MUST,
    }


def _cost(deal: Deal, cost: Worded, people: float) -> float:
    """Expected cost over the deal, as it was planned."""
    first, last = service_periods(deal)
    times = {"a year": (last - first + 1) / deal.time.a_year, "per person": people}
    return quantity_of(deal, cost.quantity).mean() * times.get(cost.form, 1.0)
