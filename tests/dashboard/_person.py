"""Somebody of the town: where their page is, and what was written down of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from flask_engage._state import state_of
from flask_engage.store.operator import AuditRow
from flask_engage.store.person import person_id_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.dashboard.conftest import Town


def address(town: Town, place: int = 5, rest: str = "") -> str:
    return f"/engage/people/{town.public_id(place)}{rest}"


def person_id(session: Session, town: Town, place: int = 5) -> int:
    found = person_id_of(session, str(town.ids[place]))
    assert found is not None
    return found


def audit(town: Town) -> list[tuple[str, str]]:
    with state_of(town.app).ready.require().read() as session:
        rows = session.execute(sa.select(AuditRow.action, AuditRow.target).order_by(AuditRow.id))
        return [(action, target) for action, target in rows]
