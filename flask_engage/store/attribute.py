"""Custom attributes: one row for each value, with where it came from and since when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, Index, and_, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, LongText, UTCDateTime
from .person import PersonRow, is_live


class AttributeRow(Base):
    """One attribute of one person: the truth, of which the person row keeps a copy."""

    __tablename__ = "engage_attribute"
    __table_args__ = (Index("ix_engage_attribute_kind", "name", "kind", "person_id"),)

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


def kinds_in_use(session: Session) -> dict[str, str]:
    """Return each attribute with the kinds of all of its values; looks at the whole table."""
    found: dict[str, str] = {}
    for name, kind in session.execute(select(AttributeRow.name, AttributeRow.kind).distinct()):
        found[name] = "".join(sorted({*found.get(name, ""), kind}))
    return found


def kinds_of_attribute(session: Session, name: str) -> list[str]:
    """Return the kinds of the values that people have of `name`, jumping from each to the next."""
    found: list[str] = []
    kind = AttributeRow.kind
    while True:
        following = select(func.min(kind)).where(AttributeRow.name == name)
        if found:
            following = following.where(kind > found[-1])
        next_ = session.scalar(following)
        if next_ is None:
            return found
        found.append(next_)


def unconfirmed_values(
    session: Session,
    names: Sequence[str],
    source: str,
    before: datetime,
    after: tuple[int, str],
    *,
    limit: int,
) -> list[tuple[int, str, str]]:
    """Return (person id, attribute, user id) of values that were last confirmed before `before`.

    Only those from `source` and of people who live, in order, behind (person id, attribute).
    """
    person_id, name = after
    rows = session.execute(
        select(AttributeRow.person_id, AttributeRow.name, PersonRow.user_id)
        .join(PersonRow, PersonRow.id == AttributeRow.person_id)
        .where(
            AttributeRow.name.in_(names),
            AttributeRow.source == source,
            AttributeRow.computed_at < before,
            PersonRow.user_id.is_not(None),
            is_live(),
            or_(
                AttributeRow.person_id > person_id,
                and_(AttributeRow.person_id == person_id, AttributeRow.name > name),
            ),
        )
        .order_by(AttributeRow.person_id, AttributeRow.name)
        .limit(limit)
    )
    return [(found, label, str(user_id)) for found, label, user_id in rows]
