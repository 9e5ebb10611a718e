"""``skillpm sync --agent``."""

from __future__ import annotations

from tests.shop import MakeProject


def test_an_agent_that_is_filled_already_is_recorded_and_named(project: MakeProject) -> None:
    place = project()
    place.call("install", "shell-tools").ok()
    told = place.call("sync", "--agent", "codex").ok().err
    assert "codex reads .agents/skills, which has all skills already" in told
    assert "codex" in place.call("agents").ok().out


def test_an_agent_that_the_project_does_not_list_is_named_with_the_command_that_adds_it(project: MakeProject) -> None:
    place = project({"skillpm.yaml": "project: 1\nrequires: {shell-tools: '*'}\nagents: [claude-code]\n"})
    place.call("sync").ok()
    assert "already; `skillpm install --agent codex` adds it" in place.call("sync", "--agent", "codex").ok().err
    assert "already; `" not in place.call("sync", "--agent", "claude-code").ok().err
