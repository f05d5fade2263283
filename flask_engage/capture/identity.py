"""Who is logged in on this request, without costing the host a query or a cookie.

Asked in this order: the host's ``load_user``, else Flask-Login. What we tell of a user is
what ``identify`` says, else what is loaded already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MemberDescriptorType
from typing import Any

from flask import has_request_context, request
from flask.globals import app_ctx, request_ctx
from sqlalchemy.orm import InstanceState
from werkzeug.wrappers import Request

from .._state import EngageState
from ..errors import InvalidFact
from ..types import Identity, Person
from .buffer import RequestBuffer, Who
from .facts import to_wire
from .limits import check_user_id, check_values, trim_text

_EMAIL_LENGTH = 320
_NAME_LENGTH = 255


def current_user_id(state: EngageState) -> str | None:
    """Return the id of who is logged in on this request and is recorded, else None."""
    who = current_identity(state)
    return None if who is None else who.user_id


def current_identity(state: EngageState) -> Who | None:
    """Return who is logged in on this request; None for nobody, or nobody to be recorded.

    Resolved once a request. Outside of a request there is nobody.

    :raises Exception: what the host's own functions raise.
    """
    if not has_request_context():
        return None
    buffer = buffer_of_request()
    held = vars(buffer.globals)
    # Flask-Login puts another object there when somebody logs in or out meanwhile.
    if not buffer.is_resolved or held.get("_login_user") is not buffer.login:
        # Before the look: a host function that raises is not called again in this request.
        buffer.is_resolved, buffer.who = True, None
        try:
            user = _current_user(state, held)
            buffer.who = None if user is None else who_is(state, user)
        finally:
            buffer.login = held.get("_login_user")
    return buffer.who


def buffer_of_request() -> RequestBuffer:
    """Return this request's buffer."""
    current: Request = request._get_current_object()  # type: ignore[attr-defined]
    here = app_ctx._get_current_object().g  # type: ignore[attr-defined]
    buffer: RequestBuffer | None = vars(here).get("_engage")
    if buffer is None or buffer.request is not current:
        buffer = here._engage = RequestBuffer(current, here)
    return buffer


# --- who is logged in --------------------------------------------------------------------------


def _current_user(state: EngageState, held: dict[str, Any]) -> Any | None:
    if state.registry.load_user is not None:
        with _untouched_session():
            user = unwrapped(state.registry.load_user())
    else:
        user = held.get("_login_user") or _flask_login_user(state)
    if user is None or not _is_authenticated(user):
        return None
    return user


def _flask_login_user(state: EngageState) -> Any | None:
    manager = getattr(state.app, "login_manager", None)
    if manager is None:
        return None
    if not _may_be_logged_in(state, manager):
        return None
    from flask_login import current_user

    with _untouched_session():
        return unwrapped(current_user)


def _may_be_logged_in(state: EngageState, manager: Any) -> bool:
    """Tell whether there is anything by which Flask-Login could know somebody."""
    if getattr(manager, "_request_callback", None) is not None:
        return True
    session = getattr(request_ctx, "_session", None)
    if session and "_user_id" in session:
        return True
    config = state.app.config
    return (
        config.get("REMEMBER_COOKIE_NAME", "remember_token") in request.cookies
        or "HTTP_AUTHORIZATION" in request.environ
    )


def _is_authenticated(user: Any) -> bool:
    mapped = _mapped(user)
    if mapped is not None and mapped.expired:
        return True  # it was loaded as the current user; asking it would be a query
    return bool(getattr(user, "is_authenticated", True))


@contextmanager
def _untouched_session() -> Iterator[None]:
    """Leave the host's session as it was, its marks of being read or changed included.

    Else our look would add ``Vary: Cookie`` to pages that are the same for everybody.
    """
    session = getattr(request_ctx, "_session", None)
    if session is None:
        yield
        return
    accessed, modified = session.accessed, session.modified
    before = None if modified else dict(session)
    try:
        yield
    finally:
        if before is not None and session.modified:
            session.clear()
            session.update(before)
        session.accessed, session.modified = accessed, modified


# --- what we tell of somebody ------------------------------------------------------------------


