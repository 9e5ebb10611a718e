"""The scopes whose releases need an approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table("approval", sa.Column("scope", sa.String(160), primary_key=True))


def downgrade() -> None:
    """Remove it."""
    op.drop_table("approval")
