"""Arbitrary people and filters, drawn from the same few names and values so that they meet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from flask_engage.segments.filter import Filter, PropertyTest
from flask_engage.segments.words import (
    ago,
    attr,
    bucket,
    did,
    everyone,
    from_now,
    in_segment,
    person,
    prop,
    received,
    visited,
)
from tests.segments._world import NOW, Happening, Sent, Somebody, Visit

_PLAIN_TEXTS = ["", "a", "A", "a ", " a", "b", "ab", "1", "true", "null", "z" * 300]
_HOSTILE_TEXTS = ["a%", "a_b", "%", "_", "'", '"', "\\", "\n", "\u2028"]
_WIDE_TEXTS = ["\xe9", "\xc9", "e\u0301", "ß", "🎉", "🎉a", "日本", "\U0010ffff", "\ue000"]
TEXTS = st.sampled_from(_PLAIN_TEXTS + _HOSTILE_TEXTS + _WIDE_TEXTS)
_LARGE = [2**53, 2**53 + 1, 2**62, 2**62 + 1, -(2**63), 2**63 - 1, 1e300]
_SMALL = [0, 1, -1, 2, 3, 1.0, 0.5, -0.5, 0.1, 1e10, 1e-7]
NUMBERS = st.sampled_from(_SMALL + _LARGE)
TIMES = st.sampled_from([-40, -7.0, -6.999999, -1, 0, 0.5, 1, 30]).map(
    lambda days: NOW + timedelta(days=days)
)
NEARBY = TIMES | st.sampled_from([ago(days=7), ago(days=1), ago(), from_now(days=1), ago(hours=1)])
BOOLEANS = st.booleans()
VALUES: st.SearchStrategy[Any] = TEXTS | NUMBERS | TIMES | BOOLEANS
NAMES = st.sampled_from(["plan", "Plan", 'it"s', "a\\b", "é", "🎉", "a.b", "$[0]", "n:plan", "%"])
EVENTS = st.sampled_from(["exported", "Exported", "paid 🎉"])
PROPERTIES = st.sampled_from(["amount", 'k"', "é", "a.b"])
MESSAGES = st.sampled_from(["welcome", "Welcome", "a%"])
TAGS = st.sampled_from(["vip", "VIP", "é", "a%"])
SEGMENTS: dict[str, Filter] = {
    "paid": did("exported") & (attr("plan") != "a"),
    "unpaid": ~in_segment("paid"),
}

_SHORT = TEXTS.filter(lambda text: len(text) < 60)
_TEXT_FIELDS = ("email", "name", "country", "city", "browser", "utm_source")
_VISIT_TEXTS = ("landing_page", "referrer", "utm_source", "device")
_TIME_FIELDS = ("signed_up", "first_seen", "last_seen")
_COMPARISONS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def somebody() -> st.SearchStrategy[Somebody]:
    optional = dict.fromkeys(_TEXT_FIELDS, _SHORT)
    times = {f"{name}_at": TIMES for name in _TIME_FIELDS} | {"unsubscribed_at": TIMES}
    fields = st.fixed_dictionaries(
        {}, optional={**optional, **times, "session_count": st.integers(0, 4)}
    )
    properties = st.dictionaries(PROPERTIES, TEXTS | NUMBERS | BOOLEANS | st.none(), max_size=3)
    happenings = st.builds(Happening, EVENTS, TIMES, properties)
    sent = st.builds(
        Sent,
        MESSAGES.flatmap(lambda m: st.sampled_from([f"rule:{m}", f"send:{m}", f"other:{m}"])),
        st.none() | TIMES,
        st.sampled_from([(), ("opened",), ("opened", "clicked"), ("replied",)]),
    )
    return st.builds(
        Somebody,
        fields,
        st.dictionaries(NAMES, VALUES, max_size=5),
        st.dictionaries(NAMES, TIMES, max_size=5),
        st.lists(TAGS, unique=True, max_size=2).map(tuple),
        st.none() | st.integers(0, 5),
        st.lists(happenings, max_size=5).map(tuple),
        st.lists(sent, max_size=2).map(tuple),
        st.lists(st.builds(Visit, TIMES, _visit_fields()), max_size=3).map(tuple),
    )


def _visit_fields() -> st.SearchStrategy[dict[str, Any]]:
    texts = dict.fromkeys(_VISIT_TEXTS, _SHORT)
    return st.fixed_dictionaries({}, optional={**texts, "hits": st.integers(1, 4)})


def visit_tests() -> st.SearchStrategy[PropertyTest]:
    """Conditions on one session."""
    texts = st.sampled_from(_VISIT_TEXTS).map(prop)
    hits = st.just(prop("hits"))
    positive = _of(texts, TEXTS) | _texts_of(texts) | _of(hits, NUMBERS)
    return positive | positive.map(lambda test: ~test)


@st.composite
def _visits(draw: st.DrawFn) -> Any:
    found = visited()
    if draw(st.booleans()):
        found = found.within(days=draw(st.sampled_from([1, 7, 40])))
    found = found.where(*draw(st.lists(visit_tests(), max_size=2)))
    bound = draw(st.sampled_from(["at_least", "at_most", "exactly", None]))
    return getattr(found, bound)(draw(st.integers(0, 3))) if bound else found


@st.composite
def _buckets(draw: st.DrawFn) -> Filter:
    bounds = st.sampled_from([0, 10, 33.3, 50, 0.1, 99.9, 100])
    low, high = sorted(draw(st.lists(bounds, min_size=2, max_size=2, unique=True)))
    return bucket(draw(st.sampled_from(["a", "A", "a%", "🎉"])), low, high)


def _compared(operand: Any, operator: str, value: Any) -> Any:
    return {
        "==": operand.__eq__,
        "!=": operand.__ne__,
        "<": operand.__lt__,
        "<=": operand.__le__,
        ">": operand.__gt__,
        ">=": operand.__ge__,
    }[operator](value)


def _texts_of(operands: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Conditions that only texts can meet."""
    return st.builds(lambda o, t: o.contains(t), operands, TEXTS) | st.builds(
        lambda o, t: o.startswith(t), operands, TEXTS
    )


