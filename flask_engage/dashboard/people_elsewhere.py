"""Whom an operator has chosen and doesn't see: told before anything is done to them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from werkzeug.datastructures import MultiDict

from .. import _operations
from .._state import EngageState
from ..errors import InvalidFilter
from .filter_chips import read_filter_text
from .formats import display_name, number
from .language import gettext as _
from .language import ngettext
from .people_choice import LONGEST_SEARCH, Choice

_NAMED = 5
_SECONDS = 2.0
"""Whether they are in the list at all is worth no longer wait: that they aren't seen is known."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is told of the chosen who are not on the page of the list."""

    words: str
    names: tuple[str, ...]
    """Of the first of them."""
    more: int
    """How many have no name here."""


def elsewhere_of(state: EngageState, choice: Choice, form: MultiDict[str, str]) -> Elsewhere | None:
    """Return what is told of those chosen who aren't shown; None if all of them are."""
    if not choice.beyond:
        return None
    first = Choice(public_ids=choice.beyond[:_NAMED]).people(state)
    names = tuple(display_name(one.name, one.email, one.user_id) for one in islice(first, _NAMED))
    words = _words(len(choice.public_ids or ()), len(choice.beyond), _outside(state, choice, form))
    return Elsewhere(words, names, len(choice.beyond) - len(names))


def _outside(state: EngageState, choice: Choice, form: MultiDict[str, str]) -> int:
    """Return how many of them the list's filter and search don't find, as far as can be told."""
    search = form.get("q", "").strip()[:LONGEST_SEARCH]
    try:
        wanted = read_filter_text(form.get("filter") or None, _operations.segments_of(state))
    except InvalidFilter:
        return 0
    found = _operations.people(state, wanted).narrowed(search=search, public_ids=choice.beyond)
    inside = found.count_within(_SECONDS)
    return len(choice.beyond) - inside.number if inside.is_exact else 0


def _words(chosen: int, beyond: int, outside: int) -> str:
    told = {"n": number(beyond), "all": number(chosen), "out": number(outside)}
    if outside == beyond:
        words = ngettext(
            "%(n)s of the %(all)s chosen is not in the list that is shown.",
            "%(n)s of the %(all)s chosen are not in the list that is shown.",
            beyond,
        )
    elif outside:
        words = _(
            "%(n)s of the %(all)s chosen are not on this page, and %(out)s of those not in the "
            "list that is shown."
        )
    else:
        words = ngettext(
            "%(n)s of the %(all)s chosen is not on this page.",
            "%(n)s of the %(all)s chosen are not on this page.",
            beyond,
        )
    return words % told
