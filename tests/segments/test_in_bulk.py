"""One thing done to many people: in batches that are whole, gone on with, and taken back."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, update

from flask_engage.segments import in_bulk
from flask_engage.segments.in_bulk import (
    Part,
    Span,
    erase_part,
    is_undone,
    tag_part,
    undo_part,
    untag_part,
)
from flask_engage.segments.people import newest_id
from flask_engage.segments.words import everyone, person
from flask_engage.store import tag
from flask_engage.store.event import EventRow
from flask_engage.store.operator import AuditRow, write_audit
from flask_engage.store.person import PersonRow, PersonTagRow, TombstoneRow
from flask_engage.store.person_write import tombstone_of
from flask_engage.store.segment_member import SegmentChangeRow
from flask_engage.store.tag import tag_people, tagged_among, untag_people
from flask_engage.store.tag_undo import undo_putting, undo_taking
from tests.segments._world import NOW, Somebody, add_people

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from flask_engage.segments.people import People
    from flask_engage.store.engine import Database

LATER = NOW + timedelta(hours=1)
UNDONE = NOW + timedelta(hours=2)
MINUTE = timedelta(minutes=1)
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
            database, "w", "beta", LATER, LATER, _noting("undo w"), span, was_put=False
        )
        position, parts = undone.position, parts + 1
        if undone.is_done:
            break
    assert parts == 3
    assert _tagged(database) == set(ids[2:5])


def _undo(
    database: Database, work: str, begun: datetime, *, was_put: bool, note: Any = None
) -> Part:
    """Take all of a work back."""
    note = note or _noting(f"undo {work}")
    span = Span(0, WHOLE)
    return undo_part(database, work, "beta", begun, UNDONE, note, span, was_put=was_put)


def test_what_was_undone_is_not_undone_again(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        tag_people(session, ids, "beta", NOW)
    untag_part(database, people_of(), "beta", LATER, _noting("off"), Span(0, WHOLE))
    assert not is_undone(database, "off", LATER)
    first = _undo(database, "off", LATER, was_put=False)
    assert (first.seen, first.changed, first.already) == (7, 7, 0)
    assert is_undone(database, "off", LATER)
    with database.write() as session:
        tag.untag_people(session, ids[:4], "beta", UNDONE)  # by somebody who means it
    again = _undo(database, "off", LATER, was_put=False)
    assert (again.seen, again.changed, again.already, again.is_done) == (7, 0, 7, True)
    assert _tagged(database) == set(ids[4:])
    assert _noted(database, "undo off") == [ids[:3], ids[3:6], ids[6:]]


def test_a_tag_that_was_undone_and_put_anew_stays(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    tag_part(database, people_of(), "beta", LATER, _noting("one"), Span(0, WHOLE))
    assert _undo(database, "one", LATER, was_put=True).changed == 7
    # Of the same moment, so that nothing but the first undo tells the two apart.
    tag_part(database, people_of(), "beta", LATER, _noting("two"), Span(0, WHOLE))
    again = _undo(database, "one", LATER, was_put=True)
    assert (again.changed, again.already) == (0, 7)
    assert _tagged(database) == set(ids)
    assert _undo(database, "two", LATER, was_put=True).changed == 7
    assert _tagged(database) == set()


def test_a_tag_is_undone_after_its_taking_off_was(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    tag_part(database, people_of(), "beta", NOW, _noting("on"), Span(0, WHOLE))
    before = _history(database)
    untag_part(database, people_of(), "beta", LATER, _noting("off"), Span(0, WHOLE))
    assert _undo(database, "off", LATER, was_put=False).changed == 7
    assert _history(database) == before, "it is not as if nothing had happened"
    assert _undo(database, "on", NOW, was_put=True).changed == 7
    assert _tagged(database) == set()


def test_what_was_undone_first_is_not_given_back_by_what_is_undone_second(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        tag_people(session, ids[:2], "beta", NOW - timedelta(days=500))
    tag_part(database, people_of(), "beta", NOW, _noting("on"), Span(0, WHOLE))
    untag_part(database, people_of(), "beta", LATER, _noting("off"), Span(0, WHOLE))
    assert _undo(database, "on", NOW, was_put=True).changed == 0
    with database.write() as session:
        # Of long ago it isn't kept for ever since when they had it.
        session.execute(delete(SegmentChangeRow).where(SegmentChangeRow.at < NOW))
    assert _undo(database, "off", LATER, was_put=False).changed == 2
    assert _tagged(database) == set(ids[:2])


def test_what_others_did_since_is_not_undone(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        tag_people(session, ids, "beta", NOW)
    untag_part(database, people_of(), "beta", LATER, _noting("off"), Span(0, WHOLE))
    with database.write() as session:
        tag_people(session, ids[:4], "beta", LATER + MINUTE)
        tag.untag_people(session, ids[:2], "beta", LATER + 2 * MINUTE)
    assert _undo(database, "off", LATER, was_put=False).changed == 3
    assert _tagged(database) == set(ids[2:])


def test_who_was_tagged_by_a_clock_ahead_of_ours_is_untagged_and_given_back(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        tag_people(session, ids[:1], "beta", LATER + MINUTE)
    before = _history(database)
    assert untag_part(database, people_of(), "beta", LATER, _noting("w"), Span(0, WHOLE)).changed
    assert _undo(database, "w", LATER, was_put=False).changed == 1
    assert _history(database) == before


def test_two_that_undo_at_once_undo_each_batch_once(
    database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    with database.write() as session:
        tag_people(session, ids, "beta", NOW)
    untag_part(database, people_of(), "beta", LATER, _noting("off"), Span(0, WHOLE))
    together = threading.Barrier(4)

    def undo() -> Part:
        together.wait(20)
        return _undo(database, "off", LATER, was_put=False)

    with ThreadPoolExecutor(4) as pool:
        parts = [one.result() for one in [pool.submit(undo) for _ in range(4)]]
    assert sum(part.changed for part in parts) == 7
    assert [part.changed + part.already for part in parts] == [7] * 4
    assert len(_noted(database, "undo off")) == 3


ORDERS = [
    (works, order)
    for works in (1, 2, 3)
    for some in range(1, works + 1)
    for order in itertools.permutations(range(works), some)
]


@pytest.mark.parametrize("had", [False, True])
def test_every_order_of_undoing_few_works_leaves_the_others_alone(
    had: bool, database: Database, ids: list[int]
) -> None:
    """By turns a tag is put on somebody and taken off, by one operator or by several."""
    one = ids[:1]
    with database.write() as session:
        for number, (works, order) in enumerate(ORDERS):
            name = f"tag {number}"
            if had:
                tag_people(session, one, name, NOW)
            for turn in range(works):
                work = tag_people if had == bool(turn % 2) else untag_people
                assert work(session, one, name, LATER + turn * MINUTE) == 1
            for turn in order:
                undo = undo_putting if had == bool(turn % 2) else undo_taking
                undo(session, one, name, LATER + turn * MINUTE, UNDONE)
            left = [turn for turn in range(works) if turn not in order]
            expected = had == bool(left[-1] % 2) if left else had
            assert bool(tagged_among(session, one, name)) == expected, (works, order)


@pytest.mark.parametrize("seed", range(5))
def test_in_whatever_order_it_is_undone_the_others_stay_as_they_would_be(
    seed: int, database: Database, ids: list[int], people_of: Callable[..., People]
) -> None:
    chance = random.Random(seed)
    log: dict[int, list[tuple[datetime, bool]]] = {one: [] for one in ids}
    works: list[tuple[str, datetime, bool, list[int]]] = []
    undone: set[str] = set()
    for minute in range(30):
        at, puts = NOW + minute * MINUTE, chance.random() < 0.5
        some = [one for one in ids if chance.random() < 0.7]
        has = {one: bool(log[one]) and max(log[one])[1] for one in ids}
        changed = [one for one in some if has[one] != puts]
        kind = chance.choice(["work", "work", "undo", "undo", "by hand"])
        if kind == "undo" and works:
            name, begun, did_put, whom = chance.choice(works)
            _undo(database, name, begun, was_put=did_put)
            for one in whom if name not in undone else []:
                log[one].remove((begun, did_put))
            undone.add(name)
        elif kind == "work":
            chosen = people_of(person.user_id.in_([str(ids.index(one)) for one in some]))
            part = tag_part if puts else untag_part
            name, span = f"w{minute}", Span(0, WHOLE)
            assert part(database, chosen, "beta", at, _noting(name), span).changed == len(changed)
            works.append((name, at, puts, changed))
            _log(log, changed, at, puts)
        else:
            with database.write() as session:
                (tag_people if puts else tag.untag_people)(session, some, "beta", at)
            _log(log, changed, at, puts)
        assert _since(database) == _since_by(log), f"after minute {minute}: {kind}"


def _log(
    log: dict[int, list[tuple[datetime, bool]]], whom: list[int], at: datetime, puts: bool
) -> None:
    for one in whom:
        log[one].append((at, puts))


def _since(database: Database) -> dict[int, datetime]:
    with database.read() as session:
        rows = session.execute(select(PersonTagRow.person_id, PersonTagRow.created_at))
        return {row.person_id: row.created_at for row in rows}


def _since_by(log: dict[int, list[tuple[datetime, bool]]]) -> dict[int, datetime]:
    """Return since when people have the tag by what was done and not undone."""
    found = {}
    for one, moments in log.items():
        since = None
        for at, puts in sorted(moments):
            since = (since or at) if puts else None
        if since is not None:
            found[one] = since
    return found


def _history(database: Database) -> set[tuple[object, ...]]:
    """Return who has the tag since when, and who had it."""
    with database.read() as session:
        has = session.execute(select(PersonTagRow.person_id, PersonTagRow.created_at))
        had = session.execute(select(SegmentChangeRow.person_id, SegmentChangeRow.at))
        return {("has", *row) for row in has} | {("had", *row) for row in had}


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
        database, "w", "beta", LATER, LATER, _noting("undo w"), Span(0, WHOLE), was_put=False
    )
    assert undone.is_done
    assert _tagged(database) == set(ids[:6])
    span = Span(0, ids[6], known_by=NOW)
    assert tag_part(database, people_of(), "more", LATER, _noting("m"), span).seen == 6
    erase_part(database, people_of(), LATER, lambda _session, _count: None, span)
    with database.read() as session:
        assert list(session.scalars(select(PersonRow.user_id))) == ["new"]
