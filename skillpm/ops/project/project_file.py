"""Edits ``skillpm.yaml``: ``install`` adds requirements and agents, ``uninstall`` removes requirements."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from packaging.version import Version

from skillpm.clients.table import AGENTS, UNIVERSAL
from skillpm.errors import UsageError
from skillpm.formats.yaml_edit import Value, new_project_text, with_entry, with_items, without_entry
from skillpm.index.directory import DirectoryIndex
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.project import BUNDLED_REGISTRY, ProjectDocument, Wish
from skillpm.model.requirement import Requirement
from skillpm.model.source import BUNDLED, Source, SourceKind
from skillpm.ops.context import Context
from skillpm.ops.project.apply import project_held
from skillpm.ops.project.choose import Request
from skillpm.ops.project.required import required
from skillpm.resolve.plan import Plan
from skillpm.settings import Settings, table
from skillpm.settings.files import free_name, registry_name
from skillpm.storage.files import write_atomic
from skillpm.storage.lockfile import write_lock
from skillpm.storage.record import RECORD, read_record, record_text, text_digest


def with_typed(context: Context, request: Request, plan: Plan) -> tuple[str, Plan]:
    """Return the project file's text with the typed skills, and the plan whose lock agrees with it.

    A bare name gets the chosen version as its minimum, so the file records what was tried. A registry from a flag is
    added too, and the skill requires it.

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
        wish = document.requires.get(name) if name not in request.places else None
        if wish is not None and root.source and _moves(context, wish, root.source):
            wish = None
        if wish is not None and wish.registry and root.source:
            if Requirement.of(name, wish.version or "").specifier != root.specifier:
                text = with_entry(text, "requires", name, {"version": root.specifier, "registry": wish.registry})
            continue
        if wish is not None and (root.source or not _has_changed(root, wish)):
            continue
        text, value, roots[name] = _of_registry(context, text, document, root, entry)
        text = with_entry(text, "requires", name, value)
    lock = replace(plan.lock, requirements=tuple(sorted(str(root) for root in roots.values())))
    return text, replace(plan, lock=lock)


def with_agents(context: Context, text: str, names: Sequence[str]) -> str:
    """Return the project file's text with these agents in its list.

    A list excludes other agents, so a new list also has the agents whose folders earlier installs filled.

    Raises:
        DocumentError: the file cannot be changed safely.
    """
    settings = context.settings
    listed = settings.document.agents if settings.document is not None else None
    if listed is not None:
        return with_items(text, "agents", [name for name in names if name not in listed])
    return with_items(text, "agents", _filled(settings, names))


def _filled(settings: Settings, names: Sequence[str] = ()) -> list[str]:
    """Return the agents that installs fill folders for: those that were named, and the first of each other folder."""
    record = read_record(settings.project)
    agents = list(dict.fromkeys((*record.named, *names)))
    covered = {AGENTS[name].folder(user=settings.user) for name in agents if name in AGENTS} | {UNIVERSAL}
    owners = {agent.folder(user=settings.user): agent.name for agent in reversed(AGENTS.values())}
    return [*(owners[folder] for folder in record.agents if folder in owners and folder not in covered), *agents]


def without(context: Context, names: Collection[str]) -> str | None:
    """Return the project file's text without these requirements; None if there is no project file.

    Raises:
        DocumentError: the file cannot be changed safely.
    """
    text = context.settings.project_text
    for name in sorted(names) if text is not None else ():
        assert text is not None
        text = without_entry(text, "requires", name)
    return text


def _moves(context: Context, wish: Wish, source: Source) -> bool:
    """Is another registry typed than the one that the project file names?"""
    return source.kind is SourceKind.REGISTRY and wish.registry not in context.registry_names.get(source, ())


def _has_changed(root: Requirement, wish: Wish) -> bool:
    """Does a requirement without a source differ from what the project file says?"""
    return bool(wish.place or wish.registry) or Requirement.of(root.name, wish.version or "") != root


def _of_registry(
    context: Context, text: str, document: ProjectDocument, root: Requirement, entry: LockedSkill
) -> tuple[str, Value, Requirement]:
    """Return the text with a new registry in it, the value to write, and the requirement of that value."""
    site = root.source is not None and root.source.kind is SourceKind.SITE  # a site has no older versions
    specifier = root.specifier or ("" if site else f">={Version(entry.version).public}")
    plain = Requirement.of(root.name, specifier)
    place = _typed_registry(context, root, entry)
    if place is None:
        return text, specifier, plain
    known = context.registry_names.get(entry.source)
    name = known[-1] if known else free_name(place[0], [*context.settings.registries, *(document.registries or {})])
    if not known:
        relative = entry.source.place if entry.source.kind is SourceKind.REGISTRY else place[1]
        text = with_entry(text, "registries", name, relative)
    value = {"registry": name} if site else {"version": specifier, "registry": name}
    return text, value, replace(plain, source=entry.source)


