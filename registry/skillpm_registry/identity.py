"""Who asks: tokens, and the identity that a token proves.

A token is ``skp_`` and 256 random bits. The database has only its SHA-256, so that a copy of the database opens
nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skillpm_registry.problems import ApiError
from skillpm_registry.tables import Account, Token

PREFIX = "skp_"
_BYTES = 32
DAY = 86_400.0  # seconds


class Right(Enum):
    """What a token may be used for, as far as its account may."""

    READ = "read"
    PUBLISH = "publish"
    MANAGE = "manage"  # owners, tokens, trusted publishers


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        account_id: of the account.
        account: its name.
        rights: of the token.
        only: the scopes that the token is limited to; empty for all.
        token_id: of the token.
        expires: when the token ends.
        publisher: the verified claims of a trusted publisher; None for a person's token.
    """

    account_id: int
    account: str
    rights: frozenset[Right]
    only: frozenset[str]
    token_id: int
    expires: float | None
    publisher: dict[str, Any] | None

    def demand(self, right: Right, scope: str = "") -> None:
        """Raise ApiError 403 unless the token may be used for this in a scope."""
        if right not in self.rights:
            raise ApiError(403, "token-scope", f"this token may not {right.value}", "use a token with that right")
        if scope and self.only and scope not in self.only:
            raise ApiError(
                403, "token-scope", f"this token is not for `{scope}`", f"it is for {', '.join(sorted(self.only))}"
            )


def digest_of(token: str) -> str:
    """Return the hex SHA-256 of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(
    session: Session,
    account_id: int,
    label: str,
    rights: Iterable[Right],
    *,
    only: Iterable[str] = (),
    seconds: float | None = None,
    publisher: dict[str, Any] | None = None,
) -> tuple[str, Token]:
    """Add a token and return its secret, which is never seen again, and its row."""
    secret, now = PREFIX + secrets.token_urlsafe(_BYTES), time.time()
    row = Token(
        account_id=account_id,
        digest=digest_of(secret),
        label=label,
        rights=",".join(sorted(right.value for right in rights)),
        only=",".join(sorted(only)),
        created=now,
        expires=None if seconds is None else now + seconds,
        publisher=publisher,
    )
    session.add(row)
    session.flush()
    return secret, row


def identify(session: Session, secret: str) -> Identity:
    """Return who has a token. Raises ApiError 401 if it is unknown or has expired."""
    digest = digest_of(secret)
    row = session.execute(
        select(Token, Account.name).join(Account, Account.id == Token.account_id).where(Token.digest == digest)
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.Token.digest, digest):
        raise unauthorized("the token is unknown or was revoked")
    token: Token = row.Token
    if token.expires is not None and token.expires <= time.time():
        raise unauthorized("the token has expired")
    rights = frozenset(Right(text) for text in token.rights.split(",") if text)
    only = frozenset(filter(None, token.only.split(",")))
    return Identity(token.account_id, row.name, rights, only, token.id, token.expires, token.publisher)


def secret_of(header: str | None) -> str | None:
    """Return the token of an Authorization header: a bearer token, or the password of a login (netrc).

    Raises:
        ApiError: 401 for a header of another form.
    """
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            pass
    raise unauthorized("the Authorization header is not a bearer token")


def unauthorized(detail: str) -> ApiError:
    """Return ApiError 401, which tells how to log in."""
    problem = ApiError(401, "unauthorized", detail, "run `skillpm login`")
    # Basic is for browsers; it comes first, because Chromium reads no more than the first of several
    problem.headers["WWW-Authenticate"] = 'Basic realm="skillpm", Bearer realm="skillpm"'
    return problem
