"""What a form asks of one value: a comparison, what it is compared with, and in which unit."""

from __future__ import annotations

import csv
import operator as operators
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..errors import InvalidFilter
from ..segments.values import ago, from_now
from .formats import local

Choices = tuple[tuple[str, str, str], ...]
"""Code, words, and what is filled in beside it."""

#: What can be asked of each kind of value.
OPERATORS: dict[str, Choices] = {
    "s": (
        ("eq", "is", "text"),
        ("ne", "is not", "text"),
        ("contains", "contains", "text"),
        ("lacks", "does not contain", "text"),
        ("starts", "begins with", "text"),
        ("in", "is one of", "list"),
    ),
    "n": (
        ("eq", "is", "number"),
        ("ne", "is not", "number"),
        ("lt", "is less than", "number"),
        ("le", "is at most", "number"),
        ("gt", "is more than", "number"),
        ("ge", "is at least", "number"),
        ("in", "is one of", "list"),
    ),
    "b": (("yes", "is yes", ""), ("no", "is no", "")),
    "t": (
        ("older", "more than … ago", "span"),
        ("newer", "less than … ago", "span"),
        ("before", "before the day", "date"),
        ("after", "on or after the day", "date"),
        ("soon", "less than … from now", "span"),
        ("later", "more than … from now", "span"),
    ),
    "tags": (("has", "has", "text"), ("lacks", "does not have", "text")),
}
ALWAYS: Choices = (("set", "is known", ""), ("unset", "is not known", ""))
KINDS = {"s": "text", "n": "number", "b": "yes or no", "t": "time", "tags": "tags"}
UNITS = {"days": "days", "hours": "hours", "minutes": "minutes", "weeks": "weeks"}
"""Of a length of time, the usual one first."""

