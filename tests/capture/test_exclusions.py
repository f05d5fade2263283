"""Who is left out is decided once for each endpoint, method and browser, and stays the same."""

from __future__ import annotations

import sys

import pytest
from flask import Flask, Request
from flask.views import MethodView
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from flask_engage.capture import exclusions
from flask_engage.capture.exclusions import Exclusions, untracked
from flask_engage.settings import Settings

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36"
ROBOT = "Googlebot/2.1 (+http://www.google.com/bot.html)"


class Both(MethodView):
    def get(self) -> str:
        return ""

    @untracked
    def post(self) -> str:
        return ""


def host() -> Flask:
    app = Flask("host")
    app.add_url_rule("/page", "page", lambda: "")
    app.add_url_rule("/quiet", "quiet", untracked(lambda: ""))
    app.add_url_rule("/both", "both", view_func=Both.as_view("both"))
    app.add_url_rule("/left-out", "left_out", lambda: "")
    return app


def exclusions_of(app: Flask) -> Exclusions:
    return Exclusions(
        Settings(EXCLUDE=("left_out", "/export/*", _asks_for_raw_data)), app.view_functions
    )


def _asks_for_raw_data(request: Request) -> bool:
    return "raw" in request.query_string.decode()


def request_of(path: str, method: str = "GET", agent: str = BROWSER, **headers: str) -> Request:
    builder = EnvironBuilder(path, method=method, headers=[("User-Agent", agent), *headers.items()])
    return Request(builder.get_environ())


REQUESTS = st.tuples(
    st.sampled_from(["page", "both", "quiet", "left_out", "static", None]),
    st.sampled_from(["/page", "/export/people", "/engage", "/engage/people", "/page?raw"]),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from([BROWSER, ROBOT, "", BROWSER + " " * 600 + "bot", "x" * 600]),
    st.sampled_from([{}, {"Sec-Purpose": "prefetch"}, {"Purpose": "nothing"}]),
)


@given(st.lists(REQUESTS, max_size=20))
def test_what_was_asked_before_changes_no_answer(
    asked: list[tuple[str | None, str, str, str, dict[str, str]]],
) -> None:
    app = host()
    one = exclusions_of(app)
    for endpoint, path, method, agent, headers in asked:
        request = request_of(path, method, agent, **headers)
        by_parts = one.excludes_place(request.path, endpoint, method) or one.is_nobody(request)
        assert one.excludes(request, endpoint) == by_parts
        assert exclusions_of(app).excludes(request, endpoint) == by_parts


def test_neither_many_browsers_nor_long_names_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exclusions, "_MAX_REMEMBERED", 50)
    one = exclusions_of(host())
    for number in range(500):
        assert not one.excludes(request_of("/page", agent=f"{BROWSER} {number}"), "page")
        assert one.excludes(request_of("/page", agent=f"{ROBOT} {number}"), "page")
        assert not one.excludes(request_of("/page", agent=f"{number} {'x' * 100_000}"), "page")
    assert sum(map(sys.getsizeof, one.__dict__["_sorts"])) < 50_000
    assert max(len(agent) for _, _, agent in one.__dict__["_sorts"]) < 200
