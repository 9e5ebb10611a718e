"""How other managers' clients publish: they send files, and the server packs them as skillpm would have.

Everything that a publication of skillpm passes holds here, too. Such a release has no signature, because these clients
make none. A skill without a skill.yaml gets one with the version that its client states, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from packaging.version import InvalidVersion, Version

from skillpm.errors import UsageError
from skillpm.formats.light import json_form
from skillpm.index.path import release_of
from skillpm.layout.tree import MappingTree
from skillpm.model.name import parse_name
from skillpm.storage.archive import build_archive, compressed
from skillpm_registry.identity import Identity
from skillpm_registry.publishing import announce, go_live, receive
from skillpm_registry.services import Services

MANIFEST = "skill.yaml"


def stated(version: str) -> bytes:
    """Return the skill.yaml of a skill without one."""
    return f"manifest: 1\nversion: {version}\n".encode()


def python_version(text: str) -> str:
    """Return a version of semver in the form of PEP 440: `1.2.0-rc.1` is `1.2.0rc1`. Raises UsageError."""
    try:
        return str(Version(text))
    except InvalidVersion:
        raise UsageError(f"`{text[:40]}` is not a version", hint="write it as 1.2.0 or 1.2.0-rc.1") from None


def publish(services: Services, identity: Identity, name: str, version: str, files: Mapping[str, bytes]) -> str:
    """Publish the files of a skill; return its state: ``live``, ``waiting`` for an owner, or ``staged`` for the gate.

    Args:
        services: of this process.
        identity: who publishes.
        name: of the skill.
        version: as a client states it, in the form of semver.
        files: by their paths.

    Raises:
        SkillpmError: as a publication of skillpm; UsageError if the files state another version.
    """
    parse_name(name)
    own = python_version(version)
    tree = MappingTree({MANIFEST: stated(own), **files})
    canonical = build_archive(tree)
    _, release = release_of(tree, canonical)
    if Version(release.version) != Version(own):
        raise UsageError(
            f"the client states version {own}, and {MANIFEST} {release.version}", hint=f"correct {MANIFEST}"
        )
    archive = bytes(compressed(canonical))
    about = json_form(replace(release, size=len(archive)))
    upload = announce(services, identity, {"name": name, "release": about, "like": "", "allow": []})
    if upload is None:
        return "live"
    draft = services.configuration.uploads / f"{upload.id}.{os.urandom(4).hex()}.part"
    try:
        draft.write_bytes(archive)
        receive(services, identity, upload.id, draft)
        return go_live(services, identity, upload.id)[0].state
    finally:
        draft.unlink(missing_ok=True)
