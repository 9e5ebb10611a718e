"""The log of what was done: lines are added and read, never changed."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skillpm_registry.tables import Event

MOST = 200  # events of one answer


def record(session: Session, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Add one event, in the transaction of what it is about.

    Args:
        session: a writing session.
        actor: the account's name.
        action: such as ``publish``.
        subject: what was acted upon, such as ``demo==1.0``.
        detail: what else is known, never a secret.
    """
    event = Event(time=time.time(), actor=actor, action=action, subject=subject[:240], detail=detail)
    session.add(event)


def events(session: Session, *, subject: str = "", before: int | None = None, limit: int = MOST) -> list[Event]:
    """Return events, newest first.

    Args:
        session: any session.
        subject: a skill, or one release of it; empty for all.
        before: only events with a lower number, for the next part of a long list.
        limit: at most this many.
    """
    query = select(Event).order_by(Event.id.desc()).limit(min(limit, MOST))
    if subject:
        query = query.where((Event.subject == subject) | Event.subject.startswith(f"{subject}==", autoescape=True))
    if before is not None:
        query = query.where(Event.id < before)
    return list(session.scalars(query))
