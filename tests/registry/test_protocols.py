"""The protocols of other clients: the documents that they read, bytes that agree, and git itself."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.page_cache import PageCache
from skillpm.index.path import release_of
from skillpm.index.transport import Transport
from skillpm.index.well_known import INDEX, SCHEMA, WellKnownIndex
from skillpm.model.release import Page, Release
from skillpm.storage.archive import build_archive, read_archive
from skillpm_registry.app import create_app
from skillpm_registry.configuration import Configuration
from skillpm_registry.protocols import git, repositories
from skillpm_registry.protocols.semantic import semantic
from tests.registry.conftest import listening, skill_tree
from tests.shop import adapter_files, publish, write_registry


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("protocols") / "shop"
    trees = [skill_tree("review", version) for version in ("1.0", "1.1", "2.0")]
    trees += [skill_tree("top", "0.1rc1", "{review: '>=1,<2', other: '~=1.2'}"), skill_tree("other", "1.0")]
    write_registry(root, trees, name="Team Shelf", yanked={"review==1.1": "broken"}, published="2026-11-03T10:00:00Z")
    registry = FolderRegistry(root, "shop")
    for name in ("acme/other", "acme/lint", "zeta/twice", "eta/twice"):
        tree = skill_tree(name.rpartition("/")[2], "3.0")
        archive = build_archive(tree)
        registry.publish(name, release_of(tree, archive)[1], archive)
    publish(root, adapter_files({"SKILL.md": "---\nname: lone\ndescription: Does.\n---\nText.\n"}))
    return root


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of a real server over the folder."""
    with listening(folder) as url:
        yield url


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Configuration(data=folder, url="http://testserver"))) as client:
        yield client


def names(client: TestClient, place: str) -> list[str]:
    return [entry["name"] for entry in client.get(f"{place}/{INDEX}").json()["skills"]]


@pytest.mark.parametrize(
    "path", [INDEX, "marketplace.json", "apm/v1/search?q=lone", "clawhub/api/v1/search?q=lone", "clawhub/api/v1/skills"]
)
def test_no_other_client_is_offered_a_trained_adapter(client: TestClient, path: str) -> None:
    assert client.get("/search.json", params={"q": "lone"}).json()["total"] == 1
    answer = client.get(f"/{path}")
    assert answer.status_code == 200 and "lone-" not in answer.text


def test_the_discovery_has_each_name_once(client: TestClient) -> None:
    assert names(client, "") == ["lint", "other", "review", "top"]  # not acme/other, and neither of twice
    assert names(client, "/owner/acme") == ["lint", "other"]
    assert names(client, "/skill/zeta/twice") == ["twice"]
    assert names(client, "/skill/review") == ["review"]
    for place in ("/owner/nobody", "/skill/none", "/owner/%2e%2e", "/skill/" + "a" * 9000):
        assert client.get(f"{place}/{INDEX}").status_code == 404


def test_an_archive_of_the_discovery_has_its_digest_and_the_skill_tree(client: TestClient) -> None:
    document = client.get(f"/skill/acme/lint/{INDEX}").json()
    (entry,) = document["skills"]

    data = client.get(entry["url"].removeprefix("http://testserver")).content

    assert (document["$schema"], entry["type"]) == (SCHEMA, "archive")
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == entry["digest"]
    assert "SKILL.md" in read_archive(data).paths()


def test_clawhub_names_the_download_of_an_install(client: TestClient) -> None:
    found = claw(client, "skills/lint/install", ownerHandle="acme")
    assert found["archive"]["version"] == "3.0.0"
    assert client.get(found["archive"]["downloadUrl"].removeprefix("http://testserver")).content[:2] == b"PK"


