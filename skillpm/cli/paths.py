"""Paths as people type and read them: the one place that makes them plain on the way in and short on the way out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

_BEFORE = r"(?<![^\s`'\"(])"  # a path in a sentence begins a word: no part of a URL or of another path is one


class TypedPath(click.Path):
    """A path that was typed, without the detours: ``a/../b`` is ``b`` unless ``a`` leads elsewhere."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises click.BadParameter where it is not what was asked for."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        plain = Path(os.path.normpath(path))
        return plain if plain == path or os.path.realpath(plain) == os.path.realpath(path) else path


def shortened(text: str) -> str:
    """Return a message with each absolute path below the working directory as one would type it there.

    In a command of ours a path without a slash would be the name of a skill, so it begins with ``./`` there.
    """
    try:
        here = os.getcwd().rstrip("/")  # noqa: PTH109  a string, and no Path, is looked for
    except OSError:  # the working directory has gone
        return text
    if not here:
        return text

    def typed(found: re.Match[str]) -> str:
        before, ticks, words = text[: found.start()].rpartition("`")
        in_command = ticks and before.count("`") % 2 == 0 and words.startswith("skillpm ")
        return f"./{found[1]}" if in_command and "/" not in found[1] else found[1]

    return re.sub(rf"{_BEFORE}{re.escape(here)}/+([^\s/`'\"][^\s`'\"]*)", typed, text)
