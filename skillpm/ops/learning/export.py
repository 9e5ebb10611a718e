"""``skillpm export``: skills in the form of another system, written by a plugin, and their tools in common forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skillpm.contract.tool_forms import FORMS, distinct_tools
from skillpm.errors import CheckError, UsageError
from skillpm.model.name import did_you_mean
from skillpm.model.skill import Skill
from skillpm.model.task import Task
from skillpm.ops.context import Context
from skillpm.ops.learning.runs import find_adapter
from skillpm.ops.learning.session import open_session
from skillpm.ops.learning.synth import read_tasks
from skillpm.runtime.host import OWN_EXPORTERS
from skillpm.runtime.skillfiles import SkillFiles
from skillpm.storage.files import read_text
from skillpm.storage.whole_folder import whole_folder
from skillpm.train.base_model import KNOWN_MODELS
from skillpm.train.recipe import Recipe, load_recipe


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exporter wrote.

    Attributes:
        files: relative to the new folder.
        left_out: fields of the recipe that have no equivalent in the other system.
    """

    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def export(
    context: Context,
    exporter: str,
    skills: Sequence[Skill],
    output: Path,
    *,
    data: Path | None = None,
    recipe: Path | None = None,
) -> Exported:
    """Let a plugin write skills into a new folder.

    ``data`` is a folder of `skillpm synth`, whose rows the exporter gets. ``recipe`` is one of `skillpm train`.

    Raises:
        UsageError: no plugin brings this exporter, it takes no recipe, the folder exists, or the data has no rows of a
            skill.
        DocumentError: a row of the data is wrong.
        PluginError: the exporter failed; nothing is left behind.
    """
    refuse_unknown(context, exporter)
    chosen = context.host.exporters()[exporter]
    if recipe is not None and not chosen.recipe:
        raise UsageError(f"`{exporter}` takes no recipe", hint="remove `--recipe`")
    more = [_recipe(context, recipe)] if chosen.recipe else []
    rows = {} if data is None else _synthesised(data, skills)
    with whole_folder(output) as folder, open_session(context, skills) as session:
        given = {name: replace(item, tasks=rows.get(name, ())) for name, item in session.contributions.items()}
        left_out = chosen.export(given, folder, *more) or ()
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        return Exported(tuple(files), tuple(left_out))


def _recipe(context: Context, path: Path | None) -> Recipe:
    """Return a recipe, by default the one of `skillpm train`, with names that other programs know."""
    recipe = load_recipe(path, None if path is None else read_text(path), (), context.stage_kinds)
    known, adapter = KNOWN_MODELS.get(recipe.model), find_adapter(context.settings, recipe)
    names = {"model": known.hub_id if known else recipe.model, "adapter": str(adapter) if adapter else ""}
    return recipe.model_copy(update=names)


def refuse_unknown(context: Context, exporter: str) -> None:
    """Raise UsageError, with the near name, where an exporter is neither built in nor brought by a plugin.

    Raises:
        PluginError: a plugin brings one of a name that is built in.
    """
    exporters = context.host.exporters()
    if exporter not in (*exporters, *OWN_EXPORTERS):
        more = "" if exporters else "; the plugin of docs/bridges.md brings nemo-gym and verifiers"
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


def _synthesised(folder: Path, skills: Sequence[Skill]) -> Mapping[str, tuple[Task, ...]]:
    rows: dict[str, list[Task]] = {skill.name: [] for skill in skills}
    for path in (folder / "train.jsonl", folder / "held_out.jsonl"):
        if path.is_file():
            for task in read_tasks(path):
                if task.skill in rows and not task.first:  # an export has no environment that would be asked between
                    rows[task.skill].append(task)
    for skill in skills:
        if not rows[skill.name]:
            hint = f"`skillpm synth {skill.word} --output data` writes train.jsonl and held_out.jsonl"
            raise UsageError(f"{folder} has no rows of {skill.name}", hint=hint)
    return {name: tuple(tasks) for name, tasks in rows.items()}
