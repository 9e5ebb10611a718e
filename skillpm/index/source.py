"""The index of a typed text or of a locked source.

==============================================  ==============================================================
a person writes                                 a lock says
==============================================  ==============================================================
``--registry ../shop``, ``file:///srv/shop``    ``registry:../shop``
``--registry https://host/shop``                ``registry:https://host/shop``
``--registry https://host/.well-known/…``       ``well-known:https://host/.well-known/agent-skills/index.json``
``--registry oci://host/a``, ``oci://host/a/x:1``  ``registry:oci://host/a``
``./mine``, ``./mine-1.0.tar.gz``               ``path:mine``, ``archive:mine-1.0.tar.gz``
``./many.zip#subdirectory=a``                   ``archive:many.zip#subdirectory=a``
``owner/repo``, ``https://host/owner/repo``     as the next line; ``forge.py`` has all forms
``git+https://host/x@v1#subdirectory=a``        ``git+https://host/x@<commit>#subdirectory=a``
(nothing: it is bundled with skillpm)           ``bundled``
==============================================  ==============================================================

Paths are relative to the project, so that a project can move as a whole. A branch or a tag becomes a commit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from skillpm.errors import RegistryError, UsageError
from skillpm.formats.typed_path import typed_path
from skillpm.index.bundled import BundledIndex
from skillpm.index.directory import DirectoryIndex
from skillpm.index.forge import git_text, is_repository
from skillpm.index.git_url import GitUrl, is_git, is_web
from skillpm.index.oci_reference import OciReference, is_oci
from skillpm.index.packed import ArchiveIndex, PackedFile, cut_folder, is_archive
from skillpm.index.path import PathIndex, TreeIndex
from skillpm.layout.discovery import Discovery, deep_folders, discover, plugin_of, skill_folder, too_deep
from skillpm.model.name import is_name
from skillpm.model.source import Source, SourceKind, git_place, in_folder

if TYPE_CHECKING:
    from skillpm.index.git import GitRepository
    from skillpm.index.page_cache import PageCache
    from skillpm.index.signed_pages import OpenSigned, Witnesses
    from skillpm.index.transport import Transport
    from skillpm.model.ports import Index

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_SUPPORTED = (
    "a registry is a folder, file:///…, https://…, oci://… or a .well-known/agent-skills; "
    "a skill is a folder, a .tar.gz or .zip, `owner/repo`, or git+https://…"
)
REPOSITORIES = "git-v1"  # a folder of the cache


@dataclass(eq=False)
class Surroundings:
    """The project, the cache and the connections that indexes use.

    Attributes:
        project: the base of relative paths in a lock.
        forge: the URL below which ``owner/repo`` is.
        seen: a folder for what was seen of signed registries; without it, their signatures are not checked.
        tell: takes a sentence for the person.
        witnesses: returns the sets of witnesses that a registry's place needs, each with how many of them.
        permit: raises PolicyError before a request to a source that no policy may allow.
        overlooked: by typed place, sentences about links, submodules and deep folders, which are not searched.
    """

    project: Path
    cache: Path
    offline: bool = False
    forge: str = "https://github.com"
    seen: Path | None = None
    tell: Callable[[str], None] = field(default=lambda sentence: None)
    witnesses: Callable[[str], Witnesses] = field(default=lambda place: ())
    permit: Callable[[Source], None] = field(default=lambda source: None)
    overlooked: dict[str, list[str]] = field(default_factory=dict)
    _repositories: dict[str, GitRepository] = field(default_factory=dict)
    _archives: dict[Path, PackedFile] = field(default_factory=dict)

    @cached_property
    def transport(self) -> Transport:
        """The connections of this invocation."""
        from skillpm.index.transport import Transport

        return Transport(offline=self.offline)

    def connections_to(self, kind: SourceKind, place: str) -> Transport:
        """Return the connections for one source, which the policies may forbid."""
        return self.transport.if_permitted(partial(self.permit, Source(kind, place)))

    def overlook(self, text: str, sentences: Iterable[str]) -> None:
        """Remember what was passed over in a place; a person learns it where it matters."""
        self.overlooked.setdefault(text, []).extend(sentences)

    def stop(self) -> None:
        """Stop the downloads of other threads."""
        if "transport" in self.__dict__:
            self.transport.stop()

    @cached_property
    def pages(self) -> PageCache:
        """The cached pages."""
        from skillpm.index.page_cache import PAGES, PageCache

        return PageCache(self.cache / PAGES)

    @property
    def open_signed(self) -> OpenSigned | None:
        """What opens the signed pages of a registry."""
        state = self.seen
        if state is None:
            return None
        from skillpm.index.signed_pages import SignedPages

        return lambda place, fetch: SignedPages(
            place, fetch, state, self.tell, witnesses=partial(self.witnesses, place), offline=self.offline
        )

    def repository(self, url: GitUrl) -> GitRepository:
        """Return a git repository at a commit, opened once."""
        from skillpm.index.git import GitRepository

        key = f"{url.address}@{url.reference}"
        if key not in self._repositories:
            self._repositories[key] = GitRepository(
                url.at(url.reference, ""),
                self.cache / REPOSITORIES,
                offline=self.offline,
                permit=partial(self.permit, Source.parse(str(url.at(url.reference, "")))),
            )
        return self._repositories[key]

    def archive(self, file: Path) -> PackedFile:
        """Return an archive on this disk, read once."""
        return self._archives.setdefault(file, PackedFile(file))

    def first_reference(self, address: str, references: list[str]) -> str | None:
        """Return the first of some references that a repository has. Raises RegistryError if there is none."""
        url = GitUrl.parse(git_place(address), self.project)
        return self.repository(url).first_of(references)


def is_path(text: str) -> bool:
    """Is this text a folder, a file or a URL, and not a name?"""
    if text.startswith((".", "/", "~")) or is_git(text) or _SCHEME.match(text):
        return True
    if is_archive(text):  # no name has a dot
        return True
    return "/" in text and (Path(text).exists() or not is_name(re.split(r"[<>=!~@\s]", text, maxsplit=1)[0]))


def open_registry(text: str, around: Surroundings) -> Index:
    """Return the registry at a folder, a file URL, an http(s) or oci URL, or that of a ``.well-known/agent-skills``.

    Nothing is read yet.

    Raises:
        RegistryError: this version cannot read the registry.
        UsageError: the address is invalid.
    """
    if is_oci(text):
        return _oci_registry(str(OciReference.parse(text)), around)
    if is_web(text):
        return _web_registry(_web_address(text), around)
    folder = Path.cwd() / _folder(text)
    return DirectoryIndex(folder, _named(SourceKind.REGISTRY, folder, around), around.open_signed)


def place_source(text: str, around: Surroundings, base: Path | None = None) -> Source:
    """Return the source of a requirement for a folder, an archive or a git address of one skill.

    A branch or a tag stays as it is. A relative path is relative to ``base``, by default the working directory.

    Raises:
        UsageError, RegistryError: the address is invalid.
    """
    if is_git(text):
        return Source.parse(str(GitUrl.parse(text, around.project)))
    typed, folder = cut_folder(text)
    place = skill_folder((base or Path.cwd()) / _folder(typed))
    if place.is_file() or is_archive(text):
        return _packed_source(place, folder, around)
    return Source(SourceKind.PATH, _relative(place, around.project))


def open_skills(text: str, around: Surroundings) -> list[Index]:
    """Return the skills of a folder, an archive, a repository or a URL of a ``.well-known/agent-skills``.

    It is one index for each skill, or one index that lists them all.

    Raises:
        UsageError: there is no such folder, or the address is invalid.
        RegistryError: this version cannot read the place, or git fails.
    """
    if is_repository(text):
        try:
            return [*_skills_of_repository(text, around)]
        except RegistryError as error:
            if is_web(text):
                registry = f"for a registry, name a skill and add `--registry {text[:200]}`"
                error.hint = "; ".join(filter(None, (error.hint, registry)))
            raise
    if is_web(text):
        return [_web_registry(_web_address(text), around)]
    typed, inside = cut_folder(text)
    place = skill_folder(Path.cwd() / _folder(typed))
    if place.is_file():
        return [*_skills_of_archive(text, place, inside, around)]
    discovery = discover(place) if place.is_dir() else None
    if discovery is not None:
        around.overlook(text, _overlooked(place, discovery))
    if discovery is None or place in discovery.skills or not discovery.skills:
        return [PathIndex(place, _named(SourceKind.PATH, place, around), again=text)]
    if not discovery.complete:
        raise UsageError(f"{text} has too many folders without a skill", hint="name the folder that holds the skills")
    return [_skill_in(place, folder, around) for folder in discovery.skills]


def _overlooked(place: Path, discovery: Discovery) -> list[str]:
    """Return the sentences about what a search below a folder has passed over."""
    links = [(link.relative_to(place).as_posix(), link.readlink()) for link in discovery.links]
    deep = [folder.relative_to(place).as_posix() for folder in discovery.deep]
    return [*(f"`{link}` is a link to `{target}`, which is not followed" for link, target in links), *too_deep(deep)]


def _skills_of_repository(text: str, around: Surroundings) -> list[TreeIndex]:
    url = GitUrl.parse(git_text(text, around.forge, around.first_reference), around.project)
    repository, indexes = around.repository(url), []
    for folder in repository.folders(url.subdirectory):
        indexes.append(_commit(url, folder, around))
        indexes[-1].within, indexes[-1].plugin = folder, plugin_of(folder, repository.has)
    around.overlook(text, repository.overlooked(url.subdirectory))
    return indexes


def _skills_of_archive(text: str, file: Path, folder: str, around: Surroundings) -> Iterator[ArchiveIndex]:
    packed = around.archive(file)
    folders = packed.folders if not folder and len(packed.folders) > 1 else [packed.folder(folder)]
    for each in folders:
        yield ArchiveIndex(packed, str(_packed_source(file, each, around)), each)
    if not folder:
        around.overlook(text, too_deep(deep_folders(packed.tree.paths())))


def _packed_source(file: Path, folder: str, around: Surroundings) -> Source:
    return Source(SourceKind.ARCHIVE, in_folder(_relative(file, around.project), quote(folder)))


def _skill_in(place: Path, folder: Path, around: Surroundings) -> Index:
    index = PathIndex(folder, _named(SourceKind.PATH, folder, around), again=str(folder))
    index.within = folder.relative_to(place).as_posix()
    index.plugin = plugin_of(index.within, lambda path: (place / path).is_file())
    return index


def open_source(source: Source, around: Surroundings) -> Index:
    """Return the index of a locked source.

    Raises:
        RegistryError: this version cannot read the source.
        UsageError: the address is invalid.
    """
    opened = _KINDS.get(source.kind)
    if opened is None or not (source.place or source.kind is SourceKind.BUNDLED):
        shown = str(source)[:200]
        raise RegistryError(f"the source `{shown}` is not supported by this version", hint=_SUPPORTED)
    return opened(source, around)


def _locked_registry(source: Source, around: Surroundings) -> Index:
    if is_oci(source.place):
        return _oci_registry(source.place, around)
    if is_web(source.place):
        return _web_registry(_web_address(source.place), around)
    return DirectoryIndex(around.project / source.place, str(source), around.open_signed)


def _locked_commit(source: Source, around: Surroundings) -> Index:
    url = GitUrl.parse(str(source), around.project)
    return _commit(url, url.subdirectory, around)


def _locked_archive(source: Source, around: Surroundings) -> Index:
    place, folder = cut_folder(source.place)
    return ArchiveIndex(around.archive(around.project / place), str(source), folder)


_KINDS: dict[SourceKind, Callable[[Source, Surroundings], Index]] = {
    SourceKind.BUNDLED: lambda source, around: BundledIndex(),
    SourceKind.PATH: lambda source, around: PathIndex(around.project / source.place, str(source)),
    SourceKind.ARCHIVE: _locked_archive,
    SourceKind.GIT: _locked_commit,
    SourceKind.REGISTRY: _locked_registry,
    SourceKind.SITE: lambda source, around: _web_registry(_web_address(source.place), around),
}


def _named(kind: SourceKind, place: Path, around: Surroundings) -> str:
    """Return the source in a lock for a place on this disk."""
    return str(Source(kind, _relative(place, around.project)))


def _commit(url: GitUrl, folder: str, around: Surroundings) -> TreeIndex:
    repository = around.repository(url)
    pinned = url.at(url.reference if url.pinned else repository.commit, folder)
    load, asked = partial(repository.tree, folder), str(url.at(url.reference, folder))
    return TreeIndex(str(pinned), load, asked, asked=asked, remote=True)


def _web_address(text: str) -> str:
    """Return a URL in its normal form. Raises UsageError if it has a login, a query or a fragment, or no host."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not text.isprintable() or " " in text:
        raise UsageError(f"`{text[:200]}` is not the address of a registry", hint=_SUPPORTED)
    if parts.username is not None or parts.query or parts.fragment:
        from skillpm.index.credentials import token_variable

        raise UsageError(
            f"the address of a registry at {host} has a login, a query or a fragment, and the lock would store it",
            hint=f"set {token_variable(text)} to a token instead, or use ~/.netrc",
        )
    place = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme.lower(), f"{place}:{port}" if port else place, parts.path.rstrip("/"), "", ""))


