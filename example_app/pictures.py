"""The pictures that a newsletter may carry: drawings of our own, so that nothing is fetched."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

PICTURES: dict[str, str] = {
    "harbour": "Harbour at dusk",
    "hills": "Hills after rain",
    "garden": "A kitchen garden",
    "desk": "A desk by the window",
    "night": "Night over the roofs",
}
_FOLDER = Path(__file__).parent / "static" / "pictures"


@cache
def data_url(picture: str) -> str:
    """The drawing as a `data:` URL, so that an exported file stands on its own.

    :raises KeyError: no picture has this name.
    """
    if picture not in PICTURES:
        raise KeyError(picture)
    drawing = (_FOLDER / f"{picture}.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(drawing).decode("ascii")
