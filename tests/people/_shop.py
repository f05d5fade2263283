"""A host with years of orders, and what must come of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_engage.capture.apply import Rules
from flask_engage.people.backfill import BackfillReport, backfill
from flask_engage.people.history import History
from flask_engage.people.host_query import derived
from flask_engage.store.engine import Database, engine_for_reading
from flask_engage.store.event import EventSummaryRow, EventTotalRow
from flask_engage.store.person import PersonRow

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
RULES = Rules(timedelta(minutes=30), timedelta(hours=24), ZoneInfo("America/Sao_Paulo"))


class Base(DeclarativeBase):
    pass


class Purchase(Base):
    """An order of the host's; its table has no index on the time."""

    __tablename__ = "purchase"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None]
    at: Mapped[datetime | None] = mapped_column(
        sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    )
    amount: Mapped[int | None]
    day: Mapped[date | None]


def orders() -> sa.Select[Any]:
    return sa.select(Purchase.user_id, Purchase.at, sa.literal("ordered"), Purchase.amount)


@contextmanager
def shop(url: str) -> Iterator[sa.Engine]:
    """Make the host's table at `url`."""
    engine = sa.create_engine(url)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def sell(host: sa.Engine, rows: Iterable[tuple[int | None, datetime | None, int | None]]) -> None:
    """Put (user id, aware time, amount) into the host's table, which keeps times without zones."""
    with host.begin() as connection:
        connection.execute(
            sa.insert(Purchase),
            [
                {
                    "user_id": user_id,
                    "at": at and at.astimezone(UTC).replace(tzinfo=None),
                    "amount": amount,
                    "day": at and at.date(),
                }
                for user_id, at, amount in rows
            ],
        )


def bring_in(
    database: Database, host: sa.Engine, query: Any = None, *, page: int = 20_000, **more: Any
) -> BackfillReport:
    """Do a backfill as the extension does it."""
    history = History(
        engine_for_reading(host, database),
        derived(orders() if query is None else query, "backfill()", 3),
        page,
    )
    return backfill(database, history, "orders", RULES, lambda: NOW, **more)


def summed_up(rows: Iterable[tuple[int, datetime]]) -> tuple[dict[Any, Any], dict[Any, int]]:
    """Return what must be in the summaries and totals of orders, told the plain way."""
    moments: dict[str, list[datetime]] = defaultdict(list)
    for user_id, at in rows:
        moments[str(user_id)].append(at)
    summaries = {user: (len(some), min(some), max(some)) for user, some in moments.items()}
    days = Counter(at.astimezone(RULES.zone).date() for some in moments.values() for at in some)
    return summaries, dict(days)


def kept(database: Database) -> tuple[dict[Any, Any], dict[Any, int]]:
    """Return what is in the summaries and totals of orders."""
    with database.read() as session:
        summaries = session.execute(
            sa.select(
                PersonRow.user_id,
                EventSummaryRow.count,
                EventSummaryRow.first_at,
                EventSummaryRow.last_at,
            ).join(PersonRow, PersonRow.id == EventSummaryRow.person_id)
        )
        found = {user_id: (count, first, last) for user_id, count, first, last in summaries}
        days = session.execute(sa.select(EventTotalRow.day, EventTotalRow.count))
        return found, {row[0]: row[1] for row in days}
