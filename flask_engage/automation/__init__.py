"""WHEN: rules that write messages by themselves, and who of many processes does it.

Rules turn a filter (:mod:`flask_engage.segments`, to the left) and words
(:mod:`flask_engage.messages`, to the left) into delivery rows; :mod:`flask_engage.delivery`
(to the right) sends them. Takes a database, the rules and the moment as arguments; knows
neither Flask nor the rooms to its right. APScheduler is used in :mod:`.scheduler` only.
"""

from __future__ import annotations
