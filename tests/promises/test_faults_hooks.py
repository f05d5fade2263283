"""Whatever is raised in our code, wherever, and of whichever kind: the host doesn't feel it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, request
from flask.testing import FlaskClient
from flask_login import current_user

import flask_engage
from flask_engage import Engage, Identity
from tests import _databases
from tests._hosts import Host, make_host

ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("on purpose"),
    "OperationalError": lambda: sa.exc.OperationalError("SELECT 1", {}, Exception("on purpose")),
    "RecursionError": lambda: RecursionError("on purpose"),
    "UnicodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "on purpose"),
    "MemoryError": lambda: MemoryError("on purpose"),
}
REQUESTS = (
    ("GET", "/"),
    ("GET", "/me"),
    ("POST", "/exports"),
    ("POST", "/acts"),
    ("GET", "/missing"),
    ("GET", "/broken"),
    ("HEAD", "/"),
    ("OPTIONS", "/exports"),
)
Answers = list[tuple[int, str, list[tuple[str, str]]]]


@pytest.fixture
def plain_host(tmp_path: Path) -> Iterator[Host]:
    with _databases.migrated("sqlite", tmp_path) as url:
        host = make_host("flask-sqlalchemy", url)
        yield host
        host.dispose()


def _add_acts(app: Flask, engage: Engage | None, properties: Any = None) -> None:
    def act() -> dict[str, bool]:
        return {"acted": True}

    tracked = engage.tracked("acted", properties) if engage is not None else lambda view: view
    app.post("/acts")(tracked(act))


def _app(
    host: Host, folder: Path, engage: Engage | None, properties: Any = None, **config: Any
) -> Flask:
    """Make an app that is served, so that nothing is raised again for a developer."""
    app = host.create_app(
        engage,
        TESTING=False,
        PROPAGATE_EXCEPTIONS=False,
        ENGAGE_RAISE_ERRORS=False,
        ENGAGE_JOURNAL_DIR=str(folder / "journal"),
        ENGAGE_FLUSH_INTERVAL=3600,
        **config,
    )
    _add_acts(app, engage, properties)
    return app


def _logged_in(app: Flask, user_id: int) -> FlaskClient:
    client = app.test_client()
    assert client.get(f"/login/{user_id}").status_code == 302
    return client


def _answers(client: FlaskClient) -> Answers:
    found = []
    for method, path in REQUESTS:
        answer = client.open(path, method=method)
        body, tag, rest = answer.text.partition("<script")
        if tag:
            body += rest.partition("</script>")[2]
        ours = ("Content-Length", "Vary")  # follow from the tag
        found.append((answer.status_code, body, [h for h in answer.headers if h[0] not in ours]))
    return found


@pytest.fixture
def expected(plain_host: Host, tmp_path: Path) -> Answers:
    """What the host answers without us."""
    app = _app(plain_host, tmp_path, None)
    client = _logged_in(app, plain_host.add_user(app))
    return _answers(client)


def _user(host: Host, app: Flask) -> int:
    with app.app_context(), host.sessions() as session:
        return int(session.scalars(sa.select(host.User.id)).one())


# --- at each call of ours -------------------------------------------------

_ROOT = str(Path(flask_engage.__file__).parent)
#: The boundary itself, and the few lines with which Flask enters it.
_BOUNDARY = {
    ("_guard.py", None),
    ("hooks.py", "engage_notice"),
    ("hooks.py", "engage_write_down"),
    ("_state.py", "current_state"),
    ("_state.py", "state_of"),
    ("tracked.py", "synchronous"),
    ("tracked.py", "succeeded"),
    ("tracked.py", "_record"),
    ("tracked.py", "when_answered"),
    ("extension.py", "_state_or_none"),
}


class Fault:
    """Raises an error at the `at`-th call of a function of ours in this thread."""

    def __init__(self, at: int, error: Callable[[], BaseException]) -> None:
        self.calls = 0
        self.where = ""
        self._at = at
        self._error = error

    def __enter__(self) -> Fault:
        sys.settrace(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _look(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(_ROOT):
            return
        file = Path(code.co_filename).name
        if (file, None) in _BOUNDARY or (file, code.co_name) in _BOUNDARY:
            return
        self.calls += 1
        if self.calls == self._at:
            self.where = f"{file}:{code.co_qualname}"
            raise self._error()


def test_an_error_at_any_call_of_ours_reaches_nobody(
    plain_host: Host, tmp_path: Path, expected: Answers
) -> None:
    """Each function that a request makes us call fails once, with each kind of error in turn."""
    engage = Engage()
    engage.identify(lambda user: Identity(user.id, email=user.email, attributes={"plan": "pro"}))
    app = _app(plain_host, tmp_path, engage, properties=lambda _response: {"kind": "text"})
    client = _logged_in(app, _user(plain_host, app))
    assert _answers(client) == expected
    kinds, reached, at = list(ERRORS.values()), set(), 0
    while True:
        at += 1
        with Fault(at, kinds[at % len(kinds)]) as fault:
            answers = _answers(client)
        if not fault.where:
            break  # there are no more calls
        reached.add(fault.where)
        assert answers == expected, fault.where
    assert at > 50, "the fault was not where our code is"
    assert any("track" in where for where in reached)
    assert any("journal" in where for where in reached)
    assert any("inject" in where for where in reached)
    assert _answers(client) == expected


# --- at what the host gave us -------------------------------------------------


def _raiser(make: Callable[[], BaseException]) -> Callable[..., Any]:
    def raiser(*_args: Any, **_kwargs: Any) -> Any:
        raise make()

    return raiser


@pytest.mark.parametrize("error", ERRORS)
def test_a_function_of_the_hosts_that_fails_in_our_hands_fails_nothing(
    error: str, plain_host: Host, tmp_path: Path, expected: Answers
) -> None:
    fail = _raiser(ERRORS[error])
    for number, place in enumerate(("identify", "load_user", "properties", "exclude", "consent")):
        engage = Engage()
        config = {"exclude": {"ENGAGE_EXCLUDE": fail}, "consent": {"ENGAGE_CONSENT": fail}}
        app = _app(
            plain_host,
            tmp_path / str(number),
            engage,
            fail if place == "properties" else None,
            **config.get(place, {}),
        )
        if place == "identify":
            engage.identify(fail)
        elif place == "load_user":
            engage.load_user(fail)
        client = _logged_in(app, _user(plain_host, app))
        for _ in range(3):
            assert _answers(client) == expected, place
        assert app.extensions["engage"].guard.counts, f"{place} was never called"


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt])
def test_an_end_of_the_process_passes_through_us(
    ending: type[BaseException], plain_host: Host, tmp_path: Path
) -> None:
    """A worker's time-out arrives as an exit, in whatever code it finds running."""
    engage = Engage()
    app = _app(plain_host, tmp_path, engage)
    user_id = plain_host.add_user(app)
    client = _logged_in(app, user_id)
    engage.identify(_raiser(ending))
    with pytest.raises(ending):
        client.get("/")
    with app.app_context(), pytest.raises(ending):
        engage.track("acted", user=plain_host.User(id=user_id, email="ada@example.com"))


