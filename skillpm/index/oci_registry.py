"""Skills in an OCI registry: a repository for each skill, a tag for each version, a manifest for each release.

The manifest has the media types and annotations that other skill managers use for skills as OCI artefacts, and our
release in an annotation of its own. Its one layer is the archive as every registry has it. The signature is a manifest
that refers to it. A release is visible when its tag is there, so the tag comes last: a publisher that is killed leaves
nothing that a client could choose.

Tags are mutable and there is no conditional request, so "a version never changes" is a rule that clients keep: a
publisher refuses a tag that exists, and looks at it again at the end; a lock has the digests of the content.

Sources: OCI Image Specification 1.1.1 (manifest, annotations, empty descriptor), Agent Skills OCI Artifacts (draft).
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from packaging.version import InvalidVersion, Version

from skillpm.errors import IntegrityError, RegistryError
from skillpm.formats.gathered import Bytes
from skillpm.formats.light import json_form
from skillpm.formats.strict import strict_json
from skillpm.index.connections import CONNECTIONS
from skillpm.index.oci_client import EMPTY, MANIFEST, OciRepository
from skillpm.index.oci_reference import DIGEST, OciReference
from skillpm.index.page_cache import PageCache
from skillpm.index.pages import KEEPER, MAX_ARCHIVE, largest_archive, other_content, read_page
from skillpm.index.path import TreeIndex
from skillpm.index.transport import Transport, round_trips
from skillpm.layout.frontmatter import read_frontmatter, split
from skillpm.model.release import Page, Release, Status
from skillpm.model.source import Source, SourceKind
from skillpm.storage.archive import limits_of, read_any_archive, read_archive

SKILL = "application/vnd.agentskills.skill.v1"
LAYER = "application/vnd.agentskills.skill.content.v1.tar+gzip"
NAME = "io.agentskills.skill.name"
RELEASE = "skillpm.release"  # the annotation with our release as JSON, without the signature
SIGNATURE = "application/vnd.skillpm.signature.v1"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
_STANDARD = "org.opencontainers.image."
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
_OFFERED = 200  # releases of one skill, the newest
_SIGNATURE_BYTES = 1 << 16
_OF_AUTHOR = ("version", "archive", "tree", "size", "requires", "hooks", "published", "summary", "unsigned", "adapter")


@dataclass(frozen=True, slots=True)
class _Artefact:
    """A manifest of a skill: the release that it names, and its layer."""

    digest: str
    release: Mapping[str, Any]
    layer: str
    size: int

    def is_same(self, release: Release) -> bool:
        return (self.release.get("archive"), self.release.get("tree")) == (release.archive, release.tree)


class OciRegistry:
    """The skills below ``oci://HOST/PATH``, or with ``@sha256:…`` the one release of a repository."""

    made_here = False
    remote = True

    def __init__(self, place: str, transport: Transport, cache: PageCache) -> None:
        self.place = place
        self.name = str(Source(SourceKind.REGISTRY, place))
        self._reference = OciReference.parse(place)
        self._transport = transport
        self._cache = cache
        self._opening = threading.Lock()
        self._repositories: dict[str, OciRepository] = {}
        self._artefacts: dict[tuple[str, str], _Artefact] = {}
        self._packed: TreeIndex | None = None

    def page(self, name: str) -> Page | None:
        """Return the newest releases of a name, or None if it is unknown.

        Raises:
            RegistryError: the registry failed, or has nothing under this name that can be read.
            IntegrityError: a manifest does not have its digest.
            PolicyError: the registry demands another login.
        """
        repository = self._repository(name)
        if repository is None:
            return None
        if self._reference.digest and (foreign := self._foreign(name)):
            if foreign.skill != name:
                raise RegistryError(
                    f"{self.place} has the skill `{foreign.skill}`", hint="its repository must have its name"
                )
            return foreign.page(name)
        tags = [self._reference.digest] if self._reference.digest else _newest(repository.tags() or ())
        if not tags:
            return None
        with round_trips(CONNECTIONS) as pool:
            entries = [*pool.map(lambda tag: self._entry(name, tag), tags)]
        releases = [entry for entry in entries if isinstance(entry, dict)]
        skipped = [(tag[:64], entry) for tag, entry in zip(tags, entries, strict=True) if isinstance(entry, str)]
        if skipped and not releases:
            raise RegistryError(f"{repository.url}: {skipped[0][0]} {skipped[0][1]}", hint=KEEPER)
        page = read_page(json.dumps({"name": name, "releases": releases}).encode(), name, self.place)
        return replace(page, skipped=(*page.skipped, *skipped))

    def names(self) -> list[str]:
        """Return nothing: these registries cannot list what is below a path."""
        return []

    def archive(self, name: str, release: Release) -> Bytes:
        """Return the archive's bytes, which have the digest of the layer. Raises as ``page``."""
        if self._reference.digest and (foreign := self._foreign(name)):
            return foreign.archive(name, release)
        repository = self._repository(name)
        tag = self._reference.digest or release.version
        artefact = repository and (self._artefacts.get((name, tag)) or self._read(name, tag))
        if repository is None or not isinstance(artefact, _Artefact) or not artefact.is_same(release):
            reason = artefact if isinstance(artefact, str) else "has other content"
            raise IntegrityError(
                f"{self.place}: {name} {release.version} {reason}",
                hint="somebody has moved the tag, or removed it: tell the skill's publisher",
            )
        return repository.blob(artefact.layer, artefact.size, largest_archive(release))

    def publish(self, name: str, release: Release, archive: Bytes) -> bool:
        """Add a release; return False if the version is published with the same content.

        Raises:
            ConflictError: the version is published with different content, or was at the same time.
            RegistryError: the registry refuses the release, or failed.
            PolicyError: it demands another login.
        """
        repository = self._repository(name)
        if repository is None or self._reference.digest or not _TAG.match(release.version):
            raise RegistryError(
                f"{self.place} cannot have {name} {release.version}",
                hint="name a registry without a digest, and a version without `!`",
            )
        present = repository.manifest(release.version)
        if present is not None:
            artefact = _artefact(*present, name)
            if isinstance(artefact, _Artefact) and artefact.is_same(release):
                return False
            raise other_content(name, release.version, self.place)
        layer = {"mediaType": LAYER, **repository.send_blob(archive)}
        empty = {"mediaType": EMPTY, **repository.send_blob(b"{}")}
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SKILL, "config": empty, "layers": [layer],
            "annotations": _annotations(name, release, archive),
        }  # fmt: skip
        subject = repository.send_manifest(manifest)
        if release.signature is not None:
            _send_signature(repository, release, subject, empty)
        repository.send_manifest(manifest, release.version)
        written = repository.manifest(release.version)
        if written is None or written[0] != subject["digest"]:
            raise other_content(name, release.version, self.place)
        return True

    def yank(self, name: str, version: str, reason: str | None) -> bool:
        """Refuse: see ``_immutable``."""
        raise self._immutable("yanked")

    def quarantine(self, name: str, version: str, reason: str | None) -> bool:
        """Refuse: see ``_immutable``."""
        raise self._immutable("put into quarantine")

    def set_status(self, name: str, status: Status, reason: str) -> bool:
        """Refuse: see ``_immutable``."""
        raise self._immutable("given a status")

    def _immutable(self, what: str) -> RegistryError:
        return RegistryError(
            f"{self.place} is an OCI registry, in which nothing can be {what}",
            hint="publish a higher version, or delete the tag with the registry's own tools",
        )

    def _repository(self, name: str) -> OciRepository | None:
        """Return the repository of a name; None if this registry is one release of another name."""
        reference = self._reference
        if reference.digest:
            path = reference.path
            if path.rpartition("/")[2] != name:
                return None
        else:
            path = f"{reference.path}/{name}".lstrip("/")
        with self._opening:
            if path not in self._repositories:
                self._repositories[path] = OciRepository(reference.api, path, self._transport, self._cache)
            return self._repositories[path]

    def _entry(self, name: str, tag: str) -> dict[str, Any] | str:
        """Return a release as a page has it, or why it cannot be read."""
        artefact = self._read(name, tag)
        if isinstance(artefact, str):
            return artefact
        self._artefacts[name, tag] = artefact
        entry = {key: artefact.release[key] for key in _OF_AUTHOR if key in artefact.release}
        if not DIGEST.match(tag) and entry.get("version") != tag:
            return "is the tag of another version"
        if entry.get("unsigned") is True:
            return entry
        envelope = self._signature(name, artefact.digest)
        return envelope if isinstance(envelope, str) else {**entry, "signature": envelope}

    def _read(self, name: str, tag: str) -> _Artefact | str:
        repository = self._repository(name)
        manifest = repository and repository.manifest(tag)
        return _artefact(*manifest, name) if manifest else "is not in the registry"

    def _foreign(self, name: str) -> TreeIndex | None:
        """Return the skill that another program has packed under the digest; None if skillpm has published it."""
        if self._packed is None:
            repository = self._repository(name)
            manifest = repository.document(self._reference.digest) if repository else {}
            annotations, layer = manifest.get("annotations"), _only_layer(manifest)
            digest, size = layer.get("digest"), layer.get("size")
            is_ours = isinstance(annotations, dict) and RELEASE in annotations
            if repository is None or is_ours or not DIGEST.match(str(digest)):
                return None
            load = partial(repository.blob, str(digest), size if type(size) is int else 0, MAX_ARCHIVE)
            self._packed = TreeIndex(self.name, lambda: read_any_archive(load()), self.place, remote=True)
        return self._packed

    def _signature(self, name: str, digest: str) -> dict[str, Any] | str:
        """Return the envelope that refers to a manifest, or why there is none."""
        repository = self._repository(name)
        assert repository is not None
        for referrer in repository.referrers(digest, SIGNATURE)[:1]:
            manifest = repository.document(referrer)
            subject, layer = manifest.get("subject"), _only_layer(manifest)
            if not isinstance(subject, dict) or subject.get("digest") != digest or not layer:
                return "has a signature of something else"
            try:
                envelope = strict_json(_embedded(layer).decode("utf-8"))
            except ValueError:
                return "has a signature that cannot be read"
            return envelope if isinstance(envelope, dict) else "has a signature that cannot be read"
        return "has lost its signature"


