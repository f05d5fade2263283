"""Which column of a file means what, and what a row then says of a person.

Targets: one of :data:`FIELDS`, an attribute with its type (``text:plan``, ``number:score``,
``boolean:active``, ``date:renews``), ``attributes`` (the whole object of that name in a JSON line),
or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from ...capture.limits import check_name, check_text, check_user_id, check_value
from ...errors import InvalidFact
from ...store.transfer_write import PLACE, Entry
from ...types import AttributeValue
from .cells import BadCell, read_boolean, read_moment, read_number, read_tags, read_text, text_cell
from .reading import Record

FIELDS = (
    *("user_id", "email", "name", "signed_up", "first_seen", "last_seen", "sessions", "tags"),
    *("unsubscribed", *PLACE),
)
_MOMENTS = ("signed_up", "first_seen", "last_seen")
CODES = {"s": "text", "n": "number", "b": "boolean", "t": "date"}
"""How the kinds of values are written in our tables, and in a file."""
KINDS = tuple(CODES.values())
_NONE: Mapping[str, Sequence[str]] = {}
WHOLE = "attributes"
_KNOWN_AS = {
    "user_id": ("userid", "id", "uid", "externalid", "customerid"),
    "email": ("email", "emailaddress", "mail"),
    "name": ("name", "fullname", "displayname"),
    "signed_up": ("signedup", "signedupat", "signup", "createdat", "created", "registered"),
    "first_seen": ("firstseen", "firstseenat"),
    "last_seen": ("lastseen", "lastseenat", "lastlogin", "lastactive"),
    "sessions": ("sessions", "sessioncount", "visits", "signincount"),
    "tags": ("tags", "labels"),
    "unsubscribed": ("unsubscribed", "optedout"),
}
_SAME = {word: field for field, words in _KNOWN_AS.items() for word in words}
#: What an export has beside these: not for us to be told.
_OURS = frozenset(["relationship", "public_id"])
_LENGTHS = {
    "email": 320,
    "name": 255,
    **dict.fromkeys(PLACE, 64),
    "city": 128,
    "language": 35,
    **dict.fromkeys(("referrer", "utm_source", "utm_medium", "utm_campaign"), 255),
}
_TAG_LENGTH = 64
_MOST_TAGS = 100
_AHEAD = timedelta(days=1)
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")

Problem = tuple[str, str, str]
"""Column, what is wrong, what to do about it."""


def guess(columns: tuple[str, ...], known: Mapping[str, Sequence[str]] = _NONE) -> dict[str, str]:
    """Return what the columns of a file probably mean; of two alike the first.

    :param known: the attributes that people have, with the kinds of their values (``n s b t``): a
        column ``Plan`` is taken for ``text:plan``.
    """
    headings = {column: (read_text(column) or "").strip() for column in columns}
    called = {
        name: f"{CODES[kinds[0]] if len(kinds) == 1 else 'text'}:{name}"
        for name, kinds in known.items()
    }
    alike = {
        _word(name): target for name, target in called.items() if name not in {*headings.values()}
    }
    found: dict[str, str] = {}
    for column, plain in headings.items():
        kind, colon, rest = plain.partition(":")
        word = _word(plain)
        if plain in (*FIELDS, WHOLE) or (colon and kind in KINDS and rest):
            target = plain
        elif plain in _OURS:
            target = ""
        else:
            target = (
                _SAME.get(word) or called.get(plain) or (word and alike.get(word)) or _text(plain)
            )
        if target and target in found.values():
            target = "" if target in FIELDS else _text(plain)
        found[column] = "" if target in found.values() else target
    return found


def _word(heading: str) -> str:
    """Return what is left of a heading without its case, spaces and signs."""
    return re.sub(r"[\W_]", "", heading.casefold())


def _text(name: str) -> str:
    return f"text:{name[:64]}" if name else ""


def checked_mapping(given: Mapping[str, str], columns: tuple[str, ...]) -> dict[str, str]:
    """Return `given` as it may be used, columns in the order of the file.

    :raises InvalidFact: if it names what isn't there, something twice, or nobody.
    """
    unknown = [column for column in given if column not in columns]
    if unknown:
        raise InvalidFact(f"the file has no column {unknown[0]!r:.80}; it has {', '.join(columns)}")
    mapping: dict[str, str] = {}
    for column in columns:
        target = _checked_target(given.get(column, ""))
        if target and target in mapping.values():
            raise InvalidFact(f"two columns are meant to be {target!r}; choose one.")
        mapping[column] = target
    if not {"user_id", "email"} & set(mapping.values()):
        raise InvalidFact("no column is the user_id or the email: nobody could be told apart.")
    return mapping


def _checked_target(target: str) -> str:
    kind, colon, name = target.partition(":")
    if not target or target in (*FIELDS, WHOLE):
        return target
    if colon and kind in KINDS:
        return f"{kind}:{check_name(name, 'attribute')}"
    raise InvalidFact(
        f"{target!r:.80} is nothing that a column can be: {', '.join(FIELDS)}, or an attribute "
        "with its type, such as text:plan, number:score, boolean:active, date:renews."
    )


def read_record(
    record: Record, mapping: Mapping[str, str], zone: tzinfo, now: datetime
) -> tuple[Entry, list[Problem]]:
    """Return what a row says of a person, and what is wrong with it."""
    entry, problems = Entry(record.number), list[Problem]()
    if record.problem:
        return entry, [("", record.problem, "mend the row")]
    for column, target in mapping.items():
        value = record.values.get(column)
        if not target or value is None:
            continue
        if record.is_exact and isinstance(value, str) and _is_text(target):
            value = text_cell(value)
        try:
            _read(entry, target, value, zone, now)
        except BadCell as error:
            problems.append((column, error.problem, error.fix))
        except InvalidFact as error:
            problems.append((column, str(error), "change the value"))
    if not problems and entry.user_id is None and entry.email is None:
        problems.append(("", "there is neither a user_id nor an email", "give one of them"))
    return entry, problems


def _is_text(target: str) -> bool:
    return target in ("user_id", "email", "name", "tags", *PLACE) or target.startswith("text:")


def _read(entry: Entry, target: str, value: Any, zone: tzinfo, now: datetime) -> None:
    if target == WHOLE:
        if not isinstance(value, dict):
            raise BadCell("this is no object", 'write {"plan": "pro"}')
        for name, one in value.items():
            _attribute(entry, name, _exact(one))
    elif target == "tags":
        entry.tags = _tags(value)
    elif target in _MOMENTS:
        moment = _as("date", value, zone)
        if isinstance(moment, datetime):
            check_value(target, moment)
            if moment > now + _AHEAD:
                raise BadCell("this is in the future", "give a moment that is over")
            setattr(entry, target, moment)
    elif target == "sessions":
        count = _as("number", value, zone)
        if count is not None and not (type(count) is int and 0 <= count < 2**31):
            raise BadCell(f"{str(count)[:60]} is no number of sessions", "write a whole number")
        entry.sessions = count
    elif target == "unsubscribed":
        told = _as("boolean", value, zone)
        entry.unsubscribed = told if isinstance(told, bool) else None
    elif target in FIELDS:
        _text_field(entry, target, value)
    else:
        kind, _, name = target.partition(":")
        _attribute(entry, name, _as(kind, value, zone))


def _text_field(entry: Entry, target: str, value: Any) -> None:
    text = _as("text", value, None)
    if not isinstance(text, str) or not text:
        return
    if target == "user_id":
        try:
            entry.user_id = check_user_id(text)
        except InvalidFact:
            raise BadCell("this can't be a user id", "give 1 to 255 characters") from None
        return
    check_text(text, target)
    if target == "email":
        text = text.strip()
        if not _ADDRESS.fullmatch(text):
            raise BadCell("this is no email address", "write one address: ada@example.org")
    if len(text) > _LENGTHS[target]:
        raise BadCell(f"{len(text):,} characters", f"use up to {_LENGTHS[target]}")
    setattr(entry, target, text)


def _attribute(entry: Entry, name: str, value: AttributeValue) -> None:
    if value is not None:
        name = check_name(name, "attribute")
        entry.attributes[name] = check_value(name, value)


def _tags(value: Any) -> list[str]:
    found = read_tags(value) if isinstance(value, str) else value
    if not isinstance(found, list) or len(found) > _MOST_TAGS:
        raise BadCell("these are no tags", f"write up to {_MOST_TAGS} with commas in between")
    for tag in found:
        if not isinstance(tag, str) or not 0 < len(tag) <= _TAG_LENGTH:
            raise BadCell("a tag is too long or empty", f"use 1 to {_TAG_LENGTH} characters")
        check_text(tag, "a tag")
    return list(dict.fromkeys(found))


def _as(kind: str, value: Any, zone: tzinfo | None) -> AttributeValue:
    """Return a cell, or a value of a JSON line, as `kind`; None: there is none."""
    if isinstance(value, (dict, list)):
        raise BadCell("this is nested", "give a plain value")
    if not isinstance(value, str):
        if kind == "text" and value is not None:
            return str(value).lower() if isinstance(value, bool) else str(value)
        if (kind == "boolean") is isinstance(value, bool) and kind != "date":
            return value  # type: ignore[no-any-return]
        value = str(value)
    if kind == "number":
        return read_number(value)
    if kind == "boolean":
        return read_boolean(value)
    if kind == "date" and zone is not None:
        return read_moment(value, zone)
    return read_text(value)


def _exact(value: Any) -> AttributeValue:
    """Return an attribute as a JSON line of ours has it: a time is ``{"date": …}``."""
    if isinstance(value, dict) and set(value) == {"date"} and isinstance(value["date"], str):
        try:
            moment = datetime.fromisoformat(value["date"])
        except ValueError:
            raise BadCell("this is no date", "write 2026-03-02T10:30:00+00:00") from None
        return moment
    if isinstance(value, (dict, list)):
        raise BadCell("this is nested", "give a plain value")
    return value  # type: ignore[no-any-return]
