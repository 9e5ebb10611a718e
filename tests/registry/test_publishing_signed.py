"""A server over a signed folder: a release is signed and logged before anybody can see it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillpm.formats.light import json_form, read_light
from skillpm.index.folder_registry import FolderRegistry, make_registry
from skillpm.index.pages import read_page
from skillpm.index.registry_signer import NewRoot, sign_registry
from skillpm.index.signed_pages import SignedPages
from skillpm.index.witnesses import Witnesses
from skillpm.model.key import PrivateKey
from skillpm.model.release import Release
from skillpm.storage.keys import Keys
from skillpm.trust.signature import sign
from skillpm_registry.configuration import STATE
from skillpm_registry.events import events
from skillpm_registry.publishing import finish
from tests.index.witness import Witness, listening, public_keys
from tests.registry.conftest import Server, parcel, problem
from tests.registry.test_drafts import uploads
from tests.registry.test_protocols_publication import FILES, flat, put
from tests.shop import skill_files

KEY = PrivateKey(b"k" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A new folder that is signed, as ``serve`` makes it."""
    make_registry(tmp_path / "shop", "shop")
    keys = Keys(tmp_path / "shop" / STATE / "keys")
    sign_registry(FolderRegistry(tmp_path / "shop", "shop"), keys, NewRoot(("root",), 1, "online"), 30)
    return tmp_path / "shop"


@pytest.fixture
def server(serve: Callable[..., Server], folder: Path) -> Server:
    """A server over the signed folder."""
    return serve(folder)


def client(server: Server, seen: Path) -> SignedPages:
    def fetch(path: str, limit: int) -> bytes | None:
        answer = server.client.get(f"/{path}")
        return answer.content if answer.status_code == 200 else None

    return SignedPages("the server", fetch, seen, lambda sentence: None)


def test_what_is_published_is_signed_and_logged(server: Server, tmp_path: Path) -> None:
    document, _ = parcel(skill_files("demo"))
    release = read_light(Release, document["release"])
    signed = json_form(replace(release, signature=sign("demo", release, KEY)))
    assert publish(server, signed) == 201
    pages = client(server, tmp_path / "seen")
    found = read_page(pages.page("demo") or b"", "demo", "", logged=True).releases[0]
    pages.demand_logged("demo", found)
    assert found.signature == sign("demo", release, KEY)
    for path in (f"{STATE}/keys/online.pem", "keys/online.pem", "tmp", "releases/demo.d/1/1/release.json"):
        assert server.client.get(f"/{path}").status_code == 404


def test_a_signature_of_another_release_is_not_published(server: Server) -> None:
    document, _ = parcel(skill_files("demo"))
    release = read_light(Release, document["release"])
    other = sign("demo", replace(release, tree="0" * 64), KEY)
    assert publish(server, json_form(replace(release, signature=other))) >= 400
    assert not (server.root / "skills/demo.json").exists()


def test_a_publication_that_waits_for_witnesses_says_so_and_is_completed_by_the_next_try(server: Server) -> None:
    keys = Keys(server.root / STATE / "keys")
    with listening(Witness("witness.example/one", public_keys(keys))) as witness:
        (server.root / "log/witnesses").write_text(f"{witness.key} {witness.url}\n")
        witness.away = True
        answer = server.owner.publish(skill_files("demo"))
        assert problem(answer) == (503, "storage")
        assert "demo 1.0 is logged, and waits for the witnesses of the log" in answer.json()["detail"]
        assert server.versions("demo") == []
        witness.away = False
        assert server.owner.publish(skill_files("demo")).status_code == 201
    assert server.versions("demo") == ["1.0"]


@pytest.mark.parametrize("foreign", [False, True])
def test_what_the_witnesses_sign_for_another_release_goes_live_and_is_logged_too(server: Server, foreign: bool) -> None:
    """Neither client asks again, and nobody can refuse what is in the log."""
    keys, name = Keys(server.root / STATE / "keys"), "weather" if foreign else "demo"
    with listening(Witness("witness.example/one", public_keys(keys))) as witness:
        (server.root / "log/witnesses").write_text(f"{witness.key} {witness.url}\n")
        witness.away = True
        answer = put(server.owner, flat(FILES)) if foreign else server.owner.publish(skill_files("demo"))
        assert problem(answer) == (503, "storage")
        assert uploads(server) == ["publishing"]
        witness.away = False
        assert server.owner.publish(skill_files("other")).status_code == 201
        finish(server.services)
    assert len(server.versions(name)) == 1
    assert uploads(server) == ["live", "live"]
    with server.services.database.reading() as session:
        assert [event.action for event in events(session, subject=name)].count("publish") == 1


def test_what_the_witnesses_sign_for_another_release_is_listed_too(server: Server) -> None:
    keys = Keys(server.root / STATE / "keys")
    assert server.owner.publish(skill_files("demo")).status_code == 201
    while "demo" not in (server.root / "listing.json").read_text():
        time.sleep(0.01)
    with listening(Witness("witness.example/one", public_keys(keys))) as witness:
        (server.root / "log/witnesses").write_text(f"{witness.key} {witness.url}\n")
        witness.away = True
        assert problem(server.owner.publish(skill_files("demo", version="1.1"))) == (503, "storage")
        witness.away = False
        assert server.owner.publish(skill_files("other")).status_code == 201
        finish(server.services)
    server.services.lister.close()
    listed = json.loads((server.root / "listing.json").read_bytes())["skills"]
    assert {item["name"]: item["version"] for item in listed} == {"demo": "1.1", "other": "1.0"}


def test_dead_witnesses_are_asked_once_for_all_that_waits(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.services.lister.after = lambda: None
    keys, asked = Keys(server.root / STATE / "keys"), list[str]()
    with listening(Witness("witness.example/one", public_keys(keys))) as witness:
        (server.root / "log/witnesses").write_text(f"{witness.key} {witness.url}\n")

        def away(own: Witnesses, note: str, *_: Any) -> tuple[str, str]:
            asked.append(note)
            return note, "away"

        monkeypatch.setattr(Witnesses, "cosigned", away)
        for name in ("demo", "second", "third"):
            assert problem(server.owner.publish(skill_files(name))) == (503, "storage")
        asked.clear()
        finish(server.services)
        assert len(asked) == 1
        monkeypatch.undo()
        finish(server.services)
    assert [server.versions(name) for name in ("demo", "second", "third")] == [["1.0"]] * 3
    assert uploads(server) == ["live"] * 3


def publish(server: Server, release: dict[str, Any]) -> int:
    document, archive = parcel(skill_files("demo"))
    announced = server.owner.ask("POST", "uploads", {**document, "release": release})
    if announced.status_code != 201:
        return announced.status_code
    number = announced.json()["id"]
    sent = server.owner.send(number, archive)
    return (server.owner.ask("POST", f"uploads/{number}/publish") if sent.status_code == 200 else sent).status_code
