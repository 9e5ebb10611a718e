"""``skillpm uninstall``: remove skills and the dependencies that only they need."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.errors import UsageError
from skillpm.model.lock import Lock
from skillpm.model.requirement import Requirement
from skillpm.ops.context import Context, demand_known
from skillpm.ops.project.apply import Decision
from skillpm.ops.project.choose import Selection
from skillpm.ops.project.install import InstallOptions, carry_out
from skillpm.ops.project.installation import Installation
from skillpm.ops.project.linking import Linking
from skillpm.ops.project.project_file import without
from skillpm.ops.project.required import required
from skillpm.resolve.agreement import disagreements
from skillpm.resolve.plan import Change, Plan, Step, needed, requirers


def uninstall(context: Context, names: Sequence[str], options: InstallOptions) -> Installation:
    """Remove skills from the project and its project file; the store keeps them for other projects.

    Raises:
        UnknownSkillError: a name is not installed.
        UsageError: another installed skill requires it, or its folder was edited.
    """
    return carry_out(context, lambda to: _choose(context, names, to), options)


def _choose(context: Context, names: Sequence[str], to: Linking) -> Decision:
    lock = context.lock()
    requirements = required(context, lock)
    known = {*(entry.name for entry in lock.skills), *(item.name for item in requirements)}
    demand_known(names, known)
    roots = [item for item in requirements if item.name not in names]
    plan = _plan(lock, names, roots)
    return Decision(
        Selection(plan),
        to,
        project_text=without(context, [item.name for item in requirements if item.name in names]),
        settled=not disagreements(roots, plan.lock),
        removal=True,
    )


def _plan(lock: Lock, names: Sequence[str], roots: Sequence[Requirement]) -> Plan:
    remaining = needed(lock, [root.name for root in roots])
    for name in names:
        if name in remaining:
            users = [user for user in requirers(lock, name) if user in remaining]
            raise UsageError(
                f"{name} is required by {', '.join(users)}", hint=f"uninstall {' and '.join(users)} as well"
            )
    after = Lock(
        requirements=tuple(sorted(map(str, roots))),
        cutoff=lock.cutoff,
        skills=tuple(entry for entry in lock.skills if entry.name in remaining),
    )
    steps = tuple(
        Step(entry.name, Change.KEPT if entry.name in remaining else Change.REMOVED, entry, after.skill(entry.name))
        for entry in lock.skills
    )
    return Plan(steps, after)
