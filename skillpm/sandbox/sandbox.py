"""Levels that confine a worker: three of ours and those of plugins. Each is probed once.

``landlock``
    Landlock and a system-call filter: the worker confines itself, after it has loaded our code and before it loads
    the skill's, and the kernel never lets it go back. Files outside, sockets, new processes and signals are refused.
``bubblewrap``
    The system's ``bwrap`` starts the worker in namespaces of its own, where other files, processes and networks are
    not there at all; the system-call filter is added where it is known. Starting costs some milliseconds more.
``plugin:NAME``
    A plugin's command starts the worker; the system-call filter is added where it is known. It stands behind our own
    strong levels where the plugin calls it strong, and is taken only when it is named where not.
``limits``
    Resource limits, and the system-call filter where it is known. Files are as open as they are to the person.

Resource limits hold at every level. What a level does not stop stands in ``Sandbox.gaps`` and in docs/sandbox.md.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import shutil
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skillpm.errors import PluginError, PolicyError
from skillpm.model.ports import Enclosure, SandboxLevel
from skillpm.sandbox import bubblewrap, landlock, seccomp
from skillpm.sandbox.limits import Limits

__all__ = ["LEVELS", "PLUGIN", "Confinement", "Level", "Sandbox", "choose", "confine", "interpreter", "probed",
           "readable", "runnable"]  # fmt: skip

Level = Literal["landlock", "bubblewrap", "limits"]
LEVELS: tuple[Level, ...] = ("landlock", "bubblewrap", "limits")  # the strongest first
PLUGIN = "plugin:"  # in front of the name of a level that a plugin brings

_INSTALLED = ("site-packages", "dist-packages")  # a checkout is no such folder: of it, our own package is enough
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo")
_SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone")
_NETWORK_SETTINGS = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/ca-certificates")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-x86_64.so.1")


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one skill's code may touch.

    Attributes:
        skill: its unpacked folder, read only.
        scratch: the only folder in which it may write.
        packages: folders of Python packages that it may import from.
        network: does its manifest ask for the network, and do person and policy agree?
        programs: the programs that its manifest asks to run, as far as they agree.
    """

    skill: Path
    scratch: Path
    packages: tuple[Path, ...] = ()
    network: bool = False
    programs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One level on this machine.

    Attributes:
        level: which, as ``--sandbox`` asks for it.
        parts: the mechanisms that make it up, in words.
        brought: the plugin's level, where it is one.
    """

    level: str
    parts: tuple[str, ...]
    brought: SandboxLevel | None = None

    def __str__(self) -> str:
        return f"{self.level} ({' + '.join(self.parts)})"

    @property
    def strong(self) -> bool:
        """Does it keep files, networks and processes apart? Of a plugin's level its plugin says so."""
        return self.level != "limits" if self.brought is None else self.brought.strong

    @property
    def enclose(self) -> Callable[[Enclosure], Sequence[str]] | None:
        """What makes the command that starts a worker inside, where it does not only confine itself."""
        if self.brought is not None:
            return self.brought.command
        return bubblewrap.command if self.level == "bubblewrap" else None

    @property
    def gaps(self) -> tuple[str, ...]:
        """What this level does not stop."""
        always = (
            "using the processor until the deadline of a call",
            "filling the scratch folder with many files",
            "reading Python, its packages and the system's libraries",
        )
        filtered = seccomp.NAME in self.parts
        own = () if self.brought is None else self.brought.gaps
        if self.brought is not None and self.strong:
            return (*always, *own)
        if self.strong:
            return always if filtered else (*always, "starting processes inside its namespaces")
        files = ("reading and writing any file that you may read and write",)
        if filtered:
            return (*always, *files, *own)
        more = ("using the network", "starting processes that outlive the run", "signalling your other processes")
        return (*always, *files, *more, *own)


@functools.cache
def _available(level: Level) -> Sandbox | None:
    filtered = (seccomp.NAME,) if seccomp.available() else ()
    match level:
        case "landlock":
            version = landlock.abi_version()
            parts = (f"landlock {version}", *filtered) if version and filtered else ()
        case "bubblewrap":
            parts = (f"bubblewrap {bubblewrap.version()}", *filtered) if bubblewrap.version() else ()
        case "limits":
            return Sandbox(level, (*filtered, "resource limits"))
    return Sandbox(level, (*parts, "resource limits")) if parts else None


def probed(level: SandboxLevel) -> Sandbox | None:
    """Return a plugin's level as this machine offers it; None where its probe finds nothing.

    Raises:
        PluginError: the probe failed.
    """
    version = level.probe()
    filtered = (seccomp.NAME,) if seccomp.available() else ()
    parts = (f"{level.name} {version}", *filtered, "resource limits")
    return Sandbox(f"{PLUGIN}{level.name}", parts, level) if version else None


