"""Repositories as people type and copy them: ``owner/repo``, ``github:owner/repo``, an address out of a browser.

=====================================================  ========================================
typed                                                  repository, reference, folder
=====================================================  ========================================
``owner/repo``, ``owner/repo/skills/pdf@v1``           below the setting ``forge``
``github:owner/repo``, ``gh:``, ``gitlab:``, …         on that forge
``https://host/owner/repo``, ``host/owner/repo``       on any host
``…/tree/REF/PATH``, ``…/blob/REF/PATH/SKILL.md``      GitHub, Gitea; GitLab has ``/-/`` before it
``…/src/REF/PATH``, ``…/src/branch/REF/PATH``          Bitbucket, Gitea, Forgejo
``…/_git/repo?path=/PATH&version=GBREF``               Azure DevOps
``git@host:owner/repo``, ``ssh://git@host/o/r``        ssh
=====================================================  ========================================

``/tree/REF/PATH`` does not say where a reference with slashes ends. The branches and tags of the repository decide.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from skillpm.errors import RegistryError, UsageError
from skillpm.index.git_url import GitUrl, is_git, is_web
from skillpm.model.source import SourceKind, cut_reference, git_place
from skillpm.storage.archive import ARCHIVES

_HOSTS = {
    "github": "https://github.com",
    "gh": "https://github.com",
    "gitlab": "https://gitlab.com",
    "gl": "https://gitlab.com",
    "bitbucket": "https://bitbucket.org",
    "codeberg": "https://codeberg.org",
}
_FLAT = frozenset({"github.com", "bitbucket.org", "codeberg.org"})  # each repository is owner/repo
_RAW = {"raw.githubusercontent.com": "github.com"}
_PREFIX = re.compile(rf"({'|'.join(_HOSTS)}):(?!//)(.+)\Z", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\Z")
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_SHORT = re.compile(rf"{_PART}/{_PART}(?:/[^\s@#\\]+)*/?(?:[@#][^\s\\]+)?\Z")
_UNDECIDED = re.compile(rf"{_PART}/{_PART}(?:[@#][^\s\\]+)?\Z")
_PAGES = frozenset({"tree", "blob", "raw", "src", "blame", "edit"})
_FILES = frozenset({"blob", "raw", "blame", "edit"})
_SKILL_FILES = ("SKILL.md", "skill.md")
_READ_ONLY = re.compile(r"readme\Z|L\d+(?:-L?\d+)?\Z", re.IGNORECASE)  # where a browser's page stands
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_NESTED = 20  # levels of groups that are tried

FirstReference = Callable[[str, list[str]], str | None]
"""Returns the first of some references that a repository has, by its address; raises RegistryError if there is none."""


@dataclass(frozen=True, slots=True)
class Address:
    """A repository and what follows it.

    Attributes:
        repositories: the addresses that it may have, each with the rest of the path; the first that answers counts.
        reference: a branch, a tag or a commit; empty for the default branch.
        mixed: does the rest begin with a reference, whose end is not known?
        file: does the rest name a file, so that the skill is its folder?
    """

    repositories: tuple[tuple[str, tuple[str, ...]], ...]
    reference: str = ""
    mixed: bool = False
    file: bool = False


def may_be_repository(text: str) -> bool:
    """Is this ``owner/repo`` or ``owner/repo@ref``, which may also be a skill of a registry?"""
    return _UNDECIDED.match(text) is not None


def is_repository(text: str) -> bool:
    """Does this text name a repository, and no folder here?"""
    if is_git(text) or _PREFIX.match(text) or text.lower().startswith("ssh://"):
        return True
    if is_web(text):
        return "/.well-known/agent-skills" not in text
    return _SHORT.match(text) is not None and not Path(text.partition("/")[0]).exists()


def git_text(text: str, forge: str, first: FirstReference) -> str:
    """Return the full form, an address with a reference and ``#subdirectory=``, of a text that ``is_repository``.

    ``forge`` is the URL below which ``owner/repo`` is.

    Raises:
        UsageError: the text names no repository, or no reference of it.
        RegistryError: git fails.
    """
    address = _read(text, forge)
    if address is None:
        return text if is_git(text) else git_place(text)
    for place, rest in address.repositories[:-1]:
        if _answers(place, first):
            return _with_reference(place, rest, address, text, first)
    return _with_reference(*address.repositories[-1], address, text, first)


def _answers(place: str, first: FirstReference) -> bool:
    try:
        return first(place, ["HEAD"]) is not None
    except RegistryError:
        return False


def _with_reference(place: str, rest: tuple[str, ...], address: Address, text: str, first: FirstReference) -> str:
    reference = address.reference
    if address.mixed and rest:
        reference, rest = _divided(place, rest, text, first)
    if address.file or (rest and rest[-1] in _SKILL_FILES):
        rest = rest[:-1]
    return git_place(place, reference, quote("/".join(rest)))


def _divided(place: str, rest: tuple[str, ...], text: str, first: FirstReference) -> tuple[str, tuple[str, ...]]:
    """Split ``REF/PATH``: git allows no two references of which one is a folder of the other."""
    for kind in (("refs", "heads"), ("refs", "tags")):
        rest = rest[2:] if rest[:2] == kind and len(rest) > 2 else rest
    if len(rest) == 1 or (len(rest[0]) in (40, 64) and _COMMIT.match(rest[0])):
        return rest[0], rest[1:]
    reference = first(place, ["/".join(rest[:count]) for count in range(1, len(rest) + 1)])
    if reference is None and not _COMMIT.match(rest[0]):
        raise UsageError(
            f"`{text[:200]}`: {place} has no branch and no tag `{rest[0][:80]}`", hint="copy the address again"
        )
    steps = reference.count("/") + 1 if reference else 1
    return "/".join(rest[:steps]), rest[steps:]


def _read(text: str, forge: str) -> Address | None:
    """Return the parts of a text, or None for what ``GitUrl`` reads as it stands."""
    prefixed = _PREFIX.match(text)
    if prefixed:
        return _short(prefixed[2], _HOSTS[prefixed[1].lower()], nested=prefixed[1].lower() in ("gitlab", "gl"))
    plain = text.removeprefix(SourceKind.GIT.value)
    if is_web(plain):
        return _pasted(plain, text)
    if is_git(text) or text.lower().startswith("ssh://"):
        return None
    host, _, path = text.partition("/")
    if _HOST.match(host) and path.count("/"):
        return _pasted(f"https://{text}", text)
    return _short(text, forge, nested=False)


def _short(text: str, forge: str, *, nested: bool) -> Address:
    """Read ``owner/repo[/PATH][@REF]``; groups of GitLab nest, so there the repository may be longer."""
    path, inside = text.partition("#subdirectory=")[::2]
    path, reference = _with_at(path)
    steps = tuple(unquote(step) for step in path.strip("/").split("/"))
    if len(steps) < 2 or not all(re.fullmatch(_PART, step) for step in steps[:2]):
        raise UsageError(f"`{text[:200]}` is not a repository", hint="write `owner/repo` or `owner/repo/folder@ref`")
    rest = (*steps[2:], *(unquote(step) for step in inside.split("/") if step))
    if len(steps) > 3 and steps[2] in ("tree", "blob") and not reference:
        return Address((_joined(forge, steps[:2], rest[1:]),), mixed=True, file=steps[2] in _FILES)
    cuts = range(2, min(len(steps), _NESTED) + 1) if nested else (2,)
    repositories = (_joined(forge, steps[:cut], steps[cut:] + rest[len(steps) - 2 :]) for cut in cuts)
    return Address(tuple(repositories), reference)


def _joined(forge: str, repository: tuple[str, ...], rest: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    return f"{forge.rstrip('/')}/{'/'.join(repository)}", rest


def _with_at(path: str) -> tuple[str, str]:
    """Split off ``@REF`` or ``#REF``."""
    before, reference = cut_reference(path)
    if reference:
        return before, reference
    before, _, reference = path.rpartition("#")
    return (before, reference) if before and not before.endswith("/") else (path, "")


