"""The command line, `sib`.

Results go to standard output and nothing else does; progress and messages go to standard error. Exit status: 0 done,
2 the user's file or option is wrong, 1 a defect of ours, 130 interrupted. Command bodies import what they need, so
that `sib --help` loads neither NumPy nor numba.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import click

from simulator import __version__

MOST_DRAWS = 10**12  # as in run.py, which is not loaded here
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Number(click.ParamType[int]):
    """A whole number: 100000, 100_000, 250k, 1e6, 1m."""

    name = "number"

    def __init__(self, low: int, high: int, what: str) -> None:
        self.low, self.high, self.what = low, high, what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number; fail with what is allowed."""
        match = re.fullmatch(r"([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,2})?)\s*([kKmM]?)", str(value).strip())
        if match:
            number = float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2].lower()]
            if self.low <= number <= self.high and number == int(number):
                return int(number)
        return self.fail(f"{value!r} is no {self.what}", param, ctx)


_DRAWS = _Number(1, MOST_DRAWS, "number of draws; allowed: 1 to 1e12, as 100000, 250k or 1e6")
_DRAW = _Number(0, MOST_DRAWS - 1, "draw; allowed: 0 (the first) and above")


def _options(*names: str, draws: int = 100_000) -> Callable[[Any], Any]:
    table: dict[str, Any] = {
        "draws": click.option("--draws", type=_DRAWS, default=draws, help=f"Simulated worlds: 250k, 1e6. [{draws}]"),
        "seed": click.option("--seed", type=int, default=1, help="Any whole number. [1]"),
        "threads": click.option("--threads", type=click.IntRange(1, 1024), help="Moves no number. [all processors]"),
        "set": click.option(
            "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a value of the deal. Repeatable."
        ),
        "structure": click.option("--structure", "structures", multiple=True, metavar="NAME", help="Only this one."),
        "format": click.option(
            "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", help="[table]"
        ),
        "sampling": click.option(
            "--sampling", type=click.Choice(["plain", "sobol"]), default="plain", help="How draws are spread. [plain]"
        ),
        "target": click.option(
            "--target-error", "target", metavar="METRIC=VALUE", help="Double the draws until this error is reached."
        ),
        "quiet": click.option("--quiet", is_flag=True, help="No progress and no messages."),
    }

    def decorate(function: Any) -> Any:
        for name in reversed(names):
            function = table[name](function)
        return function

    return decorate


class _ClosedPipeError(Exception):
    """Whoever read our output has gone, which is no mistake of anybody's."""


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; click itself would call a closed pipe a failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ClosedPipeError from None


@click.group(cls=_Group, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="sib")
def cli() -> None:
    """Simulate social impact bonds: trigger probability, investor return and payer cost."""


@cli.command()
@click.argument("deal")
@_options("draws", "seed", "threads", "sampling", "set", "structure", "format", "target", "quiet")
def run(
    deal: str,
    draws: int,
    seed: int,
    threads: int | None,
    sampling: str,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    form: str,
    target: str | None,
    quiet: bool,
) -> None:
    """Simulate every payment structure of DEAL, side by side on the same draws."""
    from simulator.dealfile import load

    loaded = load(deal, sets)
    names = _known_structures(loaded.structures, structures)
    from simulator.run import TooLargeError, simulate

    _say_if_compiling(quiet)
    try:
        with _progress("draws", quiet) as progress:
            result = _until(
                target,
                lambda number: simulate(loaded, number, seed, names, threads, progress, sampling),
                lambda found: found.to_dict(),
                draws,
                quiet,
            )
    except TooLargeError as error:
        raise click.UsageError(str(error)) from None
    if form == "json":
        _print(result.to_json())
    elif form == "csv":
        _print_csv(["structure", "party", "metric", "statistic", "value", "standard_error"], result.rows())
    else:
        from simulator.report import run_tables

        _print_tables(run_tables(result.to_dict()))
    if not quiet:
        for line in result.to_dict()["warnings"]:
            click.echo(f"warning: {line}", err=True)


