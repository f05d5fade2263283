"""A buffer in memory in the journal's place: for databases that die with the process, too."""

from __future__ import annotations

import os
import secrets
import threading
from collections import deque
from itertools import islice

from .frames import Found

MAX_FACTS = 100_000
"""Beyond this nothing is accepted: the buffer lives in the host's memory."""


class MemoryBuffer:
    """Takes payloads in and gives them to be stored, each under its ordinal number."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self.pid = os.getpid()
        """The process whose facts these are."""
        self._payloads: deque[bytes] = deque()
        self._bytes = 0
        self.name = f"memory-{secrets.token_hex(8)}"
        self.stored: int | None = 0
        self._first = 0
        """Ordinal of the first payload in the buffer."""

    def append(self, payload: bytes) -> bool:
        """Keep `payload`; tell whether there was room."""
        if os.getpid() != self.pid:
            self.after_fork()
        with self._lock:
            if len(self._payloads) >= MAX_FACTS or self._bytes + len(payload) > self._max_bytes:
                return False
            self._payloads.append(payload)
            self._bytes += len(payload)
            return True

    def read(self, position: int, limit: int) -> Found:
        """Return up to `limit` payloads from number `position` on; forget those before it."""
        with self._lock:
            while self._first < position and self._payloads:
                self._bytes -= len(self._payloads.popleft())
                self._first += 1
            some = list(islice(self._payloads, limit))
        return Found(
            payloads=[(payload, position + 1 + n) for n, payload in enumerate(some)],
            end=position + len(some),
        )

    @property
    def size(self) -> int:
        """Number of payloads taken in since the beginning."""
        return self._first + len(self._payloads)

    def backlog_bytes(self) -> int:
        """Return how much is waiting."""
        return self._bytes

    def after_fork(self) -> None:
        """Leave the parent's facts to the parent."""
        self._begin_anew()
