"""The process in which a foreign program is asked: it confines itself for good, and becomes the program.

It may read and execute what it is shown, write into its scratch folder, and open no connection.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
from pathlib import Path
from typing import Any

from skillpm.sandbox import landlock, privileges, seccomp
from skillpm.sandbox.limits import Limits


def main(text: str) -> None:
    """Become the program that a JSON object names: ``words, read, scratch, landlock``."""
    order: dict[str, Any] = json.loads(text)
    limits = Limits()
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, 60),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
    privileges.drop()
    if order["landlock"]:
        trees = [Path(path) for path in order["read"]]
        grants = landlock.Grants(trees, [Path(order["scratch"])], trees, network=False)
        landlock.restrict(grants, order["landlock"])
    if seccomp.available():
        seccomp.restrict(network=False, processes=True)
    os.execv(order["words"][0], order["words"])  # noqa: S606 - that is what it is for
