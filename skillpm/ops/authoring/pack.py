"""``skillpm pack``: check a skill's folder and build its archive, as a registry keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from skillpm.errors import LayoutError, UsageError
from skillpm.formats.as_json import as_json
from skillpm.index.path import release_of
from skillpm.layout.description import UNVERSIONED
from skillpm.layout.rule import Rule
from skillpm.layout.scan import NO_ARCHIVE
from skillpm.layout.tree import FolderTree
from skillpm.model.finding import Report
from skillpm.model.name import parse_name
from skillpm.model.release import Release
from skillpm.ops.authoring.validate import RULES, validate_skill
from skillpm.ops.project.fetch import refuse_broken
from skillpm.storage.archive import build_archive


@dataclass(frozen=True, slots=True)
class Packed:
    """A skill that is ready to be published.

    Attributes:
        root: its folder.
        name: the published name, ``name`` or ``owner/name``.
        release: its entry in a registry's page.
        archive: the same bytes for the same tree, on every machine.
        report: of the check; warnings only.
    """

    root: Path
    name: str
    release: Release
    archive: bytes
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
            "findings": as_json(self.report.findings),
        }


def pack(root: Path, *, owner: str = "", extra: Sequence[Rule] = ()) -> Packed:
    """Check a skill's folder with every rule and build its archive; nothing is written.

    Args:
        root: the folder with SKILL.md.
        owner: goes in front of the name; may be empty.
        extra: rules of plugins.

    Raises:
        UsageError: there is no such folder, the owner is not a name, or the version cannot be published.
        LayoutError: the check found errors; ``details["findings"]`` has all findings.
        IntegrityError: a path cannot stand in an archive.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", hint="name the folder that holds SKILL.md")
    report = validate_skill(root, rules=(*RULES, *extra))
    if {finding.code for finding in report.errors} <= NO_ARCHIVE:
        refuse_broken(report, str(root))
    if not report.ok:
        count = len(report.errors)
        raise LayoutError(
            f"{root} has {count} error{'s' if count > 1 else ''}, so it is not packed",
            hint=f"run `skillpm validate {root}` and fix what it lists",
            findings=as_json(report.findings),
        )
    tree = FolderTree(root)
    archive = build_archive(tree)
    name, release = release_of(tree, archive)
    _refuse_version(name, release.version)
    return Packed(root, parse_name(f"{owner}/{name}") if owner else name, release, archive, report)


def _refuse_version(name: str, version: str) -> None:
    if version == UNVERSIONED:
        raise UsageError(f"{name} has no version", hint="run `skillpm version set 1.0.0`")
    if Version(version).local:
        raise UsageError(
            f"{name} {version} has a local part, which a registry does not accept",
            hint="remove the `+` and the text after it with `skillpm version set`",
        )
