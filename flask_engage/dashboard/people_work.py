"""Work on many people that goes on from request to request, and what came of it.

A request does some seconds of it and answers with a form that goes on, signed: what is done, to
whom, how far it is. Nothing runs while nobody asks. What was done so far is done and written down,
batch by batch; the page says how much that is, and undoes it where that is possible.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .._state import EngageState
from ..errors import InvalidFilter
from ..segments.in_bulk import SECONDS as _SECONDS
from ..segments.in_bulk import (
    Part,
    Span,
    erase_part,
    is_undone,
    tag_part,
    undo_part,
    untag_part,
    written_down,
)
from ..segments.people import newest_id
from . import csrf
from .access import operator
from .audit import note_in
from .formats import number
from .language import gettext as _
from .language import ngettext
from .people_choice import Choice, as_plan, of_plan

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_KEPT = timedelta(days=1)
"""An old page that is found again neither goes on nor takes back what others built upon."""

TAG, UNTAG, DELETE, UNDO = "tag", "untag", "delete", "undo"


@dataclass(frozen=True, slots=True)
class Work:
    """What is done to whom, and how far it is."""

    action: str
    total: int | None
    """How many people it is about, if that is known."""
    begun: str
    """The moment that it is as of, in ISO 8601."""
    key: str
    """What it is written down under."""
    whom: dict[str, Any]
    """The choice; see :func:`.people_choice.as_plan`. Of an undo: nothing."""
    sentence: str
    """Who they are, for people to read."""
    up_to: int
    tag: str = ""
    undoes: str = ""
    """Of an undo: what was done, ``tag`` or ``untag``."""
    position: int = 0
    seen: int = 0
    changed: int = 0
    already: int = 0

    @property
    def moment(self) -> datetime:
        """The moment that it is as of."""
        return datetime.fromisoformat(self.begun)

    @property
    def left_out(self) -> int:
        """People who could not be tagged because they have as many tags as there may be."""
        return self.seen - self.changed - self.already if self.action == TAG else 0

    @property
    def can_undo(self) -> bool:
        """Whether what was done so far can be taken back."""
        return self.action in (TAG, UNTAG) and self.changed > 0


def begin(
    state: EngageState, action: str, choice: Choice, *, total: int | None, tag: str = ""
) -> Work:
    """Return work that has not begun; whom we come to know from now on has no part in it."""
    return Work(
        action=action,
        total=total,
        begun=state.clock().isoformat(),
        key=_new_key(action),
        whom=as_plan(state, choice),
        sentence=choice.sentence[:500],
        up_to=newest_id(state.ready.require()),
        tag=tag,
    )


def undoing(state: EngageState, signed: str) -> Work:
    """Return the work of taking back what `signed` says was done.

    :raises InvalidFilter: if nothing of the kind was done by this operator.
    """
    done = read_outcome(state, signed)
    if done is None or not done.can_undo or is_undone(state.ready.require(), done.key, done.moment):
        raise InvalidFilter(_("There is nothing of yours to undo here; it may have been undone."))
    return replace(
        done,
        action=UNDO,
        total=done.changed,
        undoes=done.action,
        position=0,
        seen=0,
        changed=0,
        already=0,
    )


def go_on(state: EngageState, work: Work) -> tuple[Work, bool]:
    """Do some seconds of the work; return how far it is then, and whether it is done.

    :raises InvalidFilter: if whom it is about can't be found any more.
    """
    part = _part(state, work)
    further = replace(
        work,
        position=part.position,
        seen=work.seen + part.seen,
        changed=work.changed + part.changed,
        already=work.already + part.already,
    )
    return further, part.is_done


def caught_up(state: EngageState, work: Work) -> Work:
    """Return work that was found again, as far as it is by what is written down.

    Its last request may have been answered to a page that was gone: nobody has their turn twice,
    though others may have changed them since. (Who is erased can't be once more, and a batch is
    undone once by itself.)
    """
    database = state.ready.require()
    if work.action in (TAG, UNTAG):
        found = written_down(database, work.key, work.moment, work.position)
        if found is not None:
            position, changed = found
            return replace(
                work, position=position, seen=work.seen + changed, changed=work.changed + changed
            )
    return work


def _undo_key(work: Work) -> str:
    return f"undo {work.key}"


def _part(state: EngageState, work: Work) -> Part:
    database, span = (
        state.ready.require(),
        Span(work.position, work.up_to, _SECONDS, known_by=work.moment),
    )

    def note(session: Session, ids: list[int]) -> None:
        detail = {"tag": work.tag, "of": work.sentence, "count": len(ids)}
        if work.action == UNDO:
            note_in(session, state, f"undo {work.undoes} people", _undo_key(work), detail)
        else:
            note_in(session, state, f"{work.action} people", work.key, {**detail, "people": ids})

    def note_erased(session: Session, count: int) -> None:
        note_in(session, state, "delete people", work.key, {"of": work.sentence, "count": count})

    if work.action == UNDO:
        return undo_part(
            database,
            work.key,
            work.tag,
            work.moment,
            state.clock(),
            note,
            span,
            was_put=work.undoes == TAG,
        )
    people = of_plan(state, work.whom).people(state, work.moment)
    if work.action == TAG:
        return tag_part(database, people, work.tag, work.moment, note, span)
    if work.action == UNTAG:
        return untag_part(database, people, work.tag, work.moment, note, span)
    return erase_part(database, people, state.clock(), note_erased, span)


_FIELDS = frozenset(field.name for field in fields(Work))


def _new_key(action: str) -> str:
    return f"{action}:{secrets.token_hex(12)}"


# --- between requests ----------------------------------------------------------------------------


def sign(state: EngageState, work: Work) -> str:
    """Return the work as a form carries it."""
    return csrf.sign_work(state, operator(), asdict(work))


def read(state: EngageState, signed: str) -> Work | None:
    """Return the work that a form of this operator's carries, or None."""
    return _known(state, csrf.read_work(state, operator(), signed))


