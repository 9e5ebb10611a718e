"""What is true of uploads that are going live: their rows are brought to agree with the folder.

A process that makes an upload live has its claim, a lock. Where nobody has it, whoever made it live is dead, or done.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from sqlalchemy import ColumnElement, false, select
from sqlalchemy.orm import Session

from skillpm.errors import BusyError
from skillpm.formats.light import read_light
from skillpm.model.name import scope_of
from skillpm.model.release import Release
from skillpm.storage.process_lock import locked
from skillpm_registry.drafts import LIFETIME
from skillpm_registry.events import record
from skillpm_registry.membership import take
from skillpm_registry.services import Services
from skillpm_registry.tables import Account, Approval, Event, Upload
from skillpm_registry.uploads import archive_of, unfinished

_CHECKED = ("staged", "waiting", "publishing")  # states in which its archive is needed


def recover(services: Services) -> None:
    """After a start: log the releases that went live before a crash, and remove what a crash left behind."""
    with services.database.writing() as session:
        settle(services, session, Upload.state.in_(_CHECKED))
        unfinished(services, session, false())
        known = set(session.scalars(select(Upload.id).where(Upload.state.in_(_CHECKED))))
    for path in services.configuration.uploads.glob("*.*"):
        with contextlib.suppress(OSError):
            if path.name.partition(".")[0] not in known and path.stat().st_mtime < time.time() - LIFETIME:
                path.unlink()


def settled(services: Services, upload: Upload) -> Upload:
    """Return an upload in the state that is true of it, if nobody is making it live."""
    with services.database.writing() as session:
        settle(services, session, (Upload.id == upload.id) & (Upload.state == "publishing"))
        return session.get_one(Upload, upload.id)


def settle(services: Services, session: Session, wanted: ColumnElement[bool]) -> None:
    """Bring the uploads of a condition into the states that are true of them, if nobody is making them live."""
    for upload in session.scalars(select(Upload).where(wanted)).all():
        with contextlib.suppress(BusyError), locked(claim_of(services, upload.id), 0.0) as claim:
            if _is_live(services, upload):
                services.registry.flush()  # whoever made it live may not have come so far
                upload.state = "live"
                record_publication(session, upload)
                services.changed(upload.name)
                archive_of(services, upload.id).unlink(missing_ok=True)
            elif upload.state == "publishing" and not is_stated(services, upload):
                upload.state = "waiting" if session.get(Approval, scope_of(upload.name)) else "staged"
            claim.path.unlink(missing_ok=True)


def _is_live(services: Services, upload: Upload) -> bool:
    page, release = services.registry.page(upload.name), read_light(Release, upload.release)
    present = page.release(release.version) if page else None
    return present is not None and present.tree == release.tree


def is_stated(services: Services, upload: Upload) -> bool:
    """Has the folder a statement of this release, so that everybody will see it?"""
    release = read_light(Release, upload.release)
    known = services.registry.stated(upload.name, release.version)
    return known is not None and known.tree == release.tree


def claim_of(services: Services, number: str) -> Path:
    """Return the lock that a process has while it makes an upload live: a claim without it is of a dead one."""
    return services.configuration.uploads / f"{number}.claim"


def record_publication(session: Session, upload: Upload) -> bool:
    """Give a new name its owner, and log a publication unless another upload with the same content was first.

    Returns:
        Whether this one is the first.
    """
    account = session.get_one(Account, upload.account_id)
    if upload.wish.get("takes"):  # also where the log has the other one, which took nothing
        take(session, account, scope_of(upload.name))
    subject = f"{upload.name}=={upload.version}"
    if session.scalar(select(Event.id).where(Event.subject == subject, Event.action == "publish")) is not None:
        return False
    assert upload.release is not None
    detail = {"archive": upload.release["archive"], "tree": upload.release["tree"], "allow": upload.wish["allow"]}
    approval = {"approved_by": upload.wish["approved_by"]} if "approved_by" in upload.wish else {}
    record(session, account.name, "publish", subject, **detail, publisher=upload.publisher, **approval)
    return True
