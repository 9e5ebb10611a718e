"""``skillpm validate``: check layout, documents, and examples against the contract. Runs no skill's code."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillpm.errors import DocumentError, SkillpmError, StorageError
from skillpm.formats.utf8_text import utf8_text
from skillpm.layout import check
from skillpm.layout.description import MAX_SKILL_TEXT, skill_file
from skillpm.layout.discovery import MAX_FOLDERS, discover, skill_folder
from skillpm.layout.mend import mend
from skillpm.layout.rule import Level, Rule, RuleSet
from skillpm.layout.rules import publication
from skillpm.layout.source_tree import SourceTree
from skillpm.layout.subject import Subject
from skillpm.model.answer_kind import kind_of
from skillpm.model.finding import Finding, Problem, Report, Severity
from skillpm.model.name import did_you_mean
from skillpm.model.source import in_folder
from skillpm.ops.authoring.task_rules import MAX_PROBLEMS, TASK_RULES, compiled_contract, seed_rows, suite_rows
from skillpm.storage.files import write_atomic

if TYPE_CHECKING:
    from skillpm.layout.package import Read, Row

CONTRACT_RULES = RuleSet()
_ANY_FOLDER = "name a folder with a SKILL.md, or a folder of such folders"


@CONTRACT_RULES.install_error(
    "SK551",
    "contract.yaml cannot be compiled",
    why="A schema or the prompt's template is wrong, so no answer can be judged.",
)
def uncompilable_contract(subject: Subject) -> Iterator[Problem]:
    """What only building the contract shows."""
    read = subject.package.contract if subject.package else None
    if read is None or read.value is None:
        return
    from skillpm.contract.contract import Contract
    from skillpm.contract.prompt import render_prompt
    from skillpm.contract.schema import SchemaError, ToolSchema

    document = read.value
    parts: list[tuple[tuple[str | int, ...], Callable[[], object]]] = [
        (("system_prompt",), partial(render_prompt, document.system_prompt, document.tools, document.answers)),
        *((("tools", number, "input_schema"), partial(ToolSchema, tool)) for number, tool in enumerate(document.tools)),
        ((), partial(Contract, document)),
    ]
    is_right = True
    for place, compile_part in parts:
        try:
            if place or is_right:
                compile_part()
        except DocumentError as error:
            is_right, inside = False, error.place if isinstance(error, SchemaError) else ()
            yield Problem(error.rule, read.line_of((*place, *inside)), read.path, error.hint)


@CONTRACT_RULES.install_error(
    "SK552",
    "seed breaks the contract",
    why="A model would be trained on an answer that the skill's own verifier refuses.",
)
def seed_breaks_contract(subject: Subject) -> Iterator[Problem]:
    """The expected answer of every seed."""
    yield from _broken(subject, seed_rows(subject))


@CONTRACT_RULES.install_error("SK553", "suite task breaks the contract", why="No model could ever solve it.")
def suite_task_breaks_contract(subject: Subject) -> Iterator[Problem]:
    """The expected answer of every task of every suite."""
    yield from _broken(subject, suite_rows(subject))


@CONTRACT_RULES.install_error(
    "SK554", "case breaks the contract", why="The self-test would fail on the case, not on the verifier."
)
def case_breaks_contract(subject: Subject) -> Iterator[Problem]:
    """The expected answer of every case."""
    if subject.package and "cases.jsonl" in subject.files:
        yield from _broken(subject, subject.package.cases.value or ())


@CONTRACT_RULES.warning(
    "SK555", "unknown keyword of a schema", why="A validator passes over it, so the limit that it means does not hold."
)
def unknown_keyword(subject: Subject) -> Iterator[Problem]:
    """Keywords that JSON Schema does not have, in the tools of contract.yaml and the pools of synthesis.yaml."""
    if subject.package is None:
        return
    from skillpm.model.schema_keywords import KEYWORDS, unknown_keywords

    read, rules = subject.package.contract, subject.package.synthesis
    tools, pools = read.value.tools if read.value else (), rules.value.values if rules.value else {}
    schemas: list[tuple[Read[Any], tuple[str | int, ...], Any]] = [
        *((read, ("tools", number, "input_schema"), tool.input_schema) for number, tool in enumerate(tools)),
        *((rules, ("values", name, "schema"), pool.json_schema) for name, pool in pools.items()),
    ]
    for document, place, schema in schemas:
        for key in islice(unknown_keywords(schema), MAX_PROBLEMS):
            message = f"`{str(key[-1])[:80]}` is not a keyword of JSON Schema 2020-12"
            hint = did_you_mean(str(key[-1]), KEYWORDS, "remove it, or begin it with `x-`")
            yield Problem(message, document.line_of((*place, *key)), document.path, hint)


RULES: tuple[Rule, ...] = (*check.RULES, *CONTRACT_RULES, *TASK_RULES)
PUBLISH_RULES: tuple[Rule, ...] = (*RULES, *publication.RULES)


def rules_of(level: Level) -> tuple[Rule, ...]:
    """Return the rules of a level."""
    return PUBLISH_RULES if level is Level.PUBLISH else RULES


def validate(paths: Sequence[Path], *, level: Level = Level.LENIENT, extra: Sequence[Rule] = ()) -> list[Report]:
    """Return one report for each skill of these paths: skills' folders, their SKILL.md, folders of skills, archives.

    A path without a skill gets a report with one error, never an exception. ``extra`` has the rules of plugins.
    """
    rules = (*rules_of(level), *extra)
    return [report for path in paths for report in _reports(path, level, rules)]


def validate_skill(
    root: Path, *, level: Level = Level.LENIENT, rules: Sequence[Rule] = RULES, tree: SourceTree | None = None
) -> Report:
    """Check one skill's folder with every rule, including those on its contract; ``tree`` has its files."""
    plain = root.name not in ("", "..") and not root.is_symlink()
    subject = Subject(tree or SourceTree(root), root.name if plain else Path(os.path.realpath(root)).name)
    return check.examine(subject, rules, path=str(root), level=level)


