"""What we tell of somebody: what the host's ``identify`` says, else what is loaded already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MemberDescriptorType
from typing import Any, Final

from sqlalchemy.orm import InstanceState

from .._state import EngageState
from ..errors import InvalidFact
from ..types import Identity, Person
from .buffer import Who
from .facts import to_wire
from .limits import USER_ID_LENGTH, check_attributes, check_user_id, trim_text
from .no_flush import unflushed
from .values import as_moment, fitting

_EMAIL_LENGTH = 320
_NAME_LENGTH = 255
_NOTHING: Mapping[str, Any] = {}
_TOLD = ("email", "name", "created_at")
_MOST_KINDS = 256


@dataclass(frozen=True, slots=True)
class _Kind:
    """What there is to know of the class of an object that stands for somebody."""

    is_proxy: bool
    is_id: bool
    is_identity: bool
    is_somebody: bool
    """None of these: an object that stands for a person by what it holds."""
    is_always_authenticated: bool
    """By Flask-Login's own word for its users, so that nobody has to be asked."""
    has_plain_id: bool
    """Its ``get_id`` is Flask-Login's own, which gives the attribute ``id`` as text."""
    slots: frozenset[str]
    """Those of the attributes that we tell which live in slots."""


def _look_at(kind: type[Any]) -> _Kind:
    # Remembered, because looking for what a class has not takes longer than all the rest.
    slots = (name for name in _TOLD if isinstance(getattr(kind, name, None), MemberDescriptorType))
    is_proxy = hasattr(kind, "_get_current_object")
    is_id = issubclass(kind, (str, int, Person)) or kind.__name__ == "UUID"
    is_identity = issubclass(kind, Identity)
    return _Kind(
        is_proxy,
        is_id,
        is_identity,
        not (is_proxy or is_id or is_identity),
        all(_is_flask_logins(kind, name) for name in ("is_authenticated", "is_active")),
        _is_flask_logins(kind, "get_id"),
        frozenset(slots),
    )


def _is_flask_logins(kind: type[Any], name: str) -> bool:
    """Tell whether `name` is what Flask-Login's ``UserMixin`` gives its users of that name."""
    found = getattr(kind, name, None)
    # Its users who are nobody have properties of these names as well, which say no.
    maker = getattr(found, "fget", found)
    said = (getattr(maker, "__module__", None), getattr(maker, "__qualname__", None))
    return said == ("flask_login.mixins", f"UserMixin.{name}")


class _Kinds(dict[type[Any], _Kind]):
    """What was found of each class, and is found of one that is asked for."""

    def __missing__(self, kind: type[Any]) -> _Kind:
        if len(self) >= _MOST_KINDS:
            self.clear()  # somebody makes classes all the time
        found = self[kind] = _look_at(kind)
        return found


kinds: Final = _Kinds()


def who_is(state: EngageState, user: Any) -> Who | None:
    """Return what we tell of `user`: a user object, an id, an Identity or a ``Person``.

    None for somebody whom ``identify`` leaves out.

    :raises InvalidFact: if it is none of these.
    """
    kind = kinds[type(user)]
    if not kind.is_somebody:
        if kind.is_proxy:
            return who_is(state, user._get_current_object())
        return _from_identity(state, user) if kind.is_identity else Who(_plain_id(user))
    if state.registry.identify is not None:
        return _identified(state, user, state.registry.identify)
    # Only what is there: to ask the object for anything else might run a query.
    values = getattr(user, "__dict__", _NOTHING)
    if kind.slots:
        values = {**values, **{name: getattr(user, name, None) for name in kind.slots}}
    who = Who(_id_of_object(state, user, values, kind))
    if (email := values.get("email")) is not None:
        who.email = trim_text(email, _EMAIL_LENGTH)
    if (name := values.get("name")) is not None:
        who.name = trim_text(name, _NAME_LENGTH)
    if (since := values.get("created_at")) is not None:
        who.signed_up_at = as_moment(since)
    return who


