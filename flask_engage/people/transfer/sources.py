"""Where the bytes of a file come from: the disk, a request, or our own tables."""

from __future__ import annotations

import io
from typing import BinaryIO, Literal, Protocol

from ...store.engine import Database
from ...store.upload import PART_BYTES, part_of


class Source(Protocol):
    """A file that can be read from its beginning as often as is needed; a ``Path`` is one."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Return it, to be read once."""


class Sent:
    """A file that came with a request, and goes with it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def open(self, _mode: Literal["rb"], /) -> BinaryIO:
        """Return it from its beginning on."""
        self._stream.seek(0)
        return io.BufferedReader(_Lent(self._stream), PART_BYTES)


class Stored:
    """A file in our tables, of which one part is in memory at a time."""

    def __init__(self, database: Database, import_id: int) -> None:
        self._database, self._import_id = database, import_id

    def open(self, _mode: Literal["rb"], /) -> BinaryIO:
        """Return it from its beginning on."""
        return io.BufferedReader(_Parts(self._database, self._import_id), PART_BYTES)


class _Lent(io.RawIOBase):
    """Somebody else's stream, which stays open when this is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


class _Parts(io.RawIOBase):
    """The parts of a stored file, one after the other."""

    def __init__(self, database: Database, import_id: int) -> None:
        super().__init__()
        self._database, self._import_id = database, import_id
        self._number = 0
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if not self._left:
            with self._database.read() as session:
                self._left = memoryview(part_of(session, self._import_id, self._number))
            self._number += 1
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count
