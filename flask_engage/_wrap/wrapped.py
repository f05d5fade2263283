"""The WSGI callable: requests to us go to our Flask app, all others to the wrapped app."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .._state import state_of
from .answer import Answer, is_get, is_never_page, may_be_page
from .beside import HIDDEN
from .body import Lasting, close
from .visit import Visit

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask

    from .._state import EngageState


class WrappedApp:
    """A WSGI callable: the wrapped app with ours beside it. Made by :meth:`Engage.wrap`."""

    def __init__(self, wsgi_app: WSGIApplication, flask_app: Flask) -> None:
        self.wsgi_app = wsgi_app
        """The app that was wrapped."""
        self.flask_app = flask_app
        """The Flask app that holds the extension: sender of signals, home of the commands."""
        self._state: EngageState = state_of(flask_app)
        self._prefix = self._state.settings.URL_PREFIX
        self._below = self._prefix + "/"
        self._holds_pages = self._state.settings.INJECT_WIDGET != "off"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if not self._state.settings.ENABLED:
            return self.wsgi_app(environ, start_response)
        path = environ.get("PATH_INFO", "")
        if path.startswith(self._below) or path == self._prefix:
            return self._answer_ourselves(environ, start_response)
        return self._pass_on(environ, start_response)

    # --- ours ----------------------------------------------------------------------------------

    def _answer_ourselves(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        own, said = dict(environ), Answer(start_response, holds=lambda *_: True)
        body = self.flask_app(own, said)
        if own.get(HIDDEN):
            close(body)
            return self.wsgi_app(environ, start_response)
        said.release()
        return body

    # --- the wrapped app's ---------------------------------------------------------------------

    def _pass_on(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        holds = may_be_page if self._holds_pages and is_get(environ) else is_never_page
        answer = Answer(start_response, holds)
        with Visit(self, environ) as visit:
            body = self.wsgi_app(environ, answer)
            begun = answer.begun
            if begun:
                body = visit.finish(answer, body)
        if not begun:
            # A generator: its code runs when the server asks for the first piece.
            return LateAnswer(self, environ, answer, body)
        return Lasting(body, visit.end) if visit.lasts else body


class LateAnswer:
    """The body of an app that begins its answer only when it is asked for the first piece."""

    def __init__(
        self, wrapped: WrappedApp, environ: WSGIEnvironment, answer: Answer, body: Iterable[bytes]
    ) -> None:
        self._wrapped = wrapped
        self._environ = environ
        self._answer = answer
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._visit: Visit | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._pieces is None:
            self._pieces = iter(self._body)
            return self._begin(self._pieces)
        return next(self._pieces)

    def _begin(self, pieces: Iterator[bytes]) -> bytes:
        try:
            with Visit(self._wrapped, self._environ) as self._visit:
                visit = self._visit
                piece = next(pieces)
                whole = self._answer.held and len(piece) == self._answer.content_length
                if not whole:
                    self._answer.release()
                changed = visit.notice(self._answer, [piece] if whole else [])
                return piece if changed is None else changed
        finally:
            self._answer.release()

    def close(self) -> None:
        """Close what the wrapped app returned."""
        try:
            close(self._body)
        finally:
            if self._visit is not None:
                self._visit.end()
