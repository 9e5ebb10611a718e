"""Publication through the server: what is checked, who wins, and what a reader can ever see."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from skillpm.errors import StorageError
from skillpm.index import folder_registry
from skillpm.index.credentials import token_variable
from skillpm.index.directory import DirectoryIndex
from skillpm.index.folder_registry import FolderRegistry
from skillpm.storage.archive import build_archive
from skillpm.storage.durable import flush
from skillpm_registry import publishing
from skillpm_registry.database import Database, sqlite_url
from skillpm_registry.events import events
from skillpm_registry.settling import recover
from skillpm_registry.tables import Upload
from tests.conftest import Outcome
from tests.registry.conftest import DEMO, Server, listening, parcel, problem
from tests.shop import MakeProject, adapter_files, skill_files, snapshot, tree

API_ONLY = True
Files = dict[str, str]


def test_a_publication_is_what_the_folder_alone_would_hold(server: Server) -> None:
    assert server.owner.publish(DEMO).status_code == 201

    index = DirectoryIndex(server.root, "shop")
    page = index.page("demo")
    assert page is not None
    (release,) = page.releases
    assert build_archive(tree(DEMO)) != index.archive("demo", release)  # it is compressed
    assert (release.version, len(index.archive("demo", release))) == ("1.0", release.size)
    assert release.published is not None


def test_equal_content_again_is_a_success_and_other_content_a_conflict(server: Server) -> None:
    server.owner.publish(DEMO)
    before = snapshot(server.root / "skills")

    assert server.owner.publish(DEMO).status_code == 200
    again = server.owner.publish({**DEMO, "README.md": "other"})
    assert problem(again) == (409, "conflict")
    assert again.json()["hint"].endswith("`skillpm version bump patch`")
    assert snapshot(server.root / "skills") == before


@pytest.mark.attack(76)
@pytest.mark.parametrize("same", [True, False])
def test_of_publishers_who_race_exactly_one_adds_the_release(server: Server, same: bool) -> None:
    """Each has announced and sent before anybody goes live."""
    numbers = [_sent(server, DEMO if same else {**DEMO, "README.md": str(turn)}) for turn in range(6)]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: server.owner.ask("POST", f"uploads/{number}/publish"), numbers))

    assert sorted(answer.status_code for answer in answers) == [
        *([200] * 5 if same else []),
        201,
        *([] if same else [409] * 5),
    ]
    assert server.versions("demo") == ["1.0"]
    with server.services.database.reading() as session:
        assert [event.action for event in events(session, subject="demo")].count("publish") == 1


def _sent(server: Server, files: Files) -> str:
    """Return the number of a new upload whose archive was sent."""
    wish, archive = parcel(files)
    number: str = server.owner.ask("POST", "uploads", wish).json()["id"]
    assert server.owner.send(number, archive).status_code == 200
    return number


def test_of_equal_publishers_the_one_in_the_log_is_told_that_it_added_the_release(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first writes the folder, and the second is in the database before it."""
    first, second = (_sent(server, DEMO) for _ in range(2))
    written, overtaken = threading.Event(), threading.Event()
    add = FolderRegistry.add

    def slow_add(*arguments: Any) -> bool:
        added = add(*arguments)
        if added:
            written.set()
            assert overtaken.wait(60)
        return added

    monkeypatch.setattr(FolderRegistry, "add", slow_add)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.owner.ask, "POST", f"uploads/{first}/publish")
        assert written.wait(60)
        fast = server.owner.ask("POST", f"uploads/{second}/publish")
        overtaken.set()
        assert (fast.status_code, slow.result().status_code) == (201, 200)
    with server.services.database.reading() as session:
        assert [event.action for event in events(session, subject="demo")].count("publish") == 1


def test_a_release_is_seen_only_after_it_went_live(server: Server) -> None:
    wish, archive = parcel(DEMO)
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    assert problem(server.owner.ask("POST", f"uploads/{number}/publish")) == (409, "not-staged")
    server.owner.send(number, archive)

    assert server.versions("demo") == []
    assert not list(server.root.glob("archives/*/*"))


