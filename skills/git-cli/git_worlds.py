"""Small repositories in which two git commands show whether they do the same.

Every world has a repository and two remotes, and what the expected commands name: their branches, tags and files. The
worlds differ in what decides between commands that often do the same:

    apart     the branches have grown apart, the remote has news, the named files are new
    dirty     the named branches and the remote are behind or ahead only; staged, unstaged, new and lost files
    merged    the named branches are merged, the remote is ahead; the named files are changed
    clashing  branches and remote conflict with the current branch; the named files are staged
    stopped   a merge or a rebase has stopped at a conflict
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from git_names import REMOTES, Names
from git_objects import FIRST_SECOND, PERSON, ObjectStore

KINDS = ("apart", "dirty", "merged", "clashing")
_CLASHING = {"clashing", "stopped"}
CONFIG = """[user]
name = Kim Doe
email = kim@example.org
[core]
logAllRefUpdates = true
[gc]
auto = 0
[maintenance]
auto = false
[pull]
rebase = false
[push]
default = current
[advice]
detachedHead = false
[init]
defaultBranch = main
"""
_NULL = "0" * 40
_DEPTH = 14  # commits of the main branch
_STASHES = 6
_FOLDER = re.compile(r"(^|/)[^/.]+/?$")
_PLAIN_FILE = re.compile(r"(^|/)[A-Z][A-Za-z]*$")


World = dict[str, bytes]
"""Files by path: ``work/…`` is the repository, ``origin/…`` and ``upstream/…`` are remotes, ``store/…`` has objects."""


class WorldBuilder:
    """Builds the worlds of some names."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._store = ObjectStore()
        self._paths = sorted({path for name in names.paths for path in _files_of(name)})
        self._history = self._main_line()

    def build(self, kinds: Sequence[str]) -> dict[str, World]:
        """Return worlds of ``KINDS``, or ``stopped``, which is clashing until somebody merges."""
        worlds = {kind: self._world(kind) for kind in kinds}
        pack, index = self._store.pack()
        for world in worlds.values():
            world |= {"store/pack/pack-1.pack": pack, "store/pack/pack-1.idx": index}
        return worlds

    def _world(self, kind: str) -> World:
        world, new, history = World(), self._names.new, self._history
        chain, local = self._own_work(kind)
        head, theirs, current = chain[-1], self._files(_DEPTH - 1), self._current(kind)
        branches = {"main": history[-1], "old": history[3], current: head}
        remote = {"main": history[-1], "old": history[2], current: self._remote_tip(kind, theirs, head)}
        # what the repository knows of its remotes, with a branch that is gone there: only --prune forgets it
        known = {**remote, current: history[-1], "gone-there": history[4]}
        for number, name in enumerate(name for name in self._names.branches if name != current):
            first, tip = (chain[number],) * 2 if kind == "merged" else self._branch(kind, local, head, name, number)
            elsewhere = first if kind == "dirty" else self._branch("apart", theirs, head, name, number)[1]
            branches[name], known[name], remote[name] = tip, elsewhere, elsewhere
        if kind == "merged":  # somebody else has pushed it before
            known |= {name: head for name in new if name not in known}
            remote |= {name: head for name in new if name not in remote}
        if kind in _CLASHING:  # it is there already
            branches |= {name: history[1] for name in new if name not in branches}
        self._add_repository(world, current, branches, known)
        for place in REMOTES:
            self._add_remote(world, place, remote)
        self._add_stashes(world, head, local)
        self._add_changes(world, kind, local)
        return world

    def _own_work(self, kind: str) -> tuple[list[str], dict[str, str]]:
        """Return the commits that only the current branch has, and the files of the last one."""
        files = {**self._files(_DEPTH - 1), "mine.txt": "mine\n"}
        chain = [self._store.commit(files, self._history[-1:], "my work", 100)]
        if kind == "merged":  # each named branch is a part of the current one
            for number in range(len(self._names.branches)):
                files[f"part-{number}.txt"] = "part\n"
                chain.append(self._store.commit(files, chain[-1:], f"part {number}", 600 + number))
            return chain, files
        files |= {"more.txt": "more\n", **({"shared.txt": "mine\n"} if kind in _CLASHING else {})}
        return [*chain, self._store.commit(files, chain, "more of my work", 101)], files

    def _main_line(self) -> list[str]:
        history: list[str] = []
        for number in range(_DEPTH):
            history.append(self._store.commit(self._files(number), history[-1:], f"work {number}", number))
        return history

    def _files(self, number: int) -> dict[str, str]:
        fixed = dict.fromkeys(
            ("a.txt", "b.txt", "lost.txt", "shared.txt", "sub/c.txt", "kept.txt", "index.txt"), "first\n"
        )
        named = {path: f"{path} {number // 2}\n" for path in self._paths}
        return {**fixed, "step.txt": f"{number}\n", ".gitignore": "/ignored.tmp\n", **named}

    def _current(self, kind: str) -> str:
        if self._names.follows and kind in {"apart", "merged"} and self._names.branches:
            return self._names.branches[-1]
        return "my-work"

    def _remote_tip(self, kind: str, files: dict[str, str], head: str) -> str:
        """Return where the remote's branch of the current one is."""
        if kind == "dirty":
            return self._history[-1]
        theirs = {**files, "theirs.txt": "theirs\n"}
        if kind in _CLASHING:
            theirs["shared.txt"] = "theirs\n"
        return self._store.commit(theirs, [head if kind == "merged" else self._history[-1]], "their work", 102)

    def _branch(self, kind: str, files: dict[str, str], head: str, name: str, number: int) -> tuple[str, str]:
        """Return two commits of a named branch; the second is its tip."""
        age = 4 if kind == "apart" else 3
        base, own = (head, files) if kind == "dirty" else (self._history[-age], self._files(_DEPTH - age))
        own = {**own, f"branch-{number}.txt": f"{name}\n"}
        if kind in _CLASHING:
            own["shared.txt"] = f"{name}\n"
        first = self._store.commit(own, [base], f"begin {name}", 200 + number)
        return first, self._store.commit(
            {**own, f"branch-{number}.md": f"{name}\n"}, [first], f"end {name}", 300 + number
        )

    def _add_repository(
        self, world: World, current: str, branches: Mapping[str, str], known: Mapping[str, str]
    ) -> None:
        tags = self._tags(self._names.tags)
        tags |= {"local-tag": self._history[5], "local-note": self._store.tag("local-note", self._history[-1])}
        remotes = {f"remotes/{place}/{name}": commit for place in REMOTES for name, commit in known.items()}
        _add_references(world, "work/.git", current, {**_heads(branches), **_tagged(tags), **remotes})
        line = f"{_NULL} {branches[current]} {PERSON} {FIRST_SECOND} +0000\tcheckout: moving from old to {current}\n"
        world["work/.git/logs/HEAD"] = line.encode()
        world["work/.git/objects/info/alternates"] = b"../../../store\n"
        config = CONFIG
        for place in REMOTES:
            config += f'[remote "{place}"]\nurl = ../{place}\nfetch = +refs/heads/*:refs/remotes/{place}/*\n'
            config += "receivepack = git receive-pack\nuploadpack = git upload-pack\n"
        for name in branches:
            config += f'[branch "{name}"]\nremote = origin\nmerge = refs/heads/{name}\n'
        world["config"] = config.encode()

    def _add_remote(self, world: World, place: str, branches: Mapping[str, str]) -> None:
        _add_references(world, place, "main", {**_heads(branches), **_tagged(self._tags(self._names.tags))})
        world[f"{place}/config"] = b"[core]\nbare = true\n[receive]\ndenyDeleteCurrent = ignore\n"
        world[f"{place}/objects/info/alternates"] = b"../../store\n"

    def _tags(self, names: Sequence[str]) -> dict[str, str]:
        return {name: self._history[-5 - number % 5] for number, name in enumerate(names)}

    def _add_stashes(self, world: World, head: str, files: dict[str, str]) -> None:
        previous, lines = _NULL, []
        for place in range(_STASHES - 1, -1, -1):  # the last of the log is stash@{0}
            staged = {**files, "index.txt": f"stashed {place}\n"}
            index = self._store.commit(staged, [head], f"index {place}", 400 + place)
            tree = {**staged, "kept.txt": f"stashed {place}\n"}
            stash = self._store.commit(tree, [head, index], f"WIP {place}", 500 + place)
            lines.append(f"{previous} {stash} {PERSON} {FIRST_SECOND} +0000\tWIP {place}\n")
            previous = stash
        world["work/.git/refs/stash"] = f"{previous}\n".encode()
        world["work/.git/logs/refs/stash"] = "".join(lines).encode()

    def _add_changes(self, world: World, kind: str, files: dict[str, str]) -> None:
        index, work = dict(files), dict(files)
        work |= {"new.txt": "new\n", "sub/new.txt": "new\n", "ignored.tmp": "ignored\n"}
        if kind == "dirty":
            index |= {"a.txt": "staged\n", "fresh.txt": "fresh\n"}
            work |= {"a.txt": "staged\nand changed\n", "b.txt": "changed\n", "fresh.txt": "fresh\n"}
            del work["lost.txt"]
        for path in self._paths:
            if kind == "apart":
                del index[path]
            elif kind == "dirty":
                index[path], work[path] = "staged\n", "staged\nand changed\n"
            elif kind == "merged":
                work[path] = "changed\n"
            else:
                index[path] = work[path] = "staged\n"
        world["work/.git/index"] = self._store.index(index)
        world |= {f"work/{path}": text.encode() for path, text in work.items()}


