"""The report as a workbook: what `sib report DEAL -o FILE.xlsx` writes.

Cash by party on the expected path stands in sheets whose totals, multiple, IRR and present values are formulas, so that
a spreadsheet works them out again and what-ifs can be typed over. Texts are texts: a name that begins with `=` is no
formula. The same answers give the same bytes.
"""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator import cash as cash_of
from simulator.dossier import Dossier
from simulator.present import brief

SAMPLE = 1_000
"""Draws in the sample."""
_LONGEST = 32_767
"""Characters of a cell."""
_SAMPLED = ("payments", "cost", "multiple", "irr", "net_present_value", "surplus", "lowest_cash")
_PARTIES_AT = 2
"""Column of the first party in a sheet of cash."""
_HEAD = 11
"""Row of the head of a table of cash, from 0."""


class _Sheet:
    """A sheet that is written cell by cell."""

    def __init__(self, book: Any, name: str, formats: Mapping[str, Any], widths: tuple[float, ...]) -> None:
        self.sheet = book.add_worksheet(name)
        self.formats = formats
        for column, width in enumerate(widths):
            self.sheet.set_column(column, column, width)

    def put(self, row: int, column: int, value: Any, style: str = "text") -> None:
        """Write a value: text as text, a number as a number, what is not defined as nothing."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            self.sheet.write_blank(row, column, None, self.formats[style])
        elif isinstance(value, (int, float, np.number)):
            self.sheet.write_number(row, column, float(value), self.formats[style])
        else:
            self.sheet.write_string(row, column, str(value)[:_LONGEST], self.formats[style])

    def line(self, row: int, values: Any, style: str = "text") -> None:
        """Write a row."""
        for column, value in enumerate(values):
            self.put(row, column, value, style)

    def formula(self, row: int, column: int, formula: str, value: float | None, style: str) -> None:
        """Write a formula with the value that it has, for readers that do not work it out."""
        known = value is not None and math.isfinite(value)
        self.sheet.write_formula(row, column, formula, self.formats[style], value if known else "")


def workbook(dossier: Dossier) -> bytes:
    """Return the report as an XLSX file.

    Parameters
    ----------
    dossier
        From :func:`simulator.dossier.gather`.
    """
    from xlsxwriter import Workbook

    out = io.BytesIO()
    book = Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": dossier.deal.deal, "created": datetime.datetime(2000, 1, 1)})
    book.set_calc_mode("auto")
    formats = {
        "text": book.add_format({"valign": "top"}),
        "long": book.add_format({"valign": "top", "text_wrap": True}),
        "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"}),
        "title": book.add_format({"bold": True, "font_size": 14}),
        "money": book.add_format({"num_format": "#,##0;[Red]-#,##0"}),
        "total": book.add_format({"num_format": "#,##0;[Red]-#,##0", "bold": True, "top": 1}),
        "percent": book.add_format({"num_format": "0.0%"}),
        "number": book.add_format({"num_format": "General"}),
        "ratio": book.add_format({"num_format": "0.000"}),
    }
    _summary(_Sheet(book, "Summary", formats, (44, *(20,) * 12)), dossier)
    _assumptions(_Sheet(book, "Assumptions", formats, (50, 34, 12, 90)), dossier)
    _tables(_Sheet(book, "Tables", formats, (26, 24, 40, 14, 18, 18)), dossier)
    for number, name in enumerate(dossier.cash, start=1):
        _cash(_Sheet(book, f"Cash {number}", formats, (18, 12, *(18,) * 18)), dossier, name)
    _draws(_Sheet(book, "Draws", formats, (8, *(16,) * 40)), dossier)
    book.close()
    return out.getvalue()


def _summary(sheet: _Sheet, dossier: Dossier) -> None:
    run = dossier.run
    structures: Mapping[str, Any] = run["structures"]
    sheet.put(0, 0, run["deal"], "title")
    head = f"{run['draws']} draws, seed {run['seed']}, {run['engine']} engine, simulator {run['version']}"
    sheet.put(1, 0, f"{head}, deal {run['deal_hash']}")
    sheet.put(2, 0, f"Money in {run['currency']}. Beside each estimate stands its Monte Carlo standard error.")
    row = 4
    sheet.put(row, 0, "", "head")
    for i, name in enumerate(structures):
        sheet.put(row, 1 + 2 * i, name, "head")
        sheet.put(row, 2 + 2 * i, "± standard error", "head")
    for label, style, found in _estimates(structures, brief(run["present_values"], "payer")):
        row += 1
        sheet.put(row, 0, label)
        for i, (value, error) in enumerate(found):
            sheet.put(row, 1 + 2 * i, value, style)
            sheet.put(row, 2 + 2 * i, error, "number" if style == "ratio" else style)
    sheet.sheet.freeze_panes(5, 1)


def _estimates(structures: Mapping[str, Any], present: str) -> Any:
    """Yield label, number format and (value, standard error) for each structure; `present` says the payers' rate."""

    def each(*keys: str, what: str = "mean") -> list[tuple[Any, Any]]:
        found = []
        for answers in structures.values():
            for key in keys:
                answers = None if answers is None else answers.get(key)  # noqa: PLW2901
            has_error = what in {"mean", "value", "probability"}
            error = None if answers is None or not has_error else answers["standard_error"]
            found.append((None if answers is None else answers[what], error))
        return found

    yield "P(any payment)", "percent", each("triggers", "any payment", what="probability")
    yield "payments, mean", "money", each("payments")
    yield "payments, p95", "money", each("payments", what="p95")
    yield "IRR a year, median", "percent", each("investor", "irr", what="p50")
    yield "IRR a year, p05", "percent", each("investor", "irr", what="p05")
    yield "multiple on called capital, mean", "ratio", each("investor", "multiple")
    yield "P(loss)", "percent", each("investor", "probability_of_loss", what="probability")
    yield "loss given loss", "percent", each("investor", "loss_given_loss", what="value")
    yield "peak funding need, mean", "money", each("investor", "peak_funding_need")
    if any((answers["investor"] or {}).get("net") for answers in structures.values()):
        yield "net of fund fees: IRR a year, median", "percent", each("investor", "net", "irr", what="p50")
        yield "net of fund fees: multiple, mean", "ratio", each("investor", "net", "multiple")
        yield (
            "net of fund fees: P(loss)",
            "percent",
            each("investor", "net", "probability_of_loss", what="probability"),
        )
        yield "fund's fees, mean", "money", each("investor", "net", "fees")
        yield "fund's carry, mean", "money", each("investor", "net", "carry")
    yield "payers' cost, mean", "money", each("payer", "cost")
    yield f"payers' cost, present value ({present})", "money", each("payer", "cost_present_value")
    yield "deadweight share", "percent", each("payer", "deadweight_share", what="value")
    yield "provider: P(deficit)", "percent", each("provider", "probability_of_deficit", what="probability")


