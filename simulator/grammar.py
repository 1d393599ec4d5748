"""The grammar of the deal file as a tree: which keys and values may stand at a path, and a value that may."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from simulator.deal import EXAMPLES, Deal, Month, Reads, ReadsWorded, Window, Worded
from simulator.quantity import fixed

Path = tuple[str | int, ...]


def _candidates(annotation: Any) -> Iterator[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _candidates(typing.get_args(annotation)[0])
    elif origin in {typing.Union, types.UnionType}:
        for each in typing.get_args(annotation):
            yield from _candidates(each)
    else:
        yield annotation


def _annotated(field: FieldInfo) -> Any:
    return typing.Annotated[field.annotation, None, *field.metadata]


def _descend(annotation: Any, part: str | int) -> Iterator[Any]:
    for each in _candidates(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            for name, field in each.model_fields.items():
                if part in {name, field.alias}:
                    yield _annotated(field)
        elif typing.get_origin(each) is dict:
            yield typing.get_args(each)[1]
        elif typing.get_origin(each) in {list, tuple} and str(part).isdigit():
            arguments = typing.get_args(each)
            yield arguments[int(part) % len(arguments)]


def types_at(path: Path) -> list[Any]:
    """Types of what may stand at a path; empty where nothing may."""
    found: list[Any] = [Deal]
    for part in path:
        found = [deeper for each in found for deeper in _descend(each, part)]
    return found


def wanted(path: Path) -> str:
    """What may stand at a path, for a value that is missing."""
    for each in types_at(path):
        for reads in getattr(each, "__metadata__", ()):
            if isinstance(reads, Reads):
                noun = "an amount of money" if reads.unit == "money" else f"a {reads.unit}"
                return f"{noun} such as {' or '.join(map(str, EXAMPLES[reads.unit][:2]))}"
            if isinstance(reads, ReadsWorded):
                return reads.allowed()
        for candidate in _candidates(each):
            if typing.get_origin(candidate) is typing.Literal:
                return ", ".join(typing.get_args(candidate))
            if typing.get_origin(candidate) is dict:
                return "NAME: VALUE"
            if candidate in _WANTED:
                return _WANTED[candidate]
    keys = keys_at(path)
    return f"a mapping of {', '.join(keys)}" if keys else "give it a value"


_WANTED: dict[Any, str] = {
    str: "a text",
    int: "a duration such as 9 years or 36 months",
    Month: "a month such as 2010-09",
    Window: "months such as 2010-09 to 2012-08",
}


def keys_at(path: Path) -> list[str]:
    """Keys of the grammar that may stand below a path."""
    keys: list[str] = []
    for each in types_at(path):
        for candidate in _candidates(each):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                keys += [field.alias or name for name, field in candidate.model_fields.items()]
    return keys


def is_field(path: Path) -> bool:
    """Whether the last part is a key of the grammar (not a name that people give)."""
    return bool(path) and path[-1] in keys_at(path[:-1])


def stand_in(path: Path) -> Any:
    """Return a value that may stand at a path, so that a file can be judged although the value there is wrong.

    Raises
    ------
    LookupError
        If nothing is known of the path.
    """
    for each in types_at(path):
        return _stand_in(each)
    raise LookupError(path)


def _stand_in(annotation: Any) -> Any:
    for reads in getattr(annotation, "__metadata__", ()):
        if isinstance(reads, Reads | ReadsWorded):
            legal = reads.legal
            number = fixed(min(max(1.0, legal.low), legal.high) if legal.neutral is None else legal.neutral, reads.unit)
            if isinstance(reads, Reads):
                return number
            return Worded(reads.default or reads.forms[0][1], number, reads.before)
    kind = next(each for each in _candidates(annotation) if each is not type(None))
    if kind is not annotation and typing.get_origin(annotation) in {typing.Union, types.UnionType, typing.Annotated}:
        first = typing.get_args(annotation)[0]
        return _stand_in(first)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return arguments[0]
    if origin is tuple:
        return [_stand_in(each) for each in arguments]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        needed = {field.alias or name: field for name, field in kind.model_fields.items() if field.is_required()}
        return {key: _stand_in(_annotated(field)) for key, field in needed.items()}
    plain = {dict: {}, list: [], str: "-", bool: False, float: 0.0, int: "9 years"}
    dates = {Month: Month(2000, 1), Window: Window(Month(2000, 1), Month(2000, 1))}
    return dates[kind] if kind in dates else plain[origin or kind]
