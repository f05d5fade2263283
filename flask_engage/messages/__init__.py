"""GROUPS → WORDS: what a message says, and what it says to one person.

Left of it stands ``segments`` (to whom), right of it ``automation`` (when) and ``delivery``
(how it gets there). It imports the store and what is above it; no Flask here.
"""

from __future__ import annotations
