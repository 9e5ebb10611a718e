"""``skillpm agents``: which agents are used here, what they find, and how much of it their models get to see."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.clients.agent import Agent, Overflow
from skillpm.clients.budget import Entry, FittedList, fit_list
from skillpm.clients.folders import detected, entries_in
from skillpm.clients.table import AGENTS
from skillpm.ops.context import Context
from skillpm.settings import Settings
from skillpm.storage.record import Record, read_record

REMEDY = "install fewer, shorten the longest descriptions, or train the skills into a model with `skillpm train`"


@dataclass(frozen=True, slots=True)
class AgentState:
    """One agent, as it is here.

    Attributes:
        detected: was a sign of it found in the project, in the home folder or in the environment?
        folder: where it looks for skills, or None where it has no folder of that kind.
        filled: do installs fill that folder?
        shared: other agents that look in the same folder.
        installed: skills that skillpm put there.
        others: skills that somebody else put into one of the folders that it reads.
        catalog: how what it finds fits its budget; None where its budget is not known.
    """

    agent: Agent
    detected: bool
    folder: str | None
    filled: bool
    shared: tuple[str, ...]
    installed: tuple[str, ...]
    others: tuple[str, ...]
    catalog: FittedList | None

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        found = self.catalog
        return {
            "name": self.agent.name,
            "title": self.agent.title,
            "detected": self.detected,
            "folder": self.folder,
            "project_folder": self.agent.project,
            "user_folder": self.agent.user,
            "also_reads": self.agent.also,
            "shared_with": self.shared,
            "filled": self.filled,
            "installed": self.installed,
            "others": self.others,
            "budget": None
            if found is None
            else {
                "limit": found.limit,
                "used": found.used,
                "skills": found.skills,
                "fits": found.fits,
                "overflow": found.overflow,
                "affected": found.affected,
                "dropped": found.dropped,
                "description_length": found.length,
                "remedy": None if found.fits else REMEDY,
            },
        }


def list_agents(
    context: Context, *, user: bool = False, everyone: bool = False, window: int | None = None
) -> list[AgentState]:
    """Return the agents that are used here or whose folders are filled, by name.

    Args:
        context: the world.
        user: look at the home folder's own skills instead of a project's.
        everyone: return the whole table.
        window: tokens of the model's context; each agent's usual one where None.

    Raises:
        DocumentError: the record of the project is damaged.
        StorageError: it cannot be read.
    """
    settings, record = context.settings, read_record(context.settings.project)
    here = {agent.name for agent in detected(settings.project)}
    return [
        _state(settings, record, agent, found=agent.name in here, user=user, window=window)
        for agent in AGENTS.values()
        if everyone or agent.name in here or _own_folder(agent, user=user) in record.agents
    ]


def _own_folder(agent: Agent, *, user: bool) -> str | None:
    """Return an agent's folder where no other agent is known to look, else None."""
    folder = agent.folder(user=user)
    return None if _sharers(agent, user=user) else folder


def _sharers(agent: Agent, *, user: bool) -> tuple[str, ...]:
    folder = agent.folder(user=user)
    return tuple(
        other.name for other in AGENTS.values() if other is not agent and folder and other.folder(user=user) == folder
    )


def _state(
    settings: Settings, record: Record, agent: Agent, *, found: bool, user: bool, window: int | None
) -> AgentState:
    entries = _entries(settings, agent, user=user)
    ours = {str(settings.project / placement.folder) for placement in record.placements}
    folder = agent.folder(user=user)
    installed = [item.skill for item in record.placements if item.folder.rpartition("/")[0] == folder]
    return AgentState(
        agent=agent,
        detected=found,
        folder=folder,
        filled=folder in record.agents,
        shared=_sharers(agent, user=user),
        installed=tuple(sorted(installed)),
        others=tuple(sorted({entry.name for entry in entries if entry.location not in ours})),
        catalog=fit_list(entries, agent.budget, window) if agent.budget else None,
    )


def _entries(settings: Settings, agent: Agent, *, user: bool) -> list[Entry]:
    """Return what an agent lists: the home folder's skills and, unless they are asked for alone, the project's."""
    found = [] if agent.user is None else list(entries_in(Path.home(), agent.user, settings.store))
    for folder in () if user else agent.reads(user=False):
        found += entries_in(settings.project, folder, settings.store)
    return found


def overflow_sentence(agent: Agent, found: FittedList) -> str:
    """Say in one sentence what an agent's model does not get to see."""
    takes = f"{agent.title}: the list of {found.skills} skills takes {found.used:,} of {found.limit:,} characters"
    if found.overflow is Overflow.FORGET:
        count = f"{found.affected} description{'s' if found.affected > 1 else ''}"
        return f"{takes}; at least {count} will be left out, those of the skills that are used least"
    if found.dropped:
        shown = ", ".join(found.dropped[:3]) + (", …" if len(found.dropped) > 3 else "")
        some = f"{len(found.dropped)} skill{'s' if len(found.dropped) > 1 else ''} will not be seen at all: {shown}"
        return f"{takes}; {'no description is shown and ' if found.length == 0 else ''}{some}"
    return f"{takes}; {found.affected} descriptions will be cut to {found.length} characters"


def crossed_budgets(settings: Settings, folders: Set[str], added: Iterable[str]) -> list[str]:
    """Return a warning for each agent in use whose budget these skills have just crossed.

    Args:
        settings: the project, as it is after the install.
        folders: the agents' folders that were filled.
        added: folders of skills that were put there now, such as ``.agents/skills/demo``.
    """
    user = settings.project.resolve() == Path.home().resolve()
    fresh = {str(settings.project / folder) for folder in added}
    warnings = []
    for agent in detected(settings.project) if fresh else ():
        if agent.budget is None or folders.isdisjoint(agent.reads(user=user)):
            continue
        entries = _entries(settings, agent, user=user)
        after = fit_list(entries, agent.budget)
        if after.fits or not fit_list([entry for entry in entries if entry.location not in fresh], agent.budget).fits:
            continue
        warnings.append(f"{overflow_sentence(agent, after)}; {REMEDY}")
    return warnings
