"""``skillpm man``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click
import pytest

from tests.cli.test_main import commands
from tests.shop import MakeProject


@pytest.fixture
def pages(project: MakeProject, tmp_path: Path) -> dict[str, Path]:
    assert "MANPATH" in project().call("man", tmp_path / "man").ok().err
    return {path.stem: path for path in (tmp_path / "man/man1").iterdir()}


def test_every_command_has_a_page_with_its_options(pages: dict[str, Path]) -> None:
    assert "skillpm" in pages
    for path, command in commands():
        text = pages["-".join(("skillpm", *path)).replace(" ", "-")].read_text().replace("\\-", "-")
        shown = [item for item in command.params if isinstance(item, click.Option) and item.help and not item.hidden]
        assert all(name in text for option in shown for name in option.opts), path


def test_every_page_is_right_for_roff(pages: dict[str, Path]) -> None:
    if shutil.which("groff") is None:
        pytest.skip("no groff on this machine")
    words = ["groff", "-man", "-ww", "-z", *map(str, pages.values())]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""


def test_the_name_of_a_command_is_no_folder_for_pages(project: MakeProject) -> None:
    place = project()
    place.call("man", "run").fails(2, "skillpm run --help")
    assert not (place.root / "run").exists()
