"""``flask engage check``: what is wrong with segments and rules, before anybody is written to."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from . import _check
from ._state import current_state


@click.command("check")
@click.option("--strict", is_flag=True, help="End with 1 for warnings as well.")
@with_appcontext
def check(strict: bool) -> None:
    """Say what is wrong with the segments and rules, and which names in them nobody has.

    Ends with 1 if something can't work. A name that nobody has yet is a warning: an event or an
    attribute never seen matches nobody, and may be new or misspelt.
    """
    state = current_state()
    state.recorder.flush()
    found = _check.check(state)
    for line in found.wrong:
        click.echo(f"error: {line}")
    for line in found.doubtful:
        click.echo(f"warning: {line}")
    click.echo(
        f"{_count(found.segments, 'segment')} and {_count(found.rules, 'rule')} checked: "
        f"{_count(len(found.wrong), 'error')}, {_count(len(found.doubtful), 'warning')}."
    )
    if found.wrong or (strict and found.doubtful):
        raise SystemExit(1)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
