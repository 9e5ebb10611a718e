"""A temporary database leaves no file behind, and a full disk is a StorageError with a hint."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from pathlib import Path

import pytest

from skillpm.errors import StorageError
from skillpm.storage import temporary_database
from skillpm.storage.temporary_database import DigestMap, DigestSet, TemporaryDatabase
from skillpm.storage.temporary_records import TemporaryRecords


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


def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    database = TemporaryDatabase("CREATE TABLE t (x)", "PRAGMA max_page_count=4")
    with pytest.raises(StorageError, match="cannot write rows to") as caught:
        for _ in range(20):
            database.run("INSERT INTO t VALUES (?)", (bytes(4000),))
    assert caught.value.hint is not None and "the disk is full" in caught.value.hint


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match=r"cannot write rows to .*missing"):
        DigestSet()


def test_digests_are_members_once() -> None:
    digests = DigestSet()
    for digest in (b"b", b"a", b"b"):
        digests.add(digest)
    assert (len(digests), list(digests), b"a" in digests, b"c" in digests) == (2, [b"a", b"b"], True, False)


def test_a_map_gives_the_same_from_memory_and_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary_database, "_LAST", 3)  # so that most of it is on disk
    chance, values, expected = random.Random(0), DigestMap(), dict[bytes, object]()
    for number in range(400):
        key = bytes([chance.randrange(40)])
        values[key] = expected[key] = chance.choice([None, number, [frozenset({b"word", bytes([number % 7])})]])
    known = {key: value for key, value in expected.items() if value is not None}
    assert {key: values.get(key) for key in expected} == expected
    assert (len(values), list(values)) == (len(known), sorted(known))
    assert all((key in values) == (key in known) for key in expected)


def test_records_are_found_again_while_others_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    chance, records, expected = random.Random(0), TemporaryRecords(), list[bytes]()
    for _ in range(400):
        expected.append(chance.randbytes(chance.choice([0, 1, 20_000])))
        records.append(expected[-1])
        place = chance.randrange(len(expected))
        assert records[place] == expected[place]
    assert [records[place] for place in range(len(records))] == expected
    assert not list(tmp_path.iterdir())
