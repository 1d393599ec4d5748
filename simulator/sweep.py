"""Sweeps: one deal, or several, over a grid or a design of settings, on the same draws everywhere.

A cell is one setting. Cells are worked in batches; a finished batch is a record of a journal in the output folder, so
that an interrupted sweep goes on where it was. Outcomes are simulated once for neighbouring cells that share them
(cells that differ in terms or finance only), and a structure is settled once for cells that differ in others only.
What is recorded does not depend on who worked a batch, or when; the files are written from the records, in the order of
the cells, when all are there.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator import chance
from simulator.deal import Deal, fingerprint, to_plain
from simulator.dealfile import OpenedDeal, opened
from simulator.journal import BusyError, Journal, sync_folder, write_whole
from simulator.plan import Plan, compile_plan
from simulator.present import present_values
from simulator.run import OUTCOME_METRICS, Simulation, Variant, available_threads, environment, simulate_variants
from simulator.variants import (
    Axis,
    Base,
    Reach,
    corners,
    differing,
    outcomes_signature,
    parse_axis,
    reach,
    read_by_others,
    read_by_outcomes,
    unknown_structure,
    with_numbers,
)
from simulator.yamlfile import AskError, DealError, Document, join_path, nearest

Floats = NDArray[np.float64]

DESIGNS = ("grid", "latin", "sobol")
MOST_CELLS = 100_000
_DRAWS_A_BATCH = 400_000
_LEAST, _MOST = 8, 64
"""Cells of a batch."""
_CELL_BYTES = 64e6
"""What the draws of cells that are worked together may take."""
_LIBRARIES = ("python", "numpy", "scipy", "numba")
_ROWS = 1024
"""Rows written to the files at once."""


# ---------------------------------------------------------------------------------------------------------------
# What is swept
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spec:
    """Everything that decides what a sweep finds; it can be sent to other processes."""

    files: tuple[str, ...]
    deals: tuple[OpenedDeal, ...]
    sets: tuple[str, ...]
    axes: tuple[Axis, ...]
    design: str
    cells: int
    """Cells of one deal; a sweep over several deals has as many of each."""
    draws: int
    seed: int
    structures: tuple[str, ...] | None
    outer: tuple[int, ...]
    """Axes in the order in which they are worked, those that move outcomes first."""

    @property
    def total(self) -> int:
        """Cells in all."""
        return self.cells * len(self.deals)

    @property
    def batch(self) -> int:
        """Cells of a batch."""
        return min(max(_DRAWS_A_BATCH // self.draws, _LEAST), _MOST)

    @property
    def batches(self) -> int:
        """Number of batches."""
        return -(-self.total // self.batch)

    def worked(self, batch: int) -> list[int]:
        """Cells of a batch, in the order of work."""
        return [self.cell(p) for p in range(batch * self.batch, min((batch + 1) * self.batch, self.total))]

    def cell(self, position: int) -> int:
        """Cell at a position in the order of work."""
        if self.design != "grid":
            return position
        deal, rest = divmod(position, self.cells)
        places = [0] * len(self.axes)
        for axis in reversed(self.outer):
            rest, places[axis] = divmod(rest, len(self.axes[axis].values))
        number = 0
        for axis, place in enumerate(places):
            number = number * len(self.axes[axis].values) + place
        return deal * self.cells + number

    def position(self, cell: int) -> int:
        """Position of a cell in the order of work."""
        if self.design != "grid":
            return cell
        deal, rest = divmod(cell, self.cells)
        places = self._places(rest)
        number = 0
        for axis in self.outer:
            number = number * len(self.axes[axis].values) + places[axis]
        return deal * self.cells + number

    def _places(self, number: int) -> list[int]:
        places = [0] * len(self.axes)
        for axis in reversed(range(len(self.axes))):
            number, places[axis] = divmod(number, len(self.axes[axis].values))
        return places

    def setting(self, cell: int) -> tuple[int, tuple[str, ...]]:
        """Deal and values of a cell; the last axis changes fastest."""
        deal, number = divmod(cell, self.cells)
        if self.design == "grid":
            places = self._places(number)
            return deal, tuple(axis.values[place] for axis, place in zip(self.axes, places, strict=True))
        shares = _design(self.design, self.cells, self.seed, tuple(axis.name for axis in self.axes))[number]
        return deal, tuple(axis.text(float(share)) for axis, share in zip(self.axes, shares, strict=True))

    def manifest(self) -> dict[str, Any]:
        """What the sweep is, for its folder."""
        from simulator import __version__

        deals = [each.deal(self.sets) for each in self.deals]
        hashes = [fingerprint(deal) for deal in deals]
        return {
            "deal": deals[0].deal,
            "currency": deals[0].currency,
            "draws": self.draws,
            "seed": self.seed,
            "version": __version__,
            "deal_hash": hashes[0],
            "present_values": present_values(deals[0]),
            "deals": [
                {"file": file, "deal": deal.deal, "deal_hash": each}
                for file, deal, each in zip(self.files, deals, hashes, strict=True)
            ],
            "set": list(self.sets),
            "design": self.design,
            "over": [_said(axis) for axis in self.axes],
            "cells": self.total,
            "structures": None if self.structures is None else list(self.structures),
            "libraries": {name: version for name, version in versions().items() if name != "simulator"},
        }


def _said(axis: Axis) -> dict[str, Any]:
    if axis.values and not axis.is_range:
        return {"path": axis.name, "values": list(axis.values)}
    said: dict[str, Any] = {"path": axis.name, "low": axis.low, "high": axis.high, "unit": axis.unit.strip()}
    return said | ({"values": len(axis.values)} if axis.values else {})


@functools.lru_cache(maxsize=4)
def _design(design: str, cells: int, seed: int, names: tuple[str, ...]) -> Floats:
    """Points of a design in [0, 1), [cells, axes]: 8 bytes a cell and axis."""
    if design == "sobol":
        from scipy.stats import qmc

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a number that is no power of two is the user's choice
            engine = qmc.Sobol(len(names), scramble=True, rng=np.random.default_rng(abs(seed)))
            return np.asarray(engine.random(cells))
    points = np.empty((cells, len(names)))
    for axis, name in enumerate(names):
        own = np.random.Generator(np.random.Philox(int(chance.key(seed, "design", 0, ("latin", name)))))
        points[:, axis] = (own.permutation(cells) + own.random(cells)) / cells
    return np.minimum(points, np.nextafter(1.0, 0.0))


def opened_deal(deal: str | FilePath | Deal) -> tuple[str, OpenedDeal]:
    """Open a file, or take a deal that is loaded already; return its name and the opened deal."""
    if isinstance(deal, Deal):
        return deal.deal, OpenedDeal((Document(deal.deal, to_plain(deal), {}, {}),), FilePath())
    return str(deal), opened(deal)


def specify(
    deals: Sequence[str | FilePath | Deal],
    over: Sequence[str],
    design: str = "grid",
    cells: int | None = None,
    draws: int = 10_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    sets: Sequence[str] = (),
    most_cells: int = MOST_CELLS,
) -> tuple[Spec, Work]:
    """Check a sweep before anything is touched.

    Raises
    ------
    AskError, DealError
        With everything that is wrong.
    """
    axes = _axes(over)
    if design not in DESIGNS:
        raise AskError(f"design {design!r} is not known; allowed: {', '.join(DESIGNS)}")
    if design == "grid":
        if cells is not None:
            raise AskError("a grid's axes say how many cells it has; allowed: --cells with --design latin or sobol")
        for axis in axes:
            if not axis.values:
                raise AskError(f"{axis.name}: a grid needs a number of values; allowed: LOW:HIGH:N or a,b,c")
        number = math.prod(len(axis.values) for axis in axes)
    elif cells is None:
        raise AskError(f"a {design} design needs a number of cells; allowed: --cells N")
    else:
        number = cells
    total = number * len(deals)
    if total > most_cells:
        raise AskError(f"{total:,} cells are more than {most_cells:,}; allowed: fewer values, or --most-cells {total}")
    names, each = zip(*(opened_deal(deal) for deal in deals), strict=True)
    places = {
        name if isinstance(deal, Deal) else FilePath(name).resolve() for name, deal in zip(names, deals, strict=True)
    }
    if len(places) < len(names):
        raise AskError("a deal is given twice; allowed: each file once")
    spec = Spec(
        files=tuple(names),
        deals=tuple(each),
        sets=tuple(sets),
        axes=axes,
        design=design,
        cells=number,
        draws=draws,
        seed=seed,
        structures=None if structures is None else tuple(structures),
        outer=tuple(range(len(axes))),
    )
    work = Work.of(spec, check=True)
    movers = [any(deal[axis].moves_outcomes for deal in work.reaches) for axis in range(len(axes))]
    outer = tuple(sorted(range(len(axes)), key=lambda axis: not movers[axis]))
    spec = Spec(**{**vars(spec), "outer": outer})
    return spec, Work(spec, work.bases, work.reaches)


def _axes(over: Sequence[str]) -> tuple[Axis, ...]:
    if not over:
        raise AskError("there is nothing to sweep over; allowed: --over PATH=LOW:HIGH:N or --over PATH=a,b,c")
    axes, wrong = [], []
    for text in over:
        try:
            axes.append(parse_axis(text))
        except ValueError as error:
            wrong.append(str(error))
    names = [axis.name for axis in axes]
    wrong += [f"{name}: is swept over twice; allowed: once" for name in sorted(set(names)) if names.count(name) > 1]
    if wrong:
        raise AskError("\n".join(wrong))
    return tuple(axes)


# ---------------------------------------------------------------------------------------------------------------
# Working a batch
# ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Cell:
    """A cell that is ready to be worked."""

    number: int
    plan: Plan
    numbers: dict[int, float] | None
    outcomes: Any
    """What its outcomes rest on, as a key."""
    answers: dict[str, Any] = field(default_factory=dict)
    """By structure, a key under which its answers may be shared; None where they may not."""


@dataclass(frozen=True, eq=False)
class Work:
    """A sweep in one process: its deals compiled, and what each axis reaches in each."""

    spec: Spec
    bases: tuple[Base, ...]
    reaches: tuple[tuple[Reach, ...], ...]

    @classmethod
    def of(cls, spec: Spec, *, check: bool = False) -> Work:
        """Compile; with `check`, try the corners too, and raise DealError or AskError with all mistakes."""
        bases = tuple(Base.of(each, spec.sets) for each in spec.deals)
        problems = []
        reaches = []
        for base in bases:
            for name in spec.structures or ():
                if name not in base.deal.structures:
                    raise AskError(unknown_structure(base.deal.structures, name))
            own = []
            for axis in spec.axes:
                try:
                    own.append(reach(base, axis))
                except DealError as error:
                    problems.append(error.problems[0])  # the other values are wrong in the same way
            reaches.append(own)
        if problems:
            raise DealError(problems)
        work = cls(spec, bases, tuple(map(tuple, reaches)))
        return work._with_corners() if check else work

    def _with_corners(self) -> Work:
        """Load the corners of the design; where numbers do not suffice to tell them apart, load every cell."""
        reaches = list(self.reaches)
        for d, base in enumerate(self.bases):
            for texts in corners(self.spec.axes):
                paths = [axis.path for axis in self.spec.axes]
                loaded = compile_plan(base.variant(dict(zip(paths, texts, strict=True))))
                quick = self._quick(d, texts)
                if quick is not None and differing(quick[0], loaded) != frozenset():
                    reaches[d] = tuple(Reach(None, (), each.moves_outcomes) for each in reaches[d])
                    break
        return Work(self.spec, self.bases, tuple(reaches))

    def _quick(self, deal: int, texts: Sequence[str]) -> tuple[Plan, dict[int, float]] | None:
        """The plan of a cell by other numbers in its columns, or None if it must be loaded."""
        reaches = self.reaches[deal]
        if any(each.columns is None for each in reaches):
            return None
        found = [each.numbers(text) for each, text in zip(reaches, texts, strict=True)]
        numbers = {column: quantity for each in found for column, quantity in each.items()}
        if len(numbers) < sum(map(len, found)):
            return None
        plan = with_numbers(self.bases[deal].plan, numbers)
        return plan, {column: quantity.value for column, quantity in numbers.items()}

    def names(self, deal: int) -> tuple[str, ...]:
        """Structures that are settled, in the order of the file."""
        known = self.bases[deal].deal.structures
        return tuple(name for name in known if self.spec.structures is None or name in self.spec.structures)

    def _prepared(self, cell: int, share: bool) -> tuple[int, _Cell]:
        deal, texts = self.spec.setting(cell)
        quick = self._quick(deal, texts)
        if quick is not None:
            plan, numbers = quick
            shaping, foreign = self._columns(deal)
            ready = _Cell(cell, plan, numbers, (deal, _part(numbers, lambda c: c in shaping)))
            for name in self.names(deal):
                own = _part(numbers, lambda c, name=name: c not in foreign[name])  # type: ignore[misc]
                ready.answers[name] = (deal, name, own)
        else:
            paths = [axis.path for axis in self.spec.axes]
            plan = compile_plan(self.bases[deal].variant(dict(zip(paths, texts, strict=True))))
            ready = _Cell(cell, plan, None, (deal, outcomes_signature(plan)))
            ready.answers = dict.fromkeys(self.names(deal))
        if not share:
            ready.outcomes, ready.answers = cell, dict.fromkeys(self.names(deal))
        return deal, ready

    @functools.lru_cache(maxsize=64)  # noqa: B019 (lives as long as the sweep)
    def _columns(self, deal: int) -> tuple[frozenset[int], dict[str, frozenset[int]]]:
        plan = self.bases[deal].plan
        return read_by_outcomes(plan), {name: read_by_others(plan, name) for name in self.names(deal)}

    def rows(self, cells: Sequence[int], draws: int | None = None, *, share: bool = True) -> Iterator[Row]:
        """Work cells, in this order; yield their rows.

        Parameters
        ----------
        cells
            Numbers of cells.
        draws
            Fewer draws than the sweep's, to see how long it takes.
        share
            Whether cells may share outcomes and answers. It moves no number.
        """
        number = draws or self.spec.draws
        for _, group in itertools.groupby(
            (self._prepared(cell, share) for cell in cells), key=lambda pair: pair[1].outcomes
        ):
            yield from self._group([cell for _, cell in group], number)

    def _group(self, cells: list[_Cell], draws: int) -> Iterator[Row]:
        """Work cells that share their outcomes."""
        seed = self.spec.seed
        found: dict[Any, tuple[Row, ...]] = {}
        waiting: list[tuple[_Cell, list[str]]] = []
        begun: set[Any] = set()
        shared = Simulation(cells[0].plan, seed, [])
        room = max(1, int(_CELL_BYTES // (8.0 * draws * (14 + len(cells[0].plan.years)))))
        pending: list[_Cell] = []

        def work() -> Iterator[Row]:
            variants = [Variant(Simulation(cell.plan, seed, names), cell.numbers) for cell, names in waiting]
            answers = simulate_variants(shared, variants, draws) if variants else []
            own: dict[tuple[int, str], Row] = {}
            for (cell, names), answer in zip(waiting, answers, strict=True):
                for name in names:
                    row = Row.of(cell.number, name, answer["structures"][name], answer["outcomes"])
                    own[cell.number, name] = row
                    if (key := cell.answers[name]) is not None:
                        found[key] = (row,)
            for cell in pending:
                for name, key in cell.answers.items():
                    row = own.get((cell.number, name)) or found[key][0]
                    yield Row(cell.number, name, row.layout, row.values)
            waiting.clear()
            pending.clear()

        for cell in cells:
            names = [name for name, key in cell.answers.items() if key is None or key not in begun]
            begun.update(cell.answers[name] for name in names if cell.answers[name] is not None)
            pending.append(cell)
            if names:
                waiting.append((cell, names))
            if sum(len(names) for _, names in waiting) >= room:
                yield from work()
        yield from work()

    def record(self, batch: int) -> bytes:
        """Work a batch and return its record."""
        return pack(batch, list(self.rows(self.spec.worked(batch))))


def _part(numbers: Mapping[int, float], wanted: Callable[[int], bool]) -> tuple[tuple[int, float], ...]:
    return tuple((column, value) for column, value in numbers.items() if wanted(column))


# ---------------------------------------------------------------------------------------------------------------
# Rows and records
# ---------------------------------------------------------------------------------------------------------------

Layout = tuple[tuple[str, str], ...]
"""Names of the metrics of a row, each with its type: `i` a whole number, `f` any other."""


@dataclass(frozen=True)
class Row:
    """A cell under one structure: its metrics, NaN where undefined."""

    cell: int
    structure: str
    layout: Layout
    values: Floats

    @classmethod
    def of(cls, cell: int, structure: str, answers: Mapping[str, Any], outcomes: Mapping[str, Any]) -> Row:
        """Flatten the answers of one structure, and the means of the outcomes."""
        found = list(_flat(answers, ()))
        for name, each in outcomes.items():
            for metric in OUTCOME_METRICS:
                for key in ("mean", "standard_error"):
                    found.append((("outcomes", name, metric, key), each[metric][key]))
        kinds = "".join("i" if isinstance(value, int) else "f" for _, value in found)
        values = np.array([math.nan if value is None else value for _, value in found])
        return cls(cell, structure, _layout(tuple(path for path, _ in found), kinds), values)


@functools.lru_cache(maxsize=256)
def _layout(paths: tuple[tuple[str, ...], ...], kinds: str) -> Layout:
    return tuple((join_path(path), kind) for path, kind in zip(paths, kinds, strict=True))


def _flat(data: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float | int | None]]:
    """Yield the numbers of nested answers with their paths, and None where there is none."""
    if isinstance(data, Mapping):
        for key, each in data.items():
            if key != "tranches" or len(each) > 1:  # a single class of investors is the investor
                yield from _flat(each, (*path, key))
    elif isinstance(data, list) and data and isinstance(data[0], Mapping):
        for each in data:
            label = next(iter(each))
            yield from _flat({key: value for key, value in each.items() if key != label}, (*path, str(each[label])))
    elif isinstance(data, list):
        for end, each in zip(("low", "high"), data, strict=True):
            yield (*path, end), each
    elif not isinstance(data, str):
        yield path, data


def pack(batch: int, rows: Sequence[Row]) -> bytes:
    """Make a record of the rows of a batch."""
    layouts: dict[Layout, int] = {}
    places = [(row.cell, row.structure, layouts.setdefault(row.layout, len(layouts))) for row in rows]
    head = json.dumps({"batch": batch, "rows": places, "layouts": list(layouts)}, separators=(",", ":")).encode()
    body = np.concatenate([row.values for row in rows]).astype("<f8").tobytes()
    return len(head).to_bytes(4, "little") + head + body


def unpack(record: bytes) -> tuple[int, list[Row]]:
    """Read a record back."""
    end = 4 + int.from_bytes(record[:4], "little")
    head = json.loads(record[4:end])
    layouts = [tuple((name, kind) for name, kind in layout) for layout in head["layouts"]]
    values = np.frombuffer(record[end:], "<f8")
    rows, start = [], 0
    for cell, structure, layout in head["rows"]:
        stop = start + len(layouts[layout])
        rows.append(Row(cell, structure, layouts[layout], values[start:stop]))
        start = stop
    return int(head["batch"]), rows


# ---------------------------------------------------------------------------------------------------------------
# The folder
# ---------------------------------------------------------------------------------------------------------------

MANIFEST, JOURNAL, CSV, PARQUET = "manifest.json", "cells.journal", "cells.csv", "cells.parquet"


def check_folder(folder: FilePath, manifest: Mapping[str, Any]) -> None:
    """Refuse a folder that cannot be written or belongs to something else; touch nothing. Raises AskError."""
    if not folder.exists():
        above = next(each for each in folder.absolute().parents if each.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise AskError(f"the folder {folder} cannot be made; allowed: a folder that you may write")
        return
    if not folder.is_dir():
        raise AskError(f"{folder} is a file; allowed: a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AskError(f"the folder {folder} is read-only; allowed: a folder that you may write")
    path = folder / MANIFEST
    if not path.exists():
        if any(each.name != f".{MANIFEST}.part" for each in folder.iterdir()):
            raise AskError(
                f"the folder {folder} holds other files; allowed: a new, an empty or this sweep's own folder"
            )
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        there = None
    if there != manifest:
        keys = [key for key in manifest if not isinstance(there, dict) or there.get(key) != manifest[key]]
        raise AskError(
            f"the folder {folder} belongs to another sweep (another {', '.join(keys) or 'manifest'}); "
            "allowed: a new or empty folder, or this sweep's own"
        )


def _text(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def is_finished(folder: FilePath) -> bool:
    """Whether the files of a sweep are all there."""
    return (folder / CSV).exists() and (folder / PARQUET).exists() and not (folder / JOURNAL).exists()


class Records:
    """The journal of a sweep, by batch."""

    def __init__(self, folder: FilePath) -> None:
        self.journal = Journal(folder / JOURNAL)
        self.places: dict[int, int] = {}
        for place in self.journal.offsets:
            record = self.journal.read(place)
            head = json.loads(record[4 : 4 + int.from_bytes(record[:4], "little")])
            self.places.setdefault(int(head["batch"]), place)

    def add(self, batch: int, record: bytes) -> None:
        """Record a batch; it is on disk when this returns."""
        if batch not in self.places:
            self.places[batch] = self.journal.append(record)

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    def rows(self, batch: int) -> list[Row]:
        """Rows of a batch."""
        return unpack(self.journal.read(self.places[batch]))[1]


def write_files(spec: Spec, folder: FilePath, records: Records) -> None:
    """Write the files from the records, in the order of the cells."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    kinds: dict[str, str] = {}
    for batch in range(spec.batches):
        for layout in {row.layout: None for row in records.rows(batch)}:
            for name, kind in layout:
                if kinds.setdefault(name, kind) != kind:
                    kinds[name] = "f" if kind == "f" and kinds[name] != "f" else kinds[name]
    kinds = {name: kind for name, kind in kinds.items() if not any(each.startswith(f"{name}.") for each in kinds)}
    numeric = [_is_numeric(axis) for axis in spec.axes]
    lead = [("cell", pa.int64())] + ([("deal", pa.string())] if len(spec.files) > 1 else [])
    lead += [(axis.name, pa.float64() if n else pa.string()) for axis, n in zip(spec.axes, numeric, strict=True)]
    lead += [("structure", pa.string())]
    schema = pa.schema(lead + [(name, pa.int64() if k == "i" else pa.float64()) for name, k in kinds.items()])
    parts = {name: folder / f".{name}.part" for name in (CSV, PARQUET)}
    with (
        open(parts[CSV], "wb") as csv,
        open(parts[PARQUET], "wb") as parquet,
        pyarrow.csv.CSVWriter(csv, schema) as lines,
        pyarrow.parquet.ParquetWriter(parquet, schema) as groups,
    ):
        for rows in _in_order(spec, records):
            table = _table(spec, rows, schema, kinds, numeric)
            lines.write_table(table)
            groups.write_table(table)
    for name, part in parts.items():
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, folder / name)
    sync_folder(folder)


