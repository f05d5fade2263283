"""Import and export in the dashboard: nothing goes in unseen, and what comes out is inert."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from flask_engage import Operator, _transfer
from flask_engage._state import state_of
from flask_engage.automation.jobs import Unfinished
from flask_engage.automation.lease import Fence
from flask_engage.people.transfer import importing, trial, uploads
from flask_engage.store.operator import AuditRow
from flask_engage.store.person import PersonRow
from flask_engage.store.transfer import ImportRow
from flask_engage.store.upload import ImportPartRow

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_engage import Engage
    from tests.dashboard.conftest import Town

FILE = (
    "User ID,Email,Full name,score,plan\r\n"
    "u1,ada@x.org,Ada,1.5,pro\r\n"
    "u2,nobody,Bob,2,=cmd|'/c calc'!A1\r\n"
    "u3,eve@x.org,Eve,many,free\r\n"
)


@pytest.fixture
def desk(engage: Engage, client: FlaskClient) -> FlaskClient:
    """Somebody with the role "edit"."""
    engage._registry.operator = lambda: Operator("7", name="Olga", role="edit")
    return client


Send = Any


@pytest.fixture
def send(desk: FlaskClient, token_of: Callable[[TestResponse], str]) -> Send:
    """Sends a file; gives the answer."""

    def do(content: str | bytes, name: str = "people.csv", **more: Any) -> TestResponse:
        token = token_of(desk.get("/engage/transfers"))
        data = content if isinstance(content, bytes) else content.encode()
        sent = {"csrf_token": token, "file": (io.BytesIO(data), name), **more}
        return desk.post("/engage/transfers", data=sent, content_type="multipart/form-data")

    return do


def form_of(page: TestResponse) -> dict[str, str]:
    """Return what the form for columns would send as it stands."""
    selects = re.findall(r'<select[^>]* name="(is\d+)"(.*?)</select>', page.text, re.S)
    form = {}
    for name, options in selects:
        chosen = re.search(r'value="([^"]*)" selected', options)
        form[name] = unescape(chosen[1]) if chosen else ""
    for name, value in re.findall(r'name="(as\d+)" value="([^"]*)"', page.text):
        form[name] = unescape(value)
    return form


def rows_of(app: Flask, table: Any) -> list[Any]:
    with app.app_context(), state_of(app).ready.require().read() as session:
        return list(session.scalars(sa.select(table).order_by(sa.inspect(table).primary_key[0])))


def counts(page: TestResponse) -> list[str]:
    return re.findall(r"<dt>[^<]*</dt><dd[^>]*>([\d,]+)</dd>", page.text)


def run(app: Flask, engage: Engage) -> None:
    with app.app_context():
        engage.run_due()


def test_a_file_is_looked_at_then_imported_and_its_mistakes_reported(
    app: Flask,
    engage: Engage,
    desk: FlaskClient,
    send: Send,
    token_of: Callable[[TestResponse], str],
) -> None:
    answer = send(FILE, "Kunden <b>'.csv")
    assert answer.status_code == 303
    address = answer.location
    page = desk.get(address)
    assert "Kunden &lt;b&gt;&#39;.csv" in page.text
    assert "<b>&#39;.csv" not in page.text
    form = form_of(page)
    assert [form[f"is{n}"] for n in range(5)] == ["user_id", "email", "name", "text", "text"]
    assert "this is no email address" in page.text
    # Another type for one column: what would be stored is shown before it can be imported.
    form |= {"is3": "number", "csrf_token": token_of(page)}
    answer = desk.post(address, data={**form, "action": "start"})
    assert "done=look" in answer.location
    assert rows_of(app, PersonRow) == []
    page = desk.get(answer.location)
    assert "is no number" in page.text
    answer = desk.post(address, data={**form, "action": "check"})
    assert counts(desk.get(answer.location)) == ["1", "0", "2"]
    answer = desk.post(address, data={**form, "action": "start"})
    assert "done=start" in answer.location
    assert "waiting" in desk.get(address).text
    run(app, engage)
    page = desk.get(address)
    assert counts(page) == ["1", "0", "0", "2"]
    assert [(one.user_id, one.attributes) for one in rows_of(app, PersonRow)] == [
        ("u1", {"n:score": 1.5, "s:plan": "pro"})
    ]
    assert rows_of(app, ImportPartRow) == []
    report = desk.get(f"{address}/report")
    assert report.headers["Content-Disposition"].startswith("attachment; ")
    assert [(one["row"], one["column"]) for one in csv.DictReader(io.StringIO(report.text))] == [
        ("2", "Email"),
        ("3", "score"),
    ]
    assert "Kunden" in desk.get("/engage/transfers").text
    actions = [(one.action, one.operator_id) for one in rows_of(app, AuditRow)]
    assert actions == [("upload file", "7"), ("start import", "7")]
    # What people have now is known under its name the next time, and keeps its type.
    form = form_of(desk.get(send("Email,PLAN,Score\na@example.org,9,\n", "again.csv").location))
    assert [form[f"is{n}"] for n in range(3)] == ["email", "text", "number"]
    assert [form[f"as{n}"] for n in (1, 2)] == ["plan", "score"]


def test_every_step_is_written_down_with_who_took_it(
    app: Flask,
    engage: Engage,
    desk: FlaskClient,
    send: Send,
    token_of: Callable[[TestResponse], str],
) -> None:
    address = send(FILE).location
    page = desk.get(address)
    form = {**form_of(page), "csrf_token": token_of(page)}
    for action in ("start", "stop", "resume", "stop", "discard"):
        answer = desk.post(address, data={**form, "action": action})
        assert f"done={action}" in answer.location
    # Whoever comes too late is told so, and nothing happens.
    for action in ("start", "stop", "resume", "check"):
        answer = desk.post(address, data={**form, "action": action})
        assert "done=late" in answer.location
        assert "no longer possible" in desk.get(answer.location).text
    draft = send(FILE).location
    assert desk.post(draft, data={**form, "action": "discard"}).status_code == 303
    assert desk.get(draft).status_code == 404
    run(app, engage)
    assert rows_of(app, PersonRow) == []
    assert [one.action for one in rows_of(app, AuditRow)] == [
        "upload file",
        "start import",
        "stop import",
        "resume import",
        "stop import",
        "discard import",
        "upload file",
        "discard import",
    ]


def test_mistakes_in_the_columns_are_told_beside_them(
    app: Flask, desk: FlaskClient, send: Send, token_of: Callable[[TestResponse], str]
) -> None:
    address = send(FILE).location
    page = desk.get(address)
    good = {**form_of(page), "csrf_token": token_of(page), "action": "start"}
    for wrong, said in (
        ({"is2": "email"}, "“Email” is this already"),
        ({"is3": "number", "as3": ""}, "1 to 64 printable characters"),
        ({"is3": "colour"}, "Choose one of the meanings"),
        ({"is0": "", "is1": ""}, "nobody could be told apart"),
    ):
        answer = desk.post(address, data={**good, **wrong})
        assert answer.status_code == 400
        assert said in unescape(answer.text)
        # What was chosen is still there, and nothing of it is kept.
        shown = form_of(answer)
        assert all(shown[name] == value for name, value in wrong.items() if value != "colour")
    [row] = rows_of(app, ImportRow)
    assert (row.state, row.mapping["Email"]) == ("draft", "email")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty"),
        (b"PK\x03\x04../../x", "Unpack it, or save it as CSV"),
        (b"user_id\n", "a heading and no rows"),
        (b"name\nZo\xeb\n", "not in UTF-8"),
        (b'[{"user_id": "1"}]', "one JSON array"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_to_do(
    app: Flask, send: Send, content: bytes, said: str
) -> None:
    answer = send(content)
    assert answer.status_code == 400
    assert said in unescape(answer.text)
    assert rows_of(app, ImportRow) == rows_of(app, ImportPartRow) == []


def test_a_file_without_anybody_waits_for_somebody_to_say_who_is_who(
    desk: FlaskClient, send: Send
) -> None:
    page = desk.get(send("colour,size\nred,3\n").location)
    assert page.status_code == 200
    assert "nobody could be told apart" in unescape(page.text)
    assert 'value="start"' not in page.text


def test_no_file_is_no_import(
    app: Flask, desk: FlaskClient, token_of: Callable[[TestResponse], str]
) -> None:
    token = token_of(desk.get("/engage/transfers"))
    answer = desk.post("/engage/transfers", data={"csrf_token": token})
    assert answer.status_code == 400
    assert "Choose a file first" in answer.text


def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    app: Flask, desk: FlaskClient, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = desk.post(
        "/engage/transfers",
        data=b"x" * (uploads.UPLOAD_BYTES + 1024 * 1024),
        content_type="multipart/form-data; boundary=x",
    )
    assert answer.status_code == 413
    assert "20 MiB" in answer.text
    monkeypatch.setattr(uploads, "UPLOAD_BYTES", 20)
    answer = send(FILE)
    assert (answer.status_code, rows_of(app, ImportRow)) == (400, [])
    assert "bytes" in answer.text


def test_without_a_token_nothing_goes_in_or_out(app: Flask, desk: FlaskClient, send: Send) -> None:
    address = send(FILE).location
    assert desk.post(address, data={"action": "start"}).status_code == 400
    assert desk.post("/engage/transfers/export", data={"format": "csv"}).status_code == 400
    sent = {"file": (io.BytesIO(FILE.encode()), "x.csv")}
    answer = desk.post("/engage/transfers", data=sent, content_type="multipart/form-data")
    assert answer.status_code == 400
    assert [row.state for row in rows_of(app, ImportRow)] == ["draft"]


def test_a_mere_reader_is_not_offered_what_would_fail(engage: Engage, client: FlaskClient) -> None:
    engage._registry.operator = lambda: Operator("7", role="read")
    assert "/engage/transfers" not in client.get("/engage/people").text
    assert client.get("/engage/transfers").status_code == 403


@pytest.mark.parametrize("public_id", ["nobody", "0" * 24, "é", "../x"])
def test_an_import_that_is_not_there(desk: FlaskClient, public_id: str) -> None:
    assert desk.get(f"/engage/transfers/{public_id}").status_code == 404
    assert desk.get(f"/engage/transfers/{public_id}/progress").status_code == 404
    assert desk.get(f"/engage/transfers/{public_id}/report").status_code == 404


def test_a_large_file_is_counted_as_far_as_the_time_goes(
    desk: FlaskClient,
    send: Send,
    token_of: Callable[[TestResponse], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from flask_engage.dashboard import transfers

    monkeypatch.setattr(trial, "BATCH", 2)
    monkeypatch.setattr(transfers, "_COUNT_SECONDS", 0)
    address = send(FILE).location
    assert "the first 2 rows" in desk.get(f"{address}?count=1").text


def export(
    desk: FlaskClient, token_of: Callable[[TestResponse], str], **asked: Any
) -> TestResponse:
    token = token_of(desk.get("/engage/transfers"))
    return desk.post("/engage/transfers/export", data={"csrf_token": token, **asked})


def test_people_leave_as_a_file_that_comes_in_again_unchanged(
    app: Flask,
    town: Town,
    engage: Engage,
    desk: FlaskClient,
    send: Send,
    token_of: Callable[[TestResponse], str],
) -> None:
    before = len(rows_of(app, PersonRow))
    for kind in ("csv", "jsonl"):
        answer = export(desk, token_of, format=kind)
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].endswith(f'.{kind}"')
        assert answer.headers["Cache-Control"] == "no-store, private"
        address = send(answer.data, f"people.{kind}").location
        page = desk.get(address)
        form = {**form_of(page), "csrf_token": token_of(page), "action": "start"}
        assert "done=start" in desk.post(address, data=form).location
        run(app, engage)
        assert counts(desk.get(address)) == ["0", "0", str(before), "0"]
        assert export(desk, token_of, format=kind).data == answer.data
    exports = [one.detail for one in rows_of(app, AuditRow) if one.action == "export people"]
    assert [one["format"] for one in exports] == ["csv", "csv", "jsonl", "jsonl"]


def test_some_columns_of_some_people_leave(
    town: Town, engage: Engage, desk: FlaskClient, token_of: Callable[[TestResponse], str]
) -> None:
    from flask_engage import attr

    engage.segment("on pro", attr("plan") == "pro")
    answer = export(
        desk, token_of, format="jsonl", segment="on pro", c=["user_id", "text:plan", "name"]
    )
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == 5
    assert all(list(line) == ["user_id", "name", "attributes"] for line in lines)
    assert {line["attributes"]["plan"] for line in lines} == {"pro"}
    for wrong, said in (
        ({"format": "xml"}, "format: "),
        ({"segment": "no such"}, "segment: "),
        ({"c": "colour"}, "no column"),
    ):
        refused = export(desk, token_of, **{"format": "csv", **wrong})
        assert refused.status_code == 400
        assert said in unescape(refused.text)
    assert desk.get("/engage/transfers/export").status_code == 303


def test_an_import_takes_turns_so_that_mail_and_rules_go_on(
    app: Flask,
    desk: FlaskClient,
    send: Send,
    token_of: Callable[[TestResponse], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    monkeypatch.setattr(_transfer, "TURN_SECONDS", 0.0)
    state, fence = state_of(app), Fence(1)
    assert _transfer.import_job(state, fence, state.clock()) == "no file waits"
    for name in ("a", "b"):
        address = send(f"user_id\n{name}1\n{name}2\n{name}3\n").location
        page = desk.get(address)
        form = {**form_of(page), "csrf_token": token_of(page), "action": "start"}
        assert "done=start" in desk.post(address, data=form).location
    said = [_transfer.import_job(state, fence, state.clock()) for _ in range(7)]
    one_file = ["2 of 3 rows", "3 of 3 rows", "3 of 3 rows"]  # the last turn finds its end
    assert said == [*one_file, *one_file, "no file waits"]
    assert [isinstance(one, Unfinished) for one in said] == [True] * 6 + [False]
    assert [one.user_id for one in rows_of(app, PersonRow)] == ["a1", "a2", "a3", "b1", "b2", "b3"]
    # From cron, without a lease, all that waits is done at once.
    address = send("user_id\nc1\nc2\nc3\n").location
    form = {**form_of(desk.get(address)), "csrf_token": form["csrf_token"], "action": "start"}
    assert "done=start" in desk.post(address, data=form).location
    assert _transfer.import_job(state, None, state.clock()) == "3 of 3 rows"
