"""Every word on a page passes through here, so that one day it can be said in others."""

from __future__ import annotations

from .._language import gettext, ngettext

__all__ = ["gettext", "ngettext"]