def skill_folders(path: Path) -> tuple[Path, ...]:
    """Return the skills' folders of a path: the path itself, the parent of a SKILL.md, or folders below."""
    try:
        root = skill_folder(path)
        return discover(root).at_any_depth if root.is_dir() else ()
    except (OSError, ValueError):
        return ()


def _reports(path: Path, level: Level, rules: Sequence[Rule]) -> Iterator[Report]:
    try:
        root = skill_folder(path)
        missing, is_folder = not root.exists(), root.is_dir()
    except (OSError, ValueError) as error:
        yield _no_skill(path, f"cannot be opened: {error}")
        return
    if missing:
        yield _no_skill(path, "there is no such path")
        return
    if not is_folder:
        yield from _packed_reports(path, level, rules)
        return
    discovery = discover(root)
    for folder in discovery.at_any_depth:
        yield validate_skill(folder, level=level, rules=rules)
    if not discovery.complete:
        yield _no_skill(path, f"there are more than {MAX_FOLDERS} folders without a skill; the rest was not searched")
    elif not discovery.at_any_depth:
        yield validate_skill(root, level=level, rules=rules)


def _packed_reports(path: Path, level: Level, rules: Sequence[Rule]) -> Iterator[Report]:
    from skillpm.index.packed import PackedFile

    packed = PackedFile(path)
    try:
        trees = {folder: packed.skill(folder) for folder in packed.folders or [""]}
    except SkillpmError as error:
        yield _no_skill(path, error.message.removeprefix(f"{path}: "), error.hint)
        return
    for folder, tree in trees.items():
        subject = Subject(tree, folder.rpartition("/")[2] or None)
        yield check.examine(subject, rules, path=in_folder(str(path), folder), level=level)


def _no_skill(path: Path, message: str, hint: str | None = _ANY_FOLDER) -> Report:
    finding = Finding(code="SK001", severity=Severity.ERROR, message=message, hint=hint)
    return Report(str(path), None, (finding,), frozenset({"SK001"}), frozenset({"SK001"}))


def _broken(subject: Subject, rows: Iterable[Row[Any]]) -> Iterator[Problem]:
    """Yield the rows whose expected answer the contract refuses; nothing if no contract compiles."""
    contract = compiled_contract(subject)
    if contract is None:
        return
    count = 0
    for row in rows:
        refusal = contract.refusal(row.value.expected)
        if refusal:
            count += 1
            if count <= MAX_PROBLEMS:
                answer, tools = row.value.expected, list(contract.tools)
                hint = f"the answer is {json.dumps(answer, default=str)[:200]}"
                if isinstance(answer, dict) and answer.get("tool") not in (None, *tools):
                    hint = did_you_mean(str(answer["tool"]), tools, f"contract.yaml has {', '.join(tools)[:200]}")
                elif kind_of(answer) not in (None, *contract.replies.kinds):
                    hint = f"add `{kind_of(answer)}` to `answers` of contract.yaml"
                message = refusal if row.line else f"`{row.value.request[:80]}`: {refusal}"
                yield Problem(message, row.line, row.path, hint)
    if count > MAX_PROBLEMS:
        yield Problem(f"and {count - MAX_PROBLEMS} more answers that break the contract", path="contract.yaml")


@dataclass(frozen=True, slots=True)
class Mending:
    """The fix of one file: the codes of its broken rules, and the change as a unified diff."""

    path: str
    codes: tuple[str, ...]
    diff: str


def mend_skills(paths: Sequence[Path], *, dry_run: bool = False) -> list[Mending]:
    """Fix the SKILL.md of every skill that ``validate`` checks; unreadable files are left to the check.

    Raises:
        StorageError: a file cannot be written; it is unchanged, and the files before it are fixed.
    """
    return [fix for path in paths for folder in skill_folders(path) for fix in _mended(folder, dry_run)]


def _mended(folder: Path, dry_run: bool) -> Iterator[Mending]:
    tree = SourceTree(folder)
    name = skill_file(tree.paths())
    if name is None:
        return
    try:
        text = utf8_text(tree.head(name, MAX_SKILL_TEXT + 1), most=MAX_SKILL_TEXT)
    except (StorageError, DocumentError):
        return
    mended = mend(text, folder.resolve().name)
    if mended.text == text:
        return
    path = Path(tree.place(name))
    if not dry_run:
        write_atomic(path, mended.text)
    yield Mending(str(path), mended.codes, _diff(str(path), text, mended.text))


def _diff(path: str, before: str, after: str) -> str:
    """Return a unified diff whose lines keep their carriage returns."""
    return "\n".join(difflib.unified_diff(before.split("\n"), after.split("\n"), path, path, lineterm="", n=2))
