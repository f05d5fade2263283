"""Writing down who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._state import EngageState
from ..store.operator import note_operator, write_audit
from .access import operator

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def note(state: EngageState, action: str, target: str, detail: dict[str, Any]) -> None:
    """Write down a change by the operator of this request, in a transaction of its own."""
    with state.ready.require().write() as session:
        note_in(session, state, action, target, detail)


def note_in(
    session: Session, state: EngageState, action: str, target: str, detail: dict[str, Any]
) -> None:
    """Write down a change by the operator of this request, in the transaction of the change."""
    who, now = operator(), state.clock()
    note_operator(
        session,
        operator_id=str(who.id)[:255],
        name=who.name[:255],
        email=who.email,
        role=who.role,
        now=now,
    )
    write_audit(
        session,
        operator_id=str(who.id)[:255],
        action=action,
        target=target,
        detail=detail,
        now=now,
    )
