"""Which agents are used here, and which folders of theirs an install fills.

Only two kinds of agents are ever touched: those that were named, and, with ``all``, those whose signs are found here.
Beside them every install fills ``.agents/skills``, which most agents read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.model.agent import Agent
from skillpm.model.agents import AGENTS, UNIVERSAL
from skillpm.model.name import near_names

__all__ = ["UNIVERSAL", "agent_folders", "detected", "is_agent_folder", "unfilled"]


def agent_folders(agents: Sequence[str], *, user: bool = False, project: Path | None = None) -> tuple[str, ...]:
    """Return the folders of these agents, the universal one first, each once; ``all`` means those detected here.

    Args:
        agents: names of the table, or ``all``.
        user: their folders in the home folder, instead of a project.
        project: where ``all`` looks for signs; the working directory where None.

    Raises:
        UsageError: an agent is not known; the hint has near names. Or it has no folder of its own for users.
    """
    folders = [UNIVERSAL]
    for name in agents:
        for agent in detected(project or Path.cwd()) if name == "all" else [_known(name)]:
            folder = agent.folder(user=user)
            if folder is not None:
                folders.append(folder)
            elif name != "all":
                raise UsageError(
                    f"{agent.title} looks for skills in projects only",
                    hint="install into a project, without `--user`",
                )
    return tuple(dict.fromkeys(folders))


def _known(name: str) -> Agent:
    if name in AGENTS:
        return AGENTS[name]
    near = near_names(name, [*AGENTS, "all"])
    raise UsageError(
        f"no agent `{name[:80]}` is known",
        hint=f"did you mean {' or '.join(f'`{item}`' for item in near)}?" if near else "see `skillpm agents --all`",
    )


def is_agent_folder(folder: str) -> bool:
    """Is this, relative to a project or to a home folder, where some agent looks for skills?"""
    return any(folder in (agent.project, agent.user) for agent in AGENTS.values())


def detected(project: Path) -> list[Agent]:
    """Return the agents of which a sign is found in a project, in the home folder or in the environment."""
    return [agent for agent in AGENTS.values() if any(_found(sign, project) for sign in agent.signs)]


def unfilled(project: Path, folders: Set[str], *, user: bool = False) -> list[Agent]:
    """Return the agents detected here that read none of these folders."""
    return [
        agent
        for agent in detected(project)
        if agent.folder(user=user) is not None and folders.isdisjoint(agent.reads(user=user))
    ]


def _found(sign: str, project: Path) -> bool:
    if sign.startswith("$"):
        value = os.environ.get(sign[1:], "").strip()
        return bool(value) and os.path.lexists(value)
    if sign.startswith("~/.config/"):
        configuration = os.environ.get("XDG_CONFIG_HOME", "").strip()
        if configuration:
            return os.path.lexists(f"{configuration}{sign.removeprefix('~/.config')}")
    # os.path: some two hundred looks, where pathlib would take longer than the disk
    return os.path.lexists(os.path.expanduser(sign) if sign.startswith("~") else f"{project}/{sign}")  # noqa: PTH111
