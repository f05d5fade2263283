"""The segments that operators saved, and what hangs on a segment's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

from sqlalchemy.orm import Session

from ..errors import InvalidFilter
from ..store.segment import segment_documents
from .filter import AllOf, AnyOf, Filter, InSegment, Not


def saved_segments(session: Session) -> dict[str, Filter]:
    """Return the saved filters by name.

    One that can't be read (a newer version wrote it) is left out: whoever uses it is told that
    there is no such segment, and everybody else goes on.
    """
    found: dict[str, Filter] = {}
    for name, document in segment_documents(session).items():
        try:
            found[name] = Filter.from_json(document)
        except InvalidFilter:
            continue
    return found


def segments_in(filter: Filter) -> set[str]:
    """Return the names of the segments that `filter` asks for itself."""
    return set(_names(filter))


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


def _names(filter: Filter) -> Iterator[str]:
    if isinstance(filter, InSegment):
        yield filter.name
    elif isinstance(filter, Not):
        yield from _names(filter.part)
    elif isinstance(filter, (AllOf, AnyOf)):
        for part in filter.parts:
            yield from _names(part)
