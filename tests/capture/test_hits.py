"""A session's hits stop at what the column holds: no import of old figures stops the writer."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import func, select

from flask_engage import Engage
from flask_engage._state import state_of
from flask_engage.store.engine import Database
from flask_engage.store.journal import DeadLetterRow
from flask_engage.store.session import SessionRow
from flask_engage.store.session_write import MOST_HITS


def test_hits_beyond_what_a_row_can_hold_stay_at_the_most(
    database: Database, app: Flask, engage: Engage
) -> None:
    with app.app_context():
        for _ in range(2):  # a row that is new, then one that is there
            assert engage.seen("ada", hits=MOST_HITS)
            assert engage.seen("ada", hits=MOST_HITS)
            assert engage.seen("bob", hits=2)
            engage.flush()
    with database.read() as session:
        hits = session.scalars(select(SessionRow.hits).order_by(SessionRow.hits)).all()
        assert hits == [4, MOST_HITS]
        assert session.scalar(select(func.count()).select_from(DeadLetterRow)) == 0
    assert state_of(app).recorder.status().last_error is None
