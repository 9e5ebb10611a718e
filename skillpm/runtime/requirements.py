"""What a skill needs before its code can run: a version of the hooks that we know."""

from __future__ import annotations

from skillpm.errors import PluginError
from skillpm.hookspecs import HOOKS_VERSION
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
    if manifest is not None and manifest.hooks != HOOKS_VERSION:
        raise PluginError(
            f"{skill} was written for version {manifest.hooks} of the hooks, this skillpm has {HOOKS_VERSION}",
            hint="upgrade skillpm-core" if manifest.hooks > HOOKS_VERSION else f"look for a newer {skill.name}",
            skill=skill.name,
        )
    return manifest
