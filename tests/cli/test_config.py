"""`skillpm config` shows each value and where it came from: flag, environment, project file, user file, default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skillpm.errors import UsageError
from skillpm.settings import load_settings

PROJECT = "project: 1\nlink: symlink\nregistries:\n  team: ../shop\n  web: https://skills.example.org\n"
USER = "project: 1\nagents: [claude-code]\nlink: copy\nregistries: {mine: /srv/shop}\n"


def rows(outcome: Any) -> dict[str, tuple[Any, str]]:
    return {item["name"]: (item["value"], item["origin"]) for item in outcome.ok().document["settings"]}


def user_file(place: Any, text: str) -> Path:
    path = Path(place.environment["SKILLPM_HOME"]) / "config/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_each_value_comes_from_the_nearest_place_that_says_it(project) -> None:
    place = project()
    assert rows(place.call("config", "--json"))["link"] == ("copy", "default")
    path = user_file(place, USER)
    found = rows(place.call("config", "--json"))
    assert found["agents"] == (["claude-code"], f"{path}:2")
    assert found["registries"] == ({"mine": "/srv/shop"}, f"{path}:4")
    place.write({"skillpm.yaml": PROJECT})
    found = rows(place.call("config", "--json"))
    assert found["link"] == ("symlink", "skillpm.yaml:2")
    assert found["agents"] == (["claude-code"], f"{path}:2"), "what the project does not say is the user's"
    places = {"team": str(place.root / "../shop"), "web": "https://skills.example.org"}
    assert found["registries"] == (places, "skillpm.yaml:3")
    said = {
        "SKILLPM_LINK": "copy",
        "SKILLPM_REGISTRIES": "/a/shop /b/shop",
        "SKILLPM_OFFLINE": "1",
        "SKILLPM_COOLDOWN": "3",
    }
    found = rows(place.call("config", "--json", **said))
    assert found["link"] == ("copy", "environment SKILLPM_LINK")
    assert found["registries"] == ({"shop": "/a/shop", "shop-2": "/b/shop"}, "environment SKILLPM_REGISTRIES")
    assert found["offline"] == (True, "environment SKILLPM_OFFLINE")
    assert found["policy.cooldown"] == (3, "environment SKILLPM_COOLDOWN")


def test_a_flag_comes_before_all_others(tmp_path: Path) -> None:
    (tmp_path / "skillpm.yaml").write_text(PROJECT)
    settings = load_settings(
        project=tmp_path, indexes=("/flag",), offline=True, environment={"SKILLPM_REGISTRIES": "/variable"}
    )
    assert settings.indexes == ("/flag",)
    assert settings.setting("registries").origin == "flag --registry"
    assert settings.setting("offline").origin == "flag --offline"
    assert settings.registries["team"] == str(tmp_path / "../shop"), "names of the file are known all the same"


def test_a_registry_is_named_by_its_place_or_as_a_file_calls_it(tmp_path: Path) -> None:
    (tmp_path / "skillpm.yaml").write_text(PROJECT)
    settings = load_settings(project=tmp_path, indexes=("team", "other", "./web"), environment={})
    found = {"team": str(tmp_path / "../shop"), "other": "other", "web": "./web"}
    assert settings.setting("registries").value == found


def test_people_get_a_table_and_the_two_files(project) -> None:
    place = project({"skillpm.yaml": PROJECT})
    outcome = place.call("config").ok()
    assert "web: https://skills.example.org" in outcome.out
    assert outcome.err.startswith("skillpm.yaml\n"), "as one types it here"
    assert "config.yaml (not there)" in outcome.err


def test_the_home_folder_has_no_project_file(project, tmp_path: Path) -> None:
    place = project()
    (tmp_path / "home/skillpm.yaml").write_text("not: read")
    assert rows(place.call("config", "--user", "--json"))["project"] == (str(tmp_path / "home"), "flag --user")


@pytest.mark.parametrize(
    ("text", "words"),
    [("requires: {}\nproject: 1\n", "unknown key `requires`"), ("project: 1\nlink: hard\n", ":2: `link`")],
)
def test_a_user_file_that_is_wrong_is_named(project, text: str, words: str) -> None:
    place = project()
    path = user_file(place, text)
    place.call("config").fails(2, str(path), words)


def test_what_is_no_file_of_text_is_a_clear_error(project) -> None:
    project({"skillpm.yaml": b"\xff\xfe"}).call("config").fails(2, "skillpm.yaml: not UTF-8")
    place = project()
    (place.root / "skillpm.yaml").mkdir()
    place.call("config").fails(6, "skillpm.yaml", "directory")


@pytest.mark.parametrize(("name", "value"), [("SKILLPM_LINK", "hard"), ("SKILLPM_COOLDOWN", "soon")])
def test_a_variable_that_is_wrong_is_named(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=name):
        load_settings(project=tmp_path, environment={name: value, "SKILLPM_HOME": str(tmp_path)}).settings()
