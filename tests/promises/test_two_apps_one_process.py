"""Several apps in one process share nothing, with one `Engage` or with several."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from flask_engage import Engage, did, everyone
from flask_engage.errors import NotReady
from tests._clock import FakeClock
from tests._hosts import Host, make_host
from tests.extension._wsgi import FIREFOX

STYLES = ("flask-sqlalchemy", "engine")


@pytest.fixture(params=["one Engage", "two Engages"])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> Iterator[list[tuple[Engage, Flask, Host]]]:
    shared = Engage(clock=clock)
    made = []
    for number, style in enumerate(STYLES):
        engage = shared if request.param == "one Engage" else Engage(clock=clock)
        host = make_host(style, f"sqlite:///{tmp_path / f'{number}.sqlite3'}")
        app = host.create_app(
            engage,
            ENGAGE_URL_PREFIX=f"/engage{number}",
            ENGAGE_JOURNAL_DIR=str(tmp_path / f"journal{number}"),
        )
        made.append((engage, app, host))
    yield made
    for _, _, host in made:
        host.dispose()


def emails(engage: Engage, app: Flask) -> list[str | None]:
    with app.app_context():
        engage.flush()
        return [person.email for person in engage.people(everyone)]


def test_a_person_of_one_app_is_unknown_to_the_other(
    pair: list[tuple[Engage, Flask, Host]],
) -> None:
    for number, (_, app, host) in enumerate(pair):
        user_id = host.add_user(app, f"user{number}@example.com")
        client = app.test_client()
        client.get(f"/login/{user_id}")
        assert client.get("/").status_code == 200
    assert [emails(engage, app) for engage, app, _ in pair] == [
        ["user0@example.com"],
        ["user1@example.com"],
    ]


def test_settings_of_one_app_are_not_the_others(pair: list[tuple[Engage, Flask, Host]]) -> None:
    first, second = (app.extensions["engage"] for _, app, _ in pair)
    assert first.settings.URL_PREFIX == "/engage0"
    assert second.settings.URL_PREFIX == "/engage1"
    assert first.ready is not second.ready
    assert first.recorder is not second.recorder
    assert not any(rule.rule.startswith("/engage1") for rule in pair[0][1].url_map.iter_rules())


def test_attaching_twice_is_an_error(pair: list[tuple[Engage, Flask, Host]]) -> None:
    engage, app, _ = pair[0]
    with pytest.raises(RuntimeError, match="already"):
        engage.init_app(app)


def test_without_an_app_context_two_apps_are_ambiguous(
    pair: list[tuple[Engage, Flask, Host]],
) -> None:
    engage = pair[0][0]
    if engage is pair[1][0]:
        with pytest.raises(NotReady, match="app context"):
            engage.flush()
    else:
        assert engage.flush() == 0


def test_apps_that_meet_their_databases_at_once_all_get_their_tables(tmp_path: Path) -> None:
    engage = Engage()
    apps = []
    for number in range(6):
        app = Flask(f"app{number}")
        app.config.update(SECRET_KEY="a secret of sixteen bytes and more", TESTING=True)
        app.config.update(ENGAGE_JOURNAL_DIR=str(tmp_path / f"journal{number}"))
        engage.init_app(app, f"sqlite:///{tmp_path / f'{number}.sqlite3'}")
        apps.append(app)
    start = threading.Barrier(len(apps))

    def count(app: Flask) -> int:
        start.wait(20)
        with app.app_context():
            return engage.people(everyone).count()

    with ThreadPoolExecutor(len(apps)) as pool:
        assert list(pool.map(count, apps)) == [0] * len(apps)
    for app in apps:
        app.extensions["engage"].ready.database().dispose()


def make_shop(engage: Engage, name: str, folder: Path, url: str) -> Flask:
    """Make an app as a factory does; it may be called again and again."""
    app = Flask(name)
    app.config.update(SECRET_KEY="a secret of sixteen bytes and more", TESTING=True)
    app.config.update(ENGAGE_JOURNAL_DIR=str(folder / "journal"))
    engage.init_app(app, url)

    @app.get("/")
    @engage.tracked(f"opened {name}")
    def page() -> str:
        return "<!doctype html><html><body></body></html>"

    return app


@pytest.fixture
def cookies() -> Engage:
    """An `Engage` that knows people by a cookie."""
    engage = Engage()
    engage.load_user(lambda: request.cookies.get("user"))
    return engage


def test_apps_mounted_beside_each_other_serve_their_own_people(
    cookies: Engage, tmp_path: Path
) -> None:
    apps = {}
    for name in ("shop", "blog"):
        (tmp_path / name).mkdir()
        url = f"sqlite:///{tmp_path / name / 'engage.sqlite3'}"
        apps[name] = make_shop(cookies, name, tmp_path / name, url)
    mounted = DispatcherMiddleware(apps["shop"], {"/blog": apps["blog"]})
    for user, place in (("ada", "/"), ("bob", "/blog/"), ("bob", "/blog/")):
        client = Client(mounted)
        client.set_cookie("user", user)
        page = client.get(place, headers={"User-Agent": FIREFOX})
        script = f'src="{place}engage/widget/engage.js?v='
        assert page.text.count("engage.js") == page.text.count(script) == 1
        assert client.get(f"{place}engage/widget/engage.js").status_code == 200
        inbox = client.get(f"{place}engage/widget/inbox").json
        assert inbox["message"] is None
    for name, user, times in (("shop", "ada", 1), ("blog", "bob", 2)):
        with apps[name].app_context():
            cookies.flush()
            found = cookies.people(did(f"opened {name}").exactly(times))
            assert [person.user_id for person in found] == [user]
            assert cookies.people().count() == 1
    for app in apps.values():
        app.extensions["engage"].ready.database().dispose()


def test_a_factory_called_twice_makes_two_apps_that_lose_and_double_nothing(
    cookies: Engage, tmp_path: Path
) -> None:
    """On one database and one journal folder, as in a shell, a script or a test of the host."""
    url = f"sqlite:///{tmp_path / 'engage.sqlite3'}"
    apps = [make_shop(cookies, "shop", tmp_path, url) for _ in range(2)]
    for turn in range(6):
        client = apps[turn % 2].test_client()
        client.set_cookie("user", "ada")
        assert client.get("/", headers={"User-Agent": FIREFOX}).status_code == 200
    stored = []
    for app in apps:
        with app.app_context():
            stored.append(cookies.flush())
            people = cookies.people(did("opened shop").at_least(1))
            assert [person.user_id for person in people] == ["ada"]
    # One file each, though the process, the folder and the name are the same.
    assert stored[0] == stored[1] > 0
    with apps[0].app_context():
        assert cookies.people(did("opened shop").exactly(6)).count() == 1
        (ada,) = cookies.people()
        assert ada.sessions == 1
    for app in apps:
        app.extensions["engage"].ready.database().dispose()
