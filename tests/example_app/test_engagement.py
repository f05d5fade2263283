"""What Flask-Engage knows of Paperkite's people, and what it tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from example_app import demo
from example_app.engagement import ATTRIBUTES, engage
from example_app.models import User, db
from flask_engage import Filter, Person, attr, did, in_segment, person, received
from tests.example_app.conftest import MakePaperkite, Visitor

TAG = "/engage/widget/engage.js"


@pytest.fixture
def app(make_paperkite: MakePaperkite) -> Flask:
    """Paperkite with Flask-Engage and its tables."""
    app = make_paperkite()
    assert app.test_cli_runner().invoke(args=["engage", "upgrade"]).exit_code == 0
    return app


@pytest.fixture
def ada(app: Flask) -> Visitor:
    """Ada, logged in."""
    return Visitor(app).log_in("ada@letters.example")


def _people(app: Flask, which: Filter | None = None) -> list[Person]:
    with app.app_context():
        engage.flush()
        return list(engage.people(which))


def _begin(visitor: Visitor) -> str:
    visitor.get("/newsletters/")
    assert visitor.post("/newsletters/", title="Sunday letter") == 200
    return visitor.path


def test_member_who_visits_becomes_a_person(app, ada):
    (found,) = _people(app)
    assert (found.email, found.name) == ("ada@letters.example", "Ada")
    assert found.attrs["plan"] == "free"
    assert found.sessions == 1
    assert datetime.now(UTC) - found.last_seen < timedelta(minutes=1)


def test_founder_is_not_recorded(app):
    with app.app_context():
        ada = db.session.scalar(select(User).where(User.email == "ada@letters.example"))
        ada.is_admin = True
        db.session.commit()
    Visitor(app).log_in("ada@letters.example")
    assert _people(app) == []


def test_work_is_tracked(app, ada):
    letter = _begin(ada)
    ada.post(f"{letter}/sections/", kind="quote")
    section = ada.path
    ada.post(f"{letter}/sections/", kind="video")  # refused, so nothing has been created
    ada.post(f"{section}/delete")
    ada.download(f"{letter}/export")
    ada.post("/team/", email="cy@letters.example")
    ada.post("/settings/twitter", handle="ada_l")
    ada.post("/settings/twitter/disconnect")
    ada.post("/settings/plan", plan="studio")
    for done in (
        did("created newsletter").exactly(1),
        did("created section").where(kind="quote").exactly(1),
        did("created section").exactly(1),
        did("deleted section").exactly(1),
        did("exported").exactly(1),
        did("sent invite").where(domain="letters.example").exactly(1),
        did("connected twitter").exactly(1),
        did("disconnected twitter").exactly(1),
        did("changed plan").where(to="studio").exactly(1),
        attr("plan") == "studio",
    ):
        assert len(_people(app, done)) == 1, done.describe()


def test_signing_up_and_joining_are_tracked_for_the_right_people(app, ada):
    ada.get("/team/")
    ada.post("/team/", email="cy@letters.example")
    link = ada.page.partition('href="/signup?invite=')[2].partition('"')[0]
    cy = Visitor(app)
    cy.get(f"/signup?invite={link}")
    cy.post(f"/signup?invite={link}", name="Cy", email="cy@letters.example", password="long enough")
    joined = _people(app, did("signed up").where(invited=True))
    assert [found.name for found in joined] == ["Cy"]
    assert [found.name for found in _people(app, did("teammate joined"))] == ["Ada"]


def test_what_people_are_like_is_computed_for_all_at_once(app, ada):
    letter = _begin(ada)
    for _ in range(3):
        ada.post(f"{letter}/sections/", kind="text")
    ada.post("/settings/twitter", handle="ada_l")
    with app.app_context():
        engage.flush()
        engage.sync()
        for name in ATTRIBUTES:
            engage.refresh(name)
    attributes = {found.name: found.attrs for found in _people(app)}
    assert attributes["Ada"]["number of sections created"] == 3
    assert attributes["Ada"]["number of newsletters"] == 1
    assert attributes["Ada"]["has added twitter service"] is True
    assert attributes["Bob"]["has added twitter service"] is False


def test_segments_find_whom_they_mean(app, ada):
    letter = _begin(ada)
    for _ in range(5):
        ada.download(f"{letter}/export")
    assert [found.name for found in _people(app, in_segment("power users"))] == ["Ada"]
    assert _people(app, in_segment("left before exporting")) == []
    assert _people(app, in_segment("free, and writing a lot")) == []


def test_come_back_is_sent_once_to_those_who_have_been_away(app, ada):
    with app.app_context():
        engage.seen(2, at=datetime.now(UTC) - timedelta(days=20))
        engage.flush()
        engage.sync()
        assert engage.people(person.last_seen.is_set()).count() == 2
        for _ in range(3):
            engage.run_due()
    assert [found.name for found in _people(app, received("come back").sent())] == ["Bob"]


def test_widget_is_in_members_pages_and_nowhere_else(app, ada):
    letter = _begin(ada)
    ada.get(letter)
    assert ada.page.count(TAG) == 1
    assert TAG not in ada.download(f"{letter}/export").text
    stranger = Visitor(app)
    stranger.get("/")
    assert TAG not in stranger.page


def test_seeded_people_are_known_with_their_past(make_paperkite, app):
    words = ["seed", "--reset", "--people", "60", "--days", "60"]
    result = app.test_cli_runner().invoke(args=words)
    assert result.exit_code == 0, result.output
    everybody = _people(app)
    assert len(everybody) == 60
    assert {found.email for found in everybody} >= {demo.MEMBER.email}
    assert demo.OPERATOR.email not in {found.email for found in everybody}
    (ines,) = _people(app, person.email == demo.MEMBER.email)
    assert ines.sessions > 10
    assert ines.signed_up < ines.last_seen <= datetime.now(UTC)
    assert ines.attrs["number of sections created"] > 5
    assert len(_people(app, did("created section"))) > 30
    assert any("<script>" in (found.name or "") for found in everybody)
