"""Who may open the dashboard: whom the host's callable names, and nobody else.

To everybody else it does not exist: they get what an unknown address gets.
"""

from __future__ import annotations

import logging
from typing import Final, cast, get_args

from flask import g
from flask.globals import request_ctx
from werkzeug.exceptions import NotFound

from .._state import EngageState
from ..capture.identity import current_identity
from ..types import Operator, Role

_log = logging.getLogger("flask_engage")

_ROLES: Final = get_args(Role)
_NOBODY_IN_PARTICULAR = "operator"
"""The id of an admin of whom the host only says that they may."""


def operator_now(state: EngageState) -> Operator | None:
    """Return who is at the dashboard on this request, or None if they may not be.

    Exactly ``True`` makes an admin; an :class:`Operator` of a known role is what it says. Anything
    else that the host's callable returns or raises denies. The host's session keeps its marks when
    it does, so that the answer carries no header that another unknown address would not.
    """
    ask = state.operator
    if ask is None:
        return None
    session = getattr(request_ctx, "_session", None)
    marks = None if session is None else (session.accessed, session.modified)
    answer: object = None
    with state.guard.contained("the operator callable"):
        answer = ask()
        if answer is not True and not isinstance(answer, Operator) and answer:
            _warn_of(state, answer)
    if answer is True:
        return _admin(state)
    if isinstance(answer, Operator) and answer.role in _ROLES:
        return answer
    if session is not None and marks is not None:
        session.accessed, session.modified = marks
    return None


def _warn_of(state: EngageState, answer: object) -> None:
    """Say once that an answer which looks like a yes is none: it may be anybody's."""
    if state.guard.is_new("the operator callable's answer"):
        _log.warning(
            "flask_engage: the operator callable returned a %s, which lets nobody in. For an admin "
            "return True itself (as bool(…) does) or an Operator; for anybody else None or False.",
            type(answer).__name__,
        )


def _admin(state: EngageState) -> Operator:
    who = None
    with state.guard.contained("identifying the operator"):
        who = current_identity(state)
    if who is None:
        # Staff are often not recorded; the login still has an id to sign changes with.
        return Operator(_login_id() or _NOBODY_IN_PARTICULAR)
    return Operator(who.user_id, name=who.name or "", email=who.email)


def _login_id() -> str | None:
    get_id = getattr(g.get("_login_user"), "get_id", None)
    found = get_id() if callable(get_id) else None
    return None if found is None else str(found)


def operator() -> Operator:
    """Return the operator of this request; only after it has been let in."""
    return cast("Operator", g._engage_operator)


def is_let_in() -> bool:
    """Tell whether this request has been let in."""
    return g.get("_engage_operator") is not None


def hide() -> NotFound:
    """Return what an unknown address raises."""
    return NotFound()
