"""What other services say of one person, and what of the person they were told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ..people.enrich.profiles import merged
from ..store.enrichment import avatar_of, has_avatar, log_of, profiles_found
from .person import person_id_by_public_id

SHOWN = 20
"""Entries of the log on the page."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One time that something was sent out. Which fields, never what they held."""

    at: datetime
    provider: str
    fields: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Enriched:
    """What is shown of enrichment on a person's page."""

    facts: tuple[tuple[str, str, str], ...] = ()
    """(name of the field, value, enricher)."""
    links: tuple[str, ...] = ()
    sent: tuple[Sent, ...] = ()
    has_avatar: bool = False


_FIELDS = ("job_title", "company", "company_domain", "location", "bio")


def enriched(session: Session, person_id: int, order: Sequence[str]) -> Enriched:
    """Return what is known of a person from enrichment.

    :param order: the enrichers, the most believed first; others come behind.
    """
    rows = profiles_found(session, [person_id]).get(person_id, {})
    found: dict[str, Any] = {name: row.profile or {} for name, row in rows.items()}
    believed = merged(found, [*order, *sorted(found.keys() - set(order))])
    facts = tuple(
        (name, believed[name][1], believed[name][0]) for name in _FIELDS if name in believed
    )
    sent = tuple(
        Sent(row.at, row.provider, row.fields, row.outcome)
        for row in log_of(session, person_id, SHOWN)
    )
    links = tuple(believed["links"][1]) if "links" in believed else ()
    return Enriched(facts, links, sent, has_avatar(session, person_id))


def avatar(session: Session, public_id: str) -> tuple[str, bytes] | None:
    """Return type and content of the picture of a living person, if we keep one."""
    person_id = person_id_by_public_id(session, public_id)
    return None if person_id is None else avatar_of(session, person_id)
