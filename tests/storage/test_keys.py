"""A private key is readable by its owner alone, is never replaced, and never appears in a message."""

from __future__ import annotations

import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skillpm.errors import UsageError
from skillpm.model.key import PrivateKey
from skillpm.storage.keys import Keys, pem, read_private


def test_a_new_key_is_for_its_owner_alone_and_signs(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    assert keys.all() == []
    key = keys.create("work")
    assert stat.S_IMODE((keys.root / "work.pem").stat().st_mode) == 0o600
    assert keys.private("work") == key and keys.private_of({key.public}) == [key]
    assert key.public.verifies(keys.private("work").sign(b"text"), b"text")
    assert not key.public.verifies(key.sign(b"text"), b"other") and not key.public.verifies(b"short", b"text")


def test_no_key_is_ever_replaced(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    key = keys.create("work")
    for action in (keys.create, lambda name: keys.trust(name, key.public)):
        with pytest.raises(UsageError, match="there is a key `work` already"):
            action("work")
    assert keys.private("work") == key


def test_of_many_that_need_the_default_key_at_once_one_makes_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: Keys(tmp_path).default(), range(8)))
    assert len({key.seed for key, _ in keys}) == 1 and sum(made for _, made in keys) == 1
    assert [key.name for key in Keys(tmp_path).all()] == ["default"]


def test_a_default_key_without_its_public_half_gets_it_again(tmp_path: Path) -> None:
    key, _ = Keys(tmp_path).default()
    (tmp_path / "default.pub").unlink()
    assert Keys(tmp_path).default() == (key, False)
    assert [item.public for item in Keys(tmp_path).all()] == [key.public]


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "x" * 65, ".hidden", "a b"])
def test_a_name_of_a_key_is_a_plain_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Keys(tmp_path).create(name)
    with pytest.raises(UsageError):
        Keys(tmp_path).private(name)


def test_a_key_of_somebody_else_has_a_name_and_does_not_sign(tmp_path: Path) -> None:
    keys, other = Keys(tmp_path), PrivateKey(b"x" * 32).public
    keys.trust("alice", other)
    assert [(key.name, key.own) for key in keys.all()] == [("alice", False)]
    assert keys.title(other).endswith("(alice)") and keys.private_of({other}) == []
    with pytest.raises(UsageError):
        keys.private("alice")


@pytest.mark.parametrize("text", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "\ud800"])
def test_what_is_not_a_private_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the file is not an Ed25519 key"):
        read_private(text, "the file")


def test_openssl_reads_and_writes_the_same_form() -> None:
    key = PrivateKey(b"k" * 32)
    assert read_private(pem(key), "") == key
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True, text=True)
    assert len(read_private(made.stdout, "").seed) == 32
