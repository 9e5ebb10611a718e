"""A registry in a folder with many concurrent writers, without a server, a daemon or a lock that can be left behind.

Besides the served files (``config.json``, ``skills/``, ``archives/``) it has the statements from which pages are made:
``releases/[owner/]NAME.d/VERSION/1/release.json`` states that a version was published, ``…/2/release.json`` that it was
yanked, ``…/3/…`` that it was unyanked, and so on. The highest number counts. Invariants:

- A statement never changes. It is a folder that is renamed to its name, and every file system refuses this rename if
  the name has a non-empty folder. So exactly one of several writers of a version wins. Its archive is written first.
- ``listing.json`` is a summary of the pages for searches through a server. It may be out of date and is never needed.
- A page is derived from the statements. After a statement, its writer renews the page until both agree, so the last
  writer has seen all statements. Taking turns, where the file system has locks, saves a second round.
- A killed writer leaves either nothing visible or the whole release. Publishing again completes it.
- If the registry is signed, ``registry_signer.py`` logs and signs a page before anybody sees it.
- ``shared_folder.py`` gives new files and folders the rights of the registry's folder, so that a group can share it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

from skillpm.errors import IntegrityError, RegistryError, StorageError, UsageError
from skillpm.formats.gathered import Bytes
from skillpm.formats.light import json_form
from skillpm.index.directory import DirectoryIndex, pages_below
from skillpm.index.pages import LISTING, MAX_PAGE, document_text, largest_archive, other_content, parsed, read_document
from skillpm.index.paths import archive_path, page_path
from skillpm.index.shared_folder import SharedFolder
from skillpm.model.name import did_you_mean, is_name
from skillpm.model.release import Page, RegistryConfig, Release, Status
from skillpm.storage.archive import archive_digest, limits_of
from skillpm.storage.durable import flush
from skillpm.storage.files import fsync_folder, storage_error
from skillpm.storage.process_lock import turns
from skillpm.storage.unpack import remove_tree

if TYPE_CHECKING:
    from skillpm.index.registry_signer import RegistrySigner
    from skillpm.storage.keys import Keys

_COARSE = 100_000_000  # nanoseconds; the time of a file is exact to a tick of the kernel, which is some milliseconds


class UnwitnessedError(StorageError):
    """A release is logged, and too few witnesses of the log have signed it yet."""


def make_registry(root: Path, name: str) -> bool:
    """Make a folder a registry; return False if it is one already. ``registry_signer.sign_registry`` signs it.

    Raises:
        UsageError: it has other content.
        StorageError: the disk refused.
    """
    if (root / "config.json").is_file():
        return False
    if root.is_dir() and any(root.iterdir()):
        raise UsageError(f"{root} is neither empty nor a registry", hint="name a new or empty folder")
    FolderRegistry(root, name).write("config.json", document_text(json_form(RegistryConfig(registry=1, name=name))))
    return True


class FolderRegistry(DirectoryIndex, SharedFolder):
    """The ``Registry`` port over a folder; ``keys`` have the online key of a signed registry."""

    def __init__(self, root: Path, name: str, keys: Keys | None = None) -> None:
        super().__init__(root, name)
        self._keys = keys

    @property
    def place(self) -> str:
        """The folder, as people in other folders type it."""
        return str(self.root.resolve())

    def publish(self, name: str, release: Release, archive: Bytes) -> bool:
        """Add a release as the port says. If it is published already, a lost or damaged archive is restored."""
        self.refuse_copy()
        added = self.add(name, release, archive)
        self.list_again([name])
        return added

    def refuse_copy(self) -> None:
        """Raise RegistryError if the registry is a copy of another one."""
        if self.config.mirror is not None:
            raise RegistryError(f"{self.root} is a copy of {self.config.mirror}", hint="publish to the original")

    def add(self, name: str, release: Release, archive: Bytes) -> bool:
        """Add a release like ``publish``, but leave the listing to the caller."""
        before = self.page(name)
        self._remove_abandoned()
        present = self.stated(name, release.version)
        if present is None or present.archive == release.archive:
            self._put_archive(release, archive)
        if present is None:
            present = self._state(name, release, 1)
        else:
            flush([self.root])
        if present.tree != release.tree:
            raise other_content(name, present.version, self.root, published=present.tree, offered=release.tree)
        reason = self._renew_page(name).get(f"{name} {present.version}")
        if reason is not None:
            raise UnwitnessedError(
                f"{name} {present.version} is logged, and waits for the witnesses of the log: {reason}"[:1000],
                hint="publish it again when they answer; the operator names them in log/witnesses",
            )
        return before is None or _key(release.version) not in {_key(item.version) for item in before.releases}

    def stated(self, name: str, version: str) -> Release | None:
        """Return a release that has a statement, so that everybody sees it or will see it. Raises RegistryError."""
        return self._known(name).get(_key(version))

    def yank(self, name: str, version: str, reason: str | None) -> bool:
        """Yank a release, or unyank it, as the port says."""
        return self._restate(name, version, "yanked", reason)

    def quarantine(self, name: str, version: str, reason: str | None) -> bool:
        """Put a release into quarantine, or take it out, as the port says."""
        return self._restate(name, version, "quarantined", reason)

    def _restate(self, name: str, version: str, key: str, reason: str | None) -> bool:
        wanted: str | bool = reason if reason is not None else False
        changed = False
        while getattr(release := self._release(name, version), key) != wanted:
            update = replace(release, yanked=wanted) if key == "yanked" else replace(release, quarantined=wanted)
            number = max([1, *self._numbers(name, _key(version))]) + 1  # 1 stays free for a release without statements
            changed = self._state(name, update, number) == update or changed
        self._renew_page(name)
        self.list_again([name])
        return changed

    def set_status(self, name: str, status: Status, reason: str) -> bool:
        """Write the status of a skill into its page, as the port says."""
        page = self.page(name)
        if page is None:
            raise self._no_skill(name)
        self._renew_page(name, status=status, reason=reason)
        return (page.status, page.reason) != (status, reason)

    def list_again(self, names: Iterable[str] = ()) -> None:
        """Renew the listing from the pages of these names, and from those that it does not have or is older than.

        Other pages change, too, when the witnesses of a log sign what waited. The time of the listing is therefore
        that before its pages were read.

        Raises:
            RegistryError: a page is damaged.
            StorageError: the disk refused.
        """
        with turns(self.root):
            while True:
                begin, written = time.time_ns() - _COARSE, self._changed(LISTING)
                listed = self._listed()
                pages = {name: changed for name, changed in pages_below(self.root / "skills") if is_name(name)}
                younger = {name for name, changed in pages.items() if changed >= written}
                wanted = younger | (pages.keys() - listed.keys()) | (pages.keys() & set(names))
                renewed = {name: _line(self.page(name)) for name in wanted}
                lines = {name: line for name, line in {**listed, **renewed}.items() if line and name in pages}
                text = '{"listing": 1, "skills": [\n' + ",\n".join(lines[name] for name in sorted(lines)) + "\n]}\n"
                is_same = self._has(LISTING, text.encode())
                if not is_same:
                    self.write(LISTING, text)
                if younger or not is_same:
                    with contextlib.suppress(PermissionError):  # another user wrote the same
                        os.utime(self.root / LISTING, ns=(begin, begin))
                if is_same:
                    return

    def _changed(self, path: str) -> int:
        """Return when a file was changed (Unix, nanoseconds); 0 if it is missing."""
        with contextlib.suppress(OSError):
            return (self.root / path).stat().st_mtime_ns
        return 0

    def _listed(self) -> dict[str, str]:
        """Return the lines of the listing by name; none if it is missing or damaged: then it is made again.

        They are taken as they are: to read and write the same 100,000 skills anew would take seconds each time. The
        limit is for readers of foreign listings, and this one is our own.
        """
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            text = (self.root / LISTING).read_text(encoding="utf-8")
            names = [item["name"] for item in json.loads(text)["skills"]]
            return dict(zip(names, (line.removesuffix(",") for line in text.split("\n")[1:-2]), strict=True))
        return {}

    @cached_property
    def signer(self) -> RegistrySigner | None:
        """The signer of a signed registry. Raises RegistryError if the folder is not a registry."""
        if self.config.signed is None:
            return None
        if self._keys is None:
            raise RegistryError(f"{self.root} is signed, and there are no keys to sign with")
        from skillpm.index.registry_signer import RegistrySigner

        return RegistrySigner(self, self._keys, self.config.signed)

    def _release(self, name: str, version: str) -> Release:
        known = self._known(name)
        if not known:
            raise self._no_skill(name)
        if _key(version) not in known:
            versions = ", ".join(
                item.version for item in sorted(known.values(), key=lambda item: Version(item.version))
            )
            raise RegistryError(f"{self.root} has no {name} {version}", hint=f"it has {versions}")
        return known[_key(version)]

    def _no_skill(self, name: str) -> RegistryError:
        known = self.names()
        listed = f"it has {', '.join(known[:8])}{', …' if len(known) > 8 else ''}" if known else "it has no skills"
        return RegistryError(f"{self.root} has no skill `{name[:80]}`", hint=did_you_mean(name, known, listed))

    def _known(self, name: str) -> dict[str, Release]:
        """Return the releases of a name: those of the statements, and those that only the page has."""
        page = self.page(name)
        known = {_key(release.version): release for release in (page.releases if page else ())}
        return known | {key: self._read_statement(place) for key, place in self._stated(name)}

    def releases(self) -> Iterator[Release]:
        """Yield every release that somebody sees or will see. Raises RegistryError if the folder is damaged."""
        folder = self.root / "releases"
        stated = (path.relative_to(folder).as_posix() for pattern in ("*.d", "*/*.d") for path in folder.glob(pattern))
        for name in {*self.names(), *(place.removesuffix(".d") for place in stated)}:
            yield from self._known(name).values()

    def _written(self, name: str) -> dict[str, Any]:
        """Return the same releases as they are written, with keys and releases that only a newer skillpm reads."""
        items = self._page_written(name).get("releases", [])
        written = {_key(str(item["version"])): item for item in items if isinstance(item, dict) and "version" in item}
        for key, place in self._stated(name):
            proof = {"proof": written[key]["proof"]} if "proof" in written.get(key, {}) else {}
            written[key] = {**self._parsed(f"{place}/release.json"), **proof}
        return written

    def _page_written(self, name: str) -> dict[str, Any]:
        if not (self.root / page_path(name)).is_file():
            return {}
        root = self._parsed(page_path(name))
        return root if isinstance(root, dict) and isinstance(root.get("releases", []), list) else {}

    def _parsed(self, path: str) -> Any:
        return parsed(self._read(path, MAX_PAGE), f"registry {self.root}: {path}")

    def _stated(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the versions that have statements, each with the place of the one that counts."""
        for version in sorted(_entries(self._releases(name))):
            numbers = self._numbers(name, version)
            if numbers:
                yield version, self._statement(name, version, max(numbers))

    def _numbers(self, name: str, version: str) -> list[int]:
        return [int(entry) for entry in _entries(self._releases(name) / version) if entry.isdecimal()]

    def _releases(self, name: str) -> Path:
        return self.root / "releases" / f"{name}.d"

    def _read_statement(self, place: str) -> Release:
        """Return the release in a statement. Raises RegistryError if it is damaged."""
        path = f"{place}/release.json"
        return read_document(Release, self._read(path, MAX_PAGE), f"registry {self.root}: {path}")

    def _statement(self, name: str, version: str, number: int) -> str:
        return f"releases/{name}.d/{version}/{number}"

    def _state(self, name: str, release: Release, number: int) -> Release:
        """Make a statement unless another process has made it; return the release in it."""
        place = self._statement(name, _key(release.version), number)
        target, fresh = self.root / place, self._scratch() / os.urandom(8).hex()
        try:
            fresh.mkdir()
            fresh.chmod(self._mode())
            earlier = self._written(name).get(_key(release.version), {})
            document = {**earlier, **json_form(release)}
            document.pop("proof", None)  # belongs to the log, and stands in the page
            self._write(fresh / "release.json", document_text(document), durable=False)
            self._make_folder(target.parent, durable=False)
            flush([self.root])  # with the archive: what a statement names is there
            self._in_folder(target.parent, lambda: fresh.rename(target))
            if self.config.signed is None:  # a signer flushes all before it shows anything
                fsync_folder(target.parent)
        except OSError as error:
            if not (target / "release.json").is_file():
                raise storage_error("write", target, error) from None
        finally:
            remove_tree(fresh)
        return self._read_statement(place)

    def page_document(self, name: str) -> dict[str, Any]:
        """Return a page as the statements want it. Raises RegistryError if the folder is damaged."""
        releases = sorted(self._written(name).values(), key=_by_written_version)
        return {**self._page_written(name), "name": name, "releases": releases}

    def _renew_page(self, name: str, **changes: str) -> dict[str, str]:
        """Write a page; return why releases of it are not visible yet, as the signer does."""
        signer = self.signer
        if signer:  # its turn is strict: what others state now, they show in a turn of their own
            return signer.show(name, changes)
        folder = self._releases(name)
        with turns(folder if folder.is_dir() else self.root):
            while True:
                text = document_text({**self.page_document(name), **changes})
                if self._has(page_path(name), text.encode()):
                    return {}
                self.write(page_path(name), text)

    def _put_archive(self, release: Release, archive: Bytes) -> None:
        path = archive_path(release.archive)
        with contextlib.suppress(RegistryError):
            if is_archive_of(self._content(path, largest_archive(release)), release):
                return
        self.write(path, archive, durable=False)


def _line(page: Page | None) -> str:
    """Return the line of a page in the listing; an empty text if it has no release."""
    listing = page.listing() if page else None
    return json.dumps(json_form(listing), ensure_ascii=False) if listing else ""


def is_archive_of(data: Bytes, release: Release) -> bool:
    """Are these bytes the archive of a release, whatever compressed them?"""
    with contextlib.suppress(IntegrityError):
        known = (hashlib.sha256(data).hexdigest(), archive_digest(data, limits_of(release.adapter)))
        return release.archive in known
    return False


def _entries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _key(version: str) -> str:
    """Return the same text for versions that are equal by PEP 440, such as `1.0` and `1.0.0`."""
    return canonicalize_version(version)


def _by_written_version(item: Any) -> tuple[bool, Version, str]:
    """Order by version; what is not a version comes last."""
    text = str(item["version"])
    try:
        return False, Version(text), text
    except InvalidVersion:
        return True, Version("0"), text
