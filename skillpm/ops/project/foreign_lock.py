"""Reads the locks of other skill managers: a requirement for each entry, or the reason why there is none.

Sources: vercel-labs/skills ``src/local-lock.ts`` (skills-lock.json version 1) and ``src/skill-lock.ts``
(.skill-lock.json version 3); microsoft/apm ``deps/_locked_dependency.py`` (apm.lock.yaml versions 1 and 2).

Such files come from any repository, so nothing in them is trusted: each address, reference and path must have the
plainest form. Their digests cover other data than ours and are dropped; a commit is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from skillpm.errors import DocumentError, LockOutOfDateError, PluginError
from skillpm.formats.strict import strict_json
from skillpm.formats.strict_yaml import read_yaml
from skillpm.formats.utf8_text import utf8_text
from skillpm.index.git_url import is_commit
from skillpm.model.lock import conflicted
from skillpm.model.name import is_name
from skillpm.model.ports import ForeignLock, Imported, Importer, Skipped
from skillpm.model.source import git_place
from skillpm.runtime.collect import Given
from skillpm.runtime.guarded import blaming
from skillpm.runtime.host import Host
from skillpm.storage.files import DiskErrors, refuse_unending

BUILT_IN = ("skills-lock.json", ".skill-lock.json", "apm.lock.yaml")
_KNOWN = f"known are {', '.join(BUILT_IN)}, and the files that plugins read; `skillpm plugins` lists the plugins"
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){1,4}\Z")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\Z")
_URL = re.compile(
    r"(?:https://|ssh://git@)[a-z0-9][a-z0-9.-]{0,252}(?::\d{1,5})?(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]{0,99}){1,8}/?\Z"
)
_SHORT = re.compile(r"git@([a-z0-9][a-z0-9.-]{0,252}):([A-Za-z0-9_~][A-Za-z0-9._~/-]{0,250})\Z")
_REFERENCE = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+-]|/(?![./])){0,199}\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+ -]{0,99}\Z")
_MAX_PATH = 240  # characters of a path inside a repository
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com"}


class _CannotTakeError(Exception):
    """An entry has no requirement."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def read_foreign_lock(text: str, path: Path) -> ForeignLock:
    """Read a lock. The suffix of its file decides between YAML and JSON, and local skills are below the file's folder.

    Raises:
        DocumentError: it is not a known lock.
        LockOutOfDateError: its version is not known.
    """
    if path.suffix in (".yaml", ".yml"):
        return _collected("apm.lock.yaml", _apm(read_yaml(text, path=str(path)), path))
    return _skills(text, path)


def _collected(form: str, entries: Iterable[Imported | Skipped]) -> ForeignLock:
    taken: dict[str, Imported] = {}
    left: list[Skipped] = []
    for entry in entries:
        if isinstance(entry, Skipped):
            left.append(entry)
        elif not 0 < len(entry.requirement) <= MAX_REQUIREMENT or not entry.requirement.isprintable():
            left.append(Skipped(entry.name, "its requirement is not one line of text"))
        else:
            taken.setdefault(entry.requirement, entry)
    return ForeignLock(form, tuple(taken.values()), tuple(left))


def _or_skipped(name: str, read: Iterator[Imported]) -> Iterator[Imported | Skipped]:
    """Yield what an entry gives, and the reason where it gives nothing more."""
    try:
        yield from read
    except _CannotTakeError as refusal:
        yield Skipped(name, refusal.reason, refusal.remedy)


def _skills(text: str, path: Path) -> ForeignLock:
    """Read one of the two locks of vercel-labs/skills, which share their form."""
    try:
        root = strict_json(text)
    except ValueError as error:
        reason = f"not JSON: {error}" if text.strip() else "the file is empty"
        raise DocumentError(reason, path=str(path), hint=_KNOWN) from None
    if not isinstance(root, dict) or not isinstance(root.get("skills"), dict):
        raise DocumentError("is not a known lock", path=str(path), hint=_KNOWN)
    _refuse_version(root.get("version"), ("1", "3"), path)
    form = "skills-lock.json" if root["version"] == 1 else ".skill-lock.json"
    read = (_or_skipped(str(name)[:200], _skill(str(name), entry, path)) for name, entry in root["skills"].items())
    return _collected(form, chain.from_iterable(read))