def outcome(state: EngageState, work: Work) -> str:
    """Return what came of the work, short enough for an address.

    It says nothing of whom it was about, which would mean everybody: so nobody goes on with it.
    """
    short = replace(work, whom={}, sentence="", up_to=2**62)
    return csrf.sign_work(state, operator(), asdict(short), is_over=True)


def read_outcome(state: EngageState, signed: str) -> Work | None:
    """Return the work of this operator's of which an address tells, or None."""
    return _known(state, csrf.read_work(state, operator(), signed, is_over=True))


def _known(state: EngageState, found: dict[str, Any] | None) -> Work | None:
    # Signed by another version of ours it may have other fields: then it is none that we know.
    work = Work(**found) if found is not None and set(found) == _FIELDS else None
    return work if work is not None and state.clock() - work.moment < _KEPT else None


def owner() -> str:
    """Return what a browser keeps this operator's interrupted work under; it names nobody."""
    return hashlib.sha256(f"engage {operator().id}".encode(errors="replace")).hexdigest()[:24]


def time_left(state: EngageState, work: Work) -> timedelta:
    """Return for how long the work can still go on."""
    return work.moment + _KEPT - state.clock()


# --- in words ------------------------------------------------------------------------------------


def told(work: Work) -> str:
    """Return what was done, in words."""
    count = {"n": number(work.changed), "tag": work.tag}
    if work.action == TAG:
        text = ngettext(
            "Tagged %(n)s person “%(tag)s”.", "Tagged %(n)s people “%(tag)s”.", work.changed
        )
    elif work.action == UNTAG:
        text = ngettext(
            "Took “%(tag)s” off %(n)s person.", "Took “%(tag)s” off %(n)s people.", work.changed
        )
    elif work.action == DELETE:
        text = ngettext("Deleted %(n)s person.", "Deleted %(n)s people.", work.changed)
    elif work.undoes == TAG:
        text = ngettext(
            "Undone: “%(tag)s” is off %(n)s person again.",
            "Undone: “%(tag)s” is off %(n)s people again.",
            work.changed,
        )
    else:
        text = ngettext(
            "Undone: %(n)s person has “%(tag)s” again.",
            "Undone: %(n)s people have “%(tag)s” again.",
            work.changed,
        )
    return " ".join([text % count, *_besides(work)])


def _besides(work: Work) -> list[str]:
    found = []
    if work.already and work.action == TAG:
        found.append(_("%(n)s had it already.") % {"n": number(work.already)})
    if work.already and work.action == UNTAG:
        found.append(_("%(n)s did not have it.") % {"n": number(work.already)})
    if work.already and work.action == UNDO:
        found.append(_("%(n)s had been undone before.") % {"n": number(work.already)})
    if work.left_out > 0:
        found.append(
            _("%(n)s have a hundred tags or are gone, and were left out.")
            % {"n": number(work.left_out)}
        )
    return found


def so_far(work: Work) -> str:
    """Return how far the work is, in words."""
    if work.total:
        return _("%(n)s of %(total)s people so far") % {
            "n": number(work.seen),
            "total": number(max(work.total, work.seen)),
        }
    return ngettext("%(n)s person so far", "%(n)s people so far", work.seen) % {
        "n": number(work.seen)
    }
