"""What holds for the whole installation, such as the zone in which days are cut."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..errors import NotReady
from .base import Base, CodeText, LongText
from .upsert import insert_ignore

_TIMEZONE = "timezone"
_FORMER = "timezone before"
UNSETTLED = "being changed"
"""Stands in the zone's place while days are cut anew."""


class MetaRow(Base):
    """One fact about this installation."""

    __tablename__ = "engage_meta"

    key: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    value: Mapped[str] = mapped_column(LongText())


def timezone_of(session: Session) -> str | None:
    """Return the zone in which this installation cuts its days; None before the first use."""
    return session.scalar(select(MetaRow.value).where(MetaRow.key == _TIMEZONE))


def zone_problem(kept: str | None, timezone: str) -> str | None:
    """Return what to do if the days that are `kept` are cut in another zone than `timezone`."""
    if kept in (None, timezone):
        return None
    held = "another zone" if kept == UNSETTLED else repr(kept)
    return (
        f"ENGAGE_TIMEZONE is {timezone!r}, but the days in the database are cut in {held}; run "
        "'flask engage rebuild-activity' to cut them anew, or set it back."
    )


def keep_timezone(session: Session, timezone: str) -> str:
    """Keep `timezone` for good unless one is kept already; return the one that is."""
    insert_ignore(
        session, cast("Table", MetaRow.__table__), [{"key": _TIMEZONE, "value": timezone}]
    )
    return timezone_of(session) or timezone


def require_cut_in(session: Session, timezone: str) -> None:
    """See to it that days are cut in `timezone` as long as this transaction lasts.

    Whoever changes the zone waits for it to end. To be called before anything is locked.

    :raises NotReady: if they are cut in another zone.
    """
    kept = session.connection().execute(
        select(MetaRow.value).where(MetaRow.key == _TIMEZONE).with_for_update(read=True)
    )
    if kept.scalar() not in (None, timezone):
        raise NotReady("The days are being cut in another zone than ENGAGE_TIMEZONE.")


def begin_recut(session: Session, timezone: str) -> str | None:
    """Let nobody cut days any more, if those that are cut are in another zone than `timezone`.

    Return that other zone, or None. A change that was cut off goes on from the zone it began in.
    """
    kept = timezone_of(session)
    if kept is None or kept == timezone:
        return None
    if kept == UNSETTLED:
        return session.scalar(select(MetaRow.value).where(MetaRow.key == _FORMER))
    insert_ignore(session, cast("Table", MetaRow.__table__), [{"key": _FORMER, "value": kept}])
    session.execute(update(MetaRow).where(MetaRow.key == _FORMER).values(value=kept))
    session.execute(update(MetaRow).where(MetaRow.key == _TIMEZONE).values(value=UNSETTLED))
    return kept


def end_recut(session: Session, timezone: str) -> None:
    """Note that all days are cut in `timezone`."""
    keep_timezone(session, timezone)
    session.execute(update(MetaRow).where(MetaRow.key == _TIMEZONE).values(value=timezone))
    session.execute(delete(MetaRow).where(MetaRow.key == _FORMER))
