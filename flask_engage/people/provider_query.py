"""Custom data from one query of the host's for everybody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import groupby, islice
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, Subquery, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..capture.limits import check_name, check_user_id, check_value
from ..capture.values import plain
from ..errors import InvalidFact
from ..store.attribute import unconfirmed_values
from ..store.attribute_write import CONFIRMED_EVERY
from ..store.engine import LOOK, Database
from ..store.provider_write import Run
from ..store.time_limit import statements_within
from .host_query import derived, label_of, rows_of
from .host_users import BATCH, as_key
from .providers import Failure, Part, Start, failure_of
from .watch import Limits, TookTooLong, within

PAGE = 20_000
"""Rows of the host's in memory at a time: some megabytes, and the query runs once for each."""
_GRACE = timedelta(seconds=5)
"""The database is to end a statement itself before we leave its thread alone."""


@dataclass(frozen=True, slots=True)
class QuerySource:
    """A function of the host that returns one select for everybody."""

    name: str
    function: Callable[[], Any]
    engine: Engine
    """For looking at the host's tables."""
    database: Database
    limits: Limits
    page: int = PAGE
    given: Mapping[str, str] = field(default_factory=dict)
    """Attributes that are another provider's, and whose: two would overwrite each other."""
    _labels: list[str] = field(default_factory=list)

    def attributes(self) -> list[str]:
        """Return the labels of the query's columns, once it has been asked for."""
        return list(self._labels)

    def total(self) -> int | None:
        """Return None: to count would be to ask the whole query twice."""
        return None

    def parts(self, start: Start) -> Iterator[Part]:
        """Yield the values of up to 500 users at a time; then remove what nobody gives any more."""
        query, position = self._query(), start.position
        columns = list(query.c)
        labels, wrong = _labels(columns, self.given)
        self._labels[:] = [label for label, _ in labels]
        if not labels:
            raise InvalidFact("; ".join(str(failure) for failure in wrong))
        if "unnamed" not in position:
            if wrong and not position:
                yield Part({"after": None}, failures=wrong)
            for part in self._named(columns[0], labels, position.get("after")):
                position = part.position
                yield part
            position = {"unnamed": [0, ""]}
        yield from self._unnamed(columns[0], start.run, position["unnamed"])

    def _query(self) -> Subquery:
        return derived(
            within(self.function, self.limits, self.name), f"attribute_query {self.name!r}", 2
        )

    # --- whom the query names --------------------------------------------------------------------

    def _named(
        self, key: ColumnElement[Any], labels: list[tuple[str, ColumnElement[Any]]], after: Any
    ) -> Iterator[Part]:
        query = select(key, *(column for _, column in labels)).order_by(key).limit(self.page)
        while True:
            behind = key.is_not(None) if after is None else key > _value_of(after)
            rows = self._ask(query.where(behind))
            users = [list(group) for _, group in groupby(rows, key=itemgetter(0))]
            if len(rows) == self.page and len(users) > 1:
                users.pop()  # it may go on on the next page
            names = [label for label, _ in labels]
            for some in _batched(users, BATCH):
                part = _part(some, names)
                after = part.position["after"] = _position_of(some[-1][0][0])
                yield part
            if len(rows) < self.page:
                return

    def _ask(self, query: Any) -> Sequence[Any]:
        """Return the rows of `query`, or raise once it takes too long."""
        if self.limits.call is None:
            return self._rows(query)
        seconds = self.limits.call.total_seconds()
        patient = Limits(self.limits.call + _GRACE, self.limits.context)
        began = time.monotonic()

        def ask() -> Sequence[Any]:
            return self._rows(query, seconds)

        try:
            return within(ask, patient, self.name)
        except DBAPIError as error:
            if time.monotonic() - began < seconds:
                raise
            raise TookTooLong(
                f"the query took longer than {seconds:g} seconds; give it timeout=, or an index"
            ) from error

    def _rows(self, query: Any, seconds: float | None = None) -> Sequence[Any]:
        with Session(self.engine.execution_options(**LOOK)) as session:
            if seconds is None:
                return rows_of(session, query)
            with statements_within(session, seconds):
                return rows_of(session, query)

    # --- whom it doesn't name any more -----------------------------------------------------------

    def _unnamed(self, key: ColumnElement[Any], run: Run, after: list[Any]) -> Iterator[Part]:
        """Yield removals of this query's values of people whom it no longer names.

        A GROUP BY leaves out whoever has nothing to count: their old number must not stay.
        """
        while True:
            with self.database.read() as session:
                left = unconfirmed_values(
                    session,
                    self._labels,
                    source_of(self.name),
                    run.started_at - CONFIRMED_EVERY,
                    (after[0], after[1]),
                    limit=BATCH,
                )
            if not left:
                return
            after = [left[-1][0], left[-1][1]]
            part = Part({"unnamed": after})
            # Whose value was nonsense in this run is named still, and keeps the old one.
            named = self._still_named(key, {user for _, _, user in left}) if run.failed else set()
            for _, label, user_id in left:
                if user_id not in named:
                    part.values.setdefault(user_id, {})[label] = None
            yield part

    def _still_named(self, key: ColumnElement[Any], user_ids: set[str]) -> set[str]:
        keys = [value for value in (as_key(key, user) for user in user_ids) if value is not None]
        return {_user_id(row[0]) for row in self._ask(select(key).where(key.in_(keys)).distinct())}


