"""How the automatic messages do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from ..store.rule import RuleRow, all_rules, rule_named
from .messages import Results, results_of


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """One rule with its results."""

    name: str
    source: str
    origin: str
    status: str
    """``live``, ``paused`` or ``removed``."""
    status_reason: str | None
    channel: str
    trigger: str
    sentence: str
    """Who gets it, in English."""
    repeat: str
    """How often, in English."""
    document: dict[str, object] | None
    holdout: float
    variants: tuple[str, ...]
    evaluated_at: datetime | None
    last_error: str | None
    failures: int
    results: Results


def rules(session: Session) -> list[RuleSummary]:
    """Return all rules: live ones first, then paused, then those that left the code."""
    rows = all_rules(session)
    results = results_of(session, [_source(row) for row in rows])
    order = {"live": 0, "paused": 1}
    found = [_summary(row, results[_source(row)]) for row in rows]
    return sorted(found, key=lambda rule: (order.get(rule.status, 2), rule.name))


def rule(session: Session, name: str) -> RuleSummary | None:
    """Return the rule `name`, or None."""
    row = rule_named(session, name)
    if row is None:
        return None
    return _summary(row, results_of(session, [_source(row)])[_source(row)])


def _source(row: RuleRow) -> str:
    return f"rule:{row.name}"


def _summary(row: RuleRow, results: Results) -> RuleSummary:
    options = row.options or {}
    return RuleSummary(
        name=row.name,
        source=_source(row),
        origin=row.origin,
        status=row.status,
        status_reason=row.status_reason,
        channel=row.channel,
        trigger=row.trigger,
        sentence=row.sentence,
        repeat=_repeat(row.repeat or {}),
        document=row.document,
        holdout=float(options.get("holdout") or 0),
        variants=tuple(name for name in options.get("variants", ()) if name),
        evaluated_at=row.evaluated_at,
        last_error=row.last_error,
        failures=row.failures,
        results=results,
    )


def _repeat(said: dict[str, object]) -> str:
    seconds = said.get("seconds")
    if said.get("mode") != "every" or not isinstance(seconds, (int, float)):
        return "once"
    days, rest = divmod(int(seconds), 86_400)
    if not rest:
        return f"every {days} days" if days != 1 else "every day"
    hours, rest = divmod(int(seconds), 3_600)
    return f"every {hours} hours" if not rest and hours != 1 else f"every {int(seconds)} seconds"
