"""``flask engage import``, ``export``, ``export-person``, ``erase-person``: people in and out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from flask.cli import with_appcontext

from . import _operations
from ._progress import Progress
from ._state import current_state
from .people.refresh import Turn
from .people.transfer import exporting, importing, trial
from .people.transfer.mapping import guess
from .people.transfer.reading import survey
from .people.transfer.report import report_lines
from .segments.filter import Everyone, Filter
from .segments.vocabulary import attribute_kinds
from .store.attribute import kinds_in_use
from .store.dossier import dossier
from .store.engine import Database
from .store.erase import erase_person
from .store.transfer import problems_of

_SHOWN = 5


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="COLUMN=MEANING",
    help="What a column is: user_id, email, name, signed_up, last_seen, sessions, tags, or an "
    "attribute with its type, such as number:score. Empty: leave it out.",
)
@click.option("--dry-run", is_flag=True, help="Say what would become of the first rows, and stop.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what is wrong with which row to this file (CSV).",
)
@with_appcontext
def import_people(file: Path, mapped: tuple[str, ...], dry_run: bool, report: Path | None) -> None:
    """Bring people in from FILE: CSV (comma, semicolon or tab) or JSON Lines.

    Run it again after it was cut off: it goes on behind the last row that is stored.
    """
    state = current_state()
    database, now, zone = state.ready.require(), state.clock(), ZoneInfo(state.settings.TIMEZONE)
    if report is not None:
        _require_writable(report, "--report")
    layout = survey(file)
    with database.read() as session:
        known = attribute_kinds(session)
    mapping = {**guess(layout.columns, known), **_pairs(mapped)}
    for column in layout.columns:
        click.echo(f"{column}\t→ {mapping.get(column) or '(left out)'}", err=True)
    if dry_run:
        for shown in trial.preview(database, file, layout, mapping, zone, now):
            wrong = "; ".join(f"{one.heading or 'row'}: {one.problem}" for one in shown.problems)
            click.echo(f"row {shown.record.number}\t{shown.outcome}\t{wrong}".rstrip())
        return
    import_id = importing.begin_import(database, layout, mapping, now, name=file.name)
    with Progress("rows") as progress:
        done = importing.run_import(database, import_id, file, zone, now, Turn(progress=progress))
    if done.problem:
        raise click.ClickException(done.problem)
    click.echo(
        f"{done.position} rows: {done.created} people new, {done.changed} changed, "
        f"{done.unchanged} as they were, {done.refused} refused."
    )
    if done.refused:
        _tell_problems(database, import_id, report)


def _tell_problems(database: Database, import_id: int, report: Path | None) -> None:
    """Write down what is wrong with which row; without a place for it, say the first few."""
    with database.read() as session:
        if report is not None:
            _write(report_lines(problems_of(session, import_id)), report, "--report")
            click.echo(f"What is wrong with them is in {report}.", err=True)
            return
        for one in problems_of(session, import_id, _SHOWN):
            where = f", {one.heading}" if one.heading else ""
            click.echo(f"row {one.number}{where}: {one.problem}; {one.fix}.", err=True)
        click.echo("All of them: run it again with --report FILE.", err=True)


def _pairs(mapped: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in mapped:
        column, sign, meaning = text.rpartition("=")
        if not sign:
            raise click.BadParameter(f"{text!r} is not COLUMN=MEANING.", param_hint="--map")
        pairs[column] = meaning.strip()
    return pairs


@click.command("export")
@click.option("--filter", "document", help="A filter as JSON; default: everyone.")
@click.option("--segment", help="The name of a segment.")
@click.option("--column", "columns", multiple=True, help="A field or an attribute; default: all.")
@click.option(
    "--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: stdout.")
@with_appcontext
def export_people(
    document: str | None,
    segment: str | None,
    columns: tuple[str, ...],
    kind: str,
    out: Path | None,
) -> None:
    """Write the people of a filter or a segment as CSV or JSON Lines."""
    state = current_state()
    state.recorder.flush()
    found = _operations.people(state, chosen(document, segment))
    with state.ready.require().read() as session:
        kinds = kinds_in_use(session)
    text = exporting.export(found, exporting.columns_of(kinds, columns), kind)
    _write(text, out, "--out")


@click.command("export-person")
@click.option("--user", "user_id", required=True, help="The host's id of the person.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: stdout.")
@with_appcontext
def export_person(user_id: str, out: Path | None) -> None:
    """Write everything that is known of one person as JSON."""
    state = current_state()
    state.recorder.flush()
    text = dossier(state.ready.require(), state.clock(), user_id=user_id)
    if text is None:
        raise click.ClickException(f"There is no person with the user id {user_id!r}.")
    _write(text, out, "--out")


@click.command("erase-person")
@click.option("--user", "user_id", required=True, help="The host's id of the person.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@with_appcontext
def erase(user_id: str, yes: bool) -> None:
    """Erase one person for good, with everything that they did."""
    state = current_state()
    if not yes:
        click.confirm(f"Erase the person {user_id!r} and all that is known of them?", abort=True)
    database = state.ready.require()
    state.recorder.flush()
    done = erase_person(database, state.clock(), user_id=user_id)
    if done.people:
        click.echo(f"Erased: {done.people} person, {done.rows} rows about them.")
    else:
        click.echo("Nobody has this id. Facts about it from before now will be dropped.")


def chosen(document: str | None, segment: str | None) -> Filter:
    """Return the filter that ``--filter`` or ``--segment`` names; neither: everyone."""
    from .segments.words import in_segment

    if document is not None and segment is not None:
        raise click.UsageError("Give --filter or --segment, not both.")
    if segment is not None:
        return in_segment(segment)
    if document is not None:
        try:
            return Filter.from_json(json.loads(document))
        except json.JSONDecodeError as error:
            raise click.BadParameter(f"--filter is no JSON: {error}") from error
    return Everyone()


def _write(pieces: Iterable[str], out: Path | None, option: str) -> None:
    """Write text as it is: a line's end within a value stays what it was.

    :param option: the one by which `out` was given.
    """
    if out is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece.encode())
        sys.stdout.buffer.flush()
        return
    # What there is to write shows before what the file held is gone.
    remaining = iter(pieces)
    first = next(remaining, "")
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            file.write(first)
            file.writelines(remaining)
    except OSError as error:
        raise _unwritable(out, option, error.strerror or str(error)) from error


def _require_writable(out: Path, option: str) -> None:
    """Look whether `out` can be written to, without touching it."""
    if not out.parent.is_dir():
        raise _unwritable(out, option, "there is no such folder")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise _unwritable(out, option, "you may not write there")


def _unwritable(out: Path, option: str, why: str) -> click.ClickException:
    return click.ClickException(f"{option} {out}: the file can't be written ({why}).")


commands = (import_people, export_people, export_person, erase)
