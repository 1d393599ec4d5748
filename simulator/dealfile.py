"""Between files and deals: read, apply `--set`, validate, resolve, and say what is wrong and where.

All mistakes of a file are reported at once, one line each: ``FILE:LINE:COLUMN path: what is wrong; what is allowed``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from simulator.checks import problems
from simulator.deal import Deal, leaves, put, resolve, to_plain
from simulator.doubts import Doubts
from simulator.grammar import is_field, keys_at, stand_in, wanted
from simulator.yamlfile import (
    DealError,
    Document,
    Problem,
    dump,
    join_path,
    nearest,
    parse_value,
    read,
    read_text,
    split_set,
)

Path = tuple[str | int, ...]
_SET = "--set"


@dataclass(frozen=True)
class _Source:
    """Where every value came from: the file, the files it extends, and the command line."""

    documents: tuple[Document, ...]
    sets: tuple[Path, ...] = ()

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        for given in self.sets:
            if path[: len(given)] == given or given[: len(path)] == path:
                return Problem(_SET, 1, 1, join_path(path), message)
        for document in self.documents:
            if path in document.marks:
                return document.problem(path, message, key=key)
        return self.documents[0].problem(path, message, key=key)


def load(path: str | FilePath, sets: Sequence[str] = ()) -> Deal:
    """Load a deal file.

    Parameters
    ----------
    path
        The file.
    sets
        Changes as ``PATH=VALUE`` in deal-file syntax; paths of the file's short forms or of the resolved deal.

    Returns
    -------
    Deal
        Resolved and checked.

    Raises
    ------
    DealError
        With every mistake found.
    """
    return opened(path).deal(sets)


def loads(text: str, name: str = "deal", sets: Sequence[str] = ()) -> Deal:
    """Load a deal from text; files that it names are sought in the current folder. Raises DealError."""
    return OpenedDeal(_extended(read_text(text, name), FilePath()), FilePath()).deal(sets)


@dataclass(frozen=True)
class OpenedDeal:
    """A deal file read once, from which variants are made without reading it again."""

    documents: tuple[Document, ...]
    """The file and the ones that it extends, the nearest first."""
    folder: FilePath

    def written(self, sets: Sequence[str] = ()) -> Deal:
        """Return the deal in the file's own words, short forms included, neither checked nor resolved."""
        data, source, context, _ = self._changed(sets)
        deal, found = _read(data, source, context, Doubts(data))
        if found or deal is None:
            raise DealError(found)
        return deal

    def deal(self, sets: Sequence[str] = ()) -> Deal:
        """Apply changes as :func:`load` does; resolve and check. Raises DealError."""
        data, source, context, later = self._changed(sets)
        deal = _validated(data, source, context)
        return _changed_later(deal, data, source, context, later) if later else deal

    def _changed(self, sets: Sequence[str]) -> tuple[dict[str, Any], _Source, dict[str, Any], list[tuple[Path, Any]]]:
        data: dict[str, Any] = {}
        for each in reversed(self.documents):
            data = _merged(data, each.data)
        data.pop("extends", None)
        later: list[tuple[Path, Any]] = []
        given: list[Path] = []
        for text in sets:
            target, value = _parsed_set(text)
            given.append(target)
            if _parent_exists(data, target):
                put(data, target, value)
            else:
                later.append((target, value))
        context: dict[str, Any] = {"base": self.folder}
        if isinstance(currency := data.get("currency", "GBP"), str) and len(currency) == 3:
            context["currency"] = currency
        return data, _Source(self.documents, tuple(given)), context, later


def opened(path: str | FilePath) -> OpenedDeal:
    """Read a deal file and those that it extends. Raises DealError."""
    folder = FilePath(path).parent
    return OpenedDeal(_extended(read(path), folder), folder)


def _changed_later(
    deal: Deal, data: dict[str, Any], source: _Source, context: dict[str, Any], later: list[tuple[Path, Any]]
) -> Deal:
    """Apply the changes whose paths are those of the resolved form."""
    plain = to_plain(deal)
    wrong = []
    for target, value in later:
        if not _can_stand(plain, target):
            written = [join_path(path) for path, _ in _leaves_of(data, ())]
            known = [*written, *(join_path(path) for path, _, _ in paths(deal))]
            near = nearest(join_path(target), known)
            hint = f"did you mean {near!r}?" if near else "allowed: paths as sib show --paths prints them"
            wrong.append(Problem(_SET, 1, 1, join_path(target), f"there is no such path; {hint}"))
        else:
            put(plain, target, value)
    if wrong:
        raise DealError(wrong)
    return _validated(plain, source, context)


