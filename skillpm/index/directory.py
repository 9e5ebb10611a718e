"""A registry that is a folder: the static layout of FORMATS, read from a local or mounted disk.

``config.json``, ``skills/[owner/]NAME.json`` (a Page) and ``archives/ab/cdef….tar.gz``. Any static server can serve it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from skillpm.errors import RegistryError, UsageError
from skillpm.model.document import Document, model_errors, strict_json
from skillpm.model.name import is_name
from skillpm.model.release import Page, RegistryConfig, Release
from skillpm.model.requirement import Requirement, parse_version

__all__ = ["DirectoryIndex", "archive_path", "page_path"]

D = TypeVar("D", bound=Document)
MAX_PAGE = 16 << 20  # bytes of one page
MAX_ARCHIVE = 64 << 20  # bytes of one archive, well above what a skill may have


def page_path(name: str) -> str:
    """Return where a registry keeps the page of a name."""
    return f"skills/{name}.json"


def archive_path(digest: str) -> str:
    """Return where a registry keeps an archive."""
    return f"archives/{digest[:2]}/{digest[2:]}.tar.gz"


class DirectoryIndex:
    """A registry folder.

    Args:
        root: the folder with config.json.
        name: what a lock calls this source.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._root = root

    @property
    def root(self) -> Path:
        """The folder with config.json."""
        return self._root

    @cached_property
    def config(self) -> RegistryConfig:
        """config.json. Raises RegistryError where the folder is no registry."""
        if not self._root.is_dir():
            raise RegistryError(f"registry {self._root} is not a folder", hint="check `--index` or skillpm.toml")
        return self._document(RegistryConfig, "config.json")

    def page(self, name: str) -> Page | None:
        """Return every release of a name, or None where it is unknown.

        Raises:
            RegistryError: the folder is no registry, or its page is damaged or of another skill.
        """
        path = page_path(name)
        if self.config.registry and not (self._root / path).is_file():
            return None
        page = self._document(Page, path)
        if page.name != name:
            raise RegistryError(f"registry {self._root}: {path} is the page of `{page.name}`, not of `{name}`")
        for release in page.releases:
            try:
                parse_version(release.version)
                for required, specifier in release.requires.items():
                    Requirement.of(required, specifier)
            except UsageError as error:
                raise RegistryError(f"registry {self._root}: {path}: {error.message}") from None
        return page

    def names(self) -> list[str]:
        """Return all names that the folder has a page for."""
        root = self._root / "skills"
        found = (path.relative_to(root).with_suffix("").as_posix() for path in root.glob("**/*.json"))
        return sorted(name for name in found if is_name(name))

    def archive(self, name: str, release: Release) -> bytes:
        """Return the archive's bytes, unchecked. Raises RegistryError where it is missing or too large."""
        return self._read(archive_path(release.archive), MAX_ARCHIVE)

    def _document(self, model: type[D], path: str) -> D:
        data = self._read(path, MAX_PAGE)
        try:
            root = strict_json(data.decode("utf-8"))
            return model.model_validate(root)
        except ValidationError as error:
            reason = model_errors(error, root)[0].rule
        except ValueError as error:
            reason = f"not JSON: {error}"
        raise RegistryError(f"registry {self._root}: {path}: {reason}", hint="tell who keeps this registry")

    def _read(self, path: str, limit: int) -> bytes:
        try:
            with (self._root / path).open("rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise RegistryError(
                f"registry {self._root}: {path} cannot be read: {error.strerror}",
                hint="a registry is a folder with config.json, skills/ and archives/",
            ) from None
        if len(data) > limit:
            raise RegistryError(f"registry {self._root}: {path} is larger than {limit} bytes")
        return data
