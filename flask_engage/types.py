"""The nouns that cross the border between host and extension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

AttributeValue: TypeAlias = str | int | float | bool | datetime | None
"""What a custom attribute may hold. ``None`` means: not set."""

PropertyValue: TypeAlias = str | int | float | bool | None
"""What an event's property may hold."""

UserId: TypeAlias = str | int | UUID

Role: TypeAlias = Literal["read", "edit", "admin"]
"""What an operator may do: look, write to people, or change the set-up."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the host wants us to know of one of its users."""

    id: UserId
    """The host's own id, stable for the user's life; kept as text."""
    email: str | None = None
    name: str | None = None
    signed_up_at: datetime | None = None
    """When the account was made. Without a zone it is taken for UTC, as most hosts mean it; give
    yours their zone if they are local."""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    """Custom attributes that the host has at hand without any query."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an enricher knows of somebody. Nothing in it has to be known."""

    job_title: str | None = None
    company: str | None = None
    company_domain: str | None = None
    location: str | None = None
    """In words, for people to read."""
    country: str | None = None
    """Two letters."""
    city: str | None = None
    timezone: str | None = None
    """As IANA names it."""
    bio: str | None = None
    links: tuple[str, ...] = ()
    """Addresses with http or https; others are left out."""
    avatar_url: str | None = None
    """Where a picture is. It is fetched once by a job, and shown from our own store."""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    """Whatever else is to be filtered by."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may open the dashboard."""

    id: UserId
    name: str = ""
    email: str | None = None
    role: Role = "admin"

    def __post_init__(self) -> None:
        if self.role not in ("read", "edit", "admin"):
            raise ValueError(
                f"Operator role {self.role!r} is unknown; use 'read', 'edit' or 'admin'."
            )

    def may(self, role: Role) -> bool:
        """Tell whether this operator's role includes `role`."""
        order = ("read", "edit", "admin")
        return order.index(self.role) >= order.index(role)


@dataclass(frozen=True, slots=True)
class Person:
    """One person as of the moment of the query. Times are aware UTC."""

    public_id: str
    """Opaque; appears in our URLs in place of the host's id."""
    user_id: str | None
    email: str | None = None
    name: str | None = None
    signed_up: datetime | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    sessions: int = 0
    relationship: int | None = None
    """Hearts, 0 to 5; ``None`` while it has not been computed, or is too early to tell."""
    country: str | None = None
    city: str | None = None
    timezone: str | None = None
    language: str | None = None
    browser: str | None = None
    os: str | None = None
    device: str | None = None
    referrer: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    tags: tuple[str, ...] = ()
    unsubscribed: bool = False
    attrs: Mapping[str, AttributeValue] = field(default_factory=dict)
    """Custom attributes by name; only those that are set."""
