"""Events from everywhere: jobs, threads, commands, decorated functions; and what they may hold."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, Response, request, stream_with_context

from flask_engage import Engage, InvalidFact
from tests._clock import START, FakeClock
from tests._hosts import Host
from tests.capture._requests import events, people, session_cookie


def test_a_job_that_is_decorated_is_the_event_of_its_user(app: Flask, engage: Engage) -> None:
    @engage.tracked("sent report", lambda result: {"pages": result})
    def send_report(pages: int, user: Any = None) -> int:
        if pages < 0:
            raise LookupError("the job's own")
        return pages

    @engage.tracked("closed account", user=lambda account: account["owner"])
    async def close_account(account: dict[str, Any]) -> str:
        return "closed"

    with app.app_context():
        assert send_report(3, 7) == 3
        assert send_report(pages=4, user="8") == 4
        assert send_report(5) == 5, "nobody's"
        with pytest.raises(LookupError, match="the job's own"):
            send_report(-1, 7)
        assert asyncio.run(close_account({"owner": 9})) == "closed"
    assert events(app, "name", "properties", "session_id") == [
        ("closed account", {}, None),
        ("sent report", {"pages": 3}, None),
        ("sent report", {"pages": 4}, None),
    ]
    assert people(app, "user_id", "session_count") == [("7", 0), ("8", 0), ("9", 0)]


def test_a_decorated_function_keeps_its_face(engage: Engage) -> None:
    @engage.tracked("did")
    def job(user: int, *, again: bool = False) -> str:
        """Do it."""
        return "done"

    assert (job.__name__, job.__doc__, job(1)) == ("job", "Do it.", "done")


def test_outside_of_an_app_a_decorated_function_says_that_nothing_is_recorded(
    engage: Engage, caplog: pytest.LogCaptureFixture
) -> None:
    assert engage.tracked("did")(lambda user: "done")(7) == "done"
    assert "'did' happened outside of an app" in caplog.text


def test_in_a_request_an_argument_named_user_is_not_who_did_it(
    app: Flask, app_host: Host, client: Any, engage: Engage
) -> None:
    ids = [app_host.add_user(app, f"{n}@example.com") for n in range(2)]

    @app.get("/profile/<user>")
    @engage.tracked("looked at a profile")
    def profile(user: str) -> str:
        return user

    @app.get("/invite/<email>/<int:status>")
    @engage.tracked("was invited", user=lambda email, status: email)
    def invite(email: str, status: int) -> Any:
        return email, status

    client.set_cookie("session", session_cookie(app, ids[0]))
    client.get(f"/profile/{ids[1]}")
    assert people(app) == [(str(ids[0]),)]
    client.get("/invite/bob/200")
    client.get("/invite/eve/400")
    assert [name for name, _ in events(app, "name", "id")] == ["looked at a profile", "was invited"]
    assert people(app, "user_id", "session_count") == [(str(ids[0]), 1), ("bob", 0)]


def test_a_decorated_function_that_cant_be_recorded_has_still_succeeded(
    app_host: Host, engage: Engage, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_host.create_app(
        engage, ENGAGE_RAISE_ERRORS=False, ENGAGE_JOURNAL_DIR=str(tmp_path / "j")
    )

    @engage.tracked("did", properties=lambda result: {"n": result["missing"]})
    def job(user: Any) -> dict[str, int]:
        return {}

    @engage.tracked("did", user=lambda: 1 / 0)
    def other() -> str:
        return "done"

    with app.app_context():
        assert (job(7), other()) == ({}, "done")
    assert events(app) == []
    assert "tracking 'did' failed" in caplog.text


def test_threads_and_commands_track_for_whom_they_name(app: Flask, engage: Engage) -> None:
    def work(number: int) -> None:
        with app.app_context():
            for again in range(5):
                assert engage.track("worked", {"by": number}, user=number, id=f"{number}-{again}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    @app.cli.command("close-month")
    def close_month() -> None:
        assert engage.track("month closed", user=0)
        assert engage.track("month closed") is False, "nobody's"

    assert app.test_cli_runner().invoke(args=["close-month"]).exit_code == 0
    found = events(app, "name")
    assert found == [("month closed",)] + [("worked",)] * 20
    assert people(app) == [("0",), ("1",), ("2",), ("3",)]


def test_the_same_id_is_the_same_event_and_the_past_is_the_past(
    app: Flask, engage: Engage, clock: FakeClock
) -> None:
    then = START - timedelta(days=400)
    with app.app_context():
        for _ in range(3):
            assert engage.track("paid", {"amount": 40}, user=7, at=then, id="inv-991")
        assert engage.track("refunded", user=7, id="inv-991")
        assert engage.track("paid", user=7, id="inv-992")
    assert events(app, "name", "occurred_at") == [
        ("paid", then),
        ("paid", START),
        ("refunded", START),
    ]


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"price": float("nan")}, "'price' is nan; expected a finite number"),
        (json.loads('{"price": 1e999}'), "'price' is inf; expected a finite number"),
        ({"price": 10**400}, "'price' is an integer of more than 64 bits; give it as text"),
        ({"title": "\ud800"}, "'title' holds a lone surrogate; decode the text first"),
        ({"title": "a\0b"}, "'title' holds a NUL character; strip it first"),
        ({"ti\0tle": 1}, "property's name holds a NUL character"),
        ({"tree": deep(3)}, "'tree' is .* not nested data"),
        ({"tree": deep(5000)}, "'tree' is .* not nested data"),
        ({"when": datetime(2026, 1, 1, tzinfo=UTC)}, "'when' is datetime"),
        ({str(n): n for n in range(65)}, "65 properties: expected at most 64"),
        ({"text": "x" * 17 * 1024}, "17412 bytes of properties: expected at most 16384"),
        ({"text": "ß" * 8192}, "16388 bytes of properties: expected at most 16384"),
        ({7: 1}, "property 7: expected a text"),
        ([("a", 1)], "expected a mapping"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_property_is_said_with_its_name_and_a_way_out(
    app: Flask, engage: Engage, properties: Any, says: str
) -> None:
    with app.app_context(), pytest.raises(InvalidFact, match=says):
        engage.track("fine", properties, user=7)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"user": 7, "id": "x" * 192}, "event id 'xxx.*expected 1 to 191 characters"),
        ({"user": 7, "id": "a\0"}, "event id holds a NUL"),
        ({"user": "\ud800"}, "user id holds a lone surrogate"),
        ({"user": "x" * 256}, "expected 1 to 255 characters"),
        ({"user": 10**400}, "at most 64 bits"),
        ({"user": 7, "at": datetime(2026, 1, 1)}, "has no time zone; pass an aware"),  # noqa: DTZ001
        ({"user": 7, "at": datetime(1969, 1, 1, tzinfo=UTC)}, "after 1970"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_an_argument_is_said(
    app: Flask, engage: Engage, arguments: dict[str, Any], says: str
) -> None:
    with app.app_context(), pytest.raises(InvalidFact, match=says):
        engage.track("fine", **arguments)


@pytest.mark.parametrize("mode", ["sync", "memory"])
def test_the_other_modes_record_the_same(
    app_host: Host, engage: Engage, tmp_path: Any, mode: str
) -> None:
    app = app_host.create_app(
        engage, ENGAGE_CAPTURE_MODE=mode, ENGAGE_JOURNAL_DIR=str(tmp_path / "j")
    )
    user_id = app_host.add_user(app)
    client = app.test_client()
    client.set_cookie("session", session_cookie(app, user_id))

    @app.get("/do")
    def do() -> dict[str, bool]:
        return {"tracked": engage.track("did")}

    assert client.get("/do").json == {"tracked": True}
    [(name, session_id)] = events(app, "name", "session_id")
    assert (name, session_id is None) == ("did", False)
    assert people(app, "user_id", "session_count") == [(str(user_id), 1)]
    assert not (tmp_path / "j").exists()


def test_what_is_done_behind_the_answer_counts_when_the_request_ends_well(
    app: Flask, client: Any, engage: Engage, app_host: Host
) -> None:
    """In a stream, and in a hook of the host's: nothing of the answer is told to anybody then."""

    @engage.tracked("exported", lambda rows: {"rows": rows})
    def export() -> int:
        return 3

    @app.get("/stream")
    def stream() -> Response:
        def rows() -> Iterator[str]:
            yield "a"
            export()
            yield "b"

        return Response(stream_with_context(rows()))

    @app.get("/hook")
    def hook() -> str:
        return "x"

    @app.after_request
    def in_the_end(response: Response) -> Response:
        if request.path == "/hook":
            export()
        return response

    user_id = app_host.add_user(app, "ada@example.com")
    client.get(f"/login/{user_id}")
    assert client.get("/stream").data == b"ab"
    assert events(app, "name", "properties") == [("exported", {"rows": 3})]
    assert client.get("/hook").data == b"x"
    assert events(app, "name") == [("exported",)] * 2
    assert people(app, "user_id", "session_count") == [(str(user_id), 1)]


