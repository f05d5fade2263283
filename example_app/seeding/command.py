"""The command `seed`: invents a past, writes Paperkite's rows, tells Flask-Engage the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import merge
from time import perf_counter

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import MetaData, insert, inspect, select
from werkzeug.security import generate_password_hash

from example_app import demo
from example_app.engagement import ATTRIBUTES, engage
from example_app.models import Export, Invite, Newsletter, Section, User, db
from example_app.seeding.arrivals import arrive
from example_app.seeding.story import Fact, Past, Sighting, invent
from flask_engage._state import state_of
from flask_engage.capture.facts import Context, Seen


@click.command("seed", help="Invent people with a past, so that there is something to look at.")
@click.option("--people", default=2000, show_default=True, type=click.IntRange(1, 100_000))
@click.option(
    "--days",
    default=120,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How long the past is.",
)
@click.option(
    "--seed",
    "seed_number",
    default=1,
    show_default=True,
    help="The same number gives the same people.",
)
@click.option(
    "--until",
    type=click.DateTime(),
    default=None,
    help="The moment at which the past ends, in UTC; default: now.",
)
@click.option("--reset", is_flag=True, help="First drop every table in the database.")
@with_appcontext
def seed(people: int, days: int, seed_number: int, until: datetime | None, reset: bool) -> None:
    """Fill an empty database. One that has people in it is left alone, unless `--reset`."""
    started = perf_counter()
    if reset:
        _drop_everything()
    if _is_seeded():
        click.echo(
            "There are people in this database already: nothing changed. --reset would start over."
        )
    else:
        end = until.replace(tzinfo=UTC) if until else datetime.now(UTC)
        password_hash = generate_password_hash(demo.PASSWORD)
        past = invent(people, days, seed_number, end, password_hash)
        db.create_all()
        _write_rows(past)
        facts = _tell(past) if current_app.config["EXAMPLE_ENGAGE"] else 0
        click.echo(
            f"{people:,} people with {days} days behind them, {len(past.sections):,} "
            f"sections, {facts:,} facts, in {perf_counter() - started:.1f} s."
        )
    click.echo(
        f"Log in as {demo.OPERATOR.email} (operator, who finds the dashboard at /engage/) "
        f"or {demo.MEMBER.email}. The password is: {demo.PASSWORD}"
    )


def _is_seeded() -> bool:
    return (
        inspect(db.engine).has_table("user")
        and db.session.scalar(select(User.id).limit(1)) is not None
    )


def _drop_everything() -> None:
    """Leave an empty database: the tables of Paperkite and those of Flask-Engage."""
    if current_app.config["EXAMPLE_ENGAGE"]:
        engage.flush()  # what still waits belongs to the past that goes
    everything = MetaData()
    everything.reflect(db.engine)
    everything.drop_all(db.engine)


def _write_rows(past: Past) -> None:
    """Paperkite's own tables, in one transaction."""
    columns = set(Newsletter.__table__.columns.keys())
    newsletters = [
        {key: value for key, value in row.items() if key in columns} for row in past.newsletters
    ]
    for model, rows in (
        (User, past.users),
        (Newsletter, newsletters),
        (Section, past.sections),
        (Export, past.exports),
        (Invite, past.invites),
    ):
        if rows:
            db.session.execute(insert(model), rows)
    db.session.commit()


def _tell(past: Past) -> int:
    """Tell Flask-Engage who was here and what they did, in the order in which it happened.

    Returns how many facts it has taken.
    """
    click.get_current_context().invoke(_engage_command("upgrade"))
    happenings: Iterator[Sighting | Fact] = merge(
        past.sightings, past.facts, key=lambda happening: happening.at
    )
    told = sum(map(_tell_one, happenings))
    engage.flush()
    engage.sync()
    for name in ATTRIBUTES:
        engage.refresh(name)
    return told


def _tell_one(happening: Sighting | Fact) -> bool:
    if isinstance(happening, Sighting):
        taken = _tell_visit(happening)
    else:
        taken = engage.track(
            happening.name,
            happening.properties,
            user=happening.user_id,
            at=happening.at,
            id=happening.id,
        )
    if not taken:
        raise click.ClickException("Flask-Engage takes no more facts; see: flask engage doctor")
    return True


def _tell_visit(visit: Sighting) -> bool:
    """Tell of a visit with its browser and its way in.

    Of a request these are read by themselves, and `engage.seen()` does without. A past that
    nobody has lived through has to be put together by hand; no app needs this.
    """
    came = arrive(visit.user_id, visit.at)
    context = Context(
        path=came.path,
        referrer=came.referrer,
        utm_source=came.source,
        utm_medium=came.medium,
        utm_campaign=came.campaign,
        browser=came.machine.browser,
        os=came.machine.os,
        device=came.machine.device,
        language=came.language,
        country=came.country,
    )
    state = state_of(current_app._get_current_object())  # type: ignore[attr-defined]
    return state.recorder.append(Seen(visit.at, str(visit.user_id), visit.hits, context))


def _engage_command(name: str) -> click.Command:
    group = current_app.cli.commands["engage"]
    assert isinstance(group, click.Group)
    command = group.get_command(click.get_current_context(), name)
    assert command is not None
    return command


@click.command("demo-accounts", help="Say where to look, and how to log in.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True)
def demo_accounts(host: str, port: int) -> None:
    """Meant for the moment before `flask run` with the same host and port."""
    site = f"http://{host}:{port}"
    click.echo(f"Paperkite   {site}/")
    click.echo(f"Dashboard   {site}/engage/")
    click.echo(f"  an operator       {demo.OPERATOR.email}   {demo.PASSWORD}")
    click.echo(f"  an ordinary user  {demo.MEMBER.email}    {demo.PASSWORD}")
