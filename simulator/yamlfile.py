"""Read one YAML text to plain data, remembering where everything stands.

The reader follows the YAML 1.2 core rules for plain words (``yes``, ``on``, ``12:30``, ``010`` and dates
stay text), collects every mistake instead of stopping at the first, and keeps distributions whole inside
``{ }`` and ``[ ]``, where YAML itself splits at each comma.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

__all__ = [
    "DealError",
    "Document",
    "Part",
    "Problem",
    "dump",
    "join_path",
    "nearest",
    "parse_value",
    "read",
    "read_text",
    "split_path",
    "split_set",
]

Part = str | int
Mark = tuple[int, int]

MAX_BYTES = 5_000_000
MAX_VALUES = 100_000
MAX_DEPTH = 60
MAX_DIGITS = 300
MAX_KEY = 1000  # the longest name that YAML takes without a question mark, roughly

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_ALLOWED_TAGS = {
    "scalar": (None, "!", _CORE + "str"),
    "map": (None, "!", _CORE + "map"),
    "seq": (None, "!", _CORE + "seq"),
}

_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# Characters that YAML forbids, or that it takes for line breaks where editors do not.
_BAD_RAW = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_BAD_VALUE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in one file, with its 1-based place, the path of the value and what is wrong."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        """Return ``FILE:LINE:COLUMN path: message``, always on one line."""
        path = f" {self.path}" if self.path else ""
        return _one_line(f"{self.file}:{self.line}:{self.column}{path}: {self.message}")


class DealError(ValueError):
    """Everything that is wrong with a file, at once.

    Attributes
    ----------
    problems : list of Problem
        Sorted by position, without repeats.
    """

    problems: list[Problem]

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        found = [problems] if isinstance(problems, Problem) else problems
        self.problems = sorted(set(found))
        super().__init__("\n".join(map(str, self.problems)))


class AskError(ValueError):
    """A question that cannot be asked as it stands: an option is wrong, not the deal."""


@dataclass(frozen=True)
class Document:
    """Plain data with the place of every value and of every name.

    Attributes
    ----------
    name : str
        The file's name, as it stands in messages.
    data : dict
        Mappings, lists, texts, numbers, ``True``, ``False`` and ``None``.
    marks, key_marks : dict
        1-based (line, column) of each value and of each name, by path.
    """

    name: str
    data: dict[str, Any]
    marks: dict[tuple[Part, ...], Mark]
    key_marks: dict[tuple[Part, ...], Mark]

    def position(self, path: tuple[Part, ...], *, key: bool = False) -> Mark:
        """Return the place to point at for a path.

        Parameters
        ----------
        path : tuple
            Names and list positions.
        key : bool
            Whether the name itself is at fault (an unknown name) and not its value.

        Returns
        -------
        tuple of int
            Line and column. A path that the file lacks (a missing value) is placed at the name of the nearest
            thing above it that the file has.
        """
        if path in self.marks:
            return self.key_marks.get(path, self.marks[path]) if key else self.marks[path]
        while path:
            path = path[:-1]
            if path in self.key_marks:
                return self.key_marks[path]
            if path in self.marks:
                return self.marks[path]
        return (1, 1)

    def problem(self, path: tuple[Part, ...], message: str, *, key: bool = False) -> Problem:
        """Return the `Problem` that says `message` at `path`; `key` as in `position`."""
        line, column = self.position(path, key=key)
        return Problem(self.name, line, column, join_path(path), message)


@dataclass(eq=False, slots=True)
class _Node:
    """A piece of YAML before it becomes data: `value` of scalars, `items` of the rest."""

    kind: str
    mark: Mark
    value: str = ""
    plain: bool = False
    flow: bool = False
    closed: bool = True
    items: list["_Node"] = field(default_factory=list)
    target: "_Node | None" = None

    @property
    def absent(self) -> bool:
        """Whether nothing was written where a value could stand."""
        return self.kind == "scalar" and self.plain and not self.value


class _StopError(Exception):
    """Reading cannot go on; the reason is among the problems."""


# ----------------------------------------------------------------------------------------------------
# Reading
# ----------------------------------------------------------------------------------------------------


def read(path: Path | str) -> Document:
    """Read a YAML file.

    Parameters
    ----------
    path : Path or str
        The file; UTF-8, at most 5 MB.

    Returns
    -------
    Document
        Data and positions.

    Raises
    ------
    DealError
        With every mistake found, whatever the bytes.
    """
    name = str(path)
    return read_text(_decode(_bytes(path, name), name), name)


def read_text(text: str, name: str) -> Document:
    """Read a YAML text; `name` stands for the file in messages.

    Raises
    ------
    DealError
        With every mistake found.
    """
    reader = _Reader(text, name)
    root = reader.compose()
    data: Any = None
    if not reader.broken and (root is None or root.absent):
        reader.report((1, 1), (), "the file is empty; a deal is a mapping of names to values")
    elif root is not None:
        if root.kind != "map" and not reader.broken:
            what = "a list" if root.kind == "seq" else "a single value"
            reader.report(root.mark, (), f"the top level is {what}; it must be a mapping, 'name: value' on each line")
        data = reader.convert(root)
    reader.finish()
    return Document(name, data, reader.marks, reader.key_marks)


def parse_value(text: str, name: str = "VALUE") -> Any:
    """Read one value in deal-file syntax, as it stands after ``--set PATH=``.

    Parameters
    ----------
    text : str
        A scalar, or a collection in ``[ ]`` or ``{ }``.
    name : str
        What stands for the file in messages.

    Returns
    -------
    object
        Plain data.

    Raises
    ------
    DealError
        If the text is empty, is not YAML, or is a mapping or list without its brackets.
    """
    reader = _Reader(text, name)
    root = reader.compose()
    data: Any = None
    if not reader.broken and (root is None or root.absent):
        reader.report((1, 1), (), "no value is given; write null for nothing, or '' for an empty text")
    elif root is not None:
        if root.kind in {"map", "seq"} and not root.flow and not reader.broken:
            brackets = "{ }" if root.kind == "map" else "[ ]"
            reader.report(
                root.mark,
                (),
                f"a {'mapping' if root.kind == 'map' else 'list'} needs {brackets} here; or quote the text",
            )
        data = reader.convert(root)
    reader.finish()
    return data


def _bytes(path: Path | str, name: str) -> bytes:
    """Return the bytes of a file, or raise a `DealError` that says why not."""
    try:
        file = Path(path)
        if file.is_dir():
            _fail(name, "this is a folder; give a deal file")
        size = file.stat().st_size
        if size > MAX_BYTES:
            _fail(name, f"the file holds {size:,} bytes; at most {MAX_BYTES:,} are read")
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        _fail(name, "there is no such file")
    except PermissionError:
        _fail(name, "the file may not be read; check its permissions")
    except DealError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _fail(name, f"the file cannot be read: {reason}")
    if len(raw) > MAX_BYTES:
        _fail(name, f"there are more than {MAX_BYTES:,} bytes; at most {MAX_BYTES:,} are read")
    return raw


def _decode(raw: bytes, name: str) -> str:
    """Decode UTF-8, with or without a byte order mark."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        _fail(name, "the file is UTF-16; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # `error.object` lacks the byte order mark that the codec took off.
        before = error.object[: error.start].decode("utf-8", "replace")
        line, column = _place(before, len(before))
        byte = error.object[error.start]
        _fail(name, f"the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8", line, column)


