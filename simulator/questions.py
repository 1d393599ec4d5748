"""Tables and long rows of the answers to questions: triggers, luck, sensitivity, information."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from simulator.report import (
    as_estimate,
    as_money,
    as_number,
    as_percent,
    as_probability,
    new_table,
    present,
    with_error,
)

Row = tuple[str, str, str, str, Any, Any]

_NAMES = ("share_of_promise", "times", "people")
_LEAVES = ("value", "probability")


def long_rows(answers: Mapping[str, Any]) -> Iterator[Row]:
    """Yield long rows of answers: structure (or decision), party, metric, statistic, value, standard_error."""
    for name, found in answers.items():
        yield from _rows((name,), found)


def _rows(path: tuple[str, ...], found: Any) -> Iterator[Row]:
    place = (path[0], ": ".join(path[1:-1]))
    if isinstance(found, Mapping):
        leaf = next((key for key in _LEAVES if key in found and "standard_error" in found), None)
        if leaf is not None:
            yield *place, path[-1], leaf, found[leaf], found["standard_error"]
            rest = {key: each for key, each in found.items() if key not in {leaf, "standard_error", "interval"}}
        else:
            rest = dict(found)
        for key, each in rest.items():
            yield from _rows((*path, str(key)), each)
    elif isinstance(found, list):
        for position, each in enumerate(found):
            label = next((f"{key} {each[key]:g}" for key in _NAMES if key in each), str(position))
            yield from _rows((*path, label), each)
    else:
        yield *place, path[-1], "value", found, None


def _head(data: Mapping[str, Any], more: str = "") -> Text:
    worths = "; ".join(f"{name} {_worth(each)}" for name, each in data.get("valued", {}).items())
    more += f"\nworth of an additional outcome: {worths}" if worths else ""
    return Text(
        f"{data['deal']} ({data['currency']})\n{data['draws']:,} draws, seed {data['seed']}, "
        f"simulator {data['version']}, deal {data['deal_hash'][:12]}{more}\n"
    )


def _worth(found: Mapping[str, Any]) -> str:
    if "each" in found:
        return f"{as_money(found['each'])}, as asked"
    return "by the file's " + ", ".join([*found["savings"], *found["social_value"]])


def triggers_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of the triggers: what each says of the true effect, power, and size."""
    grid = f"\npower and sizes: the first {data['grid_draws']:,} draws" if data["grid_draws"] < data["draws"] else ""
    tables: list[Any] = [_head(data, grid)]
    tables.append(Text("True effect: a parameter of the draw, not what happened; positive is good"))
    table = new_table("", "", ["mean", "promised"])
    for name, each in data["effects"].items():
        unit = each["unit"]
        show = as_number if unit == "units" and abs(each["expected"]) >= 1 else as_percent
        table.add_row(Text(f"{name}, {unit}"), show(each["expected"]), show(each["promised"]))
    tables += [table, Text("")]
    for name, found in data["structures"].items():
        tables += _trigger_table(name, found)
        tables += _power_table(name, found["triggers"])
        for kind, cells in found["sizes"].items():
            if cells is not None:
                over = f"over the size of the {kind.replace('_', ' ')}"
                tables += _size_table(f"{name}: any payment {over}", cells)
                tables += _power_over_sizes(f"{name}: power, P(any payment) by the true effect, {over}", cells)
    return tables


_TRIGGER_COLUMNS = {
    "probability": "P(met)",
    "false_trigger": "no effect, but met",
    "missed_trigger": "as promised, not met",
    "no_effect_if_met": "P(effect ≤ 0 | met)",
    "below_promise_if_met": "P(< promise | met)",
    "deadweight_share": "deadweight",
}


def _trigger_cells(each: Mapping[str, Any]) -> list[str]:
    cells = [as_probability(each[key]) for key in list(_TRIGGER_COLUMNS)[:-1]]
    return [*cells, as_estimate(each["deadweight_share"], as_percent)]


