"""Sightings of who was seen a moment ago are counted and told in one: people come out the same."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from flask_engage import Engage, Identity
from flask_engage._state import state_of
from flask_engage.capture import repeats
from flask_engage.capture.buffer import Who
from flask_engage.capture.context import Contexts
from flask_engage.capture.facts import Event, Seen
from flask_engage.capture.recorder import Recorder
from flask_engage.capture.repeats import Repeats
from flask_engage.capture.sessions import sessionise
from flask_engage.settings import Settings
from flask_engage.store.engine import Database
from flask_engage.store.event import EventRow
from flask_engage.store.person import PersonRow
from flask_engage.store.session import SessionRow
from tests._clock import START
from tests._processes import in_child, output_of
from tests.capture._recorders import FakeApp, Recorders, table

BROWSERS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0", "Mozilla/5.0 (iPhone) Safari/604.1")
SECOND = timedelta(seconds=1)


def _environ(browser: str = BROWSERS[0], query: str = "", referrer: str | None = None) -> Any:
    headers = [("User-Agent", browser)]
    if referrer is not None:
        headers.append(("Referer", referrer))
    return EnvironBuilder("/page", query_string=query, headers=headers).get_environ()


class Seer:
    """Tells sightings as the hooks do."""

    def __init__(self, **settings: Any) -> None:
        self.contexts = Contexts(Settings(**settings))
        self.repeats = Repeats(self.contexts.of_browser)
        self.repeats.open()
        self.told: list[Seen] = []

    def sees(
        self, at: datetime, environ: Any, *, who: Who | None = None, now: datetime | None = None
    ) -> None:
        who = who or Who("ada", "ada@example.com")
        if self.repeats.counts(who, environ, at, now or at):
            return
        before = self.repeats.end(who.user_id)
        self.told += [before] if before else []
        first = Seen(at, who.user_id, 1, self.contexts.of(Request(environ)), who.email)
        self.told.append(first)
        self.repeats.begin(first, who, environ)

    def hits(self) -> list[int]:
        return [seen.hits for seen in (*self.told, *self.repeats.take())]


def test_what_follows_at_once_is_told_in_one() -> None:
    seer = Seer()
    for tenth in range(5):
        seer.sees(START + tenth * SECOND / 10, _environ(referrer="http://localhost/page"))
    assert [(seen.at, seen.hits) for seen in seer.told] == [(START, 1)]
    (told,) = seer.repeats.take()
    assert (told.at, told.hits, told.email) == (START + SECOND * 0.4, 4, "ada@example.com")
    assert told.context == seer.told[0].context
    assert seer.repeats.take() == []
    seer.sees(START + SECOND / 2, _environ())
    assert len(seer.told) == 2, "whoever was told is seen anew"


@pytest.mark.parametrize(
    "other",
    [
        {"environ": _environ(BROWSERS[1])},
        {"environ": _environ(query="utm_source=letter")},
        {"environ": _environ(referrer="https://elsewhere.example/?from=http://localhost/")},
        {"environ": _environ(), "who": Who("ben", "ben@example.com")},
        {"environ": _environ(), "who": Who("ada", "ada@example.net")},
        {"environ": _environ(), "at": START + SECOND},
        {"environ": _environ(), "at": START - SECOND / 10},
        {"environ": _environ(), "now": START + SECOND},
    ],
    ids=lambda other: "-".join(sorted(other)),
)
def test_what_says_anything_new_is_told_by_itself(other: dict[str, Any]) -> None:
    seer = Seer()
    seer.sees(START, _environ())
    seer.sees(**{"at": START + SECOND / 10, **other})
    assert [seen.hits for seen in seer.told] == [1, 1]


@pytest.mark.parametrize(("kept", "told"), [("none", 1), ("full", 2)])
def test_another_address_is_told_where_addresses_are_kept(kept: str, told: int) -> None:
    seer = Seer(STORE_IP=kept)
    for address in ("192.0.2.1", "192.0.2.2"):
        seer.sees(START, {**_environ(), "REMOTE_ADDR": address})
    assert len(seer.told) == told


def test_a_country_that_the_proxy_says_anew_is_told() -> None:
    seer = Seer(COUNTRY_HEADER="CF-IPCountry")
    for country in ("AT", "AT", "BR"):
        seer.sees(START, {**_environ(), "HTTP_CF_IPCOUNTRY": country})
    assert [seen.context and seen.context.country for seen in seer.told] == ["AT", "AT", "BR"]


def test_nothing_is_counted_while_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    seer, moment = Seer(), monotonic()
    for seconds, hits in ((1.9, [1, 2]), (2.1, [1, 1, 1])):
        monkeypatch.setattr(repeats, "monotonic", lambda seconds=seconds: moment + seconds)
        seer.told.clear()
        for _ in range(3):
            seer.sees(START, _environ())
        monkeypatch.setattr(repeats, "monotonic", lambda: moment)
        assert seer.hits() == hits


def test_no_count_goes_over_midnight_wherever_that_is() -> None:
    seer = Seer()
    last = START.replace(second=59, microsecond=900_000)
    seer.sees(last, _environ())
    seer.sees(last + SECOND / 5, _environ())
    assert [seen.at for seen in seer.told] == [last, last + SECOND / 5]


def test_threads_lose_nothing_and_double_nothing(fast_switches: None) -> None:
    """Three ask for pages of the same people, while another takes what is to be told."""
    seer, end, seen = Seer(), monotonic() + 1, [0, 0, 0]
    taken: list[Seen] = []

    def see(which: int) -> None:
        environ, people = _environ(), [Who("ada"), Who("ben")]
        while monotonic() < end:
            seen[which] += 1
            seer.sees(START, environ, who=people[seen[which] % 2])

    def take() -> None:
        while monotonic() < end:
            taken.extend(seer.repeats.take())

    threads = [Thread(target=see, args=(which,)) for which in range(3)] + [Thread(target=take)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [*seer.told, *taken, *seer.repeats.take()]
    assert sum(one.hits for one in told) == sum(seen)
    assert len(told) < sum(seen), "some were counted"


@pytest.fixture
def fast_switches() -> Iterator[None]:
    """Threads that take turns as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


