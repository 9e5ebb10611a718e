"""Publication in three steps: announce, send the archive, make it live.

1. **Announce** (``open``). Names, rights and the version are checked before any byte is sent.
2. **Receive** (``staged``). The archive lies in the state folder. Everything that the client checked is checked again,
   because a client can be anything, and what the page will say is derived from the bytes, never taken from the client.
3. **Go live** (``live``). The folder's own writer adds the release, and signs and logs it first where the registry is
   signed. It is create-only, and readers see a release only when its archive is there. The database follows, and
   with it a new name gets its owner: nobody has a name of which no release is live. In a scope that needs an approval
   (``waiting``), another owner takes this step.

A crash before the third step leaves nothing that anybody can install. Within it (``publishing``) there is a point of
no return: once the folder has a statement of the release, everybody will see it sooner or later, perhaps when the
witnesses of the log have signed. So an upload comes back from ``publishing`` only where there is no statement; else
``finish`` takes the step to its end, and the database agrees with the folder.

A client of skillpm takes the third step again while the gate judges. Other clients do not, so their uploads are
``unattended``: ``finish`` takes it for them when the gate has judged.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import time
from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from skillpm.errors import BusyError, CheckError, SkillpmError
from skillpm.formats.light import read_light
from skillpm.index.folder_registry import UnwitnessedError
from skillpm.model.name import scope_of
from skillpm.model.release import Release
from skillpm.storage.archive import limits_of, read_archive
from skillpm.storage.process_lock import locked
from skillpm_registry.drafts import LIFETIME
from skillpm_registry.events import record
from skillpm_registry.gate import Gate
from skillpm_registry.identity import DAY, Identity, Right
from skillpm_registry.membership import Role, demand_publishing, is_taken, not_a_member, role_in
from skillpm_registry.naming import is_new
from skillpm_registry.oidc import publisher_of
from skillpm_registry.problems import ApiError
from skillpm_registry.services import Services
from skillpm_registry.settling import claim_of, is_stated, record_publication, settle, settled
from skillpm_registry.tables import Account, Approval, Upload
from skillpm_registry.uploads import DONE, archive_bytes, archive_of, move, upload_of

_WAITING = 14 * DAY  # in which a release is to be approved
_log = logging.getLogger("skillpm_registry")


def go_live(services: Services, identity: Identity, number: str) -> tuple[Upload, bool]:
    """Make a staged release visible, or let it wait for an approval; return it, and whether this call added it.

    While the gate judges it, it stays staged, and its publisher asks again.

    Raises:
        ApiError: 403, or 404 for the upload, or 409 if its archive was not sent.
        BusyError: another request makes it live just now, or too many releases wait for the gate.
        CheckError: the gate refuses it.
        ConflictError: the version was published with different content in the meantime.
        StorageError: the disk refused.
    """
    with services.database.reading() as session:
        upload = upload_of(session, identity, number)
        demand_publishing(session, identity, upload.name, is_new=is_new(services.configuration.data, upload.name))
        waits = session.get(Approval, scope_of(upload.name)) is not None
    if upload.state == "publishing":
        upload = settled(services, upload)
    if upload.state in DONE:
        return upload, False
    if upload.state == "open":
        raise ApiError(409, "not-staged", "the archive of this upload was not sent", "send it first")
    if upload.state == "staged":
        if services.gate is not None and _is_judging(services, services.gate, upload, identity.account):
            return upload, False
        if waits:
            with services.database.writing() as session:
                return move(session, upload, "waiting", expires=time.time() + _WAITING), False
    return make_visible(services, upload)


def _is_judging(services: Services, gate: Gate, upload: Upload, account: str) -> bool:
    """Is the gate still to judge a staged release? The first question begins it.

    Raises:
        CheckError: the gate refuses it, which ends the upload.
        BusyError: too many wait for the gate.
    """
    wish = read_light(Release, upload.release)
    if gate.is_pending(wish.tree):
        return True
    try:
        if gate.is_passed(wish.tree):
            return False
    except CheckError as error:
        with services.database.writing() as session:
            upload = move(session, upload, "refused")
            if upload.wish.get("unattended"):  # its publisher may not ask again, and looks here
                record(session, account, "refuse", f"{upload.name}=={upload.version}", reason=error.message)
        archive_of(services, upload.id).unlink(missing_ok=True)
        raise
    return gate.start(upload.name, wish.tree, read_archive(archive_bytes(services, upload.id), limits_of(wish.adapter)))


def finish(services: Services) -> None:
    """Take the third step to its end for uploads whose clients do not: those that were begun, and the unattended ones.

    Of those that wait for the witnesses of the log, one asks them; what they sign then shows all others, too.
    """
    wanted = (Upload.state == "publishing") | ((Upload.state == "staged") & (Upload.expires > time.time()))
    query = select(Upload, Account.name).join(Account, Account.id == Upload.account_id).where(wanted)
    with services.database.reading() as session:
        rows = session.execute(query.order_by(Upload.state.desc())).all()  # what is begun comes last
    for upload, account in rows:
        try:
            if upload.state == "publishing":
                if (current := settled(services, upload)).state == "publishing":
                    make_visible(services, current)
            elif upload.wish.get("unattended"):
                rights = frozenset({Right.PUBLISH})
                identity = Identity(upload.account_id, account, rights, frozenset(), 0, None, upload.publisher)
                go_live(services, identity, upload.id)
        except BusyError:
            continue  # a request makes it live just now
        except SkillpmError as error:
            _log.warning("%s %s does not go live: %s", upload.name, upload.version, error.message)
            if isinstance(error, UnwitnessedError):
                break


def make_visible(services: Services, upload: Upload, approved_by: str = "") -> tuple[Upload, bool]:
    """Add a checked release to the folder; return it, and whether the log names this publication of it.

    Args:
        services: of this process.
        upload: with the release.
        approved_by: another account that was asked; empty if none was.

    Raises:
        ApiError: 409 if another request was first, or if the archive is lost; 403 if another account took the name.
        BusyError: another request makes it live just now.
        ConflictError: the version was published with different content in the meantime.
        StorageError: the disk refused.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    release = replace(read_light(Release, upload.release), published=now, publisher=publisher_of(upload.publisher))
    with _claimed(services, upload, approved_by) as claimed:
        services.registry.add(upload.name, release, archive_bytes(services, upload.id))
        with services.database.writing(durable=False) as session:  # ``settle`` finds out what a power cut undoes
            upload = move(session, claimed, "live", expires=time.time() + LIFETIME)
            added = record_publication(session, upload)  # the log decides between equals, not who wrote the folder
    services.changed(upload.name)
    archive_of(services, upload.id).unlink(missing_ok=True)
    return upload, added


