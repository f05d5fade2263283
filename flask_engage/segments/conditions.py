"""Conditions, checked as they are made: whether by Python's operators or from a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast
from uuid import UUID

from ..errors import InvalidFilter
from .fields import OPERATORS, field_kind
from .filter import (
    Attribute,
    Compare,
    EventTime,
    Filter,
    HostColumn,
    IsSet,
    OneOf,
    Operator,
    PersonField,
    Property,
    Subject,
)
from .values import KIND_WORDS, Value, value_of

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "contains", "startswith")


def compare(subject: Subject, operator: str, raw: object) -> Filter:
    """Return the condition that `subject` compares so with the literal `raw`.

    :raises InvalidFilter: if that can never be meant: an order of tags, a text against a time.
    """
    value = _literal(subject, raw)
    _check_operator(subject, operator, value)
    return Compare(subject, cast("Operator", operator), value)


def one_of(subject: Subject, raws: object) -> Filter:
    """Return the condition that the value of `subject` is one of the literals `raws`."""
    if isinstance(raws, (str, bytes)) or not isinstance(raws, Iterable):
        raise InvalidFilter(f".in_() takes a list of values, not {raws!r}.")
    values = tuple(dict.fromkeys(_literal(subject, raw) for raw in raws))
    _check_kind(subject, "in")
    for value in values:
        _check_operator(subject, "in", value)
    return OneOf(subject, values)


def is_set(subject: Subject) -> Filter:
    """Return the condition that `subject` has a value."""
    return IsSet(subject)


def _literal(subject: Subject, raw: object) -> Value:
    if subject == PersonField("user_id") and not isinstance(raw, bool):
        # Ids of the host are kept as text, whatever they are over there.
        raw = str(raw) if isinstance(raw, (int, UUID)) else raw
    return value_of(raw, naive=isinstance(subject, HostColumn))


def _check_operator(subject: Subject, operator: str, value: Value) -> None:
    _check_kind(subject, operator)
    expected = _expected_kind(subject)
    if expected is not None and expected != value.kind:
        raise InvalidFilter(
            f"{_name(subject)} is a {KIND_WORDS[expected]}, and {value.content!r} is a "
            f"{KIND_WORDS[value.kind]}." + _hint(expected)
        )
    if isinstance(subject, Property) and value.kind == "t":
        raise InvalidFilter(f"{_name(subject)}: properties of events hold no times.")
    if operator not in OPERATORS[value.kind] and expected is None:
        raise InvalidFilter(f"{operator!r} needs a text, not {value.content!r}.")


def _check_kind(subject: Subject, operator: str) -> None:
    if operator != "in" and operator not in COMPARISONS:
        raise InvalidFilter(f"There is no operator {operator!r}.")
    if isinstance(subject, PersonField):
        kind = field_kind(subject.name)
        if operator not in OPERATORS[kind]:
            raise InvalidFilter(
                f"{_name(subject)} can't be asked {operator!r}; "
                f"it takes {', '.join(OPERATORS[kind])}."
            )
    elif isinstance(subject, EventTime) and operator not in OPERATORS["t"]:
        raise InvalidFilter(f"{_name(subject)} is a time and can't be asked {operator!r}.")
    elif isinstance(subject, HostColumn) and operator not in OPERATORS["n"]:
        raise InvalidFilter(f"{_name(subject)} can't be asked {operator!r}.")


def _expected_kind(subject: Subject) -> str | None:
    if isinstance(subject, PersonField):
        kind = field_kind(subject.name)
        return "s" if kind == "tags" else kind
    return "t" if isinstance(subject, EventTime) else None


def _hint(kind: str) -> str:
    if kind == "t":
        return " Compare with ago(days=7), from_now(days=7) or an aware datetime."
    return " Compare with True or False." if kind == "b" else ""


def _name(subject: Subject) -> str:
    match subject:
        case PersonField(name):
            return f"person.{name}"
        case Attribute(name):
            return f"attr({name!r})"
        case Property(name):
            return f"prop({name!r})"
        case EventTime(which, event):
            return f"did({event!r}).{which}"
        case HostColumn(name):
            return f"host column {name!r}"
