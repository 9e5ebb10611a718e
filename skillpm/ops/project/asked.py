"""The arguments of ``skillpm install``, parsed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from skillpm.errors import UsageError
from skillpm.index.forge import may_be_repository
from skillpm.index.source import is_path
from skillpm.model.requirement import Requirement


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
        places = tuple(text for text in texts if is_path(text))
        undecided = tuple(text for text in texts if text not in places and may_be_repository(text))
        requirements = tuple(Requirement.parse(text) for text in texts if text not in {*places, *undecided})
        if (names or every) and not (places or undecided):
            raise UsageError(
                "`--skill` and `--all` need a source",
                hint="add `owner/repo`, a folder, a git+URL or a site, or name skills without `--skill`",
            )
        return cls(requirements, places, tuple(names), every, tuple(skip), undecided)

    def with_adapters(self, model: str) -> Asked:
        """Return the same, with the adapter of a base model for each skill.

        Raises:
            UsageError: a skill is not asked for by its name.
        """
        from skillpm.train.base_model import adapter_name

        if self.places or self.undecided or not self.requirements:
            raise UsageError("`--adapter` needs skills by name", hint="skillpm install NAME --adapter smollm2-135m")
        adapters = (Requirement.of(adapter_name(item.name, model), "") for item in self.requirements)
        return replace(self, requirements=(*self.requirements, *adapters))
