"""Other managers' own commands against a real server; they come from their package registries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.path import release_of
from skillpm.layout.tree import MappingTree
from skillpm.storage.archive import build_archive
from tests.registry.conftest import skill_tree
from tests.shop import write_registry

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(1200)]

NPM = ["node@22", "skills@1.7.4", "clawhub@0.23.3", "@anthropic-ai/claude-code@2.1.332"]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the clients' commands."""
    place = tmp_path_factory.mktemp("tools")
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", *NPM], cwd=place, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", place / "apm"], check=True)
    subprocess.run([place / "apm/bin/pip", "install", "-q", "apm-cli==0.35.0"], check=True, capture_output=True)
    (place / "node_modules/.bin/apm").symlink_to(place / "apm/bin/apm")
    return place / "node_modules/.bin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    trees = [
        skill_tree("base", "1.0"),
        skill_tree("base", "1.1"),
        skill_tree("base", "2.0"),
        skill_tree("top", "1.0", "{base: '>=1,<2'}"),
    ]
    write_registry(root, trees, name="shelf", yanked={"base==1.1": "broken"}, published="2026-11-03T10:00:00Z")
    return root


@pytest.fixture
def run(tools: Path, tmp_path: Path) -> Callable[..., str]:
    """Run a client in an empty project with a home of its own; return what it prints."""
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    environment = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "CI": "1", "DISABLE_TELEMETRY": "1",
        "CLAUDE_CONFIG_DIR": str(home / "claude"), "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }  # fmt: skip

    def call(*words: str) -> str:
        done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


def publish(folder: Path, tree: MappingTree) -> None:
    archive = build_archive(tree)
    name, release = release_of(tree, archive)
    FolderRegistry(folder, "shelf").publish(name, release, archive)


def test_npx_skills_adds_and_updates(run: Callable[..., str], address: str, folder: Path, tmp_path: Path) -> None:
    run("skills", "add", f"{address}/skill/base", "-y", "--agent", "claude-code")
    text = tmp_path / "project/.claude/skills/base/SKILL.md"
    assert "Text of 2.0." in text.read_text()

    publish(folder, skill_tree("base", "2.1"))
    while b'"version":"2.1"' not in urllib.request.urlopen(f"{address}/search.json?q=base").read():
        time.sleep(0.1)
    run("skills", "update", "-y")
    assert "Text of 2.1." in text.read_text()


def test_claude_code_installs_a_plugin_with_its_dependency_in_range(
    run: Callable[..., str], address: str, tmp_path: Path
) -> None:
    run("claude", "plugin", "marketplace", "add", f"{address}/marketplace.json")
    run("claude", "plugin", "install", "top@shelf")

    texts = [path.read_text() for path in (tmp_path / "home/claude").rglob("skills/base/SKILL.md")]
    assert ["Text of 1.0." in text for text in texts] == [True]  # not 2.0, and not 1.1, which was yanked


def test_apm_installs_a_range(run: Callable[..., str], address: str, tmp_path: Path) -> None:
    run("apm", "experimental", "enable", "registries")
    (tmp_path / "project/apm.yml").write_text(
        f"name: mine\nversion: 1.0.0\nregistries: {{shelf: {{url: {address}/apm}}, default: shelf}}\n"
        "targets: [claude]\ndependencies:\n  apm:\n    - _/base#^1.0.0\n"
    )
    run("apm", "install")

    assert "Text of 1.0." in (tmp_path / "project/.claude/skills/base/SKILL.md").read_text()


def test_clawhub_searches_installs_and_updates(run: Callable[..., str], address: str, tmp_path: Path) -> None:
    ours = ("clawhub", "--registry", f"{address}/clawhub", "--no-input")
    assert "base v2.0.0" in run(*ours, "search", "base")
    run(*ours, "install", "base", "--version", "1.0.0")
    run(*ours, "update", "--all")

    lock = json.loads((tmp_path / "project/.clawhub/lock.json").read_text())
    assert lock["skills"]["base"]["version"] == "2.0.0"
    assert "Text of 2.0." in (tmp_path / "project/skills/base/SKILL.md").read_text()


@pytest.fixture
def token(folder: Path) -> str:
    """A token of an owner of the registry."""
    words = [
        sys.executable,
        "-m",
        "skillpm_registry",
        "account",
        "add",
        "ana",
        "--role",
        "owner",
        "--data",
        str(folder),
    ]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def test_clawhub_publishes(run: Callable[..., str], address: str, token: str, tmp_path: Path) -> None:
    skill = tmp_path / "project/weather/SKILL.md"
    skill.parent.mkdir()
    skill.write_text("---\nname: weather\ndescription: Tells the weather. Use when somebody leaves.\n---\nLook.\n")
    ours = ("clawhub", "--registry", f"{address}/clawhub", "--no-input")
    run(*ours, "login", "--token", token)
    assert "Published weather@1.0.0" in run(*ours, "publish", "weather")
    assert "already published" in run(*ours, "publish", "weather")
    skill.write_text(skill.read_text() + "More.\n")
    assert "Published weather@1.0.1" in run(*ours, "publish", "weather")
