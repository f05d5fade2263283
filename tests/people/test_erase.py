"""Erased means erased: nothing names them any more, whatever was on its way meanwhile."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from flask_engage.capture.apply import Rules, apply
from flask_engage.capture.facts import Attributes, Event, Seen
from flask_engage.people.host_users import KnownUser
from flask_engage.people.sync import store_known
from flask_engage.store import erase as erasing
from flask_engage.store.base import Base
from flask_engage.store.delivery import DeliveryRow, OutboxRow
from flask_engage.store.engine import Database
from flask_engage.store.erase import clear_erased, erase_person
from flask_engage.store.journal import DeadLetterRow
from flask_engage.store.note import NoteRow
from flask_engage.store.operator import AuditRow
from flask_engage.store.person import PersonRow, PersonTagRow
from flask_engage.store.retry import persistently

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
RULES = Rules(timedelta(minutes=30), timedelta(hours=24), ZoneInfo("UTC"))
ID, EMAIL, NAME = "user-ada-1815", "ada.lovelace@example.org", 'Ada "Augusta" Lovelace <b>💜'


def mentions(database: Database, *needles: str) -> list[str]:
    """Return where in all of our tables one of `needles` stands."""
    found = []
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(sa.select(table)):
                text = "\n".join(str(value) for value in row)
                found += [f"{table.name}: {one}" for one in needles if one in text]
    return found


def facts(at: datetime, user_id: str = ID) -> list[Any]:
    return [
        Seen(at, user_id, email=EMAIL, name=NAME),
        Event(at, user_id, "exported", {"to": EMAIL}),
        Attributes(at, user_id, {"signature": ("v", NAME)}),
    ]


def store(database: Database, some: list[Any], now: datetime = NOW) -> None:
    persistently(database, lambda session: apply(session, some, RULES, now))


@pytest.fixture
def known(database: Database) -> Database:
    """Somebody with something in every corner, and somebody else beside them."""
    store(database, facts(NOW - timedelta(days=2)))
    store(database, [Seen(NOW, "grace", email="grace@example.org", name="Grace")])
    with database.write() as session:
        person_id = session.scalars(sa.select(PersonRow.id).where(PersonRow.user_id == ID)).one()
        session.add_all(
            [
                PersonTagRow(person_id=person_id, name="vip", created_at=NOW),
                NoteRow(
                    person_id=person_id,
                    operator_id="1",
                    body=f"{NAME} called",
                    created_at=NOW,
                    updated_at=NOW,
                ),
                DeadLetterRow(payload=f'["seen","{ID}"]', reason="too long", occurred_at=NOW),
                AuditRow(
                    operator_id="1",
                    action="send",
                    target="send:1",
                    detail={"to": f"{NAME}, Grace"},
                    occurred_at=NOW,
                ),
                OutboxRow(
                    message_id="<1@example.org>",
                    recipient=EMAIL,
                    subject=f"Hello {NAME}",
                    source=f"To: {EMAIL}",
                    created_at=NOW,
                ),
            ]
        )
    return database


def test_nothing_of_the_person_remains_in_any_table(known: Database) -> None:
    assert len(mentions(known, ID, EMAIL, NAME)) >= 8
    done = erase_person(known, NOW, user_id=ID)
    assert done.people == 1
    assert done.rows >= 6
    assert mentions(known, ID, EMAIL, NAME) == []
    with known.read() as session:
        assert session.scalars(sa.select(PersonRow.user_id)).all() == ["grace"]
        assert session.scalar(sa.select(AuditRow.detail)) == {"to": "(erased), Grace"}


def test_totals_by_day_stay(known: Database) -> None:
    erase_person(known, NOW, user_id=ID)
    with known.read() as session:
        table = Base.metadata.tables["engage_event_total"]
        assert session.execute(sa.select(table.c.name, table.c.count)).all() == [("exported", 1)]


def test_facts_from_before_are_dropped_without_a_trace_and_later_ones_begin_anew(
    known: Database,
) -> None:
    erase_person(known, NOW, user_id=ID)
    store(known, facts(NOW - timedelta(minutes=5)), NOW + timedelta(seconds=1))
    assert mentions(known, ID, EMAIL, NAME) == []
    store(known, [Seen(NOW + timedelta(minutes=5), ID, name="Ada")], NOW + timedelta(minutes=6))
    with known.read() as session:
        again = session.scalars(sa.select(PersonRow).where(PersonRow.user_id == ID)).one()
    assert (again.name, again.session_count, again.email) == ("Ada", 1, None)


def test_a_user_whom_nobody_knows_yet_can_be_erased(database: Database) -> None:
    assert erase_person(database, NOW, user_id=ID).people == 0
    store(database, facts(NOW - timedelta(minutes=1)))
    assert mentions(database, ID, EMAIL, NAME) == []


def test_both_rows_of_a_merged_person_go(known: Database) -> None:
    store(known, facts(NOW - timedelta(days=1), "ada-before"))
    with known.write() as session:
        target = session.scalars(sa.select(PersonRow.id).where(PersonRow.user_id == ID)).one()
        session.execute(
            sa.update(PersonRow).where(PersonRow.user_id == "ada-before").values(merged_into=target)
        )
    assert erase_person(known, NOW, user_id="ada-before").people == 2
    assert mentions(known, ID, "ada-before", EMAIL) == []


def test_who_died_half_way_is_found_by_the_next_one(
    known: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(erasing, "_delete", die)
    with pytest.raises(KeyboardInterrupt):
        erase_person(known, NOW, user_id=ID)
    with known.read() as session:  # nobody finds them from the first transaction on
        assert session.scalars(sa.select(PersonRow.email)).all().count(EMAIL) == 0
    monkeypatch.undo()
    assert clear_erased(known) >= 6
    assert mentions(known, ID, EMAIL, NAME) == []


def test_the_hosts_own_list_does_not_bring_them_back(known: Database) -> None:
    erase_person(known, NOW, user_id=ID)
    user = KnownUser(ID, EMAIL, NAME, None, None, {"a": 1})
    store_known(known, [user], NOW + timedelta(hours=1))
    assert mentions(known, ID, EMAIL, NAME) == []


def test_many_rows_go_in_batches(known: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "BATCH", 7)
    store(known, [Event(NOW, ID, f"did {n % 20}", {}) for n in range(60)])
    with known.write() as session:
        person_id = session.scalars(sa.select(PersonRow.id).where(PersonRow.user_id == ID)).one()
        content = Base.metadata.tables["engage_content"]
        assert session.scalar(sa.select(sa.func.count()).select_from(content)) == 0
        assert (
            session.scalar(sa.select(DeliveryRow.id).where(DeliveryRow.person_id == person_id))
            is None
        )
    assert erase_person(known, NOW, user_id=ID).rows >= 80
    assert mentions(known, ID, EMAIL) == []


def test_nothing_remains_when_writers_are_at_work_meanwhile(known: Database) -> None:
    stop, failed = threading.Event(), []
    written = threading.Semaphore(0)

    def write(number: int) -> None:
        turn = 0
        try:
            while not stop.is_set():
                turn += 1
                at = NOW - timedelta(seconds=1 + turn % 50, days=number)
                store(known, facts(at), NOW + timedelta(microseconds=turn))
                written.release()
        except Exception as error:  # noqa: BLE001  (told to the test)
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            for _ in range(4):
                assert written.acquire(timeout=30)
            erase_person(known, NOW, user_id=ID)
        for _ in range(4):
            assert written.acquire(timeout=30)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not failed
    assert mentions(known, ID, EMAIL, NAME) == []
