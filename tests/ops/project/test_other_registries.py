"""A conflict that another registry would solve names it; nothing is taken from there by itself."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.shop import MakeProject, locked, publish, skill_files


@pytest.mark.parametrize("given", ["skillpm.yaml", "environment", "flags"])
def test_the_hint_about_another_registry_works_when_typed(project: MakeProject, tmp_path: Path, given: str) -> None:
    one = publish(tmp_path / "one", skill_files("base", "1.0"), skill_files("base", "2.0"))
    two = publish(tmp_path / "two", skill_files("base", "3.0"), skill_files("top", "1.0", requires={"base": ">=3"}))
    place = project()
    if given == "skillpm.yaml":
        place.write({"skillpm.yaml": "project: 1\nregistries: {one: ../one, two: ../two}\n"})
    variables: dict[str, Any] = {"SKILLPM_REGISTRIES": f"{one} {two}"} if given == "environment" else {}
    flags = ["--registry", str(one), "--registry", str(two)] if given == "flags" else []
    refused = place.call("install", "top", *flags, **variables).fails(3, "only base 1.0 and 2.0", "base 3.0 is in")
    assert not (place.root / "skillpm.lock").exists()
    command = re.search("run `skillpm (.*)`", refused.err)
    assert command is not None
    place.call(*shlex.split(command[1]), **variables).ok()
    place.call("install", "top", *flags, **variables).ok()
    assert set(locked(place)) == {"base", "top"}


def test_a_registry_whose_release_does_not_fit_either_is_not_named(project: MakeProject, tmp_path: Path) -> None:
    one = publish(tmp_path / "one", skill_files("base", "1.0"), skill_files("top", requires={"base": ">=3"}))
    two = publish(tmp_path / "two", skill_files("base", "2.0"))
    told = project().call("install", "top", "--registry", str(one), "--registry", str(two)).fails(3, "base>=3")
    assert "is in" not in told.err


@pytest.mark.parametrize("wish", ["{registry: one}", "{path: ../base}"])
def test_a_typed_registry_is_not_passed_over_where_the_project_names_another_place(
    project: MakeProject, tmp_path: Path, wish: str
) -> None:
    publish(tmp_path / "one", skill_files("base", "1.0"))
    two = publish(tmp_path / "two", skill_files("base", "3.0"))
    project({"base": skill_files("base")}).root.joinpath("base").rename(tmp_path / "base")
    place = project({"skillpm.yaml": f"project: 1\nrequires: {{base: {wish}}}\nregistries: {{one: ../one}}\n"})
    place.call("sync").ok()
    place.call("install", "base", "--registry", two).fails(2, "base is required from", "not from registry:../two")
    assert locked(place)["base"] == "1.0"
    place.call("install", "base", "--registry", two, "--force").ok()
    assert locked(place)["base"] == "3.0"
    place.call("lock", "--check").ok()
    place.call("install", "base", "--registry", two).ok()


@pytest.mark.parametrize("typed", ["base", "base>=1"])
def test_force_moves_no_skill_from_the_registry_that_the_project_names(
    project: MakeProject, tmp_path: Path, typed: str
) -> None:
    publish(tmp_path / "one", skill_files("base", "9.0"))
    publish(tmp_path / "two", skill_files("base", "1.0"))
    place = project({"skillpm.yaml": "project: 1\nrequires: {base: {registry: two}}\n"
                                     "registries: {one: ../one, two: ../two}\n"})  # fmt: skip
    place.call("sync").ok()
    (place.root / ".agents/skills/base/SKILL.md").write_text("edited\n")
    place.call("install", typed, "--force").ok()
    assert locked(place)["base"] == "1.0"
    assert "registry: two" in (place.root / "skillpm.yaml").read_text()
    place.call("lock", "--check").ok()
