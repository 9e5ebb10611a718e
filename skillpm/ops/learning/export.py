"""``skillpm export``: skills in the form of another system, written by a plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from skillpm.errors import UsageError
from skillpm.model.name import did_you_mean
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.learning.session import open_session
from skillpm.storage.whole_folder import whole_folder


def export(context: Context, exporter: str, skills: Sequence[Skill], output: Path) -> list[str]:
    """Let a plugin write skills into a new folder; return the files, relative to it.

    Raises:
        UsageError: no plugin brings this exporter, or the folder exists.
        PluginError: the exporter failed; nothing is left behind.
        ConsentError: skill code would run that nobody agreed to.
    """
    refuse_unknown(context, exporter)
    exporters = context.host.exporters()
    with whole_folder(output) as folder, open_session(context, skills) as session:
        exporters[exporter].export(session.contributions, folder)
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refuse_unknown(context: Context, exporter: str) -> None:
    """Raise UsageError, with the near name, where no plugin brings an exporter."""
    exporters = context.host.exporters()
    if exporter not in exporters:
        known = f"known here: {', '.join(exporters)}" if exporters else "install a distribution that brings one"
        known = f"{known}; `skillpm plugins` lists what is loaded"
        raise UsageError(f"no exporter `{exporter[:80]}`", hint=did_you_mean(exporter, (*exporters, "sbom"), known))
