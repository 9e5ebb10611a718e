"""Paths as people type and read them: normalised as input, shortened in output."""

from __future__ import annotations

import contextlib
import os
import re
import select
from pathlib import Path
from typing import Any

import click

from skillpm.errors import UsageError
from skillpm.formats.unending import unending

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SOON = 1000  # milliseconds
_BEFORE = r"(?<![^\s`'\"(])"  # a path in a sentence begins a word; a part of a URL or of another path does not


class TypedPath(click.Path):
    """A typed path without detours: ``a/../b`` is ``b`` unless ``a`` is a link to another place."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises click.BadParameter if it fails the checks, is empty or is a URL."""
        text = os.fsdecode(value)
        is_document = self.exists and self.file_okay
        if is_document and text == "-":
            value = text = "/dev/stdin"
        if not text or _URL.match(text):
            self.fail(f"`{text[:200]}` is a URL, not a path" if text else "the path is empty", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if is_document:
            self._check_document(path, param, ctx)
        plain = Path(os.path.normpath(path))
        return plain if plain == path or os.path.realpath(plain) == os.path.realpath(path) else path

    def _check_document(self, path: Path, param: click.Parameter | None, ctx: click.Context | None) -> None:
        """Refuse what may never end, and say what a command waits for that reads a pipe."""
        kind = unending(path)
        if kind is not None:
            self.fail(f"{path} is {kind}, not a file; name a file, or pipe the document into `-`", param, ctx)
        if path.is_fifo():
            say_what_is_awaited(path)


class SkillPath(TypedPath):
    """The folder of a skill, or the SKILL.md in it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder."""
        from skillpm.layout.discovery import skill_folder

        return skill_folder(super().convert(value, param, ctx))


class Stream(click.File):
    """A file that is read while it is written; by default stdin."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the open file. Raises click.BadParameter if it cannot be opened, or might never end."""
        kind = None if value == "-" else unending(Path(os.fsdecode(value)))
        if kind is not None:
            self.fail(f"{os.fsdecode(value)} is {kind}, not a file; stdin takes what a program writes", param, ctx)
        return super().convert(value, param, ctx)


def say_what_is_awaited(path: Path) -> None:
    """Say that a pipe is read whose writer is slow: the command would seem to hang."""
    from skillpm.cli.output import note

    with contextlib.suppress(OSError), path.open("rb") as pipe:  # whoever reads it says why it cannot
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        if not poll.poll(_SOON):
            note(f"waiting for what is written into {path}; Ctrl-C ends it")


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
