"""The addresses of git repositories: ``/git/[OWNER/]NAME.git``, read only."""

from __future__ import annotations

import zlib
from functools import lru_cache

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from skillpm.errors import SkillpmError
from skillpm.model.release import Page, Release
from skillpm_registry.catalogue.catalogue import Catalogue
from skillpm_registry.protocols import git
from skillpm_registry.protocols.releases import available, page_of
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services

_SHOWN = 100  # releases of a repository, newest first
_BYTES = 128 << 20  # of their archives: a clone has them all, in memory
_LARGEST = 64 << 10  # bytes of a request, unpacked
_FRESH = {"Cache-Control": "no-cache"}


def router(services: Services) -> APIRouter:
    """Return the routes of the repositories."""
    routes, catalogue = reading_router("git"), services.catalogue

    @routes.get("/git/{name:path}.git/info/refs")
    def refs(name: str, service: str = "") -> Response:
        """List branches and tags."""
        if service != "git-upload-pack":
            raise HTTPException(403, "this repository can be read, and is changed by publishing a release")
        page = page_of(catalogue, name)
        body = git.advertisement(git.references(page, _commits(catalogue, page)))
        return Response(body, headers=_FRESH, media_type="application/x-git-upload-pack-advertisement")

    @routes.post("/git/{name:path}.git/git-upload-pack")
    async def upload_pack(name: str, request: Request) -> Response:
        """Send commits."""
        body = _plain(await request.body(), request.headers.get("content-encoding", ""))
        try:
            asked = git.read_request(body)
        except ValueError as error:
            raise HTTPException(400, f"this is not a request of git: {error}") from None
        packed = await run_sync(_packed, services, name, asked, limiter=services.checking)
        return StreamingResponse(
            git.answer(asked, packed), headers=_FRESH, media_type="application/x-git-upload-pack-result"
        )

    return routes


def _plain(body: bytes, encoding: str) -> bytes:
    """Return a body that git may have compressed. Raises HTTPException 400."""
    if encoding not in ("gzip", "x-gzip"):
        return body
    try:
        unpacking = zlib.decompressobj(31)
        plain = unpacking.decompress(body, _LARGEST)
    except zlib.error:
        raise HTTPException(400, "the body is not gzip") from None
    if unpacking.unconsumed_tail:
        raise HTTPException(413, f"the body has at most {_LARGEST} bytes")
    return plain


def _commits(catalogue: Catalogue, page: Page) -> dict[str, str]:
    """Return the commits by version, without releases whose archives are lost or damaged."""
    found, left = dict[str, str](), _BYTES
    for release in available(page)[:_SHOWN]:
        left -= release.size
        if left < 0 and found:
            break
        try:
            found[release.version] = _commit(catalogue, page.name, _key(release))
        except SkillpmError:
            continue
    return found


def _packed(services: Services, name: str, asked: git.Request) -> bytes:
    catalogue = services.catalogue
    page = page_of(catalogue, name)
    versions = {commit: version for version, commit in _commits(catalogue, page).items()}
    releases = {release.version: release for release in page.releases}
    if unknown := [want for want in asked.wants if want not in versions]:
        raise HTTPException(404, f"this repository has no commit {unknown[0][:40]}")
    for want in asked.wants if asked.done else ():
        services.downloads.count(releases[versions[want]].archive)
    return git.pack(_objects(catalogue, name, _key(releases[versions[want]])) for want in asked.wants)


_Key = tuple[str, str, str, str | None, str, tuple[tuple[str, str], ...]]


def _key(release: Release) -> _Key:
    """Return what a commit is made of, and nothing that changes later, such as a yank."""
    required = tuple(sorted(release.requires.items()))
    return release.version, release.archive, release.tree, release.published, release.summary, required


@lru_cache(maxsize=10_000)
def _commit(catalogue: Catalogue, name: str, key: _Key) -> str:
    return _objects(catalogue, name, key).commit


@lru_cache(maxsize=16)
def _objects(catalogue: Catalogue, name: str, key: _Key) -> git.Objects:
    version, archive, tree, published, summary, required = key
    release = Release(
        version=version, archive=archive, tree=tree, size=0, published=published, summary=summary,
        requires=dict(required),
    )  # fmt: skip
    return git.objects_of(name, release, catalogue.tree(name, release))
