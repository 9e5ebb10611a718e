"""Plugins of the user's own installed distributions: trusted, in this process, loaded one by one.

One plugin that cannot be imported, misspells a hook or raises is named with its distribution and version, and the rest
goes on. ``SKILLPM_NO_PLUGINS`` loads none of them, ``SKILLPM_LOAD_PLUGINS`` those of some distributions.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pluggy
from packaging.utils import canonicalize_name

from skillpm.errors import PluginError
from skillpm.hookspecs import PROJECT, EventHooks, HostHooks, SkillHooks
from skillpm.model.skill import Skill
from skillpm.runtime.collect import Failure, Given, collect, implemented, sole, trace, unique
from skillpm.runtime.conventions import CONVENTIONS, Conventions

GROUP = "skillpm"  # the entry-point group
MAX_TOLD = 3  # failures of one observer in one run, after which it is not told any more


@dataclass(frozen=True, slots=True)
class Loaded:
    """A registered plugin.

    Attributes:
        name: of its entry point.
        source: ``built in``, or the distribution with its version.
        hooks: that it implements.
        seconds: that importing it and its hooks have taken so far.
        failures: how often it failed so far.
    """

    name: str
    source: str
    hooks: tuple[str, ...]
    seconds: float = 0.0
    failures: int = 0


class Host:
    """The plugin manager of skillpm's own process; the built-in plugin is registered first."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        for hooks in (SkillHooks, HostHooks, EventHooks):
            self.manager.add_hookspecs(hooks)
        self.failures: list[Failure] = []
        self._sources: dict[str, str] = {}
        self._told_failures: dict[str, int] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self.register(Conventions(), CONVENTIONS, "built in")

    def register(self, plugin: object, name: str, source: str, seconds: float = 0.0) -> None:
        """Register a plugin; ``seconds`` is what importing it took.

        Raises:
            PluginError: it misspells a hook, asks for an argument that a hook does not have, or its name is taken.
        """
        if name in self._sources:
            raise PluginError(
                f"{self._sources[name]} and {source} both bring a plugin called `{name}`",
                hint="uninstall one of the two distributions",
                plugins=[self._sources[name], source],
            )
        try:
            self.manager.register(plugin, name=name)
            self.manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            reason = str(error).strip().splitlines()[-1]
            raise PluginError(f"{source}: plugin `{name}`: {reason}", hint="see docs/hooks.md", plugin=name) from None
        self._sources[name] = source
        self._seconds[name] += seconds

    def loaded(self) -> list[Loaded]:
        """Return the registered plugins, by name."""
        plugins = sorted((name, plugin) for name, plugin in self.manager.list_name_plugin() if plugin is not None)
        failures = Counter(failure.plugin for failure in self.failures)
        return [
            Loaded(
                name, self._sources[name], tuple(implemented(self.manager, plugin)), self._seconds[name], failures[name]
            )
            for name, plugin in plugins
        ]

    def collect(self, hook: str, **arguments: Any) -> list[Given]:
        """Return what the plugins give, plugin by plugin; failures are remembered in ``failures``."""
        given, failures = collect(self.manager, hook, self._note, **arguments)
        self.failures += [failure for failure in failures if failure not in self.failures]
        return given

    def named(self, kind: str, hook: str, skill: Skill) -> list[Given]:
        """Return a skill's records by name, without the built-in plugin's, which the skill's worker gives itself.

        Raises:
            PluginError: two plugins give records of one name.
        """
        return unique(kind, [item for item in self.collect(hook, skill=skill) if item.plugin != CONVENTIONS])

    def verifier(self, skill: Skill) -> Given | None:
        """Return what a plugin judges this skill with.

        Raises:
            PluginError: two plugins would.
        """
        given = self.collect("skillpm_verifier", skill=skill)
        return sole(given, f"bring a verifier for {skill.name}", "uninstall one of them")

    def _note(self, plugin: str, hook: str, seconds: float, outcome: str) -> None:
        self._seconds[plugin] += seconds
        trace(hook, plugin, self._sources[plugin], outcome, seconds)

    def listens(self, hook: str) -> bool:
        """Does any plugin implement this hook?"""
        return bool(getattr(self.manager.hook, hook).get_hookimpls())

    def tell(self, hook: str, **arguments: Any) -> None:
        """Tell the observers; a failure changes nothing, and an observer that keeps failing is not told any more."""
        _, failures = collect(self.manager, hook, self._note, **arguments)
        for failure in failures:
            count = self._told_failures[failure.plugin] = self._told_failures.get(failure.plugin, 0) + 1
            if failure not in self.failures:
                self.failures.append(failure)
            if count >= MAX_TOLD:
                self.manager.unregister(name=failure.plugin)


def load_host(*, plugins: Collection[str] | None = None) -> Host:
    """Return a host with the plugins of the entry-point group ``skillpm``; failures stand in ``Host.failures``.

    Args:
        plugins: the distributions whose plugins are loaded, all where None; ``settings.plugins``.
    """
    host = Host()
    if plugins is not None and not plugins:
        return host
    points = list(importlib.metadata.entry_points(group=GROUP))
    if plugins is not None:
        wanted = {canonicalize_name(name): name for name in plugins}
        points = [point for point in points if point.dist and canonicalize_name(point.dist.name) in wanted]
        there = {canonicalize_name(point.dist.name) for point in points if point.dist}
        for name in sorted(wanted.keys() - there):
            host.failures.append(Failure(wanted[name], "load", "no installed distribution of this name has a plugin"))
    for point in sorted(points, key=lambda item: (item.name, _source(item))):
        source, started = _source(point), time.perf_counter()
        try:
            plugin = point.load()
            host.register(plugin, point.name, source, time.perf_counter() - started)
        except PluginError as error:
            host.failures.append(Failure(source, "load", error.message))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an import may raise anything
            reason = f"plugin `{point.name}` ({point.value}): {type(error).__name__}: {error}"
            host.failures.append(Failure(source, "load", reason[:500]))
    return host


def _source(point: importlib.metadata.EntryPoint) -> str:
    distribution = point.dist
    return "an unknown distribution" if distribution is None else f"{distribution.name} {distribution.version}"
