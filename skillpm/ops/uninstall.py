"""``skillpm uninstall``: remove skills, and what only they needed."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.errors import UnknownSkillError, UsageError
from skillpm.model.lock import Lock
from skillpm.model.name import near_names
from skillpm.model.requirement import Requirement
from skillpm.ops.apply import apply, linking
from skillpm.ops.context import Context
from skillpm.ops.install import PROJECT_LOCK, describe_changes
from skillpm.ops.installation import Installation
from skillpm.resolve.plan import Change, Plan, Step, needed, requirers
from skillpm.storage.links import refuse_outside
from skillpm.storage.process_lock import locked
from skillpm.storage.record import read_record

__all__ = ["uninstall"]


def uninstall(context: Context, names: Sequence[str], *, dry_run: bool = False, force: bool = False) -> Installation:
    """Remove skills from the project; the store keeps them for other projects.

    Args:
        context: the world.
        names: installed skills.
        dry_run: plan only, write nothing.
        force: keep a folder that was edited as ``.orig`` instead of refusing.

    Raises:
        UnknownSkillError: a name is not installed.
        UsageError: another installed skill requires it, or its folder was edited.
        StorageError: the disk refused.
    """
    if dry_run:
        return _outcome(context, _plan(context.lock(), names), dry_run=True)
    refuse_outside(context.settings.project, [PROJECT_LOCK.parts[0]])
    with locked(context.settings.project / PROJECT_LOCK):
        removal = _plan(context.lock(), names)
        to = linking(read_record(context.settings.project), (), None)
        apply(context.settings, context.store, removal, to, force=force)
    return _outcome(context, removal, dry_run=False)


def _outcome(context: Context, removal: Plan, *, dry_run: bool) -> Installation:
    folders = read_record(context.settings.project).agents
    return Installation(describe_changes(removal), folders, dry_run=dry_run)


def _plan(lock: Lock, names: Sequence[str]) -> Plan:
    for name in names:
        if lock.skill(name) is None:
            near = near_names(name, [entry.name for entry in lock.skills])
            raise UnknownSkillError(
                f"no skill `{name[:80]}` is installed",
                hint=f"did you mean {' or '.join(f'`{item}`' for item in near)}?" if near else "see `skillpm list`",
            )
    roots = tuple(text for text in lock.requirements if Requirement.parse(text).name not in names)
    left = needed(lock, [Requirement.parse(text).name for text in roots])
    for name in names:
        if name in left:
            users = [user for user in requirers(lock, name) if user in left]
            raise UsageError(
                f"{name} is required by {', '.join(users)}", hint=f"uninstall {' and '.join(users)} as well"
            )
    after = Lock(requirements=roots, skills=tuple(entry for entry in lock.skills if entry.name in left))
    steps = tuple(
        Step(entry.name, Change.KEPT if entry.name in left else Change.REMOVED, entry, after.skill(entry.name))
        for entry in lock.skills
    )
    return Plan(steps, after)
