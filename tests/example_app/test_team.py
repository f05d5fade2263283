"""Invites: the same with Flask-Engage and without."""

from __future__ import annotations

import re

from example_app.models import Invite, db


def test_teammate_is_invited_and_joins(ada, visitor, paperkite):
    ada.get("/team/")
    assert ada.post("/team/", email="cy@letters.example") == 200
    link = re.search(r'href="(/signup\?invite=[^"]+)"', ada.page)[1]
    visitor.get(link)
    assert "asked you to join" in visitor.page
    assert 'value="cy@letters.example"' in visitor.page
    visitor.post(link, name="Cy", email="cy@letters.example", password="long enough")
    assert visitor.path == "/newsletters/"
    ada.get("/team/")
    assert "Joined" in ada.page
    assert link not in ada.page


def test_invite_works_once(ada, visitor):
    ada.get("/team/")
    ada.post("/team/", email="cy@letters.example")
    link = re.search(r'href="(/signup\?invite=[^"]+)"', ada.page)[1]
    visitor.get(link)
    visitor.post(link, name="Cy", email="cy@letters.example", password="long enough")
    visitor.post("/logout")
    visitor.get(link)
    assert "asked you to join" not in visitor.page


def test_same_person_is_not_invited_twice(ada):
    ada.get("/team/")
    ada.post("/team/", email="cy@letters.example")
    assert ada.post("/team/", email="CY@letters.example") == 422
    assert "You have invited them before" in ada.page


def test_invite_is_withdrawn_by_nobody_else(ada, bob, paperkite):
    ada.get("/team/")
    ada.post("/team/", email="cy@letters.example")
    path = re.search(r'action="(/team/invites/\d+/withdraw)"', ada.page)[1]
    bob.get("/team/")
    assert bob.post(path) == 404
    assert ada.post(path) == 200
    with paperkite.app_context():
        assert db.session.query(Invite).count() == 0


def test_address_that_is_none_is_not_invited(ada, paperkite):
    ada.get("/team/")
    assert ada.post("/team/", email="nobody") == 422
    with paperkite.app_context():
        assert db.session.query(Invite).count() == 0
