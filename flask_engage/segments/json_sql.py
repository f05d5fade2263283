"""Reading a JSON column in SQL: a member of one kind, or NULL, in the dialects we know.

Numbers come out as numbers, texts and times as text that compares by code point, booleans as
the text ``true`` or ``false``.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Numeric,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from .text_sql import code_text
from .values import Kind

_EXACT = 2**53
"""Integers from here on don't all fit into a double, which is what MariaDB compares."""
_TYPES: dict[str, dict[Kind, tuple[str, ...]]] = {
    "sqlite": {"n": ("integer", "real"), "s": ("text",), "b": ("true", "false")},
    "postgresql": {"n": ("number",), "s": ("string",), "b": ("boolean",)},
    "mysql": {
        "n": ("INTEGER", "UNSIGNED INTEGER", "DOUBLE", "DECIMAL"),
        "s": ("STRING",),
        "b": ("BOOLEAN",),
    },
}


class Member:
    """The member `key` of the JSON object in `column`."""

    def __init__(self, dialect: str, column: Any, key: str) -> None:
        self._dialect = dialect
        self._column = column
        self._key = key

    def exists(self) -> ColumnElement[bool]:
        """Return the condition that it is there; JSON's null counts as there."""
        return self._raw("type").is_not(None)

    def is_a(self, kind: Kind) -> ColumnElement[bool]:
        """Return the condition that it is there and is of `kind`."""
        found = self._raw("type")
        return and_(found.is_not(None), found.in_(_TYPES[self._dialect][kind]))

    def value(self, kind: Kind, *, checked: bool = False) -> ColumnElement[Any]:
        """Return it as a value of `kind`, NULL if it isn't there.

        :param checked: give NULL too if it is of another kind; without this it must not be.
        """
        found = self._typed(kind)
        if not checked:
            return found
        return case((self._raw("type").in_(_TYPES[self._dialect][kind]), found))

    def _typed(self, kind: Kind) -> ColumnElement[Any]:
        if self._dialect == "sqlite":
            # What json_extract makes of a boolean is a number; its type says which one it is.
            return self._raw("type" if kind == "b" else "value", _PLAIN[kind])
        if self._dialect == "postgresql":
            text = self._raw("text")
            return cast(text, Numeric()) if kind == "n" else code_text(text)
        text = code_text(self._raw("text"))
        return cast(text, Double()) if kind == "n" else text

    def compared(
        self, operator: Any, number: int | float, *, checked: bool = False
    ) -> ColumnElement[bool]:
        """Return its comparison with a number, exact as far as the numbers themselves are."""
        found = self.value("n", checked=checked)
        simple: ColumnElement[bool] = operator(found, number_literal(self._dialect, number))
        if self._dialect != "mysql" or isinstance(number, float) or abs(number) < _EXACT:
            return simple
        text = self._raw("text")
        whole = cast(text, Numeric(30, 0))
        return case(
            (text.regexp_match("^-?[0-9]{1,30}$"), operator(whole, literal(number, BigInteger()))),
            else_=simple,
        )

    # --- the three dialects ------------------------------------------------------------------

    def _raw(self, what: str, type_: Any = None) -> ColumnElement[Any]:
        if self._dialect == "sqlite":
            return self._sqlite(what, type_ or String())
        if self._dialect == "postgresql":
            key = _written_out(self._key)
            if what == "text":
                return self._column.op("->>", return_type=String())(key)  # type: ignore[no-any-return]
            return func.jsonb_typeof(self._column.op("->")(key), type_=String())
        found = self._mysql()
        return (
            func.json_unquote(found, type_=String())
            if what == "text"
            else func.json_type(found, type_=String())
        )

    def _sqlite(self, what: str, type_: Any) -> ColumnElement[Any]:
        if _is_plain(self._key):
            path = _written_out(f'$."{self._key}"')
            function = func.json_type if what == "type" else func.json_extract
            return function(self._column, path, type_=type_)
        # A path can't name a key that is written with escapes; going through all of them can.
        members = func.json_each(self._column).table_valued("key", "value", "type")
        column = members.c.type if what == "type" else members.c.value
        found = select(column).where(members.c.key == literal(self._key, String())).limit(1)
        return type_coerce(found.correlate(self._column.table).scalar_subquery(), type_)

    def _mysql(self) -> ColumnElement[Any]:
        # Keys are compared as they are written: with escapes, or without.
        paths = [f"$.{json.dumps(self._key, ensure_ascii=ascii_)}" for ascii_ in (True, False)]
        found = [func.json_extract(self._column, path) for path in dict.fromkeys(paths)]
        return found[0] if len(found) == 1 else func.coalesce(*found)


_PLAIN: dict[Kind, Any] = {"n": Numeric(asdecimal=False), "s": String(), "b": String()}
_PLAIN["t"] = String()


def number_literal(dialect: str, number: int | float) -> ColumnElement[Any]:
    """Return a bound number that `dialect` compares with a JSON number without rounding."""
    if dialect == "postgresql":
        return literal(Decimal(repr(number)), Numeric())
    return literal(number, Double() if isinstance(number, float) else BigInteger())


def _written_out(text: str) -> ColumnElement[str]:
    """Return `text` as a literal that stands in the statement itself, quoted by the dialect.

    An index over an expression serves only a question in the same words: a parameter is none.
    """
    return bindparam(None, text, String(), unique=True, literal_execute=True)


def _is_plain(key: str) -> bool:
    return key.isascii() and key.isprintable() and '"' not in key and "\\" not in key


def any_exists(members: list[Member]) -> ColumnElement[bool]:
    """Return the condition that at least one of `members` is there."""
    return or_(*[member.exists() for member in members])
