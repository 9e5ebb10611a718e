"""Exporters for skillpm: environments of NeMo Gym, verifiers and OpenEnv, tasks for Data Designer, functions of NAT,
and recipes for TRL, Unsloth, NeMo RL and NeMo Automodel.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.plugin import hookimpl

if TYPE_CHECKING:
    from skillpm.plugin import Contributions, Exporter, Recipe

_MODULES = {
    "data-designer": "data_designer",
    "nat": "nat",
    "nemo-gym": "gym",
    "openenv": "openenv",
    "verifiers": "verifiers",
}
_TRAINERS = {
    "nemo-automodel": "nemo:export_automodel",
    "nemo-rl": "nemo:export_rl",
    "trl": "scripts:export_trl",
    "unsloth": "scripts:export_unsloth",
}


@hookimpl
def skillpm_exporters() -> Iterable[Exporter]:
    """Return the exporters; a module is imported when its exporter runs."""
    from skillpm.plugin import Exporter

    plain = [Exporter(name, _export(f"{module}:export")) for name, module in _MODULES.items()]
    return [*plain, *(Exporter(name, _export(place), recipe=True) for name, place in _TRAINERS.items())]


def _export(place: str) -> Callable[..., list[str] | None]:
    module, _, function = place.partition(":")

    def export(given: Mapping[str, Contributions], folder: Path, *recipe: Recipe) -> list[str] | None:
        from skillpm_bridges.rows import refuse_shared_names

        refuse_shared_names(given.values())
        write = getattr(importlib.import_module(f"skillpm_bridges.{module}"), function)
        left: list[str] | None = write(given, folder, *recipe)
        return left

    return export
