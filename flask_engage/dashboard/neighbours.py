"""From one person to the next in the list that one came from.

The list's links say in which list somebody stands, and where. A step is a page of one person: it
costs the same in the midst of a million, and nothing until it is asked for. It goes from where
somebody stood when the list was shown, so one who is seen meanwhile takes nobody along to the
front.
"""

from __future__ import annotations

from urllib.parse import urlencode

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .. import _operations
from .._state import current_state
from ..segments.paging import Page
from .filter_chips import read_filter_text
from .pages import to
from .people_choice import BACK, LONGEST_SEARCH

_PLACE = "at"


def links(found: Page, back: list[tuple[str, str]]) -> list[str]:
    """Return the addresses of the people of a page of the list, in its order.

    :param back: what leads back to the list as it is.
    """
    return [
        f"{to('person', public_id=one.public_id)}?{urlencode([*back, (_PLACE, place)])}"
        for one, place in zip(found.people, found.places, strict=True)
    ]


def listed() -> dict[str, list[str]]:
    """Return what this address says of the list that one came from; nothing, if from elsewhere."""
    if _PLACE not in request.args:
        return {}
    return {name: request.args.getlist(name) for name in (*BACK, _PLACE) if name in request.args}


def list_address() -> str:
    """Return the address of the list that one came from, or of everybody."""
    return to("people", **{name: value for name, value in listed().items() if name != _PLACE})


def show_next(public_id: str) -> AnyResponse:
    """Go on to the next person of the list."""
    return _step(public_id, back=False)


def show_previous(public_id: str) -> AnyResponse:
    """Go back to the person before in the list."""
    return _step(public_id, back=True)


def _step(public_id: str, *, back: bool) -> AnyResponse:
    state, args, kept = current_state(), request.args, listed()
    if not kept:
        return redirect(to("person", public_id=public_id), 302)
    wanted = read_filter_text(args.get("filter"), _operations.segments_of(state))
    found = _operations.people(state, wanted).beside(
        args[_PLACE],
        back=back,
        sort=args.get("sort", "last_seen"),
        descending=args.get("dir", "desc") != "asc",
        search=args.get("q", "").strip()[:LONGEST_SEARCH],
    )
    if found is None:
        end = "first" if back else "last"
        return redirect(to("person", public_id=public_id, **kept, done=end), 302)
    someone, place = found
    return redirect(to("person", public_id=someone.public_id, **{**kept, _PLACE: [place]}), 302)
