"""What a client believes of a signed registry: the scenarios of tuf-conformance, and a log that shows one history."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillpm.errors import IntegrityError, RegistryError, SkillpmError
from skillpm.index import registry_metadata
from skillpm.index.pages import read_page
from skillpm.index.registry_metadata import expiry, new_root, next_root, signed
from skillpm.index.registry_signer import RegistrySigner
from skillpm.model.key import PrivateKey
from tests.index.signed_shop import SignedShop

EVIL = PrivateKey(b"e" * 32)
BIN = "pages4-d"  # of the page of demo


@pytest.fixture
def shop(tmp_path: Path) -> SignedShop:
    shop = SignedShop.make(tmp_path)
    shop.publish()
    return shop


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    return tmp_path / "seen"


def metadata(shop: SignedShop, name: str) -> Path:
    return shop.root / "metadata" / name


def newest(shop: SignedShop, role: str) -> Path:
    paths = (shop.root / "metadata").glob(f"*.{role}.json")
    return max(paths, key=lambda path: int(path.name.partition(".")[0]))


def root_of(shop: SignedShop) -> Any:
    from tuf.api.metadata import Metadata

    return Metadata.from_file(str(newest(shop, "root")))


def test_a_client_sees_what_was_published_and_pins_the_root_once(shop: SignedShop, seen: Path) -> None:
    assert shop.versions(seen) == ["1.0"]
    shop.publish(version="1.1")
    assert shop.versions(seen) == ["1.0", "1.1"]
    shop.registry.yank("demo", "1.0", "loses data")
    page = read_page(shop.client(seen).page("demo") or b"", "demo", "")
    assert [release.yanked for release in page.releases] == ["loses data", False]
    assert shop.client(seen).page("unknown") is None
    assert len(shop.told) == 1 and "compare its root with its maintainer's" in shop.told[0]


def test_a_page_that_is_known_is_not_read_again(shop: SignedShop, seen: Path) -> None:
    data = shop.client(seen).page("demo")
    assert data is not None
    for path in (shop.root / "skills").glob("*.demo.json"):
        path.unlink()
    assert shop.client(seen).page("demo", data) == data
    with pytest.raises(IntegrityError, match="is missing"):
        shop.client(seen).page("demo")


def stale(shop: SignedShop) -> None:
    signer = RegistrySigner(shop.registry, shop.keys, -1)
    signer.refresh()


def stale_snapshot(shop: SignedShop) -> None:
    signer = RegistrySigner(shop.registry, shop.keys, 30)
    registry_metadata.ROLE_DAYS, days = -1, registry_metadata.ROLE_DAYS
    try:
        signer.refresh()
    finally:
        registry_metadata.ROLE_DAYS = days


def rollback(shop: SignedShop) -> None:
    metadata(shop, "timestamp.json").write_bytes(metadata(shop, "old.json").read_bytes())


def mix_of_snapshots(shop: SignedShop) -> None:
    newest(shop, "snapshot").write_bytes(metadata(shop, "1.snapshot.json").read_bytes())


def mix_of_bins(shop: SignedShop) -> None:
    newest(shop, BIN).write_bytes(metadata(shop, f"2.{BIN}.json").read_bytes())


def wrong_key(shop: SignedShop) -> None:
    from tuf.api.metadata import Metadata

    path = metadata(shop, "timestamp.json")
    head = Metadata.from_file(str(path))
    head.signed.version += 5
    path.write_bytes(signed(head, [EVIL]))


def no_signature(shop: SignedShop) -> None:
    path = metadata(shop, "timestamp.json")
    document = json.loads(path.read_bytes())
    document["signed"]["version"] += 5
    path.write_text(json.dumps({**document, "signatures": []}))


def endless(shop: SignedShop) -> None:
    with metadata(shop, "timestamp.json").open("ab") as file:
        file.truncate(64 << 20)


def cut(shop: SignedShop) -> None:
    with metadata(shop, "timestamp.json").open("r+b") as file:
        file.truncate(100)


def missing(shop: SignedShop) -> None:
    metadata(shop, "timestamp.json").unlink()


def root_of_other_keys(shop: SignedShop) -> None:
    """A next root that only its own new keys signed."""
    root = new_root([EVIL.public], 1, EVIL.public)
    root.signed.version = 2
    metadata(shop, "2.root.json").write_bytes(signed(root, [EVIL]))


def root_that_skips_a_version(shop: SignedShop) -> None:
    root = next_root(root_of(shop), EVIL.public)
    root.signed.version = 3
    metadata(shop, "2.root.json").write_bytes(signed(root, [shop.keys.private("root")]))


def stale_root(shop: SignedShop) -> None:
    root = next_root(root_of(shop), shop.keys.private("online").public)
    root.signed.expires = expiry(-1)
    metadata(shop, "2.root.json").write_bytes(signed(root, [shop.keys.private("root")]))


def another_page(shop: SignedShop) -> None:
    for path in (shop.root / "skills").glob("*.demo.json"):
        path.write_bytes((shop.root / "skills/demo.json").read_bytes().replace(b"Shows", b"Shoot"))


def another_registry(shop: SignedShop) -> None:
    """Everything is signed well, by the keys of somebody who has the server."""
    (shop.root.parent / "evil").mkdir()
    evil = SignedShop.make(shop.root.parent / "evil")
    evil.publish(body="Do evil.\n")
    shutil.rmtree(shop.root)
    evil.root.rename(shop.root)


def no_longer_signed(shop: SignedShop) -> None:
    (shop.root / "config.json").write_text('{"registry": 1, "name": "shop"}')
    shutil.rmtree(shop.root / "metadata")


def log_without_head(shop: SignedShop) -> None:
    (shop.root / "log/checkpoint").unlink()


def log_of_another_key(shop: SignedShop) -> None:
    path = shop.root / "log/checkpoint"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], "9", *lines[2:]]))


ATTACKS: dict[Callable[[SignedShop], None], str] = {
    stale: "its metadata is out of date: timestamp.json is expired",
    stale_snapshot: "its metadata is out of date: snapshot.json is expired",
    rollback: "shows an older state than at your last visit",
    cut: "metadata/timestamp.json is not a document of The Update Framework",
    mix_of_snapshots: f"Expected {BIN}.json version",
    mix_of_bins: f"Expected {BIN} v",
    wrong_key: "timestamp was signed by 0/1 keys",
    no_signature: "timestamp was signed by 0/1 keys",
    endless: "is larger than",
    missing: "is missing",
    root_of_other_keys: "root was signed by 0/1 keys",
    root_that_skips_a_version: "Expected root version 2",
    stale_root: "its metadata is out of date",
    another_page: "has another content",
    another_registry: "signed by 0/1 keys",
    no_longer_signed: "is missing",
    log_without_head: "the head of its log cannot be believed",
    log_of_another_key: "its log did not sign it",
}


@pytest.mark.attack(52, 53, 54, 55, 56, 57, 58, 60)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_on_the_metadata_is_refused(
    shop: SignedShop, seen: Path, attack: Callable[[SignedShop], None]
) -> None:
    metadata(shop, "old.json").write_bytes(metadata(shop, "timestamp.json").read_bytes())
    shop.publish(version="1.1")
    assert shop.versions(seen) == ["1.0", "1.1"]
    kept = shutil.copytree(seen, seen.with_name("kept"))
    if attack in (mix_of_bins, mix_of_snapshots, another_page):
        shop.publish(version="1.2")
    attack(shop)
    with pytest.raises((IntegrityError, RegistryError), match=ATTACKS[attack]) as caught:
        shop.versions(seen)
    assert caught.value.hint
    for path in kept.rglob("checkpoint"):
        assert (seen / path.relative_to(kept)).read_bytes() == path.read_bytes()


def test_a_release_that_is_not_in_the_log_is_not_taken(shop: SignedShop, seen: Path) -> None:
    """The registry's keys signed the page, and the release has the proof of another one, or none."""
    shop.publish(version="1.1")
    client = shop.client(seen)
    page = read_page(client.page("demo") or b"", "demo", "", logged=True)
    first, second = page.releases
    for release in (replace(second, proof=first.proof), replace(second, tree="0" * 64), replace(first, proof="no")):
        with pytest.raises(IntegrityError, match=f"demo {release.version} is not in its log"):
            client.demand_logged("demo", release)
    with pytest.raises(IntegrityError, match=r"other .* is not in its log"):
        client.demand_logged("other", first)
    text = (client.page("demo") or b"").replace(b'"proof"', b'"prof"', 1)
    read = read_page(text, "demo", "", logged=True)
    assert [item.version for item in read.releases] == ["1.1"]
    assert read.skipped == (("1.0", "it is not in the registry's log"),)


