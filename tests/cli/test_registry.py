"""``skillpm registry init --signed`` and ``sign``, from the publisher to a client over a folder and over HTTP."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import pytest

from tests.conftest import Project
from tests.servers import serving
from tests.shop import MakeProject, skill_files


@pytest.fixture
def place(project: MakeProject) -> Project:
    place = project({f"v{version}": skill_files("mine", version) for version in ("1.0", "1.1")})
    made = place.call("registry", "init", "shop", "--signed").ok()
    assert "move the root keys shop-root from" in made.err
    place.call("publish", "v1.0", "--registry", "shop").ok()
    return place


def test_a_client_of_a_signed_registry_pins_its_root_and_refuses_what_goes_back(
    place: Project, project: MakeProject
) -> None:
    fingerprint = json.loads(place.call("registry", "init", "other", "--signed", "--json").ok().out)["root"]
    assert re.fullmatch("[0-9a-f]{64}", fingerprint)
    user, old = project(), place.root / "old"
    shutil.copytree(place.root / "shop", old)
    with serving(place.root / "shop") as shop:
        failed = user.call("install", "none", "--registry", shop.url)  # it pins the root all the same
        failed.fails(2, f"registry {shop.url} is signed; compare its root", "no registry knows `none`")
        assert "is signed" not in user.call("install", "mine", "--registry", shop.url).ok().err
        place.call("publish", "v1.1", "--registry", "shop").ok()
        assert "is signed" not in user.call("update").ok().err
        assert json.loads((user.root / "skillpm.lock").read_text())["skills"][0]["version"] == "1.1"
        shop.seen.clear()
        user.call("update").ok()
        assert sorted(path for path, _ in shop.seen) == [
            "/config.json",
            "/metadata/2.root.json",
            "/metadata/timestamp.json",
        ]
        user.call("update", "--offline").ok()
        shutil.rmtree(place.root / "shop")
        old.rename(place.root / "shop")
        user.call("update").fails(4, f"registry {shop.url} shows an older state than at your last visit", "version")


@pytest.mark.parametrize("words", ["registry sign", "publish v1.0 --registry"])
def test_the_hint_for_a_missing_folder_makes_a_registry_there(place: Project, words: str) -> None:
    hint = place.call(*words.split(), "our shop").fails(5).err
    typed = re.search(r"`skillpm (registry init .+)`", hint)
    assert typed is not None, hint
    place.call(*shlex.split(typed[1])).ok()
    place.call("publish", "v1.0", "--registry", "our shop").ok()


def test_signing_anew_and_with_another_key(place: Project, project: MakeProject) -> None:
    user = project()
    user.call("install", "mine", "--registry", place.root / "shop").ok()
    stamp = place.root / "shop/metadata/timestamp.json"
    before = json.loads(stamp.read_bytes())["signed"]["version"]
    place.call("registry", "sign", "shop").ok()
    assert json.loads(stamp.read_bytes())["signed"]["version"] == before + 1
    place.call("registry", "sign", "shop", "--new-key", "second").ok()
    place.call("publish", "v1.1", "--registry", "shop").ok()
    user.call("update").ok()
    place.call("registry", "init", "shop", "--signed").fails(2, "is signed already")
    place.call("registry", "init", "plain").ok()
    place.call("registry", "sign", "plain").fails(2, "is not signed")
    place.call("registry", "init", "plain", "--signed", "--root-keys", "2", "--threshold", "3").fails(2, "3 of 2")
    elsewhere = str(place.root / "elsewhere")
    place.call("registry", "sign", "shop", SKILLPM_HOME=elsewhere).fails(2, "is not on this machine")


@pytest.mark.parametrize(
    ("words", "text"), [("--signed --threshold 3", "3 of 1 root keys"), ("--threshold 1", "need `--signed`")]
)
def test_a_registry_is_not_begun_with_options_that_do_not_fit(project: MakeProject, words: str, text: str) -> None:
    place = project()
    place.call("registry", "init", "shop", *words.split()).fails(2, text)
    assert not (place.root / "shop").exists()