def _zip_of_a_tar(archive: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("skill.tar", gzip.decompress(archive))
    return file.getvalue()


def _with_link(archive: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.USTAR_FORMAT) as out:
        entry = tarfile.TarInfo("SKILL.md")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(entry)
    return file.getvalue()


OTHER_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "cut": lambda archive: archive[:-20],
    "longer": lambda archive: archive + b"x",
    "another member": lambda archive: archive + archive,
    "a zip": _zip_of_a_tar,
    "a page": lambda _: b"<!doctype html>",
    "a link": _with_link,
    "a bomb": lambda _: gzip.compress(bytes(200_000_000), 1),
}


def test_bytes_that_are_not_the_announced_archive_leave_nothing(server: Server) -> None:
    wish, archive = parcel(DEMO)
    number = server.owner.ask("POST", "uploads", wish).json()["id"]

    for kind, other in OTHER_BYTES.items():
        assert problem(server.owner.send(number, other(archive))) == (422, "integrity"), kind
        assert list((server.root / ".server/uploads").iterdir()) == []
    assert server.owner.send(number, archive).status_code == 200  # the right one may follow


LIES: list[dict[str, Any]] = [
    {"version": "2.0"},
    {"summary": "Does everything."},
    {"requires": {"evil": ">=1"}},
    {"hooks": 9},
    {"tree": "0" * 64},
    {"archive": "0" * 64},
    {"size": 7},
]


def test_the_page_never_says_what_the_archive_does_not(server: Server) -> None:
    for lie in LIES:
        wish, archive = parcel(DEMO, **lie)
        number = server.owner.ask("POST", "uploads", wish).json()["id"]
        assert problem(server.owner.send(number, archive)) == (422, "integrity"), lie


NEVER: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"release": {"version": "1.0+local"}}, (422, "usage")),
    ({"release": {"version": "1" * 65}}, (422, "document")),
    ({"release": {"version": "x"}}, (422, "usage")),
    ({"release": {"yanked": "already"}}, (422, "usage")),
    ({"release": {"size": 1 << 40}}, (413, "too-large")),
    ({"name": "n" * 10_000}, (422, "invalid")),
    ({"name": "../up"}, (422, "usage")),
    ({"name": "a/b/c"}, (422, "usage")),
    ({"name": "demo%2f.."}, (422, "usage")),
    ({"name": "dem_o"}, (422, "usage")),
    ({"name": "con"}, (422, "usage")),
    ({"allow": ["SK402"]}, (422, "usage")),
    ({"more": 1}, (422, "invalid")),
]


def test_an_announcement_that_cannot_be_published_is_refused_at_once(server: Server) -> None:
    wish, _ = parcel(DEMO)
    for change, code in NEVER:
        release = {**wish["release"], **change.get("release", {})}
        answer = server.owner.ask("POST", "uploads", {**wish, **change, "release": release})
        assert problem(answer) == code, change
        assert len(answer.content) < 2000


def test_the_checks_of_the_client_are_made_again(server: Server) -> None:
    hidden = {**DEMO, "notes.md": "go\u202eod"}

    refused = server.owner.publish(hidden)

    assert problem(refused) == (422, "layout")
    codes = {item["code"] for item in refused.json()["details"]["findings"] if item["severity"] == "error"}
    assert server.owner.publish(hidden, allow=sorted(codes)).status_code == 201  # its author has looked


