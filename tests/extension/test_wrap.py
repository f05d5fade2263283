"""`engage.wrap`: a WSGI app that knows nothing of Flask gets capture, widget and dashboard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.validate import validator

import pytest
from flask import Flask, Response, has_app_context, request, stream_with_context
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_engage import Engage, Identity, Operator
from flask_engage.errors import InvalidSettings
from flask_engage.widget.injection import script_version
from tests._databases import migrated
from tests.extension._wsgi import (
    HTML,
    OTHERS,
    PAGE,
    PAGES,
    Closing,
    a_list,
    environ_of,
    length,
    serve,
)

TAG = (
    f'<script src="/engage/widget/engage.js?v={script_version()}" defer'
    ' data-engage="/engage/widget/"></script>'
).encode()
TAGGED = PAGE.replace(b"</body>", TAG + b"</body>")

Wrap = Callable[..., Any]


def user_of(environ: dict[str, Any]) -> str | None:
    morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("user")
    return morsel.value if morsel else None


@pytest.fixture
def engage() -> Engage:
    return Engage()


@pytest.fixture
def wrap(engage: Engage, tmp_path: Path) -> Iterator[Wrap]:
    """Wraps an app, with people in a database of the test's own."""
    made = []

    def wrap(app: Any, load_user: Any = user_of, *, config: Any = None, **options: Any) -> Any:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        with migrated("sqlite", folder) as url:
            config = {"TESTING": True, "SECRET_KEY": "a secret of sixteen bytes", **(config or {})}
            options.setdefault("db", url)
            wrapped = engage.wrap(app, load_user, root_path=folder, config=config, **options)
        made.append(wrapped)
        return wrapped

    yield wrap
    for wrapped in made:
        wrapped.flask_app.extensions["engage"].ready.database().dispose()


# --- what comes back ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("user", ["ada", None])
def test_any_other_answer_comes_back_as_it_is(wrap: Wrap, name: str, user: str | None) -> None:
    app = OTHERS[name]
    bare, ours = serve(app, environ_of(user=user)), serve(wrap(app), environ_of(user=user))
    assert ours.starts == bare.starts
    assert ours.written == bare.written
    assert ours.pieces == bare.pieces
    assert ours.error == bare.error
    if bare.started_before_iteration:  # else a page may still come, piece by piece
        assert ours.started_before_iteration


@pytest.mark.parametrize("name", PAGES)
def test_a_page_for_somebody_gets_one_tag_and_one_for_nobody_none(wrap: Wrap, name: str) -> None:
    app = PAGES[name]
    wrapped = wrap(app)
    bare, nobody, ada = (
        serve(app, environ_of()),
        serve(wrapped, environ_of()),
        serve(wrapped, environ_of(user="ada")),
    )
    assert (nobody.pieces, nobody.headers) == (bare.pieces, bare.headers)
    assert ada.body == TAGGED
    assert ada.status == bare.status
    assert ada.header("Vary") == "Cookie"
    sent = [h for h in ada.headers if h[0] not in ("Content-Length", "Vary")]
    assert sent == [h for h in bare.headers if h[0] != "Content-Length"]
    assert ada.header("Content-Length") == str(len(TAGGED))


def test_with_all_everybody_gets_the_same_bytes(wrap: Wrap) -> None:
    wrapped = wrap(a_list, config={"ENGAGE_INJECT_WIDGET": "all"})
    answers = [serve(wrapped, environ_of(user=user)) for user in ("ada", "bob", None)]
    assert {answer.body for answer in answers} == {TAGGED}
    assert {str(answer.headers) for answer in answers} == {str(answers[0].headers)}


@pytest.mark.parametrize("name", ["a_file", "an_iterable_without_length", "json", "empty"])
def test_what_is_not_changed_is_the_very_object_the_app_returned(wrap: Wrap, name: str) -> None:
    """A server knows its own file wrapper by its type, and sends the file in its own way."""
    ours = serve(wrap(OTHERS[name]), environ_of(user="ada"))
    assert ours.kind is serve(OTHERS[name], environ_of()).kind


@pytest.mark.parametrize("length_said", [True, False])
@pytest.mark.parametrize("user", ["ada", None])
def test_what_the_app_returned_is_closed_once(
    wrap: Wrap, length_said: bool, user: str | None
) -> None:
    body = Closing([PAGE])

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [HTML, length(PAGE)] if length_said else [HTML])
        return body

    assert serve(wrap(app), environ_of(user=user)).error is None
    assert body.closed == 1


