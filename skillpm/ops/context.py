"""The composition root: wires settings, store and indexes; finds skills by what a person types."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import IntegrityError, LockOutOfDateError, PolicyError, RegistryError, UnknownSkillError, UsageError
from skillpm.index.bundled import BundledIndex
from skillpm.index.chain import ChainIndex
from skillpm.index.shipped import bundled_skills
from skillpm.index.source import Surroundings, is_path, open_registry, open_source
from skillpm.layout.description import describe
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.name import did_you_mean, is_name
from skillpm.model.skill import Skill
from skillpm.model.source import Source
from skillpm.runtime.distributions import load_host
from skillpm.runtime.host import Host
from skillpm.settings import Settings
from skillpm.storage.lockfile import read_lock
from skillpm.storage.store import Store

if TYPE_CHECKING:
    from skillpm.model.ports import Index
    from skillpm.model.trust_policy import TrustPolicy
    from skillpm.train.kinds import Kinds


@dataclass
class Context:
    """One invocation's world.

    Attributes:
        settings: where things live.
        store: the content-addressed store.
        notices: sentences for the person.
        tell: is given each of them as it comes.
    """

    settings: Settings
    store: Store
    notices: list[str] = field(default_factory=list)
    tell: Callable[[str], None] | None = None
    _sources: dict[Source, Index] = field(default_factory=dict)

    @cached_property
    def index(self) -> ChainIndex:
        """The registries of the settings in their order, then the skills that ship with skillpm.

        Raises:
            RegistryError: a kind of registry that this version cannot read.
        """
        registries = [self.registry(text) for text in self.settings.indexes]
        return ChainIndex([*registries, BundledIndex()])

    @cached_property
    def around(self) -> Surroundings:
        """What indexes need of the world."""
        return Surroundings(self.settings.project, self.settings.cache, offline=self.settings.offline)

    @cached_property
    def host(self) -> Host:
        """The user's own plugins, loaded when they are first asked for."""
        return load_host(plugins=self.settings.plugins)

    @cached_property
    def stage_kinds(self) -> Kinds:
        """The kinds of training stages: the built-in ones, and those that plugins bring.

        Raises:
            PluginError: a plugin brings what is no trainer, or a name that is taken.
        """
        from skillpm.ops.learning.stage_kinds import stage_kinds

        return stage_kinds(self.host)

    def registry(self, text: str) -> Index:
        """Return the registry at a place. Raises RegistryError where this version cannot read it."""
        try:
            index = open_registry(text, self.around)
        except RegistryError:
            brought = self.host.index(text)
            if brought is None:
                raise
            index = brought
        return self._sources.setdefault(Source.parse(index.name), index)

    def registry_source(self, text: str) -> Source:
        """Return what a lock calls the registry at a place. Raises RegistryError as ``registry`` does."""
        return Source.parse(self.registry(text).name)

    def source(self, source: Source) -> Index:
        """Return the index that a lock names. Raises RegistryError where this version cannot read it."""
        if source not in self._sources:
            self._sources[source] = self._open_source(source)
        return self._sources[source]

    def _open_source(self, source: Source) -> Index:
        try:
            return open_source(source, self.around)
        except RegistryError:
            brought = self.host.index(str(source))
            if brought is None:
                raise
            return brought

    def refuse_source(self, name: str, source: Source) -> None:
        """Raise PolicyError where a policy forbids to take a skill from a source."""
        for policy, registries in self._policies:
            reason = policy.refuses(str(source), [name for name, known in registries.items() if known == source])
            if reason is not None:
                raise PolicyError(
                    f"{name} comes from {source}, which the policy forbids: {reason}",
                    hint="`skillpm config` shows where each part of the policy stands",
                    source=str(source),
                )

    @cached_property
    def registry_names(self) -> dict[Source, list[str]]:
        """What the person calls each registry, by what a lock calls it."""
        found: dict[Source, list[str]] = {}
        for name, place in self.settings.registries.items():
            found.setdefault(self.registry_source(place), []).append(name)
        return found

    @cached_property
    def _policies(self) -> list[tuple[TrustPolicy, dict[str, Source]]]:
        """The policies of the files, each with what a lock calls the registries that its names mean."""
        return [
            (policy, {name: self.registry_source(place) for name, place in registries.items()})
            for policy, registries in self.settings.named_policies
        ]

    def note(self, sentence: str) -> None:
        """Keep a sentence for the person, once."""
        if sentence not in self.notices:
            self.notices.append(sentence)
            if self.tell is not None:
                self.tell(sentence)

    def lock(self) -> Lock:
        """Return the project's lock; an empty one where there is none.

        Raises:
            LockOutOfDateError: conflict markers, or written by a newer skillpm.
            DocumentError: it is not a lock.
        """
        return read_lock(self.settings.lock_path)

    def installed(self) -> list[Skill]:
        """Return the skills that the lock names, by name.

        Raises:
            LockOutOfDateError: one of them is not in the store.
            IntegrityError: what the store holds was changed.
        """
        return [self._stored(entry) for entry in self.lock().skills]

    def skill(self, text: str) -> Skill:
        """Return the skill that a person means: a folder (with a ``/``, or ``.``), an installed name, a bundled one.

        Raises:
            UnknownSkillError: there is none; the hint has near names.
        """
        if is_path(text):
            return self._folder(Path(text).expanduser())
        entry = self.lock().skill(text)
        if entry is not None:
            return self._stored(entry)
        bundled = bundled_skills()
        if text in bundled:
            self.note(f"{text} is not installed here; the one that ships with skillpm is used")
            return _described(bundled[text], bundled=True)
        error = unknown_skill(text, [*bundled, *(skill.name for skill in self.lock().skills)])
        if is_name(text) and Path(text, "SKILL.md").is_file():
            error.hint = f"`./{text}` means the folder here"
        raise error

    def skills(self, texts: Sequence[str]) -> list[Skill]:
        """Return the skills that are meant; all installed ones where nothing is said.

        Raises:
            UsageError: nothing is said and nothing is installed.
        """
        found = [self.skill(text) for text in texts] if texts else self.installed()
        if not found:
            raise UsageError("no skill is installed here", hint="run `skillpm install NAME`, or name a skill")
        return found

    def _folder(self, root: Path) -> Skill:
        if not root.is_dir():
            raise UnknownSkillError(f"{root} is not a folder", hint="give the folder that holds SKILL.md")
        skill = _described(root.resolve())
        bundled = bundled_skills().get(skill.name)
        return skill if bundled is None or bundled.resolve() != skill.root else _described(bundled, bundled=True)

    def _stored(self, entry: LockedSkill) -> Skill:
        root = self.store.path(entry.tree)
        if not root.is_dir():
            raise LockOutOfDateError(
                f"{entry.name} {entry.version} is locked but not in the store", hint="run `skillpm install`"
            )
        if not self.store.verify(entry.tree):
            raise IntegrityError(
                f"{entry.name} {entry.version} was changed in the store", hint="run `skillpm install`, which repairs it"
            )
        description = describe(FolderTree(root)).description
        return Skill(entry.name, entry.version, entry.tree, root, description, bundled=_ships(entry.name, entry.tree))


