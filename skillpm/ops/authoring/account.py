"""An account of a shared registry: its server, who is logged in, and what people type in the forms of its API.

The commands `owner`, `token` and `registry` are one request each, which they send themselves: ``HttpRegistry.ask``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from skillpm.errors import RegistryError, UsageError
from skillpm.index.credentials import Credentials, checked_token, host_of, token_variable
from skillpm.index.http import HttpIndex
from skillpm.index.http_registry import HttpRegistry
from skillpm.index.pages import parsed
from skillpm.index.source import open_registry
from skillpm.index.transport import Transport

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
    registry = server(context, text)
    secret = checked_token(token.strip())
    if not secret:
        raise UsageError("there is no token", hint="paste it, or pipe it: `skillpm login URL --token-stdin < FILE`")
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


def claims(texts: Sequence[str]) -> dict[str, str]:
    """Return the patterns of claims by name, each typed as ``NAME=PATTERN``.

    Raises:
        UsageError: a text has another form, or two have the same name.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, _, pattern = text.partition("=")
        if not name or not pattern:
            raise UsageError(f"`{text[:80]}` is not a claim with its value", hint="write `--claim repository_id=123`")
        if pairs.setdefault(name, pattern) != pattern:
            raise UsageError(f"the claim `{name[:80]}` has two values", hint="write one; `*` stands for any text")
    return pairs


def finding(text: str) -> dict[str, Any]:
    """Return a place, typed as ``FILE`` or ``FILE:LINE``, as a report has it."""
    file, _, line = text.rpartition(":")
    return {"file": file, "line": int(line)} if file and line.isdecimal() and line != "0" else {"file": text}