@pytest.mark.parametrize("headers", [[HTML], [HTML, length(PAGE + PAGE)]])
def test_the_first_piece_is_sent_before_the_next_is_made(
    wrap: Wrap, headers: list[tuple[str, str]]
) -> None:
    made = []

    def app(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", headers)
        for number in range(2):
            made.append(number)
            yield PAGE

    body = iter(wrap(app)(environ_of(user="ada"), lambda *_: None))
    assert next(body) == PAGE
    assert made == [0]


def test_both_sides_keep_to_the_protocol(wrap: Wrap) -> None:
    """Seen from the server and from the app, by the standard library's own inspector."""
    strict = {**PAGES, **OTHERS}
    for name in ("a_list", "a_tuple_in_pieces", "a_generator_of_one_piece", "a_stream", "json"):
        wrapped = validator(wrap(validator(strict[name])))
        for user in ("ada", None):
            environ = environ_of(user=user)
            del environ["wsgi.file_wrapper"]
            heard = serve(wrapped, environ)
            assert (heard.error, heard.status) == (None, "200 OK"), name


# --- what the app sees -------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["ada", None])
def test_the_app_sees_the_request_as_it_came_and_so_does_the_server_afterwards(
    wrap: Wrap, user: str | None
) -> None:
    seen: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        seen.extend([environ, dict(environ), environ["wsgi.input"].read()])
        environ["app.user"] = user
        start("200 OK", [HTML])
        return [PAGE]

    def load_user(environ: dict[str, Any]) -> Any:
        return environ["app.user"]

    environ = environ_of("/form?a=1", "POST", data=b"a=1&b=2", user=user)
    before = dict(environ)
    assert serve(wrap(app, load_user), environ).error is None
    assert seen[0] is environ
    assert seen[1] == before
    assert seen[2] == b"a=1&b=2"
    assert environ == {**before, "app.user": user}


def test_nobody_reads_the_apps_input_but_the_app(
    wrap: Wrap, caplog: pytest.LogCaptureFixture
) -> None:
    from flask import request

    def nosy(environ: dict[str, Any]) -> Any:
        return request.form["user"]

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgi.input"].read()]

    environ = environ_of("/", "POST", data={"user": "eve"})
    with caplog.at_level(logging.WARNING):
        answer = serve(wrap(app, nosy, config={"ENGAGE_RAISE_ERRORS": False}), environ)
    assert answer.body == b"user=eve"
    assert "input stream is disabled" in caplog.text


def test_whatever_goes_wrong_with_us_is_not_felt(wrap: Wrap) -> None:
    def load_user(environ: dict[str, Any]) -> Any:
        raise ZeroDivisionError

    wrapped = wrap(a_list, load_user, config={"ENGAGE_RAISE_ERRORS": False})
    for _ in range(3):
        assert serve(wrapped, environ_of()).pieces == [PAGE]
    # A header that no Flask answer could have.
    odd = [HTML, ("X-Odd", "a\nb")]

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", odd)
        return [PAGE]

    answer = serve(wrap(app, config={"ENGAGE_RAISE_ERRORS": False}), environ_of(user="ada"))
    assert (answer.headers, answer.pieces) == (odd, [PAGE])


def test_switched_off_it_is_the_app_alone(wrap: Wrap) -> None:
    wrapped = wrap(a_list, config={"ENGAGE_ENABLED": False})
    assert serve(wrapped, environ_of(user="ada")).pieces == [PAGE]
    assert serve(wrapped, environ_of("/engage/", user="ada")).pieces == [PAGE]


def test_wrong_settings_are_told_at_once(wrap: Wrap) -> None:
    with pytest.raises(InvalidSettings, match=r"ENGAGE_URL_PREFIX.*\n.*ENGAGE_FLUSH_INTERVAL"):
        wrap(a_list, config={"ENGAGE_URL_PREFIX": "x", "ENGAGE_FLUSH_INTERVAL": -1})


# --- what we learn -----------------------------------------------------------------------------


def test_people_are_seen_and_what_they_do_is_linked_to_their_visit(
    engage: Engage, wrap: Wrap
) -> None:
    @engage.tracked("finished", properties=lambda response: {"status": response.status_code})
    def view(accepted: bool) -> None:
        assert engage.track("began", {"n": 1}) is accepted

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        view(user_of(environ) is not None)
        return a_list(environ, start)

    wrapped = wrap(app)
    for user in ("ada", "bob", None):
        assert serve(wrapped, environ_of("/?utm_source=news", user=user)).error is None
    # Outside of any request: the only app there is.
    engage.flush()
    people = {person.user_id: person for person in engage.people()}
    assert set(people) == {"ada", "bob"}
    assert (people["ada"].sessions, people["ada"].browser) == (1, "Firefox")
    assert people["ada"].utm_source == "news"
    assert engage.track("called", user="ada")
    from flask_engage import did

    assert engage.flush() == 1
    done = did("began").exactly(1) & did("finished").where(status=200).exactly(1)
    assert {person.user_id for person in engage.people(done)} == {"ada", "bob"}
    assert [person.user_id for person in engage.people(did("called"))] == ["ada"]


@pytest.mark.parametrize(
    ("app", "options"),
    [
        (OTHERS["missing"], {}),
        (OTHERS["raises_at_once"], {}),
        (a_list, {"method": "HEAD"}),
        (a_list, {"headers": {"Cookie": "user=ada", "Sec-Fetch-Dest": "image"}}),
        (a_list, {"path": "/static/a.css"}),
        (a_list, {"headers": {"Cookie": "user=ada", "User-Agent": "Googlebot/2.1"}}),
    ],
)
def test_what_is_no_visit_asks_nobody_and_counts_for_nobody(
    engage: Engage, wrap: Wrap, app: Any, options: dict[str, Any]
) -> None:
    asked = []

    def load_user(environ: dict[str, Any]) -> str | None:
        asked.append(environ)
        return user_of(environ)

    wrapped = wrap(app, load_user, config={"ENGAGE_EXCLUDE": "/static/*"})
    options.setdefault("headers", {"Cookie": "user=ada"})
    serve(wrapped, environ_of(**options))
    assert (asked, engage.flush(), engage.people().count()) == ([], 0, 0)


def test_parts_of_a_page_count_for_nobody(engage: Engage, wrap: Wrap) -> None:
    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", environ["PATH_INFO"][1:])])
        return [b"..."]

    wrapped = wrap(app, config={"ENGAGE_EXCLUDE": lambda request: request.path == "/text/plain"})
    for kind in ("image/png", "text/css", "text/javascript", "font/woff2", "text/plain"):
        serve(wrapped, environ_of(f"/{kind}", user="ada"))
    assert engage.flush() == 0
    serve(wrapped, environ_of("/text/csv", user="ada"))
    assert engage.flush() == 1


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (7, ("7", None, None)),
        (
            SimpleNamespace(id=8, email="bob@example.com", name="Bob"),
            ("8", "bob@example.com", "Bob"),
        ),
        (Identity("ada", email="ada@example.com", name="Ada"), ("ada", "ada@example.com", "Ada")),
        (SimpleNamespace(id=None, is_authenticated=False), None),
        (None, None),
    ],
)
def test_load_user_says_who_in_any_form(
    engage: Engage, wrap: Wrap, user: Any, expected: tuple[Any, ...] | None
) -> None:
    serve(wrap(a_list, lambda environ: user), environ_of(user="session"))
    engage.flush()
    found = [(p.user_id, p.email, p.name) for p in engage.people()]
    assert found == ([] if expected is None else [expected])


