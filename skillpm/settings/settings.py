"""The settings of one invocation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from skillpm.errors import PolicyError
from skillpm.settings import table
from skillpm.settings.files import SettingsFile, parse, read_text
from skillpm.settings.folders import HOME, LOCK_FILE, PROJECT_FILE, project_above, user_folders
from skillpm.settings.origin import DEFAULT, Level, Origin, Setting
from skillpm.settings.switches import without_off
from skillpm.settings.table import Row

if TYPE_CHECKING:
    from skillpm.model.project import ProjectDocument
    from skillpm.model.trust_policy import TrustPolicy

T = TypeVar("T")


@dataclass(frozen=True)
class _Below:
    """The path of a name below a folder of the settings."""

    folder: str
    name: str

    def __get__(self, settings: Settings, owner: object) -> Path:
        folder: Path = getattr(settings, self.folder)
        return folder / self.name


@dataclass(frozen=True)
class Settings:
    """The settings of one invocation.

    Attributes:
        project: the folder with ``skillpm.yaml``, ``skillpm.lock`` and the agents' folders.
        data: for the store and other lasting files.
        cache: for models, downloads and environments.
        config: the user's file.
        user: is the project the folder of the user's own skills, whose agents' folders are in the home folder?
        above: is the project above the working directory?
        workplace: the project of the working directory, also with ``user``; None for the project.
        flags: of the command line, by the names in the table; empty values count as missing.
        environment: the variables of skillpm.
    """

    project: Path
    data: Path
    cache: Path
    config: Path
    user: bool = False
    above: bool = False
    workplace: Path | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The folder that agents' folders are relative to."""
        return Path.home() if self.user else self.project

    @property
    def runs(self) -> Path:
        """The folder of training runs. The user's own skills are trained in the working directory's project."""
        return (self.workplace or self.project) / "runs"

    project_path = _Below("project", PROJECT_FILE)  # the project file
    lock_path = _Below("project", LOCK_FILE)  # the project's lock
    blind = _Below("project", "skillpm.blind.json")  # the record of blind tasks that were asked
    store = _Below("data", "store")  # the content-addressed store
    consents = _Below("data", "consents.json")  # the record of the digests whose code may run
    keys = _Below("data", "keys")  # the keys that sign, and the keys of others
    audit = _Below("data", "audit.jsonl")  # the record of proposals, decisions and runs; chained by digests
    blind_here = _Below("data", "blind.json")  # the same of all projects of this user
    traces = _Below("data", "traces")  # the folder of stored episodes
    environments = _Below("cache", "environments")  # the Python environments of skills
    sealed = _Below("cache", "sealed")  # copies of folders, from which the code of skills that are not installed runs
    models = _Below("cache", "models")  # the prepared models
    completions = _Below("cache", "completions")  # what models answered to commands that ask for it again

    # a row of the table gives the value of its setting
    workers = table.WORKERS
    engine = table.ENGINE
    sandbox = table.SANDBOX
    consent = table.CONSENT
    offline = table.OFFLINE
    forge = table.FORGE
    agents = table.AGENTS
    cooldown = table.COOLDOWN

    @property
    def sandbox_required(self) -> bool:
        """Does a policy require a strong sandbox?"""
        return self.setting(table.SANDBOX_POLICY).value is not None

    @property
    def plugins(self) -> frozenset[str] | None:
        """The distributions whose ``skillpm`` entry points are loaded; None for all of them."""
        plugins = self.setting(table.PLUGINS).value
        return None if isinstance(plugins, str) else frozenset(plugins)

    @property
    def indexes(self) -> tuple[str, ...]:
        """The registries besides the bundled one, in their order."""
        return tuple(self.setting(table.REGISTRIES).value.values())

    @property
    def typed_registries(self) -> Mapping[str, str]:
        """The registries of flags, by name."""
        registries = self.setting(table.REGISTRIES)
        return registries.value if registries.origin.level is Level.FLAG else {}

    @cached_property
    def registries(self) -> dict[str, str]:
        """The named registries of the project file and of the user file; the project's come first."""
        named: dict[str, str] = {}
        for file in self._files:
            named |= {name: place for name, place in (file.registries() or {}).items() if name not in named}
        return named

    def registry_origin(self, place: str) -> Origin:
        """Return where a file names the registry at a place; the default where none does."""
        named = ((file, name) for file in self._files for name, it in (file.registries() or {}).items() if it == place)
        return next((file.origin("registries", name) for file, name in named), DEFAULT)

    def requirement_origin(self, name: str) -> Origin:
        """Return where the project file requires a skill; the default where it does not."""
        if self.document is None or name not in self.document.requires:
            return DEFAULT
        return self._files[0].origin("requires", name)

    @property
    def link(self) -> str | None:
        """How skills are placed in agents' folders, or None for no choice."""
        link = self.setting(table.LINK)
        return link.value if link.origin != DEFAULT else None

    @cached_property
    def named_policies(self) -> tuple[tuple[TrustPolicy, Mapping[str, str]], ...]:
        """The policies of the files, each with the registries that its names mean.

        A name in the user's policy means a registry of the user's file: no project changes that.
        """
        return tuple(
            (file.document.policy, {**(self._files[-1].registries() or {}), **(file.registries() or {})})
            for file in self._files
            if file.document.policy
        )

    @cached_property
    def trust_policies(self) -> tuple[TrustPolicy, ...]:
        """The policies, which must all agree: the project's, the user's, and the environment's."""
        policies = [file.document.policy for file in self._files if file.document.policy]
        stated = [setting.value for setting in self._typed(table.COOLDOWN)]
        if not stated:
            return tuple(policies)
        from skillpm.model.trust_policy import TrustPolicy

        return (*policies, TrustPolicy(cooldown=stated[0]))

    @cached_property
    def project_text(self) -> str | None:
        """The project file's text, or None."""
        return read_text(self.project_path)

    @cached_property
    def user_text(self) -> str | None:
        """The user file's text, or None."""
        return read_text(self.config)

    @cached_property
    def document(self) -> ProjectDocument | None:
        """The project file. Raises DocumentError with its line."""
        if self.project_text is None:
            return None
        from skillpm.model.project import ProjectDocument

        return parse(ProjectDocument, self.project_text, PROJECT_FILE)

    def digest(self, project_text: str | None = None) -> str:
        """Return the digest of all settings that decide what is installed and where.

        Nothing is parsed. ``project_text`` is the project file's future text; None means the present one.
        """
        rows = (table.AGENTS, table.LINK, table.COOLDOWN)
        stated = [self.environment.get(name, "") for row in rows for name in row.variables]
        texts = (project_text or self.project_text or "", self.user_text or "", *stated)
        return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()

    def settings(self) -> tuple[Setting[Any], ...]:
        """Return every setting. Raises DocumentError, UsageError."""
        home = Origin(Level.ENVIRONMENT, HOME) if self.environment.get(HOME) else DEFAULT
        above = f"above the working directory, which has no {PROJECT_FILE}"
        nearest = Origin(Level.DEFAULT, above if self.above else "the working directory")
        project = Setting("project", self.project, Origin(Level.FLAG, "--user") if self.user else nearest)
        folders = (project, Setting("data", self.data, home), Setting("cache", self.cache, home))
        return (*folders, *(self.setting(row) for row in table.TABLE))

    def files(self) -> dict[Path, bool]:
        """Return the files that settings can stand in, the project's first, and whether they exist."""
        project = {} if self.user else {self.project_path: self.project_text is not None}
        return {**project, self.config: self.user_text is not None}

    def setting(self, row: Row[T]) -> Setting[T]:
        """Return one setting. Raises DocumentError, UsageError."""
        return row.merge(self._stated(row), Setting(row.name, row.default))

    def _stated(self, row: Row[T]) -> Iterator[Setting[T]]:
        """Yield the stated values, the nearest first."""
        yield from self._typed(row)
        for file in self._files if row.read else ():
            value = row.read(file) if row.read else None
            if value is not None:
                yield Setting(row.name, value, file.origin(row.key))

    def _typed(self, row: Row[T]) -> Iterator[Setting[T]]:
        """Yield the value of the command line, or else of the environment."""
        if row.parse is None:
            return
        texts = ((name, self.environment.get(name)) for name in row.variables)
        stated = [(Level.ENVIRONMENT, name, text.strip()) for name, text in texts if text is not None]
        if self.flags.get(row.flag):
            stated.insert(0, (Level.FLAG, f"--{row.flag}", self.flags[row.flag]))
        for level, place, value in stated:
            if value or place == row.blank:
                origin = Origin(level, place)
                yield Setting(row.name, row.parse(Setting(row.name, value, origin)), origin)
                return

    @cached_property
    def _files(self) -> tuple[SettingsFile, ...]:
        files = []
        if self.document is not None:
            text = self.project_text or ""
            files.append(SettingsFile(self.document, text, self.project, Level.PROJECT, PROJECT_FILE))
        if self.user_text is not None:
            from skillpm.model.project import UserDocument

            path, text = self.config, self.user_text
            document = parse(UserDocument, text, str(path))
            files.append(SettingsFile(document, text, path.parent, Level.USER, str(path)))
        _refuse_redefined(files)
        return tuple(files)


