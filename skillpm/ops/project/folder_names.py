"""The folder of each skill: agents know a skill by its folder, so two skills never share one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from skillpm.errors import UsageError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.name import is_name
from skillpm.model.requirement import Requirement
from skillpm.resolve.plan import requirers


def folder_names(lock: Lock) -> dict[str, str]:
    """Return the folder of each skill: its name without the owner, or ``plugin-name`` for plugins that share a name.

    One of those may have no plugin, and so no owner: its folder is its name.

    A person chose the repository of such skills. The owners of a registry get no folder beside another's skill: agents
    that go by SKILL.md would load either of them.
    """
    skills: dict[str, list[LockedSkill]] = defaultdict(list)
    for entry in lock.skills:
        skills[entry.name.rpartition("/")[2]].append(entry)
    folders = {}
    for last, entries in skills.items():
        is_of_plugins = len(entries) > 1 and all(entry.source.chosen_by_hand for entry in entries)
        for entry in entries:
            folders[entry.name] = entry.name.replace("/", "-") if is_of_plugins else last
    return folders


def refuse_clashes(lock: Lock) -> None:
    """Raise UsageError if two skills need the same folder."""
    owners: dict[str, str] = {}
    for name, folder in folder_names(lock).items():
        other = owners.setdefault(folder, name)
        if not is_name(folder):
            raise UsageError(f"{name} needs the folder `{folder}`, which is too long", hint=f"leave out {name}")
        if other != name:
            raise UsageError(
                f"`{other}` and `{name}` both need the folder `{folder}`", hint=_way_out(lock, other, name)
            )


def _way_out(lock: Lock, *names: str) -> str:
    """Return the hint for skills that need one folder; nobody may have asked for any of them."""
    roots = {Requirement.parse(text).name for text in lock.requirements}
    users = {name: [user for user in requirers(lock, name) if user not in names] for name in names if name not in roots}
    required = [f"`{name}` is required by {', '.join(who)}" for name, who in users.items() if who]
    if not required:
        return "install only one of them: agents know a skill by its folder"
    return f"{'; '.join(required)}: leave out one of these, since agents know a skill by its folder"


def shared_names(lock: Lock, changed: Collection[str]) -> list[str]:
    """Return a warning for each name that a changed skill shares: agents that go by SKILL.md see it twice."""
    folders, skills = folder_names(lock), defaultdict(list)
    for name in folders:
        skills[name.rpartition("/")[2]].append(name)
    return [
        f"{len(names)} skills are called `{last}`: {', '.join(f'{name} in {folders[name]}' for name in names)}; "
        "an agent that goes by the name in SKILL.md may load one of them only"
        for last, names in skills.items()
        if len(names) > 1 and not set(changed).isdisjoint(names)
    ]
