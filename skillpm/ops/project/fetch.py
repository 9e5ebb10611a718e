"""Brings a locked release into the store. Everything is checked before the store is touched; no skill code runs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from skillpm.errors import IntegrityError, LayoutError
from skillpm.formats.as_json import as_json
from skillpm.index.path import FilesIndex
from skillpm.layout.description import describe
from skillpm.layout.tree import Tree, tree_digest
from skillpm.model.lock import LockedSkill
from skillpm.model.release import Release
from skillpm.storage.archive import read_archive
from skillpm.storage.store import Store
from skillpm.trust.allowance import NOTHING, Allowance

if TYPE_CHECKING:
    from skillpm.model.finding import Report
    from skillpm.model.ports import Index


def refuse_broken(report: Report, name: str, *, final: bool = False) -> None:
    """Raise LayoutError where a report has errors; ``details["findings"]`` holds them all.

    Args:
        report: what was found.
        name: the skill, as a person knows it.
        final: can nobody let it in, since no archive holds it?
    """
    if report.ok:
        return
    first, more = report.errors[0], len(report.errors) - 1
    place = ":".join(str(part) for part in (first.path, first.line) if part)
    raise LayoutError(
        f"{name} cannot be installed: {place}{': ' if place else ''}{first.message} [{first.code}]"
        + (f", and {more} more error{'s' if more > 1 else ''}" if more else ""),
        hint=_hint(report, name, final=final),
        findings=as_json(report.findings),
    )


def _hint(report: Report, name: str, *, final: bool) -> str:
    from skillpm.layout.scan import ALLOWABLE

    codes = sorted({finding.code for finding in report.errors})
    if set(codes) <= ALLOWABLE and not final:
        flags = " ".join(f"--allow {name.split()[0]}:{code}" for code in codes)
        return f"look at what was found; where it is meant, install with {flags}"
    return report.errors[0].hint or "`skillpm validate` lists everything that is wrong"


def fetch(store: Store, entry: LockedSkill, index: Index, allow: Allowance = NOTHING, *, size: int = 0) -> list[str]:
    """Bring an entry into the store; return sentences about what is odd in it.

    The scan fails closed: what it finds refuses the skill, unless ``allow`` lets it in.

    Args:
        store: the store.
        entry: what is locked, or will be.
        index: where it comes from.
        allow: what the scan finds and a person lets in.
        size: how many bytes its archive has, 0 where that is not known.

    Raises:
        RegistryError: the index failed.
        LockOutOfDateError: a folder no longer holds what is locked.
        IntegrityError: bytes differ from a digest, or the archive is not one that may be opened.
        LayoutError: the tree is not a skill that can be installed.
        StorageError: the disk refused.
    """
    from skillpm.layout.check import check

    tree = open_release(entry.name, entry.release(size), index)
    report = check(tree, path=f"{entry.name} {entry.version}", folder=None).letting(allow.codes(entry.name))
    refuse_broken(report, f"{entry.name} {entry.version}")
    if not index.made_here:
        _refuse_disagreement(entry, tree, index)
    store.add(tree)
    codes = sorted({finding.code for finding in report.warnings})
    odd = f"{entry.name} {entry.version}: {', '.join(codes)}; `skillpm validate --rules` says what they mean"
    return [odd] if codes else []


def open_release(name: str, release: Release, index: Index) -> Tree:
    """Return the tree of a release, in memory, checked against its digests.

    The archive digest is not compared where the archive was made here, just now; the tree's digest always is.

    Raises:
        RegistryError: the index failed.
        LockOutOfDateError: a folder no longer holds this release.
        IntegrityError: bytes differ from a digest, or the archive is not one that may be opened.
    """
    if index.made_here and isinstance(index, FilesIndex):
        tree = index.files(name, release)
    else:
        tree = _unpacked(name, release, index)
    digest = tree_digest(tree)
    if digest != release.tree:
        raise _mismatch(f"the content of {name} {release.version} from {index.name}", release.tree, digest)
    return tree


def _unpacked(name: str, release: Release, index: Index) -> Tree:
    data = index.archive(name, release)
    found = hashlib.sha256(data).hexdigest()
    if found != release.archive and not index.made_here:
        what = "a web page came instead of" if data.lstrip()[:1] == b"<" else "the archive of"
        raise _mismatch(f"{what} {name} {release.version} from {index.name}", release.archive, found)
    return read_archive(data)


def _mismatch(what: str, expected: str, found: str) -> IntegrityError:
    return IntegrityError(
        f"{what}: sha256 is {found[:16]}…, expected {expected[:16]}…",
        hint="it was changed on its way or at its source: do not use it, tell who keeps the registry",
        expected=expected,
        found=found,
    )


def _refuse_disagreement(entry: LockedSkill, tree: Tree, index: Index) -> None:
    """An index must not say anything of a skill that the skill does not say itself."""
    own = describe(tree)
    requires = own.manifest.requires if own.manifest else {}
    claims = (
        ("name", entry.name.rpartition("/")[2], own.name),
        ("version", entry.version, own.version),
        ("requires", entry.requires, requires),
        ("hooks", entry.hooks, own.manifest.hooks if own.manifest else 1),
    )
    for what, claimed, true in claims:
        if claimed != true:
            raise IntegrityError(
                f"{index.name} says of {entry.name} {entry.version}: {what} {claimed}; the skill says {true}",
                hint="do not use it, tell who keeps the registry",
            )
