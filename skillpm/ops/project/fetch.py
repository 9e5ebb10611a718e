"""Fetches a locked release into the store. Everything is checked before the store changes; no skill code runs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from skillpm.errors import IntegrityError, LayoutError
from skillpm.formats.as_json import as_json
from skillpm.formats.gathered import Bytes
from skillpm.index.pages import CHANGED, wrong_length
from skillpm.index.path import FilesIndex, TreeIndex
from skillpm.layout.filenames import Limits
from skillpm.layout.rule import Level
from skillpm.layout.rules import told
from skillpm.layout.rules.files import RENAME
from skillpm.layout.scan import ALLOWABLE, NO_ARCHIVE
from skillpm.layout.subject import Subject
from skillpm.layout.tree import Tree, tree_digest
from skillpm.model.finding import Finding, Report
from skillpm.model.lock import LockedSkill
from skillpm.model.release import Release
from skillpm.ops.project.identity import refuse_impostor
from skillpm.storage.archive import archive_digest, limits_of, read_archive
from skillpm.storage.store import Store
from skillpm.trust.allowance import NOTHING, Allowance

if TYPE_CHECKING:
    from skillpm.model.ports import Index

_SHOWN = 5  # errors of a skill that one message names


def refuse_broken(report: Report, name: str, *, final: bool = False) -> None:
    """Raise LayoutError if a report has errors, IntegrityError if they are of names that no archive can hold.

    The error's ``details["findings"]`` has all findings. If it is ``final``, ``--allow`` is no remedy, because no
    archive can hold the skill.
    """
    if report.ok:
        return

    kind = IntegrityError if {finding.code for finding in report.errors} <= NO_ARCHIVE else LayoutError
    raise kind(
        f"{name} cannot be installed: {broken(report)}",
        hint=_hint(report, name, final=final),
        findings=as_json(report.findings),
    )


def allow_flags(report: Report, name: str) -> str:
    """Return the flags that accept the errors of a skill, or an empty text if an error cannot be accepted."""
    codes = sorted({finding.code for finding in report.errors})
    return " ".join(f"--allow {name}:{code}" for code in codes) if set(codes) <= ALLOWABLE else ""


def broken(report: Report) -> str:
    """Return the first errors of a report in one line."""
    named = "; ".join(map(_named, report.errors[:_SHOWN]))
    more = len(report.errors) - _SHOWN
    return f"{named}, and {more} more error{'s' if more > 1 else ''}" if more > 0 else named


def _named(finding: Finding) -> str:
    place = ":".join(str(part) for part in (finding.path, finding.line) if part)
    return f"{place}{': ' if place else ''}{finding.message} [{finding.code}]"


def _hint(report: Report, name: str, *, final: bool) -> str:
    codes = sorted({finding.code for finding in report.errors})
    hints = {finding.hint for finding in report.errors}
    if set(codes) <= NO_ARCHIVE:
        only = hints.pop() if len(hints) == 1 else None
        return only if only and only != RENAME else "rename or remove it"
    if set(codes) <= ALLOWABLE and not final:
        return f"review the findings; to accept them, add `{allow_flags(report, name.split()[0])}`"
    return report.errors[0].hint or "run `skillpm validate` to see all findings"


def fetch(
    store: Store | None, entry: LockedSkill, index: Index, allow: Allowance = NOTHING, *, size: int = 0
) -> list[str]:
    """Fetch an entry into the store and return the codes of the rules that warn of it; without a store, only check it.

    The scan fails closed: a finding refuses the skill, unless ``allow`` accepts it. ``size`` is that of the archive in
    bytes, 0 if unknown.

    Raises:
        RegistryError: the index failed.
        LockOutOfDateError: a folder no longer has the locked content.
        IntegrityError: bytes differ from a digest, or the archive is not acceptable.
        LayoutError: the tree is not an installable skill.
    """
    from skillpm.layout.check import check

    tree = open_release(entry.name, entry.release(size), index)
    if isinstance(index, TreeIndex) and tree is index.tree:
        report = index.report
    else:
        report = check(tree, path=str(entry), folder=None)
    report = allow.judged(report, entry.name)
    refuse_broken(report, str(entry))
    refuse_impostor(entry.name, entry, tree, index.name)
    if store is not None:
        store.add(tree)
    return sorted({finding.code for finding in report.warnings})


def refuse_told(tree: Tree, entry: LockedSkill, allow: Allowance) -> None:
    """Raise LayoutError if a stored skill tells an agent what a policy refuses: it may have come before the policy."""
    if not allow.refused:
        return
    from skillpm.layout.check import examine

    label = str(entry)
    report = examine(Subject(tree, None), told.RULES, path=label, level=Level.LENIENT)
    refuse_broken(allow.judged(report, entry.name), label)


def open_release(name: str, release: Release, index: Index) -> Tree:
    """Return the tree of a release, in memory, checked against its digests.

    The tree's digest is always compared, the archive's digest unless the index has just made the archive here.

    Raises:
        RegistryError: the index failed.
        LockOutOfDateError: a folder no longer has this release.
        IntegrityError: bytes differ from a digest, or the archive is not acceptable.
    """
    if not index.made_here:
        return checked_tree(name, release, _archive(name, release, index), index.name)
    if isinstance(index, FilesIndex):
        own = index.files(name, release)
    else:
        own = read_archive(index.archive(name, release), limits_of(release.adapter))
    return _with_digest(own, name, release, index.name)


def _archive(name: str, release: Release, index: Index) -> Bytes:
    try:
        return index.archive(name, release)
    except IntegrityError as error:
        what = f"{name} {release.version} from {index.name}: {error.message}"
        raise IntegrityError(what, hint=error.hint, **error.details) from None


def checked_tree(name: str, release: Release, data: Bytes, who: str) -> Tree:
    """Return the tree in the bytes of an archive from ``who``, checked against the digests of its release.

    Raises:
        IntegrityError: the bytes differ from a digest, or the archive is not acceptable.
    """
    digest, limits = hashlib.sha256(data).hexdigest(), limits_of(release.adapter)
    if release.archive not in (digest, _canonical_digest(data, limits)):
        what = f"the archive of {name} {release.version} from {who}"
        if data[:512].lstrip()[:1] == b"<":
            what = f"{who} sent a web page instead of the archive of {name} {release.version}"
        if release.size and len(data) != release.size:
            raise wrong_length(what, release.size, len(data))
        raise _mismatch(what, release.archive, digest)
    return _with_digest(read_archive(data, limits), name, release, who)


def _with_digest(tree: Tree, name: str, release: Release, who: str) -> Tree:
    digest = tree_digest(tree)
    if digest != release.tree:
        raise _mismatch(f"the content of {name} {release.version} from {who}", release.tree, digest)
    return tree


def _canonical_digest(data: Bytes, limits: Limits) -> str | None:
    """Return the digest of an archive that was compressed after it was named; None if it cannot be unpacked."""
    try:
        return archive_digest(data, limits)
    except IntegrityError:
        return None


def _mismatch(what: str, expected: str, found: str) -> IntegrityError:
    return IntegrityError(
        f"{what}: sha256 is {found[:16]}…, expected {expected[:16]}…", hint=CHANGED, expected=expected, found=found
    )
