"""Doing one thing to many people of the list: asking first, doing it, and saying what came of it.

Each action is a form of the list. It is answered with a question (a page, or a part that the
script shows over the list), whose form does it; what takes longer than a moment goes on from a
page that says how far it is. With ``check`` such a form only asks whether it is filled in rightly:
so the script learns of a mistake without leaving the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..segments.counting import Count
from ..segments.values import checked_name
from ..segments.vocabulary import tag_names
from . import compose, people_work
from .access import operator
from .formats import number
from .language import gettext as _
from .pages import page, to
from .people_choice import (
    MOST_NAMED,
    Choice,
    list_address,
    message_address,
    read_choice,
    way_back,
)
from .people_elsewhere import elsewhere_of
from .people_work import DELETE, TAG, UNDO, UNTAG, Work

_COUNT_SECONDS = 5.0
"""Before something is done to all who match, their number is worth waiting for."""
_MOST_IN_ADDRESS = 40
"""Ids that an address is given; servers refuse one of more than some thousand letters."""


def change() -> AnyResponse:
    """Tag people, untag them, undo that, or go on to write to them."""
    if request.method != "POST":
        return redirect(to("people"), 303)
    actions = {TAG: _tag, UNTAG: _tag, "message": _message, UNDO: _undo}
    return _answered(actions)


def delete() -> AnyResponse:
    """Delete people for good, after the operator has typed how many they are."""
    if request.method != "POST":
        return redirect(to("people"), 303)
    return _answered({DELETE: _delete})


def _answered(actions: Mapping[str, Any]) -> AnyResponse:
    state = current_state()
    action = request.form.get("action", "")
    try:
        if action not in actions:
            raise InvalidFilter(f"action: {action!r:.40} is none of {', '.join(actions)}.")
        signed = request.form.get("work", "")
        if signed and action != UNDO:
            return _go_on(state, action, signed)
        answer: AnyResponse = actions[action](state, action)
        return answer
    except InvalidFilter as error:
        if request.form.get("part"):
            return page("people_ask.html", 400, ask=None, text=str(error))
        return page("problem.html", 400, title=_("Nothing was changed"), text=str(error))


# --- the actions ---------------------------------------------------------------------------------


def _tag(state: EngageState, action: str) -> AnyResponse:
    choice = read_choice(state, request.form)
    if not request.form.get("sure"):
        return _asked(state, action, choice)
    try:
        tag = checked_name(request.form.get("tag"), "a tag")
    except InvalidFilter as error:
        return _asked(state, action, choice, str(error))
    if request.form.get("check"):
        return AnyResponse(status=204)
    work = people_work.begin(state, action, choice, total=_count(state, choice).number, tag=tag)
    return _done(state, *people_work.go_on(state, work))


def _delete(state: EngageState, action: str) -> AnyResponse:
    choice = read_choice(state, request.form)
    if not request.form.get("sure"):
        return _asked(state, action, choice)
    count = _count(state, choice)
    typed = " ".join(request.form.get("typed", "").replace(",", "").split()).casefold()
    if typed != _to_type(count).replace(",", "").casefold():
        problem = _("Nobody was deleted. Type “%(words)s” to delete them.") % {
            "words": _to_type(count)
        }
        return _asked(state, action, choice, problem)
    if request.form.get("check"):
        return AnyResponse(status=204)
    work = people_work.begin(state, action, choice, total=count.number if count.is_exact else None)
    return _done(state, *people_work.go_on(state, work))


def _undo(state: EngageState, _action: str) -> AnyResponse:
    signed = request.form.get("work", "")
    going = people_work.read(state, signed)
    if going is None or going.action != UNDO:
        if request.form.get("again"):
            raise InvalidFilter(_not_yours())
        going = people_work.undoing(state, signed)
    elif request.form.get("again"):
        going = people_work.caught_up(state, going)
    return _done(state, *people_work.go_on(state, going))


def _message(state: EngageState, _action: str) -> AnyResponse:
    choice = read_choice(state, request.form)
    if choice.public_ids is None and not choice.search:
        return redirect(message_address(choice), 303)
    ids = choice.public_ids
    if ids is None:
        found = choice.people(state)
        count = found.count_within()
        if count.number > MOST_NAMED or not count.is_exact:
            raise InvalidFilter(
                _(
                    "More than %(n)s people are found by the search. A message goes to people of "
                    "a filter: tag them all, then write to those who have the tag."
                )
                % {"n": number(MOST_NAMED)}
            )
        ids = tuple(person.public_id for person in found)
    if len(ids) <= _MOST_IN_ADDRESS:
        return redirect(to("compose", to=list(ids)), 303)
    return compose.open_for(state, ids)


def _go_on(state: EngageState, action: str, signed: str) -> AnyResponse:
    work = people_work.read(state, signed)
    if work is None or work.action != action:
        raise InvalidFilter(_not_yours())
    if request.form.get("again"):
        work = people_work.caught_up(state, work)
    return _done(state, *people_work.go_on(state, work))


def _not_yours() -> str:
    return _(
        "This form was not made for you, or it is more than a day old. What was done so far stays; "
        "begin anew in the list."
    )


# --- asking, and saying what came of it ----------------------------------------------------------


def _count(state: EngageState, choice: Choice) -> Count:
    return choice.people(state).count_within(_COUNT_SECONDS)


def _to_type(count: Count) -> str:
    """Return what has to be typed: how many, so that one has read it."""
    if count.is_exact:
        return _("delete %(n)s") % {"n": number(count.number)}
    return _("delete all of them")


def _asked(state: EngageState, action: str, choice: Choice, problem: str = "") -> AnyResponse:
    count = _count(state, choice)
    with state.ready.require().read() as session:
        tags = tag_names(session) if action in (TAG, UNTAG) else []
    return page(
        "people_ask.html" if request.form.get("part") else "people_bulk.html",
        400 if problem else 200,
        ask=action,
        text="",
        problem=problem,
        count=count,
        nobody=count.is_exact and not count.number,
        sentence=choice.sentence,
        whom=choice.fields(),
        back=way_back(request.form),
        list_address=list_address(way_back(request.form)),
        elsewhere=elsewhere_of(state, choice, request.form),
        tags=tags,
        typed=request.form.get("typed" if action == DELETE else "tag", ""),
        to_type=_to_type(count),
        work=None,
    )


def _done(state: EngageState, work: Work, is_done: bool) -> AnyResponse:
    """Go back to the list and say what was done; or show how far it is, and how to go on."""
    back = way_back(request.form)
    if is_done:
        address = list_address(back, outcome=people_work.outcome(state, work))
        return jsonify({"to": address}) if _wants_json() else redirect(address, 303)
    signed = people_work.sign(state, work)
    if _wants_json():
        return jsonify(
            {
                "work": signed,
                "words": people_work.so_far(work),
                "seen": work.seen,
                "outcome": people_work.outcome(state, work) if work.can_undo else "",
            }
        )
    return page(
        "people_bulk.html",
        ask=None,
        work=work,
        signed=signed,
        outcome=people_work.outcome(state, work) if work.can_undo else "",
        words=people_work.so_far(work),
        back=back,
        list_address=list_address(back, outcome=people_work.outcome(state, work)),
        may_stop=operator().may("edit"),
        owner=people_work.owner(),
        seconds_left=int(people_work.time_left(state, work).total_seconds()),
        deletes=work.action == DELETE,
    )


def _wants_json() -> bool:
    return request.accept_mimetypes.best == "application/json"