def _assumptions(sheet: _Sheet, dossier: Dossier) -> None:
    from simulator.dealfile import paths
    from simulator.yamlfile import join_path

    deal = dossier.deal
    sheet.line(0, ["path", "value", "kind", "source or reason"], "head")
    said = {path: ("assumption", why) for path, why in deal.assumptions.items()}
    said |= {path: ("fact", source) for path, source in deal.facts.items()}
    row = 1
    for path, value, _ in paths(deal):
        name = join_path(path)
        owner = next((each for each in said if name == each or name.startswith(f"{each}.")), None)
        kind, why = said[owner] if owner else ("", "")
        sheet.line(row, [name, value, kind, why])
        row += 1
    row += 1
    sheet.line(row, ["sources", "", "", ""], "head")
    for name, text in deal.sources.items():
        row += 1
        sheet.line(row, [name, text])
    sheet.sheet.freeze_panes(1, 1)


def _tables(sheet: _Sheet, dossier: Dossier) -> None:
    sheet.line(0, ["structure", "party", "metric", "statistic", "value", "standard error"], "head")
    for row, values in enumerate(dossier.result.rows(), start=1):
        sheet.line(row, values, "number")
    sheet.sheet.freeze_panes(1, 0)
    sheet.sheet.autofilter(0, 0, row, 5)