def source_of(provider: str) -> str:
    """Return what values of `provider` say they are from."""
    return f"provider:{provider}"[:64]


def _labels(
    columns: Sequence[ColumnElement[Any]],
    given: Mapping[str, str],
) -> tuple[list[tuple[str, ColumnElement[Any]]], list[Failure]]:
    """Return all but the first by the attributes that they give, and what is wrong with others."""
    good: list[tuple[str, ColumnElement[Any]]] = []
    wrong: list[Failure] = []
    for place in range(1, len(columns)):
        try:
            good.append((_free_name(label_of(columns, place), given), columns[place]))
        except InvalidFact as error:
            wrong.append(failure_of(error))
    return good, wrong


def _free_name(label: object, given: Mapping[str, str]) -> str:
    name = check_name(label, "attribute")
    if name in given:
        raise InvalidFact(
            f"the attribute {name!r} is given by {given[name]} already; label this column "
            "otherwise, or leave it out."
        )
    return name


def _part(users: list[list[Any]], labels: list[str]) -> Part:
    part = Part({})
    for rows in users:
        try:
            user_id = _user_id(rows[0][0])
            _require_one(rows)
        except InvalidFact as error:
            part.failures.append(failure_of(error, str(rows[0][0])[:255]))
            continue
        failure = None
        values = part.values.setdefault(user_id, {})
        for label, value in zip(labels, rows[0][1:], strict=True):
            try:
                values[label] = check_value(label, plain(value))
            except InvalidFact as error:
                failure = failure_of(error, user_id)
        if failure is None:
            part.people += 1
        else:
            part.failures.append(failure)
    return part


def _require_one(rows: list[Any]) -> None:
    if any(tuple(row) != tuple(rows[0]) for row in rows[1:]):
        raise InvalidFact(
            f"the query gives {len(rows)} rows for this user, with different values; "
            "group by the user's id"
        )


def _user_id(value: Any) -> str:
    return check_user_id(plain(value) if not isinstance(value, UUID) else value)


_KINDS: dict[str, Callable[[str], Any]] = {"int": int, "str": str, "uuid": UUID}


def _position_of(value: Any) -> list[str]:
    """Return a user's id in a form that JSON keeps."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    for kind, type_ in (("int", int), ("str", str), ("uuid", UUID)):
        if isinstance(value, type_):
            return [kind, str(value)]
    raise InvalidFact(
        f"the first column is to be the user's id, as an int, a str or a UUID, not {value!r:.100}"
    )


def _value_of(position: list[str]) -> Any:
    kind, text = position
    return _KINDS[kind](text)


def _batched(items: list[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
