"""The arguments of ``skillpm install``, parsed once.

``owner/repo`` may be a skill of a registry, or a repository. A registry comes first, and nothing is shadowed silently.
If anybody could take such a name by making a repository of the same name, a missing registry would turn into foreign
code (dependency confusion). So:

1. A name that is locked, required or known to a registry is that skill.
2. If a registry fails, the command fails. It does not go on to the forge.
3. If a registry has other skills of the owner, the name is refused. ``github:owner/repo`` means a repository.
4. Else it is a repository. If registries were asked, a notice says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from skillpm.errors import RegistryError, UsageError
from skillpm.index.forge import may_be_repository
from skillpm.index.oci_reference import is_oci, oci_requirement
from skillpm.index.source import is_path
from skillpm.model.name import did_you_mean, is_name
from skillpm.model.requirement import Requirement

if TYPE_CHECKING:
    from skillpm.ops.context import Context


@dataclass(frozen=True, slots=True)
class Asked:
    """Requested skills; none by default.

    Attributes:
        requirements: skills by name, with their allowed versions.
        places: folders, archives, repositories and sites with skills, as typed.
        names: the skills to take from the places; if empty, each place must have exactly one.
        every: take every skill of the places.
        skip: the skills that ``every`` leaves out on purpose.
        undecided: ``owner/repo``, which is a skill of a registry or a repository; ``settled`` decides.
    """

    requirements: tuple[Requirement, ...] = ()
    places: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    every: bool = False
    skip: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()

    @classmethod
    def read(
        cls, texts: Sequence[str], names: Sequence[str] = (), *, every: bool = False, skip: Sequence[str] = ()
    ) -> Asked:
        """Parse the arguments ``texts``, the values of ``--skill`` and ``--skip``, and the flag ``--all`` (``every``).

        Raises:
            UsageError: a text is neither a requirement nor a place, ``--skill`` or ``--all`` has no place, or
                ``--skip`` stands without ``--all``.
        """
        if skip and not every:
            raise UsageError("`--skip` needs `--all`", hint="add `--all`, or name skills with `--skill`")
        places = tuple(text for text in texts if is_path(text) and not is_oci(text))
        undecided = tuple(text for text in texts if text not in places and may_be_repository(text))
        requirements = tuple(
            oci_requirement(text) if is_oci(text) else Requirement.parse(text)
            for text in texts
            if text not in {*places, *undecided}
        )
        if (names or every) and not (places or undecided):
            raise UsageError(
                "`--skill` and `--all` need a source",
                hint="add `owner/repo`, a folder, a git+URL or a site, or name skills without `--skill`",
            )
        return cls(requirements, places, tuple(names), every, tuple(skip), undecided)

    def with_adapters(self, model: str) -> Asked:
        """Return the same, settled, with the adapter of a base model for each skill.

        Raises:
            UsageError: a skill is not asked for by its name.
        """
        from skillpm.train.base_model import adapter_name

        if self.places or not self.requirements:
            raise UsageError("`--adapter` needs skills by name", hint="skillpm install NAME --adapter smollm2-135m")
        adapters = (Requirement.of(adapter_name(item.name, model), "") for item in self.requirements)
        return replace(self, requirements=(*self.requirements, *adapters))


def settled(context: Context, asked: Asked, known: Iterable[str]) -> Asked:
    """Return what was asked with every ``owner/repo`` decided; the project has or requires the ``known`` names.

    Raises:
        RegistryError: a registry failed.
        UsageError: a registry has other skills of the owner, or ``--all`` or ``--skill`` stands beside a skill.
    """
    if not asked.undecided:
        return asked
    requirements, places, present = [*asked.requirements], [*asked.places], set(known)
    for text in asked.undecided:
        name = text.partition("@")[0]
        if _is_skill(context, name, present):
            if asked.names or asked.every:
                raise UsageError(
                    f"`{name}` is a skill, and `--skill` and `--all` need a source",
                    hint=f"write `github:{text}` for the repository",
                )
            requirements.append(_requirement(text))
        else:
            _refuse_owner(context, text, name)
            places.append(text)
    return replace(asked, requirements=tuple(requirements), places=tuple(places), undecided=())


def _is_skill(context: Context, name: str, known: set[str]) -> bool:
    if name in known or Path(name.partition("/")[0]).is_dir():  # a mistyped path goes to no forge
        return True
    try:
        return is_name(name) and context.index.source(name) is not None
    except RegistryError as error:
        error.hint = f"{error.hint or 'try again'}; if the repository is meant, write `github:{name}`"
        raise


def _requirement(text: str) -> Requirement:
    try:
        return Requirement.parse(text)
    except UsageError as error:
        error.hint = f"{error.hint}; if the repository is meant, write `github:{text}`"
        raise


def _refuse_owner(context: Context, text: str, name: str) -> None:
    if not context.settings.indexes:
        return
    owner = f"{name.partition('/')[0]}/"
    own = [other for other in context.index.names() if other.startswith(owner)]
    if own:
        raise UsageError(
            f"no registry knows `{name}`, and one has other skills of `{owner[:-1]}`",
            hint=did_you_mean(name, own, f"they are {', '.join(own[:10])}")
            + f"; if the repository is meant, write `github:{text}`",
        )
    context.note(f"no registry knows `{name}`, so it is the repository {context.settings.forge}/{name}")