def _heads(commits: Mapping[str, str]) -> dict[str, str]:
    return {f"heads/{name}": commit for name, commit in commits.items()}


def _tagged(commits: Mapping[str, str]) -> dict[str, str]:
    return {f"tags/{name}": commit for name, commit in commits.items()}


def _add_references(world: World, git: str, current: str, references: Mapping[str, str]) -> None:
    world[f"{git}/HEAD"] = f"ref: refs/heads/{current}\n".encode()
    lines = [f"{commit} refs/{name}\n" for name, commit in sorted(references.items())]
    world[f"{git}/packed-refs"] = "".join(["# pack-refs with: sorted\n", *lines]).encode()
    world[f"{git}/refs/.keep"] = b""  # without this folder it is not a repository


def _files_of(name: str) -> list[str]:
    """Return a file for a path, or two for a folder; ``.`` names what is there anyway."""
    path = name.removeprefix("./").rstrip("/")
    if path in {"", "."} or path.startswith(("/", "..", ":")) or "*" in path:
        return []
    folder = name.endswith("/") or (_FOLDER.search(path) is not None and _PLAIN_FILE.search(path) is None)
    beside = [f"{path.rpartition('/')[0]}/aside.txt"] if "/" in path else []  # so that its folder is more than the file
    return [f"{path}/one.py", f"{path}/two.py", *beside] if folder else [path, *beside]
