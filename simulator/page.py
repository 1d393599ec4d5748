"""The report as one self-contained page: what `sib report DEAL -o FILE.html` writes.

It loads nothing: no script, no style, no font, no image from anywhere, which its content security policy says to the
browser, too. Every name and text of a deal file is escaped, in the figures as in the page. The same answers give the
same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from simulator import __version__, figures, pictures
from simulator import cash as cash_of
from simulator.deal import INVESTORS, Amount, Clause, Deal, is_share, payers_of, plain_value, quantity_of
from simulator.dossier import CONVENTIONAL, MOST_CURVES, Dossier
from simulator.information import EVERYTHING
from simulator.paper_words import paper_words
from simulator.present import brief, said
from simulator.report import (
    as_break,
    as_estimate,
    as_mean,
    as_money,
    as_number,
    as_percent,
    as_probability,
    as_ratio,
    as_years,
)
from simulator.terms import Curve, Terms, around, what_of
from simulator.triggers import ANY

Answers = Mapping[str, Any]
Part = dict[str, Any]
_MOST = 12
"""Rows of a table of unknowns."""
_WIDE, _SHORT = 7, 16
"""Columns above which a table is set tightly, rows up to which it stays on one sheet of paper."""
_NAMED = 6
"""Clauses that are named where there is room for some only."""


# ---------------------------------------------------------------------------------------------------------------
# Parts of a section
# ---------------------------------------------------------------------------------------------------------------


def _text(words: str, *, quiet: bool = False) -> Part:
    return {"kind": "text", "text": words, "quiet": quiet}


def _heading(words: str) -> Part:
    return {"kind": "heading", "text": words}


def _list(entries: Iterable[str], *, cliff: bool = False) -> Part:
    return {"kind": "list", "entries": list(entries), "cliff": cliff}


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = ()) -> Part | None:
    """A table; `words` are the columns, from 1, that hold words and not numbers. None without rows."""
    filled = [list(row) for row in rows]
    if not filled:
        return None
    shape = [*(["dense"] if len(head) > _WIDE else []), *(["short"] if len(filled) <= _SHORT else [])]
    return {
        "kind": "table",
        "caption": caption,
        "head": list(head),
        "rows": filled,
        "words": list(words),
        "shape": " ".join(shape),
    }


def _figures(*drawn: Part | None) -> Part | None:
    shown = [each for each in drawn if each is not None]
    return {"kind": "figures", "figures": shown} if shown else None


_VARIABLES = {
    figures.BLUE: "blue",
    figures.VERMILION: "vermilion",
    figures.GREEN: "green",
    figures.PURPLE: "purple",
    figures.ORANGE: "orange",
    figures.SKY: "sky",
    figures.INK: "ink",
    figures.QUIET: "guide",
    figures.ON_BLUE: "on-blue",
    figures.ON_LIGHT: "on-light",
}
"""Colours that the page replaces, so that figures follow light and dark."""


def _figure(name: str, title: str, caption: str, drawn: Any) -> Part | None:
    """Put a figure into the page: its own names for its parts, colours that follow the page, a title that is read out.

    `name` is made of letters and digits; titles and captions may hold anything. None without a drawing.
    """
    if drawn is None:
        return None
    drawn.patch.set_visible(False)
    for axes in drawn.axes:
        axes.patch.set_visible(False)
    text = figures.rendered(drawn, "svg", name).decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"font: ([0-9.]+px)[^;\"]*", r"font: \1 system-ui, sans-serif", text)
    for colour, variable in _VARIABLES.items():
        text = re.sub(re.escape(colour), f"var(--{variable})", text, flags=re.IGNORECASE)
    view = re.search(r'viewBox="([^"]*)"', text)
    assert view is not None
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{view[1]}" '
        f'role="img" aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(caption)}</desc>'
    )
    return {"svg": Markup(opening + text[text.index(">") + 1 :]), "caption": caption}


# ---------------------------------------------------------------------------------------------------------------
# The deal on one screen
# ---------------------------------------------------------------------------------------------------------------


def _cards(found: Answers, currency: str) -> list[Part]:
    """The figures of the lead that decide."""

    def card(name: str, value: str, small: str) -> Part:
        return {"name": name, "value": value, "small": small}

    def chance(each: Answers) -> tuple[str, str]:
        if each["probability"] is None:
            return "–", "not defined"
        return f"{each['probability']:.1%}", f"± {100 * each['standard_error']:.2f}%"

    cards = [card("P(any payment)", *chance(found["triggers"]["any payment"]))]
    investor = found["investor"]
    if investor is not None:
        irr = investor["irr"]
        spread = "–" if irr["p05"] is None else f"p05 {irr['p05']:.0%}, p95 {irr['p95']:.0%}"
        cards += [
            card("IRR a year, median", as_percent(irr["p50"]), spread),
            card("P(loss of capital)", *chance(investor["probability_of_loss"])),
            card("multiple, mean", as_ratio(investor["multiple"]["mean"]), _error(investor["multiple"])),
        ]
        net = investor.get("net")
        if net is not None:
            small = f"P(loss) {net['probability_of_loss']['probability'] or 0.0:.1%}"
            cards.append(card("IRR net of fund fees, median", as_percent(net["irr"]["p50"]), small))
    payer = found["payer"]
    cost = payer["cost"]
    cards.append(card(f"payers' cost, {currency}", figures.show(cost["mean"], currency), _error(cost, currency)))
    share = payer["deadweight_share"]
    if share is not None:
        cards.append(card("deadweight paid", as_percent(share["value"]), "of payments, would have happened anyway"))
    return cards


def _error(summary: Answers, unit: str = "") -> str:
    error = summary["standard_error"]
    return "" if error is None else f"± {figures.show(error, unit)}"


def _flow(dossier: Dossier, found: Answers) -> list[Part]:
    """Who pays whom, for what: boxes of the parties, and between them what moves."""
    deal, lead = dossier.deal, dossier.deal.structures[dossier.lead]
    paths, currency = dossier.cash[dossier.lead], deal.currency

    def money(amount: float) -> str:
        return f"{currency} {figures.show(amount + 0.0, currency)}"

    def box(who: str, what: str, colour: str, *, both: bool = False) -> Part:
        return {"who": who, "what": what, "colour": colour, "both": both, "arrow": ""}

    def arrow(words: str, *, both: bool = False) -> Part:
        return {"arrow": words, "both": both}

    payments = found["payments"]
    payers = "; ".join(f"{who} {money(each['cost']['mean'])}" for who, each in found["payers"].items())
    payers += ", expected with their own costs" if payers else ""
    paid = (
        f"↓ pay {money(payments['mean'])} expected (p05 {figures.show(payments['p05'], currency)}, "
        f"p95 {figures.show(payments['p95'], currency)}) for: {_some(list(lead.pays)) or 'nothing'}"
    )
    delivery = float(paths.path(cash_of.DELIVERY).sum())
    others = float(paths.path(cash_of.OTHERS).sum())
    left = float(paths.path(cash_of.PROVIDER).sum())
    people = _people(deal)
    provider = box("Service provider", f"is left with {money(left)} after delivery", "green")
    other = box("Set-up, management, evaluation", f"{money(others)} in all", "purple")
    last = [
        arrow(f"↓ a service that costs {money(delivery)}", both=True),
        box("People", people, "line", both=True),
    ]
    if found["investor"] is None:
        return [
            box("Outcome payers", payers or "the public payers", "blue", both=True),
            arrow(paid, both=True),
            provider,
            other,
            *last,
        ]
    flows = paths.flows[cash_of.INVESTORS]
    put_in = float(-np.minimum(flows, 0.0).mean(axis=0).sum())
    back = float(np.maximum(flows, 0.0).mean(axis=0).sum())
    return [
        box("Outcome payers", payers or "the public payers", "blue"),
        box("Investors", _commitment(deal, lead) + _beside_them(lead, found, currency), "vermilion"),
        arrow(paid),
        arrow(f"↓ put in {money(put_in)}, ↑ get back {money(back)}, both expected"),
        box("The deal's account", "costs first, then capital, then what is left", "sky", both=True),
        arrow(f"↓ {money(delivery)} for delivery, whatever the results"),
        arrow(f"↓ {money(others)}, with the payers' own costs"),
        provider,
        other,
        *last,
    ]


def _some(names: Sequence[str]) -> str:
    """Name the first few and count the others."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"


