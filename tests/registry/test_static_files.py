"""The static files of a registry through its server: the same documents, ETags, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from skillpm_registry.app import create_app
from skillpm_registry.configuration import Configuration


@pytest.fixture
def client(shop: Path) -> Iterator[TestClient]:
    """A client of a server over the registry ``shop``."""
    with TestClient(create_app(Configuration(data=shop))) as client:
        yield client


@pytest.mark.parametrize("path", ["listing.json", "skills/base.json"])
def test_a_document_is_served_as_it_lies_in_the_folder(client: TestClient, shop: Path, path: str) -> None:
    answer = client.get(f"/{path}")

    assert answer.content == (shop / path).read_bytes()
    again = client.get(f"/{path}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_archive_may_be_kept_for_ever(client: TestClient, shop: Path) -> None:
    (release, *_) = client.get("/skills/top.json").json()["releases"]
    path = f"archives/{release['archive'][:2]}/{release['archive'][2:]}.tar.gz"

    answer = client.get(f"/{path}")

    assert answer.content == (shop / path).read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    part = client.get(f"/{path}", headers={"Range": "bytes=10-", "If-Range": answer.headers["etag"]})
    assert (part.status_code, part.content) == (206, answer.content[10:])


HIDDEN = [
    "releases/base.d/1.0/1/release.json", ".server/registry.sqlite3", "skills/../releases", "skills/%2e%2e/releases",
    "skills/..%2freleases%2fbase.d", "skills/%00", "skills/.hidden", f"skills/{'a' * 10_000}.json", "tmp/x", "skills",
    "archives/..%5c..%5cconfig.json", "skills/%252e%252e/config.json",
]  # fmt: skip


@pytest.mark.parametrize("path", HIDDEN)
def test_what_a_registry_does_not_publish_is_not_served(client: TestClient, shop: Path, path: str) -> None:
    (shop / ".server").mkdir(exist_ok=True)
    (shop / ".server/registry.sqlite3").write_text("secret")
    (shop / "skills/.hidden").write_text("secret")

    assert client.get(f"/{path}").status_code in (400, 404)


def test_health_names_the_registry(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "registry": "local"}
