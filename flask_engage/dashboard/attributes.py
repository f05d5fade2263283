"""Setting a value of a person's custom data by hand, and giving it up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .._state import EngageState, current_state
from ..capture.announce import Announcer
from ..capture.apply import Outcome
from ..capture.limits import check_name, check_value
from ..errors import InvalidFact
from ..reports.person import KnownAttribute, person_id_by_public_id, user_id_of
from ..store.attribute_write import Change, give_up_manual, write_attributes
from ..types import AttributeValue
from . import person
from .audit import note_in
from .formats import local
from .language import gettext as _
from .neighbours import listed
from .pages import page, to
from .zones import viewer_zone

KINDS: Final = ("s", "n", "b", "t")
_YES: Final = frozenset({"yes", "true", "1", "on"})
_NO: Final = frozenset({"no", "false", "0", "off"})
_LONGEST: Final = 4096
"""Characters that are read at all; what is stored is checked as everywhere."""


@dataclass(slots=True)
class Wanted:
    """The form for one value, as it is shown."""

    name: str = ""
    kind: str = "s"
    value: str = ""
    is_known: bool = False
    """Whether the person has an attribute of this name."""
    is_manual: bool = False
    """Whether its value was set by hand."""
    problems: dict[str, str] = field(default_factory=dict)
    """What is wrong, by field."""


def asked(name: str, attributes: Sequence[KnownAttribute], zone: ZoneInfo) -> Wanted:
    """Return the form for the attribute `name`, or (empty, unknown) for a new one."""
    for one in attributes:
        if one.name == name:
            return Wanted(name, one.kind, _typed(one.value, zone))
    return Wanted(name[:64])


def change(public_id: str) -> AnyResponse:
    """Set a value by hand, or give it up, and show the person."""
    back = redirect(to("person", public_id=public_id, **listed()), 303)
    if request.method != "POST":
        return back
    state = current_state()
    action = request.form.get("action", "")
    if action == "give up":
        return _give_up(state, public_id)
    if action != "set":
        return _refused(f"action: {action!r:.40} is none of set, give up.")
    form = Wanted(
        request.form.get("name", "")[:_LONGEST],
        request.form.get("kind", ""),
        request.form.get("value", "")[:_LONGEST],
    )
    name, value = read(form, viewer_zone(state))
    if form.problems:
        return person.shown(public_id, form, 400)
    return _set(state, public_id, name, value)


def read(form: Wanted, zone: ZoneInfo) -> tuple[str, AttributeValue]:
    """Return name and value of what was typed; what is wrong is noted in the form."""
    try:
        form.name = check_name(form.name, "attribute")
    except InvalidFact:
        form.problems["name"] = _("Give it a name of 1 to 64 printable characters.")
    if form.kind not in KINDS:
        form.problems["kind"] = _("Choose what kind of value it is.")
        return form.name, None
    try:
        value = check_value(form.name or "…", _value(form.kind, form.value, zone))
    except InvalidFact as error:
        form.problems["value"] = str(error)
    except ValueError:
        form.problems["value"] = _WRONG[form.kind]()
    else:
        return form.name, value
    return form.name, None


_WRONG: Final = {
    "s": lambda: _("Write a text. To take the value away, give it up instead."),
    "n": lambda: _("This is no number. Write digits, such as 1234.5, without separators."),
    "b": lambda: _("Write yes or no."),
    "t": lambda: _("This is no time. Write it as 2026-03-31 or 2026-03-31 14:00."),
}


def _value(kind: str, text: str, zone: ZoneInfo) -> AttributeValue:
    """Return the value that was typed.

    :raises ValueError: if it is none of this kind.
    """
    short = text.strip()
    if not short:
        raise ValueError(text)
    if kind == "s":
        return text.replace("\r\n", "\n").strip()
    if kind == "n":
        return _number(short)
    if kind == "b":
        word = short.casefold()
        if word in _YES | {_("yes").casefold()}:
            return True
        if word in _NO | {_("no").casefold()}:
            return False
        raise ValueError(text)
    moment = datetime.fromisoformat(short)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _number(text: str) -> int | float:
    if not text.isascii() or "_" in text or len(text) > 400:
        raise ValueError(text)
    try:
        return int(text)
    except ValueError:
        return float(text)


def _typed(value: AttributeValue, zone: ZoneInfo) -> str:
    """Return a value as one would type it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        at = local(value, zone)
        exact = at.second or at.microsecond
        if at.tzinfo is zone:  # else it is read again as it stands here, with its offset
            at = at.replace(tzinfo=None)
        return at.isoformat(" ", "auto" if exact else "minutes")
    return str(value)


def _set(state: EngageState, public_id: str, name: str, value: AttributeValue) -> AnyResponse:
    with state.ready.require().write() as session:
        person_id = person_id_by_public_id(session, public_id)
        if person_id is None:
            return _refused(_("There is no such person; they may have been deleted."))
        changes = write_attributes(
            session, {person_id: {name: value}}, source="manual", now=state.clock()
        )
        user_id = user_id_of(session, person_id)
        note_in(session, state, "set attribute", public_id, {"attribute": name})
    _announce(state, user_id, changes)
    return _shown_again(public_id, "set")


def _give_up(state: EngageState, public_id: str) -> AnyResponse:
    name = request.form.get("name", "")
    with state.ready.require().write() as session:
        person_id = person_id_by_public_id(session, public_id)
        change = (
            None
            if person_id is None or not _is_askable(name)
            else give_up_manual(session, person_id, name, state.clock())
        )
        if person_id is None or change is None:
            return _refused(
                _("This person has no value of that name that was set by hand (any more).")
            )
        user_id = user_id_of(session, person_id)
        note_in(session, state, "give up attribute", public_id, {"attribute": name})
    _announce(state, user_id, [change])
    return _shown_again(public_id, "given-up")


def _shown_again(public_id: str, done: str) -> AnyResponse:
    address = to("person", public_id=public_id, done=done, _anchor="about", **listed())
    return redirect(address, 303)


def _announce(state: EngageState, user_id: str | None, changes: Sequence[Change]) -> None:
    """Tell those who listen, once it is committed."""
    if user_id is not None and changes:
        told = Outcome(changed=[(user_id, change) for change in changes])
        Announcer(state.app, state.guard)(told)


def _refused(text: str) -> AnyResponse:
    return page("problem.html", 400, title=_("Nothing was changed"), text=text)


def _is_askable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)
