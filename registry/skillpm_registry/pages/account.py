"""The page of whoever is logged in: roles, and tokens without their secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from skillpm_registry import approval
from skillpm_registry.access import identity_or_none
from skillpm_registry.api.accounts import tokens, whoami
from skillpm_registry.api.forms import TokenState
from skillpm_registry.identity import Identity, unauthorized
from skillpm_registry.pages.rendering import Pages
from skillpm_registry.routing import reading_router
from skillpm_registry.services import Services


def router(services: Services, pages: Pages) -> APIRouter:
    """Return the route of the page."""
    routes = reading_router("pages", shown=False)

    @routes.get("/account")
    def account(request: Request) -> Response:
        """Show who is logged in. Raises ApiError 401, for which a browser asks for a token."""
        identity = logged_in(request)
        values = {
            "who": whoami(services, identity),
            "tokens": [_shown(token, identity) for token in tokens(services, identity)],
            "waiting": len(approval.waiting(services, identity)),
        }
        return pages.answer(request, lambda: ("account.html.j2", values), keep=False)

    return routes


def logged_in(request: Request) -> Identity:
    """Return who asks for a page of their own. Raises ApiError 401."""
    identity = identity_or_none(request)
    if identity is None:
        raise unauthorized("this page needs a token: any name, and the token as the password")
    return identity


def _shown(token: TokenState, identity: Identity) -> dict[str, Any]:
    def day(seconds: float | None) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""

    return token.model_dump() | {
        "created": day(token.created), "expires": day(token.expires), "is_own": token.id == identity.token_id
    }  # fmt: skip
