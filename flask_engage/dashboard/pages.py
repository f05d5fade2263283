"""Rendering: our own environment, what every page knows, and the headers of every answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from flask import Response, request, url_for
from jinja2 import Environment, PackageLoader, StrictUndefined

from .._state import EngageState, current_state
from . import csrf, formats
from .access import operator
from .language import gettext, ngettext
from .zones import viewer_zone

if TYPE_CHECKING:
    from ..segments.filter import Filter

NAME = "engage_dashboard"

#: Nothing but our own files, no frame around us, forms only to ourselves.
POLICY = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_ROLES = {"read": "looks", "edit": "writes", "admin": "admin"}


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return our own environment: no template of the host's can take the place of one of ours."""
    made = Environment(
        loader=PackageLoader("flask_engage.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(
        number=formats.number,
        initials=formats.initials,
        tint=formats.tint,
        size=formats.size,
        length=formats.length,
        took=formats.took,
        counted=formats.counted,
    )
    made.globals.update(share=formats.share, display_name=formats.display_name, DASH=formats.DASH)
    return made


def page(template: str, status: int = 200, **context: Any) -> Response:
    """Return a whole page for the operator of this request."""
    state = current_state()
    text = environment().get_template(template).render({**shared(state), **context})
    return Response(text, status=status, content_type="text/html; charset=utf-8")


def fragment(template: str, **context: Any) -> str:
    """Return a part of a page as text."""
    return environment().get_template(template).render(**context)


def to(endpoint: str, **values: Any) -> str:
    """Return the address of one of our views."""
    return url_for(f"{NAME}.{endpoint}", **values)


def filter_text(wanted: Filter) -> str:
    """Return `wanted` as the text that stands in an address."""
    return json.dumps(wanted.to_json(), ensure_ascii=False, separators=(",", ":"))


def static_url(name: str) -> str:
    """Return the address of one of our files, another one whenever its content changes."""
    return to("asset", name=name, v=version(name))


@lru_cache(maxsize=32)
def version(name: str) -> str:
    """Return what changes whenever the content of one of our files does."""
    return hashlib.sha256(read_static(name)).hexdigest()[:12]


def read_static(name: str) -> bytes:
    """Return the content of one of our files."""
    return files("flask_engage.dashboard").joinpath("static", name).read_bytes()


class SegmentLink(NamedTuple):
    """One segment in the list beside every page."""

    name: str
    address: str
    text: str
    """The filter as it stands in the address."""
    is_saved: bool


def secure(response: Response) -> Response:
    """Put our headers on an answer of ours."""
    headers = response.headers
    headers["Content-Security-Policy"] = POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    # Not "no-referrer": browsers would then call the origin of our own forms "null".
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers.setdefault("Cache-Control", "no-store, private")
    response.vary.add("Cookie")
    return response


def shared(state: EngageState) -> Mapping[str, Any]:
    """Return what every page knows."""
    now = state.clock()
    zone = viewer_zone(state)
    who = operator()
    theme = request.cookies.get("engage_theme")
    return {
        "app_name": state.settings.PRODUCT_NAME or state.app.name,
        "operator": who,
        "operator_role": gettext(_ROLES[who.role]),
        "may_edit": who.may("edit"),
        "csrf_token": csrf.token(state, who) if csrf.usable_keys(state) else "",
        "now": now,
        "theme": theme if theme in ("light", "dark") else None,
        # Only what was asked for may be asked for again.
        "zone_shown": str(zone) if request.method == "GET" else "",
        "to": to,
        "static": static_url,
        "icons": static_url("icons.svg"),
        "endpoint": (request.endpoint or "").rpartition(".")[2],
        "segments": _segment_links(state),
        "segment_now": None,
        "jumps": _jumps(),
        "age": lambda moment: formats.age(moment, now),
        "short_age": lambda moment: formats.short_age(moment, now),
        "day": lambda moment, later=0: formats.day(formats.days_later(moment, later), zone),
        "long_day": lambda moment: formats.long_day(moment, now, zone),
        "month": formats.month,
        "exact": lambda moment: formats.exact(moment, zone),
        "clock": lambda moment: formats.clock(moment, zone),
        "value": lambda content: formats.value(content, zone),
        "typed": formats.typed,
        "query": lambda **values: urlencode({k: v for k, v in values.items() if v is not None}),
    }


def _jumps() -> list[tuple[str, str, str]]:
    """Return what the palette has besides the pages beside it: address, icon and words."""
    return [
        (to("catalogue"), "event", gettext("Catalogue of events")),
        (to("design"), "columns", gettext("Design of this dashboard")),
    ]


def _segment_links(state: EngageState) -> list[SegmentLink]:
    # Here, not above: a process that shows no page does without.
    from .. import _operations
    from ..segments.words import in_segment
    from ..store.trouble import DATABASE_ERRORS

    known = _operations.segments_of_code(state)
    try:
        named = _operations.segments_of(state)
    except DATABASE_ERRORS:
        named = known  # this may be the page that tells that the database is away
    texts = {name: filter_text(in_segment(name)) for name in named}
    return [
        SegmentLink(name, to("people", filter=text), text, name not in known)
        for name, text in texts.items()
    ]
