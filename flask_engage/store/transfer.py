"""Imports: how far each file has come, and what was wrong with which of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, LongText, UTCDateTime
from .bulk import InsertNew
from .person import new_public_id

_PAGE = 1_000


class ImportRow(Base):
    """One file on its way in. Where it is moves in the transaction that stores the rows before."""

    __tablename__ = "engage_import"
    __table_args__ = (
        UniqueConstraint("public_id", name="uq_engage_import_public_id"),
        Index("ix_engage_import_digest", "digest"),
        Index("ix_engage_import_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    public_id: Mapped[str] = mapped_column(CodeText(32), default=new_public_id)
    name: Mapped[str] = mapped_column(CodeText(255))
    """The file's name as its owner knows it; never a place to open."""
    digest: Mapped[str] = mapped_column(CodeText(64))
    """SHA-256 of the file's bytes, hexadecimal: a cut-off import goes on with the same only."""
    mapping: Mapped[dict[str, str]] = mapped_column(JSONDoc)
    state: Mapped[str] = mapped_column(CodeText(16))
    """``loading`` (on its way here), ``draft`` (uploaded), ``waiting``, ``running``, ``stopped``
    by hand, ``done``, ``failed`` or ``discarded`` after it was stopped."""
    is_upload: Mapped[bool] = mapped_column(default=False)
    """Whether we keep the file, for the job; else a shell reads it where it is."""
    rows: Mapped[int | None] = mapped_column(BigId)
    """Rows of the file; None while nobody has counted."""
    position: Mapped[int] = mapped_column(BigId, default=0)
    """Rows that are dealt with."""
    created: Mapped[int] = mapped_column(BigId, default=0)
    changed: Mapped[int] = mapped_column(BigId, default=0)
    unchanged: Mapped[int] = mapped_column(BigId, default=0)
    refused: Mapped[int] = mapped_column(BigId, default=0)
    problem: Mapped[str | None] = mapped_column(LongText())
    """Why it failed as a whole."""
    created_by: Mapped[str | None] = mapped_column(CodeText(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime())
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime())


class ImportProblemRow(Base):
    """What is wrong with one cell of a file, or with one row of it."""

    __tablename__ = "engage_import_problem"

    import_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_import.id", name="fk_engage_import_problem_import", ondelete="CASCADE"),
        primary_key=True,
    )
    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    """The row, from 1; the header has none."""
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Which of the row's problems."""
    heading: Mapped[str] = mapped_column(LongText())
    """The column's name in the file; empty: the row as a whole."""
    problem: Mapped[str] = mapped_column(LongText())
    fix: Mapped[str] = mapped_column(LongText())


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One line of an import's report."""

    number: int
    heading: str
    problem: str
    fix: str
    place: int = 0
    """Which of the row's problems, once it is stored."""


_insert_problems = InsertNew(
    ImportProblemRow.__table__, ("import_id", "number", "place", "heading", "problem", "fix")
)


def add_problems(session: Session, import_id: int, problems: Sequence[RowProblem]) -> None:
    """Write down what is wrong with some rows."""
    places: dict[int, int] = {}
    rows = []
    for one in problems:
        place = places[one.number] = places.get(one.number, -1) + 1
        rows.append((import_id, one.number, place, one.heading, one.problem, one.fix))
    _insert_problems(session, rows)


def problems_of(
    session: Session,
    import_id: int,
    limit: int | None = None,
    after: RowProblem | None = None,
) -> Iterator[RowProblem]:
    """Yield what is wrong with the rows of one import, a page at a time."""
    row = ImportProblemRow
    last, left = (0, -1) if after is None else (after.number, after.place), limit
    while left is None or left > 0:
        count = _PAGE if left is None else min(left, _PAGE)
        page = session.execute(
            select(row.number, row.place, row.heading, row.problem, row.fix)
            .where(
                row.import_id == import_id,
                row.number >= last[0],
                (row.number > last[0]) | (row.place > last[1]),
            )
            .order_by(row.number, row.place)
            .limit(count)
        ).all()
        for one in page:
            yield RowProblem(one.number, one.heading, one.problem, one.fix, one.place)
        if len(page) < count:
            return
        last = (page[-1].number, page[-1].place)
        left = None if left is None else left - len(page)


def import_by_public_id(session: Session, public_id: str) -> ImportRow | None:
    """Return one import."""
    if not public_id.isascii() or not public_id.isalnum():
        return None
    return session.scalar(select(ImportRow).where(ImportRow.public_id == public_id))


def newest_imports(session: Session, limit: int = 20) -> Sequence[ImportRow]:
    """Return the newest imports whose file is there as a whole, the newest first."""
    query = select(ImportRow).where(ImportRow.state != "loading")
    return session.scalars(query.order_by(ImportRow.id.desc()).limit(limit)).all()


def next_import(session: Session) -> ImportRow | None:
    """Return the uploaded file whose turn it is: one that was begun, else the oldest."""
    states = ("running", "waiting")
    return session.scalar(
        select(ImportRow)
        .where(ImportRow.state.in_(states), ImportRow.is_upload.is_(True))
        .order_by(ImportRow.id)
        .limit(1)
    )


def unfinished_import(session: Session, digest: str, mapping: dict[str, str]) -> ImportRow | None:
    """Return the import from a shell of the same file in the same way that was cut off."""
    found = session.scalars(
        select(ImportRow)
        .where(
            ImportRow.digest == digest,
            ImportRow.state == "running",
            ImportRow.is_upload.is_(False),
        )
        .order_by(ImportRow.id.desc())
    )
    return next((row for row in found if row.mapping == mapping), None)
