"""Our own files: stylesheets, drawings, a few small scripts."""

from __future__ import annotations

from typing import Final

from flask import Response, request
from werkzeug.exceptions import NotFound

from .._state import EngageState, current_state
from . import csrf, pages

_TYPES: Final = {
    "tokens.css": "text/css; charset=utf-8",
    "base.css": "text/css; charset=utf-8",
    "components.css": "text/css; charset=utf-8",
    "pages.css": "text/css; charset=utf-8",
    "design.css": "text/css; charset=utf-8",
    "builder.css": "text/css; charset=utf-8",
    "people.css": "text/css; charset=utf-8",
    "person.css": "text/css; charset=utf-8",
    "preview.css": "text/css; charset=utf-8",
    "transfer.css": "text/css; charset=utf-8",
    "icons.svg": "image/svg+xml",
    "heart.svg": "image/svg+xml",
    "dashboard.js": "text/javascript; charset=utf-8",
    "over.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
    "palette.js": "text/javascript; charset=utf-8",
    "builder.js": "text/javascript; charset=utf-8",
    "bulk.js": "text/javascript; charset=utf-8",
    "chosen.js": "text/javascript; charset=utf-8",
    "people.js": "text/javascript; charset=utf-8",
    "segments.js": "text/javascript; charset=utf-8",
    "person.js": "text/javascript; charset=utf-8",
    "compose.js": "text/javascript; charset=utf-8",
    "early.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "transfer.js": "text/javascript; charset=utf-8",
    "unfinished.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "zone.js": "text/javascript; charset=utf-8",
}
_YEAR: Final = 365 * 24 * 3600


def show(name: str) -> Response:
    """Return one of our files, for a year if its version was asked for."""
    if name not in _TYPES:
        raise NotFound()
    response = Response(pages.read_static(name), content_type=_TYPES[name])
    if request.args.get("v") == pages.version(name):
        response.headers["Cache-Control"] = f"private, max-age={_YEAR}, immutable"
    else:
        response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(pages.version(name))
    return response.make_conditional(request)  # type: ignore[return-value]


def preview_stylesheet() -> str:
    """Return the address of the preview's stylesheet, which proves itself without a cookie.

    The preview's frame has no origin, so no cookie goes with what it loads.
    """
    state = current_state()
    name = "preview.css"
    return pages.to("asset", name=name, v=pages.version(name), proof=csrf.asset_token(state, name))


def proves_itself(state: EngageState) -> bool:
    """Tell whether this request's address was made by :func:`preview_stylesheet`."""
    name = (request.view_args or {}).get("name")
    given = request.args.get("proof", "")
    return name == "preview.css" and bool(given) and csrf.is_asset_token(state, name, given)
