"""The host: one typed method for each hook that runs in skillpm's own process."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from skillpm.errors import PluginError
from skillpm.runtime.collect import Given, sole, unique
from skillpm.runtime.plugins import Plugins
from skillpm.settings.table import SANDBOX_OF_PLUGIN

if TYPE_CHECKING:
    from skillpm.layout.rule import Rule
    from skillpm.model.contract import Tool
    from skillpm.model.ports import (
        Attempt,
        Benchmark,
        Embedder,
        Enclosure,
        Exporter,
        Importer,
        Index,
        PolicyMaker,
        SandboxLevel,
        SynthesisRule,
        Verifier,
    )
    from skillpm.model.skill import Skill
    from skillpm.model.suite import Suite
    from skillpm.model.task import Seed, Task
    from skillpm.model.training import Trainer
    from skillpm.model.verdict import Judgement, RewardFunction

OWN_EXPORTERS = ("rows", "sbom", "tools")
_ONE_OF_THEM = "uninstall one of them, or name the one to load in SKILLPM_LOAD_PLUGINS"
_OWN_CODES = "SK"  # in front of the codes of our own layout rules

Record = TypeVar("Record")
Guarded = TypeVar("Guarded", bound=Any)
Callables = TypeVar("Callables", "PolicyMaker", "Exporter")


class Host(Plugins):
    """What plugins contribute, asked for hook by hook.

    Records are checked when they are asked for, and their functions are guarded: a plugin that gives something else,
    takes a name that another has, or fails, is named in a PluginError. Models are imported where they are needed, so
    that a host without plugins costs a command nothing.
    """

    def _checked(self, kind: str, form: type[Record], hook: str, **arguments: Any) -> list[Given[Record]]:
        """Return the records that plugins bring. Raises PluginError if one has another form."""
        records = self.collect(hook, **arguments)
        for item in records:
            if not isinstance(item.record, form):
                name = getattr(item.record, "name", None)
                what = f"{kind} `{name}`" if name else kind
                raise PluginError(
                    f"{item.plugin}: {what}: a {type(item.record).__name__} is not a skillpm.plugin.{form.__name__}",
                    hint=f"{self.source(item.plugin)} brings it; see docs/hooks.md",
                    plugin=item.plugin,
                )
        return records

    def _brought(self, kind: str, form: type[Record], hook: str) -> list[Given[Record]]:
        """Return the records of a host hook, which the built-in plugin does not implement."""
        return self._checked(kind, form, hook) if self.has_any() else []

    # Skill hooks: the built-in plugin's records are among them.

    def rewards(self, skill: Skill) -> list[Given[RewardFunction]]:
        """Return the rewards for a skill. Raises PluginError if a record has another form."""
        from skillpm.model.verdict import RewardFunction

        return self._checked("reward", RewardFunction, "skillpm_rewards", skill=skill)

    def suites(self, skill: Skill) -> list[Given[Suite]]:
        """Return the suites for a skill. Raises PluginError if a record has another form."""
        from skillpm.model.suite import Suite

        return self._checked("suite", Suite, "skillpm_suites", skill=skill)

    def tools(self, skill: Skill) -> list[Given[Tool]]:
        """Return the tools of a skill. Raises PluginError if a record has another form."""
        from skillpm.model.contract import Tool

        return self._checked("tool", Tool, "skillpm_tools", skill=skill)

    def synthesis_rules(self, skill: Skill) -> list[Given[SynthesisRule]]:
        """Return the synthesis rules for a skill."""
        return self.collect("skillpm_synthesis_rules", skill=skill)

    def synthesise(self, skill: Skill, rule: str, seeds: Sequence[Seed], *, seed: int, count: int) -> list[Task] | None:
        """Return the tasks that a plugin's rule makes, at most ``count``; None if no plugin brings this rule.

        Raises:
            PluginError: the rule failed, or made something else.
        """
        brought = next((item for item in self.synthesis_rules(skill) if item.record.name == rule), None)
        if brought is None:
            return None
        from skillpm.model.task import Task
        from skillpm.runtime.guarded import blaming

        with blaming(brought.plugin, f"{brought.plugin}: rule `{rule}`"):
            tasks = list(islice(brought.record.tasks(seeds, seed), count))
            if not all(isinstance(task, Task) for task in tasks):
                raise TypeError("it yields something that is not a Task")
        return tasks

    def verifier(self, skill: Skill) -> Given[Verifier] | None:
        """Return what a plugin judges a skill with. Raises PluginError if two plugins would."""
        verifiers = self.collect("skillpm_verifier", skill=skill)
        return sole(verifiers, f"bring a verifier for {skill.name}", "uninstall one of them")

    # Host hooks: records are checked and guarded; two of one name are a PluginError that names both plugins.

    def index(self, url: str) -> Index | None:
        """Return the index that a plugin makes of a URL; the first by the plugin's name. Raises PluginError."""
        indexes = self.collect("skillpm_index", url=url) if self.has_any() else []
        return _guard_index(indexes[0].plugin, indexes[0].record) if indexes else None

    def layout_rules(self) -> tuple[Rule, ...]:
        """Return the layout rules, by code. Raises PluginError if a code is ours or another plugin's."""
        from skillpm.layout.rule import Rule

        rules: dict[str, Rule] = {}
        for item in self._brought("layout rule", Rule, "skillpm_layout_rules"):
            code = item.record.code
            if code.startswith(_OWN_CODES) or code in rules:
                raise PluginError(f"{item.plugin}: the code {code} is taken", hint="use a prefix of your own")
            rules[code] = _guard_record(item.plugin, f"layout rule {code}", item.record, "look")
        return tuple(rules[code] for code in sorted(rules))

    def sandboxes(self) -> tuple[SandboxLevel, ...]:
        """Return the levels of confinement, by name. Raises PluginError if a name cannot be asked for."""
        from skillpm.model.ports import SandboxLevel

        levels = unique("sandbox", self._brought("sandbox", SandboxLevel, "skillpm_sandboxes"))
        for item in levels:
            if not SANDBOX_OF_PLUGIN.match(f"plugin:{item.record.name}"):
                raise PluginError(
                    f"{item.plugin}: the name of a sandbox is in small letters, not `{item.record.name}`",
                    plugin=item.plugin,
                )
        return tuple(_guard_level(item.plugin, item.record) for item in levels)

    def policies(self) -> Mapping[str, PolicyMaker]:
        """Return the kinds of policies, by name."""
        from skillpm.model.ports import PolicyMaker

        return _by_name("policy", self._brought("policy", PolicyMaker, "skillpm_policies"), "open")

    def embedder(self) -> Embedder | None:
        """Return the embedding model; None if no plugin brings one. Raises PluginError if two would."""
        from skillpm.model.ports import Embedder

        embedders = self._brought("embedder", Embedder, "skillpm_embedders")
        found = sole(embedders, "embed texts", _ONE_OF_THEM)
        return None if found is None else _guard_embedder(found.plugin, found.record)

    def benchmarks(self) -> Mapping[str, Benchmark]:
        """Return the benchmarks, by name."""
        from skillpm.model.ports import Benchmark

        brought = unique("benchmark", self._brought("benchmark", Benchmark, "skillpm_benchmarks"))
        return {item.record.name: item.record for item in brought}

    def exporters(self) -> Mapping[str, Exporter]:
        """Return the exporters, by name. Raises PluginError if a name is one of ours."""
        from skillpm.model.ports import Exporter

        brought = self._brought("exporter", Exporter, "skillpm_exporters")
        for item in brought:
            if item.record.name in OWN_EXPORTERS:
                raise PluginError(
                    f"{item.plugin}: the exporter `{item.record.name}` is built in, so this one could never be used",
                    hint="give it another name",
                    plugin=item.plugin,
                )
        return _by_name("exporter", brought, "export")

    def trainers(self) -> list[Given[Trainer]]:
        """Return the kinds of stages, by name; what they plan and return is not looked at here."""
        from skillpm.model.training import Trainer

        return unique("trainer", self._brought("trainer", Trainer, "skillpm_trainers"))

    def importer(self, file: str) -> Given[Importer] | None:
        """Return what reads locks of this file name. Raises PluginError if two plugins would."""
        from skillpm.model.ports import Importer

        importers = unique("importer", self._brought("importer", Importer, "skillpm_importers"))
        for item in importers:
            if not isinstance(item.record.files, tuple):
                raise PluginError(f"{item.plugin}: `files` of an importer is a tuple of file names", plugin=item.plugin)
        ours = [item for item in importers if file in item.record.files]
        return sole(ours, f"read files called `{file}`", _ONE_OF_THEM)

    # Event hooks: a failure changes nothing.

    def installed_observer(self) -> Callable[[Skill], None] | None:
        """Return what tells of an installed skill; None if nobody listens."""
        return (
            (lambda skill: self.tell("skillpm_installed", skill=skill)) if self.listens("skillpm_installed") else None
        )

    def scored_observer(self) -> Callable[[Attempt, Judgement], None] | None:
        """Return what tells of a judged answer; None if nobody listens."""
        if not self.listens("skillpm_scored"):
            return None
        return lambda attempt, judgement: self.tell("skillpm_scored", attempt=attempt, judgement=judgement)

    def run_finished(self, run: Mapping[str, Any]) -> None:
        """Tell of a training run that has written its manifest."""
        if self.listens("skillpm_run_finished"):
            self.tell("skillpm_run_finished", run=run)


