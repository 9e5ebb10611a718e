"""The lock is canonical, and a damaged one is refused instead of guessed at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm.errors import DocumentError, LockOutOfDateError, SkillpmError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.source import BUNDLED
from skillpm.storage.lockfile import read_lock, write_lock

D = "0" * 64
ENTRY = LockedSkill(name="demo", version="1.0", source=BUNDLED, archive=D, tree=D, requires={"other": ">=1"})
LOCK = Lock(requirements=("demo",), skills=(ENTRY,))


def test_what_is_written_is_read_back_and_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "skillpm.lock"
    assert read_lock(path) == Lock()
    write_lock(path, LOCK)
    before = path.stat().st_ino
    assert read_lock(path) == LOCK
    write_lock(path, LOCK)
    assert path.stat().st_ino == before
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda text: f"<<<<<<< HEAD\n{text}", LockOutOfDateError),
        (lambda text: text.replace('"lock": 1', '"lock": 2'), LockOutOfDateError),
        (lambda text: text.replace('"lock": 1', '"lock": "x"'), DocumentError),
        (lambda text: text.replace(D, "zz"), DocumentError),
        (lambda text: text.replace('"1.0"', '"one"'), DocumentError),
        (lambda text: text.replace(">=1", "=>1"), DocumentError),
        (lambda text: text.replace('"hooks"', '"hoks"'), DocumentError),
        (lambda text: text.replace('"demo"\n', '"DEMO"\n'), DocumentError),
        (lambda text: text.replace('"bundled"', r'"registry:a\u0000b"'), DocumentError),
        (lambda text: text.replace('"bundled"', r'"path:a\nb"'), DocumentError),
        (lambda text: text.replace('"bundled"', '"path:"'), DocumentError),
        (lambda text: text.replace('"bundled"', '""'), DocumentError),
        (lambda text: text.replace('"lock": 1', '"cutoff": "2026-99-99", "lock": 1'), DocumentError),
        (lambda text: text.replace('"lock": 1', '"cutoff": "2026-02-30", "lock": 1'), DocumentError),
        (lambda text: text.replace('"hooks": 1', '"hooks": 1, "signer": "junk"'), DocumentError),
        (lambda text: "[]", DocumentError),
        (lambda text: text[:-20], DocumentError),
        (lambda text: "", DocumentError),
        (lambda text: "{}", DocumentError),
        (lambda text: text.replace('  "lock": 1,\n', ""), DocumentError),
    ],
)
def test_a_damaged_lock_is_refused(tmp_path: Path, edit: Callable[[str], str], error: type[SkillpmError]) -> None:
    path = tmp_path / "skillpm.lock"
    path.write_text(edit(LOCK.text()))
    with pytest.raises(error) as caught:
        read_lock(path)
    assert caught.value.hint and "function-" not in str(caught.value)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "skillpm.lock"
    path.write_text(Lock(skills=(ENTRY, ENTRY)).text())
    with pytest.raises(DocumentError, match="twice"):
        read_lock(path)
