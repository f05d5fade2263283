"""A process that serves requests holds what serving needs, and no more of us than that."""

from __future__ import annotations

from pathlib import Path

from flask_engage import _LATER
from tests._databases import migrated
from tests._processes import output_of, run_python

#: What makes tables, runs jobs, renders and sends messages: none of it is needed to record.
LATER = (
    "alembic",
    "apscheduler",
    "email.policy",
    "jinja2.sandbox",
    "mako",
    "maxminddb",
    "mistune",
    "multiprocessing",
    "nh3",
    "smtplib",
    "urllib3",
)
#: Each costs megabytes, and a process talks to one database.
OTHER_DATABASES = ("sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.mysql")
ROOMS = ("_operations", "_sending", "cli", "segments", "messages", "people", "reports")

SERVE = """
import sys
from flask import Flask
from flask_engage import Engage, Identity

app = Flask("lean")
app.config.update(SECRET_KEY="a secret of sixteen bytes and more", ENGAGE_SCHEDULER={scheduler!r})
engage = Engage(app, sys.argv[1])
engage.load_user(lambda: object())
engage.identify(lambda user: Identity(id="7", email="ada@example.com"))

@app.get("/")
@engage.tracked("looked")
def page():
    return "<html><body>Here.</body></html>"

browser = {{"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36"}}
assert app.test_client().get("/", headers=browser).status_code == 200
with app.app_context():
    engage.flush()
assert app.extensions["engage"].recorder.status().stored > 0
if {scheduler!r} == "thread":
    state = app.extensions["engage"]
    from flask_engage._jobs import jobs_of
    assert [job.run(None, state.clock()) for job in jobs_of(state)]
print(*sorted(sys.modules))
"""


def loaded(folder: Path, *, scheduler: str) -> set[str]:
    """Serve one person, store what they did, and return the modules that it took."""
    with migrated("sqlite", folder) as url:
        code = SERVE.format(scheduler=scheduler)
        return set(output_of(["-c", code, url], cwd=folder).split())


def test_recording_loads_nothing_that_can_wait(tmp_path: Path) -> None:
    found = loaded(tmp_path, scheduler="off")
    rooms = [f"flask_engage.{room}" for room in ROOMS]
    assert not found & {*LATER, *OTHER_DATABASES, *rooms}


def test_jobs_without_work_load_nothing_that_works(tmp_path: Path) -> None:
    found = loaded(tmp_path, scheduler="thread")
    needed = {"apscheduler", "multiprocessing"}  # the one imports the other
    assert not found & {*set(LATER) - needed, *OTHER_DATABASES}
    assert not found & {f"flask_engage.{room}" for room in ("segments", "messages", "reports")}


def test_a_star_import_brings_every_name(tmp_path: Path) -> None:
    code = (
        "from flask_engage import *\n"
        "import flask_engage\n"
        "assert set(flask_engage.__all__) <= set(dir(flask_engage))\n"
        "assert all(globals()[name] is getattr(flask_engage, name)\n"
        "           for name in flask_engage.__all__)\n"
        "assert did('ordered') == flask_engage.did('ordered')\n"
    )
    assert output_of(["-c", code], cwd=tmp_path) == ""


def test_a_name_that_is_not_there_is_missed_as_in_any_module(tmp_path: Path) -> None:
    code = "from flask_engage import Emial\n"
    assert "cannot import name 'Emial'" in run_python("-c", code, cwd=tmp_path).stderr


def test_names_that_come_later_are_those_for_types(tmp_path: Path) -> None:
    code = "import flask_engage\nprint(*sorted(vars(flask_engage)))\n"
    there = set(output_of(["-c", code], cwd=tmp_path).split())
    assert not there & {name for names in _LATER.values() for name in names}
