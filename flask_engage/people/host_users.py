"""Reading the host's own users, in bounded batches and on a session of our own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Engine, func, inspect, select
from sqlalchemy.orm import Session

from ..capture.limits import check_user_id
from ..capture.values import as_moment, fitting
from ..errors import InvalidFact, InvalidSettings
from ..types import AttributeValue, Identity

_log = logging.getLogger("flask_engage")

T = TypeVar("T")

BATCH = 500
"""Users held in memory at a time."""


@dataclass(frozen=True, slots=True)
class KnownUser:
    """What the host says of one of its users."""

    user_id: str
    email: str | None = None
    name: str | None = None
    signed_up_at: datetime | None = None
    last_seen_at: datetime | None = None
    attributes: dict[str, AttributeValue] | None = None


@dataclass(frozen=True, slots=True)
class HostUsers:
    """The host's user table, and how the host wants its users told to us."""

    engine: Engine
    """The engine that the host keeps its users on; only read from."""
    model: type[Any]
    identify: Callable[[Any], Identity | None] | None = None
    last_seen_column: str | None = None

    def key(self) -> Column[Any]:
        """Return the primary key column.

        :raises InvalidSettings: if the key has several columns.
        """
        columns = inspect(self.model).primary_key
        if len(columns) != 1:
            raise InvalidSettings(
                f"user_model {self.model.__name__} has a primary key of {len(columns)} columns; "
                "give identify() and leave user_model out."
            )
        found: Column[Any] = columns[0]
        return found

    def key_attribute(self) -> Any:
        """Return the mapped attribute of the primary key, for queries."""
        mapper = inspect(self.model)
        return getattr(self.model, mapper.get_property_by_column(self.key()).key)

    def batches(self, after: str | None = None) -> Iterator[tuple[str, list[KnownUser]]]:
        """Yield everybody behind the key `after`, 500 at a time, with the last key of them."""
        if self.identify is not None:
            found: Iterator[tuple[str, list[KnownUser | None]]] = self.mapped(self._known, after)
        else:
            found = self._rows(after)
        for key, users in found:
            yield key, [user for user in users if user is not None]

    def mapped(
        self, function: Callable[[Any], T], after: str | None = None
    ) -> Iterator[tuple[str, list[T]]]:
        """Call `function` with each user object and yield what it returns, 500 at a time.

        Users are loaded on a session of our own, which is closed before each batch is yielded:
        on SQLite an open look would hold up whoever stores the results.
        """
        while True:
            with Session(self.engine) as session:
                users = self.page(session, after, BATCH)
                if not users:
                    return
                after = str(inspect(users[-1]).identity[0])
                results = [function(user) for user in users]
            yield after, results

    def count(self) -> int:
        """Return how many users there are."""
        with Session(self.engine) as session:
            return session.scalar(select(func.count()).select_from(self.model)) or 0

    def page(self, session: Session, after: str | None, size: int) -> Sequence[Any]:
        """Return up to `size` user objects behind the one whose key is `after`, in order."""
        key = self.key_attribute()
        query = select(self.model).order_by(key).limit(size)
        if after is not None:
            query = query.where(key > self._as_key(after))
        return session.scalars(query).all()

    def existing(self, user_ids: Sequence[str]) -> set[str]:
        """Return those of `user_ids` that the host still has.

        Only meaningful where the id is the primary key, as it is without ``identify``.
        """
        key = self.key_attribute()
        keys = [value for value in map(self._as_key, user_ids) if value is not None]
        with Session(self.engine) as session:
            return {str(found) for found in session.scalars(select(key).where(key.in_(keys)))}

    def known(self, user_ids: Sequence[str]) -> list[KnownUser]:
        """Return what the host says now of those of `user_ids` that it still has."""
        key = self.key_attribute()
        keys = [value for value in map(self._as_key, user_ids) if value is not None]
        with Session(self.engine) as session:
            if self.identify is None:
                query = select(*[column.label(name) for name, column in self._columns().items()])
                found: Sequence[Any] = session.execute(query.where(key.in_(keys))).all()
            else:
                found = session.scalars(select(self.model).where(key.in_(keys))).all()
            return [user for user in map(self._known, found) if user is not None]

    def ids_are_keys(self) -> bool:
        """Tell whether a person's id is the primary key of the host's user.

        It is, unless ``identify`` gives ids of another kind. That shows in the first user whom
        it records; while there is none, nobody can tell, and the answer is no.
        """
        if self.identify is None:
            return True

        def compare(user: Any) -> bool | None:
            known = self._known(user)
            return None if known is None else known.user_id == str(inspect(user).identity[0])

        for _, found in self.mapped(compare):
            told = [answer for answer in found if answer is not None]
            if told:
                return all(told)
        return False

    def _as_key(self, user_id: str) -> Any:
        return as_key(self.key(), user_id)

    def _rows(self, after: str | None) -> Iterator[tuple[str, list[KnownUser | None]]]:
        key = self.key_attribute()
        columns = self._columns()
        query = select(*[column.label(name) for name, column in columns.items()]).order_by(key)
        while True:
            page = query if after is None else query.where(key > self._as_key(after))
            with Session(self.engine) as session:
                rows = session.execute(page.limit(BATCH)).all()
            if not rows:
                return
            after = str(rows[-1].user_id)
            yield after, list(map(self._known, rows))

    def _columns(self) -> dict[str, Any]:
        attributes = inspect(self.model).column_attrs
        names = {
            "user_id": self.key_attribute().key,
            "email": "email",
            "name": "name",
            "signed_up_at": "created_at",
        }
        if self.last_seen_column:
            names["last_seen_at"] = self.last_seen_column
        return {
            ours: getattr(self.model, theirs)
            for ours, theirs in names.items()
            if theirs in attributes
        }

    def _known(self, user: Any) -> KnownUser | None:
        if self.identify is None:
            row = user._mapping
            return KnownUser(
                user_id=str(row["user_id"]),
                email=_text(row.get("email")),
                name=_text(row.get("name")),
                signed_up_at=as_moment(row.get("signed_up_at")),
                last_seen_at=as_moment(row.get("last_seen_at")),
            )
        try:
            return self._identified(user)
        except Exception as error:  # noqa: BLE001  (the host's code: one user's trouble)
            _log.warning("flask_engage: identify() failed for a user: %s", error)
            return None

    def _identified(self, user: Any) -> KnownUser | None:
        assert self.identify is not None
        identity = self.identify(user)
        if identity is None:
            return None
        seen = getattr(user, self.last_seen_column, None) if self.last_seen_column else None
        return KnownUser(
            user_id=check_user_id(identity.id),
            email=_text(identity.email),
            name=_text(identity.name),
            signed_up_at=as_moment(identity.signed_up_at),
            last_seen_at=as_moment(seen),
            attributes=fitting(identity.attributes, _tell) or None,
        )


def as_key(column: ColumnElement[Any], user_id: str) -> Any:
    """Return a user's id as values of `column` are; None if it can't be one of them."""
    try:
        kind = column.type.python_type
    except NotImplementedError:
        kind = str
    if kind not in (int, UUID, Decimal):
        return user_id  # text, or a type of the host's own, which takes what it printed
    try:
        return kind(user_id)
    except (ValueError, ArithmeticError):
        return None  # an old token, say: nobody of theirs


def _tell(error: InvalidFact) -> None:
    _log.warning("flask_engage: an attribute from identify() can't be kept: %s", error)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
