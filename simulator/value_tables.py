"""Tables for people: what `compare` prints on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from simulator.report import (
    as_estimate,
    as_mean,
    as_money,
    as_number,
    as_percent,
    as_probability,
    as_quantile,
    as_years,
    draws_of,
    new_table,
    present,
)

Answers = Mapping[str, Any]
Row = tuple[str, Callable[[Answers], str]]
PUBLIC = "public sector"
_SHOWN_OUTCOMES = 6


def compare_tables(data: Answers, *, three_ms: bool = False) -> list[Any]:
    """Tables of a comparison: each figure with its Monte Carlo error, differences paired draw by draw."""
    structures: dict[str, Answers] = data["structures"]
    head = (
        f"{data['deal']} ({data['currency']})\n{draws_of(data)}, seed {data['seed']}, {data['engine']} engine, "
        f"simulator {data['version']}, deal {data['deal_hash'][:12]}\n{present(data, 'payer')}\n"
    )
    tables: list[Any] = [Text(head), *_value(structures), Text("")]
    for other in next(iter(structures.values()))["against"]:
        tables += [*_against(other, structures), Text("")]
    tables += [*_bond(structures), Text(""), *_provider(structures)]
    for name, each in structures.items():
        if "budget" in each:
            tables += [Text(""), *_budget(name, each["budget"])]
    if three_ms:
        tables += _three_ms(structures)
    return tables


def _titled(title: str, table: Table) -> list[Any]:
    """A title on a line of its own, which a narrow table does not fold."""
    return [Text(title, style="bold"), table]


def _rows(
    title: str,
    names: Iterable[str],
    columns: Iterable[Answers],
    rows: list[Row],
) -> list[Any]:
    table = new_table("", "", list(names))
    table.title = None
    cells = list(columns)
    for label, show in rows:
        shown = [show(each) for each in cells]
        if any(cell != "–" for cell in shown):
            table.add_row(Text(label), *shown)
    return _titled(title, table)


def _money(summary: Answers | None) -> str:
    return "–" if summary is None else as_mean(summary, as_money)


def _estimate(estimate: Answers | None) -> str:
    if estimate is None:
        return "–"
    return as_mean({"mean": estimate["value"], "standard_error": estimate["standard_error"]}, as_money)


def _value(structures: dict[str, Answers]) -> list[Any]:
    title = "What it costs and is worth, present values: mean ± standard error"
    rows: list[Row] = [
        ("payers' cost", lambda s: _money(s["cost"])),
        ("savings", lambda s: "–" if s["savings"] is None else _money(s["savings"]["total"])),
        ("savings, cashable", lambda s: "–" if s["savings"] is None else _money(s["savings"]["cashable"])),
        ("social value", lambda s: _money(s["social_value"])),
        ("net benefit", lambda s: _money(s["net_benefit"])),
        ("benefit-cost ratio", lambda s: as_estimate(s["benefit_cost_ratio"], lambda x: f"{x:.3f}")),
    ]
    rows.append(("deadweight share of payments", lambda s: as_estimate(s["deadweight_share"], as_percent)))
    outcomes = list(next(iter(structures.values()))["additional_outcomes"])
    for outcome in outcomes if len(outcomes) <= _SHOWN_OUTCOMES else []:
        rows.append((f"additional {outcome}", _additional("additional_outcomes", outcome)))
    return _rows(title, structures, structures.values(), rows)


def _additional(key: str, outcome: str) -> Callable[[Answers], str]:
    return lambda s: as_estimate(s[key][outcome], as_number)


def _against(other: str, structures: dict[str, Answers]) -> list[Any]:
    found = {name: each["against"][other] for name, each in structures.items()}
    found = {name: each for name, each in found.items() if each is not None}
    if not found:
        return [Text(f"Against {other}: nothing to compare")]
    title = f"Against {other}: structure less {other}, paired draw by draw"
    rows: list[Row] = [
        ("net benefit", lambda a: _money(a["net_benefit_difference"])),
        ("P(better value)", lambda a: as_probability(a["probability_better_value"])),
        ("payers' cost", lambda a: _money(a["cost_difference"])),
        ("payers' cost, p05", lambda a: as_quantile(a["cost_difference"], "p05", as_money)),
        ("payers' cost, p95", lambda a: as_quantile(a["cost_difference"], "p95", as_money)),
        ("payers' cost: its error, were it not paired", lambda a: _unpaired(a["errors"]["cost_difference"])),
        ("P(cheaper, with as many outcomes)", lambda a: as_probability(a["probability_cheaper_with_as_many_outcomes"])),
        ("P(cheaper, with fewer outcomes)", lambda a: as_probability(a["probability_cheaper_with_fewer_outcomes"])),
        ("savings", lambda a: _estimate(a["savings_difference"])),
        ("savings: their error, were they not paired", lambda a: _unpaired(a["errors"]["savings_difference"])),
        ("social value", lambda a: _estimate(a["social_value_difference"])),
        ("provider's surplus", lambda a: _money(a["provider"]["surplus_difference"])),
        ("provider's lowest cash", lambda a: _money(a["provider"]["lowest_cash_difference"])),
    ]
    outcomes = list(next(iter(found.values()))["additional_outcomes_difference"])
    for outcome in outcomes if len(outcomes) <= _SHOWN_OUTCOMES else []:
        rows.append((f"additional {outcome}", _additional("additional_outcomes_difference", outcome)))
    payers = dict.fromkeys(payer for each in found.values() for payer in each["payers"])
    for payer in payers if len(payers) > 1 else []:
        rows.append((f"{payer}: its savings less its cost", _net_of(payer)))
    return _rows(title, found, found.values(), rows)


def _unpaired(errors: Answers | None) -> str:
    if errors is None or errors["unpaired"] == errors["paired"]:  # as against nothing, which costs nothing
        return "–"
    return as_money(errors["unpaired"])


def _net_of(payer: str) -> Callable[[Answers], str]:
    return lambda a: _estimate(a["payers"][payer]["net_difference"]) if payer in a["payers"] else "–"


def _bond(structures: dict[str, Answers]) -> list[Any]:
    found = {name: each for name, each in structures.items() if each["cost_of_the_bond"] is not None}
    if not found:
        return []
    title = "The cost taken apart: payers' cost less conventional's, and its parts"
    rows: list[Row] = [
        (key.replace("_", " "), _part_of_the_bond(key))
        for key in ("paying_on_outcomes", "outside_capital", "set_up_and_evaluation")
    ]
    rows += [
        ("together", _together),
        ("P(effect below promise)", lambda s: as_probability(s["probability_below_promise"])),
        ("risk transferred, where below promise", lambda s: _money(s["risk_transferred"])),
        ("premium paid, elsewhere", lambda s: _money(s["premium_paid"])),
    ]
    return _rows(title, found, found.values(), rows)


def _part_of_the_bond(key: str) -> Callable[[Answers], str]:
    return lambda s: _estimate(s["cost_of_the_bond"][key])


def _together(answers: Answers) -> str:
    return as_money(sum(each["value"] for each in answers["cost_of_the_bond"].values()))


def _provider(structures: dict[str, Answers]) -> list[Any]:
    rows: list[Row] = [
        ("surplus", lambda p: _money(p["surplus"])),
        ("P(deficit)", lambda p: as_probability(p["probability_of_deficit"])),
        ("lowest cash", lambda p: _money(p["lowest_cash"])),
        ("lowest cash, p05", lambda p: as_quantile(p["lowest_cash"], "p05", as_money)),
        ("reached after years, median", lambda p: as_years(p["years_until_lowest_cash"]["p50"])),
        ("surplus less that under the fee", lambda p: _fee(p, "surplus_difference")),
        ("lowest cash less that under the fee", lambda p: _fee(p, "lowest_cash_difference")),
    ]
    return _rows("Service provider, nominal", structures, (each["provider"] for each in structures.values()), rows)


def _fee(provider: Answers, key: str) -> str:
    return "–" if provider["against_a_fee"] is None else _money(provider["against_a_fee"][key])


def _budget(name: str, budget: Answers) -> list[Any]:
    tables: list[Any] = []
    columns = [
        "expected",
        "p50",
        "p95",
        "slippage",
        "contractual maximum",
        "owed if terminated then",
        "owed, p95",
        "cashable savings",
    ]
    payers = dict(budget["payers"])
    if len(payers) == 2 and all(year["cashable_savings"] is None for year in payers[PUBLIC]["years"]):
        del payers[PUBLIC]  # the only payer's page again
    for payer, found in payers.items():
        table = new_table("", "year", columns)
        table.title = None
        for row in found["years"]:
            owed = row["commitment_if_terminated"]
            table.add_row(
                row["year"],
                _estimate(row["expected"]),
                as_money(row["p50"]),
                as_money(row["p95"]),
                as_money(row["slippage"]),
                as_money(row["contractual_maximum"]),
                _estimate(owed["expected"]),
                as_money(owed["p95"]),
                _estimate(row["cashable_savings"]),
            )
        every = found["all_years"]
        cells = [_estimate(every["expected"]), as_money(every["p50"]), as_money(every["p95"]), "–"]
        later = _estimate(found["cashable_savings_after_the_last_year"])
        table.add_row("all years", *cells, as_money(every["contractual_maximum"]), "–", "–", f"later: {later}")
        tables += [*_titled(f"Budget of {payer}, {name}: cash by financial year, nominal", table), Text("")]
    if budget["no_maximum_because"]:
        tables.append(Text(f"No contractual maximum where – stands: {budget['no_maximum_because']}"))
    return tables[:-1] if not budget["no_maximum_because"] else tables


def _three_ms(structures: dict[str, Answers]) -> list[Any]:
    tables: list[Any] = []
    for name, each in structures.items():
        if not each["three_ms"]:
            continue
        table = new_table("", "outcome", [])
        table.title = None
        for column in ("", "grade", "why"):
            table.add_column(column, overflow="fold")
        for outcome, grades in each["three_ms"].items():
            for i, (m, found) in enumerate(grades.items()):
                table.add_row(Text(outcome if i == 0 else ""), m, found["grade"], Text(found["reason"]))
        tables += [Text(""), *_titled(f"The three Ms of what is paid for, {name}", table)]
    return tables
