"""tree and why read the lock to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.source import BUNDLED
from tests.shop import MakeProject, publish, skill_files


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    middle = skill_files("middle", requires={"base": ">=1"})
    top = skill_files("top", requires={"middle": "", "base": "<2"})
    return publish(tmp_path / "shop", skill_files("base"), middle, top)


def cyclic() -> str:
    def entry(name: str, requires: dict[str, str]) -> LockedSkill:
        digest = "0" * 64
        return LockedSkill(name=name, version="1.0", source=BUNDLED, archive=digest, tree=digest, requires=requires)

    return Lock(
        requirements=("chicken",), skills=(entry("chicken", {"egg": ">=1"}), entry("egg", {"chicken": ""}))
    ).text()


@pytest.mark.parametrize(
    "command", ["tree", "why", "outdated", "search", "verify", "cache", "import", "completion", "cache prune"]
)
def test_every_query_helps(project: MakeProject, command: str) -> None:
    outcome = project().call(*command.split(), "--help").ok()
    assert "Example: skillpm" in outcome.out


def test_tree_draws_requirements_with_their_specifiers(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "top", "--registry", shop).ok()
    place.write({"skillpm.lock": (place.root / "skillpm.lock").read_bytes()})
    assert place.call("tree").ok().out == ("top 1.0\n├── base 1.0 (<2)\n└── middle 1.0\n    └── base 1.0 (>=1)\n")
    assert place.run("tree", PYTHONIOENCODING="ascii").ok().out == (
        "top 1.0\n|-- base 1.0 (<2)\n`-- middle 1.0\n    `-- base 1.0 (>=1)\n"
    )
    inverted = place.call("tree", "--invert", "base").ok().out
    assert inverted == (
        "base 1.0\n├── middle 1.0 (requires >=1)\n│   └── top 1.0\n"
        "│       └── this project (requires any version)\n└── top 1.0 (requires <2) (shown above)\n"
    )


def test_a_cycle_is_shown_and_ends(project: MakeProject) -> None:
    place = project({"skillpm.lock": cyclic()})
    assert place.call("tree").ok().out == "chicken 1.0\n└── egg 1.0 (>=1)\n    └── chicken 1.0 (cycle)\n"
    assert place.call("why", "egg").ok().out == "this project -> chicken 1.0 (any version) -> egg 1.0 (>=1)\n"
    rows = place.call("tree", "--json").ok().document["rows"]
    assert [(row["depth"], row["name"], row["mark"]) for row in rows] == [
        (0, "chicken", None),
        (1, "egg", None),
        (2, "chicken", "cycle"),
    ]


def test_why_gives_every_path_shortest_first(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "top", "base", "--registry", shop).ok()
    assert place.call("why", "base").ok().out.splitlines() == [
        "this project -> base 1.0 (any version)",
        "this project -> top 1.0 (any version) -> base 1.0 (<2)",
        "this project -> top 1.0 (any version) -> middle 1.0 (any version) -> base 1.0 (>=1)",
    ]
    limited = place.call("why", "base", "--limit", "1").ok()
    assert limited.out.splitlines() == ["this project -> base 1.0 (any version)"]
    assert "--limit 0" in limited.err
    document = place.call("why", "base", "--limit", "1", "--json").ok().document
    assert (len(document["paths"]), document["complete"]) == (1, False)


def test_nothing_installed_is_said_and_unknown_names_are_met_with_near_ones(project: MakeProject, shop: Path) -> None:
    place = project()
    assert "no skill is installed" in place.call("tree").ok().err
    place.call("why", "base").fails(2, "no skill `base` is installed", "skillpm list")
    place.call("install", "middle", "--registry", shop).ok()
    place.call("why", "midle").fails(2, "`middle`")
    place.call("tree", "midle").fails(2, "`middle`")


def test_a_skill_that_nothing_requires_is_said_to_be_one(project: MakeProject) -> None:
    document = json.loads(cyclic())
    document["requirements"] = []
    place = project({"skillpm.lock": json.dumps(document)})
    assert "nothing requires egg 1.0" in place.call("why", "egg").ok().err
    assert "chicken 1.0 (required by nothing)" in place.call("tree").ok().out
