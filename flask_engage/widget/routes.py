"""What the script in an end user's browser asks for: itself, the next message, a report.

Who asks is known from the host's login alone, never from what is sent. Whatever goes wrong
here is answered as if there were nothing to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from blinker import NamedSignal
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from flask_engage import signals
from flask_engage._state import EngageState, current_state
from flask_engage.capture.identity import current_user_id
from flask_engage.delivery import inapp
from flask_engage.errors import NotReady
from flask_engage.store.person import person_id_of
from flask_engage.store.retry import persistently

from .answers import private
from .injection import script, script_version
from .origin import is_own_fetch, is_same_origin
from .track import Intake, recorded_token

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_LARGEST_REPORT: Final = 64 * 1024
"""Bytes. A report has about 100."""

_SIGNALS: Final = {"opened": signals.message_opened, "clicked": signals.message_clicked}

_YEAR: Final = 365 * 24 * 3600


class Report(msgspec.Struct):
    """What became of a message in the browser."""

    delivery: Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z_-]{1,64}\Z")]
    """The delivery's public id."""
    kind: Literal["shown", "opened", "clicked", "dismissed"]
    button: Annotated[int, msgspec.Meta(ge=0, lt=100)] | None = None
    """Which of the message's buttons, counted from 0."""


def make_blueprint() -> Blueprint:
    """Return the blueprint ``engage_widget``, to be mounted at ``<prefix>/widget``."""
    blueprint = Blueprint("engage_widget", __name__)
    blueprint.add_url_rule("/engage.js", "script", engage_js)
    blueprint.add_url_rule("/inbox", "inbox", inbox)
    blueprint.add_url_rule("/seen", "seen", seen, methods=["POST"])
    blueprint.add_url_rule("/track", "track", Intake().take, methods=["POST"])
    return blueprint


def engage_js() -> Response:
    """Return the widget's script; for a year, if it is the version that was asked for."""
    response = Response(script(), content_type="text/javascript; charset=utf-8")
    # While two versions of us are running, one may be asked for the other's script.
    current = request.args.get("v") == script_version()
    response.headers["Cache-Control"] = f"max-age={_YEAR}, immutable" if current else "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.set_etag(script_version())
    return response.make_conditional(request)  # type: ignore[return-value]


def inbox() -> Response:
    """Return the next message for whoever is logged in: ``{"who": …, "message": …}``.

    ``null`` if there is none; ``{}`` if nobody is logged in. ``who`` is a name for them that
    only this host can read, if what they do is recorded. With the argument ``who``, that alone
    is asked, and no message is given out.
    """
    state = current_state()
    answer: dict[str, Any] = {}
    # A message counts as sent once it is fetched: by our script, not by a link or a prefetch.
    if is_own_fetch(request):
        with state.guard.guarded("the widget's inbox"):
            answer = _inbox(state)
    return private(msgspec.json.encode(answer))


def seen() -> Response:
    """Take a :class:`Report`: 204 if it is noted (again, perhaps), 404 if it is not theirs."""
    state = current_state()
    status = 204
    with state.guard.guarded("the widget's report"):
        status = _seen(state)
    return private(b"", status)


def _inbox(state: EngageState) -> dict[str, Any]:
    user_id = current_user_id(state)
    if user_id is None:
        return {}
    answer: dict[str, Any] = {}
    with state.guard.guarded("asking whether somebody is recorded"):
        if (who := recorded_token(state)) is not None:
            answer["who"] = who
    if "who" not in request.args:
        answer |= _next_message(state, user_id)
    return answer


def _next_message(state: EngageState, user_id: str) -> dict[str, Any]:
    try:
        database = state.ready.require()
    except NotReady:
        return {}
    now = state.clock()
    # Nearly always nothing waits: a page that asks costs a look, never the write lock.
    with database.read() as session:
        person_id = person_id_of(session, user_id)
        if person_id is None or not inapp.is_waiting(session, person_id, now):
            return {"message": None}
    item = persistently(database, lambda session: inapp.next_for(session, person_id, now))
    if item is None:
        return {"message": None}
    if item.is_first:
        _announce(state, signals.message_sent, user_id, item.source)
    return {
        "message": {
            "delivery": item.delivery,
            "style": item.style,
            "title": item.title,
            "html": item.html,
            "buttons": [{"label": button.label, "url": button.url} for button in item.buttons],
        },
        "labels": {"close": "Close", "message": "Message"},
    }


def _seen(state: EngageState) -> int:
    if not is_same_origin(request, state.settings.BASE_URL):
        return 400
    report = _read_report()
    if isinstance(report, int):
        return report
    user_id = current_user_id(state)
    if user_id is None:
        return 401
    try:
        database = state.ready.require()
    except NotReady:
        return 503
    now = state.clock()

    def note(session: Session) -> inapp.Recorded | None:
        person_id = person_id_of(session, user_id)
        if person_id is None:
            return None
        return inapp.record_event(
            session, person_id, report.delivery, report.kind, now, report.button
        )

    # Tabs of one person tell the same at once, which MariaDB may end with a deadlock.
    noted = persistently(database, note)
    if noted is None:
        return 404
    if noted.is_new and report.kind in _SIGNALS:
        _announce(state, _SIGNALS[report.kind], user_id, noted.source)
    return 204


def _announce(state: EngageState, signal: NamedSignal, user_id: str, source: str) -> None:
    """Tell who listens, after the fact is in the database."""
    if signal.receivers:
        for receiver in signal.receivers_for(state.app):
            with state.guard.contained(f"a receiver of {signal.name}"):
                receiver(state.app, user_id=user_id, source=source, channel="in_app")


def _read_report() -> Report | int:
    """Return the request's report, or the status that says what is wrong with it."""
    length = request.content_length
    if request.mimetype != "application/json" or length is None:
        return 400
    if length > _LARGEST_REPORT:
        return 413
    try:
        return msgspec.json.decode(request.get_data(cache=False), type=Report)
    except HTTPException as error:  # cut off, or above a limit of the host's
        return error.code or 400
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 400
