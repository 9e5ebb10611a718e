"""Every skill as a git repository, so that each client that reads git reads this registry.

Each release is one commit without a parent, made of nothing but the release: same release, same commit, on every
server. Tags name it, ``NAME--vVERSION`` as Claude Code expects and ``vVERSION`` for people; the branch ``main`` is the
release by which the skill is listed. The tree has the skill in ``skills/NAME`` and the manifest of a plugin beside it.

A repository is too small to negotiate about: whoever asks for a commit gets all of it. That makes the protocol short.
Sources: git's pack-format, http-protocol and pack-protocol (version 0, which every client of version 2 still reads).
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from skillpm.layout.tree import Tree
from skillpm.model.release import Page, Release
from skillpm_registry.protocols.semantic import semantic

Entry = tuple[bool, bytes]  # of a file: may it be executed, and its content
MAIN = "refs/heads/main"
_COMMIT, _TREE, _BLOB = 1, 2, 3
_SIZE = re.compile(rb"[0-9a-fA-F]{4}")  # int() would take a sign, too
_KINDS = {_COMMIT: b"commit", _TREE: b"tree", _BLOB: b"blob"}
_BAND = 65_515  # bytes of a pack in one line, with its length and the number of its band
_CAPABILITIES = "side-band-64k shallow no-progress allow-tip-sha1-in-want symref=HEAD:refs/heads/main agent=skillpm"


@dataclass(frozen=True, slots=True)
class Objects:
    """A commit and all that it is made of.

    Attributes:
        commit: its SHA-1 in hex.
        packed: each object as a pack has it, by its SHA-1.
    """

    commit: str
    packed: dict[str, bytes]


def plugin_name(name: str) -> str:
    """Return the name of a skill as a plugin: it has no owner, so an owner becomes the first word."""
    return name.replace("/", "-")


def plugin_manifest(name: str, release: Release) -> dict[str, object]:
    """Return ``plugin.json`` of a release. It is a part of the commit, so it must never change for a release."""
    required = [_dependency(other, specifier) for other, specifier in sorted(release.requires.items())]
    manifest: dict[str, object] = {
        "name": plugin_name(name), "version": semantic(release.version), "description": release.summary,
    }  # fmt: skip
    return manifest | ({"dependencies": required} if required else {})


def _dependency(name: str, specifier: str) -> dict[str, str]:
    """Return a requirement as a plugin states it: a range of node-semver, which has no word for an exclusion."""
    bounds = []
    for clause in SpecifierSet(specifier):
        version = Version(clause.version.removesuffix(".*"))
        if clause.operator == "~=" or (clause.version.endswith(".*") and clause.operator == "=="):
            fixed = version.release[:-1] if clause.operator == "~=" else version.release
            above = Version(".".join(map(str, (*fixed[:-1], fixed[-1] + 1))))
            bounds += [f">={semantic(str(version))}", f"<{semantic(str(above))}"]
        elif clause.operator in (">=", "<=", ">", "<", "=="):
            bounds.append(f"{clause.operator.replace('==', '=')}{semantic(str(version))}")
    plugin = {"name": plugin_name(name)}
    return plugin | ({"version": " ".join(sorted(bounds, reverse=True))} if bounds else {})


def objects_of(name: str, release: Release, tree: Tree) -> Objects:
    """Return the commit of a release."""
    last = name.rpartition("/")[2]
    files = {f"skills/{last}/{path}": (tree.executable(path), tree.read(path)) for path in tree.paths()}
    manifest = json.dumps(plugin_manifest(name, release), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    files[".claude-plugin/plugin.json"] = (False, manifest.encode())
    objects = dict[str, bytes]()
    root = _tree(files, objects)
    who = f"skillpm-registry <registry@localhost> {_seconds(release.published)} +0000"
    text = f"tree {root}\nauthor {who}\ncommitter {who}\n\n{name} {release.version}\n\nTree-Digest: {release.tree}\n"
    commit = _add(objects, _COMMIT, text.encode())
    return Objects(commit, objects)


def _seconds(published: str | None) -> int:
    try:
        return max(0, int(datetime.fromisoformat(published or "").timestamp()))
    except ValueError:
        return 0


def _tree(files: Mapping[str, Entry], objects: dict[str, bytes]) -> str:
    """Add a folder and all below it; return its SHA-1."""
    entries, folders = dict[bytes, tuple[bytes, str]](), dict[str, dict[str, Entry]]()
    for path, (executable, data) in files.items():
        folder, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(folder, {})[rest] = (executable, data)
        else:
            entries[path.encode()] = (b"100755" if executable else b"100644", _add(objects, _BLOB, data))
    for folder, below in folders.items():
        entries[folder.encode() + b"/"] = (b"40000", _tree(below, objects))  # git sorts a folder as if it ended so
    lines = (
        b"%s %s\0%s" % (mode, key.rstrip(b"/"), bytes.fromhex(sha)) for key, (mode, sha) in sorted(entries.items())
    )
    return _add(objects, _TREE, b"".join(lines))


def _add(objects: dict[str, bytes], kind: int, data: bytes) -> str:
    """Add one object in its form for a pack: kind and size in groups of seven bits, then the deflated content."""
    sha = hashlib.sha1(b"%s %d\0" % (_KINDS[kind], len(data)) + data, usedforsecurity=False).hexdigest()
    size, byte, head = len(data) >> 4, kind << 4 | (len(data) & 15), bytearray()
    while size:
        head.append(byte | 128)
        size, byte = size >> 7, size & 127
    head.append(byte)
    objects[sha] = bytes(head) + zlib.compress(data)
    return sha


def pack(some: Iterable[Objects]) -> bytes:
    """Return the pack of some commits."""
    packed = {sha: data for objects in some for sha, data in objects.packed.items()}
    body = b"".join([b"PACK", struct.pack(">II", 2, len(packed)), *packed.values()])
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def references(page: Page, commits: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names and commits of a repository, HEAD first.

    Args:
        page: the releases of the skill.
        commits: by version; a release without one is left out.
    """
    listed, last = page.shown(), plugin_name(page.name)
    found = []
    for release in page.releases:
        if release.version in commits:
            found.append((f"refs/tags/v{release.version}", commits[release.version]))
            if release.usable:  # Claude Code chooses among these
                found.append((f"refs/tags/{last}--v{semantic(release.version)}", commits[release.version]))
    main = commits.get(listed.version) if listed else None
    return [*([("HEAD", main), (MAIN, main)] if main else []), *sorted(set(found))]