def _commitment(deal: Deal, lead: Any) -> str:
    papers = {name: quantity_of(deal, each.commitment).mean() for name, each in lead.finance.papers.items()}
    words = [f"{deal.currency} {figures.show(amount, deal.currency)}" for amount in papers.values()]
    if len(papers) == 1:
        return f"commit {words[0]}"
    return "commit " + "; ".join(f"{name} {word}" for name, word in zip(papers, words, strict=True))


def _beside_them(lead: Any, found: Answers, currency: str) -> str:
    """Say who stands behind the investors, and what a fund that holds their paper takes."""
    guarantors, net = lead.finance.guarantors, found["investor"].get("net")
    words = f"; {', '.join(guarantors)} will pay for some of their loss" if guarantors else ""
    if net is None:
        return words
    taken = figures.show(net["fees"]["mean"] + net["carry"]["mean"], currency)
    whose = "a fund holds it" if net["of"] == INVESTORS else f"a fund holds {net['of']}"
    return f"{words}; {whose} and takes {currency} {taken}, expected"


def _people(deal: Deal) -> str:
    rows = []
    for name, cohort in deal.cohorts.items():
        number = quantity_of(deal, cohort.people).mean() * quantity_of(deal, cohort.referrals).mean()
        rows.append(f"{name}: {number:,.0f} expected")
    return "; ".join(rows)


def _side_by_side(run: Answers) -> Part | None:
    structures: Mapping[str, Answers] = run["structures"]

    def investor(key: str, show: Any) -> list[str]:
        return ["–" if each["investor"] is None else show(each["investor"][key]) for each in structures.values()]

    def payer(key: str, show: Any) -> list[str]:
        return [show(each["payer"][key]) for each in structures.values()]

    rows = [
        ["P(any payment)", *(as_probability(each["triggers"]["any payment"]) for each in structures.values())],
        ["payments, mean", *(as_mean(each["payments"], as_money) for each in structures.values())],
        ["payments, p95", *(as_money(each["payments"]["p95"]) for each in structures.values())],
        ["investors: IRR, median", *investor("irr", lambda each: as_percent(each["p50"]))],
        ["investors: IRR, p05", *investor("irr", lambda each: as_percent(each["p05"]))],
        ["investors: multiple, mean", *investor("multiple", lambda each: as_mean(each, as_ratio))],
        ["investors: P(loss)", *investor("probability_of_loss", as_probability)],
        ["investors: loss given loss", *investor("loss_given_loss", lambda each: as_estimate(each, as_percent))],
        ["payers' cost, mean", *payer("cost", lambda each: as_mean(each, as_money))],
        [
            f"payers' cost, present value ({brief(run['present_values'], 'payer')})",
            *payer("cost_present_value", lambda each: as_mean(each, as_money)),
        ],
        ["deadweight share", *payer("deadweight_share", lambda each: as_estimate(each, as_percent))],
    ]
    nets = [(each["investor"] or {}).get("net") for each in structures.values()]
    if any(nets):
        rows[8:8] = [
            ["net of fund fees: IRR, median", *("–" if not net else as_percent(net["irr"]["p50"]) for net in nets)],
            ["net of fund fees: P(loss)", *(as_probability(net and net["probability_of_loss"]) for net in nets)],
        ]
    rows.append(
        [
            "provider: P(deficit)",
            *(as_probability(each["provider"]["probability_of_deficit"]) for each in structures.values()),
        ]
    )
    return _table(f"Every structure on the same {run['draws']:,} draws, {run['currency']}", ["", *structures], rows)


