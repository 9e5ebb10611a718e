"""Where things live and what is preferred: flag, environment, project file, user file, default, in this order.

Environment: ``SKILLPM_HOME`` (everything below one folder), ``SKILLPM_REGISTRIES`` and ``SKILLPM_AGENTS``, each a list
separated by spaces, ``SKILLPM_LINK`` (copy or symlink), ``SKILLPM_COOLDOWN`` (days), ``SKILLPM_OFFLINE`` (ask no
network), ``SKILLPM_NO_PLUGINS`` (load no installed distribution's plugin), ``SKILLPM_LOAD_PLUGINS`` (those of these
distributions only), ``SKILLPM_CONSENT``, ``SKILLPM_SANDBOX`` and ``SKILLPM_WORKERS`` (whose code runs without a
question, how it is confined, in how many processes). Project file: ``skillpm.yaml``; user file: ``config.yaml`` in the
user's configuration folder. The files are read once, and parsed only when a value is asked for.

One thing is not overridden but added up: policies. A project can be stricter than its user's file, never laxer.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from skillpm.errors import DocumentError, StorageError, UsageError

if TYPE_CHECKING:
    from skillpm.model.project import ProjectDocument, UserDocument
    from skillpm.model.trust_policy import Consent, TrustPolicy

PROJECT_FILE = "skillpm.yaml"
LOCK_FILE = "skillpm.lock"
MAX_FILE = 1 << 20  # bytes of a project file or a user file
DEFAULT = "default"
MAX_WORKERS = 64
SANDBOXES = ("auto", "require", "landlock", "bubblewrap", "limits")  # how skill code is to be confined
SANDBOX_OF_PLUGIN = re.compile(r"plugin:[a-z0-9][a-z0-9_-]{0,31}\Z")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:|git@", re.IGNORECASE)
_LINKS = ("copy", "symlink")
_UPGRADE = "upgrade skillpm-core"

D = TypeVar("D", bound="UserDocument")
V = TypeVar("V", bound=str)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it came from, such as ``skillpm.yaml:4`` or ``environment SKILLPM_LINK``."""

    name: str
    value: Any
    origin: str

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {"name": self.name, "value": self.value, "origin": self.origin}


