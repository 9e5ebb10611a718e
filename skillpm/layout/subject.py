"""What the rules look at: one tree, with SKILL.md read and taken apart once."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING, Any

from skillpm.errors import DocumentError
from skillpm.formats.strict import Table
from skillpm.formats.utf8_text import utf8_text
from skillpm.layout.contents import Contents, read_contents
from skillpm.layout.description import MAX_SKILL_TEXT, has_manifest, skill_file
from skillpm.layout.filenames import ADAPTER
from skillpm.layout.frontmatter import Frontmatter, Parts, read_frontmatter, split
from skillpm.layout.tree import MappingTree, Tree, UnreadableFileError
from skillpm.model.finding import Problem

if TYPE_CHECKING:
    from skillpm.layout.package import Package
    from skillpm.model.manifest import Manifest

OUR_DOCUMENTS = frozenset(
    {"skill.yaml", "contract.yaml", "synthesis.yaml", "cases.jsonl", "verifier.py", "plugin.py", "evals/evals.json"}
)
OUR_FOLDERS = ("seeds/", "suites/")
_LINE_END = re.compile(r"\r\n?")
_NULL = re.compile(r"^([A-Za-z-]+: +)(null|Null|NULL|~)(?= *$)", re.MULTILINE)


class Subject:
    """A tree under examination; ``folder`` is the name of its folder, or None, as in an archive."""

    def __init__(self, tree: Tree, folder: str | None) -> None:
        self.tree = tree
        self.folder = folder
        self.paths = tree.paths()
        self.files = frozenset(self.paths)
        self.skill_path = skill_file(self.paths)

    @cached_property
    def _data(self) -> bytes | Problem:
        """The first bytes of SKILL.md, one more than are allowed."""
        assert self.skill_path is not None
        try:
            return self.tree.head(self.skill_path, MAX_SKILL_TEXT + 1)
        except UnreadableFileError as error:
            return Problem(error.reason)

    @cached_property
    def _read(self) -> str | Problem:
        """The text of SKILL.md, or why it cannot be read."""
        data = self._data
        if isinstance(data, Problem):
            return data
        try:
            return utf8_text(data, most=MAX_SKILL_TEXT)
        except DocumentError as error:
            return Problem(error.rule, error.line, hint=error.hint or "move detail into references/")

    @property
    def unreadable(self) -> Problem | None:
        """Why SKILL.md is not text, or None if it is or is missing."""
        return self._read if self.skill_path and isinstance(self._read, Problem) else None

    @property
    def text(self) -> str | None:
        """SKILL.md, whole."""
        return self._read if self.skill_path and isinstance(self._read, str) else None

    @cached_property
    def parts(self) -> Parts:
        """SKILL.md, split."""
        return split(self.text or "")

    @cached_property
    def frontmatter(self) -> Frontmatter:
        """What its frontmatter says."""
        return read_frontmatter(self.parts)

    @cached_property
    def reference(self) -> Subject | None:
        """What the reference validator sees: it ends the frontmatter at any ``---`` and reads every scalar as text.

        It is this subject where both read the same, and None if the reference finds no frontmatter.
        """
        parts = _LINE_END.sub("\n", self.text or "").split("---", 2)
        if len(parts) < 3 or parts[0]:
            return None
        yaml = _NULL.sub(r"\1'\2'", parts[1]).strip(" \n")
        if self.parts.yaml is not None and yaml == self.parts.yaml.replace("\r\n", "\n").strip(" \n"):
            return self
        return Subject(MappingTree({"SKILL.md": f"---\n{yaml}\n---\n".encode()}), self.folder)

    @cached_property
    def fields(self) -> Table | None:
        """The frontmatter as a mapping, or None if it is none."""
        value = self.frontmatter.value if self.text is not None else None
        return value if isinstance(value, Table) else None

    @cached_property
    def contents(self) -> Contents:
        """What is in the bytes of every file, SKILL.md too; each is read once."""
        data = self._data if self.skill_path else None
        whole = isinstance(data, bytes) and len(data) <= MAX_SKILL_TEXT
        known = {self.skill_path: data} if whole else {}
        return read_contents(self.tree, known, self.weights)  # type: ignore[arg-type]

    @cached_property
    def weights(self) -> frozenset[str]:
        """The weights of a package that is an adapter; none of any other."""
        if ADAPTER not in self.files or self.adapter is None:
            return frozenset()
        return frozenset(path for path in self.paths if path.endswith(".safetensors"))

    @property
    def adapter(self) -> str | None:
        """The base model of a package that is an adapter, as its skill.yaml says; None if it is none."""
        return self.manifest.adapter if self.manifest else None

    @property
    def required(self) -> frozenset[str]:
        """The names of the skills that skill.yaml requires."""
        return frozenset(self.manifest.requires) if self.manifest else frozenset()

    @property
    def manifest(self) -> Manifest | None:
        """The skill.yaml of a package; None if there is none, or it cannot be read."""
        return self.package.manifest.value if self.package and self.is_package else None

    def field(self, name: str) -> Any:
        """Return a field of the frontmatter, None if there is none."""
        return None if self.fields is None else self.fields.get(name)

    @cached_property
    def name(self) -> str:
        """The field ``name`` in its composed form (NFKC), without white space around; empty if there is none."""
        name = self.field("name")
        return unicodedata.normalize("NFKC", name.strip()) if isinstance(name, str) else ""

    @cached_property
    def is_package(self) -> bool:
        """Does it have a package manifest of ours?"""
        return has_manifest(self.tree)

    @cached_property
    def package(self) -> Package | None:
        """Our own documents; None if there are none, so that a plain skill costs no models."""
        if not any(path in OUR_DOCUMENTS or path.startswith(OUR_FOLDERS) for path in self.paths):
            return None
        from skillpm.layout.package import Package

        return Package(self.tree)
