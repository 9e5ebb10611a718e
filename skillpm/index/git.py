"""A skill in a git repository at one commit: read with the system's git, object by object, never checked out.

No part of a repository can run or be followed. There is no work tree, so hooks, filters, submodules and links have no
effect; a link to a file of the same skill is read as that file. Only three protocols are allowed. git has no terminal,
so it cannot ask questions. Clones are bare, as shallow as the server allows, and kept in the cache under the digest of
their address.

A tree is read in two calls of git. ``ls-tree -r -l -z`` gives the mode, the object and the size of every path, so
limits are checked before any content is read, and its lines are counted while they come. ``cat-file --batch`` then
gives the contents of all files: a line ``OBJECT blob SIZE``, SIZE bytes and a newline for each, in the order of the
request. One call for each file would take minutes for a large repository, and ``git archive`` would apply the
repository's own export attributes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO

from skillpm.errors import IntegrityError, RegistryError, UsageError
from skillpm.index.git_url import GitUrl, is_commit
from skillpm.index.pages import MAX_ARCHIVE, ONLINE_ONCE
from skillpm.layout.discovery import deep_folders, skill_folders, too_deep
from skillpm.layout.tree import MappingTree, Tree, left_out, linked_file
from skillpm.model.name import did_you_mean
from skillpm.storage.process_lock import locked

WAIT = 600.0  # seconds for one call of git
MAX_FILES = 200_000  # of one commit, and references of a repository
MAX_LISTING = 1 << 26  # bytes of their names and the rest of a listing
_CHUNK = 1 << 20
_SHOWN = 10  # folders that one message names
_ALONE = "git must be able to read it without a question"
_ABBREVIATED = re.compile(r"[0-9a-f]{7,63}\Z")
_LINK = "120000"
_KINDS = {_LINK: "symlink", "160000": "submodule"}
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "initial",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    "protocol.file.allow": "always",
}


_VANISHED = (
    "couldn't find remote ref",
    "does not appear to be a git repository",
    "not found",
    "does not exist",
    "no default branch",
)


def _not_cached(url: GitUrl) -> RegistryError:
    return RegistryError(f"{url} is not in the cache, and `--offline` forbids fetching it", hint=ONLINE_ONCE)


class GitRepository:
    """One repository at one commit, cloned into a folder of ``cache``. The folder of ``url`` is ignored."""

    def __init__(
        self, url: GitUrl, cache: Path, *, offline: bool = False, permit: Callable[[], None] = lambda: None
    ) -> None:
        self.url = url
        self._permit = permit  # raises before a request that the policies forbid
        self._clone = cache / f"{hashlib.sha256(url.address.encode()).hexdigest()[:32]}.git"
        self._offline = offline

    @cached_property
    def commit(self) -> str:
        """The commit, 40 or 64 hex digits, fetched into the cache.

        Raises:
            RegistryError: git is missing or fails, or there is no such commit.
        """
        wanted = self.url.reference
        with locked(self._clone.with_suffix(".lock")):
            with suppress(OSError):
                os.utime(self._clone)  # marks it as used, so that a clean-up keeps it
            if self.url.pinned and self._resolved(wanted):
                return wanted
            reference = _cached(wanted)
            if self._offline:
                commit = self._resolved(reference)
                if commit is None:
                    raise _not_cached(self.url)
                return commit
            self._permit()
            return self._fetched(wanted, reference)

    def first_of(self, references: list[str]) -> str | None:
        """Return the first of some branches and tags that the repository has; offline, that the cache has.

        Raises:
            RegistryError: git is missing or fails; offline, the cache has none of them.
        """
        if self._offline:
            for name in references:
                if self._resolved(_cached(name)):
                    return name
            raise _not_cached(self.url)
        self._permit()
        try:
            listed = self._listed("ls-remote", "--", self.url.address, end=b"\n", inside=False)
        except RegistryError as error:
            error.hint = error.hint or f"check the address; {_ALONE}"
            raise
        known = {line.decode("utf-8", "replace").partition("\t")[2].removesuffix("^{}") for line in listed}
        places = ("", "refs/heads/", "refs/tags/")
        return next((name for name in references if any(f"{place}{name}" in known for place in places)), None)

    def folders(self, base: str) -> list[str]:
        """Return the skills' folders at or below a folder, relative to the repository; "" is the repository.

        A folder that is not there may be the end of one skill's folder: ``pdf`` is ``skills/pdf``. If there is no
        skill, return the folder itself, so that the check reports its errors.

        Raises:
            UsageError: there is no such folder.
            RegistryError: git fails.
        """
        prefix = f"{base}/" if base else ""
        below = [path.removeprefix(prefix) for path in self._files if path.startswith(prefix)]
        if not below:
            ends = [folder for folder in skill_folders(self._files) if folder.endswith(f"/{base}")]
            if len(ends) == 1:
                return ends
            raise self._no_folder(base, ends)
        return [f"{prefix}{folder}".rstrip("/") for folder in skill_folders(below)] or [base]

    def overlooked(self, base: str) -> list[str]:
        """Return a sentence for each submodule, each link to a folder with skills, and the skills too deep to be found.

        Nothing of it is followed. What is inside a skill is a matter of its check.
        """
        folders = [folder for folder in self.folders(base) if f"{folder}/SKILL.md".lstrip("/") in self._files]
        below = [
            (path, mode, name)
            for path, (mode, name, _) in self._files.items()
            if mode in _KINDS
            and (not base or path == base or path.startswith(f"{base}/"))
            and not any(not folder or path.startswith(f"{folder}/") for folder in folders)
        ]
        blobs = self._blobs({name for _, mode, name in below if mode == _LINK})
        sentences = []
        for path, mode, name in below:
            if mode != _LINK:
                sentences.append(f"`{path}` is a submodule: its skills are not here; install from its own repository")
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(path), blobs[name].decode("utf-8", "replace")))  # noqa: PTH118, PTH120
            if any(file.startswith(f"{target}/") and file.endswith("/SKILL.md") for file in self._files):
                sentences.append(f"`{path}` is a link to `{target}`, which is not followed")
        prefix = f"{base}/" if base else ""
        paths = (path.removeprefix(prefix) for path in self._files if path.startswith(prefix))
        return [*sentences, *too_deep([f"{prefix}{folder}" for folder in deep_folders(paths)])]

    def has(self, path: str) -> bool:
        """Has the commit this file? Raises RegistryError."""
        return path in self._files

    def tree(self, folder: str) -> Tree:
        """Return the files of one folder.

        Raises:
            UsageError: there is no such folder.
            IntegrityError: it is larger than a skill may be.
            RegistryError: git fails.
        """
        prefix = f"{folder}/" if folder else ""
        below = {path.removeprefix(prefix): entry for path, entry in self._files.items() if path.startswith(prefix)}
        if not below:
            raise self._no_folder(folder)
        entries = {path: entry for path, entry in below.items() if not left_out(path)}
        regular = {path: (mode, name) for path, (mode, name, _) in entries.items() if mode not in _KINDS}
        links = {path: name for path, (mode, name, _) in entries.items() if mode == _LINK}
        if sum(size for _, _, size in entries.values()) > MAX_ARCHIVE:
            raise IntegrityError(
                f"{self.url}: `{folder or '.'}` has more than {MAX_ARCHIVE} bytes",
                hint="name a smaller folder after `#subdirectory=`",
            )
        contents = self._blobs({*links.values(), *(name for _, name in regular.values())})
        for path, name in links.items():
            file = linked_file(path, contents[name].decode("utf-8", "replace"), entries)
            if file is not None and entries[file][0] not in _KINDS:
                regular[path] = entries[file][:2]
        return MappingTree(
            {path: contents[name] for path, (_, name) in regular.items()},
            frozenset(path for path, (mode, _) in regular.items() if mode == "100755"),
            {path: _KINDS[mode] for path, (mode, _, _) in entries.items() if mode in _KINDS and path not in regular},
        )

    def _no_folder(self, folder: str, ends: Sequence[str] = ()) -> UsageError:
        kind = _KINDS.get(self._files[folder][0]) if folder in self._files else None
        what = f"there is no folder `{folder}`" if folder else "there is nothing"
        what = f"`{folder}` is a {kind}, which is not followed," if kind else what
        hint = f"name one of {', '.join(ends[:_SHOWN])}" if ends else ""
        return UsageError(
            f"{self.url}: {what} at {self.commit[:12]}",
            hint=hint or did_you_mean(folder, skill_folders(self._files), "check the folder of the skill"),
        )

    @cached_property
    def _files(self) -> dict[str, tuple[str, str, int]]:
        """The entries of the commit that are not folders: path to mode, object and size."""
        files = {}
        for line in self._listed("ls-tree", "-r", "-l", "-z", "--full-tree", self.commit, end=b"\0"):
            facts, _, path = line.partition(b"\t")
            mode, _, name, size = facts.decode("ascii").split()
            files[path.decode("utf-8", "surrogateescape")] = mode, name, int(size) if size.isdecimal() else 0
        return files

    def _blobs(self, names: set[str]) -> dict[str, bytes]:
        """Return the contents of objects, in one call."""
        objects = sorted(names)
        answer = self._git("cat-file", "--batch", stdin="".join(f"{name}\n" for name in objects).encode())
        contents, offset = {}, 0
        for name in objects:
            end = answer.find(b"\n", offset)
            head = answer[offset:end].split()
            if len(head) != 3 or head[1] != b"blob":
                raise RegistryError(
                    f"{self.url}: git does not return the object {name}", hint="remove it from the cache"
                )
            start, size = end + 1, int(head[2])
            contents[name] = answer[start : start + size]
            offset = start + size + 1
        return contents

    def _fetched(self, wanted: str, reference: str) -> str:
        """Fetch one commit, or the whole history for an abbreviated commit, which no server resolves."""
        self._init()
        for folder in (self._clone, self._clone / "refs" / "skillpm"):
            for lock in folder.glob("*.lock"):  # of a killed git; our lock keeps other processes away
                lock.unlink(missing_ok=True)
        problem = self._fetch(f"+{wanted}:{reference}")
        named_so = self.url.pinned and len(wanted) == 64 and "find remote ref" in (problem or "")
        if problem and (named_so or "mismatched algorithms" in problem):  # the names of its objects are in SHA-256
            shutil.rmtree(self._clone, ignore_errors=True)
            self._init("--object-format=sha256")
            problem = self._fetch(f"+{wanted}:{reference}")
        if problem and wanted == "HEAD" and problem.endswith("find remote ref HEAD"):
            problem = "the repository has no default branch, or no commit"
        commit = None if problem else self._resolved(reference)
        if commit is None and _ABBREVIATED.match(wanted):
            deeper = ["--unshallow"] if (self._clone / "shallow").is_file() else []
            problem = self._fetch("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", options=deeper)
            commit = None if problem else self._resolved(wanted)
        if commit is None:
            raise RegistryError(
                f"{self.url}: {problem or f'there is no commit `{wanted}`'}",
                hint=f"check the address and the reference after `@`; {_ALONE}",
                vanished=problem is None or any(sign in problem for sign in _VANISHED),
            )
        return commit

    def _init(self, *options: str) -> None:
        self._git("init", "--quiet", "--bare", "--template=", *options, "--", str(self._clone), inside=False)

    def _fetch(self, *references: str, options: Sequence[str] = ("--depth=1",)) -> str | None:
        """Fetch; return git's error message, or None."""
        command = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", *options]
        process = self._run([*command, "--", self.url.address, *references])
        return _reason(process.stderr) if process.returncode else None

    def _resolved(self, name: str) -> str | None:
        """Return the commit of a name in the clone, or None."""
        if not (self._clone / "HEAD").is_file():
            return None
        process = self._run(["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"])
        commit = process.stdout.decode("ascii", "replace").strip()
        return commit if process.returncode == 0 and is_commit(commit) else None

    def _git(self, *arguments: str, stdin: bytes = b"", inside: bool = True) -> bytes:
        process = self._run(arguments, stdin=stdin, inside=inside)
        if process.returncode:
            raise RegistryError(f"{self.url}: git {arguments[0]} failed: {_reason(process.stderr)}")
        return process.stdout

    def _listed(self, *arguments: str, end: bytes, inside: bool = True) -> list[bytes]:
        """Return what git lists, without the byte that ends each item.

        git is ended as soon as it has listed too much: a few objects can name 10^8 paths.
        """
        listing, count = bytearray(), 0
        with (
            tempfile.TemporaryFile() as errors,
            self._started(arguments, subprocess.DEVNULL, errors, inside=inside) as process,
        ):
            assert process.stdout is not None
            timer = threading.Timer(WAIT, process.kill)
            timer.start()
            try:
                while chunk := os.read(process.stdout.fileno(), _CHUNK):
                    listing += chunk
                    count += chunk.count(end)
                    if count > MAX_FILES or len(listing) > MAX_LISTING:
                        what = f"{MAX_FILES} files" if count > MAX_FILES else f"{MAX_LISTING} bytes of names"
                        raise RegistryError(f"{self.url} has more than {what}", hint="use a smaller repository")
                if process.wait():
                    errors.seek(0)
                    raise RegistryError(f"{self.url}: git {arguments[0]} failed: {_reason(errors.read())}")
            finally:
                timer.cancel()
                process.kill()
        return bytes(listing).split(end)[:-1]

    def _run(
        self, arguments: Sequence[str], *, stdin: bytes = b"", inside: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        with self._started(arguments, subprocess.PIPE, subprocess.PIPE, inside=inside) as process:
            try:
                output, errors = process.communicate(stdin, WAIT)
            except subprocess.TimeoutExpired:
                raise RegistryError(f"{self.url}: git took more than {WAIT:.0f} seconds", hint="try again") from None
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def _started(
        self, arguments: Sequence[str], stdin: int, stderr: int | IO[bytes], *, inside: bool
    ) -> subprocess.Popen[bytes]:
        program = shutil.which("git")
        if program is None:
            raise RegistryError(f"{self.url}: git is not installed", hint="install git, then run the command again")
        settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        words = [program, *settings, *([f"--git-dir={self._clone}"] if inside else []), *arguments]
        try:
            return subprocess.Popen(
                words, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=_environment(), start_new_session=True
            )
        except OSError as error:
            raise RegistryError(f"{self.url}: git cannot be started: {error.strerror}") from None


def _cached(reference: str) -> str:
    """Return the name that a reference has in the clone of the cache."""
    return f"refs/skillpm/{hashlib.sha256(reference.encode()).hexdigest()[:16]}"


def _reason(stderr: bytes) -> str:
    """Return git's own reason; forges ask for a login where a repository is missing or private."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    if any("could not read Username" in line or "Repository not found" in line for line in lines):
        return "there is no such repository, or it is private"
    errors = [number for number, line in enumerate(lines) if line.startswith(("fatal: ", "error: "))]
    if errors and errors[0] and "Could not read from remote repository" in lines[errors[0]]:
        return lines[errors[0] - 1].strip()  # what ssh says stands before git's own line
    return lines[errors[0]].partition(": ")[2] if errors else f"git failed: {lines[-1] if lines else 'no reason given'}"


def _environment() -> dict[str, str]:
    """Return an environment in which git belongs to no other repository and asks no questions."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key in _KEPT}
    return {
        **variables,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


_KEPT = frozenset(
    {"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"}
)