def _outcomes(run: Answers) -> Part | None:
    rows = []
    for name, each in run["outcomes"].items():
        better = ", fewer is better" if each["better"] == "fewer" else ""
        rows.append([f"{name}, {each['unit']}{better}", *(as_mean(each[key], as_number) for key in _OUTCOME_COLUMNS)])
    return _table(
        "Outcomes: mean ± standard error", ["", "true", "without the service", "additional", "verified"], rows
    )


_OUTCOME_COLUMNS = ("true", "without_service", "additional", "verified")


# ---------------------------------------------------------------------------------------------------------------
# a. The terms
# ---------------------------------------------------------------------------------------------------------------


def _terms(dossier: Dossier) -> list[Part | None]:
    deal = dossier.deal
    parts: list[Part | None] = [
        _text(
            "Each clause in words, and what is paid from failure to stretch. Everything else stands at its mean, all "
            "cohorts do equally well. A curve is what all clauses together pay, or, where the others would hide it, "
            "what the clause alone does."
        )
    ]
    drawn: list[Part | None] = []
    for number, each in enumerate(dossier.terms[dossier.lead]):
        found = dossier.curves.get(each.clause)
        picture = pictures.pay_off(deal, each, found)
        caption = "" if found is None else _what_is_drawn(deal, each, found, dossier.lead)
        drawn.append(_figure(f"payoff{number}", f"Pay-off by {each.driver}", caption, picture))
    for name in dossier.terms:
        parts.append(_heading(name))
        note = deal.structures[name].note
        if note:
            parts.append(_text(note))
        parts += _clauses(dossier, name)
        said = around(deal, name)
        parts += [_list(said)] if said else []
        paper = paper_words(deal, name)
        if paper and (name == dossier.lead or paper != paper_words(deal, dossier.lead)):
            parts += [_text("The investors' paper:"), _list(paper)]
        if name == dossier.lead:
            parts.append(_figures(*drawn))
            parts += [_pay_off_table(deal, each) for each in dossier.terms[name][:MOST_CURVES]]
        cliffs = [f"Cliff: {words}" for each in dossier.terms[name] for words in each.cliffs]
        cliffs += [f"Perverse: {words}" for each in dossier.terms[name] for words in each.perverse]
        if cliffs:
            parts.append(_list(cliffs, cliff=True))
    return parts


def _clauses(dossier: Dossier, name: str) -> list[Part | None]:
    """The clauses in words; the plain rows of a long card as a table, since they differ in what and how much only."""
    deal, clauses = dossier.deal, dossier.deal.structures[name].pays
    plain = [
        each
        for each, clause in clauses.items()
        if clause == Clause(for_="each participant", amount=Amount(price=clause.amount.price, times=each))
    ]
    card: list[Part | None] = []
    if len(plain) > MOST_CURVES:
        rows = [[each, str(plain_value(clauses[each].amount.price))] for each in plain]
        payers = ", ".join(payers_of(deal.structures[name]))
        caption = f"Rate card: what is paid for each participant by {payers}, {deal.currency}"
        card.append(_table(caption, ["for each", "price"], rows))
    else:
        plain = []
    others = [f"{each.clause}: {each.sentence}" for each in dossier.terms[name] if each.clause not in plain]
    return [*card, _list(others) if others else None]


def _what_is_drawn(deal: Deal, each: Terms, found: Curve, lead: str) -> str:
    """Caption of a pay-off curve."""
    marked = " Cliffs are marked." if each.cliffs else ""
    if found.whole:
        return f"What {lead} pays, by {each.driver}.{marked}"
    least, most = (f"{deal.currency} {figures.show(paid, deal.currency)}" for paid in (found.least, found.most))
    together = f"{most}, whatever it is" if found.most - found.least < 0.005 * found.most else f"{least} to {most}"
    return (
        f"What {each.clause} alone pays, by {each.driver}, within its own limits.{marked} All clauses together pay "
        f"{together}."
    )


def _pay_off_table(deal: Deal, each: Terms) -> Part | None:
    if each.driver is None:
        return None
    share = is_share(deal, each.driver)
    then = any(row.then is not None for row in each.pay_offs)
    rows = [
        [
            _level(row.result) if not share else f"{100 * row.result:.4g}%",
            as_money(row.clause),
            *([as_money(row.then)] if then else []),
            as_money(row.structure),
            what_of(row),
        ]
        for row in each.pay_offs
    ]
    head = [each.driver, "this clause pays", *(["once the return is reached"] if then else [])]
    head += ["all clauses pay", "which is"]
    return _table(f"{each.clause}: paid at each result, {deal.currency}", head, rows, words=[len(head) - 1])


# ---------------------------------------------------------------------------------------------------------------
# b. The finance officer's page
# ---------------------------------------------------------------------------------------------------------------


