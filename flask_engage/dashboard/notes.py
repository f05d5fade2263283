"""What operators put on a person by hand: tags and notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..reports.person import person_id_by_public_id
from ..segments.values import checked_name
from ..store.note import LONGEST, add_note, change_note, delete_note
from ..store.tag import tag_people, untag_people
from .access import operator
from .audit import note_in
from .language import gettext as _
from .neighbours import listed
from .pages import page, to

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def change(public_id: str) -> AnyResponse:
    """Tag or untag a person, or write, change or delete a note, and show the person."""
    if request.method != "POST":
        return redirect(to("person", public_id=public_id, **listed()), 303)
    state = current_state()
    actions = {
        "tag": _tag,
        "untag": _untag,
        "note": _note,
        "change-note": _change_note,
        "delete-note": _delete_note,
    }
    action = request.form.get("action", "")
    try:
        if action not in actions:
            raise InvalidFilter(f"action: {action!r:.40} is none of {', '.join(actions)}.")
        with state.ready.require().write() as session:
            person_id = person_id_by_public_id(session, public_id)
            if person_id is None:
                raise InvalidFilter(_("There is no such person; they may have been deleted."))
            done, tag = actions[action](session, state, person_id, public_id)
    except InvalidFilter as error:
        return page("problem.html", 400, title=_("Nothing was changed"), text=str(error))
    return redirect(to("person", public_id=public_id, done=done, tag=tag, **listed()), 303)


_Done = tuple[str | None, str | None]


def _tag(session: Session, state: EngageState, person_id: int, public_id: str) -> _Done:
    name = checked_name(request.form.get("tag"), "a tag")
    if not tag_people(session, [person_id], name, state.clock()):
        return None, None
    note_in(session, state, "tag", public_id, {"tag": name})
    return "tagged", None


def _untag(session: Session, state: EngageState, person_id: int, public_id: str) -> _Done:
    name = request.form.get("tag", "").replace("\0", "")
    if not untag_people(session, [person_id], name, state.clock()):
        return None, None
    note_in(session, state, "untag", public_id, {"tag": name})
    return "untagged", name


def _note(session: Session, state: EngageState, person_id: int, public_id: str) -> _Done:
    row = add_note(session, person_id, _me(), _body(), state.clock())
    note_in(session, state, "add note", public_id, {"note": row.id})
    return "noted", None


def _change_note(session: Session, state: EngageState, person_id: int, public_id: str) -> _Done:
    number = _number()
    if not change_note(session, person_id, number, _me(), _body(), state.clock()):
        raise InvalidFilter(_("There is no such note of yours; only its author can change one."))
    note_in(session, state, "change note", public_id, {"note": number})
    return "changed", None


def _delete_note(session: Session, state: EngageState, person_id: int, public_id: str) -> _Done:
    number = _number()
    author = None if operator().may("admin") else _me()
    if not delete_note(session, person_id, number, author):
        raise InvalidFilter(_("There is no such note of yours; an admin can delete any."))
    note_in(session, state, "delete note", public_id, {"note": number})
    return "deleted", None


def _me() -> str:
    return str(operator().id)[:255]


def _number() -> int:
    given = request.form.get("note", "")
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise InvalidFilter(f"note: {given!r:.40} is no number.")
    return int(given)


def _body() -> str:
    body = request.form.get("body", "").replace("\r\n", "\n").strip()
    if not body:
        raise InvalidFilter(_("The note says nothing: write a text."))
    if len(body) > LONGEST or "\0" in body:
        raise InvalidFilter(f"body: a note has up to {LONGEST:,} characters, none of them NUL.")
    return body
