"""What the script in the browser is answered: to the one who is logged in, to nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect

import flask_engage
from flask_engage import Button, Engage, InApp
from flask_engage._state import state_of
from flask_engage.store.delivery import DeliveryEventRow, DeliveryRow
from flask_engage.store.engine import Database
from flask_engage.widget.injection import script, script_version
from tests._hosts import Host

SAME = {"Origin": "http://localhost"}
POPUP = InApp(
    title="New: export",
    body="Hello {{ name | default('there') }}, **six seconds**.",
    buttons=[Button("Try it", url="/export"), Button("Later")],
)


def log_in(app: Flask, user_id: int) -> FlaskClient:
    client = app.test_client()
    assert client.get(f"/login/{user_id}").status_code == 302
    return client


def inbox(client: FlaskClient) -> Any:
    """Return what the inbox says of messages; whose it is, is told beside."""
    response = client.get("/engage/widget/inbox")
    assert response.status_code == 200
    answer = response.json
    answer.pop("who", None)
    return answer


def report(client: FlaskClient, delivery: str, kind: str, **more: Any) -> int:
    body = {"delivery": delivery, "kind": kind, **more}
    return client.post("/engage/widget/seen", json=body, headers=SAME).status_code


def kinds(app: Flask) -> list[str]:
    with state_of(app).ready.require().read() as session:
        rows = session.query(DeliveryEventRow).order_by(DeliveryEventRow.id)
        return [row.kind for row in rows]


@pytest.fixture
def ada(app: Flask, make_person: Callable[..., int]) -> FlaskClient:
    return log_in(app, make_person("ada@example.com", name="Ada <b>L</b>"))


@pytest.fixture
def bob(app: Flask, make_person: Callable[..., int]) -> FlaskClient:
    return log_in(app, make_person("bob@example.com"))


@pytest.fixture
def send(app: Flask, engage: Engage) -> Callable[..., int]:
    def send(message: InApp = POPUP, to: Any = "1") -> int:
        with app.app_context():
            return engage.send(message, to=to)

    return send


def test_a_message_goes_its_whole_way(
    database: Database, app: Flask, ada: FlaskClient, send: Callable[..., int]
) -> None:
    assert inbox(ada) == {"message": None}
    assert send() == 1
    answer = inbox(ada)
    message = answer["message"]
    assert message["title"] == "New: export"
    assert message["style"] == "popup"
    assert "Hello Ada &lt;b&gt;L&lt;/b&gt;, <strong>six seconds</strong>" in message["html"]
    assert message["buttons"] == [
        {"label": "Try it", "url": "/export"},
        {"label": "Later", "url": None},
    ]
    assert answer["labels"] == {"close": "Close", "message": "Message"}
    delivery = message["delivery"]
    assert inbox(ada)["message"]["delivery"] == delivery  # until it is dealt with
    for kind in ("shown", "opened"):
        assert report(ada, delivery, kind) == 204
    assert report(ada, delivery, "clicked", button=0) == 204
    assert inbox(ada) == {"message": None}
    assert kinds(app) == ["shown", "opened", "clicked"]


def test_saying_it_twenty_times_counts_once(
    database: Database, app: Flask, ada: FlaskClient, send: Callable[..., int]
) -> None:
    send()
    delivery = inbox(ada)["message"]["delivery"]
    assert {report(ada, delivery, "shown") for _ in range(20)} == {204}
    assert kinds(app) == ["shown"]


def test_nobody_reads_or_answers_somebody_elses_message(
    app: Flask, ada: FlaskClient, bob: FlaskClient, send: Callable[..., int]
) -> None:
    send()
    delivery = inbox(ada)["message"]["delivery"]
    assert inbox(bob) == {"message": None}
    assert report(bob, delivery, "dismissed") == 404
    assert report(bob, delivery, "dismissed", user_id="1", person_id=1, user="1") == 404
    assert report(ada, "0" * 24, "shown") == 404
    assert kinds(app) == []
    assert inbox(ada)["message"]["delivery"] == delivery


def test_a_message_that_was_never_given_out_cannot_be_answered(
    app: Flask, ada: FlaskClient, send: Callable[..., int]
) -> None:
    send()
    with state_of(app).ready.require().read() as session:
        delivery = session.query(DeliveryRow).one().public_id
    assert report(ada, delivery, "clicked", button=0) == 404
    assert kinds(app) == []


def test_an_anonymous_visitor_gets_nothing_and_costs_no_database(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(state_of(app).ready), "require", lambda self: 1 / 0)
    assert inbox(client) == {}
    assert report(client, "0" * 24, "shown") == 401


def test_somebody_who_is_not_recorded_gets_nothing(
    app: Flask, engage: Engage, ada: FlaskClient, send: Callable[..., int]
) -> None:
    send()
    engage.identify(lambda user: None)
    assert inbox(ada) == {}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": '{"delivery":"x","kind":"shown"}', "content_type": "text/plain"}, 400),
        ({"data": {"delivery": "x", "kind": "shown"}}, 400),
        ({"json": {"delivery": "x", "kind": "shown"}, "headers": {"Origin": "null"}}, 400),
        ({"json": {"delivery": "x", "kind": "shown"}, "headers": {}}, 400),
        (
            {
                "json": {"delivery": "x", "kind": "shown"},
                "headers": {"Origin": "https://localhost.evil"},
            },
            400,
        ),
        ({"json": {"delivery": "x", "kind": "bounced"}}, 400),
        ({"json": {"delivery": "", "kind": "shown"}}, 400),
        ({"json": {"delivery": "x" * 65, "kind": "shown"}}, 400),
        ({"json": {"delivery": "a\x00b", "kind": "shown"}}, 400),
        ({"json": {"delivery": "ab\n", "kind": "shown"}}, 400),
        ({"json": {"delivery": 1, "kind": "shown"}}, 400),
        ({"json": {"delivery": "x", "kind": "clicked", "button": -1}}, 400),
        ({"json": {"delivery": "x", "kind": "clicked", "button": 10**400}}, 400),
        ({"json": {"delivery": "x", "kind": "clicked", "button": True}}, 400),
        ({"json": []}, 400),
        ({"data": b"", "content_type": "application/json"}, 400),
        ({"data": b"\xff\xfe", "content_type": "application/json"}, 400),
        ({"data": b"[" * 60_000, "content_type": "application/json"}, 400),
        ({"data": b'{"a":' * 10_000, "content_type": "application/json"}, 400),
        ({"data": b'{"delivery": NaN, "kind": 1e999}', "content_type": "application/json"}, 400),
        (
            {"data": b'{"delivery":"\\ud800","kind":"shown"}', "content_type": "application/json"},
            400,
        ),
        ({"data": b" " * (64 * 1024 + 1), "content_type": "application/json"}, 413),
    ],
)
def test_a_malformed_or_foreign_report_is_refused(
    app: Flask, ada: FlaskClient, options: dict[str, Any], status: int
) -> None:
    options.setdefault("headers", SAME)
    assert ada.post("/engage/widget/seen", **options).status_code == status
    assert kinds(app) == []


def test_get_reports_nothing(ada: FlaskClient) -> None:
    assert ada.get("/engage/widget/seen").status_code == 405


def test_what_is_personal_is_kept_by_no_cache(
    ada: FlaskClient, bob: FlaskClient, send: Callable[..., int]
) -> None:
    send()
    for client in (ada, bob, ada.application.test_client()):
        for response in (
            client.get("/engage/widget/inbox"),
            client.post("/engage/widget/seen", headers=SAME),
        ):
            assert response.headers["Cache-Control"] == "private, no-store"
            assert "Cookie" in response.headers["Vary"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_cache_that_keeps_its_rules_never_gives_one_the_others_inbox(
    ada: FlaskClient, bob: FlaskClient, send: Callable[..., int]
) -> None:
    send()
    cache: dict[str, Response] = {}

    def through(client: FlaskClient) -> Any:
        kept = cache.get("/engage/widget/inbox")
        response = kept or client.get("/engage/widget/inbox")
        if "no-store" not in response.headers["Cache-Control"]:
            cache["/engage/widget/inbox"] = response
        return response.json["message"]

    for _ in range(20):
        assert through(ada) is not None
        assert through(bob) is None


def test_the_hosts_csrf_protection_lets_reports_pass(
    app: Flask, make_person: Callable[..., int], send: Callable[..., int]
) -> None:
    CSRFProtect(app)
    ada = log_in(app, make_person())
    send()
    delivery = inbox(ada)["message"]["delivery"]
    assert ada.post("/exports").status_code == 400
    assert report(ada, delivery, "shown") == 204


def test_a_database_that_is_away_is_answered_quietly(
    app: Flask, ada: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Any) -> Any:
        raise flask_engage.NotReady("away")

    monkeypatch.setattr(type(state_of(app).ready), "require", away)
    assert inbox(ada) == {}
    assert report(ada, "x", "shown") == 503


def test_an_error_of_ours_is_answered_quietly(
    app_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_host.create_app(
        Engage(), ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), ENGAGE_RAISE_ERRORS=False
    )
    client = log_in(app, app_host.add_user(app))
    monkeypatch.setattr("flask_engage.widget.routes.person_id_of", lambda *_: 1 / 0)
    assert inbox(client) == {}
    assert report(client, "x", "shown") == 204
    assert client.get("/").status_code == 200
    assert state_of(app).guard.counts["the widget's inbox"] == 1


def test_our_own_endpoints_are_no_sightings(
    app: Flask, engage: Engage, ada: FlaskClient, send: Callable[..., int]
) -> None:
    engage.flush()
    send()
    delivery = inbox(ada)["message"]["delivery"]
    report(ada, delivery, "shown")
    ada.get("/engage/widget/engage.js")
    assert engage.flush() == 0


def test_listeners_hear_of_a_message_once(
    app: Flask, ada: FlaskClient, send: Callable[..., int]
) -> None:
    heard: list[tuple[str, str, str]] = []

    def listen(name: str) -> Callable[..., None]:
        def note(sender: Flask, user_id: str, source: str, channel: str) -> None:
            assert sender is app
            heard.append((name, user_id, channel))

        return note

    def broken(sender: Flask, **_: Any) -> None:
        raise RuntimeError("a listener's own error")

    names = ("message_sent", "message_opened", "message_clicked")
    with ExitStack() as stack:
        for name in names:
            signal = getattr(flask_engage, name)
            stack.enter_context(signal.connected_to(broken))
            stack.enter_context(signal.connected_to(listen(name)))
        send()
        delivery = inbox(ada)["message"]["delivery"]
        inbox(ada)
        for _ in range(2):
            assert report(ada, delivery, "opened") == 204
            assert report(ada, delivery, "clicked", button=0) == 204
    assert heard == [(name, "1", "in_app") for name in names]


# --- the script -------------------------------------------------------------------------------


def test_the_script_is_kept_for_a_year_under_the_name_of_its_content(client: FlaskClient) -> None:
    response = client.get(f"/engage/widget/engage.js?v={script_version()}")
    assert response.data == script()
    assert response.headers["Cache-Control"] == "max-age=31536000, immutable"
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("query", ["", "?v=0123456789abcdef"])
def test_another_versions_script_is_not_kept(client: FlaskClient, query: str) -> None:
    response = client.get(f"/engage/widget/engage.js{query}")
    assert response.headers["Cache-Control"] == "no-cache"
    again = client.get(
        f"/engage/widget/engage.js{query}", headers={"If-None-Match": response.headers["ETag"]}
    )
    assert again.status_code == 304


def test_the_script_stays_small() -> None:
    import gzip

    assert len(gzip.compress(script(), mtime=0)) < 10.5 * 1024


# --- the tag in a host's pages ----------------------------------------------------------------


def test_each_style_of_host_has_the_tag_in_pages_to_people(host: Host, app: Flask) -> None:
    bare = host.create_app().test_client().get("/")
    anonymous = app.test_client().get("/")
    assert (anonymous.data, list(anonymous.headers)) == (bare.data, list(bare.headers))
    user = log_in(app, host.add_user(app))
    page = user.get("/")
    assert page.data.count(b"engage.js?v=") == 1
    assert "Cookie" in page.headers["Vary"]
    assert page.content_length == len(page.data)
    assert b"engage.js" not in user.get("/missing").data
    assert "engage.js" not in json.dumps(user.get("/me").json)


@pytest.mark.parametrize(
    ("mode", "anonymous", "user"), [("all", 1, 1), ("users", 0, 1), ("off", 0, 0), (False, 0, 0)]
)
def test_the_setting_says_who_gets_the_tag(
    app_host: Host, tmp_path: Path, mode: Any, anonymous: int, user: int
) -> None:
    app = app_host.create_app(
        Engage(), ENGAGE_INJECT_WIDGET=mode, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal")
    )
    assert app.test_client().get("/").data.count(b"engage.js") == anonymous
    client = log_in(app, app_host.add_user(app))
    assert client.get("/").data.count(b"engage.js") == user


def test_a_template_can_place_the_tag_itself(app_host: Host, tmp_path: Path) -> None:
    from flask import render_template_string

    app = app_host.create_app(Engage(), ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"))
    page = "<html><head>{{ engage_widget() }}</head><body>x</body></html>"
    app.add_url_rule("/own", "own", lambda: render_template_string(page))
    client = log_in(app, app_host.add_user(app))
    for browser in (client, app.test_client()):
        placed = browser.get("/own").get_data(as_text=True)
        assert placed.count("engage.js") == 1
        assert placed.startswith('<html><head><script src="/engage/widget/engage.js?v=')


def test_a_page_that_the_host_excludes_is_left_alone(app_host: Host, tmp_path: Path) -> None:
    engage = Engage()
    app = app_host.create_app(engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"))
    page = "<html><body>x</body></html>"
    app.add_url_rule("/quiet", "quiet", engage.untracked(lambda: page))
    client = log_in(app, app_host.add_user(app))
    assert client.get("/quiet").get_data(as_text=True) == page


def test_a_broken_nonce_of_the_host_costs_the_tag_alone(app_host: Host, tmp_path: Path) -> None:
    app = app_host.create_app(
        Engage(),
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        ENGAGE_CSP_NONCE=lambda: request.no_such_attribute,  # type: ignore[attr-defined]
        ENGAGE_RAISE_ERRORS=False,
    )
    client = log_in(app, app_host.add_user(app))
    response = client.get("/")
    assert response.status_code == 200
    assert b"engage.js" not in response.data


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Purpose": "prefetch"}])
def test_only_our_script_fetches_a_message(headers: dict[str, str]) -> None:
    from werkzeug.test import EnvironBuilder
    from werkzeug.wrappers import Request

    from flask_engage.widget.origin import is_own_fetch

    assert not is_own_fetch(Request(EnvironBuilder(headers=headers).get_environ()))
    assert is_own_fetch(Request(EnvironBuilder().get_environ()))
    same = {"Sec-Fetch-Site": "same-origin"}
    assert is_own_fetch(Request(EnvironBuilder(headers=same).get_environ()))
