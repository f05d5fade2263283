"""Facts: what a request tells us, in the form in which the journal keeps it.

A fact is complete in itself: whoever reads it, at whatever time, stores the same. Fields are
only ever added at the end, with a default; another kind of fact needs another
:data:`.frames.FORMAT`, because code of the previous version must leave it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from ..types import AttributeValue, PropertyValue

Wire: TypeAlias = tuple[str, str | int | float | bool | None]
"""An attribute's value in the journal: its kind (``v`` as it is, ``t`` time), and it."""


class Context(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a request says of the browser and of the way that led here."""

    path: str | None = None
    referrer: str | None = None
    """Host name of the page before, if it was not one of the host's own."""
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    browser: str | None = None
    os: str | None = None
    device: str | None = None
    language: str | None = None
    country: str | None = None
    """ISO 3166-1 alpha-2, where the host's proxy or a file of its own tells."""
    ip: str | None = None
    """As ``ENGAGE_STORE_IP`` wants it."""


class Seen(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="seen"):
    """Somebody was here."""

    at: datetime
    user_id: str
    hits: int = 1
    context: Context | None = None
    email: str | None = None
    name: str | None = None
    signed_up_at: datetime | None = None
    attributes: dict[str, Wire] | None = None
    events: int = 0
    """How many events the same request has tracked, from `at` to `until`."""
    until: datetime | None = None
    id: str | None = None
    """Given where the same sighting may be told twice, as by a browser: it counts once."""


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="event"):
    """Somebody did something."""

    at: datetime
    user_id: str
    name: str
    properties: dict[str, PropertyValue] = {}
    id: str | None = None
    """The caller's id: the same name and id twice is one event."""
    in_request: bool = False
    """Done by the person in a request, so that it belongs to the session."""


class Attributes(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="attributes"):
    """Somebody is like this."""

    at: datetime
    user_id: str
    values: dict[str, Wire]
    source: str = "api"


class Increment(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="increment"):
    """A number of somebody's grew."""

    at: datetime
    user_id: str
    name: str
    by: int | float = 1
    source: str = "api"


class Total(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="total"):
    """Events that are stored already are to be counted in everybody's total of their day."""

    at: datetime
    name: str
    count: int = 1


Personal: TypeAlias = Seen | Event | Attributes | Increment
"""What is said of somebody."""
Fact: TypeAlias = Personal | Total

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(
    Seen | Event | Attributes | Increment | Total
)


encode: Callable[[Fact], bytes] = _encoder.encode
"""Returns a fact as one line of JSON."""


def decode(payload: bytes) -> Fact:
    """Return the fact in `payload`.

    :raises msgspec.DecodeError: if it is none that this version knows.
    """
    return _decoder.decode(payload)


def to_wire(values: Mapping[str, AttributeValue]) -> dict[str, Wire]:
    """Return attribute values in the form that the journal keeps; JSON has no times."""
    return {
        name: ("t", value.isoformat()) if isinstance(value, datetime) else ("v", value)
        for name, value in values.items()
    }


def from_wire(values: Mapping[str, Wire]) -> dict[str, AttributeValue]:
    """Return attribute values as they were before :func:`to_wire`."""
    return {
        name: datetime.fromisoformat(str(value)).astimezone(UTC) if kind == "t" else value
        for name, (kind, value) in values.items()
    }
