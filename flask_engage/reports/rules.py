"""What each automatic rule is, and what came of it so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ..store.rule import RuleRow, all_rules, rule_named
from .messages import Counts, counts_of

_SOURCE = "rule:{}"


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """One rule with its counts."""

    name: str
    source: str
    """What its deliveries are filed under."""
    status: str
    """``live``, ``paused`` or ``removed``."""
    status_reason: str | None
    channel: str
    repeat: dict[str, Any]
    sentence: str
    """Its filter in English."""
    document: dict[str, Any] | None
    """Its filter's document, where it has one."""
    holdout: float
    failures: int
    last_error: str | None
    evaluated_at: datetime | None
    counts: Counts


def rule_summaries(session: Session) -> list[RuleSummary]:
    """Return every rule, those that still exist first, by name."""
    rows = all_rules(session)
    counts = counts_of(session, [_SOURCE.format(row.name) for row in rows])
    found = [_summary(row, counts[_SOURCE.format(row.name)]) for row in rows]
    return sorted(found, key=lambda rule: (rule.status == "removed", rule.name))


def rule_summary(session: Session, name: str) -> RuleSummary | None:
    """Return the rule `name`, or None if there is none."""
    row = rule_named(session, name)
    if row is None:
        return None
    source = _SOURCE.format(name)
    return _summary(row, counts_of(session, [source])[source])


def _summary(row: RuleRow, counts: Counts) -> RuleSummary:
    return RuleSummary(
        name=row.name,
        source=_SOURCE.format(row.name),
        status=row.status,
        status_reason=row.status_reason,
        channel=row.channel,
        repeat=dict(row.repeat or {}),
        sentence=row.sentence,
        document=row.document,
        holdout=float((row.options or {}).get("holdout", 0.0)),
        failures=row.failures,
        last_error=row.last_error,
        evaluated_at=row.evaluated_at,
        counts=counts,
    )