def test_registered_functions_hold_where_wrap_was_given_none(engage: Engage, wrap: Wrap) -> None:
    from flask import request

    @engage.load_user
    def load_user() -> str | None:
        return user_of(request.environ)

    @engage.identify
    def identify(user: Any) -> Any:
        return None if user.id == "staff" else Identity(user.id, name="Known")

    @engage.operator
    def operator() -> bool:
        return user_of(request.environ) == "olga"

    wrapped = wrap(a_list, None)
    serve(wrapped, environ_of(user="ada"))
    assert engage.flush() == 1
    assert serve(wrapped, environ_of("/engage/", user="olga")).status == "200 OK"
    other = wrap(a_list, lambda environ: SimpleNamespace(id=user_of(environ)))
    for user in ("staff", "eve"):
        serve(other, environ_of(user=user))
    with other.flask_app.app_context():
        assert engage.flush() == 1
        assert [(p.user_id, p.name) for p in engage.people()] == [("eve", "Known")]


def test_a_flask_app_inside_may_track_though_it_has_no_extension(
    engage: Engage, wrap: Wrap
) -> None:
    inner = Flask("inner")

    @inner.get("/")
    def home() -> bytes:
        assert engage.track("opened")
        return PAGE

    wrapped = wrap(DispatcherMiddleware(a_list, {"/shop": inner}))
    answer = serve(wrapped, environ_of("/shop/", user="ada"))
    assert answer.body == TAGGED
    assert serve(wrapped, environ_of("/", user="ada")).body == TAGGED
    assert engage.flush() == 3
    assert [person.user_id for person in engage.people()] == ["ada"]


