"""Small files are written whole or not at all, and errors of the disk tell what to do."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from skillpm.errors import DocumentError, StorageError
from skillpm.storage.files import check_can_make, read_text, storage_error, write_atomic


def test_text_and_bytes_are_written_with_line_ends_untouched(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b.txt", "é\r\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "é\r\n".encode()
    assert read_text(tmp_path / "a" / "b.txt") == "é\r\n"
    write_atomic(tmp_path / "a" / "b.txt", b"\xff")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_old_bytes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "file", "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("skillpm.storage.files.os.fsync", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        write_atomic(tmp_path / "file", "new")
    assert "free some space" in str(caught.value.hint)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOTDIR, errno.EIO])
def test_every_error_of_the_disk_names_the_file_and_has_a_hint(number: int) -> None:
    error = storage_error("write", Path("some/file"), OSError(number, os.strerror(number)))
    assert "some/file" in error.message
    assert error.hint
    assert error.exit_code == 6


def test_a_missing_file_and_one_that_is_not_utf8_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing"):
        read_text(tmp_path / "nothing")
    (tmp_path / "latin").write_bytes(b"ab\xe9")
    with pytest.raises(DocumentError, match="latin:1: not UTF-8: byte 0xe9"):
        read_text(tmp_path / "latin")


def test_a_place_is_tried_beside_what_another_process_of_this_number_left(tmp_path: Path) -> None:
    """In two containers two processes have one number."""
    (tmp_path / f".skillpm-{os.getpid()}").mkdir()
    before = sorted(tmp_path.iterdir())
    check_can_make(tmp_path / "runs/one")
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(StorageError, match="cannot make a folder in"):
        (tmp_path / "file").write_text("")
        check_can_make(tmp_path / "file")
