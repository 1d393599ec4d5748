"""What cannot be judged because something else is wrong, so that one mistake is not said twice in other words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from simulator.grammar import Path, is_field, keys_at
from simulator.yamlfile import nearest

_NAMED = ("quantities", "cohorts", "segments", "outcomes", "measures", "structures")
_READ_BY = {
    "quantities": {"*"},
    "cohorts": {"cohorts"},
    "outcomes": {"outcomes", "segments", "measures", "structures", "savings", "social_value"},
    "measures": {"outcomes", "measures", "structures"},
    "structures": {"structures", "measures", "actual"},
    "time": {"time", "cohorts"},
}
"""Parts that read another as a whole."""
_SHAPING = {"counts", "steps", "of_those", "baseline", "comparison_arm", "before"}
"""Keys of an outcome that decide what other parts may say of it."""


class Doubts:
    """Values that are wrong, and names whose meaning is lost with them.

    Parameters
    ----------
    data
        The deal file as plain data, mistakes included.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._paths: list[Path] = []
        self._names: set[str] = set()
        self._parts: set[str] = set()

    def __bool__(self) -> bool:
        """Whether there is any doubt."""
        return bool(self._paths)

    def add(self, path: Path, *, lost: bool = False) -> None:
        """Doubt a value; `lost` if it is more than a number, so that what stands beside it may fail as well."""
        self._paths.append(path[:-1] if lost and len(path) > 2 else path)
        if path[0] in {"time", "segments"}:
            self._parts.add(str(path[0]))
        if path[0] == "quantities":
            lost = True
        if not lost:
            return
        value, known = self._inside(path), is_field(path)
        nameless = isinstance(value, list) or ((known or len(path) == 2) and not isinstance(value, dict))
        if len(path) == 1 and known:
            self._parts.add(str(path[0]))
        elif len(path) == 1 and isinstance(value, list):
            self._parts.add("quantities")  # no telling which part it was meant to be
        elif path[0] == "outcomes" and nameless and (len(path) == 2 or path[2] == "steps" or not known):
            self._parts.add("outcomes")  # no telling which names it would have given
        self._lose(path[:2] if path[0] in _NAMED and len(path) > 1 else path)

    def forget(self, path: Path) -> None:
        """Doubt a key that is unknown, whose value was taken out."""
        near = nearest(str(path[-1]), keys_at(path[:-1]))
        if len(path) == 1 or near is None or near in _SHAPING or isinstance(self._inside(path), dict | list):
            self.add(path, lost=True)
        else:
            self._paths.append(path[:-1])

    def _lose(self, path: Path) -> None:
        self._names.add(str(path[-1]))
        self._names.update(_given_names(self._inside(path), path))
        before = -1
        while before < len(self._names):  # what reads a lost name is lost to its own readers
            before = len(self._names)
            for part in ("outcomes", "measures"):
                for name in _mapping(self._data.get(part)):
                    if self._mentions((part, name)):
                        self._names.add(str(name))

    def follow(self, path: Path) -> bool:
        """Whether a mistake at a path may only follow from what is doubted."""
        for each in self._paths:
            if path[: len(each)] == each or each[: len(path)] == path:
                return True
        for part in self._parts:
            if path[0] == part or _READ_BY.get(part, set()) & {path[0], "*"}:
                return True
        return self._mentions(path[:2] if path[0] in _NAMED else path[:1])

    def touch(self, path: Path) -> bool:
        """Whether anything is doubted in the part of the file that a path leads into."""
        return any(each[:2] == path[:2] or (len(each) == 1 and each == path[:1]) for each in self._paths)

    def _mentions(self, path: Path) -> bool:
        if not self._names:
            return False
        texts = " | ".join([*map(str, path), *_texts(self._inside(path))])
        return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", texts) for name in self._names)

    def _inside(self, path: Path) -> Any:
        here: Any = self._data
        for part in path:
            if isinstance(here, dict):
                here = here.get(part)
            elif isinstance(here, list) and isinstance(part, int) and part < len(here):
                here = here[part]
            else:
                return None
        return here


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _given_names(value: Any, path: Path) -> Iterator[str]:
    """Keys at any depth that people gave: those that are no keys of the grammar."""
    for key, item in _mapping(value).items():
        if not is_field((*path, key)):
            yield str(key)
        yield from _given_names(item, (*path, key))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