def _budget(dossier: Dossier) -> list[Part | None]:
    found = dossier.compared["structures"][dossier.lead]
    budget, currency = found["budget"], dossier.deal.currency
    parts: list[Part | None] = [
        _text(
            "Cash of the payers by financial year, nominal. The maximum follows from caps, prices, people and dates "
            "alone. Owed if terminated is what falls due later for people already referred if the service stops at the "
            "end of that year."
        )
    ]
    payers = dict(budget["payers"])
    everybody = payers.get(pictures.PUBLIC) or next(iter(payers.values()))
    drawn = pictures.budget(dossier.compared, dossier.lead)
    caption = "Payers' cash by financial year: expected, 95th percentile, and the most that the contract allows."
    parts.append(_figures(_figure("budget", "Cash by financial year", caption, drawn)))
    if len(payers) == 2:
        (alone,) = (each["years"] for payer, each in payers.items() if payer != pictures.PUBLIC)
        if alone == everybody["years"] or all(year["cashable_savings"] is None for year in everybody["years"]):
            del payers[pictures.PUBLIC]
    head = [
        "year",
        "expected",
        "P50",
        "P95",
        "maximum",
        "slippage",
        "owed if terminated",
        "owed, P95",
        "cashable saving",
    ]
    for payer, each in payers.items():
        rows = []
        for year in each["years"]:
            owed = year["commitment_if_terminated"]
            rows.append(
                [
                    str(year["year"]),
                    as_estimate(year["expected"], as_money),
                    *(as_money(year[key]) for key in ("p50", "p95", "contractual_maximum", "slippage")),
                    as_estimate(owed["expected"], as_money),
                    as_money(owed["p95"]),
                    as_estimate(year["cashable_savings"], as_money),
                ]
            )
        every = each["all_years"]
        numbers = [as_money(every[key]) for key in ("p50", "p95", "contractual_maximum")]
        rows.append(["all years", as_estimate(every["expected"], as_money), *numbers, "–", "–", "–", "–"])
        parts.append(_table(f"{payer}, {currency}", head, rows))
    parts += _payers_with_rules(dossier, payers)
    if budget["no_maximum_because"]:
        parts.append(_text(f"No maximum where – stands: {budget['no_maximum_because']}", quiet=True))
    share = found["deadweight_share"]
    if share is not None:
        expected = dossier.run["structures"][dossier.lead]["payments"]["mean"]
        parts.append(
            _text(
                f"Deadweight paid: {as_estimate(share, as_percent)} of payments, {currency} "
                f"{as_money(share['value'] * expected)} expected, is for outcomes that would have happened anyway."
                if share["value"] >= 0.0
                else f"Deadweight paid: none ({as_estimate(share, as_percent)}): more outcomes are additional than are "
                "paid for."
            )
        )
    return parts


def _payers_with_rules(dossier: Dossier, shown: Answers) -> list[Part | None]:
    """Cash by financial year of payers whose limits, layers and clauses are played, and not shares of the whole."""
    found, parts = dossier.run["structures"][dossier.lead]["payers"], []
    for payer, each in found.items() if len(found) > 1 else ():
        if payer in shown:
            continue
        rows = [
            [
                str(year["year"]),
                as_mean({"mean": year["mean"], "standard_error": year["standard_error"]}, as_money),
                *(as_money(year[key]) for key in ("p50", "p95", "maximum")),
            ]
            for year in each["by_year"]
        ]
        rows.append(
            ["all years", as_mean(each["cost"], as_money), *(as_money(each["cost"][key]) for key in _MIDDLE), "–"]
        )
        head = ["year", "expected", "P50", "P95", "largest simulated"]
        parts.append(_table(f"{payer}, {dossier.deal.currency}", head, rows))
    return parts


_MIDDLE = ("p50", "p95")


# ---------------------------------------------------------------------------------------------------------------
# c. If we pay, was it real?
# ---------------------------------------------------------------------------------------------------------------


def _real(dossier: Dossier) -> list[Part | None]:
    found = dossier.triggers["structures"][dossier.lead]
    rows = []
    for clause, each in found["triggers"].items():
        keys = ("probability", "false_trigger", "missed_trigger", "no_effect_if_met", "below_promise_if_met")
        rows.append(
            [clause, *(as_probability(each[key]) for key in keys), as_estimate(each["deadweight_share"], as_percent)]
        )
    head = ["clause", "P(paid)", "paid, were there no effect", "unpaid, though as promised"]
    head += ["no real effect, given paid", "below the promise, given paid", "deadweight share"]
    parts: list[Part | None] = [
        _text(
            "The true effect is what the service does, not what one cohort happened to show. Paid, were there no "
            "effect: how often luck and measurement alone would pay. No real effect given paid: how often, when it "
            f"pays, there was nothing there. On {dossier.triggers['draws']:,} draws."
        ),
        _table(f"If {dossier.lead} pays, was it real?", head, rows),
    ]
    caption = "Probability of any payment by the true effect; hatched: paid for nothing, and unpaid though it worked."
    power = pictures.power(dossier.triggers, dossier.lead)
    drawn = [_figure("power", "Power of the evaluation", caption, power)]
    caption = "Where the variance comes from: what nobody knows, luck given that, and measurement given both."
    drawn.append(_figure("luck", "Luck or skill", caption, pictures.luck(dossier.luck, dossier.lead)))
    parts.append(_figures(*drawn))
    for key, words in (("comparison_arm", "comparison arm"), ("cohort", "cohorts")):
        parts += _sizes(dossier, key, words)
    return [*parts, *_worth_of_evidence(dossier)]


ALWAYS = 0.995
"""Chance of being paid without an effect from which on a trigger says nothing about it."""
GOOD = 0.05
"""Chance of a false, and of a missed trigger, that an evaluation usually allows."""


def _sizes(dossier: Dossier, key: str, words: str) -> list[Part | None]:
    """Say what the answers become with a sample of another size, and what that would cost."""
    found, currency = dossier.triggers["structures"][dossier.lead], dossier.deal.currency
    sizes = (found.get("sizes") or {}).get(key) or []
    if not sizes:
        return []
    if all(each["expected_payment"] == sizes[0]["expected_payment"] for each in sizes):
        return [_text(f"What {dossier.lead} pays does not depend on the size of the {words}.", quiet=True)]
    judged = _judged(sizes)
    if judged is None:
        words = (
            f"Something is paid whatever the effect, with {words} of any of the sizes tried: they would change nothing."
        )
        return [_text(words)]
    label, found_of = judged
    costs = dossier.deal.structures[dossier.lead].costs
    delivery = float(dossier.cash[dossier.lead].path(cash_of.DELIVERY).sum())
    rows = [
        [
            "as it is" if each["times"] == 1.0 else f"{each['times']:g} times",
            f"{each['people']:,.0f}",
            *(as_probability(found_of(each)[name]) for name in ("false_trigger", "missed_trigger", "no_effect_if_met")),
            as_estimate(each["expected_payment"], as_money),
            *([as_money(each["times"] * delivery)] if key == "cohort" else []),
        ]
        for each in sizes
    ]
    head = [f"size of the {words}", "people", "paid, were there no effect", "unpaid, though as promised"]
    head += ["no real effect, given paid", f"expected payment, {currency}"]
    head += [f"delivery at the same cost a person, {currency}"] if key == "cohort" else []
    of = "" if label == ANY else f" ({label})"
    caption = f"The sample that would change it{of}: {words} of other sizes, all else as it is"
    parts = [_table(caption, head, rows)]
    parts.append(_text(_enough([each | found_of(each) for each in sizes])))
    if key == "comparison_arm":
        parts.append(_text("The file puts no price on people of a comparison arm.", quiet=True))
    elif costs is None or costs.delivery is None or costs.delivery.form != "per person":
        agreed = "The file agrees delivery as a sum and not by the head; here it is in proportion to people."
        parts.append(_text(agreed, quiet=True))
    return parts


