"""Exporters for skillpm: environments of NeMo Gym, verifiers and OpenEnv, tasks for Data Designer, functions of NAT."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.plugin import hookimpl

if TYPE_CHECKING:
    from skillpm.plugin import Contributions, Exporter

_MODULES = {
    "data-designer": "data_designer",
    "nat": "nat",
    "nemo-gym": "gym",
    "openenv": "openenv",
    "verifiers": "verifiers",
}


@hookimpl
def skillpm_exporters() -> Iterable[Exporter]:
    """Return the exporters; a module is imported when its exporter runs."""
    from skillpm.plugin import Exporter

    return [Exporter(name, _export(module)) for name, module in _MODULES.items()]


def _export(module: str) -> Callable[[Mapping[str, Contributions], Path], None]:
    def export(given: Mapping[str, Contributions], folder: Path) -> None:
        from skillpm_bridges.rows import refuse_shared_names

        refuse_shared_names(given.values())
        importlib.import_module(f"skillpm_bridges.{module}").export(given, folder)

    return export
