"""``skillpm export sbom``: the bill of materials of a lock, in CycloneDX 1.6 JSON (ECMA-424).

It lists every locked skill and every wheel of their Python packages, with digests, sources and signers. The same lock
gives the same bytes, so it has no time and a serial number that follows from the lock.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from skillpm import __version__
from skillpm.layout.description import describe
from skillpm.layout.tree import FolderTree
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.requirement import Requirement
from skillpm.model.wheel import Wheel
from skillpm.ops.context import Context

PROJECT = "project"  # the reference of the project itself
_NAMESPACE = uuid.UUID("6f9b0d52-7c0e-5c43-9c86-0a8f3d1f9a11")  # of serial numbers


def bill_of_materials(context: Context) -> dict[str, Any]:
    """Return the document for the project's lock.

    Raises:
        LockOutOfDateError, DocumentError: the lock cannot be read.
    """
    lock = context.lock()
    wheels = {_wheel_ref(wheel): wheel for entry in lock.skills for wheel in _wheels(entry)}
    skills = [_skill(context, entry) for entry in lock.skills]
    name = context.settings.project.resolve().name or PROJECT
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(_NAMESPACE, lock.text()).urn,
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "skillpm", "version": __version__}]},
            "component": {"type": "application", "bom-ref": PROJECT, "name": name},
        },
        "components": [*skills, *(_wheel(ref, wheel) for ref, wheel in sorted(wheels.items()))],
        "dependencies": list(_dependencies(lock)),
    }


def _skill(context: Context, entry: LockedSkill) -> dict[str, Any]:
    owner, _, name = entry.name.rpartition("/")
    properties = {"skillpm:source": str(entry.source), "skillpm:tree": entry.tree, "skillpm:signer": entry.signer}
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _skill_ref(entry),
        **({"group": owner} if owner else {}),
        "name": name,
        "version": entry.version,
        "purl": f"pkg:generic/{quote(entry.name)}@{quote(entry.version)}",
        "hashes": [{"alg": "SHA-256", "content": entry.archive}],
        "properties": [{"name": key, "value": str(value)} for key, value in properties.items() if value],
    }
    if context.store.verify(entry.tree):
        about = describe(FolderTree(context.store.path(entry.tree)))
        component["description"] = about.description
    return component


def _wheel(ref: str, wheel: Wheel) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": ref,
        "name": wheel.name,
        "version": str(wheel.version),
        "purl": f"pkg:pypi/{quote(wheel.name)}@{quote(str(wheel.version))}",
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "properties": [{"name": "skillpm:wheel", "value": wheel.file}],
    }
    if wheel.url:
        component["externalReferences"] = [{"type": "distribution", "url": wheel.url}]
    return component


def _dependencies(lock: Lock) -> Iterator[dict[str, Any]]:
    refs = {entry.name: _skill_ref(entry) for entry in lock.skills}
    roots = [name for name in (Requirement.parse(text).name for text in lock.requirements) if name in refs]
    yield {"ref": PROJECT, "dependsOn": sorted({refs[name] for name in roots or refs})}
    for entry in lock.skills:
        wheels = {_wheel_ref(wheel) for wheel in _wheels(entry)}
        yield {
            "ref": refs[entry.name],
            "dependsOn": sorted({refs[name] for name in entry.requires if name in refs} | wheels),
        }
    for ref in sorted({_wheel_ref(wheel) for entry in lock.skills for wheel in _wheels(entry)}):
        yield {"ref": ref, "dependsOn": []}


def _wheels(entry: LockedSkill) -> Iterator[Wheel]:
    return (wheel for platform in entry.python or () for wheel in platform.wheels)


def _skill_ref(entry: LockedSkill) -> str:
    return f"skill:{entry.name}@{entry.version}"


def _wheel_ref(wheel: Wheel) -> str:
    return f"wheel:{wheel.file}#{wheel.sha256[:16]}"
