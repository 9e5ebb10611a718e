"""The files of a skill's working folder: the one answer to what is packed, published, digested, tested and installed.

A working folder is not a clean folder. These entries are not part of the skill:

- what .skillpmignore names, and what .gitignore names, here, in folders below, and above up to the top of a repository;
- what a working folder collects by itself: secrets, editor state, caches, installed modules, and skillpm's own output.

A `!pattern` of .skillpmignore brings back what the others leave out; version control and bytecode stay out, and
SKILL.md and skill.yaml stay in. A link to a file of the skill is read as that file. Stored, installed and committed
trees are whole already: for them there is FolderTree. Source of the patterns' meaning: gitignore(5), as pathspec
implements it; .gitignore of other tools is read the same.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from skillpm.layout.tree import FolderTree, UnreadableFileError, left_out, linked_file

if TYPE_CHECKING:
    from skillpm.model.skill import Skill

GIT, OWN = ".gitignore", ".skillpmignore"
MAX_PATTERNS = 1 << 18  # bytes of one file
_MOST_STARS = 4  # in one segment: a regular expression with more may take minutes on a hostile name
_STARS = re.compile(r"(?<![^/!])\*{3,}(?![^/])")  # a segment that git reads as `**`, and pathspec does not
_MOST_SEGMENTS = 20  # of one pattern
_HEAD = 1 << 14  # bytes in which a private key begins
_ALWAYS = frozenset({"SKILL.md", "skill.md", "skill.yaml"})
_FOLDERS = frozenset({
    ".bzr", ".jj", "_darcs",  # version control
    ".cache", ".direnv", ".eggs", ".gradle", ".ipynb_checkpoints", ".nox", ".terraform", ".tox", ".venv",  # caches
    ".next", ".nuxt", ".nyc_output", ".parcel-cache", ".pnpm-store", ".rproj.user", ".serverless", ".svelte-kit",
    ".dart_tool", ".pyre", ".pytype", ".sass-cache", ".turbo", ".vagrant", ".yarn", "__pypackages__",
    "bower_components", "htmlcov",
    ".continue", ".fleet", ".helix", ".history", ".idea", ".vs", ".vscode", ".windsurf", ".zed",  # editors
    ".amplify", ".expo", ".firebase", ".netlify", ".vercel", ".wandb",  # state of services
    ".fseventsd", ".spotlight-v100", ".trashes", "$recycle.bin", "lost+found",  # disks
    ".aws", ".azure", ".docker", ".gcloud", ".gem", ".gnupg", ".huggingface", ".kube", ".oci",
    ".password-store", ".ssh", ".vnc",  # secrets
    "node_modules", "__macosx",  # what a Mac adds to an archive
})  # fmt: skip
_FILES = re.compile(
    r"""
    \.env(?:\.(?!(?:example|sample|template|dist|defaults|schema)\Z).+)? | \.envrc | \.flaskenv | \.secrets
    | (?!.*(?:example|sample|template|dist|defaults|schema)).+\.env | secrets\.toml | token\.json
    | (?!.*\.(?:pub|md|rst|html)\Z)(?:.+[_-])?id_(?:rsa|dsa|ecdsa|ed25519)(?:[._-].+)?
    | local\.settings\.json | gha-creds-.*\.json | (?:terraform|.+\.auto)\.tfvars
    | ssh_host_[a-z0-9]+_key | secring\.gpg | client_secret.*\.json | credentials\.json
    | (?:.+[_-])?service[_-]account\.json | (?:.+-)?firebase-adminsdk.*\.json
    | \.vault_pass(?:word)?(?:\.txt)? | known_hosts | authorized_keys
    | .+\.(?:p8|p12|pfx|jks|keystore|keytab|kdbx|ovpn|ppk)
    | \.dockercfg | \.dockerconfigjson | \.my\.cnf | \.s3cfg | \.boto | \.databrickscfg | \.terraformrc
    | credentials\.tfrc\.json | rclone\.conf | cookies\.txt | master\.key
    | kubeconfig | \.vault-token | application_default_credentials\.json | .+\.tfstate(?:\.backup)?
    | \.[a-z_]+_history | fish_history | \.lesshst | \.viminfo | \.wget-hsts | \.Rhistory | \.RData | \.aider\..+
    | \.netrc | _netrc | \.npmrc | \.pypirc | \.git-credentials | \.htpasswd | \.pgpass
    | .*\.sw[a-p] | .*~ | \#.*\# | \.\#.* | \.~lock\..*\# | ~\$.+
    | .+\.(?:orig|rej|bak|sublime-workspace|egg-info) | core\.\d+
    | nohup\.out | (?:npm|yarn|pnpm)-(?:debug|error)\.log.*
    | \.(?:nfs|fuse_hidden)[0-9a-f]+
    | (?:eh)?thumbs\.db | desktop\.ini | \._.* | \.coverage(?:\..*)? | \.skillpmignore
    """,
    re.VERBOSE | re.IGNORECASE,
)
_VERSION = re.compile(r"(-\d[^/]*)?\.(?:tar\.gz|tgz|zip|skill)")  # behind the name, of its archives
_KEY_FILES = (".pem", ".key")
_AT_ROOT = re.compile(
    r"\.skillpm|\.agents|\.claude|\.codex|\.cursor|\.gemini|skillpm\.(?:lock|yaml|blind\.json)|runs|candidates|\.[^/]+/skills"
)
_RECORD = ".skillpm/installed.json"  # of the skills that skillpm has installed here
_SYNTHESIS = {"train.jsonl", "held_out.jsonl", "profile.json"}
_FOLDER = "ps_d"  # pathspec's name for the slash behind a folder that a pattern names
_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"


class Pattern(NamedTuple):
    """One pattern: its regular expression, and whether it leaves out what it matches, or brings it back."""

    regex: re.Pattern[str]
    leaves_out: bool

    def matches(self, path: str) -> bool:
        """Does it match this entry, and not only a folder above it? A folder's path ends with a slash."""
        match = self.regex.search(path)
        # the expression of `a/**` ends behind the folder; all others end with the entry
        return match is not None and (_FOLDER in self.regex.groupindex or match.end() < len(path))


