"""Locks alone and beside others, between processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TAKER = """
from skillpm.storage.process_lock import try_lock
import os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for line in sys.stdin:
    word = line.strip()
    if word == "close":
        os.close(descriptor)
        descriptor = os.open(sys.argv[1], os.O_RDWR)
        print("closed", flush=True)
    else:
        print(try_lock(descriptor, alone=word == "alone"), flush=True)
"""
Taker = Callable[[str], str]


@pytest.fixture
def takers(tmp_path: Path) -> Iterator[list[Taker]]:
    """Two processes that take the lock of one file as they are told, and say whether they have it."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(tmp_path / "lock")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]

    def taker(process: subprocess.Popen[str]) -> Taker:
        def take(word: str) -> str:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        return take

    yield [taker(process) for process in running]
    for process in running:
        process.communicate()


def test_a_lock_is_held_by_one_alone_or_by_many_beside_each_other(takers: list[Taker]) -> None:
    one, other = takers
    assert one("alone") == "True"
    assert (other("alone"), other("beside")) == ("False", "False")
    assert one("beside") == "True", "a lock can be changed"
    assert other("beside") == "True"
    assert one("alone") == "False"
    assert other("close") == "closed"
    assert one("alone") == "True"


def test_a_file_that_is_opened_again_begins_without_a_lock(takers: list[Taker]) -> None:
    one, other = takers
    assert (one("alone"), one("close"), other("alone")) == ("True", "closed", "True")
    assert one("beside") == "False"
