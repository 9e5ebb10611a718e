"""What clients have sent and not published: it is there while it is needed, and no longer."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from skillpm_registry import announcing, publishing, receiving
from skillpm_registry.drafts import remove_abandoned
from skillpm_registry.problems import ApiError
from skillpm_registry.tables import Upload
from skillpm_registry.uploads import forget
from tests.registry.conftest import Server, parcel, problem
from tests.registry.test_protocols_publication import FILES, claw, flat, put
from tests.shop import skill_files

OLD = time.time() - 7200


def uploads(server: Server) -> list[str]:
    """Return the states of the uploads that the database has."""
    with server.services.database.reading() as session:
        return list(session.scalars(select(Upload.state)))


def test_what_nobody_finishes_is_removed_after_an_hour(tmp_path: Path) -> None:
    kept = ("files-1/young", "files-1/old", "files-2/old", "old.part", "young.part", "number.tar.gz")
    for name in kept:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
        if "young" not in name:
            os.utime(tmp_path / name, (OLD, OLD))
    remove_abandoned(tmp_path)
    os.utime(tmp_path / "files-2", (OLD, OLD))
    remove_abandoned(tmp_path)
    present = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert present == {"files-1", "files-1/young", "young.part", "number.tar.gz"}


def test_a_server_removes_what_was_abandoned(serve: Callable[..., Server]) -> None:
    root = serve().root
    place = root / ".server/uploads/files-7"
    place.mkdir()
    (place / "old").write_bytes(b"x")
    os.utime(place / "old", (OLD, OLD))
    serve(root)
    end = time.monotonic() + 20
    while (place / "old").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not (place / "old").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_takes_no_upload_is_said_and_leaves_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    wish, archive = parcel(skill_files("demo"))
    upload = server.owner.ask("POST", "uploads", wish).json()["id"]

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as disk:
        disk.setattr(Path, "open", refuse)
        disk.setattr(Path, "replace", refuse)
        disk.setattr(Path, "write_bytes", refuse)
        answers = [server.owner.send(upload, archive), put(server.owner, flat(FILES))]
    for answer in answers:
        assert problem(answer) == (503 if number == errno.EIO else 507, "storage")
        assert answer.json()["hint"] and str(server.root) not in answer.text
    assert list((server.root / ".server/uploads").iterdir()) == []
    assert uploads(server) == ["open"], "the first client may send it again, the other does not know its number"
    assert server.owner.publish(skill_files("demo")).status_code == 201
    assert put(server.owner, flat(FILES)).status_code == 201
    assert uploads(server) == ["live", "live"]


def test_what_was_refused_does_not_count_against_its_publisher(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "_MOST", (("unfinished", ("open", "staged"), 2),))
    for number in range(4):
        hidden = f"go\u202eod {number}"
        assert problem(put(server.owner, flat({**FILES, "notes.md": hidden.encode()}))) == (422, "layout")
        assert problem(claw(server.owner, {**FILES, "notes.md": hidden.encode()})) == (422, "layout")
        assert problem(server.owner.publish({**skill_files("demo"), "notes.md": hidden})) == (422, "layout")
    assert uploads(server) == []


def test_what_was_checked_is_what_was_announced(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says what a publisher allowed, so nobody announces the same archive anew while it is checked."""
    wish, archive = parcel(skill_files("demo"))
    number = server.owner.ask("POST", "uploads", {**wish, "allow": ["SK611"]}).json()["id"]
    check = receiving._check

    def meanwhile(*arguments: Any) -> None:
        assert server.owner.ask("POST", "uploads", wish).json()["id"] == number
        check(*arguments)

    with monkeypatch.context() as slow:
        slow.setattr(receiving, "_check", meanwhile)
        assert problem(server.owner.send(number, archive)) == (409, "decided")
    assert server.owner.send(number, archive).status_code == 200


def test_a_request_that_comes_too_late_takes_nothing_from_the_one_that_makes_a_release_live(server: Server) -> None:
    wish, archive = parcel(skill_files("demo"))
    number = server.owner.ask("POST", "uploads", wish).json()["id"]
    server.owner.send(number, archive)
    services, place = server.services, server.root / ".server/uploads"
    with services.database.reading() as session:
        staged = session.get_one(Upload, number)
    with services.database.writing() as session:
        session.execute(update(Upload).values(state="publishing"))
    forget(services, staged)
    with pytest.raises(ApiError, match="another request was first"):
        publishing.make_visible(services, staged, "owner")
    assert [path.name for path in place.iterdir()] == [f"{number}.tar.gz"]
    assert server.owner.ask("POST", f"uploads/{number}/publish").status_code == 201
    assert list(place.iterdir()) == []


def test_a_client_that_begins_again_has_one_upload(server: Server) -> None:
    wish, archive = parcel(skill_files("demo"))
    numbers = {server.owner.ask("POST", "uploads", wish).json()["id"] for _ in range(3)}
    (number,) = numbers
    assert server.owner.ask("POST", "uploads", {**wish, "name": "acme/demo"}).json()["id"] != number
    other = parcel({**skill_files("demo"), "README.md": "other"})[0]
    assert server.owner.ask("POST", "uploads", other).json()["id"] != number
    assert server.owner.send(number, archive).status_code == 200
    assert server.owner.ask("POST", "uploads", wish).json()["id"] != number, "what is sent may be going live"
    assert server.owner.ask("POST", f"uploads/{number}/publish").status_code == 201
