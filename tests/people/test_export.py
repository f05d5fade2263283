"""What goes out comes in again as it was, and no spreadsheet runs it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flask_engage.errors import InvalidFilter
from flask_engage.people.transfer.cells import read_tags, read_text, tags_cell, text_cell
from flask_engage.people.transfer.exporting import columns_of, export
from flask_engage.people.transfer.mapping import checked_mapping, guess, read_record
from flask_engage.people.transfer.reading import records, survey
from flask_engage.types import Person

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
WILD = [
    "",
    "'",
    "''=1",
    "=1",
    "+1",
    "-1",
    "@SUM",
    "\t=1",
    "\r=1",
    "＝1",
    '"=1',
    "\n",
    "a,b;c",
    "[x",
]

texts = st.sampled_from(WILD) | st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12
)
LONG_AGO, LATELY = datetime(1971, 1, 1), datetime(2026, 1, 1)  # noqa: DTZ001  (made aware)
moments = st.datetimes(LONG_AGO, LATELY, timezones=st.just(UTC))
names = st.sampled_from(["plan", "=cmd", "a:b", "x,y", "'q", "<b>"])
values = (
    texts
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | moments
)
tags = st.lists(texts.filter(bool), max_size=3, unique=True).map(lambda some: tuple(sorted(some)))
people = st.builds(
    Person,
    public_id=st.just("p"),
    user_id=texts.filter(bool),
    email=st.none() | st.sampled_from(["ada@x.org", "-x@y", "=1@z"]),
    name=st.none() | texts.filter(bool),
    signed_up=st.none() | moments,
    sessions=st.integers(0, 2**31 - 1),
    tags=tags,
    attrs=st.dictionaries(names, values, max_size=4),
)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(people, min_size=1, max_size=5))
@example(some=[Person(public_id="p", user_id="'", name="''=1", attrs={"plan": "'"})])
def test_a_round_trip_is_identical(tmp_path: Path, kind: str, some: list[Person]) -> None:
    kinds: dict[str, str] = {}
    for person in some:
        for name, value in person.attrs.items():
            word = {bool: "b", int: "n", float: "n", str: "s", datetime: "t"}[type(value)]
            kinds[name] = "".join(sorted({*kinds.get(name, ""), word}))
    path = tmp_path / f"out.{kind}"
    path.write_bytes("".join(export(some, columns_of(kinds), kind)).encode())
    layout = survey(path)
    assert layout.format == kind
    mapping = checked_mapping(guess(layout.columns), layout.columns)
    back = []
    for record in records(path, layout):
        entry, wrong = read_record(record, mapping, UTC, NOW)
        assert wrong == []
        back.append(
            (entry.user_id, entry.email, entry.name, entry.signed_up, entry.sessions, entry.tags)
        )
        assert entry.attributes == dict(some[len(back) - 1].attrs)
        assert [type(one) for one in entry.attributes.values()] == [
            type(some[len(back) - 1].attrs[name]) for name in entry.attributes
        ]
    assert back == [
        (one.user_id, one.email, one.name, one.signed_up, one.sessions, list(one.tags))
        for one in some
    ]


@settings(max_examples=50)
@given(text=texts)
@example(text="'=1")
def test_no_cell_of_text_is_a_formula(text: str) -> None:
    cell = text_cell(text)
    assert cell[0] not in "=+-@\t\r\n＝"
    assert read_text(cell) == text


@settings(max_examples=30)
@given(some=tags)
def test_tags_come_back(some: tuple[str, ...]) -> None:
    assert read_tags(tags_cell(some)) == list(some)


def test_numbers_stay_numbers_and_headings_are_safe_too() -> None:
    person = Person(public_id="p", user_id="-5", attrs={"score": -5, "=cmd": "x"})
    columns = columns_of({"score": "n", "=cmd": "s"}, ["user_id", "score", "=cmd"])
    rows = list(csv.reader(io.StringIO("".join(export([person], columns, "csv")), newline="")))
    assert rows == [["user_id", "number:score", "text:=cmd"], ["'-5", "-5", "x"]]


def test_unknown_columns_are_refused() -> None:
    with pytest.raises(InvalidFilter, match="no column 'colour'"):
        columns_of({"plan": "s"}, ["user_id", "colour"])