def test_a_registry_that_shows_two_logs_is_told(shop: SignedShop, seen: Path) -> None:
    """Whoever has the keys shows one log to some people and another log to others."""
    other = shop.copy("other")
    shop.publish(version="1.1")
    other.publish(version="1.1", body="Do evil.\n")
    assert shop.versions(seen) == ["1.0", "1.1"]
    for version in ("1.2", "1.3"):
        other.publish(version=version)
        with pytest.raises(IntegrityError, match="shows two different logs") as caught:
            other.versions(seen)
        assert caught.value.exit_code == 4 and caught.value.details["older"] != caught.value.details["newer"]
    assert other.versions(seen.with_name("new")) == ["1.0", "1.1", "1.2", "1.3"], "alone, it cannot be seen"


def test_a_page_with_the_head_of_another_log_is_told(shop: SignedShop, seen: Path) -> None:
    other = shop.copy("other")
    shop.publish(version="1.1")
    other.publish(version="1.1", body="Do evil.\n")
    evil = read_page(other.client(seen.with_name("new")).page("demo") or b"", "demo", "").releases[1]
    with pytest.raises(IntegrityError, match="shows two different logs"):
        shop.client(seen).demand_logged("demo", evil)


def test_an_older_head_of_the_same_log_is_not_an_attack(shop: SignedShop, seen: Path) -> None:
    """A cache may be late with the log's head; the timestamp is what must be fresh."""
    head = shop.root / "log/checkpoint"
    old = head.read_bytes()
    shop.publish(version="1.1")
    assert shop.versions(seen) == ["1.0", "1.1"]
    head.write_bytes(old)
    assert shop.versions(seen) == ["1.0", "1.1"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_changed_byte_of_any_file_is_harmless_or_refused(
    shop: SignedShop, tmp_path: Path, data: st.DataObject
) -> None:
    if not (tmp_path / "pinned").exists():
        shop.publish(version="1.1")
        shop.versions(tmp_path / "pinned")
    seen = tmp_path / "now"
    shutil.rmtree(seen, ignore_errors=True)
    shutil.copytree(tmp_path / "pinned", seen)
    for part in seen.glob("*/metadata"):
        shutil.rmtree(part)
    names = ["timestamp.json", newest(shop, "snapshot").name, newest(shop, "targets").name]
    files = [*(metadata(shop, name) for name in names), newest(shop, BIN)]
    files += [path for path in (shop.root / "log").rglob("*") if path.is_file()]
    files += (shop.root / "skills").glob("*.demo.json")
    path = data.draw(st.sampled_from(sorted(files)))
    good = path.read_bytes()
    bad = bytearray(good)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(bad))
    try:
        assert shop.versions(seen) == ["1.0", "1.1"]
    except SkillpmError as error:
        assert error.exit_code in (4, 5) and error.hint
    finally:
        path.write_bytes(good)


def test_offline_uses_what_was_seen(shop: SignedShop, seen: Path) -> None:
    page = shop.client(seen).page("demo") or b""
    release = read_page(page, "demo", "").releases[0]
    shutil.rmtree(shop.root)
    shop.client(seen, offline=True).demand_logged("demo", release)
