"""From a host's request to the person who made it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, session
from flask.views import MethodView
from flask_login import LoginManager, UserMixin, current_user, login_fresh, login_user

from flask_engage import Engage, Identity, InvalidFact
from flask_engage._state import state_of
from flask_engage.capture.identity import current_user_id
from tests._hosts import Host
from tests.capture._requests import events, people, session_cookie


@pytest.fixture
def user_id(app: Flask, app_host: Host) -> int:
    return app_host.add_user(app, "ada@example.com", name="Ada")


def test_a_logged_in_user_becomes_a_person(app: Flask, client: Any, user_id: int) -> None:
    client.get(f"/login/{user_id}")
    client.get("/", headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"})
    assert people(app, "user_id", "email", "name", "session_count", "browser", "os", "device") == [
        (str(user_id), "ada@example.com", "Ada", 1, "Firefox", "Linux", "desktop")
    ]


def test_nobody_is_a_person_without_logging_in(app: Flask, client: Any, user_id: int) -> None:
    assert client.get("/").status_code == 200
    assert people(app) == []


def test_in_every_style_of_host_a_user_is_known(app: Flask, host: Host, client: Any) -> None:
    user_id = host.add_user(app, "ada@example.com", name="Ada")
    client.get(f"/login/{user_id}")
    client.get("/me")
    assert people(app, "user_id", "email") == [(str(user_id), "ada@example.com")]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("HEAD", "/", {}),
        ("OPTIONS", "/", {}),
        ("GET", "/missing", {}),
        ("GET", "/nowhere", {}),
        ("GET", "/static/none.css", {}),
        ("GET", "/", {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}),
        ("GET", "/", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", "/", {"Sec-Purpose": "Prefetch"}),
        ("GET", "/", {"Purpose": "prefetch"}),
        ("GET", "/", {"X-Purpose": "preview"}),
        ("GET", "/", {"X-Moz": "prefetch"}),
        ("GET", "/engage/", {}),
        ("GET", "/engage/widget/engage.js", {}),
    ],
)
def test_what_nobody_looked_at_is_no_sighting(
    app: Flask, client: Any, user_id: int, method: str, path: str, headers: dict[str, str]
) -> None:
    client.set_cookie("session", session_cookie(app, user_id))
    client.open(path, method=method, headers=headers)
    assert people(app) == []
    client.get("/")
    assert people(app) == [(str(user_id),)]


def test_what_the_host_excludes_is_no_sighting(
    app_host: Host, engage: Engage, tmp_path: Any
) -> None:
    app = app_host.create_app(
        engage,
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        ENGAGE_EXCLUDE=["me", "/exp*", lambda request: "quiet" in request.args],
        ENGAGE_RESPECT_DNT=True,
    )

    @app.get("/silent")
    @engage.untracked
    def silent() -> str:
        return "shh"

    client = app.test_client()
    client.set_cookie("session", session_cookie(app, app_host.add_user(app)))
    for path in ("/me", "/silent", "/?quiet=1"):
        assert client.get(path).status_code == 200
    assert client.post("/exports").status_code == 200
    client.get("/", headers={"DNT": "1"})
    client.get("/", headers={"Sec-GPC": "1"})
    assert people(app) == []
    client.get("/")
    assert len(people(app)) == 1


def test_a_request_that_fails_is_no_sighting(app: Flask, client: Any, user_id: int) -> None:
    client.set_cookie("session", session_cookie(app, user_id))
    with pytest.raises(RuntimeError, match="the host's own error"):
        client.get("/broken")
    app.testing, app.config["PROPAGATE_EXCEPTIONS"] = False, False
    assert client.get("/broken").status_code == 500
    app.testing = True
    assert people(app) == []


def test_looking_reads_no_session_that_the_page_left_alone(tmp_path: Any, engage: Engage) -> None:
    app = Flask("bare")
    app.config.update(SECRET_KEY="a secret of sixteen bytes", TESTING=True)
    app.config.update(ENGAGE_INJECT_WIDGET="off", ENGAGE_JOURNAL_DIR=str(tmp_path / "j"))

    @engage.load_user
    def load_user() -> Any:
        session["looked"] = session.get("looked", 0) + 1
        return session.get("uid")

    @app.get("/")
    def page() -> str:
        return "the same for everybody"

    @app.get("/login")
    def login() -> str:
        session["uid"] = "7"
        return "hello"

    engage.init_app(app, f"sqlite:///{tmp_path / 'e.sqlite3'}")
    client = app.test_client()
    client.get("/login")
    response = client.get("/")
    assert "Vary" not in response.headers
    assert "Set-Cookie" not in response.headers
    assert people(app) == [("7",)]


def _host_that_tracks_first(engage: Engage | None, folder: Any) -> Flask:
    """Make a host that tracks before Flask-Login has looked who it is."""
    app = Flask("tracks first")
    app.config.update(SECRET_KEY="a secret of sixteen bytes", TESTING=True)
    app.config.update(ENGAGE_INJECT_WIDGET="off", ENGAGE_JOURNAL_DIR=str(folder / "j"))
    login = LoginManager(app)

    class User(UserMixin):
        id = "7"

    login.user_loader(lambda _: User())

    @app.get("/login")
    def log_in() -> str:
        login_user(User(), remember=True)
        return "in"

    @app.get("/untouched")
    def untouched() -> str:
        if engage is not None:
            engage.track("looked")
        return "the same for everybody"

    @app.get("/secret")
    def secret() -> str:
        if engage is not None:
            engage.track("looked")
        return f"{current_user.is_authenticated} {login_fresh()}"

    if engage is not None:
        engage.init_app(app, f"sqlite:///{folder / 'e.sqlite3'}")
    return app


@pytest.mark.parametrize("how", ["another browser", "a strict one", "a remembered login"])
def test_a_login_that_is_not_fresh_stays_so_although_we_looked_first(
    tmp_path: Any, engage: Engage, how: str
) -> None:
    """Else whoever stole a cookie could do what asks for a password."""
    answers = []
    for ours in (None, engage):
        app = _host_that_tracks_first(ours, tmp_path)
        if how == "a strict one":
            app.config["SESSION_PROTECTION"] = "strong"
        client = app.test_client()
        client.get("/login", headers={"User-Agent": "One"})
        browser = {"User-Agent": "Two"}
        if how == "a remembered login":
            client.delete_cookie("session")
            browser = {"User-Agent": "One"}
        said = []
        for path in ("/untouched", "/secret", "/untouched", "/secret"):
            answer = client.get(path, headers=browser)
            names = [one.partition("=")[0] for one in answer.headers.getlist("Set-Cookie")]
            said.append((path, answer.text, names, answer.headers.get("Vary")))
        answers.append(said)
    assert answers[0] == answers[1]
    assert [names for path, _, names, _ in answers[0] if path == "/untouched"] == [[], []]
    assert answers[0][1][1].endswith("False")


def test_nobody_is_looked_up_without_a_sign_of_being_logged_in(
    app: Flask, app_host: Host, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    login = app.login_manager  # type: ignore[attr-defined]
    loader = login._user_callback
    monkeypatch.setattr(login, "_user_callback", lambda i: looked.append(i) or loader(i))
    client.get("/")
    assert looked == []
    user_id = app_host.add_user(app)
    client.set_cookie("session", session_cookie(app, user_id))
    client.get("/")
    assert looked == [str(user_id)]
    assert people(app) == [(str(user_id),)]


def test_a_user_whose_row_has_expired_costs_no_query(
    app: Flask, host: Host, client: Any, engage: Engage
) -> None:
    @app.get("/save")
    def save() -> str:
        with host.sessions() as own:
            user = own.merge(current_user._get_current_object())
            user.name = "Ada L."
            own.commit()
        from flask import g

        g._login_user = user
        counted.clear()
        return "saved"

    user_id = host.add_user(app)
    with app.app_context():
        engine = host.engine_of(app)
    counted: list[str] = []
    sa.event.listen(
        engine, "before_cursor_execute", lambda c, cur, statement, *_: counted.append(statement)
    )
    client.set_cookie("session", session_cookie(app, user_id))
    assert client.get("/save").status_code == 200
    assert counted == []
    assert people(app) == [(str(user_id),)]


def test_who_logs_in_during_the_request_is_seen(
    app: Flask, app_host: Host, client: Any, engage: Engage
) -> None:
    user_id = app_host.add_user(app)

    @app.get("/come-in")
    def come_in() -> str:
        assert engage.track("came") is False, "nobody yet"
        with app_host.sessions() as own:
            login_user(own.get(app_host.User, user_id))
        assert engage.track("entered")
        return "hello"

    client.get("/come-in")
    assert people(app, "user_id", "session_count") == [(str(user_id), 1)]
    [(name, session_id)] = events(app, "name", "session_id")
    assert name == "entered"
    assert session_id is not None


def test_identify_decides_what_is_known_and_who_is_not_recorded(
    app: Flask, app_host: Host, client: Any, engage: Engage
) -> None:
    @engage.identify
    def identify(user: Any) -> Identity | None:
        if user.is_admin:
            return None
        return Identity(f"u{user.id}", email=user.email, name="N\0N", attributes={"plan": "pro"})

    staff = app_host.add_user(app, "staff@example.com", is_admin=True)
    customer = app_host.add_user(app, "ada@example.com")
    for user_id in (staff, customer):
        client.get(f"/login/{user_id}")
        client.get("/")
    assert people(app, "user_id", "name", "attributes") == [
        (f"u{customer}", "NN", {"s:plan": "pro"})
    ]


def test_two_users_in_one_outer_app_context_are_not_mixed_up(app: Flask, app_host: Host) -> None:
    ids = [app_host.add_user(app, f"{n}@example.com") for n in range(2)]
    with app.app_context():
        for user_id in ids:
            client = app.test_client()
            client.set_cookie("session", session_cookie(app, user_id))
            from flask import g

            g.pop("_login_user", None)  # Flask-Login itself is fooled by the outer context
            client.get("/")
    assert people(app) == [(str(user_id),) for user_id in ids]


# --- what the host says itself ------------------------------------------------------------------


def test_tracked_views_are_recorded_when_they_succeed(
    app: Flask, client: Any, user_id: int, engage: Engage
) -> None:
    @app.get("/plain/<int:status>")
    @engage.tracked("plain", properties=lambda response: {"status": response.status_code})
    def plain(status: int) -> Any:
        return "body", status

    @app.get("/async")
    @engage.tracked("asynchronous", {"kind": "async"})
    async def asynchronous() -> str:
        return "later"

    class View(MethodView):
        @engage.tracked("class-based")
        def get(self) -> str:
            return "class"

    app.add_url_rule("/class", view_func=View.as_view("class"))

    @app.get("/raises")
    @engage.tracked("never")
    def raises() -> str:
        raise LookupError("the view's own")

    client.set_cookie("session", session_cookie(app, user_id))
    for path in ("/plain/200", "/plain/302", "/plain/404", "/plain/500", "/class"):
        client.get(path)
    with pytest.raises(LookupError, match="the view's own"):
        client.get("/raises")
    expected = [
        ("class-based", {}),
        ("plain", {"status": 200}),
        ("plain", {"status": 302}),
    ]
    try:
        import asgiref  # noqa: F401
    except ImportError:
        pass
    else:
        client.get("/async")
        expected.insert(0, ("asynchronous", {"kind": "async"}))
    found = events(app, "name", "occurred_at", "properties")
    assert sorted((name, p.get("status", 0)) for name, _, p in found) == sorted(
        (name, p.get("status", 0)) for name, p in expected
    )


def test_a_tracked_function_may_be_called_without_a_request(engage: Engage) -> None:
    @engage.tracked("called")
    def view() -> str:
        return "answer"

    assert view() == "answer"


def test_a_wrong_name_is_an_error_where_it_is_written(app: Flask, engage: Engage) -> None:
    with pytest.raises(ValueError, match="event name"):
        engage.tracked(" ")
    with app.app_context():
        for name in ("", "x" * 65, "line\nbreak", None, 7):
            with pytest.raises(ValueError, match="event name"):
                engage.track(name, user=7)  # type: ignore[arg-type]
        for value in (float("nan"), 10**400, "\ud800", "nul\0", {"deep": 1}, [1], object()):
            with pytest.raises(ValueError, match="a"):
                engage.track("fine", {"a": value}, user=7)  # type: ignore[dict-item]


def test_what_is_given_for_a_user_may_be_an_id_or_an_object(
    app: Flask, app_host: Host, engage: Engage
) -> None:
    import uuid

    user_id = app_host.add_user(app)
    key = uuid.UUID(int=7)
    with app.app_context():
        with app_host.sessions() as own:
            user = own.get(app_host.User, user_id)
        for one in (user, user_id, str(user_id)):
            assert engage.track("did", user=one)
        assert engage.track("did", user=key)
        assert engage.seen(user=user, hits=3)
        assert engage.set_attributes({"plan": "pro"}, user=user_id)
        assert engage.increment("exports", user=user_id)
        with pytest.raises(ValueError, match="has no id"):
            engage.track("did", user=object())
    assert people(app, "user_id", "email", "attributes") == [
        (str(key), None, {}),
        (str(user_id), "ada@example.com", {"s:plan": "pro", "n:exports": 1}),
    ]


def test_without_a_user_outside_of_a_request_nothing_is_accepted(
    app: Flask, engage: Engage, caplog: pytest.LogCaptureFixture
) -> None:
    with app.app_context():
        assert engage.track("did") is False
    assert "needs user=" in caplog.text


def test_the_host_answers_while_our_database_is_away(
    app_host: Host, engage: Engage, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_host.create_app(
        engage,
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        ENGAGE_DATABASE_URL="postgresql+psycopg://127.0.0.1:1/nowhere",
    )
    client = app.test_client()
    client.set_cookie("session", session_cookie(app, app_host.add_user(app)))
    for _ in range(20):
        assert client.get("/").status_code == 200
    assert state_of(app).recorder.flush() == 0
    assert state_of(app).recorder.status().backlog_bytes > 20 * 50
    state_of(app).ready.database().dispose()


def test_a_hook_of_ours_that_raises_does_not_reach_the_host(
    app: Flask, client: Any, user_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.testing = False
    client.set_cookie("session", session_cookie(app, user_id))

    def broken(*_args: Any) -> None:
        raise ValueError("ours")

    monkeypatch.setattr("flask_engage.capture.hooks.recorded_identity", broken)
    assert client.get("/").status_code == 200
    assert state_of(app).guard.counts["noticing a request"] == 1
    with app.test_request_context("/"):
        assert current_user_id(state_of(app)) is None
    app.testing = True


def test_an_unwritable_journal_folder_is_told_at_the_start(
    app_host: Host, engage: Engage, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    app = app_host.create_app(engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "file" / "journal"))
    assert "ENGAGE_JOURNAL_DIR" in caplog.text
    with app.app_context():
        assert engage.track("did", user=7) is False
    client = app.test_client()
    client.set_cookie("session", session_cookie(app, app_host.add_user(app)))
    assert client.get("/").status_code == 200


def test_nobody_is_seen_in_the_future(app: Flask, engage: Engage) -> None:
    with app.app_context():
        with pytest.raises(InvalidFact, match="has come"):
            engage.seen("1", at=datetime.now(UTC) + timedelta(days=2))
        with pytest.raises(InvalidFact, match="has come"):
            engage.track("exported", user="1", at=datetime.now(UTC) + timedelta(days=2))


@pytest.mark.parametrize("ends", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("place", ["identify", "the recorder", "the widget"])
def test_what_ends_a_process_or_a_worker_is_not_held_up(
    app: Flask,
    client: Any,
    user_id: int,
    engage: Engage,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    ends: type[BaseException],
) -> None:
    def end(*_args: Any) -> None:
        raise ends

    client.set_cookie("session", session_cookie(app, user_id))
    if place == "identify":
        engage.identify(end)
    elif place == "the recorder":
        monkeypatch.setattr("flask_engage.capture.recorder.encode", end)
    else:
        monkeypatch.setattr("flask_engage.widget.injection.end_of_body", end)
    with pytest.raises(ends):
        client.get("/")
    assert state_of(app).guard.counts == {}


def test_an_error_of_ours_is_raised_as_it_is_where_the_developer_sees_it(
    app: Flask, client: Any, user_id: int, engage: Engage
) -> None:
    engage.identify(lambda user: user.no_such_column)
    client.set_cookie("session", session_cookie(app, user_id))
    with pytest.raises(AttributeError, match="no_such_column") as caught:
        client.get("/")
    assert caught.traceback[-1].name == "<lambda>"
    assert state_of(app).guard.counts == {"noticing a request": 1}


def test_requests_look_at_the_scheduler_seldom_but_at_once_in_a_forked_process(
    app: Flask, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = state_of(app).runner
    looked: list[int] = []
    really = runner.ensure_started
    monkeypatch.setattr(type(runner), "ensure_started", lambda _: (looked.append(1), really()))
    runner.look_at = 0.0
    client.get("/")
    assert len(looked) == 1
    assert runner.look_at > 0.0
    runner.look_at = float("inf")  # it has just been looked at
    client.get("/")
    assert len(looked) == 1
    child = os.fork()
    if not child:
        client.get("/")
        os._exit(0 if len(looked) == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
