"""Paths as people type and read them: normalised as input, shortened in output."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import click

from skillpm.errors import UsageError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BEFORE = r"(?<![^\s`'\"(])"  # a path in a sentence begins a word; a part of a URL or of another path does not


class TypedPath(click.Path):
    """A typed path without detours: ``a/../b`` is ``b`` unless ``a`` is a link to another place."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises click.BadParameter if it fails the checks, is empty or is a URL."""
        text = os.fsdecode(value)
        if not text or _URL.match(text):
            self.fail(f"`{text[:200]}` is a URL, not a path" if text else "the path is empty", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self.exists and self.file_okay:
            self._check_kind(path, param, ctx)
        plain = Path(os.path.normpath(path))
        return plain if plain == path or os.path.realpath(plain) == os.path.realpath(path) else path

    def _check_kind(self, path: Path, param: click.Parameter | None, ctx: click.Context | None) -> None:
        """Refuse a device that never ends, and say what a named pipe waits for; `<(command)` has its writer."""
        from skillpm.cli.output import note

        mode, real = path.stat().st_mode, os.path.realpath(path)
        is_device = stat.S_ISBLK(mode) or stat.S_ISCHR(mode)
        if is_device and not real.startswith((os.devnull, "/dev/tty", "/dev/pts/", "/dev/console")):
            self.fail(f"{path} is a device, not a file", param, ctx)
        if stat.S_ISFIFO(mode) and not real.startswith("/proc/"):
            note(f"{path} is a pipe: waiting for a program that writes into it")


class SkillPath(TypedPath):
    """The folder of a skill, or the SKILL.md in it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder."""
        from skillpm.layout.discovery import skill_folder

        return skill_folder(super().convert(value, param, ctx))


def output_file(path: Path) -> Path:
    """Return the path of a file that a command writes, and that it may replace.

    Raises:
        UsageError: it is a folder, or a document of the project.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if path.name in ("skillpm.lock", "skillpm.yaml"):
        raise UsageError(f"{path} is a document of a project", hint="name another file")
    return path


def shortened(text: str) -> str:
    """Return a message with each absolute path below the working directory made relative.

    In a `skillpm` command, a path without a slash would be the name of a skill, so it gets ``./`` in front.
    """
    try:
        here = os.getcwd().rstrip("/")  # noqa: PTH109  the search needs a string
    except OSError:  # the working directory has gone
        return text
    if not here:
        return text

    def typed(match: re.Match[str]) -> str:
        before, ticks, words = text[: match.start()].rpartition("`")
        in_command = ticks and before.count("`") % 2 == 0 and words.startswith("skillpm ")
        return f"./{match[1]}" if in_command and "/" not in match[1] else match[1]

    return re.sub(rf"{_BEFORE}{re.escape(here)}/+([^\s/`'\"][^\s`'\"]*)", typed, text)
