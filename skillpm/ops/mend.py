"""``skillpm validate --fix``: mends SKILL.md files in place, or tells what it would do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.errors import StorageError
from skillpm.layout.description import MAX_SKILL_TEXT, skill_file
from skillpm.layout.mend import mend
from skillpm.layout.tree import FolderTree
from skillpm.ops.validate import skill_folders
from skillpm.storage.files import storage_error, write_atomic

__all__ = ["Mending", "mend_skills"]


@dataclass(frozen=True, slots=True)
class Mending:
    """What was mended in one file: the rules that it broke, and the change as a unified diff."""

    path: str
    codes: tuple[str, ...]
    diff: str

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {"path": self.path, "codes": list(self.codes), "diff": self.diff}


def mend_skills(paths: Sequence[Path], *, dry_run: bool = False) -> list[Mending]:
    """Mend the SKILL.md of every skill that ``validate`` would check; what it cannot read is left to the check.

    Raises:
        StorageError: a file cannot be written; it is as it was, those before it are mended.
    """
    return [done for path in paths for folder in skill_folders(path) for done in _mended(folder, dry_run)]


def _mended(folder: Path, dry_run: bool) -> Iterator[Mending]:
    tree = FolderTree(folder)
    name = skill_file(tree.paths())
    if name is None:
        return
    try:
        data = tree.head(name, MAX_SKILL_TEXT + 1)
        text = data.decode("utf-8")
    except (StorageError, UnicodeDecodeError):
        return
    if len(data) > MAX_SKILL_TEXT:
        return
    mended = mend(text, folder.resolve().name)
    if mended.text == text:
        return
    path = folder / name
    if not dry_run:
        _write(path, mended.text)
    yield Mending(str(path), mended.codes, _diff(str(path), text, mended.text))


def _write(path: Path, text: str) -> None:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise storage_error("read", path, error) from None
    write_atomic(path, text, mode=mode)


def _diff(path: str, before: str, after: str) -> str:
    """Return a unified diff whose lines keep their carriage returns."""
    return "\n".join(difflib.unified_diff(before.split("\n"), after.split("\n"), path, path, lineterm="", n=2))
