"""The first tables.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa

from flask_engage.store.base import BigId, CodeText, JSONDoc, LongText, UTCDateTime
from flask_engage.store.migrations.steps import create_table

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table with its keys and indexes."""
    create_table(
        "engage_active_gap",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("gap", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "gap", name="pk_engage_active_gap"),
    )
    create_table(
        "engage_audit",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("operator_id", CodeText(255), nullable=False),
        sa.Column("action", CodeText(64), nullable=False),
        sa.Column("target", CodeText(255), nullable=False),
        sa.Column("detail", JSONDoc, nullable=False),
        sa.Column("occurred_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_audit"),
        sa.Index("ix_engage_audit_occurred", "occurred_at"),
    )
    create_table(
        "engage_content",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("source", CodeText(200), nullable=False),
        sa.Column("variant", CodeText(64), nullable=False),
        sa.Column("locale", CodeText(35), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("channel", CodeText(16), nullable=False),
        sa.Column("subject", LongText(), nullable=True),
        sa.Column("body", LongText(), nullable=False),
        sa.Column("options", JSONDoc, nullable=False),
        sa.Column("created_by", CodeText(255), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_content"),
        sa.UniqueConstraint(
            "source", "variant", "locale", "version", name="uq_engage_content_version"
        ),
    )
    create_table(
        "engage_dead_letter",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("payload", LongText(), nullable=False),
        sa.Column("reason", LongText(), nullable=False),
        sa.Column("occurred_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_dead_letter"),
        sa.Index("ix_engage_dead_letter_occurred", "occurred_at"),
    )
    create_table(
        "engage_event_key",
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("id", CodeText(191), nullable=False),
        sa.PrimaryKeyConstraint("name", "id", name="pk_engage_event_key"),
    )
    create_table(
        "engage_event_total",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "name", name="pk_engage_event_total"),
    )
    create_table(
        "engage_job",
        sa.Column("name", CodeText(128), nullable=False),
        sa.Column("next_run_at", UTCDateTime(), nullable=True),
        sa.Column("started_at", UTCDateTime(), nullable=True),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("runs", BigId, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", LongText(), nullable=True),
        sa.Column("result", LongText(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_engage_job"),
    )
    create_table(
        "engage_journal",
        sa.Column("file", CodeText(128), nullable=False),
        sa.Column("position", BigId, nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("file", name="pk_engage_journal"),
    )
    create_table(
        "engage_lease",
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("holder", CodeText(128), nullable=False),
        sa.Column("epoch", BigId, nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_engage_lease"),
    )
    create_table(
        "engage_meta",
        sa.Column("key", CodeText(64), nullable=False),
        sa.Column("value", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_engage_meta"),
    )
    create_table(
        "engage_operator",
        sa.Column("id", CodeText(255), nullable=False),
        sa.Column("name", CodeText(255), nullable=False),
        sa.Column("email", CodeText(320), nullable=True),
        sa.Column("role", CodeText(16), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_operator"),
    )
    create_table(
        "engage_outbox",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("message_id", CodeText(255), nullable=False),
        sa.Column("recipient", CodeText(320), nullable=False),
        sa.Column("subject", LongText(), nullable=False),
        sa.Column("source", LongText(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_outbox"),
        sa.UniqueConstraint("message_id", name="uq_engage_outbox_message_id"),
    )
    create_table(
        "engage_person",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("public_id", CodeText(32), nullable=False),
        sa.Column("kind", CodeText(16), nullable=False),
        sa.Column("user_id", CodeText(255), nullable=True),
        sa.Column("anonymous_id", CodeText(64), nullable=True),
        sa.Column("merged_into", BigId, nullable=True),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("gone_at", UTCDateTime(), nullable=True),
        sa.Column("email", CodeText(320), nullable=True),
        sa.Column("name", CodeText(255), nullable=True),
        sa.Column("signed_up_at", UTCDateTime(), nullable=True),
        sa.Column("first_seen_at", UTCDateTime(), nullable=True),
        sa.Column("last_seen_at", UTCDateTime(), nullable=True),
        sa.Column("session_count", sa.Integer(), nullable=False),
        sa.Column("unsubscribed_at", UTCDateTime(), nullable=True),
        sa.Column("country", CodeText(64), nullable=True),
        sa.Column("city", CodeText(128), nullable=True),
        sa.Column("timezone", CodeText(64), nullable=True),
        sa.Column("language", CodeText(35), nullable=True),
        sa.Column("browser", CodeText(64), nullable=True),
        sa.Column("os", CodeText(64), nullable=True),
        sa.Column("device", CodeText(64), nullable=True),
        sa.Column("referrer", CodeText(255), nullable=True),
        sa.Column("utm_source", CodeText(255), nullable=True),
        sa.Column("utm_medium", CodeText(255), nullable=True),
        sa.Column("utm_campaign", CodeText(255), nullable=True),
        sa.Column("attributes", JSONDoc, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_person"),
        sa.ForeignKeyConstraint(
            ["merged_into"], ["engage_person.id"], name="fk_engage_person_merged_into"
        ),
        sa.UniqueConstraint("anonymous_id", name="uq_engage_person_anonymous_id"),
        sa.UniqueConstraint("public_id", name="uq_engage_person_public_id"),
        sa.UniqueConstraint("user_id", name="uq_engage_person_user_id"),
        sa.Index("ix_engage_person_email", "email", "id"),
        sa.Index("ix_engage_person_last_seen", "last_seen_at", "id"),
        sa.Index(
            # Without the condition PostgreSQL, before its first ANALYZE, takes it for a good way
            # to find everybody who was not merged.
            "ix_engage_person_merged_into",
            "merged_into",
            postgresql_where=sa.text("merged_into IS NOT NULL"),
            sqlite_where=sa.text("merged_into IS NOT NULL"),
        ),
        sa.Index("ix_engage_person_name", "name", "id"),
        sa.Index("ix_engage_person_sessions", "session_count", "id"),
        sa.Index("ix_engage_person_signed_up", "signed_up_at", "id"),
    )
    create_table(
        "engage_rule",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("name", CodeText(128), nullable=False),
        sa.Column("origin", CodeText(16), nullable=False),
        sa.Column("status", CodeText(16), nullable=False),
        sa.Column("status_reason", LongText(), nullable=True),
        sa.Column("channel", CodeText(16), nullable=False),
        sa.Column("trigger", CodeText(128), nullable=False),
        sa.Column("repeat", JSONDoc, nullable=False),
        sa.Column("document", JSONDoc, nullable=True),
        sa.Column("sentence", LongText(), nullable=False),
        sa.Column("options", JSONDoc, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", LongText(), nullable=True),
        sa.Column("evaluated_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_rule"),
        sa.UniqueConstraint("name", name="uq_engage_rule_name"),
    )
    create_table(
        "engage_segment",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("name", CodeText(128), nullable=False),
        sa.Column("document", JSONDoc, nullable=False),
        sa.Column("created_by", CodeText(255), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_segment"),
        sa.UniqueConstraint("name", name="uq_engage_segment_name"),
    )
    create_table(
        "engage_tombstone",
        sa.Column("hash", CodeText(64), nullable=False),
        sa.Column("erased_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_engage_tombstone"),
    )
    create_table(
        "engage_active_day",
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "day", name="pk_engage_active_day"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_active_day_person",
            ondelete="CASCADE",
        ),
        sa.Index("ix_engage_active_day_day", "day", "person_id"),
    )
    create_table(
        "engage_active_week",
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "week", name="pk_engage_active_week"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_active_week_person",
            ondelete="CASCADE",
        ),
        sa.Index("ix_engage_active_week_week", "week", "person_id"),
    )
    create_table(
        "engage_attribute",
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("kind", CodeText(1), nullable=False),
        sa.Column("value", LongText(), nullable=False),
        sa.Column("source", CodeText(64), nullable=False),
        sa.Column("computed_at", UTCDateTime(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "name", name="pk_engage_attribute"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_attribute_person",
            ondelete="CASCADE",
        ),
        sa.Index("ix_engage_attribute_name", "name", "person_id"),
    )
    create_table(
        "engage_delivery",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("public_id", CodeText(32), nullable=False),
        sa.Column("source", CodeText(200), nullable=False),
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("occurrence", CodeText(191), nullable=False),
        sa.Column("channel", CodeText(16), nullable=False),
        sa.Column("content_id", BigId, nullable=True),
        sa.Column("variant", CodeText(64), nullable=False),
        sa.Column("content_version", sa.Integer(), nullable=False),
        sa.Column("state", CodeText(16), nullable=False),
        sa.Column("reason", CodeText(255), nullable=True),
        sa.Column("not_before", UTCDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", CodeText(64), nullable=True),
        sa.Column("claim_epoch", BigId, nullable=True),
        sa.Column("claimed_at", UTCDateTime(), nullable=True),
        sa.Column("on_wire_at", UTCDateTime(), nullable=True),
        sa.Column("sent_at", UTCDateTime(), nullable=True),
        sa.Column("message_id", CodeText(255), nullable=True),
        sa.Column("error", LongText(), nullable=True),
        sa.Column("created_by", CodeText(255), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_delivery"),
        sa.ForeignKeyConstraint(
            ["content_id"], ["engage_content.id"], name="fk_engage_delivery_content"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_delivery_person",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("source", "person_id", "occurrence", name="uq_engage_delivery_once"),
        sa.UniqueConstraint("public_id", name="uq_engage_delivery_public_id"),
        sa.Index("ix_engage_delivery_due", "state", "channel", "not_before", "id"),
        sa.Index("ix_engage_delivery_person", "person_id", "channel", "state", "id"),
        sa.Index("ix_engage_delivery_sent", "sent_at"),
        sa.Index("ix_engage_delivery_source", "source", "state", "id"),
    )
    create_table(
        "engage_event",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("session_id", BigId, nullable=True),
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("properties", JSONDoc, nullable=False),
        sa.Column("occurred_at", UTCDateTime(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_event"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["engage_person.id"], name="fk_engage_event_person", ondelete="CASCADE"
        ),
        sa.Index("ix_engage_event_name", "name", "occurred_at"),
        sa.Index("ix_engage_event_occurred", "occurred_at"),
        sa.Index("ix_engage_event_person", "person_id", "name", "occurred_at"),
    )
    create_table(
        "engage_event_summary",
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", UTCDateTime(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "name", name="pk_engage_event_summary"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_event_summary_person",
            ondelete="CASCADE",
        ),
        sa.Index("ix_engage_event_summary_last", "name", "last_at", "person_id"),
        sa.Index("ix_engage_event_summary_name", "name", "count", "person_id"),
    )
    create_table(
        "engage_person_tag",
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("name", CodeText(64), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "name", name="pk_engage_person_tag"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_person_tag_person",
            ondelete="CASCADE",
        ),
        sa.Index("ix_engage_person_tag_name", "name", "person_id"),
    )
    create_table(
        "engage_relationship",
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("hearts", sa.Integer(), nullable=True),
        sa.Column("trend", sa.Integer(), nullable=False),
        sa.Column("recency", sa.Double(), nullable=False),
        sa.Column("frequency", sa.Double(), nullable=False),
        sa.Column("depth", sa.Double(), nullable=False),
        sa.Column("reply", sa.Double(), nullable=False),
        sa.Column("computed_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_engage_relationship"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["engage_person.id"],
            name="fk_engage_relationship_person",
            ondelete="CASCADE",
        ),
        sa.Index("ix_engage_relationship_score", "score", "person_id"),
    )
    create_table(
        "engage_session",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("person_id", BigId, nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("last_at", UTCDateTime(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("previous_seen_at", UTCDateTime(), nullable=True),
        sa.Column("previous_sessions", sa.Integer(), nullable=False),
        sa.Column("landing_page", CodeText(512), nullable=True),
        sa.Column("referrer", CodeText(255), nullable=True),
        sa.Column("utm_source", CodeText(255), nullable=True),
        sa.Column("utm_medium", CodeText(255), nullable=True),
        sa.Column("utm_campaign", CodeText(255), nullable=True),
        sa.Column("country", CodeText(64), nullable=True),
        sa.Column("browser", CodeText(64), nullable=True),
        sa.Column("os", CodeText(64), nullable=True),
        sa.Column("device", CodeText(64), nullable=True),
        sa.Column("language", CodeText(35), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_engage_session"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["engage_person.id"], name="fk_engage_session_person", ondelete="CASCADE"
        ),
        sa.Index("ix_engage_session_person", "person_id", "started_at"),
        sa.Index("ix_engage_session_started", "started_at"),
    )
    create_table(
        "engage_delivery_event",
        sa.Column("id", BigId, nullable=False, autoincrement=True),
        sa.Column("delivery_id", BigId, nullable=False),
        sa.Column("kind", CodeText(16), nullable=False),
        sa.Column("detail", CodeText(191), nullable=False),
        sa.Column("occurred_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engage_delivery_event"),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["engage_delivery.id"],
            name="fk_engage_delivery_event_delivery",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("delivery_id", "kind", "detail", name="uq_engage_delivery_event_once"),
        sa.Index("ix_engage_delivery_event_kind", "kind", "occurred_at"),
    )
