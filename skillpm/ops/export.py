"""``skillpm export``: skills in the form of another system, written by a plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from skillpm.errors import PluginError, SkillpmError
from skillpm.evals.output import whole_folder
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.extensions import foreign_exporter
from skillpm.ops.ready import judging

__all__ = ["export"]


def export(context: Context, exporter: str, skills: Sequence[Skill], output: Path) -> list[str]:
    """Let a plugin write skills into a new folder; return the files, relative to it.

    Raises:
        UsageError: no plugin brings this exporter, or the folder exists.
        PluginError: the exporter failed; nothing is left behind.
        ConsentError: skill code would run that nobody agreed to.
    """
    found = foreign_exporter(exporter, context.settings)
    with whole_folder(output) as folder, judging(context, skills) as ready:
        try:
            found.record.export(ready.contributions, folder)
        except SkillpmError:
            raise
        except Exception as error:
            reason = f"{found.plugin}: exporter `{exporter}`: {type(error).__name__}: {error}"
            raise PluginError(reason[:500], plugin=found.plugin) from error
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
