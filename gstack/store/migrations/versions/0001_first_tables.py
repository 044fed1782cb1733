"""The first tables: credentials and tokens, operations and their claims, overlays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# In the order in which they can be made.
TABLES = (
    "credential",
    "failed_attempt",
    "operation",
    "overlay",
    "project_id",
    "signing_key",
    "worker_beat",
    "authorization_code",
    "claim",
    "refresh_token",
    "service_account_key",
    "access_token",
)


def upgrade() -> None:
    _create_credential()
    _create_failed_attempt()
    _create_operation()
    _create_overlay()
    _create_project_id()
    _create_signing_key()
    _create_worker_beat()
    _create_authorization_code()
    _create_claim()
    _create_refresh_token()
    _create_service_account_key()
    _create_access_token()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_credential() -> None:
    op.create_table(
        "credential",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_keys", sa.Text(), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("domain_id", sa.String(length=40), nullable=False),
        sa.Column("domain_path", sa.String(length=1024), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("user_email", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("verified_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_credential_account_id", "credential", ["account_id"], unique=False)
    op.create_index("ix_credential_key_hash", "credential", ["key_hash", "kind"], unique=False)
    op.create_index(
        "uq_credential_direct",
        "credential",
        ["key_hash"],
        unique=True,
        sqlite_where=sa.text("kind = 'direct'"),
        postgresql_where=sa.text("kind = 'direct'"),
    )
    op.create_index(
        "uq_credential_email",
        "credential",
        ["email"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def _create_failed_attempt() -> None:
    op.create_table(
        "failed_attempt",
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_index("ix_failed_attempt_window_start", "failed_attempt", ["window_start"], unique=False)


def _create_operation() -> None:
    op.create_table(
        "operation",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("target_link", sa.Text(), nullable=False),
        sa.Column("user", sa.String(length=320), nullable=False),
        sa.Column("insert_ms", sa.BigInteger(), nullable=False),
        sa.Column("workflow", sa.String(length=255), nullable=False),
        sa.Column("credential_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.String(length=20), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("start_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("warnings", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("client_operation_id", sa.String(length=64), nullable=True),
        sa.Column("operation_group_id", sa.String(length=64), nullable=True),
        sa.Column("request_key", sa.String(length=64), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("blocked", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("request_key"),
    )
    op.create_index("ix_operation_operation_group_id", "operation", ["operation_group_id"], unique=False)
    op.create_index("ix_operation_project_scope", "operation", ["project", "scope", "insert_ms"], unique=False)
    op.create_index("ix_operation_status_end", "operation", ["status", "end_ms"], unique=False)


def _create_overlay() -> None:
    op.create_table(
        "overlay",
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("cloudstack_id", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "cloudstack_id"),
    )
    op.create_index("ix_overlay_project", "overlay", ["project"], unique=False)


def _create_project_id() -> None:
    op.create_table(
        "project_id",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("owner"),
    )


def _create_signing_key() -> None:
    op.create_table(
        "signing_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_worker_beat() -> None:
    op.create_table(
        "worker_beat",
        sa.Column("executor", sa.String(length=128), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("executor"),
    )


def _create_authorization_code() -> None:
    op.create_table(
        "authorization_code",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.String(length=36), nullable=False),
        sa.Column("client_hash", sa.String(length=64), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.String(length=43), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ix_authorization_code_credential_id", "authorization_code", ["credential_id"], unique=False)
    op.create_index("ix_authorization_code_expires_at", "authorization_code", ["expires_at"], unique=False)


def _create_claim() -> None:
    op.create_table(
        "claim",
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=255), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("operation", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(["operation"], ["operation.name"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "scope", "collection", "name", "purpose"),
    )
    op.create_index("ix_claim_operation", "claim", ["operation"], unique=False)


def _create_refresh_token() -> None:
    op.create_table(
        "refresh_token",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.String(length=36), nullable=False),
        sa.Column("client_hash", sa.String(length=64), nullable=False),
        sa.Column("confidential", sa.Boolean(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ix_refresh_token_credential_id", "refresh_token", ["credential_id"], unique=False)
    op.create_index("ix_refresh_token_used_at", "refresh_token", ["used_at"], unique=False)


def _create_service_account_key() -> None:
    op.create_table(
        "service_account_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("credential_id", sa.String(length=36), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_service_account_key_credential_id", "service_account_key", ["credential_id"], unique=False)


def _create_access_token() -> None:
    op.create_table(
        "access_token",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.String(length=36), nullable=False),
        sa.Column("grant_type", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("refresh_hash", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["refresh_hash"], ["refresh_token.hash"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ix_access_token_credential_id", "access_token", ["credential_id"], unique=False)
    op.create_index("ix_access_token_expires_at", "access_token", ["expires_at"], unique=False)
    op.create_index("ix_access_token_refresh_hash", "access_token", ["refresh_hash"], unique=False)
