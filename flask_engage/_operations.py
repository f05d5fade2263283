"""What the host's code, the shell and the scheduler ask for: each hands the app's parts to rooms.

Needs an app context where a host function is called; no request. A process that serves comes
here for its jobs, so what they need only when there is work is imported when there is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateNotFound
from sqlalchemy import Engine

from . import _databases
from ._progress import Progress
from ._state import EngageState
from .capture.apply import Rules
from .capture.who import user_id_of
from .delivery.outcome import Outcome
from .delivery.tokens import secret_keys_of
from .errors import InvalidMessage, NotReady
from .people.backfill import BackfillReport
from .people.backfill import backfill as make_events
from .people.history import History
from .people.host_query import derived
from .signals import message_sent
from .store.delivery_claim import has_work
from .store.engine import Database, engine_for_reading
from .store.lease import job_starts
from .store.rule import remove_rules_but
from .store.trouble import DATABASE_ERRORS, is_passing

ALWAYS_DUE = timedelta(minutes=1)
"""A job that runs this often runs whenever :func:`run_due` is called."""

SYNC_SECONDS = 5.0
"""A sync makes room for mail and rules after this."""
_EARLY = timedelta(minutes=5)

if TYPE_CHECKING:
    from ._clock import Clock
    from .automation.jobs import Job
    from .automation.lease import Fence
    from .automation.scheduler import Scheduler
    from .people.host_users import HostUsers
    from .people.sync import SyncReport
    from .segments.compile import CompileContext
    from .segments.filter import Filter
    from .segments.people import People


# --- which of them ---------------------------------------------------------------------------


def segments_of_code(state: EngageState) -> dict[str, Filter]:
    """Return the filters that have a name without anybody saving them: built in, and the host's."""
    from .segments.defaults import built_in_segments

    return {**built_in_segments(), **state.registry.segments}


def segments_of(state: EngageState) -> Mapping[str, Filter]:
    """Return every named filter: the built-in ones, over them the host's own, then saved ones.

    Those that operators saved are left out while the database isn't known to answer.
    """
    from .segments.saved import saved_segments

    named = segments_of_code(state)
    if state.ready.is_ready:
        with state.ready.database().read() as session:
            saved = saved_segments(session)
        named.update((name, filter) for name, filter in saved.items() if name not in named)
    return named


def context_of(state: EngageState, database: Database) -> CompileContext:
    """Return what the compiler has to know of this app."""
    from .segments.compile import CompileContext

    return CompileContext(
        dialect=database.dialect,
        segments=segments_of(state),
        user_model=state.user_model,
        host_in_same_database=shares_database(state, database),
    )


def shares_database(state: EngageState, database: Database) -> bool:
    """Tell whether the host's users and our tables can meet in one query."""
    if state.user_model is None:
        return False
    return _databases.same_place(host_engine(state, database), database.engine)


def host_engine(state: EngageState, database: Database) -> Engine:
    """Return the engine that the host keeps its data on, to compare, not to borrow from."""
    return _databases.host_engine(state.app, state.host_db, state.user_model, database.engine)


def reading_engine(state: EngageState, database: Database) -> Engine:
    """Return an engine of our own for looking at the host's tables."""
    return state.runner.host_engine(
        lambda: engine_for_reading(host_engine(state, database), database)
    )


def segment_names(state: EngageState) -> list[str]:
    """Return the names that ``to=`` and ``in_segment()`` may use."""
    return list(segments_of(state))


def check_filter(state: EngageState, filter: Filter) -> None:
    """Check a filter where it is defined, as far as that goes without the database.

    :raises InvalidFilter: if it can't become SQL in this app.
    """
    from .segments.compile import validate

    database = state.ready.database()
    validate(filter, context_of(state, database))


