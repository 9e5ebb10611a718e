"""Removal of trees that somebody else made."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from skillpm.storage.unpack import remove_tree


def test_a_tree_is_removed_however_deep_and_locked_it_is_and_no_link_is_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "file").write_text("x")
    root.mkdir()
    with contextlib.chdir(root):
        for _ in range(1500):
            os.mkdir("d")  # noqa: PTH102  the whole path is too long
            os.chdir("d")
        os.symlink(outside, "link")  # noqa: PTH211
        os.mkdir("locked")  # noqa: PTH102
        os.close(os.open("locked/file", os.O_CREAT))
        os.chmod("locked", 0)  # noqa: PTH101
    remove_tree(root)
    assert not root.exists()
    assert (outside / "file").exists()
