"""Where are the skills below a folder? Bounded, as the guide for clients asks, and never through a link.

Source: Agent Skills, guide for clients: skip ``.git`` and ``node_modules``, bound the depth and the number of folders.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from skillpm.formats.listed import listed
from skillpm.layout.tree import LEFT_OUT_FOLDERS

MAX_DEPTH = 6  # levels below the folder that was asked for
MAX_FOLDERS = 2000  # that hold no skill themselves; a folder of skills may be larger
_NAMED = 10  # folders in one message
_MAX_LINKS = 200  # that are looked at
_SKIPPED = LEFT_OUT_FOLDERS | {"node_modules"}


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found below a folder.

    Attributes:
        skills: the folders of skills, sorted.
        complete: was every folder looked at? There may be too many.
        links: links to folders with skills, which are not followed.
        deep: folders of skills that are deeper than ``MAX_DEPTH``, as far as they were looked for.
    """

    skills: tuple[Path, ...]
    complete: bool
    links: tuple[Path, ...] = ()
    deep: tuple[Path, ...] = ()

    @property
    def at_any_depth(self) -> tuple[Path, ...]:
        """The folders of all skills."""
        return (*self.skills, *self.deep)


def skill_folder(path: Path) -> Path:
    """Return the folder of a skill of which someone may have named the SKILL.md."""
    return path.parent if path.name in ("SKILL.md", "skill.md") and path.is_file() else path


def discover(root: Path) -> Discovery:
    """Return the folders with a SKILL.md: ``root`` itself, else all below it; a skill's own folders are not entered."""
    skills: list[Path] = []
    deep: list[Path] = []
    links: list[Path] = []
    level, depth, looked = [root], 0, 0
    while level and looked <= MAX_FOLDERS:
        below: list[Path] = []
        for folder in level:
            names, folders, linked = _listing(folder)
            if not {"SKILL.md", "skill.md"}.isdisjoint(names):
                (deep if depth > MAX_DEPTH else skills).append(folder)
                continue
            looked += 1
            if looked > MAX_FOLDERS:
                break
            below += [folder / name for name in folders]
            links += [folder / name for name in linked]
        level, depth = below, depth + 1
    complete = looked <= MAX_FOLDERS or depth > MAX_DEPTH + 1
    leading = filter(_leads_to_skills, sorted(links)[:_MAX_LINKS] if complete else ())
    return Discovery(tuple(sorted(skills)), complete, tuple(leading), tuple(sorted(deep)))


def skill_folders(paths: Iterable[str]) -> list[str]:
    """Return, for the posix paths of a tree's files, what ``discover`` finds in a folder: "" for the tree itself."""
    return [folder for folder in _folders_of(paths) if folder.count("/") < MAX_DEPTH]


def deep_folders(paths: Iterable[str]) -> list[str]:
    """Return the folders of skills that are deeper than ``MAX_DEPTH``."""
    return [folder for folder in _folders_of(paths) if folder.count("/") >= MAX_DEPTH]


def too_deep(folders: Sequence[str]) -> list[str]:
    """Return a sentence about folders of skills that are deeper than ``MAX_DEPTH``, if there is one."""
    if not folders:
        return []
    named, verb = listed([f"`{folder}`" for folder in folders], _NAMED), "is" if len(folders) == 1 else "are"
    return [f"{named} {verb} more than {MAX_DEPTH} folders deep, too deep for a search; name a folder nearer to it"]


def _folders_of(paths: Iterable[str]) -> list[str]:
    parts = (path.rpartition("/") for path in paths)
    skills: set[str] = set()
    for folder in sorted({folder for folder, _, name in parts if name in ("SKILL.md", "skill.md")}):
        steps = folder.split("/") if folder else []
        above = {"/".join(steps[:count]) for count in range(len(steps))}
        if _SKIPPED.isdisjoint(steps) and skills.isdisjoint(above):
            skills.add(folder)
    return sorted(skills)


def plugin_of(folder: str, exists: Callable[[str], bool]) -> str:
    """Return the plugin of a skill's folder (posix, relative to the repository), or an empty text.

    A plugin is a folder of ``plugins/`` (or ``…plugins/``), one with ``.claude-plugin/plugin.json``, or, in a
    repository with ``.claude-plugin/marketplace.json``, one with ``skills/``. Source: the plugins of Claude Code.
    """
    steps = folder.split("/")
    market = exists(".claude-plugin/marketplace.json")
    for place in range(len(steps) - 2, -1, -1):
        above = "/".join(steps[: place + 1])
        inside = place > 0 and steps[place - 1].endswith("plugins")
        if inside or exists(f"{above}/.claude-plugin/plugin.json") or (market and steps[place + 1] == "skills"):
            return steps[place]
    return ""


def _listing(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Return (all names, names of the folders to enter, names of links), empty if the folder cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            seen = [(entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink()) for entry in entries]
    except OSError:
        return [], [], []
    folders = sorted(name for name, is_folder, _ in seen if is_folder and name not in _SKIPPED)
    return [name for name, _, _ in seen], folders, [name for name, _, is_link in seen if is_link]


def _leads_to_skills(link: Path) -> bool:
    with suppress(OSError), os.scandir(link) as entries:
        inside = islice(entries, MAX_FOLDERS)
        return any(entry.name == "SKILL.md" or os.access(f"{entry.path}/SKILL.md", os.F_OK) for entry in inside)
    return False
