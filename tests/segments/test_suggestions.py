"""What exists, for whoever builds a filter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_engage.errors import InvalidFilter
from flask_engage.segments import suggestions
from flask_engage.segments.suggestions import (
    attribute_values,
    event_suggestions,
    field_values,
    property_names,
    property_values,
)
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.engine import Database
from flask_engage.store.event import EventNameRow
from tests.segments._world import NOW, Happening, Somebody, add_people

HOSTILE = '<b>"\u202e🎉%_'


def _pairs(found: suggestions.Suggestions) -> list[tuple[Any, int]]:
    return [(one.value, one.count) for one in found.values]


def test_values_come_with_counts_the_most_frequent_first(database: Database) -> None:
    people = [
        Somebody(fields={"country": "DE"}, attrs={"plan": "pro"}, tags=("vip",)),
        Somebody(fields={"country": "DE"}, attrs={"plan": 5}),
        Somebody(fields={"country": HOSTILE}, attrs={"plan": True}),
        Somebody(did=(Happening("paid", NOW, {"amount": 5, "kind": HOSTILE, "ok": True}),)),
        Somebody(did=(Happening("paid", NOW, {"amount": 5, "none": None}),)),
    ]
    with database.write() as session:
        ids = add_people(session, people)
        for number, one in zip(ids, people, strict=True):
            for name, value in one.attrs.items():
                row = session.get_one(AttributeRow, (number, name))
                row.value = json.dumps(value)
        session.add(EventNameRow(name="paid", count=2, first_at=NOW, last_at=NOW))
    with database.read() as session:
        countries = field_values(session, "country")
        assert _pairs(countries) == [("DE", 2), (HOSTILE, 1)]
        assert (countries.looked_at, countries.complete) == (5, True)
        assert _pairs(field_values(session, "country", search="<b")) == [(HOSTILE, 1)]
        assert _pairs(field_values(session, "country", search="de")) == []
        assert _pairs(field_values(session, "country", search="\0")) == []
        assert _pairs(field_values(session, "tags")) == [("vip", 1)]
        values = attribute_values(session, "plan")
        assert {(type(one.value), one.value) for one in values.values} == {
            (str, "pro"),
            (int, 5),
            (bool, True),
        }
        assert _pairs(attribute_values(session, "plan", search="p")) == [("pro", 1)]
        assert _pairs(event_suggestions(session, search="pa")) == [("paid", 2)]
        assert property_names(session, "paid") == {
            "amount": ("number",),
            "kind": ("text",),
            "ok": ("boolean",),
        }
        assert _pairs(property_values(session, "paid", "amount")) == [(5, 2)]
        assert _pairs(property_values(session, "paid", "kind", search="<")) == [(HOSTILE, 1)]
        assert property_names(session, "never") == {}


def test_a_sample_says_that_it_is_one(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions, "SAMPLE", 2)
    with database.write() as session:
        add_people(session, [Somebody(fields={"country": c}) for c in ("FR", "DE", "DE")])
    with database.read() as session:
        found = field_values(session, "country")
    assert (_pairs(found), found.looked_at, found.complete) == ([("DE", 2)], 2, False)


def test_only_fields_with_texts_have_suggestions(database: Database) -> None:
    with database.read() as session, pytest.raises(InvalidFilter, match="has no texts"):
        field_values(session, "last_seen")
