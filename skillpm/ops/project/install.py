"""``skillpm install``: resolve, fetch, check, store, link, lock. No code of any skill runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from skillpm.errors import IntegrityError, UnknownSkillError, UsageError
from skillpm.formats.listed import listed
from skillpm.index.path import TreeIndex
from skillpm.layout.tree import FolderTree
from skillpm.model.hooks import refuse_foreign_hooks
from skillpm.model.lock import LockedSkill
from skillpm.model.progress import NO_PROGRESS, Progress
from skillpm.model.release import Page
from skillpm.ops.context import Context
from skillpm.ops.machine.agents import exceeded_budgets
from skillpm.ops.project.adapters import check_adapters
from skillpm.ops.project.apply import Decision, apply, project_held
from skillpm.ops.project.asked import Asked, settled
from skillpm.ops.project.changes import describe_changes
from skillpm.ops.project.choose import Selection, read_request, select
from skillpm.ops.project.difference import Place, SkillState, difference
from skillpm.ops.project.fetch import fetch, refuse_told
from skillpm.ops.project.folder_names import refuse_clashes, shared_names
from skillpm.ops.project.identity import refuse_impostor
from skillpm.ops.project.installation import Installation
from skillpm.ops.project.known_pages import KnownPages
from skillpm.ops.project.linking import Linking, linking, refused_links
from skillpm.ops.project.provenance import lacks_skill, moved_warnings, refuse_other_archive
from skillpm.ops.project.required import required
from skillpm.ops.project.wheels import with_wheels
from skillpm.resolve.plan import Change, Plan
from skillpm.storage.links import Places, refuse_outside
from skillpm.storage.record import LinkKind, Placement, read_record
from skillpm.trust.allowance import NOTHING, Allowance, refuse_unmet
from skillpm.trust.recall import asked_page, recall_warnings

_AT_ONCE = 8
_NAMED_SKILLS = 3  # skills in one warning

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """The options of an install.

    Attributes:
        folders: agents' folders to fill, besides those of the settings and of earlier installs.
        agents: agents to add to the project file.
        named: the agents of this command, which the record keeps.
        link: copies or links; None for the choice of the settings or of earlier installs.
        dry_run: plan only, write nothing.
        force: keep a foreign folder in ``.skillpm/kept`` and replace another source's skill, instead of refusing.
        base: the base model of the adapters that were asked for.
    """

    folders: Sequence[str] = ()
    agents: Sequence[str] = ()
    named: Sequence[str] = ()
    link: LinkKind | None = None
    dry_run: bool = False
    force: bool = False
    allow: Allowance = NOTHING
    progress: Progress = NO_PROGRESS
    base: str = ""


def install(context: Context, asked: Asked, options: InstallOptions) -> Installation:
    """Install the requested skills besides the required ones, and add them to a project file.

    Raises:
        UsageError: a folder has foreign content or another source's skill.
    """
    return carry_out(context, lambda to: _choose(context, asked, options, to), options)


def _choose(context: Context, asked: Asked, options: InstallOptions, to: Linking) -> Decision:
    lock = context.lock()
    requirements = required(context, lock)
    known = {*(item.name for item in requirements), *(entry.name for entry in lock.skills)}
    decided = settled(context, asked, known)
    decided = decided.with_adapters(options.base) if options.base else decided
    request = read_request(context, requirements, lock, decided, replace=options.force, allow=options.allow)
    try:
        selection = select(context, request, lock)
    except UnknownSkillError as error:
        if options.base and error.details.get("names", [""])[0] not in {item.name for item in asked.requirements}:
            error.message = f"there is no adapter of {options.base}: {error.message}"
            error.hint = "check `--adapter`, or install without it"
        raise
    if context.settings.document is None:
        return Decision(selection, to)
    from skillpm.ops.project.project_file import with_typed

    project_text, plan = with_typed(context, request, selection.plan)
    return Decision(replace(selection, plan=plan), to, project_text=project_text)


def carry_out(context: Context, choose: Callable[[Linking], Decision], options: InstallOptions) -> Installation:
    """Choose the target state for the agents' folders, fetch and apply it, under the project's lock.

    Raises:
        PolicyError: a policy does not allow a source.
        SkillpmError: whatever ``choose``, ``fetch`` and ``apply`` raise; project and lock are as they were.
    """
    settings = context.settings
    with nullcontext() if options.dry_run else project_held(settings.project):
        record = read_record(settings.project)
        to = linking(settings, record, options.folders, options.link, adding=bool(options.agents))
        to = replace(to, named=tuple(dict.fromkeys((*record.named, *options.named))))
        decision = _with_agents(context, choose(to), options)
        plan = decision.selection.plan
        edited = moved_warnings(_settled(plan), record)
        refuse_clashes(plan.lock)
        refuse_outside(settings.root, (*to.folders, *record.agents))
        places = Places(settings.root, context.store, settings.project)
        states = difference(context, places, record, plan.lock, to)
        foreign = [place for state in states.values() for place in state.places if place.is_foreign]
        refusal = None if options.force else _refusal(places, foreign)
        if options.dry_run:
            work = _rehearse(context, decision, places, foreign if options.force else (), options)
        elif refusal:
            raise refusal
        else:
            work = _perform(context, decision, places, states, options)
    warnings = [*edited, *work.warnings]
    if refusal:
        warnings.append(f"without `--dry-run` this is refused: {refusal.message}; {refusal.hint}")
    changes = describe_changes(plan, states)
    changed = {change.name for change in changes if change.change in (Change.ADDED, Change.REPLACED)}
    warnings += refused_links(to, work.placed)
    fresh = [placement.folder for placement in work.placed if placement.skill in changed]
    warnings += exceeded_budgets(settings, to.folders, fresh, to.named, options.named)
    if not options.dry_run:
        warnings += _notify_plugins(context, changed)
    return Installation(
        changes,
        to.folders,
        (*context.notices, *warnings, *shared_names(plan.lock, changed)),
        options.dry_run,
        decision.selection.left_out,
        tuple(places.backups),
        work.notes,
        work.files,
    )


def _settled(plan: Plan) -> Iterator[LockedSkill]:
    """Yield the entries whose source this command does not change."""
    for step in plan.steps:
        if step.before is not None and step.after is not None and step.before.source == step.after.source:
            yield step.after


@dataclass(frozen=True, slots=True)
class _Work:
    """What was done, or would be: warnings, notes about adapters, the names of changed files, and what was placed."""

    warnings: Sequence[str]
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()
    placed: tuple[Placement, ...] = ()


def _rehearse(
    context: Context, decision: Decision, places: Places, replaced: Iterable[Place], options: InstallOptions
) -> _Work:
    """Check what would be installed, and name the backups of the folders that would be replaced."""
    warnings = [] if decision.removal else _fetch_missing(context, decision.selection, options)
    for place in replaced:
        places.name_backup(place.placement)
    return _Work(warnings, _names(decision.documents(context.settings)))


def _perform(
    context: Context, decision: Decision, places: Places, states: Mapping[str, SkillState], options: InstallOptions
) -> _Work:
    """Fetch what is missing, and put everything into its place."""
    warnings: list[str] = []
    notes: tuple[str, ...] = ()
    with context.store.writing():  # keeps `cache prune` away until the lock is written
        for state in states.values():
            for place in state.places:
                if place.is_foreign:
                    places.keep_linked(place.placement)
        if not decision.removal:
            warnings = _fetch_missing(context, decision.selection, options)
            if decision.lock_text is None:
                selection, more = with_wheels(context, decision.selection)
                decision, warnings = replace(decision, selection=selection), [*warnings, *more]
            notes = check_adapters(context, decision.selection.plan, options.base, options.progress)
        files = decision.documents(context.settings)
        placed = apply(context, decision, places, states.values(), force=options.force)
    return _Work(warnings, _names(files), notes, placed)


def _names(files: Iterable[Path]) -> tuple[str, ...]:
    return tuple(path.name for path in files)


def _refusal(places: Places, foreign: Sequence[Place]) -> UsageError | None:
    """Return the error for places with foreign or edited content, or None."""
    if not foreign:
        return None
    error = places.foreign(foreign[0].placement, foreign[0].recorded)
    if len(foreign) > 1:
        error.message += f", and {len(foreign) - 1} more"
        error.details["folders"] = [place.placement.folder for place in foreign]
    return error


def _notify_plugins(context: Context, changed: Collection[str]) -> list[str]:
    """Call the hook ``skillpm_installed`` for each changed skill; return a warning for each failed plugin."""
    observe = context.host.installed_observer()
    if observe is None:
        return []
    for skill in context.installed():
        if skill.name in changed:
            observe(skill)
    failures = [failure for failure in context.host.failures if failure.hook == "skillpm_installed"]
    return [f"{failure.plugin} failed in `skillpm_installed`: {failure.message}" for failure in failures]


def _with_agents(context: Context, decision: Decision, options: InstallOptions) -> Decision:
    """Return the decision with this command's agents in the project file, if there is one."""
    text = decision.project_text or context.settings.project_text
    if text is None or not options.agents:
        return decision
    from skillpm.ops.project.project_file import with_agents

    return replace(decision, project_text=with_agents(context, text, options.named))


