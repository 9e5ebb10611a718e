"""The login at an OCI registry: what `docker login` wrote, and the token for which a registry sends its clients away.

A registry answers ``GET /v2/`` with 401 and a challenge. ``Basic`` takes the login itself. ``Bearer`` names a server,
the realm, which gives a short-lived token for one repository and some actions, with the login or to anybody.

Only the ``auths`` of ``config.json`` in ``DOCKER_CONFIG``, or in ``~/.docker``, count: no credential helper is run.
Else the host's entry in netrc counts. Sources: RFC 7235, Docker Registry Token Authentication.
"""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from skillpm.errors import PolicyError, RegistryError, UsageError
from skillpm.formats.strict import json_object, strict_json
from skillpm.formats.typed_path import typed_path
from skillpm.index.credentials import checked_token
from skillpm.index.pages import KEEPER
from skillpm.index.transport import Transport, followed

_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')
_KEYS = ("{host}", "https://{host}", "https://{host}/v2/", "https://{host}/v1/")
_HUB = "registry-1.docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_LIFE, _MARGIN = 60.0, 15.0  # seconds that a token is valid if its server does not say, and before its end


class OciLogin:
    """The right to read or write one repository; ``api`` is the address of the registry's API."""

    def __init__(self, api: str, repository: str, transport: Transport) -> None:
        self._api = api
        self._repository = repository
        self._transport = transport
        self._ends: dict[str, float] = {}
        self._challenge: str | None = None

    def demand(self, actions: str) -> None:
        """Give the transport what the registry demands for these actions, ``pull`` or ``pull,push``.

        Raises:
            RegistryError: the registry's answer cannot be understood.
            PolicyError: the login is wrong, or is missing.
            UsageError: docker's configuration is damaged.
        """
        if time.monotonic() < self._ends.get(actions, 0.0):
            return
        if self._challenge is None:
            answer = self._transport.send("GET", f"{self._api}/")
            self._challenge = answer.headers.get("www-authenticate", " ") if answer.status == 401 else ""
        if not self._challenge:
            self._ends[actions] = float("inf")
            return
        challenge, login = self._challenge, self._login()
        kind = challenge.partition(" ")[0].lower()
        place = f"{self._api}/{self._repository}/"
        if kind == "basic" and login is not None:
            self._transport.authorize(place, login)
            self._ends[actions] = float("inf")
        elif kind == "bearer":
            token, life = self._token(dict(_PARAMETER.findall(challenge)), actions, login)
            self._transport.authorize(place, f"Bearer {token}")
            self._ends[actions] = time.monotonic() + max(life - _MARGIN, 0.0)
        else:
            raise self.refusal("demands a login")

    def _token(self, challenge: Mapping[str, str], actions: str, login: str | None) -> tuple[str, float]:
        """Return a token of the realm and the seconds for which it is valid."""
        realm = followed(f"{self._api}/", challenge.get("realm"))
        wish = {"service": challenge.get("service", ""), "scope": f"repository:{self._repository}:{actions}"}
        refresh = self._entry().get("identitytoken")
        if isinstance(refresh, str) and refresh:
            form = urlencode({"grant_type": "refresh_token", "client_id": "skillpm", "refresh_token": refresh, **wish})
            kind = "application/x-www-form-urlencoded"
            answer = self._transport.send("POST", realm, form.encode(), kind=kind)
        else:
            if login is not None:
                self._transport.authorize(realm, login)
            answer = self._transport.send("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(wish)}")
        if answer.status in (401, 403):
            raise self.refusal("refuses the login" if login or refresh else "demands a login")
        root = json_object(answer.body) if answer.status == 200 else {}
        token = root.get("token") or root.get("access_token")
        if not isinstance(token, str):
            raise RegistryError(f"{realm} gives no token: it answers {answer.status}", hint=KEEPER)
        life = root.get("expires_in")
        return checked_token(token, realm), float(life) if isinstance(life, int) and 0 < life < 10**6 else _LIFE

    def refusal(self, what: str) -> PolicyError:
        """Return the error of a login that is missing or does not suffice."""
        host = self._api.removesuffix("/v2").partition("://")[2]
        helper = "docker's credential helpers are not run, so " if self._config().get("credsStore") else ""
        return PolicyError(
            f"{host}/{self._repository}: the registry {what}",
            hint=f"{helper}put a login for {host} into ~/.netrc, or run `docker login {host}`",
        )

    def _login(self) -> str | None:
        """Return the Authorization header with the login, of docker or else of netrc."""
        encoded = self._entry().get("auth")
        if isinstance(encoded, str) and encoded:
            try:
                base64.b64decode(encoded, validate=True).decode("utf-8")
            except ValueError:
                raise self._damaged("an `auth` is not base64") from None
            return f"Basic {encoded}"
        return self._transport.authorization(f"{self._api}/")

    def _entry(self) -> dict[str, Any]:
        host = self._api.removesuffix("/v2").partition("://")[2]
        keys = [key.format(host=host) for key in _KEYS] + ([_HUB_KEY, "docker.io"] if host == _HUB else [])
        logins = self._config().get("auths")
        entries = [logins.get(key) for key in keys] if isinstance(logins, dict) else []
        return next((entry for entry in entries if isinstance(entry, dict) and entry), {})

    def _config(self) -> dict[str, Any]:
        try:
            root = strict_json(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}
        except (OSError, ValueError) as error:
            raise self._damaged(type(error).__name__) from None
        return root if isinstance(root, dict) else {}

    @property
    def _file(self) -> Path:
        folder = os.environ.get("DOCKER_CONFIG")
        home = typed_path(os.environ.get("HOME") or "~")
        return (Path(folder) if folder else home / ".docker") / "config.json"

    def _damaged(self, reason: str) -> UsageError:
        return UsageError(f"{self._file} cannot be read: {reason}", hint="log in again, or set DOCKER_CONFIG")
