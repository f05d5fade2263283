"""``flask engage …``: the shell's edge. Parse, call a room, print; no SQL here."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from . import _custom_data, _enrichment, _membership, _operations, _sending, _symptoms
from ._advice import advice
from ._progress import Progress
from ._state import EngageState, current_state
from .cli_check import check
from .cli_people import chosen, commands
from .errors import EngageError, NotReady
from .messages.content import Email, InApp
from .reports.health import health
from .reports.providers import ProviderSummary
from .store.activity_rebuild import rebuild_activity
from .store.engine import Database
from .store.meta import timezone_of, zone_problem
from .store.migrate import HEAD, schema_state
from .store.migrate import upgrade as upgrade_tables
from .store.trouble import DATABASE_ERRORS, trouble_in_words

_WORKER_LOOKS_SECONDS = 5.0

group = AppGroup("engage", help="People, messages and jobs of flask_engage.")


for command in (*commands, check):
    group.add_command(command)


@contextmanager
def in_a_line() -> Iterator[None]:
    """Say in a line, and end with 1, what no code is at fault for: words, set-up, the database.

    Every command runs in here. What else is raised keeps its traceback.
    """
    try:
        yield
    except EngageError as error:
        raise click.ClickException(str(error)) from error
    except DATABASE_ERRORS as error:
        said = trouble_in_words(error)
        if said is None:
            raise
        raise click.ClickException(said) from error


def _require_enabled(state: EngageState) -> None:
    if not state.settings.ENABLED:
        raise NotReady(
            "ENGAGE_ENABLED is False, so nothing is sent and no job runs; set it to True first."
        )


@group.command("upgrade")
@with_appcontext
def upgrade() -> None:
    """Create or evolve the engage_ tables."""
    state = current_state()
    revision = upgrade_tables(state.ready.database())
    state.ready.forget()
    click.echo(f"The engage_ tables are at revision {revision}.")


@group.command("sync")
@with_appcontext
def sync() -> None:
    """Bring every user of the host into people."""
    state = current_state()
    state.recorder.flush()
    with Progress("users") as progress:
        report = _operations.sync(state, progress)
    click.echo(f"{report.users} users are people; {report.gone} newly gone.")


@group.command("rebuild-activity")
@with_appcontext
def rebuild() -> None:
    """Count active people anew; cuts days anew too, if ENGAGE_TIMEZONE was changed."""
    state = current_state()
    database, zone = state.ready.database(), state.settings.TIMEZONE
    with Progress("people") as progress:
        found = rebuild_activity(database, zone, progress)
    state.ready.forget()
    cut = f"All days are cut in {zone}; " if found.recut else ""
    click.echo(f"{cut}{found.people} people were ever active; {found.corrected} counts corrected.")


@group.command("run-once")
@with_appcontext
def run_once() -> None:
    """Do everything that is due, and exit; for cron."""
    state = current_state()
    _require_enabled(state)
    done = _operations.run_due(state, state.clock())
    for job, result in done.items():
        click.echo(f"{job}: {result}")


@group.command("worker")
@with_appcontext
def worker() -> None:
    """Run the jobs in this process until it is stopped."""
    state = current_state()
    _require_enabled(state)
    if state.ready.database().shared:
        raise click.ClickException("A database in memory belongs to one process; use a file.")
    scheduler = _operations.start_worker(state)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    click.echo("The worker runs; Ctrl-C stops it.")
    # Looks after the scheduler's appointments, which a clock that is set back would stall.
    # And stores what processes that are gone have left in their journals.
    while not stop.wait(_WORKER_LOOKS_SECONDS):
        scheduler.ensure_started()
        state.recorder.flush()
    scheduler.stop()


@group.command("refresh")
@click.argument("name", required=False)
@with_appcontext
def refresh(name: str | None) -> None:
    """Compute the attribute NAME for everybody now; without NAME, list what there is.

    With the name "enrichment", ask about everybody who is due; with "segments", measure who is in
    which segment.
    """
    state = current_state()
    if name is None:
        for line in _providers(_custom_data.summaries(state)):
            click.echo(line)
        return
    try:
        said = _refreshed(state, name)
    except Exception as error:
        fault = _custom_data.fault_of_host(state, error)
        if fault is None and type(error) is LookupError:  # ours: there is nothing of this name
            fault = str(error)
        if fault is None:
            raise
        raise click.ClickException(fault) from error
    click.echo(f"{name}: {said}")


def _refreshed(state: EngageState, name: str) -> str:
    if name == "enrichment":
        return _enrichment.enrich_now(state)
    if name == "segments":
        return str(_membership.measure_now(state))
    with Progress(name) as progress:
        return str(_custom_data.refresh_now(state, name, progress=progress))


def _providers(found: list[ProviderSummary]) -> Iterator[str]:
    if not found:
        yield "Nothing is registered with @engage.attribute or @engage.attribute_query."
    for one in found:
        gives = "" if one.kind == "function" else f" (gives {', '.join(one.attributes) or '?'})"
        last = f"{one.started_at:%Y-%m-%d %H:%M}" if one.started_at else "never"
        trouble = f"\t{one.error}" if one.error else ""
        yield f"{one.name}{gives}\tlast {last}, {one.people} people, {one.state}{trouble}"


@group.command("people")
@click.option("--filter", "document", help="A filter as JSON; default: everyone.")
@click.option("--segment", help="The name of a segment.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000))
@with_appcontext
def people(document: str | None, segment: str | None, limit: int) -> None:
    """List people who match, most recently seen first."""
    state = current_state()
    # What a process that has just ended left behind belongs to the answer.
    state.recorder.flush()
    wanted = chosen(document, segment)
    found = _operations.people(state, wanted)
    count = found.count()
    page = found.page(sort="last_seen", descending=True, limit=limit)
    click.echo(f"{count} {'person' if count == 1 else 'people'}: {wanted.describe()}")
    for person in page.people:
        seen = person.last_seen.strftime("%Y-%m-%d %H:%M") if person.last_seen else "never"
        click.echo(
            "\t".join([person.user_id or "", person.name or "", person.email or "", f"seen {seen}"])
        )


@group.command("send")
@click.option("--to", required=True, help="The id of a user, or a segment's name.")
@click.option("--title", default=None, help="Title of an in-app message.")
@click.option("--subject", default=None, help="Subject; makes it a mail.")
@click.option("--body", required=True, help="Markdown.")
@click.option("--key", default=None, help="Nobody gets the same key twice.")
@with_appcontext
def send(to: str, title: str | None, subject: str | None, body: str, key: str | None) -> None:
    """Send a message to one user or to a segment."""
    state = current_state()
    _require_enabled(state)
    message = Email(subject=subject, body=body) if subject else InApp(title=title, body=body)
    known = _operations.segment_names(state)
    count = _sending.send(state, message, to if to in known else [to], key)
    click.echo(f"Sent to {count} {'person' if count == 1 else 'people'}.")


@group.command("doctor")
@with_appcontext
def doctor() -> None:
    """Say how things stand, and what to do about what is wrong.

    Ends with 0 if nothing is wrong, and with 1 if something is.
    """
    state = current_state()
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    off = "" if state.settings.ENABLED else " (ENGAGE_ENABLED is False: nothing is recorded)"
    click.echo(f"app: {app.name}, endpoints under {state.settings.URL_PREFIX}{off}")
    try:
        database = state.ready.database()
    except NotReady as error:
        click.echo("database: none that can be used")
        problems = [str(error)]
    else:
        click.echo(f"database: {database.engine.url.render_as_string(hide_password=True)}")
        problems = _database_now(state, database)
        click.echo(_journal_now(state))
    problems += advice(state)
    for line in problems:
        click.echo(f"  → {line}")
    if problems:
        raise SystemExit(1)


def _database_now(state: EngageState, database: Database) -> list[str]:
    """Say in one line how the tables are; return what is wrong with what they hold."""
    try:
        tables = schema_state(database)
        click.echo(f"tables: {tables} (this version works with revision {HEAD})")
        if tables != "current":
            return ["run: flask engage upgrade"]
        with database.read() as session:
            problems = [*_symptoms.of_tables(health(session), state.clock())]
            zone = zone_problem(timezone_of(session), state.settings.TIMEZONE)
    except Exception as error:  # noqa: BLE001  (a doctor says whatever it ran into)
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        click.echo(f"tables: the database does not answer ({type(error).__name__}: {said})")
        return ["The database is away: pages are served, and facts wait in the journal for it."]
    return problems if zone is None else [*problems, zone]


def _journal_now(state: EngageState) -> str:
    """Say in one line how facts are stored and how many wait."""
    mode = state.settings.CAPTURE_MODE
    backlog = state.recorder.backlog()
    if backlog is None:
        return f"journal: none (ENGAGE_CAPTURE_MODE is {mode!r})"
    said = f"journal: mode {mode!r}, {state.recorder.status().folder}: "
    if not backlog.facts:
        return said + "nothing waits to be stored"
    return (
        f"{said}{_symptoms.count(backlog.facts, 'fact')} ({_symptoms.size(backlog.bytes)}) in "
        f"{_symptoms.count(backlog.files, 'file')} to be stored, the oldest for "
        f"{_symptoms.duration(backlog.lag_seconds(state.clock()))}"
    )
