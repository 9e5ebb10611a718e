"""Whose code may run: agreed to once for each content digest, and recorded.

Skills that ship with skillpm are trusted as skillpm is; a skill without code has nothing to agree to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, ValidationError

from skillpm.errors import ConsentError, DocumentError
from skillpm.model.document import Document, model_errors
from skillpm.model.release import Digest
from skillpm.model.skill import Skill
from skillpm.model.strict import strict_json
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.storage.files import read_text, write_atomic
from skillpm.storage.process_lock import locked

__all__ = ["Consents", "explain"]

LOCK_SECONDS = 10.0


class ConsentRecord(Document):
    """consents.json: the digest of each tree whose code may run, with the name it had."""

    consents: int = 1
    granted: dict[Digest, str] = Field(default_factory=dict)


class Consents:
    """The user's record. A consent holds for exactly the content that was agreed to.

    Args:
        path: consents.json; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def granted(self, skill: Skill) -> bool:
        """May this skill's code run? Raises DocumentError where the record is damaged."""
        return skill.bundled or not SkillFiles(skill).code() or skill.tree in self._read().granted

    def grant(self, skill: Skill) -> None:
        """Record that it may.

        Raises:
            StorageError: the record cannot be written.
            BusyError: another skillpm holds the record.
        """
        with locked(self._path.with_suffix(".lock"), LOCK_SECONDS):
            granted = {**self._read().granted, skill.tree: str(skill)}
            record = ConsentRecord(granted=dict(sorted(granted.items())))
            write_atomic(self._path, json.dumps(record.model_dump(), indent=2) + "\n")

    def missing(self, skills: Iterable[Skill]) -> list[Skill]:
        """Return the skills whose code may not run yet, each once."""
        return [skill for skill in dict.fromkeys(skills) if not self.granted(skill)]

    def demand(self, skills: Iterable[Skill]) -> None:
        """Raise ConsentError where a skill's code may not run; the hint says what would run."""
        missing = self.missing(skills)
        if missing:
            raise ConsentError(
                f"nobody has agreed to run the code of {', '.join(map(str, missing))}",
                hint=f"{'; '.join(map(explain, missing))}. Look at it, then run the command again with `--yes`",
                skills=[skill.name for skill in missing],
            )

    def _read(self) -> ConsentRecord:
        if not self._path.exists():
            return ConsentRecord()
        place = str(self._path)
        try:
            root = strict_json(read_text(self._path))
            return ConsentRecord.model_validate(root)
        except ValidationError as error:
            raise model_errors(error, root, path=place)[0] from None
        except ValueError as error:
            raise DocumentError(f"not JSON: {error}", path=place, hint="remove the file to be asked again") from None


def explain(skill: Skill) -> str:
    """Return what would run, and what it asks for, in one sentence."""
    files = SkillFiles(skill)
    manifest = files.manifest()
    paths = " and ".join(str(skill.root / name) for name in files.code())
    asks = []
    if manifest is not None:
        asks += ["the network"] if manifest.permissions.network else []
        asks += [f"to run {', '.join(manifest.permissions.run)}"] if manifest.permissions.run else []
        asks += [f"the packages {', '.join(manifest.python)}"] if manifest.python else []
    wishes = f", and asks for {', '.join(asks)}" if asks else ""
    return f"{skill} would run {paths} in a confined process{wishes}"
