"""What a route needs of a request: who asks, and whether this client asks too often."""

from __future__ import annotations

import time
from typing import Annotated

from annotated_types import Interval
from anyio.to_thread import run_sync
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from skillpm_registry.identity import Identity, Right, identify, secret_of, unauthorized
from skillpm_registry.problems import ApiError
from skillpm_registry.services import Services

_FAILED = parse("30/minute")  # wrong tokens of one client
_bearer = HTTPBearer(auto_error=False, description="A token that begins with skp_.")


class Rates:
    """How often clients may write, counted in this process.

    Args:
        rate: in the words of the library ``limits``; empty for no limit.
    """

    def __init__(self, rate: str) -> None:
        self._rate = parse(rate) if rate else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, client: str) -> None:
        """Count one request that writes. Raises ApiError 429."""
        if self._rate is not None:
            self._hit(self._rate, "write", client)

    def failed(self, client: str) -> None:
        """Count a wrong token. Raises ApiError 429 for a client that has sent many."""
        self._hit(_FAILED, "failed", client)

    def _hit(self, rate: RateLimitItem, what: str, client: str) -> None:
        if not self._limiter.hit(rate, what, client):
            until = self._limiter.get_window_stats(rate, what, client).reset_time
            problem = ApiError(
                429, "too-many-requests", "this client asks too often", "wait as long as Retry-After says"
            )
            problem.headers["Retry-After"] = str(max(1, round(until - time.time())))
            raise problem


def services_of(request: Request) -> Services:
    """Return the services of the application."""
    services: Services = request.app.state.services
    return services


def client_of(request: Request) -> str:
    """Return the address of the client."""
    return request.client.host if request.client else ""


def identity_or_none(request: Request) -> Identity | None:
    """Return who asks, or None without a token. Raises ApiError 401, or 429 for a client that guesses tokens."""
    secret = secret_of(request.headers.get("authorization"))
    if secret is None:
        return None
    try:
        with services_of(request).database.reading() as session:
            identity = identify(session, secret)
    except ApiError:  # a right token is let in from an address with many wrong ones: others may share it
        rates: Rates = request.app.state.rates
        rates.failed(client_of(request))
        raise
    request.state.account = identity.account
    return identity


async def reader(request: Request) -> Identity | None:
    """Return who reads; only a private registry asks. An old token keeps nobody from what everybody may read.

    Raises:
        ApiError: 401 or 403.
    """
    if not services_of(request).configuration.private:
        return None
    identity = await run_sync(identity_or_none, request)
    if identity is None:
        raise unauthorized("reading this registry needs a token")
    identity.demand(Right.READ)
    return identity


def writer(request: Request, _: Annotated[object, Depends(_bearer)]) -> Identity:
    """Return who writes. Raises ApiError 401 or 429."""
    identity = identity_or_none(request)
    if identity is None:
        raise unauthorized("this needs a token")
    rates: Rates = request.app.state.rates
    rates.count(str(identity.account_id))
    return identity


def visitor(request: Request) -> str:
    """Return the account or the address of whoever writes without needing a token. Raises ApiError 429."""
    identity = identity_or_none(request)
    rates: Rates = request.app.state.rates
    rates.count(str(identity.account_id) if identity else client_of(request))
    return identity.account if identity else "anonymous"


async def _shared(request: Request) -> Services:
    return services_of(request)  # FastAPI calls what is not a coroutine in another thread


Reader = Annotated[Identity | None, Depends(reader)]
Writer = Annotated[Identity, Depends(writer)]
Visitor = Annotated[str, Depends(visitor)]
Shared = Annotated[Services, Depends(_shared)]
Number = Annotated[int, Interval(ge=0, le=2**63 - 1)]  # of a row, or of rows: what a database can hold
