"""Asking plugins one at a time: every record with its giver, and one plugin's failure without anyone else's loss.

pluggy gives neither (one exception loses all results, and results have no origin), but its public
``subset_hook_caller`` with all plugins removed but one gives both.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from skillpm.errors import PluginError

if TYPE_CHECKING:
    import pluggy

Note = Callable[[str, str, float, str], None]
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Given(Generic[Record]):
    """A record and the plugin that gave it."""

    plugin: str
    record: Record


@dataclass(frozen=True, slots=True)
class Failure:
    """A plugin that failed, and where: a hook's name, or ``load``."""

    plugin: str
    hook: str
    message: str

    def error(self) -> PluginError:
        """Return the failure as an error to raise."""
        return PluginError(f"{self.plugin}: {self.hook}: {self.message}", plugin=self.plugin, hook=self.hook)


def implemented(manager: pluggy.PluginManager, plugin: object) -> list[str]:
    """Return the names of the hooks that a registered plugin implements, sorted."""
    return sorted(caller.name for caller in manager.get_hookcallers(plugin) or ())


def collect(
    manager: pluggy.PluginManager, hook: str, note: Note | None = None, **arguments: Any
) -> tuple[list[Given[Any]], list[Failure]]:
    """Call a hook on each plugin by itself, in the order of their names; generators are drained here.

    ``note`` is told of each call: plugin, hook, seconds, and what came of it.
    """
    collected: list[Given[Any]] = []
    failures: list[Failure] = []
    plugins = sorted((name, plugin) for name, plugin in manager.list_name_plugin() if plugin is not None)
    for name, plugin in plugins:
        if hook not in implemented(manager, plugin):
            continue
        others = [other for _, other in plugins if other is not plugin]
        started = time.perf_counter()
        try:
            with contextlib.redirect_stdout(sys.stderr):  # stdout has our own data, such as one JSON document
                records = _records(name, manager.subset_hook_caller(hook, others)(**arguments))
            collected += records
            outcome = f"{len(records)} record{'' if len(records) == 1 else 's'}"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a plugin raises is its own failure
            outcome = described(error)[:500]
            failures.append(Failure(name, hook, outcome))
        if note is not None:
            note(name, hook, time.perf_counter() - started, outcome)
    return collected, failures


def described(error: BaseException) -> str:
    """Return the type and the message of what a plugin raised, even where its own ``__str__`` fails."""
    try:
        message = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - foreign code may raise anything
        message = "(its message cannot be read)"
    return f"{type(error).__name__}: {message}".encode(errors="backslashreplace").decode()


def _records(plugin: str, result: Any) -> list[Given[Any]]:
    """Unfold what a hook call returned: one record (firstresult), or a list with one iterable of records."""
    if result is None:
        return []
    if not isinstance(result, list):
        return [Given(plugin, result)]
    records: list[Given[Any]] = []
    for part in result:
        items: Iterable[Any] = part if isinstance(part, Iterable) and not isinstance(part, str | bytes) else (part,)
        records += [Given(plugin, record) for record in items]
    return records


_PLAIN_KINDS = ("reward", "rule")  # exports write these names into other programs' files
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")


def unique(kind: str, items: Sequence[Given[Record]]) -> list[Given[Record]]:
    """Return the records, sorted by name.

    Raises:
        PluginError: a record without a name or with an unusable one, or two of one name; the plugins are named.
    """
    by_name: dict[str, Given[Record]] = {}
    for item in items:
        name = getattr(item.record, "name", None)
        if not isinstance(name, str) or not name:
            raise PluginError(f"{item.plugin}: a {kind} without a name", plugin=item.plugin)
        if kind in _PLAIN_KINDS and not _PLAIN_NAME.fullmatch(name):
            raise PluginError(
                f"{item.plugin}: {name!r} cannot be the name of a {kind}",
                hint="use letters, digits, `_`, `-` and `.` alone",
                plugin=item.plugin,
            )
        if name in by_name:
            raise PluginError(
                f"{by_name[name].plugin} and {item.plugin} both bring a {kind} called `{name}`",
                hint="rename one of them, or remove one of the two plugins",
                plugins=[by_name[name].plugin, item.plugin],
            )
        by_name[name] = item
    return [by_name[name] for name in sorted(by_name)]


def sole(items: Sequence[Given[Record]], claim: str, hint: str) -> Given[Record] | None:
    """Return the record of what only one plugin may give; None if none does.

    ``claim`` says in the message what two plugins both do, and ``hint`` how that ends.

    Raises:
        PluginError: there are two; the plugins of the first two are named.
    """
    if len(items) > 1:
        first, second = items[0].plugin, items[1].plugin
        raise PluginError(f"{first} and {second} both {claim}", hint=hint, plugins=[item.plugin for item in items])
    return items[0] if items else None


def trace(hook: str, plugin: str, source: str, outcome: str, seconds: float) -> None:
    """Log one call. Its texts may be a skill's own: whoever prints them escapes them."""
    import logging  # most commands call no hook

    logging.getLogger("skillpm.hooks").debug(
        "%s of %s (%s): %s in %.1f ms", hook, plugin, source, outcome, seconds * 1000
    )
