"""``skillpm scan``: scan folders, archives and installed skills for hidden content. Runs no skill's code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import UnknownSkillError
from skillpm.formats.typed_path import typed_path
from skillpm.index.packed import PackedFile, is_archive
from skillpm.index.source import is_path
from skillpm.layout import scan as layout
from skillpm.layout.check import examine
from skillpm.layout.contents import MAX_SIZE
from skillpm.layout.discovery import discover
from skillpm.layout.rule import Level
from skillpm.layout.source_tree import WholeTree
from skillpm.layout.subject import Subject
from skillpm.layout.tree import FolderTree, MappingTree, Tree, left_out
from skillpm.model.finding import Report, Severity
from skillpm.storage.files import DiskErrors
from skillpm.trust.allowance import Allowance, refuse_unmet

if TYPE_CHECKING:
    from skillpm.ops.context import Context

RULES = layout.RULES


def scan(context: Context, texts: Sequence[str], allow: Allowance) -> list[Report]:
    """Scan each text: a path (a skill's folder, a folder of skills, an archive, a file) or the name of a skill.

    Files of a folder that packing leaves out are scanned too, except version control; their errors are warnings.

    Raises:
        UnknownSkillError: there is no such path or skill, or something is let in for a skill that is not scanned.
        IntegrityError: an archive is not acceptable, or a stored skill was changed.
        StorageError: a file cannot be read.
    """
    allow = context.under_policy(allow)
    reports = [_report(tree, name, allow) for text in texts for name, tree in _trees(context, text)]
    refuse_unmet(allow.skills, {report.name or "" for report in reports})
    return reports


def _report(tree: Tree, name: str, allow: Allowance) -> Report:
    report = examine(Subject(tree, None), RULES, path=name, level=Level.LENIENT)
    is_part = tree.is_part if isinstance(tree, WholeTree) else lambda path: not left_out(path)
    findings = (item if is_part(item.path) else replace(item, severity=Severity.WARNING) for item in report.findings)
    return allow.judged(replace(report, findings=tuple(findings)), report.name or "")


def _trees(context: Context, text: str) -> Iterator[tuple[str, Tree]]:
    path = typed_path(text)
    if not is_path(text) and not path.is_file():
        yield text, FolderTree(context.skill(text).root)
    elif path.is_dir():
        for folder in discover(path).at_any_depth or (path,):
            yield str(folder), WholeTree(folder)
    elif path.is_file():
        yield from _packed(path, text) if is_archive(path.name) else [(text, _file(path))]
    else:
        raise UnknownSkillError(
            f"there is no file or folder {text}", hint="name a path, or a skill that `skillpm list` shows"
        )


def _file(path: Path) -> Tree:
    with DiskErrors("read", path), path.open("rb") as file:
        data = file.read(MAX_SIZE + 1)
    return MappingTree({path.name: data})


def _packed(path: Path, text: str) -> Iterator[tuple[str, Tree]]:
    """Yield each skill of an archive, or all of an archive without one."""
    packed = PackedFile(path)
    several = len(packed.folders) > 1
    for folder in packed.folders or [""]:
        yield f"{text}/{folder}" if several else text, packed.skill(folder)
