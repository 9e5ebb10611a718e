"""The version of the hooks, in a place of its own: who asks for it need not import pluggy, nor a plugin pydantic."""

from __future__ import annotations

from skillpm.errors import PluginError

HOOKS_VERSION = 1


def foreign_hooks(hooks: int) -> str | None:
    """Return for which other version of the hooks a release is, in words that follow "it is"; None if for ours."""
    return None if hooks == HOOKS_VERSION else f"for version {hooks} of the hooks, and this skillpm has {HOOKS_VERSION}"


def refuse_foreign_hooks(name: str, version: str, hooks: int) -> None:
    """Refuse a skill that was written for another version of the hooks.

    Raises:
        PluginError: with what to do.
    """
    if hooks != HOOKS_VERSION:
        raise PluginError(
            f"{name} {version} was written for version {hooks} of the hooks, this skillpm has {HOOKS_VERSION}",
            hint="upgrade skillpm-core" if hooks > HOOKS_VERSION else f"look for a newer {name}",
            skill=name,
        )
