"""Keeps the host's own migrations from seeing our tables, which have migrations of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, appcontext_pushed, request_started

_PREFIX = "engage_"

IncludeName = Callable[[str | None, str, Mapping[str, str | None]], bool]


def include_name(name: str | None, kind: str, parents: Mapping[str, str | None], /) -> bool:
    """Tell Alembic's autogenerate to look away from our tables.

    For hosts that use Alembic without Flask-Migrate: in ``env.py``,
    ``context.configure(..., include_name=include_name)``.
    """
    table = name if kind == "table" else parents.get("table_name")
    return not (table or "").startswith(_PREFIX)


def protect_host_migrations(app: Flask) -> None:
    """Compose :func:`include_name` into Flask-Migrate's arguments, whichever comes first.

    Flask-Migrate may be attached after us, so what isn't there yet is looked for each time
    that an app context begins, until the first request: no migration runs after that.
    """
    if _compose(app):
        return

    def look(sender: Flask, **_: Any) -> None:
        if _compose(sender):
            stop(sender)

    def stop(sender: Flask, **_: Any) -> None:
        appcontext_pushed.disconnect(look, sender)
        request_started.disconnect(stop, sender)

    appcontext_pushed.connect(look, app, weak=False)
    request_started.connect(stop, app, weak=False)


def _compose(app: Flask) -> bool:
    migrate = app.extensions.get("migrate")
    arguments = getattr(migrate, "configure_args", None)
    if arguments is None:
        return False
    theirs: IncludeName | None = arguments.get("include_name")

    def both(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        return include_name(name, kind, parents) and (
            theirs is None or bool(theirs(name, kind, parents))
        )

    arguments["include_name"] = both
    return True
