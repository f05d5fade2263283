"""Messages, rules and health: what the pages say of them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from flask_engage import Email, did
from flask_engage._state import state_of
from flask_engage.store.journal import DeadLetterRow

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests._clock import FakeClock
    from tests.dashboard.conftest import Town


def _funnel(text: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+)</dt><dd[^>]*>([^<]+)</dd>", text))


def test_a_message_shows_what_became_of_it(town: Town, operator: FlaskClient) -> None:
    text = operator.get("/engage/messages/send:launch-1").text
    found = _funnel(text)
    assert {
        name: found[name] for name in ("For", "Sent", "Shown", "Opened", "Clicked", "Closed")
    } == {
        "For": "8",
        "Sent": "6",
        "Shown": "6",
        "Opened": "4",
        "Clicked": "2",
        "Closed": "1",
    }
    assert text.count('<a class="person"') == 8
    assert "Try it" in text


def test_a_message_shows_only_those_in_a_state(town: Town, operator: FlaskClient) -> None:
    text = operator.get("/engage/messages/send:launch-1?state=queued").text
    assert text.count('<a class="person"') == 2


def test_the_list_of_messages_shows_those_by_hand_and_by_rule(
    town: Town, operator: FlaskClient
) -> None:
    text = operator.get("/engage/messages").text
    assert "New: export" in text
    assert "We miss you" in text
    assert "/engage/messages/rule:come%20back" in text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/engage/messages/nothing", 404),
        ("/engage/messages/" + "x" * 300, 404),
        ("/engage/messages/send:%00", 404),
        ("/engage/messages/send:launch-1?state=x", 400),
        ("/engage/messages/send:launch-1?after=x", 400),
        ("/engage/messages?after=99999999999999999999", 400),
        ("/engage/rules/nothing", 404),
        ("/engage/rules/%00", 404),
        ("/engage/rules/come%20back?state=x", 400),
        ("/engage/people/%00", 404),
        ("/engage/people/" + "x" * 300, 404),
    ],
)
def test_what_is_not_there_is_told(
    address: str, status: int, town: Town, operator: FlaskClient
) -> None:
    assert operator.get(address).status_code == status


def test_a_rule_shows_its_filter_in_english_and_its_counts(
    town: Town, operator: FlaskClient
) -> None:
    for address in ("/engage/rules", "/engage/rules/come back"):
        text = html.unescape(operator.get(address).text)
        assert "People who were last seen more than 10 days ago" in text
        assert "once for ever" in text
        assert "live" in text
    with town.app.app_context():
        matching = town.engage.people(town.engage._registry.rules["come back"].to).count()
    found = _funnel(operator.get("/engage/rules/come back").text)
    assert found["Sent"] == str(matching)
    assert matching > 0


def test_a_paused_rule_sends_nothing_until_it_is_resumed(
    town: Town,
    operator: FlaskClient,
    token_of: Callable[[TestResponse], str],
    clock: FakeClock,
) -> None:
    address = "/engage/rules/later"
    town.engage.auto_message("later", to=did("exported"), send=Email(subject="Later", body="Hello"))
    with town.app.app_context():
        town.engage.run_due()
    assert _funnel(operator.get(address).text)["For"] == "8"
    token = token_of(operator.get(address))
    assert operator.post(address, data={"action": "pause", "csrf_token": token}).status_code == 303
    page = operator.get(address).text
    assert "Paused by Olga." in page
    assert "Resume" in page
    with town.app.app_context():
        town.engage.track("exported", user=str(town.ids[1]))
        town.engage.flush()
        town.engage.run_due()
    assert _funnel(operator.get(address).text)["For"] == "8"
    operator.post(address, data={"action": "resume", "csrf_token": token})
    clock.advance(minutes=5)
    with town.app.app_context():
        town.engage.run_due()
    assert _funnel(operator.get(address).text)["For"] == "9"


def test_a_rule_that_was_never_evaluated_is_shown_and_can_be_paused(
    town: Town, operator: FlaskClient, token_of: Callable[[TestResponse], str]
) -> None:
    town.engage.auto_message("brand new", to=did("x"), send=Email(subject="Hi", body="Hello"))
    for address in ("/engage/", "/engage/rules", "/engage/rules/brand new"):
        assert "brand new" in operator.get(address).text
    token = token_of(operator.get("/engage/rules/brand new"))
    data = {"action": "pause", "csrf_token": token}
    assert operator.post("/engage/rules/brand new", data=data).status_code == 303
    assert "Resume" in operator.get("/engage/rules/brand new").text


def test_an_action_that_is_none_changes_nothing(
    town: Town, operator: FlaskClient, token_of: Callable[[TestResponse], str]
) -> None:
    token = token_of(operator.get("/engage/rules/come back"))
    data = {"action": "delete", "csrf_token": token}
    assert operator.post("/engage/rules/come back", data=data).status_code == 400


def test_health_shows_jobs_and_what_waits(town: Town, operator: FlaskClient) -> None:
    text = operator.get("/engage/health").text
    for job in ("mail", "rules", "sync users"):
        assert f'title="{job}"' in text
    assert "SCHEDULER is off" in text


def test_health_shows_each_reason_why_facts_were_put_aside(
    migrated_url: str, town: Town, operator: FlaskClient, clock: FakeClock
) -> None:
    with state_of(town.app).ready.require().write() as session:
        for n in range(7):
            reason = "NotNull: <b>no</b> name" if n % 3 else f"DataError: too long\n[SQL: …] [{n}]"
            session.add(DeadLetterRow(payload="x", reason=reason, occurred_at=clock.now))
    text = operator.get("/engage/health").text
    assert "7 facts were put aside" in text
    details = re.findall(r"<code><bdi>(\d[^<]*)</bdi></code>", text)
    assert details == ["4 × NotNull: &lt;b&gt;no&lt;/b&gt; name", "3 × DataError: too long"]


def test_health_shows_a_provider_that_fails(
    town: Town, operator: FlaskClient, clock: FakeClock
) -> None:
    @town.engage.attribute("broken thing")
    def broken(user: object) -> int:
        raise RuntimeError("no such column")

    clock.advance(hours=2)
    with town.app.app_context():
        town.engage.run_due()
    text = operator.get("/engage/health").text
    assert "broken thing" in text
    assert "no such column" in text


def test_a_person_shows_attributes_with_source_and_age(town: Town, operator: FlaskClient) -> None:
    text = operator.get(f"/engage/people/{town.public_id(3)}").text
    facts = re.findall(r"<dt><bdi>([^<]+)</bdi></dt><dd dir=\"auto\"><bdi>([^<]+)</bdi></dd>", text)
    assert ("plan", "free") in facts
    assert re.search(r'class="src">said over the API\s*<time[^>]*>just now</time>', text)


@pytest.mark.parametrize(
    ("kind", "count"), [("event", 1), ("session", 7), ("message", 1), ("all", 9)]
)
def test_a_timeline_shows_what_was_asked_for(
    kind: str, count: int, town: Town, operator: FlaskClient
) -> None:
    text = operator.get(f"/engage/people/{town.public_id(3)}?kind={kind}").text
    assert len(re.findall(r'class="happened happened-\w+"', text)) == count


@pytest.mark.parametrize(
    "query",
    [
        "kind=x",
        "before=x",
        "before=2026-01-01T00:00:00",
        "before=2026-01-01T00:00:00%2B00:00 3",
        "before=2026-01-01T00:00:00%2B00:00 9 7",
        "before=2026-01-01T00:00:00%2B00:00 3 -7",
        "before=0001-01-01T00:00:00%2B23:00 3 7",
    ],
)
def test_a_bad_place_in_a_timeline_is_told(query: str, town: Town, operator: FlaskClient) -> None:
    assert operator.get(f"/engage/people/{town.public_id(3)}?{query}").status_code == 400


def test_a_long_timeline_is_read_page_by_page(
    town: Town, operator: FlaskClient, clock: FakeClock
) -> None:
    with town.app.app_context():
        for number in range(130):
            at = clock.now.replace(minute=number % 60, second=number // 60)
            town.engage.track(f"step {number}", user=str(town.ids[1]), at=at.replace(hour=8))
        town.engage.flush()
    seen: list[str] = []
    address = f"/engage/people/{town.public_id(1)}?kind=event"
    while address:
        text = operator.get(address).text
        seen += re.findall(r"<bdi>(step \d+)</bdi>", text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        address = html.unescape(following[1]) if following else ""
    assert len(seen) == len(set(seen)) == 130


def test_a_database_that_is_away_is_told_as_such(
    town: Town, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_engage.errors import NotReady

    def away(*_: object) -> None:
        raise NotReady("The database is away (OperationalError).")

    with town.app.app_context():
        monkeypatch.setattr(type(state_of(town.app).ready), "require", away)
    answer = operator.get("/engage/people")
    assert answer.status_code == 503
    assert "The database is away" in answer.text


@pytest.mark.parametrize(
    ("words", "status"), [("database is locked", 503), ("no such column: x", None)]
)
def test_a_database_that_fails_meanwhile_is_told_and_a_mistake_of_ours_is_not_hidden(
    words: str,
    status: int | None,
    town: Town,
    operator: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sqlalchemy.exc import OperationalError

    from flask_engage.segments.people import People

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception(words))

    monkeypatch.setattr(People, "page", fail)
    if status is None:
        with pytest.raises(OperationalError):
            operator.get("/engage/people")
    else:
        assert operator.get("/engage/people").status_code == status
