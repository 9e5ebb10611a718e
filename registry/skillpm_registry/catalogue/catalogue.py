"""The catalogue of a registry: pages and files out of its folder, and lists out of the index over them."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from skillpm.errors import IntegrityError
from skillpm.index.directory import DirectoryIndex
from skillpm.layout.tree import MappingTree, tree_digest
from skillpm.model.name import TYPED, as_seen, is_name
from skillpm.model.release import Page, Release
from skillpm.storage.archive import limits_of, read_archive
from skillpm_registry.catalogue.following import Follower
from skillpm_registry.catalogue.meaning import Meaning
from skillpm_registry.catalogue.port import Engine
from skillpm_registry.catalogue.row import ROW, Row
from skillpm_registry.catalogue.sqlite import SqliteEngine

_TREES = 8  # unpacked releases in memory
_ADAPTERS = 900  # names of one question to the index


class Catalogue:
    """The skills of a registry's folder.

    Args:
        folder: reads the registry's files.
        state: a folder which is never served, for the index.
        database: an SQLAlchemy URL. If it is one of PostgreSQL, the index is there, for all servers.
        meaning: finds skills by what they mean; None to find them by words alone.

    Raises:
        StorageError: the database is not reachable.
    """

    def __init__(self, folder: DirectoryIndex, state: Path, database: str = "", meaning: Meaning | None = None) -> None:
        self.folder = folder
        self.engine = _engine(state, database)
        self.meaning = meaning
        self._follower = Follower(folder, self.engine, state / "catalogue.lock", meaning)
        self._tree = lru_cache(maxsize=_TREES)(self._unpacked)

    def refresh(self) -> None:
        """Bring the index up to date now. Raises RegistryError if the folder cannot be read."""
        self._follower.refresh(wait=True)

    def note(self, name: str) -> None:
        """Index a page that was changed just now before the next answer."""
        self._follower.note(name)

    def stamp(self) -> str:
        """Look for changes; return a text that changes with each, or empty if a change may be too young to be seen.

        Raises:
            RegistryError: the folder cannot be read.
        """
        self._follower.refresh(wait=False)
        return self._follower.stamp

    def page(self, name: str) -> Page | None:
        """Return every release of a name, or None. Raises RegistryError if the page is damaged."""
        return self.folder.page(name) if is_name(name) else None

    def tree(self, name: str, release: Release) -> MappingTree:
        """Return the files of a release. Raises RegistryError or IntegrityError if its archive is lost or damaged."""
        return self._tree(name, release.archive, release.tree, release.adapter)

    def _unpacked(self, name: str, archive: str, digest: str, adapter: str | None) -> MappingTree:
        release = Release(version="", archive=archive, tree=digest, size=0, adapter=adapter)
        tree = read_archive(self.folder.archive(name, release), limits_of(adapter))
        if tree_digest(tree) != digest:
            raise IntegrityError(f"an archive of {name} is not what its page says")
        return tree

    def row(self, name: str) -> Row | None:
        """Return a skill at a glance, or None."""
        return next(iter(self._rows("WHERE name = ?", name)), None)

    def rows(self) -> list[Row]:
        """Return all skills by name."""
        return self._rows("ORDER BY name")

    def recent(self, limit: int) -> list[Row]:
        """Return the skills whose listed releases are the newest."""
        return self._rows("ORDER BY published DESC, name LIMIT ?", limit)

    def of_owner(self, owner: str) -> list[Row]:
        """Return the skills of an owner by name."""
        return self._rows("WHERE owner = ? ORDER BY last", owner)

    def plain(self, last: str) -> Row | None:
        """Return the skill that a name without an owner means: the one without an owner, or that of the only owner."""
        rows = [row for row in self._rows("WHERE last = ? ORDER BY name", last) if row.for_others]
        return next((row for row in rows if row.name == last), rows[0] if len(rows) == 1 else None)

    def rows_of(self, numbers: list[int]) -> tuple[Row, ...]:
        """Return the skills with these numbers of the index, in this order."""
        marks = ", ".join("?" * len(numbers))
        found = self.engine.rows(f"SELECT id, {ROW} FROM skill WHERE id IN ({marks})", numbers) if numbers else []
        rows = {number: Row.of(tuple(row)) for number, *row in found}
        return tuple(rows[number] for number in numbers if number in rows)

    def count(self) -> int:
        """Return the number of skills."""
        ((count,),) = self.engine.rows("SELECT count(*) FROM skill")
        return int(count)

    def dependants(self, name: str) -> dict[str, str]:
        """Return the skills whose listed release requires a name, each with the range that it requires."""
        rows = self.engine.rows(
            "SELECT skill.name, specifier FROM requirement JOIN skill ON skill.id = requirement.skill"
            " WHERE needs = ? ORDER BY skill.name",
            (name,),
        )
        return dict(rows)

    def beside(self, name: str) -> list[str]:
        """Return the names that ``look_alike`` may find: those without an owner, or an owner's like this one's.

        A publication does not wait until earlier ones are indexed: their names are known.
        """
        owner, _, last = name.rpartition("/")
        noted = [other.rpartition("/") for other in self._follower.noted()]
        if not noted:
            self._follower.refresh(wait=False)
        mine, values = owner or last, list[str]()
        condition, half = "seen = ?", len(mine) // 2
        if len(mine) >= TYPED:
            condition += " OR part BETWEEN ? AND ? OR turned BETWEEN ? AND ?"
            ends = mine[: half - 1], mine[half:][::-1]
            values = [text for end in ends for text in (end, f"{end}~")]  # ~ comes after all that a name has
        rows = self.engine.rows(
            # of the length, so that no index of owners is used
            f"SELECT DISTINCT part FROM skill WHERE length(owner) {'>' if owner else '='} 0 AND ({condition})",
            (as_seen(mine), *values),
        )
        texts = [text for (text,) in rows] + [its or other for its, _, other in noted if bool(its) == bool(owner)]
        return [f"{text}/{last}" if owner else text for text in texts]

    def measured(self, names: Collection[str]) -> list[Row]:
        """Return those of some skills that are trained adapters with figures."""
        marks = ", ".join("?" * min(len(names), _ADAPTERS))
        return self._rows(f"WHERE measured AND name IN ({marks})", *list(names)[:_ADAPTERS])

    def _rows(self, condition: str, *values: str | int) -> list[Row]:
        self._follower.refresh(wait=False)
        return [Row.of(row) for row in self.engine.rows(f"SELECT {ROW} FROM skill {condition}", values)]


def _engine(state: Path, database: str) -> Engine:
    if database.startswith("postgresql"):
        from skillpm_registry.catalogue.postgresql import PostgresqlEngine

        return PostgresqlEngine(database)
    return SqliteEngine(state)