def advertisement(refs: list[tuple[str, str]]) -> bytes:
    """Return the answer to ``info/refs?service=git-upload-pack``."""
    lines = [_line(b"# service=git-upload-pack\n"), b"0000"]
    for place, (name, commit) in enumerate(refs):
        lines.append(
            _line(f"{commit} {name}".encode() + (b"\0" + _CAPABILITIES.encode() if not place else b"") + b"\n")
        )
    return b"".join([*lines, b"0000"])


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks of ``git-upload-pack``.

    Attributes:
        wants: commits.
        offers: how many lists of its own commits it ends, each of which wants an answer.
        done: does it want the pack now?
        deepens: does it limit the history?
        banded: can it read an answer of several bands?
    """

    wants: tuple[str, ...]
    offers: int
    done: bool
    deepens: bool
    banded: bool


def read_request(body: bytes) -> Request:
    """Read the body of ``git-upload-pack``. Raises ValueError if it is not one."""
    lines = [line.decode("ascii").strip() for line in _lines(body)]
    end = lines.index("") if "" in lines else len(lines)
    wants = [line.split(" ") for line in lines[:end] if line.startswith("want ")]
    if not wants:
        raise ValueError("it wants nothing")
    return Request(
        tuple(dict.fromkeys(words[1] for words in wants)), lines[end + 1 :].count(""), "done" in lines[end:],
        any(line.startswith("deepen") for line in lines[:end]), "side-band-64k" in wants[0],
    )  # fmt: skip


def answer(request: Request, packed: bytes) -> Iterator[bytes]:
    """Yield the answer to a request: no cut in the history, nothing in common, and the pack once it is asked for."""
    if request.deepens:
        yield b"0000"
    yield _line(b"NAK\n") * (request.offers + request.done)
    if not request.done:
        return
    if not request.banded:
        yield packed
        return
    for start in range(0, len(packed), _BAND):
        yield _line(b"\x01" + packed[start : start + _BAND])
    yield b"0000"


def _line(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def _lines(body: bytes) -> Iterator[bytes]:
    """Yield the lines of a body, and an empty one for each mark of an end."""
    place = 0
    while place < len(body):
        size = int(body[place : place + 4], 16) if _SIZE.fullmatch(body, place, place + 4) else 1
        if size in (1, 2, 3) or place + size > len(body):
            raise ValueError("a line is cut off")
        yield body[place + 4 : place + size]
        place += size or 4
