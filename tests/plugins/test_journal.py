"""plugins/skillpm-journal: what happened stands in the file, whatever becomes of the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Project
from tests.plugins.test_changelog import install, run
from tests.shop import MakeProject, skill_files


@pytest.fixture
def world(project: MakeProject) -> Project:
    """A project with a skill, two answers to it, and the plugin in its folder ``site``."""
    rows = [{"request": f"do {n}", "expected": f"done {n}", "completion": "done 0"} for n in range(2)]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    verifier = (
        "from skillpm.plugin import Verdict\n\n\ndef verify(attempts, contract):\n"
        "    right = [attempt.completion == attempt.expected for attempt in attempts]\n"
        "    return [Verdict(status='passed' if it else 'failed', score=float(it)) for it in right]\n"
    )
    world = project({"demo": {**skill_files(), "verifier.py": verifier}, "rows.jsonl": lines})
    install(ROOT / "plugins" / "skillpm-journal", world.root / "site")
    return world


def entries(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_installs_and_judgements_are_lines_and_a_torn_line_costs_only_itself(world: Project) -> None:
    journal = world.root / "journal.jsonl"
    journal.write_text('{"torn": ')
    run(world, "install", "./demo", SKILLPM_JOURNAL=str(journal)).ok()
    path = f"{world.root / 'site'}:{world.environment['PYTHONPATH']}"
    world.run("score", "demo", "rows.jsonl", "--yes", PYTHONPATH=path, SKILLPM_JOURNAL=str(journal)).ok()

    torn, *lines = journal.read_text().splitlines()
    installed, scored = map(json.loads, lines)
    assert torn == '{"torn": '
    assert (installed["event"], installed["skill"], installed["version"]) == ("installed", "demo", "1.0")
    assert (scored["event"], scored["skill"]) == ("scored", "demo")
    assert scored["answers"] == {"failed": 1, "passed": 1}
    assert installed["time"].endswith("+00:00") and "do 1" not in journal.read_text()


def test_a_file_that_cannot_be_written_fails_nothing_and_no_variable_keeps_nothing(world: Project) -> None:
    """The host notes the failure; the command's own result stands."""
    nowhere = str(world.root / "nowhere" / "journal.jsonl")
    told = run(world, "install", "./demo", SKILLPM_JOURNAL=nowhere, SKILLPM_TRACE_HOOKS="1").ok().err
    assert "skillpm_installed of journal (skillpm-journal 0.1.0): FileNotFoundError" in told
    before = sorted(path for path in world.root.rglob("*") if path.suffix == ".jsonl")
    run(world, "install", "./demo", SKILLPM_JOURNAL="").ok()
    assert sorted(path for path in world.root.rglob("*") if path.suffix == ".jsonl") == before


def test_a_finished_run_is_written_after_the_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "plugins/skillpm-journal"))
    monkeypatch.setenv("SKILLPM_JOURNAL", str(tmp_path / "journal.jsonl"))
    import skillpm_journal
    from skillpm_journal.journal import Journal

    journal = Journal()
    monkeypatch.setattr(skillpm_journal, "_JOURNAL", journal)
    for status in ("passed", "errored", "passed"):
        journal.count("demo", status)
    skills = [{"name": "demo", "version": "1.0"}]
    skillpm_journal.skillpm_run_finished({"name": "r", "folder": "runs/r", "model": "m", "skills": skills})

    scored, finished = entries(tmp_path / "journal.jsonl")
    assert scored["answers"] == {"errored": 1, "passed": 2}
    assert (finished["event"], finished["folder"], finished["skills"]) == ("run_finished", "runs/r", {"demo": "1.0"})
