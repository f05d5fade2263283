"""Segments inside of filters, and the ones that everybody has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from flask_engage.errors import InvalidFilter
from flask_engage.segments.compile import CompileContext, validate, where
from flask_engage.segments.defaults import built_in_segments
from flask_engage.segments.filter import Filter
from flask_engage.segments.words import everyone, in_segment, person
from tests.segments._world import Somebody, days_ago


def _validate(wanted: Filter, **segments: Filter) -> None:
    validate(wanted, CompileContext("sqlite", segments))


def test_an_unknown_segment_is_an_error_with_a_hint() -> None:
    with pytest.raises(InvalidFilter, match="'germen': did you mean 'germans'"):
        _validate(in_segment("germen"), germans=person.country == "DE")


def test_a_circle_of_segments_is_an_error_that_shows_it() -> None:
    with pytest.raises(InvalidFilter, match="a → b → c → a"):
        _validate(in_segment("a"), a=~in_segment("b"), b=in_segment("c"), c=in_segment("a"))
    with pytest.raises(InvalidFilter, match="me → me"):
        _validate(everyone & in_segment("me"), me=in_segment("me") | everyone)


def test_a_segment_used_twice_is_no_circle() -> None:
    _validate(in_segment("a") & ~in_segment("a"), a=everyone)


def test_segments_that_multiply_are_refused_before_they_reach_the_database() -> None:
    segments = {"s0": person.country.is_set()}
    for number in range(1, 40):
        inner = in_segment(f"s{number - 1}")
        segments[f"s{number}"] = inner & ~inner
    with pytest.raises(InvalidFilter, match="400 conditions"):
        _validate(in_segment("s39"), **segments)


def test_a_context_knows_its_databases() -> None:
    assert CompileContext("mariadb").dialect == "mysql"
    with pytest.raises(InvalidFilter, match="oracle"):
        CompileContext("oracle")


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        where(everyone, now=datetime(2026, 1, 1), context=CompileContext("sqlite"))  # noqa: DTZ001


def test_the_largest_filter_is_one_that_every_database_takes(
    matching: Callable[..., set[str]],
) -> None:
    many = person.user_id.in_(range(9_000))
    half = everyone
    for number in range(190):
        half = half & ((person.sessions != number + 5) | person.country.is_set())
        if half.extent.conditions > 195:
            break
    assert matching(in_segment("half") & half & many, {"half": half}, **{"5": Somebody()}) == {"5"}


def test_built_in_segments_cut_by_age(matching: Callable[..., set[str]]) -> None:
    def seen(first: float, last: float, sessions: int) -> Somebody:
        return Somebody(
            {
                "signed_up_at": days_ago(first),
                "first_seen_at": days_ago(first),
                "last_seen_at": days_ago(last),
                "session_count": sessions,
            }
        )

    people = {
        "hour": seen(1 / 24, 0, 1),
        "today": seen(1, 0.5, 2),
        "week": seen(80, 7, 30),
        "once": seen(5, 5, 1),
        "fading": seen(80, 45, 3),
        "gone": seen(200, 61, 9),
        "never": Somebody(),
    }
    segments = built_in_segments()
    found = {"everyone": matching(everyone, **people)}
    found |= {name: matching(in_segment(name), segments) for name in segments}
    assert found == {
        "everyone": set(people),
        "New": {"hour", "today"},
        "Active": {"hour", "today", "week", "once"},
        "Slipping away": {"fading"},
        "Lost": {"gone"},
        "Never returned": {"once"},
    }