def _cash(sheet: _Sheet, dossier: Dossier, name: str) -> None:
    from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

    flows, currency = dossier.cash[name], dossier.deal.currency
    periods, draws = len(flows.dates), next(iter(flows.flows.values())).shape[0]
    sheet.put(0, 0, f"{name}: cash by party on the expected path, {currency}", "title")
    sheet.put(1, 0, f"Mean of {draws} draws, period by period; money received is positive.")
    sheet.put(2, 0, "The IRR of this path is not the mean IRR of the draws.")
    parties = list(flows.flows)
    first, last = _HEAD + 1, _HEAD + periods

    def whole(column: int) -> str:
        letter = xl_col_to_name(column)
        return f"{letter}{first + 1}:{letter}{last + 1}"

    received = _PARTIES_AT + len(parties)
    columns = [*parties, "put in by investors", "got by investors", "all parties together"]
    sheet.line(_HEAD, ["period", "date", *columns], "head")
    paths = {party: flows.path(party) for party in parties}
    invested = flows.flows[cash_of.INVESTORS]
    put_in, got = -np.minimum(invested, 0.0).mean(axis=0), np.maximum(invested, 0.0).mean(axis=0)
    for t, date in enumerate(flows.dates):
        row = first + t
        sheet.put(row, 0, t, "number")
        sheet.put(row, 1, date)
        for i, party in enumerate(parties):
            if party != cash_of.INVESTORS:
                sheet.put(row, _PARTIES_AT + i, paths[party][t], "money")
        sheet.put(row, received, put_in[t], "money")
        sheet.put(row, received + 1, got[t], "money")
        back = f"={xl_rowcol_to_cell(row, received + 1)}-{xl_rowcol_to_cell(row, received)}"
        sheet.formula(row, _PARTIES_AT + parties.index(cash_of.INVESTORS), back, float(got[t] - put_in[t]), "money")
        these = f"{xl_rowcol_to_cell(row, _PARTIES_AT)}:{xl_rowcol_to_cell(row, received - 1)}"
        sheet.formula(row, received + 2, f"=ROUND(SUM({these}),2)", 0.0, "money")
    sheet.put(last + 1, 0, "total", "total")
    sheet.put(last + 1, 1, "", "total")
    totals = [*(float(paths[party].sum()) for party in parties), float(put_in.sum()), float(got.sum()), 0.0]
    for i, total in enumerate(totals):
        sheet.formula(last + 1, _PARTIES_AT + i, f"=SUM({whole(_PARTIES_AT + i)})", total, "total")

    investors = whole(_PARTIES_AT + parties.index(cash_of.INVESTORS))
    sheet.line(4, ["periods a year", flows.a_year], "number")
    date = dossier.deal.time.date(0)
    sheet.put(5, 0, "investors' rate a year, nominal")
    sheet.put(5, 1, flows.investor_rate, "percent")
    sheet.put(6, 0, "payers' rate a year, nominal")
    sheet.put(6, 1, flows.payer_rate, "percent")
    multiple, irr = flows.multiple(), flows.irr()
    sheet.put(4, 3, "multiple of the expected path")
    sheet.put(5, 3, "IRR a year of the expected path")
    sheet.put(6, 3, f"NPV, investors, at {date}")
    sheet.put(7, 3, f"NPV, payers, at {date}")
    if multiple is not None:
        ratio = f"=SUM({whole(received + 1)})/SUM({whole(received)})"
        sheet.formula(4, 5, ratio, multiple, "ratio")
    _rate(sheet, 5, investors, irr, flows.a_year)
    for row, party, rate in ((6, cash_of.INVESTORS, "B6"), (7, cash_of.PAYERS, "B7")):
        path = whole(_PARTIES_AT + parties.index(party))
        _worth(sheet, row, path, rate, whole(0), flows.net_present_value(party))
    if flows.fund:
        _fund(sheet, flows, received + 3, whole, date)
    sheet.sheet.freeze_panes(first, 2)


