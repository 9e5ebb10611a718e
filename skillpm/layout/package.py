"""Our own documents in a skill's tree, each read once, with every error that it has and none raised."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from skillpm.errors import DocumentError
from skillpm.formats.document import line_of, model_errors
from skillpm.formats.strict import NotJsonError, strict_json
from skillpm.formats.strict_yaml import MAX_DOCUMENT, read_yaml
from skillpm.formats.utf8_text import utf8_text
from skillpm.layout.description import foreign_documents
from skillpm.layout.tree import Tree, UnreadableFileError

if TYPE_CHECKING:
    from skillpm.model.contract import ContractDocument
    from skillpm.model.manifest import Manifest
    from skillpm.model.suite import Case, Suite
    from skillpm.model.synthesis import SynthesisDocument
    from skillpm.model.task import Seed

MAX_ROWS_FILE = 1 << 26  # bytes of one JSON Lines file
MAX_ERRORS = 50  # of one document; the rest is counted

D = TypeVar("D", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """A document that was read: its value, or the errors; ``value`` is None exactly where it could not be built.

    Attributes:
        root: the parsed YAML with its lines, where the document is YAML.
    """

    path: str
    value: T | None
    errors: tuple[DocumentError, ...] = ()
    root: Any = field(default=None, repr=False, compare=False)

    def line_of(self, location: tuple[int | str, ...]) -> int | None:
        """Return the line of the deepest part of a location that the document has."""
        return line_of(self.root, location)


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """One document among many in a file, and the line on which it stands; None if it is not known."""

    path: str
    line: int | None
    value: T


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A suite with its tasks: those of its own, or those of the file that it names."""

    read: Read[Suite]
    tasks: Read[tuple[Row[Seed], ...]]


