"""Does a locked skill come from where the lock says? Decided without a request, from what this machine has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from skillpm.errors import IntegrityError, SkillpmError
from skillpm.layout.description import identity
from skillpm.layout.tree import FolderTree, Tree
from skillpm.model.lock import LockedSkill
from skillpm.model.source import Source, SourceKind
from skillpm.ops.context import Context
from skillpm.ops.project.known_pages import KnownPages
from skillpm.storage.archive import build_archive
from skillpm.storage.record import Record

_PACKED_HERE = frozenset({SourceKind.BUNDLED, SourceKind.PATH, SourceKind.ARCHIVE, SourceKind.GIT, SourceKind.SITE})


def other_archive(entry: LockedSkill, tree: Tree, pages: KnownPages) -> str | None:
    """Return the digest of the archive that a stored tree was taken from, if the lock has another one.

    Of what is packed here, the files alone decide the archive. An archive of a registry may be packed in another way,
    so that its page decides, where this machine has it. An adapter is too large to be packed each time.
    """
    page = pages.page(entry)
    releases = page.releases if page else ()
    true = next((item.archive for item in releases if (item.version, item.tree) == (entry.version, entry.tree)), None)
    if true is None and entry.source.kind in _PACKED_HERE and entry.adapter is None:
        true = hashlib.sha256(build_archive(tree)).hexdigest()
    return None if true == entry.archive else true


def refuse_other_archive(entry: LockedSkill, tree: Tree, pages: KnownPages) -> None:
    """Raise IntegrityError if a lock has the digest of another archive: no other machine could install the skill."""
    true = other_archive(entry, tree, pages)
    if true is not None:
        raise IntegrityError(
            f"skillpm.lock has the archive {entry.archive[:16]}… for {entry}; its files are those of {true[:16]}…",
            hint="restore skillpm.lock from version control, or remove the entry: `skillpm lock` makes it anew",
            expected=entry.archive,
            found=true,
        )


def moved(entries: Iterable[LockedSkill], record: Record) -> Iterator[tuple[LockedSkill, str]]:
    """Yield each locked skill that was installed here from another source, with that one.

    No command of ours moves a skill silently: somebody has edited the lock, here or where it comes from.
    """
    for entry in entries:
        source = record.sources.get(entry.name)
        if source is not None and not entry.source.same_origin(Source.parse(source)):
            yield entry, source


def moved_warnings(entries: Iterable[LockedSkill], record: Record) -> list[str]:
    """Return a sentence for each locked skill that was installed here from another source."""
    return [
        f"{entry.name} was installed from {source}, and skillpm.lock now takes it from {entry.source}; if you did not "
        "change that, restore skillpm.lock from version control"
        for entry, source in moved(entries, record)
    ]


def lacks_skill(context: Context, entry: LockedSkill) -> bool:
    """Is the source of a locked skill a folder that is there, and has no skill of this name?"""
    folder = context.settings.project / entry.source.place
    if not entry.source.editable or not folder.is_dir():
        return False
    try:
        return identity(FolderTree(folder)).name != entry.name.rpartition("/")[2]
    except SkillpmError:
        return True
