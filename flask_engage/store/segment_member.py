"""Who is in which segment, who came and went, and how many there were each day.

A tag is a group, too, one that operators keep by hand: who is in it stands in its own table, and
whom it was taken off stands here, beside those who left a segment.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import ColumnElement, Date, ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, LongText, UTCDateTime
from .person import PersonRow

TAG = "tag:"
"""What the key of a tag begins with."""


class SegmentWatchRow(Base):
    """A segment that is measured again and again, and how far its measurement is.

    Or a tag that was taken off somebody: it is never measured, only its changes are told.
    """

    __tablename__ = "engage_segment_watch"
    __table_args__ = (UniqueConstraint("key", name="uq_engage_segment_watch_key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(CodeText(160))
    """``code:Active``, or ``saved:7``: a saved one keeps its history when it is renamed. Or
    ``tag:beta``."""
    name: Mapped[str] = mapped_column(CodeText(128))
    run_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """The moment that the last measurement, or the one under way, is for."""
    position: Mapped[int | None] = mapped_column(BigId)
    """Everybody up to this id has been compared; None: no measurement is under way."""
    based_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When the first measurement came to its end; changes are told from then on."""
    error: Mapped[str | None] = mapped_column(LongText())


class SegmentMemberRow(Base):
    """Somebody who was in the segment when it was last measured."""

    __tablename__ = "engage_segment_member"
    __table_args__ = (Index("ix_engage_segment_member_person", "person_id"),)

    segment_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_segment_member_person", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    entered_at: Mapped[datetime] = mapped_column(UTCDateTime())


class SegmentChangeRow(Base):
    """Somebody entered a segment, or left it; or had a tag from one moment to another."""

    __tablename__ = "engage_segment_change"
    __table_args__ = (
        Index("ix_engage_segment_change_segment", "segment_id", "person_id", "at"),
        Index("ix_engage_segment_change_person", "person_id", "at"),
        Index("ix_engage_segment_change_at", "at"),
        Index("ix_engage_segment_change_said", "said", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    segment_id: Mapped[int] = mapped_column(BigId)
    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_segment_change_person", ondelete="CASCADE"),
    )
    entered: Mapped[bool]
    at: Mapped[datetime] = mapped_column(UTCDateTime())
    said: Mapped[bool]
    """Whether it was handed to those who listen for the signal, or nobody listened."""


class SegmentDayRow(Base):
    """How many people a segment had at the last measurement of a day."""

    __tablename__ = "engage_segment_day"

    segment_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    people: Mapped[int] = mapped_column(BigId)


def is_of_tag() -> ColumnElement[bool]:
    """Return the condition that a group is a tag."""
    return SegmentWatchRow.key.startswith(TAG, autoescape=True)


def first_person_at(session: Session) -> datetime | None:
    """Return since when there are people; None if there are none."""
    return session.scalar(select(PersonRow.created_at).order_by(PersonRow.id).limit(1))
