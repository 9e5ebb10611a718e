"""Output: tables and progress bars on a terminal, plain text in a pipe, JSON for programs.

Results go to stdout, everything else to stderr. rich is imported only on a terminal.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import is_set, keep, printed
from skillpm.cli.paths import shortened
from skillpm.formats.as_json import as_json, written
from skillpm.formats.printable import printable

if TYPE_CHECKING:
    from skillpm.model.progress import Figure, Progress
    from skillpm.settings import Settings

json_option = click.option("--json", is_flag=True, expose_value=False, callback=keep, help="Print one JSON document.")

_SILENCE = 30.0  # seconds after which long work says how far it is
_IN_MEMORY = 4  # pieces of a JSON document; a longer one waits in a file
_WORD = 24  # characters that stay on one line of a narrow terminal


def safe(text: object) -> str:
    """Escape control characters and bidirectional overrides in foreign text."""
    return printable(str(text))


def echo_json(value: Any, **more: Any) -> None:
    """Print a result as one JSON document on stdout; ``more`` adds keys to an object.

    A part of it may be made while it is written, and that may fail: then nothing is printed.
    """
    pieces = written(as_json(value, **more))
    whole: Iterable[str] = (begun := list(islice(pieces, _IN_MEMORY)))
    if len(begun) == _IN_MEMORY:
        from skillpm.storage.file_rows import FileRows

        rows = FileRows.temporary()
        for piece in chain(begun, pieces):
            rows.append(piece.encode())
        whole = map(bytes.decode, rows)
    printed()
    for piece in whole:
        click.echo(piece, nl=False)
    click.echo()


def print_json(value: Any, **more: Any) -> bool:
    """Print a result as JSON if ``--json`` asks for it, and return whether it does; see ``echo_json``."""
    if is_set("json"):
        echo_json(value, **more)
    return is_set("json")


def tell(value: Any, sentence: str = "", *, out: object = None) -> None:
    """Print a result as JSON; or, for people, ``out`` of it on stdout and a sentence about it, if any, on stderr."""
    if print_json(value):
        return
    if out is not None:
        click.echo(safe(out))
    if sentence:
        note(sentence)


def note(text: str) -> None:
    """Print one line for the person on stderr; foreign line breaks and escapes in it are spelled out.

    With ``--quiet``, only warnings and what was left out are printed.
    """
    if is_set("quiet") and not text.startswith(("warning: ", "left out: ")):
        return
    click.echo(safe(shortened(text)), err=True)


def size(number: float) -> str:
    """Return a number of bytes for people, in powers of ten."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def brief(source: str) -> str:
    """Return a source for a table: a commit has its first 10 digits."""
    return re.sub(r"@([0-9a-f]{10})[0-9a-f]{30,54}(?=#|$)", r"@\1", source)


def shown(version: str) -> str:
    """Return a version for a table: "-" for a skill without one, whose lock says "0"."""
    return "-" if version == "0" else version


def versioned(name: str, version: str | None) -> str:
    """Return a name for a sentence, with the version where there is one."""
    return name if version is None or shown(version) == "-" else f"{name} {version}"


def cell(value: object) -> str:
    """Return a value for a table: "-" for nothing, words for flags, and what is in lists and mappings in one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {item}" for name, item in value.items()) or "-"
    if isinstance(value, tuple):
        return ", ".join(map(cell, value)) or "-"
    return "-" if value in (None, "") else str(value)


def clipped(text: str, width: int) -> str:
    """Return at most ``width`` characters of a text."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def tell_project(settings: Settings) -> None:
    """Print the project that a command changes, if it is in a parent folder."""
    if settings.above or is_set("verbose"):
        note(f"project: {settings.project}")


