"""What happens to a release after its publication: yank, quarantine, status, reports."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import select

from skillpm.errors import UsageError
from skillpm.model.name import parse_name, scope_of
from skillpm.model.release import Status
from skillpm.model.requirement import parse_version
from skillpm_registry.events import record
from skillpm_registry.identity import Identity, Right
from skillpm_registry.membership import REGISTRY, Role, demand_role
from skillpm_registry.problems import ApiError
from skillpm_registry.services import Services
from skillpm_registry.tables import Report

_REASON = 1024  # characters


def set_yanked(services: Services, identity: Identity, name: str, version: str, reason: str | None) -> bool:
    """Yank a release as one of its publishers, or unyank it; return False if nothing changes.

    Raises:
        ApiError: 403.
        RegistryError: there is no such release.
    """
    return _restate(services, identity, scope_of(parse_name(name)), Role.PUBLISHER, "yank", (name, version, reason))


def set_quarantined(services: Services, identity: Identity, name: str, version: str, reason: str | None) -> bool:
    """Put a release into quarantine as an owner of the registry, or take it out. Like ``set_yanked``."""
    return _restate(services, identity, REGISTRY, Role.OWNER, "quarantine", (name, version, reason))


def _restate(
    services: Services, identity: Identity, scope: str, role: Role, action: str, what: tuple[str, str, str | None]
) -> bool:
    name, version, reason = parse_name(what[0]), str(parse_version(what[1])), what[2]
    if reason is not None and not 0 < len(reason.strip()) <= _REASON:
        raise UsageError(f"a reason has 1 to {_REASON} characters", hint="state what is wrong")
    with services.database.reading() as session:
        demand_role(session, identity, scope, role, Right.PUBLISH if role is Role.PUBLISHER else Right.MANAGE)
    change = services.registry.yank if action == "yank" else services.registry.quarantine
    changed = change(name, version, reason.strip() if reason is not None else None)
    if changed:
        with services.database.writing() as session:
            undone = "un" if reason is None else ""
            record(session, identity.account, undone + action, f"{name}=={version}", reason=reason)
        services.changed(name)
    return changed


def set_status(services: Services, identity: Identity, name: str, status: Status, reason: str) -> bool:
    """Set the status of a skill as one of its publishers; return False if nothing changes. Like ``set_yanked``."""
    name = parse_name(name)
    if status != "active" and not 0 < len(reason.strip()) <= _REASON:
        raise UsageError(f"a reason has 1 to {_REASON} characters", hint="name the skill to use instead")
    with services.database.reading() as session:
        demand_role(session, identity, scope_of(name), Role.PUBLISHER, Right.PUBLISH)
    changed = services.registry.set_status(name, status, reason.strip())
    if changed:
        with services.database.writing() as session:
            record(session, identity.account, "status", name, status=status, reason=reason.strip())
        services.changed(name)
    return changed


def report(services: Services, reporter: str, name: str, version: str, content: dict[str, Any]) -> Report:
    """Add a report of a skill, or of one of its releases.

    Raises:
        ApiError: 404 if there is no such skill or release.
    """
    page = services.registry.page(parse_name(name))
    if page is None:
        raise ApiError(404, "unknown-skill", f"there is no skill `{name}`", "check the spelling")
    if version and page.release(version) is None:
        known = ", ".join(release.version for release in page.releases)
        raise ApiError(404, "unknown-skill", f"{name} has no release {version[:64]}", f"it has {known}")
    row = Report(
        time=time.time(), reporter=reporter, name=name, version=version, content=content, state="open", answer=""
    )
    with services.database.writing() as session:
        session.add(row)
        record(session, reporter, "report", f"{name}=={version}" if version else name)
    return row


def answer(services: Services, identity: Identity, number: int, state: str, text: str) -> Report:
    """Answer a report as an owner of the registry, or appeal as an owner of the skill.

    Raises:
        ApiError: 403, or 404 if there is no such report.
    """
    with services.database.writing() as session:
        row = session.get(Report, number)
        if row is None:
            hint = "`skillpm registry reports` lists them"
            raise ApiError(404, "unknown-report", f"there is no report {number}", hint)
        scope = scope_of(row.name) if state == "appealed" else REGISTRY
        demand_role(session, identity, scope, Role.OWNER, Right.MANAGE)
        row.state, row.answer = state, text
        record(session, identity.account, f"report-{state}", row.name, report=number)
        return row


def reports(services: Services, name: str = "") -> list[Report]:
    """Return the newest reports of a skill, or of all, newest first."""
    query = select(Report).order_by(Report.id.desc()).limit(200)
    with services.database.reading() as session:
        return list(session.scalars(query.where(Report.name == name) if name else query))
