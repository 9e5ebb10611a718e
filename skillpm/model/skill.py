"""An unpacked skill on the local disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote


@dataclass(frozen=True, slots=True)
class Skill:
    """What every room needs to know of a skill: its identity and where its files are.

    Attributes:
        name: ``name`` or ``owner/name``.
        version: PEP 440; "0" where neither skill.yaml nor SKILL.md's metadata names one.
        tree: digest of the content, hex SHA-256; the identity.
        root: the unpacked folder; read only.
        folder: the folder that ``root`` is a sealed copy of, or None.
        description: SKILL.md's, one paragraph.
        bundled: is the content one that ships with skillpm, and so trusted as skillpm is?
        typed: the folder as a person typed it; empty for a skill that has been named.
        is_source: is ``root`` a working folder, some of whose files are left out, and not a whole tree?
    """

    name: str
    version: str
    tree: str
    root: Path
    description: str = ""
    bundled: bool = False
    folder: Path | None = None
    typed: str = field(default="", compare=False)
    is_source: bool = False

    @property
    def place(self) -> Path:
        """The folder that a person knows."""
        return self.folder or self.root

    @property
    def word(self) -> str:
        """What a person types for this skill in a shell."""
        return quote(self.typed) if self.typed else self.name

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
