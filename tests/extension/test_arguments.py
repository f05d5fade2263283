"""What can't work is refused where it is written, with the argument's name and what to give."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_engage import (
    Engage,
    Identity,
    InApp,
    InvalidFact,
    InvalidFilter,
    InvalidSettings,
    NotReady,
    Profile,
    in_segment,
    person,
)
from flask_engage._state import state_of
from tests._hosts import Host

ADULTS = person.email.is_set()


# --- the app and its database -----------------------------------------------------------------


@pytest.mark.parametrize("wrong", [5, True, ["sqlite://"], {"url": "sqlite://"}, object(), Engage])
def test_a_database_that_is_none_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"^db is a .*give a Flask-SQLAlchemy"):
        Engage(Flask("host"), wrong)


def test_an_app_and_a_database_in_the_wrong_order_are_told() -> None:
    with pytest.raises(InvalidSettings, match=r"call init_app\(app, db\)"):
        Engage().init_app("sqlite://", Flask("host"))  # type: ignore[arg-type]


def test_a_user_model_is_a_class(app_host: Host) -> None:
    for wrong in (5, "User", app_host.User(email="ada@example.com")):
        with pytest.raises(InvalidSettings, match=r"^user_model = .*user_model=User"):
            Engage(Flask("host"), app_host.db, user_model=wrong)


def test_a_user_model_that_is_not_mapped_is_told_by_the_doctor(app_host: Host) -> None:
    class Nobody:
        pass

    app = Flask("host")
    app_host.attach(app)
    Engage(app, app_host.db, user_model=Nobody)
    told = app.test_cli_runner().invoke(args=["engage", "doctor"])
    assert told.exit_code == 1
    assert "user_model Nobody is no mapped class" in told.output
    state_of(app).ready.database().dispose()


@pytest.mark.parametrize("argument", ["wsgi_app", "load_user", "operator"])
def test_what_wrap_is_given_can_be_called(argument: str) -> None:
    given: dict[str, Any] = {"wsgi_app": lambda *_: [], argument: 5}
    with pytest.raises(InvalidSettings, match=f"^{argument} = 5 can't be called"):
        Engage().wrap(**given)


# --- decorators -------------------------------------------------------------------------------

DECORATORS = ("load_user", "identify", "operator", "relationship", "enricher")


@pytest.mark.parametrize("name", DECORATORS)
def test_a_decorator_stands_before_a_function(name: str) -> None:
    with pytest.raises(InvalidFact, match=f"@engage.{name} got 5; put it before a function"):
        getattr(Engage(), name)(5)


def test_a_decorator_with_a_name_stands_before_a_function() -> None:
    wrong: Any = 5
    with pytest.raises(InvalidFact, match=r"@engage.attribute\('plan'\) got 5"):
        Engage().attribute("plan")(wrong)
    with pytest.raises(InvalidFact, match=r"@engage.attribute_query\(\) got 5"):
        Engage().attribute_query()(wrong)


@pytest.mark.parametrize("name", DECORATORS)
def test_a_function_that_nobody_would_await_is_refused(name: str) -> None:
    async def waits(*_: Any) -> None: ...

    with pytest.raises(InvalidFact, match="waits is async"):
        getattr(Engage(), name)(waits)
    with pytest.raises(InvalidFact, match=r"waits at .* is async"):
        getattr(Engage(), name)(partial(waits))


def test_durations_are_timedeltas_or_seconds() -> None:
    engage = Engage()
    engage.attribute("plan", every=60, timeout=2.5)(len)
    engage.attribute_query("counts", every=timedelta(minutes=1), timeout=2.5)(dict)
    for name in ("plan", "counts"):
        provider = engage._registry.providers[name]
        assert provider.every == timedelta(minutes=1)
        assert provider.timeout == timedelta(seconds=2.5)

    @engage.enricher(expiry=60, timeout=2.5)
    def directory(who: Identity) -> Profile | None:
        return None

    enricher = engage._registry.enrichers["directory"]
    assert (enricher.expiry, enricher.timeout) == (timedelta(minutes=1), timedelta(seconds=2.5))


@pytest.mark.parametrize("wrong", [0, -1, "60", None, True, float("inf"), float("nan")])
@pytest.mark.parametrize("argument", ["every", "timeout"])
def test_a_duration_that_is_none_is_refused(argument: str, wrong: Any) -> None:
    engage = Engage()
    said = rf"^{argument}={wrong!r}: expected a timedelta or a number of seconds above 0\.$"
    with pytest.raises(InvalidFact, match=said):
        engage.attribute("plan", **{argument: wrong})
    with pytest.raises(InvalidFact, match=said):
        engage.attribute_query("plan", **{argument: wrong})


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [("expiry", 0), ("timeout", "1"), ("per_hour", 0.5), ("per_hour", True), ("sends", 5)],
)
def test_what_an_enricher_is_told_is_checked(argument: str, wrong: Any) -> None:
    with pytest.raises(InvalidFact, match=f"^{argument}={wrong!r}: expected "):
        Engage().enricher(**{argument: wrong})(len)


@pytest.mark.parametrize("name", ["relationship", "segments", "enrichment"])
def test_names_that_refresh_knows_as_ours_are_refused(name: str) -> None:
    engage = Engage()
    with pytest.raises(InvalidFact, match=f"'{name}' is taken .* choose another"):
        engage.attribute(name)(len)
    with pytest.raises(InvalidFact, match=f"'{name}' is taken .* choose another"):
        engage.attribute_query(name)(dict)

    def function() -> None: ...

    function.__name__ = name
    with pytest.raises(InvalidFact, match=f"'{name}' is taken .* choose another"):
        engage.attribute_query()(function)


# --- calls ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [5, None, "x" * 129, "", "  ", "a\0b"])
def test_a_segment_that_can_have_no_such_name_is_refused_and_does_no_harm(
    wrong: Any, app: Flask, engage: Engage, app_host: Host, client: FlaskClient
) -> None:
    with pytest.raises(InvalidFilter, match="name"):
        engage.segment(wrong, ADULTS)
    client.get(f"/login/{app_host.add_user(app, is_admin=True)}")
    assert client.get("/engage/people").status_code == 200


def test_a_segment_or_rule_that_is_refused_is_not_there_afterwards(
    app: Flask, engage: Engage
) -> None:
    engage.segment("adults", ADULTS)
    for name in ("adults", "looped"):
        with pytest.raises(InvalidFilter):
            engage.segment(name, in_segment("nothing of the kind"))
    with pytest.raises(InvalidFilter):
        engage.segment("looped", ADULTS & in_segment("looped"))
    assert engage._registry.segments == {"adults": ADULTS}
    for _ in range(2):  # the second time it isn't taken for a rule that is there already
        with pytest.raises(InvalidFilter):
            engage.auto_message("hello", to=in_segment("looped"), send=InApp(body="Hello"))


def test_a_segment_may_have_a_name_of_128_characters(app: Flask, engage: Engage) -> None:
    engage.segment("ä" * 128, ADULTS)
    with app.app_context():
        assert engage.people(in_segment("ä" * 128)).count() == 0


def test_people_are_asked_for_by_a_filter(app: Flask, engage: Engage) -> None:
    wrong: Any
    with app.app_context():
        for wrong in ("Active", 5, {"all": []}):
            with pytest.raises(InvalidFilter, match="give a filter"):
                engage.people(wrong)
        with pytest.raises(InvalidFilter, match=r"people\('Active'\).*in_segment"):
            engage.people("Active")  # type: ignore[arg-type]


def test_the_session_of_track_is_one(app: Flask, engage: Engage, app_host: Host) -> None:
    with app.app_context():
        for wrong in (5, app_host.db, True):
            with pytest.raises(InvalidFact, match=r"^session=.*such as db\.session"):
                engage.track("acted", user=1, session=wrong)
        assert engage.track("acted", user=1, session=app_host.db.session)
        app_host.db.session.rollback()


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("email", 5),
        ("email", b"ada@example.com"),
        ("name", ("Ada", "L")),
        ("signed_up_at", "2026-01-01"),
        ("signed_up_at", date(2026, 1, 1)),
        ("attributes", None),
    ],
)
def test_an_identity_with_a_wrong_field_loses_that_field_and_no_sighting(
    app: Flask, engage: Engage, client: FlaskClient, make_person: Any, field: str, wrong: Any
) -> None:
    user_id = make_person("ada@example.com")
    engage.identify(lambda user: Identity(user.id, **{"email": "a@b.example", field: wrong}))
    client.get(f"/login/{user_id}")
    assert client.get("/").status_code == 200
    with app.app_context():
        engage.flush()
        found = next(one for one in engage.people() if one.user_id == str(user_id))
    assert found.sessions == 1
    assert found.email == ("ada@example.com" if field == "email" else "a@b.example")


# --- with a database that can't be used --------------------------------------------------------


@pytest.mark.parametrize("url", ["nonsense", "mssql+pyodbc://x/y", "sqlite:////dev/null/x.db"])
def test_an_app_starts_though_no_database_can_be_used(url: str) -> None:
    app = Flask(__name__)
    app.config |= {"SECRET_KEY": "x" * 32, "ENGAGE_DATABASE_URL": url, "ENGAGE_SCHEDULER": "off"}
    engage = Engage(app)
    app.add_url_rule("/", view_func=lambda: "here")
    engage.segment("keen", person.sessions > 3)
    engage.auto_message("hello", to=in_segment("keen"), send=InApp(title="Hi", body="You."))
    assert app.test_client().get("/").text == "here"
    with pytest.raises(NotReady):
        engage.people(in_segment("keen")).count()


# --- who may open the dashboard ---------------------------------------------------------------


class Yes:
    def __bool__(self) -> bool:
        return True


@pytest.mark.parametrize("answer", [1, "yes", Yes()])
def test_an_answer_that_looks_like_a_yes_is_told_once(
    answer: Any, app: Flask, engage: Engage, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    engage.operator(lambda: answer)
    for _ in range(3):
        assert client.get("/engage/").status_code == 404
    [record] = [r for r in caplog.records if "operator callable" in r.getMessage()]
    assert record.levelno == logging.WARNING
    assert f"returned a {type(answer).__name__}, which lets nobody in" in record.getMessage()
    assert "True" in record.getMessage()


@pytest.mark.parametrize("answer", [None, False, 0, ""])
def test_an_answer_that_is_a_no_is_none_to_warn_of(
    answer: Any, app: Flask, engage: Engage, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    engage.operator(lambda: answer)
    assert client.get("/engage/").status_code == 404
    assert not [r for r in caplog.records if "operator callable" in r.getMessage()]
