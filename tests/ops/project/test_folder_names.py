"""Two skills never share a folder, and the hint names what a person can leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillpm.errors import UsageError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.source import Source
from skillpm.ops.project.folder_names import refuse_clashes
from tests.shop import MakeProject, locked, skill_files

A = "a" * 64


def entry(name: str, **requires: str) -> LockedSkill:
    return LockedSkill(
        name=name, version="1.0", source=Source.parse("registry:../shop"), archive=A, tree=A, requires=requires
    )


TOOLS = (entry("acme/tool"), entry("zeta/tool"))


def test_two_dependencies_that_need_one_folder_are_told_with_those_who_require_them() -> None:
    users = (entry("one", **{"acme/tool": ""}), entry("two", **{"zeta/tool": ""}))
    with pytest.raises(UsageError, match="both need the folder `tool`") as caught:
        refuse_clashes(Lock(requirements=("one", "two"), skills=(*TOOLS, *users)))
    hint = str(caught.value.hint)
    assert hint.startswith("`acme/tool` is required by one; `zeta/tool` is required by two: leave out one")


def test_of_two_that_a_person_asked_for_one_is_installed() -> None:
    with pytest.raises(UsageError) as caught:
        refuse_clashes(Lock(requirements=("acme/tool", "zeta/tool"), skills=TOOLS))
    assert "install only one of them" in str(caught.value.hint)


def test_a_lock_may_give_the_folder_of_one_skill_to_another(project: MakeProject, tmp_path: Path) -> None:
    skill, shop = project({"tool": skill_files("tool")}), tmp_path / "shop"
    skill.call("registry", "init", shop).ok()
    for owner, *like in (("ana",), ("ben", "--like", "ana/tool")):
        skill.call("publish", "tool", "--registry", shop, "--owner", owner, *like, "--no-sign").ok()
    text = "project: 1\nrequires: {ana/tool: '*'}\nregistries: {shop: ../shop}\n"
    place, other = project({"skillpm.yaml": text}), project({"skillpm.yaml": text.replace("ana", "ben")})
    place.call("sync").ok()
    other.call("lock").ok()
    for name in ("skillpm.yaml", "skillpm.lock"):
        place.write({name: (other.root / name).read_text()})
    states = {item["name"]: item["state"] for item in place.call("list", "--json").ok().document["skills"]}
    assert states == {"ana/tool": "surplus", "ben/tool": "ok"}
    place.call("sync", "--frozen").ok()
    place.call("verify").ok()
    assert list(locked(place)) == ["ben/tool"]
