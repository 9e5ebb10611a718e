"""The system's ``bwrap``: a worker in namespaces of its own, where only what is named exists.

Source: bubblewrap's manual page, ``bwrap(1)``. Its root is an empty file system in memory; everything else is bound
into it, read only but for the scratch folder. When the worker ends, all that it started ends with its namespace.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from skillpm.model.ports import Enclosure

_SECONDS = 10.0  # for the probe
_NAMESPACES = (
    ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),  # for root
    ("--unshare-all",),  # with a namespace of users, by which others may make the rest
)


def version() -> str:
    """Return the version of a ``bwrap`` that works here; empty if there is none, or where it may not do its work."""
    return _probed()[0]


@functools.cache
def _probed() -> tuple[str, tuple[str, ...]]:
    """Return the version and the options of namespaces that work here.

    Root needs no namespace of users. In one, a worker could not be counted under a user of its own.
    """
    program = shutil.which("bwrap")
    if program is None or sys.platform != "linux":
        return "", ()
    for namespaces in _NAMESPACES if os.geteuid() == 0 else _NAMESPACES[1:]:
        if answer := _try(program, namespaces):
            return answer, namespaces
    return "", ()


def _try(program: str, namespaces: tuple[str, ...]) -> str:
    import subprocess  # workers import this module and never probe

    try:
        probe = [program, *namespaces, "--ro-bind", "/", "/", "--dev", "/dev", program, "--version"]
        result = subprocess.run(
            probe, check=False, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.rpartition(" ")[2].strip() if result.returncode == 0 else ""


def tool_command(
    words: list[str], folder: Path, writable: tuple[Path, ...], hidden: Iterable[Path], *, network: bool
) -> list[str]:
    """Return the command that runs a tool on the machine as it is, but read only.

    Processes are the host's in /proc, so that a tool can describe them, but it can signal its own only.

    Args:
        words: the program and its arguments.
        folder: where it starts.
        writable: folders that it may write.
        hidden: files and folders that are empty for it.
        network: is the host's network left to it? The system-call filter may refuse its sockets all the same.
    """
    options = [
        *("--die-with-parent", "--new-session"),
        *(option for option in _probed()[1] if option not in ("--unshare-net", "--unshare-all")),
        *(["--unshare-user-try", "--unshare-pid", "--unshare-ipc"] if "--unshare-all" in _probed()[1] else []),
        *([] if network else ["--unshare-net"]),
        *("--ro-bind", "/", "/"),
        *("--dev", "/dev"),
        *(("--ro-bind", folder, folder) if folder.is_relative_to("/dev") else ()),  # such as /dev/shm
        *("--ro-bind", "/proc", "/proc"),
        *(word for path in writable for word in ("--bind", path, path)),
        *(
            word
            for path in hidden
            for word in (("--tmpfs", path) if path.is_dir() else ("--ro-bind", "/dev/null", path))
        ),
        *("--chdir", folder),
    ]
    return [shutil.which("bwrap") or "bwrap", *map(str, options), "--", *words]


def command(enclosure: Enclosure) -> list[str]:
    """Return the command that runs a worker inside; trees that are not there are left out."""
    python = Path(enclosure.words[0])
    bound = [word for path in (*enclosure.read, *enclosure.run) for word in ("--ro-bind-try", path, path)]
    link = ["--symlink", python.resolve(), python] if python.is_symlink() else []
    options = [
        "--die-with-parent",
        *(option for option in _probed()[1] if not (enclosure.network and option == "--unshare-net")),
        *(["--share-net"] if enclosure.network else []),
        *("--dev", "/dev"),  # first: a temporary folder may lie in /dev/shm
        *bound,
        *link,
        *_short_names(enclosure.run),
        *("--bind", enclosure.scratch, enclosure.scratch),
        *("--remount-ro", "/dev"),
        *("--remount-ro", "/"),
        *("--chdir", enclosure.scratch),
    ]
    return [shutil.which("bwrap") or "bwrap", *map(str, options), *enclosure.words]


def _short_names(programs: Iterable[Path]) -> list[str]:
    """Return the options that let `/usr/bin/sh` be `/bin/sh` too, where one folder is a link to the other.

    Scripts, and programs that start a shell, call it by its short name.
    """
    folder = Path("/bin")
    parents = {program.parent for program in programs}
    here = folder.is_symlink() and folder.resolve() in parents and folder not in parents
    return ["--symlink", str(folder.readlink()), str(folder)] if here else []