@cli.command()
@click.argument("deal")
@click.option(
    "--against",
    multiple=True,
    metavar="NAME",
    help="nothing, conventional, results without investors, or a structure. Repeatable. [the first three]",
)
@click.option("--budget", is_flag=True, help="Cash by financial year and payer, too.")
@click.option("--three-ms", is_flag=True, help="Print the grades of each paid outcome with their reasons, too.")
@_options("draws", "seed", "threads", "sampling", "set", "structure", "format", "target", "quiet")
def compare(
    deal: str,
    against: tuple[str, ...],
    budget: bool,
    three_ms: bool,
    draws: int,
    seed: int,
    threads: int | None,
    sampling: str,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    form: str,
    target: str | None,
    quiet: bool,
) -> None:
    """Is DEAL better value than nothing, a fee, or results without investors? Paired draw by draw."""
    from simulator.dealfile import load

    loaded = load(deal, sets)
    names = _known_structures(loaded.structures, structures)
    from simulator.compare import COMPARATORS, rows
    from simulator.compare import compare as compare_deal
    from simulator.run import TooLargeError

    others = _known_structures(dict.fromkeys((*COMPARATORS, *loaded.structures)), against, "comparator")
    _say_if_compiling(quiet)
    try:
        with _progress("draws", quiet) as progress:
            data = _until(
                target,
                lambda number: compare_deal(loaded, number, seed, names, others, budget, threads, progress, sampling),
                lambda found: found,
                draws,
                quiet,
            )
    except TooLargeError as error:
        raise click.UsageError(str(error)) from None
    if form == "json":
        _print(_json(data))
    elif form == "csv":
        _print_csv(["structure", "party", "metric", "statistic", "value", "standard_error"], rows(data))
    else:
        from simulator.value_tables import compare_tables

        _print_tables(compare_tables(data, three_ms=three_ms))
    if not quiet:
        for line in data["warnings"]:
            click.echo(f"warning: {line}", err=True)


@cli.command()
@click.argument("deal")
@click.option("--results", required=True, metavar="FILE", help="Observed results, CSV or YAML.")
@_options("set", "structure", "format", "quiet")
def settle(deal: str, results: str, sets: tuple[str, ...], structures: tuple[str, ...], form: str, quiet: bool) -> None:
    """What each structure of DEAL pays for observed results; no simulation."""
    from simulator.dealfile import load

    loaded = load(deal, sets)
    names = _known_structures(loaded.structures, structures)
    from simulator.settle import settle as settle_results

    data = settle_results(loaded, results, names)
    if form == "json":
        _print(_json(data))
    elif form == "csv":
        _print_csv(["structure", *_SCHEDULE], _schedule_rows(data, _SCHEDULE))
    else:
        from simulator.report import settle_tables

        _print_tables(settle_tables(data))


_SCHEDULE = ["period", "date", "clause", "payer", "amount", "limited_by", "reason"]


def _schedule_rows(data: Mapping[str, Any], keys: list[str]) -> list[tuple[Any, ...]]:
    structures = data["structures"].items()
    return [(name, *(row[key] for key in keys)) for name, each in structures for row in each["schedule"]]


@cli.command()
@click.argument("deal")
@click.option("--draw", type=_DRAW, required=True, metavar="K", help="Counted from 0.")
@_options("seed", "sampling", "set", "structure", "format", "quiet")
def explain(
    deal: str,
    draw: int,
    seed: int,
    sampling: str,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    form: str,
    quiet: bool,
) -> None:
    """One draw of DEAL as a dated ledger, with a reason beside each amount."""
    from simulator.dealfile import load

    loaded = load(deal, sets)
    names = _known_structures(loaded.structures, structures)
    from simulator.explain import explain as explain_draw

    data = explain_draw(loaded, draw, seed, structures=names, sampling=sampling)
    if form == "json":
        _print(_json(data))
    elif form == "csv":
        keys = [*_SCHEDULE, "from", "to", "account", "account_after"]
        _print_csv(["structure", *keys], _schedule_rows(data, keys))
    else:
        from simulator.report import explain_tables

        _print_tables(explain_tables(data))


