"""Keeps the index in step with the registry's folder.

A page is replaced by a rename, which changes the time of its folder. So one look at the times of ``skills/`` and of the
owners' folders tells whether anything changed, and only the folders that changed are listed. A time that is younger
than the clock is coarse proves nothing, and its folder is listed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skillpm.errors import IntegrityError, RegistryError, SkillpmError
from skillpm.index.directory import DirectoryIndex
from skillpm.model.name import is_name
from skillpm.model.release import Release
from skillpm.storage.archive import limits_of, read_archive
from skillpm.storage.process_lock import locked
from skillpm.trust.signature import signer
from skillpm_registry.catalogue.facts import Facts, facts_of
from skillpm_registry.catalogue.port import Engine, Execute, Texts
from skillpm_registry.catalogue.words import letter_triples, split_words

_COARSE = 100_000_000  # nanoseconds; a folder's time is exact to a tick of the kernel, which is some milliseconds
_PAUSE = 0.2  # seconds between two looks at the folders
_BATCH = 200  # pages that become visible together
_WAIT = 3600.0  # seconds for another server that indexes
_LONGEST = 80  # characters of a word that a misspelt one is compared with
_COLUMNS = (
    "name", "owner", "last", "page", "version", "summary", "published", "releases", "usable", "archive", "served",
    "size", "verifier", "suite", "signed", "adapter", "network", "programs", "measured",
    "facts",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Shown:
    """A skill as it is indexed: the release by which it is listed, and what that one's files say."""

    name: str
    page: str
    release: Release
    releases: int
    served: str
    signed: bool
    facts: Facts

    def values(self) -> tuple[str | int, ...]:
        """Return the values of ``_COLUMNS``."""
        owner, _, last = self.name.rpartition("/")
        release, facts = self.release, self.facts
        return (
            self.name, owner, last, self.page, release.version, release.summary, (release.published or "")[:40],
            self.releases, release.usable, release.archive, self.served, release.size, facts.verified,
            bool(facts.suites), self.signed, release.adapter is not None, facts.network, bool(facts.run),
            bool(facts.measured), facts.text(),
        )  # fmt: skip


