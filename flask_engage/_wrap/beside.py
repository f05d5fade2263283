"""The Flask app that holds the extension of a wrapped app, and what it is told of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SecureCookieSessionInterface

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from werkzeug.routing import MapAdapter

ENVIRON: Final = "flask_engage.environ"
"""In our copy of a request's environment: the one that the wrapped app was given."""
ASSET: Final = "flask_engage.asset"
"""In our copy: the answer is a part of a page, such as a picture."""
HIDDEN: Final = "flask_engage.hidden"
"""In a request to us: whoever asks is to get what the wrapped app says to unknown addresses."""


class _Request(Request):
    """A request to us, or one to the wrapped app, whose body we can't read."""

    def __init__(
        self, environ: WSGIEnvironment, populate_request: bool = True, shallow: bool = False
    ) -> None:
        passing = ENVIRON in environ
        super().__init__(environ, populate_request and not passing, shallow or passing)


class _NoSessions(SecureCookieSessionInterface):
    """Flask's session is nobody's here: the wrapped app has its own."""

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002
        """Return one that holds nothing and is not kept."""
        return self.make_null_session(app)


class _Beside(Flask):
    """The Flask app that holds the extension of a wrapped app."""

    request_class = _Request
    session_interface = _NoSessions()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Look for an address of ours, unless the request is the wrapped app's."""
        if request is not None and ENVIRON in request.environ:
            return None
        return super().create_url_adapter(request)


def make_flask_app(name: str, root_path: str | Path | None, config: Mapping[str, Any]) -> Flask:
    """Return the Flask app that is to hold the extension, before it is attached."""
    root = Path(root_path or ".").resolve()
    app = _Beside(
        name, root_path=str(root), instance_path=str(root / "instance"), static_folder=None
    )
    app.config.update(config)
    given = app.config.get("ENGAGE_EXCLUDE", ())
    items = (given,) if callable(given) or isinstance(given, str) else tuple(given)
    app.config["ENGAGE_EXCLUDE"] = (*items, _is_part_of_page)

    @app.after_request
    def engage_hide(response: Response) -> Response:
        if response.status_code == 404 and request.blueprint in (None, "engage_dashboard"):
            from ..dashboard.access import is_let_in

            unread = "stream" not in vars(request)  # else nothing is left for the wrapped app
            request.environ[HIDDEN] = unread and not is_let_in()
        return response

    return app


def _is_part_of_page(current: Request) -> bool:
    return ASSET in current.environ


def given_environ(function: Callable[[WSGIEnvironment], Any] | None) -> Callable[[], Any] | None:
    """Return `function` so that it is given the environment of the request at hand."""
    if function is None:
        return None

    def ask() -> Any:
        environ = request.environ
        return plain(function(environ.get(ENVIRON, environ)))

    return ask


def plain(user: Any) -> Any:
    """Return the object behind one that Django loads lazily."""
    values = getattr(user, "__dict__", {})
    if "_wrapped" not in values or "_setupfunc" not in values:
        return user
    getattr(user, "pk", None)  # has it loaded
    return vars(user)["_wrapped"]
