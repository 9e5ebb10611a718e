"""Sign and log before visible: a publisher that is killed anywhere leaves nothing that a client could install."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Timestamp

from skillpm.errors import IntegrityError, RegistryError, UsageError
from skillpm.index import folder_registry, registry_metadata, registry_signer
from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.note import open_checkpoint
from skillpm.index.registry_metadata import signed
from skillpm.index.registry_signer import NewRoot, RegistrySigner, sign_registry
from skillpm.index.signed_pages import log_origin
from skillpm.index.tile_log import entries_of
from skillpm.storage.durable import flush
from skillpm.storage.keys import Keys
from tests.index.signed_shop import SignedShop, release
from tests.index.witness import public_keys


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def shop(tmp_path: Path) -> SignedShop:
    shop = SignedShop.make(tmp_path)
    shop.publish()
    return shop


def logged(shop: SignedShop) -> list[str]:
    """Return the versions in the log, in order."""
    origin = log_origin((shop.root / "metadata/1.root.json").read_bytes())
    keys = public_keys(shop.keys)
    size = open_checkpoint((shop.root / "log/checkpoint").read_text(), origin, keys).size
    entries = entries_of(size, 0, lambda path: (shop.root / "log" / path).read_bytes())
    return [json.loads(entry)["version"] for entry in entries]


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the process end before this write of the registry; return the list of the writes until then."""
    done: list[str] = []
    write, draft, put = FolderRegistry._write, FolderRegistry._draft, FolderRegistry._put

    def count(what: str) -> None:
        if len(done) == step:
            raise Killed
        done.append(what)

    def counted(self: FolderRegistry, target: Path, data: Any, **options: Any) -> None:
        count(target.name)
        write(self, target, data, **options)

    def drafted(self: FolderRegistry, place: Path, data: bytes) -> None:
        count("draft")
        draft(self, place, data)

    def visible(self: FolderRegistry, place: Path, target: Path) -> None:
        count(target.name)
        put(self, place, target)

    def flushed(roots: Any) -> None:
        count("flush")
        flush(roots)

    for name, step_of in (("_write", counted), ("_draft", drafted), ("_put", visible)):
        monkeypatch.setattr(FolderRegistry, name, step_of)
    for module in (folder_registry, registry_signer):
        monkeypatch.setattr(module, "flush", flushed)
    return done


def test_a_publisher_that_is_killed_anywhere_leaves_the_old_or_the_whole_release(
    shop: SignedShop, tmp_path: Path
) -> None:
    whole: list[str] = []
    for step in range(40):
        place = shop.copy(f"at-{step}")
        with pytest.MonkeyPatch.context() as patch:
            done = kill_at(step, patch)
            try:
                place.publish(version="1.1")
            except Killed:
                whole = done
            else:
                break
        versions = place.versions(tmp_path / f"seen-{step}")
        assert versions == (["1.0", "1.1"] if "timestamp.json" in done else ["1.0"]), done
        plain = json.loads((place.root / "skills/demo.json").read_bytes())["releases"]
        assert [item["version"] for item in plain] == (["1.0", "1.1"] if "demo.json" in done else ["1.0"])
        assert "1.1" not in versions or logged(place) == ["1.0", "1.1"]
        place.publish(version="1.1")
        assert place.versions(tmp_path / f"seen-{step}") == ["1.0", "1.1"]
        assert logged(place) == ["1.0", "1.1"], "no release is logged twice"
    else:
        pytest.fail("a publication writes 40 times")
    order = [name for name in whole if name in ("release.json", "flush", "checkpoint", "timestamp.json", "demo.json")]
    assert order == ["release.json", "flush", "flush", "checkpoint", "timestamp.json", "demo.json", "flush"]


@pytest.mark.parametrize("lost", ["log/checkpoint", "metadata/timestamp.json", "skills/demo.json"])
def test_a_power_cut_that_loses_one_of_the_last_files_leads_to_no_other_history(
    shop: SignedShop, tmp_path: Path, lost: str
) -> None:
    old = (shop.root / lost).read_bytes()
    shop.publish(version="1.1")
    (shop.root / lost).write_bytes(old)
    shop.publish("other")
    assert shop.versions(tmp_path / "seen", "other") == ["1.0"]
    shop.publish(version="1.1")
    assert shop.versions(tmp_path / "seen") == ["1.0", "1.1"]
    assert logged(shop) == ["1.0", "1.1", "1.0"], "no release is logged twice"


