"""What the user's own installed plugins add to commands; pluggy is loaded only where there is any such plugin."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import PluginError, UsageError
from skillpm.model.skill import Skill
from skillpm.settings import Settings
from skillpm.settings.table import SANDBOX_OF_PLUGIN

if TYPE_CHECKING:
    from skillpm.layout.rule import Rule
    from skillpm.layout.subject import Subject
    from skillpm.model.finding import Problem
    from skillpm.model.ports import Enclosure, Index, PolicyMaker, SandboxLevel
    from skillpm.runtime.collect import Given
    from skillpm.runtime.host import Host

_SECTION = b"[skillpm]"
_FILES = {".dist-info": "entry_points.txt", ".egg-info": "entry_points.txt", ".egg": "EGG-INFO/entry_points.txt"}
_OWN_CODES = "SK"


def plugin_host(settings: Settings) -> Host | None:
    """Return a host with the user's plugins; None, without importing pluggy, where there cannot be any."""
    chosen = settings.plugins
    if chosen == frozenset() or not any(_may_have_plugins(place) for place in sys.path):
        return None
    from skillpm.runtime.host import load_host

    return load_host(plugins=chosen)


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


def foreign_index(url: str, settings: Settings) -> Index | None:
    """Return the index that a plugin makes of a URL that is not built in; the first by the plugin's name."""
    host = plugin_host(settings)
    given = host.collect("skillpm_index", url=url) if host is not None else []
    return given[0].record if given else None


def foreign_policy(model: str, settings: Settings) -> tuple[PolicyMaker, str] | None:
    """Return the plugin's policy that ``NAME:REST`` asks for, and the rest; None where no plugin has that name.

    Raises:
        PluginError: two plugins bring policies of one name.
    """
    name, colon, rest = model.partition(":")
    found = _records("policy", "skillpm_policies", settings) if colon else {}
    return (found[name].record, rest) if name in found else None


def foreign_exporter(name: str, settings: Settings) -> Given:
    """Return the exporter of a name, with the plugin that brings it.

    Raises:
        UsageError: no plugin brings it.
        PluginError: two plugins bring exporters of one name.
    """
    found = _records("exporter", "skillpm_exporters", settings)
    if name not in found:
        known = f"known here: {', '.join(found)}" if found else "install a distribution that brings one"
        raise UsageError(f"no exporter `{name[:80]}`", hint=f"{known}; `skillpm plugins` lists what is loaded")
    return found[name]


def foreign_importer(file: str, settings: Settings) -> Given | None:
    """Return what reads locks of this file name, with the plugin that brings it; None where no plugin does.

    Raises:
        PluginError: two read this file name, or two have one name.
    """
    from skillpm.runtime.collect import sole

    found = [given for given in _records("importer", "skillpm_importers", settings).values() if file in _files(given)]
    hint = "uninstall one of them, or name the one to load in SKILLPM_LOAD_PLUGINS"
    return sole(found, f"read files called `{file}`", hint)


def _files(given: Given) -> tuple[str, ...]:
    files = getattr(given.record, "files", None)
    if not isinstance(files, tuple):
        raise PluginError(f"{given.plugin}: `files` of an importer is a tuple of file names", plugin=given.plugin)
    return files


def foreign_sandboxes(settings: Settings) -> tuple[SandboxLevel, ...]:
    """Return the levels of confinement that plugins bring, by name; what fails in them names the plugin.

    Raises:
        PluginError: a record is no level, or two plugins bring levels of one name.
    """
    from skillpm.model.ports import SandboxLevel

    found = _records("sandbox", "skillpm_sandboxes", settings)
    for given in found.values():
        if not isinstance(given.record, SandboxLevel) or not SANDBOX_OF_PLUGIN.match(f"plugin:{given.record.name}"):
            raise PluginError(
                f"{given.plugin}: a sandbox is a skillpm.plugin.SandboxLevel with a name in small letters",
                plugin=given.plugin,
            )
    return tuple(_guarded_level(given.plugin, given.record) for given in found.values())


def _guarded_level(plugin: str, level: SandboxLevel) -> SandboxLevel:
    from skillpm.runtime.guarded import blaming

    what = f"{plugin}: sandbox `{level.name}`"

    def probe() -> str:
        with blaming(plugin, what):
            found = level.probe()
        return " ".join(found.split())[:100] if isinstance(found, str) else ""

    def command(enclosure: Enclosure) -> Sequence[str]:
        with blaming(plugin, what):
            return [str(word) for word in level.command(enclosure)]

    return dataclasses.replace(level, probe=probe, command=command)


def _records(kind: str, hook: str, settings: Settings) -> dict[str, Given]:
    host = plugin_host(settings)
    if host is None:
        return {}
    from skillpm.runtime.collect import unique

    return {item.record.name: item for item in unique(kind, host.collect(hook))}


def extra_rules(settings: Settings) -> tuple[Rule, ...]:
    """Return the layout rules of plugins.

    Raises:
        PluginError: a record is no rule, or its code is one of ours or of another plugin.
    """
    host = plugin_host(settings)
    found: dict[str, Rule] = {}
    for item in host.collect("skillpm_layout_rules") if host is not None else []:
        code = getattr(item.record, "code", None)
        if not isinstance(code, str) or not callable(getattr(item.record, "look", None)):
            raise PluginError(f"{item.plugin}: a layout rule is a skillpm.plugin.Rule", plugin=item.plugin)
        if code.startswith(_OWN_CODES) or code in found:
            raise PluginError(f"{item.plugin}: the code {code} is taken", hint="use a prefix of your own")
        found[code] = _guarded(item.plugin, item.record)
    return tuple(found[code] for code in sorted(found))


def _guarded(plugin: str, rule: Rule) -> Rule:
    """Return the rule with its failures turned into errors that name the plugin."""
    from skillpm.runtime.guarded import blaming

    def look(subject: Subject) -> Iterator[Problem]:
        with blaming(plugin, f"{plugin}: layout rule {rule.code}"):
            yield from rule.look(subject)

    return dataclasses.replace(rule, look=look)


def installed_observer(settings: Settings) -> Callable[[Skill], None] | None:
    """Return what tells plugins of an installed skill, or None where nobody listens."""
    host = plugin_host(settings)
    if host is None or not host.listens("skillpm_installed"):
        return None

    def tell(skill: Skill) -> None:
        host.tell("skillpm_installed", skill=skill)

    return tell