@cli.command()
@click.argument("deal")
@_options("draws", "seed", "threads", "set", "structure", "format", "quiet")
def triggers(deal: str, **options: Any) -> None:
    """If the payer of DEAL pays, was it real? Power, false and missed triggers, deadweight."""
    _answer(deal, "triggers", "triggers", options)


def _value_option(function: Any) -> Any:
    what = "What one additional outcome is worth, in place of what the file says. Repeatable."
    return click.option("--value", "values", multiple=True, metavar="OUTCOME=AMOUNT", help=what)(function)


@cli.command()
@click.argument("deal")
@_options("draws", "seed", "threads", "set", "structure", "format", "quiet")
@_value_option
def luck(deal: str, **options: Any) -> None:
    """Luck or skill: the variance of each metric of DEAL by what we don't know, luck and measurement."""
    _answer(deal, "luck", "luck", options)


@cli.command()
@click.argument("deal")
@click.option("--draws", type=_DRAWS, default=8192, help="Simulated worlds, for each number six times. [8192]")
@_options("seed", "threads", "set", "structure", "format", "quiet")
@_value_option
def sensitivity(deal: str, **options: Any) -> None:
    """Which numbers of DEAL matter: tornado, break-even, and shares of the variance."""
    _answer(deal, "sensitivity", "sensitivity", options)


@cli.command()
@click.argument("deal")
@click.option("--draws", type=_DRAWS, default=32_768, help="Simulated worlds. [32768]")
@_options("seed", "threads", "set", "structure", "format", "quiet")
@_value_option
@click.option("--group", "groups", multiple=True, metavar="'A + B'", help="Numbers known together. Repeatable.")
@click.option("--pilot", "pilots", multiple=True, metavar="PEOPLE=COST", help="A trial beforehand. Repeatable.")
@click.option("--pilot-arm", type=click.FloatRange(0, min_open=True), default=1.0, help="To compare, each. [1]")
@click.option("--arm", "arms", multiple=True, metavar="PEOPLE=COST", help="Of the deal, for later. Repeatable.")
def information(deal: str, **options: Any) -> None:
    """What knowing more would be worth, before the payer of DEAL chooses and investors fund."""
    _answer(deal, "information", "information", options)


@cli.command()
@click.argument("deal")
@click.option("--draws", type=_DRAWS, default=32_768, help="Simulated worlds. [32768]")
@_options("seed", "threads", "set", "structure", "format", "quiet")
@_value_option
def data(deal: str, **options: Any) -> None:
    """Which data of DEAL are worth collecting: the cost of its data plan, and the most that each item is worth."""
    _answer(deal, "dataplan", "data_plan", options)


def _answer(deal: str, module: str, question: str, options: dict[str, Any]) -> None:
    """Ask one question of a deal and print the answer."""
    import importlib

    from simulator.dealfile import load

    loaded = load(deal, options["sets"])
    asked: dict[str, Any] = {"structures": _known_structures(loaded.structures, options["structures"])}
    if "values" in options:
        asked["value"] = _values(loaded, options["values"])
    if "groups" in options:
        asked["groups"] = [_group(loaded, text) for text in options["groups"]]
        asked["pilots"] = [_pilot(text, options["pilot_arm"]) for text in options["pilots"]]
        asked["arms"] = [_arm(text) for text in options["arms"]]
    ask = getattr(importlib.import_module(f"simulator.{module}"), question)
    from simulator.run import TooLargeError

    quiet = options["quiet"]
    _say_if_compiling(quiet)
    try:
        with _progress("draws", quiet) as progress:
            data = ask(
                loaded, options["draws"], options["seed"], threads=options["threads"], progress=progress, **asked
            )
    except TooLargeError as error:
        raise click.UsageError(str(error)) from None
    if options["form"] == "json":
        _print(_json(data))
        return
    from simulator import questions

    if options["form"] == "csv":
        answers = next(data[key] for key in ("decisions", "items", "structures") if key in data)
        _print_csv(
            ["structure", "party", "metric", "statistic", "value", "standard_error"], questions.long_rows(answers)
        )
    else:
        _print_tables(getattr(questions, f"{question}_tables")(data))