def _web_registry(url: str, around: Surroundings) -> Index:
    if url.endswith(("/.well-known/agent-skills", "/.well-known/agent-skills/index.json")):
        from skillpm.index.well_known import INDEX, WellKnownIndex

        address = f"{url.partition('/.well-known/')[0]}/{INDEX}"
        return WellKnownIndex(address, around.connections_to(SourceKind.SITE, address), around.pages)
    from skillpm.index.http import HttpIndex

    return HttpIndex(url, around.connections_to(SourceKind.REGISTRY, url), around.pages, around.open_signed)


def _oci_registry(place: str, around: Surroundings) -> Index:
    from skillpm.index.oci_registry import OciRegistry

    return OciRegistry(place, around.connections_to(SourceKind.REGISTRY, place), around.pages)


def _folder(text: str) -> str:
    scheme = _SCHEME.match(text)
    if not scheme and text.endswith(".git") and (Path(text) / "HEAD").is_file():
        raise UsageError(
            f"{text[:200]} is a bare repository", hint=f"write `git+file://{quote(os.path.realpath(text))}`"
        )
    if scheme and scheme[0].lower() != "file:":
        hint = f"write `git+{text[:200]}`" if text.endswith(".git") else _SUPPORTED
        raise RegistryError(f"`{text[:200]}`: this kind of source is not supported by this version", hint=hint)
    if scheme is None:
        return str(typed_path(text))
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise RegistryError(f"`{text[:200]}` names another machine", hint=_SUPPORTED)
    return unquote(parts.path)


def _relative(folder: Path, project: Path) -> str:
    """Return a folder's real path, relative to the project's; the real path of each parent is cached."""
    above, name = os.path.split(folder)
    here = _real(project)
    real = (
        os.path.realpath(folder) if name in ("", ".", "..") or folder.is_symlink() else f"{_real(Path(above))}/{name}"
    )
    if real == here or here.startswith(f"{real}/"):
        return _relative_path(real, here)
    above, name = os.path.split(real)
    relative = _relative_path(above, here)
    return name if relative == "." else f"{relative}/{name}"


@cache
def _relative_path(folder: str, project: str) -> str:
    return Path(os.path.relpath(folder, project)).as_posix()


@cache
def _real(folder: Path) -> str:
    return os.path.realpath(folder)
