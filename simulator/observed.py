"""Results files: what was observed, read into names and numbers, with every mistake at its place.

A results file is CSV with the columns `cohort, outcome, arm, value` and, where they are known,
`participant`, `date`, `period`, `size`, `variance`, and `measure` in place of `outcome`; or YAML with the
same rows under `results`, and with what the deal really drew and spent:

    results:
      - {cohort: cohort 1, measure: fewer events, value: 8.4%, size: 1000}
    drawdowns: {2010-09: 1500000, 2012-03: 500000}
    costs: {2010-12: 300000}
    ended: 2015-06-30

A row with neither outcome nor measure states the size of a cohort; size 0 says that the cohort never ran.
A `date` is a day or a month (2013-05: its last day), a `period` the number of a period of the deal, from 1.
Values may hold `_`; a share may be written with `%`. A measure that compares (reduction, increase) may be
negative, nothing else may.
"""

from __future__ import annotations

import calendar
import csv
import datetime
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.deal import Deal, Month, is_share, measure_of, outcome_names, outcome_of, outcomes_read
from simulator.yamlfile import DealError, Document, Problem, nearest
from simulator.yamlfile import read as read_yaml

__all__ = ["Amount", "Observed", "Row", "is_yes_or_no", "problems", "read"]

COLUMNS = (
    "cohort",
    "outcome",
    "measure",
    "arm",
    "value",
    "participant",
    "date",
    "period",
    "size",
    "variance",
)
INTERVENTION, COMPARISON, BEFORE = "intervention", "comparison", "before"
MAX_BYTES = 50_000_000
_KEYS = ("results", "drawdowns", "costs", "ended", "ended_by")
_NUMBER = re.compile(r"([-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)")
_ALLOWED_ROWS = "allowed: rows of " + ", ".join(COLUMNS)


@dataclass(frozen=True)
class Place:
    """Where a row stands: the file, its path in the file, and (line, column) of each of its fields."""

    file: str = "results"
    path: str = ""
    line: int = 1
    marks: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def problem(self, name: str, message: str) -> Problem:
        """Return the problem with a field."""
        line, column = self.marks.get(name, (self.line, 1))
        path = ".".join(part for part in (self.path, name) if part)
        return Problem(self.file, line, column, path, message)


@dataclass(frozen=True)
class Row:
    """One observed result.

    Parameters
    ----------
    cohort
        Name of the cohort. None is the deal's only cohort, or, for a measure, all cohorts that ran.
    outcome, measure
        Name of what was counted, or of a published measure; neither where the row only states a size.
    arm
        intervention, comparison, or before (the same people before the service).
    value
        Number of verified outcomes, total of events, or the published value of the measure.
    participant
        Who achieved it; such a row is one achievement (`value` 1 unless more events are given).
    day, period
        When it was achieved or measured: the day, or the period of the deal.
    size
        People of the cohort or of the comparison arm.
    variance
        Variance of the value a person, as published. No rule reads it yet.
    place
        Where the row stands.
    """

    cohort: str | None = None
    outcome: str | None = None
    measure: str | None = None
    arm: str = INTERVENTION
    value: float | None = None
    participant: str | None = None
    day: datetime.date | None = None
    period: int | None = None
    size: int | None = None
    variance: float | None = None
    place: Place = field(default_factory=Place, compare=False)


@dataclass(frozen=True)
class Amount:
    """Money that moved on a day."""

    day: datetime.date
    amount: float
    place: Place = field(default_factory=Place, compare=False)


@dataclass(frozen=True)
class Observed:
    """Everything that a results file says.

    Parameters
    ----------
    rows
        The results.
    drawdowns, costs
        Capital that was really called, and what the vehicle really spent; None where the file has none.
    ended
        Day on which the deal was ended early.
    ended_by
        What ended it: a break of the deal file, `no money`, or by default `policy change`.
    file
        Name of the file, for messages.
    """

    rows: tuple[Row, ...]
    drawdowns: tuple[Amount, ...] | None = None
    costs: tuple[Amount, ...] | None = None
    ended: datetime.date | None = None
    ended_by: str | None = None
    file: str = "results"
    ended_place: Place = field(default_factory=Place, compare=False)


