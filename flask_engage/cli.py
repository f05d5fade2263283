"""``flask engage …``: the shell's edge. Parse, call a room, print; no SQL here."""

from __future__ import annotations

import json
import signal
import threading

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from . import _operations, _sending
from ._state import current_state
from .errors import EngageError
from .messages.content import Email, InApp
from .segments.filter import Everyone, Filter
from .store.migrate import HEAD, schema_state
from .store.migrate import upgrade as upgrade_tables

_WORKER_LOOKS_SECONDS = 5.0

group = AppGroup("engage", help="People, messages and jobs of flask_engage.")


def _fail(error: Exception) -> click.ClickException:
    return click.ClickException(str(error))


@group.command("upgrade")
@with_appcontext
def upgrade() -> None:
    """Create or evolve the engage_ tables."""
    state = current_state()
    try:
        revision = upgrade_tables(state.ready.database())
    except EngageError as error:
        raise _fail(error) from error
    state.ready.forget()
    click.echo(f"The engage_ tables are at revision {revision}.")


@group.command("sync")
@with_appcontext
def sync() -> None:
    """Bring every user of the host into people."""
    state = current_state()
    try:
        state.recorder.flush()
        report = _operations.sync(state)
    except EngageError as error:
        raise _fail(error) from error
    click.echo(f"{report.users} users are people; {report.gone} newly gone.")


@group.command("run-once")
@with_appcontext
def run_once() -> None:
    """Do everything that is due, and exit; for cron."""
    state = current_state()
    try:
        done = _operations.run_due(state, state.clock())
    except EngageError as error:
        raise _fail(error) from error
    for job, result in done.items():
        click.echo(f"{job}: {result}")


@group.command("worker")
@with_appcontext
def worker() -> None:
    """Run the jobs in this process until it is stopped."""
    state = current_state()
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
@click.argument("name")
@with_appcontext
def refresh(name: str) -> None:
    """Compute the attribute NAME for everybody now."""
    state = current_state()
    try:
        click.echo(_operations.refresh(state, name))
    except (EngageError, LookupError) as error:
        raise _fail(error) from error


@group.command("people")
@click.option("--filter", "document", help="A filter as JSON; default: everyone.")
@click.option("--segment", help="The name of a segment.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000))
@with_appcontext
def people(document: str | None, segment: str | None, limit: int) -> None:
    """List people who match, most recently seen first."""
    state = current_state()
    try:
        chosen = _chosen(document, segment)
        found = _operations.people(state, chosen)
        count = found.count()
        page = found.page(sort="last_seen", descending=True, limit=limit)
    except EngageError as error:
        raise _fail(error) from error
    click.echo(f"{count} people: {chosen.describe()}")
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
    try:
        message = Email(subject=subject, body=body) if subject else InApp(title=title, body=body)
        known = _operations.segment_names(state)
        count = _sending.send(state, message, to if to in known else [to], key)
    except EngageError as error:
        raise _fail(error) from error
    click.echo(f"Sent to {count} {'person' if count == 1 else 'people'}.")


@group.command("doctor")
@with_appcontext
def doctor() -> None:
    """Say how things stand, and what to do about what is wrong."""
    state = current_state()
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    click.echo(f"app: {app.name}, endpoints under {state.settings.URL_PREFIX}")
    database = state.ready.database()
    click.echo(f"database: {database.engine.url.render_as_string(hide_password=True)}")
    problems = 0
    try:
        tables = schema_state(database)
        click.echo(f"tables: {tables} (this version works with revision {HEAD})")
        if tables != "current":
            problems += 1
            click.echo("  → run: flask engage upgrade")
    except Exception as error:  # noqa: BLE001  (a doctor says whatever it ran into)
        problems += 1
        click.echo(f"tables: the database does not answer ({type(error).__name__}: {error})")
    for line in _operations.advice(state):
        problems += 1
        click.echo(f"  → {line}")
    click.echo(f"journal: {state.recorder.status()}")
    if problems:
        raise SystemExit(1)


def _chosen(document: str | None, segment: str | None) -> Filter:
    from .segments.words import in_segment

    if document and segment:
        raise click.UsageError("Give --filter or --segment, not both.")
    if segment:
        return in_segment(segment)
    if document:
        try:
            return Filter.from_json(json.loads(document))
        except json.JSONDecodeError as error:
            raise click.BadParameter(f"--filter is no JSON: {error}") from error
    return Everyone()
