"""Typed, project file, lock and folders say the same, in every direction and for every kind of source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillpm.clients.table import UNIVERSAL
from skillpm.formats.strict_yaml import read_yaml
from skillpm.storage.archive import build_archive
from tests.conftest import Project, write_tree
from tests.servers import commit_all, git
from tests.shop import MakeProject, publish, skill_files, tree

TYPED = {  # the name of a skill: what a person types for it
    "reg-bare": ["reg-bare"],
    "reg-range": ["reg-range>=1,<3"],
    "reg-exact": ["reg-exact@1.0"],
    "reg-needs": ["reg-needs"],
    "folder": ["./folder"],
    "outside": ["../outside"],
    "packed": ["./packed.tar.gz"],
    "root": ["git+file:{base}/root"],
    "alpha": ["git+file:{base}/many#subdirectory=skills/alpha"],
    "beta": ["git+file:{base}/many@v1#subdirectory=skills/beta"],
    "gamma": ["git+file:{base}/many@side#subdirectory=skills/gamma"],
    "incident-triage": ["incident-triage"],
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture
def sources(base: Path) -> Path:
    """Every kind of source, made once; registries in which newer releases stand beside the wanted ones."""
    if (base / "shop").exists():
        return base
    releases = [
        skill_files(name, version) for name in ("reg-bare", "reg-range", "reg-exact") for version in ("1.0", "2.0")
    ]
    needs = skill_files("reg-needs", requires={"needed": "<2"})
    publish(base / "shop", *releases, needs, skill_files("needed", "1.5"), skill_files("needed", "2.0"))
    write_tree(base / "outside", skill_files("outside"))
    write_tree(base / "root", {"SKILL.md": skill_files("root")["SKILL.md"]})
    commit_all(base / "root")
    write_tree(base / "many/skills", {name: skill_files(name) for name in ("alpha", "beta", "gamma")})
    commit_all(base / "many")
    git(base / "many", "tag", "v1")
    git(base / "many", "branch", "side")
    return base


def trees(place: Project) -> dict[str, str]:
    lock = json.loads((place.root / "skillpm.lock").read_text())
    return {item["name"]: item["tree"] for item in lock["skills"]}


def folders(place: Project) -> set[str]:
    return {
        str(path.relative_to(place.root))
        for agent in (UNIVERSAL, ".claude/skills", ".goose/skills")
        for path in place.root.glob(f"{agent}/*")
    }


@pytest.fixture
def places(project: MakeProject, sources: Path) -> Iterator[object]:
    """Return a maker of projects, in a folder of their own beside the sources."""
    model, numbers = project(), count()

    def make(text: str = "") -> Project:
        root = sources / f"project{next(numbers)}"
        write_tree(root, {"folder": skill_files("folder"), "packed.tar.gz": build_archive(tree(skill_files("packed")))})
        if text:
            (root / "skillpm.yaml").write_text(text)
        return Project(root, model.environment)

    yield make
    for path in sources.glob("project*"):
        shutil.rmtree(path)


def arguments(place: Project, names: Sequence[str]) -> list[str]:
    return [text.format(base=place.root.parent) for name in names for text in TYPED[name]]


CHOICES = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from(sorted(TYPED)), min_size=1, max_size=4, unique=True),
        "agents": st.lists(st.sampled_from(["claude-code", "codex", "goose"]), max_size=2, unique=True),
        "link": st.sampled_from(["copy", "symlink"]),
        "has_file": st.booleans(),
    }
)


@settings(max_examples=14, suppress_health_check=[*HealthCheck])
@given(choice=CHOICES)
def test_a_project_file_alone_gives_the_same_skills_in_the_same_folders(
    places: object, choice: dict[str, object]
) -> None:
    names, agents = choice["names"], choice["agents"]
    assert isinstance(names, list) and isinstance(agents, list) and callable(places)
    place = places("project: 1\n" if choice["has_file"] else "")
    flags = [word for agent in agents for word in ("--agent", agent)]
    typed = arguments(place, names)
    place.call("install", *typed, *flags, "--link", choice["link"], "--registry", place.root.parent / "shop").ok()
    before, stood = trees(place), folders(place)
    if not choice["has_file"]:
        place.call("init").ok()
    document = read_yaml((place.root / "skillpm.yaml").read_text())
    assert set(document["requires"]) == set(names)
    assert set(document.get("agents", [])) == set(agents)
    place.call("lock", "--check").ok()
    again = place.call("sync", "--json").ok().document
    assert {item["change"] for item in again["skills"]} == {"kept"}
    assert (trees(place), folders(place)) == (before, stood)
    text = (place.root / "skillpm.yaml").read_text()
    (place.root / "skillpm.lock").unlink()
    shutil.rmtree(place.root / ".skillpm")
    for agent in (".agents", ".claude", ".goose"):
        shutil.rmtree(place.root / agent, ignore_errors=True)
    place.call("sync").ok()
    assert (trees(place), folders(place)) == (before, stood)
    place.call("lock", "--check").ok()
    place.call("install", *typed).ok()
    assert (place.root / "skillpm.yaml").read_text() == text, "what is typed again changes nothing"
    assert trees(place) == before
    shutil.rmtree(place.root)


def test_a_registry_that_is_not_there_is_written_with_a_warning(project: MakeProject, tmp_path: Path) -> None:
    """It may be made later; a mistyped path would fail every command."""
    publish(tmp_path / "shop")
    for dry in (["--dry-run"], []):
        done = project().call("init", "--registry", "../shpo", "--registry", "../shop", *dry).ok()
        assert done.err.count("warning: ") == 1
        assert "/shpo is not a registry" in done.err and "`skillpm registry init ../shpo`" in done.err


def test_a_registry_of_the_users_file_keeps_its_name(places: object, sources: Path) -> None:
    assert callable(places)
    place = places()
    config = Path(place.environment["SKILLPM_HOME"]) / "config/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"project: 1\nregistries: {{shop: {sources}/other, work: {sources}/shop}}\n")
    publish(sources / "other", {"SKILL.md": "---\nname: z\ndescription: Z.\n---\n"})
    place.call("install", "reg-bare").ok()
    place.call("init").ok()
    assert read_yaml((place.root / "skillpm.yaml").read_text())["requires"]["reg-bare"]["registry"] == "work"
    place.call("lock", "--check").ok()
    place.call("sync").ok()


class TestAgents:
    """An agent that is named is written down, also where it reads the folder that every install fills."""

    def test_without_a_project_file_the_record_knows_it(self, project: MakeProject) -> None:
        place = project({"demo": skill_files()})
        place.call("install", "./demo", "--agent", "codex").ok()
        assert "codex" in place.call("agents").ok().out
        place.call("install", "./demo", "--agent", "cursor").ok()
        shown = place.call("agents", "--json").ok().document["agents"]
        assert {"codex", "cursor"} <= {item["name"] for item in shown}

    def test_with_a_project_file_the_file_has_it(self, project: MakeProject) -> None:
        place = project({"demo": skill_files(), "skillpm.yaml": "project: 1\n"})
        place.call("install", "./demo", "--agent", "codex").ok()
        assert read_yaml((place.root / "skillpm.yaml").read_text())["agents"] == ["codex"]

    def test_its_budget_is_said_when_it_is_exceeded(self, project: MakeProject) -> None:
        many = {}
        for number in range(12):
            text = f"---\nname: s{number}\ndescription: {'Does one thing. ' * 60}\n---\n"
            many[f"s{number}"] = {"SKILL.md": text}
        place = project({"many": many})
        first = place.call("install", "./many", "--all", "--agent", "codex").ok()
        assert "Codex: the list of 12 skills takes" in first.err
        assert "GitHub Copilot" not in first.err
        later = project({"many": many})
        later.call("install", "./many", "--all").ok()
        assert "Codex: the list of 12 skills takes" in later.call("install", "--agent", "codex").ok().err
