"""What the pages about events and custom data show, the same on each database."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flask_engage._state import state_of
from flask_engage.reports.activity import activity
from flask_engage.reports.events import catalogue, event_report, tail
from flask_engage.reports.person import person_id_by_public_id, touches
from flask_engage.reports.timeline import timeline
from tests.dashboard._town import EVENT, HOSTILE, PLACE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from flask_engage import Engage
    from tests._clock import FakeClock
    from tests._hosts import Host
    from tests.dashboard.conftest import Town

ODD_NAMES = ("/pricing", "..", "a//b", "catalogue", "50 % off?", "قائمة", "x" * 64, "a/./b#c")


def test_the_reports_on_events_agree_with_what_was_done(
    migrated_url: str, town: Town, clock: FakeClock
) -> None:
    state = state_of(town.app)
    today = clock.now.date()
    ids = [town.public_id(place) for place in (0, 1)]
    with town.app.app_context(), state.ready.require().read() as session:
        newest = tail(session, limit=5)
        rest = tail(session, before=newest.before, limit=100)
        some = tail(session, name="exported", has=("kind", HOSTILE), limit=3)
        theirs = tail(session, public_ids=ids)
        found = catalogue(session, today, sort="count", descending=True)
        searched = catalogue(session, today, search="EXPO")
        exported = event_report(session, "exported", today, 7)
        never = event_report(session, "never done", today, 7)
        active = activity(session, state.settings, clock.now)
    assert len({event.id for event in (*newest.events, *rest.events)}) == 24
    assert rest.before is None
    times = [event.occurred_at for event in (*newest.events, *rest.events)]
    assert times == sorted(times, reverse=True)
    assert {event.name for event in some.events} == {"exported"}
    assert some.before is not None
    assert {event.person_public_id for event in theirs.events} == set(ids)
    assert [(one.name, one.count) for one in found.events] == [(EVENT, 16), ("exported", 8)]
    assert [one.name for one in searched.events] == ["exported"]
    assert (searched.count, searched.every) == (1, 2)
    assert searched.events[0].properties["kind"] == HOSTILE
    assert exported is not None
    assert never is None
    assert (exported.people, exported.known.count, exported.recent) == (8, 8, 8)
    assert len(exported.known.days) == 7
    kinds = {one.key: (one.kinds, one.count) for one in exported.examples}
    assert kinds == {"kind": (("text",), 8), "pages": (("number",), 8)}
    assert [len(one.values) for one in exported.examples] == [1, 3]
    assert len(active.days) == 30


def test_a_session_shows_how_somebody_came_and_with_what(
    migrated_url: str, town: Town, clock: FakeClock, client: FlaskClient
) -> None:
    clock.advance(days=1)
    client.get(
        f"/login/{town.ids[0]}?utm_source=letter&utm_medium=email&utm_campaign=spring",
        headers={
            "Referer": "https://news.example/item?id=1",
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Accept-Language": "pt-PT,pt;q=0.9",
        },
    )
    with town.app.app_context():
        town.engage.flush()
        with state_of(town.app).ready.require().read() as session:
            person_id = person_id_by_public_id(session, town.public_id(0))
            assert person_id is not None
            newest = timeline(session, person_id, kind="session", limit=1).happenings[0]
            _first, latest = touches(session, person_id)
    facts = newest.facts
    assert (facts["utm_source"], facts["utm_campaign"]) == ("letter", "spring")
    assert (facts["referrer"], facts["browser"]) == ("news.example", "Firefox")
    assert (latest.source, latest.medium, latest.referrer) == ("letter", "email", "news.example")


@pytest.fixture
def odd(app: Flask, engage: Engage, app_host: Host, clock: FakeClock) -> None:
    """Somebody who does things that have odd names."""
    user_id = app_host.add_user(app, "odd@example.com", name="Odd", created_at=clock.now)
    with app.app_context():
        for name in ODD_NAMES:
            assert engage.track(name, {"n": 1}, user=str(user_id))
        engage.flush()


def test_an_event_of_any_name_has_a_page(odd: None, operator: FlaskClient) -> None:
    text = operator.get("/engage/catalogue").text
    links = re.findall(r'<a class="name" href="([^"]+)"', text)
    assert len(links) == len(ODD_NAMES)
    for link in links:
        # As browsers do: they take ".." out of a path before they ask.
        path = link.replace("&amp;", "&")
        assert not re.search(r"/\.{1,2}(/|$|\?)|//", path.partition("?")[0])
        assert operator.get(path).status_code == 200, path


def test_the_tail_is_asked_for_what_is_new_only(odd: None, operator: FlaskClient) -> None:
    page = operator.get("/engage/events").text
    mark = re.search(r'data-mark="([0-9a-f]+)"', page)
    assert mark
    assert operator.get(f"/engage/event-rows?mark={mark[1]}").status_code == 204
    rows = operator.get("/engage/event-rows?name=%2Fpricing")
    assert rows.status_code == 200
    assert rows.text.count("<tr") == 1


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/engage/events?before=yesterday", 400),
        ("/engage/events?before=2026-03-02T10:00:00 7", 400),
        ("/engage/events?before=0001-01-01T00:00:00%2B14:00 7", 400),
        ("/engage/event-rows?who=%00", 200),
        ("/engage/events?before=2026-03-02T10:00:00%2B00:00 7", 200),
        ("/engage/events?name=%00&person=%00&property=%00%3D%00", 200),
        ("/engage/events?property=no sign", 200),
        ("/engage/events?name=never", 200),
        ("/engage/event-rows?name=%ed%a0%80", 200),
        ("/engage/events/never", 404),
        ("/engage/event?name=%00", 404),
        ("/engage/events/exported?days=8", 400),
        ("/engage/catalogue?sort=size", 400),
        ("/engage/catalogue?from=-1", 400),
        ("/engage/catalogue?from=999999999", 200),
        ("/engage/catalogue?q=%25", 200),
    ],
)
def test_an_odd_address_is_answered_plainly(
    address: str, status: int, town: Town, operator: FlaskClient
) -> None:
    assert operator.get(address).status_code == status


def test_pages_are_bounded_however_much_happens(
    town: Town, operator: FlaskClient, clock: FakeClock
) -> None:
    with town.app.app_context():
        for number in range(700):
            at = clock.now - timedelta(seconds=number)
            town.engage.track("tick", {"n": number}, user=str(town.ids[0]), at=at)
        town.engage.flush()
    for address in ("/engage/events", "/engage/event-rows", "/engage/events/tick"):
        assert operator.get(address).text.count("data-id=") == 50
    found = re.search(r'rel="next" href="([^"]+)"', operator.get("/engage/events").text)
    assert found
    following = operator.get(found[1].replace("&amp;", "&")).text
    assert re.findall(r'<bdi class="is">(\d+)</bdi>', following)[0] == "50"


def test_hostile_words_are_only_words(town: Town, operator: FlaskClient) -> None:
    addresses = ("/engage/events", "/engage/catalogue", f"/engage/event?name={EVENT}")
    for address in addresses:
        text = operator.get(address).text
        assert "<script>alert" not in text
        assert "<svg onload" not in text
        assert HOSTILE not in text
        assert PLACE not in text


def test_a_provider_shows_its_runs_and_for_whom_it_failed(
    town: Town, operator: FlaskClient, clock: FakeClock
) -> None:
    bad = town.ids[2]

    @town.engage.attribute("letters", every=timedelta(hours=1))
    def letters(user: Any) -> int:
        if user.id == bad:
            raise RuntimeError("no such column <b>")
        return 3

    assert "not yet" in operator.get("/engage/data").text
    with town.app.app_context():
        town.engage.refresh("letters")
    for address in ("/engage/data", "/engage/data-rows"):
        text = operator.get(address).text
        assert "1 person keeps the value from before" in text
        assert "no such column &lt;b&gt;" in text
        assert f'href="/engage/people/{town.public_id(2)}"' in text
    clock.advance(days=1)
    assert "out of date" in operator.get("/engage/data").text


def test_health_is_shown_while_the_database_is_away(
    town: Town, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_engage.errors import NotReady

    with town.app.app_context():
        assert town.engage.track("exported", user=str(town.ids[0]))
    ready = state_of(town.app).ready

    def require() -> None:
        raise NotReady("The database is away.")

    monkeypatch.setattr(type(ready), "require", lambda self: require())
    monkeypatch.setattr(ready, "_problem", "The database is away (OperationalError).")
    answer = operator.get("/engage/health")
    assert answer.status_code == 200
    assert "does not reach the database" in answer.text
    assert "is kept on disk" in answer.text
    assert "OperationalError" in answer.text
    assert operator.get("/engage/events").status_code == 503