def _embedded(layer: Mapping[str, Any]) -> bytes:
    """Return the data in a descriptor, with which its blob need not be asked for. Raises ValueError."""
    data = layer.get("data")
    if not isinstance(data, str) or len(data) > 2 * _SIGNATURE_BYTES:
        raise ValueError("no data")
    return base64.b64decode(data, validate=True)


def _send_signature(
    repository: OciRepository, release: Release, subject: dict[str, Any], empty: dict[str, Any]
) -> None:
    data = json.dumps(json_form(release.signature), sort_keys=True).encode()
    layer = {"mediaType": ENVELOPE, **repository.send_blob(data), "data": base64.b64encode(data).decode("ascii")}
    plain = {key: subject[key] for key in ("mediaType", "digest", "size")}
    repository.send_manifest(
        {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SIGNATURE, "config": empty, "layers": [layer],
            "subject": plain,
        }
    )  # fmt: skip


def _artefact(digest: str, manifest: Mapping[str, Any], name: str) -> _Artefact | str:
    """Return what a manifest says, of which nothing is believed yet, or why it is not a release of a skill."""
    annotations, layer = manifest.get("annotations"), _only_layer(manifest)
    if not isinstance(annotations, dict) or RELEASE not in annotations:
        return f"was packed by another program; if it is a skill, install it by its digest, `@{digest}`"
    if manifest.get("artifactType") != SKILL or not isinstance(manifest.get("layers"), list):
        return "is not a skill"
    if layer.get("mediaType") != LAYER or type(layer.get("size")) is not int:
        return "does not have one layer with an archive"
    try:
        release = strict_json(str(annotations[RELEASE]))
    except ValueError:
        release = None
    if not isinstance(release, dict) or annotations.get(NAME) != name.rpartition("/")[2]:
        return "does not say which release it is"
    if not DIGEST.match(str(layer.get("digest"))) or release.get("size") != layer["size"]:
        return "does not have one layer with an archive"
    return _Artefact(digest, release, layer["digest"], layer["size"])