def _skill(name: str, entry: Any, path: Path) -> Iterator[Imported]:
    if not isinstance(entry, dict):
        raise _CannotTakeError("the entry is not an object")
    if not is_name(name):
        raise _CannotTakeError("that is not a skill name")
    kind, source = _text(entry, "sourceType"), _text(entry, "source")
    if kind == "local":
        yield Imported(name, _local(source, path), pinned=True)
        return
    if kind == "well-known":
        raise _CannotTakeError(
            "it comes from a web site's own list",
            f"`skillpm install {name} --registry https://{source}`" if _HOST.match(source) else "",
        )
    if kind not in ("github", "gitlab", "git"):
        raise _CannotTakeError(f"sources of the kind `{kind[:40]}` are not known")
    address = _address(source, _HOSTS.get(kind, ""), _text(entry, "sourceUrl"))
    reference, skill_path = _text(entry, "ref"), _text(entry, "skillPath")
    if not skill_path:
        raise _CannotTakeError(
            "it does not name the skill's folder in the repository",
            f"`skillpm install {git_place(address)} --skill {name}`",
        )
    folder = re.sub(r"(?:\A|/)(?:SKILL|skill)\.md\Z", "", skill_path)
    yield Imported(name, _requirement(address, reference, folder), pinned=is_commit(reference))


def _apm(root: Any, path: Path) -> Iterator[Imported | Skipped]:
    if not isinstance(root, dict) or not isinstance(root.get("dependencies", []), list):
        raise DocumentError("is not an apm.lock.yaml", path=str(path))
    _refuse_version(root.get("lockfile_version", "1"), ("1", "2"), path)
    for entry in root.get("dependencies", []):
        label = entry.get("name") or entry.get("repo_url") if isinstance(entry, dict) else None
        yield from _or_skipped(str(label)[:200] if isinstance(label, str) else "?", _package(entry, path))
    servers = root.get("mcp_servers") or []
    for name in servers if isinstance(servers, list) else []:
        yield Skipped(str(name)[:200], "it is an MCP server, not a skill")


def _package(entry: Any, path: Path) -> Iterator[Imported]:
    if not isinstance(entry, dict):
        raise _CannotTakeError("the entry is not a mapping")
    kind = _text(entry, "package_type")
    if kind not in ("claude_skill", "hybrid", "skill_bundle"):
        raise _CannotTakeError(f"it is a package of the kind `{kind[:40] or '?'}`; skillpm takes skills only")
    if _text(entry, "registry_prefix") or _text(entry, "is_insecure") == "true":
        raise _CannotTakeError("it comes through a proxy, or without encryption")
    inside = _text(entry, "virtual_path")
    folders = [inside] if kind != "skill_bundle" else [f"{inside}/skills/{name}" for name in _bundle(entry)]
    if _text(entry, "source") == "local":
        place = _text(entry, "anchored_local_path") or _text(entry, "local_path")
        for folder in folders:
            inner = f"{place}/{folder}".rstrip("/")
            yield Imported(_last(inner), _local(inner, path), pinned=True)
        return
    address = _address(_text(entry, "repo_url"), _text(entry, "host") or "github.com", "")
    commit = _text(entry, "resolved_commit")
    reference = commit if is_commit(commit) else _text(entry, "resolved_ref")
    pinned = is_commit(reference)
    for folder in folders:
        yield Imported(_last(folder) or _last(address), _requirement(address, reference, folder), pinned=pinned)


def _bundle(entry: Mapping[str, Any]) -> list[str]:
    """Return the names of a bundle's skills: the chosen ones, else the deployed ones."""
    chosen, deployed = entry.get("skill_subset"), entry.get("deployed_files")
    names = {name for name in chosen if isinstance(name, str)} if isinstance(chosen, list) else set()
    for file in deployed if not names and isinstance(deployed, list) else ():
        parts = str(file).split("/")
        if "skills" in parts[:-1]:
            names.add(parts[parts.index("skills") + 1])
    if not names or not all(map(is_name, names)):
        raise _CannotTakeError("it is a bundle that does not list the skills that it uses")
    return sorted(names)


