"""The addresses of the dashboard, what each asks of an operator, and the gate before them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, abort, g, request

from .._state import current_state
from ..errors import InvalidFilter, NotReady
from ..store.trouble import DATABASE_ERRORS, is_passing
from ..types import Role
from . import (
    access,
    assets,
    compose,
    csrf,
    health,
    messages,
    overview,
    pages,
    people,
    person,
    rules,
)
from .language import gettext as _

_LARGEST_FORM: Final = 512 * 1024
"""Bytes. A message has at most 64 KiB, and percent signs triple some of them."""
_OTHERS: Final = ("/widget", "/t", "/api")
"""Paths under our prefix that are other blueprints', and public."""
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Route(NamedTuple):
    """One address."""

    rule: str
    endpoint: str
    view: Callable[..., Any]
    writes: Role | None = None
    """Who may POST here; None: there is nothing to post."""
    reads: Role = "read"


ROUTES: Final = (
    Route("/", "overview", overview.show),
    Route("/people", "people", people.show),
    Route("/people/filter", "change_filter", people.change_filter),
    Route("/people/<public_id>", "person", person.show),
    Route("/messages", "messages", messages.show_all),
    Route("/messages/new", "compose", compose.show, writes="edit", reads="edit"),
    Route("/messages/preview", "preview", compose.preview, writes="edit", reads="edit"),
    Route("/messages/<path:source>", "message", messages.show),
    Route("/rules", "rules", rules.show_all),
    Route("/rules/<path:name>", "rule", rules.show, writes="edit"),
    Route("/health", "health", health.show),
    Route("/static/<name>", "asset", assets.show),
)
_BY_ENDPOINT: Final = {f"{pages.NAME}.{route.endpoint}": route for route in ROUTES}


def make_blueprint() -> Blueprint:
    """Return the blueprint ``engage_dashboard``, to be mounted at ``ENGAGE_URL_PREFIX``."""
    blueprint = Blueprint(pages.NAME, __name__)
    for route in ROUTES:
        blueprint.add_url_rule(
            route.rule,
            route.endpoint,
            route.view,
            methods=["GET"] if route.writes is None else ["GET", "POST"],
            # A redirect to the tidy address would tell that there is something.
            strict_slashes=False if route.rule == "/" else None,
            merge_slashes=False,
        )
    blueprint.before_request(_gate)
    blueprint.before_app_request(_keep_hidden)
    blueprint.after_request(_finish)
    blueprint.register_error_handler(NotReady, _not_ready)
    blueprint.register_error_handler(InvalidFilter, _bad_filter)
    for error in DATABASE_ERRORS:
        blueprint.register_error_handler(error, _database_away)
    return blueprint


def _gate() -> Response | None:
    """Let operators in, in the role that the address asks for, and forms of ours only."""
    g._engage_operator = None
    g.pop("_engage_csrf", None)
    state = current_state()
    route = _BY_ENDPOINT[str(request.endpoint)]
    if route.endpoint == "asset" and assets.proves_itself(state):
        return None
    who = access.operator_now(state)
    if who is None:
        raise access.hide()
    g._engage_operator = who
    if not csrf.usable_keys(state):
        return pages.page(
            "problem.html",
            503,
            title=_("The app has no usable secret key"),
            text=_(
                "Forms are signed with the app's SECRET_KEY. Set it to at least 16 random bytes; "
                "until then the dashboard stays closed. The app itself is not affected."
            ),
        )
    role = route.reads if request.method in _READS else route.writes
    if role is not None and not who.may(role):
        return pages.page(
            "problem.html",
            403,
            title=_("Your role does not include this"),
            text=_(
                "You may look, but not write to people or change rules. "
                "Whoever runs the app can give you the role “edit”."
            ),
        )
    return None if request.method in _READS else _checked_form(who)


def _checked_form(who: Any) -> Response | None:
    state = current_state()
    request.max_content_length = request.max_form_memory_size = _LARGEST_FORM
    if (request.content_length or 0) > _LARGEST_FORM:
        return pages.page(
            "problem.html",
            413,
            title=_("This form is too large"),
            text=_("A message can have 64 KiB. Nothing was sent."),
        )
    if csrf.comes_from_us(request, state.settings.BASE_URL) and csrf.has_valid_token(state, who):
        return None
    return pages.page(
        "problem.html",
        400,
        title=_("This form can't be trusted"),
        text=_(
            "It does not come from a page of this dashboard in this browser, or its cookie is "
            "gone. Nothing was changed. Go back, load the page anew and send it again."
        ),
    )


def _keep_hidden() -> None:
    if request.routing_exception is None:
        return
    state = current_state()
    if access.hides_routing(state, _OTHERS):
        abort(404)


def _finish(response: Response) -> Response:
    if not access.is_let_in() and request.endpoint != f"{pages.NAME}.asset":
        return response
    if response.status_code == 404 and not access.is_let_in():
        return response
    csrf.keep_cookie(response, request.script_root + current_state().settings.URL_PREFIX)
    return pages.secure(response)


def _not_ready(error: NotReady) -> Response:
    return pages.page("problem.html", 503, title=_("The database can't be used"), text=str(error))


def _bad_filter(error: InvalidFilter) -> Response:
    return pages.page("problem.html", 400, title=_("This address can't be read"), text=str(error))


def _database_away(error: Exception) -> Response:
    if not is_passing(error):
        raise error
    state = current_state()
    state.guard.report("the dashboard", error)
    return pages.page(
        "problem.html",
        503,
        title=_("The database does not answer"),
        text=_(
            "Nothing is lost: what people do is kept on disk until it is back. "
            "If you have just sent something, send it again: nobody gets it twice."
        ),
    )