def people(state: EngageState, filter: Filter, clock: Clock | None = None) -> People:
    """Return the people who match `filter`, asked when they are used.

    :param clock: what relative times are counted from, if not from the moment of asking.
    """
    from .segments.people import People

    database = state.ready.require()
    return People(
        database,
        filter,
        context_of(state, database),
        clock or state.clock,
        user_id_of=lambda user: user_id_of(state, user),
    )


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Turn a database that fails meanwhile into an error that says what to do.

    :raises NotReady: if the database is away, or locked by somebody else for too long.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        if not is_passing(error):
            raise
        raise NotReady(
            f"{what}: the database is away or locked ({type(error).__name__}). If this code holds "
            "an open transaction, end it first; nothing was lost, and it can be done again."
        ) from error


# --- what they are like ----------------------------------------------------------------------


def host_users(state: EngageState, database: Database) -> HostUsers:
    """Return access to the host's users.

    :raises NotReady: without ``user_model``.
    """
    if state.user_model is None:
        raise NotReady("This needs the host's users: init_app(app, db, user_model=User).")
    from .people.host_users import HostUsers

    return HostUsers(
        reading_engine(state, database),
        state.user_model,
        identify=state.registry.identify,
        last_seen_column=state.settings.LAST_SEEN_COLUMN,
    )


def sync(
    state: EngageState, progress: Callable[[int, int | None], object] | None = None
) -> SyncReport:
    """Bring every host user into people."""
    from .people.refresh import Turn
    from .people.sync import sync_users

    database = state.ready.require()
    with state.app.app_context(), answering("sync"):
        turn = Turn(progress=progress)
        return sync_users(database, host_users(state, database), state.clock(), turn)


