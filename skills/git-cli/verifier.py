"""Two git commands are the same if they leave the same state, whatever the repository was like.

The contract has judged the words already. What it calls wrong is run: the expected commands and the answer, each in
throw-away repositories that differ in what decides between commands (see ``git_worlds``). Where they leave the same
state in all of them, the answer is right. A command that only prints leaves no state: there the contract's normal form
decides, and what is printed has to be the same too.
"""

from __future__ import annotations

import shlex
import subprocess
from functools import lru_cache
from itertools import takewhile
from typing import Any

from git_names import LISTS, names_of
from git_states import KEEP_TEXT, NO_EDITOR, Runner, State, state_of
from git_worlds import KINDS, World, WorldBuilder

from skillpm.plugin import Attempt, Verdict

Commands = tuple[tuple[str, ...], ...]
# What no state shows must be there in both or in neither: hooks that do not run here, what is only tried or asked, and
# tags that a pull takes anyway, because all objects are in one store.
_UNSEEN = {"--no-verify", "--dry-run", "--patch", "--interactive", "--autostash", "--tags"}
_VALUED = {
    "status": "u",
    "commit": "m",
    "pull": "rsX",
    "branch": "tu",
    "switch": "cCt",
    "checkout": "bBt",
    "restore": "s",
    "merge": "msX",
    "stash": "m",
    "rebase": "sX",
}  # letters that take the rest of their word as a value
_WRONG = 0.2
# What else is in a repository that is looked at.
_OTHERS = tuple(
    tuple(shlex.split(line))
    for line in ("git add docs/guide.md web/theme.css", "git merge feature/dark-mode", "git merge fix/slow-import")
)

_RUNNER = Runner()


class Expected:
    """The expected commands, the worlds for them, and the state that they leave in each, once somebody asks."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._states: dict[str, State] = {}
        names = names_of(commands)
        builder = WorldBuilder(names)
        self._editor = NO_EDITOR if names.resumes is None else KEEP_TEXT
        if names.resumes is None:
            self.worlds = builder.build(KINDS)
        else:
            self.worlds = _stopped_at(names.resumes, builder.build(["stopped"])["stopped"])

    def state(self, kind: str) -> State:
        """Return the state that the expected commands leave in one of the worlds."""
        if kind not in self._states:
            self._states[kind] = self.run(kind, self._commands)
        return self._states[kind]

    def changes(self) -> bool:
        """Do they change anything, in any world?"""
        return any(self.state(kind).repository != state_of(world) for kind, world in self.worlds.items())

    def run(self, kind: str, commands: Commands) -> State:
        """Return the state that commands leave in one of the worlds."""
        place = kind if kind in KINDS else "stopped"  # only there are the objects of what has stopped
        return _RUNNER.run(place, self.worlds[kind], commands, self._editor)[0]


@lru_cache(maxsize=64)
def _expected(commands: Commands) -> Expected:
    return Expected(commands)


def _stopped_at(command: str, world: World) -> dict[str, World]:
    """Return worlds in which a merge or a rebase has met a conflict: one as it is then, one where it is solved."""
    pull = ("git", "pull", "-q", *(("--rebase",) if command == "rebase" else ()))
    stopped = _RUNNER.run("stopped", world, (pull,))[1]
    edited = {**stopped, "work/shared.txt": b"solved\n"}
    return {"stopped": stopped, "solved": _RUNNER.run("stopped", edited, (("git", "add", "shared.txt"),))[1]}


@lru_cache(maxsize=4096)
def same_effect(gold: Commands, answer: Commands) -> bool | None:
    """Do two answers leave the same state? None if the expected one changes nothing, so that states say nothing."""
    if _unseen(gold) != _unseen(answer):
        return False
    try:
        expected, printed = _expected(gold), True
        for kind in expected.worlds:  # most wrong answers differ in the first one
            state, after = expected.state(kind), expected.run(kind, answer)
            if (after.succeeded, after.repository) != (state.succeeded, state.repository):
                return False
            printed = printed and after.output == state.output
        if expected.changes():
            return True
    except subprocess.TimeoutExpired:
        return None  # nothing can be said about it, so the contract decides
    return None if printed else False


def _unseen(commands: Commands) -> set[str]:
    """Return the options of commands that no state shows."""
    return {name for words in commands if words[1] != "log" for word in words for name in _unseen_in(words[1], word)}


def _unseen_in(command: str, word: str) -> set[str]:
    if not word.startswith("-") or word.startswith("--"):
        return {word} & _UNSEEN
    if command == "pull":  # whose -n says nothing, and whose -p is --prune, which a state shows
        letters = {"t": "--tags"}
    else:
        letters = {"n": "--no-verify" if command == "commit" else "--dry-run", "p": "--patch", "i": "--interactive"}
    bundle = takewhile(lambda letter: letter not in _VALUED.get(command, ""), word[1:])
    return {letters[letter] for letter in bundle if letter in letters}


def _looks(words: tuple[str, ...]) -> bool:
    """Does a command only print?"""
    command, rest = words[1], words[2:]
    if command == "stash":
        return rest[:1] in {("list",), ("show",)}
    return command in {"status", "log"} or (command == "branch" and set(rest) <= LISTS)


@lru_cache(maxsize=1024)
def _printed(gold: Commands, look: Commands) -> str:
    """Return what commands print in a repository with the names of the expected command among others."""
    world = WorldBuilder(names_of((*_OTHERS, *gold))).build(("dirty",))["dirty"]
    return _RUNNER.run("desk", world, look)[0].output or "(nothing)"


def observe(attempt: Attempt, contract: Any) -> str | None:
    """Show what a command that only looks prints, where a task has the tag `look`: its request names nothing."""
    answer, gold = contract.argv_of(attempt.completion), contract.gold(attempt.expected)
    if "look" not in attempt.task.tags or answer is None or gold.argv in {None, answer} or not all(map(_looks, answer)):
        return None
    return _printed(gold.argv, answer)


def verify(attempts: list[Attempt], contract: Any) -> list[Verdict]:
    """Judge answers: the contract's verdict, unless the repositories say otherwise."""
    return [_verdict(attempt, contract) for attempt in attempts]


def _verdict(attempt: Attempt, contract: Any) -> Verdict:
    verdict = attempt.verdict
    answer = contract.argv_of(attempt.episode.completion)
    gold = contract.gold(attempt.task.expected)
    if answer is None or gold.argv is None or answer == gold.argv:
        return verdict
    same = same_effect(gold.argv, answer)
    if same is True and verdict.status != "passed":
        return Verdict(status="passed", score=1.0, components={**verdict.components, "arguments": 1.0, "exact": 1.0})
    if same is False and verdict.status == "passed":
        reason = "the command leaves another state than the expected one"
        return verdict.model_copy(update={"status": "failed", "score": _WRONG, "reasons": (reason,)})
    return verdict