stories = st.lists(
    st.tuples(
        st.sampled_from(["ada", "ben"]),
        st.sampled_from(BROWSERS),
        st.sampled_from(["", "page=2", "utm_source=a", "utm_source=b"]),
        st.sampled_from([None, "http://localhost/", "https://news.example/"]),
        st.sampled_from([0, 0.2, 0.9, 1, 7, 1700, 1900, -0.3]),
        st.booleans(),
    ),
    max_size=30,
)


@given(stories)
def test_people_and_sessions_come_out_the_same(story: list[tuple[Any, ...]]) -> None:
    seer, plain, at = Seer(), Seer(), START
    plain.repeats.close()
    for user, browser, query, referrer, gap, beat in story:
        at += timedelta(seconds=gap)
        for one in (seer, plain):
            one.sees(at, _environ(browser, query, referrer), who=Who(user, f"{user}@example.com"))
        if beat:
            seer.told += seer.repeats.take()
    seer.told += seer.repeats.take()
    assert all(seen.hits == 1 for seen in plain.told)
    assert len(plain.told) == len(story)
    for user in ("ada", "ben"):
        assert _outcome(seer.told, user) == _outcome(plain.told, user)


def _outcome(told: list[Seen], user: str) -> Any:
    """What is kept of somebody: each session, the ways that led here, the browser at the end."""
    mine = sorted((seen for seen in told if seen.user_id == user), key=lambda seen: seen.at)
    sessions = sessionise(
        [],
        mine,
        count=0,
        last_seen_at=None,
        idle=timedelta(minutes=30),
        longest=timedelta(hours=24),
    ).sessions
    contexts = [(seen.at, seen.context) for seen in mine if seen.context]
    ways = {(at, c.referrer, c.utm_source) for at, c in contexts if c.referrer or c.utm_source}
    newest = {c.browser for at, c in contexts if at == mine[-1].at}
    return [(one.started_at, one.last_at, one.hits) for one in sessions], ways, newest


