"""Proof that a transaction went through, for facts that lie in no journal.

A connection that breaks at the commit doesn't say whether the database has committed. So each
such transaction also moves a number that only its writer moves, and whoever tries again sees
by it whether there is anything left to do.
"""

from __future__ import annotations

import os
import secrets
from datetime import datetime

from sqlalchemy.orm import Session

from ..store.journal_write import RECEIPT, forget_receipts, move_position


class Receipt:
    """One row of the journal's table. For one transaction at a time."""

    def __init__(self) -> None:
        self._name = f"{RECEIPT}{secrets.token_hex(8)}"
        self._position = 0

    def claim(self, session: Session, now: datetime) -> bool:
        """Move the number with the transaction of `session`; False if it has moved already."""
        if self._position == 0:
            forget_receipts(session, now)
        return move_position(session, self._name, self._position, self._position + 1, now)

    def used(self) -> None:
        """Take note that the transaction went through."""
        self._position += 1


class Receipts:
    """The receipts of one process that nobody uses at the moment; as many as it has threads."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._idle: list[Receipt] = []

    def take(self) -> Receipt:
        """Return a receipt that nobody else has, also not the process that we were forked from."""
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), []
        try:
            return self._idle.pop()
        except IndexError:
            return Receipt()

    def forget(self) -> None:
        """Let go of those that nobody uses: they are as old as one that the database forgot."""
        self._idle = []

    def give_back(self, receipt: Receipt) -> None:
        """Let it be used again, its transaction having gone through."""
        receipt.used()
        self._idle.append(receipt)
