"""What a skill needs before its code can run: a version of the hooks that we know."""

from __future__ import annotations

from skillpm.model.hooks import refuse_foreign_hooks
from skillpm.model.manifest import Manifest
from skillpm.model.skill import Skill
from skillpm.runtime.skillfiles import SkillFiles

__all__ = ["runnable_manifest"]


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
