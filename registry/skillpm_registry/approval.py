"""A second person's approval: in some scopes a checked release waits until another owner lets it go live.

An owner of a scope demands it. Only an owner of the registry ends that, because it is to control the owners of the
scope. Whoever announced a release does not approve it, and neither does the token of a CI job.
"""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.orm import Session

from skillpm.model.name import scope_of
from skillpm_registry.events import record
from skillpm_registry.identity import Identity, Right
from skillpm_registry.membership import REGISTRY, Role, demand_role, is_scope, no_scope, role_in
from skillpm_registry.oidc import has_named
from skillpm_registry.problems import ApiError
from skillpm_registry.publishing import make_visible
from skillpm_registry.services import Services
from skillpm_registry.tables import Account, Approval, Upload
from skillpm_registry.uploads import archive_of, move


def demand_approval(services: Services, identity: Identity, scope: str, *, needed: bool) -> None:
    """Say whether the releases of a scope need an approval.

    Raises:
        ApiError: 403, or 422 if it is not the scope of skills.
    """
    if not is_scope(scope) or scope == REGISTRY:
        raise no_scope(scope)
    with services.database.writing() as session:
        demand_role(session, identity, scope if needed else REGISTRY, Role.OWNER, Right.MANAGE)
        present = session.get(Approval, scope)
        if needed and present is None:
            session.add(Approval(scope=scope))
        elif present is not None and not needed:
            session.delete(present)
        else:
            return
        record(session, identity.account, "approval", scope, status="needed" if needed else "not needed")


def waiting(services: Services, identity: Identity) -> list[tuple[Upload, str]]:
    """Return the releases that wait in scopes of this owner, with the accounts that announced them, oldest first."""
    return _seen(services, identity, "waiting")


def _seen(services: Services, identity: Identity, state: str) -> list[tuple[Upload, str]]:
    identity.demand(Right.READ)
    query = select(Upload, Account.name).join(Account, Account.id == Upload.account_id)
    with services.database.reading() as session:
        rows = session.execute(query.where(Upload.state == state, Upload.expires > time.time())).all()
        return sorted(
            ((row.Upload, row.name) for row in rows if _owns(session, identity, row.Upload)),
            key=lambda item: item[0].expires,
        )


def _owns(session: Session, identity: Identity, upload: Upload) -> bool:
    scope = scope_of(upload.name)
    if identity.publisher is not None or (identity.only and scope not in identity.only):
        return False
    return role_in(session, identity.account_id, scope) is Role.OWNER


def waiting_one(services: Services, identity: Identity, number: str) -> tuple[Upload, str]:
    """Return one of the waiting releases. Raises ApiError 404 if there is none for this owner, 409 if it goes live."""
    for upload, account in waiting(services, identity):
        if upload.id == number:
            return upload, account
    if any(upload.id == number for upload, _ in _seen(services, identity, "publishing")):
        raise ApiError(409, "decided", "this release is going live: another owner was first", "there is nothing to do")
    raise ApiError(
        404, "unknown-upload", "no such release waits for your approval", "`skillpm registry approvals` lists them"
    )


def approve(services: Services, identity: Identity, number: str) -> Upload:
    """Let a waiting release go live.

    Raises:
        ApiError: 403 for one's own release, 404 for an unknown one, 409 if another decision was first.
        ConflictError: the version was published with different content in the meantime.
        StorageError: the disk refused.
    """
    upload, account = waiting_one(services, identity, number)
    identity.demand(Right.MANAGE, scope_of(upload.name))
    with services.database.reading() as session:
        is_of_job = bool(upload.publisher) and has_named(
            session, identity.account, scope_of(upload.name), upload.publisher or {}
        )
    if is_of_job:
        raise ApiError(
            403, "own-release", f"you named a trusted publisher of this job in {scope_of(upload.name)}",
            "ask another owner to approve it",
        )  # fmt: skip
    if upload.account_id == identity.account_id:
        raise ApiError(403, "own-release", f"{account} announced this release", "ask another owner to approve it")
    return make_visible(services, upload, identity.account)[0]


def refuse(services: Services, identity: Identity, number: str, reason: str) -> Upload:
    """End a waiting release, with a reason; an owner who announced it may do so, too. Raises ApiError 403, 404, 409."""
    upload, _ = waiting_one(services, identity, number)
    identity.demand(Right.MANAGE, scope_of(upload.name))
    with services.database.writing() as session:
        upload = move(session, upload, "refused")
        record(session, identity.account, "refuse", f"{upload.name}=={upload.version}", reason=reason)
    archive_of(services, upload.id).unlink(missing_ok=True)
    return upload
