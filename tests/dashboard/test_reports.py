"""The reports behind the pages give the same answers on each database."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flask_engage._state import state_of
from flask_engage.reports.health import health
from flask_engage.reports.messages import counts_of, message_page, recipients
from flask_engage.reports.overview import overview
from flask_engage.reports.person import attributes_of_person, person_id_by_public_id
from flask_engage.reports.rules import rule_summaries
from flask_engage.reports.timeline import timeline
from flask_engage.store.operator import AuditRow, OperatorRow, note_operator, write_audit

if TYPE_CHECKING:
    from flask_engage import Engage
    from flask_engage.store.engine import Database
    from tests._clock import FakeClock
    from tests.dashboard.conftest import Town


def test_the_reports_add_up_on_every_database(
    migrated_url: str, town: Town, clock: FakeClock
) -> None:
    state = state_of(town.app)
    with town.app.app_context(), state.ready.require().read() as session:
        figures = overview(session, state.settings, clock.now)
        counts = counts_of(session, ["send:launch-1"])["send:launch-1"]
        page = message_page(session, limit=1)
        second = message_page(session, after=page.after, limit=1)
        few = recipients(session, "send:launch-1", limit=5)
        rest = recipients(session, "send:launch-1", after=few.after, limit=5)
        rules = rule_summaries(session)
        person_id = person_id_by_public_id(session, town.public_id(3))
        assert person_id is not None
        attributes = attributes_of_person(session, person_id)
        story = timeline(session, person_id, limit=4)
        jobs = health(session)
    active = figures.activity.today
    assert (figures.people, active.monthly) == (16, 16)
    assert active.daily <= active.weekly <= active.monthly
    assert (figures.opened, figures.clicked) == (4, 2)
    assert figures.sent == 6 + rules[0].counts.sent
    assert counts.states == {"sent": 6, "queued": 2}
    assert counts.outcomes == {"shown": 6, "opened": 4, "clicked": 2, "dismissed": 1}
    assert len({one.source for one in (*page.messages, *second.messages)}) == 2
    assert len({one.public_id for one in (*few.recipients, *rest.recipients)}) == 8
    assert rest.after is None
    assert rules[0].sentence.startswith("People who were last seen")
    assert [one.name for one in attributes] == sorted(one.name for one in attributes)
    assert [one.at for one in story.happenings] == sorted(
        (one.at for one in story.happenings), reverse=True
    )
    assert story.before is not None
    assert {job.name for job in jobs.jobs} >= {"mail", "rules"}


def test_active_people_are_counted_as_a_plain_count_would(
    app: Any, engage: Engage, app_host: Any, clock: FakeClock
) -> None:
    days = {"a": [0, 3, 9], "b": [6], "c": [7, 8], "d": [29], "e": [30], "f": [0, 1, 2, 29]}
    with app.app_context():
        for user_id, found in days.items():
            for day in found:
                engage.seen(user_id, at=clock.now - timedelta(days=day))
        engage.flush()
        state = state_of(app)
        with state.ready.require().read() as session:
            figures = overview(session, state.settings, clock.now)

    def active(length: int) -> int:
        return sum(any(day < length for day in found) for found in days.values())

    today = figures.activity.today
    assert (today.daily, today.weekly, today.monthly) == (active(1), active(7), active(30))
    # 2 + 1 + 1 + ...: what each day saw, over thirty days and over those who came at all
    seen = sum(day < 30 for found in days.values() for day in found)
    assert figures.activity.stickiness == pytest.approx(seen / 30 / active(30))


def test_an_operator_is_remembered_and_a_change_written_down(
    database: Database, clock: FakeClock
) -> None:
    for name in ("Olga", "Olga P."):
        with database.write() as session:
            note_operator(
                session, operator_id="7", name=name, email=None, role="edit", now=clock.now
            )
            write_audit(
                session,
                operator_id="7",
                action="send",
                target="x" * 400,
                detail={"people": 3},
                now=clock.now,
            )
    with database.read() as session:
        assert [row.name for row in session.query(OperatorRow)] == ["Olga P."]
        assert [len(row.target) for row in session.query(AuditRow)] == [255, 255]
