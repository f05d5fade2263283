"""Where links in our mail lead: so far to the end of mail.

A link proves itself by its signature; nobody has to be logged in. Looking never changes
anything, because scanners and previews follow every link in a mail: only a POST does, from
the page's button or from the mail program itself (RFC 8058, one click).
"""

from __future__ import annotations

from email.utils import parseaddr
from importlib import resources
from typing import Final

from flask import Blueprint, Response, current_app, request
from markupsafe import Markup

from flask_engage._state import EngageState, current_state
from flask_engage.delivery.tokens import read_unsubscribe_token, secret_keys_of
from flask_engage.errors import NotReady
from flask_engage.store.person import unsubscribe
from flask_engage.store.retry import persistently

_HEADERS: Final = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address is a key
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}

_PAGE: Final = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><title>{title}</title>'
    '<link rel="stylesheet" href="{stylesheet}"></head>'
    '<body><main><h1 dir="auto">{title}</h1><p>{text}</p>{form}</main></body></html>'
)

_FORM: Final = Markup(
    '<form method="post"><button name="confirm" value="unsubscribe">Unsubscribe</button></form>'
)


def make_links_blueprint() -> Blueprint:
    """Return the blueprint ``engage_links``, to be mounted at ``<prefix>/t``."""
    blueprint = Blueprint("engage_links", __name__)
    blueprint.add_url_rule("/page.css", "stylesheet", stylesheet)
    blueprint.add_url_rule("/u/<token>", "confirm", confirm, methods=["GET"])
    blueprint.add_url_rule("/u/<token>", "unsubscribe", act, methods=["POST"])
    return blueprint


def confirm(token: str) -> Response:
    """Ask whether the bearer of `token` really wants no more mail; changes nothing."""
    state = current_state()
    if _person_of(state, token) is None:
        return _unknown()
    sender = _sender(state)
    return _page(
        f"No more mail from {sender}?",
        "You will get no more messages by mail. Mail that you ask for yourself, such as a new "
        "password, still reaches you.",
        form=_FORM,
    )


def act(token: str) -> Response:
    """Unsubscribe the bearer of `token`: at once, for good, any number of times."""
    state = current_state()
    public_id = _person_of(state, token)
    if public_id is None:
        return _unknown()
    one_click = request.form.get("List-Unsubscribe") == "One-Click"
    if not one_click and request.form.get("confirm") != "unsubscribe":
        return _page("That did not say what to do", "Use the button on the page.", status=400)
    done = False
    with state.guard.guarded("unsubscribing"):
        done = _unsubscribe(state, public_id)
    if not done:
        response = _page("Not now", "Something is out of order. Please try again later.", 503)
        response.headers["Retry-After"] = "60"
        return response
    if one_click:
        return _finished(Response("", mimetype="text/plain"))
    return _page("Done", f"You will get no more mail from {_sender(state)}.")


def stylesheet() -> Response:
    """Return the stylesheet of these pages."""
    css = resources.files(__package__).joinpath("static", "links.css").read_bytes()
    response = Response(css, mimetype="text/css")
    response.headers["Cache-Control"] = "max-age=3600"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _person_of(state: EngageState, token: str) -> str | None:
    """Return the public id in `token`, or None if we did not sign it."""
    public_id = None
    if keys := secret_keys_of(current_app.config):
        with state.guard.guarded("reading an unsubscribe link"):
            public_id = read_unsubscribe_token(keys, token)
    return public_id


def _unsubscribe(state: EngageState, public_id: str) -> bool:
    """Tell whether the wish is in the database. Somebody unknown gets no mail either."""
    try:
        database = state.ready.require()
    except NotReady:
        return False
    now = state.clock()
    persistently(database, lambda session: unsubscribe(session, public_id, now))
    return True


def _sender(state: EngageState) -> str:
    """Return the name that mail comes under."""
    if state.settings.PRODUCT_NAME:
        return state.settings.PRODUCT_NAME
    name, address = parseaddr(state.settings.MAIL_FROM or "")
    return name or address or "us"


def _unknown() -> Response:
    return _page(
        "This link leads nowhere",
        "It may have been cut on its way. Use the link in the mail itself.",
        status=404,
    )


def _page(title: str, text: str, status: int = 200, form: Markup | None = None) -> Response:
    address = request.script_root + current_state().settings.URL_PREFIX + "/t/page.css"
    html = _PAGE.format(title=title, text=text, stylesheet=address, form=form or "")
    return _finished(Response(html, status=status))


def _finished(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