@pytest.mark.parametrize("lost", ["log/checkpoint", "metadata/timestamp.json", "skills/demo.json"])
def test_what_a_power_cut_has_lost_is_written_again_by_the_same_publication(
    shop: SignedShop, tmp_path: Path, lost: str
) -> None:
    old = (shop.root / lost).read_bytes()
    shop.publish(version="1.1")
    whole = (shop.root / lost).read_bytes()
    (shop.root / lost).write_bytes(old)
    shop.publish(version="1.1")
    assert (shop.root / lost).read_bytes() == whole or lost.startswith("metadata"), "a timestamp has a time"
    assert shop.versions(tmp_path / "seen") == ["1.0", "1.1"]


def test_a_head_whose_tiles_were_never_flushed_does_not_count(shop: SignedShop, tmp_path: Path) -> None:
    before = (shop.root / "log/checkpoint").read_bytes()
    shop.publish(version="1.1")
    (shop.root / "log/checkpoint").write_bytes(before)
    for tile in (shop.root / "log/tile").rglob("2"):
        tile.unlink()
    (shop.root / "skills/demo.json").unlink()
    shop.publish("other")
    assert shop.versions(tmp_path / "seen", "other") == ["1.0"]


def test_an_old_registry_is_signed_with_all_that_it_has(tmp_path: Path) -> None:
    from skillpm.index.folder_registry import make_registry

    make_registry(tmp_path / "shop", "shop")
    registry = FolderRegistry(tmp_path / "shop", "shop")
    for number in range(9):
        registry.add(*release(f"skill-{number}", "1.0"))
    shop = SignedShop(tmp_path / "shop", Keys(tmp_path / "keys"))
    sign_registry(registry, shop.keys, NewRoot(("a", "b", "c"), 2, "online"), 30)
    for number in (0, 8):
        assert shop.versions(tmp_path / "seen", f"skill-{number}") == ["1.0"]
    assert len(logged(shop)) == 9
    with pytest.raises(UsageError, match="3 of 2 root keys"):
        sign_registry(registry, shop.keys, NewRoot(("a", "b"), 3, "online"), 30)


def test_pages_are_spread_over_more_bins_when_one_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BITS", "_MORE_BITS", "FULL"):
        monkeypatch.setattr(registry_metadata, name, 1)
    shop = SignedShop.make(tmp_path)
    shop.publish()
    assert shop.versions(tmp_path / "seen") == ["1.0"]
    for number in range(5):
        shop.publish(f"skill-{number}")
        assert shop.versions(tmp_path / "seen", f"skill-{number}") == ["1.0"]
    assert list((shop.root / "metadata").glob("*.pages3-7.json"))
    assert shop.versions(tmp_path / "seen") == ["1.0"] == shop.versions(tmp_path / "new", "skill-2")


def test_signing_anew_removes_what_no_client_needs_any_more(shop: SignedShop, tmp_path: Path) -> None:
    for version in ("1.1", "1.2", "1.3"):
        shop.publish(version=version)
    before = {path for path in shop.root.rglob("*.json") if path.is_file()}
    shop.refresh()
    assert before <= {path for path in shop.root.rglob("*.json") if path.is_file()}, "clients may still read them"
    for path in before:
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    shop.refresh()
    assert len(list((shop.root / "skills").glob("*.demo.json"))) == 1
    assert shop.versions(tmp_path / "seen") == ["1.0", "1.1", "1.2", "1.3"]
    assert (shop.root / "metadata/1.root.json").is_file()


