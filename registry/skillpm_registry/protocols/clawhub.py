"""ClawHub's protocol, version 1, below ``/clawhub``: search, list, read, download and publish.

A slug has no owner; a client adds ``ownerHandle`` where it knows one. Times are milliseconds since 1970.

Source: openclaw/clawhub, http-api, and the schemas of its command 0.23.
"""

from __future__ import annotations

import contextlib
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from skillpm.index.pages import MAX_ARCHIVE
from skillpm.layout.tree import Tree, UnreadableFileError, file_digest, file_size
from skillpm.model.name import is_name
from skillpm.model.release import Page, Release
from skillpm.storage.files import write_atomic
from skillpm_registry.access import Number, Writer
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.catalogue.row import Row
from skillpm_registry.catalogue.search import Query as Wanted
from skillpm_registry.catalogue.search import search
from skillpm_registry.drafts import parts, remove_abandoned
from skillpm_registry.identity import Right
from skillpm_registry.problems import ApiError
from skillpm_registry.protocols import publication
from skillpm_registry.protocols.apm import NOBODY
from skillpm_registry.protocols.publication import MANIFEST, Sent, stated
from skillpm_registry.protocols.releases import available, page_of, release_of, tree_of, zipped
from skillpm_registry.protocols.semantic import semantic
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services

_LARGEST = 200 << 10  # bytes of a file that is shown
_COMPARED = 20  # releases with which an installed folder is compared

_ENTRY = 4096  # bytes that a file counts beside its content
_MOST = 700  # files of a skill: their list fits into a JSON body

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FileForm(BaseModel):
    """A file that a client is about to send."""

    path: Annotated[str, Field(max_length=400)]
    sha256: Digest


class SentFile(BaseModel):
    """A file that a client has sent."""

    path: Annotated[str, Field(min_length=1, max_length=400)]
    storageId: Digest  # noqa: N815  the name in the protocol


class SkillForm(BaseModel):
    """A release whose files were sent; what only ClawHub shows of it is left out."""

    slug: Annotated[str, Field(max_length=64)]
    ownerHandle: Annotated[str, Field(max_length=64)] | None = None  # noqa: N815
    version: Annotated[str, Field(max_length=64)]
    files: Annotated[list[SentFile], Field(min_length=1, max_length=_MOST)]


Owner = Annotated[str, Query(alias="ownerHandle", max_length=64)]
Limit = Annotated[int, Query(ge=1, le=200)]


def router(services: Services) -> APIRouter:
    """Return the routes of the protocol."""
    routes = reading_router("clawhub", "/clawhub/api/v1")
    _add_lists(routes, services.catalogue)
    _add_releases(routes, services)
    _add_content(routes, services)
    _add_publishing(routes, services)
    return routes


def _row(catalogue: Catalogue, slug: str, owner: str) -> Row:
    """Return a skill by its slug. Raises HTTPException 404."""
    name = f"{owner}/{slug}" if owner not in ("", NOBODY) else slug
    row = (catalogue.row(name) if owner else catalogue.plain(slug)) if is_name(name) else None
    if row is None:
        raise HTTPException(404, f"skill not found: {name[:80]}")  # a client looks for these words
    return row


def _page(catalogue: Catalogue, slug: str, owner: str) -> Page:
    return page_of(catalogue, _row(catalogue, slug, owner).name)


def _chosen(page: Page, version: str = "") -> Release:
    """Return the release of a version, or the one by which the skill is listed. Raises HTTPException 404."""
    listed = page.shown()
    return release_of(page, version or (listed.version if listed else ""))


def _add_lists(routes: APIRouter, catalogue: Catalogue) -> None:
    @routes.get("/search")
    def find(q: str, limit: Limit = 25) -> dict[str, Any]:
        """Search skills."""
        rows = search(catalogue, Wanted(q, adapters=False, limit=limit)).rows
        return {"results": [_hit(row) | {"score": round(1 / (1 + place), 4)} for place, row in enumerate(rows)]}

    @routes.get("/skills")
    def skills(limit: Limit = 50, cursor: Number = 0, prefix: str = "") -> dict[str, Any]:
        """List skills, the newest first."""
        found = search(catalogue, Wanted(prefix, adapters=False, limit=limit, start=cursor))
        following = cursor + limit if cursor + limit < found.total else None
        return {"items": [_item(row) for row in found.rows], "nextCursor": following and str(following)}

    @routes.get("/skills/{slug}")
    def skill(slug: str, owner: Owner = "") -> dict[str, Any]:
        """Return one skill."""
        row = _row(catalogue, slug, owner)
        handle = row.name.rpartition("/")[0] or None
        item = _item(row)
        return {
            "skill": item, "latestVersion": item["latestVersion"], "metadata": None,
            "owner": {"handle": handle, "displayName": handle, "image": None},
        }  # fmt: skip