_INDEX = ("page", "names", "archive")
_MORE_OF_AN_INDEX = ("listings", "ranked", "demand_logged")  # by which isinstance tells what else an index can do


def _guard_index(plugin: str, index: Any) -> Index:
    """Return an index whose methods name the plugin in whatever they raise, and whose pages are pages.

    Raises:
        PluginError: it is no index.
    """
    name = getattr(index, "name", None)
    missing = [item for item in _INDEX if not callable(getattr(index, item, None))]
    missing += [] if isinstance(name, str) else ["name"]
    if missing:
        raise PluginError(
            f"{plugin}: a {type(index).__name__} is not a skillpm.plugin.Index: it has no {missing[0]}",
            hint="see docs/hooks.md",
            plugin=plugin,
        )

    def guard(method: str) -> Callable[..., Any]:
        def call(_: object, *arguments: Any) -> Any:
            from skillpm.model.release import Page
            from skillpm.runtime.guarded import blaming

            with blaming(plugin, f"{plugin}: index {name}"):
                result = getattr(index, method)(*arguments)
                if method == "page" and not isinstance(result, Page | None):
                    raise TypeError(f"`page` returned a {type(result).__name__}, not a Page")
                return list(result) if hasattr(result, "__next__") else result

        return call

    known = {key: getattr(index, key, False) for key in ("made_here", "remote")}
    methods = [item for item in (*_INDEX, *_MORE_OF_AN_INDEX) if callable(getattr(index, item, None))]
    guarded: Index = type("GuardedIndex", (), {"name": name, **known, **{item: guard(item) for item in methods}})()
    return guarded


