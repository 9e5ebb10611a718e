"""A registry that is a folder, written by many at once: no server, no daemon, no lock that anybody must give back.

Beside what is served (``config.json``, ``skills/``, ``archives/``) it keeps the truth that pages are made from:
``releases/[owner/]NAME.d/VERSION/1/release.json`` says that a version was published, ``…/2/release.json`` that it was
yanked, ``…/3/…`` that it was taken back, and so on; the highest number counts. Invariants:

- A statement is never changed. It is a folder renamed onto its name, which every file system refuses where another
  stands there, so that of several who publish a version at once exactly one wins. It is preceded by its archive.
- ``listing.json`` says what the pages say at a glance, for searches through a server; it may be behind, never needed.
- A page is what the statements say. Whoever has made a statement writes the page until it agrees with them, so the last
  one to write has seen all; taking turns, where the file system can, spares a second round and a killed writer's page.
- Whoever is killed leaves a release that nobody sees, or all of it; publishing it again completes it.
- All that is made has the rights of the registry's own folder, so that a group that shares it can publish to it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_version
from packaging.version import Version

from skillpm.errors import ConflictError, RegistryError, StorageError, UsageError
from skillpm.formats.light import LightDocument, json_form
from skillpm.index.directory import DirectoryIndex
from skillpm.index.pages import LISTING, MAX_PAGE, archive_path, page_path, read_document
from skillpm.index.path import release_of
from skillpm.layout.tree import Tree
from skillpm.model.name import did_you_mean
from skillpm.model.release import Page, RegistryConfig, RegistryListing, Release, ShownSkill
from skillpm.storage.archive import build_archive
from skillpm.storage.files import fsync_folder, storage_error, write_atomic
from skillpm.storage.process_lock import turns
from skillpm.storage.unpack import remove_tree

_TRIES = 100  # how often another process may take a folder away that was just made; each can do so once
_ABANDONED = 24 * 3600.0  # seconds after which something in tmp/ is nobody's any more


def make_registry(root: Path, name: str) -> bool:
    """Make a folder a registry; False where it is one already.

    Raises:
        UsageError: it holds something else.
        StorageError: the disk refused.
    """
    if (root / "config.json").is_file():
        return False
    if root.is_dir() and any(root.iterdir()):
        raise UsageError(f"{root} is neither empty nor a registry", hint="name a new or an empty folder")
    FolderRegistry(root, name).write("config.json", _text(RegistryConfig(registry=1, name=name)))
    return True


class FolderRegistry(DirectoryIndex):
    """The ``Registry`` port over a folder.

    Args:
        root: the folder.
        name: what a lock calls this source.
    """

    def publish(self, name: str, release: Release, archive: bytes) -> bool:
        """Add a release; False where that content stands there as that version already.

        Where it does, an archive that was lost or damaged is put back.

        Raises:
            ConflictError: the version stands there with another content.
            RegistryError: the folder is no registry, or is damaged.
            StorageError: the disk refused.
        """
        added = self.add(name, release, archive)
        self.list_again([name])
        return added

    def add(self, name: str, release: Release, archive: bytes) -> bool:
        """Publish, and leave the listing to the caller, who adds many.

        Raises:
            ConflictError: the version stands there with another content.
            RegistryError: the folder is no registry, or is damaged.
            StorageError: the disk refused.
        """
        before = self.page(name)
        self._clean()
        standing = self._known(name).get(_key(release.version))
        if standing is None or standing.archive == release.archive:
            self._put_archive(release.archive, archive)
        standing = standing or self._state(name, release, 1)
        if standing.tree != release.tree:
            raise ConflictError(
                f"{name} {standing.version} is published in {self.root} with another content",
                hint="what is published never changes: raise the version with `skillpm version bump patch`",
                published=standing.tree,
                offered=release.tree,
            )
        self._renew_page(name)
        return before is None or _key(release.version) not in {_key(item.version) for item in before.releases}

    def yank(self, name: str, version: str, reason: str | None) -> bool:
        """Take a release out of new resolutions, or, where ``reason`` is None, back in; False where it is so already.

        Raises:
            RegistryError: there is no such release, or the folder is damaged.
            StorageError: the disk refused.
        """
        wanted: str | bool = reason if reason is not None else False
        changed = False
        while (found := self._release(name, version)).yanked != wanted:
            update = replace(found, yanked=wanted)
            number = max([1, *self._numbers(name, _key(version))]) + 1  # 1 is kept for what a page alone knows
            changed = self._state(name, update, number) == update or changed
        self._renew_page(name)
        self.list_again([name])
        return changed

    def list_again(self, names: Iterable[str]) -> None:
        """Have the listing say what the pages of these names say now, and of those that it does not have.

        Raises:
            RegistryError: a page is damaged.
            StorageError: the disk refused.
        """
        with turns(self.root):
            while True:
                listed = {item.name: item for item in self._listed()}
                there = set(self.names())
                renewed = {name: self._shown(name) for name in (there - listed.keys()) | (there & set(names))}
                skills = {name: item for name, item in {**listed, **renewed}.items() if item and name in there}
                text = _text(RegistryListing(listing=1, skills=tuple(skills[name] for name in sorted(skills))))
                if self._has(LISTING, text.encode()):
                    return
                self.write(LISTING, text)

    def _listed(self) -> tuple[ShownSkill, ...]:
        if not (self.root / LISTING).is_file():
            return ()
        with contextlib.suppress(RegistryError):  # a damaged one is made anew
            return read_document(RegistryListing, self._read(LISTING, MAX_PAGE), LISTING).skills
        return ()

    def _shown(self, name: str) -> ShownSkill | None:
        page = self.page(name)
        release = page.shown() if page else None
        return ShownSkill(name=name, version=release.version, summary=release.summary) if release else None

    def write(self, path: str, data: bytes | str) -> None:
        """Write one file of the registry at once. Raises StorageError."""
        target = self.root / path
        try:
            self._in_folder(target.parent, lambda: self._write(target, data))
        except OSError as error:
            raise storage_error("write", target, error) from None

    def _write(self, target: Path, data: bytes | str) -> None:
        write_atomic(target, data, mode=self._mode() & 0o666, scratch=self._scratch())

    def _release(self, name: str, version: str) -> Release:
        known = self._known(name)
        if not known:
            hint = did_you_mean(name, self.names()) or None
            raise RegistryError(f"{self.root} has no skill `{name[:80]}`", hint=hint)
        if _key(version) not in known:
            versions = ", ".join(item.version for item in sorted(known.values(), key=_by_version))
            raise RegistryError(f"{self.root} has no {name} {version}", hint=f"it has {versions}")
        return known[_key(version)]

    def _known(self, name: str) -> dict[str, Release]:
        """Return the releases of a name: what the statements say, and what only the page knows."""
        page = self.page(name)
        known = {_key(release.version): release for release in (page.releases if page else ())}
        return known | dict(self._stated(name))

    def _stated(self, name: str) -> Iterator[tuple[str, Release]]:
        for version in sorted(_entries(self._releases(name))):
            numbers = self._numbers(name, version)
            if numbers:
                yield version, self._said(self._statement(name, version, max(numbers)))

    def _numbers(self, name: str, version: str) -> list[int]:
        return [int(entry) for entry in _entries(self._releases(name) / version) if entry.isdecimal()]

    def _releases(self, name: str) -> Path:
        return self.root / "releases" / f"{name}.d"

    def _said(self, place: str) -> Release:
        """Return what a statement says. Raises RegistryError where it is damaged."""
        path = f"{place}/release.json"
        return read_document(Release, self._read(path, MAX_PAGE), f"registry {self.root}: {path}")

    def _statement(self, name: str, version: str, number: int) -> str:
        return f"releases/{name}.d/{version}/{number}"

    def _state(self, name: str, release: Release, number: int) -> Release:
        """Make a statement unless another has made it; return what it says then."""
        place = self._statement(name, _key(release.version), number)
        target, fresh = self.root / place, self._scratch() / os.urandom(8).hex()
        try:
            fresh.mkdir()
            fresh.chmod(self._mode())
            self._write(fresh / "release.json", _text(release))
            self._in_folder(target.parent, lambda: fresh.rename(target))
            fsync_folder(target.parent)
        except OSError as error:
            if not (target / "release.json").is_file():
                raise storage_error("write", target, error) from None
        finally:
            remove_tree(fresh)
        return self._said(place)

    def _renew_page(self, name: str) -> None:
        with turns(self._releases(name) if self._releases(name).is_dir() else self.root):
            while True:
                releases = tuple(sorted(self._known(name).values(), key=_by_version))
                text = _text(Page(name=name, releases=releases))
                if self._has(page_path(name), text.encode()):
                    return
                self.write(page_path(name), text)

    def _put_archive(self, digest: str, archive: bytes) -> None:
        path = self.root / archive_path(digest)
        with contextlib.suppress(OSError):
            if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                return
        self.write(archive_path(digest), archive)

    def _has(self, path: str, data: bytes) -> bool:
        try:
            return (self.root / path).read_bytes() == data
        except OSError:
            return False

    def _mode(self) -> int:
        return self.root.stat().st_mode & 0o7777

    def _scratch(self) -> Path:
        folder = self.root / "tmp"
        if not folder.is_dir():
            self.root.mkdir(parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True)
            with contextlib.suppress(PermissionError):  # another one's, made at the same instant
                folder.chmod(self._mode())
        return folder

    def _in_folder(self, folder: Path, act: Callable[[], object]) -> None:
        """Make a folder and do something in it; again where another process puts its own in place of an empty one."""
        for tries_left in reversed(range(_TRIES)):
            self._make_folder(folder)
            try:
                act()
            except (FileNotFoundError, StorageError) as error:
                number = error.errno if isinstance(error, OSError) else error.details.get("errno")
                if number != errno.ENOENT or not tries_left:
                    raise
            else:
                return

    def _make_folder(self, folder: Path) -> None:
        """Make a folder with the rights of the registry's own, and all above it; each appears with its rights."""
        if folder.is_dir():
            return
        fresh = self._scratch() / os.urandom(8).hex()
        fresh.mkdir()
        fresh.chmod(self._mode())
        try:
            self._in_folder(folder.parent, lambda: fresh.rename(folder))
            fsync_folder(folder.parent)
        except OSError as error:
            remove_tree(fresh)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def _clean(self) -> None:
        """Remove what publishers that were killed have left in tmp/; what is young may be another one's at work."""
        oldest = time.time() - _ABANDONED
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.root / "tmp"):
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    remove_tree(Path(entry.path))


