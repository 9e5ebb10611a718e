"""What the page of events shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from skillpm.model.name import is_name
from skillpm_registry.events import events
from skillpm_registry.services import Services
from skillpm_registry.tables import Event

SHOWN = 50  # events of one page
_VERBS = {
    "publish": "published", "yank": "yanked", "unyank": "unyanked", "quarantine": "put into quarantine",
    "unquarantine": "took out of quarantine", "status": "changed the status of", "take": "took the name",
    "member": "changed the members of", "account": "made the account", "token": "made a token for",
    "revoke": "revoked a token of", "trust": "trusts a publisher for", "distrust": "no longer trusts a publisher for",
    "exchange": "got a token for", "report": "reported", "report-accepted": "accepted a report of",
    "report-dismissed": "dismissed a report of", "report-appealed": "appealed against the answer to a report of",
    "approval": "changed the approval of", "refuse": "refused",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One event as people read it.

    Attributes:
        skill: its name if the event is about one, or empty.
    """

    number: int
    time: str
    actor: str
    verb: str
    subject: str
    skill: str
    version: str
    note: str


def lines(services: Services, subject: str, before: int | None) -> list[Line]:
    """Return events, newest first.

    Args:
        services: with the database.
        subject: a skill, or empty for all events.
        before: only events with a lower number.
    """
    with services.database.reading() as session:
        return [_line(event) for event in events(session, subject=subject, before=before, limit=SHOWN)]


def _line(event: Event) -> Line:
    name, _, version = event.subject.partition("==")
    about_account = event.action in ("account", "token", "revoke")
    skill = name if is_name(name) and not about_account else ""
    time = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="seconds")
    verb = _VERBS.get(event.action, event.action)
    return Line(event.id, time, event.actor, verb, event.subject, skill, version, _note(event.detail))


def _note(detail: dict[str, Any]) -> str:
    """Return the words of a person in an event, such as a reason."""
    words = [str(detail[key]) for key in ("status", "account", "role", "reason") if detail.get(key)]
    return ", ".join(words + ([f"approved by {detail['approved_by']}"] if detail.get("approved_by") else []))