_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operators.eq,
    "ne": operators.ne,
    "lt": operators.lt,
    "le": operators.le,
    "gt": operators.gt,
    "ge": operators.ge,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A comparison as it was filled in."""

    op: str
    kind: str
    """What kind of value was chosen along with the comparison; empty: not said."""
    value: str
    unit: str
    suffix: str = ""
    """What the names of these fields end with, such as ``-2``."""

    @staticmethod
    def of(form: Mapping[str, str], suffix: str = "") -> Asked:
        """Return what the fields of `form` whose names end with `suffix` ask."""
        kind, colon, op = form.get(f"op{suffix}", "").rpartition(":")
        value = form.get(f"value{suffix}", "").strip()
        unit = form.get(f"unit{suffix}", "").strip() or "days"
        return Asked(op, kind if colon else "", value, unit, suffix)

    def wrong(self, field: str, text: str) -> InvalidFilter:
        """Return the error that names `field` and how to mend it."""
        return InvalidFilter(f"{field}{self.suffix}: {text}")


def ask(operand: Any, kind: str, asked: Asked, zone: ZoneInfo) -> Any:
    """Return the condition that `asked` makes of `operand`, whose value is of `kind`.

    :param zone: in which a day begins.
    :raises InvalidFilter: naming the field that is wrong.
    """
    if asked.op in ("set", "unset"):
        return operand.is_set() if asked.op == "set" else ~operand.is_set()
    if asked.op not in [code for code, *_rest in OPERATORS.get(kind, ())]:
        words = ", ".join(f"“{text}”" for _code, text, _input in OPERATORS.get(kind, ()))
        raise asked.wrong(
            "op",
            f"this is a {KINDS.get(kind, kind)} and can't be asked that; choose {words}, "
            "“is known” or “is not known”.",
        )
    match asked.op:
        case "yes" | "no":
            return operand == (asked.op == "yes")
        case "older" | "newer" | "soon" | "later" | "before" | "after":
            return _at(operand, asked, zone)
        case "contains" | "has":
            return operand.contains(_text(asked))
        case "lacks":
            return ~operand.contains(_text(asked))
        case "starts":
            return operand.startswith(_text(asked))
        case "in":
            return operand.in_(_listed(asked, kind))
        case _:
            value = number(asked.value, asked) if kind == "n" else _text(asked)
            return _COMPARED[asked.op](operand, value)


def kind_meant(known: tuple[str, ...], asked: Asked) -> str:
    """Return what kind of value is meant: the chosen, the known one, else what it looks like."""
    if asked.kind:
        return asked.kind
    if len(known) == 1:
        return known[0]
    if asked.op in ("yes", "no"):
        return "b"
    if asked.op in ("older", "newer", "soon", "later", "before", "after"):
        return "t"
    if asked.op in ("lt", "le", "gt", "ge"):
        return "n"
    if asked.op in ("eq", "ne"):
        try:
            number(asked.value, asked)
        except InvalidFilter:
            return "s"
        return "n"
    return "s"


def span(asked: Asked) -> dict[str, int | float]:
    """Return the length of time that was filled in, as ``ago()`` takes it."""
    if asked.unit not in UNITS:
        raise asked.wrong("unit", f"{asked.unit!r:.40} is none of {', '.join(UNITS)}.")
    try:
        length = number(asked.value, asked)
    except InvalidFilter:
        raise asked.wrong(
            "value", f"{asked.value!r:.40} is no number of {asked.unit}; write it as 14."
        ) from None
    if length < 0:
        raise asked.wrong(
            "value", f"{asked.value!r:.40} {asked.unit}; write a number of {asked.unit} above 0."
        )
    return {asked.unit: length}


def number(raw: str, asked: Asked, field: str = "value") -> int | float:
    """Return the number that `raw` says."""
    try:
        return int(raw)
    except ValueError:
        pass
    try:
        return float(raw)
    except ValueError:
        raise asked.wrong(field, f"{raw!r:.40} is no number; write it as 3 or 2.5.") from None


def whole(raw: str, field: str, least: int = 1) -> int:
    """Return the whole number from `least` up that `raw` says."""
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9 or int(raw) < least:
        raise InvalidFilter(f"{field}: {raw!r:.40} is no whole number from {least} up.")
    return int(raw)


def moment_text(moment: datetime, zone: ZoneInfo) -> str:
    """Return `moment` as a form says it: its day in `zone`, with the time if it isn't midnight."""
    at = local(moment, zone)
    text = (at.replace(tzinfo=None) if at.tzinfo is zone else at).isoformat()
    return text.removesuffix("T00:00:00")


def list_text(values: list[str]) -> str:
    """Return texts with commas between them; in quotes where one has a comma itself."""
    return ", ".join(
        '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text for text in values
    )


def _at(operand: Any, asked: Asked, zone: ZoneInfo) -> Any:
    match asked.op:
        case "before":
            return operand < _moment(asked, zone)
        case "after":
            return operand >= _moment(asked, zone)
        case "older":
            return operand < ago(**span(asked))
        case "newer":
            return operand > ago(**span(asked))
        case "soon":
            return operand < from_now(**span(asked))
        case _:
            return operand > from_now(**span(asked))


def _moment(asked: Asked, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(asked.value)
    except ValueError:
        raise asked.wrong(
            "value", f"{asked.value!r:.40} is no day; write it as 2026-03-01."
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _text(asked: Asked) -> str:
    if not asked.value:
        raise asked.wrong("value", "write a text to compare with, or choose “is known”.")
    return asked.value


def _listed(asked: Asked, kind: str) -> list[Any]:
    rows = csv.reader([asked.value], skipinitialspace=True)
    try:
        texts = [text.strip() for row in rows for text in row if text.strip()]
    except csv.Error as error:
        raise asked.wrong("value", f"this is no list ({error}); write it as DE, FR.") from None
    if not texts:
        what = "numbers" if kind == "n" else "texts"
        raise asked.wrong("value", f"write one or more {what}, with commas between them.")
    return [number(text, asked) for text in texts] if kind == "n" else texts
