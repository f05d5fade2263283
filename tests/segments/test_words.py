"""The words: what they refuse, and how they say it."""

from __future__ import annotations

import functools
import operator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flask_engage.errors import InvalidFilter
from flask_engage.segments.fields import FIELDS
from flask_engage.segments.words import (
    ago,
    attr,
    did,
    everyone,
    from_now,
    in_segment,
    person,
    prop,
    received,
)

GERMAN = person.country == "DE"


@pytest.mark.parametrize(
    "use",
    [
        lambda: GERMAN and everyone,
        lambda: GERMAN or everyone,
        lambda: not GERMAN,
        lambda: 1 if GERMAN else 2,
        lambda: 1 < person.sessions < 5,
        lambda: person.country in ["DE"],
        lambda: bool(person.last_seen),
        lambda: not attr("plan"),
        lambda: did("paid").where(prop("a") == 1 and prop("b") == 2),
    ],
)
def test_a_filter_used_as_a_truth_value_names_the_operators(use: Any) -> None:
    with pytest.raises(TypeError, match=r"& \| ~"):
        use()


@pytest.mark.parametrize(
    "use",
    [
        lambda: GERMAN & person.unsubscribed,
        lambda: person.unsubscribed & GERMAN,
        lambda: ~person.unsubscribed,
        lambda: GERMAN & person.sessions >= 3,
        lambda: person.sessions >= 3 & GERMAN,
        lambda: GERMAN | True,
        lambda: (prop("a") == 1) & (prop("b") == 2),
    ],
)
def test_combining_what_is_no_filter_says_what_to_do(use: Any) -> None:
    with pytest.raises(TypeError, match=r"parentheses|pass each"):
        use()


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: person.last_sen, "did you mean 'last_seen'"),
        (lambda: person.plan, r"attr\('plan'\)"),
        (lambda: person.last_seen < 5, r"person.last_seen is a time.*ago\(days=7\)"),
        (lambda: person.last_seen < timedelta(days=3), r"ago\(…\)"),
        (lambda: person.last_seen < datetime(2026, 1, 1), "no time zone"),  # noqa: DTZ001
        (lambda: person.sessions == "3", "is a number"),
        (lambda: person.sessions == True, "is a number"),  # noqa: E712
        (lambda: person.sessions.contains("3"), "can't be asked 'contains'"),
        (lambda: person.unsubscribed == 1, "True or False"),
        (lambda: person.tags == "vip", "it takes contains, is_set"),
        (lambda: person.country == None, "is_set"),  # noqa: E711
        (lambda: person.country == person.city, "not with another field"),
        (lambda: person.country == "\ud800", "surrogate"),
        (lambda: person.country == "x" * 4097, "4096"),
        (lambda: person.country.in_("DE"), "takes a list"),
        (lambda: person.country.in_(["DE", None]), "is_set"),
        (lambda: attr("a").in_([float("nan")]), "no number"),
        (lambda: attr("a") == 2**63, "64 bits"),
        (lambda: attr("a") == object(), "can't compare"),
        (lambda: attr("a").contains(5), "needs a text"),
        (lambda: attr(""), "1 to 64 printable"),
        (lambda: attr("a" * 65), "1 to 64 printable"),
        (lambda: attr("a\nb"), "1 to 64 printable"),
        (lambda: did(5), "is a text"),
        (lambda: did("a").at_least(-1), "whole number"),
        (lambda: did("a").at_most(True), "whole number"),
        (lambda: did("a").exactly(1.5), "whole number"),
        (lambda: did("a").at_least(1).at_most(3), "combine two"),
        (lambda: did("a").at_least(1).first, "takes no number"),
        (lambda: did("a").within(days=1).within(days=2), "twice"),
        (lambda: did("a").within(), "above 0"),
        (lambda: did("a").within(days="7"), "takes numbers"),
        (lambda: did("a").within(days=10**9), "reaches beyond"),
        (lambda: did("a").where(prop("b")), "not <"),
        (lambda: did("a").where(b=None), "is_set"),
        (lambda: did("a").where(b=ago(days=1)), "no times"),
        (lambda: did("a").where(GERMAN), "conditions"),
        (lambda: did("a").first == "x", "is a time"),
        (lambda: received(""), "1 to 200"),
        (lambda: in_segment("x" * 129), "1 to 128"),
        (lambda: ago(days=float("inf")), "beyond"),
        (lambda: attr("a").unchanged_for(days=0), "above 0"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_a_hint(use: Any, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        use()


def test_every_field_has_a_word() -> None:
    for name in FIELDS:
        assert getattr(person, name) is not None
    assert sorted(dir(person)) == sorted(FIELDS)
    assert not hasattr(person, "plan")


def test_equal_filters_are_equal_and_hash_alike() -> None:
    assert ago(days=14) == ago(weeks=2)
    assert (attr("a") == 1) == (attr("a") == 1.0)
    assert hash(attr("a") == 1) == hash(attr("a") == 1.0)
    assert (attr("a") == 1) != (attr("a") == True)  # noqa: E712
    assert ~~GERMAN == GERMAN
    assert ~(attr("a") == 1) == (attr("a") != 1)
    assert did("a") == did("a").at_least(1)
    assert (GERMAN & everyone) & ~everyone == GERMAN & (everyone & ~everyone)
    assert attr(" e\u0301 ").is_set() == attr("é").is_set()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert (person.last_seen < at) == (at > person.last_seen)


def test_a_filter_is_frozen() -> None:
    with pytest.raises(AttributeError):
        GERMAN.value = 5  # type: ignore[attr-defined]


def test_a_filter_has_bounds() -> None:
    with pytest.raises(InvalidFilter, match="200 conditions"):
        functools.reduce(operator.and_, [person.sessions > number for number in range(201)])
    with pytest.raises(InvalidFilter, match="20 levels"):
        functools.reduce(lambda inner, _: ~(inner & everyone), range(20), GERMAN)
    with pytest.raises(InvalidFilter, match="10000 values"):
        person.user_id.in_(range(10_001))
    assert person.user_id.in_(range(10_000)).extent.values == 10_000


def test_words_that_stay_relative_do_not_look_at_the_clock() -> None:
    assert (attr("ends") < from_now(days=3)) == (attr("ends") < from_now(hours=72))
