"""Many people at once: asked first, done whole, written down, taken back; and by whom it may be."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from flask_engage import Operator, everyone, in_segment, person
from flask_engage._state import state_of
from flask_engage.dashboard import people_work
from flask_engage.segments import in_bulk
from flask_engage.segments.counting import Count
from flask_engage.segments.people import People
from flask_engage.store.operator import AuditRow
from flask_engage.store.person import PersonRow, PersonTagRow
from flask_engage.store.tag import tag_people
from tests.dashboard import _town
from tests.dashboard._town import HOSTILE

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from flask_engage import Engage
    from tests._clock import FakeClock
    from tests.dashboard.conftest import Town

BULK, DELETE, EXPORT = "/engage/people/bulk", "/engage/people/delete", "/engage/people/export"
Send = Callable[..., "TestResponse"]
EXPORTED = json.dumps((person.email == "person3@example.com").to_json())


@pytest.fixture
def send(town: Town, operator: FlaskClient, token_of: Callable[[TestResponse], str]) -> Send:
    """Posts a form of the list: ``send(address, action=..., ...)``."""
    token = token_of(operator.get("/engage/people"))

    def post(address: str, headers: Any = None, **form: Any) -> TestResponse:
        return operator.post(address, data={"csrf_token": token, **form}, headers=headers)

    return post


def _tagged(town: Town, name: str) -> int:
    with state_of(town.app).ready.require().read() as session:
        found = select(func.count()).where(PersonTagRow.name == name)
        return session.scalar(found) or 0


def _living(town: Town) -> int:
    with state_of(town.app).ready.require().read() as session:
        found = select(func.count()).where(PersonRow.deleted_at.is_(None))
        return session.scalar(found) or 0


def _audit(town: Town) -> list[tuple[str, Any]]:
    with state_of(town.app).ready.require().read() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id))
        return [(row.action, row.detail.get("count")) for row in rows]


def _field(answer: TestResponse, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, answer.text[-3000:]
    return html.unescape(found[1])


def test_some_are_tagged_and_untagged_by_one_click_after_it(
    town: Town, operator: FlaskClient, send: Send
) -> None:
    some = [town.public_id(place) for place in (0, 3, 4)]
    asked = send(BULK, action="tag", to=some)
    assert asked.status_code == 200
    assert "Tag 3 people" in asked.text
    assert _field(asked, "ids").split() == some
    done = send(
        BULK, action="tag", sure="1", ids=" ".join(some), tag=HOSTILE, sort="email", dir="asc"
    )
    assert done.status_code == 303
    assert parse_qs(urlsplit(done.location).query)["sort"] == ["email"]
    assert _tagged(town, HOSTILE) == 3
    shown = operator.get(done.location)
    assert (
        f"Tagged 3 people “{html.escape(HOSTILE, quote=True).replace('&quot;', '&#34;')}”."
        in shown.text
    )
    assert "<script>alert" not in shown.text
    undone = send(BULK, action="undo", work=_field(shown, "work"), sort="email")
    assert undone.status_code == 303
    assert "is off 3 people again" in operator.get(undone.location).text
    assert _tagged(town, HOSTILE) == 0
    assert _audit(town)[-2:] == [("tag people", 3), ("undo tag people", 3)]


@pytest.mark.parametrize("address", [BULK, DELETE, EXPORT])
def test_of_the_chosen_it_is_told_who_is_not_seen(address: str, town: Town, send: Send) -> None:
    action = {BULK: "tag", DELETE: "delete", EXPORT: "export"}[address]
    seen = [town.public_id(place) for place in (0, 3)]
    # Of the others person1 is on another page of what is shown, and person9 is nowhere in it.
    others = [town.public_id(place) for place in (1, 9)]

    def asked(**form: Any) -> str:
        answer = send(address, action=action, part="1", **form)
        return " ".join(html.unescape(re.sub("<[^>]+>", "", answer.text)).split())

    assert " chosen are not " not in asked(to=seen)
    text = asked(to=seen, ids=" ".join(others))
    assert "2 of the 4 chosen are not on this page." in text
    assert _town.NAMES[1] in text
    wanted = json.dumps((person.email != "person9@example.com").to_json())
    text = asked(to=seen, ids=" ".join(others), filter=wanted)
    assert "2 of the 4 chosen are not on this page, and 1 of those not in the list" in text
    text = asked(to=seen, ids=" ".join(others), q="person3")
    assert "2 of the 4 chosen are not in the list that is shown." in text
    # The form that does it, and one that was filled in wrongly, say the same.
    kept = {"ids": " ".join(seen + others), "seen": " ".join(seen), "q": "person3"}
    assert "2 of the 4 chosen are not in the list" in asked(**kept)
    many = " ".join(town.public_id(place) for place in range(4, 14))
    assert "and 5 more" in asked(to=seen, ids=many, q="person3")


def test_a_form_that_only_asks_whether_it_is_right_does_nothing(town: Town, send: Send) -> None:
    some = {"ids": town.public_id(2), "sure": "1", "check": "1", "part": "1"}
    wrong = send(DELETE, action="delete", typed="delete 2", **some)
    assert wrong.status_code == 400
    assert "Nobody was deleted" in wrong.text
    assert _field(wrong, "typed") == "delete 2"
    assert "<!doctype" not in wrong.text.lower()
    assert send(DELETE, action="delete", typed="delete 1", **some).status_code == 204
    assert send(BULK, action="tag", tag="x", **some).status_code == 204
    assert send(BULK, action="tag", tag=" ", **some).status_code == 400
    assert _living(town) == len(town.ids)
    assert _tagged(town, "x") == 0
    assert _audit(town) == []


def test_all_that_match_are_tagged_by_filter_and_search_and_nobody_else(
    town: Town, operator: FlaskClient, send: Send
) -> None:
    wanted = json.dumps((person.sessions >= 1).to_json())
    form = {"action": "tag", "all": "1", "filter": wanted, "q": "person1", "tag": "ones"}
    asked = send(BULK, **form)
    assert "Tag 7 people" in asked.text  # person1, person10 to person15
    assert "found by “person1”" in asked.text
    done = send(BULK, sure="1", **form)
    assert _tagged(town, "ones") == 7
    again = send(BULK, sure="1", **form)
    assert "7 had it already" in operator.get(again.location).text
    off = send(BULK, action="untag", all="1", sure="1", tag="ones")
    shown = operator.get(off.location)
    assert "Took “ones” off 7 people." in shown.text
    assert _tagged(town, "ones") == 0
    undone = send(BULK, action="undo", work=_field(shown, "work"))
    assert "Undone: 7 people have “ones” again." in operator.get(undone.location).text
    assert _tagged(town, "ones") == 7
    assert done.status_code == 303
    send(BULK, action="untag", all="1", sure="1", tag="ones")
    replayed = send(BULK, action="undo", work=_field(shown, "work"))
    assert replayed.status_code == 400
    assert "it may have been undone" in replayed.text
    assert _tagged(town, "ones") == 0


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"action": "tag"}, "Nobody is chosen"),
        ({"action": "tag", "ids": " ".join(f"{n:024x}" for n in range(1001))}, "up to 1,000"),
        ({"action": "tag", "to": "../x"}, "no id of a person"),
        ({"action": "tag", "all": "1", "filter": "{"}, "filter: it is no JSON"),
        ({"action": "tag", "all": "1", "sure": "1", "tag": ""}, "tag"),
        ({"action": "tag", "all": "1", "sure": "1", "tag": "x" * 65}, "64"),
        ({"action": "explode"}, "action: &#39;explode&#39;"),
        ({"action": "tag", "work": "made up"}, "not made for you"),
        ({"action": "undo", "work": "made up"}, "nothing of yours to undo"),
    ],
)
def test_what_can_not_be_done_is_said_and_nothing_is(
    form: dict[str, str], problem: str, town: Town, send: Send
) -> None:
    before = _audit(town)
    for part in ("", "1"):
        answer = send(BULK, part=part, **form)
        assert answer.status_code == 400
        assert problem in answer.text
    assert _audit(town) == before
    with state_of(town.app).ready.require().read() as session:
        assert session.scalar(select(func.count()).select_from(PersonTagRow)) == 0


def test_deleting_asks_to_type_how_many_and_deletes_those(
    town: Town, operator: FlaskClient, send: Send
) -> None:
    people = _living(town)
    form = {"action": "delete", "all": "1", "filter": EXPORTED}
    assert "delete 1" in send(DELETE, **form).text
    for typed in ("", "delete", "delete 2", "1"):
        refused = send(DELETE, sure="1", typed=typed, **form)
        assert refused.status_code == 400
        assert "Nobody was deleted" in refused.text
    assert _living(town) == people
    done = send(DELETE, sure="1", typed=" Delete  1 ", **form)
    assert done.status_code == 303
    shown = operator.get(done.location).text
    assert "Deleted 1 person." in shown
    assert 'value="undo"' not in shown
    assert _living(town) == people - 1
    assert ("delete people", 1) in _audit(town)


def test_who_came_to_match_since_they_were_counted_is_not_deleted_unseen(
    town: Town, send: Send
) -> None:
    form = {"action": "delete", "ids": town.public_id(0)}
    assert "delete 1" in send(DELETE, **form).text
    more = {"action": "delete", "ids": f"{town.public_id(0)} {town.public_id(1)}"}
    again = send(DELETE, sure="1", typed="delete 1", **more)
    assert again.status_code == 400
    assert "delete 2" in again.text
    assert _living(town) == len(_town.NAMES)


def test_long_work_goes_on_from_request_to_request_and_says_how_far_it_is(
    town: Town, operator: FlaskClient, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "BATCH", 6)
    answer = send(BULK, action="tag", all="1", sure="1", tag="beta", q="example.com")
    assert answer.status_code == 200
    assert "6 of 16 people so far" in answer.text
    assert _tagged(town, "beta") == 6
    stopped = re.search(r'href="([^"]+outcome=[^"]+)" data-stop', answer.text)
    assert stopped
    assert "Tagged 6 people" in operator.get(html.unescape(stopped[1])).text
    json_only = {"Accept": "application/json"}
    told = send(BULK, headers=json_only, action="tag", work=_field(answer, "work")).json
    assert told is not None
    assert (told["seen"], told["words"]) == (12, "12 of 16 people so far")
    last = send(BULK, headers=json_only, action="tag", work=told["work"], q="example.com").json
    assert last is not None
    shown = operator.get(last["to"])
    assert "Tagged 16 people “beta”." in shown.text
    assert _tagged(town, "beta") == 16
    back = send(BULK, action="undo", work=_field(shown, "work"))
    assert "6 of 16 people so far" in back.text
    while back.status_code == 200:
        back = send(BULK, action="undo", work=_field(back, "work"))
    assert _tagged(town, "beta") == 0


def test_work_that_is_found_again_does_nothing_twice(
    town: Town, operator: FlaskClient, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page was closed before the answer came: its form knows less than was done."""
    send(BULK, action="tag", all="1", sure="1", tag="beta")
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "BATCH", 4)
    first = send(BULK, action="untag", all="1", sure="1", tag="beta")
    unheard = send(BULK, action="untag", work=_field(first, "work"))
    assert "8 of 16 people so far" in unheard.text
    with state_of(town.app).ready.require().write() as session:
        ids = list(session.scalars(select(PersonRow.id).order_by(PersonRow.id).limit(8)))
        tag_people(session, ids, "beta", _town_now(town))  # by somebody else, meanwhile
    again = send(BULK, action="untag", work=_field(first, "work"), again="1")
    assert "12 of 16 people so far" in again.text
    while again.status_code == 200:
        again = send(BULK, action="untag", work=_field(again, "work"))
    shown = operator.get(again.location)
    assert "Took “beta” off 16 people." in shown.text
    assert _tagged(town, "beta") == 8
    # The same of an undo: whom it has had is not given the tag once more.
    half = send(BULK, action="undo", work=_field(shown, "work"))
    send(BULK, action="undo", work=_field(half, "work"))
    send(BULK, action="undo", work=_field(half, "work"), again="1")
    assert _tagged(town, "beta") == 12
    with state_of(town.app).ready.require().read() as session:
        undone = select(func.count()).where(AuditRow.action == "undo untag people")
        assert session.scalar(undone) == 3
    # An outcome is nothing to go on with.
    for signed in (_field(shown, "work"), "nonsense"):
        answer = send(BULK, action="undo", work=signed, again="1")
        assert (answer.status_code, "not made for you" in answer.text) == (400, True)


