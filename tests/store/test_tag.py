"""Tags and notes in the three databases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select

from flask_engage._clock import utcnow
from flask_engage.store import tag
from flask_engage.store.note import add_note, change_note, delete_note
from flask_engage.store.person import PersonRow, PersonTagRow
from flask_engage.store.segment import (
    NameTaken,
    add_segment,
    delete_segment,
    rename_segment,
    segment_documents,
)
from flask_engage.store.story import notes_before
from flask_engage.store.story_order import RANKS, Place
from flask_engage.store.tag import tag_people, untag_people

if TYPE_CHECKING:
    from flask_engage.store.engine import Database

NOW = utcnow()


@pytest.fixture
def ids(database: Database) -> list[int]:
    """Five people, the last of whom is deleted."""
    with database.write() as session:
        session.execute(
            insert(PersonRow),
            [
                {
                    "user_id": str(number),
                    "created_at": NOW,
                    "updated_at": NOW,
                    "deleted_at": NOW if number == 4 else None,
                }
                for number in range(5)
            ],
        )
        return list(session.scalars(select(PersonRow.id).order_by(PersonRow.user_id)))


def test_a_tag_is_put_on_the_living_once(database: Database, ids: list[int]) -> None:
    with database.write() as session:
        assert tag_people(session, ids[:2], "Beta ", NOW) == 2
        assert tag_people(session, ids, "Beta ", NOW + timedelta(days=1)) == 2
        assert tag_people(session, ids, "beta ", NOW) == 4
    with database.write() as session:
        when = select(PersonTagRow.created_at).where(PersonTagRow.person_id == ids[0])
        assert set(session.scalars(when)) == {NOW}
        assert untag_people(session, ids, "Beta ", NOW) == 4
        assert untag_people(session, ids, "Beta ", NOW) == 0
        assert set(session.scalars(select(PersonTagRow.name))) == {"beta "}


def test_nobody_has_more_tags_than_there_may_be(
    database: Database, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag, "MOST_TAGS", 2)
    with database.write() as session:
        assert [tag_people(session, ids[:1], name, NOW) for name in ("a", "b", "c")] == [1, 1, 0]


def test_notes_come_newest_first_and_belong_to_their_author(
    database: Database, ids: list[int]
) -> None:
    with database.write() as session:
        for day in range(3):
            add_note(session, ids[0], "7", f"day {day}", NOW + timedelta(days=day))
        later = Place(NOW + timedelta(days=2), RANKS["note"], 0)
        found = notes_before(session, ids[0], later, 5)
        assert [row.body for row in found] == ["day 1", "day 0"]
        number = found[0].id
        assert not change_note(session, ids[0], number, "8", "mine", NOW)
        assert not change_note(session, ids[1], number, "7", "mine", NOW)
        assert change_note(session, ids[0], number, "7", "🦉 day one", NOW)
        assert not delete_note(session, ids[0], number, "8")
        assert not delete_note(session, ids[1], number, None)
        assert delete_note(session, ids[0], number, None)


def test_a_segments_name_is_taken_once(database: Database) -> None:
    with database.write() as session:
        assert add_segment(session, "one", {"a": 1}, "7", NOW)
        assert add_segment(session, "two", {"a": 2}, "7", NOW)
    with pytest.raises(NameTaken), database.write() as session:
        add_segment(session, "one", {}, "7", NOW)
    with pytest.raises(NameTaken), database.write() as session:
        rename_segment(session, "one", "two", NOW)
    with database.write() as session:
        assert rename_segment(session, "one", "One", NOW)
        assert not rename_segment(session, "one", "three", NOW)
        assert delete_segment(session, "two")
        assert segment_documents(session) == {"One": {"a": 1}}