def _values(loaded: Any, texts: tuple[str, ...]) -> dict[str, float]:
    """Read --value: money for one additional outcome, by name."""
    from simulator.deal import outcome_names
    from simulator.quantity import QuantityError, parse
    from simulator.yamlfile import nearest

    found: dict[str, float] = {}
    known = outcome_names(loaded)
    for text in texts:
        name, equals, amount = text.rpartition("=")
        name = name.strip().strip('"')
        if not equals:
            raise click.UsageError(f"--value {text!r}; allowed: OUTCOME=AMOUNT, such as {known[0]!r}=10000")
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else "allowed: " + ", ".join(known)
            raise click.UsageError(f"--value: no outcome is called {name!r}; {hint}")
        try:
            money = parse(amount.strip(), "money", currency=loaded.currency)
        except QuantityError as error:
            raise click.UsageError(f"--value {text!r}: {error}") from None
        if not money.is_fixed or name in found:
            what = "given twice" if name in found else "is no fixed amount"
            raise click.UsageError(f"--value {text!r}: {what}; allowed: OUTCOME=AMOUNT, once for each outcome")
        found[name] = money.value
    return found


def _group(loaded: Any, text: str) -> list[str]:
    """Read --group: names of uncertain numbers."""
    from simulator.plan import compile_plan
    from simulator.worlds import unknowns
    from simulator.yamlfile import nearest

    known = [each.name for each in unknowns(compile_plan(loaded))]
    names = [part.strip() for part in text.split(" + ")]
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else "allowed: " + ", ".join(known)
            raise click.UsageError(f"--group: nothing uncertain is called {name!r}; {hint}")
    return list(dict.fromkeys(names))


def _pilot(text: str, arm: float) -> Any:
    """Read --pilot: people, and what the study costs."""
    from simulator.information import Pilot

    people, equals, cost = text.partition("=")
    try:
        pilot = Pilot(float(people.replace("_", "")), float(cost.replace("_", "")) if equals else None, arm)
    except ValueError:
        pilot = Pilot(0.0)
    if not 1 <= pilot.people * min(arm, 1.0) <= 1e9 or not 0 <= (pilot.cost or 0.0) <= 1e15:
        raise click.UsageError(f"--pilot {text!r}; allowed: PEOPLE or PEOPLE=COST, at least 1 person on either side")
    return pilot


def _arm(text: str) -> Any:
    """Read --arm: people to compare over all cohorts of the deal, and what they cost."""
    from simulator.information import Arm

    people, equals, cost = text.partition("=")
    try:
        arm = Arm(float(people.replace("_", "")), float(cost.replace("_", "")) if equals else None)
    except ValueError:
        arm = Arm(0.0)
    if not 1 <= arm.people <= 1e9 or not 0 <= (arm.cost or 0.0) <= 1e15:
        raise click.UsageError(f"--arm {text!r}; allowed: PEOPLE or PEOPLE=COST, at least 1 person")
    return arm


@cli.command()
@click.argument("deal")
@click.option("-o", "--output", "path", required=True, metavar="FILE", help="Its ending says what: .html or .xlsx.")
@click.option("--draws", type=_DRAWS, help="Simulated worlds: 250k, 1e6. [100000; 8192 of people one by one]")
@_options("seed", "threads", "set", "structure", "quiet")
def report(
    deal: str,
    path: str,
    draws: int | None,
    seed: int,
    threads: int | None,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    quiet: bool,
) -> None:
    """Write DEAL to look at: a page (.html) or a workbook (.xlsx), each one file that needs no network."""
    from simulator.publish import REPORTS, check_place, write_report

    check_place(path, REPORTS)
    from simulator.dealfile import load

    loaded = load(deal, sets)
    names = _known_structures(loaded.structures, structures)
    from simulator.run import TooLargeError

    _say_if_compiling(quiet)
    asked = {"file": deal, "set": sets, "structure": structures}
    try:
        with _progress("questions", quiet) as progress:
            write_report(loaded, path, draws, seed, names, threads, progress, asked)
    except TooLargeError as error:
        raise click.UsageError(str(error)) from None


