"""The composition root: connects settings, store and indexes, and finds skills by name or folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import IntegrityError, LockOutOfDateError, PolicyError, RegistryError, UnknownSkillError, UsageError
from skillpm.formats.listed import listed
from skillpm.formats.typed_path import typed_path
from skillpm.index.bundled import BundledIndex
from skillpm.index.chain import ChainIndex
from skillpm.index.shipped import bundled_skills
from skillpm.index.source import Surroundings, is_path, open_registry, open_source
from skillpm.layout.description import describe
from skillpm.layout.discovery import skill_folder
from skillpm.layout.source_tree import SourceTree
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.name import did_you_mean, is_name
from skillpm.model.skill import Skill
from skillpm.model.source import BUNDLED, Source, SourceKind, cut_reference
from skillpm.runtime.distributions import load_host
from skillpm.runtime.host import Host
from skillpm.settings import Settings
from skillpm.settings.table import REGISTRIES
from skillpm.storage.keys import Keys
from skillpm.storage.lockfile import read_lock
from skillpm.storage.store import FETCH_AGAIN, Store
from skillpm.trust.signer import SignerCheck

if TYPE_CHECKING:
    from skillpm.index.note import WitnessKey
    from skillpm.index.signed_pages import Witnesses
    from skillpm.model.ports import Index
    from skillpm.model.trust_policy import Signatures, TrustPolicy, WitnessPolicy
    from skillpm.train.kinds import Kinds
    from skillpm.trust.allowance import Allowance

_TAUGHT = ("contract.yaml", "synthesis.yaml", "seeds", "plugin.py")  # a skill with none of them is text alone


@dataclass
class Context:
    """The settings, the store, the indexes and the plugins of one invocation; each is opened at first use.

    Attributes:
        tell: called with each notice at once.
    """

    settings: Settings
    tell: Callable[[str], None] | None = None
    notices: list[str] = field(default_factory=list)
    _sources: dict[Source, Index] = field(default_factory=dict)

    @cached_property
    def store(self) -> Store:
        """The unpacked skills of this machine."""
        return Store(self.settings.store)

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
        """The project, the cache and the connections that indexes use."""
        settings = self.settings
        return Surroundings(
            settings.project,
            settings.cache,
            offline=settings.offline,
            forge=settings.forge,
            seen=settings.data / "registries",
            tell=self.note,
            witnesses=self._witnesses_of,
            permit=self._permit,
        )

    @cached_property
    def host(self) -> Host:
        """The user's plugins, loaded at first use."""
        return load_host(plugins=self.settings.plugins)

    @cached_property
    def stage_kinds(self) -> Kinds:
        """The kinds of training stages: the built-in ones and those of plugins.

        Raises:
            PluginError: a plugin adds something that is not a trainer, or a name that is taken.
        """
        from skillpm.ops.learning.stage_kinds import stage_kinds

        return stage_kinds(self.host)

    def registry(self, text: str) -> Index:
        """Return the registry at a place. Raises RegistryError if this version cannot read it."""
        with self.settings.registry_origin(text).blamed():
            try:
                index = open_registry(text, self.around)
            except RegistryError as error:
                index = self._index_of_plugin(text, error)
        return self._sources.setdefault(Source.parse(index.name), index)

    def registry_source(self, text: str) -> Source:
        """Return the source that a lock records for the registry at a place. Raises RegistryError like ``registry``."""
        return Source.parse(self.registry(text).name)

    def source(self, source: Source) -> Index:
        """Return the index of a source. Raises RegistryError if this version cannot read it."""
        if source not in self._sources:
            try:
                self._sources[source] = open_source(source, self.around)
            except RegistryError as error:
                self._sources[source] = self._index_of_plugin(str(source), error)
        return self._sources[source]

    def copy_of(self, entry: LockedSkill) -> Index | None:
        """Return the first typed registry that has a locked release with the same digests.

        Returns:
            None if no typed registry has it, or if its own source is one of them.

        Raises:
            RegistryError: a typed folder is not a registry. One that is away is passed over.
        """
        typed = self.settings.setting(REGISTRIES)
        indexes = [self.registry(place) for place in typed.value.values()] if typed.origin.is_typed else []
        for index in indexes if all(index.name != str(entry.source) for index in indexes) else ():
            passed_over = (RegistryError,) if index.remote else ()
            with contextlib.suppress(*passed_over):
                page = index.page(entry.name)
                if page and any((item.archive, item.tree) == (entry.archive, entry.tree) for item in page.releases):
                    return index
        return None

    def _index_of_plugin(self, text: str, error: RegistryError) -> Index:
        """Return a plugin's index; raise our own error if no plugin has one."""
        index = self.host.index(text)
        if index is None:
            raise error
        return index

    def refuse_source(self, name: str, source: Source) -> None:
        """Raise PolicyError if a policy does not allow the source of a skill."""
        for policy, registries in self._policies:
            reason = policy.refuses(self._called(source, registries))
            if reason is not None:
                raise _not_allowed(f"{name} comes from {source}, which the policy does not allow: {reason}", source)

    def _permit(self, source: Source) -> None:
        """Raise PolicyError before a source is asked for anything, if a policy can allow nothing of it."""
        repository, _ = cut_reference(str(source))
        for policy, registries in self._policies:
            if source.kind is SourceKind.GIT:  # its commit and its folders are not known yet
                reason = None if "://" not in repository else policy.refuses_below(f"{repository}@")
            else:
                reason = policy.refuses(self._called(source, registries))
            if reason is not None:
                raise _not_allowed(f"the policy does not allow {source}: {reason}", source)

    def _called(self, source: Source, registries: Mapping[str, Source]) -> list[str]:
        """Return what a policy may call a source: as a lock has it, by a folder's absolute path, or a registry's name.

        A lock has paths relative to the project, of which a person's own policy cannot know. A registry is also called
        by its URL or absolute path alone, but not by a relative path, which might be the name of another one.
        """
        texts, place = [str(source)], source.place
        if "://" not in place and source != BUNDLED:
            kind = str(source).removesuffix(place.removeprefix("file:"))
            absolute = (self.settings.project / place.removeprefix("file:")).resolve()
            texts += [f"{kind}{absolute}", f"{kind.removesuffix('file:')}file://{absolute}"]
        if source.is_registry:
            alone = [text.removeprefix(source.kind.value) for text in texts]
            texts += [text for text in alone if "://" in text or text.startswith("/")]
        return [*texts, *(name for name, known in registries.items() if known == source)]

    def _witnesses_of(self, place: str) -> Witnesses:
        """Return the witnesses that the policies need of the registry at a place. Raises UsageError for a wrong key."""
        needs: list[WitnessPolicy] = []
        for policy, registries in self._policies:
            places = {name: (known.place, str((self.settings.project / known.place).resolve()))
                      for name, known in registries.items()}  # fmt: skip
            names = [name for name, known in places.items() if place in known]
            need = policy.witnesses_of([place, f"{SourceKind.REGISTRY.value}{place}", *names])
            needs += [need] if need else []
        return [(list(map(_witness_key, need.keys)), need.needed or len(need.keys)) for need in needs]

    def signatures_of(self, source: Source) -> Signatures:
        """Return what the policies need of the signatures of a source; what a person chose by hand has none."""
        if source.chosen_by_hand:
            return "off"
        needs = [policy.signatures_of(self._called(source, registries)) for policy, registries in self._policies]
        if not any(needs):  # without a policy, an install needs no pydantic
            return "when-present"
        from skillpm.model.trust_policy import SIGNATURES

        return max((need for need in needs if need), key=SIGNATURES.index)

    @cached_property
    def keys(self) -> Keys:
        """The person's keys, and the keys of others that the person has named."""
        return Keys(self.settings.keys)

    @cached_property
    def signers(self) -> SignerCheck:
        """The check of signers."""
        return SignerCheck(self.keys, self.settings.flags.get("signer_changes", ()))

    def under_policy(self, allow: Allowance) -> Allowance:
        """Return what is let in, under the policies that refuse what agents are told."""
        if all(policy.scan is None for policy in self.settings.trust_policies):
            return allow
        from skillpm.layout.scan import TOLD

        return replace(allow, refused=TOLD)

    @cached_property
    def registry_names(self) -> dict[Source, list[str]]:
        """The names of each registry in the settings, by its source."""
        names: dict[Source, list[str]] = {}
        for name, place in self.settings.registries.items():
            names.setdefault(self.registry_source(place), []).append(name)
        return names

    @cached_property
    def _policies(self) -> list[tuple[TrustPolicy, dict[str, Source]]]:
        """The policies of the files, each with what a lock calls the registries that its names mean."""
        return [
            (policy, {name: self.registry_source(place) for name, place in registries.items()})
            for policy, registries in self.settings.named_policies
        ]

    def note(self, sentence: str) -> None:
        """Record a sentence for the person once."""
        if sentence not in self.notices:
            self.notices.append(sentence)
            if self.tell is not None:
                self.tell(sentence)

    def lock(self) -> Lock:
        """Return the project's lock, or an empty one.

        Raises:
            LockOutOfDateError: it has conflict markers, or a newer skillpm wrote it.
            DocumentError: it is not a lock.
        """
        return read_lock(self.settings.lock_path)

    def installed(self) -> list[Skill]:
        """Return the skills that the lock names, by name, without the adapters.

        Raises:
            LockOutOfDateError: one of them is not in the store.
            IntegrityError: a stored skill was changed.
        """
        return [self._stored(entry) for entry in self.lock().skills if not entry.adapter]

    def skill(self, text: str) -> Skill:
        """Return a skill by its folder (with a ``/``, or ``.``), its installed name or its bundled name.

        Raises:
            UnknownSkillError: there is no such skill; the hint has similar names.
        """
        if is_path(text):
            return replace(self._folder(typed_path(text)), typed=text)
        entry = self.lock().skill(text)
        if entry is not None:
            return self._stored(entry)
        bundled = bundled_skills()
        if text in bundled:
            self.note(f"{text} is not installed here; the bundled skill is used")
            return _described(bundled[text], bundled=True)
        error = unknown_skill(text, [*bundled, *(skill.name for skill in self.lock().skills)])
        if is_name(text) and Path(text, "SKILL.md").is_file():
            error.hint = f"write `./{text}` for the folder here"
        raise error

    def benchmark(self, name: str) -> Skill:
        """Return the skill that stands for a benchmark of a plugin.

        Raises:
            UsageError: no plugin brings it; the hint has those that there are.
        """
        benchmarks = self.host.benchmarks()
        if name not in benchmarks:
            known = ", ".join(sorted(benchmarks))
            hint = f"choose one of {known}" if known else "install a plugin that brings it, such as skillpm-benchmarks"
            raise UsageError(f"there is no benchmark `{name[:80]}`", hint=hint)
        return self._folder(benchmarks[name].folder)

    def skills(self, texts: Sequence[str]) -> list[Skill]:
        """Return the skills of these texts, or all installed skills.

        Raises:
            UsageError: there is no text and no installed skill, or two skills have one name.
        """
        skills = [self.skill(text) for text in texts] if texts else self.installed()
        if not skills:
            raise UsageError("no skill is installed here", hint="run `skillpm install NAME`, or name a skill")
        named: dict[str, Skill] = {}
        for skill in skills:
            if (other := named.setdefault(skill.name, skill)).tree != skill.tree:
                places = f"{other.root} and {skill.root}"
                raise UsageError(f"two skills are named {skill.name}: {places}", hint="name one of them")
        return skills

    def skills_to_learn(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return these texts, or the names of the installed skills that tasks can be made of, if there is one.

        Raises:
            LockOutOfDateError, IntegrityError: as ``installed``.
        """
        installed = [] if texts else self.installed()
        taught = [skill.name for skill in installed if any((skill.root / name).exists() for name in _TAUGHT)]
        if taught and (texts_alone := [skill.name for skill in installed if skill.name not in taught]):
            self.note(f"left out, because they are text alone: {listed(texts_alone, 8)}")
        return (*texts, *taught)

    def _folder(self, path: Path) -> Skill:
        root = skill_folder(path)
        if not root.is_dir():
            raise UnknownSkillError(f"{root} is not a folder", hint="name the folder that holds SKILL.md")
        skill = _described(root.resolve())
        bundled = bundled_skills().get(skill.name)
        return skill if bundled is None or bundled.resolve() != skill.root else _described(bundled, bundled=True)

    def _stored(self, entry: LockedSkill) -> Skill:
        root = self.store.path(entry.tree)
        if not root.is_dir():
            raise LockOutOfDateError(f"{entry} is locked but not in the store", hint=FETCH_AGAIN)
        if not self.store.verify(entry.tree):
            raise IntegrityError(f"{entry} was changed in the store", hint=FETCH_AGAIN)
        description = describe(FolderTree(root)).description
        return Skill(entry.name, entry.version, entry.tree, root, description, bundled=_ships(entry.name, entry.tree))


def _not_allowed(message: str, source: Source) -> PolicyError:
    hint = "run `skillpm config` to see where each part of the policy is set"
    return PolicyError(message, hint=hint, source=str(source))


def _witness_key(text: str) -> WitnessKey:
    from skillpm.index.note import WitnessKey

    try:
        return WitnessKey.parse(text)
    except ValueError as error:
        raise UsageError(f"policy.witnesses has `{text[:80]}`: {error}", hint="copy the witness's key") from None


def _described(root: Path, *, bundled: bool = False) -> Skill:
    tree = FolderTree(root) if bundled else SourceTree(root)
    about = describe(tree, place=root)
    digest = tree_digest(tree)
    return Skill(about.name, about.version, digest, root, about.description, bundled=bundled, is_source=not bundled)


def _ships(name: str, tree: str) -> bool:
    """Is this content bundled with skillpm, whatever source its lock records?"""
    folder = bundled_skills().get(name)
    return folder is not None and tree_digest(FolderTree(folder)) == tree


def unknown_skill(name: str, known: Iterable[str], state: str = "installed") -> UnknownSkillError:
    """Return the error for a name that is not installed or not locked, with similar names in the hint."""
    hint = did_you_mean(name, known, "see `skillpm list`")
    return UnknownSkillError(f"no skill `{name[:80]}` is {state}", hint=hint)


def demand_known(names: Iterable[str], known: Collection[str], state: str = "installed") -> None:
    """Raise UnknownSkillError for the first name that is not known."""
    for name in names:
        if name not in known:
            raise unknown_skill(name, known, state)


def locked_skills(lock: Lock, names: Sequence[str]) -> list[LockedSkill]:
    """Return the entries of these names, each once, or all entries.

    Raises:
        UnknownSkillError: a name is not in the lock; the hint has similar names.
    """
    entries = {entry.name: entry for entry in lock.skills}
    demand_known(names, entries)
    return [entries[name] for name in dict.fromkeys(names or entries)]
