"""The changes of an install or a locking, one for each skill, in the form that commands print."""

from __future__ import annotations

from collections.abc import Mapping

from skillpm.model.name import UNVERSIONED
from skillpm.ops.project.difference import SkillState
from skillpm.ops.project.installation import SkillChange
from skillpm.resolve.plan import Change, Plan, Step


def lock_changes(plan: Plan) -> tuple[SkillChange, ...]:
    """Return a plan's steps, from the old lock to the new lock, in the form that commands print."""
    return tuple(_change(step.name, step.change, step) for step in plan.steps)


def describe_changes(plan: Plan, states: Mapping[str, SkillState]) -> tuple[SkillChange, ...]:
    """Return what changes in the agents' folders, in the form that commands print.

    The change of the plan counts if no folder has the name, or if the skill gets another source.
    """
    steps = {step.name: step for step in plan.steps}
    return tuple(_standing(name, steps.get(name), states.get(name)) for name in sorted({*steps, *states}))


def _standing(name: str, step: Step | None, state: SkillState | None) -> SkillChange:
    if state is None or (step is not None and not state.places):  # removed, or an adapter, which has no folder
        assert step is not None
        return _change(name, step.change, step)
    change = state.change
    if change is Change.KEPT and step is not None and step.change is Change.REPLACED:
        change = Change.REPLACED  # the same bytes of another source
    if step is None:  # the record alone knows it
        tree = next((place.placement.tree for place in state.places), "")
        version = state.installed or UNVERSIONED
        return SkillChange(name, change, version, state.installed, "", tree)
    return _change(name, change, step, state.installed)


def _change(name: str, change: Change, step: Step, installed: str | None = None) -> SkillChange:
    entry = step.after or step.before
    assert entry is not None
    before = installed or (step.before.version if step.before else None)
    previous = None if change is Change.ADDED else before
    return SkillChange(name, str(change), entry.version, previous, str(entry.source), entry.tree)
