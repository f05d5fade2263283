"""What is wrong with the machinery, in plain sentences, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .._advice import advice
from .._state import EngageState
from .._symptoms import of_journal
from ..reports.health import Health
from ..reports.providers import ProviderSummary
from .formats import number, size
from .language import gettext as _
from .language import ngettext
from .pages import to

if TYPE_CHECKING:
    from ..capture.backlog import Backlog
    from ..capture.recorder import RecorderStatus

_MUCH = 16 * 1024 * 1024
"""Bytes that wait: about 100,000 facts, which a writer stores in some seconds."""

Tone = Literal["bad", "warn", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should know."""

    tone: Tone
    what: str
    """What is wrong, and what is kept nevertheless."""
    todo: str
    """What to do about it."""
    detail: str | None = None
    """In the words of the machine."""
    link: tuple[str, str] | None = None
    """Where more is to be seen: address and words."""
    details: tuple[str, ...] = ()
    """In the words of the machine, where there are several."""


def findings(
    state: EngageState,
    recorder: RecorderStatus,
    health: Health | None,
    providers: Sequence[ProviderSummary],
    backlog: Backlog | None,
) -> list[Finding]:
    """Return what is wrong, the worst first; nothing if all is well."""
    found = [*_of_recorder(recorder)]
    if health is not None:
        found += _of_jobs(state, health)
        found += _of_facts(health)
    found += _of_providers(providers)
    if backlog is not None:
        lines = of_journal(backlog, state.settings, state.clock())
        found += [Finding("warn", *_parted(line)) for line in lines]
    said = {f"{one.what} {one.todo}".strip() for one in found}
    found += [Finding("note", *_parted(line)) for line in advice(state) if line not in said]
    return sorted(found, key=lambda one: ("bad", "warn", "note").index(one.tone))


def _parted(line: str) -> tuple[str, str]:
    """Return what is wrong and what to do about it, of advice that says both in a row."""
    what, end, todo = line.partition(". ")
    return (f"{what}.", todo) if end else (line, "")


def _of_recorder(recorder: RecorderStatus) -> Iterator[Finding]:
    waiting = size(recorder.backlog_bytes)
    in_memory = recorder.folder is None
    if recorder.last_error and not recorder.problem:
        yield Finding(
            "note",
            _("Storing what people do has failed in this process, and works again."),
            _("Nothing was lost. The last time it was:"),
            recorder.last_error,
        )
    if recorder.problem:
        yield Finding(
            "bad",
            _("What people do does not reach the database. The app itself is not affected."),
            _(
                "It waits in the memory of each process (%(size)s in this one), and is lost if "
                "the process ends: mend the database before you restart anything."
            )
            % {"size": waiting}
            if in_memory
            else _(
                "It is kept on disk (%(size)s) and goes to the database by itself once this is "
                "mended. Nothing has to be done for it but to mend the cause:"
            )
            % {"size": waiting},
            recorder.problem,
        )
    elif recorder.backlog_bytes > _MUCH:
        yield Finding(
            "warn",
            _("The database does not keep up: %(size)s wait to be stored.") % {"size": waiting},
            _(
                "Nothing is lost, but what you see here is late. If this does not become less "
                "within minutes, look at what else is slow in the database."
            ),
        )
    if recorder.refused:
        yield Finding(
            "bad",
            ngettext(
                "%(n)s fact could not be taken in by this process and is lost.",
                "%(n)s facts could not be taken in by this process and are lost.",
                recorder.refused,
            )
            % {"n": number(recorder.refused)},
            _(
                "The journal was full or its folder could not be written. Look at the free space "
                "and the rights of %(folder)s, and at ENGAGE_JOURNAL_MAX_BYTES."
            )
            % {"folder": recorder.folder or _("the instance folder")},
        )
    if recorder.mode == "memory":
        yield Finding(
            "note",
            _("What was not stored yet is lost when a process is killed."),
            _("ENGAGE_CAPTURE_MODE is “memory”; with “journal” nothing would be lost."),
        )


def _of_jobs(state: EngageState, health: Health) -> Iterator[Finding]:
    if not any(lease.is_held for lease in health.leases):
        by_hand = state.settings.SCHEDULER == "off"
        yield Finding(
            "warn",
            _("Nobody runs the jobs: SCHEDULER is off.")
            if by_hand
            else _("Nobody runs the jobs at the moment."),
            _(
                "Mail, rules and custom data wait. Keep “flask engage worker” running, call "
                "“flask engage run-once” every minute, or set ENGAGE_SCHEDULER to “thread”."
            )
            if by_hand
            else _(
                "Mail, rules and custom data wait. A process that serves the app begins with its "
                "first request; if none does, look into its log."
            ),
        )
    for job in health.jobs:
        if job.failures:
            yield Finding(
                "bad",
                ngettext(
                    "The job “%(name)s” has failed.",
                    "The job “%(name)s” has failed %(n)s times in a row.",
                    job.failures,
                )
                % {"name": job.name, "n": number(job.failures)},
                _("It is tried again by itself. If it goes on, its words below say what to mend."),
                job.last_error,
            )


def _of_facts(health: Health) -> Iterator[Finding]:
    if health.dead_letters:
        yield Finding(
            "warn",
            ngettext(
                "%(n)s fact was put aside, because the database refused it.",
                "%(n)s facts were put aside, because the database refused them.",
                health.dead_letters,
            )
            % {"n": number(health.dead_letters)},
            _(
                "All others went on. Each is kept in the table engage_dead_letter with its "
                "reason; delete the rows once you have seen them. The most frequent reasons:"
            ),
            details=tuple(
                _("%(n)s × %(reason)s") % {"n": number(letters), "reason": reason}
                for reason, letters in health.dead_letter_reasons
            ),
        )
    if health.unknown:
        yield Finding(
            "warn",
            ngettext(
                "Of %(n)s mail nobody knows whether it left.",
                "Of %(n)s mails nobody knows whether they left.",
                health.unknown,
            )
            % {"n": number(health.unknown)},
            _("The connection broke at the last moment. Nothing is sent again by itself."),
            link=(to("messages"), _("Messages")),
        )


def _of_providers(providers: Sequence[ProviderSummary]) -> Iterator[Finding]:
    for one in providers:
        if one.error is not None:
            yield Finding(
                "warn",
                _("Custom data “%(name)s” could not be computed for everybody.")
                % {"name": one.name},
                _("Who it failed for keeps the value from before."),
                one.error,
                (to("data"), _("Custom data")),
            )
