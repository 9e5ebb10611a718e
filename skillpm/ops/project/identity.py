"""Is a tree the skill that a lock or an index claims? The digest says which bytes, and the bytes say which skill."""

from __future__ import annotations

from skillpm.errors import IntegrityError
from skillpm.layout.description import Identity, identity
from skillpm.layout.tree import Tree
from skillpm.model.lock import LockedSkill
from skillpm.model.release import Release
from skillpm.model.requirement import Requirement, canonical_version


def contradictions(name: str, entry: LockedSkill | Release, own: Identity) -> list[tuple[str, object, object]]:
    """Return what an entry or a page claims and what the skill says, where they differ: a word, the claim, the truth.

    Two spellings of one specifier or of one version are equal.
    """
    claims = (
        ("name", name.rpartition("/")[2], own.name),
        ("version", canonical_version(entry.version), own.version),
        ("requirements", _canonical(entry.requires), _canonical(own.requires)),
        ("hooks", entry.hooks, own.hooks),
        ("adapter", entry.adapter, own.adapter),
    )
    return [(what, claimed, true) for what, claimed, true in claims if claimed != true]


def _canonical(requires: dict[str, str]) -> str:
    return ", ".join(sorted(str(Requirement.of(name, specifier)) for name, specifier in requires.items()))


def refuse_impostor(name: str, entry: LockedSkill | Release, tree: Tree, who: str) -> None:
    """Raise IntegrityError if the files of a tree belong to another skill or version than the entry claims."""
    for what, claimed, true in contradictions(name, entry, identity(tree)):
        raise IntegrityError(
            f"{who} claims {what} {_said(claimed)} for {name} {entry.version}; the skill has {_said(true)}",
            hint="do not use it: find out who changed the lock, or tell the registry's maintainer",
        )


def _said(value: object) -> object:
    return "none" if value in (None, "") else value
