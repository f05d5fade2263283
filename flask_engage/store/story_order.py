"""One order for things of several tables, so that a list of them can go on at any place.

Times alone don't do: what happened in the same instant would be lost, or shown twice, where a
page ends in its midst.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, or_

#: Of what happened in the same instant, the highest stands first: a session's beginning last.
RANKS: Final = {"session": 0, "segment": 1, "tag": 2, "event": 3, "message": 4, "note": 5}


class Place(NamedTuple):
    """Where a thing stands among all that happened to its person; later ones are greater."""

    at: datetime
    rank: int
    id: int
    """Its own among those of its kind. Tags that a person has have none and go by name: they
    stand before those of the same instant that were taken off since."""
    name: str = ""


def before(
    kind: str, time: ColumnElement[datetime] | Any, key: Any, place: Place | None
) -> list[ColumnElement[bool]]:
    """Return the condition for rows of `kind` that come after `place` in a list, newest first.

    :param time: the column by which they are ordered, `key` the one that tells equals apart.
    """
    if place is None:
        return []
    rank = RANKS[kind]
    if rank > place.rank:
        return [time < place.at]
    if rank < place.rank:
        return [time <= place.at]
    # An index is searched by the first condition; the second says what it can't.
    return [time <= place.at, or_(time < place.at, and_(time == place.at, key < place.id))]
