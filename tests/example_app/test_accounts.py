"""Coming in, going out, settings: the same with Flask-Engage and without."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from example_app.models import User, db


def _user(app: Flask, email: str = "ada@letters.example") -> User:
    with app.app_context():
        user = db.session.scalar(select(User).where(User.email == email))
        assert user is not None
        return user


def test_front_page_greets_a_stranger(visitor):
    assert visitor.get("/") == 200
    assert "Write it like one" in visitor.page


def test_front_page_sends_a_member_to_the_shelf(ada):
    assert ada.get("/") == 200
    assert ada.path == "/newsletters/"


def test_login_refuses_a_wrong_password(visitor):
    visitor.get("/login")
    assert visitor.post("/login", email="ada@letters.example", password="wrong") == 422
    assert "No account has that email and password" in visitor.page


def test_login_ignores_the_case_of_the_address(visitor):
    visitor.log_in("ADA@letters.example")


def test_login_goes_back_to_the_page_that_was_asked_for(visitor):
    assert visitor.get("/team/") == 200
    assert visitor.path == "/login"
    visitor.post("/login?next=/team/", email="ada@letters.example", password="correct horse")
    assert visitor.path == "/team/"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example"]
)
def test_login_never_leads_to_another_site(visitor, target):
    visitor.get("/login")
    visitor.post(f"/login?next={target}", email="ada@letters.example", password="correct horse")
    assert visitor.path == "/newsletters/"


def test_logging_out_closes_the_members_pages(ada):
    ada.get("/settings")
    assert ada.post("/logout") == 200
    ada.get("/settings")
    assert ada.path == "/login"


def test_form_without_its_token_is_refused(ada):
    assert ada.raw("/logout", method="POST").status_code == 400
    assert ada.get("/settings") == 200


def test_signing_up_makes_an_account_and_logs_in(visitor, paperkite):
    visitor.get("/signup")
    fields = {"name": "ليلى حداد", "email": "layla@letters.example", "password": "long enough"}
    assert visitor.post("/signup", **fields) == 200
    assert visitor.path == "/newsletters/"
    assert "ليلى حداد" in visitor.page
    assert _user(paperkite, "layla@letters.example").has_password("long enough")


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("email", "ada@letters.example", "There is an account with this address"),
        ("email", "no address", "does not look like an address"),
        ("password", "short", "at least 8 characters"),
        ("name", "  ", "This field is required"),
    ],
)
def test_signing_up_says_what_is_wrong(visitor, field, value, complaint):
    visitor.get("/signup")
    fields = {"name": "Cy", "email": "cy@letters.example", "password": "long enough"}
    assert visitor.post("/signup", **{**fields, field: value}) == 422
    assert complaint in visitor.page


def test_name_with_markup_is_shown_as_text(visitor):
    visitor.get("/signup")
    name = '"><script>alert(1)</script>'
    visitor.post("/signup", name=name, email="x@letters.example", password="long enough")
    assert "<script>alert(1)" not in visitor.page
    assert "&lt;script&gt;alert(1)" in visitor.page


def test_profile_is_changed(ada, paperkite):
    ada.get("/settings")
    assert ada.post("/settings", name="Ada L.", timezone="Asia/Tokyo") == 200
    assert (_user(paperkite).name, _user(paperkite).timezone) == ("Ada L.", "Asia/Tokyo")


def test_unknown_time_zone_is_refused(ada, paperkite):
    ada.get("/settings")
    assert ada.post("/settings", name="Ada", timezone="Mars/Olympus") == 422
    assert _user(paperkite).timezone == "UTC"


def test_plan_is_changed(ada, paperkite):
    ada.get("/settings")
    assert ada.post("/settings/plan", plan="studio") == 200
    assert "You are on the Studio plan" in ada.page
    assert _user(paperkite).plan == "studio"


def test_unknown_plan_changes_nothing(ada, paperkite):
    ada.get("/settings")
    ada.post("/settings/plan", plan="gold")
    assert _user(paperkite).plan == "free"


def test_twitter_account_is_connected_and_disconnected(ada, paperkite):
    ada.get("/settings")
    ada.post("/settings/twitter", handle="@ada_l")
    assert "Connected as <b>@ada_l</b>" in ada.page
    assert _user(paperkite).twitter_id is not None
    ada.post("/settings/twitter/disconnect")
    assert _user(paperkite).twitter_id is None


def test_twitter_name_that_cannot_be_one_is_refused(ada, paperkite):
    ada.get("/settings")
    ada.post("/settings/twitter", handle="not a handle")
    assert _user(paperkite).twitter_id is None


def test_unknown_page_says_so_in_the_house_look(visitor):
    assert visitor.get("/nowhere") == 404
    assert "This page has flown off" in visitor.page


def test_secret_key_is_made_once_and_kept(paperkite, make_app_again):
    assert len(paperkite.config["SECRET_KEY"]) >= 32
    assert make_app_again().config["SECRET_KEY"] == paperkite.config["SECRET_KEY"]
