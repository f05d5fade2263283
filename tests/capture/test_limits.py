"""Limits: what a fact may hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_engage.capture import limits
from flask_engage.capture.facts import Event, Seen, decode, encode, from_wire, to_wire
from flask_engage.errors import InvalidFact


class Level(str, Enum):  # noqa: UP042  (hosts have such enumerations, too)
    HIGH = "high"


class Plan(StrEnum):
    PRO = "pro"


def test_names_are_trimmed_and_composed() -> None:
    assert limits.check_name("  cafe\u0301 opened ") == "café opened"
    assert limits.check_name("x" * 64) == "x" * 64


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (limits.check_name, "x" * 65),
        (limits.check_name, " \t"),
        (limits.check_name, "bell\a"),
        (limits.check_name, b"bytes"),
        (limits.check_properties, {str(n): n for n in range(65)}),
        (limits.check_properties, {"a": "x" * 17_000}),
        (limits.check_properties, {"": 1}),
        (limits.check_properties, {1: 1}),
        (limits.check_properties, ["a"]),
        (limits.check_properties, {"a": float("inf")}),
        (limits.check_properties, {"a": 2**63}),
        (limits.check_values, {"a": "x" * 1025}),
        (limits.check_values, {"a": datetime(2026, 1, 1)}),  # noqa: DTZ001
        (limits.check_values, {str(n): n for n in range(101)}),
        (limits.check_time, datetime(2026, 1, 1)),  # noqa: DTZ001
        (limits.check_time, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        (limits.check_time, "2026-01-01"),
        (limits.check_hits, 0),
        (limits.check_hits, True),
        (limits.check_user_id, ""),
        (limits.check_user_id, "x" * 256),
        (limits.check_user_id, True),
        (limits.check_user_id, 10**400),
        (limits.check_user_id, "\ud800"),
        (limits.check_event_id, "x" * 192),
        (limits.check_event_id, ""),
    ],
)
def test_what_is_out_of_the_limits_is_refused(check: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(InvalidFact):
        check(value)


def test_plain_kinds_come_out() -> None:
    found = limits.check_properties({"plan": Plan.PRO, "n": True, "none": None})
    assert found == {"plan": "pro", "n": True, "none": None}
    assert type(found["plan"]) is str
    assert limits.check_properties({Level.HIGH: Level.HIGH}) == {"high": "high"}
    assert limits.check_event_id(Level.HIGH) == limits.check_user_id(Level.HIGH) == "high"
    assert limits.check_user_id(UUID(int=7)) == "00000000-0000-0000-0000-000000000007"


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=50).filter(lambda text: "\0" not in text),
)


@given(st.dictionaries(st.text(min_size=1, max_size=9).filter(lambda t: "\0" not in t), scalars))
def test_what_is_accepted_comes_back_the_same(properties: dict[str, Any]) -> None:
    if len(properties) > limits.KEYS:
        return
    checked = limits.check_properties(properties)
    fact = Event(datetime(2026, 1, 1, tzinfo=UTC), "7", "did", checked, "id", True)
    again = decode(encode(fact))
    assert again == fact
    assert isinstance(again, Event)
    assert {k: type(v) for k, v in again.properties.items()} == {
        k: type(v) for k, v in checked.items()
    }


def test_times_among_attributes_come_back_as_times() -> None:
    at = datetime(2026, 3, 29, 2, 30, 0, 7, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    values = limits.check_values({"t": at, "s": "2026-01-01T00:00:00+00:00", "n": 1, "x": None})
    fact = Seen(at, "7", attributes=to_wire(values))
    again = decode(encode(fact))
    assert isinstance(again, Seen)
    assert from_wire(again.attributes or {}) == values
    assert values["t"] == at


@given(st.binary(max_size=60))
def test_whatever_comes_along_is_trimmed_to_what_fits(data: bytes) -> None:
    found = limits.trim_text(data.decode(errors="surrogateescape"), 10)
    assert found is None or (0 < len(found) <= 10 and "\0" not in found and found.encode())


def test_names_that_pass_are_remembered_but_fill_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "_names", set())
    monkeypatch.setattr(limits, "_MOST_NAMES", 10)
    for number in range(100):
        assert limits.check_name(f"name {number}") == f"name {number}"
        assert limits.check_properties({f"key {number}": 1}) == {f"key {number}": 1}
        assert limits.check_name(f" näme {number}\n") == f"näme {number}"
        with pytest.raises(InvalidFact):
            limits.check_name("x" * 65 + str(number))
    assert len(limits._names) == 10
    assert limits.check_name("name 99") == "name 99"
