"""What a client called itself when it got its refresh token, so that a person can tell their logins apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("refresh_token", sa.Column("client", sa.String(80), nullable=True))


def downgrade() -> None:
    op.drop_column("refresh_token", "client")
