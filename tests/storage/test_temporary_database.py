"""A temporary database leaves no file behind, and a full disk is a StorageError with a hint."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import StorageError
from skillpm.storage import temporary_database, temporary_lines
from skillpm.storage.temporary_database import DigestMap, DigestSet, TemporaryDatabase
from skillpm.storage.temporary_lines import TemporaryLines, shuffled


def test_its_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    database = TemporaryDatabase("CREATE TABLE t (x)")
    database.run_many("INSERT INTO t VALUES (?)", [(number,) for number in range(9)])
    assert not list(tmp_path.iterdir())
    assert database.run("SELECT sum(x) FROM t").fetchone() == (36,)


def test_its_connection_is_closed_with_the_object() -> None:
    database = TemporaryDatabase("CREATE TABLE t (x)")
    rows = database.run("SELECT 1")
    del database
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        rows.fetchone()


def test_a_full_disk_is_told_with_what_to_do() -> None:
    database = TemporaryDatabase("CREATE TABLE t (x)", "PRAGMA max_page_count=4")
    with pytest.raises(StorageError, match="cannot write rows to") as caught:
        for _ in range(20):
            database.run("INSERT INTO t VALUES (?)", (bytes(4000),))
    assert caught.value.hint is not None and "the disk is full" in caught.value.hint


def test_lines_for_which_the_disk_has_no_room_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(Path("/dev/full").open, "w+b"))
    lines = TemporaryLines()
    lines.append(b"a short line waits in memory\n")
    with pytest.raises(StorageError, match="cannot write rows to") as caught:
        list(lines)
    assert caught.value.hint is not None and "the disk is full" in caught.value.hint
    caught.value.__traceback__ = None
    file = lines._file
    del lines, caught
    assert file.closed


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match=r"cannot write rows to .*missing"):
        DigestSet()


def test_digests_are_members_once() -> None:
    digests = DigestSet()
    for digest in (b"b", b"a", b"b"):
        digests.add(digest)
    assert (len(digests), list(digests), b"a" in digests, b"c" in digests) == (2, [b"a", b"b"], True, False)


@pytest.mark.parametrize("numbers", [False, True])
def test_a_map_gives_the_same_from_memory_and_from_disk(monkeypatch: pytest.MonkeyPatch, numbers: bool) -> None:
    monkeypatch.setattr(temporary_database, "_PLACES", 15)  # and some keys have the same place in the filter
    chance, values, expected = random.Random(0), DigestMap(most=3), dict[Any, object]()  # so most of it is on disk
    for number in range(400):
        key = chance.randrange(-(2**63), 2**63, 2**58) if numbers else bytes([chance.randrange(40)])
        values[key] = expected[key] = chance.choice([None, number, [frozenset({b"word", bytes([number % 7])})]])
    known = {key: value for key, value in expected.items() if value is not None}
    assert {key: values.get(key) for key in expected} == expected
    assert (len(values), [*values.items()]) == (len(known), sorted(known.items()))
    assert all((key in values) == (key in known) for key in expected)


def test_lines_are_read_again_while_others_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temporary_lines, "_BLOCK", 64)
    chance, lines, expected = random.Random(0), TemporaryLines(), list[bytes]()
    for number in range(300):
        expected.append(b"%d " % number * chance.choice([1, 3, 90]) + b"\n")
        lines.append(expected[-1])
        if number % 50 == 0:
            assert [*lines] == expected
    assert [*zip(lines, lines, strict=True)] == [*zip(expected, expected, strict=True)]
    assert not list(tmp_path.iterdir())


def test_every_order_of_shuffled_lines_is_as_likely_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary_lines, "_PART", 4)  # so that there are several files
    bits = random.Random(0).getrandbits
    orders = Counter(
        b"".join(line for part in shuffled([b"a\n", b"b\n", b"c\n"], 9, bits) for line in part) for _ in range(6_000)
    )
    assert len(orders) == 6
    assert all(850 < count < 1150 for count in orders.values())  # 1,000 expected, with a deviation of 29
