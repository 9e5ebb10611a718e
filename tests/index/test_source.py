"""What each index refuses, and how sources are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import LockOutOfDateError, RegistryError, SkillpmError, UsageError
from skillpm.index.bundled import BundledIndex
from skillpm.index.chain import ChainIndex
from skillpm.index.directory import DirectoryIndex
from skillpm.index.pages import ReadPage
from skillpm.index.path import PathIndex
from skillpm.index.paths import page_path
from skillpm.index.source import Surroundings, is_path, open_registry, open_skills, open_source
from skillpm.model.source import BUNDLED, Source
from tests.shop import publish, skill_files


def around(project: Path) -> Surroundings:
    return Surroundings(project, project / "cache")


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return publish(tmp_path / "shop", skill_files("demo", "1.0"), skill_files("demo", "2.0"))


@pytest.mark.parametrize(
    "page",
    [
        "",
        "[]",
        "{",
        '{"name": "demo", "releases": {}}',
        '{"name": "demo", "releases": 1}',
        '{"name": "other", "releases": []}',
        '{"name": "demo", "name": "demo"}',
        b"\xff",
    ],
)
def test_a_damaged_page_is_an_error_that_names_it(registry: Path, page: str | bytes) -> None:
    (registry / page_path("demo")).write_bytes(page if isinstance(page, bytes) else page.encode())
    with pytest.raises(RegistryError, match=r"demo\.json") as caught:
        DirectoryIndex(registry, "shop").page("demo")
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", "one"),
        ("version", "1" * 5000),
        ("requires", {"x": "=>1"}),
        ("requires", {"../x": ""}),
        ("archive", "../../etc/passwd"),
        ("size", -1),
    ],
)
def test_a_release_that_cannot_be_read_is_skipped_and_named(registry: Path, key: str, value: Any) -> None:
    path = registry / page_path("demo")
    page = json.loads(path.read_text())
    page["releases"][1][key] = value
    path.write_text(json.dumps(page))
    read = DirectoryIndex(registry, "shop").page("demo")
    assert isinstance(read, ReadPage)
    assert [release.version for release in read.releases] == ["1.0"]
    ((version, reason),) = read.skipped
    assert version == str(page["releases"][1]["version"])[:64] and reason


def test_what_a_newer_skillpm_writes_beside_what_is_known_does_no_harm(registry: Path) -> None:
    path = registry / page_path("demo")
    page = json.loads(path.read_text())
    page["releases"][1]["deprecated"] = {"since": "2.0"}
    path.write_text(json.dumps({**page, "homepage": "https://example.com"}))
    config = json.loads((registry / "config.json").read_text())
    (registry / "config.json").write_text(json.dumps({**config, "mirrors": []}))
    read = DirectoryIndex(registry, "shop").page("demo")
    assert read is not None and [release.version for release in read.releases] == ["1.0", "2.0"]


@pytest.mark.parametrize(("twin", "says"), [("1.0", "1.0 twice"), ("1.0.0", "1.0 and 1.0.0, which are one version")])
def test_one_version_in_two_releases_is_refused(registry: Path, twin: str, says: str) -> None:
    path = registry / page_path("demo")
    page = json.loads(path.read_text())
    page["releases"].append(page["releases"][0] | {"version": twin})
    path.write_text(json.dumps(page))
    with pytest.raises(RegistryError, match=says):
        DirectoryIndex(registry, "shop").page("demo")


def test_publishing_keeps_what_only_a_newer_skillpm_reads(registry: Path) -> None:
    path = registry / page_path("demo")
    page = json.loads(path.read_text())
    page["releases"][0]["deprecated"] = True
    page["releases"].append({"version": "3.0-beta-x", "content": "sha512:0"})
    path.write_text(json.dumps({**page, "homepage": "https://example.com"}))
    publish(registry, skill_files("demo", "2.5"))
    after = json.loads(path.read_text())
    assert after["homepage"] == "https://example.com"
    assert [item["version"] for item in after["releases"]] == ["1.0", "2.0", "2.5", "3.0-beta-x"]
    assert after["releases"][3] == {"version": "3.0-beta-x", "content": "sha512:0"}


def test_a_folder_that_is_no_registry_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RegistryError) as caught:
            DirectoryIndex(folder, "shop").page("demo")
        assert caught.value.hint


def test_a_newer_registry_is_refused_with_the_hint_to_upgrade(registry: Path) -> None:
    (registry / "config.json").write_text('{"registry": 2, "name": ["x"]}')
    with pytest.raises(RegistryError, match="format 2 is newer than this skillpm") as caught:
        DirectoryIndex(registry, "shop").page("demo")
    assert caught.value.hint == "upgrade skillpm-core"


def test_a_missing_archive_is_an_error_that_names_the_registry(registry: Path) -> None:
    index = DirectoryIndex(registry, "shop")
    page = index.page("demo")
    assert page is not None
    for path in registry.glob("archives/*/*"):
        path.unlink()
    with pytest.raises(RegistryError, match="shop"):
        index.archive("demo", page.releases[0])


def test_a_published_version_is_never_replaced(registry: Path) -> None:
    publish(registry, skill_files("demo", "1.0"))
    with pytest.raises(RegistryError, match="different content"):
        publish(registry, skill_files("demo", "1.0", body="other"))


def test_the_first_index_that_knows_a_name_answers_alone(tmp_path: Path) -> None:
    """Never the best of both: that is dependency confusion."""
    publish(tmp_path / "team", skill_files("demo", "1.0"))
    publish(tmp_path / "public", skill_files("demo", "9.9"), skill_files("far", "1.0"))
    chain = ChainIndex([DirectoryIndex(tmp_path / "team", "team"), DirectoryIndex(tmp_path / "public", "public")])
    page, far, source = chain.page("demo"), chain.page("far"), chain.source("demo")
    assert page is not None
    assert [release.version for release in page.releases] == ["1.0"]
    assert far is not None
    assert source is not None
    assert source.name == "team"
    assert chain.near("dem") == ["demo"]


def test_a_folder_that_has_changed_is_not_what_was_locked(tmp_path: Path) -> None:
    for path, text in skill_files().items():
        (tmp_path / path).write_text(text)
    page = PathIndex(tmp_path, "path:x").page("demo")
    assert page is not None
    (tmp_path / "SKILL.md").write_text(skill_files(body="changed")["SKILL.md"])
    with pytest.raises(LockOutOfDateError) as caught:
        PathIndex(tmp_path, "path:x").archive("demo", page.releases[0])
    assert caught.value.details["locked"] == page.releases[0].tree


def test_an_unknown_bundled_skill_has_no_archive(registry: Path) -> None:
    page = DirectoryIndex(registry, "shop").page("demo")
    assert page is not None
    with pytest.raises(RegistryError):
        BundledIndex().archive("demo", page.releases[0])


@pytest.mark.parametrize("text", ["file://elsewhere/x", "s3://x/y", "ftp://x/y"])
def test_sources_that_this_version_cannot_read_are_named_with_those_that_it_can(tmp_path: Path, text: str) -> None:
    assert is_path(text)
    for opened in (lambda: open_registry(text, around(tmp_path)), lambda: open_skills(text, around(tmp_path))):
        with pytest.raises(RegistryError) as caught:
            opened()
        assert "git+https" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "words"),
    [("https://me:secret@example.org:8443/shop", "SKILLPM_TOKEN_EXAMPLE_ORG_8443 "), ("https://", "registry"),
     ("https://example.org:port/", "registry"), ("https://example.org/shop?token=x", "query"),
     ("http://a b/", "address")],
)  # fmt: skip
def test_an_address_that_no_lock_may_hold_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_registry(text, around(tmp_path))
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert "secret" not in str(caught.value.document())


def test_sources_are_named_relative_to_the_project_and_opened_again(registry: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for text in (str(registry), registry.as_uri()):
        assert open_registry(text, around(project)).name == "registry:../shop"
    assert open_source(Source.parse("registry:../shop"), around(project)).names() == ["demo"]
    assert open_source(BUNDLED, around(project)).name == "bundled"
    for unknown in ("https://example.org", "path:", "tree", "well-known:"):
        with pytest.raises(RegistryError):
            open_source(Source.parse(unknown), around(project))


def test_a_missing_skill_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        open_skills(str(tmp_path / "missing"), around(tmp_path))[0].names()


@pytest.mark.parametrize(
    ("text", "path"),
    [(".", True), ("..", True), ("./a", True), ("/a", True), ("~/a", True), ("a", False), ("a>=1", False),
     ("acme/tools", False), ("acme/tools>=1.0", False), ("a/b/c", True), ("A/b", True), ("a@1.0", False)],
)  # fmt: skip
def test_a_path_is_told_from_a_name(text: str, path: bool) -> None:
    assert is_path(text) is path


def test_errors_of_indexes_are_never_anything_else(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_bytes(b"\xff")
    with pytest.raises(SkillpmError):
        PathIndex(tmp_path, "path:x").names()
