"""One repository of an OCI registry: blobs, manifests, tags and referrers.

Nothing that a registry sends is believed: a manifest and a blob are what their digest says, or an error, and each has a
limit. A body is sent in one piece. The login goes to the repository alone, so that neither a redirect nor the address
of an upload can lead it elsewhere.

Source: OCI Distribution Specification 1.1.1. A registry without the referrers API has an index of them under a tag,
which the client keeps ("Unavailable Referrers API").
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from skillpm.errors import IntegrityError, RegistryError, SkillpmError
from skillpm.formats.gathered import Bytes
from skillpm.formats.strict import strict_json
from skillpm.index.credentials import host_of
from skillpm.index.http import cached_get
from skillpm.index.oci_login import OciLogin
from skillpm.index.oci_reference import DIGEST
from skillpm.index.page_cache import PageCache
from skillpm.index.pages import KEEPER, ONLINE_ONCE
from skillpm.index.transport import Answer, Transport, followed

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"  # the media type of the blob `{}`
MAX_MANIFEST = 1 << 20  # bytes
_PAGES, _TAGS = 50, 1000  # of a list of tags: pages, and tags of one
_NEXT = re.compile(r'<([^<>]{1,2048})>\s*;\s*rel="?next"?')


class OciRepository:
    """A repository; ``api`` is the address of its registry's API."""

    def __init__(self, api: str, name: str, transport: Transport, cache: PageCache) -> None:
        self.url = f"{api}/{name}"
        self._transport = transport
        self._cache = cache
        self._login = OciLogin(api, name, transport)
        self._actions = "pull"

    def tags(self) -> list[str] | None:
        """Return all tags, offline those of the last time; None if there is no such repository.

        Raises:
            RegistryError: the registry failed, or has too many.
            PolicyError: it demands another login.
        """
        url = f"{self.url}/tags/list?n={_TAGS}"
        if self._transport.offline:
            cached = self._cache.get(url)
            if cached is None:
                raise RegistryError(f"{url} is not in the cache", hint=ONLINE_ONCE)
            return [str(tag) for tag in json.loads(cached.body)]
        tags: dict[str, None] = {}
        place = url
        for _ in range(_PAGES):
            answer = self._get(place)
            if answer.missing:
                return None
            root = _json(answer.body, place)
            listed = (root.get("tags") or []) if isinstance(root, dict) else None
            if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
                raise RegistryError(f"{place} is not a list of tags", hint=KEEPER)
            tags.update(dict.fromkeys(listed))
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                self._cache.put(url, json.dumps([*tags]).encode(), {})
                return [*tags]
            place = followed(place, following[1])
        raise RegistryError(f"{self.url} has more than {_PAGES * _TAGS} tags", hint=KEEPER)

    def manifest(self, reference: str) -> tuple[str, dict[str, Any]] | None:
        """Return a manifest or an index with its digest, by its digest or a tag; None if the registry has none.

        Raises:
            IntegrityError: it does not have the digest.
            RegistryError: the registry failed, or it is not a manifest.
            PolicyError: the registry demands another login.
        """
        url, is_digest = f"{self.url}/manifests/{reference}", DIGEST.match(reference) is not None
        cached = self._cache.get(url) if is_digest else None
        data = cached.body if cached is not None else self._cached(url)
        if data is None:
            return None
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if is_digest and digest != reference:
            raise _mismatch(url, reference, digest)
        root = _json(data, url) if len(data) <= MAX_MANIFEST else None
        if not isinstance(root, dict) or root.get("schemaVersion") != 2:
            raise RegistryError(f"{url} is not an OCI manifest of at most {MAX_MANIFEST} bytes", hint=KEEPER)
        return digest, root

    def document(self, reference: str) -> dict[str, Any]:
        """Return a manifest or an index, empty if the registry has none. Raises as ``manifest``."""
        return (self.manifest(reference) or ("", {}))[1]

    def referrers(self, digest: str, kind: str) -> list[str]:
        """Return the digests of the manifests of an artifact type that refer to a manifest. Raises as ``manifest``."""
        url = f"{self.url}/referrers/{digest}?{urlencode({'artifactType': kind})}"
        data = self._cached(url)
        root = _json(data, url) if data is not None else self.document(_tag_of(digest))
        digests = [entry.get("digest") for entry in _manifests(root) if entry.get("artifactType") == kind]
        return [item for item in digests if isinstance(item, str) and DIGEST.match(item)]

    def blob(self, digest: str, size: int, limit: int) -> Bytes:
        """Return a blob.

        Raises:
            IntegrityError: it does not have the digest.
            RegistryError: it is missing, or does not have the size, or is larger than the limit.
            PolicyError: the registry demands another login.
        """
        url = f"{self.url}/blobs/{digest}"
        if not 0 < size <= limit:
            raise RegistryError(f"{url} has {size} bytes, {limit} are allowed", hint=KEEPER)
        if not self._transport.offline:
            self._login.demand(self._actions)
        data = self._transport.download(url, limit=limit, size=size)
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if found != digest:
            raise _mismatch(url, digest, found)
        return data

    def send_blob(self, data: Bytes) -> dict[str, Any]:
        """Send a blob unless the repository has it; return its digest and size.

        Raises:
            RegistryError: the registry refuses it, or failed.
            PolicyError: it demands another login.
        """
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if self._send("HEAD", f"{self.url}/blobs/{digest}").status != 200:
            begun = self._send("POST", f"{self.url}/blobs/uploads/")
            if begun.status != 202:
                raise self._refused("POST", begun)
            place = followed(self.url, begun.headers.get("location"))
            secret = self._transport.authorization(f"{self.url}/")
            if secret and host_of(place) == host_of(self.url):  # on its own host an upload may be outside of /v2/
                self._transport.authorize(place, secret)
            target = f"{place}{'&' if urlsplit(place).query else '?'}{urlencode({'digest': digest})}"
            answer = self._send("PUT", target, data, "application/octet-stream")
            if answer.status != 201 and self._send("HEAD", f"{self.url}/blobs/{digest}").status != 200:
                raise self._refused("PUT", answer)
        return {"digest": digest, "size": len(data)}

    def send_manifest(self, document: Mapping[str, Any], reference: str = "") -> dict[str, Any]:
        """Send a manifest under its digest, or under a tag; return its descriptor.

        If it has a ``subject``, it becomes a referrer of it.

        Raises:
            RegistryError: the registry refuses it, or failed.
            PolicyError: it demands another login.
        """
        data = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        digest, kind = f"sha256:{hashlib.sha256(data).hexdigest()}", str(document["mediaType"])
        answer = self._send("PUT", f"{self.url}/manifests/{reference or digest}", data, kind)
        if answer.status != 201:
            raise self._refused("PUT", answer)
        descriptor = {"mediaType": kind, "digest": digest, "size": len(data)}
        if "artifactType" in document:
            descriptor["artifactType"] = document["artifactType"]
        if "subject" in document and "oci-subject" not in answer.headers:
            self._list_referrer(str(document["subject"]["digest"]), descriptor)
        return descriptor

    def _list_referrer(self, subject: str, descriptor: dict[str, Any]) -> None:
        """Add a referrer to the index that stands for the referrers API."""
        listed = _manifests(self.document(_tag_of(subject)))
        if all(entry.get("digest") != descriptor["digest"] for entry in listed):
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*listed, descriptor]}
            self.send_manifest(index, _tag_of(subject))

    def _cached(self, url: str) -> bytes | None:
        """Return a document through the cache; None if it is missing, offline also if it is not in the cache."""
        if self._transport.offline:
            cached = self._cache.get(url)
            return cached.body if cached is not None else None
        self._login.demand(self._actions)
        with self._explained():
            return cached_get(url, self._transport, self._cache, {"Accept": f"{MANIFEST}, {INDEX}"})

    def _get(self, url: str) -> Answer:
        self._login.demand(self._actions)
        with self._explained():
            return self._transport.get(url, limit=MAX_MANIFEST)

    def _send(self, method: str, url: str, body: Bytes = b"", kind: str = "application/json") -> Answer:
        self._actions = "pull,push"
        self._login.demand(self._actions)
        return self._transport.send(method, url, body, kind=kind)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RegistryError as error:
            if error.details.get("status") in (401, 403):
                raise self._login.refusal("refuses this login, or has no such repository") from None
            raise

    def _refused(self, method: str, answer: Answer) -> SkillpmError:
        if answer.status in (401, 403):
            return self._login.refusal("refuses this login to write")
        reason = ""
        with suppress(ValueError, LookupError, TypeError):
            first = strict_json(answer.body.decode("utf-8"))["errors"][0]
            reason = f": {first['code']} {first.get('message', '')}"[:200]
        return RegistryError(f"{self.url}: the registry answers {answer.status} to {method}{reason}", hint=KEEPER)


def _tag_of(digest: str) -> str:
    """Return the tag of the index of what refers to a manifest."""
    return digest.replace(":", "-")


def _manifests(index: Any) -> list[dict[str, Any]]:
    entries = index.get("manifests") if isinstance(index, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _json(data: bytes, url: str) -> Any:
    try:
        return strict_json(data.decode("utf-8"))
    except ValueError:
        raise RegistryError(f"{url} is not JSON", hint=KEEPER) from None


def _mismatch(url: str, expected: str, found: str) -> IntegrityError:
    return IntegrityError(
        f"{url} has {found[:23]}…", hint="it was changed on the way or in the registry: do not use it",
        expected=expected, found=found,
    )  # fmt: skip
