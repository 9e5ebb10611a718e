"""A folder of Python packages for each set of wheels that skills need, so that two skills may contradict one another.

What ``python:`` asks for is resolved once to wheels with their hashes. The project's lock and the consent hold these,
and a folder is found again by them alone: the same words may mean other bytes tomorrow, or in another index. Nothing
in the folder may run before a worker is confined, and a wheel can write what it likes: so there are only wheels, for a
source distribution would run its build; no interpreter, which a wheel's script could replace; and no ``.pth`` file is
ever obeyed, since workers start without ``site``. What a worker itself needs keeps the version that skillpm runs with.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from skillpm.errors import DocumentError, PluginError
from skillpm.formats.light import json_form, read_light
from skillpm.formats.strict import json_object
from skillpm.model.python_requirement import applies, is_hashed_wheel, python_requirement, wheel_file
from skillpm.model.skill import Skill
from skillpm.model.wheel import Wheel, WheelSet
from skillpm.storage.files import storage_error
from skillpm.storage.process_lock import locked
from skillpm.storage.unpack import remove_tree
from skillpm.worker.pip import Pip, PipError, Resolved, pip_path, platform_name

_DISTRIBUTION = "skillpm-core"
_PACKAGES = "packages"
_RECORD = "environment.json"  # written last: a folder without it was not finished
_WAIT = 900.0  # seconds for another process that builds the same
_DAY = 86400.0  # seconds
_DIGITS = 32  # of the digest that names a folder


@dataclass(frozen=True, slots=True)
class Environment:
    """One that is built.

    Attributes:
        distributions: what it holds, as ``name==version``.
    """

    root: Path
    distributions: tuple[str, ...]

    @property
    def packages(self) -> Path:
        """The folder that modules are imported from."""
        return self.root / _PACKAGES


class Environments:
    """The environments of this machine. If it is ``offline``, only local folders of wheels are used."""

    def __init__(self, folder: Path, *, offline: bool = False) -> None:
        self.folder = folder
        self._offline = offline

    def place(self, wheels: WheelSet) -> Path:
        """Return the folder in which the environment of these wheels is, or would be."""
        hashes = sorted(wheel.sha256 for wheel in wheels.wheels)
        document = [hashes, sys.implementation.cache_tag, sys.base_prefix]
        return self.folder / hashlib.sha256(json.dumps(document).encode()).hexdigest()[:_DIGITS]

    def resolve(self, skill: Skill, requirements: Sequence[str]) -> WheelSet:
        """Return the wheels that a skill's requirements stand for on this machine; none of them is installed.

        Raises:
            PluginError: they do not fit together, or one of them is not a wheel.
            StorageError: the disk refused.
        """
        applying = _applying(requirements)
        if all(_is_own(requirement) for requirement in applying):
            return WheelSet(platform=platform_name())
        self._refuse_addresses(skill, [requirement.url for requirement in applying])
        with self._pip(skill, "resolved") as (pip, folder):
            items = pip.resolve(
                [_plain(requirement) for requirement in applying],
                [f"{name}=={version}" for name, version in sorted(_own().items())],
                folder,
            )
        addresses = _addresses([*applying, *(text for item in items for text in item.requires)])
        wheels = [_wheel(skill, item, addresses) for item in items if canonicalize_name(item.name) not in _own()]
        return WheelSet(platform=platform_name(), wheels=tuple(sorted(wheels, key=lambda wheel: wheel.name)))

    def fits(self, wheels: WheelSet, requirements: Sequence[str]) -> bool:
        """Were these wheels chosen for this machine, and do they have what the requirements ask for?"""
        if wheels.platform != platform_name():
            return False
        known = {wheel.name: wheel for wheel in wheels.wheels}
        return len(known) == len(wheels.wheels) and all(
            _is_own(item) or _is(known.get(canonicalize_name(item.name)), item) for item in _applying(requirements)
        )

    def of(self, skill: Skill, wheels: WheelSet) -> Environment | None:
        """Return the environment of wheels, built if it is not there; None if there are no wheels.

        Raises:
            PluginError: it cannot be built; the message ends with what pip said last.
            StorageError: the disk refused.
            BusyError: another skillpm has been building it for too long.
        """
        if not wheels.wheels:
            return None
        root = self.place(wheels)
        if (environment := _read(root)) is not None:
            os.utime(root / _RECORD)
            return environment
        self._refuse_addresses(skill, [wheel.url for wheel in wheels.wheels])
        with locked(self.folder / f"{root.name}.lock", _WAIT):
            return _read(root) or self._build(skill, wheels, root)

    def unneeded(self, needed: Iterable[WheelSet]) -> list[Path]:
        """Return the folders that none of these sets needs and that nobody has used for a day."""
        places = {self.place(wheels) for wheels in needed}
        folders = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return [path for path in folders if path.is_dir() and path not in places and _idle(path) > _DAY]

    def _build(self, skill: Skill, wheels: WheelSet, root: Path) -> Environment:
        with self._pip(skill, "built") as (pip, folder):
            packages = folder / _PACKAGES
            packages.mkdir()
            pip.install(wheels.wheels, packages, folder)
            installed = importlib.metadata.distributions(path=[str(packages)])
            names = sorted(f"{canonicalize_name(item.metadata['Name'])}=={item.version}" for item in installed)
            draft = folder / "draft"
            draft.mkdir()
            packages.rename(draft / _PACKAGES)
            record = {"wheels": json_form(wheels), "distributions": names}
            (draft / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            remove_tree(root)
            draft.rename(root)
        return Environment(root, tuple(names))

    @contextmanager
    def _pip(self, skill: Skill, purpose: str) -> Iterator[tuple[Pip, Path]]:
        """Yield pip and an empty folder for it, which is removed afterwards."""
        path = pip_path()
        if path is None:
            raise PluginError(
                f"{skill} needs Python packages, and pip is not here to install them",
                hint="python -m ensurepip",
                skill=skill.name,
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="pip.new-", dir=self.folder)).resolve()
            try:
                yield Pip(path, offline=self._offline), folder
            finally:
                remove_tree(folder)
        except PipError as error:
            raise self._failure(skill, purpose, error) from None
        except OSError as error:
            raise storage_error("build a Python environment in", self.folder, error) from None

    def _failure(self, skill: Skill, purpose: str, error: PipError) -> PluginError:
        place = ", offline" if self._offline else ""
        source = f" with `{error.source}`, which is not a wheel of an index" if error.source else ""
        return PluginError(
            f"the Python packages of {skill} cannot be {purpose}{place}{source}: {error}",
            hint="only wheels are installed; see `python:` in its skill.yaml"
            + (", and try again without SKILLPM_OFFLINE" if self._offline else ""),
            skill=skill.name,
        )

    def _refuse_addresses(self, skill: Skill, urls: Iterable[str | None]) -> None:
        for url in urls:
            if url is not None and self._offline:
                raise PluginError(
                    f"{skill} needs {url}, which is not in the cache, and nothing is fetched offline",
                    hint="run the command once without SKILLPM_OFFLINE",
                    skill=skill.name,
                )


def _applying(requirements: Iterable[str]) -> list[Requirement]:
    return [item for item in map(python_requirement, requirements) if applies(item)]


def _plain(requirement: Requirement) -> str:
    """Return a requirement without its marker, which holds here."""
    requirement.marker = None
    return str(requirement)


def _is_own(requirement: Requirement) -> bool:
    """Does a worker have it already, in a version that fits?"""
    version = _own().get(canonicalize_name(requirement.name))
    plain = not requirement.extras and requirement.url is None
    return version is not None and plain and requirement.specifier.contains(version, prereleases=True)


def _is(wheel: Wheel | None, requirement: Requirement) -> bool:
    """Is this wheel what the requirement asks for?"""
    if wheel is None:
        return False
    if requirement.url is not None:
        return requirement.url == f"{wheel.url}#sha256={wheel.sha256}"
    return requirement.specifier.contains(wheel.version, prereleases=True)


def _addresses(requirements: Iterable[str | Requirement]) -> dict[str, str]:
    """Return the addresses that are those of wheels with hashes, by their unquoted form."""
    addresses = {}
    for item in requirements:
        with suppress(InvalidRequirement):  # pip reads some that are older than PEP 508; these name no address
            requirement = Requirement(item) if isinstance(item, str) else item
            if is_hashed_wheel(requirement):
                url = str(requirement.url).partition("#")[0]
                addresses[unquote(url)] = url
    return addresses


def _wheel(skill: Skill, item: Resolved, addresses: Mapping[str, str]) -> Wheel:
    url = item.url.partition("#")[0]
    address = {"url": addresses.get(unquote(url), "")} if item.by_address else {}
    try:
        wheel = read_light(Wheel, {"file": wheel_file(url), "sha256": item.sha256, **address})
    except DocumentError:
        wheel = None
    if wheel is None or wheel.name != canonicalize_name(item.name):
        raise PluginError(
            f"{skill} needs {item.name} from {url}, which is not a wheel of an index, nor an https wheel with its hash",
            hint="only wheels are installed; see `python:` in its skill.yaml",
            skill=skill.name,
        )
    return wheel


def _idle(root: Path) -> float:
    """Return the seconds since an environment was last used, or since a build of it began that did not end."""
    record = root / _RECORD
    try:
        return time.time() - (record if record.exists() else root).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _read(root: Path) -> Environment | None:
    record = json_object(root / _RECORD)
    return Environment(root, tuple(record["distributions"])) if "distributions" in record else None


@functools.cache
def _own() -> dict[str, str]:
    """Return the versions of what a worker itself imports: skillpm's dependencies and theirs."""
    versions: dict[str, str] = {}
    pending = [_DISTRIBUTION]
    while pending:
        name = canonicalize_name(pending.pop())
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if name in versions:
            continue
        versions[name] = distribution.version
        needed = [Requirement(text) for text in distribution.requires or ()]
        pending += [item.name for item in needed if item.marker is None or item.marker.evaluate({"extra": ""})]
    versions.pop(canonicalize_name(_DISTRIBUTION), None)
    return versions
