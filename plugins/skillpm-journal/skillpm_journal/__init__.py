"""A journal for skillpm: what was installed, judged and trained, as lines of JSON in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillpm.plugin import hookimpl
from skillpm_journal.journal import Journal

if TYPE_CHECKING:
    from skillpm.plugin import Attempt, Judgement, Skill

_JOURNAL = Journal()


@hookimpl
def skillpm_installed(skill: Skill) -> None:
    """Write which skill was installed."""
    _JOURNAL.write("installed", skill=skill.name, version=skill.version, tree=skill.tree)


@hookimpl
def skillpm_scored(attempt: Attempt, judgement: Judgement) -> None:
    """Count an answer; the counts are written now and then."""
    _JOURNAL.count(attempt.task.skill, judgement.verdict.status)


@hookimpl
def skillpm_run_finished(run: Mapping[str, Any]) -> None:
    """Write the counts so far, and which run was finished."""
    _JOURNAL.write_counts()
    skills = {skill["name"]: skill["version"] for skill in run["skills"]}
    _JOURNAL.write("run_finished", run=run["name"], folder=run["folder"], model=run["model"], skills=skills)