def test_what_is_half_over_is_due_and_signed_anew(shop: SignedShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy registry has a fresh timestamp, while bins without a new page grow old."""
    folder, signer = shop.root / "metadata", shop.registry.signer
    assert signer is not None and not signer.is_due
    files = {path.name for path in folder.iterdir()}
    signer.refresh(whole=False)
    assert {path.name for path in folder.iterdir()} == files, "only the timestamp is new"
    RegistrySigner(shop.registry, shop.keys, 10).refresh(whole=False)
    assert signer.is_due and not RegistrySigner(shop.registry, shop.keys, 10).is_due
    signer.refresh(whole=False)
    assert not signer.is_due
    monkeypatch.setattr(registry_metadata, "ROLE_DAYS", 800)
    assert signer.is_due
    signer.refresh(whole=False)
    assert not signer.is_due and {path.name for path in folder.iterdir()} > files


@pytest.mark.attack(59)
def test_another_online_key_is_taken_by_old_and_new_clients(tmp_path: Path) -> None:
    """Also after the old key was stolen and made a timestamp with a very high version (fast-forward)."""
    shop = SignedShop.make(tmp_path, NewRoot(("a", "b", "c"), 2, "online"))
    shop.publish()
    assert shop.versions(tmp_path / "old") == ["1.0"]
    stamp = shop.root / "metadata/timestamp.json"
    honest = stamp.read_bytes()
    forged = Metadata[Timestamp].from_bytes(honest)
    forged.signed.version += 1_000_000
    stamp.write_bytes(signed(forged, [shop.keys.private("online")]))
    assert shop.versions(tmp_path / "old") == ["1.0"]
    stamp.write_bytes(honest)
    with pytest.raises(IntegrityError, match="an older state than at your last visit"):
        shop.versions(tmp_path / "old")
    (shop.keys.root / "a.pem").rename(tmp_path / "a.pem")
    (shop.keys.root / "b.pem").rename(tmp_path / "b.pem")
    signer = shop.registry.signer
    assert signer is not None
    with pytest.raises(UsageError, match="1 of the root keys are on this machine, 2 are needed"):
        signer.rotate("second")
    (tmp_path / "a.pem").rename(shop.keys.root / "a.pem")
    signer.rotate("second")  # the refused try has made no key
    (shop.keys.root / "online.pem").unlink()
    for seen in ("old", "new"):
        assert shop.versions(tmp_path / seen) == ["1.0"]
    shop.publish(version="1.1")
    for seen in ("old", "new"):
        assert shop.versions(tmp_path / seen) == ["1.0", "1.1"]


def test_who_lacks_the_online_key_cannot_publish(shop: SignedShop, tmp_path: Path) -> None:
    stranger = SignedShop(shop.root, Keys(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"its online key ed25519:[0-9a-f]{16}… is not on this machine"):
        stranger.publish(version="1.1")
    with pytest.raises(RegistryError, match="there are no keys to sign with"):
        FolderRegistry(shop.root, "shop").publish(*release("demo", "1.2"))
    assert shop.versions(tmp_path / "seen") == ["1.0"]


@pytest.mark.parametrize(
    "path", ["metadata/1.root.json", "metadata/timestamp.json", "log/checkpoint", "log/tile/0/000.p/1"]
)
def test_a_publisher_does_not_go_on_with_a_damaged_registry(shop: SignedShop, path: str) -> None:
    (shop.root / path).write_text("{}")
    with pytest.raises((RegistryError, IntegrityError)) as caught:
        shop.publish(version="1.1")
    assert caught.value.hint


def test_publishers_at_once_share_one_log(shop: SignedShop, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda number: shop.publish(version=f"2.{number}"), range(8)))
    assert len(shop.versions(tmp_path / "seen")) == 9
    assert sorted(logged(shop)) == ["1.0", *(f"2.{number}" for number in range(8))]


def test_a_release_without_proof_is_proved_by_the_next_publication(shop: SignedShop, tmp_path: Path) -> None:
    """A page that an older skillpm wrote has lost its proofs."""
    page = json.loads((shop.root / "skills/demo.json").read_bytes())
    del page["releases"][0]["proof"]
    (shop.root / "skills/demo.json").write_text(json.dumps(page))
    shop.publish(version="1.1")
    assert shop.versions(tmp_path / "seen") == ["1.0", "1.1"] and logged(shop) == ["1.0", "1.1"]
    shutil.rmtree(tmp_path / "seen")
