"""Taking people of the list home: CSV or JSON Lines, streamed, so that memory stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from flask import Response, redirect, request, stream_with_context
from werkzeug.wrappers import Response as AnyResponse

from .._state import EngageState, current_state
from ..errors import InvalidFilter
from ..people.transfer import exporting
from ..segments.ordering import ATTRIBUTE_PREFIX
from ..segments.vocabulary import vocabulary
from ..store.attribute import kinds_in_use
from .audit import note
from .language import gettext as _
from .pages import page, to
from .people_choice import list_address, read_choice, way_back
from .people_columns import all_columns, chosen_keys
from .people_elsewhere import elsewhere_of
from .zones import today

_KIND_WORDS = {"n": "number", "b": "boolean", "t": "date", "s": "text"}
_WHO = ("user_id", "name")
"""What stands in the list's first column."""


def export() -> AnyResponse:
    """Ask in which form people are wanted; then send them."""
    if request.method != "POST":
        return redirect(to("people"), 303)
    state = current_state()
    try:
        return _answer(state)
    except InvalidFilter as error:
        if request.form.get("part"):
            return page("people_ask.html", 400, ask=None, text=str(error))
        return page("problem.html", 400, title=_("Nothing was exported"), text=str(error))


def _answer(state: EngageState) -> AnyResponse:
    choice = read_choice(state, request.form)
    back = way_back(request.form)
    if not request.form.get("sure"):
        count = choice.people(state).count_within()
        return page(
            "people_ask.html" if request.form.get("part") else "people_bulk.html",
            ask="export",
            text="",
            problem="",
            count=count,
            nobody=count.is_exact and not count.number,
            sentence=choice.sentence,
            whom=choice.fields(),
            back=back,
            list_address=list_address(back),
            elsewhere=elsewhere_of(state, choice, request.form),
            tags=[],
            typed="",
            to_type="",
            work=None,
        )
    kind = request.form.get("format", "csv")
    if kind not in exporting.FORMATS:
        raise InvalidFilter(f"format: {kind!r:.40} is none of {', '.join(exporting.FORMATS)}.")
    columns = _columns(state, request.form.get("columns", "all"))
    # The first piece is made before anything is said: what goes wrong with it is still an answer.
    pieces = exporting.export(choice.people(state), columns, kind)
    first = next(pieces, "")
    named = None if choice.public_ids is None else len(choice.public_ids)
    note(
        state,
        "export people",
        kind,
        {"of": choice.sentence[:500], "columns": columns[:100], "count": named},
    )
    return _file(state, chain([first], pieces), kind)


def _columns(state: EngageState, which: str) -> list[str]:
    if which not in ("all", "shown"):
        raise InvalidFilter(f"columns: {which!r:.40} is none of all, shown.")
    with state.ready.require().read() as session:
        kinds = kinds_in_use(session)
        if which == "all":
            return exporting.columns_of(kinds)
        known = all_columns(vocabulary(session))
    asked = request.form.getlist("c") if "c" in request.form else None
    chosen = list(_WHO)
    for key in chosen_keys(known, asked):
        if key.startswith(ATTRIBUTE_PREFIX):
            name = known[key].name
            # With its kind: there may be a field of the same name.
            chosen += [f"{_KIND_WORDS[kind]}:{name}" for kind in sorted(kinds.get(name, ()))]
        else:
            chosen.append(key)
    return exporting.columns_of(kinds, chosen)


def _file(state: EngageState, pieces: Iterator[str], kind: str) -> Response:
    response = Response(
        stream_with_context(piece.encode() for piece in pieces),
        content_type=exporting.FORMATS[kind],
    )
    response.headers["Content-Disposition"] = (
        f'attachment; filename="people-{today(state).isoformat()}.{kind}"'
    )
    # Streamed as it comes: a server before us that collects it first would make people wait.
    response.headers["X-Accel-Buffering"] = "no"
    return response