def _fetch_missing(context: Context, selection: Selection, options: InstallOptions) -> list[str]:
    """Check the policies for every skill, fetch the missing ones, and return warnings about yanks and findings.

    A dry run checks the same of what needs no download, and stores nothing.
    """
    warnings = []
    for entry in selection.plan.lock.skills:
        context.refuse_source(entry.name, entry.source)
        context.signers.demand(str(entry), entry.signer, context.signatures_of(entry.source))
        refuse_foreign_hooks(entry.name, entry.version, entry.hooks)
        warnings += recall_warnings(entry, selection.pages.get(entry.name), selection.plan.lock, options.allow)
    pages = KnownPages(context)
    missing, options = [], replace(options, allow=context.under_policy(options.allow))
    for entry in selection.plan.lock.skills:
        if context.store.verify(entry.tree):
            tree = FolderTree(context.store.path(entry.tree))
            claims = str(entry.source) if entry.name in selection.pages else "skillpm.lock"
            refuse_impostor(entry.name, entry, tree, claims)
            refuse_other_archive(entry, tree, pages)
            refuse_told(tree, entry, options.allow)
            warnings += [] if entry.name in selection.pages else pages.recalls(entry, selection.plan.lock)
            if lacks_skill(context, entry):
                warnings.append(
                    f"{entry} is installed from the store: {entry.source}, where it is locked from, has none"
                )
        else:
            if context.store.has(entry.tree):
                warnings.append(f"{entry} was changed in the store, so it is fetched again")
            missing.append(entry)
    warnings += _fetch_all(context, selection, missing, options) if missing else []
    known = {*(entry.name for entry in selection.plan.lock.skills), *(item.name for item in selection.left_out)}
    refuse_unmet((*options.allow.skills, *context.signers.allowed), known)
    return warnings


