"""SK5: our own documents, each by itself and against its neighbours. What a contract means is judged a room above."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from skillpm.formats.strict import Table
from skillpm.layout.description import FORMAT_KEYS, foreign_documents
from skillpm.layout.filenames import CODE
from skillpm.layout.rule import Rule, RuleSet, Scope, document_problems
from skillpm.layout.subject import OUR_DOCUMENTS, Subject
from skillpm.layout.tree import UnreadableFileError
from skillpm.model.finding import Problem, Severity
from skillpm.model.name import is_name

if TYPE_CHECKING:
    from skillpm.layout.package import Package, Read

MAX_PYTHON = 1 << 20  # bytes
_Reads = Callable[["Package"], Iterable["Read[Any]"]]

# code, severity at level lenient, what is not valid, the file without which there is none, why, what it looks at, which
_INVALID: tuple[tuple[str, Severity, str, str | None, str, str, _Reads], ...] = (
    ("SK501", Severity.ERROR, "skill.yaml", "skill.yaml",
     "Without its manifest a package has no version and no requirements.",
     "Every error of a skill.yaml with `manifest`.", lambda package: (package.manifest,)),
    ("SK511", Severity.ERROR, "contract.yaml", "contract.yaml",
     "Parser, verifier, prompt and argv all come from it.",
     "Every error of contract.yaml.", lambda package: (package.contract,)),
    ("SK512", Severity.ERROR, "synthesis.yaml", "synthesis.yaml",
     "No task can be made from it.",
     "Every error of synthesis.yaml.", lambda package: (package.synthesis,)),
    ("SK521", Severity.ERROR, "seed", None,
     "The line cannot be trained on.",
     "Every bad line of seeds/*.jsonl.", lambda package: package.seeds),
    ("SK522", Severity.ERROR, "suite", None,
     "Nothing can be measured with it.",
     "Every error of suites/*.yaml and of the tasks that they name.",
     lambda package: (read for suite in package.suites for read in (suite.read, suite.tasks))),
    ("SK524", Severity.ERROR, "case", "cases.jsonl",
     "The claim about the verifier cannot be tested.",
     "Every bad line of cases.jsonl.", lambda package: (package.cases,)),
    ("SK532", Severity.WARNING, "evals.json", "evals/evals.json",
     "The evaluations cannot be run.",
     "Not JSON, or a row that its dialect does not allow.", lambda package: (package.evals,)),
)  # fmt: skip

RULES = RuleSet()


def _invalid(file: str | None, reads: _Reads, subject: Subject) -> Iterator[Problem]:
    """Yield every error of some documents."""
    if subject.package and (file is None or file in subject.package.documents):
        for read in reads(subject.package):
            yield from document_problems(read.errors)


for _code, _lenient, _document, _file, _why, _what, _reads in _INVALID:
    _title, _look = f"{_document} is not valid", partial(_invalid, _file, _reads)
    RULES.add(Rule(_code, _title, _lenient, Severity.WARNING, _why, _look, Scope.TREE, _what))


@RULES.install_error(
    "SK502", "two versions", why="skill.yaml and SKILL.md's metadata would name one package differently."
)
def two_versions(subject: Subject) -> Iterator[Problem]:
    """``metadata.version`` in SKILL.md, where present, must be the version of skill.yaml."""
    manifest, metadata = subject.manifest, subject.field("metadata")
    if manifest is None or not isinstance(metadata, Table) or not isinstance(metadata.get("version"), str):
        return
    named = metadata["version"].strip()
    if not _same_version(named, manifest.version):
        message = f"`metadata.version` is {named[:64]}, skill.yaml says {manifest.version}"
        yield Problem(message, metadata.lines["version"], hint="make them agree, or remove it from SKILL.md")


@RULES.install_error(
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


@RULES.warning(
    "SK505", "document of another program", why="Without the key of its format it is not ours, so it is ignored."
)
def foreign_document(subject: Subject) -> Iterator[Problem]:
    """A skill.yaml without `manifest`; if there is none of ours, a contract.yaml or synthesis.yaml without its key."""
    for path in sorted(foreign_documents(subject.tree)):
        key = FORMAT_KEYS[path]
        hint = f"add `{key}: 1` if it is meant for skillpm"
        yield Problem(f"has no `{key}`, so it is not skillpm's and is ignored", path=path, hint=hint)


_NEAR_NAMES = {
    "contract.yml": "contract.yaml", "contracts.yaml": "contract.yaml", "contract.json": "contract.yaml",
    "synthesis.yml": "synthesis.yaml", "synth.yaml": "synthesis.yaml", "synth.yml": "synthesis.yaml",
    "skill.yml": "skill.yaml", "cases.json": "cases.jsonl", "case.jsonl": "cases.jsonl", "cases.yaml": "cases.jsonl",
    "verify.py": "verifier.py", "verifiers.py": "verifier.py", "plugins.py": "plugin.py",
}  # fmt: skip
_NEAR_FOLDERS = {"seed": "seeds", "suite": "suites", "seeds": "seeds", "suites": "suites"}
_ENDINGS = {"seeds": (".jsonl",), "suites": (".yaml", ".yml", ".jsonl")}
_ROWS = ("json", "jsonl", "yaml", "yml", "ndjson")


@RULES.warning("SK506", "file that nothing reads", why="Its name is near to that of a document, so it is passed over.")
def near_file_names(subject: Subject) -> Iterator[Problem]:
    """A package's file whose name is nearly that of a document: contract.yml, seed/, seeds/a.json."""
    if not subject.is_package and OUR_DOCUMENTS.isdisjoint(subject.paths):
        return
    for path in subject.paths:
        meant = _meant_path(path)
        if meant is not None and meant not in subject.files:
            yield Problem(f"nothing reads `{path[:200]}`", path=path, hint=f"did you mean `{meant[:200]}`?")


