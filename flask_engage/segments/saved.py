"""The segments that operators saved, and what hangs on a segment's name."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy.orm import Session

from ..errors import InvalidFilter
from ..store.segment import segment_documents
from .filter import Filter, InSegment, conditions_in


def saved_segments(session: Session) -> dict[str, Filter]:
    """Return the saved filters by name.

    One that can't be read (a newer version wrote it) is left out: whoever uses it is told that
    there is no such segment, and everybody else goes on.
    """
    return _read(session)[0]


def unreadable_segments(session: Session) -> dict[str, str]:
    """Return what is wrong with each of the saved filters that can't be read."""
    return _read(session)[1]


def _read(session: Session) -> tuple[dict[str, Filter], dict[str, str]]:
    found: dict[str, Filter] = {}
    wrong: dict[str, str] = {}
    for name, document in segment_documents(session).items():
        try:
            found[name] = Filter.from_json(document)
        except InvalidFilter as error:
            wrong[name] = str(error)
    return found, wrong


def segments_in(filter: Filter) -> set[str]:
    """Return the names of the segments that `filter` asks for itself."""
    return {part.name for part in conditions_in(filter) if isinstance(part, InSegment)}


def meaning_of(filter: Filter, named: Mapping[str, Filter]) -> str:
    """Return a text that is another one as soon as a segment that `filter` asks for is changed."""
    known: dict[str, str] = {}
    left = segments_in(filter)
    while left:
        name = left.pop()
        found = named.get(name)
        known[name] = "" if found is None else found.describe()
        if found is not None:
            left |= segments_in(found) - set(known)
    whole = "\n".join(f"{name}: {known[name]}" for name in sorted(known))
    return sha256(whole.encode(errors="replace")).hexdigest() if known else ""


def uses_of(name: str, named: Mapping[str, Filter]) -> list[str]:
    """Return which of the filters in `named` ask for the segment `name`."""
    return [other for other, filter in named.items() if name in segments_in(filter)]
