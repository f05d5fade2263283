"""One comparison in SQL, of a column or of a member of a JSON column."""

from __future__ import annotations

import math
import operator as op
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
)

from ..store.base import UTCDateTime
from .json_sql import Member, number_literal
from .text_sql import position
from .values import Moment, Value

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": op.eq,
    "<": op.lt,
    "<=": op.le,
    ">": op.gt,
    ">=": op.ge,
}
"""Those of which a missing value meets none; ``!=`` is the complement of ``==``."""

_INTEGER = 2**63


def moment_of(value: Value, now: datetime) -> datetime:
    """Return the instant that a time of a filter stands for when it is `now`."""
    content = value.content
    found = content.at(now) if isinstance(content, Moment) else content
    assert isinstance(found, datetime)
    return found


def iso_time(moment: datetime) -> str:
    """Return `moment` (UTC) in the form in which attributes hold times; it sorts as they do."""
    return moment.isoformat(timespec="microseconds")


def compare_column(column: Any, operator: str, value: Value, now: datetime) -> ColumnElement[bool]:
    """Return the comparison of a column of ours with a value of its kind.

    It is NULL where the column is; of `unsubscribed_at`, compared with a boolean, never.
    """
    if value.kind == "b":
        return _compare_presence(column, operator, bool(value.content))
    if value.kind == "s":
        return compare_text(column, operator, str(value.content))
    if value.kind == "n":
        return compare_whole(column, operator, value.content)  # type: ignore[arg-type]
    moment = literal(moment_of(value, now), UTCDateTime())
    return OPERATORS[operator](column, moment)  # type: ignore[no-any-return]


def compare_whole(column: Any, operator: str, number: int | float) -> ColumnElement[bool]:
    """Return the comparison of a column of whole numbers with a number of any sort.

    The database is only asked about whole numbers: MariaDB takes a column of 0 for 0.5.
    """
    if number == int(number) and abs(number) < _INTEGER:
        bound = literal(int(number), BigInteger())
        return OPERATORS[operator](column, bound)  # type: ignore[no-any-return]
    if operator == "==":
        return false()
    below = max(min(math.floor(number), _INTEGER - 1), -_INTEGER)
    bound = literal(below, BigInteger())
    return column <= bound if operator in ("<", "<=") else column > bound  # type: ignore[no-any-return]


def one_of_column(column: Any, values: tuple[Value, ...], now: datetime) -> ColumnElement[bool]:
    """Return the condition that a column of ours holds one of `values`, all of its kind."""
    if values and values[0].kind == "b":
        return or_(*[compare_column(column, "==", value, now) for value in values])
    if values and values[0].kind == "s":
        return column.in_(_storable(values))  # type: ignore[no-any-return]
    if values and values[0].kind == "n":
        whole = [value.content for value in values if isinstance(value.content, int)]
        return column.in_([literal(number, BigInteger()) for number in whole])  # type: ignore[no-any-return]
    times = [literal(moment_of(value, now), UTCDateTime()) for value in values]
    return column.in_(times) if times else false()


def compare_member(
    member: Member,
    operator: str,
    value: Value,
    now: datetime,
    *,
    checked: bool = False,
    loose: bool = False,
) -> ColumnElement[bool]:
    """Return the comparison of a JSON member with a value; false if it isn't of that kind.

    :param loose: whether that may be NULL as well.
    """
    found = member.value(value.kind, checked=checked)
    if value.kind == "n":
        assert isinstance(value.content, (int, float))
        compared = member.compared(OPERATORS[operator], value.content, checked=checked)
    else:
        compared = compare_text(found, operator, _as_text(value, now))
    return compared if loose else and_(found.is_not(None), compared)


def one_of_member(
    dialect: str,
    member: Member,
    values: tuple[Value, ...],
    now: datetime,
    *,
    checked: bool = False,
) -> ColumnElement[bool]:
    """Return the condition that a JSON member is one of `values`, which are of one kind."""
    kind = values[0].kind
    found = member.value(kind, checked=checked)
    if kind != "n":
        texts = [_as_text(value, now) for value in values]
        return and_(found.is_not(None), found.in_([text for text in texts if "\0" not in text]))
    numbers = [value.content for value in values]
    if dialect == "mysql":  # where large integers are compared one by one, to be exact
        parts = [member.compared(op.eq, number, checked=checked) for number in numbers]  # type: ignore[arg-type]
        return and_(found.is_not(None), or_(*parts))
    bound = [number_literal(dialect, number) for number in numbers]  # type: ignore[arg-type]
    return and_(found.is_not(None), found.in_(bound))


def compare_text(found: Any, operator: str, text: str) -> ColumnElement[bool]:
    """Return the comparison by code point of a text with `text`.

    No stored text can hold NUL, which PostgreSQL refuses even in a question; so what is asked
    about a text with NUL is answered without it.
    """
    stored, nul, _ = text.partition("\0")
    if nul:
        if operator in ("<", "<="):
            return OPERATORS["<="](found, literal(stored, String()))  # type: ignore[no-any-return]
        if operator in (">", ">="):
            return OPERATORS[">"](found, literal(stored, String()))  # type: ignore[no-any-return]
        return false()
    bound = literal(text, String())
    if operator == "contains":
        return position(found, bound) > 0
    if operator == "startswith":
        return func.substr(found, 1, len(text), type_=String()) == bound
    return OPERATORS[operator](found, bound)  # type: ignore[no-any-return]


def _compare_presence(column: Any, operator: str, wanted: bool) -> ColumnElement[bool]:
    """Compare whether `column` holds anything with a boolean."""
    compared = OPERATORS[operator]
    answers = {present: bool(compared(present, wanted)) for present in (True, False)}
    if answers[True] == answers[False]:
        return or_(column.is_(None), column.is_not(None)) if answers[True] else false()
    present: ColumnElement[bool] = column.is_not(None)
    return present if answers[True] else not_(present)


def _as_text(value: Value, now: datetime) -> str:
    if value.kind == "t":
        return iso_time(moment_of(value, now))
    if value.kind == "b":
        return "true" if value.content else "false"
    return str(value.content)


def _storable(values: Iterable[Value]) -> list[str]:
    return [text for text in (str(value.content) for value in values) if "\0" not in text]