def listing(columns: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """Print a table, or without rows a note that says so."""
    if rows:
        table(columns, rows)
    else:
        note(nothing)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table on stdout: fitted to the width of a terminal by rich, aligned plain text in a pipe."""
    cells = [list(columns), *([safe(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        drawn = Table(title=title, header_style="bold", title_justify="left", box=None, padding=(0, 2, 0, 0))
        for column, width in zip(columns, _fitted(cells, widths, console.width), strict=True):
            drawn.add_column(column, width=width, overflow="fold")
        for row in cells[1:]:
            drawn.add_row(*map(Text, row))
        console.print(*[""] if title else [], drawn, sep="\n")
        return
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _fitted(cells: list[list[str]], widths: list[int], room: int) -> list[int]:
    """Return the widths of columns, two blanks apart, that fit into ``room`` characters.

    The widest column gives way first. A column is as wide as its longest word, up to a limit, while that is possible;
    the first, which has names, counts as 8 narrower.
    """
    least = [
        min(_WORD, max(len(word) for cell in column for word in cell.split(" "))) for column in zip(*cells, strict=True)
    ]
    fitted = list(widths)
    while sum(fitted) + 2 * len(fitted) > room and max(fitted) > 1:
        widest = max(range(len(fitted)), key=lambda at: (fitted[at] > least[at], fitted[at] - (0 if at else 8)))
        fitted[widest] -= 1
    return fitted


def trace_hooks() -> None:
    """Print every call of a hook on stderr, in this process and in its workers."""
    import logging

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(f"hook: {record.getMessage()}")

    logger = logging.getLogger("skillpm.hooks")
    logger.handlers = [Noting()]
    logger.setLevel(logging.DEBUG)


def figure_text(figure: Figure) -> str:
    """Return the value of a figure for people, with its unit."""
    if figure.unit == "B":
        return f"{figure.value / 1e9:.1f} GB"
    return f"{figure.value:.0f}" if figure.unit == "/s" else f"{figure.value:.3g}"


def _one_line(note: str, figures: Iterable[Figure]) -> str:
    return "  ".join([*filter(None, [note]), *(f"{figure.name} {figure_text(figure)}" for figure in figures)])


def _ending(note: str, seconds: float | None) -> str:
    return ", ".join(filter(None, ("" if seconds is None else f"{seconds:.0f} s", note)))


class PlainProgress:
    """Progress where nothing can be drawn again: one line when a piece of work ends, and one in half a minute of it."""

    def start(self, title: str, total: int | None) -> None:
        """Keep the title and start counting."""
        self._title, self._total, self._done = title, total, 0
        self._begun = self._said = time.monotonic()

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        """Add to the count; print how far it is, and the time that is left, where the last line is old."""
        self._done += count
        now = time.monotonic()
        if now - self._said >= _SILENCE:
            self._said = now
            done = f"{self._title}: {self._done} of {self._total or '?'}{self._left(now)}"
            self._say(f"{done}  {_one_line(note, figures)}".rstrip())

    def _left(self, now: float) -> str:
        if not self._total or not self._done:
            return ""
        return f", {(now - self._begun) / self._done * (self._total - self._done):.0f} s left"

    def _say(self, line: str) -> None:
        click.echo(safe(line), err=True)

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        """Print the line."""
        self._say(f"{self._title}: {self._done} {_ending(note, seconds)}".rstrip())


class TerminalProgress:
    """Progress bars on stderr, drawn by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._bar: Any = None
        self._note = ""

    def start(self, title: str, total: int | None) -> None:
        """Draw a new bar."""
        self._bars.start()
        self._note = ""
        self._bar = self._bars.add_task(title, total=total, note="")

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        """Move the bar."""
        self._note = _one_line(note, figures) or self._note
        self._bars.update(self._bar, advance=count, note=self._note)

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        """Leave the bar; the next one begins below it."""
        self._bars.update(self._bar, note=_ending(note, seconds) or self._note)
        self._bars.stop()
        self._bars.remove_task(self._bar)

    def close(self) -> None:
        """Leave a bar that was not finished, and show the cursor again."""
        self._bars.stop()


def progress() -> Progress:
    """Return the progress that fits stderr."""
    from skillpm.model.progress import NO_PROGRESS

    if is_set("quiet"):
        return NO_PROGRESS
    if not can_draw():
        return PlainProgress()
    bars = TerminalProgress()
    click.get_current_context().call_on_close(bars.close)  # before an error is printed
    return bars


def terminal_bar() -> Progress:
    """Return a bar where a person looks at stderr, and nothing where its last line would be noise."""
    from skillpm.model.progress import NO_PROGRESS

    return progress() if can_draw() else NO_PROGRESS


def can_draw() -> bool:
    """Is stderr a terminal on which lines can be drawn again?"""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
