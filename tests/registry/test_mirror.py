"""Copies of registries and of locks: what they have, what is refused, and that they install offline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from skillpm.errors import RegistryError, SkillpmError, UsageError
from skillpm.index.directory import DirectoryIndex
from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.well_known import INDEX
from skillpm.model.release import Release
from skillpm_registry.command import group
from skillpm_registry.upkeep import damages
from tests.index.signed_shop import SignedShop
from tests.registry.conftest import listening
from tests.shop import MakeProject, publish, skill_files


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLPM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def mirror(folder: Path, *words: str | Path) -> Result:
    """Run the command; raise its error."""
    done = CliRunner().invoke(group, ["mirror", "--data", str(folder), *map(str, words)], catch_exceptions=True)
    if isinstance(done.exception, SkillpmError):
        raise done.exception
    return done


def releases(folder: Path, name: str) -> dict[str, Release]:
    page = DirectoryIndex(folder, "copy").page(name)
    return {release.version: release for release in page.releases} if page else {}


def test_a_copy_has_every_release_of_its_source_and_takes_over_yanks(shop: Path, tmp_path: Path) -> None:
    source, copy = FolderRegistry(shop, "shop"), tmp_path / "copy"
    source.yank("base", "1.1", "broken")

    first = mirror(copy, shop)

    assert first.exit_code == 1, "lost requires what nobody has"
    assert "nowhere" in first.stderr
    for name in source.names():
        assert releases(copy, name) == releases(shop, name)
    listed = json.loads((copy / "listing.json").read_text())["skills"]
    assert [item["name"] for item in listed] == source.names()

    source.quarantine("base", "2.0", "under\nsuspicion")
    FolderRegistry(copy, "copy").yank("plain", "1.0", "not for us")
    publish(shop, {"SKILL.md": "---\nname: new\ndescription: New.\n---\nNew.\n"})
    again = mirror(copy, shop)
    assert again.stdout.split() == ["new", releases(shop, "new").popitem()[0]]
    assert releases(copy, "base")["2.0"].quarantined == "under\nsuspicion"
    assert "as in the source, base 2.0 is put into quarantine: under\\nsuspicion\n" in again.stderr
    assert "base 1.1 is yanked: broken" in first.stderr and "yanked" not in again.stderr
    assert releases(copy, "plain")["1.0"].yanked == "not for us"  # nobody else lifts it


def test_only_what_is_approved_is_let_in_with_what_it_requires(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "approved.txt").write_text("# reviewed by ana\ntop\n\nplain==1.0  # small\n")

    done = mirror(tmp_path / "copy", shop, "--approved", tmp_path / "approved.txt")

    assert done.exit_code == 0, done.output
    assert sorted(done.stdout.split("\n")[:-1]) == ["base 1.0", "base 1.1", "plain 1.0", "top 1.0"]


def test_a_folder_is_the_copy_of_one_source_and_nobody_publishes_to_it(
    shop: Path, tmp_path: Path, project: MakeProject
) -> None:
    copy, other = tmp_path / "copy", publish(tmp_path / "other", skill_files("base", "9.0"))
    mirror(copy, shop, "plain")

    with pytest.raises(UsageError, match="is a copy of"):
        mirror(copy, other)
    with pytest.raises(UsageError, match="a registry of its own"):
        mirror(other, shop)
    with pytest.raises(RegistryError, match="is not a folder"):
        mirror(tmp_path / "new", tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()
    assert str(tmp_path) not in (copy / "config.json").read_text()  # everybody reads it
    mine = project({"mine": skill_files("mine")})
    mine.call("publish", "mine", "--registry", copy, "--no-sign").fails(5, "is a copy of", "publish to the original")


def test_bytes_that_are_not_what_a_page_says_are_not_copied(shop: Path, tmp_path: Path) -> None:
    release = releases(shop, "plain")["1.0"]
    other = releases(shop, "top")["1.0"]
    archives = [shop / f"archives/{item.archive[:2]}/{item.archive[2:]}.tar.gz" for item in (release, other)]
    archives[0].write_bytes(archives[1].read_bytes())

    done = mirror(tmp_path / "copy", shop, "plain", "base")

    assert done.exit_code == 1
    assert "plain: the archive of plain 1.0" in done.stderr
    assert releases(tmp_path / "copy", "plain") == {}
    assert set(releases(tmp_path / "copy", "base")) == {"1.0", "1.1", "2.0"}


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"version": "9.0"}, "version 9.0"),
        ({"requires": {"evil": "*"}}, "requirements evil"),
        ({"hooks": 0}, "hooks 0"),
        ({"adapter": "acme/other"}, "adapter acme/other"),
    ],
)
def test_a_page_that_claims_what_its_skill_does_not_say_is_not_copied(
    shop: Path, tmp_path: Path, claim: dict[str, Any], said: str
) -> None:
    """An old release, with the fault that the next one mends, would come as the newest."""
    page = json.loads((shop / "skills/plain.json").read_text())
    page["releases"][0] |= claim
    (shop / "skills/plain.json").write_text(json.dumps(page))
    done = mirror(tmp_path / "copy", shop, "plain")
    assert done.exit_code == 1 and f"claims {said}" in done.stderr, done.stderr
    assert releases(tmp_path / "copy", "plain") == {}
    assert [line.partition(":")[0] for line in damages(shop)] == [f"plain {page['releases'][0]['version']}"]


def test_a_release_that_the_source_does_not_have_stops_its_name(shop: Path, tmp_path: Path) -> None:
    mirror(tmp_path / "copy", shop, "plain", "base")
    configuration = (tmp_path / "copy/config.json").read_text()
    (tmp_path / "copy/config.json").write_text('{"registry": 1, "name": "copy"}\n')
    publish(tmp_path / "copy", skill_files("plain", "7.0"))
    (tmp_path / "copy/config.json").write_text(configuration)

    done = mirror(tmp_path / "copy", shop, "plain", "base")

    assert "plain: the copy has plain 7.0, which its source does not have" in done.stderr


def test_signatures_stay_and_the_log_of_the_source_is_checked(tmp_path: Path) -> None:
    signed = SignedShop.make(tmp_path)
    signed.publish("demo", "1.0")
    copy = tmp_path / "copy"

    done = mirror(copy, signed.root)

    assert "log that were checked, and are not copied: 1" in done.stderr
    (release,) = releases(copy, "demo").values()
    assert release.proof is None
    for page in (signed.root / "skills").glob("*demo.json"):
        page.write_text(page.read_text().replace('"yanked": false', '"yanked": true'))
    assert "has another content" in mirror(tmp_path / "other", signed.root).stderr


def test_a_site_is_copied_and_what_it_forgets_stays(tmp_path: Path) -> None:
    root = publish(tmp_path / "shop", skill_files("demo", "1.0"))
    copy = tmp_path / "copy"
    with listening(root) as address:
        assert mirror(copy, f"{address}/{INDEX}").stdout == "demo 1.0\n"
        assert mirror(tmp_path / "whole", address, "demo").stdout == "demo 1.0\n"
    assert releases(copy, "demo")["1.0"].tree == releases(root, "demo")["1.0"].tree


def test_a_lock_installs_offline_from_its_frozen_folder_alone(shop: Path, tmp_path: Path, project: MakeProject) -> None:
    here = project({"vendor": skill_files("own", "3.0")})
    here.call("install", "top", "./vendor", "incident-triage", "--registry", shop).ok()
    frozen = tmp_path / "frozen"
    done = mirror(frozen, "--freeze", here.root / "skillpm.lock")
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 5), done.output
    shutil.rmtree(shop)

    shutil.rmtree(here.environment["SKILLPM_HOME"])
    shutil.rmtree(here.root / "vendor")
    shutil.rmtree(here.root / ".agents")
    before = (here.root / "skillpm.lock").read_bytes()
    here.call("sync", "--frozen", "--offline").fails(5)
    here.call("sync", "--frozen", "--offline", "--registry", tmp_path / "forzen").fails(5, "forzen is not a folder")
    here.call("sync", "--frozen", "--offline", "--registry", frozen).ok()

    assert (here.root / ".agents/skills/own/SKILL.md").is_file()
    assert (here.root / ".agents/skills/base/SKILL.md").is_file()
    assert (here.root / "skillpm.lock").read_bytes() == before
    other = project()
    other.call("install", "top", "--offline", "--registry", frozen).ok()


def test_a_quarantine_of_the_frozen_folder_stops_a_frozen_sync(
    shop: Path, tmp_path: Path, project: MakeProject
) -> None:
    here, frozen = project(), tmp_path / "frozen"
    here.call("install", "plain", "--registry", shop).ok()
    mirror(frozen, "--freeze", here.root / "skillpm.lock")
    FolderRegistry(frozen, "frozen").quarantine("plain", "1.0", "under suspicion")
    shutil.rmtree(here.environment["SKILLPM_HOME"])
    shutil.rmtree(here.root / ".agents")

    here.call("sync", "--frozen", "--registry", frozen).fails(6, "in quarantine")


def test_what_the_owner_of_a_copy_said_is_never_lifted(shop: Path, tmp_path: Path) -> None:
    source, copy = FolderRegistry(shop, "shop"), tmp_path / "copy"
    mirror(copy, shop, "plain", "top")
    ours = FolderRegistry(copy, "copy")
    ours.set_status("plain", "archived", "not for us")
    ours.set_status("top", "deprecated", "ours")
    for name, status in (("plain", "deprecated"), ("top", "deprecated"), ("base", "deprecated")):
        source.set_status(name, status, "theirs")  # type: ignore[arg-type]

    mirror(copy, shop, "plain", "top")
    seen = {name: page for name in ("plain", "top", "base") if (page := ours.page(name))}
    assert {name: (page.status, page.reason) for name, page in seen.items()} == {
        "plain": ("archived", "not for us"),
        "top": ("deprecated", "ours"),
        "base": ("deprecated", "theirs"),
    }
    source.set_status("top", "archived", "gone")
    mirror(copy, shop, "top")
    page = ours.page("top")
    assert page and (page.status, page.reason) == ("archived", "gone")


def test_a_requirement_that_no_release_fits_is_said(shop: Path, tmp_path: Path) -> None:
    done = mirror(tmp_path / "copy", shop, "plain>=9", "top")
    assert done.exit_code == 1
    assert "plain: " in done.stderr and "no release that fits `plain>=9`" in done.stderr
    assert releases(tmp_path / "copy", "top")


def test_files_that_cannot_be_read_are_said_before_a_folder_is_made(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"plain\n\xff\xfe\n")
    (tmp_path / "skillpm.lock").write_text("no lock: [\n")
    for words in ((shop, "--approved", tmp_path / "list.txt"), ("--freeze", tmp_path / "skillpm.lock")):
        with pytest.raises(SkillpmError):
            mirror(tmp_path / "copy", *words)
        assert not (tmp_path / "copy").exists()
    (tmp_path / "list.txt").write_text("plain\n")
    with pytest.raises(UsageError) as both:
        mirror(tmp_path / "copy", "--freeze", tmp_path / "skillpm.lock", "--approved", tmp_path / "list.txt")
    assert both.value.hint == "remove `--approved`, or name SOURCE instead"
    (tmp_path / "list.txt").write_text("plain\n\nplain >\n")
    with pytest.raises(UsageError, match=r"list\.txt:3: "):
        mirror(tmp_path / "copy", shop, "--approved", tmp_path / "list.txt")


def test_a_source_may_be_a_name_of_the_settings(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "skillpm.yaml").write_text(f"project: 1\nregistries: {{team: {shop}}}\n")
    assert mirror(tmp_path / "copy", "team", "plain").stdout == "plain 1.0\n"
    assert mirror(tmp_path / "copy", shop, "plain").exit_code == 0  # it is the same source


def test_a_folder_with_two_locks_says_so(shop: Path, tmp_path: Path, project: MakeProject) -> None:
    one, other, frozen = project(), project(), tmp_path / "frozen"
    one.call("install", "plain", "--registry", shop).ok()
    other.call("install", "base", "--registry", shop).ok()
    assert "other locks" not in mirror(frozen, "--freeze", one.root / "skillpm.lock").stderr
    assert "1 releases of other locks, too: plain 1.0" in mirror(frozen, "--freeze", other.root / "skillpm.lock").stderr
