"""What `run.py` found, as tables and a chart; `python benchmarks/tables.py` writes them again from `results.json`."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
MARKS = "<!-- speed -->", "<!-- end of speed -->"
DEALS = {"peterborough": "Peterborough", "fair_chance_fund": "Fair Chance Fund", "essex": "Essex"}
PROGRAMS = {
    "sib": "sib, all threads",
    "sib 1": "sib, one thread",
    "c": "C, all threads",
    "c 1": "C, one thread",
    "vectorised": "vectorised NumPy, pyxirr loop",
    "people": "person by person in NumPy",
    "financial": "a loop with numpy-financial",
    "monaco": "monaco with pyxirr",
}
FURTHEST = 4.0
"""Standard errors that two programs may be apart."""
PACKAGES = ("numpy", "scipy", "numba", "pyxirr", "numpy-financial", "monaco")


def targets(found: dict) -> list[tuple[str, str, str, bool | None]]:
    """What was aimed at, what was found, and whether that is enough."""
    own = found["races"]["peterborough"]
    smooth, invested = (own["pyxirr over sib, all threads"] for own in found["rates of return"].values())
    growth = found["participants"]["microseconds a draw of Peterborough by people in a cohort, one thread"]
    flat = growth["1000000"] / growth["100"]
    person = found["participants"]["nanoseconds a person with a limit, one thread"]
    two = own["sib 1"]["microseconds_a_draw"] / own["sib"]["microseconds_a_draw"]
    begun = found["starts"]
    warm, empty = (begun["seconds"][f"sib run, {n}"]["median"] for n in ("100,000 draws", "1 draw"))
    numpy, people = own["vectorised"]["over sib"], own["people"]["over sib"]
    rows = [
        ("vectorised NumPy with a pyxirr loop, over sib", "at least 10", f"{numpy:.1f}", numpy >= 10),
        ("person by person in NumPy, over sib", "at least 1,000", f"{people:,.0f}", people >= 1000),
        (
            "rates of return of the investors' 33 flows, pyxirr over sib",
            "at least 40",
            f"{invested:.0f}",
            invested >= 40,
        ),
        (
            "rates of return of 32 flows that change sign once, pyxirr over sib",
            "at least 40",
            f"{smooth:.0f}",
            smooth >= 40,
        ),
        ("a draw with 1,000,000 people a cohort over one with 100", "flat", f"{flat:.2f}", flat <= 1.25),
        ("people with a limit each, ns a person and thread", "at most 100", f"{person:.0f}", person <= 100),
        ("one thread over two", "1.8", f"{two:.2f}", two >= 1.8) if found["threads"] == 2 else None,
        (
            "`sib --help` over `import click`",
            "below 2",
            f"{begun['help over click']:.2f}",
            begun["help over click"] < 2,
        ),
        (
            "first ever run, seconds",
            "below 20",
            f"{begun['first ever run, seconds']:.0f}",
            begun["first ever run, seconds"] < 20,
        ),
        (
            "warm `sib run` of 100,000 draws: share that is not simulation",
            "more than half",
            f"{empty / warm:.0%}",
            empty / warm > 0.5,
        ),
    ]
    if "c" in own:
        c = 1 / own["c"]["over sib"]
        rows.insert(2, ("sib over a straight C program", "at most 1.5", f"{c:.2f}", c <= 1.5))
    return [row for row in rows if row is not None]


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def _program(name: str, threads: int) -> str:
    return PROGRAMS[name].replace("all threads", f"{threads} threads")


def table_of_races(found: dict) -> list[str]:
    """Markdown: time a draw by deal and program, with the ratio to the simulator."""
    lines = ["| microseconds a draw (times sib's) | " + " | ".join(DEALS[deal] for deal in found["races"]) + " |"]
    lines.append("|---" * (1 + len(found["races"])) + "|")
    for program in PROGRAMS:
        cells = []
        for deal in found["races"].values():
            own = deal.get(program)
            cells.append("–" if own is None else f"{_amount(own['microseconds_a_draw'])} ({_amount(own['over sib'])}×)")
        if any(cell != "–" for cell in cells):
            lines.append(f"| {_program(program, found['threads'])} | " + " | ".join(cells) + " |")
    return lines


def table_of_targets(found: dict) -> list[str]:
    """Markdown: targets."""
    lines = ["| | aimed at | measured | |", "|---|---|---|---|"]
    return lines + [
        f"| {what} | {aim} | {got} | {'met' if met else 'missed'} |" for what, aim, got, met in targets(found)
    ]


def where(found: dict) -> str:
    """One line on the machine."""
    own = found["machine"]
    versions = ", ".join(f"{name} {own[name]}" for name in PACKAGES)
    busy = found["load average"]
    loaded = "" if busy < 1.0 else f" **while others used it (load average {busy:.1f}): not to be relied on**"
    return (
        f"{own['date']}, {own['processor']}, {own['processors']} processors; Python {own['python']}, {versions}; "
        f"{own['C compiler']}, `-O3 -march=native`{loaded}"
    )


def report(found: dict) -> str:
    """Everything, as Markdown."""
    lines = ["# Speed", "", f"Measured {where(found)}.", ""]
    if found["quick"]:
        lines += ["**A trial at a few draws: not a result.**", ""]
    lines += [*table_of_targets(found), ""]
    for deal, own in found["races"].items():
        lines += [
            f"## {DEALS[deal]}, as signed",
            "",
            f"Medians of {found['repeats']}, in turn; peak memory of the whole process.",
            "",
            "| program | draws | seconds (least to most) | µs a draw | over sib | over sib on one thread | MB |",
            "|---|---|---|---|---|---|---|",
        ]
        for program, row in own.items():
            took = row["seconds"]
            cells = [
                _program(program, found["threads"]),
                f"{row['draws']:,}",
                f"{took['median']:.2f} ({took['least']:.2f} to {took['most']:.2f})",
                *(_amount(row[key]) for key in ("microseconds_a_draw", "over sib", "over sib 1")),
                f"{row['peak_mb']:,}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", "Answers, with standard errors, and how many errors they are from sib's:", ""]
        labels = [row["answer"] for row in found["answers"][deal]["sib"]]
        lines += ["| program | " + " | ".join(labels) + " |", "|---" * (1 + len(labels)) + "|"]
        for program, rows in found["answers"][deal].items():
            cells = []
            for row in rows:
                error = "" if row["standard_error"] is None else f" ± {row['standard_error']:.2g}"
                big = abs(row["value"]) >= 1000
                if big and row["standard_error"] is not None:
                    error = f" ± {row['standard_error']:,.0f}"
                value = f"{row['value']:,.0f}" if big else f"{row['value']:.4f}"
                apart = "" if program == "sib" else f" ({row['errors_apart']:+.1f})"
                cells.append(f"{value}{error}{apart}")
            lines.append(f"| {_program(program, found['threads'])} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["## Rates of return, microseconds each", ""]
    for name, own in found["rates of return"].items():
        each = ", ".join(f"{program} {value:.3g}" for program, value in own["microseconds"].items())
        lines.append(f"- {name}: {each}; largest difference from pyxirr {own['largest difference from pyxirr']:.0e}")
    lines += ["", "## People", ""]
    for name, own in found["participants"].items():
        shown = ", ".join(f"{int(k):,}: {v:.3g}" for k, v in own.items()) if isinstance(own, dict) else f"{own:.0f}"
        lines.append(f"- {name}: {shown}")
    lines += ["", "## Whole processes, seconds", ""]
    for name, took in found["starts"]["seconds"].items():
        lines.append(f"- `{name}`: {took['median']:.3f} ({took['least']:.3f} to {took['most']:.3f})")
    lines.append(f"- first ever run, with an empty cache: {found['starts']['first ever run, seconds']:.1f}")
    lines += ["", "## Peak memory of sib, MB by draws of Peterborough", ""]
    lines.append(", ".join(f"{int(draws):,}: {mb:,.0f}" for draws, mb in found["memory"].items()))
    return "\n".join(lines) + "\n"


def short(found: dict) -> str:
    """Write the README's block."""
    took = found["starts"]["seconds"]
    lines = [
        f"Measured {where(found)}. All programs agreed on the answers first (P(trigger), mean payments, P(loss), mean "
        f"multiple, quantiles of the IRR, within {FURTHEST:.0f} standard errors); then they ran in turn, medians of "
        f"{found['repeats']}. Programs in NumPy and monaco use one thread. All of it, with the answers and memory: "
        "[benchmarks/results.md](benchmarks/results.md).",
        "",
        *table_of_races(found),
        "",
        *table_of_targets(found),
        "",
        f"Starting a process is not in these times: `sib --help` takes {took['sib --help']['median']:.2f} s, a warm "
        f"`sib run` of 100,000 draws {took['sib run, 100,000 draws']['median']:.1f} s, the first ever run "
        f"{found['starts']['first ever run, seconds']:.0f} s.",
    ]
    return "\n".join(lines) + "\n"


