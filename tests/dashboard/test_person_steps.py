"""From person to person of a list, on the pages about them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask_engage import attr
from tests.dashboard._person import address

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.dashboard.conftest import Town


def links_of(answer: TestResponse) -> list[str]:
    """Return the addresses of the people of a list, in order."""
    return [html.unescape(one) for one in re.findall(r'class="person" href="([^"]+)"', answer.text)]


def step_of(answer: TestResponse, way: str) -> str:
    found = re.search(rf'rel="{way}" href="([^"]+)" data-key', answer.text)
    assert found, answer.text[:2000]
    return html.unescape(found[1])


def id_of(link: str) -> str:
    return link.partition("?")[0].rpartition("/")[2]


def test_steps_go_through_the_list_that_one_came_from_and_back(
    town: Town, operator: FlaskClient
) -> None:
    wanted = json.dumps((attr("plan") == "pro").to_json())
    asked = {"filter": wanted, "sort": "email", "dir": "asc", "q": "person", "c": ["", "email"]}
    shown = operator.get("/engage/people", query_string=asked)
    ids = [id_of(link) for link in links_of(shown)]
    assert 2 < len(ids) < 16
    page = operator.get(links_of(shown)[0])
    found = [ids[0]]
    for _ in ids[1:]:
        step = operator.get(step_of(page, "next"))
        assert step.status_code == 302
        found.append(id_of(step.location))
        page = operator.get(step.location)
    assert found == ids
    end = operator.get(step_of(page, "next"))
    assert id_of(end.location) == ids[-1]
    last = operator.get(end.location)
    assert "This is the last of the list." in last.text
    assert id_of(operator.get(step_of(last, "prev")).location) == ids[-2]
    crumb = re.search(r'<a class="crumb" href="([^"]+)"', last.text)
    assert crumb
    assert links_of(operator.get(html.unescape(crumb[1]))) == links_of(shown)
    first = operator.get(links_of(shown)[0])
    start = operator.get(operator.get(step_of(first, "prev")).location)
    assert "This is the first of the list." in start.text


def test_what_is_done_on_the_page_keeps_the_place_in_the_list(
    town: Town, operator: FlaskClient, token_of: Callable[[TestResponse], str], be: Any
) -> None:
    be("edit")
    here, after = links_of(operator.get("/engage/people?sort=name&dir=asc"))[:2]
    page = operator.get(here)
    forms = {html.unescape(one) for one in re.findall(r'<form[^>]* action="([^"]+)"', page.text)}
    wanted = {one for one in forms if "/change?" in one}
    assert len(wanted) == 1
    for form in ({"action": "tag", "tag": "seen"}, {"action": "note", "body": "called"}):
        answer = operator.post(wanted.copy().pop(), data={**form, "csrf_token": token_of(page)})
        assert answer.status_code == 303
        page = operator.get(answer.location)
        assert id_of(operator.get(step_of(page, "next")).location) == id_of(after)
    for kind in ("tag", "note"):
        [link] = re.findall(rf'href="([^"]+kind={kind}[^"]*)#story"', page.text)
        step_of(operator.get(html.unescape(link)), "next")
    edit = re.search(r'href="([^"]+edit=[^"]*)#f-attribute"', page.text)
    assert edit
    form = operator.get(html.unescape(edit[1]))
    data = re.search(r'action="([^"]+/attributes[^"]*)"', form.text)
    assert data
    value = {"action": "set", "name": "seat", "kind": "s", "value": "4a"}
    answer = operator.post(html.unescape(data[1]), data={**value, "csrf_token": token_of(form)})
    step_of(operator.get(answer.location), "next")


def test_nobody_stands_beside_who_was_not_opened_from_a_list(
    town: Town, operator: FlaskClient
) -> None:
    assert 'data-key="j"' not in operator.get(address(town)).text
    answer = operator.get(address(town, rest="/next"))
    assert answer.location == address(town)
    for wrong in ("?at=nonsense", "?at=", "?at=W10", "?at=nonsense&filter=%7B"):
        assert operator.get(address(town, rest=f"/next{wrong}")).status_code == 400
        assert operator.get(address(town, rest=f"/previous{wrong}")).status_code == 400
