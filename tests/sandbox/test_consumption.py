"""A folder is full of bytes, of files or of levels, whatever is locked or goes away in it meanwhile."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skillpm.sandbox.consumption import is_full


def test_a_scratch_folderis_full_of_bytes_of_files_or_of_levels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillpm.sandbox.consumption._FILES", 20)
    for number in range(9):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}/file").write_bytes(b"x" * 5000)
    assert not is_full(tmp_path, 1 << 20) and is_full(tmp_path, 30_000)
    (tmp_path / "folder/inside").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_full(tmp_path, 1 << 20)


LOCKED = """
import os, sys
from pathlib import Path
from skillpm.sandbox.consumption import is_full
from skillpm.sandbox import privileges
privileges.drop()  # root reads every folder
folder = Path(sys.argv[1])
for mode in (0, 0o400, 0o100, 0o700):
    os.mkdir(folder / f"{mode}")
    (folder / f"{mode}/file").write_bytes(b"x" * 20_000)
    os.chmod(folder / f"{mode}", mode)
assert not is_full(folder, 100_000)
for mode in (0, 0o400, 0o100, 0o700):
    os.chmod(folder / f"{mode}", mode)
assert is_full(folder, 70_000)
"""


def test_a_locked_folder_hides_nothing_in_a_scratch_folder(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LOCKED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_file_that_goes_away_hides_no_other_one_in_a_scratch_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x" * 50_000)
    entries = sorted(os.scandir(tmp_path), key=lambda entry: entry.name)
    (tmp_path / "a").unlink()
    monkeypatch.setattr(os, "scandir", lambda folder: contextlib.nullcontext(entries))
    assert is_full(tmp_path, 30_000)