def _judged(sizes: Sequence[Answers]) -> tuple[str, Callable[[Answers], Answers]] | None:
    """Choose whose triggers show what a sample does: any payment, or where that is always paid the surest clause."""

    def wrong(found: Answers) -> float:
        return 1.0 if found["false_trigger"] is None else float(found["false_trigger"]["probability"] or 0.0)

    middle = next(each for each in sizes if each["times"] == 1.0)
    if wrong(middle) < ALWAYS:
        return ANY, lambda each: each
    clauses = {name: found for name, found in middle["triggers"].items() if wrong(found) < ALWAYS}
    measured = {name: found for name, found in clauses.items() if wrong(found) > 0.0}
    if not measured:
        return None
    chosen = max(measured, key=lambda name: float(measured[name]["probability"]["probability"]))
    return chosen, lambda each: each["triggers"][chosen]


def _enough(sizes: Sequence[Answers]) -> str:
    """Say which of the sizes is the smallest that is wrong seldom enough, both ways."""
    keys = ("false_trigger", "missed_trigger")

    def wrong(each: Answers) -> float:
        return max((each[key] or {}).get("probability") or 0.0 for key in keys)

    enough = [each for each in sizes if wrong(each) <= GOOD]
    if enough:
        return (
            f"Of these sizes, {_times(enough[0])} ({enough[0]['people']:,.0f} people) is the smallest that "
            f"pays for nothing, and leaves what was promised unpaid, at most one time in {1 / GOOD:.0f} each."
        )
    best = min(sizes, key=wrong)
    return (
        "With none of these sizes are both of paying for nothing, and of leaving what was promised unpaid, as seldom "
        f"as one time in {1 / GOOD:.0f}; nearest is {_times(best)}, with {wrong(best):.0%} of the worse one."
    )


def _times(size: Answers) -> str:
    return "that of the deal" if size["times"] == 1.0 else f"{size['times']:g} times"


def _worth_of_evidence(dossier: Dossier) -> list[Part | None]:
    """Say what the deal's comparison arm, at several sizes, is worth to the payers' next decision like this one."""
    found = dossier.information["decisions"].get("payer")
    if found is None:  # why stands at what is worth knowing
        return []
    currency, later = dossier.deal.currency, dossier.information["later"]
    rows = [
        [
            f"{each['comparison']:,.0f}",
            as_estimate(each["worth"], as_money),
            as_estimate(each["worth_later"], as_money),
            figures.show(max(each["worth_later"]["value"], 0.0) / each["comparison"], currency),
        ]
        for each in found["arms"]
    ]
    head = ["people of the comparison arm", "worth, one later decision", "worth, all later decisions"]
    head += ["at most for each of them"]
    served = (
        "The file does not say which later decisions the evidence will serve; one like this is counted."
        if later["people"] is None
        else f"The file says that it will serve {later['decisions']:g} later decisions about {later['people']:,.0f} "
        f"people each, {later['times']:.2g} times what this one is about."
    )
    knowing = found["information"].get(EVERYTHING)
    return [
        _heading("What the evidence is worth to the payers"),
        _text(
            "When the deal has been evaluated, the payers will choose again, between these structures and nothing. A "
            "comparison arm is worth what that choice gains by it; it is worth collecting where it costs less. "
            f"{served} Knowing beforehand everything that nobody knows would be worth {currency} "
            f"{as_estimate(knowing, as_money)} to this choice; without it the best is: {found['best']}."
        ),
        _table(f"Worth of a comparison arm, by its size, {currency}", head, rows),
    ]


# ---------------------------------------------------------------------------------------------------------------
# d. The investment committee's strip
# ---------------------------------------------------------------------------------------------------------------


