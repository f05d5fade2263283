"""What a filter compares with: texts, numbers, booleans and times, each of one kind."""

from __future__ import annotations

import math
import reprlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Literal, TypeAlias

from .._clock import as_utc
from ..errors import InvalidFilter

Kind: TypeAlias = Literal["s", "n", "b", "t"]
"""Text, number, boolean, time: a comparison between two kinds is false."""

KIND_WORDS: dict[str, str] = {"s": "text", "n": "number", "b": "boolean", "t": "time"}

MAX_TEXT = 4096
"""Characters of one text in a filter; what it is compared with is shorter."""
MAX_NAME = 64
"""Characters of the name of an event or attribute."""
MAX_DURATION = timedelta(days=365_000)
"""About a thousand years: anything more leaves the calendar."""
_INTEGER = 2**63


def shown(value: object) -> str:
    """Return `value` as code, cut short however large or deep it is."""
    return reprlib.repr(value)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time relative to each run of the filter; see :func:`ago` and :func:`from_now`."""

    offset: timedelta
    """From the run's now; negative lies in the past."""

    def at(self, now: datetime) -> datetime:
        """Return the instant that is meant when it is `now`."""
        return now + self.offset


@dataclass(frozen=True, slots=True)
class Value:
    """A literal of a filter. Two values are equal only if they are of one kind."""

    kind: Kind
    content: str | int | float | bool | datetime | Moment


def ago(
    *, weeks: float = 0, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
) -> Moment:
    """Return the time so long before now, where now is the moment of each run."""
    return Moment(-_duration("ago()", weeks, days, hours, minutes, seconds))


def from_now(
    *, weeks: float = 0, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
) -> Moment:
    """Return the time so long after now, where now is the moment of each run."""
    return Moment(_duration("from_now()", weeks, days, hours, minutes, seconds))


def duration(
    what: str, *, weeks: float, days: float, hours: float, minutes: float, seconds: float
) -> timedelta:
    """Return the duration above 0 that the keywords of `what` add up to."""
    found = _duration(what, weeks, days, hours, minutes, seconds)
    if found <= timedelta(0):
        raise InvalidFilter(f"{what} needs a duration above 0, such as {what[:-1]}days=7).")
    return found


def _duration(
    what: str, weeks: float, days: float, hours: float, minutes: float, seconds: float
) -> timedelta:
    parts = (weeks, days, hours, minutes, seconds)
    if any(isinstance(part, bool) or not isinstance(part, (int, float)) for part in parts):
        raise InvalidFilter(f"{what} takes numbers, such as {what[:-1]}days=7).")
    try:
        found = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except (OverflowError, ValueError):
        found = None
    if found is None or abs(found) > MAX_DURATION:
        raise InvalidFilter(f"{what} reaches beyond {MAX_DURATION.days} days.")
    return found


def value_of(raw: object, *, naive: bool = False) -> Value:
    """Return `raw` as a literal.

    :param naive: let times without a zone pass (columns of the host may hold such).
    :raises InvalidFilter: if it is of no kind that a filter can compare with.
    """
    match raw:
        case Value():
            return raw
        case bool():
            return Value("b", raw)
        case str():
            return Value("s", checked_text(raw))
        case int() | float():
            return Value("n", _number(raw))
        case Moment():
            return Value("t", raw)
        case datetime():
            if naive and raw.tzinfo is None:
                return Value("t", raw)
            try:
                return Value("t", as_utc(raw))
            except (ValueError, OverflowError) as error:
                raise InvalidFilter(str(error)) from None
        case None:
            raise InvalidFilter("A filter can't compare with None; use .is_set() or ~….is_set().")
        case timedelta():
            raise InvalidFilter(f"{raw!r} is a duration; for a time use ago(…) or from_now(…).")
        case _:
            raise InvalidFilter(
                f"A filter can't compare with {shown(raw)}; "
                "use a text, a number, True or False, an aware datetime, ago() or from_now()."
            )


def _number(raw: int | float) -> int | float:
    if isinstance(raw, int):
        if not -_INTEGER <= raw < _INTEGER:
            raise InvalidFilter(f"{raw} doesn't fit into 64 bits.")
        return int(raw)
    if not math.isfinite(raw):
        raise InvalidFilter(f"{raw!r} is no number that a filter can compare with.")
    # 1.0 and 1 are one value: equal filters must read and serialise the same.
    return int(raw) if raw.is_integer() and abs(raw) < _INTEGER else float(raw)


def checked_text(raw: str) -> str:
    """Return `raw` as a plain ``str`` that every database can take.

    :raises InvalidFilter: if it is too long, or is no valid Unicode.
    """
    text = str.__str__(raw)
    if len(text) > MAX_TEXT:
        raise InvalidFilter(f"A text in a filter has at most {MAX_TEXT} characters.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidFilter(f"{shown(text)} is no valid Unicode text (it has a lone surrogate).")
    return text


def checked_name(raw: object, what: str) -> str:
    """Return `raw` as the name of an event or attribute: trimmed and in form NFC, as stored."""
    if not isinstance(raw, str):
        raise InvalidFilter(f"The name of {what} is a text, not {shown(raw)}.")
    name = unicodedata.normalize("NFC", raw.strip())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidFilter(
            f"{shown(raw)}: the name of {what} has 1 to {MAX_NAME} printable characters."
        )
    return name


def checked_label(raw: object, what: str, longest: int) -> str:
    """Return `raw` as the name of a property, message or segment: any text, as it is."""
    if not isinstance(raw, str):
        raise InvalidFilter(f"The name of {what} is a text, not {shown(raw)}.")
    label = checked_text(raw)
    if not 1 <= len(label) <= longest or "\0" in label:
        raise InvalidFilter(f"{shown(raw)}: the name of {what} has 1 to {longest} characters.")
    return label


def did_you_mean(got: str, known: Iterable[str]) -> str:
    """Return a hint to the name that was probably meant, or the names that there are."""
    names = sorted(known)
    near = get_close_matches(got, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there are none."
    return "there are: " + ", ".join(names[:30]) + (", …" if len(names) > 30 else "") + "."
