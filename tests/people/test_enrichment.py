"""Enrichment, on the three databases, against a local server that speaks as the services do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select

from flask_engage import Identity, Profile
from flask_engage.people.enrich import services
from flask_engage.people.enrich.avatars import fetch_avatars
from flask_engage.people.enrich.enricher import AnyEnricher, Enricher, LocalEnricher
from flask_engage.people.enrich.outbound import Outbound
from flask_engage.people.enrich.places import guess_companies
from flask_engage.people.enrich.work import Enriching, EnrichmentReport, wait_after
from flask_engage.people.refresh import Turn
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.attribute_write import write_attributes
from flask_engage.store.engine import Database
from flask_engage.store.enrichment import (
    AvatarRow,
    EnrichmentLogRow,
    EnrichmentRow,
    avatar_of,
)
from flask_engage.store.person import PersonRow
from flask_engage.store.provider import provider_rows
from tests._clock import FakeClock
from tests.people._enrichment_server import PNG, Server, answer

OUT = Outbound(permits=lambda address: True)
FOUND = {
    "fullName": "Ada Lovelace",
    "title": "Countess",
    "organization": "Analytical Engines",
    "location": "London, UK",
    "bio": "First of all.\x00\n<script>",
    "linkedin": "https://www.linkedin.com/in/ada",
    "website": "javascript:alert(1)",
    "avatar": None,
    "details": {"employment": [{"name": "X", "domain": "engines.example.org", "current": True}]},
}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def someone(database: Database, now: datetime, email: str | None = "ada@engines.org") -> int:
    with database.write() as session:
        row = PersonRow(
            user_id=f"{email}-{id(object())}",
            email=email,
            name="Ada",
            attributes={},
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        session.flush()
        return row.id


def fullcontact(server: Server, **changes: object) -> Enricher:
    made = Enricher(
        "fullcontact",
        partial(services.fullcontact, replace(OUT, seconds=2.0), server.url + "/v3", "the key"),
        ("email",),
        ("email",),
        timedelta(days=90),
        600,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def work(
    database: Database, clock: FakeClock, *enrichers: AnyEnricher
) -> list[EnrichmentReport | None]:
    enriching = Enriching(database, enrichers, clock, draw=lambda: 0.5)
    return [enriching.turn(one, Turn()) for one in enrichers]


def row_of(database: Database, person_id: int, provider: str = "fullcontact") -> EnrichmentRow:
    with database.read() as session:
        row = session.get(EnrichmentRow, (provider, person_id))
        assert row is not None
        session.expunge(row)
        return row


def attributes(database: Database, person_id: int) -> dict[str, tuple[object, str]]:
    with database.read() as session:
        rows = session.scalars(select(AttributeRow).where(AttributeRow.person_id == person_id))
        return {row.name: (json.loads(row.value), row.source) for row in rows}


def log(database: Database, person_id: int) -> list[tuple[str, str, str]]:
    with database.read() as session:
        rows = session.scalars(
            select(EnrichmentLogRow)
            .where(EnrichmentLogRow.person_id == person_id)
            .order_by(EnrichmentLogRow.id)
        )
        return [(row.provider, row.fields, row.outcome) for row in rows]


def test_what_is_found_becomes_attributes_and_is_asked_once(
    database: Database, clock: FakeClock, server: Server
) -> None:
    ada = someone(database, clock())
    server.answer = answer(200, FOUND)
    work(database, clock, fullcontact(server))
    work(database, clock, fullcontact(server))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v3/person.enrich")
    assert request.headers["authorization"] == "Bearer the key"
    assert request.body == {"email": "ada@engines.org"}
    source = "enrichment:fullcontact"
    assert attributes(database, ada) == {
        "job title": ("Countess", source),
        "company": ("Analytical Engines", source),
        "company domain": ("engines.example.org", source),
        "location": ("London, UK", source),
    }
    row = row_of(database, ada)
    assert (row.state, row.next_at) == ("found", clock() + timedelta(days=90))
    assert row.profile is not None
    assert row.profile["links"] == ["https://www.linkedin.com/in/ada"]
    assert row.profile["bio"] == "First of all. <script>"
    assert log(database, ada) == [("fullcontact", "email", "found")]
    with database.read() as session:
        person = session.get_one(PersonRow, ada)
        assert person.attributes["s:company"] == "Analytical Engines"
    clock.advance(days=91)
    server.answer = answer(404)
    work(database, clock, fullcontact(server))
    assert attributes(database, ada) == {}
    assert row_of(database, ada).profile is None


def test_a_higher_source_keeps_its_value(
    database: Database, clock: FakeClock, server: Server
) -> None:
    ada = someone(database, clock())
    sources = {"company": "manual", "job title": "provider:jobs", "location": "api"}
    with database.write() as session:
        for name, source in sources.items():
            write_attributes(session, {ada: {name: "ours"}}, source=source, now=clock())
    server.answer = answer(200, FOUND)
    work(database, clock, fullcontact(server))
    held = attributes(database, ada)
    assert {name: held[name] for name in sources} == {
        name: ("ours", source) for name, source in sources.items()
    }
    assert held["company domain"][1] == "enrichment:fullcontact"
    clock.advance(days=91)
    server.answer = answer(404)
    work(database, clock, fullcontact(server))
    assert attributes(database, ada).keys() == sources.keys()


@pytest.mark.parametrize(
    ("status", "headers", "state", "wait", "attempts"),
    [
        (404, {}, "unknown", timedelta(days=90), 0),
        (422, {}, "unknown", timedelta(days=90), 0),
        (202, {"Retry-After": "120"}, "pending", timedelta(seconds=120), 1),
        (202, {}, "pending", timedelta(minutes=1), 1),
        (500, {}, "failed", timedelta(minutes=1), 1),
        (301, {"Location": "http://169.254.169.254/"}, "failed", timedelta(minutes=1), 1),
    ],
)
def test_each_answer_has_its_consequence(
    database: Database,
    clock: FakeClock,
    server: Server,
    status: int,
    headers: dict[str, str],
    state: str,
    wait: timedelta,
    attempts: int,
) -> None:
    ada = someone(database, clock())
    server.answer = lambda request: (status, headers, b"")
    work(database, clock, fullcontact(server))
    row = row_of(database, ada)
    assert (row.state, row.attempts, row.next_at) == (state, attempts, clock() + wait)
    clock.now = row.next_at - timedelta(seconds=1)
    work(database, clock, fullcontact(server))
    assert len(server.requests) == 1
    clock.advance(seconds=1)
    server.answer = answer(200, FOUND)
    work(database, clock, fullcontact(server))
    assert row_of(database, ada).state == "found"
    assert log(database, ada)[0] == ("fullcontact", "email", state)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "300"}, timedelta(seconds=300)),
        (429, {"X-Rate-Limit-Reset": "30"}, timedelta(seconds=30)),
        (
            503,
            {
                "Retry-After": "Mon, 23 Nov 2026 10:10:00 GMT",
                "Date": "Mon, 23 Nov 2026 10:00:00 GMT",
            },
            timedelta(minutes=10),
        ),
        (401, {}, timedelta(hours=1)),
    ],
)
def test_who_says_enough_is_left_alone_by_everybody(
    database: Database,
    clock: FakeClock,
    server: Server,
    status: int,
    headers: dict[str, str],
    wait: timedelta,
) -> None:
    people = [someone(database, clock(), f"p{n}@engines.org") for n in range(3)]
    server.answer = lambda request: (status, dict(headers), b"")
    (report,) = work(database, clock, fullcontact(server))
    assert report is not None
    assert report.paused_until == clock() + wait
    assert len(server.requests) == 1
    assert row_of(database, people[0]).attempts == 0
    clock.now += wait - timedelta(seconds=1)
    work(database, clock, fullcontact(server))
    assert len(server.requests) == 1
    clock.now += timedelta(seconds=1)
    server.answer = answer(404)
    work(database, clock, fullcontact(server))
    assert len(server.requests) == 4
    with database.read() as session:
        book = provider_rows(session)["enrichment:fullcontact"]
        assert book.position is None


def test_an_answer_that_is_nonsense_leaves_the_one_before(
    database: Database, clock: FakeClock, server: Server
) -> None:
    ada = someone(database, clock())
    server.answer = answer(200, FOUND)
    work(database, clock, fullcontact(server))
    before = attributes(database, ada)
    clock.advance(days=91)
    for body in (b"<html>", b"[1]", b"x" * 300_000, b"[" * 100_000):
        server.answer = lambda request, body=body: (200, {}, body)
        (report,) = work(database, clock, fullcontact(server))
        assert report is not None
        assert report.failed == 1
        clock.advance(days=2)
    assert attributes(database, ada) == before
    row = row_of(database, ada)
    assert (row.state, row.attempts) == ("failed", 4)
    assert row.error
    assert "ada@" not in row.error


def test_one_that_drips_is_cut_off(database: Database, clock: FakeClock, server: Server) -> None:
    ada = someone(database, clock())
    server.answer = lambda request: (200, {"X-Drip": "1"}, b" " * 10_000)
    slow = replace(OUT, seconds=0.4)
    ask = partial(services.fullcontact, slow, server.url, "key")
    work(database, clock, fullcontact(server, ask=ask))
    assert row_of(database, ada).error == "it took too long"


def test_one_that_hangs_costs_its_own_turn_only(
    database: Database, clock: FakeClock, server: Server
) -> None:
    people = [someone(database, clock(), f"p{n}@engines.org") for n in range(3)]
    server.answer = lambda request: (0, {}, b"")
    hangs = fullcontact(server, timeout=timedelta(seconds=0.3))
    local = LocalEnricher("company guess", guess_companies, "email", timedelta(days=90))
    first, second = work(database, clock, hangs, local)
    assert first is not None
    assert second is not None
    assert (first.asked, second.found) == (1, 3)
    assert first.paused_until == clock() + timedelta(minutes=1)
    assert attributes(database, people[2])["company"] == ("Engines", "enrichment:company guess")


def test_a_host_function_that_raises_or_answers_nonsense_costs_one_person(
    database: Database, clock: FakeClock
) -> None:
    people = [someone(database, clock(), f"p{n}@engines.org") for n in range(3)]
    given: list[Identity] = []

    def ask(who: Identity, seconds: float) -> Profile | None:
        given.append(who)
        if who.email == "p0@engines.org":
            raise ZeroDivisionError(who.email)
        if who.email == "p1@engines.org":
            return {"company": "a dict"}  # type: ignore[return-value]
        return Profile(company="=cmd|' \u202eevil 🦊" * 50, attributes={"staff": 7})

    own = Enricher("own", ask, ("email",), ("email",), timedelta(days=1), 600)
    (report,) = work(database, clock, own)
    assert report is not None
    assert (report.asked, report.failed, report.found) == (3, 2, 1)
    assert row_of(database, people[0], "own").error == "ZeroDivisionError"
    assert all((who.id, who.name) == ("", None) for who in given)
    held = attributes(database, people[2])
    assert held["staff"] == (7, "enrichment:own")
    assert len(str(held["company"][0])) <= 200


def test_a_limit_holds_over_turns(database: Database, clock: FakeClock, server: Server) -> None:
    for n in range(4):
        someone(database, clock(), f"p{n}@engines.org")
    slow = fullcontact(server, per_hour=3)
    work(database, clock, slow)
    work(database, clock, slow)
    assert len(server.requests) == 3
    clock.advance(hours=1, seconds=1)
    work(database, clock, slow)
    assert len(server.requests) == 4


def test_nothing_is_sent_of_whom_there_is_nothing_to_send(
    database: Database, clock: FakeClock, server: Server
) -> None:
    nobody, gone = someone(database, clock(), None), someone(database, clock(), "gone@x.org")
    with database.write() as session:
        session.get_one(PersonRow, gone).gone_at = clock()
    assert work(database, clock, fullcontact(server)) == [None]
    assert not server.requests
    assert log(database, nobody) == log(database, gone) == []


def test_the_more_believed_speaks_first_and_goes_with_what_it_said(
    database: Database, clock: FakeClock, server: Server
) -> None:
    ada = someone(database, clock())
    local = LocalEnricher("company guess", guess_companies, "email", timedelta(days=90))
    server.answer = answer(200, {"organization": "Engines, Inc."})
    work(database, clock, fullcontact(server, expiry=timedelta(days=1)), local)
    assert attributes(database, ada)["company"] == ("Engines, Inc.", "enrichment:fullcontact")
    clock.advance(days=2)
    server.answer = answer(404)
    work(database, clock, fullcontact(server), local)
    assert attributes(database, ada)["company"] == ("Engines", "enrichment:company guess")


def test_gravatar_is_told_a_hash_and_its_picture_is_kept(
    database: Database, clock: FakeClock, server: Server
) -> None:
    ada = someone(database, clock(), " Ada@Engines.org ")
    profile = {"job_title": "Poet", "avatar_url": f"{server.url}/avatar/1?size=9"}
    server.answer = lambda request: (
        (200, {}, PNG)
        if request.path.startswith("/avatar")
        else (200, {}, json.dumps(profile).encode())
    )
    ask = partial(services.gravatar, OUT, server.url, None)
    work(
        database,
        clock,
        Enricher("gravatar", ask, ("email",), ("email as SHA-256",), timedelta(days=90), 90),
    )
    hashed = hashlib.sha256(b"ada@engines.org").hexdigest()
    assert server.requests[0].path == f"/profiles/{hashed}"
    assert "ngines" not in json.dumps(server.requests[0].headers)
    outbound = replace(OUT, ports=frozenset({server.port}))
    assert fetch_avatars(database, outbound, clock(), Turn()) == 1
    assert server.requests[1].path == "/avatar/1?s=192&d=404"
    with database.read() as session:
        assert avatar_of(session, ada) == ("image/png", PNG)
    assert log(database, ada) == [
        ("gravatar", "email as SHA-256", "found"),
        ("gravatar", "picture's address", "found"),
    ]


@pytest.mark.parametrize(
    ("body", "permits", "error"),
    [
        (b"<svg onload='alert(1)'/>", True, "it is no PNG, JPEG, WebP or GIF"),
        (PNG + b"x" * 300_000, True, "the answer has more than 200 KiB"),
        (PNG, False, "it leads to an address that is not public"),
    ],
)
def test_a_picture_that_is_none_or_lies_inside_is_not_kept(
    database: Database, clock: FakeClock, server: Server, body: bytes, permits: bool, error: str
) -> None:
    ada = someone(database, clock())
    with database.write() as session:
        session.add(
            AvatarRow(person_id=ada, provider="own", url=f"{server.url}/a", next_at=clock())
        )
    server.answer = lambda request: (200, {}, body)
    outbound = Outbound(ports=frozenset({server.port}))
    if permits:
        outbound = replace(outbound, permits=lambda address: True)
    assert fetch_avatars(database, outbound, clock(), Turn()) == 0
    assert bool(server.requests) is permits
    with database.read() as session:
        row = session.get_one(AvatarRow, ada)
        assert (row.content, row.error) == (None, error)


def test_whoever_is_deleted_leaves_nothing(
    database: Database, clock: FakeClock, server: Server
) -> None:
    ada = someone(database, clock())
    server.answer = answer(200, FOUND | {"avatar": server.url + "/a.png"})
    work(database, clock, fullcontact(server))
    with database.write() as session:
        session.execute(PersonRow.__table__.delete().where(PersonRow.id == ada))  # type: ignore[attr-defined]
    with database.read() as session:
        for model in (EnrichmentRow, EnrichmentLogRow, AvatarRow):
            assert session.scalars(select(model)).all() == []


def test_waits_double_up_to_a_day_and_are_spread() -> None:
    assert [wait_after(n, lambda: 0.5) for n in (1, 2, 3)] == [
        timedelta(minutes=1),
        timedelta(minutes=2),
        timedelta(minutes=4),
    ]
    assert wait_after(50, lambda: 0.5) == timedelta(days=1)
    assert wait_after(1, lambda: 0) < wait_after(1, lambda: 0.99)