class Patterns(NamedTuple):
    """One file of patterns: it speaks of the paths below ``prefix``, and ``base`` leads from its folder to the root."""

    prefix: str
    base: str
    patterns: tuple[Pattern, ...]

    def verdict(self, path: str) -> bool | None:
        """Return what the last pattern that matches says of a path below the prefix."""
        path = self.base + path[len(self.prefix) :]
        return next((pattern.leaves_out for pattern in reversed(self.patterns) if pattern.matches(path)), None)


@dataclass(slots=True)
class _Ignored:
    """The files of patterns of one name, the outermost first."""

    files: list[Patterns] = field(default_factory=list)

    def verdict(self, path: str) -> bool | None:
        """Is this path left out? None if no pattern names it. The path of a folder ends with a slash."""
        for patterns in reversed(self.files):
            if path.startswith(patterns.prefix):
                answer = patterns.verdict(path)
                if answer is not None:
                    return answer
        return None


class SourceTree(FolderTree):
    """A working folder without what is left out."""

    def __init__(self, root: Path, *, keep: bool = False) -> None:
        super().__init__(root, keep=keep)
        real = Path(os.path.realpath(root))
        self._own_archive = real.name
        self._installed: frozenset[str] = frozenset()
        self._git, self._own = _Ignored(_above(real)), _Ignored()

    def leaves_out(self, path: str) -> bool:
        """Is a file of this path left out, whether it is there or not?"""
        parts = path.split("/")
        folders = ["/".join(parts[:count]) for count in range(1, len(parts))]
        left_out = set(self.uncounted())
        return (
            not left_out.isdisjoint(folders)
            or any(self._leaves_out(folder, folder.rpartition("/")[2], stat.S_IFDIR) for folder in folders)
            or self._leaves_out(path, parts[-1], stat.S_IFREG)
        )

    def links(self) -> dict[str, str]:
        """Return the links that are read as a file of the skill, and that file."""
        self.paths()
        return dict(self._linked)

    def _enter(self, prefix: str, names: set[str], irregular: dict[str, str]) -> bool:
        if not prefix and ".skillpm" in names:
            self._installed = self._installed_folders()
        for name, ignored in ((GIT, self._git), (OWN, self._own)):
            if name in names:
                try:
                    data = self._opened(f"{prefix}{name}", MAX_PATTERNS, MAX_PATTERNS + 1)
                    ignored.files.append(Patterns(prefix, "", _compiled(data)))
                except (UnreadableFileError, ValueError):
                    irregular[f"{prefix}{name}"] = "list of patterns that cannot be read"
        return bool(prefix) and (names >= _SYNTHESIS or _VIRTUAL_ENVIRONMENT in names)

    def _links(self, files: Container[str], irregular: Iterable[str]) -> dict[str, str]:
        links = {}
        for path in irregular:
            if left_out(path) or path.rpartition("/")[2] in (GIT, OWN):
                continue  # what is stored has no such file; nobody has read these patterns
            with suppress(OSError):  # it is not a link
                links[path] = linked_file(path, str(Path(f"{self._prefix}{path}").readlink()), files)
        return {path: file for path, file in links.items() if file is not None}

    def _leaves_out(self, path: str, name: str, mode: int) -> bool:
        if super()._leaves_out(path, name, mode):
            return True
        if path in _ALWAYS:
            return False
        written = f"{path}/" if stat.S_ISDIR(mode) else path
        asked = self._own.verdict(written)
        if asked is not None:
            return asked
        return self._is_clutter(path, name, mode) or bool(self._git.verdict(written))

    def _is_clutter(self, path: str, name: str, mode: int) -> bool:
        if name.casefold() in _FOLDERS or name == "CVS" or path in self._installed or _AT_ROOT.fullmatch(path):
            return True
        if _FILES.fullmatch(name):
            return True
        own = _VERSION.fullmatch(name, len(self._own_archive)) if name.startswith(self._own_archive) else None
        if own is not None and (own[1] or path == name):  # `assets/mine.zip` is a file of the skill
            return True
        return stat.S_ISREG(mode) and name.casefold().endswith(_KEY_FILES) and self._is_private_key(path)

    def _installed_folders(self) -> frozenset[str]:
        """Return the folders of installed skills where the working folder is a project itself."""
        try:
            record = json.loads(self._opened(_RECORD, MAX_PATTERNS, MAX_PATTERNS + 1))
            return frozenset(record["folders"])
        except (UnreadableFileError, ValueError, KeyError, TypeError):
            return frozenset()

    def _is_private_key(self, path: str) -> bool:
        try:
            return b"PRIVATE KEY-----" in self._opened(path, _HEAD, _HEAD)
        except UnreadableFileError:
            return False


