"""Cross-field checks of what ends a deal early, of accounts that clauses read, and of service agreements.

Each yields the path of a mistake and one line about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simulator.deal import (
    ACCOUNTS,
    INVESTORS,
    Clause,
    Deal,
    Finance,
    Structure,
    measure_of,
    outcome_names,
    service_periods,
)
from simulator.yamlfile import nearest

Path = tuple[str | int, ...]
Found = Iterator[tuple[Path, str]]

POLICY_CHANGE, NO_MONEY = "policy change", "no money"
_MOST_BREAKS = 60
_OF_FINANCE = ("capital called", "capital outstanding", "paid to investors", "cash in hand")


def ending_problems(deal: Deal, structure: Structure, path: Path, readable: list[str]) -> Found:
    """Find the mistakes of a resolved structure; `path` is where it stands, `readable` names measures.

    Mistakes that :mod:`simulator.checks` tells of clauses and measures are left to it.
    """
    for name, clause in structure.pays.items():
        yield from _compensation(deal, structure, clause, (*path, "pays", name), readable)
        yield from _hurdle(structure, clause, (*path, "pays", name))
        for measure in clause.reads:
            yield from _has_account(deal, structure, measure, (*path, "pays", name))
    yield from _breaks(deal, structure, path, readable)
    yield from _service_agreement(structure, (*path, "service_agreement"))


def account_names(deal: Deal) -> Found:
    """Find outcomes and measures that bear the name of an account."""
    for name in deal.measures:
        if name in ACCOUNTS:
            yield ("measures", name), "the name is taken by an account; allowed: another name"
    for name, outcome in deal.outcomes.items():
        paths: dict[str, Path] = {step: ("outcomes", name, "steps", step) for step in outcome.steps or ()}
        for each, where in (paths or {name: ("outcomes", name)}).items():
            if each in ACCOUNTS:
                yield where, "the name is taken by an account; allowed: another name"


def accounts_in(deal: Deal, name: str) -> set[str]:
    """Accounts from which a measure is made, also one that is composed of itself by mistake."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        measure = measure_of(deal, each)
        if measure.count_of in ACCOUNTS:
            found.add(str(measure.count_of))
        waiting += measure.parts
    return found


