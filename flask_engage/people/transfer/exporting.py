"""People on their way out: CSV that a spreadsheet may open, or JSON Lines, exact.

Either is read again by an import as it was written. What it holds is decided by whom it is given:
an iterator of people, of which one page is in memory at a time.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...errors import InvalidFilter
from ...types import AttributeValue, Person
from .cells import tags_cell, text_cell, value_cell
from .mapping import CODES

FIELDS = [
    "user_id",
    "email",
    "name",
    "signed_up",
    "first_seen",
    "last_seen",
    "sessions",
    "relationship",
    "country",
    "city",
    "timezone",
    "language",
    "browser",
    "os",
    "device",
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "tags",
    "unsubscribed",
    "public_id",
]
FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
_PIECE = 64 * 1024
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""What many a reader takes for the end of a line, and JSON lets stand in a text."""
_KINDS: dict[str, Callable[[Any], bool]] = {
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "date": lambda value: isinstance(value, datetime),
    "text": lambda value: isinstance(value, str),
}


def columns_of(
    kinds: Mapping[str, Sequence[str]], chosen: Sequence[str] | None = None
) -> list[str]:
    """Return the columns of an export: fields, then attributes with their type.

    :param kinds: of each attribute that people have, the kinds of its values (``n s b t``).
    :param chosen: fields, or attributes by name or with their type; default: all there is.
    :raises InvalidFilter: for something that there isn't.
    """
    attributes = {
        name: [f"{CODES[kind]}:{name}" for kind in sorted(found)]
        for name, found in sorted(kinds.items())
    }
    if not chosen:
        return [*FIELDS, *(one for some in attributes.values() for one in some)]
    columns: list[str] = []
    for name in chosen:
        kind, _, rest = name.partition(":")
        if name in FIELDS or (kind in _KINDS and rest in attributes):
            columns.append(name)
        elif name in attributes:
            columns += attributes[name]
        else:
            raise InvalidFilter(
                f"there is no column {name!r:.80}: give a field ({', '.join(FIELDS)}) or the name "
                "of an attribute that somebody has."
            )
    return list(dict.fromkeys(columns))


def export(people: Iterable[Person], columns: Sequence[str], kind: str) -> Iterator[str]:
    """Yield the text of an export in pieces of some size."""
    lines = _csv(people, columns) if kind == "csv" else _jsonl(people, columns)
    held: list[str] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _PIECE:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)


def _csv(people: Iterable[Person], columns: Sequence[str]) -> Iterator[str]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")

    def line(cells: Sequence[str]) -> str:
        writer.writerow(cells)
        text = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return text

    yield line([text_cell(column) for column in columns])
    for person in people:
        yield line([_cell(person, column) for column in columns])


def _cell(person: Person, column: str) -> str:
    if column == "tags":
        return tags_cell(person.tags)
    return value_cell(_value(person, column))


def _value(person: Person, column: str) -> AttributeValue:
    kind, colon, name = column.partition(":")
    if not colon:
        return getattr(person, column)  # type: ignore[no-any-return]
    value = person.attrs.get(name)
    return value if value is not None and _KINDS[kind](value) else None


def _jsonl(people: Iterable[Person], columns: Sequence[str]) -> Iterator[str]:
    for person in people:
        line: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        for column in columns:
            if column == "tags":
                line[column] = list(person.tags)
                continue
            value = _value(person, column)
            if ":" in column:
                if value is not None:
                    attributes[column.partition(":")[2]] = (
                        {"date": _moment(value)} if isinstance(value, datetime) else value
                    )
            else:
                line[column] = _moment(value) if isinstance(value, datetime) else value
        if any(":" in column for column in columns):
            line["attributes"] = attributes
        text = json.dumps(line, ensure_ascii=False)
        yield (text if text.isascii() else text.translate(_LINE_ENDS)) + "\n"


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")
