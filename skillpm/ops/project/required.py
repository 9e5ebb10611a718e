"""The requirements of a project: those of its skillpm.yaml, else those in its lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skillpm.errors import LockOutOfDateError, UsageError
from skillpm.index.source import place_source
from skillpm.model.lock import Lock
from skillpm.model.name import did_you_mean
from skillpm.model.requirement import Requirement
from skillpm.model.source import BUNDLED, Source
from skillpm.ops.context import Context
from skillpm.ops.project.vanished import stays_as_locked
from skillpm.resolve.agreement import disagreements

if TYPE_CHECKING:
    from skillpm.model.project import Wish


def required(context: Context, lock: Lock) -> tuple[Requirement, ...]:
    """Return the requirements by name; two requirements of one name in the lock are joined.

    Raises:
        DocumentError: skillpm.yaml is invalid.
        UsageError: it names an unknown registry.
        RegistryError: this version cannot read a place.
    """
    document = context.settings.document
    if document is None:
        joined: dict[str, Requirement] = {}
        for requirement in map(Requirement.parse, lock.requirements):
            other = joined.get(requirement.name)
            joined[requirement.name] = other.joined(requirement) if other else requirement
        return tuple(joined[name] for name in sorted(joined))
    return tuple(
        Requirement.of(name, wish.version or "", _source(context, name, wish))
        for name, wish in sorted(document.requires.items())
    )


def _source(context: Context, name: str, wish: Wish) -> Source | None:
    from skillpm.model.project import BUNDLED_REGISTRY

    if wish.registry == BUNDLED_REGISTRY:
        return BUNDLED
    if wish.registry is not None:
        place = context.settings.registries.get(wish.registry)
        if place is None:
            names = [*context.settings.registries, BUNDLED_REGISTRY]
            hint = did_you_mean(wish.registry, names, "add its place under `registries`")
            message = f"`{name}` names the registry `{wish.registry}`, which is not in `registries`"
            with context.settings.requirement_origin(name).blamed():
                raise UsageError(message, hint=hint)
        return context.registry_source(place)
    with context.settings.requirement_origin(name).blamed():
        return place_source(wish.place, context.around, context.settings.project) if wish.place else None


def out_of_date(context: Context, requirements: Sequence[Requirement], lock: Lock) -> list[str]:
    """Return the reasons why a lock is out of date. Reads the required folders, and queries no index.

    Raises:
        SkillpmError: a required folder is not a skill.
    """
    reasons = disagreements(requirements, lock)
    for requirement in requirements:
        entry, source = lock.skill(requirement.name), requirement.source
        if entry is None or source is None or not source.editable or entry.source != source:
            continue
        if stays_as_locked(context, source, entry):
            continue
        page = context.source(source).page(requirement.name)
        if page is None or page.releases[0].tree != entry.tree:
            reasons.append(f"{source} no longer has the locked {requirement.name}")
    return reasons


def refuse_out_of_date(reasons: Sequence[str]) -> None:
    """Raise LockOutOfDateError if there is a reason; ``details["reasons"]`` has all reasons."""
    if not reasons:
        return
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    raise LockOutOfDateError(
        f"skillpm.lock is out of date: {reasons[0]}{more}", hint="run `skillpm lock`", reasons=list(reasons)
    )