def _entries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _key(version: str) -> str:
    """Return what versions have in common that PEP 440 holds to be equal: `1.0` and `1.0.0`."""
    return canonicalize_version(version)


def _by_version(release: Release) -> Version:
    return Version(release.version)


def _text(document: LightDocument) -> str:
    return json.dumps(json_form(document), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_registry(
    root: Path,
    trees: Iterable[Tree],
    *,
    name: str = "local",
    yanked: Mapping[str, str] | None = None,
    published: str | None = None,
) -> None:
    """Publish trees to a registry folder; makes it where it is missing.

    Args:
        root: the folder.
        trees: skills; several versions of one name may be among them.
        name: what config.json calls a new registry.
        yanked: reasons by ``name==version``.
        published: the time that the new releases say, ISO 8601; none where None.

    Raises:
        LayoutError: a tree is not a skill.
        ConflictError: a version is there already with another content.
        StorageError: the disk refused.
    """
    make_registry(root, name)
    registry, names = FolderRegistry(root, name), set()
    for tree in trees:
        archive = build_archive(tree)
        skill, release = release_of(tree, archive)
        registry.add(skill, replace(release, published=published), archive)
        names.add(skill)
        reason = (yanked or {}).get(f"{skill}=={release.version}")
        if reason is not None:
            registry.yank(skill, release.version, reason)
    registry.list_again(names)
