"""``skillpm agents``: the agents used here, the skills that they find, and what their models see of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillpm.clients.agent import Agent, Overflow
from skillpm.clients.budget import Entry, FittedList, fit_list
from skillpm.clients.folders import detected, entries_in
from skillpm.clients.table import AGENTS
from skillpm.formats.as_json import as_json
from skillpm.ops.context import Context
from skillpm.settings import Settings
from skillpm.storage.record import Record, read_record

REMEDY = "install fewer, shorten the longest descriptions, or train the skills into a model with `skillpm train`"


@dataclass(frozen=True, slots=True)
class AgentState:
    """One agent in this project or home folder.

    Attributes:
        detected: does the project, the home folder or the environment have a sign of it?
        folder: its folder for skills, or None.
        filled: do installs fill that folder?
        shared: other agents with the same folder.
        installed: skills that skillpm put there.
        others: foreign skills in the folders that it reads.
        catalog: how its skills fit its budget; None if the budget is not known.
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
        catalog = self.catalog
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
            "budget": catalog
            and as_json(catalog, description_length=catalog.length, remedy=None if catalog.fits else REMEDY),
        }


def list_agents(context: Context, *, everyone: bool = False, window: int | None = None) -> list[AgentState]:
    """Return the detected and the named agents, and those whose own folders are filled, by name.

    ``everyone`` returns the whole table. ``window`` has the tokens of the model's context; None means each agent's
    usual one.

    Raises:
        DocumentError: the record of the project is damaged.
        StorageError: it cannot be read.
    """
    settings, record = context.settings, read_record(context.settings.project)
    user = settings.user
    here, named = {agent.name for agent in detected(settings.root)}, {*record.named, *settings.agents}
    return [
        _state(settings, record, agent, is_here=agent.name in here, window=window)
        for agent in AGENTS.values()
        if everyone
        or agent.name in here | named
        or (agent.folder(user=user) in record.agents and not _sharers(agent, user=user))
    ]


def _sharers(agent: Agent, *, user: bool) -> tuple[str, ...]:
    folder = agent.folder(user=user)
    return tuple(
        other.name for other in AGENTS.values() if other is not agent and folder and other.folder(user=user) == folder
    )


def _state(settings: Settings, record: Record, agent: Agent, *, is_here: bool, window: int | None) -> AgentState:
    user, entries = settings.user, _entries(settings, agent)
    ours = {str(settings.root / placement.folder) for placement in record.placements}
    folder = agent.folder(user=user)
    installed = [item.skill for item in record.placements if item.folder.rpartition("/")[0] == folder]
    return AgentState(
        agent=agent,
        detected=is_here,
        folder=folder,
        filled=folder in record.agents,
        shared=_sharers(agent, user=user),
        installed=tuple(sorted(installed)),
        others=tuple(sorted({entry.name for entry in entries if entry.location not in ours})),
        catalog=fit_list(entries, agent.budget, window) if agent.budget else None,
    )


def _entries(settings: Settings, agent: Agent) -> list[Entry]:
    """Return the skills that an agent lists: the home folder's and those of a project."""
    entries = [] if agent.user is None else list(entries_in(Path.home(), agent.user, settings.store))
    for folder in () if settings.user else agent.reads(user=False):
        entries += entries_in(settings.root, folder, settings.store)
    return entries


def overflow_sentence(agent: Agent, catalog: FittedList) -> str:
    """Return a sentence about the skills that an agent's model does not see."""
    takes = f"{agent.title}: the list of {catalog.skills} skills takes {catalog.used:,} of {catalog.limit:,} characters"
    if catalog.overflow is Overflow.FORGET:
        count = f"{catalog.affected} description{'s' if catalog.affected > 1 else ''}"
        return f"{takes}; at least {count} will be dropped, of the least used skills"
    if catalog.dropped:
        shown = ", ".join(catalog.dropped[:3]) + (", …" if len(catalog.dropped) > 3 else "")
        some = f"{len(catalog.dropped)} skill{'s' if len(catalog.dropped) > 1 else ''} will not be listed: {shown}"
        return f"{takes}; {'no description is shown and ' if catalog.length == 0 else ''}{some}"
    return f"{takes}; {catalog.affected} descriptions will be cut to {catalog.length} characters"


def exceeded_budgets(
    settings: Settings, folders: Iterable[str], added: Iterable[str], known: Iterable[str], named: Iterable[str]
) -> list[str]:
    """Return a warning for each detected or known agent whose budget the new skills exceed.

    An agent that is named now is told of in any case: until now, nobody asked about it.

    Args:
        settings: of the project, after the install.
        folders: the filled agents' folders.
        added: the new skills' folders, such as ``.agents/skills/demo``.
        known: the agents that this and earlier commands named.
        named: the agents that this command names.
    """
    user, filled, now = settings.user, set(folders), set(named)
    fresh = {str(settings.root / folder) for folder in added}
    names = {agent.name for agent in detected(settings.root)} | {*known, *settings.agents} if fresh or now else set()
    warnings = []
    for agent in (agent for agent in AGENTS.values() if agent.name in names):
        if agent.budget is None or filled.isdisjoint(agent.reads(user=user)):
            continue
        entries = _entries(settings, agent)
        after = fit_list(entries, agent.budget)
        if after.fits:
            continue
        before = [entry for entry in entries if entry.location not in fresh]
        if agent.name in now or fit_list(before, agent.budget).fits:
            warnings.append(f"{overflow_sentence(agent, after)}; {REMEDY}")
    return warnings
