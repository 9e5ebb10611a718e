"""What a git command names: branches, tags, remotes and files that must be there for it to do something."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

REMOTES = ("origin", "upstream")
_VALUED = {  # options whose next word is their value and no name
    "commit": {"-m", "--message", "--author", "--date", "--fixup"},
    "merge": {"-m", "-s", "--strategy", "-X", "--strategy-option"},
    "rebase": {"-s", "--strategy", "-X", "--strategy-option"},
    "pull": {"-s", "--strategy", "-X", "--strategy-option"},
    "stash": {"-m", "--message"},
    "branch": {"--sort"},
    "log": {"-n", "--max-count", "--author", "--grep", "--since", "--until", "--after", "--before", "--skip", "-S",
            "--format", "--pretty"},
}  # fmt: skip
_NEW = {"-c", "--create", "-C", "--force-create", "-b", "-B", "--orphan"}
_OLD = {"--onto", "-u", "--set-upstream-to", "--source", "-s"}
LISTS = {"-a", "--all", "-r", "--remotes", "-l", "--list", "-v", "--verbose", "-vv", "--merged", "--no-merged",
         "--contains", "--show-current"}  # fmt: skip
_SUFFIX = re.compile(r"[~^].*|@\{.*")
_FILE = re.compile(r"\.[A-Za-z0-9]{1,5}$|/$|^\.|(^|/)(README|LICENSE|Makefile|Dockerfile|src|docs|tests?)$")


@dataclass(slots=True)
class Names:
    """What a command names.

    Attributes:
        branches: branches that must be there.
        tags: tags that must be there.
        new: branches that the command makes.
        paths: files and folders.
        follows: does it send or fetch, so that the branch that it names is likely the current one?
        resumes: does it go on with, or end, what stopped at a conflict: ``merge`` or ``rebase``?
    """

    branches: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    follows: bool = False
    resumes: str | None = None

    def add_revision(self, word: str) -> None:
        """Note the branch or the tag of a revision such as ``origin/main~2``."""
        for part in re.split(r"\.\.\.?|:", word.lstrip("+")):
            name = _SUFFIX.sub("", part).removeprefix("refs/heads/")
            remote, slash, rest = name.partition("/")
            name = rest if slash and remote in REMOTES else name
            if name and name not in {"HEAD", "-", "@", *REMOTES} and name not in self.new and name != "stash":
                kind = self.tags if re.fullmatch(r"v?[0-9][0-9.]*([-.]?rc[-.]?[0-9]*)?", name) else self.branches
                kind.append(name) if name not in kind else None


def names_of(commands: Sequence[Sequence[str]]) -> Names:
    """Return what commands of git name, each given with the word ``git`` in front."""
    names = Names()
    for words in commands:
        _read(names, [word for word in words[1:] if word != "--no-pager"])
    return names


def _read(names: Names, words: list[str]) -> None:
    command, operands, options = words[0], [], set[str]()
    rest = iter(words[1:])
    for word in rest:
        option, equals, value = word.partition("=")
        options.add(option)
        if word == "--":
            names.paths += rest
        elif option in _NEW and command in {"switch", "checkout"}:
            made = value or next(rest, "")
            names.branches.append(made) if option in {"-C", "--force-create", "-B"} else names.new.append(made)
        elif option in _OLD and (command, option) != ("push", "-u") and command in {"rebase", "branch", "restore"}:
            names.add_revision(value or next(rest, ""))
        elif option in _VALUED.get(command, ()) and not equals:
            next(rest, "")
        elif not word.startswith("-"):
            operands.append(word)
        elif re.fullmatch(r"-[a-z]*m", word) and command in {"commit", "stash"}:
            next(rest, "")
    names.follows |= command in {"push", "pull"}
    if options & {"--abort", "--continue", "--skip", "--quit"}:
        names.resumes = command
    _READERS[command](names, operands, options)


def _read_paths(names: Names, operands: list[str], _: set[str]) -> None:
    names.paths += operands


def _read_revisions(names: Names, operands: list[str], _: set[str]) -> None:
    for operand in operands:
        names.add_revision(operand)


def _read_remote(names: Names, operands: list[str], options: set[str]) -> None:
    _read_revisions(names, operands[1:], options)


def _read_either(names: Names, operands: list[str], options: set[str]) -> None:
    for operand in operands:
        if _FILE.search(operand) and not re.fullmatch(r"v?[0-9.]+", operand):
            names.paths.append(operand)
        else:
            _read_revisions(names, [operand], options)


def _read_branch(names: Names, operands: list[str], options: set[str]) -> None:
    if options & {"-m", "--move", "-M", "-c", "--copy", "-C"}:
        names.new += operands[-1:]
        operands = operands[:-1]
    elif not options & {"-d", "--delete", "-D", "-u", "--set-upstream-to", "--unset-upstream", *LISTS}:
        names.new += operands[:1]
        operands = operands[1:]
    _read_revisions(names, operands, options)


def _read_stash(names: Names, operands: list[str], _: set[str]) -> None:
    if operands[:1] == ["push"]:
        names.paths += operands[1:]
    elif operands[:1] == ["branch"]:
        names.new += operands[1:2]


_READERS = {
    "status": _read_paths, "add": _read_paths, "commit": _read_paths, "restore": _read_paths, "log": _read_either,
    "reset": _read_either, "checkout": _read_either, "push": _read_remote, "pull": _read_remote,
    "switch": _read_revisions, "merge": _read_revisions, "rebase": _read_revisions, "branch": _read_branch,
    "stash": _read_stash,
}  # fmt: skip
