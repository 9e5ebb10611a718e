"""``skillpm publish``: check, self-test, then the archive and the page. What is published never changes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from skillpm.errors import CheckError, ConflictError, UsageError
from skillpm.layout.tree import FolderTree, tree_digest
from skillpm.model.name import look_alike
from skillpm.model.skill import Skill
from skillpm.ops.context import Context
from skillpm.ops.pack import Packed
from skillpm.ops.ready import judging
from skillpm.ops.selftest import Selftest, selftest

if TYPE_CHECKING:
    from skillpm.model.ports import Registry
    from skillpm.model.release import Release

__all__ = ["Publication", "judged", "publish"]

_JUDGING = ("contract.yaml", "verifier.py", "plugin.py")  # a skill with any of these may judge answers


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of it.

    Attributes:
        packed: what was published.
        registry: where.
        change: ``published``, or ``unchanged`` where the very same content stood there already.
        claims: how many claims the self-test checked.
        warnings: sentences on what is allowed and still worth a look.
        dry_run: was nothing written?
    """

    packed: Packed
    registry: str
    change: str
    claims: int
    warnings: tuple[str, ...]
    dry_run: bool

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            **self.packed.document(),
            "registry": self.registry,
            "change": self.change,
            "claims": self.claims,
            "warnings": list(self.warnings),
            "dry_run": self.dry_run,
        }


def judged(packed: Packed) -> bool:
    """Does this skill judge answers, so that a self-test must pass before it is published?"""
    return any(name in _JUDGING for name in FolderTree(packed.root).paths())


def publish(
    context: Context,
    packed: Packed,
    registry: Registry,
    *,
    skill: Skill | None,
    dry_run: bool = False,
    look_alike_of: str = "",
) -> Publication:
    """Publish what was packed.

    Args:
        context: where consents are recorded, and whether plugins are loaded.
        packed: the skill.
        registry: where to.
        skill: the same skill, to be self-tested first; None where it judges nothing.
        dry_run: do all but write.
        look_alike_of: the published name that this new name may look like.

    Raises:
        ConsentError: the self-test would run code that nobody agreed to.
        CheckError: a claim of its verifier does not hold; nothing was written.
        ConflictError: the version stands there with another content, or the name is new and looks like another.
        UsageError: the folder changed in the meantime.
        RegistryError: the registry failed.
        StorageError: the disk refused.
    """
    page = registry.page(packed.name)
    if page is None:
        _refuse_look_alike(packed.name, registry, look_alike_of)
    releases = page.newest_first() if page else []
    standing = next((item for item in releases if Version(item.version) == Version(packed.release.version)), None)
    warnings = _warnings(packed, releases) if standing is None else ()
    if standing is not None and standing.tree != packed.release.tree:
        raise ConflictError(
            f"{packed.name} {standing.version} is published in {registry.name} with another content",
            hint="what is published never changes: raise the version with `skillpm version bump patch`",
            published=standing.tree,
            offered=packed.release.tree,
        )
    claims = _checked(context, skill, packed) if skill is not None else 0
    if dry_run:
        change = "published" if standing is None else "unchanged"
    else:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        release = replace(packed.release, published=now)
        change = "published" if registry.publish(packed.name, release, packed.archive) else "unchanged"
    return Publication(packed, registry.name, change, claims, warnings, dry_run)


def _refuse_look_alike(name: str, registry: Registry, allowed: str) -> None:
    """A name that is taken for another one is how strangers get their skills installed."""
    other = look_alike(name, (known for known in registry.names() if known != allowed))
    if other is not None:
        raise ConflictError(
            f"`{name}` looks like `{other}`, which is published in {registry.name}",
            hint=f"take another name, or publish it as OWNER/{name}; where both are meant, add --like {other}",
            near=other,
        )


def _checked(context: Context, skill: Skill, packed: Packed) -> int:
    """Self-test the skill and return the number of claims that hold."""
    with judging(context, [skill]) as ready:
        report = selftest(ready.contributions[skill.name], ready.scorer)
    if not report.ok:
        raise _broken(report)
    if tree_digest(FolderTree(packed.root)) != packed.release.tree:
        raise UsageError(f"{packed.root} changed while it was checked", hint="run the command again")
    return sum(report.checked.values())


def _broken(report: Selftest) -> CheckError:
    first, count = report.broken[0].finding(), sum(report.failed.values())
    claims = f"{count} claims" if count > 1 else "a claim"
    return CheckError(
        f"{claims} of the verifier of {report.skill} do{'' if count > 1 else 'es'} not hold, the first: "
        f"{first.code} {first.message}",
        hint="`skillpm selftest` lists them; a verifier that can be cheated trains cheaters",
        **report.document(),
    )


def _warnings(packed: Packed, releases: list[Release]) -> tuple[str, ...]:
    newest = next(iter(releases), None)
    if newest is None or Version(newest.version) < Version(packed.release.version):
        return ()
    return (f"{packed.release.version} is lower than the newest published version, {newest.version}",)
