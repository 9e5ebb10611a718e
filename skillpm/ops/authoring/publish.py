"""``skillpm publish`` and ``skillpm yank``: a published release never changes, but can be yanked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any, Literal

from packaging.version import Version

from skillpm.errors import CheckError, ConflictError, RegistryError, UsageError
from skillpm.index.credentials import Credentials, host_of
from skillpm.index.directory import DirectoryIndex
from skillpm.index.folder_registry import FolderRegistry
from skillpm.index.http import HttpIndex
from skillpm.index.http_registry import HttpRegistry
from skillpm.index.oci_registry import OciRegistry
from skillpm.index.pages import other_content
from skillpm.index.source import open_registry
from skillpm.layout.source_tree import SourceTree
from skillpm.layout.tree import tree_digest
from skillpm.model.key import Signer
from skillpm.model.name import did_you_mean, look_alike, parse_name
from skillpm.model.ports import Registry
from skillpm.model.progress import NO_PROGRESS, Progress
from skillpm.model.release import Release, Status
from skillpm.model.requirement import Requirement, parse_version
from skillpm.model.skill import Skill
from skillpm.ops.authoring.pack import Packed
from skillpm.ops.authoring.signing import signed
from skillpm.ops.context import Context
from skillpm.ops.learning.selftest import Selftest, selftest
from skillpm.ops.learning.session import open_session
from skillpm.trust.allowance import NOTHING, Allowance
from skillpm.trust.signature import signer as release_signer

_JUDGING = ("contract.yaml", "verifier.py", "plugin.py")  # a skill with any of these may judge answers


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What a person allows, and who signs.

    Attributes:
        like: the published name that a new name may look like.
        allow_unproven: publish a verifier whose claims prove little.
        allow_missing: publish although no registry has a required skill.
        key: the name of an own key; by default the key of the variable, or else the default key.
        keyless: sign as the CI job in which this runs, by Sigstore, with no key.
        no_sign: publish without a signature; the page records this decision.
        allow_signer_change: the signer may differ from that of the earlier releases.
    """

    dry_run: bool
    like: str
    allow_unproven: bool
    allow_missing: bool
    key: str
    keyless: bool
    no_sign: bool
    allow_signer_change: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """The outcome of a publication.

    Attributes:
        change: ``published``, ``unchanged`` if the same content was published already, or ``waiting`` for the
            approval of another owner.
        claims: the number of claims that the self-test checked.
        tasks: the number of tasks that it tried answers on.
        signer: who signed the release; None if it is unsigned, or is not published yet.
    """

    packed: Packed
    registry: str
    change: str
    claims: int
    tasks: int
    warnings: tuple[str, ...]
    dry_run: bool
    signer: Signer | None = None

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {
            **self.packed.document(),
            "registry": self.registry,
            "change": self.change,
            "claims": self.claims,
            "tasks": self.tasks,
            "warnings": list(self.warnings),
            "dry_run": self.dry_run,
            "signer": str(self.signer) if self.signer else None,
        }


def judged(packed: Packed) -> bool:
    """Does this skill judge answers, so that a self-test must pass before it is published?"""
    return any(name in _JUDGING for name in packed.tree.paths())


def publish(
    context: Context,
    packed: Packed,
    registry: Registry,
    *,
    skill: Skill | None,
    options: PublishOptions,
    progress: Progress = NO_PROGRESS,
) -> Publication:
    """Publish a packed skill.

    ``skill`` is the same skill, to self-test first; None if it judges nothing.

    Raises:
        ConsentError: the self-test would run code without consent.
        CheckError: a claim of its verifier failed or is unproven, or a required skill is missing; nothing was written.
        ConflictError: the version is published with different content, or a new name looks like another name.
        UsageError: the folder changed meanwhile.
        RegistryError: the registry failed.
    """
    _refuse_unknown(options.like, registry)
    page = registry.page(packed.name)
    if page is None:
        _refuse_look_alike(packed.name, registry, options.like)
    releases = page.newest_first() if page else []
    present = next((item for item in releases if Version(item.version) == Version(packed.release.version)), None)
    warnings = _warnings(packed, releases) if present is None else ()
    if present is not None and present.tree != packed.release.tree:
        digests = {"published": present.tree, "offered": packed.release.tree}
        raise other_content(packed.name, present.version, registry.name, **digests)
    warnings += _missing(context, packed, registry, allowed=options.allow_missing)
    report = None if skill is None else _checked(context, skill, packed, progress)
    if report is not None:
        warnings += _unproven(report, allowed=options.allow_unproven)
    signer = release_signer(packed.name, present) if present is not None else None
    if options.dry_run:
        change = "published" if present is None else "unchanged"
    else:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        release = replace(packed.release, published=now)
        if present is None:
            release = signed(context, packed.name, release, releases, options)
            signer = release_signer(packed.name, release)
        change = "published" if registry.publish(packed.name, release, packed.archive) else "unchanged"
        change = "waiting" if isinstance(registry, HttpRegistry) and registry.waits else change
    claims, tasks = (0, 0) if report is None else (report.claims, sum(report.tasks.values()))
    return Publication(packed, registry.name, change, claims, tasks, warnings, options.dry_run, signer)


