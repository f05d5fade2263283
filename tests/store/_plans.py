"""How a database means to answer a query, as text."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session


class Explain(sa.Executable, sa.ClauseElement):
    """A query with words before it that ask for its plan."""

    inherit_cache = False

    def __init__(self, query: Any, words: str) -> None:
        self.query = query
        self.words = words


@compiles(Explain)
def _explain(element: Explain, compiler: Any, **more: Any) -> str:
    return f"{element.words} {compiler.process(element.query, **more)}"


def plan_of(session: Session, query: Any) -> str:
    """Return the plan of `query` with its values."""
    connection = session.connection()
    words = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(tuple(row)) for row in connection.execute(Explain(query, words)))


def rows_read(session: Session, query: Any) -> int:
    """Return how many rows PostgreSQL reads from tables and indexes to answer `query`."""
    explained = Explain(query, "EXPLAIN (ANALYZE, FORMAT JSON)")
    [[found]] = session.connection().execute(explained).all()
    return _read((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])


def _read(node: dict[str, Any]) -> int:
    below = node.get("Plans", [])
    if below:
        return sum(_read(one) for one in below)
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])
