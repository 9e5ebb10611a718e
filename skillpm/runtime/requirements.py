"""What a skill needs before its code can run: a version of the hooks that we know, and Python packages."""

from __future__ import annotations

import importlib.metadata

from packaging.requirements import Requirement

from skillpm.errors import PluginError
from skillpm.hookspecs import HOOKS_VERSION
from skillpm.model.manifest import Manifest
from skillpm.model.skill import Skill
from skillpm.runtime.skillfiles import SkillFiles

__all__ = ["check_requirements", "missing_packages"]


def missing_packages(manifest: Manifest) -> list[str]:
    """Return the PEP 508 requirements of ``python:`` that the interpreter of the workers does not satisfy."""
    return [text for text in manifest.python if not _satisfied(Requirement(text))]


def _satisfied(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def check_requirements(skill: Skill) -> Manifest | None:
    """Return the manifest of a skill whose code can be run.

    Raises:
        PluginError: it was written for another version of the hooks, or a package that it needs is not installed.
        DocumentError: skill.yaml is wrong.
    """
    manifest = SkillFiles(skill).manifest()
    if manifest is None:
        return None
    if manifest.hooks != HOOKS_VERSION:
        raise PluginError(
            f"{skill} was written for version {manifest.hooks} of the hooks, this skillpm has {HOOKS_VERSION}",
            hint="upgrade skillpm-core" if manifest.hooks > HOOKS_VERSION else f"look for a newer {skill.name}",
            skill=skill.name,
        )
    missing = missing_packages(manifest)
    if missing and SkillFiles(skill).code():
        quoted = " ".join(f"'{text}'" for text in missing)
        raise PluginError(
            f"{skill} needs the Python packages {', '.join(missing)}, which are not installed beside skillpm",
            hint=f"python -m pip install {quoted}",
            skill=skill.name,
        )
    return manifest