def _investment(dossier: Dossier) -> list[Part | None]:
    run, currency = dossier.run, dossier.deal.currency
    found = run["structures"][dossier.lead]
    investor = found["investor"]
    if investor is None:
        return [_text(f"{dossier.lead} has no investors.")]
    flows = dossier.cash[dossier.lead]
    so_far = np.cumsum(flows.flows[cash_of.INVESTORS], axis=1)
    lowest = so_far.argmin(axis=1)
    when = np.quantile(lowest, (0.05, 0.5, 0.95)) / flows.a_year
    need = investor["peak_funding_need"]
    rows = [
        ["multiple on called capital, mean", as_mean(investor["multiple"], as_ratio)],
        ["multiple, worst twentieth, mean", as_estimate(investor["expected_shortfall_05"], as_ratio)],
        ["IRR a year: p05, median, p95", ", ".join(as_percent(investor["irr"][key]) for key in ("p05", "p50", "p95"))],
        ["P(IRR at least the hurdle)", as_probability(investor["probability_of_hurdle"])],
        [
            f"net present value, {currency} ({brief(run['present_values'], 'investor')})",
            as_mean(investor["net_present_value"], as_money),
        ],
        [f"peak funding need, mean, {currency}", as_mean(need, as_money)],
        [f"peak funding need, p95, {currency}", as_money(need["p95"])],
        ["when it is reached, years: p05, median, p95", ", ".join(f"{each:.1f}" for each in when)],
        ["payback, years, where reached", as_mean(investor["payback"], as_years)],
    ]
    parts: list[Part | None] = [
        _figures(
            _figure(
                "multiple",
                "Multiple on called capital",
                "Multiple on called capital by structure, draw by draw; losses are hatched.",
                pictures.multiple(dossier.result),
            ),
            _figure(
                "irr",
                "IRR",
                "IRR a year by structure, draw by draw; negative returns are hatched.",
                pictures.irr(dossier.result),
            ),
            _figure(
                "fan",
                "Cumulative cash by party",
                f"Cash so far by party under {dossier.lead}: median and nine draws in ten.",
                pictures.fan(flows, currency),
            ),
            *(
                _figure(
                    word,
                    f"Money in and out, a {word} draw",
                    f"Money in and out over the deal in a {word} draw (number {draw}); sib explain tells it in full.",
                    pictures.waterfall(flows, draw, currency),
                )
                for word, draw in zip(("typical", "bad"), pictures.typical_and_bad(flows), strict=True)
            ),
        ),
        _table(f"Returns of {dossier.lead}", ["", "estimate"], rows),
    ]
    tranches = [
        [
            name,
            as_probability(each["probability_of_loss"]),
            as_probability(each["probability_of_total_loss"]),
            as_estimate(each["loss_given_loss"], as_percent),
            as_mean(each["multiple"], as_ratio),
            as_percent(each["irr"]["p50"]),
        ]
        for name, each in investor["tranches"].items()
    ]
    head = ["tranche", "P(loss)", "P(total loss)", "loss given loss", "multiple, mean", "IRR, median"]
    parts.append(_table("Loss, and loss given loss, by tranche", head, tranches))
    parts += _net(dossier, investor)
    parts += _breaks(dossier)
    return parts


def _net(dossier: Dossier, investor: Answers) -> list[Part | None]:
    """Set gross and net of a fund's fees side by side, or say that no fund is stated."""
    net = investor.get("net")
    if net is None:
        words = (
            "Returns are gross: after all costs of the deal, before fees of a fund that holds it; the file states none."
        )
        return [_text(words, quiet=True)]
    gross = investor if net["of"] == INVESTORS else investor["tranches"][net["of"]]
    currency = dossier.deal.currency
    shows: list[tuple[str, Any]] = [
        ("multiple, mean", lambda each: as_mean(each["multiple"], as_ratio)),
        ("IRR a year, p05", lambda each: as_percent(each["irr"]["p05"])),
        ("IRR a year, median", lambda each: as_percent(each["irr"]["p50"])),
        ("IRR a year, p95", lambda each: as_percent(each["irr"]["p95"])),
        ("P(IRR at least the hurdle)", lambda each: as_probability(each["probability_of_hurdle"])),
        ("P(loss)", lambda each: as_probability(each["probability_of_loss"])),
        ("loss given loss", lambda each: as_estimate(each["loss_given_loss"], as_percent)),
        (f"net present value, {currency}", lambda each: as_mean(each["net_present_value"], as_money)),
        (f"peak funding need, mean, {currency}", lambda each: as_mean(each["peak_funding_need"], as_money)),
    ]
    rows = [[label, show(gross), show(net)] for label, show in shows]
    rows += [[f"taken as {key}, {currency}", "\u2013", as_mean(net[key], as_money)] for key in ("fees", "carry")]
    whose = "all investors" if net["of"] == INVESTORS else net["of"]
    words = (
        "Gross is what the deal pays on its paper; net is what the investors of the fund that holds it are left with. "
        "Fees are taken from what comes in in the same period, else they are paid on top of the capital: the net "
        "multiple is on both."
    )
    return [
        _table(f"Gross, and net of the fund's fees: the paper of {whose}", ["", "gross", "net"], rows),
        _text(words, quiet=True),
    ]


def _breaks(dossier: Dossier) -> list[Part | None]:
    """What breaks the deal: break-even of the drivers, the widest of them, and shocks."""
    parts: list[Part | None] = [_heading("What breaks it")]
    stress = dossier.stress
    reverse = stress["structures"][dossier.lead]["reverse"]
    drivers = stress["drivers"]
    rows = []
    for driver, criteria in reverse.items():
        cells = [as_break(each, drivers[driver]) for each in criteria.values()]
        rows.append([driver, *cells])
    criteria = list(next(iter(reverse.values())))
    head = ["how far it can move before", *criteria]
    parts.append(
        _table("Break-even, as a share of plan or by how much", head, rows, words=list(range(1, len(criteria) + 1)))
    )
    parts += _cases(dossier)
    parts += _drivers(dossier, dossier.sensitivity)
    shocks = stress["structures"][dossier.lead]["shocks"]
    rows = []
    for shock, each in shocks.items():
        gap = each["difference"]
        rows.append(
            [
                shock,
                as_probability(each["triggers"]["any payment"]),
                *(
                    ["–", "–"]
                    if each["investor"] is None
                    else [
                        as_percent(each["investor"]["irr"]["p50"]),
                        as_probability(each["investor"]["probability_of_loss"]),
                    ]
                ),
                as_estimate(gap["multiple.mean"], as_ratio),
                as_estimate(gap["cost.mean"], as_money),
            ]
        )
    head = [
        "shock",
        "P(any payment)",
        "IRR, median",
        "P(loss)",
        "multiple, change of mean",
        "payers' cost, change of mean",
    ]
    parts.append(
        _table(f"Low cases: what {dossier.lead} becomes under each shock, {stress['draws']:,} draws", head, rows)
    )
    return parts


def _cases(dossier: Dossier) -> list[Part | None]:
    """The cases that analysts put on a page, beside the distribution that they stand for."""
    found = dossier.cases
    if found is None:
        return []
    caption = "Low, base and high case on the distribution of the multiple, each with the share of draws that is worse."
    drawn = pictures.cases(dossier.result, found, dossier.lead)
    words = {"low": "every number at its worse decile", "base": "at its median", "high": "at its better decile"}
    rows = [[f"{name}: {words[name]}", as_estimate(each, as_ratio)] for name, each in found.items()]
    return [
        _figures(_figure("cases", "Low, base and high case", caption, drawn)),
        _table("Low, base and high case: mean multiple, luck and measurement as drawn", ["case", "multiple"], rows),
    ]


