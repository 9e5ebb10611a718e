"""A folder of Python packages for each set that skills ask for, so that two skills may contradict one another.

Built once, by uv where it is there, else by pip; found again by the digest of what was asked. Nothing in it may run
before a worker is confined, and a wheel can write what it likes: so there are only wheels, for a source distribution
would run its build; no interpreter, which a wheel's script could replace; and no ``.pth`` file is ever obeyed, since
workers start without ``site``. What a worker itself needs keeps the version that skillpm runs with.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from skillpm.errors import PluginError
from skillpm.model.skill import Skill
from skillpm.storage.files import storage_error
from skillpm.storage.process_lock import locked

_DISTRIBUTION = "skillpm-core"
_PACKAGES = "packages"
_RECORD = "environment.json"  # written last: a folder without it was not finished
_SECONDS = 900.0  # for one build
_DAY = 86400.0  # seconds
_LINES = 3  # of what the installer said last
_DIGITS = 32  # of the digest that names a folder


@dataclass(frozen=True, slots=True)
class Environment:
    """One that is built.

    Attributes:
        root: its folder.
        distributions: what it holds, as ``name==version``.
    """

    root: Path
    distributions: tuple[str, ...]

    @property
    def packages(self) -> Path:
        """The folder that modules are imported from."""
        return self.root / _PACKAGES


class Environments:
    """The environments of this machine.

    Args:
        folder: where they are; need not exist.
        offline: build without asking the network; local folders of wheels are still used.
    """

    def __init__(self, folder: Path, *, offline: bool = False) -> None:
        self.folder = folder
        self._offline = offline

    def place(self, requirements: Sequence[str]) -> Path:
        """Return the folder in which the environment of these requirements is, or would be."""
        normal = sorted({_normal(Requirement(text)) for text in requirements if _applies(text)})
        document = [normal, sys.implementation.cache_tag, sys.base_prefix, _constraints()]
        return self.folder / hashlib.sha256(json.dumps(document).encode()).hexdigest()[:_DIGITS]

    def of(self, skill: Skill, requirements: Sequence[str]) -> Environment | None:
        """Return a skill's environment, built where that was not done yet; None where it asks for no package here.

        Raises:
            PluginError: it cannot be built; the message ends with what the installer said last.
            StorageError: the disk refused.
            BusyError: another skillpm has been building it for too long.
        """
        applying = [text for text in requirements if _applies(text)]
        if not applying:
            return None
        for text in applying:
            _check(skill, text)
        root = self.place(applying)
        if (environment := _read(root)) is not None:
            os.utime(root / _RECORD)
            return environment
        with locked(self.folder / f"{root.name}.lock", _SECONDS):
            return _read(root) or self._build(skill, applying, root)

    def unneeded(self, needed: Iterable[Sequence[str]]) -> list[Path]:
        """Return the folders that none of these requirements needs and that nobody has used for a day."""
        places = {self.place(requirements) for requirements in needed if requirements}
        folders = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return [path for path in folders if path.is_dir() and path not in places and _idle(path) > _DAY]

    def _build(self, skill: Skill, requirements: list[str], root: Path) -> Environment:
        try:
            draft = Path(tempfile.mkdtemp(prefix=f"{root.name}.new-", dir=self.folder))
            try:
                distributions = self._fill(skill, requirements, draft)
                record = {"requirements": requirements, "distributions": distributions}
                (draft / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
                shutil.rmtree(root, ignore_errors=True)
                draft.rename(root)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise storage_error("build the Python environment in", root, error) from None
        return Environment(root, tuple(distributions))

    def _fill(self, skill: Skill, requirements: list[str], root: Path) -> list[str]:
        constraints = root / "constraints.txt"
        constraints.write_text("\n".join(_constraints()) + "\n", encoding="utf-8")
        target = str(root / _PACKAGES)
        choice = ["--only-binary", ":all:", "--constraint", str(constraints)]
        words = [*self._installer(skill), "--target", target, *choice, *requirements]
        try:
            result = subprocess.run(
                words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise self._failure(skill, f"{builder()} was not ready after {_SECONDS:.0f} seconds") from None
        if result.returncode != 0:
            lines = [line.strip() for line in (result.stderr or result.stdout).splitlines() if line.strip()]
            raise self._failure(skill, " | ".join(lines[-_LINES:])[-1000:] or f"{builder()} said nothing")
        installed = importlib.metadata.distributions(path=[target])
        return sorted(f"{canonicalize_name(item.metadata['Name'])}=={item.version}" for item in installed)

    def _installer(self, skill: Skill) -> list[str]:
        match builder():
            case "uv":
                return ["uv", "pip", "install", "--python", sys.executable, *_pip_settings(offline=self._offline)]
            case "pip":
                quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
                return [sys.executable, "-m", "pip", "install", *quiet, *(["--no-index"] if self._offline else [])]
        raise PluginError(
            f"{skill} needs Python packages, and neither uv nor pip is here to install them",
            hint="python -m ensurepip",
            skill=skill.name,
        )

    def _failure(self, skill: Skill, reason: str) -> PluginError:
        place = ", offline" if self._offline else ""
        return PluginError(
            f"the Python environment of {skill} cannot be built{place}: {reason}",
            hint="only wheels are installed; see `python:` in its skill.yaml"
            + (", and try again without SKILLPM_OFFLINE" if self._offline else ""),
            skill=skill.name,
        )


def builder() -> str:
    """Return what builds environments here: ``uv``, ``pip``, or nothing."""
    if shutil.which("uv"):
        return "uv"
    return "pip" if importlib.util.find_spec("pip") is not None else ""


def _check(skill: Skill, text: str) -> None:
    requirement = Requirement(text)
    if requirement.url is not None and not requirement.url.partition("#")[0].endswith(".whl"):
        raise PluginError(
            f"{skill} asks for `{text}`, which is no wheel: its build would run outside the sandbox",
            hint="ask for a release that has wheels",
            skill=skill.name,
        )


def _applies(text: str) -> bool:
    marker = Requirement(text).marker
    return marker is None or marker.evaluate()


def _normal(requirement: Requirement) -> str:
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement)


def _idle(root: Path) -> float:
    """Return the seconds since an environment was last used, or since a build of it began that did not end."""
    record = root / _RECORD
    try:
        return time.time() - (record if record.exists() else root).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _read(root: Path) -> Environment | None:
    try:
        record = json.loads((root / _RECORD).read_text(encoding="utf-8"))
        return Environment(root, tuple(record["distributions"]))
    except (OSError, ValueError, KeyError):
        return None


@functools.cache
def _constraints() -> list[str]:
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
    return [f"{name}=={version}" for name, version in sorted(versions.items())]


def _pip_settings(*, offline: bool) -> list[str]:
    """Return what the environment says to pip about places, in uv's words."""
    words = []
    for variable, option in (("PIP_INDEX_URL", "--index-url"), ("PIP_EXTRA_INDEX_URL", "--extra-index-url")):
        words += [word for place in os.environ.get(variable, "").split() for word in (option, place)]
    words += [word for place in os.environ.get("PIP_FIND_LINKS", "").split() for word in ("--find-links", place)]
    alone = offline or os.environ.get("PIP_NO_INDEX", "0") not in ("", "0", "false")
    return [*words, *(["--no-index"] if alone else [])]
