"""Writing to people: the form, what it will look like, and sending it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .. import _operations, _sending
from .._state import EngageState, current_state
from ..errors import InvalidFilter, InvalidMessage
from ..messages.content import message_of
from ..segments.filter import Filter
from ..segments.people import people_by_public_id
from ..store.content import latest_content
from ..types import Person
from . import csrf
from .access import operator
from .assets import preview_stylesheet
from .audit import note
from .drafts import Draft, read_draft, rendered_for
from .filter_chips import read_filter_text
from .language import gettext as _
from .language import ngettext
from .pages import filter_text, fragment, page, to
from .zones import viewer_zone

_MOST_NAMED = 1_000
"""People who can be chosen one by one; more are better described by a filter."""
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a message is for."""

    count: int
    sentence: str
    first: Person | None
    """Whom the preview is rendered for."""
    people: tuple[Person, ...] = ()
    wanted: Filter | None = None
    text: str = ""
    """The filter as it stands in the address."""

    @property
    def target(self) -> Filter | Sequence[Person]:
        """What sending takes."""
        return self.people if self.wanted is None else self.wanted


def show() -> AnyResponse:
    """Show the form; with POST, show it again with a preview, ask, or send."""
    state = current_state()
    try:
        audience = _audience(state)
    except InvalidFilter as error:
        return page("problem.html", 400, title=_("These people can't be found"), text=str(error))
    if audience is None:
        return page("compose_whom.html")
    draft = read_draft(request.form)
    action = request.form.get("action", "")
    if request.method == "POST" and action == "send":
        return _send(state, audience, draft)
    return _form(state, audience, draft, asks=action == "review")


def open_for(state: EngageState, public_ids: Sequence[str]) -> AnyResponse:
    """Show the empty form for people who are too many to stand in an address."""
    return _form(state, _named(state, public_ids), Draft(), written=False)


def preview() -> AnyResponse:
    """Return the message in the form as the reader will see it, and what is wrong with it."""
    if request.method != "POST":
        return redirect(to("messages"), 303)
    state = current_state()
    audience = _audience(state)
    if audience is None:
        return jsonify({"problems": {}, "document": ""})
    draft = read_draft(request.form)
    document = _document(draft, audience)
    return jsonify({"problems": draft.problems, "document": document})


def _form(
    state: EngageState,
    audience: Audience,
    draft: Draft,
    *,
    asks: bool = False,
    problem: str = "",
    written: bool | None = None,
) -> Response:
    written = request.method == "POST" if written is None else written
    if written and draft.is_blank:
        draft.problems["body"] = _("The message says nothing yet: write a text.")
    document = _document(draft, audience)
    key = request.form.get("key", "")
    if csrf.read_form_key(state, operator(), key) is None:
        key = csrf.new_form_key(state, operator())
    wrong = bool(draft.problems or problem) and written
    return page(
        "compose.html",
        400 if wrong else 200,
        audience=audience,
        draft=draft,
        document=document,
        blank=fragment("preview.html", message=None, stylesheet=preview_stylesheet()),
        key=key,
        asks=asks and not wrong and audience.count > 0,
        problem=problem,
    )


def _send(state: EngageState, audience: Audience, draft: Draft) -> AnyResponse:
    _document(draft, audience)
    key = csrf.read_form_key(state, operator(), request.form.get("key", ""))
    if key is None:
        return _form(
            state,
            audience,
            draft,
            problem=_("This form was not made for you. Nothing was sent; send it again."),
        )
    if draft.message is None or draft.problems:
        return _form(state, audience, draft)
    source = f"send:{key}"
    database = state.ready.require()
    with database.read() as session:
        earlier = latest_content(session, source)
        if earlier is not None and message_of(earlier) != draft.message:
            return _form(
                state,
                audience,
                draft,
                problem=_(
                    "This form has been sent already, with other words. "
                    "To say something else, write a new message."
                ),
            )
    if earlier is None:
        # Before the act: a change without its note is worse than a note without its change.
        note(
            state,
            "send",
            source,
            {"to": audience.sentence, "people": audience.count, "channel": "in_app"},
        )
    try:
        _sending.send(state, draft.message, audience.target, key, created_by=str(operator().id))
    except InvalidMessage as error:
        return _form(state, audience, draft, problem=str(error))
    return redirect(to("message", source=source, done="sent"), 303)


def _document(draft: Draft, audience: Audience) -> str:
    """Return the preview as a whole document for a frame; empty if there is nothing to show."""
    if audience.first is None:
        return ""
    rendered = rendered_for(draft, audience.first)
    if rendered is None:
        return ""
    return fragment("preview.html", message=rendered, stylesheet=preview_stylesheet())


# --- whom it is for ------------------------------------------------------------------------------


def _audience(state: EngageState) -> Audience | None:
    """Return whom the address or the form names; None if nobody.

    :raises InvalidFilter: if they can't be read, or there are none.
    """
    given = request.form if request.method == "POST" else request.args
    named = [name for name in (*given.getlist("to"), *given.get("ids", "").split()) if name]
    if named:
        return _named(state, named)
    text = given.get("filter")
    if not text:
        return None
    wanted = read_filter_text(text, _operations.segments_of(state))
    found = _operations.people(state, wanted)
    first = next(iter(found.page(limit=1).people), None)
    return Audience(
        count=found.count(),
        sentence=wanted.describe(viewer_zone(state)),
        first=first,
        wanted=wanted,
        text=filter_text(wanted),
    )


def _named(state: EngageState, public_ids: Sequence[str]) -> Audience:
    if len(public_ids) > _MOST_NAMED:
        raise InvalidFilter(
            f"to: {len(public_ids)} people; choose up to {_MOST_NAMED}, or use a filter."
        )
    with state.ready.require().read() as session:
        found = people_by_public_id(session, public_ids)
    people = tuple(found[name] for name in dict.fromkeys(public_ids) if name in found)
    if not people:
        raise InvalidFilter("to: there is nobody of these ids; they may have been deleted.")
    return Audience(len(people), _sentence(people), people[0], people=people)


def _sentence(people: Sequence[Person]) -> str:
    names = [person.name or person.email or person.user_id or "?" for person in people]
    shown = ", ".join(name[:80] for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    if more <= 0:
        return shown
    return shown + " " + ngettext("and %(n)s more", "and %(n)s more", more) % {"n": more}
