"""Every answer carries the headers that keep it to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dashboard.test_access import _addresses

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.dashboard.conftest import Town


def test_every_answer_carries_our_headers(town: Town, operator: FlaskClient) -> None:
    addresses = [
        *_addresses(town.app, town).values(),
        "/engage/people?filter={",
        "/engage/people/nobody",
        "/engage/messages/nothing",
        "/engage/rules/nothing",
        f"/engage/messages/new?to={town.public_id(0)}",
    ]
    for address in addresses:
        for answer in (operator.get(address), operator.post(address)):
            if answer.status_code == 405:
                continue
            headers = answer.headers
            assert "default-src 'self'" in headers["Content-Security-Policy"], address
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Referrer-Policy"] == "same-origin"
            assert "private" in headers["Cache-Control"]
            if "/static/" not in address:
                assert "no-store" in headers["Cache-Control"]
            assert "Cookie" in headers["Vary"]


def test_no_page_has_a_script_or_style_of_its_own(town: Town, operator: FlaskClient) -> None:
    for address in [
        *_addresses(town.app, town).values(),
        f"/engage/messages/new?to={town.public_id(0)}",
    ]:
        answer = operator.get(address)
        if answer.mimetype != "text/html":
            continue
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert " onclick=" not in answer.text
        assert answer.text.count("<script") == answer.text.count('<script type="module" src=')


def test_the_widget_is_not_placed_in_the_dashboard(town: Town, operator: FlaskClient) -> None:
    operator.get("/")
    assert "engage.js" not in operator.get("/engage/people").text


def test_our_files_are_kept_by_the_browser_only_in_the_version_asked_for(
    operator: FlaskClient, app: object
) -> None:
    import re

    page = operator.get("/engage/people").text
    found = re.search(r'href="(/engage/static/tokens\.css\?v=[0-9a-f]+)"', page)
    assert found
    assert "immutable" in operator.get(found[1]).headers["Cache-Control"]
    assert "no-cache" in operator.get("/engage/static/tokens.css").headers["Cache-Control"]


@pytest.mark.parametrize("name", ["people.py", "..%2fpages.py", "nothing.css", ".", "%00"])
def test_only_our_files_are_given_out(name: str, operator: FlaskClient) -> None:
    assert operator.get(f"/engage/static/{name}").status_code == 404


def test_the_previews_stylesheet_proves_itself_and_nothing_else(
    town: Town, operator: FlaskClient, client: FlaskClient
) -> None:
    import html
    import re

    page = html.unescape(
        html.unescape(operator.get(f"/engage/messages/new?to={town.public_id(0)}").text)
    )
    found = re.search(r'href="(/engage/static/preview\.css\?[^"]+)"', page)
    assert found
    address = found[1]
    assert client.get(address).status_code == 200
    assert client.get(address.replace("preview.css", "tokens.css")).status_code == 404
    assert client.get(address[:-1]).status_code == 404
    assert client.post(address).status_code == 404