def _refuse_unknown(like: str, registry: Registry) -> None:
    """Refuse a name that the new one may look like, and that nobody has."""
    if like and registry.page(parse_name(like)) is None:
        hint = did_you_mean(like, registry.names(), "give the published name, or remove `--like`")
        raise UsageError(f"`--like {like}`: {registry.name} has no such skill", hint=hint)


def _refuse_look_alike(name: str, registry: Registry, allowed: str) -> None:
    """Refuse a new name that people may mistake for a published one (typosquatting)."""
    other = look_alike(name, (known for known in registry.names() if known != allowed))
    if other is not None:
        raise ConflictError(
            f"`{name}` looks like `{other}`, which is published in {registry.name}",
            hint=f"choose another name, or publish it as OWNER/{name}; if both names are right, add --like {other}",
            near=other,
        )


def _missing(context: Context, packed: Packed, registry: Registry, *, allowed: bool) -> tuple[str, ...]:
    """Return a warning for each required skill of which no known registry has a release that fits, or refuse."""
    warnings = []
    for name, specifier in sorted(packed.release.requires.items()):
        requirement = Requirement.of(name, specifier)
        pages = [page for index in (registry, context.index) if (page := index.page(name)) is not None]
        if any(requirement.admits(release.version, prereleases=True) for page in pages for release in page.releases):
            continue
        what = f"no registry has {requirement}, which {packed.name} requires"
        if not allowed:
            raise CheckError(what, hint="publish that skill first, or add `--allow-missing`", missing=str(requirement))
        warnings.append(what)
    return tuple(warnings)


def _unproven(report: Selftest, *, allowed: bool) -> tuple[str, ...]:
    """Return what the self-test cannot prove as warnings, or refuse it."""
    if report.unproven and not allowed:
        raise CheckError(
            f"the verifier of {report.skill} is unproven: {'; '.join(report.unproven)}",
            hint="add seeds, suites or synthesis.yaml, keep the default promises, or add `--allow-unproven`",
            **report.document(),
        )
    return tuple(f"unproven: {reason}" for reason in report.unproven)


def _checked(context: Context, skill: Skill, packed: Packed, progress: Progress) -> Selftest:
    """Self-test the skill; all claims hold."""
    with open_session(context, [skill]) as session:
        report = selftest(session.contributions[skill.name], session.scorer, progress, context.note)
    if not report.ok:
        raise _broken(report)
    if tree_digest(SourceTree(packed.root)) != packed.release.tree:
        raise UsageError(f"{packed.root} changed while it was checked", hint="run the command again")
    return report


def _broken(report: Selftest) -> CheckError:
    first, count = report.broken[0].finding(), sum(report.failed.values())
    claims = f"{count} claims" if count > 1 else "a claim"
    return CheckError(
        f"{claims} of the verifier of {report.skill} do{'' if count > 1 else 'es'} not hold, the first: "
        f"{first.code} {first.message}",
        hint="run `skillpm selftest` to see them all; a model learns to cheat a weak verifier",
        **report.document(),
    )


def _warnings(packed: Packed, releases: list[Release]) -> tuple[str, ...]:
    newest = next(iter(releases), None)
    if newest is None or Version(newest.version) < Version(packed.release.version):
        return ()
    return (f"{packed.release.version} is lower than the newest published version, {newest.version}",)


MAX_REASON = 1024  # characters
Mark = Literal["yanked", "quarantined"]


