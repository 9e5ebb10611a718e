"""Reads ``.gitmodules``: each submodule that holds skills becomes a requirement at the commit that is recorded.

Source: gitmodules(5). The file comes with anybody's repository, so an address has one plain form or is left out, and
git is only asked for the recorded commit of a path, which runs nothing of the repository.
"""

from __future__ import annotations

import configparser
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from skillpm.plugin import DocumentError, Imported, Skipped

_ADDRESS = re.compile(r"https://[a-z0-9][a-z0-9.-]{0,252}(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]{0,99}){1,8}/?\Z")
_PATH = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]{0,199}\Z")
_SECONDS = 10.0  # for git


def read(text: str, path: Path) -> Iterator[Imported | Skipped]:
    """Yield what of each submodule can be required. Raises DocumentError where the file is not git's."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise DocumentError("is not a .gitmodules file", path=str(path)) from error
    for section in parser.sections():
        place, address = parser.get(section, "path", fallback=""), parser.get(section, "url", fallback="")
        name = place.rstrip("/").rpartition("/")[2]
        if not _PATH.match(place) or ".." in place.split("/"):
            yield Skipped(section[:200], "its path is not a plain path inside the repository")
        elif not _ADDRESS.match(address) or "/.." in address:
            yield Skipped(name, "its url is not a plain https address")
        else:
            yield from _skills(name, f"git+{address}", path.parent, place)


def _skills(name: str, source: str, repository: Path, place: str) -> Iterator[Imported | Skipped]:
    """Yield each skill of a submodule that is checked out, else the submodule as a whole."""
    commit = _commit(repository, place)
    pinned = f"{source}@{commit}" if commit else source
    folder = repository / place
    if (folder / "SKILL.md").is_file() or not any(folder.glob("*")):
        yield Imported(name, pinned, pinned=bool(commit))
        return
    skills = sorted(file.parent.relative_to(folder).as_posix() for file in folder.glob("*/**/SKILL.md"))
    for inner in filter(_PATH.match, skills):
        yield Imported(inner.rpartition("/")[2], f"{pinned}#subdirectory={inner}", pinned=bool(commit))
    if not skills:
        yield Skipped(name, "it holds no SKILL.md")


def _commit(repository: Path, place: str) -> str:
    """Return the commit that the repository records for a submodule; empty where git cannot say."""
    # a repository's own configuration may name a program as its fsmonitor
    words = ["git", "-C", str(repository), "-c", "core.fsmonitor=false", "ls-files", "--stage", "--", place]
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.match(r"160000 ([0-9a-f]{40}(?:[0-9a-f]{24})?) 0\t", done.stdout)
    return match[1] if match else ""
