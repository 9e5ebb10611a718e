"""Publishing signs by default, remembers a decision not to, and keeps to one signer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillpm.model.key import PrivateKey
from skillpm.storage.keys import pem
from tests.conftest import Project
from tests.shop import MakeProject, skill_files


@pytest.fixture
def place(project: MakeProject) -> Project:
    place = project({f"v{version}": skill_files("mine", version) for version in ("1.0", "1.1", "1.2")})
    place.call("registry", "init", "shop").ok()
    return place


def releases(place: Project) -> dict[str, Any]:
    page = json.loads((place.root / "shop/skills/mine.json").read_text())
    return {item["version"]: item for item in page["releases"]}


def publish(place: Project, version: str, *arguments: str) -> tuple[str, ...]:
    return ("publish", f"v{version}", "--registry", "shop", *arguments)


def test_the_first_publication_makes_a_key_and_says_so(place: Project, project: MakeProject) -> None:
    place.call(*publish(place, "1.0", "--dry-run")).ok()
    assert json.loads(place.call("key", "list", "--json").ok().out)["keys"] == []
    done = place.call(*publish(place, "1.0")).ok()
    key = place.call("key", "export").ok().out.strip()
    assert f"created your signing key {key}" in done.err and f"signed by {key}" in done.err
    assert key not in place.call(*publish(place, "1.0")).ok().err, "the same content again is not signed again"
    assert place.call(*publish(place, "1.0", "--json")).ok().document["signer"] == key
    other = project()
    other.call("install", "mine", "--registry", place.root / "shop").ok()
    assert json.loads((other.root / "skillpm.lock").read_text())["skills"][0]["signer"] == key
    assert other.call("show", "mine", "--json").ok().document["signer"] == key
    before = place.call("show", "mine", "--registry", place.root / "shop", "--json").ok().document
    assert (before["installed"], before["signer"]) == (False, key), "it is seen before an installation"
    assert before["archive"] == json.loads((other.root / "skillpm.lock").read_text())["skills"][0]["archive"]


def test_a_decision_not_to_sign_is_in_the_page_and_makes_no_key(place: Project, project: MakeProject) -> None:
    assert "not signed" in place.call(*publish(place, "1.0", "--no-sign")).ok().err
    assert releases(place)["1.0"]["unsigned"] is True and "signature" not in releases(place)["1.0"]
    assert json.loads(place.call("key", "list", "--json").ok().out)["keys"] == []
    place.call(*publish(place, "1.1")).ok()
    assert "unsigned" not in releases(place)["1.1"]
    project().call("install", "mine==1.0", "--registry", place.root / "shop").ok()


def test_another_signer_than_before_needs_a_word(place: Project) -> None:
    place.call(*publish(place, "1.0")).ok()
    place.call("key", "create", "two").ok()
    for arguments, says in ((["--no-sign"], "1.1 would have no signature"), (["--key", "two"], "(two), and clients")):
        place.call(*publish(place, "1.1", *arguments)).fails(5, says, "mine 1.0 is signed by ed25519:", "(default)")
        assert list(releases(place)) == ["1.0"]
    place.call(*publish(place, "1.1", "--keyless")).fails(5, "1.1 would be signed by a CI job")
    other = str(place.root / "elsewhere")
    refused = place.call(*publish(place, "1.1"), SKILLPM_HOME=other)
    refused.fails(5, "1.1 would be signed by a new key", "mine 1.0 is signed by")
    assert place.call("key", "list", "--json", SKILLPM_HOME=other).ok().document["keys"] == []
    place.call(*publish(place, "1.1", "--key", "two", "--allow-signer-change")).ok()
    place.call(*publish(place, "1.2", "--key", "two")).ok()


def test_a_key_comes_from_the_environment_as_text_or_as_a_file(place: Project, tmp_path: Path) -> None:
    key = PrivateKey(b"e" * 32)
    (tmp_path / "key.pem").write_text(pem(key))
    for version, value in (("1.0", pem(key)), ("1.1", str(tmp_path / "key.pem"))):
        place.call(*publish(place, version), SKILLPM_SIGNING_KEY=value).ok()
        assert releases(place)[version]["signature"]["signatures"][0]["keyid"] == str(key.public)
    for value in ("-----BEGIN PRIVATE KEY-----secret", str(place.root / "v1.0/SKILL.md")):
        failed = place.call(*publish(place, "1.2"), SKILLPM_SIGNING_KEY=value).fails(2, "SKILLPM_SIGNING_KEY is not an")
        assert "secret" not in failed.err


def test_a_key_moves_to_another_machine(place: Project) -> None:
    public = place.call("key", "create").ok().out
    named = {"name": "default", "public": public.strip()}
    (place.root / "key.pem").write_text(place.call("key", "export", "--private").ok().out)
    elsewhere = str(place.root / "elsewhere")
    assert place.call("key", "import", "default", "key.pem", SKILLPM_HOME=elsewhere).ok().out == public
    assert place.call("key", "export", SKILLPM_HOME=elsewhere).ok().out == public
    third = str(place.root / "third")
    assert place.call("key", "import", "default", "key.pem", "--json", SKILLPM_HOME=third).ok().document == named
    assert place.call("key", "create", "two", "--json", SKILLPM_HOME=third).ok().document["name"] == "two"
    place.call("key", "import", "default", "key.pem").fails(2, "there is a key `default` already")
    place.call("key", "trust", "bob", "ed25519:12").fails(2, "is not a public key")
    place.call("key", "trust", "alice", public.strip(), SKILLPM_HOME=elsewhere).ok()
    listed = place.call("key", "list", SKILLPM_HOME=elsewhere).ok().out
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [["alice", "trusted"], ["default", "yours"]]