@dataclass(frozen=True, slots=True)
class Recall:
    """What became of the mark of a release; ``reason`` is False if the mark was taken away."""

    name: str
    version: str
    registry: str
    mark: Mark
    reason: str | Literal[False]
    changed: bool

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        release = {"name": self.name, "version": self.version, "registry": self.registry}
        return {**release, self.mark: self.reason, "changed": self.changed}


def one_release(text: str) -> tuple[str, str]:
    """Return the (name, version) of ``name==version`` or ``name@version``; raise UsageError on anything else."""
    requirement = Requirement.parse(text)
    version = requirement.specifier.removeprefix("==")
    if not requirement.specifier.startswith("==") or "," in version or version.endswith(".*"):
        raise UsageError(f"`{text[:80]}` does not name one release", hint="write `name==1.2.0`")
    return requirement.name, str(parse_version(version))


def recall(registry: Registry, mark: Mark, text: str, reason: str | None) -> Recall:
    """Yank ``name==version`` or put it into quarantine for a reason; take that back if ``reason`` is None.

    Raises:
        UsageError: the text does not name one release, or the reason is empty or too long.
        RegistryError: there is no such release, or the registry failed.
    """
    name, version = one_release(text)
    stripped = None if reason is None else _reason(reason, "state what is wrong and what to use instead")
    change = registry.yank if mark == "yanked" else registry.quarantine
    return Recall(name, version, registry.name, mark, stripped or False, change(name, version, stripped))


def _reason(text: str, hint: str) -> str:
    if not 0 < len(text.strip()) <= MAX_REASON:
        raise UsageError(f"a reason has 1 to {MAX_REASON} characters", hint=hint)
    return text.strip()


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The outcome of a change of a skill's status."""

    name: str
    registry: str
    status: Status
    reason: str
    changed: bool


def set_status(registry: Registry, name: str, status: Status, reason: str) -> StatusChange:
    """Say that a skill is deprecated, archived, or active again.

    Raises:
        UsageError: the name is not a name, or the reason is empty or too long.
        RegistryError: there is no such skill, or the registry failed.
    """
    stripped = reason.strip() if status == "active" else _reason(reason, "name the skill to use instead")
    changed = registry.set_status(parse_name(name), status, stripped)
    return StatusChange(name, registry.name, status, stripped, changed)


def open_publishing(text: str, context: Context, *, like: str = "", allow: Allowance = NOTHING) -> Registry:
    """Return the registry at a place, or of a name in the settings, to publish to.

    An empty text means the only registry with a stored token, unless the settings name another one. ``like`` is the
    published name that a new name may look like. ``allow`` has the findings that the author accepts, for a server,
    which makes the checks again.

    Raises:
        UsageError: the text is empty, and there is not exactly one such registry.
        RegistryError: it is neither a folder with config.json nor the address of a registry.
        DocumentError: the settings cannot be read.
    """
    known = context.settings.registries
    place = known.get(text, text) if text else _logged_in(known)
    index = open_registry(place, context.around)
    if isinstance(index, HttpIndex):
        codes = {code for _, code in allow.pairs}
        return HttpRegistry(index.url, context.around.transport, context.around.pages, like=like, allow=codes)
    if isinstance(index, OciRegistry):
        return index
    if not isinstance(index, DirectoryIndex):
        raise RegistryError(
            f"{text[:200]} cannot be published to", hint="name a folder, or an https:// or oci:// address"
        )
    registry = FolderRegistry(index.root, index.name, context.keys)
    if not (registry.root / "config.json").is_file():
        make = f"make a new one with `skillpm registry init {quote(text)}`"
        hint = f"check the path, or {_listed(known) if known else make}"
        raise RegistryError(f"{registry.root} is not a registry", hint=hint)
    return registry


def _logged_in(known: Mapping[str, str]) -> str:
    """Return the only registry that people of this machine can mean. Raises UsageError."""
    stored = set(Credentials().stored)
    places = set(known.values()) or stored
    if len(places) == 1 and {host_of(place) for place in places} == stored:
        return places.pop()
    make = "add `--registry FOLDER`; `skillpm registry init FOLDER` makes one"
    names = [*known, *sorted(stored)]
    raise UsageError("`--registry` is missing", hint=f"{_listed(names)}, or {make}" if names else make)


def _listed(known: Iterable[str]) -> str:
    return f"name one of {', '.join(f'`{name}`' for name in known)}"
