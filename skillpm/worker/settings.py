"""Where skill code runs: how many workers, how they are confined, what policies let them have, their environments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from skillpm.errors import PluginError
from skillpm.model.hooks import refuse_foreign_hooks
from skillpm.model.manifest import Manifest, Permissions
from skillpm.model.skill import Skill
from skillpm.model.trust_policy import TrustPolicy, permitted
from skillpm.model.wheel import WheelSet
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.sandbox.sandbox import Sandbox, choose
from skillpm.worker.engine import Engine
from skillpm.worker.environments import Environment, Environments
from skillpm.worker.process import WorkerProcess


def runnable_manifest(skill: Skill) -> Manifest | None:
    """Return the manifest of a skill whose code can be run.

    Raises:
        PluginError: it was written for another version of the hooks.
        DocumentError: skill.yaml is wrong.
    """
    manifest = SkillFiles(skill).manifest()
    if manifest is not None:
        refuse_foreign_hooks(skill.name, skill.version, manifest.hooks)
    return manifest


@dataclass(frozen=True)
class WorkerSettings:
    """The same for all skills of a scorer.

    Attributes:
        sandbox: how workers are confined.
        workers: of each skill.
        policies: what they may be given; all must agree.
        environments: where Python environments are; None if there is no place for them.
        wheels: returns the wheels of a skill that a person agreed to; None if it asks for no Python package.
        engine: starts workers, here or elsewhere.
    """

    sandbox: Sandbox = field(default_factory=choose)
    workers: int = 1
    policies: tuple[TrustPolicy, ...] = ()
    environments: Environments | None = None
    wheels: Callable[[Skill], WheelSet | None] = lambda skill: None
    engine: Engine = WorkerProcess

    def permitted(self, manifest: Manifest | None) -> Permissions:
        """Return what a skill is given of what it asks for."""
        return permitted(manifest, self.policies)

    def prepare(self, skill: Skill) -> tuple[Manifest | None, Environment | None]:
        """Return a skill's manifest and its environment, built where that was not done yet.

        Raises:
            PluginError: it was written for other hooks, or its environment cannot be built.
            DocumentError: skill.yaml is wrong.
            StorageError: the disk refused.
        """
        manifest = runnable_manifest(skill)
        if manifest is None or not manifest.python or not SkillFiles(skill).code():
            return manifest, None
        if self.environments is None:
            raise PluginError(f"{skill} needs Python packages, and there is no place for an environment of them")
        wheels = self.wheels(skill)
        if wheels is None:
            raise PluginError(f"{skill} needs Python packages, and you have not agreed to any wheels of them")
        return manifest, self.environments.of(skill, wheels)
