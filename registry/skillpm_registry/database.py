"""The database: SQLite in the state folder by default, PostgreSQL by URL.

Writers take turns, from their first statement on. So what a writer has read is still so when it writes: a new name has
one owner. In SQLite it also keeps one of two sessions that read first from failing instead of waiting.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from skillpm.errors import BusyError, StorageError, UsageError
from skillpm.storage.process_lock import locked

HEAD = "0001"  # the newest migration; a test compares it with the folder
_WAIT = 30  # seconds for another writer
_TURN = 8700  # the number of the lock by which PostgreSQL's writers take turns


class Database:
    """Sessions over one database.

    Args:
        url: an SQLAlchemy URL, which no message repeats: it may hold a password.

    Raises:
        UsageError: it is not one, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._reading = self.engine.execution_options(reading=True)
        self._hasty = self.engine.execution_options(hasty=True)
        self._turn = threading.Lock()  # threads wait here, not each with a connection, and not by polling

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Session]:
        """Yield a session that is committed at the end. Raises BusyError, StorageError.

        If it is not durable, a power cut may undo it before the next durable one has ended, or its disk is flushed.
        """
        engine = self.engine if durable else self._hasty
        with self._turn, reported(), Session(engine, expire_on_commit=False) as session, session.begin():
            if self.engine.dialect.name == "postgresql":
                session.execute(text(f"SELECT pg_advisory_xact_lock({_TURN})"))
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session that never waits for writers. Raises StorageError."""
        with reported(), Session(self._reading) as session:
            yield session

    def migrate(self, lock: Path, revision: str = HEAD) -> None:
        """Bring the tables to a revision. Other processes wait at the lock, a file of the state folder.

        Raises:
            StorageError: the database cannot be reached, fails, or has the tables of a newer server.
        """
        with locked(lock), reported():
            present = self._revision() or "base"
            if present != "base" and present > HEAD:
                raise StorageError(
                    f"the database has the tables of another server: revision {present}, and this one knows {HEAD}",
                    hint="upgrade skillpm-registry, or restore the database's backup",
                )
            if present != revision:
                _migrate(self.engine, revision, down=present != "base" and (revision == "base" or revision < present))

    def _revision(self) -> str | None:
        try:
            connected = self._reading.connect()
        except OperationalError as error:
            reason = str(error.orig).partition("\n")[0]
            raise StorageError(f"the database cannot be used: {reason}", hint="check `--database`") from None
        with connected as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def is_flushed_with(self, folder: Path) -> bool:
        """Is the database a file below a folder, and on the same disk?"""
        if self.engine.dialect.name != "sqlite":
            return False
        file = Path(self.engine.url.database or "").resolve()
        return file.is_relative_to(folder) and file.stat().st_dev == folder.stat().st_dev

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"sqlite:///{path}"


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        try:
            return create_engine(url, pool_pre_ping=True)
        except (ArgumentError, ModuleNotFoundError) as error:
            reason = "its driver is not installed" if isinstance(error, ModuleNotFoundError) else "it is not a URL"
            raise UsageError(
                f"`--database` names no database: {reason}", hint="such as postgresql+psycopg://HOST/NAME"
            ) from None
    engine = create_engine(url, connect_args={"timeout": _WAIT, "check_same_thread": False, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _open(connection: sqlite3.Connection, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options, driver = connection.get_execution_options(), connection.connection.driver_connection
        assert driver is not None  # SQLite's own
        driver.execute(f"PRAGMA synchronous={'NORMAL' if options.get('hasty') else 'FULL'}")
        connection.exec_driver_sql("BEGIN" if options.get("reading") else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def reported() -> Iterator[None]:
    """Turn failures of the database into our own errors."""
    try:
        yield
    except OperationalError as error:
        if "locked" in str(error.orig):
            raise BusyError("the database is busy", hint="try again") from error
        if "full" in str(error.orig):
            raise StorageError("the disk of the database is full", errno=errno.ENOSPC) from error
        raise StorageError("the database failed", hint="look into the server's log") from error
    except DataError as error:  # such as NUL in PostgreSQL
        raise UsageError("the database cannot hold this text", hint="remove its control characters") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StorageError("the database is not reachable", hint="try again") from error
        if type(error.orig) is sqlite3.DatabaseError:  # not one of its kinds, which are about a statement
            hint = "stop the server, and put the database's backup in its place"
            raise StorageError(f"the database is damaged: {error.orig}", hint=hint) from error
        raise


def _migrate(engine: Engine, revision: str, *, down: bool) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    (command.downgrade if down else command.upgrade)(config, revision)
