"""``skillpm show``: a skill and its contents, read from its files; its code does not run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from skillpm.errors import UnknownSkillError
from skillpm.formats.typed_path import typed_path
from skillpm.index.packed import PackedFile, cut_folder, is_archive
from skillpm.index.source import is_path
from skillpm.layout.description import describe
from skillpm.layout.filenames import CODE
from skillpm.layout.package import Package
from skillpm.layout.source_tree import skill_tree
from skillpm.layout.tree import Tree, file_size, tree_digest
from skillpm.model.name import near_names
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.ops.context import Context
from skillpm.ops.project.fetch import open_release
from skillpm.resolve.resolver import resolve
from skillpm.trust.signature import signer

if TYPE_CHECKING:
    from skillpm.model.ports import Index


@dataclass(frozen=True, slots=True)
class Overview:
    """A skill at a glance.

    Attributes:
        source: a folder, an archive, or a source as in a lock.
        archive: the digest of the release's archive; None for a folder that is not an installed release.
        signer: the key that signed the release; None if it is unsigned, and for such a folder.
        publisher: the repository whose CI job published it; None if its registry names none.
        tools: each tool's ``confirm``, by name.
        code: files that run in the skill's own process, after consent.
        network: may its code and its tools use the network?
        programs: what its code and its tools may start.
        releases: the versions in an index, newest first.
    """

    name: str
    version: str
    description: str
    source: str
    installed: bool
    tree: str
    archive: str | None
    signer: str | None
    publisher: str | None
    requires: dict[str, str]
    python: tuple[str, ...]
    files: tuple[str, ...]
    size: int
    tools: dict[str, str]
    seeds: int
    rules: int
    suites: dict[str, int]
    cases: int
    code: tuple[str, ...]
    network: bool
    programs: tuple[str, ...]
    releases: tuple[str, ...]
    keywords: tuple[str, ...]
    authors: tuple[str, ...]
    homepage: str | None
    repository: str | None


def show(context: Context, text: str) -> Overview:
    """Describe a folder, a skill in an archive, an installed skill, or a release of an index; nothing is installed.

    Raises:
        UnknownSkillError: there is no such skill.
        UsageError: the archive has several skills, and none is named.
        LayoutError: it is not a skill.
        IntegrityError: the release's signature is wrong, or the archive is not acceptable.
    """
    place, folder = cut_folder(text)
    if is_archive(text) and is_path(text) and "://" not in text and not typed_path(place).is_dir():
        packed = PackedFile(typed_path(place))
        return _overview(context, packed.skill(packed.folder(folder)), text)
    if is_path(text):
        skill = context.skill(text)
        return _overview(context, skill_tree(skill), str(skill.root))
    requirement = Requirement.parse(text)
    entry = context.lock().skill(requirement.name)
    if entry is not None and requirement.admits(entry.version, prereleases=True):
        skill = context.skill(requirement.name)
        return _overview(context, skill_tree(skill), str(entry.source))
    index = _index_of(context, requirement.name)
    if entry is not None and index is None:
        raise UnknownSkillError(
            f"{entry.source} has no other version of `{entry.name}`", hint=f"run `skillpm show {entry.name}`"
        )
    release = _newest(context, index, requirement)
    assert index is not None  # it has the release
    return _overview(context, open_release(requirement.name, release, index), index.name, release)


def _index_of(context: Context, name: str) -> Index | None:
    """Return the registry that the lock names for a skill; else the first registry that has it."""
    entry = context.lock().skill(name)
    if entry is not None and entry.source.is_registry:
        return context.source(entry.source)
    return context.index.source(name)


def _newest(context: Context, index: Index | None, requirement: Requirement) -> Release:
    """Return the release that an install would choose, ignoring its dependencies."""
    page = index.page(requirement.name) if index else None
    alone = [replace(release, requires={}) for release in page.releases] if page else []
    installed = [entry.name for entry in context.lock().skills]

    def near(name: str) -> list[str]:
        return near_names(name, installed) or list(context.index.near(name))

    chosen = resolve([requirement], lambda name: Page(name=name, releases=tuple(alone)) if page else None, near=near)
    return chosen[requirement.name]


def _overview(context: Context, tree: Tree, source: str, release: Release | None = None) -> Overview:
    description, package = describe(tree), Package(tree)
    digest = tree_digest(tree)
    entry = context.lock().skill(description.name)
    locked = entry if entry is not None and entry.tree == digest else None
    origin = locked or release
    key = locked.signer if locked else signer(description.name, release) if release else None
    manifest, contract, synthesis = description.manifest, package.contract.value, package.synthesis.value
    index = _index_of(context, description.name)
    page = index.page(description.name) if index else None
    return Overview(
        name=description.name,
        version=description.version,
        description=description.description,
        source=source,
        installed=locked is not None,
        tree=digest,
        archive=origin.archive if origin else None,
        signer=str(key) if key else None,
        publisher=str(locked.publisher) if locked and locked.publisher else None,
        requires=dict(manifest.requires) if manifest else {},
        python=manifest.python if manifest else (),
        files=tuple(tree.paths()),
        size=sum(file_size(tree, path) for path in tree.paths()),
        tools={tool.name: tool.confirm for tool in contract.tools} if contract else {},
        seeds=sum(len(rows.value or ()) for rows in package.seeds),
        rules=len(synthesis.tasks) if synthesis else 0,
        suites={suite.read.value.name: len(suite.tasks.value or ()) for suite in package.suites if suite.read.value},
        cases=len(package.cases.value or ()),
        code=tuple(path for path in CODE if path in package.paths),
        network=manifest.permissions.network if manifest else False,
        programs=manifest.permissions.run if manifest else (),
        releases=tuple(release.version for release in page.newest_first()) if page else (),
        keywords=manifest.keywords if manifest else (),
        authors=manifest.authors if manifest else (),
        homepage=manifest.homepage if manifest else None,
        repository=manifest.repository if manifest else None,
    )
