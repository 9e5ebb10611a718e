"""Faults 61 to 74: what breaks on its own, or is broken by hand, is told, survived and mended."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from skillpm.clients.table import UNIVERSAL
from tests.attacks.world import World
from tests.servers import Handler, Shop, answering
from tests.shop import MakeProject

FRESH = "fresh"  # a home that has nothing stored
HTML = b"<!DOCTYPE html><html><title>Sign in to the network</title></html>"


def archive_path(world: World, name: str = "good") -> str:
    digest = world.releases[name][0]["archive"]
    return f"/archives/{digest[:2]}/{digest[2:]}.tar.gz"


@pytest.mark.attack(61)
def test_a_cut_download_is_completed_and_an_install_succeeds(world: World, site: Shop) -> None:
    path = archive_path(world)
    data = (world.shop / path[1:]).read_bytes()
    etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    left = [answering(200, data[: len(data) // 2], length=len(data), ETag=etag)]
    site.answers[path] = lambda handler: left.pop()(handler) if left else False
    world.place.call("install", "good", "--registry", site.url).ok()
    ranges = [headers.get("Range") for seen, headers in site.seen if seen == path]
    assert ranges[0] is None and (ranges[1] or "").startswith("bytes=")
    world.place.call("verify").ok()


@pytest.mark.attack(62)
def test_the_page_of_a_captive_portal_is_told(world: World, site: Shop) -> None:
    site.answers["/skills/good.json"] = answering(200, HTML)
    world.refuses("install", "good", "--registry", site.url, code=5, says=("skills/good.json", "it is HTML"))
    site.answers["/skills/good.json"] = lambda handler: False
    size = world.releases["good"][0]["size"]
    site.answers[archive_path(world)] = answering(200, HTML.ljust(size)[:size])
    fresh: dict[str, Any] = {"SKILLPM_HOME": str(world.root / FRESH)}
    world.refuses(
        "install",
        "good",
        "--registry",
        site.url,
        code=4,
        says=("sent a web page instead of the archive of good 1.0",),
        **fresh,
    )


@pytest.mark.attack(63)
def test_what_is_stored_installs_while_the_registry_is_down(world: World, site: Shop) -> None:
    world.place.call("install", "good", "--registry", site.url).ok()
    for path, _ in list(site.seen):
        site.answers[path] = answering(503, Retry_After="86400")
    shutil.rmtree(world.place.root / UNIVERSAL)
    world.place.call("install").ok()
    assert (world.place.root / UNIVERSAL / "good/SKILL.md").is_file()
    fresh: dict[str, Any] = {"SKILLPM_HOME": str(world.root / FRESH)}
    world.refuses(
        "install", "good", "--registry", site.url, code=5, says=("503", "86400 seconds", "locked and stored"), **fresh
    )


@pytest.mark.attack(66)
@pytest.mark.slow
def test_of_many_who_install_the_same_at_once_one_downloads_it(world: World, site: Shop, project: MakeProject) -> None:
    names = [f"many-{letter}" for letter in "abcd"]
    for name in names:
        world.offer_skill(name)
    command = [sys.executable, "-m", "skillpm", "install", *names, "--registry", site.url]
    places = [project() for _ in range(6)]
    running = [
        subprocess.Popen(command, cwd=place.root, env=dict(place.environment), stderr=subprocess.PIPE, text=True)
        for place in places
    ]
    ended = [(process.communicate()[1], process.returncode) for process in running]
    assert [code for _, code in ended] == [0] * 6, ended
    assert [site.asked(archive_path(world, name)) for name in names] == [1] * 4
    for place in places:
        place.call("verify").ok()
    assert not list((world.root / "home/skillpm/data/store/bringing").iterdir())


@pytest.mark.attack(68, 69)
def test_a_store_that_cannot_be_written_is_named(world: World) -> None:
    (world.root / "file").write_text("in the way")
    home: dict[str, Any] = {"SKILLPM_HOME": str(world.root / "file/home")}
    world.refuses(
        "install", "good", "--registry", world.shop, code=6, says=(f"{world.root}/file/home", "hint: "), **home
    )


@pytest.mark.attack(69)
def test_no_home_folder_is_no_obstacle(world: World) -> None:
    """The account's own folder is asked for, or SKILLPM_HOME says where to write."""
    environment = {key: value for key, value in world.place.environment.items() if key != "HOME"}
    done = subprocess.run(
        [sys.executable, "-m", "skillpm", "install", "good", "--registry", str(world.shop)],
        cwd=world.place.root, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_an_open_umask_lets_nobody_else_write(world: World) -> None:
    before = os.umask(0)
    try:
        world.place.call("install", "good", "--registry", world.shop).ok()
    finally:
        os.umask(before)
    store = world.root / "home/skillpm/data/store"
    assert [path for path in [store, *store.rglob("*")] if path.stat().st_mode & 0o002] == []


@pytest.mark.attack(69)
def test_a_strict_umask_is_kept_and_everything_works(world: World) -> None:
    before = os.umask(0o077)
    try:
        world.place.call("install", "good", "--registry", world.shop, SKILLPM_HOME=str(world.root / FRESH)).ok()
    finally:
        os.umask(before)
    world.place.call("verify", SKILLPM_HOME=str(world.root / FRESH)).ok()
    assert (world.place.root / "skillpm.lock").stat().st_mode & 0o077 == 0o044, "what was there keeps its mode"


@pytest.mark.attack(70)
def test_a_file_system_that_knows_no_locks_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    world.refuses(
        "install", "good", "--registry", world.shop, code=6, says=("cannot lock", "No locks available", "hint: ")
    )


@pytest.mark.attack(71)
def test_a_flipped_bit_is_found_and_repaired(world: World) -> None:
    world.place.call("install", "good", "--registry", world.shop).ok()
    path = world.root / "home/skillpm/data/store/tree-v1" / world.lock()["good"]["tree"] / "SKILL.md"
    good = path.read_bytes()
    path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    assert "SKILL.md (content)" in world.place.call("verify").fails(4).out
    world.place.call("show", "good").fails(4, "good 1.0 was changed in the store")
    world.place.call("install").ok()
    assert path.read_bytes() == good
    world.place.call("verify").ok()


@pytest.mark.attack(72)
def test_a_file_that_was_edited_by_hand_is_reported_and_kept(world: World) -> None:
    world.place.call("install", "good", "--registry", world.shop).ok()
    world.offer_skill("good", "1.1")
    edited = world.place.root / UNIVERSAL / "good/SKILL.md"
    edited.write_text("mine\n")
    assert "SKILL.md (content)" in world.place.call("verify").fails(1).out
    says = (f"{UNIVERSAL}/good was edited", "--force")
    world.refuses("update", code=2, says=says, fetched=True)
    world.refuses("uninstall", "good", code=2, says=says)
    world.place.call("update", "--force").ok()
    assert (world.place.root / ".skillpm/kept/good/SKILL.md").read_text() == "mine\n"


CONFLICT = "<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> theirs\n"
LOCKS: dict[str, tuple[Callable[[str], str], int, tuple[str, ...]]] = {
    "conflict markers": (
        lambda text: CONFLICT.format(ours=text, theirs=text), 7, ("skillpm.lock holds conflict markers", "skillpm lock")
    ),
    "a newer schema": (
        lambda text: text.replace('"lock": 1', '"lock": 2'), 7, ("skillpm.lock has version 2", "upgrade skillpm-core")
    ),
    "cut off": (lambda text: text[: len(text) // 2], 2, ("skillpm.lock: not JSON",)),
    "an unknown key": (lambda text: text.replace('"archive"', '"arcive"'), 2, ("skillpm.lock", "`skills.0.archive`")),
    "no digest": (lambda text: text.replace('"tree": "', '"tree": "x'), 2, ("skillpm.lock", "`skills.0.tree`")),
}  # fmt: skip


@pytest.mark.attack(73)
@pytest.mark.parametrize("case", LOCKS)
def test_a_lock_that_cannot_be_trusted_is_refused_and_kept(world: World, case: str) -> None:
    edit, code, says = LOCKS[case]
    path = world.place.root / "skillpm.lock"
    path.write_text(edit(path.read_text()))
    for arguments in (["install"], ["sync", "--frozen"], ["update"], ["install", "good", "--registry", world.shop]):
        world.refuses(*arguments, code=code, says=says)


@pytest.mark.attack(73)
def test_an_edited_digest_is_refused(world: World) -> None:
    world.place.call("install", "good", "--registry", world.shop).ok()
    path = world.place.root / "skillpm.lock"
    path.write_text(path.read_text().replace(world.lock()["good"]["tree"], "0" * 64))
    for arguments in (["install"], ["sync", "--frozen"]):
        world.refuses(*arguments, code=4, says=("good 1.0", "expected 0000"))


@pytest.mark.attack(73)
def test_conflict_markers_are_resolved_from_both_sides_only_where_that_is_asked_for(world: World) -> None:
    path = world.place.root / "skillpm.lock"
    ours = path.read_text()
    world.place.call("install", "good", "--registry", world.shop).ok()
    path.write_text(CONFLICT.format(ours=ours, theirs=path.read_text()))
    world.place.call("lock").ok()
    assert set(world.lock()) == {"good", "kept"}


@pytest.mark.attack(73)
def test_line_ends_of_another_system_change_nothing(world: World) -> None:
    path = world.place.root / "skillpm.lock"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before = path.read_bytes()
    world.place.call("sync", "--frozen").ok()
    world.place.call("lock", "--check").ok()
    assert path.read_bytes() == before


@pytest.mark.attack(74)
@pytest.mark.parametrize(("number", "codes"), [(signal.SIGINT, (130,)), (signal.SIGTERM, (143, -signal.SIGTERM))])
def test_a_signal_ends_an_install_quietly_and_changes_nothing(
    world: World, site: Shop, number: signal.Signals, codes: tuple[int, ...]
) -> None:
    asked, over = threading.Event(), threading.Event()

    def stall(handler: Handler) -> bool:
        asked.set()
        over.wait(60)
        return False

    site.answers["/skills/good.json"] = stall
    with world.unchanged():
        running = subprocess.Popen(
            [sys.executable, "-m", "skillpm", "install", "good", "--registry", site.url],
            cwd=world.place.root, env=dict(world.place.environment), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert asked.wait(90)
        running.send_signal(number)
        _, said = running.communicate(timeout=90)
        over.set()
    assert running.returncode in codes
    assert "Traceback" not in said
    site.answers.clear()
    world.place.call("install", "good", "--registry", site.url).ok()


@pytest.mark.attack(74)
def test_a_reader_that_goes_away_is_no_error(world: World) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "skillpm", "list", "--json"],
        cwd=world.place.root, env=dict(world.place.environment), stdout=write, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_refused_command_prints_one_document_where_asked(world: World) -> None:
    """The rule of all these tests, once by hand."""
    done = world.place.call("install", "nothing", "--json").fails(2)
    assert json.loads(done.out)["exit_code"] == 2
