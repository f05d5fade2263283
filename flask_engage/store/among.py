"""A condition on a column that names many values, as cheap on each database as can be."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, SQLColumnExpression, Text, any_, bindparam
from sqlalchemy.orm import Session

from .upsert import dialect_of


def among(
    session: Session, column: SQLColumnExpression[Any], values: Collection[int] | Collection[str]
) -> ColumnElement[bool]:
    """Return that `column` has one of `values`, which are ids: all of them numbers, or texts.

    On PostgreSQL they go as one array, so that the statement is the same for any number of them:
    its driver reads a text with thousands of parameters letter by letter, each time anew, and the
    server can't keep the plan of one that never comes again.
    """
    held = list(values)
    if dialect_of(session) != "postgresql" or not held:
        return column.in_(held)
    kind = Text() if isinstance(held[0], str) else BigInteger()
    return column == any_(bindparam(None, held, type_=ARRAY(kind), unique=True))
