"""The heart: how close each person is to the host's product, in parts, and what it is made of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Double, ForeignKey, Index, Table, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, UTCDateTime
from .meta import MetaRow
from .upsert import insert_ignore

_NORMS = "relationship"


class RelationshipRow(Base):
    """The heart of one person: the points of each part, and what they were counted from."""

    __tablename__ = "engage_relationship"
    __table_args__ = (
        Index("ix_engage_relationship_score", "score", "person_id"),
        Index("ix_engage_relationship_hearts", "hearts", "person_id"),
    )

    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_relationship_person", ondelete="CASCADE"),
        primary_key=True,
    )
    score: Mapped[float] = mapped_column(Double)
    """0 to 100, in hundredths."""
    hearts: Mapped[int | None]
    """0 to 5; none while the person is too new to tell."""
    trend: Mapped[int] = mapped_column(default=0)
    """-1 falling, 0 level, 1 rising."""
    recency: Mapped[float] = mapped_column(Double, default=0.0)
    """0 to 35 points for having been here lately, as these do."""
    frequency: Mapped[float] = mapped_column(Double, default=0.0)
    """0 to 30 points for coming on many days."""
    depth: Mapped[float] = mapped_column(Double, default=0.0)
    """0 to 15 points for doing much."""
    reply: Mapped[float] = mapped_column(Double, default=0.0)
    """0 to 20 points for answering what is sent to them."""
    computed_at: Mapped[datetime] = mapped_column(UTCDateTime())
    """When anything of this was last found to be another than before."""

    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    half_life: Mapped[float] = mapped_column(Double, default=7.0, server_default="7")
    """Days after which half of the points for recency are gone."""
    l28: Mapped[int] = mapped_column(default=0, server_default="0")
    """Days with activity, of the last 28."""
    l14: Mapped[int] = mapped_column(default=0, server_default="0")
    """Those of them in the last 14."""
    e28: Mapped[int] = mapped_column(default=0, server_default="0")
    """Core events in the last 28 days."""
    delivered: Mapped[int] = mapped_column(default=0, server_default="0")
    """Messages that reached the person; of those follow how many were clicked, and replied to."""
    clicks: Mapped[int] = mapped_column(default=0, server_default="0")
    replies: Mapped[int] = mapped_column(default=0, server_default="0")
    dismissals: Mapped[int] = mapped_column(default=0, server_default="0")
    """Messages dismissed in the last 30 days."""
    previous_hearts: Mapped[int | None]
    """What `hearts` were before they last changed."""
    hearts_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When `hearts` last changed."""


@dataclass(frozen=True, slots=True)
class Norms:
    """What much is among those who are active: everybody is measured by it."""

    days: int
    """P90 of the days with activity in 28."""
    events: int
    """P95 of the core events in 28 days."""
    active: int
    """People active in 28 days."""
    at: datetime
    """The moment for which everybody was measured."""
    own_formula: bool = False
    """Whether the host's own formula gave the scores."""


def keep_norms(session: Session, norms: Norms) -> None:
    """Keep what everybody was last measured by."""
    value = json.dumps(asdict(norms) | {"at": norms.at.isoformat()})
    insert_ignore(session, cast("Table", MetaRow.__table__), [{"key": _NORMS, "value": value}])
    session.execute(update(MetaRow).where(MetaRow.key == _NORMS).values(value=value))


def kept_norms(session: Session) -> Norms | None:
    """Return what everybody was last measured by; None before the first time."""
    value = session.scalar(select(MetaRow.value).where(MetaRow.key == _NORMS))
    if value is None:
        return None
    found = json.loads(value)
    return Norms(**found | {"at": datetime.fromisoformat(found["at"])})


def relationship_of(session: Session, person_id: int) -> RelationshipRow | None:
    """Return the heart of one person; None if it was never computed."""
    return session.get(RelationshipRow, person_id)