# --- in a process that serves ---------------------------------------------------------------------


def _sightings(recorder: Recorder, who: Who, times: int) -> None:
    for _ in range(times):
        now, environ = START, _environ()
        if not recorder.repeats.counts(who, environ, now, now):
            recorder.append_first(Seen(now, who.user_id), who, environ)


def test_all_of_it_is_stored_by_a_flush_and_at_the_end(
    database: Database, recorders: Recorders
) -> None:
    recorder = recorders(app=FakeApp(testing=False), FLUSH_INTERVAL=timedelta(hours=1))
    _sightings(recorder, Who("ada"), 20)
    assert recorder.flush() < 20
    assert [hits for (hits,) in table(database, SessionRow, "hits")] == [20]
    _sightings(recorder, Who("ada"), 20)
    recorder.close()
    recorders(app=FakeApp()).flush()
    assert [hits for (hits,) in table(database, SessionRow, "hits")] == [40]


def test_the_writer_tells_it_by_itself(database: Database, recorders: Recorders) -> None:
    recorder = recorders(app=FakeApp(testing=False), FLUSH_INTERVAL=timedelta(seconds=0.05))
    _sightings(recorder, Who("ada"), 50)
    end = time.monotonic() + 30
    while table(database, SessionRow, "hits") != [(50,)] and time.monotonic() < end:
        time.sleep(0.01)
    assert table(database, SessionRow, "hits") == [(50,)]


def test_what_is_done_in_a_counted_request_belongs_to_the_session(
    database: Database, recorders: Recorders
) -> None:
    recorder = recorders(app=FakeApp(testing=False), FLUSH_INTERVAL=timedelta(hours=1))
    _sightings(recorder, Who("ada"), 1)
    recorder.append(Event(START, "ada", "exported", in_request=True))
    _sightings(recorder, Who("ada"), 1)
    recorder.flush()
    ((session,),) = table(database, SessionRow, "id")
    assert table(database, EventRow, "name", "session_id") == [("exported", session)]
    assert table(database, SessionRow, "hits") == [(2,)]


def test_nothing_is_counted_where_no_thread_tells(recorders: Recorders) -> None:
    recorder = recorders(app=FakeApp(testing=True))
    _sightings(recorder, Who("ada"), 3)
    assert recorder.repeats.take() == []
    assert recorder.flush() == 3


HOST = """
import sys, threading, time
from flask import Flask, request
from flask_engage import Engage, Identity
from flask_engage.signals import user_seen

how, url, journal = sys.argv[1:]
app = Flask("host")
app.config.update(ENGAGE_JOURNAL_DIR=journal, ENGAGE_SCHEDULER="off")
engage = Engage(app, url)

@app.get("/<user_id>")
def page(user_id):
    return user_id

@engage.load_user
def load_user():
    return Identity(id=request.view_args["user_id"])

def see(*user_ids):
    for user_id in user_ids:
        for _ in range(10):
            client = app.test_client()
            client.set_cookie("a", "1")
            answer = client.get("/" + user_id, headers={"User-Agent": "Firefox"})
            assert answer.status_code == 200

held_up = threading.Event()

@user_seen.connect
def slow(sender, **seen):
    if how != "in peace":
        held_up.set()
        if how == "its writer dead":
            sys.exit()
        time.sleep(10)

see("ada")
if how != "in peace":
    assert held_up.wait(20)
see("ben", "cyd")
"""


@pytest.mark.parametrize("how", ["in peace", "its writer held up", "its writer dead"])
def test_a_process_that_ends_has_told_everything(how: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'host.sqlite3'}"
    journal = str(tmp_path / "journal")
    output_of(["-c", HOST, how, url, journal], cwd=tmp_path)
    app = Flask("host")
    app.config.update(TESTING=True, ENGAGE_JOURNAL_DIR=journal)
    engage = Engage(app, url)
    with app.app_context():
        engage.flush()
    found = table(state_of(app).ready.require(), SessionRow, "hits")
    assert found == [(10,), (10,), (10,)]


