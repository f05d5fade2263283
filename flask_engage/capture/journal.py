"""The journal of one process: its own file, and the files that dead processes left behind."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from .frames import FORMAT, FRAME
from .journal_file import SUFFIX, JournalFile

_log = logging.getLogger("flask_engage")

ROTATE_BYTES = 1024 * 1024
"""A file that is stored and larger than this is replaced, so that stored facts don't pile up."""
ROTATE_SECONDS = 900.0
"""And one that is older, so that what was said of people doesn't lie on the disk for long."""
LARGE_BYTES = 64 * 1024 * 1024
"""A file that can't be stored now is replaced at this size, to be removed piece by piece."""
_LOOK_BYTES = 256 * 1024
"""The sizes of the other files are looked up each time that ours has grown by this much."""


def is_writable(base: Path) -> bool:
    """Tell whether a journal can be kept in `base`; makes nothing."""
    # Not Path.exists(), which raises where we may not even look.
    existing = next((p for p in (base, *base.parents) if os.path.exists(p)), base)  # noqa: PTH110
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def warn_if_unwritable(base: Path) -> None:
    """Say at start-up that no journal can be made in `base`; makes nothing."""
    if not is_writable(base):
        _log.warning(
            "flask_engage: the journal's folder %s can't be written to, so nothing will be "
            "recorded. Choose another with ENGAGE_JOURNAL_DIR, or set ENGAGE_CAPTURE_MODE "
            "to 'sync'.",
            base,
        )


