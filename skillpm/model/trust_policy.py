"""What may be installed and what may run: the age of a release, its source, and what its code is given.

Several policies hold at once, a person's and a project's, and each must agree: a project can be stricter than the
person who works in it, never laxer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from skillpm.formats.document import Document
from skillpm.model.manifest import Manifest, Permissions
from skillpm.model.release import Release

Consent = Literal["never", "ask", "locked", "always"]
CONSENTS: tuple[Consent, ...] = ("never", "ask", "locked", "always")  # the strictest first

Signatures = Literal["off", "when-present", "required", "trusted"]
SIGNATURES: tuple[Signatures, ...] = ("off", "when-present", "required", "trusted")  # the laxest first

T = TypeVar("T")
_WILD = re.compile(r"[*?[]")
Pattern = Annotated[str, Field(min_length=1, max_length=2000)]


class WitnessPolicy(Document):
    """Whose signatures the head of a registry's log needs.

    Attributes:
        keys: of the witnesses, each ``NAME+HASH+KEY`` (C2SP signed-note).
        needed: how many of them must have signed; by default all.
    """

    keys: Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(min_length=1, max_length=50)]
    needed: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if len(set(self.keys)) < len(self.keys):
            raise ValueError("`keys` has a witness twice, whose one signature would count twice")
        if (self.needed or 0) > len(self.keys):
            raise ValueError(f"`needed: {self.needed}` is more than the {len(self.keys)} `keys`")
        return self

    def __str__(self) -> str:
        return f"{self.needed or len(self.keys)} of {', '.join(key.partition('+')[0] for key in self.keys)}"


class TrustPolicy(Document):
    """One policy.

    Attributes:
        cooldown: days; a registry's releases that are younger are not chosen. None says nothing.
        allow: patterns of sources, ``*`` for any text, or names of registries; where given, nothing else is taken.
        deny: the same, for what is never taken.
        consent: whose code may run without a question: nobody's and no question asked (``never``), nobody's (``ask``),
            that of skills whose content stands in the project's lock (``locked``), everybody's (``always``).
        network: False keeps every skill's code from the network, whatever it asks for.
        run: the programs that skills' code may be given; None for all that a person agrees to.
        sandbox: ``require`` refuses to run skill code confined by resource limits alone.
        signatures: what a registry's releases need: nothing (``off``), a valid signature if they have one
            (``when-present``), a signature (``required``), or one of a key that the person trusts (``trusted``). Or one
            of these for each pattern of sources or name of a registry; the first that fits counts.
        witnesses: the witnesses of logs, by patterns of registries' places or by names; the first that fits counts.
        scan: ``refuse`` makes errors of what the scan warns of in texts that agents read (SK611 to SK617).
    """

    cooldown: Annotated[int, Field(ge=0, le=3650)] | None = None
    allow: tuple[Pattern, ...] | None = None
    deny: tuple[Pattern, ...] = ()
    consent: Consent | None = None
    network: bool | None = None
    run: tuple[Pattern, ...] | None = None
    sandbox: Literal["require"] | None = None
    signatures: Signatures | dict[Pattern, Signatures] | None = None
    witnesses: dict[Pattern, WitnessPolicy] | None = None
    scan: Literal["refuse"] | None = None

    def narrowed(self, asked: Permissions) -> Permissions:
        """Return what this policy leaves of what a skill asks for."""
        programs = asked.run if self.run is None else tuple(name for name in asked.run if name in self.run)
        return Permissions(network=asked.network and self.network is not False, run=programs)

    def signatures_of(self, texts: Sequence[str]) -> Signatures | None:
        """Return what releases of a source need, which is called by these texts; None if the policy does not say."""
        return _first(self.signatures, texts) if isinstance(self.signatures, dict) else self.signatures

    def witnesses_of(self, texts: Iterable[str]) -> WitnessPolicy | None:
        """Return whose signatures the log of a registry needs, which is called by these texts."""
        return _first(self.witnesses or {}, tuple(texts))

    def refuses(self, texts: Sequence[str]) -> str | None:
        """Return why a source, which is called by these texts, is not to be used, or None."""
        denied = next((item for item in self.deny if any(fnmatchcase(text, item) for text in texts)), None)
        if denied is not None:
            return f"`deny` has `{denied}`"
        if self.allow is not None and not any(fnmatchcase(text, item) for item in self.allow for text in texts):
            return "`allow` does not have it"
        return None

    def refuses_below(self, beginning: str) -> str | None:
        """Return why no source whose text begins so is to be used, or None if one might be."""
        denied = next((item for item in self.deny if item.endswith("*") and fnmatchcase(beginning, item)), None)
        if denied is not None:
            return f"`deny` has `{denied}`"
        known = [_WILD.split(item, maxsplit=1)[0] for item in self.allow or ()]  # what matches begins so
        if self.allow is not None and not any(
            beginning.startswith(text) or text.startswith(beginning) for text in known
        ):
            return "`allow` does not have it"
        return None


def _first(table: Mapping[str, T], texts: Sequence[str]) -> T | None:
    """Return the first value of a table whose pattern fits any of some texts."""
    return next((value for item, value in table.items() if any(fnmatchcase(text, item) for text in texts)), None)


def cutoff(cooldown: int, now: datetime) -> str:
    """Return the UTC day before which a release must have been published, such as ``2026-11-13``."""
    return (now.astimezone(UTC) - timedelta(days=cooldown)).date().isoformat()


def too_young(release: Release, day: str, today: str) -> str | None:
    """Return why a release is too young for a cut-off day, in words that follow "it is", or None.

    A release without a time of publication that can be read cannot show its age, and is too young.
    """
    try:
        published = datetime.fromisoformat(release.published or "")
    except ValueError:
        return "without a time of publication, which the cooldown needs"
    aware = published if published.tzinfo else published.replace(tzinfo=UTC)
    moment = aware.astimezone(UTC).date().isoformat()
    if moment < day:
        return None
    clock = f"; this machine's clock says {today}: is it right?" if moment > today else ""
    return f"younger than the cooldown allows (published {moment}, cut-off {day}{clock})"


def permitted(manifest: Manifest | None, policies: Sequence[TrustPolicy]) -> Permissions:
    """Return what policies leave of what a skill asks for."""
    permissions = Permissions() if manifest is None else manifest.permissions
    for policy in policies:
        permissions = policy.narrowed(permissions)
    return permissions
