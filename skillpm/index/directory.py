"""A registry in a folder, read from a local or mounted disk.

``config.json``, ``skills/[owner/]NAME.json`` (a Page) and ``archives/ab/cdef….tar.gz``. Any static server can serve it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from skillpm.errors import RegistryError
from skillpm.index.pages import MAX_ARCHIVE, MAX_PAGE, archive_path, page_path, read_config, read_page
from skillpm.model.name import is_name
from skillpm.model.release import Listing, Page, RegistryConfig, Release


class DirectoryIndex:
    """A registry folder.

    Args:
        root: the folder with config.json; also an attribute.
        name: the source in a lock.
    """

    made_here = False
    remote = False

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.root = root

    @cached_property
    def config(self) -> RegistryConfig:
        """config.json. Raises RegistryError if the folder is not a registry."""
        if not self.root.is_dir():
            raise RegistryError(
                f"registry {self.root} is not a folder", hint="check `--registry`, or the registries of skillpm.yaml"
            )
        return read_config(self._read("config.json", MAX_PAGE), f"registry {self.root}")

    def page(self, name: str) -> Page | None:
        """Return every release of a name, or None if it is unknown.

        Raises:
            RegistryError: the folder is not a registry, or its page is damaged or of another skill.
        """
        path = page_path(name)
        if self.config.registry and not (self.root / path).is_file():
            return None
        return read_page(self._read(path, MAX_PAGE), name, f"registry {self.root}")

    def names(self) -> list[str]:
        """Return all names with a page."""
        root = self.root / "skills"
        names = (path.relative_to(root).with_suffix("").as_posix() for path in root.glob("**/*.json"))
        return sorted(name for name in names if is_name(name))

    def listings(self) -> Iterator[Listing]:
        """Yield every name with its newest release. Raises RegistryError."""
        names = self.names() if self.config.registry else []
        for name in names:
            page = self.page(name)
            release = page.shown() if page else None
            if release is not None:
                yield Listing(name, release.version, release.summary)

    def archive(self, name: str, release: Release) -> bytes:
        """Return the archive's bytes, unchecked. Raises RegistryError if it is missing or too large."""
        return self._read(archive_path(release.archive), MAX_ARCHIVE)

    def _read(self, path: str, limit: int) -> bytes:
        try:
            with (self.root / path).open("rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise RegistryError(
                f"registry {self.root}: {path} cannot be read: {error.strerror}",
                hint="a registry is a folder with config.json, skills/ and archives/",
            ) from None
        if len(data) > limit:
            raise RegistryError(f"registry {self.root}: {path} is larger than {limit} bytes")
        return data
