"""How the host's attribute functions and queries are doing: one row for each, the newest run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Double, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, CodeText, JSONDoc, LongText, UTCDateTime

RETRY = timedelta(minutes=5)
"""A provider that was given up gets its next turn no later than this."""


class ProviderRow(Base):
    """The newest run of one provider, updated while it goes on."""

    __tablename__ = "engage_provider"

    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime())
    heard_at: Mapped[datetime] = mapped_column(UTCDateTime())
    """When the run last said how far it is: one that is silent for long has died."""
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """None while it runs."""
    succeeded_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When a run last came to its end without being given up."""
    seconds: Mapped[float] = mapped_column(Double, default=0.0)
    """How long it has taken (so far)."""
    done: Mapped[int] = mapped_column(default=0)
    """People for whom it was computed (so far)."""
    total: Mapped[int | None]
    """People to be done, where that is known beforehand."""
    changed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    """Users for whom it raised, took too long or gave nonsense; they keep the old value."""
    error: Mapped[str | None] = mapped_column(LongText())
    """The last error of this run, for people to read."""
    error_user_id: Mapped[str | None] = mapped_column(CodeText(255))
    """The host's id of the user for whom it happened."""
    attributes: Mapped[list[str] | None] = mapped_column(JSONDoc)
    """The names of the attributes that it gives, as of its newest run."""
    position: Mapped[str | None] = mapped_column(LongText())
    """Behind whom to go on, as JSON; None: with the first."""
    held_until: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """Until when a process at work counts as alive that says nothing; None: nobody works on it."""


def provider_rows(session: Session, names: Sequence[str] | None = None) -> dict[str, ProviderRow]:
    """Return the newest runs by provider, of `names` or of all that ever ran."""
    query = select(ProviderRow)
    if names is not None:
        query = query.where(ProviderRow.name.in_(names))
    return {row.name: row for row in session.scalars(query)}


def ended_well(row: ProviderRow) -> bool:
    """Tell whether the newest run came to its end."""
    return row.succeeded_at is not None and row.succeeded_at >= row.started_at


def next_due(row: ProviderRow, every: timedelta) -> datetime | None:
    """Return when a provider is computed again; None: it has not come to its end, go on at once."""
    if row.finished_at is None:
        return None
    return row.started_at + (every if ended_well(row) else min(every, RETRY))
