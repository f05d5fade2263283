"""What the score's SQL needs and the three databases say differently, or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    case,
    cast,
    func,
    literal,
    literal_column,
    type_coerce,
)
from sqlalchemy.orm import Session

from ..store.base import UTCDateTime
from ..store.upsert import dialect_of

_DAY_SECONDS = 86_400.0
_FARTHEST = 700.0
"""Beyond some 709 a double can't hold e to that power: SQLite and PostgreSQL would refuse to go on
and MariaDB give nothing; and PostgreSQL refuses below -708, too."""


@dataclass(frozen=True, slots=True)
class Words:
    """How one database says it."""

    dialect: str
    """``sqlite``, ``postgresql`` or ``mysql``."""

    def double(self, value: ColumnElement[Any] | float) -> ColumnElement[float]:
        """Return a number as a floating one: MariaDB would divide whole ones to four digits."""
        if isinstance(value, (int, float)):
            return literal(float(value), Double())
        return type_coerce(literal(1.0, Double()) * type_coerce(value, Double()), Double())

    def exp(self, value: ColumnElement[Any]) -> ColumnElement[float]:
        """Return e to the power of `value`, which is known to lie within 700 of 0."""
        name = func.engage_exp if self.dialect == "sqlite" else func.exp
        return name(value, type_=Double())

    def exp_of_any(self, value: ColumnElement[Any]) -> ColumnElement[float]:
        """Return e to the power of `value`, which counts as -700 or 700 where it is beyond."""
        low, high = self.double(-_FARTHEST), self.double(_FARTHEST)
        # Databases work out `value` for each time that it is named: not for what is within.
        within = case((value > high, high), (value < low, low), else_=value)
        return self.exp(type_coerce(within, Double()))

    def ln(self, value: ColumnElement[float]) -> ColumnElement[float]:
        """Return the natural logarithm of `value`; nothing where that is not above 0."""
        name = func.engage_ln if self.dialect == "sqlite" else func.ln
        return case((value > self.double(0.0), name(value, type_=Double())))

    def at_most_one(self, value: ColumnElement[float]) -> ColumnElement[float]:
        """Return `value`, or 1 where it is above."""
        one = self.double(1.0)
        return case((value > one, one), else_=value)

    def within_100(self, value: Any) -> ColumnElement[float]:
        """Return `value`, or what is nearest to it of 0 to 100; 0 for nothing."""
        number = self.double(value)
        low, high = self.double(0.0), self.double(100.0)
        # On PostgreSQL a NaN is above every number. (The others have none.)
        return case((number > high, high), (number >= low, number), else_=low)

    def hundredths(self, value: ColumnElement[float]) -> ColumnElement[int]:
        """Return how many hundredths `value` has, which is not below 0; half of one counts."""
        number = value * self.double(100.0) + self.double(0.5)
        return cast(number if self.dialect == "sqlite" else func.floor(number), Integer)

    def days_apart(self, day: ColumnElement[Any], former: ColumnElement[Any]) -> ColumnElement[int]:
        """Return how many days `day` comes after `former`."""
        if self.dialect == "postgresql":
            return type_coerce(day - former, Integer)
        if self.dialect == "mysql":
            return func.datediff(day, former, type_=Integer)
        return cast(func.julianday(day) - func.julianday(former), Integer)

    def age_in_days(self, moment: ColumnElement[Any], now: datetime) -> ColumnElement[float]:
        """Return how many days `moment` is ago, to the fraction; 0 for one that is to come."""
        at = literal(now, UTCDateTime())
        days: ColumnElement[float]
        if self.dialect == "postgresql":
            seconds: ColumnElement[Any] = func.date_part("epoch", at - moment, type_=Double())
            days = type_coerce(seconds / self.double(_DAY_SECONDS), Double())
        elif self.dialect == "mysql":
            unit: ColumnElement[Any] = literal_column("MICROSECOND")
            apart = func.timestampdiff(unit, moment, at, type_=BigInteger())
            days = self.double(apart) / self.double(_DAY_SECONDS * 1e6)
        else:
            days = type_coerce(func.julianday(at) - func.julianday(moment), Double())
        none = self.double(0.0)
        return case((moment.is_(None), None), (moment > at, none), else_=days)


def lend_functions(session: Session) -> None:
    """Give this connection the functions that SQLite may have been built without."""
    if dialect_of(session) != "sqlite":
        return
    raw = session.connection().connection.dbapi_connection
    for name, function in (("engage_exp", math.exp), ("engage_ln", math.log)):
        of = partial(_of_number, function)
        raw.create_function(name, 1, of, deterministic=True)  # type: ignore[union-attr]


def _of_number(function: Callable[[float], float], value: float | None) -> float | None:
    """Return nothing for nothing, as the other databases do."""
    return None if value is None else function(value)