def _add_releases(routes: APIRouter, services: Services) -> None:
    catalogue, url = services.catalogue, services.configuration.url

    @routes.get("/skills/{slug}/install")
    def install(slug: str, owner: Owner = "") -> dict[str, Any]:
        """Say what an install of the newest release downloads."""
        version = semantic(_chosen(_page(catalogue, slug, owner)).version)
        wanted = {"slug": slug, "version": version} | ({"ownerHandle": owner} if owner else {})
        archive = {"version": version, "downloadUrl": f"{url}/clawhub/api/v1/download?{urlencode(wanted)}"}
        return {"ok": True, "slug": slug, "installKind": "archive", "archive": archive}

    @routes.get("/skills/{slug}/versions")
    def versions(slug: str, owner: Owner = "") -> dict[str, Any]:
        """List the releases of a skill."""
        return {
            "items": [_version(release) for release in available(_page(catalogue, slug, owner))],
            "nextCursor": None,
        }

    @routes.get("/skills/{slug}/versions/{version}")
    def one(slug: str, version: str, owner: Owner = "") -> dict[str, Any]:
        """Return one release with its files."""
        found = _page(catalogue, slug, owner)
        release = release_of(found, version)
        tree = tree_of(catalogue, found.name, release)
        files = [
            {"path": path, "size": file_size(tree, path), "sha256": file_digest(tree, path)} for path in tree.paths()
        ]
        return {"version": _version(release) | {"files": files}, "skill": {"slug": slug, "displayName": slug}}


def _add_content(routes: APIRouter, services: Services) -> None:
    catalogue = services.catalogue

    @routes.get("/skills/{slug}/file")
    def file(slug: str, path: str, version: str = "", owner: Owner = "") -> Response:
        """Return a text file."""
        found = _page(catalogue, slug, owner)
        try:
            data = tree_of(catalogue, found.name, _chosen(found, version)).read(path)
        except UnreadableFileError:
            raise HTTPException(404, f"there is no file `{path[:80]}`") from None
        if len(data) > _LARGEST or b"\0" in data:
            raise HTTPException(415, "the file is not a short text")
        return PlainTextResponse(data)

    @routes.get("/resolve")
    def resolve(slug: str, hash: str = "", owner: Owner = "") -> dict[str, Any]:  # noqa: A002  the name in the protocol
        """Say which release an installed folder is."""
        found = _page(catalogue, slug, owner)
        releases = available(found)[:_COMPARED] if hash else []
        trees = ((release, tree_of(catalogue, found.name, release)) for release in releases)
        match = next((release for release, tree in trees if hash in _fingerprints(tree, release)), None)
        return {
            "match": {"version": semantic(match.version)} if match else None,
            "latestVersion": {"version": semantic(_chosen(found).version)},
        }

    @routes.get("/download")
    def download(slug: str, version: str = "", owner: Owner = "") -> Response:
        """Send a release as a zip."""
        found = _page(catalogue, slug, owner)
        release = _chosen(found, version)
        tree = tree_of(catalogue, found.name, release)
        services.downloads.count(release.archive)
        return Response(zipped(tree), media_type="application/zip")


