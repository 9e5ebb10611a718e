"""Records on disk for one computation whose data may not fit in memory; each is found again by its number."""

from __future__ import annotations

import tempfile
import weakref
from array import array
from pathlib import Path

from skillpm.storage.files import DiskErrors


class TemporaryRecords:
    """Records in a file without a name, in the folder for temporary files (``TMPDIR``); it is gone with the object.

    Of each record eight bytes are in memory: where it ends.

    Raises:
        StorageError: the disk refused; every method raises it too.
    """

    def __init__(self) -> None:
        self._ends = array("q", [0])
        self._at_end = True
        self._errors = DiskErrors("write rows to", Path(tempfile.gettempdir()))
        with self._errors:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  it is open as long as the object
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ends) - 1

    def append(self, record: bytes) -> None:
        """Add a record; its number is the length before."""
        with self._errors:
            if not self._at_end:
                self._file.seek(self._ends[-1])
                self._at_end = True
            self._file.write(record)
        self._ends.append(self._ends[-1] + len(record))

    def __getitem__(self, number: int) -> bytes:
        """Return a record."""
        start, end = self._ends[number : number + 2]
        self._at_end = False
        with self._errors:
            self._file.seek(start)
            return self._file.read(end - start)
