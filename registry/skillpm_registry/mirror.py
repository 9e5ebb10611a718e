"""Copies releases into a folder: those of another registry, or those of a lock. Nothing is copied unchecked.

A copy has the archives, the digests, the publishers' signatures and the times of its source. Yanks, quarantines and
statuses are taken over, and never lifted: what the owner of the copy has stopped stays stopped. The metadata and the
log of a signed source speak of the source, so they are checked and not copied; a signed copy has its own.

A folder is the copy of one source for ever. Otherwise a name could get releases of two sources (dependency confusion).
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import get_args

from packaging.version import Version

from skillpm.errors import ConflictError, IntegrityError, RegistryError, SkillpmError, StorageError, UsageError
from skillpm.index.directory import DirectoryIndex
from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm.index.pages import ReadPage, document_text
from skillpm.index.shipped import bundled_skills
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.ports import Index, LoggedIndex, SearchableIndex
from skillpm.model.release import Page, Release, Status
from skillpm.model.requirement import Requirement
from skillpm.ops.context import Context
from skillpm.ops.project.fetch import checked_tree
from skillpm.ops.project.identity import refuse_impostor
from skillpm.storage.archive import compressed
from skillpm.storage.files import named_text
from skillpm.storage.keys import Keys
from skillpm.trust.recall import asked_page
from skillpm.trust.signature import signer

LOCKS = "locks"  # the source of a folder that has the releases of locks


@dataclass(slots=True)
class Copied:
    """What a run has copied.

    Attributes:
        added: the number of new releases.
        present: the number of releases that the folder had before.
        logged: the number of new releases whose proof in the source's log was checked.
        stopped: the releases that were yanked or put into quarantine as in the source, each in a sentence.
        failures: why a name was not copied, or not whole.
    """

    added: int = 0
    present: int = 0
    logged: int = 0
    stopped: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)


def source_title(index: Index, place: str) -> str:
    """Return what config.json calls a source: its URL, or the name of a folder and a digest of where it is.

    Everybody reads config.json, and a path of the operator's machine is nobody's business.
    """
    if not isinstance(index, DirectoryIndex):
        return place.rstrip("/")
    folder = index.root.resolve()
    return f"{folder.name} (a folder, {hashlib.sha256(str(folder).encode()).hexdigest()[:16]})"


def open_copy(folder: Path, source: str, keys: Keys) -> FolderRegistry:
    """Return the registry in a folder that is, or becomes, the copy of a source.

    Raises:
        UsageError: the folder is something else.
        StorageError: the disk refused.
    """
    is_new = make_registry(folder, folder.resolve().name)
    own = folder / ".server" / "keys"
    registry = FolderRegistry(folder, folder.name, Keys(own) if own.is_dir() else keys)
    if not is_new and registry.config.mirror is None and registry.names():
        raise UsageError(f"{folder} is a registry of its own, not a copy", hint="name a new or empty folder")
    if registry.config.mirror not in (None, source):
        raise UsageError(
            f"{folder} is a copy of {registry.config.mirror}, not of {source}", hint="name a new or empty folder"
        )
    if registry.config.mirror is None:
        document = {**json.loads((folder / "config.json").read_bytes()), "mirror": source}
        registry.write("config.json", document_text(document))
    return registry


class Copier:
    """Copies releases into a folder.

    Args:
        registry: the folder.
        tell: is called with the name and the version of each new release.
    """

    def __init__(self, registry: FolderRegistry, tell: Callable[[str, str], None]) -> None:
        self._registry = registry
        self._tell = tell
        self._done: set[tuple[str, str]] = set()
        self.copied = Copied()

    def mirror(self, source: Index, approved: Sequence[Requirement]) -> None:
        """Copy every release that fits a requirement, and all that those require; everything without requirements.

        Raises:
            RegistryError: the source failed as a whole, or lists no names.
            StorageError: the disk refused.
        """
        wanted = approved or [Requirement(name) for name in _all_names(source)]
        waiting, seen = deque(wanted), set(map(str, wanted))
        typed = {requirement.name for requirement in wanted}
        while waiting:
            requirement = waiting.popleft()
            for needed in self._attempt(requirement.name, partial(self._fitting, source, requirement, typed)):
                if not {needed.name, str(needed)} & seen:  # a bare name stands for all of its releases
                    seen.add(str(needed))
                    waiting.append(needed)
        self._registry.list_again(self.copied.names)

    def freeze(self, context: Context, lock: Lock) -> None:
        """Copy the releases of a lock, each from its own source. Raises StorageError."""
        for entry in lock.skills:
            self._attempt(entry.name, partial(self._frozen, context, entry))
        self._registry.list_again(self.copied.names)

    def beside(self, lock: Lock) -> list[str]:
        """Return the releases that the folder has and a lock has not."""
        locked = {(entry.name, entry.tree) for entry in lock.skills}
        pages = filter(None, map(self._registry.page, self._registry.names()))
        return [
            f"{page.name} {release.version}"
            for page in pages
            for release in page.releases
            if (page.name, release.tree) not in locked
        ]

    def _attempt(self, name: str, copy: Callable[[], Collection[Requirement]]) -> Collection[Requirement]:
        """Copy one name; note why if that fails, because the others can be copied all the same."""
        try:
            return copy()
        except StorageError:
            raise
        except SkillpmError as error:
            self.copied.failures[name] = error.message
            return ()

    def _fitting(self, source: Index, requirement: Requirement, typed: Collection[str]) -> list[Requirement]:
        """Copy the releases of one name that fit; return what they require."""
        name, needed = requirement.name, list[Requirement]()
        page = source.page(name)
        if page is None and name not in typed and name in bundled_skills():
            return []
        if page is None:
            raise RegistryError(f"{source.name} has no skill `{name}`")
        if not source.made_here:  # a site has one release of a name, and forgets the older ones
            self._refuse_others(page)
        for version, reason in page.skipped[:1] if isinstance(page, ReadPage) else ():
            self.copied.failures[name] = f"{version} cannot be read: {reason}"
        fitting = [item for item in page.releases if requirement.admits(item.version, prereleases=True)]
        if requirement.specifier and not fitting:
            raise RegistryError(f"{source.name} has no release that fits `{requirement}`")
        for release in fitting:
            needed += self._attempt(name, partial(self._copy, source, name, release))
        self._take_status(page)
        return needed

    def _take_status(self, page: Page) -> None:
        """Take over a status that is further from ``active`` than that of the copy."""
        own, order = self._registry.page(page.name), get_args(Status)
        if own and {page.status, own.status} <= set(order) and order.index(page.status) > order.index(own.status):
            self._registry.set_status(page.name, page.status, page.reason)  # type: ignore[arg-type]

    def _refuse_others(self, page: Page) -> None:
        """Raise ConflictError if the folder has a release that its source has not: somebody published it here."""
        own = self._registry.page(page.name)
        theirs = {Version(release.version) for release in page.releases}
        for release in own.releases if own else ():
            if Version(release.version) not in theirs:
                raise ConflictError(f"the copy has {page.name} {release.version}, which its source does not have")

    def _frozen(self, context: Context, entry: LockedSkill) -> list[Requirement]:
        source = context.source(entry.source)
        page = asked_page(source, entry.name)
        same = (
            item for item in (page.releases if page else ()) if (item.archive, item.tree) == (entry.archive, entry.tree)
        )
        return self._copy(source, entry.name, next(same, entry.release()))

    def _copy(self, source: Index, name: str, release: Release) -> list[Requirement]:
        """Check a release and add it, or take over what has been said of it; return what it requires."""
        if (name, release.version) in self._done:
            return []
        self._done.add((name, release.version))
        own = self._registry.page(name)
        present = own.release(release.version) if own else None
        if present is None:
            signer(name, release)
            if isinstance(source, LoggedIndex) and release.proof is not None:
                source.demand_logged(name, release)
                self.copied.logged += 1
            data = source.archive(name, release)
            refuse_impostor(name, release, checked_tree(name, release, data, source.name), source.name)
            data = compressed(data) if source.made_here else data
            self._registry.add(name, replace(release, size=len(data), proof=None), data)
            self.copied.added += 1
            self._tell(name, release.version)
        elif present.tree != release.tree:
            raise IntegrityError(f"{source.name} has {name} {release.version} with other content than the copy")
        else:
            self.copied.present += 1
        for said, known, change, what in (
            (release.yanked, present and present.yanked, self._registry.yank, "yanked"),
            (release.quarantined, present and present.quarantined, self._registry.quarantine, "put into quarantine"),
        ):
            if said and not known:
                reason = said if isinstance(said, str) else "by its source"
                self.copied.stopped.append(f"{name} {release.version} is {what}: {reason}")
                if present is not None:
                    change(name, release.version, reason)
        self.copied.names.add(name)
        return [Requirement.of(*item) for item in release.requires.items()]


def read_approved(path: Path) -> list[Requirement]:
    """Return the requirements of a file, one a line; `#` begins a comment. Raises UsageError if there is none."""
    approved = []
    for number, line in enumerate(named_text(path).splitlines(), 1):
        if requirement := line.partition("#")[0].strip():
            try:
                approved.append(Requirement.parse(requirement))
            except UsageError as error:
                raise UsageError(f"{path}:{number}: {error.message}", hint=error.hint) from None
    if not approved:
        raise UsageError(f"{path} names no skill", hint="write one requirement a line, such as `demo>=1,<2`")
    return approved


def _all_names(source: Index) -> list[str]:
    """Return the names of a source. Raises RegistryError if it does not list them."""
    names = source.names()
    if not names and isinstance(source, SearchableIndex):
        names = [item.name for item in source.listings()]  # says why there are none
    return names
