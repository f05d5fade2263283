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
    operator_id = _storable(str(who.id))[:255]
    note_operator(
        session,
        operator_id=operator_id,
        name=_storable(who.name)[:255],
        email=_storable(who.email)[:320] if who.email else None,
        role=who.role,
        now=now,
    )
    write_audit(
        session,
        operator_id=operator_id,
        action=action,
        target=_storable(target),
        detail=_storable(detail),
        now=now,
    )


def _storable(value: Any) -> Any:
    """Return what was asked for so that every database takes it: a search may have any sign."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    return [_storable(one) for one in value] if isinstance(value, (list, tuple)) else value
