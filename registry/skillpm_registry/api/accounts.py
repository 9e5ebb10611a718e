"""Accounts, tokens, members, and the log of events."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlalchemy import select
from sqlalchemy.orm import Session

from skillpm_registry.access import Number, Reader, Shared, Writer
from skillpm_registry.api.forms import (
    AccountForm,
    EventState,
    MemberForm,
    MemberState,
    NewToken,
    TokenForm,
    TokenState,
    Whoami,
)
from skillpm_registry.events import MOST, events, record
from skillpm_registry.identity import DAY, Identity, Right, new_token
from skillpm_registry.membership import (
    REGISTRY,
    Role,
    account_named,
    demand_role,
    is_scope,
    is_taken,
    new_account,
    no_scope,
    not_a_member,
    role_in,
    set_role,
)
from skillpm_registry.naming import is_new
from skillpm_registry.problems import ApiError
from skillpm_registry.routing import api_router
from skillpm_registry.services import Services
from skillpm_registry.tables import Account, Member, Token

router = api_router("accounts")


@router.get("/whoami")
def whoami(services: Shared, identity: Writer) -> Whoami:
    """Say whose token this is, and what it may do."""
    with services.database.reading() as session:
        scopes = session.execute(select(Member.scope, Member.role).where(Member.account_id == identity.account_id))
        return Whoami(
            account=identity.account,
            role=role_in(session, identity.account_id, REGISTRY).text,
            rights=sorted(right.value for right in identity.rights),
            only=sorted(identity.only),
            expires=identity.expires,
            publisher=identity.publisher,
            scopes={row.scope: row.role for row in scopes},
        )


@router.post("/accounts", status_code=201)
def add_account(form: AccountForm, services: Shared, identity: Writer) -> NewToken:
    """Add an account, and return its first token. For owners of the registry."""
    with services.database.writing() as session:
        demand_role(session, identity, REGISTRY, Role.OWNER, Right.MANAGE)
        account = new_account(session, identity.account, form.name, Role[form.role.upper()])
        secret, row = new_token(session, account.id, "first", Right, seconds=90 * DAY)
        return NewToken(token=secret, **_token(row).model_dump())


def _token(row: Token) -> TokenState:
    return TokenState(
        id=row.id, label=row.label, rights=row.rights.split(","), only=[text for text in row.only.split(",") if text],
        created=row.created, expires=row.expires,
    )  # fmt: skip


@router.get("/tokens")
def tokens(services: Shared, identity: Writer) -> list[TokenState]:
    """List the tokens of the account."""
    with services.database.reading() as session:
        rows = session.scalars(select(Token).where(Token.account_id == identity.account_id).order_by(Token.id))
        return [_token(row) for row in rows]


@router.post("/tokens", status_code=201)
def add_token(form: TokenForm, services: Shared, identity: Writer) -> NewToken:
    """Make a token that may do no more than the token of this request."""
    identity.demand(Right.MANAGE)
    for right in form.rights:
        identity.demand(right)
    _refuse_wider(identity, form.only)
    with services.database.writing() as session:
        _refuse_others(session, identity, form.only)
        only = form.only or identity.only
        secret, row = new_token(
            session, identity.account_id, form.label, form.rights, only=only, seconds=form.days * DAY
        )
        record(session, identity.account, "token", identity.account, token=row.id, rights=row.rights, only=row.only)
        return NewToken(token=secret, **_token(row).model_dump())


def _refuse_wider(identity: Identity, only: list[str]) -> None:
    for scope in only:
        if not is_scope(scope):
            raise no_scope(scope)
        identity.demand(Right.MANAGE, scope)


def _refuse_others(session: Session, identity: Identity, only: list[str]) -> None:
    """Refuse a token for what others own: it could do nothing. A name that nobody has yet may come to be ours."""
    for scope in only:
        if is_taken(session, scope) and role_in(session, identity.account_id, scope) is Role.NONE:
            raise not_a_member(identity.account, "a member", scope)


@router.delete("/tokens/{number}", status_code=204)
def revoke_token(number: Number, services: Shared, identity: Writer) -> None:
    """Revoke a token of the account; a token without the right to manage may revoke itself."""
    if number != identity.token_id:
        identity.demand(Right.MANAGE)
    with services.database.writing() as session:
        row = session.get(Token, number)
        if row is None or row.account_id != identity.account_id:
            hint = "`skillpm token list` lists those of this account"
            raise ApiError(404, "unknown-token", f"{identity.account} has no token {number}", hint)
        session.delete(row)
        record(session, identity.account, "revoke", identity.account, token=number)


@router.get("/members")
def members(services: Shared, reader: Reader, scope: str) -> list[MemberState]:
    """List the members of a scope: a skill, `OWNER/`, or `*` for the registry."""
    if not is_scope(scope):
        raise no_scope(scope)
    rows = _members(services, scope)
    if not rows and scope != REGISTRY and is_new(services.configuration.data, scope):
        raise ApiError(404, "unknown-scope", f"nobody has published `{scope}` here", "check the spelling")
    return rows


def _members(services: Services, scope: str) -> list[MemberState]:
    query = select(Account.name, Member.role).join(Member, Member.account_id == Account.id)
    with services.database.reading() as session:
        rows = session.execute(query.where(Member.scope == scope).order_by(Account.name))
        return [MemberState(account=row.name, role=row.role) for row in rows]


@router.put("/members")
def set_member(form: MemberForm, services: Shared, identity: Writer) -> list[MemberState]:
    """Give an account a role in a scope, or take it away. For owners of the scope."""
    if not is_scope(form.scope):
        raise no_scope(form.scope)
    with services.database.writing() as session:
        demand_role(session, identity, form.scope, Role.OWNER, Right.MANAGE)
        account = account_named(session, form.account)
        set_role(session, form.scope, account.id, Role[form.role.upper()])
        record(session, identity.account, "member", form.scope, account=form.account, role=form.role)
    return _members(services, form.scope)


@router.get("/events")
def log(
    services: Shared,
    reader: Reader,
    subject: Annotated[str, Query(max_length=240)] = "",
    before: Number | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
) -> list[EventState]:
    """List what was done, newest first."""
    with services.database.reading() as session:
        rows = events(session, subject=subject, before=before, limit=limit)
        return [EventState.model_validate(row) for row in rows]
