"""Uploads: publications on their way, each a row of the database, and an archive once it was sent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from skillpm.formats.gathered import Bytes, read_file
from skillpm_registry.identity import Identity
from skillpm_registry.problems import ApiError
from skillpm_registry.services import Services
from skillpm_registry.tables import Upload

DONE = ("live", "waiting", "refused")
"""States in which its publisher has no more to send."""


def archive_of(services: Services, number: str) -> Path:
    """Return where the archive of an upload lies until it is live."""
    return services.configuration.uploads / f"{number}.tar.gz"


def archive_bytes(services: Services, number: str) -> Bytes:
    """Return the archive of a checked upload. Raises ApiError 409 if it is lost."""
    try:
        with archive_of(services, number).open("rb") as file:
            return read_file(file, services.configuration.largest)
    except OSError:
        raise ApiError(
            409, "archive-lost", "the archive of this upload is lost", "refuse it if it waits, and publish it again"
        ) from None


def upload_of(session: Session, identity: Identity, number: str) -> Upload:
    """Return an upload of this account. Raises ApiError 404 for another's, an expired or an unknown one."""
    upload = session.get(Upload, number) if number.isalnum() else None
    if upload is None or upload.account_id != identity.account_id or upload.expires < time.time():
        raise ApiError(404, "unknown-upload", "there is no such upload, or it has expired", "publish again")
    return upload


def unfinished(services: Services, session: Session, wanted: ColumnElement[bool]) -> list[Any]:
    """Return the unfinished uploads of a condition; remove those that have expired, at most 100 at once."""
    columns = (Upload.id, Upload.account_id, Upload.name, Upload.version, Upload.state, Upload.expires)
    standing, ended = Upload.state.in_(("open", "staged", "waiting")), Upload.expires < (now := time.time())
    rows = session.execute(select(*columns).where(standing & wanted | ended & (Upload.state != "publishing"))).all()
    if expired := [row.id for row in rows if row.expires < now][:100]:
        session.execute(delete(Upload).where(Upload.id.in_(expired)))
        for number in expired:
            archive_of(services, number).unlink(missing_ok=True)
    return [row for row in rows if row.expires >= now]


def move(session: Session, upload: Upload, state: str, **values: Any) -> Upload:
    """Bring an upload from the state in which it was read to another; return its row.

    Args:
        session: a writing one.
        upload: as it was read, perhaps by another session.
        state: the new one.
        values: of other columns.

    Raises:
        ApiError: 409 if another request was first.
    """
    before = update(Upload).where(Upload.id == upload.id, Upload.state == upload.state)
    moved: Upload | None = session.scalar(before.values(state=state, **values).returning(Upload))
    if moved is None:
        raise ApiError(409, "decided", "another request was first", "look at what it did before you try again")
    return moved


def forget(services: Services, upload: Upload) -> None:
    """Remove an upload that cannot or will not be finished, so that it does not count against its account."""
    present = (Upload.id == upload.id) & Upload.state.in_(("open", "staged"))
    with services.database.writing(durable=False) as session:
        is_gone = session.scalar(delete(Upload).where(present).returning(Upload.id)) is not None
    if is_gone:  # else another request is making it live
        archive_of(services, upload.id).unlink(missing_ok=True)
