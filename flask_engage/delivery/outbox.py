"""The transport that keeps mail in the house: development, demo, tests."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast

from sqlalchemy import Table
from sqlalchemy.orm import Session

from ..store.delivery import OutboxRow
from ..store.upsert import insert_ignore
from .transport import Mail


class OutboxTransport:
    """Writes each mail into ``engage_outbox``, in the transaction that marks it as sent."""

    name: Final = "outbox"
    remote: Final = False

    def resting(self, now: datetime) -> bool:
        """It never rests."""
        del now
        return False

    def prepare(self, mail: Mail) -> None:
        """Nothing can refuse it."""

    def abandon(self) -> None:
        """Nothing was begun."""

    def transmit(self, mail: Mail) -> None:
        """Nothing leaves."""

    def record(self, session: Session, mail: Mail, now: datetime) -> None:
        """Keep the mail."""
        row = {
            "message_id": mail.message_id,
            "recipient": mail.recipient,
            "subject": mail.subject,
            "source": mail.content.decode("ascii", "replace"),
            "created_at": now,
        }
        insert_ignore(session, cast("Table", OutboxRow.__table__), [row])

    def close(self, now: datetime, *, failed: bool) -> None:
        """Nothing is open."""
