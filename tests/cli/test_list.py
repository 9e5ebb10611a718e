"""Versions in tables."""

from __future__ import annotations

import pytest

from tests.shop import MakeProject


@pytest.mark.parametrize("command", [("list",), ("search", "plain"), ("show", "plain"), ("tree",), ("why", "plain")])
def test_a_skill_without_a_version_is_not_shown_as_zero(project: MakeProject, command: tuple[str, ...]) -> None:
    place = project({"plain": {"SKILL.md": "---\nname: plain\ndescription: Plain. Use it.\n---\nText.\n"}})
    assert "plain  -  " in place.call("install", "./plain").ok().out
    first = [line for line in place.call(*command).ok().out.splitlines() if "plain" in line or "version" in line]
    assert first
    assert not any(" 0" in line for line in first)
