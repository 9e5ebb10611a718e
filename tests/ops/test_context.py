"""A context finds the skill that a person means."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.clients.table import UNIVERSAL
from skillpm.errors import UnknownSkillError, UsageError
from skillpm.index.shipped import bundled_skills
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.ops.context import Context
from skillpm.ops.project.asked import Asked
from skillpm.ops.project.install import InstallOptions, install
from skillpm.settings import load_settings
from tests.shop import skill_files


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "place").mkdir()
    environment = {"SKILLPM_HOME": str(tmp_path / "home")}
    return Context(load_settings(project=tmp_path / "place", environment=environment))


def test_a_folder_is_described_where_it_lies(context: Context, tmp_path: Path) -> None:
    for path, text in skill_files("demo", "3.0").items():
        (tmp_path / path).write_text(text)
    skill = context.skill(str(tmp_path))
    assert (skill.name, skill.version, skill.bundled) == ("demo", "3.0", False)
    assert skill.tree == tree_digest(FolderTree(tmp_path))
    with pytest.raises(UnknownSkillError, match="not a folder"):
        context.skill(str(tmp_path / "missing"))


def test_a_bundled_skill_is_used_with_a_notice_until_it_is_installed(context: Context) -> None:
    skill = context.skill("langgraph-cli")
    assert skill.bundled
    assert "not installed here" in context.notices[0]
    install(context, Asked.read(["langgraph-cli"]), InstallOptions([UNIVERSAL]))
    stored = context.skill("langgraph-cli")
    assert stored.root == context.store.path(stored.tree)
    assert stored.bundled, "trusted by its content"
    assert len(context.notices) == 1
    assert context.skills([]) == [stored]


def test_a_notice_is_told_as_it_comes_and_once(tmp_path: Path) -> None:
    told: list[str] = []
    context = Context(load_settings(project=tmp_path, environment={"SKILLPM_HOME": str(tmp_path)}), tell=told.append)
    for _ in range(2):
        context.skill("shell-tools")
    assert told == context.notices == ["shell-tools is not installed here; the bundled skill is used"]


def test_what_only_claims_to_be_bundled_is_not_trusted(context: Context, tmp_path: Path) -> None:
    folder = tmp_path / "langgraph-cli"
    for path in FolderTree(bundled_skills()["langgraph-cli"]).paths():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((bundled_skills()["langgraph-cli"] / path).read_bytes())
    (folder / "verifier.py").write_text("print()\n")
    install(context, Asked.read([str(folder)]), InstallOptions([UNIVERSAL]))
    lock = context.settings.lock_path
    source = context.lock().skills[0].source
    lock.write_text(lock.read_text().replace(f'"{source}"', '"bundled"'))
    assert not context.skill("langgraph-cli").bundled


def test_an_unknown_name_has_near_names_and_nothing_installed_is_an_error(context: Context) -> None:
    with pytest.raises(UnknownSkillError) as caught:
        context.skill("langraph-cli")
    assert "langgraph-cli" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no skill is installed here"):
        context.skills([])
