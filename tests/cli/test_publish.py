"""``skillpm pack``, ``publish``, ``yank``, ``unyank`` and ``registry`` as a person meets them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from skillpm.storage.archive import archive_digest
from tests.conftest import Project
from tests.shop import MakeProject, skill_files, snapshot

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def place(project: MakeProject) -> Project:
    """A project with a skill in ``mine`` and a registry in ``shop``."""
    made = project({"mine": skill_files("mine")})
    made.call("registry", "init", "shop").ok()
    return made


def test_a_published_skill_can_be_installed(place: Project, project: MakeProject) -> None:
    done = place.call("publish", "mine", "--registry", "shop").ok()
    assert done.out == "mine==1.0\n"
    assert "published in" in done.err
    other = project()
    other.call("install", "mine", "--registry", place.root / "shop").ok()
    assert snapshot(other.root / ".agents/skills/mine") == snapshot(place.root / "mine")


def test_without_a_registry_there_must_be_only_one_that_is_meant(place: Project) -> None:
    stored = Path(place.environment["SKILLPM_HOME"]) / "config/credentials.json"
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text('{"tokens": {"http://127.0.0.1:1": "skp_x"}}')
    stored.chmod(0o600)
    place.call("yank", "mine==1.0", "--reason", "bad").fails(5, "127.0.0.1:1 cannot be used")
    place.write({"skillpm.yaml": "project: 1\nregistries:\n  team: http://127.0.0.1:1/skills\n"})
    place.call("yank", "mine==1.0", "--reason", "bad").fails(5, "127.0.0.1:1 cannot be used")
    place.write({"skillpm.yaml": "project: 1\nregistries:\n  team: shop\n"})
    place.call("publish", "mine").fails(2, "`--registry` is missing", "name one of `team`, `http://127.0.0.1:1`")


def test_a_registry_where_one_is_logged_in_is_named_where_it_was_not_asked(place: Project) -> None:
    stored = Path(place.environment["SKILLPM_HOME"]) / "config/credentials.json"
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text('{"tokens": {"http://127.0.0.1:1": "skp_x"}}')
    stored.chmod(0o600)
    place.call("install", "mine").fails(2, "no registry knows `mine`", "add `--registry http://127.0.0.1:1`")
    assert "`--registry http://127.0.0.1:1` searches" in place.call("search", "zzzzzz").ok().err
    place.write({"skillpm.yaml": "project: 1\nrequires: {mine: {registry: shop}}\nregistries: {shop: shop}\n"})
    assert "127.0.0.1" not in place.call("sync").fails(2, "no registry knows `mine`").err  # from this registry only


def test_a_file_url_names_the_same_registry(place: Project) -> None:
    place.call("publish", "mine", "--registry", (place.root / "shop").as_uri()).ok()
    done = place.call("publish", "mine", "--registry", "shop", "--json").ok().document
    assert (done["change"], done["version"]) == ("unchanged", "1.0")


def test_the_same_again_is_a_success_that_says_so_and_other_bytes_are_a_conflict(place: Project) -> None:
    place.call("publish", "mine", "--registry", "shop").ok()
    before = snapshot(place.root / "shop")
    again = place.call("publish", "mine", "--registry", "shop").ok()
    assert "nothing changed" in again.err
    assert again.out == ""
    place.write({"mine": skill_files("mine", body="Other.\n")})
    taken = place.call("publish", "mine", "--registry", "shop", "--json")
    taken.fails(5, "mine 1.0 is published", "skillpm version bump")
    assert taken.document["error"] == "conflict"
    assert snapshot(place.root / "shop") == before
    place.call("version", "bump", "patch", "mine").ok()
    place.call("publish", "mine", "--registry", "shop").ok()


def test_a_lower_version_is_allowed_but_said(place: Project) -> None:
    place.call("publish", "mine", "--registry", "shop").ok()
    place.write({"mine": skill_files("mine", "0.9")})
    done = place.call("publish", "mine", "--registry", "shop").ok()
    assert "0.9 is lower than the newest published version, 1.0" in done.err


def test_a_dry_run_writes_nothing_and_finds_the_same(place: Project) -> None:
    before = snapshot(place.root)
    done = place.call("publish", "mine", "--registry", "shop", "--dry-run", "--json").ok().document
    assert (done["change"], done["dry_run"]) == ("published", True)
    assert snapshot(place.root) == before
    place.call("publish", "mine", "--registry", "shop").ok()
    place.write({"mine": skill_files("mine", body="Other.\n")})
    place.call("publish", "mine", "--registry", "shop", "--dry-run").fails(5, "different content")


def test_an_owner_stands_in_front_of_the_name(place: Project, project: MakeProject) -> None:
    place.call("publish", "mine", "--registry", "shop", "--owner", "acme").ok()
    assert (place.root / "shop/skills/acme/mine.json").is_file()
    project().call("install", "acme/mine", "--registry", place.root / "shop").ok()
    place.call("publish", "mine", "--registry", "shop", "--owner", "../up").fails(2, "not a skill name")


def test_all_findings_are_told_at_once_and_nothing_is_written(place: Project) -> None:
    place.write({"mine": {"skill.yaml": "manifest: 1\nversion: one\nverison: 2\n", "seeds": {"a.jsonl": "{\n"}}})
    before = snapshot(place.root / "shop")
    for command in (["publish", "mine", "--registry", "shop"], ["pack", "mine"]):
        refused = place.call(*command, "--json")
        refused.fails(1, "is not a version", "verison", "a.jsonl", "it is not packed")
        assert len(refused.document["details"]["findings"]) >= 3
    assert snapshot(place.root / "shop") == before
    assert not list(place.root.glob("*.tar.gz"))


UNVERSIONED = "---\nname: mine\ndescription: Shows. Use when testing.\n---\nDo.\n"


@pytest.mark.parametrize(
    ("files", "code", "text"),
    [
        ({"SKILL.md": UNVERSIONED}, 2, "skillpm version set 1.0.0 mine"),
        ({"skill.yaml": "manifest: 1\nversion: 1.0+mine\n"}, 2, "skillpm version set 1.0 mine"),
        ({}, 2, "is not a folder"),
    ],
)
def test_what_cannot_be_asked_for_is_not_published(place: Project, files: dict[str, str], code: int, text: str) -> None:
    if "SKILL.md" in files or not files:
        shutil.rmtree(place.root / "mine")
    if files:
        place.write({"mine": files})
    place.call("publish", "mine", "--registry", "shop").fails(code, text)
    assert not (place.root / "shop/skills").exists()


def test_a_mistyped_registry_is_an_error_and_not_a_new_one(place: Project) -> None:
    place.call("publish", "mine", "--registry", "shpo").fails(5, "shpo is not a registry", "skillpm registry init")
    place.call("publish", "mine", "--registry", "https://example.org").fails(6, "skillpm login https://example.org")
    assert not (place.root / "shpo").exists()


def test_a_registry_is_made_once_and_only_where_nothing_else_is(place: Project) -> None:
    assert place.call("registry", "init", "shop", "--json").ok().document["made"] is False
    place.call("registry", "init", "mine").fails(2, "neither empty nor a registry")
    place.call("registry", "init", "team", "--name", "acme").ok()
    assert json.loads((place.root / "team/config.json").read_text()) == {"name": "acme", "registry": 1}


CONTRACT = """contract: 1
system_prompt: Answer with JSON.
tools:
  - name: serve
    input_schema: {type: object, properties: {port: {type: integer}, quiet: {type: boolean}}}
    argv: [serve, {flag: --port, value: port}]
