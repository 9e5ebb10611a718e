"""Rows in a file, and a disk that is full."""

from __future__ import annotations

import gc
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skillpm.errors import StorageError
from skillpm.storage.file_rows import FileRows


def test_rows_come_back_in_any_order() -> None:
    rows = FileRows.temporary()
    for number in range(5):
        rows.append(b"x" * number)
    assert list(map(len, rows)) == [0, 1, 2, 3, 4] and rows[-1] == b"xxxx"
    picked = rows[1:4].picked([2, 0])
    del rows
    assert list(picked) == [b"xxx", b"x"], "the file stays open for them"


@pytest.mark.filterwarnings("error")
def test_a_full_disk_is_an_error_and_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    rows = FileRows(Path("/dev/full").open("r+b"))  # noqa: SIM115 - the rows close it
    with pytest.raises(StorageError, match="No space left"):
        for _ in range(2):  # the first one waits in a buffer
            rows.append(b"row")
            rows[0]
    del rows
    gc.collect()
    assert capfd.readouterr().err == ""


def test_threads_that_read_at_once_get_their_own_rows() -> None:
    class Slow(io.BytesIO):
        def seek(self, place: int, whence: int = 0, /) -> int:
            found = super().seek(place, whence)
            time.sleep(0.001)  # another thread has its turn
            return found

    rows = FileRows(Slow())
    for number in range(20):
        rows.append(b"%d," % number)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(rows.__getitem__, range(20))) == [b"%d," % number for number in range(20)]
