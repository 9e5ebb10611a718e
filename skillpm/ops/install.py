"""``skillpm install``: resolve, fetch, check, store, link, lock. No code of any skill runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import UsageError
from skillpm.model.lock import Lock
from skillpm.model.skill import Skill
from skillpm.ops.agents import crossed_budgets
from skillpm.ops.allowance import NOTHING, Allowance
from skillpm.ops.apply import Linking, apply, linking, refused_links
from skillpm.ops.choice import UNSAID, Wanted
from skillpm.ops.context import Context
from skillpm.ops.fetch import fetch
from skillpm.ops.installation import Installation, SkillChange
from skillpm.ops.selection import Selection, select
from skillpm.resolve.plan import Change, Plan, Step
from skillpm.storage.links import refuse_outside
from skillpm.storage.process_lock import locked
from skillpm.storage.record import LinkKind, read_record

if TYPE_CHECKING:
    from skillpm.model.ports import Progress

__all__ = ["PROJECT_LOCK", "describe_changes", "install"]

_AT_ONCE = 8
PROJECT_LOCK = Path(".skillpm", "lock")


def install(
    context: Context,
    texts: Sequence[str],
    *,
    folders: Sequence[str],
    link: LinkKind | None = None,
    wanted: Wanted = UNSAID,
    dry_run: bool = False,
    force: bool = False,
    allow: Allowance = NOTHING,
    progress: Progress | None = None,
    installed: Callable[[Skill], None] | None = None,
) -> Installation:
    """Install what was typed beside what is locked; where nothing was typed, exactly what is locked.

    Args:
        context: the world.
        texts: requirements, and places that hold skills.
        folders: agents' folders to fill, beside those of earlier installs.
        link: copies or links; as before where None.
        wanted: which skills of the places.
        dry_run: plan only, write nothing.
        force: keep a folder that is not ours as ``.orig`` instead of refusing.
        allow: what the scan finds and a person lets in.
        progress: told of each skill that is fetched.
        installed: called for each added or replaced skill once the lock is written.

    Raises:
        UsageError: nothing is locked and nothing was typed, or a folder is not ours.
        SkillpmError: whatever ``select``, ``fetch`` and ``apply`` raise.
    """
    if dry_run:
        selection, to = _select(context, texts, wanted), linking(read_record(context.settings.project), folders, link)
        return _installation(selection.plan, to, selection.warnings, dry_run=True)
    refuse_outside(context.settings.project, [PROJECT_LOCK.parts[0]])
    with locked(context.settings.project / PROJECT_LOCK):
        selection, to = _select(context, texts, wanted), linking(read_record(context.settings.project), folders, link)
        with context.store.writing():  # until the lock is written: no clean-up may take what is counted on
            warnings = [*selection.warnings, *_fetch_all(context, selection, allow, progress)]
            placed = apply(context.settings, context.store, selection.plan, to, force=force)
    changed = {step.name for step in selection.plan.of(Change.ADDED, Change.REPLACED)}
    fresh = [placement.folder for placement in placed if placement.skill in changed]
    warnings += [*refused_links(to, placed), *crossed_budgets(context.settings, set(to.folders), fresh)]
    if installed is not None:
        for skill in context.installed():
            if skill.name in changed:
                installed(skill)
    return _installation(selection.plan, to, warnings, dry_run=False)


def _select(context: Context, texts: Sequence[str], wanted: Wanted) -> Selection:
    lock = context.lock()
    if texts or wanted != UNSAID:
        return select(context, texts, lock, wanted)
    if not context.settings.lock_path.exists():
        raise UsageError("nothing to install: there is no skillpm.lock here", hint="run `skillpm install NAME`")
    return _as_locked(lock)


def _as_locked(lock: Lock) -> Selection:
    """Select exactly what the lock says, without resolving."""
    return Selection(Plan(tuple(Step(entry.name, Change.KEPT, entry, entry) for entry in lock.skills), lock))


def _fetch_all(context: Context, selection: Selection, allow: Allowance, progress: Progress | None) -> list[str]:
    entries = [step.after for step in selection.plan.steps if step.after is not None]
    missing = [entry for entry in entries if not context.store.verify(entry.tree)]
    if not missing:
        return []
    indexes = {entry.name: selection.indexes.get(entry.name) or context.source(entry.source) for entry in missing}
    if progress is not None:
        progress.start("fetching skills", len(missing))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = {
            pool.submit(
                fetch, context.store, entry, indexes[entry.name], allow, size=selection.sizes.get(entry.archive, 0)
            ): entry.name
            for entry in missing
        }
        try:
            for done in as_completed(running):
                done.result()
                if progress is not None:
                    progress.advance(1, running[done])
        except BaseException:
            context.around.stop()
            pool.shutdown(cancel_futures=True)
            raise
    if progress is not None:
        progress.finish()
    return [warning for done in running for warning in done.result()]


def describe_changes(plan: Plan) -> tuple[SkillChange, ...]:
    """Return a plan's steps in the form that commands print."""
    return tuple(_change(step) for step in plan.steps)


def _change(step: Step) -> SkillChange:
    entry = step.after or step.before
    assert entry is not None
    previous = step.before.version if step.before else None
    return SkillChange(step.name, str(step.change), entry.version, previous, entry.source, entry.tree)


def _installation(plan: Plan, to: Linking, warnings: Sequence[str], *, dry_run: bool) -> Installation:
    found = Installation(describe_changes(plan), to.folders, tuple(warnings))
    return replace(found, dry_run=dry_run)