def _identified(state: EngageState, user: Any, identify: Callable[[Any], Any]) -> Who | None:
    if mapped_state(user) is None:
        found = identify(user)
    else:
        with unflushed(state, user):
            found = identify(user)
    if found is None:
        return None
    if not isinstance(found, Identity):
        raise InvalidFact(
            f"identify() returned a {type(found).__name__}; expected an Identity or None."
        )
    return _from_identity(state, found)


def user_id_of(state: EngageState, user: Any) -> str:
    """Return the id under which we know `user`, recorded or not.

    :raises InvalidFact: if it is no user object, id, Identity or ``Person``.
    """
    who = who_is(state, user)
    if who is not None:
        return who.user_id
    user = unwrapped(user)
    return _id_of_object(state, user, getattr(user, "__dict__", _NOTHING), kinds[type(user)])


def is_id(user: Any) -> bool:
    """Tell whether `user` is no user object but an id, or a ``Person`` of ours."""
    return kinds[type(user)].is_id


def _plain_id(user: Any) -> str:
    if isinstance(user, Person):
        if user.user_id is None:
            raise InvalidFact("This person has no user id: the host doesn't know them.")
        return user.user_id
    return check_user_id(user)


def _from_identity(state: EngageState, identity: Identity) -> Who:
    attributes = None
    if identity.attributes:
        # A bad attribute is told, but costs neither the others nor the sighting.
        def tell(error: InvalidFact) -> None:
            if not state.guard.ends("an attribute from identify()", error):
                raise error

        with state.guard.guarded("attributes from identify()"):
            check_attributes(identity.attributes)
            attributes = to_wire(fitting(identity.attributes, tell)) or None
    return Who(
        check_user_id(identity.id),
        email=trim_text(identity.email, _EMAIL_LENGTH),
        name=trim_text(identity.name, _NAME_LENGTH),
        signed_up_at=as_moment(identity.signed_up_at),
        attributes=attributes,
    )


def _id_of_object(state: EngageState, user: Any, values: Mapping[str, Any], kind: _Kind) -> str:
    mapped = mapped_state(user) if "_sa_instance_state" in values else None
    if mapped is not None:
        if state.user_model is not None and isinstance(user, state.user_model):
            return _primary_key(user, mapped)
        if mapped.expired:
            return _primary_key(user, mapped)
    if kind.has_plain_id:
        # As Flask-Login's get_id does, for which who has no id yet is called None.
        found = getattr(user, "id", None)
        if found is not None:
            found = str(found)
        elif mapped is not None:
            return _primary_key(user, mapped)
    elif callable(get_id := getattr(user, "get_id", None)):
        found = get_id()
    elif mapped is not None:
        return _primary_key(user, mapped)
    else:
        found = getattr(user, "id", None)
    if type(found) is str and found.isalnum() and found.isascii() and len(found) <= USER_ID_LENGTH:
        return found
    if found is None:
        raise InvalidFact(
            f"A {type(user).__name__} given for user has no id; pass a user object, its id or a "
            "Person, or say who is who with @engage.identify."
        )
    return check_user_id(found)


def _primary_key(user: Any, mapped: InstanceState[Any]) -> str:
    values = mapped.identity
    if values is None:
        keys = [mapped.mapper.get_property_by_column(c).key for c in mapped.mapper.primary_key]
        values = tuple(mapped.dict.get(key) for key in keys)
    if any(value is None for value in values):
        raise InvalidFact(
            f"The {type(user).__name__} given for user has no primary key yet; flush the session "
            "first."
        )
    return check_user_id(values[0] if len(values) == 1 else ",".join(map(str, values)))


def mapped_state(user: Any) -> InstanceState[Any] | None:
    """Return SQLAlchemy's record of `user`, if it is a mapped object."""
    # Not inspect(): that takes long to find out that an object is not mapped.
    found = getattr(user, "_sa_instance_state", None)
    return found if isinstance(found, InstanceState) else None


def unwrapped(user: Any) -> Any:
    """Return the object behind a proxy such as Flask-Login's ``current_user``."""
    return user._get_current_object() if kinds[type(user)].is_proxy else user
