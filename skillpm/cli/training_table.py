"""The live table of a training run: one line for each piece of work, the last one moving; 80 columns are enough."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import is_set
from skillpm.cli.output import PlainProgress, can_draw, figure_text, progress, safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from skillpm.model.progress import Figure, Progress

_WIDTHS = {"work": 22, "done": 9, "loss": 6, "reward": 6, "held-out": 8, "tokens/s": 8, "memory": 7, "left": 6}
_SPARED = ("memory", "tokens/s", "held-out", "reward", "loss")  # on a narrow terminal, in this order


class TrainingTable(PlainProgress):
    """Progress on a terminal. A figure stands in the column of its name, where there is one."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._live: Any = None
        self._figures: dict[str, str] = {}
        self._headed = self._ended = False

    def start(self, title: str, total: int | None) -> None:
        """Begin a line."""
        from rich.live import Live

        super().start(title, total)
        self._figures, self._ended = {}, False
        self._live = Live(console=self._console, get_renderable=self._drawn, refresh_per_second=4)
        self._live.start()

    def advance(self, count: int = 1, note: str = "", figures: Sequence[Figure] = ()) -> None:
        """Move the line."""
        self._done += count
        self._figures |= {figure.name: figure_text(figure) for figure in figures}

    def finish(self, note: str = "", seconds: float | None = None) -> None:
        """Leave the line, which has the seconds; the next one begins below it. A note stands under it."""
        self._ended = True
        self._live.stop()
        self._headed = True
        if note:
            click.echo(safe(f"  {note}"), err=True)

    def close(self) -> None:
        """Stop drawing a line that was not finished."""
        if self._live is not None:
            self._live.stop()

    def _drawn(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=not self._headed, padding=(0, 1, 0, 0), header_style="bold")
        done = f"{self._done:,}/{self._total:,}" if self._total else f"{self._done:,}"
        cells = {"work": safe(self._title), "done": done, **self._figures, "left": self._time()}
        for name in self._columns():
            side: Any = "left" if name == "work" else "right"
            table.add_column(name, width=_WIDTHS[name], justify=side, no_wrap=True, overflow="ellipsis")
        table.add_row(*(Text(cells.get(name, "")) for name in self._columns()))
        return table

    def _columns(self) -> list[str]:
        """Return the columns that the terminal has room for."""
        names, spare = list(_WIDTHS), self._console.width - sum(_WIDTHS.values()) - len(_WIDTHS)
        for name in _SPARED:
            if spare >= 0:
                break
            names.remove(name)
            spare += _WIDTHS[name] + 1
        return names

    def _time(self) -> str:
        """Return the seconds that are left, or that the work took."""
        elapsed = time.monotonic() - self._begun
        if self._ended:
            return f"{elapsed:.0f} s"
        return f"{elapsed / self._done * (self._total - self._done):.0f} s" if self._total and self._done else ""


@contextmanager
def training_progress() -> Iterator[Progress]:
    """Yield the progress of training that fits stderr; the terminal is left as it was, also by an error."""
    if is_set("quiet") or not can_draw():
        yield progress()
        return
    shown = TrainingTable()
    try:
        yield shown
    finally:
        shown.close()
