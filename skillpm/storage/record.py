"""``.skillpm/installed.json``: the skill in each folder of a project, and the digest of the lock.

With it, an install sees without another document that nothing has changed, and which folders are ours. If it is lost,
folders are recognised by their content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from skillpm.clients.folders import is_agent_folder
from skillpm.errors import DocumentError
from skillpm.model.name import is_name
from skillpm.storage.files import read_text

RECORD = Path(".skillpm", "installed.json")
IGNORE = Path(".skillpm", ".gitignore")  # what is in .skillpm belongs to one checkout
IGNORED = "*\n"  # the content of that file
KEPT = Path(".skillpm", "kept")  # edited and foreign folders that ``--force`` replaced
_VERSION = 1
LinkKind = Literal["copy", "symlink"]


@dataclass(frozen=True, slots=True)
class Placement:
    """One skill in one agent's folder.

    Attributes:
        folder: relative to the project, posix: ``.agents/skills/incident-triage``.
        link: the actual kind, which may differ from the requested one.
    """

    folder: str
    skill: str
    tree: str
    link: LinkKind


@dataclass(frozen=True, slots=True)
class Record:
    """All placements of a project.

    Attributes:
        lock: digest of the lock's text.
        placements: by folder.
        settings: digest of the settings that agree with the lock; empty if they do not.
        named: the agents that a person named; several may read one folder.
        sources: from which each skill was installed, as the lock had it.
    """

    lock: str = ""
    agents: tuple[str, ...] = ()
    link: LinkKind = "copy"
    placements: tuple[Placement, ...] = ()
    settings: str = ""
    named: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def of(self, skill: str) -> list[Placement]:
        """Return the placements of a skill."""
        return [item for item in self.placements if item.skill == skill]


def text_digest(text: str) -> str:
    """Return the digest of a lock's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_record(project: Path) -> Record:
    """Return the project's record, or an empty one.

    Raises:
        DocumentError: it is not a record.
        StorageError: it cannot be read.
    """
    path = project / RECORD
    if not path.exists():
        return Record()
    try:
        document = json.loads(read_text(path))
        if document["installed"] != _VERSION:
            raise ValueError
        return Record(
            lock=_text(document["lock"]),
            agents=tuple(_agent(item) for item in document["agents"]),
            link=_link(document["link"]),
            placements=tuple(_placement(folder, item) for folder, item in sorted(document["folders"].items())),
            settings=_text(document.get("settings", "")),
            named=tuple(_text(item) for item in document.get("named", ())),
            sources={_skill(name): _text(source) for name, source in document.get("sources", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DocumentError(
            "not a record of this skillpm", path=str(RECORD), hint="remove it, then run `skillpm install`"
        ) from None


def record_text(record: Record) -> str:
    """Return the text of a record: same content, same bytes."""
    folders = {item.folder: {"skill": item.skill, "tree": item.tree, "link": item.link} for item in record.placements}
    document = {
        "installed": _VERSION,
        "lock": record.lock,
        "agents": sorted(record.agents),
        "link": record.link,
        "folders": folders,
        "settings": record.settings,
        **({"named": list(record.named)} if record.named else {}),
        "sources": dict(record.sources),
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _placement(folder: str, document: Any) -> Placement:
    place, _, name = folder.rpartition("/")
    if not is_agent_folder(place) or not is_name(name):  # a project's record is not trusted
        raise ValueError(f"`{folder[:80]}` is not a skill's folder of any agent")
    return Placement(folder, _skill(document["skill"]), _text(document["tree"]), _link(document["link"]))


def _skill(value: Any) -> str:
    if not is_name(_text(value)):
        raise ValueError(f"`{_text(value)[:80]}` is not a skill's name")
    return _text(value)


def _agent(value: Any) -> str:
    if not is_agent_folder(_text(value)):
        raise ValueError(f"`{_text(value)[:80]}` is not the folder of any agent")
    return _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _link(value: Any) -> LinkKind:
    for known in get_args(LinkKind):
        if value == known:
            return cast(LinkKind, known)
    raise ValueError(f"`{value}` is not a way to link")
