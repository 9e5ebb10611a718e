"""An unpacked skill on the local disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
        is_source: is ``root`` a working folder, some of whose files are left out, and not a whole tree?
    """

    name: str
    version: str
    tree: str
    root: Path
    description: str = ""
    bundled: bool = False
    folder: Path | None = None
    is_source: bool = False

    @property
    def place(self) -> Path:
        """The folder that a person knows."""
        return self.folder or self.root

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
