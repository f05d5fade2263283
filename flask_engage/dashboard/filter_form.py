"""Conditions as forms: from what an operator fills in to a filter's part.

The forms work without a script, so a form's fields are plain texts; an error names the field.
The way back is :mod:`.filter_back`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from zoneinfo import ZoneInfo

from ..errors import InvalidFilter
from ..segments.behaviour import Did, did, received
from ..segments.fields import field_kind
from ..segments.filter import Filter, PersonField, PropertyTest
from ..segments.operands import Operand, attr, prop
from ..segments.values import did_you_mean
from ..segments.visits import VISIT_FIELDS, Visited, bucket, visited
from ..segments.words import in_segment
from .filter_asked import UNITS, Asked, ask, kind_meant, number, span, whole
from .language import gettext as _

ONLY_ATTRIBUTES = (("unchanged", "unchanged for …", "span"),)
TESTS = 6
"""Conditions on one event or visit that a form has room for."""

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
    "hits": "Pages looked at",
}
OUTCOMES = {
    "sent": ("were sent", "were not sent"),
    "opened": ("opened", "did not open"),
    "clicked": ("clicked in", "did not click in"),
    "replied": ("replied to", "did not reply to"),
}
BOUNDS = {"at_least": "at least", "at_most": "at most", "exactly": "exactly"}
WHICH = {"count": "so often", "first": "for the first time", "last": "for the last time"}

_Counted = TypeVar("_Counted", Did, Visited)


def field_words(name: str) -> str:
    """Return a person field as the builder calls it."""
    return _(FIELD_WORDS.get(name, name.replace("_", " ").capitalize()))


def read_condition(
    form: Mapping[str, str], kinds: Mapping[str, tuple[str, ...]], zone: ZoneInfo
) -> Filter:
    """Return the condition that `form` says.

    :param kinds: of the attributes that people have, the kinds of their values.
    :param zone: in which a day begins.
    :raises InvalidFilter: naming the field that is wrong, and how to mend it.
    """
    found = _positive(form, kinds, zone)
    return ~found if form.get("not") else found


def _positive(
    form: Mapping[str, str], kinds: Mapping[str, tuple[str, ...]], zone: ZoneInfo
) -> Filter:
    match form.get("about", ""):
        case "person":
            name = form.get("field", "")
            kind = field_kind(name)
            return _filter(ask(Operand(PersonField(name)), kind, Asked.of(form), zone))
        case "attr":
            name = _needed(form, "name", _("the attribute"))
            operand, asked = attr(name), Asked.of(form)
            if asked.op == "unchanged":
                return operand.unchanged_for(**span(asked))
            return _filter(ask(operand, kind_meant(kinds.get(name, ()), asked), asked, zone))
        case "did":
            return _read_did(form, zone)
        case "visited":
            return _counted(_narrowed(visited(), form, zone), form)
        case "received":
            return _read_received(form)
        case "bucket":
            return _read_bucket(form)
        case "segment":
            # Not "segment": that is the one whose people the list shows.
            return in_segment(_needed(form, "in_segment", _("the segment")))
        case about:
            raise InvalidFilter(
                f"about: {about!r:.40} is unknown; use person, attr, did, visited, received, "
                "bucket or segment."
            )


def _read_did(form: Mapping[str, str], zone: ZoneInfo) -> Filter:
    part = _narrowed(did(_needed(form, "event", _("the event"))), form, zone)
    which = form.get("which", "count")
    found: Filter
    match which:
        case "first" | "last":
            found = _filter(ask(getattr(part, which), "t", Asked.of(form), zone))
        case "count":
            found = _counted(part, form)
        case _:
            raise InvalidFilter(f"which: {which!r:.40} is none of {', '.join(WHICH)}.")
    return ~found if form.get("did") == "not" else found


def _narrowed(part: _Counted, form: Mapping[str, str], zone: ZoneInfo) -> _Counted:
    """Return `part` with the window and the conditions that `form` gives."""
    if form.get("days", "").strip():
        unit = form.get("days_unit", "").strip() or "days"
        if unit not in UNITS:
            raise InvalidFilter(f"days_unit: {unit!r:.40} is none of {', '.join(UNITS)}.")
        part = part.within(**{unit: whole(form["days"].strip(), "days")})
    for place in range(1, TESTS + 1):
        test = _read_test(form, place, isinstance(part, Visited), zone)
        if test is not None:
            part = part.where(test)
    return part


def _read_test(
    form: Mapping[str, str], place: int, is_visit: bool, zone: ZoneInfo
) -> PropertyTest | None:
    name = form.get(f"prop-{place}", "").strip()
    asked = Asked.of(form, f"-{place}")
    if not name:
        if asked.value:
            raise asked.wrong("prop", _("write the name of the property, or empty the value."))
        return None
    if is_visit and name not in VISIT_FIELDS:
        raise asked.wrong(
            "prop", f"a visit has no {name!r:.60}: {did_you_mean(name, VISIT_FIELDS)}"
        )
    kind = VISIT_FIELDS[name] if is_visit else kind_meant((), asked)
    found = ask(prop(name), kind, asked, zone)
    assert isinstance(found, PropertyTest)
    return found


def _counted(part: Did | Visited, form: Mapping[str, str]) -> Filter:
    bound = form.get("bound") or "at_least"
    if bound not in BOUNDS:
        raise InvalidFilter(f"bound: {bound!r:.40} is none of {', '.join(BOUNDS)}.")
    least = 1 if bound == "at_least" else 0
    count = whole(form.get("count", "").strip() or "1", "count", least)
    return part if (bound, count) == ("at_least", 1) else _bounded(part, bound, count)


def _bounded(part: Did | Visited, bound: str, count: int) -> Filter:
    return _filter(getattr(part, bound)(count))


def _read_received(form: Mapping[str, str]) -> Filter:
    outcome = form.get("outcome", "sent")
    part = received(_needed(form, "message", _("the message")))
    if outcome.removeprefix("not_") not in OUTCOMES:
        raise InvalidFilter(f"outcome: {outcome!r:.40} is none of {', '.join(OUTCOMES)}.")
    found = _filter(getattr(part, outcome.removeprefix("not_"))())
    return ~found if outcome.startswith("not_") else found


def _read_bucket(form: Mapping[str, str]) -> Filter:
    salt = _needed(form, "salt", _("the lots"))
    asked = Asked.of(form)
    low, high = (number(form.get(name, "").strip(), asked, name) for name in ("low", "high"))
    if not 0 <= low < high <= 100:
        raise InvalidFilter(
            f"high: {low} to {high} per cent holds nobody; write two numbers from 0 to 100, the "
            "smaller first."
        )
    return bucket(salt, low, high)


def _needed(form: Mapping[str, str], name: str, words: str) -> str:
    text = form.get(name, "").strip()
    if not text:
        raise InvalidFilter(f"{name}: write the name of {words}.")
    return text


def _filter(found: object) -> Filter:
    assert isinstance(found, Filter)
    return found