def choose(
    wanted: str = "auto", brought: Callable[[], Sequence[SandboxLevel]] = tuple, *, required: bool = False
) -> Sandbox:
    """Return the level for workers.

    Args:
        wanted: ``auto`` for the strongest there is, ``require`` for that, but a strong one; or a level.
        brought: returns the levels of plugins; only called where none of ours is asked for or will do.
        required: does a policy require a strong one, whatever is wanted?

    Raises:
        PolicyError: this machine does not offer what is required.
        PluginError: the probe of the level that is wanted failed.
    """
    sandbox = next(_offered(wanted, brought), None)
    if sandbox is not None and (sandbox.strong or not (required or wanted == "require")):
        return sandbox
    if sandbox is not None and sandbox.brought is not None:
        raise PolicyError(
            f"a policy requires a strong sandbox, but the plugin of {sandbox.level} does not call it strong",
            hint="remove `--sandbox`, or choose a strong level; `skillpm doctor` lists them",
        )
    if wanted.startswith(PLUGIN):
        raise PolicyError(
            f"no plugin offers {wanted} on this machine",
            hint="`skillpm doctor` lists the installed levels and whether they work here",
        )
    missing = "neither landlock nor bubblewrap" if wanted == "require" else f"no {wanted}"
    raise PolicyError(
        f"this machine has {missing} to confine skill code",
        hint="use a Linux kernel of 5.13 or newer with Landlock, install bubblewrap, or remove `--sandbox`",
    )


def _offered(wanted: str, brought: Callable[[], Sequence[SandboxLevel]]) -> Iterator[Sandbox]:
    """Yield what this machine offers of what is wanted, the strongest first."""
    *strong, last = LEVELS
    if wanted in LEVELS:
        yield from (sandbox for level in LEVELS if level == wanted and (sandbox := _available(level)) is not None)
    elif wanted.startswith(PLUGIN):
        named = [probed(level) for level in brought() if PLUGIN + level.name == wanted]
        yield from (sandbox for sandbox in named if sandbox is not None)
    else:
        yield from (sandbox for level in strong if (sandbox := _available(level)) is not None)
        for theirs in brought():
            with contextlib.suppress(PluginError):  # what is not asked for by name fails as if it were not there
                if theirs.strong and (sandbox := probed(theirs)) is not None:
                    yield sandbox
        if (least := _available(last)) is not None:
            yield least


def confine(confinement: Confinement, limits: Limits, level: str) -> None:
    """Confine this process for good, as far as it has to do so itself.

    Raises:
        OSError: the kernel has a mechanism but refused it.
    """
    _limit_resources(limits, programs=bool(confinement.programs))
    if level == "landlock":
        programs = runnable(confinement)
        landlock.restrict(
            read=readable(confinement),
            write=[confinement.scratch],
            execute=[*programs, *(Path(path) for path in _LOADERS)] if programs else [],
            devices=[Path(path) for path in _DEVICES],
            network=confinement.network,
        )
    if seccomp.available():
        seccomp.restrict(network=confinement.network, processes=bool(confinement.programs))


def _limit_resources(limits: Limits, *, programs: bool) -> None:
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        *([(resource.RLIMIT_NPROC, _tasks() + limits.processes)] if programs else []),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses a limit on the address space
            resource.setrlimit(kind, (allowed, allowed))


def _tasks() -> int:
    """Return how many processes and threads this user has: the kernel's limit counts those of all programs."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/task"):
        with contextlib.suppress(OSError):
            status = path.stat()
            count += status.st_nlink - 2 if status.st_uid == os.getuid() else 0
    return count


def readable(confinement: Confinement) -> list[Path]:
    """Return the trees that a worker may read; some of them may not be there."""
    package = Path(__file__).parents[1]
    folders = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    trees = [
        confinement.skill,
        package,
        *(Path(folder) for folder in folders if folder),
        *(folder for folder in confinement.packages if folder != package.parent or folder.name in _INSTALLED),
        *(Path(path) for path in (*_LIBRARIES, *_SETTINGS)),
        *(Path(path) for path in (_NETWORK_SETTINGS if confinement.network else ())),
    ]
    return list(dict.fromkeys(trees))


def interpreter(python: Path) -> list[Path]:
    """Return what an interpreter needs to start where nothing else is there, beside the libraries of the system."""
    real = python.resolve()
    return [real, real.parent.parent / "lib", python.parent.parent / "pyvenv.cfg"]


def runnable(confinement: Confinement) -> list[Path]:
    """Return the programs that a worker may start; empty where it may start none."""
    programs = [shutil.which(name) for name in confinement.programs if "/" not in name]
    return [Path(program) for program in programs if program is not None]
