"""The index of many skills: what a server changed is seen at once, and no request waits until all is looked through."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from skillpm.errors import BusyError, RegistryError
from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm.index.pages import LISTING
from skillpm.storage.process_lock import locked
from skillpm_registry.catalogue import following
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.lister import Lister
from tests.index.signed_shop import release


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """A registry with one skill."""
    make_registry(tmp_path / "shop", "shop")
    registry = FolderRegistry(tmp_path / "shop", "shop")
    registry.add(*release("demo", "1.0"))
    return registry


def versions(catalogue: Catalogue) -> dict[str, str]:
    return {row.name: row.version for row in catalogue.rows()}


def test_a_noted_page_alone_is_indexed_before_the_folder_is_looked_at(
    registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(registry.root / "skills", (0, 0))  # a younger change has no stamp
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    monkeypatch.setattr(following, "_PAUSE", 3600.0)
    catalogue.refresh()
    before = catalogue.stamp()
    registry.add(*release("demo", "1.1"))
    registry.add(*release("other", "1.0"))
    assert versions(catalogue) == {"demo": "1.0"}
    catalogue.note("demo")
    assert versions(catalogue) == {"demo": "1.1"}, "the other one was not noted"
    assert catalogue.stamp() != before, "pages that were rendered before do not count any more"


def test_a_request_waits_while_another_thread_indexes_what_was_published(
    registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    monkeypatch.setattr(following, "_PAUSE", 3600.0)
    monkeypatch.setattr(following, "_PATIENCE", 20.0)
    catalogue.refresh()
    reading, read = threading.Event(), catalogue._follower._read

    def slowly(name: str) -> object:
        reading.set()
        time.sleep(0.05)
        return read(name)

    monkeypatch.setattr(catalogue._follower, "_read", slowly)
    registry.add(*release("demo", "1.1"))
    catalogue.note("demo")
    indexing = threading.Thread(target=catalogue.stamp)
    indexing.start()
    reading.wait()
    assert versions(catalogue) == {"demo": "1.1"}
    indexing.join()


def test_a_server_that_does_not_index_keeps_its_stamp_between_changes(registry: FolderRegistry) -> None:
    os.utime(registry.root / "skills", (0, 0))
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    with locked(registry.root / ".server/catalogue.lock"):  # another server indexes
        before = catalogue.stamp()
        catalogue.note("demo")
        after = [catalogue.stamp() for _ in range(3)]
    assert before not in after and len(set(after)) == 1
    assert catalogue.stamp() != after[0], "it is indexed now"


def seen(catalogue: Catalogue, count: int) -> dict[str, str]:
    """Return the versions as soon as there are so many, or those after a while."""
    end = time.monotonic() + 20
    while len(found := versions(catalogue)) < count and time.monotonic() < end:
        time.sleep(0.01)
    return found


def test_no_request_waits_for_a_slow_look_and_finds_what_was_published(
    registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_SLOW", -1.0)
    monkeypatch.setattr(following, "_PAUSE", 0.0)
    monkeypatch.setattr(following, "_PATIENCE", 20.0)
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    registry.add(*release("other", "1.0"))
    os.utime(registry.root / "skills")
    looking, goes_on, look = threading.Event(), threading.Event(), catalogue._follower._look

    def slowly() -> None:
        looking.set()
        assert goes_on.wait(20)
        look()

    monkeypatch.setattr(catalogue._follower, "_look", slowly)
    assert versions(catalogue) == {"demo": "1.0"}
    assert looking.wait(20)
    registry.add(*release("third", "1.0"))
    catalogue.note("other")
    begin = time.monotonic()
    assert versions(catalogue) == {"demo": "1.0", "other": "1.0"} and time.monotonic() - begin < 10
    goes_on.set()
    assert seen(catalogue, 3) == {"demo": "1.0", "other": "1.0", "third": "1.0"}


def test_what_is_published_while_the_pages_are_listed_stays_found(
    registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    monkeypatch.setattr(following, "_PAUSE", 3600.0)
    follower = catalogue._follower
    compared = follower._pages

    def pages(owner: str) -> list[tuple[str, str]]:
        before = list(compared(owner))
        registry.add(*release("demo", "1.1"))
        registry.add(*release("other", "1.0"))
        for name in ("demo", "other"):
            follower.note(name)
        assert versions(catalogue) == {"demo": "1.1", "other": "1.0"}, "a look keeps nobody from indexing"
        return before

    os.utime(registry.root / "skills")
    with monkeypatch.context() as during:
        during.setattr(follower, "_pages", pages)
        catalogue.refresh()
    assert versions(catalogue) == {"demo": "1.1", "other": "1.0"}
    catalogue.refresh()
    assert versions(catalogue) == {"demo": "1.1", "other": "1.0"}


def test_a_look_gives_its_lock_back_when_no_thread_indexes_under_it(
    registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    follower, indexing, goes_on = catalogue._follower, threading.Event(), threading.Event()
    index, pages = follower._index_pages, follower._pages

    def slowly(stamps: dict[str, str]) -> None:
        indexing.set()
        goes_on.wait(20)
        with contextlib.suppress(BusyError), locked(follower._lock, 0.0):
            free.append(True)
        index(stamps)

    def listed(owner: str) -> list[tuple[str, str]]:
        follower.note("demo")
        beside.start()
        indexing.wait(20)
        threading.Timer(0.3, goes_on.set).start()  # by then the look has nothing more to do
        return list(pages(owner))

    free: list[bool] = []
    beside = threading.Thread(target=follower._index_noted)
    monkeypatch.setattr(follower, "_index_pages", slowly)
    monkeypatch.setattr(follower, "_pages", listed)
    follower._next = 1.0  # long ago
    os.utime(registry.root / "skills")
    catalogue.refresh()
    beside.join()
    assert indexing.is_set() and not free


def test_the_first_look_tells_how_long_the_next_one_takes(
    registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue(registry, registry.root / ".server")
    follower, here = catalogue._follower, threading.get_ident()
    pages = follower._pages
    looked: list[int] = []

    def slowly(owner: str) -> list[tuple[str, str]]:
        looked.append(threading.get_ident())
        end = time.thread_time() + 2 * following._SLOW
        while time.thread_time() < end:
            pass
        return list(pages(owner))

    monkeypatch.setattr(follower, "_pages", slowly)
    catalogue.refresh()
    follower._next = 1.0  # long ago
    registry.add(*release("other", "1.0"))
    os.utime(registry.root / "skills")
    assert versions(catalogue) == {"demo": "1.0"}
    assert seen(catalogue, 2) == {"demo": "1.0", "other": "1.0"}
    assert here not in looked[1:]


def test_a_slow_look_that_fails_is_not_the_last_one(registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_SLOW", -1.0)
    monkeypatch.setattr(following, "_PAUSE", 0.0)
    monkeypatch.setattr(following, "_LONGEST_PAUSE", 0.0)
    catalogue = Catalogue(registry, registry.root / ".server")
    catalogue.refresh()
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise OSError("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(catalogue._follower, "_index_noted", fail)
        catalogue.note("demo")
        with contextlib.suppress(RegistryError):
            versions(catalogue)
        assert failed.wait(20)
        for thread in threading.enumerate():
            if thread.name == "follower":
                thread.join(20)
    registry.add(*release("other", "1.0"))
    os.utime(registry.root / "skills")
    assert seen(catalogue, 2) == {"demo": "1.0", "other": "1.0"}


def test_a_first_look_that_fails_is_done_again(registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add("acme/demo", *release("demo", "1.0")[1:])
    assert len(versions(Catalogue(registry, registry.root / ".server"))) == 2
    shutil.rmtree(registry.root / "skills/acme")
    catalogue = Catalogue(registry, registry.root / ".server")
    with monkeypatch.context() as broken:
        broken.setattr(catalogue._follower, "_follow", lambda owners: Path("/nowhere").stat())
        with pytest.raises(RegistryError):
            catalogue.refresh()
    assert versions(catalogue) == {"demo": "1.0"}, "an owner is gone since an earlier server looked"


def test_an_error_of_the_index_does_not_end_the_listing(registry: FolderRegistry) -> None:
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise sqlite3.OperationalError("database is locked")

    lister = Lister(registry, fail)
    lister.renew("demo")
    assert failed.wait(20)
    registry.add(*release("other", "1.0"))
    lister.renew("other")
    lister.close()
    assert "other" in (registry.root / LISTING).read_text()


def test_the_connections_of_an_index_end_with_it(registry: FolderRegistry) -> None:
    """One that the garbage collector finds open is a warning of Python 3.13."""
    catalogue = Catalogue(registry, registry.root / ".server")
    thread = threading.Thread(target=catalogue.refresh)
    thread.start()
    thread.join()
    opened = list(catalogue.engine._idle.queue)  # type: ignore[attr-defined]
    assert len(opened) == 1, "threads one after the other share one"
    catalogue.engine.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")