@cli.command()
@click.argument("deal")
@click.option(
    "--figure", "figure", required=True, metavar="NAME", help="multiple, irr, cost, pay-off, budget, power, ..."
)
@click.option("-o", "--output", "path", required=True, metavar="FILE", help="Its ending says what: .png, .svg or .pdf.")
@click.option("--draws", type=_DRAWS, help="Simulated worlds: 250k, 1e6. [100000; 8192 of people one by one]")
@_options("seed", "threads", "set", "structure", "quiet")
def plot(
    deal: str,
    figure: str,
    path: str,
    draws: int | None,
    seed: int,
    threads: int | None,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    quiet: bool,
) -> None:
    """Draw one figure of DEAL, as it stands in the report."""
    from simulator.publish import FIGURES, check_place, draw_to

    check_place(path, FIGURES)
    from simulator.dealfile import load

    loaded = load(deal, sets)
    names = _known_structures(loaded.structures, structures)
    from simulator.run import TooLargeError

    _say_if_compiling(quiet)
    try:
        with _progress("draws", quiet) as progress:
            draw_to(loaded, figure, path, draws, seed, names, threads, progress)
    except TooLargeError as error:
        raise click.UsageError(str(error)) from None


def _say_if_compiling(quiet: bool) -> None:
    """Say so, once, if kernels have to be compiled."""
    from simulator.compiled import tell_when_compiling

    if not quiet:
        tell_when_compiling(lambda: _say("compiling the kernels, once for this installation; this takes some seconds"))


@cli.command()
@click.argument("deals", nargs=-1, required=True)
@_options("set", "quiet")
def check(deals: tuple[str, ...], sets: tuple[str, ...], quiet: bool) -> None:
    """Validate deal files; print every mistake at once."""
    from simulator.dealfile import load
    from simulator.yamlfile import DealError

    wrong = False
    for each in deals:
        try:
            load(each, sets)
        except DealError as error:
            wrong = True
            click.echo(str(error), err=True)
        else:
            if not quiet:
                click.echo(f"{each}: ok")
    if wrong:
        sys.stdout.flush()
        raise SystemExit(2)