def who_is(state: EngageState, user: Any) -> Who | None:
    """Return what we tell of `user`: a user object, an id, an Identity or a ``Person``.

    None for somebody whom ``identify`` leaves out.

    :raises InvalidFact: if it is none of these.
    """
    user = unwrapped(user)
    if isinstance(user, Identity):
        return _from_identity(state, user)
    if is_id(user):
        return Who(_plain_id(user))
    if state.registry.identify is not None:
        found = state.registry.identify(user)
        if found is None:
            return None
        if not isinstance(found, Identity):
            raise InvalidFact(f"identify() returned {found!r:.100}; expected an Identity or None.")
        return _from_identity(state, found)
    return Who(
        _id_of_object(state, user),
        email=trim_text(_loaded(user, "email"), _EMAIL_LENGTH),
        name=trim_text(_loaded(user, "name"), _NAME_LENGTH),
        signed_up_at=_moment(_loaded(user, "created_at")),
    )


def user_id_of(state: EngageState, user: Any) -> str:
    """Return the id under which we know `user`, recorded or not.

    :raises InvalidFact: if it is no user object, id, Identity or ``Person``.
    """
    who = who_is(state, user)
    return _id_of_object(state, unwrapped(user)) if who is None else who.user_id


def is_id(user: Any) -> bool:
    """Tell whether `user` is no user object but an id, or a ``Person`` of ours."""
    return isinstance(user, (str, int, Person)) or type(user).__name__ == "UUID"


def _plain_id(user: Any) -> str:
    if isinstance(user, Person):
        if user.user_id is None:
            raise InvalidFact("This person has no user id: the host doesn't know them.")
        return user.user_id
    return check_user_id(user)


def _from_identity(state: EngageState, identity: Identity) -> Who:
    attributes = None
    if identity.attributes:
        # A bad attribute is told, but costs no sighting.
        with state.guard.guarded("attributes from identify()"):
            attributes = to_wire(check_values(identity.attributes))
    return Who(
        check_user_id(identity.id),
        email=trim_text(identity.email, _EMAIL_LENGTH),
        name=trim_text(identity.name, _NAME_LENGTH),
        signed_up_at=_moment(identity.signed_up_at),
        attributes=attributes,
    )


def _id_of_object(state: EngageState, user: Any) -> str:
    mapped = _mapped(user)
    if mapped is not None:
        if state.user_model is not None and isinstance(user, state.user_model):
            return _primary_key(user, mapped)
        if mapped.expired:
            return _primary_key(user, mapped)
    get_id = getattr(user, "get_id", None)
    if callable(get_id):
        found = get_id()
    elif mapped is not None:
        return _primary_key(user, mapped)
    else:
        found = getattr(user, "id", None)
    if found is None:
        raise InvalidFact(
            f"user={user!r:.100} has no id; pass a user object, its id or a Person, or say who "
            "is who with @engage.identify."
        )
    return check_user_id(found)


def _primary_key(user: Any, mapped: InstanceState[Any]) -> str:
    values = mapped.identity
    if values is None:
        keys = [mapped.mapper.get_property_by_column(c).key for c in mapped.mapper.primary_key]
        values = tuple(mapped.dict.get(key) for key in keys)
    if any(value is None for value in values):
        raise InvalidFact(f"user={user!r:.100} has no primary key yet; flush the session first.")
    return check_user_id(values[0] if len(values) == 1 else ",".join(map(str, values)))


def _mapped(user: Any) -> InstanceState[Any] | None:
    """Return SQLAlchemy's record of `user`, if it is a mapped object."""
    # Not inspect(): that takes long to find out that an object is not mapped.
    found = getattr(user, "_sa_instance_state", None)
    return found if isinstance(found, InstanceState) else None


def _loaded(user: Any, name: str) -> Any:
    """Return an attribute's value if it is there already: a property might run a query."""
    values = getattr(user, "__dict__", None)
    if values is not None and name in values:
        return values[name]
    if isinstance(getattr(type(user), name, None), MemberDescriptorType):
        return getattr(user, name, None)
    return None


def _moment(value: Any) -> datetime | None:
    """Return `value` in UTC; most hosts that keep times without a zone mean UTC."""
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None


def unwrapped(user: Any) -> Any:
    """Return the object behind a proxy such as Flask-Login's ``current_user``."""
    get = getattr(type(user), "_get_current_object", None)
    return user if get is None else user._get_current_object()
