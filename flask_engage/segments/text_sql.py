"""Small SQL constructs for text that means the same on every database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, String, Uuid
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ..store.base import mysql_collation


class code_text(FunctionElement[str]):  # noqa: N801  (reads as the SQL function it is)
    """Any text, made to compare by code point."""

    type = String()
    inherit_cache = True


class key_text(FunctionElement[str]):  # noqa: N801
    """A key of the host's, as the text that we keep of it; it compares by code point."""

    type = String()
    inherit_cache = True


class position(FunctionElement[int]):  # noqa: N801
    """Where the second text is in the first, from 1, letter for letter; else 0.

    Not LIKE, which folds case on SQLite and has its own view of ``%`` and ``_``.
    """

    type = Integer()
    inherit_cache = True


class mostly(FunctionElement[Any]):  # noqa: N801
    """A condition that most people meet. SQLite guesses that it is one in four, and takes the
    index of a condition like ``last seen more than two weeks ago`` before a better one.
    """

    inherit_cache = True


class apart(FunctionElement[Any]):  # noqa: N801
    """A column as a value: SQLite takes no index for it. (That a value is there narrows nothing
    down, but SQLite believes so and then likes that index best.)
    """

    inherit_cache = True


class sorted_last(FunctionElement[Any]):  # noqa: N801
    """A column to order by that no index serves: planners like best to walk along an index until
    there are enough, and believe that those who match stand evenly in it.
    """

    inherit_cache = True


@compiles(mostly)
def _mostly(element: mostly, compiler: SQLCompiler, **options: Any) -> str:
    condition = compiler.process(element.clauses, **options)
    return f"likelihood({condition}, 0.75)" if compiler.dialect.name == "sqlite" else condition


@compiles(apart)
def _apart(element: apart, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"+{column}" if compiler.dialect.name == "sqlite" else column


@compiles(sorted_last)
def _sorted_last(element: sorted_last, compiler: SQLCompiler, **options: Any) -> str:
    # Made twice, so that what it binds is bound twice.
    column, again = (compiler.process(element.clauses, **options) for _ in range(2))
    return f"coalesce({column}, {again})"


@compiles(code_text)
def _code_text(element: code_text, compiler: SQLCompiler, **options: Any) -> str:
    return _by_code_point(compiler.process(element.clauses, **options), compiler)


@compiles(key_text)
def _key_text(element: key_text, compiler: SQLCompiler, **options: Any) -> str:
    (key,) = element.clauses
    text = compiler.process(key, **options)
    native = isinstance(key.type, Uuid) and key.type.native_uuid
    if isinstance(key.type, Uuid) and not (native and compiler.dialect.supports_native_uuid):
        return _by_code_point(_with_dashes(text, compiler), compiler)
    if compiler.dialect.name in ("mysql", "mariadb"):
        return _by_code_point(f"CAST({text} AS CHAR CHARACTER SET utf8mb4)", compiler)
    return _by_code_point(f"CAST({text} AS TEXT)", compiler)


@compiles(position)
def _position(element: position, compiler: SQLCompiler, **options: Any) -> str:
    name = "strpos" if compiler.dialect.name == "postgresql" else "instr"
    return f"{name}({compiler.process(element.clauses, **options)})"


def _by_code_point(text: str, compiler: SQLCompiler) -> str:
    name = compiler.dialect.name
    if name == "postgresql":
        return f'(({text}) COLLATE "C")'
    if name in ("mysql", "mariadb"):
        converted = f"CONVERT({text} USING utf8mb4)"
        return f"({converted} COLLATE {mysql_collation(compiler.dialect)})"
    return f"(({text}) COLLATE BINARY)"


def _with_dashes(text: str, compiler: SQLCompiler) -> str:
    """Return a UUID kept as 32 digits in the usual form with dashes."""
    parts = [f"substr({text}, {start}, {size})" for start, size in _UUID_PARTS]
    if compiler.dialect.name in ("mysql", "mariadb"):
        return f"LOWER(CONCAT_WS('-', {', '.join(parts)}))"
    return "lower(" + " || '-' || ".join(parts) + ")"


_UUID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