def _validated(data: dict[str, Any], source: _Source, context: dict[str, Any]) -> Deal:
    doubts = Doubts(data)
    written, found = _read(data, source, context, doubts)
    said = {each.path for each in found}
    found += [each for each in _empty_values(data, source) if each.path not in said]
    if written is not None:
        further = problems(written, changed=bool(source.sets), doubts=doubts)
        found += [source.problem(path, message) for path, message in further]
    if found or written is None:
        raise DealError(found)
    return resolve(written)


def _read(
    data: dict[str, Any], source: _Source, context: dict[str, Any], doubts: Doubts
) -> tuple[Deal | None, list[Problem]]:
    """Read data by the types: the deal and what is wrong.

    Values in error are replaced by others that might stand there, and noted as doubtful, so that the rest can be
    judged; None in place of the deal if that leads nowhere. Names that are no quantities are left to the checks
    unless the types are wrong too.
    """
    try:
        return Deal.model_validate(data, context=context), []
    except ValidationError as found:
        error = found
    if isinstance(quantities := data.get("quantities", {}), dict):
        try:
            Deal.model_validate(data, context=context | {"quantities": frozenset(quantities)})
        except ValidationError as found:
            error = found
    problems_of_types = list(_explained(error, data, source))
    mended = copy.deepcopy(data)
    for _ in range(3):  # a value that is replaced may have hidden others
        try:
            _mend(mended, error, doubts)
        except (LookupError, TypeError, ValueError):
            break
        try:
            return Deal.model_validate(mended, context=context), problems_of_types
        except ValidationError as found:
            error = found
    return None, problems_of_types


def _mend(data: dict[str, Any], error: ValidationError, doubts: Doubts) -> None:
    """Take out keys that are unknown, and replace values that are wrong, in place."""
    for each in error.errors():
        path = _path_in(each["loc"], data, each["type"])
        if path[0] == "correlations":  # places in a list would shift
            data.pop("correlations", None)
            doubts.add(("correlations",))
        elif each["type"] == "extra_forbidden":
            _take_out(data, path)
            doubts.forget(path)
        else:
            value = stand_in(path)
            put(data, path, value)
            doubts.add(path, lost=isinstance(value, str | bool | list | dict))


def _take_out(data: Any, path: Path) -> None:
    for part in path[:-1]:
        data = _inside(data, part)
    del data[path[-1]]


def _empty_values(data: dict[str, Any], source: _Source) -> Iterator[Problem]:
    """A key without a value would be read as if it were not there."""
    for path in _paths_of_nothing(data, ()):
        if path not in source.sets:
            yield source.problem(path, f"an empty value; allowed: {wanted(path)}; or leave the key out")


def _paths_of_nothing(value: Any, path: Path) -> Iterator[Path]:
    if value is None:
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths_of_nothing(item, (*path, key))


def _extended(document: Document, folder: FilePath) -> tuple[Document, ...]:
    """The document and the ones it extends, the nearest first."""
    chain = [document]
    names = {str(FilePath(document.name).resolve())}
    while (parent := chain[-1].data.get("extends")) is not None:
        if not isinstance(parent, str):
            raise DealError([chain[-1].problem(("extends",), "must be the name of a file; allowed: other.yaml")])
        path = (FilePath(chain[-1].name).parent if len(chain) > 1 else folder) / parent
        if str(path.resolve()) in names:
            raise DealError(
                [chain[-1].problem(("extends",), f"{parent} extends this file in a circle; allowed: another file")]
            )
        if not path.is_file():
            raise DealError([chain[-1].problem(("extends",), f"there is no file {parent}; allowed: an existing file")])
        names.add(str(path.resolve()))
        chain.append(read(path))
    return tuple(chain)


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
    return copy.deepcopy(above)


def _parsed_set(text: str) -> tuple[Path, Any]:
    try:
        path, value = split_set(text)
    except ValueError as error:
        raise DealError([Problem(_SET, 1, 1, "", str(error))]) from None
    return path, parse_value(value, _SET)


def _parent_exists(data: Any, path: Path) -> bool:
    here = data
    for part in path[:-1]:
        here = _inside(here, part)
    if isinstance(here, list):
        return _inside(here, path[-1]) is not _ABSENT
    # a new name beside others is a value that is missing only if the file knows the key or the types do
    return isinstance(here, dict) and (path[-1] in here or is_field(path))


def _can_stand(data: Any, path: Path) -> bool:
    """Whether a path may be set: what is missing on the way must be keys of the grammar, not names that people give."""
    here = data
    for length, part in enumerate(path, start=1):
        here = _inside(here, part)
        if here is _ABSENT and not is_field(path[:length]):
            return False
    return True


# ---------------------------------------------------------------------------------------------------------------
# What pydantic says, in the deal file's words
# ---------------------------------------------------------------------------------------------------------------


