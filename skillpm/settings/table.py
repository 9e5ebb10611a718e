"""The table of settings: the origins of a value, its parser, and the rule that merges several values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from skillpm.errors import UsageError
from skillpm.settings.files import SettingsFile, free_name, registry_name
from skillpm.settings.origin import Level, Origin, Setting

if TYPE_CHECKING:
    from skillpm.model.trust_policy import Consent, TrustPolicy
    from skillpm.settings.settings import Settings

MAX_WORKERS = 64
ENGINES = ("processes", "ray")  # where workers run
SANDBOXES = ("auto", "require", "landlock", "bubblewrap", "limits")  # how skill code is to be confined
_FORGE = re.compile(r"(?:https|ssh|file)://[^\s#?\\]+\Z")
SANDBOX_OF_PLUGIN = re.compile(r"plugin:[a-z0-9][a-z0-9_-]{0,31}\Z")

T = TypeVar("T")
W = TypeVar("W", bound=str)
Typed = Setting[Any]  # the value of a flag or a variable, before it is parsed
Stated = Iterator[Setting[T]]  # the stated values, the nearest first; a file is read when it is reached


def _by_name(stated: Stated[dict[str, str]], default: Setting[dict[str, str]]) -> Setting[dict[str, str]]:
    """Return the nearest value; a registry's name from a flag is replaced by its place in a file."""
    first = next(stated, default)
    known: dict[str, str] = {}
    for other in stated if first.origin.is_typed else ():
        known = {**other.value, **known}
    return replace(first, value={name: known.get(place, place) for name, place in first.value.items()})


def _longest(stated: Stated[int], default: Setting[int]) -> Setting[int]:
    return max(stated, key=lambda setting: setting.value, default=default)


def _strictest(stated: Stated[Consent], default: Setting[Consent]) -> Setting[Consent]:
    """Return the strictest value. A project can make the person's choice stricter, but not weaker."""
    from skillpm.model.trust_policy import CONSENTS

    settings = list(stated)
    own = [setting for setting in settings if setting.origin.level is not Level.PROJECT] or [default]
    return min([*own, *settings], key=lambda setting: CONSENTS.index(setting.value))


def _every_demand(stated: Stated[Any], default: Setting[Any]) -> Setting[Any]:
    """Return the demands of the files: all items of lists, or else the first value."""
    demands = [setting for setting in stated if setting.value != default.value]
    if not demands:
        return default
    items = [item for demand in demands if isinstance(demand.value, tuple) for item in demand.value]
    origin = Origin(demands[0].origin.level, " and ".join(demand.origin.place for demand in demands))
    return replace(default, value=tuple(items) or demands[0].value, origin=origin)


def _confined(stated: Stated[str], default: Setting[str]) -> Setting[str]:
    """Return the typed value, unless a file demands a stronger one."""
    settings = list(stated)
    typed = next((setting for setting in settings if setting.origin.is_typed), default)
    if typed.value not in ("auto", "limits"):
        return typed
    return _every_demand((setting for setting in settings if not setting.origin.is_typed), typed)


def _words(typed: Typed) -> tuple[str, ...]:
    return typed.value if isinstance(typed.value, tuple) else tuple(typed.value.split())


def _places(typed: Typed) -> dict[str, str]:
    places: dict[str, str] = {}
    for place in _words(typed):
        places[free_name(registry_name(place), places)] = place
    return places


def _number(typed: Typed, of: str, least: int, most: int) -> int:
    text = str(typed.value)
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise UsageError(f"{typed.origin}: `{text[:80]}` is not a number of {of}", hint=f"{least} to {most:,}")
    return int(text)


def _one_of(choices: Sequence[W], typed: Typed) -> W:
    if typed.value not in choices:
        raise UsageError(f"{typed.origin}: `{str(typed.value)[:80]}` is not one of {', '.join(choices)}")
    return choices[choices.index(typed.value)]


def _consent(typed: Typed) -> Consent:
    from skillpm.model.trust_policy import CONSENTS

    return _one_of(CONSENTS, typed)


def _sandbox(typed: Typed) -> str:
    return str(typed.value) if SANDBOX_OF_PLUGIN.match(str(typed.value)) else _one_of(SANDBOXES, typed)


def _forge(typed: Typed) -> str:
    if not _FORGE.match(str(typed.value)):
        raise UsageError(f"{typed.origin}: `{str(typed.value)[:80]}` is not a forge", hint="write `https://HOST`")
    return str(typed.value).rstrip("/")


def _plugins(typed: Typed) -> tuple[str, ...]:
    return () if typed.origin.place == "SKILLPM_NO_PLUGINS" else tuple(sorted({*typed.value.replace(",", " ").split()}))


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """One setting, and as an attribute of ``Settings`` its value.

    Attributes:
        about: its description for the documentation.
        default: its value if none is stated.
        flag: its option, without dashes.
        variables: of the environment; the first one that is set counts.
        parse: reads the value of a flag or a variable. Raises UsageError.
        key: of the files.
        read: returns the value in a file, or None.
        merge: returns one value from the stated ones and the default.
        blank: the variable whose empty value counts.
    """

    name: str
    about: str
    default: T
    flag: str = ""
    variables: tuple[str, ...] = ()
    parse: Callable[[Typed], T] | None = None
    key: str = ""
    read: Callable[[SettingsFile], T | None] | None = None
    merge: Callable[[Stated[T], Setting[T]], Setting[T]] = next
    blank: str = ""

    def __get__(self, settings: Settings, owner: object) -> T:
        return settings.setting(self).value


