"""Levels that confine a worker: three of ours and those of plugins. Each is probed once.

``bubblewrap``
    The system's ``bwrap`` starts the worker in namespaces of its own, where other files, processes and networks do not
    exist. Landlock is added where the kernel has it, and the system-call filter where it is known.
``landlock``
    Landlock and a system-call filter: the worker confines itself, after it has loaded our code and before it loads
    the skill's, and the kernel never lets it go back. Starting costs some milliseconds less.
``plugin:NAME``
    A plugin's command starts the worker; the system-call filter is added where it is known. It stands behind our own
    strong levels where the plugin calls it strong, and is taken only when it is named where not.
``limits``
    Resource limits, and the system-call filter where it is known. Files are as open as they are to the person.

Resource limits and the loss of all capabilities hold at every level. What a level does not stop stands in
``Sandbox.gaps`` and in docs/sandbox.md.
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
from typing import Any, Literal

from skillpm.errors import PluginError, PolicyError
from skillpm.model.ports import Enclosure, SandboxLevel
from skillpm.sandbox import bubblewrap, landlock, privileges, seccomp
from skillpm.sandbox.limits import Limits
from skillpm.sandbox.programs import libraries, loaders

Level = Literal["bubblewrap", "landlock", "limits"]
LEVELS: tuple[Level, ...] = ("bubblewrap", "landlock", "limits")  # the strongest first
PLUGIN = "plugin:"  # in front of the name of a level that a plugin brings

INSTALLED = ("site-packages", "dist-packages")  # a checkout is no such folder: of it, our own package is enough
_SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo")
_NETWORK_SETTINGS = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs", "/etc/ssl/cert.pem",
                     "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted",
                     "/etc/ca-certificates")  # fmt: skip  # never /etc/ssl/private, which root may still read


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one skill's code may touch.

    Attributes:
        scratch: the only folder in which it may write.
        packages: folders of Python packages that it may import from.
        network: does its manifest ask for the network, and do person and policy agree?
        programs: the programs that its manifest asks to run, as far as they agree.
        landlock: the version of Landlock that confines it; 0 for none.
        tasks: processes and threads that its user has already; the kernel counts them together with the worker's.
    """

    skill: Path
    scratch: Path
    packages: tuple[Path, ...] = ()
    network: bool = False
    programs: tuple[str, ...] = ()
    landlock: int = 0
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One level on this machine.

    Attributes:
        level: which, as ``--sandbox`` asks for it.
        parts: the mechanisms that make it up, in words.
        brought: the plugin's level, where it is one.
        landlock: the version of Landlock that it uses; 0 for none.
    """

    level: str
    parts: tuple[str, ...]
    brought: SandboxLevel | None = None
    landlock: int = 0

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
        seen = "seeing which files and processes there are, and files' sizes and times"
        own = () if self.brought is None else self.brought.gaps
        if self.brought is not None and self.strong:
            return (*always, *own)
        if self.level == "landlock":
            return (*always, seen)
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
    version = 0 if level == "limits" else landlock.abi_version()
    locked = (f"landlock {version}",) if version else ()
    match level:
        case "bubblewrap":
            parts = (f"bubblewrap {bubblewrap.version()}", *locked, *filtered) if bubblewrap.version() else ()
        case "landlock":
            parts = (*locked, *filtered) if locked and filtered else ()
        case "limits":
            return Sandbox(level, (*filtered, "resource limits"))
    return Sandbox(level, (*parts, "resource limits"), landlock=version) if parts else None


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


def confine(confinement: Confinement, limits: Limits) -> None:
    """Confine this process for good, as far as it has to do so itself.

    What needs a right comes before that right is given up, and the filter, which allows none of this, is last.

    Raises:
        OSError: the kernel has a mechanism but refused it, or what the worker needs cannot be read by it.
    """
    _limit_resources(confinement, limits)
    privileges.drop()
    _check_readable(confinement)
    if confinement.landlock:
        programs = runnable(confinement)
        grants = landlock.Grants(
            read=readable(confinement),
            write=[confinement.scratch],
            execute=[*programs, *loaders(programs)],
            network=confinement.network,
        )
        landlock.restrict(grants, confinement.landlock)
    if seccomp.available():
        _copy_content_only()
        seccomp.restrict(network=confinement.network, processes=bool(confinement.programs))


def _copy_content_only() -> None:
    """Let ``shutil.copy`` and its like do without modes and times, which the filter lets nobody change."""
    for function in (shutil.copymode, shutil.copystat):

        @functools.wraps(function)
        def without(*arguments: Any, _function: Any = function, **options: Any) -> None:
            with contextlib.suppress(PermissionError):
                _function(*arguments, **options)

        setattr(shutil, function.__name__, without)


def _limit_resources(confinement: Confinement, limits: Limits) -> None:
    apart = not confinement.programs and privileges.count_apart()
    if apart:  # access() asks for the real user, and the real group is still root's
        confinement.scratch.chmod(0o770)
        setattr(os, "access", functools.partial(os.access, effective_ids=True))  # noqa: B010
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, limits.processes + (0 if apart else confinement.tasks)),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses a limit on the address space
            resource.setrlimit(kind, (allowed, allowed))


def _check_readable(confinement: Confinement) -> None:
    for folder in (confinement.skill, *confinement.packages):
        try:
            os.scandir(folder).close()
        except PermissionError:
            raise OSError(
                f"skill code runs without the rights of root and cannot read {folder}; its owner can run skillpm"
            ) from None


def tasks() -> int:
    """Return how many processes and threads this user has; 0 for root, whom the kernel does not count."""
    if os.getuid() == 0:
        return 0
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
        *(folder for folder in confinement.packages if folder != package.parent or folder.name in INSTALLED),
        *libraries(programs=bool(confinement.programs)),
        *(Path(path) for path in _SETTINGS),
        *(Path(path) for path in (_NETWORK_SETTINGS if confinement.network else ())),
    ]
    return list(dict.fromkeys(trees))


def interpreter(python: Path) -> list[Path]:
    """Return what an interpreter needs to start where nothing else is there, beside the libraries of the system."""
    real = python.resolve()
    return [real, real.parent.parent / "lib", python.parent.parent / "pyvenv.cfg"]


def runnable(confinement: Confinement) -> list[Path]:
    """Return the programs that a worker may start, as absolute paths; empty if it may start none."""
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(folder).is_absolute()]
    path = os.pathsep.join(folders)
    programs = [shutil.which(name, path=path) for name in confinement.programs if "/" not in name]
    return [Path(program) for program in programs if program is not None]
