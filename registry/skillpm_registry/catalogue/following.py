"""Keeps the index in step with the registry's folder.

What a server of this registry has changed it notes, and that page alone is indexed. Others write into the folder, too.
A page is replaced by a rename, which changes the time of its folder. So one look at the times of ``skills/`` and of the
owners' folders tells whether anything changed, and only the folders that changed are listed. A time that is younger
than the clock is coarse proves nothing, and its folder is listed again.

To list 100,000 pages takes a second. No request waits for a slow look, and looks use a tenth of the time. A request
does wait while another thread indexes what was noted, which takes milliseconds: what was published is found at once,
during a look too, because a look keeps nobody from indexing while it lists.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from skillpm.errors import BusyError, IntegrityError, RegistryError, SkillpmError
from skillpm.index.directory import DirectoryIndex
from skillpm.index.paths import page_path
from skillpm.model.name import is_name
from skillpm.model.release import Release
from skillpm.storage.archive import limits_of, read_archive
from skillpm.storage.process_lock import locked
from skillpm.trust.signature import signer
from skillpm_registry.catalogue.facts import Facts, facts_of
from skillpm_registry.catalogue.meaning import Meaning
from skillpm_registry.catalogue.port import Engine, Execute, Texts
from skillpm_registry.catalogue.row import Row
from skillpm_registry.catalogue.words import letter_triples, split_words

_COARSE = 100_000_000  # nanoseconds; a folder's time is exact to a tick of the kernel, which is some milliseconds
_PAUSE = 0.2  # seconds between two looks at the folders
_PATIENCE = 0.3  # seconds for another thread that indexes what was noted
_SLOW = 0.1  # seconds of the processor from which on no request does a look itself
_LONGEST_PAUSE = 60.0  # seconds
_BATCH = 200  # pages that become visible together
_WAIT = 3600.0  # seconds for another server that indexes
_LONGEST = 80  # characters of a word that a misspelt one is compared with
_log = logging.getLogger("skillpm_registry")


class Follower:
    """Follows the changes of a folder.

    Args:
        folder: reads the registry's files.
        engine: holds the index.
        lock: a file, the lock of the one server that indexes changes. The others then have nothing to do.
        meaning: makes the vectors of skills; None for an index without them.
    """

    def __init__(self, folder: DirectoryIndex, engine: Engine, lock: Path, meaning: Meaning | None = None) -> None:
        self._folder = folder
        self._engine = engine
        self._lock = lock
        self._meaning = meaning
        self._turn = threading.Lock()  # to read some pages and index them
        self._looking = threading.Lock()  # at the folders
        self._has_lock = False
        self._times: dict[str, int] = {}
        self._noted: dict[str, int] = {}  # names of changed pages, each with the count when it was noted
        self._count = 0  # of the times that pages were noted or indexed
        self._stamp = ""
        self._took = 0.0  # seconds of the processor in which the last look listed pages
        self._next = 0.0  # when the next look is due

    @property
    def stamp(self) -> str:
        """A text that changes with every change of the registry; empty while a change may be too young to be seen."""
        return "" if time.time_ns() - max(self._times.values(), default=0) < _COARSE else self._stamp

    def note(self, name: str) -> None:
        """Index a page that was changed just now at the next refresh."""
        self._count += 1
        self._noted[name] = self._count
        if self._stamp:
            self._renew_stamp()

    def noted(self) -> list[str]:
        """Return the names of changed pages that are not indexed yet."""
        return list(self._noted)

    def refresh(self, *, wait: bool) -> None:
        """Bring the index up to date with the folder.

        Args:
            wait: look now, and after another thread that does so; otherwise a recent look is enough, and only what
                was noted is waited for.

        Raises:
            RegistryError: the folder cannot be read.
        """
        is_first, is_due = not self._next, wait or time.monotonic() >= self._next
        if is_due and not wait and self._took > _SLOW:
            self._next, is_due = math.inf, False
            threading.Thread(target=self._look_beside, name="follower", daemon=True).start()
        try:
            if self._noted and not is_first:
                self._index_noted()
            if is_due and self._looking.acquire(timeout=-1 if wait or is_first else 0):
                try:
                    self._look()
                finally:
                    self._looking.release()
        except OSError as error:
            raise RegistryError(f"{self._folder.root} cannot be read: {error.strerror}") from None

    def _look_beside(self) -> None:
        try:
            self.refresh(wait=True)
        except Exception as error:  # noqa: BLE001  whatever it is, the next look may succeed
            _log.error("the folder cannot be followed", exc_info=error)
        finally:
            self._next = min(self._next, time.monotonic() + _LONGEST_PAUSE)  # it may have failed before it looked

    def _look(self) -> None:
        young = time.time_ns() - _COARSE
        try:
            times = self._folder_times(young)
            changed = [owner for owner, at in times.items() if self._times.get(owner) != at or at > young]
            if changed or self._times.keys() - times.keys() or not self._next:
                self._follow([*changed, *(self._times.keys() - times.keys())])
            self._times = times
            self._renew_stamp()
        finally:
            pause = min(10 * self._took, _LONGEST_PAUSE) if self._took > _SLOW else _PAUSE
            if self._stamp:  # a first look that failed is done again
                self._next = time.monotonic() + pause

    def _index_noted(self) -> None:
        if not self._turn.acquire(timeout=_PATIENCE):
            return
        try:
            noted = dict(self._noted)
            with contextlib.suppress(BusyError), self._locked(0.0):  # another server may look
                paths = ((name, self._folder.root / page_path(name)) for name in sorted(noted))
                self._index_pages({name: self._stamp_of(path.stat()) for name, path in paths if path.is_file()})
                for name, count in noted.items():
                    if self._noted[name] == count:  # it was not noted again meanwhile
                        del self._noted[name]
                self._count += 1
                self._renew_stamp()
        finally:
            self._turn.release()

    def _locked(self, wait: float) -> AbstractContextManager[object]:
        """Hold the lock of the one server that indexes; a look of this server has it for all its threads."""
        return contextlib.nullcontext() if self._has_lock else locked(self._lock, wait)

    def _renew_stamp(self) -> None:
        state = (sorted(self._times.items()), self._count)
        self._stamp = hashlib.sha256(repr(state).encode()).hexdigest()[:16]

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

    def _stamp_of(self, status: os.stat_result) -> str:
        """Return a text that changes with a page, and with what is made of it."""
        return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}{'-meaning' if self._meaning else ''}"

    def _pages(self, owner: str) -> Iterator[tuple[str, str]]:
        """Yield the names in an owner's folder, each with a text that changes with its page."""
        folder = self._folder.root / "skills" / owner
        for entry in os.scandir(folder) if folder.is_dir() else ():
            name = f"{owner}/{entry.name[:-5]}" if owner else entry.name[:-5]
            if entry.name.endswith(".json") and is_name(name):
                yield name, self._stamp_of(entry.stat())

    def _follow(self, owners: list[str]) -> None:
        """Index the pages that changed in some owners' folders, and forget those that are gone."""
        with self._locked(_WAIT):
            self._has_lock = True
            try:
                self._compare(owners)
            finally:
                with self._turn:  # a thread that indexes under this lock has ended
                    self._has_lock = False

    def _compare(self, owners: list[str]) -> None:
        begin = time.thread_time()
        present = dict(item for owner in owners for item in self._pages(owner))
        known: dict[str, str] = dict(self._engine.rows("SELECT name, page FROM skill"))
        self._took = time.thread_time() - begin  # without pages to index: the first look has them all
        if self._next:
            known = {name: page for name, page in known.items() if name.rpartition("/")[0] in owners}
        stale = sorted(name for name, page in present.items() if known.get(name) != page)
        for start in range(0, len(stale), _BATCH):
            with self._turn:
                self._index_pages({name: present[name] for name in stale[start : start + _BATCH]})
        if gone := known.keys() - present.keys():
            with self._turn, self._engine.writing() as execute:
                for name in gone:
                    if not (self._folder.root / page_path(name)).is_file():  # else it came while the others were listed
                        _forget(execute, name)

    def _index_pages(self, stamps: Mapping[str, str]) -> None:
        pages = [(name, self._read(name)) for name in stamps]
        with self._engine.writing() as execute:
            for name, found in pages:
                _forget(execute, name)
                if found:
                    self._put(execute, *found, stamps[name])

    def _read(self, name: str) -> tuple[Row, Release, bytes] | None:
        """Read what is indexed of a skill, its listed release, and what it means, which is empty without a model.

        None if its page is damaged or has no release.
        """
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
        published, is_adapter = (release.published or "")[:40], release.adapter is not None
        row = Row(
            name, release.version, release.summary, published, len(page.releases), release.usable, release.archive,
            served, release.size, signed, is_adapter, facts,
        )  # fmt: skip
        about = f"{name.rpartition('/')[2].replace('-', ' ')}: {row.summary} {' '.join(facts.keywords)}"
        return row, release, self._meaning.vector(about) if self._meaning else b""

    def _put(self, execute: Execute, row: Row, release: Release, meaning: bytes, stamp: str) -> None:
        columns, facts = {**row.columns(), "page": stamp, "meaning": meaning}, row.facts
        statement = f"INSERT INTO skill ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) RETURNING id"
        ((number,),) = execute(statement, tuple(columns.values()))
        for item in sorted(release.requires.items()):
            execute("INSERT INTO requirement VALUES (?, ?, ?)", (number, *item))
        keywords, tools = " ".join(facts.keywords), " ".join((*facts.tools, *facts.run))
        texts = Texts(row.name, keywords, tools, row.summary, f"{facts.body}\n{facts.readme}")
        self._engine.add_texts(execute, number, texts)
        names = {row.name, row.name.rpartition("/")[2]}
        _learn(execute, names.union(split_words(f"{row.name} {keywords} {tools} {row.summary}")))


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
