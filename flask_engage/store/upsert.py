"""INSERT that meets a row which is already there, said once for the three databases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table
from sqlalchemy.orm import Session

Incoming = Callable[[str], ColumnElement[Any]]
"""Gives the value that the row to be inserted has in a column."""


def dialect_of(session: Session) -> str:
    """Return ``sqlite``, ``postgresql`` or ``mysql`` (MariaDB too)."""
    name = session.get_bind().dialect.name
    return "mysql" if name == "mariadb" else name


def insert_of(dialect: str, table: Table) -> Any:
    """Return the INSERT of `dialect` into `table`, which knows how to meet a row that is there."""
    # Imported here: all three take 50 ms and megabytes, and a process needs one of them.
    if dialect == "mysql":
        from sqlalchemy.dialects.mysql import insert

        return insert(table)
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql(table)
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(table)


def insert_ignore(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`; those whose unique key is taken are left out."""
    if not rows:
        return
    name = dialect_of(session)
    if name == "mysql":
        # Not INSERT IGNORE: that would also swallow values that don't fit.
        insert = insert_of(name, table)
        key = next(iter(table.primary_key.columns))
        session.execute(insert.on_duplicate_key_update({key.name: table.c[key.name]}), list(rows))
    else:
        session.execute(insert_of(name, table).on_conflict_do_nothing(), list(rows))


def upsert(
    session: Session,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str],
    update: Callable[[Table, Incoming], Mapping[str, Any]],
) -> None:
    """Insert `rows`; a row whose `key` is taken is updated instead.

    `update` is given the table (for what the row holds) and a function from column name to
    the incoming value, and returns the new values. On MySQL assignments take effect from
    left to right, so a column that others are computed from belongs last; and PyMySQL takes no
    bound parameters there, so constants are written out (``literal_column``, ``null()``).
    """
    if not rows:
        return
    name = dialect_of(session)
    if name == "mysql":
        statement = insert_of(name, table)
        incoming = statement.inserted
        session.execute(
            statement.on_duplicate_key_update(
                list(update(table, lambda column: incoming[column]).items())
            ),
            list(rows),
        )
        return
    insert = insert_of(name, table)
    excluded = insert.excluded
    session.execute(
        insert.on_conflict_do_update(
            index_elements=list(key), set_=dict(update(table, lambda column: excluded[column]))
        ),
        list(rows),
    )
