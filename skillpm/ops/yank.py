"""``skillpm yank`` and ``unyank``: take a release out of new resolutions, and back; locks keep it either way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skillpm.errors import UsageError
from skillpm.model.requirement import Requirement, parse_version

if TYPE_CHECKING:
    from skillpm.model.ports import Registry

__all__ = ["Yanking", "one_release", "yank"]

MAX_REASON = 1024  # characters


@dataclass(frozen=True, slots=True)
class Yanking:
    """What became of a release: ``reason`` is None where it was taken back in."""

    name: str
    version: str
    registry: str
    reason: str | None
    changed: bool

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            "name": self.name,
            "version": self.version,
            "registry": self.registry,
            "yanked": self.reason if self.reason is not None else False,
            "changed": self.changed,
        }


def one_release(text: str) -> tuple[str, str]:
    """Return the (name, version) of ``name==version`` or ``name@version``; raise UsageError on anything else."""
    requirement = Requirement.parse(text)
    version = requirement.specifier.removeprefix("==")
    if not requirement.specifier.startswith("==") or "," in version or version.endswith(".*"):
        raise UsageError(f"`{text[:80]}` does not name one release", hint="write `name==1.2.0`")
    return requirement.name, str(parse_version(version))


def yank(registry: Registry, text: str, reason: str | None) -> Yanking:
    """Yank ``name==version`` for a reason, or take it back in where ``reason`` is None.

    Raises:
        UsageError: the text does not name one release, or the reason is empty or too long.
        RegistryError: there is no such release, or the registry failed.
        StorageError: the disk refused.
    """
    name, version = one_release(text)
    if reason is not None and not 0 < len(reason.strip()) <= MAX_REASON:
        raise UsageError(f"a reason has 1 to {MAX_REASON} characters", hint="say what is wrong and what to use instead")
    kept = reason.strip() if reason is not None else None
    return Yanking(name, version, registry.name, kept, registry.yank(name, version, kept))
