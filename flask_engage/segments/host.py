"""Conditions on the host's own tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BinaryExpression, BindParameter, ColumnElement, Enum
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import False_, True_

from ..errors import InvalidFilter
from .conditions import compare
from .filter import Compare, Filter, HostColumn, IsSet, OneOf, conditions_in
from .values import Moment, shown

_OPERATORS: dict[Any, str] = {
    operators.eq: "==",
    operators.ne: "!=",
    operators.lt: "<",
    operators.le: "<=",
    operators.gt: ">",
    operators.ge: ">=",
}

_SPACE_OR_QUOTED = re.compile(r"""\s+|(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")""")


@dataclass(frozen=True)
class HostExpression(Filter):
    """Any condition that SQLAlchemy can say of the host's user model; it has no JSON form."""

    expression: ColumnElement[bool] = field(compare=False, repr=False)
    text: str
    """The condition in SQL; two that read the same are the same."""


def host(condition: Any) -> Filter:
    """Match those whose row of the host's ``user_model`` meets `condition`.

    :param condition: a SQLAlchemy condition on columns of the model, such as
        ``User.plan == "trial"``, or one that relates other tables of the host to it, such as
        ``exists().where(Project.owner_id == User.id)``. A column's comparison with a literal
        follows the rules of all filters (text by code point; a NULL satisfies only ``!=``);
        anything else means what it means in SQL.
    :raises InvalidFilter: if it is no such condition.
    """
    expression = _expression(condition)
    comparison = _comparison(expression)
    return HostExpression(expression, _text(expression)) if comparison is None else comparison


def check_asked_before(wanted: Filter, known: Iterable[Filter]) -> None:
    """Check that `wanted` compares only such host columns as one of `known` compares as well.

    What comes from a browser may not ask about any column of the host's users: whoever compares a
    password's hash with guesses, and counts, reads it.

    :param known: the filters of the app's own code.
    :raises InvalidFilter: naming the column.
    """
    asked = {column.name for column in _columns_of(wanted)}
    if not asked:
        return
    named = {column.name for filter in known for column in _columns_of(filter)}
    for name in sorted(asked - named):
        raise InvalidFilter(
            f"host: nothing can be asked here of a column {shown(name)}: no segment and no rule of "
            "this app compares it. Name it in one, in code: "
            f"engage.segment(…, host(User.{_attribute_word(name)} == …))."
        )


def _attribute_word(name: str) -> str:
    return name if name.isidentifier() and len(name) <= 64 else "…"


def uses_host(wanted: Filter) -> bool:
    """Tell whether a part of `wanted` asks about the host's own tables."""
    return any(map(_is_of_host, conditions_in(wanted)))


def _is_of_host(part: Filter) -> bool:
    return isinstance(part, HostExpression) or any(_columns_of(part))


def _columns_of(wanted: Filter) -> Iterator[HostColumn]:
    for part in conditions_in(wanted):
        if isinstance(part, (Compare, OneOf, IsSet)) and isinstance(part.subject, HostColumn):
            yield part.subject


def _expression(condition: Any) -> ColumnElement[bool]:
    clause = getattr(condition, "__clause_element__", None)
    expression = clause() if callable(clause) else condition
    if not isinstance(expression, ColumnElement):
        hint = (
            " ('is', 'in', 'and', 'or' and 'not' don't work on columns)"
            if isinstance(condition, bool)
            else ""
        )
        raise InvalidFilter(f"host() takes a SQLAlchemy condition, not {condition!r:.100}{hint}.")
    return expression


def _comparison(expression: ColumnElement[bool]) -> Filter | None:
    """Return `expression` as a comparison that can be serialised, if it is one."""
    if not isinstance(expression, BinaryExpression) or expression.operator not in _OPERATORS:
        return None
    column, literal = expression.left, _literal(expression.right)
    mapper = column._annotations.get("parententity")
    name = column._annotations.get("proxy_key")
    if literal is None or name is None or not isinstance(mapper, Mapper):
        return None
    if isinstance(column.type, Enum):
        return None  # what it is called in Python and what it is in the database may differ
    subject = HostColumn(str(name), mapper.class_.__name__, mapper.class_)
    return compare(subject, _OPERATORS[expression.operator], literal)


def _literal(clause: Any) -> str | int | float | bool | datetime | Moment | None:
    if isinstance(clause, (True_, False_)):
        return isinstance(clause, True_)
    value = clause.value if isinstance(clause, BindParameter) else None
    plain = type(value) in (str, int, float, bool) or isinstance(value, (datetime, Moment))
    return value if plain else None


def _text(expression: ColumnElement[bool]) -> str:
    try:
        return _one_line(str(expression.compile(compile_kwargs={"literal_binds": True})))
    except (SQLAlchemyError, NotImplementedError):
        compiled = expression.compile()
        values = ", ".join(f"{name}={value!r}" for name, value in sorted(compiled.params.items()))
        return f"{_one_line(str(compiled))} with {values}"


def _one_line(sql: str) -> str:
    """Return `sql` without its line breaks; what stands in quotes stays as it is."""
    return _SPACE_OR_QUOTED.sub(lambda found: found["quoted"] or " ", sql).strip()
