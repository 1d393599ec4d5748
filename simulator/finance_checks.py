"""Cross-field checks of a finance agreement: each yields the path of a mistake and one line about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from simulator.deal import (
    INVESTORS,
    MANAGER,
    MONTHS_A_STEP,
    Coupon,
    Deal,
    Finance,
    Fund,
    Guarantee,
    MoneyTable,
    Month,
    RateTable,
    ShareTable,
    Structure,
    outcome_names,
    quantity_of,
)
from simulator.quantity import Quantity, QuantityError
from simulator.yamlfile import nearest

Path = tuple[str | int, ...]
Found = Iterator[tuple[Path, str]]

_TAKEN = ("vehicle", "provider", "service provider", "others", "service", "outcome payers", "payers' own costs")
_NEEDED = ("advances", "planned costs", "rest")


def finance_problems(deal: Deal, structure: Structure, path: Path) -> Found:
    """Find the mistakes of the finance agreement of a resolved structure; `path` is where it stands."""
    finance = structure.finance
    if not isinstance(finance, Finance):
        return
    if (finance.commitment is None) == (finance.tranches is None):
        yield path, "says not exactly one thing; allowed: commitment (one class of investors) or tranches"
        return
    if finance.tranches is not None and not 0 < len(finance.tranches) <= 60:
        yield (*path, "tranches"), f"there are {len(finance.tranches)}; allowed: 1 to 60 tranches"
        return
    yield from _names(structure, finance, path)
    for name, tranche in finance.papers.items():
        here = (*path, "tranches", name) if finance.tranches is not None else path
        if not _expected(deal, tranche.commitment) > 0:
            yield (*here, "commitment"), "is nothing; allowed: more than 0, or finance: none"
        yield from _tranche(deal, finance, name, here)
    yield from _residual(finance, path)
    if finance.guarantee == []:
        yield (*path, "guarantee"), "there is none; allowed: a guarantee, or a list of them"
    for place, guarantee in finance.guarantees.items():
        yield from _guarantee(deal, finance, guarantee, (*path, *place))
    if finance.fund is not None:
        yield from _fund(deal, finance, finance.fund, (*path, "fund"))
    yield from _waterfall(finance, path)


def _fund(deal: Deal, finance: Finance, fund: Fund, here: Path) -> Found:
    if fund.set_up is None and not fund.fees and fund.carry is None:
        yield here, "charges nothing; allowed: set_up, fees or carry"
    if fund.of is not None and fund.of not in {*finance.papers, INVESTORS}:
        yield (*here, "of"), _unknown(fund.of, list(finance.papers), "tranche")
    carry = fund.carry
    if carry is None or carry.catch_up is None or not (carry.catch_up.is_fixed and carry.share.is_fixed):
        return
    if carry.catch_up.value <= carry.share.value:
        yield (
            (*here, "carry", "catch_up"),
            f"{carry.catch_up.text()} is no more than the share of {carry.share.text()}, so that the manager never "
            "catches up; allowed: more than the share, or leave it out",
        )


def _expected(deal: Deal, quantity: Quantity) -> float:
    """Mean of a quantity; 1 if it is the name of nothing, which is said elsewhere."""
    try:
        return quantity_of(deal, quantity).mean()
    except QuantityError:
        return 1.0


def _names(structure: Structure, finance: Finance, path: Path) -> Found:
    """Every party has a name of its own."""
    taken = dict.fromkeys(_TAKEN, "a party of every deal")
    taken |= dict.fromkeys(structure.payers or {}, "a payer")
    for name in finance.tranches or {}:
        if name in taken or (name == INVESTORS and len(finance.papers) > 1):
            why = taken.get(name, "all tranches together")
            yield (*path, "tranches", name), f"the name stands for {why}; allowed: another name"
        taken[name] = "a tranche"
    taken.setdefault(INVESTORS, "all tranches together")
    for name in finance.grants or {}:
        if name in taken:
            yield (*path, "grants", name), f"the name stands for {taken[name]}; allowed: another name"
        taken[name] = "a giver of a grant"
    if finance.fund is not None and MANAGER in taken:
        yield (*path, "fund"), f"its {MANAGER} has the name of {taken[MANAGER]}; allowed: another name for that"
    for place, guarantee in finance.guarantees.items():
        if finance.fund is not None and guarantee.guarantor == MANAGER:
            yield (*path, *place, "guarantor"), "the name stands for the manager of the fund; allowed: another name"
        if guarantee.guarantor in taken:
            why = taken[guarantee.guarantor]
            yield (*path, *place, "guarantor"), f"the name stands for {why}; allowed: another name"


def _tranche(deal: Deal, finance: Finance, name: str, path: Path) -> Found:
    tranche = finance.papers[name]
    dated = tranche.matures is not None
    if tranche.matures is not None:
        yield from _within(deal, tranche.matures, (*path, "matures"))
    if tranche.principal is not None:
        yield from _measure(deal, tranche.principal.by, (*path, "principal", "by"))
        yield from _table(deal, tranche.principal.table, (*path, "principal", "table"))
        if not dated:
            yield (*path, "principal"), "is read at maturity; allowed: with matures: MONTH"
    if tranche.redeemed_early is not None:
        yield from _table(deal, tranche.redeemed_early, (*path, "redeemed_early"))
        if not dated:
            yield (*path, "redeemed_early"), "belongs to paper that matures; allowed: with matures: MONTH"
    coupon = tranche.coupon
    if coupon is not None:
        yield from _coupon(deal, coupon, (*path, "coupon"), dated=dated)
    if tranche.backed_by == "provider" and not dated and (coupon is None or coupon.paid != "in cash"):
        yield (
            (*path, "backed_by"),
            "nothing falls due on a day that the provider could pay; allowed: with matures or a coupon in cash",
        )


def _coupon(deal: Deal, coupon: Coupon, path: Path, *, dated: bool) -> Found:
    if (coupon.rate is None) == (coupon.table is None) or (coupon.by is None) != (coupon.table is None):
        yield path, "says not exactly one thing; allowed: a rate, or by: MEASURE with a table of rates"
    if coupon.by is not None:
        yield from _measure(deal, coupon.by, (*path, "by"))
    if coupon.table is not None:
        yield from _table(deal, coupon.table, (*path, "table"))
    if coupon.paid == "at maturity" and not dated:
        yield (*path, "paid"), "the paper has no maturity; allowed: with matures: MONTH, or in cash, accrued"
    step = deal.time.months
    if MONTHS_A_STEP[coupon.every] % step != 0:
        allowed = ", ".join(word for word, months in MONTHS_A_STEP.items() if months % step == 0)
        yield (*path, "every"), f"a {coupon.every} is no whole number of the deal's steps; allowed: {allowed}"


def _within(deal: Deal, month: Month, path: Path) -> Found:
    time = deal.time
    if not 1 <= time.period(month) <= time.periods:
        last = time.date(time.periods)[:7]
        yield path, f"{month.text()} is outside the deal; allowed: {time.start.text()} to {last}"


def _measure(deal: Deal, name: str, path: Path) -> Found:
    known = [*outcome_names(deal), *deal.measures]
    if name not in known:
        yield path, _unknown(name, known, "measure or outcome")


def _unknown(name: str, known: Sequence[str], what: str) -> str:
    near = nearest(name, known)
    hint = f"did you mean {near!r}?" if near else "allowed: " + (", ".join(known[:12]) or "none is defined")
    return f"no {what} is called {name!r}; {hint}"


def _table(deal: Deal, table: RateTable | ShareTable | MoneyTable, path: Path) -> Found:
    levels = [_expected(deal, level) for level, _ in table.points]
    if not levels:
        yield (*path, "points"), "there is none; allowed: [[LEVEL, VALUE], ...]"
    if any(low >= high for low, high in pairwise(levels)):
        yield (*path, "points"), "levels must rise; allowed: [[LEVEL, VALUE], ...] upward"


def _residual(finance: Finance, path: Path) -> Found:
    if finance.residual is None:
        return
    here = (*path, "residual")
    if finance.surplus_to_investors is not None:
        yield here, "stands beside surplus_to_investors, which says the same; allowed: one of the two"
    if not finance.residual:
        yield here, "has no stage; allowed: [{until: {investors: 5% a year}, to: {...}}, {to: {...}}]"
    names = list(dict.fromkeys([*finance.papers, INVESTORS]))
    for place, stage in enumerate(finance.residual):
        there = (*here, place)
        final = place == len(finance.residual) - 1
        for name in stage.to:
            if name not in names and name != "provider":
                yield (*there, "to", name), _unknown(name, [*names, "provider"], "tranche")
        if all(share.is_fixed for share in stage.to.values()):
            total = sum(share.value for share in stage.to.values())
            if abs(total - 1) > 1e-9:
                yield (*there, "to"), f"the shares add to {100 * total:.6g}%; allowed: 100% in all"
        else:
            yield (*there, "to"), "a share is uncertain; allowed: fixed shares that add to 100%"
        if final != (stage.until is None):
            yield (
                there,
                "allowed: until in every stage but the last" if final else "needs until; the last stage has none",
            )
            continue
        if stage.until is None:
            continue
        if len(stage.until) != 1:
            yield (*there, "until"), "says not exactly one thing; allowed: {NAME: 5% a year} or {NAME: 1.5 times}"
        for name in stage.until:
            if name not in names:
                yield (*there, "until", name), _unknown(name, names, "tranche")
            elif not _gets_something(stage.to, name, finance):
                yield (*there, "until", name), f"{name} gets nothing in this stage; allowed: somebody who does"


def _gets_something(to: dict[str, Quantity], name: str, finance: Finance) -> bool:
    takers = {who for who, share in to.items() if share.mean() > 0}
    return bool(takers & ({name, INVESTORS} if name != INVESTORS else {INVESTORS, *finance.papers}))


def _guarantee(deal: Deal, finance: Finance, guarantee: Guarantee, here: Path) -> Found:
    forms = ("recovery", "share_of_loss", "amount", "by_capital_called")
    if sum(getattr(guarantee, form) is not None for form in forms) != 1:
        yield here, f"says not exactly one thing; allowed: one of {', '.join(forms)}"
    if guarantee.of is not None and guarantee.of not in {*finance.papers, INVESTORS}:
        yield (*here, "of"), _unknown(guarantee.of, list(finance.papers), "tranche")
    if guarantee.due is not None:
        yield from _within(deal, guarantee.due, (*here, "due"))
    if guarantee.by_capital_called is not None:
        yield from _table(deal, guarantee.by_capital_called, (*here, "by_capital_called"))


def _waterfall(finance: Finance, path: Path) -> Found:
    """Everything that can be owed is paid by one action, and the rest comes last."""
    here = (*path, "waterfall")
    done: dict[str, int] = {}
    for place, action in enumerate(finance.waterfall or []):
        if isinstance(action, str):
            done[action] = done.get(action, 0) + 1
            continue
        ((what, whose),) = action.items()
        for name in [whose] if isinstance(whose, str) else whose:
            if name not in finance.papers:
                yield (*here, place, what), _unknown(name, list(finance.papers), "tranche")
            done[f"{what}: {name}"] = done.get(f"{what}: {name}", 0) + 1
    wanted = dict.fromkeys(_NEEDED)
    for name, tranche in finance.papers.items():
        wanted[f"capital: {name}"] = None
        if tranche.coupon is not None:
            wanted[f"{'coupon' if tranche.coupon.paid == 'in cash' else 'interest'}: {name}"] = None
    if finance.deferred is not None:
        wanted |= dict.fromkeys(("deferred delivery", "deferred fees"))
    if finance.rules("defer fees"):
        wanted["deferred fees"] = None
    if any(each.repaid for each in finance.guarantees.values()):
        wanted["guarantor"] = None
    for action in wanted:
        if action not in done:
            yield here, f"never pays {action!r}; allowed: every action of the usual order, once"
    for action, times in done.items():
        if times > 1:
            yield here, f"has {action!r} {times} times; allowed: every action once"
    if finance.waterfall and finance.waterfall[-1] != "rest":
        yield here, "does not end with 'rest'; allowed: rest as the last action"
