"""Who may do what at every address of ours: each answer is one that the matrix file says.

``access_matrix.tsv`` has a line for each address and a column for each kind of caller. A cell has
the status of each of :data:`METHODS` in a row, or one status that all of them have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask_login import current_user

from flask_engage import Operator
from flask_engage.delivery.tokens import make_unsubscribe_token, secret_keys_of
from tests.dashboard.test_access import import_of

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.routing import Rule
    from werkzeug.test import TestResponse

    from tests.dashboard.conftest import Town

MATRIX = Path(__file__).with_name("access_matrix.tsv")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CALLERS = ("anonymous", "user", "read", "edit", "admin", "revoked")
_PAGE_WITH_A_TOKEN = "/engage/rules/come back"
_NOT_OF_OURS = "This form can&#39;t be trusted"


def written() -> dict[str, dict[str, str]]:
    """Return what the file says: by address, then by caller."""
    lines = MATRIX.read_text("utf-8").splitlines()
    heading, *rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    assert heading == ["address", *CALLERS]
    found = {row[0]: dict(zip(CALLERS, row[1:], strict=True)) for row in rows}
    assert len(found) == len(rows), "an address stands there twice"
    return found


def _in_full(cell: str) -> list[str]:
    """Return the status of each of :data:`METHODS`."""
    found = cell.split()
    return found if len(found) > 1 else found * len(METHODS)


def _rules(app: Flask) -> dict[str, Rule]:
    """Return our addresses, each once, however many views share one."""
    found: dict[str, Rule] = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("engage_") and not rule.endpoint.endswith(".wrong_method"):
            found.setdefault(rule.rule, rule)
    return found


@pytest.fixture
def addresses(town: Town) -> dict[str, str]:
    """An address of something that is there, for each of our rules."""
    app = town.app
    keys = secret_keys_of(app.config)
    values = {
        "public_id": town.public_id(0),
        "source": "send:launch-1",
        "name": "come back",
        "token": make_unsubscribe_token(keys, town.public_id(1)),
    }
    imported = import_of(app)
    found = {}
    with app.test_request_context():
        adapter = app.url_map.bind("localhost")
        for text, rule in _rules(app).items():
            missing = rule.arguments - set(values)
            assert not missing, f"give {text} a value for {missing} in this fixture"
            given = {name: values[name] for name in rule.arguments}
            if "/transfers/" in text and given:
                given = {"public_id": imported}
            if text.endswith("/static/<name>"):
                given = {"name": "tokens.css"}
            if text.endswith(("/event", "/events/<path:name>")):
                given = {"name": "exported"}
            found[text] = adapter.build(rule.endpoint, given)
    return found


class Caller:
    """Somebody of one kind, with a browser that holds the best token they could get."""

    def __init__(self, kind: str, town: Town, logged_in: int) -> None:
        self.client: FlaskClient = town.app.test_client()
        self.token = ""
        registry = town.engage._registry
        if kind == "anonymous":
            return
        self.client.get(f"/login/{logged_in}")
        if kind == "user":
            return
        # Whoever has been an admin once still holds their cookie and their token.
        registry.operator = _as("admin")
        self.token = _token(self.client.get(_PAGE_WITH_A_TOKEN))
        registry.operator = (lambda: None) if kind == "revoked" else _as(kind)

    def ask(self, method: str, address: str, *, token: bool = True) -> TestResponse:
        """Ask for an address; a form has the token and nothing else."""
        data = {"csrf_token": self.token} if method == "POST" and token else None
        return self.client.open(address, method=method, data=data)


def _as(role: Any) -> Callable[[], object]:
    # Recognized by the login, as a host would: who is logged out is nobody.
    return lambda: Operator("7", role=role) if current_user.is_authenticated else None


def _token(page: TestResponse) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found, page.text[:500]
    return found[1]


@pytest.fixture
def caller(request: pytest.FixtureRequest, town: Town) -> Caller:
    """Somebody of the kind that the test is parametrized with."""
    return Caller(request.param, town, town.ids[2])


def test_every_address_of_ours_stands_in_the_matrix(app: Flask) -> None:
    known, there = set(written()), set(_rules(app))
    assert not there - known, (
        f"Say who may do what at {sorted(there - known)}: add a line for each to {MATRIX.name}, "
        f"with a cell for each of {', '.join(CALLERS)} that has the status of "
        f"{' '.join(METHODS)} in a row (or one, if all are the same)."
    )
    assert not known - there, f"{MATRIX.name} has lines of addresses that are gone"


@pytest.mark.parametrize("caller", CALLERS, indirect=True, ids=CALLERS)
def test_every_caller_gets_at_every_address_what_the_matrix_says(
    caller: Caller, addresses: dict[str, str], request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["caller"]
    expected = {address: cells[kind] for address, cells in written().items()}
    found = {}
    for text, address in addresses.items():
        statuses = []
        for method in METHODS:
            answer = caller.ask(method, address)
            # That a form was refused for its token would hide what the role may do.
            assert method != "POST" or _NOT_OF_OURS not in answer.text, text
            statuses.append(str(answer.status_code))
        found[text] = statuses[0] if len(set(statuses)) == 1 else " ".join(statuses)
    wrong = {text: cell for text, cell in found.items() if cell != expected.get(text)}
    assert not wrong, "\n".join(
        f"{text}\tas {kind}: {cell}; {MATRIX.name} says {expected.get(text)}"
        for text, cell in wrong.items()
    )


@pytest.mark.parametrize("caller", ["edit", "admin"], indirect=True)
def test_no_form_of_the_dashboard_is_taken_without_its_token(
    caller: Caller, addresses: dict[str, str], request: pytest.FixtureRequest
) -> None:
    role = request.node.callspec.params["caller"]
    asked = 0
    for text, cells in written().items():
        if text.startswith(("/engage/t/", "/engage/widget/")):
            continue  # those prove themselves in other ways
        if _in_full(cells[role])[METHODS.index("POST")] in ("403", "404", "405"):
            continue
        answer = caller.ask("POST", addresses[text], token=False)
        assert (answer.status_code, _NOT_OF_OURS in answer.text) == (400, True), text
        asked += 1
    assert asked >= 8


def test_in_the_matrix_no_lesser_caller_may_do_more() -> None:
    for text, cells in written().items():
        if text.startswith(("/engage/t/", "/engage/widget/")):
            continue
        for nobody in ("anonymous", "user", "revoked"):
            assert cells[nobody] == "404", f"{text} answers {nobody}"
        lists = [_in_full(cells[role]) for role in ("read", "edit", "admin")]
        for lesser, more in pairwise(lists):
            for method, one, other in zip(METHODS, lesser, more, strict=True):
                assert one == other or one == "403", f"{method} {text}: {one}, then {other}"
