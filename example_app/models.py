"""What Paperkite keeps: people, their newsletters, the sections in them, invites and exports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, get_args

from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator
from werkzeug.security import check_password_hash, generate_password_hash

SectionKind = Literal["text", "picture", "links", "quote"]
SECTION_KINDS: tuple[str, ...] = get_args(SectionKind)
PLANS = ("free", "studio", "press")


class Base(DeclarativeBase):
    """The declarative base that Flask-SQLAlchemy builds its models on."""


db = SQLAlchemy(model_class=Base)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware instant. Stored as UTC without an offset, because SQLite would drop one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; Paperkite stores instants")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def now() -> datetime:
    """This moment, aware and in UTC."""
    return datetime.now(UTC)


class User(UserMixin, db.Model):  # type: ignore[name-defined,misc]
    """Somebody who can log in. The founder and her colleagues have `is_admin` set."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    is_admin: Mapped[bool] = mapped_column(default=False)
    plan: Mapped[str] = mapped_column(String(20), default="free")
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    twitter_id: Mapped[str | None] = mapped_column(String(40))
    twitter_handle: Mapped[str | None] = mapped_column(String(15))
    invited_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))

    newsletters: Mapped[list[Newsletter]] = relationship(
        back_populates="owner", order_by="Newsletter.updated_at.desc()"
    )

    def set_password(self, password: str) -> None:
        self.password_hash = generate_password_hash(password)

    def has_password(self, password: str) -> bool:
        return check_password_hash(self.password_hash, password)


class Newsletter(db.Model):  # type: ignore[name-defined,misc]
    """One issue that somebody is putting together."""

    __tablename__ = "newsletter"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    title: Mapped[str] = mapped_column(String(160))
    intro: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)

    owner: Mapped[User] = relationship(back_populates="newsletters")
    sections: Mapped[list[Section]] = relationship(
        back_populates="newsletter", order_by="Section.position", cascade="all, delete-orphan"
    )
    exports: Mapped[list[Export]] = relationship(
        back_populates="newsletter", cascade="all, delete-orphan"
    )


class Section(db.Model):  # type: ignore[name-defined,misc]
    """A part of a newsletter. `body` holds paragraphs, a caption, links or a quotation, by kind."""

    __tablename__ = "section"
    __table_args__ = (Index("ix_section_order", "newsletter_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    kind: Mapped[str] = mapped_column(String(10))
    position: Mapped[int]
    heading: Mapped[str] = mapped_column(String(160), default="")
    body: Mapped[str] = mapped_column(Text, default="")
    picture: Mapped[str | None] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)

    newsletter: Mapped[Newsletter] = relationship(back_populates="sections")


class Export(db.Model):  # type: ignore[name-defined,misc]
    """A newsletter was downloaded as a file."""

    __tablename__ = "export"

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)

    newsletter: Mapped[Newsletter] = relationship(back_populates="exports")


class Invite(db.Model):  # type: ignore[name-defined,misc]
    """A teammate was asked to join. The token is the link in the letter; it works once."""

    __tablename__ = "invite"

    id: Mapped[int] = mapped_column(primary_key=True)
    inviter_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    token: Mapped[str] = mapped_column(String(43), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    accepted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    inviter: Mapped[User] = relationship()