def chart(found: dict, path: Path) -> None:
    """Time a draw of each program, one panel a deal, all on the same logarithmic axis."""
    import matplotlib
    from matplotlib.ticker import FuncFormatter, NullLocator

    from simulator.figures import BLUE, GREEN, QUIET, STYLE, new, save

    order = [name for name in PROGRAMS if any(name in deal for deal in found["races"].values())][::-1]
    times = [row["microseconds_a_draw"] for deal in found["races"].values() for row in deal.values()]
    with matplotlib.rc_context(STYLE):
        figure, panels = new(len(found["races"]), width=3.7, height=2.8)
        for axes, (deal, own) in zip(panels, found["races"].items(), strict=True):
            best = own["sib"]["microseconds_a_draw"]
            axes.axvline(best, color=BLUE, linewidth=0.8)
            for i, name in enumerate(order):
                if name not in own:
                    continue
                time = own[name]["microseconds_a_draw"]
                colour = BLUE if name.startswith("sib") else GREEN if name.startswith("c") else QUIET
                axes.plot([best, time], [i, i], color=colour, linewidth=0.8)
                axes.plot(time, i, "o", color=colour, markersize=6)
                text = f"{_amount(time)} µs, {_amount(own[name]['over sib'])}×"
                axes.annotate(text, (max(time, best), i), (7, 0), textcoords="offset points", va="center", fontsize=8)
            axes.set_yticks(range(len(order)), [_program(name, found["threads"]) for name in order])
            if axes is not panels[0]:
                axes.tick_params(labelleft=False)
            axes.set_ylim(-0.6, len(order) - 0.4)
            axes.set_xscale("log")
            axes.set_xlim(0.5 * min(times), 60 * max(times))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("µs a draw, logarithmic scale")
            axes.set_title(DEALS[deal], loc="left")
            axes.tick_params(axis="y", length=0)
        save(figure, path)


def put_into_readme(block: str) -> None:
    """Replace what stands between the marks."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    README.write_text(f"{before}{MARKS[0]}\n{block}{MARKS[1]}{after}", encoding="utf-8")


def write(found: dict, folder: Path) -> None:
    """Write the results, tables and chart into a folder; those of a real run into the README, too."""
    (folder / "results.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(report(found), encoding="utf-8")
    chart(found, folder / "speed.svg")
    if folder == HERE:
        put_into_readme(short(found))


if __name__ == "__main__":
    write(json.loads((HERE / "results.json").read_text(encoding="utf-8")), HERE)
