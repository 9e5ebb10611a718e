"""Reads the two settings files: the project's ``skillpm.yaml`` and the user's ``config.yaml``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from skillpm.errors import DocumentError, StorageError
from skillpm.formats.typed_path import typed_path
from skillpm.formats.unending import unending
from skillpm.formats.utf8_text import utf8_text
from skillpm.settings.origin import Level, Origin

if TYPE_CHECKING:
    from skillpm.model.project import UserDocument

MAX_FILE = 1 << 20  # bytes of a project file or a user file
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:|git@", re.IGNORECASE)

D = TypeVar("D", bound="UserDocument")


def read_text(path: Path) -> str | None:
    """Return the text of a file, or None if it does not exist.

    Raises:
        DocumentError: it is too large, or not UTF-8.
        StorageError: it cannot be read, or a read might never end.
    """
    kind = "a directory" if path.is_dir() else unending(path)
    if kind is not None:
        raise StorageError(f"{path} is {kind}, not a regular file", hint="move it away", path=str(path))
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror}", hint="check the owner and the mode of the file", path=str(path)
        ) from None
    return utf8_text(data, path.name, most=MAX_FILE)


def parse(model: type[D], text: str, path: str) -> D:
    """Return the document in a file's text. Raises DocumentError with its line."""
    from skillpm.formats.document import read_model

    if re.search(r"^<{7} ", text, re.MULTILINE):
        raise DocumentError("conflict markers", path=path, hint="resolve them by hand, then run `skillpm lock`")
    return read_model(model, text, path=path)


@dataclass(frozen=True)
class SettingsFile:
    """One of the two files, read.

    Attributes:
        folder: its folder, which is the base of relative places.
        level: project or user.
        shown: its name in messages.
    """

    document: UserDocument
    text: str
    folder: Path
    level: Level
    shown: str

    def origin(self, *keys: str) -> Origin:
        """Return the origin of one of its values, by the keys that lead to it."""
        from skillpm.formats.document import line_of

        return Origin(self.level, f"{self.shown}:{line_of(self._root, keys)}")

    @cached_property
    def _root(self) -> Any:
        from skillpm.formats.strict_yaml import read_yaml

        return read_yaml(self.text)

    def registries(self) -> dict[str, str] | None:
        """Return its registries by name, or None if the key is missing."""
        if self.document.registries is None:
            return None
        return {
            name: place if _SCHEME.match(place) else str(self.folder / typed_path(place))
            for name, place in self.document.registries.items()
        }


def registry_name(place: str) -> str:
    """Return a name for a registry from its place: the last part, or the host of a site."""
    last = re.sub(r"[^a-z0-9]+", "-", place.partition("/.well-known/")[0].rstrip("/").rpartition("/")[2].lower())
    return last[:48].strip("-") or "registry"


def free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number appended if it is taken."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return name if name not in taken else next(item for item in numbered if item not in taken)
