"""The address of a git repository, a commit and a folder: ``git+URL[@ref][#subdirectory=…]``.

Text that git could take for an option, a program or another protocol is refused here, before git starts.
Sources: PEP 440 (direct references), gitrevisions(7), git-check-ref-format(1).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from skillpm.errors import UsageError
from skillpm.model.source import SUBDIRECTORY, cut_reference

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SCP = re.compile(r"(?:git\+)?([A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9.-]+):(?!/)([^:]+)\Z")
_REFERENCE = re.compile(r"(?![-+./])[^\s~^:?*\[\\]{1,200}(?<![./])\Z")
_NO_REFERENCE = re.compile(r"\.\.|//|/\.|@\{|\.lock(?:/|\Z)")
_KEY = re.compile(r"#[A-Za-z_]+=")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\Z|[0-9a-f:.]+\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_SCHEMES = ("https", "ssh", "file")
_FORM = "write `git+https://host/repository@ref#subdirectory=folder`, also with git+ssh:// or git+file://"


def is_git(text: str) -> bool:
    """Is this text the address of a git repository?"""
    return text.startswith(("git+", "git@")) or _SCP.match(text) is not None


def is_web(text: str) -> bool:
    """Is this text the URL of a web page?"""
    return text.lower().startswith(("http://", "https://"))


def is_commit(text: str) -> bool:
    """Is this a full commit name, in SHA-1 or SHA-256?"""
    return _COMMIT.match(text) is not None


@dataclass(frozen=True, slots=True)
class GitUrl:
    """A repository, a commit and a folder.

    Attributes:
        address: for git: https, ssh or file.
        reference: a branch, a tag or a commit; ``HEAD`` by default.
        subdirectory: posix, without slashes at its ends; empty for the whole repository.
        text: ``address`` in a lock: the same, but a file's path is relative to the project.
    """

    address: str
    reference: str
    subdirectory: str
    text: str

    @classmethod
    def parse(cls, text: str, project: Path) -> GitUrl:
        """Parse ``git+URL`` or ``user@host:path``; ``git+file:../x`` is relative to the project.

        Raises:
            UsageError: it is not such an address, or git must not see it.
        """
        short = _SCP.match(text)
        whole = f"ssh://{short[1]}/{short[2]}" if short else text.removeprefix("git+")
        if not whole.isprintable() or " " in whole or "\\" in whole:
            raise _refused(text, "has a space, a backslash or a control character", "; write a space as `%20`")
        place, folder, inside = whole.partition(SUBDIRECTORY)
        try:
            parts = urlsplit(place)
        except ValueError:
            raise _refused(text, "has no valid host") from None
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        path, written = cut_reference(parts.path)
        if fragment and (written is None or _KEY.match(fragment)):
            raise _refused(text, f"has `{fragment[:80]}` at its end")
        reference = "HEAD" if written is None else written + fragment  # a branch may have a `#` in its name
        if parts.scheme not in _SCHEMES or parts.query:
            raise _refused(text, f"is not one of {', '.join(f'git+{scheme}' for scheme in _SCHEMES)}")
        if not _REFERENCE.match(reference) or _NO_REFERENCE.search(reference):
            what = f"`{reference[:80]}` as a branch, a tag or a commit" if reference else "nothing after its `@`"
            raise _refused(text, f"has {what}")
        address, shown = (
            _file(path, parts.netloc, project, text) if parts.scheme == "file" else _host(parts, path, text)
        )
        return cls(address, reference, _subdirectory(inside, text) if folder else "", shown)

    @property
    def pinned(self) -> bool:
        """Does it name one commit?"""
        return is_commit(self.reference)

    def at(self, commit: str, folder: str) -> GitUrl:
        """Return the same repository at a commit, with the folder of a skill."""
        return replace(self, reference=commit, subdirectory=folder)

    def __str__(self) -> str:
        folder = f"#subdirectory={quote(self.subdirectory)}" if self.subdirectory else ""
        return f"git+{self.text}@{self.reference}{folder}"


def _host(parts: SplitResult, path: str, text: str) -> tuple[str, str]:
    """Return the address for git and for a lock, which are the same, of a remote repository."""
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(text, "has a port that is not a number") from None
    if not _HOST.match(host):
        raise _refused(text, "has no valid host")
    if parts.password is not None or (parts.scheme != "ssh" and parts.username is not None):
        raise UsageError(
            f"the address of a repository at {host} has a login, which would be stored in the lock",
            hint="remove it: git uses your credential helper; or use git+ssh://",
        )
    if parts.username is not None and not _USER.match(parts.username):
        raise _refused(text, "has an invalid user name")
    if not path.strip("/") or unquote(path).startswith("/-"):
        raise _refused(text, "has no path to a repository")
    user = f"{parts.username}@" if parts.username else ""
    place = f"[{host}]" if ":" in host else host
    address = f"{parts.scheme}://{user}{place}{f':{port}' if port else ''}{path}"
    return address, address


def _file(path: str, netloc: str, project: Path, text: str) -> tuple[str, str]:
    """Return the address for git, and the one for a lock, relative to the project, of a local repository."""
    if netloc not in ("", "localhost"):
        raise _refused(text, "names another machine")
    folder = Path(os.path.normpath(project.resolve() / unquote(path)))
    if not path or "\0" in str(folder):
        raise _refused(text, "has no path to a repository")
    relative = Path(os.path.relpath(folder.resolve(), project.resolve())).as_posix()
    return f"file://{quote(str(folder))}", f"file:{quote(relative)}"


def _subdirectory(value: str, text: str) -> str:
    folder = unquote(value).strip("/").removeprefix("./")
    steps = folder.split("/")
    if "&" in value or not folder.isprintable() or any(step in ("", ".", "..") for step in steps):
        raise _refused(text, f"has `{SUBDIRECTORY}{value[:80]}` at its end")
    return folder


def _refused(text: str, reason: str, more: str = "") -> UsageError:
    return UsageError(f"`{text[:200]}` {reason}", hint=f"{_FORM}{more}")
