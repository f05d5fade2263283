"""One thing done to many people: in batches that are whole, gone on with, and taken back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from flask_engage.segments import in_bulk
from flask_engage.segments.in_bulk import Span, erase_part, tag_part, undo_part, untag_part
from flask_engage.segments.people import newest_id
from flask_engage.segments.words import everyone, person
from flask_engage.store import tag
from flask_engage.store.event import EventRow
from flask_engage.store.operator import AuditRow, write_audit
from flask_engage.store.person import PersonRow, PersonTagRow, TombstoneRow
from flask_engage.store.person_write import tombstone_of
from flask_engage.store.tag import tag_people
from tests.segments._world import NOW, Somebody, add_people

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from flask_engage.segments.people import People
    from flask_engage.store.engine import Database

LATER = NOW + timedelta(hours=1)
WHOLE = 2**62


@pytest.fixture
def ids(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seven people, in batches of three."""
    monkeypatch.setattr(in_bulk, "BATCH", 3)
    monkeypatch.setattr(in_bulk, "ERASED_BATCH", 3)
    with database.write() as session:
        return add_people(
            session,
            [Somebody({"user_id": str(one), "email": f"{one}@example.org"}) for one in range(7)],
        )


def _noting(work: str, name: str = "beta") -> Callable[[Session, list[int]], None]:
    def note(session: Session, people: list[int]) -> None:
        detail = {"people": people, "tag": name}
        write_audit(session, operator_id="7", action="x", target=work, detail=detail, now=LATER)

    return note


def _tagged(database: Database, name: str = "beta") -> set[int]:
    with database.read() as session:
        return set(session.scalars(select(PersonTagRow.person_id).where(PersonTagRow.name == name)))


def _noted(database: Database, work: str) -> list[list[int]]:
    with database.read() as session:
        rows = session.scalars(
            select(AuditRow).where(AuditRow.target == work).order_by(AuditRow.id)
        )
        return [list(row.detail["people"]) for row in rows]


