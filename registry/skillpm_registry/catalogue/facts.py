"""What the files of a release say of it, for searches and pages. Its code does not run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from skillpm.errors import SkillpmError
from skillpm.formats.document import read_model
from skillpm.formats.utf8_text import utf8_text
from skillpm.layout.description import describe, skill_file
from skillpm.layout.filenames import CODE
from skillpm.layout.frontmatter import read_frontmatter, split
from skillpm.layout.package import Package
from skillpm.layout.tree import Tree
from skillpm.model.adapter import AdapterRelease

MAX_TEXT = 64 << 10  # characters of a text that are indexed
_SHOWN_TOOLS = 200
_MOST_MEASURED = 60  # figures of an adapter
BASE = "base"  # the arm of the base model, without an adapter


@dataclass(frozen=True, slots=True)
class Measured:
    """The share of exact answers of one arm on a task set of a skill, with its 95 % interval: 0 to 1."""

    skill: str
    task_set: str
    arm: str
    tasks: int
    exact: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the files of a release say.

    Attributes:
        problem: why the files could not be read; empty if they could.
        body: SKILL.md without its frontmatter.
        tools: each tool's ``confirm``, by name.
        code: files that run in the skill's own process, after consent.
        suites: the number of tasks in each suite.
        network: may the code of the skill use the network?
        run: programs that the code of the skill may start.
        measured: what a trained adapter reached, as its adapter.json says.
    """

    problem: str = ""
    body: str = ""
    readme: str = ""
    license: str = ""
    keywords: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    homepage: str = ""
    repository: str = ""
    python: tuple[str, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    seeds: int = 0
    rules: int = 0
    cases: int = 0
    suites: dict[str, int] = field(default_factory=dict)
    network: bool = False
    run: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()

    @property
    def verified(self) -> bool:
        """Can answers be judged: by a contract, or by the skill's own verifier?"""
        return bool(self.tools) or "verifier.py" in self.code

    def text(self) -> str:
        """Return the form in which the index stores it, without the texts that it stores beside."""
        return _FACTS.dump_json(self, exclude={"body", "readme"}).decode()

    @classmethod
    def of_text(cls, text: str) -> Facts:
        """Read what ``text`` wrote."""
        return _FACTS.validate_json(text)


_FACTS = TypeAdapter(Facts)


def facts_of(tree: Tree) -> Facts:
    """Read the facts out of a tree. A document that cannot be read counts as missing."""
    try:
        description, package = describe(tree), Package(tree)
    except SkillpmError as error:
        return Facts(problem=error.message)
    manifest, contract, synthesis = description.manifest, package.contract.value, package.synthesis.value
    permissions = manifest.permissions if manifest else None
    return Facts(
        body=description.body[:MAX_TEXT],
        readme=_readme(tree)[:MAX_TEXT],
        license=_license(tree),
        keywords=manifest.keywords if manifest else (),
        authors=manifest.authors if manifest else (),
        homepage=(manifest.homepage or "") if manifest else "",
        repository=(manifest.repository or "") if manifest else "",
        python=manifest.python if manifest else (),
        tools={tool.name: tool.confirm for tool in contract.tools[:_SHOWN_TOOLS]} if contract else {},
        code=tuple(path for path in CODE if path in package.paths),
        seeds=sum(len(rows.value or ()) for rows in package.seeds),
        rules=len(synthesis.tasks) if synthesis else 0,
        cases=len(package.cases.value or ()),
        suites={suite.read.value.name: len(suite.tasks.value or ()) for suite in package.suites if suite.read.value},
        network=permissions.network if permissions else False,
        run=permissions.run if permissions else (),
        measured=tuple(_measured(tree)),
    )


def _measured(tree: Tree) -> Iterator[Measured]:
    """Yield the figures of adapter.json, where the tree has a valid one."""
    try:
        release = read_model(AdapterRelease, utf8_text(tree.read("adapter.json")))
    except SkillpmError:  # most skills have none
        return
    for item in release.evaluation[:_MOST_MEASURED]:
        if item.exact is not None and item.low is not None and item.high is not None:
            yield Measured(item.skill, item.task_set, item.arm, item.tasks, item.exact, item.low, item.high)


def _license(tree: Tree) -> str:
    path = skill_file(tree.paths())
    fields = read_frontmatter(split(tree.read(path).decode("utf-8", "replace"))).value if path else None
    text = fields.get("license") if isinstance(fields, dict) else None
    return " ".join(text.split())[:200] if isinstance(text, str) else ""


def _readme(tree: Tree) -> str:
    path = next((path for path in tree.paths() if path.lower() == "readme.md"), None)
    return tree.read(path).decode("utf-8", "replace") if path else ""
