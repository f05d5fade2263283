"""The rules of comparison, one by one, on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from flask_engage.segments.filter import Filter
from flask_engage.segments.operands import Operand
from flask_engage.segments.people import People
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
from flask_engage.store.engine import Database
from tests.segments._world import NOW, Happening, Sent, Somebody, add_people, days_ago

Matching = Callable[..., set[str]]


# --- missing values --------------------------------------------------------------------------

MISSING: list[tuple[Filter, bool]] = [
    (person.country == "DE", False),
    (person.country != "DE", True),
    (~(person.country == "DE"), True),
    (~(person.country != "DE"), False),
    (person.country < "DE", False),
    (~(person.country < "DE"), True),
    (person.country.in_(["DE"]), False),
    (person.country.contains(""), False),
    (person.country.startswith(""), False),
    (person.country.is_set(), False),
    (~person.country.is_set(), True),
    (person.last_seen < ago(days=1), False),
    (person.last_seen > ago(days=1), False),
    (person.last_seen != ago(days=1), True),
    (person.relationship < 3, False),
    (person.relationship != 3, True),
    (person.sessions == 0, True),
    (person.tags.is_set(), False),
    (~person.tags.contains("vip"), True),
    (person.unsubscribed == False, True),  # noqa: E712
    (person.unsubscribed != True, True),  # noqa: E712
    (attr("plan") == "pro", False),
    (attr("plan") != "pro", True),
    (attr("plan") < 5, False),
    (attr("plan").in_([1, "a", True]), False),
    (attr("plan").is_set(), False),
    (attr("plan").unchanged_for(days=1), False),
    (did("exported").first < ago(), False),
    (did("exported").last != ago(), True),
    (did("exported").within(days=9).last.is_set(), False),
    (did("exported"), False),
    (did("exported").at_most(0), True),
    (did("exported").at_most(5), True),
    (did("exported").exactly(0), True),
    (did("exported").exactly(1), False),
    (did("exported").at_least(0), True),
    (did("exported").within(days=5).at_most(2), True),
    (did("exported").where(a=1).exactly(0), True),
    (received("welcome"), False),
    (~received("welcome").clicked(), True),
    (everyone, True),
    (~everyone, False),
]


def test_a_missing_value_satisfies_only_unequal_and_not(matching: Matching) -> None:
    nobody = Somebody()
    wanted = everyone
    for condition, expected in MISSING:
        wanted = wanted & (condition if expected else ~condition)
    assert matching(wanted, nobody=nobody) == {"nobody"}


# --- kinds -----------------------------------------------------------------------------------

SOON = NOW + timedelta(days=2)

KINDS: list[tuple[Any, Filter, bool]] = [
    (True, attr("x") == 1, False),
    (True, attr("x") != 1, True),
    (True, attr("x") == True, True),  # noqa: E712
    (True, attr("x") > 0, False),
    (True, attr("x") == "true", False),
    (False, attr("x") == 0, False),
    (False, attr("x").is_set(), True),
    (1, attr("x") == True, False),  # noqa: E712
    (1, attr("x") == 1.0, True),
    (1.0, attr("x") == 1, True),
    (1, attr("x") == "1", False),
    ("1", attr("x") == 1, False),
    ("1", attr("x") > 0, False),
    ("1", attr("x").in_([1, True]), False),
    ("1", attr("x").in_([1, "1"]), True),
    (0.1, attr("x") == 0.1, True),
    (0.1, attr("x") < 0.1, False),
    (0.30000000000000004, attr("x") == 0.3, False),
    (10, attr("x") > 9, True),
    ("10", attr("x") > "9", False),
    (2**53, attr("x") == 2**53 + 1, False),
    (2**53 + 1, attr("x") > 2**53, True),
    (2**63 - 1, attr("x") == 2**63 - 1, True),
    (2**63 - 1, attr("x") < 2**63 - 1, False),
    (1234567890123456789, attr("x").in_([1234567890123456788]), False),
    (1234567890123456789, attr("x").in_([1234567890123456789]), True),
    (-(2**63), attr("x") == -(2**63), True),
    (1e300, attr("x") > 2**63 - 1, True),
    (1e-300, attr("x") > 0, True),
    ("abc", attr("x") > 5, False),
    ("abc", attr("x") < 5, False),
    (SOON, attr("x") < from_now(days=3), True),
    (SOON, attr("x") > from_now(days=3), False),
    (SOON, attr("x") == SOON.astimezone(timezone(timedelta(hours=5))), True),
    (SOON, attr("x") == "2026-03-04T10:00:00.000000+00:00", False),
    (SOON, attr("x") > from_now(days=2, seconds=-0.000001), True),
    ("2026-03-04T10:00:00.000000+00:00", attr("x") == SOON, False),
]


def test_a_comparison_holds_only_within_one_kind(matching: Matching) -> None:
    people = {f"p{n}": Somebody(attrs={"x": value}) for n, (value, _, _) in enumerate(KINDS)}
    wanted = ~everyone
    for number, (_, condition, expected) in enumerate(KINDS):
        me = person.user_id == f"p{number}"
        wanted = wanted | (me & (condition if expected else ~condition))
    assert set(people) - matching(wanted, **people) == set()


# --- text ------------------------------------------------------------------------------------

HOSTILE = [
    *["%", "_", "a%c", "a_c", "abc", "'", '"', "\\", "\\%", "a'b--", "NULL", "z" * 255],
    *["A", "a", "a ", " a", "", "\t", "\u2028", "🎉", "日本", "ß", "ss", "ﬁ", "İ"],
    *["\xe9", "e\u0301", "\xc9", "\U0010ffff", "\ue000"],
]


def test_text_is_found_letter_for_letter(
    people_of: Callable[..., People], database: Database
) -> None:
    people = [Somebody({"user_id": f"{n}", "name": x}, {"x": x}) for n, x in enumerate(HOSTILE)]
    with database.write() as session:
        add_people(session, people)
    for text in [*HOSTILE, "\0", "a\0", "\0a", "x" * 4096]:
        for operand in (person.name, attr("x")):
            for operator, (condition, holds) in _text_conditions(operand, text).items():
                found = {str(one.name) for one in people_of(condition)}
                assert found == {name for name in HOSTILE if holds(name)}, (operator, text)


def _text_conditions(
    operand: Operand[Filter], text: str
) -> dict[str, tuple[Filter, Callable[[str], bool]]]:
    return {
        "==": (operand == text, lambda name: name == text),
        "!=": (operand != text, lambda name: name != text),
        "<": (operand < text, lambda name: name < text),
        "<=": (operand <= text, lambda name: name <= text),
        ">": (operand > text, lambda name: name > text),
        ">=": (operand >= text, lambda name: name >= text),
        "contains": (operand.contains(text), lambda name: text in name),
        "startswith": (operand.startswith(text), lambda name: name.startswith(text)),
        "in": (operand.in_([text, "abc"]), lambda name: name in (text, "abc")),
    }


def test_an_attribute_may_have_any_printable_name(matching: Matching) -> None:
    names = [name for name in HOSTILE if name.strip() == name and name.isprintable() and name]
    names = [name for name in names if len(name) <= 64 and name != "e\u0301"]
    people = {f"p{n}": Somebody(attrs={name: n, "other": True}) for n, name in enumerate(names)}
    wanted = everyone
    for number, name in enumerate(names):
        wanted = wanted & ((attr(name) == number) | (person.user_id != f"p{number}"))
        wanted = wanted & (~attr(name).is_set() | (person.user_id == f"p{number}"))
    assert matching(wanted, **people) == set(people)


def test_a_property_may_have_any_name(matching: Matching) -> None:
    for_all = everyone
    names = [name for name in HOSTILE if name]
    for number, name in enumerate(names):
        for_all = for_all & did("paid").where({name: number})
    once = Somebody(did=(Happening("paid", NOW, {name: n for n, name in enumerate(names)}),))
    assert matching(for_all, once=once, never=Somebody()) == {"once"}


# --- what they did ---------------------------------------------------------------------------


def _did(*days: float, **properties: Any) -> Somebody:
    return Somebody(did=tuple(Happening("paid", days_ago(day), properties) for day in days))


def test_did_counts_all_time_and_in_a_window(matching: Matching) -> None:
    people = {"never": Somebody(), "old": _did(50), "thrice": _did(1, 2, 50), "future": _did(-3)}
    assert matching(did("paid"), **people) == {"old", "thrice", "future"}


WINDOWS: list[tuple[Filter, set[str]]] = [
    (did("paid").at_least(3), {"thrice"}),
    (did("paid").at_most(1), {"never", "old", "future", "edge", "past the edge"}),
    (did("paid").exactly(0), {"never"}),
    (did("paid").within(days=7), {"thrice", "edge"}),
    (~did("paid").within(days=7), {"never", "old", "future", "past the edge"}),
    (did("paid").within(days=7).exactly(2), {"thrice"}),
    (did("paid").within(days=7).at_most(1), {"never", "old", "future", "edge"} | {"past the edge"}),
    (did("paid").first < ago(days=40), {"old", "thrice"}),
    (did("paid").last > ago(days=7), {"thrice", "future"}),
    (did("paid").within(days=30).first < ago(days=1), {"thrice", "edge", "past the edge"}),
]


def test_did_windows_end_now_and_begin_exactly(matching: Matching) -> None:
    people = {
        "never": Somebody(),
        "old": _did(50),
        "thrice": _did(1, 2, 50),
        "future": _did(-3),
        "edge": _did(7),
        "past the edge": _did(7.0001),
    }
    assert matching(everyone, **people) == set(people)
    for wanted, expected in WINDOWS:
        assert matching(wanted) == expected, wanted.describe()


PROPERTIES: list[tuple[Filter, set[str]]] = [
    (did("paid").where(amount=40), {"n"}),
    (did("paid").where(amount=40.0), {"n"}),
    (did("paid").where(prop("amount") >= 40), {"n", "big"}),
    (did("paid").where({"amount": "40"}), {"s"}),
    (did("paid").where(amount=True), {"b"}),
    (did("paid").where(prop("amount") != 40), {"s", "b", "null", "bare", "big"}),
    (did("paid").where(prop("amount").is_set()), {"n", "s", "b", "big"}),
    (did("paid").where(~prop("amount").is_set()), {"null", "bare"}),
    (did("paid").where(prop("amount").in_([40, "40"])), {"n", "s"}),
    (did("paid").where(prop("amount").contains("4")), {"s"}),
    (did("paid").where(amount=40, kind="card"), set()),
    (did("paid").where(prop("amount") > 40, kind="card"), {"big"}),
    (did("paid").where(amount=41).where(kind="card"), {"big"}),
    (did("paid").where(kind="card").last > ago(days=1), {"big"}),
]


def test_did_counts_events_by_their_properties(matching: Matching) -> None:
    people = {
        "n": _did(0.5, amount=40),
        "s": _did(0.5, amount="40"),
        "b": _did(0.5, amount=True),
        "null": _did(0.5, amount=None),
        "bare": _did(0.5),
        "big": _did(0.5, amount=41, kind="card"),
    }
    assert matching(everyone, **people) == set(people)
    for wanted, expected in PROPERTIES:
        assert matching(wanted) == expected, wanted.describe()


def test_did_conditions_must_hold_for_one_and_the_same_event(matching: Matching) -> None:
    apart = Somebody(did=(Happening("paid", NOW, {"a": 1}), Happening("paid", NOW, {"b": 2})))
    assert matching(did("paid").where(a=1, b=2), apart=apart) == set()


OUTCOMES: list[tuple[Filter, set[str]]] = [
    (received("hi"), {"sent", "opened", "clicked"}),
    (received("hi").sent(), {"sent", "opened", "clicked"}),
    (received("hi").opened(), {"opened", "clicked"}),
    (received("hi").clicked(), {"clicked"}),
    (received("hi").replied(), set()),
    (received("Hi"), set()),
    (received("%"), set()),
]


def test_received_tells_what_became_of_a_message(matching: Matching) -> None:
    people = {
        "queued": Somebody(sent=(Sent("rule:hi"),)),
        "sent": Somebody(sent=(Sent("rule:hi", NOW),)),
        "opened": Somebody(sent=(Sent("send:hi", NOW, ("opened",)),)),
        "clicked": Somebody(sent=(Sent("rule:hi", NOW, ("opened", "clicked")),)),
        "other": Somebody(sent=(Sent("rule:other", NOW, ("opened", "clicked")),)),
    }
    assert matching(everyone, **people) == set(people)
    for wanted, expected in OUTCOMES:
        assert matching(wanted) == expected, wanted.describe()


def test_unchanged_for_begins_exactly(matching: Matching) -> None:
    people = {
        "edge": Somebody(attrs={"plan": "pro"}, changed={"plan": days_ago(7)}),
        "late": Somebody(attrs={"plan": "pro"}, changed={"plan": days_ago(6.999)}),
        "other": Somebody(attrs={"Plan": "pro"}, changed={"Plan": days_ago(9)}),
    }
    assert matching(attr("plan").unchanged_for(days=7), **people) == {"edge"}


def test_an_event_or_attribute_never_seen_matches_nobody(matching: Matching) -> None:
    wanted = did("never heard of") | (attr("never heard of") == 1) | attr("nor this").is_set()
    assert matching(wanted, ada=Somebody(attrs={"x": 1}, did=(Happening("y", NOW),))) == set()


def test_times_compare_to_the_microsecond(matching: Matching) -> None:
    at = datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC)
    people = {
        "before": Somebody({"last_seen_at": at - timedelta(microseconds=1)}),
        "at": Somebody({"last_seen_at": at}),
        "after": Somebody({"last_seen_at": at + timedelta(microseconds=1)}),
    }
    assert matching((person.last_seen >= at) & (person.last_seen <= at), **people) == {"at"}


def test_user_ids_of_any_type_are_text(matching: Matching) -> None:
    key = UUID(int=7)
    people = {"7": Somebody(), str(key): Somebody(), "8": Somebody()}
    wanted = (person.user_id == 7) | person.user_id.in_([key])
    assert matching(wanted, **people) == {"7", str(key)}


def test_segments_are_filters_by_name(matching: Matching) -> None:
    segments = {"germans": person.country == "DE", "others": ~in_segment("germans")}
    people = {"ada": Somebody({"country": "DE"}), "bob": Somebody({"country": "FR"})}
    assert matching(in_segment("others"), segments, **people) == {"bob"}
