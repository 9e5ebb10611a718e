"""``skillpm version``: what version a skill has, and giving it the next one, in every file that says it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import DocumentError, UsageError
from skillpm.layout.description import describe, skill_file
from skillpm.layout.edit import with_frontmatter_value, with_value
from skillpm.layout.tree import FolderTree, MappingTree
from skillpm.model.requirement import parse_version
from skillpm.storage.files import read_text, write_atomic

_MANIFEST = "skill.yaml"


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A skill's version before and after, and the files that say it."""

    name: str
    before: str
    after: str
    files: tuple[str, ...]
    dry_run: bool = False

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "name": self.name,
            "before": self.before,
            "after": self.after,
            "files": list(self.files),
            "dry_run": self.dry_run,
        }


def version_of(root: Path) -> tuple[str, str]:
    """Return (name, version) of a skill's folder; the version is "0" where it says none.

    Raises:
        UsageError: there is no such folder.
        LayoutError: it is not a skill.
        DocumentError: its skill.yaml is invalid.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", hint="name the folder that holds SKILL.md")
    found = describe(FolderTree(root), place=root.resolve())
    return found.name, found.version


def set_version(root: Path, version: str, *, dry_run: bool = False) -> VersionChange:
    """Write a version into skill.yaml, and into SKILL.md's ``metadata.version`` where that is; nothing else changes.

    A skill that says no version anywhere gets a skill.yaml. SKILL.md is written first: a run that is killed between the
    two leaves what the same command completes.

    Raises:
        UsageError: it is no version, or there is no such folder.
        LayoutError: it is not a skill.
        DocumentError: a file cannot be changed without touching more than the version.
        StorageError: the disk refused.
    """
    version = version.strip()
    parse_version(version)
    name, before = version_of(root)
    texts = _edited(root, version)
    _refuse_other(root, texts, version)
    if not dry_run:
        for path, text in texts.items():
            _write(root / path, text)
    return VersionChange(name, before, version, tuple(texts), dry_run)


def _edited(root: Path, version: str) -> dict[str, str]:
    """Return the new text of each file that says the version, SKILL.md first."""
    document = skill_file(FolderTree(root).paths()) or "SKILL.md"
    texts = {}
    edited = with_frontmatter_value(read_text(root / document), ("metadata", "version"), version, path=document)
    if edited is not None:
        texts[document] = edited
    if (root / _MANIFEST).is_file():
        manifest = with_value(read_text(root / _MANIFEST), ("version",), version, path=_MANIFEST)
        if manifest is None:
            raise DocumentError("missing key `version`", path=_MANIFEST)
        texts[_MANIFEST] = manifest
    return texts or {_MANIFEST: f'manifest: 1\nversion: "{version}"\n'}


def _refuse_other(root: Path, texts: dict[str, str], version: str) -> None:
    """Raise DocumentError where the edited files would not be read as they are meant."""
    tree = FolderTree(root)
    files = {path: tree.read(path) for path in tree.paths() if path in ("SKILL.md", "skill.md", _MANIFEST)}
    found = describe(MappingTree(files | {path: text.encode() for path, text in texts.items()})).version
    if found != version:
        path = next(iter(texts))
        raise DocumentError(f"its version would be read as {found}, not {version}", path=path, hint="edit it by hand")


def _write(path: Path, text: str) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    write_atomic(path, text, mode=mode)