def _fail(name: str, message: str, line: int = 1, column: int = 1) -> NoReturn:
    raise DealError(Problem(name, line, column, "", message)) from None


class _Reader:
    """One pass over one text: parser events to nodes, nodes to data."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text.removeprefix("\ufeff")
        self.name = name
        self.problems: list[Problem] = []
        self.marks: dict[tuple[Part, ...], Mark] = {}
        self.key_marks: dict[tuple[Part, ...], Mark] = {}
        self.count = 0
        self.broken = False

    def report(self, mark: Mark, path: tuple[Part, ...], message: str) -> None:
        """Note one mistake."""
        self.problems.append(Problem(self.name, *mark, join_path(path), message))

    def finish(self) -> None:
        """Raise what was found, if anything was."""
        if self.problems:
            raise DealError(self.problems)

    # --- events to nodes

    def compose(self) -> _Node | None:
        """Return the node tree; after a syntax error, what stood before it, with `broken` set."""
        for bad in _BAD_RAW.finditer(self.text):
            self.report(
                _place(self.text, bad.start()),
                (),
                f"the character U+{ord(bad[0]):04X} is not allowed; remove it",
            )
            self.broken = True
            if len(self.problems) >= 20:
                break
        if self.broken:
            return None
        if len(self.text.encode()) > MAX_BYTES:
            self.report((1, 1), (), f"the text is longer than {MAX_BYTES:,} bytes, which is the most that is read")
            self.broken = True
            return None
        stack: list[_Node] = []
        roots: list[_Node] = []
        try:
            self._compose(stack, roots)
        except _StopError:
            self.broken = True
        except yaml.YAMLError as error:
            self.broken = True
            self._syntax(error, stack)
        except RecursionError:  # the parser written in Python, on hostile input
            self.broken = True
            self.report((1, 1), (), f"the text is nested too deeply; at most {MAX_DEPTH} levels are allowed")
        return roots[0] if roots else None

    def _compose(self, stack: list[_Node], roots: list[_Node]) -> None:
        anchors: dict[str | None, _Node] = {}
        documents = 0
        event: Any
        for event in yaml.parse(self.text, Loader=_LOADER):
            mark = (event.start_mark.line + 1, event.start_mark.column + 1)
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.report(
                        mark,
                        (),
                        "a second document starts here; one file holds one document, so remove '---'",
                    )
                    raise _StopError
            elif isinstance(event, yaml.CollectionEndEvent):
                stack.pop().closed = True
            elif isinstance(event, yaml.NodeEvent):
                node = self._node(event, mark, anchors)
                (stack[-1].items if stack else roots).append(node)
                self.count += 1
                if self.count > MAX_VALUES:
                    self._too_many(mark)
                if node.kind in {"map", "seq"}:
                    stack.append(node)
                    if len(stack) > MAX_DEPTH:
                        self.report(mark, (), f"nested too deeply; at most {MAX_DEPTH} levels are allowed")
                        raise _StopError

    def _node(self, event: Any, mark: Mark, anchors: dict[str | None, _Node]) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            target = anchors.get(event.anchor)
            if target is None:
                self.report(mark, (), f"*{event.anchor} refers to nothing; write &{event.anchor} before it")
                return _Node("scalar", mark, value="?")
            if not target.closed:
                self.report(mark, (), f"*{event.anchor} refers to the value that it is part of; write the value out")
                return _Node("scalar", mark, value="?")
            return _Node("alias", mark, target=target)
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in {None, ""} and event.tag is None
            node = _Node("scalar", mark, value=event.value, plain=plain)
            if _BAD_VALUE.search(event.value):
                self.report(mark, (), "the text holds a control character; remove it")
        else:
            kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
            node = _Node(kind, mark, flow=bool(event.flow_style), closed=False)
        if event.tag not in _ALLOWED_TAGS[node.kind]:
            tag = event.tag.replace(_CORE, "!!")
            self.report(mark, (), f"the tag {tag} is not allowed; remove it")
        if event.anchor is not None:
            anchors[event.anchor] = node
        return node

    def _too_many(self, mark: Mark) -> NoReturn:
        self.report(mark, (), f"more than {MAX_VALUES:,} values; that is the most, aliases (*name) counted in full")
        raise _StopError

    def _syntax(self, error: yaml.YAMLError, stack: list[_Node]) -> None:
        """Report a syntax error in one line, pointing at its cause where the text shows it."""
        found: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (found.line + 1, found.column + 1) if found else (1, 1)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        context = getattr(error, "context", None)
        if "nesting depth" in what:  # libyaml from 0.2.6 on stops by itself, before it hands a value out
            self.report((line, column), (), f"nested too deeply; at most {MAX_DEPTH} levels are allowed")
            return
        message = f"not valid YAML: {what}" + (f" ({context})" if context else "")
        lines = re.split(r"\r\n|\r|\n", self.text)
        source = lines[line - 1] if line <= len(lines) else ""
        margin = source[: len(source) - len(source.lstrip())]
        opened = next((node for node in reversed(stack) if node.flow), None)
        if "\t" in margin or source[column - 1 : column] == "\t":
            column = margin.index("\t") + 1 if "\t" in margin else column
            message += "; there is a tab here, and YAML is indented with spaces only"
        elif opened is not None:
            bracket = "{" if opened.kind == "map" else "["
            message += f"; see the {bracket} opened at line {opened.mark[0]}, column {opened.mark[1]}"
            if _balance(_between(lines, opened.mark, (line, column))) > 0:
                message += "; parentheses that hold quotes, brackets or ': ' must stand whole in ' '"
        elif source[column - 1 : column] == ":":
            message += "; a text that holds ': ' must stand in quotes"
        elif source[column - 1 : column] and source[column - 1] in "@`%&*!|>'\"{}[],":
            message += f"; a text that starts with {source[column - 1]} must stand in quotes"
        self.report((line, column), (), message)

    # --- nodes to data

    def convert(self, root: _Node) -> Any:
        """Return the data of a tree and note its positions; reports what is wrong on the way."""
        self.count = 0
        try:
            return self._data(root, (), 0)
        except _StopError:
            return None

    def _data(self, node: _Node, path: tuple[Part, ...], depth: int) -> Any:
        self.marks[path] = node.mark
        while node.target is not None:
            node = node.target
        self.count += 1
        if self.count > MAX_VALUES:
            self._too_many(node.mark)
        if depth > MAX_DEPTH:
            self.report(node.mark, path[:4], f"nested too deeply; at most {MAX_DEPTH} levels are allowed")
            raise _StopError
        if node.kind == "scalar":
            return self._scalar(node, path)
        if not node.closed and node.flow:  # cut off by a syntax error: nothing in it can be judged
            return None
        if node.kind == "seq":
            items = self._mend_list(node.items, path) if node.flow else node.items
            return [self._data(item, (*path, at), depth + 1) for at, item in enumerate(items)]
        return self._mapping(node, path, depth)

    def _mapping(self, node: _Node, path: tuple[Part, ...], depth: int) -> dict[str, Any]:
        pairs = list(zip(node.items[::2], node.items[1::2], strict=False))
        if node.flow:
            pairs = self._mend_pairs(pairs, path)
        data: dict[str, Any] = {}
        for key, value in pairs:
            name = self._name(key, path)
            if name is None:
                continue
            here = (*path, name)
            if name in data:
                first = self.key_marks[here][0]
                self.report(key.mark, here, f"this name stands here a second time; the first is at line {first}")
                continue
            if node.flow and value.absent:
                hint = "inside { } a comma ends an entry: is a comma too many, or a colon missing?"
                if key.plain and ":" in name:
                    hint = "a colon ends a name only with a space after it"
                self.report(key.mark, here, f"no value; {hint}")
            self.key_marks[here] = key.mark
            data[name] = self._data(value, here, depth + 1)
        return data

    def _name(self, key: _Node, path: tuple[Part, ...]) -> str | None:
        while key.target is not None:
            key = key.target
        if key.kind != "scalar":
            self.report(key.mark, path, "a name must be a text, not a list or a mapping")
            return None
        if key.plain and key.value == "<<":
            self.report(key.mark, path, "merging with << is not supported; write the names out")
            return None
        if key.plain and not isinstance(resolve(key.value), str):
            what = f"{key.value} is read as a {_kind(resolve(key.value))}" if key.value else "there is no name here"
            self.report(key.mark, path, f"{what}; a name must be a text" + (", so quote it" if key.value else ""))
            return None
        return key.value

    def _scalar(self, node: _Node, path: tuple[Part, ...]) -> Any:
        if not node.plain:
            return node.value
        if len(node.value) > MAX_DIGITS and _FLOAT.fullmatch(node.value):
            self.report(node.mark, path, f"a number with {len(node.value)} digits; at most {MAX_DIGITS} are allowed")
            return None
        value = resolve(node.value)
        if _NOT_FINITE.fullmatch(node.value) or (isinstance(value, float) and value - value != 0):
            self.report(node.mark, path, f"{node.value} is not a finite number; write a number, or quote it as a text")
            return None
        return value

    # --- the commas inside parentheses

    def _mend_list(self, items: list[_Node], path: tuple[Part, ...]) -> list[_Node]:
        """Put together the items that YAML cut apart at commas inside parentheses."""
        mended: list[_Node] = []
        at = 0
        while at < len(items):
            item, at = items[at], at + 1
            if _opens(item):
                start = at
                while at < len(items) and items[at].kind == "scalar" and _balance_of(items[start - 1 : at]) > 0:
                    at += 1
                pieces = items[start - 1 : at]
                if _balance_of(pieces) > 0:
                    self._never_closes(item, (*path, len(mended)), items[at] if at < len(items) else None)
                item = _joined(pieces)
            mended.append(item)
        return mended

    def _mend_pairs(self, pairs: list[tuple[_Node, _Node]], path: tuple[Part, ...]) -> list[tuple[_Node, _Node]]:
        """Put together the names and values that YAML cut apart at commas inside parentheses."""
        mended: list[tuple[_Node, _Node]] = []
        at = 0
        while at < len(pairs):
            (key, value), at = pairs[at], at + 1
            if _opens(key):
                pieces = [key]
                while at < len(pairs) and value.absent and _balance_of(pieces) > 0 and pairs[at][0].kind == "scalar":
                    pieces.append(pairs[at][0])
                    value, at = pairs[at][1], at + 1
                if _balance_of(pieces) > 0:
                    self._never_closes(key, path, None)
                key = _joined(pieces)
            if _opens(value):
                pieces = [value]
                while (
                    at < len(pairs)
                    and pairs[at][1].absent
                    and _balance_of(pieces) > 0
                    and pairs[at][0].kind == "scalar"
                ):
                    pieces.append(pairs[at][0])
                    at += 1
                if _balance_of(pieces) > 0:
                    self._never_closes(value, (*path, key.value), pairs[at][0] if at < len(pairs) else None)
                value = _joined(pieces)
            mended.append((key, value))
        return mended

    def _never_closes(self, node: _Node, path: tuple[Part, ...], after: _Node | None) -> None:
        message = f"a parenthesis opens in '{_short(node.value)}' and never closes"
        if after is not None and after.kind == "scalar":
            message += f" before '{_short(after.value)}'"
            message += f"; close it, and inside parentheses write '{_short(after.value)} …' without a colon"
        else:
            message += "; close it, or put the text in quotes"
        self.report(node.mark, path, message)


def resolve(text: str) -> str | int | float | bool | None:
    """Return what a plain (unquoted) word means under the YAML 1.2 core rules, integers in decimal only."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text[0] in "tT"
    if len(text) <= MAX_DIGITS:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return "truth value" if isinstance(value, bool) else "number"


