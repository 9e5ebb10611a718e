"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NAME = sa.String(160)
_FOR_EVER = "the log of events is append-only"


def upgrade() -> None:
    """Make the tables, and let the database itself protect the log of events."""
    op.create_table(
        "account", _number(), sa.Column("name", _NAME, nullable=False, unique=True), _float("created"),
    )  # fmt: skip
    op.create_table(
        "member", sa.Column("scope", _NAME, primary_key=True), _account(primary_key=True), _text("role", 16)
    )
    op.create_table(
        "token", _number(), _account(), sa.Column("digest", sa.String(64), nullable=False, unique=True),
        _text("label", 80), _text("rights", 80), _text("only", 2000), _float("created"),
        sa.Column("expires", sa.Double), sa.Column("publisher", sa.JSON),
    )  # fmt: skip
    op.create_table(
        "upload", sa.Column("id", sa.String(32), primary_key=True), _account(), _text("name", 160),
        _text("version", 64), _json("wish"), sa.Column("release", sa.JSON), sa.Column("publisher", sa.JSON),
        _text("state", 16), _float("expires", index=True),
    )  # fmt: skip
    op.create_table("approval", sa.Column("scope", _NAME, primary_key=True))
    op.create_table(
        "download", sa.Column("archive", sa.String(64), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True), sa.Column("count", sa.Integer, nullable=False),
    )  # fmt: skip
    op.create_table(
        "gate_report", sa.Column("tree", sa.String(80), primary_key=True), _float("time"), _text("outcome", 16),
        _json("report"),
    )  # fmt: skip
    op.create_table(
        "event", _number(), _float("time", index=True), _text("actor", 160), _text("action", 32),
        _text("subject", 240, index=True), _json("detail"),
    )  # fmt: skip
    op.create_table(
        "report", _number(), _float("time"), _text("reporter", 160), _text("name", 160, index=True),
        _text("version", 64), _json("content"), _text("state", 16), _text("answer", 2000),
    )  # fmt: skip
    op.create_table(
        "trusted_publisher", _number(), _text("scope", 160, index=True), _text("issuer", 400, index=True),
        _json("claims"), _account(),
    )  # fmt: skip
    op.create_table(
        "used_statement", sa.Column("issuer", sa.String(400), primary_key=True),
        sa.Column("jti", sa.String(400), primary_key=True), _float("expires", index=True),
    )  # fmt: skip
    _protect_events()


def downgrade() -> None:
    """Remove everything."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER event_stays ON event")
        op.execute("DROP FUNCTION event_stays")
    for name in (
        "used_statement", "trusted_publisher", "report", "event", "gate_report", "download", "approval", "upload",
        "token", "member", "account",
    ):  # fmt: skip
        op.drop_table(name)


def _number() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _account(*, primary_key: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey("account.id")
    return sa.Column("account_id", sa.Integer, key, nullable=False, index=True, primary_key=primary_key)


def _float(name: str, *, index: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False, index=index)


def _text(name: str, length: int, *, index: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, index=index)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False)


def _protect_events() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION event_stays() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_FOR_EVER}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER event_stays BEFORE UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION event_stays()"
        )
        return
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER event_stays_{action.lower()} BEFORE {action} ON event "
            f"BEGIN SELECT RAISE(ABORT, '{_FOR_EVER}'); END"
        )