def _trigger_table(name: str, found: Mapping[str, Any]) -> list[Any]:
    table = new_table(name, "trigger", list(_TRIGGER_COLUMNS.values()))
    for label, each in found["triggers"].items():
        table.add_row(Text(label), *_trigger_cells(each))
    pay = found["payments"]
    line = (
        f"expected payment {as_estimate(pay['expected'], as_money)}; at the expected effect "
        f"{as_estimate(pay['at_expected_effect'], as_money)}; difference {as_estimate(pay['difference'], as_money)}"
    )
    return [table, Text(line), Text("")]


def _power_table(name: str, triggers: Mapping[str, Any]) -> list[Any]:
    curves = {
        label: each["power"] for label, each in triggers.items() if each["power"] is not None and "[" not in label
    }
    if not curves:
        return []
    table = new_table(f"{name}: power, P(met) by the true effect", "share of the promise", ["effect", *curves])
    for position, row in enumerate(next(iter(curves.values()))):
        cells = [as_probability(curve[position]) for curve in curves.values()]
        effect = "–" if row["effect"] is None else f"{row['effect']:.4g}"
        table.add_row(as_percent(row["share_of_promise"]), effect, *cells)
    return [table, Text("")]


def _size_table(title: str, cells: list[Mapping[str, Any]]) -> list[Any]:
    table = new_table(title, "times the deal's", ["people", *_TRIGGER_COLUMNS.values(), "expected payment"])
    for each in cells:
        paid = as_estimate(each["expected_payment"], as_money)
        table.add_row(f"{each['times']:g}", f"{each['people']:,.0f}", *_trigger_cells(each), paid)
    return [table, Text("")]


def _power_over_sizes(title: str, cells: list[Mapping[str, Any]]) -> list[Any]:
    curves = [each["power"] for each in cells]
    if curves[0] is None:
        return []
    heads = [f"{point['share_of_promise']:.0%} of the promise" for point in curves[0]]
    table = new_table(title, "times the deal's", ["people", *heads])
    for each, curve in zip(cells, curves, strict=True):
        table.add_row(f"{each['times']:g}", f"{each['people']:,.0f}", *(as_probability(point) for point in curve))
    return [table, Text("")]


def luck_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of luck or skill: shares of the variance of each metric."""
    tables: list[Any] = [
        _head(data, "\nshares of the variance ± standard error, in this order; they add to 100%"),
    ]
    for name, found in data["structures"].items():
        table = new_table(name, "", ["standard deviation", "what we don't know", "luck", "measurement", "draws"])
        for metric, each in found.items():
            if each is None:
                continue
            show = as_money if metric in {"payments", "net_benefit"} else as_number
            shares = [as_estimate(each["shares"][layer], as_percent) for layer in data["order"]]
            table.add_row(metric.replace("_", " "), show(each["sd"]), *shares, f"{each['count']:,}")
        tables += [table, Text("")]
    return tables


def sensitivity_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of a sensitivity analysis: a tornado for each structure and metric, the widest swing first."""
    how = f"\none number at a time at its 10th and 90th percentile, all others as drawn\n{present(data)}"
    tables: list[Any] = [_head(data, how)]
    columns = ["p10", "p90", "mean at p10", "mean at p90", "breaks even at", "first order", "total"]
    for name, found in data["structures"].items():
        for metric, each in found.items():
            show = as_number if metric == "multiple" else as_money
            title = f"{name}: {metric.replace('_', ' ')}, mean {as_estimate(each['mean'], show)}"
            table = new_table(title, "", columns)
            swings = {label: abs(row["swing"]["value"] or 0.0) for label, row in each["tornado"].items()}
            for label in sorted(swings, key=lambda label: -swings[label]):
                shares = _indices(each["indices"].get(label))
                if swings[label] < 1e-9 * abs(each["mean"]["value"] or 0.0) and shares[1] in {"–", "0.0% ± 0.00%"}:
                    continue
                row, unknown = each["tornado"][label], data["unknowns"][label]
                even = "" if each["break_even"] is None else _even(each["break_even"][label], unknown["unit"])
                ends = [_in_unit(unknown[point], unknown["unit"]) for point in ("p10", "p90")]
                means = [as_estimate(row[end], show) for end in ("low", "high")]
                table.add_row(Text(label), *ends, *means, even, *shares)
            for label in [label for label in each["indices"] if label not in swings]:
                table.add_row(Text(label), "", "", "", "", "", *_indices(each["indices"][label]))
            tables += [table, Text("")]
    return [*tables, *(Text(line) for line in data["notes"])]


