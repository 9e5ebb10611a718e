"""A conflict that a release of a later registry would solve. The hint names it; nothing is taken from there by itself.

A name comes from the first registry that has it, and releases of several registries are never mixed. Otherwise anybody
who can publish in one of them could replace the skills of the others (dependency confusion).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from shlex import quote

from skillpm.errors import SkillpmError
from skillpm.index.credentials import Credentials, host_of
from skillpm.index.git_url import is_web
from skillpm.model.release import Page
from skillpm.model.requirement import Requirement
from skillpm.model.source import BUNDLED, Source
from skillpm.ops.context import Context
from skillpm.resolve.candidates import Withheld
from skillpm.resolve.resolver import resolve

PageOf = Callable[[str], Page | None]

_NAMES = 20  # that are looked for in the other registries


def logged_in_elsewhere(context: Context) -> tuple[str, ...]:
    """Return the registries that `skillpm login` has a token for and that this project does not ask."""
    with suppress(SkillpmError):
        asked = {host_of(place) for place in context.settings.indexes if is_web(place)}
        return tuple(sorted(host for host in Credentials().stored if host not in asked))
    return ()


def release_of_another(
    context: Context, requirements: Sequence[Requirement], page: PageOf, withheld: Withheld, names: Iterable[str]
) -> str:
    """Return a hint about the first of some names of which another registry has a release that fits, or nothing."""
    for name in sorted(names)[:_NAMES]:
        first = context.index.source(name)
        for index in context.index.indexes:
            if index is first or index.name == str(BUNDLED):
                continue
            with suppress(SkillpmError):
                other = index.page(name)
                if other is not None:
                    chosen = resolve(requirements, _with(page, other), withheld=withheld)
                    return _hint(context, name, chosen[name].version, index.name)
    return ""


def _with(page: PageOf, other: Page) -> PageOf:
    """Return the pages with another one for its name."""
    return lambda name: other if name == other.name else page(name)


def _hint(context: Context, name: str, version: str, source: str) -> str:
    settings, registry = context.settings, Source.parse(source)
    names = [name for name in context.registry_names.get(registry, ()) if name not in settings.typed_registries]
    places = [place for place in settings.indexes if context.registry_source(place) == registry]
    shown = quote([registry.place, *places, *names][-1])
    command = f"skillpm install {quote(f'{name}=={version}')} --registry {shown}"
    return f"{name} {version} is in {shown}: if you trust it with that name, run `{command}`"
