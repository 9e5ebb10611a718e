"""Plugins of the user's own installed distributions: trusted, in skillpm's own process, loaded one by one.

One plugin that cannot be imported or misspells a hook is named with its distribution and version, and the rest goes
on. ``SKILLPM_NO_PLUGINS`` loads none of them, ``SKILLPM_LOAD_PLUGINS`` those of some distributions.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import PluginError
from skillpm.runtime.collect import Failure
from skillpm.runtime.host import Host

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "skillpm"  # the entry-point group
_SECTION = f"[{GROUP}]".encode()
_FILES = {".dist-info": "entry_points.txt", ".egg-info": "entry_points.txt", ".egg": "EGG-INFO/entry_points.txt"}


def load_host(*, plugins: Collection[str] | None = None) -> Host:
    """Return a host with the plugins of the entry-point group ``skillpm``; failures stand in ``Host.failures``.

    ``plugins`` names the distributions whose plugins are loaded; None means all.
    """
    host = Host()
    if plugins is None and not any(_may_have_plugins(place) for place in sys.path):
        return host
    for point in _entry_points(plugins, host) if plugins is None or plugins else ():
        source, started = _source(point), time.perf_counter()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                plugin = point.load()
            host.register(plugin, point.name, source, time.perf_counter() - started)
        except PluginError as error:
            host.failures.append(Failure(source, "load", error.message))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - an import may raise anything
            reason = f"plugin `{point.name}` ({point.value}): {type(error).__name__}: {error}"
            host.failures.append(Failure(source, "load", reason[:500]))
    return host


def _entry_points(plugins: Collection[str] | None, host: Host) -> list[EntryPoint]:
    """Return the entry points of these distributions; those that are missing become failures of the host."""
    import importlib.metadata

    from packaging.utils import canonicalize_name

    points = list(importlib.metadata.entry_points(group=GROUP))
    if plugins is not None:
        chosen = {canonicalize_name(name): name for name in plugins}
        points = [point for point in points if point.dist and canonicalize_name(point.dist.name) in chosen]
        present = {canonicalize_name(point.dist.name) for point in points if point.dist}
        for name in sorted(chosen.keys() - present):
            host.failures.append(Failure(chosen[name], "load", "no installed distribution of this name has a plugin"))
    return sorted(points, key=lambda point: (point.name, _source(point)))


def _source(point: EntryPoint) -> str:
    distribution = point.dist
    return "an unknown distribution" if distribution is None else f"{distribution.name} {distribution.version}"


def _may_have_plugins(place: str) -> bool:
    """May a distribution in this folder have plugins? ``importlib.metadata`` would know, at 30 ms for its import.

    Source: PyPA, entry points specification: a section ``[skillpm]`` in ``entry_points.txt``.
    """
    try:
        names = {entry.name for entry in os.scandir(place or ".")}
    except NotADirectoryError:
        return True  # zipped distributions
    except OSError:
        return False
    files = (f"{name}/{_FILES[ending]}" for name in names if (ending := name[name.rfind(".") :]) in _FILES)
    return any(_has_section(Path(place, file)) for file in files)


def _has_section(path: Path) -> bool:
    try:
        return _SECTION in path.read_bytes()
    except OSError:
        return False
