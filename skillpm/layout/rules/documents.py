"""SK5: our own documents, each by itself and against its neighbours. What a contract means is judged a room above."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from skillpm.errors import StorageError
from skillpm.formats.strict import Table
from skillpm.layout.rule import Rule, document_problems, rule
from skillpm.layout.subject import Subject
from skillpm.model.finding import Problem, Severity
from skillpm.model.name import is_name

if TYPE_CHECKING:
    from skillpm.model.contract import Tool
    from skillpm.model.synthesis import TaskRule

PYTHON_FILES = ("plugin.py", "verifier.py")
MAX_PYTHON = 1 << 20  # bytes


@rule(
    "SK501",
    "skill.yaml is not valid",
    why="Without its manifest a package has no version and no requirements.",
)
def bad_manifest(subject: Subject) -> Iterator[Problem]:
    """Every error of skill.yaml."""
    if subject.package and subject.is_package:
        yield from document_problems(subject.package.manifest.errors)


@rule(
    "SK502",
    "two versions",
    why="skill.yaml and SKILL.md's metadata would name one package differently.",
)
def two_versions(subject: Subject) -> Iterator[Problem]:
    """``metadata.version`` in SKILL.md, where present, must be the version of skill.yaml."""
    manifest = subject.package.manifest.value if subject.package and subject.is_package else None
    metadata = subject.field("metadata")
    if manifest is None or not isinstance(metadata, Table) or not isinstance(metadata.get("version"), str):
        return
    named = metadata["version"].strip()
    if not _same_version(named, manifest.version):
        message = f"`metadata.version` is {named[:64]}, skill.yaml says {manifest.version}"
        yield Problem(message, metadata.lines["version"], hint="make them agree, or leave it to skill.yaml")


@rule(
    "SK503",
    "package name is not ASCII",
    why="Names that travel through archives, registries and locks are plain ASCII.",
)
def package_name(subject: Subject) -> Iterator[Problem]:
    """With a skill.yaml the name must follow the grammar of packages."""
    name = subject.field("name")
    if not subject.is_package or not subject.fields or not isinstance(name, str) or not name.strip():
        return
    if not is_name(name.strip()) or "/" in name:
        hint = "lowercase ASCII letters, digits and single hyphens, 1 to 64 characters"
        yield Problem(f"`{name[:80]}` cannot name a package", subject.fields.lines["name"], hint=hint)


@rule(
    "SK504",
    "no README.md",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="SKILL.md speaks to a model; people look for a README.",
)
def no_readme(subject: Subject) -> Iterator[Problem]:
    """A package without README.md."""
    if subject.is_package and "README.md" not in subject.files:
        yield Problem("the package has no README.md", path="README.md", hint="say what it is, and how it was tested")


@rule(
    "SK511",
    "contract.yaml is not valid",
    why="Parser, verifier, prompt and argv all come from it.",
)
def bad_contract(subject: Subject) -> Iterator[Problem]:
    """Every error of contract.yaml."""
    if subject.package and "contract.yaml" in subject.files:
        yield from document_problems(subject.package.contract.errors)


@rule(
    "SK512",
    "synthesis.yaml is not valid",
    why="No task can be made from it.",
)
def bad_synthesis(subject: Subject) -> Iterator[Problem]:
    """Every error of synthesis.yaml."""
    if subject.package and "synthesis.yaml" in subject.files:
        yield from document_problems(subject.package.synthesis.errors)


@rule(
    "SK513",
    "synthesis.yaml disagrees with contract.yaml",
    why="Every task of such a rule would be refused by the skill's own verifier.",
)
def foreign_tool(subject: Subject) -> Iterator[Problem]:
    """A tool or an argument that the contract does not have, or a required argument that is never given."""
    if not subject.package or not {"contract.yaml", "synthesis.yaml"} <= subject.files:
        return
    contract, synthesis = subject.package.contract.value, subject.package.synthesis.value
    if contract is None or synthesis is None:
        return
    tools = {tool.name: tool for tool in contract.tools}
    for task in synthesis.tasks:
        for message, hint in _disagreements(task, tools):
            yield Problem(f"task `{task.name}`: {message}", path="synthesis.yaml", hint=hint)


@rule(
    "SK521",
    "seed is not valid",
    why="The line cannot be trained on.",
)
def bad_seed(subject: Subject) -> Iterator[Problem]:
    """Every bad line of seeds/*.jsonl."""
    if subject.package:
        yield from document_problems(error for read in subject.package.seeds for error in read.errors)


@rule(
    "SK522",
    "suite is not valid",
    why="Nothing can be measured with it.",
)
def bad_suite(subject: Subject) -> Iterator[Problem]:
    """Every error of suites/*.yaml and of the tasks that they name."""
    if subject.package:
        for suite in subject.package.suites:
            yield from document_problems(suite.read.errors)
            yield from document_problems(suite.tasks.errors)


@rule(
    "SK523",
    "two suites of one name",
    why="A report could not tell them apart.",
)
def suite_twins(subject: Subject) -> Iterator[Problem]:
    """Names of suites, within the skill."""
    if subject.package:
        pairs = [(suite.read.value.name, suite.read.path) for suite in subject.package.suites if suite.read.value]
        for name, path, _ in _repeated((name, path, None) for name, path in pairs):
            yield Problem(f"another suite is called `{name}`", path=path, hint="give each suite its own name")


@rule(
    "SK524",
    "case is not valid",
    why="The claim about the verifier cannot be tested.",
)
def bad_case(subject: Subject) -> Iterator[Problem]:
    """Every bad line of cases.jsonl."""
    if subject.package and "cases.jsonl" in subject.files:
        yield from document_problems(subject.package.cases.errors)


@rule(
    "SK525",
    "two cases of one name",
    why="A failing self-test could not say which of them failed.",
)
def case_twins(subject: Subject) -> Iterator[Problem]:
    """Names in cases.jsonl."""
    if subject.package and "cases.jsonl" in subject.files:
        rows = subject.package.cases.value or ()
        for name, path, line in _repeated((row.value.name, row.path, row.line) for row in rows):
            yield Problem(f"another case is called `{name}`", line, path, hint="give each case its own name")


@rule(
    "SK531",
    "evals.json of unknown shape",
    lenient=Severity.WARNING,
    strict=Severity.WARNING,
    why="Neither of the two dialects in use: it is carried along, but not run.",
)
def foreign_evals(subject: Subject) -> Iterator[Problem]:
    """Neither a mapping with `evals` nor a list of rows with `question`."""
    if subject.package and "evals/evals.json" in subject.files:
        read = subject.package.evals
        if read.value is None and not read.errors:
            hint = "use {skill_name, evals: [{id, prompt, …}]}, or a list of {id, question, …}"
            yield Problem("neither dialect of evals.json", path=read.path, hint=hint)


@rule(
    "SK532",
    "evals.json is not valid",
    lenient=Severity.WARNING,
    why="The evaluations cannot be run.",
)
def bad_evals(subject: Subject) -> Iterator[Problem]:
    """Not JSON, or a row that its dialect does not allow."""
    if subject.package and "evals/evals.json" in subject.files:
        yield from document_problems(subject.package.evals.errors)


@rule(
    "SK541",
    "Python that does not parse",
    why="The skill's worker could not load it.",
)
def bad_python(subject: Subject) -> Iterator[Problem]:
    """verifier.py and plugin.py, parsed and never imported."""
    for path in PYTHON_FILES:
        if path in subject.files:
            problem = _syntax_problem(subject, path)
            if problem:
                yield problem


def _same_version(one: str, other: str) -> bool:
    try:
        return len(one) <= 64 and Version(one) == Version(other)
    except InvalidVersion:
        return False


def _disagreements(task: TaskRule, tools: dict[str, Tool]) -> Iterator[tuple[str, str]]:
    tool = tools.get(task.tool)
    if tool is None:
        yield f"the contract has no tool `{task.tool}`", f"it has {', '.join(f'`{name}`' for name in tools)}"
        return
    known = ", ".join(f"`{name}`" for name in tool.properties)
    for name in task.args:
        if name not in tool.properties:
            yield f"`{task.tool}` has no argument `{name}`", f"it has {known}"
    for name in sorted(tool.required - set(task.args)):
        yield f"`{task.tool}` requires the argument `{name}`", f"add `{name}` to `args`"


def _repeated(rows: Iterable[tuple[str, str, int | None]]) -> Iterator[tuple[str, str, int | None]]:
    seen: set[str] = set()
    for name, path, line in rows:
        if name in seen:
            yield name, path, line
        seen.add(name)


def _syntax_problem(subject: Subject, path: str) -> Problem | None:
    try:
        data = subject.tree.head(path, MAX_PYTHON + 1)
    except StorageError as error:
        return Problem(error.message.removeprefix(f"{path}: "), path=path)
    if len(data) > MAX_PYTHON:
        return Problem(f"larger than {MAX_PYTHON} bytes", path=path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(data)
    except SyntaxError as error:
        return Problem(f"does not parse: {error.msg}", error.lineno or None, path)
    except (ValueError, RecursionError, MemoryError) as error:
        return Problem(f"does not parse: {str(error)[:200] or type(error).__name__}", path=path)
    return None


RULES: tuple[Rule, ...] = (
    bad_manifest,
    two_versions,
    package_name,
    no_readme,
    bad_contract,
    bad_synthesis,
    foreign_tool,
    bad_seed,
    bad_suite,
    suite_twins,
    bad_case,
    case_twins,
    foreign_evals,
    bad_evals,
    bad_python,
)