def _refuse_redefined(files: Sequence[SettingsFile]) -> None:
    """Raise PolicyError if a project gives a registry's name in the user's file another place."""
    known: dict[str, tuple[str, Origin]] = {}
    for file in files:
        for name, place in (file.registries() or {}).items():
            other, origin = known.setdefault(name, (place, file.origin("registries")))
            if _same_form(other) != _same_form(place):
                here = file.origin("registries").place
                raise PolicyError(
                    f"the registry `{name}` is {other} in {origin.place} and {place} in {here}: "
                    "a project does not redefine a name of yours",
                    hint=f"rename `{name}` in {origin.place}",
                )


def _same_form(place: str) -> str:
    return place.rstrip("/") if "://" in place else os.path.normpath(place)


def load_settings(
    *,
    project: Path | None = None,
    user: bool = False,
    indexes: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    **flags: Any,
) -> Settings:
    """Return the settings; no file is read yet.

    Args:
        project: the project's folder; by default the one that ``project_above`` returns for the working directory.
        user: use the user's own skills instead of a project.
        indexes: registries of flags, each by its place or by its name in a file.
        environment: for tests; ``os.environ`` by default.
        flags: other values of the command line, by the flags of the table.
    """
    variables = without_off(os.environ if environment is None else environment)
    data, cache, config = user_folders(variables)
    here = Path.cwd()
    workplace = project or project_above(here)
    folder = data / "user" if user else workplace
    return Settings(
        project=folder,
        data=data,
        cache=cache,
        config=config / "config.yaml",
        user=user,
        above=not user and project is None and folder != here,
        workplace=workplace,
        flags={"registry": indexes, **flags},
        environment={name: value for name, value in variables.items() if name.startswith("SKILLPM_")},
    )
