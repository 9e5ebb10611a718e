"""The user's own skills: lock and record in a folder of skillpm's data, the skills where agents look at home."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.clients.table import UNIVERSAL
from tests.conftest import Project
from tests.shop import MakeProject, publish, skill_files


def home_of(place: Project) -> Path:
    return Path(place.environment["HOME"])


def folder_of(place: Project) -> Path:
    return Path(place.environment["SKILLPM_HOME"]) / "data/user"


@pytest.fixture
def place(project: MakeProject, tmp_path: Path) -> Project:
    publish(tmp_path / "shop", skill_files("plain"), skill_files("plain", "2.0"))
    made = project({"mine": skill_files("mine")})
    made.call("install", "plain<2", "./mine", "--registry", tmp_path / "shop", "--user", "--agent", "claude-code").ok()
    return made


def test_the_home_folder_gets_the_agents_folders_and_nothing_else(place: Project) -> None:
    assert {path.name for path in home_of(place).iterdir()} == {".agents", ".claude", "skillpm"}
    assert (home_of(place) / ".claude/skills/plain/SKILL.md").is_file()
    assert (folder_of(place) / "skillpm.lock").is_file()
    assert not (place.root / "skillpm.lock").exists()


def test_every_command_of_the_package_manager_works_there(place: Project) -> None:
    place.call("sync", "--user").ok()
    place.call("verify", "--user").ok()
    listed = place.call("list", "--user", "--json").ok().document["skills"]
    assert {item["name"]: item["state"] for item in listed} == {"mine": "ok", "plain": "ok"}
    place.call("lock", "--check", "--user").ok()
    place.call("scan", "--user").ok()
    place.call("show", "mine", "--user").ok()
    place.call("init", "--user").ok()
    assert "claude-code" in (folder_of(place) / "skillpm.yaml").read_text()
    place.call("lock", "--check", "--user").ok()
    place.call("install", "plain>=2", "--user").ok()
    assert "2.0" in (home_of(place) / UNIVERSAL / "plain/skill.yaml").read_text()
    place.write({"mine/SKILL.md": "---\nname: mine\ndescription: Changed.\n---\n"})
    place.call("sync", "--user").ok()
    assert "Changed" in (home_of(place) / ".claude/skills/mine/SKILL.md").read_text()
    (home_of(place) / UNIVERSAL / "plain/SKILL.md").write_text("edited")
    place.call("sync", "--user").fails(2, "was edited")
    place.call("sync", "--user", "--force").ok()
    assert (folder_of(place) / ".skillpm/kept/plain/SKILL.md").read_text() == "edited"
    place.call("uninstall", "plain", "mine", "--user").ok()
    assert not list((home_of(place) / UNIVERSAL).iterdir())


@pytest.mark.parametrize(
    "command", ["synth", "train", "eval", "score", "selftest", "show", "scan", "lock", "init", "export", "run"]
)
def test_every_command_that_reads_installed_skills_knows_the_option(place: Project, command: str) -> None:
    assert "--user" in place.call(command, "--help").ok().out


@pytest.mark.slow
def test_a_skill_of_the_user_is_trained_and_judged_from_any_project(project: MakeProject) -> None:
    place = project()
    place.call("install", "incident-triage", "--user").ok()
    place.call("selftest", "incident-triage").ok()  # the bundled one, with a notice
    outcome = place.call("selftest", "incident-triage", "--user").ok()
    assert "not installed here" not in outcome.err
    place.call("train", "incident-triage", "--user", "--dry-run").ok()
    place.call("synth", "incident-triage", "--user", "--output", "data").ok()
    assert (place.root / "data").is_dir()
