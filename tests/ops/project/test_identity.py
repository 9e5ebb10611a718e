"""A lock is what its digests are: the same lock passes or fails on every machine, whatever the store holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from tests.conftest import Project
from tests.shop import MakeProject, publish, skill_files, snapshot

SHOP = "registries: {shop: ../shop}\n"


def edit(place: Project, change: Any) -> None:
    path = place.root / "skillpm.lock"
    lock = json.loads(path.read_text())
    change({item["name"]: item for item in lock["skills"]}, lock)
    path.write_text(json.dumps(lock))


def rename(name: str) -> Any:
    def change(skills: Any, lock: Any) -> None:
        lock["skills"].append({**skills["base"], "name": name})
        lock["requirements"].append(name)

    return change


FORGED = {
    "version": lambda skills, lock: skills["base"].update(version="1.9"),
    "name": rename("zzz"),
    "namespace and name": rename("acme/zzz"),
    "requires": lambda skills, lock: skills["base"].update(requires={"top": ""}),
    "requires of a root": lambda skills, lock: skills["top"].update(requires={"base": ">=1"}),
}


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("store", ["warm", "cold"])
def test_a_lock_that_claims_another_skill_over_a_digest_is_refused_warm_as_cold(
    project: MakeProject, shop: Path, forged: str, store: str
) -> None:
    place = project({"skillpm.yaml": f'project: 1\nrequires: {{top: "*"}}\n{SHOP}'})
    place.call("sync").ok()
    edit(place, FORGED[forged])
    home: dict[str, Any] = {} if store == "warm" else {"SKILLPM_HOME": str(place.root.parent / "other-home")}
    before = snapshot(place.root)
    place.call("sync", "--frozen", **home).fails(4)
    assert snapshot(place.root) == before
    if store == "warm":
        outcome = place.call("verify")
        assert outcome.code == 4 and "skillpm.lock" in outcome.out, outcome
        assert place.call("lock", "--check").code in (4, 7)


def test_a_folder_or_repository_with_another_version_than_its_lock_is_refused(project: MakeProject) -> None:
    place = project({"mine": skill_files("mine"), "skillpm.yaml": "project: 1\nrequires: {mine: {path: ./mine}}\n"})
    place.call("lock").ok()
    edit(place, lambda skills, lock: skills["mine"].update(version="9.0"))
    place.call("sync", "--frozen").fails(4, "claims version 9.0", "the skill has 1.0")


@pytest.mark.parametrize("store", ["warm", "cold"])
def test_a_page_that_claims_another_version_over_stored_files_is_blamed_itself(
    project: MakeProject, shop: Path, store: str
) -> None:
    page = shop / "skills/plain.json"
    page.write_text(page.read_text().replace('"version": "1.0"', '"version": "1.5"'))
    place = project({"plain": skill_files("plain")})
    if store == "warm":
        place.call("install", "./plain").ok()
        place.call("uninstall", "plain").ok()
    place.call("install", "plain", "--registry", shop).fails(4, "registry:../shop claims version 1.5", "has 1.0")


INCOHERENT = {
    "a missing entry": (lambda skills, lock: lock["skills"].remove(skills["base"]), "requires base<2,>=1"),
    "a surplus entry": (lambda skills, lock: lock["requirements"].remove("plain"), "plain is locked, but nothing"),
    "a version that does not fit": (
        lambda skills, lock: lock.update(requirements=["plain", "top>=2"]),
        "requires top>=2, but 1.0",
    ),
}


@pytest.mark.parametrize("kind", INCOHERENT)
def test_a_lock_whose_edges_do_not_close_is_refused_by_frozen_and_verify(
    project: MakeProject, shop: Path, kind: str
) -> None:
    change, words = INCOHERENT[kind]
    place = project()
    place.call("install", "top", "plain", "--registry", shop).ok()
    edit(place, change)
    before = snapshot(place.root)
    place.call("sync", "--frozen").fails(7, "contradicts itself", words)
    place.call("verify").fails(7, "contradicts itself", words)
    assert snapshot(place.root) == before, "no folder is removed for an entry that is missing"
    assert (place.root / UNIVERSAL / "base/SKILL.md").is_file()


@pytest.mark.parametrize("spelling", ["*", "", ">=1,<2", " <2 , >= 1 "])
def test_two_spellings_of_one_specifier_are_equal(project: MakeProject, shop: Path, spelling: str) -> None:
    publish(shop, skill_files("spelled", requires={"base": "*" if spelling in ("", "*") else ">=1,<2"}))
    page = shop / "skills/spelled.json"
    document = json.loads(page.read_text())
    document["releases"][0]["requires"] = {"base": spelling}
    page.write_text(json.dumps(document))
    place = project()
    place.call("install", "spelled", "--registry", shop).ok()
    place.call("sync", "--frozen").ok()
    place.call("verify").ok()


def test_a_byte_order_mark_and_other_line_ends_do_not_break_a_lock(project: MakeProject) -> None:
    place = project({"mine": skill_files("mine")})
    place.call("install", "./mine").ok()
    lock = place.root / "skillpm.lock"
    text = lock.read_text()
    lock.write_text("\ufeff" + text.replace("\n", "\r\n"), newline="")
    place.call("sync", "--frozen").ok()
    place.call("sync").ok()
    place.call("update").ok()


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "is empty"), ("\n", "is empty"), ('{\n  "lock": 1,\n  "ski', "ends in the middle, at line 3")],
)
def test_an_empty_or_cut_lock_is_named_in_words_with_a_way_out(project: MakeProject, text: str, words: str) -> None:
    place = project({"skillpm.lock": text, "skillpm.yaml": "project: 1\nrequires:\n"})
    for arguments in (["sync"], ["list"], ["verify"], ["lock", "--check"]):
        place.call(*arguments).fails(2, words, "restore it from version control")
    (place.root / "skillpm.lock").unlink()
    place.call("lock").ok()
    place.call("sync").ok()


class TestTypedAgain:
    """A requirement that is typed again changes only what was typed."""

    def text(self, wish: str) -> str:
        return f"project: 1\nrequires:\n  plain: {wish}\nregistries: {{evil: ../evil, shop: ../shop}}\n"

    @pytest.fixture
    def place(self, project: MakeProject, shop: Path, tmp_path: Path) -> Project:
        publish(shop, skill_files("plain", "1.5"))
        publish(tmp_path / "evil", skill_files("plain", "99.0", body="evil\n"))
        return project({"skillpm.yaml": self.text('{version: ">=1.0", registry: shop}')})

    @pytest.mark.parametrize("is_locked", [True, False])
    @pytest.mark.parametrize("typed", ["plain>=1.2", "plain@1.5", "plain<9", "plain"])
    def test_its_registry_stays(self, place: Project, typed: str, is_locked: bool) -> None:
        if is_locked:
            place.call("sync").ok()
        place.call("install", typed).ok()
        text = (place.root / "skillpm.yaml").read_text()
        assert "registry: shop" in text
        assert ("99" not in text) and ('version: ">=1.0"' in text) is (typed == "plain")
        (place.root / "skillpm.lock").unlink()
        place.call("sync").ok()
        lock = json.loads((place.root / "skillpm.lock").read_text())
        assert [(item["source"], item["version"]) for item in lock["skills"]] == [("registry:../shop", "1.5")]

    def test_another_registry_that_is_typed_is_refused_unless_forced(self, place: Project, tmp_path: Path) -> None:
        place.call("sync").ok()
        place.call("install", "plain>=1", "--registry", tmp_path / "evil").fails(2, "installed from registry:../shop")
        place.call("install", "plain>=1", "--registry", tmp_path / "evil", "--force").ok()
        assert "registry: evil" in (place.root / "skillpm.yaml").read_text()

    def test_a_folder_stays_a_folder(self, place: Project) -> None:
        place.write({"plain": skill_files("plain", "0.5"), "skillpm.yaml": self.text("{path: ./plain}")})
        before = (place.root / "skillpm.yaml").read_text()
        place.call("install", "plain").ok()
        place.call("install", "plain>=1").fails(2, "is required from path:plain", "--force")
        assert (place.root / "skillpm.yaml").read_text() == before
        place.call("install", "plain>=1", "--force").ok()


def test_an_unknown_name_is_told_with_the_registries_that_were_asked(project: MakeProject, shop: Path) -> None:
    place = project()
    error = place.call("install", "nosuch", "--registry", shop).fails(2, "asked: registry:../shop, bundled")
    assert "no registry knows `nosuch`" in error.err
    place.write({"skillpm.yaml": f"project: 1\nrequires: {{nosuch: {{registry: shop}}}}\n{SHOP}"})
    assert "bundled" not in place.call("sync").fails(2, "asked: registry:../shop").err


def test_a_place_with_another_skill_is_not_called_a_registry(project: MakeProject) -> None:
    place = project({"b": skill_files("b"), "skillpm.yaml": "project: 1\nrequires:\n  a: {path: b}\n"})
    assert "registry" not in place.call("sync").fails(2, "path:b has no skill `a`", "skillpm.yaml").err
    place.write({"skillpm.yaml": "project: 1\nrequires:\n  a: {path: links}\n", "links/x.md": "x"})
    (place.root / "links/y").symlink_to("x.md")
    place.call("sync").fails(1, "no SKILL.md in path:links")
