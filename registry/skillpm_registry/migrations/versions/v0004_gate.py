"""What the verifier gate found of each content."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "gate_report", sa.Column("tree", sa.String(80), primary_key=True), sa.Column("time", sa.Double, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False), sa.Column("report", sa.JSON, nullable=False),
    )  # fmt: skip


def downgrade() -> None:
    """Remove it."""
    op.drop_table("gate_report")
