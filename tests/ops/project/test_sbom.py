"""The bill of materials lists what the lock has, names each thing once, and is the same for the same lock."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.source import Source
from skillpm.model.wheel import Wheel, WheelSet
from tests.conftest import Project
from tests.shop import MakeProject, publish, skill_files

ADDRESS = "https://files.example/regex-2024.1-py3-none-any.whl"
WHEELS = (
    Wheel(file="regex-2024.1-py3-none-any.whl", sha256="c" * 64, url=ADDRESS),
    Wheel(file="attrs-25.1-py3-none-any.whl", sha256="d" * 64),
)


@pytest.fixture
def place(project: MakeProject) -> Project:
    place = project()
    publish(place.root / "shop", skill_files("base"), skill_files("top", requires={"base": ">=1"}))
    place.call("install", "top", "--registry", "shop").ok()
    return place


def bill(place: Project) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(place.call("export", "sbom").ok().out)
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch("urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    refs = [document["metadata"]["component"]["bom-ref"], *(item["bom-ref"] for item in document["components"])]
    assert len(set(refs)) == len(refs)
    assert sorted(item["ref"] for item in document["dependencies"]) == sorted(refs)
    assert {ref for item in document["dependencies"] for ref in item["dependsOn"]} <= set(refs)
    for item in document["components"]:
        assert re.fullmatch("pkg:(generic|pypi)/[a-z0-9._/-]+@[0-9a-z.]+", item["purl"])
        assert [row["alg"] for row in item["hashes"]] == ["SHA-256"]
        assert re.fullmatch("[0-9a-f]{64}", item["hashes"][0]["content"])
    return document


def test_a_lock_is_listed_with_digests_and_dependencies(place: Project) -> None:
    document, lock = bill(place), json.loads((place.root / "skillpm.lock").read_text())
    skills = {item["name"]: item for item in document["components"]}
    for entry in lock["skills"]:
        item = skills[entry["name"]]
        assert (item["version"], item["hashes"][0]["content"]) == (entry["version"], entry["archive"])
        assert {"name": "skillpm:source", "value": "registry:shop"} in item["properties"]
        assert item["description"].startswith("Shows")
    assert {item["ref"]: item["dependsOn"] for item in document["dependencies"]} == {
        "project": ["skill:top@1.0"], "skill:top@1.0": ["skill:base@1.0"], "skill:base@1.0": [],
    }  # fmt: skip


def test_the_same_lock_gives_the_same_bytes(place: Project) -> None:
    first = place.call("export", "sbom").ok().out
    place.call("export", "sbom", "--output", "bom.json").ok()
    assert (place.root / "bom.json").read_text() == first == place.call("export", "sbom").ok().out


def test_wheels_are_listed_once(place: Project) -> None:
    entries = [
        LockedSkill(
            name=name,
            version="1.0",
            source=Source.parse("bundled"),
            archive="a" * 64,
            tree="b" * 64,
            python=(WheelSet(platform="linux", wheels=WHEELS), WheelSet(platform="mac", wheels=WHEELS[:1])),
        )
        for name in ("acme/one", "two")
    ]
    (place.root / "skillpm.lock").write_text(Lock(skills=tuple(entries)).text())
    document = bill(place)
    assert [item["name"] for item in document["components"]] == ["one", "two", "attrs", "regex"]
    assert document["components"][0]["group"] == "acme"
    assert document["components"][3]["externalReferences"] == [{"type": "distribution", "url": ADDRESS}]
    assert len(document["dependencies"][1]["dependsOn"]) == 2


def test_what_does_not_go_together_is_refused(place: Project) -> None:
    place.call("export", "sbom", "top").fails(2, "lists the whole lock")
    place.call("export", "other").fails(2, "no exporter `other`")
