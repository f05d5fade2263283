"""Rules in code: a message that is sent by itself to whoever matches a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy.orm import Session

from ..errors import InvalidFilter, InvalidMessage
from ..messages.content import Email, EmailTemplate, InApp, resolved
from ..segments.filter import Filter
from ..store.content import content_for
from ..store.fan_out import VariantRef
from ..store.rule import RuleRow, remove_rules_but, write_rule
from .repeat import Every, Once, Repeat

Words: TypeAlias = InApp | Email | EmailTemplate
LoadTemplate: TypeAlias = Callable[[str], str]
"""Gives the source of a template of the host's by its name."""

MAX_NAME = 128
MAX_VARIANT_NAME = 64
MAX_VARIANTS = 10


def source_of(name: str) -> str:
    """Return the source that deliveries and words of the rule `name` carry."""
    return f"rule:{name}"


@dataclass(frozen=True, slots=True)
class AutoMessage:
    """A message that is sent by itself, once for each person who matches `to`.

    :raises InvalidMessage: if it can't be used as written.
    """

    name: str
    """Its identity: whoever got it under this name has got it, whatever else changes."""
    to: Filter
    send: Words | Mapping[str, Words]
    """One message, or several by name between which people are split evenly."""
    repeat: Repeat = Once()
    on: str = "schedule"
    """When it is decided; so far only ``schedule``, within a minute or so."""
    holdout: float = 0.0
    """Share of people (0 to 1) who are left out, always the same ones, to compare with."""
    priority: int = 0
    """Rules with a higher one are evaluated first."""

    def __post_init__(self) -> None:
        _check_name("name", self.name, MAX_NAME)
        if not isinstance(self.to, Filter):
            raise self._problem(
                f"to = {self.to!r}: expected a filter; for a segment write in_segment(…), "
                "for everybody write everyone"
            )
        self._check_words()
        if not isinstance(self.repeat, (Once, Every)):
            raise self._problem(f"repeat = {self.repeat!r}: use every(days=…), or leave it out")
        if self.on != "schedule":
            raise self._problem(
                f"on = {self.on!r} is not available yet; use 'schedule', which is the default"
            )
        if not _is_number(self.holdout) or not 0 <= self.holdout <= 1:
            raise self._problem(f"holdout = {self.holdout!r}: expected a share from 0 to 1")
        if isinstance(self.priority, bool) or not isinstance(self.priority, int):
            raise self._problem(f"priority = {self.priority!r}: expected a whole number")

    @property
    def source(self) -> str:
        """What the rule's deliveries and words are filed under."""
        return source_of(self.name)

    @property
    def variants(self) -> dict[str, Words]:
        """The messages by variant, in their order; a single one has the empty name."""
        return dict(self.send) if isinstance(self.send, Mapping) else {"": self.send}

    @property
    def channel(self) -> str:
        """``email`` or ``in_app``."""
        return next(iter(self.variants.values())).channel

    def _check_words(self) -> None:
        variants = self.variants
        if not 1 <= len(variants) <= MAX_VARIANTS:
            raise self._problem(f"send: {len(variants)} variants; use 1 to {MAX_VARIANTS}")
        for variant, words in variants.items():
            if isinstance(self.send, Mapping):
                _check_name(f"send of {self.name!r}: variant", variant, MAX_VARIANT_NAME)
            if not isinstance(words, (InApp, Email, EmailTemplate)):
                raise self._problem(f"send = {words!r}: expected InApp(…) or Email(…)")
        if len({words.channel for words in variants.values()}) > 1:
            raise self._problem("send: all variants have to be of one kind, InApp or Email")

    def _problem(self, text: str) -> InvalidMessage:
        return InvalidMessage(f"auto_message({self.name!r}): {text}.")


def by_priority(rules: Iterable[AutoMessage]) -> list[AutoMessage]:
    """Return `rules` in the order in which they are evaluated."""
    return sorted(rules, key=lambda rule: -rule.priority)


def sync_rules(
    session: Session,
    rules: Mapping[str, AutoMessage],
    now: datetime,
    load: LoadTemplate | None = None,
) -> None:
    """Bring the rows and words of all rules in line with the code; mark those that vanished.

    `load` reads the host's templates, where a rule names one.

    :raises InvalidMessage: if a template is missing or wrong.
    """
    for rule in rules.values():
        sync_rule(session, rule, now, load)
    remove_rules_but(session, rules, now)


def sync_rule(
    session: Session, rule: AutoMessage, now: datetime, load: LoadTemplate | None = None
) -> tuple[RuleRow, list[VariantRef]]:
    """Bring one rule's row and words in line with the code and return them.

    :raises InvalidMessage: if a template is missing or wrong.
    """
    row = write_rule_row(session, rule, now)
    references = []
    for variant, words in rule.variants.items():
        message = resolved(words, load or _no_templates)
        content = content_for(session, rule.source, variant, message, now)
        references.append(VariantRef(variant, content.id, content.version))
    return row, references


def write_rule_row(session: Session, rule: AutoMessage, now: datetime) -> RuleRow:
    """Bring one rule's row in line with the code and return it; a paused rule stays paused."""
    says = {
        "origin": "code",
        "channel": rule.channel,
        "trigger": rule.on,
        "repeat": rule.repeat.to_json(),
        "document": _document(rule.to),
        "sentence": rule.to.describe(),
        "options": {
            "variants": list(rule.variants),
            "holdout": rule.holdout,
            "priority": rule.priority,
        },
    }
    return write_rule(session, rule.name, says, now)


def _document(wanted: Filter) -> dict[str, Any] | None:
    try:
        return wanted.to_json()
    except InvalidFilter:  # a host condition that only Python can say
        return None


def _no_templates(name: str) -> str:
    raise InvalidMessage(f"The template {name!r} can't be read here: no host app is at hand.")


def _check_name(what: str, name: Any, longest: int) -> None:
    if (
        not isinstance(name, str)
        or not 1 <= len(name) <= longest
        or not name.isprintable()
        or name != name.strip()
    ):
        raise InvalidMessage(
            f"auto_message: {what} {name!r}: expected 1 to {longest} printable characters "
            "without blanks at the ends."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
