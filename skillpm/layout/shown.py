"""What the text of a skill shows: commands with what is said of them, and which options take values.

Commands stand in fenced blocks, in tables beside a cell that says what for, and in items of lists.

Only simple commands are taken, joined by ``&&`` at most: pipes, redirections, variables and loops need a shell, and a
contract describes programs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)")
_SHELLS = ("", "sh", "bash", "shell", "zsh", "console", "terminal", "shell-session", "sh-session")
_PROMPT = re.compile(r"^[ \t]*[$%>] ")
_PLACEHOLDER = re.compile(r"<([A-Za-z][\w .:/-]*)>")
_HOLE = re.compile(r"@[\w.:-]+@|[A-Z][A-Z0-9_]{2,}|path/to/.*|\.\.\.|…")  # a word that stands for a value
_NEEDS_SHELL = re.compile(r"[`$|;<>(){}\[\]~*]|(?<!&)&(?!&)")
_PROGRAM = re.compile(r"[A-Za-z][A-Za-z0-9._+-]*")
_BUILTINS = ("cd", "export", "source", "set", "alias", "echo", "if", "for", "while", "do", "done", "then", "fi", "sudo")
_INLINE = re.compile(r"`([a-z][\w.+-]* [^`]+)`")  # a command with at least one word behind it
_LIST_ITEM = re.compile(r"[ \t]*(?:[*+-]|\d+[.)])[ \t]+(.*)")
_OPTION_ROW = re.compile(r"^[ \t]*(?:[|*+-][ \t]*)?((?:`[^`]*`(?:[ \t]*[,/|][ \t]*)?)+)")
_OPTION = re.compile(r"(--?[A-Za-z0-9][\w-]*)([ =]+[<\[]?\w[\w.|-]*[>\]]?)?")
_MARKS = re.compile(r"[*_`]+|\[([^\]]*)\]\([^)]*\)|^[#>\d.)\s+-]+")


@dataclass(frozen=True, slots=True)
class Shown:
    """A command line that a text shows: its commands as words, what is said of it (or ``""``), and its line."""

    commands: tuple[tuple[str, ...], ...]
    said: str
    line: int

    @property
    def concrete(self) -> bool:
        """Does it name real values, and not placeholders such as ``<file>`` or ``FILE``?"""
        return not any(is_hole(word) for words in self.commands for word in words)

    @property
    def text(self) -> str:
        """The command line, each word quoted where it needs it."""
        return " && ".join(shlex.join(words) for words in self.commands)


def is_hole(word: str) -> bool:
    """Does a word, or the value in an option's word, stand for a value?"""
    return _HOLE.fullmatch(word) is not None or _HOLE.fullmatch(word.partition("=")[2]) is not None


def shown_commands(text: str) -> list[Shown]:
    """Return the commands of a Markdown text in their order."""
    commands: list[Shown] = []
    before, fence, block, first, is_shell = "", "", list[str](), 0, False
    for number, line in enumerate(text.splitlines(), 1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2]:
                commands += _of_block(block, before, first) if is_shell else ()
                fence = before = ""
            else:
                block.append(line)
        elif mark:
            fence = mark[1]
            block, first, is_shell = [], number + 1, mark[2].lower() in _SHELLS
        elif line.strip():
            before = line
            commands += _of_line(line, number)
    return commands


def _of_line(line: str, number: int) -> Iterator[Shown]:
    """Yield the command of a row of a table, or of an item of a list, with what the other cells or the rest say."""
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)] if line.lstrip().startswith("|") else _item(line)
    for cell in cells:
        span = _INLINE.match(cell)
        meaning = next((text for other in cells if other != cell and (text := _sentence(other))), "")
        if span and meaning:
            shown = _command(span[1], meaning, number)
            if shown is not None:
                yield shown
            return


def _item(line: str) -> list[str]:
    """Return the command and the rest of a list's item, or nothing."""
    item = _LIST_ITEM.match(line)
    spans = _INLINE.findall(line) if item else []
    if item is None or len(spans) != 1:
        return []
    return [f"`{spans[0]}`", _INLINE.sub("", item[1]).strip(" :—–-")]


def _of_block(lines: list[str], before: str, first: int) -> Iterator[Shown]:
    prompts = [line for line in lines if _PROMPT.match(line)]
    meaning, joined = _sentence(before), ""
    for number, line in enumerate(lines, first):
        if prompts and not _PROMPT.match(line) and not joined:
            continue  # what a command prints
        joined += _PROMPT.sub("", line).strip() if not joined else f" {line.strip()}"
        if joined.endswith("\\"):
            joined = joined[:-1].rstrip()
            continue
        if joined.startswith("#"):
            meaning = _sentence(joined)
        elif joined:
            shown = _command(joined, meaning, number)
            if shown is not None:
                yield shown
            meaning = ""
        joined = ""


def _command(line: str, meaning: str, number: int) -> Shown | None:
    line, _, comment = line.partition(" #")
    line = _PLACEHOLDER.sub(lambda match: f"@{re.sub('[^A-Za-z0-9]+', '-', match[1])}@", line)
    if not line or _NEEDS_SHELL.search(re.sub(r"'[^']*'", "", line)):
        return None
    try:
        commands = tuple(tuple(shlex.split(part)) for part in line.split(" && "))
    except ValueError:  # a quote without its end
        return None
    for words in commands:
        if not words or not _PROGRAM.fullmatch(words[0]) or words[0] in _BUILTINS:
            return None
    return Shown(commands, _sentence(comment) or meaning, number)


def _sentence(text: str) -> str:
    """Return what a line of Markdown says, without its marks, as a request; empty if it says too little."""
    if text.lstrip().startswith("|"):  # a row of a table
        return ""
    plain = _MARKS.sub(lambda match: match[1] or "", text).strip()
    plain = re.split(r"(?<=[.!?]) ", plain)[-1].rstrip(" :.").strip()
    return plain if " " in plain and len(plain) <= 200 else ""


def options_with_values(text: str) -> dict[str, bool]:
    """Return whether options take a value, as tables and lists of options say: ``| `--port PORT` | … |``."""
    known: dict[str, bool] = {}
    for line in text.splitlines():
        row = _OPTION_ROW.match(line)
        if row is None or not row[1].startswith("`-"):
            continue
        options = [option for part in re.findall("`([^`]*)`", row[1]) for option in _OPTION.finditer(part)]
        takes = any(option[2] for option in options)
        known |= {option[1]: takes for option in options}
    return known
