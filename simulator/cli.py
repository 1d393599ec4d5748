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
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import click

from simulator import __version__

MOST_DRAWS = 10**12
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


def _options(*names: str) -> Callable[[Any], Any]:
    table: dict[str, Any] = {
        "draws": click.option("--draws", type=_DRAWS, default=100_000, help="Simulated worlds: 250k, 1e6. [100000]"),
        "seed": click.option("--seed", type=int, default=1, help="Any whole number. [1]"),
        "threads": click.option("--threads", type=click.IntRange(1, 1024), help="Moves no number. [all processors]"),
        "set": click.option(
            "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a value of the deal. Repeatable."
        ),
        "structure": click.option("--structure", "structures", multiple=True, metavar="NAME", help="Only this one."),
        "format": click.option(
            "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", help="[table]"
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
@_options("draws", "seed", "threads", "set", "structure", "format", "quiet")
def run(
    deal: str,
    draws: int,
    seed: int,
    threads: int | None,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    form: str,
    quiet: bool,
) -> None:
    """Simulate every payment structure of DEAL, side by side on the same draws."""
    from simulator.dealfile import load

    loaded = load(deal, sets)
    names = _known_structures(loaded.structures, structures)
    from simulator.run import TooLargeError, simulate, will_compile

    if not quiet and will_compile():
        click.echo("compiling the kernels, once for this installation; this takes some seconds", err=True)
    try:
        with _progress(draws, quiet) as progress:
            result = simulate(loaded, draws, seed, names, threads, progress)
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
@_options("draws", "seed", "threads", "set", "structure", "format", "quiet")
def compare(
    deal: str,
    against: tuple[str, ...],
    budget: bool,
    three_ms: bool,
    draws: int,
    seed: int,
    threads: int | None,
    sets: tuple[str, ...],
    structures: tuple[str, ...],
    form: str,
    quiet: bool,
) -> None:
    """Is DEAL better value than nothing, a fee, or results without investors? Paired draw by draw."""
    from simulator.dealfile import load

    loaded = load(deal, sets)
    names = _known_structures(loaded.structures, structures)
    from simulator.compare import COMPARATORS, rows
    from simulator.compare import compare as compare_deal
    from simulator.run import TooLargeError, will_compile
    from simulator.worth import additional_worth

    others = _known_structures(dict.fromkeys((*COMPARATORS, *loaded.structures)), against, "comparator")
    if not quiet and will_compile(additional_worth):
        click.echo("compiling the kernels, once for this installation; this takes some seconds", err=True)
    try:
        with _progress(draws, quiet) as progress:
            data = compare_deal(loaded, draws, seed, names, others, budget, threads, progress)
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
@_options("seed", "set", "structure", "format", "quiet")
def explain(
    deal: str,
    draw: int,
    seed: int,
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

    data = explain_draw(loaded, draw, seed, structures=names)
    if form == "json":
        _print(_json(data))
    elif form == "csv":
        keys = [*_SCHEDULE, "from", "to", "account", "account_after"]
        _print_csv(["structure", *keys], _schedule_rows(data, keys))
    else:
        from simulator.report import explain_tables

        _print_tables(explain_tables(data))


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
@_options("set")
def show(deal: str, paths: bool, sets: tuple[str, ...]) -> None:
    """The fully resolved DEAL, which reads back as the same deal."""
    from simulator import dealfile
    from simulator.yamlfile import join_path

    loaded = dealfile.load(deal, sets)
    if not paths:
        _print(dealfile.show(loaded).rstrip("\n"))
        return
    for path, value, neutral in dealfile.paths(loaded):
        note = "" if neutral is None else f"    # neutral: {neutral}"
        _print(f"{join_path(path)}={value}{note}")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the deal file, for editors."""
    from simulator.dealfile import schema as made

    _print(_json(made()))


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
    """A progress bar on standard error, on a terminal only."""

    def __init__(self, draws: int, quiet: bool) -> None:
        self.draws, self.shown = draws, sys.stderr.isatty() and not quiet
        self.bar: Any = None

    def __enter__(self) -> Callable[[int, int], None] | None:
        if not self.shown:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        screen = Console(stderr=True, no_color="NO_COLOR" in os.environ)
        columns = (TextColumn("draws"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=screen, transient=True)
        self.bar.start()
        task = self.bar.add_task("draws", total=self.draws)
        return lambda done, _: self.bar.update(task, completed=done)

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
        from simulator.yamlfile import DealError

        if isinstance(error, DealError):
            _say(str(error))
            sys.exit(2)
        _say(f"a defect of ours, please report it: {type(error).__name__}: {' '.join(str(error).split())}")
        if os.environ.get("SIB_TRACEBACK"):
            raise
        sys.exit(1)


def _leave(status: int) -> NoReturn:
    """Exit without another try to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