@dataclass(frozen=True)
class Settings:
    """The settings of one invocation.

    Attributes:
        project: the folder that holds ``skillpm.yaml``, ``skillpm.lock`` and the agents' folders.
        data: the store and what must outlast a clean-up of caches.
        cache: what can be made again: models, downloads.
        config: the user's file.
        user: is the user's home folder meant, and no project? It has no project file.
        above: was the project found above the working directory?
        flags: what the command line said, by name; empty values were not said.
        environment: the variables.
    """

    project: Path
    data: Path
    cache: Path
    config: Path
    user: bool = False
    above: bool = False
    flags: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def project_path(self) -> Path:
        """The project file."""
        return self.project / PROJECT_FILE

    @property
    def lock_path(self) -> Path:
        """The project's lock."""
        return self.project / LOCK_FILE

    @property
    def store(self) -> Path:
        """The content-addressed store, what users call the local registry."""
        return self.data / "store"

    @property
    def consents(self) -> Path:
        """The record of the digests whose code may run."""
        return self.data / "consents.json"

    @property
    def environments(self) -> Path:
        """The Python environments of skills."""
        return self.cache / "environments"

    @property
    def workers(self) -> int:
        """How many processes judge for each skill."""
        return int(self.setting("workers").value)

    @property
    def sandbox(self) -> str:
        """How skill code is to be confined: ``auto``, ``require``, or a level."""
        return str(self.setting("sandbox").value)

    @property
    def sandbox_required(self) -> bool:
        """Does a policy require a strong sandbox?"""
        return bool(self.setting("policy.sandbox").value)

    @property
    def consent(self) -> Consent:
        """Whose code may run without a question."""
        found: Consent = self.setting("policy.consent").value
        return found

    @property
    def models(self) -> Path:
        """Models that were prepared once."""
        return self.cache / "models"

    @property
    def plugins(self) -> frozenset[str] | None:
        """The distributions whose ``skillpm`` entry points are loaded; None for all of them."""
        if self.environment.get("SKILLPM_NO_PLUGINS"):
            return frozenset()
        said = self.environment.get("SKILLPM_LOAD_PLUGINS")
        return None if said is None else frozenset(said.replace(",", " ").split())

    @property
    def offline(self) -> bool:
        """Is the network left alone?"""
        return bool(self.setting("offline").value)

    @property
    def indexes(self) -> tuple[str, ...]:
        """The registries beside the bundled one, in the order in which they are asked."""
        return tuple(self.setting("registries").value.values())

    @cached_property
    def registries(self) -> dict[str, str]:
        """Every registry that has a name, of the project file and of the user file; the project's come first."""
        named = {**_places(self.user_document, self.config.parent), **_places(self.document, self.project)}
        return {**_places(self.document, self.project), **named}

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents whose folders are filled."""
        return tuple(self.setting("agents").value)

    @property
    def link(self) -> str | None:
        """How skills are put into agents' folders; None where nothing was said."""
        found = self.setting("link")
        return str(found.value) if found.origin != DEFAULT else None

    @cached_property
    def trust_policies(self) -> tuple[TrustPolicy, ...]:
        """The policies that all must agree: the project's, the user's, and what flag or environment add."""
        said = self._said("cooldown", "SKILLPM_COOLDOWN")
        files = [document.policy for document in (self.document, self.user_document) if document and document.policy]
        if said is None:
            return tuple(files)
        from skillpm.model.trust_policy import TrustPolicy

        return (*files, TrustPolicy(cooldown=_days(said)))

    @property
    def cooldown(self) -> int:
        """The longest of the policies' cooldowns, in days."""
        return max((policy.cooldown or 0 for policy in self.trust_policies), default=0)

    @cached_property
    def project_text(self) -> str | None:
        """The project file as it stands, None where there is none."""
        return None if self.user else _read(self.project_path)

    @cached_property
    def user_text(self) -> str | None:
        """The user file as it stands, None where there is none."""
        return _read(self.config)

    @cached_property
    def document(self) -> ProjectDocument | None:
        """The project file. Raises DocumentError with its line."""
        if self.project_text is None:
            return None
        from skillpm.model.project import ProjectDocument

        return _parse(ProjectDocument, self.project_text, PROJECT_FILE)

    @cached_property
    def user_document(self) -> UserDocument | None:
        """The user file. Raises DocumentError with its line."""
        if self.user_text is None:
            return None
        from skillpm.model.project import UserDocument

        return _parse(UserDocument, self.user_text, str(self.config))

    def digest(self, project_text: str | None = None) -> str:
        """Return the digest of all that says where skills are put and what is required; nothing is parsed.

        Args:
            project_text: the project file that will be written; the one that stands there where None.
        """
        said = [self.environment.get(name, "") for name in ("SKILLPM_AGENTS", "SKILLPM_LINK", "SKILLPM_COOLDOWN")]
        texts = (project_text or self.project_text or "", self.user_text or "", *said)
        return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()

    def settings(self) -> tuple[Setting, ...]:
        """Return every value and where it came from. Raises DocumentError, UsageError."""
        names = ("project", "data", "cache", "registries", "agents", "link", "policy.cooldown", "policy.allow",
                 "policy.deny", "policy.consent", "policy.network", "policy.run", "policy.sandbox", "offline",
                 "plugins", "sandbox", "workers")  # fmt: skip
        return tuple(self.setting(name) for name in names)

    def setting(self, name: str) -> Setting:
        """Return one value and where it came from. Raises DocumentError, UsageError."""
        return Setting(name, *getattr(self, f"_find_{name.replace('.', '_')}")())

    def _find_project(self) -> tuple[str, str]:
        nearest = f"above the working directory, which has no {PROJECT_FILE}" if self.above else "the working directory"
        return str(self.project), "flag --user" if self.user else nearest

    def _find_data(self) -> tuple[str, str]:
        return str(self.data), self._home()

    def _find_cache(self) -> tuple[str, str]:
        return str(self.cache), self._home()

    def _home(self) -> str:
        return "environment SKILLPM_HOME" if self.environment.get("SKILLPM_HOME") else DEFAULT

    def _find_registries(self) -> tuple[dict[str, str], str]:
        said = self._said("registry", "SKILLPM_REGISTRIES")
        if said:
            places = said.value if isinstance(said.value, tuple) else tuple(said.value.split())
            return self._asked(places), said.origin
        for document, folder, origin in self._files("registries"):
            return _places(document, folder), origin
        return {}, DEFAULT

    def _asked(self, texts: Iterable[str]) -> dict[str, str]:
        """Return registries that were given by their places, or by the names that the files have for them."""
        found: dict[str, str] = {}
        for text in texts:
            known = self.registries.get(text) if registry_name(text) == text else None
            found[free_name(text if known else registry_name(text), found)] = known or text
        return found

    def _find_agents(self) -> tuple[list[str], str]:
        said = self._said("agent", "SKILLPM_AGENTS")
        if said:
            return list(said.value if isinstance(said.value, tuple) else said.value.split()), said.origin
        for document, _, origin in self._files("agents"):
            return list(document.agents or ()), origin
        return [], DEFAULT

    def _find_link(self) -> tuple[str, str]:
        said = self._said("link", "SKILLPM_LINK")
        if said:
            if said.value not in _LINKS:
                raise UsageError(f"{said.origin}: `{said.value[:80]}` is not a way to link", hint="copy or symlink")
            return said.value, said.origin
        for document, _, origin in self._files("link"):
            return str(document.link), origin
        return "copy", DEFAULT

    def _find_policy_cooldown(self) -> tuple[int, str]:
        said = self._said("cooldown", "SKILLPM_COOLDOWN")
        days = [(_days(said), said.origin)] if said else []
        days += [(doc.policy.cooldown or 0, where) for doc, where in self._policies("cooldown") if doc.policy]
        return max(days, key=lambda item: item[0], default=(0, DEFAULT))

    def _find_policy_allow(self) -> tuple[list[list[str]] | None, str]:
        found = [(list(doc.policy.allow or ()), where) for doc, where in self._policies("allow") if doc.policy]
        return [allow for allow, _ in found] or None, " and ".join(where for _, where in found) or DEFAULT

    def _find_policy_deny(self) -> tuple[list[str], str]:
        found = [(doc.policy.deny, where) for doc, where in self._policies("deny") if doc.policy]
        return [item for deny, _ in found for item in deny], " and ".join(where for _, where in found) or DEFAULT

    def _find_policy_consent(self) -> tuple[Consent, str]:
        """Return the strictest of the person's word and the project's, which can say more than the person, not less."""
        from skillpm.model.trust_policy import CONSENTS, strictest

        said = self._said("consent", "SKILLPM_CONSENT")
        files = [(doc.policy.consent, where) for doc, where in self._policies("consent") if doc.policy]
        own = [(item, where) for item, where in files if item and not where.startswith(PROJECT_FILE)]
        if said:
            own = [(_one_of(CONSENTS, said), said.origin)]
        both = [*(own or [("ask", DEFAULT)]), *((item, where) for item, where in files if item)]
        found = strictest(item for item, _ in both)
        return found, next(where for item, where in both if item == found)

    def _find_policy_network(self) -> tuple[bool, str]:
        found = [where for doc, where in self._policies("network") if doc.policy and doc.policy.network is False]
        return not found, " and ".join(found) or DEFAULT

    def _find_policy_run(self) -> tuple[list[list[str]] | None, str]:
        found = [(list(doc.policy.run or ()), where) for doc, where in self._policies("run") if doc.policy]
        return [run for run, _ in found] or None, " and ".join(where for _, where in found) or DEFAULT

    def _find_policy_sandbox(self) -> tuple[str | None, str]:
        found = [where for doc, where in self._policies("sandbox") if doc.policy and doc.policy.sandbox]
        return ("require" if found else None), " and ".join(found) or DEFAULT

    def _find_sandbox(self) -> tuple[str, str]:
        said = self._said("sandbox", "SKILLPM_SANDBOX")
        value = _sandbox(said) if said else "auto"
        required, where = self._find_policy_sandbox()
        if required and value in ("auto", "limits"):
            return required, where
        return value, said.origin if said else DEFAULT

    def _find_workers(self) -> tuple[int, str]:
        said = self._said("workers", "SKILLPM_WORKERS")
        if said is None:
            return 1, DEFAULT
        text = str(said.value)
        if not text.isdigit() or not 1 <= int(text[:9]) <= MAX_WORKERS:
            raise UsageError(f"{said.origin}: `{text[:80]}` is not a number of workers", hint=f"1 to {MAX_WORKERS}")
        return int(text), said.origin

    def _find_offline(self) -> tuple[bool, str]:
        said = self._said("offline", "SKILLPM_OFFLINE")
        return (True, said.origin) if said else (False, DEFAULT)

    def _find_plugins(self) -> tuple[list[str] | str, str]:
        found = self.plugins
        if found is None:
            return "all", DEFAULT
        variable = "SKILLPM_NO_PLUGINS" if self.environment.get("SKILLPM_NO_PLUGINS") else "SKILLPM_LOAD_PLUGINS"
        return sorted(found), f"environment {variable}"

    def _said(self, flag: str, variable: str) -> Setting | None:
        """Return what the command line or the environment say."""
        if self.flags.get(flag):
            return Setting(flag, self.flags[flag], f"flag --{flag}")
        value = self.environment.get(variable, "").strip()
        return Setting(flag, value, f"environment {variable}") if value else None

    def _files(self, key: str) -> list[tuple[UserDocument, Path, str]]:
        """Return the files that have a key: document, folder, and where the key stands."""
        both = ((self.document, self.project, PROJECT_FILE), (self.user_document, self.config.parent, str(self.config)))
        return [
            (document, folder, f"{path}:{self._line(path, key)}")
            for document, folder, path in both
            if document is not None and key in document.model_fields_set
        ]

    def _policies(self, key: str) -> list[tuple[UserDocument, str]]:
        found = self._files("policy")
        return [(doc, where) for doc, _, where in found if doc.policy and key in doc.policy.model_fields_set]

    def _line(self, path: str, key: str) -> int:
        from skillpm.formats.strict_yaml import read_yaml

        text = self.project_text if path == PROJECT_FILE else self.user_text
        return int(read_yaml(text or "").lines[key])


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
        project: the project's folder; where None, the nearest folder with ``skillpm.yaml`` or ``skillpm.lock`` from the
            working directory upwards, or else that directory itself.
        user: act on the user's home folder instead of a project.
        indexes: registries given by flag, each by its place or by the name that a file has for it.
        environment: for tests; ``os.environ`` where None.
        flags: what else the command line said: ``agent``, ``link``, ``cooldown``, ``offline``, ``sandbox``,
            ``workers``.
    """
    variables = os.environ if environment is None else environment
    home = variables.get("SKILLPM_HOME")
    if home:
        data, cache, config = Path(home) / "data", Path(home) / "cache", Path(home) / "config"
    else:
        import platformdirs

        folders = platformdirs.PlatformDirs("skillpm", appauthor=False)
        data, cache, config = folders.user_data_path, folders.user_cache_path, folders.user_config_path
    here = Path.cwd()
    found = Path.home() if user else project or _project_above(here)
    return Settings(
        project=found,
        data=data,
        cache=cache,
        config=config / "config.yaml",
        user=user,
        above=not user and project is None and found != here,
        flags={"registry": indexes, **flags},
        environment={name: value for name, value in variables.items() if name.startswith("SKILLPM_")},
    )


def _project_above(here: Path) -> Path:
    """Return the folder of the project that a folder is in; the folder itself where it is in none.

    The home folder is nobody's project: its lock is that of ``--user``. Nor is a file in a folder above that somebody
    else has put there, such as in /tmp: it would decide where is written and what is installed.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  an account without a home is no error here
    for folder in (here, *here.parents):
        if folder == home and folder != here:
            break
        if any(_is_ours(folder / name, anybody=folder == here) for name in (PROJECT_FILE, LOCK_FILE)):
            return folder
    return here


