"""Paths as people type and read them: normalised as input, shortened in output."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

_BEFORE = r"(?<![^\s`'\"(])"  # a path in a sentence begins a word; a part of a URL or of another path does not


class TypedPath(click.Path):
    """A typed path without detours: ``a/../b`` is ``b`` unless ``a`` is a link to another place."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises click.BadParameter if it fails the checks."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        plain = Path(os.path.normpath(path))
        return plain if plain == path or os.path.realpath(plain) == os.path.realpath(path) else path


class SkillPath(TypedPath):
    """The folder of a skill, or the SKILL.md in it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder."""
        from skillpm.layout.discovery import skill_folder

        return skill_folder(super().convert(value, param, ctx))


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
