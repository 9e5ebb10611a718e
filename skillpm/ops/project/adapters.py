"""Trained adapters among the skills of a project: checked against skills and base model before they are locked."""

from __future__ import annotations

from skillpm.errors import IntegrityError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.progress import NO_PROGRESS, Progress
from skillpm.ops.context import Context
from skillpm.resolve.plan import Change, Plan


def check_adapters(context: Context, plan: Plan, base: str = "", progress: Progress = NO_PROGRESS) -> tuple[str, ...]:
    """Return what there is to say of the adapters of a plan, whose trees are in the store.

    New adapters are replayed where their base model is prepared. ``base`` is the base model that was asked for, as this
    machine knows it.

    Raises:
        IntegrityError: a new adapter is of another base model, was trained on other content of the locked version of a
            skill, or does not answer as it was recorded.
    """
    fresh = {step.name for step in plan.steps if step.change in (Change.ADDED, Change.REPLACED)}
    adapters = [entry for entry in plan.lock.skills if entry.adapter]
    lines = []
    for entry in adapters:
        if entry.name in fresh:
            lines.append(f"{entry.name}: {_checked(context, plan.lock, entry, base, progress)}")
        if behind := lag_of(context, entry, plan.lock):
            lines.append(f"{entry.name}: {behind}")
    return tuple(lines)


def lag_of(context: Context, entry: LockedSkill, lock: Lock) -> str:
    """Return how the locked skills differ from those that an adapter was trained on; empty for anything else."""
    if not entry.adapter or not context.store.has(entry.tree):
        return ""
    from skillpm.ops.learning.adapter import lag, read_release

    return lag(read_release(context.store.path(entry.tree)), lock)


def _checked(context: Context, lock: Lock, entry: LockedSkill, base: str, progress: Progress) -> str:
    """Refuse a new adapter that is not what it claims; return what became of its recorded answers."""
    from skillpm.ops.learning.adapter import read_release, replay
    from skillpm.train.base_model import portable_name

    folder, foreign = context.store.path(entry.tree), "do not use it, and tell the registry's maintainer"
    release = read_release(folder)
    if base and portable_name(base) != entry.adapter:
        message = f"{entry.name} is an adapter of {entry.adapter}, not of {portable_name(base)}"
        raise IntegrityError(message, hint=f"if you mean that model, write `--adapter {entry.adapter}`; else {foreign}")
    for taught in release.skills:
        here = lock.skill(taught.name)
        if here and here.source.published and here.version == taught.version and here.tree != taught.tree:
            raise IntegrityError(
                f"{entry.name} was trained on other content of {here.name} {here.version}: "
                f"tree {taught.tree}, the lock has {here.tree}",
                hint=foreign,
            )
    return replay(context, folder, release, base, progress)
