"""One pass over the bytes of every file: hidden text, orders to an agent, signatures and unreadable files.

Each file is read once, and no more than ``MAX_SIZE`` bytes of all together: what lies beyond is named, not skipped.
The weights of an adapter are numbers, which a rule of its own checks; they do not count.
"""

from __future__ import annotations

import codecs
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from skillpm.layout.hidden import Sighting, sightings
from skillpm.layout.inner import MAX_DEPTH, Bounds, SealedError, members
from skillpm.layout.instructions import instructions
from skillpm.layout.signature import Content, Signature, office_parts, signature
from skillpm.layout.tree import Tree, UnreadableFileError
from skillpm.model.finding import Problem

MAX_SIZE = 20 * 1024 * 1024  # bytes of a whole skill: what an archive may hold
MAX_PLACES = 10  # of one kind in one file; the rest is counted
_DOCUMENTS = (".md", ".mdx", ".rst", ".txt", ".log", ".html", ".ipynb", ".csv", ".tsv", ".json", ".jsonl", ".xml")
_POINTER, _POINTER_SIZE = b"version https://git-lfs.github.com/spec/", 1024  # Git LFS, docs/spec.md
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: ``line`` and ``column`` are 1-based and counted in characters."""

    path: str
    line: int
    column: int
    message: str


@dataclass(slots=True)
class Contents:
    """What the files of one tree hold.

    Attributes:
        places: of what a person does not see, and of what an agent is told, by kind.
        signatures: the files that are not text, by path.
        archives: the bytes of those that are archives.
        opened: how many files were looked at in each archive, in memory.
        sealed: why an archive could not be looked into, by path.
        inner: the paths of the files in opened archives, with the archive's path in front.
        pointers: the files that Git LFS keeps elsewhere.
        opaque: neither text nor a known format.
        unread: why a file could not be read, by path.
        beyond: the first file at which ``MAX_SIZE`` was reached; it and the rest were not looked at.
    """

    places: dict[Enum, list[Place]] = field(default_factory=lambda: defaultdict(list))
    signatures: dict[str, Signature] = field(default_factory=dict)
    archives: dict[str, bytes] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)
    sealed: dict[str, str] = field(default_factory=dict)
    inner: list[str] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    beyond: str | None = None

    def problems(self, kind: Enum, label: str, hint: str) -> Iterator[Problem]:
        """Yield a problem for each place of a kind."""
        for place in self.places.get(kind, ()):
            yield Problem(f"{label}: {place.message}", place.line, place.path, hint, place.column)


def read_contents(tree: Tree, known: Mapping[str, bytes], weights: Container[str] = ()) -> Contents:
    """Look at every file of a tree but the weights; ``known`` are those whose bytes were read already."""
    contents, left, bounds = Contents(), MAX_SIZE, Bounds()
    for path in (path for path in tree.paths() if path not in weights):
        data = known.get(path)
        if data is None:
            try:
                data = tree.head(path, left + 1)
            except UnreadableFileError as error:
                contents.unread[path] = error.reason
                continue
        left -= len(data)
        if left < 0:
            contents.beyond = path
            break
        _look(contents, path, data)
        _open(contents, path, bounds)
    return contents


def _open(contents: Contents, path: str, bounds: Bounds, depth: int = 1) -> None:
    """Look at the files of an archive as at those beside it; office documents have a rule of their own."""
    data = contents.archives.get(path)
    if data is None or office_parts(data) is not None:
        return
    try:
        if depth > MAX_DEPTH:
            raise SealedError(f"is in {MAX_DEPTH} others")
        listed = members(data, path, contents.signatures[path].name, bounds)
    except SealedError as error:
        contents.sealed[path] = str(error)
        return
    contents.opened[path] = len(listed)
    for name, content in listed:
        inner = f"{path}/{name}"
        contents.inner.append(inner)
        _look(contents, inner, content)
        _open(contents, inner, bounds, depth + 1)


def _look(contents: Contents, path: str, data: bytes) -> None:
    known, text = signature(data, path), _text(data)
    # Some formats begin with letters, such as BM: a text that begins with them is read as text all the same.
    if known is not None and (text is None or known.content is not Content.MEDIA):
        contents.signatures[path] = known
        if known.content is Content.ARCHIVE:
            contents.archives[path] = data
        return
    if text is None:
        contents.opaque.append(path)
        return
    if data.startswith(_POINTER) and len(data) < _POINTER_SIZE:
        contents.pointers.append(path)
    seen: dict[Enum, list[Sighting]] = defaultdict(list)
    for sighting in (*sightings(text, data, quoting=path.lower().endswith(_DOCUMENTS)), *instructions(text)):
        seen[sighting.what].append(sighting)
    for what, listed in seen.items():
        contents.places[what] += _places(path, text, sorted(listed, key=lambda sighting: sighting.position))


def _text(data: bytes) -> str | None:
    """Return the text of a file; UTF-16 is told by its mark, and NUL is not text."""
    try:
        if data[:2] in _UTF16:
            return data.decode(_UTF16[data[:2]])
        return None if b"\0" in data else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _places(path: str, text: str, listed: list[Sighting]) -> list[Place]:
    places, line, last = [], 1, 0
    for sighting in listed[:MAX_PLACES]:
        line += text.count("\n", last, sighting.position)
        last = sighting.position
        column = last - (text.rfind("\n", 0, last) + 1) + 1
        places.append(Place(path, line, column, sighting.message))
    if len(listed) > MAX_PLACES:
        end = places[-1]
        more = f"{end.message}; and {len(listed) - MAX_PLACES} more places in this file"
        places[-1] = Place(path, end.line, end.column, more)
    return places
