"""The words that the builder offers."""

from __future__ import annotations

from flask_engage.segments.defaults import built_in_segments
from flask_engage.segments.fields import FIELDS
from flask_engage.segments.vocabulary import vocabulary
from flask_engage.store.engine import Database
from tests.segments._world import NOW, Happening, Somebody, add_people


def test_the_vocabulary_names_what_has_been_seen(database: Database) -> None:
    with database.write() as session:
        add_people(
            session,
            [
                Somebody(attrs={"plan": "pro", "seats": 3, "🎉": True}),
                Somebody(attrs={"plan": 5, "ends": NOW, "Plan": "x"}),
                Somebody(did=(Happening("exported", NOW), Happening("Exported", NOW))),
                Somebody(did=(Happening("exported", NOW), Happening("paid", NOW))),
            ],
        )
    with database.read() as session:
        words = vocabulary(session, built_in_segments())
        bounded = vocabulary(session, limit=2)
    assert {term.name: term.kinds for term in words.attributes} == {
        "Plan": ("text",),
        "ends": ("time",),
        "plan": ("number", "text"),
        "seats": ("number",),
        "🎉": ("boolean",),
    }
    assert words.events == ("Exported", "exported", "paid")
    assert [term.name for term in words.fields] == list(FIELDS)
    assert words.segments[0] == "New"
    assert bounded.events == ("Exported", "exported")
    assert len(bounded.attributes) == 2
    (ends,) = (term for term in words.attributes if term.name == "ends")
    assert {"<", "is_set", "unchanged_for"} <= set(ends.operators)
    assert "contains" not in ends.operators


def test_an_empty_database_has_only_fields(database: Database) -> None:
    with database.read() as session:
        words = vocabulary(session)
    assert (words.attributes, words.events, words.segments) == ((), (), ())
