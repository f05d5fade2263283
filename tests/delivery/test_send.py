"""Writing deliveries by hand."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from flask_engage.delivery.send import send, send_in_parts, source_of
from flask_engage.errors import InvalidMessage
from flask_engage.messages.content import Email
from flask_engage.store import delivery_queue
from flask_engage.store.content import ContentRow
from flask_engage.store.person import PersonRow
from tests._clock import START
from tests.delivery._world import MAIL, POPUP, add_people, deliveries


def test_send_writes_one_delivery_for_each_person(database):
    ids = add_people(database, 3)
    with database.write() as session:
        assert send(session, MAIL, to_person_ids=ids, now=START) == 3
    rows = deliveries(database)
    assert [row.person_id for row in rows] == ids
    assert {(row.channel, row.state, row.occurrence, row.attempts) for row in rows} == {
        ("email", "queued", "1", 0)
    }
    assert all(row.not_before == row.created_at == row.updated_at == START for row in rows)
    assert len({row.source for row in rows}) == 1
    assert rows[0].source.startswith("send:")
    assert len({row.public_id for row in rows}) == 3
    assert all(20 <= len(row.public_id) <= 32 for row in rows)


def test_send_takes_a_query_for_people(database):
    add_people(database, 4)
    query = select(PersonRow.id).where(PersonRow.email != "p1@example.org")
    with database.write() as session:
        assert send(session, POPUP, to_person_ids=query, now=START) == 3


def test_send_passes_over_people_deleted_or_merged(database):
    [kept] = add_people(database)
    add_people(database, deleted_at=START)
    add_people(database, merged_into=kept)
    with database.write() as session:
        assert send(session, MAIL, to_person_ids=select(PersonRow.id), now=START) == 1
    assert [row.person_id for row in deliveries(database)] == [kept]


def test_send_with_a_key_reaches_each_person_once_for_ever(database):
    ids = add_people(database, 2)
    source = source_of("launch-1")
    for expected in (2, 0):
        with database.write() as session:
            assert send(session, MAIL, to_person_ids=ids, now=START, source=source) == expected
    late = add_people(database, 1)
    with database.write() as session:
        assert send(session, MAIL, to_person_ids=ids + late, now=START, source=source) == 1


def test_send_without_a_key_is_a_new_send_each_time(database):
    ids = add_people(database, 1)
    for _ in range(2):
        with database.write() as session:
            assert send(session, MAIL, to_person_ids=ids, now=START) == 1
    assert len(deliveries(database)) == 2


def test_send_cuts_a_large_audience_into_parts(database, monkeypatch):
    monkeypatch.setattr(delivery_queue, "RANGE", 3)
    monkeypatch.setattr(delivery_queue, "LIST_RANGE", 2)
    ids = add_people(database, 8)
    query = select(PersonRow.id)
    assert send_in_parts(database, MAIL, to_person_ids=query, now=START) == 8
    assert send_in_parts(database, MAIL, to_person_ids=ids, now=START) == 8


def test_send_of_the_same_key_at_once_writes_each_person_once(database):
    add_people(database, 40)
    source = source_of("race")
    counts: list[int] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        counts.append(
            send_in_parts(
                database, MAIL, to_person_ids=select(PersonRow.id), now=START, source=source
            )
        )

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(counts) == 40
    assert len(deliveries(database)) == 40
    with database.read() as session:
        assert len(session.scalars(select(ContentRow)).all()) == 1


def test_send_keeps_a_version_of_the_words_only_when_they_change(database):
    ids = add_people(database, 1)
    source = source_of("news")
    for message in (MAIL, MAIL, Email("New", "words"), Email("New", "words")):
        with database.write() as session:
            send(session, message, to_person_ids=ids, now=START, source=source)
    with database.read() as session:
        rows = session.scalars(select(ContentRow).order_by(ContentRow.version)).all()
        assert [(row.version, row.subject) for row in rows] == [(1, MAIL.subject), (2, "New")]


@pytest.mark.parametrize("key", ["", " ", "x" * 151, "a\nb"])
def test_send_refuses_a_key_that_can_not_be_one(key):
    with pytest.raises(InvalidMessage, match="key"):
        source_of(key)


def test_send_refuses_what_is_no_message(database):
    with database.write() as session, pytest.raises(InvalidMessage, match="is no message"):
        send(session, "hello", to_person_ids=[1], now=START)
