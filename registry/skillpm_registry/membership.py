"""Who may do what: roles in scopes, and who takes a new name.

A scope is a skill (``demo``), all skills of an owner (``acme/``), or the registry (``*``). Whoever first publishes a
name owns its scope. A role in the registry holds everywhere for owners; a publisher of the registry may take new names,
a reader may only read where reading needs a token.
"""

from __future__ import annotations

import time
from enum import IntEnum
from shlex import quote

from sqlalchemy import select
from sqlalchemy.orm import Session

from skillpm.index.shipped import bundled_skills
from skillpm.model.name import is_name, scope_of
from skillpm_registry.events import record
from skillpm_registry.identity import Identity, Right
from skillpm_registry.problems import ApiError
from skillpm_registry.tables import Account, Member

REGISTRY = "*"
_ACTORS = ("server", "anonymous")  # in the log: the operator, and whoever reports without an account
_RESERVED = frozenset(
    {"admin", "administrator", "api", "config", "login", "new", "official", "registry", "root", "skillpm", "system"}
)


class Role(IntEnum):
    """What an account is in a scope; a higher role includes the lower ones."""

    NONE = 0
    READER = 1
    PUBLISHER = 2
    OWNER = 3

    @property
    def text(self) -> str:
        """The role as it is written."""
        return self.name.lower()


def is_scope(text: str) -> bool:
    """Is this a skill without an owner, ``OWNER/`` or ``*``?"""
    return text == REGISTRY or (text.count("/") <= 1 and is_name(text.removesuffix("/")) and "/" not in text[:-1])


def no_scope(text: str) -> ApiError:
    """Return the error for a text that is not a scope here."""
    return ApiError(422, "invalid-scope", f"`{text[:80]}` is not a skill or an owner", "write `acme/` or `demo`")


def role_in(session: Session, account_id: int, scope: str) -> Role:
    """Return the role of an account in a scope. An owner of the registry owns every scope."""
    query = select(Member.scope, Member.role).where(Member.account_id == account_id)
    roles = {row.scope: Role[row.role.upper()] for row in session.execute(query.where(Member.scope.in_([scope, "*"])))}
    everywhere = roles.get(REGISTRY, Role.NONE)
    return everywhere if everywhere is Role.OWNER else roles.get(scope, Role.NONE)


def demand_role(session: Session, identity: Identity, scope: str, role: Role, right: Right) -> None:
    """Raise ApiError 403 unless the identity has a role in a scope, and its token the right."""
    identity.demand(right, scope)
    if identity.publisher is None and role_in(session, identity.account_id, scope) < role:
        raise not_a_member(identity.account, "an owner" if role is Role.OWNER else "a publisher", scope)


def not_a_member(account: str, role: str, scope: str) -> ApiError:
    """Return the error of an account that lacks a role in a scope."""
    return ApiError(
        403,
        "not-a-member",
        f"{account} is not {role} of `{scope}`",
        f"ask one of its owners: `skillpm owner list {quote(scope)}` names them",
    )


def demand_publishing(session: Session, identity: Identity, name: str, *, is_new: bool) -> None:
    """Raise ApiError 403 unless the identity may publish a skill, and take its name if nobody has it.

    Args:
        session: of the database.
        identity: who asks.
        name: of the skill.
        is_new: is nothing published in the skill's scope?
    """
    scope, rows = scope_of(name), list[Member]()
    if is_new and identity.publisher is None:
        own = (Member.scope == REGISTRY) & (Member.account_id == identity.account_id)
        rows = list(session.scalars(select(Member).where((Member.scope == scope) | own)))
    if not is_new or identity.publisher is not None or any(row.scope == scope for row in rows):
        demand_role(session, identity, scope, Role.PUBLISHER, Right.PUBLISH)
        return
    identity.demand(Right.PUBLISH, scope)
    _demand_taking(identity, scope, Role[rows[0].role.upper()] if rows else Role.NONE)


def _demand_taking(identity: Identity, scope: str, everywhere: Role) -> None:
    """Raise ApiError 403 if a new scope is reserved, or not for an account with this role in the registry."""
    if everywhere < Role.PUBLISHER:
        raise ApiError(
            403, "not-a-publisher", f"{identity.account} may not take new names", "ask an owner of the registry"
        )
    if everywhere < Role.OWNER and is_reserved(scope):
        raise ApiError(403, "name-reserved", f"`{scope}` is reserved", "choose another name")


def take(session: Session, account: Account, scope: str) -> None:
    """Make an account the owner of a scope, whose first release it published, unless somebody has it."""
    if not is_taken(session, scope):
        session.add(Member(scope=scope, account_id=account.id, role=Role.OWNER.text))
        record(session, account.name, "take", scope)


def is_taken(session: Session, scope: str) -> bool:
    """Has any account a role in a scope?"""
    return session.scalar(select(Member.account_id).where(Member.scope == scope).limit(1)) is not None


def is_reserved(scope: str) -> bool:
    """Is this a name that only owners of the registry may take? Names of bundled skills are."""
    bare = scope.removesuffix("/")
    return bare in _RESERVED or bare in bundled_skills()


def set_role(session: Session, scope: str, account_id: int, role: Role) -> None:
    """Give an account a role in a scope, or none. Raises ApiError 409 if the scope would lose its last owner."""
    member = session.get(Member, (scope, account_id))
    if member is not None and member.role == Role.OWNER.text and role is not Role.OWNER:
        owners = select(Member.account_id).where(Member.scope == scope, Member.role == Role.OWNER.text)
        if len(session.scalars(owners).all()) == 1:
            raise ApiError(409, "last-owner", f"`{scope}` would have no owner", "add another owner first")
    if role is Role.NONE:
        if member is not None:
            session.delete(member)
    elif member is None:
        session.add(Member(scope=scope, account_id=account_id, role=role.text))
    else:
        member.role = role.text
    session.flush()


def new_account(session: Session, actor: str, name: str, role: Role) -> Account:
    """Add an account, which owns ``NAME/``. Raises ApiError 409 or 422 if the name is taken or is not a name."""
    if not is_name(name) or "/" in name:
        raise ApiError(
            422,
            "invalid-name",
            f"`{name[:80]}` is not an account's name",
            "use at most 64 lowercase letters, digits and single hyphens",
        )
    if name in _ACTORS:
        raise ApiError(422, "invalid-name", f"`{name}` has a meaning of its own in the log", "choose another name")
    if session.scalar(select(Account.id).where(Account.name == name)) is not None:
        raise ApiError(409, "name-taken", f"there is an account `{name}`", "choose another name")
    if is_taken(session, f"{name}/"):
        raise ApiError(409, "name-taken", f"`{name}/` belongs to another account", "choose another name")
    account = Account(name=name, created=time.time())
    session.add(account)
    session.flush()
    set_role(session, f"{name}/", account.id, Role.OWNER)
    if role is not Role.NONE:
        set_role(session, REGISTRY, account.id, role)
    record(session, actor, "account", name, role=role.text)
    return account


def account_named(session: Session, name: str) -> Account:
    """Return an account. Raises ApiError 404 if there is none."""
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        raise ApiError(404, "unknown-account", f"there is no account `{name[:80]}`", "check the name")
    return account
