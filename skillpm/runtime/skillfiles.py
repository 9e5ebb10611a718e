"""The documents of an unpacked skill, read as data: the first error is raised. No skill code runs here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import TYPE_CHECKING, TypeVar

from skillpm.contract.contract import Contract
from skillpm.errors import DocumentError
from skillpm.layout.description import has_manifest
from skillpm.layout.filenames import CODE
from skillpm.layout.package import Package, Read, Row
from skillpm.layout.source_tree import skill_tree
from skillpm.model.skill import Skill
from skillpm.model.task import Seed

if TYPE_CHECKING:  # a worker reads few of them, and would wait for the imports of all
    from skillpm.model.manifest import Manifest
    from skillpm.model.suite import Case, Suite
    from skillpm.model.synthesis import SynthesisDocument

T = TypeVar("T")


class SkillFiles:
    """A skill's documents, read when they are asked for; links are never followed.

    Every reader raises DocumentError, with path and line, where a document is wrong.
    """

    def __init__(self, skill: Skill) -> None:
        self.skill = skill
        self._tree = skill_tree(skill)
        self._package = Package(self._tree)

    def irregular(self) -> dict[str, str]:
        """Return what keeps the skill from running: path to what it is, with an article."""
        kinds = {path: f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for path, kind in self._tree.irregular().items()}
        return kinds | _twins(self._package.paths)

    def code(self) -> list[str]:
        """Return the files that a worker executes: the one rule, for consent, for workers and for descriptions."""
        return [name for name in CODE if name in self._package.paths]

    def modules(self) -> list[str]:
        """Return the other Python files, which those may import."""
        return [path for path in self._package.paths if path.endswith(".py") and path not in CODE]

    def manifest(self) -> Manifest | None:
        """Return skill.yaml, or None if there is none of ours."""
        return self._value(self._package.manifest) if has_manifest(self._package.tree) else None

    def contract(self) -> Contract | None:
        """Return contract.yaml, compiled."""
        if "contract.yaml" not in self._package.documents:
            return None
        document = self._value(self._package.contract)
        try:
            return Contract(document)
        except DocumentError as error:
            raise DocumentError(error.rule, path=self._place("contract.yaml"), hint=error.hint) from None

    def synthesis(self) -> SynthesisDocument | None:
        """Return synthesis.yaml."""
        return self._value(self._package.synthesis) if "synthesis.yaml" in self._package.documents else None

    def seeds(self) -> tuple[Seed, ...]:
        """Return the rows of seeds/*.jsonl, file by file."""
        return tuple(row.value for row in self.seed_rows())

    def seed_rows(self) -> tuple[Row[Seed], ...]:
        """Return the rows of seeds/*.jsonl with their lines."""
        return tuple(row for read in self._package.seeds for row in self._value(read))

    def suite_rows(self) -> tuple[Row[Seed], ...]:
        """Return the tasks of suites/*.yaml with their lines, where those are known."""
        return tuple(row for file in self._package.suites for row in self._value(file.tasks))

    def case_rows(self) -> tuple[Row[Case], ...]:
        """Return the rows of cases.jsonl with their lines; none where the skill has no such file."""
        return self._value(self._package.cases) if "cases.jsonl" in self._package.paths else ()

    def suites(self) -> tuple[Suite, ...]:
        """Return suites/*.yaml with their tasks inline."""
        suites = []
        for file in self._package.suites:
            tasks = tuple(row.value for row in self._value(file.tasks))
            suites.append(self._value(file.read).model_copy(update={"tasks": tasks}))
        return tuple(suites)

    def _value(self, read: Read[T]) -> T:
        if read.errors or read.value is None:
            first = read.errors[0] if read.errors else DocumentError("cannot be read", path=read.path)
            raise DocumentError(first.rule, path=self._place(first.path or read.path), line=first.line, hint=first.hint)
        return read.value

    def _place(self, path: str) -> str:
        return f"{self.skill.name}/{path}"


def _twins(paths: Collection[str]) -> dict[str, str]:
    """Return the files and folders that are one on a disk that ignores case."""
    entries = {path[:end] for path in paths for end in (*(m.start() for m in re.finditer("/", path)), len(path))}
    twins: dict[str, str] = {}
    spellings: dict[str, str] = {}
    for entry in sorted(entries):
        other = spellings.setdefault(unicodedata.normalize("NFC", entry).casefold(), entry)
        if other != entry:
            twins[entry] = f"the same as {other} where a disk ignores case"
    return twins
