"""The agents that are used here, and the folders that an install fills.

An install fills ``.agents/skills``, which most agents read, and the folders of named agents; ``all`` names those that
are detected here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from skillpm.clients.agent import Agent
from skillpm.clients.budget import Entry
from skillpm.clients.table import AGENTS, UNIVERSAL
from skillpm.errors import UsageError
from skillpm.layout.frontmatter import name_and_description
from skillpm.model.name import did_you_mean


def agent_folders(agents: Sequence[str], *, user: bool = False, project: Path | None = None) -> tuple[str, ...]:
    """Return the folders of these agents, each once, after the universal one; ``all`` means those detected here.

    ``all`` looks for signs in ``project``, by default the working directory.

    Raises:
        UsageError: an agent is not known (the hint has similar names), or it has no folder for users.
    """
    folders = [UNIVERSAL]
    for name in agents:
        for agent in detected(project or Path.cwd()) if name == "all" else [_known(name)]:
            folder = agent.folder(user=user)
            if folder is not None:
                folders.append(folder)
            elif name != "all":
                raise UsageError(
                    f"{agent.title} reads skills from projects only", hint="remove `--user` and install into a project"
                )
    return tuple(dict.fromkeys(folders))


def named_agents(agents: Sequence[str], *, project: Path) -> tuple[str, ...]:
    """Return the names of these agents, each once; ``all`` means those detected here."""
    names = (([agent.name for agent in detected(project)] if name == "all" else [name]) for name in agents)
    return tuple(dict.fromkeys(name for group in names for name in group))


def _known(name: str) -> Agent:
    if name in AGENTS:
        return AGENTS[name]
    hint = did_you_mean(name, [*AGENTS, "all"], "see `skillpm agents --all`")
    raise UsageError(f"there is no agent `{name[:80]}`", hint=hint)


def is_agent_folder(folder: str) -> bool:
    """Does an agent read skills from this folder of a project or of a home folder?"""
    return any(folder in (agent.project, agent.user) for agent in AGENTS.values())


def detected(project: Path) -> list[Agent]:
    """Return the agents with a sign in a project, in the home folder or in the environment."""
    return [agent for agent in AGENTS.values() if any(_exists(sign, project) for sign in agent.signs)]


def unfilled(project: Path, folders: Set[str], *, user: bool = False) -> list[Agent]:
    """Return the agents detected here that read none of these folders."""
    return [
        agent
        for agent in detected(project)
        if agent.folder(user=user) is not None and folders.isdisjoint(agent.reads(user=user))
    ]


def _exists(sign: str, project: Path) -> bool:
    if sign.startswith("$"):
        value = os.environ.get(sign[1:], "").strip()
        return bool(value) and os.path.lexists(value)
    if sign.startswith("~/.config/"):
        configuration = os.environ.get("XDG_CONFIG_HOME", "").strip()
        if configuration:
            return os.path.lexists(f"{configuration}{sign.removeprefix('~/.config')}")
    # os.path: for two hundred checks, pathlib takes longer than the disk
    return os.path.lexists(os.path.expanduser(sign) if sign.startswith("~") else f"{project}/{sign}")  # noqa: PTH111


_HEAD = 1 << 17  # bytes of a SKILL.md to read for its frontmatter


def entries_in(root: Path, folder: str, store: Path) -> Iterator[Entry]:
    """Yield the skills that an agent lists from one of its folders; it skips unreadable ones, as agents do.

    The folder is relative to ``root``, a project or a home folder. A link may lead into the store.
    """
    inside = (root.resolve(), store.resolve())
    try:
        with os.scandir(root / folder) as items:
            names = sorted(item.name for item in items if not item.name.startswith("."))
    except OSError:
        return
    for name in names:
        listed = _listed(root / folder / name, inside)
        if listed is not None:
            yield Entry(listed[0] or name, listed[1], str(root / folder / name))


def _listed(folder: Path, inside: tuple[Path, ...]) -> tuple[str, str] | None:
    for name in ("SKILL.md", "skill.md"):
        try:
            path = (folder / name).resolve()
            if path.is_file() and any(path.is_relative_to(place) for place in inside):
                with path.open("rb") as file:
                    return name_and_description(file.read(_HEAD).decode("utf-8", errors="replace"))
        except (OSError, RuntimeError):  # a link that leads to itself
            return None
    return None
