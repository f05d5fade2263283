"""Every sentence that an operator reads passes through here, so that one day it can be said in
other languages. The catalogue lies with the dashboard, which has nearly all of them.
"""

from __future__ import annotations

import gettext as _gettext
from functools import lru_cache
from pathlib import Path

DOMAIN = "flask_engage"


@lru_cache(maxsize=1)
def _translations() -> _gettext.NullTranslations:
    """Return the catalogue; without one, words say themselves."""
    folder = Path(__file__).with_name("dashboard") / "translations"
    return _gettext.translation(DOMAIN, folder, fallback=True)


def gettext(text: str) -> str:
    """Return `text` in the language of the dashboard."""
    return _translations().gettext(text)


def ngettext(one: str, many: str, number: int) -> str:
    """Return the form of the two that fits `number`."""
    return _translations().ngettext(one, many, number)