class Journal:
    """Takes payloads in and gives the files to be stored. Safe to use from several threads.

    Nothing is opened before the first payload; after a fork the child has files of its own.
    """

    def __init__(self, folder: Path, app: str, max_bytes: int) -> None:
        self.folder = folder
        self._app = app
        self._prefix = f"{FORMAT}-{hashlib.sha256(app.encode()).hexdigest()[:8]}-"
        self._max_bytes = max_bytes
        self._rotate_bytes = min(ROTATE_BYTES, max_bytes // 4)
        self._lock = threading.Lock()
        self._file: JournalFile | None = None
        self._opened = 0.0
        self._retired: list[JournalFile] = []
        self._adopted: JournalFile | None = None
        """The dead process's file that is being stored at the moment."""
        self._others = 0
        self._limit = 0
        """Up to this size of ours nothing has to be looked up."""
        self._warned = False
        self._foreign: set[str] = set()
        """Files that we can't open; each is warned of once."""
        self.pid = os.getpid()
        """The process whose files these are."""

    def append(self, payload: bytes) -> bool:
        """Write `payload` to the disk; tell whether it is accepted."""
        if os.getpid() != self.pid:
            self.after_fork()
        # As frame() does: one call less for each request.
        data = FRAME % (len(payload), crc32(payload), payload)
        with self._lock:
            file = self._file or self._open()
            if file is None:
                return False
            if file.size + len(data) > self._limit and not self._has_room(file, len(data)):
                return self._refuse(f"it holds {self._max_bytes} bytes that are not stored")
            if file.append(data):
                self._warned = False
                return True
            return self._refuse("its disk is full or failing")

    def _has_room(self, file: JournalFile, more: int) -> bool:
        """Tell whether all files together may grow by `more`; looks how large they are."""
        self._look(file)
        return self._others + file.size + more <= self._max_bytes

    def _open(self) -> JournalFile | None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = JournalFile.create(self.folder, self._prefix, self._app)
        except OSError as error:
            self._refuse(f"{error.strerror or error}; choose a folder with ENGAGE_JOURNAL_DIR")
            return None
        self._opened = time.monotonic()
        self._look(self._file)
        return self._file

    def _refuse(self, reason: str) -> bool:
        if not self._warned:
            self._warned = True
            _log.error(
                "flask_engage: the journal in %s takes nothing more: %s. "
                "What is tracked until then is refused.",
                self.folder,
                reason,
            )
        return False

    def _look(self, file: JournalFile) -> None:
        """Add up the sizes of all files of the folder but `file`."""
        total = 0
        for entry in os.scandir(self.folder):
            if entry.name != file.name and SUFFIX in entry.name:
                try:
                    total += entry.stat().st_size
                except FileNotFoundError:
                    continue  # stored and removed in this very moment
        self._others = total
        self._limit = min(file.size + _LOOK_BYTES, self._max_bytes - total)

    def own(self) -> list[JournalFile]:
        """Return this process's files, oldest first."""
        if os.getpid() != self.pid:
            self.after_fork()
        with self._lock:
            return self._retired + ([self._file] if self._file else [])

    def orphans(self) -> Iterator[JournalFile]:
        """Give the files whose processes are dead, locked, one at a time."""
        mine = {file.name for file in self.own()}
        try:
            names = sorted(path.name for path in self.folder.iterdir())
        except FileNotFoundError:
            return
        for name in names:
            if name in mine or not self.is_ours(name):
                continue
            file = self._adopted = self._adopt(name)
            if file is not None:
                try:
                    yield file
                finally:
                    self._adopted = None
                    file.close()

    def is_ours(self, name: str) -> bool:
        """Tell whether a file of this name is one of this app's, in the format we know."""
        return name.startswith(self._prefix) and name.endswith(SUFFIX)

    def _adopt(self, name: str) -> JournalFile | None:
        try:
            return JournalFile.adopt(self.folder / name)
        except OSError as error:
            if name not in self._foreign:
                self._foreign.add(name)
                _log.warning(
                    "flask_engage: %s can't be opened, so what is in it is not stored: %s. "
                    "It is probably another system user's.",
                    self.folder / name,
                    error.strerror or error,
                )
            return None

    def sync(self) -> None:
        """Make what is written survive a power cut; leave a file that somebody removed."""
        for file in self.own():
            file.sync()
            if file is self._file and file.is_lost:
                with self._lock:
                    self._retire()

    def rotate(self, *, at_once: bool = False) -> list[JournalFile]:
        """Leave the current file if it is time to; return the files that are stored and done.

        :param at_once: leave it if it is stored, whatever its size and age.
        """
        with self._lock:
            file = self._file
            if file is not None:
                stored = file.stored == file.size
                due = (
                    at_once
                    or file.size >= self._rotate_bytes
                    or time.monotonic() - self._opened >= ROTATE_SECONDS
                )
                if (stored and due) or file.size >= LARGE_BYTES:
                    self._retire()
            done = [file for file in self._retired if file.stored == file.size]
            self._retired = [file for file in self._retired if file not in done]
            return done

    def _retire(self) -> None:
        if self._file is not None:
            self._retired.append(self._file)
            self._file = None

    def after_fork(self) -> None:
        """Let go of the parent's files: a copy in the child would keep them locked."""
        self._lock = threading.Lock()
        self.pid = os.getpid()
        inherited = [*self._retired, self._file, self._adopted]
        self._file, self._adopted, self._retired = None, None, []
        for file in inherited:
            if file is not None:
                file.close()

    def close(self) -> None:
        """Let go of all files; what isn't stored is adopted by the next process."""
        with self._lock:
            self._retire()
            for file in self._retired:
                file.close()
            self._retired = []

    def backlog_bytes(self) -> int:
        """Return how much lies in the folder that may not be stored yet, of all processes."""
        stored = {file.name: file.stored or 0 for file in self.own()}
        total = 0
        for path in self.folder.glob(f"*{SUFFIX}"):
            try:
                total += path.stat().st_size - stored.get(path.name, 0)
            except FileNotFoundError:
                continue
        return total

    def files(self) -> list[str]:
        """Return the names of all journal files of the folder, whoever's they are."""
        return sorted(path.name for path in self.folder.glob(f"*{SUFFIX}"))
