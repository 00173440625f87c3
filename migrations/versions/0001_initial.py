"""The first schema."""

# ruff: noqa: PLR0915 - a list of statements, as long as there are tables

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards; there is no way back but a restore, which rolls forward."""
    op.create_table(
        "allowance",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("jurisdiction", sa.String(), nullable=False),
        sa.Column("mask", sa.LargeBinary(), nullable=False),
        sa.Column("reasons", sa.LargeBinary(), nullable=False),
        sa.Column("grounds", sa.String(), nullable=False),
        sa.Column("next_change_at", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("catalogue", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "purpose", "recipient", "jurisdiction"),
    )
    with op.batch_alter_table("allowance", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_allowance_next_change_at"), ["next_change_at"], unique=False)

    op.create_table(
        "archive",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("archive_key", sa.String(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("destroy_by", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("wanted_by", sa.String(), nullable=True),
        sa.Column("wanted_at", sa.String(), nullable=True),
        sa.Column("waiting", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subject", "job", "field"),
    )
    with op.batch_alter_table("archive", schema=None) as batch_op:
        batch_op.create_index(
            "archive_wanted",
            ["wanted_by"],
            unique=False,
            sqlite_where=sa.text("wanted_by IS NOT NULL"),
            postgresql_where=sa.text("wanted_by IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_archive_archive_key"), ["archive_key"], unique=False)

    op.create_table(
        "archive_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("field", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=True),
        sa.Column("period", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("legal_ground", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.String(), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", sa.String(), nullable=True),
        sa.Column("used_at", sa.String(), nullable=True),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("approval_mac", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("archive_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_archive_request_requested_at"), ["requested_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_archive_request_subject"), ["subject"], unique=False)

    op.create_table(
        "catalogue_content",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("drained_at", sa.String(), nullable=True),
        sa.Column("reached", sa.String(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("catalogue_content", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_content_number"), ["number"], unique=False)

    op.create_table(
        "challenge",
        sa.Column("challenge", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("expires_at", sa.String(), nullable=False),
        sa.Column("used_at", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("challenge"),
    )
    op.create_table(
        "credential",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("did", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("valid_until", sa.String(), nullable=True),
        sa.Column("ask_id", sa.String(), nullable=True),
        sa.Column("about", sa.String(), nullable=True),
        sa.Column("status_list", sa.Integer(), nullable=True),
        sa.Column("status_index", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.String(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_kind", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.create_index("credential_by_time", ["kind", "at"], unique=False)
        batch_op.create_index("credential_living_until", ["kind", "ended_at", "valid_until"], unique=False)
        batch_op.create_index("credential_of_did", ["did", "kind"], unique=False)
        batch_op.create_index("credential_of_subject", ["subject", "kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_credential_about"), ["about"], unique=False)
        batch_op.create_index(batch_op.f("ix_credential_ask_id"), ["ask_id"], unique=False)

    op.create_table(
        "data_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("did", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("waiting", sa.String(), nullable=True),
        sa.Column("recorded_by", sa.String(), nullable=True),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.Column("taken_by", sa.String(), nullable=True),
        sa.Column("received_at", sa.String(), nullable=False),
        sa.Column("due_at", sa.String(), nullable=False),
        sa.Column("closed_at", sa.String(), nullable=True),
        sa.Column("box", sa.LargeBinary(), nullable=True),
        sa.Column("box_period", sa.String(), nullable=True),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("data_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_data_request_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_data_request_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_data_request_subject"), ["subject"], unique=False)
        batch_op.create_index(batch_op.f("ix_data_request_waiting"), ["waiting"], unique=False)

    op.create_table(
        "disclosure",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("export_id", sa.String(), nullable=False),
        sa.Column("first_at", sa.String(), nullable=False),
        sa.Column("last_at", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("told_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("subject", "field", "recipient", "purpose", "export_id"),
    )
    with op.batch_alter_table("disclosure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_disclosure_told_by"), ["told_by"], unique=False)

    op.create_table(
        "export",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("jurisdiction", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("fields", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("finished_at", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("export", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_export_at"), ["at"], unique=False)

    op.create_table(
        "ground_subject",
        sa.Column("ground_id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("ground_id", "subject"),
    )
    with op.batch_alter_table("ground_subject", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ground_subject_subject"), ["subject"], unique=False)

    op.create_table(
        "held_upload",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("touchpoint", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("fields", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("destroy_by", sa.String(), nullable=False),
        sa.Column("looked", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("held_upload", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_held_upload_destroy_by"), ["destroy_by"], unique=False)
        batch_op.create_index(batch_op.f("ix_held_upload_period"), ["period"], unique=False)
        batch_op.create_index(batch_op.f("ix_held_upload_subject"), ["subject"], unique=False)
        batch_op.create_index(batch_op.f("ix_held_upload_touchpoint"), ["touchpoint"], unique=False)

    op.create_table(
        "import_merge",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("rows", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("differing", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run", "row"),
    )
    op.create_table(
        "import_run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("importer", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("batches", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.String(), nullable=True),
        sa.Column("counts", sa.String(), nullable=True),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("import_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_import_run_state"), ["state"], unique=False)

    op.create_table(
        "import_undo",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run", "batch"),
    )
    op.create_table(
        "invitation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=True),
        sa.Column("challenge", sa.String(), nullable=True),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("in_person", sa.Boolean(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("expires_at", sa.String(), nullable=False),
        sa.Column("ended_at", sa.String(), nullable=True),
        sa.Column("ended_kind", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitation_subject"), ["subject"], unique=False)

    op.create_table(
        "item",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "item"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lapse",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("done_version", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.String(), nullable=True),
        sa.Column("retry_at", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("subject"),
    )
    with op.batch_alter_table("lapse", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lapse_next_at"), ["next_at"], unique=False)

    op.create_table(
        "log_checkpoint",
        sa.Column("size", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "log_entry",
        sa.Column("leaf_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("outbox_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("lost", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index"),
        sa.UniqueConstraint("event_id"),
        sa.UniqueConstraint("outbox_id"),
    )
    with op.batch_alter_table("log_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_log_entry_lost"), ["lost"], unique=False)

    op.create_table(
        "log_record",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("leaf_index", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("fields", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "seq"),
    )
    with op.batch_alter_table("log_record", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_log_record_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_log_record_leaf_index"), ["leaf_index"], unique=False)
        batch_op.create_index(batch_op.f("ix_log_record_type"), ["type"], unique=False)

    op.create_table(
        "lost_wallet",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("enrolment", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("reported_by", sa.String(), nullable=False),
        sa.Column("reporter_role", sa.String(), nullable=False),
        sa.Column("reported_at", sa.String(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.Column("told_at", sa.String(), nullable=True),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("lost_wallet", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lost_wallet_subject"), ["subject"], unique=False)

    op.create_table(
        "nonce",
        sa.Column("did", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("seen_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("did", "nonce"),
    )
    with op.batch_alter_table("nonce", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_nonce_seen_at"), ["seen_at"], unique=False)

    op.create_table(
        "organisation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "origin",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_digest", sa.String(), nullable=False),
        sa.Column("importer", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("fields", sa.String(), nullable=False),
        sa.Column("destroy_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("subject", "event_id"),
    )
    with op.batch_alter_table("origin", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_origin_destroy_by"), ["destroy_by"], unique=False)
        batch_op.create_index(batch_op.f("ix_origin_source_digest"), ["source_digest"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("header", sa.Text(), nullable=False),
        sa.Column("records", sa.Text(), nullable=False),
        sa.Column("salts", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id"),
        sa.UniqueConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "quarantine",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "record",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.create_index("record_bucket_epoch", ["bucket", "epoch"], unique=False)

    op.create_table(
        "redaction_job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("cause_id", sa.String(), nullable=False),
        sa.Column("ended_at", sa.String(), nullable=False),
        sa.Column("planned_at", sa.String(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("destroyed_at", sa.String(), nullable=True),
        sa.Column("done_at", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("fates", sa.String(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.Integer(), nullable=False),
        sa.Column("shredded", sa.Integer(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subject", "version", "round"),
    )
    with op.batch_alter_table("redaction_job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_redaction_job_bucket"), ["bucket"], unique=False)
        batch_op.create_index(batch_op.f("ix_redaction_job_step"), ["step"], unique=False)
        batch_op.create_index(
            "redaction_job_one_open",
            ["subject"],
            unique=True,
            sqlite_where=sa.text("step <> 'done'"),
            postgresql_where=sa.text("step <> 'done'"),
        )

    op.create_table(
        "redaction_notice",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("deadline", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.String(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("delivered_at", sa.String(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("answer_mac", sa.LargeBinary(), nullable=True),
        sa.Column("closed_at", sa.String(), nullable=True),
        sa.Column("certificate", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("redaction_notice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_redaction_notice_certificate"), ["certificate"], unique=False)
        batch_op.create_index(batch_op.f("ix_redaction_notice_closed_at"), ["closed_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_redaction_notice_recipient"), ["recipient"], unique=False)
        batch_op.create_index(batch_op.f("ix_redaction_notice_subject"), ["subject"], unique=False)

    op.create_table(
        "rotation",
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("ended", sa.String(), nullable=False),
        sa.Column("rewrapped", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.String(), nullable=False),
        sa.Column("rewrapped_at", sa.String(), nullable=True),
        sa.Column("destroyed_at", sa.String(), nullable=True),
        sa.Column("dropped_at", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("bucket", "epoch"),
    )
    with op.batch_alter_table("rotation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rotation_dropped_at"), ["dropped_at"], unique=False)

    op.create_table(
        "settling",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("ended", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("settled_at", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("settling", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_settling_settled_at"), ["settled_at"], unique=False)

    op.create_table(
        "staff",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("did", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "staff_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_session_account"), ["account"], unique=False)

    op.create_table(
        "standing",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "status_entry",
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("n", "position"),
    )
    op.create_table(
        "status_list",
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("n"),
    )
    op.create_table(
        "upload_answer",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    with op.batch_alter_table("upload_answer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_upload_answer_at"), ["at"], unique=False)
