"""The store holds trees by digest: whole or not at all, whoever else writes and whenever a writer dies."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skillpm.errors import BusyError, StorageError
from skillpm.layout.tree import FolderTree, MappingTree, tree_digest
from skillpm.storage.process_lock import ProcessLock, locked
from skillpm.storage.store import Store, folder_digest

TREE = MappingTree({"SKILL.md": b"text", "scripts/run.sh": b"echo\n"}, {"scripts/run.sh"})


def test_a_tree_is_found_by_its_digest_with_its_bytes_and_executable_bits(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.add(TREE)
    assert path == store.path(tree_digest(TREE))
    assert tree_digest(FolderTree(path)) == path.name
    assert (path / "scripts/run.sh").stat().st_mode & 0o111
    assert store.verify(path.name)


def test_where_no_folder_can_be_opened_the_same_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: paths are given whole."""
    tree = MappingTree({"SKILL.md": b"text", "a/b/c": b"1", "a/b/d": b"2", "a/e": b"3"}, {"a/e"})
    monkeypatch.setattr("skillpm.storage.unpack.os.supports_dir_fd", set())
    path = Store(tmp_path).add(tree)
    assert tree_digest(FolderTree(path)) == path.name == tree_digest(tree)


def test_adding_twice_writes_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before = store.add(TREE).stat().st_ino
    assert store.add(TREE).stat().st_ino == before
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("damage", ["change", "remove", "add", "mode", "link"])
def test_a_damaged_entry_is_found_and_replaced(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    path = store.add(TREE)
    if damage == "change":
        (path / "SKILL.md").write_bytes(b"tex\x74"[:-1] + b"u")
    elif damage == "remove":
        (path / "SKILL.md").unlink()
    elif damage == "add":
        (path / "extra").write_text("")
    elif damage == "mode":
        (path / "scripts/run.sh").chmod(0o644)
    else:
        (path / "passwd").symlink_to("/etc/passwd")
    assert not store.verify(path.name)
    store.add(TREE)
    assert store.verify(path.name)
    assert not list((tmp_path / "tmp").iterdir())


def test_leftovers_of_killed_runs_are_removed_by_the_next_writer(tmp_path: Path) -> None:
    left = tmp_path / "tmp" / "dead"
    left.mkdir(parents=True)
    (left / "half").write_text("")
    with contextlib.suppress(RuntimeError), Store(tmp_path).bringing("0" * 64) as needed:
        assert needed
        shutil.copytree(tmp_path / "bringing", tmp_path / "kept")  # what a killed process would not have removed
        raise RuntimeError
    shutil.copytree(tmp_path / "kept", tmp_path / "bringing", dirs_exist_ok=True)
    Store(tmp_path).add(TREE)
    assert not left.exists()
    assert not list((tmp_path / "bringing").iterdir())


def test_leftovers_are_left_alone_while_another_writer_lives(tmp_path: Path) -> None:
    other = ProcessLock(tmp_path / "lock")
    other.shared()
    left = tmp_path / "tmp" / "in-use"
    left.mkdir(parents=True)
    Store(tmp_path).add(TREE)
    assert left.exists()
    other.close()


def test_a_writer_that_waits_too_long_says_so(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(BusyError) as caught:
        ProcessLock(tmp_path / "lock").exclusive(wait=0.05)
    assert caught.value.exit_code == 8
    assert caught.value.hint


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from skillpm.storage.process_lock import ProcessLock\n"
        "lock = ProcessLock(Path(sys.argv[1])); lock.exclusive(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    lock = ProcessLock(tmp_path / "lock")
    assert not lock.try_exclusive()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    lock.exclusive(wait=5)
    lock.close()


@pytest.mark.attack(66)
def test_eight_processes_add_the_same_trees_and_one_copy_is_left(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from skillpm.storage.store import Store\n"
        "from skillpm.layout.tree import MappingTree\n"
        "store = Store(Path(sys.argv[1]))\n"
        "[store.add(MappingTree({'SKILL.md': str(n).encode() * 500})) for n in range(5)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(8)]
    assert [process.wait() for process in running] == [0] * 8
    entries = list((tmp_path / "tree-v1").iterdir())
    assert len(entries) == 5
    assert all(folder_digest(entry) == entry.name for entry in entries)
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.attack(65)
def test_a_writer_killed_at_any_instant_leaves_no_bad_entry(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from skillpm.storage.store import Store\n"
        "from skillpm.layout.tree import MappingTree\n"
        "store = Store(Path(sys.argv[1])); print('go', flush=True); n = int(sys.argv[2])\n"
        "while True:\n"
        "    n += 1; store.add(MappingTree({f'{i}.md': bytes(str(n), 'ascii') * 100 for i in range(20)}))"
    )
    trees = tmp_path / "tree-v1"
    for run in range(6):
        before = len(list(trees.iterdir())) if trees.is_dir() else 0
        writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(run * 10**6)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        while not trees.is_dir() or len(list(trees.iterdir())) == before:
            assert writer.poll() is None, "it writes for ever"
            time.sleep(0.001)
        time.sleep(0.013 * (run + 1))
        writer.kill()
        writer.wait()
        writer.stdout.close()
    store = Store(tmp_path)
    entries = [entry.name for entry in trees.iterdir()]
    assert len(entries) >= 6
    assert all(store.verify(entry) for entry in entries)
    store.add(TREE)
    assert not list((tmp_path / "tmp").iterdir())


def test_a_store_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file stands here")
    with pytest.raises(StorageError) as caught:
        Store(tmp_path / "store").add(TREE)
    assert caught.value.hint


def test_a_stored_tree_is_read_only_and_still_replaced_and_removed(tmp_path: Path) -> None:
    """Agents' folders may link to it, so an edit behind a link would be an edit of every project."""
    store = Store(tmp_path)
    path = store.add(TREE)
    for entry in (path, *path.rglob("*")):
        assert not entry.stat().st_mode & 0o222, entry
    assert (path / "scripts/run.sh").stat().st_mode & 0o777 == 0o555
    assert (path / "SKILL.md").stat().st_mode & 0o777 == 0o444
    path.chmod(0o755)
    (path / "extra").write_text("")
    path.chmod(0o555)
    store.add(TREE)
    assert store.verify(path.name)
    with store.cleaning():
        store.remove(path.name)
    assert not path.exists()
    assert not list((tmp_path / "tmp").iterdir())
