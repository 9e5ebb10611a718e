"""`skillpm config` shows each value and where it came from: flag, environment, project file, user file, default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from skillpm.errors import UsageError
from skillpm.model.trust_policy import WitnessPolicy
from skillpm.settings import Settings, load_settings, table
from skillpm.settings.origin import DEFAULT, Level, Origin, Setting
from skillpm.settings.table import TABLE, Row
from tests.shop import MakeProject

PROJECT = "project: 1\nlink: symlink\nregistries:\n  team: ../shop\n  web: https://skills.example.org\n"
USER = "project: 1\nagents: [claude-code]\nlink: copy\nregistries: {mine: /srv/shop}\n"


def rows(outcome: Any) -> dict[str, tuple[Any, str]]:
    return {item["name"]: (item["value"], item["origin"]) for item in outcome.ok().document["settings"]}


def user_file(place: Any, text: str) -> Path:
    path = Path(place.environment["SKILLPM_HOME"]) / "config/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_each_value_comes_from_the_nearest_place_that_says_it(project: MakeProject) -> None:
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
    said: dict[str, Any] = {
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


def test_one_setting_is_shown_by_its_name(project: MakeProject) -> None:
    assert rows(project().call("config", "link", "--json")) == {"link": ("copy", "default")}


def test_a_flag_comes_before_all_others(tmp_path: Path) -> None:
    (tmp_path / "skillpm.yaml").write_text(PROJECT)
    settings = load_settings(
        project=tmp_path, indexes=("/flag",), offline=True, environment={"SKILLPM_REGISTRIES": "/variable"}
    )
    assert settings.indexes == ("/flag",)
    assert settings.setting(table.REGISTRIES).origin == Origin(Level.FLAG, "--registry")
    assert settings.setting(table.OFFLINE).origin == Origin(Level.FLAG, "--offline")
    assert settings.registries["team"] == str(tmp_path / "../shop"), "names of the file are known all the same"


def test_a_registry_is_named_by_its_place_or_as_a_file_calls_it(tmp_path: Path) -> None:
    (tmp_path / "skillpm.yaml").write_text(PROJECT)
    settings = load_settings(project=tmp_path, indexes=("team", "other", "./web"), environment={})
    found = {"team": str(tmp_path / "../shop"), "other": "other", "web": "./web"}
    assert settings.setting(table.REGISTRIES).value == found


def test_people_get_a_table_and_the_two_files(project: MakeProject) -> None:
    place = project({"skillpm.yaml": PROJECT})
    outcome = place.call("config").ok()
    assert "web: https://skills.example.org" in outcome.out
    assert outcome.err.startswith("skillpm.yaml\n"), "as one types it here"
    assert "config.yaml (not there)" in outcome.err


def test_a_project_file_in_the_home_folder_is_not_the_users(project: MakeProject, tmp_path: Path) -> None:
    place = project()
    (tmp_path / "home/skillpm.yaml").write_text("not: read")
    shown = rows(place.call("config", "--user", "--json"))["project"]
    assert shown == (str(tmp_path / "home/skillpm/data/user"), "flag --user")


@pytest.mark.parametrize(
    ("text", "words"),
    [("requires: {}\nproject: 1\n", "unknown key `requires`"), ("project: 1\nlink: hard\n", ":2: `link`")],
)
def test_a_user_file_that_is_wrong_is_named(project: MakeProject, text: str, words: str) -> None:
    place = project()
    path = user_file(place, text)
    place.call("config").fails(2, str(path), words)


def test_what_is_no_file_of_text_is_a_clear_error(project: MakeProject) -> None:
    project({"skillpm.yaml": b"\xff\xfe"}).call("config").fails(2, "skillpm.yaml:1: not UTF-8")
    place = project()
    (place.root / "skillpm.yaml").mkdir()
    place.call("config").fails(6, "skillpm.yaml", "directory")


@pytest.mark.parametrize(("name", "value"), [("SKILLPM_LINK", "hard"), ("SKILLPM_COOLDOWN", "soon")])
def test_a_variable_that_is_wrong_is_named(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=name):
        load_settings(project=tmp_path, environment={name: value, "SKILLPM_HOME": str(tmp_path)}).settings()


class Sample(NamedTuple):
    """What each place may say of a setting: as it is typed, and as a file has it; and its value."""

    typed: str = ""
    typed_value: Any = None
    file: str = ""
    file_value: Any = None
    other_file: str = ""
    both_files: Any = None
    typed_and_file: Any = None


# two files: the first is the project's, the second the user's; a policy is the stricter of what all say
SAMPLES = {
    "registries": Sample("/a/x", {"x": "/a/x"}, "registries: {y: /b}", {"y": "/b"}, "registries: {z: /c}", {"y": "/b"}),
    "forge": Sample("https://git.example/", "https://git.example"),
    "agents": Sample("goose", ("goose",), "agents: [cursor]", ("cursor",), "agents: [zed]", ("cursor",)),
    "link": Sample("copy", "copy", "link: symlink", "symlink", "link: copy", "symlink"),
    "policy.cooldown": Sample("3", 3, "policy: {cooldown: 5}", 5, "policy: {cooldown: 7}", 7, 5),
    "policy.allow": Sample(
        file="policy: {allow: [a]}",
        file_value=(("a",),),
        other_file="policy: {allow: [b]}",
        both_files=(("a",), ("b",)),
    ),
    "policy.deny": Sample(
        file="policy: {deny: [a]}", file_value=("a",), other_file="policy: {deny: [b]}", both_files=("a", "b")
    ),
    "policy.consent": Sample(
        "locked", "locked", "policy: {consent: never}", "never", "policy: {consent: always}", "never", "never"
    ),
    "policy.network": Sample(
        file="policy: {network: false}", file_value=False, other_file="policy: {network: true}", both_files=False
    ),
    "policy.run": Sample(
        file="policy: {run: [git]}", file_value=(("git",),), other_file="policy: {run: []}", both_files=(("git",), ())
    ),
    "policy.sandbox": Sample(
        file="policy: {sandbox: require}", file_value="require", other_file="policy: {}", both_files="require"
    ),
    "policy.scan": Sample(
        file="policy: {scan: refuse}", file_value="refuse", other_file="policy: {}", both_files="refuse"
    ),
    "policy.signatures": Sample(
        file="policy: {signatures: required}",
        file_value=("required",),
        other_file="policy: {signatures: {team: trusted}}",
        both_files=("required", {"team": "trusted"}),
    ),
    "policy.witnesses": Sample(
        file="policy: {witnesses: {team: {keys: [a]}}}",
        file_value=({"team": WitnessPolicy(keys=("a",))},),
        other_file="policy: {witnesses: {team: {keys: [b], needed: 1}}}",
        both_files=({"team": WitnessPolicy(keys=("a",))}, {"team": WitnessPolicy(keys=("b",), needed=1)}),
    ),
    "engine": Sample("ray", "ray"),
    "offline": Sample("1", True),
    "plugins": Sample("1", ()),
    "sandbox": Sample("limits", "limits", "policy: {sandbox: require}", "require", "policy: {}", "require", "require"),
    "workers": Sample("4", 4),
}


def settings_of(folder: Path, sample: Sample, *levels: Level, row: Row[Any]) -> Settings:
    """Return settings of which these places state something."""
    (folder / "home/config").mkdir(parents=True)
    if Level.PROJECT in levels:
        (folder / "skillpm.yaml").write_text(f"project: 1\n{sample.file}\n")
    if Level.USER in levels:
        text = sample.other_file if Level.PROJECT in levels else sample.file
        (folder / "home/config/config.yaml").write_text(f"project: 1\n{text}\n")
    environment = {"SKILLPM_HOME": str(folder / "home")}
    if Level.ENVIRONMENT in levels:
        environment[row.variables[0]] = sample.typed
    flags: dict[str, Any] = {}
    if Level.FLAG in levels:
        flags[row.flag] = (sample.typed,) if row in (table.REGISTRIES, table.AGENTS) else sample.typed
    return load_settings(project=folder, environment=environment, **flags)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_place_can_state_each_setting_that_it_may_hold(row: Row[Any], tmp_path: Path) -> None:
    sample = SAMPLES[row.name]
    default = settings_of(tmp_path / "none", sample, row=row).setting(row)
    assert (default.value, default.origin) == (row.default, DEFAULT)
    alone = [
        (Level.FLAG, row.flag),
        (Level.ENVIRONMENT, row.variables),
        (Level.PROJECT, row.read),
        (Level.USER, row.read),
    ]
    for level in [level for level, may in alone if may]:
        setting = settings_of(tmp_path / level.name, sample, level, row=row).setting(row)
        stated = sample.file_value if level in (Level.PROJECT, Level.USER) else sample.typed_value
        assert setting.origin.level is level, (level, setting)
        assert setting.value == stated, level


@pytest.mark.parametrize("row", [row for row in TABLE if row.read], ids=lambda row: row.name)
def test_of_two_files_the_project_s_decides_or_the_stricter(row: Row[Any], tmp_path: Path) -> None:
    sample = SAMPLES[row.name]
    setting = settings_of(tmp_path, sample, Level.PROJECT, Level.USER, row=row).setting(row)
    assert setting.value == sample.both_files


@pytest.mark.parametrize("row", [row for row in TABLE if row.read and row.parse], ids=lambda row: row.name)
def test_what_is_typed_comes_before_a_file_unless_that_is_stricter(row: Row[Any], tmp_path: Path) -> None:
    sample = SAMPLES[row.name]
    expected = sample.typed_value if sample.typed_and_file is None else sample.typed_and_file
    for level in (Level.FLAG, Level.ENVIRONMENT) if row.flag else (Level.ENVIRONMENT,):
        assert settings_of(tmp_path / level.name, sample, level, Level.PROJECT, row=row).setting(row).value == expected


@pytest.mark.parametrize("row", [row for row in TABLE if row.flag], ids=lambda row: row.name)
def test_a_flag_comes_before_the_environment(row: Row[Any], tmp_path: Path) -> None:
    sample = SAMPLES[row.name]
    settings = settings_of(tmp_path, sample, Level.FLAG, row=row)
    variables = {**settings.environment, row.variables[0]: "no such value"}
    setting = replace(settings, environment=variables).setting(row)
    assert (setting.value, setting.origin) == (sample.typed_value, Origin(Level.FLAG, f"--{row.flag}"))


def test_a_key_with_nothing_behind_it_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(USER)
    (tmp_path / "skillpm.yaml").write_text("project: 1\nagents:\nlink:\nregistries:\npolicy: {allow: }\n")
    settings = load_settings(project=tmp_path, environment={"SKILLPM_HOME": str(tmp_path)})
    assert settings.agents == ("claude-code",)
    assert settings.link == "copy"
    assert settings.indexes == ("/srv/shop",)
    assert settings.setting(table.ALLOW) == Setting("policy.allow", None)


def documentation(row: Row[Any]) -> str:
    """Return the row of the documentation's table."""
    flag = f"`--{row.flag}`" if row.flag else ""
    variables = ", ".join(f"`{name}`" for name in row.variables)
    key = row.key and f"`{row.name if row.name.startswith(row.key) else 'policy.sandbox'}`"
    return f"| {row.name} | {row.about} | {flag} | {variables} | {key} |"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_setting_is_documented(row: Row[Any]) -> None:
    text = (Path(__file__).parents[2] / "docs/packages.md").read_text()
    assert documentation(row) in text.splitlines()
    assert all(f"| {name} |" in text for name in ("project", "data", "cache"))


@pytest.mark.parametrize("days", ["3651", "99999999999", "-1", "1.5"])
def test_a_cooldown_is_a_number_of_days_that_a_policy_may_have(days: str, tmp_path: Path) -> None:
    environment = {"SKILLPM_COOLDOWN": days, "SKILLPM_HOME": str(tmp_path)}
    with pytest.raises(UsageError, match="SKILLPM_COOLDOWN") as raised:
        load_settings(project=tmp_path, environment=environment).trust_policies  # noqa: B018  it is read then
    assert raised.value.hint == "0 to 3,650"