def _balance(text: str) -> int:
    return text.count("(") - text.count(")")


def _balance_of(pieces: list[_Node]) -> int:
    return sum(_balance(piece.value) for piece in pieces if piece.plain)


def _opens(node: _Node) -> bool:
    return node.kind == "scalar" and node.plain and _balance(node.value) > 0


def _joined(pieces: list[_Node]) -> _Node:
    texts = [piece.value if piece.plain else '"' + piece.value.replace('"', '""') + '"' for piece in pieces]
    return _Node("scalar", pieces[0].mark, value=", ".join(texts), plain=True)


def _between(lines: list[str], start: Mark, end: Mark) -> str:
    """Return the source between two places."""
    chunk = lines[start[0] - 1 : end[0]]
    if not chunk:
        return ""
    if end[0] <= len(lines):
        chunk[-1] = chunk[-1][: end[1] - 1]
    chunk[0] = chunk[0][start[1] - 1 :]
    return "\n".join(chunk)


def _place(text: str, at: int) -> Mark:
    """Return the 1-based line and column of a character, with the line breaks of editors."""
    breaks = [found.end() for found in re.finditer(r"\r\n|\r|\n", text[:at])]
    return len(breaks) + 1, at - (breaks[-1] if breaks else 0) + 1


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _one_line(text: str) -> str:
    """Escape what would break the line or the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# ----------------------------------------------------------------------------------------------------
# Names and paths
# ----------------------------------------------------------------------------------------------------


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was most likely meant to be, or None.

    Examples
    --------
    >>> nearest("Comitment", ["coupon", "commitment"])
    'commitment'
    """

    def plain(text: str) -> str:
        return re.sub(r"[\s_-]+", " ", text).strip().casefold()

    by_plain: dict[str, str] = {}
    for other in known:
        by_plain.setdefault(plain(other), other)
    close = difflib.get_close_matches(plain(name)[:200], list(by_plain), n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None


def join_path(parts: Iterable[Part]) -> str:
    """Write a path: names joined by dots, quoted where they must be.

    A name that holds a dot, ``=``, ``:`` or a double quote, that is empty, or that starts or ends with a
    space stands in double quotes, with each double quote in it doubled. List positions are integers.

    Examples
    --------
    >>> join_path(("structures", "as signed", "tranches", 0, "a.b"))
    'structures.as signed.tranches.0."a.b"'
    """
    return ".".join(str(part) if isinstance(part, int) else _quoted_name(part) for part in parts)


def _quoted_name(name: str) -> str:
    if not name or name != name.strip() or re.search(r'[.=:"]', name):
        return '"' + name.replace('"', '""') + '"'
    return name


def split_path(text: str) -> tuple[str, ...]:
    """Read a path back to its parts; the inverse of `join_path`, except that positions come back as texts.

    Parameters
    ----------
    text : str
        Such as ``structures.as signed.tranches.0."a.b"``.

    Returns
    -------
    tuple
        Names and list positions, all as texts: which of the two ``0`` is depends on the data.

    Raises
    ------
    ValueError
        In one line.
    """
    if not text.strip():
        raise ValueError("the path is empty; a path is names joined by dots")
    parts: list[str] = []
    at = 0
    piece = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^".=:]*))(\.|$)', re.DOTALL)
    while True:
        found = piece.match(text, at)
        if found is None:
            raise ValueError(_path_fault(text, at))
        quoted, bare, end = found.groups()
        bare = bare.strip() if bare is not None else None
        if quoted is None and not bare:
            raise ValueError(f"the path '{text}' has an empty part; a path is names joined by single dots")
        if quoted is not None:
            parts.append(quoted.replace('""', '"'))
        elif bare is not None:
            parts.append(bare)
        at = found.end()
        if not end:
            return tuple(parts)


def _path_fault(text: str, at: int) -> str:
    if text[at:].lstrip().startswith('"'):
        return f"the path '{text}' has a name whose quotes do not close; a quote inside a name is doubled"
    return f"the path '{text}' has a name that holds '=', ':' or a quote; such a name stands in double quotes"


def split_set(text: str) -> tuple[tuple[str, ...], str]:
    """Split ``PATH=VALUE`` at the first ``=`` outside double quotes.

    Returns
    -------
    tuple
        The parts of the path, and the text of the value.

    Raises
    ------
    ValueError
        If there is no ``=``, or the path is not one.
    """
    inside = False
    for at, character in enumerate(text):
        if character == '"':
            inside = not inside
        elif character == "=" and not inside:
            return split_path(text[:at]), text[at + 1 :].strip()
    raise ValueError(f"'{text}' has no '=' outside quotes; write PATH=VALUE")


# ----------------------------------------------------------------------------------------------------
# Writing
# ----------------------------------------------------------------------------------------------------


def dump(data: Any) -> str:
    """Write plain data as YAML in block style, such that reading it gives the same data.

    Parameters
    ----------
    data : object
        Mappings with text names, lists or tuples, texts, finite numbers, truth values and None.

    Returns
    -------
    str
        The text, ending in a line break; texts stand in quotes only where they must.

    Raises
    ------
    ValueError
        For anything that a deal file cannot hold.
    """
    if isinstance(data, dict | list | tuple) and data:
        return "\n".join(_lines(data)) + "\n"
    return _scalar_text(data) + "\n"


def _lines(data: Any) -> Iterator[str]:
    """Yield the lines of a collection that is not empty."""
    pairs = data.items() if isinstance(data, dict) else (("-", item) for item in data)
    for key, value in pairs:
        lead = "-"
        if isinstance(data, dict):
            name = _key_text(key)
            lead = f"{name}:"
            if len(name) > MAX_KEY:
                yield f"? {name}"
                lead = ":"
        if isinstance(value, dict | list | tuple) and value:
            inner = _lines(value)
            if lead == "-":
                yield f"- {next(inner)}"
            else:
                yield lead
            yield from (f"  {line}" if line else "" for line in inner)
        elif isinstance(value, str) and _is_block(value):
            yield f"{lead} |" if value.endswith("\n") else f"{lead} |-"
            yield from (f"  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
        else:
            yield f"{lead} {_scalar_text(value)}"


def _key_text(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{key!r} cannot be a name; a name must be a text")
    return "'<<'" if key == "<<" else _scalar_text(key)


def _is_block(text: str) -> bool:
    """Whether a text of several lines can stand as it is."""
    lines = text.removesuffix("\n").split("\n")
    return (
        len(lines) > 1
        and not lines[0][:1].isspace()
        and all(lines[at] for at in (0, -1))
        and all(line.isprintable() and "\ufeff" not in line and line == line.rstrip() for line in lines)
    )


def _scalar_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value - value != 0:
            raise ValueError(f"{value} cannot be written; numbers must be finite")
        return repr(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    if isinstance(value, str):
        return _text_text(value)
    raise ValueError(
        f"{value!r} cannot be written; a deal holds mappings, lists, texts, numbers, truth values and null"
    )


def _text_text(text: str) -> str:
    """Write a text plain if it reads back as itself, else in single quotes, else in double quotes."""
    if _BAD_VALUE.search(text):
        raise ValueError(f"{_one_line(_short(text))} holds a control character; it cannot be written")
    if text.isprintable() and "\ufeff" not in text:
        plain = (
            re.match(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`]|[-?:](?=[^\s,\[\]{}])", text)
            and not re.search(r":(?:\s|$)|\s#|\s$|^---|^\.\.\.", text)
            and isinstance(resolve(text), str)
            and not _NOT_FINITE.fullmatch(text)
            and not (len(text) > MAX_DIGITS and _FLOAT.fullmatch(text))
        )
        return text if plain else "'" + text.replace("'", "''") + "'"
    escapes = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
    out = (escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return '"' + "".join(out) + '"'
