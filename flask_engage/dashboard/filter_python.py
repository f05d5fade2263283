"""A filter as the Python that makes it, to be copied into the host's code."""

from __future__ import annotations

import ast
from datetime import datetime, timedelta

from ..errors import InvalidFilter
from ..segments.behaviour import Did, Received
from ..segments.filter import (
    AllOf,
    AnyOf,
    Attribute,
    Compare,
    EventTime,
    Everyone,
    Filter,
    HostColumn,
    InSegment,
    IsSet,
    Not,
    OneOf,
    PersonField,
    Property,
    PropertyTest,
    Subject,
    Unchanged,
)
from ..segments.host import HostExpression
from ..segments.values import Moment, Value
from ..segments.visits import Bucket, Visited

_SYMBOLS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_OURS = frozenset(
    {"ago", "attr", "bucket", "did", "everyone", "from_now", "host", "in_segment", "person"}
    | {"prop", "received", "visited"}
)
_NARROW = 88
"""Columns after which a group is broken into lines."""


def python_of(wanted: Filter, user_model: str = "User") -> str:
    """Return `wanted` as a statement with the imports that it needs.

    :param user_model: the name of the host's class for users.
    :raises InvalidFilter: if a part of it is an expression of the host's.
    """
    expression = _Writer(user_model).whole(wanted)
    tree = ast.parse(expression, mode="eval")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imports = ["from datetime import UTC, datetime", ""] if "datetime" in names else []
    imports.append(f"from flask_engage import {', '.join(sorted(names & _OURS))}")
    return "\n".join([*imports, "", f"wanted = {expression}", ""])


class _Writer:
    def __init__(self, user_model: str) -> None:
        self._user_model = user_model

    def whole(self, node: Filter) -> str:
        if isinstance(node, (AllOf, AnyOf)):
            return self._group(node, 0)
        return self.part(node, 0, bare=True)

    def part(self, node: Filter, depth: int, *, bare: bool = False) -> str:
        match node:
            case AllOf() | AnyOf():
                return self._group(node, depth)
            case Not(part):
                return f"~{self.part(part, depth)}"
            case Everyone():
                return "everyone"
            case InSegment(name):
                return f"in_segment({_text(name)})"
            case Compare(subject, operator, value) if operator in _SYMBOLS:
                text = f"{self._subject(subject)} {operator} {_value(value)}"
                is_call = isinstance(subject, HostColumn)
                return f"host({text})" if is_call else text if bare else f"({text})"
            case _:
                return self._condition(node)

    def _group(self, node: AllOf | AnyOf, depth: int) -> str:
        sign = "&" if isinstance(node, AllOf) else "|"
        parts = [self.part(part, depth + 1) for part in node.parts]
        line = f"({f' {sign} '.join(parts)})"
        if len(line) + 4 * depth <= _NARROW and "\n" not in line:
            return line
        pad = "    " * (depth + 1)
        joined = f"\n{pad}{sign} ".join(parts)
        return f"(\n{pad}{joined}\n{'    ' * depth})"

    def _condition(self, node: Filter) -> str:
        match node:
            case Compare(HostColumn() as subject, operator, value):
                return f"host({self._subject(subject)}.{operator}({_value(value)}))"
            case Compare(subject, operator, value):
                return f"{self._subject(subject)}.{operator}({_value(value)})"
            case OneOf(HostColumn() as subject, values):
                return f"host({self._subject(subject)}.in_([{', '.join(map(_value, values))}]))"
            case OneOf(subject, values):
                return f"{self._subject(subject)}.in_([{', '.join(map(_value, values))}])"
            case IsSet(HostColumn() as subject):
                return f"host({self._subject(subject)}.is_not(None))"
            case IsSet(subject):
                return f"{self._subject(subject)}.is_set()"
            case Unchanged(name, spell):
                return f"attr({_text(name)}).unchanged_for({_span(spell)})"
            case Did() | Visited():
                return self._counted(node)
            case Bucket(salt, low, high):
                return f"bucket({_text(salt)}, {low!r}, {high!r})"
            case Received(message, outcome):
                return f"received({_text(message)}).{outcome}()"
            case HostExpression(_, text):
                raise InvalidFilter(f"host({text}) is an expression of the app's own code.")
            case _:
                raise TypeError(f"{node!r} is no filter of this package.")

    def _counted(self, node: Did | Visited) -> str:
        text = f"did({_text(node.event)})" if isinstance(node, Did) else "visited()"
        if (node.bound, node.count) != ("at_least", 1):
            text += f".{node.bound}({node.count})"
        return text + self._narrowed(node.window, node.tests)

    def _narrowed(self, window: timedelta | None, tests: tuple[PropertyTest, ...]) -> str:
        text = "" if window is None else f".within({_span(window)})"
        written = ", ".join(self.part(test.test, 0, bare=True) for test in tests)
        return f"{text}.where({written})" if tests else text

    def _subject(self, subject: Subject) -> str:
        match subject:
            case PersonField(name):
                return f"person.{name}"
            case Attribute(name):
                return f"attr({_text(name)})"
            case Property(name):
                return f"prop({_text(name)})"
            case EventTime(which, event, window, tests):
                return f"did({_text(event)}){self._narrowed(window, tests)}.{which}"
            case HostColumn(name, model):
                return f"{model or self._user_model}.{name}"


def _value(value: Value) -> str:
    match value.content:
        case str() as text:
            return _text(text)
        case Moment(offset):
            word = "ago" if offset <= timedelta(0) else "from_now"
            return f"{word}({_span(abs(offset))})"
        case datetime() as moment:
            zone = "" if moment.tzinfo is None else ", tzinfo=UTC"
            last = [moment.second, moment.microsecond]
            while last and not last[-1]:
                last.pop()
            fields = [moment.year, moment.month, moment.day, moment.hour, moment.minute, *last]
            return f"datetime({', '.join(map(str, fields))}{zone})"
        case content:
            return repr(content)


def _span(span: timedelta) -> str:
    seconds = span.seconds % 60 + span.microseconds / 1_000_000
    parts = {
        "days": span.days,
        "hours": span.seconds // 3600,
        "minutes": span.seconds % 3600 // 60,
        "seconds": int(seconds) if seconds.is_integer() else seconds,
    }
    return ", ".join(f"{unit}={count}" for unit, count in parts.items() if count)


def _text(text: str) -> str:
    """Return `text` as a literal in which nothing is hidden and nothing ends it."""
    return '"' + "".join(map(_legible, text)) + '"'


def _legible(character: str) -> str:
    if character in '\\"':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
