"""The downloads of each archive on each day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "download", sa.Column("archive", sa.String(64), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True), sa.Column("count", sa.Integer, nullable=False),
    )  # fmt: skip


def downgrade() -> None:
    """Remove it."""
    op.drop_table("download")
