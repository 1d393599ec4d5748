"""Tables for people: what `run`, `settle` and `explain` print on a terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulator import figures
from simulator.present import said


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command: rich itself would call a reader that stops reading a failure."""
        raise BrokenPipeError


def console() -> Console:
    """A console on standard output: colour only on a terminal, NO_COLOR honoured, plain and wide into a pipe."""
    if sys.stdout.isatty():
        return _Console(highlight=False, soft_wrap=False, no_color="NO_COLOR" in os.environ)
    return _Console(file=sys.stdout, highlight=False, width=200, color_system=None, legacy_windows=False)


def new_table(title: str, first: str, columns: list[str]) -> Table:
    """Begin a table: names at the left, figures at the right."""
    table = Table(
        title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    table.add_column(first, overflow="fold", min_width=24)
    for column in columns:
        table.add_column(Text(column), justify="right", overflow="fold")
    return table


def draws_of(data: Mapping[str, Any]) -> str:
    """How many draws, and how they were spread if not independently."""
    return f"{data['draws']:,} draws" + (" on Sobol points" if data.get("sampling") == "sobol" else "")


def run_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of a run: every structure side by side, each figure with its Monte Carlo error."""
    structures = data["structures"]
    names = list(structures)
    head = (
        f"{data['deal']} ({data['currency']})\n{draws_of(data)}, seed {data['seed']}, "
        f"{data['engine']} engine, simulator {data['version']}, deal {data['deal_hash'][:12]}\n"
        f"{present(data)}\n"
    )
    tables: list[Any] = [Text(head), _outcome_table(data), Text("")]
    table = new_table("Triggers: probability ± standard error", "clause", names)
    for label in dict.fromkeys(label for each in structures.values() for label in each["triggers"]):
        table.add_row(Text(label), *(as_probability(each["triggers"].get(label)) for each in structures.values()))
    tables += [table, Text("")]
    table = new_table("Investor: mean ± standard error, quantiles with 95% intervals", "", names)
    investors = [each["investor"] for each in structures.values()]
    for label, show in _INVESTOR_ROWS:
        table.add_row(Text(label), *("–" if each is None else show(each) for each in investors))
    nets = [None if each is None else each.get("net") for each in investors]
    for label, show in _NET_ROWS if any(nets) else []:
        table.add_row(Text(label), *("–" if each is None else show(each) for each in nets))
    tables += [table, Text("")]
    for name, each in structures.items():
        tables += _tranche_tables(name, each)
    table = new_table(f"Outcome payer, {data['currency']}", "", names)
    for label, read in _PAYER_ROWS:
        table.add_row(Text(label), *(read(each) for each in structures.values()))
    for outcome in data["outcomes"]:
        cells = [as_estimate(each["payer"]["cost_per_additional_outcome"][outcome]) for each in structures.values()]
        if any(cell != "–" for cell in cells) and len(data["outcomes"]) <= 6:
            table.add_row(Text(f"cost per additional {outcome}"), *cells)
    tables += [table]
    actual = [(name, each["actual"]) for name, each in structures.items() if each["actual"]]
    for name, each in actual:
        tables += [
            Text(
                f"\nActual payments, {name}: {as_money(each['value'])}, "
                f"percentile {each['percentile']:.1%} of the draws "
                f"({each['source']})"
            )
        ]
    return tables


def present(data: Mapping[str, Any], *whose: str) -> str:
    """Say in one line how the present values of an answer are made."""
    words = said(data["present_values"], *whose)
    return words[0].upper() + words[1:]


def _tranche_tables(name: str, answers: Mapping[str, Any]) -> list[Any]:
    """Tables of the classes of one structure's paper, where there are several, and of who stands behind them."""
    investor, guarantor = answers["investor"], answers.get("guarantor")
    if investor is None:
        return []
    tables: list[Any] = []
    tranches = investor["tranches"]
    if len(tranches) > 1:
        table = new_table(f"{name}: its tranches", "", list(tranches))
        for label, show in _TRANCHE_ROWS:
            table.add_row(Text(label), *(show(each) for each in tranches.values()))
        tables += [table, Text("")]
    lines = {"owed to investors or for fees, and never paid": investor.get("unpaid")}
    lines |= {"paid by the provider on the paper": investor.get("paid_by_provider")}
    lines |= {f"cost of {guarantor['name']}, net of fees": guarantor["cost"]} if guarantor else {}
    shown = {label: each for label, each in lines.items() if each is not None and (each["mean"] or each["sd"])}
    if shown:
        table = new_table(f"{name}: who bears what the payers' money does not pay", "", ["mean ± standard error"])
        for label, each in shown.items():
            table.add_row(Text(label), as_mean(each, as_money))
        if guarantor:
            table.add_row("P(a guarantor pays)", as_probability(guarantor["probability_of_cost"]))
        tables += [table, Text("")]
    return tables


def _outcome_table(data: Mapping[str, Any]) -> Table:
    columns = ["true", "without the service", "additional", "verified", "verified p05 to p95"]
    table = new_table("Outcomes: mean ± standard error", "", columns)
    for name, each in data["outcomes"].items():
        keys = ("true", "without_service", "additional", "verified")
        cells = [as_mean(each[key], as_number) for key in keys]
        unit = "" if each["unit"] in {"people", "events"} else f", {each['unit']}"
        better = "" if each["better"] == "more" else ", fewer is better"
        spread = f"{as_number(each['verified']['p05'])} to {as_number(each['verified']['p95'])}"
        table.add_row(Text(f"{name}{unit}{better}"), *cells, spread)
    return table


def as_money(value: float | None) -> str:
    """Write money, `–` where it is not defined."""
    if value is None:
        return "–"
    return f"{0.0 if abs(value) < 0.5 else value:,.0f}"


def as_number(value: float | None) -> str:
    """Write a number with the digits that it needs."""
    if value is None:
        return "–"
    if abs(value) < 0.005:
        value = 0.0  # never -0.00
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def as_percent(value: float | None) -> str:
    """Write a share."""
    return "–" if value is None else f"{0.0 if abs(value) < 0.0005 else value:.1%}"


def as_ratio(value: float | None) -> str:
    """Write a multiple."""
    return "–" if value is None else f"{value:.3f}"


def as_years(value: float | None) -> str:
    """Write years."""
    return "–" if value is None else f"{value:.2f}"


def with_error(value: str, error: str) -> str:
    """Write a figure and its standard error."""
    return value if value == "–" else f"{value} ± {error}"


def _error_of(value: float | None, show: Any, of: float | None) -> str:
    if value is None:
        return "–"
    if value < max(1e-12 * abs(of or 0.0), 1e-9):
        value = 0.0  # rounding of a sum, not an error of Monte Carlo
    if show is as_percent:
        return f"{100 * value:.2g}%" if value >= 0.01 else f"{100 * value:.2f}%"
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def as_mean(summary: Mapping[str, Any], show: Any) -> str:
    """Write the mean of a summary with its standard error."""
    mean, error = summary["mean"], summary["standard_error"]
    return with_error(show(mean), _error_of(error, show, mean))


def as_estimate(estimate: Mapping[str, Any] | None, show: Any = as_number) -> str:
    """Write an estimate with its standard error."""
    if estimate is None:
        return "–"
    return with_error(show(estimate["value"]), _error_of(estimate["standard_error"], show, estimate["value"]))


def as_probability(probability: Mapping[str, Any] | None) -> str:
    """Write a probability with its standard error."""
    if probability is None or probability["probability"] is None:
        return "–"
    return f"{probability['probability']:.2%} ± {100 * probability['standard_error']:.2f}%"


def as_quantile(summary: Mapping[str, Any], point: str, show: Any) -> str:
    """Write a quantile of a summary with its interval."""
    low, high = summary["intervals"][point]
    return "–" if summary[point] is None else f"{show(summary[point])} [{show(low)}, {show(high)}]"


_INVESTOR_ROWS: list[tuple[str, Any]] = [
    ("multiple on called capital", lambda i: as_mean(i["multiple"], as_ratio)),
    ("multiple, p05", lambda i: as_quantile(i["multiple"], "p05", as_ratio)),
    ("multiple, median", lambda i: as_quantile(i["multiple"], "p50", as_ratio)),
    ("multiple, p95", lambda i: as_quantile(i["multiple"], "p95", as_ratio)),
    ("multiple, mean of worst 5%", lambda i: as_estimate(i["expected_shortfall_05"], as_ratio)),
    ("IRR a year, p05", lambda i: as_quantile(i["irr"], "p05", as_percent)),
    ("IRR a year, p25", lambda i: as_quantile(i["irr"], "p25", as_percent)),
    ("IRR a year, median", lambda i: as_quantile(i["irr"], "p50", as_percent)),
    ("IRR a year, p75", lambda i: as_quantile(i["irr"], "p75", as_percent)),
    ("IRR a year, p95", lambda i: as_quantile(i["irr"], "p95", as_percent)),
    ("IRR undefined / several roots, draws", lambda i: f"{i['irr']['undefined']:,} / {i['irr']['multiple_roots']:,}"),
    ("P(loss): multiple below 1", lambda i: as_probability(i["probability_of_loss"])),
    ("P(total loss)", lambda i: as_probability(i["probability_of_total_loss"])),
    ("loss given loss, of capital called", lambda i: as_estimate(i["loss_given_loss"], as_percent)),
    ("P(IRR at least the hurdle)", lambda i: as_probability(i["probability_of_hurdle"])),
    ("NPV at the investor's rate", lambda i: as_mean(i["net_present_value"], as_money)),
    ("peak funding need", lambda i: as_mean(i["peak_funding_need"], as_money)),
    ("payback, years (where reached)", lambda i: as_mean(i["payback"], as_years)),
]
_TRANCHE_ROWS = [row for row in _INVESTOR_ROWS if row[0] != "IRR undefined / several roots, draws"]
_NET_ROWS: list[tuple[str, Any]] = [
    ("net of fund fees, on the paper of", lambda n: n["of"]),
    ("net multiple on what is paid in", lambda n: as_mean(n["multiple"], as_ratio)),
    ("net IRR a year, p05", lambda n: as_quantile(n["irr"], "p05", as_percent)),
    ("net IRR a year, median", lambda n: as_quantile(n["irr"], "p50", as_percent)),
    ("net IRR a year, p95", lambda n: as_quantile(n["irr"], "p95", as_percent)),
    ("net P(loss)", lambda n: as_probability(n["probability_of_loss"])),
    ("net loss given loss, of what is paid in", lambda n: as_estimate(n["loss_given_loss"], as_percent)),
    ("net NPV at the investor's rate", lambda n: as_mean(n["net_present_value"], as_money)),
    ("fund's fees", lambda n: as_mean(n["fees"], as_money)),
    ("fund's carry", lambda n: as_mean(n["carry"], as_money)),
]
_PAYER_ROWS: list[tuple[str, Any]] = [
    ("payments", lambda s: as_mean(s["payments"], as_money)),
    ("payments, p05", lambda s: as_quantile(s["payments"], "p05", as_money)),
    ("payments, median", lambda s: as_quantile(s["payments"], "p50", as_money)),
    ("payments, p95", lambda s: as_quantile(s["payments"], "p95", as_money)),
    ("payments before caps", lambda s: as_mean(s["uncapped_payments"], as_money)),
    ("cost with own overheads", lambda s: as_mean(s["payer"]["cost"], as_money)),
    ("cost, present value", lambda s: as_mean(s["payer"]["cost_present_value"], as_money)),
    ("deadweight share of payments", lambda s: as_estimate(s["payer"]["deadweight_share"], as_percent)),
    ("provider's surplus", lambda s: "–" if s["provider"] is None else as_mean(s["provider"]["surplus"], as_money)),
    ("provider's lowest cash, p05", lambda s: as_quantile(s["provider"]["lowest_cash"], "p05", as_money)),
]


def settle_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of a settlement: what each structure pays for observed results, and why."""
    tables: list[Any] = [Text(f"{data['deal']} ({data['currency']}), settled on observed results\n")]
    for name, each in data["structures"].items():
        are = "" if each["payments_are"] == "exact" else f"{each['payments_are']} "
        investor = each["investor"]
        line = f"{name}: pays {are}{as_money(each['payments'])}; before caps {as_money(each['uncapped_payments'])}"
        if investor is not None and investor.get("multiple") is not None:
            line += f"; investor's multiple {as_ratio(investor['multiple'])}, IRR {as_percent(investor['irr'])} a year"
        tables.append(Text(line, style="bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(overflow="fold", min_width=24)
        table.add_column(justify="right")
        table.add_column(overflow="fold")
        for clause, found in each["clauses"].items():
            table.add_row(Text(f"  {clause}"), as_money(found["payments"]), Text(found["reason"]))
        tables.append(table)
        for tranche, own in _classes(investor).items():
            gets = f"called {as_money(own['called'])}, receives {as_money(own['distributed'])}"
            if own["multiple"] is not None:
                gets += f", multiple {as_ratio(own['multiple'])}, IRR {as_percent(own['irr'])} a year"
            tables.append(Text(f"  investors, {tranche}: {gets}"))
        net = None if investor is None else investor.get("net")
        if net is not None:
            gets = f"fees {as_money(net['fees'])}, carry {as_money(net['carry'])}"
            if net["multiple"] is not None:
                gets += f", net multiple {as_ratio(net['multiple'])}, net IRR {as_percent(net['irr'])} a year"
            tables.append(Text(f"  fund: {gets}"))
        if investor is not None and investor["guarantor_cost"]:
            tables.append(Text(f"  guarantees pay {as_money(investor['guarantor_cost'])}"))
        for row in each["not_applied"]:
            tables.append(Text(f"  not applied: {row['rule']}; needs {row['needs']}"))
        for row in each["not_yet_due"]:
            tables.append(Text(f"  not yet due: {row['clause']}; needs {row['needs']}"))
        for text in each["assumed"]:
            tables.append(Text(f"  assumed: {text}"))
        tables.append(Text(""))
    return tables


def _classes(investor: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Give the classes of investors, where there are several."""
    classes: Mapping[str, Any] = {} if investor is None else investor.get("tranches", {})
    return classes if len(classes) > 1 else {}


def explain_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of one draw: its parameters, its outcomes, and a dated ledger with a reason beside each amount."""
    tables: list[Any] = [Text(f"{data['deal']} ({data['currency']}), draw {data['draw']} of seed {data['seed']}\n")]
    table = new_table("What was not known", "", ["value"])
    for path, value in data["parameters"].items():
        table.add_row(Text(path), f"{value:,.6g}")
    if data["service_ends"]:
        table.add_row("service ended early, by", data["service_ends"])
    tables += [table, Text("")]
    table = new_table("Outcomes", "", ["people", "verified", "true", "without the service", "comparison arm"])
    for name, cohorts in data["outcomes"].items():
        for cohort, row in cohorts.items():
            arm = "–"
            if "comparison" in row:
                arm = f"{row['comparison']:,.0f} among {row['comparison_people']:,.0f}"
            cells = [f"{row[key]:,.0f}" for key in ("people", "verified", "true", "without_service")]
            table.add_row(Text(f"{name} [{cohort}]"), *cells, arm)
    tables += [table, Text("")]
    for name, each in data["structures"].items():
        table = new_table(name, "date", ["amount"])
        for column in ("from", "to", "account after", "why"):
            table.add_column(column, overflow="fold")
        for row in each["schedule"]:
            after = f"{row['account']}: {as_money(row['account_after'])}"
            why = f"{row['clause']}: {row['reason']}" if row["clause"] else row["reason"]
            table.add_row(
                row["date"], f"{row['amount']:,.2f}", Text(row["from"]), Text(row["to"]), Text(after), Text(why)
            )
        tables += [table, Text(_metrics_line(each["metrics"])), Text("")]
    return tables


def _metrics_line(metrics: Mapping[str, Any]) -> str:
    line = f"payments {as_money(metrics['payments'])}"
    if metrics["multiple"] is not None:
        line += f"; multiple {as_ratio(metrics['multiple'])}; IRR {as_percent(metrics['irr'])} a year"
    net = metrics["net"]
    if net is not None and net["multiple"] is not None:
        line += f"; net of fund fees {as_ratio(net['multiple'])}, {as_percent(net['irr'])} a year"
    return f"{line}; provider's surplus {as_money(metrics['surplus'])}"


def sweep_tables(manifest: Mapping[str, Any], folder: str, pivots: list[Any]) -> list[Any]:
    """Tables of a sweep: where it is, and each metric over the first two axes."""
    over = " x ".join(each["path"] for each in manifest["over"])
    cells = f"{manifest['cells']:,} cell{'s' * (manifest['cells'] > 1)}"
    head = (
        f"{manifest['deal']} ({manifest['currency']})\n{cells} over {over}; "
        f"{manifest['draws']:,} draws, seed {manifest['seed']}, simulator {manifest['version']}, "
        f"deal {manifest['deal_hash'][:12]}\n{folder}: cells.csv, cells.parquet, manifest.json"
    )
    tables: list[Any] = [Text(head)]
    metrics = list(dict.fromkeys(each.metric for each in pivots))
    others = "; mean over the other axes" if len(manifest["over"]) > 2 else ""
    for metric in metrics:
        found = [each for each in pivots if each.metric == metric]
        unit = figures.unit_of(metric, manifest["currency"])
        said = f"{metric}, {unit}" if unit not in {"", "share"} else metric
        if len(found[0].axes) == 1:
            table = new_table(f"\n{said}{others}", found[0].axes[0], [each.structure for each in found])
            for i, label in enumerate(found[0].labels[0]):
                table.add_row(label, *(figures.show(each.values[i, 0], unit) for each in found))
            tables.append(table)
            continue
        for each in found:
            rows, columns = each.axes
            if float(np.nanmax(each.values)) == float(np.nanmin(each.values)):
                value = figures.show(float(np.nanmax(each.values)), unit)
                where = "in every cell" + (" that has it" if np.isnan(each.values).any() else "")
                tables.append(Text(f"\n{each.structure}: {said} is {value} {where}"))
                continue
            table = new_table(f"\n{each.structure}: {said}{others}", f"{rows} \\ {columns}", list(each.labels[1]))
            for i, label in enumerate(each.labels[0]):
                table.add_row(label, *(figures.show(value, unit) for value in each.values[i]))
            tables.append(table)
    return tables


def _head(data: Mapping[str, Any], *more: str) -> Text:
    lines = "".join(f"{line}\n" for line in more)
    return Text(
        f"{data['deal']} ({data['currency']})\n{data['draws']:,} draws, seed {data['seed']}, "
        f"simulator {data['version']}, deal {data['deal_hash'][:12]}\n{lines}"
    )


def _points(value: float) -> str:
    return f"{value:.2%}"


_STRESS_COLUMNS: list[tuple[str, Any, str, Any]] = [
    ("P(any payment)", lambda s: as_probability(s["triggers"]["any payment"]), "any payment", _points),
    ("P(loss)", lambda s: as_probability(_of(s, "probability_of_loss")), "probability_of_loss", _points),
    ("multiple, median", lambda s: _quantile_of(s, "multiple", as_ratio), "multiple.p50", as_ratio),
    ("IRR, median", lambda s: _quantile_of(s, "irr", as_percent), "irr.p50", _points),
    ("payer's cost", lambda s: as_mean(s["payer"]["cost"], as_money), "cost.mean", as_money),
]


def stress_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of a stress test: base, then the paired difference under each shock; and what each driver can bear."""
    reverse = any(each["reverse"] for each in data["structures"].values())
    tables: list[Any] = [_head(data, *([present(data, "payer")] if reverse else []))]
    for name, each in data["structures"].items():
        table = new_table(
            f"{name}: base, and difference ± standard error", "", [column[0] for column in _STRESS_COLUMNS]
        )
        table.add_row("base", *(show(each["base"]) for _, show, _, _ in _STRESS_COLUMNS))
        for shock, found in each["shocks"].items():
            cells = [_signed(found["difference"][key], show) for _, _, key, show in _STRESS_COLUMNS]
            table.add_row(Text(shock), *cells)
        tables += [table, Text("")]
        if each["reverse"] and any(any(found.values()) for found in each["reverse"].values()):
            criteria = list(next(iter(each["reverse"].values())))
            by = {"net_benefit": "by net benefit", "cost_present_value": "by cost"}[data["payer_judged_by"]]
            said_of = [f"{key} ({by})" if key.startswith("payer") else key for key in criteria]
            table = new_table(f"{name}: how far it can go before", "driver", said_of)
            for driver, found in each["reverse"].items():
                said = data["drivers"][driver]
                table.add_row(Text(driver), *(as_break(found[key], said) for key in criteria))
            tables += [table, Text("")]
    return tables


def _of(answers: Mapping[str, Any], key: str) -> Any:
    return None if answers["investor"] is None else answers["investor"][key]


def _quantile_of(answers: Mapping[str, Any], key: str, show: Any) -> str:
    return "–" if answers["investor"] is None else as_quantile(answers["investor"][key], "p50", show)


def _signed(estimate: Mapping[str, Any] | None, show: Any) -> str:
    if estimate is None or estimate["value"] is None:
        return "–"
    value, error = estimate["value"], estimate["standard_error"]
    sign = "+" if value > 0 else ""
    return f"{sign}{show(value)}" + ("" if error is None else f" ± {show(error)}")


def as_break(found: Mapping[str, Any] | None, driver: Mapping[str, Any]) -> str:
    """Write how far a driver can move before a criterion is met, and where one that is met as planned is not."""
    if found is None:
        return "–"
    until = found.get("until")
    if until is not None:
        if until["at"] is None:
            return "already as planned; always within its range"
        return f"already as planned; until {_place(until, driver, driver['better'])}"
    return found["met"] if found["at"] is None else _place(found, driver, driver["words"])


def _place(found: Mapping[str, Any], driver: Mapping[str, Any], words: str) -> str:
    at, *ends = (abs(each) for each in (found["at"], *found["interval"]))
    low, high = sorted(ends)
    share = driver["worst"] <= 1.0

    def show(value: float) -> str:
        return f"{value:.1%}" if share else f"{value:.2f}"

    if found["met"] == "at a step":
        return f"a step at {show(at)} {words}"
    return f"{show(at)} {words} [{show(low)}, {show(high)}]"


def solve_tables(data: Mapping[str, Any]) -> list[Any]:
    """Lines of a solution: the value, its interval, and what the metric is on both sides of a step."""
    show = _SHOWN[data["unit"]]
    now = "" if data["now"] is None else f" (now {show(data['now'])})"
    low, high = data["range"]
    lines = [f"{data['for']}{now} so that {data['so_that']}, between {show(low)} and {show(high)}:"]
    for each in data["solutions"]:
        below, above = (f"{each[key]:.6g}" for key in ("metric_below", "metric_above"))
        if each["kind"] == "range":
            lines.append(f"  every value from {show(each['value'])} to {show(each['value_until'])}")
        elif each["kind"] == "step":
            lines.append(
                f"  a step at {show(each['value'])}: {below} up to it, {above} beyond; no value gives what is asked"
            )
        else:
            ends = [show(end) for end in each["interval"]]
            ends = [
                f"{end} (the end of the range)" if side else end for end, side in zip(ends, each["open"], strict=True)
            ]
            lines.append(f"  {show(each['value'])}, 95% interval {ends[0]} to {ends[1]}")
    if not data["solutions"]:
        at = [("undefined" if each is None else f"{each:.6g}") for each in data["at_the_ends"]]
        lines.append(
            f"  no solution: the left side less any other is {at[0]} at {show(low)} and {at[1]} at {show(high)}"
        )
    elif len(data["solutions"]) > 1:
        lines.append(f"  {len(data['solutions'])} places in all")
    return [_head(data, *([present(data)] if "present_value" in data["so_that"] else [])), Text("\n".join(lines))]


_SHOWN: dict[str, Any] = {
    "share": lambda value: f"{100 * value:.6g}%",
    "rate": lambda value: f"{100 * value:.6g}%",
    "money": lambda value: f"{value:,.2f}",
    "duration": lambda value: f"{value:.6g} months",
    "number": lambda value: f"{value:,.6g}",
}


def frontier_tables(data: Mapping[str, Any]) -> list[Any]:
    """Table of the settings that no other setting betters for the investor and the payer at once."""
    table = new_table(
        f"{data['structure']}: efficient settings", data["for"][0], [data["for"][1], data["investor"], "payer's cost"]
    )
    best = [each for each in data["settings"] if each["efficient"]]
    for each in sorted(best, key=lambda row: row["payer_cost"]):
        one, two = each["values"]
        table.add_row(f"{one:,.6g}", f"{two:,.6g}", as_percent(each["investor"]), as_money(each["payer_cost"]))
    return [_head(data), table, Text(f"{len(best)} of {len(data['settings'])} settings")]


def as_text(tables: list[Any], width: int = 160) -> str:
    """Render tables as plain text."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, highlight=False).print(*tables, sep="\n")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
