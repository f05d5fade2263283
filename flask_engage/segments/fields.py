"""The fields of a person that filters and lists know, and what each can be asked."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ..errors import InvalidFilter
from .values import did_you_mean

FieldKind: TypeAlias = Literal["s", "n", "b", "t", "tags"]
"""A kind of value, or the set of tags."""

FIELDS: dict[str, FieldKind] = {
    "user_id": "s",
    "email": "s",
    "name": "s",
    "signed_up": "t",
    "first_seen": "t",
    "last_seen": "t",
    "sessions": "n",
    "relationship": "n",
    "country": "s",
    "city": "s",
    "timezone": "s",
    "language": "s",
    "browser": "s",
    "os": "s",
    "device": "s",
    "referrer": "s",
    "utm_source": "s",
    "utm_medium": "s",
    "utm_campaign": "s",
    "tags": "tags",
    "unsubscribed": "b",
}

_EQUALITY = ("==", "!=")
_ORDER = ("<", "<=", ">", ">=")

OPERATORS: dict[FieldKind, tuple[str, ...]] = {
    "s": (*_EQUALITY, "in", "contains", "startswith", *_ORDER, "is_set"),
    "n": (*_EQUALITY, *_ORDER, "in", "is_set"),
    "b": (*_EQUALITY, *_ORDER, "in", "is_set"),
    "t": (*_ORDER, *_EQUALITY, "in", "is_set"),
    "tags": ("contains", "is_set"),
}
"""What can be asked of a value of each kind, the most usual first."""


def field_kind(name: str) -> FieldKind:
    """Return the kind of the person field `name`.

    :raises InvalidFilter: if there is no such field.
    """
    try:
        return FIELDS[name]
    except KeyError:
        raise InvalidFilter(
            f"A person has no field {name!r}: {did_you_mean(name, FIELDS)} "
            f"Custom data is attr({name!r})."
        ) from None
