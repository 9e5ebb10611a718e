"""A level of confinement for skillpm: network and processes kept apart by util-linux, as ``plugin:unshare``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from skillpm.plugin import hookimpl

if TYPE_CHECKING:
    from skillpm.plugin import Enclosure, SandboxLevel

# Source: unshare(1). --kill-child ends the first process of the new PID namespace with unshare, and all others with it.
_NAMESPACES = ("--map-current-user", "--pid", "--fork", "--kill-child", "--ipc", "--uts")
_SECONDS = 10.0  # for the probe


@hookimpl
def skillpm_sandboxes() -> Iterable[SandboxLevel]:
    """Return the level; it is not strong, since files stay as open as they are to the person."""
    from skillpm.plugin import SandboxLevel

    return [SandboxLevel("unshare", probe, command, gaps=("reading and writing any file that you may read and write",))]


def probe() -> str:
    """Return the version of an ``unshare`` that may make namespaces here; empty where it may not."""
    program = shutil.which("unshare")
    if program is None:
        return ""
    words = [program, *_NAMESPACES, "--net", program, "--version"]
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.rpartition(" ")[2].strip() if done.returncode == 0 else ""


def command(enclosure: Enclosure) -> Sequence[str]:
    """Return the command that starts a worker inside."""
    network = () if enclosure.network else ("--net",)
    return [shutil.which("unshare") or "unshare", *_NAMESPACES, *network, "--", *enclosure.words]
