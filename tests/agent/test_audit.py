"""The audit log: whatever is done to it afterwards is seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skillpm.agent.audit import AuditLog
from skillpm.errors import IntegrityError

FIELDS = {"episode": "e", "skill": "demo 1", "tree": "0", "model": "m", "adapter": None, "tool": "t"}


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    log = AuditLog(tmp_path / "data" / "audit.jsonl")
    for number in range(4):
        log.append(event="decision", argv=(("echo", str(number)),), word="yes", **FIELDS)
    return log


def rewrite(log: AuditLog, change: object) -> None:
    lines = log.path.read_text().splitlines()
    log.path.write_text("".join(f"{line}\n" for line in change(lines)))  # type: ignore[operator]


def altered(lines: list[str]) -> list[str]:
    entry = json.loads(lines[1])
    return [lines[0], json.dumps({**entry, "word": "no"}), *lines[2:]]


CHANGES = {
    "an entry is changed": altered,
    "an entry is removed": lambda lines: [lines[0], *lines[2:]],
    "the first is removed": lambda lines: lines[1:],
    "the last is removed": lambda lines: lines[:-1],
    "all are removed": lambda lines: [],
    "two are exchanged": lambda lines: [lines[1], lines[0], *lines[2:]],
    "one is doubled": lambda lines: [*lines, lines[-1]],
    "a line is not an entry": lambda lines: [*lines[:2], "{}", *lines[2:]],
    "a line is cut": lambda lines: [*lines[:-1], lines[-1][:50]],
}


def test_a_log_that_nobody_touched_is_whole(log: AuditLog) -> None:
    number, digest = log.verify()
    assert number == 4 and log.verify(head=digest) == (4, digest)
    log.append(event="outcome", argv=(("echo",),), exit_code=0, ended="exited", **FIELDS)
    assert log.verify(head=digest)[0] == 5  # a head that was kept stays in the chain
    with pytest.raises(IntegrityError, match="no entry"):
        log.verify(head="f" * 64)


@pytest.mark.parametrize("change", CHANGES)
def test_every_later_change_is_seen(log: AuditLog, change: str) -> None:
    rewrite(log, CHANGES[change])
    with pytest.raises(IntegrityError):
        log.verify()


@pytest.mark.parametrize("name", ["path", "head"])
@pytest.mark.parametrize("data", [b"\xff\xfe\0\x80" * 50, b"", b"[" * 9000, b"\n\n"])
def test_a_file_that_was_overwritten_is_a_change_and_is_seen_at_its_end(log: AuditLog, name: str, data: bytes) -> None:
    assert log.ends_well()
    getattr(log, name).write_bytes(data)
    assert not log.ends_well()
    with pytest.raises(IntegrityError):
        log.verify()


@pytest.mark.parametrize("change", ["the last is removed", "all are removed", "a line is cut"])
def test_an_end_that_was_changed_is_seen_without_the_whole_log(log: AuditLog, change: str) -> None:
    rewrite(log, CHANGES[change])
    assert not log.ends_well()
    log.path.unlink()
    assert not log.ends_well()
    log.head.unlink()
    assert log.ends_well()


def test_a_crash_between_the_log_and_its_head_breaks_no_chain(log: AuditLog) -> None:
    before = log.head.read_text()
    log.append(event="outcome", argv=(("echo",),), exit_code=0, ended="exited", **FIELDS)
    log.head.write_text(before)
    assert log.verify()[0] == 5
    log.append(event="decision", argv=(("echo",),), word="yes", **FIELDS)
    assert log.verify()[0] == 6


def test_a_torn_line_is_seen_and_later_entries_are_whole_lines(log: AuditLog) -> None:
    with log.path.open("a") as file:
        file.write('{"number": 5, "wh')
    log.append(event="decision", argv=(("echo",),), word="yes", **FIELDS)
    with pytest.raises(IntegrityError, match="line 5"):
        log.verify()
    assert json.loads(log.path.read_text().splitlines()[-1])["number"] == 5


def test_a_history_that_was_written_anew_does_not_have_the_head_that_somebody_kept(log: AuditLog) -> None:
    _, kept = log.verify()
    log.path.unlink()
    log.head.unlink()
    log.append(event="decision", argv=(), word="no", **FIELDS)
    assert log.verify()[0] == 1
    with pytest.raises(IntegrityError, match="no entry"):
        log.verify(head=kept)
