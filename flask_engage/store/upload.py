"""A file that an operator sent, in parts, until its people are stored.

In the database and not in a folder: the process that stores the people may be on another
machine than the one that the file came to, and a file of people lies where people lie.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId
from .enrichment import Bytes
from .transfer import ImportProblemRow, ImportRow

PART_BYTES = 256 * 1024
"""Far below what a server of MySQL takes in one packet."""
_PROBLEMS_AT_ONCE = 5_000


class ImportPartRow(Base):
    """One part of a file."""

    __tablename__ = "engage_import_part"

    import_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_import.id", name="fk_engage_import_part_import", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 0, in the order of the file."""
    content: Mapped[bytes] = mapped_column(Bytes())


def add_parts(session: Session, import_id: int, parts: Mapping[int, bytes]) -> None:
    """Keep some parts of a file."""
    session.add_all(
        ImportPartRow(import_id=import_id, number=number, content=content)
        for number, content in parts.items()
    )


def part_of(session: Session, import_id: int, number: int) -> bytes:
    """Return one part of a file; nothing behind the last."""
    query = select(ImportPartRow.content).where(
        ImportPartRow.import_id == import_id, ImportPartRow.number == number
    )
    return session.scalar(query) or b""


def delete_parts(session: Session, import_id: int) -> None:
    """Let go of a file."""
    session.execute(delete(ImportPartRow).where(ImportPartRow.import_id == import_id))


def locked_import(session: Session, public_id: str) -> ImportRow | None:
    """Return one uploaded import, which nobody else changes until the transaction is over."""
    if not public_id.isascii() or not public_id.isalnum():
        return None
    return session.scalar(
        select(ImportRow)
        .where(ImportRow.public_id == public_id, ImportRow.is_upload.is_(True))
        .with_for_update()
    )


def forget_one_import(
    session: Session, before: datetime, states: Collection[str] | None = None
) -> bool:
    """Delete some of the oldest import that nobody has touched since `before`.

    :param states: only of imports that stand so.
    :returns: whether there was one; then there may be more.
    """
    query = select(ImportRow.id).where(ImportRow.updated_at < before)
    if states is not None:
        query = query.where(ImportRow.state.in_(states))
    import_id = session.scalar(query.order_by(ImportRow.id).limit(1))
    if import_id is None:
        return False
    delete_parts(session, import_id)
    problem = ImportProblemRow
    numbers = session.scalars(
        select(problem.number)
        .where(problem.import_id == import_id)
        .order_by(problem.number)
        .limit(_PROBLEMS_AT_ONCE)
    ).all()
    if numbers:
        session.execute(
            delete(problem).where(problem.import_id == import_id, problem.number <= numbers[-1])
        )
    if len(numbers) < _PROBLEMS_AT_ONCE:
        session.execute(delete(ImportRow).where(ImportRow.id == import_id))
    return True
