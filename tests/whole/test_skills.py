"""Every first-party skill is what an outside author's should be: strictly valid, tested, enough to learn from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.shop import MakeProject

SKILLS = Path(__file__).parent.parent.parent / "skills"
NAMES = sorted(path.name for path in SKILLS.iterdir() if (path / "SKILL.md").is_file())


def test_four_skills_are_first_party() -> None:
    """git-cli, incident-triage and langgraph-cli, and one that another requires."""
    assert NAMES == ["git-cli", "incident-triage", "langgraph-cli", "shell-tools"]


def test_incident_triage_requires_shell_tools(project: MakeProject) -> None:
    """Installing incident-triage brings shell-tools along, and shell-tools cannot be removed alone."""
    world = project()
    world.call("install", "incident-triage").ok()

    assert (world.root / ".agents/skills/shell-tools/scripts/bounded_run.py").is_file()
    world.call("uninstall", "shell-tools").fails(2, "incident-triage")


@pytest.mark.parametrize("name", NAMES)
def test_a_first_party_skill_is_valid_to_the_letter(project: MakeProject, name: str) -> None:
    """No error and no warning at `--level strict`."""
    done = project().call("validate", "--level", "strict", "--json", SKILLS / name).ok()

    assert [report["findings"] for report in json.loads(done.out)["reports"]] == [[]]


@pytest.mark.parametrize("name", NAMES)
def test_has_enough_to_learn_from(project: MakeProject, name: str) -> None:
    """20 seeds, 12 cases, a suite of 40 hand-written tasks, rules to synthesise from, and a README."""
    shown = project().call("show", name, "--json").ok().document

    assert "README.md" in shown["files"]
    assert shown["seeds"] >= 20
    assert shown["cases"] >= 12
    assert max(shown["suites"].values()) >= 40
    assert shown["rules"] >= 5


QUICK = "shell-tools"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in NAMES]
)
def test_a_first_party_verifier_keeps_its_promises(project: MakeProject, name: str) -> None:
    """`skillpm selftest` finds nothing."""
    project().call("selftest", name, "--yes").ok()


@pytest.mark.parametrize("name", NAMES)
def test_a_phrasing_in_a_list_of_one_line_is_quoted_so_that_no_comma_ends_it(name: str) -> None:
    """``[show all branches, local and remote]`` is two requests, of which the second means nothing."""
    document = yaml.compose((SKILLS / name / "synthesis.yaml").read_text())
    assert document is not None
    assert [*_unquoted(document, is_phrasing=False)] == []


def _unquoted(node: yaml.Node, *, is_phrasing: bool) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _unquoted(value, is_phrasing=is_phrasing or key.value in ("frames", "requests", "clauses"))
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if is_phrasing and node.flow_style and isinstance(item, yaml.ScalarNode) and item.style is None:
                yield item.value
            yield from _unquoted(item, is_phrasing=is_phrasing)