def _of(operands: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> Any:
    return st.one_of(
        st.builds(_compared, operands, _COMPARISONS, values),
        st.builds(lambda o, vs: o.in_(vs), operands, st.lists(values, max_size=3)),
        st.builds(lambda o: o.is_set(), operands),
    )


def property_tests() -> st.SearchStrategy[PropertyTest]:
    operands = PROPERTIES.map(prop)
    positive = _of(operands, TEXTS | NUMBERS | BOOLEANS) | _texts_of(operands)
    return positive | positive.map(lambda test: ~test)


@st.composite
def _dids(draw: st.DrawFn, counted: bool = True) -> Any:
    found = did(draw(EVENTS))
    if draw(st.booleans()):
        found = found.within(days=draw(st.sampled_from([1, 7, 40])))
    found = found.where(*draw(st.lists(property_tests(), max_size=2)))
    if counted:
        bound = draw(st.sampled_from(["at_least", "at_most", "exactly", None]))
        found = getattr(found, bound)(draw(st.integers(0, 3))) if bound else found
    return found


def conditions() -> st.SearchStrategy[Filter]:
    texts = st.sampled_from(_TEXT_FIELDS).map(lambda name: getattr(person, name))
    times = st.sampled_from(_TIME_FIELDS).map(lambda name: getattr(person, name))
    numbers = st.sampled_from([person.sessions, person.relationship])
    attributes = NAMES.map(attr)
    moments = _dids(counted=False).flatmap(lambda d: st.sampled_from([d.first, d.last]))
    return st.one_of(
        _of(texts, TEXTS),
        _texts_of(texts),
        _of(times, NEARBY),
        _of(numbers, NUMBERS),
        _of(st.just(person.unsubscribed), BOOLEANS),
        TAGS.map(person.tags.contains),
        st.just(person.tags.is_set()),
        _of(attributes, VALUES | NEARBY),
        _texts_of(attributes),
        attributes.map(lambda a: a.unchanged_for(days=7)),
        _dids(),
        _visits(),
        _buckets(),
        _of(moments, NEARBY),
        st.builds(
            lambda name, what: getattr(received(name), what)(),
            MESSAGES,
            st.sampled_from(["sent", "opened", "clicked", "replied"]),
        ),
        st.sampled_from(sorted(SEGMENTS)).map(in_segment),
        st.just(everyone),
    )


def filters() -> st.SearchStrategy[Filter]:
    """Filters up to some four levels deep."""
    return st.recursive(
        conditions(),
        lambda inner: st.one_of(
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
            inner.map(lambda a: ~a),
        ),
        max_leaves=6,
    )
