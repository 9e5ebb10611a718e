"""Asks a person at the terminal about a command that a model would run."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import textwrap
import unicodedata
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.output import clipped, safe
from skillpm.errors import SkillpmError
from skillpm.formats.strict import strict_json

if TYPE_CHECKING:
    from skillpm.agent.approval import Decision, Question
    from skillpm.agent.proposal import Proposal

_VALUE = 400  # characters of an argument that are shown; the command line is always shown whole
_LONG = 500  # characters of a command, of which a terminal may have scrolled the first away
_WIDEST = 100


def ask(question: Question) -> Decision:
    """Show what would run, and return what the person decides; where the input ends, nobody has decided.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    from skillpm.agent.approval import Decision

    try:
        return _asked(question)
    except EOFError:
        return Decision("nobody", question.proposal, "the input ended")


def reply(question: str) -> str | None:
    """Show what the model asks back, and return what the person answers; None for an empty line or no input.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    for line in question.splitlines():
        _say(line)
    try:
        return _read("answer> ") or None
    except EOFError:
        return None


def _asked(question: Question) -> Decision:
    from skillpm.agent.approval import Decision

    proposal, edited = question.proposal, False
    words = ["yes", "no", "edit", *(["always"] if question.may_always else [])]
    _show(proposal, question)
    if question.fresh:
        _say("The model has read what a tool or a reference says. That text may have asked for this command.")
    if question.unsure:
        _say(f"{question.unsure[0].upper()}{question.unsure[1:]}.")
    while True:
        _forget_typed()
        typed = _read(f"Run it? {', '.join(f'[{word[0]}]{word[1:]}' for word in words)}: ").lower()
        word = next((word for word in words if typed in (word[0], word)), None)
        if word == "edit":
            changed = _edit(proposal, question)
            if changed is not None:
                proposal, edited = changed, True
                _show(proposal, question)
        elif word == "no":
            return Decision("no", question.proposal)
        elif word is not None:
            return Decision("edit" if edited else word, proposal)  # type: ignore[arg-type]
        else:
            _say(f"Answer with one of: {', '.join(words)}.")


def _show(proposal: Proposal, question: Question) -> None:
    """Print what is called, what each argument means, and exactly what would run where."""
    tool, place = proposal.tool, question.place
    name = "" if tool is None else tool.name
    _say(f"{name}: {tool.description}" if tool is not None and tool.description else name)
    for item in proposal.meanings:
        value = item.value if isinstance(item.value, str) else json.dumps(item.value, ensure_ascii=False)
        meaning = f"  ({item.description})" if item.description else ""
        _say(f"  {item.argument} = {clipped(value, _VALUE)}{meaning}")
    for line, program in zip(proposal.lines, place.check(proposal.argv or ()), strict=True):
        click.echo(f"  runs {safe(line)}", err=True)  # unwrapped: every space of it counts
        _say(f"    as {program}")
        if len(line) > _LONG:
            _say(f"    The command has {len(line):,} characters: check its beginning, too.")
    for word in sorted({word for words in proposal.argv or () for word in words if len(_alphabets(word)) > 1}):
        _say(f"  `{clipped(word, _VALUE)}` mixes alphabets that look alike: {', '.join(sorted(_alphabets(word)))}.")
    _say(f"  in {place.sentence}")


def _alphabets(word: str) -> set[str]:
    """Return which of the alphabets with letters of one look a word has."""
    letters = {unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()}
    return letters & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "FULLWIDTH", "MATHEMATICAL"}


def _forget_typed() -> None:
    """Forget what was typed before the question was there: a tool may have printed a question of its own."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # no terminal
        import termios

        with contextlib.suppress(termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _edit(proposal: Proposal, question: Question) -> Proposal | None:
    """Return the proposal with the arguments that a person changed; None if nothing changed, or it would be refused."""
    from skillpm.model.contract import CommandLine

    tool = proposal.tool
    assert tool is not None
    arguments = json.dumps(proposal.arguments, ensure_ascii=False)
    example = f"JSON with the arguments that change, such as {clipped(arguments, _VALUE)}"
    command = "the new command, or " if isinstance(tool.argv, CommandLine) else ""
    _say(f"Type {command}{example}; an empty line changes nothing.")
    typed = _read("> ")
    if not typed:
        return None
    try:
        changes = strict_json(typed) if typed.startswith("{") else None
    except ValueError as error:
        _say(f"That is not JSON: {error}.")
        return None
    if changes is None:
        if not isinstance(tool.argv, CommandLine):
            _say(f"Only the arguments can be changed: type {example}.")
            return None
        changes = {tool.argv.command_line: typed}
    changed = question.read(json.dumps({"tool": tool.name, "args": {**proposal.arguments, **changes}}))
    if changed.problems:
        _say(f"The contract refuses it: {'; '.join(changed.problems)}.")
        return None
    try:
        question.place.check(changed.argv or ())
    except SkillpmError as error:
        _say(f"{error.message}.")
        return None
    return changed


def _read(prompt: str) -> str:
    """Return a line without the space around it. Raises EOFError where the input ends."""
    click.echo(prompt, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        click.echo(err=True)
        raise EOFError
    return line.strip()


def _say(text: Any) -> None:
    """Print a text on stderr, in lines that fit the terminal; foreign control characters are spelled out."""
    width = max(20, min(shutil.get_terminal_size().columns - 1, _WIDEST))
    indent = " " * (len(text) - len(text.lstrip()) + 2) if text.startswith(" ") else ""
    for line in textwrap.wrap(safe(text), width, subsequent_indent=indent, break_on_hyphens=False):
        click.echo(line, err=True)