def _drivers(dossier: Dossier, sensitivity: Answers) -> list[Part | None]:
    metrics = sensitivity["structures"][dossier.lead]
    found = metrics.get("multiple")
    if not found or not found.get("tornado"):
        return []
    names = {path: pictures.spoken(path) for path in sensitivity["unknowns"]}
    widest = sorted(found["tornado"].items(), key=lambda each: -abs(each[1]["swing"]["value"]))
    rows = []
    for path, each in widest[:3]:
        even = (found["break_even"] or {}).get(path) or {}
        unknown = sensitivity["unknowns"][path]
        at = "–"
        if even.get("value") is not None:
            is_share = "%" in unknown["distribution"]
            value = f"{100 * even['value']:.4g}%" if is_share else _level(even["value"])
            at = f"{value} (percentile {even['percentile']:.0%})"
        first = (found.get("indices") or {}).get(path) or {}
        cells = [unknown["distribution"], as_estimate(each["low"], as_ratio), as_estimate(each["high"], as_ratio), at]
        rows.append([names[path], *cells, as_estimate(first.get("first"), as_percent)])
    head = ["number", "what is assumed", "multiple at p10", "multiple at p90", "breaks even at", "share of variance"]
    picture = pictures.tornado(sensitivity, dossier.lead)
    caption = (
        "Mean multiple with one number at its 10th percentile (pale) and at its 90th (full), others as drawn; dashed: "
        "breaks even."
    )
    return [
        _figures(_figure("tornado", "What moves the multiple", caption, picture)),
        _table("The three drivers that move it most", head, rows, words=[1]),
    ]


def _level(value: float) -> str:
    """Write a number whose unit the distribution beside it shows."""
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


# ---------------------------------------------------------------------------------------------------------------
# e. The price of the bond
# ---------------------------------------------------------------------------------------------------------------


def _price(dossier: Dossier) -> list[Part | None]:
    compared, currency = dossier.compared, dossier.deal.currency
    if CONVENTIONAL not in dossier.deal.structures or dossier.lead == CONVENTIONAL:
        return [_text("The file has no conventional fee for the same service, and so nothing to set the price beside.")]
    found = compared["structures"][dossier.lead]
    parts: list[Part | None] = [
        _text(
            "What the payers pay beyond the fee for the same service, taken apart: present values ("
            f"{brief(compared['present_values'], 'payer')}), paired draw by draw."
        )
    ]
    bond = found["cost_of_the_bond"]
    if bond is None:
        return parts
    caption = f"Payers' cost of the conventional fee, and what is added to reach that of {dossier.lead}."
    paired = "Payers' cost less that of the conventional fee, draw by draw on the same luck; dearer is hatched."
    parts.append(
        _figures(
            _figure("price", "The price of the bond", caption, pictures.price(compared, dossier.lead)),
            _figure("cost", "Payers' cost against the conventional fee", paired, pictures.cost(dossier.result)),
        )
    )
    rows = [[word, as_estimate(bond[key], as_money)] for key, word in pictures.PARTS.items()]
    rows += [
        ["together", as_money(sum(each["value"] for each in bond.values()))],
        ["P(effect below the promise)", as_probability(found["probability_below_promise"])],
        ["risk transferred: saved where the effect is below the promise", _mean_or_none(found["risk_transferred"])],
        ["premium paid: more than the fee elsewhere", _mean_or_none(found["premium_paid"])],
    ]
    against = found["against"].get(CONVENTIONAL)
    if against is not None:
        rows += [
            ["net benefit, structure less fee", _mean_or_none(against["net_benefit_difference"])],
            ["P(better value)", as_probability(against["probability_better_value"])],
            ["P(cheaper, with as many outcomes)", as_probability(against["probability_cheaper_with_as_many_outcomes"])],
            ["P(cheaper, with fewer outcomes)", as_probability(against["probability_cheaper_with_fewer_outcomes"])],
        ]
    parts.append(_table(f"{dossier.lead} less {CONVENTIONAL}, {currency}", ["", "estimate"], rows))
    return parts


def _mean_or_none(summary: Answers | None) -> str:
    return "–" if summary is None else as_mean(summary, as_money)


# ---------------------------------------------------------------------------------------------------------------
# Assumptions, conventions, how to repeat it
# ---------------------------------------------------------------------------------------------------------------

CONVENTIONS = (
    "A bound belongs to the better side: exactly on it is paid.",
    "Time is in periods; a flow stands at the end of its period, capital called at the start at time 0.",
    "Multiple: what comes back over capital called. IRR: annual, effective; a total loss is −100%, never dropped.",
    "Loss: a multiple below 1. Loss given loss: the share of called capital that is lost, where some is.",
    "Additional: with the service less without it, over the same people; positive is good.",
    "Deadweight share: the part of payments for what would have happened anyway, a ratio of means, not clipped.",
    "Money is nominal, that of the day. Investors, payers and the public have discount rates of their own.",
    "Effort of the provider does not depend on how it is paid, unless the file says otherwise.",
    "Structures share every draw: a difference between two of them is not luck.",
)


def _assumptions(dossier: Dossier) -> list[Part | None]:
    from simulator.dealfile import paths
    from simulator.yamlfile import join_path

    deal = dossier.deal
    values = {join_path(path): value for path, value, _ in paths(deal)}

    def value_of(path: str) -> str:
        if path in values:
            return str(values[path])
        below = [each for each in values if each.startswith(f"{path}.")]
        return f"{len(below)} numbers" if below else ""

    head = ["what", "value", "why"]
    assumed = [[path, value_of(path), why] for path, why in deal.assumptions.items()]
    facts = [[path, value_of(path), source] for path, source in deal.facts.items()]
    return [
        _text(
            "Numbers that no source gives are assumptions, each with its reason; the others are facts. Both stand in "
            "the deal file."
        ),
        _table("Assumptions", head, assumed, words=[1, 2]),
        _table("Facts, and where they are from", ["what", "value", "source"], facts, words=[1, 2]),
        _table("Sources", ["name", "source"], [[name, text] for name, text in deal.sources.items()], words=[1]),
        _heading("Conventions"),
        _list([*CONVENTIONS, f"{said(dossier.run['present_values'])}."]),
    ]