def _add_publishing(routes: APIRouter, services: Services) -> None:
    """A client sends each file apart, named by its SHA-256, and then the list of them."""
    url, uploads = services.configuration.url, services.configuration.uploads

    @routes.get("/whoami")
    def whoami(identity: Writer) -> dict[str, Any]:
        """Say whose token this is: a client publishes under this name."""
        return {"user": {"handle": identity.account, "displayName": None, "image": None}}

    @routes.post("/skills/-/upload-url")
    def ticket(form: FileForm, identity: Writer) -> dict[str, str]:
        """Say where to send a file."""
        identity.demand(Right.PUBLISH)
        return {"uploadUrl": f"{url}/clawhub/api/v1/skills/-/files/{form.sha256}", "uploadTicket": form.sha256}

    @routes.post("/skills/-/files/{digest}")
    async def send(digest: Digest, request: Request, identity: Writer) -> dict[str, str]:
        """Keep a file for an hour."""
        identity.demand(Right.PUBLISH)
        data = await request.body()
        if hashlib.sha256(data).hexdigest() != digest:
            raise HTTPException(422, "the file is not the announced one")
        await run_sync(_keep, parts(uploads, identity.account_id), digest, data)
        return {"storageId": digest}

    @routes.post("/skills")
    async def publish(form: SkillForm, identity: Writer) -> dict[str, Any]:
        """Publish the files that were sent. What is pending goes live by itself, when the gate or an owner lets it."""
        owner, folder = form.ownerHandle or "", parts(uploads, identity.account_id)
        name = form.slug if owner in ("", NOBODY) else f"{owner}/{form.slug}"
        state = await publication.publish(services, identity, lambda: _sent(name, form, folder))
        await run_sync(_remove, form, folder)
        status = "published" if state == "live" else "pending"
        return {
            "ok": True, "skillId": name, "versionId": f"{name}@{form.version}", "slug": form.slug,
            "version": form.version, "publicationStatus": status,
        }  # fmt: skip


def _sent(name: str, form: SkillForm, folder: Path) -> Sent:
    """Return the files that a client has sent, out of their folder. Raises HTTPException 409, 413, 422."""
    if len({file.path for file in form.files}) < len(form.files):
        raise HTTPException(422, "a file stands twice in the list")
    try:
        if sum((folder / file.storageId).stat().st_size for file in form.files) > MAX_ARCHIVE:
            raise HTTPException(413, f"the files of a skill have at most {MAX_ARCHIVE} bytes")
        return Sent(name, form.version, {file.path: (folder / file.storageId).read_bytes() for file in form.files})
    except FileNotFoundError:
        raise HTTPException(409, "a file of the skill was not sent, or longer than an hour ago") from None


def _remove(form: SkillForm, folder: Path) -> None:
    for file in form.files:
        (folder / file.storageId).unlink(missing_ok=True)


def _keep(folder: Path, digest: str, data: bytes) -> None:
    """Keep a file of a skill, and none that is older than an hour. Raises ApiError 429 if there are too many."""
    remove_abandoned(folder.parent, folder.name)  # it is done for each file, and other accounts may have many
    size = len(data)
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # another request has removed it
            size += path.stat().st_size + _ENTRY if path.name != digest else 0
    if size > MAX_ARCHIVE:
        hint = "publish what was sent, or wait an hour"
        raise ApiError(429, "too-many-uploads", "this account has sent many files and published none of them", hint)
    write_atomic(folder / digest, data, durable=False)  # its name says what it holds, so it never holds a part of that


def _milliseconds(published: str | None) -> int:
    try:
        return int(datetime.fromisoformat(published or "").timestamp() * 1000)
    except ValueError:
        return 0


def _hit(row: Row) -> dict[str, Any]:
    owner, _, slug = row.name.rpartition("/")
    return {
        "slug": slug, "displayName": slug, "summary": row.summary, "version": semantic(row.version),
        "updatedAt": _milliseconds(row.published), "ownerHandle": owner or None,
    }  # fmt: skip


def _item(row: Row) -> dict[str, Any]:
    slug, version, time = row.name.rpartition("/")[2], semantic(row.version), _milliseconds(row.published)
    return {
        "slug": slug, "displayName": slug, "summary": row.summary, "topics": list(row.facts.keywords),
        "tags": {"latest": version}, "stats": {}, "createdAt": time, "updatedAt": time,
        "latestVersion": {"version": version, "createdAt": time, "changelog": ""}, "metadata": None,
    }  # fmt: skip


def _version(release: Release) -> dict[str, Any]:
    return {
        "version": semantic(release.version), "createdAt": _milliseconds(release.published), "changelog": "",
    }  # fmt: skip


def _fingerprints(tree: Tree, release: Release) -> set[str]:
    """Return what the client computes of an installed folder, and of what it sent if it sent no skill.yaml."""
    paths = [path for path in tree.paths() if not any(part.startswith(".") for part in path.split("/"))]
    added = tree.read(MANIFEST) == stated(release.version) if MANIFEST in paths else False
    return {
        hashlib.sha256(
            "\n".join(f"{path}:{file_digest(tree, path)}" for path in sorted(kept, key=str.casefold)).encode()
        ).hexdigest()
        for kept in (paths, [path for path in paths if path != MANIFEST or not added])
    }