def _in_order(spec: Spec, records: Records) -> Iterator[list[Row]]:
    """Yield rows in the order of the cells, so many at once."""

    @functools.lru_cache(maxsize=128)
    def of(batch: int) -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = {}
        for row in records.rows(batch):
            found.setdefault(row.cell, []).append(row)
        return found

    rows: list[Row] = []
    for cell in range(spec.total):
        rows += of(spec.position(cell) // spec.batch)[cell]
        if len(rows) >= _ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


_FACTORS = {"": Fraction(1), "%": Fraction(1, 100), "k": Fraction(1000), "m": Fraction(10**6)}


def _value(text: str) -> float | None:
    """Number of a text such as 12% or 200k or 3 months, None if it is none."""
    number = text.rstrip("%km abcdefghijlnopqrstuvwxyz")
    unit = text[len(number) :].strip()
    try:
        return float(Fraction(number.replace("_", "")) * _FACTORS.get(unit, Fraction(1)))
    except (ValueError, ZeroDivisionError):
        return None


def _is_numeric(axis: Axis) -> bool:
    """Whether all values of an axis are numbers of one unit."""
    if not axis.values:
        return True
    units = {text.lstrip("-0123456789_.") for text in axis.values}
    return len(units) == 1 and all(_value(text) is not None for text in axis.values)


def _table(spec: Spec, rows: list[Row], schema: Any, kinds: Mapping[str, str], numeric: list[bool]) -> Any:
    import pyarrow as pa

    place = {name: i for i, name in enumerate(kinds)}
    values = np.full((len(kinds), len(rows)), math.nan)
    where: dict[Layout, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for i, row in enumerate(rows):
        if row.layout not in where:
            pairs = [(place[name], k) for k, (name, _) in enumerate(row.layout) if name in place]
            where[row.layout] = (np.array([to for to, _ in pairs]), np.array([k for _, k in pairs]))
        to, taken = where[row.layout]
        values[to, i] = row.values[taken]
    settings = [spec.setting(row.cell) for row in rows]
    columns = [pa.array([row.cell for row in rows], pa.int64())]
    if len(spec.files) > 1:
        columns.append(pa.array([spec.files[deal] for deal, _ in settings], pa.string()))
    for axis, is_number in enumerate(numeric):
        texts = [each[axis] for _, each in settings]
        columns.append(pa.array([_value(text) for text in texts] if is_number else texts))
    columns.append(pa.array([row.structure for row in rows], pa.string()))
    for name, kind in kinds.items():
        column = values[place[name]]
        array = pa.array(column, mask=np.isnan(column))
        columns.append(array.cast(pa.int64()) if kind == "i" else array)
    return pa.Table.from_arrays(columns, schema=schema)


# ---------------------------------------------------------------------------------------------------------------
# Looking at a finished sweep
# ---------------------------------------------------------------------------------------------------------------

METRICS = ("investor.irr.p50", "investor.probability_of_loss.probability", "payer.cost.mean")
_MOST_VALUES, _BANDS = 12, 8


@dataclass(frozen=True)
class Pivot:
    """A metric of one structure over one axis or two, averaged over the others."""

    structure: str
    metric: str
    axes: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    """Of each axis, its values, or bands where there are many."""
    places: tuple[tuple[float, ...] | None, ...]
    """Of each axis, where its values stand on a scale; None for texts."""
    values: Floats
    """[values of the first axis, values of the second or 1], NaN where undefined."""
    errors: Floats
    """Standard errors alike, NaN where the metric has none."""

    def rows(self) -> Iterator[tuple[str, str, str, str, float | None, float | None]]:
        """Yield long rows: structure, metric, value of the first axis, of the second, value, standard error."""
        for (i, j), value in np.ndenumerate(self.values):
            column = self.labels[1][j] if len(self.labels) > 1 else ""
            error = float(self.errors[i, j])
            yield (
                self.structure,
                self.metric,
                self.labels[0][i],
                column,
                None if math.isnan(value) else float(value),
                None if math.isnan(error) else error,
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        keys = ("row", "column", "value", "standard_error")
        cells = [dict(zip(keys, row[2:], strict=True)) for row in self.rows()]
        return {"structure": self.structure, "metric": self.metric, "axes": list(self.axes), "cells": cells}


def summarised(folder: str | FilePath) -> list[str]:
    """Metrics of :data:`METRICS` that a finished sweep has: without investors there is no return."""
    import pyarrow.parquet

    known = pyarrow.parquet.ParquetFile(FilePath(folder) / PARQUET).schema_arrow.names
    return [metric for metric in METRICS if metric in known]


def pivots(folder: str | FilePath, metric: str) -> list[Pivot]:
    """Summarise a finished sweep by its first two axes, structure by structure.

    Raises
    ------
    AskError
        If there is no such metric.
    """
    import pyarrow.parquet

    path = FilePath(folder)
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    file = pyarrow.parquet.ParquetFile(path / PARQUET)
    known = file.schema_arrow.names
    axes = [each["path"] for each in manifest["over"]]
    axes = (["deal"] if len(manifest["deals"]) > 1 else []) + axes
    if metric not in known[known.index("structure") + 1 :]:
        raise AskError(_unknown_metric(metric, known))
    error = f"{metric.rpartition('.')[0]}.standard_error"
    has_error = metric.rpartition(".")[2] in {"mean", "value", "probability"} and error in known
    wanted = [*axes[:2], "structure", metric] + ([error] if has_error else [])
    table = file.read(columns=wanted)
    bands = [_bands(table.column(axis).to_pylist()) for axis in axes[:2]]
    structures = table.column("structure").to_pylist()
    values = table.column(metric).to_numpy().astype(np.float64)
    errors = table.column(error).to_numpy().astype(np.float64) if has_error else np.full(values.size, math.nan)
    found = []
    for name in dict.fromkeys(structures):
        shape = (len(bands[0][0]), len(bands[1][0]) if len(bands) > 1 else 1)
        cells: dict[tuple[int, int], list[int]] = {}
        for i, structure in enumerate(structures):
            if structure == name and not math.isnan(values[i]):
                cells.setdefault((bands[0][2][i], bands[1][2][i] if len(bands) > 1 else 0), []).append(i)
        mean, error_of = np.full(shape, math.nan), np.full(shape, math.nan)
        for place, rows in cells.items():
            mean[place] = values[rows].mean()
            error_of[place] = errors[rows].mean()  # cells share their draws: their errors do not average out
        labels, places = tuple(each[0] for each in bands), tuple(each[1] for each in bands)
        found.append(Pivot(name, metric, tuple(axes[:2]), labels, places, mean, error_of))
    return [each for each in found if not np.isnan(each.values).all()]


def _bands(column: list[Any]) -> tuple[tuple[str, ...], tuple[float, ...] | None, list[int]]:
    """Labels and places of an axis, and the place of each row in them."""
    distinct = list(dict.fromkeys(column))
    if any(isinstance(each, str) for each in distinct):
        order = {each: i for i, each in enumerate(distinct)}
        return tuple(distinct), None, [order[each] for each in column]
    distinct.sort()
    if len(distinct) <= _MOST_VALUES:
        order = {each: i for i, each in enumerate(distinct)}
        return tuple(f"{each:,.10g}" for each in distinct), tuple(distinct), [order[each] for each in column]
    low, high = distinct[0], distinct[-1]
    width = (high - low) / _BANDS
    ends = [low + width * i for i in range(_BANDS + 1)]
    labels = tuple(f"{a:.3g} to {b:.3g}" for a, b in itertools.pairwise(ends))
    middles = tuple((a + b) / 2 for a, b in itertools.pairwise(ends))
    return labels, middles, [min(int((each - low) / width), _BANDS - 1) for each in column]


# ---------------------------------------------------------------------------------------------------------------
# Running
# ---------------------------------------------------------------------------------------------------------------


def sweep(
    deals: str | FilePath | Deal | Sequence[str | FilePath | Deal],
    over: str | Sequence[str],
    out: str | FilePath,
    *,
    design: str = "grid",
    cells: int | None = None,
    draws: int = 10_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    sets: Sequence[str] = (),
    threads: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    most_cells: int = MOST_CELLS,
    metrics: Sequence[str] = (),
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Simulate a deal over a range of settings and write a row for each cell and structure.

    Parameters
    ----------
    deals
        A deal file or a deal, or several: then every deal is swept over the same cells.
    over
        Axes: `PATH=LOW:HIGH:N`, `PATH=LOW:HIGH` (not in a grid) or `PATH=a,b,c`.
    out
        Folder for `cells.csv`, `cells.parquet` and `manifest.json`: new, empty, or of this same sweep, which then
        goes on where it was.
    design
        `grid`, `latin` (hypercube) or `sobol` (scrambled); the latter two take `cells`.
    draws, seed, structures, sets
        As for a run. All cells share their draws.
    threads
        Number of threads, by default the processors that this process may use. Moves no number.
    workers, scheduler
        Work in so many local processes, or on a Dask cluster at this address. Moves no number.
    most_cells
        Refuse more cells than this.
    metrics
        Columns that will be looked at, refused before it starts if there will be none of that name.
    say, progress
        Called with messages; with cells done and cells in all.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    AskError, DealError
        If something is wrong with what is asked; nothing has then been touched.
    OSError
        If the disk is full; what is recorded stays, and the same call goes on from there.
    """
    listed = list(deals) if isinstance(deals, list | tuple) else [deals]
    axes = [over] if isinstance(over, str) else list(over)
    tell = say or (lambda _: None)
    spec, work = specify(listed, axes, design, cells, draws, seed, structures, sets, most_cells)  # type: ignore[arg-type]
    folder = FilePath(out)
    manifest = spec.manifest()
    check_folder(folder, manifest)
    if folder.exists() and is_finished(folder):
        tell(f"all {spec.total:,} cells are in {folder} already")
        return manifest
    processors = workers or (min(threads or available_threads(), spec.batches))
    _insist_on(work, metrics)
    seconds = _seconds(work)
    with contextlib.ExitStack() as held:
        if scheduler is not None or workers is not None:
            from simulator.cluster import answers, connected

            client = held.enter_context(connected(workers, scheduler, versions))
        _make(folder)
        if not (folder / MANIFEST).exists():
            write_whole(folder / MANIFEST, _text(manifest))
        records = held.enter_context(contextlib.closing(_records_in(folder)))
        todo = [batch for batch in range(spec.batches) if batch not in records.places]
        done = spec.total - sum(len(spec.worked(batch)) for batch in todo)
        tell(_beginning(spec, len(work.names(0)), done, seconds * (spec.total - done) / processors))
        if progress is not None:
            progress(done, spec.total)
        if scheduler is not None or workers is not None:
            finished = answers(client, record_of, pickle.dumps((spec, work.reaches)), todo)
        else:
            finished = _on_threads(work, todo, processors)
        for batch, record in finished:
            records.add(batch, record)
            done += len(spec.worked(batch))
            if progress is not None:
                progress(done, spec.total)
        write_files(spec, folder, records)
        (folder / JOURNAL).unlink()
        sync_folder(folder)
    return manifest


def _insist_on(work: Work, metrics: Sequence[str]) -> None:
    """Refuse names that the first and last cells of all deals do not have. Raises AskError."""
    if not metrics:
        return
    spec = work.spec
    ends = {deal * spec.cells + cell for deal in range(len(spec.deals)) for cell in (0, spec.cells - 1)}
    known = dict.fromkeys(name for row in work.rows(sorted(ends), 2) for name, _ in row.layout)
    for metric in metrics:
        # what is undefined here, such as the investor of a deal without, may have parts elsewhere
        if metric not in known and not any(metric.startswith(f"{name}.") for name in known):
            raise AskError(_unknown_metric(metric, known))


def _unknown_metric(metric: str, known: Iterable[str]) -> str:
    near = nearest(metric, known)
    hint = f"did you mean {near!r}?" if near else f"allowed: the columns of {CSV}, such as {METRICS[0]}"
    return f"no metric is called {metric!r}; {hint}"


def _make(folder: FilePath) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AskError(
            f"the folder {folder} cannot be made ({error.strerror}); allowed: a folder that you may write"
        ) from None


def _records_in(folder: FilePath) -> Records:
    try:
        return Records(folder)
    except BusyError:
        raise AskError(f"another sweep is writing to {folder}; allowed: wait, or another folder") from None


def _beginning(spec: Spec, structures: int, done: int, seconds: float) -> str:
    recorded = f", {done:,} of them recorded before" if done else ""
    about = f"about {_duration(seconds)}" if done < spec.total else "writing the files"
    number = f"{structures} structure{'s' * (structures > 1)}"
    return f"{spec.total:,} cells x {number} x {spec.draws:,} draws{recorded}; {about}"


def _on_threads(work: Work, todo: Sequence[int], threads: int) -> Iterator[tuple[int, bytes]]:
    """Yield records as they are finished."""
    left = iter(todo)
    with ThreadPoolExecutor(threads) as pool:
        under_way: dict[Future[bytes], int] = {}
        try:
            for batch in itertools.islice(left, threads + 1):
                under_way[pool.submit(work.record, batch)] = batch
            while under_way:
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    batch = under_way.pop(future)
                    for following in itertools.islice(left, 1):
                        under_way[pool.submit(work.record, following)] = following
                    yield batch, future.result()
        except BaseException:
            for future in under_way:
                future.cancel()
            raise


def record_of(common: bytes, batch: int) -> bytes:
    """Work a batch in another process; `common` is a pickled sweep."""
    return _work_of(common).record(batch)


@functools.lru_cache(maxsize=1)
def _work_of(common: bytes) -> Work:
    spec, reaches = pickle.loads(common)
    return Work(spec, tuple(Base.of(each, spec.sets) for each in spec.deals), reaches)


def versions() -> dict[str, str]:
    """Versions on which numbers rest."""
    from simulator import __version__

    found = environment()
    return {"simulator": __version__} | {name: found[name] for name in _LIBRARIES}


def _seconds(work: Work) -> float:
    """Seconds for a cell, measured on the first few; also compiles the kernels before anything is begun."""
    spec = work.spec
    first = [spec.cell(position) for position in range(min(spec.total, 12))]
    list(work.rows(first[:1], 2))
    draws = min(spec.draws, 2048)
    begun = time.perf_counter()
    list(work.rows(first, draws))
    return (time.perf_counter() - begun) / len(first) * spec.draws / draws


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "a second"
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
