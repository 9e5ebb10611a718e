"""How other managers' clients publish: they send files, and the server packs them as skillpm would have.

Everything that a publication of skillpm passes holds here, too. Such a release has no signature, because these clients
make none. A skill without a skill.yaml gets one with the version that its client states, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from anyio.to_thread import run_sync
from packaging.version import InvalidVersion, Version

from skillpm.errors import SkillpmError, UsageError
from skillpm.formats.light import json_form
from skillpm.index.path import release_of
from skillpm.layout.tree import MappingTree
from skillpm.model.name import parse_name
from skillpm.storage.archive import build_archive, compressed
from skillpm_registry.announcing import announce
from skillpm_registry.drafts import draft
from skillpm_registry.identity import Identity
from skillpm_registry.publishing import go_live
from skillpm_registry.receiving import receive
from skillpm_registry.services import Services
from skillpm_registry.tables import Upload
from skillpm_registry.uploads import forget

MANIFEST = "skill.yaml"


def stated(version: str) -> bytes:
    """Return the skill.yaml of a skill without one."""
    return f"manifest: 1\nversion: {version}\n".encode()


def python_version(text: str) -> str:
    """Return a version of semver in the form of PEP 440: `1.2.0-rc.1` is `1.2.0rc1`. Raises UsageError.

    `1.2.0-1` and `1.2.0-post.1` are before 1.2.0 in semver, and after it in PEP 440, so they are refused.
    """
    try:
        version = Version(text)
    except InvalidVersion:
        version = None
    if version is None or ("-" in text and not version.is_prerelease):
        raise UsageError(f"`{text[:40]}` is not a version here", hint="write it as 1.2.0 or 1.2.0-rc.1")
    return str(version)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client has sent: the name, the version in the form of semver, and the files by their paths."""

    name: str
    version: str
    files: Mapping[str, bytes]


async def publish(services: Services, identity: Identity, read: Callable[[], Sent]) -> str:
    """Publish the files of a skill; return its state: ``live``, ``waiting`` for an owner, or ``staged`` for the gate.

    What waits for the gate goes live by itself when it has passed.

    Args:
        services: of this process.
        identity: who publishes.
        read: returns what was sent, in a thread.

    Raises:
        SkillpmError: as a publication of skillpm; UsageError if the files state another version.
    """
    upload = await run_sync(lambda: _staged(services, identity, read()), limiter=services.checking)
    if upload is None:
        return "live"
    return await run_sync(_live, services, identity, upload, limiter=services.going_live)


def _staged(services: Services, identity: Identity, sent: Sent) -> Upload | None:
    """Pack and stage what was sent; return None if it is published already."""
    parse_name(sent.name)
    own = python_version(sent.version)
    tree = MappingTree({MANIFEST: stated(own), **sent.files})
    canonical = build_archive(tree)
    _, release = release_of(tree, canonical)
    if Version(release.version) != Version(own):
        raise UsageError(
            f"the client states version {own}, and {MANIFEST} {release.version}", hint=f"correct {MANIFEST}"
        )
    archive = bytes(compressed(canonical))
    about = json_form(replace(release, size=len(archive)))
    wish = {"name": sent.name, "release": about, "like": "", "allow": [], "unattended": True}
    upload = announce(services, identity, wish)
    if upload is not None:
        with _forgotten(services, upload), draft(services.configuration.uploads, upload.id) as place:
            place.write_bytes(archive)
            receive(services, identity, upload.id, place)
    return upload


def _live(services: Services, identity: Identity, upload: Upload) -> str:
    with _forgotten(services, upload):
        return go_live(services, identity, upload.id)[0].state


@contextlib.contextmanager
def _forgotten(services: Services, upload: Upload) -> Iterator[None]:
    """Remove an upload that fails: its client does not know its number."""
    try:
        yield
    except SkillpmError:
        forget(services, upload)
        raise
