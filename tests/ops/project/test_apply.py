"""A project is one skillpm's at a time, and what comes to nothing leaves nothing behind."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skillpm.ops.project.apply import project_held
from skillpm.storage import process_lock
from tests.shop import MakeProject, skill_files


@pytest.mark.parametrize(
    "words",
    [
        ("sync",),
        ("sync", "--frozen"),
        ("update",),
        ("uninstall", "x"),
        ("install", "there-is-no-such-skill"),
        ("install", "--dry-run", "shell-tools"),
        ("lock", "--check"),
        ("lock", "--upgrade", "x"),
        ("import", "nowhere.json", "--install"),
        ("synth", "--output", "data"),
        ("publish", ".", "--registry", "nowhere"),
        ("pack",),
        ("version", "bump", "minor"),
        ("verify",),
        ("list",),
        ("outdated",),
    ],
    ids=" ".join,
)
def test_nothing_is_made_where_nothing_is_done(project: MakeProject, words: tuple[str, ...]) -> None:
    place = project()
    place.call(*words)
    assert [path.name for path in place.root.iterdir()] == []


def test_a_failed_install_leaves_what_was_there(project: MakeProject) -> None:
    place = project({".skillpm": {"mine": "keep"}, "demo": skill_files()})
    place.call("install", "nowhere").fails(2)
    assert (place.root / ".skillpm/mine").read_text() == "keep"


def test_a_fresh_checkout_is_told_what_was_put_into_it(project: MakeProject) -> None:
    place = project({"demo": skill_files(), "skillpm.yaml": "project: 1\nrequires: {demo: {path: demo}}\n"})
    place.call("lock").ok()
    assert "1 added" in place.call("sync", "--frozen").ok().err
    assert "1 up to date" in place.call("sync", "--frozen").ok().err


@pytest.mark.skipif(sys.platform == "win32", reason="a folder with an open file is not removed there")
def test_whoever_leaves_removes_no_lock_but_its_own(tmp_path: Path) -> None:
    with project_held(tmp_path):
        shutil.rmtree(tmp_path / ".skillpm")
        with project_held(tmp_path):
            pass
        (tmp_path / ".skillpm").mkdir()
        (tmp_path / ".skillpm/lock").touch()  # another's
    assert (tmp_path / ".skillpm/lock").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open is not removed there, and nothing is tried")
def test_processes_that_wait_come_one_by_one_also_where_the_file_of_the_lock_is_removed(tmp_path: Path) -> None:
    inside, most = [], []

    def work(_: int) -> None:
        with project_held(tmp_path):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert (len(most), set(most)) == (200, {1})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["exclusive", "close", "body"])
def test_an_interrupt_at_any_moment_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    interrupts = 1

    def interrupt(*_: object, **__: object) -> bool:
        nonlocal interrupts
        interrupts -= 1
        if interrupts >= 0:
            raise KeyboardInterrupt
        return True

    if moment != "body":
        monkeypatch.setattr(process_lock.ProcessLock, moment, interrupt)
    with pytest.raises(KeyboardInterrupt), project_held(tmp_path):
        if moment == "body":
            interrupt()
    assert list(tmp_path.iterdir()) == []
