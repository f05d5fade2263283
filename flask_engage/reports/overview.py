"""The product at a glance: how many are active, how many are new, how many read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from ..settings import Settings
from ..store.delivery import DeliveryEventRow, DeliveryRow
from ..store.person import PersonRow, is_live
from .activity import DAYS, Activity, activity

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of the front page. A day ends at midnight in ``ENGAGE_TIMEZONE``."""

    people: int
    activity: Activity
    """Active people by the day, the week and the month."""
    new_week: int
    """Signed up in the last seven days."""
    new_month: int
    sent: int
    """Messages that left, or that were fetched, in the last thirty days."""
    opened: int
    """Messages opened in the last thirty days."""
    clicked: int


def overview(session: Session, settings: Settings, now: datetime) -> Overview:
    """Return the figures of the front page as of `now`."""
    active = activity(session, settings, now)
    since = datetime.combine(active.days[0].day, time(), ZoneInfo(settings.TIMEZONE))
    return Overview(
        people=session.scalar(select(func.count()).select_from(PersonRow).where(is_live())) or 0,
        activity=active,
        new_week=_signed_up(session, now - timedelta(days=_WEEK)),
        new_month=_signed_up(session, now - timedelta(days=DAYS)),
        sent=session.scalar(select(func.count()).where(DeliveryRow.sent_at >= since)) or 0,
        opened=_happened(session, "opened", since),
        clicked=_happened(session, "clicked", since),
    )


def _signed_up(session: Session, since: datetime) -> int:
    counted = select(func.count()).select_from(PersonRow)
    return session.scalar(counted.where(is_live(), PersonRow.signed_up_at >= since)) or 0


def _happened(session: Session, kind: str, since: datetime) -> int:
    counted = select(func.count(distinct(DeliveryEventRow.delivery_id)))
    return (
        session.scalar(
            counted.where(DeliveryEventRow.kind == kind, DeliveryEventRow.occurred_at >= since)
        )
        or 0
    )
