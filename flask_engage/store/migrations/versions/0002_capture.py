"""The catalogue of events, how providers and backfills are doing, the latest way that led here.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from flask_engage.store.base import CodeText, JSONDoc, LongText, UTCDateTime
from flask_engage.store.migrations.steps import add_column, create_index, create_table

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns; fill the catalogue from what is summed up of each person."""
    for name in ("referrer", "utm_source", "utm_medium", "utm_campaign"):
        add_column("engage_person", sa.Column(f"latest_{name}", CodeText(255), nullable=True))
    for name in ("touched_at", "latest_touched_at"):
        add_column("engage_person", sa.Column(name, UTCDateTime(), nullable=True))
    add_column("engage_session", sa.Column("ip", CodeText(45), nullable=True))
    create_table(
        "engage_backfill",
        sa.Column("key", CodeText(64), nullable=False),
        sa.Column("position", LongText(), nullable=True),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("error", LongText(), nullable=True),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_engage_backfill"),
    )
    create_table(
        "engage_provider",
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("heard_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("succeeded_at", UTCDateTime(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("error", LongText(), nullable=True),
        sa.Column("error_user_id", CodeText(255), nullable=True),
        sa.Column("attributes", JSONDoc, nullable=True),
        sa.Column("position", LongText(), nullable=True),
        sa.Column("held_until", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_engage_provider"),
    )
    create_table(
        "engage_event_name",
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", UTCDateTime(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_engage_event_name"),
    )
    create_index("ix_engage_event_total_name", "engage_event_total", ["name", "day"])
    _fill_the_catalogue()


def _fill_the_catalogue() -> None:
    names = sa.table(
        "engage_event_name",
        *(sa.column(name) for name in ("name", "count", "first_at", "last_at")),
    )
    summary = sa.table(
        "engage_event_summary",
        *(sa.column(name) for name in ("name", "count", "first_at", "last_at")),
    )
    op.execute(names.delete())  # an upgrade that was cut off begins anew
    op.execute(
        names.insert().from_select(
            ["name", "count", "first_at", "last_at"],
            sa.select(
                summary.c.name,
                sa.func.sum(summary.c.count),
                sa.func.min(summary.c.first_at),
                sa.func.max(summary.c.last_at),
            ).group_by(summary.c.name),
        )
    )