def _only_layer(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layer of a manifest; empty if it has none, or several."""
    layers = manifest.get("layers")
    layer = layers[0] if isinstance(layers, list) and len(layers) == 1 else None
    return layer if isinstance(layer, dict) else {}


def _annotations(name: str, release: Release, archive: Bytes) -> dict[str, str]:
    plain = name.rpartition("/")[2]
    text = read_archive(archive, limits_of(release.adapter)).read("SKILL.md").decode("utf-8", "replace")
    written = {"title": plain, "version": release.version, "description": release.summary, **_of_author(text)}
    standard = {f"{_STANDARD}{key}": value for key, value in written.items() if value}
    document = {key: value for key, value in json_form(release).items() if key in _OF_AUTHOR}
    return {**standard, NAME: plain, RELEASE: json.dumps(document, sort_keys=True, ensure_ascii=False)}


def _of_author(text: str) -> dict[str, str]:
    """Return the licence and the source that SKILL.md names."""
    keys = read_frontmatter(split(text)).value
    if not isinstance(keys, dict):
        return {}
    more = keys.get("metadata")
    source = (more.get("source") or more.get("repository") or "") if isinstance(more, dict) else ""
    return {"licenses": str(keys.get("license") or "")[:256], "source": str(source)[:1024]}


def _newest(tags: Any) -> list[str]:
    """Return the tags that are versions, the newest first, as many as are offered."""
    versions = {}
    for tag in tags:
        if len(tag) <= 64:
            try:
                versions[tag] = Version(tag)
            except InvalidVersion:
                continue
    return sorted(versions, key=lambda tag: versions[tag], reverse=True)[:_OFFERED]