def _meant_path(path: str) -> str | None:
    """Return the path of the document that this file seems to be, or None."""
    folder, _, name = path.rpartition("/")
    if not folder:
        return _NEAR_NAMES.get(name.lower())
    right = _NEAR_FOLDERS.get(folder.lower())
    stem, _, ending = name.rpartition(".")
    if right is None or not stem or ending not in _ROWS:
        return None
    endings = _ENDINGS[right]
    meant = f"{right}/{name if f'.{ending}' in endings else stem + endings[0]}"
    return meant if meant != path else None


@RULES.install_error(
    "SK513",
    "synthesis.yaml disagrees with contract.yaml",
    why="Every task of such a rule would be refused by the skill's own verifier.",
)
def foreign_tool(subject: Subject) -> Iterator[Problem]:
    """A tool, argument or kind of answer that the contract does not have, a required argument that is never given."""
    if not subject.package or not {"contract.yaml", "synthesis.yaml"} <= subject.package.documents:
        return
    contract, synthesis = subject.package.contract.value, subject.package.synthesis.value
    if contract is None or synthesis is None:
        return
    from skillpm.model.rule_fit import disagreements

    read = subject.package.synthesis
    for number, task in enumerate(synthesis.tasks):
        for place, message, hint in disagreements(task, contract):
            line = read.line_of(("tasks", number, *place))
            yield Problem(f"task `{task.name}`: {message}", line, "synthesis.yaml", hint)


@RULES.install_error("SK523", "two suites of one name", why="A report could not distinguish them.")
def suite_twins(subject: Subject) -> Iterator[Problem]:
    """Names of suites, within the skill."""
    if subject.package:
        reads = [(suite.read, suite.read.value.name) for suite in subject.package.suites if suite.read.value]
        for name, path, line in _repeated((name, read.path, read.line_of(("name",))) for read, name in reads):
            yield Problem(f"another suite is called `{name}`", line, path, hint="give each suite its own name")


@RULES.warning("SK533", "a suite without tasks", why="It measures nothing, and `eval` refuses it.")
def empty_suites(subject: Subject) -> Iterator[Problem]:
    """Suites that list no task, or name a file without one."""
    for suite in subject.package.suites if subject.package else ():
        if suite.read.value and suite.tasks.value == () and not suite.tasks.errors:
            line = suite.read.line_of(("tasks",))
            yield Problem("has no task", line, suite.read.path, hint="add tasks, or remove the file")


@RULES.install_error("SK525", "two cases of one name", why="A failing self-test could not name the one that failed.")
def case_twins(subject: Subject) -> Iterator[Problem]:
    """Names in cases.jsonl."""
    if subject.package and "cases.jsonl" in subject.files:
        rows = subject.package.cases.value or ()
        for name, path, line in _repeated((row.value.name, row.path, row.line) for row in rows):
            yield Problem(f"another case is called `{name}`", line, path, hint="give each case its own name")


@RULES.warning(
    "SK531", "evals.json of unknown shape", why="Neither of the two dialects in use: it is carried along, but not run."
)
def foreign_evals(subject: Subject) -> Iterator[Problem]:
    """Neither a mapping with `evals` nor a list of rows with `question`."""
    if subject.package and "evals/evals.json" in subject.files:
        read = subject.package.evals
        if read.value is None and not read.errors:
            hint = "use {skill_name, evals: [{id, prompt, …}]}, or a list of {id, question, …}"
            yield Problem("neither dialect of evals.json", path=read.path, hint=hint)


@RULES.install_error("SK541", "Python that does not parse", why="The skill's worker could not load it.")
def bad_python(subject: Subject) -> Iterator[Problem]:
    """verifier.py and plugin.py, parsed and never imported."""
    for path in CODE:
        if path in subject.files:
            problem = _syntax_problem(subject, path)
            if problem:
                yield problem


def _same_version(one: str, other: str) -> bool:
    try:
        return len(one) <= 64 and Version(one) == Version(other)
    except InvalidVersion:
        return False


def _repeated(rows: Iterable[tuple[str, str, int | None]]) -> Iterator[tuple[str, str, int | None]]:
    seen: set[str] = set()
    for name, path, line in rows:
        if name in seen:
            yield name, path, line
        seen.add(name)


def _syntax_problem(subject: Subject, path: str) -> Problem | None:
    try:
        data = subject.tree.head(path, MAX_PYTHON + 1)
    except UnreadableFileError as error:
        return Problem(error.reason, path=path)
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