def _is_ours(path: Path, *, anybody: bool) -> bool:
    try:
        owner = path.stat().st_uid
    except OSError:
        return False
    return anybody or os.name != "posix" or owner in (os.getuid(), 0)


def _read(path: Path) -> str | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror}", hint="check the owner and the mode of the file", path=str(path)
        ) from None
    if len(data) > MAX_FILE:
        raise DocumentError(f"larger than {MAX_FILE} bytes", path=path.name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 at byte {error.start}", path=path.name, hint="save it as UTF-8") from None


def _parse(model: type[D], text: str, path: str) -> D:
    from skillpm.formats.document import read_model
    from skillpm.formats.strict_yaml import read_yaml

    if re.search(r"^<{7} ", text, re.MULTILINE):
        raise DocumentError("conflict markers", path=path, hint="resolve them by hand, then run `skillpm lock`")
    version = read_yaml(text, path=path)
    number = version.get("project") if isinstance(version, dict) else None
    if isinstance(number, str) and number.isdigit() and len(number) < len("1000") and int(number) > 1:
        line = version.lines["project"]
        raise DocumentError(f"format {number} is newer than this skillpm, which reads 1", path=path, line=line,
                            hint=_UPGRADE)  # fmt: skip
    return read_model(model, text, path=path)


def _places(document: UserDocument | None, folder: Path) -> dict[str, str]:
    """Return a file's registries; a relative place is relative to the file."""
    named = (document.registries or {}) if document is not None else {}
    return {
        name: place if _SCHEME.match(place) else str(folder / Path(place).expanduser()) for name, place in named.items()
    }


def registry_name(place: str) -> str:
    """Return a name for a registry that is known by its place alone: the last part of that, or the host of a site."""
    last = re.sub(r"[^a-z0-9]+", "-", place.partition("/.well-known/")[0].rstrip("/").rpartition("/")[2].lower())
    return last[:48].strip("-") or "registry"


def free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number behind it where it is taken."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return name if name not in taken else next(item for item in numbered if item not in taken)


def _one_of(values: tuple[V, ...], said: Setting) -> V:
    found = next((value for value in values if value == said.value), None)
    if found is None:
        raise UsageError(f"{said.origin}: `{str(said.value)[:80]}` is none of {', '.join(map(str, values))}")
    return found


def _sandbox(said: Setting) -> str:
    return str(said.value) if SANDBOX_OF_PLUGIN.match(str(said.value)) else _one_of(SANDBOXES, said)


def _days(said: Setting) -> int:
    text = str(said.value)
    if not text.isdigit() or len(text) > len("3650"):
        raise UsageError(f"{said.origin}: `{text[:80]}` is not a number of days", hint="such as 7")
    return int(text)
