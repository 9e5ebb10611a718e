"""The wheels of skills' Python packages, chosen when a skill is installed and written into the lock. No code runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from skillpm.errors import SkillpmError
from skillpm.model.lock import LockedSkill
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.project.choose import Selection


def with_wheels(context: Context, selection: Selection) -> tuple[Selection, list[str]]:
    """Return the selection with the wheels of this machine in its lock, and a warning for each skill that has none.

    Wheels that the lock has stay. The skills must be in the store.
    """
    warnings: list[str] = []

    def locked(entry: LockedSkill) -> LockedSkill:
        root = context.store.path(entry.tree)
        if not _may_need_packages(root) or context.settings.consent == "never":
            return entry
        try:
            return _with_wheels(context, entry, root)
        except SkillpmError as error:
            warnings.append(f"the lock has no Python packages of {entry.name}: {error.message}")
            return entry

    lock = selection.plan.lock
    plan = replace(selection.plan, lock=replace(lock, skills=tuple(map(locked, lock.skills))))
    return replace(selection, plan=plan), warnings


def _may_need_packages(root: Path) -> bool:
    """Does skill.yaml have the word? Most have not, and to read all of them would cost more than the install."""
    try:
        return b"python" in (root / "skill.yaml").read_bytes()
    except OSError:
        return False


def _with_wheels(context: Context, entry: LockedSkill, root: Path) -> LockedSkill:
    from skillpm.runtime.skillfiles import SkillFiles
    from skillpm.worker.environments import Environments

    skill = Skill(entry.name, entry.version, entry.tree, root)
    files = SkillFiles(skill)
    manifest = files.manifest()
    if manifest is None or not manifest.python or not files.code():
        return entry
    environments = Environments(context.settings.environments, offline=context.settings.offline)
    if any(environments.fits(wheels, manifest.python) for wheels in entry.python or ()):
        return entry
    wheels = environments.resolve(skill, manifest.python)
    others = [item for item in entry.python or () if item.platform != wheels.platform]
    return replace(entry, python=tuple(sorted([*others, wheels], key=lambda item: item.platform)))
