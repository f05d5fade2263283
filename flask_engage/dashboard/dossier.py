"""Everything that is known of one person: to look at, to take along, and to erase."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .._state import EngageState, current_state
from ..reports.person import Extent, extent_of, person_id_by_public_id
from ..segments.people import person_by_public_id
from ..store.dossier import dossier
from ..store.erase import erase_person
from . import audit
from .language import gettext as _
from .pages import page, to


def show(public_id: str) -> AnyResponse:
    """Return everything that is known of a person as JSON, for the browser to show."""
    state = current_state()
    pieces = _pieces(state, public_id)
    return _nobody() if pieces is None else _json(pieces)


def download(public_id: str) -> AnyResponse:
    """Return everything that is known of a person as a file."""
    state = current_state()
    pieces = _pieces(state, public_id)
    if pieces is None:
        return _nobody()
    if request.method == "GET":
        audit.note(state, "export person", public_id, {})
    answer = _json(pieces)
    # The opaque id only: a file's name is seen by more people than its content.
    answer.headers["Content-Disposition"] = f'attachment; filename="person-{public_id}.json"'
    return answer


def _pieces(state: EngageState, public_id: str) -> Iterator[str] | None:
    if not public_id.isascii() or not public_id.isalnum():
        return None
    database = state.ready.require()
    state.recorder.flush()
    return dossier(database, state.clock(), public_id=public_id)


def _json(pieces: Iterator[str]) -> Response:
    return Response(pieces, content_type="application/json; charset=utf-8")


def erase(public_id: str) -> AnyResponse:
    """Erase a person for good, once their address or id was typed."""
    state = current_state()
    with state.ready.require().read() as session:
        someone = person_by_public_id(session, public_id)
        person_id = person_id_by_public_id(session, public_id)
        if someone is None or person_id is None:
            return _nobody()
        extent = extent_of(session, person_id)
    names = [one for one in (someone.email, someone.user_id, someone.public_id) if one]
    if request.method != "POST":
        return _form(someone, names, extent)
    typed = request.form.get("who", "").strip()
    if typed.casefold() not in {one.strip().casefold() for one in names}:
        return _form(someone, names, extent, typed)
    state.recorder.flush()
    # Before, as it is begun: the erasure itself takes the person out of what is written here.
    audit.note(state, "erase person", public_id, {})
    erase_person(state.ready.require(), state.clock(), public_id=public_id)
    return redirect(to("person", public_id=public_id, done="erased"), 303)


def _form(someone: Any, names: list[str], extent: Extent, typed: str | None = None) -> Response:
    problem = ""
    if typed is not None:
        problem = _("This is not who they are. Nothing was erased: type it as it stands here.")
    return page(
        "erase.html",
        200 if typed is None else 400,
        person=someone,
        expected=names[0],
        typed=typed or "",
        problem=problem,
        extent=extent,
    )


def _nobody() -> Response:
    return page(
        "problem.html",
        404,
        title=_("There is no such person"),
        text=_("They may have been deleted, or merged with somebody else."),
    )
