"""The battery of tests/cases/sandbox.yaml: what skill code tries in its sandbox, and the table of docs/sandbox.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from skillpm.sandbox import seccomp
from skillpm.sandbox.sandbox import LEVELS, Sandbox
from tests.battery import MARKS, USERS, Attempt, attempts, battery, cases, table, user
from tests.conftest import ROOT

# each of these starts and ends workers; ends of a host are tested in test_sandbox.py, too
SLOW = ("leave", "bounds", "crowd")
pytestmark = pytest.mark.skipif(not seccomp.available(), reason="no system-call table for this machine")


def differences(sandbox: Sandbox, chosen: list[Attempt]) -> list[str]:
    found = []
    with battery(sandbox) as runner:
        for attempt in chosen:
            through, result = runner.run(attempt)
            if through != attempt.expected(sandbox.level, user()):
                found.append(f"{attempt.name} ({attempt.row}): {'goes through' if through else 'held'}: {result}")
    return found


@pytest.mark.parametrize(
    "level", [pytest.param(level, marks=pytest.mark.slow) if level == "limits" else level for level in LEVELS]
)
def test_each_attempt_ends_as_the_table_says(level: str, offered: Callable[[str], Sandbox]) -> None:
    assert differences(offered(level), [attempt for attempt in attempts() if attempt.row not in SLOW]) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", range(1, 8))
@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
def test_each_attempt_ends_as_the_table_says_with_every_version_of_landlock(
    level: str, version: int, offered: Callable[[str], Sandbox]
) -> None:
    sandbox = offered(level)
    if version > sandbox.landlock:
        pytest.skip(f"this kernel has Landlock {sandbox.landlock}")
    assert differences(replace(sandbox, landlock=version), list(attempts())) == []


def test_the_page_has_the_table_of_the_battery() -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert page.split(MARKS[0])[1].split(MARKS[1])[0] == table(), "run benchmarks/security.py --write"


def test_at_the_strongest_level_only_what_is_permitted_goes_through() -> None:
    through = {attempt.row for attempt in attempts() for _ in attempt.through.get("bubblewrap", ()) if _ != "bare"}
    assert through <= {"internet", "code", "crowd", "compute"}
    assert len(attempts()) >= 200


def test_every_attempt_belongs_to_a_row_and_names_known_levels() -> None:
    for attempt in attempts():
        assert attempt.row in cases()["rows"] and set(attempt.through) <= set(LEVELS), attempt
        assert all(set(users) <= set(USERS) for users in attempt.through.values()), attempt
