"""A ledger of what was accepted, to be held against what the database has in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select

from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow, EventSummaryRow, EventTotalRow

Entry = tuple[str, int]
"""Who said it, and which of theirs: an event has both in its properties, ``by`` and ``n``."""


@dataclass
class Books:
    """The ledger and the database side by side."""

    accepted: int
    stored: int
    lost: list[Entry]
    doubled: list[Entry]
    unasked: list[Entry]
    """Stored, though nobody was told so: who was to be told, or who told it, died."""

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, stored {self.stored}, lost {len(self.lost)} "
            f"{self.lost[:5]}, doubled {len(self.doubled)} {self.doubled[:5]}, "
            f"stored without an answer {len(self.unasked)}"
        )


@dataclass
class Ledger:
    """Which facts were accepted."""

    accepted: set[Entry] = field(default_factory=set)

    def add(self, by: str, numbers: Iterable[int]) -> None:
        """Note that these were accepted."""
        self.accepted.update((by, n) for n in numbers)

    def books(self, database: Database) -> Books:
        """Hold the ledger against the stored events; their sums must agree in any case."""
        with database.read() as session:
            rows = session.scalars(select(EventRow.properties)).all()
            summed = session.scalar(select(func.sum(EventSummaryRow.count)))
            totalled = session.scalar(select(func.sum(EventTotalRow.count)))
        found = Counter((str(row["by"]), int(row["n"])) for row in rows)
        assert int(summed or 0) == found.total(), "the summaries don't add up to the events"
        assert int(totalled or 0) == found.total(), "the totals don't add up to the events"
        return Books(
            accepted=len(self.accepted),
            stored=found.total(),
            lost=sorted(self.accepted - found.keys()),
            doubled=sorted(entry for entry, count in found.items() if count > 1),
            unasked=sorted(found.keys() - self.accepted),
        )

    def check(self, database: Database, in_flight: int = 0) -> Books:
        """Fail if something is lost or doubled, or more than `in_flight` came unasked."""
        books = self.books(database)
        assert not books.lost, str(books)
        assert not books.doubled, str(books)
        assert len(books.unasked) <= in_flight, str(books)
        return books
