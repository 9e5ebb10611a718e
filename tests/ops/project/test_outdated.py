"""outdated compares what is locked with what each source has, and says what it could not ask."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from skillpm.index.folder_registry import FolderRegistry
from tests.conftest import Project
from tests.servers import serving
from tests.shop import MakeProject, publish, skill_files

Offer = Callable[..., Path]


@pytest.fixture
def offer(tmp_path: Path) -> Offer:
    def offer(*releases: tuple[str, str, dict[str, str]], **yanked: str) -> Path:
        reasons = {f"{name.replace('_', '-')}==1.0": reason for name, reason in yanked.items()}
        return publish(tmp_path / "shop", *(skill_files(*release) for release in releases), yanked=reasons)

    return offer


def states(place: Project, *words: str, code: int = 1) -> dict[str, tuple[str, str, str, str]]:
    outcome = place.call("outdated", "--json", *words)
    assert outcome.code == code, outcome
    return {
        item["name"]: (item["locked"], item["wanted"], item["newest"], item["state"])
        for item in outcome.document["skills"]
    }


def test_wanted_is_within_the_requirement_and_newest_is_not(project: MakeProject, offer: Offer) -> None:
    shop = offer(("base", "1.0", {}), ("top", "1.0", {"base": "<2"}), ("free", "1.0", {}))
    place = project()
    place.call("install", "top<2", "free", "--registry", shop).ok()
    assert "3 skills are up to date" in place.call("outdated").ok().err
    offer(("base", "1.1", {}), ("base", "2.0", {}), ("top", "2.0", {}), ("free", "2.0rc1", {}))
    assert states(place) == {
        "base": ("1.0", "1.1", "2.0", "outdated"),
        "top": ("1.0", "1.0", "2.0", "held back"),
        "free": ("1.0", "1.0", "1.0", "current"),
    }
    shown = place.call("outdated").fails(1)
    assert [line.split()[:4] for line in shown.out.splitlines()] == [
        ["skill", "locked", "wanted", "newest"],
        ["base", "1.0", "1.1", "2.0"],
        ["top", "1.0", "1.0", "2.0"],
    ]
    place.call("outdated", "free").ok()
    place.call("outdated", "fre").fails(2, "`free`")


def test_a_new_release_that_requires_more_is_resolved_with_what_it_requires(project: MakeProject, offer: Offer) -> None:
    shop = offer(("top", "1.0", {}))
    place = project()
    place.call("install", "top", "--registry", shop).ok()
    offer(("top", "2.0", {"added": ""}), ("added", "1.0", {}))
    assert states(place, "--registry", str(shop))["top"] == ("1.0", "2.0", "2.0", "outdated")


def test_a_yanked_release_is_listed_with_its_reason(project: MakeProject, offer: Offer) -> None:
    shop = offer(("base", "1.0", {}))
    place = project()
    place.call("install", "base", "--registry", shop).ok()
    offer(("base", "1.0", {}), base="leaks \x1b[31m")
    shown = place.call("outdated").fails(1).out
    assert "yanked: leaks" in shown
    assert "\x1b" not in shown


def test_newest_is_a_release_that_can_be_installed(project: MakeProject, offer: Offer) -> None:
    shop = offer(("base", "1.0", {}), ("base", "2.0", {}))
    place = project()
    place.call("install", "base", "--registry", shop).ok()
    FolderRegistry(shop, "shop").quarantine("base", "2.0", "under suspicion")
    assert states(place)["base"] == ("2.0", "1.0", "1.0", "quarantined")


def test_a_folder_that_was_edited_since_is_changed(project: MakeProject) -> None:
    place = project({"mine": skill_files("mine")})
    place.call("install", "./mine").ok()
    place.call("outdated").ok()
    place.write({"mine": {"notes.md": "more"}})
    assert states(place)["mine"] == ("1.0", "1.0", "1.0", "changed")
    place.write({"mine": skill_files("mine", "1.1")})
    assert states(place)["mine"] == ("1.0", "1.1", "1.1", "outdated")


def test_a_skill_without_a_version_is_told_by_its_name_alone(project: MakeProject) -> None:
    text = "---\nname: mine\ndescription: Use mine.\n---\n"
    place = project({"mine": {"SKILL.md": text}})
    place.call("install", "./mine").ok()
    (place.root / "mine/SKILL.md").write_text("no front matter")
    place.call("outdated").fails(1, "mine could not be checked")


def test_a_source_that_fails_leaves_its_skills_unknown_and_the_others_are_compared(
    project: MakeProject, offer: Offer
) -> None:
    shop = offer(("base", "1.0", {}))
    place = project({"mine": skill_files("mine")})
    place.call("install", "./mine", "base", "--registry", shop).ok()
    (place.root / "mine/SKILL.md").write_text("no front matter")
    outcome = place.call("outdated").fails(1, "mine 1.0 could not be checked", "frontmatter")
    assert outcome.out == ""
    offer(("base", "2.0", {}))
    assert states(place) == {"mine": ("1.0", "1.0", "1.0", "unknown"), "base": ("1.0", "2.0", "2.0", "outdated")}
    shutil.rmtree(shop)
    assert {state for *_, state in states(place, code=5).values()} == {"unknown"}
    shutil.rmtree(place.root / "mine")
    assert "gone: there is no" in place.call("outdated").fails(1, "base 1.0 could not be checked").out
    assert states(place) == {"mine": ("1.0", "1.0", "1.0", "gone"), "base": ("1.0", "1.0", "1.0", "unknown")}


def test_a_name_that_its_registry_no_longer_has_is_gone(project: MakeProject, offer: Offer) -> None:
    shop = offer(("base", "1.0", {}), ("other", "1.0", {}))
    place = project()
    place.call("install", "base", "--registry", shop).ok()
    (shop / "skills/base.json").unlink()
    assert states(place)["base"] == ("1.0", "1.0", "1.0", "gone")


def test_nothing_installed_is_said_and_nothing_is_written(project: MakeProject, offer: Offer) -> None:
    place = project()
    assert "no skill is installed" in place.call("outdated").ok().err
    assert list(place.root.iterdir()) == []


def test_offline_nobody_is_asked(project: MakeProject, tmp_path: Path) -> None:
    publish(tmp_path / "www", skill_files("demo"))
    place = project()
    with serving(tmp_path / "www") as site:
        place.call("install", "demo", "--registry", site.url).ok()
        asked = len(site.seen)
        place.call("outdated", "--offline").ok()
        assert len(site.seen) == asked
        place.call("cache", "prune").ok()
        assert "`--offline` forbids" in place.call("outdated", "--offline").fails(5).err
        assert len(site.seen) == asked
