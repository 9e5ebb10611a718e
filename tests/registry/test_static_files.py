"""The static files of a registry through its server: the same documents, ETags, and nothing else."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm_registry import static_files
from tests.registry.conftest import Server, problem

API_ONLY = True
HIDDEN = [
    "releases/base.d/1.0/1/release.json", ".server/registry.sqlite3", "skills/../releases", "skills/%2e%2e/releases",
    "skills/..%2freleases%2fbase.d", "skills/%00", "skills/.hidden", f"skills/{'a' * 10_000}.json", "tmp/x", "skills",
    "archives/..%5c..%5cconfig.json", "skills/%252e%252e/config.json", "archives/..%2f.server/registry.sqlite3",
]  # fmt: skip


def test_a_document_is_served_as_it_lies_in_the_folder(serve: Callable[..., Server], shop: Path) -> None:
    client = serve(shop).client
    for path in ("listing.json", "skills/base.json"):
        answer = client.get(f"/{path}")
        assert answer.content == (shop / path).read_bytes()
        again = client.get(f"/{path}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_the_configuration_names_the_api_and_keeps_what_the_folder_says(
    serve: Callable[..., Server], shop: Path
) -> None:
    (shop / "config.json").write_text(json.dumps({"registry": 1, "name": "shop", "motto": "try"}))
    client = serve(shop).client

    answer = client.get("/config.json")

    kept = {"registry": 1, "name": "shop", "motto": "try"}
    assert answer.json() == {**kept, "publish": "api/v1", "search": "search.json"}
    assert client.get("/config.json", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_head_answers_what_get_would(serve: Callable[..., Server], shop: Path) -> None:
    client = serve(shop).client
    archive = next((shop / "archives").rglob("*.tar.gz")).relative_to(shop)
    for path in ("config.json", "healthz", "listing.json", "search.json", f"{archive}", "api/v1/events", "nothing"):
        got, head = client.get(f"/{path}"), client.head(f"/{path}")
        assert (head.status_code, head.content) == (got.status_code, b""), path
        for name in ("content-type", "etag", "cache-control", "content-length" if got.status_code == 200 else "etag"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)


def test_an_archive_may_be_kept_for_ever(serve: Callable[..., Server], shop: Path) -> None:
    client = serve(shop).client
    (release, *_) = client.get("/skills/top.json").json()["releases"]
    path = f"archives/{release['archive'][:2]}/{release['archive'][2:]}.tar.gz"

    answer = client.get(f"/{path}")

    assert answer.content == (shop / path).read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    part = client.get(f"/{path}", headers={"Range": "bytes=10-", "If-Range": answer.headers["etag"]})
    assert (part.status_code, part.content) == (206, answer.content[10:])
    for other in ("bytes=0-1,3-4", "items=0-1", "bytes=5-1", "bytes=-", "x", "bytes=" + "0-," * 3000):
        assert client.get(f"/{path}", headers={"Range": other}).content == answer.content, other
    assert client.get(f"/{path}", headers={"Range": "bytes=999999-"}).status_code == 416


def test_a_small_file_has_the_answer_of_a_large_one(
    serve: Callable[..., Server], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small files are answered before the framework sees a request; the headers and the limits are the same."""
    client = serve(shop).client
    archive = next((shop / "archives").rglob("*.tar.gz")).relative_to(shop)
    tag = client.get("/skills/base.json").headers["etag"]
    asked: list[tuple[str, dict[str, str]]] = [
        (path, {}) for path in ("listing.json", f"{archive}", "skills/base.json", "skills/none.json", "skills/")
    ]
    asked += [("skills/base.json", {"If-None-Match": text}) for text in (tag, f"W/{tag}", f'"x", {tag}', "*", '"x"')]
    answers = []
    for small in (1 << 18, -1):
        monkeypatch.setattr(static_files, "_SMALL", small)
        for path, headers in asked:
            answer = client.get(f"/{path}", headers={**headers, "X-Request-Id": "the-same-one"})
            answers.append((path, headers, answer.status_code, dict(answer.headers), answer.content))
    small_ones, large_ones = answers[: len(asked)], answers[len(asked) :]
    assert small_ones == large_ones
    assert [item[2] for item in small_ones] == [200, 200, 200, 404, 404, 304, 304, 304, 304, 200]


def test_a_file_that_cannot_be_read_at_once_has_the_answer_of_the_framework(
    serve: Callable[..., Server], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    client = serve(shop).client
    expected = (shop / "skills/base.json").read_bytes()
    monkeypatch.setattr(os, "read", fail)
    assert client.get("/skills/base.json").content == expected


@pytest.mark.attack(81)
def test_a_link_and_a_pipe_are_not_served(serve: Callable[..., Server], shop: Path) -> None:
    client = serve(shop).client
    (shop / ".server/secret.json").write_text("secret")
    (shop / "skills/link.json").symlink_to(shop / ".server/secret.json")
    (shop / "skills/folder").symlink_to(shop / ".server")
    os.mkfifo(shop / "skills/pipe.json")
    (shop / "skills/acme").mkdir()
    (shop / "skills/acme/secret.json").write_text("public")
    assert client.get("/skills/acme/secret.json").text == "public"
    (shop / "skills/acme/secret.json").unlink()
    (shop / "skills/acme").rmdir()
    (shop / "skills/acme").symlink_to(shop / ".server")
    assert problem(client.get("/skills/acme/secret.json"))[0] == 404
    for path in ("link.json", "folder/secret.json", "pipe.json"):
        assert problem(client.get(f"/skills/{path}"))[0] == 404, path


@pytest.mark.attack(81)
def test_what_a_registry_does_not_publish_is_not_served(serve: Callable[..., Server], shop: Path) -> None:
    (shop / "skills/.hidden").write_text("secret")
    client = serve(shop).client
    for path in HIDDEN:
        assert problem(client.get(f"/{path}"))[0] in (400, 404), path


def test_a_private_registry_is_read_with_a_token_only(serve: Callable[..., Server], shop: Path) -> None:
    server = serve(shop, private=True)
    headers = {"Authorization": f"Bearer {server.owner.token}"}
    for path in ("config.json", "listing.json", "skills/base.json", "api/v1/events"):
        refused = server.client.get(f"/{path}")
        assert problem(refused) == (401, "unauthorized"), path
        assert "Bearer" in refused.headers["www-authenticate"]
        answer = server.client.get(f"/{path}", headers=headers)
        assert answer.status_code == 200
        assert "public" not in answer.headers.get("cache-control", "")


def test_health_names_the_registry(server: Server) -> None:
    assert server.client.get("/healthz").json() == {"status": "ok", "registry": "team"}
