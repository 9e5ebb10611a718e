"""What commands print beside their data."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from skillpm.cli.output import TerminalProgress, count, echo_json, size, table
from skillpm.errors import StorageError
from skillpm.formats.as_json import StreamedArray
from skillpm.formats.printable import printable
from tests.shop import MakeProject, publish, skill_files
from tests.terminal import at_terminal


def test_a_bar_that_has_ended_is_not_drawn_again_with_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    bars = TerminalProgress()
    for title in ("one", "two"):
        bars.start(title, 3)
        bars.advance(3, "all")
        bars.finish()
    told = capsys.readouterr().err
    assert (told.count("one"), told.count("two"), told.count("3/3")) == (1, 1, 2)


def test_an_error_begins_below_a_bar_that_was_not_finished_and_the_cursor_is_shown_again(
    project: MakeProject, tmp_path: Path
) -> None:
    place, shop = project(), publish(tmp_path / "shop", skill_files())
    next(shop.glob("archives/*/*")).write_bytes(b"damaged")
    words = ("install", "demo", "--registry", str(shop))
    code, shown = at_terminal(words, (), cwd=place.root, environment={**os.environ, **place.environment})
    assert code == 4 and "fetching skills" in shown
    assert re.search(r"\n(\x1b\[[0-9;]*m)*\x1b\[\?25h(\x1b\[[0-9;]*m)*error: ", shown), shown


@pytest.mark.parametrize(("terminal", "draws"), [("xterm", True), ("dumb", False)])
def test_a_terminal_that_cannot_draw_again_gets_plain_lines(project: MakeProject, terminal: str, draws: bool) -> None:
    place = project()
    variables = {**os.environ, **place.environment, "TERM": terminal}
    words = ("synth", "shell-tools", "--rows", "5", "--output", "x.jsonl", "--yes")
    code, shown = at_terminal(words, (), cwd=place.root, environment=variables)
    assert code == 0 and ("\x1b[" in shown) is draws, shown


def test_a_table_on_a_terminal_breaks_lines_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    columns = ("skill", "split", "rows", "asked", "targets", "request p50/p95", "answer p50/p95", "thrown away")
    rows = [("incident-triage", "held-out", 100, 100, 74, "72/113", "127/154", 0)]
    table(columns, rows)
    table(("skill", "source", "description"), [("a" * 70, "b" * 70, "what it does")])
    told = capsys.readouterr().out
    assert {*" ".join(columns).split(), *map(str, rows[0])} <= set(told.split())
    table(("name", "value", "meaning"), [("incident-triage", "v" * 40, "m" * 40)])
    assert "a" * 24 in told and "b" * 24 in told and "incident-triage" in capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("count", [3, 200_000])
def test_json_is_printed_whole_or_not_at_all(capsys: pytest.CaptureFixture[str], count: int) -> None:
    def items(end: int) -> Iterator[int]:
        yield from range(count)
        if end:
            raise StorageError("the disk is gone")

    with pytest.raises(StorageError):
        echo_json({"items": StreamedArray(items(1))})
    assert capsys.readouterr().out == ""
    echo_json({"items": StreamedArray(items(0))})
    assert json.loads(capsys.readouterr().out) == {"items": list(range(count))}


@pytest.mark.parametrize(
    ("bytes_", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (15_895, "15.9 kB"), (2.5e9, "2.5 GB")]
)
def test_sizes_have_one_form(bytes_: float, shown: str) -> None:
    assert size(bytes_) == shown


def test_numbers_have_their_noun() -> None:
    assert [count(number, "folder") for number in (0, 1, 1234)] == ["0 folders", "1 folder", "1,234 folders"]


@pytest.mark.parametrize(
    ("text", "keep", "shown"),
    [
        ("plain – text", "", "plain – text"),
        ("\x1b[2J", "", "\\x1b[2J"),
        ("a\nb\tc", "", "a\\nb\\tc"),
        ("a\nb\x07", "\n\t", "a\nb\\x07"),
        ("\u202egnp.exe", "", "\\u202egnp.exe"),
        ("\ud800", "", "\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str, keep: str, shown: str) -> None:
    assert printable(text, keep) == shown
