"""Compilation of the kernels: one decorator, and a cache on disk that cannot serve stale machine code.

Numba's own cache looks at the file of a function only, so that an edit of a helper in another file, or an upgrade in
place, would leave old machine code in use (numba issue 1833). Here every kernel's cache is stamped with a hash of all
source files that hold kernels, and of every file of the package that those import, directly or not. Other files may
change without compiling. Nothing is set globally: other packages' caches are left alone.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import typeof
from numba.core import caching, event
from numba.core import config as numba_config
from numba.core.compiler import Flags
from numba.core.registry import CPUDispatcher

config = cast(Any, numba_config)  # its settings are made at run time
Function = TypeVar("Function", bound=Callable[..., Any])


_IMPORT = re.compile(
    r"^[ \t]*(?:from\s+simulator\.(\w+)|import\s+simulator\.(\w+)|from\s+simulator\s+import\s+(\([^)]*\)|.*))",
    re.MULTILINE,
)
_MAKES_KERNELS = re.compile(
    r"^from simulator\.compiled import (?:\([^)]*|.*)\b(?:kernel|inner|inlined|written_out|part)\b", re.MULTILINE
)


@functools.cache
def kernel_files() -> tuple[Path, ...]:
    """Source files that machine code can depend on: those that import a decorator of this one, and what they import."""
    texts = {file.stem: file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("*.py")}
    imports = {name: _imports(text) & texts.keys() for name, text in texts.items()}
    found = {name for name, text in texts.items() if _MAKES_KERNELS.search(text)} | {"compiled"}
    waiting = list(found)
    while waiting:
        new = imports[waiting.pop()] - found
        found |= new
        waiting += new
    return tuple(sorted(Path(__file__).parent / f"{name}.py" for name in found))


def _imports(text: str) -> set[str]:
    """Modules of the package that a source text names in its imports."""
    found: set[str] = set()
    for match in _IMPORT.finditer(text):
        found |= {name for name in match.groups()[:2] if name}
        found |= set(re.findall(r"\w+", match[3] or ""))
    return found


@functools.cache
def package_stamp() -> str:
    """Return a hash of the names and contents of every source file that machine code can depend on."""
    digest = hashlib.sha256()
    for file in kernel_files():
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


class _Stamped:
    """Mixin of a cache locator: a folder for each state of the package, so that stale entries are not even read.

    (Numba unpickles an index before it looks at its stamp, and fails if a class of the old package is gone.)
    """

    def get_source_stamp(self) -> str:
        return package_stamp()

    def get_cache_path(self) -> str:
        above: str = super().get_cache_path()  # type: ignore[misc]
        return str(Path(above, f"kernels-{package_stamp()[:16]}"))


class ProvidedFolder(_Stamped, caching.UserProvidedCacheLocator):
    """The folder named by NUMBA_CACHE_DIR."""


class InTree(_Stamped, caching.InTreeCacheLocator):
    """The package's own `__pycache__`."""


class UserWide(_Stamped, caching.UserWideCacheLocator):
    """The user's cache folder, where the installation is read-only."""


@functools.cache
def _forget_old_kernels() -> None:
    """Remove machine code of earlier states of the package from its own folder."""
    for folder in (Path(__file__).parent / "__pycache__").glob("kernels-*"):
        if folder.name != f"kernels-{package_stamp()[:16]}":
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _our_locators() -> Iterator[None]:
    before = config.CACHE_LOCATOR_CLASSES
    config.CACHE_LOCATOR_CLASSES = ",".join(
        f"{__name__}.{each.__name__}" for each in (ProvidedFolder, InTree, UserWide)
    )
    try:
        yield
    finally:
        config.CACHE_LOCATOR_CLASSES = before


def kernel(function: Function) -> Function:
    """Compile a function on first use: nopython, nogil, without fastmath, cached on disk where a folder is writable.

    Parameters
    ----------
    function
        A function of scalars, arrays and named tuples.

    Returns
    -------
    Function
        The compiled function; its plain Python is at ``.py_func``.
    """
    return _compiled(_Kernel, function, {"_nrt": True, "forceinline": False, **_CALLABLE})


def inner(function: Function) -> Function:
    """Compile a function that works on arrays it is given and makes none, into the code of each kernel that calls it.

    References to arrays are not counted, which took a third of the time of a draw: every array that is passed on cost
    two atomic operations. The caller holds the arrays. Numba refuses to compile such a function if it makes an array
    after all; one that returns an array it was given must not be of this kind, as its caller would give it up twice.
    Nor are arrays passed on the stack, seven words each, which took another third.
    """
    return _compiled(_Kernel, function, {"_nrt": False, "forceinline": True, **_CALLABLE})


def inlined(function: Function) -> Function:
    """Compile a function as `inner` does that only kernels call: without an entry for Python, a fifth of the work.

    Called from Python it raises TypeError; its plain Python is at ``.py_func``.
    """
    return _compiled(_Part, function, {"_nrt": False, "forceinline": True, **_NOT_CALLABLE})


