"""WORDS → REACH: how a message gets to its person, and what became of it.

Left of it stands ``automation`` (when), which writes deliveries; right of it
``conversations`` (what they answer). It imports the rooms above it; no Flask here. Deliveries
are claimed from their table, so whoever wrote them need not be running.
"""

from __future__ import annotations