@contextlib.contextmanager
def _claimed(services: Services, upload: Upload, approved_by: str) -> Iterator[Upload]:
    """Yield an upload that this request alone makes live, so that nobody refuses or approves it meanwhile.

    The claim is on the disk before the folder has a statement. On one disk, the folder's flush does that.

    Raises:
        ApiError: 409 if another request was first; 403 if another account took the name.
        BusyError: another request has it, or another account's first release of a new name is going live.
    """
    approval = {"approved_by": approved_by} if approved_by else {}
    with contextlib.ExitStack() as stack:
        try:
            claim = stack.enter_context(locked(claim_of(services, upload.id), 0.0))
        except BusyError:
            raise BusyError(f"{upload.name} {upload.version} is going live", hint="try again") from None
        stack.callback(claim.path.unlink, missing_ok=True)
        with services.database.writing(durable=not services.is_one_disk) as session:
            wish = upload.wish
            if upload.state != "publishing":  # else it is behind the point of no return
                wish = {**wish, **approval, "takes": _takes_name(services, session, upload)}
            claimed = move(session, upload, "publishing", wish=wish, expires=time.time() + _WAITING)
        try:
            yield claimed
        except BaseException:
            if not is_stated(services, upload):
                with services.database.writing() as session:
                    move(session, claimed, upload.state, wish=upload.wish, expires=upload.expires)
            raise


def _takes_name(services: Services, session: Session, upload: Upload) -> bool:
    """Will an upload take its name when it is live? Until then its claim keeps others from the name.

    Raises:
        ApiError: 403 if another account took the name since the rights were checked.
        BusyError: another account's first release of the name is going live.
    """
    if upload.publisher is None and upload.state == "staged":  # an owner lets in what waits
        _demand_name(services, session, upload)
    return upload.publisher is None and is_new(services.configuration.data, upload.name)


def _demand_name(services: Services, session: Session, upload: Upload) -> None:
    scope = scope_of(upload.name)
    in_scope = Upload.name.startswith(scope, autoescape=True) if scope.endswith("/") else Upload.name == scope
    rivals = in_scope & (Upload.state == "publishing") & (Upload.account_id != upload.account_id)
    first = select(Upload.id).where(rivals).limit(1)
    if not is_taken(session, scope):
        if session.scalar(first) is None:
            return
        settle(services, session, rivals)  # their publisher may be dead
        if session.scalar(first) is not None:
            raise BusyError(f"another account's first release of `{scope}` is going live", hint="try again")
    if is_taken(session, scope) and role_in(session, upload.account_id, scope) < Role.PUBLISHER:
        raise not_a_member(session.get_one(Account, upload.account_id).name, "a publisher", scope)
