"""One journal file: written by one process, read by whoever stores its facts."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
from pathlib import Path

from .frames import FORMAT, HEAD, MAX_PAYLOAD, Found, frame, scan
from .held_write import held_write

_log = logging.getLogger("flask_engage")

SUFFIX = ".journal"
_UNBORN = ".new"
_CHUNK = 2 * (MAX_PAYLOAD + HEAD + 1)
"""Bytes read at once: each frame that begins in the first half is whole in it."""


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class JournalFile:
    """An open journal file whose lock this process holds.

    The lock belongs to the open file: it is gone when the last process that has it open is.
    """

    __slots__ = ("_handle", "_syncing", "dirty", "facts", "name", "path", "size", "stored")

    def __init__(self, path: Path, handle: int, size: int) -> None:
        self.path = path
        self.name = path.name
        self._handle = handle
        self.size = size
        """Bytes of accepted frames."""
        self.stored: int | None = None
        """Bytes known to be in the database; None: ask it."""
        self.facts = 0
        """Facts that this process appended."""
        self.dirty = False
        self._syncing = False

    @classmethod
    def create(cls, folder: Path, prefix: str, app: str) -> JournalFile:
        """Make a new file in `folder`, locked, with its first frame written.

        :raises OSError: if the folder can't be written to.
        """
        name = f"{prefix}{secrets.token_hex(8)}{SUFFIX}"
        unborn = folder / (name + _UNBORN)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        handle = os.open(unborn, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            head = frame(json.dumps({"engage": FORMAT, "app": app, "pid": os.getpid()}).encode())
            if os.write(handle, head) != len(head):
                raise OSError("no space for a journal")
            # Only now can others see it: a file without a lock is one whose owner is dead.
            unborn.rename(folder / name)
            sync_folder(folder)
        except OSError:
            os.close(handle)
            unborn.unlink(missing_ok=True)
            raise
        file = cls(folder / name, handle, len(head))
        file.stored = 0
        return file

    @classmethod
    def adopt(cls, path: Path) -> JournalFile | None:
        """Open and lock a file whose owner is dead; None if somebody has it.

        :raises OSError: if we may not open it.
        """
        try:
            handle = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            state = os.fstat(handle)
        except OSError:
            os.close(handle)
            return None
        if state.st_nlink == 0:
            # Stored and removed by another process between our two calls.
            os.close(handle)
            return None
        return cls(path, handle, state.st_size)

    def append(self, data: bytes) -> bool:
        """Write one frame; tell whether it is there as a whole. One writer at a time."""
        # A disk that is slow shows in its sync. While one lasts, whoever writes may have to wait,
        # and then the other threads must be able to go on.
        written = -1 if self._syncing else held_write(self._handle, data, len(data))
        if written < 0:
            try:
                written = os.write(self._handle, data)
            except OSError as error:
                _log.debug("flask_engage: %s", error)
                written = 0
        if written == len(data):
            self.size += written
            self.facts += 1
            self.dirty = True
            return True
        if written:
            self._take_back()
        return False

    def _take_back(self) -> None:
        """Let no half of a frame stay."""
        try:
            os.ftruncate(self._handle, self.size)
        except OSError as error:
            # Then it is damage that readers skip; the next frame lies behind it.
            _log.debug("flask_engage: %s", error)
            self.size = os.fstat(self._handle).st_size

    def read(self, position: int, limit: int) -> Found:
        """Return up to `limit` payloads from `position` on, up to what is accepted.

        What is no frame is kept aside in a file of its own and counted as read.
        """
        data = os.pread(self._handle, min(_CHUNK, self.size - position), position)
        found = scan(data, position, limit)
        for begin, end in found.damaged:
            self._keep_aside(begin, data[begin - position : end - position])
        if not found.payloads and found.rest:
            self._skip_rest(found, data[found.end - position :])
        if position == 0 and found.payloads:
            del found.payloads[0]  # the file's own head
        return found

    def _skip_rest(self, found: Found, rest: bytes) -> None:
        """Get past bytes in which no frame begins."""
        at_end = found.end + len(rest) >= self.size
        # At the end: whole lines were accepted once, half a line never was. Before it: a frame
        # may begin in the second half of what we have and end behind it.
        length = rest.rfind(b"\n") + 1 if at_end else _CHUNK // 2
        if length:
            self._keep_aside(found.end, rest[:length])
        if at_end:
            length = len(rest)
        found.end += length
        found.rest -= length

    def _keep_aside(self, begin: int, data: bytes) -> None:
        aside = self.path.with_name(f"{self.name}.{begin}.damaged")
        _log.error(
            "flask_engage: %d bytes of the journal are damaged; they are kept in %s.",
            len(data),
            aside,
        )
        # The offset is in the name: reading the same damage again changes nothing.
        aside.write_bytes(data)

    def sync(self) -> None:
        """Make what is written survive a power cut."""
        if self.dirty:
            self.dirty = False
            self._syncing = True
            try:
                os.fdatasync(self._handle)
            finally:
                self._syncing = False

    @property
    def is_lost(self) -> bool:
        """Somebody removed the file's name: a crash would take the facts along."""
        return os.fstat(self._handle).st_nlink == 0

    def remove(self) -> None:
        """Delete the file, all of which is stored, and let it go."""
        self.path.unlink(missing_ok=True)
        if self.path.parent.is_dir():
            sync_folder(self.path.parent)
        self.close()

    def close(self) -> None:
        """Let the file go; whoever wants may adopt it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
