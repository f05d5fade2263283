"""What lies in the journal's folder: what waits, since when, and what is of no use to anybody."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from .facts import decode
from .frames import HEAD, MAX_PAYLOAD, scan
from .journal import Journal, is_writable
from .journal_file import SUFFIX

_SAMPLE_BYTES = 2 * (MAX_PAYLOAD + HEAD)
"""So much of each file is read; how many facts are in the rest is concluded from that."""
_ANY = 1_000_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a journal file is stored, as the database says."""

    position: int
    """Bytes from its beginning; below 0 if it is done with."""
    moved_at: datetime | None = None
    """When that was last written."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a journal's folder holds, of all processes on this machine."""

    files: int
    """Journal files of this app."""
    bytes: int
    """What waits to be stored."""
    facts: int
    """How many facts that is; of large files an estimate."""
    oldest_at: datetime | None
    """Since when the oldest of them waits; None if none does."""
    damaged: tuple[str, ...]
    """Files with what was damaged and is kept aside."""
    unreadable: tuple[str, ...]
    """Journal files that we may not open, each with its owner."""
    others: tuple[str, ...]
    """Journal files of another app, or in another version's format."""
    used_bytes: int
    """What all files of the folder take, of ``ENGAGE_JOURNAL_MAX_BYTES``."""
    is_writable: bool
    """Whether this process may write there."""
    free_bytes: int | None
    """What is left on the disk; None if there is no folder yet."""

    def lag_seconds(self, now: datetime) -> float:
        """Return for how long the oldest fact has been waiting."""
        return 0.0 if self.oldest_at is None else max(0.0, (now - self.oldest_at).total_seconds())


@dataclass(frozen=True, slots=True)
class _Waiting:
    bytes: int = 0
    facts: int = 0
    oldest_at: datetime | None = None


def look(journal: Journal, cursors: Mapping[str, Cursor]) -> Backlog:
    """Look at the folder of `journal`; `cursors` say how far its files are stored.

    A file without a cursor is taken for one of which nothing is stored yet.
    """
    folder = journal.folder
    waiting: list[_Waiting] = []
    damaged, unreadable, others, used = [], [], [], 0
    for name in _names(folder):
        path = folder / name
        try:
            size = path.stat().st_size
            used += size
            if name.endswith(".damaged"):
                damaged.append(name)
            elif name.endswith(SUFFIX) and not journal.is_ours(name):
                others.append(name)
            elif name.endswith(SUFFIX):
                waiting.append(_waiting(path, size, cursors.get(name, Cursor(0))))
        except FileNotFoundError:
            continue  # stored and removed in this very moment
        except OSError:
            unreadable.append(f"{name} (of {_owner(path)})")
    return Backlog(
        files=len(waiting) + len(unreadable),
        bytes=sum(some.bytes for some in waiting),
        facts=sum(some.facts for some in waiting),
        oldest_at=min((some.oldest_at for some in waiting if some.oldest_at), default=None),
        damaged=tuple(damaged),
        unreadable=tuple(unreadable),
        others=tuple(others),
        used_bytes=used,
        is_writable=is_writable(folder),
        free_bytes=shutil.disk_usage(folder).free if os.access(folder, os.X_OK) else None,
    )


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if SUFFIX in entry.name)
    except OSError:
        return []  # there is none yet, or it is not for us to see, which is_writable tells


def _owner(path: Path) -> str:
    try:
        number = path.stat().st_uid
        return pwd.getpwuid(number).pw_name
    except OSError:
        return "somebody else"
    except KeyError:
        return f"user {number}"


def _waiting(path: Path, size: int, cursor: Cursor) -> _Waiting:
    if cursor.position < 0 or cursor.position >= size:
        return _Waiting()
    with path.open("rb") as file:
        file.seek(cursor.position)
        found = scan(file.read(_SAMPLE_BYTES), cursor.position, _ANY)
    payloads = [payload for payload, _ in found.payloads]
    if cursor.position == 0:
        payloads = payloads[1:]  # the file's own head
    if not payloads:
        return _Waiting()
    left = size - cursor.position
    facts = round(len(payloads) * left / (found.end - cursor.position))
    return _Waiting(left, facts, _since(payloads[0], cursor))


def _since(payload: bytes, cursor: Cursor) -> datetime | None:
    """Return since when a fact waits: since it happened, or since all before it was stored."""
    try:
        at = decode(payload).at.astimezone(UTC)
    except msgspec.MsgspecError:
        return cursor.moved_at
    return max(at, cursor.moved_at) if cursor.moved_at else at
