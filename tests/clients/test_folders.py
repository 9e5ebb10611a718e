"""Only agents that were named, or of which a sign is found, are touched; the table says where they look."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from skillpm.clients.folders import agent_folders, detected, is_agent_folder
from skillpm.clients.table import AGENTS, UNIVERSAL
from skillpm.errors import UsageError
from skillpm.model.name import is_name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder and no variable that an agent reads."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for sign in (sign for agent in AGENTS.values() for sign in agent.signs if sign.startswith("$")):
        monkeypatch.delenv(sign[1:], raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


def test_the_table_is_large_and_every_row_is_whole() -> None:
    assert len(AGENTS) >= 70
    for name, agent in AGENTS.items():
        assert name == agent.name and is_name(name) and agent.title and agent.signs
        for folder in filter(None, (agent.project, agent.user, *agent.also)):
            path = PurePosixPath(folder)
            assert not path.is_absolute() and ".." not in path.parts and folder == str(path) and path.name == "skills"
        assert agent.project not in agent.also
    assert {"claude-code", "codex", "github-copilot"} == {agent.name for agent in AGENTS.values() if agent.budget}


def test_the_folders_of_named_agents_follow_the_universal_one_each_once() -> None:
    assert agent_folders(()) == (UNIVERSAL,)
    assert agent_folders(("claude-code", "codex", "claude-code")) == (UNIVERSAL, ".claude/skills")
    assert agent_folders(("cursor",), user=True) == (UNIVERSAL, ".cursor/skills")


@pytest.mark.parametrize(
    ("typed", "meant"), [("claude", "claude-code"), ("copilot", "github-copilot"), ("windsrf", "windsurf")]
)
def test_a_mistyped_agent_gets_near_names(typed: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        agent_folders((typed,))
    assert f"`{meant}`" in str(caught.value.hint)


def test_an_agent_that_is_like_no_other_points_to_the_table() -> None:
    with pytest.raises(UsageError) as caught:
        agent_folders(("q" * 500,))
    assert "skillpm agents --all" in str(caught.value.hint) and len(caught.value.message) < 200


def test_an_agent_without_a_folder_at_home_is_refused_for_users_by_name_but_not_by_all(home: Path) -> None:
    with pytest.raises(UsageError, match="from projects only"):
        agent_folders(("eve",), user=True)
    (home / "agent/skills").mkdir(parents=True)
    assert agent_folders(("all",), user=True, project=home) == (UNIVERSAL,)


def test_all_agents_are_those_that_are_found_here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    assert agent_folders(("all",), project=project) == (UNIVERSAL,)
    (project / ".claude").mkdir()
    (home / ".codeium/windsurf").mkdir(parents=True)
    (home / "elsewhere/zed").mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "elsewhere"))
    monkeypatch.setenv("GROK_HOME", str(home / "elsewhere"))
    assert [agent.name for agent in detected(project)] == ["claude-code", "grok", "windsurf", "zed"]
    assert agent_folders(("all",), project=project) == (UNIVERSAL, ".claude/skills", ".grok/skills", ".windsurf/skills")


def test_only_the_folders_of_the_table_are_agents_folders() -> None:
    assert is_agent_folder(UNIVERSAL) and is_agent_folder(".codeium/windsurf/skills")
    assert not any(map(is_agent_folder, ("", ".", "src", ".git", "/etc", "../.claude/skills")))