def command(asked: Answers) -> str:
    """Return the command that writes the report again."""
    import shlex

    words = ["sib", "report", str(asked.get("file", "DEAL"))]
    words += ["--draws", str(asked["draws"])] if "draws" in asked else []
    words += ["--seed", str(asked["seed"])] if "seed" in asked else []
    for option in ("set", "structure"):
        for each in asked.get(option, ()):
            words += [f"--{option}", str(each)]
    return shlex.join([*words, "-o", str(asked.get("to", "report.html"))])


def _repeat(dossier: Dossier) -> list[Part | None]:
    run, versions = dossier.run, dossier.run["environment"]
    made = ", ".join(f"{name} {versions[name]}" for name in ("python", "numpy", "scipy", "numba"))
    answered = {
        "terms": None,
        "run and comparison": run["draws"],
        "cash by party": next(iter(dossier.cash.values())).path(cash_of.PAYERS) is not None
        and next(iter(dossier.cash.values())).flows[cash_of.PAYERS].shape[0],
        "triggers": dossier.triggers["draws"],
        "luck or skill": dossier.luck["draws"],
        "drivers": dossier.sensitivity["draws"],
        "stress": dossier.stress["draws"],
        "worth of information": dossier.information["draws"],
    }
    rows = [[name, f"{number:,}"] for name, number in answered.items() if number]
    parts: list[Part | None] = [
        {"kind": "code", "text": command(dossier.asked)},
        _text(
            f"Deal {run['deal_hash']}, seed {run['seed']}, {run['engine']} engine, simulator {run['version']}; {made}."
        ),
        _table("Draws of each question, all of them the first of the same run", ["question", "draws"], rows),
    ]
    if run["warnings"]:
        parts += [_heading("Warnings"), _list(run["warnings"])]
    return parts


def _knowing(dossier: Dossier) -> list[Part | None]:
    decisions = dossier.information["decisions"]
    wanted = [name for name in decisions if name == "payer" or name.endswith(f": {dossier.lead}")]
    currency = dossier.deal.currency
    parts: list[Part | None] = [
        _text(
            "What perfect knowledge of one number would be worth before the decision: an upper bound of what to pay "
            "for data, and no advice to collect any."
        )
    ]
    names = {path: pictures.spoken(path) for each in wanted for path in decisions[each]["information"]}
    drawn = []
    for number, each in enumerate(wanted):
        caption = f"Worth of knowing, for the decision of the {each}; the line is two standard errors either way."
        picture = pictures.information(dossier.information, each)
        drawn.append(_figure(f"information{number}", f"Worth of information: {each}", caption, picture))
    parts.append(_figures(*drawn))
    for each in wanted:
        found = decisions[each]
        if all(worth["value"] <= 0.0 for worth in found["information"].values()):
            parts.append(
                _text(f"Decision of the {each}: {found['best']}, and nothing known beforehand would change it.")
            )
            continue
        worth_something = [row for row in found["information"].items() if row[1]["value"] > 0.0]
        rows = sorted(worth_something, key=lambda row: -row[1]["value"])[:_MOST]
        parts.append(
            _table(
                f"Decision of the {each}: best without more knowledge is \u201c{found['best']}\u201d; worth at most, "
                f"{currency}",
                ["number", "worth"],
                [[names[path], as_estimate(worth, as_money)] for path, worth in rows],
            )
        )
        if len(worth_something) < len(found["information"]):
            parts.append(_text("None of the other numbers is found to be worth anything by itself.", quiet=True))
    parts += [_text(note, quiet=True) for note in dossier.information.get("notes", [])]
    return parts


# ---------------------------------------------------------------------------------------------------------------
# The page
# ---------------------------------------------------------------------------------------------------------------


@cache
def _template() -> Any:
    source = files("simulator").joinpath("page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["breakable"] = _breakable
    return environment.from_string(source)


def _breakable(words: str) -> Markup:
    """Let a browser break the path of a number behind its dots."""
    return Markup(".<wbr>").join(re.split(r"\.(?=[A-Za-z])", words))


def page(dossier: Dossier) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    dossier
        From :func:`simulator.dossier.gather`.
    """
    run, deal = dossier.run, dossier.deal
    found = run["structures"][dossier.lead]
    sections: list[tuple[str, str, list[Part | None]]] = [("deal", "The deal", [])]
    sections += [
        ("terms", "The terms", _terms(dossier)),
        ("budget", "The finance officer's page", _budget(dossier)),
        ("real", "If we pay, was it real?", _real(dossier)),
        ("investors", "The investment committee's strip", _investment(dossier)),
        ("price", "The price of the bond", _price(dossier)),
        ("knowing", "What is worth knowing", _knowing(dossier)),
        ("assumptions", "Assumptions, sources, conventions", _assumptions(dossier)),
        ("repeat", "How to repeat it", _repeat(dossier)),
    ]
    return str(
        _template().render(
            deal=deal.deal,
            lead=dossier.lead,
            lead_note=deal.structures[dossier.lead].note or "",
            note=deal.note or "",
            subtitle=f"{run['draws']:,} simulated worlds, seed {run['seed']}, {run['engine']} engine, {deal.currency}",
            cards=_cards(found, deal.currency),
            flow=_flow(dossier, found),
            side_by_side=_side_by_side(run),
            outcomes=_outcomes(run),
            sections=[
                {"id": key, "title": title, "parts": [part for part in parts if part is not None]}
                for key, title, parts in sections
            ],
            colophon=f"Written by sib {__version__}. It says what follows from the assumptions in the deal file, and "
            "is no forecast and no valuation.",
        )
    )