def open_context(settings: Settings, *, tell: Callable[[str], None] | None = None) -> Context:
    """Wire everything for these settings; nothing is read or written yet.

    Args:
        settings: of this invocation.
        tell: is given what there is to say to the person, as it comes.
    """
    return Context(settings, Store(settings.store), tell=tell)


def _described(root: Path, *, bundled: bool = False) -> Skill:
    tree = FolderTree(root)
    found = describe(tree, place=root)
    return Skill(found.name, found.version, tree_digest(tree), root, found.description, bundled=bundled)


def _ships(name: str, tree: str) -> bool:
    """Is this content, whatever its lock says of its source, one that ships with skillpm?"""
    folder = bundled_skills().get(name)
    return folder is not None and tree_digest(FolderTree(folder)) == tree


def unknown_skill(name: str, known: Iterable[str], state: str = "installed") -> UnknownSkillError:
    """Return the error for a name that is not installed, or not locked, with the known names that are near."""
    hint = did_you_mean(name, known, "see `skillpm list`")
    return UnknownSkillError(f"no skill `{name[:80]}` is {state}", hint=hint)


def demand_known(names: Iterable[str], known: Collection[str], state: str = "installed") -> None:
    """Do nothing where all names are known. Raises UnknownSkillError for the first that is not."""
    for name in names:
        if name not in known:
            raise unknown_skill(name, known, state)


def locked_skills(lock: Lock, names: Sequence[str]) -> list[LockedSkill]:
    """Return the entries of these names, each once; all entries where none is given.

    Raises:
        UnknownSkillError: a name is not in the lock; the hint has near names.
    """
    entries = {entry.name: entry for entry in lock.skills}
    demand_known(names, entries)
    return [entries[name] for name in dict.fromkeys(names or entries)]
