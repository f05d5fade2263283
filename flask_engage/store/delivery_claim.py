"""The way of a mail's delivery through its states, each step one conditional UPDATE.

Whoever claims a row stamps it with a token; every further step asks for that token and for
the state it expects. So a sender that was stopped, and wakes up after others have gone on,
changes nothing: its UPDATE meets no row.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, delete, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from .delivery import DeliveryEventRow, DeliveryRow
from .person import PersonRow

ABANDONED = timedelta(minutes=10)
"""No sender works on one batch for this long; a claim older than it has lost its sender."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that one sender has claimed."""

    id: int
    public_id: str
    source: str
    person_id: int
    content_id: int | None
    attempts: int
    """How often a server has been offered it before."""


def claim_due(
    session: Session,
    *,
    channel: str,
    now: datetime,
    limit: int,
    token: str,
    epoch: int | None = None,
    fenced: ColumnElement[bool] | None = None,
) -> list[Claim]:
    """Claim up to `limit` deliveries that are due, the longest waiting first.

    Rows that another sender is claiming are passed over. With `fenced`, nothing is claimed
    unless that condition holds.
    """
    condition = [
        DeliveryRow.state == "queued",
        DeliveryRow.channel == channel,
        DeliveryRow.not_before <= now,
    ]
    if fenced is not None:
        condition.append(fenced)
    rows = session.execute(
        select(
            DeliveryRow.id,
            DeliveryRow.public_id,
            DeliveryRow.source,
            DeliveryRow.person_id,
            DeliveryRow.content_id,
            DeliveryRow.attempts,
        )
        .where(*condition)
        .order_by(DeliveryRow.not_before, DeliveryRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=DeliveryRow)
    ).all()
    claims = [Claim(*row) for row in rows]
    if claims:
        _change(
            session,
            and_(DeliveryRow.id.in_([claim.id for claim in claims]), *condition),
            now,
            state="claimed",
            claimed_by=token,
            claim_epoch=epoch,
            claimed_at=now,
        )
    return claims


def suppress(session: Session, ids: Collection[int], token: str, now: datetime, reason: str) -> int:
    """End claimed deliveries unsent, for `reason`: these people must or can get no mail."""
    where = and_(DeliveryRow.id.in_(ids), *_held(token, "claimed"))
    return _change(session, where, now, state="suppressed", reason=reason)


def withdraw(session: Session, ids: Collection[int], token: str) -> int:
    """Take claimed deliveries out, as if never queued: their people left the rule's filter.

    No row stays, because a row would stand against a delivery when they match again.
    """
    where = and_(DeliveryRow.id.in_(ids), *_held(token, "claimed"))
    statement = delete(DeliveryRow).where(where).execution_options(synchronize_session=False)
    return int(cast("CursorResult[Any]", session.execute(statement)).rowcount)


def mark_on_wire(
    session: Session,
    claim: Claim,
    token: str,
    now: datetime,
    message_id: str,
    fenced: ColumnElement[bool] | None = None,
) -> bool:
    """Mark that the mail is about to leave, if it still may; to be committed before it does.

    False if the claim is somebody else's by now, or the person wants or can get no mail. The
    person is locked until the commit: whoever unsubscribed before it gets nothing.
    """
    person = session.execute(
        select(PersonRow.unsubscribed_at, PersonRow.gone_at, PersonRow.deleted_at)
        .where(PersonRow.id == claim.person_id)
        .with_for_update(read=True)
    ).one_or_none()
    if person is None or any(moment is not None for moment in person):
        return False
    where = and_(DeliveryRow.id == claim.id, *_held(token, "claimed"))
    if fenced is not None:
        where = and_(where, fenced)
    values = {"on_wire_at": now, "message_id": message_id, "attempts": DeliveryRow.attempts + 1}
    return _change(session, where, now, state="on_wire", **values) == 1


def mark_sent(session: Session, claim: Claim, token: str, now: datetime) -> bool:
    """Mark that the server has taken the mail.

    A sender that was given up for dead meanwhile may still say so of its own claim.
    """
    where = and_(DeliveryRow.id == claim.id, *_held(token, "on_wire", "unknown"))
    return _change(session, where, now, state="sent", sent_at=now, reason=None, error=None) == 1


def mark_failed(
    session: Session, claim: Claim, token: str, now: datetime, *, reason: str, error: str = ""
) -> bool:
    """Mark that this mail can't be delivered: for good."""
    where = and_(DeliveryRow.id == claim.id, *_held(token, "claimed", "on_wire", "unknown"))
    return _change(session, where, now, state="failed", reason=reason, error=error or None) == 1


