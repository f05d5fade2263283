"""The lease that lets one of many processes work, and when each job ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Table, literal, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, LongText, UTCDateTime
from .moment import database_now
from .upsert import insert_ignore

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_ERROR_CHARACTERS = 2_000
"""More of an error message helps nobody who reads it in a list of jobs."""


class LeaseRow(Base):
    """Who may act now. `epoch` grows with each change of holder and fences off the former."""

    __tablename__ = "engage_lease"

    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    holder: Mapped[str] = mapped_column(CodeText(128))
    epoch: Mapped[int] = mapped_column(BigId)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime())


class JobRow(Base):
    """One job's last run and next turn."""

    __tablename__ = "engage_job"

    name: Mapped[str] = mapped_column(CodeText(128), primary_key=True)
    next_run_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    duration_ms: Mapped[int | None]
    runs: Mapped[int] = mapped_column(BigId, default=0)
    failures: Mapped[int] = mapped_column(default=0)
    """Runs that failed in a row."""
    last_error: Mapped[str | None] = mapped_column(LongText())
    result: Mapped[str | None] = mapped_column(LongText())
    """What the last run said of itself, for people."""


# --- the lease -------------------------------------------------------------------------------


def take_lease(session: Session, name: str, holder: str, ttl: timedelta) -> int | None:
    """Take the lease `name` for `holder` if nobody has it; return its new epoch, else None.

    One conditional UPDATE decides, by the database's clock.
    """
    insert_ignore(
        session,
        cast("Table", LeaseRow.__table__),
        [{"name": name, "holder": "", "epoch": 0, "expires_at": _NEVER}],
    )
    taken = _count(
        session.execute(
            update(LeaseRow)
            .where(LeaseRow.name == name, LeaseRow.expires_at <= database_now())
            .values(holder=holder, epoch=LeaseRow.epoch + 1, expires_at=database_now(ttl))
            .execution_options(synchronize_session=False)
        )
    )
    if not taken:
        return None
    return session.scalar(select(LeaseRow.epoch).where(LeaseRow.name == name))


def renew_lease(session: Session, name: str, epoch: int, ttl: timedelta) -> bool:
    """Prolong the lease `name` if its epoch is still `epoch`.

    An expired lease that nobody has taken since may be prolonged: no one acted in between.
    """
    return bool(_set_expiry(session, name, epoch, ttl))


def release_lease(session: Session, name: str, epoch: int) -> bool:
    """Let the lease `name` expire now, so that the next process need not wait for it."""
    return bool(_set_expiry(session, name, epoch, timedelta(0)))


def lease_is_free(session: Session, name: str) -> bool:
    """Tell whether the lease `name` could be taken now; a look without a lock."""
    expired = session.scalar(
        select(LeaseRow.expires_at <= database_now()).where(LeaseRow.name == name)
    )
    return expired is None or bool(expired)


def epoch_is(name: str, epoch: int) -> ColumnElement[bool]:
    """Return the condition that the lease `name` has not changed hands since `epoch`.

    It belongs into the WHERE of each write of whoever works under the lease.
    """
    return (select(literal(1)).where(LeaseRow.name == name, LeaseRow.epoch == epoch)).exists()


def _set_expiry(session: Session, name: str, epoch: int, ttl: timedelta) -> int:
    return _count(
        session.execute(
            update(LeaseRow)
            .where(LeaseRow.name == name, LeaseRow.epoch == epoch)
            .values(expires_at=database_now(ttl))
            .execution_options(synchronize_session=False)
        )
    )


# --- jobs ------------------------------------------------------------------------------------


def jobs_at_rest(session: Session) -> set[str]:
    """Return the names of the jobs whose next turn has not come yet, by the database's clock."""
    return set(session.scalars(select(JobRow.name).where(JobRow.next_run_at > database_now())))


def job_starts(session: Session) -> dict[str, datetime]:
    """Return when each job last began, by the clock of the app that ran it.

    One that failed, or never came to its end, counts as not begun: its turn is still due.
    """
    rows = session.execute(
        select(JobRow.name, JobRow.started_at).where(
            JobRow.started_at.is_not(None), JobRow.finished_at.is_not(None), JobRow.failures == 0
        )
    )
    return {name: started_at for name, started_at in rows if started_at is not None}


def note_job_start(
    session: Session,
    name: str,
    *,
    now: datetime,
    again_in: timedelta,
    fenced: ColumnElement[bool] | None = None,
) -> bool:
    """Write down that a job begins; False if `fenced` does not hold (the lease is gone).

    `again_in` is when it gets another turn if this process dies meanwhile. Turns are kept
    by the database's clock, `now` is for people to read.
    """
    statement = update(JobRow).where(JobRow.name == name)
    if fenced is not None:
        statement = statement.where(fenced)
    statement = statement.values(
        started_at=now, finished_at=None, next_run_at=database_now(again_in)
    ).execution_options(synchronize_session=False)
    if _count(session.execute(statement)):
        return True
    # The first time, or the lease is gone.
    table, row = cast("Table", JobRow.__table__), {"name": name, "runs": 0, "failures": 0}
    insert_ignore(session, table, [row])
    return bool(_count(session.execute(statement)))


def note_job_end(
    session: Session,
    name: str,
    *,
    now: datetime,
    duration: timedelta,
    again_in: timedelta,
    result: str | None = None,
    error: str | None = None,
    fenced: ColumnElement[bool] | None = None,
) -> None:
    """Write down how a job ended and when its next turn is."""
    statement = update(JobRow).where(JobRow.name == name)
    if fenced is not None:
        statement = statement.where(fenced)
    values: dict[str, Any] = {
        "finished_at": now,
        "duration_ms": duration // timedelta(milliseconds=1),
        "next_run_at": database_now(again_in),
        "runs": JobRow.runs + 1,
        "failures": 0 if error is None else JobRow.failures + 1,
    }
    if error is None:
        values.update(result=result, last_error=None)
    else:
        values["last_error"] = error[:_ERROR_CHARACTERS]
    session.execute(statement.values(values).execution_options(synchronize_session=False))


def _count(result: Any) -> int:
    return int(cast("CursorResult[Any]", result).rowcount)
