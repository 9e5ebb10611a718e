"""A folder of results appears whole, and never over another one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import StorageError, UsageError
from skillpm.storage.files import write_atomic
from skillpm.storage.process_lock import try_lock
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


def test_what_a_killed_command_has_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    output, dead, own = (tmp_path / name for name in ("results", ".results.skillpm-1a", ".results.backup"))
    for folder in (dead, own):
        folder.mkdir()
        (folder / "half").write_text("ha")
    with pytest.raises(UsageError, match="results exists already"), whole_folder(output) as living:
        assert not dead.exists()
        with whole_folder(output) as folder:
            (folder / "first").write_text("first")
        assert living.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".results.backup", "results"]


def test_a_file_that_cannot_be_written_is_named_as_the_person_knows_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as error, whole_folder(tmp_path / "results") as folder:
        write_atomic(folder, "a folder stands there")
    assert error.value.message == f"cannot write {tmp_path}/results: Is a directory"
    assert error.value.details["path"] == f"{tmp_path}/results"


def test_a_folder_is_replaced_in_one_step_and_stays_where_that_fails(tmp_path: Path) -> None:
    output = tmp_path / "results"
    for text, error in (("old", None), ("half", OSError), ("new", None)):
        with suppress(StorageError), whole_folder(output, over=True) as folder:
            (folder / "file").write_text(text)
            if error is not None:
                assert (output / "file").read_text() == "old"
                raise error
    assert (output / "file").read_text() == "new" and [*tmp_path.iterdir()] == [output]


def test_a_folder_that_another_process_takes_for_a_leftover_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    others: list[int] = []

    def watched(**places: Any) -> str:
        folder = str(mkdtemp(**places))
        made.append(folder)
        if len(made) == 1:  # it is removed at once
            Path(folder).rmdir()
        if len(made) == 2:  # it is about to be
            others.append(os.open(folder, os.O_RDONLY))
            assert try_lock(others[0], alone=True)
        return folder

    mkdtemp = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", watched)
    with whole_folder(tmp_path / "results") as folder:
        (folder / "file").write_text("new")
    assert str(folder) == made[2] and (tmp_path / "results" / "file").read_text() == "new"
    os.close(others[0])


@pytest.mark.parametrize("name", [".", "../here", ".."])
def test_the_working_folder_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match="the folder that you are in"), whole_folder(Path(name), over=True):
        pass
