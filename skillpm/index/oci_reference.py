"""The address of skills in an OCI registry: ``oci://HOST/PATH``, with a tag or a digest for one release.

A skill is a repository, ``oci://HOST/PATH/NAME``. All repositories below ``oci://HOST/PATH`` are one registry of
skillpm. Source: OCI Distribution Specification 1.1.1, "Pulling manifests", for the grammar of names, tags and digests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from skillpm.errors import UsageError
from skillpm.model.name import is_name
from skillpm.model.requirement import Requirement, parse_version
from skillpm.model.source import Source, SourceKind

SCHEME = "oci://"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?\Z")
_STEP = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_LOCAL = ("localhost", "127.0.0.1")
_LONGEST = 255  # characters of a host and a repository
_HUB = {"docker.io": "registry-1.docker.io"}  # what the name of this registry means
_FORM = "write `oci://HOST/OWNER/NAME:1.2.0`, `oci://HOST/OWNER/NAME` or `oci://HOST/OWNER/NAME@sha256:…`"


@dataclass(frozen=True, slots=True)
class OciReference:
    """A host and a path on it.

    Attributes:
        host: with the port, if there is one.
        path: of a repository, or of the folder above many, which may be empty.
        tag: of a release, or empty.
        digest: of a manifest, ``sha256:…``, or empty.
    """

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> OciReference:
        """Read ``oci://HOST/PATH[:TAG][@DIGEST]``. Raises UsageError."""
        plain, _, digest = text.removeprefix(SCHEME).partition("@")
        host, _, path = plain.strip("/").partition("/")
        path, _, tag = path.partition(":")
        steps = path.split("/") if path else []
        if not _HOST.match(host) or not all(_STEP.match(step) for step in steps) or len(host + path) > _LONGEST:
            raise _refused(text, "is not a place in an OCI registry")
        if ("@" in text and not DIGEST.match(digest)) or (":" in plain.partition("/")[2] and not tag):
            raise _refused(text, "has no digest after `@`, or no tag after `:`")
        return cls(host, path, tag, digest)

    @property
    def api(self) -> str:
        """The address of the registry's API: http for this machine, and https for any other."""
        is_here = self.host.partition(":")[0] in _LOCAL
        return f"http{'' if is_here else 's'}://{_HUB.get(self.host, self.host)}/v2"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        path = f"/{self.path}" if self.path else ""
        return f"{SCHEME}{self.host}{path}{tag}{f'@{self.digest}' if self.digest else ''}"


def is_oci(text: str) -> bool:
    """Is this text a place in an OCI registry?"""
    return text.startswith(SCHEME)


def oci_requirement(text: str) -> Requirement:
    """Return the requirement of ``oci://HOST/PATH/NAME``: any version, that of the tag, or the one of a digest.

    Its source is the registry ``oci://HOST/PATH``, or for a digest the reference itself.

    Raises:
        UsageError: it is not such a place, or the tag is not a version.
    """
    reference = OciReference.parse(text)
    above, _, name = reference.path.rpartition("/")
    if not is_name(name):
        raise _refused(text, "does not name a skill")
    if reference.digest:
        pinned = replace(reference, tag="")
        return Requirement(name, source=Source(SourceKind.REGISTRY, str(pinned)))
    source = Source(SourceKind.REGISTRY, str(OciReference(reference.host, above)))
    if reference.tag in ("", "latest"):
        return Requirement(name, source=source)
    try:
        return Requirement(name, f"=={parse_version(reference.tag)}", source)
    except UsageError:
        raise _refused(text, f"has the tag `{reference.tag[:80]}`, which is not a version") from None


def _refused(text: str, reason: str) -> UsageError:
    return UsageError(f"`{text[:200]}` {reason}", hint=_FORM)
