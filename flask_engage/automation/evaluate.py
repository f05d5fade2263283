"""Evaluating rules: who matches now and has not had the message gets a delivery.

People are taken in ranges of some ten thousand, each in one statement of its own, so that
locks are short and neither memory nor time depends on how many match.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TypeAlias

from sqlalchemy.orm import Session

from .._guard import Guard
from ..segments.compile import CompileContext, where
from ..store.engine import Database
from ..store.fan_out import FanOut, end_of_range, fan_out, has_any, matching_among
from ..store.rule import is_live_rule, note_evaluated, note_rule_failure, remove_rules_but
from ..store.trouble import is_passing
from .lease import Fence, LeaseLost
from .rules import AutoMessage, LoadTemplate, by_priority, source_of, sync_rule, write_rule_row

RANGE = 10_000
"""People per statement: some 15 ms of write lock where all of them match."""
PAUSE_AFTER = 5
"""Evaluations in a row that may fail before a rule is paused until an operator looks."""
TRIES = 3
"""Of one range, where writers got in each other's way."""

Matching: TypeAlias = Callable[[Session, str, Collection[int], datetime], set[int]]
"""Given a delivery's source and people's ids, returns those for whom it is still right."""


def evaluate(
    database: Database,
    rule: AutoMessage,
    now: datetime,
    context: CompileContext,
    fence: Fence | None = None,
    *,
    load: LoadTemplate | None = None,
) -> int:
    """Write a delivery for everyone who matches `rule` at `now` and has not had it.

    Returns how many were written; 0 for a rule that is not live. Running it again, or in
    many processes at once, adds nothing: a delivery is unique by rule, person and
    occurrence.

    :raises LeaseLost: if `fence` no longer holds.
    """
    with database.write() as session:
        row, variants = sync_rule(session, rule, now, load)
        live = row.status == "live"
    if not live:
        return 0
    wish = FanOut(
        source=rule.source,
        channel=rule.channel,
        variants=variants,
        matches=where(rule.to, now=now, context=context),
        now=now,
        interval=rule.repeat.interval,
        holdout=float(rule.holdout),
        fenced=None if fence is None else fence.condition(),
    )
    written, after = 0, 0
    while True:
        if fence is not None:
            fence.require()
        with database.read() as session:
            until = end_of_range(session, after, RANGE)
            # Mostly there is nobody new; SQLite's one write lock is not taken to find that out.
            looked = database.dialect != "sqlite" or has_any(session, wish, after, until)
        if looked:
            written += _write_range(database, wish, after, until)
        if until is None:
            break
        after = until
    with database.write() as session:
        if fence is not None and not fence.holds(session):
            raise LeaseLost(f"The lease was lost while the rule {rule.name!r} was evaluated.")
        note_evaluated(session, rule.name, now)
    return written


def evaluate_rules(
    database: Database,
    rules: Mapping[str, AutoMessage],
    now: datetime,
    context: CompileContext,
    guard: Guard,
    fence: Fence | None = None,
    *,
    load: LoadTemplate | None = None,
) -> dict[str, int]:
    """Evaluate all `rules` and return how many deliveries each wrote.

    A rule that raises is reported to `guard`, its failure is counted on its row, and after
    5 in a row it is paused; the others go on.

    :raises LeaseLost: if `fence` no longer holds.
    :raises sqlalchemy.exc.DBAPIError: if the database is away.
    """
    with database.write() as session:
        remove_rules_but(session, rules, now)
    written: dict[str, int] = {}
    raised: list[tuple[str, Exception]] = []
    for rule in by_priority(rules.values()):
        try:
            written[rule.name] = evaluate(database, rule, now, context, fence, load=load)
        except LeaseLost:
            raise
        except Exception as error:
            if is_passing(error):  # no rule's fault
                raise
            _note_failure(database, rule, error, now)
            raised.append((rule.name, error))
    for name, failure in raised:
        with guard.guarded(f"the rule {name!r}"):
            raise failure
    return written


def still_matching(rules: Mapping[str, AutoMessage], context: CompileContext) -> Matching:
    """Return the function with which delivery asks, at the claim, who still matches.

    What does not come from a rule is right as it is. A rule that is paused, or that this
    process does not know, matches nobody: delivery withdraws what was queued for it, and
    whoever evaluates it the next time queues it again.
    """
    by_source = {source_of(name): rule for name, rule in rules.items()}

    def still_matches(
        session: Session, source: str, person_ids: Collection[int], now: datetime
    ) -> set[int]:
        if not source.startswith(source_of("")):
            return set(person_ids)
        rule = by_source.get(source)
        if rule is None or not is_live_rule(session, rule.name):
            return set()
        matches = where(rule.to, now=now, context=context)
        return matching_among(session, matches, person_ids)

    return still_matches


def _write_range(database: Database, wish: FanOut, after: int, until: int | None) -> int:
    """Write one range; where two writers got in each other's way, try again."""
    for left in reversed(range(TRIES)):
        try:
            with database.write() as session:
                return fan_out(session, wish, after, until)
        except Exception as error:
            if not left or not is_passing(error):
                raise
    raise AssertionError("unreachable")  # pragma: no cover


def _note_failure(database: Database, rule: AutoMessage, error: Exception, now: datetime) -> None:
    with database.write() as session:
        write_rule_row(session, rule, now)  # it may have failed before it had one
        note_rule_failure(
            session,
            rule.name,
            f"{type(error).__name__}: {error}",
            now,
            pause_after=PAUSE_AFTER,
        )
