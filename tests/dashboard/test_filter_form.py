"""Conditions as forms: there and back, and errors that name the field."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_engage import Filter, ago, attr, did, from_now, in_segment, person, received
from flask_engage.dashboard.filter_asked import OPERATORS
from flask_engage.dashboard.filter_back import form_of
from flask_engage.dashboard.filter_form import read_condition
from flask_engage.errors import InvalidFilter
from flask_engage.segments.fields import FIELDS

UTC = ZoneInfo("UTC")
KINDS = {"plan": ("s",), "score": ("n",), "active": ("b",), "renews": ("t",), "odd": ("s", "n")}


def _person(field: str, op: str, value: str = "") -> dict[str, str]:
    return {"about": "person", "field": field, "op": op, "value": value}


def _attr(name: str, op: str, value: str = "") -> dict[str, str]:
    return {"about": "attr", "name": name, "op": op, "value": value}


SAME = [
    (
        _person("last_seen", "older", "14"),
        person.last_seen < ago(days=14),
    ),
    (
        _person("last_seen", "newer", "7"),
        person.last_seen > ago(days=7),
    ),
    (
        _person("signed_up", "before", "2026-03-01"),
        person.signed_up < datetime(2026, 3, 1, tzinfo=UTC),
    ),
    (
        _person("signed_up", "after", "2026-03-01"),
        person.signed_up >= datetime(2026, 3, 1, tzinfo=UTC),
    ),
    (_person("sessions", "ge", "3"), person.sessions >= 3),
    (
        _person("email", "lacks", "@x"),
        ~person.email.contains("@x"),
    ),
    (
        _person("name", "starts", "A"),
        person.name.startswith("A"),
    ),
    (
        _person("country", "in", "DE, FR"),
        person.country.in_(["DE", "FR"]),
    ),
    (_person("country", "unset"), ~person.country.is_set()),
    (
        _person("tags", "has", "beta"),
        person.tags.contains("beta"),
    ),
    (
        _person("tags", "lacks", "beta"),
        ~person.tags.contains("beta"),
    ),
    (_person("unsubscribed", "no"), person.unsubscribed == False),  # noqa: E712
    (_attr("plan", "eq", "7"), attr("plan") == "7"),
    (_attr("score", "ne", "2.5"), attr("score") != 2.5),
    (_attr("active", "yes"), attr("active") == True),  # noqa: E712
    (
        _attr("renews", "soon", "3"),
        attr("renews") < from_now(days=3),
    ),
    (_attr("odd", "eq", "7"), attr("odd") == 7),
    (_attr("odd", "eq", "seven"), attr("odd") == "seven"),
    (_attr("never seen", "set"), attr("never seen").is_set()),
    (
        _attr("plan", "unchanged", "7"),
        attr("plan").unchanged_for(days=7),
    ),
    ({"about": "did", "event": "exported"}, did("exported")),
    (
        {"about": "did", "event": "exported", "did": "not", "days": "30"},
        ~did("exported").within(days=30),
    ),
    (
        {"about": "did", "event": "exported", "did": "yes", "count": "5", "days": "7"},
        did("exported").at_least(5).within(days=7),
    ),
    (
        {"about": "received", "message": "welcome", "outcome": "not_clicked"},
        ~received("welcome").clicked(),
    ),
    ({"about": "segment", "in_segment": "Active", "not": "1"}, ~in_segment("Active")),
]


@pytest.mark.parametrize(("form", "expected"), SAME, ids=lambda value: str(value)[:40])
def test_a_form_says_what_python_says(form: dict[str, str], expected: Filter) -> None:
    made = read_condition(form, KINDS, UTC)
    assert made.to_json() == expected.to_json()


@pytest.mark.parametrize(("form", "expected"), SAME, ids=lambda value: str(value)[:40])
def test_a_condition_goes_back_into_the_form_it_came_from(
    form: dict[str, str], expected: Filter
) -> None:
    back = form_of(expected)
    assert back is not None
    assert read_condition(back, KINDS, UTC).to_json() == expected.to_json()


WRONG = [
    (_person("shoe size", "eq", "1"), "shoe size"),
    (
        _person("sessions", "eq", "many"),
        "value: 'many' is no number",
    ),
    (_person("sessions", "older", "1"), "op: this is a number"),
    (
        _person("last_seen", "older", ""),
        "value: '' is no number of days",
    ),
    (_person("last_seen", "older", "-3"), "value: '-3' days"),
    (
        _person("last_seen", "before", "soon"),
        "value: 'soon' is no day",
    ),
    (_person("name", "eq", ""), "value: write a text"),
    (_person("name", "in", " , "), "value: write one or more"),
    (
        _attr("", "eq", "x"),
        "name: write the name of the attribute",
    ),
    ({"about": "did", "event": " "}, "event: write the name of the event"),
    ({"about": "did", "event": "x", "count": "0"}, "count: '0'"),
    ({"about": "did", "event": "x", "days": "1.5"}, "days: '1.5'"),
    ({"about": "did", "event": "x", "days": "9" * 40}, "days: "),
    ({"about": "received", "message": "x", "outcome": "__init__"}, "outcome: "),
    ({"about": "segment"}, "in_segment: write the name"),
    ({"about": "'; drop table"}, "about: "),
    ({}, "about: "),
]


@pytest.mark.parametrize(("form", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_an_error_names_the_field_and_how_to_mend_it(form: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        read_condition(form, KINDS, UTC)
    assert words in str(caught.value)


_CODES = [code for choices in OPERATORS.values() for code, *_rest in choices]


@given(
    st.fixed_dictionaries(
        {"about": st.sampled_from(["person", "attr", "did", "received", "segment", "x"])},
        optional={
            "field": st.sampled_from([*FIELDS, "x"]),
            "name": st.text(max_size=70),
            "op": st.sampled_from([*_CODES, "set", "unset", "unchanged", "", "x"]),
            "value": st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str)),
            "event": st.text(max_size=70),
            "did": st.sampled_from(["yes", "not"]),
            "count": st.text(max_size=12),
            "days": st.text(max_size=12),
            "message": st.text(max_size=210),
            "outcome": st.text(max_size=12),
            "in_segment": st.text(max_size=140),
            "not": st.text(max_size=1),
        },
    )
)
def test_any_form_is_a_filter_or_an_error_of_ours(form: dict[str, str]) -> None:
    try:
        made = read_condition(form, KINDS, UTC)
    except InvalidFilter:
        return
    assert Filter.from_json(made.to_json()).to_json() == made.to_json()
    back = form_of(made)
    if back is not None:
        assert read_condition(back, KINDS, UTC).to_json() == made.to_json()