def test_a_tag_reaches_everybody_in_parts_that_end_with_their_time(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    untagged = people_of(~person.tags.contains("beta"))  # the work itself makes them leave
    seen, position, parts = 0, 0, 0
    while True:
        seconds = itertools.count()  # each look at the watch is a second later
        span = Span(position, WHOLE, 1.0, lambda seconds=seconds: float(next(seconds)))  # type: ignore[misc]
        part = tag_part(database, untagged, "beta", NOW, _noting("w"), span)
        seen, position, parts = seen + part.seen, part.position, parts + 1
        if part.is_done:
            break
        assert part.seen == part.changed == 3
    assert (seen, parts) == (7, 3)
    assert _tagged(database) == set(ids)
    assert _noted(database, "w") == [ids[:3], ids[3:6], ids[6:]]


def test_whom_we_came_to_know_meanwhile_is_left_out(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    until = newest_id(database)
    with database.write() as session:
        (late,) = add_people(session, [Somebody({"user_id": "late"})])
    part = tag_part(database, people_of(), "beta", NOW, _noting("w"), Span(0, until))
    assert part.is_done
    assert part.changed == 7
    assert late not in _tagged(database)


def test_who_had_the_tag_or_has_too_many_is_told_apart(
    database: Database,
    ids: list[int],
    people_of: Callable[..., People],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tag, "MOST_TAGS", 2)
    with database.write() as session:
        tag_people(session, ids[:2], "beta", NOW)
        for name in ("a", "b"):
            tag_people(session, ids[6:], name, NOW)
    part = tag_part(database, people_of(), "beta", LATER, _noting("w"), Span(0, WHOLE))
    assert (part.seen, part.changed, part.already) == (7, 4, 2)
    assert _noted(database, "w") == [[ids[2]], ids[3:6]]


def test_undoing_a_tag_takes_it_off_only_where_this_work_put_it(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        tag_people(session, ids[:1], "beta", NOW)  # had it before
    tag_part(database, people_of(), "beta", LATER, _noting("w"), Span(0, WHOLE))
    with database.write() as session:
        tag.untag_people(session, ids[1:2], "beta", LATER)
        tag_people(session, ids[1:2], "beta", LATER + timedelta(hours=1))  # by somebody else
    undone = undo_part(
        database,
        "w",
        "beta",
        LATER,
        LATER,
        _noting("undo w"),
        Span(0, WHOLE),
        was_put=True,
    )
    assert undone.is_done
    assert undone.changed == 5
    assert _tagged(database) == set(ids[:2])


def test_undoing_the_taking_off_gives_it_back_to_those_who_had_it(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        tag_people(session, ids[2:5], "beta", NOW)
    taken = untag_part(database, people_of(), "beta", LATER, _noting("w"), Span(0, WHOLE))
    assert (taken.changed, taken.already) == (3, 4)
    assert _tagged(database) == set()
    position, parts = 0, 0
    while True:  # one batch a part
        span = Span(position, WHOLE, -1.0)
        undone = undo_part(
            database, "w", "beta", NOW, LATER, _noting("undo w"), span, was_put=False
        )
        position, parts = undone.position, parts + 1
        if undone.is_done:
            break
    assert parts == 3
    assert _tagged(database) == set(ids[2:5])


def test_a_batch_that_can_not_be_written_down_is_not_done(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    def refuse(_session: Session, people: list[int]) -> None:
        if ids[3] in people:
            raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        tag_part(database, people_of(), "beta", NOW, refuse, Span(0, WHOLE))
    assert _tagged(database) == set(ids[:3])


def test_erasing_many_leaves_nothing_of_them_and_all_of_the_others(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        (merged,) = add_people(session, [Somebody({"user_id": "before", "merged_into": ids[0]})])
        for person_id in (*ids, merged):
            session.add(_event(person_id))
        tag_people(session, ids, "beta", NOW)
        write_audit(
            session,
            operator_id="7",
            action="send",
            target="x",
            detail={"to": "1@example.org, 6@example.org"},
            now=NOW,
        )
    counts: list[int] = []
    first = people_of(person.user_id.in_(["0", "1", "2", "3", "4"]))
    part = erase_part(
        database, first, NOW, lambda _session, count: counts.append(count), Span(0, WHOLE)
    )
    assert (part.changed, counts, part.is_done) == (5, [3, 2], True)
    with database.read() as session:
        assert set(session.scalars(select(PersonRow.id))) == set(ids[5:])
        assert set(session.scalars(select(EventRow.person_id))) == set(ids[5:])
        hashes = set(session.scalars(select(TombstoneRow.hash)))
        assert hashes == {tombstone_of(one) for one in ("0", "1", "2", "3", "4", "before")}
        detail = session.scalars(select(AuditRow.detail)).one()
        assert detail == {"to": "(erased), 6@example.org"}
    assert _tagged(database) == set(ids[5:])


def test_a_choice_is_narrowed_by_a_search_and_by_ids(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.read() as session:
        public = dict(session.execute(select(PersonRow.id, PersonRow.public_id)).all())
    some = people_of(everyone).narrowed(public_ids=[public[ids[1]], public[ids[4]], "nobody\0"])
    assert some.ids() == [ids[1], ids[4]]
    assert some.ids(after=ids[1]) == [ids[4]]
    assert some.ids(up_to=ids[1]) == [ids[1]]
    assert [one.user_id for one in some] == ["1", "4"]
    assert some.count() == some.count_within().number == 2
    assert people_of().narrowed(search="3@EXAMPLE").ids() == [ids[3]]
    assert some.narrowed(search="3@example").count() == 0


def _event(person_id: int) -> EventRow:
    return EventRow(
        person_id=person_id, name="exported", properties={}, occurred_at=NOW, received_at=NOW
    )


def test_who_got_the_id_of_somebody_erased_has_no_part_in_what_began_before(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        tag_people(session, ids, "beta", NOW)
    untag_part(database, people_of(), "beta", LATER, _noting("w"), Span(0, WHOLE))
    gone = people_of(person.user_id == "6")
    erase_part(database, gone, NOW, lambda _session, _count: None, Span(0, WHOLE))
    with database.write() as session:
        (new,) = add_people(session, [Somebody({"user_id": "new"})])
        session.get_one(PersonRow, new).created_at = LATER
        # As SQLite does by itself, where the highest id is free again.
        session.execute(update(PersonRow).where(PersonRow.id == new).values(id=ids[6]))
    undone = undo_part(
        database, "w", "beta", NOW, LATER, _noting("undo w"), Span(0, WHOLE), was_put=False
    )
    assert undone.is_done
    assert _tagged(database) == set(ids[:6])
    span = Span(0, ids[6], known_by=NOW)
    assert tag_part(database, people_of(), "more", LATER, _noting("m"), span).seen == 6
    erase_part(database, people_of(), LATER, lambda _session, _count: None, span)
    with database.read() as session:
        assert list(session.scalars(select(PersonRow.user_id))) == ["new"]