def _reads_results(deal: Deal, name: str) -> bool:
    """Whether a measure is made from anything but accounts."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        measure = measure_of(deal, each)
        if not measure.parts and measure.count_of not in ACCOUNTS:
            return True
        waiting += measure.parts
    return False


def _known(name: str, known: Iterable[str], what: str) -> str:
    listed = list(known)
    near = nearest(name, listed)
    hint = f"did you mean {near!r}?" if near else "allowed: " + (", ".join(listed[:12]) or "none is defined")
    return f"no {what} is called {name!r}; {hint}"


def _has_account(deal: Deal, structure: Structure, measure: str, path: Path) -> Found:
    if isinstance(structure.finance, Finance):
        return
    for account in sorted(accounts_in(deal, measure) & set(_OF_FINANCE)):
        yield path, f"reads {account!r}, but nobody finances this structure; allowed: with finance"


def _compensation(deal: Deal, structure: Structure, clause: Clause, path: Path, readable: list[str]) -> Found:
    if clause.due != "at an early end":
        if clause.ended_by is not None:
            yield (*path, "ended_by"), "belongs to compensation; allowed: with due: at an early end"
        return
    if clause.for_ != "the contract":
        return  # said with the other dates
    amount = clause.amount
    if clause.when or clause.unless or clause.any_of or clause.only_if or amount.bands is not None:
        yield path, "compensation has no trigger of its own; allowed: lump_sum, share or price times, by and table"
    for key in ("by", "times"):
        name = getattr(amount, key)
        if name in readable and _reads_results(deal, name):
            yield (*path, "amount", key), f"{name!r} is no account; allowed for compensation: {', '.join(ACCOUNTS)}"
    known = [POLICY_CHANGE, *(structure.breaks or {})]
    if clause.ended_by == []:
        yield (*path, "ended_by"), f"names no end; allowed: {', '.join(known)}"
    for name in clause.ended_by or ():
        if name not in known:
            yield (*path, "ended_by"), _known(name, known, "end")


def _hurdle(structure: Structure, clause: Clause, path: Path) -> Found:
    amount, here = clause.amount, (*path, "amount")
    if (amount.until is None) != (amount.then is None):
        yield here, "until and then belong together; allowed: both or neither"
    if amount.until is None:
        return
    if clause.for_ not in {"each cohort", "all cohorts that ran"} or (amount.price is None and amount.share is None):
        yield (*here, "until"), "is only for cohorts; allowed: with share or price, and times"
    if clause.less:
        yield (*path, "less"), "does not go with until; allowed: amounts that are not cumulative"
    if clause.at_least is not None:
        yield (*path, "at_least"), "does not go with until, which changes a price or share; allowed: without a minimum"
    if amount.then is not None and amount.share is not None and not 0 <= amount.then.mean() <= 1:
        yield (*here, "then"), f"{amount.then.text()} is no share; allowed: 0% to 100%"
    if len(amount.until) != 1:
        yield (*here, "until"), "says not exactly one thing; allowed: {NAME: 5% a year} or {NAME: 1.5 times}"
    if not isinstance(structure.finance, Finance):
        yield (*here, "until"), "nobody finances this structure; allowed: with finance"
        return
    names = list(dict.fromkeys([*structure.finance.papers, INVESTORS]))
    for name in amount.until:
        if name not in names:
            yield (*here, "until", name), _known(name, names, "tranche")


def _breaks(deal: Deal, structure: Structure, path: Path, readable: list[str]) -> Found:
    breaks, time = structure.breaks or {}, deal.time
    if len(breaks) > _MOST_BREAKS:
        yield (*path, "breaks"), f"there are {len(breaks)}; allowed: up to {_MOST_BREAKS}"
    sound = bool(outcome_names(deal)) and bool(deal.cohorts)
    last = service_periods(deal)[1] if sound else time.periods
    for name, terms in breaks.items():
        here = (*path, "breaks", name)
        if name in {POLICY_CHANGE, NO_MONEY}:
            yield here, "the name stands for another end; allowed: another name"
        if not 1 <= time.period(terms.review) < last:
            allowed = f"{time.start.text()} to {time.date(last - 1)[:7]}" if last > 1 else "none, it lasts one period"
            yield (*here, "review"), f"is not during the service; allowed: {allowed}"
        if not terms.when and not terms.unless:
            yield here, "breaks off for no reason; allowed: when, unless, or both"
        for measure in terms.when:
            if measure not in readable:
                yield (*here, "when", measure), _known(measure, readable, "measure or outcome")
            else:
                yield from _has_account(deal, structure, measure, (*here, "when", measure))
        for clause in terms.unless:
            if clause not in structure.pays:
                yield (*here, "unless"), _known(clause, structure.pays, "clause of this structure")


def _service_agreement(structure: Structure, path: Path) -> Found:
    agreed = structure.service_agreement
    if agreed is None:
        return
    if not isinstance(structure.finance, Finance):
        yield path, "nobody finances this structure, so that the payers pay the provider; allowed: with finance"
    forms = (agreed.cost_plus, agreed.fees, agreed.share_of_payments)
    if agreed.cost_plus is not None and agreed.fees is not None:
        yield path, "says two prices; allowed: cost_plus or fees"
    elif all(form is None for form in forms):
        yield path, "says nothing; allowed: cost_plus or fees, share_of_payments"
    if agreed.fees is not None and not agreed.fees:
        yield (*path, "fees"), "there is none; allowed: {NAME: 600000 a year, NAME: 1200 per person}"
    if agreed.cost_plus is not None and (structure.costs is None or structure.costs.delivery is None):
        yield (*path, "cost_plus"), "there is no cost of delivery; allowed: with costs: {delivery: COST}"