def _pasted(url: str, text: str) -> Address | None:
    """Read the address of a page of a forge; None if nothing follows the repository."""
    parts = urlsplit(url)
    host, segments = (
        parts.netloc.lower().removeprefix("www."),
        [unquote(step) for step in parts.path.split("/") if step],
    )
    if not host or "@" in host or not segments:
        return None
    if parts.path.lower().endswith(ARCHIVES):
        raise UsageError(
            f"`{text[:200]}` is an archive on a web server",
            hint=f"download it, then run `skillpm install {shlex.quote(f'./{segments[-1]}')}`",
        )
    if host in _RAW:
        repository, page, rest = segments[:2], "raw", segments[2:]
        host = _RAW[host]
    else:
        repository, page, rest = _at_page(segments, flat=host in _FLAT)
    place = f"https://{host}/{quote('/'.join(repository), safe='/~@')}"
    branch = "" if page else _of_branch(parts.fragment, place)
    inside = () if branch else _fragment(parts.fragment, parts.query, text)
    if "_git" in repository:
        return _azure(place, parts.query)
    if page in _PAGES:
        if host == "git.sr.ht" and "item" in rest:
            rest.remove("item")
        return Address(((place, (*rest, *inside)),), mixed=True, file=page in _FILES)
    if page in ("commit", "commits", "releases"):
        reference = rest[1] if page == "releases" and rest[:1] == ["tag"] and len(rest) > 1 else (rest or [""])[0]
        return Address(((place, inside),), reference if page != "releases" or rest else "")
    if page:
        raise UsageError(
            f"`{text[:200]}` is a page about a repository, not a place in it", hint=f"run `skillpm install {place}`"
        )
    place, reference = _with_at(place)
    return Address(((place, inside),), reference + branch)