@pytest.fixture
def serving(migrated_url: str, tmp_path: Path) -> Iterator[tuple[Flask, Engage]]:
    """An app whose writer runs, and stores what it is told to."""
    app = Flask("host")
    app.config.update(
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        ENGAGE_SCHEDULER="off",
        ENGAGE_FLUSH_INTERVAL=timedelta(hours=1),
    )
    engage = Engage(app, migrated_url)
    engage.load_user(lambda: Identity(id="ada"))
    yield app, engage
    state_of(app).recorder.close()
    state_of(app).ready.require().dispose()


def _ask(app: Flask, path: str = "/", times: int = 1) -> None:
    for _ in range(times):
        client = app.test_client()
        client.set_cookie("a", "1")
        assert client.get(path, headers={"User-Agent": "Firefox"}).status_code == 200


def test_requests_that_follow_at_once_are_counted(
    serving: tuple[Flask, Engage], database: Database
) -> None:
    app, engage = serving
    app.add_url_rule("/", view_func=lambda: "here")
    _ask(app, times=30)
    with app.app_context():
        assert engage.flush() < 15
    assert table(database, SessionRow, "hits") == [(30,)]


def test_an_event_of_the_hosts_transaction_finds_its_session(
    serving: tuple[Flask, Engage], database: Database
) -> None:
    app, engage = serving

    def paid() -> str:
        with Session(database.engine) as session:
            assert engage.track("paid", session=session)
            session.commit()
        return "thanks"

    app.add_url_rule("/", view_func=lambda: "here")
    app.add_url_rule("/paid", view_func=paid)
    _ask(app)
    _ask(app, "/paid")
    with app.app_context():
        engage.flush()
    ((session,),) = table(database, SessionRow, "id")
    assert table(database, EventRow, "name", "session_id") == [("paid", session)]


def test_a_fork_does_not_tell_what_is_its_parents(database: Database, recorders: Recorders) -> None:
    recorder = recorders(app=FakeApp(testing=False), FLUSH_INTERVAL=timedelta(hours=1))
    _sightings(recorder, Who("ada"), 10)

    def work(_said: int) -> None:
        _sightings(recorder, Who("ben"), 5)
        recorder.flush()

    pid, _ = in_child(work)
    os.waitpid(pid, 0)
    recorder.flush()
    assert table(database, SessionRow, "hits") == [(5,), (10,)]


FORKS = """
import ctypes, os, sys
from datetime import timedelta
from pathlib import Path
from flask_engage._clock import utcnow
from flask_engage.capture.buffer import Who
from tests.capture._recorders import FakeApp, Recorders
from tests.capture.test_repeats import _sightings

recorders = Recorders(sys.argv[1], Path(sys.argv[2]), utcnow)
recorder = recorders(app=FakeApp(testing=False), FLUSH_INTERVAL=timedelta(hours=1))
_sightings(recorder, Who("ada"), 10)
child = ctypes.PyDLL(None).fork()
_sightings(recorder, Who("ben" if child == 0 else "cyd"), 5)
recorder.flush()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
recorders.close()
"""


def test_a_fork_that_python_has_not_made_doubles_nothing(
    database: Database, migrated_url: str, tmp_path: Path
) -> None:
    """As uWSGI's, which calls none of Python's hooks by default."""
    output_of(["-c", FORKS, migrated_url, tmp_path / "journal"], cwd=tmp_path)
    assert table(database, SessionRow, "hits") == [(5,), (5,), (10,)]


def test_a_killed_process_loses_no_more_than_the_count(
    database: Database, recorders: Recorders
) -> None:
    recorder = recorders(app=FakeApp(testing=False), FLUSH_INTERVAL=timedelta(hours=1))

    def work(said: int) -> None:
        _sightings(recorder, Who("ada"), 10)
        os.write(said, b".")
        signal.pause()

    pid, pipe = in_child(work)
    assert os.read(pipe, 1) == b"."
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    recorder.flush()
    assert table(database, PersonRow, "user_id") == [("ada",)]
    ((hits,),) = table(database, SessionRow, "hits")
    assert 1 <= hits <= 10