def _refuse_version(version: Any, known: tuple[str, ...], path: Path) -> None:
    if isinstance(version, bool) or not isinstance(version, int | str) or str(version) not in known:
        shown = str(version)[:40] if isinstance(version, int | str) else "?"
        raise LockOutOfDateError(
            f"{path} has version {shown}; known are {' and '.join(known)}",
            hint="write it again with its own manager, or upgrade skillpm-core",
        )


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if isinstance(value, bool):
        return "true" if value else ""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _CannotTakeError(f"`{key}` is not text")
    return str(value)


def _address(source: str, host: str, url: str) -> str:
    """Return the https or ssh address of a repository, in its plainest form."""
    for text in (url, source):
        short = _SHORT.match(text)
        whole = f"ssh://git@{short[1]}/{short[2]}" if short else text
        if _URL.match(whole) and "/.." not in whole:
            return whole.rstrip("/")
    place = source.removeprefix(f"{host}/").removesuffix(".git")
    if not _HOST.match(host) or not _REPOSITORY.match(place) or "/.." in place:
        raise _CannotTakeError("its source is not the address of a repository")
    return f"https://{host}/{place}.git"


def _requirement(address: str, reference: str, folder: str) -> str:
    if reference and (not _REFERENCE.match(reference) or ".." in reference or reference.endswith((".lock", "/", "."))):
        raise _CannotTakeError("its reference is not a branch, a tag or a commit")
    steps = [step for step in folder.split("/") if step]
    if len(folder) > _MAX_PATH or any(step in (".", "..") or not _SEGMENT.match(step) for step in steps):
        raise _CannotTakeError("its folder is not a path inside a repository")
    return git_place(address, reference, quote("/".join(steps)))


def _local(place: str, path: Path) -> str:
    """Return the path of a skill below the lock's folder, relative to the working directory."""
    here = path.parent.resolve()
    if not place or not place.isprintable() or "\\" in place or len(place) > _MAX_PATH:
        raise _CannotTakeError("its source is not a path")
    target = (here / place).resolve()
    if PurePosixPath(place).is_absolute() or not target.is_relative_to(here):
        raise _CannotTakeError("it is outside the folder of the lock", "review it, then run `skillpm install PATH`")
    if not target.is_dir():
        raise _CannotTakeError(f"there is no folder {place}", "restore it, then try again")
    relative = Path(os.path.relpath(target)).as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


def _last(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[2].removesuffix(".git")


MAX_LOCK = 4 << 20  # bytes
MAX_REQUIREMENT = 2048  # characters


def import_lock(path: Path, host: Callable[[], Host]) -> ForeignLock:
    """Return the requirements of a foreign lock, and the reasons for skipped entries; nothing is written.

    A plugin never reads the names of built-in locks, so ``host`` does not load the plugins for them. It reads files of
    its own name; any other file is parsed as a built-in lock.

    Raises:
        StorageError: the file cannot be read.
        DocumentError: it is too large, not text, or not a known lock.
        LockOutOfDateError: it has conflict markers or an unknown version.
        PluginError: two plugins read files of this name, or the plugin failed.
    """
    text = _read(path)
    if conflicted(text):
        raise LockOutOfDateError(f"{path} has conflict markers", hint="take one side with git, then try again")
    importer = None if path.name in BUILT_IN else host().importer(path.name)
    return read_foreign_lock(text, path) if importer is None else _ask(importer, text, path)


def _read(path: Path) -> str:
    refuse_unending(path)
    with DiskErrors("read", path), path.open("rb") as file:
        data = file.read(MAX_LOCK + 1)
    return utf8_text(data, str(path), most=MAX_LOCK).removeprefix("\ufeff")


def _ask(importer: Given[Importer], text: str, path: Path) -> ForeignLock:
    """Let a plugin read a lock, and check its entries again: they come from somebody's repository."""
    who = f"{importer.plugin}: importer `{importer.record.name}`"
    with blaming(importer.plugin, who):
        entries = list(importer.record.read(text, path))
    for entry in entries:
        if not isinstance(entry, Imported | Skipped):
            raise PluginError(
                f"{who}: returned a {type(entry).__name__}, not an Imported or Skipped", plugin=importer.plugin
            )
    return _collected(path.name, entries)
