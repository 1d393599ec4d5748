"""Drawings: functions that take data and a Matplotlib axes.

Colours can be told apart by everybody; lines are labelled where they end, and every axis says its unit. A party has the
same colour everywhere: outcome payers blue, investors vermilion, the provider green, the others purple. What must stand
out by its meaning (a loss, a false or missed trigger) is hatched, too, so that it survives a black-and-white printer.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.yamlfile import AskError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of Okabe and Ito, Color Universal Design (2008)."""
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, _ = COLOURS
PARTY = {
    "outcome payers": BLUE,
    "investors": VERMILION,
    "service provider": GREEN,
    "delivery of the service": GREEN,
    "set-up, management and evaluation": PURPLE,
    "guarantor": ORANGE,
    "givers of grants": ORANGE,
    "held by the vehicle": SKY,
}
"""Colour of each party, in every figure."""
INK, QUIET = "#1b1d21", "#7a7f87"
"""Text, and what only guides the eye; no party has these colours."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "hatch.color": INK,
    "text.parse_math": False,
}
"""Settings under which figures of a report are drawn. A `$` in a name is a `$`."""
FORMATS = ("png", "svg", "pdf")
_STYLES = ("-", "--", "-.", ":")
_MONEY = (
    "payments",
    "cost",
    "net_present_value",
    "surplus",
    "lowest_cash",
    "peak_funding_need",
    "by_year",
    "net.fees",
    "net.carry",
)


def unit_of(metric: str, currency: str) -> str:
    """Unit of a metric by its name: `share`, the currency, `years`, or nothing."""
    if "deadweight_share" in metric or "loss_given_loss" in metric:
        return "share"
    if metric.endswith((".count", ".undefined", ".multiple_roots")):
        return ""
    if ".irr." in f".{metric}" or "probability" in metric or metric.startswith("triggers."):
        return "share"
    if "payback" in metric:
        return "years"
    return currency if any(part in metric for part in _MONEY) else ""


def show(value: float, unit: str) -> str:
    """Write a value for a label."""
    if math.isnan(value):
        return "–"
    if unit == "share":
        return f"{value:.1%}"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.2f}m"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.0f}k"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def new(panels: int = 1, width: float = 6.4, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """Make a figure with so many panels side by side; it needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(panels, 3)
    rows = -(-panels // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(panels)]


def check_name(path: str | Path) -> str:
    """Return the format that the ending of a file's name says. Raises AskError if it is none, or its folder is not."""
    ending = Path(path).suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise AskError(f"{path} has no ending of a figure; allowed: {', '.join(FORMATS)}")
    if not Path(path).absolute().parent.is_dir():
        raise AskError(f"{path}: there is no such folder; allowed: an existing one")
    return ending


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure; the ending of the name is its format. The same data give the same bytes. Raises AskError."""
    ending = check_name(path)
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(ending, {})
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "sib"}):
        figure.savefig(path, metadata=metadata, dpi=150)


def _scale(axis: Any, unit: str) -> None:
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0) if unit == "share" else FuncFormatter(lambda value, _: _tick(value)))


def _tick(value: float) -> str:
    for size, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= 1.999 * size or (abs(value) >= size and letter != "k"):
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def lines(
    axes: Axes,
    x: Sequence[float],
    series: Mapping[str, tuple[Floats, Floats]],
    *,
    x_label: str,
    y_label: str,
    unit: str,
) -> None:
    """Draw one line for each name, with a band of two standard errors and its name at its end.

    Parameters
    ----------
    x
        Places of the values.
    series
        Name -> values and their standard errors (NaN where there is none).
    unit
        Of the values: `share`, a currency, or nothing.
    """
    ends: list[tuple[float, str, str]] = []
    for i, (name, (values, errors)) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(x, values, _STYLES[i % len(_STYLES)], color=colour, linewidth=1.8)
        if not np.isnan(errors).all():
            axes.fill_between(x, values - 2 * errors, values + 2 * errors, color=colour, alpha=0.2, linewidth=0)
        known = np.flatnonzero(~np.isnan(values))
        if known.size:
            ends.append((float(values[known[-1]]), name, colour))
    low, high = axes.get_ylim()
    least = 0.055 * (high - low)
    place = -math.inf
    for value, name, colour in sorted(ends):
        place = max(value, place + least)
        axes.annotate(
            name, (max(x), place), xytext=(6, 0), textcoords="offset points", color=colour, va="center", fontsize=9
        )
    axes.set_xlabel(x_label)
    axes.set_ylabel(f"{y_label}, {unit}" if unit and unit != "share" else y_label)
    _scale(axes.yaxis, unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.5)


def heat_map(
    axes: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Floats,
    *,
    title: str,
    row_label: str,
    column_label: str,
    unit: str,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw values [rows, columns] as colours, the first row at the bottom; few values are written out, too."""
    low, high = limits if limits is not None else (float(np.nanmin(values)), float(np.nanmax(values)))
    image = axes.imshow(values, origin="lower", aspect="auto", cmap="cividis", vmin=low, vmax=high)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(column_label)
    axes.set_ylabel(row_label)
    for axis, labels in ((axes.xaxis, columns), (axes.yaxis, rows)):
        step = max(1, -(-len(labels) // 10))
        axis.set_ticks(range(0, len(labels), step), labels=labels[::step])
    axes.tick_params(axis="x", labelrotation=45 if max(map(len, columns)) > 5 else 0)
    if values.size <= 100:
        for (i, j), value in np.ndenumerate(values):
            light = not math.isnan(value) and value < low + 0.55 * (high - low)
            axes.text(
                j, i, show(value, unit), ha="center", va="center", fontsize=7, color="white" if light else "black"
            )
    bar = axes.figure.colorbar(image, ax=axes)
    _scale(bar.ax.yaxis, unit)
    if unit and unit != "share":
        bar.set_label(unit)


def of_sweep(pivots: Sequence[Any], currency: str) -> Figure:
    """Draw a sweep: lines over one axis, heat maps over two, one panel for each structure."""
    first = pivots[0]
    unit = unit_of(first.metric, currency)
    if len(first.axes) == 1:
        figure, (axes,) = new()
        places = first.places[0] or tuple(range(len(first.labels[0])))
        series = {each.structure: (each.values[:, 0], each.errors[:, 0]) for each in pivots}
        lines(axes, places, series, x_label=first.axes[0], y_label=first.metric, unit=unit)
        if first.places[0] is None:
            axes.set_xticks(list(places), labels=list(first.labels[0]))
        return figure
    figure, panels = new(len(pivots))
    limits = (
        min(float(np.nanmin(each.values)) for each in pivots),
        max(float(np.nanmax(each.values)) for each in pivots),
    )
    for axes, each in zip(panels, pivots, strict=True):
        heat_map(
            axes,
            each.labels[0],
            each.labels[1],
            each.values,
            title=f"{each.structure}: {each.metric}",
            row_label=each.axes[0],
            column_label=each.axes[1],
            unit=unit,
            limits=limits,
        )
    return figure


# ---------------------------------------------------------------------------------------------------------------
# Figures of a report. Each takes what an answer holds and draws it on an axes.
# ---------------------------------------------------------------------------------------------------------------


def drawn(draw: Callable[..., None], *data: Any, width: float = 4.4, height: float = 2.8, **more: Any) -> Figure:
    """Make a figure of one panel in the style of the report: `draw(*data, axes, **more)`."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, (axes,) = new(1, width, height)
        figure.patch.set_facecolor("white")
        draw(*data, axes, **more)
        figure.canvas.draw()  # so that ticks are made in this style
    return figure


def rendered(figure: Figure, form: str, salt: str = "sib") -> bytes:
    """Return a figure as a file of one of :data:`FORMATS`; the same data and salt give the same bytes."""
    import io

    import matplotlib

    out = io.BytesIO()
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": salt}):
        figure.savefig(out, format=form, metadata=metadata, dpi=200)
    return out.getvalue()


def _clip(name: str, length: int = 34) -> str:
    return name if len(name) <= length else name[: length - 1].rstrip() + "\u2026"


def _wrapped(name: str, width: int = 26, most: int = 2) -> str:
    """Break a name into so many lines; what does not fit is cut off."""
    rows = textwrap.wrap(name, width) or [""]
    return "\n".join([*rows[: most - 1], _clip(" ".join(rows[most - 1 :]), width)] if len(rows) > most else rows)


def _bare(axes: Axes, *sides: str) -> None:
    axes.spines[list(sides)].set_visible(False)
    if "left" in sides:
        axes.tick_params(axis="y", length=0)


def spread(
    values: Mapping[str, Floats],
    axes: Axes,
    *,
    unit: str,
    label: str,
    even: float,
    worse: str,
    colour: str = VERMILION,
    below: bool = True,
) -> None:
    """Draw one histogram a name, on one scale; the share beyond `even` is hatched and written out.

    Parameters
    ----------
    values
        Name -> a value for each draw, NaN where undefined; the first name stands on top.
    unit, label
        Of the values.
    even
        Where it breaks even.
    worse
        What the hatched share is called, such as `loss`.
    below
        Whether the worse side is below `even`.
    """
    known = {name: each[np.isfinite(each)] for name, each in values.items()}
    known = {name: each for name, each in known.items() if each.size}
    if not known:
        axes.text(0.5, 0.5, "no draw has a value", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    low = min(float(np.quantile(each, 0.005)) for each in known.values())
    high = max(float(np.quantile(each, 0.995)) for each in known.values())
    low, high = min(low, even), max(high, even)
    width = (high - low) / 48.0 if high > low else 1.0
    first = even - math.ceil((even - low) / width - 1e-9) * width
    edges = np.arange(first, high + 1.5 * width, width)
    middle = edges[:-1] + width / 2.0
    on_bound = even + (1e-6 if below else -1e-6) * width
    for row, (name, each) in enumerate(known.items()):
        # as the run says it, a hair beside the bound is on the bound, and that is no worse
        shown = np.where(np.abs(each - even) <= 1e-9, on_bound, each)
        counts, _ = np.histogram(np.clip(shown, edges[0], edges[-1] - 1e-9 * width), edges)
        base = -float(row)
        heights = 0.66 * _cut(counts, middle, base + 0.66, axes)
        bad = (middle < even) if below else (middle > even)
        axes.bar(middle[~bad], heights[~bad], width, bottom=base, color=colour, linewidth=0)
        axes.bar(middle[bad], heights[bad], width, bottom=base, color=colour, alpha=0.45, linewidth=0)
        # on its own, since what makes a bar pale would fade its hatch away
        axes.bar(middle[bad], heights[bad], width, bottom=base, color="none", hatch="////", linewidth=0)
        axes.axhline(base, color=QUIET, linewidth=0.6)
        axes.vlines(even, base, base + 0.72, color=INK, linewidth=1.0)
        share = float(np.mean(each < even - 1e-9 if below else each > even + 1e-9))
        axes.annotate(
            f"{_clip(name)}: {worse} in {share:.0%}",
            (0.0, base + 0.78),
            xycoords=("axes fraction", "data"),
            va="bottom",
        )
    axes.set_ylim(-len(known) + 0.92, 1.12)
    axes.set_yticks([])
    axes.set_xlabel(label)
    _scale(axes.xaxis, unit)
    _bare(axes, "left")


def _cut(counts: NDArray[np.int64], middle: Floats, top: float, axes: Axes, lines: Sequence[float] = ()) -> Floats:
    """Return heights of bars within 1, the tallest at 1.

    One value that many draws share would flatten all others: its bar is cut off, and its share written beside its top,
    on the side that is free of upright `lines`.
    """
    largest, second = np.sort(counts)[::-1][:2]
    cut = 3.0 * second if second > 0 else float(largest)
    if largest > cut:
        at = int(counts.argmax())
        room = 0.2 * (middle[-1] - middle[0])
        free = {side: not any(0.0 <= side * (x - middle[at]) <= room for x in lines) for side in (1, -1)}
        right = free[1] if free[1] != free[-1] else at < 0.8 * counts.size
        axes.annotate(
            f"\u2191 {largest / counts.sum():.0%}",
            (middle[at], top),
            xytext=(5 if right else -5, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="top",
            fontsize=8.5,
        )
    return np.asarray(np.minimum(counts, cut) / min(float(largest), cut))


def multiples(result: Any, axes: Axes) -> None:
    """Draw the multiple on called capital of every structure with investors; draws below 1 are a loss."""
    spread(_of_investors(result, "multiple"), axes, unit="", label="multiple on called capital", even=1.0, worse="loss")


def irrs(result: Any, axes: Axes) -> None:
    """Draw the IRR of every structure with investors; a total loss is -100%."""
    label = "IRR a year (a total loss is \u2212100%)"
    spread(_of_investors(result, "irr"), axes, unit="share", label=label, even=0.0, worse="negative")


def _of_investors(result: Any, metric: str) -> dict[str, Floats]:
    return {name: result.draws(name)[metric] for name in result.structures if result[name].investor is not None}


def cost_against(result: Any, axes: Axes, other: str = "conventional") -> None:
    """Draw what payers pay more than under another structure, draw by draw on the same luck."""
    theirs = result.draws(other)["cost"]
    values = {name: result.draws(name)["cost"] - theirs for name in result.structures if name != other}
    label = f"payers' cost less that of {other}, {result.currency}"
    spread(values, axes, unit=result.currency, label=label, even=0.0, worse="dearer", colour=BLUE, below=False)


def _above(axes: Axes, place: float, name: str, row: int = 0) -> None:
    """Write a name above the axes at a place of its x axis, in the first row or one above it."""
    axes.annotate(
        name,
        (place, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3 + 11 * row),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8.5,
    )


def pay_off(
    curve: Sequence[tuple[float, float]],
    axes: Axes,
    *,
    label: str,
    currency: str,
    share: bool,
    marks: Sequence[tuple[float, str]] = (),
) -> None:
    """Draw what is paid at every result; a jump between two neighbours that are nearly one result is a cliff.

    Parameters
    ----------
    curve
        Result and payment, in order; both sides of a cliff stand next to each other.
    marks
        Results that have a name, such as `expected`.
    """
    x, y = np.array([each[0] for each in curve]), np.array([each[1] for each in curve])
    top = float(y.max()) or 1.0
    span = float(x[-1] - x[0]) or 1.0
    cliffs = [i for i in range(1, x.size) if x[i] - x[i - 1] <= 2.5e-3 * span and abs(y[i] - y[i - 1]) > 0.01 * top]
    named = [i for i in cliffs if abs(y[i] - y[i - 1]) > 0.15 * top]
    start = 0
    for stop in [*cliffs, x.size]:
        axes.plot(x[start:stop], y[start:stop], color=BLUE, linewidth=2.0, solid_capstyle="butt")
        start = stop
    for i in cliffs:
        axes.plot([x[i], x[i]], [y[i - 1], y[i]], color=BLUE, linewidth=1.0, linestyle=":")
    for i in named:
        right = x[i] < x[0] + 0.7 * span
        axes.annotate(
            f"cliff: {show(y[i] - y[i - 1], currency)}",
            (x[i], 0.5 * (y[i] + y[i - 1])),
            xytext=(5 if right else -5, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
        )
    ends = [-math.inf, -math.inf]
    for place, name in sorted(marks):
        reached = float(np.interp(place, x, y))
        axes.vlines(place, reached, 1.08 * top, color=QUIET, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
        half = 0.0125 * len(name) * span
        row = next((row for row, end in enumerate(ends) if place - half > end), None)
        if row is not None:
            _above(axes, place, name, row)
            ends[row] = place + half
    axes.set_xlabel(label)
    axes.set_ylabel(f"paid, {currency}")
    axes.set_ylim(min(0.0, 1.05 * float(y.min())), 1.08 * top)
    _scale(axes.xaxis, "share" if share else "")
    _scale(axes.yaxis, currency)


def budget(years: Sequence[Mapping[str, Any]], axes: Axes, *, currency: str) -> None:
    """Draw the payers' cash by financial year: expected as a bar, P95 as a line, the contractual maximum as a tick."""
    places = np.arange(len(years))
    expected = np.array([each["expected"]["value"] for each in years])
    axes.bar(places, expected, 0.6, color=BLUE, linewidth=0)
    p95 = np.array([np.nan if each["p95"] is None else each["p95"] for each in years])
    axes.vlines(places, expected, p95, color=BLUE, linewidth=1.4)
    axes.plot(places, p95, linestyle="none", marker="_", markersize=9, color=BLUE, markeredgewidth=1.6)
    most = np.array([np.nan if each["contractual_maximum"] is None else each["contractual_maximum"] for each in years])
    axes.plot(places, most, linestyle="none", marker="v", markersize=5, color=INK, markerfacecolor="none")
    axes.set_xticks(places, labels=[str(each["year"]) for each in years], rotation=45, ha="right")
    axes.set_xlabel("financial year")
    axes.set_ylabel(f"cash a year, {currency}")
    _scale(axes.yaxis, currency)
    words = "bar: expected \u00b7 line up to: P95" + ("" if np.isnan(most).all() else " \u00b7 triangle: the most")
    axes.set_title(words, loc="left", fontweight="normal", fontsize=8.5)


def power(curve: Sequence[Mapping[str, Any]], axes: Axes, *, promised: float, unit: str, has_promise: bool) -> None:
    """Draw P(paid) at each true effect; paid without effect and unpaid though as promised are hatched.

    Parameters
    ----------
    curve
        Rows of `power` of the triggers' answer: effect (positive when good) and probability with its error.
    promised
        The promised effect, or the expected one.
    """
    x = np.array([each["effect"] for each in curve])
    y = np.array([each["probability"] for each in curve])
    error = np.array([each["standard_error"] for each in curve])
    axes.fill_between(x, y - 2 * error, y + 2 * error, color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(x, y, color=BLUE, linewidth=2.0, marker="o", markersize=3)
    none, kept = x <= 1e-12, x >= promised - 1e-12
    axes.fill_between(x[none], 0.0, y[none], facecolor="none", edgecolor=VERMILION, hatch="////", linewidth=0)
    axes.fill_between(x[kept], y[kept], 1.0, facecolor="none", edgecolor=ORANGE, hatch="\\\\\\\\", linewidth=0)
    word = "promised" if has_promise else "expected"
    for place, name in ((0.0, "no effect"), (promised, word)):
        axes.axvline(place, color=INK, linewidth=0.8)
        _above(axes, place, name)
    false = float(np.interp(0.0, x, y))
    missed = 1.0 - float(np.interp(promised, x, y))
    beside: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8.5}
    words = f"paid, no\neffect:\n{false:.0%}"
    axes.annotate(words, (x[0], max(0.30, false + 0.12)), xytext=(5, 0), ha="left", va="bottom", **beside)
    words = f"unpaid though\nas {word}: {missed:.0%}"
    axes.annotate(words, (x[-1], min(0.55, 0.8 - missed)), xytext=(-3, 0), ha="right", va="top", **beside)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlim(x[0], x[-1])
    axes.set_xlabel("true effect" + ("" if unit == "share" else f", {unit}"))
    axes.set_ylabel("probability of any payment")
    _scale(axes.xaxis, "share" if unit != "units" else "")
    _scale(axes.yaxis, "share")


def fan(flows: Mapping[str, Floats], axes: Axes, *, years: Sequence[float], currency: str) -> None:
    """Draw cumulative cash by party: the median, and a band of nine draws in ten.

    Parameters
    ----------
    flows
        Party -> flows [draws, periods], money received positive.
    years
        Time of each period.
    """
    ends = []
    for party, each in flows.items():
        if not each.any():
            continue
        so_far = np.cumsum(each, axis=1)
        low, middle, high = np.quantile(so_far, (0.05, 0.5, 0.95), axis=0)
        colour = PARTY.get(party, PURPLE)
        axes.fill_between(years, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(years, middle, color=colour, linewidth=1.8)
        ends.append((float(middle[-1]), party, colour))
    axes.axhline(0.0, color=QUIET, linewidth=0.8)
    _name_ends(axes, float(years[-1]), ends)
    axes.set_xlabel("years from the start")
    axes.set_ylabel(f"cash so far, {currency}")
    _scale(axes.yaxis, currency)


def _name_ends(axes: Axes, x: float, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write names at the ends of lines, apart from each other, in ink beside a dot of the line's colour."""
    low, high = axes.get_ylim()
    least = 0.15 * (high - low)
    places = [value for value, _, _ in sorted(ends)]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + least)
    over = max(0.0, places[-1] - high) if places else 0.0
    for place, (_, name, colour) in zip(places, sorted(ends), strict=True):
        where = (x, place - over)
        axes.annotate("\u25cf", where, xytext=(4, 0), textcoords="offset points", color=colour, va="center")
        words = name.replace(", ", ",\n").replace("service ", "service\n").replace("outcome ", "outcome\n")
        axes.annotate(
            words, where, xytext=(14, 0), textcoords="offset points", va="center", fontsize=8.5, linespacing=1.1
        )


def steps(parts: Sequence[tuple[str, float, str]], axes: Axes, *, label: str, unit: str, total: str = "") -> None:
    """Draw amounts that add up, each bar beginning where the last one ended, and the sum.

    Parameters
    ----------
    parts
        Name, amount and colour, from top to bottom; an amount in a row named like a total may be drawn from zero by
        the colour INK.
    total
        Name of the sum; without it none is drawn.
    """
    at = 0.0
    rows: list[tuple[str, float, float, str]] = []
    for name, amount, colour in parts:
        begin = 0.0 if colour == INK else at
        rows.append((name, begin, amount, colour))
        at = begin + amount
    if total:
        rows.append((total, 0.0, at, INK))
    ends = [value for _, begin, amount, _ in rows for value in (begin, begin + amount)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    span = (high - low) or 1.0
    for row, (_, begin, amount, colour) in enumerate(rows):
        shade = QUIET if colour == INK else colour
        axes.barh(-row, amount, 0.62, left=begin, color=shade, linewidth=0)
        end = max(begin, begin + amount)
        sign = "" if colour == INK or amount == 0.0 else "+" if amount > 0.0 else "\u2212"
        words = sign + show(abs(amount) if sign else amount, unit)
        axes.annotate(words, (end, -row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5)
        if row + 1 < len(rows):
            place = begin + amount
            axes.plot([place, place], [-row - 0.31, -row - 0.69], color=QUIET, linewidth=0.6)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(-np.arange(len(rows)), labels=[_wrapped(name) for name, *_ in rows])
    axes.set_xlim(low - 0.02 * span, high + 0.22 * span)
    axes.set_xlabel("\n".join(textwrap.wrap(label, 46)))
    _scale(axes.xaxis, unit)
    _few_ticks(axes)
    _bare(axes, "left")


def _few_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5))


def widest(swings: Mapping[str, Any], most: int = 8) -> list[tuple[str, Any]]:
    """Return the numbers that move a metric most, the first one most; those that hardly move it are left out."""
    rows = sorted(swings.items(), key=lambda each: -abs(each[1]["swing"]["value"]))[:most]
    least = 0.01 * abs(rows[0][1]["swing"]["value"]) if rows else 0.0
    return [each for each in rows if abs(each[1]["swing"]["value"]) >= least]


def tornado(
    found: Mapping[str, Any],
    axes: Axes,
    *,
    names: Mapping[str, str],
    label: str,
    unit: str,
    even: float | None = None,
    most: int = 8,
) -> None:
    """Draw how the mean moves when one number goes from its 10th to its 90th percentile, the widest on top.

    Parameters
    ----------
    found
        One metric of the sensitivity's answer: `mean` and `tornado` with `low` and `high` by number.
    names
        Number -> what to call it.
    even
        Where the metric breaks even, if it does.
    """
    mean = found["mean"]["value"]
    rows = widest(found["tornado"], most)
    for row, (_, each) in enumerate(rows):
        for key, alpha in (("low", 0.45), ("high", 1.0)):
            end = each[key]["value"]
            axes.barh(-row, end - mean, 0.62, left=mean, color=VERMILION, alpha=alpha, linewidth=0)
    ends = [each[key]["value"] for _, each in rows for key in ("low", "high")] + [mean]
    if even is not None:
        ends.append(even)
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    for row, (_, each) in enumerate(rows):
        if abs(each["swing"]["value"]) < 0.15 * span:
            continue
        for key, word in (("low", "p10"), ("high", "p90")):
            end = each[key]["value"]
            side: dict[str, Any] = (
                {"xytext": (3, 0), "ha": "left"} if end >= mean else {"xytext": (-3, 0), "ha": "right"}
            )
            axes.annotate(word, (end, -row), textcoords="offset points", va="center", fontsize=8, **side)
    axes.vlines(mean, -len(rows) + 0.5, 0.5, color=INK, linewidth=0.8)
    axes.annotate(
        f"mean {show(mean, unit)}", (mean, 0.55), xytext=(0, 2), textcoords="offset points", ha="center", va="bottom"
    )
    if even is not None:
        axes.vlines(even, -len(rows) + 0.5, 0.5, color=INK, linewidth=0.8, linestyle="--")
        if abs(even - mean) > 0.35 * span:
            axes.annotate(
                "breaks even", (even, 0.55), xytext=(0, 2), textcoords="offset points", ha="center", va="bottom"
            )
    axes.set_yticks(-np.arange(len(rows)), labels=[_wrapped(names.get(name, name)) for name, _ in rows])
    axes.set_ylim(-len(rows) + 0.4, 1.0)
    axes.set_xlim(low - 0.12 * span, high + 0.12 * span)
    axes.set_xlabel("\n".join(textwrap.wrap(label, 46)))
    _scale(axes.xaxis, unit)
    _few_ticks(axes)
    _bare(axes, "left")


ON_BLUE, ON_LIGHT = "#ffffff", "#000000"
"""Ink on a bar."""
LAYERS = {"not_known": ("what we don't know", BLUE), "luck": ("luck", ORANGE), "measurement": ("measurement", PURPLE)}


def luck_or_skill(shares: Mapping[str, Mapping[str, Any] | None], axes: Axes) -> None:
    """Draw where the variance of each metric comes from: what nobody knows, luck, and measurement.

    Parameters
    ----------
    shares
        Metric -> layer -> share of the variance; None where there is none.
    """
    rows = [(name, each) for name, each in shares.items() if each is not None]
    for row, (_, each) in enumerate(rows):
        at = 0.0
        for layer, (_, colour) in LAYERS.items():
            share = max(each[layer]["value"], 0.0)
            axes.barh(-row, share, 0.6, left=at, color=colour, linewidth=0)
            if share >= 0.09:
                ink = ON_BLUE if colour == BLUE else ON_LIGHT
                axes.text(at + share / 2, -row, f"{share:.0%}", ha="center", va="center", color=ink)
            at += share
    for (word, colour), place in zip(LAYERS.values(), (0.0, 0.49, 0.65), strict=True):
        axes.annotate("\u25a0", (place, 0.42), color=colour, va="bottom")
        axes.annotate(word, (place + 0.04, 0.42), va="bottom", fontsize=8.5)
    axes.set_yticks(-np.arange(len(rows)), labels=[name for name, _ in rows])
    axes.set_ylim(-len(rows) + 0.5, 0.85)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("share of the variance")
    _scale(axes.xaxis, "share")
    _bare(axes, "left")


def information_worth(
    worth: Mapping[str, Mapping[str, Any]],
    axes: Axes,
    *,
    currency: str,
    costs: Mapping[str, float] | None = None,
    names: Mapping[str, str] | None = None,
    most: int = 8,
) -> None:
    """Draw the most that knowing each number could be worth, with its error, and beside it what the data cost.

    Parameters
    ----------
    worth
        Name -> estimate in money.
    costs
        Name -> what collecting it costs, where the deal says so.
    """
    rows = sorted(worth.items(), key=lambda each: -each[1]["value"])[:most]
    for row, (name, each) in enumerate(rows):
        value, error = each["value"], each["standard_error"] or 0.0
        axes.barh(-row, max(value, 0.0), 0.5, color=VERMILION, linewidth=0)
        axes.plot([value - 2 * error, value + 2 * error], [-row, -row], color=INK, linewidth=1.0)
        axes.annotate(
            show(max(value, 0.0), currency),
            (max(value + 2 * error, 0.0), -row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
        if costs and name in costs:
            axes.plot([costs[name]], [-row], marker="D", markersize=6, color=INK, markerfacecolor="none")
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(-np.arange(len(rows)), labels=[_wrapped((names or {}).get(name, name)) for name, _ in rows])
    axes.set_xlabel(f"worth at most, {currency}")
    if costs:
        axes.set_title("diamond: what collecting the data costs", loc="left", fontweight="normal", fontsize=8.5)
    _scale(axes.xaxis, currency)
    _few_ticks(axes)
    axes.margins(x=0.2)
    _bare(axes, "left")


def cases(values: Floats, points: Mapping[str, float], axes: Axes, *, label: str) -> None:
    """Draw a distribution with named cases on it, each with the share of draws that is worse."""
    known = values[np.isfinite(values)]
    low, high = min(float(known.min()), *points.values()), max(float(np.quantile(known, 0.995)), *points.values())
    edges = np.linspace(low, high if high > low else low + 1.0, 49)
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    middle = edges[:-1] + np.diff(edges) / 2.0
    heights = _cut(counts, middle, 1.0, axes, list(points.values()))
    axes.bar(middle, heights, np.diff(edges), color=VERMILION, alpha=0.6, linewidth=0)
    span = edges[-1] - edges[0]
    for i, (name, value) in enumerate(sorted(points.items(), key=lambda each: each[1])):
        below = float(np.mean(known < value - 1e-9))
        top = 1.12 + 0.17 * (len(points) - 1 - i)  # a label runs over the lines to its right
        axes.plot([value, value], [0.0, top], color=INK, linewidth=1.0)
        words = f"{name} {value:.2f}: {below:.0%} of draws are worse"
        axes.annotate(words, (value, top), xytext=(4, 0), textcoords="offset points", va="top", fontsize=8.5)
    axes.set_xlim(edges[0] - 0.02 * span, max(edges[-1], max(points.values()) + 0.55 * span))
    axes.set_ylim(0.0, 1.1 + 0.17 * len(points))
    axes.set_yticks([])
    axes.set_xlabel(label)
    _scale(axes.xaxis, "")
    _bare(axes, "left")


def frontier(settings: Sequence[Mapping[str, Any]], axes: Axes, *, investor: str, currency: str) -> None:
    """Draw settings of two terms by what they do for the investor and the payer; the efficient ones are joined."""
    unit = unit_of(investor, currency)
    points = [
        (each["payer_cost"], each["investor"], bool(each["efficient"]))
        for each in settings
        if each["investor"] is not None
    ]
    others = np.array([(x, y) for x, y, best in points if not best]).reshape(-1, 2)
    best = np.array(sorted((x, y) for x, y, best in points if best)).reshape(-1, 2)
    axes.plot(others[:, 0], others[:, 1], linestyle="none", marker="o", markersize=3, color=QUIET)
    axes.plot(best[:, 0], best[:, 1], color=VERMILION, marker="o", markersize=5, linewidth=1.4)
    axes.set_title("joined: settings that no other betters", loc="left", fontweight="normal", fontsize=8.5)
    axes.set_xlabel(f"payers' cost, mean, {currency}")
    axes.set_ylabel(investor)
    _scale(axes.xaxis, currency)
    _scale(axes.yaxis, unit)
    _few_ticks(axes)
