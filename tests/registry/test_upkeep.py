"""The upkeep of a registry's folder: damage is found, and only what nothing needs is removed."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from skillpm.errors import SkillpmError
from skillpm.index.directory import DirectoryIndex
from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.paths import archive_path
from skillpm.index.registry_signer import NewRoot, sign_registry
from skillpm.storage.keys import Keys
from skillpm_registry.command import group
from skillpm_registry.upkeep import damages
from tests.shop import snapshot

OLD = time.time() - 2 * 24 * 3600


def test_what_is_lost_or_damaged_is_named(shop: Path) -> None:
    assert CliRunner().invoke(group, ["check", "--data", str(shop)]).exit_code == 0
    page = DirectoryIndex(shop, "shop").page("base")
    assert page is not None
    (shop / archive_path(page.releases[0].archive)).unlink()
    (shop / archive_path(page.releases[1].archive)).write_bytes(b"x")
    (shop / "skills/plain.json").write_text("{")

    assert [line.partition(":")[0] for line in damages(shop)] == ["base 1.0", "base 1.1", "plain"]
    outcome = CliRunner().invoke(group, ["check", "--data", str(shop)])
    assert (outcome.exit_code, len(outcome.stdout.splitlines())) == (1, 3)


def test_what_clients_of_a_signed_registry_would_refuse_is_named(shop: Path, tmp_path: Path) -> None:
    sign_registry(FolderRegistry(shop, "shop"), Keys(tmp_path / "keys"), NewRoot(("root",), 1, "online"), 30)
    assert list(damages(shop)) == []
    head = (shop / "log/checkpoint").read_bytes()
    (shop / "log/checkpoint").unlink()
    (headless,) = damages(shop)
    assert "the head of its log cannot be believed" in headless
    (shop / "log/checkpoint").write_bytes(head)
    (copy,) = shop.glob("skills/*.plain.json")
    copy.rename(tmp_path / "away")
    shutil.copy(shop / "skills/plain.json", shop / "skills/stray.json")
    (_, lost, stray) = damages(shop)  # the first: the page of stray is that of plain
    assert copy.name in lost and stray == "stray: it is not in the signed metadata"
    (shop / "metadata/timestamp.json").write_text("{")
    assert sum("timestamp.json" in line for line in damages(shop)) == 1


@pytest.mark.attack(77)
def test_only_old_archives_that_no_release_has_are_removed(shop: Path) -> None:
    before = snapshot(shop)
    for digest, stamp in (("ab" * 32, OLD), ("cd" * 32, time.time()), ("ef" * 32, OLD)):
        path = shop / archive_path(digest)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left behind")
        os.utime(path, (stamp, stamp))
    for path in shop.glob("archives/*/*"):
        if path.read_bytes() != b"left behind":
            os.utime(path, (OLD, OLD))

    waiting = shop / "releases/later.d/1.0/1/release.json"  # it is in no page before witnesses have signed
    waiting.parent.mkdir(parents=True)
    waiting.write_text(json.dumps({"version": "1.0", "archive": "ef" * 32, "tree": "ef" * 32, "size": 11}))

    for words in (["--dry-run"], []):
        outcome = CliRunner().invoke(group, ["gc", "--data", str(shop), *words])
        assert (outcome.exit_code, outcome.stdout) == (0, f"{archive_path('ab' * 32)}\n")
    assert CliRunner().invoke(group, ["gc", "--data", str(shop)]).stdout == ""
    for digest in ("cd" * 32, "ef" * 32):
        (shop / archive_path(digest)).unlink()
    shutil.rmtree(shop / "releases/later.d")
    assert snapshot(shop) == before


@pytest.mark.parametrize(
    ("words", "code"), [(["gc"], 5), (["check"], 5), (["account", "add", "ana"], 5), (["account", "token", "ana"], 5)]
)
def test_a_folder_that_is_no_registry_is_refused(tmp_path: Path, words: list[str], code: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    outcome = CliRunner().invoke(group, [*words, "--data", str(data)])
    assert isinstance(outcome.exception, SkillpmError), outcome.output
    assert outcome.exception.exit_code == code
    assert list(tmp_path.rglob("*")) == [data]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["add", "ana"], 5, "there is an account `ana`"),
        (["add", "Ana_%"], 2, "not an account's name"),
        (["token", "nobody"], 5, "there is no account `nobody`"),
    ],
)
def test_an_account_that_cannot_be_is_no_defect(shop: Path, words: list[str], code: int, message: str) -> None:
    assert CliRunner().invoke(group, ["account", "add", "ana", "--data", str(shop)]).exit_code == 0
    error = CliRunner().invoke(group, ["account", *words, "--data", str(shop)]).exception
    assert isinstance(error, SkillpmError)
    assert (error.exit_code, message in error.message) == (code, True)
