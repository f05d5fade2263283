"""What a fact may hold. Checked when it is accepted, so that nothing accepted is refused later."""

from __future__ import annotations

import math
import reprlib
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeGuard
from uuid import UUID

from .._clock import as_utc
from ..errors import InvalidFact
from ..types import AttributeValue, PropertyValue

NAME_LENGTH = 64
KEYS = 64
PROPERTIES_BYTES = 16 * 1024
VALUE_BYTES = 1024
ATTRIBUTES = 100
"""Attributes in one call: no host knows more of a user at once, and it bounds a fact's size."""
USER_ID_LENGTH = 255
EVENT_ID_LENGTH = 191
_INT_LIMIT = 2**63
_AHEAD = timedelta(days=1)
"""Clocks differ, and so do zones that somebody mixed up; by more than a day they do not."""
_EARLIEST_YEAR = 1970


_MOST_NAMES = 4096
_names: set[str] = set()
"""Plain names of up to `NAME_LENGTH` that have passed: a host says the same few all the time."""


_shortly = reprlib.Repr()
_shortly.maxstring = _shortly.maxother = 100
_shortly.maxlevel = 2


def _shown(value: object) -> str:
    """Return `value` as an error message shows it: short, whatever it is."""
    try:
        return _shortly.repr(value)[:100]
    except (ValueError, RecursionError):  # a number of too many digits, or too deep a nest
        return f"a {type(value).__name__}"


def is_plain(text: str) -> bool:
    """Tell whether `text` is one of printable ASCII characters with no space around it."""
    # Faster than a regular expression.
    return text.isascii() and text.isprintable() and text.strip() == text != ""


def _is_plain_name(name: object) -> TypeGuard[str]:
    if type(name) is not str:
        return False
    if name in _names:
        return True
    if not is_plain(name) or len(name) > NAME_LENGTH:
        return False
    if len(_names) < _MOST_NAMES:
        _names.add(name)
    return True


def check_name(name: object, what: str = "event") -> str:
    """Return `name` trimmed and in NFC.

    :raises InvalidFact: unless it is a text of 1 to 64 printable characters.
    """
    if _is_plain_name(name):
        return name
    if isinstance(name, str):
        found = unicodedata.normalize("NFC", name.strip())
        if 0 < len(found) <= NAME_LENGTH and found.isprintable():
            return found
    raise InvalidFact(
        f"{what} name {_shown(name)}: expected 1 to {NAME_LENGTH} printable characters."
    )


