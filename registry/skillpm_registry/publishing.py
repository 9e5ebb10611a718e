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
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.version import Version
from sqlalchemy import ColumnElement, delete, false, select, update
from sqlalchemy.orm import Session

from skillpm.errors import (
    BusyError,
    CheckError,
    ConflictError,
    IntegrityError,
    LayoutError,
    SkillpmError,
    UsageError,
)
from skillpm.formats.as_json import as_json
from skillpm.formats.gathered import Bytes, read_file
from skillpm.formats.light import json_form, read_light
from skillpm.index.folder_registry import UnwitnessedError
from skillpm.index.pages import MAX_ARCHIVE
from skillpm.index.path import release_of
from skillpm.layout.check import examine
from skillpm.layout.rule import Level
from skillpm.layout.scan import ALLOWABLE
from skillpm.layout.subject import Subject
from skillpm.layout.tree import Tree
from skillpm.model.name import parse_name
from skillpm.model.release import Release
from skillpm.model.requirement import parse_version
from skillpm.ops.authoring.validate import PUBLISH_RULES
from skillpm.storage.archive import archive_digest, limits_of, read_archive
from skillpm.storage.process_lock import locked
from skillpm.trust.signature import signer
from skillpm_registry.drafts import LIFETIME
from skillpm_registry.events import record
from skillpm_registry.gate import Gate
from skillpm_registry.identity import DAY, Identity, Right
from skillpm_registry.membership import Role, demand_publishing, is_taken, not_a_member, role_in, scope_of, take
from skillpm_registry.naming import is_new, refuse_look_alike
from skillpm_registry.oidc import publisher_of
from skillpm_registry.problems import ApiError
from skillpm_registry.services import Services
from skillpm_registry.tables import Account, Approval, Event, Upload

_WAITING = 14 * DAY  # in which a release is to be approved
_DONE = ("live", "waiting", "refused")  # states in which its publisher has no more to send
_CHECKED = ("staged", "waiting", "publishing")  # states in which its archive is needed
_MOST = (("unfinished", ("open", "staged"), 50), ("waiting", ("waiting",), 200))  # uploads of one account
_log = logging.getLogger("skillpm_registry")
_DERIVED = ("version", "tree", "requires", "hooks", "summary", "adapter")  # what the archive decides


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
        raise ApiError(413, "too-large", f"an archive has at most {largest} bytes", limit=largest)
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
            _settle(services, session, (Upload.name == name) & (Upload.state == "publishing"))
            return None
        if present is not None:
            raise ConflictError(
                f"{name} {present.version} is published with different content",
                hint="a published release never changes: run `skillpm version bump patch`",
                published=present.tree,
                offered=release.tree,
            )
        same = (Upload.name == name) & (Upload.version == release.version)
        standing = _standing(services, session, same | (Upload.account_id == identity.account_id))
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
            problem = ApiError(429, "too-many-uploads", f"{identity.account} has {most} {title} uploads")
            problem.headers["Retry-After"] = "60"
            raise problem


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


def upload_of(session: Session, identity: Identity, number: str) -> Upload:
    """Return an upload of this account. Raises ApiError 404 for another's, an expired or an unknown one."""
    upload = session.get(Upload, number) if number.isalnum() else None
    if upload is None or upload.account_id != identity.account_id or upload.expires < time.time():
        raise ApiError(404, "unknown-upload", "there is no such upload, or it has expired", "publish again")
    return upload


def receive(services: Services, identity: Identity, number: str, draft: Path) -> Upload:
    """Check an archive that was sent, and stage it.

    Args:
        services: of this process.
        identity: who publishes.
        number: of the upload.
        draft: the file with the bytes; it is moved, or left to the caller.

    Raises:
        ApiError: 404 for the upload, or 422: it is not what was announced.
        IntegrityError: the archive is not acceptable.
        LayoutError: it is not a skill that may be published; ``details["findings"]`` has the findings.
    """
    with services.database.reading() as session:
        upload = upload_of(session, identity, number)
    if upload.state in (*_DONE, "publishing"):
        return upload
    wish = read_light(Release, upload.wish["release"])
    with draft.open("rb") as file:
        data = read_file(file, services.configuration.largest)
    tree = read_archive(data, limits_of(wish.adapter))
    if archive_digest(data, limits_of(wish.adapter)) != wish.archive or len(data) != wish.size:
        raise IntegrityError("the archive is not the announced one", hint="publish again", announced=wish.archive)
    try:
        _check(upload, wish, tree, data)
    except SkillpmError:
        forget(services, upload)  # no other archive may follow
        raise
    draft.replace(archive_of(services, number))
    if services.gate is not None:
        services.gate.forget_unjudged(wish.tree)
    with services.database.writing(durable=False) as session:
        announced, upload = upload.wish, upload_of(session, identity, number)
        if upload.wish != announced:  # it may allow less than what was let pass
            raise ApiError(409, "decided", "this upload was started again in the meantime", "send the archive again")
        if upload.state == "open":
            upload.state, upload.release = "staged", json_form(wish)
            if upload.wish.get("unattended"):
                upload.expires = time.time() + DAY
    return upload


def forget(services: Services, upload: Upload) -> None:
    """Remove an upload that cannot or will not be finished, so that it does not count against its account."""
    present = (Upload.id == upload.id) & Upload.state.in_(("open", "staged"))
    with services.database.writing(durable=False) as session:
        is_gone = session.scalar(delete(Upload).where(present).returning(Upload.id)) is not None
    if is_gone:  # else another request is making it live
        archive_of(services, upload.id).unlink(missing_ok=True)


