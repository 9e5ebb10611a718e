"""The first step of a publication: names, rights and the version are checked before any byte is sent."""

from __future__ import annotations

import secrets
import time
from typing import Any

from packaging.version import Version
from sqlalchemy.orm import Session

from skillpm.errors import ConflictError, UsageError
from skillpm.formats.light import json_form, read_light
from skillpm.index.pages import MAX_ARCHIVE
from skillpm.layout.scan import ALLOWABLE
from skillpm.model.name import parse_name
from skillpm.model.release import Release
from skillpm.model.requirement import parse_version
from skillpm_registry.drafts import LIFETIME
from skillpm_registry.identity import Identity
from skillpm_registry.membership import demand_publishing
from skillpm_registry.naming import is_new, refuse_look_alike
from skillpm_registry.problems import ApiError
from skillpm_registry.services import Services
from skillpm_registry.settling import settle
from skillpm_registry.tables import Upload
from skillpm_registry.uploads import unfinished

_MOST = (("unfinished", ("open", "staged"), 50), ("waiting", ("waiting",), 200))  # uploads of one account


def announce(services: Services, identity: Identity, wish: dict[str, Any]) -> Upload | None:
    """Begin a publication, or return the same one that waits; None if the same content is published already.

    Args:
        services: of this process.
        identity: who publishes.
        wish: ``name``, ``release`` as the page shall show it, ``like`` and ``allow``, as the client was told.

    Raises:
        UsageError, DocumentError: the name, the version or the release is invalid.
        ApiError: 403, 409 or 429; see ``docs/registry.md``.
    """
    services.registry.refuse_copy()
    name, release = parse_name(wish["name"]), read_light(Release, wish["release"])
    _refuse_version(release)
    largest = services.configuration.largest_adapter if release.adapter else MAX_ARCHIVE
    if release.size > largest:
        hint = "leave out what is not needed: `.skillpmignore` names it"
        raise ApiError(413, "too-large", f"an archive has at most {largest} bytes", hint, limit=largest)
    if unknown := set(wish["allow"]) - ALLOWABLE:
        raise UsageError(f"`{min(unknown)[:20]}` cannot be allowed", hint="`skillpm scan --rules` lists what can")
    page = services.registry.page(name)
    present = page.release(release.version) if page else None
    new_scope = is_new(services.configuration.data, name)
    if page is None and new_scope:
        refuse_look_alike(services.catalogue, name, wish["like"])
    with services.database.writing(durable=False) as session:  # nothing refers to it before it goes live
        demand_publishing(session, identity, name, is_new=new_scope)
        if present is not None and present.tree == release.tree:
            settle(services, session, (Upload.name == name) & (Upload.state == "publishing"))
            return None
        if present is not None:
            raise ConflictError(
                f"{name} {present.version} is published with different content",
                hint="a published release never changes: run `skillpm version bump patch`",
                published=present.tree,
                offered=release.tree,
            )
        same = (Upload.name == name) & (Upload.version == release.version)
        standing = unfinished(services, session, same | (Upload.account_id == identity.account_id))
        for row in standing:
            if (row.state, row.name, row.version) == ("waiting", name, release.version):
                waiting = session.get_one(Upload, row.id)
                if waiting.wish["release"]["tree"] == release.tree:
                    return _of_the_same(waiting, identity)
        own = [row for row in standing if row.account_id == identity.account_id]
        upload = _begun(session, [row.id for row in own if (row.state, row.name) == ("open", name)], release)
        if upload is None:
            _refuse_many(identity, [row.state for row in own])
            upload = Upload(id=secrets.token_hex(16), account_id=identity.account_id, name=name, state="open")
            session.add(upload)
        upload.version, upload.publisher = release.version, identity.publisher
        upload.wish, upload.expires = {**wish, "release": json_form(release)}, time.time() + LIFETIME
        return upload


def _begun(session: Session, numbers: list[str], release: Release) -> Upload | None:
    """Return the open upload of the same archive: a client that was cut off begins again, and has no second one."""
    for upload in map(session.get, [Upload] * len(numbers), numbers):
        if upload is not None and upload.wish["release"]["archive"] == release.archive:
            return upload
    return None


def _of_the_same(upload: Upload, identity: Identity) -> Upload:
    """Return what waits already to the account that announced it. Raises ApiError 409 for another one."""
    if upload.account_id != identity.account_id:
        raise ApiError(
            409,
            "waits-already",
            f"{upload.name} {upload.version} waits for an approval: another account announced the same content",
            "`skillpm registry approvals` shows it to owners",
        )
    return upload


def _refuse_version(release: Release) -> None:
    parse_version(release.version)
    if release.yanked or release.quarantined:
        raise UsageError(
            f"`{release.version}` is announced as {'yanked' if release.yanked else 'quarantined'}",
            hint="publish it without that, then use `skillpm yank`",
        )
    if Version(release.version).local:
        raise UsageError(f"`{release.version}` cannot be published", hint="remove the `+` and the text after it")


def _refuse_many(identity: Identity, present: list[str]) -> None:
    for title, states, most in _MOST:
        if sum(state in states for state in present) >= most:
            hint = "wait until they are decided, or have expired"
            problem = ApiError(429, "too-many-uploads", f"{identity.account} has {most} {title} uploads", hint)
            problem.headers["Retry-After"] = "60"
            raise problem
