"""Which agents' folders an install fills, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from skillpm.clients.folders import agent_folders
from skillpm.errors import UsageError
from skillpm.settings import Settings
from skillpm.settings.table import AGENTS
from skillpm.storage.record import LinkKind, Placement, Record


@dataclass(frozen=True, slots=True)
class Linking:
    """The agents' folders to fill, relative to the project, the way to fill them, and the agents that were named."""

    folders: tuple[str, ...]
    link: LinkKind
    named: tuple[str, ...] = ()


def linking(
    settings: Settings, record: Record, folders: Iterable[str], link: LinkKind | None, *, adding: bool = False
) -> Linking:
    """Return the folders to fill: those of this command, of the settings and of earlier installs.

    If a project file lists agents, only their folders are filled, unless the command is ``adding`` agents to the list.

    Raises:
        UsageError: an agent in the settings is not known, or the project does not list an agent of this command.
    """
    declared = settings.document is not None and settings.document.agents is not None
    configured: tuple[str, ...] = ()
    if settings.agents or declared:
        with settings.setting(AGENTS).origin.blamed():
            configured = agent_folders(settings.agents, user=settings.user, project=settings.root)
    preferred = link or settings.link or record.link
    kind: LinkKind = "symlink" if preferred == "symlink" else "copy"
    if not declared:
        return Linking(tuple(dict.fromkeys((*folders, *configured, *record.agents))), kind)
    if adding:
        return Linking(tuple(dict.fromkeys((*configured, *folders))), kind)
    for folder in folders:
        if folder not in configured:
            raise UsageError(
                f"skillpm.yaml lists the agents of this project, but none of them reads {folder}",
                hint="add the agent to `agents` in skillpm.yaml, then run `skillpm sync`",
            )
    return Linking(configured, kind)


def refused_links(to: Linking, placed: Iterable[Placement]) -> list[str]:
    """Return a sentence if the system refused links that were requested."""
    copies = [item for item in placed if item.link != to.link] if to.link == "symlink" else []
    return [f"this system refuses symbolic links, so {len(copies)} of the skills' folders are copies"] if copies else []
