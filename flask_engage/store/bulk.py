"""Many rows in one statement and one round-trip, said once for the three databases.

What the writer does for each batch of facts goes this way: it hands rows over as tuples and
pays neither for objects nor for each value's type. SQLite is in our own process and takes the
rows one by one; PostgreSQL, MariaDB and MySQL get all of them as one JSON document, which they
read as a table: PyMySQL would take longer to write each value out than the server to store it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import starmap
from typing import Any

import msgspec
from sqlalchemy import JSON, Column, ColumnElement, Date, DateTime, String, Table, func
from sqlalchemy import types as sqltypes
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session
from sqlalchemy.sql import literal_column

from .upsert import Incoming, dialect_of

Rows = Sequence[Sequence[Any]]
"""The values of some rows, in the order of the statement's columns."""
Columns = Sequence[Sequence[Any]]
"""The same the other way round: each column's values, in the order of the rows."""
Change = Callable[[Table, Incoming], Mapping[str, ColumnElement[Any]]]
"""Says what becomes of a row that is there; the same as for :func:`.upsert.upsert`."""

_encode = msgspec.json.Encoder().encode


_MYSQL_BYTES = 2 * 1024 * 1024
"""A larger document goes in halves: twice this and more must fit into ``max_allowed_packet``."""

Texts = Callable[[Sequence[Any]], list[Any]]
"""Gives a column's values as texts."""


