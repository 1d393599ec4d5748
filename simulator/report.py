"""Tables for people: what `run`, `settle` and `explain` print on a terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command: rich itself would call a reader that stops reading a failure."""
        raise BrokenPipeError


def console() -> Console:
    """A console on standard output: colour only on a terminal, NO_COLOR honoured, plain and wide into a pipe."""
    if sys.stdout.isatty():
        return _Console(highlight=False, soft_wrap=False, no_color="NO_COLOR" in os.environ)
    return _Console(file=sys.stdout, highlight=False, width=200, color_system=None, legacy_windows=False)


def _table(title: str, first: str, columns: list[str]) -> Table:
    table = Table(
        title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    table.add_column(first, overflow="fold", min_width=24)
    for column in columns:
        table.add_column(Text(column), justify="right", overflow="fold")
    return table


def run_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of a run: every structure side by side, each figure with its Monte Carlo error."""
    structures = data["structures"]
    names = list(structures)
    head = (
        f"{data['deal']} ({data['currency']})\n{data['draws']:,} draws, seed {data['seed']}, "
        f"{data['engine']} engine, simulator {data['version']}, deal {data['deal_hash'][:12]}\n"
    )
    tables: list[Any] = [Text(head), _outcome_table(data), Text("")]
    table = _table("Triggers: probability ± standard error", "clause", names)
    for label in dict.fromkeys(label for each in structures.values() for label in each["triggers"]):
        table.add_row(Text(label), *(_probability(each["triggers"].get(label)) for each in structures.values()))
    tables += [table, Text("")]
    table = _table("Investor: mean ± standard error, quantiles with 95% intervals", "", names)
    investors = [each["investor"] for each in structures.values()]
    for label, show in _INVESTOR_ROWS:
        table.add_row(Text(label), *("–" if each is None else show(each) for each in investors))
    tables += [table, Text("")]
    table = _table(f"Outcome payer, {data['currency']}", "", names)
    for label, read in _PAYER_ROWS:
        table.add_row(Text(label), *(read(each) for each in structures.values()))
    for outcome in data["outcomes"]:
        cells = [_estimate(each["payer"]["cost_per_additional_outcome"][outcome]) for each in structures.values()]
        if any(cell != "–" for cell in cells) and len(data["outcomes"]) <= 6:
            table.add_row(Text(f"cost per additional {outcome}"), *cells)
    tables += [table]
    actual = [(name, each["actual"]) for name, each in structures.items() if each["actual"]]
    for name, each in actual:
        tables += [
            Text(
                f"\nActual payments, {name}: {_money(each['value'])}, percentile {each['percentile']:.1%} of the draws "
                f"({each['source']})"
            )
        ]
    return tables


def _outcome_table(data: Mapping[str, Any]) -> Table:
    columns = ["true", "without the service", "additional", "verified", "verified p05 to p95"]
    table = _table("Outcomes: mean ± standard error", "", columns)
    for name, each in data["outcomes"].items():
        keys = ("true", "without_service", "additional", "verified")
        cells = [_mean(each[key], _number) for key in keys]
        unit = "" if each["unit"] in {"people", "events"} else f", {each['unit']}"
        better = "" if each["better"] == "more" else ", fewer is better"
        spread = f"{_number(each['verified']['p05'])} to {_number(each['verified']['p95'])}"
        table.add_row(Text(f"{name}{unit}{better}"), *cells, spread)
    return table


def _money(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{0.0 if abs(value) < 0.5 else value:,.0f}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _years(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _with_error(value: str, error: str) -> str:
    return value if value == "–" else f"{value} ± {error}"


def _error_of(value: float | None, show: Any) -> str:
    if value is None:
        return "–"
    if show is _percent:
        return f"{100 * value:.2g}%" if value >= 0.01 else f"{100 * value:.2f}%"
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _mean(summary: Mapping[str, Any], show: Any) -> str:
    mean, error = summary["mean"], summary["standard_error"]
    if error is not None and error < 1e-12 * abs(mean):
        error = 0.0  # rounding of a sum, not an error of Monte Carlo
    return _with_error(show(mean), _error_of(error, show))


def _estimate(estimate: Mapping[str, Any] | None, show: Any = _number) -> str:
    if estimate is None:
        return "–"
    return _with_error(show(estimate["value"]), _error_of(estimate["standard_error"], show))


def _probability(probability: Mapping[str, Any] | None) -> str:
    if probability is None or probability["probability"] is None:
        return "–"
    return f"{probability['probability']:.2%} ± {100 * probability['standard_error']:.2f}%"


def _quantile(summary: Mapping[str, Any], point: str, show: Any) -> str:
    low, high = summary["intervals"][point]
    return "–" if summary[point] is None else f"{show(summary[point])} [{show(low)}, {show(high)}]"


_INVESTOR_ROWS: list[tuple[str, Any]] = [
    ("multiple on called capital", lambda i: _mean(i["multiple"], _ratio)),
    ("multiple, p05", lambda i: _quantile(i["multiple"], "p05", _ratio)),
    ("multiple, median", lambda i: _quantile(i["multiple"], "p50", _ratio)),
    ("multiple, p95", lambda i: _quantile(i["multiple"], "p95", _ratio)),
    ("multiple, mean of worst 5%", lambda i: _estimate(i["expected_shortfall_05"], _ratio)),
    ("IRR a year, p05", lambda i: _quantile(i["irr"], "p05", _percent)),
    ("IRR a year, p25", lambda i: _quantile(i["irr"], "p25", _percent)),
    ("IRR a year, median", lambda i: _quantile(i["irr"], "p50", _percent)),
    ("IRR a year, p75", lambda i: _quantile(i["irr"], "p75", _percent)),
    ("IRR a year, p95", lambda i: _quantile(i["irr"], "p95", _percent)),
    ("IRR undefined / several roots, draws", lambda i: f"{i['irr']['undefined']:,} / {i['irr']['multiple_roots']:,}"),
    ("P(loss): multiple below 1", lambda i: _probability(i["probability_of_loss"])),
    ("P(total loss)", lambda i: _probability(i["probability_of_total_loss"])),
    ("loss given loss, of capital called", lambda i: _estimate(i["loss_given_loss"], _percent)),
    ("P(IRR at least the hurdle)", lambda i: _probability(i["probability_of_hurdle"])),
    ("NPV at the investor's rate", lambda i: _mean(i["net_present_value"], _money)),
    ("peak funding need", lambda i: _mean(i["peak_funding_need"], _money)),
    ("payback, years (where reached)", lambda i: _mean(i["payback"], _years)),
]
_PAYER_ROWS: list[tuple[str, Any]] = [
    ("payments", lambda s: _mean(s["payments"], _money)),
    ("payments, p05", lambda s: _quantile(s["payments"], "p05", _money)),
    ("payments, median", lambda s: _quantile(s["payments"], "p50", _money)),
    ("payments, p95", lambda s: _quantile(s["payments"], "p95", _money)),
    ("payments before caps", lambda s: _mean(s["uncapped_payments"], _money)),
    ("cost with own overheads", lambda s: _mean(s["payer"]["cost"], _money)),
    ("cost, present value", lambda s: _mean(s["payer"]["cost_present_value"], _money)),
    ("deadweight share of payments", lambda s: _estimate(s["payer"]["deadweight_share"], _percent)),
    ("provider's surplus", lambda s: "–" if s["provider"] is None else _mean(s["provider"]["surplus"], _money)),
    ("provider's lowest cash, p05", lambda s: _quantile(s["provider"]["lowest_cash"], "p05", _money)),
]


def settle_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of a settlement: what each structure pays for observed results, and why."""
    tables: list[Any] = [Text(f"{data['deal']} ({data['currency']}), settled on observed results\n")]
    for name, each in data["structures"].items():
        are = "" if each["payments_are"] == "exact" else f"{each['payments_are']} "
        investor = each["investor"]
        line = f"{name}: pays {are}{_money(each['payments'])}; before caps {_money(each['uncapped_payments'])}"
        if investor is not None and investor.get("multiple") is not None:
            line += f"; investor's multiple {_ratio(investor['multiple'])}, IRR {_percent(investor['irr'])} a year"
        tables.append(Text(line, style="bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(overflow="fold", min_width=24)
        table.add_column(justify="right")
        table.add_column(overflow="fold")
        for clause, found in each["clauses"].items():
            table.add_row(Text(f"  {clause}"), _money(found["payments"]), Text(found["reason"]))
        tables.append(table)
        for row in each["not_applied"]:
            tables.append(Text(f"  not applied: {row['rule']}; needs {row['needs']}"))
        for row in each["not_yet_due"]:
            tables.append(Text(f"  not yet due: {row['clause']}; needs {row['needs']}"))
        for text in each["assumed"]:
            tables.append(Text(f"  assumed: {text}"))
        tables.append(Text(""))
    return tables


def explain_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of one draw: its parameters, its outcomes, and a dated ledger with a reason beside each amount."""
    tables: list[Any] = [Text(f"{data['deal']} ({data['currency']}), draw {data['draw']} of seed {data['seed']}\n")]
    table = _table("What was not known", "", ["value"])
    for path, value in data["parameters"].items():
        table.add_row(Text(path), f"{value:,.6g}")
    if data["service_ends"]:
        table.add_row("service ended early, by", data["service_ends"])
    tables += [table, Text("")]
    table = _table("Outcomes", "", ["people", "verified", "true", "without the service", "comparison arm"])
    for name, cohorts in data["outcomes"].items():
        for cohort, row in cohorts.items():
            arm = "–"
            if "comparison" in row:
                arm = f"{row['comparison']:,.0f} among {row['comparison_people']:,.0f}"
            cells = [f"{row[key]:,.0f}" for key in ("people", "verified", "true", "without_service")]
            table.add_row(Text(f"{name} [{cohort}]"), *cells, arm)
    tables += [table, Text("")]
    for name, each in data["structures"].items():
        table = _table(name, "date", ["amount"])
        for column in ("from", "to", "account after", "why"):
            table.add_column(column, overflow="fold")
        for row in each["schedule"]:
            after = f"{row['account']}: {_money(row['account_after'])}"
            why = f"{row['clause']}: {row['reason']}" if row["clause"] else row["reason"]
            table.add_row(
                row["date"], f"{row['amount']:,.2f}", Text(row["from"]), Text(row["to"]), Text(after), Text(why)
            )
        tables += [table, Text(_metrics_line(each["metrics"])), Text("")]
    return tables


def _metrics_line(metrics: Mapping[str, Any]) -> str:
    line = f"payments {_money(metrics['payments'])}"
    if metrics["multiple"] is not None:
        line += f"; multiple {_ratio(metrics['multiple'])}; IRR {_percent(metrics['irr'])} a year"
    return f"{line}; provider's surplus {_money(metrics['surplus'])}"


def as_text(tables: list[Any], width: int = 160) -> str:
    """Render tables as plain text."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, highlight=False).print(*tables, sep="\n")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
