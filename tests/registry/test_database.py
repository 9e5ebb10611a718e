"""The database: its tables are what the migrations make, up and down, with data in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError

from skillpm.errors import StorageError
from skillpm_registry import database as database_module
from skillpm_registry import migrations
from skillpm_registry.database import HEAD, Database, sqlite_url
from skillpm_registry.identity import Right, identify, new_token
from skillpm_registry.membership import Role, new_account
from skillpm_registry.tables import Account, Base
from tests.registry.conftest import Server, problem
from tests.shop import skill_files


def test_the_migrations_make_the_declared_tables_up_and_down(tmp_path: Path) -> None:
    _up_and_down(Database(sqlite_url(tmp_path / "registry.sqlite3")), tmp_path)


@pytest.mark.slow
def test_postgresql_has_the_same_tables_and_takes_publications(
    postgresql: str, tmp_path: Path, serve: Callable[..., Server]
) -> None:
    _up_and_down(Database(postgresql), tmp_path)
    server = serve(database=postgresql)
    assert server.owner.publish(skill_files("demo")).status_code == 201
    assert server.owner.publish(skill_files("demo")).status_code == 200
    assert server.versions("demo") == ["1.0"]
    with pytest.raises(DBAPIError, match="append-only"), server.services.database.writing() as session:
        session.execute(text("DELETE FROM event"))


@pytest.mark.attack(75)
def test_a_busy_database_is_told_and_leaves_nothing_half(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_WAIT", 0.1)
    server = serve()
    other = sqlite3.connect(server.root / ".server/registry.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    answer = server.owner.publish(skill_files("demo"))

    assert problem(answer) == (503, "busy")
    assert answer.headers["retry-after"] == "1"
    other.close()
    assert server.versions("demo") == []
    assert server.owner.publish(skill_files("demo")).status_code == 201


@pytest.mark.parametrize("keep", [0, 8192], ids=["no database", "its end is gone"])
def test_a_damaged_database_is_told(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "registry.sqlite3"
    database = Database(sqlite_url(path))
    database.migrate(tmp_path / "lock")
    database.close()
    path.write_bytes(path.read_bytes()[:keep] + b"x" * 4096)
    with pytest.raises(StorageError, match="the database is damaged") as caught:
        Database(sqlite_url(path)).migrate(tmp_path / "lock")
    assert "backup" in (caught.value.hint or "")


def test_the_tables_of_a_newer_server_are_left_as_they_are(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "registry.sqlite3"))
    database.migrate(tmp_path / "lock")
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="9999") as caught:
        database.migrate(tmp_path / "lock")
    assert "upgrade" in str(caught.value.hint)
    database.close()


def _up_and_down(database: Database, tmp_path: Path) -> None:
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
