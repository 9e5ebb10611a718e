"""Skills whose source no longer has them: what is locked stays, and a person learns where the skill is now."""

from __future__ import annotations

from skillpm.errors import LayoutError, SkillpmError, UsageError
from skillpm.index.git_url import GitUrl
from skillpm.layout.description import describe
from skillpm.model.lock import LockedSkill
from skillpm.model.source import Source, SourceKind
from skillpm.ops.context import Context

_LOOKED_AT = 200  # folders of a repository that are read for a name


def is_vanished(error: SkillpmError) -> bool:
    """Does an error of a source mean that the skill is gone, and not that the source cannot be asked now?"""
    return isinstance(error, (UsageError, LayoutError)) or bool(error.details.get("vanished"))


def stays_as_locked(context: Context, source: Source, entry: LockedSkill | None) -> bool:
    """Is the required folder of a locked skill gone? Then a notice says that the skill stays as it is locked."""
    folder = context.settings.project / source.place
    if not source.editable or entry is None or entry.source != source or folder.is_dir():
        return False
    context.note(f"{entry} stays as it is locked: {folder} is not a folder")
    return True


def whereabouts(context: Context, source: Source, name: str) -> str:
    """Return a clause about the present folder of a skill in its repository, or an empty text."""
    if source.kind is not SourceKind.GIT:
        return ""
    try:
        url = GitUrl.parse(str(source), context.settings.project)
        folder = _folder_of(context, url, name.rpartition("/")[2])
    except SkillpmError:
        return ""
    if folder is None:
        return ""
    return f"; it is in `{folder or '.'}` now: run `skillpm install '{url.at(url.reference, folder)}'`"


def _folder_of(context: Context, url: GitUrl, name: str) -> str | None:
    repository = context.around.repository(url)
    folders = repository.folders("")[:_LOOKED_AT]
    for folder in sorted(folders, key=lambda path: path.rpartition("/")[2] != name):  # most folders have the name
        try:
            if describe(repository.tree(folder)).name == name:
                return folder
        except SkillpmError:
            continue
    return None
