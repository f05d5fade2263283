"""The columns of the list: any of them, in any order, and each an order of the list."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from flask_engage import person
from flask_engage.segments.fields import FIELDS
from tests.dashboard import _town

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.dashboard.conftest import Town


def _headings(answer: TestResponse) -> list[str]:
    """Return the words above the columns, the person's first."""
    head = answer.text.split("<thead>")[1].split("</thead>")[0]
    cells = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', head)
    return [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells]


def test_columns_stand_in_the_order_of_the_address(town: Town, operator: FlaskClient) -> None:
    answer = operator.get("/engage/people?c=&c=attr:plan&c=country&c=attr:invites sent&c=email")
    assert _headings(answer) == ["Name", "plan", "Country", "invites sent", "Email"]
    # Twice, unknown, and one who is in the first column anyway.
    odd = operator.get("/engage/people?c=email&c=email&c=nothing&c=name&c=" + quote(_town.EVENT))
    assert _headings(odd) == ["Name", "Email"]
    assert _headings(operator.get("/engage/people?c=")) == ["Name"]


def test_a_field_and_an_attribute_of_the_same_name_are_two_columns(
    town: Town, operator: FlaskClient
) -> None:
    with town.app.app_context():
        town.engage.set_attributes({"country": "Utopia"}, user=str(town.ids[0]))
        town.engage.flush()
    both = operator.get("/engage/people?c=country&c=attr:country")
    assert _headings(both) == ["Name", "Country", "country"]
    assert both.text.count("Utopia") == 2  # the cell and its title
    assert "Utopia" not in operator.get("/engage/people?c=country").text


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "name"])
def test_every_field_is_a_column_and_most_an_order(
    field: str, town: Town, operator: FlaskClient
) -> None:
    answer = operator.get(f"/engage/people?c={field}")
    assert len(_headings(answer)) == 2
    links = re.findall(r'<th scope="col"[^>]*><a href="([^"]+)"', answer.text)
    assert len(links) == (1 if field == "tags" else 2)
    for link in links:
        assert operator.get(html.unescape(link)).status_code == 200


def test_a_column_is_moved_by_a_plain_button_and_stays_there(
    town: Town, operator: FlaskClient
) -> None:
    moved = operator.get("/engage/people?c=&c=email&c=country&c=sessions&up=sessions")
    assert _headings(moved) == ["Name", "Email", "Sessions", "Country"]
    assert "data-columns open" in moved.text
    link = re.search(r'<th scope="col" class="who"><a href="([^"]+)"', moved.text)
    assert link
    assert _headings(operator.get(html.unescape(link[1]))) == [
        "Name",
        "Email",
        "Sessions",
        "Country",
    ]
    down = operator.get("/engage/people?c=&c=email&c=country&down=email")
    assert _headings(down) == ["Name", "Country", "Email"]
    assert _headings(operator.get("/engage/people?c=email&c=country&up=email")) == [
        "Name",
        "Email",
        "Country",
    ]


def test_tags_and_their_hostile_names_are_shown(town: Town, operator: FlaskClient) -> None:
    from flask_engage._state import state_of
    from flask_engage.store.person import person_id_of
    from flask_engage.store.tag import tag_people

    with state_of(town.app).ready.require().write() as session:
        person_id = person_id_of(session, str(town.ids[0]))
        assert person_id is not None
        for name in (_town.HOSTILE, "🦉" * 64, "c", "d"):
            tag_people(session, [person_id], name, state_of(town.app).clock())
    text = operator.get("/engage/people?c=tags").text
    assert "<script>alert" not in text
    assert "+2" in text


def test_the_part_for_the_script_is_the_list_and_no_more(town: Town, operator: FlaskClient) -> None:
    wanted = quote(json.dumps((person.sessions >= 1).to_json()))
    part = operator.get(f"/engage/people?part=list&filter={wanted}&q=person3&c=email&sort=email")
    assert part.status_code == 200
    assert "<!doctype" not in part.text
    assert _headings(part) == ["Name", "Email"]
    assert town.public_id(3) in part.text
    assert "part=list" not in part.text
    assert 'data-count="1 person"' in part.text
    assert "Nobody has “zzz”" in operator.get("/engage/people?part=list&q=zzz").text
