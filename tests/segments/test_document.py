"""The JSON form: there and back, and what is wrong with a document and where."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings

from flask_engage.errors import InvalidFilter
from flask_engage.segments.filter import Filter
from flask_engage.segments.words import ago, attr, did, everyone, from_now, person, prop, received
from tests.segments._strategies import filters


@settings(deadline=None)
@given(filters())
def test_a_filter_comes_back_from_json_as_it_was(wanted: Filter) -> None:
    document = json.loads(json.dumps(wanted.to_json(), allow_nan=False))
    assert Filter.from_json(document) == wanted
    assert Filter.from_json(document).describe() == wanted.describe()


def test_the_document_reads_like_the_filter() -> None:
    at = datetime(2026, 3, 4, tzinfo=UTC)
    wanted = (
        (person.last_seen < ago(days=14))
        & ~did("paid").at_least(2).within(hours=1).where(prop("sum") >= 9.5)
        & (received("hi").clicked() | (attr("ends") < from_now(days=1)) | (attr("at") == at))
    )
    assert wanted.to_json() == {
        "version": 1,
        "filter": {
            "all": [
                {"person": "last_seen", "op": "<", "value": {"ago": 1209600}},
                {
                    "not": {
                        "did": "paid",
                        "op": "at_least",
                        "count": 2,
                        "within": 3600,
                        "where": [{"prop": "sum", "op": ">=", "value": 9.5}],
                    }
                },
                {
                    "any": [
                        {"received": "hi", "outcome": "clicked"},
                        {"attr": "ends", "op": "<", "value": {"from_now": 86400}},
                        {"attr": "at", "op": "==", "value": {"time": "2026-03-04T00:00:00+00:00"}},
                    ]
                },
            ]
        },
    }


def _nested(depth: int) -> Any:
    node: Any = {"everyone": True}
    for _ in range(depth):
        node = {"all": [node, {"person": "country", "op": "is_set"}]}
        node = {"not": node}
    return node


DEEP: Any = []
for _ in range(500):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (5, "filter: expected an object"),
        ([], "filter: expected an object"),
        ({5: 6}, "filter: expected an object"),
        ({}, "filter: expected exactly one of"),
        ({"everyone": True, "segment": "x"}, "exactly one"),
        ({"everyone": 1}, "filter: everyone is only ever true"),
        ({"all": []}, r"filter\.all: expected at least one"),
        ({"all": {}}, r"filter\.all: expected a list"),
        ({"all": [{"everyone": True}, 7]}, r"filter\.all\[1\]: expected an object"),
        ({"not": {"any": [{"attr": ""}]}}, r"filter\.not\.any\[0\]: 'op' is missing"),
        ({"person": "last_sen", "op": "is_set"}, "filter: .*did you mean 'last_seen'"),
        ({"person": "country", "op": "==", "valu": 1}, "filter: 'value' is missing"),
        ({"person": "country", "op": "is_set", "value": 1}, "'value' is unknown here"),
        ({"person": "country", "op": "like", "value": "a"}, "no operator 'like'"),
        ({"person": "country", "op": ["=="], "value": "a"}, r"filter\.op: "),
        ({"person": "country", "op": "==", "value": None}, r"filter\.value: expected a text"),
        ({"person": "country", "op": "==", "value": 5}, "filter: person.country is a text"),
        ({"person": "country", "op": "in", "value": "DE"}, r"filter\.value: expected a list"),
        ({"person": "country", "op": "in", "value": ["a", {}]}, r"filter\.value\[1\]: "),
        ({"person": "last_seen", "op": "<", "value": {"ago": "7"}}, r"filter\.value: "),
        ({"person": "last_seen", "op": "<", "value": {"ago": 1e300}}, "filter: .*beyond"),
        ({"person": "last_seen", "op": "<", "value": {"ago": float("nan")}}, "filter: "),
        ({"person": "last_seen", "op": "<", "value": {"time": "soon"}}, r"filter\.value\.time: "),
        ({"person": "last_seen", "op": "<", "value": {"time": "2026-01-01"}}, "no time zone"),
        ({"attr": "a", "op": "==", "value": DEEP}, r"filter\.value: "),
        ({"attr": "a", "op": "==", "value": float("inf")}, "filter: inf is no number"),
        ({"attr": "a", "op": "==", "value": 2**70}, "filter: .*64 bits"),
        ({"attr": "a", "op": "==", "value": "\ud800"}, "filter: .*surrogate"),
        ({"attr": "a", "op": "unchanged_for", "value": -1}, r"filter\.value: .*above 0"),
        ({"attr": 5, "op": "is_set"}, "filter: The name of an attribute is a text"),
        ({"did": "a", "op": "at_least"}, "filter: 'count' is missing"),
        ({"did": "a", "op": "at_least", "count": "3"}, "filter: .*whole number"),
        ({"did": "a", "op": "often", "count": 3}, r"filter\.op: expected 'at_least'"),
        ({"did": "a", "op": "exactly", "count": 3, "within": True}, r"filter\.within: "),
        ({"did": "a", "op": "exactly", "count": 3, "where": 3}, r"filter\.where: "),
        ({"did": "a", "op": "exactly", "count": 3, "where": [3]}, r"filter\.where\[0\]: "),
        ({"did": "a", "op": "exactly", "count": 3, "where": [{"attr": "b", "op": "is_set"}]},
            r"filter\.where\[0\]: expected a condition on a prop"),
        ({"did": "a", "op": "exactly", "count": 3, "where": [{"prop": "b", "op": "=="}]},
            r"filter\.where\[0\]: 'value' is missing"),
        ({"did": "a", "time": "second", "op": "is_set"}, r"filter\.time: "),
        ({"did": "a", "time": "first", "op": "<", "value": 3}, "filter: .*is a time"),
        ({"received": "a", "outcome": "bounced"}, r"filter\.outcome: "),
        ({"prop": "a", "op": "is_set"}, "exactly one of"),
        ({"segment": "nobody"}, "filter: There is no segment 'nobody': did you mean 'somebody'"),
        (_nested(11), "20 levels"),
        ({"any": [{"person": "country", "op": "is_set"}] * 201}, "filter: .*200 conditions"),
        ({"person": "city", "op": "in", "value": ["a"] * 10_001}, r"filter\.value: "),
    ],
)  # fmt: skip
def test_a_malformed_document_is_refused_at_its_place(node: Any, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        Filter.from_json({"version": 1, "filter": node}, {"somebody": everyone})


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "{}",
        {},
        {"filter": {"everyone": True}},
        {"version": 2, "filter": {"everyone": True}},
        {"version": True, "filter": {"everyone": True}},
        {"version": 1, "filter": {"everyone": True}, "x": 1},
    ],
)
def test_a_document_has_a_version_that_we_know(document: Any) -> None:
    with pytest.raises(InvalidFilter, match="version"):
        Filter.from_json(document)


def test_nesting_as_deep_as_filters_go_is_read() -> None:
    wanted = Filter.from_json({"version": 1, "filter": _nested(9)})
    assert Filter.from_json(wanted.to_json()) == wanted
