"""Steps that may be run again: MySQL commits each one, so a cut-off upgrade resumes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem


def create_table(name: str, *items: SchemaItem) -> None:
    """Create a table with its indexes, or what is missing of them."""
    present = sa.inspect(op.get_bind())
    if not present.has_table(name):
        op.create_table(name, *items)
        return
    there = {index["name"] for index in present.get_indexes(name)}
    for item in items:
        if isinstance(item, sa.Index) and item.name not in there:
            columns = [str(column) for column in item._pending_colargs]
            op.create_index(str(item.name), name, columns, unique=item.unique)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column unless it is there."""
    there = {found["name"] for found in sa.inspect(op.get_bind()).get_columns(table)}
    if column.name not in there:
        op.add_column(table, column)


def create_index(name: str, table: str, columns: list[str]) -> None:
    """Create an index unless it is there."""
    there = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
    if name not in there:
        op.create_index(name, table, columns)


def drop_index(name: str, table: str) -> None:
    """Drop an index if it is there."""
    there = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
    if name in there:
        op.drop_index(name, table)
