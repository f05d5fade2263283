"""WHAT WE KNOW: the tables, the queries on them, the engine and the migrations.

The only room with tables. Everything else asks here; this room asks nobody but
:mod:`flask_engage.types`, ``errors``, ``settings`` and ``_clock``. Functions take an open
``Session`` and the moment; whoever opened the session commits. No Flask here.
"""

from __future__ import annotations

from . import (  # every table belongs to the metadata, whoever imports the room
    activity,
    attribute,
    backfill,
    content,
    delivery,
    enrichment,
    event,
    journal,
    lease,
    meta,
    note,
    operator,
    person,
    provider,
    relationship,
    rule,
    segment,
    segment_member,
    session,
    transfer,
    upload,
)
from .base import Base as Base

__all__ = [
    "Base",
    "activity",
    "attribute",
    "backfill",
    "content",
    "delivery",
    "enrichment",
    "event",
    "journal",
    "lease",
    "meta",
    "note",
    "operator",
    "person",
    "provider",
    "relationship",
    "rule",
    "segment",
    "segment_member",
    "session",
    "transfer",
    "upload",
]
