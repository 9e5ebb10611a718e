"""The routes of the API, below ``/api/v1``."""

from __future__ import annotations

from skillpm_registry.api import accounts, approvals, releases, trusted

ROUTES = [route for part in (releases, approvals, accounts, trusted) for route in part.router.routes]
