"""The order of long lists, kept for ten minutes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "page_snapshot",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_page_snapshot_expires_ms", "page_snapshot", ["expires_ms"])


def downgrade() -> None:
    op.drop_table("page_snapshot")
