"""What holds for the whole installation, such as the zone in which days are cut."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, CodeText, LongText


class MetaRow(Base):
    """One fact about this installation."""

    __tablename__ = "engage_meta"

    key: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    value: Mapped[str] = mapped_column(LongText())