def _town_now(town: Town) -> datetime:
    return state_of(town.app).clock()


def test_what_one_operator_did_another_does_not_undo(
    town: Town,
    engage: Engage,
    operator: FlaskClient,
    send: Send,
    token_of: Callable[[TestResponse], str],
) -> None:
    done = send(BULK, action="tag", all="1", sure="1", tag="beta")
    signed = _field(operator.get(done.location), "work")
    engage._registry.operator = lambda: Operator("8", role="admin")
    page = operator.get(done.location)
    assert "Tagged" not in page.text
    data = {"csrf_token": token_of(page), "action": "undo", "work": signed}
    assert operator.post(BULK, data=data).status_code == 400
    assert _tagged(town, "beta") == 16


def test_what_an_address_tells_of_work_is_no_work_to_go_on_with(
    town: Town, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(answer: TestResponse) -> str:
        return parse_qs(urlsplit(html.unescape(answer.location or "")).query)["outcome"][0]

    deleted = send(DELETE, action="delete", to=town.public_id(0), sure="1", typed="delete 1")
    tagged = send(BULK, action="tag", to=town.public_id(1), sure="1", tag="beta")
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "ERASED_BATCH", 1)
    some = {"ids": f"{town.public_id(2)} {town.public_id(3)}", "sure": "1", "typed": "delete 2"}
    half = send(DELETE, action="delete", **some)
    found = re.search(r'href="[^"]*outcome=([^"&]+)" data-stop', half.text)
    assert found
    living = _living(town)
    for signed in (told(deleted), found[1]):
        answer = send(DELETE, action="delete", work=signed)
        assert (answer.status_code, "not made for you" in answer.text) == (400, True)
    assert send(BULK, action="tag", work=told(tagged)).status_code == 400
    assert (_living(town), _tagged(town, "beta")) == (living, 1)
    # What is under way goes on, but what is not over can't be told as done.
    assert send(BULK, action="undo", work=_field(half, "work")).status_code == 400
    assert send(DELETE, action="delete", work=_field(half, "work")).status_code in (200, 303)
    assert _living(town) == living - 1


