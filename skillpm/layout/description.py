"""What a package manager needs to know of a tree before it installs, lists or shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skillpm.errors import DocumentError, LayoutError, UsageError
from skillpm.formats.utf8_text import utf8_text
from skillpm.layout.frontmatter import BYTE_ORDER_MARK, read_frontmatter, split
from skillpm.layout.tree import Tree, UnreadableFileError
from skillpm.model.name import UNVERSIONED, is_name

if TYPE_CHECKING:
    from skillpm.model.manifest import Manifest

MAX_SKILL_TEXT = 1 << 20  # bytes of SKILL.md
MANIFEST = "skill.yaml"
_KEY = rb"""^(?:\xef\xbb\xbf)?[ \t{]*["']?%s["']?[ \t]*:"""
FORMAT_KEYS = {MANIFEST: "manifest", "contract.yaml": "contract", "synthesis.yaml": "synthesis"}


@dataclass(frozen=True, slots=True)
class Description:
    """A skill, as its own files describe it.

    Attributes:
        name: SKILL.md's, a name that can be installed.
        description: SKILL.md's, one paragraph.
        version: skill.yaml's, else SKILL.md's ``metadata.version`` where it follows PEP 440, else "0".
        manifest: skill.yaml, or None for a folder without one of ours.
        body: SKILL.md without its frontmatter.
    """

    name: str
    description: str
    version: str
    manifest: Manifest | None
    body: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What a lock repeats of a skill: name, version, required skills, hooks, and the base model of an adapter."""

    name: str
    version: str
    requires: dict[str, str]
    hooks: int
    adapter: str | None = None


def identity(tree: Tree) -> Identity:
    """Return the identity of an installable skill. It reads skill.yaml without its model, which takes long to import.

    Raises:
        LayoutError: the tree is not a skill that can be installed.
        DocumentError: skill.yaml is not YAML.
        StorageError: a file cannot be read.
    """
    root = _manifest_keys(tree)
    if root is None:
        about = describe(tree)
        return Identity(about.name, about.version, about.manifest.requires if about.manifest else {}, 1)
    from skillpm.model.requirement import canonical_version  # which no worker needs

    name, _, _, _ = _skill(tree, "")
    requires, hooks = dict(root.get("requires") or {}), int(root.get("hooks") or 1)
    return Identity(name, canonical_version(str(root["version"])), requires, hooks, root.get("adapter"))


def _manifest_keys(tree: Tree) -> dict[str, Any] | None:
    """Return the keys of skill.yaml, or None if it is missing or belongs to another program."""
    if not has_manifest(tree):
        return None
    from skillpm.formats.strict_yaml import read_yaml

    root = read_yaml(tree.read("skill.yaml").decode("utf-8").removeprefix(BYTE_ORDER_MARK), path="skill.yaml")
    return root if isinstance(root, dict) and {"manifest", "version"} <= root.keys() else None


def skill_file(paths: list[str]) -> str | None:
    """Return the path of SKILL.md, or of the lower-case ``skill.md`` that clients read too, or None."""
    return next((name for name in ("SKILL.md", "skill.md") if name in paths), None)


def has_manifest(tree: Tree) -> bool:
    """Is there a skill.yaml of ours? Other programs have files of that name, without the key ``manifest``."""
    return MANIFEST in tree.paths() and _has_key(tree, MANIFEST)


def foreign_documents(tree: Tree) -> frozenset[str]:
    """Return the documents that have a name of ours and belong to another program: they lack the key of the format.

    Where skill.yaml is ours, the other documents are ours as well: a missing key is a mistake.
    """
    present = {path for path in FORMAT_KEYS if path in tree.paths()}
    if not present or (MANIFEST in present and _has_key(tree, MANIFEST)):
        return frozenset()
    return frozenset(path for path in present if path == MANIFEST or not _has_key(tree, path))


def _has_key(tree: Tree, path: str) -> bool:
    try:
        return re.search(_KEY % FORMAT_KEYS[path].encode(), tree.head(path, MAX_SKILL_TEXT), re.MULTILINE) is not None
    except UnreadableFileError:
        return True


def describe(tree: Tree, *, place: object = "") -> Description:
    """Read name, description, version, manifest and body; `place` is what a message calls the tree.

    Raises:
        LayoutError: the tree is not a skill that can be installed.
        DocumentError: skill.yaml is invalid.
        StorageError: a file cannot be read.
    """
    name, description, fields, body = _skill(tree, place)
    manifest = _manifest(tree) if has_manifest(tree) else None
    version = manifest.version if manifest else _version(fields.get("metadata"))
    return Description(name, description, version, manifest, body)


def _skill(tree: Tree, place: object) -> tuple[str, str, dict[str, Any], str]:
    """Return the name, the description, the fields and the body of SKILL.md. Raises LayoutError."""
    path = skill_file(tree.paths())
    if path is None:
        raise LayoutError(
            f"no SKILL.md in {place}" if place else "no SKILL.md",
            hint="a skill is a folder with a SKILL.md; `skillpm new NAME` makes one",
        )
    parts = split(_text(tree, path))
    frontmatter = read_frontmatter(parts)
    fields = frontmatter.value
    if not frontmatter.readable or not isinstance(fields, dict):
        reason = frontmatter.error.rule if frontmatter.error else "the frontmatter is missing, or is not a mapping"
        raise _unreadable(path, reason)
    name, description = _field(fields, "name", path), " ".join(_field(fields, "description", path).split())
    if not is_name(name) or "/" in name:
        raise LayoutError(
            f"{path}: `{name[:80]}` is not a name that can be installed",
            hint="a name is lowercase ASCII letters, digits and single hyphens, 1 to 64 characters",
        )
    return name, description, fields, parts.body.lstrip("\r\n")


def _text(tree: Tree, path: str) -> str:
    try:
        return utf8_text(tree.head(path, MAX_SKILL_TEXT + 1), most=MAX_SKILL_TEXT).removeprefix(BYTE_ORDER_MARK)
    except DocumentError as error:
        raise _unreadable(path, error.rule) from None


def _field(fields: dict[str, Any], name: str, path: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _unreadable(path, f"no `{name}`")
    return value.strip()


def _unreadable(path: str, reason: str) -> LayoutError:
    return LayoutError(f"{path}: {reason}", hint="`skillpm validate` lists everything that is wrong")


def _manifest(tree: Tree) -> Manifest:
    from skillpm.layout.package import Package

    read = Package(tree).manifest
    if read.value is None:
        raise read.errors[0]
    return read.value


def _version(metadata: Any) -> str:
    from skillpm.model.requirement import parse_version  # which no worker needs

    text = metadata.get("version") if isinstance(metadata, dict) else None
    try:
        if not isinstance(text, str):
            return UNVERSIONED
        return str(parse_version(text))
    except UsageError:
        return UNVERSIONED