def _typed_registry(context: Context, root: Requirement, entry: LockedSkill) -> tuple[str, str] | None:
    """Return the name and the place of the registry of a skill if it was a flag or typed with the skill."""
    if root.source is not None and root.source.is_registry:
        return registry_name(root.source.place.partition("@")[0]), root.source.place
    flags = context.settings.typed_registries
    return next((item for item in flags.items() if context.registry_source(item[1]) == entry.source), None)


@dataclass(frozen=True, slots=True)
class NewProject:
    """The new project file, and the names that it requires."""

    path: Path
    requires: tuple[str, ...]
    text: str
    dry_run: bool = False


def init(context: Context, *, dry_run: bool = False) -> NewProject:
    """Write a new ``skillpm.yaml``, and the same requirements into the lock.

    It has the registries and agents of flags and of the environment, and the agents and the way of linking of earlier
    installs. Each requirement names its registry, folder, archive or repository, so that the file alone gives the same
    skills again.

    Raises:
        UsageError: the file exists already.
        LockOutOfDateError: the lock has conflict markers, or is newer than this skillpm.
    """
    settings = context.settings
    with nullcontext() if dry_run else project_held(settings.project):
        project = _new(context, dry_run=dry_run)
        if not dry_run:
            write_atomic(project.path, project.text)
            if settings.lock_path.exists():
                _retie(Context(replace(settings)))
    return project


def _warn_of_missing(context: Context, place: str) -> None:
    """Warn of a folder that is not a registry: it may be made later, and a mistyped one fails every command."""
    registry = context.registry(place)
    if isinstance(registry, DirectoryIndex) and not (registry.root / "config.json").is_file():
        hint = f"check the path, or make it one with `skillpm registry init {quote(place)}`"
        context.note(f"warning: {registry.root} is not a registry: {hint}")


def _retie(context: Context) -> None:
    """Write the requirements of the project file into the lock, so that both agree, and note it in the record."""
    settings, lock = context.settings, context.lock()
    requirements = tuple(sorted(str(item) for item in required(context, lock)))
    text = write_lock(settings.lock_path, replace(lock, requirements=requirements))
    record = read_record(settings.project)
    if record.placements:
        again = replace(record, lock=text_digest(text), settings=settings.digest())
        write_atomic(settings.project / RECORD, record_text(again))


def _new(context: Context, *, dry_run: bool) -> NewProject:
    path = context.settings.project_path
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path.name} already exists", hint="run `skillpm install NAME` to add a skill to it")
    for place in context.settings.typed_registries.values():
        _warn_of_missing(context, place)
    lock = context.lock()
    registries = _registries(context, lock)
    names = {source: name for source, (name, _) in registries.items()}
    requires = {item.name: _value(item, lock.skill(item.name), names) for item in required(context, lock)}
    agents = context.settings.setting(table.AGENTS)
    record = read_record(context.settings.project)
    typed = agents.value if agents.origin.is_typed else ()
    link = record.link if record.link == "symlink" else ""
    filled = tuple(_filled(context.settings, typed))
    text = new_project_text(requires, dict(registries.values()), filled, link)
    return NewProject(path, tuple(requires), text, dry_run)


def _registries(context: Context, lock: Lock) -> dict[Source, tuple[str, str]]:
    """Return the name and the place of each typed or locked registry, by source, in the order of the settings."""
    typed = context.settings.setting(table.REGISTRIES)
    locked = {entry.source for entry in lock.skills}
    sources = {context.registry_source(place): place for place in typed.value.values()}
    sources = {source: place for source, place in sources.items() if typed.origin.is_typed or source in locked}
    sources.update({entry.source: "" for entry in lock.skills if entry.source not in sources})
    registries: dict[Source, tuple[str, str]] = {}
    for source, place in sources.items():
        if source.is_registry:
            taken = [*context.settings.registries, *(name for name, _ in registries.values())]
            names = context.registry_names.get(source) or [free_name(registry_name(source.place), taken)]
            registries[source] = names[-1], (place if source.kind is SourceKind.SITE else "") or source.place
    return registries


def _value(requirement: Requirement, entry: LockedSkill | None, registries: dict[Source, str]) -> Value:
    """Return the value to write for a requirement of the lock."""
    source = requirement.source or (entry.source if entry is not None else None)
    keys = source.entry() if source is not None else {}
    if keys:
        return keys
    least = f">={Version(entry.version).public}" if entry is not None else "*"
    is_site = source is not None and source.kind is SourceKind.SITE  # a site has no older versions
    specifier = requirement.specifier or ("" if is_site else least)
    names = {**registries, BUNDLED: BUNDLED_REGISTRY} if registries else {}
    if source not in names:
        return specifier or "*"
    return {"version": specifier, "registry": names[source]} if specifier else {"registry": names[source]}
