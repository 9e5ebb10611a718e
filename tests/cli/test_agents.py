"""``skillpm agents`` says who looks where, what is there, and what a model will not see; install warns of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from tests.shop import MakeProject, skill_files


def many(count: int, size: int = 400) -> dict[str, Any]:
    """Return so many skills with long descriptions."""
    skills = {}
    for number in range(count):
        files = skill_files(f"skill-{number:02}")
        files["SKILL.md"] = files["SKILL.md"].replace("Shows", f"{'Word ' * (size // 5)}Shows")
        skills[f"skill-{number:02}"] = files
    return skills


def states(place: Any, *arguments: str) -> dict[str, Any]:
    return {item["name"]: item for item in place.call("agents", "--json", *arguments).ok().document["agents"]}


def test_where_nobody_is_found_the_way_to_the_table_is_told(project: MakeProject) -> None:
    place = project()
    assert "--all" in place.call("agents").ok().err
    assert states(place) == {}
    table = states(place, "--all")
    assert len(table) >= 40
    assert table["codex"]["shared_with"] and not any(item["detected"] for item in table.values())


def test_what_is_found_and_what_is_filled_is_told(project: MakeProject) -> None:
    place = project({".claude": {}, ".windsurf/skills/mine": skill_files("mine")})
    outcome = place.call("install", "shell-tools", "--agent", "windsurf").ok()
    assert (
        "Claude Code cannot see these skills" in outcome.err and "`skillpm install --agent claude-code`" in outcome.err
    )
    found = states(place)
    assert found["claude-code"]["detected"] and not found["claude-code"]["filled"]
    assert found["windsurf"]["installed"] == ["shell-tools"] and found["windsurf"]["others"] == ["mine"]
    assert found["windsurf"]["budget"] is None
    assert "mine" in place.call("agents").ok().out


def test_all_fills_the_agents_that_are_found_and_nobody_else(project: MakeProject) -> None:
    place = project({".windsurf": {}})
    place.call("install", "shell-tools", "--agent", "all").ok()
    assert sorted(path.name for path in place.root.iterdir() if path.name.startswith(".")) == [
        ".agents",
        ".skillpm",
        ".windsurf",
    ]
    assert (place.root / ".windsurf/skills/shell-tools/SKILL.md").is_file()


def test_a_mistyped_agent_changes_nothing(project: MakeProject) -> None:
    place = project()
    place.call("install", "shell-tools", "--agent", "claude").fails(2, "no agent `claude`", "`claude-code`")
    assert not list(place.root.iterdir())


def test_the_budget_of_each_agent_is_told_with_what_does_not_fit(project: MakeProject) -> None:
    place = project({UNIVERSAL: many(40), ".claude/skills": many(40)})
    home = Path(place.environment["HOME"])
    for sign in (".codex", ".copilot"):
        (home / sign).mkdir()
    found = {name: item["budget"] for name, item in states(place).items()}
    assert found["claude-code"]["affected"] > 15 and found["claude-code"]["dropped"] == []
    assert found["codex"]["description_length"] < 200
    assert found["github-copilot"]["dropped"][-1] == "skill-39"
    assert all("train" in item["remedy"] for item in found.values())
    outcome = place.call("agents").ok()
    assert (
        "of the least used skills" in outcome.err
        and "will be cut to" in outcome.err
        and "will not be listed" in outcome.err
    )
    wide = states(place, "--context", "1000000")
    assert wide["claude-code"]["budget"]["fits"] and not wide["github-copilot"]["budget"]["fits"]


def test_install_warns_once_when_a_budget_is_crossed(project: MakeProject) -> None:
    place = project({"skills": many(21), ".claude": {}})
    paths = [f"./skills/skill-{number:02}" for number in range(21)]

    def warnings(*arguments: str) -> list[str]:
        told = place.call("install", *arguments, "--json").ok().document["warnings"]
        return [warning for warning in told if "Claude Code" in warning]

    assert warnings(*paths[:10], "--agent", "claude-code") == []
    crossed = warnings(*paths[10:20])
    assert len(crossed) == 1 and "8,000" in crossed[0] and "skillpm train" in crossed[0]
    assert warnings(paths[20]) == [], "it is told when it is crossed, and by `skillpm agents`"


def test_hostile_folders_are_listed_without_harm(project: MakeProject, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "SKILL.md").write_text("---\nname: secret\ndescription: x\n---\n")
    place = project(
        {
            ".claude/skills": {
                "broken": {"SKILL.md": "---\nname: [\n---\n"},
                "bytes": {"SKILL.md": b"\xff\xfe---\n"},
                "escape": {"SKILL.md": "---\nname: \x1b[31mred\u202e\ndescription: x\n---\n"},
                "folder": {"SKILL.md": {}},
                "nested": {"SKILL.md": f"---\n{'a: {' * 5_000}\n---\n"},
                "file": "not a folder",
            }
        }
    )
    (place.root / ".claude/skills/link").symlink_to(outside)
    (place.root / ".claude/skills/dangling").symlink_to(tmp_path / "nowhere")
    (place.root / ".claude/skills/loop").symlink_to("loop")
    outcome = place.call("agents").ok()
    assert "secret" not in outcome.out and "\x1b" not in outcome.out and "\u202e" not in outcome.out


@pytest.mark.parametrize("where", [".agents", UNIVERSAL, ".skillpm", ".claude/skills"])
def test_an_install_never_writes_through_a_link_that_leads_out_of_the_project(
    project: MakeProject, tmp_path: Path, where: str
) -> None:
    place, outside = project(), tmp_path / "outside"
    outside.mkdir()
    (place.root / where).parent.mkdir(parents=True, exist_ok=True)
    (place.root / where).symlink_to(outside)
    before = sorted(place.root.rglob("*"))
    place.call("install", "shell-tools", "--agent", "claude-code").fails(
        2, where.split("/")[0], "leads out of the project"
    )
    left = [path for path in sorted(place.root.rglob("*")) if ".skillpm" not in path.parts or path in before]
    assert left == before and not list(outside.iterdir()), "only the lock between processes was made"


def test_links_are_made_where_they_are_asked_for_and_kept(project: MakeProject) -> None:
    place = project()
    place.call("install", "shell-tools", "--link", "symlink").ok()
    assert (place.root / UNIVERSAL / "shell-tools").is_symlink()
    assert place.call("install", "--json").ok().document["warnings"] == []
    place.call("install", "langgraph-cli").ok()
    assert (place.root / UNIVERSAL / "langgraph-cli").is_symlink()
    assert states(place, "--all")["codex"]["installed"] == ["langgraph-cli", "shell-tools"]