def _in_policies(of: Callable[[TrustPolicy], T | None]) -> Callable[[SettingsFile], T | None]:
    return lambda file: of(file.document.policy) if file.document.policy else None


def _list_of(item: T | None) -> tuple[T, ...] | None:
    return None if item is None else (item,)


# fmt: off
REGISTRIES: Row[dict[str, str]] = Row(
    "registries", "registries in their order, before the bundled skills", {},
    "registry", ("SKILLPM_REGISTRIES",), _places, "registries", SettingsFile.registries, _by_name)
FORGE: Row[str] = Row(
    "forge", "the URL below which `owner/repo` is", "https://github.com",
    "", ("SKILLPM_FORGE",), _forge)
AGENTS: Row[tuple[str, ...]] = Row(
    "agents", "agents whose folders are filled", (),
    "agent", ("SKILLPM_AGENTS",), _words, "agents", lambda file: file.document.agents)
LINK: Row[str] = Row(
    "link", "how skills are placed in agents' folders: `copy` or `symlink`", "copy",
    "link", ("SKILLPM_LINK",), lambda typed: _one_of(("copy", "symlink"), typed),
    "link", lambda file: file.document.link)
COOLDOWN: Row[int] = Row(
    "policy.cooldown", "minimum age in days of a registry's release; the longest holds", 0,
    "", ("SKILLPM_COOLDOWN",), lambda typed: _number(typed, "days", 0, 3650),
    "policy", _in_policies(lambda policy: policy.cooldown), _longest)
ALLOW: Row[tuple[tuple[str, ...], ...] | None] = Row(
    "policy.allow", "patterns of allowed sources; both files must agree", None,
    key="policy", read=_in_policies(lambda policy: _list_of(policy.allow)), merge=_every_demand)
DENY: Row[tuple[str, ...]] = Row(
    "policy.deny", "patterns of forbidden sources, of both files together", (),
    key="policy", read=_in_policies(lambda policy: policy.deny), merge=_every_demand)
CONSENT: Row[Consent] = Row(
    "policy.consent", "whose code runs unasked: `never`, `ask`, `locked`, `always`; the strictest holds", "ask",
    "", ("SKILLPM_CONSENT",), _consent, "policy", _in_policies(lambda policy: policy.consent), _strictest)
NETWORK: Row[bool] = Row(
    "policy.network", "`false` in either file forbids the network to skill code", True,
    key="policy", read=_in_policies(lambda policy: policy.network), merge=_every_demand)
RUN: Row[tuple[tuple[str, ...], ...] | None] = Row(
    "policy.run", "programs that skill code may run; both files must agree", None,
    key="policy", read=_in_policies(lambda policy: _list_of(policy.run)), merge=_every_demand)
SANDBOX_POLICY: Row[str | None] = Row(
    "policy.sandbox", "`require` in either file refuses resource limits alone", None,
    key="policy", read=_in_policies(lambda policy: policy.sandbox), merge=_every_demand)
SCAN: Row[str | None] = Row(
    "policy.scan", "`refuse` in either file refuses what agents are told (SK611 to SK617)", None,
    key="policy", read=_in_policies(lambda policy: policy.scan), merge=_every_demand)
SIGNATURES: Row[tuple[Any, ...] | None] = Row(
    "policy.signatures", "what registries' releases need: `off`, `when-present` (the default), `required`, `trusted`, "
    "or one of these for each registry; the strictest holds", None,
    key="policy", read=_in_policies(lambda policy: _list_of(policy.signatures)), merge=_every_demand)
WITNESSES: Row[tuple[Any, ...] | None] = Row(
    "policy.witnesses", "whose signatures the log of a registry needs; what both files name holds", None,
    key="policy", read=_in_policies(lambda policy: _list_of(policy.witnesses)), merge=_every_demand)
OFFLINE: Row[bool] = Row(
    "offline", "use the cache only", False,
    "offline", ("SKILLPM_OFFLINE",), lambda typed: True)
PLUGINS: Row[str | tuple[str, ...]] = Row(
    "plugins", "distributions whose plugins are loaded: all, those of the second variable, or none", "all",
    "", ("SKILLPM_NO_PLUGINS", "SKILLPM_LOAD_PLUGINS"), _plugins, blank="SKILLPM_LOAD_PLUGINS")
SANDBOX: Row[str] = Row(
    "sandbox", "how skill code is confined: `auto`, `require`, `landlock`, `bubblewrap`, `limits`, `plugin:NAME`",
    "auto", "sandbox", ("SKILLPM_SANDBOX",), _sandbox, "policy", SANDBOX_POLICY.read, _confined)
WORKERS: Row[int] = Row(
    "workers", f"processes that judge for each skill, 1 to {MAX_WORKERS}", 1,
    "workers", ("SKILLPM_WORKERS",), lambda typed: _number(typed, "workers", 1, MAX_WORKERS))
ENGINE: Row[str] = Row(
    "engine", "where they run: `processes` of this machine, or on the nodes of a `ray` cluster", "processes",
    "engine", ("SKILLPM_ENGINE",), lambda typed: _one_of(ENGINES, typed))
# fmt: on

TABLE = (REGISTRIES, FORGE, AGENTS, LINK, COOLDOWN, ALLOW, DENY, CONSENT, NETWORK, RUN, SANDBOX_POLICY, SCAN,
         SIGNATURES, WITNESSES, OFFLINE, PLUGINS, SANDBOX, WORKERS, ENGINE)  # fmt: skip
