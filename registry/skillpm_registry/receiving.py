"""The second step of a publication: the archive is checked as its client did, because a client can be anything."""

from __future__ import annotations

import time
from pathlib import Path

from skillpm.errors import IntegrityError, LayoutError, SkillpmError, UsageError
from skillpm.formats.as_json import as_json
from skillpm.formats.gathered import Bytes, read_file
from skillpm.formats.light import json_form, read_light
from skillpm.index.path import release_of
from skillpm.layout.check import examine
from skillpm.layout.rule import Level
from skillpm.layout.subject import Subject
from skillpm.layout.tree import Tree
from skillpm.model.release import Release
from skillpm.ops.authoring.validate import PUBLISH_RULES
from skillpm.storage.archive import archive_digest, limits_of, read_archive
from skillpm.trust.signature import signer
from skillpm_registry.identity import DAY, Identity
from skillpm_registry.problems import ApiError
from skillpm_registry.services import Services
from skillpm_registry.tables import Upload
from skillpm_registry.uploads import DONE, archive_of, forget, upload_of

_DERIVED = ("version", "tree", "requires", "hooks", "summary", "adapter")  # what the archive decides


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
    if upload.state in (*DONE, "publishing"):
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