def written_out(function: Function) -> Function:
    """Compile a function as `inlined` does, but improve it only where it stands in the code of its callers.

    That takes less time to compile. Which of the two gives the faster code is a matter of trial: settling a draw of
    Peterborough takes a tenth less time with this, and drawing its outcomes half as long again.
    """
    return _compiled(_WrittenOut, function, {"_nrt": False, "forceinline": True, **_NOT_CALLABLE})


def part(function: Function) -> Function:
    """Compile a function as `inlined` does, but once: for what is large and called from several places, or seldom."""
    return _compiled(_Part, function, {"_nrt": False, "forceinline": False, **_NOT_CALLABLE})


class _Kernel(CPUDispatcher):
    """A compiled function."""

    effort = config.OPT

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        cast(Any, self)._compiler._customize_flags = _Flags

    def compile(self, sig: Any) -> Any:
        """Compile with an effort of its own, whatever that of the function is that needs it."""
        before = config.OPT
        config.OPT = self.effort
        try:
            with _no_search_for_cycles():
                return super().compile(sig)
        finally:
            config.OPT = before


class _Part(_Kernel):
    """A compiled function that Python cannot call."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"{self.py_func.__name__} has machine code for other kernels only")


class _WrittenOut(_Part):
    """One that is not improved by itself."""

    effort = min(1, config.OPT)


class _Flags(Flags):
    """Options of a compilation that are compared at once.

    Numba looks up each operator of each line by types and options. It tells equal options by asking for all 22, one
    after another, which is a tenth of the time of a first run.
    """

    __slots__ = ()
    _hash = hash(cast(Any, Flags)())  # that of every set of options, as numba takes in their names only

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if type(other) is _Flags:
            return bool(self._values == other._values)
        return bool(cast(Any, Flags).__eq__(self, other))


@contextlib.contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Let Python not search for unreachable cycles: compilation makes millions of objects that are all in use."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# Each option is stated, or it is inherited from a caller that compiles it on the way. Nobody calls a kernel from C.
_CALLABLE = {"no_cpython_wrapper": False, "no_cfunc_wrapper": True}
_NOT_CALLABLE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def _compiled(dispatcher: type[Any], function: Function, options: dict[str, Any]) -> Function:
    _forget_old_kernels()
    options = {"nopython": True, "nogil": True, "error_model": "numpy", "boundscheck": None, **options}
    made = dispatcher(py_func=function, targetoptions=options)
    with _our_locators(), contextlib.suppress(RuntimeError):  # no folder is writable: compile in memory, every time
        made.enable_caching()
    return cast(Function, made)


def is_kept(function: Callable[..., Any]) -> bool:
    """Tell whether a kernel's machine code will be kept on disk, where another process can find it."""
    return not isinstance(getattr(function, "_cache", None), caching.NullCache)


def compile_for(function: Callable[..., Any], *given: Any) -> None:
    """Compile a kernel for arguments of the types of these, without calling it."""
    cast(Any, function).compile(tuple(cast(Any, typeof)(each) for each in given))


BESIDE = """
import os, pickle, sys, threading
given = pickle.load(sys.stdin.buffer)
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(1)), daemon=True).start()
"""
"""Begin a program of :func:`beside`. Its input ends when the process that started it does, however that ends."""


@contextlib.contextmanager
def beside(program: str, given: Any) -> Iterator[None]:
    """Run a Python program in a process of its own while the body runs; then wait until its output ends, and end it.

    For what two processors can compile at once: Numba compiles one function at a time in a process. Whether the program
    succeeds matters to nobody: what it did not compile is compiled when it is called. If the body fails it is ended.

    Parameters
    ----------
    program
        Its first lines are :data:`BESIDE`, which reads `given`, pickled, from its standard input, and ends the program
        where this process is killed.
    """
    try:
        text = pickle.dumps(given)
        child = subprocess.Popen(
            [sys.executable, "-c", BESIDE + program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except (OSError, pickle.PicklingError, AttributeError, TypeError):
        yield
        return
    pipe, output = cast(Any, child.stdin), cast(Any, child.stdout)
    try:
        with contextlib.suppress(OSError):
            pipe.write(text)
            pipe.flush()
        yield
        output.read()
    finally:
        child.kill()
        child.wait()
        output.close()
        with contextlib.suppress(OSError):
            pipe.close()


class _Told(event.Listener):
    """What numba calls when it begins to compile a function that is not on disk."""

    say: Callable[[], None] | None = None

    def on_start(self, event: Any) -> None:
        """Tell whoever wanted to know, once."""
        say, self.say = self.say, None
        if say is not None:
            say()

    def on_end(self, event: Any) -> None:
        """Do nothing."""


_told = _Told()
cast(Any, event).register("numba:compile", _told)


def tell_when_compiling(say: Callable[[], None]) -> None:
    """Call `say` when the next kernel is compiled that is not found on disk; never where all are found."""
    _told.say = say


def is_cached(function: Callable[..., Any]) -> bool:
    """Tell whether a kernel's machine code is in memory or on disk, so that its first call will not compile."""
    if getattr(function, "signatures", None):
        return True
    try:
        return bool(cast(Any, function)._cache._cache_file._load_index())
    except Exception:  # the cache's inside is not a public interface: not knowing is no error
        return False
