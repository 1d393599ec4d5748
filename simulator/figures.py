"""Drawings: functions that take data and a Matplotlib axes.

Colours can be told apart by everybody; lines are labelled where they end, and every axis says its unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
FORMATS = ("png", "svg", "pdf")
_STYLES = ("-", "--", "-.", ":")
_MONEY = ("payments", "cost", "net_present_value", "surplus", "lowest_cash", "peak_funding_need", "by_year")


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
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: show(value, unit)))


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
