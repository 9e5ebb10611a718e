"""What stands in the folders, against the lock: one difference, and every command says the same of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from tests.conftest import Project
from tests.shop import MakeProject, publish, skill_files, snapshot


def text(many: str, *more: str) -> str:
    others = "".join(f"  {name}: '*'\n" for name in more)
    return f"project: 1\nrequires:\n  many: '{many}'\n{others}registries: {{shop: ../shop}}\n"


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    many = [skill_files("many", version) for version in ("1.4", "1.8")]
    return publish(tmp_path_factory.mktemp("goods") / "shop", *many, skill_files("x1"), skill_files("same"))


@pytest.fixture
def shop(tmp_path: Path, goods: Path) -> Path:
    return Path(shutil.copytree(goods, tmp_path / "shop"))


def changes(document: Any) -> dict[str, tuple[str, str | None, str]]:
    return {item["name"]: (item["change"], item["previous"], item["version"]) for item in document["skills"]}


MOVED = {"many": ("replaced", "1.4", "1.8"), "same": ("kept", "1.0", "1.0"), "x1": ("removed", "1.0", "1.0")}


@pytest.fixture
def moved(project: MakeProject, shop: Path) -> Project:
    """A project whose lock changed without an install, as after a pull, a switch of branches or a merge."""
    place = project({"skillpm.yaml": text("<1.5", "x1", "same")})
    place.call("sync").ok()
    place.write({"skillpm.yaml": text("<1.9", "same")})
    place.call("lock", "--upgrade").ok()
    return place


@pytest.mark.parametrize("mode", [[], ["--frozen"], ["--locked"]])
def test_a_sync_names_what_it_replaces_and_removes_and_its_dry_run_says_the_same(
    moved: Project, mode: list[str]
) -> None:
    before = snapshot(moved.root)
    dry = moved.call("sync", *mode, "--dry-run", "--json").ok().document
    shown = moved.call("sync", *mode, "--dry-run").ok()
    assert snapshot(moved.root) == before
    assert changes(dry) == MOVED
    assert "1.4 -> 1.8" in shown.out and "x1" in shown.out and "same" not in shown.out
    assert "1 replaced, 1 removed, 1 up to date" in shown.err
    done = moved.call("sync", *mode, "--json").ok().document
    assert changes(done) == MOVED
    again = moved.call("sync", *mode).ok()
    assert (again.out, "2 up to date" in again.err) == ("", True)


@pytest.mark.parametrize("has_record", [True, False])
def test_list_verify_and_outdated_say_what_stands(moved: Project, has_record: bool) -> None:
    if not has_record:
        (moved.root / ".skillpm/installed.json").unlink()
    listed = {
        item["name"]: (item["state"], item["installed"]) for item in moved.call("list", "--json").document["skills"]
    }
    assert listed == {
        "many": ("stale", "1.4"),
        "same": ("ok", "1.0"),
        **({"x1": ("surplus", "1.0")} if has_record else {}),
    }
    assert "stale: 1.4" in moved.call("list").ok().out
    problems = moved.call("verify", "--json").document["problems"]
    assert {item["skill"] for item in problems} == {"many", *(["x1"] if has_record else [])}
    outdated = moved.call("outdated", "--json").fails(1).document["skills"]
    assert {item["name"]: (item["state"], item["installed"]) for item in outdated} == {
        "many": ("stale", "1.4"),
        "same": ("current", "1.0"),
    }
    moved.call("sync").ok()
    moved.call("verify").ok()
    moved.call("outdated").ok()


def test_folders_under_version_control_are_read_and_not_the_record(moved: Project, tmp_path: Path) -> None:
    moved.call("sync").ok()
    newer = tmp_path / "newer"
    shutil.copytree(moved.root / UNIVERSAL / "many", newer)
    moved.write({"skillpm.yaml": text("<1.5", "same")})
    moved.call("sync").ok()
    shutil.rmtree(moved.root / UNIVERSAL / "many")
    shutil.copytree(newer, moved.root / UNIVERSAL / "many")  # as a switch of branches does
    dry = moved.call("sync", "--dry-run", "--json").ok().document
    assert changes(dry)["many"] == ("replaced", "1.8", "1.4")


def test_a_folder_that_went_is_put_back_and_said(moved: Project) -> None:
    moved.call("sync").ok()
    shutil.rmtree(moved.root / UNIVERSAL / "same")
    assert {item["name"]: item["state"] for item in moved.call("list", "--json").document["skills"]}[
        "same"
    ] == "missing"
    assert changes(moved.call("sync", "--dry-run", "--json").document)["same"] == ("placed", "1.0", "1.0")
    assert changes(moved.call("sync", "--json").document)["same"] == ("placed", "1.0", "1.0")
    assert changes(moved.call("sync", "--json").document)["same"] == ("kept", "1.0", "1.0")


def test_a_dry_run_says_what_the_run_refuses(moved: Project) -> None:
    moved.write({UNIVERSAL: {"same": {"SKILL.md": "mine\n"}}})
    said = (f"{UNIVERSAL}/same was edited", ".skillpm/kept/same")
    assert all(text in moved.call("sync", "--dry-run").ok().err for text in said)
    moved.call("sync").fails(2, *said)
    dry = moved.call("sync", "--dry-run", "--force", "--json").ok().document
    assert changes(dry)["same"][0] == "replaced"


_DENIED = "policy: {deny: ['path:*']}\n"


@pytest.mark.parametrize(
    ("files", "words", "code"),
    [
        ({}, ["install", "many==1.4"], 0),
        ({UNIVERSAL: {"many": {"SKILL.md": "mine\n"}}}, ["install", "many", "--force"], 0),
        ({"bad": {"x.pth": "import os"}}, ["install", "./bad"], 4),
        ({"bad": {"a.md": "\x1b[8mhidden\n"}, "skillpm.yaml": f"project: 1\n{_DENIED}"}, ["install", "./bad"], 6),
    ],
)
def test_a_dry_run_says_what_the_run_says(
    project: MakeProject, shop: Path, files: dict[str, Any], words: list[str], code: int
) -> None:
    place = project({"bad": skill_files("bad")} if "bad" in files else {}).write(files)
    before = snapshot(place.root)
    words = [*words, "--registry", str(shop), "--json"]
    dry = place.call(*words, "--dry-run")
    assert (snapshot(place.root), dry.code) == (before, code)
    done = place.call(*words)
    assert (done.code, done.document) == (code, {**dry.document, "dry_run": False} if code == 0 else dry.document)
    written = {path for path in snapshot(place.root) if path.startswith("skillpm")} - before.keys()
    assert set(done.document.get("files", ())) == written


@pytest.mark.parametrize("link", ["copy", "symlink"])
@pytest.mark.parametrize("command", [["sync"], ["sync", "--frozen"], ["install"], ["update"], ["uninstall", "same"]])
def test_an_edit_is_never_lost_whether_a_skill_is_copied_or_linked(
    project: MakeProject, shop: Path, link: str, command: list[str]
) -> None:
    place = project()
    place.call("install", "same", "x1", "--registry", shop, "--link", link).ok()
    folder = place.root / UNIVERSAL / "same"
    (folder / "SKILL.md").chmod(0o644)
    with (folder / "SKILL.md").open("a") as file:
        file.write("note\n")
    states = {item["name"]: item["state"] for item in place.call("list", "--json").document["skills"]}
    assert states == {"same": "changed", "x1": "ok"}
    assert place.call("verify").code != 0
    place.call(*command).fails(2, "was edited after skillpm installed it")
    assert "note" in (folder / "SKILL.md").read_text()
    done = place.call(*command, "--force", "--json").ok().document
    assert done["backups"] == [{"folder": f"{UNIVERSAL}/same", "kept": ".skillpm/kept/same"}]
    assert "note" in (place.root / ".skillpm/kept/same/SKILL.md").read_text()
    assert not (place.root / ".skillpm/kept/same").is_symlink()
    assert not folder.exists() or "note" not in (folder / "SKILL.md").read_text()
    assert not list((place.root / UNIVERSAL).glob("*.orig*")), "agents would read it as one more skill"
    place.call("verify").ok()


def test_what_makes_way_is_said_in_words(project: MakeProject, shop: Path) -> None:
    place = project({UNIVERSAL: {"same": {"SKILL.md": "mine"}}})
    outcome = place.call("install", "same", "--registry", shop, "--force").ok()
    assert f"{UNIVERSAL}/same was edited or is not skillpm's: it is kept as .skillpm/kept/same" in outcome.err


def test_a_forged_record_hides_nothing(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "same", "x1", "--registry", shop).ok()
    path = place.root / ".skillpm/installed.json"
    record = json.loads(path.read_text())
    del record["folders"][f"{UNIVERSAL}/x1"]
    path.write_text(json.dumps(record))
    shutil.rmtree(place.root / UNIVERSAL / "x1")
    assert changes(place.call("sync", "--json").document)["x1"][0] == "added"
    assert (place.root / UNIVERSAL / "x1/SKILL.md").is_file()


class TestLitter:
    """What a project gets besides its skills."""

    def test_the_record_belongs_into_no_repository(self, project: MakeProject, shop: Path) -> None:
        place = project()
        place.call("install", "same", "--registry", shop).ok()
        assert (place.root / ".skillpm/.gitignore").read_text() == "*\n"

    def test_a_gitignore_that_is_a_link_is_left_alone(self, project: MakeProject, shop: Path) -> None:
        place = project({"victim": "precious"})
        (place.root / ".skillpm").mkdir()
        (place.root / ".skillpm/.gitignore").symlink_to(place.root / "victim")
        place.call("install", "same", "--registry", shop).ok()
        assert (place.root / "victim").read_text() == "precious"

    def test_the_last_uninstall_leaves_no_folder_of_ours(self, project: MakeProject, shop: Path) -> None:
        place = project()
        place.call("install", "same", "x1", "--registry", shop).ok()
        place.call("uninstall", "x1").ok()
        assert (place.root / ".skillpm/installed.json").is_file()
        place.call("uninstall", "same").ok()
        assert not (place.root / ".skillpm").exists()
        place.call("install", "same", "--registry", shop).ok()
        place.write({UNIVERSAL: {"same": {"SKILL.md": "mine"}}})
        place.call("uninstall", "same", "--force").ok()
        assert (place.root / ".skillpm/kept/same/SKILL.md").read_text() == "mine"

    def test_the_record_that_a_killed_uninstall_left_is_removed_by_the_next_run(
        self, project: MakeProject, shop: Path
    ) -> None:
        place = project({})
        place.call("install", "x1", "--registry", shop).ok()
        record = json.loads((place.root / ".skillpm/installed.json").read_text())
        place.call("uninstall", "x1").ok()
        lock = (place.root / "skillpm.lock").read_bytes()
        left = {**record, "folders": {}, "lock": hashlib.sha256(lock).hexdigest()}
        place.write({".skillpm": {"installed.json": json.dumps(left), ".gitignore": "*\n"}})
        place.call("install", "--registry", shop).ok()
        assert not (place.root / ".skillpm").exists()

    def test_a_linked_lock_is_written_where_it_is(self, project: MakeProject, shop: Path) -> None:
        place = project({"locks": {"README": ""}})
        place.call("install", "same", "--registry", shop).ok()
        (place.root / "skillpm.lock").rename(place.root / "locks/skillpm.lock")
        (place.root / "skillpm.lock").symlink_to("locks/skillpm.lock")
        for command in (["install", "x1", "--registry", shop], ["lock", "--upgrade"], ["uninstall", "same"]):
            if command[0] == "lock":
                (place.root / "locks/skillpm.lock").write_text((place.root / "skillpm.lock").read_text() + "\n")
            place.call(*command).ok()
            assert (place.root / "skillpm.lock").is_symlink()
        assert [item["name"] for item in json.loads((place.root / "locks/skillpm.lock").read_text())["skills"]] == [
            "x1"
        ]
        (place.root / "locks/skillpm.lock").unlink()
        place.call("install", "same", "--registry", shop).fails(2, "a link that leads to no file")
