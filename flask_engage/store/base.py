"""Column types and the declarative base that all of our tables share.

They exist because three databases must give the same answers: times are instants in UTC,
text compares by code point with no folding and no padding, ids are 64 bits wide. Of the three
dialects only the one in use is imported.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, MetaData, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.operators import OperatorType
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
            from sqlalchemy.dialects.postgresql import TIMESTAMP

            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        if is_mysql(dialect):
            from sqlalchemy.dialects.mysql import DATETIME

            return dialect.type_descriptor(DATETIME(fsp=6))
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
            from sqlalchemy.dialects.postgresql import VARCHAR

            return dialect.type_descriptor(VARCHAR(self.length, collation="C"))
        if is_mysql(dialect):
            from sqlalchemy.dialects.mysql import VARCHAR as MYSQL_VARCHAR

            return dialect.type_descriptor(
                MYSQL_VARCHAR(self.length, charset="utf8mb4", collation=mysql_collation(dialect))
            )
        return dialect.type_descriptor(String(self.length))


class LongText(TypeDecorator[str]):
    """Text without a practical limit, compared by code point on every database."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import TEXT

            return dialect.type_descriptor(TEXT(collation="C"))
        if is_mysql(dialect):
            from sqlalchemy.dialects.mysql import LONGTEXT

            return dialect.type_descriptor(
                LONGTEXT(charset="utf8mb4", collation=mysql_collation(dialect))
            )
        return dialect.type_descriptor(Text())


class JSONDoc(TypeDecorator[Any]):
    """A JSON document; on PostgreSQL in its indexable form."""

    impl = JSON
    cache_ok = True
    # As JSON does: None is a document too, ``null``.
    should_evaluate_none = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSONB

            return dialect.type_descriptor(JSONB())
        return dialect.type_descriptor(JSON())

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        return self.impl_instance.coerce_compared_value(op, value)


class Base(DeclarativeBase):
    """Our own base: the host's metadata stays as it is."""

    metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
