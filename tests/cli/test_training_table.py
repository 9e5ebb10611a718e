"""The live table of a training run fits 80 columns, and what a run cannot say leaves its column empty."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from skillpm.cli.training_table import TrainingTable
from skillpm.model.progress import Figure

HEADER = "work done loss reward held-out tokens/s memory left"


def drawn(width: int) -> list[str]:
    """Return the lines of two pieces of work, as they stand on a terminal when both have ended."""
    out = io.StringIO()
    table = TrainingTable(Console(file=out, width=width, force_terminal=True, legacy_windows=False, no_color=True))
    table.start("server train", 40)
    table.advance(40)
    table.finish()
    table.start("a-stage-with-a-long-name (grpo)", 120)
    figures = [Figure("loss", 0.25), Figure("accuracy", 0.5), Figure("reward", 0.125)]
    table.advance(1, figures=[*figures, Figure("tokens/s", 1234.4, "/s"), Figure("memory", 12.5e9, "B")])
    table.advance(119, figures=[Figure("held-out", 0.75)])
    table.finish("3 pairs", 2.0)
    return [line for line in on_screen(out.getvalue()) if line]


def on_screen(written: str) -> list[str]:
    """Return what stands on a terminal: it knows line feeds, carriage returns, and the codes that move up and erase."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\n)", written.replace("\r", "")):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.startswith("\x1b["):
            row -= int(part[2:-1]) if part.endswith("A") else 0
            lines[row] = "" if part.endswith("K") else lines[row]
        else:
            lines[row] += part
    return [line.rstrip() for line in lines]


def test_a_run_is_one_table_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    header, first, second = drawn(80)
    assert header.split() == HEADER.split()
    assert first.split() == ["server", "train", "40/40", "0", "s"]
    assert second.split() == [
        "a-stage-with-a-long-n\u2026",
        "120/120",
        "0.25",
        "0.125",
        "0.75",
        "1234",
        "12.5",
        "GB",
        "0",
        "s",
    ]
    assert max(map(len, (header, first, second))) <= 80
    assert capsys.readouterr().err == "  3 pairs\n"


def test_a_narrow_terminal_has_fewer_columns() -> None:
    header, first, second = drawn(50)
    assert header.split() == ["work", "done", "loss", "left"] and second.split()[-3:] == ["0.25", "0", "s"]
    assert max(map(len, (header, first, second))) <= 50
