"""The words that a host writes filters with."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidFilter
from .behaviour import did, received
from .fields import FIELDS, field_kind
from .filter import Everyone, Filter, InSegment, PersonField
from .host import host
from .operands import Operand, attr, prop
from .values import ago, checked_label, from_now
from .visits import bucket, visited

__all__ = [
    "ago",
    "attr",
    "bucket",
    "did",
    "everyone",
    "from_now",
    "host",
    "in_segment",
    "person",
    "prop",
    "received",
    "visited",
]


class _UnknownField(InvalidFilter, AttributeError):
    """Both: so that a typo reads as a filter's error, and ``hasattr`` still works."""


class _Person:
    """The fields of each person, to be compared: ``person.last_seen < ago(days=14)``."""

    __slots__ = ()

    user_id = Operand[Filter](PersonField("user_id"))
    email = Operand[Filter](PersonField("email"))
    name = Operand[Filter](PersonField("name"))
    signed_up = Operand[Filter](PersonField("signed_up"))
    first_seen = Operand[Filter](PersonField("first_seen"))
    last_seen = Operand[Filter](PersonField("last_seen"))
    sessions = Operand[Filter](PersonField("sessions"))
    relationship = Operand[Filter](PersonField("relationship"))
    country = Operand[Filter](PersonField("country"))
    city = Operand[Filter](PersonField("city"))
    timezone = Operand[Filter](PersonField("timezone"))
    language = Operand[Filter](PersonField("language"))
    browser = Operand[Filter](PersonField("browser"))
    os = Operand[Filter](PersonField("os"))
    device = Operand[Filter](PersonField("device"))
    referrer = Operand[Filter](PersonField("referrer"))
    utm_source = Operand[Filter](PersonField("utm_source"))
    utm_medium = Operand[Filter](PersonField("utm_medium"))
    utm_campaign = Operand[Filter](PersonField("utm_campaign"))
    tags = Operand[Filter](PersonField("tags"))
    unsubscribed = Operand[Filter](PersonField("unsubscribed"))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            field_kind(name)
        except InvalidFilter as error:
            raise _UnknownField(str(error)) from None
        raise AssertionError(f"{name} is a field without a word")

    def __dir__(self) -> list[str]:
        return list(FIELDS)

    def __repr__(self) -> str:
        return "person"


person = _Person()
"""The fields of each person; see the list of them in the documentation."""

everyone: Filter = Everyone()
"""Everybody."""


def in_segment(name: str) -> Filter:
    """Match those who are in the segment `name`, as it is defined at each run."""
    return InSegment(checked_label(name, "a segment", 128))
