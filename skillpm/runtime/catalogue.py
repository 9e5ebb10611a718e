"""What the skills at hand contribute: documents, suites, rewards, tools, each with the plugin that brought it.

Everything that plain files say is read here, in skillpm's own process, for it is data. What a plugin.py says is known
only where a ``describe`` is given, which asks the skill's worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillpm.contract.contract import Contract
from skillpm.errors import UnknownSkillError
from skillpm.layout.description import describe as describe_tree
from skillpm.layout.filenames import CODE
from skillpm.layout.source_tree import skill_tree
from skillpm.model.contract import Tool
from skillpm.model.skill import Skill
from skillpm.model.suite import Suite
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import Seed, Task
from skillpm.runtime.collect import Given, unique
from skillpm.runtime.conventions import CONVENTIONS
from skillpm.runtime.described import Described
from skillpm.runtime.host import Host
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.storage.unpack import unpack

_CONTRACT = "contract.yaml"
Describe = Callable[[Skill], Described]


@dataclass(frozen=True, slots=True)
class RewardRecord:
    """A reward by name; what it pays is computed where the plugin lives."""

    name: str
    default: bool
    plugin: str


@dataclass(frozen=True, slots=True)
class Contributions:
    """All that one skill brings.

    Attributes:
        contract: contract.yaml, compiled; None without one.
        prompt: the rendered system prompt; empty without a contract.
        skill_text: SKILL.md without its frontmatter.
        seeds: the rows of seeds/*.jsonl.
        synthesis: synthesis.yaml; None without one.
        rules: the names of synthesis rules that plugins bring.
        suites: with their tasks inline.
        rewards: what a trainer sees as ``skill:name``.
        tools: what a correct answer may call.
        origins: ``kind:name`` to the plugin that brought it.
        verifier: the file that judges answers, ``plugin`` where a distribution does; empty if nothing does.
        tasks: rows of a synthesis that were handed to an exporter.
    """

    skill: Skill
    contract: Contract | None = None
    prompt: str = ""
    skill_text: str = ""
    seeds: tuple[Seed, ...] = ()
    synthesis: SynthesisDocument | None = None
    rules: tuple[str, ...] = ()
    suites: tuple[Suite, ...] = ()
    rewards: tuple[RewardRecord, ...] = ()
    tools: tuple[Tool, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    verifier: str = ""
    tasks: tuple[Task, ...] = ()

    @property
    def is_judged_by_contract(self) -> bool:
        """Does nothing but contract.yaml judge the answers?"""
        return self.verifier == _CONTRACT

    @property
    def default_reward(self) -> str:
        """The reward that is paid where none is named: the skill's own, else a built-in one; empty without any."""
        defaults = [reward for reward in self.rewards if reward.default]
        defaults.sort(key=lambda reward: reward.plugin == CONVENTIONS)
        return defaults[0].name if defaults else ""

    def write_skill(self, folder: Path) -> None:
        """Write the files of the skill, as its digest counts them, into a new folder. Raises StorageError."""
        unpack(skill_tree(self.skill), folder)

    def task(self, request: str, expected: Any, tags: tuple[str, ...] = ()) -> Task:
        """Return the task of a request to this skill that is measured or judged, never trained on."""
        return Task.of(
            skill=self.skill.name,
            system=self.prompt,
            request=request,
            expected=expected,
            split="suite",
            origin="suite",
            tags=tags,
        )


class Catalogue(dict[str, Contributions]):
    """Contributions by the name of the skill."""

    def __missing__(self, name: str) -> Contributions:
        """Raise UnknownSkillError."""
        raise UnknownSkillError(f"no skill `{name}` among {', '.join(self) or 'none'}")


def build_catalogue(skills: Sequence[Skill], host: Host, *, describe: Describe | None = None) -> Catalogue:
    """Gather what the skills contribute.

    ``describe`` asks a skill's worker; what a plugin.py contributes is known only there.

    Raises:
        PluginError: two plugins bring records of one name, or a skill's code cannot be loaded.
        DocumentError: a document of a skill is wrong.
    """
    return Catalogue((skill.name, _contributions(skill, host, describe)) for skill in skills)


def _contributions(skill: Skill, host: Host, describe: Describe | None) -> Contributions:
    files = SkillFiles(skill)
    contract = files.contract()
    files.suites()  # raises where collecting would only note that the built-in plugin failed
    described = describe(skill) if describe is not None and "plugin.py" in files.code() else None
    kinds = {
        "suite": _records("suite", host.suites(skill), described),
        "reward": _records("reward", host.rewards(skill), described),
        "tool": _records("tool", host.tools(skill), described),
        "rule": _records("rule", host.synthesis_rules(skill), described),
    }
    return Contributions(
        skill=skill,
        contract=contract,
        prompt="" if contract is None else contract.prompt,
        skill_text=describe_tree(skill_tree(skill)).body,
        seeds=files.seeds(),
        synthesis=files.synthesis(),
        rules=tuple(item.record.name for item in kinds["rule"]),
        suites=tuple(item.record for item in kinds["suite"]),
        rewards=tuple(RewardRecord(item.record.name, item.record.default, item.plugin) for item in kinds["reward"]),
        tools=tuple(item.record for item in kinds["tool"]),
        origins={f"{kind}:{item.record.name}": item.plugin for kind, items in kinds.items() for item in items},
        # a skill's own code judges before a distribution's, that before the contract
        verifier=_own_verifier(files, described)
        or ("plugin" if host.verifier(skill) else "" if contract is None else _CONTRACT),
    )


def _own_verifier(files: SkillFiles, described: Described | None) -> str:
    own = files.code() if described is None else [described.verifier]
    return next((name for name in own if name in CODE), "")


def _records(kind: str, records: Sequence[Given[Any]], described: Described | None) -> list[Given[Any]]:
    """Return the host's records, and those of the skill's code where its worker was asked."""
    pairs: Mapping[str, Sequence[tuple[str, Any]]] = {} if described is None else {
        "suite": described.suites,
        "tool": described.tools,
        "reward": [(item.plugin, item) for item in described.rewards],
        "rule": [(item.plugin, item) for item in described.rules],
    }  # fmt: skip
    return unique(kind, [*records, *(Given(plugin, record) for plugin, record in pairs.get(kind, ()))])
