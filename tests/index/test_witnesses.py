"""Witnesses sign one history of a log: a registry that shows another one cannot publish it, and clients notice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from skillpm.errors import IntegrityError, RegistryError, StorageError
from skillpm.formats.light import json_form
from skillpm.index import registry_metadata
from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.note import Checkpoint, WitnessKey, missing
from skillpm.index.signed_pages import SignedPages
from skillpm.index.witnesses import Witnesses
from tests.index.signed_shop import SignedShop, release
from tests.index.witness import Witness, listening, public_keys


@pytest.fixture
def shop(tmp_path: Path) -> SignedShop:
    return SignedShop.make(tmp_path)


@pytest.fixture
def pair(shop: SignedShop) -> Iterator[list[Witness]]:
    """Two witnesses of the shop's log, which the shop asks."""
    logs = public_keys(shop.keys)
    with ExitStack() as stack:
        both = [stack.enter_context(listening(Witness(f"witness.example/{name}", logs))) for name in ("one", "two")]
        ask(shop, both)
        yield both


def ask(shop: SignedShop, witnesses: list[Witness], first: str = "") -> None:
    lines = [f"{witness.key} {witness.url}\n" for witness in witnesses]
    (shop.root / "log/witnesses").write_text(first + "".join(lines))


def head(shop: SignedShop) -> str:
    return (shop.root / "log/checkpoint").read_text()


def versions(shop: SignedShop, seen: Path, witnesses: list[Witness], needed: int, name: str = "demo") -> list[str]:
    """Return what a client takes whose policy names witnesses."""

    def client(seen: Path) -> SignedPages:
        plain = SignedShop.client(shop, seen)
        return SignedPages(
            "the shop", plain._fetch, seen, shop.told.append, witnesses=lambda: [([w.key for w in witnesses], needed)]
        )

    trusting, shop.client = shop.client, client  # type: ignore[method-assign, assignment]
    try:
        return shop.versions(seen, name)
    finally:
        shop.client = trusting  # type: ignore[method-assign]


def test_a_head_has_the_signatures_of_all_witnesses(shop: SignedShop, pair: list[Witness], tmp_path: Path) -> None:
    shop.publish()
    shop.publish(version="1.1")
    assert not missing(head(shop), [witness.key for witness in pair])
    assert versions(shop, tmp_path / "seen", pair, 2) == ["1.0", "1.1"]
    shop.refresh()
    assert versions(shop, tmp_path / "seen", pair, 2) == ["1.0", "1.1"]


def test_a_client_refuses_a_head_with_too_few_of_them(shop: SignedShop, pair: list[Witness], tmp_path: Path) -> None:
    pair[1].away = True
    ask(shop, pair, "needed 1\n")
    shop.publish()
    assert missing(head(shop), [witness.key for witness in pair]) == ["witness.example/two"]
    assert versions(shop, tmp_path / "one", pair, 1) == ["1.0"]
    with pytest.raises(IntegrityError, match=r"the policy needs 2 witnesses of it, and witness\.example/two did not"):
        versions(shop, tmp_path / "two", pair, 2)
    impostor = Witness("witness.example/one", [])
    with pytest.raises(IntegrityError, match=r"witness\.example/one did not sign"):
        versions(shop, tmp_path / "three", [impostor], 1)


def test_nothing_is_visible_without_them_and_the_next_publication_goes_on(
    shop: SignedShop, pair: list[Witness], tmp_path: Path
) -> None:
    shop.publish()
    pair[1].away = True
    with pytest.raises(StorageError, match=r"demo 1\.1 is logged, and waits for the witnesses .* witness\.example/two"):
        shop.publish(version="1.1")
    assert shop.versions(tmp_path / "seen") == ["1.0"]
    pair[1].away = False
    shop.publish(version="1.2")
    assert versions(shop, tmp_path / "seen", pair, 2) == ["1.0", "1.1", "1.2"]


def test_the_head_that_shows_a_release_shows_all_that_waited_before_it(
    shop: SignedShop, pair: list[Witness], tmp_path: Path
) -> None:
    pair[1].away = True
    for name in ("demo", "second"):
        with pytest.raises(StorageError):
            shop.publish(name)
    pair[1].away = False
    shop.publish("third")
    for name in ("demo", "second", "third"):
        assert versions(shop, tmp_path / "seen", pair, 2, name) == ["1.0"]


