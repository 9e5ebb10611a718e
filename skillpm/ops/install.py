"""``skillpm install``: resolve, fetch, check, store, link, lock. No code of any skill runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skillpm.model.skill import Skill
from skillpm.ops.apply import Linking, Outcome, apply, linking
from skillpm.ops.context import Context
from skillpm.ops.fetch import fetch
from skillpm.ops.installation import PROJECT_LOCK, Installation, describe_changes
from skillpm.ops.project_file import with_typed
from skillpm.ops.selection import Selection, read_request, select
from skillpm.ops.wanted import wanted
from skillpm.resolve.plan import Change
from skillpm.storage.process_lock import locked
from skillpm.storage.record import LinkKind, read_record

if TYPE_CHECKING:
    from skillpm.model.ports import Progress

__all__ = ["Choice", "Manner", "carry_out", "install"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How skills are put into agents' folders, and what is told meanwhile.

    Attributes:
        folders: agents' folders to fill, beside those that the settings or earlier installs say.
        link: copies or links; as the settings or earlier installs say where None.
        dry_run: plan only, write nothing.
        force: keep a folder that is not ours as ``.orig``, and replace another source's skill, instead of refusing.
        progress: told of each skill that is fetched.
        installed: called for each added or replaced skill once the lock is written.
    """

    folders: Sequence[str] = ()
    link: LinkKind | None = None
    dry_run: bool = False
    force: bool = False
    progress: Progress | None = None
    installed: Callable[[Skill], None] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a command has decided to have, before anything is fetched or written.

    Attributes:
        selection: the plan.
        lock_text: the lock to the letter, where it may not be written.
        project_text: the project file's new text, where it changes.
        settled: does the lock agree with the project file?
        removal: are skills only taken away? Then nothing is fetched, and no policy is asked.
    """

    selection: Selection
    lock_text: str | None = None
    project_text: str | None = None
    settled: bool = True
    removal: bool = False


def install(context: Context, texts: Sequence[str], manner: Manner) -> Installation:
    """Install what was typed beside what is required; where there is a project file, write it down there.

    Args:
        context: the world.
        texts: requirements and places of skills, at least one.
        manner: how.

    Raises:
        UsageError: a folder is not ours, or holds another source's skill.
        SkillpmError: whatever ``select``, ``fetch`` and ``apply`` raise.
    """
    return carry_out(context, lambda: _choose(context, texts, replace=manner.force), manner)


def _choose(context: Context, texts: Sequence[str], *, replace: bool) -> Choice:
    lock = context.lock()
    request = read_request(context, texts, wanted(context, lock), lock, replace=replace)
    selection = select(context, request, lock)
    if context.settings.document is None:
        return Choice(selection)
    project_text, plan = with_typed(context, texts, request, selection.plan)
    return Choice(Selection(plan, selection.indexes), project_text=project_text)


def carry_out(context: Context, choose: Callable[[], Choice], manner: Manner) -> Installation:
    """Choose, fetch and apply under the project's lock.

    Raises:
        PolicyError: a policy forbids where a skill comes from.
        SkillpmError: whatever ``choose``, ``fetch`` and ``apply`` raise; project and lock are as they were.
    """
    if manner.dry_run:
        choice = choose()
        return _installation(context, choice, _linking(context, manner), [], manner)
    with locked(context.settings.project / PROJECT_LOCK):
        choice, warnings = choose(), []
        to = _linking(context, manner)
        if not choice.removal:
            warnings = _bring(context, choice.selection, manner.progress)
        outcome = Outcome(choice.selection.plan, to, choice.lock_text, choice.project_text, choice.settled)
        apply(context.settings, context.store, outcome, force=manner.force)
    if manner.installed is not None:
        changed = {step.name for step in choice.selection.plan.of(Change.ADDED, Change.REPLACED)}
        for skill in context.installed():
            if skill.name in changed:
                manner.installed(skill)
    return _installation(context, choice, to, warnings, manner)


def _linking(context: Context, manner: Manner) -> Linking:
    return linking(context.settings, read_record(context.settings.project), manner.folders, manner.link)


def _bring(context: Context, selection: Selection, progress: Progress | None) -> list[str]:
    """Have every skill of a plan in the store; a policy is asked first, of the lock's skills too."""
    for entry in selection.plan.lock.skills:
        context.refuse_source(entry.name, entry.source)
    return _fetch_all(context, selection, progress)


def _fetch_all(context: Context, selection: Selection, progress: Progress | None) -> list[str]:
    entries = [step.after for step in selection.plan.steps if step.after is not None]
    missing = [entry for entry in entries if not context.store.verify(entry.tree)]
    if not missing:
        return []
    warnings: list[str] = []
    if progress is not None:
        progress.start("fetching skills", len(missing))
    with context.store.writing():
        for entry in missing:
            index = selection.indexes.get(entry.name) or context.source(entry.source)
            warnings += fetch(context.store, entry, index)
            if progress is not None:
                progress.advance(1, entry.name)
    if progress is not None:
        progress.finish()
    return warnings


def _installation(context: Context, choice: Choice, to: Linking, warnings: list[str], manner: Manner) -> Installation:
    changes = describe_changes(choice.selection.plan)
    return Installation(changes, to.folders, (*context.notices, *warnings), manner.dry_run)
