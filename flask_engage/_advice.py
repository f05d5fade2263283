"""What is to be mended in how the host has set us up, a sentence each, with what to do.

Asks no database; what that tells is in :mod:`._symptoms`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from . import _symptoms
from ._operations import check_filter
from ._state import AttributeProvider, EngageState
from .delivery.tokens import secret_keys_of
from .errors import EngageError, NotReady
from .segments.filter import Filter
from .segments.values import did_you_mean

_SECRET_BYTES = 16

_BY_NETWORK = ("ENRICH_FULLCONTACT_KEY", "ENRICH_GRAVATAR")
"""Settings that need urllib3, which the extra ``enrich`` brings."""


def advice(state: EngageState) -> list[str]:
    """Return what an operator of the host should mend, one sentence each."""
    found = [*_of_access(state), *_of_users(state), *_of_mail(state), *_of_extras(state)]
    try:
        state.ready.database()
    except NotReady:
        return found  # whoever asks tells of it apart
    found += _of_filters(state)
    backlog = state.recorder.backlog()
    if backlog is not None:
        found += _symptoms.of_journal(backlog, state.settings, state.clock())
    return found


def _of_access(state: EngageState) -> Iterator[str]:
    keys = secret_keys_of(state.app.config)
    if not keys:
        yield "SECRET_KEY is missing: the dashboard and signed links in mail stay closed."
    elif len(keys[0]) < _SECRET_BYTES:
        yield f"SECRET_KEY has fewer than {_SECRET_BYTES} bytes: the dashboard stays closed."
    if state.operator is None:
        yield "Nobody may open the dashboard: register one with @engage.operator."
    if state.load_user is None and not hasattr(state.app, "login_manager"):
        yield "Nobody is recognised: use Flask-Login, or register @engage.load_user."


def _of_users(state: EngageState) -> Iterator[str]:
    model, column = state.user_model, state.settings.LAST_SEEN_COLUMN
    if model is None:
        providers = state.registry.providers.values()
        if any(isinstance(provider, AttributeProvider) for provider in providers):
            yield "@engage.attribute needs the users: init_app(app, db, user_model=User)."
        if column is not None:
            yield ("ENGAGE_LAST_SEEN_COLUMN needs the users: init_app(app, db, user_model=User).")
        return
    try:
        names = {attribute.key for attribute in inspect(model).column_attrs}
    except SQLAlchemyError as error:
        yield f"user_model {model.__name__} is no mapped class that can be used: {error}"
        return
    if state.registry.identify is not None:  # then it is read from the object, whatever it is
        names |= {name for name in dir(model) if not name.startswith("_")}
    if column is not None and column not in names:
        yield (
            f"ENGAGE_LAST_SEEN_COLUMN is {column!r}, which {model.__name__} doesn't have: "
            + did_you_mean(column, names)
        )


def _of_mail(state: EngageState) -> Iterator[str]:
    settings = state.settings
    if state.registry.rules and settings.mail_transport == "outbox":
        yield "Mail stays in the house (outbox): set ENGAGE_SMTP_URL to let it leave."
    if settings.SMTP_URL and not settings.BASE_URL:
        yield "ENGAGE_BASE_URL is missing: mail leaves without a link to unsubscribe."


def _of_extras(state: EngageState) -> Iterator[str]:
    if importlib.util.find_spec("urllib3") is None:
        for setting in _BY_NETWORK:
            if getattr(state.settings, setting):
                yield f'ENGAGE_{setting} needs an extra: pip install "flask-engage[enrich]".'


def _of_filters(state: EngageState) -> Iterator[str]:
    rules = {f"rule {name}": rule.to for name, rule in state.registry.rules.items()}
    named: dict[str, Filter] = {**state.registry.segments, **rules}
    for name, filter in named.items():
        try:
            check_filter(state, filter)
        except EngageError as error:
            yield f"{name}: {error}"
