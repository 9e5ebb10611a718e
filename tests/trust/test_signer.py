"""Who may publish the next release of a skill that nobody signs: the repository that published the locked one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from skillpm.errors import IntegrityError
from skillpm.formats.light import json_form
from skillpm.model.key import PrivateKey
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Publisher, Release
from skillpm.model.source import Source
from skillpm.storage.keys import Keys
from skillpm.trust.signature import sign
from skillpm.trust.signer import SignerCheck

LOCKED = Publisher(issuer="https://ci.example", repository="acme/demo", ref="refs/tags/v1")
NEXT = Release(version="2.0", archive="c" * 64, tree="d" * 64, size=9)


def entry(publisher: Publisher | None, key: PrivateKey | None = None) -> LockedSkill:
    return LockedSkill(
        name="demo", version="1.0", source=Source.parse("registry:https://r.example"), archive="a" * 64, tree="b" * 64,
        publisher=publisher, signer=key.public if key else None,
    )  # fmt: skip


def check(keys: Path, release: Release, before: LockedSkill, *allowed: str) -> None:
    SignerCheck(Keys(keys), allowed).signer("demo", release, "when-present", locked=[before], page=None)


@pytest.mark.parametrize(
    ("locked", "now", "is_refused"),
    [
        (LOCKED, replace(LOCKED, ref="refs/tags/v2"), False),
        (LOCKED, replace(LOCKED, repository="mallory/demo"), True),
        (LOCKED, replace(LOCKED, issuer="https://other.example"), True),
        (LOCKED, None, True),
        (None, LOCKED, False),
    ],
)
def test_an_unsigned_release_of_another_repository_is_refused_with_both_named(
    tmp_path: Path, locked: Publisher | None, now: Publisher | None, is_refused: bool
) -> None:
    release = replace(NEXT, publisher=now)
    if not is_refused:
        check(tmp_path, release, entry(locked))
        return
    with pytest.raises(IntegrityError, match="was published by") as refusal:
        check(tmp_path, release, entry(locked))
    assert str(locked) in refusal.value.message
    assert (str(now) if now else "nobody") in refusal.value.message
    assert "`--allow-signer-change demo`" in (refusal.value.hint or "")
    check(tmp_path, release, entry(locked), "demo")


def test_who_has_the_locked_key_may_publish_from_anywhere(tmp_path: Path) -> None:
    key = PrivateKey(bytes(range(32)))
    moved = replace(NEXT, publisher=replace(LOCKED, repository="acme/moved"))
    check(tmp_path, replace(moved, signature=sign("demo", moved, key)), entry(LOCKED, key))


def test_the_lock_keeps_who_published() -> None:
    text = Lock(skills=(entry(LOCKED),)).text()
    assert json_form(LOCKED) == {"issuer": "https://ci.example", "repository": "acme/demo", "ref": "refs/tags/v1"}
    assert Lock.parse(text).skills[0].publisher == LOCKED
