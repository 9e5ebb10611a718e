"""Archives in an object store: the same registry as over a folder, and what happens when the store is away or lies."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from skillpm.errors import IntegrityError, StorageError, UsageError
from skillpm.index.folder_registry import make_registry
from skillpm.index.http import HttpIndex
from skillpm.index.page_cache import PageCache
from skillpm.index.paths import archive_path
from skillpm.index.transport import Transport
from skillpm.ops.project.fetch import open_release
from skillpm.storage.archive import build_archive
from skillpm_registry import upkeep
from skillpm_registry.blobs import Blobs, StoredRegistry, open_registry, record_blobs
from skillpm_registry.command import group
from tests.registry.conftest import DEMO, Server, listening, parcel, problem
from tests.servers import Replying, served
from tests.shop import tree

pytest.importorskip("obstore")
API_ONLY = True
SECRET = "verysecretkey"
HAS_MOTO = importlib.util.find_spec("moto") is not None


def port() -> int:
    """Return a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def as_s3(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let the environment say where S3 is, and who asks."""
    for name, value in {
        "ENDPOINT_URL": url, "ALLOW_HTTP": "true", "ACCESS_KEY_ID": "AKIATEST", "SECRET_ACCESS_KEY": SECRET,
        "REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server, with a bucket."""
    if not HAS_MOTO:
        pytest.skip("needs moto")
    number = port()
    url = f"http://127.0.0.1:{number}"
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(number)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", number)).close()
                break
            except OSError:
                time.sleep(0.1)
        who = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
        asked = urllib.request.Request(f"{url}/bucket", method="PUT", headers={"Authorization": who})
        urllib.request.urlopen(asked).close()
        yield url
        process.terminate()


@pytest.fixture(params=["", "file", pytest.param("s3", marks=pytest.mark.slow)])
def kept(
    request: pytest.FixtureRequest, serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Server:
    """A server whose archives are in its folder, in another one, or in a bucket."""
    make_registry(tmp_path / "registry", "team")
    url = f"file:{tmp_path}/blobs"
    if request.param == "s3":
        as_s3(monkeypatch, request.getfixturevalue("s3"))
        url = f"s3://bucket/{tmp_path.name}/skills"
    if request.param:
        record_blobs(tmp_path / "registry", url)
    return serve()


def bytes_of(server: Server, path: str) -> tuple[int, bytes]:
    """Return what a person gets who follows a redirect."""
    answer = server.client.get(f"/{path}", follow_redirects=False)
    if answer.status_code != 307:
        return answer.status_code, answer.content
    assert SECRET not in answer.headers["location"]
    assert answer.headers["cache-control"] == "no-store"
    with urllib.request.urlopen(answer.headers["location"]) as response:
        return response.status, response.read()


def spoil(server: Server, path: str, data: bytes) -> None:
    """Change an archive where it lies."""
    registry = server.services.registry
    if isinstance(registry, StoredRegistry):
        registry.blobs.replace(path, data)
    else:
        registry.write(path, data)


def test_every_place_of_archives_keeps_the_same_promises(kept: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    wish, archive = parcel(DEMO)
    path = archive_path(wish["release"]["archive"])
    assert kept.owner.publish(DEMO).status_code == 201
    assert (kept.owner.publish(DEMO).status_code, bytes_of(kept, path)) == (200, (200, archive))
    assert problem(kept.owner.publish({**DEMO, "README.md": "other"})) == (409, "conflict")
    assert bytes_of(kept, archive_path("ab" * 32))[0] == 404
    assert not list(upkeep.damages(kept.root))

    spoil(kept, archive_path("cd" * 32), b"left behind")
    words = ["gc", "--data", str(kept.root)]
    assert "removed 0 archives" in CliRunner().invoke(group, words).output  # it is young
    monkeypatch.setattr(upkeep, "_YOUNG", -60.0)
    for more, count in (["--dry-run"], 1), ([], 1), ([], 0):
        assert f"{count} archives" in CliRunner().invoke(group, [*words, *more]).output
    assert (bytes_of(kept, path), bytes_of(kept, archive_path("cd" * 32))[0]) == ((200, archive), 404)

    spoil(kept, path, b"x" * len(archive))
    assert [line.partition(":")[0] for line in upkeep.damages(kept.root)] == ["demo 1.0"]


def test_a_client_takes_an_archive_from_each_place_and_refuses_a_changed_one(kept: Server, tmp_path: Path) -> None:
    kept.owner.publish(DEMO)
    with listening(kept.root) as url:
        index = HttpIndex(url, Transport(environment={}), PageCache(tmp_path / "cache"))
        page = index.page("demo")
        assert page is not None
        (release,) = page.releases
        assert open_release("demo", release, index)
        spoil(kept, archive_path(release.archive), b"x" * release.size)
        with pytest.raises(IntegrityError):
            open_release("demo", release, index)


def test_other_bytes_of_the_same_archive_are_a_conflict_and_damaged_ones_are_replaced(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    make_registry(tmp_path / "registry", "team")
    record_blobs(tmp_path / "registry", f"file:{tmp_path}/blobs")
    server = serve()
    blobs = Blobs(f"file:{tmp_path}/blobs")
    path = archive_path(parcel(DEMO)[0]["release"]["archive"])
    assert blobs.create(path, build_archive(tree(DEMO)))
    assert not blobs.create(path, b"other")
    assert problem(server.owner.publish(DEMO)) == (409, "conflict")
    assert server.versions("demo") == []
    blobs.replace(path, b"damaged")
    assert server.owner.publish(DEMO).status_code == 201
    assert bytes_of(server, path) == (200, parcel(DEMO)[1])


def test_a_store_that_is_away_leaves_nothing_visible_and_the_release_can_be_published_again(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    make_registry(tmp_path / "registry", "team")
    record_blobs(tmp_path / "registry", f"file:{tmp_path}/blobs")
    server = serve()
    shutil.move(tmp_path / "blobs", tmp_path / "away")
    (tmp_path / "blobs").write_text("")

    answer = server.owner.publish(DEMO)

    assert problem(answer) == (503, "storage")
    assert (str(tmp_path) in answer.text, server.versions("demo")) == (False, [])
    (tmp_path / "blobs").unlink()
    shutil.move(tmp_path / "away", tmp_path / "blobs")
    assert (server.owner.publish(DEMO).status_code, server.versions("demo")) == (201, ["1.0"])


@pytest.mark.parametrize(
    "url",
    ["ftp://x/y", "s3://", "https://x/y", f"s3://me:{SECRET}@bucket/x", f"s3://b?key={SECRET}", "file:here",
     "s3://b/../c", "nonsense", "file:/", f"az://container/x#{SECRET}", "s3://b/a b"],
)  # fmt: skip
def test_what_is_no_address_of_a_store_is_refused(tmp_path: Path, url: str) -> None:
    outcome = CliRunner().invoke(group, ["serve", "--data", str(tmp_path / "data"), "--port", "0", "--blobs", url])
    assert isinstance(outcome.exception, UsageError), outcome.output
    assert SECRET not in outcome.exception.message
    assert not (tmp_path / "data/.server").exists()


@pytest.mark.parametrize(
    ("status", "says"), [(403, "no right"), (404, "no such bucket"), (500, "does not answer"), (0, "does not answer")]
)
def test_a_store_that_refuses_is_named_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, says: str
) -> None:
    class Refusing(Replying):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.reply(status)

    with served(Refusing) as url:
        as_s3(monkeypatch, url if status else f"http://127.0.0.1:{port()}")
        with pytest.raises(StorageError, match=says) as caught:
            record_blobs(tmp_path, "s3://bucket/x")
    assert SECRET not in f"{caught.value}{caught.value.hint}"
    assert type(open_registry(tmp_path, "x")) is not StoredRegistry


def test_a_registry_stays_with_its_store(tmp_path: Path) -> None:
    record_blobs(tmp_path, f"file:{tmp_path}/one")
    with pytest.raises(UsageError, match="are in file:"):
        record_blobs(tmp_path, f"file:{tmp_path}/two")
    record_blobs(tmp_path, "")
    assert isinstance(open_registry(tmp_path, "x"), StoredRegistry)