def _check(upload: Upload, release: Release, tree: Tree, data: Bytes) -> None:
    """Demand that an archive is what its publisher announced, and that it may be published."""
    name, derived = release_of(tree, data)
    if name != upload.name.rpartition("/")[2]:
        raise UsageError(f"the archive is of `{name}`, not of `{upload.name}`", hint="publish it by its own name")
    for key in _DERIVED:
        if getattr(derived, key) != getattr(release, key):
            raise IntegrityError(f"the {key} in the archive is not the announced one", hint="publish again")
    label = f"{upload.name} {release.version}"
    subject = Subject(tree, upload.name.rpartition("/")[2])
    report = examine(subject, PUBLISH_RULES, path=label, level=Level.PUBLISH).letting(frozenset(upload.wish["allow"]))
    if not report.ok:
        first = report.errors[0]
        raise LayoutError(
            f"{label} is refused: {first.path}{f':{first.line}' if first.line else ''}: {first.message} [{first.code}]",
            hint="run `skillpm validate --level publish` and fix what it lists",
            findings=as_json(report.findings),
        )
    signer(upload.name, release)  # raises IntegrityError: its signature is not about this release


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
        upload = _settled(services, upload)
    if upload.state in _DONE:
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
                if (settled := _settled(services, upload)).state == "publishing":
                    make_visible(services, settled)
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
    """Add a checked release to the folder; return it, and whether it is new there.

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
        added = services.registry.add(upload.name, release, archive_bytes(services, upload.id))
        with services.database.writing(durable=False) as session:  # ``_settle`` finds out what a power cut undoes
            upload = move(session, claimed, "live", expires=time.time() + LIFETIME)
            added = _record(session, upload) and added
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
            claim = stack.enter_context(locked(_claim(services, upload.id), 0.0))
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
            if not _is_stated(services, upload):
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
        _settle(services, session, rivals)  # their publisher may be dead
        if session.scalar(first) is not None:
            raise BusyError(f"another account's first release of `{scope}` is going live", hint="try again")
    if is_taken(session, scope) and role_in(session, upload.account_id, scope) < Role.PUBLISHER:
        raise not_a_member(session.get_one(Account, upload.account_id).name, "a publisher", scope)


def _is_stated(services: Services, upload: Upload) -> bool:
    """Has the folder a statement of this release, so that everybody will see it?"""
    release = read_light(Release, upload.release)
    known = services.registry.stated(upload.name, release.version)
    return known is not None and known.tree == release.tree


def _is_live(services: Services, upload: Upload) -> bool:
    page, release = services.registry.page(upload.name), read_light(Release, upload.release)
    present = page.release(release.version) if page else None
    return present is not None and present.tree == release.tree


def _claim(services: Services, number: str) -> Path:
    """Return the lock that a process has while it makes an upload live: a claim without it is of a dead one."""
    return services.configuration.uploads / f"{number}.claim"


def _record(session: Session, upload: Upload) -> bool:
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


def _settled(services: Services, upload: Upload) -> Upload:
    """Return an upload in the state that is true of it, if nobody is making it live."""
    with services.database.writing() as session:
        _settle(services, session, (Upload.id == upload.id) & (Upload.state == "publishing"))
        return session.get_one(Upload, upload.id)


def _standing(services: Services, session: Session, wanted: ColumnElement[bool]) -> list[Any]:
    """Return the unfinished uploads of a condition; remove those that have expired, at most 100 at once."""
    columns = (Upload.id, Upload.account_id, Upload.name, Upload.version, Upload.state, Upload.expires)
    unfinished, ended = Upload.state.in_(("open", "staged", "waiting")), Upload.expires < (now := time.time())
    rows = session.execute(select(*columns).where(unfinished & wanted | ended & (Upload.state != "publishing"))).all()
    if expired := [row.id for row in rows if row.expires < now][:100]:
        session.execute(delete(Upload).where(Upload.id.in_(expired)))
        for number in expired:
            archive_of(services, number).unlink(missing_ok=True)
    return [row for row in rows if row.expires >= now]


def _settle(services: Services, session: Session, wanted: ColumnElement[bool]) -> None:
    """Bring the uploads of a condition into the states that are true of them, if nobody is making them live."""
    for upload in session.scalars(select(Upload).where(wanted)).all():
        with contextlib.suppress(BusyError), locked(_claim(services, upload.id), 0.0) as claim:
            if _is_live(services, upload):
                services.registry.flush()  # whoever made it live may not have come so far
                upload.state = "live"
                _record(session, upload)
                services.changed(upload.name)
                archive_of(services, upload.id).unlink(missing_ok=True)
            elif upload.state == "publishing" and not _is_stated(services, upload):
                upload.state = "waiting" if session.get(Approval, scope_of(upload.name)) else "staged"
            claim.path.unlink(missing_ok=True)


def recover(services: Services) -> None:
    """After a start: log the releases that went live before a crash, and remove what a crash left behind."""
    with services.database.writing() as session:
        _settle(services, session, Upload.state.in_(_CHECKED))
        _standing(services, session, false())
        known = set(session.scalars(select(Upload.id).where(Upload.state.in_(_CHECKED))))
    for path in services.configuration.uploads.glob("*.*"):
        with contextlib.suppress(OSError):
            if path.name.partition(".")[0] not in known and path.stat().st_mtime < time.time() - LIFETIME:
                path.unlink()