def _fetch_all(
    context: Context, selection: Selection, missing: Sequence[LockedSkill], options: InstallOptions
) -> list[str]:
    indexes = {
        entry.name: selection.indexes.get(entry.name) or context.copy_of(entry) or context.source(entry.source)
        for entry in missing
    }
    if options.dry_run:
        opened = {name for name, index in selection.indexes.items() if isinstance(index, TreeIndex)}
        missing = [entry for entry in missing if entry.name in opened or not indexes[entry.name].remote]
    progress = options.progress
    progress.start("fetching skills", len(missing))

    seen: dict[str, list[str]] = {}

    def fetch_one(entry: LockedSkill) -> tuple[LockedSkill, list[str]]:
        size, index = selection.sizes.get(entry.archive, 0), indexes[entry.name]
        page = None if entry.name in selection.pages else asked_page(index, entry.name)
        warnings = recall_warnings(entry, page, selection.plan.lock, options.allow)
        store = None if options.dry_run else context.store
        alone = store.bringing(entry.tree) if store is not None and index.remote else nullcontext(enter_result=True)
        with alone as needed:  # a download waits for a process that fetches the same tree; a local copy does not
            try:
                seen[entry.name] = fetch(store, entry, index, options.allow, size=size) if needed else []
            except IntegrityError as error:
                error.hint = f"{error.hint}{_another(entry, page or selection.pages.get(entry.name))}"
                raise
            return entry, warnings

    remote = any(index.remote for index in indexes.values())
    fetched = _all_at_once(fetch_one, missing, context.around.stop) if remote else map(fetch_one, missing)
    warnings_of: dict[str, list[str]] = {}
    for entry, warnings in fetched:
        warnings_of[entry.name] = warnings
        progress.advance(1, entry.name)
    progress.finish()
    if not options.dry_run:
        context.store.flush()
    return [*(warning for entry in missing for warning in warnings_of[entry.name]), *_grouped(seen)]


def _another(entry: LockedSkill, page: Page | None) -> str:
    """Return what takes another release than one that is damaged, if its source has another."""
    others = page is not None and any(item.usable and item.version != entry.version for item in page.releases)
    return f"; `skillpm install '{entry.name}!={entry.version}'` takes another version" if others else ""


def _all_at_once(work: Callable[[T], R], items: Iterable[T], stop: Callable[[], None]) -> Iterator[R]:
    """Map in threads and yield results as they finish: over a network, most time is waiting. ``stop`` ends all."""
    from concurrent.futures import as_completed

    from skillpm.index.transport import round_trips

    with round_trips(_AT_ONCE) as pool:
        try:
            for future in as_completed([pool.submit(work, item) for item in items]):
                yield future.result()
        except BaseException:
            stop()
            raise


def _grouped(seen: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one sentence for each rule that warns, out of the codes of each skill."""
    if not any(seen.values()):
        return []
    from skillpm.layout.check import RULES

    titles = {rule.code: rule.title for rule in RULES}
    skills: dict[str, list[str]] = defaultdict(list)
    for name in sorted(seen):
        for code in seen[name]:
            skills[code].append(name)
    return [
        f"{_who(skills[code])}: {titles.get(code, 'see `skillpm validate --rules`')} ({code})"
        for code in sorted(skills)
    ]


def _who(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{len(names)} skills ({listed(names, _NAMED_SKILLS)})"
