"""What the endpoint for browser events takes, what it refuses, and whose it becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect
from sqlalchemy import select
from werkzeug.test import TestResponse

import flask_engage
from flask_engage import Engage
from flask_engage._state import state_of
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow
from flask_engage.store.person import PersonRow
from flask_engage.store.session import SessionRow
from tests._clock import FakeClock
from tests._hosts import Host

URL = "/engage/widget/track"
SAME = {"Origin": "http://localhost"}


def log_in(app: Flask, user_id: int) -> FlaskClient:
    client = app.test_client()
    assert client.get(f"/login/{user_id}").status_code == 302
    return client


def token(client: FlaskClient) -> Any:
    return client.get("/engage/widget/inbox?who").json.get("who")


def event(name: Any = "clicked", id: Any = "event-001", **more: Any) -> dict[str, Any]:
    return {"type": "event", "id": id, "name": name, **more}


def page(path: Any = "/reports", id: Any = "page-0001", **more: Any) -> dict[str, Any]:
    return {"type": "page", "id": id, "path": path, **more}


def post(client: FlaskClient, *events: Any, who: Any = None, **options: Any) -> TestResponse:
    who = token(client) if who is None else who
    options.setdefault("headers", SAME)
    return client.post(URL, json={"who": who, "events": list(events)}, **options)


def rows(app: Flask, table: type[Any], user_id: int = 1) -> list[Any]:
    with state_of(app).ready.require().read() as session:
        query = select(table).join(PersonRow, PersonRow.id == table.person_id)
        return list(
            session.scalars(query.where(PersonRow.user_id == str(user_id)).order_by(table.id))
        )


@pytest.fixture
def ada(app: Flask, app_host: Host, engage: Engage) -> FlaskClient:
    client = log_in(app, app_host.add_user(app))
    engage.flush()
    return client


# --- what becomes of it -------------------------------------------------------------------------


def test_the_same_is_stored_once_for_each_person(
    database: Database, app: Flask, app_host: Host, engage: Engage, ada: FlaskClient
) -> None:
    bob = log_in(app, app_host.add_user(app, "bob@example.com"))
    for client in (ada, bob, ada, bob):  # ids that another's browser has used before
        answer = post(client, event(properties={"kind": "美咲", "n": 1.5}), page())
        assert answer.json == {"accepted": 2, "rejected": []}
        engage.flush()
    post(ada, page(), page(), page())
    engage.flush()
    for user_id in (1, 2):
        [row] = rows(app, EventRow, user_id)
        assert (row.name, row.properties) == ("clicked", {"kind": "美咲", "n": 1.5})
        [session] = rows(app, SessionRow, user_id)
        assert session.hits == 2  # the login and the page
        assert row.session_id == session.id


def test_who_only_clicks_for_hours_is_in_one_session(
    app: Flask, engage: Engage, ada: FlaskClient, clock: FakeClock
) -> None:
    for number in range(9):
        clock.advance(minutes=20)
        post(ada, event(id=f"event-{number:03}", path="/board"))
        engage.flush()
    [session] = rows(app, SessionRow)
    assert session.last_at - session.started_at == timedelta(hours=3)
    assert session.hits == 1
    assert {row.session_id for row in rows(app, EventRow)} == {session.id}
    clock.advance(minutes=31)
    post(ada, event(id="event-100", path="/board"))
    engage.flush()
    *_, session = rows(app, SessionRow)
    assert (session.landing_page, session.hits) == ("/board", 0)


@pytest.mark.parametrize(
    ("ago", "believed"), [(0, 0), (30_000, 30), (59_999.5, 59.9995), (60_001, 0), (1e300, 0)]
)
def test_a_browser_is_believed_for_a_minute(
    app: Flask, engage: Engage, ada: FlaskClient, clock: FakeClock, ago: float, believed: float
) -> None:
    clock.advance(minutes=5)
    assert post(ada, event(ago=ago)).json["accepted"] == 1
    engage.flush()
    [row] = rows(app, EventRow)
    assert abs(row.occurred_at - (clock.now - timedelta(seconds=believed))) < timedelta(
        milliseconds=1
    )


def test_pages_that_the_host_leaves_out_are_no_sightings(app_host: Host, tmp_path: Path) -> None:
    engage = Engage()
    app = app_host.create_app(
        engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), ENGAGE_EXCLUDE=["/admin/*", "report"]
    )
    app.add_url_rule("/quiet/<name>", "quiet", engage.untracked(lambda name: name))
    app.add_url_rule("/reports/<int:number>", "report", str)
    ada = log_in(app, app_host.add_user(app))
    paths = ["/admin/users", "/quiet/caf%C3%A9", "/reports/7", "/reports/all", "/engage/x"]
    events = [page(path, id=f"page-{number:04}") for number, path in enumerate(paths)]
    assert post(ada, *events, event(path="/admin/users")).json["accepted"] == 6
    engage.flush()
    assert [row.hits for row in rows(app, SessionRow)] == [2]  # the login, /reports/all
    assert [row.name for row in rows(app, EventRow)] == ["clicked"]


def test_a_function_of_the_host_leaves_pages_of_the_browser_out(
    app_host: Host, tmp_path: Path
) -> None:
    engage = Engage()
    app = app_host.create_app(
        engage,
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        ENGAGE_EXCLUDE=lambda request: request.path == "/café" or request.endpoint == "report",
    )
    app.add_url_rule("/reports/<int:number>", "report", str)
    ada = log_in(app, app_host.add_user(app))
    pages = [page(path, id=f"page-{len(path):04}") for path in ("/caf%C3%A9", "/reports/7", "/x/y")]
    assert post(ada, *pages).json["accepted"] == 3
    engage.flush()
    assert [row.hits for row in rows(app, SessionRow)] == [2]  # the login, /x/y


# --- whose it is --------------------------------------------------------------------------------


def test_the_body_names_nobody(
    app: Flask, app_host: Host, engage: Engage, ada: FlaskClient
) -> None:
    bob = log_in(app, app_host.add_user(app, "bob@example.com"))
    assert post(bob, event(), who=token(ada)).status_code == 409
    named = {"user": "1", "user_id": "1", "person_id": 1}
    body = {"who": token(bob), "events": [event(**named)], **named}
    assert bob.post(URL, json=body, headers=SAME).status_code == 200
    engage.flush()
    assert rows(app, EventRow, 1) == []
    assert len(rows(app, EventRow, 2)) == 1


def test_nobody_is_told_so_and_costs_no_database(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(state_of(app).ready), "require", lambda self: 1 / 0)
    assert token(client) is None
    assert post(client, event(), who="x").status_code == 401


def test_the_token_tells_nothing_and_outlives_a_change_of_keys(
    app: Flask, app_host: Host, ada: FlaskClient
) -> None:
    before = token(ada)
    assert len(before) == 32
    bob = log_in(app, app_host.add_user(app, "bob@example.com"))
    assert token(bob) != before
    old, new = app.config["SECRET_KEY"], "another secret of sixteen bytes"
    app.config.update(SECRET_KEY=new, SECRET_KEY_FALLBACKS=[old])
    assert token(ada) != before
    assert post(ada, event(), who=before).status_code == 200
    app.config["SECRET_KEY_FALLBACKS"] = []
    ada = log_in(app, 1)
    assert post(ada, event(), who=before).status_code == 409


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"ENGAGE_RESPECT_DNT": True}, {"DNT": "1"}),
        ({"ENGAGE_RESPECT_DNT": True}, {"Sec-GPC": "1"}),
        ({"ENGAGE_CONSENT": lambda request: "agreed" in request.cookies}, {}),
        ({"ENGAGE_EXCLUDE": lambda request: request.remote_addr == "127.0.0.1"}, {}),
        ({}, {"User-Agent": "Googlebot/2.1"}),
    ],
)
def test_nothing_is_recorded_of_those_who_are_left_out(
    app_host: Host, tmp_path: Path, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    engage = Engage()
    app = app_host.create_app(engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), **settings)
    ada = log_in(app, app_host.add_user(app))
    engage.flush()
    inbox = ada.get("/engage/widget/inbox", headers=headers)
    assert "who" not in inbox.json
    answer = post(ada, event(), page(), who="x", headers={**SAME, **headers})
    assert answer.status_code in (204, 401)
    assert engage.flush() == 0


def test_nothing_is_recorded_of_whom_identify_leaves_out(engage: Engage, ada: FlaskClient) -> None:
    whose = token(ada)
    engage.identify(lambda user: None)
    assert token(ada) is None
    assert post(ada, event(), who=whose).status_code == 401
    assert engage.flush() == 0


def test_who_is_asked_without_a_message_being_given_out(
    app: Flask, engage: Engage, make_person: Callable[..., int]
) -> None:
    ada = log_in(app, make_person())
    with app.app_context():
        engage.send(flask_engage.InApp(title="Hello"), to="1")
    assert ada.get("/engage/widget/inbox?who").json == {"who": token(ada)}
    first = ada.get("/engage/widget/inbox").json
    assert first["who"] == token(ada)
    assert first["message"]["title"] == "Hello"


def test_a_broken_consent_of_the_host_costs_no_message(app_host: Host, tmp_path: Path) -> None:
    engage = Engage()
    app = app_host.create_app(
        engage,
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        ENGAGE_CONSENT=lambda request: 1 / 0,
        ENGAGE_RAISE_ERRORS=False,
    )
    ada = log_in(app, app_host.add_user(app))
    with app.app_context():
        engage.sync()
        assert engage.send(flask_engage.InApp(title="Hello"), to="1") == 1
    answer = ada.get("/engage/widget/inbox").json
    assert "who" not in answer
    assert answer["message"]["title"] == "Hello"
    assert post(ada, event(), who="x").status_code in (401, 503)
    assert engage.flush() == 0


# --- when it can't be taken ---------------------------------------------------------------------


def test_a_database_that_is_away_keeps_nothing_from_being_taken(
    app: Flask, engage: Engage, ada: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def away(self: Any) -> Any:
            raise flask_engage.NotReady("away")

        patch.setattr(type(state_of(app).ready), "require", away)
        assert post(ada, event()).json["accepted"] == 1
    engage.flush()
    assert len(rows(app, EventRow)) == 1


def test_a_full_journal_asks_to_come_again_and_doubles_nothing(
    app_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_engage._setting_checks.JOURNAL_LEAST_BYTES", 1)
    engage = Engage()
    app = app_host.create_app(
        engage, ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), ENGAGE_JOURNAL_MAX_BYTES=8192
    )
    ada = log_in(app, app_host.add_user(app))
    events = [event(id=f"event-{number:03}", properties={"x": "x" * 500}) for number in range(20)]
    answer = post(ada, *events)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    for _ in range(3):
        engage.flush()
        post(ada, *events[:10])
    for _ in range(3):
        engage.flush()
        post(ada, *events[10:])
    engage.flush()
    assert len(rows(app, EventRow)) == 20


def test_too_many_at_once_come_again_later(
    app: Flask, app_host: Host, engage: Engage, ada: FlaskClient
) -> None:
    whose = token(ada)

    def fifty(start: int) -> list[Any]:
        return [event(id=f"event-{start + number:03}") for number in range(50)]

    assert [post(ada, *fifty(n * 50), who=whose).status_code for n in (0, 1)] == [200, 200]
    answer = post(ada, *fifty(100), who=whose)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 3
    bob = log_in(app, app_host.add_user(app, "bob@example.com"))
    assert post(bob, *fifty(0)).status_code == 200
    engage.flush()
    assert len(rows(app, EventRow)) == 100


def test_an_error_of_ours_asks_to_come_again(
    app_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_host.create_app(
        Engage(), ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"), ENGAGE_RAISE_ERRORS=False
    )
    ada = log_in(app, app_host.add_user(app))
    whose = token(ada)
    monkeypatch.setattr("flask_engage.widget.track.facts_of", lambda *_: 1 / 0)
    answer = post(ada, event(), who=whose)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert ada.get("/").status_code == 200


# --- what is wrong ------------------------------------------------------------------------------

BAD: list[tuple[bytes, str | None]] = [
    (b"null", None),
    (b"[]", None),
    (b'{"id": "event-001"}', "type"),
    (b'{"type": "page", "id": "event-001"}', "path"),
    (b'{"type": "page", "id": "event-001", "path": "x"}', "path"),
    (b'{"type": "event", "name": "a"}', "id"),
    (b'{"type": "event", "id": "event-001\\n", "name": "a"}', "id"),
    (b'{"type": "event", "id": "event-001"}', "name"),
    (b'{"type": "event", "id": "event-001", "name": ""}', "name"),
    (b'{"type": "event", "id": "event-001", "name": "a\\u0000b"}', "name"),
    (b'{"type": "event", "id": "event-001", "name": "\\ud800"}', "name"),
    (b'{"type": "event", "id": "event-001", "name": 1}', "name"),
    (b'{"type": "event", "id": "event-001", "name": "a", "ago": -1}', "ago"),
    (b'{"type": "event", "id": "event-001", "name": "a", "ago": NaN}', "ago"),
    (b'{"type": "event", "id": "event-001", "name": "a", "ago": 1%s}' % (b"0" * 400), "ago"),
    (b'{"type": "event", "id": "event-001", "name": "a", "properties": [1]}', "properties"),
    (b'{"type": "event", "id": "event-001", "name": "a", "properties": {"": 1}}', "properties"),
    *(
        (
            b'{"type": "event", "id": "event-001", "name": "a", "properties": {"a": %s}}' % value,
            "properties",
        )
        for value in (
            b"NaN",
            b"1e999",
            b"18446744073709551616",
            b'"\\ud800"',
            b'"\\u0000"',
            b"{}",
            b"[" * 500 + b"]" * 500,
            b'"%s"' % (b"x" * 17_000),
        )
    ),
]


def test_bad_events_cost_none_of_the_others(app: Flask, engage: Engage, ada: FlaskClient) -> None:
    good = [json.dumps(event(id=f"event-{number:03}")).encode() for number in (10, 11)]
    items = [good[0], *(item for item, _ in BAD), good[1]]
    body = b'{"who": "%s", "events": [%s]}' % (token(ada).encode(), b",".join(items))
    answer = ada.post(URL, data=body, content_type="application/json", headers=SAME)
    assert answer.status_code == 200
    assert answer.json["accepted"] == 2
    rejected = answer.json["rejected"]
    expected = [(index, field) for index, (_, field) in enumerate(BAD, start=1)]
    assert [(wrong["index"], wrong["field"]) for wrong in rejected] == expected
    assert all(0 < len(wrong["error"]) < 300 for wrong in rejected)
    engage.flush()
    assert [row.name for row in rows(app, EventRow)] == ["clicked", "clicked"]


UNREADABLE: list[tuple[dict[str, Any], int]] = [
    ({"data": b"{}", "content_type": "text/plain"}, 415),
    ({"data": {"who": "x"}}, 415),
    ({"headers": {}}, 403),
    ({"headers": {"Origin": "null"}}, 403),
    ({"headers": {"Origin": "https://localhost.evil"}}, 403),
    ({"headers": {**SAME, "Sec-Fetch-Site": "cross-site"}}, 403),
    ({"json": []}, 400),
    ({"json": {"who": "x"}}, 400),
    ({"json": {"who": "x", "events": []}}, 400),
    ({"json": {"who": "x", "events": {}}}, 400),
    ({"json": {"who": "x", "events": [{}] * 51}}, 400),
    ({"json": {"events": [{}]}}, 400),
    ({"json": {"who": 1, "events": [{}]}}, 400),
    ({"json": {"who": "é", "events": [{}]}}, 400),
    ({"data": b'{"who": "\\ud800", "events": [1]}'}, 400),
    ({"json": {"who": "x", "events": [{}]}}, 409),
    ({"data": b""}, 411),
    ({"data": b"\xff\xfe"}, 400),
    ({"data": b"\xef\xbb\xbf{}"}, 400),
    ({"data": '{"who": "x"}'.encode("utf-16")}, 400),
    ({"data": b"[" * 60_000}, 400),
    ({"data": b'{"a":' * 10_000}, 400),
    ({"data": b'{"who": ' + b"9" * 60_000 + b"}"}, 400),
    ({"data": b" " * (64 * 1024 + 1)}, 413),
    ({"data": b"{}", "headers": {**SAME, "Content-Length": "-1"}}, 400),
    ({"data": b"\x1f\x8b\x08\x00", "headers": {**SAME, "Content-Encoding": "gzip"}}, 400),
]


def test_what_can_not_be_read_is_refused_as_a_whole(engage: Engage, ada: FlaskClient) -> None:
    for options, status in UNREADABLE:
        sent = {"headers": SAME, **options}
        if "json" not in sent:
            sent = {"data": b"{}", **sent}
        if isinstance(sent.get("data"), bytes):
            sent.setdefault("content_type", "application/json")
        answer = ada.post(URL, **sent)
        assert answer.status_code == status, options
        assert set(answer.json["error"]) == {"code", "message", "field"}
    assert engage.flush() == 0


def test_a_body_of_unknown_length_is_refused(engage: Engage, ada: FlaskClient) -> None:
    from io import BytesIO

    answer = ada.post(
        URL,
        input_stream=BytesIO(b"{}"),
        content_type="application/json",
        headers={**SAME, "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 411


def test_a_host_that_takes_less_is_obeyed(app: Flask, ada: FlaskClient) -> None:
    whose = token(ada)
    app.config["MAX_CONTENT_LENGTH"] = 100
    assert post(ada, event(properties={"x": "x" * 100}), who=whose).status_code == 413


def test_looking_tracks_nothing(ada: FlaskClient) -> None:
    assert ada.get(URL).status_code == 405


def test_the_hosts_csrf_protection_lets_events_pass(app: Flask, app_host: Host) -> None:
    CSRFProtect(app)
    ada = log_in(app, app_host.add_user(app))
    assert ada.post("/exports").status_code == 400
    assert post(ada, event()).status_code == 200


def test_answers_are_kept_by_no_cache(ada: FlaskClient) -> None:
    for answer in (post(ada, event()), post(ada, who="x"), post(ada.application.test_client())):
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert "Cookie" in answer.headers["Vary"]
        assert "Set-Cookie" not in answer.headers
