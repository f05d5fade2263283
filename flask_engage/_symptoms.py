"""What can be seen to be wrong with storing and with jobs, a sentence each, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ._language import gettext as _
from ._language import ngettext

if TYPE_CHECKING:
    from .capture.backlog import Backlog
    from .reports.health import Health
    from .settings import Settings

_LATE = timedelta(minutes=2)
"""Facts are stored within seconds; a writer that found the database away waits half a minute."""
_OVERDUE = timedelta(minutes=10)
_LOW_DISK = 100 * 1024 * 1024
_NEARLY_FULL = 0.9


def of_journal(backlog: Backlog, settings: Settings, now: datetime) -> Iterator[str]:
    """Say what is wrong with what lies in the journal's folder."""
    if not backlog.is_writable:
        yield _(
            "The journal's folder can't be written to by this user, so it would record nothing: "
            "choose another with ENGAGE_JOURNAL_DIR, or give this one its rights."
        )
    if backlog.lag_seconds(now) > _LATE.total_seconds():
        yield _(
            "Facts wait for %(time)s to be stored: nobody stores them, or the database doesn't "
            "take them. Look at the log of a process that serves; “flask engage run-once” stores "
            "what dead processes have left."
        ) % {"time": duration(backlog.lag_seconds(now))}
    if backlog.used_bytes > _NEARLY_FULL * settings.JOURNAL_MAX_BYTES:
        yield _(
            "The journal holds %(used)s of %(most)s (ENGAGE_JOURNAL_MAX_BYTES); when it is full, "
            "facts are refused."
        ) % {"used": size(backlog.used_bytes), "most": size(settings.JOURNAL_MAX_BYTES)}
    if backlog.free_bytes is not None and backlog.free_bytes < _LOW_DISK:
        yield _(
            "The journal's disk has %(free)s left; when it is full, facts are refused. Make "
            "room, or choose another with ENGAGE_JOURNAL_DIR."
        ) % {"free": size(backlog.free_bytes)}
    if backlog.unreadable:
        yield _(
            "These journal files belong to another system user and can't be opened, so what is in "
            "them is stored by that user's processes only: %(files)s. Run all processes of the "
            "app as one user, or give the files to this one (chown)."
        ) % {"files": _some(backlog.unreadable)}
    if backlog.others:
        yield _(
            "These journal files are another app's or another version's, and are left alone: "
            "%(files)s. Start that app or version once more, and it stores them."
        ) % {"files": _some(backlog.others)}
    if backlog.damaged:
        yield _(
            "Stretches of the journal were damaged and are kept aside; all facts around them went "
            "on: %(files)s. Look at the disk; delete them once you have seen them."
        ) % {"files": _some(backlog.damaged)}


def of_tables(health: Health, now: datetime) -> Iterator[str]:
    """Say what is wrong by what the database tells."""
    if health.dead_letters:
        yield ngettext(
            "%(n)s fact that the database refused lies in the table engage_dead_letter, the last "
            "on %(at)s UTC (%(reasons)s). Delete the row once you have seen it.",
            "%(n)s facts that the database refused lie in the table engage_dead_letter, the last "
            "on %(at)s UTC (%(reasons)s). Delete the rows once you have seen them.",
            health.dead_letters,
        ) % {
            "n": f"{health.dead_letters:,}",
            "at": f"{health.last_dead_letter_at:%Y-%m-%d %H:%M}",
            "reasons": "; ".join(
                f"{letters:,} × {reason}" for reason, letters in health.dead_letter_reasons
            ),
        }
    if health.unknown:
        yield ngettext(
            "Of %(n)s mail nobody knows whether it left; it is not sent again by itself. The "
            "dashboard shows it.",
            "Of %(n)s mails nobody knows whether they left; they are not sent again by "
            "themselves. The dashboard shows them.",
            health.unknown,
        ) % {"n": f"{health.unknown:,}"}
    for job in health.jobs:
        if job.failures:
            yield ngettext(
                "The job “%(name)s” failed %(n)s time in a row: %(error)s",
                "The job “%(name)s” failed %(n)s times in a row: %(error)s",
                job.failures,
            ) % {"name": job.name, "n": f"{job.failures:,}", "error": job.last_error}
    due = [job.next_run_at for job in health.jobs if job.next_run_at]
    if due and now - min(due) > _OVERDUE:
        yield _(
            "A job waits for its turn for %(time)s: nobody runs jobs. Serve a request, start "
            "“flask engage worker”, or call “flask engage run-once” every minute."
        ) % {"time": duration((now - min(due)).total_seconds())}


def count(number: int, what: str) -> str:
    """Return a number of things in words, for the command line."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in (_("bytes"), "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds >= 86400:
        n = int(seconds // 86400)
        said = ngettext("%(n)s day", "%(n)s days", n)
    elif seconds >= 3600:
        n = int(seconds // 3600)
        said = ngettext("%(n)s hour", "%(n)s hours", n)
    elif seconds >= 60:
        n = int(seconds // 60)
        said = ngettext("%(n)s minute", "%(n)s minutes", n)
    else:
        n = int(seconds)
        said = ngettext("%(n)s second", "%(n)s seconds", n)
    return said % {"n": f"{n:,}"}


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:3])
    if len(names) <= 3:
        return shown
    return _("%(shown)s and %(n)s more") % {"shown": shown, "n": len(names) - 3}
