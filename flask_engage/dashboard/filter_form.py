"""Conditions as forms: from what an operator fills in to a filter's part, and back again.

The forms work without a script, so a form's fields are plain texts and say in an error what
is wrong with which of them.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..errors import InvalidFilter
from ..segments.behaviour import Did, Received, did, received
from ..segments.fields import FIELDS, field_kind
from ..segments.filter import (
    Attribute,
    Compare,
    Filter,
    InSegment,
    IsSet,
    Not,
    OneOf,
    PersonField,
    Unchanged,
)
from ..segments.operands import Operand, attr
from ..segments.values import Moment, ago, from_now
from ..segments.words import in_segment
from .language import gettext as _

#: What can be asked of each kind of value: code, words, and what is filled in beside it.
OPERATORS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "s": (
        ("eq", "is", "text"),
        ("ne", "is not", "text"),
        ("contains", "contains", "text"),
        ("lacks", "does not contain", "text"),
        ("starts", "begins with", "text"),
        ("in", "is one of", "text"),
    ),
    "n": (
        ("eq", "is", "number"),
        ("ne", "is not", "number"),
        ("lt", "is less than", "number"),
        ("le", "is at most", "number"),
        ("gt", "is more than", "number"),
        ("ge", "is at least", "number"),
    ),
    "b": (("yes", "is yes", ""), ("no", "is no", "")),
    "t": (
        ("older", "more than … days ago", "number"),
        ("newer", "less than … days ago", "number"),
        ("before", "before the day", "date"),
        ("after", "on or after the day", "date"),
        ("soon", "less than … days from now", "number"),
        ("later", "more than … days from now", "number"),
    ),
    "tags": (("has", "has", "text"), ("lacks", "does not have", "text")),
}
ALWAYS = (("set", "is known", ""), ("unset", "is not known", ""))
ONLY_ATTRIBUTES = (("unchanged", "unchanged for … days", "number"),)
KINDS = {"s": "text", "n": "number", "b": "yes or no", "t": "time", "tags": "tags"}

FIELD_WORDS = {
    "last_seen": "Last seen",
    "first_seen": "First seen",
    "signed_up": "Signed up",
    "user_id": "User id",
    "os": "Operating system",
    "timezone": "Time zone",
    "utm_source": "UTM source",
    "utm_medium": "UTM medium",
    "utm_campaign": "UTM campaign",
    "relationship": "Hearts",
}
OUTCOMES = {
    "sent": ("were sent", "were not sent"),
    "opened": ("opened", "did not open"),
    "clicked": ("clicked in", "did not click in"),
    "replied": ("replied to", "did not reply to"),
}
_COMPARED: dict[str, Callable[[Any, Any], Filter]] = {
    "eq": operators.eq,
    "ne": operators.ne,
    "lt": operators.lt,
    "le": operators.le,
    "gt": operators.gt,
    "ge": operators.ge,
}
_NAMES = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_YES, _NO = {"yes", "true"}, {"no", "false"}


def field_words(name: str) -> str:
    """Return a person field as the builder calls it."""
    return _(FIELD_WORDS.get(name, name.replace("_", " ").capitalize()))


# --- from a form -------------------------------------------------------------------------------


def read_condition(
    form: Mapping[str, str], kinds: Mapping[str, tuple[str, ...]], zone: ZoneInfo
) -> Filter:
    """Return the condition that `form` says.

    :param kinds: of the attributes that people have, the kinds of their values.
    :param zone: in which a day begins.
    :raises InvalidFilter: naming the field that is wrong, and how to mend it.
    """
    match form.get("about", ""):
        case "person":
            name = form.get("field", "")
            return _asked(Operand(PersonField(name)), field_kind(name), form, zone)
        case "attr":
            name = _needed(form, "name", _("the attribute"))
            operand = attr(name)
            if form.get("op") == "unchanged":
                return operand.unchanged_for(days=_days(form))
            kind = form.get("kind") or _kind_of(kinds.get(name, ()), form)
            return _asked(operand, kind, form, zone)
        case "did":
            return _read_did(form)
        case "received":
            outcome = form.get("outcome", "sent")
            denied = outcome.startswith("not_")
            part = received(_needed(form, "message", _("the message")))
            if outcome.removeprefix("not_") not in OUTCOMES:
                raise InvalidFilter(f"outcome: {outcome!r:.40} is none of {', '.join(OUTCOMES)}.")
            found: Filter = getattr(part, outcome.removeprefix("not_"))()
            return ~found if denied else found
        case "segment":
            named = in_segment(_needed(form, "segment", _("the segment")))
            return ~named if form.get("not") else named
        case about:
            raise InvalidFilter(
                f"about: {about!r:.40} is unknown; use person, attr, did, received or segment."
            )


def _asked(operand: Operand[Filter], kind: str, form: Mapping[str, str], zone: ZoneInfo) -> Filter:
    code, raw = form.get("op", ""), form.get("value", "").strip()
    if code in ("set", "unset"):
        return operand.is_set() if code == "set" else ~operand.is_set()
    known = [name for name, *_rest in OPERATORS.get(kind, ())]
    if code not in known:
        words = ", ".join(f"“{text}”" for _name, text, _input in OPERATORS.get(kind, ()))
        raise InvalidFilter(
            f"op: this is a {KINDS.get(kind, kind)} and can't be asked that; choose {words}, "
            "“is known” or “is not known”."
        )
    match code:
        case "yes" | "no":
            return operand == (code == "yes")
        case "older" | "newer" | "soon" | "later" | "before" | "after":
            return _at(operand, code, form, zone)
        case "contains" | "has":
            return operand.contains(_text(raw))
        case "lacks":
            return ~operand.contains(_text(raw))
        case "starts":
            return operand.startswith(_text(raw))
        case "in":
            texts = [part.strip() for part in raw.split(",") if part.strip()]
            if not texts:
                raise InvalidFilter("value: write one or more texts, with commas between them.")
            return operand.in_(texts)
        case _:
            value: str | int | float = _number(raw) if kind == "n" else raw
            if kind == "s":
                value = _text(raw)
            return _COMPARED[code](operand, value)


def _at(operand: Operand[Filter], code: str, form: Mapping[str, str], zone: ZoneInfo) -> Filter:
    if code in ("before", "after"):
        raw = form.get("value", "").strip()
        try:
            day = datetime.combine(datetime.fromisoformat(raw).date(), time(), zone)
        except ValueError:
            raise InvalidFilter(f"value: {raw!r:.40} is no day; write it as 2026-03-01.") from None
        return operand < day if code == "before" else operand >= day
    days = _days(form)
    match code:
        case "older":
            return operand < ago(days=days)
        case "newer":
            return operand > ago(days=days)
        case "soon":
            return operand < from_now(days=days)
        case _:
            return operand > from_now(days=days)


def _read_did(form: Mapping[str, str]) -> Filter:
    part = did(_needed(form, "event", _("the event")))
    count = _whole(form.get("count", "").strip() or "1", "count")
    if count != 1:
        part = part.at_least(count)
    if form.get("days", "").strip():
        part = part.within(days=_whole(form["days"].strip(), "days"))
    return ~part if form.get("did") == "not" else part


def _kind_of(known: tuple[str, ...], form: Mapping[str, str]) -> str:
    """Return what kind of value is meant: the known one, else what the form looks like."""
    if len(known) == 1:
        return known[0]
    code, raw = form.get("op", ""), form.get("value", "").strip()
    if code in ("yes", "no"):
        return "b"
    if code in ("older", "newer", "soon", "later", "before", "after"):
        return "t"
    if code in ("lt", "le", "gt", "ge"):
        return "n"
    if code in ("eq", "ne"):
        try:
            _number(raw)
        except InvalidFilter:
            return "s"
        return "n"
    return "s"


def _needed(form: Mapping[str, str], name: str, words: str) -> str:
    text = form.get(name, "").strip()
    if not text:
        raise InvalidFilter(f"{name}: write the name of {words}.")
    return text


def _text(raw: str) -> str:
    if not raw:
        raise InvalidFilter("value: write a text to compare with, or choose “is known”.")
    return raw


def _number(raw: str) -> int | float:
    try:
        return int(raw)
    except ValueError:
        pass
    try:
        return float(raw)
    except ValueError:
        raise InvalidFilter(f"value: {raw!r:.40} is no number; write it as 3 or 2.5.") from None


def _days(form: Mapping[str, str]) -> int | float:
    raw = form.get("value", "").strip()
    try:
        days = _number(raw)
    except InvalidFilter:
        raise InvalidFilter(f"value: {raw!r:.40} is no number of days; write it as 14.") from None
    if days < 0:
        raise InvalidFilter(f"value: {raw!r:.40} days; write a number of days above 0.")
    return days


def _whole(raw: str, name: str) -> int:
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9 or int(raw) < 1:
        raise InvalidFilter(f"{name}: {raw!r:.40} is no whole number from 1 up.")
    return int(raw)


# --- back into a form ----------------------------------------------------------------------------


def form_of(node: Filter) -> dict[str, str] | None:
    """Return the form that says `node`, or None if none of the forms can."""
    denied = isinstance(node, Not)
    inner = node.part if isinstance(node, Not) else node
    match inner:
        case Did(event, "at_least", count, window, ()) if count >= 1:
            if window is not None and (window % timedelta(days=1) or not window.days):
                return None
            days = "" if window is None else str(window.days)
            answer = "not" if denied else "yes"
            return _form("did", event=event, did=answer, count=str(count), days=days)
        case Received(message, outcome):
            return _form("received", message=message, outcome="not_" * denied + outcome)
        case InSegment(name):
            return _form("segment", segment=name, **({"not": "1"} if denied else {}))
        case Unchanged(name, span) if not denied and not span % timedelta(days=1):
            return _form("attr", name=name, op="unchanged", value=str(span.days))
        case IsSet(PersonField() | Attribute() as subject):
            return _about(subject, "unset" if denied else "set")
        case OneOf(PersonField() | Attribute() as subject, values) if not denied:
            texts = [value.content for value in values]
            if not all(isinstance(text, str) and "," not in text for text in texts) or not texts:
                return None
            return _about(subject, "in", ", ".join(map(str, texts)), "s")
        case Compare(PersonField() | Attribute() as subject, operator, value):
            found = _asked_of(operator, value.kind, value.content, denied)
            if found is None:
                return None
            return _about(subject, *found, "tags" if _is_tags(subject) else value.kind)
        case _:
            return None


def _asked_of(operator: str, kind: str, content: Any, denied: bool) -> tuple[str, str] | None:
    if operator == "contains":
        return ("lacks" if denied else "contains"), str(content)
    if denied:
        return None
    if operator == "startswith":
        return "starts", str(content)
    if kind == "b":
        return None if operator != "==" else ("yes" if content else "no", "")
    if kind == "t":
        return _days_of(operator, content)
    return (_NAMES[operator], str(content)) if operator in _NAMES else None


def _days_of(operator: str, content: Any) -> tuple[str, str] | None:
    if isinstance(content, Moment):
        span = abs(content.offset)
        if span % timedelta(days=1):
            return None
        past = content.offset <= timedelta(0)
        code = {"<": "older" if past else "soon", ">": "newer" if past else "later"}.get(operator)
        return None if code is None else (code, str(span.days))
    if isinstance(content, datetime) and content.time() == time():
        code = {"<": "before", ">=": "after"}.get(operator)
        return None if code is None else (code, content.date().isoformat())
    return None


def _about(
    subject: PersonField | Attribute, code: str, value: str = "", kind: str = ""
) -> dict[str, str]:
    if isinstance(subject, PersonField):
        if FIELDS[subject.name] == "tags":
            code = {"contains": "has"}.get(code, code)
        return _form("person", field=subject.name, op=code, value=value)
    return _form("attr", name=subject.name, op=code, value=value, kind=kind)


def _is_tags(subject: PersonField | Attribute) -> bool:
    return isinstance(subject, PersonField) and FIELDS[subject.name] == "tags"


def _form(about: str, **fields: str) -> dict[str, str]:
    return {"about": about, **fields}
