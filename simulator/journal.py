"""An append-only file of records that survives being cut off at any byte.

Each record stands behind its length and a checksum and is on disk before the next begins. A record that is cut short or
damaged is the last one that was under way: it is dropped when the file is opened again, and so is whatever follows it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEAD = struct.Struct("<4sIQ")
_MAGIC = b"SIBR"


class BusyError(OSError):
    """Another process writes to the journal."""


class Journal:
    """A journal that is open for writing, by one process at a time.

    Parameters
    ----------
    path
        The file; made if it does not exist.

    Raises
    ------
    BusyError
        If another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(self._file)
            self.offsets = [offset for offset, _ in _records(self._file)]
            self._end = self.offsets[-1] + _length(self._file, self.offsets[-1]) if self.offsets else 0
            if os.fstat(self._file).st_size > self._end:
                os.ftruncate(self._file, self._end)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, payload: bytes) -> int:
        """Write a record and wait until it is on disk; return its place. Raises OSError if the disk is full."""
        place = self._end
        data = _HEAD.pack(_MAGIC, zlib.crc32(payload), len(payload)) + payload
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file, data[written:], place + written)
            os.fsync(self._file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, place)
            raise
        self._end += len(data)
        self.offsets.append(place)
        return place

    def read(self, place: int) -> bytes:
        """Return the record at a place."""
        return os.pread(self._file, _length(self._file, place) - _HEAD.size, place + _HEAD.size)

    def close(self) -> None:
        """Close the file and let others have it."""
        os.close(self._file)


def _lock(file: int) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise BusyError(error.errno, "another process writes to it") from None


def _length(file: int, place: int) -> int:
    """Bytes of the record at a place, its head included."""
    _, _, length = _HEAD.unpack(os.pread(file, _HEAD.size, place))
    return _HEAD.size + int(length)


def _records(file: int) -> Iterator[tuple[int, int]]:
    """Yield place and length of every whole record from the start."""
    size = os.fstat(file).st_size
    if size == 0:
        return
    place = 0
    with mmap.mmap(file, size, access=mmap.ACCESS_READ) as data:
        while place + _HEAD.size <= size:
            magic, checksum, length = _HEAD.unpack_from(data, place)
            end = place + _HEAD.size + length
            if magic != _MAGIC or end > size:
                return
            with memoryview(data) as view, view[place + _HEAD.size : end] as payload:
                if zlib.crc32(payload) != checksum:
                    return
            yield place, length
            place = end


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut."""
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names of a folder are on disk."""
    if os.name != "posix":
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
