"""Names in a filter that nobody has yet: a misspelt one matches nobody, without a word."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, TypeAlias

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..store.delivery import DeliveryRow
from .behaviour import Did, Received
from .filter import (
    Attribute,
    Compare,
    EventTime,
    Filter,
    IsSet,
    OneOf,
    Unchanged,
    conditions_in,
)
from .suggestions import attribute_is_known, event_is_known
from .vocabulary import attribute_names, event_names

Sort: TypeAlias = Literal["attribute", "event", "message"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that a filter asks about and that nobody has."""

    sort: Sort
    name: str
    near: str | None
    """A name that somebody has and that reads much like it."""


def unknown_names(
    session: Session, wanted: Filter, messages: Collection[str] = ()
) -> list[Unknown]:
    """Return the attributes, events and messages of `wanted` that nobody has had so far.

    Segments that it asks for are not looked into. Takes one look into an index for each name.

    :param messages: names of rules that may have sent nothing yet, and are none the less known.
    """
    return [
        Unknown(sort, name, _near(session, sort, name, messages))
        for sort, name in dict.fromkeys(_names(wanted))
        if not _is_known(session, sort, name, messages)
    ]


def _names(wanted: Filter) -> Iterator[tuple[Sort, str]]:
    for part in conditions_in(wanted):
        match part:
            case Did(event):
                yield "event", event
            case Received(message):
                yield "message", message
            case Unchanged(name):
                yield "attribute", name
            case Compare(subject) | OneOf(subject) | IsSet(subject):
                if isinstance(subject, Attribute):
                    yield "attribute", subject.name
                elif isinstance(subject, EventTime):
                    yield "event", subject.event


def _is_known(session: Session, sort: Sort, name: str, messages: Collection[str]) -> bool:
    if sort == "event":
        return event_is_known(session, name)
    if sort == "attribute":
        return attribute_is_known(session, name)
    sources = [f"{origin}:{name}" for origin in ("rule", "send", "step")]
    sent = select(DeliveryRow.id).where(DeliveryRow.source.in_(sources)).limit(1)
    return name in messages or session.scalar(sent) is not None


def _near(session: Session, sort: Sort, name: str, messages: Collection[str]) -> str | None:
    if sort == "message":
        known = list(messages)
    else:
        known = attribute_names(session) if sort == "attribute" else event_names(session)
    return next(iter(get_close_matches(name, known, n=1)), None)
