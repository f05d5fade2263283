"""What a filter can be built from here: fields, and the attributes and events seen so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session, aliased

from ..store.attribute import AttributeRow, kinds_of_attribute
from ..store.event import EventSummaryRow
from ..store.person import PersonTagRow
from .fields import FIELDS, OPERATORS
from .filter import Filter
from .values import KIND_WORDS

LIMIT = 500
"""Names of each sort at most; nobody chooses from a longer list."""


@dataclass(frozen=True, slots=True)
class Term:
    """Something that a filter can ask about."""

    name: str
    kinds: tuple[str, ...]
    """``text``, ``number``, ``boolean``, ``time`` or ``tags``; an attribute may have several."""
    operators: tuple[str, ...]
    """As in the filter's document."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the builder of filters offers."""

    fields: tuple[Term, ...]
    attributes: tuple[Term, ...]
    events: tuple[str, ...]
    segments: tuple[str, ...] = ()


def vocabulary(
    session: Session, segments: dict[str, Filter] | None = None, limit: int = LIMIT
) -> Vocabulary:
    """Return the words for filters, at most `limit` attributes and events, by name.

    Takes as many steps through an index as there are names, however many people have them.
    """
    fields = tuple(
        Term(name, (KIND_WORDS.get(kind, kind),), OPERATORS[kind]) for name, kind in FIELDS.items()
    )
    return Vocabulary(
        fields,
        tuple(_attribute(name, kinds) for name, kinds in attribute_kinds(session, limit).items()),
        tuple(event_names(session, limit)),
        tuple(segments or ()),
    )


def tag_names(session: Session, limit: int = LIMIT) -> list[str]:
    """Return the tags that people have, at most `limit`, by name."""
    return _names(session, PersonTagRow, limit)


def attribute_names(session: Session, limit: int = LIMIT) -> list[str]:
    """Return the attributes that people have, at most `limit`, by name."""
    return _names(session, AttributeRow, limit)


def event_names(session: Session, limit: int = LIMIT) -> list[str]:
    """Return the events that people did, at most `limit`, by name."""
    return _names(session, EventSummaryRow, limit)


def attribute_kinds(session: Session, limit: int = LIMIT) -> dict[str, tuple[str, ...]]:
    """Return the names of the attributes that people have, each with the kinds of its values."""
    names = attribute_names(session, limit)
    return {name: tuple(kinds_of_attribute(session, name)) for name in names}


def _attribute(name: str, kinds: tuple[str, ...]) -> Term:
    operators = dict.fromkeys(
        operator
        for kind in kinds or ("s",)
        for operator in OPERATORS[kind]  # type: ignore[index]
    )
    return Term(name, tuple(KIND_WORDS[kind] for kind in kinds), (*operators, "unchanged_for"))


def _names(session: Session, table: Any, limit: int) -> list[str]:
    """Return the first `limit` different names in `table`, jumping from each to the next."""
    first = select(func.min(table.name).label("name"), literal(1).label("number"))
    walk = first.cte("names", recursive=True)
    other = aliased(table)
    following = (
        select(func.min(other.name)).where(other.name > walk.c.name).correlate(walk)
    ).scalar_subquery()
    walk = walk.union_all(
        select(following, walk.c.number + 1).where(walk.c.name.is_not(None), walk.c.number < limit)
    )
    query = select(walk.c.name).where(walk.c.name.is_not(None)).order_by(walk.c.name)
    return list(session.scalars(query))
