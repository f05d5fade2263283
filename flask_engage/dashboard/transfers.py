"""Import and export: files of people on their way in, step by step, and people as a file.

Both ask for the role ``edit``. Who has it writes to everybody and may look at each person; a
file fills in what is empty and never overrides what the app says, so it lets them do no more
than that, only faster. Each step is written down with who did it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, cast

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .. import _operations
from .._state import EngageState, current_state
from ..errors import InvalidFact, InvalidFilter
from ..people.transfer import exporting, trial, uploads
from ..people.transfer import report as reports
from ..people.transfer.reading import BadFile, Layout, records
from ..people.transfer.sources import Stored
from ..segments.filter import Everyone
from ..segments.vocabulary import attribute_kinds
from ..segments.words import in_segment
from ..store.attribute import kinds_in_use
from ..store.operator import operator_names
from ..store.transfer import ImportRow, import_by_public_id, newest_imports, problems_of
from . import transfer_mapping
from .access import operator
from .audit import note, note_in
from .language import gettext as _
from .pages import fragment, page, shared, to
from .zones import days_zone

_COUNT_SECONDS = 4.0
_PROBLEMS_SHOWN = 20
_BUSY_SECONDS, _CALM_SECONDS = 2, 3600
_BUSY = ("waiting", "running")


def show() -> AnyResponse:
    """Show where files go in and people come out, and the imports so far; take a file in."""
    state = current_state()
    problem = ""
    if request.method == "POST":
        try:
            return _taken_in(state)
        except BadFile as error:
            problem = _sentence(error)
    database = state.ready.require()
    with database.read() as session:
        imports = newest_imports(session)
        names = operator_names(session, {row.created_by for row in imports if row.created_by})
        kinds = attribute_kinds(session)
    return page(
        "transfers.html",
        400 if problem else 200,
        problem=problem,
        imports=imports,
        names=names,
        attributes=exporting.columns_of(kinds)[len(exporting.FIELDS) :],
        fields=exporting.FIELDS,
        largest=uploads.UPLOAD_BYTES,
        most_rows=uploads.UPLOAD_ROWS,
        done=request.args.get("done"),
    )


def _taken_in(state: EngageState) -> AnyResponse:
    file = request.files.get("file")
    if file is None or not file.filename:
        raise BadFile(_("choose a file first."))
    database = state.ready.require()
    with database.read() as session:
        known = attribute_kinds(session)
    public_id = uploads.accept_upload(
        database,
        cast("Any", file.stream),
        file.filename,
        state.clock(),
        str(operator().id)[:255],
        lambda session, row: note_in(session, state, "upload file", row.public_id, _of(row)),
        known,
    )
    return redirect(to("transfer", public_id=public_id), 303)


def _of(row: ImportRow) -> dict[str, Any]:
    return {"file": row.name, "sha256": row.digest, "rows": row.rows, "position": row.position}


def show_one(public_id: str) -> AnyResponse:
    """Show one import: a draft with its columns, another with how far it is; move it on."""
    state = current_state()
    row = _import(state, public_id)
    if row is None:
        return _unknown()
    if request.method == "POST":
        action = request.form.get("action", "")
        if action in ("check", "start"):
            return _mapped(state, row, action)
        return _moved(state, row, action)
    if row.state == "draft":
        return _draft(state, row)
    return page("transfer.html", **_standing(state, row))


def progress(public_id: str) -> Response:
    """Return how far an import is, as a part of the page."""
    state = current_state()
    row = _import(state, public_id)
    if row is None:
        return _unknown()
    text = fragment("transfer_progress.html", **shared(state), **_progress(state, row))
    return Response(text, content_type="text/html; charset=utf-8")


def report(public_id: str) -> Response:
    """Return what was wrong with which row, as a CSV file."""
    state = current_state()
    row = _import(state, public_id)
    if row is None:
        return _unknown()
    return _file(
        reports.report(state.ready.require(), row.id),
        exporting.FORMATS["csv"],
        f"import-{row.created_at:%Y-%m-%d}-{row.public_id[:6]}-report.csv",
    )


def export() -> AnyResponse:
    """Return people as a file, which is made while it is sent."""
    if request.method != "POST":
        return redirect(to("transfers"), 303)
    state, form = current_state(), request.form
    kind, segment = form.get("format", "csv"), form.get("segment", "")
    if kind not in exporting.FORMATS:
        raise InvalidFilter(f"format: {kind!r:.40} is none of {', '.join(exporting.FORMATS)}.")
    if segment and segment not in _operations.segments_of(state):
        raise InvalidFilter(f"segment: there is none called {segment!r:.80}.")
    people = _operations.people(state, in_segment(segment) if segment else Everyone())
    with state.ready.require().read() as session:
        kinds = kinds_in_use(session)
    columns = exporting.columns_of(kinds, form.getlist("c"))
    pieces = exporting.export(people, columns, kind)
    first = list(islice(pieces, 1))  # what goes wrong at once is told on a page
    detail = {"segment": segment or None, "format": kind, "columns": len(columns)}
    note(state, "export people", segment, detail)
    name = f"people-{state.clock().astimezone(days_zone(state)):%Y-%m-%d}.{kind}"
    return _file(chain(first, pieces), exporting.FORMATS[kind], name)


# --- a draft -------------------------------------------------------------------------------------


def _draft(
    state: EngageState,
    row: ImportRow,
    columns: list[transfer_mapping.Column] | None = None,
    problem: str = "",
) -> Response:
    database = state.ready.require()
    source = Stored(database, row.id)
    shown: list[trial.Shown] = []
    counted = None
    try:
        layout = uploads.layout_of(database, row)
        if columns is None:
            columns = _columns(state, row, layout)
            transfer_mapping.show(columns, row.mapping)
        if not problem and not transfer_mapping.is_wrong(columns):
            asked = database, source, layout, row.mapping, days_zone(state), state.clock()
            shown = trial.preview(*asked)
            if "count" in request.args:
                counted = trial.count_outcomes(*asked, seconds=_COUNT_SECONDS)
    except BadFile as error:
        return page("problem.html", 400, title=_("This file can't be read"), text=_sentence(error))
    except InvalidFact as error:
        problem = _sentence(error)  # the guess may name nobody
    return page(
        "transfer_draft.html",
        400 if request.method == "POST" else 200,
        row=row,
        layout=layout,
        columns=columns,
        problem=problem,
        shown=shown,
        counted=counted,
        seconds=_COUNT_SECONDS,
        targets=list(dict.fromkeys(target for target in row.mapping.values() if target)),
        stored=transfer_mapping.stored,
        done=request.args.get("done", ""),
    )


def _columns(state: EngageState, row: ImportRow, layout: Layout) -> list[transfer_mapping.Column]:
    found = records(Stored(state.ready.require(), row.id), layout)
    return transfer_mapping.columns_of(layout.columns, islice(found, uploads.SAMPLE))


def _mapped(state: EngageState, row: ImportRow, action: str) -> AnyResponse:
    """Keep what the form says; start only what has been seen on this very page."""
    if row.state != "draft":
        return redirect(to("transfer", public_id=row.public_id, done="late"), 303)
    database = state.ready.require()
    layout = uploads.layout_of(database, row)
    columns = _columns(state, row, layout)
    mapping = transfer_mapping.read(columns, request.form)
    if transfer_mapping.is_wrong(columns):
        return _draft(state, row, columns, _("Some columns have to be mended first."))
    seen = mapping == row.mapping
    try:
        uploads.map_upload(database, row.public_id, layout, mapping, state.clock())
    except InvalidFact as error:
        return _draft(state, row, columns, _sentence(error))
    if action == "start" and seen:
        return _moved(state, row, "start")
    asked = {"count": 1} if action == "check" else {"done": "look"}
    return redirect(to("transfer", public_id=row.public_id, **asked, _anchor="rows"), 303)


# --- one that is under way, or over --------------------------------------------------------------


def _moved(state: EngageState, row: ImportRow, action: str) -> AnyResponse:
    def written(session: Any, moved: ImportRow) -> None:
        note_in(session, state, f"{action} import", moved.public_id, _of(moved))

    try:
        could = uploads.move_upload(
            state.ready.require(), row.public_id, action, state.clock(), written
        )
    except InvalidFact as error:
        return page("problem.html", 400, title=_("Nothing was changed"), text=_sentence(error))
    done = action if could else "late"
    if could and action == "discard" and row.state == "draft":
        return redirect(to("transfers", done=done), 303)
    return redirect(to("transfer", public_id=row.public_id, done=done), 303)


def _standing(state: EngageState, row: ImportRow) -> dict[str, Any]:
    with state.ready.require().read() as session:
        problems = list(problems_of(session, row.id, _PROBLEMS_SHOWN + 1))
        names = operator_names(session, [row.created_by] if row.created_by else [])
    return {
        **_progress(state, row),
        "problems": problems[:_PROBLEMS_SHOWN],
        "has_more": len(problems) > _PROBLEMS_SHOWN,
        "by": names.get(row.created_by or "", row.created_by),
        "mapped": [(heading, target) for heading, target in row.mapping.items() if target],
        "done": request.args.get("done", ""),
    }


def _progress(state: EngageState, row: ImportRow) -> dict[str, Any]:
    waited = (state.clock() - row.updated_at).total_seconds()
    return {
        "row": row,
        "every": _BUSY_SECONDS if row.state in _BUSY else _CALM_SECONDS,
        "is_late": row.state in _BUSY and waited > 60,
        "is_busy": row.state in _BUSY,
    }


def _import(state: EngageState, public_id: str) -> ImportRow | None:
    with state.ready.require().read() as session:
        row = import_by_public_id(session, public_id)
    return None if row is None or row.state == "loading" else row


def _unknown() -> Response:
    return page(
        "problem.html",
        404,
        title=_("There is no such import"),
        text=_("A file that nobody goes on with is deleted after a week, a report after 90 days."),
    )


def _file(pieces: Iterator[str], content_type: str, name: str) -> Response:
    response = Response(pieces, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    # A server before us that collects it first would make people wait.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
