"""Sealed skills: a folder with exactly the files that the digest counts, so that what was agreed to is what runs.

An installed skill runs from the store. Any other folder with code is copied by digest first, and only the copy is
shown, agreed to and run. A worker is started only if its folder still has that content, and nothing besides.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace

from skillpm.errors import IntegrityError
from skillpm.layout.source_tree import skill_tree
from skillpm.layout.tree import tree_digest
from skillpm.model.skill import Skill
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.storage.store import Store, folder_digest
from skillpm.storage.unpack import remove_tree


@dataclass(frozen=True, slots=True)
class SealedCopies:
    """Where skills run from.

    Attributes:
        store: of installed skills.
        copies: of other folders, in a cache.
    """

    store: Store
    copies: Store

    def seal(self, skill: Skill) -> Skill:
        """Return the skill as it may run; its ``root`` is then a folder that nobody edits.

        Raises:
            IntegrityError: the folder has a link, a device or the like, or changed since the skill was read.
            StorageError: the disk refused.
        """
        if skill.bundled:
            return skill
        copy = self.copies.path(skill.tree)
        if skill.root in (copy, self.store.path(skill.tree)) and _is_exact(skill):
            return skill
        files = SkillFiles(skill)
        _refuse_irregular(skill, files)  # whether there is a copy already or not
        if not files.code():
            return skill
        sealed = replace(skill, root=copy, folder=skill.place, is_source=False)
        if not _is_exact(sealed):
            tree = skill_tree(skill, keep=True)  # the bytes that are counted are the bytes that are copied
            if tree.irregular() or tree_digest(tree) != skill.tree:
                raise _changed(skill)
            remove_tree(copy)
            self.copies.add(tree)
        with contextlib.suppress(OSError):
            os.utime(copy)  # for those who clean up
        return sealed


def runnable_code(skill: Skill) -> tuple[str, ...]:
    """Return the files that a worker of a sealed skill executes.

    Raises:
        IntegrityError: the folder has code, and not exactly the content that the skill's digest names.
    """
    files = SkillFiles(skill)
    code = tuple(files.code())
    if not skill.bundled:
        _refuse_irregular(skill, files)
        if code and not _is_exact(skill):
            raise _changed(skill)
    return code


def _is_exact(skill: Skill) -> bool:
    return folder_digest(skill.root, exact=True) == skill.tree


def _refuse_irregular(skill: Skill, files: SkillFiles) -> None:
    for path, kind in files.irregular().items():
        raise IntegrityError(f"{skill} does not run: {path} is {kind}", hint=f"remove it from {skill.place}")


def _changed(skill: Skill) -> IntegrityError:
    return IntegrityError(f"{skill} changed in {skill.place} after it was read", hint="run the command again")
