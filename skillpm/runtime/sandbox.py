"""What confines a worker: resource limits always, Landlock and a system-call filter where the kernel has them.

A worker confines itself, after it has loaded our code and before it loads the skill's; the kernel never lets it go
back. ``level`` says how strong the confinement is on this machine, and ``gaps`` what it does not stop.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skillpm.runtime import landlock, seccomp
from skillpm.runtime.limits import Limits

__all__ = ["Confinement", "Strength", "confine", "gaps", "level", "strength"]

Strength = Literal["full", "partial", "limits"]

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
        network: does its manifest ask for the network, and did the user agree?
        programs: the programs that its manifest asks to run.
    """

    skill: Path
    scratch: Path
    network: bool = False
    programs: tuple[str, ...] = ()


def strength() -> Strength:
    """Return how strong the confinement is here: full (files, network, processes), partial, or resource limits only."""
    abi = landlock.abi_version()
    if abi >= 4 and seccomp.available():
        return "full"
    return "partial" if abi or seccomp.available() else "limits"


def level() -> str:
    """Return the confinement of this machine in words."""
    abi = landlock.abi_version()
    parts = [
        *([f"landlock {abi}"] if abi else []),
        *(["seccomp"] if seccomp.available() else []),
        "resource limits",
    ]
    return f"{strength()} ({' + '.join(parts)})"


def gaps() -> list[str]:
    """Return what the confinement of this machine does not stop."""
    found = [
        "using the processor until the deadline of a batch",
        "filling the scratch folder with many files",
        "reading Python, its packages and the system's libraries",
    ]
    if landlock.abi_version() == 0:
        found.append("reading and writing any file that you may read and write")
    if not seccomp.available():
        found += ["using the network", "starting processes", "signalling your other processes"]
    return found


def confine(confinement: Confinement, limits: Limits) -> str:
    """Confine this process for good and return the level in words.

    Raises:
        OSError: the kernel has a mechanism but refused it.
    """
    _limit_resources(limits)
    applied = []
    if landlock.abi_version():
        abi = landlock.restrict(
            read=_readable(confinement),
            write=[confinement.scratch],
            execute=_executable(confinement),
            devices=[Path(path) for path in _DEVICES],
            network=confinement.network,
        )
        applied.append(f"landlock {abi}")
    if seccomp.available():
        seccomp.restrict(network=confinement.network, processes=bool(confinement.programs))
        applied.append("seccomp")
    return " + ".join([*applied, "resource limits"])


def _limit_resources(limits: Limits) -> None:
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, limits.processes),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses a limit on the address space
            resource.setrlimit(kind, (allowed, allowed))


def _readable(confinement: Confinement) -> list[Path]:
    package = Path(__file__).parents[1]
    folders = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found = [
        confinement.skill,
        package,
        *(Path(folder) for folder in folders if folder),
        *(Path(entry) for entry in sys.path if entry and Path(entry).name in ("site-packages", "dist-packages")),
        *(Path(path) for path in (*_LIBRARIES, *_SETTINGS)),
        *(Path(path) for path in (_NETWORK_SETTINGS if confinement.network else ())),
    ]
    return list(dict.fromkeys(found))


def _executable(confinement: Confinement) -> list[Path]:
    programs = [shutil.which(name) for name in confinement.programs if "/" not in name]
    found = [Path(program) for program in programs if program is not None]
    return [*found, *(Path(path) for path in _LOADERS)] if found else []
