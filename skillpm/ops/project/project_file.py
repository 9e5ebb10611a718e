"""Keeps ``skillpm.yaml`` in step with what was typed: what ``install`` adds to it and ``uninstall`` takes out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from skillpm.clients.folders import agent_folders, detected
from skillpm.clients.table import AGENTS
from skillpm.errors import UsageError
from skillpm.formats.yaml_edit import Value, new_project_text, with_entry, with_items, without_entry
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.project import BUNDLED_REGISTRY, ProjectDocument, Wish
from skillpm.model.requirement import Requirement
from skillpm.model.source import BUNDLED, Source, SourceKind
from skillpm.ops.context import Context
from skillpm.ops.project.apply import project_held
from skillpm.ops.project.choose import Request
from skillpm.ops.project.required import required
from skillpm.resolve.plan import Plan
from skillpm.settings import table
from skillpm.settings.files import free_name, registry_name
from skillpm.settings.origin import Level
from skillpm.storage.files import write_atomic
from skillpm.storage.record import read_record


def with_typed(context: Context, request: Request, plan: Plan) -> tuple[str, Plan]:
    """Return the project file's text with what was typed, and the plan whose lock agrees with it.

    A bare name is written with the version that was chosen as its least, so that the file says what was tried; a
    registry that was given by flag is written down too, and the skill is tied to it.

    Raises:
        DocumentError: the file cannot be changed safely.
    """
    text, document = context.settings.project_text, context.settings.document
    assert text is not None
    assert document is not None
    roots = dict(request.roots)
    for name in request.typed:
        entry = plan.lock.skill(name)
        assert entry is not None
        root = roots[name]
        keys = root.source.entry() if root.source and name in request.places else {}
        if keys:
            text = with_entry(text, "requires", name, keys)
            continue
        known = name in document.requires and name not in request.places
        if known and (root.source or not _has_changed(root, document.requires[name])):
            continue
        text, value, roots[name] = _of_registry(context, text, document, root, entry)
        text = with_entry(text, "requires", name, value)
    lock = replace(plan.lock, requirements=tuple(sorted(str(root) for root in roots.values())))
    return text, replace(plan, lock=lock)


def with_agents(context: Context, text: str, names: Sequence[str]) -> str:
    """Return the project file's text with these agents in its list, ``all`` as those detected here.

    A list has the last word, so a file that had none lists those as well whose folders earlier installs have filled.

    Raises:
        DocumentError: the file cannot be changed safely.
    """
    project, document = context.settings.project, context.settings.document
    listed = document.agents if document is not None else None
    filled = read_record(project).agents if listed is None else ()
    asked = [name for item in names for name in (_detected(project) if item == "all" else [item])]
    have, added = set(agent_folders(listed or (), project=project)), []
    for name in [*(name for folder in filled for name in _first_of(folder)), *asked]:
        folder = AGENTS[name].project
        if folder and folder not in have:
            have.add(folder)
            added.append(name)
    return with_items(text, "agents", added)


def _detected(project: Path) -> list[str]:
    return [agent.name for agent in detected(project)]


def _first_of(folder: str) -> list[str]:
    """Return an agent that looks in a folder."""
    return [agent.name for agent in AGENTS.values() if agent.project == folder][:1]


def without(context: Context, names: Collection[str]) -> str | None:
    """Return the project file's text without these requirements; None where there is no project file.

    Raises:
        DocumentError: the file cannot be changed safely.
    """
    text = context.settings.project_text
    for name in sorted(names) if text is not None else ():
        assert text is not None
        text = without_entry(text, "requires", name)
    return text


def _has_changed(root: Requirement, wish: Wish) -> bool:
    return wish.place is not None or Requirement.of(root.name, wish.version or "") != root


def _of_registry(
    context: Context, text: str, document: ProjectDocument, root: Requirement, entry: LockedSkill
) -> tuple[str, Value, Requirement]:
    """Return the text with the registry where that is new, the value to write, and the requirement that it means."""
    site = root.source is not None and root.source.kind is SourceKind.SITE  # it offers what it has now, in no versions
    specifier = root.specifier or ("" if site else f">={Version(entry.version).public}")
    plain = Requirement.of(root.name, specifier)
    place = _given(context, root, entry)
    if place is None:
        return text, specifier, plain
    known = context.registry_names.get(entry.source)
    name = known[-1] if known else free_name(place[0], [*context.settings.registries, *(document.registries or {})])
    if not known:
        relative = entry.source.place if entry.source.kind is SourceKind.REGISTRY else place[1]
        text = with_entry(text, "registries", name, relative)
    value = {"registry": name} if site else {"version": specifier, "registry": name}
    return text, value, replace(plain, source=entry.source)


def _given(context: Context, root: Requirement, entry: LockedSkill) -> tuple[str, str] | None:
    """Return name and place of the registry that a skill was asked of: by a flag, or as a site that was typed."""
    if root.source is not None and root.source.kind is SourceKind.SITE:
        return registry_name(root.source.place), root.source.place
    given = context.settings.setting(table.REGISTRIES)
    found = given.value.items() if given.origin.level is Level.FLAG else ()
    return next((item for item in found if context.registry_source(item[1]) == entry.source), None)


@dataclass(frozen=True, slots=True)
class NewProject:
    """The file that was written, and the names that it requires."""

    path: Path
    requires: tuple[str, ...]
    text: str
    dry_run: bool = False


def init(context: Context, *, dry_run: bool = False) -> NewProject:
    """Write ``skillpm.yaml`` where there is none.

    Registries and agents that were given by flag or by environment are written down. A requirement of the lock is tied
    to the registry or the folder that it came from, so that the file alone gives the same skills again.

    Raises:
        UsageError: there is one already, or the user's home folder is meant.
        LockOutOfDateError: the lock has conflict markers, or is newer than this skillpm.
        StorageError: the disk refused.
    """
    settings = context.settings
    if settings.user:
        raise UsageError(
            "the home folder has no project file", hint=f"what holds everywhere stands in {settings.config}"
        )
    if dry_run:
        return _new(context, dry_run=True)
    with project_held(settings.project):
        made = _new(context, dry_run=False)
        write_atomic(made.path, made.text)
    return made


def _new(context: Context, *, dry_run: bool) -> NewProject:
    path = context.settings.project_path
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path.name} is there already", hint="`skillpm install NAME` adds to it")
    lock = context.lock()
    registries = _registries(context, lock)
    names = {source: name for source, (name, _) in registries.items()}
    requires = {item.name: _value(item, lock.skill(item.name), names) for item in required(context, lock)}
    agents = context.settings.setting(table.AGENTS)
    said = agents.value if agents.origin.is_typed else ()
    text = new_project_text(requires, dict(registries.values()), said)
    return NewProject(path, tuple(requires), text, dry_run)


def _registries(context: Context, lock: Lock) -> dict[Source, tuple[str, str]]:
    """Return name and place of the registries that were said and of those that the lock names, by their sources."""
    said = context.settings.setting(table.REGISTRIES)
    places = said.value if said.origin.is_typed else {}
    sources = {context.registry_source(place): place for place in places.values()}
    sources.update({entry.source: "" for entry in lock.skills if entry.source not in sources})
    found: dict[Source, tuple[str, str]] = {}
    for source, place in sources.items():
        if source.is_registry:
            name = free_name(registry_name(source.place), [name for name, _ in found.values()])
            found[source] = name, (place if source.kind is SourceKind.SITE else "") or source.place
    return found


def _value(requirement: Requirement, entry: LockedSkill | None, registries: dict[Source, str]) -> Value:
    """Return what to write for a requirement of the lock."""
    source = requirement.source or (entry.source if entry is not None else None)
    keys = source.entry() if source is not None else {}
    if keys:
        return keys
    least = f">={Version(entry.version).public}" if entry is not None else "*"
    specifier = requirement.specifier or least
    names = {**registries, BUNDLED: BUNDLED_REGISTRY} if registries else {}
    return {"version": specifier, "registry": names[source]} if source in names else specifier
