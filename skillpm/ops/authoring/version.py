"""``skillpm version``: read a skill's version, and write it into every file that has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skillpm.errors import DocumentError, UsageError
from skillpm.layout.description import describe, has_manifest, skill_file
from skillpm.layout.edit import with_frontmatter_value, with_value
from skillpm.layout.source_tree import SourceTree
from skillpm.layout.tree import MappingTree
from skillpm.model.requirement import parse_version
from skillpm.storage.files import read_text, write_atomic

_MANIFEST = "skill.yaml"


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A skill's version before and after, and the files that have it."""

    name: str
    before: str
    after: str
    files: tuple[str, ...]
    dry_run: bool = False


def version_of(root: Path) -> tuple[str, str]:
    """Return (name, version) of a skill's folder; the version is "0" if it has none.

    Raises:
        UsageError: there is no such folder.
        LayoutError: it is not a skill.
        DocumentError: its skill.yaml is invalid.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", hint="name the folder that holds SKILL.md")
    description = describe(SourceTree(root), place=root.resolve())
    return description.name, description.version


def set_version(root: Path, version: str, *, dry_run: bool = False) -> VersionChange:
    """Write a version into skill.yaml, and into ``metadata.version`` of SKILL.md if it is there; nothing else changes.

    A skill without any version gets a skill.yaml. SKILL.md is written first, so that the same command completes a run
    that was killed between the two files.

    Raises:
        UsageError: it is not a version, or there is no such folder.
        LayoutError: it is not a skill.
        DocumentError: a file cannot be changed without touching more than the version.
    """
    version = str(parse_version(version.strip()))  # `v1.0` is 1.0, as releases and tags of a registry are called
    name, before = version_of(root)
    tree = SourceTree(root)
    texts = _edited(tree, version)
    _refuse_other(tree, texts, version)
    if not dry_run:
        for path, text in texts.items():
            write_atomic(Path(tree.place(path)), text)
    return VersionChange(name, before, version, tuple(texts), dry_run)


def _edited(tree: SourceTree, version: str) -> dict[str, str]:
    """Return the new text of each file with the version, SKILL.md first."""
    root = tree.root
    document = skill_file(tree.paths()) or "SKILL.md"
    texts = {}
    edited = with_frontmatter_value(read_text(root / document), ("metadata", "version"), version, path=document)
    if edited is not None:
        texts[document] = edited
    if has_manifest(tree):
        manifest = with_value(read_text(root / _MANIFEST), ("version",), version, path=_MANIFEST)
        if manifest is None:
            raise DocumentError("missing key `version`", path=_MANIFEST)
        texts[_MANIFEST] = manifest
    if not texts and (root / _MANIFEST).exists():
        raise DocumentError("is of another program", path=_MANIFEST, hint="add `metadata.version` to SKILL.md")
    return texts or {_MANIFEST: f'manifest: 1\nversion: "{version}"\n'}


def _refuse_other(tree: SourceTree, texts: dict[str, str], version: str) -> None:
    """Raise DocumentError if the edited files would be read as another version."""
    files = {path: tree.read(path) for path in tree.paths() if path in ("SKILL.md", "skill.md", _MANIFEST)}
    result = describe(MappingTree(files | {path: text.encode() for path, text in texts.items()})).version
    if result != version:
        path = next(iter(texts))
        raise DocumentError(f"the version would be read as {result}, not {version}", path=path, hint="edit it by hand")
