"""``skillpm pack``: check a skill's folder and build its archive, as a registry keeps it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.version import Version

from skillpm.errors import LayoutError, UsageError
from skillpm.formats.as_json import as_json
from skillpm.formats.gathered import Bytes
from skillpm.index.path import release_of
from skillpm.layout.rule import Level, Rule
from skillpm.layout.scan import NO_ARCHIVE
from skillpm.layout.source_tree import SourceTree
from skillpm.model.finding import Report
from skillpm.model.name import UNVERSIONED, parse_name
from skillpm.model.release import Release
from skillpm.ops.authoring.validate import PUBLISH_RULES, validate_skill
from skillpm.ops.project.fetch import refuse_broken
from skillpm.storage.archive import build_archive, compressed
from skillpm.trust.allowance import NOTHING, Allowance, refuse_unmet


@dataclass(frozen=True, slots=True)
class Packed:
    """A skill that is ready to be published.

    Attributes:
        tree: the files of the package, and the names of what is left out.
        name: the published name, ``name`` or ``owner/name``.
        release: its entry in a registry's page.
        report: of the check; warnings only.
    """

    root: Path
    tree: SourceTree
    name: str
    release: Release
    archive: Bytes
    report: Report

    @property
    def file_name(self) -> str:
        """The archive's file name: ``name-version.tar.gz``."""
        return f"{self.name.rpartition('/')[2]}-{self.release.version}.tar.gz"

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "name": self.name,
            "version": self.release.version,
            "archive": self.release.archive,
            "tree": self.release.tree,
            "size": self.release.size,
            "requires": self.release.requires,
            "files": self.tree.paths(),
            "left_out": self.tree.uncounted(),
            "findings": as_json(self.report.findings),
        }


def pack(root: Path, *, owner: str = "", extra: Sequence[Rule] = (), allow: Allowance = NOTHING) -> Packed:
    """Check a skill's folder with every rule of level ``publish`` and build its archive; nothing is written.

    ``owner`` goes in front of the name, ``extra`` are rules of plugins, and ``allow`` the findings that the author
    accepts.

    Raises:
        UsageError: there is no such folder, the owner is not a name, or the version cannot be published.
        UnknownSkillError: findings of another skill are accepted.
        LayoutError: the check found errors; ``details["findings"]`` has all findings.
        IntegrityError: a path cannot stand in an archive.
    """
    tree = source_files(root)
    report = validate_skill(root, level=Level.PUBLISH, rules=(*PUBLISH_RULES, *extra), tree=tree)
    refuse_unmet(allow.skills, [report.name or ""])
    report = report.letting(allow.codes(report.name or ""))
    if {finding.code for finding in report.errors} <= NO_ARCHIVE:
        refuse_broken(report, str(root))
    if not report.ok:
        count = len(report.errors)
        raise LayoutError(
            f"{root} has {count} error{'s' if count > 1 else ''}, so it is not packed",
            hint=f"run `skillpm validate {shlex.quote(str(root))} --level publish` and fix what it lists",
            findings=as_json(report.findings),
        )
    canonical = build_archive(tree)
    name, release = release_of(tree, canonical)
    archive = compressed(canonical)
    release = replace(release, size=len(archive))
    _refuse_version(root, name, release.version)
    return Packed(root, tree, parse_name(f"{owner}/{name}") if owner else name, release, archive, report)


def source_files(root: Path) -> SourceTree:
    """Return the files of a working folder that a package has. Raises UsageError if there is no such folder."""
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", hint="name the folder that holds SKILL.md")
    return SourceTree(root, keep=True)


def archive_target(packed: Packed, output: str, folder: Path) -> Path:
    """Return where an archive is written, which is never a file of the next package.

    ``output`` is a file, or a folder with ``/`` at its end. By default the archive is written into the working
    directory ``folder``, or, from within the packed folder, beside that folder.

    Raises:
        UsageError: the file would be a part of the package.
    """
    root = packed.root.resolve()
    if not output:
        inside = folder.resolve().is_relative_to(root)
        return (Path(os.path.relpath(root.parent, folder)) if inside else Path()) / packed.file_name
    target = Path(output)
    if output.endswith("/") or target.is_dir():
        target = target / packed.file_name
    place = (folder / target.parent).resolve() / target.name
    if place.is_relative_to(root) and not packed.tree.leaves_out(place.relative_to(root).as_posix()):
        raise UsageError(
            f"{target} is inside the packed folder, so the next package would hold it",
            hint="name a path outside of it, or add the path to .skillpmignore",
        )
    return target


def _refuse_version(root: Path, name: str, version: str) -> None:
    if version == UNVERSIONED:
        raise UsageError(f"{name} has no version", hint=f"run `skillpm version set 1.0.0 {shlex.quote(str(root))}`")
    if Version(version).local:
        raise UsageError(
            f"{name} {version} has a local part, which a registry does not accept",
            hint=f"run `skillpm version set {Version(version).public} {shlex.quote(str(root))}`",
        )
