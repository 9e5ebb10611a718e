"""The database: its tables are what the migrations make, up and down, with data in them."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select

from skillpm_registry import migrations
from skillpm_registry.database import HEAD, Database, sqlite_url
from skillpm_registry.identity import Right, identify, new_token
from skillpm_registry.membership import Role, new_account
from skillpm_registry.tables import Account, Base


def test_the_migrations_make_the_declared_tables_up_and_down(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "registry.sqlite3"))
    database.migrate(tmp_path / "lock")
    with database.writing() as session:
        account = new_account(session, "server", "ana", Role.OWNER)
        secret, _ = new_token(session, account.id, "first", Right)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    database.migrate(tmp_path / "lock")  # again: nothing to do
    with database.reading() as session:
        assert identify(session, secret).account == session.scalar(select(Account.name))

    database.migrate(tmp_path / "lock", "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    database.migrate(tmp_path / "lock")
    database.close()


def test_the_newest_migration_is_the_one_that_a_server_asks_for() -> None:
    assert ScriptDirectory(str(Path(str(migrations.__file__)).parent)).get_current_head() == HEAD
