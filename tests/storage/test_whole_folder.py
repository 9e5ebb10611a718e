"""A folder of results appears whole, and never over another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.errors import UsageError
from skillpm.storage.whole_folder import whole_folder


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_another_command_wrote_stands_and_the_second_is_told(tmp_path: Path, when: str) -> None:
    output = tmp_path / "results"

    def another_command() -> None:
        with whole_folder(output) as folder:
            (folder / "first").write_text("first")

    if when == "before":
        another_command()
    with pytest.raises(UsageError, match="results exists already"), whole_folder(output) as folder:
        (folder / "second").write_text("second")
        another_command()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["results", "results/first"]
