"""A date at the end of the calendar, by which apps say "never", is shown in whatever zone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flask_engage import attr, person
from flask_engage._state import state_of
from flask_engage.store.attribute_write import write_attributes
from flask_engage.store.person import PersonRow

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from flask_engage import Engage
    from tests._clock import FakeClock
    from tests._hosts import Host

NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
ZONES = ("UTC", "Pacific/Kiritimati", "America/New_York")


@pytest.fixture(params=ZONES)
def app(request: pytest.FixtureRequest, app_host: Host, engage: Engage, tmp_path: Path) -> Flask:
    """A host whose operators sit far in the east, or in the west."""
    journal = str(tmp_path / "journal")
    return app_host.create_app(engage, ENGAGE_JOURNAL_DIR=journal, ENGAGE_TIMEZONE=request.param)


@pytest.fixture
def public_id(app: Flask, clock: FakeClock) -> str:
    """Somebody whose plan never ends."""
    with app.app_context(), state_of(app).ready.require().write() as session:
        row = PersonRow(
            kind="user",
            user_id="1",
            name="Ada",
            signed_up_at=NEVER,
            last_seen_at=NEVER,
            created_at=clock.now,
            updated_at=clock.now,
        )
        session.add(row)
        session.flush()
        write_attributes(session, {row.id: {"ends": NEVER}}, source="manual", now=clock.now)
        return row.public_id


def test_what_never_ends_is_shown_on_every_page(public_id: str, operator: FlaskClient) -> None:
    filters = [
        json.dumps(one.to_json())
        for one in (attr("ends") == NEVER, person.signed_up >= NEVER, attr("ends") < NEVER)
    ]
    for address, query in [
        (f"/engage/people/{public_id}", {}),
        (f"/engage/people/{public_id}", {"edit": "ends"}),
        ("/engage/people", {"c": ["", "signed_up", "last_seen", "attr:ends"]}),
        ("/engage/people", {"sort": "attr:ends"}),
        *(("/engage/people", {"filter": one}) for one in filters),
        *(("/engage/filter-preview", {"filter": one, "at": "0"}) for one in filters),
        (f"/engage/people/{public_id}/json", {}),
    ]:
        answer = operator.get(address, query_string=query)
        assert answer.status_code == 200, f"{address} {query}"
    shown = operator.get(f"/engage/people/{public_id}").text
    assert "31 Dec 9999" in shown


def test_saving_it_as_it_stands_changes_nothing(
    public_id: str, operator: FlaskClient, app: Flask
) -> None:
    import re
    from html import unescape

    page = operator.get(f"/engage/people/{public_id}", query_string={"edit": "ends"}).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    value = re.search(r'<textarea[^>]*name="value"[^>]*>([^<]*)<', page)
    assert token
    assert value
    form = {"action": "set", "name": "ends", "kind": "t", "value": unescape(value[1])}
    answer = operator.post(
        f"/engage/people/{public_id}/attributes", data={**form, "csrf_token": token[1]}
    )
    assert answer.status_code == 303, answer.text
    with state_of(app).ready.require().read() as session:
        row = session.query(PersonRow).filter_by(public_id=public_id).one()
        assert row.attributes == {"t:ends": "9999-12-31T23:59:59.000000+00:00"}
