"""The upkeep of a registry's folder: damage is found, and only what nothing needs is removed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from skillpm.errors import SkillpmError
from skillpm.index.directory import DirectoryIndex
from skillpm.index.pages import archive_path
from skillpm_registry.command import group
from skillpm_registry.upkeep import damages, unneeded
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


@pytest.mark.attack(77)
def test_only_old_archives_that_no_release_has_are_removed(shop: Path) -> None:
    before = snapshot(shop)
    for digest, stamp in (("ab" * 32, OLD), ("cd" * 32, time.time())):
        path = shop / archive_path(digest)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left behind")
        os.utime(path, (stamp, stamp))
    for path in shop.glob("archives/*/*"):
        if path.read_bytes() != b"left behind":
            os.utime(path, (OLD, OLD))

    assert unneeded(shop) == [shop / archive_path("ab" * 32)]
    assert CliRunner().invoke(group, ["gc", "--data", str(shop), "--dry-run"]).exit_code == 0
    assert unneeded(shop)
    assert CliRunner().invoke(group, ["gc", "--data", str(shop)]).exit_code == 0
    assert not unneeded(shop)
    (shop / archive_path("cd" * 32)).unlink()
    assert snapshot(shop) == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["gc"], 5),
        (["check"], 5),
        (["account", "add", "ana"], 5),
        (["account", "token", "ana"], 5),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_is_no_registry_is_refused(tmp_path: Path, words: list[str], code: int, there: bool) -> None:
    data = tmp_path / "data"
    if there:
        data.mkdir()
    outcome = CliRunner().invoke(group, [*words, "--data", str(data)])
    assert isinstance(outcome.exception, SkillpmError), outcome.output
    assert outcome.exception.exit_code == code
    assert list(tmp_path.rglob("*")) == [data] * there


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