def _indices(found: Mapping[str, Any] | None) -> list[str]:
    return ["–", "–"] if found is None else [as_estimate(found[key], as_percent) for key in ("first", "total")]


def _in_unit(value: float, unit: str) -> str:
    if unit in {"share", "rate"}:
        return f"{100 * value:.3g}%"
    return f"{value:.3g} months" if unit == "duration" else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _even(found: Mapping[str, Any], unit: str) -> str:
    if found["value"] is None:
        return "never" if found["always"] is None else f"never: always {found['always']}"
    error = found["standard_error"]
    shown = "–" if error is None else _in_unit(0.0 if error < 1e-9 else error, unit)
    return with_error(_in_unit(found["value"], unit), shown)


def information_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of the value of information, the most valuable first, for each decision."""
    later = data["later"]
    served = "" if later["people"] is None else f"\nlater choices that the evidence serves: {_later(later)}"
    tables: list[Any] = [_head(data, f"\n{present(data)}{served}")]
    for label, found in data["decisions"].items():
        options = "; ".join(f"{option} {as_estimate(each, as_money)}" for option, each in found["options"].items())
        table = new_table(f"{label}: chooses {found['best']}", "what would be known", ["worth"])
        table.add_row("the future, luck included", as_estimate(found["foresight"], as_money))
        worth = found["information"]
        moving = [name for name in worth if worth[name]["value"] or worth[name]["standard_error"]]
        for name in sorted(moving, key=lambda name: -worth[name]["value"]):
            table.add_row(Text(name), as_estimate(worth[name], as_money))
        for each in found["pilots"]:
            net = "" if each["net"] is None else f"; less its cost {as_estimate(each['net'], as_money)}"
            people = f"pilot: {each['people']:,.0f} people, {each['comparison']:,.0f} to compare"
            table.add_row(people, as_estimate(each["worth"], as_money) + net)
        for each in found["arms"]:
            people = f"the deal, with a comparison arm of {each['comparison']:,.0f}"
            gain = f"{as_estimate(each['worth'], as_money)} to one later choice"
            if data["later"]["people"] is not None:
                gain += f", {as_estimate(each['worth_later'], as_money)} to all"
            net = "" if each["net"] is None else f"; less its cost {as_estimate(each['net'], as_money)}"
            table.add_row(people, gain + net)
        tables += [Text(f"{label}: mean net benefit of {options}"), table]
        idle = [name for name in worth if name not in moving]
        if idle:
            tables.append(Text(f"worth nothing, as far as was found: {', '.join(idle)}"))
        tables.append(Text(""))
    return [*tables, *(Text(line) for line in data["notes"])]


def _later(served: Mapping[str, Any]) -> str:
    return f"{served['decisions']:,.0f} decisions on {served['people']:,.0f} people each"


def data_plan_tables(data: Mapping[str, Any]) -> list[Any]:
    """Tables of a data plan: costs both ways, and the most that each item could be worth."""
    serves = data["evidence_serves"]
    later = "" if serves is None else f"; later: {_later(serves)}"
    tables: list[Any] = [_head(data, f"\nhere: one decision on {data['people_here']:,.0f} people{later}")]
    columns = ["needed by", "mandatory", "cost, each its own", "collected once", "worth here ≤", "later ≤", ""]
    table = new_table(f"Data plan, {data['currency']}", "", columns)
    for name, each in data["items"].items():
        costs = [as_money(each[key]) for key in ("cost_each_on_its_own", "cost_collected_once")]
        worth = [as_estimate(each[key], as_money) for key in ("worth_here", "worth_later")]
        cells = [str(len(each["needed_by"])), each["mandatory"], *costs, *worth, each["advice"]]
        table.add_row(Text(f"{name} ({each['kind']})"), *cells)
    for part in ("all", "mandatory"):
        costs = [as_money(data["total"][key][part]) for key in ("cost_each_on_its_own", "cost_collected_once")]
        table.add_row(f"total, {part}", "", "", *costs, "", "", "")
    return [*tables, table, *(Text(line) for line in data["notes"])]
