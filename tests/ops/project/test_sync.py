"""A project says what it requires; lock and folders follow it, and nothing else moves."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from skillpm.formats.strict_yaml import read_yaml
from skillpm.index.folder_registry import FolderRegistry
from tests.conftest import ROOT
from tests.servers import serving
from tests.shop import MakeProject, locked, publish, skill_files, snapshot

TOP = 'project: 1\nrequires:\n  top: "*"  # needed\nregistries: {shop: ../shop}\n'


def sources(place: Any) -> dict[str, str]:
    lock = json.loads((place.root / "skillpm.lock").read_text())
    return {item["name"]: item["source"] for item in lock["skills"]}


def write_user_config(tmp_path: Path, text: str) -> Path:
    """Write the settings of the person who types commands, which are no part of a project, and return their file."""
    config = tmp_path / "home/skillpm/config/config.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f"project: 1\n{text}")
    return config


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another registry, which has newer releases of the same names."""
    return publish(tmp_path / "other", skill_files("base", "1.9"), skill_files("base", "9.0"), skill_files("only"))


def test_sync_locks_and_installs_what_is_required_and_what_that_requires(project: MakeProject, shop: Path) -> None:
    place = project({"skillpm.yaml": TOP})
    place.call("sync").ok()
    assert locked(place) == {"base": "1.1", "top": "1.0"}
    assert (place.root / UNIVERSAL / "base/SKILL.md").is_file()
    place.call("lock", "--check").ok()
    before = snapshot(place.root)
    place.call("sync").ok()
    assert snapshot(place.root) == before


def test_a_changed_project_file_moves_only_what_it_must(project: MakeProject, shop: Path) -> None:
    place = project({"skillpm.yaml": TOP})
    place.call("sync").ok()
    publish(shop, skill_files("top", "1.1", requires={"base": ">=1"}), skill_files("base", "1.2"))
    place.write({"skillpm.yaml": TOP.replace("registries", '  plain: ">=1"\nregistries')})
    outcome = place.call("lock", "--check").fails(7, "does not have the requirement `plain>=1`", "run `skillpm lock`")
    assert outcome.code == 7
    place.call("sync", "--locked").fails(7, "plain")
    place.call("sync").ok()
    assert locked(place) == {"base": "1.1", "plain": "1.0", "top": "1.0"}
    place.write({"skillpm.yaml": TOP})
    place.call("sync").ok()
    assert not (place.root / UNIVERSAL / "plain").exists(), "what is no longer required is taken away"


def test_lock_writes_the_lock_alone(project: MakeProject, shop: Path) -> None:
    place = project({"skillpm.yaml": TOP})
    place.call("lock", "--dry-run").ok()
    assert sorted(snapshot(place.root)) == ["skillpm.yaml"]
    place.call("lock").ok()
    assert sorted(snapshot(place.root)) == ["skillpm.lock", "skillpm.yaml"]
    assert "up to date" in place.call("lock").ok().err
    place.call("lock", "base").fails(2, "--upgrade")


def test_a_frozen_sync_takes_the_lock_as_it_is_and_asks_no_registry(
    project: MakeProject, shop: Path, tmp_path: Path
) -> None:
    place = project({"skillpm.yaml": TOP})
    place.call("sync", "--frozen").fails(7, "no skillpm.lock", "skillpm lock")
    place.call("sync").ok()
    text = (place.root / "skillpm.lock").read_bytes().replace(b"\n", b"\r\n")
    (place.root / "skillpm.lock").write_bytes(text)
    place.write({"skillpm.yaml": TOP.replace("top", "no-such-skill")})
    shop.rename(tmp_path / "gone")
    for folder in (place.root / UNIVERSAL).iterdir():
        folder.rename(tmp_path / folder.name)
    for _ in range(2):
        place.call("sync", "--frozen").ok()
        assert (place.root / "skillpm.lock").read_bytes() == text
        assert (place.root / UNIVERSAL / "top/SKILL.md").is_file()
    place.call("sync", "--locked").fails(7, "no-such-skill")
    (tmp_path / "gone").rename(shop)
    place.call("sync").fails(2, "no registry knows `no-such-skill`")  # a frozen sync hides nothing