def read(path: str | Path, deal: Deal) -> Observed:
    """Read a results file: YAML if it ends in .yaml or .yml, otherwise CSV.

    Parameters
    ----------
    path
        The file; UTF-8, with or without a byte order mark.
    deal
        The deal whose cohorts, outcomes and measures it names.

    Returns
    -------
    Observed

    Raises
    ------
    DealError
        With every mistake found.
    """
    if Path(path).suffix.lower() in {".yaml", ".yml"}:
        observed, found = _from_yaml(read_yaml(path), deal)
    else:
        observed, found = _from_csv(_text(path), str(path), deal)
    # rows that could not be read are not judged a second time
    found += problems(observed, deal)
    if found:
        raise DealError(found)
    return observed


def is_yes_or_no(deal: Deal, outcome: str) -> bool:
    """Whether a person has an outcome at most once."""
    return outcome_of(deal, outcome)[0].counts in {"yes or no", "milestones"}


# ----------------------------------------------------------------------------------------------------
# Files
# ----------------------------------------------------------------------------------------------------


def _text(path: str | Path) -> str:
    name = str(path)
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            raise DealError(Problem(name, 1, 1, "", f"the file holds {size:,} bytes; allowed: up to {MAX_BYTES:,}"))
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise DealError(Problem(name, 1, 1, "", "there is no such file; allowed: an existing results file")) from None
    except IsADirectoryError:
        raise DealError(Problem(name, 1, 1, "", "this is a folder; allowed: a results file")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DealError(Problem(name, 1, 1, "", f"the file cannot be read: {reason}")) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rsplit(b"\n", 1)[-1].decode("utf-8", "replace")) + 1
        message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as CSV in UTF-8"
        raise DealError(Problem(name, line, column, "", message)) from None
    if "\0" in text:
        before_nul = text[: text.index("\0")]
        line, column = before_nul.count("\n") + 1, len(before_nul.rsplit("\n", 1)[-1]) + 1
        raise DealError(Problem(name, line, column, "", "this is no text; save the file as CSV in UTF-8")) from None
    return text


def _from_csv(text: str, name: str, deal: Deal) -> tuple[Observed, list[Problem]]:
    found: list[Problem] = []
    lines = re.split(r"\r\n|\r|\n", text)
    records = _records(text, name, found)
    header = next(records, None)
    if header is None:
        if not found:
            found.append(Problem(name, 1, 1, "", f"the file is empty; {_ALLOWED_ROWS}"))
        raise DealError(found)
    at, titles = header
    starts = _starts(lines, at, len(titles))
    columns = [" ".join(title.split()).casefold() for title in titles]
    while columns and not columns[-1]:
        columns.pop()  # a comma at the end of the line
    _check_header(columns, Place(name, "", at, {}), starts, deal, found)
    if found:
        raise DealError(found)
    rows = []
    for line, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        starts = _starts(lines, line, len(cells))
        marks = {column: (line, start) for column, start in zip(columns, starts, strict=False)}
        place = Place(name, "", line, marks)
        if any(cell.strip() for cell in cells[len(columns) :]):
            message = f"there are more cells than columns ({len(columns)}); allowed: a cell for each column"
            found.append(Problem(name, line, starts[len(columns)], "", message))
            continue
        row = _row({column: cell.strip() for column, cell in zip(columns, cells, strict=False)}, place, deal, found)
        if row is not None:
            rows.append(row)
    if not rows and not found:
        found.append(Problem(name, at + 1, 1, "", "there are no results; allowed: at least one row"))
    return Observed(tuple(rows), file=name), found