def check_text(text: str, what: str) -> str:
    """Return `text` as a plain ``str``.

    :raises InvalidFact: if it holds NUL or half a character (a lone surrogate), which
        databases refuse.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidFact(f"{what} holds a lone surrogate; decode the text first.") from None
    if "\0" in text:
        raise InvalidFact(f"{what} holds a NUL character; strip it first.")
    return _as_text(text)


def _as_text(value: object) -> str:
    """Return a text or an id as a plain ``str``: of a member of an enumeration its value.

    ``str()`` would give such a member's name in the program.
    """
    if isinstance(value, str):
        return str.__str__(value)
    return str(int(value) if isinstance(value, int) else value)


def _check_number(value: float, what: str) -> float:
    if isinstance(value, int):
        if not -_INT_LIMIT <= value < _INT_LIMIT:
            raise InvalidFact(f"{what} is an integer of more than 64 bits; give it as text.")
        return int(value)
    if not math.isfinite(value):
        raise InvalidFact(f"{what} is {value!r}; expected a finite number.")
    return float(value)


def _check_scalar(value: object, what: str) -> PropertyValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check_text(value, what)
    if isinstance(value, (int, float)):
        return _check_number(value, what)
    raise InvalidFact(
        f"{what} is {_shown(value)}; expected a str, int, float, bool or None, not nested data."
    )


def check_properties(properties: object) -> dict[str, PropertyValue]:
    """Return a copy of an event's properties: at most 64 keys and 16 KiB of flat values.

    :raises InvalidFact: if one of them is out of the limits.
    """
    if properties is None:
        return {}
    if not isinstance(properties, Mapping):
        raise InvalidFact(f"properties {_shown(properties)}: expected a mapping.")
    if len(properties) > KEYS:
        raise InvalidFact(f"{len(properties)} properties: expected at most {KEYS}.")
    checked: dict[str, PropertyValue] = {}
    size = 0
    for key, value in properties.items():
        if not _is_plain_name(key):
            if not isinstance(key, str) or not key:
                raise InvalidFact(f"property {_shown(key)}: expected a text that is not empty.")
            key = check_text(key, "a property's name")
        if type(value) is str and value.isascii() and "\0" not in value:
            found: PropertyValue = value  # as most are
            size += len(value)
        elif type(value) is int and -_INT_LIMIT <= value < _INT_LIMIT:
            found = value
            size += 8
        else:
            found = _check_scalar(value, f"property {key!r:.80}")
            size += len(found.encode()) if isinstance(found, str) else 8
        checked[key] = found
        size += len(key) if key.isascii() else len(key.encode())
    if size > PROPERTIES_BYTES:
        raise InvalidFact(f"{size} bytes of properties: expected at most {PROPERTIES_BYTES}.")
    return checked


def check_value(name: str, value: object) -> AttributeValue:
    """Return an attribute's `value`; times come back in UTC.

    :raises InvalidFact: unless it is None, a bool, a finite number, an aware datetime or a
        text of up to 1 KiB.
    """
    if isinstance(value, datetime):
        return check_time(value, f"attribute {name!r}")
    found = _check_scalar(value, f"attribute {name!r}")
    if isinstance(found, str) and len(found.encode()) > VALUE_BYTES:
        raise InvalidFact(f"attribute {name!r}: expected at most {VALUE_BYTES} bytes of text.")
    return found


def check_attributes(values: object) -> None:
    """Check that `values` are attributes, and not too many.

    :raises InvalidFact: unless they are a mapping of at most a hundred.
    """
    if not isinstance(values, Mapping):
        raise InvalidFact(f"attributes {_shown(values)}: expected a mapping.")
    if len(values) > ATTRIBUTES:
        raise InvalidFact(f"{len(values)} attributes at once: expected at most {ATTRIBUTES}.")


def check_values(values: Mapping[str, object]) -> dict[str, AttributeValue]:
    """Return a checked copy of a mapping from attribute names to values.

    :raises InvalidFact: if one of them is out of the limits.
    """
    check_attributes(values)
    checked: dict[str, AttributeValue] = {}
    for name, value in values.items():
        found = check_name(name, "attribute")
        checked[found] = check_value(found, value)
    return checked


def check_amount(name: str, by: object) -> float:
    """Return the amount of an increment.

    :raises InvalidFact: unless it is a finite number.
    """
    if isinstance(by, bool) or not isinstance(by, (int, float)):
        raise InvalidFact(f"increment of {name!r} by {_shown(by)}: expected a number.")
    if isinstance(by, int) and not -_INT_LIMIT <= by < _INT_LIMIT:
        raise InvalidFact(f"increment of {name!r}: expected an integer of at most 64 bits.")
    return _check_number(by, f"increment of {name!r}")


def check_time(at: object, what: str = "at") -> datetime:
    """Return `at` in UTC.

    :raises InvalidFact: if it is no aware datetime, or from before 1970.
    """
    if not isinstance(at, datetime):
        raise InvalidFact(f"{what} {_shown(at)}: expected an aware datetime.")
    try:
        moment = as_utc(at, what=what)
    except OverflowError:
        raise InvalidFact(f"{what} {at!r}: expected a moment that there is in UTC.") from None
    except ValueError as error:
        raise InvalidFact(str(error)) from None
    if moment.year < _EARLIEST_YEAR:
        raise InvalidFact(f"{what} {at!r}: expected a moment after {_EARLIEST_YEAR}.")
    return moment


def check_past(at: object, now: datetime) -> datetime:
    """Return `at`, when something happened, in UTC.

    :raises InvalidFact: as :func:`check_time`, or if it lies more than a day ahead of `now`:
        somebody last seen in the future would never be missed.
    """
    moment = check_time(at)
    if moment > now + _AHEAD:
        raise InvalidFact(f"at {moment.isoformat()}: expected a moment that has come.")
    return moment


def check_hits(hits: object) -> int:
    """Return `hits`, a whole number from 1 up.

    :raises InvalidFact: if it is anything else.
    """
    if isinstance(hits, bool) or not isinstance(hits, int) or not 1 <= hits < 2**31:
        raise InvalidFact(f"hits={_shown(hits)}: expected a whole number above 0.")
    return hits


def check_user_id(value: object) -> str:
    """Return a host's user id as text.

    :raises InvalidFact: unless it is a str, int or UUID of 1 to 255 characters.
    """
    if type(value) is str and is_plain(value) and len(value) <= USER_ID_LENGTH:
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        raise InvalidFact(f"user id {_shown(value)}: expected a str, int or UUID.")
    if isinstance(value, int) and not -_INT_LIMIT <= value < 2 * _INT_LIMIT:
        raise InvalidFact("user id: expected an integer of at most 64 bits.")
    found = _as_text(value)
    if not 0 < len(found) <= USER_ID_LENGTH:
        raise InvalidFact(f"user id {_shown(found)}: expected 1 to {USER_ID_LENGTH} characters.")
    return check_text(found, "user id")


def check_event_id(value: Any) -> str | None:
    """Return the id that a caller gave an event, as text.

    :raises InvalidFact: unless it is None, or a str, int or UUID of 1 to 191 characters.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        raise InvalidFact(f"event id {_shown(value)}: expected a str, int or UUID.")
    if isinstance(value, int) and not -_INT_LIMIT <= value < 2 * _INT_LIMIT:
        raise InvalidFact("event id: expected an integer of at most 64 bits.")
    found = check_text(_as_text(value), "event id")
    if not 0 < len(found) <= EVENT_ID_LENGTH:
        raise InvalidFact(f"event id {_shown(found)}: expected 1 to {EVENT_ID_LENGTH} characters.")
    return found


def trim_text(value: object, length: int) -> str | None:
    """Return what of `value` a column of `length` characters can hold; None for no text.

    For what comes along with a sighting (addresses, names, headers): it is no reason to lose
    the sighting.
    """
    if not isinstance(value, str):
        return None
    # As is_plain(), in one go: asked of several texts in each request.
    if (
        type(value) is str
        and len(value) <= length
        and value.isascii()
        and value.isprintable()
        and value.strip() == value != ""
    ):
        return value
    if not value.isascii():
        value = value.encode(errors="replace").decode()
    return value.replace("\0", "").strip()[:length] or None