class Package:
    """The documents of one tree, read when first asked for."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.paths = frozenset(tree.paths())
        self.documents = self.paths - foreign_documents(tree)

    @cached_property
    def manifest(self) -> Read[Manifest]:
        """skill.yaml."""
        from skillpm.model.manifest import Manifest

        return self._document(Manifest, "skill.yaml")

    @cached_property
    def contract(self) -> Read[ContractDocument]:
        """contract.yaml."""
        from skillpm.model.contract import ContractDocument

        return self._document(ContractDocument, "contract.yaml")

    @cached_property
    def synthesis(self) -> Read[SynthesisDocument]:
        """synthesis.yaml."""
        from skillpm.model.synthesis import SynthesisDocument

        return self._document(SynthesisDocument, "synthesis.yaml")

    @cached_property
    def seeds(self) -> tuple[Read[tuple[Row[Seed], ...]], ...]:
        """seeds/*.jsonl."""
        return tuple(self._seed_rows(path) for path in self._in_folder("seeds", (".jsonl",)))

    @cached_property
    def suites(self) -> tuple[SuiteFile, ...]:
        """suites/*.yaml with their tasks."""
        from skillpm.model.suite import Suite

        return tuple(
            self._with_tasks(self._document(Suite, path)) for path in self._in_folder("suites", (".yaml", ".yml"))
        )

    @cached_property
    def cases(self) -> Read[tuple[Row[Case], ...]]:
        """cases.jsonl."""
        from skillpm.model.suite import Case

        return self._rows(Case, "cases.jsonl")

    @cached_property
    def evals(self) -> Read[Any]:
        """evals/evals.json in either dialect; ``value`` is None and ``errors`` empty if the shape is unknown."""
        path = "evals/evals.json"
        try:
            root = strict_json(self._text(path, MAX_DOCUMENT).removeprefix("\ufeff"))
        except DocumentError as error:
            return Read(path, None, (error,))
        except ValueError as error:
            return Read(path, None, (DocumentError(f"not JSON: {error}", path=path, line=_json_line(error)),))
        return _evals(root, path)

    def _in_folder(self, folder: str, endings: tuple[str, ...]) -> list[str]:
        return sorted(path for path in self.paths if posixpath.dirname(path) == folder and path.endswith(endings))

    def _text(self, path: str, limit: int) -> str:
        try:
            return utf8_text(self.tree.head(path, limit + 1), path, most=limit)
        except UnreadableFileError as error:
            raise DocumentError(error.reason, path=path) from None

    def _document(self, model: type[D], path: str) -> Read[D]:
        try:
            root = read_yaml(self._text(path, MAX_DOCUMENT), path=path)
        except DocumentError as error:
            return Read(path, None, (error,))
        if not isinstance(root, dict):
            return Read(path, None, (DocumentError("must be a mapping", path=path, line=1),))
        value, errors = _validated(model, root, path)
        return Read(path, value, tuple(_bounded(errors, path)), root)

    def _seed_rows(self, path: str) -> Read[tuple[Row[Seed], ...]]:
        from skillpm.model.task import Seed

        return self._rows(Seed, path)

    def _rows(self, model: type[D], path: str) -> Read[tuple[Row[D], ...]]:
        try:
            text = self._text(path, MAX_ROWS_FILE)
        except DocumentError as error:
            return Read(path, None, (error,))
        rows: list[Row[D]] = []
        errors: list[DocumentError] = []
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                root = strict_json(line)
            except ValueError as error:
                errors.append(DocumentError(f"not JSON: {error}", path=path, line=number))
                continue
            value, problems = _validated(model, root, path, line=number)
            errors += problems
            if value is not None:
                rows.append(Row(path, number, value))
        return Read(path, tuple(rows), tuple(_bounded(errors, path)))

    def _with_tasks(self, suite: Read[Suite]) -> SuiteFile:
        tasks = suite.value.tasks if suite.value else ()
        if not isinstance(tasks, str):
            rows = [Row(suite.path, suite.line_of(("tasks", place)), seed) for place, seed in enumerate(tasks)]
            return SuiteFile(suite, Read(suite.path, tuple(rows)))
        path = self._resolved(tasks, suite.path)
        if path is None:
            line, message = suite.line_of(("tasks",)), f"`tasks`: there is no file `{tasks[:200]}` in this skill"
            problem = DocumentError(message, path=suite.path, line=line)
            return SuiteFile(suite, Read(suite.path, None, (problem,)))
        return SuiteFile(suite, self._seed_rows(path))

    def _resolved(self, tasks: str, suite_path: str) -> str | None:
        """Return the file that a suite names: relative to the suite's folder, or to the skill."""
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(suite_path), tasks))
        return next((path for path in (beside, posixpath.normpath(tasks)) if path in self.paths), None)


def _validated(
    model: type[D], root: Any, path: str, *, line: int | None = None
) -> tuple[D | None, list[DocumentError]]:
    try:
        return model.model_validate(root), []
    except ValidationError as error:
        return None, model_errors(error, root, path=path, line=line, model=model)


def _bounded(errors: list[DocumentError], path: str) -> Iterator[DocumentError]:
    yield from errors[:MAX_ERRORS]
    if len(errors) > MAX_ERRORS:
        yield DocumentError(f"and {len(errors) - MAX_ERRORS} more errors", path=path)


def _json_line(error: ValueError) -> int | None:
    return error.line if isinstance(error, NotJsonError) else None


def _evals(root: Any, path: str) -> Read[Any]:
    """Read either dialect: the mapping of agentskills.io, or NVIDIA/skills' list of questions."""
    from skillpm.model.suite import AgentSkillsEvals, NvidiaEval

    if isinstance(root, dict) and "evals" in root:
        value, errors = _validated(AgentSkillsEvals, root, path)
        return Read(path, value, tuple(_bounded(errors, path)))
    if isinstance(root, list) and root and all(isinstance(row, dict) and "question" in row for row in root):
        pairs = [_validated(NvidiaEval, row, path) for row in root]
        errors = [
            DocumentError(f"[{index}] {error.rule}", path=path)
            for index, (_, problems) in enumerate(pairs)
            for error in problems
        ]
        return Read(path, tuple(value for value, _ in pairs), tuple(_bounded(errors, path)))
    return Read(path, None)
