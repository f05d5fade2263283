"""The English form: plain, and one for each filter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_engage.segments.filter import Filter, Not
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
from tests.segments import _drawn
from tests.segments._strategies import filters

SENTENCES = [
    (everyone, "Everyone"),
    (~everyone, "Nobody"),
    (
        (person.last_seen < ago(days=14))
        & (person.sessions >= 3)
        & ~did("exported").within(days=30),
        (
            "People who were last seen more than 14 days ago and whose number of sessions is"
            " at least 3 and who did not do “exported” in the last 30 days"
        ),
    ),
    (
        did("exported").at_least(5).within(days=7) | (attr("invites sent") >= 4),
        (
            "People who did “exported” at least 5 times in the last 7 days or whose “invites sent”"
            " is at least 4"
        ),
    ),
    (
        (person.country == "DE") & (did("a") | did("b")),
        "People whose country is “DE” and (who did “a” or who did “b”)",
    ),
    (
        ~(did("a") | did("b")) & in_segment("power users"),
        (
            "People who are not among those (who did “a” or who did “b”) and who are in the segment"
            " “power users”"
        ),
    ),
    (
        did("paid").where(prop("amount") >= 100, kind="card").exactly(1),
        "People who did “paid” exactly 1 time with [“amount” is at least 100 and “kind” is “card”]",
    ),
    (received("welcome").clicked(), "People who clicked in the message “welcome”"),
    (~received("welcome").replied(), "People who did not reply to the message “welcome”"),
    (attr("ends") < from_now(days=3), "People whose “ends” is less than 3 days from now"),
    (attr("plan").unchanged_for(days=7), "People whose “plan” has been unchanged for 7 days"),
    (person.tags.contains("vip"), "People who have the tag “vip”"),
    (person.signed_up > ago(hours=36), "People who signed up less than 1 day 12 hours ago"),
    (
        person.signed_up >= datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
        "People who signed up at or after 4 March 2026 05:06 UTC",
    ),
    (did("a").first < ago(days=2), "People whose first “a” is more than 2 days ago"),
    (
        attr("x").in_(["1", 1, True]),
        "People whose “x” is one of [“1”, 1, yes]",
    ),
    (person.unsubscribed == True, "People who have unsubscribed"),  # noqa: E712
    (
        person.name == "“DE” or\u202e whose",
        "People whose name is “\\“DE\\” or\\u{202e} whose”",
    ),
]


@pytest.mark.parametrize(("wanted", "sentence"), SENTENCES)
def test_a_filter_reads_as_a_sentence(wanted: Filter, sentence: str) -> None:
    assert wanted.describe() == sentence


@settings(deadline=None, max_examples=15)
@given(st.lists(filters(), min_size=20, max_size=60))
def test_different_filters_read_differently(wanted: list[Filter]) -> None:
    different = set(wanted)
    assert len({one.describe() for one in different}) == len(different)


def test_close_filters_read_differently() -> None:
    close = [
        attr("a") == 1,
        attr("a") == "1",
        attr("a") == True,  # noqa: E712
        attr("a") == "yes",
        attr("a").contains("1"),
        attr("a") <= "1",
        attr("a") <= 1,
        attr("name") == "1",
        person.name == "1",
        did("a"),
        did("a").exactly(1),
        did("a").at_most(0),
        ~did("a"),
        did("a").exactly(0),
        did("a").where(b=1),
        did("a").where(b="1"),
        did("a").where(~(prop("b") > 1)),
        did("a").where(prop("b") <= 1),
        ~(attr("a") > 1),
        (did("a") & did("b")) | did("c"),
        did("a") & (did("b") | did("c")),
        ~(did("a") & did("b")),
        ~did("a") & did("b"),
        person.last_seen < ago(days=1),
        person.last_seen < ago(days=1, seconds=0.000001),
        person.last_seen < from_now(days=1),
        person.name == "a” or whose name is “b",
        (person.name == "a") | (person.name == "b"),
    ]
    assert len({one.describe() for one in close}) == len(set(close)) == len(close)


@pytest.mark.parametrize(
    "zone", [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")], ids=str
)
def test_of_ten_thousand_filters_no_two_read_alike(zone: tzinfo) -> None:
    read: dict[str, Filter] = {}
    said: dict[Filter, str] = {}
    kinds = set()
    for wanted in _drawn.filters(seed=20260328, count=18_000):
        sentence = wanted.describe(zone)
        assert read.setdefault(sentence, wanted) == wanted, sentence
        assert said.setdefault(wanted, sentence) == sentence
        assert sentence.isprintable()
        kinds.update(type(part).__name__ for part in _parts(wanted))
    assert len(said) >= 10_000  # the simple ones come more than once
    assert kinds == {
        *("AllOf", "AnyOf", "Not", "Everyone", "InSegment", "Compare", "OneOf", "IsSet"),
        *("Unchanged", "Did", "Visited", "Bucket", "Received", "HostExpression"),
    }


def _parts(wanted: Filter) -> Iterator[Filter]:
    yield wanted
    inner = (wanted.part,) if isinstance(wanted, Not) else getattr(wanted, "parts", ())
    for part in inner:
        yield from _parts(part)
