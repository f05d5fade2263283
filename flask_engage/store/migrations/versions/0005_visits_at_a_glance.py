"""Sessions of the last days are counted per person and device from an index alone.

Revision ID: 0005
"""

from __future__ import annotations

from flask_engage.store.migrations.steps import create_index, drop_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index on the start by one that knows who it was and on what."""
    table = "engage_session"
    create_index("ix_engage_session_visit", table, ["started_at", "person_id", "device"])
    drop_index("ix_engage_session_started", table)