class WholeTree(FolderTree):
    """A working folder with what is left out of its skill, except version control: for looking, never for packing."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, whole=True)
        self._skill = SourceTree(root)

    def is_part(self, path: str) -> bool:
        """Does a file of this path belong to the skill?"""
        return not self._skill.leaves_out(path)

    def _links(self, files: Container[str], irregular: Iterable[str]) -> dict[str, str]:
        return self._skill.links()


def skill_tree(skill: Skill, *, keep: bool = False) -> FolderTree:
    """Return the files of a skill: those of a working folder, or all of a stored one."""
    return SourceTree(skill.root, keep=keep) if skill.is_source else FolderTree(skill.root, keep=keep)


def _above(root: Path) -> list[Patterns]:
    """Return the files of patterns above a root in its repository; none if they leave out the root itself."""
    tops = (count for count, folder in enumerate((root, *root.parents)) if os.path.lexists(f"{folder}/.git"))
    files: list[Patterns] = []
    for folder in reversed(root.parents[: next(tops, 0)]):
        base = f"{root.relative_to(folder).as_posix()}/"
        steps = [base[: end.end()] for end in re.finditer("/", base)]
        try:
            patterns = _compiled((folder / GIT).read_bytes()[: MAX_PATTERNS + 1])
        except (OSError, ValueError):
            continue
        if any(Patterns("", "", patterns).verdict(step) for step in steps):
            return []
        files.append(Patterns("", base, patterns))
    return files


@lru_cache(maxsize=64)
def _compiled(data: bytes) -> tuple[Pattern, ...]:
    """Compile the lines of a file of patterns. Raises ValueError if they are too many or too long."""
    from pathspec import GitIgnoreSpec

    if len(data) > MAX_PATTERNS:
        raise ValueError("too large")
    patterns = []
    for line in data.decode("utf-8", "surrogateescape").removeprefix("\ufeff").splitlines():
        segments = [] if line.startswith("#") else line.split("/")
        if not line.removeprefix("!").rstrip().strip("/"):  # names nothing for git, and everything for pathspec
            continue
        if len(segments) > _MOST_SEGMENTS or any(len(re.findall(r"\*+", part)) > _MOST_STARS for part in segments):
            raise ValueError("too many wildcards")
        with suppress(ValueError):  # git passes over a line that is not a pattern
            patterns += [
                _itself(item)
                for item in GitIgnoreSpec.from_lines([_STARS.sub("**", line)]).patterns
                if item.include is not None
            ]
    return tuple(patterns)


def _itself(pattern: Any) -> Pattern:
    """Return a pattern of pathspec so that it matches the entry that it names, and nothing below."""
    regex: re.Pattern[str] = pattern.regex
    if regex.pattern == ".":  # of `**`, which names every entry, one of a single letter too
        return Pattern(re.compile(""), pattern.include)
    whole = re.compile(rf"(?:{regex.pattern})\Z") if _FOLDER in regex.groupindex else regex
    return Pattern(whole, pattern.include)