"""
SEED = {"request": "serve on 80", "expected": {"tool": "serve", "args": {"port": 80, "quiet": None}}}
JUDGING = {"contract.yaml": CONTRACT, "seeds": {"a.jsonl": json.dumps(SEED) + "\n"}}
CHEATED = """
from skillpm.plugin import Verdict

def verify(attempts, contract):
    return [Verdict(status="passed", score=1.0) for _ in attempts]
"""


def test_a_skill_that_judges_is_tested_before_it_is_published(place: Project) -> None:
    place.write({"mine": JUDGING})
    done = place.call("publish", "mine", "--registry", "shop", "--json").ok().document
    assert done["claims"] > 0


def test_code_runs_only_with_consent_and_a_verifier_that_can_be_cheated_is_not_published(place: Project) -> None:
    place.write({"mine": {**JUDGING, "verifier.py": CHEATED}})
    place.call("publish", "mine", "--registry", "shop").fails(6, "nobody has agreed", "--yes")
    refused = place.call("publish", "mine", "--registry", "shop", "--yes", "--json")
    refused.fails(1, "do not hold", "passed with score 1.0", "skillpm selftest")
    assert refused.document["details"]["ok"] is False
    assert not (place.root / "shop/skills").exists()


def test_packing_gives_the_same_bytes_from_any_copy_of_the_files(place: Project) -> None:
    first = place.call("pack", "mine", "--json").ok().document
    shutil.copytree(place.root / "mine", place.root / "copy/mine")
    for path in (place.root / "copy/mine").rglob("*"):
        os.utime(path, (1, 1))
    second = place.call("pack", "copy/mine", "--output", "out/", "--json").ok().document
    one, other = (place.root / "mine-1.0.tar.gz").read_bytes(), (place.root / "out/mine-1.0.tar.gz").read_bytes()
    assert one == other
    assert first["archive"] == second["archive"] == archive_digest(one)
    assert place.call("pack", "mine", "--output", "file.tgz").ok().out == "file.tgz\n"


def test_a_yanked_release_is_not_taken_until_it_is_back(place: Project, project: MakeProject) -> None:
    place.call("publish", "mine", "--registry", "shop").ok()
    shop = place.root / "shop"
    done = place.call("yank", "mine==1.0", "--registry", "shop", "--reason", "loses data\x1b[31m", "--json")
    assert done.ok().document == {
        "name": "mine", "version": "1.0", "registry": "registry:shop", "yanked": "loses data\x1b[31m", "changed": True
    }  # fmt: skip
    refused = project().call("install", "mine", "--registry", shop)
    refused.fails(3, "yanked", "loses data")
    unknown = place.call("yank", "nothing==1", "--registry", "shop", "--reason", "x")
    unknown.fails(5, "no skill `nothing`", "it has mine")
    assert "\x1b" not in refused.err
    again = place.call("yank", "mine@1.0", "--registry", "shop", "--reason", "loses data\x1b[31m").ok()
    assert "already yanked" in again.err
    assert "\x1b" not in again.err
    assert "no longer yanked" in place.call("unyank", "mine==1.0", "--registry", "shop").ok().err
    project().call("install", "mine", "--registry", shop).ok()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["yank", "mine", "--reason", "x"], 2, "does not name one release"),
        (["yank", "mine>=1", "--reason", "x"], 2, "does not name one release"),
        (["yank", "mine==1.*", "--reason", "x"], 2, "does not name one release"),
        (["yank", "mine==1.0", "--reason", " "], 2, "a reason has"),
        (["yank", "mine==1.0"], 2, "--reason"),
        (["yank", "mine==2.0", "--reason", "x"], 5, "it has 1.0"),
        (["unyank", "min==1.0"], 5, "did you mean `mine`"),
    ],
)
def test_what_cannot_be_yanked_is_said(place: Project, arguments: list[str], code: int, text: str) -> None:
    place.call("publish", "mine", "--registry", "shop").ok()
    before = snapshot(place.root / "shop")
    place.call(*arguments, "--registry", "shop").fails(code, text)
    assert snapshot(place.root / "shop") == before


QUICK = "shell-tools"  # tests/whole/test_skills.py finds the others strictly valid


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(path.name, marks=() if path.name == QUICK else pytest.mark.slow)
        for path in sorted((ROOT / "skills").iterdir())
        if path.is_dir()
    ],
)
def test_first_party_skills_can_be_packed(place: Project, folder: str) -> None:
    place.call("pack", ROOT / "skills" / folder).ok()


def test_a_registry_that_the_settings_know_is_named_by_its_name(place: Project) -> None:
    place.write(
        {
            "skillpm.yaml": "project: 1\nregistries: {team: ./shop, web: https://skills.example.org/.well-known/agent-skills}\n"
        }
    )
    place.call("publish", "mine", "--registry", "team").ok()
    assert (place.root / "shop/skills/mine.json").is_file()
    place.call("yank", "mine==1.0", "--registry", "team", "--reason", "bad").ok()
    place.call("unyank", "mine==1.0", "--registry", "team").ok()
    place.call("publish", "mine", "--registry", "taem").fails(5, "taem is not a registry", "`team`, `web`")
    place.call("publish", "mine", "--registry", "web").fails(5, "web cannot be published to")