@pytest.mark.parametrize("length_said", [True, False])
def test_a_flask_app_inside_may_stream_with_its_context(
    engage: Engage, wrap: Wrap, length_said: bool
) -> None:
    inner = Flask("inner")
    made = []

    @inner.get("/page")
    def streamed() -> Response:
        def parts() -> Iterator[bytes]:
            for piece in (b"<html>", b"", b"</html>"):
                made.append(piece)
                yield piece or request.path.encode()

        headers = {"Content-Length": "18"} if length_said else {}
        return Response(stream_with_context(parts()), mimetype="text/html", headers=headers)

    wrapped = wrap(inner)
    answer = serve(wrapped, environ_of("/page", user="ada"))
    assert answer.body == b"<html>/page</html>"
    assert not has_app_context()
    made.clear()
    body = wrapped(environ_of("/page", user="bob"), lambda *_: None)
    assert next(iter(body)) == b"<html>"
    assert made == [b"<html>"], "sent before the next is made"
    body.close()  # the browser has gone away in the middle
    assert not has_app_context()
    assert serve(wrapped, environ_of("/page")).body == b"<html>/page</html>"
    assert engage.flush() == 2
    assert {person.user_id for person in engage.people()} == {"ada", "bob"}


# --- ours --------------------------------------------------------------------------------------


def test_our_addresses_never_reach_the_app_and_all_others_do(wrap: Wrap) -> None:
    reached = []

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        reached.append(environ["PATH_INFO"])
        return a_list(environ, start)

    wrapped = wrap(app, operator=lambda environ: user_of(environ) == "olga")
    script = serve(wrapped, environ_of(f"/engage/widget/engage.js?v={script_version()}"))
    assert script.header("Content-Type") == "text/javascript; charset=utf-8"
    inbox = serve(wrapped, environ_of("/engage/widget/inbox", user="ada"))
    assert inbox.header("Cache-Control") == "private, no-store"
    dashboard = serve(wrapped, environ_of("/engage/", user="olga"))
    assert dashboard.status == "200 OK"
    assert b"</html>" in dashboard.body
    assert TAG not in dashboard.body
    assert reached == []
    for path in ("/", "/engaged", "/engagement/", "/my/engage/"):
        serve(wrapped, environ_of(path))
    assert reached == ["/", "/engaged", "/engagement/", "/my/engage/"]


@pytest.mark.parametrize("path", ["/engage", "/engage/", "/engage/people", "/engage/no-such-page"])
def test_to_others_the_dashboard_is_an_unknown_address_of_the_app(wrap: Wrap, path: str) -> None:
    missing = OTHERS["missing"]
    wrapped = wrap(missing, operator=lambda environ: Operator("o") if environ.get("x") else None)
    bare = serve(missing, environ_of(path, user="ada"))
    ours = serve(wrapped, environ_of(path, user="ada"))
    assert (ours.starts, ours.pieces) == (bare.starts, bare.pieces)


@pytest.mark.parametrize("path", ["/engage/", "/engage/rules/x", "/engage/messages/new"])
def test_so_it_is_when_something_is_posted_there(wrap: Wrap, path: str) -> None:
    def missing(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"nothing here for " + environ["wsgi.input"].read()]

    wrapped = wrap(missing, operator=lambda environ: False)
    answer = serve(wrapped, environ_of(path, "POST", data=b"a=1", user="ada"))
    assert (answer.status, answer.body) == ("404 Not Found", b"nothing here for a=1")


def test_one_engage_may_wrap_several_apps_that_share_nothing(engage: Engage, wrap: Wrap) -> None:
    first, second = wrap(a_list), wrap(a_list, lambda environ: "always")
    serve(first, environ_of(user="ada"))
    serve(second, environ_of(user="ada"))
    for wrapped, expected in ((first, ["ada"]), (second, ["always"])):
        with wrapped.flask_app.app_context():
            engage.flush()
            assert [person.user_id for person in engage.people()] == expected


def test_a_server_that_gives_no_write_function_is_served_as_well(wrap: Wrap) -> None:
    for name, app in (("a_list", a_list), ("json", OTHERS["json"])):
        body = wrap(app)(environ_of(user="ada"), lambda *_: None)
        assert list(body) == ([TAGGED] if name == "a_list" else [b'{"a": "</body>"}'])