def _by_name(kind: str, records: Sequence[Given[Callables]], function: str) -> dict[str, Callables]:
    """Return records by name, with one of their functions guarded."""
    return {
        item.record.name: _guard_record(item.plugin, f"{kind} `{item.record.name}`", item.record, function)
        for item in unique(kind, records)
    }


def _guard_record(plugin: str, what: str, record: Guarded, *fields: str) -> Guarded:
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


def _guard_level(plugin: str, level: SandboxLevel) -> SandboxLevel:
    """Return a level of confinement that says what it should say, or raises what names its plugin."""
    safe = _guard_record(plugin, f"sandbox `{level.name}`", level, "probe", "command")

    def probe() -> str:
        version = safe.probe()
        return " ".join(version.split())[:100] if isinstance(version, str) else ""

    def command(enclosure: Enclosure) -> Sequence[str]:
        return [str(word) for word in safe.command(enclosure)]

    return dataclasses.replace(level, probe=probe, command=command)


def _guard_embedder(plugin: str, embedder: Embedder) -> Embedder:
    """Return an embedding model that gives what it should give, or raises what names its plugin."""

    def embed(texts: Sequence[str]) -> list[list[float]]:
        vectors = [[float(number) for number in vector] for vector in embedder.embed(texts)]
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1:
            raise ValueError("it does not give a vector of one dimension for each text")
        return vectors

    checked = dataclasses.replace(embedder, embed=embed)
    return _guard_record(plugin, f"embedder `{embedder.name}`", checked, "embed")