def _records(text: str, name: str, found: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a CSV text that are not blank, with the line on which each begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found.append(Problem(name, line, 1, "", f"this is no CSV ({error}); allowed: cells separated by commas"))
            return
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


def _starts(lines: list[str], line: int, number: int) -> list[int]:
    """Columns (from 1) in which the cells of a line begin; 1 for cells on later lines of a quoted record."""
    text = lines[line - 1] if line <= len(lines) else ""
    starts, quoted = [1], False
    for position, character in enumerate(text, start=1):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            starts.append(position + 1)
    for index, start in enumerate(starts):
        spaces = len(text[start - 1 :]) - len(text[start - 1 :].lstrip(" \t"))
        empty = text[start - 1 + spaces : start + spaces] in {"", ","}
        starts[index] = start if empty else start + spaces
    return (starts + [1] * number)[:number]


def _check_header(columns: list[str], place: Place, starts: list[int], deal: Deal, found: list[Problem]) -> None:
    allowed = "allowed: " + ", ".join(COLUMNS)
    for index, column in enumerate(columns):
        here = Problem(place.file, place.line, starts[index], column, "")
        if column not in COLUMNS:
            near = nearest(column, COLUMNS) if column else None
            hint = f"did you mean {near!r}?" if near else allowed
            message = f"unknown column; {hint}" if column else f"a column has no name; {allowed}"
            found.append(Problem(here.file, here.line, here.column, column, message))
        elif column in columns[:index]:
            found.append(Problem(here.file, here.line, here.column, column, "the column is given twice; keep one"))
    needed = [] if {"value", "participant"} & set(columns) else ["value"]
    if not {"outcome", "measure"} & set(columns):
        needed.insert(0, "outcome (or measure)")
    if "cohort" not in columns and len(deal.cohorts) > 1:
        needed.insert(0, "cohort")
    if needed:
        message = f"the columns {', '.join(needed)} are missing; {allowed}, separated by commas"
        if len(needed) == 1:
            message = f"the column {needed[0]} is missing; {allowed}, separated by commas"
        found.append(Problem(place.file, place.line, 1, "", message))


def _from_yaml(document: Document, deal: Deal) -> tuple[Observed, list[Problem]]:
    found: list[Problem] = []
    data = document.data
    for key in data:
        if key not in _KEYS:
            near = nearest(key, _KEYS)
            hint = f"did you mean {near!r}?" if near else "allowed: " + ", ".join(_KEYS)
            found.append(document.problem((key,), f"unknown key; {hint}", key=True))
    listed = data.get("results")
    if not isinstance(listed, list) or not listed:
        found.append(document.problem(("results",), f"a list of results is needed; {_ALLOWED_ROWS}"))
        listed = []
    rows = []
    for index, cells in enumerate(listed):
        if not isinstance(cells, dict):
            found.append(document.problem(("results", index), f"is no mapping; {_ALLOWED_ROWS}"))
            continue
        marks = {key: document.position(("results", index, key)) for key in cells}
        place = Place(document.name, f"results.{index}", document.position(("results", index))[0], marks)
        known = {}
        for key, value in cells.items():
            if key in COLUMNS:
                known[key] = value
                continue
            near = nearest(key, COLUMNS)
            hint = f"did you mean {near!r}?" if near else _ALLOWED_ROWS
            found.append(document.problem(("results", index, key), f"unknown key; {hint}", key=True))
        row = _row(known, place, deal, found)
        if row is not None:
            rows.append(row)
    ended = None
    marks = {key: document.position((key,)) for key in ("ended", "ended_by")}
    ended_place = Place(document.name, "", 1, marks)
    if "ended" in data:
        ended = _cell_day(data["ended"], "ended", ended_place, deal, found)
    observed = Observed(
        tuple(rows),
        drawdowns=_amounts(document, "drawdowns", deal, found),
        costs=_amounts(document, "costs", deal, found),
        ended=ended,
        ended_by=None if data.get("ended_by") is None else str(data["ended_by"]),
        file=document.name,
        ended_place=ended_place,
    )
    return observed, found


def _amounts(document: Document, key: str, deal: Deal, found: list[Problem]) -> tuple[Amount, ...] | None:
    """Read money by date: a mapping DATE: AMOUNT, or a list of {date, amount}."""
    if key not in document.data:
        return None
    data = document.data[key]
    pairs: list[tuple[tuple[str | int, ...], Any, Any]] = []
    if isinstance(data, dict):
        pairs = [((key, each), each, value) for each, value in data.items()]
    elif isinstance(data, list) and all(isinstance(each, dict) and set(each) == {"date", "amount"} for each in data):
        pairs = [((key, index), each["date"], each["amount"]) for index, each in enumerate(data)]
    else:
        found.append(document.problem((key,), "is no money by date; allowed: {2010-09: 1500000, 2012-03: 500000}"))
        return None
    amounts = []
    for path, date, value in pairs:
        name = str(path[-1])
        place = Place(document.name, key, document.position(path)[0], {name: document.position(path)})
        day = _cell_day(date, name, place, deal, found, from_start=True)
        number = _cell_number(value, name, place, found)
        if day is not None and number is not None:
            amounts.append(Amount(day, number, place))
    return tuple(amounts)


# ----------------------------------------------------------------------------------------------------
# Cells
# ----------------------------------------------------------------------------------------------------


def _row(cells: Mapping[str, Any], place: Place, deal: Deal, found: list[Problem]) -> Row | None:
    """Read one row, or note what is wrong with it and return None."""
    before = len(found)
    text = {key: _cell_text(cells.get(key), key, place, found) for key in ("cohort", "outcome", "measure")}
    participant = cells.get("participant")
    arm = _cell_arm(cells.get("arm"), place, found)
    cohort = _cell_cohort(text["cohort"], text["measure"], place, deal, found)
    _check_names(text["outcome"], text["measure"], arm, place, deal, found)
    size = _cell_whole(cells.get("size"), "size", place, found, least=0)
    period = _cell_whole(cells.get("period"), "period", place, found, least=1, most=deal.time.periods)
    day = None if _blank(cells.get("date")) else _cell_day(cells["date"], "date", place, deal, found)
    if day is not None and period is not None and _period(deal, day) != period:
        found.append(
            place.problem("period", f"{period} is not the period of the date, which is {_period(deal, day)}; give one")
        )
    variance = _cell_number(cells.get("variance"), "variance", place, found, blank=True)
    row = Row(
        cohort=cohort,
        outcome=text["outcome"],
        measure=text["measure"],
        arm=arm or INTERVENTION,
        participant=None if _blank(participant) else str(participant).strip(),
        day=day,
        period=period,
        size=size,
        variance=variance,
        place=place,
    )
    if len(found) > before:
        # the value is judged by what it is a value of; where that is unknown, only as a number
        measured = text["measure"] is not None or text["outcome"] in deal.measures
        _cell_number(cells.get("value"), "value", place, found, blank=True, signed=measured)
        return None
    value = _cell_value(cells.get("value"), row, deal, found)
    if len(found) > before:
        return None
    if row.participant is not None and value is None:
        value = 1.0
    return Row(**{**row.__dict__, "value": value})


def _blank(raw: Any) -> bool:
    return raw is None or (isinstance(raw, str) and not raw.strip())


def _cell_text(raw: Any, name: str, place: Place, found: list[Problem]) -> str | None:
    if _blank(raw):
        return None
    if isinstance(raw, (dict, list)):
        found.append(place.problem(name, "is no name; allowed: a name of the deal file"))
        return None
    return str(raw).strip()


def _cell_arm(raw: Any, place: Place, found: list[Problem]) -> str | None:
    if _blank(raw):
        return INTERVENTION
    arm = str(raw).strip().casefold()
    if arm in {INTERVENTION, COMPARISON, BEFORE}:
        return arm
    near = nearest(arm, (INTERVENTION, COMPARISON, BEFORE))
    hint = f"did you mean {near!r}?" if near else f"allowed: {INTERVENTION}, {COMPARISON}, {BEFORE}"
    found.append(place.problem("arm", f"{raw!r} is no arm; {hint}"))
    return None


def _cell_cohort(cohort: str | None, measure: str | None, place: Place, deal: Deal, found: list[Problem]) -> str | None:
    if cohort is None:
        if len(deal.cohorts) == 1:
            return next(iter(deal.cohorts))
        if measure is None:
            found.append(
                place.problem("cohort", f"is blank, but there are several cohorts; allowed: {', '.join(deal.cohorts)}")
            )
        return None
    if cohort not in deal.cohorts:
        found.append(place.problem("cohort", _unknown(cohort, list(deal.cohorts), "cohort")))
    return cohort


def _unknown(name: str, known: list[str], what: str) -> str:
    near = nearest(name, known)
    hint = f"did you mean {near!r}?" if near else "allowed: " + (", ".join(known[:12]) or "none is defined")
    return f"no {what} is called {name!r}; {hint}"


def _check_names(
    outcome: str | None, measure: str | None, arm: str | None, place: Place, deal: Deal, found: list[Problem]
) -> None:
    outcomes, measures = outcome_names(deal), [*deal.measures, *outcome_names(deal)]
    if outcome is not None and measure is not None:
        found.append(place.problem("measure", f"stands beside the outcome {outcome!r}; allowed: one of the two"))
    if outcome is not None and outcome not in outcomes:
        if outcome in deal.measures:
            found.append(place.problem("outcome", f"{outcome!r} is a measure; allowed: put it in the column measure"))
        else:
            found.append(place.problem("outcome", _unknown(outcome, outcomes, "outcome")))
    if measure is not None and measure not in measures:
        found.append(place.problem("measure", _unknown(measure, measures, "measure")))
    if measure is not None and arm in {COMPARISON, BEFORE}:
        found.append(place.problem("arm", "a measure belongs to no arm; allowed: leave it blank"))


def _cell_day(
    raw: Any, name: str, place: Place, deal: Deal, found: list[Problem], *, from_start: bool = False
) -> datetime.date | None:
    """Read a date; with `from_start` a month stands for its first day, otherwise for its last."""
    text = str(raw).strip()
    match = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", text)
    try:
        if match is None:
            raise ValueError
        year, month = int(match[1]), int(match[2])
        last = 1 if from_start or not 1 <= month <= 12 else calendar.monthrange(year, month)[1]
        day = datetime.date(year, month, int(match[3] or last))
    except ValueError:
        found.append(place.problem(name, f"{text!r} is no date; allowed: 2013-05-17 or 2013-05"))
        return None
    period = _period(deal, day)
    if period < 1:
        found.append(
            place.problem(name, f"{text} is before the deal starts; allowed: from {deal.time.start.text()}-01")
        )
        return None
    if period > deal.time.periods:
        found.append(
            place.problem(name, f"{text} is after the horizon; allowed: up to {deal.time.date(deal.time.periods)}")
        )
        return None
    return day


def _period(deal: Deal, day: datetime.date) -> int:
    return deal.time.period(Month(day.year, day.month))


def _number(raw: Any) -> tuple[float | None, bool]:
    """Return a number and whether it was written with a percent sign; None where it is none."""
    if isinstance(raw, bool):
        return None, False
    if isinstance(raw, (int, float)):
        try:
            number = float(raw)
        except OverflowError:
            return None, False
        return (number if math.isfinite(number) else None), False
    match = _NUMBER.fullmatch(str(raw).strip())
    if match is None or match[1].endswith("_"):
        return None, False
    number = float(match[1].replace("_", ""))
    if not math.isfinite(number):
        return None, False
    return (number / 100 if match[2] else number), bool(match[2])


def _cell_number(
    raw: Any, name: str, place: Place, found: list[Problem], *, blank: bool = False, signed: bool = False
) -> float | None:
    """Read a number that may not be negative (unless `signed`)."""
    if _blank(raw):
        if not blank:
            found.append(place.problem(name, "is empty; allowed: a number (leave the row out if it is not known)"))
        return None
    number, percent = _number(raw)
    if number is None or (percent and not signed):
        found.append(place.problem(name, f"{raw!r} is no number; allowed: digits, with . before decimals"))
        return None
    if number < 0 and not signed:
        found.append(place.problem(name, f"{raw!s} is negative; allowed: 0 or more"))
        return None
    return number


def _cell_whole(
    raw: Any, name: str, place: Place, found: list[Problem], *, least: int, most: int | None = None
) -> int | None:
    if _blank(raw):
        return None
    number, percent = _number(raw)
    limits = f"a whole number from {least}" + (f" to {most}" if most is not None else "")
    if number is None or percent or number != math.floor(number) or abs(number) > 1e12:
        found.append(place.problem(name, f"{raw!r} is no whole number; allowed: {limits}"))
        return None
    if number < least or (most is not None and number > most):
        found.append(place.problem(name, f"{raw!s} is out of range; allowed: {limits}"))
        return None
    return int(number)


def _cell_value(raw: Any, row: Row, deal: Deal, found: list[Problem]) -> float | None:
    """Read the value of a row by what it is a value of."""
    place = row.place
    if row.outcome is None and row.measure is None:
        if row.size is None:
            found.append(place.problem("outcome", "is blank; allowed: an outcome, a measure, or the size of a cohort"))
        elif row.cohort is None:
            found.append(place.problem("cohort", "is blank; allowed: the cohort whose size it is"))
        elif not _blank(raw) and _number(raw)[0] != 0:
            found.append(place.problem("value", "is the value of nothing; allowed: with an outcome or a measure"))
        return None
    if _blank(raw) and (row.participant is not None or (row.size == 0 and row.arm == INTERVENTION)):
        return None
    if row.measure is not None:
        return _measured(raw, row, deal, found)
    counts = outcome_of(deal, row.outcome)[0].counts if row.outcome in outcome_names(deal) else ""
    value = _cell_number(raw, "value", place, found, signed=counts == "score")
    if value is None or row.outcome is None:
        return None
    whole = is_yes_or_no(deal, row.outcome) or (row.participant is not None and counts not in {"amount", "score"})
    if row.arm == INTERVENTION and whole and value != math.floor(value):
        found.append(place.problem("value", f"{raw!s} is no count; allowed: a whole number"))
        return None
    if row.participant is not None and value > 1 and is_yes_or_no(deal, row.outcome):
        found.append(place.problem("value", f"one person has {row.outcome!r} at most once; allowed: 1 a participant"))
        return None
    return value


def _measured(raw: Any, row: Row, deal: Deal, found: list[Problem]) -> float | None:
    measure = measure_of(deal, row.measure or "")
    share = is_share(deal, row.measure or "")
    scores = measure.kind in {"count", "mean"} and outcome_of(deal, measure.outcome)[0].counts == "score"
    signed = measure.kind in {"reduction", "increase"} or bool(measure.parts) or scores
    value = _cell_number(raw, "value", row.place, found, signed=True)
    if value is None:
        return None
    if value < 0 and not signed:
        found.append(row.place.problem("value", f"{raw!s} is negative; allowed: 0 or more"))
        return None
    if value > 1 and share and measure.kind in {"share", "reduction", "p_value"}:
        found.append(
            row.place.problem("value", f"{raw!s} is more than the whole; allowed: a share such as 0.09 or 9%, up to 1")
        )
        return None
    if str(raw).strip().endswith("%") and not share:
        found.append(row.place.problem("value", f"{row.measure!r} is no share; allowed: a number without %"))
        return None
    return value


# ----------------------------------------------------------------------------------------------------
# What rows say together
# ----------------------------------------------------------------------------------------------------


def problems(observed: Observed, deal: Deal) -> list[Problem]:
    """List what is wrong with the rows of a results file taken together, and with names of rows made by hand.

    Parameters
    ----------
    observed
        The results.
    deal
        The deal that they belong to.

    Returns
    -------
    list of Problem
        Empty if the results can be settled.
    """
    found = list(_names(observed.rows, deal))
    if found:
        return found
    rows = observed.rows
    found += _given_twice(rows, deal)
    found += _sizes(rows)
    found += _pooled_sizes(rows, deal)
    found += _never_ran(rows)
    found += _both_ways(rows, deal)
    found += _ended(observed, deal)
    return found


def _names(rows: Iterable[Row], deal: Deal) -> Iterator[Problem]:
    for row in rows:
        found: list[Problem] = []
        _cell_cohort(row.cohort, row.measure, row.place, deal, found)
        _check_names(row.outcome, row.measure, row.arm, row.place, deal, found)
        if row.value is not None and not math.isfinite(row.value):
            found.append(row.place.problem("value", f"{row.value} is no number; allowed: a finite number"))
        if row.period is not None and not 1 <= row.period <= deal.time.periods:
            found.append(
                row.place.problem("period", f"{row.period} is out of range; allowed: 1 to {deal.time.periods}")
            )
        yield from found


def _given_twice(rows: Iterable[Row], deal: Deal) -> Iterator[Problem]:
    seen: dict[tuple[Any, ...], Row] = {}
    dates: dict[tuple[Any, ...], tuple[bool, Row]] = {}
    for row in rows:
        what = row.outcome or row.measure
        key: tuple[Any, ...] = (row.cohort, row.outcome, row.measure, row.arm, row.participant)
        once = row.participant is not None and row.outcome is not None and is_yes_or_no(deal, row.outcome)
        if row.measure is None and not once:
            key += (row.day, row.period)
        name = "outcome" if row.outcome else "measure" if row.measure else "cohort"
        if key in seen:
            yield row.place.problem(
                name, f"{what or row.cohort!r} is given twice; the first is on line {seen[key].place.line}"
            )
            continue
        seen[key] = row
        if row.outcome is None or row.participant is not None or row.value is None:
            continue
        dated = row.day is not None or row.period is not None
        group = (row.cohort, row.outcome, row.arm)
        other, first = dates.setdefault(group, (dated, row))
        if other != dated:
            yield row.place.problem(
                name,
                f"{what!r} is given with and without a date (line {first.place.line}); allowed: one of the two",
            )


def _sizes(rows: Iterable[Row]) -> Iterator[Problem]:
    stated: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if row.arm == COMPARISON and row.value is not None and (row.size is None or row.size == 0):
            if not (row.size == 0 and row.value == 0):
                yield row.place.problem("size", "is needed for a comparison arm; allowed: its people, at least 1")
            continue
        if row.arm == COMPARISON and row.participant is not None:
            yield row.place.problem("participant", "a comparison arm is given as a total; allowed: value and size")
        if row.size is None:
            continue
        key = (row.cohort,) if row.arm == INTERVENTION else (row.cohort, row.outcome, row.arm)
        first = stated.setdefault(key, row)
        if first.size != row.size:
            yield row.place.problem(
                "size", f"{row.size} is not the {first.size} of line {first.place.line}; allowed: one size"
            )


def _pooled_sizes(rows: Iterable[Row], deal: Deal) -> Iterator[Problem]:
    """Compare the people of a pooled measure with those of the cohorts."""
    sizes = {row.cohort: row.size for row in rows if row.size is not None and row.arm == INTERVENTION}
    stated = [sizes[name] for name in deal.cohorts if name in sizes]
    for row in rows:
        if row.cohort is not None or row.size is None:
            continue
        if row.size == 0:
            yield row.place.problem("cohort", "is blank; allowed: the name of the cohort that never ran (size 0)")
        elif sum(stated) > row.size or (len(stated) == len(deal.cohorts) and sum(stated) != row.size):
            yield row.place.problem("size", f"{row.size} is not the {sum(stated)} of the cohorts together")


def _never_ran(rows: Iterable[Row]) -> Iterator[Problem]:
    none = {row.cohort: row for row in rows if row.size == 0 and row.arm == INTERVENTION and row.cohort is not None}
    for row in rows:
        if row.cohort in none and row.value:
            line = none[row.cohort].place.line
            yield row.place.problem(
                "value", f"{row.cohort!r} never ran (size 0, line {line}); allowed: 0, or leave the value out"
            )


def _both_ways(rows: tuple[Row, ...], deal: Deal) -> Iterator[Problem]:
    """Find results given in two ways: a measure beside raw rows, totals beside participants."""
    raw: dict[tuple[str | None, str], Row] = {}
    totals: dict[tuple[str | None, str], Row] = {}
    persons: dict[tuple[str | None, str], Row] = {}
    for row in rows:
        if row.outcome is None or row.arm != INTERVENTION or row.value is None:
            continue
        key = (row.cohort, row.outcome)
        raw.setdefault(key, row)
        same, other = (totals, persons) if row.participant is None else (persons, totals)
        if key in other and key not in same:
            yield row.place.problem(
                "outcome",
                f"{row.outcome!r} is given as a total and by participants (line {other[key].place.line}); "
                "allowed: one of the two",
            )
        same.setdefault(key, row)
    never = {row.cohort for row in rows if row.size == 0 and row.arm == INTERVENTION}
    for row in rows:
        if row.measure is None or row.value is None:
            continue
        outcomes = [outcome for outcome, _ in outcomes_read(deal, row.measure) if outcome]
        cohorts = [row.cohort] if row.cohort is not None else [c for c in deal.cohorts if c not in never]
        if cohorts and outcomes and all((cohort, each) in raw for cohort in cohorts for each in outcomes):
            line = raw[cohorts[0], outcomes[0]].place.line
            listed = " and ".join(repr(each) for each in dict.fromkeys(outcomes))
            yield row.place.problem(
                "measure",
                f"{row.measure!r} stands beside raw rows of {listed} (line {line}); allowed: one of the two",
            )


def _ended(observed: Observed, deal: Deal) -> Iterator[Problem]:
    if observed.ended_by is not None:
        known = dict.fromkeys(
            ["policy change", "no money", *(b for s in deal.structures.values() for b in s.breaks or {})]
        )
        if observed.ended_by not in known:
            yield observed.ended_place.problem(
                "ended_by", f"no end is called {observed.ended_by!r}; allowed: {', '.join(known)}"
            )
        if observed.ended is None:
            yield observed.ended_place.problem("ended_by", "needs the day; allowed: with ended: DATE")
    if observed.ended is None:
        return
    stop = _period(deal, observed.ended)
    if not 1 <= stop <= deal.time.periods:
        yield observed.ended_place.problem("ended", "is outside the deal; allowed: a day within the horizon")
    for row in observed.rows:
        if row.cohort is None or row.arm != INTERVENTION or not (row.value or row.size):
            continue
        if deal.time.period(deal.cohorts[row.cohort].referred.first) > stop:
            yield row.place.problem(
                "cohort", f"{row.cohort!r} begins after the deal ended on {observed.ended}; allowed: size 0"
            )
            return
