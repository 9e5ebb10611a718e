"""Releases that wait for a second owner."""

from __future__ import annotations

from anyio.to_thread import run_sync

from skillpm_registry import approval
from skillpm_registry.access import Reader, Shared, Writer
from skillpm_registry.api.forms import ApprovalForm, Decision, UploadState, WaitingState
from skillpm_registry.membership import is_scope, no_scope
from skillpm_registry.routing import api_router
from skillpm_registry.tables import Approval

router = api_router("approvals", "/approvals")


@router.get("")
def waiting(services: Shared, identity: Writer) -> list[WaitingState]:
    """List the releases that wait for an owner of their scope, which the account is."""
    return [
        WaitingState(
            id=upload.id, name=upload.name, version=upload.version, state=upload.state, expires=upload.expires,
            account=account, summary=(upload.release or {}).get("summary", ""), tree=(upload.release or {})["tree"],
            allow=upload.wish["allow"], like=upload.wish["like"],
        )
        for upload, account in approval.waiting(services, identity)
    ]  # fmt: skip


@router.get("/needed")
def needed(services: Shared, reader: Reader, scope: str) -> ApprovalForm:
    """Say whether releases of a scope need a second owner."""
    if not is_scope(scope):
        raise no_scope(scope)
    with services.database.reading() as session:
        return ApprovalForm(scope=scope, needed=session.get(Approval, scope) is not None)


@router.put("")
def demand(form: ApprovalForm, services: Shared, identity: Writer) -> ApprovalForm:
    """Say whether releases of a scope need a second owner. Owners demand it, owners of the registry end it."""
    approval.demand_approval(services, identity, form.scope, needed=form.needed)
    return form


@router.post("/{number}")
async def decide(number: str, form: Decision, services: Shared, identity: Writer) -> UploadState:
    """Let a waiting release of another account go live, or end it."""
    if form.approve:
        upload = await run_sync(approval.approve, services, identity, number, limiter=services.going_live)
    else:
        upload = await run_sync(approval.refuse, services, identity, number, form.reason)
    return UploadState.model_validate(upload)