def test_skillpm_reads_the_discovery_as_that_of_any_site(address: str, tmp_path: Path) -> None:
    page = WellKnownIndex(f"{address}/{INDEX}", Transport(), PageCache(tmp_path)).page("review")

    assert page is not None
    assert [release.version for release in page.releases] == ["2.0"]


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(["git", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_git_clones_a_skill_whole_shallow_and_by_tag(address: str, tmp_path: Path, folder: Path) -> None:
    run("clone", "-q", f"{address}/git/review.git", "whole", cwd=tmp_path)
    whole = tmp_path / "whole"
    assert run("fsck", "--strict", cwd=whole) == ""
    assert run("tag", cwd=whole).split() == ["review--v1.0.0", "review--v2.0.0", "v1.0", "v1.1", "v2.0"]
    assert run("log", "--format=%s", cwd=whole) == "review 2.0"
    files = {path: (whole / "skills/review" / path).read_bytes() for path in skill_tree("review", "2.0").paths()}
    assert files == {path: skill_tree("review", "2.0").read(path) for path in files}
    assert (whole / "skills/review/scripts/run.sh").stat().st_mode & 0o100
    assert not (whole / "skills/review/a.txt").stat().st_mode & 0o100

    run("clone", "-q", "--depth", "1", "--branch", "v1.0", f"{address}/git/review.git", "part", cwd=tmp_path)
    run("fetch", "-q", "--depth", "1", "origin", "tag", "v2.0", cwd=tmp_path / "part")
    assert run("rev-parse", "v2.0", cwd=tmp_path / "part") == run("rev-parse", "main", cwd=whole)
    run("fetch", "-q", "--tags", cwd=whole)  # nothing is new


def test_a_commit_is_made_of_the_release_alone() -> None:
    about = Release(version="1.0", archive="0" * 64, tree="1" * 64, size=1, published="2026-11-03T10:00:00Z")

    assert (
        git.objects_of("review", about, skill_tree("review", "1.0")).commit
        == "b4e1397ed70c000d2aa3e384f9cf197717540e69"
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"0000", 400),
        (b"xxxx", 400),
        (b"ffff", 400),
        (b"0001", 400),
        (b"0008abcd-008", 400),
        (b"+00a" + b"x" * 6, 400),
        (b"\xff" * 100, 400),
        (b"0032want " + b"0" * 40 + b"\n00000009done\n", 404),
        (b"0032want " + b"z" * 40 + b"\n00000009done\n", 404),
    ],
)
def test_what_git_would_not_ask_is_refused(client: TestClient, body: bytes, status: int) -> None:
    assert client.post("/git/review.git/git-upload-pack", content=body).status_code == status


def test_a_bomb_in_a_request_of_git_is_refused(client: TestClient) -> None:
    bomb = gzip.compress(b"0" * (10 << 20))
    headers = {"Content-Encoding": "gzip"}
    assert client.post("/git/review.git/git-upload-pack", content=bomb, headers=headers).status_code == 413


@pytest.mark.parametrize("name", ["none", "%2e%2e/x", "a" * 9000, "acme", "review/info"])
def test_there_is_no_repository_without_a_skill_tree(client: TestClient, name: str) -> None:
    assert client.get(f"/git/{name}.git/info/refs", params={"service": "git-upload-pack"}).status_code == 404


def test_a_clone_has_as_many_releases_as_fit_into_memory(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "_BYTES", 1)
    refs = client.get("/git/review.git/info/refs", params={"service": "git-upload-pack"}).text
    assert "v2.0" in refs and "v1.1" not in refs


def test_nobody_pushes(client: TestClient) -> None:
    assert client.get("/git/review.git/info/refs", params={"service": "git-receive-pack"}).status_code == 403
    assert client.get("/git/review.git/info/refs").status_code == 403


def test_the_marketplace_has_a_plugin_for_each_skill_tree(client: TestClient) -> None:
    document = client.get("/marketplace.json").json()

    plugins = {plugin["name"]: plugin for plugin in document["plugins"]}
    assert document["name"] == "team-shelf"
    assert list(plugins) == ["acme-lint", "acme-other", "eta-twice", "other", "review", "top", "zeta-twice"]
    assert plugins["acme-lint"]["source"] == {
        "source": "url", "url": "http://testserver/git/acme/lint.git", "ref": "v3.0",
    }  # fmt: skip
    assert (plugins["review"]["version"], plugins["top"]["version"]) == ("2.0.0", "0.1.0-rc.1")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1", "1.0.0"), ("1.2", "1.2.0"), ("1.2.3", "1.2.3"), ("1.2.3.4", "1.2.3+4"), ("2rc1", "2.0.0-rc.1"),
        ("1.0.dev3", "1.0.0-dev.3"), ("1.0a2.dev3", "1.0.0-a.2.dev.3"), ("1.0.post1", "1.0.0+post.1"),
    ],
)  # fmt: skip
def test_a_version_has_a_form_in_semver(version: str, expected: str) -> None:
    assert semantic(version) == expected


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [
        ("", None), (">=1,<2", ">=1.0.0 <2.0.0"), ("~=1.2", ">=1.2.0 <2.0.0"), ("~=1.2.3", ">=1.2.3 <1.3.0"),
        ("==1.4", "=1.4.0"), ("==1.*", ">=1.0.0 <2.0.0"), ("!=1.5", None), (">=1,!=1.5", ">=1.0.0"),
    ],
)  # fmt: skip
def test_a_plugin_states_its_dependencies_as_ranges(specifier: str, expected: str | None) -> None:
    release = Release(version="1.0", archive="0" * 64, tree="0" * 64, size=1, requires={"acme/base": specifier})

    wanted = {"name": "acme-base"} | ({"version": expected} if expected else {})
    assert git.plugin_manifest("top", release)["dependencies"] == [wanted]