def _of_branch(fragment: str, place: str) -> str:
    """Return ``#…`` if it is the end of a branch's name: one is named before it, and it is nothing else."""
    is_more = fragment and "=" not in fragment and not _READ_ONLY.match(fragment) and _with_at(place)[1]
    return f"#{fragment}" if is_more else ""


def _at_page(segments: list[str], *, flat: bool) -> tuple[list[str], str, list[str]]:
    """Split a path into repository, kind of page, and the rest."""
    if "-" in segments[2:]:
        cut = segments.index("-", 2)
        return segments[:cut], (segments[cut + 1 : cut + 2] or [""])[0], segments[cut + 2 :]
    cut = 2 if flat else next((n for n, step in enumerate(segments) if n >= 2 and step in _PAGES), len(segments))
    if any("@" in step for step in segments[:cut]):  # a reference, which may have slashes
        return segments, "", []
    page, rest = (segments[cut : cut + 1] or [""])[0], segments[cut + 1 :]
    if page == "src" and rest[:1] and rest[0] in ("branch", "tag", "commit"):
        rest = rest[1:]
    return segments[:cut], page, rest


def _fragment(fragment: str, query: str, text: str) -> tuple[str, ...]:
    if fragment.startswith("subdirectory="):
        folder = GitUrl.parse(git_place(f"https://host/x#{fragment}"), Path()).subdirectory
        return tuple(folder.split("/")) if folder else ()
    if fragment and not _READ_ONLY.match(fragment) and "tab=" not in query:
        raise UsageError(
            f"`{text[:200]}`: `#{fragment[:80]}` does not say what it means",
            hint=f"write `@{fragment[:80]}` for a branch or a tag, or `#subdirectory={fragment[:80]}` for a folder",
        )
    return ()


def _azure(place: str, query: str) -> Address:
    values = parse_qs(query)
    path, version = (values.get(key, [""])[0] for key in ("path", "version"))
    steps = tuple(step for step in path.split("/") if step)
    return Address(((place, steps),), version[2:] if version[:2] in ("GB", "GT", "GC") else "")
