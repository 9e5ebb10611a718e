"""Shell completion of skill names. Reads little and imports nothing heavy. An error completes to nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def installed_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the locked names that begin with the typed text, without those typed before."""
    typed = ctx.params.get(parameter.name or "") or ()
    earlier = {typed} if isinstance(typed, str) else set(typed)
    return [name for name in _locked(ctx) if name.startswith(incomplete) and name not in earlier]


def known_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of locked and bundled skills. The shell completes text that begins like a path."""
    from click.shell_completion import CompletionItem

    from skillpm.index.shipped import bundled_skills

    if incomplete.startswith((".", "/", "~")):
        return [CompletionItem(incomplete, type="file")]
    bundled = [name for name in bundled_skills() if name.startswith(incomplete)]
    names = {*installed_names(ctx, parameter, incomplete), *bundled}
    return [CompletionItem(name) for name in sorted(names)]


def agent_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of agents, and ``all``."""
    from skillpm.clients.table import AGENTS

    return [name for name in ("all", *AGENTS) if name.startswith(incomplete)]


def registry_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of the registries in the settings; the shell completes folders."""
    from click.shell_completion import CompletionItem

    from skillpm.errors import SkillpmError
    from skillpm.settings import load_settings

    try:
        names = [name for name in load_settings().registries if name.startswith(incomplete)]
    except SkillpmError:
        names = []
    return [*map(CompletionItem, names), CompletionItem(incomplete, type="dir")]


def schema_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of the documents that have a schema."""
    from skillpm.ops.machine.schema import DOCUMENTS

    return [name for name in DOCUMENTS if name.startswith(incomplete)]


def run_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return ``latest`` and the names of the runs here; the shell completes folders."""
    from click.shell_completion import CompletionItem

    from skillpm.errors import SkillpmError
    from skillpm.settings import load_settings

    try:
        runs = sorted(path.name for path in (load_settings().project / "runs").iterdir() if path.is_dir())
    except (SkillpmError, OSError):
        runs = []
    names = [name for name in ("latest", *runs) if name.startswith(incomplete)]
    return [*map(CompletionItem, names), CompletionItem(incomplete, type="dir")]


def _locked(ctx: click.Context) -> list[str]:
    from skillpm.errors import SkillpmError
    from skillpm.model.name import is_name
    from skillpm.settings import load_settings

    try:
        path = load_settings(user=bool(ctx.find_root().meta.get("skillpm.user"))).lock_path
        names = [skill["name"] for skill in json.loads(path.read_bytes())["skills"]]
    except (SkillpmError, OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    return sorted(name for name in names if isinstance(name, str) and is_name(name))
