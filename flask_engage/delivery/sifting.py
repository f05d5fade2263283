"""Of what was claimed, what may really go out: asked at the last moment, of the present."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from sqlalchemy.orm import Session

from ..settings import Settings
from ..store.content import ContentRow, contents_by_id
from ..store.delivery_claim import Claim, bounced_addresses, suppress, withdraw
from ..store.person import PersonRow
from ..store.profile import person_rows, profiles_of
from ..types import Person
from .addresses import envelope_address, is_let_through, mark_of

StillMatches: TypeAlias = Callable[[Session, str, Collection[int], datetime], Collection[int]]
"""Given a source and people's ids, says who still matches its filter."""

BY_HAND = "send:"
"""Sources that somebody sent by hand have no filter to ask again."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A mail that may go out, and what it takes to write it."""

    claim: Claim
    person: Person
    content: ContentRow | None
    address: str
    """For the envelope."""


@dataclass(slots=True)
class Sifted:
    """What is left of a batch, and what became of the rest."""

    ready: list[Ready] = field(default_factory=list)
    suppressed: int = 0
    withdrawn: int = 0


def sift(
    session: Session,
    claims: Sequence[Claim],
    token: str,
    settings: Settings,
    now: datetime,
    still_matches: StillMatches | None = None,
) -> Sifted:
    """Set aside whom a mail must not or can't reach; return the rest with what it takes to write.

    Joins the caller's transaction.
    """
    sifted = Sifted()
    claims = _matching(session, claims, token, now, still_matches, sifted)
    person_ids = {claim.person_id for claim in claims}
    rows = person_rows(session, person_ids)
    profiles = profiles_of(session, rows.values())
    bounced = bounced_addresses(session, person_ids)
    contents = contents_by_id(session, {claim.content_id for claim in claims if claim.content_id})
    reasons: dict[str, list[int]] = defaultdict(list)
    for claim in claims:
        row = rows.get(claim.person_id)
        address = envelope_address(row.email.strip()) if row is not None and row.email else None
        reason = reason_against(row, address, settings)
        if address is not None and (claim.person_id, mark_of(address)) in bounced:
            reason = reason or "bounced"
        if reason is not None or address is None:
            reasons[reason or "no address"].append(claim.id)
            continue
        content = contents.get(claim.content_id or 0)
        sifted.ready.append(Ready(claim, profiles[claim.person_id], content, address))
    for reason, ids in reasons.items():
        sifted.suppressed += suppress(session, ids, token, now, reason)
    return sifted


def reason_against(row: PersonRow | None, address: str | None, settings: Settings) -> str | None:
    """Return why this person gets no mail, or None if they do. `address` is the checked one."""
    if row is None or row.deleted_at is not None or row.merged_into is not None:
        return "deleted"
    if row.gone_at is not None:
        return "gone"
    if row.unsubscribed_at is not None:
        return "unsubscribed"
    if not row.email:
        return "no address"
    if address is None:
        return "invalid address"
    if not is_let_through(address, settings.MAIL_ONLY_TO):
        return "not in ENGAGE_MAIL_ONLY_TO"
    return None


def _matching(
    session: Session,
    claims: Sequence[Claim],
    token: str,
    now: datetime,
    still_matches: StillMatches | None,
    sifted: Sifted,
) -> Sequence[Claim]:
    if still_matches is None:
        return claims
    by_source: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_source[claim.source].append(claim)
    left: set[int] = set()
    for source, of_source in by_source.items():
        if source.startswith(BY_HAND):
            continue
        matching = set(still_matches(session, source, [c.person_id for c in of_source], now))
        left.update(claim.id for claim in of_source if claim.person_id not in matching)
    if left:
        sifted.withdrawn = withdraw(session, left, token)
    return [claim for claim in claims if claim.id not in left]
