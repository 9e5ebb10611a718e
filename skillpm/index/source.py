"""Which kind of index a text names, and what a lock calls it.

``bundled``; a registry folder, ``../shop`` or ``file:///srv/shop``, locked as ``registry:../shop``; a skill's folder,
locked as ``path:../mine``. Both are relative to the project, so that a repository can be moved as a whole.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from skillpm.errors import RegistryError
from skillpm.index.bundled import BUNDLED, BundledIndex
from skillpm.index.directory import DirectoryIndex
from skillpm.index.path import Pack, PathIndex
from skillpm.model.name import is_name

if TYPE_CHECKING:
    from skillpm.model.ports import Index

__all__ = ["is_path", "open_path", "open_registry", "open_source"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_SUPPORTED = "this version reads bundled skills, skills' folders and registry folders (a path or file:///…)"


def is_path(text: str) -> bool:
    """Does a person mean a folder, a file or a URL by this, and not a name?"""
    if text.startswith((".", "/", "~", "git@")) or _SCHEME.match(text):
        return True
    return "/" in text and (Path(text).exists() or not is_name(re.split(r"[<>=!~@\s]", text, maxsplit=1)[0]))


def open_registry(text: str, project: Path, base: Path | None = None) -> DirectoryIndex:
    """Return the registry that a person named; nothing is read yet.

    Args:
        text: a folder or a file URL.
        project: what the lock's name of it is relative to.
        base: what a relative ``text`` is relative to; the working directory where None.

    Raises:
        RegistryError: a kind of registry that this version cannot read.
    """
    folder = (base or Path.cwd()) / _folder(text)
    return DirectoryIndex(folder, f"registry:{_relative(folder, project)}")


def open_path(text: str, project: Path, pack: Pack) -> PathIndex:
    """Return the index of one skill's folder; nothing is read yet.

    Raises:
        RegistryError: it is a URL.
    """
    folder = Path.cwd() / _folder(text)
    return PathIndex(folder, f"path:{_relative(folder, project)}", pack)


def open_source(source: str, project: Path, pack: Pack) -> Index:
    """Return the index that a lock names.

    Raises:
        RegistryError: a kind that this version cannot read.
    """
    kind, _, place = source.partition(":")
    if source == BUNDLED:
        return BundledIndex(pack)
    if kind == "path" and place:
        return PathIndex(project / place, source, pack)
    if kind == "registry" and place:
        return DirectoryIndex(project / place, source)
    raise RegistryError(f"the source `{source[:200]}` is not supported by this version", hint=_SUPPORTED)


def _folder(text: str) -> str:
    scheme = _SCHEME.match(text)
    if text.startswith("git@") or text.endswith(".git") or (scheme and scheme[0].lower() != "file:"):
        raise RegistryError(f"`{text[:200]}`: this kind of source is not supported by this version", hint=_SUPPORTED)
    if scheme is None:
        return str(Path(text).expanduser())
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise RegistryError(f"`{text[:200]}` names another machine", hint=_SUPPORTED)
    return unquote(parts.path)


def _relative(folder: Path, project: Path) -> str:
    return Path(os.path.relpath(os.path.realpath(folder), _real(project))).as_posix()


@cache
def _real(project: Path) -> str:
    return os.path.realpath(project)
