"""A wrapped app under servers that are not one thread to a request: its streams count, too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, select
from sqlalchemy.orm import Session

from flask_engage.store.person import PersonRow
from tests._databases import migrated
from tests.runtimes._server import serving, stored
from tests.runtimes.test_servers import GUNICORN, UWSGI

APP = "tests.runtimes._wrapped:app"
_UWSGI = (*UWSGI[: UWSGI.index("--module")], "--module", APP, "--enable-threads")

WAYS = {
    "gunicorn, gevent": (*GUNICORN, "-k", "gevent", APP),
    "uWSGI": (*_UWSGI, "--processes", "2"),
    "uWSGI, threads": (*_UWSGI, "--threads", "3", "--lazy-apps"),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_wrapped_app_streams_to_many_at_once_and_all_of_them_are_seen(
    name: str, tmp_path: Path
) -> None:
    readers = [f"reader{number}" for number in range(20)]
    # As beside it: gevent's threads are one, and one that waits for SQLite's lock stops them all.
    dialect = "postgresql" if "gevent" in name else "sqlite"
    with (
        migrated(dialect, tmp_path) as database,
        serving(WAYS[name], tmp_path, database) as server,
    ):
        with ThreadPoolExecutor(8) as crowd:
            pages = list(crowd.map(lambda who: server.get(f"/page/{who}", user=who), readers))
        answers = server.act(range(20))
        server.stop()
        accepted = [answer["number"] for answer in answers if answer["accepted"]]
        found = stored(tmp_path, database, accepted)
        people = _people(database)
    assert pages == [f"<!doctype html><html><body>{who}</body></html>".encode() for who in readers]
    assert len(accepted) == 20, server.log()
    assert set(found.values()) == {1}
    assert people == {*readers, *(f"user{number}" for number in range(5))}, server.log()
    assert "Traceback" not in server.log()


def _people(database: str) -> set[str | None]:
    engine = create_engine(database, poolclass=NullPool)
    with Session(engine) as session:
        return set(session.scalars(select(PersonRow.user_id)))
