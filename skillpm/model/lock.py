"""skillpm.lock: what was chosen, with digests. Canonical text: same content, same bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated

from skillpm.errors import DocumentError, LockOutOfDateError
from skillpm.formats.light import LightDocument, Limit, json_form, read_light
from skillpm.formats.strict import strict_json
from skillpm.model.key import Signer
from skillpm.model.name import UNVERSIONED
from skillpm.model.release import Digest, Publisher, Release, Requires, SkillNameText
from skillpm.model.source import Source
from skillpm.model.wheel import WheelSet

LOCK_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSkill(LightDocument):
    """One chosen release.

    ``source`` names where it came from: ``bundled``, ``path:…`` or a registry's URL. ``python`` has the wheels of its
    Python packages, a set for each platform that they were chosen for; None if it asks for none, or none are chosen.
    ``signer`` is the key or the identity whose signature was checked when it was chosen; None if it was unsigned.
    ``publisher`` is the CI job that published it, where its registry knows that.
    ``adapter`` is the base model of a trained adapter, which stands in no agent's folder.
    """

    name: SkillNameText
    version: str
    source: Source
    archive: Digest
    tree: Digest
    requires: Requires = field(default_factory=dict)
    hooks: int = 1
    signer: Signer | None = None
    publisher: Publisher | None = None
    python: tuple[WheelSet, ...] | None = None
    adapter: Annotated[str, Limit(longest=256)] | None = None

    def __str__(self) -> str:
        return self.name if self.version == UNVERSIONED else f"{self.name} {self.version}"

    def release(self, size: int = 0) -> Release:
        """Return the release that is locked, with the size of its archive in bytes where that is known."""
        return Release(
            version=self.version,
            archive=self.archive,
            tree=self.tree,
            size=size,
            requires=self.requires,
            hooks=self.hooks,
            publisher=self.publisher,
            adapter=self.adapter,
        )


def _day(text: str) -> str:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ValueError(f"{text} is not a day: {error}") from None


RESTORE = "restore it from version control, or remove it: `skillpm lock` makes a new one from skillpm.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(LightDocument):
    """Every installed skill of one project, by name.

    ``cutoff`` is the UTC day before which releases had to be published, where a cooldown held when it was made: the
    only time that stands in a lock, so that the same choice can be made again on any day.
    """

    lock: Annotated[int, Limit(least=1)] = LOCK_VERSION
    requirements: tuple[str, ...] = ()
    cutoff: Annotated[str, Limit(pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}", check=_day)] | None = None
    skills: tuple[LockedSkill, ...] = ()

    @classmethod
    def parse(cls, text: str, *, path: str = "skillpm.lock") -> Lock:
        """Read a lock.

        Raises:
            LockOutOfDateError: written by a newer skillpm, or holds merge-conflict markers.
            DocumentError: anything else that is wrong.
        """
        if conflicted(text):
            raise LockOutOfDateError(
                f"{path} holds conflict markers", hint="`skillpm lock` reads both sides and resolves again"
            )
        try:
            root = strict_json(text.removeprefix("\ufeff"))  # some editors of Windows write one
        except ValueError as error:
            raise _unreadable(text, str(error), path) from None
        if isinstance(root, dict) and isinstance(root.get("lock"), int) and root["lock"] > LOCK_VERSION:
            raise LockOutOfDateError(
                f"{path} has version {root['lock']}, this skillpm reads {LOCK_VERSION}", hint="upgrade skillpm-core"
            )
        if isinstance(root, dict) and "lock" not in root:  # `{}` would otherwise be a lock that wants no skill
            raise DocumentError("missing key `lock`", path=path, hint=RESTORE)
        try:
            return read_light(cls, root, path=path)
        except DocumentError as error:
            error.hint = error.hint or f"{RESTORE}; if a newer skillpm wrote it, upgrade skillpm-core"
            raise

    def text(self) -> str:
        """Return the canonical text: sorted, one key a line, ends with a newline."""
        document = json_form(self)
        document["requirements"] = sorted(set(document["requirements"]))
        document["skills"] = sorted(document["skills"], key=lambda skill: skill["name"])
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def skill(self, name: str) -> LockedSkill | None:
        """Return the entry of a name."""
        return next((skill for skill in self.skills if skill.name == name), None)


def _unreadable(text: str, reason: str, path: str) -> DocumentError:
    """Return the error for a text that is not JSON: most are empty, or were cut by a full disk or a failed merge."""
    if not text.strip():
        return DocumentError("the file is empty", path=path, hint=RESTORE)
    end = text.rstrip()
    if end.startswith("{") and not end.endswith("}"):
        line = end.count("\n") + 1
        return DocumentError(f"not JSON: the file ends in the middle, at line {line}", path=path, hint=RESTORE)
    return DocumentError(f"not JSON: {reason}", path=path, hint=RESTORE)


def conflicted(text: str) -> bool:
    """Does a text hold the conflict markers that version control leaves?"""
    return text.startswith("<<<<<<<") or "\n<<<<<<< " in text


def sides(text: str) -> tuple[str, str]:
    """Return the two texts that conflict markers stand between; the common ancestor of ``diff3`` is left out.

    Raises:
        ValueError: a marker stands where none may, or one is missing.
    """
    ours: list[str] = []
    theirs: list[str] = []
    into: tuple[list[str], ...] = (ours, theirs)
    expected = "<"
    for line in text.splitlines(keepends=True):
        mark = line[0] if line[:7] == line[:1] * 7 and line[:1] in "<|=>" and line[7:8] in ("", " ", "\r", "\n") else ""
        if not mark:
            for side in into:
                side.append(line)
            continue
        if mark not in expected:
            raise ValueError(f"unexpected marker {mark * 7}")
        into = {"<": (ours,), "|": (), "=": (theirs,), ">": (ours, theirs)}[mark]
        expected = {"<": "|=", "|": "=", "=": ">", ">": "<"}[mark]
    if expected != "<":
        raise ValueError("a conflict does not end")
    return "".join(ours), "".join(theirs)
