"""Sees that two command lines are the same: ``journalctl -n 200`` and ``journalctl --lines=200`` are one answer.

The expected and the given answer are written in one canonical form and judged again by the contract. Only an answer
that the contract would run gets this far, so nothing that it refuses can pass. In the canonical form

- options have their long names, values are attached (``--lines=200``), options stand in one order, repeated flags once;
- a priority is a name, a unit carries its suffix, a span of time is counted in seconds;
- white space and quotes are those of ``shlex.join``; what only turns a pager off is gone.

The order of operands counts, and so does the order of the commands around ``&&``.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from skillpm.plugin import Attempt, Verdict

__all__ = ["canonical_command", "canonical_line", "verify"]

TOOL = "run_command"
LINE = "command"

LONG_NAMES: dict[str, dict[str, str]] = {
    "df": {"-h": "--human-readable", "-i": "--inodes", "-T": "--print-type", "-P": "--portability"},
    "du": {
        "-h": "--human-readable",
        "-s": "--summarize",
        "-x": "--one-file-system",
        "-c": "--total",
        "-d": "--max-depth",
    },
    "free": {"-h": "--human", "-m": "--mebi", "-g": "--gibi", "-w": "--wide"},
    "uptime": {"-p": "--pretty", "-s": "--since"},
    "ss": {
        "-t": "--tcp",
        "-u": "--udp",
        "-l": "--listening",
        "-n": "--numeric",
        "-p": "--processes",
        "-a": "--all",
        "-s": "--summary",
    },
    "lsblk": {"-o": "--output"},
    "dmesg": {"-T": "--ctime", "-x": "--decode", "-l": "--level"},
    "systemctl": {
        "-l": "--full",
        "-a": "--all",
        "-n": "--lines",
        "-p": "--property",
        "-t": "--type",
        "--failed": "--state=failed",
    },
    "journalctl": {
        "-b": "--boot",
        "-k": "--dmesg",
        "-r": "--reverse",
        "-n": "--lines",
        "-u": "--unit",
        "-p": "--priority",
        "-S": "--since",
        "-U": "--until",
        "-t": "--identifier",
        "-g": "--grep",
        "-o": "--output",
    },
}
PAGER = frozenset({"--no-pager"})  # the commands' output never is a terminal, so there is no pager to turn off
PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
UNIT_SUFFIXES = (
    ".service", ".socket", ".target", ".timer", ".mount", ".automount",
    ".swap", ".path", ".slice", ".scope", ".device",
)  # fmt: skip
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
SPAN = re.compile(
    r"(?P<sign>-?)(?P<count>\d{1,6}) ?"
    r"(?P<unit>s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?)(?P<ago> ago)?\Z"
)


def verify(attempts: list[Attempt], contract: Any) -> list[Verdict]:
    """Return one verdict for each attempt, in order."""
    return [_verdict(attempt, contract) for attempt in attempts]


def _verdict(attempt: Attempt, contract: Any) -> Verdict:
    found = attempt.verdict
    if found is None or contract is None:
        return Verdict.abstained("there is no contract to judge by")
    if found.status in ("passed", "errored", "abstained"):
        return found
    answer = contract.read(attempt.completion)
    if not answer.only_json or contract.argv(answer.value) is None:
        return found
    expected = _canonical_answer(contract, contract.complete(attempt.expected))
    given = _canonical_answer(contract, answer.value)
    again: Verdict = contract.judge(expected, json.dumps(given))
    if again.score is None or found.score is None or again.score <= found.score:
        return found
    return again.model_copy(update={"reasons": (*again.reasons, "the same commands, written in another way")})


def _canonical_answer(contract: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Return a valid answer with its command line in canonical form."""
    arguments = {**value["args"], LINE: canonical_line(contract, contract.argv(value))}
    return {"tool": value["tool"], "args": arguments}


def canonical_line(contract: Any, commands: tuple[tuple[str, ...], ...]) -> str:
    """Return the one text of commands that the contract allows."""
    allow = contract.tools[TOOL].argv.allow
    return " && ".join(shlex.join(canonical_command(argv, allow[argv[0]].values)) for argv in commands)


def canonical_command(argv: tuple[str, ...], takes_value: tuple[str, ...]) -> list[str]:
    """Return the one form of a command that the contract allows.

    Args:
        argv: program and arguments.
        takes_value: the options of the program that take a value.
    """
    program, *words = argv
    options: set[str] = set()
    valued: list[str] = []
    operands: list[str] = []
    pending = iter(words)
    for word in pending:
        name, value = _split_option(word, takes_value)
        if not word.startswith("-"):
            operands.append(word)
        elif value is None and word in takes_value and not _may_stand_alone(word):
            valued.append(_attach(program, word, next(pending)))
        elif value is not None:
            valued.append(_attach(program, name, value))
        else:
            options |= {_long(program, flag) for flag in _flags(word)}
    return [program, *sorted({*options, *valued} - PAGER), *_operands(program, operands)]


def _may_stand_alone(word: str) -> bool:
    """Is this one of the options whose value is optional? ``journalctl -b`` is; its value, if any, is attached."""
    return word in ("-b", "--boot")


def _split_option(word: str, takes_value: tuple[str, ...]) -> tuple[str, str | None]:
    """Split ``--lines=200`` and ``-n200`` into name and value."""
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        return (name, value) if equals else (word, None)
    if word[:2] in takes_value and len(word) > 2:
        return word[:2], word[2:]
    return word, None


def _flags(word: str) -> list[str]:
    """Take a bundle of short flags apart: ``-tlnp`` is ``-t -l -n -p``."""
    return [word] if word.startswith("--") else [f"-{letter}" for letter in word[1:]]


def _long(program: str, flag: str) -> str:
    name = LONG_NAMES.get(program, {}).get(flag, flag)
    return "--boot=0" if name == "--boot" else name


def _attach(program: str, flag: str, value: str) -> str:
    name = LONG_NAMES.get(program, {}).get(flag, flag)
    if program == "journalctl":
        value = _journal_value(name, value)
    return f"{name}={value}" if name.startswith("--") else f"{name}{value}"


def _journal_value(name: str, value: str) -> str:
    if name == "--unit":
        return _unit(value)
    if name == "--priority" and value in {str(number) for number in range(len(PRIORITIES))}:
        return PRIORITIES[int(value)]
    if name in ("--since", "--until"):
        return _span(value)
    return value


def _span(text: str) -> str:
    """Count ``-2h``, ``-120min`` and ``2 hours ago`` in seconds; any other time is left as it is."""
    match = SPAN.match(text)
    if match is None or bool(match["sign"]) == bool(match["ago"]):
        return text
    return f"-{int(match['count']) * SECONDS[match['unit'][0]]}s"


def _unit(name: str) -> str:
    """Add the suffix that systemd adds; a pattern is left as it is."""
    return name if name.endswith(UNIT_SUFFIXES) or set(name) & set("*?[") else f"{name}.service"


def _operands(program: str, operands: list[str]) -> list[str]:
    if program == "systemctl" and operands[0] in ("status", "show", "is-active", "is-enabled", "is-failed"):
        return [operands[0], *map(_unit, operands[1:])]
    if program == "ss":  # its filter is one expression, in one word or in several
        return [word for operand in operands for word in operand.split()]
    return operands
