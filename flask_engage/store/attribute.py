"""Custom attributes: one row for each value, with where it came from and since when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Double, ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, LongText, UTCDateTime


class AttributeRow(Base):
    """One attribute of one person: the truth, of which the person row keeps a copy."""

    __tablename__ = "engage_attribute"
    __table_args__ = (Index("ix_engage_attribute_name", "name", "person_id"),)

    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_attribute_person", ondelete="CASCADE"),
        primary_key=True,
    )
    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    kind: Mapped[str] = mapped_column(CodeText(1))
    """``s`` text, ``n`` number, ``b`` boolean, ``t`` time."""
    value: Mapped[str] = mapped_column(LongText())
    """As JSON, so that numbers and booleans come back as they went in."""
    source: Mapped[str] = mapped_column(CodeText(64))
    """``manual``, ``provider:<name>``, ``page``, ``api`` or ``enrichment:<name>``."""
    computed_at: Mapped[datetime] = mapped_column(UTCDateTime())
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime())


class RelationshipRow(Base):
    """The heart: how close one person is to the host's product."""

    __tablename__ = "engage_relationship"
    __table_args__ = (Index("ix_engage_relationship_score", "score", "person_id"),)

    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_relationship_person", ondelete="CASCADE"),
        primary_key=True,
    )
    score: Mapped[float] = mapped_column(Double)
    """0 to 100."""
    hearts: Mapped[int | None]
    """0 to 5; none while the person is too new to tell."""
    trend: Mapped[int] = mapped_column(default=0)
    """-1 falling, 0 level, 1 rising."""
    recency: Mapped[float] = mapped_column(Double, default=0.0)
    frequency: Mapped[float] = mapped_column(Double, default=0.0)
    depth: Mapped[float] = mapped_column(Double, default=0.0)
    reply: Mapped[float] = mapped_column(Double, default=0.0)
    computed_at: Mapped[datetime] = mapped_column(UTCDateTime())


def unconfirmed_values(
    session: Session, names: Sequence[str], source: str, before: datetime, *, limit: int
) -> dict[int, dict[str, None]]:
    """Return values from `source` that were last confirmed before `before`, by person id, as None.

    In the form that :func:`.attribute_write.write_attributes` takes, to remove them.
    """
    found: dict[int, dict[str, None]] = defaultdict(dict)
    query = select(AttributeRow.person_id, AttributeRow.name).where(
        AttributeRow.name.in_(names),
        AttributeRow.source == source,
        AttributeRow.computed_at < before,
    )
    for person_id, name in session.execute(query.limit(limit)):
        found[person_id][name] = None
    return found


def provider_sources(session: Session, name: str) -> list[str]:
    """Return the names of the providers that any value of the attribute `name` is from."""
    found = session.scalars(
        select(AttributeRow.source)
        .where(AttributeRow.name == name, AttributeRow.source.startswith("provider:"))
        .distinct()
    )
    return [source.removeprefix("provider:") for source in found]