@cli.command()
@click.argument("deal")
@click.option("--paths", is_flag=True, help="List every path that --set can change, with its value.")
@click.option("--terms", is_flag=True, help="Say each clause in plain English, with what it pays at every result.")
@_options("set", "format")
def show(deal: str, paths: bool, terms: bool, sets: tuple[str, ...], form: str) -> None:
    """The fully resolved DEAL, which reads back as the same deal."""
    from simulator import dealfile
    from simulator.deal import to_plain
    from simulator.yamlfile import join_path

    if paths and terms:
        raise click.UsageError("--paths and --terms are two answers; allowed: one of them")
    if terms and form != "table":
        raise click.UsageError("--terms is a text; allowed: without --format")
    loaded = dealfile.load(deal, sets)
    if terms:
        from simulator.terms import text

        _print(text(loaded))
        return
    if not paths:
        if form == "csv":
            raise click.UsageError("a deal is no table; allowed: --format json, or csv with --paths")
        _print(_json(to_plain(loaded)) if form == "json" else dealfile.show(loaded).rstrip("\n"))
        return
    rows = [(join_path(path), value, neutral) for path, value, neutral in dealfile.paths(loaded)]
    if form == "json":
        _print(_json([dict(zip(("path", "value", "neutral"), row, strict=True)) for row in rows]))
        return
    if form == "csv":
        _print_csv(["path", "value", "neutral"], rows)
        return
    for path, value, neutral in rows:
        note = "" if neutral is None else f"    # neutral: {neutral}"
        _print(f"{path}={value}{note}")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the deal file, for editors."""
    from simulator.schema import schema as made

    _print(_json(made()))


def _until(target: str | None, ask: Any, answers: Any, draws: int, quiet: bool) -> Any:
    """Ask once, or with ever more draws until a target error is reached."""
    if target is None:
        return ask(draws)
    from simulator.solve import parse_target, until

    wanted = parse_target(target)
    found, reached = until(wanted, ask, answers, draws)
    if not quiet:
        _say(f"{wanted.name}: error {reached:.3g} of {wanted.error:.3g} allowed, at {answers(found)['draws']:,} draws")
    return found


@cli.command()
@click.argument("deal")
@click.option("--shock", "shocks", multiple=True, metavar="NAME", help="Only this one. Repeatable. [all]")
@click.option("--no-reverse", is_flag=True, help="Only the shocks, not how far each driver can go.")
@_options("draws", "seed", "threads", "set", "structure", "format", "target", "quiet", draws=20_000)
def stress(
    deal: str,
    shocks: tuple[str, ...],
    no_reverse: bool,
    draws: int,
    seed: int,
    threads: int | None,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    form: str,
    target: str | None,
    quiet: bool,
) -> None:
    """What breaks DEAL: each shock on the same draws, and how far each driver can go.

    Reverse stress uses the first 10,000 draws.
    """
    from simulator.stress import stress as stress_deal

    _say_if_compiling(quiet)

    def ask(number: int, reverse: bool = False) -> Any:
        with _progress("steps", quiet) as progress:
            return stress_deal(
                deal,
                shocks or None,
                draws=number,
                seed=seed,
                structures=structures or None,
                sets=sets,
                reverse=reverse,
                threads=threads,
                progress=progress,
            )

    def answers(found: Any) -> Any:
        bases = {name: each["base"] for name, each in found["structures"].items()}
        return {"structures": bases, "draws": found["draws"]}

    data = None
    if target is not None:
        data = _until(target, ask, answers, draws, quiet)
        draws = data["draws"]
    if data is None or not no_reverse:
        data = ask(draws, not no_reverse)
    if form == "json":
        _print(_json(data))
    elif form == "csv":
        from simulator.stress import rows

        _print_csv(["structure", "shock", "metric", "statistic", "value", "standard_error"], rows(data))
    else:
        from simulator.report import stress_tables

        _print_tables(stress_tables(data))


@cli.command()
@click.argument("deal")
@click.option("--for", "terms", multiple=True, required=True, metavar="PATH[=LOW:HIGH]", help="The term to be found.")
@click.option("--so-that", metavar="'METRIC of STRUCTURE = VALUE'", help="Or = METRIC of STRUCTURE.")
@click.option("--frontier", metavar="STRUCTURE", help="With two terms: the efficient set of investor against payer.")
@click.option(
    "--investor",
    type=click.Choice(["irr", "loss"]),
    default="irr",
    help="Of the frontier: median IRR or P(loss). [irr]",
)
@_options("draws", "seed", "threads", "set", "format", "quiet", draws=20_000)
def solve(
    deal: str,
    terms: tuple[str, ...],
    so_that: str | None,
    frontier: str | None,
    investor: str,
    draws: int,
    seed: int,
    threads: int | None,
    sets: tuple[str, ...],
    form: str,
    quiet: bool,
) -> None:
    """Which value of a term of DEAL gives a result, with its interval."""
    from simulator.solve import frontier as frontier_of
    from simulator.solve import solve as solve_deal

    if (so_that is None) == (frontier is None):
        raise click.UsageError("give one of --so-that and --frontier; allowed: one of them")
    if so_that is not None and len(terms) != 1:
        raise click.UsageError(f"{len(terms)} terms for one equation; allowed: one --for with --so-that")
    _say_if_compiling(quiet)
    if frontier is not None:
        metric = {"irr": "investor.irr.p50", "loss": "investor.probability_of_loss.probability"}[investor]
        data = frontier_of(deal, terms, frontier, investor=metric, draws=draws, seed=seed, sets=sets, threads=threads)
    else:
        data = solve_deal(deal, terms[0], so_that or "", draws=draws, seed=seed, sets=sets, threads=threads)
    if form == "json":
        _print(_json(data))
    elif form == "csv":
        from simulator.solve import HEADER_OF_ROWS, rows

        _print_csv(HEADER_OF_ROWS[frontier is not None], rows(data))
    else:
        from simulator.report import frontier_tables, solve_tables

        _print_tables(solve_tables(data) if frontier is None else frontier_tables(data))


_CELLS = _Number(1, 10**7, "number of cells; allowed: 1 to 1e7")


@cli.command()
@click.argument("deals", nargs=-1, required=True, metavar="DEAL...")
@click.option("--over", multiple=True, required=True, metavar="PATH=LOW:HIGH:N", help="Or PATH=a,b,c. Repeatable.")
@click.option("--out", required=True, metavar="FOLDER", help="New, empty, or of this same sweep, to go on with it.")
@click.option("--design", type=click.Choice(["grid", "latin", "sobol"]), default="grid", help="[grid]")
@click.option("--cells", type=_CELLS, help="Number of cells of a latin or sobol design.")
@click.option("--most-cells", type=_CELLS, default=100_000, help="Refuse more cells than this. [100000]")
@click.option("--workers", type=click.IntRange(1, 256), help="Work in so many local processes (needs dask).")
@click.option("--scheduler", metavar="ADDRESS", help="Work on a Dask cluster (needs dask).")
@click.option("--summary", is_flag=True, help="Print a pivot of each metric.")
@click.option("--metric", "asked", multiple=True, metavar="METRIC", help="For --summary and --plot. Repeatable.")
@click.option("--plot", metavar="FILE", help="Draw the first metric: lines, or a heat map.")
@_options("draws", "seed", "threads", "set", "structure", "format", "quiet", draws=10_000)
def sweep(
    deals: tuple[str, ...],
    over: tuple[str, ...],
    out: str,
    design: str,
    cells: int | None,
    most_cells: int,
    workers: int | None,
    scheduler: str | None,
    summary: bool,
    asked: tuple[str, ...],
    plot: str | None,
    draws: int,
    seed: int,
    threads: int | None,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    form: str,
    quiet: bool,
) -> None:
    """Simulate one DEAL or several over a range of settings; write a table of all cells to a folder.

    The same command goes on with a sweep that was interrupted.
    """
    from simulator.sweep import pivots, summarised
    from simulator.sweep import sweep as sweep_deals

    if plot is not None:
        from simulator.figures import check_name

        check_name(plot)
    _say_if_compiling(quiet)
    try:
        with _progress("cells", quiet) as progress:
            manifest = sweep_deals(
                list(deals),
                list(over),
                out,
                design=design,
                cells=cells,
                draws=draws,
                seed=seed,
                structures=structures or None,
                sets=sets,
                threads=threads,
                workers=workers,
                scheduler=scheduler,
                most_cells=most_cells,
                metrics=asked if summary or plot else (),
                say=None if quiet else _say,
                progress=progress,
            )
    except OSError as error:
        message = f"{error.strerror or error}; the same command goes on with what is recorded"
        raise OSError(error.errno, message, error.filename) from None
    tables = [each for metric in asked or summarised(out) for each in pivots(out, metric)] if summary or plot else []
    if plot is not None:
        from simulator import figures

        first = [each for each in tables if each.metric == tables[0].metric]
        figures.save(figures.of_sweep(first, manifest["currency"]), plot)
    if form == "json":
        _print(_json(manifest | ({"summary": [each.to_dict() for each in tables]} if summary else {})))
    elif form == "csv":
        keys = ["structure", "metric", "row", "column", "value", "standard_error"]
        _print_csv(keys, [row for each in tables if summary for row in each.rows()])
    else:
        from simulator.report import sweep_tables

        _print_tables(sweep_tables(manifest, out, tables if summary else []))


# ---------------------------------------------------------------------------------------------------------------


def _known_structures(known: Mapping[str, Any], asked: tuple[str, ...], what: str = "structure") -> list[str] | None:
    if not asked:
        return None
    from simulator.yamlfile import nearest

    for name in asked:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else "allowed: " + ", ".join(known)
            raise click.UsageError(f"no {what} is called {name!r}; {hint}")
    return [name for name in known if name in asked]


def _json(data: Any) -> str:
    import json

    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _print_csv(header: list[str], rows: Any) -> None:
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)


def _print_tables(tables: list[Any]) -> None:
    from simulator.report import console

    console().print(*tables, sep="\n")


class _progress:  # noqa: N801 (reads as a word in `with`)
    """A progress bar on standard error, on a terminal only, with the rate and the time left."""

    def __init__(self, what: str, quiet: bool) -> None:
        self.what, self.shown = what, sys.stderr.isatty() and not quiet
        self.bar: Any = None

    def __enter__(self) -> Callable[[int, int], None] | None:
        if not self.shown:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        screen = Console(stderr=True, no_color="NO_COLOR" in os.environ)
        columns = (
            TextColumn(self.what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=screen, transient=True)
        begun: list[tuple[float, int]] = []
        task = None

        def show(done: int, total: int) -> None:
            nonlocal task
            now = time.monotonic()
            if task is None:
                self.bar.start()
                task = self.bar.add_task(self.what, total=total, completed=done, rate="")
                begun.append((now, done))
                return
            since, at_first = begun[0]
            rate = (done - at_first) / max(now - since, 1e-9)
            self.bar.update(task, completed=done, total=total, rate=f"{rate:,.0f} a second")

        return show

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()


def _interrupted(*_: object) -> None:
    """Leave at once: the pool's threads may be deep in a kernel, or compiling one."""
    show_cursor = b"\x1b[?25h" if sys.stderr is not None and sys.stderr.isatty() else b""
    os.write(2, show_cursor + b"interrupted\n")
    os._exit(130)


