"""Trusted publishing: a statement of an OIDC issuer, such as a CI system, for a token that lives a quarter of an hour.

An owner of a scope names an issuer and the patterns of some claims. A statement counts if the issuer's own keys signed
it, if it is for this registry (``aud``), is in time, was not used before (``jti``), and fits all patterns of one entry.
Only the keys that the issuer's own discovery document names are used, never keys or addresses in a statement.

Sources: OpenID Connect Discovery 1.0, RFC 7517 (keys), RFC 7519 (tokens), RFC 8725 (their dangers).
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError as NotUnique
from sqlalchemy.orm import Session

from skillpm.errors import RegistryError
from skillpm.index.credentials import Credentials, is_local
from skillpm.index.transport import Patience, Transport
from skillpm.model.release import Publisher
from skillpm_registry.events import record
from skillpm_registry.identity import Identity, Right, new_token
from skillpm_registry.membership import REGISTRY, Role, demand_role, is_scope, no_scope
from skillpm_registry.problems import ApiError
from skillpm_registry.services import Services
from skillpm_registry.tables import Event, TrustedPublisher, UsedStatement

SECONDS = 900.0  # that a token of a trusted publisher lives
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]  # no shared secrets, and never "none"
_LEEWAY = 30  # seconds between two clocks
_LONGEST = 24 * 3600.0  # seconds that a statement may live: so long its number is remembered
_CLAIM = 400  # characters of a claim that is recorded
_SHOWN = ("iss", "sub", "repository", "project_path", "ref")  # the claims that a page shows
_DOCUMENT = 1 << 20  # bytes of a discovery document or of keys
_KEPT = 600.0  # seconds
_PAUSE = 20.0  # seconds between two looks for a new key
_PATIENCE = 2.0  # seconds that a statement waits while another one asks the same issuer
_GENERAL = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})


@dataclass(slots=True)
class _Keys:
    items: dict[str, Any]
    time: float


class Issuers:
    """The keys of issuers, fetched when a statement needs them.

    Args:
        local: may an issuer be on this machine or in a private network?
    """

    def __init__(self, *, local: bool) -> None:
        self.local = local
        self._transport = Transport(
            Credentials({"NETRC": os.devnull}), patience=Patience(connect=5, idle=5, whole=10, tries=2, asked=2)
        )
        self._keys: dict[str, _Keys] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def refuse(self, issuer: str) -> None:
        """Raise ApiError 422 unless this is the URL of an issuer that may be asked."""
        parts = urlsplit(issuer)
        plain = parts.hostname and not (parts.query or parts.fragment or parts.username)
        allowed = parts.scheme == "https" or (self.local and parts.scheme == "http")
        if not plain or not allowed or (is_local(parts.hostname) and not self.local) or len(issuer) > 400:
            raise ApiError(
                422, "invalid-issuer", f"`{issuer[:80]}` is not an issuer that may be used", "name an https URL"
            )

    def key(self, issuer: str, number: str) -> Any:
        """Return the key of a number. An unknown number makes us look again: issuers rotate their keys.

        Raises:
            ApiError: 403 if the issuer has no such key, 503 if it does not answer.
        """
        lock = self._locks[issuer]  # a slow issuer keeps those of others from nothing
        if not lock.acquire(timeout=_PATIENCE):
            raise _unavailable(issuer)
        try:
            keys, now = self._keys.get(issuer), time.monotonic()
            if keys is None or now - keys.time > _KEPT or (number not in keys.items and now - keys.time > _PAUSE):
                keys = self._keys[issuer] = _Keys(self._fetch(issuer), now)
        finally:
            lock.release()
        if number not in keys.items:
            raise _refused(f"{issuer} has no key {number[:40]}")
        return keys.items[number]

    def _fetch(self, issuer: str) -> dict[str, Any]:
        import jwt

        self.refuse(issuer)
        about = self._json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if about.get("issuer") != issuer:
            raise _refused(f"the discovery document of {issuer} is of another issuer")
        keys = {}
        for item in self._json(str(about.get("jwks_uri"))).get("keys", []):
            try:
                keys[str(item["kid"])] = jwt.PyJWK(item)
            except (jwt.PyJWTError, KeyError, TypeError, ValueError):  # a kind of key that we do not know
                continue
        return keys

    def _json(self, url: str) -> dict[str, Any]:
        self.refuse(url)
        try:
            answer = self._transport.get(url, limit=_DOCUMENT)
            document = json.loads(answer.body)
        except (RegistryError, ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise _unavailable(url)
        return document


def exchange(services: Services, issuers: Issuers, statement: str) -> tuple[str, list[str], float]:
    """Return a token for a statement, the scopes that it is for, and when it ends.

    Raises:
        ApiError: 403: the statement does not count here; 503: its issuer does not answer.
    """
    claims = _verified(services, issuers, statement)
    with services.database.reading() as session:
        entries = session.scalars(select(TrustedPublisher).where(TrustedPublisher.issuer == claims["iss"])).all()
    fitting = [entry for entry in entries if _fits(entry.claims, claims)]
    if not fitting:
        raise _refused("no trusted publisher of this registry fits the claims of the statement")
    scopes = sorted({entry.scope for entry in fitting})
    shown = {key: value for key, value in claims.items() if isinstance(value, (str, int)) and len(str(value)) <= _CLAIM}
    try:
        with services.database.writing() as session:
            session.execute(delete(UsedStatement).where(UsedStatement.expires < time.time()))
            session.add(UsedStatement(issuer=claims["iss"], jti=claims["jti"], expires=claims["exp"] + 2 * _LEEWAY))
            session.flush()
            secret, row = new_token(
                session, fitting[0].account_id, "trusted publisher", [Right.READ, Right.PUBLISH],
                only=scopes, seconds=SECONDS, publisher=shown,
            )  # fmt: skip
            record(session, f"oidc:{claims['iss']}"[:160], "exchange", scopes[0], scopes=scopes, claims=shown)
            return secret, scopes, row.expires or 0
    except NotUnique:
        raise _refused("the statement was used before") from None


def publisher_of(claims: dict[str, Any] | None) -> Publisher | None:
    """Return what a page says of the job that published a release, from its verified claims; None for a person.

    Sources: the claims of GitHub Actions (``repository``) and of GitLab CI (``project_path``).
    """
    if not claims:
        return None
    repository = claims.get("repository") or claims.get("project_path") or claims.get("sub", "")
    return Publisher(issuer=str(claims["iss"]), repository=str(repository), ref=str(claims.get("ref", "")))


def has_named(session: Session, account: str, scope: str, claims: dict[str, Any]) -> bool:
    """Has an account named, now or before, a trusted publisher of a scope that fits the claims of a job?

    The log says it, because an entry can be removed after its job has published.
    """
    query = select(Event.detail).where(Event.action == "trust", Event.subject == scope, Event.actor == account)
    return any(
        detail["issuer"] == claims.get("iss") and _fits(detail["claims"], claims) for detail in session.scalars(query)
    )


def _verified(services: Services, issuers: Issuers, statement: str) -> dict[str, Any]:
    """Return the claims of a statement whose issuer is known here, after all checks."""
    import jwt

    try:
        header, claimed = (
            jwt.get_unverified_header(statement),
            jwt.decode(statement, options={"verify_signature": False}),
        )
        issuer, number = str(claimed["iss"]), str(header["kid"])
    except (jwt.PyJWTError, KeyError, ValueError, RecursionError):
        raise _refused("this is not a statement of an OIDC issuer") from None
    with services.database.reading() as session:
        known = session.scalar(select(TrustedPublisher.id).where(TrustedPublisher.issuer == issuer).limit(1))
    if known is None:
        raise _refused("nobody here trusts the issuer of this statement")
    audience = services.configuration.url
    try:
        claims: dict[str, Any] = jwt.decode(
            statement, issuers.key(issuer, number), algorithms=_ALGORITHMS, audience=audience, issuer=issuer,
            leeway=_LEEWAY, options={"require": ["exp", "iat", "iss", "aud", "jti", "sub"]},
        )  # fmt: skip
    except jwt.InvalidAudienceError:
        raise _refused(f"the statement is for another audience; this registry's is {audience}") from None
    except (jwt.PyJWTError, ValueError) as error:
        raise _refused(f"the statement does not count: {error}"[:200]) from None
    if not isinstance(claims["jti"], str) or len(claims["jti"]) > 400 or claims["exp"] > time.time() + _LONGEST:
        raise _refused("the statement lives too long, or has no number")
    for key in _SHOWN:
        if len(str(claims.get(key, ""))) > _CLAIM:
            raise _refused(f"the claim `{key}` has more than {_CLAIM} characters")
    return claims


def _fits(patterns: dict[str, str], claims: dict[str, Any]) -> bool:
    return bool(patterns) and all(
        isinstance(claims.get(key), (str, int)) and fnmatchcase(str(claims[key]), pattern)
        for key, pattern in patterns.items()
    )


def trust(
    services: Services, issuers: Issuers, identity: Identity, scope: str, issuer: str, claims: dict[str, str]
) -> TrustedPublisher:
    """Let the statements of an issuer with some claims publish in a scope. Raises ApiError 403 or 422."""
    issuers.refuse(issuer)
    if not is_scope(scope) or scope == REGISTRY:
        raise no_scope(scope)
    if not claims or _GENERAL & claims.keys() or any(not pattern.strip("*?") for pattern in claims.values()):
        raise ApiError(
            422,
            "invalid-claims",
            "the claims do not say who may publish",
            "name the claims that identify the repository, such as `repository_id` or `sub`, each with a value",
        )
    with services.database.writing() as session:
        demand_role(session, identity, scope, Role.OWNER, Right.MANAGE)
        entry = TrustedPublisher(scope=scope, issuer=issuer, claims=claims, account_id=identity.account_id)
        session.add(entry)
        record(session, identity.account, "trust", scope, issuer=issuer, claims=claims)
        return entry


def distrust(services: Services, identity: Identity, number: int) -> None:
    """Remove a trusted publisher. Raises ApiError 403 or 404."""
    with services.database.writing() as session:
        entry = session.get(TrustedPublisher, number)
        if entry is None:
            hint = "`skillpm owner list NAME` lists those of a skill"
            raise ApiError(404, "unknown-publisher", f"there is no trusted publisher {number}", hint)
        demand_role(session, identity, entry.scope, Role.OWNER, Right.MANAGE)
        session.delete(entry)
        record(session, identity.account, "distrust", entry.scope, issuer=entry.issuer, claims=entry.claims)


def trusted(session: Session, scope: str) -> list[TrustedPublisher]:
    """Return the trusted publishers of a scope."""
    return list(session.scalars(select(TrustedPublisher).where(TrustedPublisher.scope == scope)))


def _unavailable(url: str) -> ApiError:
    return ApiError(
        503, "issuer-unavailable", f"{url[:200]} does not answer in time, or not with JSON", "try again later"
    )


def _refused(message: str) -> ApiError:
    return ApiError(403, "statement-refused", message, "see trusted publishing in docs/registry.md")
