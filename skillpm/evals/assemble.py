"""Put arms together with what is known of the skills, their task sets and the machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import skillpm
from skillpm.evals.tasks import EvalTask
from skillpm.model.evaluation import Arm, EvaluatedSkill, Evaluation, TaskSet
from skillpm.model.suite import HELD_OUT
from skillpm.model.task import canonical_json
from skillpm.storage.temporary_database import DigestSet

if TYPE_CHECKING:
    from skillpm.runtime.catalogue import Contributions

_VERSIONED = ("torch", "transformers", "peft", "trl")


def assemble(
    contributions: Mapping[str, Contributions],
    tasks: Sequence[EvalTask],
    arms: Sequence[Arm],
    sizes: Mapping[tuple[str, str], int] = MappingProxyType({}),
) -> Evaluation:
    """Return the evaluation of these arms on these tasks; of each skill the held-out tasks come first.

    Args:
        contributions: of the skills, by name.
        tasks: that were asked.
        arms: in order.
        sizes: of the whole task sets, by skill and name; they matter where ``tasks`` is a sample.
    """
    asked, keys = Counter[tuple[str, str]](), DigestSet()
    for task in tasks:
        asked[task.task.skill, task.suite] += 1
        keys.add("\0".join((task.task.skill, task.suite, task.task.key)).encode())  # as bytes they sort like as keys
    skills = list(dict.fromkeys(skill for skill, _ in asked))
    ordered = sorted(asked, key=lambda place: (skills.index(place[0]), place[1] != HELD_OUT))
    return Evaluation(
        skills=tuple(evaluated_skill(contributions[name]) for name in skills),
        task_sets=tuple(_task_set(contributions[place[0]], place[1], asked[place], sizes) for place in ordered),
        arms=tuple(arms),
        data=data_digest(keys),
        versions=_versions(),
    )


def data_digest(keys: Iterable[bytes]) -> str:
    """Return the digest over which tasks were asked: of the JSON of their (skill, task set, key), which come sorted."""
    digest, before = hashlib.sha256(), "["
    for key in keys:
        digest.update(f"{before}{canonical_json(key.decode().split(chr(0)))}".encode())
        before = ","
    digest.update(b"]" if before == "," else b"[]")
    return digest.hexdigest()


def evaluated_skill(contributions: Contributions) -> EvaluatedSkill:
    """Return what an evaluation says of a skill."""
    skill = contributions.skill
    reward = contributions.default_reward or None
    kinds = () if contributions.contract is None else contributions.contract.replies.kinds
    return EvaluatedSkill(name=skill.name, version=skill.version, tree=skill.tree, reward=reward, kinds=kinds)


def _task_set(contributions: Contributions, name: str, asked: int, sizes: Mapping[tuple[str, str], int]) -> TaskSet:
    skill = contributions.skill.name
    size = sizes.get((skill, name), asked)
    task_set = TaskSet(skill=skill, name=name, tasks=asked, of=None if size == asked else size)
    suite = next((suite for suite in contributions.suites if suite.name == name), None)
    return task_set if suite is None else task_set.model_copy(update={"metrics": suite.metrics, "gate": suite.gate})


def _versions() -> dict[str, str]:
    versions = {"skillpm": skillpm.__version__, "python": platform.python_version()}
    for name in _VERSIONED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
