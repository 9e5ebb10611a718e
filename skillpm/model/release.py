"""What an index says of a skill: every published version with its digests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from packaging.version import InvalidVersion, Version

from skillpm.formats.light import LightDocument, Limit
from skillpm.model.name import is_name


def _a_name(text: str) -> str:
    if not is_name(text):
        shown = text[:80].encode(errors="backslashreplace").decode()  # pydantic cannot pass on lone surrogates
        raise ValueError(f"`{shown}` is not a skill name")
    return text


Digest = Annotated[str, Limit(pattern="[0-9a-f]{64}")]


SkillNameText = Annotated[str, Limit(check=_a_name)]


Status = Literal["active", "deprecated", "archived"]
"""Of a skill: it is maintained, another one replaces it, or nobody maintains it. A newer registry may know more."""


Requires = dict[SkillNameText, Annotated[str, Limit(longest=512)]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowingDocument(LightDocument):
    """Base of the documents to which a newer skillpm may add keys: those are ignored."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "ignore"}


# Source of the two: DSSE 1.0.2 (secure-systems-lab/dsse)
@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeSignature(GrowingDocument):
    """One signature of an envelope: ``keyid`` is the text of its signer, ``sig`` is base64.

    ``bundle`` has what checks the signature of an identity: Sigstore's bundle of certificate and log entry, as JSON.
    """

    keyid: Annotated[str, Limit(longest=1024)]
    sig: Annotated[str, Limit(longest=1024)]
    bundle: Annotated[str, Limit(longest=65_536)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope(GrowingDocument):
    """A DSSE envelope; ``payload`` is base64. Its signature covers the type and the payload."""

    payloadType: Annotated[str, Limit(longest=256)]  # noqa: N815  the name in DSSE
    payload: Annotated[str, Limit(longest=16_384)]
    signatures: Annotated[tuple[EnvelopeSignature, ...], Limit(longest=8)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher(GrowingDocument):
    """The CI job that published a release, as the registry's server checked it with the job's OIDC issuer.

    ``repository`` is what the issuer calls the job's repository, or the job's subject where it names none.
    """

    issuer: Annotated[str, Limit(longest=400)]
    repository: Annotated[str, Limit(longest=400)]
    ref: Annotated[str, Limit(longest=400)] = ""

    def __str__(self) -> str:
        return f"{self.repository} of {self.issuer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(GrowingDocument):
    """One published version. ``archive`` and ``tree`` are hex SHA-256, ``size`` is the archive's in bytes.

    ``yanked`` and ``quarantined`` may be the reason: the one is a mistake of its author, the other is under suspicion.
    ``unsigned`` says that its author decided not to sign it, ``proof`` that the registry's log has it. ``adapter`` is
    the base model of a trained adapter. ``publisher`` is the CI job that published it; a server alone says so.
    """

    version: Annotated[str, Limit(longest=64)]
    archive: Digest
    tree: Digest
    size: Annotated[int, Limit(least=0)]
    requires: Requires = field(default_factory=dict)
    hooks: int = 1
    yanked: bool | str = False
    quarantined: bool | str = False
    published: str | None = None
    summary: Annotated[str, Limit(longest=1024)] = ""
    signature: Envelope | None = None
    proof: Annotated[str, Limit(longest=16_384)] | None = None
    unsigned: bool | None = None
    publisher: Publisher | None = None
    adapter: Annotated[str, Limit(longest=256)] | None = None

    @property
    def usable(self) -> bool:
        """May it be chosen anew?"""
        return not self.yanked and not self.quarantined


@dataclass(frozen=True, slots=True)
class Listing(GrowingDocument):
    """What an index says of a skill at a glance: the version by which it is listed, if it tells, and its summary."""

    name: SkillNameText
    version: Annotated[str, Limit(longest=64)]
    summary: Annotated[str, Limit(longest=1024)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(GrowingDocument):
    """Every release of one name, as an index serves it; ``reason`` says why its status is not active."""

    name: SkillNameText
    releases: tuple[Release, ...] = ()
    status: Annotated[str, Limit(longest=32)] = "active"
    reason: Annotated[str, Limit(longest=1024)] = ""

    def release(self, version: str) -> Release | None:
        """Return the release of a version, however that is written (`1.0` is `1.0.0`), or None."""
        try:
            wanted = Version(version)
        except InvalidVersion:
            return None
        return next((release for release in self.releases if Version(release.version) == wanted), None)

    def newest_first(self) -> list[Release]:
        """Return the releases by version, newest first."""
        return sorted(self.releases, key=lambda release: Version(release.version), reverse=True)

    def shown(self) -> Release | None:
        """Return the release by which a name is listed: the newest final one that may be chosen, else the newest."""
        releases = self.newest_first()
        usable = [release for release in releases if release.usable]
        final = (release for release in usable if not Version(release.version).is_prerelease)
        return next(final, next(iter(usable or releases), None))

    def listing(self) -> Listing | None:
        """Return the line of this page in a listing; None if it has no release."""
        release = self.shown()
        return Listing(self.name, release.version, release.summary) if release else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryListing(GrowingDocument):
    """listing.json of a registry: what a search looks through where folders cannot be listed; pages are the truth."""

    listing: Annotated[int, Limit(least=1, most=1)]
    skills: tuple[Listing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig(GrowingDocument):
    """config.json at the root of a registry; keys that are not known here are left to newer versions.

    ``search`` is an address, absolute or relative to the registry's, that answers ``?q=TEXT&limit=N`` with a listing.
    ``publish`` is the address of the API that takes publications; it is on the registry's own host.
    ``signed`` says that the registry has signed metadata and a log, and for how many days a timestamp is valid.
    ``mirror`` names the source of which it is a copy, so nobody publishes to it.
    """

    registry: Annotated[int, Limit(least=1, most=1)]
    name: str
    search: Annotated[str, Limit(longest=2048)] | None = None
    publish: Annotated[str, Limit(longest=2048)] | None = None
    signed: Annotated[int, Limit(least=1, most=3650)] | None = None
    mirror: Annotated[str, Limit(longest=2048)] | None = None


SEARCH_FILTERS = ("verifier", "suite", "signed", "adapter", "measured", "no-network", "no-programs")
"""What the search of a registry's server can demand of a skill."""
