"""Enrichment of an app: registered, run as a job, shown to operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_engage import Engage, Identity, InvalidFact, Profile, attr
from flask_engage._state import state_of
from flask_engage.store.enrichment import AvatarRow
from flask_engage.store.person import person_id_of
from tests.people._enrichment_server import PNG


def test_what_a_function_knows_is_filtered_by_and_shown(
    app: Flask, engage: Engage, make_person: Callable[..., int], operator: FlaskClient
) -> None:
    @engage.enricher
    def staff(who: Identity) -> Profile | None:
        assert who.name is None
        return Profile(job_title="<b>Countess</b>", links=("https://x.org/", "javascript:alert(1)"))

    user_id = make_person()
    done = engage.run_due()
    assert "staff: " in str(done["enrichment"])
    found = engage.people(attr("job title") == "<b>Countess</b>")
    person = next(one for one in found if one.user_id == str(user_id))
    shown = operator.get(f"/engage/people/{person.public_id}").text
    assert "&lt;b&gt;Countess" in shown
    assert "https://x.org/" in shown
    assert "javascript:alert" not in shown
    assert "What was sent out" in shown
    assert "enrichment:staff" in operator.get("/engage/data").text
    drawn = operator.get(f"/engage/people/{person.public_id}/avatar")
    assert (drawn.status_code, drawn.mimetype) == (200, "image/svg+xml")
    with state_of(app).ready.require().write() as session:
        ours = person_id_of(session, str(user_id))
        assert ours is not None
        session.add(
            AvatarRow(person_id=ours, provider="x", url="x", content=PNG, content_type="image/png")
        )
    kept = operator.get(f"/engage/people/{person.public_id}/avatar")
    assert (kept.data, kept.mimetype) == (PNG, "image/png")
    assert kept.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in kept.headers["Content-Security-Policy"]
    assert app.test_client().get(f"/engage/people/{person.public_id}/avatar").status_code == 404


def test_the_command_asks_about_everybody(
    app: Flask, engage: Engage, make_person: Callable[..., int]
) -> None:
    make_person()
    runner = app.test_cli_runner()
    assert "Nobody is asked" in runner.invoke(args=["engage", "refresh", "enrichment"]).output
    engage.enricher(lambda who: None, name="none")
    said = runner.invoke(args=["engage", "refresh", "enrichment"]).output
    assert "none: 1 asked about, 0 found" in said


def test_the_extension_asks_about_everybody_too(
    app: Flask, engage: Engage, make_person: Callable[..., int]
) -> None:
    make_person()
    with app.app_context():
        with pytest.raises(LookupError, match="Nobody is asked"):
            engage.refresh("enrichment")
        engage.enricher(lambda who: None, name="none")
        assert "none: 1 asked about, 0 found" in engage.refresh("enrichment")


@pytest.mark.parametrize(
    "wrong",
    [{"sends": ["password"]}, {"sends": []}, {"name": "gravatar"}, {"name": "x" * 41},
     {"per_hour": 0}],
)  # fmt: skip
def test_an_enricher_that_can_not_work_is_refused_when_it_is_registered(
    engage: Engage, wrong: dict[str, Any]
) -> None:
    def ask(who: Identity) -> None:
        return None

    with pytest.raises(InvalidFact):
        engage.enricher(ask, **wrong)