def mark_unknown(session: Session, claim: Claim, token: str, now: datetime, *, error: str) -> bool:
    """Mark that nobody can tell whether the server has taken the mail; it is not sent again."""
    where = and_(DeliveryRow.id == claim.id, *_held(token, "on_wire"))
    reason = "the connection was lost before the server's answer"
    return _change(session, where, now, state="unknown", reason=reason, error=error) == 1


def defer(
    session: Session,
    claim: Claim,
    token: str,
    now: datetime,
    *,
    not_before: datetime,
    attempts: int,
    error: str,
) -> bool:
    """Put a mail back that the server did not take for now, until `not_before`."""
    where = and_(DeliveryRow.id == claim.id, *_held(token, "claimed", "on_wire"))
    values = {"not_before": not_before, "attempts": attempts, "error": error, **_UNCLAIMED}
    return _change(session, where, now, state="queued", **values) == 1


def give_back(session: Session, token: str, now: datetime, *, error: str | None = None) -> int:
    """Put everything back that `token` has claimed and not yet offered to a server."""
    values: dict[str, Any] = dict(_UNCLAIMED)
    if error is not None:
        values["error"] = error
    return _change(session, and_(*_held(token, "claimed")), now, state="queued", **values)


def recover(session: Session, now: datetime, epoch: int | None = None) -> tuple[int, int]:
    """Take care of what senders left behind that are no more; return (queued again, unknown).

    What was only claimed is queued again: its sender can't go on without its token. What was
    on the wire becomes ``unknown``. A sender is no more when the lease has changed hands
    since (`epoch` is the present one), or after ten minutes.
    """
    where = and_(DeliveryRow.state == "claimed", _lost(DeliveryRow.claimed_at, now, epoch))
    queued = _change(session, where, now, state="queued", **_UNCLAIMED)
    where = and_(DeliveryRow.state == "on_wire", _lost(DeliveryRow.on_wire_at, now, epoch))
    reason = "the sending process died before the server's answer"
    return queued, _change(session, where, now, state="unknown", reason=reason)


def bounced_addresses(session: Session, person_ids: Collection[int]) -> set[tuple[int, str]]:
    """Return (person, address mark) of addresses that a server has refused for good."""
    rows = session.execute(
        select(DeliveryRow.person_id, DeliveryEventRow.detail)
        .join(DeliveryEventRow, DeliveryEventRow.delivery_id == DeliveryRow.id)
        .where(
            DeliveryRow.person_id.in_(person_ids),
            DeliveryRow.channel == "email",
            DeliveryRow.state == "failed",
            DeliveryEventRow.kind == "bounced",
        )
    )
    return {(person_id, detail) for person_id, detail in rows}


def has_work(session: Session, *, channel: str, now: datetime, epoch: int | None = None) -> bool:
    """Tell whether anything is due or left behind; a look without a lock."""
    waiting = and_(
        DeliveryRow.state == "queued",
        DeliveryRow.channel == channel,
        DeliveryRow.not_before <= now,
    )
    held = and_(DeliveryRow.state == "claimed", _lost(DeliveryRow.claimed_at, now, epoch))
    gone = and_(DeliveryRow.state == "on_wire", _lost(DeliveryRow.on_wire_at, now, epoch))
    return any(
        session.scalar(select(DeliveryRow.id).where(where).limit(1)) is not None
        for where in (waiting, held, gone)
    )


def _lost(
    since: InstrumentedAttribute[datetime | None], now: datetime, epoch: int | None
) -> ColumnElement[bool]:
    """Return the condition that the sender of a row is no more."""
    too_old = since < now - ABANDONED
    return too_old if epoch is None else or_(too_old, DeliveryRow.claim_epoch < epoch)


_UNCLAIMED: dict[str, Any] = {
    "claimed_by": None,
    "claim_epoch": None,
    "claimed_at": None,
    "on_wire_at": None,
}


def _held(token: str, *states: str) -> tuple[ColumnElement[bool], ...]:
    return DeliveryRow.state.in_(states), DeliveryRow.claimed_by == token


def _change(session: Session, where: ColumnElement[bool], now: datetime, **values: Any) -> int:
    statement = update(DeliveryRow).where(where).values(updated_at=now, **values)
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(cast("CursorResult[Any]", result).rowcount)
