"""What stands in a cell of a CSV file: safe in a spreadsheet, and the same again when read.

A spreadsheet takes text that begins with ``=`` and the like for a formula. Such text gets an
apostrophe in front, and so does text that would be read as having got one. A lone apostrophe is
the empty text; an empty cell is no value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, tzinfo

from ...types import AttributeValue

_TAKES_ONE = re.compile("'*(?:[=+\\-@\t\r\n＝＋－＠]|\\Z)")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_YES = frozenset({"true", "yes", "1"})
_NO = frozenset({"false", "no", "0"})


class BadCell(ValueError):
    """A cell can't be read; says what is wrong and what would be right."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem, self.fix = problem, fix


def text_cell(text: str | None) -> str:
    """Return the cell for a text, or for none."""
    if text is None:
        return ""
    return f"'{text}" if _TAKES_ONE.match(text) else text


def read_text(cell: str) -> str | None:
    """Return the text that a cell holds; the reverse of :func:`text_cell`."""
    if not cell:
        return None
    return cell[1:] if cell[0] == "'" and _TAKES_ONE.match(cell, 1) else cell


def value_cell(value: AttributeValue) -> str:
    """Return the cell for a value: numbers stay numbers, times are ISO 8601 in UTC."""
    if value is None or isinstance(value, str):
        return text_cell(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return repr(value)


def read_number(cell: str) -> int | float | None:
    """Return the number in a cell."""
    text = cell.strip().removeprefix("'")
    if not text:
        return None
    if _WHOLE.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    number = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise BadCell(f"{text[:60]!r} is no number", "write digits, with a point: 1234.5")
    return number


def read_boolean(cell: str) -> bool | None:
    """Return the yes or no in a cell."""
    text = cell.strip().casefold()
    if text in _YES:
        return True
    if text in _NO:
        return False
    if not text:
        return None
    raise BadCell(f"{cell[:60]!r} is neither yes nor no", "write true or false")


def read_moment(cell: str, zone: tzinfo) -> datetime | None:
    """Return the moment in a cell in UTC; without a zone of its own it is in `zone`."""
    text = cell.strip()
    if not text:
        return None
    try:
        if len(text) == 10:
            found = datetime.combine(date.fromisoformat(text), time(), zone)
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=zone)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadCell(
            f"{text[:60]!r} is no date", "write 2026-03-02 or 2026-03-02T10:30:00+00:00"
        ) from None


def tags_cell(tags: Sequence[str]) -> str:
    """Return the cell for some tags: with commas between them, or as JSON where those mislead."""
    if not tags:
        return ""
    plain = all(tag == tag.strip() and tag and not set(tag) & {",", "["} for tag in tags)
    return text_cell(",".join(tags) if plain else json.dumps(list(tags), ensure_ascii=False))


def read_tags(cell: str) -> list[str]:
    """Return the tags in a cell."""
    text = read_text(cell) or ""
    if not text.startswith("["):
        return [tag.strip() for tag in text.split(",") if tag.strip()]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(tag, str) for tag in found):
        raise BadCell("these are no tags", "write them with commas in between: vip,beta")
    return found