def test_update_takes_what_is_newer_and_allowed_and_names_choose(project: MakeProject, shop: Path) -> None:
    text = TOP.replace("registries", '  plain: "*"\nregistries')
    place = project({"skillpm.yaml": text})
    place.call("sync").ok()
    publish(shop, skill_files("plain", "2.0"), skill_files("top", "1.1", requires={"base": ">=2"}))
    before = snapshot(place.root)
    dry = place.call("update", "--dry-run", "--json").ok().document
    assert {item["name"]: item["version"] for item in dry["skills"]} == {"base": "2.0", "plain": "2.0", "top": "1.1"}
    assert snapshot(place.root) == before
    place.call("update", "top").ok()
    assert locked(place) == {"base": "2.0", "plain": "1.0", "top": "1.1"}, "base moves for top, plain stays"
    place.call("lock", "--upgrade").ok()
    assert locked(place)["plain"] == "2.0"
    assert "1.0" in (place.root / UNIVERSAL / "plain/skill.yaml").read_text(), "a lock installs nothing"
    place.call("sync").ok()
    assert "2.0" in (place.root / UNIVERSAL / "plain/skill.yaml").read_text()
    place.call("update", "plian").fails(2, "did you mean `plain`")


def test_a_release_that_was_yanked_and_is_all_that_is_required_stops_no_other_update(
    project: MakeProject, tmp_path: Path
) -> None:
    shop = publish(tmp_path / "more", skill_files("one"), skill_files("two"))
    place = project({"skillpm.yaml": f"project: 1\nrequires: {{one: ==1.0, two: '*'}}\nregistries: {{shop: {shop}}}\n"})
    place.call("sync").ok()
    publish(shop, skill_files("one", "2.0"), skill_files("two", "2.0"))
    FolderRegistry(shop, "shop").yank("one", "1.0", "bad")
    done = place.call("update").ok()
    assert "1.0 -> 2.0" in done.out and "one 1.0, which is locked, was yanked: bad" in done.err
    assert [item.split("  ")[0] for item in done.out.splitlines()[1:]] == ["two"]


def test_an_update_says_why_it_leaves_a_recalled_release(project: MakeProject, tmp_path: Path) -> None:
    shop = publish(
        tmp_path / "more", *(skill_files(name, version) for name in ("one", "two") for version in ("1", "2"))
    )
    place = project()
    place.call("install", "one", "two", "--registry", shop).ok()
    FolderRegistry(shop, "shop").yank("one", "2", "bad")
    FolderRegistry(shop, "shop").quarantine("two", "2", "worse")
    for command in (["update", "--dry-run"], ["lock", "--upgrade"]):
        said = place.call(*command).ok().err
        assert "warning: one 2, which was locked, was yanked: bad" in said
        assert "warning: two 2, which was locked, is in quarantine: worse" in said


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_recall_that_this_machine_knows_of_is_told_without_a_request(
    project: MakeProject, tmp_path: Path, is_remote: bool
) -> None:
    shop = publish(tmp_path / "more", skill_files("one"), skill_files("two"), skill_files("three"))
    place = project()
    with serving(shop) as site:
        place.call("install", "one", "two", "three", "--registry", site.url if is_remote else shop).ok()
        registry = FolderRegistry(shop, "shop")
        registry.yank("one", "1.0", "bad")
        registry.quarantine("two", "1.0", "looked at")
        registry.set_status("three", "deprecated", "use four")
        said = place.call("outdated").fails(1).err
        assert "three is deprecated: use four" in said
        asked = len(site.seen)
        for command in (["sync"], ["install"], ["sync", "--frozen"], ["list"]):
            told = place.call(*command).ok().err
            assert "warning: one 1.0, which is locked, was yanked: bad" in told
            assert "warning: two 1.0 is in quarantine at registry:" in told
            assert told.count("warning: three is deprecated: use four") == 1
        assert len(place.call("list", "--json").ok().document["warnings"]) == 3
        assert len(site.seen) == asked
    shutil.rmtree(shop)
    assert ("three is deprecated" in place.call("list").ok().err) is is_remote


