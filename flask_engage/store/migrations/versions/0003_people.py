"""What operators know of people beyond what was captured: notes first of all.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa

from flask_engage.store.base import BigId, CodeText, JSONDoc, LongText, UTCDateTime
from flask_engage.store.enrichment import Bytes
from flask_engage.store.migrations.steps import (
    add_column,
    create_index,
    create_table,
    drop_index,
)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, each in a step of its own."""
    _indexes()
    _notes()
    _relationship()
    _enrichment()
    _imports()
    _segment_members()


def _indexes() -> None:
    """Let a list ordered by an attribute see at once which kinds of values people have of it."""
    table = "engage_attribute"
    create_index("ix_engage_attribute_kind", table, ["name", "kind", "person_id"])
    drop_index("ix_engage_attribute_name", table)


def _notes() -> None:
    create_table(
        "engage_note",
        sa.Column("id", BigId, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("operator_id", CodeText(255), nullable=False),
        sa.Column("body", LongText(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_note_person",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_engage_note"),
        sa.Index("ix_engage_note_person", "person_id", "created_at"),
    )


def _relationship() -> None:
    """Add what the parts are counted from: a page can say why a heart is what it is."""
    table = "engage_relationship"
    add_column(table, sa.Column("seen_at", UTCDateTime(), nullable=True))
    add_column(table, sa.Column("half_life", sa.Double(), nullable=False, server_default="7"))
    for name in ("l28", "l14", "e28", "delivered", "clicks", "replies", "dismissals"):
        add_column(table, sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    add_column(table, sa.Column("previous_hearts", sa.Integer(), nullable=True))
    add_column(table, sa.Column("hearts_at", UTCDateTime(), nullable=True))
    create_index("ix_engage_relationship_hearts", table, ["hearts", "person_id"])


def _enrichment() -> None:
    """Add what other services say of people, what was sent to them, and pictures."""
    create_table(
        "engage_enrichment",
        sa.Column("provider", CodeText(40), nullable=False),
        sa.Column("person_id", BigId, autoincrement=False, nullable=False),
        sa.Column("state", CodeText(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=False),
        sa.Column("fetched_at", UTCDateTime(), nullable=True),
        sa.Column("error", CodeText(255), nullable=True),
        sa.Column("profile", JSONDoc(), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_enrichment_person",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider", "person_id", name="pk_engage_enrichment"),
        sa.Index("ix_engage_enrichment_due", "provider", "next_at"),
        sa.Index("ix_engage_enrichment_person", "person_id"),
    )
    create_table(
        "engage_enrichment_log",
        sa.Column("id", BigId, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("provider", CodeText(40), nullable=False),
        sa.Column("fields", CodeText(255), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("outcome", CodeText(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_enrichment_log_person",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_engage_enrichment_log"),
        sa.Index("ix_engage_enrichment_log_person", "person_id", "at"),
        sa.Index("ix_engage_enrichment_log_provider", "provider", "at"),
    )
    create_table(
        "engage_avatar",
        sa.Column("person_id", BigId, autoincrement=False, nullable=False),
        sa.Column("provider", CodeText(40), nullable=False),
        sa.Column("url", LongText(), nullable=False),
        sa.Column("content_type", CodeText(32), nullable=True),
        sa.Column("content", Bytes(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.Column("fetched_at", UTCDateTime(), nullable=True),
        sa.Column("error", CodeText(255), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_avatar_person",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("person_id", name="pk_engage_avatar"),
        sa.Index("ix_engage_avatar_due", "next_at"),
    )


def _imports() -> None:
    counts = ("position", "created", "changed", "unchanged", "refused")
    create_table(
        "engage_import",
        sa.Column("id", BigId, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("public_id", CodeText(32), nullable=False),
        sa.Column("name", CodeText(255), nullable=False),
        sa.Column("digest", CodeText(64), nullable=False),
        sa.Column("mapping", JSONDoc(), nullable=False),
        sa.Column("state", CodeText(16), nullable=False),
        sa.Column("is_upload", sa.Boolean(), nullable=False),
        sa.Column("rows", BigId, nullable=True),
        *(sa.Column(name, BigId, nullable=False) for name in counts),
        sa.Column("problem", LongText(), nullable=True),
        sa.Column("created_by", CodeText(255), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_engage_import"),
        sa.UniqueConstraint("public_id", name="uq_engage_import_public_id"),
        sa.Index("ix_engage_import_digest", "digest"),
        sa.Index("ix_engage_import_state", "state", "id"),
    )
    create_table(
        "engage_import_problem",
        sa.Column("import_id", BigId, nullable=False),
        sa.Column("number", BigId, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("heading", LongText(), nullable=False),
        sa.Column("problem", LongText(), nullable=False),
        sa.Column("fix", LongText(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["engage_import.id"],
            name="fk_engage_import_problem_import",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("import_id", "number", "place", name="pk_engage_import_problem"),
    )


def _segment_members() -> None:
    """Add who is in which segment, who came and went, and how many there were each day."""
    create_table(
        "engage_segment_watch",
        sa.Column("id", BigId, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("key", CodeText(160), nullable=False),
        sa.Column("name", CodeText(128), nullable=False),
        sa.Column("run_at", UTCDateTime(), nullable=True),
        sa.Column("position", BigId, nullable=True),
        sa.Column("based_at", UTCDateTime(), nullable=True),
        sa.Column("error", LongText(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_engage_segment_watch"),
        sa.UniqueConstraint("key", name="uq_engage_segment_watch_key"),
    )
    create_table(
        "engage_segment_member",
        sa.Column("segment_id", BigId, autoincrement=False, nullable=False),
        sa.Column("person_id", BigId, autoincrement=False, nullable=False),
        sa.Column("entered_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_segment_member_person",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("segment_id", "person_id", name="pk_engage_segment_member"),
        sa.Index("ix_engage_segment_member_person", "person_id"),
    )
    create_table(
        "engage_segment_change",
        sa.Column("id", BigId, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("segment_id", BigId, nullable=False),
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("entered", sa.Boolean(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("said", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_segment_change_person",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_engage_segment_change"),
        sa.Index("ix_engage_segment_change_segment", "segment_id", "person_id", "at"),
        sa.Index("ix_engage_segment_change_person", "person_id", "at"),
        sa.Index("ix_engage_segment_change_at", "at"),
        sa.Index("ix_engage_segment_change_said", "said", "id"),
    )
    create_table(
        "engage_segment_day",
        sa.Column("segment_id", BigId, autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("people", BigId, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "day", name="pk_engage_segment_day"),
    )
