"""Conditions on the host's tables in SQL: whose user id is among those of the host's rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Numeric,
    String,
    TypeDecorator,
    Uuid,
    and_,
    false,
    inspect,
    or_,
    select,
)
from sqlalchemy.orm import Mapper

from ..errors import InvalidFilter
from ..store.person import PersonRow
from .comparison import OPERATORS, compare_text, compare_whole, moment_of
from .filter import HostColumn
from .text_sql import code_text, key_text
from .values import KIND_WORDS, Kind, Value, did_you_mean

if TYPE_CHECKING:
    from .compile import CompileContext

_BOOLEANS = (False, True)
#: The kind of value that a column of a type holds, None: no literal of ours is one. A type that
#: isn't here, one of the host's own, may hold any.
_KINDS: tuple[tuple[type[Any], Kind | None], ...] = (
    (Enum, None),
    (Uuid, None),
    (String, "s"),
    (Boolean, "b"),
    (Integer, "n"),
    (Float, "n"),
    (Numeric, "n"),
    (DateTime, "t"),
    (Date, "t"),
)


def host_condition(condition: ColumnElement[bool], context: CompileContext) -> ColumnElement[bool]:
    """Return that the person is a user of the host whose row meets `condition`.

    :raises InvalidFilter: without ``user_model``, or with the host's tables out of reach.
    """
    model = _user_model(context)
    keys = inspect(model).primary_key
    if len(keys) != 1:
        raise InvalidFilter(
            f"host() needs a key of one column, and {model.__name__} has {len(keys)}."
        )
    key = getattr(model, inspect(model).get_property_by_column(keys[0]).key)
    users = select(key_text(key)).where(condition)
    return and_(PersonRow.user_id.is_not(None), PersonRow.user_id.in_(users))


def host_column(
    subject: HostColumn, operator: str, value: Value | None, now: datetime, context: CompileContext
) -> ColumnElement[bool]:
    """Return that the person is a user of the host whose column compares so.

    A user whose column is NULL meets only ``!=``; the compiler makes that of ``==``.

    :raises InvalidFilter: as :func:`host_condition`, or if the model has no such column.
    """
    column = _column(subject, context)
    if value is None:
        return host_condition(column.is_not(None), context)
    return host_condition(
        and_(column.is_not(None), _compared(column, operator, value, now)), context
    )


def _user_model(context: CompileContext) -> type[Any]:
    if context.user_model is None:
        raise InvalidFilter("host() needs user_model: engage.init_app(app, db, user_model=User).")
    if not context.host_in_same_database:
        raise InvalidFilter(
            "host() can't be used: the host's tables are in another database than ours. "
            "Give what it asks about as an attribute, with @engage.attribute."
        )
    return context.user_model


def _column(subject: HostColumn, context: CompileContext) -> Any:
    model = _user_model(context)
    mapper: Mapper[Any] = inspect(model)
    names = {parent.class_.__name__ for parent in mapper.iterate_to_root()}
    if subject.mapped is not None and not mapper.isa(inspect(subject.mapped)):
        names = set()
    if subject.model is not None and subject.model not in names:
        raise InvalidFilter(
            f"host() compares a column of {subject.model}, and user_model is {model.__name__}. "
            f"Relate the two, for example with exists().where(… == {model.__name__}.id)."
        )
    if subject.name not in mapper.column_attrs:
        raise InvalidFilter(
            f"{model.__name__} has no column {subject.name!r}: "
            f"{did_you_mean(subject.name, mapper.column_attrs.keys())}"
        )
    return getattr(model, subject.name)


def _compared(column: Any, operator: str, value: Value, now: datetime) -> ColumnElement[bool]:
    _check_kind(column, value)
    if value.kind == "t":
        return OPERATORS[operator](column, _host_time(column.type, moment_of(value, now)))  # type: ignore[no-any-return]
    if value.kind == "s" and isinstance(column.type, String):
        return compare_text(code_text(column), operator, str(value.content))
    if value.kind == "n" and isinstance(column.type, Integer):
        return compare_whole(column, operator, value.content)  # type: ignore[arg-type]
    if value.kind == "b" and isinstance(column.type, Boolean):
        compared = OPERATORS[operator]
        return or_(
            false(), *[column == held for held in _BOOLEANS if compared(held, value.content)]
        )
    return OPERATORS[operator](column, value.content)  # type: ignore[no-any-return]


def _check_kind(column: Any, value: Value) -> None:
    """Raise if `column` can't hold such a value.

    Left to the databases, one of them fails, and another takes every text for the number 0.
    """
    kinds = [kind for type_, kind in _KINDS if isinstance(column.type, type_)]
    if not kinds:
        return
    kind = kinds[0]
    if kind is None:
        raise InvalidFilter(
            f"The host column {column.key!r} can only be compared in Python; give the condition "
            "a name with engage.segment(name, …) and ask for that segment."
        )
    if kind != value.kind:
        raise InvalidFilter(
            f"The host column {column.key!r} is a {KIND_WORDS[kind]}, and {value.content!r} is a "
            f"{KIND_WORDS[value.kind]}."
        )


def _host_time(kind: Any, moment: datetime) -> datetime:
    """Return `moment` as a column of the host takes it: UTC, with its zone or without."""
    if moment.tzinfo is None or isinstance(kind, TypeDecorator):
        return moment
    aware = moment.astimezone(UTC)
    return aware if getattr(kind, "timezone", False) else aware.replace(tzinfo=None)
