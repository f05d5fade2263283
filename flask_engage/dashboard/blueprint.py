"""The addresses of the dashboard, what each asks of an operator, and the gate before them all."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import MethodNotAllowed

from .._state import current_state
from ..errors import InvalidFilter, NotReady
from ..store.trouble import DATABASE_ERRORS, is_passing
from ..types import Role
from . import access, assets, csrf, pages
from .language import gettext as _

_LARGEST_FORM: Final = 512 * 1024
"""Bytes. A message has at most 64 KiB, and percent signs triple some of them."""
_LARGEST_UPLOAD: Final = 20 * 1024 * 1024 + _LARGEST_FORM
"""Bytes of a form with a file of people."""
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OTHER_METHODS: Final = (
    *("POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"),
    *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "REPORT"),
)
"""What else may be asked of an address. A wrong method would be answered 405 by Flask, but only
where there is something, so that the gate has to be asked first."""
_ALWAYS: Final = ("HEAD", "OPTIONS")
_WRONG_METHOD: Final = "wrong_method"


class _Views:
    """A module's views, each imported when it is first asked for: most processes show none."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def view(**values: Any) -> Any:
            return getattr(import_module(f".{self._module}", __package__), name)(**values)

        return view


attributes: Final = _Views("attributes")
builder: Final = _Views("builder")
compose: Final = _Views("compose")
data: Final = _Views("data")
design: Final = _Views("design")
dossier: Final = _Views("dossier")
enrichment: Final = _Views("enrichment")
events: Final = _Views("events")
health: Final = _Views("health")
messages: Final = _Views("messages")
neighbours: Final = _Views("neighbours")
notes: Final = _Views("notes")
overview: Final = _Views("overview")
palette: Final = _Views("palette")
people: Final = _Views("people")
people_bulk: Final = _Views("people_bulk")
people_export: Final = _Views("people_export")
person: Final = _Views("person")
rules: Final = _Views("rules")
saved: Final = _Views("saved")
transfers: Final = _Views("transfers")


class Route(NamedTuple):
    """One address."""

    rule: str
    endpoint: str
    view: Callable[..., Any]
    writes: Role | None = None
    """Who may POST here; None: there is nothing to post."""
    reads: Role = "read"
    largest: int = _LARGEST_FORM
    """Bytes of what is posted."""


ROUTES: Final = (
    Route("/", "overview", overview.show),
    Route("/people", "people", people.show),
    Route("/people/filter", "change_filter", people.change_filter),
    Route("/people/bulk", "people_bulk", people_bulk.change, writes="edit"),
    Route("/people/delete", "people_delete", people_bulk.delete, writes="admin"),
    Route("/people/export", "people_export", people_export.export, writes="edit"),
    Route("/filter-preview", "filter_preview", builder.preview),
    Route("/filter-values", "filter_values", builder.values),
    Route("/people-count", "people_count", people.count),
    Route("/find", "find", palette.find),
    Route("/segments", "segments", saved.change, writes="edit"),
    Route("/segment-counts", "segment_counts", saved.counts),
    Route("/people/<public_id>", "person", person.show),
    Route("/people/<public_id>/next", "next_person", neighbours.show_next),
    Route("/people/<public_id>/previous", "previous_person", neighbours.show_previous),
    Route("/people/<public_id>/avatar", "avatar", enrichment.show_avatar),
    Route("/people/<public_id>/story", "story", person.story),
    Route("/people/<public_id>/change", "change_person", notes.change, writes="edit"),
    Route("/people/<public_id>/attributes", "change_data", attributes.change, writes="edit"),
    Route("/people/<public_id>/json", "person_json", dossier.show, reads="edit"),
    Route("/people/<public_id>/export", "export_person", dossier.download, reads="edit"),
    Route("/people/<public_id>/erase", "erase_person", dossier.erase, "admin", "admin"),
    Route("/events", "events", events.show),
    Route("/events/<path:name>", "event", events.show_one),
    Route("/event", "event_named", events.show_one),
    Route("/event-rows", "event_rows", events.rows),
    Route("/catalogue", "catalogue", events.show_catalogue),
    Route("/data", "data", data.show),
    Route("/data-rows", "data_rows", data.rows),
    Route("/messages", "messages", messages.show_all),
    Route("/messages/new", "compose", compose.show, writes="edit", reads="edit"),
    Route("/messages/preview", "preview", compose.preview, writes="edit", reads="edit"),
    Route("/messages/<path:source>", "message", messages.show),
    Route("/rules", "rules", rules.show_all),
    Route("/rules/<path:name>", "rule", rules.show, writes="edit"),
    Route("/transfers", "transfers", transfers.show, "edit", "edit", _LARGEST_UPLOAD),
    Route("/transfers/export", "export", transfers.export, writes="edit", reads="edit"),
    Route("/transfers/<public_id>", "transfer", transfers.show_one, writes="edit", reads="edit"),
    Route("/transfers/<public_id>/progress", "progress", transfers.progress, reads="edit"),
    Route("/transfers/<public_id>/report", "report", transfers.report, reads="edit"),
    Route("/health", "health", health.show),
    Route("/design", "design", design.show),
    Route("/static/<name>", "asset", assets.show),
)
_BY_ENDPOINT: Final = {f"{pages.NAME}.{route.endpoint}": route for route in ROUTES}


