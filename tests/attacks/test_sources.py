"""Attacks 42 to 51: names that deceive, registries that lie, and releases that should not be taken."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skillpm.model.key import PrivateKey
from skillpm.model.name import look_alike
from tests.attacks.world import World, attacks, skill_text
from tests.servers import Shop, answering
from tests.shop import MakeProject

LOOK_ALIKES: dict[str, tuple[str, str]] = {
    "42 a digit for a letter": ("log-query", "1og-query"),
    "42 no hyphen": ("log-query", "logquery"),
    "42 two letters like one": ("format-md", "forrnat-md"),
    "42 a letter too many": ("log-query", "log-querry"),
    "42 a letter left out": ("log-query", "log-quey"),
    "42 another letter": ("log-query", "log-qvery"),
    "42 letters swapped": ("log-query", "log-qurey"),
    "42 an owner": ("acme/log-query", "acrne/log-query"),
}


@pytest.mark.parametrize("attack", attacks(LOOK_ALIKES))
def test_a_name_that_looks_like_a_published_one_is_not_published(world: World, attack: str) -> None:
    there, new = LOOK_ALIKES[attack]
    world.offer_skill(there)
    owner, _, name = new.rpartition("/")
    world.place.write({"new": {"SKILL.md": skill_text(name), "skill.yaml": "manifest: 1\nversion: '1.0'\n"}})
    publish = ("publish", "new", "--registry", str(world.shop), *(["--owner", owner] if owner else []))
    before = {path: path.read_bytes() for path in world.shop.rglob("*") if path.is_file()}
    world.refuses(*publish, code=5, says=(f"`{new}` looks like `{there}`", f"--like {there}"))
    assert {path: path.read_bytes() for path in world.shop.rglob("*") if path.is_file()} == before
    unknown = ("--like", there[:-1])
    for state in ("a new name", "a published one"):
        world.refuses(*publish, *unknown, code=2, says=(f"`--like {there[:-1]}`: ", f"did you mean `{there}`"))
        world.place.call(*publish, *(("--like", there) if state == "a new name" else ())).ok()


@pytest.mark.attack(42)
@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("skill-1", "skill-2"),
        ("top", "tap"),
        ("acme/base", "base"),
        ("acme/base", "acme/bose"),
        ("shell", "shell-tools"),
    ],
)
def test_names_that_nobody_mistakes_are_let_through(name: str, other: str) -> None:
    assert look_alike(name, [other, name]) is None


@pytest.mark.attack(43)
def test_a_name_comes_from_the_registry_that_is_named_alone(world: World) -> None:
    """The higher version of another registry is never looked at, nor taken where the named one has none that fits."""
    team = World(world.place, world.root / "elsewhere")
    team.root.mkdir()
    team.offer_skill("secret")
    world.offer_skill("secret", "99.0", body="evil\n")
    world.place.write({"skillpm.yaml": "project: 1\nregistries: {public: ../shop, team: ../elsewhere/shop}\n"
                       "requires: {secret: {version: '>=1', registry: team}, kept: {path: kept}}\n"})  # fmt: skip
    world.place.call("sync").ok()
    assert (world.lock()["secret"]["version"], world.lock()["secret"]["source"]) == (
        "1.0",
        "registry:../elsewhere/shop",
    )
    text = (world.place.root / "skillpm.yaml").read_text()
    world.place.write({"skillpm.yaml": text.replace(">=1", ">=99")})
    world.refuses("sync", code=3, says=("secret>=99",))
    world.place.write({"skillpm.yaml": text.replace("registry: team", "registry: taem")})
    world.refuses("sync", code=2, says=("skillpm.yaml", "`taem`", "`team`"))


@pytest.mark.attack(44)
def test_other_bytes_for_a_locked_version_are_an_error_with_both_digests(world: World) -> None:
    world.place.call("install", "good", "--registry", world.shop).ok()
    locked = world.lock()["good"]
    world.offer_skill("good", body="other\n")
    other = world.releases["good"][0]["tree"]
    world.refuses("install", "good", "--registry", world.shop, code=4, says=("good 1.0", locked["tree"], other))
    old = world.shop / f"archives/{locked['archive'][:2]}/{locked['archive'][2:]}.tar.gz"
    shutil.copy(world.shop / f"archives/{world.releases['good'][0]['archive'][:2]}/"
                f"{world.releases['good'][0]['archive'][2:]}.tar.gz", old)  # fmt: skip
    fresh: dict[str, Any] = {"SKILLPM_HOME": str(world.root / "fresh")}
    said = world.place.call("install", **fresh).fails(4, "good 1.0", locked["archive"][:16])
    assert world.releases["good"][0]["archive"][:16] in said.err
    assert not list((world.root / "fresh").glob(f"data/store/tree-v1/{other}"))


ADDRESSES = [
    "git+https://example.org/x",
    "https://example.org/x.tar.gz",
    "file:///etc",
    "../x",
    "path:../x",
    ">=1 @ bundled",
]


@pytest.mark.attack(45)
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_skill_cannot_require_an_address(world: World, address: str) -> None:
    manifest = f"manifest: 1\nversion: '1.0'\nrequires: {{good: '{address}'}}\n"
    world.place.write({"bad": {"SKILL.md": skill_text(), "skill.yaml": manifest}})
    world.refuses("install", "./bad", code=1, says=("skill.yaml:3", "requires"))
    world.place.write({"bad": {"skill.yaml": manifest.replace(f"good: '{address}'", f"'{address}': ''")}})
    world.refuses("install", "./bad", code=1, says=("skill.yaml:3", "requires"))
    world.offer_skill("lying")
    world.releases["lying"][0]["requires"] = {"good": address}
    world.write_page("lying")
    world.refuses("install", "lying", "--registry", world.shop, code=5, says=("skills/lying.json", "version specifier"))


REDIRECTS: dict[str, tuple[str, str]] = {
    "46 a file": ("file:///etc/passwd", "not an address that may be followed"),
    "46 another scheme": ("ftp://127.0.0.1/x", "not an address that may be followed"),
    "46 with a login": ("http://me:secret@127.0.0.1/x", "not an address that may be followed"),
    "46 nowhere": ("", "not an address that may be followed"),
}


@pytest.mark.parametrize("attack", attacks(REDIRECTS))
@pytest.mark.parametrize("what", ["page", "archive"])
def test_a_redirect_leads_nowhere_else(world: World, site: Shop, attack: str, what: str) -> None:
    location, says = REDIRECTS[attack]
    digest = world.releases["good"][0]["archive"]
    path = "/skills/good.json" if what == "page" else f"/archives/{digest[:2]}/{digest[2:]}.tar.gz"
    site.answers[path] = answering(302, Location=location)
    world.refuses("install", "good", "--registry", site.url, code=5, says=(path, says))


@pytest.mark.attack(47)
def test_the_page_of_another_skill_is_refused(world: World, site: Shop) -> None:
    world.offer_skill("evil")
    (world.shop / "skills/good.json").write_bytes((world.shop / "skills/evil.json").read_bytes())
    says = ("skills/good.json", "is the page of `evil`, not of `good`")
    world.refuses("install", "good", "--registry", world.shop, code=5, says=says)
    world.refuses("install", "good", "--registry", site.url, code=5, says=says)


@pytest.mark.attack(47)
def test_the_archive_of_another_skill_is_refused(world: World) -> None:
    world.offer_skill("evil")
    world.releases["good"] = world.releases["evil"]
    world.write_page("good")
    world.refuses("install", "good", "--registry", world.shop, code=4, says=("claims name good", "the skill has evil"))


@pytest.mark.attack(48)
@pytest.mark.parametrize("behind", ["folder", "server"])
def test_a_yanked_release_is_not_taken_anew_and_installs_from_a_lock_with_a_warning(
    world: World, site: Shop, project: MakeProject, behind: str
) -> None:
    place = world.shop if behind == "folder" else site.url
    world.place.call("install", "good", "--registry", place).ok()
    world.offer_skill("good", yanked="loses data")
    fresh: dict[str, Any] = {"SKILLPM_HOME": str(world.root / "fresh")}
    for arguments in (["install"], ["sync", "--frozen"], ["sync", "--locked"]):
        shutil.rmtree(world.root / "fresh", ignore_errors=True)
        done = world.place.call(*arguments, **fresh).ok()
        assert "warning: good 1.0, which is locked, was yanked: loses data" in done.err
        assert "its source has no other release" in done.err
    told = world.place.call("outdated", "--json").fails(1).document["skills"]
    assert [(item["state"], item["reason"]) for item in told if item["name"] == "good"] == [("yanked", "loses data")]
    other = World(project(), world.root)
    other.place.call("install", "good", "--registry", place).fails(3, "good 1.0 was yanked (loses data)", "hint: ")
    assert not (other.place.root / "skillpm.lock").exists()


@pytest.mark.attack(49)
def test_a_quarantined_release_is_not_installed_even_from_a_lock(world: World, project: MakeProject) -> None:
    world.place.call("install", "good", "--registry", world.shop).ok()
    world.offer_skill("good", quarantined="sends keys away")
    fresh: dict[str, Any] = {"SKILLPM_HOME": str(world.root / "fresh")}
    for arguments in (["install"], ["sync", "--frozen"]):
        world.refuses(*arguments, code=6, says=("good 1.0 is in quarantine", "sends keys away", "--allow"), **fresh)
        assert not list((world.root / "fresh").glob(f"data/store/tree-v1/{world.lock()['good']['tree']}"))
    world.refuses("install", "good", "--registry", world.shop, code=6, says=("good 1.0 is in quarantine",))
    world.place.call("install", "--allow", "other:quarantined", **fresh).fails(6)
    world.place.call("install", "--allow", "good:quarantined", **fresh).ok()
    assert "quarantined: sends keys away" in world.place.call("outdated").fails(1).out
    other = project()
    other.call("install", "good", "--registry", world.shop).fails(3, "good 1.0 is in quarantine (sends keys away)")
    world.offer_skill("good", "1.1")
    other.call("install", "good", "--registry", world.shop).ok()


@pytest.mark.attack(50)
def test_another_owner_or_source_never_takes_a_skill_s_place(world: World) -> None:
    world.offer_skill("kept", "9.0", body="evil\n")
    world.refuses(
        "install", "kept>=1", "--registry", world.shop, code=2, says=("kept is installed from path:kept", "--force")
    )
    world.offer_skill("evil/kept", "9.0")
    world.refuses("install", "evil/kept", "--registry", world.shop, code=2, says=("`evil/kept`", "the folder `kept`"))


@pytest.mark.attack(50)
def test_what_was_signed_stays_signed(world: World, project: MakeProject) -> None:
    world.sign("good")
    world.place.call("install", "good", "--registry", world.shop).ok()
    world.offer_skill("good", "1.1")
    for arguments in (["update"], ["install", "good>1", "--registry", world.shop]):
        world.refuses(*arguments, code=4, says=("good 1.1 has no signature", "1.0, which is locked, is signed by"))
    says = "good 1.1 has no signature; 1.0, which is older, has one"
    project().call("install", "good", "--registry", world.shop).fails(4, says)
    world.place.call("update", "--allow-signer-change", "good").ok()
    assert "signer" not in world.lock()["good"]


@pytest.mark.attack(50)
def test_another_signer_is_refused_and_both_are_named(world: World) -> None:
    world.sign("good")
    world.place.call("install", "good", "--registry", world.shop).ok()
    first, second = (str(PrivateKey(bytes([number]) * 32).public) for number in (1, 2))
    assert world.lock()["good"]["signer"] == first
    world.sign("good", "1.1", seed=2)
    for arguments in (["update"], ["lock", "--upgrade"], ["install", "good>1", "--registry", world.shop]):
        says = (f"good 1.1 is signed by {second[:24]}", f"1.0, which is locked, is signed by {first[:24]}")
        world.refuses(*arguments, code=4, says=(*says, "--allow-signer-change good"))
    world.refuses("update", "--allow-signer-change", "other", code=4, says=("good 1.1 is signed by",))
    world.place.call("update", "--allow-signer-change", "good").ok()
    assert world.lock()["good"]["signer"] == second
    world.sign("good", "1.2", seed=2)
    world.place.call("update").ok()


@pytest.mark.attack(50)
def test_a_statement_about_other_bytes_is_refused(world: World) -> None:
    """The signature is valid, and it is about another release."""
    world.sign("good", body="Do good.\n")
    signature = world.releases["good"][0]["signature"]
    for name, version in (("good", "1.0"), ("good", "1.1"), ("other", "1.0")):
        world.offer_skill(name, version, body="Do evil.\n", signature=signature)
        for policy in ("when-present", "required"):
            world.place.write({"skillpm.yaml": f"project: 1\npolicy: {{signatures: {policy}}}\n"})
            says = (f"did not sign {name} {version} with this content",)
            world.refuses("install", f"{name}=={version}", "--registry", world.shop, code=4, says=says)


@pytest.mark.parametrize(
    ("signatures", "unsigned", "signed", "trusted"),
    [
        ("off", 0, 0, 0),
        ("when-present", 0, 0, 0),
        ("required", 6, 0, 0),
        ("trusted", 6, 6, 0),
        ("{'registry:*': required}", 6, 0, 0),
        ("{'https:*': required}", 0, 0, 0),
        ("{shop: trusted}", 6, 6, 0),
    ],
)
def test_a_policy_says_which_signatures_are_needed(
    world: World, signatures: str, unsigned: int, signed: int, trusted: int
) -> None:
    world.offer_skill("plain")
    world.sign("good")
    text = f"project: 1\nregistries: {{shop: {world.shop}}}\npolicy: {{signatures: {signatures}}}\n"
    for name, code in (("plain", unsigned), ("good", signed)):
        world.place.write({"skillpm.yaml": text})
        assert world.place.call("install", name).code == code
    world.place.call("key", "trust", "alice", str(PrivateKey(bytes([1]) * 32).public)).ok()
    world.place.write({"skillpm.yaml": text})
    assert world.place.call("install", "good").code == trusted


@pytest.mark.parametrize("pattern", ["http://*", "registry:http://*"])
def test_a_policy_means_a_registry_by_its_address_too(world: World, site: Shop, pattern: str) -> None:
    world.offer_skill("plain")
    for policy, says in (
        (f"signatures: {{'{pattern}': required}}", "has no signature"),
        (f"deny: ['{pattern}']", "deny"),
    ):
        world.place.write({"skillpm.yaml": f"project: 1\npolicy: {{{policy}}}\n"})
        world.refuses("install", "plain", "--registry", site.url, code=6, says=(says,))


@pytest.mark.parametrize("policy", ["deny: ['*127.0.0.1*']", "allow: [bundled, 'git+https://127.0.0.1:1/y@*']"])
def test_a_source_that_no_policy_allows_gets_no_request(world: World, site: Shop, policy: str) -> None:
    world.offer_skill("plain")
    registries = (
        f"registries: {{site: {site.url}, wk: '{site.url}/.well-known/agent-skills', oci: 'oci://127.0.0.1:1/a'}}"
    )
    world.place.write({"skillpm.yaml": f"project: 1\n{registries}\npolicy: {{{policy}}}\n"})
    for words in (
        ("install", "plain"),
        ("install", "plain", "--registry", "oci://127.0.0.1:1/a"),
        ("install", f"{site.url}/.well-known/agent-skills"),
        ("install", "git+https://127.0.0.1:1/x"),
        ("install", "git@127.0.0.1:x"),
        ("show", "plain"),
    ):
        world.refuses(*words, code=6, says=("the policy does not allow",))
    assert "the policy does not allow" in world.place.call("search", "plain").err
    assert site.seen == []


def test_a_frozen_lock_without_a_needed_signer_is_refused(world: World) -> None:
    world.offer_skill("plain")
    world.place.call("install", "plain", "--registry", world.shop).ok()
    world.place.write({"skillpm.yaml": "project: 1\npolicy: {signatures: required}\n"})
    says = ("plain 1.0 has no signature, and `policy.signatures` requires one",)
    world.refuses("sync", "--frozen", code=6, says=says, SKILLPM_HOME=str(world.root / "fresh"))


@pytest.mark.attack(51)
def test_a_release_younger_than_the_cooldown_is_passed_over_and_named(world: World) -> None:
    def days_ago(days: int) -> str:
        return (datetime.now(UTC) - timedelta(days=days)).isoformat()

    world.offer_skill("good", "1.0", published=days_ago(30))
    world.offer_skill("good", "2.0", published=days_ago(2))
    week: dict[str, Any] = {"SKILLPM_COOLDOWN": "7"}
    says = ("good 2.0 is younger than the cooldown allows", "cut-off", "`good==2.0` takes that release although")
    world.refuses("install", "good>=2", "--registry", world.shop, code=3, says=says, **week)
    done = world.place.call("install", "good", "--registry", world.shop, **week).ok()
    assert "good 2.0 is younger than the cooldown allows" in done.err and "1.0 is taken" in done.err
    assert world.lock()["good"]["version"] == "1.0"
    assert json.loads((world.place.root / "skillpm.lock").read_text())["cutoff"]


@pytest.mark.attack(64)
@pytest.mark.parametrize("days", [-365, 365])
def test_a_clock_that_is_a_year_off_is_named(world: World, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Behind, every release comes from the future; ahead, certificates have expired, which tests/index names."""

    class Clock(datetime):
        @classmethod
        def now(cls, zone: Any = None) -> Clock:
            return super().now(zone) + timedelta(days=days)

    world.offer_skill("good", published=datetime.now(UTC).isoformat())
    monkeypatch.setattr("skillpm.trust.cooldown.datetime", Clock)
    arguments = ("install", "good", "--registry", world.shop)
    if days < 0:
        world.refuses(*arguments, code=3, says=("this machine's clock says", "is it right?"), SKILLPM_COOLDOWN="7")
    else:
        world.place.call(*arguments, SKILLPM_COOLDOWN="7").ok()


def test_the_file_of_the_registry_is_left_alone(world: World) -> None:
    """A refused install writes nothing where skills come from."""
    before = sorted(Path(world.shop).rglob("*"))
    world.refuses("install", "nothing", "--registry", world.shop, code=2, says=("`nothing`",))
    assert sorted(Path(world.shop).rglob("*")) == before