def _utc_texts(column: Sequence[datetime | None]) -> list[str | None]:
    """Return instants as SQLite keeps them and as MySQL reads them."""
    if len(column) > 1 and column.count(column[0]) == len(column):
        return _utc_texts(column[:1]) * len(column)  # such as the moment of storing
    return [
        None
        if moment is None
        else (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat(
            " ", "microseconds"
        )[:26]
        for moment in column
    ]


def _date_texts(column: Sequence[date | None]) -> list[str | None]:
    return [None if day is None else day.isoformat() for day in column]


def _document(value: Any) -> str:
    return _encode(value).decode()


def _documents(column: Sequence[Any]) -> list[str]:
    return [_encode(value).decode() for value in column]


class _Bulk:
    """A statement about some columns of a table, for many rows at once."""

    def __init__(self, table: Any, columns: Sequence[str]) -> None:
        self.table: Table = table
        self.columns = tuple(columns)
        self._prepared: dict[str, _Run] = {}

    def __call__(self, session: Session, rows: Rows) -> None:
        """Run it for `rows`, in their order."""
        if rows:
            self.columns_of(session, list(zip(*rows, strict=True)))

    def columns_of(self, session: Session, columns: Columns) -> None:
        """Run it for rows that are given column by column."""
        if not columns[0]:
            return
        name = dialect_of(session)
        run = self._prepared.get(name)
        if run is None:
            run = self._prepared[name] = getattr(self, f"_{name}")(session.get_bind().dialect)
        run(session, columns)

    def _column(self, name: str) -> Column[Any]:
        return self.table.c[name]

    def _types(self) -> list[Any]:
        return [self._column(name).type for name in self.columns]

    def _many(self, sql: str) -> _Run:
        """Return what runs `sql` with each row's values as text, for SQLite."""
        convert = _converter(self._types(), _TEXTS)

        def run(session: Session, columns: Columns) -> None:
            # Through the driver: it takes a list of tuples and nothing else, as it is.
            session.connection().exec_driver_sql(sql, convert(columns))

        return run

    def _whole(self, sql: str, texts: Mapping[type, Texts]) -> _Run:
        """Return what runs `sql` with all the rows as one JSON document, for MySQL."""
        convert = _converter(self._types(), texts)

        def run(session: Session, columns: Columns) -> None:
            # As bytes: there PyMySQL looks for no quotes, character by character.
            document = _encode(convert(columns))
            number = len(columns[0])
            if len(document) > _MYSQL_BYTES and number > 1:
                run(session, [column[: number // 2] for column in columns])
                run(session, [column[number // 2 :] for column in columns])
                return
            session.connection().exec_driver_sql(sql, (document,))

        return run

    def _mysql_table(self, quote: Callable[[str], str], kinds: Mapping[type, str]) -> str:
        """Return the document as a table ``v`` whose columns are ``c0``, ``c1`` and so on."""
        columns = ", ".join(
            f"{quote(f'c{index}')} {kinds[_kind(kind)]} PATH '$[{index}]'"
            for index, kind in enumerate(self._types())
        )
        return f"JSON_TABLE(CONVERT(%s USING utf8mb4), '$[*]' COLUMNS ({columns})) AS v"


_Run = Callable[[Session, Columns], None]
"""Runs a statement that has been made for one of the databases."""


def _converter(
    types: Sequence[Any], texts: Mapping[type, Texts]
) -> Callable[[Columns], list[tuple[Any, ...]]]:
    found = [(index, texts[kind]) for index, t in enumerate(types) if (kind := _kind(t)) in texts]

    def convert(columns: Columns) -> list[tuple[Any, ...]]:
        held = list(columns)
        for index, as_texts in found:
            held[index] = as_texts(held[index])
        return list(zip(*held, strict=True))

    return convert


def _kind(kind: Any) -> type:
    """Return what a column holds, in the six words that matter here."""
    plain = kind.impl_instance if isinstance(kind, sqltypes.TypeDecorator) else kind
    for known in (DateTime, Date, JSON, sqltypes.Integer, sqltypes.Float, sqltypes.Boolean):
        if isinstance(plain, known):
            return known
    return String


_TEXTS: Mapping[type, Texts] = {
    DateTime: _utc_texts,
    Date: _date_texts,
    JSON: _documents,
}

#: As PostgreSQL reads them out of a document. Text without a length: what is too long is to be
#: refused by the column, not cut.
_POSTGRESQL: Mapping[type, str] = {
    DateTime: "timestamptz",
    Date: "date",
    JSON: "jsonb",
    sqltypes.Integer: "bigint",
    sqltypes.Float: "double precision",
    sqltypes.Boolean: "boolean",
    String: "text",
}
#: And MariaDB and MySQL, which would cut without a word.
_MYSQL: Mapping[type, str] = {
    DateTime: "DATETIME(6)",
    Date: "DATE",
    JSON: "JSON",
    sqltypes.Integer: "BIGINT",
    sqltypes.Float: "DOUBLE",
    sqltypes.Boolean: "BOOLEAN",
    String: "LONGTEXT",
}


class _Insertion(_Bulk):
    def _head(self, quote: Callable[[str], str]) -> str:
        names = ", ".join(map(quote, self.columns))
        return f"INSERT INTO {quote(self.table.name)} ({names})"

    def _tail(self, _dialect: Dialect) -> str:
        """Say what happens to a row whose key is taken; nothing: it is an error."""
        return ""

    def _sqlite(self, dialect: Dialect) -> _Run:
        quote = dialect.identifier_preparer.quote
        marks = ", ".join("?" * len(self.columns))
        return self._many(_say(self._head(quote), "VALUES", f"({marks})", self._tail(dialect)))

    def _mysql(self, dialect: Dialect) -> _Run:
        quote = dialect.identifier_preparer.quote
        head, tail = self._head(quote), self._tail(dialect)
        # A document within the document goes as text: it may be nested deeper than MariaDB reads.
        rows = self._mysql_table(quote, {**_MYSQL, JSON: "LONGTEXT"})
        return self._whole(_say(head, "SELECT v.* FROM", rows, tail), _TEXTS)

    def _postgresql(self, dialect: Dialect) -> _Run:
        quote = dialect.identifier_preparer.quote
        names = ", ".join(f"v.{quote(name)}" for name in self.columns)
        head, tail = self._head(quote), self._tail(dialect)
        return _run_objects(
            _say(head, "SELECT", names, "FROM", _recordset(self, quote), tail), self.columns
        )


def _say(*words: str) -> str:
    """Return a statement. All of its words are ours and names are quoted: it holds no value."""
    return " ".join(words)


def _run_objects(sql: str, names: Sequence[str]) -> _Run:
    # A fifth of what dictionaries cost: they are larger, and the garbage collector follows them.
    as_object = msgspec.defstruct("Row", names, gc=False)

    def run(session: Session, columns: Columns) -> None:
        document = _document([*starmap(as_object, zip(*columns, strict=True))])
        session.connection().exec_driver_sql(sql, (document,))

    return run


def _recordset(bulk: _Bulk, quote: Callable[[str], str]) -> str:
    columns = ", ".join(
        f"{quote(name)} {_POSTGRESQL[_kind(bulk.table.c[name].type)]}" for name in bulk.columns
    )
    return f"json_to_recordset(%s::json) AS v ({columns})"


class Insert(_Insertion):
    """INSERT of rows that are new."""


class InsertNew(_Insertion):
    """INSERT of those rows whose unique key is free; the others are left out."""

    def _tail(self, dialect: Dialect) -> str:
        if dialect.name not in ("mysql", "mariadb"):
            return "ON CONFLICT DO NOTHING"
        # Not INSERT IGNORE: that would also swallow values that don't fit.
        key = dialect.identifier_preparer.quote(next(iter(self.table.primary_key.columns)).name)
        table = dialect.identifier_preparer.quote(self.table.name)
        return f"ON DUPLICATE KEY UPDATE {key} = {table}.{key}"


class Upsert(_Insertion):
    """INSERT, or UPDATE of a row whose `key` is taken; says of each column what becomes of it."""

    def __init__(
        self, table: Any, columns: Sequence[str], key: Sequence[str], change: Change
    ) -> None:
        super().__init__(table, columns)
        self._key = tuple(key)
        self._change = change

    def _tail(self, dialect: Dialect) -> str:
        quote = dialect.identifier_preparer.quote
        on_mysql = dialect.name in ("mysql", "mariadb")

        def incoming(name: str) -> ColumnElement[Any]:
            column = self._column(name)
            if on_mysql:
                return func.values(column, type_=column.type)
            return literal_column(f"excluded.{quote(name)}", column.type)

        changes = ", ".join(
            f"{quote(name)} = {value.compile(dialect=dialect)}"
            for name, value in self._change(self.table, incoming).items()
        )
        if on_mysql:
            return f"ON DUPLICATE KEY UPDATE {changes}"
        return f"ON CONFLICT ({', '.join(map(quote, self._key))}) DO UPDATE SET {changes}"


class Update(_Bulk):
    """UPDATE of some columns in the rows whose `key` the first value of each tuple is."""

    def __init__(self, table: Any, columns: Sequence[str], key: str = "id") -> None:
        super().__init__(table, (key, *columns))
        self._key = key
        self._changed = tuple(columns)

    def _sqlite(self, dialect: Dialect) -> _Run:
        quote = dialect.identifier_preparer.quote
        numbers = {name: index + 1 for index, name in enumerate(self.columns)}
        changes = ", ".join(f"{quote(name)} = ?{numbers[name]}" for name in self._changed)
        name, key = quote(self.table.name), quote(self._key)
        return self._many(_say("UPDATE", name, "SET", changes, "WHERE", key, "= ?1"))

    def _postgresql(self, dialect: Dialect) -> _Run:
        quote = dialect.identifier_preparer.quote
        changes = ", ".join(f"{quote(name)} = v.{quote(name)}" for name in self._changed)
        key, name = quote(self._key), quote(self.table.name)
        rows, same = _recordset(self, quote), f"{name}.{key} = v.{key}"
        return _run_objects(
            _say("UPDATE", name, "SET", changes, "FROM", rows, "WHERE", same), self.columns
        )

    def _mysql(self, dialect: Dialect) -> _Run:
        quote = dialect.identifier_preparer.quote
        changes = ", ".join(
            f"t.{quote(name)} = v.{quote(f'c{index}')}"
            for index, name in enumerate(self._changed, start=1)
        )
        key, name = quote(self._key), quote(self.table.name)
        rows = self._mysql_table(quote, _MYSQL)
        found = f"{rows} STRAIGHT_JOIN {name} AS t ON t.{key} = v.{quote('c0')}"
        return self._whole(
            _say("UPDATE", found, "SET", changes), {DateTime: _utc_texts, Date: _date_texts}
        )
