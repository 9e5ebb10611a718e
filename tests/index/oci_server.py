"""A small honest OCI registry in memory, which can be told to demand a login, to redirect, or to lie."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers import Replying, served

LOGIN = "Basic " + base64.b64encode(b"ana:secret").decode()
INDEX = "application/vnd.oci.image.index.v1+json"
_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<what>blobs/uploads|blobs|manifests|tags|referrers)/(?P<last>[^/]*)\Z")


@dataclass
class Content:
    """What the registry has, and how it behaves.

    Attributes:
        auth: "", "basic" or "bearer"; a token is for the scope that was asked for.
        referrers: is there the referrers API?
        redirect: the address before the digest of a blob, to which downloads are sent.
        lies: bodies by the end of a path, instead of the right ones.
        seen: method, path and Authorization of each request.
    """

    auth: str = ""
    referrers: bool = True
    redirect: str = ""
    page: int = 1000
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""

    def tag(self, repository: str, tag: str, manifest: dict[str, Any]) -> str:
        """Put a manifest under a tag; return its digest."""
        data = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.manifests[digest] = str(manifest.get("mediaType")), data
        self.tags.setdefault(repository, {})[tag] = digest
        return digest

    def manifest(self, repository: str, tag: str) -> dict[str, Any]:
        """Return the manifest of a tag."""
        root: dict[str, Any] = json.loads(self.manifests[self.tags[repository][tag]][1])
        return root


class _Handler(Replying):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    content: Content

    def handle_any(self) -> None:
        content, secret = self.content, self.headers.get("Authorization", "")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content.seen.append((self.command, self.path, secret))
        parts, query = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        lie = next((lie for end, lie in content.lies.items() if parts.path.endswith(end)), None)
        match = _PATH.match(parts.path)
        if parts.path == "/token":
            scope = query["scope"][0] if secret == LOGIN or "push" not in query["scope"][0] else "nothing"
            self.reply(200, json.dumps({"token": scope.replace(":", "~"), "expires_in": 300}).encode())
        elif not self.allowed(secret, match["name"] if match else ""):
            kind = "Basic" if content.auth == "basic" else "Bearer"
            self.reply(401, b"{}", WWW_Authenticate=f'{kind} realm="{content.url}/token",service="here"')
        elif parts.path == "/v2/":
            self.reply(200, b"{}")
        elif lie is not None:
            self.reply(200, lie)
        elif match is None:
            self.reply(404)
        else:
            getattr(self, f"{self.command.lower()}_{match['what'].replace('/', '_')}")(
                match["name"], match["last"], query, body
            )

    def do_GET(self) -> None:
        self.handle_any()

    do_HEAD = do_POST = do_PUT = do_GET

    def allowed(self, secret: str, name: str) -> bool:
        """Has a request what the registry demands?"""
        if self.content.auth != "bearer":
            return self.content.auth != "basic" or secret == LOGIN
        wish = f"Bearer repository~{name}~pull"
        return secret == f"{wish},push" or (secret == wish and self.command in ("GET", "HEAD"))

    def get_tags(self, name: str, last: str, query: dict[str, list[str]], body: bytes) -> None:
        tags = sorted(self.content.tags.get(name, {}))
        start = tags.index(query["last"][0]) + 1 if "last" in query else 0
        shown = tags[start : start + self.content.page]
        more = f'</v2/{name}/tags/list?n=1000&last={shown[-1]}>; rel="next"' if start + len(shown) < len(tags) else ""
        answer, link = json.dumps({"name": name, "tags": shown}).encode(), dict[str, Any](Link=more) if more else {}
        self.reply(200 if name in self.content.tags else 404, answer, **link)

    def get_manifests(self, name: str, last: str, query: dict[str, list[str]], body: bytes) -> None:
        digest = self.content.tags.get(name, {}).get(last, last)
        kind, data = self.content.manifests.get(digest, ("", b""))
        same = self.headers.get("If-None-Match") == f'"{digest}"'
        self.reply(304 if same else 200 if data else 404, data, Content_Type=kind, ETag=f'"{digest}"')

    def put_manifests(self, name: str, last: str, query: dict[str, list[str]], body: bytes) -> None:
        root = json.loads(body)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        missing = [
            item
            for item in (root.get("config"), *root.get("layers", ()))
            if item and item["digest"] not in self.content.blobs
        ]
        if missing or (last.startswith("sha256:") and last != digest):
            self.reply(400, json.dumps({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "no"}]}).encode())
            return
        self.content.manifests[digest] = root["mediaType"], body
        if not last.startswith("sha256:"):
            self.content.tags.setdefault(name, {})[last] = digest
        subject = {"OCI_Subject": root["subject"]["digest"]} if "subject" in root and self.content.referrers else {}
        self.reply(201, **subject)

    def get_referrers(self, name: str, last: str, query: dict[str, list[str]], body: bytes) -> None:
        documents = ((digest, json.loads(data)) for digest, (_, data) in self.content.manifests.items())
        found = [
            {"mediaType": root["mediaType"], "digest": digest, "size": 1, "artifactType": root["artifactType"]}
            for digest, root in documents
            if root.get("subject", {}).get("digest") == last
        ]
        answer = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).encode()
        self.reply(200 if self.content.referrers else 404, answer)

    def get_blobs(self, name: str, last: str, query: dict[str, list[str]], body: bytes) -> None:
        if self.content.redirect:
            self.reply(307, Location=f"{self.content.redirect}{last}")
            return
        data = self.content.blobs.get(last)
        self.reply(404 if data is None else 200, data or b"")

    head_blobs = get_blobs

    def post_blobs_uploads(self, name: str, last: str, query: dict[str, list[str]], body: bytes) -> None:
        self.reply(202, Location=f"/v2/{name}/blobs/uploads/1?state=x")

    def put_blobs_uploads(self, name: str, last: str, query: dict[str, list[str]], body: bytes) -> None:
        digest = query["digest"][0]
        right = digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
        if right:
            self.content.blobs[digest] = body
        self.reply(201 if right else 400)


@contextmanager
def oci_registry(**options: Any) -> Iterator[Content]:
    """Serve an empty registry while the context lasts; ``options`` are fields of ``Content``."""
    content = Content(**options)
    with served(type("Handler", (_Handler,), {"content": content})) as content.url:
        yield content
