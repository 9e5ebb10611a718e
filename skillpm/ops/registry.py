"""Writes a registry folder out of trees, in the static layout that ``skillpm.index.directory`` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from skillpm.errors import RegistryError
from skillpm.index.directory import DirectoryIndex, archive_path, page_path
from skillpm.index.path import release_of
from skillpm.layout.tree import Tree
from skillpm.model.document import Document
from skillpm.model.release import Page, RegistryConfig, Release
from skillpm.storage.archive import build_archive
from skillpm.storage.files import write_atomic

__all__ = ["write_registry"]


def write_registry(
    root: Path, trees: Iterable[Tree], *, name: str = "local", yanked: Mapping[str, str] | None = None
) -> None:
    """Add releases to a registry folder; makes it where it is missing. Archives are written before pages.

    Args:
        root: the folder.
        trees: skills; several versions of one name may be among them.
        name: what config.json calls a new registry.
        yanked: reasons by ``name==version``.

    Raises:
        LayoutError: a tree is not a skill.
        RegistryError: a version is there already with another content; it is never replaced.
        StorageError: the disk refused.
    """
    if not (root / "config.json").exists():
        _write(root / "config.json", RegistryConfig(registry=1, name=name))
    index = DirectoryIndex(root, name)
    for tree in trees:
        archive = build_archive(tree)
        skill, release = release_of(tree, archive)
        reason = (yanked or {}).get(f"{skill}=={release.version}")
        write = release.model_copy(update={"yanked": reason}) if reason else release
        page = _with(index.page(skill) or Page(name=skill), write)
        write_atomic(root / archive_path(release.archive), archive)
        _write(root / page_path(skill), page)


def _with(page: Page, release: Release) -> Page:
    same = next((item for item in page.releases if item.version == release.version), None)
    if same is not None and same.tree != release.tree:
        raise RegistryError(
            f"{page.name} {release.version} is published with another content", hint="publish it as a new version"
        )
    others = tuple(item for item in page.releases if item.version != release.version)
    return Page(name=page.name, releases=(*others, release))


def _write(path: Path, document: Document) -> None:
    content = document.model_dump(mode="json", exclude_none=True)
    write_atomic(path, json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