@pytest.mark.attack(75)
def test_a_disk_that_fails_leaves_nothing_to_see(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **options: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(type(server.services.registry), "write", fail)
    answer = server.owner.publish(DEMO)
    assert problem(answer) == (503, "storage")
    assert answer.headers["retry-after"]
    monkeypatch.undo()
    assert server.versions("demo") == []
    assert server.owner.publish(DEMO).status_code == 201


def test_what_went_live_before_a_crash_is_logged_at_the_next_start(server: Server) -> None:
    server.owner.publish(DEMO)
    with server.services.database.writing() as session:  # as if the server had been killed before it noted it
        session.execute(update(Upload).values(state="staged"))

    recover(server.services)

    with server.services.database.reading() as session:
        assert [event.action for event in events(session, subject="demo")].count("publish") == 1
        assert session.query(Upload).one().state == "live"


@pytest.mark.parametrize("is_one_disk", [False, True])
def test_a_claim_is_on_the_disk_before_the_folder_has_a_statement(
    server: Server, monkeypatch: pytest.MonkeyPatch, is_one_disk: bool
) -> None:
    """If the folder is on another disk than the database, no flush of the folder helps."""
    services = replace(server.services, is_one_disk=is_one_disk)
    waits: list[str] = []

    @contextmanager
    def writing(own: Database, *, durable: bool = True) -> Iterator[Any]:
        with write(own, durable=durable) as session:
            yield session
        waits.append("claim" if durable else "hasty claim" if "statement" not in waits else "hasty end")

    def flushed(roots: Any) -> None:
        flush(roots)
        waits.append("flush")

    def stated(own: Any, *arguments: Any) -> Any:
        release = state(own, *arguments)
        waits.append("statement")
        return release

    write, state = Database.writing, FolderRegistry._state
    wish, archive = parcel(DEMO)
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    server.owner.send(number, archive)
    with services.database.reading() as session:
        upload = session.get_one(Upload, number)
    monkeypatch.setattr(Database, "writing", writing)
    monkeypatch.setattr(folder_registry, "flush", flushed)
    monkeypatch.setattr(FolderRegistry, "_state", stated)
    publishing.make_visible(services, upload)
    claim = "hasty claim" if is_one_disk else "claim"
    assert waits[:3] == [claim, "flush", "statement"]
    assert waits[-1] == "hasty end"


def test_the_database_is_flushed_with_the_folder_where_it_lies_below_it(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    for place, expected in (("registry/own.db", True), ("other.db", False)):
        database = Database(sqlite_url(tmp_path / place))
        database.migrate(tmp_path / "lock")
        assert database.is_flushed_with(tmp_path / "registry") is expected
        database.close()


def test_a_slow_publication_keeps_no_other_waiting(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wait for the witnesses of a log. A server that starts meanwhile leaves it alone."""
    registry, adding, goes_on = type(server.services.registry), threading.Event(), threading.Event()
    add = registry.add

    def slow(own: Any, name: str, *arguments: Any) -> bool:
        if name == "demo":
            adding.set()
            assert goes_on.wait(20)
        return add(own, name, *arguments)

    monkeypatch.setattr(registry, "add", slow)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(server.owner.publish(skill_files("demo"))))
    thread.start()
    assert adding.wait(20)
    assert server.owner.publish(skill_files("other")).status_code == 201
    recover(server.services)
    with server.services.database.reading() as session:
        assert sorted(session.scalars(select(Upload.state))) == ["live", "publishing"]
    goes_on.set()
    thread.join()
    assert answers[0].status_code == 201
    assert [path.name for path in (server.root / ".server/uploads").iterdir()] == []


def test_what_a_killed_server_left_is_settled_by_whoever_asks_next(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other servers of the registry go on, so none of them starts and recovers."""

    def kill(*_: Any, **__: Any) -> None:
        raise StorageError("killed")

    wish, archive = parcel(skill_files("demo"))
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    server.owner.send(number, archive)
    with monkeypatch.context() as dying:  # after the folder has the release, and before the database notes it
        dying.setattr(publishing, "record_publication", kill)
        assert problem(server.owner.ask("POST", f"uploads/{number}/publish")) == (503, "storage")
    assert server.owner.publish(skill_files("demo")).status_code == 200
    assert server.owner.ask("POST", f"uploads/{number}/publish").json()["state"] == "live"

    wish, archive = parcel(skill_files("other"))
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    server.owner.send(number, archive)
    with server.services.database.writing() as session:  # before the folder has it
        session.execute(update(Upload).where(Upload.id == number).values(state="publishing"))
    assert server.owner.ask("POST", f"uploads/{number}/publish").status_code == 201
    with server.services.database.reading() as session:
        for name in ("demo", "other"):
            assert [event.action for event in events(session, subject=name)].count("publish") == 1


def test_an_upload_ends_and_is_nobody_elses(server: Server) -> None:
    wish, archive = parcel(DEMO)
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    server.owner.send(number, archive)

    for other in (number[:-1], "%2e%2e", "%00", "x" * 300):
        assert problem(server.owner.ask("POST", f"uploads/{other}/publish"))[0] == 404
    assert problem(server.person("eve").ask("POST", f"uploads/{number}/publish")) == (404, "unknown-upload")
    with server.services.database.writing() as session:
        session.execute(update(Upload).values(expires=time.time() - 1))
    assert problem(server.owner.ask("POST", f"uploads/{number}/publish")) == (404, "unknown-upload")
    recover(server.services)
    with server.services.database.reading() as session:
        assert session.query(Upload).count() == 0


def test_a_folder_that_is_a_registry_gets_a_server_without_a_change(serve: Callable[..., Server], shop: Any) -> None:
    before = snapshot(shop)

    server = serve(shop)

    assert {path: value for path, value in snapshot(shop).items() if not path.startswith(".server")} == before
    assert server.owner.publish(skill_files("base", "3.0")).status_code == 201
    assert server.versions("base") == ["1.0", "1.1", "2.0", "3.0"]
    assert problem(server.person("eve").publish(skill_files("base", "4.0"))) == (403, "not-a-member")


@pytest.mark.parametrize("state", ["yanked", "quarantined"])
def test_a_release_is_not_announced_in_a_later_state(server: Server, state: str) -> None:
    wish, _ = parcel(DEMO, **{state: "broken"})
    answer = server.owner.ask("POST", "uploads", wish)
    assert problem(answer) == (422, "usage")
    assert f"announced as {state}" in answer.json()["detail"]


@pytest.mark.slow
def test_an_adapter_larger_than_any_skill_goes_to_a_server_and_back(server: Server, project: MakeProject) -> None:
    """Its server decides how large it may be; other archives keep their limit."""
    files = adapter_files(DEMO, weights=random.Random(0).randbytes(40 << 20))
    content = {path: text.encode("latin-1") for path, text in files.items()}
    place = project({"demo": DEMO, "demo-tiny": content})

    def publish(name: str, url: str) -> Outcome:
        known = replace(place, environment={**place.environment, token_variable(url): server.owner.token})
        return known.call("publish", name, "--registry", url, "--no-sign")

    with listening(server.root, largest_adapter=30 << 20) as url:
        publish("demo", url).ok()
        publish("demo-tiny", url).fails(5, "an archive has at most 31457280 bytes")
    with listening(server.root) as url:
        publish("demo-tiny", url).ok()
        place.call("install", "demo-tiny", "--registry", url).ok()
        stored = next(Path(place.environment["SKILLPM_HOME"]).rglob("adapter_model.safetensors"))
        assert stored.read_bytes() == content["adapter_model.safetensors"]
    unlike = parcel(DEMO, size=25 << 20)[0]
    assert problem(server.owner.ask("POST", "uploads", unlike)) == (413, "too-large")


def test_an_adapter_is_taken_like_a_skill_and_its_base_model_is_what_its_files_say(server: Server) -> None:
    adapter = adapter_files(DEMO)
    assert server.owner.publish(DEMO).status_code == server.owner.publish(adapter).status_code == 201
    page = DirectoryIndex(server.root, "shop").page("demo-tiny")
    assert page is not None and page.releases[0].adapter == "acme/tiny"

    wish, archive = parcel(adapter_files(DEMO, version="1.1"))
    wish["release"]["adapter"] = "evil/tiny"
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    answer = server.owner.send(number, archive)
    assert answer.status_code == 422 and "the adapter in the archive is not the announced one" in answer.text
    wish, archive = parcel({**adapter_files(DEMO, version="1.2"), "plugin.py": "print(1)\n"})
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    answer = server.owner.send(number, archive)
    assert answer.status_code == 422 and "[SK430]" in answer.text
