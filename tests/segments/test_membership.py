"""Who entered a segment and who left it is written down once, and told at most once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from flask_engage import Engage, segment_entered
from flask_engage.segments import membership
from flask_engage.segments.compile import CompileContext
from flask_engage.segments.filter import Filter
from flask_engage.segments.membership import (
    Told,
    forget_gone,
    measure_segments,
    prune,
    record_day,
    take_untold,
)
from flask_engage.segments.words import person
from flask_engage.store.engine import Database
from flask_engage.store.person import PersonRow
from flask_engage.store.segment import SegmentRow, add_segment, delete_segment, rename_segment
from flask_engage.store.segment_member import (
    SegmentChangeRow,
    SegmentDayRow,
    SegmentMemberRow,
    SegmentWatchRow,
)
from flask_engage.store.tag import tag_people, untag_people
from tests._clock import FakeClock
from tests.segments._world import NOW

HERE: dict[str, Filter] = {"here": person.sessions >= 1}
MINUTE = timedelta(minutes=1)


def _put(database: Database, values: dict[str, int]) -> None:
    with database.write() as session:
        there = set(session.scalars(select(PersonRow.user_id)))
        for user_id, sessions in values.items():
            if user_id in there:
                session.execute(
                    update(PersonRow)
                    .where(PersonRow.user_id == user_id)
                    .values(session_count=sessions)
                )
            else:
                session.execute(
                    insert(PersonRow.__table__),  # type: ignore[arg-type]
                    [
                        {
                            "user_id": user_id,
                            "session_count": sessions,
                            "created_at": NOW,
                            "updated_at": NOW,
                        }
                    ],
                )


def _measure(
    database: Database,
    at: datetime,
    segments: dict[str, Filter] | None = None,
    saved: dict[str, Filter] | None = None,
    may_go_on: Callable[[], bool] = lambda: True,
) -> membership.Measured:
    named = HERE if segments is None else segments
    context = CompileContext(database.dialect, segments={**named, **(saved or {})})
    return measure_segments(database, context, named, at, may_go_on=may_go_on)


def _told(database: Database) -> list[Told]:
    found: list[Told] = []
    while some := take_untold(database):
        found += some
    return found


def _members(database: Database) -> set[str | None]:
    with database.read() as session:
        return set(
            session.scalars(
                select(PersonRow.user_id).join(
                    SegmentMemberRow, SegmentMemberRow.person_id == PersonRow.id
                )
            )
        )


def _said(told: list[Told]) -> list[tuple[str | None, bool, datetime]]:
    return sorted((one.user_id, one.entered, one.at) for one in told)  # type: ignore[type-var]


def test_first_measurement_is_silent_and_changes_after_it_are_told_once(
    database: Database,
) -> None:
    _put(database, {"ada": 1, "bob": 0})
    _measure(database, NOW)
    assert _members(database) == {"ada"}
    assert _told(database) == []
    _put(database, {"ada": 0, "bob": 2})
    assert "1 entered, 1 left" in str(_measure(database, NOW + MINUTE))
    assert _said(_told(database)) == [
        ("ada", False, NOW + MINUTE),
        ("bob", True, NOW + MINUTE),
    ]
    _measure(database, NOW + 2 * MINUTE)
    assert _told(database) == []


def test_what_was_cut_off_goes_on_and_says_nothing_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "PEOPLE", 2)
    names = [f"u{n}" for n in range(7)]
    _put(database, dict.fromkeys(names, 0))
    _measure(database, NOW)
    _put(database, dict.fromkeys(names, 1))
    for turn in range(1, 9):
        answers = iter([True])
        done = _measure(
            database, NOW + turn * MINUTE, may_go_on=lambda left=answers: next(left, False)
        )
        if done.finished:
            break
    record_day(database, NOW + turn * MINUTE, "UTC")
    with database.read() as session:
        assert session.scalars(select(SegmentDayRow.people)).all() == [len(names)]
    _measure(database, NOW + 9 * MINUTE)
    assert sorted(str(one.user_id) for one in _told(database)) == names
    assert _members(database) == set(names)


def test_filter_that_errs_is_left_out_and_others_go_on(database: Database) -> None:
    _put(database, {"ada": 1})
    with database.write() as session:
        add_segment(session, "newer", {"op": "unheard"}, "op", NOW)
    done = _measure(database, NOW)
    assert done.segments == 1
    assert "newer" in (done.errors or {})
    assert _members(database) == {"ada"}


def test_renamed_segment_keeps_its_history_and_deleted_forgets_it(database: Database) -> None:
    _put(database, {"ada": 1})
    with database.write() as session:
        add_segment(session, "old", HERE["here"].to_json(), "op", NOW)
    _measure(database, NOW, {}, {"old": HERE["here"]})
    with database.write() as session:
        rename_segment(session, "old", "new", NOW)
    _put(database, {"ada": 0})
    _measure(database, NOW + MINUTE, {}, {"new": HERE["here"]})
    record_day(database, NOW + MINUTE, "UTC")
    assert [(one.segment, one.entered) for one in _told(database)] == [("new", False)]
    with database.write() as session:
        delete_segment(session, "new")
    forget_gone(database, {})
    with database.read() as session:
        for row in (SegmentWatchRow, SegmentMemberRow, SegmentChangeRow, SegmentDayRow):
            assert session.execute(select(row)).all() == []


def test_tags_that_were_taken_off_are_no_segments_and_no_signal_tells_of_them(
    database: Database,
) -> None:
    _put(database, {"ada": 1})
    with database.write() as session:
        ids = list(session.scalars(select(PersonRow.id)))
        tag_people(session, ids, "here", NOW)
        untag_people(session, ids, "here", NOW + MINUTE)
    _measure(database, NOW)
    assert _told(database) == []
    forget_gone(database, HERE)
    with database.read() as session:
        keys = set(session.scalars(select(SegmentWatchRow.key)))
        assert keys == {"code:here", "tag:here"}
        assert len(session.execute(select(SegmentChangeRow)).all()) == 2
    assert prune(database, NOW + 2 * MINUTE) == 2  # as old as what segments were left


def test_a_day_keeps_its_last_count_and_old_changes_go(database: Database) -> None:
    _put(database, {"ada": 1, "bob": 0})
    for at, bob in ((NOW, 0), (NOW + MINUTE, 1)):
        _put(database, {"bob": bob})
        _measure(database, at)
        record_day(database, at, "UTC")
    with database.read() as session:
        assert session.execute(select(SegmentDayRow.day, SegmentDayRow.people)).all() == [
            (NOW.date(), 2)
        ]
    assert prune(database, NOW) == 0
    assert prune(database, NOW + 2 * MINUTE) == 1


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.dictionaries(st.sampled_from("abcde"), st.integers(0, 2), max_size=5), max_size=5
    )
)
def test_any_sequence_of_changes_gives_what_plain_python_gives(
    database: Database, steps: list[dict[str, int]]
) -> None:
    with database.write() as session:
        for row in (SegmentChangeRow, SegmentMemberRow, SegmentWatchRow, SegmentRow, PersonRow):
            session.execute(delete(row))
    people: dict[str, int] = {}
    before: set[str] | None = None
    expected: list[tuple[str | None, bool, datetime]] = []
    told: list[Told] = []
    for number, step in enumerate(steps):
        at = NOW + number * MINUTE
        people.update(step)
        _put(database, step)
        _measure(database, at)
        told += _told(database)
        now = {name for name, sessions in people.items() if sessions >= 1}
        if before is not None:
            expected += [(name, True, at) for name in now - before]
            expected += [(name, False, at) for name in before - now]
        before = now
        assert _members(database) == now
    assert _said(told) == sorted(expected)  # type: ignore[type-var]


def test_signals_reach_receivers_and_one_that_raises_stops_nobody(
    app: Flask, engage: Engage, clock: FakeClock
) -> None:

    heard: list[tuple[str, str]] = []

    def broken(_app: Flask, **_told: object) -> None:
        raise RuntimeError("a receiver of the host's")

    def hears(_app: Flask, **told: object) -> None:
        heard.append((str(told["segment"]), str(told["public_id"])))

    with app.app_context():
        database = app.extensions["engage"].ready.require()
        engage.segment("here", person.sessions >= 1)
        _put(database, {"zoe": 0})
        with segment_entered.connected_to(hears), segment_entered.connected_to(broken):
            engage.refresh("segments")
            _put(database, {"zoe": 1})
            clock.advance(minutes=1)
            assert "1 entered" in engage.refresh("segments")
    assert [segment for segment, _ in heard] == ["here"]


def test_job_measures_once_somebody_has_been_here_for_its_period(
    app: Flask, engage: Engage, clock: FakeClock
) -> None:
    engage.segment("here", person.sessions >= 0)
    with app.app_context():
        database = app.extensions["engage"].ready.require()
        with database.write() as session:
            values = {"user_id": "zoe", "created_at": clock(), "updated_at": clock()}
            session.execute(insert(PersonRow.__table__), [values])  # type: ignore[arg-type]
        assert "nobody" in str(engage.run_due()["segments"])
        clock.advance(hours=1)
        assert str(engage.run_due()["segments"]).startswith("6 segments")
    assert "zoe" in _members(database)