# --- the host's own errors -------------------------------------------------


class HostError(Exception):
    """The host's own."""


def test_an_error_of_a_tracked_view_is_the_hosts_as_it_was(
    plain_host: Host, tmp_path: Path
) -> None:
    engage = Engage()
    app = _app(plain_host, tmp_path, engage)
    handled: list[HostError] = []

    @app.errorhandler(HostError)
    def handle(error: HostError) -> tuple[str, int]:
        handled.append(error)
        return "handled", 418

    def fail() -> str:
        raise HostError("the host's own")

    async def fail_later() -> str:
        raise HostError("the host's own")

    app.get("/fails")(engage.tracked("failed")(fail))
    app.get("/fails-later")(engage.tracked("failed later")(fail_later))
    client = _logged_in(app, plain_host.add_user(app))
    for path, name in (("/fails", "fail"), ("/fails-later", "fail_later")):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (418, "handled")
        [error] = handled
        handled.clear()
        assert type(error) is HostError
        assert error.__cause__ is error.__context__ is None
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        assert last is not None
        assert last.tb_frame.f_code.co_name == name
    with app.app_context(), pytest.raises(HostError):
        engage.tracked("failed")(fail)()
    with app.app_context():
        assert engage.flush() == 0 or not engage.people().count() > 1
        assert app.extensions["engage"].guard.counts == {}


# --- the host's database -------------------------------------------------


def _traffic(app: Flask, host: Host, engage: Engage | None) -> tuple[int, int, int]:
    """Return how often the host's pool was asked, what was out at the most, and flushes."""
    checkouts, flushes, most = [], [], 0
    with app.app_context():
        engine = host.engine_of(app)
    sa.event.listen(engine, "checkout", lambda *_: checkouts.append(1))

    @app.before_request
    def look() -> None:
        if request.path in ("/", "/me", "/acts"):
            assert current_user.is_authenticated  # as most pages of most hosts ask

    @app.get("/pending")
    def pending() -> str:
        with host.sessions() as session:
            sa.event.listen(session, "before_flush", lambda *_: flushes.append(1))
            session.add(host.User(email="pending@example.com"))  # and not complete
            if engage is None:
                with session.no_autoflush:
                    session.expire(current_user._get_current_object())
                    assert current_user.email
            else:
                assert engage.track("acted")
                session.expire(current_user._get_current_object())
                assert engage.track("acted", user=current_user)
            session.expunge_all()
        return "done"

    client = _logged_in(app, _user(host, app))
    for _ in range(50):
        for path in ("/", "/me", "/pending"):
            assert client.get(path).status_code == 200
            most = max(most, engine.pool.checkedout())  # type: ignore[attr-defined]
        assert client.post("/acts").status_code == 200
    return len(checkouts), most, len(flushes)


def test_the_hosts_pool_and_session_are_left_alone(
    plain_host: Host, tmp_path: Path, expected: Answers
) -> None:
    """As many connections as without us, none kept, nothing flushed that the host has pending."""
    without = _traffic(_app(plain_host, tmp_path, None), plain_host, None)
    engage = Engage()
    engage.identify(lambda user: Identity(user.id, email=user.email, name=user.name))
    app = _app(plain_host, tmp_path, engage)
    assert _traffic(app, plain_host, engage) == without
    assert without[1:] == (0, 0)
    with app.app_context():
        assert engage.flush() > 150, "each event is recorded, and who was here"