def test_a_request_within_a_request_leaves_the_outer_one_its_own(
    app: Flask, client: Any, engage: Engage, app_host: Host
) -> None:
    @engage.tracked("outer")
    def work() -> None: ...

    @app.get("/outer")
    def outer() -> str:
        work()
        return app.test_client().get("/inner").text

    @app.get("/inner")
    def inner() -> str:
        return "x"

    client.get(f"/login/{app_host.add_user(app, 'ada@example.com')}")
    assert client.get("/outer").data == b"x"
    assert events(app, "name") == [("outer",)]


def test_a_generator_that_is_decorated_is_recorded_when_it_has_given_all(
    app: Flask, engage: Engage
) -> None:
    @engage.tracked("exported")
    def export(user: Any, fail_at: int = -1) -> Iterator[int]:
        for number in range(3):
            if number == fail_at:
                raise LookupError("the job's own")
            yield number

    with app.app_context():
        export("never begun")
        assert next(export("given up")) == 0
        with pytest.raises(LookupError):
            list(export("failed", 2))
        assert list(export("done")) == [0, 1, 2]
    assert people(app, "user_id") == [("done",)]


def test_a_page_fetched_ahead_or_not_looked_at_is_no_event_of_its_view(
    app: Flask, app_host: Host, engage: Engage, client: Any
) -> None:
    user_id = app_host.add_user(app)
    app.add_url_rule("/pricing", view_func=engage.tracked("viewed pricing")(lambda: "pricing"))
    client.set_cookie("session", session_cookie(app, user_id))
    client.get("/pricing", headers={"Sec-Purpose": "prefetch"})
    client.head("/pricing")
    assert events(app, "name") == []
    client.get("/pricing")
    assert events(app, "name") == [("viewed pricing",)]
