"""What the files of a release say of it, for searches and pages. Its code does not run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from skillpm.errors import SkillpmError
from skillpm.layout.description import describe, skill_file
from skillpm.layout.frontmatter import read_frontmatter, split
from skillpm.layout.package import Package
from skillpm.layout.tree import Tree

CODE = ("verifier.py", "plugin.py")
MAX_TEXT = 64 << 10  # characters of a text that are indexed
_SHOWN_TOOLS = 200


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

    @property
    def verified(self) -> bool:
        """Can answers be judged: by a contract, or by the skill's own verifier?"""
        return bool(self.tools) or "verifier.py" in self.code

    def text(self) -> str:
        """Return the form in which the index stores it, without the texts that it stores beside."""
        return json.dumps({key: value for key, value in asdict(self).items() if key not in ("body", "readme")})

    @classmethod
    def of_text(cls, text: str) -> Facts:
        """Read what ``text`` wrote."""
        root = json.loads(text)
        values: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in root.items()}
        return cls(**values)


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
    )


def _license(tree: Tree) -> str:
    path = skill_file(tree.paths())
    fields = read_frontmatter(split(tree.read(path).decode("utf-8", "replace"))).value if path else None
    text = fields.get("license") if isinstance(fields, dict) else None
    return " ".join(text.split())[:200] if isinstance(text, str) else ""


def _readme(tree: Tree) -> str:
    path = next((path for path in tree.paths() if path.lower() == "readme.md"), None)
    return tree.read(path).decode("utf-8", "replace") if path else ""
