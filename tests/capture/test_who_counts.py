"""Programs, and people who don't want it: what of their requests is recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, request, session
from flask.testing import FlaskClient
from flask.views import MethodView, View
from flask_login import current_user

from flask_engage import Engage
from flask_engage._state import state_of
from flask_engage.store.session import SessionRow
from tests._hosts import Host
from tests.capture._recorders import table
from tests.capture._requests import events, people, session_cookie

Make = Callable[..., Flask]
BEARER = {"Authorization": "Bearer 1"}
TAG = b"engage.js"


@pytest.fixture
def make(app_host: Host, engage: Engage, tmp_path: Path) -> Make:
    """Makes the app, with a page that tracks an event; a bearer token is a user's id."""

    def make(**settings: Any) -> Flask:
        app = app_host.create_app(engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), **settings)
        app_host.add_user(app)

        @app.login_manager.request_loader  # type: ignore[attr-defined]
        def load_from_header(current: Any) -> Any:
            _, _, number = current.headers.get("Authorization", "").partition("Bearer ")
            if not number:
                return None
            with app_host.sessions() as own:
                return own.get(app_host.User, int(number))

        @app.get("/do")
        def do() -> dict[str, bool]:
            return {"tracked": engage.track("did")}

        return app

    return make


def browser(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.set_cookie("session", session_cookie(app, 1))
    return client


def sessions(app: Flask) -> list[tuple[Any, ...]]:
    return table(state_of(app).ready.require(), SessionRow, "hits")


# --- programs ------------------------------------------------------------------------------------


def test_a_program_is_nobody_who_was_here_but_what_it_does_is_recorded(make: Make) -> None:
    app = make()
    client = app.test_client()
    assert client.get("/", headers=BEARER).status_code == 200
    assert people(app) == []
    assert client.get("/do", headers=BEARER).json == {"tracked": True}
    assert events(app, "name", "session_id") == [("did", None)]
    assert people(app, "user_id", "session_count") == [("1", 0)]
    assert sessions(app) == []
    assert TAG not in client.get("/", headers=BEARER).data


def test_the_host_may_count_programs_too(make: Make) -> None:
    app = make(ENGAGE_SEEN_BY_API=True)
    app.test_client().get("/do", headers=BEARER)
    assert people(app, "user_id", "session_count") == [("1", 1)]
    assert sessions(app) == [(1,)]
    [(session_id,)] = events(app, "session_id")
    assert session_id is not None


def test_a_browser_is_one_though_its_requests_carry_a_password_for_the_site(make: Make) -> None:
    app = make()
    browser(app).get("/", headers={"Authorization": "Basic c3RhZ2luZzpzdGFnaW5n"})
    assert people(app, "user_id", "session_count") == [("1", 1)]


def test_whom_the_other_cookie_remembers_is_seen(make: Make) -> None:
    app = make()
    client = app.test_client()
    client.get("/login/1?remember=1")
    client.delete_cookie("session")
    client.get("/")
    client.delete_cookie("session")
    client.get("/do")
    assert people(app, "user_id", "session_count") == [("1", 1)]
    assert sessions(app) == [(3,)]


def test_a_session_whose_user_is_gone_makes_no_browser_of_a_program(make: Make) -> None:
    app = make()
    client = app.test_client()
    client.set_cookie("session", session_cookie(app, 99))
    assert client.get("/me", headers=BEARER).json == {"id": "1"}
    assert people(app) == []


@pytest.mark.parametrize(
    ("headers", "environ", "seen"),
    [
        ({"X-Api-Key": "7"}, {}, False),
        ({"Authorization": "Bearer 7"}, {}, False),
        ({"Authorization": "Bearer 7", "Cookie": "theme=dark"}, {}, False),
        ({"Authorization": "Basic Nzo3", "Cookie": "token=7"}, {}, True),
        ({"Cookie": "token=7"}, {}, True),
        ({"Authorization": "Negotiate x"}, {"REMOTE_USER": "7"}, True),
        ({"X-Log-In": "now"}, {}, True),
    ],
)
def test_with_the_hosts_own_login_the_request_tells_who_sent_it(
    tmp_path: Path, engage: Engage, headers: dict[str, str], environ: dict[str, str], seen: bool
) -> None:
    app = Flask("bare")
    app.config.update(SECRET_KEY="a secret of sixteen bytes", TESTING=True)
    app.config.update(ENGAGE_JOURNAL_DIR=str(tmp_path / "j"))
    engage.load_user(lambda: "7")

    @app.get("/")
    def page() -> str:
        if "X-Log-In" in request.headers:
            session["uid"] = 7
        return "page"

    engage.init_app(app, f"sqlite:///{tmp_path / 'e.sqlite3'}")
    client = app.test_client(use_cookies=False)
    client.get("/", headers=headers, environ_overrides=environ)
    assert people(app) == ([("7",)] if seen else [])
    state_of(app).ready.database().dispose()


# --- consent -------------------------------------------------------------------------------------


def test_without_consent_nothing_of_a_request_is_recorded(make: Make, engage: Engage) -> None:
    asked: list[str] = []

    def consent(current: Any) -> bool:
        asked.append(current.path)
        return "consent" in current.cookies

    app = make(ENGAGE_CONSENT=consent)

    @app.get("/all")
    def everything() -> dict[str, bool]:
        return {
            "track": engage.track("did"),
            "seen": engage.seen(),
            "set": engage.set_attributes({"plan": "pro"}),
            "add": engage.increment("n"),
        }

    client = browser(app)
    bare = client.get("/")
    assert TAG not in bare.data
    assert "Set-Cookie" not in bare.headers
    assert client.get("/all").json == {"track": False, "seen": False, "set": False, "add": False}
    assert asked == ["/", "/all"], "once a request"
    assert people(app) == events(app) == []

    client.set_cookie("consent", "yes")
    assert TAG in client.get("/").data
    assert all(client.get("/all").json.values())
    assert people(app) == [("1",)]


def test_what_the_host_says_of_somebody_itself_needs_no_consent_of_the_request(
    make: Make, engage: Engage
) -> None:
    app = make(ENGAGE_CONSENT=lambda _: False, ENGAGE_RESPECT_DNT=True)

    @app.get("/named")
    def named() -> dict[str, bool]:
        return {"tracked": engage.track("did", user=current_user)}

    assert browser(app).get("/named", headers={"DNT": "1"}).json == {"tracked": True}
    assert events(app, "name", "session_id") == [("did", None)]
    assert sessions(app) == []


def test_a_consent_that_fails_is_none_and_is_not_asked_again(
    make: Make, engage: Engage, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def consent(current: Any) -> bool:
        asked.append(current.path)
        raise RuntimeError("the host's own")

    app = make(ENGAGE_CONSENT=consent, ENGAGE_RAISE_ERRORS=False)
    response = browser(app).get("/do")
    assert (response.status_code, response.json) == (200, {"tracked": False})
    assert asked == ["/do"]
    assert people(app) == events(app) == []
    assert "looking who is logged in failed" in caplog.text


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
def test_a_browser_that_refuses_is_respected_where_the_host_says_so(
    make: Make, header: str
) -> None:
    app = make(ENGAGE_RESPECT_DNT=True)
    client = browser(app)
    assert client.get("/do", headers={header: "1"}).json == {"tracked": False}
    assert TAG not in client.get("/", headers={header: "1"}).data
    assert people(app) == events(app) == []
    assert client.get("/do", headers={header: "0"}).json == {"tracked": True}
    assert people(app) == [("1",)]


# --- what the host leaves out --------------------------------------------------------------------


@pytest.mark.parametrize(
    "exclude",
    [
        ["do"],
        "do",
        ["/do"],
        ["/d*"],
        lambda current: current.path == "/do",
        ["nothing", lambda current: current.endpoint == "do"],
    ],
)
def test_everything_of_a_page_can_be_named_to_leave_it_out(make: Make, exclude: Any) -> None:
    app = make(ENGAGE_EXCLUDE=exclude)
    browser(app).get("/do")
    assert sessions(app) == []
    browser(app).get("/")
    people(app)
    assert sessions(app) == [(1,)]


def test_views_of_every_kind_can_be_left_out(make: Make, engage: Engage) -> None:
    app = make(ENGAGE_EXCLUDE=["outside.inside"])
    outside, inside = Blueprint("outside", __name__), Blueprint("inside", __name__)
    outside.add_url_rule("/a", view_func=engage.untracked(lambda: "a"), endpoint="a")
    inside.add_url_rule("/b", view_func=lambda: "b", endpoint="b")
    outside.register_blueprint(inside)
    app.register_blueprint(outside, url_prefix="/out")

    @engage.untracked
    class Whole(MethodView):
        def get(self) -> str:
            return "get"

    class Part(MethodView):
        @engage.untracked
        def get(self) -> str:
            return "get"

        def post(self) -> str:
            return "post"

    class Old(View):
        @engage.untracked
        def dispatch_request(self) -> str:
            return "old"

    class Desk:
        def answer(self) -> str:
            return "desk"

    @app.get("/later")
    @engage.untracked
    async def later() -> str:
        return "later"

    @engage.untracked
    @app.get("/above")
    def above() -> str:
        return "above"

    for kind in (Whole, Part, Old):
        name = kind.__name__.lower()
        app.add_url_rule(f"/{name}", view_func=kind.as_view(name))
    app.add_url_rule("/desk", "desk", engage.untracked(Desk().answer))
    client = browser(app)
    for path in ("/out/a", "/out/b", "/whole", "/part", "/old", "/later", "/above", "/desk"):
        assert client.get(path).status_code == 200, path
    assert sessions(app) == people(app) == []
    assert client.post("/part").status_code == 200
    people(app)
    assert sessions(app) == [(1,)]
