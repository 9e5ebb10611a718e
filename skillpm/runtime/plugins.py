"""Registered plugins: one that misspells a hook or raises is named with its distribution, and the rest goes on."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from skillpm.errors import PluginError
from skillpm.runtime.collect import Failure, Given, collect, implemented, trace

if TYPE_CHECKING:
    import pluggy

MAX_TOLD = 3  # failures of one observer in one run, after which it is not told any more


@dataclass(frozen=True, slots=True)
class Loaded:
    """A registered plugin.

    Attributes:
        source: ``built in``, or the distribution with its version.
        seconds: that importing it and its hooks have taken so far.
        failures: how often it failed so far.
    """

    name: str
    source: str
    hooks: tuple[str, ...]
    seconds: float = 0.0
    failures: int = 0


class Plugins:
    """Registered plugins, the built-in one among them; each is asked and told by itself.

    pluggy is imported with the first plugin that is registered, or when the skill hooks are asked for, which the
    built-in plugin implements: without plugins, a command pays nothing.

    Attributes:
        failures: of plugins so far, each once.
    """

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self._sources: dict[str, str] = {}
        self._has_plugins = False
        self._told_failures: dict[str, int] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @cached_property
    def _manager(self) -> pluggy.PluginManager:
        import pluggy

        from skillpm.hookspecs import PROJECT, EventHooks, HostHooks, SkillHooks
        from skillpm.runtime.conventions import CONVENTIONS, Conventions

        manager = pluggy.PluginManager(PROJECT)
        for hooks in (SkillHooks, HostHooks, EventHooks):
            manager.add_hookspecs(hooks)
        manager.register(Conventions(), CONVENTIONS)
        self._sources[CONVENTIONS] = "built in"
        return manager

    def register(self, plugin: object, name: str, source: str, seconds: float = 0.0) -> None:
        """Register a plugin, a module or an object with hook implementations.

        ``source`` is the distribution that brings it, and importing it took ``seconds``.

        Raises:
            PluginError: it misspells a hook, asks for an argument that a hook does not have, or its name is taken.
        """
        import pluggy

        manager = self._manager
        if name in self._sources:
            raise PluginError(
                f"{self._sources[name]} and {source} both bring a plugin called `{name}`",
                hint="uninstall one of the two distributions",
                plugins=[self._sources[name], source],
            )
        try:
            manager.register(plugin, name=name)
            manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise self._refused(name, source, error) from None
        self._sources[name] = source
        self._seconds[name] += seconds
        self._has_plugins = True

    def _refused(self, name: str, source: str, error: Exception) -> PluginError:
        """Return why a plugin cannot be registered, and forget what pluggy has taken of it."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        reason = str(error).strip().splitlines()[-1]
        return PluginError(f"{source}: plugin `{name}`: {reason}", hint="see docs/hooks.md", plugin=name)

    def loaded(self) -> list[Loaded]:
        """Return the registered plugins, by name."""
        plugins = sorted((name, plugin) for name, plugin in self._manager.list_name_plugin() if plugin is not None)
        failures = Counter(failure.plugin for failure in self.failures)
        return [
            Loaded(
                name,
                self._sources[name],
                tuple(implemented(self._manager, plugin)),
                round(self._seconds[name], 6),
                failures[name],
            )
            for name, plugin in plugins
        ]

    def source(self, plugin: str) -> str:
        """Return the distribution that brings a plugin, with its version."""
        return self._sources[plugin]

    def has_any(self) -> bool:
        """Is there any plugin but the built-in one?"""
        return self._has_plugins

    def collect(self, hook: str, **arguments: Any) -> list[Given[Any]]:
        """Return what the plugins give, plugin by plugin; failures are remembered in ``failures``."""
        records, failures = collect(self._manager, hook, self._note, **arguments)
        self.failures += [failure for failure in failures if failure not in self.failures]
        return records

    def _note(self, plugin: str, hook: str, seconds: float, outcome: str) -> None:
        self._seconds[plugin] += seconds
        trace(hook, plugin, self._sources[plugin], outcome, seconds)

    def listens(self, hook: str) -> bool:
        """Does any plugin implement this hook?"""
        return self._has_plugins and bool(getattr(self._manager.hook, hook).get_hookimpls())

    def tell(self, hook: str, **arguments: Any) -> None:
        """Tell the observers; one that keeps failing is not told any more."""
        _, failures = collect(self._manager, hook, self._note, **arguments)
        for failure in failures:
            count = self._told_failures[failure.plugin] = self._told_failures.get(failure.plugin, 0) + 1
            if failure not in self.failures:
                self.failures.append(failure)
            if count >= MAX_TOLD:
                self._manager.unregister(name=failure.plugin)
