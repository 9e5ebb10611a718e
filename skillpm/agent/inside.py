"""Confines a process and becomes a tool. Started by ``execution.py`` as a process of its own, with few imports.

What fails before the tool begins is written to a pipe that the tool does not inherit. So the host can tell a tool that
exits with a code from a tool that never began.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from skillpm.sandbox import landlock, privileges, seccomp
from skillpm.sandbox.parent import end_with_parent

BEGAN = b"+"  # what the pipe says as the tool begins; a reason follows where it cannot


def main(text: str) -> None:
    """Confine this process as a JSON document says, and replace it by the tool; never returns."""
    wanted = json.loads(text)
    status = wanted["status"]
    os.set_inheritable(status, False)
    try:
        _confine(wanted)
        os.write(status, BEGAN)
        os.execve(wanted["program"], wanted["argv"], dict(os.environ))  # noqa: S606
    except OSError as error:
        os.write(status, f"{error.strerror or error}".encode()[:1000])
        os._exit(125)


def _confine(wanted: dict[str, object]) -> None:
    if wanted["host"]:
        end_with_parent()
    limits = wanted["limits"]
    assert isinstance(limits, dict)
    for name, most in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))
    if sys.platform != "linux":
        return
    privileges.drop()
    if wanted["landlock"]:
        grants = landlock.Grants(
            read=[Path("/")],
            write=[Path(path) for path in _texts(wanted["writable"])],
            execute=[Path(path) for path in _texts(wanted["executable"])],
            devices=(*landlock.DEVICES, Path("/dev/full")),
            network=bool(wanted["network"]),
            hidden=[Path(path) for path in _texts(wanted["hidden"])],
        )
        landlock.restrict(grants, int(str(wanted["landlock"])))
    if seccomp.available():
        seccomp.forbid(network=bool(wanted["network"]))


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return value