def test_work_of_yesterday_neither_goes_on_nor_is_taken_back(
    town: Town,
    operator: FlaskClient,
    send: Send,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = send(BULK, action="tag", to=town.public_id(1), sure="1", tag="alpha")
    shown = operator.get(done.location)
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "BATCH", 6)
    half = send(BULK, action="tag", all="1", sure="1", tag="beta")
    clock.advance(days=1)
    assert send(BULK, action="tag", work=_field(half, "work")).status_code == 400
    assert send(BULK, action="undo", work=_field(shown, "work")).status_code == 400
    assert "Tagged" not in operator.get(done.location).text
    assert (_tagged(town, "alpha"), _tagged(town, "beta")) == (1, 6)


def test_nobody_changes_whom_an_admin_is_deleting(
    town: Town, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(action: str, **form: Any) -> None:
        assert send("/engage/segments", action=action, **form).status_code == 303

    few = json.dumps(person.user_id.in_([str(one) for one in town.ids[:3]]).to_json())
    save("save", name="few", filter=few)
    save("save", name="outer", filter=json.dumps((in_segment("few") & everyone).to_json()))
    monkeypatch.setattr(people_work, "_SECONDS", 0.0)
    monkeypatch.setattr(in_bulk, "ERASED_BATCH", 1)
    asked = {"action": "delete", "all": "1", "filter": json.dumps(in_segment("outer").to_json())}
    half = send(DELETE, sure="1", typed="delete 3", **asked)
    half = send(
        DELETE, action="delete", work=_field(half, "work")
    )  # goes on while all is as it was
    living = _living(town)
    save("change", name="few", filter=json.dumps(person.sessions.is_set().to_json()))
    answer = send(DELETE, action="delete", work=_field(half, "work"))
    assert answer.status_code == 400
    assert "changed meanwhile" in answer.text
    assert _living(town) == living == len(_town.NAMES) - 2


def test_whom_nobody_could_count_in_time_are_not_all_written_to(
    town: Town, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(People, "count_within", lambda *_, **__: Count(0, is_exact=False))
    answer = send(BULK, action="message", all="1", q="person")
    assert answer.status_code == 400
    assert "tag them all" in answer.text


def test_an_export_holds_the_chosen_in_either_form(
    town: Town, operator: FlaskClient, send: Send
) -> None:
    asked = send(EXPORT, to=[town.public_id(3)])
    assert "Export 1 person" in asked.text
    answer = send(EXPORT, sure="1", all="1", format="csv", columns="all")
    assert answer.mimetype == "text/csv"
    assert re.search(
        r'attachment; filename="people-\d{4}-\d\d-\d\d\.csv"', answer.headers["Content-Disposition"]
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == _living(town)
    assert {"email", "text:plan", "number:invites sent", "public_id"} <= set(rows[0])
    form = {"ids": f"{town.public_id(3)} {town.public_id(4)}", "format": "jsonl"}
    lines = send(EXPORT, sure="1", columns="shown", c=["", "email", "attr:plan"], **form)
    found = [json.loads(line) for line in lines.text.splitlines()]
    assert [set(one) for one in found] == [{"user_id", "name", "email", "attributes"}] * 2
    assert found[0]["name"] == HOSTILE
    assert found[0]["attributes"] == {"plan": "free"}
    assert ("export people", None) in _audit(town)
    assert ("export people", 2) in _audit(town)
    for wrong in ({"format": "exe"}, {"columns": "none"}):
        assert send(EXPORT, sure="1", all="1", **wrong).status_code == 400


def test_an_export_says_its_first_word_before_it_has_read_everybody(
    town: Town, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_engage.people.transfer import exporting
    from flask_engage.segments import people as module

    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(exporting, "_PIECE", 1)
    answer = send(EXPORT, sure="1", all="1", format="jsonl")
    assert answer.is_streamed
    assert "Content-Length" not in answer.headers
    assert len(answer.text.splitlines()) == _living(town)


def test_writing_to_the_chosen_opens_the_message_with_them(
    town: Town, operator: FlaskClient, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = send(BULK, action="message", all="1", filter=EXPORTED)
    assert everybody.status_code == 303
    assert json.loads(parse_qs(urlsplit(everybody.location).query)["filter"][0]) == json.loads(
        EXPORTED
    )
    some = send(BULK, action="message", to=[town.public_id(0), town.public_id(1)])
    assert "2 people" in operator.get(some.location).text
    found = send(BULK, action="message", all="1", q="person1")
    assert "7 people" in operator.get(found.location).text
    monkeypatch.setattr("flask_engage.dashboard.people_bulk._MOST_IN_ADDRESS", 1)
    many = send(BULK, action="message", to=[town.public_id(0), town.public_id(1)])
    assert many.status_code == 200
    assert "2 people" in many.text
    assert "says nothing yet" not in many.text
    assert _field(many, "ids").split() == [town.public_id(0), town.public_id(1)]


ROLES = {"read": (403, 403), "edit": (200, 403), "admin": (200, 200)}


@pytest.mark.parametrize("role", ROLES)
def test_roles_decide_who_may_do_what(
    role: Any,
    town: Town,
    engage: Engage,
    client: FlaskClient,
    token_of: Callable[[TestResponse], str],
) -> None:
    engage._registry.operator = lambda: Operator("7", role="admin")
    token = token_of(client.get("/engage/people"))
    engage._registry.operator = lambda: Operator("7", role=role)
    bulk, delete = ROLES[role]
    form = {"csrf_token": token, "to": town.public_id(0)}
    for action in ("tag", "untag"):
        assert client.post(BULK, data={**form, "action": action}).status_code == bulk
    assert client.post(EXPORT, data=form).status_code == bulk
    assert client.post(DELETE, data={**form, "action": "delete"}).status_code == delete
    # The address for tagging does not delete, whoever asks.
    sneaky = {**form, "action": "delete", "sure": "1", "typed": "delete 1"}
    assert client.post(BULK, data=sneaky).status_code in (400, 403)
    assert _living(town) == len(_town.NAMES)
    text = client.get("/engage/people").text
    assert ('value="tag"' in text) is (role != "read")
    assert ('value="delete"' in text) is (role == "admin")


@pytest.mark.parametrize("address", [BULK, DELETE, EXPORT])
def test_a_form_of_elsewhere_does_nothing(address: str, town: Town, operator: FlaskClient) -> None:
    form = {"action": "delete", "all": "1", "sure": "1", "typed": "delete 16", "tag": "x"}
    assert operator.post(address, data=form).status_code == 400
    assert _living(town) == len(_town.NAMES)
    assert operator.get(address).status_code == 303