class Follower:
    """Follows the changes of a folder.

    Args:
        folder: reads the registry's files.
        engine: holds the index.
        lock: a file, the lock of the one server that indexes changes. The others then have nothing to do.
    """

    def __init__(self, folder: DirectoryIndex, engine: Engine, lock: Path) -> None:
        self._folder = folder
        self._engine = engine
        self._lock = lock
        self._turn = threading.Lock()
        self._times: dict[str, int] = {}
        self._looked = 0.0

    @property
    def stamp(self) -> str:
        """A text that changes with every change of the registry; empty while a change may be too young to be seen."""
        if time.time_ns() - max(self._times.values(), default=0) < _COARSE:
            return ""
        return hashlib.sha256(repr(sorted(self._times.items())).encode()).hexdigest()[:16]

    def refresh(self, *, wait: bool) -> None:
        """Bring the index up to date with the folder.

        Args:
            wait: look now, and after another thread that does so; otherwise a recent look is enough.

        Raises:
            RegistryError: the folder cannot be read.
        """
        if not wait and time.monotonic() - self._looked < _PAUSE:
            return
        if not self._turn.acquire(blocking=wait or not self._looked):
            return
        try:
            young = time.time_ns() - _COARSE
            times = self._folder_times(young)
            changed = [owner for owner, at in times.items() if self._times.get(owner) != at or at > young]
            if changed or self._times.keys() - times.keys() or not self._looked:
                self._follow([*changed, *(self._times.keys() - times.keys())])
            self._times, self._looked = times, time.monotonic()
        except OSError as error:
            raise RegistryError(f"{self._folder.root} cannot be read: {error.strerror}") from None
        finally:
            self._turn.release()

    def _folder_times(self, young: int) -> dict[str, int]:
        """Return the times of the owners' folders, and that of skills/ under an empty name."""
        root = self._folder.root / "skills"
        if not root.is_dir():
            return {}
        times = {"": root.stat().st_mtime_ns}
        owners: Iterable[str] = self._times.keys() - {""}
        if times[""] != self._times.get("") or times[""] > young:
            owners = (item.name for item in os.scandir(root) if not item.name.endswith(".json") and item.is_dir())
        return times | {owner: (root / owner).stat().st_mtime_ns for owner in owners if is_name(owner)}

    def _pages(self, owner: str) -> Iterator[tuple[str, str]]:
        """Yield the names in an owner's folder, each with a text that changes with its page."""
        folder = self._folder.root / "skills" / owner
        for entry in os.scandir(folder) if folder.is_dir() else ():
            name = f"{owner}/{entry.name[:-5]}" if owner else entry.name[:-5]
            if entry.name.endswith(".json") and is_name(name):
                status = entry.stat()
                yield name, f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"

    def _follow(self, owners: list[str]) -> None:
        """Index the pages that changed in some owners' folders, and forget those that are gone."""
        with locked(self._lock, _WAIT):
            present = dict(item for owner in owners for item in self._pages(owner))
            known: dict[str, str] = dict(self._engine.rows("SELECT name, page FROM skill"))
            if self._looked:
                known = {name: page for name, page in known.items() if name.rpartition("/")[0] in owners}
            stale = sorted(name for name, page in present.items() if known.get(name) != page)
            for start in range(0, len(stale), _BATCH):
                batch = [(name, self._read(name, present[name])) for name in stale[start : start + _BATCH]]
                with self._engine.writing() as execute:
                    for name, shown in batch:
                        _forget(execute, name)
                        if shown:
                            self._put(execute, shown)
            if gone := known.keys() - present.keys():
                with self._engine.writing() as execute:
                    for name in gone:
                        _forget(execute, name)

    def _read(self, name: str, stamp: str) -> _Shown | None:
        """Read what is indexed of a skill; None if its page is damaged or has no release."""
        page, release = None, None
        with contextlib.suppress(RegistryError):
            page = self._folder.page(name)
            release = page.shown() if page else None
        if page is None or release is None:
            return None
        served = release.archive
        try:
            archive = self._folder.archive(name, release)
            tree = read_archive(archive, limits_of(release.adapter))
            served, facts = hashlib.sha256(archive).hexdigest(), facts_of(tree)
        except SkillpmError as error:
            facts = Facts(problem=error.message)
        signed = False
        with contextlib.suppress(IntegrityError):
            signed = signer(name, release) is not None
        return _Shown(name, stamp, release, len(page.releases), served, signed, facts)

    def _put(self, execute: Execute, shown: _Shown) -> None:
        facts, marks = shown.facts, ", ".join("?" * len(_COLUMNS))
        statement = f"INSERT INTO skill ({', '.join(_COLUMNS)}) VALUES ({marks}) RETURNING id"
        ((number,),) = execute(statement, shown.values())
        for item in sorted(shown.release.requires.items()):
            execute("INSERT INTO requirement VALUES (?, ?, ?)", (number, *item))
        keywords, tools = " ".join(facts.keywords), " ".join((*facts.tools, *facts.run))
        texts = Texts(shown.name, keywords, tools, shown.release.summary, f"{facts.body}\n{facts.readme}")
        self._engine.add_texts(execute, number, texts)
        names = {shown.name, shown.name.rpartition("/")[2]}
        _learn(execute, names.union(split_words(f"{shown.name} {keywords} {tools} {shown.release.summary}")))


def _learn(execute: Execute, words: Iterable[str]) -> None:
    """Add words to those that a misspelt word is compared with. They are never removed; few go stale."""
    short = [word for word in words if len(word) <= _LONGEST]
    known = execute(f"SELECT text FROM word WHERE text IN ({', '.join('?' * len(short))})", short)
    for word in sorted(set(short) - {text for (text,) in known}):
        ((number,),) = execute("INSERT INTO word (text) VALUES (?) RETURNING id", (word,))
        triples = sorted(letter_triples(word))
        rows = [value for triple in triples for value in (triple, len(word), number)]
        execute(f"INSERT INTO letters VALUES {', '.join(['(?, ?, ?)'] * len(triples))}", rows)


def _forget(execute: Execute, name: str) -> None:
    execute("DELETE FROM words_of WHERE rowid = (SELECT id FROM skill WHERE name = ?)", (name,))
    execute("DELETE FROM skill WHERE name = ?", (name,))
