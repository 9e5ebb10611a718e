"""An archive on this disk: one skill, or several in folders of their own, as an archive of a repository has."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote

from skillpm.errors import IntegrityError, RegistryError, UsageError
from skillpm.formats.gathered import Bytes, read_file
from skillpm.formats.unending import unending
from skillpm.index.pages import MAX_ADAPTER
from skillpm.index.path import TreeIndex
from skillpm.layout.discovery import plugin_of, skill_folders
from skillpm.layout.tree import MappingTree, subtree
from skillpm.model.name import did_you_mean
from skillpm.model.source import SUBDIRECTORY, in_folder
from skillpm.storage.archive import ARCHIVES, OWN, read_packed

_SHOWN = 10  # folders that one message names


def is_archive(text: str) -> bool:
    """Is this the name of an archive, or of a folder in one?"""
    return cut_folder(text)[0].lower().endswith(ARCHIVES)


def cut_folder(text: str) -> tuple[str, str]:
    """Split ``ARCHIVE#subdirectory=FOLDER`` into both; the folder is empty if none is named."""
    place, _, folder = text.rpartition(SUBDIRECTORY)
    return (place, unquote(folder).strip("/")) if place.lower().endswith(ARCHIVES) else (text, "")


class PackedFile:
    """The archive that ``skillpm pack`` or another program has made, read once."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @cached_property
    def tree(self) -> MappingTree:
        """All files in it, with paths from the top.

        Raises:
            UsageError: there is no such file, or its name is not that of an archive.
            RegistryError: it is too large.
            IntegrityError: it is not acceptable.
        """
        if not is_archive(self.file.name) or unending(self.file):
            raise UsageError(
                f"{self.file} is neither a folder nor an archive ({', '.join(ARCHIVES)})",
                hint="name the folder that holds SKILL.md",
            )
        try:
            with self.file.open("rb") as file:
                data = read_file(file, MAX_ADAPTER)
        except OSError as error:
            raise UsageError(f"{self.file} cannot be read: {error.strerror}", hint="check the path") from None
        if len(data) > MAX_ADAPTER:
            raise RegistryError(
                f"{self.file} is larger than {MAX_ADAPTER} bytes", hint="an archive of a skill is never that large"
            )
        return self._read(data)

    def _read(self, data: Bytes) -> MappingTree:
        try:
            return read_packed(data, self.file.name)
        except IntegrityError as error:
            error.message = f"{self.file}: {error.message}"
            if error.details.get("foreign"):
                again = self.file.with_name(f"{self.file.name.removesuffix(OWN)}.tgz")
                error.hint = f"if another program than skillpm packed it, rename it to {again}"
            raise

    @cached_property
    def folders(self) -> list[str]:
        """The folders of the skills in it; "" for the top. Raises as ``tree`` does."""
        return skill_folders(self.tree.paths())

    def folder(self, typed: str) -> str:
        """Return the skill's folder that a person means: one of ``folders``, with or without folders above it."""
        near = [folder for folder in self.folders if f"/{folder}".endswith(f"/{typed}")]
        near += [folder for folder in self.folders if folder and typed.endswith(f"/{folder}")]
        return near[0] if len(near) == 1 and typed not in self.folders else typed

    def skill(self, folder: str) -> MappingTree:
        """Return the files of one folder, or of the only skill if none is named.

        Raises:
            UsageError: it has no such folder, or several skills and none is named; or as ``tree`` does.
        """
        known = f"it has {', '.join(item or 'a skill at its top' for item in self.folders[:_SHOWN]) or 'no skill'}"
        if not folder and len(self.folders) > 1:
            hint = f"add `{in_folder('', quote(self.folders[0]))}`; {known}"
            raise UsageError(f"{self.file} has {len(self.folders)} skills, and none is named", hint=hint)
        tree = subtree(self.tree, folder or "".join(self.folders))
        if folder and not tree.paths():
            raise UsageError(f"{self.file} has no folder `{folder}`", hint=did_you_mean(folder, self.folders, known))
        return tree


class ArchiveIndex(TreeIndex):
    """One skill or adapter in an archive on this disk; ``folder`` is empty if the archive has no other."""

    def __init__(self, packed: PackedFile, name: str, folder: str = "") -> None:
        super().__init__(name, lambda: packed.skill(folder), in_folder(str(packed.file), quote(folder)))
        self.within = folder
        if folder:
            self.plugin = plugin_of(folder, set(packed.tree.paths()).__contains__)
