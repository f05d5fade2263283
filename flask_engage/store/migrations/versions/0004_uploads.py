"""The content of a file that an operator sent, until its people are stored.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa

from flask_engage.store.base import BigId
from flask_engage.store.enrichment import Bytes
from flask_engage.store.migrations.steps import create_table

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of parts."""
    create_table(
        "engage_import_part",
        sa.Column("import_id", BigId, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", Bytes(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["engage_import.id"],
            name="fk_engage_import_part_import",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("import_id", "number", name="pk_engage_import_part"),
    )
