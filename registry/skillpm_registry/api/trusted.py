"""Trusted publishing: issuers, the claims that count, and the exchange of a statement for a token."""

from __future__ import annotations

from fastapi import Request

from skillpm_registry import oidc
from skillpm_registry.access import Number, Reader, Shared, Visitor, Writer
from skillpm_registry.api.forms import ExchangedToken, PublisherForm, PublisherState, Statement
from skillpm_registry.routing import api_router

router = api_router("trusted publishing", "/trusted-publishers")


def _issuers(request: Request) -> oidc.Issuers:
    issuers: oidc.Issuers = request.app.state.issuers
    return issuers


@router.get("")
def publishers(services: Shared, reader: Reader, scope: str) -> list[PublisherState]:
    """List the trusted publishers of a scope."""
    with services.database.reading() as session:
        return [PublisherState.model_validate(row) for row in oidc.trusted(session, scope)]


@router.post("", status_code=201)
def trust(form: PublisherForm, request: Request, services: Shared, identity: Writer) -> PublisherState:
    """Let an issuer's statements with these claims publish in a scope. For owners of the scope."""
    return PublisherState.model_validate(
        oidc.trust(services, _issuers(request), identity, form.scope, form.issuer, form.claims)
    )


@router.delete("/{number:int}", status_code=204)
def distrust(number: Number, services: Shared, identity: Writer) -> None:
    """Remove a trusted publisher. For owners of its scope."""
    oidc.distrust(services, identity, number)


@router.post("/token", status_code=201)
def exchange(form: Statement, request: Request, services: Shared, visitor: Visitor) -> ExchangedToken:
    """Exchange a statement of an issuer for a token that publishes in the scopes which trust it."""
    token, scopes, expires = oidc.exchange(services, _issuers(request), form.statement)
    return ExchangedToken(token=token, scopes=scopes, expires=expires)
