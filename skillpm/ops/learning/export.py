"""``skillpm export``: skills in the form of another system, written by a plugin, and their tools in common forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from skillpm.contract.tool_forms import FORMS, distinct_tools
from skillpm.errors import CheckError, UsageError
from skillpm.formats.document import read_json_lines
from skillpm.model.name import did_you_mean
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.ops.context import Context
from skillpm.ops.learning.session import open_session
from skillpm.runtime.host import OWN_EXPORTERS
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.storage.files import read_text
from skillpm.storage.whole_folder import whole_folder


def export(
    context: Context, exporter: str, skills: Sequence[Skill], output: Path, *, data: Path | None = None
) -> list[str]:
    """Let a plugin write skills into a new folder; return the files, relative to it.

    ``data`` is a folder of `skillpm synth`, whose rows the exporter gets.

    Raises:
        UsageError: no plugin brings this exporter, the folder exists, or the data has no rows of a skill.
        DocumentError: a row of the data is wrong.
        PluginError: the exporter failed; nothing is left behind.
    """
    refuse_unknown(context, exporter)
    exporters = context.host.exporters()
    rows = {} if data is None else _synthesised(data, [skill.name for skill in skills])
    with whole_folder(output) as folder, open_session(context, skills) as session:
        given = {name: replace(item, tasks=rows.get(name, ())) for name, item in session.contributions.items()}
        exporters[exporter].export(given, folder)
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refuse_unknown(context: Context, exporter: str) -> None:
    """Raise UsageError, with the near name, where an exporter is neither built in nor brought by a plugin.

    Raises:
        PluginError: a plugin brings one of a name that is built in.
    """
    exporters = context.host.exporters()
    if exporter not in (*exporters, *OWN_EXPORTERS):
        more = "" if exporters else "; install a distribution that brings more"
        known = f"known here: {', '.join((*exporters, *OWN_EXPORTERS))}{more}; `skillpm plugins` lists what is loaded"
        raise UsageError(
            f"no exporter `{exporter[:80]}`", hint=did_you_mean(exporter, (*exporters, *OWN_EXPORTERS), known)
        )


def tool_schemas(context: Context, texts: Sequence[str], form: str) -> list[dict[str, Any]]:
    """Return the tools of skills in one of ``FORMS``; no code of a skill runs.

    Texts are names or folders. Without any, all installed skills count, and those without tools are left out.

    Raises:
        CheckError: a skill has no contract.
        UsageError: no skill is installed, or two tools get one name.
        DocumentError: a contract is wrong.
    """
    found = {skill.name: SkillFiles(skill).contract() for skill in context.skills(texts)}
    contracts = {name: contract for name, contract in found.items() if contract is not None}
    missing = [name for name in found if name not in contracts]
    if missing and (texts or not contracts):
        hint = "`skillpm show` lists what a skill has, `skillpm draft` drafts a contract"
        raise CheckError(f"{missing[0]} has no contract.yaml, so it has no tools", hint=hint)
    return [FORMS[form](tool) for tool in distinct_tools(contracts)]


def _synthesised(folder: Path, skills: Sequence[str]) -> Mapping[str, tuple[Task, ...]]:
    rows: dict[str, list[Task]] = {name: [] for name in skills}
    for path in (folder / "train.jsonl", folder / "held_out.jsonl"):
        if path.is_file():
            for _, task in read_json_lines(Task, read_text(path), path=str(path)):
                if task.skill in rows:
                    rows[task.skill].append(task)
    for name, tasks in rows.items():
        if not tasks:
            hint = f"`skillpm synth {name} --output data` writes train.jsonl and held_out.jsonl"
            raise UsageError(f"{folder} has no rows of {name}", hint=hint)
    return {name: tuple(tasks) for name, tasks in rows.items()}
