"""Whose list a kept order is, so that no client keeps more than its share; and operations in order of their names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("page_snapshot", sa.Column("owner", sa.String(length=36), nullable=False, server_default=""))
    op.create_index("ix_page_snapshot_owner", "page_snapshot", ["owner"])
    op.create_index("ix_operation_project_scope_name", "operation", ["project", "scope", "name"])


def downgrade() -> None:
    op.drop_index("ix_operation_project_scope_name", "operation")
    op.drop_index("ix_page_snapshot_owner", "page_snapshot")
    op.drop_column("page_snapshot", "owner")