def _say(message: str) -> None:
    click.echo(message, err=True)


def _set_up_streams() -> None:
    """Write UTF-8 into files and pipes on every system; on a terminal replace what it cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors="replace")
            else:
                stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def main() -> None:
    """Entry point: every ending has its exit status, and none is a traceback."""
    if sys.stdout is None:
        _say("standard output is closed; allowed: a terminal, a file or a pipe")
        sys.exit(2)
    _set_up_streams()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _interrupted)
    try:
        status = cli.main(standalone_mode=False)
        sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show(file=sys.stderr)
        sys.exit(2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "sib"
        message = error.format_message().rstrip(".")
        hint = "" if "allowed: " in message or "id you mean " in message else f"; see {command} --help"
        _say(f"{command}: {message}{hint}")
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        _interrupted()
    except (_ClosedPipeError, BrokenPipeError):
        _leave(0)
    except OSError as error:
        _say(f"cannot write or read: {error.strerror or error} {error.filename or ''}".rstrip())
        _leave(2)
    except MemoryError:
        _say("not enough memory for this many draws; allowed: fewer --draws")
        sys.exit(2)
    except Exception as error:
        from simulator.yamlfile import AskError, DealError

        if isinstance(error, DealError):
            _say(str(error))
            sys.exit(2)
        if isinstance(error, AskError):
            _say("\n".join(f"sib: {line}" for line in str(error).splitlines()))
            sys.exit(2)
        _say(f"a defect of ours, please report it: {type(error).__name__}: {' '.join(str(error).split())}")
        if os.environ.get("SIB_TRACEBACK"):
            raise
        sys.exit(1)


def _leave(status: int) -> NoReturn:
    """Exit without another try to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