def test_a_recalled_release_has_no_tag_among_which_a_client_chooses() -> None:
    releases = (
        Release(version="1.0", archive="0" * 64, tree="0" * 64, size=1),
        Release(version="1.1", archive="1" * 64, tree="1" * 64, size=1, yanked="broken"),
    )
    found = dict(git.references(Page(name="acme/base", releases=releases), {"1.0": "a", "1.1": "b"}))

    assert found == {
        "HEAD": "a", git.MAIN: "a", "refs/tags/acme-base--v1.0.0": "a", "refs/tags/v1.0": "a", "refs/tags/v1.1": "b",
    }  # fmt: skip


def test_apm_lists_downloads_and_searches(client: TestClient) -> None:
    listed = client.get("/apm/v1/packages/_/review/versions").json()
    assert [item["version"] for item in listed["versions"]] == ["2.0.0", "1.0.0"]  # the yanked one is left out
    newest = listed["versions"][0]
    archive = client.get("/apm/v1/packages/_/review/versions/2.0.0/download")
    assert archive.headers["content-type"] == "application/gzip"
    assert newest["digest"] == f"sha256:{hashlib.sha256(archive.content).hexdigest()}"
    assert newest["published_at"] == "2026-11-03T10:00:00Z"
    pinned = client.get("/apm/v1/packages/_/review/versions/1.1.0/download")
    assert pinned.status_code == 200  # who has locked it still gets it
    assert client.get("/apm/v1/packages/acme/lint/versions").json()["package"] == "acme/lint"
    assert client.get("/apm/v1/search", params={"q": "lint"}).json()["results"][0]["id"] == "acme/lint"
    for path in ("_/none/versions", "acme/%2e%2e/versions", "_/review/versions/9/download", "a%2Fb/c/versions"):
        assert client.get(f"/apm/v1/packages/{path}").status_code == 404


def claw(client: TestClient, path: str, **query: Any) -> Any:
    return client.get(f"/clawhub/api/v1/{path}", params=query).json()


def test_clawhub_searches_lists_and_downloads(client: TestClient) -> None:
    assert [hit["slug"] for hit in claw(client, "search", q="review")["results"]] == ["review"]
    first = claw(client, "skills", limit=3)
    second = claw(client, "skills", limit=30, cursor=first["nextCursor"])
    assert len(first["items"]) + len(second["items"]) == 7
    assert second["nextCursor"] is None
    assert claw(client, "skills/lint")["owner"]["handle"] == "acme"  # its only owner
    assert claw(client, "skills/other")["owner"]["handle"] is None
    assert claw(client, "skills/other", ownerHandle="acme")["latestVersion"]["version"] == "3.0.0"
    assert client.get("/clawhub/api/v1/skills/twice").status_code == 404  # two owners
    assert [item["version"] for item in claw(client, "skills/review/versions")["items"]] == ["2.0.0", "1.1.0", "1.0.0"]
    files = {item["path"] for item in claw(client, "skills/review/versions/1.0.0")["version"]["files"]}
    assert files == set(skill_tree("review", "1.0").paths())
    assert client.get("/clawhub/api/v1/skills/review/file", params={"path": "a.txt"}).text == "z"
    for query in ({"path": "../x"}, {"path": "a.txt", "version": "9"}, {"path": "none"}):
        assert client.get("/clawhub/api/v1/skills/review/file", params=query).status_code == 404

    zip_bytes = client.get("/clawhub/api/v1/download", params={"slug": "review", "version": "1.0.0"}).content
    with zipfile.ZipFile(io.BytesIO(zip_bytes)) as archive:
        assert archive.testzip() is None
        assert archive.read("SKILL.md") == skill_tree("review", "1.0").read("SKILL.md")
        assert archive.getinfo("scripts/run.sh").external_attr >> 16 & 0o100


def test_clawhub_knows_an_installed_folder_by_its_files(client: TestClient) -> None:
    tree = skill_tree("review", "1.0")
    lines = [f"{path}:{hashlib.sha256(tree.read(path)).hexdigest()}" for path in sorted(tree.paths(), key=str.casefold)]
    fingerprint = hashlib.sha256("\n".join(lines).encode()).hexdigest()

    assert claw(client, "resolve", slug="review", hash=fingerprint) == {
        "match": {"version": "1.0.0"}, "latestVersion": {"version": "2.0.0"},
    }  # fmt: skip
    assert claw(client, "resolve", slug="review", hash="0" * 64)["match"] is None
