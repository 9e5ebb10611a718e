"""``skillpm login``, ``logout``, ``whoami``, ``owner`` and ``token``: an account of a shared registry."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from skillpm.errors import RegistryError, UsageError
from skillpm.index.credentials import Credentials, checked_token, host_of, token_variable
from skillpm.index.http import HttpIndex
from skillpm.index.http_registry import HttpRegistry
from skillpm.index.source import open_registry

if TYPE_CHECKING:
    from skillpm.ops.context import Context

_STATEMENT = "SKILLPM_ID_TOKEN"  # the variable with the statement of an OIDC issuer
_GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


@dataclass(frozen=True, slots=True)
class Login:
    """Who is known to a registry by the token of this machine.

    Attributes:
        role: in the whole registry: owner, publisher, reader or none.
        only: the scopes that the token is limited to.
        expires: seconds since 1970, or None.
        scopes: the account's role in each of its scopes.
        file: where the token was stored; None if nothing was stored.
    """

    registry: str
    account: str
    role: str
    rights: tuple[str, ...]
    only: tuple[str, ...]
    expires: float | None
    scopes: Mapping[str, str]
    file: Path | None = None


def server(context: Context, text: str) -> HttpRegistry:
    """Return the server of a registry, by its URL or its name in the settings.

    An empty text means the only registry with a stored token.

    Raises:
        UsageError: it has no URL.
    """
    stored = sorted(Credentials().stored)
    known = context.settings.registries
    if not text and len(stored) != 1:
        which = f"name one of {', '.join(stored)}" if stored else "run `skillpm login URL`"
        raise UsageError("no registry is named", hint=which)
    index = open_registry(known.get(text, text) if text else stored[0], context.around)
    if not isinstance(index, HttpIndex):
        raise UsageError(f"`{text[:200]}` is not a URL", hint="accounts exist in registries with a server: http(s)://…")
    return HttpRegistry(index.url, context.around.transport, context.around.pages)


def login(context: Context, text: str, token: str) -> Login:
    """Ask the registry whose token this is, and store it for the registry's host.

    Raises:
        PolicyError: the registry does not know the token.
        UsageError: it is not a token, or it would be sent unencrypted.
        RegistryError: it is not a registry with a server.
    """
    from skillpm.index.transport import Transport

    registry = server(context, text)
    secret = checked_token(token.strip())
    if not secret:
        raise UsageError("there is no token", hint="paste the token that the registry's owner gave you")
    transport = Transport(Credentials({token_variable(registry.url): secret, "NETRC": os.devnull}))
    known = HttpRegistry(registry.url, transport, context.around.pages)
    return whoami(known, file=Credentials().store(registry.url, secret) if known.ask("GET", "whoami") else None)


def logout(context: Context, text: str) -> tuple[str, bool]:
    """Remove the stored token of a registry; return its URL, and whether there was one."""
    registry = server(context, text)
    return registry.url, Credentials().store(registry.url, None) is not None


def whoami(registry: HttpRegistry, *, file: Path | None = None) -> Login:
    """Return who the registry takes us for. Raises PolicyError, RegistryError."""
    answer = registry.ask("GET", "whoami")
    return Login(
        registry.url, str(answer["account"]), str(answer["role"]), tuple(answer["rights"]), tuple(answer["only"]),
        answer["expires"], dict(answer["scopes"]), file,
    )  # fmt: skip


def exchanged(context: Context, text: str, environment: Mapping[str, str]) -> str:
    """Return a short-lived token of a registry for the statement of the CI system that we run in.

    The environment has the statement, or what GitHub Actions gives to ask for one.

    Raises:
        UsageError: there is no statement.
        PolicyError: the registry does not accept it.
    """
    registry = server(context, text)
    statement = environment.get(_STATEMENT) or _github_statement(registry.url, environment)
    return str(registry.ask("POST", "trusted-publishers/token", {"statement": statement})["token"])


def _github_statement(audience: str, environment: Mapping[str, str]) -> str:
    from skillpm.index.pages import parsed
    from skillpm.index.transport import Transport

    url, secret = (environment.get(name, "") for name in _GITHUB)
    if not url or not secret:
        raise UsageError(
            "there is no statement of a CI system here",
            hint=f"set {_STATEMENT} to an ID token for the audience {audience}, or give the job `id-token: write`",
        )
    place = f"{url}{'&' if '?' in url else '?'}{urlencode({'audience': audience})}"
    answer = Transport(Credentials({token_variable(url): secret, "NETRC": os.devnull})).get(place, limit=1 << 20)
    document = parsed(answer.body, host_of(url))
    if not isinstance(document, dict) or not isinstance(document.get("value"), str):
        raise RegistryError(f"{host_of(url)} gave no ID token", hint="give the job `id-token: write`")
    return str(document["value"])


def scope(text: str) -> str:
    """Return what is owned: a skill, ``OWNER/`` for `owner/skill` and `owner/`, or ``*``."""
    owner, slash, _ = text.partition("/")
    return owner + slash


def members(registry: HttpRegistry, text: str) -> list[dict[str, Any]]:
    """Return the members of a scope. Raises RegistryError."""
    return list(registry.ask("GET", f"members?{urlencode({'scope': scope(text)})}"))


def set_member(registry: HttpRegistry, text: str, account: str, role: str) -> list[dict[str, Any]]:
    """Give an account a role in a scope, or ``none``; return the members.

    Raises:
        PolicyError: the token may not do this.
        ConflictError: the scope would lose its last owner.
        RegistryError: there is no such account.
    """
    return list(registry.ask("PUT", "members", {"scope": scope(text), "account": account, "role": role}))


def publishers(registry: HttpRegistry, text: str) -> list[dict[str, Any]]:
    """Return the trusted publishers of a scope. Raises RegistryError."""
    return list(registry.ask("GET", f"trusted-publishers?{urlencode({'scope': scope(text)})}"))


def trust_publisher(registry: HttpRegistry, text: str, issuer: str, claims: Sequence[str]) -> dict[str, Any]:
    """Let an OIDC issuer's statements with some claims publish in a scope.

    The text is a skill or ``OWNER/``, the issuer a URL, and each claim ``NAME=PATTERN``.

    Raises:
        UsageError: a claim has another form.
        PolicyError: the token may not do this.
    """
    pairs = {name: pattern for name, _, pattern in (item.partition("=") for item in claims)}
    if not pairs or not all(pairs.values()):
        raise UsageError("a claim is missing, or has no value", hint="write `--claim repository_id=123`")
    document = {"scope": scope(text), "issuer": issuer, "claims": pairs}
    return dict(registry.ask("POST", "trusted-publishers", document))


def distrust_publisher(registry: HttpRegistry, number: int) -> None:
    """Remove a trusted publisher. Raises PolicyError, RegistryError."""
    registry.ask("DELETE", f"trusted-publishers/{number}")


def tokens(registry: HttpRegistry) -> list[dict[str, Any]]:
    """Return the tokens of the account, without their secrets. Raises PolicyError."""
    return list(registry.ask("GET", "tokens"))


def new_token(
    registry: HttpRegistry, label: str, rights: Sequence[str], only: Sequence[str], days: float
) -> dict[str, Any]:
    """Make a token; return it with its secret. Raises PolicyError, RegistryError."""
    document = {"label": label, "rights": list(rights), "only": [scope(text) for text in only], "days": days}
    return dict(registry.ask("POST", "tokens", document))


def revoke_token(registry: HttpRegistry, number: int) -> None:
    """Revoke a token. Raises PolicyError, RegistryError."""
    registry.ask("DELETE", f"tokens/{number}")


def report(registry: HttpRegistry, name: str, version: str, reason: str, findings: Sequence[str]) -> dict[str, Any]:
    """Report a skill to the owners of its registry.

    An empty version means the whole skill. Findings are places, as ``FILE`` or ``FILE:LINE``.
    """
    places = [_finding(text) for text in findings]
    document = {"name": name, "version": version, "reason": reason, "findings": places}
    return dict(registry.ask("POST", "reports", document))


def reports(registry: HttpRegistry, name: str) -> list[dict[str, Any]]:
    """Return the reports of a skill, or all where the name is empty, newest first. Raises RegistryError."""
    return list(registry.ask("GET", f"reports?{urlencode({'name': name})}"))


def answer_report(registry: HttpRegistry, number: int, state: str, text: str) -> dict[str, Any]:
    """Answer a report (``accepted``, ``dismissed``), or appeal (``appealed``). Raises PolicyError, RegistryError."""
    return dict(registry.ask("POST", f"reports/{number}/answer", {"state": state, "answer": text}))


def demand_approval(registry: HttpRegistry, text: str, *, needed: bool) -> dict[str, Any]:
    """Say whether the releases of a scope need another owner's approval. Raises PolicyError, RegistryError."""
    return dict(registry.ask("PUT", "approvals", {"scope": scope(text), "needed": needed}))


def needs_approval(registry: HttpRegistry, text: str) -> bool:
    """Do the releases of a scope need another owner's approval? Raises RegistryError."""
    return registry.ask("GET", f"approvals/needed?{urlencode({'scope': scope(text)})}")["needed"] is True


def approvals(registry: HttpRegistry) -> list[dict[str, Any]]:
    """Return the releases that wait for this account, oldest first. Raises PolicyError, RegistryError."""
    return list(registry.ask("GET", "approvals"))


def decide(registry: HttpRegistry, number: str, refusal: str | None) -> dict[str, Any]:
    """Let a waiting release go live, or refuse it for a reason.

    Raises:
        UsageError: the text is not the ID of a release.
        PolicyError, RegistryError, ConflictError: the registry refuses.
    """
    if not number.isalnum():
        raise UsageError(f"`{number[:80]}` is not the ID of a release", hint="`skillpm registry approvals` lists them")
    document = {"approve": refusal is None, "reason": refusal or ""}
    return dict(registry.ask("POST", f"approvals/{quote(number, safe='')}", document))


def _finding(text: str) -> dict[str, Any]:
    file, _, line = text.rpartition(":")
    return {"file": file, "line": int(line)} if file and line.isdecimal() and line != "0" else {"file": text}