def _explained(error: ValidationError, data: Any, source: _Source) -> Iterator[Problem]:
    found = [(each, _path_in(each["loc"], data, each["type"])) for each in error.errors()]
    meant = set()  # keys that are missing because they are misspelt
    for each, path in found:
        if each["type"] == "extra_forbidden":
            known = keys_at(path[:-1])
            near = nearest(str(path[-1]), known)
            meant.add((*path[:-1], near))
            hint = f"did you mean {near!r}?" if near else "allowed: " + ", ".join(known)
            yield source.problem(path, f"unknown key; {hint}", key=True)
    for each, path in found:
        if each["type"] != "extra_forbidden" and not (each["type"] == "missing" and path in meant):
            yield source.problem(path, _message(each, path))


def _message(each: Mapping[str, Any], path: Path) -> str:
    kind, value = each["type"], each.get("input")
    if kind == "missing":
        return f"is needed; allowed: {wanted(path)}"
    if kind == "value_error":
        return str(each["msg"]).removeprefix("Value error, ")
    if len(path) == 2 and path[0] == "quantities":
        return f"{_shown(value)} is no quantity; allowed: a number or a distribution such as normal(mean 10%, sd 4%)"
    if kind == "literal_error":
        hint = each["ctx"]["expected"].replace("'", "")
        keys = keys_at(path)
        return f"{_shown(value)} is not known; allowed: {hint}" + (f", or a mapping of {', '.join(keys)}" * bool(keys))
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        known = keys_at(path)
        return f"{_shown(value)} is no mapping; allowed: " + (", ".join(known) or "NAME: VALUE")
    if kind == "string_type":
        return f"{_shown(value)} is no text; allowed: a text (in quotes, if it looks like a number)"
    if kind == "bool_type":
        return f"{_shown(value)} is no truth value; allowed: true or false (yes and no are text)"
    if kind in {"tuple_type", "too_long", "too_short"} or (kind == "missing" and isinstance(value, (list, tuple))):
        return f"{_shown(value)} is no point of a table; allowed: [LEVEL, AMOUNT]"
    if kind == "list_type":
        return f"{_shown(value)} is no list; allowed: [ ... ]"
    return f"{_shown(value)}: {each['msg']}"


def _shown(value: Any) -> str:
    if value is None:
        return "an empty value"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _path_in(location: Sequence[str | int], data: Any, kind: str) -> Path:
    """Strip the tags of unions from a pydantic location, so that a path of the file remains."""
    path: list[str | int] = []
    here = data
    for position, part in enumerate(location):
        deeper = _inside(here, part)
        if deeper is not _ABSENT:
            here = deeper
        elif not (position == len(location) - 1 and kind == "missing"):
            continue
        path.append(part)
    return tuple(path)


_ABSENT = object()


def _inside(here: Any, part: str | int) -> Any:
    """What stands under a name of a mapping or at a place of a list, or _ABSENT."""
    if isinstance(here, dict):
        return here.get(part, _ABSENT)
    if isinstance(here, list) and str(part).isdigit() and int(part) < len(here):
        return here[int(part)]
    return _ABSENT


# ---------------------------------------------------------------------------------------------------------------
# Showing
# ---------------------------------------------------------------------------------------------------------------

_NOT_SHOWN = {"deal", "note", "sources", "facts", "assumptions", "quantities"}
_INHERITED = {"payers", "costs", "payer_costs", "finance"}  # they stand in each structure of the resolved deal


def paths(deal: Deal) -> list[tuple[Path, str, str | None]]:
    """List what `--set` can change: path, value in deal-file syntax, and the neutral value of a nuisance."""
    neutral = {
        leaf.path: "0" if leaf.legal.neutral == 0 else f"{leaf.legal.neutral:.0%}"
        for leaf in leaves(deal)
        if leaf.legal.neutral is not None
    }
    rows: list[tuple[Path, str, str | None]] = [(("luck_only",), "false", None)]
    plain = to_plain(deal)
    for name in deal.quantities:
        rows.append((("quantities", name), str(deal.quantities[name]), None))
    for key, value in plain.items():
        if key not in _NOT_SHOWN | _INHERITED | {"luck_only"}:
            rows += [(path, text, neutral.get(path)) for path, text in _leaves_of(value, (key,))]
    for name, cohort in deal.cohorts.items():
        claim = "none" if cohort.last_claim is None else cohort.last_claim.text()
        here = ("cohorts", name, "last_claim")
        rows = [row for row in rows if row[0] != here] + [(here, claim, "none")]
    return rows


def _leaves_of(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves_of(item, (*path, key))
    elif isinstance(value, list) and value:
        for position, item in enumerate(value):
            yield from _leaves_of(item, (*path, position))
    elif value not in ({}, []):
        yield path, dump(value).rstrip("\n")


def show(deal: Deal) -> str:
    """Return the fully resolved deal as a deal file, which reads back as the same deal."""
    return dump({key: value for key, value in to_plain(deal).items() if value not in ({}, [])})
