"""Reports and figures as files: what `sib report` and `sib plot` write. A file is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.deal import Deal, needs_people
from simulator.dossier import gather
from simulator.journal import write_whole
from simulator.yamlfile import AskError, nearest

REPORTS = ("html", "xlsx")
FIGURES = ("png", "svg", "pdf")
DRAWS, PEOPLE_DRAWS = 100_000, 8_192
"""Draws by default; fewer where people are drawn one by one."""


def check_place(path: str | Path, endings: Sequence[str]) -> str:
    """Return the ending of a file that can be written.

    Raises
    ------
    AskError
        If its ending is none of those allowed, or it cannot be written where it is to stand.
    """
    path = Path(path)
    ending = path.suffix.lower().lstrip(".")
    allowed = ", ".join(f".{each}" for each in endings)
    if ending not in endings:
        raise AskError(f"{path}: its ending does not say what to write; allowed: {allowed}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise AskError(f"{path}: there is no folder {folder}; allowed: a file in an existing one")
    if path.is_dir():
        raise AskError(f"{path}: is a folder; allowed: a file")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise AskError(f"{path}: may not be written; allowed: a place where you may write")
    return ending


def write_report(
    deal: Deal,
    path: str | Path,
    draws: int | None = None,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    asked: Mapping[str, Any] | None = None,
) -> None:
    """Write the report of a deal: a page where the file's name ends in `.html`, a workbook where in `.xlsx`.

    Parameters
    ----------
    deal, seed, structures, threads
        As for :func:`simulator.simulate`. Pages about one structure are about `as signed`, or else the first.
    path
        The file; one that is there is replaced once the new one is whole.
    draws
        By default 100,000, or 8,192 where people are drawn one by one.
    progress
        Called with the questions answered and their number.
    asked
        How to ask again: `file`, `set`, `structure`.

    Raises
    ------
    AskError
        If the file cannot be written.
    """
    path = Path(path)
    ending = check_place(path, REPORTS)
    draws = draws or (PEOPLE_DRAWS if needs_people(deal) else DRAWS)
    again = {"draws": draws, "seed": seed, "to": path.name} | dict(asked or {})
    dossier = gather(deal, draws, seed, structures, threads, progress, again)
    if ending == "xlsx":
        from simulator.workbook import workbook

        data = workbook(dossier)
    else:
        from simulator.page import page

        data = page(dossier).encode("utf-8")
    _write(path, data)


def draw_to(
    deal: Deal,
    figure: str,
    path: str | Path,
    draws: int | None = None,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write one figure of a deal; the ending of the file's name is its format.

    Parameters are those of :func:`write_report`, and the name of the figure; `progress` is called with the draws done.

    Raises
    ------
    AskError
        If there is no such figure, it has nothing to show, or the file cannot be written.
    """
    from simulator.figures import rendered
    from simulator.pictures import PLOTS, plot

    path = Path(path)
    ending = check_place(path, FIGURES)
    if figure not in PLOTS:
        near = nearest(figure, PLOTS)
        hint = f"did you mean {near!r}?" if near else f"allowed: {', '.join(PLOTS)}"
        raise AskError(f"no figure is called {figure!r}; {hint}")
    draws = draws or (PEOPLE_DRAWS if needs_people(deal) else DRAWS)
    drawn = plot(deal, figure, draws, seed, structures, threads, progress)
    if drawn is None:
        raise AskError(f"{figure!r} has nothing to show for this deal and structure; allowed: {', '.join(PLOTS)}")
    _write(path, rendered(drawn, ending))


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise AskError(f"{path}: cannot be written, {error.strerror or error}; allowed: another place") from None
