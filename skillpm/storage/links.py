"""Puts skills into agents' folders. A folder with foreign or edited content is never overwritten.

A placement is staged beside its place and swapped into it, so an agent sees the old skill or the new one. A folder is
ours to replace if the record has its digest, if the store has the same content (so nothing is lost), or if it is a link
into the store. No other link is followed or replaced, dangling or not. A folder that leads out of the project through a
link is refused, because the author of a project must not choose other places for us to write to.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.layout.tree import FolderTree
from skillpm.storage.linking import link_kind, make_link
from skillpm.storage.record import RECORD, LinkKind, Placement
from skillpm.storage.store import Store, folder_digest
from skillpm.storage.swap import TEMPORARY, Swap
from skillpm.storage.unpack import remove_tree, unpack


class Occupant(Enum):
    """The present content of a skill's place."""

    NOTHING = "nothing"
    WANTED = "exactly what is wanted"
    OURS = "something that skillpm put there"
    FOREIGN = "something else"


class Places:
    """The agents' folders of one project."""

    def __init__(self, project: Path, store: Store) -> None:
        self._project = project
        self._store = store

    def occupant(self, wanted: Placement, recorded: Placement | None) -> Occupant:
        """Return the present content of the place of ``wanted``; ``recorded`` is its entry in the record."""
        path = self._project / wanted.folder
        link = link_kind(path)
        if link is not None:
            digest = self._link_digest(path)
            if digest is None:
                return Occupant.FOREIGN
            return Occupant.WANTED if (digest, link) == (wanted.tree, wanted.link) else Occupant.OURS
        if not path.exists():
            return Occupant.NOTHING
        digest = folder_digest(path) if path.is_dir() else None
        if digest is None:
            return Occupant.FOREIGN
        if digest == wanted.tree:
            return Occupant.WANTED if wanted.link == "copy" else Occupant.OURS
        known = recorded is not None and recorded.tree == digest
        return Occupant.OURS if known or self._store.has(digest) else Occupant.FOREIGN

    def refuse_foreign(self, wanted: Placement, recorded: Placement | None) -> None:
        """Raise UsageError if the place has foreign content."""
        if self.occupant(wanted, recorded) is not Occupant.FOREIGN:
            return
        reason = (
            "was edited after skillpm installed it" if recorded else "already exists and does not belong to skillpm"
        )
        name = wanted.folder.rpartition("/")[2]
        raise UsageError(
            f"{wanted.folder} {reason}",
            hint=f"move it, or add `--force` to keep it as {name}.orig",
            folder=wanted.folder,
        )

    def put(self, wanted: Placement, recorded: Placement | None, swap: Swap, *, force: bool = False) -> LinkKind:
        """Stage a stored skill for its place and return the kind of link; it is copied if the system refuses links.

        Raises:
            UsageError: there is foreign content, which only ``force`` keeps as ``.orig``.
            StorageError: the disk refused.
        """
        occupant = self.occupant(wanted, recorded)
        if occupant is Occupant.WANTED:
            return wanted.link
        path, stored = self._project / wanted.folder, self._store.path(wanted.tree)
        keep = self._orig(path, wanted, recorded, force=force) if occupant is Occupant.FOREIGN else None
        return swap.stage(path, lambda fresh: _place(stored, fresh, wanted.link), keep=keep) or wanted.link

    def take(self, placed: Placement, swap: Swap, *, force: bool = False) -> None:
        """Stage the removal of a placement. An edited folder is refused, or kept as ``.orig`` with ``force``.

        Raises:
            UsageError: it was edited and ``force`` is not set.
        """
        path = self._project / placed.folder
        occupant = self.occupant(placed, placed)
        if occupant is not Occupant.NOTHING:
            keep = self._orig(path, placed, placed, force=force) if occupant is Occupant.FOREIGN else None
            swap.stage(path, None, keep=keep)

    def _orig(self, path: Path, wanted: Placement, recorded: Placement | None, *, force: bool) -> Path:
        """Return the new name of a foreign folder; without ``force``, refuse it."""
        if not force:
            self.refuse_foreign(wanted, recorded)
        return _free_name(path)

    def leftovers(self, agents: Iterable[str]) -> list[Path]:
        """Return staged files in these agents' folders and beside the project's files, of killed or running runs."""
        return [
            path
            for folder in dict.fromkeys((*agents, str(RECORD.parent), "."))
            for path in (self._project / folder).glob(f"{TEMPORARY}{'[0-9a-f]' * 16}")
        ]

    def remove_leftovers(self, agents: Iterable[str]) -> None:
        """Remove the staged files of killed runs; call it under the project's lock only."""
        for path in self.leftovers(agents):
            remove_tree(path)

    def _link_digest(self, path: Path) -> str | None:
        """Return the digest of the stored tree that a link leads to, or None."""
        target = Path(str(path.readlink()).removeprefix("\\\\?\\"))  # Windows adds this to a junction's target
        return target.name if target.parent == self._store.path(target.name).resolve().parent else None


def _place(stored: Path, fresh: Path, link: LinkKind) -> LinkKind:
    """Make a link to a stored tree, or a copy if requested or if no link is allowed; return the kind."""
    kind = make_link(fresh, stored.resolve()) if link != "copy" else "copy"
    if kind == "copy":
        unpack(FolderTree(stored), fresh)
    return kind


def refuse_outside(project: Path, folders: Iterable[str]) -> None:
    """Raise UsageError if one of these folders leads out of the project through a link.

    A home folder belongs to the person, whose links to other disks are allowed.
    """
    root = project.resolve()
    if root == Path.home().resolve():
        return
    for folder in folders:
        real = _real_path(project / folder)
        if real is None or not real.is_relative_to(root):
            raise UsageError(
                f"{folder} leads out of the project through a link",
                hint="replace the link by a folder; nothing was written",
                folder=folder,
            )


def _real_path(path: Path) -> Path | None:
    """Return the real path, or None if a link leads to itself."""
    # Path.resolve() raises for such a link before Python 3.13 only, so the system is asked.
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EINVAL):  # EINVAL on Windows
            return None
    return Path(os.path.realpath(path))


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.orig{number or ''}") for number in (0, *range(2, 1000)))
    free = next((name for name in names if not os.path.lexists(name)), None)
    if free is None:
        raise UsageError(f"{path}.orig and 998 more already exist", hint="move some of them")
    return free
