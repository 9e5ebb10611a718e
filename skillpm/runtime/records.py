"""Records that plugins bring, with their functions guarded: what goes wrong in one names its plugin."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from skillpm.model.ports import Enclosure, SandboxLevel

Record = TypeVar("Record", bound=Any)


def guard_record(plugin: str, what: str, record: Record, *fields: str) -> Record:
    """Return a record whose functions name the plugin in whatever they raise.

    ``fields`` hold functions. What one yields is taken while it is guarded, and becomes a list.
    """

    def guard(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            from skillpm.runtime.guarded import blaming  # imports pydantic

            with blaming(plugin, f"{plugin}: {what}"):
                result = function(*arguments)
                return list(result) if hasattr(result, "__next__") else result

        return call

    return dataclasses.replace(record, **{name: guard(getattr(record, name)) for name in fields})


def guard_level(plugin: str, level: SandboxLevel) -> SandboxLevel:
    """Return a level of confinement that says what it should say, or raises what names its plugin."""
    safe = guard_record(plugin, f"sandbox `{level.name}`", level, "probe", "command")

    def probe() -> str:
        version = safe.probe()
        return " ".join(version.split())[:100] if isinstance(version, str) else ""

    def command(enclosure: Enclosure) -> Sequence[str]:
        return [str(word) for word in safe.command(enclosure)]

    return dataclasses.replace(level, probe=probe, command=command)