def _rate(sheet: _Sheet, row: int, path: str, irr: float | None, a_year: float) -> None:
    """Write the yearly rate of return of a path as a formula, or why there is none."""
    if irr is not None and irr > -1.0:
        guess = (1.0 + irr) ** (1.0 / a_year) - 1.0
        sheet.formula(row, 5, f"=(1+IRR({path},{guess:.4f}))^B5-1", irr, "percent")
    else:
        sheet.put(row, 5, "none" if irr is None else "a total loss")


def _worth(sheet: _Sheet, row: int, path: str, rate: str, periods: str, value: float) -> None:
    """Write the present value of a path as a formula."""
    sheet.formula(row, 5, f"=SUMPRODUCT({path},(1+{rate})^(-{periods}/$B$5))", value, "money")


def _fund(sheet: _Sheet, flows: cash_of.Cash, at: int, whole: Any, date: str) -> None:
    """Write what a fund that holds the paper takes and leaves, from column `at` on, and what is net of it."""
    from xlsxwriter.utility import xl_rowcol_to_cell

    columns = [*cash_of.OF_FUND, "put in by the fund's investors", "got by the fund's investors", "the two ways apart"]
    for i, name in enumerate(columns):
        sheet.put(_HEAD, at + i, name, "head")
    net = flows.all(cash_of.NET)
    paths = [flows.path(each) for each in cash_of.OF_FUND]
    paths += [-np.minimum(net, 0.0).mean(axis=0), np.maximum(net, 0.0).mean(axis=0), np.zeros(len(flows.dates))]
    for t in range(len(flows.dates)):
        row = _HEAD + 1 + t
        paper, fees, carry, left, put_in, got = (xl_rowcol_to_cell(row, at + i) for i in range(6))
        for i in (0, 1, 2, 4, 5):
            sheet.put(row, at + i, float(paths[i][t]), "money")
        sheet.formula(row, at + 3, f"={paper}-{fees}-{carry}", float(paths[3][t]), "money")
        sheet.formula(row, at + 6, f"=ROUND({left}-({got}-{put_in}),2)", 0.0, "money")
    last = _HEAD + len(flows.dates) + 1
    for i, path in enumerate(paths):
        sheet.formula(last, at + i, f"=SUM({whole(at + i)})", float(path.sum()), "total")
    sheet.put(8, 3, "net multiple of the expected path")
    sheet.put(9, 3, "net IRR a year of the expected path")
    sheet.put(10, 3, f"NPV, the fund's investors, at {date}")
    multiple, irr = flows.multiple(cash_of.NET), flows.irr(cash_of.NET)
    if multiple is not None:
        sheet.formula(8, 5, f"=SUM({whole(at + 5)})/SUM({whole(at + 4)})", multiple, "ratio")
    _rate(sheet, 9, whole(at + 3), irr, flows.a_year)
    _worth(sheet, 10, whole(at + 3), "B6", whole(0), flows.net_present_value(cash_of.NET))


def _draws(sheet: _Sheet, dossier: Dossier) -> None:
    sheet.put(0, 0, "draw", "head")
    column = 1
    for name in dossier.result.structures:
        found = dossier.result.draws(name)
        for metric in _SAMPLED:
            if metric not in found or np.isnan(found[metric]).all():
                continue
            sheet.put(0, column, f"{name}: {metric.replace('_', ' ')}", "head")
            for draw, value in enumerate(found[metric][:SAMPLE]):
                sheet.put(1 + draw, column, float(value), "number")
            column += 1
    number = min(SAMPLE, dossier.run["draws"])
    for draw in range(number):
        sheet.put(1 + draw, 0, draw, "number")
    sheet.sheet.freeze_panes(1, 1)
