"""An install does all of what was asked or leaves everything as it was, whatever it is given and whenever it dies."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from skillpm.hookspecs import hookimpl
from skillpm.index.folder_registry import FolderRegistry
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.project.asked import Asked
from skillpm.ops.project.install import InstallOptions, install
from skillpm.settings import load_settings
from skillpm.storage.store import folder_digest
from tests.shop import MakeProject, locked, publish, skill_files, snapshot


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a file system of a given size."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a small file system")
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip(f"mounting is not allowed here: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_skill_comes_with_what_it_requires(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "top", "--registry", shop).ok()
    lock = json.loads((place.root / "skillpm.lock").read_text())
    assert lock["requirements"] == ["top"]
    assert {item["name"]: item["version"] for item in lock["skills"]} == {"base": "1.1", "top": "1.0"}
    assert {item["source"] for item in lock["skills"]} == {"registry:../shop"}
    for item in lock["skills"]:
        assert folder_digest(place.root / UNIVERSAL / item["name"]) == item["tree"]


def test_a_second_install_adds_and_keeps_what_is_locked(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "base<1.1", "--registry", shop).ok()
    done = place.call("install", "top", "--registry", shop, "--json").ok().document
    assert [(item["name"], item["version"], item["change"]) for item in done["skills"]] == [
        ("base", "1.0", "kept"),
        ("top", "1.0", "added"),
    ]


def test_a_new_requirement_for_an_installed_name_replaces_it(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "base@1.0", "--registry", shop).ok()
    place.call("install", "base>=2", "--registry", shop).ok()
    assert "1.0" not in (place.root / UNIVERSAL / "base/skill.yaml").read_text()
    assert json.loads((place.root / "skillpm.lock").read_text())["requirements"] == ["base>=2"]


def test_without_arguments_the_lock_is_installed_to_the_byte(project: MakeProject, shop: Path) -> None:
    place, other = project(), project()
    place.call("install", "top", "--registry", shop).ok()
    lock = (place.root / "skillpm.lock").read_bytes()
    other.write({"skillpm.lock": lock})
    other.call("install", SKILLPM_HOME=str(other.root / "home")).ok()
    assert (other.root / "skillpm.lock").read_bytes() == lock
    assert snapshot(place.root / UNIVERSAL) == snapshot(other.root / UNIVERSAL)


def test_nothing_is_written_where_nothing_has_changed(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "top", "--registry", shop).ok()
    before = {path: path.stat().st_mtime_ns for path in place.root.rglob("*")}
    done = place.call("install", "--json").ok().document
    assert {item["change"] for item in done["skills"]} == {"kept"}
    assert {path: path.stat().st_mtime_ns for path in place.root.rglob("*")} == before


def test_a_removed_or_edited_place_and_a_damaged_store_are_repaired(
    project: MakeProject, shop: Path, tmp_path: Path
) -> None:
    place = project()
    place.call("install", "plain", "--registry", shop).ok()
    stored = next((tmp_path / "home/skillpm/data/store/tree-v1").iterdir())
    good = snapshot(stored)
    (stored / "SKILL.md").write_bytes((stored / "SKILL.md").read_bytes().replace(b"Shows", b"Shovs"))
    assert "plain 1.0 was changed in the store, so it is fetched again" in place.call("sync").ok().err
    assert snapshot(stored) == good
    assert "in the store" not in place.call("sync").ok().err
    (place.root / UNIVERSAL / "plain/SKILL.md").unlink()
    place.call("install").fails(2, "was edited", "--force")
    place.call("install", "--force").ok()
    assert snapshot(place.root / UNIVERSAL / "plain") == good


def test_a_damaged_store_is_told_apart_from_a_missing_one(project: MakeProject, shop: Path, tmp_path: Path) -> None:
    place = project()
    place.call("install", "plain", "--registry", shop).ok()
    stored = next((tmp_path / "home/skillpm/data/store/tree-v1").iterdir())
    (stored / "SKILL.md").write_text("changed")
    place.call("show", "plain").fails(4, "changed in the store", "skillpm install")
    stored.rename(tmp_path / "away")
    place.call("show", "plain").fails(7, "not in the store")


def test_a_folder_is_installed_and_followed_only_when_asked(project: MakeProject) -> None:
    place = project({"mine": skill_files("mine"), "more": skill_files("more")})
    place.call("install", "./mine").ok()
    place.write({"mine": skill_files("mine", "2.0")})
    place.call("install", "./more").ok()
    assert {item["version"] for item in place.call("list", "--json").ok().document["skills"]} == {"1.0"}
    done = place.call("install", "./mine", "--json").ok().document
    assert next((item["change"], item["previous"], item["version"]) for item in done["skills"]) == (
        "replaced",
        "1.0",
        "2.0",
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hooks": 2}, "demo 2.0 is for version 2 of the hooks, and this skillpm has 1; 1.0 is taken"),
        ({"version": 2}, "demo of unknown version is skipped, this skillpm cannot read it"),
        ({"version": "2.0-beta-x"}, "demo 2.0-beta-x is skipped, this skillpm cannot read it"),
        ({"requires": {"other": "^1.2"}}, "demo 2.0 is skipped, this skillpm cannot read it"),
        ({"size": "many"}, "demo 2.0 is skipped"),
    ],
)
def test_the_newest_release_that_fits_is_chosen_and_the_others_are_named(
    project: MakeProject, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    registry = publish(tmp_path / "grown", skill_files("demo", "1.0"), skill_files("demo", "2.0"))
    path = registry / "skills/demo.json"
    page = json.loads(path.read_text())
    page["releases"][1] |= change
    path.write_text(json.dumps(page))
    here = project()
    told = here.call("install", "demo", "--registry", str(registry)).ok().err
    assert says in told, told
    assert locked(here) == {"demo": "1.0"}


def test_a_skill_for_another_version_of_the_hooks_is_not_installed(project: MakeProject) -> None:
    """Its code could not be run, so nothing is written; the message says what to do."""
    files = skill_files("ahead")
    here = project({"ahead": {**files, "skill.yaml": files["skill.yaml"] + "hooks: 2\n"}})
    here.call("install", "./ahead").fails(9, "ahead 1.0 was written for version 2 of the hooks", "upgrade skillpm-core")
    assert not (here.root / "skillpm.lock").exists() and not (here.root / ".agents").exists()


def test_a_folder_that_changed_cannot_restore_its_lock(project: MakeProject) -> None:
    place = project({"mine": skill_files("mine")})
    place.call("install", "./mine").ok()
    place.write({"mine": skill_files("mine", body="changed\n")})
    place.call("install", SKILLPM_HOME=str(place.root / "fresh")).fails(7, "locked", "skillpm install")


def test_a_skill_without_skill_yaml_is_installed_as_version_0(project: MakeProject) -> None:
    place = project(
        {"note": {"SKILL.md": "---\nname: note\ndescription: Takes a note. Use when noting.\n---\nWrite.\n"}}
    )
    done = place.call("install", "./note", "--json").ok().document
    assert done["skills"][0]["version"] == "0"


def test_no_code_of_a_skill_runs(project: MakeProject, tmp_path: Path) -> None:
    evil = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    files = {**skill_files("evil"), "verifier.py": evil, "plugin.py": evil, "conftest.py": evil, "scripts/a.py*": evil}
    place = project({"evil": files})
    for arguments in (["install", "./evil"], ["install"], ["list"], ["show", "evil"], ["show", "./evil"]):
        place.call(*arguments).ok()
    place.call("uninstall", "evil").ok()
    assert not (tmp_path / "ran").exists()


def test_a_dry_run_writes_nothing(project: MakeProject, shop: Path, tmp_path: Path) -> None:
    place = project()
    done = place.call("install", "top", "--registry", shop, "--dry-run", "--json").ok().document
    assert done["dry_run"]
    assert [item["change"] for item in done["skills"]] == ["added", "added"]
    assert not list(place.root.iterdir())
    assert not (tmp_path / "home/skillpm").exists()


def test_agents_get_copies_or_links_and_later_installs_remember_them(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "plain", "--registry", shop, "--agent", "claude-code", "--link", "symlink").ok()
    assert (place.root / ".claude/skills/plain").is_symlink()
    place.call("install", "base", "--registry", shop).ok()
    assert (place.root / ".claude/skills/base").is_symlink()
    place.call("install", "--link", "copy").ok()
    assert not (place.root / ".claude/skills/base").is_symlink()
    place.call("uninstall", "plain", "base").ok()
    assert not list((place.root / ".claude/skills").iterdir())
    place.call("install", "plain", "--registry", shop, "--agent", "claud").fails(2, "claude-code")


def test_a_users_own_folder_is_never_overwritten(project: MakeProject, shop: Path) -> None:
    mine = {UNIVERSAL: {"plain": {"SKILL.md": "mine"}}}
    place = project(mine)
    before = snapshot(place.root)
    place.call("install", "plain", "--registry", shop).fails(2, ".agents/skills/plain", "--force")
    assert snapshot(place.root) == before
    place.call("install", "plain", "--registry", shop, "--force").ok()
    assert (place.root / ".skillpm/kept/plain/SKILL.md").read_text() == "mine"


def test_user_installs_go_to_the_home_folder(project: MakeProject, shop: Path, tmp_path: Path) -> None:
    place = project()
    place.call("install", "plain", "--registry", shop, "--user", "--agent", "cursor").ok()
    assert (tmp_path / "home/.cursor/skills/plain/SKILL.md").is_file()
    assert not list(place.root.iterdir())
    assert place.call("list", "--user", "--json").ok().document["skills"][0]["name"] == "plain"


def bad_frontmatter(text: bytes) -> dict[str, Any]:
    return {"bad": {"SKILL.md": text}}


GOOD = b"---\nname: bad\ndescription: Does something. Use when testing.\n---\nBody.\n"

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "not UTF-8": (bad_frontmatter(GOOD.replace(b"Body", b"B\xff")), "UTF-8"),
    "no frontmatter": (bad_frontmatter(b"# Only text\n"), "frontmatter"),
    "duplicate keys": (bad_frontmatter(GOOD.replace(b"name: bad\n", b"name: bad\nname: bad\n")), "duplicate"),
    "no SKILL.md": ({"bad": {"README.md": "x"}}, "SKILL.md"),
    "unknown key": ({"bad": {"SKILL.md": GOOD, "skill.yaml": "manifest: 1\nversion: '1'\nverison: '2'\n"}}, "verison"),
    "no version": ({"bad": {"SKILL.md": GOOD, "skill.yaml": "manifest: 1\nversion: one\n"}}, "version"),
    "a name that escapes": (bad_frontmatter(GOOD.replace(b"name: bad", b"name: ../../bad")), "name"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_skill_is_refused_with_its_findings(project: MakeProject, name: str) -> None:
    files, text = BROKEN[name]
    place = project(files)
    before = snapshot(place.root)
    outcome = place.call("install", "./bad", "--json").fails(1, text, "hint")
    assert outcome.document["error"] == "layout"
    assert snapshot(place.root) == before


def test_a_link_in_a_folder_is_refused(project: MakeProject) -> None:
    place = project({"mine": skill_files("mine")})
    (place.root / "mine/passwd").symlink_to("/etc/passwd")
    outcome = place.call("install", "./mine")
    assert outcome.code in (1, 4)
    assert "passwd" in outcome.err
    assert not (place.root / "skillpm.lock").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "texts"),
    [
        (["bse"], 2, ["no registry knows `bse`", "`base`"]),
        (["base==9"], 3, ["you require base==9", "1.0, 1.1 and 2.0"]),
        (["lost"], 3, ["lost 1.0 requires nowhere", "no registry knows nowhere"]),
        (["top", "other"], 3, ["top 1.0 requires base<2,>=1", "other 1.0 requires base>=2"]),
        (["Base"], 2, ["is not a skill name"]),
        (["base=>1"], 2, ["is not a version specifier"]),
        (["./missing"], 2, ["there is no missing"]),
        (["https://github.com/o/r/issues/1"], 2, ["a page about a repository"]),
        (["ipfs://example.org/x"], 5, ["not supported by this version"]),
        (["base", "--all"], 2, ["need a source"]),
        ([], 2, ["there is no skillpm.lock here"]),
    ],
)
def test_what_cannot_be_met_is_explained_and_changes_nothing(
    project: MakeProject, shop: Path, arguments: list[str], code: int, texts: list[str]
) -> None:
    place = project()
    place.call("install", *arguments, "--registry", shop).fails(code, *texts)
    assert not snapshot(place.root)


def test_an_archive_that_was_changed_by_one_byte_is_refused(project: MakeProject, shop: Path, tmp_path: Path) -> None:
    digest = json.loads((shop / "skills/plain.json").read_text())["releases"][0]["archive"]
    path = shop / "archives" / digest[:2] / f"{digest[2:]}.tar.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    place = project()
    place.call("install", "plain", "--registry", shop).fails(4, "sha256", digest[:16])
    assert not snapshot(place.root)
    assert not (tmp_path / "home/skillpm/data/store/tree-v1").exists()


def test_a_registry_that_lies_about_a_tree_or_a_requirement_is_refused(project: MakeProject, shop: Path) -> None:
    path = shop / "skills/top.json"
    page = json.loads(path.read_text())
    place = project()
    claims: list[tuple[str, Any, str]] = [
        ("tree", "0" * 64, "top 1.0"),
        ("requires", {}, "claims requirements none for top 1.0; the skill has base<2"),
    ]
    for key, value, words in claims:
        lie = json.loads(json.dumps(page))
        lie["releases"][0][key] = value
        path.write_text(json.dumps(lie))
        place.call("install", "top", "--registry", shop).fails(4, words)
    assert not snapshot(place.root)


def test_other_bytes_for_a_locked_version_are_refused(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "plain", "--registry", shop).ok()
    shutil.rmtree(shop)
    publish(shop, skill_files("plain", body="changed\n"))
    place.call("install", "plain", "--registry", shop).fails(4, "different bytes")


def test_a_yanked_release_stays_installed_and_is_not_taken_anew(project: MakeProject, shop: Path) -> None:
    place, other = project(), project()
    place.call("install", "plain", "--registry", shop).ok()
    path = shop / "skills/plain.json"
    path.write_text(path.read_text().replace('"yanked": false', '"yanked": "loses data"'))
    place.call("install", "top", "--registry", shop).ok()
    other.call("install", "plain", "--registry", shop).fails(3, "yanked", "loses data")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> x\n", 7, "conflict markers"),
        ('{"lock": 2}', 7, "upgrade"),
        ('{"lock": 1, "skills": [{}]}', 2, "skillpm.lock"),
    ],
)
def test_a_lock_that_cannot_be_read_is_refused_and_kept(project: MakeProject, text: str, code: int, words: str) -> None:
    place = project({"skillpm.lock": text})
    for arguments in (["install"], ["install", "langgraph-cli"], ["list"], ["uninstall", "x"]):
        place.call(*arguments).fails(code, words)
    assert (place.root / "skillpm.lock").read_text() == text


def test_a_digest_edited_by_hand_is_refused(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "plain", "--registry", shop).ok()
    path = place.root / "skillpm.lock"
    lock = json.loads(path.read_text())
    lock["skills"][0]["tree"] = "0" * 64
    path.write_text(json.dumps(lock))
    place.call("install").fails(4, "expected 0000")


@pytest.mark.attack(68)
@pytest.mark.parametrize("where", ["store", "project"])
@pytest.mark.parametrize("size", ["16k", "40k", "64k"])
def test_a_full_disk_leaves_no_half_skill_and_says_so(
    project: MakeProject, small_disk: Callable[[str], Path], where: str, size: str
) -> None:
    files = {**skill_files("large"), "references": {f"{n}.md": "text " * 1500 for n in range(20)}}
    place = project({"large": files})
    disk = small_disk(size)
    home = {"SKILLPM_HOME": str(disk)} if where == "store" else {}
    cwd = disk if where == "project" else place.root
    outcome = place.call("install", place.root / "large", cwd=cwd, **home)
    outcome.fails(6, "No space left on device", "free some space")
    assert "/.skillpm-" not in outcome.err, "a person knows the name that the content would have got"
    assert not (cwd / "skillpm.lock").exists()
    assert not list(cwd.glob(f"{UNIVERSAL}/*"))
    assert not list(disk.glob("data/store/tree-v1/*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the file system itself is tested below")
def test_a_folder_without_permission_is_a_clear_error(project: MakeProject, shop: Path) -> None:
    place = project()
    place.root.chmod(0o555)
    place.call("install", "plain", "--registry", shop).fails(6, "Permission denied")


@pytest.mark.attack(69)
def test_a_read_only_project_is_a_clear_error(
    project: MakeProject, shop: Path, small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("1m")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    project().call("install", "plain", "--registry", shop, cwd=disk).fails(6, "Read-only file system", "read-only")


def start(place: Any, *arguments: object, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "skillpm", *map(str, arguments)],
        cwd=cwd or place.root,
        env=dict(place.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.attack(66)
def test_four_installs_at_once_in_one_project_all_succeed(project: MakeProject, shop: Path, tmp_path: Path) -> None:
    place = project()
    running = [start(place, "install", name, "--registry", shop) for name in ("plain", "top") * 2]
    assert [process.wait() for process in running] == [0] * 4
    assert [item["name"] for item in place.call("list", "--json").document["skills"]] == ["base", "plain", "top"]
    store = tmp_path / "home/skillpm/data/store"
    assert len(list((store / "tree-v1").iterdir())) == 3
    assert not list((store / "tmp").iterdir())


@pytest.mark.attack(65)
def test_an_install_killed_at_any_instant_is_completed_by_the_next(
    project: MakeProject, shop: Path, tmp_path: Path
) -> None:
    many = {f"many-{n}": skill_files(f"many-{n}") for n in range(12)}
    place = project({"src": many})
    paths = [f"./src/{name}" for name in many]
    chance = random.Random(7)
    for turn in range(6):
        killed = start(place, "install", *paths, "--agent", "claude-code")
        time.sleep(chance.uniform(0.2, 0.7))
        killed.kill()
        killed.wait()
        if (place.root / "skillpm.lock").exists():
            json.loads((place.root / "skillpm.lock").read_text())
            for name in many:
                place.write({"src": {name: skill_files(name, f"1.{turn + 1}")}})
    done = place.call("install", *paths, "--agent", "claude-code", "--json").ok().document
    for item in done["skills"]:
        for folder in (UNIVERSAL, ".claude/skills"):
            assert folder_digest(place.root / folder / item["name"]) == item["tree"]
    left = [path.name for path in (place.root / UNIVERSAL).iterdir() if path.name not in many]
    assert left == []
    store = tmp_path / "home/skillpm/data/store"
    assert all(folder_digest(path) == path.name for path in (store / "tree-v1").iterdir())
    assert not list((store / "tmp").iterdir())


def test_observers_are_called_for_what_changed_once_it_is_locked(tmp_path: Path, shop: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    settings = load_settings(project=place, indexes=(str(shop),), environment={"SKILLPM_HOME": str(tmp_path / "h")})
    seen: list[str] = []

    class Observer:
        @hookimpl
        def skillpm_installed(self, skill: Skill) -> None:
            seen.append(f"{skill} {(place / 'skillpm.lock').exists()}")
            if skill.name == "plain":
                raise OSError("the disk is full")

    for texts in (["base@1.0"], ["base@2.0", "plain"]):
        context = Context(settings)
        context.host.register(Observer(), "observer", "acme 1")
        told = install(context, Asked.read(texts), InstallOptions([UNIVERSAL])).warnings
    assert seen == ["base 1.0 True", "base 2.0 True", "plain 1.0 True"]
    assert told[-1:] == ("observer failed in `skillpm_installed`: OSError: the disk is full",)


def test_an_installed_skill_is_the_same_tree_as_its_folder(project: MakeProject) -> None:
    files = {
        **skill_files("mine"),
        "scripts": {"run.sh*": "#!/bin/sh\n"},
        ".gitignore": "x\n",
        "__pycache__": {"a.pyc": b"x"},
    }
    place = project({"mine": files})
    done = place.call("install", "./mine", "--json").ok().document
    assert done["skills"][0]["tree"] == tree_digest(FolderTree(place.root / "mine"))
    installed = place.root / UNIVERSAL / "mine"
    assert (installed / "scripts/run.sh").stat().st_mode & 0o111
    assert (installed / ".gitignore").is_file()
    assert not (installed / "__pycache__").exists()


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("plain==1.0", "ask for `plain` in place of `plain==1.0`"),
        ("plain<2", "in place of `plain<2`"),
        ("plain", "skillpm update"),
    ],
)
def test_a_yanked_release_names_the_way_to_another_one(
    project: MakeProject, tmp_path: Path, typed: str, hint: str
) -> None:
    shop, place = publish(tmp_path / "two", skill_files("plain", version="1.0")), project()
    place.call("install", typed, "--registry", shop).ok()
    publish(shop, skill_files("plain", version="2.0"))
    FolderRegistry(shop, "two").yank("plain", "1.0", "bad")
    assert hint in place.call("install", typed, "--registry", shop).ok().err
