"""The people whom a filter matches, asked when they are needed and never all at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, inspect, or_, select, true
from sqlalchemy.exc import NoInspectionAvailable

from .._clock import Clock, utcnow
from ..errors import InvalidFilter
from ..store.engine import Database
from ..store.hot_index import plans_well
from ..store.person import PersonRow, is_live
from ..types import Person
from .compile import CompileContext, where
from .counting import SECONDS, Count, count_people
from .filter import Everyone, Filter
from .finding import Found, find_people
from .listing import SEARCH_TRIES, TRIES, Asked, Condition, list_people
from .paging import Page, turned
from .profiles import (
    as_people,
    people_by_id,
    people_by_public_id,
    person_by_public_id,
    person_by_user_id,
    select_people,
)
from .text_sql import position

__all__ = [
    "People",
    "newest_id",
    "people_by_id",
    "people_by_public_id",
    "person_by_public_id",
    "person_by_user_id",
]

BATCH = 500
"""People held in memory at a time; each batch is one short transaction."""
_SEARCH_LENGTH = 200
_SEARCH_WORDS = 8


class People:
    """The people who match the filter `wanted`. Each method asks the database anew.

    :param clock: gives the moment that relative times are counted from, at each question.
    :param user_id_of: gives the id of one of the host's user objects as text; by default its
        primary key if it is mapped, else what its ``get_id()`` says.
    :param only: what narrows them beyond the filter; see :meth:`narrowed`.
    """

    def __init__(
        self,
        database: Database,
        wanted: Filter,
        context: CompileContext,
        clock: Clock = utcnow,
        *,
        user_id_of: Callable[[Any], str | None] | None = None,
        only: tuple[ColumnElement[bool], ...] = (),
    ) -> None:
        self._only = only
        self._database = database
        self._filter = wanted
        self._context = context
        self._clock = clock
        self._user_id_of = user_id_of or _own_id

    @property
    def filter(self) -> Filter:
        """Who they are."""
        return self._filter

    def narrowed(self, *, search: str = "", public_ids: Collection[str] | None = None) -> People:
        """Return those of them whom a search finds, and who have one of these public ids.

        :param search: as in :meth:`page`.
        :param public_ids: at most some thousands; None: whoever it is.
        """
        only = [*self._only, _search(search)]
        if public_ids is not None:
            only.append(PersonRow.public_id.in_([one for one in public_ids if "\0" not in one]))
        return People(
            self._database,
            self._filter,
            self._context,
            self._clock,
            user_id_of=self._user_id_of,
            only=tuple(only),
        )

    def ids(
        self,
        *,
        after: int = 0,
        up_to: int | None = None,
        known_by: datetime | None = None,
        limit: int = BATCH,
    ) -> list[int]:
        """Return our own ids of the next of them, in the order in which we came to know them.

        :param up_to: whom we came to know later is left out, so that long work has an end.
        :param known_by: the same by time: SQLite gives the highest id anew once it is free.
        """
        bounds = [PersonRow.id > after]
        if up_to is not None:
            bounds.append(PersonRow.id <= up_to)
        if known_by is not None:
            bounds.append(PersonRow.created_at <= known_by)
        query = select(PersonRow.id).where(self._condition(), *bounds)
        with self._database.read() as session:
            return list(session.scalars(query.order_by(PersonRow.id).limit(limit)))

    def count(self, *, search: str = "") -> int:
        """Return how many they are."""
        query = select(func.count()).select_from(PersonRow)
        with self._database.read() as session:
            condition = self._condition(whole=plans_well(session))
            wanted = query.where(and_(condition, _search(search)))
            return session.connection().scalar(wanted) or 0

    def count_within(self, seconds: float = SECONDS, *, search: str = "") -> Count:
        """Return how many they are, as far as that can be told in `seconds`."""
        return count_people(self._database, and_(self._condition(), _search(search)), seconds)

    def __iter__(self) -> Iterator[Person]:
        """Yield each of them once, in the order in which we came to know them."""
        condition = self._condition()
        last = 0
        while True:
            query = select_people().where(condition, PersonRow.id > last)
            with self._database.read() as session:
                rows = session.execute(query.order_by(PersonRow.id).limit(BATCH)).all()
                people = as_people(session, rows)
            yield from people
            if len(rows) < BATCH:
                return
            last = rows[-1][0].id

    def contains(self, user: Any) -> bool:
        """Tell whether somebody is one of them.

        :param user: the host's user object, its id (str, int or UUID), or a ``Person``.
        :raises InvalidFilter: if it can't be told who is meant.
        """
        query = select(PersonRow.id).where(self._condition(), self._who(user)).limit(1)
        with self._database.read() as session:
            return session.scalar(query) is not None

    def page(
        self,
        *,
        sort: str = "last_seen",
        descending: bool = True,
        after: str | None = None,
        limit: int = 50,
        search: str = "",
    ) -> Page:
        """Return one page of them.

        :param sort: a person field, or ``attr:`` and the name of an attribute. Those without a
            value come last in both directions; equals stand by the order of their arrival.
        :param after: the ``next`` or ``previous`` of another page of the same order.
        :param limit: 1 to 500 people.
        :param search: words, each of which must be part of the name, the address or the user
            id; whether in capitals or not.
        :raises InvalidFilter: for an unknown order, or a cursor that isn't of this order.
        """
        asked = Asked(self._context.dialect, sort, descending, after, limit)
        condition = _search(search)
        if isinstance(self._filter, Everyone) and not self._only and not search.strip():
            with self._database.read() as session:
                return asked.read(session, self._condition(), as_set=False)
        return list_people(
            self._database,
            asked,
            lambda _session: and_(self._condition(), condition),
            self._as_set(condition),
            SEARCH_TRIES if search.strip() else TRIES,
        )

    def beside(
        self,
        place: str,
        *,
        back: bool = False,
        sort: str = "last_seen",
        descending: bool = True,
        search: str = "",
    ) -> tuple[Person, str] | None:
        """Return who of them comes next after a place (or before it) and where they stand.

        Whoever stood there may stand elsewhere by now, or match no more.

        :param place: one of a page's ``places``, or what this gave; of the same order.
        :raises InvalidFilter: for an unknown order, or a place that isn't of this order.
        """
        found = self.page(
            sort=sort,
            descending=descending,
            after=turned(place, back=back),
            limit=1,
            search=search,
        )
        return (found.people[0], found.places[0]) if found.people else None

    def find(self, text: str, *, limit: int = 8, seconds: float = SECONDS) -> Found:
        """Return those of them whom `text` names, before one has finished typing.

        First whoever has it as their whole id or address, which an index tells; then those whom
        a search finds, who were last seen first, as far as that goes in `seconds`.
        """
        search = _search(text)
        return find_people(
            self._database,
            text,
            self._condition(),
            and_(self._condition(), search),
            self._as_set(search),
            dialect=self._context.dialect,
            limit=limit,
            seconds=seconds,
        )

    def _as_set(self, search: ColumnElement[bool]) -> Condition:
        return lambda session: and_(self._condition(whole=plans_well(session), few=True), search)

    def _condition(self, *, whole: bool = False, few: bool = False) -> ColumnElement[bool]:
        now: datetime = self._clock()
        context = replace(self._context, whole=whole, few=few)
        return and_(is_live(), where(self._filter, now=now, context=context), *self._only)

    def _who(self, user: Any) -> ColumnElement[bool]:
        if isinstance(user, Person):
            return PersonRow.public_id == user.public_id
        plain = isinstance(user, (str, int, UUID)) and not isinstance(user, bool)
        user_id = str(user) if plain else self._user_id_of(user)
        if user_id is None:
            raise InvalidFilter(
                f"{user!r:.100} is no user: give the host's user object, its id or a Person."
            )
        return false() if "\0" in user_id else PersonRow.user_id == user_id


def newest_id(database: Database) -> int:
    """Return our own id of whom we came to know last; 0 if there is nobody."""
    with database.read() as session:
        return session.scalar(select(func.max(PersonRow.id))) or 0


def _own_id(user: Any) -> str | None:
    try:
        state = inspect(user)
        # Without the identity the object isn't in the database yet; nothing is loaded for it.
        key = state.identity or state.mapper.primary_key_from_instance(user)
    except (NoInspectionAvailable, AttributeError):
        key = ()
    if len(key) == 1 and key[0] is not None:
        return str(key[0])
    get_id = getattr(user, "get_id", None)
    found = get_id() if callable(get_id) else None
    return None if found is None else str(found)


def _search(search: str) -> ColumnElement[bool]:
    """Return the condition that every word of `search` is part of the name, address or id."""
    words = search[:_SEARCH_LENGTH].split()[:_SEARCH_WORDS]
    columns = (PersonRow.name, PersonRow.email, PersonRow.user_id)
    return and_(
        true(),  # and_() of nothing is deprecated
        *[
            or_(*[_has(column, spelling) for column in columns for spelling in _spellings(word)])
            for word in words
        ],
    )


def _has(column: Any, spelling: str) -> ColumnElement[bool]:
    if "\0" in spelling or any("\ud800" <= sign <= "\udfff" for sign in spelling):
        return false()
    return and_(column.is_not(None), position(func.lower(column), spelling) > 0)


def _spellings(word: str) -> list[str]:
    """Return `word` as it may stand in a column after the database's ``lower()``.

    On SQLite, and on PostgreSQL for columns ordered by code point, that folds only A to Z. So
    the rest is asked for in small letters, in capitals, and with a capital at the front.
    """
    forms = (word.lower(), word.upper(), word.title(), word)
    return list(dict.fromkeys("".join(map(_lower_ascii, form)) for form in forms))


def _lower_ascii(sign: str) -> str:
    return sign.lower() if sign.isascii() else sign
