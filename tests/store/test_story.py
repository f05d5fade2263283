"""A timeline's pages hold everything once, and cost the same however much somebody did."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from flask_engage.reports.timeline import KINDS, Happening, Visit, timeline
from flask_engage.store.engine import Database, refresh_statistics
from flask_engage.store.event import EventRow, EventSummaryRow
from flask_engage.store.event_write import NewEvents, insert_events
from flask_engage.store.note import add_note
from flask_engage.store.person import PersonRow, PersonTagRow
from flask_engage.store.person_activity import Stretch, spans_query
from flask_engage.store.segment_member import SegmentChangeRow, SegmentWatchRow
from flask_engage.store.session import SessionRow
from flask_engage.store.story import changes_query, events_before, ids_query, names_query
from flask_engage.store.story_order import RANKS, Place
from flask_engage.store.tag import tag_people, untag_people
from flask_engage.store.tag_undo import undo_putting
from tests.store._messages import add_message
from tests.store._plans import plan_of, rows_read

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def add_person(session: Session, user_id: str) -> int:
    row = PersonRow(user_id=user_id, created_at=NOW, updated_at=NOW)
    session.add(row)
    session.flush()
    return row.id


def event(person_id: int, name: str, at: datetime, session_id: int | None = None) -> Any:
    return person_id, session_id, name, {}, at, at


def store(session: Session, events: Iterable[Any]) -> None:
    insert_events(session, NewEvents(*zip(*events, strict=True)))


@pytest.fixture
def crowded(database: Database) -> int:
    """Somebody to whom things of every kind happened, most of them in the same few instants."""
    chance = random.Random(7)
    instants = [NOW - n * MINUTE for n in range(4)]
    with database.write() as session:
        person_id = add_person(session, "ada")
        other = add_person(session, "grace")
        sessions = [
            SessionRow(person_id=whose, started_at=at, last_at=at + 2 * MINUTE)
            for whose in (person_id, person_id, other)
            for at in instants
        ]
        session.add_all(sessions)
        active = SegmentWatchRow(key="code:Active", name="Active")
        session.add(active)
        session.flush()
        store(
            session,
            [
                event(
                    whose,
                    f"step {chance.randrange(5)}",
                    chance.choice(instants),
                    sessions[0].id if number % 2 else None,
                )
                for whose in (person_id, other)
                for number in range(60)
            ],
        )
        for number in range(9):
            add_note(session, person_id, "7", f"note {number}", chance.choice(instants))
            at = chance.choice(instants)
            session.add(PersonTagRow(person_id=person_id, name=f"tag {number}", created_at=at))
            session.add(
                SegmentChangeRow(
                    segment_id=active.id + 90 * (number % 2),
                    person_id=person_id,
                    entered=bool(number % 3),
                    at=chance.choice(instants),
                    said=True,
                )
            )
            add_message(session, person_id, f"message {number}", chance.choice(instants))
        for number in range(4, 9):
            untag_people(session, [person_id], f"tag {number}", chance.choice(instants) + MINUTE)
    return person_id


def pages(database: Database, person_id: int, **asked: Any) -> list[list[Happening]]:
    found, before = [], None
    while True:
        with database.read() as session:
            page = timeline(session, person_id, before=before, **asked)
        found.append(list(page.happenings))
        if page.before is None:
            return found
        before = page.before


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_pages_hold_everything_once_though_most_happened_in_the_same_instant(
    limit: int, database: Database, crowded: int
) -> None:
    [whole] = pages(database, crowded, limit=1000)
    assert len(whole) == 60 + 8 + 4 * 9 + 5  # of the tags, five were taken off again
    assert {one.kind for one in whole} == set(KINDS)
    places = [one.place for one in whole]
    assert places == sorted(set(places), reverse=True)
    cut = pages(database, crowded, limit=limit)
    assert [one.place for page in cut for one in page] == places
    assert all(len(page) == limit for page in cut[:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_pages_of_one_kind_hold_all_of_it_and_nothing_else(
    kind: str, database: Database, crowded: int
) -> None:
    [whole] = pages(database, crowded, limit=1000)
    cut = [one for page in pages(database, crowded, kind=kind, limit=4) for one in page]
    assert [one.place for one in cut] == [one.place for one in whole if one.kind == kind]
    assert {one.kind for one in cut} == {kind}


def test_what_came_in_between_shifts_no_page(database: Database, crowded: int) -> None:
    with database.read() as session:
        first = timeline(session, crowded, limit=20)
    with database.write() as session:
        store(session, [event(crowded, "late", NOW + MINUTE)])
    with database.read() as session:
        second = timeline(session, crowded, before=first.before, limit=20)
        both = timeline(session, crowded, limit=41)
    assert [one.place for one in both.happenings[1:]] == [
        one.place for one in (*first.happenings, *second.happenings)
    ]


def test_a_session_folds_its_events_and_what_was_sent_meanwhile_stands_by_itself(
    database: Database,
) -> None:
    with database.write() as session:
        person_id = add_person(session, "ada")
        visit = SessionRow(person_id=person_id, started_at=NOW, last_at=NOW + 9 * MINUTE)
        session.add(visit)
        session.flush()
        store(
            session,
            [event(person_id, "saved", NOW + n * MINUTE, visit.id) for n in (1, 3, 8)]
            # Said by the host, which names no session; and by one that is not kept any more.
            + [event(person_id, "paid", NOW + n * MINUTE) for n in (2, 20)]
            + [event(person_id, "lost", NOW - MINUTE, 999)],
        )
        add_message(session, person_id, "m", NOW + 5 * MINUTE)
    with database.read() as session:
        whole = timeline(session, person_id).folded()
        first = timeline(session, person_id, limit=3)
        second = timeline(session, person_id, before=first.before, limit=3)
    assert [one.kind for one in whole] == ["event", "visit", "message", "visit", "event"]
    newest, rest = (one for one in whole if isinstance(one, Visit))
    assert (newest.tally, newest.has_end, newest.has_begin) == ([("saved", 1)], True, False)
    assert (rest.tally, rest.has_end, rest.has_begin) == ([("saved", 2), ("paid", 1)], False, True)
    assert [one.kind for one in first.folded()] == ["event", "visit", "message"]
    [over] = second.folded()
    assert isinstance(over, Visit)
    assert (over.tally, over.has_end) == ([("saved", 2), ("paid", 1)], False)


def test_a_segment_that_is_gone_leaves_its_trace(database: Database, crowded: int) -> None:
    with database.read() as session:
        found = timeline(session, crowded, kind="segment").happenings
    assert {one.name for one in found} == {"Active", ""}


def test_a_tag_is_told_of_when_it_was_put_on_and_when_it_was_taken_off(database: Database) -> None:
    with database.write() as session:
        ada, grace = add_person(session, "ada"), add_person(session, "grace")
        tag_people(session, [ada, grace], "beta", NOW)
        untag_people(session, [ada], "beta", NOW + MINUTE)
        tag_people(session, [ada], "beta", NOW + 2 * MINUTE)
        undo_putting(session, [ada, grace], "beta", NOW + 2 * MINUTE, NOW + 3 * MINUTE)
    with database.read() as session:
        found = timeline(session, ada, kind="tag").happenings
        assert [(one.at, one.name, one.facts) for one in found] == [
            (NOW + minutes * MINUTE, "beta", {"put": put})
            for minutes, put in ((3, False), (2, True), (1, False), (0, True))
        ]
        [still] = timeline(session, grace, kind="tag").happenings
        assert (still.at, still.facts) == (NOW, {"put": True})
        assert timeline(session, ada, kind="segment").happenings == ()


@pytest.mark.parametrize("kind", ["tag", "segment"])
def test_a_persons_changes_are_read_along_their_index(
    kind: Literal["tag", "segment"], database: Database
) -> None:
    """The history of everybody's groups is long; one person's is short."""
    with database.write() as session:
        people = [add_person(session, f"u{number}") for number in range(300)]
        for turn in range(20):
            tag_people(session, people, "beta", NOW + turn * MINUTE)
            untag_people(session, people, "beta", NOW + turn * MINUTE)
    for table in ("engage_segment_change", "engage_segment_watch"):
        refresh_statistics(database, table)
    place = Place(NOW + 15 * MINUTE, RANKS[kind], 0)
    with database.read() as session:
        query = changes_query(kind, people[7], place, 51)
        assert len(session.execute(query).all()) == (30 if kind == "tag" else 0)
        plan = plan_of(session, query)
        # Either of them begins with the person, or with the person of a group.
        assert re.search("ix_engage_segment_change_(person|segment)", plan), plan
        if database.dialect == "postgresql":
            assert rows_read(session, query) <= 100, plan


@pytest.fixture
def busy(database: Database) -> int:
    """Somebody who did thousands of things, among others who did as many."""
    with database.write() as session:
        people = [add_person(session, f"u{number}") for number in range(4)]
        store(
            session,
            [
                event(person_id, f"step {number % 8}", NOW - number * MINUTE)
                for person_id in people
                for number in range(3000)
            ],
        )
    for table in ("engage_event", "engage_event_summary"):
        refresh_statistics(database, table)
    return people[1]


def test_a_page_of_events_reads_a_few_rows_along_the_index(database: Database, busy: int) -> None:
    place = Place(NOW - 1500 * MINUTE, RANKS["event"], 0)
    limit = 51
    with database.read() as session:
        found = events_before(session, busy, place, limit)
        assert [row.occurred_at for row in found] == [
            NOW - n * MINUTE for n in range(1501, 1501 + limit)
        ]
        names = [f"step {number}" for number in range(8)]
        floor = NOW - (1500 + 8 * limit) * MINUTE
        for query in (
            names_query(busy, place, limit),
            ids_query(busy, names, floor, place, limit),
        ):
            plan = plan_of(session, query)
            assert "ix_engage_event_person" in plan, plan
        if database.dialect == "postgresql":
            # Of the 12,000 events there are, for a page of 51.
            assert rows_read(session, ids_query(busy, names, floor, place, limit)) <= 8 * limit + 8


def test_everybody_elses_newest_events_are_not_walked_through(
    database: Database, busy: int
) -> None:
    """As a database likes to, along the index of times, to find those of whom it deems frequent.

    Whoever did much, long ago, is behind all that others did since.
    """
    with database.write() as session:
        former = add_person(session, "former")
        long_ago = NOW - timedelta(days=300)
        store(
            session,
            [event(former, f"step {n % 8}", long_ago - n * MINUTE) for n in range(3000)],
        )
    refresh_statistics(database, "engage_event")
    names = [f"step {number}" for number in range(8)]
    with database.read() as session:
        plan = plan_of(session, ids_query(former, names, None, None, 51))
        assert "ix_engage_event_person" in plan, plan
        assert "ix_engage_event_occurred" not in plan, plan
        found = events_before(session, former, None, 51)
        assert [row.occurred_at for row in found] == [long_ago - n * MINUTE for n in range(51)]


def test_counting_by_the_hour_needs_the_index_only(database: Database, busy: int) -> None:
    names = [f"step {number}" for number in range(8)]
    lately = Stretch(NOW - timedelta(days=1), NOW + MINUTE, 0)
    query = spans_query(busy, names, lately, 3600)
    if database.dialect == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as raw:
            raw.execute(sa.text("VACUUM engage_event"))
    with database.read() as session:
        counts = {int(span): count for span, count in session.execute(query)}
        plan = plan_of(session, query)
    assert sum(counts.values()) == 24 * 60 + 1
    assert max(counts) == int(NOW.timestamp()) // 3600
    assert "ix_engage_event_person" in plan, plan
    only = {
        "sqlite": "COVERING INDEX",
        "postgresql": "Index Only Scan",
        "mysql": "Using index",
    }[database.dialect]
    assert only in plan, plan


def test_events_without_a_summary_are_none_of_ours(database: Database, busy: int) -> None:
    """The names come from the summaries: whatever writes events writes those, too."""
    with database.read() as session:
        summed = set(session.scalars(sa.select(EventSummaryRow.name).distinct()))
        there = set(session.scalars(sa.select(EventRow.name).distinct()))
    assert there == summed