def backfill(
    state: EngageState,
    query: Any,
    key: str,
    *,
    seen: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> BackfillReport:
    """Make events of the host's history; with nobody told of it, show a bar on a terminal."""
    host_rows = derived(query, "backfill()", 3)
    database = state.ready.require()
    history = History(reading_engine(state, database), host_rows)
    rules = Rules.of(state.settings)

    def run(told: Callable[[int, int], object] | None) -> BackfillReport:
        return make_events(database, history, key, rules, state.clock, seen=seen, progress=told)

    with answering("backfill"):
        if progress is not None or not sys.stderr.isatty():
            return run(progress)
        with Progress(key) as bar:
            return run(bar)


# --- saying something ------------------------------------------------------------------------


def host_template(state: EngageState, name: str) -> str:
    """Return the source of one of the host's templates."""
    loader = state.app.jinja_env.loader
    if loader is None:
        raise InvalidMessage(f"The template {name!r} can't be read: the app has no loader.")
    try:
        return loader.get_source(state.app.jinja_env, name)[0]
    except TemplateNotFound:
        raise InvalidMessage(
            f"There is no template {name!r} in the templates folders of the app."
        ) from None


# --- what runs by itself ---------------------------------------------------------------------


def start_worker(state: EngageState) -> Scheduler:
    """Start the scheduler in this process, which serves nobody."""
    scheduler = state.runner.scheduler()
    scheduler.start()
    return scheduler


def sync_job(state: EngageState, fence: Fence | None, now: datetime) -> str:
    """Bring every host user into people; under a lease only some, to make room for other work."""
    from .automation.jobs import Unfinished
    from .people.refresh import Turn
    from .people.sync import sync_users

    database = state.ready.require()
    turn = Turn() if fence is None else Turn(SYNC_SECONDS, fence.still)
    with answering("sync"):
        report = sync_users(database, host_users(state, database), now, turn, anew=False)
    said = f"{report.users} users, {report.gone} newly gone"
    return said if report.finished else Unfinished(f"{said} so far")


def index_job(state: EngageState, _fence: Fence | None, _now: datetime) -> str:
    """Keep an index for each attribute that rules and named segments ask about, and no other."""
    from .store.hot_index import keep_hot
    from .store.segment import segment_documents

    database = state.ready.require()
    if database.shared:
        return "none on a connection that is the host's"
    keys: list[str] = []
    with database.read() as session:
        has_saved = bool(segment_documents(session))
    if has_saved or state.registry.rules or state.registry.segments:
        from .segments.hot import hot_keys

        rules = [rule.to for rule in state.registry.rules.values()]
        keys = hot_keys(rules, segments_of(state))
    done = keep_hot(database, keys)
    return f"{len(done.created)} made, {len(done.dropped)} dropped, {len(done.failed)} failed"


def rules_job(state: EngageState, fence: Fence | None, now: datetime) -> str:
    """Evaluate every rule of this app's code."""
    written = _evaluate(state, fence, now)
    return ", ".join(f"{name}: {count}" for name, count in written.items()) or "no rules"


def mail_job(state: EngageState, fence: Fence | None, now: datetime) -> str:
    """Send the mail that is due."""
    outcome = _deliver(state, fence, now)
    return str(outcome)


def is_mail_waiting(state: EngageState, fence: Fence | None, now: datetime) -> bool:
    """Tell whether mail is due, or was left half-way by a process that is gone."""
    epoch = None if fence is None else fence.epoch
    with state.ready.require().read() as session:
        return has_work(session, channel="email", now=now, epoch=epoch)


def run_due(state: EngageState, now: datetime) -> dict[str, str | int]:
    """Do everything that is due at `now`, in this thread; say what each job did.

    :raises NotReady: if the database is away.
    """
    from ._jobs import jobs_of
    from .automation.jobs import run_jobs_once

    database = state.ready.require()
    done: dict[str, str | int] = {"facts": state.recorder.flush()}
    with state.app.app_context(), answering("run_due"):
        with database.read() as session:
            starts = job_starts(session)
        due = [job for job in jobs_of(state) if _is_due(job, starts.get(job.name), now)]
        runs = run_jobs_once(due, database, state.guard, lambda: now)
    done.update({run.name: run.error or run.result or "done" for run in runs})
    return done


def _is_due(job: Job, started_at: datetime | None, now: datetime) -> bool:
    """Tell whether a job's turn has come; rules and mail are always due when somebody asks."""
    if started_at is None or job.period <= ALWAYS_DUE:
        return True
    # A line in a crontab is never punctual to the second.
    return started_at + job.period - min(job.period / 10, _EARLY) <= now


def _evaluate(state: EngageState, fence: Fence | None, now: datetime) -> dict[str, int]:
    database = state.ready.require()
    if not state.registry.rules:
        with database.write() as session:
            remove_rules_but(session, (), now)
        return {}
    from .automation.evaluate import evaluate_rules

    return evaluate_rules(
        database,
        state.registry.rules,
        now,
        context_of(state, database),
        state.guard,
        fence,
        load=lambda name: host_template(state, name),
    )


def _deliver(state: EngageState, fence: Fence | None, now: datetime) -> Outcome:
    database = state.ready.require()
    if not is_mail_waiting(state, fence, now):
        return Outcome()
    from .automation.evaluate import still_matching
    from .delivery.outgoing import deliver_due

    outcome = deliver_due(
        database,
        state.settings,
        now,
        state.runner.transport(state.settings),
        fence,
        secret_keys=secret_keys_of(state.app.config),
        still_matches=still_matching(state.registry.rules, context_of(state, database)),
        refresh_addresses=_address_refresher(state, database, now),
    )
    for mail in outcome.mails:
        with state.guard.contained("a receiver of message_sent"):
            message_sent.send(state.app, user_id=mail.user_id, source=mail.source, channel="email")
    return outcome


def _address_refresher(
    state: EngageState, database: Database, now: datetime
) -> Callable[[Collection[int]], object] | None:
    """Return what brings people's addresses up to date before mail leaves, if the host is there."""
    if state.user_model is None:
        return None
    from .people.sync import refresh_people

    users = host_users(state, database)
    return lambda person_ids: refresh_people(database, users, person_ids, now)