@pytest.mark.parametrize(
    "words",
    [
        ("sync", "--allow-signer-change", "tow"),
        ("sync", "--frozen", "--allow-signer-change", "tow"),
        ("sync", "--allow", "tow:quarantined"),
        ("install", "--allow-signer-change", "tow"),
        ("install", "one", "--allow", "one:SK414", "--allow", "tow:SK414", "--dry-run"),
        ("update", "one", "--allow-signer-change", "two", "--allow-signer-change", "tow"),
        ("lock", "--allow-signer-change", "tow"),
        ("lock", "--check", "--allow-signer-change", "tow"),
        ("scan", "--allow", "tow:SK414"),
        ("validate", f"{UNIVERSAL}/two", "--allow", "tow:SK414"),
        ("pack", f"{UNIVERSAL}/two", "--allow", "tow:SK414"),
        ("traces", "list", "--skill", "tow"),
        ("traces", "export", "--skill", "tow"),
    ],
)
def test_an_option_that_is_about_a_skill_refuses_one_that_is_not_there(
    project: MakeProject, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Also where there is nothing to do: whoever mistypes a name must not believe that it was accepted."""
    shop = publish(tmp_path / "more", skill_files("one"), skill_files("two"))
    place = project({"skillpm.yaml": f"project: 1\nrequires: {{one: '*', two: '*'}}\nregistries: {{shop: {shop}}}\n"})
    place.call("sync").ok()
    before = snapshot(place.root)
    place.call(*words).fails(2, "no skill `tow` is", "did you mean `two`?")
    assert snapshot(place.root) == before
    place.call(*(word.replace("tow", "two") for word in words)).ok()


def test_update_without_a_project_file_follows_what_was_asked_for(project: MakeProject, shop: Path) -> None:
    place = project()
    place.call("install", "base<2", "--registry", shop).ok()
    publish(shop, skill_files("base", "1.5"))
    place.call("update").ok()
    assert locked(place) == {"base": "1.5"}
    assert not (place.root / "skillpm.yaml").exists()


def test_a_required_folder_is_followed(project: MakeProject) -> None:
    place = project({"mine": skill_files("mine"), "skillpm.yaml": "project: 1\nrequires: {mine: {path: ./mine}}\n"})
    place.call("sync").ok()
    place.write({"mine": skill_files("mine", body="changed\n")})
    place.call("lock", "--check").fails(7, "path:mine no longer has")
    place.call("sync", "--frozen").ok()
    assert "changed" not in (place.root / UNIVERSAL / "mine/SKILL.md").read_text()
    place.call("sync").ok()
    assert "changed" in (place.root / UNIVERSAL / "mine/SKILL.md").read_text()
    place.write({"skillpm.yaml": "project: 1\nrequires: {yours: {path: ./mine}}\n"})
    place.call("sync").fails(2, "yours")


def test_install_writes_into_the_project_file_and_uninstall_takes_out(project: MakeProject, shop: Path) -> None:
    place = project({"skillpm.yaml": TOP, "mine": skill_files("mine")})
    place.call("install", "plain", "base<1.1", "./mine", "incident-triage").ok()
    text = (place.root / "skillpm.yaml").read_text()
    assert text.startswith('project: 1\nrequires:\n  top: "*"  # needed\n')
    assert read_yaml(text)["requires"] == {
        "top": "*",
        "plain": ">=1.0",
        "base": "<1.1",
        "incident-triage": f">={read_yaml((ROOT / 'skills/incident-triage/skill.yaml').read_text())['version']}",
        "mine": {"path": "./mine"},
    }
    place.call("lock", "--check").ok()
    place.call("install", "top").ok()
    assert (place.root / "skillpm.yaml").read_text() == text, "what stands there already is left"
    place.call("install", "base>=1").ok()
    assert read_yaml((place.root / "skillpm.yaml").read_text())["requires"]["base"] == ">=1"
    place.call("uninstall", "plain", "base", "mine", "incident-triage").fails(2, "base is required by top")
    place.call("uninstall", "plain", "top", "base", "mine", "incident-triage").ok()
    assert read_yaml((place.root / "skillpm.yaml").read_text())["requires"] == {}
    assert locked(place) == {}
    place.call("lock", "--check").ok()


def test_a_registry_given_by_flag_is_written_down_and_the_skill_tied_to_it(
    project: MakeProject, shop: Path, other: Path
) -> None:
    place = project({"skillpm.yaml": "project: 1\n"})
    place.call("install", "plain", "--registry", shop).ok()
    place.call("install", "only", "--registry", other).ok()
    document = read_yaml((place.root / "skillpm.yaml").read_text())
    assert document["registries"] == {"shop": "../shop", "other": "../other"}
    assert document["requires"]["only"] == {"version": ">=1.0", "registry": "other"}
    place.call("lock", "--check").ok()
    (place.root / "skillpm.lock").unlink()
    place.call("sync").ok()
    assert sources(place) == {"plain": "registry:../shop", "only": "registry:../other"}


def test_a_dry_run_of_install_changes_no_file(project: MakeProject, shop: Path) -> None:
    place = project({"skillpm.yaml": TOP})
    place.call("install", "plain", "--dry-run").ok()
    assert snapshot(place.root) == snapshot(project({"skillpm.yaml": TOP}).root)


class TestInit:
    """``skillpm init``."""

    def test_a_new_file_is_read_by_every_command(self, project: MakeProject) -> None:
        place = project()
        place.call("init").ok()
        place.call("sync").ok()
        place.call("config").ok()
        assert locked(place) == {}

    def test_what_is_there_is_never_overwritten(self, project: MakeProject) -> None:
        place = project({"skillpm.yaml": "mine"})
        place.call("init").fails(2, "already exists")
        assert (place.root / "skillpm.yaml").read_text() == "mine"

    def test_what_the_lock_requires_is_taken_over(self, project: MakeProject, shop: Path) -> None:
        place = project({"mine": skill_files("mine")})
        place.call("install", "top", "base<2", "./mine", "incident-triage", "--registry", shop).ok()
        before = locked(place)
        shown = place.call("init", "--dry-run").ok().out
        assert not (place.root / "skillpm.yaml").exists()
        place.call("init").ok()
        assert (place.root / "skillpm.yaml").read_text() == shown
        document = read_yaml(shown)
        assert document["requires"]["base"] == {"version": "<2", "registry": "shop"}
        assert document["requires"]["mine"] == {"path": "./mine"}
        assert document["registries"] == {"shop": "../shop"}
        (place.root / "skillpm.lock").unlink()
        place.call("sync").ok()
        assert locked(place) == before, "the file alone gives the same skills"

    def test_flags_are_written_down(self, project: MakeProject, shop: Path) -> None:
        place = project()
        place.call("init", "--registry", shop, "--agent", "claude-code").ok()
        place.call("install", "plain").ok()
        assert (place.root / ".claude/skills/plain/SKILL.md").is_file()
        place.call("init", "--agent", "claud").fails(2, "claude-code")


class TestConfusion:
    """A name is of one registry: the one that is named, else the first that knows it; never the best of several."""

    def text(self, requires: str, *registries: str) -> str:
        places = "".join(f"  {name}: ../{name}\n" for name in registries)
        return f"project: 1\nrequires:\n{requires}registries:\n{places}"

    def test_the_first_registry_that_knows_a_name_answers_for_it_alone(
        self, project: MakeProject, shop: Path, other: Path
    ) -> None:
        place = project({"skillpm.yaml": self.text('  base: "*"\n', "shop", "other")})
        place.call("sync").ok()
        assert (locked(place), sources(place)) == ({"base": "2.0"}, {"base": "registry:../shop"})
        place.write({"skillpm.yaml": self.text("  base: '>=9'\n", "shop", "other")})
        place.call("sync").fails(3, "base>=9")  # what another registry has does not count

    def test_a_named_registry_is_the_only_one(self, project: MakeProject, shop: Path, other: Path) -> None:
        place = project({"skillpm.yaml": self.text("  base: {version: '>=1', registry: other}\n", "shop", "other")})
        place.call("sync").ok()
        assert locked(place) == {"base": "9.0"}
        place.write({"skillpm.yaml": self.text("  plain: {registry: other}\n", "shop", "other")})
        place.call("sync").fails(2, "no registry knows `plain`")
        place.write({"skillpm.yaml": self.text("  plain: {registry: othr}\n", "shop", "other")})
        place.call("sync").fails(2, "did you mean `other`")

    def test_a_dependency_comes_from_the_registry_that_the_project_names_for_it(
        self, project: MakeProject, shop: Path, other: Path
    ) -> None:
        requires = "  top: '*'\n  base: {version: '<2', registry: other}\n"
        place = project({"skillpm.yaml": self.text(requires, "shop", "other")})
        place.call("sync").ok()
        assert sources(place) == {"base": "registry:../other", "top": "registry:../shop"}

    def test_a_locked_name_never_moves_to_a_registry_that_learns_it_later(
        self, project: MakeProject, shop: Path, other: Path
    ) -> None:
        place = project({"skillpm.yaml": self.text('  plain: "*"\n', "other", "shop")})
        place.call("sync").ok()
        publish(other, skill_files("plain", "99.0", body="evil\n"))
        place.call("update").ok()
        assert (locked(place), sources(place)) == ({"plain": "1.0"}, {"plain": "registry:../shop"})
        before = snapshot(place.root)
        place.call("install", "plain>=1").fails(2, "installed from registry:../shop", "--force")
        assert snapshot(place.root) == before

    @pytest.mark.parametrize("text", [None, "project: 1\n"], ids=["a lock alone", "a project file"])
    def test_a_typed_folder_never_takes_the_place_of_a_registry_s_skill_unseen(
        self, project: MakeProject, shop: Path, text: str | None
    ) -> None:
        place = project({"mine": skill_files("plain", "5.0"), **({"skillpm.yaml": text} if text else {})})
        place.call("install", "plain", "--registry", shop).ok()
        before = snapshot(place.root)
        place.call("install", "./mine").fails(2, "path:mine has a skill of that name too", "skillpm uninstall plain")
        assert snapshot(place.root) == before
        place.call("install", "./mine", "--force").ok()
        assert locked(place) == {"plain": "5.0"}

    def test_a_hand_edited_source_of_a_lock_is_out_of_date(self, project: MakeProject, shop: Path, other: Path) -> None:
        place = project({"skillpm.yaml": self.text("  base: {registry: shop}\n", "shop", "other")})
        place.call("sync").ok()
        path = place.root / "skillpm.lock"
        path.write_text(path.read_text().replace('"source": "registry:../shop"', '"source": "registry:../other"'))
        place.call("lock", "--check").fails(7, "is locked from registry:../other")


class TestPolicy:
    """Cooldown, allow and deny; a project is stricter than its user's file, never laxer."""

    def days_ago(self, days: float) -> str:
        return (datetime.now(UTC) - timedelta(days=days)).isoformat()

    def text(self, policy: str, requires: str = '  base: "*"\n') -> str:
        return f"project: 1\nrequires:\n{requires}registries: {{shop: ../shop}}\npolicy: {policy}\n"

    @pytest.fixture
    def shop(self, tmp_path: Path) -> Path:
        publish(tmp_path / "shop", skill_files("base", "1.0"), published=self.days_ago(30))
        return publish(tmp_path / "shop", skill_files("base", "2.0"), published=self.days_ago(2))

    def test_a_release_younger_than_the_cooldown_is_passed_over_and_named(
        self, project: MakeProject, shop: Path
    ) -> None:
        place = project({"skillpm.yaml": self.text("{cooldown: 7}")})
        outcome = place.call("sync").ok()
        assert locked(place) == {"base": "1.0"}
        assert "base 2.0 is younger than the cooldown allows" in outcome.err
        day = (datetime.now(UTC) - timedelta(days=7)).date().isoformat()
        assert json.loads((place.root / "skillpm.lock").read_text())["cutoff"] in (day, self.days_ago(7)[:10])
        place.write({"skillpm.yaml": self.text("{cooldown: 1}")})
        place.call("update").ok()
        assert locked(place) == {"base": "2.0"}

    def test_what_nothing_but_a_young_release_meets_is_explained(self, project: MakeProject, shop: Path) -> None:
        place = project({"skillpm.yaml": self.text("{cooldown: 7}", '  base: ">=2"\n')})
        place.call("sync").fails(3, "younger than the cooldown allows", "`base==2.0` takes that release although")
        place.write({"skillpm.yaml": self.text("{cooldown: 7}", '  base: "==2.0"\n')})
        place.call("sync").ok()

    def test_a_locked_release_is_kept_by_a_later_cooldown(self, project: MakeProject, shop: Path) -> None:
        place = project({"skillpm.yaml": self.text("{}")})
        place.call("sync").ok()
        place.write({"skillpm.yaml": self.text("{cooldown: 7}")})
        place.call("sync").ok()
        place.call("update").ok()
        assert locked(place) == {"base": "2.0"}

    def test_without_a_time_of_publication_a_release_is_young(self, project: MakeProject, shop: Path) -> None:
        publish(shop, skill_files("plain"))
        place = project({"skillpm.yaml": self.text("{cooldown: 1}", '  plain: "*"\n')})
        place.call("sync").fails(3, "plain 1.0 is without a time of publication")

    def test_bundled_skills_and_folders_know_no_cooldown(self, project: MakeProject, shop: Path) -> None:
        requires = "  mine: {path: mine}\n  incident-triage: '*'\n"
        place = project({"skillpm.yaml": self.text("{cooldown: 7}", requires), "mine": skill_files("mine")})
        place.call("sync").ok()

    @pytest.mark.parametrize("policy", ["{allow: [bundled]}", "{deny: [shop]}", "{deny: ['registry:*']}"])
    def test_a_source_that_is_not_allowed_is_refused_before_anything_is_written(
        self, project: MakeProject, shop: Path, policy: str
    ) -> None:
        place = project({"skillpm.yaml": self.text(policy)})
        before = snapshot(place.root)
        place.call("sync").fails(6, "base comes from registry:../shop", "policy")
        assert snapshot(place.root) == before

    def test_a_policy_holds_for_a_lock_that_is_there_already(self, project: MakeProject, shop: Path) -> None:
        place = project({"skillpm.yaml": self.text("{allow: [shop]}")})
        place.call("sync").ok()
        place.write({"skillpm.yaml": self.text("{allow: [bundled]}")})
        for arguments in (["sync"], ["sync", "--frozen"], ["lock", "--check"]):
            place.call(*arguments).fails(6, "policy")
        place.call("uninstall", "base").ok()  # what is forbidden can be taken away

    def test_a_project_cannot_loosen_its_user_s_policy(self, project: MakeProject, shop: Path, tmp_path: Path) -> None:
        config = write_user_config(tmp_path, "policy: {cooldown: 7, deny: ['registry:../evil*']}\n")
        place = project({"skillpm.yaml": self.text("{cooldown: 0, deny: []}")})
        place.call("sync").ok()
        assert locked(place) == {"base": "1.0"}
        rows = {item["name"]: item for item in place.call("config", "--json").ok().document["settings"]}
        assert rows["policy.cooldown"] == {"name": "policy.cooldown", "value": 7, "origin": f"{config}:2"}

    @pytest.mark.parametrize(
        "arguments", [("sync",), ("lock",), ("install", "base"), ("publish", "mine", "--registry", "acme")]
    )
    def test_a_project_cannot_redefine_a_registry_of_its_user(
        self, project: MakeProject, shop: Path, tmp_path: Path, arguments: tuple[str, ...]
    ) -> None:
        config = write_user_config(
            tmp_path, f"registries: {{acme: {tmp_path}/good}}\npolicy: {{allow: [acme, bundled]}}\n"
        )
        place = project({"skillpm.yaml": self.text("{}").replace("shop: ", "acme: "), "mine": skill_files("mine")})
        before = snapshot(tmp_path)
        says = ("`acme` is ../shop in skillpm.yaml:4 and ", f"/good in {config}:2", "rename `acme`")
        place.call(*arguments).fails(6, *says)
        assert snapshot(tmp_path) == before
        write_user_config(tmp_path, f"registries: {{acme: {shop}}}\npolicy: {{allow: [acme, bundled]}}\n")
        place.write({"skillpm.yaml": self.text("{}").replace("shop: ../shop", f"acme: {shop}/")})
        place.call("sync").ok()

    @pytest.mark.parametrize(
        "pattern", ["registry:{}", "registry:file://{}", "file://{}", "{}", "registry:*/shop", "/*"]
    )
    def test_a_user_s_policy_means_a_folder_by_its_absolute_path_however_it_is_typed(
        self, project: MakeProject, shop: Path, tmp_path: Path, pattern: str
    ) -> None:
        write_user_config(tmp_path, f"policy: {{deny: ['{pattern.format(shop)}']}}\n")
        for typed in ("../shop", f"{shop}/", f"file://{shop}"):
            project().call("install", "base", "--registry", typed).fails(6, "`deny` has")
        write_user_config(tmp_path, f"policy: {{signatures: {{'{pattern.format(shop)}': required}}}}\n")
        project().call("install", "base", "--registry", shop).fails(6, "has no signature")

    def test_a_folder_of_the_project_is_not_a_user_s_registry_of_that_name(
        self, project: MakeProject, shop: Path, tmp_path: Path
    ) -> None:
        place = project({"skillpm.yaml": "project: 1\nrequires: {base: '*'}\nregistries: {other: ./shop}\n"})
        shutil.copytree(shop, place.root / "shop")
        write_user_config(tmp_path, "policy: {allow: [shop]}\n")
        place.call("sync").fails(6, "base comes from registry:shop", "`allow` does not have it")

    @pytest.mark.parametrize("policy", ["{allow: [acme]}", "{allow: [bundled]}", "{deny: [acme], allow: [acme]}"])
    def test_a_name_in_a_user_s_policy_means_no_registry_of_a_project(
        self, project: MakeProject, shop: Path, tmp_path: Path, policy: str
    ) -> None:
        write_user_config(tmp_path, f"policy: {policy}\n")
        place = project({"skillpm.yaml": self.text("{}").replace("shop: ", "acme: ")})
        place.call("sync").fails(6, "base comes from registry:../shop", "`allow` does not have it")


class TestAgents:
    """The agents that a project lists are the ones whose folders are filled."""

    def text(self, agents: str) -> str:
        return f"project: 1\nrequires: {{plain: '*'}}\nregistries: {{shop: ../shop}}\n{agents}"

    def test_agents_folders_are_filled_and_emptied_as_the_file_says(self, project: MakeProject, shop: Path) -> None:
        place = project({"skillpm.yaml": self.text("agents: [claude-code]\nlink: symlink\n")})
        place.call("sync").ok()
        assert (place.root / ".claude/skills/plain").is_symlink()
        place.write({"skillpm.yaml": self.text("agents: []\n")})
        place.call("sync").ok()
        assert not (place.root / ".claude/skills/plain").exists()
        place.call("sync", "--agent", "claude-code").fails(2, "skillpm.yaml lists the agents")
        place.write({"skillpm.yaml": self.text("agents: [claud]\n")})
        place.call("sync").fails(2, "claude-code")

    def test_where_a_project_file_lists_no_agents_earlier_installs_are_remembered(
        self, project: MakeProject, shop: Path
    ) -> None:
        place = project({"skillpm.yaml": self.text("")})
        place.call("sync", "--agent", "claude-code").ok()
        place.write({"skillpm.yaml": self.text("# changed\n")})
        place.call("sync").ok()
        assert (place.root / ".claude/skills/plain").is_dir()

    def test_an_agent_of_an_install_is_written_down(self, project: MakeProject, shop: Path) -> None:
        place = project({"skillpm.yaml": self.text("agents: [claude-code]  # ours\n")})
        place.call("install", "--agent", "goose").ok()
        assert "agents: [claude-code, goose]  # ours\n" in (place.root / "skillpm.yaml").read_text()
        text = (place.root / "skillpm.yaml").read_text()
        place.call("install", "base", "--agent", "goose", "--agent", "claude-code").ok()
        assert (place.root / "skillpm.yaml").read_text().count("goose") == text.count("goose")
        for agent in (".claude", ".goose"):
            assert (place.root / agent / "skills/base").is_dir()
        place.call("sync", "--locked").ok()
        place.call("install").ok()

    def test_all_agents_are_those_that_are_found_here(self, project: MakeProject, shop: Path) -> None:
        place = project({"skillpm.yaml": self.text(""), ".goose": {"x": ""}})
        place.call("install", "--agent", "all").ok()
        listed = read_yaml((place.root / "skillpm.yaml").read_text())["agents"]
        assert "goose" in listed and "all" not in listed
        assert (place.root / ".goose/skills/plain").is_dir()

    def test_a_first_list_has_the_agents_that_were_filled_before(self, project: MakeProject, shop: Path) -> None:
        place = project({"skillpm.yaml": self.text("")})
        place.call("sync", "--agent", "claude-code").ok()
        place.call("install", "--agent", "goose", "--dry-run").ok()
        assert "agents" not in (place.root / "skillpm.yaml").read_text()
        place.call("install", "--agent", "goose").ok()
        assert read_yaml((place.root / "skillpm.yaml").read_text())["agents"] == ["claude-code", "goose"]
        assert (place.root / ".claude/skills/plain").is_dir()

    def test_verify_looks_where_the_file_says(self, project: MakeProject, shop: Path) -> None:
        place = project({"skillpm.yaml": self.text("agents: [claude-code]\n")})
        place.call("sync").ok()
        place.write({"skillpm.yaml": self.text("agents: [goose]\n")})
        problems = place.call("verify", "--json").fails(1).document["problems"]
        assert [(item["place"], item["kind"]) for item in problems] == [(".goose/skills/plain", "missing")]


@pytest.mark.attack(72)
@pytest.mark.parametrize("command", [["sync"], ["update"], ["install", "base>=2"], ["install"]])
def test_an_edited_skill_is_kept_and_nothing_is_changed_beside_it(
    project: MakeProject, shop: Path, command: list[str]
) -> None:
    place = project({"skillpm.yaml": TOP})
    place.call("sync").ok()
    place.write({UNIVERSAL: {"top": {"SKILL.md": "mine\n"}}})
    if command[0] == "install" and len(command) > 1:
        place.write({"skillpm.yaml": TOP.replace("top", "plain")})
    before = snapshot(place.root)
    place.call(*command).fails(2, f"{UNIVERSAL}/top was edited", "--force")
    assert snapshot(place.root) == before
    place.call(*command, "--force").ok()
    assert (place.root / ".skillpm/kept/top/SKILL.md").read_text() == "mine\n"


@pytest.mark.parametrize("command", ["sync", "update", "lock", "install"])
def test_without_project_file_and_lock_there_is_nothing_to_do(project: MakeProject, command: str) -> None:
    place = project()
    place.call(command).fails(2, "there is no skillpm.", "run `skillpm")
    assert not snapshot(place.root)


@pytest.mark.parametrize("text", ["project: 1\nrequires: [x]\n", "project: 1\nrequries: {}\n", "project: 1\n- x"])
def test_a_project_file_that_is_wrong_stops_every_command_with_its_line(
    project: MakeProject, shop: Path, text: str
) -> None:
    place = project({"skillpm.yaml": text})
    before = snapshot(place.root)
    for command in (["sync"], ["lock"], ["install", "plain", "--registry", shop], ["update"], ["config"]):
        place.call(*command).fails(2, "skillpm.yaml:2: ")
    assert snapshot(place.root) == before


@pytest.mark.parametrize(
    "value",
    [
        "requires: {one: {git: not a url}}",
        "requires: {one: {git: 'https://host/x#frag'}}",
        "requires: {one: {git: 'https://me:secret@host/x'}}",
        "requires: {one: {git: 'https://host/x', ref: '-x'}}",
        "requires: {one: {archive: 'ftp://host/x.zip'}}",
        "requires: {one: {path: ./none}}",
        "requires: {one: {registry: none}}",
        "requires: {one: '*'}\nregistries: {bad: 'ftp://host'}",
        "requires: {one: '*'}\nregistries: {bad: 'oci://'}",
        "requires: {one: {registry: bad}}\nregistries: {bad: 'https://host:99999/'}",
        "requires: {}\nagents: [none]",
    ],
)
def test_a_value_of_the_project_file_that_cannot_be_used_is_told_with_its_line(
    project: MakeProject, value: str
) -> None:
    place = project({"skillpm.yaml": f"project: 1\n\n{value}\n"})
    refused = place.call("sync", "--offline")
    assert refused.code in (2, 5) and f"error: skillpm.yaml:{2 + len(value.splitlines())}: " in refused.err, refused


@pytest.mark.parametrize("command", ["sync", "lock", "list", "config"])
def test_a_folder_or_a_pipe_in_place_of_a_document_is_named(project: MakeProject, command: str) -> None:
    place = project({"skillpm.yaml": {"inside": "x"}})
    place.call(command).fails(6, "skillpm.yaml is a directory, not a regular file", "move it away")
    shutil.rmtree(place.root / "skillpm.yaml")
    os.mkfifo(place.root / "skillpm.yaml")
    place.call(command).fails(6, "skillpm.yaml is a named pipe, not a regular file", "move it away")
    if command in ("sync", "list"):
        place.write({"skillpm.lock": {"inside": "x"}})
        (place.root / "skillpm.yaml").unlink()
        place.call(command).fails(6, "skillpm.lock: Is a directory", "a folder stands where a file is needed")


def test_a_registry_of_the_user_that_cannot_be_used_is_told_with_its_line(project: MakeProject, tmp_path: Path) -> None:
    place = project({"skillpm.yaml": "project: 1\nrequires: {one: '*'}\n"})
    config = write_user_config(tmp_path, "registries:\n  good: https://host\n  bad: ftp://host\n")
    place.call("sync", "--offline").fails(5, f"error: {config}:4: `ftp://host`")
