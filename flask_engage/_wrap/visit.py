"""One request to the wrapped app: who got the answer, and what is written of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Final

from flask import Response, request
from flask.globals import request_ctx

from .answer import Answer, is_asset, is_said_to_be_whole
from .beside import ASSET, ENVIRON
from .body import Pieces, Rest, first_of

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from flask.ctx import RequestContext

    from .wrapped import WrappedApp

FIRST_FAILURE: Final = 400


class Visit:
    """One request to the wrapped app, as seen by the Flask app beside it."""

    __slots__ = ("_beneath", "_context", "_environ", "_state", "_wrapped")

    def __init__(self, wrapped: WrappedApp, environ: WSGIEnvironment) -> None:
        self._wrapped = wrapped
        self._state = wrapped._state
        self._environ = environ
        self._context: RequestContext | None = None
        self._beneath: Context | None = None
        """All context variables as they were when ours were on top."""

    def __enter__(self) -> Visit:
        # Pushed, so that ``engage.track()`` in the wrapped app's code knows who is here.
        with self._state.guard.guarded("beginning a request"):
            # A copy: nothing of ours is left in what the wrapped app and the server see.
            seen = dict(self._environ)
            seen[ENVIRON] = self._environ
            context = self._wrapped.flask_app.request_context(seen)
            context.push()
            self._context = context
            self._beneath = copy_context()
        return self

    def finish(self, answer: Answer, body: Iterable[bytes]) -> Iterable[bytes]:
        """Note who got this answer; return its body, with the tag if it is to have one."""
        first: list[bytes] = []
        pieces: Iterator[bytes] | None = None
        if answer.held and not isinstance(body, (list, tuple)):
            if not is_said_to_be_whole(answer, self._environ, body):
                answer.release()
            else:
                pieces = iter(body)
                first = first_of(pieces, body)
                if sum(map(len, first)) != answer.content_length:
                    answer.release()
        whole = body if isinstance(body, (list, tuple)) else first
        changed = self.notice(answer, whole)
        answer.release()
        if changed is not None:
            return Pieces([changed], body)
        return body if pieces is None else Rest(first, pieces, body)

    def notice(self, answer: Answer, whole: list[bytes] | tuple[bytes, ...]) -> bytes | None:
        """Do what is done after a Flask host's view; return the page if it was changed.

        `whole` is the body as a list or tuple; an empty one if it is not known yet.
        """
        if self._context is None or self._beneath is None or not answer.begun:
            return None
        with self._state.guard.guarded("noticing a request"):
            if self.lasts:
                # In ours: a Flask app inside would be asked who is here in its own.
                return self._beneath.run(self._notice, answer, whole)
            return self._notice(answer, whole)
        return None

    def _notice(self, answer: Answer, whole: list[bytes] | tuple[bytes, ...]) -> bytes | None:
        if answer.code >= FIRST_FAILURE:
            return None
        if is_asset(self._environ, answer):
            request.environ[ASSET] = True
        response = Response(whole, status=answer.status, headers=answer.headers)
        given = response.response
        self._wrapped.flask_app.process_response(response)
        if answer.held and response.response is not given:
            answer.headers = list(response.headers)
            return response.get_data()
        return None

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: object
    ) -> None:
        # A Flask app inside that streams has left its own context on top of ours.
        if self.lasts and error is None:
            return
        self.end(error)

    @property
    def lasts(self) -> bool:
        """Whether this can end only when the answer's body does."""
        context = self._context
        return context is not None and request_ctx._get_current_object() is not context  # type: ignore[attr-defined]

    def end(self, error: BaseException | None = None) -> None:
        """Write down what is to be written of this request."""
        context, self._context, self._beneath = self._context, None, None
        if context is not None:
            with self._state.guard.guarded("ending a request"):
                context.pop(error)
