"""Releases, registries and projects, as most tests need them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm.index.path import release_of
from skillpm.layout.description import describe
from skillpm.layout.tree import MappingTree, Tree, tree_digest
from skillpm.storage.archive import build_archive
from skillpm.train.base_model import adapter_name
from tests.conftest import Project

MakeProject = Callable[..., Project]
"""The fixture ``project``."""


def skill_files(
    name: str = "demo", version: str = "1.0", requires: Mapping[str, str] | None = None, body: str = "Do it.\n"
) -> dict[str, Any]:
    """Return the files of a small skill for ``project``."""
    needs = "".join(f"  {other}: '{specifier}'\n" for other, specifier in (requires or {}).items())
    description = f"Shows {name} to people who test. Use when testing."
    return {
        "SKILL.md": f"---\nname: {name}\ndescription: {description}\n---\n{body}",
        "skill.yaml": f"manifest: 1\nversion: '{version}'\n" + (f"requires:\n{needs}" if needs else ""),
    }


def tree(files: Mapping[str, str]) -> MappingTree:
    """Return the tree of a skill's files."""
    return MappingTree({path: text.encode() for path, text in files.items()})


def publish(root: Path, *skills: Mapping[str, str], **options: Any) -> Path:
    """Add releases to the registry of a folder, made where there is none; options are write_registry's."""
    write_registry(root, map(tree, skills), **options)
    return root


def adapter_files(
    skill: Mapping[str, str],
    base: str = "acme/tiny",
    version: str = "1.0",
    weights: bytes = bytes(4),
    **configuration: Any,
) -> dict[str, Any]:
    """Return the files of a package of a skill's adapter, without a model; ``configuration`` adds to its own."""
    about = describe(tree(skill))
    name = adapter_name(about.name, base)
    shape = {"dtype": "F32", "shape": [len(weights) // 4], "data_offsets": [0, len(weights)]}
    header = json.dumps({"a.lora_A.weight": shape}).encode()
    data = {
        "adapter_config.json": json.dumps(
            {"peft_type": "LORA", "base_model_name_or_path": base, "target_modules": ["a"], **configuration}
        ).encode(),
        "adapter_model.safetensors": len(header).to_bytes(8, "little") + header + weights,
        "recipe.yaml": b"recipe: 1\n",
        "answers.jsonl": b"",
        "README.md": b"# An adapter\n",
    }
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in data.items()}
    taught = {"name": about.name, "version": about.version, "tree": tree_digest(tree(skill))}
    release = {
        "name": "run", "created": "2026-01-01", "kind": "adapter", "base_model": base, "skills": [taught], "data": {},
        "recipe": digests["recipe.yaml"], "rows": {}, "stages": [], "versions": {}, "files": digests,
    }  # fmt: skip
    manifest = f"manifest: 1\nversion: '{version}'\nadapter: {base}\nrequires: {{{about.name}: ''}}\n"
    return {
        "SKILL.md": f"---\nname: {name}\ndescription: An adapter of {base}. Not for agents.\n---\nWeights.\n",
        "skill.yaml": manifest,
        "adapter.json": json.dumps(release),
        **{path: content.decode("latin-1") for path, content in data.items()},
    }


def snapshot(root: Path) -> dict[str, str]:
    """Return the digest of every file below a folder, locks between processes left out."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def locked(place: Project) -> dict[str, str]:
    """Return the version of each skill in the lock of a project."""
    lock = json.loads((place.root / "skillpm.lock").read_text())
    return {item["name"]: item["version"] for item in lock["skills"]}


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry: base 1.0, 1.1 and 2.0; top needs base<2; other needs base>=2; lost needs what nobody has; plain."""
    bases = [skill_files("base", version) for version in ("1.0", "1.1", "2.0")]
    top, other = skill_files("top", requires={"base": ">=1,<2"}), skill_files("other", requires={"base": ">=2"})
    lost, plain = skill_files("lost", requires={"nowhere": ""}), skill_files("plain")
    return publish(tmp_path_factory.mktemp("stock") / "shop", *bases, top, other, lost, plain)


@pytest.fixture
def shop(tmp_path: Path, stock: Path) -> Path:
    """The registry ``stock``, for one test."""
    return Path(shutil.copytree(stock, tmp_path / "shop"))


def write_registry(
    root: Path,
    trees: Iterable[Tree],
    *,
    name: str = "local",
    yanked: Mapping[str, str] | None = None,
    published: str | None = None,
) -> None:
    """Publish trees to a registry folder, which is made if it is missing.

    Args:
        root: the folder.
        trees: skills, possibly with several versions of one name.
        name: of a new registry.
        yanked: reasons by ``name==version``.
        published: the time of the new releases, ISO 8601, or None.

    Raises:
        LayoutError: a tree is not a skill.
        ConflictError: a version is published with different content.
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