def make_blueprint() -> Blueprint:
    """Return the blueprint ``engage_dashboard``, to be mounted at ``ENGAGE_URL_PREFIX``."""
    blueprint = Blueprint(pages.NAME, __name__)
    for route in ROUTES:
        methods = _methods(route)
        # A redirect to the tidy address would tell that there is something.
        tidy = {"strict_slashes": False if route.rule == "/" else None, "merge_slashes": False}
        blueprint.add_url_rule(route.rule, route.endpoint, route.view, methods=methods, **tidy)
        blueprint.add_url_rule(
            route.rule,
            _WRONG_METHOD,
            _refuse_method,
            methods=[method for method in _OTHER_METHODS if method not in methods],
            provide_automatic_options=False,
            **tidy,
        )
    blueprint.before_request(_gate)
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
    route = _BY_ENDPOINT.get(str(request.endpoint))
    if route is not None and route.endpoint == "asset" and assets.proves_itself(state):
        return None
    who = access.operator_now(state)
    if who is None:
        raise access.hide()
    g._engage_operator = who
    if route is None:
        return None  # a wrong method, which is said to whoever may know
    if request.method == "OPTIONS":
        return Response(headers={"Allow": ", ".join([*_methods(route), *_ALWAYS])})
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
            text=_("Only an admin may do this. Whoever runs the app can give you the role “admin”.")
            if role == "admin"
            else _(
                "You may look, but not write to people or change rules. "
                "Whoever runs the app can give you the role “edit”."
            ),
        )
    return None if request.method in _READS else _checked_form(who, route.largest)


def _checked_form(who: Any, largest: int) -> Response | None:
    state = current_state()
    request.max_content_length, request.max_form_memory_size = largest, _LARGEST_FORM
    if (request.content_length or 0) > largest:
        return pages.page(
            "problem.html",
            413,
            title=_("This form is too large"),
            text=_("A message can have 64 KiB. Nothing was sent.")
            if largest == _LARGEST_FORM
            else _(
                "A file of people can have 20 MiB here. Nothing was kept. Larger ones go in with "
                "“flask engage import”, or in pieces."
            ),
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


def _methods(route: Route) -> list[str]:
    return ["GET"] if route.writes is None else ["GET", "POST"]


def _refuse_method(**_values: Any) -> Response:
    """Say which methods the address has."""
    rule = str(request.url_rule)[len(current_state().settings.URL_PREFIX) :]
    route = next(route for route in ROUTES if route.rule == (rule or "/"))
    raise MethodNotAllowed([*_methods(route), *_ALWAYS])


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
