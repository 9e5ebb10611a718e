"""Runs git commands in a world and reads the state that they leave."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from git_names import REMOTES
from git_objects import FIRST_SECOND, index_entries
from git_worlds import World

_SECONDS = 20
_GIT = shutil.which("git") or "/usr/bin/git"
_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "GIT_EXEC_PATH": str(Path(_GIT).parent),  # git starts itself, and its own folder of programs is out of reach
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_AUTHOR_DATE": f"{FIRST_SECOND + 1000} +0000",
    "GIT_COMMITTER_DATE": f"{FIRST_SECOND + 1000} +0000",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file",
    "LC_ALL": "C",
    "TZ": "UTC",
}
# An editor that fails: what a person would write in it is not known, so nothing may depend on it. Where a stopped merge
# goes on, git's own text is kept.
NO_EDITOR, KEEP_TEXT = "false", ":"
# A worker cannot change the mode of a file, so git cannot rewrite its configuration, and says so.
_NOT_TRACKED = "error: chmod on "
_TRACKED = re.compile(rf"(?:^|=)((?:{'|'.join(REMOTES)})/.+)")
_IN_PROGRESS = ("work/.git/rebase-merge", "work/.git/rebase-apply", "work/.git/sequencer")
_STEPS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_MSG", "SQUASH_MSG", "rebase-merge/onto",
          "rebase-merge/git-rebase-todo", "rebase-merge/orig-head", "config")  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """What commands leave behind.

    Attributes:
        succeeded: did the last command end well?
        repository: HEAD, references, stashes, index, what has stopped, and the files, by name.
        output: what was printed.
    """

    succeeded: bool
    repository: dict[str, object]
    output: str


class Place:
    """A folder in which worlds stand, one after the other. Only what differs is written: files cost more than git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: World = {}
        self._marks: dict[str, tuple[int, ...]] = {}

    def set(self, world: World) -> None:
        """Make the folder a world."""
        for name in _IN_PROGRESS:
            if not any(path.startswith(f"{name}/") for path in world):
                shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in self._files.keys() - world.keys():
            (self.folder / name).unlink(missing_ok=True)
        for name, data in world.items():
            if self._files.get(name) != data:
                self._write(self.folder / name, data)
                self._marks[name] = _mark((self.folder / name).lstat())
        self._files = dict(world)

    def get(self) -> World:
        """Return the world that stands in the folder now."""
        marks = self._scan()
        for name in [name for name in self._files.keys() - marks.keys() if "/objects/" not in name]:
            del self._files[name]
        for name, mark in marks.items():
            if mark != self._marks.get(name):
                self._files[name] = (self.folder / name).read_bytes()
        self._marks = marks
        return dict(self._files)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.unlink(missing_ok=True)  # git makes files that nobody may write
            path.write_bytes(data)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
            _clear_way(self.folder, path)
            path.write_bytes(data)

    def _scan(self) -> dict[str, tuple[int, ...]]:
        """Return what changes with each file, by path. Objects that git adds say nothing, and stay."""
        marks: dict[str, tuple[int, ...]] = {}
        folders = [self.folder]
        start = len(str(self.folder)) + 1
        while folders:
            for entry in os.scandir(folders.pop()):
                if not entry.is_dir(follow_symlinks=False):
                    marks[entry.path[start:]] = _mark(entry.stat(follow_symlinks=False))
                elif entry.name != "objects":
                    folders.append(Path(entry.path))
        return marks


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _clear_way(root: Path, path: Path) -> None:
    """Make the folders of a file, where a file may stand, and remove a folder that stands in its place."""
    for folder in reversed([folder for folder in path.parents if folder.is_relative_to(root)]):
        if folder.is_file():
            folder.unlink()
        folder.mkdir(exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)


class Runner:
    """Runs commands in worlds, below a folder that a worker loses when it ends."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._places: dict[str, Place] = {}

    def run(
        self, kind: str, world: World, commands: Sequence[Sequence[str]], editor: str = NO_EDITOR
    ) -> tuple[State, World]:
        """Run commands in a new copy of a world, until one fails.

        Args:
            kind: of the world; those of one kind differ little.
            world: where they run.
            commands: each with the word ``git`` in front.
            editor: what git starts to edit a message.

        Returns:
            The state afterwards, and the world as it is then.
        """
        place = self._places.setdefault(kind, Place(self._folder / kind))
        place.set(world)
        environment = {**_ENVIRONMENT, "GIT_CONFIG_GLOBAL": str(place.folder / "config"), "HOME": str(place.folder)}
        environment["GIT_EDITOR"] = editor
        succeeded, output, tracking = True, list[str](), list[tuple[bool, list[str]]]()

        def git(*words: str) -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                [_GIT, *words],
                cwd=place.folder / "work",
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )

        if editor == KEEP_TEXT or any(words[1] == "reset" for words in commands):
            git("update-index", "-q", "--refresh")  # `reset --merge` trusts the times in the index
        for words in commands:
            done = git(*words[1:])
            errors = done.stderr.decode(errors="replace")
            output.append(done.stdout.decode(errors="replace"))
            missed = _NOT_TRACKED in errors
            if missed:  # nothing else is missing, but a branch that is new is not the current one yet
                tracking.append(
                    (words[1] in {"switch", "checkout"}, [m[1] for word in words if (m := _TRACKED.search(word))])
                )
            succeeded = done.returncode == 0 or missed
            if not succeeded:
                break
        after = place.get()
        return State(succeeded, {**_repository(after), "tracking": tracking}, "".join(output)), after


def state_of(world: World) -> dict[str, object]:
    """Return the state of a world in which nothing has run."""
    return {**_repository(world), "tracking": []}


def _repository(world: World) -> dict[str, object]:
    state: dict[str, object] = {}
    for name, data in world.items():
        place, _, rest = name.partition("/")
        if place == "work" and not rest.startswith(".git/"):
            state[rest] = data
        elif rest.endswith("packed-refs"):
            state |= _packed(name.removesuffix("packed-refs"), data)
    for name, data in world.items():  # what stands in a file of its own is newer than what is packed
        of_git = name.startswith("work/.git/") or not name.startswith("work/")
        if of_git and "/refs/" in name and "/logs/" not in name and not name.endswith(("/.keep", ".lock")):
            state[name] = data.strip()
    git = "work/.git"
    state["HEAD"] = world[f"{git}/HEAD"]
    state["index"] = index_entries(world[f"{git}/index"]) if f"{git}/index" in world else []
    stashes = world.get(f"{git}/logs/refs/stash", b"").decode().splitlines()
    state["stashes"] = [(line.split(" ")[1], line.partition("\t")[2]) for line in stashes]
    state |= {step: world.get(f"{git}/{step}") for step in _STEPS}
    return state


def _packed(place: str, data: bytes) -> dict[str, object]:
    lines = (line.split(" ") for line in data.decode().splitlines() if not line.startswith(("#", "^")))
    return {f"{place}{name}": commit.encode() for commit, name in lines}
