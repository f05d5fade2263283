"""Whom an operator has chosen in the list: some by their ids, or all who match.

A form says it in ``to`` (one each, whom one sees) and ``ids`` (many in one; those of them whom one
saw are in ``seen``), or with ``all`` in the words of the list's address: a filter and a search.
What is said of all is never turned into ids on the way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from .. import _operations
from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..segments.filter import Everyone, Filter
from ..segments.people import People
from ..segments.saved import meaning_of
from ..segments.words import everyone
from .filter_chips import read_filter_text
from .formats import number
from .language import gettext as _
from .language import ngettext
from .pages import filter_text, to
from .zones import viewer_zone

MOST_NAMED = 1_000
"""People who can be chosen one by one; more are described by a filter."""
LONGEST_SEARCH = 200
BACK = ("filter", "q", "sort", "dir", "c", "segment", "after")
"""What of the list's address leads back to where it was."""

_ID = re.compile(r"[0-9A-Za-z_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom something is done to."""

    wanted: Filter = everyone
    search: str = ""
    public_ids: tuple[str, ...] | None = None
    """Some by name; None: all whom the filter and the search find."""
    beyond: tuple[str, ...] = ()
    """Those of them who are not on the page of the list that is shown."""

    def people(self, state: EngageState, now: datetime | None = None) -> People:
        """Return them, as of a moment if one is given."""
        clock: Callable[[], datetime] | None = None if now is None else lambda: now
        if self.public_ids is not None:
            return _operations.people(state, everyone, clock).narrowed(public_ids=self.public_ids)
        return _operations.people(state, self.wanted, clock).narrowed(search=self.search)

    @property
    def sentence(self) -> str:
        """Who they are, for people to read."""
        if self.public_ids is not None:
            count = len(self.public_ids)
            return ngettext(
                "%(n)s person chosen in the list", "%(n)s people chosen in the list", count
            ) % {"n": number(count)}
        if not self.search:
            return self.wanted.describe(viewer_zone(current_state()))
        return _("%(who)s, found by “%(search)s”") % {
            "who": self.wanted.describe(viewer_zone(current_state())),
            "search": self.search,
        }

    def fields(self) -> list[tuple[str, str]]:
        """Return the hidden fields that say the same in the next form."""
        if self.public_ids is not None:
            seen = [one for one in self.public_ids if one not in set(self.beyond)]
            return [("ids", " ".join(self.public_ids)), ("seen", " ".join(seen))]
        return [("all", "1")]


def read_choice(state: EngageState, form: MultiDict[str, str]) -> Choice:
    """Return whom a form of the list means.

    :raises InvalidFilter: if it means nobody, or too many by name, or can't be read.
    """
    if form.get("all"):
        wanted = read_filter_text(form.get("filter") or None, _operations.segments_of(state))
        return Choice(wanted, form.get("q", "").strip()[:LONGEST_SEARCH])
    ids = list(dict.fromkeys([*form.getlist("to"), *form.get("ids", "").split()]))
    if not ids:
        raise InvalidFilter(_("Nobody is chosen. Choose people in the list first."))
    if len(ids) > MOST_NAMED:
        raise InvalidFilter(
            _(
                "%(n)s people are chosen; up to %(most)s can be. For more, use a filter and choose "
                "all that match."
            )
            % {"n": number(len(ids)), "most": number(MOST_NAMED)}
        )
    wrong = next((one for one in ids if not _ID.fullmatch(one)), None)
    if wrong is not None:
        raise InvalidFilter(f"to: {wrong!r:.40} is no id of a person; choose anew in the list.")
    seen = {*form.getlist("to"), *form.get("seen", "").split()}
    return Choice(public_ids=tuple(ids), beyond=tuple(one for one in ids if one not in seen))


def message_address(choice: Choice) -> str:
    """Return where a message to all of a filter is written."""
    return to("compose", filter=filter_text(choice.wanted))


def way_back(form: MultiDict[str, str]) -> list[tuple[str, str]]:
    """Return the fields of a form that lead back to the list as it was."""
    return [(name, value) for name in BACK for value in form.getlist(name)]


def list_address(back: list[tuple[str, str]], **more: Any) -> str:
    """Return the address of the list as it was."""
    values: dict[str, Any] = {}
    for name, value in back:
        values.setdefault(name, []).append(value)
    return to("people", **values, **more)


def as_plan(state: EngageState, choice: Choice) -> dict[str, Any]:
    """Return the choice as it stands in work that goes on."""
    if choice.public_ids is not None:
        return {"ids": list(choice.public_ids)}
    text = None if isinstance(choice.wanted, Everyone) else filter_text(choice.wanted)
    means = meaning_of(choice.wanted, _operations.segments_of(state))
    return {"filter": text, "q": choice.search, "means": means}


def of_plan(state: EngageState, plan: Mapping[str, Any]) -> Choice:
    """Return the choice that :func:`as_plan` gave.

    :raises InvalidFilter: if a segment that it names is gone, or another one by now: who may save
        segments does not choose for an admin whom they delete.
    """
    if plan.get("ids") is not None:
        return Choice(public_ids=tuple(plan["ids"]))
    named = _operations.segments_of(state)
    wanted = read_filter_text(plan.get("filter"), named)
    if meaning_of(wanted, named) != plan.get("means"):
        raise InvalidFilter(
            _(
                "A segment that this asks for has been changed meanwhile. What was done so far "
                "stays; begin anew in the list."
            )
        )
    return Choice(wanted, plan.get("q", ""))
