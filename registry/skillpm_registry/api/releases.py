"""Publishing, yanking, quarantine, status and reports."""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import Request, Response

from skillpm.index.pages import MAX_ARCHIVE
from skillpm_registry import announcing, lifecycle
from skillpm_registry.access import Number, Reader, Shared, Visitor, Writer
from skillpm_registry.api.forms import (
    Changed,
    ReleaseChange,
    ReportAnswer,
    ReportForm,
    ReportState,
    StatusChange,
    UploadState,
    Wish,
)
from skillpm_registry.drafts import draft
from skillpm_registry.identity import Identity
from skillpm_registry.problems import ApiError
from skillpm_registry.publishing import go_live
from skillpm_registry.receiving import receive
from skillpm_registry.routing import api_router
from skillpm_registry.services import Services
from skillpm_registry.tables import Report
from skillpm_registry.uploads import upload_of

router = api_router("releases")
_KINDS, _BYTES = ("application/gzip", "application/octet-stream"), {"type": "string", "format": "binary"}


@router.post("/uploads", status_code=201, responses={200: {"description": "The same content is published already."}})
def announce(wish: Wish, services: Shared, identity: Writer, response: Response) -> UploadState:
    """Announce a publication: 201 if its archive is to be sent, 200 if the same content is published already."""
    upload = announcing.announce(services, identity, wish.model_dump())
    if upload is None:
        response.status_code = 200
        version = str(wish.release.get("version", ""))
        return UploadState(id="", name=wish.name, version=version, state="live", expires=0)
    return UploadState.model_validate(upload)


@router.put(
    "/uploads/{number}/archive",
    openapi_extra={"requestBody": {"required": True, "content": {kind: {"schema": _BYTES} for kind in _KINDS}}},
)
async def send_archive(number: str, request: Request, services: Shared, identity: Writer) -> UploadState:
    """Send the archive of an upload. It is checked as the client checked it, and staged."""
    known, left = await run_sync(_known, services, identity, number)
    with draft(services.configuration.uploads, known) as place:
        with place.open("xb") as file:
            async for piece in request.stream():
                left -= len(piece)
                if left < 0:
                    raise ApiError(413, "too-large", "the archive is larger than it was announced", "publish again")
                file.write(piece)
        return UploadState.model_validate(
            await run_sync(receive, services, identity, number, place, limiter=services.checking)
        )


def _known(services: Services, identity: Identity, number: str) -> tuple[str, int]:
    """Return the number of an upload, and how many bytes of its archive are read: a small one is compared later."""
    with services.database.reading() as session:
        upload = upload_of(session, identity, number)
        return upload.id, max(upload.wish["release"]["size"], MAX_ARCHIVE)


@router.post(
    "/uploads/{number}/publish",
    status_code=201,
    responses={
        200: {"description": "It was live already."},
        202: {"description": "It waits for another owner, or is staged until the gate has judged it: ask again."},
    },
)
async def publish(number: str, services: Shared, identity: Writer, response: Response) -> UploadState:
    """Make a staged release visible: 201 if it was done now, 200 if before, 202 while it waits for owner or gate."""
    upload, added = await run_sync(go_live, services, identity, number, limiter=services.going_live)
    response.status_code = 201 if added else 202 if upload.state in ("waiting", "staged") else 200
    return UploadState.model_validate(upload)


@router.post("/releases/yank")
def yank(change: ReleaseChange, services: Shared, identity: Writer) -> Changed:
    """Exclude a release from new resolutions, or admit it again."""
    return Changed(changed=lifecycle.set_yanked(services, identity, change.name, change.version, change.reason))


@router.post("/releases/quarantine")
def quarantine(change: ReleaseChange, services: Shared, identity: Writer) -> Changed:
    """Put a release under suspicion, which stops its installation, or clear it. For owners of the registry."""
    return Changed(changed=lifecycle.set_quarantined(services, identity, change.name, change.version, change.reason))


@router.post("/skills/status")
def status(change: StatusChange, services: Shared, identity: Writer) -> Changed:
    """Say that a skill is deprecated, archived or active."""
    return Changed(changed=lifecycle.set_status(services, identity, change.name, change.status, change.reason))


def _report(row: Report) -> ReportState:
    return ReportState(
        id=row.id, time=row.time, name=row.name, version=row.version, reporter=row.reporter, state=row.state,
        answer=row.answer, reason=row.content["reason"], findings=row.content["findings"],
    )  # fmt: skip


@router.post("/reports", status_code=201)
def report(form: ReportForm, services: Shared, visitor: Visitor) -> ReportState:
    """Report a skill. No account is needed."""
    content = form.model_dump(include={"reason", "findings"})
    return _report(lifecycle.report(services, visitor, form.name, form.version, content))


@router.get("/reports")
def reports(services: Shared, reader: Reader, name: str = "") -> list[ReportState]:
    """List the reports of a skill, or all, newest first."""
    return [_report(row) for row in lifecycle.reports(services, name)]


@router.post("/reports/{number}/answer")
def answer(number: Number, form: ReportAnswer, services: Shared, identity: Writer) -> ReportState:
    """Answer a report as an owner of the registry, or appeal as an owner of the skill."""
    return _report(lifecycle.answer(services, identity, number, form.state, form.answer))