@pytest.mark.parametrize("by", ["a publication", "a renewal"])
def test_a_listing_has_what_was_shown_later_than_it_was_published(
    shop: SignedShop, pair: list[Witness], by: str
) -> None:
    shop.publish()
    pair[1].away = True
    with pytest.raises(StorageError):
        shop.publish(version="1.1")
    pair[1].away = False
    registry = FolderRegistry(shop.root, "shop", shop.keys)
    if by == "a publication":
        registry.publish(*release("other", "1.0"))
    else:
        assert registry.signer is not None
        registry.signer.refresh()
        registry.list_again()
    listed = {item["name"]: item["version"] for item in json.loads((shop.root / "listing.json").read_bytes())["skills"]}
    assert listed == {"demo": "1.1"} | ({"other": "1.0"} if by == "a publication" else {})


def test_a_head_that_witnesses_were_asked_about_is_always_on_the_disk(
    shop: SignedShop, pair: list[Witness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They refuse another history, so a power cut must not lose it with the file that replaces it."""
    write, written = FolderRegistry.write, list[bool]()

    def noted(own: FolderRegistry, path: str, data: bytes | str, *, durable: bool = True) -> None:
        written.extend([durable] if path == "log/next" else [])
        write(own, path, data, durable=durable)

    monkeypatch.setattr(FolderRegistry, "write", noted)
    shop.publish(version="1.1")
    assert written == [True, True], "before they are asked, and with their signatures"


def test_none_of_many_releases_that_wait_is_logged_twice(shop: SignedShop) -> None:
    signer, demo = shop.registry.signer, release("demo", "1.0")[1]
    assert signer is not None
    many = [json_form(replace(demo, version=f"1.{number}")) for number in range(600)]
    for _ in range(2):
        note = signer._log().add({"demo": {"releases": many}}, [shop.keys.private("online")])
        assert Checkpoint.parse(note).size == len(many)
        (shop.root / "log/next").write_text(note)


def test_a_head_that_enough_of_them_signed_is_renewed_without_them(
    shop: SignedShop, pair: list[Witness], tmp_path: Path
) -> None:
    pair[1].away = True
    ask(shop, pair, "needed 1\n")
    shop.publish()
    signed, before = head(shop), (shop.root / "metadata/timestamp.json").read_bytes()
    pair[0].away = True
    shop.refresh()
    assert head(shop) == signed and (shop.root / "metadata/timestamp.json").read_bytes() != before
    assert versions(shop, tmp_path / "seen", pair, 1) == ["1.0"]
    with pytest.raises(StorageError):
        shop.publish(version="1.1")


def test_all_else_goes_on_while_a_release_waits_for_witnesses(
    shop: SignedShop, pair: list[Witness], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish()
    pair[1].away = True
    with pytest.raises(StorageError):
        shop.publish(version="1.1")
    before = (shop.root / "metadata/timestamp.json").read_bytes()
    assert shop.registry.yank("demo", "1.0", "broken")
    assert "broken" in (shop.root / "skills/demo.json").read_text()
    monkeypatch.setattr(registry_metadata, "ROLE_DAYS", 800)  # everything is due
    signer = shop.registry.signer
    assert signer is not None and signer.is_due
    assert list(signer.refresh(whole=False)) == ["demo 1.1"]
    assert not signer.is_due and (shop.root / "metadata/timestamp.json").read_bytes() != before
    assert versions(shop, tmp_path / "seen", pair, 2) == ["1.0"]
    pair[1].away = False
    assert signer.refresh() == {}
    assert versions(shop, tmp_path / "seen", pair, 2) == ["1.0", "1.1"]


def test_nobody_waits_while_witnesses_are_asked(shop: SignedShop, pair: list[Witness], tmp_path: Path) -> None:
    shop.publish()
    shop.publish("other")
    pair[0].asked.clear()
    pair[0].goes_on.clear()
    slow = threading.Thread(target=lambda: shop.publish(version="1.1"))
    slow.start()
    assert pair[0].asked.wait(20)
    assert shop.registry.yank("other", "1.0", "broken")
    assert "broken" in (shop.root / "skills/other.json").read_text()
    also = threading.Thread(target=lambda: shop.registry.quarantine("demo", "1.0", "evil"))
    also.start()  # it asks them, too, because of the release that waits, when its own change is visible
    end = time.monotonic() + 20
    while "evil" not in (shop.root / "skills/demo.json").read_text() and time.monotonic() < end:
        time.sleep(0.01)
    assert not pair[0].goes_on.is_set() and shop.versions(tmp_path / "early") == ["1.0"]
    assert "evil" in (shop.root / "skills/demo.json").read_text()
    pair[0].goes_on.set()
    slow.join()
    also.join()
    assert versions(shop, tmp_path / "seen", pair, 2) == ["1.0", "1.1"]


def test_publishers_at_once_get_the_signatures_of_one_log(
    shop: SignedShop, pair: list[Witness], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda number: shop.publish(f"skill-{number}"), range(4)))
    assert all(versions(shop, tmp_path / "seen", pair, 2, f"skill-{number}") == ["1.0"] for number in range(4))


def test_signatures_of_witnesses_are_kept_until_there_are_enough(
    shop: SignedShop, pair: list[Witness], tmp_path: Path
) -> None:
    one, two = pair
    two.away = True
    with pytest.raises(StorageError):
        shop.publish()
    one.away, two.away = True, False
    assert shop.publish(), "each of them has signed, though never both at once"
    assert versions(shop, tmp_path / "seen", pair, 2) == ["1.0"]
    ask(shop, pair, "needed 1\n")
    shop.publish(version="1.1")
    assert missing(head(shop), [one.key, two.key]) == [one.name]
    one.away, two.away = False, True
    shop.refresh()
    assert not missing(head(shop), [one.key, two.key])


def test_a_witness_adds_one_line(shop: SignedShop, pair: list[Witness], tmp_path: Path) -> None:
    """A head of more than 64 KiB is not one any more."""
    pair[0].more = "".join(f"— {pair[0].name} {'A' * 1000}{number:04}\n" for number in range(60))
    shop.publish()
    shop.publish(version="1.1")
    assert len(head(shop)) < 1000
    assert versions(shop, tmp_path / "seen", pair, 2) == ["1.0", "1.1"]


@pytest.mark.attack(54)
def test_a_release_that_no_witness_has_seen_is_refused(shop: SignedShop, pair: list[Witness], tmp_path: Path) -> None:
    """Its proof is of a longer log than the one that the witnesses signed."""
    shop.publish()
    signed = head(shop)
    (shop.root / "log/witnesses").unlink()
    shop.publish(version="1.1")
    (shop.root / "log/checkpoint").write_text(signed)
    assert shop.versions(tmp_path / "trusting") == ["1.0", "1.1"]
    with pytest.raises(IntegrityError, match="its proof is of a log with 2 entries, and its head has 1"):
        versions(shop, tmp_path / "seen", pair, 2)


def test_witnesses_refuse_a_second_history(shop: SignedShop, pair: list[Witness], tmp_path: Path) -> None:
    shop.publish()
    other = shop.copy("other")
    shop.publish(version="1.1")
    with pytest.raises(StorageError, match="409"):
        other.publish(version="6.6")
    assert other.versions(tmp_path / "seen") == ["1.0"]


def test_a_registry_without_signatures_is_refused_where_witnesses_are_needed(tmp_path: Path) -> None:
    pages = SignedPages("x", lambda path, limit: None, tmp_path, lambda text: None, witnesses=lambda: [([], 1)])
    assert pages.pinned
    with pytest.raises(IntegrityError, match="root"):
        pages.page("demo")


def test_no_page_is_believed_where_the_log_lacks_its_witnesses(
    shop: SignedShop, pair: list[Witness], tmp_path: Path
) -> None:
    shop.publish()
    fetch = shop.client(tmp_path / "trusting")._fetch
    stranger = Witness("witness.example/stranger", []).key
    pages = SignedPages("the shop", fetch, tmp_path, shop.told.append, witnesses=lambda: [([stranger], 1)])
    for name in ("demo", "unknown"):
        with pytest.raises(IntegrityError, match="the policy needs 1 witnesses of it"):
            pages.page(name)
    hidden = SignedPages("the shop", fetch, tmp_path, shop.told.append, witnesses=lambda: [([pair[0].key], 1)])
    assert hidden.page("demo") and hidden.page("unknown") is None


@pytest.mark.parametrize("text", ["needed 2\n", "needed x\n", "witness.example/one+00000000+AAAA https://a\n", "x\n"])
def test_a_wrong_list_of_witnesses_names_its_line(text: str) -> None:
    with pytest.raises(RegistryError, match="log/witnesses"):
        Witnesses.read(text)


def test_a_key_is_read_as_it_is_written() -> None:
    key = Witness("witness.example/one", []).key
    assert WitnessKey.parse(str(key)) == key
