"""pip as a tool: which wheels requirements stand for, and their installation into a folder.

pip runs confined, in an empty folder, with an environment of a few variables. It reads no settings file there and no
variable of its own: where packages come from is read from the person's settings first, and passed on word by word. A
project has no say.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import skillpm
from skillpm.formats.typed_path import typed_path
from skillpm.model.wheel import Wheel
from skillpm.sandbox.sandbox import Confinement, readable

_SECONDS = 900.0  # for one run
_LINES = 3  # of what pip said last
_BOOTSTRAP = "import sys; sys.path.append(sys.argv[2]); from skillpm.worker.pip_process import main; main(sys.argv[1:])"
_FLAGS = ("-I", "-S", "-B", "-c", _BOOTSTRAP)
_QUIET = ("--no-input", "--no-color", "--disable-pip-version-check", "--progress-bar", "off", "--no-cache-dir")
_PLACES = ("index-url", "extra-index-url", "find-links", "trusted-host")  # of a person's settings, by pip's words
_FILES = ("cert", "client-cert")
_OTHERS = ("proxy", "default-timeout", "timeout", "retries")
_VARIABLES = ("LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_FROM_LIST = re.compile(r" \(from -r \S+ \(line \d+\)\)")  # our own list
_SETTING = re.compile(r"(?:global|install|:env:)\.([a-z-]+)=(.*)")
_CONFIGURATIONS: dict[object, str] = {}  # what pip says of a person's settings, by the variables it reads


class PipError(Exception):
    """pip failed; the text is what it said last.

    Attributes:
        source: what it looked at last, if that is at an address and not a wheel; else empty.
    """

    def __init__(self, reason: str, source: str = "") -> None:
        super().__init__(reason)
        self.source = source


@dataclass(frozen=True, slots=True)
class Resolved:
    """One package of a resolution: its name, its address, SHA-256, whether the address was asked for, and its needs."""

    name: str
    url: str
    sha256: str
    by_address: bool
    requires: tuple[str, ...]


def pip_path() -> Path | None:
    """Return what pip is imported from: a folder, or the wheel in the standard library; None if there is no pip."""
    spec = importlib.util.find_spec("pip")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parents[1]
    spec = importlib.util.find_spec("ensurepip")
    folder = Path(spec.origin or "").parent / "_bundled" if spec is not None else Path()
    return next(iter(sorted(folder.glob("pip-*.whl"))), None) if spec is not None else None


class Pip:
    """pip, confined. If it is ``offline``, it opens no connection; folders of wheels are still used."""

    def __init__(self, path: Path, *, offline: bool = False) -> None:
        self._path = path
        self._offline = offline

    def resolve(self, requirements: Iterable[str], constraints: Sequence[str], folder: Path) -> list[Resolved]:
        """Return the packages that requirements stand for here, theirs included; nothing is installed.

        Requirements are as in PEP 508, without markers. Constraints, ``name==version``, are of packages that keep their
        version. The folder is an empty one to work in.

        Raises:
            PipError: they do not fit together, or something is not a wheel.
            OSError: pip cannot be started.
        """
        pinned, report = folder / "constraints.txt", folder / "report.json"
        pinned.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
        settings = self._settings()
        words = ["--dry-run", "--ignore-installed", "--report", str(report)]
        words += [word for path in (str(pinned), *settings.constraints) for word in ("--constraint", path)]
        self._install([*words, *requirements], folder, settings)
        return [_resolved(item) for item in json.loads(report.read_text(encoding="utf-8"))["install"]]

    def install(self, wheels: Iterable[Wheel], target: Path, folder: Path) -> None:
        """Install exactly these wheels into ``target``, a folder inside the empty ``folder``.

        Raises:
            PipError: a wheel is not there any more, or has other bytes.
            OSError: pip cannot be started.
        """
        lines = folder / "wheels.txt"
        lines.write_text("".join(f"{wheel.line} --hash=sha256:{wheel.sha256}\n" for wheel in wheels), encoding="utf-8")
        words = ["--no-deps", "--require-hashes", "--no-compile", "--target", str(target), "--requirement", str(lines)]
        self._install(words, folder, self._settings())

    def _install(self, words: Sequence[str], folder: Path, settings: _Settings) -> None:
        places = folder / "places.txt"  # not on the command line, which other users may read: they may hold passwords
        places.write_text("".join(f"{line}\n" for line in settings.places), encoding="utf-8")
        places.chmod(0o600)
        choice = ["--isolated", "--only-binary", ":all:", "--no-warn-conflicts", "--root-user-action", "ignore"]
        common = [*_QUIET, *choice, *settings.options, "--requirement", str(places)]
        result = self._run(["install", *common, *words], folder, settings.read)
        if result.returncode != 0:
            output = _FROM_LIST.sub("", result.stderr or result.stdout)
            raise PipError(_reason(output), _last_address(_FROM_LIST.sub("", result.stdout)))

    def _settings(self) -> _Settings:
        variables = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("PIP_")))
        if (self._path, variables) not in _CONFIGURATIONS:
            _CONFIGURATIONS[self._path, variables] = self._run(["config", "list"], None, ()).stdout
        sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
        for line in _CONFIGURATIONS[self._path, variables].splitlines():
            if match := _SETTING.fullmatch(line):
                sections[line.partition(".")[0]][match[1]] = str(ast.literal_eval(match[2]))
        return _Settings.of({**sections["global"], **sections["install"], **sections[":env:"]}, offline=self._offline)

    def _run(self, words: list[str], folder: Path | None, read: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        order = {
            "words": words,
            "path": str(self._path),
            "folder": None if folder is None else str(folder),
            "read": [] if folder is None else [*map(str, self._readable(folder)), *read],
            "network": not self._offline,
        }
        package = str(Path(skillpm.__file__).parents[1])
        try:
            return subprocess.run(
                [sys.executable, *_FLAGS, json.dumps(order), package],
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=_SECONDS,
                cwd=folder,
                env=dict(os.environ) if folder is None else _environment(folder),
            )
        except subprocess.TimeoutExpired:
            raise PipError(f"pip was not ready after {_SECONDS:.0f} seconds") from None

    def _readable(self, folder: Path) -> list[Path]:
        trees = readable(Confinement(skill=folder, scratch=folder, packages=(self._path,), network=True))
        return [*trees, Path("/etc")]  # names of the system, types of files, certificates


@dataclass(frozen=True, slots=True)
class _Settings:
    """A person's settings as pip is told them.

    Attributes:
        places: lines of a requirements file.
        read: the files and folders that these name.
    """

    places: tuple[str, ...]
    options: tuple[str, ...]
    constraints: tuple[str, ...]
    read: tuple[str, ...]

    @classmethod
    def of(cls, values: dict[str, str], *, offline: bool) -> _Settings:
        places = [(name, word) for name in _PLACES for word in values.get(name, "").split()]
        places = [(name, _absolute(word) if name == "find-links" else word) for name, word in places]
        places = [(name, word) for name, word in places if not offline or (name == "find-links" and _local(word))]
        alone = offline or values.get("no-index", "0").lower() not in ("", "0", "false", "no", "off")
        files = [(name, _absolute(word)) for name in _FILES for word in values.get(name, "").split()]
        options = [*files, *((name, values[name]) for name in _OTHERS if name in values)]
        options += [] if "retries" in values else [("retries", "1")]
        constraints = [_absolute(word) for word in values.get("constraint", "").split()]
        # the pages of an index may point to files beside it
        local = [(name, Path(path)) for name, word in places if (path := _local(word))]
        read = [str(path.parent if "index" in name else path) for name, path in local]
        return cls(
            (*(f"--{name} {word}" for name, word in places), *(["--no-index"] if alone else [])),
            tuple(word for name, value in options for word in (f"--{name}", value)),
            tuple(constraints),
            (*read, *(word for _, word in files), *constraints, _netrc()),
        )


def _absolute(word: str) -> str:
    """Return a place that means the same in another working folder."""
    return word if urlsplit(word).scheme in ("http", "https", "file") else str(Path.cwd() / typed_path(word))


def _local(word: str) -> str:
    """Return the path of a place on this disk; empty for one on the network."""
    parts = urlsplit(word)
    if parts.scheme == "file":
        return url2pathname(parts.path)
    return "" if parts.scheme in ("http", "https") else word


def _environment(folder: Path) -> dict[str, str]:
    names = [name for name in os.environ if name in _VARIABLES or name.startswith("LC_") or name.lower() in _PROXIES]
    ours = {"HOME": str(folder), "TMPDIR": str(folder), "NETRC": _netrc(), "PIP_CONFIG_FILE": os.devnull}
    return {**{name: os.environ[name] for name in names}, **ours}


def _netrc() -> str:
    return os.environ.get("NETRC") or str(typed_path("~/.netrc"))


def _resolved(item: dict[str, Any]) -> Resolved:
    place, about = item["download_info"], item["metadata"]
    digest = place.get("archive_info", {}).get("hashes", {}).get("sha256", "")
    return Resolved(about["name"], place["url"], digest, item["is_direct"], tuple(about.get("requires_dist", ())))


def _last_address(output: str) -> str:
    """Return what pip looked at last if it is at an address and not a wheel: ``x@ file:///x.tar.gz (from y)``."""
    looked = re.findall(r"^\s*(?:Collecting|Processing) (.+)$", output, re.MULTILINE)
    place = looked[-1].partition(" (from ")[0] if looked else ""
    return looked[-1][:300] if re.search(r"@ ?\w+[:+]|/", place) and not place.endswith(".whl") else ""


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("WARNING: ")]
    if any(line.startswith("Traceback") for line in lines):
        lines = lines[-1:]
    return " | ".join(line.removeprefix("ERROR: ") for line in lines[-_LINES:])[-1000:] or "pip said nothing"


def platform_name() -> str:
    """Return the interpreter and the system that wheels are chosen for, such as ``cpython-311-linux-x86_64-glibc``."""
    import platform

    tag = sys.implementation.cache_tag or sys.implementation.name
    return "-".join(filter(None, (tag, sysconfig.get_platform(), platform.libc_ver()[0])))
