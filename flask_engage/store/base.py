"""Column types and the declarative base that all of our tables share.

They exist because three databases must give the same answers: times are instants in UTC,
text compares by code point with no folding and no padding, ids are 64 bits wide.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, MetaData, String, Text
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from .._clock import as_utc

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""A key of 64 bits. SQLite numbers rows by itself only in a column called INTEGER."""

#: InnoDB's binary collations that don't pad: MariaDB's, then MySQL 8's.
_COLLATION = {True: "utf8mb4_nopad_bin", False: "utf8mb4_0900_bin"}


def is_mysql(dialect: Dialect) -> bool:
    """Tell whether `dialect` is MySQL or MariaDB."""
    return dialect.name in ("mysql", "mariadb")


def mysql_collation(dialect: Dialect) -> str:
    """Return the binary collation without padding of MariaDB or of MySQL."""
    return _COLLATION[bool(getattr(dialect, "is_mariadb", dialect.name == "mariadb"))]


class UTCDateTime(TypeDecorator[datetime]):
    """An instant. Stored in UTC with microseconds, given back aware; naive values are refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        if is_mysql(dialect):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = as_utc(value)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CodeText(TypeDecorator[str]):
    """Text up to `length` characters that compares by code point on every database."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.VARCHAR(self.length, collation="C"))
        if is_mysql(dialect):
            return dialect.type_descriptor(
                mysql.VARCHAR(self.length, charset="utf8mb4", collation=mysql_collation(dialect))
            )
        return dialect.type_descriptor(String(self.length))


class LongText(TypeDecorator[str]):
    """Text without a practical limit, compared by code point on every database."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TEXT(collation="C"))
        if is_mysql(dialect):
            return dialect.type_descriptor(
                mysql.LONGTEXT(charset="utf8mb4", collation=mysql_collation(dialect))
            )
        return dialect.type_descriptor(Text())


JSONDoc = JSON().with_variant(postgresql.JSONB(), "postgresql")
"""A JSON document; on PostgreSQL in its indexable form."""


class Base(DeclarativeBase):
    """Our own base: the host's metadata stays as it is."""

    metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
