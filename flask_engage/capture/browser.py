"""What a browser says that its person did, checked and turned into facts.

A browser is believed about what, never about who: that is known from the host's login. Of
when it tells how long ago, because its clock may be wrong.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from ..errors import InvalidFact
from .buffer import Who
from .facts import Context, Event, Fact, Seen
from .limits import check_name, check_properties, trim_text

BELIEVED: Final = timedelta(minutes=1)
"""What happened longer ago than this is taken for happening now."""

_PATH_LENGTH: Final = 512
_FIELD: Final = re.compile(r"`\$\.([a-z_]+)|field `([a-z_]+)`")

Id = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z_-]{8,64}\Z")]
"""Made by the script; the same id of the same person twice is one and the same thing."""
Ago = Annotated[float, msgspec.Meta(ge=0)]
"""How many milliseconds before it was sent."""
Path = Annotated[str, msgspec.Meta(pattern=r"\A/", max_length=2048)]
"""Where in the host's pages, as the browser's address bar has it."""


class TrackedThere(msgspec.Struct, tag_field="type", tag="event"):
    """Something that was tracked in the browser."""

    id: Id
    name: str
    properties: dict[str, Any] | None = None
    path: Path | None = None
    ago: Ago = 0


class ViewedThere(msgspec.Struct, tag_field="type", tag="page"):
    """A page that the browser showed without asking the host for it."""

    id: Id
    path: Path
    ago: Ago = 0


Action: TypeAlias = TrackedThere | ViewedThere


class Rejected(msgspec.Struct):
    """Why something that a browser sent is not recorded."""

    index: int
    """Its place in what was sent, counted from 0."""
    error: str
    field: str | None = None


def read_actions(items: Sequence[object]) -> tuple[list[Action], list[Rejected]]:
    """Return the good ones among `items`, decoded JSON, and what is wrong with the others."""
    actions: list[Action] = []
    rejected: list[Rejected] = []
    for index, item in enumerate(items):
        try:
            actions.append(_read_action(item))
        except msgspec.ValidationError as error:
            field = _FIELD.search(str(error))
            rejected.append(Rejected(index, str(error), field and (field[1] or field[2])))
        except _BadField as error:
            rejected.append(Rejected(index, error.reason, error.field))
    return actions, rejected


class _BadField(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


def _read_action(item: object) -> Action:
    action: Action = msgspec.convert(item, TrackedThere | ViewedThere)
    if isinstance(action, TrackedThere):
        try:
            action.name = check_name(action.name)
        except InvalidFact as error:
            raise _BadField("name", str(error)) from None
        try:
            action.properties = check_properties(action.properties)
        except InvalidFact as error:
            raise _BadField("properties", str(error)) from None
        except RecursionError:
            raise _BadField("properties", "too deep: expected flat values.") from None
    return action


def facts_of(
    who: Who,
    actions: Sequence[Action],
    context: Context,
    now: datetime,
    place_of: Callable[[str], str | None],
) -> list[Fact]:
    """Return what `who` did in the browser as facts.

    A page is a sighting like one that the host has answered. Events keep a session alive, and
    begin one where there is none, but are no pages: so they are a sighting without a hit.

    :param context: what is known of the browser; its path is each action's own.
    :param place_of: gives a browser's path as the host knows it; None where nobody is seen.
    """
    facts: list[Fact] = []
    touched: list[tuple[datetime, str | None]] = []
    for action in actions:
        at = _moment(action.ago, now)
        place = None if action.path is None else place_of(action.path)
        is_seen = action.path is None or place is not None
        if isinstance(action, TrackedThere):
            event_id = _scoped_id(who.user_id, action.id)
            properties = action.properties or {}
            facts.append(Event(at, who.user_id, action.name, properties, event_id, True))
            if is_seen:
                touched.append((at, place))
        elif is_seen:
            page = _sighting(who, at, 1, context, place)
            facts.append(replace(page, id=_scoped_id(who.user_id, action.id)))
    if touched:
        touched.sort(key=itemgetter(0))
        first, place = touched[0]
        seen = _sighting(who, first, 0, context, place)
        facts.append(replace(seen, events=len(touched), until=touched[-1][0]))
    return facts


def _sighting(who: Who, at: datetime, hits: int, context: Context, place: str | None) -> Seen:
    where = replace(context, path=trim_text(place, _PATH_LENGTH))
    return Seen(at, who.user_id, hits, where, who.email, who.name, who.signed_up_at, who.attributes)


def _moment(ago: float, now: datetime) -> datetime:
    # Not a number is not below either.
    return now - timedelta(milliseconds=ago) if ago <= BELIEVED / timedelta(milliseconds=1) else now


def _scoped_id(user_id: str, client_id: str) -> str:
    """Return an id that no other user's browser can come upon, by chance or on purpose."""
    return hashlib.blake2b(f"{user_id}\0{client_id}".encode(), digest_size=16).hexdigest()
